#!/usr/bin/env bash
# Builds this commit again in another folder and compares: same commit, same bytes. To be run after build/release.sh linux-x64 of the same commit.
#   build/reproduce.sh             the assemblies, from which every form is made; the last line: "Reproduce: N passed, N failed, N skipped"
#   build/reproduce.sh DIR         all that was released for linux-x64 in DIR, which takes as long as the release did
set -euo pipefail
cd "$(dirname "$0")/.."
export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1
release=""
if [ $# -gt 0 ]; then release="$(cd "$1" && pwd)"; fi
here="$PWD"
git diff --quiet HEAD || { echo "build/reproduce.sh: there are changes that are in no commit; only a commit can be built again." >&2; exit 2; }
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
git clone --quiet --no-local "$here" "$work/again"
cd "$work/again"

if [ -n "$release" ]; then
  build/release.sh --output "$work/release" linux-x64
  diff <(cd "$release" && grep -v 'SHA256SUMS' SHA256SUMS) <(cat "$work/release/SHA256SUMS") || { echo "build/reproduce.sh: two builds of one commit differ." >&2; exit 1; }
  echo "$(wc -l < "$work/release/SHA256SUMS") files are the same to the byte."
  exit 0
fi

dotnet build src/QwenProxy -c Release -r linux-x64 "-p:Version=$(build/version.sh)" "-p:SourceRevisionId=$(git rev-parse HEAD)" \
  "-p:ArtifactsPath=$PWD/artifacts/shipped" -p:ContinuousIntegrationBuild=true -p:RunAnalyzers=false > "$work/log" 2>&1 || { tail -n 5 "$work/log" >&2; exit 1; }
same=0 different=0
for project in QwenProxy QwenProxy.Core QwenProxy.Wire QwenProxy.Simulator; do
  name="$project.dll"
  folder="artifacts/shipped/obj/$project/release"
  if [ "$project" = QwenProxy ]; then name=qwen-proxy.dll folder="${folder}_linux-x64"; fi
  if cmp "$here/$folder/$name" "$folder/$name"; then same=$((same + 1)); else different=$((different + 1)); fi
done
echo "Reproduce: $same passed, $different failed, 0 skipped"
[ "$different" -eq 0 ]
