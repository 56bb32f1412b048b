"""push(): every row of a plan is accepted, refused, unknown or unsent, and both sides agree."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.support.clocks import Clock
from tests.support.place import BAD, Place, fates, refuse_bad, vendor
from toolkit.config.settings import Settings
from toolkit.errors import (
    InputError,
    OpenPushError,
    PlanError,
)
from toolkit.ledger.diffing import diff
from toolkit.ledger.ledger import Ledger
from toolkit.model.delivery import Delivery
from toolkit.model.schema import empty_frame
from toolkit.pushing.history import status
from toolkit.pushing.planning import plan_push
from toolkit.pushing.runs import push
from toolkit.pushing.settling import settle
from toolkit.quality.validation import validate
from toolkit.sending.lock import only_pusher
from toolkit.vendor.sandbox import DROPPED, Assumptions, Reply


@pytest.mark.parametrize("names_row_by", ["index", "key", "upper_key", "echo", "nested", "text", "nothing"])
@pytest.mark.parametrize(("partial_status", "all_or_nothing"), [(200, False), (400, False), (422, True)])
def test_however_refused_rows_are_named_both_sides_agree(
    clock: Clock, customers, names_row_by: str, partial_status: int, all_or_nothing: bool
) -> None:
    with vendor(
        clock, names_row_by=names_row_by, partial_status=partial_status, all_or_nothing=all_or_nothing
    ) as sandbox:
        place = Place(sandbox, clock)
        sandbox.vendor.refuse = refuse_bad
        plan = plan_push(diff(empty_frame(), customers(7)), settings=place.settings)
        report = place.push(plan)
        assert fates(report) == {"accepted": 5, "refused": 2}
        assert (report.n_rows, report.state) == (7, "done")
        assert list(report.refused["source_row"]) == [3, 6]  # C00001 and C00004 stand there
        assert set(report.refused["customer_id"]) == BAD
        if names_row_by != "text":  # then the vendor says which row, and nothing else
            said = report.refused[["code", "category", "message"]].agg(" ".join, axis=1)
            assert said.str.contains("no such price list").all()
            assert said.str.contains("DI_E_00017").all()
        place.require_agreement()


def test_refused_rows_are_added_rows_of_the_next_diff_until_they_are_taken(place: Place, customers) -> None:
    place.sandbox.vendor.refuse = refuse_bad
    place.push(customers(7))
    again = place.plan(customers(7))
    assert set(again.to_frame()["customer_id"]) == BAD
    assert set(again.to_frame()["state"]) == {"added"}
    place.sandbox.vendor.refuse = None
    assert fates(place.push(again)) == {"accepted": 2}
    place.require_agreement()
    assert place.plan(customers(7)).n_rows == 0


@pytest.mark.parametrize("partial_status", [200, 207])
def test_a_success_that_stored_nothing_and_names_no_row_is_resolved_row_by_row(
    clock: Clock, customers, partial_status: int
) -> None:
    with vendor(clock, names_row_by="nothing", partial_status=partial_status, all_or_nothing=True) as sandbox:
        place = Place(sandbox, clock)
        sandbox.vendor.refuse = refuse_bad
        assert fates(place.push(customers(7))) == {"accepted": 5, "refused": 2}
        place.require_agreement()


@pytest.mark.parametrize("operation", ["UPSERT", "APPEND"])
def test_two_versions_of_one_customer_are_resolved_by_halves_or_stay_unknown(
    clock: Clock, customers, operation: str
) -> None:
    history = pd.concat([customers(3), customers(3, at="2026-02-01T00:00:00Z", customer_name="Later").shift(0)])
    history = history.set_index(pd.RangeIndex(2, 8, name="source_row"))
    with vendor(clock, names_row_by="text") as sandbox:
        place = Place(sandbox, clock, {"operation": operation})
        sandbox.vendor.refuse = lambda row: (
            "too late" if row["customer_id"] == "C00001" and row["updated_at"] > "2026-01-15" else None
        )
        report = place.push(history)
        if operation == "APPEND":  # halves would write what was taken a second time
            assert (fates(report), place.n_requests) == ({"unknown": 6}, 1)
            return
        assert fates(report) == {"accepted": 5, "refused": 1}
        assert list(report.refused["source_row"]) == [6]
        place.require_agreement()


@pytest.mark.parametrize(("over_limit_status", "error_body"), [(400, "html"), (413, "json")])
def test_a_vendor_with_smaller_limits_than_the_contract_still_gets_every_row(
    clock: Clock, customers, over_limit_status: int, error_body: str
) -> None:
    with vendor(clock, over_limit_status=over_limit_status, error_body=error_body) as sandbox:
        place = Place(sandbox, clock, {"contract": "current"})
        report = place.push(customers(1_300))
        assert (fates(report), report.n_batches) == ({"accepted": 1_300}, 1)
        place.require_agreement()


def test_a_vendor_that_names_one_bad_row_at_a_time_is_followed_to_the_last(place: Place, customers) -> None:
    bad = {f"C{i:05d}" for i in range(60)}

    def first_only(request: Any) -> Reply:
        reply = take(request)
        said = json.loads(reply.body)
        return Reply(reply.status, json.dumps({"failed": said["failed"][:1]}).encode())

    place.sandbox.vendor.assumptions = Assumptions(partial_status=422)
    place.sandbox.vendor.refuse = lambda row: "no" if row["customer_id"] in bad else None
    take, place.sandbox.vendor.answer = place.sandbox.vendor.answer, first_only
    assert fates(place.push(customers(100))) == {"accepted": 40, "refused": 60}
    place.require_agreement()


@pytest.mark.parametrize(
    "trouble",
    [
        Reply(429, b"{}"),
        Reply(503, b"<html>"),
        Reply(500, b""),
        (True, Reply(502, b"<html>")),
        DROPPED,
        (True, DROPPED),
        (True, Reply(200, b'{"failed": []}', cut=5)),
        (True, Reply(200, b"")),
    ],
)
def test_passing_trouble_is_tried_again_and_every_row_arrives_once(place: Place, customers, trouble: Any) -> None:
    place.sandbox.vendor.troubles.extend([None, trouble, trouble])
    report = place.push(customers(1_100))
    assert (fates(report), report.n_attempts, report.state) == ({"accepted": 1_100}, 5, "done")
    digests = place.sandbox.requests()["digest"]
    assert len(set(digests[1:4])) == 1  # the same bytes
    place.require_agreement()
    assert len(Ledger.of(place.settings).history("C00600")) == 1


@pytest.mark.parametrize(("retry_after", "waits"), [("seconds", [1.5]), ("date", [1.5]), ("none", [0.5, 1.0])])
def test_the_sandbox_is_waited_for_as_its_retry_after_says(
    clock: Clock, customers, retry_after: str, waits: list[float]
) -> None:
    with vendor(clock, retry_after=retry_after) as sandbox:
        place = Place(sandbox, clock)
        plan = place.plan(customers(2))
        sandbox.vendor._starts.extend([clock.seconds + clock.now().timestamp()] * 50)  # somebody else fills this second
        report = place.push(plan)
    assert fates(report) == {"accepted": 2}
    long = [s for s in clock.slept if s > 0.1]  # what was asked for, and the whole jitter: 0.5 s, then 1 s
    assert long == pytest.approx(waits, abs=1.001 if retry_after == "date" else 1e-3)  # a date has whole seconds
    assert report.n_attempts == len(waits) + 1


def test_a_sandbox_that_counts_never_sees_more_than_its_fifty_a_second(place: Place, customers) -> None:
    report = place.push(customers(30_500))
    assert (fates(report), set(place.sandbox.requests()["status"])) == ({"accepted": 30_500}, {200})
    assert report.n_attempts == 61


@pytest.mark.parametrize("other", [{"contract": "current", "path_style": "ingest/object"}, {"solution": "OTHER"}])
def test_a_plan_is_pushed_with_its_own_contract_and_solution_alone(place: Place, customers, other: Any) -> None:
    plan = place.plan(customers(2))
    with pytest.raises(PlanError, match=r"made with (contract 2026-04|solution \S+), but .*plan again"):
        push(plan, settings=Settings(**{"base_url": place.sandbox.url, **other}), pace=place.clock.pace)
    assert place.sandbox.requests().empty


def test_a_wrong_share_and_an_unknown_row_are_refused(place: Place, customers) -> None:
    changes = diff(Ledger.of(place.settings).snapshot(), customers(2))
    with pytest.raises(PlanError, match="share from 0 to 1"):
        plan_push(changes, settings=place.settings, thresholds={"changed": "x"})
    report = place.push(customers(2))
    with pytest.raises(InputError, match="no unknown row 5"):
        settle(report, accepted=5, reason="x", settings=place.settings)


def test_a_plan_that_waited_for_another_push_is_checked_after_it(place: Place, customers, monkeypatch) -> None:
    """The ledger must not move between the check of a plan and the right to push."""
    plan = place.plan(customers(3))

    @contextmanager
    def wait_for_another(folder: Path, target: str, **more: Any) -> Iterator[None]:
        monkeypatch.undo()
        monkeypatch.setenv("TOOLKIT_HOME", str(folder.parent.parent))
        place.push(plan)
        with only_pusher(folder, target, **more):
            yield

    monkeypatch.setattr("toolkit.pushing.runs.only_pusher", wait_for_another)
    with pytest.raises(PlanError, match="ledger has changed"):
        place.push(plan)
    assert place.n_requests == 1


def test_a_plan_is_pushed_once(place: Place, customers) -> None:
    plan = place.plan(customers(3))
    place.push(plan)
    with pytest.raises(PlanError, match="ledger has changed"):
        place.push(plan)
    assert status(settings=place.settings).open_push == ""


def test_a_plan_for_another_target_address_or_operation_is_refused(place: Place, customers) -> None:
    plan = place.plan(customers(3))
    for other in ({"target": "sandbox-2"}, {"path_style": "objects"}, {"operation": "APPEND"}, {"suffix": "_X"}):
        place.options = other
        with pytest.raises(PlanError, match="plan again"):
            place.push(plan)
    assert place.n_requests == 0


def test_an_empty_plan_sends_nothing_and_leaves_nothing_open(
    place: Place, customers, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.push(customers(3))
    monkeypatch.setenv("PEAK_AUTH_TOKEN", "never asked for")
    plan = place.plan(customers(3))
    assert plan.n_batches == 0
    report = place.push(plan)
    assert (report.n_rows, report.n_attempts, report.ok, report.state) == (0, 0, True, "done")
    assert place.n_requests == 1
    assert status(settings=place.settings).open_push == ""


def test_what_another_ledger_or_moment_lacks_is_not_planned_for_this_one(place: Place, customers) -> None:
    place.push(customers(5))
    place.push(customers(1, start=5))
    other = Settings(base_url=place.sandbox.url, target="other", prefix="B_")
    changes = diff(Ledger.of(place.settings).snapshot(), customers(7))
    with pytest.raises(PlanError, match=r"not compare with what target other .* holds now"):
        plan_push(changes, settings=other, allow="all")
    past = diff(Ledger.of(place.settings).snapshot(valid_at="2020-01-01"), customers(7))
    with pytest.raises(PlanError, match="another target, ledger or moment"):
        plan_push(past, settings=place.settings, allow="all")
    assert plan_push(changes, settings=place.settings, allow="all").n_rows == 1


def test_of_two_pushes_at_once_the_second_is_refused_and_names_the_first(place: Place, customers) -> None:
    plan, refusals = place.plan(customers(3)), []

    def push_again(row: dict[str, Any]) -> None:
        try:
            place.push(plan)
        except OpenPushError as error:
            refusals.append(str(error))

    place.sandbox.vendor.refuse = push_again
    assert fates(place.push(plan)) == {"accepted": 3}
    assert len(refusals) == 3
    assert all(f"process {os.getpid()} " in said for said in refusals)
    assert place.n_requests == 1


def test_a_delivery_without_a_customer_leaves_the_ledger_usable(place: Place, customers) -> None:
    nobody = validate(customers(1, customer_id=[None]))
    plan = plan_push(diff(Ledger.of(place.settings).snapshot(), nobody), settings=place.settings)
    assert place.push(plan).n_rows == 0
    assert status(settings=place.settings).n_customers == 0
    assert fates(place.push(customers(2))) == {"accepted": 2}
    place.require_agreement()


def test_the_ledger_says_of_each_version_where_it_came_from_and_why(place: Place, customers) -> None:
    place.push(customers(2, start=1), reason="first load")
    entry = Ledger.of(place.settings).history("C00002").iloc[0]
    record = status(settings=place.settings).pushes.iloc[0]
    assert entry[["operation", "push", "reason", "source_file", "source_row"]].tolist() == [
        "UPSERT", record["push"], "first load", "frame", 4,
    ]  # fmt: skip
    assert (entry["author"], entry["batch"], entry["position"]) == (record["author"], 0, 1)


def test_an_absent_customer_is_newly_absent_in_the_next_delivery_only(place: Place, customers) -> None:
    place.push(customers(3))
    place.push(customers(2))  # an empty plan: its delivery counts all the same
    changes = diff(Ledger.of(place.settings).snapshot(), customers(2))
    assert (changes.n_absent, changes.n_newly_absent) == (1, 0)


@pytest.mark.parametrize("answers", [[Reply(401)], [(False, DROPPED), Reply(401)], [None, Reply(401)]])
def test_a_file_of_which_nothing_arrived_does_not_count_as_delivered(
    place: Place, customers, answers: list[Any]
) -> None:
    def planned() -> tuple[list[str], int]:
        found = validate(Delivery(customers(600), source="crm.csv", digest="d"))
        plan = plan_push(diff(Ledger.of(place.settings).snapshot(), found), settings=place.settings)
        return [guard.name for guard in plan.guards], plan.changes.n_newly_absent

    place.push(Delivery(customers(601, start=600), source="old.csv", digest="c"))
    before = planned()
    place.sandbox.vendor.troubles.extend(answers)
    place.stopped(Delivery(customers(600), source="crm.csv", digest="d"))
    if len(answers) == 1:  # nothing was taken, so the push is closed
        assert planned() == before == (["absent"], 601)
        assert len(Ledger.of(place.settings).deliveries()) == 1
    else:  # some rows arrived, or may have
        place.abandon()
        assert "older" in planned()[0]
        assert len(Ledger.of(place.settings).deliveries()) == 2


def test_status_lists_every_push_the_newest_first(place: Place, customers) -> None:
    place.push(customers(2))
    place.sandbox.vendor.refuse = refuse_bad
    place.push(customers(3, start=2))
    found = status(settings=place.settings)
    assert found.pushes[["state", "rows", "accepted", "refused"]].to_numpy().tolist() == [
        ["done", 3, 2, 1], ["done", 2, 2, 0],
    ]  # fmt: skip
    assert (found.n_customers, found.n_waiting) == (4, 0)
