"""read_customers(): a source, mapped and typed by the schema, nothing guessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.config import Settings, current
from toolkit.engine import table_of
from toolkit.errors import InputError, MappingError, ReadingError, did_you_mean, wrong_kind
from toolkit.model import CUSTOMER, ID, TIME, Delivery, Resource, parse_times
from toolkit.progress import step
from toolkit.reading.arrow import read_frame, read_parquet, read_query, read_stream
from toolkit.reading.csv_file import first_records, read_csv
from toolkit.reading.date_patterns import other_pattern
from toolkit.reading.json_file import read_json
from toolkit.reading.mapping import Mapping
from toolkit.reading.part_files import kind_of, read_parts
from toolkit.reading.text_table import OLE, ZIP, Choose, Table, opened
from toolkit.reading.workbook import Fit, first_rows, read_excel

TEXT = (".csv", ".tsv", ".txt")
EXCEL = (".xlsx", ".xlsm", ".xls", ".ods")
JSON = (".json", ".jsonl", ".ndjson")
ENDINGS = (*TEXT, *EXCEL, *JSON, ".parquet")
"""What is read, each of TEXT and JSON packed by gzip as well."""

_HOW_OPENED = ("encoding", "delimiter", "sheet", "header_row")
_KEPT = ("kind", "language", "datetime", "timezone", "corrections")
"""What a delivery keeps of its mapping."""

Source = str | Path | pd.DataFrame | Any
"""A file, a folder of part-files, a frame, an Arrow stream, or an SQLAlchemy connection or engine."""
MAX_ROWS = 500_000
"""Rows of an engine's table that are read into memory."""


