"""Spark through Spark Connect: clusters of Spark, and what else speaks its protocol. The only module that uses pyspark.

``toArrow`` keeps the order of a query and holds all of its rows, while the streaming readers lose the order or hold
everything: so a long result is read in pages, each a query with LIMIT and OFFSET.
"""

from __future__ import annotations

import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import pyarrow as pa

from toolkit.engine.dialect import SPARK
from toolkit.engine.session import Engine, RemoteSession
from toolkit.errors import InputError
from toolkit.lazy import Library

if TYPE_CHECKING:
    import pyspark.errors as spark_errors
    from pyspark.sql.connect import session as connect
else:
    connect, spark_errors = Library("pyspark.sql.connect.session"), Library("pyspark.errors")

PAGE = 100_000
"""Rows of a query that are read at once."""
_ZONE = "spark.sql.session.timeZone"


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
    engine = Engine("Spark", partial(SparkSession, session, scratch))
    with engine.session() as opened:
        opened.scalar("SELECT 1 AS one")
    return engine


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


_sessions: dict[str, Any] = {}


def _session_at(address: str) -> Any:
    """Return this process's session at an address; pyspark would return that of any other address instead."""
    if address not in _sessions or _sessions[address].is_stopped:
        _sessions[address] = connect.SparkSession.builder.remote(address).create()
    return _sessions[address]


class SparkSession(RemoteSession):
    """A session of a Spark cluster; its time zone is UTC while a station runs."""

    dialect = SPARK

    def __init__(self, session: str | Any, scratch: str) -> None:
        super().__init__(scratch)
        try:
            if isinstance(session, str) and not getproxies():  # its client would try for ten minutes
                place = urlsplit(session)
                socket.create_connection((place.hostname, place.port or 15002), timeout=10).close()
            with _quiet():
                self._spark = _session_at(session) if isinstance(session, str) else session
            self._zone = str(self._spark.conf.get(_ZONE))
            self._spark.conf.set(_ZONE, "UTC")
        except ImportError:
            raise InputError("Spark needs a client: pip install 'customer-toolkit[spark]'.") from None
        except Exception as error:
            raise InputError(f"Spark cannot be reached at sc://host:port: {type(error).__name__}.") from None

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

    def _close(self) -> None:
        self._spark.conf.set(_ZONE, self._zone)

    def _reason(self, error: Exception) -> str | None:
        if not isinstance(error, spark_errors.PySparkException | ValueError):
            return None
        kind = type(error).__name__
        return str(error).splitlines()[0] if "Analysis" in kind or "Parse" in kind else f"{kind}."

    def names_in(self, schema: str) -> list[str]:
        """Return the tables and views of a schema."""
        if schema not in self._fetch("SHOW DATABASES").column(0).to_pylist():
            return []
        found = self._fetch(f"SHOW TABLES IN {schema}").to_pylist()
        return [f["tableName"] for f in found if not f["isTemporary"]]
