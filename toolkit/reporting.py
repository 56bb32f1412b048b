"""What became of a push, row by row: the report that `push`, `resume` and `dry_run` end with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from toolkit.contract import CUSTOMER, TIME
from toolkit.display import Markup, Result, badges, frame_table, heading, paragraph, plural
from toolkit.engine import to_frame
from toolkit.errors import InputError
from toolkit.fates import Timing, fate_bar, verdict
from toolkit.journal import Journal
from toolkit.receipts import FATES, OVERTAKEN, Fate
from toolkit.writing import write_table

_NO_ROW = pa.schema([*CUSTOMER.arrow_schema(), ("source_row", pa.int64()), ("state", pa.string())]).empty_table()
_SAID = ("code", "category", "message", "column")
REFUSAL_COLUMNS = ["source_row", *CUSTOMER.key, *_SAID]


@dataclass(frozen=True, eq=False, repr=False)
class PushReport(Result):
    """What became of every row of a push.

    Attributes
    ----------
    push, plan
        The push's name, and the digest of its plan.
    rows
        The planned rows with their ``fate``, ``code``, ``category`` and ``message``, and the ``column`` that the vendor
        named, index ``source_row``.
    n_attempts, n_batches
        Requests made, and batches planned.
    n_left_out, n_quarantined
        Rows of the delivery that were not planned.
    state
        ``done``, ``open`` (something waits: resume or abandon) or ``abandoned``; ``dry run`` where the vendor
        only checked.
    stopped
        Why the push stopped before its end; empty if it did not.
    attempts
        One row a request, in their order: ``batch, sent_at, answered_at, status, verdict, digest``; times in UTC.
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
    attempts: pd.DataFrame = field(default_factory=pd.DataFrame)

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
        """The refused rows with the vendor's reason: ``source_row``, the key, ``code, category, message, column``."""
        return self.rows[self.rows["fate"] == "refused"].reset_index()[REFUSAL_COLUMNS]

    @property
    def counts(self) -> dict[str, int]:
        """The rows of each fate."""
        return {fate: self.count(fate) for fate in FATES}

    @property
    def timing(self) -> Timing:
        """How long it took, and how long it waited."""
        return Timing.of(self.attempts)

    @property
    def overtaken(self) -> pd.DataFrame:
        """The rows that a resume left out, since another push had brought their version in; as `refused`."""
        return self.rows[self.rows["message"] == OVERTAKEN].reset_index()[REFUSAL_COLUMNS]

    def summary(self) -> str:
        """Say the fates in one line."""
        fates = ", ".join(f"{self.count(f):,} {f}" for f in FATES if self.count(f) or f == "accepted")
        return f"{plural(self.n_rows, 'row')}: {fates} · {self.state} · {self.label} · push {self.push}"

    def body(self) -> str:
        """Give the verdict, the refused rows and their cells, what waits, and the time, as an HTML fragment."""
        dry_run = self.state == "dry run"
        parts = [
            heading(f"Push of {self.source}" + (" (dry run: nothing written)" if dry_run else ""), level=3),
            paragraph(verdict(self.counts, dry_run=dry_run)),
            *([paragraph(f"Stopped: {self.stopped}")] if self.stopped else []),
            badges(
                [
                    (self.n_accepted, "accepted", "good"),
                    (self.n_refused, "refused", "bad"),
                    (self.n_unknown, "unknown", "warn"),
                    (self.n_unsent, "unsent", "warn"),
                ]
            ),
            paragraph(fate_bar(self.counts)),
            paragraph(
                f"{self.label} · {plural(self.n_attempts, 'request')} for "
                f"{plural(self.n_batches, 'batch', 'batches')} · {self.timing} · "
                f"{self.n_quarantined:,} quarantined and {self.n_left_out:,} left out before · "
                f"push {self.push} is {self.state}",
                soft=True,
            ),
        ]
        if self.n_refused:
            refused = self.refused.assign(cell=[_cell(row) for _, row in self._of("refused").iterrows()])
            why = refused.groupby(list(_SAID), sort=False).agg(rows=(TIME, "size"), first_row=("source_row", "first"))
            counted = why.reset_index().sort_values("rows", ascending=False, kind="stable")
            parts += [heading("Why the vendor refused"), frame_table(counted)]
            parts += [heading("Refused by the vendor"), frame_table(refused)]
            parts.append(paragraph("Mend them, then repush() sends them again; to_excel() writes them to a sheet."))
        if self.n_unknown:
            parts += [heading("Unknown: sent, and no answer could be read"), _keys(self._of("unknown"))]
        if len(self.overtaken):
            parts += [heading("Left out of the resume"), frame_table(self.overtaken)]
        if self.state == "open":
            parts.append(paragraph("Rows wait: resume() sends what has no receipt, abandon() closes the push."))
        return "".join(parts)

    def to_excel(self, path: str | Path) -> Path:
        """Write the refused rows to an .xlsx sheet, the vendor's reason beside each; returns its path.

        Columns: ``source_row``, the contract's, then ``code, category, message, column``. Mended and read back, its
        rows are what `repush` takes.

        Raises
        ------
        InputError
            If the name does not end in .xlsx, or the file cannot be written.
        """
        target = Path(path)
        if target.suffix.lower() != ".xlsx":
            raise InputError(f"{target.name} is no name of a workbook: give one that ends in .xlsx.")
        columns = [c for c in self.rows.columns if c not in ("state", "fate", *_SAID)]
        return write_table(self._of("refused").reset_index()[["source_row", *columns, *_SAID]], target)

    def _of(self, fate: Fate) -> pd.DataFrame:
        return self.rows[self.rows["fate"] == fate]

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
            **self.counts,
            "quarantined": self.n_quarantined,
            "left_out": self.n_left_out,
            "batches": self.n_batches,
            "attempts": self.n_attempts,
            "refusals": refused.to_dict("records"),
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
    for column in _SAID:
        texts = np.full(len(rows), "", dtype=object)
        for receipt in named:
            texts[receipt.first : receipt.stop] = getattr(receipt, column)
        rows[column] = pd.Series(texts, index=rows.index, dtype="str")
    attempts = journal.attempts(push).drop(columns=["id", "answer"])
    for column in ("sent_at", "answered_at"):
        attempts[column] = pd.to_datetime(attempts[column], utc=True, format="ISO8601")
    return PushReport(
        push=push,
        plan=record.plan,
        rows=rows,
        label=record.label,
        state=state or record.state,
        n_batches=record.n_batches,
        n_attempts=len(attempts),
        n_left_out=record.facts["n_left_out"],
        n_quarantined=record.facts["n_quarantined"],
        source=record.facts["source"],
        stopped=stopped,
        attempts=attempts,
    )


def _cell(row: pd.Series[Any]) -> Any:
    """Return what stands in the column that the vendor named."""
    return row[row["column"]] if row["column"] in row.index.difference(list(_SAID)) else ""


def _keys(rows: pd.DataFrame) -> Markup:
    return frame_table(rows[list(CUSTOMER.key)], index="source_row")
