"""Databases of a test server, each for a test of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from dev.services.postgres import EmbeddedPostgres, let_developers_read


@contextmanager
def warehouse(postgres: EmbeddedPostgres, name: str, copy_of: str = "template1") -> Iterator[str]:
    """A database for the time being, empty or a copy of another, as the role `pipeline`: a URI."""
    with psycopg.connect(postgres.dsn("postgres", "postgres"), autocommit=True) as admin:
        admin.execute(f"create database {name} template {copy_of}")
        admin.execute(f"revoke all on database {name} from public")
        admin.execute(f"grant connect, temporary, create on database {name} to pipeline, developer")
        with psycopg.connect(postgres.dsn(name, "postgres")) as connection:
            let_developers_read(connection)
        yield postgres.dsn(name, "pipeline")
        admin.execute(f"drop database {name} with (force)")
