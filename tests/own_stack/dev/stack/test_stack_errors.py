"""What a newcomer meets before anything is started: a message that says what to do, and nothing left half-made."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

import dev.__main__ as commands
from dev.errors import StackError
from dev.services.postgres import EmbeddedPostgres
from dev.services.secrets import StackSecrets
from dev.stack.choices import Choices
from dev.stack.stack import Stack
from dev.stack.trip_source import Source
from dev.system.ports import LOOPBACK, is_free, reserved_port
from dev.system.process import BackgroundProcess
from tests.support.meanwhile import meanwhile

NOBODY = 65534
SECRET = "hunter2-hunter2"  # noqa: S105
FROM_HERE = {"TLC_BASE_URL": "http://127.0.0.1:1"}  # so that TLC's own host is not asked for


@dataclass(frozen=True)
class Done:
    exit_code: int
    output: str


def python_m_dev(
    state: Path, command: str, environment: dict[str, str], before: Callable[[], None] = lambda: None
) -> Done:
    """`python -m dev <command>` on the state folder, in a process of its own that does `before` first."""

    def child(output: int) -> None:
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout = sys.stderr = os.fdopen(1, "w", buffering=1, closefd=False)
        for name in [name for name in os.environ if name.startswith(("AIRFLOW", "AZURE_PG", "PG", "TLC"))]:
            del os.environ[name]
        os.environ.update(environment)
        commands.STATE, sys.argv = state, ["dev", command]
        before()
        os._exit(commands.main())

    output, into = os.pipe()  # not a file: some tests bound the size of files
    process = multiprocessing.get_context("fork").Process(target=child, args=(into,))
    process.start()
    os.close(into)
    with os.fdopen(output) as said:
        text = said.read()
    process.join()
    return Done(process.exitcode, text)


def refused(done: Done, *says: str) -> None:
    assert "Traceback" not in done.output, done.output
    assert done.exit_code == 1, done.output
    for each in says:
        assert each in done.output.replace("\n", " "), done.output
    assert SECRET not in done.output


def files(state: Path) -> set[str]:
    """All files in the folder, except the lock that a command holds while it runs."""
    return {str(file.relative_to(state)) for file in state.rglob("*") if file.name != "stack.lock"}


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    state = tmp_path / "state"
    yield state
    if (state / "run" / "scheduler.json").exists() or (state / "postgres" / "data").is_symlink():
        with suppress(StackError):  # there is nothing to stop, unless a command has started what it should have refused
            Stack(state).down()
    data = state / "postgres" / "data"
    if data.is_symlink():  # where root's server keeps its files
        shutil.rmtree(data.readlink().parent)


# ---------- what was asked for cannot be

UP, BACKFILL = "up", "backfill"
MONTHS = {"FROM": "2024-01", "TO": "2024-01"}
CONNECTION = {"conn_type": "postgres", "host": "h", "login": "u", "password": SECRET, "schema": "d"}
ASKED = {
    "a folder that is not there": (UP, {"TLC_DIR": "/nowhere"}, "TLC_DIR=/nowhere: there is no such folder"),
    "a file for a folder": (UP, {"TLC_DIR": __file__}, "there is no such folder"),
    "a host without http": (UP, {"TLC_BASE_URL": "tlc.example"}, "TLC_BASE_URL: an address"),
    "another protocol": (UP, {"TLC_BASE_URL": "ftp://tlc.example"}, "TLC_BASE_URL: an address"),
    "no host": (UP, {"TLC_BASE_URL": "http://"}, "TLC_BASE_URL: an address"),
    "half an address": (UP, {"TLC_BASE_URL": "http://[::1"}, "TLC_BASE_URL: an address"),
    "a port that is none": (UP, {"TLC_BASE_URL": "http://h:port"}, "TLC_BASE_URL: an address"),
    "a blank in it": (UP, {"TLC_BASE_URL": "http://a b"}, "TLC_BASE_URL: an address"),
    "a student in capitals": (UP, FROM_HERE | {"AIRFLOW_STUDENT": "Ann"}, "AIRFLOW_STUDENT='Ann': use 1 to"),
    "a student named sample": (UP, FROM_HERE | {"AIRFLOW_STUDENT": "sample"}, "AIRFLOW_STUDENT=sample is for the gen"),
    "a student like a schema": (UP, FROM_HERE | {"AIRFLOW_STUDENT": "a_partitions"}, "may not end in"),
    "no DSN": (UP, FROM_HERE | {"AZURE_PG": f"password={SECRET} x"}, "is not one that Postgres understands"),
    "no database": (UP, FROM_HERE | {"AZURE_PG": f"host=h user=u password={SECRET}"}, "does not name its dbname"),
    "no host to log in to": (UP, FROM_HERE | {"AZURE_PG": f"user=u dbname=d password={SECRET}"}, "name its host"),
    "PG_HOST alone": (UP, FROM_HERE | {"PG_HOST": "h"}, "PG_HOST is set, but not PG_USER, PG_PASSWORD, PG_DBNAME"),
    "PG_PORT that is none": (
        UP,
        FROM_HERE | {"PG_HOST": "h", "PG_PORT": "x", "PG_USER": "u", "PG_PASSWORD": SECRET, "PG_DBNAME": "d"},
        "PG_PORT=x: a number",
    ),
    "another database": (UP, FROM_HERE | {"AIRFLOW_CONN_AZURE_PG": "mysql://u@h/d"}, "not a Postgres connection"),
    "half a JSON": (UP, FROM_HERE | {"AIRFLOW_CONN_AZURE_PG": '{"host": "h"'}, "AIRFLOW_CONN_AZURE_PG"),
    "a connection without a login": (
        UP,
        FROM_HERE | {"AIRFLOW_CONN_AZURE_PG": json.dumps({"host": "h", "password": SECRET, "schema": "d"})},
        "AIRFLOW_CONN_AZURE_PG does not name its login",
    ),
    "extras of another kind": (
        UP,
        FROM_HERE | {"AIRFLOW_CONN_AZURE_PG": json.dumps(CONNECTION | {"extra": [1]})},
        "AIRFLOW_CONN_AZURE_PG",
    ),
    "an unreachable server": (
        UP,
        FROM_HERE | {"AZURE_PG": f"postgresql://u:{SECRET}@127.0.0.1:1/d"},
        "Your Postgres (127.0.0.1:1, database d, user u) does not let us in. Nothing was started",
    ),
    "no months": (BACKFILL, {}, "FROM and TO are needed"),
    "half the months": (BACKFILL, {"FROM": "2024-01"}, "FROM and TO are needed"),
    "a month that is none": (BACKFILL, {"FROM": "2024-1", "TO": "2024-02"}, "FROM=2024-1 TO=2024-02: month '2024-1'"),
    "months backwards": (BACKFILL, {"FROM": "2024-02", "TO": "2024-01"}, "FROM=2024-02 is after TO=2024-01"),
    "before the first": (BACKFILL, {"FROM": "2013-07", "TO": "2024-01"}, "FROM=2013-07: green begins with 2013-08"),
    "before yellow's zones": (
        BACKFILL,
        {"DATASET": "yellow", "FROM": "2010-12", "TO": "2024-01"},
        "FROM=2010-12: yellow begins with 2011-01, the first month with taxi zones",
    ),
    "another dataset": (
        BACKFILL,
        {"DATASET": "blue", "FROM": "2024-01", "TO": "2024-01"},
        "one of green, yellow is needed",
    ),
    "in the future": (BACKFILL, {"FROM": "2024-01", "TO": "2999-01"}, "TO=2999-01: this month has not ended"),
    "none side by side": (BACKFILL, MONTHS | {"PARALLEL": "0"}, "PARALLEL=0: a number"),
    "parallel in words": (BACKFILL, MONTHS | {"PARALLEL": "two"}, "PARALLEL=two: a number"),
    "half a month": (BACKFILL, MONTHS | {"PARALLEL": "1.5"}, "PARALLEL=1.5: a number"),
    "more than Airflow can hold": (BACKFILL, MONTHS | {"PARALLEL": "9" * 12}, "1 to 200"),
    "an unknown way": (BACKFILL, MONTHS | {"REPROCESS": "all"}, "REPROCESS=all: one of none, completed, failed"),
    "before a first start: another dataset": ("database", {"DATASET": "blue"}, "one of green, yellow is needed"),
    "before a first start: half the months": ("database", {"FROM": "2024-01"}, "FROM and TO are needed"),
    "before a first start: none side by side": ("database", {"PARALLEL": "0"}, "PARALLEL=0: a number"),
    "before a first start: an unknown way": ("database", {"REPROCESS": "all"}, "REPROCESS=all: one of none"),
    "another executor": ("up", FROM_HERE | {"EXECUTOR": "dask"}, "EXECUTOR=dask: one of local, celery is needed"),
    "no worker": ("up", FROM_HERE | {"EXECUTOR": "celery", "WORKERS": "0"}, "WORKERS=0: a number of workers"),
    "workers in words": ("up", FROM_HERE | {"WORKERS": "two"}, "WORKERS=two: a number of workers is needed, 1 to 8"),
    "doctor before the start": ("doctor", {}, "has not been started yet: make up"),
    "days in words": ("drop-run-schemas", {"OLDER_THAN_DAYS": "week"}, "OLDER_THAN_DAYS=week: a number of days"),
    "days past all calendars": ("drop-run-schemas", {"OLDER_THAN_DAYS": "9" * 12}, "36500 at most"),
    "an open quote for dbt": ("dbt", {"ARGS": "build --vars '{ds"}, "ARGS=build --vars '{ds: No closing quotation"),
    "an open quote for Airflow": ("airflow", {"ARGS": '"'}, "No closing quotation"),
    "an address before the start": ("dsn", {}, "has not been started yet: make up"),
    "another role": ("dsn", {"ROLE": "root"}, "ROLE=root: one of analyst, developer, owner is needed"),
    "dbt before the start": ("dbt", {"ARGS": "ls"}, "has not been started yet: make up"),
    "airflow before the start": ("airflow", {"ARGS": "dags list"}, "has not been started yet: make up"),
    "maintenance before the start": ("drop-run-schemas", {}, "has not been started yet: make up"),
}


@pytest.mark.parametrize(("command", "environment", "says"), ASKED.values(), ids=ASKED)
def test_what_cannot_be_is_refused_by_name_and_leaves_nothing(
    state: Path, command: str, environment: dict[str, str], says: str
):
    refused(python_m_dev(state, command, environment), says)
    assert files(state) == set()


@pytest.mark.parametrize("wrong", ["password", "database", "user", "rights"])
def test_a_server_that_cannot_be_used_is_named_is_not_remembered_and_nothing_starts(
    state: Path, postgres: EmbeddedPostgres, dsn: str, wrong: str
):
    right = conninfo_to_dict(dsn)
    if wrong == "rights":
        parts = conninfo_to_dict(postgres.dsn("warehouse", "analyst"))
        say = "the user may not create schemas"
    else:
        replaced = {"password": SECRET, "database": "nowhere", "user": "nobody"}[wrong]
        parts, say = (
            right | {"dbname" if wrong == "database" else wrong: replaced},
            "does not let us in. Nothing was started",
        )
    url = " ".join(f"{name}={value}" for name, value in parts.items())
    done = python_m_dev(state, "up", FROM_HERE | {"AZURE_PG": url})
    refused(done, f"Your Postgres (127.0.0.1:{parts['port']}, database {parts['dbname']}, user {parts['user']})", say)
    assert parts["password"] not in done.output
    assert files(state) == set()


# ---------- what was remembered cannot be

REMEMBERED = Choices(Source("url", "http://127.0.0.1:1"))
WHOLE = {"source": {"kind": "url", "place": "http://h"}, "student": "default", "warehouse": None}
DAMAGED = {
    "empty": "",
    "cut": json.dumps(WHOLE)[:40],
    "zeros": "\0" * 40,
    "a list": "[]",
    "null": "null",
    "without the source": json.dumps({"student": "default", "warehouse": None}),
    "without the student": json.dumps({"source": WHOLE["source"], "warehouse": None}),
    "an unknown source": json.dumps(WHOLE | {"source": {"kind": "magic", "place": "x"}}),
    "a source without a place": json.dumps(WHOLE | {"source": {"kind": "url"}}),
    "a place of another kind": json.dumps(WHOLE | {"source": {"kind": "url", "place": 7}}),
    "a student that cannot be": json.dumps(WHOLE | {"student": "Ann"}),
    "half a server": json.dumps(WHOLE | {"warehouse": {"host": "h", "password": SECRET}}),
    "a server of another kind": json.dumps(WHOLE | {"warehouse": SECRET}),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_damaged_choices_are_named_and_left_for_their_owner_to_look_at(state: Path, content: str):
    state.mkdir()
    (state / "choices.json").write_text(content)
    for command in ("dsn", "up"):
        done = python_m_dev(state, command, FROM_HERE)
        refused(
            done, f"{state}/choices.json, where the last choices are kept, is damaged, or of another version: remove it"
        )
    assert (state / "choices.json").read_text() == content
    assert files(state) == {"choices.json"}


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"postgres": "hunter2-hunter2"}', '{"a": 1}'])
def test_damaged_passwords_are_named_and_not_made_anew_over_the_database_they_open(state: Path, content: str):
    REMEMBERED.remember(state)
    (state / "secrets.json").write_text(content)
    refused(python_m_dev(state, "up", FROM_HERE), f"{state}/secrets.json is damaged", "begin anew")
    assert (state / "secrets.json").read_text() == content
    assert not (state / "run").exists()


def test_passwords_that_are_gone_are_not_made_anew_over_the_database_they_open(state: Path):
    (state / "postgres" / "data").mkdir(parents=True)
    (state / "postgres" / "data" / "PG_VERSION").write_text("18\n")
    refused(python_m_dev(state, "up", FROM_HERE), f"{state}/secrets.json is gone", "begin anew")
    assert not (state / "secrets.json").exists()


def test_a_folder_of_files_that_is_gone_since_is_named(state: Path, tmp_path: Path):
    folder = tmp_path / "tlc"
    folder.mkdir()
    Choices(Source("folder", str(folder))).remember(state)
    folder.rmdir()
    refused(python_m_dev(state, "up", {}), f"TLC_DIR={folder}: there is no such folder. Name another")
    assert files(state) == {"choices.json"}


@pytest.mark.parametrize("content", ["", "x", "{}", "-1", "0", "70000", "5432.0"])
def test_a_damaged_port_is_chosen_anew_and_asked_for_in_vain(state: Path, content: str):
    REMEMBERED.remember(state)
    port = state / "postgres" / "port"
    port.parent.mkdir()
    port.write_text(content)
    StackSecrets.of(state)
    refused(python_m_dev(state, "dsn", {}), "has not been started yet, or not to its end: make up")
    chosen = reserved_port(port)
    assert is_free(chosen)
    assert port.read_text() == f"{chosen}\n"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}', '{"pid": "x", "started": 1, "fingerprint": ""}'])
def test_a_damaged_record_of_a_process_is_named_and_no_process_taken_for_it(state: Path, content: str):
    process = BackgroundProcess(state, "scheduler")
    record = state / "run" / "scheduler.json"
    record.parent.mkdir(parents=True)
    record.write_text(content)
    for call in (process.is_running, process.stop, process.started):
        with pytest.raises(StackError, match=r"run/scheduler.json is damaged. Look whether scheduler still runs"):
            call()
    assert record.read_text() == content


# ---------- the machine does not let us


@contextmanager
def closed_folder(path: Path) -> Iterator[Callable[[], None]]:
    """A folder that a process may not write. Root may, so it must first call the function that is yielded."""
    path.mkdir(mode=0o500)

    def give_rights_away() -> None:
        if os.geteuid() == 0:
            os.seteuid(NOBODY)

    yield give_rights_away
    path.chmod(0o700)


@pytest.mark.parametrize("command", ["up", "down", "demo"])
def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path, command: str):
    with closed_folder(tmp_path / "closed") as give_rights_away:
        state = tmp_path / "closed" / "state"
        done = python_m_dev(state, command, FROM_HERE, before=give_rights_away)
    refused(done, "Permission denied", f"keeps its state below {state}: make that writable")
    assert not state.exists()


def test_a_folder_of_files_that_may_not_be_read_is_named():
    with tempfile.TemporaryDirectory() as name:  # not one of pytest's: the user `nobody` may not enter those
        place = Path(name)
        place.chmod(0o755)
        with closed_folder(place / "tlc") as give_rights_away:
            (place / "tlc").chmod(0o000)
            done = python_m_dev(place / "state", "up", {"TLC_DIR": str(place / "tlc")}, before=give_rights_away)
        refused(done, f"TLC_DIR={place}/tlc: may not be read by this user")
        assert files(place) == {"tlc"}


def test_a_full_disk_is_named_and_no_half_file_left(state: Path):
    """A bound on the size of files stands for the disk: the write fails at the same place, for root too."""
    done = python_m_dev(state, "up", FROM_HERE, before=files_of_at_most(20))
    refused(done, f"Make room on the disk of {state}")
    assert files(state) == set()


def files_of_at_most(size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_database_that_cannot_be_made_says_why_and_is_made_whole_the_next_time(state: Path):
    done = python_m_dev(state, "up", FROM_HERE, before=files_of_at_most(300_000))
    refused(done, "initdb could not create", "File too large")
    server = EmbeddedPostgres(state, durable=False)
    assert list((server._place / "data").iterdir()) == []
    assert not (server._place / "data.draft").exists()
    assert not (server._place / "log" / "password").exists()
    # one that was killed in the middle leaves these
    (server._place / "data.draft").mkdir()
    (server._place / "data.draft" / "PG_VERSION").write_text("18\n")
    (server._place / "log" / "password").write_text("half")
    with thief_of(state / "postgres" / "port"), pytest.raises(StackError, match="make up again") as refusal:
        server.start()
    assert "could not bind" in str(refusal.value) or "Address already in use" in str(refusal.value)
    server.start()
    assert server.is_running()
    server.stop()


@contextmanager
def thief_of(file: Path) -> Iterator[None]:
    """Another program that takes the port as soon as it is chosen, before the server does."""
    before = file.read_text() if file.exists() else ""
    with socket.socket() as taken:

        def steal() -> None:
            has_it = taken.getsockname()[1] != 0
            if not has_it and file.exists() and (text := file.read_text()) not in ("", before):
                taken.bind((LOOPBACK, int(text)))
                taken.listen()

        with meanwhile(steal, every=0.0005):
            yield


def test_a_mirror_whose_port_another_program_took_is_not_mistaken_for_it(state: Path, tmp_path: Path):
    folder = tmp_path / "tlc"
    folder.mkdir()
    stack = Stack(state, durable=False)
    try:
        with (
            thief_of(state / "run" / "tlc-mirror.port"),
            pytest.raises(StackError, match="The TLC mirror does not answer on port") as refusal,
        ):
            stack.up(Choices(Source("folder", str(folder))))
        assert "Address already in use" in str(refusal.value)
        assert not (state / "airflow").exists()
    finally:
        stack.down()


def test_stopping_what_was_never_started_is_no_error(state: Path):
    assert python_m_dev(state, "down", {}).exit_code == 0
