# make train | test | check | bench | mutants: each builds .venv the first time. PYTHON=python3.12 chooses another interpreter.
PYTHON ?= python3
EXTRAS ?= experiments,dev
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-$(subst $(strip ,) ,,$(EXTRAS))
PYTEST_ARGS ?= -n 2 --dist worksteal
MUTANTS ?= --sample 100

.PHONY: install train test check bench mutants clean

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "make: $(PYTHON) is older than Python 3.11; choose another one with make PYTHON=python3.12"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@

install: $(STAMP)

train: $(STAMP)
	$(BIN)/python -m experiments.digits

test: $(STAMP)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

bench: $(STAMP)
	$(BIN)/python -m benchmarks.conv --quick

mutants: $(STAMP)
	$(BIN)/python -m tests.mutants $(MUTANTS)

clean:
	rm -rf $(VENV) .jax_cache .pytest_cache
