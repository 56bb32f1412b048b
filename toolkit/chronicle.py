"""pushes(), report(): every push to a target, as a frame and a picture; and what became of one, at any time after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from toolkit.display import Result, badges, heading, paragraph, plural, table
from toolkit.fates import fate_bar, legend
from toolkit.journal import Journal
from toolkit.ledger import Ledger
from toolkit.pacing import Pace
from toolkit.receipts import FATES
from toolkit.reporting import PushReport, report_of
from toolkit.settings import Settings
from toolkit.standing import pushes_of

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
        return f"{plural(self.n_pushes, 'push', 'pushes')}, {self.n_accepted:,} rows accepted · {self.label}"

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
                badges([(self.n_pushes, "pushes", "calm"), (self.n_accepted, "rows accepted", "good")]),
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
    chosen = settings or Settings()
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
    chosen = settings or Settings()
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
