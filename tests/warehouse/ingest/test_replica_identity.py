"""Whatever the pipeline deletes from or updates may be published to a subscriber, also in a warehouse from before."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from dev.services.postgres import EmbeddedPostgres
from dev.tlc.mirror import TlcMirror
from dev.tlc.sample_months import write_month, write_zones
from include.datasets import GREEN
from include.ingest.load import load_month
from include.ingest.rebuild import loaded_files
from include.ingest.versions import kept_versions
from include.warehouse.session import Warehouse
from tests.support.dbt.project import Project
from tests.support.helpers import FEBRUARY, JANUARY, NOWHERE, SCHEMA, chosen, raw_content
from tests.support.postgres.warehouse_content import content, query

# Every table outside the runs' own schemas, in which nothing is deleted or updated.
WITHOUT_IDENTITY = """
    select format('%s.%s', nspname, relname)
    from pg_class join pg_namespace on pg_namespace.oid = relnamespace
    where nspname ~ '^airflow_' and nspname !~ '_[0-9]{8}$' and relkind in ('r', 'p') and relreplident <> 'f'
        and not (
            relreplident = 'd' and exists (select from pg_index where indrelid = pg_class.oid and indisprimary)
        )
"""
# What an earlier revision made.
AS_BEFORE = f"""
    alter table {SCHEMA}.raw_trips replica identity default;
    alter table {SCHEMA}_partitions.raw_trips_202401 replica identity default;
    alter table {SCHEMA}.raw_zones replica identity default;
    alter table {SCHEMA}.load_log drop constraint if exists load_log_pkey;
