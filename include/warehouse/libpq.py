"""The settings that a connection to Postgres may have, by libpq's names, and how they reach the loader and dbt.

The names are those of https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS.
Importable without Airflow.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from include.settings import SettingError

# Beside host, port, user, password and dbname. Left out are settings that this project sets itself (application_name,
# client_encoding), other ways to log in (passfile, service), and the passphrase of a key (sslpassword), as it would
# have to be written to dbt's service file.
LIBPQ_SETTINGS = frozenset(
    {
        *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "sslcrldir", "sslsni", "sslnegotiation"),
        *("ssl_min_protocol_version", "ssl_max_protocol_version", "sslcertmode", "channel_binding", "require_auth"),
        *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"),
        *("connect_timeout", "target_session_attrs", "load_balance_hosts", "options", "hostaddr"),
        *("gssencmode", "krbsrvname", "gsslib", "gssdelegation", "requirepeer"),
    }
)
# profiles.yml passes these on, as PG_<NAME>. It does not pass on names of files, such as sslrootcert: where one is not
# given, dbt-postgres would hand libpq an empty name, and libpq would ignore its own variables and the service file.
IN_PROFILE = ("host", "port", "user", "password", "dbname", "sslmode", "connect_timeout")
# Extras that Airflow's Postgres hook reads, and that do not change the connection.
IGNORED_EXTRAS = frozenset({"cursor", "enable_log_db_messages", "sqlalchemy_scheme", "sqlalchemy_query"})


def settings_of(extra: Mapping[str, Any], where: str) -> dict[str, str]:
    """The settings in the extra of an Airflow connection, without empty ones. Raises what `refuse_unknown` raises."""
    given = {name: str(value) for name, value in extra.items() if value not in (None, "")}
    settings = {name: value for name, value in given.items() if name not in IGNORED_EXTRAS}
    refuse_unknown(settings, where)
    return settings


def refuse_unknown(names: Iterable[str], where: str) -> None:
    """Raises SettingError where one of the names is not an allowed setting. `where`: what has it, for the message."""
    if unknown := sorted(set(names) - LIBPQ_SETTINGS):
        raise SettingError(
            f"{where} has {', '.join(unknown)}, which this project does not pass on to Postgres. Take it out; it may "
            f"have {', '.join(sorted(LIBPQ_SETTINGS))}."
        )


@contextmanager
def dbt_environment(fields: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """The environment for a dbt that connects so: variables for profiles.yml, and a libpq service file for the rest.

    The variables hold the password, the file does not. The file is deleted when the context ends. None stands for
    libpq's default. Raises SettingError for a line break in the file.
    """
    given = {name: str(value) for name, value in fields.items() if value is not None}
    environment = {f"PG_{name.upper()}": value for name, value in given.items() if name in IN_PROFILE}
    rest = {name: value for name, value in given.items() if name not in IN_PROFILE}
    if not rest:
        yield environment
        return
    if broken := [name for name, value in rest.items() if "\n" in value]:
        raise SettingError(f"The connection's {', '.join(broken)} has a line break.")
    with tempfile.NamedTemporaryFile("w", prefix="pg_service-") as file:  # 0600
        file.write("\n".join(["[warehouse]", *(f"{name}={value}" for name, value in rest.items()), ""]))
        file.flush()
        yield environment | {"PGSERVICEFILE": file.name, "PGSERVICE": "warehouse"}


def is_english(lc_messages: str) -> bool:
    """Whether a server with this lc_messages reports errors in English. An empty one counts as English."""
    return re.match(r"$|(C|POSIX)\b|en_|English", lc_messages) is not None
