"""push(), resume(), abandon(), dry_run() against the sandbox: what became of every row, and that both sides agree."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from html import unescape
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pandas as pd
import pytest

from tests.support.clocks import Clock
from toolkit.config.settings import Settings
from toolkit.errors import (
    AddressError,
    AuthorizationError,
    InputError,
    JournalError,
    LedgerError,
    NothingOpenError,
    OpenPushError,
    PlanError,
    SettingsError,
    StoppedError,
    ToolkitError,
    UnreachableError,
)
from toolkit.ledger.diffing import diff
from toolkit.ledger.ledger import Ledger
from toolkit.model.contract import CONTRACTS
from toolkit.model.delivery import Delivery
from toolkit.model.schema import empty_frame
from toolkit.pushing import history as chronicle
from toolkit.pushing import runs as pushing
from toolkit.pushing.planning import PushPlan, plan_push
from toolkit.pushing.report import PushReport
from toolkit.pushing.runs import abandon, dry_run, push, resume, status
from toolkit.pushing.seeding import seed
from toolkit.pushing.settling import settle
from toolkit.quality.validation import validate
from toolkit.sending.journal import Journal
from toolkit.sending.lock import only_pusher
from toolkit.sending.sender import Connections, Sender
from toolkit.vendor.sandbox import DROPPED, Assumptions, Reply, Sandbox

KEY = ["customer_id", "updated_at"]
BAD = {"C00001", "C00004"}


@dataclass
class Place:
    """A sandbox and an analyst's settings for it, on one clock that moves only when somebody sleeps."""

    sandbox: Sandbox
    clock: Clock
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        return Settings(**{"base_url": self.sandbox.url, **self.options})

    def plan(self, frame: pd.DataFrame | Delivery, **more: Any) -> PushPlan:
        snapshot = Ledger.of(self.settings).snapshot()
        return plan_push(diff(snapshot, frame), settings=self.settings, **{"allow": "all", **more})

    def push(self, plan: PushPlan | pd.DataFrame | Delivery, **more: Any) -> PushReport:
        made = self.plan(plan) if isinstance(plan, pd.DataFrame | Delivery) else plan
        options = {"pace": self.clock.pace, "progress": False, "schema_check": False, **more}
        return push(made, settings=self.settings, **options)

    def resume(self) -> PushReport:
        return resume(settings=self.settings, pace=self.clock.pace, progress=False)

    def abandon(self) -> PushReport:
        return abandon(settings=self.settings, pace=self.clock.pace)

    def stopped(self, plan: PushPlan | pd.DataFrame | Delivery) -> PushReport:
        """Push, expecting a stop; returns the report that the error carries."""
        with pytest.raises(StoppedError) as error:
            self.push(plan)
        return error.value.report

    def require_agreement(self) -> None:
        """The ledger holds exactly the versions that the vendor's table holds, cell by cell."""
        held = Ledger.of(self.settings).snapshot().versions.to_pandas()
        pd.testing.assert_frame_equal(
            ordered(held), ordered(self.sandbox.table()), check_dtype=False, check_column_type=False
        )

    @property
    def table(self) -> set[str]:
        return set(self.sandbox.table()["customer_id"])

    @property
    def n_requests(self) -> int:
        return len(self.sandbox.requests())


def ordered(frame: pd.DataFrame) -> pd.DataFrame:
    columns = sorted(frame.columns)
    whole = frame[columns].sort_values(KEY).reset_index(drop=True)
    return whole.astype(object).where(whole.notna(), None)


def fates(report: PushReport) -> dict[str, int]:
    return {f: report.count(f) for f in ("accepted", "refused", "unknown", "unsent") if report.count(f)}


@contextmanager
def vendor(clock: Clock, *, contract: str = "2026-04", token: str = "sandbox", **assumed: Any) -> Iterator[Sandbox]:
    with Sandbox(
        contract=contract, token=token, assumptions=Assumptions(**assumed), clock=lambda: clock.now().timestamp()
    ) as sandbox:
        yield sandbox


@pytest.fixture
def place(clock: Clock) -> Iterator[Place]:
    with vendor(clock) as sandbox:
        yield Place(sandbox, clock)


def refuse_bad(row: dict[str, Any]) -> str | None:
    return "no such price list" if row["customer_id"] in BAD else None


# Whatever the vendor's answers look like ---------------------------------------------------------------------------


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
def test_a_success_that_kept_the_whole_request_out_is_settled_where_no_row_is_named(
    clock: Clock, customers, partial_status: int
) -> None:
    with vendor(clock, names_row_by="nothing", partial_status=partial_status, all_or_nothing=True) as sandbox:
        place = Place(sandbox, clock)
        sandbox.vendor.refuse = refuse_bad
        assert fates(place.push(customers(7))) == {"accepted": 5, "refused": 2}
        place.require_agreement()


@pytest.mark.parametrize("operation", ["UPSERT", "APPEND"])
def test_two_versions_of_one_customer_are_told_apart_or_halved_or_held(clock: Clock, customers, operation: str) -> None:
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


@pytest.mark.parametrize(
    ("error_body", "request_id"), [("json", True), ("text", False), ("html", True), ("empty", False)]
)
def test_a_wrong_token_is_told_whatever_the_body_of_the_error_is(
    clock: Clock, customers, monkeypatch: pytest.MonkeyPatch, error_body: str, request_id: bool
) -> None:
    with vendor(clock, token="the-right-one", error_body=error_body, request_id=request_id) as sandbox:
        place = Place(sandbox, clock)
        monkeypatch.setenv("PEAK_AUTH_TOKEN", "a-wrong-one")
        with pytest.raises(AuthorizationError, match=r"PEAK_AUTH_TOKEN.*push again") as error:
            place.push(customers(600))
        assert place.n_requests == 1  # at once: no second try, no second batch
        assert "a-wrong-one" not in str(error.value)
        assert fates(error.value.report) == {"unsent": 600}
        assert error.value.report.state == "open"
        monkeypatch.setenv("PEAK_AUTH_TOKEN", "the-right-one")
        assert fates(place.resume()) == {"accepted": 600}
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


# Trouble on the way ------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("status_code", [401, 403, 404])
def test_what_no_retry_mends_stops_at_once_and_keeps_what_was_accepted(
    place: Place, customers, status_code: int
) -> None:
    place.sandbox.vendor.troubles.extend([None, Reply(status_code, b"<html>no</html>")])
    report = place.stopped(customers(1_200))
    assert (fates(report), report.state, place.n_requests) == ({"accepted": 500, "unsent": 700}, "open", 2)
    place.require_agreement()  # the ledger knows what was accepted before the stop
    assert status(settings=place.settings).n_waiting == 700
    assert fates(place.resume()) == {"accepted": 1_200}
    place.require_agreement()
    assert status(settings=place.settings).open_push == ""


def test_a_wrong_address_is_mended_in_the_settings_and_resumed(place: Place, customers) -> None:
    place.options["base_url"] = place.sandbox.url + "/elsewhere"
    with pytest.raises(AddressError, match="TOOLKIT_BASE_URL"):
        place.push(customers(3))
    del place.options["base_url"]
    assert fates(place.resume()) == {"accepted": 3}
    place.require_agreement()


def test_an_unreachable_host_is_given_up_on_and_every_row_is_unsent(place: Place, customers) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        place.options["base_url"] = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(UnreachableError, match=r"cannot be reached.*push again") as error:
            place.push(customers(3))
    assert fates(error.value.report) == {"unsent": 3}  # nothing left this machine
    assert len(place.clock.slept) >= 5
    del place.options["base_url"]
    assert fates(place.resume()) == {"accepted": 3}
    place.require_agreement()


