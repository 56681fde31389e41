#!/usr/bin/env bash
# Builds what the benchmarks compare and runs them; all arguments go to testbed/cmd/bench (see its -h).
set -euo pipefail
cd "$(dirname "$0")/.."
echo "Building bin/millrace, bin/peers and bin/bench" >&2
make --no-print-directory build engine
CGO_ENABLED=0 go build -modfile=peers.mod -tags peers -o bin/peers ./testbed/cmd/peers
CGO_ENABLED=0 go build -o bin/bench ./testbed/cmd/bench
exec bin/bench "$@"
