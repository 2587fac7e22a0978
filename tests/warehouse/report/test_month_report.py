"""The report of a month: its figures against the rows they come from, and the page as a browser reads it."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import psycopg
import pytest
from pandas import DataFrame

from dev.services.postgres import EmbeddedPostgres
from dev.tlc.mirror import TlcMirror
from include.datasets import YELLOW
from include.month import Month
from include.report.figures import Accepted, MonthFigures, PublishedMonth, figures_of
from include.report.page import page_of
from include.settings import ROOT
from tests.support.dbt.project import Project
from tests.support.postgres.warehouses import warehouse

GREEN_SCHEMA = "airflow_default"
MONTH, BEFORE, YEAR_BEFORE = (Month.parse(text) for text in ("2024-01", "2023-12", "2023-01"))
TITLE = "Green & yellow"
MOST_BYTES = 300_000
DAYS = range(1, 32)


@pytest.fixture(scope="module")
def months(
    postgres: EmbeddedPostgres, january: str, target: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    """January 2024 and the two months it is compared with, published."""
    folder = tmp_path_factory.mktemp("tlc")
    with warehouse(postgres, "warehouse_of_reports", copy_of=january) as dsn, TlcMirror(folder) as tlc:
        project = Project(dsn, tlc, target)
        for month in (BEFORE, YEAR_BEFORE):
            project.load(str(month))
            project.publish(str(month))
        yield project


@pytest.fixture
def connection(months: Project) -> Iterator[psycopg.Connection]:
    """A test's own transaction: what it changes is gone when it ends."""
    with psycopg.connect(months.dsn) as connection:
        connection.execute(f"set search_path to {GREEN_SCHEMA}")
        yield connection
        connection.rollback()


def january(connection: psycopg.Connection) -> MonthFigures:
    figures = figures_of(connection, GREEN_SCHEMA, MONTH)
    assert figures
    return figures