def test_a_token_that_cannot_be_used_leaves_no_push_open(
    place: Place, customers, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = place.plan(customers(3))
    monkeypatch.setenv("PEAK_AUTH_TOKEN", "two words")
    with pytest.raises(SettingsError, match="PEAK_AUTH_TOKEN"):
        place.push(plan)
    monkeypatch.setenv("PEAK_AUTH_TOKEN", "sandbox")
    assert fates(place.push(plan)) == {"accepted": 3}


# UPSERT, APPEND and what is unknown --------------------------------------------------------------------------------


def test_unknown_rows_are_sent_again_by_an_upsert(place: Place, customers) -> None:
    place.sandbox.vendor.troubles.extend([(True, DROPPED)] * 6)
    report = place.stopped(customers(3))
    assert fates(report) == {"unknown": 3}
    assert len(Ledger.of(place.settings).snapshot().frame) == 0  # not accepted, though it arrived
    assert fates(place.resume()) == {"accepted": 3}
    assert place.n_requests == 7
    place.require_agreement()


@pytest.mark.parametrize("arrived", [True, False])
def test_unknown_rows_are_never_sent_again_by_an_append(place: Place, customers, arrived: bool) -> None:
    place.options["operation"] = "APPEND"
    place.sandbox.vendor.troubles.append((True, DROPPED) if arrived else DROPPED)
    report = place.push(customers(600))
    assert (fates(report), report.state, place.n_requests) == ({"accepted": 100, "unknown": 500}, "open", 2)
    assert fates(place.resume()) == {"accepted": 100, "unknown": 500}
    assert place.n_requests == 2
    assert place.abandon().state == "abandoned"
    assert len(Ledger.of(place.settings).snapshot().frame) == 100


def test_an_append_does_not_send_what_is_unknown_since_an_abandoned_push(place: Place, customers) -> None:
    place.options["operation"] = "APPEND"
    place.sandbox.vendor.troubles.append((True, DROPPED))
    report = place.push(customers(3))
    place.abandon()
    n_requests = place.n_requests
    with pytest.raises(PlanError, match=rf"3 rows .* push {report.push}.*toolkit settle {report.push}"):
        place.push(customers(4))
    assert place.n_requests == n_requests
    assert fates(place.push(customers(1, start=3))) == {"accepted": 1}  # others go
    settled = {"accepted": ["C00000", "C00001"], "refused": ["C00002"], "reason": "looked", "settings": place.settings}
    settle(report, **settled)
    assert fates(place.push(customers(4))) == {"accepted": 1}  # the one that had not arrived


def test_an_append_says_where_lost_rows_may_go_twice(place: Place, customers) -> None:
    place.options["operation"] = "APPEND"
    place.sandbox.vendor.troubles.append(DROPPED)
    report = place.push(customers(3))
    (place.settings.target_folder() / "rows" / f"{report.push}.parquet").unlink()
    abandon(settings=place.settings, pace=place.clock.pace, rows_lost=True)
    with pytest.warns(UserWarning, match=f"rows of push {report.push} are lost, 3 of them unknown"):
        assert fates(place.push(customers(3))) == {"accepted": 3}


def test_what_is_unknown_goes_again_by_an_upsert_after_an_abandoned_push(place: Place, customers) -> None:
    place.sandbox.vendor.troubles.extend([(True, DROPPED)] * 6)
    place.stopped(customers(3))
    place.abandon()
    assert fates(place.push(customers(3))) == {"accepted": 3}
    place.require_agreement()


def test_a_plan_that_no_ledger_dates_is_pushed_once(place: Place, customers) -> None:
    plan = plan_push(diff(empty_frame(), customers(3)), settings=place.settings)
    place.sandbox.vendor.troubles.append(Reply(401))
    place.stopped(plan)
    place.abandon()
    report = place.push(plan)  # of the first push nothing had left
    n_requests = place.n_requests
    with pytest.raises(PlanError, match=rf"pushed before, as {report.push}.*snapshot"):
        place.push(plan)
    assert place.n_requests == n_requests


# One push at a time ------------------------------------------------------------------------------------------------


def test_a_push_over_an_open_one_is_refused_and_names_it_until_it_is_abandoned(place: Place, customers) -> None:
    place.sandbox.vendor.troubles.extend([None, Reply(401)])
    plan = place.plan(customers(700))
    first = place.stopped(plan)
    for second in (plan, place.plan(customers(700))):  # the same plan again, and one made since
        with pytest.raises(OpenPushError, match=f"{first.push}.*resume.*abandon"):
            place.push(second)
    closed = place.abandon()
    assert (closed.push, closed.state, fates(closed)) == (first.push, "abandoned", {"accepted": 500, "unsent": 200})
    with pytest.raises(NothingOpenError):
        place.resume()
    with pytest.raises(NothingOpenError):
        place.abandon()
    place.require_agreement()
    report = place.push(customers(700))
    assert (report.n_rows, fates(report)) == (200, {"accepted": 200})
    place.require_agreement()


def test_of_two_pushes_at_once_the_second_is_refused_and_told_who_is_first(place: Place, customers) -> None:
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


@pytest.mark.parametrize("other", [{"contract": "current", "path_style": "ingest/object"}, {"solution": "OTHER"}])
def test_a_plan_is_pushed_with_its_own_contract_and_solution_alone(place: Place, customers, other: Any) -> None:
    plan = place.plan(customers(2))
    with pytest.raises(PlanError, match=r"made with (contract 2026-04|solution \S+), and .*plan it anew"):
        push(plan, settings=Settings(**{"base_url": place.sandbox.url, **other}), pace=place.clock.pace)
    assert place.sandbox.requests().empty


def test_what_is_no_plan_no_share_and_no_row_is_said_so(place: Place, customers) -> None:
    changes = diff(Ledger.of(place.settings).snapshot(), customers(2))
    for nothing_to_send in (changes, None):
        with pytest.raises(PlanError, match="A plan is wanted"):
            push(nothing_to_send, settings=place.settings)
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
    with pytest.raises(PlanError, match="ledger moved on"):
        place.push(plan)
    assert place.n_requests == 1


def test_a_plan_is_pushed_once(place: Place, customers) -> None:
    plan = place.plan(customers(3))
    place.push(plan)
    with pytest.raises(PlanError, match="ledger moved on"):
        place.push(plan)
    assert status(settings=place.settings).open_push == ""


def test_a_plan_for_another_target_address_or_operation_is_refused(place: Place, customers) -> None:
    plan = place.plan(customers(3))
    for other in ({"target": "sandbox-2"}, {"path_style": "objects"}, {"operation": "APPEND"}, {"suffix": "_X"}):
        place.options = other
        with pytest.raises(PlanError, match="plan it anew"):
            place.push(plan)
    assert place.n_requests == 0


def test_a_push_begun_one_way_is_not_resumed_another(place: Place, customers) -> None:
    place.sandbox.vendor.troubles.append(Reply(401))
    place.stopped(customers(3))
    for other in ({"operation": "APPEND"}, {"contract": "current"}, {"solution": "OTHER"}):
        place.options = other
        with pytest.raises(PlanError, match="resume it with the same settings, or abandon"):
            place.resume()
    assert place.n_requests == 1


def test_an_empty_plan_sends_nothing_and_leaves_nothing_open(
    place: Place, customers, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.push(customers(3))
    monkeypatch.setenv("PEAK_AUTH_TOKEN", "never asked for")
    plan = place.plan(customers(3))
    assert (plan.n_batches, plan.first_body, plan.last_body) == (0, b"", b"")
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


def test_a_push_with_rows_that_may_have_arrived_is_not_resumed_into_another_table(place: Place, customers) -> None:
    place.sandbox.vendor.troubles.extend([(True, DROPPED)] * 6)
    place.stopped(customers(3))
    place.options["prefix"] = "ZZ_"
    with pytest.raises(PlanError, match=r"has rows in \w+, or may have, and the settings name ZZ_"):
        place.resume()
    assert place.n_requests == 6
    del place.options["prefix"]
    assert fates(place.resume()) == {"accepted": 3}


def test_a_push_with_accepted_rows_is_not_resumed_into_another_table(place: Place, customers) -> None:
    place.sandbox.vendor.troubles.extend([None, Reply(401)])
    place.stopped(customers(600))
    place.options["prefix"] = "ZZ_"
    with pytest.raises(PlanError, match=r"ZZ_CUSTOMER_OOTB.*TOOLKIT_PREFIX"):
        place.resume()
    del place.options["prefix"]
    assert fates(place.resume()) == {"accepted": 600}
    place.require_agreement()


# Two analysts who share a ledger, each with a home ----------------------------------------------------------------


@pytest.fixture
def colleague(place: Place, tmp_path: Path) -> Place:
    place.options["ledger"] = tmp_path / "shared"
    return Place(place.sandbox, place.clock, {**place.options, "home": tmp_path / "colleague"})


def release(place: Place) -> None:
    claims = Ledger.of(place.settings).claims
    for claim in claims.open():
        claims.release(claim["push"], reason="the machine is lost")


@pytest.mark.parametrize("planned", ["before", "after"])
def test_a_second_analyst_is_refused_while_a_push_is_under_way(
    place: Place, colleague: Place, customers, monkeypatch, planned: str
) -> None:
    frame, sent, refused = customers(600), Sender.run, []
    before = colleague.plan(frame)

    def meanwhile(self: Sender) -> None:  # the first push has claimed, and sends
        monkeypatch.setattr(Sender, "run", sent)
        with pytest.raises(OpenPushError) as error:
            colleague.push(before if planned == "before" else frame)
        refused.append(str(error.value))
        sent(self)

    monkeypatch.setattr(Sender, "run", meanwhile)
    report = place.push(frame)
    assert re.match(rf"Push {report.push} to the shared ledger is running, or was left open: \S+ began it at "
                    rf"\S+ \S+Z on {re.escape(socket.gethostname())}\.", refused[0])  # fmt: skip
    assert place.n_requests == 2  # nothing twice
    assert not len(status(settings=colleague.settings).pushes)
    assert Ledger.of(place.settings).claims.open() == []
    if planned == "before":
        with pytest.raises(PlanError, match="moved on"):
            colleague.push(before)
    assert colleague.plan(frame).n_rows == 0
    assert fates(colleague.push(customers(1, start=600))) == {"accepted": 1}
    place.require_agreement()


def test_of_two_who_looked_at_once_not_both_send(place: Place, colleague: Place, customers, monkeypatch) -> None:
    frame, told = customers(3), Ledger.record_delivery
    theirs = colleague.plan(frame)

    def at_once(self: Ledger, *args: Any, **more: Any) -> None:  # both have looked, neither has claimed
        monkeypatch.setattr(Ledger, "record_delivery", told)
        assert fates(stopped_at(colleague, theirs)) == {"unsent": 3}
        told(self, *args, **more)

    def stopped_at(where: Place, plan: PushPlan) -> PushReport:
        place.sandbox.vendor.troubles.append(Reply(401))
        return where.stopped(plan)

    monkeypatch.setattr(Ledger, "record_delivery", at_once)
    with pytest.raises(OpenPushError, match="was left open"):
        place.push(frame)
    assert status(settings=place.settings).pushes["state"].tolist() == ["abandoned"]
    assert [c["push"] for c in Ledger.of(place.settings).claims.open()] == [
        status(settings=colleague.settings).open_push
    ]
    assert len(Ledger.of(place.settings).deliveries()) == 1  # mine was withdrawn
    assert fates(colleague.resume()) == {"accepted": 3}


@pytest.mark.parametrize("operation", ["UPSERT", "APPEND"])
def test_a_push_that_came_and_went_since_the_first_look_holds_the_other_back(
    place: Place, colleague: Place, customers, monkeypatch, operation: str
) -> None:
    place.options["operation"] = colleague.options["operation"] = operation
    plan, asked = place.plan(customers(3)), pushing.ask_schema

    def slowly(*args: Any) -> Any:
        assert fates(colleague.push(customers(3))) == {"accepted": 3}
        return asked(*args)

    monkeypatch.setattr("toolkit.pushing.runs.ask_schema", slowly)
    with pytest.raises(PlanError, match="The ledger moved on"):
        place.push(plan, schema_check=True)
    assert len(place.sandbox.requests()) == 2  # the question and the colleague's rows
    found = status(settings=place.settings)
    assert (found.open_push, found.pushes["state"].tolist()) == ("", ["abandoned"])
    assert Ledger.of(place.settings).claims.open() == []
    place.require_agreement()


@pytest.mark.parametrize("end", ["resume", "abandon"])
def test_a_push_that_was_left_open_holds_others_back_until_it_ends(
    place: Place, colleague: Place, customers, end: str
) -> None:
    place.sandbox.vendor.troubles.extend([None, Reply(401)])
    mine = place.stopped(customers(600))
    with pytest.raises(OpenPushError, match=f"Push {mine.push} .*resumed or abandoned there"):
        colleague.push(customers(600))
    getattr(place, end)()
    left = 0 if end == "resume" else 100
    assert colleague.plan(customers(600)).n_rows == left
    assert fates(colleague.push(customers(600))) == ({"accepted": left} if left else {})
    place.require_agreement()


def test_a_push_whose_machine_is_lost_is_released_and_the_later_push_goes_first(
    place: Place, colleague: Place, customers
) -> None:
    kill_a_push(place, "with an answer that was not written down", place.plan(customers(1_200)))
    mine, claims = status(settings=place.settings).open_push, Ledger.of(colleague.settings).claims
    with pytest.raises(LedgerError, match="needs a reason"):
        claims.release(mine, reason=" ")
    with pytest.raises(LedgerError, match=f"No push 'x' is open on this ledger. Open: {mine}"):
        claims.release("x", reason="lost")
    claims.release(mine, reason="the machine is lost")
    place.clock.sleep(60)
    place.sandbox.vendor.troubles.append(Reply(401))
    theirs = colleague.stopped(customers(1_200))
    with pytest.raises(OpenPushError, match=f"Push {theirs.push} "):  # the machine was found
        place.resume()
    assert fates(colleague.resume()) == {"accepted": 1_200}
    assert place.resume().state == "done"
    place.require_agreement()
    assert len(Ledger.of(place.settings).query("SELECT customer_id FROM entries WHERE push = $2", mine)) == 500


def test_a_plan_is_settled_by_rows_that_are_named_once(place: Place, customers) -> None:
    place.options["operation"] = "APPEND"
    other = place.plan(customers(1, start=9))
    place.sandbox.vendor.troubles.append((True, DROPPED))
    plan = place.plan(customers(4))
    place.push(plan)
    say = {"reason": "looked", "settings": place.settings, "pace": place.clock.pace}
    for reason in ("", " ", None):
        with pytest.raises(InputError, match="takes a reason"):
            settle(plan, accepted="all", **{**say, "reason": reason})
    for wrong, words in (
        ({"accepted": "C00000", "refused": [2, 3]}, "source_row 2 is settled as accepted and as refused"),
        ({"accepted": ["C00000", "C00009"]}, "has no unknown row 'C00009'.*Nothing was settled"),
        ({"refused": 77}, "has no unknown row 77"),
        ({}, "Nothing was settled of push .*name unknown rows"),
    ):
        with pytest.raises(InputError, match=words):
            settle(plan, **wrong, **say)
    with pytest.raises(NothingOpenError, match=f"Plan {other.digest[:12]} was not pushed from here"):
        settle(other, accepted="all", **say)
    assert fates(settle(plan, accepted="C00000", refused=3, **say)) == {"accepted": 1, "refused": 1, "unknown": 2}
    done = settle(plan, accepted=[4], refused=["C00003"], **say)
    assert (fates(done), done.state) == ({"accepted": 2, "refused": 2}, "done")
    assert set(Ledger.of(place.settings).snapshot().frame["customer_id"]) == {"C00000", "C00002"}


def test_a_settled_push_holds_nobody_back(place: Place, colleague: Place, customers) -> None:
    place.options["operation"] = colleague.options["operation"] = "APPEND"
    place.sandbox.vendor.troubles.append((True, DROPPED))
    mine = place.push(customers(2))
    with pytest.raises(OpenPushError, match=f"Push {mine.push} "):
        colleague.push(customers(2))
    settle(mine, accepted="all", reason="they are in the table", settings=place.settings)
    assert colleague.plan(customers(2)).n_rows == 0
    assert fates(colleague.push(customers(1, start=2))) == {"accepted": 1}


def test_a_ledger_in_the_home_takes_no_claims(place: Place, customers) -> None:
    place.push(customers(2))
    deliveries = Ledger.of(place.settings).claims.deliveries.table
    assert deliveries.version == 0
    assert deliveries.query("SELECT host FROM entries")["host"].null_count == 2


def test_a_released_push_that_is_resumed_claims_the_ledger_anew(place: Place, colleague: Place, customers) -> None:
    place.sandbox.vendor.troubles.extend([None, Reply(401)])
    mine = place.stopped(customers(600))
    release(colleague)
    assert Ledger.of(colleague.settings).claims.open() == []
    place.sandbox.vendor.troubles.append(Reply(401))
    with pytest.raises(StoppedError):
        place.resume()
    for _ in range(2):  # released once more, and resumed once more
        assert [claim["push"] for claim in Ledger.of(colleague.settings).claims.open()] == [mine.push]
        with pytest.raises(OpenPushError, match=f"Push {mine.push} "):
            colleague.push(customers(600))
        release(colleague)
        place.sandbox.vendor.troubles.append(Reply(401))
        with pytest.raises(StoppedError):
            place.resume()
    assert fates(place.resume()) == {"accepted": 600}
    assert Ledger.of(place.settings).claims.open() == []
    assert len(Ledger.of(place.settings).deliveries()) == 1
    assert fates(colleague.push(customers(1, start=600))) == {"accepted": 1}


def test_a_resume_that_finds_another_push_leaves_no_claim_where_it_had_none(
    place: Place, colleague: Place, customers
) -> None:
    place.sandbox.vendor.troubles.append(Reply(401))
    place.stopped(customers(3))
    release(colleague)
    place.clock.sleep(60)
    place.sandbox.vendor.troubles.append(Reply(401))
    theirs = colleague.stopped(customers(3))
    with pytest.raises(OpenPushError, match=f"Push {theirs.push} "):
        place.resume()
    assert [claim["push"] for claim in Ledger.of(place.settings).claims.open()] == [theirs.push]


def test_a_push_stopped_before_its_claim_claims_when_it_is_resumed_and_looks_then(
    place: Place, colleague: Place, customers, monkeypatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("toolkit.pushing.runs.enter_beginning", interrupted)
        with pytest.raises(KeyboardInterrupt):
            place.push(customers(3))
    mine, told = status(settings=place.settings).open_push, Ledger.record_delivery
    place.clock.sleep(60)

    def at_once(self: Ledger, *args: Any, **more: Any) -> None:  # mine has looked and not claimed; theirs goes first
        monkeypatch.setattr(Ledger, "record_delivery", told)
        place.sandbox.vendor.troubles.append(Reply(401))
        colleague.stopped(customers(3))
        told(self, *args, **more)

    monkeypatch.setattr(Ledger, "record_delivery", at_once)
    with pytest.raises(OpenPushError, match="was left open"):
        place.resume()
    claimed = [claim["push"] for claim in Ledger.of(place.settings).claims.open()]
    assert claimed == [status(settings=colleague.settings).open_push]  # theirs alone: mine looked, and let go
    assert status(settings=place.settings).open_push == mine
    assert fates(colleague.resume()) == {"accepted": 3}
    assert fates(place.resume()) == {"unsent": 3}
    place.require_agreement()


@pytest.mark.parametrize("ahead", [0, 3_600, -3_600])
def test_of_two_released_pushes_that_are_resumed_one_goes_on_at_a_time(
    place: Place, colleague: Place, customers, monkeypatch, ahead: int
) -> None:
    place.options["operation"] = colleague.options["operation"] = "APPEND"
    colleague.clock = Clock()
    colleague.clock.sleep(60 + ahead)
    for who, other in ((place, colleague), (colleague, place)):
        place.sandbox.vendor.troubles.append(Reply(401))
        who.stopped(customers(3))
        release(other)
    whole = Sender.run

    def meanwhile(self: Sender) -> None:  # mine has claimed anew, and sends
        monkeypatch.setattr(Sender, "run", whole)
        with pytest.raises(OpenPushError, match="is running, or was left open"):
            colleague.resume()
        whole(self)

    monkeypatch.setattr(Sender, "run", meanwhile)
    assert fates(place.resume()) == {"accepted": 3}
    assert fates(colleague.resume()) == {"unsent": 3}
    assert Ledger.of(place.settings).query("SELECT count(*) AS n FROM entries")["n"].to_pylist() == [3]
    assert Ledger.of(place.settings).claims.open() == []


def test_a_released_push_is_not_resumed_beside_one_that_sends_by_a_clock_behind(
    place: Place, colleague: Place, customers, monkeypatch
) -> None:
    colleague.clock = Clock()  # which stays an hour behind
    place.clock.sleep(3_600)
    place.sandbox.vendor.troubles.append(Reply(401))
    place.stopped(customers(3))
    release(colleague)
    whole = Sender.run

    def meanwhile(self: Sender) -> None:
        monkeypatch.setattr(Sender, "run", whole)
        with pytest.raises(OpenPushError, match="is running"):
            place.resume()
        whole(self)

    monkeypatch.setattr(Sender, "run", meanwhile)
    assert fates(colleague.push(customers(3))) == {"accepted": 3}
    assert fates(place.resume()) == {"unsent": 3}


@pytest.mark.parametrize("wrong", ["prefix", "token"])
def test_a_resume_that_is_refused_for_its_settings_claims_nothing(
    place: Place, colleague: Place, customers, monkeypatch, wrong: str
) -> None:
    place.sandbox.vendor.troubles.extend([None, Reply(401)])
    place.stopped(customers(600))
    release(colleague)
    with monkeypatch.context() as patch:
        if wrong == "prefix":
            place.options["prefix"] = "ZZ_"
        else:
            patch.setattr("toolkit.pushing.runs.connected", Mock(side_effect=SettingsError("no token")))
        with pytest.raises(ToolkitError):
            place.resume()
    place.options.pop("prefix", None)
    assert Ledger.of(colleague.settings).claims.open() == []
    assert fates(place.resume()) == {"accepted": 600}


def test_a_claim_that_is_there_though_its_write_was_said_to_fail_is_a_claim(
    place: Place, colleague: Place, customers
) -> None:
    place.push(customers(1))
    deliveries = Ledger.of(place.settings).claims.deliveries
    while deliveries.table.version < 98:
        deliveries.note("other", "ended")
    checkpoint = deliveries.table.path / "_delta_log" / "_last_checkpoint"
    checkpoint.mkdir()  # the next commit is there, and the checkpoint after it cannot be written
    assert fates(place.push(customers(3))) == {"accepted": 2}
    assert Ledger.of(colleague.settings).claims.open() == []
    place.require_agreement()


def test_a_ledger_that_fails_after_the_claim_leaves_the_push_open_to_be_gone_on_with(
    place: Place, colleague: Place, customers, monkeypatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise LedgerError("The ledger cannot be read.")

    plan = place.plan(customers(3))
    with monkeypatch.context() as patch:
        patch.setattr("toolkit.pushing.recording.require_version", fails)
        with pytest.raises(LedgerError):
            place.push(plan)
    mine = status(settings=place.settings).open_push
    assert [claim["push"] for claim in Ledger.of(colleague.settings).claims.open()] == [mine]
    assert fates(place.resume()) == {"accepted": 3}
    assert Ledger.of(colleague.settings).claims.open() == []


def test_a_delivery_withdrawn_by_an_abandon_that_was_cut_counts_once_its_push_is_resumed(
    place: Place, customers, monkeypatch
) -> None:
    place.sandbox.vendor.troubles.append(Reply(401))
    place.stopped(customers(3))
    with monkeypatch.context() as patch:
        patch.setattr("toolkit.pushing.recording._close", interrupted)
        with pytest.raises(KeyboardInterrupt):
            place.abandon()
    ledger = Ledger.of(place.settings)
    assert len(ledger.deliveries()) == 0
    assert fates(place.resume()) == {"accepted": 3}
    assert len(ledger.deliveries()) == 1
    assert ledger.snapshot().last_keys == {"C00000", "C00001", "C00002"}


@pytest.mark.parametrize("operation", ["UPSERT", "APPEND"])
def test_a_settling_of_a_closed_push_that_was_cut_is_finished_before_anything_is_sent(
    place: Place, customers, monkeypatch, operation: str
) -> None:
    place.options["operation"] = operation
    place.sandbox.vendor.troubles.extend([(True, DROPPED), Reply(401)] if operation == "UPSERT" else [(True, DROPPED)])
    mine = place.stopped(customers(3)) if operation == "UPSERT" else place.push(customers(3))
    assert fates(place.abandon()) == {"unknown": 3}
    real, calls = Ledger.record, []

    def cut(*_: object, **__: object) -> None:
        calls.append(1)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "record", cut)
        with pytest.raises(KeyboardInterrupt):
            settle(mine, accepted="all", reason="they are in the table", settings=place.settings)
    assert (len(calls), Ledger.record) == (1, real)
    n_requests = place.n_requests
    with pytest.raises(PlanError, match="The ledger moved on"):
        place.push(customers(3))
    assert place.n_requests == n_requests
    assert place.plan(customers(3)).n_rows == 0
    assert Ledger.of(place.settings).history("C00000")["reason"].tolist() == ["they are in the table"]
    place.require_agreement()


def settled_and_cut(place: Place, customers, monkeypatch) -> PushReport:
    """A closed push of an APPEND, settled as accepted, whose rows did not come to the ledger."""
    place.options["operation"] = "APPEND"
    place.sandbox.vendor.troubles.append((True, DROPPED))
    mine = place.push(customers(3))
    place.abandon()
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "record", Mock(side_effect=LedgerError("full")))
        with pytest.raises(LedgerError):
            settle(mine, accepted="all", reason="they are in the table", settings=place.settings)
    return mine


def test_a_settled_push_whose_rows_are_lost_holds_no_other_back(place: Place, customers, monkeypatch) -> None:
    mine = settled_and_cut(place, customers, monkeypatch)
    (place.settings.target_folder() / "rows" / f"{mine.push}.parquet").unlink()
    with pytest.warns(UserWarning, match=f"Rows of push {mine.push} that were settled as accepted could not enter"):
        assert fates(place.push(customers(2, start=5))) == {"accepted": 2}


def test_a_new_ledger_takes_over_no_settled_push_that_it_never_knew(
    place: Place, customers, monkeypatch, tmp_path: Path
) -> None:
    settled_and_cut(place, customers, monkeypatch)
    place.options["ledger"] = tmp_path / "new"
    ledger = Ledger.of(place.settings)
    seed(customers(3).iloc[1:], reason="export of what the vendor holds", settings=place.settings)
    assert fates(place.push(customers(3))) == {"accepted": 1}  # the one that the export lacks
    assert sorted(ledger.pushes()["rows"]) == [1, 2]


def test_a_settling_that_failed_at_the_ledger_closes_the_push_when_it_is_made_again(
    place: Place, customers, monkeypatch
) -> None:
    place.options["operation"] = "APPEND"
    place.sandbox.vendor.troubles.append((True, DROPPED))
    mine = place.push(customers(3))
    say = {"accepted": "all", "reason": "looked", "settings": place.settings}
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "record", Mock(side_effect=LedgerError("full")))
        with pytest.raises(LedgerError):
            settle(mine, **say)
    with pytest.raises(InputError, match="Nothing was settled"):
        settle(mine, **say)
    assert status(settings=place.settings).open_push == ""
    place.require_agreement()


def test_an_entry_that_comes_late_stays_before_what_followed_a_retraction(
    place: Place, colleague: Place, customers, monkeypatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "record", Mock(side_effect=LedgerError("full")))
        with pytest.raises(LedgerError):
            place.push(customers(1, customer_name="mine"))
    release(colleague)
    place.clock.sleep(60)
    colleague.push(customers(1, customer_name="theirs"))
    place.clock.sleep(60)
    ledger = Ledger.of(place.settings)
    ledger.retract([("C00000", "2026-01-01")], reason="it is not there", now=place.clock.now())
    place.clock.sleep(60)
    colleague.push(customers(1, customer_name="third"))
    assert place.resume().state == "done"
    assert ledger.snapshot().frame["customer_name"].tolist() == ["third"]
    place.require_agreement()


def test_what_another_analyst_brought_in_since_is_left_out_of_a_resume_and_said(
    place: Place, colleague: Place, customers
) -> None:
    place.sandbox.vendor.troubles.extend([None, Reply(401)])
    place.stopped(customers(600))
    release(colleague)
    # The colleague sends two of the waiting customers, and a newer version of a third.
    theirs = pd.concat([customers(2, start=500), customers(1, start=502, at="2026-02-01T00:00:00Z")])
    assert fates(colleague.push(theirs)) == {"accepted": 3}
    report = place.resume()
    assert (fates(report), report.state) == ({"accepted": 598, "unsent": 2}, "done")
    left_out = report.rows[report.rows["fate"] == "unsent"]
    assert list(left_out["customer_id"]) == ["C00500", "C00501"]
    assert left_out["message"].str.contains("another push brought this version in since").all()
    assert "another push brought this version in since" in report.body()
    assert "2 unsent" in repr(report)
    place.require_agreement()


def test_what_was_answered_earlier_and_entered_later_is_left_out_too(
    place: Place, colleague: Place, customers, monkeypatch
) -> None:
    mine = place.plan(customers(2, customer_name="mine"))
    enter = Ledger.record

    def late(self: Ledger, *entries: Any, **facts: Any) -> None:  # mine opens, and stops, before theirs is entered
        monkeypatch.setattr(Ledger, "record", enter)
        release(place)
        place.sandbox.vendor.troubles.append(Reply(401))
        place.stopped(mine)
        enter(self, *entries, **facts)

    monkeypatch.setattr(Ledger, "record", late)
    assert fates(colleague.push(customers(2, customer_name="theirs"))) == {"accepted": 2}
    assert fates(place.resume()) == {"unsent": 2}
    assert set(place.sandbox.table()["customer_name"]) == {"theirs"}
    place.require_agreement()


def test_a_row_that_may_have_arrived_stays_unknown_when_a_resume_leaves_it_out(
    place: Place, colleague: Place, customers
) -> None:
    place.sandbox.vendor.troubles.extend([(True, DROPPED), Reply(401)])
    place.stopped(customers(2))
    release(colleague)
    assert fates(colleague.push(customers(1))) == {"accepted": 1}
    report = place.resume()
    assert fates(report) == {"accepted": 1, "unknown": 1}
    assert list(report.overtaken["customer_id"]) == ["C00000"]
    place.require_agreement()


@pytest.mark.parametrize("name", ["My Projects", "Kunden ü", "e#f", "a%b", "what?", "*", "{x}", "it's", "日本"])
def test_state_may_lie_in_a_folder_of_any_usual_name(place: Place, customers, tmp_path: Path, name: str) -> None:
    place.options["home"] = tmp_path / name
    for start in (0, 1):
        place.push(customers(2, start=start))
    assert Ledger.of(place.settings).snapshot().n_customers == 3
    assert len(Ledger.of(place.settings).deliveries()) == 2
    place.require_agreement()


@pytest.mark.parametrize("name", ["c[1]", "d%20e", "a|b", "a^b"])
def test_a_folder_that_no_ledger_can_lie_in_is_refused_before_anything_is_sent(
    place: Place, customers, tmp_path: Path, name: str
) -> None:
    plan = place.plan(customers(2))
    place.options["home"] = tmp_path / name
    with pytest.raises(LedgerError, match="TOOLKIT_LEDGER"):
        place.push(plan)
    assert place.n_requests == 0
    place.options["ledger"] = tmp_path / "ledger"
    assert place.push(customers(2)).ok


def test_a_delivery_without_a_customer_leaves_the_ledger_usable(place: Place, customers) -> None:
    nobody = validate(customers(1, customer_id=[None]))
    plan = plan_push(diff(Ledger.of(place.settings).snapshot(), nobody), settings=place.settings)
    assert place.push(plan).n_rows == 0
    assert status(settings=place.settings).n_customers == 0
    assert fates(place.push(customers(2))) == {"accepted": 2}
    place.require_agreement()


# What is kept of a push --------------------------------------------------------------------------------------------


def test_the_ledger_says_of_each_version_where_it_came_from_and_why(place: Place, customers) -> None:
    place.push(customers(2, start=1), reason="first load")
    entry = Ledger.of(place.settings).history("C00002").iloc[0]
    record = status(settings=place.settings).pushes.iloc[0]
    assert entry[["operation", "push", "reason", "source_file", "source_row"]].tolist() == [
        "UPSERT", record["push"], "first load", "frame", 4,
    ]  # fmt: skip
    assert (entry["author"], entry["batch"], entry["position"]) == (record["author"], 0, 1)


@pytest.mark.parametrize("end", ["resume", "abandon"])
def test_the_reason_of_a_push_outlives_a_stop(place: Place, customers, end: str) -> None:
    place.sandbox.vendor.troubles.extend([None, Reply(401)])
    with pytest.raises(AuthorizationError):
        place.push(place.plan(customers(600)), reason="spring prices")
    getattr(place, end)()
    ledger = Ledger.of(place.settings)
    assert ledger.history("C00000")["reason"].tolist() == ["spring prices"]
    assert ledger.history("C00599")["reason"].tolist() == (["spring prices"] if end == "resume" else [])


def test_an_absent_customer_is_newly_absent_in_the_next_delivery_only(place: Place, customers) -> None:
    place.push(customers(3))
    place.push(customers(2))  # an empty plan: its delivery counts all the same
    changes = diff(Ledger.of(place.settings).snapshot(), customers(2))
    assert (changes.n_absent, changes.n_newly_absent) == (1, 0)


@pytest.mark.parametrize("answers", [[Reply(401)], [(False, DROPPED), Reply(401)], [None, Reply(401)]])
def test_a_file_of_which_nothing_arrived_was_not_delivered(place: Place, customers, answers: list[Any]) -> None:
    def planned() -> tuple[list[str], int]:
        found = validate(Delivery(customers(600), source="crm.csv", digest="d"))
        plan = plan_push(diff(Ledger.of(place.settings).snapshot(), found), settings=place.settings)
        return [guard.name for guard in plan.guards], plan.changes.n_newly_absent

    place.push(Delivery(customers(601, start=600), source="old.csv", digest="c"))
    before = planned()
    place.sandbox.vendor.troubles.extend(answers)
    place.stopped(Delivery(customers(600), source="crm.csv", digest="d"))
    place.abandon()
    if len(answers) == 1:
        assert planned() == before == (["absent"], 601)
        assert len(Ledger.of(place.settings).deliveries()) == 1
    else:  # some rows arrived, or may have
        assert "older" in planned()[0]
        assert len(Ledger.of(place.settings).deliveries()) == 2


def test_status_tells_every_push_the_newest_first(place: Place, customers) -> None:
    place.push(customers(2))
    place.sandbox.vendor.refuse = refuse_bad
    place.push(customers(3, start=2))
    found = status(settings=place.settings)
    assert found.pushes[["state", "rows", "accepted", "refused"]].to_numpy().tolist() == [
        ["done", 3, 2, 1], ["done", 2, 2, 0],
    ]  # fmt: skip
    assert (found.n_customers, found.n_waiting) == (4, 0)


def test_records_of_customers_are_for_their_user_alone(place: Place, customers) -> None:
    place.push(customers(2))
    home = place.settings.home
    assert home.stat().st_mode & 0o777 == 0o700
    rows = list((home / "targets").rglob("*.parquet"))
    assert rows
    assert all(p.stat().st_mode & 0o077 == 0 for p in [*rows, home / "targets/sandbox/journal.sqlite"])


# A dry run ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def current(clock: Clock) -> Iterator[Place]:
    with vendor(clock, contract="current") as sandbox:
        yield Place(sandbox, clock, {"contract": "current"})


def test_a_dry_run_is_answered_for_every_row_and_changes_nothing(current: Place, customers) -> None:
    frame = pd.concat([customers(2_500), customers(1, start=2_500, customer_name=None)])
    plan = current.plan(frame)
    report = dry_run(plan, settings=current.settings, pace=current.clock.pace, progress=False)
    assert (fates(report), report.state) == ({"accepted": 2_500, "refused": 1}, "dry run")
    assert report.refused["message"].tolist() == ["customer_name must not be null"]
    assert current.table == set()
    assert len(current.sandbox.failed_rows()) == 0
    found = status(settings=current.settings)
    assert (found.n_customers, len(found.pushes)) == (0, 0)
    assert current.plan(frame).digest == plan.digest
    assert fates(current.push(plan)) == {"accepted": 2_500, "refused": 1}  # and the plan still stands


def test_a_dry_run_of_nothing_asks_the_vendor_nothing(current: Place, customers) -> None:
    current.push(customers(3))
    n_requests = current.n_requests
    report = dry_run(current.plan(customers(3)), settings=current.settings, pace=current.clock.pace, progress=False)
    assert (fates(report), report.state, current.n_requests) == ({}, "dry run", n_requests)


def test_a_dry_run_that_is_stopped_says_what_was_answered_until_then(current: Place, customers) -> None:
    current.sandbox.vendor.troubles.extend([None, Reply(401)])
    with pytest.raises(AuthorizationError) as error:
        dry_run(current.plan(customers(2_100)), settings=current.settings, pace=current.clock.pace, progress=False)
    report = error.value.report
    assert (fates(report), report.state) == ({"accepted": 2_000, "unsent": 100}, "dry run")
    assert str(error.value) in unescape(report.body())
    assert status(settings=current.settings).open_push == ""
    assert fates(current.push(customers(3))) == {"accepted": 3}


def test_a_dry_run_leaves_no_file_of_customers_rows(current: Place, customers) -> None:
    plan, home = current.plan(customers(3)), current.settings.home
    dry_run(plan, settings=current.settings, pace=current.clock.pace, progress=False)
    assert {path.name for path in home.rglob("*") if path.is_file()} <= {"pace", "pace.lock"}


def test_a_batch_filled_to_the_limit_is_cut_anew_for_a_dry_run(current: Place, customers) -> None:
    """The words of a dry run take bytes themselves."""
    frame = customers(1_500, customer_subcategory="x" * 1_000)
    plan = current.plan(frame)
    report = dry_run(plan, settings=current.settings, pace=current.clock.pace, progress=False)
    assert fates(report) == {"accepted": 1_500}
    assert set(current.sandbox.requests()["status"]) == {200}


# What can be wrong with the home -----------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["push", "resume", "abandon", "status"])
@pytest.mark.parametrize("damage", ["garbage", "cut in half", "zeros inside"])
def test_a_damaged_journal_is_said_so_and_nothing_is_sent(place: Place, customers, damage: str, call: str) -> None:
    place.push(customers(2))
    plan, before = place.plan(customers(1, start=5_000)), place.n_requests
    path = place.settings.target_folder() / "journal.sqlite"
    whole = path.read_bytes()
    assert len(whole) > 3 * 4096
    path.write_bytes(
        {
            "garbage": b"no database " * 500,
            "cut in half": whole[: 4096 + 100],
            "zeros inside": whole[:4096] + bytes(len(whole) - 4096),
        }[damage]
    )
    calls: dict[str, Callable[[], object]] = {
        "push": lambda: place.push(plan),
        "resume": place.resume,
        "abandon": place.abandon,
        "status": lambda: status(settings=place.settings),
    }
    with pytest.raises(JournalError, match=re.escape(str(path))):
        calls[call]()
    assert place.n_requests == before


@pytest.mark.parametrize("name", ["journal.sqlite", "rows", "pusher.lock", "pusher.json"])
def test_a_home_that_cannot_be_written_is_said_so_and_nothing_is_sent(place: Place, customers, name: str) -> None:
    """A folder where a file should be, or a file for a folder, stops even a superuser."""
    plan = place.plan(customers(3))
    blocked = place.settings.target_folder() / name
    if name == "rows":
        blocked.write_text("in the way")
    else:
        blocked.mkdir()
    with pytest.raises(JournalError, match="fix the folder's permissions") as error:
        place.push(plan)
    assert not isinstance(error.value, OpenPushError)  # nobody else is pushing
    assert place.n_requests == 0


def test_a_home_that_cannot_be_made_is_said_so(place: Place, customers, tmp_path: Path) -> None:
    plan = place.plan(customers(3))
    (tmp_path / "file").write_text("in the way")
    place.options["home"] = tmp_path / "file" / "home"
    with pytest.raises(SettingsError, match="TOOLKIT_HOME"):
        place.push(plan)


def test_rows_that_were_lost_are_said_so_and_the_push_can_still_be_abandoned(place: Place, customers) -> None:
    place.sandbox.vendor.troubles.append(Reply(401))
    stopped = place.stopped(customers(3))
    (place.settings.target_folder() / "rows" / f"{stopped.push}.parquet").write_bytes(b"PAR1 of nothing")
    with pytest.raises(JournalError, match=f"rows of push {stopped.push}"):
        place.resume()
    report = place.abandon()
    assert (fates(report), report.state) == ({"unsent": 3}, "abandoned")
    assert "Its rows are lost" in report.body()
    assert fates(place.push(customers(3))) == {"accepted": 3}


def half_sent(place: Place, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> PushReport:
    """A push of which the first batch was accepted, and did not come into the ledger before the machine went down."""
    place.sandbox.vendor.troubles.extend([None, Reply(401)])
    with monkeypatch.context() as patch:
        patch.setattr("toolkit.pushing.runs.enter_accepted", lambda *_: None)
        return place.stopped(frame)


def test_accepted_rows_that_are_lost_are_given_up_by_the_analyst_alone(place: Place, customers, monkeypatch) -> None:
    stopped = half_sent(place, customers(600), monkeypatch)
    (place.settings.target_folder() / "rows" / f"{stopped.push}.parquet").unlink()
    with pytest.raises(JournalError, match=r"abandon\(rows_lost=True\).* 500 accepted rows of push .* cannot enter"):
        place.abandon()
    assert status(settings=place.settings).open_push == stopped.push
    report = abandon(settings=place.settings, pace=place.clock.pace, rows_lost=True)
    assert (fates(report), report.state) == ({"accepted": 500, "unsent": 100}, "abandoned")
    assert place.plan(customers(600)).counts["added"] == 600  # the ledger knows of none


def test_a_journal_older_than_the_ledger_does_not_go_on(place: Place, customers, tmp_path: Path) -> None:
    place.sandbox.vendor.troubles.extend([None, Reply(401), None, Reply(401)])
    place.stopped(customers(1_200))
    folder = place.settings.target_folder()
    shutil.copytree(folder, tmp_path / "copy")
    with pytest.raises(StoppedError):
        place.resume()
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "copy", folder)
    n_requests = place.n_requests
    with pytest.raises(JournalError, match=r"older than the ledger.* restore the newer journal; or abandon"):
        place.resume()
    assert place.n_requests == n_requests
    place.abandon()
    assert len(Ledger.of(place.settings).deliveries()) == 1  # of which rows arrived, whatever this journal knows
    assert fates(place.push(customers(1_200))) == {"accepted": 200}
    place.require_agreement()


def test_a_push_does_not_go_on_beside_an_older_ledger(place: Place, customers) -> None:
    place.push(customers(2))
    place.sandbox.vendor.troubles.append(Reply(401))
    stopped = place.stopped(customers(4))
    shutil.rmtree(Ledger.of(place.settings).folder)
    n_requests = place.n_requests
    with pytest.raises(
        LedgerError, match=f"older than push {stopped.push}, or another one.*TOOLKIT_LEDGER; or abandon"
    ):
        place.resume()
    assert place.n_requests == n_requests
    place.abandon()
    assert fates(place.push(customers(4))) == {"accepted": 4}
    place.require_agreement()


@pytest.mark.parametrize("closed", [False, True])
def test_rows_that_are_lost_are_told_with_the_way_that_there_is(place: Place, customers, closed: bool) -> None:
    place.sandbox.vendor.troubles.append(Reply(401))
    stopped = place.stopped(customers(4))
    if closed:
        place.abandon()
    (place.settings.target_folder() / "rows" / f"{stopped.push}.parquet").unlink()
    with pytest.raises(
        JournalError, match="or diff and plan it again" if closed else "or abandon the push and plan it"
    ):
        chronicle.report(stopped.push, settings=place.settings)


def test_rows_are_not_settled_in_a_journal_older_than_the_ledger(place: Place, customers, tmp_path: Path) -> None:
    place.options["operation"] = "APPEND"
    place.sandbox.vendor.troubles.append((True, DROPPED))
    report, folder = place.push(customers(5)), place.settings.target_folder()
    shutil.copytree(folder, tmp_path / "copy")
    say = {"reason": "looked", "settings": place.settings, "pace": place.clock.pace}
    settle(report, accepted=["C00000", "C00001"], **say)
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "copy", folder)
    with pytest.raises(JournalError, match="older than the ledger"):
        settle(report, accepted=["C00003"], **say)
    assert len(Ledger.of(place.settings).snapshot().frame) == 2


