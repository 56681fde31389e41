#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Fetches the ClickHouse engine (libchdb.so) that the clickhouse_engine extension runs, and prints its path.
# The package is pinned, its SHA-512 is checked here, and the library appears in the cache by one rename, so
# that a cached path is always a whole and checked library. Calls may run side by side.
#
#   MILLRACE_CACHE   where to keep it (default: ${XDG_CACHE_HOME:-$HOME/.cache}/millrace)
#
# The version and the checksum stand here alone, except that internal/clickhouseengine/library.go repeats the
# version to find the cache (a test compares them).
set -eu

version=26.7.3-stable.1

. "${0%"${0##*/}"}./cache.sh" # beside this one

case "$(uname -s)/$(uname -m)" in
Linux/x86_64 | Linux/amd64)
	package=@chdb/lib-linux-x64-gnu
	sha512=XP97mMqnc5tZpKQywR8N7cLTsHNiTmHr30pC5mzo3jWmukjKn2IBa60c2B/gWUNcuFjOMjWoorQICCqBVj5wpw==
	;;
*)
	fail "there is no pinned ClickHouse engine for $(uname -s)/$(uname -m): this machine can send to a ClickHouse server elsewhere (exporter clickhouse_events), but not run one of its own"
	;;
esac

find_cache "the engine (600 MB)"
dir=$cache/clickhouse-$version
library=$dir/libchdb.so

if [ -f "$library" ]; then
	printf '%s\n' "$library"
	exit 0
fi

# A musl loader cannot map the library; say so before fetching 178 MB.
[ -e /lib64/ld-linux-x86-64.so.2 ] || fail "the ClickHouse engine needs glibc (its loader /lib64/ld-linux-x86-64.so.2 is missing; Alpine and other musl systems lack it)"
command -v npm >/dev/null 2>&1 || fail "npm is missing: install Node.js with npm (Debian: apt-get install npm), then run this again"
command -v tar >/dev/null 2>&1 || fail "tar is missing: install it, then run this again"
if command -v openssl >/dev/null 2>&1; then
	digest() { openssl dgst -sha512 -binary "$1" | openssl base64 -A; }
elif command -v node >/dev/null 2>&1; then
	digest() {
		node -e '
			const hash = require("crypto").createHash("sha512");
			require("fs").createReadStream(process.argv[1]).on("data", d => hash.update(d))
				.on("end", () => process.stdout.write(hash.digest("base64")))' "$1"
	}
else
	fail "neither openssl nor node is there to check the package's SHA-512: install one, then run this again"
fi

mkdir -p "$dir" || fail "cannot create $dir: set MILLRACE_CACHE to a writable directory"

# One fetch at a time where flock exists. Where it does not, two calls fetch twice; the renames agree.
if command -v flock >/dev/null 2>&1; then
	exec 9>"$dir/.lock"
	if ! flock -n 9; then
		[ -t 2 ] && printf 'engine.sh: another call is fetching the engine, waiting for it\n' >&2
		flock 9
	fi
	if [ -f "$library" ]; then
		printf '%s\n' "$library"
		exit 0
	fi
	rm -rf "$dir"/.fetch.* # of a call that was killed: whoever lives holds the lock
fi

tmp=$(mktemp -d "$dir/.fetch.XXXXXX") || fail "cannot write to $dir: set MILLRACE_CACHE to a writable directory"
watcher=
cleanup() {
	[ -z "$watcher" ] || kill "$watcher" 2>/dev/null || :
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say() { printf 'engine.sh: %s\n' "$*" >&2; }

say "fetching $package $version (178 MB, once) into $dir"
terminal=
[ -t 2 ] && terminal=1
if [ -n "$terminal" ]; then
	# npm shows no bytes: what grows is its own cache and then the package, so only the time is told.
	(
		s=0
		while sleep 1; do
			s=$((s + 1))
			printf '\rengine.sh: fetching, %d s ' "$s" >&2
		done
	) 9>&- &
	watcher=$!
fi
# npm's own log goes to a file: it is shown only when the fetch fails.
if ! (cd "$tmp" && npm pack --loglevel=error --ignore-scripts "$package@$version" >npm.out 2>npm.err 9>&-); then
	[ -n "$terminal" ] && printf '\n' >&2
	sed 's/^/  /' "$tmp/npm.err" >&2
	fail "npm could not fetch $package@$version: is there a network, and does npm's registry carry it? (npm view $package@$version)"
fi
if [ -n "$watcher" ]; then
	kill "$watcher" 2>/dev/null || :
	watcher=
	printf '\n' >&2
fi
tarball=$(find "$tmp" -maxdepth 1 -name '*.tgz')
[ -f "$tarball" ] || fail "npm pack of $package@$version left no single package file"

say "checking and unpacking"
got=$(digest "$tarball")
[ "$got" = "$sha512" ] || fail "the SHA-512 of $package@$version is $got, not the pinned $sha512: nothing was kept; do not use what this registry serves before the difference is explained"

tar -xzf "$tarball" -C "$tmp" package/libchdb.so || fail "cannot unpack libchdb.so into $dir (it needs 570 MB): $(df -Pk "$dir" | awk 'NR==2 {print $4}') kB are free there"
chmod 755 "$tmp/package/libchdb.so"
# What is renamed must be whole after a power loss too: the cached file is never checked again.
sync "$tmp/package/libchdb.so" 2>/dev/null || sync
mv -f "$tmp/package/libchdb.so" "$library"
say "the engine is at $library"
printf '%s\n' "$library"
