"""The recipe this project grew out of, on the same dbt project: one month at a time, dbt as two Bash commands."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import pandas
import psycopg
import sqlalchemy
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Connection, CronDataIntervalTimetable, Variable, task

from include.datasets import GREEN
from include.ingest.raw_tables import create_raw_tables
from include.month import Month
from include.settings import DBT_PROFILES, DBT_PROJECT
from include.source.address import Address
from include.warehouse.session import Warehouse

LOG = """
    insert into {}.load_log (table_name, source_month, url, sha256, bytes, rows, unknown_columns, loaded_at, dag_run)
    values ('raw_trips', %(month)s, '', md5(random()::text), 0, %(rows)s, '[]', now(), ''),
           ('raw_zones', null, '', '', 0, 0, '[]', now(), '')
    on conflict (table_name, source_month) do update set rows = excluded.rows, sha256 = excluded.sha256
"""
DBT = (
    f"{Path(sys.executable).with_name('dbt')} {{}} --project-dir {DBT_PROJECT} --profiles-dir {DBT_PROFILES.parent} "
    "--target-path $AIRFLOW_HOME/lesson --log-level-file none "
    "--vars '{{ ds: {{{{ ds }}}} }}'"
)
BUILD = "build --exclude-resource-type unit_test"
FIELDS = {"HOST": "host", "PORT": "port", "USER": "login", "PASSWORD": "password", "DBNAME": "schema"}
PG = {f"PG_{name}": f"{{{{ conn.azure_pg.{field} }}}}" for name, field in FIELDS.items()}

with DAG(
    "taxi_pipeline",
    schedule=CronDataIntervalTimetable("@monthly", timezone="UTC"),
    start_date=datetime(2013, 8, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
):

    @task
    def load_month(ds=None) -> None:
        month, schema = Month.containing(datetime.fromisoformat(ds).replace(tzinfo=UTC)), GREEN.published_schema()
        # pandas takes no address with a login, and the benchmark's mirror asks for none
        base_url, connection = Address.parse(Variable.get("tlc_base_url")).shown, Connection.get("azure_pg")
        dsn = connection.get_uri().replace("postgres://", "postgresql://")
        with Warehouse(dsn, schema) as warehouse:
            create_raw_tables(warehouse, GREEN, month)
        engine = sqlalchemy.create_engine(dsn.replace("postgresql://", "postgresql+psycopg2://"))
        trips = pandas.read_parquet(GREEN.monthly.url(base_url, month)).rename(columns=str.lower)
        trips = trips[[name for name in GREEN.monthly.raw_columns.names if name in trips.columns]]
        trips["source_month"], trips["source_row"] = month.first_day, range(1, len(trips) + 1)
        with psycopg.connect(dsn) as warehouse:
            warehouse.execute(f"delete from {schema}.raw_trips where source_month = %s", [month.first_day])
        how = {"schema": schema, "if_exists": "append", "index": False, "method": "multi", "chunksize": 1000}
        trips.to_sql("raw_trips", engine, **how)
        zones = pandas.read_csv(f"{base_url}/misc/taxi_zone_lookup.csv", keep_default_na=False)
        with psycopg.connect(dsn) as warehouse:
            warehouse.execute(f"truncate {schema}.raw_zones")
        zones.rename(columns=str.lower).to_sql("raw_zones", engine, **how)
        with psycopg.connect(dsn) as warehouse:
            warehouse.execute(LOG.format(schema), {"month": month.first_day, "rows": len(trips)})

    environment = PG | {"PG_SCHEMA": GREEN.published_schema()}
    # Not `run` and `test`, as in the lesson: this project's marts refuse rows whose audits have not run.
    build, publish = (
        BashOperator(task_id=name, bash_command=DBT.format(command), env=environment, append_env=True)
        for name, command in {"dbt_build": f"{BUILD} --exclude marts", "dbt_publish": f"{BUILD} --select marts"}.items()
    )
    load_month() >> build >> publish