def test_a_push_that_would_be_cut_otherwise_now_is_not_resumed(place: Place, customers, monkeypatch) -> None:
    place.sandbox.vendor.troubles.extend([None, Reply(401)])
    place.stopped(customers(600))
    n_requests = place.n_requests
    with monkeypatch.context() as patch:  # as another version of the toolkit might
        patch.setitem(CONTRACTS, "2026-04", replace(CONTRACTS["2026-04"], max_rows=400))
        with pytest.raises(JournalError, match=r"no longer encodes .* Install the earlier one, or abandon"):
            place.resume()
    assert place.n_requests == n_requests
    assert fates(place.resume()) == {"accepted": 600}


def test_an_append_does_not_go_past_rows_that_are_lost_and_may_have_arrived(place: Place, customers) -> None:
    place.options["operation"] = "APPEND"
    place.sandbox.vendor.troubles.append(DROPPED)
    report = place.push(customers(3))
    folder = place.settings.target_folder()
    with Journal(folder, place.settings.target, clock=place.clock.now) as journal:
        journal.close(report.push, state="done")
    (folder / "rows" / f"{report.push}.parquet").unlink()
    n_requests = place.n_requests
    with pytest.raises(JournalError, match=f"rows of push {report.push}"):
        place.push(customers(3))
    assert place.n_requests == n_requests


