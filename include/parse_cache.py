"""A cache of dbt's parse for each run schema.

dbt parses the whole project anew where `--vars` or the schema differ from those of the parse it finds. That takes 1.0 s
of CPU in a warm process and 1.7 s in a cold one. Months that shared one cache would parse at every task.
"""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from time import time
from typing import Any

from airflow.sdk import Context
from cosmos.dbt.runner import run_command
from cosmos.settings import cache_dir
from dbt.cli.main import dbtRunnerResult

from include.locked import locked
from include.manifest import parse_arguments
from include.settings import DBT_MANIFEST, DBT_PROJECT

# What is dropped is made again by the first task that misses it. 1.3 MB each.
KEPT_FOR = timedelta(days=7)
KEPT_AT_MOST = 150


def use_parse_cache(context: Context, operator: Any) -> None:
    """Cosmos interceptor: the first task of a run schema parses the project; others wait and use its parse."""
    operator.cache_dir = own = cache_dir / operator.env["PG_RUN_SCHEMA"]
    if _is_current(own):
        return
    with locked(own / "lock"):
        if not _is_current(own):
            profile = operator.profile_config
            # dbt parses anew also where these differ from the task's own
            arguments = [
                "--profile",
                profile.profile_name,
                "--target",
                profile.target_name,
                "--vars",
                str(operator.vars),
            ]
            with profile.ensure_profile() as (_, connection):
                # a project that cannot be parsed is for the task itself to report
                parse_project(own / "target", operator.env | connection, *arguments)
            prune(cache_dir)


def parse_project(target: Path, environment: dict[str, str], *arguments: str) -> dbtRunnerResult:
    """Runs `dbt parse` in this process and leaves its result in `target`. Needs PG_*, and connects to nothing."""
    command = ["dbt", *parse_arguments(target), "--no-write-json", *arguments]
    return run_command(command, environment, cwd=str(DBT_PROJECT))


def prune(folder: Path) -> None:
    """Drops the caches that were not written for KEPT_FOR, and the oldest of more than KEPT_AT_MOST."""
    caches = sorted(folder.glob("*/target/partial_parse.msgpack"), key=_written, reverse=True)
    for number, file in enumerate(caches):
        if number >= KEPT_AT_MOST or _written(file) < time() - KEPT_FOR.total_seconds():
            shutil.rmtree(file.parent, ignore_errors=True)


def _is_current(own: Path) -> bool:
    return _written(own / "target" / "partial_parse.msgpack") > _written(DBT_MANIFEST)


def _written(file: Path) -> float:
    """Seconds since the epoch; 0 for a file that is not there."""
    try:
        return file.stat().st_mtime
    except FileNotFoundError:  # another task may drop it at any moment
        return 0.0
