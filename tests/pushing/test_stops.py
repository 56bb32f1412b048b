"""A push that stops: it is closed if the vendor took nothing, else left open for resume() or abandon()."""

from __future__ import annotations

import socket
from dataclasses import replace
from unittest.mock import patch

import pytest

from tests.support.clocks import Clock
from tests.support.place import Place, fates, interrupted, vendor
from toolkit.errors import (
    AddressError,
    AuthorizationError,
    JournalError,
    NothingOpenError,
    OpenPushError,
    PlanError,
    SettingsError,
    StoppedError,
    UnreachableError,
)
from toolkit.ledger.ledger import Ledger
from toolkit.model.contract import CONTRACTS
from toolkit.pushing.history import status
from toolkit.pushing.recording import Recorder
from toolkit.pushing.runs import push
from toolkit.sending.sender import Sender
from toolkit.vendor.sandbox import DROPPED, Reply


@pytest.mark.parametrize(
    ("error_body", "request_id"), [("json", True), ("text", False), ("html", True), ("empty", False)]
)
def test_a_push_with_a_wrong_token_sends_one_request_and_closes(
    clock: Clock, customers, monkeypatch: pytest.MonkeyPatch, error_body: str, request_id: bool
) -> None:
    with vendor(clock, token="the-right-one", error_body=error_body, request_id=request_id) as sandbox:
        place = Place(sandbox, clock)
        monkeypatch.setenv("PEAK_AUTH_TOKEN", "a-wrong-one")
        monkeypatch.setenv("TOOLKIT_TARGET", "acme")
        plan = place.plan(customers(600))
        with pytest.raises(AuthorizationError, match=r"PEAK_AUTH_TOKEN, then push again\.") as error:
            place.push(plan)
        assert place.n_requests == 1  # at once: no second try, no second batch
        assert "a-wrong-one" not in str(error.value)
        assert fates(error.value.report) == {"unsent": 600}
        assert (error.value.report.state, error.value.report.waits) == ("abandoned", [])
        monkeypatch.setenv("PEAK_AUTH_TOKEN", "the-right-one")
        monkeypatch.setenv("TOOLKIT_TARGET", "acme")
        assert fates(place.push(plan)) == {"accepted": 600}
        place.require_agreement()


