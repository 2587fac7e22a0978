"""What the user chose for a stack, checked, and remembered between commands."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psycopg

from dev.errors import StackError
from dev.services.warehouse_address import WarehouseAddress
from dev.stack.trip_source import Source
from dev.system.files import write_private
from include.datasets import checked_student
from include.settings import SETTINGS, STUDENT, WAREHOUSE_CONNECTION

SAMPLE_STUDENT = "sample"
EMBEDDED = "embedded"
EXECUTORS = ("local", "celery")
MOST_WORKERS = 8
OLDEST_POSTGRES = 15
CONNECT_SECONDS = 10
CONNECTIONS = "AIRFLOW_CONN_"
OPENLINEAGE = "AIRFLOW__OPENLINEAGE__"
# The student and the warehouse's connection are choices of their own.
SETTINGS_OF_PROCESSES = tuple(each for each in SETTINGS if each is not STUDENT)


@dataclass(frozen=True)
class Choices:
    """`warehouse` is None for the embedded one, `broker` for the stack's own Redis. `executor`: of EXECUTORS.

    `settings`: the variables of include.settings, the Airflow connections and the settings of its section
    `[openlineage]` that were given for Airflow's processes. They may hold passwords.
    """

    source: Source
    student: str = "default"
    warehouse: WarehouseAddress | None = None
    executor: str = "local"
    workers: int = 2
    broker: str | None = None
    settings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checked_student(self.student)
        if (self.student == SAMPLE_STUDENT) != (self.source.kind == "sample"):
            raise StackError(f"AIRFLOW_STUDENT={SAMPLE_STUDENT} is for the generated months, and for nothing else.")
        if self.executor not in EXECUTORS:
            raise StackError(f"EXECUTOR={self.executor}: one of {', '.join(EXECUTORS)} is needed.")
        if not 1 <= self.workers <= MOST_WORKERS:
            raise _no_such_number(self.workers)
        for setting in SETTINGS_OF_PROCESSES:
            if (text := self.settings.get(setting.name)) is not None:
                setting.parsed(text)

    def check(self) -> None:
        """Raises StackError where the source's folder or the user's own Postgres cannot be used now."""
        self.source.check()
        if self.warehouse:
            _check_server(self.warehouse)

    @property
    def metadata_database(self) -> str:
        """A database of its own for each student and warehouse. With one run history for all, a month that was run into
        one schema would count as done in the next."""
        if self.warehouse:
            place = f"{self.warehouse.host}:{self.warehouse.port}/{self.warehouse.dbname}"
            return f"airflow_{self.student}_{hashlib.sha256(place.encode()).hexdigest()[:8]}"
        return f"airflow_{self.student}" if self.student != "default" else "airflow"

    @classmethod
    def made(cls, environment: Mapping[str, str], state: Path) -> "Choices":
        """Each choice is what the environment says, else what was used last, else a default.

        A setting or a connection that is given empty is forgotten. Raises StackError, or include.settings.SettingError
        for the student and for the settings.
        """
        last = cls.remembered(state)
        source = Source.asked(environment) or (last and last.source) or Source.found(state / "sample")
        if source.kind == "sample":
            student = SAMPLE_STUDENT
        else:
            last_student = last.student if last and last.student != SAMPLE_STUDENT else "default"
            student = environment.get("AIRFLOW_STUDENT") or last_student
        if environment.get("AZURE_PG") == EMBEDDED:
            warehouse = None
        else:
            warehouse = WarehouseAddress.from_environment(environment) or (last.warehouse if last else None)
        executor = environment.get("EXECUTOR") or (last.executor if last else "local")
        workers = environment.get("WORKERS") or str(last.workers if last else 2)
        if not workers.isdecimal():
            raise _no_such_number(workers)
        broker = environment.get("BROKER_URL") or (last.broker if last else None)
        settings = (last.settings if last else {}) | _given_to_processes(environment)
        return cls(
            source,
            student,
            warehouse,
            executor,
            int(workers),
            None if broker == EMBEDDED else broker,
            {name: text for name, text in settings.items() if text},
        )

    @classmethod
    def remembered(cls, state: Path) -> "Choices | None":
        """What `remember` wrote last. Raises StackError where that cannot be read."""
        file = state / "choices.json"
        if not file.exists():
            return None
        try:
            stored = json.loads(file.read_text())
            warehouse = WarehouseAddress(**stored["warehouse"]) if stored["warehouse"] else None
            newer = {name: stored[name] for name in ("executor", "workers", "broker", "settings") if name in stored}
            return cls(Source(**stored["source"]), stored["student"], warehouse, **newer)
        except (ValueError, TypeError, KeyError, AttributeError, StackError):  # without its text, for passwords
            raise StackError(
                f"{file}, where the last choices are kept, is damaged, or of another version: remove it, and name them "
                "again: make up TLC_DIR=… AIRFLOW_STUDENT=… AZURE_PG=…"
            ) from None

    def shown_settings(self) -> list[str]:
        """`NAME=value` for each of the settings; the name alone where the value may hold a password."""
        open_to_all = {each.name for each in SETTINGS_OF_PROCESSES if not each.is_secret}
        return [f"{name}={text}" if name in open_to_all else name for name, text in sorted(self.settings.items())]

    def remember(self, state: Path) -> None:
        """In a private file, as it may hold passwords: of the user's own Postgres, and of connections."""
        write_private(state / "choices.json", json.dumps(asdict(self), indent=2) + "\n")


def _given_to_processes(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment's settings and Airflow connections, empty ones included."""
    names = {each.name for each in SETTINGS_OF_PROCESSES}
    warehouse = f"{CONNECTIONS}{WAREHOUSE_CONNECTION.upper()}"
    return {
        name: text
        for name, text in environment.items()
        if name in names or (name.startswith((CONNECTIONS, OPENLINEAGE)) and name != warehouse)
    }


def _check_server(address: WarehouseAddress) -> None:
    """Raises StackError, without the password, where the server does not answer, is too old, or may not be written."""
    place = f"{address.host}:{address.port}, database {address.dbname}, user {address.user}"
    try:
        with psycopg.connect(address.uri(), connect_timeout=CONNECT_SECONDS) as connection:
            version = connection.info.server_version // 10_000
            query = "select has_database_privilege(current_database(), 'create')"
            [(may_create,)] = connection.execute(query).fetchall()
    except psycopg.Error as error:
        raise StackError(
            f"Your Postgres ({place}) does not let us in. Nothing was started; correct AZURE_PG (or PG_HOST…), or take "
            f"the stack's own: AZURE_PG=embedded.\n{error}"
        ) from None
    if version < OLDEST_POSTGRES:
        raise StackError(f"Your Postgres ({place}) is version {version}; {OLDEST_POSTGRES} or newer is needed.")
    if not may_create:
        raise StackError(
            f"Your Postgres ({place}): the user may not create schemas. "
            f"Let a superuser: grant create on database {address.dbname} to {address.user}"
        )


def _no_such_number(workers: int | str) -> StackError:
    return StackError(f"WORKERS={workers}: a number of workers is needed, 1 to {MOST_WORKERS}.")
