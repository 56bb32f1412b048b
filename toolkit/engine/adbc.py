"""Databases through ADBC: Arrow in, Arrow out. The only module that imports the drivers' manager.

Each result has a connection of its own while it is read, because a second cursor breaks the first without a word.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa

from toolkit.engine.session import RemoteSession
from toolkit.errors import InputError
from toolkit.lazy import Library

if TYPE_CHECKING:
    import adbc_driver_manager as manager
else:
    manager = Library("adbc_driver_manager")

_SAID = ("02", "08", "28", "3F", "42", "53", "57")
"""Classes of SQLSTATE whose messages name what the statement names, and no value of a row."""
ENCODED = "In a password, write @ as %40, : as %3A and / as %2F."


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
    """

    install: ClassVar[str] = "pip install 'customer-toolkit[warehouse]'"
    form: ClassVar[str]
    zone: ClassVar[str] = "SET TimeZone = 'UTC'"
    listing: ClassVar[str]

    def __init__(self, uri: str, scratch: str) -> None:
        super().__init__(scratch)
        self._uri, name = uri, self.dialect.name
        try:
            self._connection = self._connected()
        except ImportError:
            raise InputError(f"{name} needs a driver: {self.install}.") from None
        except (manager.Error, ValueError) as error:
            said = str(error).partition("\n")[0]
            if "Could not load" in said:
                raise InputError(f"{name} needs a driver: {self.install}.") from None
            raise InputError(f"{name} cannot be reached: {self._unreached(said)}") from None
        self._cursor = self._connection.cursor()

    @abstractmethod
    def _opened(self) -> Any:
        """Open a connection by its driver, which writes each statement at once."""

    def _unreached(self, _said: str) -> str:
        """Say why there is no connection; what the driver said may repeat the address, with the password."""
        return f"look at its address, {self.form}, and whether this machine may connect. {ENCODED}"

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
        schema, name = place.split(".")
        self._cursor.adbc_ingest(name, table, mode="create", db_schema_name=schema)

    def _close(self) -> None:
        self._cursor.close()
        self._connection.close()

    def _reason(self, error: Exception) -> str | None:
        if not isinstance(error, manager.Error | OSError):  # the second, while rows are read
            return None
        state = str(getattr(error, "sqlstate", "") or "")
        first = str(error).partition("ERROR:")[2].strip().partition("\n")[0] or str(error).partition("\n")[0]
        return f"{first}." if state.startswith(_SAID) else f"an error with the code {state or 'unknown'}."

    def names_in(self, schema: str) -> list[str]:
        """Return the tables and views of a schema."""
        found = self._fetch(self.listing.format("'" + schema.replace("'", "''") + "'"))
        return [str(name) for name in found.column(0).to_pylist()]
