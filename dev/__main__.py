"""The commands behind the Makefile: `python -m dev <command>`, one of COMMANDS."""

import argparse
import errno
import os
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import requests
from psycopg import sql
from rich.markdown import Markdown

from dev import arguments
from dev.arguments import given
from dev.change.base_manifest import base_manifest, branch_point, commit_of, read_manifest
from dev.change.column_text import lineage_text
from dev.change.diff_text import as_markdown
from dev.change.table_diff import NoRows, compare
from dev.change.workshop import Workshop
from dev.console import console
from dev.errors import StackError
from dev.runs.backfill import Backfill, months_between
from dev.runs.ledger_table import Line, as_calendars, as_json, failure, lines_of, pin, ranges, told_of_outdated
from dev.runs.published_table import published_table
from dev.runs.rebuild import loaded, outdated
from dev.runs.rebuild import rebuild as make_anew
from dev.runs.restore import release as let_source_count
from dev.runs.restore import restore as put_back
from dev.runs.task_log import print_log
from dev.stack.choices import Choices
from dev.stack.stack import Stack
from dev.system.process import forget_postgres_variables
from dev.system.programs import run
from include.datasets import DATASETS, TLC, Dataset
from include.lineage.graph import read as read_lineage
from include.month import Month
from include.settings import DBT_MANIFEST, ROOT, SettingError
from include.support.counted import counted
from include.warehouse.run_schemas import drop_run_schemas as drop_old

STATE = ROOT / ".local"
DEMO_MONTHS, MOST_DEMO_MONTHS = ("2024-01", "2024-03"), 3
CI_MONTH = "2024-01"
DIFFERS, TROUBLE = 1, 2  # as diff(1) ends


def up(stack: Stack) -> int:
    _up(stack)
    for dataset in DATASETS.values():
        stack.write_sample(dataset, months_between(dataset, *DEMO_MONTHS))
    _tell_of_outdated(stack)
    _tell_of_slots(stack)
    _show_address(stack)
    return 0


def database(stack: Stack) -> int:
    """Start what Airflow's processes need, with Airflow's tables; `up` starts these processes."""
    arguments.judge_backfill()
    stack.prepare(Choices.made(os.environ, stack.state))
    return 0


def down(stack: Stack) -> int:
    stack.down()
    console.print("Stopped. The data stay; make up brings them back.")
    return 0


def demo(stack: Stack) -> int:
    """Backfill each dataset's months that the source has; with DATASET, FROM or TO those of one dataset."""
    told = any(map(given, ("DATASET", "FROM", "TO")))
    datasets = [arguments.dataset()] if told else [each for each in DATASETS.values() if each.host == TLC]
    return _backfill(stack, {dataset: arguments.months(dataset, otherwise=_demo_months) for dataset in datasets})


def backfill(stack: Stack) -> int:
    dataset = arguments.dataset()
    return _backfill(stack, {dataset: arguments.months(dataset)})


def ledger(stack: Stack) -> int:
    """Show every month's state; with JSON=1 as a JSON list."""
    lines = _lines(stack, arguments.dataset() if given("DATASET") else None)
    if given("JSON"):
        print(as_json(lines))
    else:
        console.print(as_calendars(lines))
    return 0


def log(stack: Stack) -> int:
    """Print the log of the month's task that failed; with TASK of another."""
    print_log(stack.api, arguments.dataset(), arguments.month(), given("TASK"))
    return 0


def restore(stack: Stack) -> int:
    """Put back the version that the month's file has replaced last; with VERSION another that is kept."""
    dataset, month = arguments.dataset(), arguments.month()
    schema = stack.published_schema(dataset)
    succeeded = put_back(stack.api, stack.warehouse.uri(), schema, dataset, month, given("VERSION") or "")
    _show_published(stack, dataset, [month])
    return 0 if succeeded else 1


def release(stack: Stack) -> int:
    """Load what the source has for a month that was put back, and let the source count again."""
    dataset, month = arguments.dataset(), arguments.month()
    schema = stack.published_schema(dataset)
    succeeded = let_source_count(stack.api, stack.warehouse.uri(), schema, dataset, month)
    _show_published(stack, dataset, [month])
    return 0 if succeeded else 1


