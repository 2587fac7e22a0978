"""Settings: refused by name before they can do harm."""

from __future__ import annotations

from datetime import timedelta

import pytest

from include.settings import STUDENT_MAX_LENGTH, SettingError, published_schema, seconds


@pytest.mark.parametrize("student", ["default", "a", "7", "_", "ann_lee_2", "a_2024010", "x" * STUDENT_MAX_LENGTH])
def test_a_plain_student_names_the_published_schema(monkeypatch, student):
    monkeypatch.setenv("AIRFLOW_STUDENT", student)
    assert published_schema() == f"airflow_{student}"


def test_without_a_student_the_schema_is_airflow_default(monkeypatch):
    monkeypatch.delenv("AIRFLOW_STUDENT", raising=False)
    assert published_schema() == "airflow_default"


@pytest.mark.parametrize(
    "student",
    [
        "",
        " ",
        "Ann",
        "o'hara",
        'a"; drop schema public cascade; --',
        "a-b",
        "a.b",
        "é",
        "a\n",
        "x" * 80,
        "x" * (STUDENT_MAX_LENGTH + 1),
        "ann_20240101",  # ann's run of 2024-01
        "ann_20240101_0123abcd",  # ann's second run of it
        "ann_partitions",
    ],
)
def test_another_student_is_refused_and_the_setting_named(monkeypatch, student):
    monkeypatch.setenv("AIRFLOW_STUDENT", student)
    with pytest.raises(SettingError, match="AIRFLOW_STUDENT="):
        published_schema()


def test_a_duration_is_whole_seconds(monkeypatch):
    monkeypatch.setenv("PIPELINE_RETRY_SECONDS", "90")
    assert seconds("PIPELINE_RETRY_SECONDS", timedelta(hours=1)) == timedelta(seconds=90)


def test_a_duration_below_what_can_work_is_refused_and_the_bound_named(monkeypatch):
    monkeypatch.setenv("PIPELINE_POLL_SECONDS", "9")
    with pytest.raises(SettingError, match=r"PIPELINE_POLL_SECONDS='9'.* at least 10"):
        seconds("PIPELINE_POLL_SECONDS", timedelta(hours=1), at_least=10)
    monkeypatch.setenv("PIPELINE_POLL_SECONDS", "10")
    assert seconds("PIPELINE_POLL_SECONDS", timedelta(hours=1), at_least=10) == timedelta(seconds=10)


def test_a_duration_not_set_is_its_default(monkeypatch):
    monkeypatch.delenv("PIPELINE_RETRY_SECONDS", raising=False)
    assert seconds("PIPELINE_RETRY_SECONDS", timedelta(hours=1)) == timedelta(hours=1)


@pytest.mark.parametrize("text", ["", "0", "-5", "1.5", "1h", " 5", "5\n", "999999999"])
def test_another_duration_is_refused_and_the_setting_named(monkeypatch, text):
    monkeypatch.setenv("PIPELINE_RETRY_SECONDS", text)
    with pytest.raises(SettingError, match="PIPELINE_RETRY_SECONDS="):
        seconds("PIPELINE_RETRY_SECONDS", timedelta(hours=1))
