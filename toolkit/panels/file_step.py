"""The file: chosen in the notebook's folder or uploaded, and how it is opened: sheet, encoding, header row."""

from __future__ import annotations

import shlex
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from toolkit.config import current
from toolkit.display import plural
from toolkit.errors import ToolkitError
from toolkit.panels.elements import Element, element, labelled, note, select, short, tick
from toolkit.panels.station import action
from toolkit.panels.steps import Work, described
from toolkit.panels.upload import Upload
from toolkit.reading import ENDINGS, Mapping, MappingSuggestion, Start, read_start, readable_files, suggest_mapping

WIDEST = 12
"""Columns of the first rows that are shown."""
ENCODINGS = ("utf-8", "cp1252", "utf-16", "iso-8859-15", "cp1250", "cp1251", "cp850", "mac_roman")
DELIMITERS = {";": "semicolon ;", ",": "comma ,", "\t": "tab", "|": "bar |"}


class File(Upload):
    """Which file is onboarded, and how it is opened.

    Attributes
    ----------
    path
        The file; None: not chosen yet.
    stated
        What was stated about how it is opened.
    start, suggestion
        Its first records, and what was proposed for it; None until it can be read.
    refused
        Why it cannot be read as stated; empty if it can.
    """

    title, endings = "File", ENDINGS

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(folder)
        self.path: Path | None = None
        self.stated = Mapping()
        self.start: Start | None = None
        self.suggestion: MappingSuggestion | None = None
        self.refused = ""

    @property
    def brief(self) -> str:
        """The file, and how many rows it has."""
        return f"{self.path.name}, {plural(self.suggestion.n_rows, 'row')}" if self.path and self.suggestion else ""

    @property
    def calls(self) -> tuple[str, ...]:
        """The line of Python and the command that do the same."""
        path = Work(self.path).path or "export.csv"
        stated = ", ".join(f"{key}={value!r}" for key, value in self.stated.content().items())
        asked = f", mapping=tk.Mapping({stated})" if stated else ""
        command = "" if stated else f"toolkit suggest {shlex.quote(path)}"  # it has no options for all of them
        return f"suggestion = tk.suggest_mapping({path!r}{asked})", command

    def missing(self) -> str:
        """Return that a file has to be chosen, or why it cannot be read."""
        self.focus = "" if self.suggestion else "file"
        return self.refused or ("" if self.suggestion else "Choose a file first.")

    # --- as a step

    def begin(self, work: Work) -> None:
        """Open the file of the work."""
        if work.source is not None and (self.path != work.source or self.suggestion is None):
            self._open(work.source, work.stated)

    def finish(self, work: Work) -> None:
        """Give the file, how it is opened, and what was proposed."""
        work.source, work.stated, work.suggestion = self.path, self.stated, self.suggestion

    def kept(self) -> dict[str, Any]:
        """Return how the file is opened."""
        return self.stated.content()

    def restore(self, kept: dict[str, Any]) -> None:
        """Open the file so again."""
        if self.path is not None:
            self._open(self.path, Mapping.of(kept))

    def _open(self, path: Path, stated: Mapping) -> None:
        self.path, self.stated, self.suggestion, self.start, self.refused = path, stated, None, None, ""
        try:
            self.suggestion = suggest_mapping(path, mapping=stated)
            self.start = read_start(path, replace(stated, sheet=self.suggestion.sheet or None))
        except ToolkitError as error:
            self.refused = str(error)
            for how in (stated, Mapping()):  # what can be chosen otherwise, if anything of it can be read
                with suppress(ToolkitError):
                    self.start = self.start or read_start(path, how)

    # --- what a browser may ask for

    @action
    def choose(self, value: str) -> str | None:
        """Choose a file of the folder."""
        if not value:
            return None
        return self.take(self.folder / value)

    def take(self, path: Path) -> str:
        """Open a file as it seems to be."""
        self._open(path, Mapping())
        return self.refused or f"{self.brief}."

    @action
    def state(self, of: str, value: str) -> str | None:
        """State how the file is opened; an empty value: as detected."""
        if self.path is None:
            return None
        wanted: Any = int(value) if of == "header_row" else value or None
        changes = {of: wanted} | ({"header_row": None} if of == "sheet" else {})
        self._open(self.path, replace(self.stated, **changes))
        return self.refused or None

    # --- what is shown

    def view(self) -> Element:
        """Return what is expected, the choice of a file, and the start of the one chosen."""
        chosen = self.path.name if self.path else ""
        names = dict.fromkeys([*(path.name for path in readable_files(self.folder)), *([chosen] if chosen else [])])
        listed = {"": "— choose —"} | {name: name for name in names}
        wanted = current(None).documented.resource.columns
        return self.framed(
            self.brief or "Choose the file to onboard",
            element("div",
                    element("div", element("p", "What is expected", class_="lab"), element("ul", [
                        element("li", element("code", c.name), element("small", f" {described(c)}",
                                "" if c.nullable else ", required")) for c in wanted])),
                    element("div",
                            labelled("A file of the notebook's folder", select(listed, chosen, "choose", key="file")),
                            self.drop("or drop one here, or choose one of your computer")),
                    class_="two"),
            note("bad", self.refused, key="refused", role="alert") if self.refused else None,
            self._opened(self.start, self.suggestion) if self.start else None,
        )  # fmt: skip

    def _opened(self, start: Start, found: MappingSuggestion | None) -> Element:
        at = self.stated.header_row or (found.header_row if found else 0)
        how = found.sheet if found else self.stated.sheet or ""
        encodings = {"": f"as detected: {start.known_by}"} | {name: name for name in ENCODINGS}
        delimiters = {"": f"as detected: {DELIMITERS.get(start.delimiter, start.delimiter)}"} | DELIMITERS
        sheets = [
            tick([name, element("small", what)], name == how, "state", key=f"sheet-{n}", kind="radio", value=name,
                 name="sheet", of="sheet") for n, (name, what) in enumerate(start.sheets)
        ]  # fmt: skip
        width = max(map(len, start.records), default=0)
        rows = [
            element("tr", element("td", tick(str(n), n == at, "state", key=f"header-{n}", kind="radio", value=str(n),
                                             name="header", of="header_row")),
                    [element("td", short(text)) for text in [*record, *[""] * (width - len(record))][:WIDEST]],
                    class_="sel" if n == at else "")
            for n, record in enumerate(start.records, start=1)
        ]  # fmt: skip
        return element(
            "div",
            [note("warn", *warning.splitlines()) for warning in start.warnings],
            element("fieldset", element("legend", "Sheet"), sheets) if sheets else None,
            element("div",
                    _chosen("Encoding", encodings, self.stated.encoding, "encoding"),
                    _chosen("Delimiter", delimiters, self.stated.delimiter, "delimiter"), class_="row")
            if start.encoding else None,
            element("fieldset",
                    element("legend", "Which row is the header? ", element("small", "what is above it is not read")),
                    element("div", element("table", element("tbody", rows)), class_="wrap hdr", tabindex="0",
                            role="region", aria_label=f"First rows of {self.brief}")) if rows else None,
            element("ul", [element("li", line) for line in found.notes], class_="s") if found else None,
        )  # fmt: skip


def _chosen(label: str, options: dict[str, str], value: str | None, of: str) -> Element:
    return labelled(label, select(options, value or "", "state", key=of, of=of))
