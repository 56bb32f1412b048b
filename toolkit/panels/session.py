"""`onboard`: the steps from a file to the sent rows, one after the other; what was done survives a restart.

A session is kept in the home, readable by its user only, after every action: the path and the digest of its file, the
step, and the choices of each step. What the steps made of them (`Work`) is made again from the file.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from toolkit.config import current
from toolkit.errors import wrong_kind
from toolkit.files import replacing
from toolkit.panels.columns import Columns
from toolkit.panels.elements import Element, button, element, note
from toolkit.panels.file_step import File
from toolkit.panels.panel import Panel
from toolkit.panels.push_panel import PushStation
from toolkit.panels.review import Review
from toolkit.panels.station import Station, action
from toolkit.panels.steps import Step, Work
from toolkit.panels.values import Values
from toolkit.pushing import PushPlan
from toolkit.quality import Patch, ValidationReport
from toolkit.reading import Mapping

FOLDER = "sessions"


class Session(Station):
    """The steps from a file to the sent rows.

    Attributes
    ----------
    work
        What the steps have made so far.
    steps, at
        The steps, and the number of the one that is shown.
    found
        A saved session of the file that may be gone on with; empty if there is none.
    """

    def __init__(self, source: str | Path | None = None) -> None:
        super().__init__()
        if source is not None and not isinstance(source, str | Path):
            raise wrong_kind(source, "the path of a file", 'onboard("export.csv")')
        path = None if source is None else Path(source).absolute()
        self._folder = path.parent if path and path.parent.is_dir() else Path.cwd()
        self._digested: tuple[Path | None, str | None] = None, None
        self._seen: tuple[Path, bytes | None] = path or Path(), None
        self._begin(path)
        self.found, self.notice = self._saved(path)
        if not self.found:
            self._enter(0)
        self.focus = ""  # to run a cell moves nobody's focus

    def _begin(self, path: Path | None) -> None:
        self.file, self.work, self.at, self.told = File(self._folder), Work(path, "session"), 0, ""
        self.steps: list[Step] = [self.file, Columns(), Values(), Review(), PushStation()]
        self._reached = 0
        for step in self.steps:
            step.changed, step.work = self._stepped, self.work
        self._kept: dict[str, Any] = {}

    @property
    def step(self) -> Step:
        """The step that is shown."""
        return self.steps[self.at]

    @property
    def mapping(self) -> Mapping | None:
        """The mapping, as it stands now."""
        for step in self.steps[self.at :: -1]:  # what was chosen, else what was proposed
            for holder in (step, getattr(step, "suggestion", None)):
                if isinstance(found := getattr(holder, "mapping", None), Mapping):
                    return found
        return None

    @property
    def calls(self) -> tuple[str, ...]:
        """The lines of Python and the command that do the same as the step."""
        return self.step.calls

    # --- what is kept in the home; `_seen`: the file, and what is kept of it as this panel last read or wrote it

    def _record(self, path: Path) -> Path:
        name = hashlib.sha256(str(path).encode()).hexdigest()[:16]
        return current(None).folder(FOLDER) / f"{name}.json"

    def _saved(self, path: Path | None) -> tuple[dict[str, Any], str]:
        """Return the session that was saved for a file, without one for any of the folder, and what to know of it."""
        found, unread = list[tuple[str, Path, bytes, dict[str, Any], str]](), ""
        for record in [self._record(path)] if path else (current(None).home / FOLDER).glob("*.json"):
            if (text := _content(record)) is None:
                continue
            try:
                saved = json.loads(text)
                step, at = self.steps[saved["at"]].title, f"{datetime.fromisoformat(saved['saved_at']):%Y-%m-%d %H:%M}Z"
                source, _ = Path(saved["source"]), dict(saved["steps"])
            except (ValueError, LookupError, TypeError):
                unread = f"A saved session cannot be read. {_put_aside(record)} A mapping that was finished is " \
                         "proposed again. "  # fmt: skip
                continue
            if not source.exists():
                told = f"{source.name} is gone since {at}. Put it back and run this cell again, or go on with " \
                       f"another file: the choices, up to {step}, are kept."  # fmt: skip
            elif _digest(source) != saved["digest"]:
                told = f"{source.name} has changed since {at}. The choices, up to {step}, are kept."
            else:
                told = f"A session of {source.name} was left at {step}, on {at}."
            if path or source.parent == Path.cwd():
                found.append((at, source, text, saved, told))
        if not found:
            return {}, unread
        _, source, text, saved, told = max(found, key=lambda each: each[0])
        self._seen = source, text
        return saved, unread + told

    def _save(self) -> None:
        path = self.file.path
        if path is None or self.found or not (self.at or self.step.kept()):
            return  # there is nothing to go on with
        if self.step.done:
            self.end()
            return
        record, (source, text) = self._record(path), self._seen
        if _content(record) not in (None, text):
            self.found, told = self._saved(path)
            self.notice = f"Choices for {path.name} were kept by another panel, or earlier. {told}"
            return
        if self._digested[0] != path:
            self._digested = path, _digest(path)
        made = {step.title: step.kept() for step in self.steps[: self._reached + 1]}
        kept = {"source": str(path), "digest": self._digested[1], "at": self.at, "steps": self._kept | made,
                "saved_at": datetime.now(UTC).isoformat()}  # fmt: skip
        with replacing(record) as part:
            part.write_text(json.dumps(kept), encoding="utf-8")
        if source != path and not source.exists():
            self.end()  # its choices are those of another file now
        self._seen = path, _content(record)

    def end(self) -> None:
        """Delete what is kept of the session: it was sent, or discarded; what another panel keeps since is left."""
        source, text = self._seen
        if text is not None and _content(record := self._record(source)) == text:
            record.unlink(missing_ok=True)

    def close(self) -> None:
        """End what the steps have open."""
        for step in self.steps:
            step.close()

    # --- what a browser may ask for

    def act(self, do: str, **said: Any) -> str | dict[str, Any] | None:
        """Do what the browser asks of the session or of its step; then keep how far it is."""
        if do.startswith("session_"):
            answer = super().act(do, **said)
            self.focus = self.step.focus or self.focus
        else:
            answer = self.step.act(do, **said)
            self.focus = self.step.focus
            self.told = self.told and self.step.missing()
        self.step.focus = ""
        if not isinstance(answer, dict):  # which only shows something
            self._save()
        return answer

    def _stepped(self, **how: bool) -> None:
        """Take in that the step changed by itself."""
        self.focus, self.step.focus = self.step.focus or self.focus, ""
        if self.step.done and not self.found:
            self.end()
        self.changed(**how)

    def _enter(self, at: int) -> None:
        step = self.steps[at]
        step.begin(self.work)
        self.at, self.focus = at, "heading"
        self._reached = max(self._reached, at)
        if step.title in self._kept:
            try:
                step.restore(self._kept.pop(step.title))
            except (AttributeError, LookupError, TypeError, ValueError):
                self.notice = f"The choices of {step.title} cannot be read. {_put_aside(self._record(self._seen[0]))}"

    @action
    def session_next(self) -> str:
        """Go to the next step, if nothing is missing."""
        self.told = self.step.missing()
        if not self.told:
            self.step.finish(self.work)
            self._enter(self.at + 1)
        return self.told or f"Step {self.at + 1}, {self.step.title}."

    @action
    def session_visit(self, at: int) -> None:
        """Go back to an earlier step."""
        if 0 <= at < self.at:
            self.told, self.at, self.focus = "", at, "heading"

    @action
    def session_go_on(self) -> None:
        """Go on with the saved session: make its choices again, up to its step or to what is missing."""
        saved, path, self.found, self.notice = self.found, Path(self.found["source"]), {}, ""
        self._begin(path if path.exists() else None)
        self._kept = dict(saved["steps"])
        self._enter(0)
        while self.at < saved["at"] and not self.notice and not self.step.missing():
            self.step.finish(self.work)
            self._enter(self.at + 1)

    @action
    def session_keep(self) -> None:
        """Go on with what is done here; what another panel kept is put aside."""
        self.found, self.notice = {}, f"You go on with what is done here. {_put_aside(self._record(self._seen[0]))}"

    @action
    def session_discard(self) -> str:
        """Delete what is kept of the session, and begin again."""
        self.end()
        self.found, self.notice = {}, ""
        self._begin(self.work.source)
        self._enter(0)
        return "The session was discarded."

    # --- what is shown

    def view(self) -> Element:
        """Return the steps, and the one that is shown."""
        name = Path(self.work.source).name if self.work.source else "a file"
        target = f" → {current(None).target}"
        head = element("h3", "Onboard customers · ", element("b", name), target, class_="kick")
        if self.found:
            here = button("Keep what is done here", "session_keep") if self.file.path else None
            offer = note("changed", element("p", self.notice),
                         element("p", button("Go on with it" if here else "Go on", "session_go_on", main=True), here,
                                 button("Discard and begin again", "session_discard"), class_="row"))  # fmt: skip
            return element("div", head, offer, key="session")
        way = button("Next", "session_next", main=True) if self.at + 1 < len(self.steps) else None
        told = element("output", f"! {self.told}", class_="warn", key="told", role="alert") if self.told else None
        leave = "Begin again" if self.step.done else "Discard" if self.work.suggestion is not None else ""
        return element(
            "div",
            head,
            element("nav", element("ol", [self._mark(at) for at in range(len(self.steps))], class_="steps"),
                    aria_label=f"Steps of {name}"),
            note("warn", self.notice) if self.notice else None,
            self.step.view(),
            element("div", button(leave, "session_discard") if leave else None, told, way, class_="foot"),
            key="session",
        )  # fmt: skip

    def _mark(self, at: int) -> Element:
        step, done = self.steps[at], at < self.at
        words = [element("i", "✓" if done else str(at + 1)), step.title, element("small", step.brief)]
        inner = button(words, "session_visit", at=at) if done else element("span", words)
        here = "step" if at == self.at else ""
        return element("li", inner, class_="later" if at > self.at else "", aria_current=here)


def _content(path: Path) -> bytes | None:
    """Return what is in a file; None if it is gone."""
    with suppress(OSError):
        return path.read_bytes()
    return None


def _digest(path: Path) -> str | None:
    """Return the digest of the bytes of a file, or of those in a folder; None if it is gone."""
    with suppress(OSError):
        if path.is_dir():
            return " ".join(f"{part.name} {_digest(part)}" for part in sorted(path.iterdir()) if part.is_file())
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    return None


def _put_aside(record: Path) -> str:
    """Give what is kept of a session another name, and say which."""
    aside = record.with_suffix(f".{datetime.now(UTC):%Y%m%dT%H%M%S%f}.aside")
    with suppress(FileNotFoundError):  # it was sent or discarded just now
        record.replace(aside)
    return f"It was put aside as {aside}, and nothing of it was deleted."


class OnboardPanel(Panel):
    """The panel of a session; what its steps have made are plain objects."""

    station: Session

    @property
    def _review(self) -> Review | None:
        """The review, once it began."""
        return next((s for s in self.station.steps[: self.station.at + 1] if isinstance(s, Review)), None)

    @property
    def mapping(self) -> Mapping | None:
        """The mapping, as it stands now; None before a file is chosen."""
        return self.station.mapping

    @property
    def patch(self) -> Patch | None:
        """The corrections of single cells; None before they are made."""
        return self._review.patch if self._review else None

    @property
    def report(self) -> ValidationReport | None:
        """The validation report; None before the review."""
        return self._review.report if self._review else None

    @property
    def plan(self) -> PushPlan | None:
        """The plan of the push; None before the last step."""
        return self.station.work.plan


def onboard(source: str | Path | None = None) -> OnboardPanel:
    """Take a file to accepted rows in a notebook without writing code: file, columns, values, review, send.

    What is done is kept in the home, private, until it is sent or discarded: after a restart of the kernel the same
    call offers to go on.

    Parameters
    ----------
    source
        The file; None: it is chosen in the panel.

    Returns
    -------
    OnboardPanel
        Shown already; its ``mapping``, ``patch``, ``report`` and ``plan`` are what the steps have made.

    Raises
    ------
    InputError
        If `source` is no path.
    """
    panel = OnboardPanel(Session(source))
    panel.show()
    return panel
