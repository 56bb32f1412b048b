"""Delimited text: any table comes back cell for cell, every record has its number, broken ones are set aside."""

from __future__ import annotations

import csv
import hashlib
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from tests.support.cases import CASES
from tests.support.customer_files import TEXTS, WIDTH, every_column, rows_of
from toolkit.errors import ReadingError
from toolkit.reading import Table, csv_file, read_csv, read_customers, suggest_mapping
from toolkit.reading.text_table import BrokenLine


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
                csv.writer(file, delimiter=delimiter, quoting=quoting).writerows([TEXTS, *table])
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
    # A cell that splits into a row is set aside.
    assume(not any({"\n", "\r"}.intersection(c) and c.count(delimiter) >= WIDTH - 1 for row in table for c in row))
    # An apostrophe that keeps a spreadsheet from running a cell is not read as text, which a note says.
    kept = [(number, [re.sub("^'('*[=+\\-@\t\r\n＝＋－＠])", r"\1", cell) for cell in row]) for number, row in filled]
    assert list(zip(read.numbers.tolist(), rows_of(read), strict=True)) == kept
    assert any("apostrophe" in note for note in read.notes) == (kept != filled)
    assert read.broken == ()
    assert read.header == TEXTS
    assert read.digest == hashlib.sha256(data).hexdigest()


# --- the two parsers read the same

CARE = patch.object(csv_file._Records, "_in_bulk", lambda self, window: None)
CHARACTERS = [
    "a",
    ", ",
    ' "',
    "ü",
    "🙈",
    " ",
    '"',
    "|",
    "|",
    "|",
    "\n",
    "\n",
    "\r\n",
    "\r",
    "\0",
    "\u2028",
    "\x1c",
    "\ufeff",
]
LINES = ["||\n", "1|2|3|4\n", "1|2|3|4\r\n", "1|2|3\n", "1|2|3|4||\n", '""', '|"x"|', '|"x""y"\n', '\n|"x"\ny"|\n']
PIECES = st.sampled_from([*CHARACTERS, *LINES])


def read_as(path: Path, header_row: int, delimiter: str) -> tuple[Any, ...] | str:
    try:
        table = read_csv(
            path,
            lambda header: {"customer_id": 0, "name": 2},
            encoding="utf-8",
            header_row=header_row,
            delimiter=delimiter[0],
        )
    except ReadingError as error:
        return str(error)
    return table.header, table.cells.to_pydict(), table.numbers.tolist(), table.broken, table.notes, table.digest


@settings(deadline=None, max_examples=400)
@given(
    st.lists(PIECES, max_size=40),
    st.sampled_from(["id|name|group|note\n", "id|name|group|note||\n", "a title\nid|name|group|note\n"]),
    st.sampled_from([",", ";", "\t", "|", "^", "§", ", "]),
    st.sampled_from([5, 20, csv_file.WINDOW]),
)
@example(["1|2|3|4\n", "|||\n", "\n", "|||4\n", "1|2|3\n", "1|2|3|4||\n"], "id|name|group|note\n", ";", 1 << 20)
@example(["1|2|3|4\n", '"5"|"6|"""|7|\r\n', '8|"9\n'], "id|name|group|note\n", ",", 5)
def test_the_bulk_parser_reads_as_the_careful_one(pieces: list[str], header: str, delimiter: str, window: int) -> None:
    text = (header + "".join(pieces)).replace("|", delimiter)
    with TemporaryDirectory() as folder, patch.object(csv_file, "WINDOW", window):
        path = Path(folder, "crm.csv")
        path.write_text(text, encoding="utf-8", newline="")
        header_row = 1 + header.count("title")
        in_bulk = read_as(path, header_row, delimiter)
        with CARE:
            assert read_as(path, header_row, delimiter) == in_bulk


@pytest.mark.parametrize(
    ("line", "in_bulk"),
    [
        ("2,b,c", True),
        ('2,"b, ""x""",c', True),
        ('2,12" pipe,c', True),
        ("2,b,c,d", False),  # set aside
        ("", False),
        (",,", False),
        ('2,"b\nx",c', False),
        ('2,"b,c', False),
        ('2,"b" x,c', False),
        ("2,b\0,c", False),
        ("2,b,c\r3,d,e", False),
    ],
)
def test_only_a_window_that_cannot_be_read_in_two_ways_is_read_in_bulk(
    tmp_path: Path, line: str, in_bulk: bool
) -> None:
    parse = csv_file._Records._parse
    with patch.object(csv_file._Records, "_parse", autospec=True, side_effect=parse) as careful:
        from_text(tmp_path, f"id,name,group\n1,a,b\n{line}\n", delimiter=",", header_row=1)
    assert any(call.args[1] for call in careful.call_args_list) is not in_bulk


