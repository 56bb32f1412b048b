"""Errors and interrupts in a notebook, progress, and the catalogue of messages."""

from __future__ import annotations

import io
import sys

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.support.messages import PAGE, catalogue
from toolkit.errors import InputError, Interrupted
from toolkit.progress import Progress, step


def test_the_catalogue_of_messages_is_the_codes() -> None:
    assert PAGE.read_text(encoding="utf-8") == catalogue(), "python -m tests.support.messages writes it"
    assert "refused the token" in catalogue()


def shown(code: str, capsys: pytest.CaptureFixture[str]) -> str:
    InteractiveShell.instance().run_cell(code, store_history=False)
    return capsys.readouterr().out


def test_a_notebook_shows_the_sentence_and_the_line_and_no_frame(capsys: pytest.CaptureFixture[str]) -> None:
    said = shown("import toolkit as tk\n\ntk.read_customers('no-\\u202esuch.csv')", capsys)
    assert said.startswith("ReadingError: ") or said.startswith("InputError: ")
    assert "no-\\u202esuch.csv" in said
    assert "line 3: tk.read_customers('…')" in said
    assert len(said.splitlines()) == 2
    said = shown(
        "from toolkit.errors import *\ntry: 1/0\nexcept Exception as e: raise InputError('Bad.') from e", capsys
    )
    assert said.splitlines()[0] == "InputError: Bad."
    assert "ZeroDivisionError" not in said


def test_the_frames_are_there_for_the_debugger(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown("1/0", capsys)  # an earlier error, whose frames are not meant
    shown("import toolkit as tk\nfile = 'no-such.csv'\ntk.read_customers(file)", capsys)
    monkeypatch.setattr(sys, "stdin", io.StringIO("p path\nq\n"))
    said = shown("%debug", capsys)
    assert "toolkit/reading" in said
    assert "PosixPath('no-such.csv')" in said


def test_an_interrupt_of_a_step_is_one_line_and_stops_what_follows() -> None:
    @step("Reading")
    def read() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as error:
        read()
    assert type(error.value) is Interrupted
    assert error.value._render_traceback_() == ["Interrupted: reading was stopped. Nothing was changed."]


def test_progress_is_drawn_after_two_seconds_and_gone_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now, terminal = [0.0], io.StringIO()
    monkeypatch.setattr(sys, "stderr", terminal)
    Progress("Reading", clock=lambda: now[0]).draw()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    bar = Progress("Reading", total=100, clock=lambda: now[0])
    now[0], bar.n, bar.note = 1.9, 40, "3 retries"
    bar.draw()
    assert terminal.getvalue() == ""
    now[0] = 2.0
    bar.draw()
    assert "40/100" in terminal.getvalue()
    assert "3 retries" in terminal.getvalue()
    bar.close()
    assert terminal.getvalue().split("\r")[-2].strip() == ""


def test_progress_writes_nothing_where_no_terminal_is(monkeypatch: pytest.MonkeyPatch) -> None:
    file, now = io.StringIO(), [0.0]
    monkeypatch.setattr(sys, "stderr", file)
    bar = Progress("Reading", clock=lambda: now[0])
    now[0] = 60
    bar.draw()
    bar.close()
    assert file.getvalue() == ""


def test_an_error_of_a_script_has_no_line() -> None:
    assert InputError("Bad.\x1b[2J")._render_traceback_() == ["InputError: Bad.\\u001b[2J"]
    assert str(InputError("Bad.\x1b[2J\nError: none\u202e")) == r"Bad.\u001b[2J\nError: none\u202e"
