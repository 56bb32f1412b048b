"""open_source(): whatever a customer table comes in, as a table of text with the place of every row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from toolkit.errors import ReadingError
from toolkit.mapping import Mapping
from toolkit.sources import OLE, ZIP, Choose, Table, opened
from toolkit.sources_csv import read_csv
from toolkit.sources_excel import read_excel
from toolkit.sources_json import read_json
from toolkit.sources_parts import kind_of, read_parts
from toolkit.sources_typed import read_frame, read_parquet, read_query

TEXT = (".csv", ".tsv", ".txt")
EXCEL = (".xlsx", ".xlsm", ".xls", ".ods")
JSON = (".json", ".jsonl", ".ndjson")
PARQUET = (".parquet",)
ENDINGS = (*TEXT, *EXCEL, *JSON, *PARQUET)
"""What is read, each of TEXT and JSON packed by gzip as well."""

Source = str | Path | pd.DataFrame | Any
"""A file, a folder of part-files, a frame, or an SQLAlchemy connection or engine."""


def open_source(source: Source, choose: Choose, *, mapping: Mapping, query: Any = None) -> Table:
    """Read the wanted columns of a source as text.

    What a file holds outranks its ending: a workbook named .csv is read as a workbook, and a note says so.

    Parameters
    ----------
    choose
        Told the header, says which columns are wanted: a name of one's own to the column's position.
    mapping
        For what cannot be told from the source alone: encoding, delimiter, sheet, the header's row.
    query
        SQL, where the source is a connection.

    Raises
    ------
    ReadingError
        If the source is not a readable table.
    """
    if isinstance(source, pd.DataFrame):
        return read_frame(source, choose)
    if not isinstance(source, str | Path):
        return read_query(source, query, choose)
    path = Path(source)

    def read(file: Path, header_row: int | None, header: Sequence[str] | None) -> Table:
        return _read_file(file, choose, mapping, header_row, header)

    if path.is_dir():
        return read_parts(path, ENDINGS, read, choose, header_row=mapping.header_row)
    return read(path, mapping.header_row, None)


def source_name(source: Source) -> str:
    """Return how a message calls a source.

    Examples
    --------
    >>> source_name("exports/crm.csv"), source_name(pd.DataFrame())
    ('crm.csv', 'frame')
    """
    if isinstance(source, str | Path):
        return Path(source).name or str(source)
    return "frame" if isinstance(source, pd.DataFrame) else "query"


def _read_file(
    path: Path, choose: Choose, mapping: Mapping, header_row: int | None, header: Sequence[str] | None
) -> Table:
    kind, note = _kind(path)
    if header is not None and kind not in TEXT:
        raise ReadingError(f"{path.name} has other columns than the first file of the folder.")
    if kind in TEXT:
        table = read_csv(
            path, choose, encoding=mapping.encoding, delimiter=mapping.delimiter, header_row=header_row, header=header
        )
    elif kind in EXCEL:
        table = read_excel(path, choose, sheet=mapping.sheet, header_row=header_row)
    elif kind in JSON:
        table = read_json(path, choose, encoding=mapping.encoding, lines=kind != ".json")
    else:
        table = read_parquet(path, choose)
    return replace(table, notes=(note, *table.notes)) if note else table


def _kind(path: Path) -> tuple[str, str]:
    """Return what a file is, as an ending, and a note where that is not its own.

    Raises
    ------
    ReadingError
        If it is missing, empty, not permitted, or of a kind that is not read.
    """
    kind = kind_of(path)
    with opened(path):
        if kind not in ENDINGS and path.exists():
            raise ReadingError(
                f"{path.name} cannot be read: {path.suffix or 'a file without an ending'} is not read. Save it as "
                f".xlsx or .csv, or give it the ending of what it is: {', '.join(ENDINGS)}."
            )
        with path.open("rb") as file:
            start = file.read(512)
    if not start:
        raise ReadingError(f"{path.name} is empty: ask for the file again, or check the export.")
    if start.startswith((ZIP, OLE)) and kind not in EXCEL:
        return ".xlsx", f"a workbook, though its ending is {path.suffix}"
    if kind in EXCEL and not start.startswith((ZIP, OLE)):
        if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
            raise ReadingError(
                f"{path.name} is a web page or XML, whatever its ending: open it in Excel and save it anew as .xlsx."
            )
        return ".csv", f"a text file, though its ending is {path.suffix}"
    return kind, ""
