"""Spark through Spark Connect: clusters of Spark, and what else speaks its protocol. The only module that uses pyspark.

``toArrow`` keeps the order of a query and holds all of its rows, while the streaming readers lose the order or hold
everything: so a long result is read in pages, each a query with LIMIT and OFFSET.
"""

from __future__ import annotations

import re
import socket
import sys
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import pyarrow as pa

from toolkit.engine.dialect import SPARK
from toolkit.engine.session import LOST, Engine, RemoteSession, opened
from toolkit.errors import InputError
from toolkit.lazy import Library

if TYPE_CHECKING:
    import pyspark.errors as spark_errors
    from pyspark import logger as spark_logger
    from pyspark.sql.connect import session as connect
    from pyspark.sql.connect.client import retries
else:
    connect, spark_errors = Library("pyspark.sql.connect.session"), Library("pyspark.errors")
    retries, spark_logger = Library("pyspark.sql.connect.client.retries"), Library("pyspark.logger")

PAGE = 100_000
"""Rows of a query that are read at once."""
PATIENCE: dict[str, Any] = {"max_retries": 5, "max_backoff": 2500}
"""How the client tries again where nobody answers: for 6 s. Of its own accord it says nothing for ten minutes."""
_ZONE = "spark.sql.session.timeZone"
_OWN = dict[str, Any]()
_ZONES = dict[int, list[str]]()
"""For each session that is somebody else's, by its id: the zone that it had at each opening, the first theirs."""
_NAMING = re.compile(
    r"(\[(TABLE_OR_VIEW|SCHEMA|UNRESOLVED|PARSE|DATATYPE|PATH)_|(Table|Database) not found|attribute |unknown function|"
    "invalid argument: found)"
)
"""How errors begin that name what the statement names, and no value of a row."""


def spark(session: str | Any, *, scratch: str) -> Engine:
    """Name a Spark cluster whose tables the stations take: ``table(engine, "sales.customers")``.

    Parameters
    ----------
    session
        The address of its Spark Connect server, such as ``sc://host:15002``, or a session that is there already.
    scratch
        The schema for what a run holds until its end; created if the user may. Nothing is written elsewhere.

    Raises
    ------
    InputError
        If pyspark is not installed, or the cluster cannot be reached.
    """
    return opened("Spark", partial(SparkSession, session, scratch))


@contextmanager
def _quiet() -> Iterator[None]:
    """Import pyspark without its warning of this pandas, and where it would take the process for its own doctests.

    It does so if the main module has no file, as under ``python -c``, and then ends the process.
    """
    main = sys.modules["__main__"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        if hasattr(main, "__file__"):
            yield
            return
        main.__file__ = ""
        try:
            yield
        finally:
            del main.__file__


def _connected(address: str, host: str | None, port: int) -> Any:
    """Return a session of the toolkit's own, one for each address: where tables are a session's, as in Sail, they stay.

    ``getOrCreate`` would give the session that is active, of whatever cluster.
    """
    with suppress(Exception):  # there is none, it was idle for too long, or the server was started again
        _OWN[address].conf.set(_ZONE, "UTC")
        return _OWN[address]
    if not getproxies():
        socket.create_connection((host, port), timeout=10).close()
    with _quiet():
        session = connect.SparkSession(address)
        session.client.set_retry_policies([retries.DefaultPolicy(**PATIENCE)])
        for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):  # they write cells to stderr
            spark_logger.PySparkLogger.getLogger(name).disabled = True
    session.conf.set(_ZONE, "UTC")
    # When the process ends, after the tables of a diff were dropped: its own __del__ then waits for threads that ended.
    weakref.finalize(session, session.client.close)
    _OWN[address] = session
    return session


class SparkSession(RemoteSession):
    """A session of a Spark cluster; its time zone is UTC while a station runs."""

    dialect = SPARK

    def __init__(self, session: str | Any, scratch: str) -> None:
        super().__init__(scratch)
        self._spark: Any = session
        self._zones, where = list[str](), ""
        try:
            if isinstance(session, str):
                place = urlsplit(session)
                if place.scheme != "sc":
                    raise ValueError
                host, port = place.hostname, place.port or 15002
                where = f" at {host}:{port}"
                self._spark = _connected(session, host, port)
            else:
                zone = str(session.conf.get(_ZONE))
                session.conf.set(_ZONE, "UTC")
                self._zones = _ZONES.setdefault(id(session), [])
                self._zones.append(zone)
        except ImportError:
            raise InputError("Spark needs a client: pip install 'customer-toolkit[spark]'.") from None
        except Exception as error:
            why = "no Spark Connect server answers there"
            if isinstance(error, OSError):
                why = error.strerror or str(error)
            elif isinstance(error, ValueError | AttributeError):
                why = "write its address as sc://host:15002"
            raise InputError(f"Spark cannot be reached{where}: {why}.") from None
        self._spark.addTag(self._run_id)

    def _execute(self, sql: str) -> None:
        self._spark.sql(sql)  # a statement that is no query runs at once

    def _fetch(self, sql: str) -> pa.Table:
        return self._spark.sql(sql).toArrow()

    def _stream(self, sql: str, n_rows: int) -> Iterator[pa.RecordBatch]:
        page = max(n_rows, PAGE)
        for start in count(0, page):
            found = self._fetch(f"{sql} LIMIT {page} OFFSET {start}")
            yield from found.to_batches(n_rows)
            if found.num_rows < page:
                return

    def _put(self, place: str, table: pa.Table) -> None:
        one = table if table.num_rows else pa.Table.from_pylist([{}], schema=table.schema)  # it refuses none
        self._spark.createDataFrame(one).limit(table.num_rows).write.saveAsTable(place)

    def _stop(self) -> None:
        self._spark.interruptTag(self._run_id)

    def _close(self) -> None:
        self._spark.removeTag(self._run_id)
        if len(self._zones) == 1:
            self._spark.conf.set(_ZONE, self._zones[0])
        self._zones[-1:] = []

    def _reason(self, error: Exception) -> str | None:
        if not isinstance(error, spark_errors.PySparkException | ValueError):
            return None
        kind, said = type(error).__name__, str(error).strip()
        if "UNAVAILABLE" in said or "SESSION_CHANGED" in said:
            return LOST
        return said.splitlines()[0] if _NAMING.match(said) else f"an error of the class {kind}."

    def names_in(self, schema: str) -> list[str]:
        """Return the tables and views of a schema."""
        if schema not in self.schemas():
            return []
        found = self._fetch(f"SHOW TABLES IN {schema}").to_pylist()
        return [f["tableName"] for f in found if not f["isTemporary"]]

    def schemas(self) -> list[str]:
        """Return the names of all schemas."""
        return [str(name) for name in self._fetch("SHOW DATABASES").column(0).to_pylist()]