def test_a_ledger_that_cannot_be_written_keeps_nothing_open_and_sends_nothing(
    place: Place, customers, tmp_path: Path
) -> None:
    plan = place.plan(customers(3))
    folder = Ledger.of(place.settings).folder
    folder.parent.mkdir(parents=True)
    folder.write_text("in the way")
    with pytest.raises(ToolkitError):
        place.push(plan)
    assert place.n_requests == 0
    folder.unlink()
    assert fates(place.push(plan)) == {"accepted": 3}


# kill -9 -----------------------------------------------------------------------------------------------------------

# Where the process dies: a method, at which call of it, and whether it dies before or after its work.
DEATHS = {
    "before anything is sent": (Journal, "begin", 1, False),
    "before an attempt of the second batch": (Journal, "begin", 2, False),
    "with the second batch in flight": (Connections, "start", 2, False),
    "with an answer that was not written down": (Journal, "end", 2, False),
    "after the last answer, before the ledger": (Ledger, "record", 1, False),
    "after the ledger, before the close": (Ledger, "record", 1, True),
}


def push_and_die(death: str, plan: PushPlan, options: dict[str, Any]) -> None:
    """Run in a process of its own, which is killed as `kill -9` does."""
    owner, name, call, after = DEATHS[death]
    whole, calls = getattr(owner, name), []

    def deadly(*args: Any, **more: Any) -> Any:
        calls.append(name)
        if len(calls) == call and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = whole(*args, **more)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, deadly)
    push(plan, settings=Settings(**options), pace=Clock().pace, progress=False, schema_check=False)


PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.test_pushing"])


def kill_a_push(place: Place, death: str, plan: PushPlan) -> None:
    options = {"base_url": place.sandbox.url, "home": place.settings.home, **place.options}
    child = PROCESSES.Process(target=push_and_die, args=(death, plan, options))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("death", "taken", "then"),
    [
        ("before anything is sent", 0, {"unsent": 1_200}),
        ("before an attempt of the second batch", 500, {"accepted": 500, "unsent": 700}),
        ("with the second batch in flight", 500, {"accepted": 500, "unknown": 500, "unsent": 200}),
        ("with an answer that was not written down", 1_000, {"accepted": 500, "unknown": 500, "unsent": 200}),
        ("after the last answer, before the ledger", 1_200, {"accepted": 1_200}),
        ("after the ledger, before the close", 1_200, {"accepted": 1_200}),
    ],
)
def test_a_push_that_was_killed_is_resumed_to_the_whole_plan(
    place: Place, customers, death: str, taken: int, then: dict[str, int]
) -> None:
    plan = place.plan(customers(1_200))
    kill_a_push(place, death, plan)
    assert len(place.table) == taken
    found = status(settings=place.settings).pushes.iloc[0]
    assert (found["state"], {f: found[f] for f in then}) == ("open", then)
    with pytest.raises(OpenPushError, match=found["push"]):
        place.push(plan)
    report = place.resume()
    assert (fates(report), report.state, report.plan) == ({"accepted": 1_200}, "done", plan.digest)
    assert place.table == set(plan.to_frame()["customer_id"])
    place.require_agreement()
    entries = pd.concat([Ledger.of(place.settings).history(c) for c in ("C00000", "C00700", "C01199")])
    assert len(entries) == 3  # each once
    assert place.plan(customers(1_200)).n_rows == 0


