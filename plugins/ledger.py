"""The ledger of months in Airflow's UI, in the navigation and beside each pipeline's grid; what is told of failures."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from include.failures import listener as failure
from include.failures import reason


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Imports the ledger when it is first asked for: every Airflow process loads plugins, one of them serves pages."""
    from include.ledger.app import app as ledger

    await ledger(scope, receive, send)


class Ledger(AirflowPlugin):
    """The page `/ledger/`, what keeps the reasons it shows, and what tells of a failure."""

    name = "ledger"
    fastapi_apps = [{"app": app, "url_prefix": "/ledger", "name": "Ledger of months"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        {"name": "Months", "href": "/ledger/", "destination": "nav", "url_route": "months"},
        {"name": "Months", "href": "/ledger/?dag_id={DAG_ID}", "destination": "dag", "url_route": "months-of-dag"},
        {"name": "dbt docs", "href": "/ledger/docs", "destination": "nav", "url_route": "dbt-docs"},
    ]
    listeners = [reason, failure]  # noqa: RUF012
