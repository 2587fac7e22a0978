"""Where a column comes from: SQL as models write it, and the inputs that sqlglot must find in it."""

from __future__ import annotations

import pytest

from include.lineage.columns import Input, Model, lineage_of

TABLES = {
    "trips": {"id": "integer", "zone": "integer", "amount": "numeric", "paid_at": "timestamp"},
    "zones": {"zone": "integer", "name": "text", "codes": "text[]"},
}
IDENTITY, COMPUTED, SUMMED = ("DIRECT", "IDENTITY"), ("DIRECT", "TRANSFORMATION"), ("DIRECT", "AGGREGATION")
CONDITIONAL, WINDOW, SORT = ("INDIRECT", "CONDITIONAL"), ("INDIRECT", "WINDOW"), ("INDIRECT", "SORT")
FILTER = ("INDIRECT", "FILTER")
ROWS_OF_TRIPS = ("trips.", *SUMMED)

# The SQL, and the inputs of its column `x`.
CASES = {
    "as it is": ("select amount as x from trips", [("trips.amount", *IDENTITY)]),
    "cast": ("select amount::text as x from trips", [("trips.amount", *COMPUTED)]),
    "constant": ("select null::integer as x from trips", []),
    "computed of two": (
        "select amount * zone as x from trips",
        [("trips.amount", *COMPUTED), ("trips.zone", *COMPUTED)],
    ),
    "summed after a cast": (
        "with cents as (select amount::bigint as cents from trips) select sum(cents) as x from cents",
        [("trips.amount", *SUMMED)],
    ),
    "computed of a sum": (
        "with sums as (select sum(amount) as a from trips) select round(a, 2) as x from sums",
        [("trips.amount", *SUMMED)],
    ),
    "count of rows": ("select count(*) as x from trips", [ROWS_OF_TRIPS]),
    "count of rows of a subquery": (
        "select count(*) as x from (select zone from trips union all select zone from zones) as both_",
        [ROWS_OF_TRIPS, ("zones.", *SUMMED)],
    ),
    "filtered": (
        "select sum(amount) filter (where zone = 1) as x from trips",
        [("trips.amount", *SUMMED), ("trips.zone", *CONDITIONAL)],
    ),
    "case": (
        "select case when zone = 1 then amount else id end as x from trips",
        [("trips.amount", *COMPUTED), ("trips.id", *COMPUTED), ("trips.zone", *CONDITIONAL)],
    ),
    "case of a value": ("select case zone when 1 then 'a' end as x from trips", [("trips.zone", *CONDITIONAL)]),
    "condition of a computed column": (
        "with t as (select zone + 1 as z from trips) select case when z = 1 then 'a' end as x from t",
        [("trips.zone", *CONDITIONAL)],
    ),
    "sum of what a condition decides": (
        "with t as (select case when zone = 1 then 2 end as a from trips) select sum(a) as x from t",
        [("trips.zone", *CONDITIONAL)],
    ),
    "window": (
        "select sum(amount) over (partition by zone order by paid_at) as x from trips",
        [("trips.amount", *SUMMED), ("trips.paid_at", *WINDOW), ("trips.zone", *WINDOW)],
    ),
    "named window": (
        "select lag(amount) over w as x from trips window w as (partition by zone order by paid_at)",
        [("trips.amount", *SUMMED), ("trips.paid_at", *WINDOW), ("trips.zone", *WINDOW)],
    ),
    "sorted aggregate": (
        "select (array_agg(amount order by paid_at))[1] as x from trips",
        [("trips.amount", *SUMMED), ("trips.paid_at", *SORT)],
    ),
    "percentile": (
        "select percentile_cont(0.5) within group (order by amount) as x from trips",
        [("trips.amount", *SUMMED)],
    ),
    "star over a union": (
        "with both_ as (select zone as x, id as y from trips union all select zone, 0 from zones) select * from both_",
        [("trips.zone", *IDENTITY), ("zones.zone", *IDENTITY)],
    ),
    "star of a join": (
        "select trips.*, zones.name as x from trips join zones using (zone)",
        [("zones.name", *IDENTITY)],
    ),
    "column of a join by using": (
        "select zone as x from trips left join zones using (zone)",
        [("trips.zone", *COMPUTED), ("zones.zone", *COMPUTED)],
    ),
    "lateral subquery": (
        "select each.c as x from zones cross join lateral (select name || zones.zone as c, id from trips) as each",
        [("zones.name", *COMPUTED), ("zones.zone", *COMPUTED)],
    ),
    "lateral function": (
        "select code as x from zones cross join lateral unnest(zones.codes) as each (code)",
        [("zones.codes", *COMPUTED)],
    ),
    "values": ("select c as x from (values (1), (2)) as v (c)", []),
    "lateral values": (
        "select v.c as x from trips cross join lateral (values (trips.amount), (trips.id)) as v (c)",
        [("trips.amount", *COMPUTED), ("trips.id", *COMPUTED)],
    ),
    "series": ("select day_at as x from generate_series(1, 2) as calendar (day_at)", []),
    "series of a column": (
        "select n as x from trips cross join generate_series(1, trips.zone) as series (n)",
        [("trips.zone", *COMPUTED)],
    ),
    "scalar subquery": (
        "select (select max(name) from zones where zones.zone = trips.zone) as x from trips",
        [("trips.zone", *FILTER), ("zones.name", *SUMMED), ("zones.zone", *FILTER)],
    ),
    "exists": (
        "select case when exists (select 1 from zones where zones.zone = trips.zone) then 1 end as x from trips",
        [("trips.zone", *FILTER), ("zones.zone", *FILTER)],
    ),
    "whole row": (
        "select to_jsonb(zones) as x from zones",
        [("zones.codes", *COMPUTED), ("zones.name", *COMPUTED), ("zones.zone", *COMPUTED)],
    ),
    "same name at two levels": (
        "with trips as (select id, amount * 2 as amount from trips) select amount as x from trips",
        [("trips.amount", *COMPUTED)],
    ),
    "recursive": (
        "with recursive up as (select zone as n from zones union all select n + 1 from up) select n as x from up",
        [("zones.zone", *IDENTITY), ("zones.zone", *COMPUTED)],
    ),
    "except": (
        "select id as x from trips except select zone from zones",
        [("trips.id", *IDENTITY), ("zones.zone", *FILTER)],
    ),
    "distinct on": (
        "select distinct on (zone) amount as x from trips order by zone, paid_at",
        [("trips.amount", *IDENTITY)],
    ),
    "quoted": ('select "amount" as "x" from "db"."schema"."trips"', [("trips.amount", *IDENTITY)]),
}


