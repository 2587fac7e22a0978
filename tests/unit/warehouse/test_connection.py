"""The warehouse's connection and the source's address: what is taken, and what a missing one means."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from airflow.sdk import Connection, Variable
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse
from airflow.sdk.execution_time.context import set_current_context

from include.datasets import GREEN
from include.failures.retry import heals
from include.settings import SettingError
from include.source.base_url import base_url
from include.warehouse.connection import warehouse_fields


def test_every_field_comes_from_the_airflow_connection(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW_CONN_AZURE_PG", "postgresql://me:p%40ss@db.example:5433/warehouse?sslmode=require")
    assert warehouse_fields() == {
        "host": "db.example",
        "port": 5433,
        "user": "me",
        "password": "p@ss",
        "dbname": "warehouse",
        "sslmode": "require",
    }


def test_a_connection_without_a_port_means_postgres_own(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW_CONN_AZURE_PG", "postgresql://me:pass@db.example/warehouse")
    assert warehouse_fields()["port"] == 5432
    assert warehouse_fields()["sslmode"] is None


def test_a_missing_connection_says_how_to_add_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("AIRFLOW_CONN_AZURE_PG", raising=False)
    with pytest.raises(SettingError, match=r"The Airflow connection 'azure_pg' is not defined.*AIRFLOW_CONN_AZURE_PG"):
        warehouse_fields()


# ---------- in a task, whose server may be away


@dataclass
class Server:
    """Airflow's server as a task sees it: answers where `there`, and comes back after so many questions."""

    there: bool = True
    comes_back_after: int = 99
    connection: Connection | None = None
    variable: str | None = None
    dag_id: str = "taxi_pipeline"
    asked: list[str] = field(default_factory=list)

    def answers(self, question: str) -> bool:
        self.asked.append(question)
        return self.there or len(self.asked) > self.comes_back_after

    def get_connection(self, name: str) -> Connection:
        if self.answers("connection") and self.connection:
            return self.connection
        raise AirflowNotFoundException(f"The conn_id `{name}` isn't defined")

    def get_variable(self, name: str) -> str:
        if self.answers("variable") and self.variable:
            return self.variable
        raise AirflowRuntimeError(ErrorResponse(error=ErrorType.VARIABLE_NOT_FOUND, detail={"key": name}))

    def get_dag(self, dag_id: str) -> None:
        if not self.answers("dag"):
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": None}))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server()
    monkeypatch.setattr(Connection, "get", server.get_connection)
    monkeypatch.setattr(Variable, "get", server.get_variable)
    with set_current_context({"ti": server}):
        yield server


QUESTIONS = pytest.mark.parametrize("question", [warehouse_fields, lambda: base_url(GREEN)], ids=["connection", "url"])


@QUESTIONS
def test_a_server_that_does_not_answer_is_not_one_that_has_nothing(server: Server, question: Callable[[], object]):
    server.there = False
    with pytest.raises(AirflowRuntimeError) as caught:
        question()
    assert heals(caught.value)


@pytest.mark.parametrize("comes_back_after", [0, 1])
def test_what_a_server_that_is_back_has_is_taken(server: Server, comes_back_after: int):
    server.there, server.comes_back_after = False, comes_back_after
    server.connection, server.variable = Connection(conn_id="azure_pg", host="db.example"), "https://mirror.example"
    assert warehouse_fields()["host"] == "db.example"
    server.asked.clear()
    assert base_url(GREEN).shown == "https://mirror.example"


def test_what_a_server_has_not_is_missing(server: Server):
    with pytest.raises(SettingError, match="'azure_pg' is not defined"):
        warehouse_fields()
    assert base_url(GREEN).shown == GREEN.host.address


def test_what_is_there_takes_one_question(server: Server):
    server.connection, server.variable = Connection(conn_id="azure_pg", host="db.example"), "https://mirror.example"
    warehouse_fields()
    base_url(GREEN)
    assert server.asked == ["connection", "variable"]
