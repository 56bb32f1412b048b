import codecs
import csv
import datetime as dt
import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from toolkit.errors import MappingError, ReadingError
from toolkit.model.contract import CUSTOMER
from toolkit.reading import csv_file as sources_csv
from toolkit.reading.csv_file import read_csv
from toolkit.reading.customers import open_source
from toolkit.reading.mapping import Mapping
from toolkit.reading.text_table import Table
from toolkit.reading.workbook import read_excel

WIDTH = 3
HEADER = CUSTOMER.names[:1] + CUSTOMER.names[2:4]  # three text columns


def every_column(header: Sequence[str]) -> dict[str, int]:
    return {column: at for at, column in enumerate(HEADER)}


def rows_of(table: Table) -> list[list[str]]:
    return [list(row) for row in zip(*(c.to_pylist() for c in table.cells.columns), strict=True)]


def from_text(tmp_path: Path, text: str | bytes, **options: Any) -> Table:
    path = tmp_path / "crm.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_csv(path, every_column, **options)


def broken(table: Table) -> list[tuple[int, str | None, str]]:
    return [(b.number, b.customer_id, b.text) for b in table.broken]


# --- any table of text comes back, cell for cell

CODECS = ("utf-8", "utf-8-sig", "utf-16", "cp1252")
any_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
western = st.text("aZ09ßüÉ€ \"',;\t|\r\n\ufeff"[:-1], max_size=8)
tables = st.lists(st.lists(any_text | western, min_size=WIDTH, max_size=WIDTH), min_size=1, max_size=6)


@settings(deadline=None, max_examples=300)
@given(
    tables,
    st.sampled_from(",;\t|"),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC, csv.QUOTE_NONE]),
    st.sampled_from(CODECS),
    st.booleans(),
)
def test_any_table_of_text_comes_back(
    table: list[list[str]], delimiter: str, quoting: Any, codec: str, stated: bool
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "crm.csv")
        try:
            with path.open("w", encoding=codec, newline="") as file:
                csv.writer(file, delimiter=delimiter, quoting=quoting).writerows([HEADER, *table])
        except (csv.Error, UnicodeEncodeError):
            return  # the writer cannot hold this table
        data = path.read_bytes()
        # Bytes of cp1252 may be UTF-8 by chance, and a short file full of control characters looks binary.
        sure = codec != "cp1252" and len(data.translate(None, bytes(range(32)))) > 0.95 * len(data)
        read = read_csv(
            path,
            every_column,
            encoding=None if sure and not stated else codec,
            delimiter=None if quoting == csv.QUOTE_ALL and not stated else delimiter,
        )
    filled = [(number, row) for number, row in enumerate(table, start=2) if any(row)]
    assert list(zip(read.numbers.tolist(), rows_of(read), strict=True)) == filled
    assert read.broken == ()
    assert read.header == HEADER
    assert read.digest == hashlib.sha256(data).hexdigest()


XML_TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff") | st.sampled_from("\n\t"),
    max_size=8,
).filter(
    # openpyxl writes "=…" as a formula, and text of spaces alone without saying that they are meant to be kept
    lambda text: not text.startswith("=") and (not text or text.strip(" \n\t") != "")
)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(XML_TEXT, min_size=WIDTH, max_size=WIDTH), min_size=1, max_size=5))
def test_any_table_of_text_comes_back_from_excel(table: list[list[str]]) -> None:
    book = Workbook()
    assert book.active is not None
    for row in [HEADER, *table]:
        book.active.append(list(row))
        for cell in book.active[book.active.max_row]:
            cell.data_type = "s" if cell.value else "n"  # a text like "#N/A" is text here, not an error
    with TemporaryDirectory() as folder:
        book.save(Path(folder, "crm.xlsx"))
        read = read_excel(Path(folder, "crm.xlsx"), every_column)
    assert rows_of(read) == [row for row in table if any(row)]


# --- encodings


