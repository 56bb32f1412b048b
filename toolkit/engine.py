"""Where SQL runs: embedded DuckDB, fed with and answering in Arrow tables.

The only module that imports duckdb. Each session is its own in-memory database: nothing is shared, nothing is
left behind, and a result is always read to its end (a half-read one would block the next statement).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa


class Session:
    """One embedded database with the given tables, as a context manager.

    Parameters
    ----------
    tables
        Name to Arrow table; each can be named in SQL.

    Examples
    --------
    >>> with Session({"t": pa.table({"n": [1, 2, 3]})}) as session:
    ...     session.scalar("SELECT max(n) FROM t")
    3
    """

    def __init__(self, tables: Mapping[str, pa.Table] | None = None) -> None:
        self._connection = duckdb.connect()
        self._connection.execute("SET TimeZone='UTC'")
        # A progress bar would be written to standard output, where --json has its one object. Where it is off by
        # itself, as in a notebook without ipywidgets, DuckDB raises when the setting is so much as touched.
        if self.scalar("SELECT current_setting('enable_progress_bar')"):
            self._connection.execute("SET enable_progress_bar=false")
        for name, table in (tables or {}).items():
            self._connection.register(name, table)

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Run statements whose result nobody reads."""
        self._connection.execute(sql, list(parameters) or None)

    def table(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Run a query and return all of its rows."""
        return self._connection.sql(sql, params=list(parameters) or None).to_arrow_table()

    def scalar(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """Run a query and return the one value of its one row."""
        return self.table(sql, parameters).column(0)[0].as_py()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()


def quoted(*names: str) -> str:
    """Quote names for SQL, separated by commas.

    Examples
    --------
    >>> quoted("customer_id", 'odd"name')
    '"customer_id", "odd""name"'
    """
    return ", ".join('"' + n.replace('"', '""') + '"' for n in names)


def to_arrow(frame: pd.DataFrame, schema: pa.Schema, *, index: str | None = None) -> pa.Table:
    """Turn a frame into an Arrow table of exactly this schema; a column it lacks is null.

    Parameters
    ----------
    index
        Name of a first int64 column that carries the frame's index.

    Raises
    ------
    pyarrow.ArrowInvalid
        If a column does not hold what its type says.
    """
    arrays = [
        to_array(frame[f.name], f.type) if f.name in frame.columns else pa.nulls(len(frame), f.type) for f in schema
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


def to_array(series: pd.Series[Any], kind: pa.DataType) -> pa.ChunkedArray:
    """Turn a series into Arrow of this type; naming the type to `pa.array` itself is ten times slower."""
    array = pa.array(series, from_pandas=True).cast(kind)
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