def rebuild(stack: Stack) -> int:
    """Make months anew from the rows that are loaded: from FROM to TO, else those that an older version made."""
    one = given("DATASET") or given("FROM") or given("TO")
    lines = _lines(stack)
    failed = False
    for dataset in [arguments.dataset()] if one else DATASETS.values():
        months = arguments.months(dataset, otherwise=lambda dataset: outdated(lines, dataset))
        if given("FROM"):
            months = loaded(lines, dataset, months)
        if not months:
            console.print(f"{dataset.name}: no month to rebuild")
            continue
        console.print(f"Rebuild of {dataset.name}: {ranges(map(str, months))}; the source is not asked")
        failed |= bool(make_anew(stack.api, dataset, months, arguments.parallel()).failed)
        _show_published(stack, dataset, months)
    return 1 if failed else 0


def dsn(stack: Stack) -> int:
    """Print the warehouse's address for ROLE: a person who reads, a dbt developer, or the pipeline, which owns it."""
    print(stack.address_for(arguments.role()).uri())
    return 0


def dbt(stack: Stack) -> int:
    return stack.run_dbt(arguments.dataset(), *arguments.words()).returncode


def dev(stack: Stack) -> int:
    """Build what a developer changed, or what ARGS select, in the developer's own schemas."""
    from dev.change.build import build  # dbt: 2 s of CPU

    workshop = _workshop(stack)
    if state := given("STATE"):
        file = Path(state)
        base, name = read_manifest(file / "manifest.json" if file.is_dir() else file), state
    elif (ROOT / ".git").exists() or given("BASE"):
        if revision := given("BASE"):
            commit = commit_of(revision)
            name = f"{revision} ({commit[:12]})"
        else:
            commit, name = branch_point()
        base = base_manifest(commit, STATE / "dev" / "base")
    else:
        base, name = read_manifest(DBT_MANIFEST), str(DBT_MANIFEST)
    ended = build(workshop, arguments.words(), base, name)
    if not ended:
        console.print(f"What it changes: make diff DATASET={workshop.dataset.name} MONTH={workshop.month}")
    return ended


def diff(stack: Stack) -> int:
    """Compare the developer's tables of the month, or MODEL alone, with the published ones. 1 where they differ."""
    workshop = _workshop(stack)
    again = f"make dev DATASET={workshop.dataset.name} MONTH={workshop.month}"
    try:
        found = compare(workshop, given("MODEL"))
    except NoRows as nothing:
        raise StackError(f"{nothing}: build it first, with {again} ARGS='-s <model>'") from None
    if not found:
        raise StackError(f"{workshop.schema} has no table with rows of {workshop.month}: {again}")
    text = as_markdown(found, workshop.schema, workshop.published)
    print(text) if given("MARKDOWN") else console.print(Markdown(text), soft_wrap=False)
    return DIFFERS if any(each.differs for each in found) else 0


def dbt_ci(stack: Stack) -> int:
    """Build what was changed since BASE for one month, in a Postgres that is thrown away, and say what it changes."""
    from dev.change.ci import try_change  # dbt: 2 s of CPU

    if not (base := given("BASE")):
        raise StackError("BASE is needed, the revision to compare with, for example: make dbt-ci BASE=main")
    months = {dataset.name: _published_months(stack, dataset) for dataset in DATASETS.values()}
    return try_change(base, arguments.dataset(), arguments.month(CI_MONTH), STATE, given("TLC_DIR"), months)


def lineage(stack: Stack) -> int:
    """Say where COLUMN comes from, and what stands on it."""
    if not (asked := given("COLUMN")):
        raise StackError("COLUMN is needed, for example: make lineage COLUMN=fct_zone_days.total_amount")
    dataset = arguments.dataset().name
    for part in lineage_text(dataset, read_lineage()[dataset], asked):
        console.print(part, soft_wrap=isinstance(part, str), highlight=False)
    return 0


def drop_run_schemas(stack: Stack) -> int:
    older = arguments.older_than()
    for dataset in [arguments.dataset()] if given("DATASET") else DATASETS.values():
        dropped = drop_old(dataset, stack.warehouse.uri(), stack.published_schema(dataset), older)
        what = ", ".join(f"{name} ({size / 2**20:,.0f} MiB)" for name, size in dropped.items()) or "nothing"
        console.print(f"{dataset.name}: dropped {what}; published and loaded over {counted(older.days, 'day')} ago.")
    return 0


