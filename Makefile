# Needs make and Python 3.11 or newer. Everything is installed into .venv; delete that folder to start afresh.
PYTHON ?= python3
PYTEST_ARGS ?= -n 2 --dist loadfile

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
QUICKSTART := experiments/smoke/quickstart.yaml
REQUIREMENTS := requirements.txt requirements-test.txt requirements-nodeps.txt constraints.txt

# One thread per process: two torch threads on busy cores are several times slower than one.
export OMP_NUM_THREADS ?= 1

.PHONY: help setup demo test docs campaign lint format
.DEFAULT_GOAL := help

help:
	@echo 'make setup   install everything into .venv (6.6 GB; does nothing when nothing changed)'
	@echo 'make demo    setup, then a small grid from training to the report'
	@echo 'make test    setup, then the tests; choose some with PYTEST_ARGS="tests/methods -x"'
	@echo 'make docs    setup, then the documentation, into site/'
	@echo 'make campaign  setup, then faults of every kind for about 20 minutes; writes results/reliability'
	@echo 'make lint    setup, then ruff and mypy'
	@echo 'make format  setup, then let ruff rewrite the code'

setup: .venv/.htbench

# Two stamps, so that an edit of pyproject.toml does not resolve the whole stack again.
.venv/.htbench: .venv/.requirements pyproject.toml
	@$(PIP) install --no-deps --no-build-isolation -e .
	@echo "kernel: $$($(BIN)/python -m methods.compiled)"
	@touch $@

.venv/.requirements: $(REQUIREMENTS)
	@command -v $(PYTHON) >/dev/null || { \
	  echo 'htbench needs Python 3.11 or newer, and there is no "$(PYTHON)"; name one: make setup PYTHON=python3.12' >&2; \
	  exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("htbench needs Python 3.11 or newer, " \
	  "and $(PYTHON) is %d.%d.%d; name another: make setup PYTHON=python3.12" % v[:3])'
	@echo 'Installing into .venv; the first time takes a few minutes and 6.6 GB.'
	@$(PYTHON) -m venv .venv
	@$(PIP) install -c constraints.txt -r requirements.txt -r requirements-test.txt
	@$(PIP) install --no-deps --no-build-isolation --use-pep517 -r requirements-nodeps.txt || { \
	  echo 'learn2learn is compiled: it needs a C compiler and the Python headers' \
	    '(on Debian and Ubuntu: apt install build-essential python3-dev)' >&2; \
	  exit 1; }
	@touch $@

demo: setup
	$(BIN)/htbench run $(QUICKSTART) --workers 2
	$(BIN)/htbench report $(QUICKSTART)
	$(BIN)/htbench sync $(QUICKSTART)
	@echo
	@echo 'Written to results/quickstart. To browse and compare the runs in MLflow: $(BIN)/htbench ui $(QUICKSTART)'

test: setup
	$(BIN)/python -m pytest $(PYTEST_ARGS)

docs: setup
	$(BIN)/python -m mkdocs build --strict --quiet
	@echo 'Written to site/; open site/index.html'

campaign: setup
	$(BIN)/python -m tests.campaigns $(CAMPAIGN_ARGS)

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
