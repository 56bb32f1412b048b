"""Rows without a readable answer: an UPSERT sends them again, an APPEND never does, settle() says their fate."""

from __future__ import annotations

import shutil
from pathlib import Path
from unittest.mock import Mock

import pytest

from tests.support.place import Place, fates
from toolkit.errors import (
    InputError,
    JournalError,
    LedgerError,
    NothingOpenError,
    PlanError,
)
from toolkit.ledger.diffing import diff
from toolkit.ledger.ledger import Ledger
from toolkit.model.schema import empty_frame
from toolkit.pushing.history import status
from toolkit.pushing.planning import PushPlan, plan_push
from toolkit.pushing.report import PushReport
from toolkit.pushing.repushing import repush
from toolkit.pushing.runs import abandon
from toolkit.pushing.seeding import seed
from toolkit.pushing.settling import settle
from toolkit.vendor.sandbox import DROPPED, Reply


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
    with pytest.raises(PlanError, match=rf"3 rows .* arrived with push {report.push}.*toolkit settle {report.push}"):
        place.push(customers(4))
    assert place.n_requests == n_requests
    assert fates(place.push(customers(1, start=3))) == {"accepted": 1}  # others go
    settled = {"accepted": ["C00000", "C00001"], "refused": ["C00002"], "reason": "looked", "settings": place.settings}
    settle(report, **settled)
    assert fates(place.push(customers(4))) == {"accepted": 1}  # the one that had not arrived


def test_an_append_warns_that_lost_rows_may_be_sent_twice(place: Place, customers) -> None:
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


@pytest.mark.parametrize("more", [0, 1])
def test_an_append_planned_against_a_plain_frame_does_not_send_accepted_rows_twice(
    place: Place, customers, more: int
) -> None:
    place.options["operation"] = "APPEND"

    def planned(n: int) -> PushPlan:
        return plan_push(diff(empty_frame(), customers(n)), settings=place.settings)

    assert fates(place.push(planned(3))) == {"accepted": 3}
    n_requests = place.n_requests
    with pytest.raises(PlanError, match=r"has 3 rows of this plan already.*the ledger.s snapshot and plan again"):
        place.push(planned(3 + more))
    assert (place.n_requests, status(settings=place.settings).open_push) == (n_requests, "")
    assert fates(place.push(customers(4))) == {"accepted": 1}  # planned against the ledger
    assert len(place.sandbox.table()) == 4


def test_an_append_sends_again_what_was_retracted_and_a_restated_row_that_is_named(place: Place, customers) -> None:
    place.options["operation"] = "APPEND"
    first = place.push(customers(3))
    whole = repush(first, whole=True, settings=place.settings)
    with pytest.raises(PlanError, match=r"has 3 rows .*retract them first"):
        place.push(whole)
    Ledger.of(place.settings).retract(push=first.push, reason="the table was emptied")
    assert fates(place.push(repush(first, whole=True, settings=place.settings))) == {"accepted": 3}
    restated = place.plan(customers(1, customer_name="restated"), include=["restated"])
    assert fates(place.push(restated)) == {"accepted": 1}


def test_an_upsert_planned_against_a_plain_frame_may_send_a_version_again(place: Place, customers) -> None:
    plan = plan_push(diff(empty_frame(), customers(3)), settings=place.settings)
    place.push(plan)
    assert fates(place.push(plan)) == {"accepted": 3}
    place.require_agreement()


def test_a_push_is_settled_by_rows_that_are_named_once(place: Place, customers) -> None:
    place.options["operation"] = "APPEND"
    place.sandbox.vendor.troubles.append((True, DROPPED))
    mine = place.push(customers(4))
    say = {"reason": "looked", "settings": place.settings, "pace": place.clock.pace}
    for reason in ("", " ", None):
        with pytest.raises(InputError, match="What became of the rows needs a reason"):
            settle(mine, accepted="all", **{**say, "reason": reason})
    for wrong, words in (
        ({"accepted": "C00000", "refused": [2, 3]}, "source_row 2 is settled as accepted and as refused"),
        ({"accepted": ["C00000", "C00009"]}, "has no unknown row 'C00009'.*Nothing was settled"),
        ({"refused": 77}, "has no unknown row 77"),
        ({}, "Nothing was settled of push .*name unknown rows"),
    ):
        with pytest.raises(InputError, match=words):
            settle(mine, **wrong, **say)
    with pytest.raises(NothingOpenError, match="has no push nonesuch"):
        settle("nonesuch", accepted="all", **say)
    assert fates(settle(mine, accepted="C00000", refused=3, **say)) == {"accepted": 1, "refused": 1, "unknown": 2}
    done = settle(mine, accepted=[4], refused=["C00003"], **say)
    assert (fates(done), done.state) == ({"accepted": 2, "refused": 2}, "done")
    assert set(Ledger.of(place.settings).snapshot().frame["customer_id"]) == {"C00000", "C00002"}


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
    with pytest.raises(PlanError, match="The ledger has changed"):
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


def test_a_settled_push_whose_rows_are_lost_blocks_no_other(place: Place, customers, monkeypatch) -> None:
    mine = settled_and_cut(place, customers, monkeypatch)
    (place.settings.target_folder() / "rows" / f"{mine.push}.parquet").unlink()
    with pytest.warns(
        UserWarning, match=f"Rows of push {mine.push} that were settled as accepted could not be recorded"
    ):
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
