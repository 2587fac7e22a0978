"""Random histories of months, told to the loader and dbt."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import psycopg
import pyarrow.parquet as pq
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from psycopg.conninfo import conninfo_to_dict

from dev.services.postgres import EmbeddedPostgres
from dev.tlc.mirror import TlcMirror
from dev.tlc.sample_months import file_of
from include.datasets import Dataset
from tests.support.dbt.project import Project
from tests.support.postgres.cutting_proxy import CuttingProxy
from tests.support.postgres.warehouse_content import content
from tests.support.postgres.warehouses import warehouse

MONTHS = ("2023-01", "2023-12", "2024-01")
months = st.sampled_from(MONTHS)
versions = st.integers(1, 3)
# a load sends about 35 messages, a build about 350
cuts = st.integers(5, 40) | st.integers(40, 400)
NO_TRIPS = 0  # the version of a file of which every row is rejected


class Histories(RuleBasedStateMachine):
    """Any order of new files from TLC, loads and builds: alone, at once, overtaken or cut off."""

    postgres: EmbeddedPostgres
    proxy: CuttingProxy
    scratch: Path
    dataset: Dataset

    def __init__(self) -> None:
        super().__init__()
        self.context = ExitStack()
        dsn = self.context.enter_context(warehouse(self.postgres, "warehouse_of_a_test"))
        folder = self.scratch / "tlc"
        folder.mkdir(exist_ok=True)
        for file in folder.iterdir():
            file.unlink()
        tlc = self.context.enter_context(TlcMirror(folder))
        port = conninfo_to_dict(dsn)["port"]
        self.direct = Project(dsn, tlc, self.scratch / "target", self.dataset)
        self.project = replace(self.direct, dsn=dsn.replace(f":{port}/", f":{self.proxy.port}/"))
        self.there: dict[str, int] = {}  # the version TLC has up
        self.unfinished: set[str] = set()  # months not published yet from the file TLC has up

    # ---------- what TLC does

    @rule(month=months, version=versions)
    def tlc_publishes(self, month: str, version: int) -> None:
        # another version has other rows, and more or fewer of them
        self.project.publish_file(month, version, rows=600 + 50 * version)
        self._changed(month, version)

    @precondition(lambda self: self.there)
    @rule(data=st.data())
    def tlc_publishes_a_month_without_a_plausible_trip(self, data: st.DataObject) -> None:
        month = data.draw(st.sampled_from(sorted(self.there)))
        file = file_of(self.project.tlc.folder, self.dataset, month)
        trips = pq.read_table(file)
        column = trips.column_names.index("trip_distance")
        pq.write_table(trips.set_column(column, "trip_distance", [[100_000.0] * trips.num_rows]), file)
        self._changed(month, NO_TRIPS)

    def _changed(self, month: str, version: int) -> None:
        self.there[month] = version
        self.unfinished.add(month)

    # ---------- what the pipeline does

    @precondition(lambda self: self.there)
    @rule(data=st.data())
    def a_month_is_run(self, data: st.DataObject) -> None:
        self._run(data.draw(st.sampled_from(sorted(self.there))))

    @precondition(lambda self: self.there)
    @rule(data=st.data())
    def months_are_run_at_once_and_one_of_them_twice(self, data: st.DataObject) -> None:
        runs = [*sorted(self.there), data.draw(st.sampled_from(sorted(self.there)))]
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._run, runs, [""] * (len(runs) - 1) + ["_0123abcd"]))

    @precondition(lambda self: self.there)
    @rule(data=st.data(), version=versions)
    def a_run_is_overtaken_by_that_of_a_newer_file(self, data: st.DataObject, version: int) -> None:
        month = data.draw(st.sampled_from(sorted(self.there)))
        self.project.load_file(month)
        done = self.project.build(month, "--select", "staging", "intermediate", "source:*")
        assert done.returncode == (1 if self.there[month] == NO_TRIPS else 0), done.output
        self.tlc_publishes(month, version)
        self._run(month, "_0123abcd")
        # the month is as it should be; the rest of the overtaken run must not change it
        done = self.project.dbt("run", "--select", "marts", month=month)
        assert done.returncode == 0, done.output

    @precondition(lambda self: self.there)
    @rule(data=st.data(), messages=cuts)
    def a_run_is_cut_off(self, data: st.DataObject, messages: int) -> None:
        month = data.draw(st.sampled_from(sorted(self.there)))
        self.unfinished.add(month)
        with self.proxy.cutting_after(messages):
            try:
                self.project.load_file(month)
            except psycopg.Error:
                return
            self.project.build(month)

    def _run(self, month: str, suffix: str = "") -> None:
        self.project.load_file(month)
        schema = f"{self.project.schema}_{month.replace('-', '')}01{suffix}"
        target = str(self.scratch / "target" / f"{month}{suffix}")
        self._publish(self.project, month, PG_RUN_SCHEMA=schema, DBT_TARGET_PATH=target)
        self.unfinished.discard(month)

    def _publish(self, project: Project, month: str, **environment: str) -> None:
        # a file without a plausible trip fails the audit of rejected rows; here it is published all the same
        if self.there[month] == NO_TRIPS:
            done = project.build_in_spite_of("reject_share_is_plausible", month, **environment)
        else:
            done = project.build(month, **environment)
        assert done.returncode == 0, done.output

    # ---------- and in the end

    def teardown(self) -> None:
        with self.context:
            for month in sorted(self.unfinished):
                self._run(month)
            clean = replace(self.direct, schema=self.dataset.published_schema("clean"))
            for month in sorted(self.there):
                clean.load_file(month)
                self._publish(clean, month)
            published, expected = (content(each.dsn, schema=each.schema) for each in (self.direct, clean))
            assert published == expected


def run_histories(
    postgres: EmbeddedPostgres,
    proxy: CuttingProxy,
    scratch: Path,
    dataset: Dataset,
    examples: int,
    steps: int,
    derandomize: bool,
) -> None:
    """`derandomize`: the same histories each time."""
    told = {"postgres": postgres, "proxy": proxy, "scratch": scratch, "dataset": dataset}
    machine = type("Histories", (Histories,), told)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=derandomize,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )
