# make demo   trains on the text that ships with Python, shows a sample, a score and report.html
# make test   runs the whole suite          make lint   ruff and pyright
# make bench  speed and quality beside the peers (writes results/)
# make docs   the documentation site, build/site/index.html
#
# Each target makes its own environment in .venv when it is not there. A machine without a GPU gets the CPU build of
# torch; with an NVIDIA GPU (nvidia-smi answers) or on a Mac, pip's own choice. To choose yourself: make demo TORCH=torch

PYTHON ?= python3
VENV ?= .venv
TORCH ?= auto
CPU_TORCH = torch==2.13.0
CPU_INDEX = https://download.pytorch.org/whl/cpu
PIP = $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check
RUN = $(VENV)/bin/semagram

.PHONY: demo test lint bench docs clean

demo: $(VENV)/.core
	$(RUN) demo

test: $(VENV)/.dev
	$(VENV)/bin/python -m pytest -n 2 --dist worksteal

lint: $(VENV)/.dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyright

bench: $(VENV)/.dev
	$(VENV)/bin/python -m benchmarks

docs: $(VENV)/.docs
	$(VENV)/bin/python -m docs
	@echo "open build/site/index.html"

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "semagram needs Python 3.11 or newer; name one with: make demo PYTHON=python3.12" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) \
		|| { echo "could not make a virtual environment; on Debian or Ubuntu: apt install python3-venv" >&2; exit 2; }

$(VENV)/.torch: | $(VENV)/bin/python
	@if $(VENV)/bin/python -c 'import torch' 2>/dev/null; then echo "torch is there already"; \
	elif [ "$(TORCH)" != auto ]; then echo "installing $(TORCH)"; $(PIP) "$(TORCH)"; \
	elif [ "$$(uname -s)" = Darwin ] || nvidia-smi >/dev/null 2>&1; then echo "installing torch"; $(PIP) 'torch>=2.9'; \
	else echo "installing torch for the CPU (with a GPU: make demo TORCH=torch)"; \
		$(PIP) --retries 0 --timeout 15 --index-url $(CPU_INDEX) $(CPU_TORCH) 2>/dev/null || $(PIP) $(CPU_TORCH); fi
	@touch $@

$(VENV)/.core: pyproject.toml $(VENV)/.torch
	@echo "installing semagram"
	@$(PIP) -e .
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.torch
	@echo "installing semagram and what its tests need"
	@$(PIP) -e '.[dev,peers,docs]'
	@touch $@

$(VENV)/.docs: pyproject.toml | $(VENV)/bin/python
	@echo "installing what the site is built with"
	@$(PIP) 'zensical>=0.0.70'
	@touch $@

clean:
	rm -rf $(VENV) build dist src/*.egg-info
