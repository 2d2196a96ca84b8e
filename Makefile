# make run    the store and the three gateways, on this machine
# make test   everything CI runs: checks, then every test
# make lock   renew requirements/*.lock

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
# the first of these that is Python 3.11 or later; PYTHON=... chooses another
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; done)

.PHONY: run test check format lock clean setup setup-dev

run: setup
	@exec $(BIN)/bff dev

test: check
	@$(BIN)/python -m pytest -n auto --cov --cov-report=term

check: setup-dev
	@$(BIN)/ruff format --check --quiet . || { echo "make format puts this right" >&2; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@PYTHONPATH=. $(BIN)/lint-imports

format: setup-dev
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix .

setup: $(VENV)/run.stamp
setup-dev: $(VENV)/dev.stamp

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed, and none was found; PYTHON=/path/to/python3 names one" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed; $(PYTHON) is older" >&2; exit 1; }
	@echo "Setting up in $(VENV) ..."
	@"$(PYTHON)" -m venv $(VENV) >$(VENV).log 2>&1 || { rm -rf $(VENV); echo "cannot make a virtual environment: is python3-venv installed? ($(VENV).log)" >&2; exit 1; }
	@mv $(VENV).log $(VENV)/setup.log

$(VENV)/%.stamp: requirements/%.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing $< ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $< >>$(VENV)/setup.log 2>&1 \
		|| { echo "cannot install what $< names: no network? ($(VENV)/setup.log)" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . >>$(VENV)/setup.log 2>&1 \
		|| { echo "cannot install the project itself ($(VENV)/setup.log)" >&2; exit 1; }
	@touch $@

lock: setup-dev
	@for part in run dev; do group=$$([ $$part = dev ] && echo --group dev || echo --group build); \
		$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
			pyproject.toml $$group -o requirements/$$part.lock --upgrade || exit 1; done

clean:
	rm -rf $(VENV) .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
