"""Rules as data: what each finds and leaves alone, and how an analyst chooses among them."""

from __future__ import annotations

import pandas as pd
import pandera.pandas as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from toolkit.errors import InputError
from toolkit.model.contract import CUSTOMER
from toolkit.quality.correcting import correct
from toolkit.quality.rules import RULES, Rule, choose_rules
from toolkit.quality.validation import validate

NOW = pd.Timestamp("2026-11-24T10:00:00Z")


def found(frame: pd.DataFrame, check: str) -> list[int]:
    warnings = validate(frame, now=NOW).warnings
    return sorted(warnings["index"][warnings["check"] == check])


@pytest.mark.parametrize(
    ("check", "odd", "sound"),
    [
        ("mojibake", ["MÃ¼ller", "SociÃ©tÃ©", "Dâ€™Or", "M\ufffdller", "PaweÅ‚"],
         ["Müller", "CAFÉ»", "SÃO PAULO", "Ångström", "PÂTÉ", "Москва"]),
        ("invisible_characters", ["Al\u200bpha", "Al\u00adpha", "\ufeffAlpha", "Al\x07pha", "\u202eahplA"],
         ["Alpha", "Al\tpha", "Ünïcode", "日本"]),
        ("placeholder", ["test", " XXX ", "n/a", "Unbekannt", "?"], ["Test GmbH", "Nantes", "X", "Nana"]),
        ("excel_error", ["#N/A", "#REF!", "#NAME?"], ["#1 Traders", "N/A Ltd", "Lot #REF! 4"]),
        ("personal_data", ["Anna Muster <a.muster@example.com>", "x@y.org"], ["Café @ Home", "a@b", "Alpha"]),
        ("stray_spaces", [" Alpha", "Alpha\u00a0", "Al  pha", "Al \u2003pha"], ["Alpha", "Al pha"]),
    ],
)  # fmt: skip
def test_a_name_is_odd_or_sound(customers, check: str, odd: list[str], sound: list[str]) -> None:
    frame = customers(len(odd) + len(sound), customer_name=[*odd, *sound])
    assert found(frame, check) == list(range(2, len(odd) + 2))


def test_an_id_that_a_spreadsheet_rewrote_is_named(customers) -> None:
    frame = customers(6, customer_id=["1.23E+15", "4711.0", "1e12", "E100", "12E3X", "00123"])
    assert found(frame, "spreadsheet_number") == [2, 4]


def test_many_rows_are_judged_as_few_are(customers, monkeypatch) -> None:
    # Of many rows the values of a category are asked first, and ids are compared only if their hashes repeat.
    rows = {
        "customer_id": ["C-1", "c-1", "0007", "7", None, "C-2", " ", "C-3"],
        "customer_category": ["Retail", "n/a", None, " Retail", "  ", "#N/A", "RÃ¼ck", "Retail"],
        "customer_subcategory": ["Shop", None, "Shop", "Shop", "Shop", "Shop", "Shop", "a\u200bb"],
        "source": ["peak", "ERP", None, "customer", "peak ", "peak", "peak", "peak"],
    }
    frame = customers(8, **rows)
    few = validate(frame, now=NOW)
    for module in ("findings", "statistics"):
        monkeypatch.setattr(f"toolkit.quality.{module}.MANY", 0)
    many = validate(frame, now=NOW)
    assert {"placeholder", "blank", "excel_error", "mojibake", "stray_spaces", "near_ids"} <= {*few.warnings["check"]}
    for part in ("failures", "warnings", "quarantine"):
        pd.testing.assert_frame_equal(getattr(many, part), getattr(few, part))


def test_equal_names_of_two_customers_are_shown_beside_each_other(customers) -> None:
    names = ["Müller & Söhne GmbH", "MULLER SOHNE", "Acme B.V.", "Аcme", "Store 12", "Store 13", "Co", None]
    frame = customers(8, customer_name=names)  # the A of the fourth is Cyrillic
    warnings = validate(frame, now=NOW).warnings
    pairs = warnings[warnings["check"] == "equal_names"].set_index("index")["other"].to_dict()
    assert pairs == {2: 3, 3: 2, 4: 5, 5: 4}