def found(inputs: set[Input]) -> list[tuple[str, str, str]]:
    return [(f"{each.table}.{each.column}", each.type, each.subtype) for each in sorted(inputs)]


def read(sql: str) -> Model:
    model = lineage_of(sql, TABLES)
    assert not model.unread
    return model


@pytest.mark.parametrize("name", CASES)
def test_a_column_leads_to_its_inputs(name: str):
    sql, expected = CASES[name]
    assert found(read(sql).columns["x"].inputs) == sorted(expected)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select id from trips where amount > 0", [("FILTER", ["trips.amount"])]),
        (
            "select zone from trips group by zone having sum(amount) > 0",
            [("FILTER", ["trips.amount"]), ("GROUP_BY", ["trips.zone"])],
        ),
        ("select id from trips join zones on trips.zone = zones.zone", [("JOIN", ["trips.zone", "zones.zone"])]),
        ("select id from trips join zones using (zone)", [("JOIN", ["trips.zone", "zones.zone"])]),
        ("with a as (select * from trips where amount > 0) select id from a", [("FILTER", ["trips.amount"])]),
        ("select distinct on (zone) id from trips", [("GROUP_BY", ["trips.zone"])]),
        (
            "select id from trips where zone in (select zone from zones where name = 'a')",
            [("FILTER", ["trips.zone", "zones.name", "zones.zone"])],
        ),
    ],
)
def test_what_decides_about_rows_is_told(sql: str, expected: list[tuple[str, list[str]]]):
    rules = [(rule.subtype, sorted({f"{each.table}.{each.column}" for each in rule.inputs})) for rule in read(sql).rows]
    assert rules == expected


def test_each_step_says_how():
    sql = """
        with renamed as (select amount as fare, zone::text as zone_id, id from trips),
        computed as (select fare * 2 as doubled, zone_id, id from renamed)
        select doubled, zone_id, id from computed
    """
    columns = read(sql).columns
    assert [(step.of, step.how, step.sql) for step in columns["doubled"].steps] == [
        ("computed", "computed", "renamed.fare * 2"),
        ("renamed", "renamed", "trips.amount"),
    ]
    assert [(step.of, step.how) for step in columns["zone_id"].steps] == [("renamed", "cast")]
    assert columns["id"].steps == []


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("select from where", "Expected"),
        ("select fare from trips, elsewhere", "fare is of no table"),
        ("select fare + 1 as amount from trips", "fare"),
        ("select each.amount from elsewhere as each", "elsewhere declares no column amount"),
        ("update trips set amount = 1", "no query"),
    ],
)
def test_what_sqlglot_cannot_read_is_named(sql: str, why: str):
    model = lineage_of(sql, TABLES)
    assert why in model.unread
    assert not model.columns
