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

form=native
why=""
if ! publish; then
  why="$(reason)"
  rm -rf "${folder:?}"/*
  form=single
  publish -p:PublishAot=false --self-contained -p:PublishSingleFile=true -p:IncludeNativeLibrariesForSelfExtract=true || { reason >&2; exit 1; }
fi
find "$folder" -type f \( -name '*.dbg' -o -name '*.pdb' -o -name '*.json' -o -name '*.dSYM' \) -delete
chmod 755 "$folder"/qwen-proxy*
echo "$form${why:+ ($why)}"
