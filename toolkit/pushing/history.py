"""pushes(), report(): every push to a target, as a frame and a picture; and what became of one, at any time after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from toolkit.config import Settings, current
from toolkit.display import Result, badges, frame_table, heading, paragraph, plural, table
from toolkit.errors import JournalError
from toolkit.ledger import Ledger
from toolkit.pushing.report import PushReport, fate_bar, legend, report_of
from toolkit.sending import FATES, Journal, Pace


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
                        (self.n_customers, ("customer", "customers"), "good"),
                        (self.n_versions, ("version", "versions"), "calm"),
                        (self.n_waiting, ("row waiting", "rows waiting"), "warn"),
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


COLUMNS = ["push", "state", "opened_at", "closed_at", "rows", *FATES, "source", "author", "reason"]
ELSEWHERE = "elsewhere"
SHOWN = 30


@dataclass(frozen=True, eq=False, repr=False)
class PushHistory(Result):
    """The pushes to a target, newest first.

    Attributes
    ----------
    frame
        One row a push: ``push, state, opened_at, closed_at, rows``, the four fates, ``source, author, reason``. A push
        of another machine, and a seeding, has the state ``elsewhere`` and its accepted rows alone: the ledger knows no
        more.
    """

    frame: pd.DataFrame
    label: str

    @property
    def n_pushes(self) -> int:
        """Pushes."""
        return len(self.frame)

    @property
    def n_accepted(self) -> int:
        """Rows that all of them brought in."""
        return int(self.frame["accepted"].sum())

    def summary(self) -> str:
        """Say it in one line."""
        return f"{plural(self.n_pushes, 'push', 'pushes')}, {plural(self.n_accepted, 'row')} accepted · {self.label}"

    def body(self) -> str:
        """Draw a bar a push, as long as it has rows, in the colours of the fates."""
        longest = max(int(self.frame["rows"].max()) if self.n_pushes else 0, 1)
        rows = [
            (
                push["opened_at"],
                fate_bar({fate: int(push[fate]) for fate in FATES}, share=push["rows"] / longest),
                int(push["rows"]),
                push["source"],
                push["author"],
                push["reason"],
                push["state"],
                push["push"],
            )
            for push in self.frame.head(SHOWN).to_dict("records")
        ]
        heads = ["opened", "", "rows", "source", "author", "reason", "state", "push"]
        return "".join(
            [
                heading("Pushes", level=3),
                badges(
                    [
                        (self.n_pushes, ("push", "pushes"), "calm"),
                        (self.n_accepted, ("row accepted", "rows accepted"), "good"),
                    ]
                ),
                paragraph(self.label, soft=True),
                legend(),
                table(heads, rows, more=max(0, self.n_pushes - SHOWN)),
            ]
        )

    def to_frame(self) -> pd.DataFrame:
        """Give the pushes."""
        return self.frame

    def to_dict(self) -> dict[str, Any]:
        """Give the pushes."""
        return {"label": self.label, "pushes": self.frame.to_dict("records")}


def report(push: str = "", *, settings: Settings | None = None) -> PushReport:
    """Return what became of a push of this machine, the last one by default: as `push` did when it ended.

    Raises
    ------
    NothingOpenError
        If the journal has no such push.
    JournalError
        If the journal, or the file of the push's rows, cannot be read.
    """
    chosen = current(settings)
    with Journal(chosen.target_folder(), chosen.target, clock=Pace().now) as journal:
        return report_of(journal, push or journal.last().id)


def pushes(*, settings: Settings | None = None) -> PushHistory:
    """Return every push to the target: from this machine's journal, and from the ledger what others brought in.

    Examples
    --------
    >>> import tempfile
    >>> pushes(settings=Settings(home=tempfile.mkdtemp()))
    <PushHistory: 0 pushes, 0 rows accepted · target sandbox · embedded sandbox · contract 2026-04>
    """
    chosen = current(settings)
    with Journal(chosen.target_folder(), chosen.target, clock=Pace().now) as journal:
        reasons = {record.id: record.facts["reason"] for record in journal.pushes()}
        here = pushes_of(journal)
    entered = Ledger.of(chosen).pushes()
    others = entered[~entered["push"].isin(here["push"])]
    there = pd.DataFrame(
        {
            "push": others["push"],
            "state": ELSEWHERE,
            "opened_at": others["first_at"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "closed_at": others["last_at"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "rows": others["rows"],
            "accepted": others["rows"],
            "source": others["source_file"],
            "author": others["author"],
            "reason": others["reason"],
        }
    )
    both = pd.concat([here.assign(reason=here["push"].map(reasons)), there], ignore_index=True)
    both = both.fillna(dict.fromkeys(FATES, 0)).astype({"rows": "int64", **dict.fromkeys(FATES, "int64")})
    return PushHistory(
        both[COLUMNS].sort_values("opened_at", ascending=False, kind="stable", ignore_index=True), chosen.label
    )