@step("Reading")
def read_customers(
    source: Source,
    *,
    mapping: Mapping | str | Path | None = None,
    constants: dict[str, str] | None = None,
    query: Any = None,
    sheet: str | None = None,
    settings: Settings | None = None,
) -> Delivery:
    r"""Read customers from wherever they come; every cell is text until the schema types it.

    Cells are not trimmed, nothing is guessed: ``00123`` stays what it is, only an empty cell is null, and a cell
    of ``updated_at`` that is not a time keeps its text and fails in validation.

    Parameters
    ----------
    source
        A file (.csv, .tsv, .txt, .json, .jsonl, each packed by gzip or not; .xlsx, .xls, .ods; .parquet), a folder
        of part-files, a pandas frame, what gives an Arrow stream (a table or reader of pyarrow, a polars frame, a
        DuckDB relation), an SQLAlchemy connection or engine together with `query`, or a table of an engine with at
        most half a million rows, which come into memory.
    mapping
        A `Mapping` or its TOML file. Without one, columns go by their canonical names in any case, and times are
        ISO 8601.
    constants
        Schema column to the value of every row, over the mapping.
    query
        SQL in the database's dialect, or an SQLAlchemy ``text()`` or ``select()``.
    sheet
        The worksheet of a workbook, over the mapping. None: the first visible one whose header fits.
    settings
        Their custom attributes are read too, as text that validation types. None: the settings that `toolkit.use`
        chose, otherwise the environment's.

    Returns
    -------
    Delivery
        All seven columns: text as ``str``, ``updated_at`` in UTC microseconds, or object where a cell did not
        parse. The index ``source_row`` is the record's number in the file, header and blank lines counted; over the
        files of a folder it counts on, and `Delivery.place` names the file. Rows of Parquet, JSON, Arrow and a
        query count from 1, a frame's keep its index. A column that the source does not give is null and not in
        ``given``. Ragged and broken lines are in ``broken``.

    Raises
    ------
    ReadingError
        If the file is not a readable customer table, or a time names no zone and none is stated.
    MappingError
        If the mapping cannot be used, or does not fit the file.
    InputError
        If an argument is of another kind.

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
    rules = as_mapping(mapping, sheet=sheet, source=source)
    if constants:
        rules = rules.with_constants(constants)
    name = source_name(source)
    if (lying := table_of(source)) is not None:
        source = lying.first(MAX_ROWS + 1)
        if source.num_rows > MAX_ROWS:
            raise ReadingError(
                f"{name} has more than {MAX_ROWS:,} rows, which would all come into memory: give the table itself to "
                "validate, profile, diff or drift, which leave it in its engine, or name a query with fewer rows."
            )
    resource = current(settings).documented.resource
    choose = partial(choose_columns, mapping=rules, name=name, resource=resource)
    table = open_source(source, choose, mapping=rules, query=query)
    if not len(table.numbers) and not table.broken:
        raise ReadingError(f"{name} has a header and no rows below it: ask for the file again.")
    delivery = to_delivery(table, choose(table.header), rules, name, resource=resource)
    if said := rules.content():
        used = {"version": rules.version, "content": said, "header": list(map(str, table.header))}
        delivery = replace(delivery, mapping=used)
    if not isinstance(source, str | Path):
        return delivery
    how = {key: getattr(rules, key) for key in _HOW_OPENED}
    options = ("--mapping", mapping), ("--sheet", sheet), *(("--set", f"{c}={v}") for c, v in (constants or {}).items())
    asked = (str(source), *(str(part) for option in options if option[1] is not None for part in option))
    return replace(delivery, file={"path": str(Path(source).absolute()), "digest": table.digest, **how},
                   asked=() if isinstance(mapping, Mapping) else asked)  # fmt: skip


def read_again(delivery: Delivery, rows: pd.Index[Any]) -> pd.DataFrame | None:
    """Return the columns of a delivery's file that are not customers' columns, for some rows, index ``source_row``.

    None if the delivery has no file, or the file is gone or has changed since.
    """
    if not delivery.file:
        return None
    mapped = set(delivery.names.values())

    def others(header: Sequence[str]) -> dict[str, int]:
        if not mapped.issubset(header):
            raise MappingError("The header is another one.")
        rest = [(at, name) for at, name in enumerate(header) if name.strip() and name not in mapped]
        return {f"{name} ({at + 1})" if header.count(name) > 1 else name: at for at, name in rest}

    try:
        form = Mapping(**{key: delivery.file[key] for key in _HOW_OPENED})
        table = open_source(delivery.file["path"], others, mapping=form)
        if table.digest != delivery.file["digest"]:
            return None
    except InputError:
        return None
    places = np.flatnonzero(np.isin(table.numbers, rows))
    cells = {name: table.cells.column(name).take(places).to_pandas() for name in table.cells.column_names}
    return pd.DataFrame(cells, index=range(len(places))).set_axis(table.numbers[places])


def as_mapping(mapping: Mapping | str | Path | None, *, sheet: str | None = None, source: Source = None) -> Mapping:
    """Return the mapping, or that of a TOML file, with this sheet; without one, a mapping that states nothing else.

    Raises
    ------
    InputError
        If a sheet is given, and the source is no workbook.
    """
    path = Path(source) if isinstance(source, str | Path) else None
    if sheet is not None and not (path and (path.is_dir() or _kind(path)[0] in EXCEL)):
        raise InputError(f"{source_name(source)} is no workbook, and has no sheets: leave out the sheet.")
    found = mapping if isinstance(mapping, Mapping) else Mapping() if mapping is None else Mapping.load(mapping)
    return found if sheet is None else replace(found, sheet=sheet)


def source_name(source: Source) -> str:
    """Return the name of a source in messages.

    Examples
    --------
    >>> source_name("exports/crm.csv"), source_name(pd.DataFrame())
    ('crm.csv', 'frame')
    """
    if isinstance(source, str | Path):
        return Path(source).name or str(source)
    if isinstance(source, pd.DataFrame):
        return "frame"
    if (lying := table_of(source)) is not None:
        return lying.name
    return "table" if hasattr(source, "__arrow_c_stream__") else "query"


@dataclass(frozen=True)
class Start:
    """The start of a file, before anything is mapped.

    Attributes
    ----------
    kind, n_bytes
        What it is, as an ending, and its size.
    records
        The first records, cell by cell; none of JSON and Parquet, whose columns have names.
    encoding, known_by, delimiter
        Of a text file; in words, how its encoding is known, such as ``cp1252, assumed``.
    warnings
        What is probably wrong with the encoding.
    sheets
        Of a workbook: each sheet with what it is, in words.
    """

    kind: str
    n_bytes: int
    records: list[list[str]] = field(default_factory=list)
    encoding: str = ""
    known_by: str = ""
    delimiter: str = ""
    warnings: tuple[str, ...] = ()
    sheets: list[tuple[str, str]] = field(default_factory=list)


def read_start(path: str | Path, mapping: Mapping, *, n: int = 12) -> Start:
    """Return the start of a file: its first `n` records, and what there is to choose from.

    Parameters
    ----------
    mapping
        For what is stated already: encoding, delimiter, and the sheet whose records are wanted.

    Raises
    ------
    ReadingError
        If the file cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        return Start("", 0)
    kind, n_bytes = _kind(path)[0], path.stat().st_size
    if kind in TEXT:
        found, delimiter, records = first_records(path, mapping.encoding, mapping.delimiter, n)
        return Start(kind, n_bytes, records, found.name, found.note, delimiter, found.warnings)
    if kind in EXCEL:
        sheets, records = first_rows(path, mapping.sheet, n)
        return Start(kind, n_bytes, records, sheets=sheets)
    return Start(kind, n_bytes)


