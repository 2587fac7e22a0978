"""What the user chose for a stack, remembered between commands."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from dev.errors import StackError
from dev.services.warehouse_address import WarehouseAddress
from dev.stack.server_check import check_server
from dev.stack.trip_source import Source
from dev.system.files import write_private
from include.datasets import checked_student

SAMPLE_STUDENT = "sample"
EMBEDDED = "embedded"
EXECUTORS = ("local", "celery")
MOST_WORKERS = 8


@dataclass(frozen=True)
class Choices:
    """`warehouse` is None for the embedded one, `broker` for the stack's own Redis. `executor`: of EXECUTORS."""

    source: Source
    student: str = "default"
    warehouse: WarehouseAddress | None = None
    executor: str = "local"
    workers: int = 2
    broker: str | None = None

    def __post_init__(self) -> None:
        checked_student(self.student)
        if (self.student == SAMPLE_STUDENT) != (self.source.kind == "sample"):
            raise StackError(f"AIRFLOW_STUDENT={SAMPLE_STUDENT} is for the generated months, and for nothing else.")
        if self.executor not in EXECUTORS:
            raise StackError(f"EXECUTOR={self.executor}: one of {', '.join(EXECUTORS)} is needed.")
        if not 1 <= self.workers <= MOST_WORKERS:
            raise _no_such_number(self.workers)

    def check(self) -> None:
        """Raises StackError where the source's folder or the user's own server cannot be used now."""
        self.source.check()
        if self.warehouse:
            check_server(self.warehouse)

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
        """What the environment asks for, else what was used last, else what can be found.

        Raises StackError, or include.settings.SettingError for the student.
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
        return cls(source, student, warehouse, executor, int(workers), None if broker == EMBEDDED else broker)

    @classmethod
    def remembered(cls, state: Path) -> "Choices | None":
        """What `remember` wrote last. Raises StackError where that cannot be read."""
        file = state / "choices.json"
        if not file.exists():
            return None
        try:
            kept = json.loads(file.read_text())
            warehouse = WarehouseAddress(**kept["warehouse"]) if kept["warehouse"] else None
            of_executor = {name: kept[name] for name in ("executor", "workers", "broker") if name in kept}
            return cls(Source(**kept["source"]), kept["student"], warehouse, **of_executor)
        except (ValueError, TypeError, KeyError, StackError):  # without its text: it may hold a password
            raise StackError(
                f"{file}, where the last choices are kept, is damaged, or of another version: remove it, and name them "
                "again: make up TLC_DIR=… AIRFLOW_STUDENT=… AZURE_PG=…"
            ) from None

    def remember(self, state: Path) -> None:
        """Private, as it may hold the password of the user's own server."""
        write_private(state / "choices.json", json.dumps(asdict(self), indent=2) + "\n")


def _no_such_number(workers: int | str) -> StackError:
    return StackError(f"WORKERS={workers}: a number of workers is needed, 1 to {MOST_WORKERS}.")
