"""drift(): what a delivery as a whole says that no single row does, with the figures of both sides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import toolkit as tk
from data.make_deliveries import write_deliveries
from tests.support.clocks import Clock
from toolkit.model.delivery import Delivery
from toolkit.model.schema import empty_frame
from toolkit.quality.drifting import KINDS, drift
from toolkit.quality.profiling import profile

NOW = pd.Timestamp("2026-11-24T10:00:00Z")
MEMBERS = Path(__file__).resolve().parents[3] / "shared" / "data" / "sp500"


def told(before: object, after: object, **options: float) -> list[tuple]:
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
    assert told(customers(20), after) == [
        ("fewer", "customer_id", "", "", 20, 15),
        ("new", "customer_category", "", "Spares", 0, 5),
    ]
    assert told(customers(20), customers(19)) == []
    assert told(customers(20), customers(19), fall=0.01)[0][0] == "fewer"


def test_other_customers_in_the_same_number_are_told(customers) -> None:
    assert told(customers(20), customers(20, start=10)) == [("missing", "customer_id", "", "", 20, 10)]


def test_ids_that_lost_their_zeros_are_those_of_before_in_another_form(customers) -> None:
    before = customers(10, customer_id=[f"{n:05d}" for n in range(100, 110)])
    after = customers(10, customer_id=[str(n) for n in range(100, 110)])
    found = told(before, after)
    assert found[1:] == [
        ("rewritten", "customer_id", "", "", 10, 10),
        ("form", "customer_id", "", "999", 0, 10),
        ("form", "customer_id", "9{5}", "", 10, 0),
    ]


def test_a_share_of_nulls_that_jumps_is_told_and_one_that_falls_is_not(customers) -> None:
    before = customers(20, customer_category=["Retail"] * 19 + [None], customer_subcategory=["Shoes"] * 20)
    after = customers(20, customer_category=["Retail"] * 16 + [None] * 4)
    found = drift(before, after)
    assert list(found.findings["what"]) == ["is empty in every row", "is empty more often"]
    assert found.findings.iloc[1][["n_before", "n_after", "share_before", "share_after"]].tolist() == [1, 4, 0.05, 0.2]
    assert told(before, after, jump=0.5) == [("nulls", "customer_subcategory", "", "", 0, 20)]
    assert told(after, before) == []


def test_a_category_is_renamed_where_its_customers_went_or_where_the_spelling_is_near(customers) -> None:
    before = customers(10, customer_category=["Trade"] * 4 + ["Industy"] * 2 + ["Public"] * 4)
    after = customers(
        10,
        customer_category=["Commerce"] * 4 + [None, None, "Public", "Public", "Industry", "Industry"],
    )
    assert told(before, after, jump=1) == [
        ("renamed", "customer_category", "Trade", "Commerce", 4, 4),
        ("renamed", "customer_category", "Industy", "Industry", 2, 2),
    ]


def test_two_price_lists_of_nearly_one_spelling_are_two(customers) -> None:
    before = customers(4, customer_price_list_id=["PL-STD-001"] * 3 + ["PL-STD-002"])
    after = customers(4, start=4, customer_price_list_id=["PL-STD-002"] * 3 + ["PL-STD-003"])
    assert told(before, after, fall=1) == [
        ("gone", "customer_price_list_id", "PL-STD-001", "", 3, 0),
        ("new", "customer_price_list_id", "", "PL-STD-003", 0, 1),
    ]


def test_a_delivery_of_changes_says_nothing_of_those_it_leaves_out(customers) -> None:
    before = customers(20, customer_category=["Retail"] * 10 + ["Trade"] * 10)
    after = replace(Delivery(customers(2, customer_category=["Retail", "Spares"])), kind="changes")
    assert told(before, after) == [("new", "customer_category", "", "Spares", 0, 1)]


def test_a_column_that_the_delivery_does_not_give_has_not_drifted(customers) -> None:
    given = ("customer_id", "updated_at")
    assert told(customers(9), Delivery(customers(9, customer_price_list_id=[None] * 9), given=given)) == []
    assert told(customers(9), customers(9)[list(given)]) == []


def test_each_customer_counts_once_with_its_newest_version(customers) -> None:
    old = customers(6, customer_category=["Trade"] * 6)
    new = customers(6, at="2026-02-01T00:00:00Z")
    assert told(pd.concat([new, old], ignore_index=True), customers(6)) == []
    assert told(customers(6), pd.concat([old, new], ignore_index=True)) == []


def test_a_column_of_many_values_is_no_list_of_categories(customers) -> None:
    lists = [f"PL{n}" for n in range(1500)]
    assert told(customers(1500, customer_price_list_id=lists), customers(1500)) == []


def test_nothing_is_told_where_nothing_was_sent(customers, clock: Clock) -> None:
    with tk.Sandbox() as sandbox:
        settings = tk.Settings(base_url=sandbox.url)
        snapshot = tk.Ledger.of(settings).snapshot()
        report = tk.validate(customers(3), before=snapshot, now=NOW)
        assert report.drift is not None
        assert report.drift.n_findings == 0
        assert "Nothing was sent before" in report.body()
        tk.push(tk.plan_push(tk.diff(snapshot, report), settings=settings), settings=settings, pace=clock.pace,
                progress=False)  # fmt: skip
        later = tk.validate(customers(2, source=["peak", None]), before=tk.Ledger.of(settings).snapshot(), now=NOW)
    assert [f[0] for f in told(customers(3), customers(2, source=["peak", None]))] == list(later.drift.findings["kind"])
    assert "there are fewer customers" in later.body()
    assert later.to_dict()["drift"]["customers_before"] == 3
    assert tk.validate(customers(2), now=NOW).drift is None


def test_the_shipped_deliveries_tell_their_renamed_group(tmp_path: Path) -> None:
    first, second, *_ = write_deliveries(tmp_path)
    shipped = Path(tk.__file__).parents[1] / "data"
    before, after = (
        tk.correct(tk.read_customers(file, mapping=shipped / f"{file.stem}.toml")) for file in (first, second)
    )
    assert [f[:4] for f in told(before, after)] == [
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
