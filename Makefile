# The verbs of this project; `make help` lists them.
# The system's Python where it fits: it is built with profiles, one that pyenv compiled mostly is not, and a sixth slower.
PYTHON ?= $(shell for found in /usr/bin/python3 python3; do \
  "$$found" -c 'import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null && break; \
  done; echo "$$found")
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# What looks at the lock and the files from outside; its packages are none of ours.
TOOLS := $(VENV)/tools
SPARK := $(VENV)/spark
UV_VERSION := 0.13.9
ARGS ?=

# Where this is set, each of the many processes of a test run or a demo compiles all sources again.
export PYTHONDONTWRITEBYTECODE :=
export DO_NOT_TRACK := true
export MLFLOW_DISABLE_TELEMETRY := true
export GX_ANALYTICS_ENABLED := false

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-spark lint docs reference format lock sbom audit secrets clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

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

$(SPARK)/.installed: deploy/spark/pyspark.txt $(STAMP)
	@UV=$$(command -v uv || echo $(BIN)/uv); \
	  $$UV pip install --quiet --python $(BIN)/python --target $(SPARK) --require-hashes \
	  --requirement deploy/spark/pyspark.txt
	@touch $@

test-spark: $(SPARK)/.installed ## The tests of the engine spark; they need Java, and are skipped by `make test`
	@PYTHONPATH=$(SPARK) $(BIN)/python -m pytest -n0 $(ARGS) \
	  tests/firstchair/models/test_als_on_spark.py tests/firstchair/features/test_engines.py \
	  tests/firstchair/publication/test_lists_on_spark.py tests/firstchair/lake/test_spark.py \
	  tests/deploy/test_spark_on_kubernetes.py

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
	  $$UV pip compile pyproject.toml --extra dev $(AS_LOCK) --output-file requirements.lock && \
	  $$UV pip compile .ci/tools.in $(AS_LOCK) --output-file .ci/tools.txt && \
	  $$UV pip compile deploy/spark/pyspark.in $(AS_LOCK) --output-file deploy/spark/pyspark.txt
AS_LOCK := --generate-hashes --universal --python-version 3.11 --no-header --no-annotate \
  --no-emit-index-url --quiet

$(TOOLS)/.installed: .ci/tools.txt $(STAMP)
	@$(PYTHON) -m venv --without-pip $(TOOLS)
	@UV=$$(command -v uv || echo $(BIN)/uv); \
	  $$UV pip install --quiet --python $(TOOLS)/bin/python --require-hashes --requirement .ci/tools.txt
	@touch $@

sbom: $(TOOLS)/.installed ## Write sbom.json: each package of the lock with its hashes (CycloneDX)
	@$(TOOLS)/bin/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible \
	  --output-format JSON --output-file sbom.json requirements.lock

audit: $(TOOLS)/.installed ## Ask for known vulnerabilities of the lock; fails where one package cannot be asked for
	@$(TOOLS)/bin/pip-audit --strict --disable-pip --require-hashes --progress-spinner off \
	  --requirement requirements.lock

# Hashes of the lock, of settings' origins and of examples look like secrets; placeholders of tests say
# that they are none.
secrets: $(TOOLS)/.installed ## Look for secrets in all files of git
	@git ls-files -z | xargs -0 $(TOOLS)/bin/detect-secrets-hook --no-verify \
	  --exclude-files '\.(svg|lock|txt)$$|^src/firstchair/models/settings/' \
	  --exclude-lines "^ +'[0-9a-f]{32}'$$"

clean: ## Remove .venv and the embedded home
	@rm -rf $(VENV) .firstchair site sbom.json
