"""Checks as conditions: SQL finds what pandera finds, row by row."""

from __future__ import annotations

import pandas as pd
import pandera.pandas as pa
import pyarrow
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from toolkit.config import Settings
from toolkit.engine import Session, to_arrow
from toolkit.errors import InputError
from toolkit.model.attributes import CustomAttribute
from toolkit.model.contract import CUSTOMER, Contract
from toolkit.model.schema import Customer, empty_frame, reason, schema_for
from toolkit.quality.compiling import compile_check, compile_contract, compile_rule
from toolkit.quality.rules import RULES, Rule
from toolkit.quality.statistics import MAX_SORTED
from toolkit.quality.validation import validate

NOW = pd.Timestamp("2026-11-24T10:00:00Z")
CELLS = st.none() | st.text(max_size=5) | st.sampled_from(
    ["A", "b'c", "\0", "é", "e\u0301", "\U0001f926\U0001f3fc", "a\n", "peak"]
)  # fmt: skip
CHECKS = [
    pa.Check.isin(["A", "b'c", "\0", "é", "", "a\n"]),
    pa.Check.str_length(1, 3),
    pa.Check.str_length(min_value=2),
    pa.Check.str_length(max_value=0),
]


@given(st.lists(CELLS, min_size=1, max_size=12))
@example(["A", None, "A", None, "b"])
@settings(max_examples=8)
def test_each_kind_of_check_of_the_contract_finds_what_pandera_finds(cells: list) -> None:
    series = pd.Series(cells, dtype="str", name="customer_name")
    with Session({"rows_": to_arrow(series.to_frame(), CUSTOMER.arrow_schema(), index="row_")}) as session:
        for check in CHECKS:
            query = f"SELECT row_ FROM rows_ WHERE NOT ({compile_check(check, 'customer_name')})"
            try:
                pa.SeriesSchema(checks=check, nullable=True).validate(series, lazy=True)
            except pa.errors.SchemaErrors as error:
                expected = set(error.failure_cases["index"])
            else:
                expected = set()
            assert set(session.table(query)["row_"].to_pylist()) == expected


def test_a_check_that_sql_does_not_know_is_an_error_and_never_skipped() -> None:
    with pytest.raises(InputError, match=r"str_startswith.*no counterpart in SQL"):
        compile_check(pa.Check.str_startswith("C"), "customer_id")


def test_a_check_of_a_rule_runs_on_disk_if_it_judges_each_cell() -> None:
    for check in (pa.Check.str_matches(r"C\d+"), pa.Check(str.isupper, element_wise=True)):
        assert compile_rule(Rule("own", "customer_id", "is odd", check=check), NOW, in_memory=False).python is check
    rule = Rule("own", "customer_id", "is odd", check=pa.Check(lambda cells: cells.str.isupper()))
    assert compile_rule(rule, NOW).python is rule.check
    with pytest.raises(InputError, match=r"rule own cannot check customers that stay on disk.*without=\['own'\]"):
        compile_rule(rule, NOW, in_memory=False)


def test_both_contracts_and_every_shipped_rule_compile() -> None:
    for name in ("2026-04", "current"):
        contract = Contract.named(name)
        refused = {c.column for c in compile_contract(contract) if c.check == "not_nullable"}
        assert refused == {c.name for c in contract.resource.columns if not c.nullable}
    for rule in RULES:
        assert bool(compile_rule(rule, NOW, in_memory=False).where) == bool(rule.where)
    sums = pyarrow.table({"row_": pyarrow.array([], pyarrow.int64())})
    with Session({"rows_": to_arrow(empty_frame(), CUSTOMER.arrow_schema(), index="row_"), "sums_": sums}) as session:
        for condition in (compile_rule(rule, NOW) for rule in RULES if rule.where):
            assert session.scalar(f"SELECT count(*) FROM rows_ WHERE {condition.where}") == 0


KEY = st.tuples(st.sampled_from([None, "A", "B", "C"]), st.sampled_from([NOW, NOW + pd.Timedelta(1, "us"), None]))


@given(st.lists(KEY, max_size=12), st.sampled_from([0, MAX_SORTED]))
@settings(max_examples=30)
def test_keys_that_repeat_are_found_however_many_rows_there_are(keys: list[tuple], sorted_up_to: int) -> None:
    frame = pd.DataFrame(keys, columns=["customer_id", "updated_at"])
    frame = frame.astype({"customer_id": "str", "updated_at": "datetime64[us, UTC]"})
    unique = compile_contract(Contract.named("2026-04"))[0]
    table = to_arrow(frame, CUSTOMER.arrow_schema(), index="row_")
    with pytest.MonkeyPatch().context() as patch, Session({"rows_": table}) as session:
        patch.setattr("toolkit.quality.statistics.MAX_SORTED", sorted_up_to)
        found = set(unique.search(session, {})["row_"])
    known = [key for key in keys if None not in key]
    assert found == {n for n, key in enumerate(keys) if known.count(key) > 1}


NAMES = st.none() | st.text(max_size=3) | st.integers(0, 3)
SOURCES = st.sampled_from([None, "peak", "customer", "ERP", "Peak", ""])
REGIONS = st.sampled_from([None, "", "abc", "abcd"])
ROWS = st.lists(st.tuples(KEY, NAMES, SOURCES, REGIONS), min_size=1, max_size=8)
COLUMNS = ["customer_id", "updated_at", "customer_name", "source", "region"]
REGION = CustomAttribute("region", required=True, non_null=True, min_length=1, max_length=3)


@given(ROWS, st.sampled_from(["2026-04", "current"]), st.booleans())
@settings(max_examples=40)
def test_validate_and_the_pandera_model_find_the_same_rows_for_the_same_reasons(
    rows: list[tuple], contract: str, with_attribute: bool
) -> None:
    frame = pd.DataFrame([(*key, *rest) for key, *rest in rows], columns=COLUMNS)
    frame = frame.astype({"customer_id": "str", "updated_at": "datetime64[us, UTC]", "source": "str", "region": "str"})
    chosen = Settings(contract=contract, attributes=(REGION,) if with_attribute else ())
    model = Customer if contract == "2026-04" and not with_attribute else schema_for(chosen.documented)
    try:
        model.validate(frame.drop(columns=[] if with_attribute else "region"), lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases
    else:
        cases = pd.DataFrame({"column": [], "check": [], "index": []})
    # pandera names a repeated key once for each of its columns, and counts null keys as equal.
    keyless = frame.index[frame[["customer_id", "updated_at"]].isna().any(axis=1)]
    unique = cases["check"] == "multiple_fields_uniqueness"
    cases = cases[~unique | ((cases["column"] == "customer_id") & ~cases["index"].isin(keyless))]
    cells = cases[["index", "column", "check"]].itertuples(index=False, name=None)
    expected = {(row, column, reason(check, column)) for row, column, check in cells}
    report = validate(frame, settings=chosen, rules=(), now=NOW)
    found = report.failures[["index", "column", "reason"]]
    assert {tuple(each) for each in found.itertuples(index=False)} == expected
    assert len(found) == len(expected)
    assert set(report.quarantine.index) == {row for row, _, _ in expected}
