#!/usr/bin/env bash
# Runs every fuzz target of the repo, one after the other, each for the given time.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-30s}
grep -rl --include='*_test.go' '^func Fuzz' . | sort | while read -r file; do
  package=./$(dirname "${file#./}")
  grep -oE '^func Fuzz[A-Za-z0-9_]+' "$file" | awk '{print $2}' | while read -r target; do
    printf '%-60s ' "$package $target"
    if out=$(go test "$package" -run '^$' -fuzz "^$target\$" -fuzztime "$time" 2>&1); then
      grep -oE 'execs: [0-9]+' <<<"$out" | tail -1 || echo 'only the corpus: give it more time'
    else
      printf 'FAIL\n%s\n' "$out"
      exit 1
    fi
  done
done
