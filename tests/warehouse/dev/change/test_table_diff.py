"""What a developer's table has otherwise than the published one: every kind of difference, and that it only reads."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from decimal import Decimal

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.markdown import Markdown

from dev.change.diff_text import as_markdown
from dev.change.table_diff import EXAMPLES, NoRows, table_diff, tables_of
from dev.services.postgres import EmbeddedPostgres
from tests.support.helpers import JANUARY
from tests.support.postgres.warehouses import warehouse

COLUMNS = """
    source_month date, source_row integer, fare numeric(12, 2), zone integer, note text, published_at timestamptz,
    primary key (source_month, source_row)
"""
Fill = Callable[[str, str], None]


@pytest.fixture
def fill(dsn: str) -> Fill:
    """Makes the table `trips` of a schema, with the rows of a `values` list."""
    with psycopg.connect(dsn) as connection:
        for schema in ("here", "there"):
            connection.execute(f"create schema {schema}; create table {schema}.trips ({COLUMNS})")

    def put(schema: str, rows: str) -> None:
        with psycopg.connect(dsn) as connection:
            connection.execute(f"delete from {schema}.trips; insert into {schema}.trips values {rows}")

    return put


def row(number: int, fare: str = "10.00", zone: str = "1", note: str = "null", month: str = "2024-01-01") -> str:
    return f"('{month}', {number}, {fare}, {zone}, {note}, clock_timestamp())"


def test_equal_rows_are_the_same_whenever_they_were_published(dsn: str, fill: Fill):
    fill("here", row(1))
    fill("there", f"{row(1)}, {row(1, month='2024-02-01')}")  # another month's rows are not looked at
    diff = table_diff(dsn, "trips", "here", "there", JANUARY)
    assert not diff.differs
    assert (
        as_markdown([diff], "here", "there")
        == "`here` (yours) beside `there` (published)\n\n### trips: the same 1 row\n"
    )


def test_every_kind_of_difference_is_counted_and_shown(dsn: str, fill: Fill):
    fill("here", ", ".join([row(1), row(2, "11.00"), row(3, note="'a|b'"), row(4, "null", "2")]))
    fill("there", ", ".join([row(1), row(2), row(3), row(4), row(5, "0.01")]))
    diff = table_diff(dsn, "trips", "here", "there", JANUARY)
    assert diff.differs
    assert (diff.rows_here, diff.rows_there, diff.only_here, diff.only_there, diff.rows_changed) == (4, 5, 0, 1, 3)
    assert diff.changed == {"fare": 2, "zone": 1, "note": 1}
    assert diff.sums == {"fare": (Decimal("31.00"), Decimal("40.01"))}
    assert [each["source_row"] for each in diff.examples["fare"]] == [2, 4]
    assert diff.examples["fare"][0] | {"source_month": None} == {
        "source_month": None,
        "source_row": 2,
        "here": Decimal("11.00"),
        "there": Decimal("10.00"),
    }
    text = as_markdown([diff], "here", "there")
    for part in (
        "### trips: differs",
        "| only published | 1 |",
        "| fare | 2 |",
        "| 2024-01-01 | 3 | a\\|b |  |",
        "| fare | 31.00 | 40.01 | -9.01 |",
    ):
        assert part in text


def test_rows_too_wide_for_a_table_fold_and_no_value_is_cut(dsn: str, fill: Fill):
    with psycopg.connect(dsn) as connection:
        for number in range(20):
            connection.execute(f"alter table here.trips add a_long_name_{number} text default 'value {number}'")
            connection.execute(f"alter table there.trips add a_long_name_{number} text default 'value {number}'")
    with psycopg.connect(dsn) as connection:
        for schema in ("here", "there"):
            connection.execute(f"insert into {schema}.trips (source_month, source_row) values ('2024-01-01', 1)")
        connection.execute("insert into there.trips (source_month, source_row) values ('2024-01-01', 2)")
    text = as_markdown([table_diff(dsn, "trips", "here", "there", JANUARY)], "here", "there")
    shown = Console(width=80, file=io.StringIO())
    shown.print(Markdown(text))
    said = " ".join(shown.file.getvalue().split())
    assert "…" not in said
    for number in range(20):
        assert f"a_long_name_{number} value {number}" in said


def test_five_examples_of_each_the_first_by_key(dsn: str, fill: Fill):
    fill("here", ", ".join(row(number, "1.00") for number in range(20, 0, -1)))
    fill("there", ", ".join(row(number) for number in range(1, 11)))
    diff = table_diff(dsn, "trips", "here", "there", JANUARY)
    assert [each["source_row"] for each in diff.examples["fare"]] == [1, 2, 3, 4, 5]
    assert [each["source_row"] for each in diff.examples["here"]] == [11, 12, 13, 14, 15]
    assert EXAMPLES == 5


def test_columns_and_types_of_one_side_alone_are_differences(dsn: str, fill: Fill):
    fill("here", row(1))
    fill("there", row(1))
    with psycopg.connect(dsn) as connection:
        connection.execute("alter table here.trips add tip numeric(12, 2), alter fare type numeric(14, 3)")
        connection.execute("alter table there.trips add toll numeric(12, 2)")
    diff = table_diff(dsn, "trips", "here", "there", JANUARY)
    assert diff.differs
    assert diff.rows_changed == 0
    assert diff.only_columns == ("tip (yours)", "toll (published)")
    assert diff.types == ("fare (numeric(14,3) yours, numeric(12,2) published)",)


def test_a_table_that_is_not_published_yet_has_all_its_rows_here(dsn: str, fill: Fill):
    fill("here", row(1))
    with psycopg.connect(dsn) as connection:
        connection.execute("drop table there.trips")
    diff = table_diff(dsn, "trips", "here", "there", JANUARY)
    assert (diff.differs, diff.only_here, diff.rows_there) == (True, 1, 0)
    assert as_markdown([diff], "here", "there")


def test_a_table_without_rows_of_the_month_is_no_comparison(dsn: str, fill: Fill):
    fill("there", row(1))
    with pytest.raises(NoRows, match=r"here.trips has no rows of 2024-01"):
        table_diff(dsn, "trips", "here", "there", JANUARY)
    with pytest.raises(NoRows, match=r"here.taxis is not there"):
        table_diff(dsn, "taxis", "here", "there", JANUARY)
    assert tables_of(dsn, "here") == ["trips"]
    assert tables_of(dsn, "nowhere") == []


@pytest.fixture(scope="module")
def prepared(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A warehouse with both tables, for all examples."""
    with warehouse(postgres, "warehouse_of_a_property") as dsn:
        with psycopg.connect(dsn) as connection:
            for schema in ("here", "there"):
                connection.execute(f"create schema {schema}; create table {schema}.trips ({COLUMNS})")
        yield dsn


rows = st.dictionaries(
    st.integers(1, 6), st.tuples(st.none() | st.integers(0, 2), st.none() | st.integers(0, 1)), max_size=6
)


@given(here=rows.filter(bool), there=rows)
def test_any_two_tables_are_compared_as_python_compares_them(prepared: str, here, there):
    with psycopg.connect(prepared, autocommit=True) as connection:
        for schema, content in (("here", here), ("there", there)):
            connection.execute(f"truncate {schema}.trips")
            for number, (fare, zone) in content.items():
                connection.execute(
                    f"insert into {schema}.trips values ('2024-01-01', %s, %s, %s, null, now())", [number, fare, zone]
                )
    diff = table_diff(prepared, "trips", "here", "there", JANUARY)
    both = here.keys() & there.keys()
    assert diff.only_here == len(here.keys() - there.keys())
    assert diff.only_there == len(there.keys() - here.keys())
    assert diff.rows_changed == sum(here[each] != there[each] for each in both)
    for place, name in enumerate(("fare", "zone")):
        assert diff.changed.get(name, 0) == sum(here[each][place] != there[each][place] for each in both)
    assert diff.differs == (here != there)
