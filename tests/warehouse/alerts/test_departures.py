"""A month that departs from its neighbours is told once, and closed when it departs no more."""

from __future__ import annotations

import multiprocessing
import threading

import pytest

from include.alerts.channels import Message
from include.alerts.month_alerts import close_after_publication
from include.alerts.outbox import close_alerts, notify
from include.alerts.runbook import DEPARTED
from include.datasets import GREEN
from include.month import Month
from include.warehouse.session import Warehouse
from tests.support.documents import shows
from tests.support.postgres.profiles import SCHEMA, create_tables, publish_profiles
from tests.support.postgres.warehouse_content import query
from tests.support.stack.mailbox import Mailbox, free_port, words_of

FIRST, ODD = Month.parse("2023-06"), Month.parse("2024-02")
TITLE = "taxi_pipeline {}: its figures depart from its neighbours'"


@pytest.fixture
def published(dsn: str) -> str:
    """Two years of months that differ little."""
    create_tables(dsn)
    publish_profiles(dsn, *(FIRST.plus(place) for place in range(24)))
    return dsn


def publish(dsn: str, month: Month, **figures: float) -> None:
    """What a publication does: the tables, then the alerts, as include.transform.published has it."""
    publish_profiles(dsn, month, **figures)
    close_after_publication(GREEN, month)


def subjects(mails: Mailbox) -> list[str]:
    return [mail["subject"] for mail in mails.mails]


def open_alerts(dsn: str) -> list[str]:
    found = f"select to_char(source_month, 'YYYY-MM') from {SCHEMA}.notification_log where healed_at is null order by 1"
    return [month for (month,) in query(dsn, found)]


def test_a_month_that_departs_is_told_once_however_often_it_is_published(published: str, mails: Mailbox):
    for fares in (8.79, 8.79, 9.99):
        publish(published, ODD, median_fare_a_mile=fares)
    publish(published, ODD.plus(1))
    assert subjects(mails) == [TITLE.format(ODD)]
    words = words_of(mails.mails[0])
    assert "green 2024-02 is published, and its audits have passed. But it departs from the months around it:" in words
    assert "median fare a mile 8.79 is 33 % above the median of the 6 months nearest to it, 6.61" in words
    assert "RUNBOOK.md, A published month departs from its neighbours" in words
    assert "The task:" not in words
    figure = "… is … above the median of the … months nearest to it"
    shows(DEPARTED.heading, "its figures depart from its neighbours'", mails.mails[0]["subject"])
    shows(DEPARTED.heading, figure, words)


def test_its_alert_is_closed_once_it_departs_no_more_and_it_is_told_anew_when_it_does_again(
    published: str, mails: Mailbox
):
    publish(published, ODD, median_fare_a_mile=8.79)
    assert open_alerts(published) == [str(ODD)]
    publish(published, ODD)
    assert open_alerts(published) == []
    publish(published, ODD, tipped=0.2)
    assert subjects(mails) == [TITLE.format(ODD)] * 2
    assert open_alerts(published) == [str(ODD)]


def test_a_publication_closes_the_month_s_other_alerts_all_the_same(published: str, mails: Mailbox):
    notify(dataset=GREEN, month=ODD, cause="an audit failed", text="why", section="An audit fails")
    publish(published, ODD, median_fare_a_mile=8.79)
    assert len(mails.mails) == 2
    open_causes = f"select cause from {SCHEMA}.notification_log where healed_at is null"
    assert query(published, open_causes) == [("its figures depart from its neighbours'",)]


def test_a_month_that_departs_since_its_neighbours_came_is_told_with_theirs(dsn: str, mails: Mailbox):
    create_tables(dsn)
    publish(dsn, ODD, median_fare_a_mile=8.79)
    for away in (1, -1, 2):
        publish(dsn, ODD.plus(away))
        assert mails.mails == []
    publish(dsn, ODD.plus(-2))
    assert subjects(mails) == [TITLE.format(ODD)]


