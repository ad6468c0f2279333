# Every path is relative to this folder, so the folder may have any name; no environment needs to be
# activated. `make help` lists the targets.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
PYTHON := $(BIN)/python
# pyspark comes as source only: --use-pep517 builds it as newer pips do, without their warning.
PIP := $(PYTHON) -m pip install --quiet --disable-pip-version-check --use-pep517
READY := .venv/.ready
DBT := .venv-dbt/.ready
SOURCES := runner producer live tests dashboards bench

# The amount of generated events, and what else `producer generate` takes.
EVENTS ?= 20000
DAYS ?= 2

# How long `make soak` goes on: seeds, and steps of each.
SEEDS ?= 1 2 3 4 5 6
STEPS ?= 50

# Bytecode is compiled once, below; where the environment forbids writing it, every start would compile again.
unexport PYTHONDONTWRITEBYTECODE
# Names of another environment must not leak into this one.
unexport PYTHONPATH
unexport PYTHONHOME

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

.PHONY: setup
setup: $(READY) ## Create .venv, install what requirements.lock pins, fetch Spark's jars
	@$(PYTHON) -m compileall -q runner producer live
	@$(PYTHON) -m runner.engine.spark

$(READY): requirements.lock pyproject.toml
	@if ! $(PYTHON) -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	  found=; \
	  for candidate in "$${PYTHON3:-python3}" python3 python3.14 python3.13 python3.12 python3.11; do \
	    if "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
	    then found=$$candidate; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "Python 3.11 or newer with its venv module is needed, and none is on the PATH" >&2; \
	    echo "  fix: install it (Debian: apt install python3-venv), or name one: make setup PYTHON3=/path/to/python3" >&2; \
	    exit 2; \
	  fi; \
	  "$$found" -m runner.engine.spark check || exit; \
	  echo "Setting up .venv with $$("$$found" --version): once, a minute or two"; \
	  "$$found" -m venv --clear .venv || exit; \
	fi
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@$(PYTHON) -m compileall -q .venv/lib || true  # some packages ship files for other Pythons
	@touch $(READY)

.PHONY: run
run: setup ## Events, bronze, silver, gold, and what the tables tell
	@$(MAKE) events
	@$(BIN)/runner run
	@$(MAKE) summary

.PHONY: events
events: setup ## Generated events in data/events: EVENTS=20000 DAYS=2
	@$(BIN)/producer generate --events $(EVENTS) --days $(DAYS) --per-day --out data/events

.PHONY: summary
summary: setup ## What the gold tables tell: busiest wikis, trending pages, contributors, risks
	@$(PYTHON) dashboards/summary.py

# What else `python -m live broker` takes: KAFKA="--port 9092 --data DIR".
.PHONY: kafka
kafka: setup ## Apache Kafka on port 19092, until Ctrl-C: KAFKA="--port 9092 --data DIR"
	@exec $(PYTHON) -m live broker $(KAFKA)

# What else `python -m live demo` takes: LIVE="--minutes 5 --rate 200", LIVE="--live --contact you@example.org".
.PHONY: live
live: setup ## Edits flow through Kafka into the tables, until Ctrl-C: LIVE="--minutes 5"
	@exec $(PYTHON) -m live demo $(LIVE)

.PHONY: test
test: setup ## Everything that must hold: lint, the fast tests, those on Spark, those with Kafka
	@$(MAKE) -k -j2 --output-sync=target test-histories lint test-fast test-spark test-crashes test-kafka

# Two at a time, the longest first: a machine with two cores is busy until the end.
HISTORIES := tests/spark/test_exact.py
CRASHES := tests/spark/test_crash.py tests/spark/test_documents.py tests/spark/test_threads.py

.PHONY: test-fast test-histories test-crashes test-spark test-kafka
test-fast: setup
	$(PYTHON) -m pytest -m "not spark and not kafka"
test-histories: setup
	$(PYTHON) -m pytest -m spark $(HISTORIES)
test-crashes: setup
	$(PYTHON) -m pytest -m spark $(CRASHES)
test-spark: setup
	$(PYTHON) -m pytest -m "spark and not kafka" $(addprefix --ignore=,$(HISTORIES) $(CRASHES))
