"""A session from the file to the plan: its steps, and what survives a restart of the kernel."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

import toolkit as tk
from toolkit.errors import InputError
from toolkit.panels import Session
from toolkit.panels.panel import Panel

DATA = Path(__file__).parent.parent.parent / "data"
NAME = "2026-09-01_customers.csv"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "work"
    place.mkdir()
    shutil.copy(DATA / NAME, place)
    shutil.copy(DATA / "2026-10-01_customers.xlsx", place)
    monkeypatch.chdir(place)
    return place


def onboarded(*, upto: str = "Columns") -> Session:
    session = Session(NAME)
    session.act("session_next")
    session.act("set_timezone", value="Europe/Berlin")
    session.act("ignore")
    while session.step.title != upto:
        session.act("session_next")
        assert not session.told
    return session


def saved() -> list[Path]:
    return sorted((tk.Settings().home / "sessions").glob("*"))


def test_a_file_becomes_a_plan_and_each_step_is_a_plain_object() -> None:
    session = onboarded(upto="Send")
    mapping = session.mapping
    report = tk.validate(tk.correct(tk.read_customers(NAME, mapping=mapping)))
    assert session.work.report.to_dict() == report.to_dict()
    assert session.work.plan.digest == tk.plan_push(tk.diff(tk.Ledger.of().snapshot(), report)).digest
    assert session.work.plan.delivery.mapping["version"] == mapping.version
    for at in range(5):
        session.at = at
        json.dumps(session.view().tree(), allow_nan=False)
        assert session.view().still().count("aria-current") == 0  # a picture has no state


def test_where_no_panel_can_be_shown_its_line_of_text_is_shown_once() -> None:
    InteractiveShell.instance()
    try:
        panel = Panel(Session(NAME))
        with capture_output(stdout=False, stderr=False) as captured:
            panel.show()
            panel.draw()
    finally:
        InteractiveShell.clear_instance()
    shown = [output.data for output in captured.outputs]
    texts = [data["text/plain"] for data in shown if "text/plain" in data]
    assert set(texts) == {repr(panel)}
    assert all(("text/html" in data) == ("text/plain" in data) for data in shown)  # the widget's own output has none


def test_next_names_what_is_missing_and_stays() -> None:
    session = Session()
    assert session.act("session_next") == "Choose a file first."
    assert session.focus == "file"
    session.act("choose", value=NAME)
    session.act("session_next")
    assert session.act("session_next") == "Choose the time zone of Geändert am: its times name none."
    assert (session.at, session.focus) == (1, "timezone")
    assert "! Choose the time zone" in session.view().still()
    session.act("set_timezone", value="Europe/Berlin")
    assert session.told.startswith("Not used: Ort")  # it follows what is done
    assert session.focus == ""
    session.act("ignore")
    assert session.told == ""


def test_a_session_goes_on_after_a_restart_and_is_gone_when_discarded() -> None:
    first = onboarded(upto="Review")
    assert [stat.S_IMODE(path.stat().st_mode) for path in saved()] == [0o600]
    assert "0001003" not in saved()[0].read_text(encoding="utf-8")  # no customer
    again = Session(NAME)
    assert again.notice.startswith(f"A session of {NAME} was left at Review, on 20")
    again.act("session_go_on")
    assert again.step.title == "Review"
    assert again.mapping == first.mapping
    assert again.work.report.to_dict() == first.work.report.to_dict()
    again.act("session_discard")
    assert saved() == []
    assert not Session(NAME).found


def test_without_a_file_the_last_session_of_the_folder_is_offered() -> None:
    onboarded()
    assert Session().notice.startswith(f"A session of {NAME} was left at Columns")


def test_a_file_that_changed_keeps_the_choices(folder: Path) -> None:
    first = onboarded(upto="Values")
    content = (folder / NAME).read_bytes()
    (folder / NAME).write_bytes(content.replace(b"Ort;", b"Stadt;"))
    again = Session(NAME)
    assert "has changed since" in again.notice
    again.act("session_go_on")
    assert again.step.title == "Columns"  # a column is new, and has to be decided
    assert again.step.missing() == "Not used: Stadt. Use them, or ignore them."
    assert again.mapping.columns == first.mapping.columns
    assert again.mapping.timezone == "Europe/Berlin"


def test_a_file_that_is_gone_leaves_the_choices_for_another(folder: Path) -> None:
    first = onboarded(upto="Values")
    (folder / NAME).rename(folder / "renamed.csv")
    again = Session(NAME)
    assert "is gone since" in again.notice
    assert "Put it back" in again.view().still()
    again.act("session_go_on")
    assert again.step.title == "File"
    again.act("choose", value="renamed.csv")
    again.act("session_next")
    assert again.step.missing() == ""
    assert again.mapping == first.mapping


FOREIGN = '{"source": "a", "digest": "", "at": 9, "steps": {}, "saved_at": "2026-01-01"}'


@pytest.mark.parametrize("content", ["{", "[]", '{"source": 1, "at": 0, "saved_at": "2026-01-01"}', FOREIGN])
def test_a_saved_session_that_cannot_be_read_is_put_aside(content: str) -> None:
    onboarded()
    [record] = saved()
    record.write_text(content, encoding="utf-8")
    again = Session(NAME)
    assert "cannot be read" in again.notice
    assert not again.found
    [aside] = saved()
    assert aside.read_text(encoding="utf-8") == content
    assert str(aside) in again.notice
    assert again.step.brief == f"{NAME}, 406 rows"  # it begins again


def test_a_wrong_header_row_is_said_and_another_can_be_chosen() -> None:
    session = Session("2026-10-01_customers.xlsx")
    file = session.step
    assert file.suggestion.header_row == 3
    session.act("state", of="header_row", value="1")
    assert file.suggestion is None or file.suggestion.header != ()
    session.act("state", of="header_row", value="3")
    assert file.suggestion.header[0] == "Customer No."
    assert "Customer master data" in session.view().still()


def test_an_encoding_can_be_told_and_one_that_does_not_fit_is_refused_in_place() -> None:
    session = Session(NAME)
    assert "cp1252, assumed" in session.view().still()
    session.act("state", of="encoding", value="utf-8")
    assert "cannot be decoded" in session.act("session_next")
    assert session.at == 0
    session.act("state", of="encoding", value="cp1252")
    session.act("session_next")
    assert session.step.mapping.encoding == "cp1252"


def test_an_upload_in_slices_is_the_file_and_never_replaces_one(folder: Path) -> None:
    content, session = (folder / NAME).read_bytes(), Session()
    cuts = [(at, content[at : at + 9_000]) for at in range(0, len(content), 9_000)]
    assert len(cuts) > 2
    for at, data in cuts:
        session.act("upload", name=f"../{NAME}", size=len(content), at=at, data=data)
    stored = folder / NAME.replace(".csv", " (2).csv")
    assert stored.read_bytes() == content
    assert stat.S_IMODE(stored.stat().st_mode) == 0o600
    assert session.step.brief == f"{stored.name}, 406 rows"
    session.act("upload", name="x.csv", size=10, at=0, data=b"12345")
    with pytest.raises(InputError, match="did not arrive"):
        session.act("upload", name="x.csv", size=10, at=6, data=b"1234")
    with pytest.raises(InputError, match="is not read"):
        session.act("upload", name="x.exe", size=1, at=0, data=b"1")
    session.close()
    assert not [*(tk.Settings().home / "uploads").iterdir()]


def test_what_an_action_raises_is_written_into_the_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, object]] = []
    monkeypatch.setattr(Panel, "send", lambda self, content, buffers=None: sent.append(content))
    panel = Panel(Session(NAME))
    panel._told(panel, {"id": "1", "do": "session_next"}, [])
    assert not sent[-1]["raised"]
    panel._told(panel, {"id": "2", "do": "set_timezone", "value": "Berlin"}, [])
    assert sent[-1]["raised"]
    assert "no zone has this IANA name" in json.dumps(sent[-1]["view"])
    monkeypatch.setattr(Session, "view", lambda self: 1 / 0)
    panel._told(panel, {"id": "3", "do": "show"}, [])
    assert "fault of the toolkit (ZeroDivisionError)" in json.dumps(sent[-1]["view"])
    assert panel.get_state().keys() & {"token", "state", "station"} == set()  # nothing of it would be saved


def test_a_terminal_is_told_which_calls_do_the_same() -> None:
    told = repr(tk.onboard(NAME))
    assert len(told.splitlines()) == 1
    assert f"tk.suggest_mapping({NAME!r})" in told


def test_choices_that_cannot_be_made_again_are_put_aside_and_said() -> None:
    onboarded(upto="Values")
    [record] = saved()
    content = json.loads(record.read_text(encoding="utf-8"))
    content["steps"]["Columns"] = {"of": "another version"}
    record.write_text(json.dumps(content), encoding="utf-8")
    again = Session(NAME)
    again.act("session_go_on")
    assert again.step.title == "Columns"
    assert "cannot be read" in again.notice
    assert [path.suffix for path in saved()].count(".aside") == 1
    json.dumps(again.view().tree())


def test_what_is_kept_of_a_session_is_gone_once_all_of_it_was_sent() -> None:
    session = onboarded(upto="Send")
    assert len(saved()) == 1
    assert session.act("start", what="push") == "It has begun."
    report = session.step.run.wait()
    assert report.ok
    assert (session.step.done, session.step.brief) == (True, f"{report.n_accepted} accepted")
    assert saved() == []
    json.dumps(session.view().tree(), allow_nan=False)
    assert session.calls[0] == f'report = tk.push_report("{report.push}")'


def test_two_panels_on_one_file_lose_nothing_of_each_other() -> None:
    first, second = onboarded(upto="Values"), Session(NAME)
    second.act("session_discard")
    second.act("session_next")
    second.act("set_timezone", value="Europe/Vienna")
    [record] = saved()
    theirs = record.read_bytes()
    first.act("set_empty", column="customer_name", value="keep")
    assert first.notice.startswith(f"Choices for {NAME} were kept by another panel, or earlier. A session of {NAME}")
    assert record.read_bytes() == theirs
    json.dumps(first.view().tree(), allow_nan=False)
    first.step.done = True
    first._stepped()
    assert record.exists()  # it is not this panel's
    first.step.done = False

    first.act("session_keep")
    [aside] = [path for path in saved() if path.suffix == ".aside"]
    assert aside.read_bytes() == theirs
    assert str(aside) in first.notice
    assert first.mapping.empty == {"customer_name": "keep"}
    mine = record.read_bytes()
    second.act("ignore")
    assert second.found["steps"]["Values"]["empty"] == {"customer_name": "keep"}
    second.act("session_go_on")
    assert (second.step.title, second.mapping.timezone) == ("Values", "Europe/Berlin")
    second.act("set_empty", column="customer_name", value="clear")
    assert mine != record.read_bytes()  # it goes on where the first one was
    first.act("set_empty", column="customer_category", value="keep")
    assert "another panel" in first.notice


def test_another_file_leaves_what_is_kept_of_the_first(folder: Path) -> None:
    session = onboarded(upto="Values")
    session.act("session_visit", at=0)
    session.act("choose", value="2026-10-01_customers.xlsx")
    session.act("session_next")
    assert len(saved()) == 2
    session.act("session_visit", at=0)
    session.act("choose", value=NAME)
    session.act("session_next")
    assert session.notice.startswith(f"Choices for {NAME} were kept")
    session.act("session_go_on")
    assert session.mapping.timezone == "Europe/Berlin"