def test_a_lasting_change_is_told_of_its_first_three_months_and_closed_once_it_is_the_level(dsn: str, mails: Mailbox):
    create_tables(dsn)
    for place in range(18):
        publish(dsn, FIRST.plus(place), **({"median_fare_a_mile": 9.99} if place >= 9 else {}))
    assert subjects(mails) == [TITLE.format(FIRST.plus(place)) for place in (9, 10, 11)]
    assert open_alerts(dsn) == []


def test_a_backfill_in_any_order_tells_of_each_odd_month_and_of_no_other(dsn: str, mails: Mailbox):
    create_tables(dsn)
    odd = {FIRST.plus(11), FIRST.plus(30)}
    for month in (FIRST.plus(step * 19 % 48) for step in range(48)):
        publish(dsn, month, **({"median_fare_a_mile": 8.79} if month in odd else {}))
    assert sorted(subjects(mails)) == sorted(TITLE.format(month) for month in odd)


def test_of_many_that_are_published_at_once_each_odd_month_is_told_once(published: str, mails: Mailbox):
    publish_profiles(published, ODD, median_fare_a_mile=8.79)
    fork = multiprocessing.get_context("fork").Process
    processes = [fork(target=close_after_publication, args=(GREEN, ODD.plus(away))) for away in range(-2, 3)]
    for each in processes:
        each.start()
    for each in processes:
        each.join(60)
        assert each.exitcode == 0
    assert subjects(mails) == [TITLE.format(ODD)]


def test_of_two_publications_at_once_the_last_to_write_is_the_last_to_read(published: str, mails: Mailbox):
    """The first has read that nothing departs. Were there no lock, it would close the alert that the second opens."""
    read, go_on = threading.Event(), threading.Event()

    def nothing_departs(_: Warehouse) -> dict[Month, Message | None]:
        read.set()
        assert go_on.wait(8)
        return {ODD: None}

    first = threading.Thread(target=close_alerts, args=(GREEN, ODD.plus(1), nothing_departs))
    first.start()
    assert read.wait(8)
    publish_profiles(published, ODD, median_fare_a_mile=8.79)
    second = threading.Thread(target=close_after_publication, args=(GREEN, ODD))
    second.start()
    waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%%advisory%%'"
    while query(published, waiting) == [(0,)] and second.is_alive():
        pass
    go_on.set()
    first.join()
    second.join()
    assert open_alerts(published) == [str(ODD)]
    assert subjects(mails) == [TITLE.format(ODD)]


def test_a_profile_that_cannot_be_read_is_a_warning_and_the_month_s_alerts_are_closed(
    published: str, mails: Mailbox, caplog
):
    notify(dataset=GREEN, month=ODD, cause="an audit failed", text="why", section="An audit fails")
    query(published, f"alter table {SCHEMA}.fct_months rename column rows_accepted to away")
    close_after_publication(GREEN, ODD)
    assert open_alerts(published) == []
    assert "PIPELINE_NOTIFY: could not close the alerts: UndefinedColumn" in caplog.text


def test_nothing_is_made_or_told_where_no_month_departs_or_no_profile_is_published(dsn: str, mails: Mailbox, caplog):
    close_after_publication(GREEN, ODD)
    create_tables(dsn)
    publish(dsn, ODD)
    assert query(dsn, "select count(*) from pg_class where relname = 'notification_log'") == [(0,)]
    assert (mails.mails, caplog.text) == ([], "")


def test_the_warehouse_is_not_asked_where_nobody_is_to_be_told(mails: Mailbox, monkeypatch: pytest.MonkeyPatch, caplog):
    monkeypatch.setenv("AIRFLOW_CONN_AZURE_PG", f"postgresql://127.0.0.1:{free_port()}/warehouse")
    monkeypatch.delenv("PIPELINE_NOTIFY")
    close_after_publication(GREEN, ODD)
    assert caplog.text == ""


def test_a_warehouse_that_does_not_answer_is_a_warning(mails: Mailbox, monkeypatch: pytest.MonkeyPatch, caplog):
    monkeypatch.setenv("AIRFLOW_CONN_AZURE_PG", f"postgresql://127.0.0.1:{free_port()}/warehouse")
    close_after_publication(GREEN, ODD)
    assert "PIPELINE_NOTIFY: could not close the alerts" in caplog.text
    assert mails.mails == []
