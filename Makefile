# Everything one types in this repository. `make` alone lists it.
#
# Paths are relative, so that a checkout in a folder with a space works. What was installed is remembered by stamp files inside
# .venv; they are touched last, so a half-finished install is done again, and a changed lock file or pyproject installs anew.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
RUNNING := core services/api services/scheduler services/display-agent local
PACKAGES := $(RUNNING) bench
MIGRATIONS := core/src/dosette/storage/migrations
# Each migration runs in a transaction, under the time-outs that the runner sets; integers count attempts, ids are UUIDs.
SQUAWK_RULES := --assume-in-transaction --pg-version 18.0 \
	--exclude require-lock-timeout,require-statement-timeout,prefer-bigint-over-int
YAML_RULES := {extends: relaxed, ignore: [.venv/, .dosette/], rules: {line-length: {max: 140}}}
SOURCES := $(foreach package,$(PACKAGES),$(package)/src)

# The Python that makes .venv; `make up PYTHON=/path/to/python3.12` chooses another.
PYTHON ?= $(shell for each in python3.13 python3.12 python3.11 python3; do \
	$$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$each && break; done)

.PHONY: help up down status secrets test check lint format types wheels lock bench dashboards chaos clean

help: ## list these targets
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-14s %s\n", $$1, $$2 }'

up: .venv/local.stamp ## start the whole household here, without Docker; Ctrl-C stops it (PORT=8080, DOSETTE_DATA=.dosette)
	@exec $(BIN)/dosette-local up --with-parent

down: ## stop what `make up` started, from another shell
	@if [ -x $(BIN)/dosette-local ]; then exec $(BIN)/dosette-local down; else echo "Nothing is running."; fi

status: .venv/local.stamp ## say what runs and whether it is well
	@exec $(BIN)/dosette-local status

secrets: ## draw the passwords of `docker compose up` before its first start; what was drawn stays
	@docker compose build --quiet secrets
	@docker compose run --rm --no-deps secrets
	@echo "The passwords are in the volumes secrets and secrets-*: keep the volume secrets together with the volume db."

test: .venv/dev.stamp ## run all tests (ARGS="-k pending" chooses some)
	@$(BIN)/python -m pytest $(ARGS)

check: ## run what CI runs: tests, lint, types, arrows, containers
	@.ci/run

lint: .venv/dev.stamp ## ruff, import arrows, migrations, Dockerfiles, YAML, workflows
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/squawk $(SQUAWK_RULES) $(MIGRATIONS)/*.sql
	@$(BIN)/hadolint services/*/Dockerfile
	@$(BIN)/yamllint --strict -d '$(YAML_RULES)' .
	@$(BIN)/zizmor --offline --quiet .github/workflows bench/ci/github-actions.yml
	@$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml bench/ci/github-actions.yml
	@$(BIN)/check-jsonschema --builtin-schema vendor.gitlab-ci --data-transform gitlab-ci bench/ci/gitlab-ci.yml

format: .venv/dev.stamp ## put the Python code into its form
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

types: .venv/dev.stamp ## mypy --strict on every src
	@$(BIN)/mypy --strict $(SOURCES)

# The Python of each image is in its Dockerfile; Debian 12, on which they stand, has glibc 2.36.
wheels: .venv/dev.stamp ## prove that a Raspberry Pi (arm64) finds a wheel for everything in the images
	@none=$$(mktemp -d) && trap 'rm -rf "$$none"' EXIT && \
	for image in api:api scheduler:scheduler display-agent:display; do \
		lock=requirements/$${image#*:}.txt; \
		python=$$(sed -n 's/^FROM python:\([0-9.]*\).*/\1/p' services/$${image%:*}/Dockerfile | head -n 1); \
		$(BIN)/uv pip install --no-config --quiet --dry-run --target "$$none" --python-platform aarch64-manylinux_2_36 \
			--python-version "$$python" --only-binary :all: --require-hashes -r "$$lock" || exit 1; \
		echo "$$lock: a wheel for each of $$(grep -c == "$$lock") on arm64 with Python $$python"; \
	done

bench: .venv/dev.stamp ## measure everything, in under ten minutes (ARGS="api --quick", ARGS=--help)
	@$(BIN)/dosette-bench $(ARGS)

dashboards: .venv/dev.stamp ## write grafana/dashboards/*.json anew from grafana/make_dashboards.py
	@$(BIN)/python grafana/make_dashboards.py

chaos: .venv/dev.stamp ## kill every part at random, 500 times over 5000 doses, in some 20 minutes (ARGS="--seed 1")
	@$(BIN)/python -m tests.chaos --blows 500 --doses 5000 --seconds 1250 $(ARGS)

clean: down ## remove .venv and caches; the data folder stays
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find $(PACKAGES) tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Lock files. Our own packages are on no index: they are left out, and installed from here.
COMPILE = $(BIN)/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-emit-index-url \
	--no-emit-find-links --no-config --no-emit-package dosette --custom-compile-command "make lock"

lock: .venv/dev.stamp ## renew requirements/*.txt (ARGS=--upgrade takes newer versions)
	@echo "Resolving requirements ..."
	@$(COMPILE) $(ARGS) requirements/build.in $(addsuffix /pyproject.toml,$(RUNNING)) -o requirements/local.txt
	@$(COMPILE) -c requirements/local.txt requirements/build.in core/pyproject.toml services/api/pyproject.toml -o requirements/api.txt
	@$(COMPILE) -c requirements/local.txt requirements/build.in core/pyproject.toml services/scheduler/pyproject.toml -o requirements/scheduler.txt
	@$(COMPILE) -c requirements/local.txt requirements/build.in core/pyproject.toml services/display-agent/pyproject.toml --extra pi -o requirements/display.txt
	@$(COMPILE) $(ARGS) -c requirements/local.txt requirements/build.in requirements/dev.in $(addsuffix /pyproject.toml,$(PACKAGES)) -o requirements/dev.txt

# The environment. One that was made elsewhere (a moved checkout) or whose Python is gone is made anew.
ifneq ($(shell $(BIN)/python -c '' 2>/dev/null && cat .venv/made.stamp 2>/dev/null),$(CURDIR))
.venv/made.stamp: anew
endif
.PHONY: anew
anew:

.venv/made.stamp:
	@if [ -z "$(PYTHON)" ]; then echo "Dosette needs Python 3.11 or newer: install it, or say make PYTHON=/path/to/python3" >&2; exit 1; fi
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) has no venv module: install it (Debian: apt install python3-venv)" >&2; exit 1; }
	@echo "Making .venv with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv --clear .venv
	@pwd -P > $@

.venv/local.stamp: .venv/made.stamp requirements/local.txt $(addsuffix /pyproject.toml,$(RUNNING))
	@echo "Installing what Dosette runs on ..."
	@$(PIP) install --require-hashes -r requirements/local.txt
	@$(PIP) install --no-deps --no-build-isolation $(addprefix -e ,$(RUNNING))
	@touch $@

.venv/dev.stamp: .venv/local.stamp requirements/dev.txt bench/pyproject.toml
	@echo "Installing what tests, checks and the benchmark need ..."
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@$(PIP) install --no-deps --no-build-isolation -e bench
	@touch $@
