# make run    set up and start the demo          make test   set up and run the whole test suite
# make check  lint, types, import rules, drift   make bench  benchmarks into bench/results/
# make corpus reads every mail we have: none lost, within time and memory
# make quality how well is found what belongs together, and how well the rules read, beside plain methods
# make faults kills, power cuts, full disks, lost nodes: the table (SHORT=1: a few minutes)
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: run test check setup bench corpus quality faults lock schema clean

run: setup
	@$(BIN)/gateway demo

test: $(VENV)/.dev
	@$(BIN)/pytest $(PYTEST)

check: $(VENV)/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || (echo "run: $(BIN)/ruff format ." && false)
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/pytest -q -n 0 tests/test_docs.py

bench: $(VENV)/.dev
	@for name in ack backlog index mail outage poison replay scale surge; do $(BIN)/python -m bench.$$name || exit 1; done

corpus: $(VENV)/.dev
	@$(BIN)/python -m bench.corpus

quality: $(VENV)/.dev
	@$(BIN)/python -m bench.quality
	@$(BIN)/python -m bench.quality_rules

faults: $(VENV)/.dev
	@$(BIN)/python -m bench.faults

setup: $(VENV)/.runtime

# The interpreter must be 3.11 or newer: said here in a sentence, not by a stack trace of pip.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; try make PYTHON=python3.12")'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: $(BIN)/python requirements.lock pyproject.toml
	@echo "installing the locked requirements (once)"
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	@echo "installing the locked development requirements (once)"
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

# Locks hold hashes and no index address; both come from pyproject.toml, the smaller constrained by the larger.
lock: $(VENV)/.dev
	$(BIN)/uv pip compile pyproject.toml --group dev -o requirements-dev.lock $(LOCK)
	$(BIN)/uv pip compile pyproject.toml --group build -c requirements-dev.lock -o requirements.lock $(LOCK)
LOCK := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate

schema: $(VENV)/.dev
	@$(BIN)/python -m gateway.schemas

# var/ holds what citizens wrote and the only key to it: it stays.
clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
