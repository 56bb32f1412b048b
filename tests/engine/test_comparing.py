"""diff, plan and push of a table in an engine: as of the frame, on every engine, and nothing stays behind."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import toolkit as tk
from tests.support.clocks import Clock
from tests.support.engines import Served
from tests.support.place import Place, fates, vendor
from toolkit.engine import to_arrow
from toolkit.errors import InputError, ReadingError
from toolkit.ledger import Diff, TableDiff
from toolkit.ledger import table_states as engine_side
from toolkit.model import CUSTOMER, Delivery, typed_frame
from toolkit.pushing import report as push_report
from toolkit.vendor.sandbox import Reply


@pytest.fixture
def place(clock: Clock) -> Iterator[Place]:
    with vendor(clock) as sandbox:
        yield Place(sandbox, clock)


START = pd.Timestamp("2026-01-01T00:00:00.000001Z")
KEY = list(CUSTOMER.key)
# Case, trailing spaces, no text, signs beyond the first plane, and what a collation would take for equal.
TEXTS = ["x", "X", "x ", "", "Ä", "A\u0308", "\U0001d518", "it's", "a\\b", None]
SEEN = [*KEY, "column", "before", "after"]


def table(*rows: tuple[Any, ...]) -> pa.Table:
    """A table of rows (id, microseconds, name, category)."""
    times = [None if when is None else START + pd.Timedelta(microseconds=when) for _, when, *_ in rows]
    columns = [[row[0] for row in rows], times, *([row[n] for row in rows] for n in (2, 3))]
    schema = pa.schema([CUSTOMER.arrow_schema().field(n) for n in range(4)])
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)


def both(seed: int) -> tuple[pa.Table, pa.Table]:
    """Versions of 60 customers before and after, some keys null or doubled, in any order."""
    draw, before, after = Random(seed), [("gone", 1, "x", None)], [(None, 1, "x", None)]
    for n in range(60):
        who = f"{'cC'[n % 2]}-{n // 4}{' ' * (n % 4 // 2)}"
        times = draw.sample(range(5), draw.choice([0, 1, 1, 1, 3]))
        before += [(who, when, draw.choice(TEXTS), draw.choice(TEXTS)) for when in times]
        mine = draw.choices([*range(5), None], k=draw.choice([0, 1, 1, 1, 2, 4]))
        after += [(who, when, draw.choice(TEXTS), draw.choice(TEXTS)) for when in mine]
        after += [row for row in before[-1:] if row[0] == who and draw.random() < 0.3]  # as it was
    return table(*draw.sample(before, len(before))), table(*draw.sample(after, len(after)))


def known(rows: pd.DataFrame, by: list[str] = KEY) -> pd.DataFrame:
    return rows.sort_values(by, kind="stable").reset_index(drop=True)


def assert_equal(found: TableDiff, local: Diff) -> None:
    assert found.to_dict() == local.to_dict()
    assert found.summary() == local.summary().replace("a frame", found.before.label.removeprefix("compared with "))
    pd.testing.assert_frame_equal(known(found.fields[SEEN], SEEN[:3]), known(local.fields[SEEN], SEEN[:3]))
    pd.testing.assert_frame_equal(known(found.absent, ["customer_id"]), known(local.absent, ["customer_id"]))
    states = [s for s in local.states.cat.categories if s != "unchanged"]
    for state in states:
        assert found.n_customers(state) == local.n_customers(state) or "key" in state
        pd.testing.assert_frame_equal(known(found.rows(state))[KEY], known(local.rows(state))[KEY])
        assert found.n_fields_in([state]) == local.n_fields_in([state])
    wanted = ["added", "changed", "touched", "backdated"]
    (rows, local_states), parts = next(local.in_order(wanted)), list(found.in_order(wanted))
    assert [state for _, each in parts for state in each] == list(
        known(rows.assign(state=local_states), KEY[::-1])["state"]
    )
    if parts:
        sent = pd.concat([part for part, _ in parts]).reset_index(drop=True)
        pd.testing.assert_frame_equal(sent, known(rows, KEY[::-1])[sent.columns])
        assert sent["updated_at"].is_monotonic_increasing
    local_facts = (local.n_before, local.newest, sorted(local.empty_columns))
    assert (found.n_before, found.newest, sorted(found.empty_columns)) == local_facts or pd.isna(local.newest)


@settings(max_examples=2, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32))
def test_a_table_differs_as_its_frame_does(served: Served, seed: int) -> None:
    before, after = both(seed)
    local = tk.diff(typed_frame(before), typed_frame(after))
    lying = served.load(after)
    assert_equal(tk.diff(typed_frame(before), lying), local)
    assert_equal(tk.diff(served.load(before), lying), local)
    gc.collect()
    assert served.left() == []


def customers(n: int, *, day: int = 0, name: str = "Name") -> pd.DataFrame:
    frame = pd.DataFrame({c: pd.Series("x", index=range(n), dtype="str") for c in CUSTOMER.names})
    frame["customer_id"] = [f"C{i:05d}" for i in range(n)]
    frame["customer_name"] = [f"{name} {i}" for i in range(n)]
    return frame.assign(source="peak", updated_at=(START + pd.Timedelta(days=day)).as_unit("us"))


def loaded(served: Served, frame: pd.DataFrame) -> Any:
    return served.load(to_arrow(frame, CUSTOMER.arrow_schema()))


def test_a_table_is_validated_compared_and_pushed_as_its_frame(served: Served, place: Place) -> None:
    first = customers(700)
    whole = place.plan(loaded(served, first))  # as any other table: the rows come in parts
    assert fates(place.push(whole)) == {"accepted": 700}
    assert set(place.sandbox.table()["customer_name"]) == set(first["customer_name"])

    later = customers(690, day=1)
    later.loc[[5, 6], "customer_name"] = "Another"
    later.loc[[7, 8], "source"] = "nobody"  # quarantined: held, and not absent
    snapshot = tk.Ledger.of(place.settings).snapshot()
    reports = [tk.validate(data, settings=place.settings) for data in (later, loaded(served, later))]
    local, found = (tk.diff(snapshot, report) for report in reports)
    assert found.to_dict() == local.to_dict()
    assert (found.count("held"), found.n_absent, found.n_newly_absent) == (2, 10, 10)
    assert found.delivery.n_quarantined == 2
    plans = [place.plan_of(diff, include="touched") for diff in (local, found)]
    assert [b.digest for b in plans[1].batches] == [b.digest for b in plans[0].batches]
    assert plans[1].to_dict() == plans[0].to_dict()
    assert plans[1].n_fields == len(plans[1].fields) == 2

    place.sandbox.vendor.troubles.extend([None, Reply(401)])
    stopped = place.stopped(plans[1])  # the journal has the rows: what resumes needs no engine
    assert stopped.count("unsent") > 0
    del found, local, reports, plans, whole
    gc.collect()
    assert served.left() == []
    assert place.resume().ok
    place.require_agreement()
    assert tk.diff(tk.Ledger.of(place.settings).snapshot(), loaded(served, later.drop([7, 8]))).n_absent == 12


def test_what_comes_out_is_bounded_and_the_counts_are_complete(
    served: Served, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_side, "MAX_ROWS", 7)
    monkeypatch.setattr(engine_side, "PAGE", 64)
    monkeypatch.setattr(engine_side, "BATCH", 25)
    before, after = customers(200), customers(230, day=1, name="Other").iloc[10:]
    found = tk.diff(before, loaded(served, after))
    assert (found.n_added, found.n_changed, found.n_absent, found.n_fields) == (30, 190, 10, 190)
    assert (len(found.rows("added")), len(found.fields), len(found.absent)) == (7, 7, 7)
    assert "and 23 more" in found.body().replace(",", "") or "23" in found.body()
    sizes = [len(rows) for rows, _ in found.in_order(["added", "changed"])]
    assert sum(sizes) == 220
    assert max(sizes) <= 25
    allocated = pa.total_allocated_bytes()
    plan = place.plan_of(found)
    assert pa.total_allocated_bytes() - allocated < plan.rows.nbytes  # they are mapped from a file
    assert plan.rows["customer_id"].to_pylist() == sorted(after["customer_id"])
    with pytest.raises(InputError, match=r"stays in the engine: count\('changed'\)"):
        found.states  # noqa: B018 - raises


def test_guards_see_the_table_whole(served: Served, place: Place) -> None:
    place.push(place.plan(customers(60)))
    emptied = customers(40, day=1).assign(customer_category=None)
    emptied["customer_id"] = emptied["customer_id"].where(emptied.index < 30, "77" + emptied["customer_id"].str[1:])
    snapshot = tk.Ledger.of(place.settings).snapshot()
    local, found = (place.plan_of(tk.diff(snapshot, data), allow=()) for data in (emptied, loaded(served, emptied)))
    assert [guard.name for guard in found.guards] == [guard.name for guard in local.guards]
    assert {"absent", "changed", "null_column", "id_form"} <= {guard.name for guard in found.guards}
    told = [(guard.name, guard.message.replace("frame", "…")) for guard in local.guards if guard.name != "shrunk"]
    assert told == [(g.name, g.message.replace("frame", "…")) for g in found.guards if g.name != "shrunk"]


def test_a_delivery_of_changes_and_a_column_that_it_lacks(served: Served) -> None:
    before = customers(4)
    lacking = served.load(to_arrow(customers(2, day=1), CUSTOMER.arrow_schema()).drop_columns(["customer_category"]))
    local = tk.diff(
        before, Delivery(customers(2, day=1), given=tuple(c for c in CUSTOMER.names if c != "customer_category"))
    )
    found = tk.diff(before, lacking)
    assert found.to_dict() == local.to_dict()
    (rows, _), *_ = found.in_order(["touched"])
    assert list(rows["customer_category"]) == ["x", "x"]
    assert tk.diff(before, tk.validate(lacking, mapping=tk.Mapping(kind="changes"))).n_absent == 0


def test_a_table_comes_into_memory_only_if_it_is_small(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = customers(5).rename(columns={"customer_id": "Kunden-Nr.", "customer_name": "Firma"})
    lying = served.load(pa.Table.from_pandas(frame.assign(umsatz=3), preserve_index=False))
    suggested = tk.suggest_mapping(lying)
    assert suggested.columns == tk.suggest_mapping(frame.assign(umsatz=3)).columns
    assert f"5 rows of {lying.name} were looked at" in suggested.notes
    delivery = tk.read_customers(lying, mapping=suggested.mapping)
    assert known(delivery.frame)["customer_id"].tolist() == customers(5)["customer_id"].tolist()
    assert delivery.source == lying.name
    monkeypatch.setattr("toolkit.reading.customers.MAX_ROWS", 4)
    with pytest.raises(ReadingError, match="has more than 4 rows, which would all come into memory"):
        tk.read_customers(lying)
    assert served.left() == []


def test_what_cannot_be_compared_is_one_sentence(served: Served) -> None:
    rows = to_arrow(customers(2), CUSTOMER.arrow_schema())
    as_text = rows.set_column(1, "updated_at", rows["updated_at"].cast(pa.string()))
    for data, said in (
        (rows.drop_columns(["updated_at"]), "lacks updated_at"),
        (as_text, r"has updated_at as string, not timestamp\[us, tz=UTC\]: validate"),
    ):
        with pytest.raises(InputError, match=said):
            tk.diff(customers(2), served.load(data))
    twice = pa.concat_tables([rows, rows])
    with pytest.raises(InputError, match="2 keys in several rows"):
        tk.diff(served.load(twice), served.load(rows))
    other = tk.engine.Engine("DuckDB", served.engine.session)
    with pytest.raises(InputError, match="are in two engines"):
        tk.diff(tk.table(other, served.load(rows).sql), served.load(rows))
    with pytest.raises(InputError, match=r"an EngineTable was given: read_customers\(table\)"):
        tk.correct(served.load(rows), [])
    assert served.left() == []


def test_no_frame_of_all_rows_is_made_on_the_way_to_the_vendor(place: Place, tmp_path: Path) -> None:
    """In the plan, the push, its report and a resume, at most a part of the rows is in a frame at once."""
    sizes, made = list[int](), pd.DataFrame._from_mgr

    def counted(_: type, manager: Any, axes: Any) -> pd.DataFrame:
        sizes.append(len(axes[1]))
        return made(manager, axes)

    pq.write_table(to_arrow(customers(2_500), CUSTOMER.arrow_schema()), tmp_path / "crm.parquet")
    with pytest.MonkeyPatch.context() as patch:
        for module, name in (("engine", "PAGE"), ("engine", "BATCH"), ("engine", "MAX_ROWS"), ("report", "MAX_ROWS")):
            patch.setattr({"engine": engine_side, "report": push_report}[module], name, 100)
        patch.setattr("toolkit.ledger.deliveries.PART", 100)
        patch.setattr("toolkit.pushing.recording.PART", 1)
        patch.setattr(pd.DataFrame, "_from_mgr", classmethod(counted))
        plan = place.plan(tk.table(tk.engine.duckdb(), tmp_path / "crm.parquet"))
        place.sandbox.vendor.refuse = lambda row: "closed" if row["customer_id"] == "C00007" else None
        place.sandbox.vendor.troubles.extend([None, Reply(401)])
        stopped = place.stopped(plan)
        assert stopped.count("unsent") > 1_000
        assert "closed" in stopped.body()
        report = place.resume()
        assert (report.n_accepted, report.n_refused) == (2_499, 1)
        assert report.body()
        assert report.to_dict()["refusals"][0]["customer_id"] == "C00007"
    assert 0 < max(sizes) <= 500
    place.require_agreement()
    assert len(report.to_frame()) == 2_500
    assert len(tk.Ledger.of(place.settings).snapshot().last_keys or ()) == 2_500
