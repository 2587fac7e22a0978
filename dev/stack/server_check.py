"""Whether the user's own Postgres can hold the tables, checked before anything is started."""

import psycopg

from dev.errors import StackError
from dev.services.warehouse_address import WarehouseAddress

OLDEST = 15
CONNECT_SECONDS = 10


def check_server(address: WarehouseAddress) -> None:
    """Raises StackError, without the password, where the server does not answer, is too old, or may not be written."""
    place = f"{address.host}:{address.port}, database {address.dbname}, user {address.user}"
    try:
        with psycopg.connect(address.uri(), connect_timeout=CONNECT_SECONDS) as connection:
            version = connection.info.server_version // 10_000
            query = "select has_database_privilege(current_database(), 'create')"
            [(may_create,)] = connection.execute(query).fetchall()
    except psycopg.Error as error:
        raise StackError(
            f"Your Postgres ({place}) does not let us in. Nothing was started; correct AZURE_PG (or PG_HOST…), or take "
            f"the stack's own: AZURE_PG=embedded.\n{error}"
        ) from None
    if version < OLDEST:
        raise StackError(f"Your Postgres ({place}) is version {version}; {OLDEST} or newer is needed.")
    if not may_create:
        raise StackError(
            f"Your Postgres ({place}): the user may not create schemas. "
            f"Let a superuser: grant create on database {address.dbname} to {address.user}"
        )
