# Targets for Linux, macOS and WSL; docs/install.md has the same steps as plain commands.
PYTHON_IN_VENV = .venv/bin/python
UV ?= uv
# Extra arguments, for example: make test PYTEST_ARGS="-k geometry -x"
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint docs chaos fuzz soak audit oldest constraints count clean

help: ## show this list
	@grep -E '^[a-z]+:.*## ' $(firstword $(MAKEFILE_LIST)) | awk -F ':.*## ' '{ printf "make %-12s %s\n", $$1, $$2 }'

setup: ## create .venv and install the pinned packages (does nothing when it is up to date)
	@sh scripts/setup.sh

demo: setup ## data, training, evaluation, report and table, in four to six minutes; FULL=1: all data, all bounds
	@$(PYTHON_IN_VENV) demo.py $(if $(FULL),--full)

test: ## run the tests
	@sh scripts/setup.sh dev
	@$(PYTHON_IN_VENV) -m pytest $(PYTEST_ARGS)

lint: ## check style (ruff), layout (ruff format), types (mypy) and layers (import-linter)
	@sh scripts/setup.sh dev
	$(PYTHON_IN_VENV) -m ruff check .
	$(PYTHON_IN_VENV) -m ruff format --check .
	$(PYTHON_IN_VENV) -m mypy
	.venv/bin/lint-imports --no-logo

docs: ## the documentation as a site, with the API reference, in build/site
	@sh scripts/setup.sh dev
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict --quiet

chaos: ## kill training, bulk grounding and compare at random moments, and fill their disks
	@sh scripts/setup.sh dev
	@$(PYTHON_IN_VENV) -m reliability.chaos && $(PYTHON_IN_VENV) -m reliability.page

fuzz: ## give the readers of files and phrases 20,000 spoilt ones each
	@sh scripts/setup.sh dev
	@$(PYTHON_IN_VENV) -m reliability.fuzz && $(PYTHON_IN_VENV) -m reliability.page

soak: ## use the page with ten clients, watching memory
	@sh scripts/setup.sh dev
	@$(PYTHON_IN_VENV) -m reliability.soak && $(PYTHON_IN_VENV) -m reliability.page

audit: ## known vulnerabilities of the pinned packages (asks a database on the internet; needs uv)
	@$(UV) tool run pip-audit --strict --no-deps --disable-pip -r constraints.txt

oldest: ## run the tests with the oldest PyTorch that requirements.txt allows (in build/oldest)
	@sh scripts/oldest.sh && build/oldest/bin/python -m pytest $(PYTEST_ARGS)

constraints: ## resolve constraints.txt afresh from the requirement files (needs uv)
	@command -v $(UV) >/dev/null || { echo "error: make constraints needs uv; install it (pip install uv), or name it with UV=/path/to/uv" >&2; exit 2; }
	{ sed '/^[^#]/,$$d' constraints.txt && $(UV) pip compile --quiet --universal --python-version 3.10 \
		--no-header --no-annotate requirements-dev.txt; } > constraints.new
	@mv constraints.new constraints.txt

count: ## lines and files by package
	@python3 scripts/count.py

clean: ## remove runs/demo, data/refshapes, caches and build leftovers (keeps .venv, other runs and other data)
	rm -rf runs/demo data/refshapes build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .coverage htmlcov
	find grounding pretraining tests -name __pycache__ -type d -prune -exec rm -rf {} +
