#!/usr/bin/env bash
# Packs the npm packages: one small package that everybody installs, and one per platform that holds the binary, which npm picks by os, cpu and libc.
#   packaging/npm/pack.sh VERSION WORK OUTPUT PLATFORM ...        WORK/PLATFORM/qwen-proxy-VERSION-PLATFORM holds what was built
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
root="$(cd "$here/../.." && pwd)"
version="$1" work="$2" output="$3"
shift 3
tree="$(mktemp -d)"
trap 'rm -rf "$tree"' EXIT

# PLATFORM: NAME OS CPU LIBC, in npm's words.
words() {
  case "$1" in
    linux-x64) echo linux-x64 linux x64 glibc ;;
    linux-arm64) echo linux-arm64 linux arm64 glibc ;;
    linux-musl-x64) echo linux-musl-x64 linux x64 musl ;;
    osx-arm64) echo darwin-arm64 darwin arm64 "" ;;
    osx-x64) echo darwin-x64 darwin x64 "" ;;
    win-x64) echo win32-x64 win32 x64 "" ;;
    *) echo "no npm package for $1" >&2; return 64 ;;
  esac
}

pack() { (cd "$1" && find . -exec touch -h -d "@${SOURCE_DATE_EPOCH:-0}" {} + && npm pack --silent --pack-destination "$output" > /dev/null); }

common="\"version\": \"$version\", \"license\": \"MIT\", \"homepage\": \"https://github.com/qwen-proxy/qwen-proxy\",
  \"repository\": { \"type\": \"git\", \"url\": \"git+https://github.com/qwen-proxy/qwen-proxy.git\" }"
optional=""
for platform in "$@"; do
  read -r name os cpu libc < <(words "$platform")
  folder="$tree/$name"
  mkdir -p "$folder"
  find "$work/$platform/qwen-proxy-$version-$platform" -maxdepth 1 -type f \( -name 'qwen-proxy' -o -name '*.exe' -o -name '*e_sqlite3*' -o -name LICENSE \) -exec cp {} "$folder/" \;
  {
    printf '{\n  "name": "@qwen-proxy/%s", %s,\n  "description": "The %s binary of qwen-proxy",\n' "$name" "$common" "$name"
    printf '  "os": ["%s"], "cpu": ["%s"]%s,\n  "preferUnplugged": true\n}\n' "$os" "$cpu" "${libc:+, \"libc\": [\"$libc\"]}"
  } > "$folder/package.json"
  pack "$folder"
  optional="$optional${optional:+,}
    \"@qwen-proxy/$name\": \"$version\""
done

mkdir -p "$tree/qwen-proxy/bin"
install -m 755 "$here/qwen-proxy.js" "$tree/qwen-proxy/bin/qwen-proxy.js"
cp "$root/README.md" "$root/LICENSE" "$tree/qwen-proxy/"
cat > "$tree/qwen-proxy/package.json" <<END
{
  "name": "qwen-proxy", $common,
  "description": "Stands between coding agents and the services that serve Qwen models: signs in, repairs streams, fails over",
  "bin": { "qwen-proxy": "bin/qwen-proxy.js" },
  "engines": { "node": ">=18" },
  "optionalDependencies": {$optional
  }
}
END
pack "$tree/qwen-proxy"
