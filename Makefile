# `make help` lists the targets.  Everything is installed into .venv in this folder.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

CORES ?= $(shell nproc 2>/dev/null || echo 2)
CONFIG ?=
# For two cores: one more than there are, because the tests that use Slurm spend most of their time in the queue.
WORKERS ?= 3
PYTEST_ARGS ?=
# A process runs a file, in the order of tests/conftest.py.
SHARED_OUT := --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
BIN := $(CURDIR)/.venv/bin
DEMO := config/demo.yaml
DEMO_RESULTS := results/demo
MODEL := $(DEMO_RESULTS)/models/atmosphere/llm-patches/demo
# What the diagram of the rules shows: the demo, with a stage on synthetic spectra.
DRAWN := --configfile $(DEMO) benchmarks/own_line.yaml benchmarks/control.yaml --config 'repeats={models: [ridge], folds: true}' \
         'run={tasks: [atmosphere, abundances, synthetic_abundances], sizes: [demo, all, grid], \
               models: [llm-patches, llm-demo, ridge, cnn, ensemble], validation: [galah, gaia_eso]}'
# While jobs wait for cores, Snakemake checks them once per finished job and time span.  With the default span of a second
# this takes a minute of the demo's processor time.  The greedy scheduler takes the jobs with most input first, which are
# the longest, and starts no solver for each choice.
SCHEDULE := --max-jobs-per-timespan 1000/5s --scheduler greedy

# One line per job; the jobs' own output is in their logs (results/demo/logs).
LINES := --logger starglot --logger-starglot-expected benchmarks/demo_jobs.tsv

export PATH := $(BIN):$(PATH)
export PYTHONNOUSERSITE := 1
# Else every job compiles this project's modules anew, and every plan looks through them.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup lm-eval model demo recover clean-demo test test-long test-quick check fetch-base lock docs site format lint

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  CORES=$(CORES)            number of cores for 'make demo'"
	@echo "  WORKERS=$(WORKERS)          number of processes for 'make test'"
	@echo "  CONFIG=my.yaml     settings laid over config/config.yaml, for 'check' and 'fetch-base'"
	@echo "  STOP=1             for 'recover': also end a run that is still active"
	@echo "  ACCEL=cpu|cuda     the build of torch, for 'setup' (remembered; cpu by default)"

setup: ## create or update .venv from requirements/lock.txt (ACCEL=cpu|cuda chooses the build of torch)
	@ACCEL="$(ACCEL)" PYTHON="$(PYTHON)" requirements/setup.sh

lm-eval: setup ## add lm-eval to .venv, for `snakemake retention` (docs/retention.md)
	@python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/retention.txt

model: setup ## train the demo's language model alone, in about five minutes, and ask it about one spectrum
	@python -m starglot recover --quiet
	@snakemake --cores $(CORES) --configfile $(DEMO) $(SCHEDULE) --rerun-incomplete $(LINES) -- $(MODEL)/model.json > /dev/null
	@echo
	@python -m starglot predict docs/examples/mock-star.fits.gz --model $(MODEL)

demo: setup ## run the whole pipeline on a simulated survey: tables and a report in results/demo
	@python -m starglot check config/config.yaml $(DEMO)
	@python -m starglot recover --quiet
	@snakemake --cores $(CORES) --configfile $(DEMO) $(SCHEDULE) --rerun-incomplete $(LINES) > /dev/null
	@echo
	@python workflow/scripts/show_headline.py $(DEMO_RESULTS)/tables/headline_atmosphere.csv
	@echo
	@echo "These stars are simulated: the numbers show that the system works, not how well it would do on real stars."
	@echo "Look at  $(DEMO_RESULTS)/report.html  (opens offline),  $(DEMO_RESULTS)/tables/  and  $(DEMO_RESULTS)/figures/."
	@echo "Next:    docs/tutorial.md explains each step; 'make check' lists what the full reproduction needs."

recover: setup ## after a killed run: end its jobs, keep finished work, unlock (STOP=1 also ends an active run)
	@python -m starglot recover $(if $(STOP),--stop)

clean-demo: ## remove all results of the demo
	rm -rf $(DEMO_RESULTS)

test: setup ## run the tests, all but the long ones (PYTEST_ARGS="-k name" for some)
	@OMP_NUM_THREADS=1 python -m pytest $(SHARED_OUT) -m "not long" $(PYTEST_ARGS)

test-long: setup ## run the long tests: the rest of the rebuild table, code edited under Slurm, every definition edited, ...
	@OMP_NUM_THREADS=1 python -m pytest $(SHARED_OUT) -m long $(PYTEST_ARGS)

test-quick: setup ## run the tests that train nothing and need no cluster, in minutes
	@OMP_NUM_THREADS=1 python -m pytest $(SHARED_OUT) -m "not slow" tests/unit tests/contract $(PYTEST_ARGS)

check: setup ## list the external inputs: present or missing, size, source, account (CONFIG=my.yaml)
	@python -m starglot check config/config.yaml $(CONFIG)

fetch-base: setup ## download the base models that a run needs (HF_TOKEN for gated ones; on a machine with network)
	@python -m starglot fetch config/config.yaml $(CONFIG)

LOCKED := --extra workflow --extra baselines --extra gpu --extra dev --universal --fork-strategy fewest \
    --python-version 3.11 --generate-hashes --no-emit-package torch --no-annotate --no-header --quiet
lock: setup ## write requirements/lock.txt, retention.txt and envs/ from pyproject.toml (UPGRADE=1: newer versions)
	@uv pip compile pyproject.toml $(LOCKED) $(if $(UPGRADE),--upgrade) --output-file requirements/lock.txt
	@cp requirements/lock.txt requirements/retention.txt   # versions that are locked already stay what they are
	@uv pip compile pyproject.toml $(LOCKED) --extra retention --output-file requirements/retention.txt
	@python requirements/pin_envs.py

docs: setup ## generate config/schema.json, the pages of the reference and the diagram of the rules
	@python workflow/scripts/generate_reference.py
	@snakemake --cores $(CORES) $(DRAWN) --quiet all -- inventory   # the jobs after it are known only then
	@snakemake $(DRAWN) --rerun-triggers mtime --rulegraph mermaid-js -- all qa degradation catalogue control \
	    results/own_line/tables/{scaling,comparison}_atmosphere.csv 2>/dev/null \
	    | python workflow/scripts/draw_rulegraph.py --after inventory select_shard --out docs/images/rulegraph.svg

site: setup ## build the documentation as web pages, in build/site
	@python -m sphinx -W --keep-going -q docs build/site
	@echo "Look at  build/site/index.html"

format: setup ## format Python and Snakemake files
	@ruff check --quiet --fix . ; ruff format . ; snakefmt Snakefile rules

lint: setup ## run ruff, mypy, snakefmt and snakemake --lint; all must be clean (functions in rule files are allowed)
	@ruff check .
	@ruff format --check .
	@mypy
	@snakefmt --check Snakefile rules
	@! snakemake --lint --configfile $(DEMO) 2>&1 | grep -E '^ +\* |Error' | grep -v 'Mixed rules and functions'
