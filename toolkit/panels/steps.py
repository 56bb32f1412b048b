"""What the steps of a session have in common: the `Work` that they hand on, and the `Step` that each of them is."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolkit.model import Column, Delivery
from toolkit.panels.elements import Element, element, same_as
from toolkit.panels.station import Station
from toolkit.pushing import PushPlan
from toolkit.quality import Patch, ValidationReport
from toolkit.reading import Mapping, MappingSuggestion

PATCHED = ("--patch", "patch.csv")


@dataclass
class Work:
    """What a session has made so far, as plain objects; each step takes from it what earlier ones made, and adds to it.

    Attributes
    ----------
    source
        The path of the file, or what else a panel was given; None: not chosen yet.
    called
        The variable that an analyst calls the panel by.
    saved
        The file that the mapping was saved as; empty: none yet.
    stated
        What the first step states: encoding, delimiter, sheet, header row.
    """

    source: Any = None
    called: str = "panel"
    saved: str = ""
    stated: Mapping = field(default_factory=Mapping)
    suggestion: MappingSuggestion | None = None
    mapping: Mapping | None = None
    delivery: Delivery | None = None
    patch: Patch | None = None
    report: ValidationReport | None = None
    plan: PushPlan | None = None

    @property
    def path(self) -> str:
        """The path of the file as it was given; empty if the source is none."""
        path = str(self.source) if isinstance(self.source, str | Path) else ""
        return path.removeprefix(f"{Path.cwd()}{os.sep}")

    @property
    def toml(self) -> str:
        """The file that the mapping is saved as."""
        return self.saved or f"{Path(self.path).resolve().stem if self.path else 'customers'}.toml"

    @property
    def read(self) -> str:
        """The call that reads the customers."""
        return f"tk.read_customers({repr(self.path) if self.path else 'source'}, mapping={self.toml!r})"

    def command(self, verb: str, *options: str) -> str:
        """Return the command for the file as it is mapped; empty if the source is none."""
        return shlex.join(["toolkit", verb, self.path, "--mapping", self.toml, *options]) if self.path else ""


class Step(Station):
    """A station that is a step of a session.

    Attributes
    ----------
    done
        Whether the work is finished, so that nothing of the session has to be kept.
    work
        What the session has made so far; of a panel alone, only its source.
    """

    done = False

    def __init__(self) -> None:
        super().__init__()
        self.work = Work()

    def begin(self, work: Work) -> None:
        """Take from the work; called whenever the step is entered, and before `restore`."""

    def missing(self) -> str:
        """Return in a sentence what has to be done before the next step, and set `focus` to it; empty: nothing."""
        return ""

    def finish(self, work: Work) -> None:
        """Add to the work; called when the next step is asked for and nothing is missing."""

    def framed(self, verdict: str, *parts: object) -> Element:
        """Return what is shown: what it has come to, the parts, and the lines of code that do the same."""
        head = element("h4", verdict, class_="verdict", key="heading", aria_live="polite")
        return element("div", head, *parts, same_as(*filter(None, self.calls)), key=self.title)

    def kept(self) -> dict[str, Any]:
        """Return the choices made here, ready for JSON, so that a session survives a restart of the kernel."""
        return {}

    def restore(self, kept: dict[str, Any]) -> None:
        """Make the choices again that `kept` returned."""


def described(column: Column) -> str:
    """Return in words what a column of the schema takes.

    Examples
    --------
    >>> described(Column("updated_at", "datetime", nullable=False, key=True)), described(Column("size"))
    ('time, UTC, the key', 'text')
    """
    kind = {"datetime": "time, UTC", "string": "text"}.get(column.kind, column.kind)
    return ", ".join([" or ".join(column.values) or kind, *(["the key"] if column.key else [])])


def table(title: str, columns: list[tuple[str, str, str, list[Element]]]) -> Element:
    """Return a table that scrolls sideways, by columns: each with its name, a small line, its class, and its cells."""
    heads = [element("th", name, element("small", small) if small else None, scope="col", class_=styled)
             for name, small, styled, _ in columns]  # fmt: skip
    rows = [element("tr", list(row)) for row in zip(*(cells for *_, cells in columns), strict=True)]
    table = element("table", element("thead", element("tr", heads)), element("tbody", rows))
    return element("div", table, class_="wrap", tabindex="0", role="region", aria_label=title)
