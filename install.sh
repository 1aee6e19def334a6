#!/bin/sh
# Installs qwen-proxy for this user, without root: into ~/.local/bin, with its man page and completions.
#
#   sh install.sh                          the newest release
#   sh install.sh --version 1.2.3          that one
#   sh install.sh --from DIR               from a folder with the archives and SHA256SUMS, without a network
#   sh install.sh --prefix DIR             into DIR/bin instead of ~/.local/bin
#   sh install.sh --uninstall              takes away what it installed; settings, credentials and the ledger stay
#
# Every archive is checked against SHA256SUMS before it is unpacked.
set -eu
umask 022

releases="${QWEN_PROXY_RELEASES:-https://github.com/qwen-proxy/qwen-proxy/releases}"
prefix="${QWEN_PROXY_PREFIX:-$HOME/.local}"
version=""
from=""
uninstall=""

die() { printf 'install.sh: %s\n' "$1" >&2; exit "${2:-1}"; }

while [ $# -gt 0 ]; do
  case "$1" in
    --version | --from | --prefix)
      [ $# -ge 2 ] || die "$1 needs a value." 64
      case "$1" in --version) version="${2#v}" ;; --from) from="$2" ;; --prefix) prefix="$2" ;; esac
      shift 2 ;;
    --uninstall) uninstall=yes; shift ;;
    -h | --help) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) die "unknown option $1; see sh install.sh --help" 64 ;;
  esac
done

home="$prefix/lib/qwen-proxy"
man="$prefix/share/man/man1/qwen-proxy.1"
bash_completion="$prefix/share/bash-completion/completions/qwen-proxy"
fish_completion="$prefix/share/fish/vendor_completions.d/qwen-proxy.fish"
zsh_completion="$prefix/share/zsh/site-functions/_qwen-proxy"

if [ -n "$uninstall" ]; then
  [ -e "$home" ] || [ -L "$prefix/bin/qwen-proxy" ] || die "qwen-proxy is not installed in $prefix." 2
  # Only a link of ours is taken away: another qwen-proxy in the same place is somebody else's.
  case "$(readlink "$prefix/bin/qwen-proxy" 2>/dev/null || true)" in "$home/qwen-proxy") rm -f "$prefix/bin/qwen-proxy" ;; esac
  rm -rf "$home"
  rm -f "$man" "$bash_completion" "$fish_completion" "$zsh_completion"
  echo "qwen-proxy is uninstalled from $prefix. Settings (~/.config/qwen-proxy), credentials (~/.qwen) and the ledger (~/.local/share/qwen-proxy) are still there."
  exit 0
fi

case "$(uname -s)" in
  Linux) if ldd --version 2>&1 | grep -qi musl; then system=linux-musl; else system=linux; fi ;;
  Darwin) system=osx ;;
  *) die "no build for $(uname -s). On Windows take the .zip of the release; elsewhere: dotnet tool install QwenProxy" ;;
esac
case "$(uname -m)" in
  x86_64 | amd64) platform="$system-x64" ;;
  aarch64 | arm64) platform="$system-arm64" ;;
  *) die "no build for a $(uname -m) processor. With the .NET runtime: dotnet tool install QwenProxy" ;;
esac

work="$(mktemp -d)"
staged=""
trap 'rm -rf "$work" ${staged:+"$staged"}' EXIT
trap 'exit 129' HUP; trap 'exit 130' INT; trap 'exit 143' TERM

fetch() { # NAME: into $work
  if [ -n "$from" ]; then
    cp "$from/$1" "$work/$1" 2>/dev/null || die "$from has no $1." 2
  elif command -v curl > /dev/null; then
    curl -fsSL --proto '=https' --retry 3 -o "$work/$1" "$base/$1" || die "could not fetch $base/$1. Is the network there, and does that version exist?"
  elif command -v wget > /dev/null; then
    wget -q -O "$work/$1" "$base/$1" || die "could not fetch $base/$1. Is the network there, and does that version exist?"
  else
    die "neither curl nor wget is here; install one, or fetch the archive and use --from."
  fi
}

if [ -n "$version" ]; then base="$releases/download/v$version"; else base="$releases/latest/download"; fi
fetch SHA256SUMS
archive="$(sed -n "s/^[0-9a-f]\{64\}  \(qwen-proxy-[0-9][^ ]*-$platform\.tar\.gz\)\$/\1/p" "$work/SHA256SUMS" \
  | { if [ -n "$version" ]; then grep -F -- "qwen-proxy-$version-$platform." || true; else cat; fi; } | tail -n 1)"
[ -n "$archive" ] || die "that release has no build for $platform. With the .NET runtime: dotnet tool install QwenProxy" 2
fetch "$archive"

wanted="$(sed -n "s/^\([0-9a-f]\{64\}\)  $archive\$/\1/p" "$work/SHA256SUMS")"
if command -v sha256sum > /dev/null; then found="$(sha256sum "$work/$archive")"; else found="$(shasum -a 256 "$work/$archive")"; fi
[ "$wanted" = "${found%% *}" ] || die "the sum of $archive is ${found%% *}, but SHA256SUMS says $wanted. Nothing was installed; fetch it again."

mkdir -p "$prefix/bin" "$prefix/lib"
if [ -e "$prefix/bin/qwen-proxy" ] && [ "$(readlink "$prefix/bin/qwen-proxy" 2>/dev/null || true)" != "$home/qwen-proxy" ]; then
  die "$prefix/bin/qwen-proxy is there and was not installed by this script; move it away, or choose --prefix."
fi

# Unpacked beside the old one and moved into its place: a stop half way leaves the old one, whole.
staged="$(mktemp -d "$prefix/lib/.qwen-proxy.XXXXXX")"
tar -xzf "$work/$archive" -C "$staged" --strip-components 1 || die "could not unpack $archive."
chmod 755 "$staged"
"$staged/qwen-proxy" version > "$work/version" 2> "$work/refused" || die "the binary does not run here: $(head -n 1 "$work/refused")"
rm -rf "$home.old"
if [ -e "$home" ]; then mv "$home" "$home.old"; fi
mv "$staged" "$home"
staged=""
rm -rf "$home.old"
ln -sfn "$home/qwen-proxy" "$prefix/bin/qwen-proxy"

place() { if [ -f "$home/$1" ]; then mkdir -p "$(dirname "$2")"; cp "$home/$1" "$2"; fi; }
place qwen-proxy.1 "$man"
place completions/qwen-proxy.bash "$bash_completion"
place completions/qwen-proxy.fish "$fish_completion"
place completions/qwen-proxy.zsh "$zsh_completion"

echo "Installed $(head -n 1 "$work/version") as $prefix/bin/qwen-proxy"
# shellcheck disable=SC2016 # $PATH is for the reader to type.
case ":$PATH:" in
  *":$prefix/bin:"*) echo "Try it: qwen-proxy demo" ;;
  *) printf 'Put it on your PATH:\n  export PATH="%s/bin:$PATH"\nthen try it: qwen-proxy demo\n' "$prefix" ;;
esac