def readable_files(folder: str | Path) -> list[Path]:
    """Return the files of a folder that can be read by their endings, the last changed first."""
    found = (p for p in Path(folder).iterdir() if not p.name.startswith((".", "~$")) and kind_of(p) in ENDINGS)
    return sorted((p for p in found if p.is_file()), key=lambda p: p.stat().st_mtime, reverse=True)


# --- a source becomes a table of text


def open_source(
    source: Source, choose: Choose, *, mapping: Mapping, query: Any = None, fit: Fit | None = None
) -> Table:
    """Read the wanted columns of a source as text.

    The content of a file outranks its ending: a workbook named .csv is read as a workbook, and a note says so.

    Parameters
    ----------
    choose
        From the header to the columns that are wanted and their positions.
    mapping
        For what the source alone does not say: encoding, delimiter, sheet, the header's row.
    query
        SQL, where the source is a connection.
    fit
        How well the header of a workbook's sheet fits, as `read_excel` takes it.

    Raises
    ------
    ReadingError
        If the source is not a readable table.
    """
    if isinstance(source, pd.DataFrame):
        return read_frame(source, choose)
    if hasattr(source, "__arrow_c_stream__"):
        return read_stream(source, choose)
    if not isinstance(source, str | Path):
        if not hasattr(source, "connect") and not hasattr(source, "exec_driver_sql"):
            wanted = "a file, a folder, a frame, an Arrow table or an SQLAlchemy connection"
            call = "pd.DataFrame(rows)" if isinstance(source, list | dict) else 'Path("customers.csv")'
            raise wrong_kind(source, wanted, call)
        return read_query(source, query, choose)
    path = Path(source)
    read = partial(_read_file, choose=choose, mapping=mapping, fit=fit)
    return read_parts(path, ENDINGS, read) if path.is_dir() else read(path)


def _read_file(path: Path, choose: Choose, mapping: Mapping, fit: Fit | None) -> Table:
    kind, note = _kind(path)
    if kind in TEXT:
        table = read_csv(
            path, choose, encoding=mapping.encoding, delimiter=mapping.delimiter, header_row=mapping.header_row
        )
    elif kind in EXCEL:
        table = read_excel(path, choose, sheet=mapping.sheet, header_row=mapping.header_row, fit=fit)
    elif kind in JSON:
        table = read_json(path, choose, encoding=mapping.encoding, lines=kind != ".json")
    else:
        table = read_parquet(path, choose)
    return replace(table, notes=(note, *table.notes)) if note else table


