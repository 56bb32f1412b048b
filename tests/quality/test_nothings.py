"""What programs and spreadsheets leave in cells: placeholders, rewritten ids, totals rows, cells that are too long."""

from __future__ import annotations

import re
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pandera.pandas as pa
import pyarrow as arrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.cases import CASES
from toolkit.errors import InputError
from toolkit.quality.correcting import called_for, correct
from toolkit.quality.corrections import folded_spelling
from toolkit.quality.rules import RULES, Rule, choose_rules
from toolkit.quality.validation import validate
from toolkit.reading import read_customers
from toolkit.reading.date_patterns import infer_pattern

NOW = pd.Timestamp("2026-11-24T10:00:00Z")


def found(frame: pd.DataFrame, check: str) -> dict[str, list[int]]:
    report = validate(frame, now=NOW)
    both = pd.concat([report.failures, report.warnings])
    return both[both["check"] == check].groupby("column")["index"].apply(sorted).to_dict()


def test_the_nothings_of_python_are_placeholders() -> None:
    delivery = read_customers(CASES / "F21_python_nulls.csv")
    assert found(delivery.frame, "placeholder") == {"customer_id": [2, 3], "customer_name": [2, 3, 4, 5]}


@pytest.mark.parametrize(
    "text", ["NaN", "-nan", "<NA>", "NaT", r"\N", "(null)", "[NULL]", "undefined", "(Leer)", " nan "]
)
@pytest.mark.parametrize("column", ["customer_id", "customer_name", "customer_category", "customer_price_list_id"])
def test_a_nothing_is_a_placeholder_in_each_column(customers, column: str, text: str) -> None:
    frame = customers(3, **{column: [text, "Nanette", "Natural"]})
    assert found(frame, "placeholder") == {column: [2]}


def test_a_cell_of_spaces_is_blank_and_nothing_else(customers) -> None:
    frame = customers(3, customer_name=["  ", "\u00a0", "Acme"], customer_category=["a", " ", "a"])
    assert found(frame, "blank") == {"customer_name": [2, 3], "customer_category": [3]}
    assert found(frame, "stray_spaces") == {}


def test_ids_that_a_spreadsheet_wrapped_are_found_and_unwrapped() -> None:
    delivery = read_customers(CASES / "F21_excel_text_ids.csv")
    report = validate(delivery, now=NOW)
    (reason,) = [why for why in report.warning_counts if "spreadsheet" in why]
    assert report.warning_counts[reason] == 2
    assert "correction spreadsheet_text" in reason
    assert called_for(delivery.frame)["spreadsheet_text = true"] == 2
    after = correct(delivery, ["spreadsheet_text"])
    assert after.frame["customer_id"].tolist() == ["00123", "00124"]
    assert "spreadsheet" not in str(validate(after, now=NOW).warning_counts)


def test_the_siblings_in_a_file_are_unwrapped_too(tmp_path: Path) -> None:
    ids = ['"=""00123"""', '="00124"', "'00125'", "00126'", "00127.0", "1.2E+15", "O'Neill", "'s-Gravenhage"]
    lines = "".join(f'{each},2026-01-28T10:00:00Z,"=""Acme ""{n}"""\n' for n, each in enumerate(ids))
    path = tmp_path / "crm.csv"
    path.write_text(
        f"customer_id,updated_at,customer_name\n{lines}".replace('Acme ""', 'Acme """"').replace('"""\n', '"""""""\n')
    )
    delivery = read_customers(path)
    assert found(delivery.frame, "spreadsheet_text")["customer_id"] == [2, 3, 4, 5, 6]
    assert found(delivery.frame, "spreadsheet_number") == {"customer_id": [7]}
    after = correct(delivery, ["spreadsheet_text"]).frame
    assert after["customer_id"].tolist() == ["00123", "00124", "00125", "00126", "00127", *ids[5:]]
    assert after["customer_name"].iloc[0] == 'Acme "0"'


MARKED = st.text(st.sampled_from("=\"'0A."), max_size=8) | st.sampled_from(
    ['="', '="1"', "'1", "1'", "1.0", "'", '=""1""']
)


