"""The local stack: Postgres, Airflow, a mirror of TLC where one is needed, and the watcher of dbt's manifest."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from configparser import ConfigParser
from pathlib import Path

from dev.console import console
from dev.errors import StackError
from dev.services.airflow import ADMIN, AirflowServices, code_version, tasks_at_once
from dev.services.airflow_api import AirflowApi
from dev.services.celery import CeleryWorkers
from dev.services.postgres import EmbeddedPostgres
from dev.services.redis import Redis
from dev.services.secrets import StackSecrets
from dev.services.warehouse_address import WarehouseAddress
from dev.stack.backup import Backup
from dev.stack.choices import Choices
from dev.system.files import locked
from dev.system.ports import LOOPBACK, remembered_port, reserved_port
from dev.system.process import BackgroundProcess
from dev.system.programs import run
from dev.tlc.sample_months import file_of, write_month, write_zones
from include.datasets import DATASETS, TLC, Dataset
from include.month import Month
from include.settings import DBT_PROFILES, DBT_PROJECT, ROOT
from include.support.counted import counted

MIRROR_SECONDS = 30
RESULTS = "celery"  # the database of Celery's results, and its role: the one login of Postgres that a worker has


class Stack:
    """A stack belongs to one state folder. Stacks with different state folders run side by side.

    `dags` is the folder Airflow reads; it must hold the DAG `taxi_pipeline`. `durable=False` makes Postgres faster and
    not crash-safe. Methods raise dev.errors.StackError with what to do about it.
    """

    def __init__(self, state: Path, dags: Path = ROOT / "dags", durable: bool = True) -> None:
        self.state = state.absolute()
        self.postgres = EmbeddedPostgres(self.state, durable)
        self.airflow = AirflowServices(self.state, dags)
        self.redis = Redis(self.state)
        self.workers = CeleryWorkers(self.state)
        self._mirror = BackgroundProcess(self.state, "tlc-mirror")
        self._manifest_watcher = BackgroundProcess(self.state, "manifest-keeper")

    def up(self, choices: Choices) -> None:
        """Starts what does not run, restarts what runs under other choices, returns when all of it is healthy."""
        with locked(self.state / "stack.lock"):
            self._prepare(choices)
            environment = self.environment()
            self.airflow.ensure(environment, self.postgres.started())
            if choices.executor == "celery":
                console.print(f"Celery: {counted(choices.workers, 'worker')}")
                self.workers.ensure(choices.workers, max(1, tasks_at_once() // choices.workers), environment)
            watcher = [sys.executable, "-m", "dev.stack.manifest_watcher", str(self.state)]
            self._manifest_watcher.ensure(watcher, {"PYTHONPATH": str(ROOT)}, code_version())

    def prepare(self, choices: Choices) -> None:
        """Starts what Airflow's processes need, and makes their tables: what `up` does before it starts them."""
        with locked(self.state / "stack.lock"):
            self._prepare(choices)

    def down(self) -> None:
        """Stops everything; the data stay."""
        with locked(self.state / "stack.lock"):
            self._manifest_watcher.stop()
            self.airflow.stop()
            self._stop_celery()
            self._mirror.stop()
            self.postgres.stop()

    @property
    def choices(self) -> Choices:
        """The choices of the last `up`."""
        if (remembered := Choices.remembered(self.state)) is None:
            raise StackError("The stack has not been started yet: make up")
        return remembered

    @property
    def api(self) -> AirflowApi:
        return self.airflow.api

    @property
    def login(self) -> tuple[str, str]:
        """The UI's user and password."""
        return ADMIN, StackSecrets.of(self.state).admin

    @property
    def warehouse(self) -> WarehouseAddress:
        return self.choices.warehouse or WarehouseAddress.from_dsn(self.postgres.dsn())

    @property
    def developer(self) -> WarehouseAddress:
        """The warehouse's address for the role of developers. Raises StackError where the user's server has none."""
        if self.choices.warehouse is None:
            return WarehouseAddress.from_dsn(self.postgres.dsn(role="developer"))
        if dsn := os.environ.get("DEVELOPER_PG"):
            return WarehouseAddress.from_dsn(dsn)
        raise StackError(
            "The warehouse is a server of your own: set DEVELOPER_PG=<dsn>, for a role that may read what the pipeline "
            "makes and change none of it (docs/how-to/rights.md)."
        )

    def address_for(self, role: str) -> WarehouseAddress:
        """The warehouse's address for `analyst`, `developer` or `owner`. An analyst may read the published schemas.

        Raises StackError where the user's own server has no such login that is known here.
        """
        if role == "owner":
            return self.warehouse
        if role == "developer":
            return self.developer
        if self.choices.warehouse:
            raise StackError(
                "The warehouse is a server of your own: read by a login that has the role analyst "
                "(docs/how-to/rights.md), or with the rights of the pipeline: make dsn ROLE=owner"
            )
        address = WarehouseAddress.from_dsn(self.postgres.dsn(role="analyst"))
        self.postgres.let_analysts_read(self.published_schemas)
        return address

    def published_schema(self, dataset: Dataset) -> str:
        return dataset.published_schema(self.choices.student)

    @property
    def published_schemas(self) -> list[str]:
        return [self.published_schema(dataset) for dataset in DATASETS.values()]

    @property
    def backup(self) -> Backup:
        return Backup(self.postgres.program, self.warehouse, self.published_schemas)

    def environment(self) -> dict[str, str]:
        """The variables that make a process a part of the stack; they hold passwords."""
        return self.airflow.environment(
            metadata_dsn=self.postgres.dsn(self.choices.metadata_database, "airflow"),
            warehouse=self.warehouse.airflow_connection(),
            source_url=self._source_url,
            student=self.choices.student,
            celery=self._celery_settings(self.choices),
            given=self.choices.settings,
        )

    def run_dbt(self, dataset: Dataset, *arguments: str, capture: bool = False) -> subprocess.CompletedProcess[str]:
        """Runs dbt on the dataset's schemas to its end; `capture` keeps both its outputs in `stdout`."""
        project = {
            "PG_SCHEMA": self.published_schema(dataset),
            "DBT_PROJECT_DIR": str(DBT_PROJECT),
            "DBT_PROFILES_DIR": str(DBT_PROFILES.parent),
        }
        with self.warehouse.dbt_environment() as connection:
            return run("dbt", *arguments, environment=connection | project, capture=capture)

    def check(self) -> dict[str, subprocess.CompletedProcess[str]]:
        """Runs `python -m include check` in the environment of the running scheduler, and of each running worker."""
        choices = self.choices
        workers = self.workers.names(choices.workers) if choices.executor == "celery" else []
        return {name: self._check_process(BackgroundProcess(self.state, name)) for name in ("scheduler", *workers)}

    def too_many_slots(self) -> str | None:
        """What to do where the pool of all tasks has more slots than a new Airflow's; None where it has not."""
        project = ConfigParser(interpolation=None)
        project.read(ROOT / "config" / "airflow.cfg")
        most = project.getint("core", "default_pool_task_slot_count")
        if (slots := self.api.call("GET", "/pools/default_pool")["slots"]) <= most:
            return None
        return (
            f"Airflow's default_pool has {counted(slots, 'slot')}, as an earlier version made it, and each task may "
            f"open two connections to the warehouse: make airflow ARGS='pools set default_pool {most} \"\"'"
        )

    def write_sample(self, dataset: Dataset, months: Sequence[Month]) -> None:
        """Generates those months that are not there yet, if the source is generated months and the dataset is TLC's."""
        if self.choices.source.kind != "sample" or dataset.host != TLC:
            return
        folder = Path(self.choices.source.place)
        for month in months:
            if not file_of(folder, dataset, month).exists():
                write_month(folder, str(month), dataset=dataset)

    def _prepare(self, choices: Choices) -> None:
        choices.check()
        choices.remember(self.state)
        self.postgres.start()
        self.postgres.ensure_database(choices.metadata_database, "airflow")
        self._ensure_mirror(choices)
        self.airflow.choose_port()
        if choices.executor == "celery":
            self._ensure_broker(choices)
        else:
            self._stop_celery()
        self.airflow.prepare(self.environment())

    def _check_process(self, process: BackgroundProcess) -> subprocess.CompletedProcess[str]:
        words = ("-m", "include", "check")
        if (environment := process.environment()) is None:
            return subprocess.CompletedProcess(words, 1, "It does not run. Bring it back: make up")
        # not in the project's folder: Python would find its modules there, whatever PYTHONPATH says
        return run("python", *words, environment=environment, capture=True, folder=self.airflow.home)

    def _ensure_broker(self, choices: Choices) -> None:
        """Starts the broker, and makes the database of Celery's results."""
        if importlib.util.find_spec("airflow.providers.celery") is None:
            raise StackError("EXECUTOR=celery needs Celery's packages: make celery")
        self.postgres.ensure_database(RESULTS, "celery")
        if choices.broker is None:
            self.redis.start()

    def _celery_settings(self, choices: Choices) -> dict[str, str]:
        """Airflow's settings of the executor and of [celery], by name; none for the local executor."""
        if choices.executor == "local":
            return {}
        results = self.postgres.dsn(RESULTS, "celery").replace("postgresql://", "db+postgresql+psycopg2://")
        return {
            "CORE__EXECUTOR": "CeleryExecutor",
            "CELERY__BROKER_URL": choices.broker or self.redis.url(),
            "CELERY__RESULT_BACKEND": results,
        }

    def _stop_celery(self) -> None:
        self.workers.stop()
        self.redis.stop()

    @property
    def _source_url(self) -> str:
        source = self.choices.source
        return source.place if source.kind == "url" else f"http://{LOOPBACK}:{remembered_port(self._mirror_port_file)}"

    @property
    def _mirror_port_file(self) -> Path:
        return self.state / "run" / "tlc-mirror.port"

    def _ensure_mirror(self, choices: Choices) -> None:
        if choices.source.kind == "url":
            self._mirror.stop()
            return
        folder = Path(choices.source.place)
        if choices.source.kind == "sample":
            folder.mkdir(parents=True, exist_ok=True)
            write_zones(folder)
        if not self._mirror.is_running():
            reserved_port(self._mirror_port_file)
        port = str(remembered_port(self._mirror_port_file))
        command = [sys.executable, "-m", "dev.tlc.mirror", str(folder), "--port", port]
        self._mirror.ensure(command, {"PYTHONPATH": str(ROOT)})
        if not self._mirror.comes_to_listen_on(int(port), MIRROR_SECONDS):
            raise StackError(
                f"The TLC mirror does not answer on port {port} (make up again chooses another, if it is taken):\n"
                f"{self._mirror.log_end()}"
            )
