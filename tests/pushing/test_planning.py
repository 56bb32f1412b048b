"""What would be sent: rows in order, batches closed before a limit, a digest of the content."""

import json
from dataclasses import replace
from html import unescape

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from toolkit.config.settings import Settings
from toolkit.engine import to_arrow
from toolkit.errors import PlanError
from toolkit.ledger.diffing import diff
from toolkit.model.contract import APRIL_2026, CURRENT, CUSTOMER
from toolkit.model.json_rows import encode
from toolkit.model.schema import empty_frame
from toolkit.pushing.planning import as_dry_run, plan_push, require_digest
from toolkit.vendor.batches import Envelope

TEXT = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def arrow(frame: pd.DataFrame):
    return to_arrow(frame, CUSTOMER.arrow_schema(), index="source_row")


def test_the_body_is_the_documented_one() -> None:
    """The request of the contract page, field by field."""
    frame = pd.DataFrame(
        {
            "customer_id": ["CUST-001"],
            "updated_at": pd.to_datetime(["2025-01-28T10:00:00Z"]),
            "customer_name": ["Acme Corporation"],
            "customer_category": ["Enterprise"],
            "customer_subcategory": ["Technology"],
            "customer_price_list_id": ["PL-ENT-001"],
            "source": ["customer"],
        },
        index=pd.Index([2]),
    )
    documented = """{"solutionName": "QP_OOTB",
     "data": [{"customer_id": "CUST-001", "updated_at": "2025-01-28T10:00:00Z", "customer_name": "Acme Corporation",
               "customer_category": "Enterprise", "customer_subcategory": "Technology",
               "customer_price_list_id": "PL-ENT-001", "source": "customer"}],
     "operationType": "UPSERT", "dryRun": true}"""
    body = Envelope(CURRENT, "QP_OOTB", "UPSERT", dry_run=True).body(arrow(frame))
    assert json.loads(body) == json.loads(documented)
    wet = json.loads(Envelope(CURRENT, "QP_OOTB", "UPSERT").body(arrow(frame)))
    assert "dryRun" not in wet


WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
TIMES = st.datetimes(pd.Timestamp("1700-01-01"), pd.Timestamp("2200-01-01"))
some_rows = given(rows=st.lists(st.tuples(WORDS, TEXT, TIMES), min_size=1, max_size=6))


def reads_back_cell_for_cell(rows: list[tuple]) -> None:
    frame = pd.DataFrame(
        {
            "customer_id": pd.Series([r[0] for r in rows], dtype="str"),
            "customer_name": pd.Series([r[1] for r in rows], dtype="str"),
            "updated_at": pd.to_datetime([r[2] for r in rows], utc=True).as_unit("us"),
        }
    )
    encoded = encode(to_arrow(frame, CUSTOMER.arrow_schema()))
    back = json.loads(b"[" + encoded.slice(0, len(rows)) + b"]")
    assert [(r["customer_id"], r["customer_name"]) for r in back] == [r[:2] for r in rows]
    assert [pd.Timestamp(r["updated_at"]).tz_localize(None).to_pydatetime() for r in back] == [r[2] for r in rows]
    assert all(tuple(r) == CUSTOMER.names and r["updated_at"].endswith("Z") and r["source"] is None for r in back)


@hypothesis_settings(max_examples=30)
@some_rows
def test_what_is_encoded_reads_back_cell_for_cell(rows: list[tuple]) -> None:
    reads_back_cell_for_cell(rows)


@pytest.mark.slow
@hypothesis_settings(max_examples=500)
@some_rows
def test_what_is_encoded_reads_back_cell_for_cell_in_depth(rows: list[tuple]) -> None:
    reads_back_cell_for_cell(rows)


some_sizes = given(
    sizes=st.lists(st.integers(0, 60), min_size=1, max_size=40), max_rows=st.integers(1, 7), room=st.integers(250, 700)
)


def close_before_a_limit_and_add_up(sizes: list[int], max_rows: int, room: int) -> None:
    frame = pd.DataFrame(
        {
            "customer_id": [f"{i:03d}" for i in range(len(sizes))],
            "updated_at": pd.to_datetime(["2025-01-28T10:00:00Z"] * len(sizes)),
            "customer_name": ["x" * n for n in sizes],
        },
        index=pd.RangeIndex(2, len(sizes) + 2),
    )
    envelope = Envelope(replace(APRIL_2026, max_rows=max_rows, max_bytes=room + 60), "S", "UPSERT")
    rows = arrow(frame)
    batches = list(envelope.bodies(rows))
    sent = [row["customer_id"] for _, _, body in batches for row in json.loads(body)["data"]]
    assert sent == list(frame["customer_id"])
    assert [first for first, _, _ in batches] == [0, *(stop for _, stop, _ in batches[:-1])]
    for first, stop, body in batches:
        assert len(body) <= envelope.contract.max_bytes
        assert stop - first <= max_rows
        if stop < len(sizes) and stop - first < max_rows:  # the next row would have passed the limit
            assert len(envelope.body(rows.slice(first, stop - first + 1))) > envelope.contract.max_bytes


@hypothesis_settings(max_examples=30)
@some_sizes
def test_batches_close_before_a_limit_and_add_up(sizes: list[int], max_rows: int, room: int) -> None:
    close_before_a_limit_and_add_up(sizes, max_rows, room)


