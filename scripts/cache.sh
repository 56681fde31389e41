# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
#
# What the scripts that fetch things into the cache have in common. They source it.

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
fail() {
	say "$*"
	exit 1
}
lack() {
	say "$*"
	exit 3
}

# find_cache WHAT sets cache, an absolute path. WHAT is kept there, for the error: the engine (600 MB).
find_cache() {
	if [ -n "${MILLRACE_CACHE:-}" ]; then
		cache=$MILLRACE_CACHE
	elif [ -n "${XDG_CACHE_HOME:-}" ]; then
		cache=$XDG_CACHE_HOME/millrace
	elif [ -n "${HOME:-}" ]; then
		cache=$HOME/.cache/millrace
	else
		fail "neither MILLRACE_CACHE nor XDG_CACHE_HOME nor HOME is set: set MILLRACE_CACHE to a directory for $1"
	fi
	case "$cache" in
	/*) ;;
	*) cache=$PWD/$cache ;;
	esac
}