def push_and_die_keeping(plan: PushPlan, options: dict[str, Any]) -> None:
    """Be killed with the rows written, and not in their place yet."""
    replace_file = Path.replace

    def die(part: Path, target: Path) -> Path:
        if part.parent.name == "rows":
            os.kill(os.getpid(), signal.SIGKILL)
        return replace_file(part, target)

    Path.replace = die  # type: ignore[assignment,method-assign]
    push(plan, settings=Settings(**options), progress=False)


@pytest.mark.parametrize("call", ["push", "resume", "abandon"])
def test_rows_that_a_killed_push_left_half_kept_go_with_the_next_call(place: Place, customers, call: str) -> None:
    options = {"base_url": place.sandbox.url, "home": place.settings.home, **place.options}
    plan, folder = place.plan(customers(3)), place.settings.target_folder()
    process = PROCESSES.Process(target=push_and_die_keeping, args=(plan, options))
    process.start()
    process.join(60)
    exported = place.settings.home / "mine.part"
    exported.touch()
    assert len(list((folder / "rows").iterdir())) == 1
    if call == "push":
        assert fates(place.push(plan)) == {"accepted": 3}
    else:
        with pytest.raises(NothingOpenError):
            getattr(place, call)()
    assert not list(folder.rglob("*.part"))
    assert exported.exists()


