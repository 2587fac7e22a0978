"""`make bench`: times this project beside the tools it rests on (psql, plain dbt) and beside the lesson's recipe.

`make bench ARGS="load dags"` runs some of them, `ARGS="scale executors"` those that are left out otherwise, and
`ARGS="transform --against <revision>"` compares the dbt tasks with those of another revision of the project. The files
loaded are those of TLC_DIR, else made-up ones.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measures import Measure, report
from dev.console import console
from dev.services.postgres import EmbeddedPostgres
from dev.system.process import forget_postgres_variables
from include.settings import ROOT

STATE = ROOT / ".local" / "bench"
# before anything imports Airflow: the project's settings, and nothing of the user's own Airflow
os.environ |= {"AIRFLOW_HOME": str(STATE / "airflow"), "AIRFLOW_CONFIG": str(ROOT / "config" / "airflow.cfg")}
os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "WARNING"
forget_postgres_variables()


def load() -> list[Measure]:
    from benchmarks.load import measure_load

    with postgres() as server, tempfile.TemporaryDirectory() as scratch:
        return measure_load(server, Path(scratch))


def dags() -> list[Measure]:
    from benchmarks.dag_file import measure_dag_file

    return measure_dag_file()


def transform() -> list[Measure]:
    from benchmarks.stack import measure_transform

    return measure_transform(STATE / "transform")


def transform_against(revision: str) -> list[Measure]:
    from benchmarks.against import measure_transform_against

    return measure_transform_against(revision, STATE / "against")


def growth() -> list[Measure]:
    from benchmarks.growth import measure_growth

    with postgres() as server, tempfile.TemporaryDirectory() as scratch:
        return measure_growth(server, Path(scratch))


def yellow() -> list[Measure]:
    from benchmarks.yellow import measure_yellow

    with postgres() as server, tempfile.TemporaryDirectory() as scratch:
        return measure_yellow(server, Path(scratch))


def yellow_2012() -> list[Measure]:
    from benchmarks.yellow import measure_yellow_2012

    with postgres() as server, tempfile.TemporaryDirectory() as scratch:
        return measure_yellow_2012(server, Path(scratch))


def backfill() -> list[Measure]:
    from benchmarks.stack import measure_backfill

    return measure_backfill(STATE / "backfill")


def scale() -> list[Measure]:
    from benchmarks.scale import measure_scale

    with postgres() as warehouse:
        return measure_scale(STATE / "scale", warehouse)


def executors() -> list[Measure]:
    from benchmarks.scale import measure_executors

    with postgres() as warehouse:
        return measure_executors(STATE / "executors", warehouse)


def developer() -> list[Measure]:
    from benchmarks.developer import measure_developer

    with postgres() as server, tempfile.TemporaryDirectory() as scratch:
        return measure_developer(server, Path(scratch))


def rest() -> list[Measure]:
    from benchmarks.rest import measure_rest

    return measure_rest(STATE / "rest")


def cold() -> list[Measure]:
    from benchmarks.cold import measure_cold

    return measure_cold(STATE / "cold")


def trigger() -> list[Measure]:
    from benchmarks.trigger import measure_trigger

    return measure_trigger(STATE / "trigger")


DEFAULT = (load, dags, transform, growth, yellow, yellow_2012, developer, backfill)
# the others take long: they run when they are named
BENCHMARKS: dict[str, Callable[[], list[Measure]]] = {
    benchmark.__name__: benchmark for benchmark in (*DEFAULT, scale, executors, rest, cold, trigger)
}


@contextmanager
def postgres() -> Iterator[EmbeddedPostgres]:
    shutil.rmtree(STATE / "postgres-alone", ignore_errors=True)
    server = EmbeddedPostgres(STATE / "postgres-alone")
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(STATE / "postgres-alone")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "which", nargs="*", default=[benchmark.__name__ for benchmark in DEFAULT], help=", ".join(BENCHMARKS)
    )
    parser.add_argument("--against", metavar="REVISION", help="with transform alone: by git's name, such as HEAD~1")
    options = parser.parse_args()
    which = options.which
    if unknown := set(which) - set(BENCHMARKS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    if options.against:
        if which != ["transform"]:
            parser.error("--against compares the dbt tasks: transform --against <revision>")
        report(transform_against(options.against))
        return 0
    for name in which:
        console.rule(name)
        report(BENCHMARKS[name]())
    return 0


if __name__ == "__main__":
    sys.exit(main())
