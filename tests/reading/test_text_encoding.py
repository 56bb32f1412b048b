"""The bytes of a text file: its encoding is detected on every byte, and said."""

from __future__ import annotations

import codecs
import gzip
from pathlib import Path

import pytest

from tests.support.cases import CASES
from tests.support.customer_files import every_column, rows_of
from toolkit.display import escape
from toolkit.errors import ReadingError
from toolkit.quality import validate
from toolkit.reading import Mapping, Table, read_csv, read_customers, suggest_mapping


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
        ("cp1252", b"", "cp1252, assumed, not UTF-8 at byte 18, line 2"),
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


# --- a single-byte encoding is assumed, and doubted where the letters speak against it

BY_CASE = {
    "F05_cp1250.csv": ("cp1250", ["£ódŸ Œwiat sp. z o.o. → Łódź Świat sp. z o.o.", "Dvoøák a syn → Dvořák a syn"]),
    "F05_cp1251.csv": ("cp1251", ["ÎÎÎ Ðîìàøêà → ООО Ромашка"]),
    "F05_mac_roman.csv": ("mac_roman", ["MŸller & Sšhne Grš§e → Müller & Söhne Größe"]),
}


@pytest.mark.parametrize("case", BY_CASE)
def test_letters_that_no_word_has_are_a_warning_that_names_the_encoding_in_which_they_read(case: str) -> None:
    encoding, both_ways = BY_CASE[case]
    delivery = read_customers(CASES / case)
    assert delivery.notes[0].startswith("cp1252, assumed, not UTF-8 at byte")
    (warning,) = delivery.warnings
    assert warning.splitlines()[1:] == both_ways
    assert f'write encoding = "{encoding}" in [format] of the mapping' in warning
    assert delivery.to_dict()["warnings"] == [warning]
    # Nothing was switched; stated, the names read right and nothing is doubted.
    stated = read_customers(CASES / case, mapping=Mapping(encoding=encoding))
    assert (stated.warnings, stated.to_dict()["warnings"]) == ((), [])
    assert [line.split(" → ")[1] for line in both_ways] == stated.frame["customer_name"].tolist()
    assert [line.split(" → ")[0] for line in both_ways] == delivery.frame["customer_name"].tolist()


@pytest.mark.parametrize("case", BY_CASE)
def test_the_warning_is_seen_wherever_the_delivery_is(case: str, tmp_path: Path) -> None:
    encoding, both_ways = BY_CASE[case]
    delivery, suggestion = read_customers(CASES / case), suggest_mapping(CASES / case)
    report, on_disk = validate(delivery), validate(CASES / case)
    assert delivery.warnings == suggestion.warnings == report.reading_warnings == on_disk.reading_warnings
    assert report.to_dict()["reading_warnings"] == suggestion.to_dict()["warnings"] == list(delivery.warnings)
    for result in (delivery, suggestion, report, on_disk):
        assert [result.body().count(escape(line)) for line in both_ways] == [1] * len(both_ways)
    written = suggestion.to_toml(tmp_path / "crm.toml")
    text = written.read_text(encoding="utf-8")
    assert f'write encoding = "{encoding}"' in text.partition("\n[format]\n")[2]
    assert "detected: " not in text.lower()
    assert all(f"# Warning: {line}" in text for line in both_ways)
    written.write_text(text.replace("[format]\n", f'[format]\nencoding = "{encoding}"\n'), encoding="utf-8")
    assert read_customers(CASES / case, mapping=written).warnings == ()


def test_a_part_and_a_json_file_are_doubted_too(tmp_path: Path) -> None:
    row = '{"customer_id": "1", "updated_at": "2026-01-28T10:00:00Z", "customer_name": "%s"}\n'
    names = ["Łódź Świat", "Jiří Dvořák"]
    (tmp_path / "1.jsonl").write_bytes((row % "Müller").encode("cp1252"))
    (tmp_path / "2.jsonl").write_bytes("".join(row % name for name in names).encode("cp1250"))
    (warning,) = read_customers(tmp_path).warnings
    assert warning.startswith("2.jsonl: cp1252 is assumed")
    assert '"cp1250"' in warning


@pytest.mark.parametrize(
    ("encoding", "names"),
    [
        ("cp1250", "Ľudmila Ťažká;Kováč a syn"),  # ť is none of cp1252's
        ("cp932", "㈱日本商事;東京テレビ"),
        ("mac_roman", "Ångström;Åkeson"),
    ],
)
def test_what_is_not_even_cp1252_is_an_error_that_proposes_the_encoding(
    tmp_path: Path, encoding: str, names: str
) -> None:
    with pytest.raises(ReadingError, match=rf'not cp1252 at byte .* read as words in .* encoding = "{encoding}" in'):
        from_bytes(tmp_path, ("id;name;group\n1;" + names + "\n").encode(encoding))


def test_a_cell_in_a_warning_is_short_and_shows_no_control_character(tmp_path: Path) -> None:
    text = f"id;name;group\n1;Dvořák\x1b[2J{'x' * 500};b\n2;Jiří Kovář;b\n"
    (warning,) = from_bytes(tmp_path, text.encode("cp1250")).warnings
    assert "\x1b" not in warning
    assert max(map(len, warning.splitlines()[1:])) < 130


def test_packed_and_long_files_are_doubted_by_their_first_such_lines(tmp_path: Path) -> None:
    rows = "1;plain;text\n" * 50_000 + "2;Łódź Świat;Jiří Dvořák\n"
    table = from_bytes(tmp_path, gzip.compress(("id;name;group\n" + rows).encode("cp1250"), mtime=0))
    (warning,) = table.warnings
    assert 'encoding = "cp1250"' in warning
