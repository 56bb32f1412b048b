"""validate() and Customer: what the contract forbids is a failure, what is merely odd a warning."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pandera.pandas as pa
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.support.cases import CASES
from tests.support.pages import Page
from tests.support.settings import settings_for
from toolkit.config import Settings
from toolkit.errors import InputError
from toolkit.ledger import Ledger
from toolkit.model.contract import CURRENT
from toolkit.model.delivery import Delivery
from toolkit.model.schema import Customer, empty_frame
from toolkit.quality.profiling import profile
from toolkit.quality.rules import RULES, Rule
from toolkit.quality.validation import ValidationReport, validate
from toolkit.reading import Mapping, read_customers

NOW = pd.Timestamp("2026-11-24T10:00:00Z")


def rules_of(found: pd.DataFrame, column: str) -> dict[int, set[str]]:
    part = found[found["column"] == column]
    return {int(i): set(g) for i, g in part.groupby("index")["check"]}


def test_the_model_alone_takes_what_the_contract_takes(customers) -> None:
    frame = customers(2)
    assert len(Customer.validate(frame, lazy=True)) == 2
    assert len(Customer.validate(frame[["customer_id", "updated_at"]], lazy=True)) == 2
    # Attributes may be null, a text may be long, empty or strange, and a frame may hold other columns.
    odd = customers(2, customer_name=[None, " ​"], source=[None, "peak"], colour=["red", None])
    assert len(Customer.validate(odd, lazy=True)) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"customer_id": [None, "B"]},
        {"customer_id": ["A", "A"]},
        {"source": ["ERP", "customer"]},
        {"source": ["Customer", "customer"]},
        {"updated_at": pd.to_datetime([None, "2026-01-01T00:00:00Z"], utc=True)},
    ],
)
def test_the_model_alone_forbids_what_the_contract_forbids(customers, wrong: dict) -> None:
    with pytest.raises(pa.errors.SchemaErrors):
        Customer.validate(customers(2).assign(**wrong), lazy=True)
    assert not validate(customers(2).assign(**wrong), now=NOW).ok


def test_a_time_of_another_zone_or_unit_is_the_same_time(customers) -> None:
    frame = customers(3)
    for times in (frame["updated_at"].dt.tz_convert("Europe/Berlin"), frame["updated_at"].dt.as_unit("ns")):
        assert validate(frame.assign(updated_at=times), now=NOW).ok


def test_every_reason_of_a_bad_row_stands_in_one_record(customers) -> None:
    frame = customers(4, customer_id=["A", None, "C", "D"], source=["ERP", "ERP", None, "peak"])
    report = validate(frame, now=NOW)
    assert (report.n_rows, report.n_good, report.n_quarantined, report.n_failures) == (4, 2, 2, 3)
    assert list(report.quarantine.index) == [2, 3]
    assert report.quarantine["reasons"][3] == "customer_id is empty; source is not one of peak, customer"
    assert list(report.failures.columns[:4]) == ["column", "check", "failure_case", "index"]
    assert rules_of(report.failures, "customer_id") == {3: {"not_nullable"}}
    assert report.counts == {"source is not one of peak, customer": 2, "customer_id is empty": 1}
    assert list(report.good["customer_id"]) == ["C", "D"]


def test_both_rows_of_a_key_are_set_aside_and_the_customer_is_held(customers) -> None:
    frame = customers(4, customer_id=["A", "A", "B", "C"])
    report = validate(frame, now=NOW)
    assert report.n_duplicate_keys == report.n_failures == 2
    assert list(report.failures["index"]) == [2, 3]
    assert "customer_id and updated_at are in more than one row" in report.failures["reason"][0]
    assert report.failures["other"].tolist() == [3, 2]  # each names its twin
    assert report.failures["group"].tolist() == [2, 2]
    assert report.quarantine["reasons"][3].endswith("in more than one row (see row 2)")
    shown = Page(report.body()).grids
    assert [row[0].split()[0] for row in shown["Quarantined rows"].rows] == ["2", "3"]
    assert len(shown["Quarantined rows"].units) == 1  # twins stay together
    assert report.delivery.held == frozenset({"A"})  # reported as held by the diff, not as absent
    newer = frame.assign(updated_at=frame["updated_at"] + pd.to_timedelta([0, 1, 0, 0], unit="h"))
    assert validate(newer, now=NOW).ok  # two versions of one customer


def test_a_row_without_a_key_is_no_duplicate(customers) -> None:
    report = validate(customers(3, customer_id=[None, None, "C"]), now=NOW)
    assert report.n_duplicate_keys == 0
    assert report.n_failures == 2


def test_the_contract_decides_about_a_name_that_is_missing(customers) -> None:
    frame = customers(2, customer_name=["A", None])
    april = validate(frame, now=NOW)
    assert april.ok
    assert rules_of(april.warnings, "customer_name") == {3: {"other_contract"}}
    newest = validate(frame, settings=Settings(contract="current"), now=NOW)
    assert rules_of(newest.failures, "customer_name") == {3: {"not_nullable"}}
    assert newest.contract == "current"


def test_a_row_that_no_request_can_carry_is_a_failure(customers) -> None:
    frame = customers(3, customer_name=["A", "x" * 1_000_001, "ü" * 400_000])
    report = validate(frame, now=NOW)
    assert list(report.quarantine.index) == [3]
    assert "1,000,000 bytes" in report.quarantine["reasons"][3]
    small = validate(customers(2), settings=settings_for(replace(CURRENT, max_bytes=200)), now=NOW)
    assert small.n_quarantined == 2


def test_a_cell_that_is_no_time_fails_once_with_its_text(customers) -> None:
    frame = customers(2)
    frame["updated_at"] = frame["updated_at"].astype(object)
    frame.loc[3, "updated_at"] = "31.02.2026"
    report = validate(frame, now=NOW)
    (failure,) = report.failures.to_dict("records")
    assert (failure["column"], failure["index"], failure["failure_case"]) == ("updated_at", 3, "31.02.2026")
    assert str(report.good["updated_at"].dtype) == "datetime64[us, UTC]"


UNREAD = ["03/04/2026", "01/02/2026 10:00", "25/10/2026 02:30", "2026-03-04", "99/99/9999 1:00", "45000", "now", "",
          pd.Timestamp("2026-01-01"), 20260101]  # fmt: skip


@hypothesis_settings(max_examples=25)  # of four times the cells; no rule has a part in the reading of a time
@given(st.lists(st.sampled_from([*UNREAD, NOW, NOW.tz_convert("Asia/Tokyo"), None]), min_size=1, max_size=24))
def test_no_text_is_ever_guessed_to_be_a_time(cells: list) -> None:
    index = pd.RangeIndex(2, len(cells) + 2, name="source_row")
    frame = pd.DataFrame({"customer_id": [f"C{i}" for i in index], "updated_at": pd.Series(cells, dtype=object).array},
                         index=index)  # fmt: skip
    frame["updated_at"] = frame["updated_at"].astype(object)
    report = validate(frame, rules=(), now=NOW)
    aware = [i for i, cell in zip(index, cells, strict=True) if getattr(cell, "tzinfo", None) is not None]
    assert list(report.good.index) == aware
    assert set(report.good["updated_at"]) <= {NOW}
    assert str(report.good["updated_at"].dtype) == "datetime64[us, UTC]"
    unread = [i for i, cell in zip(index, cells, strict=True) if cell is not None and i not in aware]
    assert list(report.failures["index"][report.failures["check"] == "not_a_time"]) == unread
    assert report.n_failures == report.n_quarantined == len(cells) - len(aware)


def test_broken_lines_count_as_quarantined(customers) -> None:
    broken = pd.DataFrame({"customer_id": [None], "reason": ["3 cells where the header has 7"], "text": ["a;b;c"]},
                          index=pd.Index([9], name="source_row"))  # fmt: skip
    report = validate(Delivery(customers(2), broken=broken), now=NOW)
    assert (report.n_rows, report.n_good, report.n_quarantined) == (3, 2, 1)
    assert report.quarantine.loc[9, ["reasons", "text"]].tolist() == ["3 cells where the header has 7", "a;b;c"]
    assert not report.ok


@pytest.mark.parametrize(
    ("column", "value", "check"),
    [
        ("customer_id", "  ", "blank_id"),
        ("customer_id", "", "blank_id"),
        ("customer_id", "c00001", "near_ids"),
        ("customer_id", " C00001", "near_ids"),
        ("customer_name", "Two  spaces", "stray_spaces"),
        ("customer_name", "trailing ", "stray_spaces"),
        ("updated_at", pd.Timestamp("2027-01-01", tz="UTC"), "future_time"),
        ("updated_at", pd.Timestamp("1999-12-31", tz="UTC"), "early_time"),
    ],
)
def test_what_is_odd_is_a_warning_and_the_row_stays_good(customers, column: str, value: object, check: str) -> None:
    frame = customers(3)
    frame.loc[2, column] = value
    report = validate(frame, now=NOW)
    assert check in rules_of(report.warnings, column)[2]
    assert report.ok
    assert report.n_good == 3
    assert validate(customers(3), now=NOW).n_warnings == 0


def test_a_subcategory_without_a_category_is_a_warning(customers) -> None:
    frame = customers(2, customer_category=[None, "Retail"], customer_subcategory=["Shoes", "Shoes"])
    found = validate(frame, now=NOW).warnings
    assert list(found["index"][found["check"] == "orphan_subcategory"]) == [2]


def test_an_analyst_adds_a_warning_of_their_own(customers) -> None:
    rule = Rule("no_list", "customer_price_list_id", "is missing", where="customer_price_list_id IS NULL")
    report = validate(customers(2, customer_price_list_id=[None, "P"]), rules=[rule], now=NOW)
    assert report.warning_counts == {"customer_price_list_id is missing": 1}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: f.drop(columns="customer_id"), "customer_id"),
        (lambda f: f.set_axis([2, 2], axis=0), "index"),
        (lambda f: f.assign(updated_at=f["updated_at"].dt.tz_localize(None)), "time zone"),
        (lambda f: f.assign(updated_at=[1, 2]), "column of int64"),
    ],
)
def test_a_frame_that_cannot_be_checked_says_what_to_do(customers, spoil, words: str) -> None:
    with pytest.raises(InputError, match=words):
        validate(spoil(customers(2)))


@pytest.mark.parametrize("data", [None, 7, ["rows.csv"], {}, Settings, Mapping(), Ledger, validate])
@pytest.mark.parametrize("station", [validate, profile])
def test_what_is_not_customers_says_what_is(data: object, station) -> None:
    with pytest.raises(InputError, match=r"read_customers|snapshot\(\)|pd\.DataFrame\(rows\)"):
        station(data)


def test_a_path_has_to_be_read_before_it_is_profiled() -> None:
    with pytest.raises(InputError, match="read_customers"):
        profile("crm.csv")


@pytest.mark.parametrize("rules", [None, "blank_id", Rule("a", "source", "is a", where="true"), [7], {"blank_id": 1}])
def test_what_are_not_rules_says_how_they_are_chosen(customers, rules: object) -> None:
    with pytest.raises(InputError, match="choose_rules"):
        validate(customers(1), rules=rules)


@pytest.mark.parametrize(("mapping", "words"), [({"customer_id": "Nr"}, "a dict was given"), (Mapping(), "for a file")])
def test_a_mapping_is_one_and_belongs_to_a_file(customers, mapping: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        validate(customers(1), mapping=mapping)


def test_a_column_that_is_there_twice_is_named(customers) -> None:
    frame = customers(2)
    for station in (validate, profile):
        with pytest.raises(InputError, match="several columns named source"):
            station(pd.concat([frame, frame[["source"]]], axis=1))


def test_ids_that_are_numbers_are_no_ids(customers) -> None:
    report = validate(customers(2).assign(customer_id=[1, 2]), now=NOW)
    assert report.counts == {"customer_id is not a string": 2}


def test_a_frame_without_rows_is_good() -> None:
    report = validate(empty_frame(), now=NOW)
    assert (report.ok, report.n_rows, report.n_warnings) == (True, 0, 0)


CELL = st.none() | st.sampled_from(["A", "B", "a", " A", "ERP", "peak", ""])


@hypothesis_settings(max_examples=34)  # of three times the rows, and the rules that such cells meet
@given(rows=st.lists(st.tuples(CELL, CELL, st.integers(0, 8), CELL), max_size=24))
def test_the_report_adds_up_and_agrees_with_the_rules_by_hand(rows: list[tuple]) -> None:
    index = pd.RangeIndex(2, len(rows) + 2, name="source_row")
    frame = empty_frame().reindex(index).assign(
        customer_id=pd.Series([r[0] for r in rows], index=index, dtype="str"),
        customer_name=pd.Series([r[1] for r in rows], index=index, dtype="str"),
        updated_at=pd.Series([NOW - pd.Timedelta(days=r[2]) for r in rows], index=index, dtype="datetime64[us, UTC]"),
        source=pd.Series([r[3] for r in rows], index=index, dtype="str"),
    )  # fmt: skip
    rules = [rule for rule in RULES if rule.name in ("totals_row", "blank_id", "near_ids", "personal_data")]
    report = validate(frame, settings=Settings(contract="current"), rules=rules, now=NOW)
    keys = [(r[0], r[2]) for r in rows]
    bad = {
        n
        for n, (id_, name, _, source) in enumerate(rows, 2)
        if id_ is None or name is None or source not in (None, "peak", "customer") or keys.count(keys[n - 2]) > 1
    }
    assert set(report.quarantine.index) == bad == set(report.failures["index"])
    assert report.n_good + report.n_quarantined == report.n_rows == len(rows)
    assert not set(report.good.index) & bad
    assert sum(report.counts.values()) == report.n_failures
    assert not report.failures.duplicated(["column", "check", "index"]).any()
    assert report.quarantine.index.is_unique
    pd.testing.assert_frame_equal(report.delivery.frame, report.good)


# --- times as people wrote them


def german(tmp_path: Path, *cells: str, datetime: str = "%d.%m.%Y") -> ValidationReport:
    path = tmp_path / "crm.csv"
    path.write_text("customer_id,updated_at\n" + "".join(f"{n},{cell}\n" for n, cell in enumerate(cells)), "utf-8")
    return validate(read_customers(path, mapping=Mapping(datetime=datetime, timezone="Europe/Berlin")), now=NOW)


def test_a_page_shows_times_as_written_and_the_utc_moment_beside_them(tmp_path: Path) -> None:
    report = german(tmp_path, "15.10.2023", "31.12.2099", "15.10.2023")
    both = "15.10.2023 <small>2023-10-14 22:00:00Z</small>"
    assert both in report.delivery.body()
    assert '31.12.2099 <small class="soft">2099-12-30 23:00:00Z</small>' in report.body()  # in the findings
    assert report.body().count("small below it, the UTC moment that is sent") == 1
    doubled = validate(pd.concat([report.good.head(1)] * 2, ignore_index=True), now=NOW)
    assert "UTC" not in doubled.body()  # a frame has no form of its own


def test_the_reason_says_how_times_are_read(tmp_path: Path) -> None:
    [said] = german(tmp_path, "15.10.2023", "45213").counts
    assert said == "updated_at is not a time as %d.%m.%Y, or one that the clocks in Europe/Berlin skip or repeat"
    fractions = read_customers(
        CASES / "F04_second_61_and_7_digits.csv", mapping=CASES / "F04_second_61_and_7_digits.toml"
    )
    assert validate(fractions).counts == {
        "updated_at is not a time as %Y-%m-%d %H:%M:%S.%f, with at most 6 digits of a fraction": 3
    }


@pytest.mark.parametrize("on_disk", [False, True])
def test_the_reason_names_the_pattern_that_reads_all(tmp_path: Path, on_disk: bool) -> None:
    path = tmp_path / "crm.csv"
    days = [f"{1 + n % 28:02}/05/2026" for n in range(3000)]
    path.write_text("customer_id,updated_at\n" + "".join(f"{n},{day}\n" for n, day in enumerate(days)), "utf-8")
    mapping = Mapping(datetime="%m/%d/%Y", timezone="UTC")
    report = validate(path, mapping=mapping) if on_disk else validate(read_customers(path, mapping=mapping))
    reason = 'updated_at is not a time as %m/%d/%Y; %d/%m/%Y reads all 3,000 of them: datetime = "%d/%m/%Y" in [format]'
    assert report.counts[reason] == sum(day[:2] > "12" for day in days)
