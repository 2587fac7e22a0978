"""The dbt project as someone without Airflow uses it: a warehouse, a source, and dbt on the command line."""

from __future__ import annotations

import functools
import gc
import multiprocessing
import os
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import dbt.task.build  # noqa: F401
import psycopg
from dbt.cli.main import dbtRunner
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from dev.tlc.mirror import TlcMirror
from dev.tlc.sample_months import write_month, write_zones
from include.datasets import GREEN, Dataset
from include.ingest.load import load_month
from include.month import Month
from include.processes.warm_up import warm_up
from include.settings import DBT_PROFILES, DBT_PROJECT
from include.support.threads import result_of_thread
from include.transform.code_version import dbt_variables
from include.transform.parse_cache import parse_of_run

ROWS = 400
WRITES_FILES = {"DBT_WRITE_JSON": "true"}  # for a command whose files another one reads
TIMEOUT_SECONDS = 300


@dataclass(frozen=True)
class Done:
    """How a command ended, and all it printed."""

    returncode: int
    output: str


@dataclass
class Project:
    """`target` is where dbt keeps what it parsed, one folder for each month and schema."""

    dsn: str
    tlc: TlcMirror
    target: Path
    dataset: Dataset = GREEN
    schema: str = ""

    def __post_init__(self) -> None:
        self.schema = self.schema or self.dataset.published_schema("default")

    def load(self, month: str, version: int = 1, rows: int = ROWS) -> None:
        self.publish_file(month, version, rows)
        self.load_file(month)

    def publish_file(self, month: str, version: int = 1, rows: int = ROWS) -> None:
        """What TLC does: put the month's file up, in some version."""
        write_zones(self.tlc.folder)
        write_month(self.tlc.folder, month, rows, version, self.dataset)

    def load_file(self, month: str) -> None:
        load_month(self.dataset, Month.parse(month), self.tlc.address, self.dsn, self.schema, "by hand")

    def dbt(self, *arguments: str, month: str | None = None, plain: bool = False, **environment: str) -> Done:
        """dbt with these arguments, in a process of its own.

        It leaves no log, and no file for other commands unless WRITES_FILES is given. For a month it uses the parse of
        the project that this process has made, as Airflow's tasks do: parsing takes 0.3 to 2.6 s of CPU. `plain`: it
        parses by itself.
        """
        warm_up_once()
        variables = {f"PG_{name.upper()}": str(value) for name, value in conninfo_to_dict(self.dsn).items()}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "DBT_"))}
        given = {
            "PG_SCHEMA": self.schema,
            "DBT_PROJECT_DIR": str(DBT_PROJECT),
            "DBT_PROFILES_DIR": str(DBT_PROFILES.parent),
            "DBT_TARGET_PATH": str(self.target / f"{self.schema}-{month}"),
            "DBT_LOG_PATH": str(self.target),
            "DBT_LOG_LEVEL_FILE": "none",
            "DBT_WRITE_JSON": "false",
            "DBT_USE_COLORS": "false",
        }
        words = [*arguments, *(["--vars", f"{{ds: {month}-01}}"] if month else [])]
        variables = inherited | variables | given | environment
        is_production = "--target" not in words and variables["DBT_PROJECT_DIR"] == str(DBT_PROJECT)
        uses_parse = month is not None and is_production and not plain
        if uses_parse:
            variables = {"PG_RUN_SCHEMA": f"{variables['PG_SCHEMA']}_{month.replace('-', '')}01"} | variables
            variables = dbt_variables(self.dataset.models) | variables
        with tempfile.TemporaryFile() as output:
            process = multiprocessing.get_context("fork").Process(
                target=_invoke, args=(words, variables, output.fileno(), uses_parse)
            )
            process.start()
            process.join(TIMEOUT_SECONDS)
            assert process.exitcode is not None, f"dbt {words} still runs after {TIMEOUT_SECONDS} s"
            output.seek(0)
            return Done(process.exitcode, output.read().decode())

    def build(self, month: str, *arguments: str, **environment: str) -> Done:
        """`dbt build` of the month without unit tests, as Airflow runs it; the arguments may select a part of it."""
        return self.dbt("build", "--exclude-resource-type", "unit_test", *arguments, month=month, **environment)

    def publish(self, month: str, **environment: str) -> None:
        """Build the month; every audit must pass."""
        done = self.build(month, **environment)
        assert done.returncode == 0, done.output

    def run(self, month: str) -> None:
        """Load the month's file and publish it."""
        self.load_file(month)
        self.publish(month)

    def build_in_spite_of(self, audit: str, month: str, **environment: str) -> Done:
        """The same, for a month on which this audit, and no other, fails: it is marked as passed, then all is built."""
        done = self.build(month, **environment)
        with psycopg.connect(self.dsn) as connection:
            names = {"log": sql.Identifier(self.schema, "audit_log")}
            statement = sql.SQL("update {log} set passed = true where not passed and split_part(audit, '.', 3) = %s")
            connection.execute(statement.format(**names), [audit])
        assert re.findall(r"FAIL \d+ (\w+) \.", done.output) == [audit], done.output
        return self.build(month, "--exclude", audit, **environment)


@functools.cache
def warm_up_once() -> None:
    """Each invocation of dbt is a fork of this process: that saves some 3 s against a new interpreter.

    The fork's collector of garbage leaves out what is there now, half a million objects: 0.3 s of CPU less for a build.
    """
    warm_up()
    gc.freeze()


def _invoke(words: list[str], environment: dict[str, str], output: int, uses_parse: bool) -> None:
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdout = sys.stderr = os.fdopen(1, "w", buffering=1, closefd=False)
    os.environ.clear()
    os.environ.update(environment)
    # Not before the fork: copying a parse makes a lock, and a fork by another thread at that moment would hang.
    manifest = parse_of_run(environment) if uses_parse else None
    # dbt looks at every frame of its thread again and again, and pytest's are some 60: 0.1 s of CPU less for a command
    result = result_of_thread("dbt", lambda: dbtRunner(manifest).invoke(words))
    if result.exception:
        print(result.exception)
    sys.stdout.flush()
    os._exit(0 if result.success else 1)
