"""What became of a push, row by row: the report that `push`, `resume` and `dry_run` end with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from toolkit.contract import CUSTOMER, TIME
from toolkit.display import Result, badges, frame_table, heading, paragraph, plural, table
from toolkit.engine import to_frame
from toolkit.errors import JournalError
from toolkit.journal import Journal
from toolkit.receipts import FATES, OVERTAKEN, Fate

_NO_ROW = pa.schema([*CUSTOMER.arrow_schema(), ("source_row", pa.int64()), ("state", pa.string())]).empty_table()
REFUSAL_COLUMNS = ["source_row", *CUSTOMER.key, "code", "category", "message"]


@dataclass(frozen=True, eq=False, repr=False)
class PushReport(Result):
    """What became of every row of a push.

    Attributes
    ----------
    push, plan
        The push's name, and the digest of its plan.
    rows
        The planned rows with their ``fate``, ``code``, ``category`` and ``message``, index ``source_row``.
    n_attempts, n_batches
        Requests made, and batches planned.
    n_left_out, n_quarantined
        Rows of the delivery that were not planned.
    state
        ``done``, ``open`` (something waits: resume or abandon) or ``abandoned``; ``dry run`` where the vendor
        only checked.
    stopped
        Why the push stopped before its end; empty if it did not.
    """

    push: str
    plan: str
    rows: pd.DataFrame
    label: str
    state: str
    n_batches: int
    n_attempts: int
    n_left_out: int
    n_quarantined: int
    source: str
    stopped: str = ""

    @property
    def n_rows(self) -> int:
        """Rows planned: the four fates add up to them."""
        return len(self.rows)

    def count(self, fate: Fate) -> int:
        """Count the rows of a fate."""
        return int((self.rows["fate"] == fate).sum())

    @property
    def n_accepted(self) -> int:
        """Rows that the vendor accepted and buffered; they are loaded when its table is next written."""
        return self.count("accepted")

    @property
    def n_refused(self) -> int:
        """Rows that the vendor refused."""
        return self.count("refused")

    @property
    def n_unknown(self) -> int:
        """Rows that left, and no answer could be read."""
        return self.count("unknown")

    @property
    def n_unsent(self) -> int:
        """Rows that were not sent, or certainly not taken."""
        return self.count("unsent")

    @property
    def ok(self) -> bool:
        """Whether every row was accepted."""
        return self.n_accepted == self.n_rows

    @property
    def refused(self) -> pd.DataFrame:
        """The refused rows with the vendor's reason: ``source_row``, the key, ``code, category, message``."""
        return self.rows[self.rows["fate"] == "refused"].reset_index()[REFUSAL_COLUMNS]

    @property
    def overtaken(self) -> pd.DataFrame:
        """The rows that a resume left out, since another push had brought their version in; as `refused`."""
        return self.rows[self.rows["message"] == OVERTAKEN].reset_index()[REFUSAL_COLUMNS]

    def summary(self) -> str:
        """Say the fates in one line."""
        fates = ", ".join(f"{self.count(f):,} {f}" for f in FATES if self.count(f) or f == "accepted")
        return f"{plural(self.n_rows, 'row')}: {fates} · {self.state} · {self.label} · push {self.push}"

    def body(self) -> str:
        """Give the fates and the refused rows as an HTML fragment."""
        parts = [
            heading(
                f"Push of {self.source}" + (" (dry run: nothing written)" if self.state == "dry run" else ""), level=3
            ),
            badges(
                [
                    (self.n_accepted, "accepted", "good"),
                    (self.n_refused, "refused", "bad"),
                    (self.n_unknown, "unknown", "warn"),
                    (self.n_unsent, "unsent", "warn"),
                ]
            ),
            paragraph(
                f"{self.label} · {plural(self.n_attempts, 'request')} for "
                f"{plural(self.n_batches, 'batch', 'batches')} · {self.n_quarantined:,} quarantined and "
                f"{self.n_left_out:,} left out before · push {self.push} is {self.state}",
                soft=True,
            ),
        ]
        if self.stopped:
            parts.append(paragraph(f"Stopped: {self.stopped}"))
        if self.n_refused:
            parts += [heading("Refused by the vendor"), frame_table(self.refused)]
        if len(self.overtaken):
            parts += [heading("Left out of the resume"), frame_table(self.overtaken)]
        if self.state == "open":
            parts.append(paragraph("Rows wait: resume() sends what has no receipt, abandon() closes the push."))
        return "".join(parts)

    def to_frame(self) -> pd.DataFrame:
        """Give every planned row with its fate."""
        return self.rows

    def to_dict(self) -> dict[str, Any]:
        """Give the counts and the refused rows' keys and reasons."""
        refused = self.refused.head(1000).astype({TIME: "str"})
        return {
            "plan": self.plan,
            "push": self.push,
            "state": self.state,
            "rows": self.n_rows,
            **{fate: self.count(fate) for fate in FATES},
            "quarantined": self.n_quarantined,
            "left_out": self.n_left_out,
            "batches": self.n_batches,
            "attempts": self.n_attempts,
            "refusals": refused.to_dict("records"),
        }


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
            f"push {self.open_push} is open, {plural(self.n_waiting, 'row')} wait"
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


def report_of(
    journal: Journal, push: str, *, state: str = "", stopped: str = "", rows_lost: bool = False
) -> PushReport:
    """Draw up the report of a push from its journal; where its rows are lost, of their fates alone."""
    record = journal.push(push)
    rows = to_frame(
        _NO_ROW.take(pa.nulls(record.n_rows, pa.int64())) if rows_lost else journal.rows(push), index="source_row"
    )
    fates, _ = journal.fates(push)
    rows["fate"] = pd.Categorical.from_codes(fates, dtype=pd.CategoricalDtype(list(FATES)))
    named = [r for r in journal.receipts(push) if r.message or r.code or r.category]
    for field in ("code", "category", "message"):
        texts = np.full(len(rows), "", dtype=object)
        for receipt in named:
            texts[receipt.first : receipt.stop] = getattr(receipt, field)
        rows[field] = pd.Series(texts, index=rows.index, dtype="str")
    return PushReport(
        push=push,
        plan=record.plan,
        rows=rows,
        label=record.label,
        state=state or record.state,
        n_batches=record.n_batches,
        n_attempts=journal.n_attempts(push),
        n_left_out=record.facts["n_left_out"],
        n_quarantined=record.facts["n_quarantined"],
        source=record.facts["source"],
        stopped=stopped,
    )


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
