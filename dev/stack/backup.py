"""Backs up what the pipeline has loaded and published, by pg_dump, and restores it, by pg_restore.

Raises StackError where a program fails; psycopg.Error where the server does not answer.
"""

import os
import re
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Identifier

from dev.errors import StackError
from dev.services.warehouse_address import WarehouseAddress
from dev.system.process import inherited_environment
from include.warehouse.partitions import schema_of_partitions

LOCK_SECONDS = 30
# Which run schemas a published schema has: their rows are made from those that a restore replaces.
RUN_SCHEMA = r"_\d{8}(_[0-9a-f]{8})?"
RELATIONS = """
    select nspname, count(*) from pg_class join pg_namespace on pg_namespace.oid = relnamespace
    where nspname = any(%s) and relkind in ('r', 'p', 'v') group by 1 order by 1
"""
# Views elsewhere, which go with the tables that they read.
READERS = """
    select distinct format('%%I.%%I', nspname, reader.relname)
    from pg_depend
    join pg_rewrite on pg_rewrite.oid = objid and classid = 'pg_rewrite'::regclass
    join pg_class as reader on reader.oid = ev_class
    join pg_namespace on pg_namespace.oid = reader.relnamespace
    join pg_class as read on read.oid = refobjid and refclassid = 'pg_class'::regclass
    where read.relnamespace::regnamespace::text = any(%(going)s) and nspname <> all(%(going)s)
    order by 1
"""
# One table in a transaction: Postgres holds a lock for each object that a transaction drops, of some 6,400 at most
# (max_locks_per_transaction, max_connections), and a month's partition is some 30 objects.
TABLES = """
    select nspname, relname from pg_class join pg_namespace on pg_namespace.oid = relnamespace
    where nspname = any(%s) and relkind = 'r' order by 1, 2
"""
PARENTS = """
    select nspname, relname from pg_class join pg_namespace on pg_namespace.oid = relnamespace
    where nspname = any(%s) and relkind in ('r', 'p') and not relispartition order by 1, 2
"""


def schemas_of(published: Iterable[str]) -> list[str]:
    """What a backup must have: each published schema, with raw tables and logs, and that of its partitions.

    Run schemas need not be in it: a run of the month makes them anew.
    """
    return [schema for name in published for schema in (name, schema_of_partitions(name))]