def backup(stack: Stack) -> int:
    """Write what is loaded and published into FILE, else into a new file below .local/backups."""
    file = Path(given("FILE") or _new_backup())
    stack.backup.write(file)
    schemas = ", ".join(stack.published_schemas)
    console.print(f"{file}: {file.stat().st_size / 2**20:,.1f} MiB, {schemas}. Restore it: make restore-backup")
    return 0


def restore_backup(stack: Stack) -> int:
    """Restore FILE into an empty warehouse; with REPLACE=yes in place of what is there, which is backed up first."""
    if not (file := given("FILE")):
        raise StackError("FILE is needed, a file that make backup has written, for example: make restore-backup FILE=…")
    instead = _new_backup() if arguments.replace() else None
    stack.backup.restore(Path(file), instead)
    if instead and instead.exists():
        console.print(f"What was there before: {instead}")
    if stack.choices.warehouse:
        console.print("The server is your own: give the rights of others anew (docs/how-to/rights.md)")
    else:
        stack.postgres.let_analysts_read(stack.published_schemas)
    console.print(f"Restored: {', '.join(stack.published_schemas)}. Its months: make ledger")
    return 0


def doctor(stack: Stack) -> int:
    """Say what Airflow's processes lack. 1 where tasks would fail."""
    checked = stack.check()
    for name, done in checked.items():
        console.print(name, style="bold")
        console.print(done.stdout.strip(), style="red" if done.returncode else "", markup=False, highlight=False)
    with suppress(requests.RequestException):  # what is missing then, the check has said
        _tell_of_slots(stack)
    return 1 if any(done.returncode for done in checked.values()) else 0


def airflow(stack: Stack) -> int:
    return run("airflow", *arguments.words(), environment=stack.environment()).returncode


COMMANDS = {
    command.__name__.replace("_", "-"): command
    for command in (
        *(up, database, down, demo, backfill, restore, release, rebuild, ledger, log, doctor),
        *(dsn, dbt, dev, diff, dbt_ci, lineage, drop_run_schemas, backup, restore_backup, airflow),
    )
}


def _new_backup() -> Path:
    return STATE / "backups" / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.dump"


def _published_months(stack: Stack, dataset: Dataset) -> int | None:
    """How many months the local stack's warehouse has published; None where it is not up, or has none."""
    try:
        query = sql.SQL("select count(*) from {}").format(
            sql.Identifier(stack.published_schema(dataset), str(dataset.months_table))
        )
        with psycopg.connect(stack.warehouse.uri(), connect_timeout=3) as connection:
            [[months]] = connection.execute(query).fetchall()
        return int(months)
    except (StackError, SettingError, psycopg.Error, OSError):
        return None


def _tell_of_slots(stack: Stack) -> None:
    if told := stack.too_many_slots():
        console.print(told, style="yellow", markup=False)


def _tell_of_outdated(stack: Stack) -> None:
    """Says how many published months another version of the SQL made than the one that is there now."""
    with suppress(requests.RequestException):  # the stack is up all the same
        for told in told_of_outdated(_lines(stack)):
            console.print(told, style="yellow", markup=False, highlight=False)


def _up(stack: Stack) -> None:
    began = time.monotonic()
    choices = Choices.made(os.environ, stack.state)
    if choices.source.kind == "sample":
        console.rule("[bold red]MADE-UP ROWS")
        console.print("TLC's host did not answer: these months are generated, in a schema of their own.")
        console.rule()
    stack.up(choices)
    console.print(f"Up after {time.monotonic() - began:.0f} s")


def _backfill(stack: Stack, asked: dict[Dataset, list[Month]]) -> int:
    """The datasets' backfills run at once, and are followed one after the other."""
    parallel, reprocess = arguments.parallel(), arguments.reprocess()
    _up(stack)
    backfills = []
    for dataset, months in asked.items():
        stack.write_sample(dataset, months)
        backfills.append(Backfill(stack.api, dataset, months))
        backfills[-1].create(parallel, reprocess)
        console.print(
            f"Backfill of {dataset.name}, {months[0]} to {months[-1]}: {counted(len(months), 'month')}, {parallel} "
            "side by side"
        )
    outcomes = [backfill.follow() for backfill in backfills]
    for dataset, months in asked.items():
        _show_published(stack, dataset, months)
        _tell_of_months(stack, dataset, months)
    _show_address(stack)
    for backfill, outcome in zip(backfills, outcomes, strict=True):
        name = backfill.dataset.name
        for what, months in (("failed", outcome.failed), ("queued for ever", outcome.stuck)):
            if months:
                again = f"again: make backfill DATASET={name} FROM={min(months)} TO={max(months)} REPROCESS=failed"
                console.print(f"[red]{name} {what}: {', '.join(map(str, months))}[/red]; {again}")
    return 1 if any(outcome.failed or outcome.stuck for outcome in outcomes) else 0