def test_the_csv_modules_limit_stays_as_it_was(tmp_path: Path) -> None:
    before = csv.field_size_limit(1_000)
    try:
        table = from_text(tmp_path, f'id,name,group\n1,"{"x" * 200_000}\n",b\n2,"open,c\n')
        assert len(rows_of(table)[0][1]) == 200_001
        assert len(table.broken) == 1
        assert csv.field_size_limit() == 1_000
    finally:
        csv.field_size_limit(before)


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
    monkeypatch.setattr(csv_file, "WINDOW", 10)
    long = "line\n" * 50
    table = from_text(tmp_path, f'id,name,group\n1,"{long}",b\n2,"open,c\n3,"{long}x",d\n4,"a"b,c\n5,e,f\n')
    assert rows_of(table) == [["1", long, "b"], ["3", long + "x", "d"], ["5", "e", "f"]]
    assert [b.number for b in table.broken] == [3, 5]


@pytest.mark.parametrize("line", ['1,"a,b\n', 'a",",x\n', '1,"a"b,c\n', f'a",",{"x" * 1_000}\n'])
def test_a_file_full_of_stray_quotes_is_not_read_to_its_end_for_each(
    tmp_path: Path, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_read = 0

    class Lines(list[str]):
        def __getitem__(self, at: Any) -> Any:
            nonlocal n_read
            line = super().__getitem__(at)
            n_read += len(line) * isinstance(at, int)
            return line

    parse = csv_file._Records._parse
    monkeypatch.setattr(csv_file._Records, "_parse", lambda self, lines, *more: parse(self, Lines(lines), *more))
    monkeypatch.setattr(csv_file, "MAX_REREAD", 100_000)
    text = "id,name,group\n" + line * 2_000 + "2,c,d\n"
    table = from_text(tmp_path, text, header_row=1)
    assert rows_of(table) == [["2", "c", "d"]]
    assert len(table.broken) == 2_000
    assert n_read < 6 * len(text) + 150_000  # each line read again to the file's end: a thousand times the text


@pytest.mark.parametrize("line", ["a", '"a', 'a,"b"c'])
def test_a_file_of_broken_records_is_read_no_further_than_a_limit(
    tmp_path: Path, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_file, "MAX_BROKEN", 100)
    start = 'id,name,group\n1,b,c\n"'
    assert len(from_text(tmp_path, start + f"{line}\n" * 100, header_row=1).broken) == 100
    made: list[int] = []
    monkeypatch.setattr(csv_file, "BrokenLine", lambda *facts: made.append(1) or BrokenLine(*facts))
    with pytest.raises(ReadingError, match=r"crm\.csv has more than 100 broken records, the first in row 3: "):
        from_text(tmp_path, start + f"{line}\n" * 10_000, header_row=1)
    assert len(made) == 101


def test_after_too_many_lines_read_again_each_line_is_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_file, "MAX_REREAD", 2)
    table = from_text(tmp_path, 'id,name,group\n1,"a,b\n2,c,d\n3,e,f\n4,g,h\n5,"a,b\n6,i,j\n7,"k\nk",l\n')
    assert [row[0] for row in rows_of(table)] == ["2", "3", "4", "6"]
    assert [b.number for b in table.broken] == [2, 6, 8, 9]


def test_a_cell_may_hold_ten_megabytes_and_no_more(tmp_path: Path) -> None:
    table = from_text(tmp_path, f'id,name,group\n1,"{"x" * 9_999_999}",b\n2,"{"x" * 10_000_001}",b\n3,c,d\n')
    assert [row[0] for row in rows_of(table)] == ["1", "3"]
    assert [b.number for b in table.broken] == [3]
    assert "10,000,000 characters" in table.broken[0].reason


# --- what people's programs write: the cases, and files like them


def customers(source: Path, **options: Any) -> dict[int, str]:
    return read_customers(source, **options).frame["customer_name"].to_dict()


def test_a_record_that_swallowed_another_is_set_aside() -> None:
    delivery = read_customers(CASES / "F09_two_rows_become_one.csv")
    assert delivery.frame["customer_id"].to_dict() == {3: "3"}
    assert delivery.broken["customer_id"].to_dict() == {2: "1"}
    assert "contains another record: a quote is missing, or is one too many" in delivery.broken["reason"][2]
    assert delivery.broken["text"][2] == '1;"Acme;2026-01-28T10:00:00Z\n2;TV 5";2026-01-28T10:00:00Z'


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", ", "])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("between", [0, 1, 5])
def test_swallowed_records_are_set_aside_in_every_form(tmp_path: Path, delimiter: str, end: str, between: int) -> None:
    lines = ["id,name,group", '1,"Acme,x', *["5,TV,z"] * between, '2,TV 5",y', '3,"Bar",z']
    table = from_text(tmp_path, end.join(lines).replace(",", delimiter))
    assert rows_of(table) == [["3", "Bar", "z"]]
    assert [b.number for b in table.broken] == [2]
    assert table.numbers.tolist() == [3]


