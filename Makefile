# The verbs of this project; `make help` lists them.
# The system's Python where it fits: it is built with profiles, one that pyenv compiled mostly is not, and a sixth slower.
PYTHON ?= $(shell for found in /usr/bin/python3 python3; do \
  "$$found" -c 'import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null && break; \
  done; echo "$$found")
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
UV_VERSION := 0.13.9
ARGS ?=

# Where this is set, each of the many processes of a test run or a demo compiles all sources again.
export PYTHONDONTWRITEBYTECODE :=
export DO_NOT_TRACK := true
export MLFLOW_DISABLE_TELEMETRY := true
export GX_ANALYTICS_ENABLED := false

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint docs reference format lock clean

help: ## Show this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

setup: $(STAMP) ## Make .venv from the hash lock (idempotent, no root)

$(STAMP): requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@command -v uv >/dev/null 2>&1 || test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet "uv==$(UV_VERSION)"
	@UV=$$(command -v uv || echo $(BIN)/uv); \
	  $$UV pip install --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock && \
	  $$UV pip install --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q src dagster_project monitoring tests
	@touch $(STAMP)

demo: setup ## Simulate, run the whole pipeline, print the summary, open the UIs (ARGS=--no-ui to stop there)
	@$(BIN)/firstchair demo $(ARGS)

test: setup ## The whole test suite
	@$(BIN)/python -m pytest $(ARGS)

lint: setup ## What CI checks before the tests: format, rules, types, imports
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

docs: setup ## Build the documentation site into site/, strictly and without a network
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@$(BIN)/python -m docs.scripts.check_site site

reference: setup ## Write the pages of docs/ that follow from the code and from components.toml
	@$(BIN)/python -W ignore -m docs.scripts.reference
	@$(BIN)/python -m docs.scripts.components
	@$(BIN)/python -W ignore -m docs.scripts.assets

format: setup ## Put the code in house style
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: ## Resolve pyproject.toml anew into requirements.lock (hashes, no index address)
	@UV=$$(command -v uv || echo $(BIN)/uv); \
	  $$UV pip compile pyproject.toml --extra dev --generate-hashes --universal --python-version 3.11 \
	    --no-header --no-annotate --no-emit-index-url --quiet --output-file requirements.lock

clean: ## Remove .venv and the embedded home
	@rm -rf $(VENV) .firstchair site
