# Everything sets itself up: a machine with Python 3.11, pip and venv is enough.
# `make demo` installs what users get; `make test` adds the tools of the tests.

PYTHON ?= python3
RUN_VENV := .venv-run
DEV_VENV := .venv
BENCH_VENV := .venv-bench
PIP := -m pip --disable-pip-version-check -q install
LOCK := uv pip compile -q -U --universal --generate-hashes --no-header --no-annotate \
	--no-emit-index-url

define from_debian
	@command -v $(1) >/dev/null || { \
		echo "Installing $(2) ..."; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install -y -qq --no-install-recommends $(2) >/dev/null; \
	} || { echo "Install $(2), then run this again: $(3)."; exit 1; }
endef

# What `make fast` runs: wire format, flows and the rules of the source tree.
FAST := tests/protocol tests/flows tests/architecture tests/runtime/test_runner.py \
	tests/stores/test_record.py tests/test_errors.py

.PHONY: help demo fast test check bench lock screenshots browser network clean

help:  ## list the targets
	@awk -F ':.*  ## ' '/^[a-z]+:.*  ## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

demo: $(RUN_VENV)/.installed  ## watch a person being signed in, twice
	@$(RUN_VENV)/bin/trakt-auth demo

fast: $(DEV_VENV)/.installed  ## the quick tests: wire format, flows, rules of the source tree
	$(DEV_VENV)/bin/python -m pytest -q -m "not long" -p no:schemathesis $(FAST)

test: check browser  ## everything that has to hold: checks, all tests, coverage
	$(DEV_VENV)/bin/coverage erase
	$(DEV_VENV)/bin/coverage run -m pytest -n 2 -q
	$(DEV_VENV)/bin/coverage combine -q
	$(DEV_VENV)/bin/python tests/architecture/coverage_gate.py

check: $(DEV_VENV)/.installed  ## formatting, lint, types
	$(DEV_VENV)/bin/ruff format --check -q .
	$(DEV_VENV)/bin/ruff check -q .
	$(DEV_VENV)/bin/mypy
	$(DEV_VENV)/bin/pyright --stats
	@. $(DEV_VENV)/bin/activate && \
		pyright --verifytypes trakt_auth --ignoreexternal >$(DEV_VENV)/types.txt || \
		{ cat $(DEV_VENV)/types.txt; exit 1; }

browser:  # the pages are tested in a real one
	$(call from_debian,chromium,chromium,the pages are tested in it)

network:  # two hosts are two network namespaces
	$(call from_debian,ip,iproute2,a benchmark makes networks with it)

screenshots: $(DEV_VENV)/.installed browser  ## renew the pictures in the documentation
	$(DEV_VENV)/bin/python docs/screenshots.py

bench: $(BENCH_VENV)/.installed $(BENCH_VENV)/trakt-py network  ## figures, side by side with other libraries
	$(BENCH_VENV)/bin/python benchmarks/run.py
	$(BENCH_VENV)/bin/python benchmarks/emulator.py
	$(BENCH_VENV)/bin/python benchmarks/reliability.py
	$(BENCH_VENV)/bin/python benchmarks/hosts.py

lock: $(DEV_VENV)/.installed  ## renew the locks from the ranges in pyproject.toml
	$(DEV_VENV)/bin/python $(PIP) uv
	$(DEV_VENV)/bin/$(LOCK) --group build --extra emulator pyproject.toml -o requirements/run.lock
	$(DEV_VENV)/bin/$(LOCK) --group build --extra all --group dev pyproject.toml -o requirements/dev.lock
	$(DEV_VENV)/bin/$(LOCK) --group build --extra all --group bench pyproject.toml -o requirements/bench.lock
	$(DEV_VENV)/bin/$(LOCK) --group trakt-py -o requirements/trakt-py.lock

clean:  ## remove what the other targets have made
	rm -rf $(RUN_VENV) $(DEV_VENV) $(BENCH_VENV) .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(RUN_VENV)/.installed: requirements/run.lock pyproject.toml
$(DEV_VENV)/.installed: requirements/dev.lock pyproject.toml
$(BENCH_VENV)/.installed: requirements/bench.lock pyproject.toml
$(RUN_VENV)/.installed $(DEV_VENV)/.installed $(BENCH_VENV)/.installed:
	@echo "Setting up $(@D) ..."
	@$(PYTHON) -m venv --clear $(@D)
	@$(@D)/bin/python $(PIP) --require-hashes --no-deps -r $<
	@$(@D)/bin/python $(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(BENCH_VENV)/trakt-py: requirements/trakt-py.lock $(BENCH_VENV)/.installed
	@$(BENCH_VENV)/bin/python $(PIP) --require-hashes --no-deps --upgrade --target $@ -r $<
	@touch $@
