"""Values that have a type already, to a table of text: Parquet, a pandas frame, the rows of a query.

A whole number is its digits, a decimal keeps its zeros, a time is ISO 8601 with its zone, null is the empty cell.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
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

MAX_ROWS = 50_000_000
"""The most rows that are read into memory."""
BATCH = 50_000


def read_parquet(path: Path, choose: Choose) -> Table:
    """Read a Parquet file's wanted columns; rows count from 1.

    Raises
    ------
    ReadingError
        If it is not Parquet, holds more rows than memory is for, or a wanted column holds lists or records.
    """
    with opened(path), path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    try:
        with pq.ParquetFile(path) as file:
            n_rows, header = file.metadata.num_rows, file.schema_arrow.names
            if n_rows > MAX_ROWS:
                raise ReadingError(f"{path.name} holds {n_rows:,} rows, more than are read at once: split it.")
            wanted = choose(header)
            named = {column: header[at] for column, at in wanted.items()}
            cells = file.read(columns=sorted(set(named.values())))
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ReadingError(f"{path.name} is damaged, or not a Parquet file: ask for it again.") from None
    return Table(
        header=tuple(header),
        cells=pa.table({column: _column(cells.column(name), name, path.name) for column, name in named.items()}),
        numbers=np.arange(1, n_rows + 1, dtype=np.int64),
        broken=(),
        digest=digest,
        notes=("Parquet",),
        native_times=True,
    )


def parquet_tables(paths: Sequence[Path], choose: Choose) -> Iterator[Table]:
    """Read Parquet files of the same columns, one after the other, in bounded memory; rows count on from 1.

    Raises
    ------
    ReadingError
        If one is not Parquet, lacks a column of the first, or a wanted column holds lists or records.
    """
    first = 1
    for path in paths:
        try:
            with opened(path), pq.ParquetFile(path) as file:
                wanted = choose(file.schema_arrow.names)
                names = sorted({file.schema_arrow.names[at] for at in wanted.values()})
                for table in stream_tables(file.iter_batches(BATCH, columns=names), choose, path.name, first=first):
                    yield replace(table, header=tuple(file.schema_arrow.names))
                first += file.metadata.num_rows
        except pa.ArrowException:
            raise ReadingError(f"{path.name} is damaged, or not a Parquet file: ask for it again.") from None


def stream_tables(batches: Iterable[pa.RecordBatch], choose: Choose, name: str, *, first: int = 1) -> Iterator[Table]:
    """Read Arrow batches of the same columns; rows count on from `first`."""
    for batch in batches:
        header = batch.schema.names
        yield Table(
            header=tuple(header),
            cells=pa.table(
                {c: _column(pa.chunked_array([batch.column(at)]), c, name) for c, at in choose(header).items()}
            ),
            numbers=np.arange(first, first + len(batch), dtype=np.int64),
            broken=(),
            digest="",
            notes=(),
            native_times=True,
        )
        first += len(batch)


def read_frame(frame: pd.DataFrame, choose: Choose) -> Table:
    """Read a pandas frame's wanted columns; a row keeps its index where that is a unique whole number.

    Else rows count from 0, as ``iloc`` does.
    """
    header = [str(name) for name in frame.columns]
    wanted = choose(header)
    cells = pa.table({column: _series(frame.iloc[:, at], header[at]) for column, at in wanted.items()})
    by_place = not (frame.index.is_unique and pd.api.types.is_integer_dtype(frame.index.dtype))
    return Table(
        header=tuple(header),
        cells=cells,
        numbers=np.arange(len(frame), dtype=np.int64) if by_place else frame.index.to_numpy(dtype=np.int64),
        broken=(),
        digest=_digest(cells),
        notes=("a frame" + (", rows by their place" if by_place else ""),),
        native_times=True,
    )


def read_query(connection: Any, query: Any, choose: Choose) -> Table:
    """Run a query over an SQLAlchemy connection or engine; rows count from 1, in the order they come.

    Parameters
    ----------
    query
        SQL as the database speaks it, or an SQLAlchemy ``text()`` or ``select()``.

    Raises
    ------
    InputError
        If `connection` is none of SQLAlchemy's, or there is no query.
    ReadingError
        If the database refuses the query.
    """
    if not hasattr(connection, "exec_driver_sql"):
        if not hasattr(connection, "connect"):
            raise InputError("A query needs an SQLAlchemy connection or engine: sqlalchemy.create_engine(…).connect().")
        with connection.connect() as opened_here:
            return read_query(opened_here, query, choose)
    if query is None:
        raise InputError("A connection needs its query: read_customers(connection, query='SELECT …').")
    try:
        result = connection.exec_driver_sql(query) if isinstance(query, str) else connection.execute(query)
        header = [str(name) for name in result.keys()]  # noqa: SIM118 - a result is no mapping
        wanted = choose(header)
        parts = [_rows(rows, wanted.values()) for rows in result.partitions(BATCH)]
    except Exception as error:
        # SQLAlchemy is the analyst's, not ours: its errors are told by where they come from.
        if not type(error).__module__.startswith("sqlalchemy"):
            raise
        said = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise ReadingError(f"The query failed: {said}. Try it in the database's own tool.") from None
    cells = pa.table({c: pa.chunked_array([p[i] for p in parts], pa.large_string()) for i, c in enumerate(wanted)})
    return Table(
        header=tuple(header),
        cells=cells,
        numbers=np.arange(1, sum(len(p[0]) for p in parts) + 1, dtype=np.int64),
        broken=(),
        digest=_digest(cells),
        notes=("a query",),
        native_times=True,
    )


def _digest(cells: pa.Table) -> str:
    """Return SHA-256 of the cells, for what has no file: the same rows are the same delivery."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, cells.schema) as stream:
        stream.write_table(cells.combine_chunks())
    return hashlib.sha256(sink.getvalue()).hexdigest()


