# Two commands: `make demo` (a first ranking, from nothing) and `make test` (lint, types, tests).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# Processes that share the tests; slow ones wait more than they compute.
WORKERS ?= 2
SLOW_WORKERS ?= 3
INPUTS := pyproject.toml constraints.txt Makefile

.PHONY: help demo test test-slow lint types bench screenshot constraints clean system

help:
	@echo "make demo       set up, then train, export, profile and rank the demo suite on this machine (under 10 min)"
	@echo "make test       set up, then lint, types and tests (under 15 min)"
	@echo "make test-slow  the tests marked slow"
	@echo "make bench      the benchmarks behind docs/benchmarks.md"

demo: $(VENV)/.installed
	$(BIN)/edgeprof run --device localhost --training demo --quick

test: $(VENV)/.installed-test system lint types
	$(BIN)/python -m pytest -n $(WORKERS)

test-slow: $(VENV)/.installed-test system
	$(BIN)/python -m pytest -m slow --timeout 3600 -n $(SLOW_WORKERS)

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-test
	$(BIN)/mypy

bench: $(VENV)/.installed-test
	$(PIP) --editable '.[all,test,bench]'
	$(BIN)/python -m pytest -m bench -s -o python_files="bench_*.py" tests/benchmarks --timeout 3600

screenshot: $(VENV)/.installed-test
	$(BIN)/python docs/screenshot.py

# System packages that the tests need: installed where this user may, named otherwise.
system:
	@sh tests/system-packages.sh

$(VENV)/bin/python:
	@sh tests/python-check.sh "$(PYTHON)"
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python $(INPUTS)
	@echo "installing pinned versions into $(VENV) (a few minutes the first time)"
	$(PIP) --editable '.[all]'
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP) --editable '.[all,test]'
	@touch $@

# After an upgrade that passed `make test`: write down what is installed.
constraints: $(VENV)/.installed-test
	@sed -n '/^#/p' constraints.txt > constraints.new
	@$(BIN)/python -m pip list --format=freeze | grep -viE '^(edgeprof|pip|setuptools)==' | sed 's/+cpu//' >> constraints.new
	@mv constraints.new constraints.txt

clean:
	rm -rf $(VENV) .edgeprof reports/runs .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