def _kind(path: Path) -> tuple[str, str]:
    """Return what a file is, as an ending, and a note if that is not its own.

    Raises
    ------
    ReadingError
        If it is missing, empty, not permitted, or of a kind that is not read.
    """
    kind = kind_of(path)
    if "\0" in str(path):
        raise ReadingError("The path contains a NUL, which no file's name has: check the path.")
    if path.exists() and not path.is_file():
        raise ReadingError(f"{path.name} is a pipe or a device: save its content in a file, and give that.")
    with opened(path), path.open("rb") as file:
        start = file.read(512)
    if kind not in ENDINGS:
        raise ReadingError(
            f"{path.name} cannot be read: {path.suffix or 'a file without an ending'} is not read. Save it as .xlsx or "
            f".csv, or give it the ending of what it is: {', '.join(ENDINGS)}."
        )
    if not start:
        raise ReadingError(f"{path.name} is empty: ask for the file again, or check the export.")
    is_workbook = start.startswith((ZIP, OLE))
    if is_workbook == (kind in EXCEL):
        return kind, ""
    if is_workbook:
        return ".xlsx", f"a workbook, though its ending is {path.suffix}"
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise ReadingError(
            f"{path.name} is a web page or XML, whatever its ending: open it in Excel and save it again as .xlsx."
        )
    return ".csv", f"a text file, though its ending is {path.suffix}"


# --- a table of text becomes a delivery


def choose_columns(
    header: Sequence[str], *, mapping: Mapping, name: str, resource: Resource = CUSTOMER
) -> dict[str, int]:
    """Return where the wanted columns are: schema column, in the schema's order, to position.

    Raises
    ------
    MappingError
        If the mapping names a column that the schema or the source lacks.
    ReadingError
        If the source lacks a column of the key, or has two columns of one name.
    """
    mapping.require_columns(resource.names)
    if mapping.columns:
        wanted = {c: mapping.columns[c] for c in resource.names if c in mapping.columns}
        if lacking := [f for f in wanted.values() if f not in header]:
            hints = {f: did_you_mean(f, header)[2:] for f in lacking}
            which = ", ".join(f"{f!r} ({hint})" if hint else repr(f) for f, hint in hints.items())
            raise MappingError(
                f"{name} lacks columns that the mapping names: {which}. Fix [columns], or state where the header is: "
                "header_row in [format]."
            )
    else:
        names = {folded(cell) for cell in header}
        if not names.intersection(CUSTOMER.names):
            raise ReadingError(
                f"{name} has no header in row {mapping.header_row or 1}: no cell there is one of "
                f"{', '.join(CUSTOMER.names)}. If its columns have other names, name them in a mapping, in [columns]; "
                "suggest_mapping proposes one."
            )
        wanted = {c: c for c in resource.names if c in names and c not in mapping.constants}
    for column in (ID, TIME):
        if column not in wanted and column not in mapping.constants:
            advice = f"{column}, a key column{{}} Name it in the mapping, in [columns] or in [constants]."
            if mapping.columns:
                raise MappingError(f"{mapping.name} names no column for {advice.format('.')}")
            near = did_you_mean(column, map(folded, header)) or "."
            raise ReadingError(f"{name} lacks the column {advice.format(near)}")
    return {column: _place(stated, header, name) for column, stated in wanted.items()}


def folded(name: str) -> str:
    """Return a column's name as names are compared: in any case, without outer spaces."""
    return name.strip().casefold()


def _place(column: str, header: Sequence[str], name: str) -> int:
    found = [i for i, cell in enumerate(header) if folded(cell) == folded(column)]
    if len(found) > 1:
        which = " and ".join(f"{header[i]!r} (column {i + 1})" for i in found)
        raise ReadingError(
            f"{name} has {len(found)} columns of one name, {which}: rename all but one, or do not export them."
        )
    return found[0]


