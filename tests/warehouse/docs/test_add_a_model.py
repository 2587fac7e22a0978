"""The tutorial's new model, made as it is written: the table is in the grid, gated, published, documented."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest
from psycopg.conninfo import conninfo_to_dict

from dev.services.postgres import EmbeddedPostgres
from dev.tlc.mirror import TlcMirror
from dev.tlc.sample_months import file_of
from include.datasets import GREEN
from include.lineage.graph import read, unresolved, upstream
from include.settings import ROOT
from tests.support.dbt.project import ROWS as ROWS_OF_A_FILE
from tests.support.dbt.project import Done, Project
from tests.support.dbt.project_copy import ProjectCopy, project_copy
from tests.support.documents import commands, write_files
from tests.support.helpers import FEBRUARY, rewrite
from tests.support.postgres.warehouse_content import query
from tests.support.postgres.warehouses import warehouse

pytestmark = pytest.mark.long

WALK = (ROOT / "docs" / "tutorial" / "add-a-model.md").read_text()
ROWS = "select payment_type, trips, charged, tips from airflow_default.fct_payment_types order by payment_type"
NAMES = ["flex fare", "card", "cash", "no charge", "dispute", "unknown", "voided"]
OF_TRIPS = """
    select (%s::text[])[coalesce(payment_type_id, 5) + 1], count(*), sum(total_amount), sum(tip_amount)
    from airflow_default.fct_trips where source_month = '2024-01-01' group by 1 order by 1
"""
TABLE = "'airflow_default.fct_payment_types'::regclass"
NOT_NAMED = 9


@dataclass(frozen=True)
class Walked:
    """A copy of the project with the tutorial's files in it, and the warehouse on which its commands have run."""

    copy: ProjectCopy
    dsn: str
    files: list[str]
    done: list[Done]

    def sh(self, command: str) -> Done:
        """A command as the tutorial shows it, in the project's folder."""
        inherited = {name: each for name, each in os.environ.items() if not name.startswith(("PG", "DBT_", "AIRFLOW"))}
        address = {f"PG_{name.upper()}": str(value) for name, value in conninfo_to_dict(self.dsn).items()}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        own = {"PATH": path, "PYTHONPATH": str(self.copy.folder), "PG_SCHEMA": "airflow_default"}
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=self.copy.folder,
            env=inherited | address | own,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return Done(done.returncode, done.stdout)


@pytest.fixture(scope="module")
def walked(postgres: EmbeddedPostgres, january: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walked]:
    """On a warehouse in which January 2024 was published before there was the new model."""
    folder = tmp_path_factory.mktemp("walk") / "project"
    with project_copy(folder) as copy, warehouse(postgres, "warehouse_of_the_walk", copy_of=january) as dsn:
        walked = Walked(copy, dsn, write_files(WALK, copy.folder), [])
        for command in commands(WALK):
            if not command.startswith(("make ", "export ")):  # test_walks.py and the tests of the stack have those
                walked.done.append(walked.sh(command))
        yield walked


def test_it_takes_two_models_of_one_sql_and_one_yml_each_and_every_command_succeeds(walked: Walked):
    assert [file.removeprefix("dbt/models/") for file in walked.files] == [
        "intermediate/tlc/int_payment_types.sql",
        "intermediate/tlc/int_payment_types.yml",
        "marts/tlc/fct_payment_types.sql",
        "marts/tlc/fct_payment_types.yml",
        "docs/reference/published-tables.md",
    ]
    assert len(walked.done) == 3
    for done in walked.done:
        assert done.returncode == 0, done.output


def test_the_table_is_published_with_its_contract_after_unit_test_and_audits(walked: Walked):
    published = query(walked.dsn, ROWS)
    assert published == query(walked.dsn, OF_TRIPS, NAMES)
    assert len(published) >= 4
    partitions = f"select inhrelid::regclass::text from pg_inherits where inhparent = {TABLE}"
    assert query(walked.dsn, partitions) == [("airflow_default_partitions.fct_payment_types_202401",)]
    said = walked.done[1].output
    for name in (
        "trips_are_counted_by_the_way_they_were_paid",
        "int_payment_types_only_requested_month",
        "payment_types_fit_the_contract_of_fct_payment_types",
        "fct_payment_types_published_as_audited",
    ):
        assert [line for line in said.splitlines() if f" PASS {name} " in line or f"::{name} " in line], name
    key = f"select conname from pg_constraint where conrelid = {TABLE} and contype = 'p'"
    assert query(walked.dsn, key) == [("fct_payment_types_pkey",)]


