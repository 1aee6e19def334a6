#!/usr/bin/env bash
# Installs the released form in every way there is, each into an empty home, and uses it: its version, one repaired answer, the exit code of a wrong option.
#   tests/install/run.sh [RELEASE-DIR]        what build/release.sh wrote; without it, it is built first (linux-x64 only)
# Needs Debian, Node 20 and the .NET SDK. A way whose tool is not here is skipped and said so. The last line: "Install: N passed, N failed, N skipped".
# shellcheck disable=SC2030,SC2031 # every way has a home of its own on purpose
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
root="$PWD"
release="${1:-}"
if [ -z "$release" ]; then
  release="$root/artifacts/release"
  build/release.sh --output "$release" linux-x64 || exit 1
fi
release="$(cd "$release" && pwd)"
version="$(sed -nE 's/^[0-9a-f]{64}  qwen-proxy-(.+)-linux-x64\.tar\.gz$/\1/p' "$release/SHA256SUMS" | tail -n 1)"
[ -n "$version" ] || { echo "$release holds no release for linux-x64"; exit 1; }
passed=0 failed=0 skipped=0
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# run NAME FUNCTION: the function works in an empty home and an empty folder; its exit code is the verdict, 77 is a skip.
run() {
  local home="$work/$2/home" code=0
  mkdir -p "$home"
  # A shell of its own, so that errexit counts inside: a function that is asked for its verdict ignores it.
  (export HOME="$home" release version root; cd "$home" && export -f smoke "${2?}" && env -u DASHSCOPE_API_KEY -u QWEN_API_KEY -u XDG_CONFIG_HOME -u XDG_DATA_HOME \
    bash -euo pipefail -c "$2") > "$work/$2/log" 2>&1 || code=$?
  case "$code" in
    0) passed=$((passed + 1)); echo "ok   $1" ;;
    77) skipped=$((skipped + 1)); echo "skip $1: $(tail -n 1 "$work/$2/log")" ;;
    *) failed=$((failed + 1)); echo "FAIL $1 (exit $code)"; sed 's/^/     /' "$work/$2/log" | tail -n 25 ;;
  esac
}

# What every installed program must do: say the released version, answer a stream that it repaired, and know a wrong option.
smoke() {
  local program="$1"
  "$program" version | grep -F "qwen-proxy $version "
  "$program" version --json | grep -F "\"form\": \"$2\""
  "$program" demo --once --port 0 > demo.out 2> demo.err || { cat demo.out demo.err; return 1; }
  grep -q 'The ferry leaves at seven' demo.out
  local code=0
  "$program" --no-such-option 2> /dev/null || code=$?
  [ "$code" -eq 64 ]
}

install_script() {
  sh "$release/install.sh" --from "$release"
  PATH="$HOME/.local/bin:$PATH"
  smoke qwen-proxy native
  test -s "$HOME/.local/share/man/man1/qwen-proxy.1"
  test -s "$HOME/.local/share/bash-completion/completions/qwen-proxy"
  # Again, over itself; then from a folder whose archive was changed on the way: nothing is installed and the old one still runs.
  sh "$release/install.sh" --from "$release" > /dev/null
  mkdir tampered
  cp "$release/SHA256SUMS" tampered/
  head -c 100000 "$release/qwen-proxy-$version-linux-x64.tar.gz" > "tampered/qwen-proxy-$version-linux-x64.tar.gz"
  if sh "$release/install.sh" --from tampered 2> refused; then echo "a damaged archive was installed"; return 1; fi
  grep -q 'SHA256SUMS says' refused
  qwen-proxy version > /dev/null
  test -z "$(find "$HOME/.local/lib" -maxdepth 1 -name '.qwen-proxy.*')"
  # Uninstalling takes away all that was installed and nothing else.
  mkdir -p "$HOME/.config/qwen-proxy" && echo '{}' > "$HOME/.config/qwen-proxy/config.json"
  sh "$release/install.sh" --uninstall
  test ! -e "$HOME/.local/bin/qwen-proxy"
  test ! -e "$HOME/.local/lib/qwen-proxy"
  test -s "$HOME/.config/qwen-proxy/config.json"
  local code=0
  sh "$release/install.sh" --uninstall 2> /dev/null || code=$?
  [ "$code" -eq 2 ]
  # Somebody else's program of the same name stays.
  mkdir -p "$HOME/.local/bin" && echo mine > "$HOME/.local/bin/qwen-proxy"
  if sh "$release/install.sh" --from "$release" 2> /dev/null; then return 1; fi
  grep -q mine "$HOME/.local/bin/qwen-proxy"
}

