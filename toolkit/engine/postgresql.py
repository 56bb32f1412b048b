"""PostgreSQL through ADBC: Arrow in, Arrow out. The only module that imports the driver.

Each result has a connection of its own while it is read, because a second cursor breaks the first without a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from toolkit.engine.dialect import POSTGRESQL
from toolkit.engine.session import LOST, Engine, RemoteSession
from toolkit.errors import InputError
from toolkit.lazy import Library

if TYPE_CHECKING:
    import adbc_driver_manager as manager
    from adbc_driver_postgresql import dbapi
else:
    manager, dbapi = Library("adbc_driver_manager"), Library("adbc_driver_postgresql.dbapi")

_SAID = ("08", "28", "3F", "42", "53", "57")
"""Classes of SQLSTATE whose messages name what the statement names, and no value of a row."""
_FAULTS = {
    "connection to server": "the connection{}",
    "host name": "no host has the name in its address. In a password, write @ as %40, : as %3A and / as %2F.",
    '"port"': "the port in its address is no number. In a password, write @ as %40, : as %3A and / as %2F.",
    "": "write its address as postgresql://user@host/database.",
}
"""What is wrong, by a part of what the driver says."""
_LOST = re.compile("closed the connection|connection has been closed|no connection to the server|data (from|to) server")


def postgres(uri: str, *, scratch: str) -> Engine:
    """Name a PostgreSQL database whose tables the stations take: ``table(engine, "sales.customers")``.

    Parameters
    ----------
    uri
        Such as ``postgresql://user@host/database``; the password is best in ``~/.pgpass`` or ``PGPASSWORD``.
    scratch
        The schema for what a run holds until its end; created if the user may. Nothing is written elsewhere.

    Raises
    ------
    InputError
        If the driver is not installed, or the database cannot be reached.
    """
    engine = Engine("PostgreSQL", partial(PostgresSession, uri, scratch))
    with engine.session() as session:
        session.scalar("SELECT 1 AS one")
    return engine


class PostgresSession(RemoteSession):
    """A connection to a PostgreSQL database; text is compared by its code points, times are UTC."""

    dialect = POSTGRESQL

    def __init__(self, uri: str, scratch: str) -> None:
        super().__init__(scratch)
        self._uri = uri
        try:
            self._connection = self._connected()
        except ImportError:
            raise InputError("PostgreSQL needs a driver: pip install 'customer-toolkit[warehouse]'.") from None
        except (manager.Error, ValueError) as error:
            # Other messages repeat parts of the address, with the password.
            said = str(error).partition("\n")[0]
            why = next((why for part, why in _FAULTS.items() if part in said), _FAULTS[""])
            why = why.format(said.partition("connection to server")[2])
            raise InputError(f"PostgreSQL cannot be reached: {why}") from None
        self._cursor = self._connection.cursor()

    def _connected(self) -> Any:
        connection = dbapi.connect(self._uri, autocommit=True)
        with connection.cursor() as cursor:
            cursor.execute("SET TimeZone = 'UTC'")
        return connection

    def _execute(self, sql: str) -> None:
        self._cursor.execute(sql)
        self._cursor.fetchall()

    def _fetch(self, sql: str) -> pa.Table:
        self._cursor.execute(sql)
        return self._cursor.fetch_arrow_table()

    def _stream(self, sql: str, n_rows: int) -> Iterator[pa.RecordBatch]:
        with self._connected() as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            for batch in cursor.fetch_record_batch():
                yield from (batch.slice(at, n_rows) for at in range(0, batch.num_rows, n_rows))

    def _put(self, place: str, table: pa.Table) -> None:
        schema, name = place.split(".")
        self._cursor.adbc_ingest(name, table, mode="create", db_schema_name=schema)
        self._execute(f"ANALYZE {place}")

    def _create(self, place: str, select: str) -> None:
        self._execute(f"CREATE UNLOGGED TABLE {place} AS {select}")
        self._execute(f"ANALYZE {place}")  # else joins are planned without knowing how many rows there are

    def _close(self) -> None:
        self._cursor.close()
        self._connection.close()

    def _reason(self, error: Exception) -> str | None:
        if not isinstance(error, manager.Error | OSError):  # the second, while rows are read
            return None
        state = str(getattr(error, "sqlstate", "") or "")
        if "due to user request" in str(error):  # the driver made an error of an interrupt, to stop the statement
            raise KeyboardInterrupt from error
        if _LOST.search(str(error)) and (not state or state.startswith("57P")):
            return LOST
        first = str(error).partition("ERROR:")[2].strip().partition("\n")[0] or str(error).partition("\n")[0]
        return f"{first}." if state.startswith(_SAID) else f"an error with the code {state or 'unknown'}."

    def names_in(self, schema: str) -> list[str]:
        """Return the tables and views of a schema."""
        return [str(n) for n in self._fetch(
            "SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            f"WHERE n.nspname = '{schema.replace(chr(39), chr(39) * 2)}' AND c.relkind IN ('r', 'v', 'm', 'p', 'f')"
        )["name"].to_pylist()]  # fmt: skip
