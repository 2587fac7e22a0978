"""Processes that outlive the command which started them."""

import hashlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypedDict

import psutil

from dev.errors import StackError
from dev.system.files import write_private
from dev.system.waiting import within
from include.settings import SETTINGS

# The start time of a process is computed from the boot time, which moves when the clock is set.
SAME_START_SECONDS = 2
# The triggerer at times takes 12 s to end by itself; it has nothing to lose.
GRACE_SECONDS = 8
NOT_BY_PROXY = "localhost,127.0.0.1,::1"
# A program that gives itself a title, as Airflow's and Celery's do, would write it over what the kernel shows of its
# environment. With this variable setproctitle uses the room of the command line alone.
KEEPS_ENVIRONMENT = {"SPT_NOENV": "1"}


class Record(TypedDict):
    pid: int
    started: float
    fingerprint: str


class BackgroundProcess:
    """One named process of a stack: its record in `<state>/run`, its output in `<state>/logs`.

    The record holds the process id and start time, so that another program under a reused id is not taken for it.
    """

    def __init__(self, state: Path, name: str) -> None:
        self.name = name
        self.log = state / "logs" / f"{name}.log"
        self._record_file = state / "run" / f"{name}.json"

    def ensure(self, argv: list[str], environment: dict[str, str], version: str = "") -> bool:
        """Starts it, unless it runs already with the same command, environment and version. True if it was started.

        It gets `inherited_environment`, and `environment` laid over that.
        """
        asked = json.dumps([argv, environment, version], sort_keys=True)
        fingerprint = hashlib.sha256(asked.encode()).hexdigest()
        if self.is_running() and self._record()["fingerprint"] == fingerprint:
            return False
        self.stop()
        self.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self.log.open("ab") as output:
            process = subprocess.Popen(
                argv,
                env=inherited_environment() | environment | KEEPS_ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        record = {"pid": process.pid, "started": psutil.Process(process.pid).create_time(), "fingerprint": fingerprint}
        write_private(self._record_file, json.dumps(record))
        return True

    def is_running(self) -> bool:
        """Whether it lives; a zombie does not."""
        return self._leader() is not None

    def environment(self) -> dict[str, str] | None:
        """The variables that it was started with, from the kernel; None where it does not run. May hold passwords."""
        with suppress(psutil.Error):
            if leader := self._leader():
                return leader.environ()
        return None

    def listens_on(self, port: int) -> bool:
        """Whether it itself, not another program, has the loopback port open."""
        with suppress(psutil.Error):
            if leader := self._leader():
                return any(
                    each.status == psutil.CONN_LISTEN and each.laddr.port == port
                    for each in leader.net_connections("tcp")
                )
        return False

    def comes_to_listen_on(self, port: int, seconds: float) -> bool:
        """Waits for the loopback port to be its own; False where it ends before, or so many seconds are over."""
        for _ in within(seconds, every=0.05):
            if self.listens_on(port):
                return True
            if not self.is_running():
                break
        return False

    def pid(self) -> int:
        """The process id of its last start."""
        return self._record()["pid"]

    def started(self) -> float:
        """The time of its last start, in seconds since the epoch."""
        return self._record()["started"]

    def stop(self) -> None:
        """Ends it and all it started; no-op if nothing of it runs."""
        stop_all([self])

    def log_end(self, lines: int = 15) -> str:
        """The last lines of its output."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def _record(self) -> Record:
        try:
            record = json.loads(self._record_file.read_text())
            return {
                "pid": int(record["pid"]),
                "started": float(record["started"]),
                "fingerprint": record["fingerprint"],
            }
        except (ValueError, TypeError, KeyError):
            raise StackError(
                f"{self._record_file} is damaged. Look whether {self.name} still runs and end it; then remove the file."
            ) from None

    def _leader(self) -> psutil.Process | None:
        try:
            record = self._record()
            process = psutil.Process(record["pid"])
            same = abs(process.create_time() - record["started"]) < SAME_START_SECONDS
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except (FileNotFoundError, psutil.NoSuchProcess):
            return None

    def _session(self) -> list[psutil.Process]:
        """The live processes of its session: the process and what it started, such as a scheduler's tasks.

        What it started may outlive it. The session is known by the process id of its leader, which the kernel reuses
        only when the session is empty.
        """
        if not self._record_file.exists():
            return []
        record = self._record()
        try:
            if abs(psutil.Process(record["pid"]).create_time() - record["started"]) >= SAME_START_SECONDS:
                return []
        except psutil.NoSuchProcess:
            pass
        found = []
        for process in psutil.process_iter():
            try:
                if os.getsid(process.pid) == record["pid"] and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (ProcessLookupError, PermissionError, psutil.Error):
                continue
        return found


def stop_all(processes: Iterable[BackgroundProcess]) -> None:
    """Ends them side by side, and all they started: SIGTERM to each, SIGKILL to what is left GRACE_SECONDS later."""
    processes = list(processes)
    for process in processes:
        if leader := process._leader():
            leader.terminate()
    wait_or_kill(lambda: [member for process in processes for member in process._session()], GRACE_SECONDS)
    for process in processes:
        process._record_file.unlink(missing_ok=True)


def wait_or_kill(living: Callable[[], list[psutil.Process]], seconds: float) -> None:
    """Waits until `living` finds no process; kills those that it finds when so many seconds are over."""
    for _ in within(seconds, every=0.05):
        if not living():
            return
    while left := living():
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(0.05)


def forget_postgres_variables() -> None:
    """Takes what configures Postgres' programs and clients (`PGSSLMODE`, `PGDATA`...) out of this process' environment.

    They are the user's, for another server; libpq would lay them over the stack's own addresses. The variables of dbt's
    profile, `PG_HOST` and the like, stay. Names: https://www.postgresql.org/docs/current/libpq-envars.html
    """
    for name in [name for name in os.environ if name.startswith("PG") and not name.startswith("PG_")]:
        del os.environ[name]


def inherited_environment() -> dict[str, str]:
    """This process' environment without what configures the pipeline, Airflow, dbt, Postgres or Python's paths.

    With NOT_BY_PROXY in NO_PROXY: else a proxy of the user's is asked for Airflow's own server, and for the mirror.
    """
    ours = ("AIRFLOW", "AZURE_PG", "COSMOS", "DBT_", "PG", "PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE")
    settings = tuple(each.name for each in SETTINGS)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours + settings)}
    given = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    # some programs read the one, some the other. A star, which stands for every host, counts alone only
    direct = given if given == "*" else ",".join(filter(None, [given, NOT_BY_PROXY]))
    return inherited | {"NO_PROXY": direct, "no_proxy": direct}
