#!/usr/bin/env bash
# Tidies go.mod and peers.mod. `go mod tidy` reads files with any build tag, and testbed/cmd/peers needs modules
# that go.mod must not have; so go.mod is tidied in a copy without it, and peers.mod then takes go.mod's versions.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' f; do
  [ ! -e "$f" ] || printf '%s\0' "$f" # a file that was deleted and not yet committed is still listed
done | tar --null -cf - -T - | tar -xf - -C "$copy"
cd "$copy"

mv testbed/cmd/peers "$copy/.peers"
go mod tidy
mv "$copy/.peers" testbed/cmd/peers

# The versions of go.mod in the place of peers.mod's own, one by one: both then resolve alike.
edits=()
while read -r module version; do
  edits+=("-require=$module@$version")
done < <(go mod edit -json | awk -F'"' '/"Path":/ {p=$4} /"Version":/ {print p, $4}')
go mod edit "${edits[@]}" peers.mod
go mod tidy -modfile=peers.mod

cp go.mod go.sum peers.mod peers.sum "$root"
cd "$root"
git --no-pager diff --stat -- go.mod go.sum peers.mod peers.sum
