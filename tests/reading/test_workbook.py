"""A worksheet: no digit is lost, rows keep their numbers, and what the file does not contain is in a note."""

from __future__ import annotations

import datetime as dt
import hashlib
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import xlwt
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import CoveredTableCell, Table, TableCell, TableRow
from openpyxl import Workbook

from tests.support.customer_files import AT, HEADER, ROWS, TEXTS, every_column, ods, ods_text, rows_of
from toolkit.errors import MappingError, ReadingError
from toolkit.reading import Mapping, read_customers, read_excel


def workbook(tmp_path: Path, rows: list[list[Any]], *, formats: dict[str, str] | None = None) -> Path:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Kunden"
    for row in rows:
        sheet.append(row)
    for place, form in (formats or {}).items():
        sheet[place].number_format = form
    book.create_sheet("Other").append(["elsewhere"])
    path = tmp_path / "crm.xlsx"
    book.save(path)
    return path


def test_excel_values_become_text_without_loss(tmp_path: Path) -> None:
    path = workbook(
        tmp_path,
        [
            list(TEXTS),
            [123, 0.5, True],
            [],
            ["00123", " stray ", dt.datetime(2025, 1, 28, 10, 30)],
            [7, -5, dt.date(2025, 1, 28)],
        ],
        formats={"A2": "00000", "A5": "0", "B5": "#,##0"},
    )
    table = read_excel(path, every_column)
    assert rows_of(table) == [
        ["00123", "0.5", "TRUE"],
        ["00123", " stray ", "2025-01-28T10:30:00"],
        ["7", "-5", "2025-01-28"],
    ]
    assert table.numbers.tolist() == [2, 4, 5]
    assert table.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert table.notes == (
        "sheet Kunden",
        "sheet Other with 1 row was not read",
        "customer_name: numbers shown as #,##0, read as plain digits (first in row 5)",
        "customer_category: logical values, read as TRUE and FALSE (first in row 2)",
        "customer_category: dates, read as ISO 8601 (2 cells, first in row 4)",
    )


def test_digits_that_excel_lost_are_noted(tmp_path: Path) -> None:
    table = read_excel(workbook(tmp_path, [list(TEXTS), [12345678901234567, "a", "b"]]), every_column)
    assert "customer_id: numbers of more than 15 digits, which Excel rounds (first in row 2)" in table.notes


def test_an_error_in_a_cell_is_not_an_empty_cell(tmp_path: Path) -> None:
    table = read_excel(workbook(tmp_path, [list(TEXTS), ["1", "#N/A", "b"]]), every_column)
    assert rows_of(table) == [["1", "#N/A", "b"]]
    assert table.notes[-1] == "customer_name: the Excel error #N/A (first in row 2)"


def test_a_sheet_goes_by_its_name_and_a_header_by_its_row(tmp_path: Path) -> None:
    path = workbook(tmp_path, [["Report"], [], list(TEXTS), ["1", "a", "b"]])
    assert read_excel(path, every_column, sheet="Kunden", header_row=3).numbers.tolist() == [4]
    with pytest.raises(MappingError, match=r"no sheet 'Kundn', did you mean 'Kunden'\? It has Kunden, Other"):
        read_excel(path, every_column, sheet="Kundn")
    with pytest.raises(ReadingError, match="no header in row 2"):
        read_excel(path, every_column, header_row=2)
    with pytest.raises(ReadingError, match="no header in row 99"):
        read_excel(path, every_column, header_row=99)


