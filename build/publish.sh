#!/usr/bin/env bash
# Builds the program for one platform: a native binary where this machine can link one, else a self-contained single file.
#   build/publish.sh PLATFORM DIR        PLATFORM: linux-x64, linux-arm64, linux-musl-x64, osx-arm64, osx-x64, win-x64
# Prints the form, `native` or `single`, and why it is not native. Exit 1: neither could be built.
set -euo pipefail
cd "$(dirname "$0")/.."
export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1
platform="$1"
mkdir -p "$2"
folder="$(cd "$2" && pwd)"
log="$(mktemp)"
trap 'rm -f "$log"' EXIT

# Built apart from a developer's build: what that one compiled holds this machine's paths, and would be taken over.
publish() {
  dotnet publish src/QwenProxy -c Release -r "$platform" -o "$folder" "-p:Version=$(build/version.sh)" "-p:SourceRevisionId=$(git rev-parse HEAD)" \
    "-p:ArtifactsPath=$PWD/artifacts/shipped" -p:ContinuousIntegrationBuild=true -p:RunAnalyzers=false "$@" > "$log" 2>&1
}

# The first error of a build, without the paths of this machine.
reason() { { grep -oE 'error( [A-Z]+[0-9]+)? ?: .*' "$log" || tail -n 1 "$log"; } | head -n 1 | sed -E 's/ \[[^]]*\]$//' | cut -c1-200; }

# A native binary is linked on a machine of its own kind: others would compile for minutes, only to learn that there is no linker.
links_here() {
  local libc=""
  if ldd --version 2>&1 | grep -qi musl; then libc=-musl; fi
  case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) [ "$platform" = "linux$libc-x64" ] ;;
    Linux-aarch64) [ "$platform" = "linux$libc-arm64" ] ;;
    Darwin-*) [ "${platform%-*}" = osx ] ;;
    MINGW* | MSYS*) [ "${platform%-*}" = win ] ;;
    *) return 1 ;;
  esac
}

form=native
why=""
if ! links_here; then
  why="it is linked on a machine of its own kind; this is $(uname -s) $(uname -m)"
elif ! publish; then
  why="$(reason)"
  rm -rf "${folder:?}"/*
fi
if [ -n "$why" ]; then
  form=single
  publish -p:PublishAot=false --self-contained -p:PublishSingleFile=true -p:IncludeNativeLibrariesForSelfExtract=true || { reason >&2; exit 1; }
fi
find "$folder" -name '*.dSYM' -prune -exec rm -rf {} +
find "$folder" -type f \( -name '*.dbg' -o -name '*.pdb' -o -name '*.json' \) -delete
chmod 755 "$folder"/qwen-proxy*
echo "$form${why:+ ($why)}"
