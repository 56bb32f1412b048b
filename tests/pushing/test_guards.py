"""Guards: each blocks a push before anything is sent, not at its threshold but above it, and is allowed by its name."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from tests.support.clocks import Clock
from tests.support.pages import Page
from toolkit.config.settings import Settings
from toolkit.display import escape, page
from toolkit.engine import to_arrow
from toolkit.errors import GuardError, InputError, PlanError
from toolkit.ledger.diffing import WAYS_IN, Diff, diff
from toolkit.ledger.ledger import DELIVERY, Ledger
from toolkit.ledger.snapshot import Snapshot
from toolkit.model.delivery import Delivery
from toolkit.model.schema import empty_frame
from toolkit.pushing.guards import GUARDS, Situation, find_guards, require_allowed
from toolkit.pushing.history import status
from toolkit.pushing.planning import PushPlan, plan_push
from toolkit.pushing.runs import dry_run, push
from toolkit.quality.validation import validate
from toolkit.tables.writing import write_sheets
from toolkit.vendor.sandbox import Sandbox

LATER = "2026-02-01T00:00:00Z"
NOW = pd.Timestamp("2026-03-01T00:00:00Z")


def snapshot(frame: pd.DataFrame, last: frozenset[str] | None = None) -> Snapshot:
    versions = to_arrow(frame, columns())
    return Snapshot(frame, versions, 0, frozenset(frame["customer_id"]) if last is None else last, "ledger")


def columns() -> pa.Schema:
    return Settings().documented.resource.arrow_schema()


def delivered(frame: pd.DataFrame, **facts: Any) -> pd.DataFrame:
    """What the ledger keeps of a delivery of this frame."""
    kept = {
        "recorded_at": pd.Timestamp("2026-01-02T00:00:00Z"),
        "push": "p-1",
        "source_file": "old.csv",
        "digest": "",
        "kind": "full",
        "n_rows": len(frame),
        "newest": frame["updated_at"].max(),
        "author": "a",
    }
    return pd.DataFrame([kept | facts])


def found(changes: Diff, deliveries: pd.DataFrame | None = None, *, host: str = "", empty: bool = False,
           **more: Any) -> dict[str, str]:  # fmt: skip
    rows = plan_push(changes, include=["restated", "touched"]).rows
    none = DELIVERY.empty_table().to_pandas()
    situation = Situation(changes, rows, none if deliveries is None else deliveries, host, empty)
    return {g.name: g.message for g in find_guards(situation, **more)}


def test_first_blocks_an_empty_ledger_and_a_real_host(customers, monkeypatch) -> None:
    changes = diff(snapshot(empty_frame()), customers(3))
    assert found(changes, host="api.example.com", empty=True)["first"].startswith(
        "the ledger is empty, and api.example.com is a real host that would get 3 rows"
    )
    assert not found(changes, host="api.example.com")
    assert not found(changes, empty=True)
    real = Settings(base_url="https://api.example.com", target="acme", solution="S", prefix="P_", suffix="_S")
    assert [g.name for g in plan_push(changes, settings=real).guards] == ["first"]
    assert not plan_push(changes).guards  # the embedded sandbox is no real host


def test_changed_blocks_above_a_fifth_of_the_customers(customers) -> None:
    def changed(n: int) -> Diff:
        after = pd.concat([customers(n, at=LATER, customer_name="Other"), customers(10 - n, start=n)])
        return diff(snapshot(customers(10)), after)

    assert not found(changed(2))
    assert found(changed(3)) == {"changed": "3 of 10 customers would change (30.0%, more than 20%)."}
    assert not found(changed(3), thresholds={"changed": 0.3})
    touched = pd.concat([customers(9, at=LATER), customers(1, start=9)])
    assert not found(diff(snapshot(customers(10)), touched))  # a newer time alone is no change
    assert "changed" in found(diff(snapshot(customers(10)), customers(10, customer_name="Rewritten")))  # restated


def test_absent_blocks_above_a_twentieth_of_the_last_delivery(customers) -> None:
    assert not found(diff(snapshot(customers(20)), customers(19)))
    assert found(diff(snapshot(customers(20)), customers(18))) == {
        "absent": "2 of 20 customers of the last delivery are gone (10.0%, more than 5%)."
    }
    long_gone = frozenset(customers(18)["customer_id"])
    assert not found(diff(snapshot(customers(20), long_gone), customers(18)))
    changes_only = Delivery(customers(3), kind="changes")
    assert not found(diff(snapshot(customers(20)), changes_only))


def test_times_blocks_above_a_twentieth_of_times_that_were_not_read(customers) -> None:
    def unread(n: int) -> Diff:
        frame = customers(20)
        frame["updated_at"] = frame["updated_at"].astype(object)
        frame.iloc[:n, frame.columns.get_loc("updated_at")] = "15/10/2026"
        came = Delivery(frame, datetime="%m/%d/%Y", timezone="UTC", other_pattern="%d/%m/%Y")
        return diff(snapshot(empty_frame()), validate(came, now=NOW))

    assert not found(unread(1))
    said = found(unread(2))["times"]
    assert said.startswith("2 of 20 times were not read (10.0%, more than 5%). updated_at is not a time as %m/%d/%Y;")
    assert said.endswith('%d/%m/%Y reads all 20 of them: datetime = "%d/%m/%Y" in [format].')
    assert not found(unread(2), thresholds={"times": 0.1})
    assert unread(2).delivery.n_unread == 2


def test_future_blocks_a_time_that_is_later_than_the_clock_by_more_than_five_minutes(customers) -> None:
    def dated(at: str) -> dict[str, str]:
        changes = diff(snapshot(empty_frame()), pd.concat([customers(1), customers(2, start=1, at=at)]))
        return {g.name: g.message for g in plan_push(changes, now=NOW).guards}

    assert not dated("2026-03-01T00:05:00Z")
    said = dated("2026-03-01T00:05:01Z")["future"]
    assert said.startswith("updated_at is more than five minutes in the future in 2 rows, first in row 3: every later")
    assert "restamp" in said
    sent = diff(snapshot(customers(2, at="2027-01-01T00:00:00Z")), customers(2, at="2027-01-01T00:00:00Z"))
    assert not plan_push(sent, now=NOW).guards  # nothing of it is sent
    with pytest.raises(InputError, match="now names no zone"):
        plan_push(sent, now=NOW.tz_localize(None))


def test_null_column_blocks_if_every_row_of_a_full_delivery_lost_its_value(customers) -> None:
    before = customers(10)

    def nulled(n: int, **more: Any) -> Diff:
        after = customers(10, customer_category=[None] * n + ["Retail"] * (10 - n), at=LATER)
        return diff(snapshot(before), Delivery(after, **more))

    assert found(nulled(10), allow=["changed"])["null_column"] == (
        "a column is null in all 10 rows: customer_category (a value in 10 rows before)."
    )
    assert "null_column" not in found(nulled(9))  # and customer_subcategory is null as it was
    assert "null_column" not in found(nulled(10, kind="changes"))
    left_out = tuple(c for c in before.columns if c != "customer_category")
    assert not found(nulled(10, given=left_out))  # it keeps its value


def test_shrunk_blocks_below_half_of_the_last_full_delivery(customers) -> None:
    before = customers(10)

    def held_against(n: int, **more: Any) -> dict[str, str]:
        changes = diff(snapshot(before, frozenset()), Delivery(before.head(n), "new.csv", **more))
        return found(changes, delivered(before))

    assert not held_against(5)
    assert held_against(4)["shrunk"] == "new.csv has 4 rows, fewer than 50% of the 10 of the last delivery (old.csv)."
    assert not held_against(4, n_quarantined=1)  # a row that is set aside was there
    assert not held_against(1, kind="changes")


def test_older_blocks_a_file_seen_before_and_of_one_that_ends_before_the_last(customers) -> None:
    frame = customers(4, at=LATER)
    kept = delivered(frame, digest="abc")

    def against(frame: pd.DataFrame, kept: pd.DataFrame = kept, **more: Any) -> dict[str, str]:
        return found(diff(snapshot(customers(4, at=LATER)), Delivery(frame, "new.csv", **more)), kept)

    assert against(frame, digest="abc") == {
        "older": "new.csv was delivered before, at 2026-01-02 00:00:00Z (push p-1)."
    }
    assert not against(frame, digest="abd")
    assert against(customers(4))["older"] == (
        "the newest updated_at of new.csv is 2026-01-01 00:00:00Z, and the last delivery (old.csv) went up to "
        "2026-02-01 00:00:00Z."
    )
    assert not against(customers(4), delivered(frame, newest=pd.NaT))
    by_hand = delivered(frame, kind="changes")
    assert not against(customers(4), by_hand, kind="changes")  # a correction by hand is newer than the next file
    assert "older" in against(customers(4), delivered(frame, kind="changes", digest="x"), kind="changes")


@pytest.mark.parametrize(
    ("before", "added", "blocks"),
    [
        (["00123", "00124"], "125", "(100.0%): 1 id has 3 digits where 2 customers sent before have 5; padded"),
        (["00123", "00124"], "125.0", ": 1 id is like 999.9 where 2 customers sent before are like 99999."),
        (["00123", "00124"], "00125", ""),
        (["7", "12", "340"], "1000", ""),
        (["C-9998", "C-9999"], "c-9999", ": 1 id is like a-9999 where 2 customers sent before are like A-9999."),
        (["MMM", "BRK"], "日本", ": 1 id is like aa where 2 customers sent before are like AAA."),
        (["MMM", "A", "BRK"], "GOOGL", ""),
        (["a1", "1a", "a1a", "1a1a", "A1"], "A1A", ""),  # no form at all
        ([], "anything", ""),
    ],
)
def test_id_form_blocks_a_form_that_no_id_before_has(customers, before: list, added: str, blocks: str) -> None:
    was = customers(len(before), customer_id=before) if before else empty_frame()
    after = pd.concat([was, customers(1, start=50, customer_id=[added])])
    said = found(diff(snapshot(was), after)).get("id_form", "")
    assert blocks in said
    assert bool(said) == bool(blocks)
    assert added not in said or added in "9.9"  # a form holds no customer's value
    if blocks:
        assert not found(diff(snapshot(was), after), thresholds={"id_form": 1.0})


def test_a_guard_names_the_cause_that_the_drift_shows_and_its_cure(customers) -> None:
    codes = [f"{n:07d}" for n in range(40, 60)]
    was = customers(20, customer_id=codes, customer_category=["Trade"] * 8 + ["Retail"] * 12)
    lost = diff(snapshot(was), was.assign(customer_id=[code.lstrip("0") for code in codes]))
    cure = "customer_id: 20 new ids differ from ids before only by leading zeros: correction pad_ids = 7."
    said = found(lost)
    assert said["absent"] == f"20 of 20 customers of the last delivery are gone (100.0%, more than 5%). {cure}"
    assert said["id_form"].endswith(
        ": 20 ids have 2 digits where 20 customers sent before have 7; padded, they match 20 customers sent before: "
        "correction pad_ids = 7."
    )
    later = was.assign(updated_at=pd.Timestamp(LATER))
    renamed = diff(snapshot(was), later.replace({"customer_category": {"Trade": "Commerce"}}))
    assert found(renamed)["changed"] == (
        "8 of 20 customers would change (40.0%, more than 20%). customer_category: a value has another name, "
        "'Trade' → 'Commerce' (8 before, 8 now)."
    )
    emptied = diff(snapshot(was), later.assign(customer_category=[None] * 8 + ["Retail"] * 12))
    assert found(emptied)["changed"].endswith(" customer_category: is empty more often (0 before, 8 now).")
    fewer = diff(snapshot(was), was.tail(12))
    assert found(fewer)["absent"].endswith(" customer_category: a value is gone, 'Trade' (8 before, 0 now).")
    twice = diff(snapshot(was), lost.delivery.frame.set_axis([2] * 20))  # rows of two sources may have one number
    assert cure in found(twice)["absent"]


def test_a_guard_is_allowed_by_its_name_and_all_of_them_by_all(customers) -> None:
    changes = diff(snapshot(customers(10)), customers(4, at=LATER, customer_name="Other"))
    plan = plan_push(changes)
    assert [g.name for g in plan.guards] == ["changed", "absent"]
    blocked = r"Nothing was sent: 2 guards blocked the push \(changed, absent\)\. "
    with pytest.raises(GuardError, match=rf"{blocked}.*--allow changed --allow absent, or plan_push"):
        require_allowed(plan.guards)
    with pytest.raises(GuardError, match=r"1 guard blocked the push \(absent\)\. absent: 6 of 10 "):
        require_allowed(plan_push(changes, allow="changed").guards)
    for allow in (["changed", "absent"], "all", ["all"]):
        allowed = plan_push(changes, allow=allow)
        require_allowed(allowed.guards)
        assert all(g.allowed for g in allowed.guards)
        assert allowed.digest == plan.digest  # so that the reviewed plan is the one that is allowed


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"allow": ["chnaged"]}, "No guard is named 'chnaged', did you mean 'changed'? There are first, changed"),
        ({"allow": "xyzzy"}, "No guard is named 'xyzzy'. There are first, changed"),
        ({"thresholds": {"sunk": 0.5}}, "did you mean 'shrunk'"),
        (
            {"thresholds": {"older": 0.5}},
            "No guard with a threshold is named 'older'. There are changed, absent, shrunk, id",
        ),
        ({"thresholds": {"changed": 30}}, "a share from 0 to 1, such as 0.3"),
        ({"thresholds": {"changed": float("nan")}}, "a share from 0 to 1"),
        ({"thresholds": {"changed": True}}, "a share from 0 to 1"),
        ({"thresholds": {"changed": None}}, "a share from 0 to 1"),
        ({"thresholds": {1: 0.5, "changed": 0.5}}, "thresholds takes names, not int"),
        (
            {"thresholds": [("changed", 0.5)]},
            "takes the name of a guard and its share, such as {'changed': 0.3}, not list",
        ),
        ({"thresholds": 0.3}, "not float"),
        ({"allow": [None, "changed"]}, "allow takes names, not NoneType: first, changed"),
        ({"allow": True}, "allow takes names, not bool: first"),
        ({"allow": {"changed": 0.3}}, "allow takes names, not dict"),
        ({"include": [1]}, "include takes names, not int: touched, restated, backdated."),
        ({"include": b"touched"}, "include takes names, not int"),
    ],
)
def test_an_unknown_guard_or_a_wrong_share_is_refused(customers, wrong: dict, said: str) -> None:
    with pytest.raises(PlanError, match=re.escape(said)):
        plan_push(diff(empty_frame(), customers(1)), **wrong)


def test_none_in_place_of_names_means_none_of_them(customers) -> None:
    changes = diff(snapshot(customers(10)), customers(10, at=LATER, customer_name="Other"))
    plan = plan_push(changes, include=None, allow=None, thresholds=None)
    assert (plan.digest, plan.guards) == (plan_push(changes).digest, plan_push(changes).guards)


@given(
    n=st.integers(1, 12),
    ids=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6), unique=True),
    nulls=st.booleans(),
    digest=st.sampled_from(["", "abc"]),
)
@hypothesis_settings(max_examples=15)
def test_only_older_blocks_the_same_delivery_again(n: int, ids: list, nulls: bool, digest: str) -> None:
    every = [*(f"C{i}" for i in range(n)), *(i for i in ids if not re.fullmatch(r"C\d+", i))]
    frame = empty_frame().reindex(range(2, len(every) + 2)).assign(
        customer_id=every, updated_at=pd.Timestamp(LATER), customer_category=None if nulls else "Retail"
    )  # fmt: skip
    frame = frame.astype(empty_frame().dtypes.to_dict()).rename_axis("source_row")
    changes = diff(snapshot(frame), Delivery(frame, digest=digest))
    kept = delivered(frame, digest=digest)
    rows = to_arrow(empty_frame(), columns(), index="source_row").append_column("state", pa.array([], pa.string()))
    said = {g.name for g in find_guards(Situation(changes, rows, kept, "api.example.com", True))}
    assert said == ({"older"} if digest else set())


def test_there_are_nine_guards_with_these_thresholds() -> None:
    assert list(GUARDS) == [
        "first",
        "changed",
        "absent",
        "null_column",
        "shrunk",
        "older",
        "id_form",
        "times",
        "future",
    ]
    assert {n: threshold for n, (_, threshold, _) in GUARDS.items() if threshold} == {
        "changed": 0.2,
        "absent": 0.05,
        "shrunk": 0.5,
        "times": 0.05,
    }


# The plan that is reviewed -----------------------------------------------------------------------------------------


@pytest.fixture
def reviewed(customers: Callable[..., pd.DataFrame]) -> PushPlan:
    after = pd.concat([
        customers(1, at=LATER, customer_name="=1+1"),
        customers(1, start=1, at=LATER),
        customers(1, start=2, customer_name="Rewritten"),
        customers(1, start=8, customer_id="<b>new</b>"),
    ])  # fmt: skip
    delivery = Delivery(after, "crm.csv", held=frozenset({"C00007"}), held_names={"C00007": "Hold AG"},
                        asked=("crm.csv", "--mapping", "crm.toml"))  # fmt: skip
    return plan_push(diff(snapshot(customers(6)), delivery), allow=["id_form"])


def test_a_plan_says_what_changes_what_stays_and_the_way_in(reviewed: PushPlan) -> None:
    assert reviewed.counts == {"added": 1, "changed": 1}
    assert reviewed.fields[["source_row", "column", "after"]].to_numpy().tolist() == [[2, "customer_name", "=1+1"]]
    left = reviewed.not_sent
    assert left["state"].tolist() == ["touched", "restated", "absent", "absent", "absent", "held"]
    assert left["customer_id"].tolist() == ["C00001", "C00002", "C00003", "C00004", "C00005", "C00007"]
    names = ['Müller & Söhne "1"', "Rewritten", *(f'Müller & Söhne "{n}"' for n in range(3, 6)), "Hold AG"]
    assert left["customer_name"].tolist() == names
    assert left["why"].str.len().gt(10).all()
    assert len(reviewed.request(0)) == reviewed.n_bytes
    assert reviewed.to_dict() == {
        "plan": reviewed.digest,
        "rows": 2, "accepted": 0, "refused": 0, "unknown": 0, "unsent": 2, "mapping": None,
        "by_state": {"added": 1, "changed": 1}, "changed_fields": 1, "quarantined": 0,
        "left_out": 2,
        "left_out_by_state": {
            "unchanged": 0, "touched": 1, "restated": 1, "backdated": 0, "absent": 3, "held": 1,
            "duplicate_key": 0, "null_key": 0,
        },
        "guards": [
            {"name": guard.name, "message": guard.message, "allowed": guard.name == "id_form"}
            for guard in reviewed.guards
        ],
        "batches": 1, "attempts": 0, "bytes": len(reviewed.request(0)), "least_s": 0.02,
        "target": "sandbox", "address": Settings().url(), "operation": "UPSERT",
    }  # fmt: skip
    assert [guard.name for guard in reviewed.guards] == ["absent", "id_form"]
    assert reviewed.summary() == f"2 rows in 1 batch, 2 left out · {reviewed.label} · plan {reviewed.digest[:12]}"


def test_the_page_gives_the_verdict_first_and_every_guard(reviewed: PushPlan) -> None:
    shown = Page(reviewed.body())
    assert shown.verdict == "Blocked by 1 guard: absent."
    assert all(escape(guard.message) in reviewed.body() for guard in reviewed.guards)  # whole, however long
    assert 'plan = tk.plan_push(changes, allow=["id_form", "absent"])' in shown.code
    assert "toolkit push crm.csv --mapping crm.toml --allow=id_form --allow=absent" in shown.code
    assert "report = tk.push(plan)" not in shown.code
    assert "7 guards passed" in shown.text
    assert "http" not in page("x", reviewed.body()).replace(reviewed.address, "")
    assert reviewed.address in shown.text
    assert shown.parts == {"added": 1, "changed": 1, "touched": 1, "restated": 1}
    for state, words in (
        ("touched", "1 touched"),
        ("restated", "1 restated"),
        ("absent", "3 absent"),
        ("held", "1 held"),
    ):
        assert words in shown.text
        assert WAYS_IN[state][1:] in shown.text
    assert 'plan = tk.plan_push(changes, include=["touched"])' in shown.code
    assert f"plan {reviewed.digest[:12]}, bound to its rows, target, contract and version 0 of the ledger" in shown.text
    sent = shown.grids["Sent"]
    assert (sent.heads[:3], [row[2] for row in sent.rows]) == (
        ["Row", "State", "customer_id"],
        ["<b>new</b>", "C00000"],
    )
    assert sent.rows[1][4] == 'Müller & Söhne "0"=1+1'  # before and after, in the cell
    assert [unit["column"] for unit in sent.units if "column" in unit] == [["customer_name"]]
    assert "toolkit push" not in Page(replace(reviewed, changes=replace(
        reviewed.changes, delivery=replace(reviewed.delivery, asked=()))).body()).text  # fmt: skip
    ready = Page(replace(reviewed, guards=tuple(replace(g, allowed=True) for g in reviewed.guards)).body())
    assert ready.verdict.startswith("Ready: 2 rows in 1 request, less than a second")
    assert "report = tk.push(plan)" in ready.code


def test_a_plan_of_many_changes_stays_small(customers) -> None:
    before = diff(snapshot(customers(1_000)), customers(1_000, at=LATER, customer_category="Wholesale", source="peak"))
    drawn = plan_push(before).body()
    assert Page(drawn).text.count("RetailWholesale") == 1_000
    assert len(page("x", drawn)) < 400_000


def test_all_rows_are_shown_up_to_5000_and_the_first_body(customers) -> None:
    settings = Settings()
    plan = plan_push(diff(empty_frame(), customers(5_003)), settings=settings)
    bodies = [body for *_, body in plan.envelope.bodies(plan.rows)]
    assert (len(bodies), plan.request(0), plan.request(-1)) == (11, bodies[0], bodies[-1])
    drawn = plan.body()
    shown = Page(drawn)
    assert len(shown.grids["Sent"].rows) == 5_000
    assert "and 3 more rows" in shown.text
    assert len(drawn) < 5_000_000
    pretty = re.findall(r"<pre[^>]*>(.*?)</pre>", drawn, re.DOTALL)
    whole = json.dumps(json.loads(bodies[0]), indent=2, ensure_ascii=False)
    assert [unescape(said)[:-1] for said in pretty] == [whole[: len(unescape(pretty[0])) - 1]]
    short = replace(plan, batches=(), rows=plan.rows.slice(0, 0))
    assert "<pre" not in short.body()


def test_the_time_it_takes_is_that_of_the_contracts_rate(customers) -> None:
    plan = plan_push(diff(empty_frame(), customers(3)))
    assert replace(plan, batches=plan.batches * 50).verdict == "Ready: 3 rows in 50 requests, at least 1 s"
    slow = replace(plan, batches=plan.batches * 250)
    assert slow.least_s == 5
    assert slow.verdict == "Ready: 3 rows in 250 requests, at least 5 s"
    assert plan_push(diff(customers(1), customers(1))).verdict == "Nothing to send"


def test_the_workbook_holds_the_plan_and_calculates_nothing(reviewed: PushPlan, tmp_path: Path) -> None:
    book = load_workbook(reviewed.to_excel(tmp_path / "plan.xlsx"))
    assert book.sheetnames == ["summary", "rows to send", "field changes", "left out"]
    assert "f" not in {cell.data_type for sheet in book for row in sheet.iter_rows() for cell in row}
    said = {row[0].value: row[1].value for row in book["summary"].iter_rows()}
    assert said.pop("what") == "value"
    absent, id_form = (guard.message for guard in reviewed.guards)
    assert said == {
        "verdict": "Blocked by 1 guard: absent",
        "plan": reviewed.digest,
        "bound to": f"plan {reviewed.digest[:12]}, bound to its rows, target, contract and version 0 of the ledger",
        "target": reviewed.label,
        "address": f"UPSERT to {Settings().url()}",
        "requests": f"1 ({reviewed.n_bytes:,} bytes), less than a second at the contract's rate",
        "rows added": "1",
        "rows changed": "1",
        "left out: touched": f"1 ({WAYS_IN['touched']})",
        "left out: restated": f"1 ({WAYS_IN['restated']})",
        "left out: absent": f"3 ({WAYS_IN['absent']})",
        "left out: held": f"1 ({WAYS_IN['held']})",
        "guard absent": absent,
        "guard id_form": f"{id_form} Allowed.",
    }
    sent = [[c.value for c in row] for row in book["rows to send"].iter_rows()]
    assert sent[0][:4] == ["source_row", "customer_id", "updated_at", "customer_name"]
    assert [row[:4] for row in sent[1:]] == [
        [10, "<b>new</b>", "2026-01-01T00:00:00Z", 'Müller & Söhne "8"'],
        [2, "C00000", "2026-02-01T00:00:00Z", "=1+1"],
    ]
    assert len(list(book["left out"].iter_rows())) == 7
    with pytest.raises(InputError, match=r"ends in \.xlsx"):
        reviewed.to_excel(tmp_path / "plan.csv")
    with pytest.raises(InputError, match=r"'a' cannot hold a text longer than 32,767"):
        write_sheets({"a": pd.DataFrame({"b": ["x" * 32_768]})}, tmp_path / "long.xlsx")
    assert [f.name for f in tmp_path.iterdir()] == ["plan.xlsx"]


# Before anything leaves --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("contract", ["2026-04", "current"])
def test_a_guard_blocks_a_push_and_a_dry_run_until_it_is_allowed(customers, clock: Clock, contract: str) -> None:
    with Sandbox(contract=contract, clock=lambda: clock.now().timestamp()) as sandbox:
        settings = Settings(base_url=sandbox.url, contract=contract)
        ledger = Ledger.of(settings)

        def plan(frame: pd.DataFrame, **more: Any) -> PushPlan:
            return plan_push(diff(ledger.snapshot(), Delivery(frame, "crm.csv", digest="d")), settings=settings, **more)

        def send(plan: PushPlan, how: Any = push) -> Any:
            return how(plan, settings=settings, pace=clock.pace, progress=False)

        assert send(plan(customers(10))).n_accepted == 10
        assert ledger.deliveries()["newest"].tolist() == [pd.Timestamp("2026-01-01T00:00:00Z")]
        again = plan(customers(10))
        assert [g.name for g in again.guards] == ["older"]
        assert send(again).n_rows == 0  # nothing is sent, so nothing is blocked
        n_requests = len(sandbox.requests())
        blocked = plan(customers(4, at=LATER, customer_name="Other"))
        for how in (push, *([dry_run] if contract == "current" else [])):
            with pytest.raises(GuardError, match=r"changed: 4 of 10 .*absent: .*shrunk: .*older: "):
                send(blocked, how)
        assert len(sandbox.requests()) == n_requests
        assert not status(settings=settings).open_push
        allowed = plan(customers(4, at=LATER, customer_name="Other"), allow="all")
        if contract == "current":
            assert send(allowed, dry_run).n_accepted == 4
        assert send(allowed).n_accepted == 4
        assert len(sandbox.table()) == 14


def test_a_plan_from_an_older_version_of_the_ledger_is_refused_and_nothing_is_sent(customers, clock: Clock) -> None:
    with Sandbox(clock=lambda: clock.now().timestamp()) as sandbox:
        settings = Settings(base_url=sandbox.url)
        first, second = (plan_push(diff(Ledger.of(settings).snapshot(), customers(n)), settings=settings)
                         for n in (2, 3))  # fmt: skip
        push(first, settings=settings, pace=clock.pace, progress=False, schema_check=False)
        with pytest.raises(PlanError, match="has changed since the plan was made"):
            push(second, settings=settings, pace=clock.pace, progress=False, schema_check=False)
        assert len(sandbox.requests()) == 1


def test_a_dry_run_of_a_plan_for_another_target_is_refused(customers) -> None:
    plan = plan_push(diff(empty_frame(), customers(1)), settings=Settings(contract="current"))
    with pytest.raises(PlanError, match="plan again"):
        dry_run(plan, settings=Settings(contract="current", target="sandbox-2"))


def test_the_answer_to_a_dry_run_is_joined_to_the_rows_like_a_real_one(customers, clock: Clock) -> None:
    with Sandbox(contract="current", clock=lambda: clock.now().timestamp()) as sandbox:
        sandbox.vendor.refuse = lambda row: "no such list" if row["customer_id"] == "C00002" else None
        settings = Settings(base_url=sandbox.url, contract="current")
        plan = plan_push(diff(empty_frame(), customers(4)), settings=settings)
        dry, wet = (how(plan, settings=settings, pace=clock.pace, progress=False) for how in (dry_run, push))
        assert dry.state == "dry run"
        assert dry.refused["source_row"].tolist() == [4]
        pd.testing.assert_frame_equal(dry.refused, wet.refused)
        assert len(sandbox.table()) == 3  # of the push alone
