"""validate() of a table in an engine: the report of the frame, on every engine."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import toolkit as tk
from tests.support.engines import Served
from toolkit.model import CUSTOMER
from toolkit.quality import RULES
from toolkit.quality.validation import ValidationReport

NEEDS_PYTHON = ("unusual_ids", "equal_names", "similar_names")
SHARED = [rule for rule in RULES if rule.name not in NEEDS_PYTHON]


def rows(*given: tuple[Any, ...]) -> pa.Table:
    """A table of rows (id, time, name, category, subcategory, price list, source), as many as are given."""
    columns = [[row[i] if i < len(row) else None for row in given] for i in range(len(CUSTOMER.names))]
    times = [None if t is None else pd.Timestamp(t, tz="UTC").to_pydatetime() for t in columns[1]]
    columns[1] = times
    return pa.table(dict(zip(CUSTOMER.names, columns, strict=True)), schema=CUSTOMER.arrow_schema())


T, LATER = "2026-01-01", "2026-01-02T03:04:05.678901"
CASES: dict[str, pa.Table] = {
    "clean": rows(("A", T, "Acme"), ("B", T, "Best")),
    "empty": rows(),
    "nulls in the key": rows((None, T), ("A", None), (None, None, "x"), ("B", T)),
    "empty text is no null": rows(("", T), ("A", T, ""), ("B", T, None), (" ", T, " ")),
    "duplicates": rows(("A", T, "x"), ("A", T, "y"), ("A", LATER), ("B", T), ("B", T), ("C", T), ("C", T), ("C", T)),
    "case and zeros in ids": rows(("c-1", T), ("C-1", T), ("007", T), ("7", T), ("C-1 ", T), ("8", T), ("0", T), ("00", T)),
    "case, spaces and accents in keys": rows(("a", T), ("A", T), ("ä", T), ("a ", T), ("ａ", T), ("a\u0308", T)),
    "microseconds": rows(("A", "2026-01-01T00:00:00.000001"), ("A", "2026-01-01T00:00:00.000002")),
    "times": rows(("A", "1999-12-31T23:59:59"), ("B", "2000-01-01"), ("C", "2100-01-01"), ("D", "0001-01-01")),
    "sources": rows(*((f"A{i}", T, "n", None, None, None, s) for i, s in enumerate(["peak", "customer", "ERP", "Peak", ""]))),
    "spaces": rows(*((f"A{i}", T, n) for i, n in enumerate(
        [" a", "a ", "a  b", "a b", "\u00a0a", "a\u3000", "\t", "a\tb", "a\n", "\u200b", "a\x0bb", "a\u2028", " \u00a0 "]))),
    "signs": rows(*((f"A{i}", T, n) for i, n in enumerate(
        ["a\u200bb", "a\x07", "\ufeffa", "a\u0085b", "MÃ¼ller", "Müller", "â€œx", "ï»¿", "Ð¾", "\ufffd", "ÃŸ", "ÅA", "Å\u0082"]))),
    "nothings": rows(*((f"A{i}", T, n) for i, n in enumerate(
        ["N/A", "n/a", "tEsT", " test ", "NAN", "\\N", "\\n", "nİl", "NIL", "(NULL)", "-", "?", "unknown", "İ", "ΣΑΣ"]))),
    "spreadsheets": rows(*((n, T, n) for n in
        ["1E5", "1.5e+10", "12.0", "'12", '="12"', '="a""b"', "#N/A", "#REF!", "#nv", "1e5", "a'1'", "''", "7.0", "12.00"])),
    "addresses": rows(*((f"A{i}", T, n) for i, n in enumerate(["a@b.de", "a@b", "a b@c.d", "x a@ä.com y", "@", "a@b.c1"]))),
    "beyond the first plane": rows(("😀", T, "😀😀"), ("😁", T, "𝒜𝒷"), ("A", T, "🏳️‍🌈 "), ("B", T, " 😀")),
    "quotes": rows(("it's", T, 'a"b'), ("a\\b", T, "\\d"), ("{x}", T, "$1"), ("%", T, "_"), ("a`b", T, "--")),
    "totals": rows(("Total", None, None), (None, None, "Grand total: 7"), ("Summe", T), (" ", None, "ИТОГО 12"),
                   ("Total SE", None), ("totale generale", None, "x"), ("Итого", None), ("subtotal", None, " - ")),
    "subcategories": rows(*((f"A{i}", T, f"n{i}", c, s) for i, (c, s) in enumerate(
        [("Retail", "Shoes"), ("Retail", "Shoes"), ("Food", "Shoes"), ("food", "Shoes"), (None, "Shoes"), ("", "Shoes"),
         ("Retail", "Hats"), ("Food", "Hats"), ("Food", "Hats"), ("Retail", None)]))),
    "used once": rows(*((f"A{i:02}", T, f"n{i}", "Retail" if i else "retail", None, f"PL-{i // 2}") for i in range(24)),
                      ("A00", LATER, "n0", "retail", None, "PL-0"), ("A01", LATER, "n1", "Retail", None, "PL -0")),
    "versions": rows(*((f"A{i % 3}", f"2026-01-0{1 + i // 3}", f"n{i % 2}", "Retail") for i in range(9))),
    "long": rows(("A" * 10_001, T, "é" * 10_000), ("B", T, "é" * 10_001), ("C", T, "x" * 10_000)),
    "over the limit": rows(("A", T, "x" * 999_000), ("B", T, "x" * 998_000 + '"' * 900), ("C", T, "\x01" * 170_000)),
}  # fmt: skip


def same_order(table: pa.Table) -> pd.DataFrame:
    """The frame in the order of a table in an engine: by key, then by the other columns, nulls last."""
    codes = [tk.engine.quoted(c) + " NULLS LAST" for c in table.column_names]
    with tk.engine.Session({"t": table}) as session:
        ordered = session.table(f"SELECT * FROM t ORDER BY {', '.join(codes)}")
    frame = tk.engine.to_frame(ordered)
    return frame.set_index(pd.RangeIndex(1, len(frame) + 1, name="source_row"))


def told(report: ValidationReport) -> dict[str, Any]:
    """All that a report says; its rows are numbered as those that an engine shows."""
    every = pd.concat([report.failures, report.warnings])
    shown = sorted({*every["index"], *every["other"].dropna()})
    place = {row: n + 1 for n, row in enumerate(shown)}

    def found(frame: pd.DataFrame) -> list[Any]:
        return [
            (place[f["index"]], f["column"], f["check"], str(f["failure_case"]), f["reason"], place.get(f["other"]),
             place.get(f["group"]))
            for f in frame.to_dict("records")
        ]  # fmt: skip

    quarantine = report.quarantine.drop(columns="reasons").astype(object)
    return {
        "counts": report.to_dict() | {"source": ""},
        "columns": {c: n for c, n in report._columns.items() if c},
        "warned": report._n_warned,
        "groups": [side[["reason", "count", "groups"]].to_dict("records") for side in report.findings],
        "quarantine": [
            (place[n], *map(str, row)) for n, row in zip(quarantine.index, quarantine.to_numpy(), strict=True)
        ],
        "failures": found(report.failures),
        "warnings": found(report.warnings),
    }


@pytest.mark.parametrize("case", CASES)
def test_the_report_of_a_table_is_that_of_the_frame(served: Served, case: str) -> None:
    local = told(tk.validate(same_order(CASES[case]), rules=SHARED))
    there = told(tk.validate(served.load(CASES[case]), rules=SHARED))
    for part, said in local.items():
        assert there[part] == said, part
    assert served.left() == []
