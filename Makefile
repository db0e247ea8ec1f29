# make demo   set up what a user needs, make a miniature ILSVRC2012, build it, read it back
# make quick  set up, then the tests that start no Python: seconds
# make test   set up, then lint, types and all tests that need no rights of their own: minutes

PYTHON ?= python3
BIN := .venv/bin
READERS := .venv-readers/bin
FUZZ := .venv-fuzz/bin
DOCS := .venv-docs/bin

.PHONY: demo wheel quick test test-system lint sentences test-services test-wheel test-readers fuzz torture docs lock bench \
	clean

demo: .venv-demo/made
	rm -rf demo-output
	.venv-demo/bin/imagenet-prep demo demo-output

# Wheel and sdist, in dist/.
wheel: .venv/made
	rm -rf dist
	$(BIN)/uv build --quiet --no-build-isolation --python $(BIN)/python

# The wheel in an empty environment of each Python on this machine, from 3.11 on.
test-wheel: wheel
	$(BIN)/pytest -c tests/wheel/pytest.ini tests/wheel

# tests/support/parts.py has what each part may do, and holds it to that.
quick: .venv/made
	$(BIN)/pytest -n 2 -q -m quick

test: lint
	$(BIN)/pytest -n 2 -m "not system"

# Full disks, mounts, name spaces, users without permission; a kill at every step; the commands of every document.
test-system: .venv/made
	$(BIN)/pytest -n 2 -m system

# What the program says, as the tests see it, goes to tests/sentences.txt: read the diff.
sentences: .venv/made
	$(BIN)/pytest -n 2 --update-sentences

lint: .venv/made
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# Engines that are services: a dask scheduler and its workers, as processes of their own on this machine.
test-services: .venv/made
	$(BIN)/pytest -c tests/services/pytest.ini tests/services

# What other people's programs make of our files: TensorFlow, TensorFlow Datasets, grain, DALI, Keras, torchvision, timm,
# Hugging Face, pandas, Polars, DuckDB, mosaicml-streaming, litdata; 4 GB to install, more where PyTorch comes with CUDA.
# ARCHIVES=DIR tries them on archives of your own instead of the miniature.
test-readers: .venv-readers/made
	$(READERS)/python -m pytest -c tests/readers/pytest.ini tests/readers $(if $(ARCHIVES),--archives $(ARCHIVES))
	$(READERS)/python -m pytest -c tests/readers/pytest.ini tests/test_docs.py -k "README or formats"

# Bytes that no parser expects, searched for with atheris, which has wheels for CPython on Linux alone. The time is
# divided over all parsers, or those of TARGETS="tar boxes"; what is found goes to tests/fuzz/crashers.
SECONDS ?= 60

fuzz: .venv-fuzz/made
	$(FUZZ)/python tests/fuzz/search.py $(SECONDS) $(TARGETS)

# Builds killed at random moments, and single bits changed in finished ones: some minutes. SEED=N has other moments.
SEED ?= 0

torture: .venv/made
	PYTHONPATH=tests $(BIN)/python -m torture.kills --builds 200 --pairs 60 --seed $(SEED)
	PYTHONPATH=tests $(BIN)/python -m torture.flips --flips 1000 --seed $(SEED)

# The site, in site/: strict, and no page of it asks anything of another machine. scripts/site.py says how it is made.
# python3 -m http.server -d site shows it.
docs: .venv-docs/made
	NO_MKDOCS_2_WARNING=1 PYTHONPATH=src $(DOCS)/mkdocs build --strict

bench: .venv/made
	@echo "Each of these says in its first lines what it measures; see benchmarks/README.md:"
	@ls benchmarks/*.py

# The locks hold versions and hashes, and no address: any index that has these files will do.
lock: .venv/made
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header \
		--quiet --output-file requirements/run.txt
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-header \
		--quiet --output-file requirements/dev.txt
	$(BIN)/uv pip compile requirements/readers.in --universal --python-version 3.11 --generate-hashes --no-header \
		--quiet --output-file requirements/readers.txt
	$(BIN)/uv pip compile requirements/readers-alone.in --no-deps --universal --python-version 3.11 --generate-hashes --no-header \
		--quiet --output-file requirements/readers-alone.txt
	$(BIN)/uv pip compile requirements/fuzz.in --universal --python-version 3.11 --generate-hashes --no-header \
		--quiet --output-file requirements/fuzz.txt
	$(BIN)/uv pip compile pyproject.toml requirements/docs.in --universal --python-version 3.11 --generate-hashes --no-header \
		--quiet --output-file requirements/docs.txt

.venv/made: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "imagenet-prep needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

.venv-demo/made: requirements/run.txt pyproject.toml
	$(PYTHON) -m venv .venv-demo
	.venv-demo/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	.venv-demo/bin/pip install --quiet --disable-pip-version-check --no-deps .
	touch $@

.venv-fuzz/made: requirements/fuzz.txt pyproject.toml
	$(PYTHON) -m venv .venv-fuzz
	$(FUZZ)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/fuzz.txt
	$(FUZZ)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

.venv-docs/made: requirements/docs.txt pyproject.toml
	$(PYTHON) -m venv .venv-docs
	$(DOCS)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/docs.txt
	touch $@

# PyTorch stands outside the lock: its builds, with CUDA and without, share a version and differ in hashes and in what
# they need, and pip takes the one that its configuration offers; locked.txt keeps it from changing what is locked.
# timm stands beside it, because it asks for both.
TORCH := torch==2.13.0 torchvision==0.28.0 timm==1.0.31

.venv-readers/made: requirements/readers.txt requirements/readers-alone.txt pyproject.toml
	$(PYTHON) -m venv .venv-readers
	$(READERS)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/readers.txt
	sed -n 's/\(==.*\) \\$$/\1/p' requirements/readers.txt > .venv-readers/locked.txt
	$(READERS)/pip install --quiet --disable-pip-version-check --constraint .venv-readers/locked.txt $(TORCH)
	$(READERS)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/readers-alone.txt
	$(READERS)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

clean:
	rm -rf .venv .venv-demo .venv-readers .venv-fuzz .venv-docs .fuzz site demo-output .mypy_cache .pytest_cache .ruff_cache .hypothesis
