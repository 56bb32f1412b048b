"""Rows as JSON are the same bytes whatever other rows a column has: with nulls and escapes, or without any."""

import json
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from toolkit.model import APRIL_2026, Column
from toolkit.model.json_rows import encode

CONTRACT = APRIL_2026.with_columns([
    Column("size", "integer"), Column("share", "float"), Column("own", "boolean"), Column("since", "date")
])  # fmt: skip
SCHEMA = CONTRACT.resource.arrow_schema()
TEXTS = st.text(
    alphabet=st.one_of(st.sampled_from('"\\/\x00\x1f\x7f\n\t é\u2028\U0001f9c0a'), st.characters(codec="utf-8"))
)
MOMENTS = st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
CELLS = {
    "updated_at": st.one_of(MOMENTS, MOMENTS.map(lambda moment: moment.replace(microsecond=0))),
    "size": st.integers(-(2**63), 2**63 - 1),
    "share": st.floats(allow_nan=False, allow_infinity=False),
    "own": st.booleans(),
    "since": st.dates(date(1700, 1, 1), date(2200, 1, 1)),
}
ROWS = st.fixed_dictionaries({name: st.none() | CELLS.get(name, TEXTS) for name in SCHEMA.names})


def as_vendor_reads(row: dict) -> dict:
    """Return a row's cells as JSON has them."""
    moment, since = row["updated_at"], row["since"]
    part = ".%f" if moment and moment.microsecond else ""
    shown = moment and moment.strftime(f"%Y-%m-%dT%H:%M:%S{part}Z")
    return row | {"updated_at": shown, "since": since and since.isoformat()}


@hypothesis_settings(max_examples=20)
@given(rows=st.lists(ROWS, min_size=1, max_size=5), skipped=st.integers(0, 4))
def test_a_row_is_the_same_bytes_alone_and_among_others(rows: list[dict], skipped: int) -> None:
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    part = table.slice(min(skipped, len(rows) - 1))  # a view, whose buffers begin before it
    encoded = encode(part, resource=CONTRACT.resource)
    alone = [encode(part.slice(n, 1), resource=CONTRACT.resource).slice(0, 1) for n in range(part.num_rows)]
    assert [encoded.slice(n, n + 1) for n in range(part.num_rows)] == alone
    assert [json.loads(row) for row in alone] == [as_vendor_reads(row) for row in part.to_pylist()]


@hypothesis_settings(max_examples=20)
@example(texts=["\x1f"])
@given(texts=st.lists(TEXTS | st.none(), min_size=1, max_size=6))
def test_text_is_escaped_as_json_does_and_otherwise_as_it_is(texts: list[str | None]) -> None:
    table = pa.Table.from_pylist([{"customer_name": text} for text in texts], schema=SCHEMA)
    expected = [json.dumps(text, ensure_ascii=False, separators=(",", ":")) for text in texts]
    encoded = encode(pa.concat_tables([table, table.slice(1)]), resource=CONTRACT.resource)
    for n, text in enumerate([*expected, *expected[1:]]):
        row = encoded.slice(n, n + 1).decode().lower()  # json writes \u001F as \u001f
        assert f'"customer_name":{text.lower()},' in row


@pytest.mark.parametrize("at", [0, 65_535, 65_536, 131_071, 139_999])
@pytest.mark.parametrize("odd", ['"', "\\", "\x1f"])
def test_one_character_that_json_escapes_is_found_anywhere_in_a_long_column(odd: str, at: int) -> None:
    texts = ["a" * 70_000, "b" * 70_000]
    row, place = divmod(at, 70_000)
    texts[row] = texts[row][:place] + odd + texts[row][place + 1 :]
    table = pa.Table.from_pylist([{"customer_name": text} for text in texts], schema=SCHEMA)
    encoded = encode(table, resource=CONTRACT.resource)
    assert [json.loads(encoded.slice(n, n + 1))["customer_name"] for n in (0, 1)] == texts
