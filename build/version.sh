#!/bin/sh
# Prints the version of this checkout. A tag v1.2.3 on the commit is version 1.2.3. Anything else is a development version of the number
# in Directory.Build.props, with the commit: 1.3.0-dev.g1a2b3c4.
set -eu
cd "$(dirname "$0")/.."
if tag="$(git describe --tags --exact-match --match 'v[0-9]*' 2>/dev/null)"; then
  echo "${tag#v}"
else
  number="$(sed -nE 's/.*<VersionPrefix>([^<]*)<.*/\1/p' Directory.Build.props)"
  echo "$number-dev.g$(git rev-parse --short=8 HEAD)"
fi
