"""Someone is told: once for each month and cause, on a real Postgres, by real servers on loopback."""

from __future__ import annotations

import json
import logging
import multiprocessing
import sys
import time

import psycopg
import pytest

from include.alerts import outbox as module
from include.alerts.outbox import close_alerts, notify, send_pending
from include.datasets import GREEN, YELLOW, Dataset
from include.failures.retry import heals
from include.month import Month
from tests.support.postgres.warehouse_content import query
from tests.support.stack.mailbox import Mailbox, free_port, silent_server, smtp_connection, webhook, words_of

JANUARY, FEBRUARY = Month.parse("2024-01"), Month.parse("2024-02")
TITLE = "taxi_pipeline 2024-01: an audit failed"


def tell(dataset: Dataset = GREEN, month: Month = JANUARY, cause: str = "an audit failed", text: str = "why") -> None:
    notify(dataset=dataset, month=month, cause=cause, text=text, section="An audit fails", link="http://host/x?a=1&b")


def noted(dsn: str, schema: str = "airflow_default") -> list[tuple[bool, bool]]:
    """Of each row, in order: whether it was told, and whether it has healed."""
    found = f"select told_at is not null, healed_at is not null from {schema}.notification_log order by notification_id"
    return query(dsn, found)


def test_a_mail_names_month_cause_section_and_link(mails: Mailbox):
    tell(text="What failed: audit x\nWhy: 1 < 2")
    [mail] = mails.mails
    assert (mail["to"], mail["from"], mail["subject"]) == ("oncall@example.com", "taxi@example.com", TITLE)
    words = words_of(mail)
    assert "What failed: audit x<br>\nWhy: 1 &lt; 2<br>\n" in words
    assert "RUNBOOK.md, An audit fails" in words
    assert '<a href="http://host/x?a=1&amp;b">' in words


def test_a_cause_is_told_once_of_a_month_and_again_of_another_month_dataset_or_cause(mails: Mailbox):
    for _ in range(3):
        tell()
    tell(month=FEBRUARY)
    tell(dataset=YELLOW)
    tell(cause="a model failed")
    assert [mail["subject"] for mail in mails.mails] == [
        TITLE,
        "taxi_pipeline 2024-02: an audit failed",
        "taxi_pipeline_yellow 2024-01: an audit failed",
        "taxi_pipeline 2024-01: a model failed",
    ]


def test_where_nothing_was_loaded_yet_a_message_is_sent_and_no_schema_is_made(mails: Mailbox, dsn: str, monkeypatch):
    monkeypatch.setenv("AIRFLOW_STUDENT", "other")
    tell()
    assert len(mails.mails) == 1
    assert query(dsn, "select nspname from pg_namespace where nspname like '%%other%%'") == []


def test_of_many_processes_that_tell_the_same_at_once_one_does(mails: Mailbox, dsn: str):
    processes = [multiprocessing.get_context("fork").Process(target=tell) for _ in range(6)]
    for each in processes:
        each.start()
    for each in processes:
        each.join(60)
        assert each.exitcode == 0
    assert len(mails.mails) == 1
    assert noted(dsn) == [(True, False)]


def test_a_cause_that_has_healed_is_told_again_when_it_comes_back(mails: Mailbox, dsn: str):
    tell()
    close_alerts(GREEN, FEBRUARY)
    tell()
    assert len(mails.mails) == 1
    close_alerts(GREEN, JANUARY)
    tell()
    assert len(mails.mails) == 2
    assert noted(dsn) == [(True, True), (True, False)]


def test_what_cannot_be_sent_is_a_warning_and_is_sent_later(mails: Mailbox, dsn: str, caplog):
    mails.refuses = ""
    tell()
    assert "come back later" in caplog.text
    assert {record.levelno for record in caplog.records if record.name == module.__name__} == {logging.WARNING}
    assert noted(dsn) == [(False, False)]
    mails.refuses = None
    tell(month=FEBRUARY)  # at the next occasion, whatever it is
    assert len(mails.mails) == 2
    assert noted(dsn) == [(True, False), (True, False)]


