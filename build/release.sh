#!/usr/bin/env bash
# Builds everything that is released, as far as this machine can: archives per platform, the .deb, the dotnet tool, the npm packages, the SBOM, the man
# page, the sums. What it cannot build is named at the end with the reason; that is no failure, unless the platform was named on the command line.
#
#   build/release.sh [--output DIR] [--built DIR] [PLATFORM ...]   PLATFORM: linux-x64, linux-arm64, linux-musl-x64, osx-arm64, osx-x64, win-x64
#
# --built DIR takes what build/publish.sh built elsewhere, in DIR/built-PLATFORM, instead of building here.
# What it packs does not depend on the moment or the machine: times come from the commit, owners are 0, names are sorted.
set -euo pipefail
cd "$(dirname "$0")/.."
export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 LC_ALL=C TZ=UTC
umask 022

all=(linux-x64 linux-arm64 linux-musl-x64 osx-arm64 osx-x64 win-x64)
output="$PWD/artifacts/release"
asked=()
prebuilt=""
while [ $# -gt 0 ]; do
  case "$1" in
    --output) output="$(mkdir -p "$2" && cd "$2" && pwd)"; shift 2 ;;
    --built) prebuilt="$(cd "$2" && pwd)"; shift 2 ;;
    --help) sed -nE '2,10s/^# ?//p' "$0"; exit 0 ;;
    -*) echo "build/release.sh: unknown option $1" >&2; exit 64 ;;
    *) case " ${all[*]} " in *" $1 "*) asked+=("$1") ;; *) echo "build/release.sh: unknown platform $1; known: ${all[*]}" >&2; exit 64 ;; esac; shift ;;
  esac
done
platforms=("${asked[@]:-${all[@]}}")

version="$(build/version.sh)"
SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)"
export SOURCE_DATE_EPOCH
stamp="@$SOURCE_DATE_EPOCH"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
mkdir -p "$output"
artifacts="-p:ArtifactsPath=$PWD/artifacts/shipped"
common=(-c Release "$artifacts" "-p:Version=$version" "-p:SourceRevisionId=$(git rev-parse HEAD)" -p:ContinuousIntegrationBuild=true -p:RunAnalyzers=false)
could_not=()

say() { printf '%s\n' "$*" >&2; }

archive() { # PLATFORM: packs $work/PLATFORM/NAME
  local name="qwen-proxy-$version-$1"
  find "$work/$1" -exec touch -h -d "$stamp" {} +
  if [ "${1%%-*}" = win ]; then
    (cd "$work/$1" && find "$name" -type f | sort | zip -X -q -D "$output/$name.zip" -@)
  else
    tar --sort=name --mtime="$stamp" --owner=0 --group=0 --numeric-owner -C "$work/$1" -cf - "$name" | gzip -9 -n > "$output/$name.tar.gz"
  fi
}

# The pages and completions come from the program itself; the first platform that runs here writes them.
documents() {
  mkdir -p "$work/documents/completions"
  "$1" man > "$work/documents/qwen-proxy.1"
  for shell in bash zsh fish pwsh; do "$1" completion "$shell" > "$work/documents/completions/qwen-proxy.$shell"; done
}

built=()
linked=()
for platform in "${platforms[@]}"; do
  folder="$work/$platform/qwen-proxy-$version-$platform"
  rm -f "$output/qwen-proxy-$version-$platform".*
  mkdir -p "$folder"
  if [ -n "$prebuilt" ]; then
    form=built
    cp -r "$prebuilt/built-$platform/." "$folder/"
    chmod 755 "$folder"/qwen-proxy*
  elif form="$(build/publish.sh "$platform" "$folder" 2> "$work/why")"; then
    case "$form" in single*) could_not+=("$platform as a native binary ${form#single }: built self-contained instead") ;; esac
  else
    could_not+=("$platform ($(tail -n 1 "$work/why"))")
    rm -rf "${work:?}/$platform"
    continue
  fi
  if [ ! -d "$work/documents" ] && "$folder/qwen-proxy" version > "$work/version" 2>/dev/null; then documents "$folder/qwen-proxy"; fi
  cp LICENSE README.md docs/third-party-notices.md "$folder/"
  if [ -d "$work/documents" ]; then cp -r "$work/documents/." "$folder/"; fi
  archive "$platform"
  built+=("$platform")
  case "$form" in single*) ;; *) linked+=("$platform") ;; esac
  say "$platform: ${form%% *}, $(du -b "$folder"/qwen-proxy* | sort -n | awk '{s=$1} END {printf "%.1f MB", s / 1e6}')"
done

[ -d "$work/documents" ] || could_not+=("man page and completions: they come from the program, and none that was built runs here")
# A service without a home has no place where a single file could unpack SQLite's library.
for platform in "${linked[@]}"; do
  case "$platform" in
    linux-x64 | linux-arm64) packaging/deb/build.sh "$version" "$platform" "$work/$platform/qwen-proxy-$version-$platform" "$output" ;;
  esac
done
packaging/npm/pack.sh "$version" "$work" "$output" "${built[@]}"
# Restored without the release's number, which would be written into the lock files.
dotnet restore src/QwenProxy "$artifacts" > "$work/pack.log" 2>&1 || { tail -n 5 "$work/pack.log" >&2; exit 1; }
dotnet pack src/QwenProxy --no-restore "${common[@]}" -o "$output" > "$work/pack.log" 2>&1 || { tail -n 5 "$work/pack.log" >&2; exit 1; }
dotnet tool restore > "$work/tools.log" 2>&1 || { cat "$work/tools.log" >&2; exit 1; }
dotnet CycloneDX src/QwenProxy/QwenProxy.csproj --recursive --exclude-dev --disable-package-restore --output "$output" --filename "qwen-proxy-$version.cdx.json" --output-format Json \
  --no-serial-number --set-name qwen-proxy --set-version "$version" --base-intermediate-output-path "$PWD/artifacts/shipped" > "$work/sbom.log" 2>&1 || { cat "$work/sbom.log" >&2; exit 1; }
grep -q '"purl": "pkg:nuget/' "$output/qwen-proxy-$version.cdx.json" || { echo "build/release.sh: the SBOM names no package" >&2; exit 1; }
# The one thing in it that would differ from build to build.
sed -i -E "s/(\"timestamp\": *)\"[^\"]*\"/\1\"$(date -u -d "$stamp" +%Y-%m-%dT%H:%M:%SZ)\"/" "$output/qwen-proxy-$version.cdx.json"
cp install.sh "$output/install.sh"
build/notes.sh "$version" > "$output/RELEASE_NOTES.md"
(cd "$output" && find . -maxdepth 1 -type f ! -name SHA256SUMS -printf '%f\n' | sort | xargs sha256sum > "$work/sums" && mv "$work/sums" SHA256SUMS)

say "version $version in $output"
if [ ${#could_not[@]} -gt 0 ]; then
  say "Not built on this machine:"
  printf '  %s\n' "${could_not[@]}" >&2
fi
for platform in "${asked[@]}"; do
  case " ${built[*]} " in *" $platform "*) ;; *) exit 1 ;; esac
done
[ ${#built[@]} -gt 0 ]
