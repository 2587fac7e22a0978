"""A login and a signature in the source's address are in no table, record, return value, message or trigger."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from airflow.sdk.exceptions import TaskDeferred

from dev.tlc.mirror import TlcMirror, TlcRequest
from dev.tlc.sample_months import write_month, write_zones
from include.alerts import outbox
from include.alerts.runbook import SOURCE
from include.datasets import GREEN
from include.failures.reason import reason_of
from include.ingest.load import load_month
from include.ingest.restatements import FindRestated
from include.ingest.source_checks import loaded_months
from include.month import Month
from include.source.address import Address
from include.source.base_url import base_url
from include.source.reader import FileContentError
from include.warehouse.session import Warehouse
from tests.support.helpers import FEBRUARY, JANUARY, ZONES, trips_path
from tests.support.postgres.warehouse_content import query

SCHEMA = "airflow_default"
MARCH = Month.parse("2024-03")


def only_with_its_secrets(request: TlcRequest) -> bool:
    """Lets the mirror answer whoever has login and signature."""
    has_login = request.headers.get("Authorization") == "Basic c29tZWJvZHk6UzNjcmV0QHBhc3M="
    if has_login and request.path.endswith("?sig=S3cret%2Fsigned"):
        return False
    request.answer(401, b"")
    return True


@pytest.fixture
def base(tlc: TlcMirror, dsn: str, monkeypatch: pytest.MonkeyPatch) -> Address:
    """The address of a mirror with January, February, which has January's bytes, and March, which it refuses."""
    write_zones(tlc.folder)
    january = write_month(tlc.folder, str(JANUARY), 90)
    (tlc.folder / trips_path(FEBRUARY).rpartition("/")[2]).write_bytes(january.read_bytes())
    tlc.faults |= dict.fromkeys([trips_path(JANUARY), trips_path(FEBRUARY), ZONES], only_with_its_secrets)
    tlc.faults[trips_path(MARCH)] = lambda request: request.answer(503, b"")
    text = tlc.url.replace("//", "//somebody:S3cret%40pass@") + "/?sig=S3cret%2Fsigned"
    monkeypatch.setenv("AIRFLOW_VAR_TLC_BASE_URL", text)
    monkeypatch.setenv("AIRFLOW_CONN_AZURE_PG", dsn)
    monkeypatch.setenv("PIPELINE_NOTIFY", "leads_nowhere")
    return base_url(GREEN)


def stored(dsn: str) -> Iterator[str]:
    """Each row of each table of the warehouse."""
    tables = query(dsn, "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname ~ '^airflow_'")
    for (table,) in tables:
        yield from (f"{table} {row}" for (row,) in query(dsn, f"select each::text from {table} as each"))


def error_of(work: Callable[[], Any], kind: type[BaseException]) -> Any:
    with pytest.raises(kind) as caught:
        work()
    return caught.value


def test_the_secrets_of_the_address_are_nowhere(base: Address, tlc: TlcMirror, dsn: str, caplog):
    caplog.set_level(logging.DEBUG)

    def load(month: Month) -> list[dict[str, Any]]:
        return load_month(GREEN, month, base, dsn, SCHEMA, "a load")

    seen: list[object] = [load(JANUARY)]
    same_bytes = error_of(lambda: load(FEBRUARY), FileContentError)
    refused = error_of(lambda: load(MARCH), requests.HTTPError)
    for month, error in ((FEBRUARY, same_bytes), (MARCH, refused)):
        text = reason_of(error)
        outbox.notify(dataset=GREEN, month=month, cause=SOURCE.cause, text=text, section=SOURCE.heading)
    task = FindRestated(task_id="find", dataset=GREEN)
    deferred = error_of(lambda: task.execute({}), TaskDeferred)
    with Warehouse(dsn, SCHEMA) as session:
        asked_at, _ = loaded_months(session, GREEN)
    write_month(tlc.folder, str(JANUARY), 100, version=2)
    event = {"answers": {"2024-01": ['"another"', 1]}, "refused": {}, "silent": {}}
    seen += [task.write_down({}, event, asked_at.isoformat()), deferred.trigger.serialize(), same_bytes, refused]

    rows = list(stored(dsn))
    found = "\n".join([*map(str, seen), caplog.text, *rows])
    # what is to be seen is: the address, an error, a message
    assert f"{tlc.url}{trips_path(JANUARY)}" in "\n".join(rows)
    assert f"503 Service Unavailable: {tlc.url}{trips_path(MARCH)}" in "\n".join(rows)
    assert "its file was restated" in "\n".join(rows)
    for secret in ("S3cret", "somebody", "c29tZWJvZHk6"):
        assert secret not in found
