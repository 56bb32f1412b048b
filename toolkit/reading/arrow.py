"""Values that have a type already, to a table of text: Parquet, a pandas frame, the rows of a query.

A whole number is its digits, a decimal keeps its zeros, a time is ISO 8601 with its zone, null is the empty cell.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from toolkit.errors import InputError, ReadingError
from toolkit.reading.text_table import Choose, Table, cell_text, opened

BATCH = 50_000
"""Rows that are held as Python's values at once."""
_TEXTS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
_EXACT = (*_TEXTS, pa.types.is_integer, pa.types.is_decimal)
"""The types whose values Arrow writes as they are; a float would be 1e+20."""


def read_parquet(path: Path, choose: Choose) -> Table:
    """Read a Parquet file's wanted columns; rows count from 1.

    Raises
    ------
    ReadingError
        If it is not Parquet, or a wanted column contains lists or records.
    """
    with opened(path), path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    with _parquet(path) as parquet:
        header = parquet.schema_arrow.names
        columns = sorted({header[at] for at in choose(header).values()})
        read = parquet.read(columns=columns)
        return replace(_typed_table(read, choose, path.name, header), digest=digest, notes=("Parquet",))


def parquet_tables(paths: Sequence[Path], choose: Choose) -> Iterator[Table]:
    """Read Parquet files of the same columns, one after the other, in bounded memory; rows count on from 1.

    Raises
    ------
    ReadingError
        If one is not Parquet, lacks a column of the first, or a wanted column contains lists or records.
    """
    first = 1
    for path in paths:
        with _parquet(path) as parquet:
            header = parquet.schema_arrow.names
            columns = sorted({header[at] for at in choose(header).values()})
            for batch in parquet.iter_batches(BATCH, columns=columns):
                yield _typed_table(batch, choose, path.name, header, first=first)
                first += len(batch)


def stream_tables(batches: Iterable[pa.RecordBatch], choose: Choose, name: str, *, first: int = 1) -> Iterator[Table]:
    """Read Arrow batches of the same columns; rows count on from `first`."""
    for batch in batches:
        yield _typed_table(batch, choose, name, batch.schema.names, first=first)
        first += len(batch)


def read_frame(frame: pd.DataFrame, choose: Choose) -> Table:
    """Read a pandas frame's wanted columns; a row keeps its index if that is a unique whole number.

    Otherwise rows count from 0, as ``iloc`` does.
    """
    header = [str(name) for name in frame.columns]
    cells = pa.table({column: _series(frame.iloc[:, at], header[at]) for column, at in choose(header).items()})
    by_place = not (frame.index.is_unique and pd.api.types.is_integer_dtype(frame.index.dtype))
    numbers = np.arange(len(frame)) if by_place else frame.index.to_numpy()
    numbers = numbers.astype(np.int64)
    note = "a frame" + (", rows by their place" if by_place else "")
    return Table(tuple(header), cells, numbers, digest=_digest(cells), notes=(note,), native_times=True)


def read_query(connection: Any, query: Any, choose: Choose) -> Table:
    """Run a query over an SQLAlchemy connection or engine; rows count from 1, in the order they come.

    Parameters
    ----------
    query
        SQL in the database's dialect, or an SQLAlchemy ``text()`` or ``select()``.

    Raises
    ------
    InputError
        If there is no query.
    ReadingError
        If the database refuses the query.
    """
    if query is None:
        raise InputError("A connection needs its query: read_customers(connection, query='SELECT …').")
    if not hasattr(connection, "exec_driver_sql"):  # an engine
        with connection.connect() as opened_here:
            return read_query(opened_here, query, choose)
    try:
        result = connection.exec_driver_sql(query) if isinstance(query, str) else connection.execute(query)
        header = [str(name) for name in result.keys()]  # noqa: SIM118 - a result is no mapping
        wanted = choose(header)
        parts = [
            pa.table({c: pa.array([cell_text(row[at]) for row in rows], pa.large_string()) for c, at in wanted.items()})
            for rows in result.partitions(BATCH)
        ]
    except Exception as error:
        # SQLAlchemy is the analyst's, not ours, so its errors are known by the module they come from.
        if not type(error).__module__.startswith("sqlalchemy"):
            raise
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise ReadingError(f"The query failed: {reason}. Try it in the database's own tool.") from None
    empty = pa.schema([(column, pa.large_string()) for column in wanted]).empty_table()
    cells = pa.concat_tables([empty, *parts])
    numbers = np.arange(1, cells.num_rows + 1)
    return Table(tuple(header), cells, numbers, digest=_digest(cells), notes=("a query",), native_times=True)


@contextmanager
def _parquet(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with opened(path), pq.ParquetFile(path) as file:
            yield file
    except pa.ArrowException:
        raise ReadingError(f"{path.name} is damaged, or not a Parquet file: ask for it again.") from None


def _typed_table(
    rows: pa.Table | pa.RecordBatch, choose: Choose, name: str, header: Sequence[str], *, first: int = 1
) -> Table:
    """Return Arrow's rows as text; `rows` has the wanted columns of `header`."""
    wanted = choose(header)
    cells = {column: _column(rows.column(header[at]), header[at], name) for column, at in wanted.items()}
    # Times are ISO 8601 in what has types, whatever the mapping's pattern is.
    return Table(tuple(header), pa.table(cells), np.arange(first, first + len(rows)), native_times=True)


def _digest(cells: pa.Table) -> str:
    """Return SHA-256 of the cells, for what has no file: the same rows are the same delivery."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, cells.schema) as stream:
        stream.write_table(cells.combine_chunks())
    return hashlib.sha256(sink.getvalue()).hexdigest()


def _series(series: pd.Series[Any], name: str) -> pa.ChunkedArray:
    if series.dtype == object:
        texts = ["" if null else cell_text(v) for v, null in zip(series, series.isna(), strict=True)]
        return pa.chunked_array([pa.array(texts, pa.large_string())])
    if isinstance(series.dtype, pd.CategoricalDtype):
        return _series(series.astype(series.cat.categories.dtype), name)
    return _column(pa.chunked_array([pa.Array.from_pandas(series)]), name, "The frame")


def _column(cells: pa.Array | pa.ChunkedArray, name: str, where: str) -> pa.ChunkedArray:
    cells = cells if isinstance(cells, pa.ChunkedArray) else pa.chunked_array([cells])
    kind = cells.type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        raise ReadingError(f"{where}: {name} contains {kind}, not one text for each row: flatten it in the export.")
    if pa.types.is_dictionary(kind):
        return _column(cells.cast(kind.value_type), name, where)
    if pa.types.is_timestamp(kind):
        texts = _times(cells)
    elif any(is_exact(kind) for is_exact in _EXACT):
        texts = cells.cast(pa.large_string())
    else:
        texts = pa.chunked_array([pa.array([cell_text(v.as_py()) for v in cells], pa.large_string())])
    return pc.fill_null(texts, "")


def _times(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return times as ISO 8601, with their zone if they have one."""
    zone = cells.type.tz
    if zone is not None:
        cells = cells.cast(pa.timestamp(cells.type.unit, "UTC"))
    # Nanoseconds that are not whole microseconds keep nine digits, which is no time: validation reports it.
    with suppress(pa.ArrowInvalid):
        cells = cells.cast(pa.timestamp("us", cells.type.tz))
    texts = pc.strftime(cells, format="%Y-%m-%dT%H:%M:%S" + ("Z" if zone is not None else ""))
    return texts.cast(pa.large_string())
