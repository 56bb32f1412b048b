"""read_customers(): a file, mapped and typed by the schema, nothing guessed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.contract import CUSTOMER
from toolkit.delivery import Delivery
from toolkit.errors import MappingError, ReadingError, did_you_mean
from toolkit.mapping import Mapping
from toolkit.sources import EXCEL_ENDINGS, Table, require_file
from toolkit.sources_csv import read_csv
from toolkit.sources_excel import read_excel
from toolkit.times import parse_times

_TIME = CUSTOMER.key[1]


def read_customers(
    path: str | Path,
    *,
    mapping: Mapping | str | Path | None = None,
    constants: dict[str, str] | None = None,
) -> Delivery:
    r"""Read a customer file; every cell is text until the schema types it.

    Cells are not trimmed, nothing is guessed: ``00123`` stays what it is, only an empty cell is null, and a cell
    of ``updated_at`` that is not a time keeps its text and fails in validation.

    Parameters
    ----------
    path
        A .csv, .tsv, .txt or .xlsx file.
    mapping
        A `Mapping` or its TOML file. Without one, columns go by their canonical names in any case, and times are
        ISO 8601.
    constants
        Schema column to the value of every row, over the mapping.

    Returns
    -------
    Delivery
        All seven columns: text as ``str``, ``updated_at`` in UTC microseconds, or object where a cell did not
        parse. The index ``source_row`` is the record's number in the file, header and blank lines counted. A
        column that the file does not give is null and not in ``given``. Ragged and broken lines are in
        ``broken``.

    Raises
    ------
    ReadingError
        If the file is not a readable customer table, or a time names no zone and none is stated.
    MappingError
        If the mapping cannot be used, or does not fit the file.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder, "crm.csv")
    ...     _ = file.write_text("Customer_ID;updated_at\n00123;2025-01-28T10:00:00Z\n")
    ...     delivery = read_customers(file, constants={"source": "customer"})
    >>> delivery.given, delivery.frame["customer_id"].tolist()
    (('customer_id', 'updated_at', 'source'), ['00123'])
    >>> delivery.notes
    ('UTF-8, detected', "delimiter ';', detected")
    """
    path = Path(path)
    rules = mapping if isinstance(mapping, Mapping) else Mapping() if mapping is None else Mapping.load(mapping)
    if constants:
        rules = rules.with_constants(constants)
    require_file(path)
    choose = partial(_choose, mapping=rules, path=path)
    if path.suffix.lower() in EXCEL_ENDINGS:
        table = read_excel(path, choose, sheet=rules.sheet, header_row=rules.header_row)
    else:
        table = read_csv(path, choose, encoding=rules.encoding, delimiter=rules.delimiter, header_row=rules.header_row)
    if not len(table.numbers) and not table.broken:
        raise ReadingError(f"{path.name} has a header and no rows below it: ask for the file again.")
    return _delivery(table, choose(table.header), rules, path)


def _choose(header: Sequence[str], *, mapping: Mapping, path: Path) -> dict[str, int]:
    """Say where the wanted columns stand: schema column, in the schema's order, to position."""
    if mapping.columns:
        wanted = {c: mapping.columns[c] for c in CUSTOMER.names if c in mapping.columns}
        if lacking := [f for f in wanted.values() if f not in header]:
            spoken = " ".join(f"{f!r}{did_you_mean(f, header) or '.'}" for f in lacking)
            raise MappingError(
                f"{path.name} lacks columns that the mapping names: {spoken} Mend [columns], or check that row "
                f"{mapping.header_row} is the header."
            )
    else:
        folded = {_fold(name) for name in header}
        if not folded.intersection(CUSTOMER.names):
            raise ReadingError(
                f"{path.name} has no header in row {mapping.header_row}: no cell there is one of "
                f"{', '.join(CUSTOMER.names)}. If its columns have other names, say them in a mapping: [columns]."
            )
        wanted = {c: c for c in CUSTOMER.names if c in folded and c not in mapping.constants}
    for column in CUSTOMER.key:
        if column not in wanted and column not in mapping.constants:
            where = f"{mapping.name} names no column for" if mapping.columns else f"{path.name} lacks the column"
            kind = MappingError if mapping.columns else ReadingError
            near = "" if mapping.columns else did_you_mean(column, map(_fold, header))
            raise kind(
                f"{where} {column}, a key column{near or '.'} Name it in the mapping, in [columns] or in [constants]."
            )
    return {column: _place(name, header, path) for column, name in wanted.items()}


