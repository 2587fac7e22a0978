"""Airflow's four processes on this machine, and the environment that they and the CLI run in."""

import importlib.metadata
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import requests

from dev.console import console
from dev.errors import StackError
from dev.services.airflow_api import AirflowApi, instant
from dev.services.secrets import StackSecrets
from dev.system.files import write_private
from dev.system.ports import LOOPBACK, remembered_port, reserved_port
from dev.system.process import BackgroundProcess, stop_all
from dev.system.programs import command, run
from dev.system.waiting import within
from include.datasets import TLC, default_dataset
from include.month import Month
from include.settings import DBT_MANIFEST, REPORTS, ROOT, SCHEDULE_FROM, WAREHOUSE_CONNECTION
from include.support.fingerprint import digest_of

ADMIN = "admin"
# How long the start may take. On 2 cores it took 22 s from nothing to healthy, most of it Python imports.
HEALTHY_SECONDS = 240
LOOK_SECONDS = 0.25
# Airflow dates an import error by the end of the parse, which takes 1 to 3 s. So an error of a file that was corrected
# during the parse can have a later date than the correction.
PARSE_SECONDS = 5
# Three months side by side: with 2 over a tenth of the CPU stayed idle, with 3 about a twentieth; 4 were no faster.
TASKS_PER_CORE = 3
# For so long Airflow keeps a DAG as it was drawn, and its cache of it, whatever the DAG's file says. With Airflow's
# default, 30, a model edited twice within half a minute was in the grid after 40 to 45 s.
REDRAWN_SECONDS = "2"
# How often Airflow reads a DAG file that was not changed; its default is 30, and all five take 1.3 s of CPU. One
# that was changed is read at once, and so are all when the manifest watcher or `make up` ask for it.
DRAWN_AGAIN_SECONDS = "60"
# The executor waits instead of the scheduler, which so hears at once of a task's end.
LOCAL_EXECUTOR = {
    "CORE__EXECUTOR": "include.processes.executor.RestingLocalExecutor",
    "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.05",
}
# Airflow's processes may end once, at most twice, after their database was gone: hence a third attempt.
ATTEMPTS = 3
# Without their log servers, which would listen on every interface: the api-server reads their log files from the same
# folder.
OPTIONS = {"scheduler": ["--skip-serve-logs"], "triggerer": ["--skip-serve-logs"]}
HEARTBEATS = {
    "scheduler": "latest_scheduler_heartbeat",
    "dag-processor": "latest_dag_processor_heartbeat",
    "triggerer": "latest_triggerer_heartbeat",
}