def to_delivery(
    table: Table, wanted: dict[str, int], mapping: Mapping, name: str, *, resource: Resource = CUSTOMER
) -> Delivery:
    """Type a table of text by the schema, as the mapping says."""
    given = tuple(c for c in resource.names if c in wanted or c in mapping.constants)
    index = pd.Index(table.numbers, dtype="int64", name="source_row")
    columns: dict[str, pd.Series[Any]] = {}
    other = None
    for column in resource.names:
        if column in mapping.constants:
            columns[column] = _constant(column, mapping, len(index))
        elif column == TIME:
            columns[column], other = _times(
                _as_stated(table.cells.column(column), mapping, column), table, mapping, name
            )
        elif column in wanted:
            columns[column] = _text(_as_stated(table.cells.column(column), mapping, column))
        elif column in CUSTOMER.names:
            columns[column] = _text(pa.nulls(len(index), pa.large_string()))
    frame = pd.DataFrame(columns).set_axis(index)
    used = set(wanted.values())
    left_out = [name for i, name in enumerate(table.header) if i not in used and name.strip()]
    return Delivery(
        frame,
        source=name,
        given=given,
        names={
            c: table.header[at] for c, at in sorted(wanted.items(), key=lambda pair: pair[1])
        },  # in the file's order
        broken=table.broken_frame(),
        keep=tuple(c for c in given if mapping.empty.get(c) == "keep"),
        other_pattern=other,
        notes=(*table.notes, *([f"columns left out: {', '.join(left_out)}"] if left_out else [])),
        **{key: getattr(table, key) for key in ("digest", "parts", "warnings")},
        **{key: getattr(mapping, key) for key in _KEPT},
    )


def _text(cells: pa.Array | pa.ChunkedArray) -> pd.Series[Any]:
    return pd.Series(cells, dtype="str")


def _as_stated(cells: pa.Array | pa.ChunkedArray, mapping: Mapping, column: str = "") -> pa.Array | pa.ChunkedArray:
    """Return cells with the words that the mapping gives another value, and null where it says so."""
    if words := mapping.values.get(column):
        at = pc.index_in(cells, value_set=pa.array(list(words), cells.type))
        cells = pc.coalesce(pc.take(pa.array(list(words.values()), cells.type), at), cells)
    null = pc.equal(pc.binary_length(cells), 0)
    if mapping.nulls:
        null = pc.or_(null, pc.is_in(cells, value_set=pa.array(mapping.nulls, cells.type)))
    return pc.if_else(null, pa.scalar(None, cells.type), cells) if pc.any(null).as_py() else cells


def _constant(column: str, mapping: Mapping, n_rows: int) -> pd.Series[Any]:
    cell = _as_stated(pa.array([mapping.constants[column]], pa.large_string()), mapping)
    if column != TIME:
        return _text(pa.repeat(cell[0], n_rows))
    stated = pa.chunked_array([cell])
    times = parse_times(stated, pattern=mapping.datetime, timezone=mapping.timezone, iso_too=True)
    if times.naive[0]:
        raise MappingError(
            f"{mapping.name}: the constant {column} names no time zone: end it in Z for UTC, or write "
            'timezone = "Europe/Berlin" (or your zone) in [format].'
        )
    if pd.isna(times.values[0]):
        raise MappingError(f"{mapping.name}: the constant {column} is not a time: write it as 2025-01-28T10:00:00Z.")
    return times.values.repeat(n_rows).reset_index(drop=True)


def _times(cells: pa.ChunkedArray, table: Table, mapping: Mapping, name: str) -> tuple[pd.Series[Any], str | None]:
    """Return a column as times, with its unread cells as text, and another pattern if that reads all of them."""
    times = parse_times(cells, pattern=mapping.datetime, timezone=mapping.timezone, iso_too=table.native_times)
    if times.naive.any():
        row = table.numbers[int(times.naive.argmax())]
        raise ReadingError(
            f"{name}: {TIME} names no time zone, first in row {row:,}. Only you can know which one it is: write "
            'timezone = "Europe/Berlin" (or your zone) in the mapping\'s [format].'
        )
    if not times.unparsed.any():
        return times.values, None
    values = times.values.astype(object)
    values[times.unparsed] = _text(cells)[times.unparsed].astype(object)
    return values, other_pattern(cells, times.unparsed, mapping.timezone)
