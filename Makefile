# Targets for Linux, macOS and WSL; docs/install.md has the same steps as plain commands.
PYTHON_IN_VENV = .venv/bin/python
UV ?= uv
# Extra arguments, for example: make test PYTEST_ARGS="-k geometry -x"
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test fuzz lint constraints clean

help: ## show this list
	@grep -E '^[a-z]+:.*## ' $(firstword $(MAKEFILE_LIST)) | awk -F ':.*## ' '{ printf "make %-12s %s\n", $$1, $$2 }'

setup: ## create .venv and install the pinned packages (does nothing when it is up to date)
	@sh scripts/setup.sh

demo: setup ## data, training, evaluation, gallery and table, from nothing
	@$(PYTHON_IN_VENV) -m grounding.demo

test: ## run the tests
	@sh scripts/setup.sh dev
	@$(PYTHON_IN_VENV) -m pytest $(PYTEST_ARGS)

fuzz: ## tens of thousands of spoilt files for whatever reads files of strangers (ten minutes)
	@sh scripts/setup.sh dev
	@$(PYTHON_IN_VENV) -m reliability.fuzz

lint: ## check style (ruff), layout (ruff format) and types (mypy)
	@sh scripts/setup.sh dev
	$(PYTHON_IN_VENV) -m ruff check .
	$(PYTHON_IN_VENV) -m ruff format --check .
	$(PYTHON_IN_VENV) -m mypy

constraints: ## resolve constraints.txt afresh from the requirement files (needs uv)
	@command -v $(UV) >/dev/null || { echo "error: make constraints needs uv; install it (pip install uv), or name it with UV=/path/to/uv" >&2; exit 2; }
	{ sed '/^[^#]/,$$d' constraints.txt && $(UV) pip compile --quiet --universal --python-version 3.10 \
		--no-header --no-annotate requirements-dev.txt; } > constraints.new
	@mv constraints.new constraints.txt

clean: ## remove runs/demo, data/refshapes, caches and build leftovers (keeps .venv, other runs and other data)
	rm -rf runs/demo data/refshapes build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .coverage htmlcov
	find grounding tests -name __pycache__ -type d -prune -exec rm -rf {} +
