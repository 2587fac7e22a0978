"""Settings: refused by name before they can do harm."""

from __future__ import annotations

from datetime import timedelta

import pytest

from include.datasets import GREEN, YELLOW
from include.month import Month
from include.settings import (
    KEEP_MEBIBYTES,
    KEEP_RUN_SCHEMAS,
    NOTIFY,
    POLL,
    RELOAD,
    RETRY,
    ROOT,
    SCHEDULE_FROM,
    SettingError,
    markdown_rows,
)


def test_a_duration_is_whole_seconds(monkeypatch):
    monkeypatch.setenv("PIPELINE_RETRY_SECONDS", "90")
    assert RETRY.value() == timedelta(seconds=90)


def test_a_duration_below_what_can_work_is_refused_and_the_bound_named(monkeypatch):
    monkeypatch.setenv("PIPELINE_POLL_SECONDS", "9")
    with pytest.raises(SettingError, match=r"PIPELINE_POLL_SECONDS='9'.* at least 10"):
        POLL.value()
    monkeypatch.setenv("PIPELINE_POLL_SECONDS", "10")
    assert POLL.value() == timedelta(seconds=10)


def test_a_duration_not_set_is_its_default(monkeypatch):
    monkeypatch.delenv("PIPELINE_RETRY_SECONDS", raising=False)
    assert RETRY.value() == timedelta(seconds=30)


@pytest.mark.parametrize("text", ["", "0", "-5", "1.5", "1h", " 5", "5\n", "999999999"])
def test_another_duration_is_refused_and_the_setting_named(monkeypatch, text):
    monkeypatch.setenv("PIPELINE_RETRY_SECONDS", text)
    with pytest.raises(SettingError, match="PIPELINE_RETRY_SECONDS="):
        RETRY.value()


def test_a_number_that_is_none_is_refused_and_the_setting_named(monkeypatch):
    monkeypatch.delenv(KEEP_MEBIBYTES.name, raising=False)
    assert KEEP_MEBIBYTES.value() == 10240
    monkeypatch.setenv(KEEP_MEBIBYTES.name, "0")
    assert KEEP_MEBIBYTES.value() == 0
    for text in ("", "-1", "1.5", "1G", "007", " 1"):
        monkeypatch.setenv(KEEP_MEBIBYTES.name, text)
        with pytest.raises(SettingError, match=f"{KEEP_MEBIBYTES.name}='{text}': a whole number is needed, 0 or more"):
            KEEP_MEBIBYTES.value()


def test_a_switch_is_true_or_false_and_nothing_else(monkeypatch):
    monkeypatch.delenv(RELOAD.name, raising=False)
    assert RELOAD.value() is False
    for text, expected in (("true", True), ("false", False)):
        monkeypatch.setenv(RELOAD.name, text)
        assert RELOAD.value() is expected
    for text in ("", "True", "1", "yes"):
        monkeypatch.setenv(RELOAD.name, text)
        with pytest.raises(SettingError, match=f"{RELOAD.name}='{text}': true or false is needed"):
            RELOAD.value()


def test_run_schemas_stay_as_long_as_the_dataset_says_unless_the_environment_does(monkeypatch):
    monkeypatch.delenv(KEEP_RUN_SCHEMAS.name, raising=False)
    assert (GREEN.keep_run_schemas(), YELLOW.keep_run_schemas()) == (timedelta(days=30), timedelta(days=1))
    monkeypatch.setenv(KEEP_RUN_SCHEMAS.name, "60")
    assert GREEN.keep_run_schemas() == YELLOW.keep_run_schemas() == timedelta(seconds=60)


def test_a_month_that_is_none_is_refused_and_the_setting_named(monkeypatch):
    monkeypatch.delenv(SCHEDULE_FROM.name, raising=False)
    assert SCHEDULE_FROM.value() is None
    monkeypatch.setenv(SCHEDULE_FROM.name, "2026-11")
    assert SCHEDULE_FROM.value() == Month.parse("2026-11")
    for text in ("", "2026-13", "2026-11-01"):
        monkeypatch.setenv(SCHEDULE_FROM.name, text)
        with pytest.raises(SettingError, match=f"{SCHEDULE_FROM.name}: month '{text}'"):
            SCHEDULE_FROM.value()


def test_what_is_no_id_of_a_connection_is_refused_and_the_setting_named(monkeypatch):
    monkeypatch.delenv(NOTIFY.name, raising=False)
    assert NOTIFY.value() is None
    monkeypatch.setenv(NOTIFY.name, "smtp_oncall.2")
    assert NOTIFY.value() == "smtp_oncall.2"
    for text in ("", " ", "smtp://somebody:secret@host", "a b", "a\n", "x" * 201):
        monkeypatch.setenv(NOTIFY.name, text)
        with pytest.raises(SettingError, match="PIPELINE_NOTIFY: the id of an Airflow connection is needed") as refused:
            NOTIFY.value()
        assert "secret" not in str(refused.value)


@pytest.mark.parametrize("row", markdown_rows())
def test_the_reference_shows_every_setting_as_the_code_has_it(row: str):
    assert row in (ROOT / "docs" / "reference" / "settings.md").read_text().splitlines()