@pytest.mark.parametrize(
    ("codec", "mark", "note"),
    [
        ("utf-8", b"", "UTF-8, detected"),
        ("utf-8", codecs.BOM_UTF8, "UTF-8, by its byte order mark"),
        ("utf-16-le", codecs.BOM_UTF16_LE, "UTF-16, by its byte order mark"),
        ("utf-16-be", codecs.BOM_UTF16_BE, "UTF-16, by its byte order mark"),
        ("utf-16-le", b"", "UTF-16, detected"),
        ("utf-16-be", b"", "UTF-16, detected"),
        ("cp1252", b"", "cp1252, detected, not UTF-8 at byte 18, line 2"),
    ],
)
def test_encodings_are_detected_and_said(tmp_path: Path, codec: str, mark: bytes, note: str) -> None:
    table = from_text(tmp_path, mark + "id;name;group\n1;Müller €;ß\n".replace("1;", "0001;").encode(codec))
    assert rows_of(table) == [["0001", "Müller €", "ß"]]
    assert table.header == ("id", "name", "group")
    assert table.notes == (note.replace("18", "20"), "delimiter ';', detected")


def test_an_encoding_is_tried_on_the_whole_file(tmp_path: Path) -> None:
    rows = "1;plain;text\n" * 100_000
    table = from_text(tmp_path, ("id;name;group\n" + rows + "2;Müller;ß\n").encode("cp1252"))
    assert rows_of(table)[-1] == ["2", "Müller", "ß"]
    assert "not UTF-8 at byte 1,300,017, line 100,002" in table.notes[0]


def test_a_letter_cut_by_a_block_is_still_utf8(tmp_path: Path) -> None:
    table = from_text(tmp_path, "id;name;group\n1;" + "x" * ((1 << 20) - 17) + "üüü;b\n")
    assert table.notes == ("UTF-8, detected", "delimiter ';', detected")
    assert rows_of(table)[0][2] == "b"


def test_what_does_not_decode_names_the_place_and_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(
        ReadingError, match=r"crm\.csv .* UTF-8 at byte 8, line 2, and not cp1252 at byte 8, line 2.*\[f"
    ):
        from_text(tmp_path, b"a;b;c\n1;\x81;3\n")
    with pytest.raises(ReadingError, match="not UTF-8 at byte 8, line 2"):
        from_text(tmp_path, b"a;b;c\n1;\xe4;3\n", encoding="utf-8")
    with pytest.raises(ReadingError, match="cannot be decoded"):
        from_text(tmp_path, codecs.BOM_UTF16_LE + b"a", encoding=None)


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"PK\x03\x04rest", r"\.xlsx"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest", "Excel"),
        (b"%PDF-1.7\n", "PDF"),
        (bytes(range(256)) * 4, "binary"),
        (b"\0" * 400, "binary"),
    ],
)
def test_a_binary_file_is_told(tmp_path: Path, start: bytes, what: str) -> None:
    with pytest.raises(ReadingError, match=rf"crm\.csv is not a text file.*{what}"):
        from_text(tmp_path, start)


# --- delimiters and lines


def test_a_delimiter_is_the_one_that_cuts_evenly(tmp_path: Path) -> None:
    text = "id;name, first;group\n" + "1;Doe, Jane;a,b,c\n2;Roe;d\n3;Poe;e\n"
    assert rows_of(from_text(tmp_path, text))[0] == ["1", "Doe, Jane", "a,b,c"]
    assert from_text(tmp_path, text.replace(";", "\t")).notes[1] == "delimiter tab, detected"
    assert from_text(tmp_path, text, delimiter=";").notes[1] == "delimiter ';', stated by the mapping"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_ending_ends_a_line(tmp_path: Path, end: str) -> None:
    table = from_text(tmp_path, end.join(["id,name,group", "1,a,b", "", "2,c,d"]))
    assert rows_of(table) == [["1", "a", "b"], ["2", "c", "d"]]
    assert table.numbers.tolist() == [2, 4]


