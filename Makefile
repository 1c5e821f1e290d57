# Topograph: `make study` runs the default study, `make test` all checks; `make help` lists the rest.
# Any file under results/ or reports/ is a target: make reports/study/figures/tlp-fig3.html

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

STUDY ?= study
# Where jobs run: make paper PROFILE=slurm (workflow/profiles).
PROFILE ?=
EXECUTOR := $(filter slurm kubernetes,$(PROFILE))
# On a cluster the cores of one job: its members run one after another.
CORES ?= $(if $(EXECUTOR),1,$(shell nproc 2>/dev/null || sysctl -n hw.ncpu))
PYTHON ?= python3
# Passed to Snakemake as they are: make study ARGS=--dry-run
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
# The executor of a cluster lies beside the environment, not in it: it would slow every start.
BESIDE := $(EXECUTOR:%=/usr/bin/env PYTHONPATH=$(CURDIR)/.venv-%$(PYTHONPATH:%=:%) )
READY := $(VENV)/.ready $(EXECUTOR:%=.venv-%/.ready)

# The one place that calls Snakemake. $(1): study, $(2): targets and options.
snakemake = $(BESIDE)$(BIN)/snakemake --workflow-profile workflow/profiles/default \
	--configfile config/$(1).yaml --cores $(CORES) $(2) \
	$(PROFILE:%=--profile workflow/profiles/%) $(ARGS)
# Prints that call, and makes sure that it is the only one at work in this checkout.
run = @$(BIN)/python workflow/launch.py $(call snakemake,$(1),$(2))

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: study smoke gallery paper
study: $(READY) ## run the default study, about 15 minutes on 2 cores, and build its site
	$(call run,$(STUDY))

smoke: ## run the same workflow at toy size, 3 minutes
	@$(MAKE) --no-print-directory study STUDY=smoke

gallery: ## run every usual way to look at a loss landscape on small models, 10 minutes
	@$(MAKE) --no-print-directory study STUDY=gallery

paper: ## run the published grids: months on 2 cores, see workflow/profiles/README.md
	@$(MAKE) --no-print-directory study STUDY=paper

.PHONY: why
why: $(READY) ## say what would run and why: STUDY=smoke make why
	$(call run,$(STUDY),--dry-run --logger-topograph-judge)

.PHONY: publish crate
publish: $(READY) ## merge what is finished into reports/published/: make publish STUDY=paper
	$(BIN)/topograph publish config/$(STUDY).yaml

crate: $(READY) ## pack a finished study as an RO-Crate
	$(BIN)/topograph crate config/$(STUDY).yaml --out reports/crates/$(STUDY)

# Two processes: what works on the finished smoke study, and the rest. 5: pytest had no test to run.
pytest = $(BIN)/python -m pytest -m '$(1) and not long' $(ARGS) || test $$? -eq 5
.PHONY: test test-workflow test-library test-long check
test: $(READY) ## run all checks and tests
	@$(MAKE) --no-print-directory --keep-going --jobs=3 check test-workflow test-library

test-workflow: $(READY) ## only the tests of the smoke study
	@$(call pytest,workflow)

# Shown when it is done, so that the lines of two processes do not mix.
test-library: $(READY) ## only the tests of the library, and of runs of other studies
	@log=$$(mktemp); status=0; ($(call pytest,not workflow)) > $$log 2>&1 || status=$$?; \
	cat $$log; rm $$log; exit $$status

test-long: $(READY) ## run the tests on a real Slurm and what else takes long
	$(BIN)/python -m pytest -m long $(ARGS)

check: $(READY) ## style, types and workflow lint, under a minute
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/snakefmt --check Snakefile workflow/rules
	$(BIN)/mypy
	$(BIN)/snakemake --lint --workflow-profile workflow/profiles/default --configfile config/smoke.yaml

.PHONY: lock schema
COMPILE = $$(cat $(VENV)/.uv) pip compile --universal --generate-hashes --upgrade \
	--no-emit-index-url --no-header --python-version 3.11 --quiet pyproject.toml