def _rows(rows: Sequence[Any], places: Iterable[int]) -> list[pa.Array]:
    return [pa.array([cell_text(row[at]) for row in rows], pa.large_string()) for at in places]


def _series(series: pd.Series[Any], name: str) -> pa.ChunkedArray:
    if series.dtype == object:
        texts = ["" if null else cell_text(v) for v, null in zip(series, series.isna(), strict=True)]
        return pa.chunked_array([pa.array(texts, pa.large_string())])
    if isinstance(series.dtype, pd.CategoricalDtype):
        return _series(series.astype(series.cat.categories.dtype), name)
    return _column(pa.chunked_array([pa.Array.from_pandas(series)]), name, "The frame")


def _column(cells: pa.ChunkedArray, name: str, where: str) -> pa.ChunkedArray:
    kind = cells.type
    if pa.types.is_dictionary(kind):
        return _column(cells.cast(kind.value_type), name, where)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        texts = cells.cast(pa.large_string())
    elif pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        texts = cells.cast(pa.string()).cast(pa.large_string())
        if pa.types.is_decimal(kind) and kind.scale < 0:
            texts = _spelled(cells)
    elif pa.types.is_timestamp(kind):
        texts = _times(cells)
    elif pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        raise ReadingError(f"{where}: {name} holds {kind}, not one text a row: flatten it in the export.")
    else:
        texts = _spelled(cells)
    return pc.fill_null(texts, "")


def _times(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Give times as ISO 8601, with their zone if they have one."""
    zone = cells.type.tz
    if zone is not None:
        cells = cells.cast(pa.timestamp(cells.type.unit, "UTC"))
    # Nanoseconds that are not whole microseconds keep nine digits, which no time may have: validation says so.
    with suppress(pa.ArrowInvalid):
        cells = cells.cast(pa.timestamp("us", cells.type.tz))
    texts = pc.strftime(cells, format="%Y-%m-%dT%H:%M:%S" + ("Z" if zone is not None else ""))
    return texts.cast(pa.large_string())


def _spelled(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array([cell_text(v.as_py()) for v in cells], pa.large_string())])
