# The interface of the repository: `make sweep` and `make test` set up everything they need.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: sweep test check lint types imports slow benchmarks clean
sweep: .venv/installed  ## a finished two-moons sweep on embedded defaults
	$(BIN)/bimt launch two_moons

test: .venv/installed  ## all tests but the full published runs
	$(BIN)/pytest

check: lint types imports test  ## what CI runs

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/installed
	$(BIN)/mypy

imports: .venv/installed
	$(BIN)/lint-imports

slow: .venv/installed  ## the full published runs
	$(BIN)/pytest -m slow

benchmarks: .venv/installed
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

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache *.egg-info
