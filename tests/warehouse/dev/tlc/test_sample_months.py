"""A made-up month has rows on both sides of every rule's bound: CI sees each of them move."""

from __future__ import annotations

from typing import Any

import psycopg

from dev.tlc.sample_months import BOUNDS_FROM_ROWS
from tests.support.dbt.project import Project

LONGEST, HIGHEST, ONE_SECOND = "between 0 and 200", "< 100000", "interval '1 second'"
OLDEST, NEWEST = "pickup_at < source_month - interval '1 month'", "pickup_at >= source_month + interval '2 months'"
NEEDED, BACKWARDS, REVERSAL = "total_amount) > 0", "dropoff_at < pickup_at", "total_amount < 0"
SPILLOVER_FROM = "not between source_month and"
SPILLOVER_TO = "interval '1 month' - interval '1 microsecond'"
# Each bound of int_trips_judged, as it is compiled, and both ways to move it by the least step of its values.
MOVED = [
    (LONGEST, "between 0 and 199.99"),
    (LONGEST, "between 0 and 200.01"),
    (LONGEST, "between 0.01 and 200"),
    (LONGEST, "between -0.01 and 200"),
    (HIGHEST, "<= 100000"),
    (HIGHEST, "< 99999.99"),
    (OLDEST, OLDEST.replace("<", "<=")),
    (OLDEST, f"{OLDEST} - {ONE_SECOND}"),
    (NEWEST, NEWEST.replace(">=", ">")),
    (NEWEST, f"{NEWEST} - {ONE_SECOND}"),
    (NEEDED, "total_amount) > 1"),
    (">= 'infinity'", "> 'infinity'"),
    (BACKWARDS, "dropoff_at <= pickup_at"),
    (BACKWARDS, f"dropoff_at < pickup_at - {ONE_SECOND}"),
    (REVERSAL, "total_amount <= 0"),
    (REVERSAL, "total_amount < -0.01"),
    (SPILLOVER_FROM, f"not between source_month + {ONE_SECOND} and"),
    (SPILLOVER_FROM, f"not between source_month - {ONE_SECOND} and"),
    (SPILLOVER_TO, "interval '1 month'"),
    (SPILLOVER_TO, f"interval '1 month' - {ONE_SECOND} - interval '1 microsecond'"),
]


def test_each_bound_that_moves_by_the_least_step_changes_what_is_judged(project: Project):
    project.load("2024-01", rows=BOUNDS_FROM_ROWS)
    done = project.build("2024-01")
    assert done.returncode == 0, f"the audits hold nothing against these rows: {done.output}"
    sql = compiled(project)
    with psycopg.connect(project.dsn) as connection:

        def judged(statement: str) -> list[tuple[Any, ...]]:
            groups = "rejection_reason, is_spillover, is_reversal"
            found = f"select {groups}, count(*) from ({statement}) as judged group by {groups} order by {groups}"
            return connection.execute(found.encode()).fetchall()

        before = judged(sql)
        assert judged(sql) == before
        unseen = []
        for bound, moved in MOVED:
            assert sql.count(bound) == 1, bound
            if judged(sql.replace(bound, moved)) == before:
                unseen.append(moved)
    assert unseen == []


def compiled(project: Project) -> str:
    """The SQL of int_trips_judged, as the build has left it."""
    [file] = project.target.glob(f"{project.schema}-2024-01/compiled/**/int_trips_judged.sql")
    return file.read_text()
