"""JSON: numbers stay as they are written, and a record that is no row is set aside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

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
        5: "the record is not a JSON object",
        6: "the record is not a JSON object",
    }
    assert delivery.broken.loc[2, "customer_id"] == "2"
    assert delivery.broken.loc[5, "text"] == "not json"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[{"customer_id": "1"}', "not JSON from line"),
        ('[{"customer_id": "1"}] x', "not JSON from line"),
        ('{"customer_id": "1"}\n{"customer_id": "2"}', r"give it the ending \.jsonl"),
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