class Page(HTMLParser):
    """What a browser finds in the page: `elements` with their attributes, `text` as it is shown, the tables' `rows`."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.styles: list[str] = []
        self.rows: list[list[str]] = []
        self._open = ""
        self.feed(html)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())

    @property
    def cells(self) -> list[str]:
        return [cell for row in self.rows for cell in row]

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._open = tag
        self.elements.append((tag, dict(attributes)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self._open == "style":
            self.styles.append(data)
            return
        self.texts.append(data)
        if self._open in ("th", "td"):
            self.rows[-1][-1] += data

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def attributes(self, name: str) -> list[str]:
        return [attributes[name] or "" for _, attributes in self.elements if name in attributes]


def largest() -> MonthFigures:
    """More than any month has: every day, zone, borough and payment type, with long names and numbers."""
    days = [987_654 - day for day in range(31)]
    month = PublishedMonth(
        month=MONTH,
        rows_in_file=31_000_000,
        rows_accepted=30_999_000,
        rows_rejected=1000,
        rejected={"value_missing": 1, "distance_impossible": 999, "a_new_reason": 0},
        pickups_outside_month=5,
        reversals=30_000,
        total_amount_in_file=Decimal("1234567890123456.78"),
        total_amount_accepted=Decimal("1234567890123456.79"),
        total_amount_rejected=Decimal("-0.01"),
        file_sha256="0123456789abcdef" * 4,
        published_at=datetime(2024, 3, 5, 12, 30, tzinfo=UTC),
    )
    boroughs = ("Manhattan", "Queens", "Brooklyn", "Bronx", "Staten Island", "EWR", "Unknown", "N/A", "")
    zone = (103, "Governor's Island/Ellis Island/Liberty Island", "Staten Island", 123_456, Decimal("1234567.89"))
    payments = ("Not said", "Flex Fare", "Credit card", "Cash", "No charge", "Dispute", "Unknown", "Voided trip", "99")
    return MonthFigures(
        month=month,
        before=replace(month, month=BEFORE),
        year_before=replace(month, month=YEAR_BEFORE),
        days=DataFrame(dict.fromkeys((MONTH, BEFORE, YEAR_BEFORE), days), index=DAYS, dtype="Int64"),
        boroughs=DataFrame(dict.fromkeys(boroughs, days), index=DAYS),
        zones=DataFrame([zone] * 12, columns=["zone_id", "name", "borough", "trips", "total_amount"]),
        payments=DataFrame({"trips": 123_456, "total_amount": Decimal("1234567.89")}, index=payments),
        tips=DataFrame(
            {"trips": 123_456, "fare_amount": Decimal("999999.99"), "tip_amount": Decimal("222222.22")}, index=range(10)
        ),
        profile=DataFrame(
            {MONTH: [Decimal("999999.9999")] * 40}, index=[f"a_figure_of_a_long_name_{n}" for n in range(40)]
        ),
    )


# ---------- figures


@pytest.mark.parametrize("which", ["month", "before", "year_before"])
def test_the_counts_are_those_of_the_month_s_row_and_its_trips_by_day_those_of_its_trips(connection, which):
    figures = january(connection)
    found = getattr(figures, which)
    month = {"month": MONTH, "before": BEFORE, "year_before": YEAR_BEFORE}[which]
    columns = (
        "rows_in_file, rows_accepted, rows_rejected, pickups_outside_month, reversals, total_amount_in_file, "
        "total_amount_accepted, total_amount_rejected, file_sha256, published_at"
    )
    [row] = connection.execute(f"select {columns} from fct_months where source_month = %s", [month.first_day])
    assert (found.month, *(getattr(found, name) for name in columns.split(", "))) == (month, *row)
    days = connection.execute(
        "select extract(day from pickup_at)::int, count(*) from fct_trips"
        " where source_month = %s and to_char(pickup_at, 'YYYY-MM') = %s group by 1",
        [month.first_day, str(month)],
    )
    counted = dict(days.fetchall())
    assert figures.days[month].to_dict() == {day: counted.get(day, 0) for day in DAYS}
    assert figures.days[month].sum() < found.rows_accepted, "the file has no spillover that could have been counted"


def test_the_profile_is_that_of_each_month_that_has_one(connection: psycopg.Connection):
    [row] = connection.execute(
        "select quietest_hour::text, trim_scale(median_minutes)::text, last_pickup_date::text from fct_month_profile "
        "where source_month = %s",
        [MONTH.first_day],
    )
    connection.execute("delete from fct_month_profile where source_month = %s", [BEFORE.first_day])
    page = Page(page_of(TITLE, january(connection)))
    assert [found[1:] for found in page.rows if found[0] == "Figure"] == [[str(MONTH), str(YEAR_BEFORE)]]
    for figure, value in zip(("quietest hour", "median minutes", "last pickup date"), row, strict=True):
        assert [found[1] for found in page.rows if found[0] == figure] == [value]
    connection.execute("drop table fct_month_profile")
    assert "What the trips are like" not in page_of(TITLE, january(connection)), "an earlier version has published"


def test_the_reasons_have_the_numbers_of_the_rules_that_judged_the_month(connection: psycopg.Connection):
    def reasons() -> str:
        return Page(page_of(TITLE, january(connection))).text

    assert "distance impossible: more miles than a taxi drives, or less than none" in reasons(), "they are not known"
    connection.execute("update fct_months set code_version = 'aaaaaaaaaaaa', git_revision = 'c0ffee123456'")
    bounds = '{"longest_trip_miles": 150, "highest_amount_dollars": 90000}'
    connection.execute("insert into code_versions values ('aaaaaaaaaaaa', null, '{}', %s, now())", [bounds])
    assert "distance impossible: more than 150 miles, or less than none" in reasons()
    assert "amount impossible: an amount of 90,000 dollars or more, or one that is no number" in reasons()
    assert "Made by version aaaaaaaaaaaa of the" in reasons()
    assert "SQL, git c0ffee123456." in reasons()
    connection.execute("drop table code_versions")
    assert "distance impossible: more miles than a taxi drives" in reasons(), "a warehouse of an earlier revision"


def test_what_was_accepted_of_the_published_file_is_said_with_who_when_and_why(connection: psycopg.Connection):
    """Of another file, and what an audit has found there, it is not."""
    write = "insert into audit_log select source_month, %s, 'file ' || {}, %s, %s, %s, %s from fct_months"
    at = datetime(2026, 11, 30, 4, 12, tzinfo=UTC)
    of_published, of_another = (write.format(sha256) for sha256 in ("file_sha256", "repeat('0', 64)"))
    connection.execute(of_another, ["test.taxi.a_share.01234567", True, at, "ben", "a fire"])
    connection.execute(of_published, ["test.taxi.another_share.01234567", False, at, None, None])
    assert january(connection).accepted == []
    assert "The month is odd" not in page_of(TITLE, january(connection))
    connection.execute(of_published, ["test.taxi.a_share.01234567", True, at, "ana", "<b>flood</b> in the Bronx"])
    assert january(connection).accepted == [Accepted("a_share", "<b>flood</b> in the Bronx", "ana", at)]
    said = "the audit a_share failed, which ana has accepted on 2026-11-30 04:12 UTC: “<b>flood</b> in the Bronx”."
    assert f"The month is odd: {said}" in Page(page_of(TITLE, january(connection))).text
    connection.execute("alter table audit_log drop accepted_by, drop reason")
    assert january(connection).accepted == [], "a log of an earlier revision"


def test_a_short_month_has_no_more_days_than_the_calendar(connection):
    for table in ("fct_months", "fct_zone_days"):
        connection.execute(f"create table {table}_short partition of {table} for values in ('2024-02-01')")
        connection.execute(f"create temp table copied as select * from {table} where source_month = '2024-01-01'")
        connection.execute("update copied set source_month = '2024-02-01'")
        connection.execute(f"insert into {table} select * from copied")
        connection.execute("drop table copied")
    connection.execute("delete from fct_zone_days where source_month = '2024-02-01' and pickup_date > '2024-01-29'")
    connection.execute("update fct_zone_days set pickup_date = pickup_date + 31 where source_month = '2024-02-01'")
    february = Month.parse("2024-02")
    figures = figures_of(connection, GREEN_SCHEMA, february)
    assert figures
    trips = figures.days[february]
    assert trips[:29].tolist() == january(connection).days[MONTH][:29].tolist()
    assert trips[29:].isna().tolist() == [True, True]
    assert figures.boroughs.index.tolist() == list(range(1, 30))
    assert figures.before == january(connection).month
    assert figures.days[MONTH].equals(january(connection).days[MONTH])
    assert "2023-02 is not published" in Page(page_of(TITLE, figures)).text


def test_rejected_rows_by_reason_add_up(connection):
    month = january(connection).month
    reasons = connection.execute(
        "select rejection_reason, count(*) from fct_rejected_trips where source_month = %s group by 1",
        [MONTH.first_day],
    )
    assert {reason: rows for reason, rows in month.rejected.items() if rows} == dict(reasons.fetchall())
    assert sum(month.rejected.values()) == month.rows_rejected > 0
    assert month.rows_accepted + month.rows_rejected == month.rows_in_file


def test_zones_and_boroughs_are_those_of_the_trips_also_where_the_list_of_zones_lacks_them(connection):
    [(unlisted, _), (nameless, _)] = connection.execute(
        "select pickup_zone_id, count(*) from fct_trips where source_month = '2024-01-01'"
        " group by 1 order by 2 desc, 1 limit 2"
    )
    connection.execute("delete from dim_zones where zone_id = %s", [unlisted])
    connection.execute("update dim_zones set zone_name = null, borough = null where zone_id = %s", [nameless])
    listed = connection.execute("select zone_id, zone_name, borough from dim_zones")
    names = {zone: (name or "", borough or "") for zone, name, borough in listed}
    trips = connection.execute(
        "select pickup_zone_id, pickup_at, total_amount from fct_trips where source_month = '2024-01-01'"
    ).fetchall()
    amounts: dict[int, list[Decimal]] = {}
    by_borough: Counter[tuple[str, int]] = Counter()
    for zone, pickup_at, amount in trips:
        amounts.setdefault(zone, []).append(amount)
        if Month.containing(pickup_at) == MONTH:
            by_borough[names.get(zone, ("", ""))[1], pickup_at.day] += 1
    order = sorted(amounts, key=lambda zone: (-len(amounts[zone]), zone))[:12]

    figures = january(connection)
    assert list(figures.zones.itertuples(index=False, name=None)) == [
        (zone, *names.get(zone, ("", "")), len(amounts[zone]), sum(amounts[zone])) for zone in order
    ]
    found = {(borough, day): trips for borough, days in figures.boroughs.items() for day, trips in days.items()}
    assert {where: trips for where, trips in found.items() if trips} == by_borough
    totals = figures.boroughs.sum().tolist()
    assert totals == sorted(totals, reverse=True)
    shown = Page(page_of(TITLE, figures))
    assert f"zone {unlisted}, no name listed (no borough listed)" in shown.cells
    assert f"zone {nameless}, no name listed (no borough listed)" in shown.cells


def test_payments_are_those_of_the_trips_by_name(connection):
    codes = [None, 0, 6, 99, 1, 2, 3, 4, 5]
    for row, code in enumerate(codes):
        connection.execute(
            "update fct_trips set payment_type_id = %s where source_month = '2024-01-01' and source_row %% 20 = %s",
            [code, row],
        )
    names = {None: "Not said", 0: "Flex Fare", 1: "Credit card", 2: "Cash", 3: "No charge", 4: "Dispute"}
    names |= {5: "Unknown", 6: "Voided trip", 99: "99"}
    counted = connection.execute(
        "select payment_type_id, count(*), sum(total_amount) from fct_trips where source_month = %s group by 1",
        [MONTH.first_day],
    )
    expected = {(names[code], trips, amount) for code, trips, amount in counted}
    payments = january(connection).payments
    assert set(payments[["trips", "total_amount"]].itertuples(name=None)) == expected
    assert len(payments) == len(codes)
    assert payments.trips.tolist() == sorted(payments.trips, reverse=True)


def test_tips_are_of_trips_paid_by_card_with_a_positive_fare_by_the_tip_s_share_of_it(connection):
    edges = [("10", "0"), ("10", "-1"), ("10", "0.01"), ("10", "0.49"), ("10", "0.5"), ("10", "1"), ("10", "2")]
    edges += [("10", "2.49"), ("10", "3.99"), ("10", "4"), ("3", "1"), ("0", "5"), ("-10", "2")]
    for row, (fare, tip) in enumerate(edges, start=1):
        connection.execute(
            "update fct_trips set payment_type_id = 1, fare_amount = %s, tip_amount = %s"
            " where source_month = '2024-01-01' and source_row ="
            " (select source_row from fct_trips where source_month = '2024-01-01' order by 1 offset %s limit 1)",
            [fare, tip, row],
        )
    trips = connection.execute(
        "select fare_amount, tip_amount from fct_trips where payment_type_id = 1 and fare_amount > 0"
        " and source_month = %s",
        [MONTH.first_day],
    ).fetchall()
    classes = [0] * 10
    for fare, tip in trips:
        bounds = [fare * step / 100 for step in (5, 10, 15, 20, 25, 30, 35, 40)]
        classes[0 if tip <= 0 else 1 + sum(tip >= bound for bound in bounds)] += 1
    tips = january(connection).tips
    assert tips.trips.tolist() == classes
    assert (tips.fare_amount.sum(), tips.tip_amount.sum()) == tuple(map(sum, zip(*trips, strict=True)))


def test_of_the_trips_only_the_month_s_own_partition_is_read(connection, months: Project):
    connection.execute("set lock_timeout = '2s'")
    with psycopg.connect(months.dsn) as other:
        other.execute(f"lock table {GREEN_SCHEMA}_partitions.fct_trips_202312 in access exclusive mode")
        other.execute(f"lock table {GREEN_SCHEMA}_partitions.fct_trips_202301 in access exclusive mode")
        assert january(connection).before


@pytest.mark.parametrize(
    "absent",
    [{BEFORE}, {YEAR_BEFORE}, {BEFORE, YEAR_BEFORE}, set()],
    ids=["the month before", "the year before", "both", "neither"],
)
def test_a_comparison_that_is_not_published_is_said_to_be_absent(connection, absent):
    connection.execute("delete from fct_months where source_month = any(%s)", [[month.first_day for month in absent]])
    figures = january(connection)
    assert (figures.before is None, figures.year_before is None) == (BEFORE in absent, YEAR_BEFORE in absent)
    page = Page(page_of(TITLE, figures))
    for month in (BEFORE, YEAR_BEFORE):
        assert (f"{month} is not published" in page.text) == (month in absent)
        assert (f"since {month}" in page.cells) == (month not in absent)


def test_a_month_that_is_not_published_has_no_figures(connection):
    assert figures_of(connection, GREEN_SCHEMA, Month.parse("2024-02")) is None


def test_yellow_months_have_reports_of_their_own(months: Project):
    yellow = replace(months, dataset=YELLOW, schema="")
    yellow.load("2024-01", rows=300)
    yellow.publish("2024-01")
    with psycopg.connect(months.dsn) as connection:
        figures = figures_of(connection, yellow.schema, MONTH)
        assert figures
        [(trips, amount)] = connection.execute(f"select count(*), sum(total_amount) from {yellow.schema}.fct_trips")
    assert figures.month.rows_in_file == 300
    assert (figures.before, figures.year_before) == (None, None)
    assert figures.payments.trips.sum() == figures.month.rows_accepted == trips
    assert figures.payments.total_amount.sum() == figures.month.total_amount_accepted == amount
    assert Page(page_of(YELLOW.title, figures)).text.startswith("NYC TLC yellow-taxi trips, 2024-01")


# ---------- the page


def test_the_page_says_its_figures(connection):
    figures = january(connection)
    page = Page(page_of(TITLE, figures))
    month = figures.month
    assert page.text.startswith("Green & yellow, 2024-01 Green & yellow, 2024-01")  # <title> and <h1>
    for published in (month, figures.before, figures.year_before):
        for name in ("rows_in_file", "rows_accepted", "rows_rejected", "reversals", "pickups_outside_month"):
            assert f"{getattr(published, name):,}" in page.cells
        assert f"${published.total_amount_accepted:,.2f}" in page.cells
    for table in (figures.days, figures.boroughs):
        for day, *trips in table.itertuples(name=None):
            assert [str(day), *map(str, trips)] in page.rows
    for zone in figures.zones.itertuples():
        share = f"{100 * zone.trips / month.rows_accepted:.1f} %"
        assert [f"{zone.name} ({zone.borough})", str(zone.trips), share, f"${zone.total_amount:,.2f}"] in page.rows
    for payment in figures.payments.itertuples():
        assert (payment.Index, str(payment.trips), f"${payment.total_amount:,.2f}") in {
            (row[0], row[1], row[3]) for row in page.rows if len(row) == 5
        }
    tips = [row[1] for row in page.rows if row[0] == "no tip" or row[0].endswith((" %", " % or more"))]
    assert tips == [str(trips) for trips in figures.tips.trips]
    reasons = {row[0].split(":")[0].replace(" ", "_"): row[1] for row in page.rows if len(row) == 2}
    rejected = {reason: str(rows) for reason, rows in month.rejected.items()}
    assert reasons == rejected | {"Reason": "Rows", "All_reasons": str(month.rows_rejected)}
    assert month.file_sha256 in page.text
    assert f"{month.published_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" in page.text
    spillover = month.rows_accepted - figures.days[MONTH].sum()
    assert f"{spillover} accepted trips of the file of 2024-01 were picked up outside it" in page.text


def test_amounts_are_exact_to_the_cent():
    cells = Page(page_of(TITLE, largest())).cells
    assert {"$1,234,567,890,123,456.78", "$1,234,567,890,123,456.79", "-$0.01"} <= set(cells)


@pytest.mark.parametrize("trips", [987_654, 19], ids=["shades", "numbers"])
def test_the_largest_page_is_small(trips):
    days = [trips - day % 9 for day in range(31)]
    figures = largest()
    html = page_of(TITLE, replace(figures, boroughs=DataFrame(dict.fromkeys(figures.boroughs, days), index=DAYS)))
    assert len(html.encode()) < MOST_BYTES


def test_the_same_figures_give_the_same_bytes_whoever_asks():
    first = page_of(TITLE, largest())
    with matplotlib.rc_context({"font.size": 20, "svg.fonttype": "path", "axes.linewidth": 7}):
        assert page_of(TITLE, largest()) == first
        assert matplotlib.rcParams["font.size"] == 20
    code = (
        "import pickle, sys; from include.report.page import page_of;"
        "sys.stdout.write(page_of(*pickle.load(sys.stdin.buffer)))"
    )
    other = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps((TITLE, largest())), capture_output=True, cwd=ROOT, check=True
    )
    assert other.stdout.decode() == first


def test_the_page_needs_nothing_beside_itself():
    html = page_of(TITLE, largest())
    page = Page(html)
    tags = {tag for tag, _ in page.elements}
    assert tags.isdisjoint({"script", "link", "base", "iframe", "object", "embed", "img", "image", "form"})
    assert [tag for tag, _ in page.elements].count("svg") == 5
    assert "http" not in html
    loads = [
        value for name in ("src", "srcset", "href", "xlink:href", "action", "data") for value in page.attributes(name)
    ]
    loads += re.findall(r"url\(([^)]*)", html)
    ids = page.attributes("id")
    assert loads
    assert {load.removeprefix("#") for load in loads} == set(ids)
    assert len(ids) == len(set(ids))
    assert "@import" not in html
    assert len(page.styles) == 1, "an svg's own style sheet would hold for the whole page"
    assert [name for _, attributes in page.elements for name in attributes if name.startswith("on")] == []
    assert html.startswith('<!doctype html>\n<html lang="en">')
    assert html.lower().count("<!doctype") == 1
    assert "<?xml" not in html


def test_the_page_reads_well_without_seeing_it():
    page = Page(page_of(TITLE, largest()))
    assert {attributes.get("scope") for tag, attributes in page.elements if tag == "th"} == {"row", "col"}
    for place, (tag, _) in enumerate(page.elements):
        if tag == "svg":
            around = page.elements[place - 1][1]
            assert (around["role"], bool(around["aria-label"])) == ("img", True)
    tags = Counter(tag for tag, _ in page.elements)
    assert tags["figure"] == tags["figcaption"] == tags["svg"]
    assert tags["h1"] == 1
    assert tags["table"] == tags["caption"] == 8


def test_names_from_the_data_are_text(connection):
    [(zone,)] = connection.execute(
        "select pickup_zone_id from fct_trips where source_month = '2024-01-01'"
        " group by 1 order by count(*) desc, 1 limit 1"
    )
    before = Counter(tag for tag, _ in Page(page_of(TITLE, january(connection))).elements)
    connection.execute(
        "update dim_zones set zone_name = E'<b>&\"$x_1$\\x01', borough = '</svg><script>' where zone_id = %s", [zone]
    )
    html = page_of("<u>", january(connection))
    page = Page(html)
    assert '<b>&"$x_1$\N{REPLACEMENT CHARACTER} (</svg><script>)' in page.cells
    assert html.count("&lt;b&gt;&amp;") == 2, "once in the table, once in the chart"
    after = Counter(tag for tag, _ in page.elements)
    assert {tag for tag in after if tag not in before} == set()
    assert after["svg"] == before["svg"]


def test_a_month_without_an_accepted_trip_has_a_page(connection):
    connection.execute("delete from fct_trips where source_month = '2024-01-01'")
    connection.execute("delete from fct_zone_days where source_month = '2024-01-01'")
    connection.execute(
        "update fct_months set rows_accepted = 0, rows_in_file = rows_rejected, total_amount_accepted = 0"
        " where source_month = '2024-01-01'"
    )
    figures = january(connection)
    assert [len(table) for table in (figures.zones, figures.boroughs, figures.payments)] == [0, 0, 0]
    assert figures.tips.trips.sum() == 0
    page = Page(page_of(TITLE, figures))
    assert "0 accepted trips, $0.00 in total." in page.text
    assert "no accepted trip, so there is nothing to draw" in page.text
    assert f"{figures.month.rows_rejected} of {figures.month.rows_rejected} rows (100.0 %)" in page.text
    empty = replace(figures.month, rows_in_file=0, rows_rejected=0, rejected={})
    assert "0 of 0 rows" in Page(page_of(TITLE, replace(figures, month=empty))).text
    # and as a month that another is compared with
    assert "2023-12 had none" in Page(page_of(TITLE, replace(largest(), before=replace(empty, month=BEFORE)))).text


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("day", ["2024-01-31", "2023-12-31"], ids=["inside", "outside"])
def test_a_month_whose_trips_are_all_of_one_day_has_a_page(connection, day):
    one = "where source_month = '2024-01-01' and (pickup_zone_id, pickup_date) <> (%s, '2024-01-10')"
    [(zone,)] = connection.execute(
        "select min(pickup_zone_id) from fct_zone_days where source_month = '2024-01-01' and pickup_date = '2024-01-10'"
    )
    connection.execute(f"delete from fct_zone_days {one}", [zone])
    connection.execute("update fct_zone_days set pickup_date = %s where source_month = '2024-01-01'", [day])
    connection.execute("update fct_trips set payment_type_id = null where source_month = '2024-01-01'")
    figures = january(connection)
    assert sum(figures.days[MONTH] > 0) == (day[:7] == "2024-01")
    page = Page(page_of(TITLE, figures))
    assert "No accepted trip was paid by credit card with a fare above zero." in page.text


def test_reading_the_figures_needs_no_matplotlib_and_neither_they_nor_the_page_airflow():
    for module, absent in (("figures", {"matplotlib", "airflow"}), ("page", {"airflow"})):
        code = f"import sys, include.report.{module}; print(sorted(sys.modules.keys() & {absent!r}))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
        assert done.stdout.strip() == "[]"


def test_a_real_month_beside_the_month_before(real_files: Path, dsn: str, target: Path):
    with TlcMirror(real_files) as source:
        project = Project(dsn, source, target)
        for month in (BEFORE, MONTH):
            project.run(str(month))
    with psycopg.connect(dsn) as connection:
        figures = figures_of(connection, project.schema, MONTH)
    assert figures
    assert figures.before
    # counted in the files: rows, over 200 miles, pickups outside the month
    for found, (rows, rejected, outside) in ((figures.month, (56551, 46, 2)), (figures.before, (64215, 48, 4))):
        assert (found.rows_in_file, found.rows_rejected, found.pickups_outside_month) == (rows, rejected, outside)
        assert figures.days[found.month].sum() == rows - rejected - outside
    html = page_of(project.dataset.title, figures)
    page = Page(html)
    assert {"56,551", "64,215", "$1,266,922.59", "$1,557,922.15", "East Harlem North (Manhattan)"} <= set(page.cells)
    assert "2023-01 is not published" in page.text
    assert len(html.encode()) < MOST_BYTES
