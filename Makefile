# Each target creates .venv with plain pip on first use and reuses it after that.
.DEFAULT_GOAL := help
.PHONY: help demo test check

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEMO ?= demo_report

# Data outside the project; tests that need it skip where it is unset.
ifndef MISCOMP_DATA
ifneq ($(wildcard ../shared/data/.),)
export MISCOMP_DATA := $(abspath ../shared/data)
endif
endif

help:
	@echo "make demo    audit bundled photographs and print the report's path"
	@echo "make test    run the tests"
	@echo "make check   run the linter, the formatter's check and the type checker"

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; v = sys.version_info; sys.exit(v < (3, 11) and f'Python 3.11 or newer is needed, $(PYTHON) is {v[0]}.{v[1]}; give another with make PYTHON=...')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --no-input --quiet -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(INSTALLED)
	$(BIN)/miscomp demo -o $(DEMO) --force

# One process a core, each with one thread; the tests of a file share what they start, so they stay together.
test: export OMP_NUM_THREADS := 1
test: $(INSTALLED)
	$(BIN)/python -m pytest -n auto --dist loadfile

check: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