def test_an_append_that_was_killed_leaves_what_was_in_flight_to_the_analyst(place: Place, customers) -> None:
    place.options["operation"] = "APPEND"
    kill_a_push(place, "with an answer that was not written down", place.plan(customers(1_200)))
    report = place.resume()
    assert (fates(report), report.state) == ({"accepted": 700, "unknown": 500}, "open")
    assert sorted(place.sandbox.requests()["n_rows"]) == [200, 500, 500]  # none twice
    unknown = report.rows[report.rows["fate"] == "unknown"]
    assert list(unknown["customer_id"]) == [f"C{i:05d}" for i in range(500, 1_000)]


def test_an_abandoned_push_that_was_killed_keeps_what_was_accepted(place: Place, customers) -> None:
    kill_a_push(place, "with the second batch in flight", place.plan(customers(1_200)))
    assert fates(place.abandon()) == {"accepted": 500, "unknown": 500, "unsent": 200}
    place.require_agreement()
    assert place.plan(customers(1_200)).n_rows == 700


def test_a_push_that_was_abandoned_before_it_began_leaves_no_customers_behind(
    place: Place, customers, monkeypatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("toolkit.pushing.runs.enter_beginning", interrupted)
        with pytest.raises(KeyboardInterrupt):
            place.push(customers(3))
    kept = list(place.settings.target_folder().rglob("*.delivery"))
    assert len(kept) == 1
    assert fates(place.abandon()) == {"unsent": 3}
    assert not kept[0].exists()
    assert len(Ledger.of(place.settings).deliveries()) == 0


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_an_interrupt_keeps_what_was_accepted(place: Place, customers) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    place.sandbox.vendor.troubles.extend([None, Reply(503)])
    pace = replace(place.clock.pace, sleep=lambda s: interrupt(s) if s > 0.4 else None)
    with pytest.raises(KeyboardInterrupt):
        push(place.plan(customers(1_200)), settings=place.settings, pace=pace, progress=False, schema_check=False)
    place.require_agreement()
    assert status(settings=place.settings).n_waiting == 700
    assert fates(place.resume()) == {"accepted": 1_200}
