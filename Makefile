# What can be done here; `make help` lists it. Every target works on a machine that has just been created.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup setup-dev demo up test lint format lock bench chaos clean

ARGS ?=
BIN := .venv/bin
STAMPS := .venv/.stamps
WORKERS ?= 3

help: ## list the targets
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)$$/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20

setup: $(STAMPS)/base ## install BytePort and its embedded servers into .venv
	@:

setup-dev: $(STAMPS)/base $(STAMPS)/dev
	@:

$(STAMPS)/base: requirements.lock pyproject.toml ops/make-venv
	@ops/make-venv requirements.lock $@

$(STAMPS)/dev: requirements-dev.lock pyproject.toml ops/make-venv | $(STAMPS)/base
	@ops/make-venv requirements-dev.lock $@

demo: setup ## play one incident for real on this machine (ARGS="--dry-run", "--json")
	@$(BIN)/byteport demo $(ARGS)

up: setup ## run the whole fleet on this machine with embedded servers
	@$(BIN)/byteport up $(ARGS)

test: setup-dev ## install what the tests need, lint, and run the whole suite
	@tests/install-servers
	@tests/install-descriptions
	@tests/make-host-tree >/dev/null
	@$(MAKE) --no-print-directory lint
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

lint: setup-dev ## format check, ruff, mypy --strict, import contracts, house law
	@$(BIN)/ruff format --check --quiet . || { echo "lint: not formatted; run: make format" >&2; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo >.venv/.import-lint 2>&1 || { cat .venv/.import-lint >&2; exit 1; }
	@$(BIN)/python -m pytest -q --no-header -p no:cacheprovider tests/architecture
	@echo "lint: clean"

format: setup-dev ## format, and mend what can be mended safely
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix .

lock: setup-dev ## pin the dependencies anew (ARGS="--upgrade")
	@ops/lock $(ARGS)

chaos: setup-dev ## kill, freeze and cut off a real fleet, and count what was lost (KILLS=500 SEED=… RESUME=1 ARGS=--json)
	@$(BIN)/python -m tests.chaos $(ARGS)

bench: setup-dev ## measure what it costs and how fast it is, beside what it is compared with (ARGS="--quick --json --rows 1,2")
	@tests/install-servers
	@$(BIN)/python -m tests.bench $(ARGS)

clean: ## remove .venv and every cache
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
