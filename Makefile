# Set-up happens by itself in .venv and is used again. Another torch than the one in
# constraints.txt: make TORCH="torch==2.14.1" test   (remove .venv first)
PYTHON ?= $(shell command -v python3.11 || command -v python3)
TORCH ?=
PIN := $(if $(TORCH),"$(TORCH)",-c constraints.txt)
PY := .venv/bin/python
JOBS ?= $(shell getconf _NPROCESSORS_ONLN)
PYTEST := $(PY) -m pytest -n $(JOBS)
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo docs notebooks references test test-slow test-browser test-all gpu-check bench lint types wheel-check check clean

demo: .venv/ready
	$(PY) examples/demo.py

# The documentation site, in build/site. Warnings are errors.
docs: .venv/ready-dev .venv/mermaid.min.js
	$(PY) -m sphinx -q -W --keep-going -d build/doctrees -c docs . build/site
	$(PY) .ci/check_site.py build/site

# Runs the notebooks of examples/ and stores their outputs in them. Some minutes.
notebooks: .venv/ready
	$(PY) .ci/run_notebooks.py

# Draws the pictures that a test compares new ones with.
references: .venv/ready
	$(PY) tests/visualize/test_references.py

test: .venv/ready
	$(PYTEST) -m "not slow and not gpu and not browser"

test-slow: .venv/ready
	$(PYTEST) -m "slow and not gpu"

# The viewer and reports in Chromium.
test-browser: .venv/ready
	@command -v chromium > /dev/null || command -v chromium-browser > /dev/null || { \
	echo "expected Chromium; install it, on Debian by: apt-get install chromium"; exit 1; }
	$(PY) -m pytest -m browser

test-all: .venv/ready
	$(PYTEST) -m "not browser"

# On a machine with a CUDA device, in ten minutes.
gpu-check: .venv/ready
	$(PY) benchmarks/gpu_check.py

# In ten minutes; with the authors' model: make bench AUTHORS=DIR
bench: .venv/ready
	$(PY) benchmarks/bench.py $(if $(AUTHORS),--authors "$(AUTHORS)")

lint: .venv/ready-dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	$(PY) .ci/lint_imports.py

types: .venv/ready-dev dist/built
	rm -rf build/typed
	$(PY) -m pip install -q --no-deps --target build/typed dist/*.whl
	.venv/bin/pyright

wheel-check: dist/built
	rm -rf build/wheel
	$(PY) .ci/wheel_environment.py build/wheel dist/*.whl
	cd build && wheel/bin/python -I ../.ci/check_wheel.py

check: test test-slow test-browser lint types wheel-check docs

clean:
	rm -rf .venv build dist

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PY) -m pip install -q $(PIN) -e ".[test]"
	touch $@

# Has all that .venv/ready has.
.venv/ready-dev: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PY) -m pip install -q $(PIN) -e ".[dev]"
	touch .venv/ready $@

.venv/mermaid.min.js: .venv/ready-dev
	$(PY) .ci/fetch_mermaid.py $@

dist/built: .venv/ready-dev $(shell git ls-files '*.py' pyproject.toml 2>/dev/null)
	rm -rf dist build/lib
	$(PY) -m build -q --wheel
	touch $@