@pytest.mark.parametrize("status_code", [401, 403, 404])
def test_a_push_that_is_refused_after_its_first_batch_stays_open_and_is_resumed(
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


def test_a_push_to_a_wrong_address_is_closed_and_made_again(place: Place, customers) -> None:
    place.options["base_url"] = place.sandbox.url + "/elsewhere"
    with pytest.raises(AddressError, match=r"TOOLKIT_BASE_URL.*then push again\."):
        place.push(customers(3))
    del place.options["base_url"]
    assert fates(place.push(customers(3))) == {"accepted": 3}
    place.require_agreement()


@pytest.mark.parametrize("rest", [[Reply(401)], [Reply(429)] * 20, [Reply(503, b"", {"Retry-After": "1"})] * 20])
def test_a_resume_of_a_push_of_which_nothing_was_taken_closes_it_as_well(place: Place, customers, rest: list) -> None:
    mine = place.died(customers(3))
    assert mine.state == "open"
    place.sandbox.vendor.troubles.extend(rest)
    with pytest.raises(StoppedError, match="push again") as error:
        place.resume()
    assert (error.value.report.push, error.value.report.state) == (mine.push, "abandoned")
    place.sandbox.vendor.troubles.clear()
    assert fates(place.push(customers(3))) == {"accepted": 3}


def test_a_push_of_which_the_vendor_refused_a_row_or_may_have_a_row_stays_open(place: Place, customers) -> None:
    place.sandbox.vendor.refuse = lambda row: "no"
    place.sandbox.vendor.troubles.extend([None, Reply(401)])
    report = place.stopped(customers(600))
    assert (fates(report), report.state) == ({"refused": 500, "unsent": 100}, "open")
    assert "resume; or abandon" in report.stopped
    place.sandbox.vendor.refuse = None
    assert fates(place.resume()) == {"refused": 500, "accepted": 100}
    place.sandbox.vendor.troubles.extend([(True, DROPPED), Reply(401)])
    report = place.stopped(customers(5, start=700))
    assert (fates(report), report.state) == ({"unknown": 5}, "open")


def test_a_push_whose_only_row_is_neither_taken_nor_refused_is_closed(place: Place, customers) -> None:
    place.sandbox.vendor.troubles.append(Reply(413, b""))
    report = place.stopped(customers(1))
    assert (fates(report), report.state) == ({"unsent": 1}, "abandoned")
    assert report.stopped.endswith(", or the rows, then push again.")


def test_an_unreachable_host_is_given_up_on_and_every_row_is_unsent(place: Place, customers) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        place.options["base_url"] = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(UnreachableError, match=r"cannot be reached.*then push again\.") as error:
            place.push(customers(3))
    assert fates(error.value.report) == {"unsent": 3}  # nothing left this machine
    assert len(place.clock.slept) >= 5
    del place.options["base_url"]
    assert fates(place.push(customers(3))) == {"accepted": 3}
    place.require_agreement()


def test_an_interrupt_before_anything_was_taken_closes_the_push(place: Place, customers) -> None:
    plan = place.plan(customers(3))
    with patch.object(Sender, "run", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        place.push(plan)
    assert status(settings=place.settings).pushes["state"].tolist() == ["abandoned"]
    assert fates(place.push(plan)) == {"accepted": 3}


def test_an_invalid_token_leaves_no_push_open(place: Place, customers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOLKIT_TARGET", "acme")
    plan = place.plan(customers(3))
    monkeypatch.setenv("PEAK_AUTH_TOKEN", "two words")
    with pytest.raises(SettingsError, match="PEAK_AUTH_TOKEN"):
        place.push(plan)
    monkeypatch.setenv("PEAK_AUTH_TOKEN", "sandbox")
    assert fates(place.push(plan)) == {"accepted": 3}


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


def test_a_push_is_not_resumed_with_another_operation_contract_or_solution(place: Place, customers) -> None:
    place.died(customers(3))
    for other in ({"operation": "APPEND"}, {"contract": "current"}, {"solution": "OTHER"}):
        place.options = other
        with pytest.raises(PlanError, match="resume it with the same settings, or abandon"):
            place.resume()
    assert place.n_requests == 0


def test_a_push_with_rows_that_may_have_arrived_is_not_resumed_into_another_table(place: Place, customers) -> None:
    place.sandbox.vendor.troubles.extend([(True, DROPPED)] * 6)
    place.stopped(customers(3))
    place.options["prefix"] = "ZZ_"
    with pytest.raises(PlanError, match=r"has rows in \w+, or may have, but the settings name ZZ_"):
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


@pytest.mark.parametrize("end", ["resume", "abandon"])
def test_the_reason_of_a_push_outlives_a_stop(place: Place, customers, end: str) -> None:
    place.sandbox.vendor.troubles.extend([None, Reply(401)])
    with pytest.raises(AuthorizationError):
        place.push(place.plan(customers(600)), reason="spring prices")
    getattr(place, end)()
    ledger = Ledger.of(place.settings)
    assert ledger.history("C00000")["reason"].tolist() == ["spring prices"]
    assert ledger.history("C00599")["reason"].tolist() == (["spring prices"] if end == "resume" else [])


def test_a_delivery_withdrawn_by_an_abandon_that_was_cut_counts_once_its_push_is_resumed(
    place: Place, customers, monkeypatch
) -> None:
    place.died(customers(3))
    with monkeypatch.context() as changed:
        changed.setattr(Recorder, "_close", interrupted)
        with pytest.raises(KeyboardInterrupt):
            place.abandon()
    ledger = Ledger.of(place.settings)
    assert len(ledger.deliveries()) == 0
    assert fates(place.resume()) == {"accepted": 3}
    assert len(ledger.deliveries()) == 1
    assert ledger.snapshot().last_keys == {"C00000", "C00001", "C00002"}


def test_a_push_that_would_be_cut_otherwise_now_is_not_resumed(place: Place, customers, monkeypatch) -> None:
    place.sandbox.vendor.troubles.extend([None, Reply(401)])
    place.stopped(customers(600))
    n_requests = place.n_requests
    with monkeypatch.context() as changed:  # as another version of the toolkit might
        changed.setitem(CONTRACTS, "2026-04", replace(CONTRACTS["2026-04"], max_rows=400))
        with pytest.raises(JournalError, match=r"no longer encodes .* Install the earlier version, or abandon"):
            place.resume()
    assert place.n_requests == n_requests
    assert fates(place.resume()) == {"accepted": 600}


def test_a_push_that_was_abandoned_before_it_began_leaves_no_customers_behind(
    place: Place, customers, monkeypatch
) -> None:
    with monkeypatch.context() as changed:
        changed.setattr(Recorder, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            place.push(customers(3))
    kept = list(place.settings.target_folder().rglob("*.delivery"))
    assert len(kept) == 1
    assert fates(place.abandon()) == {"unsent": 3}
    assert not kept[0].exists()
    assert len(Ledger.of(place.settings).deliveries()) == 0


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
