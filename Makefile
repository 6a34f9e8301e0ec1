# make demo: the whole road on a fresh machine.  make test: lint, types, import directions, tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# The version that the docs' figures were measured with, installed first so that nothing else chooses one.
TORCH ?= torch==2.13.0

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
