"""Customers as the tables that the rules run over: a frame in memory, Parquet files in place, or a stream to Parquet.

The table ``rows_`` has ``row_`` (the ``source_row``), the contract's columns in their data types, and for some columns
an `unread` column with the cells that are not of the column's type. The table ``broken_`` has the lines that could not
be parsed. Another engine needs these two relations and nothing else.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from toolkit.config import Settings
from toolkit.engine import CALENDAR, Session, quoted, text, to_arrow, to_frame
from toolkit.errors import InputError, ReadingError, wrong_kind
from toolkit.files import parts_in
from toolkit.model import (
    BROKEN_COLUMNS,
    CUSTOMER,
    ID,
    TIME,
    Column,
    Delivery,
    Resource,
    Unread,
    cast_frame,
    empty_frame,
    typed_frame,
)
from toolkit.quality.compiling import unread
from toolkit.quality.corrections import require_times, usable
from toolkit.reading import (
    TEXT,
    Mapping,
    Table,
    arrow_reader,
    as_mapping,
    choose_columns,
    csv_tables,
    joined_tables,
    kind_of,
    parquet_fields,
    parquet_tables,
    read_customers,
    stream_tables,
    to_delivery,
)

CHUNK = 100_000
"""Rows of a stream that are typed at once."""
SHOWN_ROWS = 100_000
"""The most rows of each frame that describes customers on disk."""

_BROKEN = pa.schema([(c, pa.string()) for c in BROKEN_COLUMNS])
BROKEN_LINES = pa.schema([("row_", pa.int64()), *_BROKEN])
"""The table ``broken_``."""
_LINE = [c for c in BROKEN_COLUMNS if c != ID]


@dataclass(frozen=True, eq=False)
class Staged:
    """Customers as the tables ``rows_`` and ``broken_`` of a session.

    Attributes
    ----------
    delivery
        The customers as they came; without rows if they stay on disk.
    typed
        The customers in their data types; None if they stay on disk.
    columns
        The columns that the source has.
    unread
        The columns that have an `unread` column.
    table
        ``rows_`` as an Arrow table; None if the customers stay on disk.
    """

    session: Session
    delivery: Delivery
    typed: pd.DataFrame | None
    columns: tuple[str, ...]
    unread: tuple[str, ...] = ()
    table: pa.Table | None = None

    def cells(self, rows: str) -> pd.DataFrame:
        """Return the rows that the query `rows` names, as they came."""
        if self.typed is not None:
            wanted = self.session.table(rows).column(0).drop_null().to_numpy()
            return pick(self.delivery.frame, pd.Index(wanted))
        found = self.session.table(f"SELECT * FROM rows_ WHERE row_ IN ({rows}) ORDER BY row_")
        frame = typed_frame(found, index="row_").rename_axis("source_row")
        for column in self.unread:
            texts = frame.pop(f"unread {column}")
            if texts.notna().any():
                frame[column] = frame[column].astype(object).where(texts.isna(), texts)
        return frame


def pick(frame: pd.DataFrame, rows: pd.Index[Any], *, others: bool = False) -> pd.DataFrame:
    """Return the rows of a frame that `rows` names, or all others, in the frame's order.

    Filtering column by column takes a quarter of the time that pandas takes for a frame, and two columns go at once.
    """
    places = frame.index.get_indexer(rows)
    kept = np.full(len(frame), others)
    kept[places[places >= 0]] = not others  # a broken line is not in the frame
    if kept.all():
        return frame
    at = kept if others else np.flatnonzero(kept)  # to take few rows by their places takes a third of the time
    with ThreadPoolExecutor() as threads:
        columns = dict(zip(frame, threads.map(lambda name: frame[name].array[at], frame), strict=True))
    return pd.DataFrame(columns, index=frame.index[at], copy=False)


def stays_on_disk(data: Any) -> bool:
    """Return whether `data` is checked without reading all of it into memory: a text file, Parquet, an Arrow stream."""
    if isinstance(data, str | Path):
        return bool(_files(Path(data)))
    return hasattr(data, "__arrow_c_stream__") and not isinstance(data, pd.DataFrame)


def _files(path: Path) -> list[Path]:
    inside = parts_in(path) if path.is_dir() else [path]
    kinds = {kind_of(p) for p in inside}
    return inside if kinds == {".parquet"} or (inside == [path] and kinds <= {*TEXT}) else []


@contextmanager
def staged(data: Any, settings: Settings, *, mapping: Any, memory_limit: str, writes: bool = False) -> Iterator[Staged]:
    """Open a session with the customers as its tables; `writes` says whether it will write them to files.

    Raises
    ------
    InputError
        If `data` does not hold customers, or cannot be checked row by row.
    ReadingError, MappingError
        If a file cannot be read, or its mapping does not fit it.
    """
    if not isinstance(mapping, Mapping | str | Path | None):
        raise wrong_kind(mapping, "a Mapping or its TOML file", "Mapping(…)")
    if mapping is not None and not (stays_on_disk(data) or isinstance(data, str | Path)):
        raise InputError("mapping= is for a file: apply it with validate(read_customers(…, mapping=…)).")
    form, contract = as_mapping(mapping), settings.documented
    if stays_on_disk(data):
        with Session(memory_limit=memory_limit) as session:
            files = _files(Path(data)) if isinstance(data, str | Path) else []
            name = Path(data).name if files else "The table"
            rows = _lying(session, files, form, contract.resource, name)
            if rows is None:
                tables = _tables(data, files, form, contract.resource, name)
                rows = _streamed(session, tables, form, contract.resource, name, session.folder / "rows.parquet")
            if not session.scalar("SELECT (SELECT count(*) FROM rows_) + (SELECT count(*) FROM broken_)"):
                raise ReadingError(f"{name} has no rows: ask whoever made it for a new export.")
            yield rows
        return
    if isinstance(data, str | Path):
        data = read_customers(data, mapping=form, settings=settings)
    delivery = usable(data, columns=contract.resource.names)
    require_times(delivery.frame)
    typed, missed = cast_frame(delivery.frame, contract.resource)
    table = _arrow(delivery.frame, typed, missed, _schema(contract.resource, missed))
    broken = to_arrow(delivery.broken, _BROKEN, index="row_")
    with Session({"rows_": table, "broken_": broken}, files=writes) as session:
        yield Staged(session, delivery, typed, tuple(typed.columns), tuple(missed), table)


def _schema(resource: Resource, missed: Iterable[str]) -> pa.Schema:
    return pa.schema([*resource.arrow_schema(), *((f"unread {c}", pa.string()) for c in missed)])


def _arrow(cells: pd.DataFrame, typed: pd.DataFrame, missed: dict[str, Unread], schema: pa.Schema) -> pa.Table:
    texts = {f"unread {c}": cells[c].astype(object).where(unread).astype("str") for c, unread in missed.items()}
    return to_arrow(typed.assign(**texts), schema, index="row_")


def _lying(session: Session, files: Sequence[Path], form: Mapping, resource: Resource, name: str) -> Staged | None:
    """Make the tables from Parquet files where they lie; None if a cell of theirs needs more than SQL to be read."""
    queries: list[str | None] = []
    names: dict[str, str] = {}
    n_rows = 0
    if {kind_of(path) for path in files} != {".parquet"}:
        return None
    for path in files:
        fields, n = parquet_fields(path, partial(choose_columns, mapping=form, name=name, resource=resource))
        queries.append(_query(path, n_rows + 1, fields, form, resource))
        n_rows += n
        names = {column: field.name for column, field in fields.items()}
    if None in queries:
        return None
    session.run(f"CREATE TEMP VIEW rows_ AS {' UNION ALL '.join(map(str, queries))}")
    session.register("broken_", BROKEN_LINES.empty_table())
    columns = tuple(c for c in resource.names if c in CUSTOMER.names or c in names or c in form.constants)
    delivery = Delivery(empty_frame(), source=name, names=names, datetime=form.datetime, timezone=form.timezone)
    return Staged(session, delivery, None, columns, (TIME,))


def _query(path: Path, first: int, fields: dict[str, pa.Field], form: Mapping, resource: Resource) -> str | None:
    """Return a query that gives the rows of a Parquet file, numbered from `first`."""
    cells = [_cell(column, fields.get(column.name), form) for column in resource.columns]
    if None in cells:
        return None
    named = (f"{cell} AS {quoted(c.name)}" for cell, c in zip(cells, resource.columns, strict=True))
    time = quoted(fields[TIME].name)
    return (
        f"SELECT file_row_number + {first} AS row_, {', '.join(named)}, "
        f"CASE WHEN NOT {time} {CALENDAR} THEN CAST({time} AS VARCHAR) END AS {unread(TIME)} "
        f"FROM read_parquet({text(glob.escape(str(path)))}, file_row_number=true, hive_partitioning=false)"
    )


def _cell(column: Column, field: pa.Field | None, form: Mapping) -> str | None:
    """Return the SQL of a column as the readers give it: only an empty cell or a listed spelling is null."""
    kind = field.type if field else pa.string()
    sql = quoted(field.name) if field else "CAST(NULL AS VARCHAR)"
    if column.name == TIME and not any(null[:1].isdigit() for null in form.nulls):
        exact = pa.types.is_timestamp(kind) and kind.tz is not None and kind.unit in ("ms", "us")
        exact &= TIME not in form.constants and TIME not in form.values
        return f"CASE WHEN {sql} {CALENDAR} THEN {sql} END" if exact else None
    if column.name in form.constants:
        sql = text(form.constants[column.name])
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_integer(kind):
        sql = f"CAST({sql} AS VARCHAR)"
    elif column.kind != "string" or not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return None
    return as_stated(sql, form, {} if column.name in form.constants else form.values.get(column.name, {}))


def as_stated(cell: str, form: Mapping, words: dict[str, str]) -> str:
    """Return the SQL of a text with the mapping's `words` for those of the file, and null where it says so."""
    if words:
        known = " ".join(f"WHEN {cell} = {text(word)} THEN {text(becomes)}" for word, becomes in words.items())
        cell = f"CASE {known} ELSE {cell} END"
    return f"CASE WHEN {cell} IN ({', '.join(map(text, ('', *form.nulls)))}) THEN NULL ELSE {cell} END"


