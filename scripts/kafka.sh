#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Fetches the jars of the Apache Kafka that the tests run, and prints the folder that they are in. The versions stand in
# testbed/kafka/pom.xml alone. Maven checks the jars' checksums; the folder appears in the cache by one rename, so that
# it is always whole. Calls may run side by side.
#
#   MILLRACE_CACHE   where to keep it (default: ${XDG_CACHE_HOME:-$HOME/.cache}/millrace)
#
# Exit status 3 says that this machine lacks what a Kafka needs: then tests that need one are skipped.
set -eu

. "${0%"${0##*/}"}./cache.sh" # beside this one

pom=$(cd "$(dirname "$0")/.." && pwd)/testbed/kafka/pom.xml
version=$(sed -n '/<artifactId>kafka_/,/<\/version>/s/.*<version>\(.*\)<\/version>.*/\1/p' "$pom")
[ -n "$version" ] || fail "$pom names no version of Kafka"

find_cache "Kafka (50 MB)"
jars=$cache/kafka-$version-$(cksum <"$pom" | cut -d' ' -f1)

command -v java >/dev/null 2>&1 || lack "java is missing: install a JDK or JRE of version 17 or later (Debian: apt-get install default-jre-headless)"
major=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)
[ "${major:-0}" -ge 17 ] || lack "Kafka $version needs Java 17 or later, and this is ${major:-unknown}"

if [ -d "$jars" ]; then
	printf '%s\n' "$jars"
	exit 0
fi
command -v mvn >/dev/null 2>&1 || lack "mvn is missing: install Apache Maven (Debian: apt-get install maven), which fetches Kafka once"

mkdir -p "$cache" || fail "cannot create $cache: set MILLRACE_CACHE to a writable directory"
tmp=$(mktemp -d "$cache/.kafka.XXXXXX") || fail "cannot write to $cache: set MILLRACE_CACHE to a writable directory"
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say "fetching Kafka $version (50 MB, once) into $cache"
# Maven's own log goes to a file: it is shown only when the fetch fails.
if ! mvn -B -q --strict-checksums -f "$pom" dependency:copy-dependencies -DincludeScope=runtime \
	-DoutputDirectory="$tmp/jars" >"$tmp/log" 2>&1; then
	sed 's/^/  /' "$tmp/log" >&2
	fail "Maven could not fetch Kafka $version: is there a network, and does Maven's repository carry it?"
fi
[ -n "$(find "$tmp/jars" -name 'kafka_*.jar')" ] || fail "Maven left no kafka jar in $tmp/jars"
sync
mv -T "$tmp/jars" "$jars" 2>/dev/null || [ -d "$jars" ] || fail "cannot move the jars to $jars"
printf '%s\n' "$jars"
