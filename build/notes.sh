#!/bin/sh
# Prints the CHANGELOG's section of a version, for a release's notes; a development version gets the section that is still unreleased.
#   build/notes.sh 1.2.3
set -eu
cd "$(dirname "$0")/.."
number="${1%%-*}"
notes="$(awk -v number="$number" '/^## /{on = ($2 == number)} on && !/^## /' CHANGELOG.md)"
[ -n "$(printf %s "$notes" | tr -d '[:space:]')" ] || { echo "CHANGELOG.md has no section for $number." >&2; exit 1; }
printf '%s\n' "$notes" | sed '/./,$!d'
