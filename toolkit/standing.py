"""Where a target stands: its ledger, its last pushes, what waits; and the targets of a home."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from toolkit.display import Result, badges, frame_table, heading, paragraph, plural, table
from toolkit.errors import JournalError
from toolkit.journal import Journal
from toolkit.receipts import FATES


@dataclass(frozen=True, eq=False, repr=False)
class Status(Result):
    """Where a target stands: its ledger, its last pushes, what waits.

    Attributes
    ----------
    pushes
        One row a push, newest first: ``push, state, opened_at, closed_at, rows``, the four fates, ``source``.
    targets
        One row for each target of the home: ``target, pushes`` (how many), ``last_push, opened_at, state`` of the last
        one, ``waiting`` (rows of its open push), ``note`` (why its journal cannot be read; else empty).
    """

    label: str
    n_customers: int
    n_versions: int
    pushes: pd.DataFrame
    folder: str
    targets: pd.DataFrame

    @property
    def open_push(self) -> str:
        """The push that waits to be resumed or abandoned; empty if there is none."""
        waiting = self.pushes.loc[self.pushes["state"] == "open", "push"]
        return str(waiting.iloc[0]) if len(waiting) else ""

    @property
    def n_waiting(self) -> int:
        """Rows of the open push that are unknown or unsent."""
        waiting = self.pushes[self.pushes["state"] == "open"]
        return int(waiting["unknown"].sum() + waiting["unsent"].sum())

    def summary(self) -> str:
        """Say it in one line."""
        others = self.targets[(self.targets["state"] == "open") & (self.targets["target"] != Path(self.folder).name)]
        waits = (
            f"push {self.open_push} is open, {plural(self.n_waiting, 'row waits', 'rows wait')}"
            if self.open_push
            else "no push is open"
        )
        return (
            f"{self.label} · {plural(self.n_customers, 'customer')} in the ledger, "
            f"{plural(len(self.pushes), 'push', 'pushes')} recorded, {waits}"
            + (f"; a push is open to {', '.join(others['target'])} too" if len(others) else "")
        )

    def body(self) -> str:
        """Give the pushes as an HTML fragment."""
        return "".join(
            [
                heading("Status", level=3),
                badges(
                    [
                        (self.n_customers, "customers", "good"),
                        (self.n_versions, "versions", "calm"),
                        (self.n_waiting, "rows waiting", "warn"),
                    ]
                ),
                paragraph(self.summary(), soft=True),
                frame_table(self.pushes) if len(self.pushes) else table([], []),
                *([heading("All targets"), frame_table(self.targets)] if len(self.targets) > 1 else []),
            ]
        )

    def to_frame(self) -> pd.DataFrame:
        """Give the pushes."""
        return self.pushes

    def to_dict(self) -> dict[str, Any]:
        """Give the counts and the pushes."""
        return {
            "label": self.label,
            "customers": self.n_customers,
            "versions": self.n_versions,
            "open_push": self.open_push,
            "waiting": self.n_waiting,
            "folder": self.folder,
            "pushes": self.pushes.astype(object).where(self.pushes.notna(), None).to_dict("records"),
            "targets": self.targets.to_dict("records"),
        }


def pushes_of(journal: Journal) -> pd.DataFrame:
    """Return one row a push of the journal, newest first."""
    rows = []
    for record in journal.pushes():
        fates = np.bincount(journal.fates(record.id)[0], minlength=len(FATES))
        rows.append(
            (
                record.id,
                record.state,
                record.opened_at[:19] + "Z",
                f"{record.closed_at[:19]}Z" if record.closed_at else "",
                record.n_rows,
                *map(int, fates),
                record.facts["source"],
                record.author,
            )
        )
    return pd.DataFrame(rows, columns=["push", "state", "opened_at", "closed_at", "rows", *FATES, "source", "author"])


def targets_of(folder: Path, *, clock: Callable[[], datetime]) -> pd.DataFrame:
    """Return one row for each target that has a journal in `folder`; a damaged one does not hide the others."""
    rows: list[tuple[str, int, str, str, str, int, str]] = []
    for path in sorted(folder.glob("*/journal.sqlite")):
        target = path.parent.name
        try:
            with Journal(path.parent, target, clock=clock) as journal:
                pushes = pushes_of(journal)
        except JournalError as error:
            rows.append((target, 0, "", "", "", 0, str(error)))
            continue
        last = pushes[["push", "opened_at", "state"]].head(1).to_numpy().ravel().tolist() or ["", "", ""]
        waiting = int(pushes.loc[pushes["state"] == "open", ["unknown", "unsent"]].to_numpy().sum())
        rows.append((target, len(pushes), *last, waiting, ""))
    columns = ["target", "pushes", "last_push", "opened_at", "state", "waiting", "note"]
    return pd.DataFrame(rows, columns=columns)
