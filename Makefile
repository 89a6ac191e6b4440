# Two commands are all the set-up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
OLDEST ?= .venv-oldest
BIN    := $(VENV)/bin
JOBS   ?= 2
GALLERY ?= 1

# A process that starts compiles the sources only once, whatever the caller has set.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint types unit oldest page docs evidence fusions bench survival wheel fuzz audit-deps clean help
help:                    ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# A stamp each for use and for development: nothing is installed again unless the requirements changed.
$(VENV)/.use: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install -q -c constraints.txt -e .
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	touch $@ $(VENV)/.use

$(VENV)/.docs: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[docs]'
	touch $@ $(VENV)/.use

# MediaPipe needs these three; on a Debian-like machine where we are root they are put there, elsewhere it says so.
.PHONY: system
system:
	@if command -v ldconfig >/dev/null && ldconfig -p | grep -q libGLESv2.so.2 && ldconfig -p | grep -q libEGL.so.1 && ldconfig -p | grep -q libGL.so.1; then :; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then apt-get update -qq && apt-get install -y -qq libgl1 libegl1 libgles2; \
	elif [ "$$(uname)" = Linux ]; then echo "gbvnet's face landmarks need the system libraries libGL, libEGL and libGLES: sudo apt-get install libgl1 libegl1 libgles2"; fi

demo: system $(VENV)/.use  ## every step on a small synthetic corpus, into ./gbvnet-demo
	$(BIN)/gbvnet weights
	$(BIN)/gbvnet demo gbvnet-demo

test: system $(VENV)/.dev  ## lint, types and the whole test suite
	$(BIN)/gbvnet weights
	$(MAKE) lint types
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile

lint: $(VENV)/.dev       ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev      ## mypy
	$(BIN)/mypy

# The extras that work with the oldest versions of the package's own dependencies; what only compares is left out.
oldest: system           ## the tests that take less than 50 ms with the lower bounds of all dependencies, in .venv-oldest
	test -x $(OLDEST)/bin/python || $(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install -q -c constraints-oldest.txt -e '.[mat73,ray,tensorboard,tune]' \
		antropy hypothesis mne-features pytest pytest-xdist setuptools
	$(OLDEST)/bin/gbvnet weights
	OMP_NUM_THREADS=1 $(OLDEST)/bin/python -m pytest -n $(JOBS) --dist loadfile -m "not journey" -o filterwarnings=default

unit: $(VENV)/.dev       ## only the tests that take less than 50 ms
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "not journey"

page: system $(VENV)/.dev  ## the web page's tests in a browser; Chromium is installed where we may
	@if command -v chromium || command -v chromium-browser || command -v google-chrome; then :; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then apt-get update -qq && apt-get install -y -qq chromium; \
	else echo "the page is tested in Chromium: install it (Debian: sudo apt-get install chromium)"; exit 1; fi
	$(BIN)/gbvnet weights
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/inference/app/test_server.py tests/inference/app/test_session.py

docs: system $(VENV)/.docs  ## the documentation site, into build/docs/html; GALLERY=0 does not execute the examples
	$(BIN)/gbvnet weights
	rm -rf build/docs
	GALLERY=$(GALLERY) OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -q -n -W --keep-going -E -b html docs build/docs/html
	$(BIN)/python docs/extensions/links.py build/docs/html
	@echo "build/docs/html/index.html"

evidence: $(VENV)/.dev   ## half an hour: planted effects and none, into build/evidence/evidence.md
	mkdir -p build/evidence
	$(BIN)/python -m benchmarks.evidence build/evidence

fusions: $(VENV)/.dev    ## half an hour: ways of fusion where the answer is known, into build/fusions
	mkdir -p build/fusions
	$(BIN)/python -m benchmarks.fusions build/fusions

survival: system $(VENV)/.dev  ## half an hour: commands killed at random moments go on and end as if undisturbed; into build/survival
	$(BIN)/gbvnet weights
	rm -rf build/survival && mkdir -p build
	$(BIN)/python -m tests.survival --kills 50 build/survival
	$(BIN)/python -m tests.survival --corpora --kills 60 build/survival/corpora

bench: $(VENV)/.dev      ## ratios of speed, side by side in one run; JSON in benchmarks/results
	$(BIN)/python -m benchmarks

# What lies in build/lib from before, setuptools would put in as well.
wheel: $(VENV)/.dev      ## build the source archive, and the wheel from it, into build/dist; twine looks at both
	rm -rf build/lib build/bdist.* build/dist
	$(BIN)/python -m build -q --no-isolation -o build/dist
	$(BIN)/twine check --strict build/dist/*

fuzz: $(VENV)/.dev       ## half an hour: a million damaged files for the parsers; those on which one fails go into build/fuzz
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz

audit-deps: $(VENV)/.dev ## known vulnerabilities of what is installed, where the service that knows them is reached
	$(BIN)/python -m tests.vulnerabilities

clean:
	rm -rf build $(VENV) $(OLDEST) gbvnet-demo docs/reference docs/gallery