def test_what_has_healed_before_it_could_be_sent_is_not_lost_and_hides_nothing(mails: Mailbox, dsn: str):
    mails.refuses = ""
    tell()
    close_alerts(GREEN, JANUARY)
    mails.refuses = None
    send_pending(GREEN)
    assert len(mails.about(TITLE)) == 1
    tell()
    assert len(mails.about(TITLE)) == 2
    assert noted(dsn) == [(True, True), (True, False)]


def test_a_message_that_no_server_takes_holds_up_no_other_and_is_given_up_after_a_week(mails: Mailbox, dsn: str):
    mails.refuses = "2024-02"
    for month in (JANUARY, FEBRUARY, JANUARY.plus(2)):
        tell(month=month)
    assert [mail["subject"][14:21] for mail in mails.mails] == ["2024-01", "2024-03"]
    query(dsn, "update airflow_default.notification_log set told_at = null where source_month < '2024-03-01'")
    send_pending(GREEN)
    assert noted(dsn) == [(True, False), (False, False), (True, False)]
    mails.refuses = None
    query(dsn, "update airflow_default.notification_log set noted_at = now() - interval '8 days'")
    send_pending(GREEN)
    assert noted(dsn) == [(True, False), (False, False), (True, False)]


@pytest.mark.parametrize("server", ["silent", "absent"])
def test_a_server_that_does_not_answer_costs_some_seconds_and_a_warning(
    server: str, dsn: str, monkeypatch: pytest.MonkeyPatch, caplog
):
    monkeypatch.setattr(module, "SECONDS", 2)
    with silent_server() as port:
        port = port if server == "silent" else free_port()
        monkeypatch.setenv("AIRFLOW_CONN_ONCALL", smtp_connection(port))
        began = time.monotonic()
        tell()
        assert time.monotonic() - began < 4
    assert "no answer within 2 s" in caplog.text or "Connection refused" in caplog.text
    assert noted(dsn) == [(False, False)]


@pytest.mark.parametrize("port", ["silent", "absent"])
def test_where_the_warehouse_does_not_answer_the_message_is_sent_all_the_same(
    port: str, mails: Mailbox, monkeypatch: pytest.MonkeyPatch, caplog
):
    monkeypatch.setattr(module, "CONNECT_SECONDS", 2)  # the least that libpq takes
    with silent_server() as silent:
        where = silent if port == "silent" else free_port()
        monkeypatch.setenv("AIRFLOW_CONN_AZURE_PG", f"postgresql://somebody:secret@127.0.0.1:{where}/warehouse")
        tell()
        close_alerts(GREEN, JANUARY)
    assert len(mails.about(TITLE)) == 1
    assert "It is not known whether this was told before" in caplog.text
    assert "secret" not in caplog.text


def test_where_the_warehouse_is_read_only_the_message_is_sent_and_those_that_wait_are_tried_again(
    mails: Mailbox, dsn: str, caplog
):
    mails.refuses = ""
    tell()
    mails.refuses = None
    query(dsn, "alter role pipeline in database warehouse_of_a_test set default_transaction_read_only = on")
    try:
        tell(month=FEBRUARY)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction) as failure:
            send_pending(GREEN)
    finally:
        query(dsn, "set transaction read write; alter role pipeline in database warehouse_of_a_test reset all")
    assert heals(failure.value)
    assert [mail["subject"][14:21] for mail in mails.mails] == ["2024-02"]
    assert "It is not known whether this was told before" in caplog.text
    send_pending(GREEN)
    assert [mail["subject"][14:21] for mail in mails.mails] == ["2024-02", "2024-01"]


