"""The journal, the rows and the ledger on disk: any folder, damage, loss and older copies."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.support.place import Place, fates
from toolkit.errors import (
    JournalError,
    LedgerError,
    OpenPushError,
    SettingsError,
    StoppedError,
    ToolkitError,
)
from toolkit.ledger.ledger import Ledger
from toolkit.pushing.history import push_report, status
from toolkit.pushing.recording import Recorder
from toolkit.pushing.report import PushReport
from toolkit.pushing.runs import abandon
from toolkit.vendor.sandbox import Reply


@pytest.mark.parametrize("name", ["My Projects", "Kunden ü", "e#f", "a%b", "what?", "*", "{x}", "it's", "日本"])
def test_the_home_may_have_any_usual_name(place: Place, customers, tmp_path: Path, name: str) -> None:
    place.options["home"] = tmp_path / name
    for start in (0, 1):
        place.push(customers(2, start=start))
    assert Ledger.of(place.settings).snapshot().n_customers == 3
    assert len(Ledger.of(place.settings).deliveries()) == 2
    place.require_agreement()


@pytest.mark.parametrize("name", ["c[1]", "d%20e", "a|b", "a^b"])
def test_a_home_whose_name_no_ledger_can_have_is_refused_before_anything_is_sent(
    place: Place, customers, tmp_path: Path, name: str
) -> None:
    plan = place.plan(customers(2))
    place.options["home"] = tmp_path / name
    with pytest.raises(LedgerError, match="TOOLKIT_LEDGER"):
        place.push(plan)
    assert place.n_requests == 0
    place.options["ledger"] = tmp_path / "ledger"
    assert place.push(customers(2)).ok


def test_records_of_customers_are_for_their_user_alone(place: Place, customers) -> None:
    place.push(customers(2))
    home = place.settings.home
    assert home.stat().st_mode & 0o777 == 0o700
    rows = list((home / "targets").rglob("*.parquet"))
    assert rows
    assert all(p.stat().st_mode & 0o077 == 0 for p in [*rows, home / "targets/sandbox/journal.sqlite"])


@pytest.mark.parametrize("call", ["push", "resume", "abandon", "status"])
@pytest.mark.parametrize("damage", ["garbage", "cut in half", "zeros inside"])
def test_a_damaged_journal_is_an_error_and_nothing_is_sent(place: Place, customers, damage: str, call: str) -> None:
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
def test_a_home_that_cannot_be_written_is_an_error_and_nothing_is_sent(place: Place, customers, name: str) -> None:
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


def test_a_home_that_cannot_be_made_is_an_error(place: Place, customers, tmp_path: Path) -> None:
    plan = place.plan(customers(3))
    (tmp_path / "file").write_text("in the way")
    place.options["home"] = tmp_path / "file" / "home"
    with pytest.raises(SettingsError, match="TOOLKIT_HOME"):
        place.push(plan)


def test_lost_rows_are_an_error_and_the_push_can_still_be_abandoned(place: Place, customers) -> None:
    stopped = place.died(customers(3))
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
        patch.setattr(Recorder, "accepted", lambda *_: None)
        return place.stopped(frame)


def test_lost_rows_that_were_accepted_are_given_up_only_by_the_analyst(place: Place, customers, monkeypatch) -> None:
    stopped = half_sent(place, customers(600), monkeypatch)
    (place.settings.target_folder() / "rows" / f"{stopped.push}.parquet").unlink()
    with pytest.raises(
        JournalError, match=r"rows_lost=True \(--rows-lost\).* 500 accepted rows of push .* cannot be recorded"
    ):
        place.abandon()
    assert status(settings=place.settings).open_push == stopped.push
    report = abandon(settings=place.settings, pace=place.clock.pace, rows_lost=True)
    assert (fates(report), report.state) == ({"accepted": 500, "unsent": 100}, "abandoned")
    assert place.plan(customers(600)).counts["added"] == 600  # the ledger knows of none


def test_a_push_is_not_resumed_from_a_journal_older_than_the_ledger(place: Place, customers, tmp_path: Path) -> None:
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


def test_a_push_is_not_resumed_with_an_older_ledger(place: Place, customers) -> None:
    place.push(customers(2))
    stopped = place.died(customers(4))
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
def test_the_error_about_lost_rows_names_what_to_do(place: Place, customers, closed: bool) -> None:
    stopped = place.died(customers(4))
    if closed:
        place.abandon()
    (place.settings.target_folder() / "rows" / f"{stopped.push}.parquet").unlink()
    with pytest.raises(
        JournalError, match="or diff and plan it again" if closed else "or abandon the push and plan it"
    ):
        push_report(stopped.push, settings=place.settings)


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
