# Targets: run, install, test, lint, unit, testbed, lock, demo-bundle, bench-loop, bench-decode, bench-poll, bench-plan, bench-rest, bench-waiting, bench-remediation, bench-remediation-real, bench-calibration, bench-feedback, bench-causes, bench-quiet-day, bench-detection, bench-forecast, chaos, clean.
# `make run` and `make test` are all that a newcomer needs; each installs what it stands on, and is quick the second time.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN_STAMP := $(VENV)/.installed-run
DEV_STAMP := $(VENV)/.installed-dev
.DEFAULT_GOAL := run

$(BIN)/uv: requirements/build.lock
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("aiops needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": set PYTHON=/path/to/python3.11")'
	@$(PYTHON) -m venv $(VENV) || { echo "cannot make a virtual environment: install the system package python3-venv"; exit 1; }
	@echo "installing the tools that install (requirements/build.lock)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/build.lock
	@touch $@

$(RUN_STAMP): $(BIN)/uv requirements/run.lock pyproject.toml
	@echo "installing the locked environment into $(VENV) (requirements/run.lock)"
	@$(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python --require-hashes -r requirements/run.lock
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q aiops  # half of what a start takes would be compiling, each time where nothing may be written
	@touch $@

$(DEV_STAMP): $(RUN_STAMP) requirements/dev.lock
	@echo "installing what the tests need (requirements/dev.lock)"
	@$(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python --require-hashes -r requirements/dev.lock
	@touch $@

.PHONY: run install dev test lint unit testbed lock demo-bundle bench-loop bench-decode bench-poll bench-plan bench-rest bench-waiting bench-remediation bench-remediation-real bench-calibration bench-feedback bench-causes bench-quiet-day bench-detection bench-forecast chaos clean
install: $(RUN_STAMP)
dev: $(DEV_STAMP)

run: install
	@$(BIN)/aiops demo

lint: dev
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Unit, property, contract (in-memory side), docs: no server needed beyond what runs in this process.
unit: dev
	$(BIN)/python -m pytest tests/unit tests/property tests/docs -q

test: lint
	$(BIN)/python -m tests.testbed build
	$(BIN)/python -m pytest tests -q -n 4 --dist loadscope --no-loadscope-reorder --cov --cov-report=term:skip-covered --durations=15

testbed: dev
	$(BIN)/python -m tests.testbed

# Versions move only here; the locks are what everything installs.
lock: $(BIN)/uv
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --upgrade requirements/build.in -o requirements/build.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --upgrade pyproject.toml -o requirements/run.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --upgrade -c requirements/run.lock pyproject.toml --group dev -o requirements/dev.lock

demo-bundle: dev
	$(BIN)/python -m tools.record_demo

bench-loop: dev
	$(BIN)/python -m benchmarks.loop
bench-decode: dev
	$(BIN)/python -m benchmarks.decode
bench-poll: dev
	$(BIN)/python -m benchmarks.poll
bench-plan: dev
	$(BIN)/python -m benchmarks.plan
bench-rest: dev
	$(BIN)/python -m benchmarks.rest
bench-waiting: dev
	$(BIN)/python -m benchmarks.waiting
# All of it takes about an hour and a half on two cores; ARGS="--seeds 5" is quick.
# DATA: a folder of labelled recordings; with it the tables and plots in docs/benchmarks are written again.
bench-detection: dev
	$(BIN)/python -m benchmarks.detection $(if $(DATA),--data $(DATA)) $(ARGS)
bench-forecast: dev
	$(BIN)/python -m benchmarks.forecast $(if $(DATA),--data $(DATA)) $(ARGS)
	$(BIN)/python -m benchmarks.exhaustion
bench-calibration: dev
	$(BIN)/python -m benchmarks.calibration $(ARGS)
# A day of the world takes about five minutes of CPU; ARGS="--seeds 1 --days 1 --clocks back".
bench-quiet-day: dev
	$(BIN)/python -m benchmarks.quiet_day $(ARGS)
bench-feedback: dev
	$(BIN)/python -m benchmarks.feedback $(ARGS)
bench-causes: dev
	$(BIN)/python -m benchmarks.causes
bench-remediation: dev
	$(BIN)/python -m benchmarks.remediation $(ARGS)

# One of each kind on real servers, in real time: about an hour.
bench-remediation-real: dev
	$(BIN)/python -m benchmarks.remediation_real $(ARGS)

# Not part of make test: about twenty minutes. KILLS, SEED and ARGS ("--postgres", "--cuts 0") may be given.
chaos: dev
	$(BIN)/python -m benchmarks.chaos --kills $(or $(KILLS),50) $(if $(SEED),--seed $(SEED)) $(ARGS)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
