"""A command of the local stack connects by the stack's own address, whatever the terminal says of another server."""

from __future__ import annotations

import sys

import psycopg
import pytest
from psycopg import pq

import dev.__main__ as commands

# Not names of psycopg's libpq alone: Postgres' own programs, and other libraries', read further ones.
OTHERS = ("PGSERVICEFILE", "PGSYSCONFDIR", "PGLOCALEDIR", "PGTZ", "PGDATESTYLE", "PGGEQO", "PGDATA", "PGCTLTIMEOUT")
OF_LIBPQ = sorted({each.envvar.decode() for each in pq.Conninfo.get_defaults() if each.envvar} | set(OTHERS))
REFUSED = {  # each of them makes the stack's own server unreachable
    "PGSSLMODE": "require",
    "PGHOSTADDR": "192.0.2.1",
    "PGSERVICE": "no_such_service",
    "PGOPTIONS": "-c no_such_setting=1",
    "PGREQUIREAUTH": "none",
    "PGTARGETSESSIONATTRS": "read-only",
    "PGMINPROTOCOLVERSION": "nonsense",
}


def test_the_users_variables_of_postgres_do_not_reach_it(dsn: str, monkeypatch: pytest.MonkeyPatch):
    for name in OF_LIBPQ:
        monkeypatch.setenv(name, "1")
    for name, value in REFUSED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PG_HOST", "db.example")
    with pytest.raises(psycopg.Error):
        psycopg.connect(dsn)

    def connects(stack: object) -> int:
        psycopg.connect(dsn).close()
        assert commands.os.environ["PG_HOST"] == "db.example", "of dbt's profile"
        return 0

    monkeypatch.setitem(commands.COMMANDS, "dsn", connects)
    monkeypatch.setattr(sys, "argv", ["dev", "dsn"])
    assert commands.main() == 0
    assert not {*OF_LIBPQ, *REFUSED} & set(commands.os.environ)