def _tables(data: Any, files: Sequence[Path], form: Mapping, resource: Resource, name: str) -> Iterator[Table]:
    """Yield the source's wanted columns as text, some 100,000 rows at a time: small parts each have their cost."""
    choose = partial(choose_columns, mapping=form, name=name, resource=resource)
    if not files:
        parts = stream_tables(arrow_reader(data), choose, name)
    elif kind_of(files[0]) == ".parquet":
        parts = parquet_tables(files, choose)
    else:
        how = {"encoding": form.encoding, "delimiter": form.delimiter, "header_row": form.header_row}
        parts = csv_tables(files[0], choose, **how)  # type: ignore[arg-type]  # each has its own type
    held: list[Table] = []
    for part in parts:
        held.append(part)
        if sum(len(p.numbers) + len(p.broken) for p in held) >= CHUNK:
            yield joined_tables(held)
            held = []
    if held:
        yield joined_tables(held)


def _streamed(
    session: Session, tables: Iterator[Table], form: Mapping, resource: Resource, name: str, kept: Path
) -> Staged:
    """Type a stream part by part into a Parquet file, and make the tables from that."""
    missed = tuple(c.name for c in resource.columns if c.name == TIME or c in resource.custom)
    schema = pa.schema([*_schema(resource, missed), *((f"{c}_", pa.string()) for c in _LINE)])
    delivery, others = Delivery(empty_frame(), source=name), set()
    with pq.ParquetWriter(kept, pa.schema([("row_", pa.int64()), *schema])) as writer:
        for part in tables:
            places = choose_columns(part.header, mapping=form, name=name, resource=resource)
            delivery = to_delivery(part, places, form, name, resource=resource)
            typed, unread_cells = cast_frame(delivery.frame, resource)
            others |= {delivery.other_pattern} if TIME in unread_cells else set()
            writer.write_table(_arrow(delivery.frame, typed, unread_cells, schema))
            lines = delivery.broken.rename(columns={c: f"{c}_" for c in _LINE})
            writer.write_table(to_arrow(lines, schema, index="row_"))
    source = f"FROM read_parquet({text(str(kept))}, hive_partitioning=false) WHERE reason_ IS"
    wanted = quoted("row_", *resource.names, *(f"unread {c}" for c in missed))
    session.run(f"CREATE TEMP VIEW rows_ AS SELECT {wanted} {source} NULL")
    session.run(f"CREATE TEMP VIEW broken_ AS SELECT row_, {ID}, reason_ AS reason, text_ AS text {source} NOT NULL")
    broken = to_frame(session.table(f"SELECT * FROM broken_ ORDER BY row_ LIMIT {SHOWN_ROWS}"), index="row_")
    columns = tuple(delivery.frame.columns)
    other = others.pop() if len(others) == 1 else None
    delivery = replace(delivery, frame=empty_frame(), broken=broken.rename_axis("source_row"), other_pattern=other)
    return Staged(session, delivery, None, columns, missed)
