"""Celery's workers. Each has a copy of the project, a home and a hostname, as if on a machine of its own."""

import shutil
from pathlib import Path

from dev.errors import StackError
from dev.system.process import BackgroundProcess, stop_all
from dev.system.programs import command
from dev.system.waiting import within
from include.settings import DBT_MANIFEST, ROOT
from include.support.fingerprint import digest_of

FOLDERS = ("config", "dags", "dbt", "include", "plugins", "profiles")
READ_BY_EACH_TASK = ("dbt", "profiles")
LEFT_OUT = {"__pycache__", "target", "logs", "site"}
READY_SECONDS = 120
# The stack's variables that a worker gets. It asks the api-server for Airflow's connections and variables. It gets
# neither the metadata database nor the keys that tokens and connections are made with.
OF_STACK = (
    "AIRFLOW__CORE__EXECUTOR",
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",
    "AIRFLOW__LOGGING__BASE_LOG_FOLDER",
)
SETTINGS_OF_STACK = ("AIRFLOW__CELERY", "AIRFLOW_STUDENT", "AIRFLOW_VAR_", "PIPELINE_", "RUN_SCHEMA_")
# The function that Airflow calls for the hostname that it shows with each task: the machine's own is the same for all.
HOSTNAME = "worker_hostname"


class CeleryWorkers:
    """The workers of one state folder: `worker-1`, `worker-2` and so on."""

    def __init__(self, state: Path) -> None:
        self._state = state

    def ensure(self, count: int, slots: int, environment: dict[str, str]) -> None:
        """Starts missing workers, ends surplus ones, returns when all take tasks. `slots`: of each worker.

        Raises StackError, with the end of the worker's log, where one does not come up.
        """
        revision = revision_of_project()
        stop_all([each for each in self._started() if each.name not in self.names(count)])
        since = {number: self._start(number, slots, environment, revision) for number in range(1, count + 1)}
        for _ in within(READY_SECONDS, every=0.25):
            waiting = [self._process(number) for number, offset in since.items() if not self._is_ready(number, offset)]
            if not waiting:
                return
            if ended := [process for process in waiting if not process.is_running()]:
                break
        process = [*ended, *waiting][0]
        raise StackError(f"{process.name} is not ready; the end of {process.log}:\n{process.log_end()}")

    def stop(self) -> None:
        """Ends all workers, and their tasks with them."""
        stop_all(self._started())

    def renew_dbt(self) -> None:
        """Copies the present dbt project to the workers, its manifest last. They need no restart for it.

        The next `make up` restarts them all the same, as it copies every file anew.
        """
        for process in self._started():
            for folder in READ_BY_EACH_TASK:
                _make_alike(self._state / "workers" / process.name / "project" / folder, ROOT / folder)

    def pid(self, name: str) -> int:
        """The process id of a worker that was started."""
        return BackgroundProcess(self._state, name).pid()

    def names(self, count: int) -> list[str]:
        """The names of so many workers."""
        return [self._process(number).name for number in range(1, count + 1)]

    def _started(self) -> list[BackgroundProcess]:
        """The workers that were started and not stopped since, whether they run or not."""
        records = (self._state / "run").glob("worker-*.json")
        return [BackgroundProcess(self._state, record.stem) for record in records]

    def _process(self, number: int) -> BackgroundProcess:
        return BackgroundProcess(self._state, f"worker-{number}")

    def _start(self, number: int, slots: int, environment: dict[str, str], revision: str) -> int | None:
        """The length of its log before it was started; None where it was running."""
        process = self._process(number)
        place = self._state / "workers" / process.name
        self._copy_project(process, place, revision)
        before = len(process.log.read_text(errors="replace")) if process.log.exists() else 0
        options = ("--skip-serve-logs", "--concurrency", str(slots), "--celery-hostname", process.name)
        worker = command("airflow", "celery", "worker", *options)
        started = process.ensure(worker, worker_environment(environment, place), revision)
        return before if started else None

    def _is_ready(self, number: int, offset: int | None) -> bool:
        """Whether it takes tasks, by its log after the offset; None: it was running before."""
        return offset is None or " ready." in self._process(number).log.read_text(errors="replace")[offset:]

    def _copy_project(self, process: BackgroundProcess, place: Path, revision: str) -> None:
        mark = place / "revision"
        if mark.exists() and mark.read_text() == revision:
            return
        process.stop()
        shutil.rmtree(place / "project", ignore_errors=True)
        for folder in FOLDERS:
            shutil.copytree(ROOT / folder, place / "project" / folder, ignore=shutil.ignore_patterns(*LEFT_OUT))
        for folder in ("home", "tmp", "airflow"):
            (place / folder).mkdir(exist_ok=True, mode=0o700)
        (place / f"{HOSTNAME}.py").write_text(f'def {HOSTNAME}() -> str:\n    return "{hostname(place.name)}"\n')
        mark.write_text(revision)


def worker_environment(environment: dict[str, str], place: Path) -> dict[str, str]:
    """A worker's environment: as few of the stack's variables as it can do with, and folders of its own."""
    project = place / "project"
    return {
        name: value for name, value in environment.items() if name in OF_STACK or name.startswith(SETTINGS_OF_STACK)
    } | {
        "HOME": str(place / "home"),
        "TMPDIR": str(place / "tmp"),
        "AIRFLOW_HOME": str(place / "airflow"),
        "AIRFLOW_CONFIG": str(project / "config/airflow.cfg"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(project / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(project / "plugins"),
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": f"{HOSTNAME}.{HOSTNAME}",
        "PYTHONPATH": f"{project}:{project / 'config'}:{place}",
    }


def _make_alike(copy: Path, original: Path) -> None:
    """Makes the copy like the original. At any time each of its files is the old one or the new one, as a whole."""
    files = {
        file.relative_to(original)
        for file in original.rglob("*")
        if file.is_file() and not LEFT_OUT & set(file.relative_to(original).parts)
    }
    for file in sorted(files, key=lambda file: original / file == DBT_MANIFEST):
        new = copy / file.with_name(f".{file.name}.new")
        new.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(original / file, new)
        new.replace(copy / file)
    for file in [file for file in copy.rglob("*") if file.is_file() and file.relative_to(copy) not in files]:
        file.unlink()


def hostname(worker: str) -> str:
    """The hostname that Airflow shows. Names below `localhost` are this machine's everywhere (RFC 6761)."""
    return f"{worker}.localhost"


def revision_of_project() -> str:
    """A hash of all files that a worker has a copy of."""
    files = (file for folder in FOLDERS for file in (ROOT / folder).rglob("*"))
    return digest_of(file for file in files if not LEFT_OUT & set(file.parts)).hex()