@dataclass(frozen=True)
class Backup:
    """`program`: the path of a program of Postgres. `address`: a role that owns the schemas, or may make them.

    `published`: the published schemas of all datasets.
    """

    program: Callable[[str], str]
    address: WarehouseAddress
    published: list[str]

    def write(self, file: Path) -> None:
        """Writes the backup, in pg_dump's custom format, mode 0600. It is of one instant, and holds up no load.

        Raises StackError where nothing is loaded yet, or the file is there already.
        """
        if not self._relations(schemas_of(self.published)):
            raise StackError(f"Nothing to back up: {', '.join(self.published)} hold no table yet.")
        if file.exists():
            raise StackError(f"{file} is there already. Name another: make backup FILE=<file>")
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = file.with_name(f"{file.name}.{os.getpid()}")
        schemas = [f"--schema={each}" for each in schemas_of(self.published)]
        try:
            self._run("pg_dump", "--format=custom", *schemas, f"--file={draft}")
            draft.rename(file)
        finally:
            draft.unlink(missing_ok=True)

    def restore(self, file: Path, instead: Path | None = None) -> None:
        """Restores the backup, whoever owned it: all of it becomes this role's, and others get no rights from the file.

        `instead`: what is there already is backed up into this file, and dropped. Raises StackError where something is
        there and `instead` is not given; where the file is damaged, or has schemas of another stack. Then nothing was
        changed.
        """
        of_file = self._schemas_in(file)
        published = [each for each in self.published if each in of_file]
        if not of_file or set(of_file) - set(schemas_of(self.published)):
            raise StackError(
                f"{file} has the schemas {', '.join(of_file) or 'of no pipeline'}, and this stack "
                f"{', '.join(self.published)}: start it with their name, make up AIRFLOW_STUDENT=<name>"
            )
        self._run("pg_restore", "--file=/dev/null", str(file), login=False)  # reads all of it
        going = [*schemas_of(published), *self._run_schemas(published)]
        if there := self._relations(going):
            told = ", ".join(f"{schema} (tables and views: {number})" for schema, number in there.items())
            if readers := self._readers(going):
                told += f"; and, as they read these, the views {', '.join(readers)}"
            if instead is None:
                raise StackError(
                    f"This would replace what is there: {told}. Nothing was changed. To back it up and replace it: "
                    f"make restore-backup FILE={file} REPLACE=yes"
                )
            self.write(instead)
        self._drop(going)
        into = ["--exit-on-error", "--no-owner", "--no-privileges"]
        self._run("pg_restore", *into, str(file))
        with self._connect() as connection:  # a backup has no statistics
            for schema, table in connection.execute(PARENTS, [schemas_of(published)]).fetchall():
                connection.execute(SQL("analyze {}").format(Identifier(schema, table)))

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(self.address.uri(), autocommit=True, connect_timeout=10)

    def _relations(self, schemas: list[str]) -> dict[str, int]:
        """The numbers of tables and views, without those of the schemas that have none."""
        with self._connect() as connection:
            return dict(connection.execute(RELATIONS, [schemas]).fetchall())

    def _readers(self, going: list[str]) -> list[str]:
        with self._connect() as connection:
            return [name for (name,) in connection.execute(READERS, {"going": going})]

    def _run_schemas(self, published: list[str]) -> list[str]:
        pattern = f"({'|'.join(map(re.escape, published))}){RUN_SCHEMA}"
        with self._connect() as connection:
            schemas = connection.execute("select nspname from pg_namespace order by 1").fetchall()
        return [name for (name,) in schemas if re.fullmatch(pattern, name)]

    def _drop(self, schemas: list[str]) -> None:
        with self._connect() as connection:
            connection.execute(f"set lock_timeout = '{LOCK_SECONDS}s'; set client_min_messages = warning")
            try:
                # a lock for each table: fewer than dropping them takes
                with connection.transaction(force_rollback=True):
                    for schema, table in connection.execute(PARENTS, [schemas]).fetchall():
                        connection.execute(SQL("lock table {}").format(Identifier(schema, table)))
            except psycopg.errors.LockNotAvailable:
                raise StackError(
                    "Somebody uses the tables: a month runs, or a reader has a transaction open. Nothing was changed. "
                    "Wait for their end, then run this again."
                ) from None
            for schema, table in connection.execute(TABLES, [schemas]).fetchall():
                connection.execute(SQL("drop table if exists {} cascade").format(Identifier(schema, table)))
            for schema in schemas:
                connection.execute(SQL("drop schema if exists {} cascade").format(Identifier(schema)))

    def _schemas_in(self, file: Path) -> list[str]:
        if not file.is_file():
            raise StackError(f"{file} is not there. Backups: make backup says where it has written one.")
        listed = self._run("pg_restore", "--list", str(file), login=False)
        return re.findall(r"^\d+; \d+ \d+ SCHEMA - (\S+) ", listed, flags=re.MULTILINE)

    def _run(self, program: str, *words: str, login: bool = True) -> str:
        """Runs the program to its end; what it prints. The password is in its environment alone, its files are 0600."""
        where, password = self.address.login()
        done = subprocess.run(
            [self.program(program), *([f"--dbname={where}"] if login else []), *words],
            env=inherited_environment() | password,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            umask=0o077,
            check=False,
        )
        if done.returncode:
            raise StackError(f"{program} failed:\n{done.stderr.decode(errors='replace')[-2000:].strip()}")
        return done.stdout.decode(errors="replace")
