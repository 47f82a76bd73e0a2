# make setup   .venv with `sew` in it (own virtual environment; nothing outside this folder is touched)
# make demo    the main job on a miniature corpus: prep, pretrain, finetune, LM, decode, score (at most 15 minutes on 2 cores)
# make setup-k2   .k2, a second environment on Python 3.9 for k2, which checks alignments (1.8 GB)
# make test    lint, types, floors and the quick tests;   make test-long   the slow proofs
# make fuzz    N=10000 damaged files through the commands that read them: tracebacks, crashes, hangs, files accepted that are not whole
# make docs    links, anchors and every command of README and docs;   make sizes   files, lines and functions by room
# make test-gpu   what needs a GPU: the fused kernels and whole updates on it
.PHONY: setup setup-dev setup-k2 demo test test-long test-gpu fuzz lint docs sizes clean
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

VENV := .venv
BIN := $(VENV)/bin
INSTALL = .ci/install $(BIN)/python

setup: $(VENV)/.done-core
setup-dev: $(VENV)/.done-dev

$(BIN)/python:
	.ci/make-venv $(VENV)

$(VENV)/.done-core: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e '.[mini]'
	touch $@

$(VENV)/.done-dev: $(VENV)/.done-core
	$(INSTALL) -e '.[dev]'
	touch $@

setup-k2:
	PYTHON39="$(PYTHON39)" .ci/make-k2 .k2

demo: setup
	PATH="$(CURDIR)/$(BIN):$$PATH" bash egs/librispeech/run.sh --mini

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not long" -n 2 --dist loadgroup --max-worker-restart 0

test-long: setup-dev
	$(BIN)/python -m pytest -m long

test-gpu: setup-dev
	$(BIN)/python -m pytest tests/gpu tests/runtimes/test_fused_attention.py tests/runtimes/test_fused_attention_compiled.py

docs: setup-dev
	$(BIN)/python -m pytest -n0 tests/cli/test_documentation.py tests/test_api.py -k "page or readme or anchor or runnable"

sizes: | $(BIN)/python
	$(BIN)/python .ci/sizes.py

N ?= 10000
SEED ?= 1
fuzz: setup-dev
	$(BIN)/python tests/chaos/fuzz.py --inputs $(N) --seed $(SEED)

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