class AirflowServices:
    """The api-server, scheduler, dag-processor and triggerer of one state folder."""

    def __init__(self, state: Path, dags: Path) -> None:
        self.home = state / "airflow"
        self.dags = dags
        self._state = state
        self._api: AirflowApi | None = None
        self._processes = {
            name: BackgroundProcess(state, name) for name in ("api-server", "scheduler", "dag-processor", "triggerer")
        }

    @property
    def url(self) -> str:
        """The address of the UI and the API since the last start."""
        return f"http://{LOOPBACK}:{remembered_port(self._port_file)}"

    @property
    def secrets(self) -> StackSecrets:
        """Passwords and keys of the stack."""
        return StackSecrets.of(self._state)

    @property
    def api(self) -> AirflowApi:
        """The API's client. It stays logged in for as long as the port stays the same."""
        if self._api is None or self._api.url != self.url:
            self._api = AirflowApi(self.url, ADMIN, self.secrets.admin)
        return self._api

    def environment(
        self,
        metadata_dsn: str,
        warehouse: str,
        source_url: str,
        student: str,
        celery: dict[str, str],
        given: dict[str, str],
    ) -> dict[str, str]:
        """The variables that make a process a part of this Airflow; they hold passwords.

        `warehouse`: the value of an Airflow connection variable. `celery`: the settings of CeleryExecutor, or none.
        `given`: further variables, which count more than the stack's own.
        """
        secrets = self.secrets
        settings = {
            "CORE__DAGS_FOLDER": str(self.dags),
            "CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "CORE__PARALLELISM": str(tasks_at_once()),
            "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": DRAWN_AGAIN_SECONDS,
            "CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": REDRAWN_SECONDS,
            "CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "CORE__FERNET_KEY": secrets.fernet_key,
            "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN}:admin",
            "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self._passwords_file),
            "DATABASE__SQL_ALCHEMY_CONN": metadata_dsn.replace("postgresql://", "postgresql+psycopg2://"),
            "LOGGING__BASE_LOG_FOLDER": str(self.home / "logs"),
            "COSMOS__CACHE_DIR": str(self.home / "cosmos"),
            "API__BASE_URL": self.url,
            "API__HOST": LOOPBACK,
            "API__PORT": self.url.rpartition(":")[2],
            "API__SECRET_KEY": secrets.api_secret_key,
            "API_AUTH__JWT_SECRET": secrets.jwt_secret,
            **(celery or LOCAL_EXECUTOR),
        }
        return {f"AIRFLOW__{name}": value for name, value in settings.items()} | {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW_CONFIG": str(ROOT / "config/airflow.cfg"),
            f"AIRFLOW_CONN_{WAREHOUSE_CONNECTION.upper()}": warehouse,
            f"AIRFLOW_VAR_{TLC.variable.upper()}": source_url,
            "AIRFLOW_STUDENT": student,
            REPORTS.name: str(self._state / "reports"),
            SCHEDULE_FROM.name: self._first_scheduled_month(),
            # config/ holds airflow_local_settings.py.
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "config")]),
            **given,
        }

    def _first_scheduled_month(self) -> str:
        """The month of the stack's first start, so that a new stack begins with no run that waits for weeks."""
        file = self._state / "schedule_from"
        if not file.exists():
            file.write_text(str(Month.containing(datetime.now(UTC))))
        return file.read_text()

    def choose_port(self) -> None:
        """Keep the api-server's port, unless another program took it while the api-server was down."""
        if not self._processes["api-server"].is_running():
            self._processes["api-server"].stop()
            reserved_port(self._port_file)

    def prepare(self, environment: dict[str, str]) -> None:
        """Makes the home folder, the login, and the metadata tables of this Airflow version."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.home.chmod(0o700)
        write_private(self._passwords_file, json.dumps({ADMIN: self.secrets.admin}))
        version = importlib.metadata.version("apache-airflow")
        database = environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].rpartition("/")[2]
        migrated = self.home / f"migrated-{database}"
        if migrated.exists() and migrated.read_text() == version:
            return
        console.print("Airflow: creating its tables")
        done = run("airflow", "db", "migrate", environment=environment, capture=True)
        if done.returncode:
            raise StackError(f"airflow db migrate failed:\n{done.stdout[-3000:]}")
        migrated.write_text(version)

    def ensure(self, environment: dict[str, str], database_started: float) -> None:
        """Start what does not run, restart what runs with another command, environment or code, and return when all of
        it is healthy and the DAG is there. Raises StackError with the log or the import error otherwise.

        `database_started` is in seconds since the epoch. When their database was gone, Airflow's processes end at their
        next heartbeat. So one without a heartbeat since `database_started` may still end. `prepare` comes before.
        """
        code = code_version()
        for _ in range(ATTEMPTS):
            started = [name for name, process in self._processes.items() if self._start(process, environment, code)]
            if started:
                console.print(f"Airflow: starting {', '.join(started)}")
            ended = self._wait_until_healthy(database_started)
            if ended is None:
                return self._wait_for_dag()
            failure = f"airflow {ended.name} ended; the end of {ended.log}:\n{ended.log_end()}"
        raise StackError(failure)

    def stop(self) -> None:
        """Stop all four; tasks that run are ended with them."""
        stop_all(self._processes.values())

    @property
    def _port_file(self) -> Path:
        return self.home / "port"

    @property
    def _passwords_file(self) -> Path:
        return self.home / "passwords.json"

    def _start(self, process: BackgroundProcess, environment: dict[str, str], code: str) -> bool:
        return process.ensure(command("airflow", process.name, *OPTIONS.get(process.name, ())), environment, code)

    def _wait_until_healthy(self, database_started: float) -> BackgroundProcess | None:
        """Returns None when all are healthy; a process that ends before, at once."""
        for _ in within(HEALTHY_SECONDS, every=LOOK_SECONDS):
            unhealthy = self._unhealthy(database_started)
            # checked after the heartbeats: a process may have sent one just before it was killed
            for process in self._processes.values():
                if not process.is_running():
                    return process
            if not unhealthy:
                return None
        raise StackError(f"Airflow: {', '.join(unhealthy)} not healthy; see {self._state / 'logs'}")

    def _unhealthy(self, since: float) -> list[str]:
        """The processes without a heartbeat since they, and the database, were started.

        Airflow itself takes a killed one for healthy until its last heartbeat is 30 s old.
        """
        try:
            health = self.api.health()
        except requests.RequestException:
            return ["api-server"]
        unhealthy = []
        for name, heartbeat in HEARTBEATS.items():
            component = health[name.replace("-", "_")]
            last = component[heartbeat]
            if component["status"] != "healthy" or instant(last) < max(since, self._processes[name].started()):
                unhealthy.append(name)
        return unhealthy

    def _wait_for_dag(self) -> None:
        """Wait until the running dag-processor has parsed the present DAG files with the present manifest.

        One file draws the DAGs of all datasets, so one of them stands for the others. Airflow parses a file that was
        not changed only after a minute, unless it is told to by its API.
        """
        dag_id, files = default_dataset().dag_id, [*self.dags.glob("*.py"), DBT_MANIFEST]
        started = self._processes["dag-processor"].started()
        since = max([started, *(file.stat().st_mtime for file in files if file.exists())])
        errors_since = since if since == started else since + PARSE_SECONDS
        asked = False
        for _ in within(HEALTHY_SECONDS, every=LOOK_SECONDS):
            errors = self.api.pages("/importErrors", "import_errors")
            if fresh := [error for error in errors if instant(error["timestamp"]) >= errors_since]:
                raise StackError("\n".join(f"{error['filename']}:\n{error['stack_trace']}" for error in fresh))
            try:
                dag = self.api.call("GET", f"/dags/{dag_id}")
                began = instant(dag["last_parsed_time"]) - (dag["last_parse_duration"] or 0)
                if not dag["is_stale"] and began >= since:
                    return
                if not asked:
                    self.api.call("PUT", f"/parseDagFile/{dag['file_token']}")
                    asked = True
            except requests.HTTPError as error:
                if error.response is None or error.response.status_code != requests.codes.not_found:
                    raise
        raise StackError(f"The DAG {dag_id} does not appear; see {self._processes['dag-processor'].log}")


def tasks_at_once() -> int:
    """How many tasks, of all DAGs together, run at once on this machine."""
    return TASKS_PER_CORE * (os.cpu_count() or 1)


def code_version() -> str:
    """A hash of the files that the services read only at their start. When it changes, they must be restarted."""
    read = [
        *ROOT.glob("config/*.*"),
        *ROOT.glob("include/**/*.*"),
        *ROOT.glob("plugins/*.py"),
        ROOT / "dev/requirements.lock",
    ]
    return digest_of(read).hex()
