#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Builds the Prometheus that the tests run from its Go module, and prints its path: Debian's is older than its OTLP receiver. The version stands
# here alone; Go checks the module's and its dependencies' sums. It is built without service discovery (remove_all_sd), which would
# bring the libraries of two dozen clouds. The binary appears in the cache by one rename, so that it is always whole. Calls may run side by side.
#
#   MILLRACE_CACHE   where to keep it (default: ${XDG_CACHE_HOME:-$HOME/.cache}/millrace)
#
# Exit status 3 says that no Prometheus can be had on this machine: then tests that need one are skipped.
set -eu

version=v0.316.0 # Prometheus 3.16.0

. "${0%"${0##*/}"}./cache.sh" # beside this one

find_cache "Prometheus (60 MB)"
dir=$cache/prometheus-$version
prometheus=$dir/prometheus

if [ -f "$prometheus" ]; then
	printf '%s\n' "$prometheus"
	exit 0
fi
command -v go >/dev/null 2>&1 || lack "go is missing: install Go 1.26, which builds Prometheus once"

mkdir -p "$cache" || fail "cannot create $cache: set MILLRACE_CACHE to a writable directory"
tmp=$(mktemp -d "$cache/.prometheus.XXXXXX") || fail "cannot write to $cache: set MILLRACE_CACHE to a writable directory"
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say "building Prometheus $version into $cache: once, five minutes of a processor"
mkdir "$tmp/bin"
if ! (cd "$tmp" && GOBIN=$tmp/bin GOOS='' GOARCH='' GOFLAGS='' GOWORK=off CGO_ENABLED=0 \
	go install -tags=remove_all_sd -ldflags='-s -w' "github.com/prometheus/prometheus/cmd/prometheus@$version") >"$tmp/log" 2>&1; then
	grep -v '^go: downloading' "$tmp/log" | tail -n 20 | sed 's/^/  /' >&2
	lack "go could not build Prometheus $version: is there a network, and does the Go module proxy carry it?"
fi
[ -x "$tmp/bin/prometheus" ] || fail "go left no prometheus in $tmp/bin"
sync
mv -T "$tmp/bin" "$dir" 2>/dev/null || [ -f "$prometheus" ] || fail "cannot move Prometheus to $dir"
printf '%s\n' "$prometheus"