@pytest.mark.parametrize(
    "cell",
    [
        "Hauptstr. 1\n10115 Berlin",
        "Hauptstr. 1, Hof 2\n10115 Berlin, Germany\nEurope",
        "Hauptstr. 1,\n10115 Berlin,\nGermany",
        "a,b\nc",
    ],
)
def test_a_genuine_cell_of_several_lines_is_good(tmp_path: Path, cell: str) -> None:
    table = from_text(tmp_path, f'id,name,group\n1,"{cell}",b\n2,c,d\n')
    assert rows_of(table) == [["1", cell, "b"], ["2", "c", "d"]]
    assert table.broken == ()


def test_a_lone_return_belongs_to_its_cell() -> None:
    assert customers(CASES / "F10_lone_return.csv") == {2: "Acme\rGmbH", 3: "Bolt"}


any_line = st.text(st.sampled_from('ab \r",;ü\ufdd0'), max_size=6)


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.lists(any_line, min_size=WIDTH, max_size=WIDTH), min_size=1, max_size=6),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([5, csv_file.WINDOW]),
)
@example([["1", "a\rb", "c"], ["2", "a", "b\r"]], "\r\n", 5)
def test_lone_returns_come_back_in_files_of_lf_and_crlf(rows: list[list[str]], end: str, window: int) -> None:
    def quoted(cell: str) -> str:
        inside = cell.replace('"', '""')
        return f'"{inside}"' if '"' in cell or ";" in cell or cell.endswith("\r") else cell

    assume(not any("\r" in c and c.count(";") >= WIDTH - 1 for row in rows for c in row))
    with TemporaryDirectory() as folder, patch.object(csv_file, "WINDOW", window):
        path = Path(folder, "crm.csv")
        path.write_bytes("".join(";".join(map(quoted, row)) + end for row in [TEXTS, *rows]).encode())
        read = read_csv(path, every_column, delimiter=";", header_row=1)
    filled = [(number, row) for number, row in enumerate(rows, start=2) if any(row)]
    assert list(zip(read.numbers.tolist(), rows_of(read), strict=True)) == filled
    assert read.broken == ()


def test_a_lone_return_is_kept_in_what_is_set_aside_and_in_the_header(tmp_path: Path) -> None:
    table = from_text(tmp_path, "id of 3 May\nid,name,a\rgroup\n1\r2,a,b,c\n3,d,e\n4,x,y\n")
    assert broken(table) == [(3, "1\r2", "1\r2,a,b,c")]
    assert table.header == ("id", "name", "a group")


def test_an_old_mac_file_ends_its_lines_in_returns_whatever_is_in_its_cells(tmp_path: Path) -> None:
    table = from_text(tmp_path, 'id,name,group\r1,"a\nb\nc",d\r2,"e\nf",g\r3,h,i\r')
    assert rows_of(table) == [["1", "a\nb\nc", "d"], ["2", "e\nf", "g"], ["3", "h", "i"]]


def test_two_ragged_rows_do_not_change_the_delimiter() -> None:
    delivery = read_customers(CASES / "F14_decimal_comma_two_ragged.csv")
    assert delivery.notes[1] == "delimiter ';', detected"
    assert (delivery.n_rows, delivery.broken.index.tolist()) == (40, [42, 43])
    suggestion = suggest_mapping(CASES / "F14_decimal_comma_two_ragged.csv")
    assert suggestion.columns["customer_id"] == "customer_id"


ROWS = ["Nr;Firma;Umsatz;Stand", *(f"C{n:03};Firma {n};{n},50;2026-01-{n % 28 + 1:02}" for n in range(40))]


