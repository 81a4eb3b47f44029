# Everything is set up on demand: a bare clone needs Python 3.11 or newer, and make.
PYTHON ?= $(shell for each in python3 python3.14 python3.13 python3.12 python3.11; do \
  $$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$each && break; done)
VENV ?= .venv
BIN = $(VENV)/bin

SITE ?= trickleweb/site
PORT ?= 8080
REPLICAS ?= 3
UDP_PORT ?= 8443
RUN_DIR ?= .run
ARGS ?=

NEW_ENOUGH = import sys; sys.exit(sys.version_info < (3, 11))
WORKERS ?= 2

# One arena for all threads: memory that a thread gives back can be used by all. Bytecode is kept, whatever the shell
# says: else each process that a test starts compiles all it imports, and each run rewrites the assertions of all tests.
PYTEST = MALLOC_ARENA_MAX=1 PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n $(WORKERS) --dist loadgroup
FAST = -m "not slow and not e2e" --ignore=tests/e2e

.DEFAULT_GOAL := help
.PHONY: help serve test check fast lint format types bench demo docs clean

help:  ## show what can be made
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

# An environment whose Python is too old, or is gone, is made anew.
ifneq ($(wildcard $(VENV)/.made),)
ifneq ($(shell $(BIN)/python -c '$(NEW_ENOUGH)' 2>/dev/null && echo usable),usable)
.PHONY: $(VENV)/.made
endif
endif

# One stamp for each set of packages; done again when pyproject.toml changes.
$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or newer found; say PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c '$(NEW_ENOUGH)' || { echo "make: $(PYTHON) is no Python 3.11 or newer; say PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.made pyproject.toml
	$(call install,.)

$(VENV)/.installed-%: $(VENV)/.installed
	$(call install,.[$*])

# What pip says matters only when it fails, and without a network it says the same thing fifteen times.
define install
@echo "make: installing $(1) into $(VENV), once"
@$(BIN)/python -m pip install --retries 2 --editable '$(1)' >$(VENV)/pip.log 2>&1 || { \
  if grep -Eq 'NewConnectionError|NameResolutionError|ConnectTimeoutError|ProxyError|name resolution' $(VENV)/pip.log; \
  then echo "make: pip reaches no package index: the network is needed once, to fill $(VENV)" >&2; \
  else cat $(VENV)/pip.log >&2; fi; exit 1; }
@touch $@
endef

.PRECIOUS: $(VENV)/.installed-%

serve: $(VENV)/.installed  ## serve SITE= on http://127.0.0.1:PORT/ through REPLICAS= replicas
	$(BIN)/trickleweb serve '$(patsubst ~/%,$(HOME)/%,$(SITE))' --replicas $(REPLICAS) --listen 127.0.0.1:$(PORT) --udp 127.0.0.1:$(UDP_PORT) --run-dir $(RUN_DIR) $(ARGS)

test: $(VENV)/.installed-test  ## run every test (about 20 minutes on 2 cores)
	$(PYTEST) $(ARGS)

check: lint types fast  ## the fast suite: style, types, and all tests that are neither slow nor e2e

fast: $(VENV)/.installed-test  ## the tests of the fast suite alone
	$(PYTEST) $(FAST) $(ARGS)

lint: $(VENV)/.installed-test  ## check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.installed-test  ## mend style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.installed-test  ## check types
	$(BIN)/mypy

bench: $(VENV)/.installed-bench  ## run the benchmarks, and print their tables
	$(BIN)/python -m benchmarks $(ARGS)

demo: $(VENV)/.installed  ## download a large file while replicas are killed every second
	$(BIN)/trickleweb demo $(ARGS)

docs: $(VENV)/.installed-docs  ## write the reference of the public names to build/reference
	$(BIN)/python docs/make_reference.py build/reference

clean:  ## remove all that was made
	rm -rf $(VENV) $(RUN_DIR) build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find trickles trickleweb tests -name __pycache__ -prune -exec rm -rf {} +
