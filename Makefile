# Everything a person types here. `make` alone lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
# A Python of this machine, never one fetched; the system's own certificates.
export UV_PYTHON_DOWNLOADS := never
export UV_SYSTEM_CERTS := 1
export CARGO_TERM_PROGRESS_WHEN := auto
ARGS ?=
# Processes that run Python tests at a time: tests with real peers mostly wait.
WORKERS ?= $(shell echo $$(( $$(nproc) + 1 )))
PYTEST := $(BIN)/pytest -n $(WORKERS) --dist worksteal

.PHONY: help
help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

# --- set up ---------------------------------------------------------------------------------------------------------

STAMP := $(VENV)/.set-up
SOURCES := pyproject.toml api/pyproject.toml uv.lock Cargo.toml Cargo.lock \
	$(shell find rust -name '*.rs' -path '*/src/*' -o -name Cargo.toml -path 'rust/*' 2>/dev/null)

$(VENV)/bin/uv:
	@echo '==> a virtual environment in $(VENV)'
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mobike needs Python 3.11 or newer; this is " + sys.version)'
	@command -v cargo >/dev/null || { echo 'mobike needs a Rust toolchain (cargo) on PATH' >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check 'uv>=0.9,<1'

$(STAMP): $(VENV)/bin/uv $(SOURCES)
	@echo '==> the Rust core and the Python packages (the first time takes some minutes)'
	@$(BIN)/uv sync --locked --python $(BIN)/python --all-packages
	@touch $@

.PHONY: setup
setup: $(STAMP)  ## build the core, install the packages

.PHONY: system-packages
system-packages:  ## as root on Debian: what the interop tests need
	@.ci/system-packages

# --- the main job ---------------------------------------------------------------------------------------------------

.PHONY: demo
demo: $(STAMP)  ## two ends, a tunnel, two moves; ARGS=--stay leaves the gateway up
	@$(BIN)/mobike demo $(ARGS)

# --- tests ----------------------------------------------------------------------------------------------------------

.PHONY: test
test: system-packages $(STAMP) lint test-rust test-python  ## everything

.PHONY: lint
lint: $(STAMP)  ## formats, lints, types, walls
	@echo '==> lint'
	@cargo fmt --all --check
	@cargo clippy --quiet --workspace --all-targets --all-features -- -D warnings
	@$(BIN)/ruff format --quiet --check python api tests benches
	@$(BIN)/ruff check --quiet python api tests benches
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/mypy --no-error-summary tests benches
	@$(BIN)/lint-imports --no-cache >/dev/null || $(BIN)/lint-imports --no-cache

.PHONY: test-rust
test-rust:  ## the Rust tests
	@echo '==> rust tests'
	@cargo test --quiet --workspace --all-features

.PHONY: test-python
test-python: $(STAMP)  ## the Python tests, interop with strongSwan among them
	@echo '==> python tests'
	@$(PYTEST) --durations=25 --durations-min=5 $(ARGS)

.PHONY: interop
interop: system-packages $(STAMP)  ## every test with strongSwan, those that `make test` leaves out too
	@$(PYTEST) tests/interop -m interop $(ARGS)

.PHONY: requirements
requirements:  ## every row of docs/requirements.md with the tests that prove it; fails while one is open
	@$(PYTHON) -m tests.requirements

.PHONY: pictures
pictures: $(STAMP)  ## the pictures of docs/page.md and docs/cli.md anew: look at them before you commit them
	@$(BIN)/python -m tests.page.pictures docs/pictures overview-wide-light sa-wide-dark failures-wide-light moves-wide-light config-wide-light credentials-wide-dark sas-phone-dark
	@$(BIN)/python -m tests.cli.pictures docs/pictures watch why status

.PHONY: openapi
openapi: $(STAMP)  ## docs/openapi.json anew, after the API has changed: read the difference, and commit it
	@$(BIN)/python -m mobike_api.document > docs/openapi.json.new
	@mv docs/openapi.json.new docs/openapi.json

.PHONY: man
man: $(STAMP)  ## docs/man anew, after the command line or a key has changed
	@$(BIN)/python -m mobike.cli.manual 1 > docs/man/mobike.1
	@$(BIN)/python -m mobike.cli.manual 5 > docs/man/mobike.toml.5

SEEDS ?= 1000
SEED ?= 1

.PHONY: soak
soak: $(STAMP)  ## many seeds of chaos in the simulated world: SEEDS=n, SEED=first, KIND=kind
	@$(BIN)/python -m tests.sim.soak --seeds $(SEEDS) --first $(SEED) $(if $(KIND),--kind $(KIND))

# --- numbers --------------------------------------------------------------------------------------------------------

.PHONY: bench
bench: $(STAMP)  ## all benches: criterion, decisions, time to recover, the fleet against strongSwan
	cargo bench --workspace -- --warm-up-time 1 --measurement-time 2
	@$(MAKE) --no-print-directory bench-decisions
	@$(MAKE) --no-print-directory bench-recovery
	@$(MAKE) --no-print-directory bench-fleet

.PHONY: bench-decisions
bench-decisions: $(STAMP)  ## the control plane alone: 100,000 SAs lose an address; a search by the draft's timing and by ours
	@$(BIN)/python -m benches.fleet_decision
	@$(BIN)/python -m benches.listing
	@$(BIN)/python -m benches.draft_arithmetic

.PHONY: bench-xfrm
bench-xfrm: $(STAMP)  ## the kernel's data plane in bulk; ARGS=--lab with real SAs
	@$(BIN)/python -m benches.xfrm $(ARGS)

.PHONY: bench-moves
bench-moves: system-packages $(STAMP)  ## packets lost in each kind of move in the kernel, ours beside strongSwan; ARGS=--page
	@$(BIN)/python -m benches.moves $(ARGS)

.PHONY: lab
lab: system-packages $(STAMP)  ## every test in a kernel with IPsec, those that `make test` leaves out too, and the unit under systemd; KERNEL=newer, no-migrate: another
	@$(if $(KERNEL),kernel=$$(.ci/lab-kernel $(KERNEL)); export MOBIKE_LAB_KERNEL=$$kernel;) \
	$(BIN)/pytest tests/lab tests/dataplane/xfrm -m kernel_ipsec -v --durations=25 --durations-min=5 $(ARGS)
	@$(BIN)/pytest tests/deploy -m thorough

.PHONY: image
image: $(STAMP)  ## the image of docs/deploy/Containerfile, by buildah, and its tests; BASE=mirror: without a registry
	@name=$$(.ci/image); MOBIKE_IMAGE=$$name $(BIN)/pytest tests/deploy/test_image.py -m thorough $(ARGS)

.PHONY: bench-recovery
bench-recovery: $(STAMP)  ## time to recover and packets sent in the shipped scenarios; writes benches/results/recovery.md
	@$(BIN)/python -m benches.recovery $(ARGS)

.PHONY: bench-fleet
bench-fleet: system-packages $(STAMP)  ## setups per second, CPU and memory beside strongSwan; writes benches/results/fleet.json
	@$(BIN)/python -m benches.fleet $(ARGS)

.PHONY: format
format: $(STAMP)  ## format everything
	cargo fmt --all
	$(BIN)/ruff format python api tests benches
	$(BIN)/ruff check --fix python api tests benches

.PHONY: clean
clean:  ## remove what was built
	rm -rf $(VENV) target benches/results