@pytest.mark.parametrize(
    ("column", "cell", "checks"),
    [
        ("customer_category", "n/a", ["placeholder"]),
        ("customer_category", "  ", ["blank"]),
        ("customer_category", "#N/A", ["excel_error"]),
        ("customer_category", "Retail ", ["stray_spaces"]),
        ("customer_category", "MÃ¶bel", ["mojibake"]),
        ("customer_category", "Wholesale", ["two_categories"]),  # its only customer needs no finding of its own
        ("customer_price_list_id", "'PL1", ["spreadsheet_text"]),
        ("customer_price_list_id", "PL2", ["single_price_list"]),
        ("customer_id", " ", ["blank_id"]),
        ("customer_name", "Alpha ", ["equal_names", "stray_spaces"]),  # two causes
    ],
)
def test_one_cause_is_one_finding(customers, column: str, cell: str, checks: list[str]) -> None:
    cells = {"customer_category": "Retail", "customer_subcategory": "Shoes", "customer_price_list_id": "PL1"}
    names = ["Alpha", *(f"{a}{b}{a}{b}oka" for a in "BDFGH" for b in "aeiou")]
    frame = customers(26, **cells).assign(customer_name=names, customer_id=[f"{n:04d}" for n in range(26)])
    frame.loc[7, column] = cell
    assert sorted(set(validate(frame, now=NOW).warnings["check"])) == checks


def test_customers_without_a_name_share_none(customers) -> None:
    frame = customers(4, customer_name=["unknown", "unknown", "Alpha", "Alpha"])
    assert (found(frame, "placeholder"), found(frame, "equal_names")) == ([2, 3], [4, 5])


@given(st.text(max_size=5))
@example("\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00ad\x85\t")
def test_the_invisible_characters_that_a_rule_warns_of_are_those_that_the_correction_removes(name: str) -> None:
    frame = pd.DataFrame({"customer_id": ["A"], "updated_at": [NOW], "customer_name": pd.Series([name], dtype="str")})
    rule = [rule for rule in RULES if (rule.name, rule.column) == ("invisible_characters", "customer_name")]
    warned = validate(frame, rules=rule, now=NOW).n_warnings
    assert warned == correct(frame, ["invisible_characters"]).n_changes


WORDS = st.sampled_from(["Müller", "MULLER", "Mu\u0308ller", "Söhne", "Store", "12", "21", "B.V.", "gmbh", "G.m.b.H",
                         "S.à r.l.",
                         "Sàrl", "& Co", "–", "Аcme", "Acme", "Łódź", "Lodz", "ß", "K", "ÅB", "Ab", "  "])  # fmt: skip
NAMED = st.lists(WORDS, max_size=4).map(" ".join) | st.text(max_size=8)


def test_one_customer_with_two_versions_has_no_double(customers) -> None:
    frame = customers(2, customer_id=["A", "A"], customer_name=["Nordwind Logistik", "Nordwind Logistic"])
    assert found(frame, "equal_names") == found(frame, "similar_names") == []


def test_a_slip_of_the_pen_is_nearly_the_same_name_and_another_number_is_not(customers) -> None:
    names = [
        "Nordwind Logistik",
        "Nordwind Logisitk",
        "Filiale Grünholm 12",
        "Filiale Grünholm 13",
        "Ahlensund",
        "Kern",
    ]
    frame = customers(6, customer_name=names)
    assert found(frame, "similar_names") == [2, 3]
    strict = choose_rules(similar_names={"known": 1})  # each word is known, so none is a typing error
    assert "similar_names" not in set(validate(frame, rules=strict, now=NOW).warnings["check"])


def test_categories_are_seen_as_a_whole(customers) -> None:
    frame = customers(
        30,
        customer_category=["Trade"] * 28 + ["Industry", "Trad"],
        customer_subcategory=["Shoes"] * 29 + [None],
        customer_price_list_id=["P1"] * 29 + ["P2"],
    )
    assert found(frame, "two_categories") == [30]  # the one Industry row, not the 28 of Trade
    assert found(frame, "single_category") == [31]  # row 30 is a finding already
    assert found(frame, "single_price_list") == [31]
    assert found(customers(3, customer_category=["a", "b", "c"]), "single_category") == []  # too few to say


