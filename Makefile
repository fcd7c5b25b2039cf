# Every target works as the first command on a fresh machine. `install` makes .venv; a stamp file records that it is done.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCH_ARGS ?=
TEST_ARGS ?=
PERF_ARGS ?=
POWER_ARGS ?=
SEEDS_ARGS ?=
ALARMS_ARGS ?=

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "gradsoak needs Python 3.11 or later; this is %d.%d. Try: make PYTHON=python3.12" % sys.version_info[:2])'
	@$(BIN)/python -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@echo "Installing into $(VENV) (a minute or two)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

.PHONY: install
install: $(STAMP) ## Make .venv with the versions that were tested together (may be repeated)

.PHONY: bench
bench: install ## Run the core scenarios and make one report (all of them: BENCH_ARGS="--all" or "--profile full")
	@$(BIN)/gradsoak bench $(BENCH_ARGS)

# Tests start hundreds of interpreters. Without cached bytecode each of them would compile the whole package.
unit test check-all: export PYTHONDONTWRITEBYTECODE =

.PHONY: unit
unit: install ## Run the tests that start no app under load: unit, property, golden, frozen and repository tests
	@$(BIN)/pytest -n 2 -m "not slow" tests/unit tests/property tests/golden tests/frozen tests/repo $(TEST_ARGS)

# Three workers on two cores: tests wait for apps to start, for pages to close and for users to think.
.PHONY: test
test: install ## Run the tests, with real servers and a real browser (TEST_ARGS="-k probe")
	@$(BIN)/pytest -n 3 --dist loadgroup -m "not slow" $(TEST_ARGS)

.PHONY: check-all
check-all: install ## Run all tests, including the slow ones
	@$(BIN)/pytest -n 2 --dist loadgroup $(TEST_ARGS)

.PHONY: perf
perf: install ## Measure what gradsoak itself costs (PERF_ARGS="--only cpu,memory --rounds 5")
	@$(BIN)/python -m tests.perf $(PERF_ARGS)

.PHONY: power
power: install ## Measure how many operations it takes to find a rare fault (8 minutes; POWER_ARGS="--repetitions 20")
	@$(BIN)/python -m tests.power $(POWER_ARGS)

.PHONY: seeds
seeds: install ## Run every scenario with 20 seeds, planted faults with 3 (2 hours; SEEDS_ARGS="counters --seeds 3")
	@$(BIN)/python -m tests.power.seeds $(SEEDS_ARGS)

.PHONY: alarms
alarms: install ## Count leaks reported for apps without one (25 minutes; ALARMS_ARGS="--runs 8")
	@$(BIN)/python -m tests.power.memory $(ALARMS_ARGS)

.PHONY: lint
lint: install ## Check style, types and imports; edits nothing
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

.PHONY: format
format: install ## Format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: docs
docs: install ## Generate docs/file-formats.md and docs/methods/anomalies.md from the code
	@$(BIN)/python -m tests.docs

.PHONY: check
check: lint test ## Lint and test, like CI

.PHONY: wheel
wheel: install ## Build dist/*.whl with the bundled scenarios
	@rm -rf dist
	@$(BIN)/python -m build --wheel --outdir dist . > /dev/null && ls dist

.PHONY: clean
clean: ## Remove .venv, caches and builds; recorded runs in reports/ stay
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
