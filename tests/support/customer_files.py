"""Customer files of every kind for tests: the same rows, written in each format."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import xlwt
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import Table, TableCell, TableRow
from odf.text import P
from openpyxl import Workbook

from toolkit.model import CUSTOMER
from toolkit.reading import Table as TextTable

AT = "2025-01-28T10:00:00Z"
HEADER = ("customer_id", "updated_at", "customer_name", "customer_category")
ROWS = [
    ("00123", "2025-01-28T10:00:00Z", "Müller & Söhne", "TRUE"),
    ("1E5", "2025-01-29T10:00:00Z", "NA", ""),
    ("12345678901234567890", "2025-01-30T10:00:00Z", '=cmd|" /C calc"', "03/04/2026"),
]


def as_csv(path: Path, delimiter: str = ",") -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows([HEADER, *ROWS])


def as_gzip(path: Path) -> None:
    as_csv(path)
    path.write_bytes(gzip.compress(path.read_bytes()))


def as_json(path: Path) -> None:
    path.write_text(json.dumps([dict(zip(HEADER, row, strict=True)) for row in ROWS]), encoding="utf-8")


def as_body(path: Path) -> None:
    data = [dict(zip(HEADER, row, strict=True)) for row in ROWS]
    path.write_text(json.dumps({"solutionName": "QP_OOTB", "data": data, "operationType": "UPSERT"}), encoding="utf-8")


def as_lines(path: Path) -> None:
    text = "\n".join(json.dumps(dict(zip(HEADER, row, strict=True)), ensure_ascii=False) for row in ROWS)
    path.write_text(text, encoding="utf-8")


def as_parquet(path: Path) -> None:
    pq.write_table(pa.table(dict(zip(HEADER, map(list, zip(*ROWS, strict=True)), strict=True))), path)


def as_xlsx(path: Path) -> None:
    book = Workbook()
    assert book.active is not None
    for row in [HEADER, *ROWS]:
        book.active.append(list(row))
        for cell in book.active[book.active.max_row]:
            cell.data_type = "s" if cell.value else "n"
    book.save(path)


def as_xls(path: Path) -> None:
    book = xlwt.Workbook()
    sheet = book.add_sheet("Kunden")
    for i, row in enumerate([HEADER, *ROWS]):
        for j, text in enumerate(row):
            sheet.write(i, j, text)
    book.save(str(path))


def ods(path: Path, rows: list[list[TableCell]]) -> None:
    document = OpenDocumentSpreadsheet()
    table = Table(name="Kunden")
    for cells in rows:
        row = TableRow()
        for cell in cells:
            row.addElement(cell)
        table.addElement(row)
    document.spreadsheet.addElement(table)
    document.save(str(path))


def ods_text(text: str, **options: Any) -> TableCell:
    cell = TableCell(valuetype="string", **options)
    cell.addElement(P(text=text))
    return cell


def as_ods(path: Path) -> None:
    ods(path, [[ods_text(text) if text else TableCell() for text in row] for row in [HEADER, *ROWS]])


WRITERS: dict[str, tuple[Callable[[Path], None], int]] = {
    "crm.csv": (as_csv, 2),
    "crm.tsv": (lambda path: as_csv(path, "\t"), 2),
    "crm.csv.gz": (as_gzip, 2),
    "packed.csv": (as_gzip, 2),  # whatever its name
    "crm.json": (as_json, 1),
    "body.json": (as_body, 1),
    "crm.jsonl": (as_lines, 1),
    "crm.parquet": (as_parquet, 1),
    "crm.xlsx": (as_xlsx, 2),
    "workbook.csv": (as_xlsx, 2),
    "crm.xls": (as_xls, 2),
    "text.xls": (as_csv, 2),
    "crm.ods": (as_ods, 2),
}


# --- three text columns, for the readers of a single format

WIDTH = 3
TEXTS = CUSTOMER.names[:1] + CUSTOMER.names[2:4]


def every_column(header: Sequence[str]) -> dict[str, int]:
    """Want the first three columns, whatever they are called."""
    return {column: at for at, column in enumerate(TEXTS)}


def rows_of(table: TextTable) -> list[list[str]]:
    return [list(row) for row in zip(*(c.to_pylist() for c in table.cells.columns), strict=True)]


def write_rows(path: Path, rows: Sequence[Sequence[str]]) -> None:
    """Write a .csv, and the folder around it."""
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