def test_an_analyst_adds_a_pandera_check_in_three_lines(customers) -> None:
    rule = Rule(
        "c_number", "customer_id", "is no C-number", check=pa.Check.str_matches(r"C[0-9]{5}$"), severity="failure"
    )
    report = validate(customers(3, customer_id=["C00001", "D1", "C00003"]), rules=choose_rules(rule), now=NOW)
    assert report.counts == {"customer_id is no C-number": 1}
    assert list(report.quarantine.index) == [3]
    assert report.delivery.held == {"D1"}


def test_a_check_of_one_s_own_passes_over_nulls(customers) -> None:
    rule = Rule("upper", "customer_category", "is not in capitals", check=pa.Check(lambda s: s.str.isupper()))
    frame = customers(3, customer_category=["A", None, "b"])
    assert list(validate(frame, rules=[rule], now=NOW).warnings["index"]) == [4]


def test_a_check_of_the_column_as_a_whole_is_refused(customers) -> None:
    rule = Rule("whole", "customer_category", "is uneven", check=pa.Check(lambda s: s.nunique() > 5))
    with pytest.raises(InputError, match="true or false for each cell"):
        validate(customers(3), rules=[rule], now=NOW)


def test_rules_are_switched_off_and_made_failures_by_name(customers) -> None:
    frame = customers(2, customer_name=["test", " b"])
    report = validate(frame, rules=choose_rules(without=["stray_spaces"], failures=["placeholder"]), now=NOW)
    assert list(report.quarantine.index) == [2]
    assert report.n_warnings == 0


@pytest.mark.parametrize(
    "choice", [{"without": ["stray_space"]}, {"failures": ["nearids"]}, {"similar_name": {"known": 1}}]
)
def test_a_rule_that_is_not_known_is_named_with_the_nearest(choice: dict) -> None:
    with pytest.raises(InputError, match="did you mean"):
        choose_rules(**choice)


def test_a_rule_is_found_in_one_way_and_has_its_own_thresholds() -> None:
    with pytest.raises(InputError, match="exactly one"):
        Rule("none", "customer_id", "is odd")
    with pytest.raises(InputError, match="it has min_customers"):
        choose_rules(single_category={"most": 3})
    with pytest.raises(InputError, match="failure or warning"):
        Rule("odd", "customer_id", "is odd", where="true", severity="error")  # type: ignore[arg-type]


def test_every_rule_points_at_a_column_and_is_found_once() -> None:
    assert {rule.column for rule in RULES} <= set(CUSTOMER.names)
    assert len({(rule.name, rule.column) for rule in RULES}) == len(RULES)


TEXT = st.none() | st.text(max_size=6) | st.sampled_from(["Acme", "ACME Ltd", "Асme", "'; DROP", "{now}", "%", "\x00"])


@settings(max_examples=25)  # of four times the rows
@given(st.lists(st.tuples(TEXT, TEXT, TEXT), max_size=24))
def test_no_text_breaks_a_rule_and_a_warning_never_moves_a_row(rows: list[tuple]) -> None:
    index = pd.RangeIndex(2, len(rows) + 2, name="source_row")
    columns = ("customer_id", "customer_name", "customer_category")
    frame = pd.DataFrame({c: pd.Series([r[i] for r in rows], dtype="str", index=index) for i, c in enumerate(columns)})
    frame["updated_at"] = pd.Series(NOW, index=index, dtype="datetime64[us, UTC]")
    with_rules, without = validate(frame, now=NOW), validate(frame, rules=(), now=NOW)
    pd.testing.assert_frame_equal(with_rules.good, without.good)
    assert set(with_rules.warnings["index"]) <= set(index)
    assert set(with_rules.warnings["other"].dropna()) <= set(index)
    assert not with_rules.warnings.duplicated(["check", "column", "index"]).any()


def test_the_report_tells_the_most_harmful_first_whatever_the_counts(customers) -> None:
    names = [" Alpha", " Beta", " Gamma", "test", "MÃ¼ller"]
    said = validate(customers(5, customer_name=names), now=NOW).body()
    told = [said.index(words) for words in ("wrongly decoded", "placeholder", "leading, trailing")]
    assert told == sorted(told)


def test_one_name_stands_for_a_list_of_one() -> None:
    assert choose_rules(without="blank", failures="blank_id") == choose_rules(without=["blank"], failures=["blank_id"])
