# `make demo`, `make test` and `make lab` each do the set-up they need, in .venv beside this file.
PYTHON ?= python3
VENV := .venv
SPARK := .venv-spark
BIN := $(VENV)/bin
# uv sets up in a quarter of pip's time. It does not know pip's settings: where a mirror is set there, pip has its turn.
# Most of what is installed is never imported: to compile it all takes a third of pip's time. Python does when it must.
PIP := -m pip install --quiet --disable-pip-version-check --no-compile
install = $(1)/bin/python $(PIP) uv && $(1)/bin/uv pip install --quiet --python $(1)/bin/python $(2) || \
	$(1)/bin/python $(PIP) $(2)
# Jupyter refuses to run as root without this option, and in a container there is often no other user.
LAB_OPTIONS ?= $(if $(filter 0,$(shell id -u)),--allow-root)

# Most tests of processes start Python, which would compile the toolkit each time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-all test-engines lab notebooks docs screenshots bench lint audit clean
.DELETE_ON_ERROR:

demo: $(VENV)/core
	$(BIN)/toolkit demo

test: $(VENV)/dev
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow"

test-all: $(VENV)/dev $(SPARK)/ready
	$(BIN)/python -m pytest -n auto --dist worksteal

# PostgreSQL, Sail, and a standalone Spark cluster on loopback (4 GB, Java 17).
test-engines: $(VENV)/dev $(SPARK)/ready
	$(BIN)/python -m pytest tests/engine

# pyspark takes 456 MB and refuses the newest pandas.
$(SPARK)/ready:
	$(PYTHON) -m venv $(SPARK)
	$(call install,$(SPARK),'pyspark[connect]~=4.3.0' 'pandas~=3.0.0' pyarrow)
	@touch $@

lab: $(VENV)/core
	$(BIN)/jupyter lab --ServerApp.root_dir="$(CURDIR)" --LabApp.default_url=/lab/tree/notebooks/00_tour.ipynb $(LAB_OPTIONS)

# One clean run of all notebooks, whose outputs are kept in git; twice gives the same bytes.
notebooks: $(VENV)/dev
	$(BIN)/python -m tests.support.notebooks

# A warning, such as a broken link, is an error.
docs: $(VENV)/dev
	$(BIN)/python -m sphinx -q -W --keep-going -c docs -d build/doctrees . build/site
	@echo "Open build/site/index.html in a browser."

screenshots: $(VENV)/dev
	$(BIN)/python -m docs.screenshots

ROWS ?= 1000000
PEERS := .venv-peers

bench: $(VENV)/dev $(PEERS)/ready $(SPARK)/ready
	$(BIN)/python -W ignore -m tests.benchmarks $(ROWS) $(PEERS)/bin/python

# ydata-profiling does not work with the pandas that the toolkit needs, so the peers have their own environment.
$(PEERS)/ready: tests/benchmarks/peers.py
	$(PYTHON) -m venv $(PEERS)
	$(call install,$(PEERS),dataframely pointblank ydata-profiling 'setuptools<81' polars pyarrow)
	@touch $@

lint: $(VENV)/dev
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy
	$(BIN)/python -m tests.support.notebooks check

# pip-audit has an environment of its own: what audits is not among what is audited.
AUDIT := .venv-audit

audit: $(VENV)/core $(AUDIT)/ready
	$(BIN)/python -m tests.support.audit $(AUDIT)/bin/pip-audit \
	"$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

$(AUDIT)/ready:
	$(PYTHON) -m venv $(AUDIT)
	$(call install,$(AUDIT),pip-audit)
	@touch $@

clean:
	rm -rf $(VENV) $(SPARK) $(PEERS) $(AUDIT) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	{ echo "The toolkit needs Python 3.11 to 3.13: choose one with 'make PYTHON=python3.12 …'."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/core: pyproject.toml | $(BIN)/python
	$(call install,$(VENV),--editable .)
	@touch $@

$(VENV)/dev: pyproject.toml | $(BIN)/python
	$(call install,$(VENV),--editable '.[dev]')
	@touch $(VENV)/core $@  # which it contains