def test_blank_lines_and_multi_line_cells_count_as_a_spreadsheet_shows_them(tmp_path: Path) -> None:
    table = from_text(tmp_path, 'id,name,group\n\n1,"a\r\nb",c\n,,\n2,d,e\n')
    assert dict(zip(table.numbers.tolist(), rows_of(table), strict=True)) == {
        3: ["1", "a\r\nb", "c"],
        5: ["2", "d", "e"],
    }
    assert table.notes[-1] == "1 record over several lines, the longest has 2 lines, in row 3"


def test_a_header_may_stand_lower(tmp_path: Path) -> None:
    table = from_text(tmp_path, 'Export "Kunden", by: me\n\nid;name;group\n1;a;b\n', header_row=3)
    assert (table.header, table.numbers.tolist()) == (("id", "name", "group"), [4])
    with pytest.raises(ReadingError, match="no header in row 2"):
        from_text(tmp_path, "Export\n\nid;name;group\n1;a;b\n", header_row=2)
    with pytest.raises(ReadingError, match="no header in row 9"):
        from_text(tmp_path, "id;name;group\n", header_row=9)
    with pytest.raises(ReadingError, match="no readable header in row 1"):
        from_text(tmp_path, 'id,"name,group\n1,a,b\n')


# --- broken records


def test_ragged_lines_are_set_aside_and_the_rest_is_read(tmp_path: Path) -> None:
    table = from_text(tmp_path, "id,name,group\n1,a,b\n2,a,b,c\n3,a\n4,a,b,,\n5,a,b\n")
    assert [row[0] for row in rows_of(table)] == ["1", "4", "5"]
    assert table.numbers.tolist() == [2, 5, 6]
    assert broken(table) == [(3, "2", "2,a,b,c"), (4, "3", "3,a")]
    assert "4 cells where the header has 3" in table.broken[0].reason


def test_a_header_with_unnamed_columns_at_its_end_takes_rows_with_and_without_them(tmp_path: Path) -> None:
    table = from_text(tmp_path, "id,name,group,,\n1,a,b\n2,a,b,x,\n3,a,b,x,,y\n4,a\n")
    assert rows_of(table) == [["1", "a", "b"], ["2", "a", "b"]]
    assert [b.number for b in table.broken] == [4, 5]


@pytest.mark.parametrize(
    ("line", "customer_id", "reason"),
    [
        ('2,"Foo,b', "2", "never closed"),
        ('2,"Foo" GmbH,b', "2", "follows a closing quote"),
        ('"2,Foo,b', None, "never closed"),
        ("2,F\0oo,b", "2", "NUL"),
        ("\0,Foo,b", "\0", "NUL"),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_broken_line_is_set_aside_alone(
    tmp_path: Path, line: str, customer_id: str | None, reason: str, place: int
) -> None:
    lines = ["1,a,b", '3,"Bar, Inc.",c', "4,d,e"]
    expected = [["1", "a", "b"], ["3", "Bar, Inc.", "c"], ["4", "d", "e"]]
    lines.insert(place, line)
    table = from_text(tmp_path, "\n".join(["id,name,group", *lines]))
    assert rows_of(table) == expected
    assert broken(table) == [(place + 2, customer_id, line)]
    assert reason in table.broken[0].reason


def test_an_inch_is_not_a_quote(tmp_path: Path) -> None:
    assert rows_of(from_text(tmp_path, 'id,name,group\n1,Pipe 12",b\n')) == [["1", 'Pipe 12"', "b"]]


def test_a_record_may_lie_across_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources_csv, "WINDOW", 10)
    long = "line\n" * 50
    table = from_text(tmp_path, f'id,name,group\n1,"{long}",b\n2,"open,c\n3,"{long}x",d\n4,"a"b,c\n5,e,f\n')
    assert rows_of(table) == [["1", long, "b"], ["3", long + "x", "d"], ["5", "e", "f"]]
    assert [b.number for b in table.broken] == [3, 5]


@pytest.mark.parametrize("line", ['1,"a,b\n', 'a",",x\n', '1,"a"b,c\n'])
def test_a_file_full_of_stray_quotes_takes_no_square_time(tmp_path: Path, line: str) -> None:
    # Each line read again to the file's end would be 400 million lines: minutes, where this takes a moment.
    table = from_text(tmp_path, "id,name,group\n" + line * 20_000 + "2,c,d\n", header_row=1)
    assert rows_of(table) == [["2", "c", "d"]]
    assert len(table.broken) == 20_000


def test_when_patience_ends_each_line_stands_for_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources_csv, "MAX_REREAD", 2)
    table = from_text(tmp_path, 'id,name,group\n1,"a,b\n2,c,d\n3,e,f\n4,g,h\n5,"a,b\n6,i,j\n7,"k\nk",l\n')
    assert [row[0] for row in rows_of(table)] == ["2", "3", "4", "6"]
    assert [b.number for b in table.broken] == [2, 6, 8, 9]