@given(MARKED, MARKED)
def test_the_correction_changes_what_the_rule_finds(code: str, name: str) -> None:
    texts = {"customer_id": code, "customer_name": name, "customer_price_list_id": code}
    frame = pd.DataFrame({c: pd.Series([text], dtype="str") for c, text in texts.items()}).assign(updated_at=NOW)
    rules = [rule for rule in RULES if rule.name == "spreadsheet_text"]
    warned = validate(frame, rules=rules, now=NOW).warnings
    changed = correct(frame, ["spreadsheet_text"]).changes
    assert sorted(warned["column"][warned["check"] == "spreadsheet_text"]) == sorted(changed["column"])


@pytest.mark.parametrize(
    ("id_", "name"),
    [("Summe", None), ("TOTAL:", "412"), ("Grand Total", ""), ("Gesamtergebnis", None), ("Total général", None),
     (None, "Totale"), ("Итого", None), ("Total 412 customers", None), ("", "Summe:"), ("Suma", "Razem")],
)  # fmt: skip
@pytest.mark.parametrize("timed", [True, False])
def test_a_totals_row_is_a_failure_with_its_reason(customers, id_: str | None, name: str | None, timed: bool) -> None:
    frame = customers(3, customer_id=["C1", "C2", id_], customer_name=["a", "b", name])
    if not timed:
        frame.loc[4, "updated_at"] = None
    report = validate(frame, now=NOW)
    assert report.counts["customer_id is that of a totals row, not of a customer"] == 1
    assert report.n_failures == report.n_quarantined == 1  # that it has no time or id says nothing more
    assert list(report.quarantine.index) == [4]


def test_a_total_without_a_time_may_say_in_the_name_what_was_counted(customers) -> None:
    frame = customers(3, customer_id=["C1", "C2", "Summe"], customer_name=["a", "b", "3002 Kunden"])
    frame.loc[4, "updated_at"] = None
    assert validate(frame, now=NOW).counts["customer_id is that of a totals row, not of a customer"] == 1


@pytest.mark.parametrize(
    ("numbers", "total", "adds_up"),
    [
        (["1.234,50", "2.000,00", "0,5"], "3.235,00", True),
        (["1,234.50", "2,000.00", ""], "3,234.50", True),
        (["€ 10,50", "-3 €", "4,50-"], "3,00 €", True),
        (["1 000", "2\u202f000", "1'000"], "4000", True),
        (["10", "20", "30"], "61", False),
        (["0", "0", "0"], "0", False),
        (["10", "", "n/a"], "10", False),  # a copy, not a sum
        (["10", "20", "30"], "", False),
    ],
)
@pytest.mark.parametrize("id_", ["Alle", "", "C-4"])
def test_a_last_row_whose_numbers_add_up_is_a_totals_row_if_its_id_is_a_word(
    tmp_path: Path, numbers: list[str], total: str, adds_up: bool, id_: str
) -> None:
    path = tmp_path / "crm.csv"
    rows = [f"C-{n};Firma {n};2026-01-28T10:00:00Z;x;{number}" for n, number in enumerate(numbers)]
    path.write_text("\n".join(["customer_id;customer_name;updated_at;Ort;Umsatz", *rows, f"{id_};;;x;{total}"]))
    delivery = read_customers(path)
    expected = {"customer_id": [5]} if adds_up and id_ != "C-4" else {}
    assert found(delivery, "totals_row") == expected
    frame = delivery.frame.assign(Umsatz=[*numbers, total])
    assert found(frame, "totals_row") == expected


def test_a_last_customer_with_a_name_and_a_time_is_one_whatever_its_numbers(customers) -> None:
    frame = customers(3, customer_id=["C1", "C2", "Acme"]).assign(sales=[1.5, 2.5, 4.0])
    assert found(frame, "totals_row") == {}


def test_a_customer_whose_name_is_a_total_is_one(customers) -> None:
    names = ["Total SE", "Summe & Partner", "Total", "Total", "Total Energies", "Total SE"]
    frame = customers(6, customer_id=["TOTAL", "C2", "C3", "SUM", "Total Energies", "TOTAL "], customer_name=names)
    assert found(frame, "totals_row") == {}  # one of them is the last row, one has a word for its id
    assert validate(frame, rules=choose_rules(without=["totals_row"]), now=NOW).ok


