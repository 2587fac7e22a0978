"""The names of files and tables in OpenLineage events.

They follow OpenLineage's naming rules, and are the same for every month: so the graph of all months is one graph.
https://openlineage.io/docs/spec/naming
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from include.datasets import SourceFile
from include.source.address import Address


@dataclass(frozen=True)
class Database:
    """The warehouse, without login: its server as libpq's host and port, and the database's name."""

    host: str
    port: str
    name: str

    @classmethod
    def of(cls, fields: Mapping[str, str | int | None]) -> Database:
        """`fields`: of the connection, by libpq's names."""
        host = str(fields.get("host") or "localhost")
        is_socket = host.startswith("/")
        return cls("localhost" if is_socket else host, str(fields["port"]), str(fields.get("dbname") or ""))

    @property
    def namespace(self) -> str:
        return f"postgres://{self.host}:{self.port}"

    def table(self, schema: str, table: str) -> str:
        return f"{self.name}.{schema}.{table}"


def run_schema(published_schema: str) -> str:
    """The one name that stands for the schemas of all runs, as in dbt's docs."""
    return f"{published_schema}_YYYYMMDD"


def file_name(address: Address, file: SourceFile) -> tuple[str, str]:
    """Namespace and name of a file. `YYYY-MM` stands for the month. The address' login and query are in neither."""
    parts = urlsplit(address.shown)
    folder = parts.path.strip("/")
    name = file.path.format(month="YYYY-MM")
    return f"{parts.scheme}://{parts.netloc}", f"{folder}/{name}" if folder else name
