"""profile(): counts that agree with a count by hand, patterns, a time line, and the customers first."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.pages import Page
from toolkit.display import page
from toolkit.display.result import SCRIPT
from toolkit.engine import Session, to_arrow
from toolkit.errors import InputError
from toolkit.model import CUSTOMER
from toolkit.model.delivery import Delivery
from toolkit.model.schema import empty_frame
from toolkit.quality import statistics as counting
from toolkit.quality.profiling import MAX_BARS, profile
from toolkit.quality.statistics import count_columns
from toolkit.quality.validation import validate

NOW = pd.Timestamp("2026-11-24T10:00:00Z")


def column(frame: pd.DataFrame, name: str) -> dict:
    return profile(frame, now=NOW).columns.set_index("column").loc[name].to_dict()


def test_patterns_say_how_ids_are_written(customers) -> None:
    ids = ["AB-1234", "XY-0001", "ab-1234", "Äb_99", "0000123456", " 7", "日本"]
    said = dict(column(customers(7, customer_id=ids), "customer_id")["patterns"])
    assert said.keys() == {"AA-9999", "aa-9999", "Aa_99", "9{10}", " 9", "aa"}
    assert said["AA-9999"] == pytest.approx(2 / 7)


def test_a_stray_among_many_ids_is_found_though_the_patterns_are_first_looked_for_in_a_sample(
    customers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "SAMPLE", 50)
    ids = [f"C{n:05d}" for n in range(997)] + ["c00001", "17'", "C1{2}.*"]
    counted = column(customers(1000, customer_id=ids), "customer_id")
    assert not counted["sampled"]
    assert dict(counted["patterns"]) == {"A9{5}": 0.997, "a9{5}": 0.001, "99'": 0.001, "A9{9}.*": 0.001}


def test_what_has_no_common_pattern_is_said_to_be_sampled(customers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "SAMPLE", 50)
    names = ["x" * (n % 40) + " " * (n % 7) + "9" * (n % 11) + str(n) for n in range(1000)]
    assert column(customers(1000, customer_name=names), "customer_name")["sampled"]


CELL = st.none() | st.sampled_from(["A", "a1", "B-22", "", "ünï", "\u202e", "9" * 70]) | st.text(max_size=5)


@settings(max_examples=10)
@given(st.lists(CELL, min_size=1, max_size=30))
def test_counts_agree_with_a_count_by_hand(cells: list[str | None]) -> None:
    index = pd.RangeIndex(2, len(cells) + 2, name="source_row")
    frame = pd.DataFrame(
        {
            "customer_id": pd.Series(cells, dtype="str", index=index),
            "updated_at": pd.Series(NOW, index=index, dtype="datetime64[us, UTC]"),
        }
    )
    counted, filled = column(frame, "customer_id"), Counter(c for c in cells if c is not None)
    sizes = sorted(len(c) for c in filled.elements())
    assert counted["nulls"] == cells.count(None)
    assert counted["null_share"] == cells.count(None) / len(cells)
    assert counted["distinct"] == len(filled)
    assert sum(share for _, share in counted["patterns"]) <= 1 + 1e-9
    if filled:
        assert (counted["shortest"], counted["longest"]) == (sizes[0], sizes[-1])
        assert counted["median"] in sizes
        assert sum(s <= counted["median"] for s in sizes) * 2 >= len(sizes)
        assert sum(s >= counted["median"] for s in sizes) * 2 >= len(sizes)
        assert sorted((n for _, n in counted["top"]), reverse=True) == [n for _, n in filled.most_common(5)]
        assert all(filled[value] == n for value, n in counted["top"])
    else:
        assert counted["top"] == counted["patterns"] == []


@settings(max_examples=6)
@given(st.lists(CELL, min_size=4, max_size=20), st.integers(3, 9), st.booleans(), st.booleans())
def test_a_large_column_whose_values_hardly_repeat_is_counted_as_any_other(
    cells: list[str | None], times: int, has_common_forms: bool, hashes_collide: bool
) -> None:
    fills = (f"C{n:04d}" if has_common_forms else "-" * (n % 37) + f"{n:x}" for n in range(230))
    texts = pd.Series([*fills, *cells * times], dtype="str")
    frame = pd.DataFrame({"customer_id": texts, "customer_name": texts[::-1].reset_index(drop=True)})
    frame["updated_at"] = (NOW - pd.to_timedelta(texts.str.len() * texts.index % 499, "s")).dt.as_unit("us")
    with (
        Session({"rows_": to_arrow(frame, CUSTOMER.arrow_schema())}) as session,
        pytest.MonkeyPatch().context() as patch,
    ):
        patch.setattr(counting, "SAMPLE", 50)
        grouped = count_columns(session, list(frame))
        patch.setattr(counting, "MANY", 200)
        if hashes_collide:
            patch.setattr(
                counting, "repeated_hashes", lambda s, hashes, _: s.table(f"SELECT DISTINCT h FROM ({hashes})")
            )
        pd.testing.assert_frame_equal(count_columns(session, list(frame)), grouped)


def test_a_column_that_is_not_there_is_not_said_to_be_empty(customers) -> None:
    assert list(profile(customers(2)[["customer_id", "updated_at"]]).columns["column"]) == ["customer_id", "updated_at"]


def test_the_customers_come_first(customers) -> None:
    frame = customers(
        8,
        customer_id=["0001", "1", "K7", "k7", "K7", "A", "B", None],
        customer_name=["Acme GmbH", "Nord", "Süd", "West", "Süd", "Асme", "Ost", "Mitte"],  # two letters are Cyrillic
        customer_category=["Retail"] * 8,
    )
    found = profile(frame, now=NOW)
    pairs = found.findings.groupby("check")["index"].agg(list).to_dict()
    assert pairs["near_ids"] == [2, 3, 4, 5, 6]
    assert pairs["twin_keys"] == [4, 6]
    assert pairs["equal_names"] == [2, 7]
    assert pairs["no_id"] == [9]
    assert (found.n_customers, found.n_versioned) == (6, 1)
    assert found.verdict.startswith("8 rows of 6 customers, 1 of them with several rows (2 rows are exact copies); ")
    said = found.body()
    assert said.index("leading zeros") < said.index("look-alike letters") < said.index("distinct")
    where = {row[0]: row[3] for row in Page(said).grids["What was found"].rows}
    assert any("row 7 Асme" in text for text in where.values())


def test_of_rows_with_one_key_it_says_how_many_are_exact_copies_and_how_many_differ(customers) -> None:
    frame = customers(
        10,
        customer_id=["A", "A", "B", "B", "C", "C", "C", None, None, "D"],
        customer_name=["Acme", "Acme", "Bolt", "Bold", "Cord", "Cord", None, "Mitte", "Mitte", "Dorn"],
        updated_at=pd.Timestamp("2026-01-01T00:00Z"),
        customer_category="Retail",
        customer_subcategory="Wood",
        customer_price_list_id="P",
    )
    found = profile(frame, now=NOW)
    said = Page(found.body())
    assert (said.parts["rows are exact copies"], said.parts["rows share id and time, and differ"]) == (2, 5)
    assert sum(said.parts.values()) == 10 - 1 + 1  # each row once
    assert "(2 rows are exact copies)" in found.verdict
    assert found.to_dict()["exact_copies"] == 2
    parted = frame.assign(region=[*"NSEWNNNNNN"])  # what is not of the contract counts too
    assert profile(parted, now=NOW).n_copies == 0


@pytest.mark.parametrize(
    ("ids", "check"),
    [
        (["A1", "a1"], {"near_ids"}),
        (["01", "1"], {"near_ids"}),
        (["A 1", "A1"], {"near_ids"}),
        (["A1", "A1"], {"twin_keys"}),
        (["A" * 70 + "x", "A" * 70 + "X"], {"near_ids"}),
        (["A1", "B2"], set()),
    ],
)
def test_no_rule_is_left_out_that_would_find_something(customers, ids: list[str], check: set[str]) -> None:
    found = profile(customers(2, customer_id=ids, customer_name=["Nord", "West"]), now=NOW).findings
    assert set(found["check"]) == check


@pytest.mark.parametrize(
    ("times", "first", "last", "n"),
    [
        (["2024-11-30", "2025-02-01"], "2024-11", "2025-02", 4),
        (["2019-01-01", "2026-08-01"], "2019 Q1", "2026 Q3", 31),
        (["1999-01-01", "2026-08-01"], "1999", "2026", 28),
        (["2026-08-30", "2026-09-02", "2026-09-02"], "2026-08-30", "2026-09-02", 4),
        (["2024-02-28", "2024-03-01"], "2024-02-28", "2024-03-01", 3),
        (["2026-03-01", "2026-04-30"], "2026-03", "2026-04", 2),
        (["2026-03-01"] * 500 + ["1900-01-01", "2199-01-01"], "before 2026-03", "after 2026-03", 3),
        (["0001-01-01", "9999-12-31"], "0000 to 0999", "9000 to 9999", 10),
    ],
)
def test_the_time_line_has_few_bars_and_every_row(customers, times: list[str], first: str, last: str, n: int) -> None:
    frame = customers(len(times), updated_at=pd.Series(times).astype("datetime64[us]").dt.tz_localize("UTC"))
    shown = profile(frame, now=NOW).times
    assert (shown["period"].iloc[0], shown["period"].iloc[-1], len(shown)) == (first, last, n)
    assert shown["rows"].sum() == len(times)


@settings(max_examples=10)
@given(st.lists(st.datetimes(timezones=st.just(UTC)), max_size=20))
def test_the_time_line_is_bounded_whatever_the_times(times: list) -> None:
    frame = empty_frame().reindex(pd.RangeIndex(2, len(times) + 2, name="source_row"))
    frame["updated_at"] = pd.Series(times, index=frame.index, dtype="datetime64[us, UTC]")
    shown = profile(frame, now=NOW).times
    assert len(shown) <= MAX_BARS
    assert shown["rows"].sum() == len(times)


def test_the_page_names_the_file_s_own_columns(customers) -> None:
    said = profile(Delivery(customers(2), names={"customer_id": "Kd.-Nr. <neu>"}), now=NOW).body()
    assert "Kd.-Nr. &lt;neu&gt;" in said


def test_values_stay_out_of_the_dictionary_and_the_line(customers) -> None:
    found = profile(customers(30, customer_category=["Geheim"] * 30), before=customers(30), now=NOW)
    assert "Geheim" in found.body()
    assert not re.search("Geheim|C00001|Söhne", f"{found.to_dict()} {found!r} {found.verdict}")


def test_a_frame_that_cannot_be_profiled_says_what_to_do(customers) -> None:
    with pytest.raises(InputError, match="time zone"):
        profile(customers(2).assign(updated_at=lambda f: f["updated_at"].dt.tz_localize(None)))
    with pytest.raises(InputError, match="lacks customer_id"):
        profile(customers(2).drop(columns="customer_id"))


def test_a_frame_without_rows_has_a_profile() -> None:
    found = profile(empty_frame(), now=NOW)
    assert found.verdict == "There are no rows."
    assert found.body()
    assert len(found.times) == len(found.findings) == 0


SIGNS = "'&\"<>" * 60
BACKWARDS = "\u202e\u05d0\u0627\x00\x1b"


def test_a_page_is_bounded_and_escaped_however_bad_the_file_is(customers) -> None:
    n = 1_000
    places = range(n)
    frame = customers(
        n,
        customer_id=[None if k % 3 == 0 else f"{'&' * (k % 90)}{k % 700}<script>" for k in places],
        customer_name=[f"{SIGNS}{k}" for k in places],
        customer_category=[f"{BACKWARDS}{SIGNS}{k % 900}" for k in places],
        customer_price_list_id=["x" * 10_000_000, *[SIGNS] * (n - 1)],
        source=[f"{SIGNS}{k}" for k in places],
        **{f"{SIGNS}{k}": [None] * n for k in range(60)},
    )
    lines = pd.RangeIndex(n + 2, n + 5_002, name="source_row")
    broken = pd.DataFrame({"customer_id": None, "reason": [f"{SIGNS}{k}" for k in lines], "text": "\x1b" * 9_999},
                          index=lines)  # fmt: skip
    names = dict.fromkeys(frame.columns[:7], SIGNS)
    delivery = Delivery(frame, source=SIGNS, broken=broken, names=names)
    before = customers(n, customer_category=[f"{SIGNS}{k % 900}{BACKWARDS}" for k in places])
    for found in (profile(delivery, before=before, now=NOW), validate(delivery, rules=(), before=before, now=NOW)):
        written = page("t", found.body())
        assert len(written.encode()) < 25_000_000  # 5,000 rows of characters that are each written as five
        assert "<script" not in written.removesuffix("</body></html>").removesuffix(SCRIPT)
        assert not set(written) & set("\u202e\x00\x1b")
    assert "and 4,8" in written  # the reasons that are not shown
