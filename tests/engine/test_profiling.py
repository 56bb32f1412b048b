"""profile and drift of a table in an engine: those of the frame, on every engine."""

from __future__ import annotations

from random import Random

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import toolkit as tk
from tests.support.engines import Served
from toolkit.engine import EngineTable, to_arrow
from toolkit.model import CUSTOMER
from toolkit.quality import Drift, Profile, statistics

NOW = pd.Timestamp("2029-01-01T00:00:00Z")
NAMES = ["Acme", "acme ", "Ä-1", "A\u0308", "\U0001d518x", "٣ 12", "ß", "", "it's", "a\\d", "x" * 70, None]


def delivery(seed: int, n: int = 300) -> pd.DataFrame:
    draw = Random(seed)
    ids = [draw.choice([f"C-{i // 2:05d}", f"c-{i}", f"{i:07d}", f"{i}", None]) for i in range(n)]
    times = [
        draw.choice(["1990-01-01", "2026-01-01 00:00:00.000001", "2027-05-31 23:59:59.5", "2031-01-01", None])
        for _ in ids
    ]
    texts = {c: [draw.choice(NAMES) for _ in ids] for c in CUSTOMER.names[2:]}
    frame = pd.DataFrame({"customer_id": ids, "updated_at": pd.to_datetime(times, utc=True, format="ISO8601"), **texts})
    frame = frame.astype(
        {c: "str" for c in CUSTOMER.names if c != "updated_at"} | {"updated_at": "datetime64[us, UTC]"}
    )
    return frame.assign(customer_price_list_id=None).astype({"customer_price_list_id": "str"})


def load(served: Served, frame: pd.DataFrame) -> EngineTable:
    return served.load(to_arrow(frame, CUSTOMER.arrow_schema()))


def assert_equal(found: Profile, local: Profile) -> None:
    pd.testing.assert_frame_equal(found.columns, local.columns)
    pd.testing.assert_frame_equal(found.times, local.times)
    counts = [dict(zip(p.reasons["check"], p.reasons["count"], strict=True)) for p in (found, local)]
    counts[1].pop("equal_names", None)  # it compares names letter by letter, in Python
    assert counts[0] == counts[1]
    sizes = [(p.n_rows, p.n_customers, p.n_versioned, p.n_copies) for p in (found, local)]
    assert sizes[0] == sizes[1]


def assert_same_drift(found: Drift, local: Drift) -> None:
    pd.testing.assert_frame_equal(found.findings, local.findings)
    pd.testing.assert_frame_equal(found.columns, local.columns)
    assert (found.n_before, found.n_after) == (local.n_before, local.n_after)


@settings(max_examples=1, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32))
def test_a_table_has_the_profile_and_the_drift_of_its_frame(served: Served, seed: int) -> None:
    doubled = delivery(seed + 1)
    found = tk.profile(load(served, doubled), now=NOW)
    local = tk.profile(doubled, now=NOW)
    assert_equal(found, local)
    assert found.not_run == ("equal_names",)
    assert found.to_dict()["not_run"] == ["equal_names"]
    assert [("not run on this engine: equal_names;" in each.body()) for each in (found, local)] == [True, False]
    # Of two rows of one version, either may be the newest.
    old, new = (frame.drop_duplicates(["customer_id", "updated_at"]) for frame in (delivery(seed), doubled))
    lying = load(served, new)
    with_drift = tk.profile(lying, now=NOW, before=old).drift
    assert with_drift is not None
    assert_same_drift(with_drift, tk.drift(old, new))
    assert_same_drift(tk.drift(load(served, old), lying), tk.drift(old, new))
    assert served.left() == []


def test_ids_that_lost_their_zeros_drift_in_the_engine(served: Served) -> None:
    ids = [f"{i:05d}" for i in range(40)]
    old = pd.DataFrame({"customer_id": ids, "customer_category": "Retail", "updated_at": NOW.as_unit("us")})
    new = old.assign(customer_id=old["customer_id"].str.lstrip("0"), customer_category="Shops").iloc[1:]
    local, found = tk.drift(old, new), tk.drift(old, load(served, new))
    assert list(local.findings["kind"]) == ["rewritten", "gone", "new"]
    pd.testing.assert_frame_equal(found.findings, local.findings)


def test_many_values_of_common_shapes_are_matched_and_others_sampled(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics, "SAMPLE", 50)
    frame = delivery(1, 10).reindex(range(400)).assign(customer_id=[f"C-{i:06d}" for i in range(400)])
    frame["customer_name"] = [f"{i}{'x' * (i % 50)}{'Y' * (i % 7)}" for i in range(400)]
    found, local = tk.profile(load(served, frame), now=NOW), tk.profile(frame, now=NOW)
    for column in ("customer_id", "customer_name"):
        mine, own = (p.columns.set_index("column").loc[column] for p in (found, local))
        assert mine["sampled"] == own["sampled"] == (column == "customer_name")
        assert mine["distinct"] == own["distinct"] == 400
    assert found.columns["patterns"][0] == local.columns["patterns"][0] == [("A-9{6}", 1.0)]
