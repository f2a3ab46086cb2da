# One command per need; `make` alone lists them. GNU make, Linux or macOS.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo demo-queue demo-workflow test test-chaos lint format bench-smoke bench bench-check chaos lock clean
# Someone else's packages must not be found before those of .venv.
unexport PYTHONPATH PYTHONHOME
# `make PYTHON=/path/to/python3` picks the Python that .venv is made with.
export PYTHON

VENV := .venv
READY := $(VENV)/.ready
RUN := $(VENV)/bin/python

# $(call timed,phase,command): run a phase, and say at its end how long it took, well or not.
define timed
@printf '\n== %s\n' '$(1)'; start=$$SECONDS; code=0; $(2) || code=$$?; \
printf -- '-- %s: %d s\n' '$(1)' "$$((SECONDS - start))"; exit $$code
endef

help: ## List these targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## Six scans on two simulated scanners through a real Kafka, to a picture.
	@$(RUN) -m sandbox.demo $(ARGS)

demo-queue: $(READY) ## A scanner's queue on a bad day: urgent, cancelled, switched off, UNKNOWN (2 min).
	@$(RUN) -m sandbox.demo_queue $(ARGS)

demo-workflow: $(READY) ## Two workflows run themselves; one fails and is resumed (1 min).
	@$(RUN) -m sandbox.demo_workflow $(ARGS)

# Some files at a time: most of a test is waiting.
PYTEST = $(RUN) -m pytest --dist loadfile
CHAOS_TESTS = $(call timed,chaos,$(PYTEST) -n 2 tests/chaos)

test: lint ## Check style and types, then run all tests, with a real broker; chaos last (12 min).
	$(call timed,tests,$(PYTEST) -n 3 --ignore tests/chaos $(ARGS))
	@# Alone: its faults are timed, and other tests beside it would be faults as well.
	$(CHAOS_TESTS)

test-chaos: $(READY) ## Of `make test` the short chaos run and the checker seen to fail (4 min).
	$(CHAOS_TESTS)

lint: $(READY) ## Check style, format and types.
	$(call timed,ruff check,$(RUN) -m ruff check)
	$(call timed,ruff format,$(RUN) -m ruff format --check)
	$(call timed,mypy,$(RUN) -m mypy)

format: $(READY) ## Put all code into the house's format, and mend what can be mended.
	@$(RUN) -m ruff check --fix-only
	@$(RUN) -m ruff format

bench-smoke: $(READY) ## Measure latency, rate, CPU and memory of one worker, in two minutes.
	@$(RUN) -m bench.smoke $(ARGS)

bench: $(READY) ## Compare with a bare loop, a naive agent and the old way; tables and a plot (8 min).
	@$(RUN) -m bench.compare $(ARGS)

bench-check: $(READY) ## Fail when the last `make bench` is slower than the stored one of this machine.
	@$(RUN) -m bench.check $(ARGS)

SEED ?= 1
MINUTES ?= 20
chaos: $(READY) ## Seeded faults, then random messages, and a verdict (SEED=, MINUTES=).
	@$(RUN) -m sandbox.chaos --seed $(SEED) --minutes $(MINUTES) --report docs/reliability.md $(ARGS)

COMPILE := uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --quiet --custom-compile-command "make lock"

lock: $(READY) ## Pin packages and jars anew after a change to pyproject.toml or jgo.toml (needs uv).
	@command -v uv >/dev/null || { echo 'make lock needs uv on the path' >&2; exit 1; }
	@$(COMPILE) $(ARGS) -o requirements/run.txt
	@$(COMPILE) $(ARGS) --group dev -o requirements/dev.txt
	@$(RUN) -m sandbox.kafka.relock

clean: ## Remove all that these targets made, .venv too; the user's cache stays.
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis out state
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Made anew only when what it is made from has changed.
$(READY): requirements/dev.txt scripts/bootstrap.py scripts/install.py
	@python=$${PYTHON:-$$(command -v python3 || command -v python || true)}; \
	[ -n "$$python" ] || { echo 'set-up: Python 3.11 or newer is needed' >&2; exit 1; }; \
	"$$python" scripts/bootstrap.py
	@touch $@
