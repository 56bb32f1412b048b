"""A session whose file becomes another one: nothing that was chosen for the one happens to the customers of the other.

And the lines of code of each step: they are run, and do what the steps did.
"""

from __future__ import annotations

import os
import shlex
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

import toolkit as tk
from toolkit import cli
from toolkit.config import current
from toolkit.errors import InputError
from toolkit.panels import MappingPanel, PushPanel, Session, background_push
from toolkit.sending import Pace

HEADER = "Kundennummer,Geändert am,Firmenname,Kundengruppe,Branche,Preisliste,Herkunft\n"
FIRST = HEADER + (
    "0001,2026-09-01T10:00:00Z,Alpha,Retail,Wood,A,ERP\n0002,2026-09-01T10:00:00Z,Beta,Retail,Wood,A,customer\n"
)
OTHER = HEADER + (
    "0777,2026-09-01T10:00:00Z,Zeta,Industry,Steel,B,ERP\n0002,2026-09-01T10:00:00Z,Beta,Retail,Steel,B,customer\n"
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    here = tmp_path / "work"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(background_push, "Pace", partial(Pace, jitter=lambda: 0.0))
    Path("a.csv").write_text(FIRST, encoding="utf-8")
    Path("b.csv").write_text(OTHER, encoding="utf-8")
    return here


def go(session: Session, upto: str) -> Session:
    while session.step.title != upto:
        session.act("session_next")
        assert not session.told
        if session.step.title == "Values" and not session.step.values:
            session.act("map_word", column="source", word="ERP", value="customer")
    return session


def edited(source: str = "a.csv") -> Session:
    session = go(Session(source), "Review")
    session.act("edit", row=2, column="customer_name", value="Alpha Ltd")
    session.act("edit", row=3, column="customer_name", value="Beta Ltd")
    return session


def names(session: Session) -> dict[str, str]:
    return session.step.delivery.frame.set_index("customer_id")["customer_name"].to_dict()


def records() -> list[Path]:
    return sorted((current(None).home / "sessions").glob("*.json"))


@pytest.mark.parametrize("how", ["chosen", "replaced", "replaced in a folder"])
def test_edits_go_to_their_customers_alone_when_the_file_is_another(how: str) -> None:
    if how == "replaced in a folder":
        Path("parts").mkdir()
        Path("a.csv").rename("parts/1.csv")
    session = edited("parts" if how == "replaced in a folder" else "a.csv")
    if how == "chosen":
        session.act("session_visit", at=0)
        session.act("choose", value="b.csv")
    else:
        Path("b.csv").replace("parts/1.csv" if how == "replaced in a folder" else "a.csv")
        assert "has changed since" in Session(session.work.source).notice
        session.act("session_visit", at=2)
    go(session, "Review")
    assert names(session) == {"0777": "Zeta", "0002": "Beta Ltd"}
    assert "1 applied, 0 done before, 0 stale, 1 without a row" in session.view().still()
    session.act("session_visit", at=2)
    go(session, "Review")  # the file is the same one
    assert (len(session.step.edits), session.step.said) == (1, "")


def test_edits_of_a_worksheet_are_not_made_in_another() -> None:
    with pd.ExcelWriter("a.xlsx") as book:
        for sheet in ("a", "b"):
            pd.read_csv(f"{sheet}.csv", dtype=str).to_excel(book, sheet_name=sheet, index=False)
    session = edited("a.xlsx")
    session.act("session_visit", at=0)
    session.act("state", of="sheet", value="b")
    assert names(go(session, "Review")) == {"0777": "Zeta", "0002": "Beta Ltd"}


def test_values_of_a_file_do_not_stay_for_the_next_one() -> None:
    session = go(Session("a.csv"), "Values")
    session.act("set_empty", column="customer_name", value="keep")
    session.act("session_visit", at=0)
    Path("c.csv").write_text(OTHER.replace("Branche", "Sparte"), encoding="utf-8")
    session.act("choose", value="c.csv")
    session.act("session_next")
    session.act("choose", column="customer_subcategory", value="Sparte")
    session.act("session_next")
    assert (session.step.values, session.step.empty) == ({}, {})
    session.act("set_empty", column="customer_category", value="keep")
    session.act("session_visit", at=1)
    session.act("session_next")
    assert session.step.empty == {"customer_category": "keep"}  # of the same file


def test_only_a_push_of_its_own_file_ends_a_session() -> None:
    with tk.Sandbox("box") as sandbox:
        tk.use(sandbox)
        for at in (1, 2):
            frame = tk.read_customers("b.csv", mapping=tk.suggest_mapping("b.csv").mapping).frame
            frame = frame.assign(customer_name=f"Name {at}", source="customer")
            frame["updated_at"] += pd.Timedelta(days=at)
            plan = tk.plan_push(tk.diff(tk.Ledger.of().snapshot(), tk.validate(frame)), allow=["changed", "absent"])
            earlier = tk.push(plan, progress=False)
        session = go(edited(), "Send")
        session.act("again", verb="revert", name=earlier.push)
        assert session.act("start", what="push", fields={"reason": "undo"}) == "It has begun."
        assert session.step.run.wait().ok
        assert not session.step.done
        assert len(records()) == 1
        session.act("session_visit", at=3)
        go(session, "Send")
        for guard in session.step.plan.guards:
            session.act("fill", field=f"allow {guard.name}", value=True)
        assert session.act("start", what="push", fields={"reason": "first"}) == "It has begun."
        report = session.step.run.wait()
        assert "0001" in set(sandbox.table()["customer_id"])
        assert (session.step.done, records()) == (True, [])
        assert report.n_accepted

        session.act("session_visit", at=3)
        session.act("edit", row=2, column="customer_name", value="Alpha GmbH")
        session.act("session_next")
        assert (session.step.done, session.step.report) == (False, None)
        assert len(records()) == 1  # the edit is kept
        with pytest.raises(InputError, match="No push was begun"):
            PushPanel(session.work.plan).wait()


def test_a_record_that_cannot_be_read_hides_no_other() -> None:
    edited()
    broken = records()[0].with_name("0" * 16 + ".json")
    broken.write_text("{", encoding="utf-8")
    session = Session()
    assert session.found
    assert "cannot be read. It was put aside" in session.notice
    assert "A session of a.csv was left at Review" in session.notice
    assert not broken.exists()


def run(lines: tuple[str, ...], names: dict[str, Any]) -> None:
    """Run what a step shows: Python, then the command."""
    for line in filter(None, lines):
        if line.startswith("toolkit "):
            more = ["--yes"] if line.startswith("toolkit push ") else []
            assert cli.main([*shlex.split(line)[1:], *more]) == 0, line
        else:
            exec(line, names)


def test_the_lines_of_each_step_do_what_the_step_did(
    monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = folder.parent / "it's"
    place.mkdir()
    Path("a.csv").rename(place / "new customers.csv")
    source = os.path.join("..", "it's", "new customers.csv")
    with tk.Sandbox("panels") as sandbox:
        tk.use(sandbox)
        session, made = Session(source), dict[str, Any](tk=tk)
        while True:
            if session.step.title == "Review":
                session.act("edit", row=2, column="customer_name", value="Alpha Ltd")
            if session.step.title == "Values":
                session.act("map_word", column="source", word="ERP", value="customer")
            if session.step.title == "Send":
                break
            made["session"] = SimpleNamespace(mapping=session.mapping, patch=getattr(session.step, "patch", None))
            if session.step.title == "Columns":  # its command finds the word that the next step maps
                run(session.calls[:-1], made)
            else:
                run(session.calls, made)
            session.act("session_next")
            assert not session.told
        lines = session.calls
        assert session.act("start", what="push", fields={}) == "It has begun."
        assert session.step.run.wait().ok
        sent = sandbox.table()
    assert list(sent["customer_name"]) == ["Alpha Ltd", "Beta"]
    with tk.Sandbox("python") as sandbox:
        tk.use(sandbox)
        run(lines[:-1], made)
        pd.testing.assert_frame_equal(sandbox.table(), sent)
    with tk.Sandbox("commands") as sandbox:
        monkeypatch.setattr("toolkit.config.settings._current", None)
        monkeypatch.setenv("TOOLKIT_BASE_URL", sandbox.url)
        monkeypatch.setenv("TOOLKIT_TARGET", "acme")
        monkeypatch.setenv("PEAK_AUTH_TOKEN", "sandbox")
        run(lines[-1:], made)
        pd.testing.assert_frame_equal(sandbox.table(), sent)


def test_what_is_no_file_has_no_command() -> None:
    frame = pd.read_csv("a.csv", dtype=str)
    panel = MappingPanel(frame)
    made = {"tk": tk, "panel": panel, "source": frame}
    run(panel.station.calls, made)
    assert "toolkit check" not in repr(panel)
    pd.testing.assert_frame_equal(made["delivery"].frame, tk.read_customers(frame, mapping=panel.mapping).frame)