GRID = """
import json
from airflow.dag_processing.dagbag import DagBag
bag = DagBag("dags", load_op_links=False)
tasks = {
    dag.dag_id: {
        task.task_id: [
            task.doc_md, sorted(task.get_flat_relative_ids(upstream=True)), [asset.name for asset in task.outlets]
        ]
        for task in dag.tasks
    }
    for dag in bag.dags.values()
}
print("FOUND", json.dumps([bag.import_errors, tasks]))
"""


def test_it_is_in_the_grid_after_every_audit_of_the_build_and_says_what_it_is(walked: Walked):
    (walked.copy.folder / "grid.py").write_text(GRID)
    errors, dags = json.loads(walked.copy.run("grid").rpartition("FOUND")[2])
    assert errors == {}
    for dag_id, schema in (("taxi_pipeline", "airflow_default"), ("taxi_pipeline_yellow", "airflow_default_yellow")):
        tasks = dags[dag_id]
        assert {"build.int_payment_types.run", "build.int_payment_types.test", "publish.fct_payment_types.test"} <= set(
            tasks
        )
        doc, before, outlets = tasks["publish.fct_payment_types.run"]
        assert {each for each in tasks if each.startswith("build.")} <= set(before)
        assert outlets == [f"{schema}.fct_payment_types"]
        _, before_the_month, _ = tasks["publish.fct_months.run"]
        assert {each for each in tasks if each.startswith("publish.fct_payment_types.")} <= set(before_the_month)
        assert doc.startswith("One row per source month and way of paying.")
        assert "| `charged` | numeric(14, 2) | Sum of what was charged, US dollars; reversals are in it. |" in doc
        assert "`fct_payment_types_published_as_audited`" in doc
    assert (
        "payment_types_fit_the_contract_of_fct_payment_types"
        in dags["taxi_pipeline"]["build.int_payment_types.test"][0]
    )


def test_dbt_s_docs_show_it(walked: Walked):
    page = (walked.copy.folder / "dbt/site/index.html").read_text()
    assert "model.taxi.fct_payment_types" in page
    assert "One row per source month and way of paying." in page


def test_each_of_its_columns_leads_to_the_file(walked: Walked):
    for tables in read(walked.copy.folder / "dbt/site/lineage.json").values():
        assert list(unresolved(tables)) == []
        charged = [place.table for place in upstream(tables, "fct_payment_types", "charged")]
        assert charged[1:4] == ["int_payment_types", "int_trips_judged", "stg_tlc__trips"]


def test_a_failing_audit_keeps_its_month_out(walked: Walked, tlc: TlcMirror, target: Path):
    project = Project(walked.dsn, tlc, target)
    project.publish_file("2024-02")
    file = file_of(tlc.folder, GREEN, FEBRUARY)
    codes = pa.array([NOT_NAMED] + [1] * (ROWS_OF_A_FILE - 1), pa.int32())
    rewrite(file, payment_type=codes)
    project.load_file("2024-02")
    own = {"DBT_PROJECT_DIR": str(walked.copy.folder / "dbt"), "DBT_TARGET_PATH": str(walked.copy.folder / "target")}
    done = project.build("2024-02", "--select", "+fct_payment_types", **own)
    assert done.returncode == 1
    assert "FAIL 1 payment_types_fit_the_contract_of_fct_payment_types" in done.output
    # nor by a mart that is run alone
    done = project.dbt("run", "--select", "fct_payment_types", month="2024-02", **own)
    assert done.returncode == 1
    assert "fct_payment_types stays as it was: not every audit of the rows to be published has passed" in done.output
    months = "select distinct source_month::text from airflow_default.fct_payment_types"
    assert query(walked.dsn, months) == [("2024-01-01",)]
