"""A published month says which version of the project's SQL made it, if one version made all of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from include.transform.code_version import dbt_variables
from tests.support.dbt.project import Project
from tests.support.postgres.warehouse_content import content, query

ONE = {"CODE_VERSION": "0123456789ab", "GIT_REVISION": "c0ffee123456-dirty"}
OTHER = {"CODE_VERSION": "ba9876543210", "GIT_REVISION": ""}
MADE_BY = "select code_version, git_revision from airflow_default.fct_months order by source_month"


def test_a_month_says_which_version_made_it_and_a_month_of_two_versions_none(built: Project):
    rows = content(built.dsn)
    published_at = query(built.dsn, "select published_at from airflow_default.fct_months")
    [(made_by, _)] = query(built.dsn, MADE_BY)
    assert made_by == dbt_variables("tlc")["CODE_VERSION"]
    built.publish("2024-01", **ONE)
    assert query(built.dsn, MADE_BY) == [(ONE["CODE_VERSION"], ONE["GIT_REVISION"])]
    # one model cleared alone after a deployment, then the last one
    for words in (["--select", "int_zone_days"], ["--select", "fct_months"]):
        done = built.build("2024-01", *words, **OTHER)
        assert done.returncode == 0, done.output
    assert query(built.dsn, MADE_BY) == [(None, None)]
    built.publish("2024-01", **OTHER)
    assert query(built.dsn, MADE_BY) == [(OTHER["CODE_VERSION"], None)]
    assert query(built.dsn, "select published_at from airflow_default.fct_months") == published_at
    done = built.dbt("build", "--exclude-resource-type", "unit_test", month="2024-01", plain=True)
    assert done.returncode == 0, done.output
    assert query(built.dsn, MADE_BY) == [(None, None)], "plain dbt does not know"
    assert content(built.dsn) == rows


def test_a_verdict_on_equal_rows_holds_whichever_version_made_them(built: Project):
    built.publish("2024-01", **ONE)
    done = built.dbt("run", "--select", "int_zone_days fct_zone_days", month="2024-01", **OTHER)
    assert done.returncode == 0, done.output


def test_a_variable_that_is_no_version_is_none(built: Project):
    built.publish("2024-01", CODE_VERSION="' or true --", GIT_REVISION="'; drop")
    assert query(built.dsn, MADE_BY) == [(None, None)]


def test_tables_of_an_earlier_revision_get_the_columns_whichever_months_come_first(built: Project):
    """Two months add them at once; the month that is not published again has none."""
    months = ["2023-12", "2024-02", "2024-03"]
    query(built.dsn, "drop view airflow_default.all_months")
    for column in ("code_version", "git_revision"):
        query(built.dsn, f"alter table airflow_default.fct_months drop column {column}")
    for month in months:
        built.load(month)
    with ThreadPoolExecutor() as pool:
        for done in pool.map(lambda month: built.build(month, **ONE), months):
            assert done.returncode == 0, done.output
    made_by = (ONE["CODE_VERSION"], ONE["GIT_REVISION"])
    assert query(built.dsn, MADE_BY) == [made_by, (None, None), made_by, made_by]
