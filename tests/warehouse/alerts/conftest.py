"""Someone is told by mail."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dev.services.warehouse_address import WarehouseAddress
from tests.support.postgres.warehouse_content import query
from tests.support.stack.mailbox import Mailbox, mailbox


@pytest.fixture
def mails() -> Iterator[Mailbox]:
    with mailbox() as box:
        yield box


@pytest.fixture(autouse=True)
def by_mail(dsn: str, mails: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AZURE_PG", WarehouseAddress.from_dsn(dsn).airflow_connection())
    monkeypatch.setenv("AIRFLOW_CONN_ONCALL", mails.connection())
    monkeypatch.setenv("PIPELINE_NOTIFY", "oncall")
    query(dsn, "create schema airflow_default; create schema airflow_default_yellow")
