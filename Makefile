# Everything that is run here is run through these targets; `make help` lists them.
# Needs make, sh and what tools/preflight names. Stamps are written last, so that what was
# interrupted is done again.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= $(shell tools/preflight --python)
VENV := .venv
BIN := $(VENV)/bin
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)

EXTENSION := src/headgate/_core/_core.abi3.so
VENV_STAMP := $(VENV)/.headgate-requirements
INSTALL_STAMP := $(VENV)/.headgate-installed

PYTHON_SOURCES := $(shell find src tests/support tools -name '*.py')
BYTECODE_STAMP := build/bytecode
RUST_SOURCES := Cargo.toml Cargo.lock $(shell find engine -name '*.rs' -o -name Cargo.toml)

CASE ?=
ROUNDS ?=
SECONDS_EACH ?= 60
COUNT ?= 100
SEED ?=
AREA ?=
AGENTS ?=
DATABASE ?=

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: $(INSTALL_STAMP) $(EXTENSION) $(BYTECODE_STAMP) ## .venv with the package and the compiled extension: .venv/bin/headgate

$(VENV_STAMP): requirements.lock
	@tools/preflight
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { rm -rf $(VENV); $(PYTHON) -m venv $(VENV); }
	@echo "build: Python packages"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@touch $@

$(INSTALL_STAMP): $(VENV_STAMP) pyproject.toml tools/develop.py
	@echo "build: headgate into $(VENV), sources in place"
	$(BIN)/python tools/develop.py
	@touch $@

# As `pip install` does it. Where PYTHONDONTWRITEBYTECODE is set, as images set it, each of the thousands
# of processes that tests start would compile what it imports.
$(BYTECODE_STAMP): $(VENV_STAMP) $(PYTHON_SOURCES)
	@mkdir -p build
	@$(BIN)/python -m compileall -q src tests/support tools
	@touch $@

# Not through maturin: it gives PyO3 another environment than `cargo test` and `cargo clippy` do,
# and cargo would build PyO3 again on each turn. What users get is built by maturin: `make wheel`.
# As old as the beginning of its build: what was edited since then is newer, and built next time.
$(EXTENSION): $(RUST_SOURCES)
	@tools/preflight
	@echo "build: the extension"
	@mkdir -p build
	@touch build/extension.begun
	cargo build --locked --package hg-py
	@cp $(TARGET_DIR)/debug/lib_core.so build/extension
	@touch -r build/extension.begun build/extension
	@mv build/extension $@

.PHONY: run
run: build ## A fleet here: a master, a node, three demo upstreams; PORT=8000 is where the node listens
	@PORT='$(PORT)' $(BIN)/python tools/demo.py fleet

.PHONY: run-node
run-node: build ## A node alone, with three demo upstreams; PORT=8000 is where it listens
	@PORT='$(PORT)' $(BIN)/python tools/demo.py node

.PHONY: example-fleet
example-fleet: build ## A canary rollout that hurts and is undone, on three nodes; takes two minutes
	$(BIN)/python examples/fleet/run.py

.PHONY: test
# Twice as many processes as the smallest machine has cores: most tests wait for processes to start.
# Each of them imports every test; pytest keeps what it compiled, unless the environment forbids it.
# Exit code 1 of pytest: it ran to its end, and tests failed.
test: build ## Rust tests, then Python tests
	cargo test --locked --workspace --quiet
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 4 --dist worksteal $(if $(CI),|| { [ $$? -eq 1 ] && $(BIN)/python tools/second_look.py; })

# `make -k check` goes on after a failure.
CHECKS := check-format check-lint check-types check-layers check-sizes check-generated check-rust
.PHONY: check $(CHECKS)
check: build $(CHECKS) ## Format, lint, types, layers, sizes, generated files, clippy

# A macro lists these modules, so cargo does not see them.
LISTED := $(wildcard engine/crates/hg-middleware/src/*/mod.rs engine/crates/hg-policy/src/*/*.rs)

check-format: build
	$(BIN)/ruff format --quiet --check .
	cargo fmt --all --check
	rustfmt --edition 2024 --check $(LISTED)
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo fmt --manifest-path tools/gen_proto_rust/Cargo.toml --check
	cargo fmt --manifest-path benchmarks/primitives/Cargo.toml --check

check-lint: build
	$(BIN)/ruff check --quiet .

check-types: build
	$(BIN)/mypy

check-layers: build
	$(BIN)/lint-imports --no-cache --no-logo

check-sizes: build
	$(BIN)/python tools/size_ratchet.py

check-generated: build
	$(BIN)/python tools/generate.py --check