def test_nothing_is_asked_or_made_where_the_setting_is_not_set(mails: Mailbox, dsn: str, monkeypatch, caplog):
    monkeypatch.delenv("PIPELINE_NOTIFY")
    monkeypatch.setenv("AIRFLOW_CONN_AZURE_PG", f"postgresql://127.0.0.1:{free_port()}/warehouse")
    tell()
    close_alerts(GREEN, JANUARY)
    send_pending(GREEN)
    assert (mails.mails, caplog.text) == ([], "")
    assert query(dsn, "select count(*) from pg_class where relname = 'notification_log'") == [(0,)]


def test_nothing_is_made_where_there_was_nothing_to_tell(dsn: str):
    close_alerts(GREEN, JANUARY)
    send_pending(GREEN)
    assert query(dsn, "select count(*) from pg_tables where schemaname ~ '^airflow'") == [(0,)]


def test_a_text_is_no_template(mails: Mailbox):
    tell(text="{{ 6 * 7 }} {% raw %}")
    assert "{{ 6 * 7 }} {% raw %}" in words_of(mails.mails[0])


def test_a_webhook_by_apprise(dsn: str, monkeypatch: pytest.MonkeyPatch, caplog):
    with webhook() as (port, bodies):
        by_apprise(monkeypatch, port)
        tell()
    [body] = bodies
    assert body["title"] == TITLE
    assert body["message"].splitlines()[-2:] == [
        "What to do: RUNBOOK.md, An audit fails",
        "The task: http://host/x?a=1&b",
    ]
    assert noted(dsn) == [(True, False)]


def test_a_service_of_apprise_that_takes_no_message_is_asked_again(dsn: str, monkeypatch: pytest.MonkeyPatch, caplog):
    with webhook(status=500) as (port, bodies):
        by_apprise(monkeypatch, port)
        tell()
    assert len(bodies) == 1
    assert noted(dsn) == [(False, False)]
    assert "a service did not take the message" in caplog.text
    with webhook() as (port, bodies):
        by_apprise(monkeypatch, port)
        send_pending(GREEN)
    assert len(bodies) == 1


def by_apprise(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    extra = {"config": {"path": f"json://127.0.0.1:{port}/hook"}}
    monkeypatch.setenv("AIRFLOW_CONN_ONCALL", json.dumps({"conn_type": "apprise", "extra": extra}))


def test_a_webhook_of_slack(dsn: str, monkeypatch: pytest.MonkeyPatch):
    with webhook() as (port, bodies):
        connection = {"conn_type": "slackwebhook", "password": f"http://127.0.0.1:{port}/services/T/B/token"}
        monkeypatch.setenv("AIRFLOW_CONN_ONCALL", json.dumps(connection))
        tell(text="1 < 2")
    [body] = bodies
    assert body["text"].startswith(f"*{TITLE}*\n1 &lt; 2\n")
    assert noted(dsn) == [(True, False)]


@pytest.mark.parametrize(
    ("connection", "says"),
    [
        (None, "The Airflow connection 'oncall', which PIPELINE_NOTIFY names, is not defined. Add it under Admin"),
        ({"conn_type": "http"}, "is of type 'http', and may be of smtp, slackwebhook, apprise"),
        ({"conn_type": "smtp", "host": "127.0.0.1"}, 'does not say who gets the mail. Give it the extras "to"'),
        ({"conn_type": "slackwebhook", "password": "x"}, "needs the package apache-airflow-providers-slack: install"),
    ],
    ids=["not defined", "another type", "no addressee", "no provider"],
)
def test_a_connection_that_cannot_work_is_named_with_what_to_do(
    dsn: str, monkeypatch: pytest.MonkeyPatch, caplog, connection: dict | None, says: str
):
    monkeypatch.setitem(sys.modules, "airflow.providers.slack.notifications.slack_webhook", None)
    if connection is None:
        monkeypatch.delenv("AIRFLOW_CONN_ONCALL")
    else:
        monkeypatch.setenv("AIRFLOW_CONN_ONCALL", json.dumps(connection))
    tell()
    assert says in caplog.text
    assert noted(dsn) == [(False, False)]
