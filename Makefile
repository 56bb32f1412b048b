# `make demo`, `make test`, `make lab` each do all the set-up they need, in .venv beside this file.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8765
# Jupyter refuses root unless told otherwise, and in a container there is nobody else.
LAB_OPTIONS ?= $(if $(filter 0,$(shell id -u)),--allow-root)

.PHONY: demo test test-all lab bench lint clean
.DELETE_ON_ERROR:

demo: $(VENV)/core
	$(BIN)/toolkit demo

test: $(VENV)/dev
	$(BIN)/python -m pytest -n auto -m "not slow"

test-all: $(VENV)/dev
	$(BIN)/python -m pytest -n auto

lab: $(VENV)/core
	@$(BIN)/toolkit sandbox --port $(PORT) & sandbox=$$!; trap "kill $$sandbox" EXIT INT TERM; \
	TOOLKIT_BASE_URL=$${TOOLKIT_BASE_URL:-http://127.0.0.1:$(PORT)} \
	$(BIN)/jupyter lab --ServerApp.root_dir="$(CURDIR)" --LabApp.default_url=/lab/tree/notebooks/00_tour.ipynb $(LAB_OPTIONS)

ROWS ?= 1000000
PEERS := .venv-peers

bench: $(VENV)/dev $(PEERS)/ready
	$(BIN)/python -m tests.benchmarks.bench $(ROWS) $(PEERS)/bin/python
	$(BIN)/python -m tests.benchmarks.bench_push $(ROWS)

# ydata-profiling refuses the pandas that the toolkit needs, so the peers have an environment of their own.
$(PEERS)/ready: tests/benchmarks/peers.py
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check dataframely pointblank ydata-profiling 'setuptools<81' polars pyarrow
	@touch $@

lint: $(VENV)/dev
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

clean:
	rm -rf $(VENV) $(PEERS) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/core: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	{ echo "The toolkit needs Python 3.11 to 3.13: name one with 'make PYTHON=python3.12 …'."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/dev: $(VENV)/core
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