def test_a_cell_may_hold_ten_megabytes_and_no_more(tmp_path: Path) -> None:
    table = from_text(tmp_path, f'id,name,group\n1,"{"x" * 9_999_999}",b\n2,"{"x" * 10_000_001}",b\n3,c,d\n')
    assert [row[0] for row in rows_of(table)] == ["1", "3"]
    assert [b.number for b in table.broken] == [3]
    assert "10,000,000 characters" in table.broken[0].reason


# --- Excel


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
            list(HEADER),
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
        "customer_category: dates, read as ISO 8601",
        "customer_category: logical values, read as TRUE and FALSE",
        "customer_name: numbers shown as #,##0, read as plain digits (first in row 5)",
    )


def test_digits_that_excel_lost_are_told(tmp_path: Path) -> None:
    table = read_excel(workbook(tmp_path, [list(HEADER), [12345678901234567, "a", "b"]]), every_column)
    assert "customer_id: numbers of more than 15 digits, which Excel rounds (first in row 2)" in table.notes


def test_an_error_of_excels_is_not_an_empty_cell(tmp_path: Path) -> None:
    table = read_excel(workbook(tmp_path, [list(HEADER), ["1", "#N/A", "b"]]), every_column)
    assert rows_of(table) == [["1", "#N/A", "b"]]
    assert table.notes[-1] == "customer_name: Excel's error #N/A (first in row 2)"


def test_a_sheet_goes_by_its_name_and_a_header_by_its_row(tmp_path: Path) -> None:
    path = workbook(tmp_path, [["Report"], [], list(HEADER), ["1", "a", "b"]])
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
        (b"id;name\n1;a\n", r"\.csv"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "damaged"),
        (b"PK\x03\x04 cut short", "damaged"),
    ],
)
def test_a_workbook_that_is_none_says_what_to_do(tmp_path: Path, data: bytes, advice: str) -> None:
    path = tmp_path / "crm.xlsx"
    path.write_bytes(data)
    with pytest.raises(ReadingError, match=rf"crm\.xlsx.*{advice}"):
        read_excel(path, every_column)


def test_a_zip_that_is_no_workbook_is_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "crm.xlsx", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(ReadingError, match=r"a \.zip without a workbook in it"):
        read_excel(tmp_path / "crm.xlsx", every_column)


# --- files


def test_a_file_that_cannot_be_read_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("crm.csv", "crm.docx", "crm"):
        (tmp_path / name).write_bytes(b"" if name == "crm.csv" else b"a")
    (tmp_path / "empty").mkdir()
    for path, words in [
        (tmp_path / "crn.csv", r"no file .*, did you mean 'crm\.csv'\?"),
        (tmp_path / "no" / "crm.csv", "no file"),
        (tmp_path / "empty", "folder without a file that can be read"),
        (tmp_path / "crm.csv", "is empty"),
        (tmp_path / "crm.docx", r"\.docx is not read"),
        (tmp_path / "crm", "without an ending is not read"),
    ]:
        with pytest.raises(ReadingError, match=words):
            open_source(path, every_column, mapping=Mapping())

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # the tests may run as root, whom no permission stops
    with pytest.raises(ReadingError, match="may not be read"):
        open_source(tmp_path / "crm.csv", every_column, mapping=Mapping())
