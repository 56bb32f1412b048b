"""Mappings that were used before: each is kept in the home with the header of its file, and found again by it.

A file here is one version of a mapping for one shape of file. They are private (0600), for headers are customers'.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from toolkit.config import Settings, current
from toolkit.display import Cell, Result, ShownFrame, code, grid, headline, joined, plural, section
from toolkit.errors import MappingError
from toolkit.files import replacing
from toolkit.reading.mapping import Mapping

FOLDER = "mappings"
NEAR = 0.8
"""Share of the names of two headers that have to be the same for the files to be of one kind."""


@dataclass(frozen=True)
class Remembered:
    """A mapping that was used before.

    Attributes
    ----------
    source, header
        The name of the file that it was last used for, and the names of its columns.
    at
        When that was, in UTC.
    added, gone
        The columns that the file at hand has besides, and that it lacks.
    """

    mapping: Mapping
    source: str
    header: tuple[str, ...]
    at: datetime
    added: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [f"Mapped like {self.source} on {self.at:%Y-%m-%d %H:%M}Z, version {self.mapping.version}"]
        parts += [f"{', '.join(names)} {word}" for names, word in ((self.added, "new"), (self.gone, "gone")) if names]
        return "; ".join(parts)


@dataclass(frozen=True, eq=False, repr=False)
class Mappings(Result):
    """The mappings that were used before, the last used first.

    Attributes
    ----------
    kept
        Each with its file's name and header.
    """

    kept: tuple[Remembered, ...]

    def summary(self) -> str:
        """Say in one line how many there are."""
        return f"{plural(len({r.mapping.version for r in self.kept}), 'version')} of mappings kept" + (
            f", last used for {self.kept[0].source}" if self.kept else ""
        )

    def body(self) -> str:
        """Give each mapping with its columns."""
        rows = [
            (r.mapping.version, r.source, Cell(f"{r.at:%Y-%m-%d %H:%M}Z"),
             ", ".join(f"{column} = {name}" for column, name in r.mapping.columns.items()))
            for r in self.kept
        ]  # fmt: skip
        heads = ["Version", "Last used for", "At", "Columns"]
        return joined(
            headline("Mappings", self.summary()),
            section("Kept", grid("Mappings", heads, rows, unit="mappings")),
            section("What now", code('tk.mappings()["VERSION"].to_toml("mapping.toml")')),
        )

    def __getitem__(self, version: str) -> Mapping:
        """Return a mapping by its version, or the beginning of it."""
        found = {r.mapping.version: r.mapping for r in self.kept if r.mapping.version.startswith(version)}
        if len(found) != 1:
            known = ", ".join(dict.fromkeys(r.mapping.version for r in self.kept)) or "none"
            raise MappingError(f"No one mapping has the version {version!r}. Kept are: {known}.")
        return next(iter(found.values()))

    def to_frame(self) -> pd.DataFrame:
        """Give one row for each mapping and shape of file: ``version, source, at, columns, header``."""
        rows = [
            (r.mapping.version, r.source, pd.Timestamp(r.at), dict(r.mapping.columns), list(r.header))
            for r in self.kept
        ]
        return ShownFrame(rows, columns=["version", "source", "at", "columns", "header"])

    def to_dict(self) -> dict[str, Any]:
        """Give the mappings, each with its content."""
        kept = [
            {"version": r.mapping.version, "source": r.source, "at": r.at.isoformat(), "content": r.mapping.content()}
            for r in self.kept
        ]
        return {"mappings": kept}


def mappings(*, settings: Settings | None = None) -> Mappings:
    """Return the mappings that were used before, the last used first.

    A mapping is kept when a push is made with it, and when it is finished in a panel.

    Parameters
    ----------
    settings
        Their home is where they are kept. None: the settings that `toolkit.use` chose, otherwise the environment's.
    """
    return Mappings(tuple(sorted(_kept(current(settings)), key=lambda r: r.at, reverse=True)))


def remember(mapping: Mapping, header: Sequence[str], source: str, *, settings: Settings | None = None) -> None:
    """Keep a mapping with the header of the file that it is used for."""
    shape = hashlib.sha256(json.dumps(sorted(header)).encode()).hexdigest()[:8]
    record = {"mapping": mapping.content(), "header": list(header), "source": source,
              "at": datetime.now(UTC).isoformat()}  # fmt: skip
    with replacing(current(settings).folder(FOLDER) / f"{mapping.version}-{shape}.json") as part:
        part.write_text(json.dumps(record), encoding="utf-8")


def recall(header: Sequence[str], *, settings: Settings | None = None) -> Remembered | None:
    """Return the mapping that was last used for a file of this header, or of nearly this header; None: there is none.

    All columns that it names are there, so that it can be used as it is.
    """
    here, found = dict.fromkeys(name for name in header if name.strip()), []
    for kept in _kept(current(settings)):
        added = tuple(name for name in here if name not in kept.header)
        gone = tuple(name for name in kept.header if name.strip() and name not in here)
        near = len(here) - len(added) >= NEAR * (len(here) + len(gone))
        if near and kept.mapping.columns and set(kept.mapping.columns.values()) <= set(here):
            found.append(Remembered(kept.mapping, kept.source, kept.header, kept.at, added, gone))
    return max(found, key=lambda r: (-len(r.added) - len(r.gone), r.at), default=None)


def _kept(settings: Settings) -> Iterator[Remembered]:
    for path in (settings.home / FOLDER).glob("*.json"):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            at = datetime.fromisoformat(record["at"])
            yield Remembered(Mapping.of(record["mapping"]), record["source"], tuple(record["header"]), at)
        except (OSError, ValueError, LookupError, TypeError, MappingError):
            continue  # cut short, or of another version: it proposes nothing
