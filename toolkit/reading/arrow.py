"""Values that have a type already, to a table of text: Parquet, a pandas frame, an Arrow stream, the rows of a query.

What a value of each type is as text, `model.as_text` says.
"""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from toolkit.engine import EngineError, Session, text
from toolkit.errors import InputError, ReadingError, wrong_kind
from toolkit.model import as_text, has_text, is_short
from toolkit.reading.text_table import Choose, NoText, Table, joined_tables, opened

BATCH = 50_000
"""Rows that are held as Python's values at once."""
MAX_BATCH_BYTES = 500_000_000
"""The most text in `BATCH` consecutive rows of Parquet: 10 kB a row on average."""
MAX_BYTES = 4_000_000_000
"""The most that Parquet may take if all of it is held: its text, and `CELL_BYTES` for each cell."""
CELL_BYTES = 20


def read_parquet(path: Path, choose: Choose) -> Table:
    """Read a Parquet file's wanted columns; rows count from 1.

    Raises
    ------
    ReadingError
        As `parquet_fields` raises it, or if a cell has no text.
    """
    with opened(path), path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    fields, _ = parquet_fields(path, choose, most=MAX_BYTES)
    with _parquet(path) as parquet:
        read = parquet.read(columns=sorted({field.name for field in fields.values()}))
        table = _typed_table(read, choose, path.name, _header(parquet.schema_arrow))
        return replace(table, digest=digest, notes=("Parquet",))


def parquet_tables(paths: Sequence[Path], choose: Choose) -> Iterator[Table]:
    """Read Parquet files of the same columns, one after the other, in bounded memory; rows count on from 1.

    Raises
    ------
    ReadingError
        As `parquet_fields` raises it, or if one lacks a column of the first, or a cell has no text.
    """
    first = 1
    for path in paths:
        fields, _ = parquet_fields(path, choose)
        with _parquet(path) as parquet:
            header = _header(parquet.schema_arrow)
            for batch in parquet.iter_batches(BATCH, columns=sorted({field.name for field in fields.values()})):
                yield _typed_table(batch, choose, path.name, header, first=first)
                first += len(batch)


def parquet_fields(path: Path, choose: Choose, *, most: float = inf) -> tuple[dict[str, pa.Field], int]:
    """Return the wanted columns of a Parquet file and its number of rows, before any of it is held in memory.

    A page of a few bytes can stand for terabytes of text, whatever the file's own record of its size says. So the
    engine measures the text: it shares repeated values, and stops at its memory limit.

    Parameters
    ----------
    most
        How many bytes it may take in memory, if all of it is held.

    Raises
    ------
    ReadingError
        If it is not Parquet, a wanted column contains lists or records, or it unpacks to too much.
    """
    with _parquet(path) as parquet:
        schema, metadata = parquet.schema_arrow, parquet.metadata
        fields, places = _fields(schema, choose, path.name), set(choose(_header(schema)).values())
        n_rows = sum(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups))
    sizes = [f"sum(strlen(c{at}::VARCHAR))" for at in places if not is_short(schema.field(at).type)]
    names = [f"c{at}" for at in range(len(schema))]
    numbered = "file_row_number" not in map(str.lower, schema.names)  # otherwise all rows are one part
    query = f"""
        SELECT coalesce(sum(n), 0)::DOUBLE AS total, coalesce(max(n), 0)::DOUBLE AS largest FROM (
        SELECT list_sum([{", ".join(["0", *sizes])}]) AS n
        FROM read_parquet({text(glob.escape(str(path)))}, file_row_number={numbered}, hive_partitioning=false)
        AS t({", ".join(names + ["row_"] * numbered)}) GROUP BY {f"row_ // {BATCH}" if numbered else "NULL"})"""
    with Session(memory_limit="1GB") as session:
        try:
            measured = session.table(query).to_pylist()[0]
        except InputError:
            measured = {"total": inf, "largest": inf}
        except EngineError:
            raise _damaged(path) from None
    if measured["largest"] > MAX_BATCH_BYTES or measured["total"] + n_rows * len(fields) * CELL_BYTES > most:
        raise ReadingError(
            f"{path.name} unpacks to too much: at most {MAX_BATCH_BYTES / 10**9:.1f} GB of text in {BATCH:,} rows are "
            f"read, and {MAX_BYTES / 10**9:.0f} GB at once. Split it, or ask how it was made."
        )
    return fields, n_rows


def _header(schema: pa.Schema) -> list[str]:
    return [field.name if has_text(field.type) else NoText(field.name) for field in schema]


def _fields(schema: pa.Schema, choose: Choose, name: str) -> dict[str, pa.Field]:
    fields = {column: schema.field(at) for column, at in choose(_header(schema)).items()}
    for field in fields.values():
        if not has_text(field.type):
            raise _no_text(name, field.name, str(field.type))
    return fields


