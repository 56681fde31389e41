# Two commands on a fresh machine with Go, npm and make:
#
#   make demo    build, start the quickstart, send a million events, show what became of them
#   make test    all tests
#
# All that they need they fetch themselves, pinned and checked, into the caches of Go and of the user
# ($MILLRACE_CACHE, else ~/.cache/millrace).

SHELL := bash
.DEFAULT_GOAL := help

CONFIG ?= configs/quickstart.yaml
TOOL   := go tool -modfile=tools.mod
LINT   := go tool -modfile=lint.mod golangci-lint
GO_SOURCES := $(shell find . -name '*.go' -not -path './testbed/*' -not -name '*_test.go') go.mod go.sum

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: build
build: bin/millrace ## Compile bin/millrace

# ocb writes distribution/*.go from builder-config.yaml and compiles them within the root module.
bin/millrace: $(GO_SOURCES) builder-config.yaml tools.mod
	@mkdir -p bin
	@echo "Compiling bin/millrace (the first time takes some minutes)" >&2
	@out=$$($(TOOL) builder --config builder-config.yaml --skip-get-modules 2>&1) || { echo "$$out" >&2; exit 1; }
	@mv distribution/millrace $@
	@touch $@

.PHONY: engine
engine: ## Fetch the ClickHouse engine into the cache
	@scripts/engine.sh >/dev/null

.PHONY: kafka
kafka: ## Fetch the Kafka that tests run, where there is a Java and a Maven; say so where there is not
	@scripts/kafka.sh >/dev/null || [ $$? -eq 3 ]

.PHONY: minio
minio: ## Build the MinIO that tests run (the first time it takes ten minutes of a processor); say so where there is none
	@scripts/minio.sh >/dev/null || [ $$? -eq 3 ]

.PHONY: prometheus
prometheus: ## Build the Prometheus that tests run (the first time it takes five minutes of a processor); say so where there is none
	@scripts/prometheus.sh >/dev/null || [ $$? -eq 3 ]

.PHONY: python
python: ## Fetch the Python packages that tests compare with (pyarrow, DuckDB, python-stdnum, faker), where there is a Python; say so where there is not
	@scripts/python.sh >/dev/null || [ $$? -eq 3 ]

.PHONY: run
run: build engine ## Run the quickstart in the foreground
	@exec bin/millrace --config $(CONFIG)

.PHONY: demo
demo: build engine ## Send a million events through the quickstart and ask for the answers
	@go build -o bin/demo ./testbed/cmd/demo
	@exec bin/demo

.PHONY: chaos
chaos: build engine minio ## Kill and break the collector under load, CHAOS_KILLS=100 times and again for sessions and windows, compare every row, then measure the log (half an hour)
	@go build -o bin/chaos ./testbed/cmd/chaos
	@bin/chaos -write docs/benchmarks/chaos.csv
	@scripts/bench.sh -only log -write docs/benchmarks.md

# The timeout is of each package: one that runs beside others on two slow cores is not stuck.
.PHONY: test
test: build engine kafka minio prometheus python ## Run all tests
	@go test -timeout 18m ./...
	@scripts/kafka.sh >/dev/null 2>&1 || echo "SKIPPED: all tests with a real Kafka; make kafka says what is missing" >&2
	@scripts/minio.sh >/dev/null 2>&1 || echo "SKIPPED: all tests with a real MinIO; make minio says what is missing" >&2
	@scripts/prometheus.sh >/dev/null 2>&1 || echo "SKIPPED: all tests with a real Prometheus; make prometheus says what is missing" >&2
	@scripts/python.sh >/dev/null 2>&1 || echo "SKIPPED: all tests with Python's packages (pyarrow, DuckDB, python-stdnum, faker); make python says what is missing" >&2

.PHONY: race
race: build engine ## Run all tests under the race detector (needs a C compiler)
	@go test -race -timeout 40m ./...

.PHONY: lint
lint: ## Run the linters
	@$(LINT) run ./...
	@go vet -tags peers -modfile=peers.mod ./testbed/cmd/peers

.PHONY: tidy
tidy: ## Tidy go.mod and peers.mod
	@scripts/tidy.sh

.PHONY: generate
generate: ## Write the generated files anew
	@go generate ./...

FUZZTIME ?= 30s
.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME
	@scripts/fuzz.sh $(FUZZTIME)

.PHONY: bench
bench: ## Measure against contrib and write docs/benchmarks.md's figures (a quarter of an hour)
	@scripts/bench.sh -write docs/benchmarks.md

.PHONY: bench-log
bench-log: ## Measure what the event log costs and write it into docs/benchmarks.md (ten minutes)
	@scripts/bench.sh -only log -write docs/benchmarks.md

.PHONY: bench-lake
bench-lake: ## Measure the Parquet exporter, its files and reading them back, and write it into docs/benchmarks.md (two minutes)
	@scripts/bench.sh -only lake -write docs/benchmarks.md

.PHONY: bench-pii
bench-pii: ## Measure masking against contrib's redaction processor and write it into docs/benchmarks.md (two minutes)
	@scripts/bench.sh -only pii -write docs/benchmarks.md

.PHONY: pii-report
pii-report: ## Hold the detectors of personal data against all corpora and write what they miss into docs/benchmarks.md (a minute)
	@go test ./testbed/personaldata -count 1 -run '^TestReport$$' -write ../../docs
	@echo "docs/benchmarks.md and docs/benchmarks/personal-data.csv have the report."

.PHONY: bench-nexmark
bench-nexmark: build engine ## Measure Nexmark's Q5 and Q11 on a log of BENCH_NEXMARK_EVENTS=5000000 events (five minutes)
	@CGO_ENABLED=0 go build -o bin/nexmark ./testbed/cmd/nexmark
	@bin/nexmark bench -write docs/benchmarks/nexmark.csv

.PHONY: bench-sessions
bench-sessions: ## Measure sessions alone: events a second, memory a visitor, recovery (two minutes)
	@go test ./internal/session -run '^TestAVisitorTakesLittleMemory$$' -bench 'Apply|Recovery' -benchtime 3s -v | grep -v "^=== RUN\|^goos\|^goarch"

.PHONY: bench-memory
bench-memory: ## Send 10 million events and write how much memory that took (five minutes)
	@scripts/bench.sh -only memory -write docs/benchmarks.md

.PHONY: clean
clean: ## Remove what was built; ./data and the caches stay
	@rm -rf bin distribution/millrace
