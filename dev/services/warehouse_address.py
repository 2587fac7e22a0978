"""The address of a warehouse, in each form that its readers need."""

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dev.errors import StackError
from include.settings import SettingError
from include.warehouse.libpq import LIBPQ_SETTINGS, dbt_environment, refuse_unknown, settings_of

OWN = {"host", "port", "user", "password", "dbname"}


@dataclass(frozen=True)
class WarehouseAddress:
    """A Postgres database and a role with its password; `settings` of the connection, by libpq's names."""

    host: str
    port: int
    user: str
    password: str
    dbname: str
    settings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        refuse_unknown(self.settings, "The warehouse's address")

    @classmethod
    def from_dsn(cls, dsn: str) -> "WarehouseAddress":
        """From a URI or a `key=value` DSN of libpq's. Raises StackError where host, user or database is missing."""
        try:
            parts = conninfo_to_dict(dsn)
            return cls(
                host=str(parts["host"]),
                port=int(str(parts.get("port", 5432))),
                user=str(parts["user"]),
                password=str(parts.get("password", "")),
                dbname=str(parts["dbname"]),
                settings={name: str(value) for name, value in parts.items() if name not in OWN},
            )
        except SettingError:
            raise
        except (ProgrammingError, ValueError):
            raise StackError("The warehouse DSN is not one that Postgres understands.") from None
        except KeyError as missing:
            raise StackError(f"The warehouse DSN does not name its {missing.args[0]}.") from None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "WarehouseAddress | None":
        """The user's own server, from `AIRFLOW_CONN_AZURE_PG`, else `AZURE_PG`, else `PG_HOST`...`PG_DBNAME`."""
        if connection := environment.get("AIRFLOW_CONN_AZURE_PG"):
            return cls._from_airflow_connection(connection)
        if dsn := environment.get("AZURE_PG"):
            return cls.from_dsn(dsn)
        if "PG_HOST" not in environment:
            return None
        names = OWN | LIBPQ_SETTINGS
        given = {name: environment[variable] for name in names if (variable := f"PG_{name.upper()}") in environment}
        if missing := [f"PG_{name.upper()}" for name in ("user", "password", "dbname") if name not in given]:
            raise StackError(f"PG_HOST is set, but not {', '.join(missing)}.")
        port = given.get("port", "5432")
        if not port.isdecimal():
            raise StackError(f"PG_PORT={port}: a number is needed.")
        settings = {name: given.pop(name) for name in LIBPQ_SETTINGS & set(given)}
        return cls(
            host=given["host"],
            port=int(port),
            user=given["user"],
            password=given["password"],
            dbname=given["dbname"],
            settings=settings,
        )

    @classmethod
    def _from_airflow_connection(cls, connection: str) -> "WarehouseAddress":
        if not connection.startswith("{"):
            scheme, _, rest = connection.partition("://")
            if scheme not in ("postgres", "postgresql"):
                raise StackError("AIRFLOW_CONN_AZURE_PG is not a Postgres connection.")
            return cls.from_dsn(f"postgresql://{rest}")
        try:
            fields = json.loads(connection)
            extra = fields.get("extra") or {}
            extra = json.loads(extra) if isinstance(extra, str) else extra
            return cls(
                host=fields["host"],
                port=int(fields.get("port") or 5432),
                user=fields["login"],
                password=fields["password"],
                dbname=fields["schema"],
                settings=settings_of(extra, "AIRFLOW_CONN_AZURE_PG"),
            )
        except SettingError:
            raise
        except KeyError as missing:
            raise StackError(f"AIRFLOW_CONN_AZURE_PG does not name its {missing.args[0]}.") from None
        except (ValueError, TypeError, AttributeError):  # without its text: it may hold the password
            raise StackError("AIRFLOW_CONN_AZURE_PG is neither a URI nor the JSON of a connection.") from None

    def uri(self) -> str:
        """For psql, psycopg and ADBC; holds the password."""
        login = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"
        options = f"?{urlencode(self.settings, quote_via=quote)}" if self.settings else ""
        return f"postgresql://{login}@{self.host}:{self.port}/{quote(self.dbname, safe='')}{options}"

    def login(self) -> tuple[str, dict[str, str]]:
        """For programs: a libpq connection string without the password, and the variable that holds the password."""
        fields = conninfo_to_dict(self.uri())
        password = str(fields.pop("password", ""))
        return make_conninfo("", **fields), {"PGPASSWORD": password}

    def airflow_connection(self) -> str:
        """The value of `AIRFLOW_CONN_<ID>`, as JSON; holds the password."""
        fields = {
            "conn_type": "postgres",
            "host": self.host,
            "port": self.port,
            "login": self.user,
            "password": self.password,
            "schema": self.dbname,
        }
        return json.dumps(fields | ({"extra": self.settings} if self.settings else {}))

    def dbt_environment(self) -> AbstractContextManager[dict[str, str]]:
        """The variables that dbt reads, all but the schema; they hold the password."""
        own = {"host": self.host, "port": self.port, "user": self.user, "password": self.password}
        return dbt_environment(own | {"dbname": self.dbname} | self.settings)