@pytest.mark.slow
@hypothesis_settings(max_examples=500)
@some_sizes
def test_batches_close_before_a_limit_and_add_up_in_depth(sizes: list[int], max_rows: int, room: int) -> None:
    close_before_a_limit_and_add_up(sizes, max_rows, room)


def test_cutting_does_not_depend_on_how_many_rows_are_encoded_at_a_time(customers, monkeypatch) -> None:
    rows = arrow(customers(2_345))
    envelope = Envelope(APRIL_2026, "S", "UPSERT")
    whole = list(envelope.bodies(rows))
    monkeypatch.setattr("toolkit.vendor.batches._PART", 777)
    assert list(envelope.bodies(rows)) == whole
    assert [stop - first for first, stop, _ in whole] == [500, 500, 500, 500, 345]


def test_a_row_larger_than_a_request_is_named(customers) -> None:
    frame = customers(3)
    frame.loc[3, "customer_name"] = "x" * 1_000_001
    with pytest.raises(PlanError, match="source_row 3 is larger"):
        plan_push(diff(empty_frame(), frame))


def test_added_and_changed_are_sent_oldest_first_and_the_rest_is_counted(customers) -> None:
    before = customers(4)
    after = pd.concat([
        customers(1, start=9, at="2026-03-01T00:00:00Z"),
        customers(1, at="2026-02-01T00:00:00Z", customer_name="Other"),
        customers(1, start=1, at="2026-02-01T00:00:00Z"),
        customers(1, start=2, customer_name="Rewritten"),
    ])  # fmt: skip
    plan = plan_push(diff(before, after))
    assert plan.to_frame()[["customer_id", "state"]].to_numpy().tolist() == [["C00000", "changed"], ["C00009", "added"]]
    assert {s: n for s, n in plan.left_out.items() if n} == {"touched": 1, "restated": 1, "absent": 1}
    assert plan.n_rows + plan.n_left_out == len(after)
    more = plan_push(diff(before, after), include=["restated", "touched"])
    assert (more.n_rows, more.n_left_out) == (4, 0)


def test_a_state_that_cannot_be_sent_is_refused(customers) -> None:
    with pytest.raises(PlanError, match="did you mean 'restated'"):
        plan_push(diff(empty_frame(), customers(1)), include=["restate"])


def test_the_digest_is_bound_to_content_target_and_operation_and_to_nothing_else(customers) -> None:
    changes = diff(empty_frame(), customers(3))
    plan = plan_push(changes)
    assert plan_push(diff(empty_frame(), customers(3))).digest == plan.digest
    others = [
        plan_push(diff(empty_frame(), customers(3, source="peak"))),
        plan_push(changes, settings=Settings(operation="APPEND")),
        plan_push(changes, settings=Settings(target="sandbox-2")),
        plan_push(changes, settings=Settings(contract="current")),
        plan_push(replace(changes, before=replace(changes.before, version=7))),
    ]
    assert len({plan.digest, *(p.digest for p in others)}) == 6


def test_a_dry_run_needs_a_contract_that_has_one(customers) -> None:
    changes = diff(empty_frame(), customers(1))
    with pytest.raises(PlanError, match="documents no dry run"):
        as_dry_run(plan_push(changes))
    assert as_dry_run(plan_push(changes, settings=Settings(contract="current"))).envelope.dry_run


def test_an_empty_plan_has_no_batches(customers) -> None:
    plan = plan_push(diff(customers(2), customers(2)))
    assert (plan.n_rows, plan.n_batches, plan.left_out["unchanged"]) == (0, 0, 2)
    assert np.array_equal(encode(plan.rows).ends, [])


@pytest.mark.parametrize(("state", "near"), [("zzz", "'zzz'."), ("touch", "did you mean 'touched'?")])
def test_a_state_that_cannot_be_included_is_refused_in_whole_sentences(customers, state: str, near: str) -> None:
    with pytest.raises(PlanError) as error:
        plan_push(diff(empty_frame(), customers(1)), include=state)
    assert f"{near} There are touched" in str(error.value)


def test_a_plan_is_held_to_the_digest_that_was_reviewed(customers) -> None:
    plan = plan_push(diff(empty_frame(), customers(2)))
    for said in ("", plan.digest, plan.digest[:8], plan.digest[:12].upper()):
        require_digest(plan, said)
    with pytest.raises(PlanError, match=r"at least the first 8 characters"):
        require_digest(plan, plan.digest[:7])
    other = ("0" if plan.digest[0] != "0" else "1") + plan.digest[1:]
    with pytest.raises(PlanError, match=rf"now makes plan {plan.digest[:12]}, not the reviewed one.*toolkit plan"):
        require_digest(plan, other)


@pytest.mark.parametrize(
    ("version", "words"), [(None, "no ledger"), (-1, "an empty ledger"), (7, "version 7 of the ledger")]
)
def test_a_plan_says_which_ledger_it_is_bound_to(customers, version: int | None, words: str) -> None:
    plan = replace(plan_push(diff(customers(0), customers(1))), ledger_version=version)
    assert f"bound to its rows, target, contract and {words}" in plan.body()


@pytest.mark.parametrize(("n_rows", "whole"), [(1, True), (40, False)])
def test_a_body_is_shown_whole_if_it_is_short(customers, n_rows: int, whole: bool) -> None:
    plan = plan_push(diff(customers(0), customers(n_rows)))
    body, text = unescape(plan.body()), json.dumps(json.loads(plan.request(0)), indent=2, ensure_ascii=False)
    assert (text in body) == whole
    assert text[:500] in body
