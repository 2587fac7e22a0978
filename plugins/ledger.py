"""The ledger of months in Airflow's UI: in the navigation, and beside each pipeline's grid."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Imports the ledger at the first request: every Airflow process loads plugins, and one of them serves pages."""
    from include.ledger.app import app as ledger

    await ledger(scope, receive, send)


class Ledger(AirflowPlugin):
    """The pages below `/ledger/`."""

    name = "ledger"
    fastapi_apps = [{"app": app, "url_prefix": "/ledger", "name": "Ledger of months"}]  # noqa: RUF012
    # Without a first slash: a browser takes them from the UI's own address, which may be below a path of its host.
    external_views = [  # noqa: RUF012
        {"name": "Months", "href": "ledger/", "destination": "nav", "url_route": "months"},
        {"name": "Months", "href": "ledger/?dag_id={DAG_ID}", "destination": "dag", "url_route": "months-of-dag"},
        {"name": "dbt docs", "href": "ledger/docs", "destination": "nav", "url_route": "dbt-docs"},
    ]