def arrow_reader(source: Any) -> pa.RecordBatchReader:
    """Open what gives an Arrow stream: a table or reader of pyarrow, a polars frame, a DuckDB relation.

    Raises
    ------
    InputError
        If it is no table.
    """
    try:
        # A DuckDB relation's own reader asks for rows as they are needed; its stream would hold all of them.
        return pa.RecordBatchReader.from_stream(
            source.to_arrow_reader(BATCH) if hasattr(source, "to_arrow_reader") else source
        )
    except (TypeError, pa.ArrowException):
        raise wrong_kind(source, "a table", "pa.table({column: values})") from None


def read_stream(source: Any, choose: Choose) -> Table:
    """Read an Arrow stream's wanted columns; rows count from 1."""
    reader = arrow_reader(source)
    empty = pa.RecordBatch.from_pylist([], reader.schema)
    table = joined_tables(list(stream_tables(chain([empty], reader), choose, "table")))
    return replace(table, digest=_digest(table.cells), notes=("an Arrow table",))


def stream_tables(batches: Iterable[pa.RecordBatch], choose: Choose, name: str, *, first: int = 1) -> Iterator[Table]:
    """Read Arrow batches of the same columns; rows count on from `first`."""
    for batch in batches:
        _fields(batch.schema, choose, name)
        yield _typed_table(batch, choose, name, _header(batch.schema), first=first)
        first += len(batch)


def read_frame(frame: pd.DataFrame, choose: Choose) -> Table:
    """Read a pandas frame's wanted columns; a row keeps its index if that is a unique whole number.

    Otherwise rows count from 0, as ``iloc`` does.

    Raises
    ------
    ReadingError
        If a cell has no text.
    """
    header = [str(name) for name in frame.columns]
    by_place = not (frame.index.is_unique and pd.api.types.is_integer_dtype(frame.index.dtype))
    numbers = (np.arange(len(frame)) if by_place else frame.index.to_numpy()).astype(np.int64)
    wanted = choose(header).items()
    cells = pa.table({column: _column(frame.iloc[:, at], header[at], "frame", numbers) for column, at in wanted})
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
        If the database refuses the query, or a cell has no text.
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
        parts = [pa.schema([(column, pa.large_string()) for column in wanted]).empty_table()]
        first = 1
        for rows in result.partitions(BATCH):
            numbers = np.arange(first, first := first + len(rows))
            columns = {c: pd.Series([row[at] for row in rows], dtype=object) for c, at in wanted.items()}
            parts.append(pa.table({c: _column(s, header[wanted[c]], "query", numbers) for c, s in columns.items()}))
    except Exception as error:
        # SQLAlchemy is the analyst's, not ours, so its errors are known by the module they come from.
        if not type(error).__module__.startswith("sqlalchemy"):
            raise
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise ReadingError(f"The query failed: {reason}. Try it in the database's own tool.") from None
    cells = pa.concat_tables(parts)
    numbers = np.arange(1, cells.num_rows + 1)
    return Table(tuple(header), cells, numbers, digest=_digest(cells), notes=("a query",), native_times=True)


@contextmanager
def _parquet(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with opened(path), pq.ParquetFile(path) as file:
            yield file
    except pa.ArrowException:
        raise _damaged(path) from None


def _damaged(path: Path) -> ReadingError:
    return ReadingError(f"{path.name} is damaged, or not a Parquet file: ask for it again.")


def _typed_table(
    rows: pa.Table | pa.RecordBatch, choose: Choose, name: str, header: Sequence[str], *, first: int = 1
) -> Table:
    """Return Arrow's rows as text; `rows` has the wanted columns of `header`, and perhaps others."""
    numbers = np.arange(first, first + len(rows))
    cells = {}
    for column, at in choose(header).items():
        same = rows.schema.get_all_field_indices(header[at])  # a file may have two columns of one name
        place = same[list(header[:at]).count(header[at])]
        cells[column] = _column(rows.column(place), header[at], name, numbers)
    # Times are ISO 8601 in what has types, whatever the mapping's pattern is.
    return Table(tuple(header), pa.table(cells), numbers, native_times=True)


def _column(
    cells: pa.Array | pa.ChunkedArray | pd.Series[Any], name: str, where: str, numbers: npt.NDArray[np.int64]
) -> pa.ChunkedArray:
    texts, refused = as_text(cells)
    if refused.any():
        at = int(refused.argmax())
        kind = type(cells.iloc[at]).__name__ if isinstance(cells, pd.Series) else "bytes"
        what = f"{kind} that are not UTF-8" if kind in ("bytes", "str") else f"a value of type {kind}"
        raise _no_text(where, name, f"{what} in row {numbers[at]:,}")
    return texts


def _no_text(where: str, column: str, what: str) -> ReadingError:
    return ReadingError(
        f"{where}: {column} contains {what}, not text: convert it to text first, or map another column."
    )


def _digest(cells: pa.Table) -> str:
    """Return SHA-256 of the cells, for what has no file: the same rows are the same delivery."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, cells.schema) as stream:
        stream.write_table(cells.combine_chunks())
    return hashlib.sha256(sink.getvalue()).hexdigest()