# What an executor needs beyond the lock. Two packages stand in the lock for PyPy alone.
BEYOND_LOCK = --constraint envs/lock.txt \
	$$(sed -nE "/== 'pypy'/!s/^([A-Za-z0-9._-]+)==.*/--no-emit-package \1/p" envs/lock.txt)
lock: $(VENV)/.uv ## choose versions anew: writes envs/lock.txt, slurm.txt and kubernetes.txt
	$(COMPILE) --group dev -o envs/lock.txt
	for executor in slurm kubernetes; do \
		$(COMPILE) --extra $$executor $(BEYOND_LOCK) -o envs/$$executor.txt; \
	done

schema: $(READY) ## write config/schema.json from the models
	$(BIN)/topograph schema > config/schema.json

# A file of any study: its folder names the study.
.PHONY: FORCE
FORCE:
results/% reports/%: $(READY) FORCE
	$(call run,$(word 2,$(subst /, ,$@)),$@)
data/%: $(READY) FORCE
	$(call run,$(STUDY),$@)

# uv from the machine, or else in a private environment of its own.
$(VENV)/.uv:
	@mkdir -p $(VENV)
	@if command -v uv >/dev/null; then command -v uv > $@; else \
		$(PYTHON) -m venv .uv && .uv/bin/python -m pip install --quiet uv && \
		echo '$(CURDIR)/.uv/bin/uv' > $@; fi

# Made anew only when the lock or the package's metadata changed. Bytecode is made here once: where
# Python may not keep it, every job would compile torch again, 5 to 8 seconds each.
$(VENV)/.ready: envs/lock.txt pyproject.toml | $(VENV)/.uv
	@test ! -L $(VENV) || { echo "$(VENV) belongs to another checkout: run make there"; exit 1; }
	@echo "setting up $(VENV) from envs/lock.txt"
	@uv=$$(cat $(VENV)/.uv); \
	test -x $(BIN)/python || $$uv venv --quiet --allow-existing --python $(PYTHON) $(VENV); \
	$$uv pip sync --quiet --compile-bytecode --python $(VENV) --require-hashes envs/lock.txt; \
	$$uv pip install --quiet --python $(VENV) --no-deps --no-build-isolation --editable .
	@touch $@

.venv-slurm/.ready .venv-kubernetes/.ready: .venv-%/.ready: envs/%.txt | $(VENV)/.ready
	@echo "setting up $(@D) from $<"
	@rm -rf $(@D)
	@$$(cat $(VENV)/.uv) pip install --quiet --compile-bytecode --python $(VENV) --target $(@D) \
		--no-deps --require-hashes --requirements $<
	@touch $@

# The packages that Topograph is measured against live apart from it; no other target needs them.
PEERS := .venv-peers/.ready

.PHONY: conformance bench
conformance: $(PEERS) ## run the closed-form cases on rival packages too
	OMP_NUM_THREADS=1 .venv-peers/bin/python tests/conformance/peers.py

bench: $(PEERS) $(READY) ## measure against rival packages, about an hour on 2 idle cores
	.venv-peers/bin/python tests/bench/bench.py
	$(BIN)/python tests/bench/trajectories.py

.PHONY: gpu
gpu: $(READY) ## run the CUDA tests, the smoke study and the benchmarks on a GPU, if there is one
	@if ! $(BIN)/python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then \
		echo "no GPU on this machine: nothing was run"; \
	else \
		$(BIN)/python -m pytest -m cuda && \
		$(MAKE) --no-print-directory smoke PROFILE=gpu && \
		$(MAKE) --no-print-directory $(PEERS) && \
		.venv-peers/bin/python tests/bench/bench.py --device cuda && \
		$(BIN)/python tests/bench/trajectories.py stacked --device cuda; \
	fi

$(PEERS): envs/peers.txt pyproject.toml | $(VENV)/.uv
	@echo "setting up .venv-peers from envs/peers.txt"
	@uv=$$(cat $(VENV)/.uv); \
	test -x .venv-peers/bin/python || \
		$$uv venv --quiet --allow-existing --python $(PYTHON) .venv-peers; \
	$$uv pip sync --quiet --compile-bytecode --python .venv-peers --require-hashes envs/peers.txt; \
	$$uv pip install --quiet --python .venv-peers --no-deps --no-build-isolation --editable .
	@touch $@
