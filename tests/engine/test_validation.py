"""validate() of a table in an engine: the report of the frame, on every engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import toolkit as tk
from tests.support.engines import Served
from toolkit.errors import InputError, MappingError, ReadingError
from toolkit.model import CUSTOMER
from toolkit.quality import RULES, Rule, choose_rules
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
TEXTS = {
    "source": ["peak", "customer", "ERP", "Peak", ""],
    "customer_category": ["x@y.de", "a@b", "a b@c.d", "x a@ä.com y", "@", "a@b.c1"],
    "customer_name": [
        # spaces
        " a", "a ", "a  b", "a b",
        "\u00a0a", "a\u3000", "\t", "a\tb", "a\n", "\u200b", "a\x0bb", "a\u2028", " \u00a0 ", " ", "",
        # what is invisible, or decoded in the wrong way
        "a\u200bb", "a\x07", "\ufeffa",
        "a\u0085b", "MÃ¼ller", "Müller", "â€œx", "ï»¿", "Ð¾", "\ufffd", "ÃŸ", "ÅA", "Å\u0082",
        # placeholders, and letters whose lower case is another length or depends on their neighbours
        "N/A", "n/a", "tEsT",
        " test ", "\u00a0test",
        "NAN", "\\N", "\\n", "nİl", "NIL", "(NULL)", "-", "?", "unknown", "İ", "ΣΑΣ", "\u212a.a.",
        # what a spreadsheet writes
        "1E5", "1.5e+10", "12.0",
        "'12", '="12"', '="a""b"', '="a', "#N/A", "#REF!", "#nv", "1e5", "a'1'", "''", "12.00",
        # beyond the first plane, quotes and escapes
        "😀😀", "𝒜𝒷",
        "🏳️‍🌈 ", " 😀", "it's", 'a"b', "a\\b", "\\d", "{x}", "$1", "%", "_", "a`b", "--", "a@b.de", "x y@z.org",
        # lengths in characters and in bytes
        "é" * 10_000, "é" * 10_001, "x" * 10_000, "x" * 10_001,
    ],
}  # fmt: skip
_EACH = [(column, cell) for column, cells in TEXTS.items() for cell in cells]
_TEXT_ROWS = [
    (f"A{i:03}", T, *(cell if c == column else None for c in CUSTOMER.attributes))
    for i, (column, cell) in enumerate(_EACH)
]
CASES: dict[str, pa.Table] = {
    "no rows": rows(),
    "nothing found": rows(("A", T, "Acme"), ("B", T, "Best")),
    "texts": rows(*_TEXT_ROWS),
    "keys": rows(
        (None, T), ("A", None), (None, None, "x"), ("", T), (" ", T), ("A", T, "x"), ("A", T, "y"), ("A", LATER),
        ("B", T), ("B", T), ("C", T), ("C", T), ("C", T), ("c-1", T), ("C-1", T), ("007", T),
        ("7", T), ("C-1 ", T),
        ("0", T), ("00", T), ("a", T), ("ä", T), ("ａ", T), ("a\u0308", T), ("😀", T), ("😁", T), ("1E5", T),
        ("7.0", T),
        ("E", "2026-01-01T00:00:00.000001"), ("E", "2026-01-01T00:00:00.000002"),
        ("F", "1999-12-31T23:59:59"), ("G", "2000-01-01"), ("H", "2100-01-01"), ("I", "0001-01-01"),
    ),
    "totals": rows(("Total", None, None), (None, None, "Grand total: 7"), ("Summe", T), (" ", None, "ИТОГО 12"),
                   ("Total SE", None), ("totale generale", None, "x"), ("Итого", None), ("subtotal", None, " - ")),
    "subcategories": rows(*((f"A{i}", T, f"n{i}", c, s) for i, (c, s) in enumerate(
        [("Retail", "Shoes"), ("Retail", "Shoes"), ("Food", "Shoes"), ("food", "Shoes"), (None, "Shoes"), ("", "Shoes"),
         ("Retail", "Hats"), ("Food", "Hats"), ("Food", "Hats"), ("Retail", None)])), (None, T, "n", "Rest", "Hats")),
    "used once": rows(*((f"A{i:02}", T, f"n{i}", "Retail" if i else "retail", None, f"PL-{i // 2}") for i in range(24)),
                      ("A00", LATER, "n0", "retail", None, "PL-0"), ("A01", LATER, "n1", "Retail", None, "PL -0"),
                      ("A00", LATER, "n9", "retail", None, "PL-0")),
    "over the limit": rows(("A", T, "x" * 999_000), ("B", T, "x" * 998_000 + '"' * 900), ("C", T, "\x01" * 170_000),
                           ("D", LATER, "é" * 499_800)),
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


def test_the_first_rows_are_shown_and_all_are_counted(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    every = tk.validate(served.load(CASES["keys"]), rules=SHARED)
    monkeypatch.setattr("toolkit.quality.flagging.SHOWN_ROWS", 3)
    monkeypatch.setattr("toolkit.quality.validation.SHOWN_ROWS", 3)
    some = tk.validate(served.load(CASES["keys"]), rules=SHARED)
    assert len(some.quarantine) == 3 < every.n_quarantined
    assert some.to_dict() | {"source": ""} == every.to_dict() | {"source": ""}
    assert some.quarantine["customer_id"].tolist() == every.quarantine["customer_id"].tolist()[:3]
    assert "<table" in some.body()


def test_the_good_rows_are_a_table_of_the_engine(served: Served) -> None:
    for case in ("keys",) if served.kind == "sail" else ("keys", "texts", "totals"):  # its workers take their time
        report = tk.validate(served.load(CASES[case]), rules=SHARED)
        good = tk.validate(same_order(CASES[case]), rules=SHARED).good
        assert report.table is not None
        with served.engine.session() as session:
            rows_ = session.table(f"SELECT * FROM {session.relation(report.table.sql)} AS r")
        assert same_order(rows_.cast(CUSTOMER.arrow_schema())).to_dict("list") == good.to_dict("list")
        assert tk.validate(report.table, rules=SHARED).n_quarantined == 0
    with pytest.raises(InputError, match=r"in its engine: report\.table names them"):
        report.delivery  # noqa: B018


def test_rules_that_need_all_values_in_python_are_named(served: Served) -> None:
    there = served.load(CASES["nothing found"])
    report = tk.validate(there)
    assert report.not_run == NEEDS_PYTHON
    said = "not run on this engine: unusual_ids, equal_names, similar_names"
    assert report.lines()[0].startswith(said)
    assert said in report.body()
    assert report.to_dict()["not_run"] == list(NEEDS_PYTHON)
    assert tk.validate(there, rules=SHARED).not_run == ()


def test_rules_of_ones_own_run_or_are_refused_by_name(served: Served) -> None:
    there = served.load(CASES["keys"])
    own = Rule(
        "short",
        "customer_id",
        "is short",
        where=r"length(customer_id) < 2 AND NOT regexp_matches(customer_id, '\\d|\\s$')",
    )
    local = told(tk.validate(same_order(CASES["keys"]), rules=[own]))
    assert told(tk.validate(there, rules=[own])) == local
    refused = [
        Rule("median", "customer_id", "x", rows="SELECT row_ FROM rows_"),
        Rule("form", "customer_id", "x", check=pandera.Check.str_matches("C")),
    ]
    typo = Rule("typo", "customer_id", "x", where="customer_idd = ''")
    if served.kind == "duckdb":
        with pytest.raises(InputError, match=r'DuckDB says: .*column "customer_idd" not found'):
            tk.validate(there, rules=[typo])
    else:
        refused += [
            typo,
            Rule("any_case", "customer_id", "x", where="regexp_matches(customer_id, '(?i)é')"),
            Rule("script", "customer_id", "x", where=r"regexp_matches(customer_id, '\p{Greek}')"),
            Rule("distance", "customer_id", "x", where="levenshtein(customer_id, 'a') < 2"),
        ]
    for rule in refused:
        with pytest.raises(InputError, match=f"cannot run {rule.name}: .*without=\\['{rule.name}'\\]"):
            tk.validate(there, rules=[rule])
    with pytest.raises(InputError, match="near_ids can only be a warning on "):
        tk.validate(there, rules=choose_rules(failures=["near_ids"]))
    blank = choose_rules(failures=["blank_id"], without=NEEDS_PYTHON)
    assert told(tk.validate(there, rules=blank)) == told(tk.validate(same_order(CASES["keys"]), rules=blank))
    with pytest.raises(InputError, match="stays in its engine"):
        tk.validate(there, good="good.csv")


ENGINES_DIFFER = {
    "substring({c}, -1) = 'c'": False, "substring({c}, 0, 2) = 'a'": False, "left({c}, length({c}) - 1) = 'ab'": False,
    "left({c}, -1) = 'ab'": False, "regexp_matches({c}, '[[:digit:]]')": False,
    "CAST(updated_at AS VARCHAR) > '2'": False, "trim({c}, {c}) = ''": False, "{c} = (": False, "{c} = '": False,
    "trim({c}) = 'abc'": True, "ltrim({c}) = 'abc'": True, "rtrim({c}) = 'abc'": True, "ltrim({c}, 'ba') = 'c'": True,
    "substring({c}, 2, 1) = 'b' AND right({c}, 1) = 'c'": True, "regexp_matches({c}, '[:a]b')": True,
    "CAST({c} AS VARCHAR) = 'abc'": True, "substring({c}, 5) = ''": True,
}  # fmt: skip
"""Conditions of a rule, and whether an engine can say them exactly."""


def test_a_condition_finds_what_it_finds_in_a_frame_or_is_refused(served: Served) -> None:
    names = ["abc", " abc", "\u00a0abc", "abc\u3000", "\tabc", "ABC", "1", "d", "e", "it's", None]
    given = rows(*((f"A{n:02}", T, name) for n, name in enumerate(names)))
    there, exact = served.load(given), []
    for n, (where, known) in enumerate(ENGINES_DIFFER.items()):
        rule = Rule(f"r{n:02}", "customer_name", "x", where=where.replace("{c}", "customer_name"))
        if known:
            exact.append(rule)
        elif served.kind != "duckdb":
            with pytest.raises(InputError, match=rf"cannot run {rule.name}: it cannot say .* exactly") as raised:
                tk.validate(there, rules=[rule])
            assert "\x1b" not in str(raised.value)
    local = told(tk.validate(same_order(given), rules=exact))
    assert {rule.name for rule in exact} <= {finding[2] for finding in local["warnings"]}
    assert told(tk.validate(there, rules=exact)) == local


def test_a_mapping_names_columns_constants_and_what_means_null(served: Served) -> None:
    there = served.load(pa.table({
        "No.": ["1", "2", ""], "Since": pa.array([0, 0, 0], pa.timestamp("us", "UTC")), "Order": ["-", "", "x"],
    }))  # fmt: skip
    form = tk.Mapping(columns={"customer_id": "No.", "updated_at": "Since", "customer_name": "Order"},
                      constants={"source": "ERP"}, nulls=("-",))  # fmt: skip
    report = tk.validate(there, mapping=form)
    assert report.counts == {"source is not one of peak, customer": 3, "customer_id is empty": 1}
    assert report.quarantine["customer_name"].isna().tolist() == [True, True, False]
    later = tk.Mapping(columns={"customer_id": "No."}, constants={"updated_at": "2026-01-01T00:00:00Z"})
    assert tk.validate(there, mapping=later).n_good == 2
    with pytest.raises(ReadingError, match=r"has no header|lacks the column"):
        tk.validate(there)
    with pytest.raises(MappingError, match="lacks columns that the mapping names: 'Numer'"):
        tk.validate(there, mapping=tk.Mapping(columns={"customer_id": "Numer", "updated_at": "Since"}))


def test_words_of_a_mapping_become_others_and_what_a_table_cannot_have_is_refused(served: Served) -> None:
    given = rows(("A", T, "n", None, None, None, "ERP"), ("B", T, "-", None, None, None, "it's"), ("C", T, "x"))
    values = {"source": {"ERP": "customer", "it's": "peak"}, "customer_name": {"n": "-", "x": "y"}}
    form = tk.Mapping(values=values, nulls=("-",))
    local = tk.validate(tk.read_customers(same_order(given), mapping=form), rules=SHARED)
    there = tk.validate(served.load(given), mapping=form, rules=SHARED)
    assert (there.n_good, there.counts) == (local.n_good, {}) == (3, {})
    assert there.table is not None
    kept = there.table.first(3)
    assert sorted(map(str, kept["customer_name"].to_pylist())) == ["None", "None", "y"]
    assert sorted(map(str, kept["source"].to_pylist())) == ["None", "customer", "peak"]
    for options, what in (
        ({"corrections": {"trim_spaces": True}}, r"\[corrections\]"),
        ({"values": {"updated_at": {"never": "2026-01-01"}}}, r"the \[values\] of updated_at"),
    ):
        with pytest.raises(InputError, match=f"The mapping has {what}, which a table .* cannot have"):
            tk.validate(served.load(given), mapping=tk.Mapping(**options))  # type: ignore[arg-type]


TYPED = {
    "postgresql": {
        "CAST(7 AS bigint)": "7", "CAST(1.50 AS numeric(9, 2))": "1.50", "CAST('a' AS char(3))": "a",
        "CAST('0E1B7C1C-4B3C-4E2A-9B0A-2F3C1D5E6F70' AS uuid)": "0e1b7c1c-4b3c-4e2a-9b0a-2f3c1d5e6f70",
        "CAST('{}' AS jsonb)": None, "CAST(1.5 AS real)": None, "CAST('x' AS bytea)": None, "true": None,
    },
    "sail": {
        "CAST(7 AS bigint)": "7", "CAST(1.50 AS decimal(9, 2))": "1.50", "CAST(1.5 AS float)": None, "true": None,
        "array('x')": None,
    },
}  # fmt: skip


TYPED["spark"] = TYPED["sail"]


def test_words_of_the_table_become_those_of_the_schema(served: Served) -> None:
    table = rows(("A", T, "Acme", "it's", None, None, "Kunde"), ("B", T, "-", "x\\", None, None, "peak"))
    form = tk.Mapping(
        columns={name: name for name in CUSTOMER.names}, nulls=("-", "none"), constants={},
        values={"source": {"Kunde": "customer"}, "customer_category": {"it's": 'a "b"', "x\\": "none"}},
    )  # fmt: skip
    report = tk.validate(served.load(table), mapping=form)
    assert report.n_good == 2
    good = tk.read_customers(report.table).frame.sort_values("customer_id")
    assert good["source"].tolist() == ["customer", "peak"]
    assert good["customer_category"].fillna("null").tolist() == ['a "b"', "null"]


def test_types_of_the_engine_are_text_as_in_a_file_or_refused_by_column(served: Served) -> None:
    for sql, said in TYPED.get(served.kind, {}).items():
        moment = "CAST('2026-01-01 00:00:00+00:00' AS " + (
            "timestamptz)" if served.kind == "postgresql" else "timestamp)"
        )
        table = tk.table(served.engine, f"SELECT {sql} AS customer_id, {moment} AS updated_at, 'ERP' AS source")
        if said is None:
            with pytest.raises(InputError, match=r"customer_id is of the type .* Convert it in a query"):
                tk.validate(table)
        else:
            assert tk.validate(table).quarantine["customer_id"].tolist() == [said]


def test_times_need_a_zone_and_an_end(served: Served) -> None:
    naive = {"postgresql": "timestamp '2026-01-01'", "sail": "timestamp_ntz '2026-01-01 00:00:00'"}
    naive["spark"] = naive["sail"]
    for moment in [naive[served.kind], "'2026-01-01'"] if served.kind in naive else []:
        table = tk.table(served.engine, f"SELECT 'A' AS customer_id, {moment} AS updated_at")
        with pytest.raises(InputError, match=r"updated_at (has no time zone|is of the type)"):
            tk.validate(table)
    if served.kind == "postgresql":
        table = tk.table(
            served.engine,
            """SELECT 'A' AS customer_id, timestamptz 'infinity' AS updated_at
            UNION ALL SELECT 'B', timestamptz '-infinity' UNION ALL SELECT 'C', timestamptz '2026-01-01 01:00+01'""",
        )
        report = tk.validate(table)
        assert report.counts == {"updated_at is not a time": 2}
        assert report.failures["failure_case"].tolist() == ["infinity", "-infinity"]
        assert report.n_good == 1


NOT_A_NUMBER = Rule("big", "customer_name", "is big", where="CAST(customer_name AS BIGINT) > 5")


def test_a_rule_that_an_engine_did_not_run_is_named_without_a_cell(served: Served) -> None:
    there = served.load(rows(("A", T, "1"), ("B", T, "s3cret 5")))
    with pytest.raises(
        InputError, match=r"The rule big did not run\. \w+ says: .*Leave out cells that it does not take: CASE"
    ) as raised:
        tk.validate(there, rules=[*SHARED, NOT_A_NUMBER])
    assert "s3cret" not in str(raised.value)
    assert served.left() == []


MANY = {
    "postgresql": "SELECT CAST(n AS text) AS customer_id, now() AS updated_at FROM generate_series(1, 3000000) AS n",
    "sail": "SELECT CAST(id AS string) AS customer_id, now() AS updated_at FROM range(3000000)",
}
MANY["spark"] = MANY["sail"]


def test_a_rule_is_stopped_after_its_time(served: Served, tmp_path: Path) -> None:
    if served.kind == "duckdb":
        path = tmp_path / "many.parquet"
        ids = pa.array(range(1_000_000)).cast(pa.string())
        pq.write_table(
            pa.table({"customer_id": ids, "updated_at": pa.array([0] * len(ids), pa.timestamp("us", "UTC"))}), path
        )
        there = tk.table(served.engine, path)
    else:
        there = tk.table(served.engine, MANY[served.kind])
    # DuckDB would be done with short texts before anything stops it.
    text = "repeat(customer_id, 300)" if served.kind == "duckdb" else "lower(customer_id)"
    slow = Rule("slow", "customer_id", "x", where=f"regexp_matches({text}, '([0-9]+[a-z]?)+x$')", seconds=0.01)
    with pytest.raises(InputError, match=r"The rule slow was stopped after 0\.01 s: simplify it"):
        tk.validate(there, rules=[slow])
    with served.engine.session() as session:  # the next statement is not stopped
        assert session.scalar("SELECT 1 AS n") == 1
    assert served.left() == []
