"""One journey in panels, in Python and on the command line: a first delivery with a cell corrected and a row left out.

Each goes to a sandbox of its own, and the tables have equal rows at the end. Then next month's file, whose mapping is
the remembered one.
"""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest

import toolkit as tk
from toolkit import cli
from toolkit.panels import Session, background_push
from toolkit.sending import Pace

DATA = Path(__file__).parent.parent.parent / "data"
FIRST, SECOND = "2026-09-01_customers", "2026-10-01_customers"
ROW, TIME, RIGHT, TWIN = 101, "31.06.2026 09:30", "30.06.2026 09:30", 143
"""A time that no calendar has, with what it should be, and a row that contradicts another."""
CORRECTIONS = ("trim_spaces", "source_to_customer", "drop_exact_duplicates")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (f"{FIRST}.csv", f"{FIRST}.toml"):
        shutil.copy(DATA / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(background_push, "Pace", partial(Pace, jitter=lambda: 0.0))
    return tmp_path


def done(session: Session, do: str, **said: Any) -> Any:
    """Do what a button does, and require that nothing is missing."""
    answer = session.act(do, **said)
    assert not session.told, session.told
    return answer


def to_send(session: Session) -> None:
    """Press Next until the plan is shown."""
    while session.step.title != "Send":
        done(session, "session_next")


def sent(session: Session) -> tk.PushReport:
    assert session.act("start", what="push", fields={"reason": "onboarding"}) == "It has begun."
    return session.step.run.wait()


def with_panels() -> pd.DataFrame:
    """Take the first delivery through the five steps, with what their controls send; then the next month's."""
    with tk.Sandbox("panels") as sandbox:
        tk.use(sandbox)
        session = Session(f"{FIRST}.csv")
        done(session, "session_next")
        done(session, "choose", column="customer_name", value="Ort")  # a wrong choice,
        done(session, "choose", column="customer_name", value="Firmenname")  # and the right one
        assert session.act("session_next") == "Choose the time zone of Geändert am: its times name none."
        session.act("set_timezone", value="Europe/Berlin")
        session.act("ignore")
        done(session, "session_next")
        session.act("map_word", column="source", word="ERP", value="customer")
        for name in CORRECTIONS[::2]:  # the word is mapped already
            session.act("choose_correction", rule=name, value=True)
        done(session, "session_next")
        assert session.act("edit", row=ROW, column="updated_at", value=RIGHT).endswith("nothing is wrong.")
        assert session.act("leave_out", row=TWIN) == f"Row {TWIN} is left out."
        done(session, "session_next")
        assert sent(session).n_accepted == session.work.plan.n_rows
        rows = sandbox.table()
        next_month(session, sandbox)
        return rows


def next_month(first: Session, sandbox: tk.Sandbox) -> None:
    """Onboard October's customers from a file of the same form: what was decided in September is proposed."""
    october = tk.correct(tk.read_customers(DATA / f"{SECOND}.xlsx", mapping=DATA / f"{SECOND}.toml"))
    columns, zone = first.mapping.columns, first.mapping.timezone
    local = october.frame["updated_at"].dt.tz_convert(zone).dt.strftime(first.mapping.datetime)
    named = october.frame.assign(updated_at=local, Ort="", Sachbearbeiter="").rename(columns=columns)
    named[list(first.steps[1].suggestion.header)].to_csv("october.csv", sep=";", index=False, encoding="cp1252")
    session = Session("october.csv")
    done(session, "session_next")
    assert "as last time" in session.view().still()
    assert session.mapping == first.mapping
    assert session.step.missing() == ""
    to_send(session)
    report = sent(session)
    assert report.n_accepted == session.work.plan.n_rows > 0
    assert len(sandbox.table()) == first.work.plan.n_rows + report.n_accepted


def in_python() -> pd.DataFrame:
    """Make the same calls as an analyst who writes Python."""
    with tk.Sandbox("python") as sandbox:
        tk.use(sandbox)
        mapping = tk.suggest_mapping(f"{FIRST}.csv", mapping=tk.Mapping(timezone="Europe/Berlin")).mapping
        delivery = tk.correct(tk.read_customers(f"{FIRST}.csv", mapping=mapping), dict.fromkeys(CORRECTIONS, True))
        frame = delivery.frame.drop(index=TWIN)
        frame.loc[ROW, "updated_at"] = pd.Timestamp("2026-06-30T07:30:00Z")
        patch = tk.patch_between(delivery, frame)
        report = tk.validate(tk.apply_patch(delivery, patch))
        tk.push(tk.plan_push(tk.diff(tk.Ledger.of().snapshot(), report)), progress=False)
        return sandbox.table()


def on_the_command_line(monkeypatch: pytest.MonkeyPatch, token: str = "sandbox") -> pd.DataFrame:
    """Run the commands, with the review sheet as the place where the cell is corrected."""
    with tk.Sandbox("commands") as sandbox, monkeypatch.context() as environment:
        environment.setattr("toolkit.config.settings._current", None)
        for name, value in {
            "TOOLKIT_BASE_URL": sandbox.url,
            "TOOLKIT_TARGET": "acme",
            "PEAK_AUTH_TOKEN": token,
        }.items():
            environment.setenv(name, value)
        file = [f"{FIRST}.csv", "--mapping", f"{FIRST}.toml"]
        assert cli.main(["check", *file, "--excel", "review.xlsx"]) == 1
        book = openpyxl.load_workbook("review.xlsx")
        heads = [cell.value for cell in book["rows"][1]]
        lines = {row[0].value: dict(zip(heads, row, strict=True)) for row in book["rows"]}
        assert lines[ROW]["Geändert am"].value == TIME
        lines[ROW]["Geändert am"].value, lines[TWIN]["drop"].value = RIGHT, "x"
        book.save("review.xlsx")
        assert cli.main(["push", *file, "--patch", "review.xlsx", "--yes"]) == 1  # rows are left in quarantine
        return sandbox.table()


def test_panels_python_and_the_command_line_send_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    panels, python, commands = with_panels(), in_python(), on_the_command_line(monkeypatch)
    assert len(panels) == 396  # 394, the time that was corrected, and the twin of the row that was left out
    pd.testing.assert_frame_equal(panels, python)
    pd.testing.assert_frame_equal(panels, commands)
