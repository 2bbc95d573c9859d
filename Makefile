# The one entry for developers. Everything happens in .venv; nothing outside the checkout is touched.

MAKEFLAGS += --no-print-directory
SHELL := /bin/sh
.DEFAULT_GOAL := help
# Where it is set, each of the thousand programs that the tests start would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

# The interpreter .venv is made with; without one, the first that works (see the recipe below).
PYTHON ?=
# More arguments for pytest: make test ARGS="-k roster"
ARGS ?=
# Tests run beside one another, three for each core: the long ones wait for clocks and processes, not for the processor.
WORKERS ?= $(shell echo $$((3 * $$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1))))

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet
UV := .lock/bin/uv

.PHONY: help venv demo test test-long faults check format bench load pictures completions lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

venv: $(VENV)/.installed ## make .venv with the pinned packages; again only when their list has changed
	@:

demo: venv ## show everything once on this machine
	@$(BIN)/caisey demo

test: venv ## run the tests beside one another; ARGS="..." goes to pytest
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

test-long: ## run the further cases that `make test` leaves out
	@$(MAKE) test ARGS="-m long $(ARGS)"

faults: venv ## play the fault matrix for a minute, then find every planted bug; ARGS="--seed N" plays one run again
	@$(BIN)/python -m tests.faults $(ARGS)

check: venv ## lint, formatting, types, import directions
	@status=0; \
	$(BIN)/ruff check . || status=1; \
	$(BIN)/ruff format --check . || status=1; \
	$(BIN)/mypy || status=1; \
	$(BIN)/lint-imports --no-logo || status=1; \
	exit $$status

format: venv ## format, and mend what the linter can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: venv ## measure against floors and peers; ARGS="relay commands" measures only those
	@$(BIN)/python -m benchmarks $(ARGS)

load: venv ## idle endpoints, live sessions, a storm of reconnections and a soak on one relay; ARGS="--help" tells more
	@$(BIN)/python -m benchmarks.load $(ARGS)

pictures: venv ## take the pictures of the session view anew; the diff is the review
	@$(BIN)/python -m tests.tui.pictures $(ARGS)

completions: venv ## write the shells' completion scripts and the grammar behind them anew
	@$(BIN)/python -m caisey_cli.grammar > .grammar.json && mv .grammar.json caisey_cli/grammar.json
	@mkdir -p completions
	@for shell in bash zsh fish powershell; do \
	  case $$shell in powershell) suffix=ps1 ;; *) suffix=$$shell ;; esac; \
	  _CAISEY_COMPLETE=source_$$shell $(BIN)/caisey > completions/caisey.$$suffix || exit 1; \
	done

lock: ## pin anew into requirements.txt (ARGS=--upgrade: newest of everything)
	@test -x $(UV) || { $(call find_python) "$$python" -m venv .lock && .lock/bin/python -m pip -q install 'uv>=0.13'; }
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --group dev \
	    --no-header --no-emit-index-url --no-emit-find-links $(ARGS) --output-file requirements.txt pyproject.toml
	@! grep -n '://' requirements.txt

clean: ## remove everything that can be made again
	@rm -rf $(VENV) .lock build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Sets $python. A name in PATH proves nothing: a version manager's shim may refuse to run, a distribution may ship
# no ensurepip. So every candidate has to show that it runs, is new enough and can make an environment with pip.
define find_python
python='$(PYTHON)'; \
works() { "$$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }; \
if [ -z "$$python" ]; then \
  for name in python3.13 python3.12 python3.11 python3; do \
    IFS=:; for directory in $$PATH; do \
      if works "$$directory/$$name"; then python="$$directory/$$name"; break 2; fi; \
    done; unset IFS; \
  done; unset IFS; \
elif ! works "$$python"; then \
  echo "make: $$python does not run, is older than Python 3.11, or lacks venv/ensurepip" >&2; exit 1; \
fi; \
if [ -z "$$python" ]; then \
  echo "make: no Python 3.11 or newer with venv and ensurepip in PATH; name one: make venv PYTHON=/path/to/python3" >&2; exit 1; \
fi;
endef

# pip's warnings are of use only when it fails.
define quietly
output=$$($(1) 2>&1) || { printf '%s\n' "$$output" >&2; exit 1; }
endef

$(VENV)/.requirements: requirements.txt
	@$(call find_python) \
	echo "Installing the pinned packages into $(VENV); the first time this takes about half a minute ..." >&2; \
	[ -x $(BIN)/python ] && $(BIN)/python -c '' 2>/dev/null || { $(call quietly,"$$python" -m venv --clear $(VENV)); }; \
	$(call quietly,$(PIP) install --require-hashes -r requirements.txt); \
	touch $@

$(VENV)/.installed: $(VENV)/.requirements pyproject.toml
	@$(call quietly,$(PIP) install --no-deps --no-build-isolation --editable .)
	@touch $@