# hg-sim compiles the engine's sources again; their own tests, which --all-targets takes along whatever
# its manifest says, belong to hg-engine.
check-rust: build
	cargo clippy --locked --workspace --exclude hg-sim --all-targets --quiet -- -D warnings
	cargo clippy --locked --package hg-sim --lib --test simulation --quiet -- -D warnings

.PHONY: format
format: build ## Format Python and Rust in place
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	cargo fmt --all
	rustfmt --edition 2024 $(LISTED)
	cargo fmt --manifest-path fuzz/Cargo.toml
	cargo fmt --manifest-path tools/gen_proto_rust/Cargo.toml
	cargo fmt --manifest-path benchmarks/primitives/Cargo.toml

.PHONY: generate
generate: build ## Write generated files again
	$(BIN)/python tools/generate.py

# What is measured is what users get: the wheel, in an environment of its own.
BENCH_VENV := build/bench
$(BENCH_VENV)/.headgate-installed: $(RUST_SOURCES) requirements.lock $(shell find src -name '*.py')
	$(MAKE) --no-print-directory wheel
	@$(BENCH_VENV)/bin/python -m pip --version >/dev/null 2>&1 || { rm -rf $(BENCH_VENV); $(PYTHON) -m venv $(BENCH_VENV); }
	$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall --no-index --find-links dist headgate
	@touch $@

.PHONY: bench
bench: $(BENCH_VENV)/.headgate-installed ## Benchmarks beside the peers, with the release build; CASE=… ROUNDS=… PEERS=…
	$(BENCH_VENV)/bin/python benchmarks/run.py --headgate $(BENCH_VENV)/bin/headgate $(if $(CASE),--case '$(CASE)') $(if $(ROUNDS),--rounds '$(ROUNDS)') $(if $(PEERS),--peers '$(PEERS)')

.PHONY: scale
scale: build ## One master and many simulated agents, and first starts; AGENTS=10000 DATABASE=sqlite REPORT=…
	$(BIN)/python benchmarks/scale.py $(if $(AGENTS),--agents '$(AGENTS)') $(if $(DATABASE),--database '$(DATABASE)') $(if $(REPORT),--report '$(REPORT)')

.PHONY: scale-rest
scale-rest: build ## A master's REST API with many objects and watchers; OBJECTS=100000 CLIENTS=200
	$(BIN)/python benchmarks/scale_rest.py $(if $(OBJECTS),--objects '$(OBJECTS)') $(if $(CLIENTS),--clients '$(CLIENTS)')

.PHONY: fuzz
fuzz: ## Every fuzz target for SECONDS_EACH (60) seconds, with cargo-fuzz
	@tools/fuzz '$(SECONDS_EACH)'

MUTANTS_VERSION := 27.1.0
CARGO_MUTANTS := build/cargo-mutants-$(MUTANTS_VERSION)/bin/cargo-mutants
$(CARGO_MUTANTS):
	cargo install --locked --root build/cargo-mutants-$(MUTANTS_VERSION) --version $(MUTANTS_VERSION) cargo-mutants

.PHONY: mutants
mutants: build $(CARGO_MUTANTS) ## Small faults that a test must notice: COUNT=100 SEED=… AREA=… FILE=…
	CARGO_MUTANTS=$(CARGO_MUTANTS) PYTHONPATH=tools $(BIN)/python -m mutants --count '$(COUNT)' $(if $(SEED),--seed '$(SEED)') $(if $(AREA),--area '$(AREA)') $(if $(FILE),--file '$(FILE)')

.PHONY: system-deps
system-deps: ## Debian packages that some tests use (root)
	@tools/system-deps

# Zig links against the C library of 2018 (glibc 2.28), wherever the wheel is built; maturin refuses
# a wheel that needs a newer one.
ZIG_VERSION := 0.17.1
.PHONY: wheel
wheel: $(VENV_STAMP) ## The wheel that users install, into dist/: any Linux with glibc 2.28 or later
	@tools/preflight
	$(BIN)/python -m pip install --quiet --disable-pip-version-check ziglang==$(ZIG_VERSION)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/maturin build --release --locked --strip --zig --compatibility manylinux_2_28 --interpreter $(BIN)/python --out dist

.PHONY: lock
lock: ## Newest versions into requirements.lock and Cargo.lock
	$(PYTHON) -m venv --clear build/lock
	build/lock/bin/python tools/develop.py --requirements > build/requirements.txt
	build/lock/bin/python -m pip install --quiet --upgrade -r build/requirements.txt
	{ sed '/^[^#]/,$$d' requirements.lock; build/lock/bin/python -m pip freeze; } > build/requirements.lock
	mv build/requirements.lock requirements.lock
	cargo update

.PHONY: clean
clean: ## Remove everything that was built
	-cargo clean --quiet
	rm -rf build dist $(VENV) fuzz/target $(EXTENSION)
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
