"""Why a task failed, in a line."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from cosmos.exceptions import CosmosDbtRunError

from include.datasets import DATASETS, default_dataset
from include.failures.reason import KEY, MOST_CHARACTERS, on_task_instance_failed, reason_of
from include.month import MonthError
from include.transform.dbt_log import DbtFailed, FailedNode

DBT = "dbt invocation completed with errors: "
CONTRACT = """This model has an enforced contract that failed.
Please ensure the name, data_type, and number of columns in your contract match the columns in your model's definition.

| column_name | definition_type | contract_type | mismatch_reason       |
| ----------- | --------------- | ------------- | --------------------- |
| amount      | TEXT            | NUMERIC       | data type mismatch    |
| new         | DATE            |               | missing in contract   |
| old         |                 | INTEGER       | missing in definition |

> in macro x"""
CASES = {
    "an audit": (
        CosmosDbtRunError(f"{DBT}int_zones_unique: Got 2 results, configured to fail if != 0"),
        "int_zones_unique: Got 2 results, configured to fail if != 0",
    ),
    "audits": (
        DbtFailed(
            f"{DBT}x: Got 1 result, configured to fail if != 0",
            (
                FailedNode("test", "x", 1, "x: Guards.\n  why: 40 of 400\n  rows=400"),
                FailedNode("test", "y", 2, "y: Guards.\n  source_row=7\n  source_row=8"),
                FailedNode("test", "z", 1, "z: Guards."),
            ),
        ),
        "x: 40 of 400; y: 2 failing rows; the first: source_row=7; z: 1 failing row",
    ),
    "a contract": (
        DbtFailed(
            f"{DBT}fct_x: Compilation Error in model fct_x (models/x.sql)\n  This model has an enforced contract …",
            (FailedNode("model", "fct_x", None, CONTRACT),),
        ),
        (
            "fct_x is not what its contract says: amount is TEXT, not NUMERIC; new (DATE) is missing in contract; old "
            "(INTEGER) is missing in definition"
        ),
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