def test_a_cell_that_is_too_long_is_a_finding_and_stays_good(customers) -> None:
    frame = customers(2, customer_name=["x" * 10_001, "ü" * 10_000])
    report = validate(frame, now=NOW)
    assert report.warning_counts["customer_name is longer than 10,000 characters"] == 1
    assert report.ok


ENDLESS = "SELECT row_ FROM rows_ WHERE row_ IN (SELECT a.range + b.range FROM range(10000000) a, range(10000000) b)"


@pytest.mark.parametrize(
    "rule",
    [Rule("endless", "customer_id", "is odd", rows=ENDLESS, seconds=0.1),
     Rule("endless", "customer_id", "is odd", where=f"row_ IN ({ENDLESS})", seconds=0.1)],
)  # fmt: skip
def test_a_rule_of_one_s_own_is_stopped_and_named(customers, rule: Rule) -> None:
    with pytest.raises(InputError, match=r"The rule endless was stopped after 0.1 s"):
        validate(customers(3), rules=choose_rules(rule), now=NOW)
    assert validate(customers(3), now=NOW).ok  # the next one runs


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("CAST(customer_name AS INT) > 49", "a Conversion error, as of a cell that is not of the type that it wants"),
        ("nosuch = 1", 'Referenced column "nosuch" not found'), ("nosuch(1)", "Scalar Function with name nosuch"),
        ("customer_id = (", "syntax error at or near"), ("customer_id = ?", "an? Invalid Input error"),
    ],
)  # fmt: skip
def test_a_rule_of_one_s_own_that_cannot_run_is_named_without_a_cell(customers, where: str, why: str) -> None:
    rule = Rule("mine", "customer_id", "is odd", where=where)
    for source in (
        customers(3),
        arrow.table({"customer_id": ["A"], "customer_name": ["Müller"], "updated_at": ["2026-01-01T00:00:00Z"]}),
    ):
        with pytest.raises(InputError, match=f"The rule mine cannot run: {why}") as raised:
            validate(source, rules=choose_rules(rule), now=NOW)
        assert "Müller" not in f"{raised.value} {raised.value.__cause__}"


def test_a_check_of_one_s_own_is_stopped_between_its_parts(customers, monkeypatch) -> None:
    monkeypatch.setattr("toolkit.quality.findings._BATCH", 1)
    rule = Rule("slow", "customer_id", "is odd", check=pa.Check.str_matches("C"), seconds=1e-9)
    with pytest.raises(InputError, match="The rule slow was stopped"):
        validate(customers(3), rules=[rule], now=NOW)


def test_a_check_over_a_whole_column_is_interrupted(customers) -> None:
    slow = re.compile("(a+)+b")  # it would take years
    rule = Rule("slow", "customer_name", "is odd", seconds=0.2,
                check=pa.Check(lambda cells: cells.map(lambda c: slow.match(c) is None)))  # fmt: skip
    frame, before = customers(2, customer_name=["a" * 60, "b"]), signal.getsignal(signal.SIGALRM)
    with pytest.raises(InputError, match=r"The rule slow was stopped after 0\.2 s"):
        validate(frame, rules=[rule], now=NOW)
    assert (signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)) == (before, (0, 0))


def test_a_check_in_another_thread_is_stopped_after_its_column(customers) -> None:
    rule = Rule("late", "customer_name", "is odd", seconds=1e-9, check=pa.Check(lambda cells: cells != "x"))
    with ThreadPoolExecutor() as pool, pytest.raises(InputError, match="The rule late was stopped"):
        pool.submit(validate, customers(2), rules=[rule], now=NOW).result()


def test_no_text_takes_more_time_than_its_length() -> None:
    assert folded_spelling("1" + " " * 100_000 + "x") == "1x"
    assert folded_spelling("1 / 2 - 3  4 .. 5") == "1/2-3 45"
    times = arrow.chunked_array([["a" * 100_000 + ", 1 " + "a" * 50_000 + " 2026"] * 3])
    assert infer_pattern(times).pattern is None
