"""drift(): what a table of customers shows as a whole and no single row shows, with the figures of both sides."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import toolkit as tk
from data.make_deliveries import write_deliveries
from tests.support.pages import Page
from toolkit.model.delivery import Delivery
from toolkit.model.schema import empty_frame
from toolkit.quality.drifting import KINDS, drift
from toolkit.quality.profiling import profile

NOW = pd.Timestamp("2026-11-24T10:00:00Z")
MEMBERS = Path(__file__).resolve().parents[3] / "shared" / "data" / "sp500"


def findings_of(before: object, after: object, **options: float) -> list[tuple]:
    found = drift(before, after, **options).findings
    return [
        tuple(f) for f in found[["kind", "column", "value_before", "value_after", "n_before", "n_after"]].to_numpy()
    ]


def test_the_same_customers_have_not_drifted(customers) -> None:
    same = drift(customers(20), customers(20))
    assert (same.n_findings, same.n_before, same.n_after) == (0, 20, 20)
    assert same.summary() == "20 customers before, 20 now; nothing drifted"


def test_fewer_customers_come_first_with_the_figures_of_both_sides(customers) -> None:
    after = customers(15, customer_category=["Retail"] * 10 + ["Spares"] * 5)
    assert findings_of(customers(20), after) == [
        ("fewer", "customer_id", "", "", 20, 15),
        ("new", "customer_category", "", "Spares", 0, 5),
    ]
    assert findings_of(customers(20), customers(19)) == []
    assert findings_of(customers(20), customers(19), fall=0.01)[0][0] == "fewer"


def test_as_many_other_customers_are_missing_ones(customers) -> None:
    assert findings_of(customers(20), customers(20, start=10)) == [("missing", "customer_id", "", "", 20, 10)]


def test_ids_that_lost_their_zeros_are_one_finding_with_the_cure(customers) -> None:
    before = customers(10, customer_id=[f"{n:05d}" for n in range(100, 110)])
    after = customers(10, customer_id=[str(n) for n in range(100, 110)])
    assert findings_of(before, after) == [("rewritten", "customer_id", "", "", 10, 10)]
    assert drift(before, after).lines() == [
        "customer_id: 10 new ids differ from ids before only by leading zeros: correction pad_ids = 5"
    ]
    cured = tk.correct(after, {"pad_ids": 5})
    assert findings_of(before, cured) == []


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (["007", "008", "A9"], ["7", "8", "a9"],
         "3 new ids differ from ids before only by case, spaces or leading zeros: correction pad_ids = 3"),
        (["a9"], ["A9"], "1 new id differs from ids before only by case, spaces or leading zeros"),
        (["7"], ["007"], "1 new id differs from ids before only by leading zeros"),
        # padded to five, those that were sent as they are would become others
        (["00007", "1", "2"], ["7", "1", "2"], "1 new id differs from ids before only by leading zeros"),
        (["00007", "00008", "1"], ["7", "8", "1"],
         "2 new ids differ from ids before only by leading zeros: correction pad_ids = 5"),
    ],
)  # fmt: skip
def test_rewritten_ids_say_how_and_what_cures_them(customers, before: list, after: list, said: str) -> None:
    sides = (customers(len(ids), customer_id=ids) for ids in (before, after))
    assert drift(*sides).lines("rewritten") == [f"customer_id: {said}"]


def test_a_share_of_nulls_that_rises_is_a_finding_and_one_that_falls_is_not(customers) -> None:
    before = customers(20, customer_category=["Retail"] * 19 + [None], customer_subcategory=["Shoes"] * 20)
    after = customers(20, customer_category=["Retail"] * 16 + [None] * 4)
    found = drift(before, after)
    assert list(found.findings["what"]) == ["is empty in every row", "is empty more often"]
    assert found.findings.iloc[1][["n_before", "n_after", "share_before", "share_after"]].tolist() == [1, 4, 0.05, 0.2]
    assert findings_of(before, after, jump=0.5) == [("nulls", "customer_subcategory", "", "", 0, 20)]
    assert findings_of(after, before) == []


def test_a_category_is_renamed_if_half_of_its_customers_have_the_new_one(customers) -> None:
    before = customers(10, customer_category=["Trade"] * 4 + ["Industry"] * 2 + ["Public"] * 4)
    after = customers(10, customer_category=["Commerce"] * 2 + ["Public"] * 6 + ["Spares"] * 2)
    assert findings_of(before, after, jump=1) == [
        ("renamed", "customer_category", "Trade", "Commerce", 4, 2),
        ("gone", "customer_category", "Industry", "", 2, 0),
        ("new", "customer_category", "", "Spares", 0, 2),
    ]


def test_a_drift_is_shown_in_the_files_own_names(customers) -> None:
    before = customers(4, customer_category="Retail")
    after = Delivery(before.assign(customer_category="Shops"), names={"customer_category": "Segment"})
    page = Page(drift(before, after).body())
    assert page.verdict.endswith("1 finding: Segment, a value has another name.")
    assert page.parts == {"columns as before": 6, "with a finding": 1}
    assert page.grids["Drift"].rows[0][0] == "Segment customer_category"
    assert page.grids["Drift"].units[0]["column"] == ["Segment"]  # as the tiles of a validation name it
    assert "Segment customer_category" in [row[0] for row in page.grids["Columns before and now"].rows]


def test_two_price_lists_of_similar_spelling_are_two(customers) -> None:
    before = customers(4, customer_price_list_id=["PL-STD-001"] * 3 + ["PL-STD-002"])
    after = customers(4, start=4, customer_price_list_id=["PL-STD-002"] * 3 + ["PL-STD-003"])
    assert findings_of(before, after, fall=1) == [
        ("gone", "customer_price_list_id", "PL-STD-001", "", 3, 0),
        ("new", "customer_price_list_id", "", "PL-STD-003", 0, 1),
    ]


def test_in_a_delivery_of_changes_nothing_is_fewer_missing_or_gone(customers) -> None:
    before = customers(20, customer_category=["Retail"] * 10 + ["Trade"] * 10)
    after = replace(Delivery(customers(2, customer_category=["Retail", "Spares"])), kind="changes")
    assert findings_of(before, after) == [("new", "customer_category", "", "Spares", 0, 1)]


def test_a_column_that_the_delivery_does_not_give_has_not_drifted(customers) -> None:
    given = ("customer_id", "updated_at")
    assert findings_of(customers(9), Delivery(customers(9, customer_price_list_id=[None] * 9), given=given)) == []
    assert findings_of(customers(9), customers(9)[list(given)]) == []


def test_each_customer_counts_once_with_its_newest_version(customers) -> None:
    old = customers(6, customer_category=["Trade"] * 6)
    new = customers(6, at="2026-02-01T00:00:00Z")
    assert findings_of(pd.concat([new, old], ignore_index=True), customers(6)) == []
    assert findings_of(customers(6), pd.concat([old, new], ignore_index=True)) == []


def test_a_column_whose_values_occur_once_or_are_very_many_is_not_a_list_of_categories(customers) -> None:
    once = [f"PL{n}" for n in range(30)]
    assert findings_of(customers(30, customer_price_list_id=once), customers(30)) == []
    many = [f"PL{n // 3}" for n in range(3_600)]
    assert findings_of(customers(3_600, customer_price_list_id=many), customers(3_600)) == []


@dataclass
class Kept:
    """Something with a frame, as a snapshot of a ledger is."""

    frame: pd.DataFrame


def test_the_earlier_table_may_be_whatever_has_a_frame(customers) -> None:
    kept, later = Kept(customers(3)), customers(2, source=["peak", None])
    found = drift(kept, later)
    assert found.before == "the kept"
    assert [f[0] for f in findings_of(customers(3), later)] == list(found.findings["kind"])
    report = tk.validate(later, before=kept, now=NOW)
    assert "there are fewer customers" in report.body()
    assert report.to_dict()["drift"]["customers_before"] == 3
    assert tk.validate(later, now=NOW).drift is None


def test_nothing_has_drifted_where_nothing_was_sent(customers, tmp_path: Path) -> None:
    report = tk.validate(customers(3), before=tk.Ledger(tmp_path / "ledger", "acme").snapshot(), now=NOW)
    assert report.drift is not None
    assert report.drift.n_findings == 0
    assert "Nothing was sent before" in report.body()


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (["MMM", "BRK"], ["MMM", "日本"], "1 id is like aa where 2 customers sent before are like AAA"),
        ([f"{n}" for n in range(1000, 1200)], ["1000", "K-20"],
         "1 id is like A-99 where 200 customers sent before are like 9999"),
        (["00123", "00124"], ["0000123", "00124"], None),  # rewritten
        ([f"{n}" for n in range(1000, 1200)], [*map(str, range(1001, 1200)), "K-20"], None),  # fewer than 1 %
    ],
)  # fmt: skip
def test_ids_of_a_new_form_have_drifted(customers, before: list, after: list, said: str | None) -> None:
    sides = (customers(len(ids), customer_id=ids) for ids in (before, after))
    assert drift(*sides, fall=1).lines("form") == ([f"customer_id: {said}"] if said else [])


def test_the_renamed_group_of_the_shipped_deliveries_is_found(tmp_path: Path) -> None:
    first, second, *_ = write_deliveries(tmp_path)
    shipped = Path(tk.__file__).parents[1] / "data"
    before, after = (
        tk.correct(tk.read_customers(file, mapping=shipped / f"{file.stem}.toml")) for file in (first, second)
    )
    assert [f[:4] for f in findings_of(before, after)] == [
        ("renamed", "customer_category", "Öffentliche Hand", "Öffentlicher Sektor")
    ]


def members(day: str) -> pd.DataFrame:
    raw = pd.read_csv(MEMBERS / f"constituents_{day}.csv", dtype="str", keep_default_na=False)
    sector = next(c for c in raw.columns if "Sector" in c)
    name = next(c for c in raw.columns if c in ("Name", "Security"))
    frame = raw.rename(columns={"Symbol": "customer_id", name: "customer_name", sector: "customer_category"})
    at = pd.Series(pd.Timestamp(day, tz="UTC"), index=frame.index, dtype="datetime64[us, UTC]")
    return frame[["customer_id", "customer_name", "customer_category"]].assign(updated_at=at)


@pytest.mark.skipif(not MEMBERS.is_dir(), reason="the shared folder with the real deliveries is not on this machine")
@pytest.mark.parametrize(("day", "later"), [("2016-07-06", "2018-04-02"), ("2018-04-02", "2020-08-22")])
def test_real_sectors_come_and_go_as_a_count_by_hand_says(day: str, later: str) -> None:
    before, after = members(day), members(later)
    sectors = [set(side["customer_category"]) for side in (before, after)]
    found = drift(before, after).findings
    named = found[found["column"] == "customer_category"]
    assert set(named["value_before"]) - {""} == sectors[0] - sectors[1]
    assert set(named["value_after"]) - {""} == sectors[1] - sectors[0]
    for f in named.to_dict("records"):
        assert f["n_before"] == (before["customer_category"] == f["value_before"]).sum()
        assert f["n_after"] == (after["customer_category"] == f["value_after"]).sum()


def test_a_profile_takes_what_was_sent_before(customers) -> None:
    found = profile(customers(15), before=customers(20), now=NOW)
    assert "there are fewer customers" in found.body()
    assert found.to_dict()["drift"]["findings"] == {"fewer": 1}
    assert profile(customers(15), now=NOW).drift is None


CELL = st.none() | st.sampled_from(["A", "a", "01", "1", "Retail", "Retial", "'; DROP", "\x00", "%"])
ROWS = st.lists(st.tuples(CELL, CELL, CELL, st.integers(0, 2)), max_size=7)


def frame_of(rows: list[tuple]) -> pd.DataFrame:
    index = pd.RangeIndex(2, len(rows) + 2, name="source_row")
    texts = {c: pd.Series([r[i] for r in rows], dtype="str", index=index)
             for i, c in enumerate(("customer_id", "customer_category", "source"))}  # fmt: skip
    times = pd.Series([NOW - pd.Timedelta(days=r[3]) for r in rows], index=index, dtype="datetime64[us, UTC]")
    return empty_frame().reindex(index).assign(**texts, updated_at=times)


@hypothesis_settings(max_examples=8)
@given(ROWS, ROWS)
def test_whatever_the_sides_the_figures_are_theirs(old: list[tuple], new: list[tuple]) -> None:
    before, after = frame_of(old), frame_of(new)
    found = drift(before, after)
    assert found.n_before == before["customer_id"].nunique()
    assert found.n_after == after["customer_id"].nunique()
    assert not drift(before, before).n_findings
    assert list(found.findings["kind"]) == sorted(found.findings["kind"], key=KINDS.index)
    if not found.n_before:
        assert not found.n_findings
    assert (found.findings[["n_before", "n_after"]] >= 0).all(axis=None)
    assert found.findings[["share_before", "share_after"]].max(axis=None) <= 1 or found.findings.empty
    assert "\x00" not in found.body()


def test_a_report_says_the_worst_of_a_drift_and_how_much_more_there_is(customers) -> None:
    before, after = (customers(40, customer_category=[f"{name}{n % 10}" for n in range(40)]) for name in "ab")
    lines = [line for line in tk.validate(after, before=before).lines() if line.startswith("drift: ")]
    assert len(lines) == 9
    assert lines[-1] == "drift: and 2 more"
    assert len(tk.drift(before, after).findings) == 10


def test_ids_that_a_warning_names_are_not_in_the_drift_again(customers) -> None:
    before = customers(20, customer_id=[f"{n:05d}" for n in range(100, 120)])
    report = tk.validate(customers(20, customer_id=[str(n) for n in range(100, 120)]), before=before)
    assert set(report.drift.findings["kind"]) == {"rewritten"}
    assert [line for line in report.lines() if "pad_ids" in line] == [
        "warning: 20 ids have 3 digits where 20 customers sent before have 5; padded, they match 20 customers sent "
        "before: correction pad_ids = 5 (20 rows)"
    ]
