"""Airflow's REST API, as much of it as the stack uses."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

import requests

PAGE = 100  # [api] maximum_page_limit


class AirflowApi:
    """Calls below `<url>/api/v2`, or another path, logged in as one user. Methods raise requests.RequestException."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = url
        self._login = {"username": user, "password": password}
        self._session = requests.Session()
        self._session.trust_env = False  # not by the user's proxy: the API is on loopback

    def call(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, Any] | None = None,
        json: dict[str, Any] | None = None,
        below: str = "/api/v2",
        timeout: float = 30,
    ) -> Any:
        """The answer's JSON. An HTTP error raises requests.HTTPError, `timeout` seconds of silence requests.Timeout."""
        path = f"{below}{path}"
        response = self._request(method, path, params, json, timeout)
        if response.status_code == requests.codes.unauthorized:  # no token yet, or one that has run out
            token = self._session.post(f"{self.url}/auth/token", json=self._login, timeout=10)
            token.raise_for_status()
            self._session.headers["Authorization"] = f"Bearer {token.json()['access_token']}"
            response = self._request(method, path, params, json, timeout)
        response.raise_for_status()
        return response.json() if response.content else {}

    def pages(self, path: str, field: str, **params: Any) -> Iterator[dict[str, Any]]:
        """Every entry of a list, over all its pages."""
        offset, total = 0, 1
        while offset < total:
            page = self.call("GET", path, params=params | {"limit": PAGE, "offset": offset})
            yield from page[field]
            offset, total = offset + PAGE, page["total_entries"]

    def health(self) -> dict[str, dict[str, Any]]:
        """Status and latest heartbeat by component; needs no login."""
        found: dict[str, dict[str, Any]] = self.call("GET", "/monitor/health")
        return found

    def task_link(self, dag: str, run: str, task: str) -> str:
        """The UI's page of a task instance."""
        return f"{self.url}/dags/{dag}/runs/{quote(run, safe='')}/tasks/{task}"

    def _request(
        self, method: str, path: str, params: dict[str, Any] | None, json: dict[str, Any] | None, timeout: float
    ) -> requests.Response:
        return self._session.request(method, f"{self.url}{path}", params=params, json=json, timeout=timeout)


def instant(text: str) -> float:
    """The API's time in seconds since the epoch."""
    return datetime.fromisoformat(text).timestamp()


@dataclass(frozen=True)
class DagPaths:
    """A DAG's paths in the API."""

    dag_id: str

    @property
    def dag(self) -> str:
        return f"/dags/{self.dag_id}"

    @property
    def runs(self) -> str:
        return f"{self.dag}/dagRuns"

    @property
    def tasks(self) -> str:
        """The task instances of all its runs."""
        return f"{self.runs}/~/taskInstances"

    def run(self, run_id: str) -> str:
        return f"{self.runs}/{quote(run_id, safe='')}"

    def task(self, run_id: str, task_id: str) -> str:
        """The task's instance in the run."""
        return f"{self.run(run_id)}/taskInstances/{task_id}"
