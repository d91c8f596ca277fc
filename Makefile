# Every command a developer or CI runs. `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN    := .venv/bin
PROTOS := $(sort $(wildcard protos/usage_management/v1/*.proto))
PROTOC = PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python -m grpc_tools.protoc -I protos
GEN    ?= protos/gen

.PHONY: run bench load schema test-store test-pooler test-polyglot capabilities capabilities-accept help check format lint types layers protos protos-fresh api-lint api-breaking release-api test lock clean

help: ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-20s %s\n", $$1, $$2}'

run: .venv/ready-run ## Run everything here, play the demo, and go on serving
	@$(BIN)/usage up --demo

check: lint types layers protos-fresh api-lint api-breaking test ## Everything CI runs, in its order

format: .venv/ready-dev ## Rewrite the code in the house style
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

lint: .venv/ready-dev ## Style, and that nothing needs formatting
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: .venv/ready-dev ## Strict types
	$(BIN)/mypy

layers: .venv/ready-dev ## Who may import whom
	$(BIN)/lint-imports

protos: .venv/ready-dev ## Regenerate protos/gen
	@mkdir -p $(GEN)
	$(PROTOC) --python_out=$(GEN) --mypy_out=quiet:$(GEN) protos/buf/validate/validate.proto
	$(PROTOC) --python_out=$(GEN) --grpc_python_out=$(GEN) --mypy_out=quiet:$(GEN) --mypy_grpc_out=quiet:$(GEN) $(PROTOS)
	$(BIN)/python -m clients.service_config $(GEN)/usage_management/v1/service_config.json

protos-fresh: .venv/ready-dev ## The generated code is what the protos say
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && $(MAKE) --no-print-directory -s protos GEN="$$fresh" \
	    && diff -r -x __pycache__ protos/gen "$$fresh" && echo "protos/gen is fresh"

.api.binpb: .venv/ready-dev $(PROTOS) protos/buf.yaml
	@$(BIN)/buf build protos -o $@

api-lint: .venv/ready-dev ## Lint the API
	$(BIN)/buf lint protos

api-breaking: .api.binpb ## What would break a caller of the released API
	@if [ -f protos/released.binpb ]; then \
	    $(BIN)/buf breaking .api.binpb --against protos/released.binpb --config protos/buf.yaml; \
	else echo "api-breaking: nothing is released yet, so nothing can break (make release-api)"; fi

release-api: .api.binpb ## Make today's API the one that must not break
	cp .api.binpb protos/released.binpb

test: .venv/ready-dev ## All tests, on servers of their own
	$(BIN)/pytest -n 2
	@$(BIN)/python -m tests.capabilities check

bench: .venv/ready-dev ## Measure, beside what the machine can do at best
	@$(BIN)/python -m tests.bench $(BENCH)

load: .venv/ready-dev ## Load two server processes for a minute; LOAD=--overload: three times what they can answer
	@$(BIN)/python -m tests.bench.load $(LOAD)

test-store: .venv/ready-dev ## The store's tests on another Postgres: USAGE_TEST_POSTGRES_BIN=…/bin
	$(BIN)/pytest -n 2 -m "not planner" tests/store tests/workers tests/usecases

test-pooler: .venv/ready-dev ## The service through PgBouncer in transaction mode, which must be installed
	$(BIN)/pytest tests/processes/through_pgbouncer.py

test-polyglot: .venv/ready-dev ## A Go and a TypeScript program against the service; needs go, node and npm
	$(BIN)/pytest tests/polyglot/programs.py

capabilities: .venv/ready-dev ## Which rows of the checklist the last `make test` proved
	@$(BIN)/python -m tests.capabilities

capabilities-accept: .venv/ready-dev ## Make what is proved now the least that must stay so
	@$(BIN)/python -m tests.capabilities accept

schema: .venv/ready-dev ## Write server/store/schema.sql from the migrations
	@$(BIN)/python -m tests.schema

lock: ## Resolve the dependencies again (needs uv)
	uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-annotate --no-header \
	    pyproject.toml --group build -o requirements.txt
	uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-annotate --no-header \
	    pyproject.toml --group build --group dev -o requirements-dev.txt

clean: ## Throw away the environment and the caches
	rm -rf .venv .api.binpb .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

.venv/ready-dev: requirements-dev.txt pyproject.toml .ci/environment
	@.ci/environment dev

.venv/ready-run: requirements.txt pyproject.toml .ci/environment
	@.ci/environment run
