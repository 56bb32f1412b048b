"""Two analysts who share a ledger, each with a home: one push at a time, and nothing is sent twice."""

from __future__ import annotations

import re
import socket
from typing import Any
from unittest.mock import Mock

import pandas as pd
import pytest

from tests.support.clocks import Clock
from tests.support.killing import kill_a_push
from tests.support.place import Place, fates, interrupted
from toolkit.errors import (
    LedgerError,
    OpenPushError,
    PlanError,
    SettingsError,
    StoppedError,
    ToolkitError,
)
from toolkit.ledger.deliveries import Deliveries
from toolkit.ledger.ledger import Ledger
from toolkit.pushing import runs as pushing
from toolkit.pushing.history import status
from toolkit.pushing.recording import Recorder
from toolkit.pushing.settling import settle
from toolkit.sending.sender import Sender
from toolkit.vendor.sandbox import DROPPED, Reply


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
        with pytest.raises(PlanError, match="has changed"):
            colleague.push(before)
    assert colleague.plan(frame).n_rows == 0
    assert fates(colleague.push(customers(1, start=600))) == {"accepted": 1}
    place.require_agreement()


def test_of_two_who_looked_at_once_not_both_send(place: Place, colleague: Place, customers, monkeypatch) -> None:
    frame, real = customers(3), Deliveries.record
    theirs = colleague.plan(frame)

    def at_once(self: Deliveries, *args: Any, **more: Any) -> None:  # both have looked, neither has claimed
        monkeypatch.setattr(Deliveries, "record", real)
        assert fates(colleague.died(theirs)) == {"unsent": 3}
        real(self, *args, **more)

    monkeypatch.setattr(Deliveries, "record", at_once)
    with pytest.raises(OpenPushError, match="was left open"):
        place.push(frame)
    assert status(settings=place.settings).pushes["state"].tolist() == ["abandoned"]
    assert [c["push"] for c in Ledger.of(place.settings).claims.open()] == [
        status(settings=colleague.settings).open_push
    ]
    assert len(Ledger.of(place.settings).deliveries()) == 1  # mine was withdrawn
    assert fates(colleague.resume()) == {"accepted": 3}


@pytest.mark.parametrize("operation", ["UPSERT", "APPEND"])
def test_a_push_that_began_and_ended_since_the_first_check_refuses_the_other(
    place: Place, colleague: Place, customers, monkeypatch, operation: str
) -> None:
    place.options["operation"] = colleague.options["operation"] = operation
    plan, asked = place.plan(customers(3)), pushing.ask_schema

    def slowly(*args: Any) -> Any:
        assert fates(colleague.push(customers(3))) == {"accepted": 3}
        return asked(*args)

    monkeypatch.setattr("toolkit.pushing.runs.ask_schema", slowly)
    with pytest.raises(PlanError, match="The ledger has changed"):
        place.push(plan, schema_check=True)
    assert len(place.sandbox.requests()) == 2  # the question and the colleague's rows
    found = status(settings=place.settings)
    assert (found.open_push, found.pushes["state"].tolist()) == ("", ["abandoned"])
    assert Ledger.of(place.settings).claims.open() == []
    place.require_agreement()