def _lines(stack: Stack, dataset: Dataset | None = None) -> list[Line]:
    """The ledger's months, of the dataset or of all."""
    _ = stack.choices  # raises where the stack has not been started yet
    return lines_of(stack.api, dataset)


def _tell_of_months(stack: Stack, dataset: Dataset, months: list[Month]) -> None:
    """Says which of the months have failed, and what readers see of them; and which stay at another version."""
    for line in _lines(stack, dataset):
        if Month.parse(line["month"]) in months:
            if line["state"] == "failed":
                console.print(failure(line), style="red", markup=False, highlight=False)
            if line["pinned"]:
                console.print(pin(line), markup=False, highlight=False)


def _show_published(stack: Stack, dataset: Dataset, months: list[Month]) -> None:
    if not dataset.months_table:
        return
    schema = stack.published_schema(dataset)
    console.print(f"{dataset.title}, in the schema {schema}")
    try:
        console.print(published_table(stack.warehouse.uri(), schema, dataset.months_table, months))
    except psycopg.errors.UndefinedTable:
        console.print("Nothing is published yet.")


def _show_address(stack: Stack) -> None:
    user, password = stack.login
    console.print(f"Airflow    {stack.airflow.url}  user {user}, password {password}")
    console.print(f"Months     {stack.airflow.url}/plugin/months  all months, their reports, dbt's docs")
    console.print(f"Lineage    {stack.airflow.url}/plugin/lineage  where each column comes from, and what reads it")
    console.print(f"Warehouse  schemas {', '.join(stack.published_schemas)}; an address that reads them: make dsn")
    if settings := stack.choices.shown_settings():
        console.print(f"Settings   {', '.join(settings)}; to forget one: make up <NAME>=", markup=False)
    console.print(f"Source     {stack.choices.source}; another: TLC_DIR=<folder> or TLC_BASE_URL=<address>")


def _workshop(stack: Stack) -> Workshop:
    dataset, month, user = arguments.dataset(), arguments.month(), arguments.developer()
    folder = STATE / "dev" / f"{dataset.name}-{month}"
    return Workshop(dataset, month, stack.developer, stack.published_schema(dataset), user, folder)


def _demo_months(dataset: Dataset) -> list[Month]:
    """Consecutive months that are in the source's folder; of a source without a folder, DEMO_MONTHS."""
    source = Choices.made(os.environ, STATE).source
    return source.consecutive_months(dataset, MOST_DEMO_MONTHS) or months_between(dataset, *DEMO_MONTHS)


def _message_of(error: OSError) -> str:
    """What is wrong (a full disk, a missing permission), where, and what to do."""
    where = f"{error.filename}: " if error.filename else ""
    what = error.strerror or error
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{where}{what}. The stack keeps its state below {STATE}: make that writable for this user."
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"{where}{what}. Make room on the disk of {STATE}, then run this again."
    return f"{where}{what}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m dev", description="The local stack.")
    parser.add_argument("command", choices=COMMANDS)
    command = COMMANDS[parser.parse_args().command]
    forget_postgres_variables()
    try:
        return command(Stack(STATE))
    except (StackError, SettingError) as error:
        console.print(str(error), style="red", markup=False)
    except psycopg.Error as error:
        console.print(f"The database does not answer ({error}). Bring it back: make up", style="red", markup=False)
    except requests.RequestException as error:
        console.print(f"Airflow's API does not answer ({error}). Bring it back: make up", style="red", markup=False)
    except OSError as error:
        console.print(_message_of(error), style="red", markup=False)
    except KeyboardInterrupt:
        console.print("Interrupted; the stack goes on. make down stops it.")
    return TROUBLE if command is diff else 1


if __name__ == "__main__":
    sys.exit(main())
