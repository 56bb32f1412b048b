"""JSON: numbers stay as they are written, and a record that is no row is set aside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.cases import CASES
from tests.support.customer_files import AT
from toolkit.errors import ReadingError
from toolkit.reading import read_customers


def test_a_record_that_is_no_row_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "crm.jsonl"
    lines = [
        {"customer_id": 123, "updated_at": AT, "customer_name": 1.50},
        {"customer_id": "2", "updated_at": AT, "customer_name": {"first": "x"}},
        {"customer_id": "3", "updated_at": AT, "note": ["not wanted"]},
    ]
    path.write_text(
        "\n".join(map(json.dumps, lines))
        + '\n\nnot json\n[1]\n'
        + '{"customer_id": 1E5, "updated_at": "' + AT + '", "customer_name": true}\n',
        encoding="utf-8",
    )  # fmt: skip
    delivery = read_customers(path)
    assert delivery.frame["customer_id"].to_dict() == {1: "123", 3: "3", 7: "1E5"}
    assert delivery.frame["customer_name"].fillna("null").tolist() == ["1.5", "null", "true"]
    assert delivery.broken["reason"].to_dict() == {
        2: "a cell contains a list or an object",
        5: "the record is not a JSON object with each name once",
        6: "the record is not a JSON object with each name once",
    }
    assert delivery.broken.loc[2, "customer_id"] == "2"
    assert delivery.broken.loc[5, "text"] == "not json"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[{"customer_id": "1"}', "not JSON from line"),
        ('[{"customer_id": "1"}] x', "not JSON from line"),
        ('{"customer_id": "1"}\n{"customer_id": 2 "', r"not JSON from line 2 on.*give it the ending \.jsonl"),
        ('{"customer_id": "1"}\n[]', "contains no records"),
        ('{"customer_id": "1"}', "contains no records"),
        ('{"rows": []}', "contains no records"),
        ("3", "contains no records"),
        ("[" * 100_000, "not JSON"),
        ("[]", "no header"),
    ],
)
def test_a_file_without_records_is_an_error(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "crm.json").write_text(text, encoding="utf-8")
    with pytest.raises(ReadingError, match=words):
        read_customers(tmp_path / "crm.json")


ONE, TWO = ({"customer_id": number, "updated_at": AT} for number in ("1", "2"))
LINES = f"{json.dumps(ONE)}\n{json.dumps(TWO)}\n"
OVER_LINES = f"{json.dumps(ONE, indent=2)}\n\n{json.dumps(TWO, indent=2)}"


@pytest.mark.parametrize(
    ("name", "text", "rows", "note"),
    [
        ("over lines.jsonl", OVER_LINES, [1, 2], "JSON, objects one after the other"),
        ("over lines.json", OVER_LINES, [1, 2], "JSON, objects one after the other"),
        ("lines.json", LINES, [1, 2], "JSON, objects one after the other"),
        ("lines.ndjson", "\n" + LINES, [2, 3], "JSON, one object a line"),
        ("one line.jsonl", json.dumps([ONE, TWO]), [1, 2], "JSON, an array"),
        ("array.jsonl", json.dumps([ONE, TWO], indent=1), [1, 2], "JSON, an array"),
        ("body.jsonl", json.dumps({"data": [ONE, TWO]}, indent=1), [1, 2], 'JSON, a body with "data"'),
        ("marked.jsonl", "\ufeff" + OVER_LINES, [1, 2], "JSON, objects one after the other"),
        ("marked.json", "\ufeff" + json.dumps([ONE, TWO]), [1, 2], "JSON, an array"),
    ],
)
def test_the_content_says_which_json_it_is(tmp_path: Path, name: str, text: str, rows: list[int], note: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    delivery = read_customers(tmp_path / name)
    assert delivery.frame["customer_id"].to_dict() == dict(zip(rows, ["1", "2"], strict=True))
    assert delivery.notes[1] == note
    assert delivery.n_broken == 0


def test_one_object_over_several_lines_is_a_record_of_jsonl(tmp_path: Path) -> None:
    (tmp_path / "crm.jsonl").write_text(json.dumps(ONE, indent=1), encoding="utf-8")
    assert read_customers(tmp_path / "crm.jsonl").n_rows == 1
    (tmp_path / "crm.jsonl").write_text(json.dumps(ONE, indent=1)[:-1], encoding="utf-8")
    with pytest.raises(ReadingError, match="is not JSON from line 4 on: it was cut short"):
        read_customers(tmp_path / "crm.jsonl")


def test_a_pretty_printed_case_is_read() -> None:
    assert read_customers(CASES / "F15_pretty_printed.jsonl").frame["customer_id"].tolist() == ["1", "2"]


def test_a_file_whose_records_are_all_broken_has_no_rows(tmp_path: Path) -> None:
    (tmp_path / "crm.json").write_text(json.dumps([ONE | {"customer_id": ["1"]}, ONE | {"updated_at": {}}]))
    delivery = read_customers(tmp_path / "crm.json")
    assert (delivery.n_rows, delivery.broken["customer_id"].fillna("null").tolist()) == (0, ["null", "1"])


@pytest.mark.parametrize("place", ["{0}", '{{"data": {0}}}', '{{"data": [], "data": {0}}}'])
def test_an_object_with_a_name_twice_is_refused(tmp_path: Path, place: str) -> None:
    path = tmp_path / "crm.json"
    path.write_text(place.format(f'[{{"customer_id": "1", "customer_id": "2", "updated_at": "{AT}"}}]'))
    with pytest.raises(ReadingError, match=r"crm\.json has an object that contains a name twice"):
        read_customers(path)


def test_a_line_with_a_name_twice_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "crm.jsonl"
    path.write_text(f'{{"customer_id": "1", "updated_at": "{AT}"}}\n{{"customer_id": "1", "customer_id": "2"}}\n')
    delivery = read_customers(path)
    assert delivery.frame["customer_id"].to_dict() == {1: "1"}
    assert "each name once" in delivery.broken.loc[2, "reason"]
