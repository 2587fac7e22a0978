"""What does become of a spoiled month: by the real loader, Postgres, and the models and audits that dbt has run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from dev.tlc.sample_months import file_of
from include.month import Month
from include.profiles.departures import Departure, departures
from include.settings import DBT_MANIFEST
from include.source.reader import FileContentError
from tests.support.dbt.project import Project
from tests.support.postgres.warehouse_content import query
from tests.support.spoilings.expected import Expected

NODES = json.loads(DBT_MANIFEST.read_text())["nodes"]
# all that is judged before a month is published
SELECTED = ("--select", "staging", "intermediate", "source:*")
PLACE = ("file_id", "source_row")  # of a row, in a version of the file
AS_IT_IS = "as_it_is"  # the table of the rows that were judged of the month as it is


@dataclass(frozen=True)
class Outcome:
    """`by`: the loader's error, the red audits, or the figures that are marked. `said`: why, in the audits' words."""

    outcome: str
    by: tuple[str, ...] = ()
    said: tuple[str, ...] = ()

    def is_as(self, expected: Expected) -> bool:
        """Whether it is the expected one. Others may tell the month too."""
        if self.outcome == "refused":
            told = all(words in self.by[0] for words in expected.by)
        else:
            told = set(expected.by) <= set(self.by)
        return self.outcome == expected.outcome and told


def put_up(project: Project, month: str, rows: pa.Table) -> None:
    """What TLC does: put the month's file up."""
    pq.write_table(rows, file_of(project.tlc.folder, project.dataset, month))


def red_by_dbt(project: Project, month: str) -> set[str]:
    """The audits that dbt finds red on the month that is loaded."""
    done = project.build(month, *SELECTED)
    failed = set(re.findall(r"FAIL \d+ (\w+) \.", done.output))
    assert " ERROR " not in done.output, done.output
    assert bool(failed) == bool(done.returncode), done.output
    return failed


def figures_of_month(project: Project, month: str) -> dict[str, float]:
    """The figures of a month that has been judged."""
    schema, first = _run_schema(project, month), Month.parse(month)
    tables = f"{schema}.int_months cross join {schema}.int_month_profile as profile"
    [(accepted, profile)] = query(project.dsn, f"select rows_accepted, to_jsonb(profile) from {tables}")
    figures = {name: value for name, value in profile.items() if isinstance(value, int | float)}
    return {"trips_a_day": accepted / (first.plus(1).first_day - first.first_day).days} | figures


def _run_schema(project: Project, month: str) -> str:
    return f"{project.schema}_{month.replace('-', '')}01"


