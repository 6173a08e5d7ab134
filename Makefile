# Everything happens in a virtual environment of its own; nothing else on the machine is touched.
PYTHON ?= python3
VENV ?= .venv
RUN ?= runs/quickstart

# NOTEBOOKS=notebooks/01_quickstart.ipynb: these only.
NOTEBOOKS ?=

BIN := $(VENV)/bin

# The interpreter whose JAX has the accelerator: the virtual environment's where there is one.
ACCELERATOR_PYTHON ?= $(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON))

.PHONY: help quickstart test test-accelerator notebooks notebooks-smoke docs lint format clean

help:
	@echo "make quickstart  install, then train, search and switch on embedded photographs ($(RUN))"
	@echo "make test        install with test tools, then run the tests"
	@echo "make test-accelerator  what only a GPU or TPU can prove, in under 4 minutes; installs nothing"
	@echo "make notebooks   execute all notebooks and store their outputs"
	@echo "make notebooks-smoke  execute them in a small setting and store nothing, as CI does"
	@echo "make docs        build the documents into site/; a broken link fails"
	@echo "make lint        ruff, mypy and import-linter, as CI runs them"
	@echo "make format      ruff format"
	@echo "make clean       remove $(VENV)"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	  "dysr_jax needs Python 3.11 or later; this is %d.%d. Try: make PYTHON=python3.12 ..." % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: setup.cfg pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.installed-test: setup.cfg pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-docs: setup.cfg pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	@touch $@ $(VENV)/.installed

quickstart: $(VENV)/.installed
	$(BIN)/dysr search --config quickstart --out $(RUN)

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n 2

test-accelerator:
	DYSR_TEST_ACCELERATOR=1 $(ACCELERATOR_PYTHON) -m pytest tests/accelerator --dist no --durations=5

notebooks: $(VENV)/.installed-test
	$(BIN)/python notebooks/execute.py $(NOTEBOOKS)

notebooks-smoke: $(VENV)/.installed-test
	$(BIN)/python notebooks/execute.py --smoke $(NOTEBOOKS)

docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

lint: $(VENV)/.installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-test
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV)
