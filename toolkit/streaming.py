"""stream_source(): a table that does not fit in memory, in parts, as `open_source` reads it whole."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from toolkit.errors import InputError, ReadingError
from toolkit.mapping import Mapping
from toolkit.opening import TEXT
from toolkit.reading import choose_columns
from toolkit.sources import Table, joined_tables
from toolkit.sources_csv import csv_tables
from toolkit.sources_parts import kind_of
from toolkit.sources_typed import parquet_tables, stream_tables

CHUNK = 100_000
"""Rows that are held at once."""


def stream_source(source: Any, mapping: Mapping) -> tuple[str, Iterator[Table]]:
    """Return how a message calls a source, and its wanted columns as text, some 100,000 rows at a time.

    Raises
    ------
    InputError
        If it is of a kind that is not read in parts.
    ReadingError
        If there is no such file.
    """
    name, tables = _tables(source, mapping)
    return name, _chunks(tables)


def _tables(source: Any, mapping: Mapping) -> tuple[str, Iterator[Table]]:
    if not isinstance(source, (str, Path, list, tuple)):
        if not hasattr(source, "__arrow_c_stream__"):
            raise InputError(f"A {type(source).__name__} cannot be scanned: give a path, or what streams Arrow.")
        # A relation's own reader goes on asking for rows; its stream would hold them all.
        reader = source.to_arrow_reader(CHUNK) if hasattr(source, "to_arrow_reader") else source
        batches = pa.RecordBatchReader.from_stream(reader)
        choose = partial(choose_columns, mapping=mapping, name="The table")
        return "The table", stream_tables(batches, choose, "The table")
    paths = [Path(p) for p in source] if isinstance(source, (list, tuple)) else _paths(Path(source))
    if not paths:
        raise InputError("There is no file to scan: the list of paths is empty.")
    name = paths[0].name if len(paths) == 1 else f"{len(paths)} files"
    choose = partial(choose_columns, mapping=mapping, name=name)
    kinds = {kind_of(path) for path in paths}
    if kinds == {".parquet"}:
        return name, parquet_tables(paths, choose)
    if len(paths) > 1 or kinds - {*TEXT}:
        raise InputError(f"{name} cannot be scanned: give one text file, or Parquet. Else use read_customers.")
    form = {"encoding": mapping.encoding, "delimiter": mapping.delimiter, "header_row": mapping.header_row}
    return name, csv_tables(paths[0], choose, **form)  # type: ignore[arg-type]  # each has its own type


def _paths(path: Path) -> list[Path]:
    if "*" not in path.name:
        return [path]
    if found := sorted(path.parent.glob(path.name)):
        return found
    raise ReadingError(f"There is no file {path}: check the path.")


def _chunks(tables: Iterator[Table]) -> Iterator[Table]:
    """Put small parts together: each has its cost."""
    held: list[Table] = []
    for part in tables:
        held.append(part)
        if sum(len(p.numbers) + len(p.broken) for p in held) >= CHUNK:
            yield joined_tables(held)
            held = []
    if held:
        yield joined_tables(held)
