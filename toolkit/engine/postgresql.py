"""PostgreSQL. The only module that imports its driver."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from toolkit.engine.adbc import ENCODED, AdbcSession
from toolkit.engine.dialect import POSTGRESQL
from toolkit.engine.session import LOST, Engine, opened
from toolkit.lazy import Library

if TYPE_CHECKING:
    from adbc_driver_postgresql import dbapi
else:
    dbapi = Library("adbc_driver_postgresql.dbapi")

_FAULTS = {
    "connection to server": "the connection{}",
    "host name": f"no host has the name in its address. {ENCODED}",
    '"port"': f"the port in its address is no number. {ENCODED}",
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


class PostgresSession(AdbcSession):
    """A connection to a PostgreSQL database."""

    dialect = POSTGRESQL
    form = "postgresql://user@host/database"
    listing = (
        "SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = {} AND c.relkind IN ('r', 'v', 'm', 'p', 'f')"
    )

    def _opened(self) -> Any:
        return dbapi.connect(self._uri, autocommit=True)

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
