"""DuckDB inside the process: it takes Arrow tables and answers in Arrow tables.

The only module that imports duckdb. Each session is a connection of its own, and what it names or makes in memory is
temporary: sessions share nothing and leave nothing behind. A result is always read to its end, since a half-read one
blocks the next statement.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa

from toolkit.engine.dialect import DUCKDB, relation_of
from toolkit.errors import InputError

EngineError = duckdb.Error
"""What the engine raises, as for files that it cannot read."""

_CLOSED: dict[str, Any] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "python_enable_replacements": False,
}
"""SQL sees only what it is given: no downloaded extension, no Python variable in the place of a missing table."""


@cache
def _database(_process: int, *, files: bool) -> duckdb.DuckDBPyConnection:
    """Return this process's database in memory: making one takes 20 ms. A fork has none of its parent's threads."""
    return _connected(":memory:", enable_external_access=files)


def _connected(path: str, **config: Any) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(path, config=_CLOSED | config)
    connection.execute("SET GLOBAL TimeZone='UTC'")
    # A progress bar would go to standard output, which belongs to --json. If it is off already, as in a notebook
    # without ipywidgets, DuckDB raises an error when the setting is changed at all. Cursors take over the setting.
    if connection.execute("SELECT current_setting('enable_progress_bar')").fetchall()[0][0]:
        connection.execute("SET enable_progress_bar=false")
    return connection


class Session:
    """A connection to an embedded database, with the given tables, as a context manager.

    Parameters
    ----------
    tables
        Name to Arrow table; each can be named in SQL.
    files
        Whether SQL may read and write files; if not, it sees the tables alone.
    memory_limit
        How much memory the engine uses before it writes to a temporary `folder` of the session, as ``1GB``; SQL may
        read and write files. None: all is in memory.

    Raises
    ------
    InputError
        If the limit is no size.

    Examples
    --------
    >>> with Session({"t": pa.table({"n": [1, 2, 3]})}) as session:
    ...     session.scalar("SELECT max(n) FROM t")
    3
    """

    dialect = DUCKDB
    folder: Path
    _folder: TemporaryDirectory[str] | None = None

    def __init__(
        self,
        tables: Mapping[str, pa.Table] | None = None,
        *,
        files: bool = False,
        memory_limit: str | None = None,
    ) -> None:
        if memory_limit is None:
            self._connection = _database(os.getpid(), files=files).cursor()
        else:
            if not re.fullmatch(r"\d+(\.\d+)? ?[KMG]i?B", str(memory_limit)):
                raise InputError(f"memory_limit cannot be {memory_limit!r}: write a size, such as 1GB or 500MB.")
            self._folder = TemporaryDirectory(prefix="toolkit-", ignore_cleanup_errors=True)
            self.folder = Path(self._folder.name)
            # Rows carry their number, so the engine need not keep their order, which takes memory.
            self._connection = _connected(
                str(self.folder / "rows.duckdb"),
                memory_limit=memory_limit,
                temp_directory=str(self.folder),
                preserve_insertion_order=False,
                threads=2,  # each needs its own share of the memory
            )
        for name, table in (tables or {}).items():
            self.register(name, table)

    def register(self, name: str, table: pa.Table) -> None:
        """Make a table known under a name; it replaces an earlier one of this name."""
        self._connection.register(name, table)

    def create(self, name: str, select: str) -> None:
        """Keep the rows of a query under a name; they replace earlier ones of this name."""
        self.run(f"CREATE OR REPLACE TEMP TABLE {name} AS {select}")

    def relation(self, sql: str) -> str:
        """Return a table's name, or a query, for ``FROM``, as the sessions of other engines do."""
        return relation_of(sql)

    def written(self, sql: str) -> str:
        """Return a statement as the engine gets it, as the sessions of other engines do."""
        return sql

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Run statements without reading a result."""
        with self._said():
            self._connection.execute(sql, list(parameters) or None)

    def table(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Run a query and return all of its rows."""
        with self._said():
            return self._connection.sql(sql, params=list(parameters) or None).to_arrow_table()

    def scalar(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """Run a query and return the one value of its one row."""
        with self._said():
            return self._connection.execute(sql, list(parameters) or None).fetchall()[0][0]

    def limited(self, seconds: float) -> AbstractContextManager[None]:
        """Stop the query that runs after so many seconds, with a TimeoutError."""
        return stopping(self._connection.interrupt, seconds)

    def batches(self, sql: str, n_rows: int) -> Iterator[pa.RecordBatch]:
        """Run a query and yield its rows, `n_rows` at a time; run nothing else before the end."""
        with self._said(), self._connection.sql(sql).to_arrow_reader(n_rows) as reader:
            yield from reader

    def write(self, sql: str, path: Path) -> None:
        """Write the rows of a query as CSV if the path ends in ``.csv``, else as Parquet.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        kind = "FORMAT csv, HEADER" if path.suffix.lower() == ".csv" else "FORMAT parquet, COMPRESSION zstd"
        kind += ", USE_TMP_FILE false"  # it would replace the file, and its permissions
        try:
            self.run(f"COPY ({sql}) TO {text(str(path))} ({kind})")
        except duckdb.IOException as error:
            raise OSError(str(error).rpartition(": ")[2]) from None

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        if self._folder:
            self._folder.cleanup()

    @contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except duckdb.OutOfMemoryException:
            raise InputError(
                "The engine has not enough memory: close other programs, raise memory_limit, or leave out rules that "
                "look at several rows, choose_rules(without=[…]). On the command line, use 'toolkit scan' without "
                "--warnings."
            ) from None


@contextmanager
def stopping(stop: Callable[[], object], seconds: float) -> Iterator[None]:
    """Call what stops a query after so many seconds, and again until it has: before it runs, nothing is stopped.

    Raises
    ------
    TimeoutError
        If one was stopped.
    """
    until, done = time.monotonic() + seconds, threading.Event()

    def end() -> None:
        wait = seconds
        while not done.wait(wait):
            stop()
            wait = 0.2

    thread = threading.Thread(target=end)
    thread.start()
    try:
        yield
    except (Exception, KeyboardInterrupt):  # PostgreSQL says the same of both
        if time.monotonic() >= until:
            raise TimeoutError from None
        raise
    finally:
        done.set()
        thread.join()  # else it may stop the next one


def quoted(*names: str) -> str:
    """Quote names for SQL, separated by commas.

    Examples
    --------
    >>> quoted("customer_id", 'odd"name')
    '"customer_id", "odd""name"'
    """
    return ", ".join('"' + n.replace('"', '""') + '"' for n in names)


def text(value: str) -> str:
    """Write a text for SQL.

    Examples
    --------
    >>> text("O'Neill")
    "'O''Neill'"
    """
    # The parser would take a NUL as the end of the statement.
    return "'" + value.replace("'", "''").replace("\0", "' || chr(0) || '") + "'"


def to_arrow(frame: pd.DataFrame, schema: pa.Schema, *, index: str | None = None) -> pa.Table:
    """Turn a frame into an Arrow table of exactly this schema; a column it lacks is null.

    Parameters
    ----------
    index
        Name of a first int64 column that carries the frame's index.

    Raises
    ------
    pyarrow.ArrowInvalid
        If a value does not fit the type of its column.
    """
    arrays = [
        # Passing the type to `pa.array` itself is ten times slower.
        pa.array(frame[f.name], from_pandas=True).cast(f.type)
        if f.name in frame.columns
        else pa.nulls(len(frame), f.type)
        for f in schema
    ]
    table = pa.Table.from_arrays(arrays, schema=schema)
    if index is not None:
        table = table.add_column(0, index, pa.array(frame.index, type=pa.int64()))
    return table


def to_frame(table: pa.Table, *, index: str | None = None) -> pd.DataFrame:
    """Turn an Arrow table into a frame with pandas 3 dtypes: ``str``, ``datetime64[us, UTC]``."""
    frame: pd.DataFrame = table.to_pandas()
    for field in table.schema:
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            frame[field.name] = frame[field.name].astype("str")
    return frame.set_index(index) if index else frame
