"""What someone is told of beside failures: when a month is late, and which file was restated."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from include.alerts import month_alerts as occasions
from include.alerts.month_alerts import tell_if_late, tell_of_restated
from include.datasets import GREEN
from include.month import Month

JANUARY = Month.parse("2024-01")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    monkeypatch.delenv("PIPELINE_LATE_SECONDS", raising=False)
    messages: list[dict[str, Any]] = []
    monkeypatch.setattr(occasions, "notify", lambda **message: messages.append(message))
    return messages


@pytest.mark.parametrize(("setting", "days"), [(None, 53 + 14), ("864000", 53 + 10)])
def test_a_month_is_late_so_long_after_it_is_usually_there(told, monkeypatch, setting: str | None, days: int):
    if setting:
        monkeypatch.setenv("PIPELINE_LATE_SECONDS", setting)
    usual = JANUARY.end + timedelta(days=days)
    tell_if_late(GREEN, JANUARY, usual)
    assert told == []
    tell_if_late(GREEN, JANUARY, usual + timedelta(seconds=1))
    [message] = told
    assert (message["dataset"], message["month"], message["cause"]) == (GREEN, JANUARY, "it is late")
    assert f"green_tripdata_2024-01.parquet is not there, {days} days after the month ended" in message["text"]
    assert "Usually it is after 53" in message["text"]


def test_of_each_file_that_was_restated_someone_is_told(told):
    def loaded(*restated: bool) -> list[dict[str, Any]]:
        tables = [file.table for file in GREEN.files]
        return [{"table": each, "restated": was, "sha256": "abc"} for each, was in zip(tables, restated, strict=True)]

    tell_of_restated(GREEN, JANUARY, loaded(False, False))
    assert told == []
    tell_of_restated(GREEN, JANUARY, loaded(True, True))
    causes = ["its file was restated", "misc/taxi_zone_lookup.csv was restated"]
    assert [message["cause"] for message in told] == causes
    assert "green_tripdata_2024-01.parquet is another file than at its last load" in told[0]["text"]
