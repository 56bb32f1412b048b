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

from tests.support.cases import CASES
from tests.support.customer_files import AT, HEADER, ROWS, TEXTS, every_column, ods, ods_text, rows_of
from toolkit.errors import MappingError, ReadingError
from toolkit.quality import validate
from toolkit.reading import Mapping, read_customers, read_excel, suggest_mapping


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


# --- what Excel opens, and which sheet


@pytest.mark.parametrize("form", ["backslashes", "relative_target", "strict", "workbook_at_root"])
def test_what_excel_opens_is_read(form: str) -> None:
    delivery = read_customers(CASES / f"F11_{form}.xlsx")
    assert delivery.frame[["customer_id", "customer_name"]].to_numpy().tolist() == [["00123", "Acme"]]
    assert delivery.notes[0] == "sheet Sheet"


@pytest.mark.parametrize("ending", ["xls", "ods"])
def test_a_password_is_named_in_every_format(ending: str) -> None:
    with pytest.raises(ReadingError, match=rf"^F12_password\.{ending} is protected by a password: save it without one"):
        read_customers(CASES / f"F12_password.{ending}")


def test_an_xls_file_with_a_code_page_is_read() -> None:
    frame = read_customers(CASES / "F13_xls_codepage_1252.xls").frame
    assert frame[["customer_id", "customer_name"]].to_numpy().tolist() == [["00123", "Acme"]]


def test_an_ods_file_keeps_line_breaks_tabs_and_errors() -> None:
    frame = read_customers(CASES / "F08_line_break_and_tab.ods").frame
    assert frame["customer_name"].tolist() == ["Acme\nBerlin", "Bolt\tKG"]
    delivery = read_customers(CASES / "F08_error_cell.ods")
    assert delivery.frame["customer_name"].tolist() == ["#N/A"]
    assert "customer_name: the Excel error #N/A (first in row 2)" in delivery.notes
    assert "excel_error" in validate(delivery).warnings["check"].tolist()  # as in .xlsx


def test_a_hidden_sheet_is_read_only_if_it_is_named() -> None:
    path = CASES / "F06_hidden_first_sheet.xlsx"
    delivery = read_customers(path)
    assert delivery.frame["customer_id"].tolist() == ["N1"]
    assert delivery.notes[:2] == (
        "sheet Customers, the first visible one whose header fits",
        "hidden sheet old with 2 rows was not read",
    )
    assert read_customers(path, sheet="old").frame["customer_id"].tolist() == ["OLD1"]


def test_a_filled_sheet_that_is_not_read_is_named() -> None:
    path = CASES / "F06_second_sheet_left_out.xlsx"
    assert read_customers(path).notes[:2] == ("sheet A-M", "sheet N-Z with 2 rows was not read")
    second = read_customers(path, sheet="N-Z")
    assert (second.frame["customer_id"].tolist(), second.notes[0]) == (["N2"], "sheet N-Z")
    assert not [note for note in second.notes if "not read" in note]


def test_a_cover_sheet_is_passed_over() -> None:
    path = CASES / "F16_cover_sheet_first.xlsx"
    delivery = read_customers(path)
    assert delivery.frame["customer_id"].tolist() == ["N1"]
    assert "sheet Cover with 2 rows was not read" in delivery.notes
    proposed = suggest_mapping(path)
    assert set(proposed.columns) == {"customer_id", "updated_at", "customer_name"}
    assert proposed.notes[:2] == (
        "sheet Customers, the first visible one whose header fits",
        "sheet Cover with 2 rows was not read",
    )
    assert suggest_mapping(path, sheet="Cover").columns == {}


def test_a_stated_sheet_outranks_the_mappings_and_one_that_is_missing_names_the_others() -> None:
    path = CASES / "F06_second_sheet_left_out.xlsx"
    mapping = Mapping(sheet="A-M")
    assert read_customers(path, mapping=mapping, sheet="N-Z").frame["customer_id"].tolist() == ["N2"]
    for read in (read_customers, suggest_mapping):
        with pytest.raises(MappingError, match=r"has no sheet 'N-Y', did you mean 'N-Z'\? It has A-M, N-Z\."):
            read(path, mapping=mapping, sheet="N-Y")


def test_where_no_header_fits_every_sheet_is_named_with_its_own() -> None:
    mapping = Mapping(columns={"customer_id": "Nummer", "updated_at": "updated_at"})
    said = r"'A-M' begins with 'customer_id', 'updated_at'.*; 'N-Z' begins with .*Of 'A-M': .*lacks columns .*'Nummer'"
    with pytest.raises(ReadingError, match=said):
        read_customers(CASES / "F06_second_sheet_left_out.xlsx", mapping=mapping)


def test_the_sheet_with_the_most_columns_recognised_is_suggested(tmp_path: Path) -> None:
    book = Workbook()
    assert book.active is not None
    book.active.append(["Firma", "Notiz"])
    book.active.append(["Acme", "x"])
    book.create_sheet("Stamm").append(["Kundennummer", "Firma", "Geändert am"])
    book["Stamm"].append(["007", "Acme", AT])
    book.save(tmp_path / "crm.xlsx")
    assert set(suggest_mapping(tmp_path / "crm.xlsx").columns) == {"customer_id", "customer_name", "updated_at"}


@pytest.mark.parametrize("name", ["a_space_ref.xlsx", "crash_2.xls", "e3_redos_small.xlsx"])
def test_a_hostile_workbook_is_read_or_refused_in_one_sentence(name: str) -> None:
    path = CASES / "hostile" / name
    if name == "a_space_ref.xlsx":
        assert read_customers(path).frame["customer_id"].dropna().tolist() == ["C1"]
    else:
        with pytest.raises(ReadingError, match=rf"^{name} is damaged, not a workbook, or needs more than 2 GB"):
            read_customers(path)


def test_a_formula_in_a_column_that_is_not_wanted_is_no_matter(tmp_path: Path) -> None:
    book = Workbook()
    assert book.active is not None
    book.active.append([*HEADER[:3], "Summe"])
    book.active.append(["1", AT, "a", "=1+1"])
    book.save(tmp_path / "crm.xlsx")
    assert read_customers(tmp_path / "crm.xlsx").frame["customer_id"].tolist() == ["1"]
