# Every target has one line of explanation after `##`; `make` alone prints them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
# The platform and its tests start many processes: what they import is compiled once, whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE
BIN := .venv/bin
CONTRACTS := $(shell find protos -name '*.proto' -not -path 'protos/gen*') protos/generate.py

.PHONY: help run test test-unit test-long test-deploy test-ops lint format protos bench bench-growth demo scan lock clean

help: ## Print every target with one line each
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

# The virtual environments share one folder; what is installed is what the lock files pin, by hash.
.venv/.run: requirements/run.lock pyproject.toml bootstrap.sh
	@PYTHON="$(PYTHON)" ./bootstrap.sh run

.venv/.dev: .venv/.run requirements/dev.lock
	@PYTHON="$(PYTHON)" ./bootstrap.sh dev

.venv/.bench: .venv/.dev requirements/bench.lock
	@PYTHON="$(PYTHON)" ./bootstrap.sh bench

# Programs that check deploy/; apart from the others, because what they pin would hold the others back.
.venv/.deploy: .venv/.run requirements/deploy.lock
	@$(BIN)/python -m venv .venv/deploy
	@.venv/deploy/bin/pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes \
	  -r requirements/deploy.lock
	@touch $@

.venv/.security: .venv/.run requirements/security.lock
	@$(BIN)/python -m venv .venv/security
	@.venv/security/bin/pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes \
	  -r requirements/security.lock
	@touch $@

protos/gen/.done: .venv/.run $(CONTRACTS)
	@echo "Generating the contracts"
	@$(BIN)/python protos/generate.py && touch $@

# Type stubs for mypy need a plugin that only the development environment has.
protos/gen/.typed: .venv/.dev $(CONTRACTS)
	@echo "Generating the contracts with type stubs"
	@$(BIN)/python protos/generate.py && touch protos/gen/.done $@

protos: protos/gen/.done ## Generate Python modules and the descriptor set from the contracts

run: protos/gen/.done ## Start the whole platform; Ctrl-C stops it
	@$(BIN)/bazarutod up

demo: protos/gen/.done ## Buy a policy on the running platform and print each step and the trace
	@$(BIN)/bazarutod demo

test: protos/gen/.typed ## Run every test that needs nothing but Python, in parallel
	@$(BIN)/pytest -n $${TEST_WORKERS:-auto} --dist loadgroup --ignore=tests/ops --ignore=tests/deploy --ignore=tests/long

test-unit: protos/gen/.typed ## Run the tests that need no server
	@$(BIN)/pytest tests/unit

test-long: protos/gen/.typed ## Run the long forms of tests; takes hours
	@$(BIN)/pytest -s tests/long

test-deploy: protos/gen/.typed .venv/.deploy .venv/.security ## Install the real validators and check deploy/ with them, as root
	@./tests/install.sh deploy
	@$(BIN)/pytest -n $${TEST_WORKERS:-auto} --dist loadgroup tests/deploy

test-ops: protos/gen/.typed ## Install real Prometheus, Alertmanager and exporters, break the platform, see the alerts arrive
	@./tests/install.sh ops
	@$(BIN)/pytest tests/ops

lint: protos/gen/.typed ## Check format, style, types, imports, contracts and shell scripts
	@./lint.sh

format: .venv/.dev ## Format the code and mend what can be mended by itself
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

BENCH := $(BIN)/python -m tests.performance $(if $(BASE),--base $(BASE)) $(if $(JSON),--json $(JSON))

bench: .venv/.bench protos/gen/.typed ## Run the benchmarks and print their table; BASE=<commit> compares with that commit
	@$(BENCH) $(if $(ROWS),--rows $(ROWS))

bench-growth: .venv/.bench protos/gen/.typed ## Measure reads and lists with a million policies, and nights over 100,000
	@$(BENCH) --rows growth nights

scan: .venv/.security ## List what is shipped, and look for known weaknesses and for secrets
	@deploy/security/scan.sh

lock: .venv/.dev ## Refresh the lock files from pyproject.toml
	@./lock.sh

clean: ## Remove the virtual environment, the generated code and the local data
	rm -rf .venv .run protos/gen
