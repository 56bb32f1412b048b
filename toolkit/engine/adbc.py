"""Databases through ADBC: PostgreSQL, Snowflake and Redshift. The only module that imports their drivers.

Each result has a connection of its own while it is read, because a second cursor breaks the first without a word.
Snowflake and Redshift are written by their documentation, and nobody has run them: docs/engines.md says how to.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar

import pyarrow as pa

from toolkit.engine.dialect import POSTGRESQL, REDSHIFT, SNOWFLAKE
from toolkit.engine.session import LOST, Engine, RemoteSession, opened
from toolkit.errors import InputError
from toolkit.lazy import Library

manager, dbapi = Library("adbc_driver_manager"), Library("adbc_driver_manager.dbapi")
postgresql_driver, snowflake_driver = map(Library, ("adbc_driver_postgresql.dbapi", "adbc_driver_snowflake.dbapi"))

_SAID = ("02", "08", "28", "3F", "42", "53", "57")
"""Classes of SQLSTATE whose messages name what the statement names, and no value of a row."""
_ENCODED = "In a password, write @ as %40, : as %3A and / as %2F."
_FAULTS = {
    "connection to server": "the connection{}",
    "host name": f"no host has the name in its address. {_ENCODED}",
    '"port"': f"the port in its address is no number. {_ENCODED}",
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
    return opened("PostgreSQL", partial(PostgresSession, uri, scratch))


def snowflake(uri: str, *, scratch: str) -> Engine:
    """Name a Snowflake database whose tables the stations take. Written by its documentation, not run.

    Parameters
    ----------
    uri
        Such as ``snowflake://user:password@account/database/schema?warehouse=NAME``.
    scratch
        The schema for what a run holds until its end; created if the user may. Nothing is written elsewhere.

    Raises
    ------
    InputError
        If the driver is not installed, or the database cannot be reached.
    """
    return opened("Snowflake", partial(SnowflakeSession, uri, scratch))


def redshift(uri: str, *, scratch: str) -> Engine:
    """Name a Redshift database whose tables the stations take. Written by its documentation, not run.

    Parameters
    ----------
    uri
        Such as ``redshift://user:password@host:5439/database``.
    scratch
        The schema for what a run holds until its end; created if the user may. Nothing is written elsewhere.

    Raises
    ------
    InputError
        If the driver is not installed, or the database cannot be reached.
    """
    return opened("Redshift", partial(RedshiftSession, uri, scratch))


class AdbcSession(RemoteSession):
    """A connection to a database; text is compared by its code points, times are UTC.

    Attributes
    ----------
    install
        How its driver is installed.
    form
        How its address is written.
    zone
        The statement that makes the session's time zone UTC.
    listing
        The query for the names of a schema's tables; ``{}`` is the schema as a text.
    every_schema
        The query for the names of all schemas.
    """

    install: ClassVar[str] = "pip install 'customer-toolkit[warehouse]'"
    form: ClassVar[str]
    zone: ClassVar[str] = "SET TimeZone = 'UTC'"
    listing: ClassVar[str]
    every_schema: ClassVar[str]

    def __init__(self, uri: str, scratch: str) -> None:
        super().__init__(scratch)
        self._uri, name = uri, self.dialect.name
        try:
            self._connection = self._connected()
        except ImportError:
            raise InputError(f"{name} needs a driver: {self.install}.") from None
        except (manager.Error, ValueError) as error:
            if "[Driver Manager] Could not load" in str(error):
                raise InputError(f"{name} needs a driver: {self.install}.") from None
            why = self._unreached(str(error).partition("\n")[0])
            raise InputError(f"{name} cannot be reached: {why}") from None
        self._cursor = self._connection.cursor()

    @abstractmethod
    def _opened(self) -> Any:
        """Open a connection by its driver, which writes each statement at once."""

    def _unreached(self, _said: str) -> str:
        """Say why there is no connection; what the driver said may repeat the address, with the password."""
        return f"look at its address, {self.form}, and whether this machine may connect. {_ENCODED}"

    def _connected(self) -> Any:
        connection = self._opened()
        with connection.cursor() as cursor:
            cursor.execute(self.zone)
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
        schema, name = (place.upper() if self.dialect.exact else place).split(".")
        self._cursor.adbc_ingest(name, table, mode="create", db_schema_name=schema)

    def _stop(self) -> None:
        self._cursor.adbc_cancel()

    def _close(self) -> None:
        self._cursor.close()
        self._connection.close()

    def _reason(self, error: Exception) -> str | None:
        if not isinstance(error, manager.Error | OSError):  # the second, while rows are read
            return None
        state = str(getattr(error, "sqlstate", "") or "")
        first = str(error).partition("ERROR:")[2].strip().partition("\n")[0] or str(error).partition("\n")[0]
        hint = str(error).partition("HINT:")[2].strip().partition("\n")[0]  # the nearest column, or function
        named = f"{first}. {hint}".strip()
        return named if state.startswith(_SAID) else f"an error with the code {state or 'unknown'}."

    def names_in(self, schema: str) -> list[str]:
        """Return the tables and views of a schema."""
        return self._names(self.listing.format("'" + schema.replace("'", "''") + "'"))

    def schemas(self) -> list[str]:
        """Return the names of all schemas."""
        return self._names(self.every_schema)

    def _names(self, sql: str) -> list[str]:
        return [str(name) for name in self._fetch(sql).column(0).to_pylist()]


class PostgresSession(AdbcSession):
    """A connection to a PostgreSQL database."""

    dialect = POSTGRESQL
    listing = (
        "SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = {} AND c.relkind IN ('r', 'v', 'm', 'p', 'f')"
    )
    every_schema = "SELECT nspname AS name FROM pg_namespace"

    def _opened(self) -> Any:
        return postgresql_driver.connect(self._uri, autocommit=True)

    def _unreached(self, said: str) -> str:
        why = next(why for part, why in _FAULTS.items() if part in said)
        return why.format(said.partition("connection to server")[2])

    def _put(self, place: str, table: pa.Table) -> None:
        super()._put(place, table)
        self._execute(f"ANALYZE {place}")

    def _create(self, place: str, select: str) -> None:
        self._execute(f"CREATE UNLOGGED TABLE {place} AS {select}")
        self._execute(f"ANALYZE {place}")  # else joins are planned without knowing how many rows there are

    def _reason(self, error: Exception) -> str | None:
        reason, state = super()._reason(error), str(getattr(error, "sqlstate", "") or "")
        if reason and "due to user request" in str(error):  # the driver made an error of an interrupt, to stop it
            raise KeyboardInterrupt from error
        return LOST if reason and _LOST.search(str(error)) and (not state or state.startswith("57P")) else reason


def _as_known(kind: pa.DataType) -> pa.DataType:
    """Return the type that a result of DuckDB has for whole numbers, which Snowflake has as decimals, and for times."""
    if pa.types.is_decimal(kind) and kind.scale == 0:
        return pa.int64()
    return pa.timestamp("us", "UTC") if pa.types.is_timestamp(kind) and kind.tz else kind


class _WarehouseSession(AdbcSession):
    def _fetch(self, sql: str) -> pa.Table:
        found = super()._fetch(sql)
        with suppress(pa.ArrowInvalid):  # more than 18 digits stay what they are
            return found.cast(pa.schema([field.with_type(_as_known(field.type)) for field in found.schema]))
        return found


class SnowflakeSession(_WarehouseSession):
    """A connection to a Snowflake database, where names without quotes are of upper-case letters."""

    dialect = SNOWFLAKE
    install = "pip install 'customer-toolkit[snowflake]'"
    form = "snowflake://user:password@account/database/schema?warehouse=NAME"
    zone = "ALTER SESSION SET TIMEZONE = 'UTC'"
    listing = "SELECT lower(table_name) FROM information_schema.tables WHERE lower(table_schema) = lower({})"
    every_schema = "SELECT lower(schema_name) FROM information_schema.schemata"

    def _opened(self) -> Any:
        times = {"adbc.snowflake.sql.client_option.max_timestamp_precision": "microseconds"}  # else those overflow
        return snowflake_driver.connect(self._uri, db_kwargs=times, autocommit=True)


class RedshiftSession(_WarehouseSession):
    """A connection to a Redshift database."""

    dialect = REDSHIFT
    install = f"{AdbcSession.install} dbc, then dbc install redshift"
    form = "redshift://user:password@host:5439/database"
    listing = "SELECT table_name FROM svv_tables WHERE table_schema = lower({})"
    every_schema = "SELECT schema_name FROM svv_all_schemas"

    def _opened(self) -> Any:
        return dbapi.connect("redshift", self._uri, autocommit=True)