@pytest.mark.parametrize(
    ("lines", "delimiter"),
    [
        (ROWS, ";"),
        ([*ROWS, "C1;a;b;c;1,5", "C2;1,5", "C3;2,5"], ";"),
        (["Kundenliste", "", *ROWS], ";"),
        ([line.replace(";", "\t") for line in [*ROWS, "C1;a;b;c;1,5"]], "\t"),
        (["id,name,groups", *(f"{n},Firma,a;b;c;d;e" for n in range(40))], ","),
        (["id,name,groups", *(f"{n},Firma,a;b;c;d;e" for n in range(40)), "9,Bolt", "8,Bolt,a,b"], ","),
        (["id|name|tags", *(f"{n}|Firma, Ort|a,b" for n in range(40)), "9|Bolt, x"], "|"),
    ],
)
def test_the_header_and_the_majority_decide_the_delimiter(tmp_path: Path, lines: list[str], delimiter: str) -> None:
    shown = "tab" if delimiter == "\t" else f"'{delimiter}'"
    assert from_text(tmp_path, "\n".join(lines)).notes[1] == f"delimiter {shown}, detected"


def test_a_space_after_each_delimiter_is_seen() -> None:
    delivery = read_customers(CASES / "F17_space_before_quote.csv")
    assert delivery.frame["customer_name"].to_dict() == {2: "Acme, Inc.", 3: "Bolt"}
    assert "a space after each delimiter, not read as text" in delivery.notes
    assert delivery.n_broken == 0


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("stated", [True, False])
def test_spaced_files_are_seen_with_every_delimiter(tmp_path: Path, delimiter: str, stated: bool) -> None:
    d = delimiter
    text = f'id{d} name{d} group\n1{d} "Acme{d} Inc."{d} b\n2{d} Bolt{d}   c\n3{d}{d} e\n'
    table = from_text(tmp_path, text, delimiter=d if stated else None)
    assert rows_of(table) == [["1", f"Acme{d} Inc.", "b"], ["2", "Bolt", "c"], ["3", "", "e"]]
    assert table.header == ("id", "name", "group")


def test_a_space_before_a_quote_is_seen_where_other_cells_have_none(tmp_path: Path) -> None:
    table = from_text(tmp_path, 'id,name,group\n1, "Acme, Inc.",b\n2, "Bolt",c\n')
    assert rows_of(table) == [["1", "Acme, Inc.", "b"], ["2", "Bolt", "c"]]


def test_spaces_of_a_few_cells_are_text(tmp_path: Path) -> None:
    table = from_text(tmp_path, 'id,name,group\n1, a,b\n2," c, d",e\n3,f,g\n')
    assert rows_of(table) == [["1", " a", "b"], ["2", " c, d", "e"], ["3", "f", "g"]]
    assert len(table.notes) == 2


@pytest.mark.parametrize(("line", "delimiter"), [("sep=;", ";"), ("SEP=^", "^"), ("sep=,", ","), ("sep=\t", "\t")])
def test_a_line_of_excel_states_the_delimiter(tmp_path: Path, line: str, delimiter: str) -> None:
    text = "\r\n".join([line, delimiter.join(TEXTS), delimiter.join(["1", "a", "b"])])
    table = from_text(tmp_path, text)
    assert (rows_of(table), table.numbers.tolist()) == ([["1", "a", "b"]], [3])
    shown = "tab" if delimiter == "\t" else f"'{delimiter}'"
    assert table.notes[1:] == (f"delimiter {shown}, stated in the first line", "header in row 2, found")


def test_a_quote_written_with_a_backslash_is_set_aside_with_the_reason(tmp_path: Path) -> None:
    table = from_text(tmp_path, 'id,name,group\n1,"The \\"Best\\" Ltd",b\n2,c,d\n')
    assert [b.number for b in table.broken] == [2]
    assert r"a quote in a cell is written twice, not as \"" in table.broken[0].reason


def test_a_column_may_end_each_line_with_a_delimiter(tmp_path: Path) -> None:
    assert rows_of(from_text(tmp_path, "id;name;group;\n1;a;b;\n2;c;d;\n")) == [["1", "a", "b"], ["2", "c", "d"]]
    assert rows_of(from_text(tmp_path, "id;name;group\n1;a;b;\n2;c;d;\n")) == [["1", "a", "b"], ["2", "c", "d"]]


def test_a_decimal_comma_between_commas_is_set_aside(tmp_path: Path) -> None:
    table = from_text(tmp_path, "id,name,group\n1,a,3,50\n2,b,4\n")
    assert (rows_of(table), [b.number for b in table.broken]) == ([["2", "b", "4"]], [2])


def test_a_header_may_hold_a_line_break(tmp_path: Path) -> None:
    table = from_text(tmp_path, 'id,"name\nof it",group\n1,a,b\n')
    assert (table.header, rows_of(table)) == (("id", "name\nof it", "group"), [["1", "a", "b"]])
    assert table.numbers.tolist() == [2]


def test_a_space_may_be_the_delimiter(tmp_path: Path) -> None:
    assert rows_of(from_text(tmp_path, 'id name group\n1 "a b" c\n', delimiter=" ")) == [["1", "a b", "c"]]
