"""Rules as SQL: each says what pandera says, cell by cell, or is refused by name."""

from __future__ import annotations

import re

import pandas as pd
import pandera.pandas as pa
import pyarrow as arrow
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from toolkit.engine.duckdb import Session, to_arrow
from toolkit.errors import InputError
from toolkit.model.contract import CUSTOMER, Contract
from toolkit.model.schema import empty_frame, schema_for
from toolkit.quality.compiling import compile_contract, compile_rule, compile_schema, to_re2
from toolkit.quality.rules import RULES, Rule

NOW = pd.Timestamp("2026-11-24T10:00:00Z")
Check = pa.Check

TEXTS = [
    Check.isin(["A", "b'c", "\0", "ü", ""]),
    Check.isin([]),
    Check.notin(["A", "", "peak"]),
    Check.notin(["A"], ignore_na=False),
    Check.isin(["A"], ignore_na=False),
    Check.eq("A"),
    Check.ne("A"),
    Check.ne("A", ignore_na=False),
    Check.gt("A"),
    Check.ge("ü"),
    Check.lt("a"),
    Check.le("A", ignore_na=False),
    Check.in_range("A", "a"),
    Check.in_range("A", "ü", include_min=False, include_max=False),
    Check.str_startswith("A"),
    Check.str_endswith("é"),
    Check.str_startswith("_", ignore_na=False),
    Check.str_length(1, 3),
    Check.str_length(min_value=2),
    Check.str_length(max_value=0),
    Check.str_length(exact_value=1),
    Check.str_matches(r"[A-Z]\d+"),
    Check.str_matches(r"^C[0-9]{1,3}$"),
    Check.str_matches(r"A|b"),
    Check.str_matches(r"\w+\s?\w*$"),
    Check.str_contains(r"\d"),
    Check.str_contains(r"^A|b$"),
    Check.str_contains(r"[^A-Za-z\s]"),
    Check.str_contains(r"(?:a.b|(?:c)+?)"),
    Check.str_contains(r"\S\W\D"),
    Check.str_matches(re.compile(r"A # a note\n b", re.VERBOSE)),
    Check.str_matches(r".{2,}\Z"),
]
MOMENTS = [
    Check.eq(NOW),
    Check.ne(NOW),
    Check.gt(NOW),
    Check.le(NOW.tz_convert("Asia/Tokyo")),
    Check.isin([NOW]),
    Check.notin([NOW]),
    Check.in_range(NOW - pd.Timedelta(days=1), NOW),
]
CELL = st.none() | st.text(max_size=5) | st.sampled_from(
    ["A", "Ab", "b", "a\n", "a\nb", "A1", "C123", "C1\n", "٣", "A٣", "é", "e\u0301", "\0", "b'c", "\u2003", "\x1c",
     "ab", "a.b", "_", "ſ", "\U0001f926\U0001f3fc", "A b", "Ab\n", "acb", "peak"]
)  # fmt: skip
TIME = st.none() | st.sampled_from(
    [NOW, NOW + pd.Timedelta(microseconds=1), NOW - pd.Timedelta(days=1), pd.Timestamp("0001-01-01", tz="UTC")]
)


def by_pandera(schema: pa.DataFrameSchema, frame: pd.DataFrame) -> set[tuple[int, str]]:
    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as found:
        return set(zip(found.failure_cases["index"], found.failure_cases["check"], strict=True))
    return set()


def by_sql(schema: pa.DataFrameSchema, frame: pd.DataFrame) -> set[tuple[int, str]]:
    conditions = compile_schema(schema)
    held = ", ".join(f"({condition.sql}) AS c{n}" for n, condition in enumerate(conditions))
    with Session({"rows_": to_arrow(frame, CUSTOMER.arrow_schema(), index="row_")}) as session:
        rows = session.table(f"SELECT row_, {held} FROM rows_").to_pylist()
    return {(row["row_"], c.check) for row in rows for n, c in enumerate(conditions) if row[f"c{n}"]}


@given(st.lists(CELL, min_size=1, max_size=12))
@example(["A", None, "A", None, "b"])
@settings(max_examples=8)
def test_each_check_of_text_says_what_pandera_says(cells: list) -> None:
    frame = pd.DataFrame({"customer_name": pd.Series(cells, dtype="str")})
    schema = pa.DataFrameSchema({"customer_name": pa.Column(str, TEXTS, nullable=False, unique=True)})
    assert by_sql(schema, frame) == by_pandera(schema, frame)


@given(st.lists(TIME, min_size=1, max_size=6))
@settings(max_examples=8)
def test_each_check_of_a_time_says_what_pandera_says(cells: list) -> None:
    frame = pd.DataFrame({"updated_at": pd.Series(cells, dtype="datetime64[us, UTC]")})
    column = pa.Column(pd.DatetimeTZDtype("us", "UTC"), MOMENTS, nullable=False, unique=True)
    schema = pa.DataFrameSchema({"updated_at": column})
    assert by_sql(schema, frame) == by_pandera(schema, frame)


