"""What `make` was given for Airflow's processes is remembered, in a private file, until it is given empty."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev.stack.choices import Choices
from include.settings import SettingError

SOURCE = {"TLC_BASE_URL": "http://127.0.0.1:1"}
MAIL = "smtp://somebody:hunter2-hunter2@mail.example:25"
GIVEN = {
    "PIPELINE_NOTIFY": "mail",
    "PIPELINE_POLL_SECONDS": "60",
    "RUN_SCHEMA_KEEP_SECONDS": "600",
    "AIRFLOW_CONN_MAIL": MAIL,
    "AIRFLOW__OPENLINEAGE__TRANSPORT": '{"type": "file", "log_file_path": "/tmp/events.jsonl"}',
}


def made(state: Path, **environment: str) -> Choices:
    """What `make up` chooses with these variables, and remembers."""
    choices = Choices.made(SOURCE | environment, state)
    choices.remember(state)
    return choices


def test_settings_and_connections_are_remembered_and_one_given_anew_counts(tmp_path: Path):
    assert made(tmp_path, **GIVEN).settings == GIVEN
    assert made(tmp_path).settings == GIVEN
    assert made(tmp_path, PIPELINE_NOTIFY="slack").settings == GIVEN | {"PIPELINE_NOTIFY": "slack"}
    remembered = Choices.remembered(tmp_path)
    assert remembered is not None
    assert remembered.settings == GIVEN | {"PIPELINE_NOTIFY": "slack"}


def test_one_that_is_given_empty_is_forgotten(tmp_path: Path):
    made(tmp_path, **GIVEN)
    made(tmp_path, PIPELINE_NOTIFY="", AIRFLOW_CONN_MAIL="", AIRFLOW__OPENLINEAGE__TRANSPORT="")
    assert made(tmp_path).settings == {"PIPELINE_POLL_SECONDS": "60", "RUN_SCHEMA_KEEP_SECONDS": "600"}


def test_other_variables_and_the_warehouse_s_connection_are_no_settings(tmp_path: Path):
    own = {
        "PIPELINE_WORKSPACE": "/of/a/ci",
        "AIRFLOW__CORE__FERNET_KEY": "x",
        "AIRFLOW_CONN_AZURE_PG": "postgresql://u:p@h/d",
        "AIRFLOW_STUDENT": "ann",
    }
    choices = made(tmp_path, **own)
    assert choices.settings == {}
    assert (choices.student, choices.warehouse and choices.warehouse.host) == ("ann", "h")


def test_only_the_file_s_owner_reads_them_and_none_with_a_secret_is_shown(tmp_path: Path):
    choices = made(tmp_path, **GIVEN)
    assert (tmp_path / "choices.json").stat().st_mode & 0o777 == 0o600
    assert choices.shown_settings() == [
        "AIRFLOW_CONN_MAIL",
        "AIRFLOW__OPENLINEAGE__TRANSPORT",
        "PIPELINE_NOTIFY=mail",
        "PIPELINE_POLL_SECONDS=60",
        "RUN_SCHEMA_KEEP_SECONDS=600",
    ]


@pytest.mark.parametrize(
    ("name", "text", "says"), [("PIPELINE_POLL_SECONDS", "5", "at least 10"), ("PIPELINE_NOTIFY", MAIL, "no address")]
)
def test_a_setting_that_cannot_work_is_refused_by_name_without_its_secret(
    tmp_path: Path, name: str, text: str, says: str
):
    with pytest.raises(SettingError, match=rf"{name}.*{says}") as refusal:
        made(tmp_path, **{name: text})
    assert "hunter2" not in str(refusal.value)
    assert not (tmp_path / "choices.json").exists()


def test_choices_of_a_stack_that_an_earlier_version_made_are_read(tmp_path: Path):
    (tmp_path / "choices.json").write_text(
        '{"source": {"kind": "url", "place": "http://h"}, "student": "default", "warehouse": null}'
    )
    assert made(tmp_path, PIPELINE_NOTIFY="mail").settings == {"PIPELINE_NOTIFY": "mail"}