"""
NUMBERS = f"select table_name, file_id from {SCHEMA}.load_log order by file_id"


@pytest.fixture
def source(tlc: TlcMirror) -> TlcMirror:
    write_zones(tlc.folder)
    write_month(tlc.folder, str(JANUARY), 90)
    write_month(tlc.folder, str(FEBRUARY), 60)
    return tlc


def load(source: TlcMirror, dsn: str, month=JANUARY) -> str:
    return load_month(GREEN, month, source.address, dsn, SCHEMA, "a load")[0]["sha256"]


def publish_all_tables(postgres: EmbeddedPostgres, dsn: str) -> None:
    query(postgres.dsn(conninfo_to_dict(dsn)["dbname"], "postgres"), "create publication everything for all tables")


def test_every_table_of_a_published_and_restated_month_has_an_identity(built: Project):
    built.load("2024-01", version=2)
    assert query(built.dsn, WITHOUT_IDENTITY) == []
    by_key = "select distinct relreplident::text from pg_class where relname like 'fct_%' and relkind in ('r', 'p')"
    assert query(built.dsn, by_key) == [("d",)]


@pytest.mark.long
def test_a_month_is_loaded_restated_put_back_and_published_where_all_tables_are_published(
    built: Project, postgres: EmbeddedPostgres
):
    publish_all_tables(postgres, built.dsn)
    before = content(built.dsn)
    [(first,)] = query(built.dsn, "select sha256 from airflow_default.load_log where source_month is not null")
    for version, rows in ((2, 500), (3, 300)):
        built.load("2024-01", version, rows)
        built.publish("2024-01")
    load_month(GREEN, JANUARY, NOWHERE, built.dsn, built.schema, "a restore", chosen(first))
    built.load("2023-12")
    for month in ("2024-01", "2023-12"):
        built.publish(month)
    assert content(built.dsn, month="2024-01") == before
    assert query(built.dsn, WITHOUT_IDENTITY) == []


@pytest.mark.parametrize(
    "chosen_by_hand", ["default", *(pytest.param(each, marks=pytest.mark.long) for each in ("nothing", "full"))]
)
def test_the_tables_of_an_earlier_revision_can_be_published_from_its_next_load_on(
    source, dsn, postgres, chosen_by_hand
):
    first = load(source, dsn)
    query(dsn, AS_BEFORE)
    for table in ("raw_trips", "load_log"):
        query(dsn, f"alter table {SCHEMA}.{table} replica identity {chosen_by_hand}")
    query(dsn, f"alter table {SCHEMA}_partitions.raw_trips_202401 replica identity {chosen_by_hand}")
    publish_all_tables(postgres, dsn)
    write_month(source.folder, str(JANUARY), 70, version=2)
    load(source, dsn)
    load(source, dsn, FEBRUARY)
    for version in (first, first[:8]):
        load_month(GREEN, JANUARY, NOWHERE, dsn, SCHEMA, "a restore", chosen(version))
    assert query(dsn, WITHOUT_IDENTITY) == []
    key = "select indisprimary from pg_index where indrelid = '{}.{}'::regclass and indisprimary"
    assert query(dsn, key.format(SCHEMA, "load_log")) == [(True,)]


@pytest.mark.parametrize("way", ["restore", "rebuild"])
def test_an_undo_or_a_rebuild_is_enough(source, dsn, postgres, way):
    first = load(source, dsn)
    write_month(source.folder, str(JANUARY), 70, version=2)
    load(source, dsn)
    query(dsn, AS_BEFORE)
    publish_all_tables(postgres, dsn)
    if way == "restore":
        load_month(GREEN, JANUARY, NOWHERE, dsn, SCHEMA, "a restore", chosen(first))
    else:
        loaded_files(GREEN, JANUARY, dsn, SCHEMA)
    assert query(dsn, WITHOUT_IDENTITY) == []


def test_a_table_that_is_being_read_is_left_for_the_next_load_and_told(source, dsn, caplog):
    load(source, dsn)
    query(dsn, AS_BEFORE)
    with psycopg.connect(dsn) as reader:
        reader.execute(f"select 1 from {SCHEMA}.raw_zones limit 1")
        load(source, dsn, FEBRUARY)
    assert query(dsn, WITHOUT_IDENTITY) == [(f"{SCHEMA}.raw_zones",)]
    assert f"{SCHEMA}.raw_zones has no replica identity, and is in use" in caplog.text
    load(source, dsn, FEBRUARY)
    assert query(dsn, WITHOUT_IDENTITY) == []


def test_a_partition_has_its_table_s_identity(source, dsn):
    """Else its deletes would have the key alone, and be sent as if they had all columns."""
    load(source, dsn)
    partition = f"{SCHEMA}_partitions.raw_trips_202401"
    query(
        dsn, f"alter table {partition} add primary key (source_row); alter table {partition} replica identity default"
    )
    load(source, dsn, FEBRUARY)
    identities = (
        "select distinct relreplident::text from pg_class where relname like 'raw_trips%' and relkind in ('r', 'p')"
    )
    assert query(dsn, identities) == [("f",)]


def test_a_table_of_somebody_else_is_left_alone(source, dsn, postgres):
    load(source, dsn)
    admin = postgres.dsn(conninfo_to_dict(dsn)["dbname"], "postgres")
    query(admin, f"create table {SCHEMA}.theirs (n int)")
    load(source, dsn, FEBRUARY)
    assert query(dsn, WITHOUT_IDENTITY) == [(f"{SCHEMA}.theirs",)]


def test_files_that_share_a_number_get_numbers_of_their_own_once(source, dsn, caplog):
    load(source, dsn)
    load(source, dsn, FEBRUARY)
    query(dsn, AS_BEFORE)
    query(dsn, f"update {SCHEMA}.load_log set file_id = 1")
    load(source, dsn, FEBRUARY)
    healed = query(dsn, NUMBERS)
    assert len({number for _, number in healed}) == 3
    assert caplog.text.count("had the number of another one in load_log") == 2
    load(source, dsn, FEBRUARY)
    assert query(dsn, NUMBERS) == healed


# ---------- a sequence that is behind


def test_a_sequence_that_is_behind_catches_up_whatever_the_next_load_is(source, dsn):
    """As in a replica that was promoted, to which no sequence is replicated, or after a restore of rows alone."""
    behind = f"alter sequence {SCHEMA}.load_log_file_id_seq restart"
    shas = []
    for version in range(1, 5):
        write_month(source.folder, str(JANUARY), 50 + version, version)
        shas.append(load(source, dsn))
        query(dsn, behind)
    load(source, dsn, FEBRUARY)
    query(dsn, behind)
    load_month(GREEN, JANUARY, NOWHERE, dsn, SCHEMA, "a restore", chosen(shas[0]))
    numbers = f"select file_id from {SCHEMA}.load_log union all select file_id from {SCHEMA}.kept_versions"
    found = [number for (number,) in query(dsn, numbers)]
    assert len(found) == len(set(found)) == 7
    with Warehouse(dsn, SCHEMA) as session:
        kept = kept_versions(session, "raw_trips", JANUARY.ds)
    assert {each.sha256 for each in kept} == set(shas)
    assert len({each.kept_as for each in kept}) == 4


def test_the_number_of_a_kept_version_is_not_given_again_where_the_month_was_forgotten_by_hand(source, dsn):
    for version in range(1, 4):
        write_month(source.folder, str(JANUARY), 50 + version, version)
        load(source, dsn)
    query(dsn, f"delete from {SCHEMA}.load_log where table_name = 'raw_trips'")
    query(dsn, f"alter sequence {SCHEMA}.load_log_file_id_seq restart")
    load(source, dsn)
    assert query(dsn, f"select file_id from {SCHEMA}.load_log join {SCHEMA}.kept_versions using (file_id)") == []


def test_a_sequence_that_is_ahead_stays(source, dsn):
    load(source, dsn)
    query(dsn, f"alter sequence {SCHEMA}.load_log_file_id_seq restart 1000")
    load(source, dsn, FEBRUARY)
    assert max(number for _, number in query(dsn, NUMBERS)) == 1000


def test_publications_are_numbered_on_too(built: Project):
    query(
        built.dsn, "update airflow_default.publication_log set published_at = '2024-03-01'"
    )  # so January is logged again
    query(built.dsn, "alter sequence airflow_default.publication_log_publication_id_seq restart")
    built.load("2024-01")
    done = built.build("2024-01", "--select", "fct_months")
    assert done.returncode == 0, done.output
    assert query(built.dsn, "select publication_id from airflow_default.publication_log order by 1") == [(1,), (2,)]


def test_what_an_earlier_revision_kept_under_a_number_is_put_back_and_its_name_hinders_nobody(source, dsn):
    first = load(source, dsn)
    before = raw_content(dsn)["raw_trips"]
    write_month(source.folder, str(JANUARY), 70, version=2)
    load(source, dsn)
    [(name,)] = query(dsn, f"select kept_as from {SCHEMA}.kept_versions")
    assert name == f"raw_trips_202401_kept_{first[:12]}"
    query(dsn, f"alter table {SCHEMA}_partitions.{name} rename to raw_trips_202401_kept_1")
    query(dsn, f"update {SCHEMA}.kept_versions set kept_as = 'raw_trips_202401_kept_1'")
    load_month(GREEN, JANUARY, NOWHERE, dsn, SCHEMA, "a restore", chosen(first))
    assert raw_content(dsn)["raw_trips"] == before
