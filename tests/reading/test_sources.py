"""One table, whatever it comes in: every source gives the same cells, each with its place."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy
import xlwt
from hypothesis import given, settings
from hypothesis import strategies as st
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import CoveredTableCell, Table, TableCell, TableRow
from odf.text import P
from openpyxl import Workbook

from toolkit.errors import InputError, MappingError, ReadingError
from toolkit.reading.customers import read_customers
from toolkit.reading.mapping import Mapping

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


@pytest.mark.parametrize("name", WRITERS)
def test_every_source_gives_the_same_cells(tmp_path: Path, name: str) -> None:
    write, first = WRITERS[name]
    write(tmp_path / name)
    delivery = read_customers(tmp_path / name)
    frame = delivery.frame
    assert frame.index.tolist() == [first, first + 1, first + 2]
    for column, cells in zip(HEADER, zip(*ROWS, strict=True), strict=True):
        if column != "updated_at":
            assert frame[column].fillna("").tolist() == list(cells)
    assert frame["updated_at"].dt.day.tolist() == [28, 29, 30]
    assert delivery.source == name
    assert delivery.n_broken == 0


def test_what_a_file_is_outranks_its_ending_and_is_said(tmp_path: Path) -> None:
    as_xlsx(tmp_path / "crm.csv")
    assert read_customers(tmp_path / "crm.csv").notes[0] == "a workbook, though its ending is .csv"
    as_csv(tmp_path / "crm.xls")
    assert read_customers(tmp_path / "crm.xls").notes[0] == "a text file, though its ending is .xls"
    (tmp_path / "page.xls").write_text("<html><table><tr><td>customer_id</td></tr></table></html>", encoding="utf-8")
    with pytest.raises(ReadingError, match=r"page\.xls is a web page or XML.*save it anew as \.xlsx"):
        read_customers(tmp_path / "page.xls")


# --- the header is found


@pytest.mark.parametrize("name", ["crm.csv", "crm.xlsx"])
def test_a_header_below_titles_is_found_and_said(tmp_path: Path, name: str) -> None:
    rows = [["Customers of ACME, as of 3 May"], [], ["printed by", "SAP"], list(HEADER), *map(list, ROWS)]
    if name.endswith("csv"):
        with (tmp_path / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)
    else:
        book = Workbook()
        assert book.active is not None
        for row in rows[:5]:
            book.active.append(row)
        book.save(tmp_path / name)
    delivery = read_customers(tmp_path / name)
    assert delivery.frame.index[0] == 5
    assert "header in row 4, found" in delivery.notes
    with pytest.raises(ReadingError, match="no header in row 2"):
        read_customers(tmp_path / name, mapping=Mapping(header_row=2))
    with pytest.raises(MappingError, match=r"lacks columns .*'Nummer'.*header_row in \[format\]"):
        read_customers(tmp_path / name, mapping=Mapping(columns={"customer_id": "Nummer", "updated_at": "updated_at"}))


# --- folders


def part(folder: Path, name: str, rows: list[list[str]]) -> None:
    folder.mkdir(exist_ok=True)
    with (folder / name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def test_a_folder_is_one_table_and_each_row_keeps_its_place(tmp_path: Path) -> None:
    folder = tmp_path / "export"
    at = "2025-01-28T10:00:00Z"
    part(folder, "part-0.csv", [["customer_id", "updated_at", "customer_name"], ["1", at, "a"], ["2", at, "b", "c"]])
    part(folder, "part-1.csv", [["3", at, "c"], ["4", at, "d"]])  # no header of its own
    part(folder, "part-2.csv", [["customer_name", "customer_id", "updated_at"], ["e", "5", at], ["f", "6"]])
    (folder / "_SUCCESS").touch()
    (folder / ".crc").touch()
    delivery = read_customers(folder)
    assert delivery.frame["customer_id"].tolist() == ["1", "3", "4", "5"]
    assert delivery.frame["customer_name"].tolist() == ["a", "c", "d", "e"]
    assert [delivery.place(row) for row in delivery.frame.index] == [
        "part-0.csv row 2",
        "part-1.csv row 1",
        "part-1.csv row 2",
        "part-2.csv row 2",
    ]
    assert [delivery.place(row) for row in delivery.broken.index] == ["part-0.csv row 3", "part-2.csv row 3"]
    assert delivery.notes[0] == "3 files"
    assert delivery.source == "export"


def test_a_part_with_another_header_is_never_read_by_position(tmp_path: Path) -> None:
    folder = tmp_path / "export"
    at = "2025-01-28T10:00:00Z"
    header = ["customer_id", "customer_name", "updated_at"]
    part(folder, "a.csv", [header, ["1", "A SA", at]])
    part(folder, "b.csv", [["Name", "Customer", "Changed"], ["C SA", "003", at]])
    with pytest.raises(ReadingError, match=r"b\.csv has other columns than the first file"):
        read_customers(folder)
    part(folder, "b.csv", [["Export", "", ""], header, ["2", "B SA", at]])  # the header stands lower
    assert read_customers(folder).frame["customer_id"].tolist() == ["1", "2"]
    part(folder, "b.csv", [["3", "C SA", at]])
    delivery = read_customers(folder)
    assert delivery.frame["customer_id"].tolist() == ["1", "3"]
    assert any("b.csv: no header: its columns are taken to be" in note for note in delivery.notes)


def test_a_folder_of_other_tables_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "export"
    at = "2025-01-28T10:00:00Z"
    part(folder, "a.csv", [["customer_id", "updated_at", "customer_name"], ["1", at, "a"]])
    part(folder, "b.csv", [["quote_id", "product"], ["2", "x"]])
    with pytest.raises(ReadingError, match=r"b\.csv .*"):
        read_customers(folder)
    (folder / "b.csv").unlink()
    as_json(folder / "c.json")
    with pytest.raises(ReadingError, match=r"several kinds of files, \.csv and \.json"):
        read_customers(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ReadingError, match="without a file that can be read"):
        read_customers(tmp_path / "empty")


# --- frames and queries


def test_a_frame_keeps_its_index_and_its_types_lose_nothing() -> None:
    frame = pd.DataFrame(
        {
            "customer_id": [7, 12345678901234567],
            "updated_at": pd.to_datetime(["2025-01-28T10:00:00+02:00", "2025-01-28T10:00:00.5Z"], utc=True,
                                         format="ISO8601"),
            "customer_name": pd.Categorical(["a", None]),
            "customer_category": [1.5, float("nan")],
        },
        index=[10, 20],
    )  # fmt: skip
    delivery = read_customers(frame)
    assert delivery.frame.index.tolist() == [10, 20]
    assert delivery.frame["customer_id"].tolist() == ["7", "12345678901234567"]
    assert delivery.frame["updated_at"].tolist() == frame["updated_at"].tolist()
    assert delivery.frame["customer_name"].fillna("null").tolist() == ["a", "null"]
    assert delivery.frame["customer_category"].fillna("null").tolist() == ["1.5", "null"]
    again = read_customers(frame.set_axis(["x", "y"]))
    assert again.frame.index.tolist() == [0, 1]
    assert "by their place" in again.notes[0]


def test_a_naive_time_in_a_frame_is_not_guessed() -> None:
    frame = pd.DataFrame({"customer_id": ["1"], "updated_at": [pd.Timestamp("2025-07-01 10:00")]})
    with pytest.raises(ReadingError, match="frame: updated_at names no time zone"):
        read_customers(frame)
    times = read_customers(frame, mapping=Mapping(timezone="Europe/Berlin")).frame["updated_at"]
    assert times[0] == pd.Timestamp("2025-07-01T08:00:00Z")


def test_a_query_over_a_connection_is_read(tmp_path: Path) -> None:
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'crm.db'}")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE kunden (nr TEXT, geaendert TEXT, name TEXT, rabatt NUMERIC)")
        connection.exec_driver_sql("INSERT INTO kunden VALUES ('00123', '2025-01-28T10:00:00Z', NULL, 1.50)")
    mapping = Mapping(columns={"customer_id": "nr", "updated_at": "geaendert", "customer_name": "name"})
    for source in (engine, engine.connect()):
        delivery = read_customers(source, mapping=mapping, query="SELECT * FROM kunden ORDER BY nr")
        assert delivery.frame["customer_id"].to_dict() == {1: "00123"}
        assert delivery.frame["customer_name"].isna().all()
        assert delivery.source == "query"
    read = read_customers(engine, mapping=mapping, query=sqlalchemy.text("SELECT * FROM kunden"))
    assert read.n_rows == 1
    with pytest.raises(ReadingError, match="The query failed: no such table: kundn"):
        read_customers(engine, mapping=mapping, query="SELECT * FROM kundn")
    with pytest.raises(InputError, match="needs an SQLAlchemy connection"):
        read_customers(42, mapping=mapping, query="SELECT 1")
    with pytest.raises(InputError, match="query="):
        read_customers(engine, mapping=mapping)


# --- JSON


def test_json_that_is_no_table_sets_records_aside(tmp_path: Path) -> None:
    path = tmp_path / "crm.jsonl"
    at = "2025-01-28T10:00:00Z"
    lines = [
        {"customer_id": 123, "updated_at": at, "customer_name": 1.50},
        {"customer_id": "2", "updated_at": at, "customer_name": {"first": "x"}},
        {"customer_id": "3", "updated_at": at, "note": ["not wanted"]},
    ]
    path.write_text(
        "\n".join(map(json.dumps, lines))
        + '\n{"customer_id": "4", "customer_id": "5"}\n\nnot json\n[1]\n'
        + '{"customer_id": 1E5, "updated_at": "' + at + '", "customer_name": true}\n',
        encoding="utf-8",
    )  # fmt: skip
    delivery = read_customers(path)
    assert delivery.frame["customer_id"].to_dict() == {1: "123", 3: "3", 8: "1E5"}
    assert delivery.frame["customer_name"].fillna("null").tolist() == ["1.5", "null", "true"]
    assert delivery.broken["reason"].to_dict() == {
        2: "a cell holds a list or an object",
        4: "an object names a member twice",
        6: "the line is not JSON",
        7: "the record is not an object",
    }
    assert delivery.broken.loc[2, "customer_id"] == "2"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[{"customer_id": "1"}', "not JSON from line"),
        ('[{"customer_id": "1"}] x', "not JSON from line"),
        ('{"customer_id": "1"}\n{"customer_id": "2"}', r"give it the ending \.jsonl"),
        ('{"rows": []}', "holds no records"),
        ("3", "holds no records"),
        ("[" * 100_000, "not JSON"),
        ("[]", "no header"),
    ],
)
def test_json_that_holds_no_table_is_an_error(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "crm.json").write_text(text, encoding="utf-8")
    with pytest.raises(ReadingError, match=words):
        read_customers(tmp_path / "crm.json")


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=5), st.sampled_from([".json", ".jsonl", ".parquet"]))
def test_any_table_of_text_comes_back_from_json_and_parquet(table: list[tuple[str, str]], ending: str) -> None:
    at = "2025-01-28T10:00:00Z"
    frame = pd.DataFrame(table, columns=["customer_id", "customer_name"]).assign(updated_at=at)
    with TemporaryDirectory() as folder:
        path = Path(folder, f"crm{ending}")
        if ending == ".parquet":
            frame.to_parquet(path)
        else:
            frame.to_json(path, orient="records", lines=ending == ".jsonl", force_ascii=False)
        read = read_customers(path).frame
    assert read["customer_id"].fillna("").tolist() == [a for a, _ in table]
    assert read["customer_name"].fillna("").tolist() == [b for _, b in table]


# --- what a workbook does not tell


def test_a_formula_without_a_result_sets_its_row_aside(tmp_path: Path) -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in [HEADER[:3], ["1", "2025-01-28T10:00:00Z", "=A2"], ["2", "2025-01-28T10:00:00Z", "b"]]:
        sheet.append(list(row))
    book.save(tmp_path / "crm.xlsx")
    delivery = read_customers(tmp_path / "crm.xlsx")
    assert delivery.frame["customer_id"].to_dict() == {3: "2"}
    assert delivery.broken.loc[2, "customer_id"] == "1"
    assert delivery.broken.loc[2, "reason"].startswith("customer_name is a formula whose result the file does not hold")


def test_merged_areas_and_hidden_rows_are_said(tmp_path: Path) -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in [HEADER, *[[f"{i}", "2025-01-28T10:00:00Z", "a", "Retail"] for i in range(5)]]:
        sheet.append(list(row))
    sheet.merge_cells("D3:D5")
    sheet.row_dimensions[4].hidden = True
    book.save(tmp_path / "crm.xlsx")
    notes = read_customers(tmp_path / "crm.xlsx").notes
    assert "1 merged area: only its first cell holds the value (first in row 3)" in notes
    assert "1 hidden row, read like the others (first row 4)" in notes


def test_what_old_formats_do_not_tell_is_said(tmp_path: Path) -> None:
    book = xlwt.Workbook()
    sheet = book.add_sheet("Kunden")
    for j, name in enumerate(HEADER):
        sheet.write(0, j, name)
    sheet.write(1, 0, 123, xlwt.easyxf(num_format_str="00000"))
    sheet.write(1, 1, dt.datetime(2025, 1, 28, 10, 0), xlwt.easyxf(num_format_str="yyyy-mm-dd"))
    book.save(str(tmp_path / "crm.xls"))
    delivery = read_customers(tmp_path / "crm.xls", mapping=Mapping(timezone="UTC"))
    assert delivery.frame["customer_id"].tolist() == ["123"]
    assert delivery.frame["updated_at"].tolist() == [pd.Timestamp("2025-01-28T10:00:00Z")]
    assert "an .xls file does not tell its errors, as #N/A: such cells read as empty" in delivery.notes
    assert any(n.startswith("customer_id: 1 number, read as plain digits: .xls does not tell") for n in delivery.notes)


def test_a_few_stray_cells_far_out_are_refused_before_they_take_the_memory(tmp_path: Path) -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in [HEADER, *ROWS]:
        sheet.append(list(row))
    sheet["XFD1048576"] = "x"
    book.save(tmp_path / "crm.xlsx")
    with pytest.raises(ReadingError, match="area of 1,048,576 rows and 16,384 columns: delete the stray cells"):
        read_customers(tmp_path / "crm.xlsx")


def test_a_repeated_ods_cell_is_a_bomb_and_empty_repeats_are_none(tmp_path: Path) -> None:
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
    with pytest.raises(ReadingError, match="delete the stray cells"):
        read_customers(tmp_path / "bomb.ods")


def test_covered_cells_of_an_ods_keep_their_places(tmp_path: Path) -> None:
    at = "2025-01-28T10:00:00Z"
    ods(
        tmp_path / "crm.ods",
        [
            [ods_text(name) for name in HEADER],
            [ods_text("1", numbercolumnsspanned=2), CoveredTableCell(), ods_text("a"), ods_text("b")],
            [ods_text("2"), ods_text(at), ods_text("c"), ods_text("d")],
        ],
    )
    frame = read_customers(tmp_path / "crm.ods").frame
    assert frame["customer_name"].tolist() == ["a", "c"]
    assert frame["updated_at"].isna().tolist() == [True, False]