test-kafka: setup
	$(PYTHON) -m pytest -m kafka tests/kafka tests/live

.PHONY: fast
fast: setup lint ## What needs neither Spark nor Kafka: lint and the fast tests
	$(PYTHON) -m pytest -m "not spark and not kafka"

# The benchmarks, and what else `python -m bench` takes: BENCH="--rounds 9".
BENCHES := overhead increment history nothing cold stream latency producer dbt-parse dbt-run

.PHONY: bench
bench: setup $(DBT) ## Measure, and fill docs/performance.md; bench-overhead, bench-history, … for one of them
	$(PYTHON) -m bench $(BENCH)

.PHONY: $(addprefix bench-,$(BENCHES))
$(addprefix bench-,$(BENCHES)): bench-%: setup
	$(PYTHON) -m bench $* $(BENCH)

# dbt, which some of them measure beside the runner, in an environment of its own.
bench-dbt-parse bench-dbt-run: $(DBT)

.PHONY: bench-dbt
bench-dbt: $(DBT)

$(DBT): bench/dbt.lock $(READY)
	$(PYTHON) -m venv --clear .venv-dbt
	.venv-dbt/bin/python -m pip install --quiet --disable-pip-version-check --use-pep517 \
	  --require-hashes -r bench/dbt.lock
	@.venv-dbt/bin/python -m compileall -q .venv-dbt/lib || true  # as above
	@touch $(DBT)

.PHONY: soak
soak: setup ## 300 steps of random lake histories, compared with rebuilds, two at a time: SEEDS="1 2" STEPS=150
	@$(MAKE) -j2 --output-sync=target $(addprefix soak-,$(SEEDS))

.PHONY: $(addprefix soak-,$(SEEDS))
$(addprefix soak-,$(SEEDS)): soak-%:
	EXACT_SEEDS=$* EXACT_STEPS=$(STEPS) EXACT_EVERY=10 \
	  $(PYTHON) -m pytest -x -m spark tests/spark/test_exact.py -k rebuild

# How long `make soak-live` goes on: events, and programs that are killed on the way.
KILLS ?= 30

.PHONY: soak-live
soak-live: setup ## The path from the stream to bronze, programs killed at random: EVENTS=1000000 KILLS=50
	LIVE_EVENTS=$(EVENTS) LIVE_KILLS=$(KILLS) LIVE_RATE=350 $(PYTHON) -m pytest -s -x tests/kafka/test_path.py

.PHONY: lint
lint: setup
	$(BIN)/lint-imports
	$(PYTHON) -m ruff check $(SOURCES)
	$(PYTHON) -m ruff format --check $(SOURCES)
	$(PYTHON) -m mypy
	$(PYTHON) -m runner lint --strict
	$(PYTHON) -m sqlfluff lint --disable-progress-bar sql expectations

.PHONY: fmt
fmt: setup ## Format the code
	$(PYTHON) -m ruff check --fix-only --quiet $(SOURCES)
	$(PYTHON) -m ruff format $(SOURCES)

.PHONY: lock
lock: setup ## Pin the newest versions that pyproject.toml allows
	$(PIP) uv
	$(PYTHON) -m uv pip compile --upgrade --universal --python-version 3.11 --extra dev --generate-hashes \
	  --no-annotate --no-header --quiet pyproject.toml -o requirements.lock
	$(PYTHON) -m uv pip compile --upgrade --universal --python-version 3.11 --no-strip-extras --generate-hashes \
	  --no-annotate --no-header --quiet bench/dbt.in -o bench/dbt.lock
	printf '%s\n' click confluent-kafka prometheus-client requests sseclient-py aws-msk-iam-sasl-signer-python | \
	  $(PYTHON) -m uv pip compile --universal --python-version 3.11 --generate-hashes --constraint requirements.lock \
	  --no-annotate --no-header --quiet - -o producer/requirements.lock

.PHONY: clean
clean: ## Remove the environment, the lake, generated data and caches
	rm -rf .venv .venv-dbt .lake target data bench/results *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find runner producer live tests -name __pycache__ -type d -prune -exec rm -rf {} +
