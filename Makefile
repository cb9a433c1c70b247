# The interface of the repository. Every target installs what it needs into .venv first.
PYTHON ?= python3
# Number of test processes.
JOBS ?= 2
BIN := .venv/bin
PYTEST := $(BIN)/pytest --doctest-modules --numprocesses $(JOBS)

.DEFAULT_GOAL := help
.PHONY: help sweep quick test check lint types imports docs benchmarks clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

sweep: .venv/installed  ## run a sweep: 64 trials of two moons, kept in the folder bimt-store
	$(BIN)/bimt launch two_moons

quick: .venv/installed  ## unit tests and the examples of the docstrings, in about a minute
	$(PYTEST) tests/unit bimt_core sweeps

test: .venv/installed  ## all tests
	$(PYTEST) --dist loadfile tests bimt_core sweeps

check: lint types imports docs test  ## everything that CI runs

lint: .venv/installed  ## style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/installed  ## static types
	$(BIN)/mypy

imports: .venv/installed  ## direction of the imports between modules
	$(BIN)/lint-imports

docs: .venv/installed  ## build the documentation site in the folder site; broken links are errors
	$(BIN)/mkdocs build --strict --quiet

benchmarks: .venv/installed  ## speed of training, relocation and modularity against plain loops
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/relocation.py
	$(BIN)/python benchmarks/modularity.py

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if v in ((3, 11), (3, 12)) else \
	  "Python 3.11 or 3.12 is needed, $(PYTHON) is %d.%d: make PYTHON=python3.12" % v)'
	@echo "Installing into .venv; this takes a few minutes."
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

clean:  ## remove the environment, caches and the site
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache *.egg-info build dist site