def _fold(name: str) -> str:
    return name.strip().casefold()


def _place(name: str, header: Sequence[str], path: Path) -> int:
    found = [i for i, cell in enumerate(header) if _fold(cell) == _fold(name)]
    if len(found) > 1:
        spoken = " and ".join(f"{header[i]!r} (column {i + 1})" for i in found)
        raise ReadingError(
            f"{path.name} has {len(found)} columns of one name, {spoken}: rename all but one, or leave them out "
            "of the export."
        )
    return found[0]


def _delivery(table: Table, wanted: dict[str, int], mapping: Mapping, path: Path) -> Delivery:
    index = pd.Index(table.numbers, dtype="int64", name="source_row")
    columns: dict[str, pd.Series[Any]] = {}
    for column in CUSTOMER.names:
        if column in mapping.constants:
            columns[column] = _constant(column, mapping, len(index))
        elif column not in wanted:
            columns[column] = _text(pa.nulls(len(index), pa.large_string()))
        elif column == _TIME:
            cells = _with_nulls(table.cells.column(column), mapping)
            columns[column] = _times(cells, table, mapping, path)
        else:
            columns[column] = _text(_with_nulls(table.cells.column(column), mapping))
    frame = pd.DataFrame(columns).set_axis(index)
    used = set(wanted.values())
    left_out = [name for i, name in enumerate(table.header) if i not in used and name.strip()]
    return Delivery(
        frame,
        source=path.name,
        digest=table.digest,
        kind=mapping.kind,
        given=tuple(c for c in CUSTOMER.names if c in wanted or c in mapping.constants),
        names={column: table.header[at] for column, at in wanted.items()},
        broken=table.broken_frame(),
        corrections=mapping.corrections,
        notes=(*table.notes, *([f"columns left out: {', '.join(left_out)}"] if left_out else [])),
    )


def _text(cells: pa.Array | pa.ChunkedArray) -> pd.Series[Any]:
    return pd.Series(cells, dtype="str")


def _with_nulls(cells: pa.Array | pa.ChunkedArray, mapping: Mapping) -> pa.Array | pa.ChunkedArray:
    null = pc.equal(pc.binary_length(cells), 0)
    if mapping.nulls:
        null = pc.or_(null, pc.is_in(cells, value_set=pa.array(mapping.nulls, cells.type)))
    return pc.if_else(null, pa.scalar(None, cells.type), cells) if pc.any(null).as_py() else cells


def _constant(column: str, mapping: Mapping, n_rows: int) -> pd.Series[Any]:
    cell = _with_nulls(pa.array([mapping.constants[column]], pa.large_string()), mapping)
    if column != _TIME:
        return _text(pa.repeat(cell[0], n_rows))
    times = parse_times(cell, pattern=mapping.datetime, timezone=mapping.timezone, iso_too=True)
    if times.naive[0]:
        raise MappingError(
            f"{mapping.name}: the constant {column} names no time zone: end it in Z for UTC, or write "
            'timezone = "Europe/Berlin" (or your zone) in [format].'
        )
    if pd.isna(times.values[0]):
        raise MappingError(f"{mapping.name}: the constant {column} is not a time: write it as 2025-01-28T10:00:00Z.")
    return times.values.repeat(n_rows).reset_index(drop=True)


def _times(cells: pa.ChunkedArray, table: Table, mapping: Mapping, path: Path) -> pd.Series[Any]:
    times = parse_times(cells, pattern=mapping.datetime, timezone=mapping.timezone, iso_too=table.native_times)
    if times.naive.any():
        row = table.numbers[int(times.naive.argmax())]
        raise ReadingError(
            f"{path.name}: {_TIME} names no time zone, first in row {row:,}. Only you can know which one it is: write "
            'timezone = "Europe/Berlin" (or your zone) in the mapping\'s [format].'
        )
    if not times.unparsed.any():
        return times.values
    values = times.values.astype(object)
    values[times.unparsed] = _text(cells)[times.unparsed].astype(object)
    return values
