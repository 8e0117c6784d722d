# One virtual environment, `.venv`, made from nothing and kept up to date by every target that needs it.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo docs test slow lint format types imports unit install clean

PYTHON ?= python3
# Tests that load torch gain from a second process, not from a third.
WORKERS ?= 2

python := .venv/bin/python
ready := .venv/.ready

help: ## print this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: $(ready) ## compile, train, evaluate and draw a small network; writes demo-output/
	.venv/bin/mixspec demo --output demo-output

test: lint imports types unit ## everything that must pass before a merge, a few minutes

slow: $(ready) ## the tests that take longer: wheel, sdist, long training
	$(python) -m pytest -m slow

lint: $(ready) ## style and common mistakes
	$(python) -m ruff check .
	$(python) -m ruff format --check .

format: $(ready) ## rewrite the files as `make lint` wants them
	$(python) -m ruff check --fix .
	$(python) -m ruff format .

imports: $(ready) ## the layers of the package
	.venv/bin/lint-imports --no-logo

# The folder of the clone may have any name; the type checker sees it as `mixspec` through a link.
types: $(ready) ## types
	@mkdir -p .venv/src && ln -sfn "$(CURDIR)" .venv/src/mixspec
	@set -o pipefail; MYPYPATH=.venv/src $(python) -m mypy --package mixspec | sed 's|^\.venv/src/mixspec/||'

unit: $(ready) ## the tests that are not marked slow
	$(python) -m pytest -n $(WORKERS)

docs: $(ready) ## write the parts of README and docs that come from the code
	$(python) docs/generate.py

install: $(ready) ## the virtual environment alone

$(ready): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mixspec needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	@echo "Installing into .venv: PyTorch and its libraries take about 6 GB and a few minutes, once."
	test -x $(python) || $(PYTHON) -m venv .venv
	$(python) -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	@touch $@

clean: ## remove caches and build outputs, not .venv
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis demo-output
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