@pytest.mark.parametrize("end", ["resume", "abandon"])
def test_a_push_that_was_left_open_blocks_others_until_it_ends(
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
    theirs = colleague.died(customers(1_200))
    with pytest.raises(OpenPushError, match=f"Push {theirs.push} "):  # the machine was found
        place.resume()
    assert fates(colleague.resume()) == {"accepted": 1_200}
    assert place.resume().state == "done"
    place.require_agreement()
    assert len(Ledger.of(place.settings).query("SELECT customer_id FROM entries WHERE push = $2", mine)) == 500


def test_a_settled_push_blocks_no_other(place: Place, colleague: Place, customers) -> None:
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
    deliveries = Ledger.of(place.settings).claims.table
    assert deliveries.version == 0
    assert deliveries.query("SELECT host FROM entries")["host"].null_count == 3  # the delivery, and its customers


def test_a_released_push_that_is_resumed_claims_the_ledger_again(place: Place, colleague: Place, customers) -> None:
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


def test_a_resume_that_finds_another_push_leaves_no_new_claim(place: Place, colleague: Place, customers) -> None:
    place.died(customers(3))
    release(colleague)
    place.clock.sleep(60)
    theirs = colleague.died(customers(3))
    with pytest.raises(OpenPushError, match=f"Push {theirs.push} "):
        place.resume()
    assert [claim["push"] for claim in Ledger.of(place.settings).claims.open()] == [theirs.push]


def test_a_push_that_died_before_its_claim_claims_when_it_is_resumed_and_checks_then(
    place: Place, colleague: Place, customers, monkeypatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            place.push(customers(3))
    mine, real = status(settings=place.settings).open_push, Deliveries.record
    place.clock.sleep(60)

    def at_once(self: Deliveries, *args: Any, **more: Any) -> None:  # mine has looked and not claimed
        monkeypatch.setattr(Deliveries, "record", real)
        colleague.died(customers(3))
        real(self, *args, **more)

    monkeypatch.setattr(Deliveries, "record", at_once)
    with pytest.raises(OpenPushError, match="was left open"):
        place.resume()
    claimed = [claim["push"] for claim in Ledger.of(place.settings).claims.open()]
    assert claimed == [status(settings=colleague.settings).open_push]  # theirs alone: mine looked, and let go
    assert status(settings=place.settings).open_push == mine
    assert fates(colleague.resume()) == {"accepted": 3}
    assert fates(place.resume()) == {"unsent": 3}
    place.require_agreement()


@pytest.mark.parametrize("ahead", [0, 3_600, -3_600])
def test_of_two_released_pushes_that_are_resumed_one_sends_at_a_time(
    place: Place, colleague: Place, customers, monkeypatch, ahead: int
) -> None:
    place.options["operation"] = colleague.options["operation"] = "APPEND"
    colleague.clock = Clock()
    colleague.clock.sleep(60 + ahead)
    for who, other in ((place, colleague), (colleague, place)):
        who.died(customers(3))
        release(other)
    whole = Sender.run

    def meanwhile(self: Sender) -> None:  # mine has claimed again, and sends
        monkeypatch.setattr(Sender, "run", whole)
        with pytest.raises(OpenPushError, match="is running, or was left open"):
            colleague.resume()
        whole(self)

    monkeypatch.setattr(Sender, "run", meanwhile)
    assert fates(place.resume()) == {"accepted": 3}
    assert fates(colleague.resume()) == {"unsent": 3}
    assert Ledger.of(place.settings).query("SELECT count(*) AS n FROM entries")["n"].to_pylist() == [3]
    assert Ledger.of(place.settings).claims.open() == []


def test_a_released_push_is_not_resumed_during_one_whose_clock_is_behind(
    place: Place, colleague: Place, customers, monkeypatch
) -> None:
    colleague.clock = Clock()  # which stays an hour behind
    place.clock.sleep(3_600)
    place.died(customers(3))
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


def test_a_claim_whose_write_was_reported_as_failed_is_a_claim(place: Place, colleague: Place, customers) -> None:
    place.push(customers(1))
    deliveries = Ledger.of(place.settings).claims
    log = deliveries.table.path / "_delta_log"
    for version in range(deliveries.table.version + 1, 99):  # commits that add nothing
        (log / f"{version:020}.json").write_text('{"commitInfo": {"timestamp": 0}}', encoding="utf-8")
    assert deliveries.table.version == 98
    checkpoint = log / "_last_checkpoint"
    checkpoint.mkdir()  # the next commit is there, and the checkpoint after it cannot be written
    assert fates(place.push(customers(3))) == {"accepted": 2}
    assert Ledger.of(colleague.settings).claims.open() == []
    place.require_agreement()


def test_a_ledger_that_fails_after_the_claim_leaves_the_push_open_to_be_resumed(
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


def test_what_another_analyst_sent_since_is_left_out_of_a_resume_and_listed(
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


def test_what_was_answered_earlier_and_recorded_later_is_left_out_too(
    place: Place, colleague: Place, customers, monkeypatch
) -> None:
    mine = place.plan(customers(2, customer_name="mine"))
    enter = Ledger.record

    def late(self: Ledger, *entries: Any, **facts: Any) -> None:  # mine opens, and stops, before theirs is entered
        monkeypatch.setattr(Ledger, "record", enter)
        release(place)
        place.died(mine)
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