@pytest.mark.parametrize(
    ("data", "advice"),
    [
        (b"id;name\n1;a\n", "not a workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "damaged"),
        (b"PK\x03\x04 cut short", "damaged"),
    ],
)
def test_a_file_that_is_no_workbook_is_refused(tmp_path: Path, data: bytes, advice: str) -> None:
    path = tmp_path / "crm.xlsx"
    path.write_bytes(data)
    with pytest.raises(ReadingError, match=rf"crm\.xlsx.*{advice}"):
        read_excel(path, every_column)


def test_a_zip_without_a_workbook_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "crm.xlsx", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(ReadingError, match=r"a \.zip without a workbook in it"):
        read_excel(tmp_path / "crm.xlsx", every_column)


def test_a_formula_without_a_result_sets_its_row_aside(tmp_path: Path) -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in [HEADER[:3], ["1", AT, "=A2"], ["2", AT, "b"]]:
        sheet.append(list(row))
    book.save(tmp_path / "crm.xlsx")
    delivery = read_customers(tmp_path / "crm.xlsx")
    assert delivery.frame["customer_id"].to_dict() == {3: "2"}
    assert delivery.broken.loc[2, "customer_id"] == "1"
    assert delivery.broken.loc[2, "reason"].startswith("customer_name is a formula whose result is not in the file")


def test_merged_areas_and_hidden_rows_are_noted(tmp_path: Path) -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in [HEADER, *[[f"{i}", AT, "a", "Retail"] for i in range(5)]]:
        sheet.append(list(row))
    sheet.merge_cells("D3:D5")
    sheet.row_dimensions[4].hidden = True
    book.save(tmp_path / "crm.xlsx")
    notes = read_customers(tmp_path / "crm.xlsx").notes
    assert "1 merged area: only its first cell has the value (first in row 3)" in notes
    assert "1 hidden row, read like the others (first row 4)" in notes


def test_what_an_xls_file_does_not_say_is_noted(tmp_path: Path) -> None:
    book = xlwt.Workbook()
    sheet = book.add_sheet("Kunden")
    for j, name in enumerate(HEADER):
        sheet.write(0, j, name)
    sheet.write(1, 0, 123, xlwt.easyxf(num_format_str="00000"))
    sheet.write(1, 1, dt.datetime(2025, 1, 28, 10, 0), xlwt.easyxf(num_format_str="yyyy-mm-dd"))
    book.save(str(tmp_path / "crm.xls"))
    delivery = read_customers(tmp_path / "crm.xls", mapping=Mapping(timezone="UTC"))
    assert delivery.frame["customer_id"].tolist() == ["123"]
    assert delivery.frame["updated_at"].tolist() == [pd.Timestamp(AT)]
    assert "an .xls file: errors such as #N/A are read as empty cells, hidden rows like the others" in delivery.notes
    assert any(n.startswith("customer_id: numbers, read as plain digits: .xls") for n in delivery.notes)


@pytest.mark.parametrize("part", ["worksheets/sheet1.xml", "worksheets/SHEET1.xml", "worksheets\\sheet1.xml"])
def test_a_stray_cell_far_out_costs_nothing_and_is_a_row(tmp_path: Path, part: str) -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in [HEADER, *ROWS]:
        sheet.append(list(row))
    sheet["XFD1048576"] = "x"
    book.save(tmp_path / "plain.xlsx")
    with zipfile.ZipFile(tmp_path / "plain.xlsx") as plain, zipfile.ZipFile(tmp_path / "crm.xlsx", "w") as archive:
        for name in plain.namelist():
            archive.writestr(zipfile.ZipInfo(name.replace("worksheets/sheet1.xml", part)), plain.read(name))
    frame = read_customers(tmp_path / "crm.xlsx").frame
    assert frame.index.tolist() == [2, 3, 1_048_576]  # row 4 has a formula without a result
    assert frame.iloc[-1].isna().all()


def test_an_ods_cell_may_stand_for_many_but_not_for_billions(tmp_path: Path) -> None:
    document = OpenDocumentSpreadsheet()
    table = Table(name="Kunden")
    for cells in [HEADER, *ROWS]:
        row = TableRow()
        for text in cells:
            row.addElement(ods_text(text))
        table.addElement(row)
    rest = TableRow(numberrowsrepeated=1_048_000)
    rest.addElement(TableCell(numbercolumnsrepeated=16_384))
    table.addElement(rest)
    document.spreadsheet.addElement(table)
    document.save(str(tmp_path / "crm.ods"))
    assert read_customers(tmp_path / "crm.ods").n_rows == 3
    bomb = TableRow(numberrowsrepeated=1_000_000)
    bomb.addElement(ods_text("x", numbercolumnsrepeated=16_384))
    table.addElement(bomb)
    document.save(str(tmp_path / "bomb.ods"))
    with pytest.raises(ReadingError, match=r"bomb\.ods has more than 20,000,000 filled cells"):
        read_customers(tmp_path / "bomb.ods")


def test_covered_cells_of_an_ods_keep_their_places(tmp_path: Path) -> None:
    ods(
        tmp_path / "crm.ods",
        [
            [ods_text(name) for name in HEADER],
            [ods_text("1", numbercolumnsspanned=2), CoveredTableCell(), ods_text("a"), ods_text("b")],
            [ods_text("2"), ods_text(AT), ods_text("c"), ods_text("d")],
        ],
    )
    frame = read_customers(tmp_path / "crm.ods").frame
    assert frame["customer_name"].tolist() == ["a", "c"]
    assert frame["updated_at"].isna().tolist() == [True, False]
