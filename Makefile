# The project's one task list. `make help` prints it.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python

.PHONY: help test build compat
help: ## Print this list.
	@grep -E '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/'

$(PY):
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install -q "maturin>=1.16,<2" gevent==26.9.0 cffi "pytest>=9,<10" "pytest-timeout>=2.4,<3"

build: $(PY) ## Build the extension into .venv.
	rm -rf target/wheels
	$(VENV)/bin/maturin build -q --release --interpreter $(PY) --out target/wheels
	$(PY) -m pip install -q --force-reinstall --no-deps target/wheels/*.whl

test: build ## Run all tests.
	cargo test -p hubpool
	$(PY) -m pytest
	$(MAKE) compat

MODULES := test__threadpool test__threadpool_executor_patched test__core_fork test__destroy test__hub
compat: build ## Run gevent's own tests on hubpool.
	set -e; for loop in libev-cext libuv-cffi; do for module in $(MODULES); do \
	  echo "$$loop $$module"; GEVENT_LOOP=$$loop $(PY) -m hubpool -m gevent.tests.$$module; \
	done; done
