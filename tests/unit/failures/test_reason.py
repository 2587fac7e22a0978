"""Why a task failed, in a line."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from cosmos.exceptions import CosmosDbtRunError

from include.datasets import DATASETS, default_dataset
from include.failures.reason import KEY, MOST_CHARACTERS, on_task_instance_failed, reason_of
from include.month import MonthError

DBT = "dbt invocation completed with errors: "
CASES = {
    "an audit": (
        CosmosDbtRunError(f"{DBT}int_zones_unique: Got 2 results, configured to fail if != 0"),
        "int_zones_unique: Got 2 results, configured to fail if != 0",
    ),
    "Postgres": (
        CosmosDbtRunError(
            f"{DBT}fct_trips: Database Error in model fct_trips (models/x.sql)\n  deadlock detected\n  DETAIL: …"
        ),
        "deadlock detected",
    ),
    "a macro": (
        CosmosDbtRunError(
            "dbt invocation did not complete with unhandled error: Compilation Error in operation taxi-on-run-start-0 "
            "(./dbt_project.yml)\n  the run schema was dropped\n\n  > in macro x"
        ),
        "the run schema was dropped",
    ),
    "Postgres, before there is a model": (
        CosmosDbtRunError("dbt invocation did not complete with unhandled error: Database Error\n  Connection refused"),
        "Connection refused",
    ),
    "dbt, without more": (CosmosDbtRunError(f"{DBT}Database Error in model x"), "Database Error in model x"),
    "Python": (
        MonthError("month '2024' is not of the form YYYY-MM\nmore"),
        "MonthError: month '2024' is not of the form YYYY-MM",
    ),
    "Python, without a word": (TimeoutError(), "TimeoutError"),
}


@pytest.mark.parametrize(("error", "expected"), CASES.values(), ids=CASES)
def test_the_reason_is_the_first_line_that_says_something(error: BaseException, expected: str):
    assert reason_of(error) == expected


def test_a_reason_of_any_length_fits():
    assert len(reason_of(ValueError("x" * 10_000))) == MOST_CHARACTERS


@pytest.mark.parametrize(
    ("dag_id", "error", "kept"),
    [
        (list(DATASETS.values())[-1].dag_id, ValueError("why"), {KEY: "ValueError: why"}),
        (default_dataset().dag_id, "killed", {}),
        ("somebody_elses", ValueError("why"), {}),
    ],
)
def test_reasons_of_this_projects_tasks_are_kept(dag_id: str, error: object, kept: dict[str, str]):
    found: dict[str, str] = {}
    task = SimpleNamespace(dag_id=dag_id, xcom_push=lambda key, value: found.update({key: value}))
    on_task_instance_failed(task_instance=task, error=error)
    assert found == kept