PATTERN = st.recursive(
    st.sampled_from(["a", "é", ".", r"\d", r"\w", r"\s", r"\D", "[a-c]", r"[^\d_]", r"\.", "^", "٣", r"\n", r"\x1c"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda p: f"(?:{p[0]}|{p[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "*?", "{0,2}"])).map(lambda p: f"({p[0]}){p[1]}"),
    ),
    max_leaves=5,
)


@given(PATTERN, st.sampled_from(["", "$", r"\Z"]), st.lists(CELL.filter(lambda c: c is not None), max_size=8))
@settings(max_examples=40)
def test_a_pattern_matches_what_python_matches(pattern: str, end: str, cells: list[str]) -> None:
    pattern += end
    with Session({"cells": arrow.table({"c": arrow.array(cells, arrow.string())})}) as session:
        ours = session.table("SELECT regexp_matches(c, ?) AS hit FROM cells", [to_re2(pattern)])["hit"].to_pylist()
    assert ours == [re.search(pattern, cell) is not None for cell in cells]


@pytest.mark.parametrize(
    "pattern",
    [r"a(?=b)", r"(?<!a)b", r"(a)\1", r"\bA", r"(?i)a", r"a$\n", "a++", r"(?>a)b", re.compile("a", re.DOTALL)],
)
def test_a_pattern_that_sql_does_not_know_is_refused_by_the_rule_s_name(pattern) -> None:
    rule = Rule("id_form", "customer_id", "is odd", check=Check.str_contains(pattern), severity="failure")
    with pytest.raises(InputError, match=r"The rule id_form cannot run in a scan: .*without=\['id_form'\]"):
        compile_rule(rule, NOW)


def isin(cells: pd.Series) -> pd.Series:
    return cells == "A"


@pytest.mark.parametrize(
    ("check", "why"),
    [
        (Check(lambda s: s.str.isupper()), "function"),
        (Check(isin), "function"),  # its name is not enough
        (Check.isin(["A"], raise_warning=True), "raise_warning"),
        (Check.isin(["A"], n_failure_cases=1), "n_failure_cases"),
        (Check.isin(["A"], element_wise=True), "element_wise"),
        (Check.unique_values_eq(["A"]), "function"),
        (Check.gt(3), "int"),
        (Check.eq(NOW), "no string"),
    ],
)
def test_what_is_not_known_is_refused_and_never_skipped(check: pa.Check, why: str) -> None:
    with pytest.raises(InputError, match=f"my_rule.*{why}"):
        compile_rule(Rule("my_rule", "customer_category", "is odd", check=check), NOW)
    with pytest.raises(InputError, match=why):
        compile_schema(pa.DataFrameSchema({"customer_category": pa.Column(str, check)}))


@pytest.mark.parametrize(
    ("check", "why"),
    [
        (Check.gt(pd.Timestamp("2026-01-01")), "names no zone"),
        (Check.gt(NOW + pd.Timedelta(1, unit="ns")), "finer than a microsecond"),
        (Check.str_length(1), "is for text"),
        (Check.str_startswith("2"), "is for text"),
    ],
)
def test_a_time_is_compared_with_exact_times_only(check: pa.Check, why: str) -> None:
    with pytest.raises(InputError, match=why):
        compile_rule(Rule("my_rule", "updated_at", "is odd", check=check), NOW)


@pytest.mark.parametrize(
    "schema",
    [
        pa.DataFrameSchema({"a": pa.Column(str)}, checks=Check(lambda f: f["a"] == "A")),
        pa.DataFrameSchema({"a": pa.Column(str)}, strict=True),
        pa.DataFrameSchema({"a": pa.Column(str, coerce=True)}),
        pa.DataFrameSchema({"a": pa.Column(str, default="A")}),
        pa.DataFrameSchema({"a": pa.Column(str, regex=True)}),
        pa.DataFrameSchema({"a": pa.Column(str, parsers=pa.Parser(lambda s: s.str.strip()))}),
        pa.DataFrameSchema({"a": pa.Column(str, unique=True, report_duplicates="exclude_first")}),
        pa.DataFrameSchema({"a": pa.Column(float)}),
        pa.DataFrameSchema({"a": pa.Column(str)}, index=pa.Index(int)),
    ],
)
def test_a_schema_that_says_more_than_sql_knows_is_refused(schema: pa.DataFrameSchema) -> None:
    with pytest.raises(InputError, match="scan"):
        compile_schema(schema)


def test_both_contracts_and_every_shipped_rule_compile() -> None:
    frame = empty_frame()
    for name in ("2026-04", "current"):
        contract = Contract.named(name)
        columns = {c.column for c in compile_contract(contract)}
        assert {c for c, column in schema_for(contract).columns.items() if not column.nullable} <= columns
    for rule in RULES:
        assert bool(compile_rule(rule, NOW).sql) == bool(rule.where)
    with Session({"rows_": to_arrow(frame, CUSTOMER.arrow_schema(), index="row_")}) as session:
        for condition in (compile_rule(rule, NOW) for rule in RULES if rule.where):
            assert session.scalar(f"SELECT count(*) FROM rows_ WHERE {condition.sql}") == 0
