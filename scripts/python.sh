#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Makes the Python environment in which tests read Parquet files (pyarrow, DuckDB), hold check digits against another's verdict
# (python-stdnum) and make up people (faker), and prints the path of its python.
# The versions and the checksums stand in testbed/python/requirements.txt alone, and pip checks them; the environment
# appears in the cache by one rename, so that it is always whole. Calls may run side by side.
#
#   MILLRACE_CACHE   where to keep it (default: ${XDG_CACHE_HOME:-$HOME/.cache}/millrace)
#
# Exit status 3 says that this machine lacks what that needs: then tests that need it are skipped.
set -eu

. "${0%"${0##*/}"}./cache.sh" # beside this one

requirements=$(cd "$(dirname "$0")/.." && pwd)/testbed/python/requirements.txt
[ -f "$requirements" ] || fail "$requirements is missing"

find_cache "Python's packages (310 MB)"

command -v python3 >/dev/null 2>&1 || lack "python3 is missing: install Python 3.11 or later (Debian: apt-get install python3 python3-venv)"
version=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])') || lack "python3 does not start"

# The environment names the Python that made it, and one of another version is another environment.
environment=$cache/python-$version-$(cksum <"$requirements" | cut -d' ' -f1)
python=$environment/bin/python
if [ -x "$python" ] && "$python" -c '' 2>/dev/null; then
	printf '%s\n' "$python"
	exit 0
fi

python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || lack "python3 is $version, and pyarrow and DuckDB need 3.11 or later"
python3 -c 'import venv, ensurepip' 2>/dev/null || lack "python3 cannot make environments: install its venv module (Debian: apt-get install python3-venv)"

mkdir -p "$cache" || fail "cannot create $cache: set MILLRACE_CACHE to a writable directory"
tmp=$(mktemp -d "$cache/.python.XXXXXX") || fail "cannot write to $cache: set MILLRACE_CACHE to a writable directory"
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say "fetching pyarrow, DuckDB, python-stdnum and faker (75 MB, once) into $cache"
# pip's own log goes to a file: it is shown only when the fetch fails. Python itself needs no absolute paths within the
# environment, so that it can be renamed; pip's scripts would, and nobody calls them.
if ! { python3 -m venv "$tmp/environment" && "$tmp/environment/bin/python" -m pip --disable-pip-version-check install --require-hashes \
	--only-binary :all: --no-deps -r "$requirements"; } >"$tmp/log" 2>&1; then
	sed 's/^/  /' "$tmp/log" >&2
	if grep -q 'DO NOT MATCH THE HASHES' "$tmp/log"; then
		fail "a package is not the pinned one: nothing was kept; do not use what this index serves before the difference is explained"
	fi
	lack "pip could not fetch what $requirements names: is there a network, does the index carry it, and for this machine?"
fi
"$tmp/environment/bin/python" -c 'import duckdb, faker, pyarrow.parquet, stdnum' 2>"$tmp/log" || {
	sed 's/^/  /' "$tmp/log" >&2
	lack "pyarrow, DuckDB, python-stdnum or faker does not start on this machine"
}
sync
# One that does not start is of a Python that is gone. One that does is of another call, which was first.
if [ -d "$environment" ] && ! "$python" -c '' 2>/dev/null; then
	mv -T "$environment" "$tmp/old" 2>/dev/null || :
fi
mv -T "$tmp/environment" "$environment" 2>/dev/null || [ -x "$python" ] || fail "cannot move the environment to $environment"
printf '%s\n' "$python"