# Machines that this one is not: what they say of themselves leads to their archive, and every archive but that for Windows has such a machine.
install_script_elsewhere() {
  local platform platforms wanted system machine libc
  mkdir archives machine
  # shellcheck disable=SC2016 # for the script that is written
  printf '#!/bin/sh\ncase "$1" in -s) echo "$SYSTEM" ;; -m) echo "$MACHINE" ;; esac\n' > machine/uname
  # shellcheck disable=SC2016
  printf '#!/bin/sh\necho "$LIBC"\n' > machine/ldd
  chmod 755 machine/*
  read -ra platforms <<< "$(sed -nE 's/^all=\((.*)\)$/\1/p' "$root/build/release.sh")"
  for platform in "${platforms[@]}"; do
    mkdir -p "tree/qwen-proxy-1.0.0-$platform"
    printf '#!/bin/sh\necho "qwen-proxy 1.0.0 (%s)"\n' "$platform" > "tree/qwen-proxy-1.0.0-$platform/qwen-proxy"
    chmod 755 "tree/qwen-proxy-1.0.0-$platform/qwen-proxy"
    tar -C tree -czf "archives/qwen-proxy-1.0.0-$platform.tar.gz" "qwen-proxy-1.0.0-$platform"
  done
  (cd archives && sha256sum ./*.tar.gz | sed 's# \./# #' > SHA256SUMS)
  while IFS='|' read -r system machine libc wanted; do
    SYSTEM="$system" MACHINE="$machine" LIBC="$libc" PATH="$PWD/machine:$PATH" sh "$release/install.sh" --from archives --prefix "$PWD/at/$wanted" > said
    grep -F "(${wanted%-again})" said
    rm -r "tree/qwen-proxy-1.0.0-${wanted%-again}" 2> /dev/null || [ "$wanted" != "${wanted%-again}" ]
  done <<END
Linux|x86_64|ldd (GNU libc) 2.36|linux-x64
Linux|amd64|ldd (GNU libc) 2.36|linux-x64-again
Linux|aarch64|ldd (GNU libc) 2.36|linux-arm64
Linux|x86_64|musl libc (x86_64)|linux-musl-x64
Darwin|arm64||osx-arm64
Darwin|x86_64||osx-x64
END
  [ "$(ls tree)" = qwen-proxy-1.0.0-win-x64 ]
  # Where there is none, it says what else there is.
  if SYSTEM=MINGW64_NT-10.0 MACHINE=x86_64 LIBC="" PATH="$PWD/machine:$PATH" sh "$release/install.sh" --from archives 2> refused; then return 1; fi
  grep -q '\.zip of the release' refused
  if SYSTEM=Linux MACHINE=riscv64 LIBC="" PATH="$PWD/machine:$PATH" sh "$release/install.sh" --from archives 2> refused; then return 1; fi
  grep -q 'dotnet tool install' refused
}

dotnet_tool() {
  export DOTNET_CLI_HOME="$HOME" DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1
  mkdir source && cp "$release"/QwenProxy."$version".nupkg source/
  dotnet tool install QwenProxy --version "$version" --tool-path tools --add-source "$PWD/source"
  smoke "$PWD/tools/qwen-proxy" framework-dependent
  dotnet tool uninstall QwenProxy --tool-path tools
  test ! -e tools/qwen-proxy
}

npm_packages() {
  command -v npm > /dev/null || { echo "npm is not here"; return 77; }
  # The platforms' packages are not in a registry yet: what the main package would fetch is given beside it.
  mkdir project && cd project && echo '{ "private": true }' > package.json
  npm install --silent --no-audit --no-fund --offline --install-links=false \
    "$release/qwen-proxy-linux-x64-$version.tgz" "$release/qwen-proxy-$version.tgz" --omit=optional
  npm ls --depth=0 || true
  smoke "$PWD/node_modules/.bin/qwen-proxy" native
  # A signal to the wrapper ends the program behind it, cleanly.
  QWEN_API_KEY=k QWEN_BASE_URL=http://127.0.0.1:9/v1 node_modules/.bin/qwen-proxy serve --port 0 2> serve.err &
  local wrapper=$! tries=0 code=0
  until grep -q 'listens on\|http://' serve.err; do tries=$((tries + 1)); [ "$tries" -lt 200 ] || { cat serve.err; return 1; }; sleep 0.05; done
  kill -TERM "$wrapper"
  wait "$wrapper" || code=$?
  [ "$code" -eq 0 ] || { echo "exit $code after SIGTERM"; cat serve.err; return 1; }
  # Without its binary it says what is missing.
  rm -rf node_modules/@qwen-proxy
  if node_modules/.bin/qwen-proxy version 2> missing.err; then return 1; fi
  grep -q '@qwen-proxy/linux-x64 is not installed' missing.err
}

debian_package() {
  command -v dpkg-deb > /dev/null || { echo "dpkg is not here"; return 77; }
  [ "$(id -u)" -eq 0 ] || { echo "dpkg needs root"; return 77; }
  [ ! -d /run/systemd/system ] || { echo "this machine runs services; its own are not to be touched"; return 77; }
  if dpkg -s qwen-proxy > /dev/null 2>&1; then echo "a qwen-proxy package is installed here already"; return 77; fi
  local package
  package="$(echo "$release"/qwen-proxy_*_amd64.deb)"
  if command -v lintian > /dev/null; then lintian --allow-root --fail-on error,warning --tag-display-limit 0 "$package"; else echo "lintian is not here"; fi
  trap 'dpkg --purge qwen-proxy > /dev/null 2>&1' EXIT
  dpkg --install "$package" || { apt-get install --yes --fix-broken --no-install-recommends > /dev/null; dpkg --install "$package"; }
  smoke /usr/bin/qwen-proxy native
  test "$(stat -c '%U:%G %a' /var/lib/qwen-proxy)" = "qwen-proxy:qwen-proxy 700"
  test "$(stat -c '%U:%G %a' /etc/qwen-proxy/environment)" = "root:qwen-proxy 640"
  man -w qwen-proxy > /dev/null 2>&1 || test -e /usr/share/man/man1/qwen-proxy.1.gz || { echo "no man page"; return 1; }
  # The service's own user can run it with the service's own files.
  su -s /bin/sh -c 'QWEN_PROXY_CONFIG=/etc/qwen-proxy/config.json QWEN_PROXY_DATA=/var/lib/qwen-proxy QWEN_HOME=/var/lib/qwen-proxy/qwen qwen-proxy config' qwen-proxy > config.out
  grep -q 8143 config.out
  # An upgrade keeps what the administrator wrote and what the service remembers; a purge takes both.
  echo 'DASHSCOPE_API_KEY=kept' >> /etc/qwen-proxy/environment
  touch /var/lib/qwen-proxy/ledger.db
  dpkg --install --force-confold "$package" > /dev/null
  grep -q 'DASHSCOPE_API_KEY=kept' /etc/qwen-proxy/environment
  test -e /var/lib/qwen-proxy/ledger.db
  dpkg --remove qwen-proxy > /dev/null
  test -e /var/lib/qwen-proxy/ledger.db
  test -e /etc/qwen-proxy/environment
  dpkg --purge qwen-proxy > /dev/null
  test ! -e /var/lib/qwen-proxy
  test ! -e /etc/qwen-proxy
}

systemd_unit() {
  command -v systemd-analyze > /dev/null || { echo "systemd-analyze is not here"; return 77; }
  mkdir -p tree/usr/bin && ln -s /bin/true tree/usr/bin/qwen-proxy
  systemd-analyze security --offline=true --threshold=20 "$root/packaging/systemd/qwen-proxy.service" | tail -n 1
  sed "s#/usr/bin/qwen-proxy#/bin/true#" "$root/packaging/systemd/qwen-proxy.service" > qwen-proxy.service
  systemd-analyze verify --man=no ./qwen-proxy.service
}

archive_bytes() {
  # Times and owners come from the commit alone: one moment, nobody's files.
  tar -tvzf "$release/qwen-proxy-$version-linux-x64.tar.gz" --numeric-owner --full-time > listing
  test "$(awk '{print $2, $4, $5}' listing | sort -u | wc -l)" -eq 1
  test "$(awk '{print $2; exit}' listing)" = 0/0
  (cd "$release" && sha256sum --check --quiet SHA256SUMS)
  for needed in qwen-proxy LICENSE README.md qwen-proxy.1 completions/qwen-proxy.bash; do grep -q "/$needed\$" listing; done
  if grep -qE '\.(dbg|pdb|json)$' listing; then return 1; fi
}

run "archive and sums" archive_bytes
run "install.sh" install_script
run "install.sh on other machines" install_script_elsewhere
run "dotnet tool install" dotnet_tool
run "npm install" npm_packages
run "Debian package" debian_package
run "systemd unit" systemd_unit
echo "Install: $passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
