"""The bytes of a text file: its encoding is detected on every byte, and said."""

from __future__ import annotations

import codecs
import gzip
from pathlib import Path

import pytest

from tests.support.customer_files import every_column, rows_of
from toolkit.errors import ReadingError
from toolkit.reading import Table, read_csv


def from_bytes(tmp_path: Path, content: bytes, **options: str | None) -> Table:
    path = tmp_path / "crm.csv"
    path.write_bytes(content)
    return read_csv(path, every_column, **options)


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
    table = from_bytes(tmp_path, mark + "id;name;group\n1;Müller €;ß\n".replace("1;", "0001;").encode(codec))
    assert rows_of(table) == [["0001", "Müller €", "ß"]]
    assert table.header == ("id", "name", "group")
    assert table.notes == (note.replace("18", "20"), "delimiter ';', detected")


def test_an_encoding_is_tried_on_the_whole_file(tmp_path: Path) -> None:
    rows = "1;plain;text\n" * 100_000
    table = from_bytes(tmp_path, ("id;name;group\n" + rows + "2;Müller;ß\n").encode("cp1252"))
    assert rows_of(table)[-1] == ["2", "Müller", "ß"]
    assert "not UTF-8 at byte 1,300,017, line 100,002" in table.notes[0]


def test_a_letter_cut_by_a_block_is_still_utf8(tmp_path: Path) -> None:
    table = from_bytes(tmp_path, ("id;name;group\n1;" + "x" * ((1 << 20) - 17) + "üüü;b\n").encode())
    assert table.notes == ("UTF-8, detected", "delimiter ';', detected")
    assert rows_of(table)[0][2] == "b"


def test_what_does_not_decode_names_the_place_and_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(
        ReadingError, match=r"crm\.csv .* UTF-8 at byte 8, line 2, and not cp1252 at byte 8, line 2.*\[f"
    ):
        from_bytes(tmp_path, b"a;b;c\n1;\x81;3\n")
    with pytest.raises(ReadingError, match="not UTF-8 at byte 8, line 2"):
        from_bytes(tmp_path, b"a;b;c\n1;\xe4;3\n", encoding="utf-8")
    with pytest.raises(ReadingError, match="cannot be decoded"):
        from_bytes(tmp_path, codecs.BOM_UTF16_LE + b"a", encoding=None)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\0" * 400, "is not a text file but binary data"),
        (gzip.compress(b"\0" * 400, mtime=0), "is not a text file but binary data"),
        (bytes(range(256)) * 4, "cannot be decoded"),
    ],
)
def test_a_binary_file_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(ReadingError, match=rf"crm\.csv {words}"):
        from_bytes(tmp_path, content)


def test_control_characters_are_text(tmp_path: Path) -> None:
    assert rows_of(from_bytes(tmp_path, b"id,name,group\n1,\x01\x02\x1f,\x7f\n")) == [["1", "\x01\x02\x1f", "\x7f"]]


def test_byte_order_marks_are_no_part_of_the_header(tmp_path: Path) -> None:
    table = from_bytes(tmp_path, codecs.BOM_UTF8 * 2 + b"id,name,group\n\xef\xbb\xbf1,a,b\n")
    assert table.header == ("id", "name", "group")
    assert rows_of(table) == [["\ufeff1", "a", "b"]]  # elsewhere it is text