@dataclass
class Judge:
    """Judges files of one month by the statements that dbt has run on the month as it is.

    They are the same for each file of the month, and dbt takes 2 s of CPU to make them. `project` has a folder `target`
    of its own. `neighbours`: the figures of months before and after this one.
    """

    project: Project
    month: str
    untouched: pa.Table
    neighbours: Sequence[Mapping[str, float]] = ()

    def __post_init__(self) -> None:
        put_up(self.project, self.month, self.untouched)
        self.project.load_file(self.month)
        assert red_by_dbt(self.project, self.month) == set()
        query(self.project.dsn, f"create table {self._schema}.{AS_IT_IS} as table {self._schema}.int_trips_judged")

    def outcome_of(self, rows: pa.Table) -> Outcome:
        try:
            self._load(rows)
        except FileContentError as error:
            return Outcome("refused", (str(error),))
        with psycopg.connect(self.project.dsn) as connection:
            if red := self.red(connection):
                return Outcome("red", tuple(sorted(red)), tuple(red.values()))
            if self._is_as_it_is(connection):
                return Outcome("harmless")
        if marked := self.marked():
            return Outcome("marked", tuple(each.figure for each in marked), tuple(map(str, marked)))
        return Outcome("missed")

    def figures_of(self, rows: pa.Table) -> dict[str, float]:
        """Those of another file for the month, which is as it should be."""
        self._load(rows)
        with psycopg.connect(self.project.dsn) as connection:
            assert self.red(connection) == {}
        return figures_of_month(self.project, self.month)

    def marked(self) -> list[Departure]:
        """The figures by which the month, as it was judged last, departs from its neighbours."""
        month, compared = Month.parse(self.month), self.project.dataset.profile
        assert compared, "the dataset compares no figures"
        half = len(self.neighbours) // 2
        places = [month.plus(place - half + (place >= half)) for place in range(len(self.neighbours))]
        figures = dict(zip(places, self.neighbours, strict=True)) | {month: figures_of_month(self.project, self.month)}
        return departures(figures, compared, [month]).get(month, [])

    def _load(self, rows: pa.Table) -> None:
        put_up(self.project, self.month, rows)
        # the loader deletes the rows before, and every query would read them until a vacuum
        query(self.project.dsn, f"truncate {self.project.schema}.raw_trips")
        self.project.load_file(self.month)

    def red(self, connection: psycopg.Connection) -> dict[str, str]:
        """The audits that are red on the month that is loaded, each with what it says."""
        red, stopped = {}, set()
        for key, before in self._in_order.items():
            name, sql = NODES[key]["name"], self._left[NODES[key]["name"]]
            if before & stopped:
                stopped.add(key)
            elif NODES[key]["resource_type"] == "test":
                [(_, _, is_red)] = connection.execute(sql["run"]).fetchall()
                if is_red:
                    stopped.add(key)
                    red[name] = _why(connection.execute(sql["compiled"]))
            elif NODES[key]["config"]["materialized"] == "table":
                connection.execute(f"drop table {self._schema}.{name}")
                connection.execute(f"create table {self._schema}.{name} as {sql['compiled']}")
        return red

    def _is_as_it_is(self, connection: psycopg.Connection) -> bool:
        """Whether the rows that were judged are those of the month as it is, in any order."""
        judged, as_it_is = f"{self._schema}.int_trips_judged", f"{self._schema}.{AS_IT_IS}"
        described = connection.execute(f"select * from {judged} limit 0").description or ()
        columns = ", ".join(each.name for each in described if each.name not in PLACE)
        [(is_same,)] = connection.execute(
            f"""
            select (select count(*) from {judged}) = (select count(*) from {as_it_is}) and not exists (
                select {columns} from {judged} except all select {columns} from {as_it_is}
            )
            """
        ).fetchall()
        return bool(is_same)

    @cached_property
    def _left(self) -> dict[str, dict[str, str]]:
        """What dbt has left of each model and test: the statement that it has run, `run`, and the query in it."""
        target = self.project.target / f"{self.project.schema}-{self.month}"
        return {
            file.stem: {folder: next((target / folder).rglob(file.name)).read_text() for folder in ("run", "compiled")}
            for file in (target / "run").rglob("*.sql")
        }

    @cached_property
    def _in_order(self) -> dict[str, set[str]]:
        """The models and tests that dbt has run, in an order in which they can be; what has to go well before each.

        As by `dbt build`, no model is made of models whose audits are red.
        """
        before = {key: set(node["depends_on"]["nodes"]) for key, node in NODES.items()}
        above: dict[str, set[str]] = {}
        for key in TopologicalSorter(before).static_order():
            above[key] = before.get(key, set()).union(*(above[each] for each in before.get(key, ())))
        for key in [key for key in before if NODES[key]["resource_type"] == "model"]:
            before[key] = before[key] | {
                test for test in before if NODES[test]["resource_type"] == "test" and above[test] <= above[key]
            }
        order = TopologicalSorter(before).static_order()
        return {key: before[key] for key in order if key in NODES and NODES[key]["name"] in self._left}

    @property
    def _schema(self) -> str:
        return _run_schema(self.project, self.month)


def _why(failing: psycopg.Cursor) -> str:
    names = [column.name for column in failing.description or ()]
    row = failing.fetchone() or ()
    return str(dict(zip(names, row, strict=True)).get("why", ""))
