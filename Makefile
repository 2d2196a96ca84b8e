# make run    the store and the three gateways, on this machine
# make test   everything CI runs: checks, then every test
# make soak   a million calls that meet everything that can go wrong; CALLS=100000 SEED=1
# make bench  the gateway beside its peers; SCENARIO=composed-page ROUNDS=5 SECONDS=5
# make lock   renew requirements/*.lock

SHELL := /bin/sh
VENV := .venv
PY := $(VENV)/bin/python
NODE := bench/peers/node
# the first of these that is Python 3.11 or later; PYTHON=... chooses another, also where there is a .venv already
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; done)

.PHONY: run test check format soak bench lock clean setup setup-dev setup-bench

# tools are run by the Python and never by their own scripts, whose first line names the folder that they were made in
run: setup
	@exec $(PY) -m bff_core.cli dev

test: check
	@$(PY) -m pytest -n auto --cov --cov-report=term

check: setup-dev
	@$(PY) -m ruff format --check --quiet . || { echo "make format puts this right" >&2; exit 1; }
	@$(PY) -m ruff check --quiet .
	@$(PY) -m mypy
	@$(PY) -c "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports; sys.exit(lint_imports())"

format: setup-dev
	@$(PY) -m ruff format --quiet .
	@$(PY) -m ruff check --quiet --fix .

soak: setup-dev
	@$(PY) -m tests.soak $(if $(CALLS),--calls $(CALLS)) $(if $(SEED),--seed $(SEED)) $(ARGS)

bench: setup-bench
	@$(PY) -m bench $(if $(SCENARIO),--scenario $(SCENARIO)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SECONDS),--seconds $(SECONDS)) $(ARGS)

setup: $(VENV)/run.stamp
setup-dev: $(VENV)/dev.stamp
setup-bench: $(VENV)/bench.stamp $(NODE)/node_modules/.package-lock.json

# made again where it is only half made, where the Python that it was made with is gone, or where PYTHON=... is another
WHICH := import sys; print(sys.base_prefix, sys.version)
ifneq ($(shell $(PY) -c 'import pip' >/dev/null 2>&1 && echo works),works)
.PHONY: $(VENV)/venv.stamp
else ifneq ($(origin PYTHON),file)
ifneq ($(shell "$(PYTHON)" -c '$(WHICH)' 2>&1),$(shell $(PY) -c '$(WHICH)'))
.PHONY: $(VENV)/venv.stamp
endif
endif

$(VENV)/venv.stamp:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed, and none was found; PYTHON=/path/to/python3 names one" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed; $(PYTHON) is older" >&2; exit 1; }
	@echo "Setting up in $(VENV) ..."
	@rm -rf $(VENV) && mkdir $(VENV)
	@"$(PYTHON)" -m venv $(VENV) >$(VENV)/setup.log 2>&1 || { echo "cannot make a virtual environment: is python3-venv installed? ($(VENV)/setup.log)" >&2; exit 1; }
	@touch $@

$(VENV)/%.stamp: requirements/%.lock pyproject.toml $(VENV)/venv.stamp
	@echo "Installing $< ..."
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r $< >>$(VENV)/setup.log 2>&1 \
		|| { echo "cannot install what $< names: no network? ($(VENV)/setup.log)" >&2; exit 1; }
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . >>$(VENV)/setup.log 2>&1 \
		|| { echo "cannot install the project itself ($(VENV)/setup.log)" >&2; exit 1; }
	@touch $@

# where this cannot be done, those peers are named as absent, and the rest is measured
$(NODE)/node_modules/.package-lock.json: $(NODE)/package-lock.json
	@! command -v npm >/dev/null || { echo "Installing $< ..."; npm ci --prefix $(NODE) --no-audit --no-fund --silent; } \
		|| echo "cannot install what $< names: no network?" >&2

lock: setup-dev
	@for part in run dev bench; do group=$$([ $$part = run ] && echo --group build || echo --group $$part); \
		$(PY) -m uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-strip-extras --no-header \
			pyproject.toml $$group -o requirements/$$part.lock --upgrade || exit 1; done

clean:
	rm -rf $(VENV) $(NODE)/node_modules .bff .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
