# make demo: the whole road on a fresh machine.  make test: lint, types, import directions, tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# A build of torch for the processor alone is several gigabytes smaller where an index offers one: set TORCH to name it.
TORCH ?= torch

.PHONY: demo test install install-test clean

install: $(VENV)/.installed
install-test: $(VENV)/.installed-test

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check "$(TORCH)"
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@

demo: install
	$(BIN)/whet run recipes/demo.yaml

test: install-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile

clean:
	rm -rf $(VENV) build dist *.egg-info
