#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Builds the MinIO server that the tests run from its Go module, and prints its path. The version stands here alone; Go checks
# the module's and its dependencies' sums. The binary appears in the cache by one rename, so that it is always whole. Calls
# may run side by side. The server is under the AGPL: it is a process of the tests, no part of Millrace and in no go.mod of it.
#
#   MILLRACE_CACHE   where to keep it (default: ${XDG_CACHE_HOME:-$HOME/.cache}/millrace)
#
# Exit status 3 says that no MinIO can be had on this machine: then tests that need one are skipped.
set -eu

version=v0.0.0-20260212201848-7aac2a2c5b7c

. "${0%"${0##*/}"}./cache.sh" # beside this one

find_cache "MinIO (150 MB)"
dir=$cache/minio-$version
minio=$dir/minio

if [ -f "$minio" ]; then
	printf '%s\n' "$minio"
	exit 0
fi
command -v go >/dev/null 2>&1 || lack "go is missing: install Go 1.26, which builds MinIO once"

mkdir -p "$cache" || fail "cannot create $cache: set MILLRACE_CACHE to a writable directory"
tmp=$(mktemp -d "$cache/.minio.XXXXXX") || fail "cannot write to $cache: set MILLRACE_CACHE to a writable directory"
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say "building MinIO $version into $cache: once, some 200 MB of modules and ten minutes of a processor"
# Outside of any module: the versions are those that MinIO's own go.mod names. The log is shown only when the build fails.
mkdir "$tmp/bin"
if ! (cd "$tmp" && GOBIN=$tmp/bin GOOS='' GOARCH='' GOFLAGS='' GOWORK=off CGO_ENABLED=0 \
	go install -ldflags='-s -w' "github.com/minio/minio@$version") >"$tmp/log" 2>&1; then
	grep -v '^go: downloading' "$tmp/log" | tail -n 20 | sed 's/^/  /' >&2
	lack "go could not build MinIO $version: is there a network, and does the Go module proxy carry it?"
fi
[ -x "$tmp/bin/minio" ] || fail "go left no minio in $tmp/bin"
sync
mv -T "$tmp/bin" "$dir" 2>/dev/null || [ -f "$minio" ] || fail "cannot move MinIO to $dir"
printf '%s\n' "$minio"
