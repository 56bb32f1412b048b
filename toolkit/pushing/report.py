"""What became of a push, row by row: the report that `push`, `resume` and `dry_run` end with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from toolkit.display import Markup, Result, badge, badges, escape, frame_table, heading, paragraph, plural
from toolkit.errors import InputError
from toolkit.model import CUSTOMER, TIME, Delivery, empty_frame, typed_frame
from toolkit.quality import write_review_sheet
from toolkit.sending import FATES, OVERTAKEN, SETTLED, Fate, Journal, PushRecord

_COLOURS = {"accepted": "good", "refused": "bad", "unknown": "warn", "unsent": "soft"}
BAR_PX = 240


def fate_bar(counts: Mapping[str, int], *, share: float = 1.0) -> Markup:
    """Draw the fates side by side: no script, in the colours of the reader's theme.

    Parameters
    ----------
    share
        The bar's length, 0 to 1: the push's rows as a share of the longest bar's.

    Examples
    --------
    >>> "67%" in fate_bar({"accepted": 2, "refused": 1})
    True
    """
    total = sum(counts.get(fate, 0) for fate in FATES)
    parts = "".join(
        f'<i style="display:block;height:10px;min-width:2px;width:{counts[fate] / total:.0%};'
        f'background:var(--tk-{_COLOURS[fate]})"></i>'
        for fate in FATES
        if counts.get(fate)
    )
    said = escape(", ".join(f"{counts[fate]:,} {fate}" for fate in FATES if counts.get(fate)) or "nothing to send")
    width = max(2, round(BAR_PX * share)) if total else 2
    return Markup(
        f'<span role="img" aria-label="{said}" title="{said}" style="display:inline-flex;width:{width}px;'
        f'background:var(--tk-tint);border-radius:2px;overflow:hidden">{parts}</span>'
    )


def legend() -> Markup:
    """Name the colours of `fate_bar`."""
    tones = {"soft": "calm"}
    return Markup("".join(badge(fate, tone=tones.get(c, c)) for fate, c in _COLOURS.items()))  # type: ignore[arg-type]  # each is a tone


def verdict(counts: Mapping[str, int], *, dry_run: bool = False) -> str:
    """Say in a sentence what became of all rows, what needs the analyst first.

    Examples
    --------
    >>> verdict({"accepted": 597, "refused": 3})
    '3 of 600 rows were refused by the vendor; 597 were accepted.'
    """
    total = sum(counts.get(fate, 0) for fate in FATES)
    done = "passed the vendor's check" if dry_run else "accepted"
    if not total:
        return "There was nothing to send."
    if counts.get("accepted") == total:
        be = "" if dry_run else "was " if total == 1 else "were "
        return f"{'The one row' if total == 1 else f'All {total:,} rows'} {be}{done}."
    words = {
        "refused": "refused by the vendor",
        "unknown": "sent without a readable answer, so nobody knows yet",
        "unsent": "not sent",
        "accepted": done,
    }
    parts = [(counts[fate], words[fate]) for fate in words if counts.get(fate)]
    if parts[-1][1] != done:
        parts.append((0, done))
    said = [
        (f"{n:,}" if n else "none", ("" if dry_run and text == done else "was " if n == 1 else "were ") + text)
        for n, text in parts
    ]
    (first, fate), *rest = said
    return "; ".join([f"{first} of {plural(total, 'row')} {fate}", *(f"{n} {text}" for n, text in rest)]) + "."


@dataclass(frozen=True)
class Timing:
    """How long a push took.

    Attributes
    ----------
    took_s
        Seconds from the first request to the last answer, pauses between a stop and a resume included.
    answer_s
        Seconds that an answer took, in the middle of all; null where none came.
    waited_s
        Seconds between a request that was repeated and its repetition, a pause before a resume included.
    n_retries
        Requests that repeat one before.
    """

    took_s: float
    answer_s: float
    waited_s: float
    n_retries: int

    @classmethod
    def of(cls, attempts: pd.DataFrame) -> Timing:
        """Work it out from attempts: ``batch, digest, sent_at, answered_at``, times in UTC."""
        answered = attempts["answered_at"].fillna(attempts["sent_at"])
        tries = attempts.assign(answered_at=answered).groupby(["batch", "digest"], sort=False)
        waited = (attempts["sent_at"] - tries["answered_at"].shift()).dt.total_seconds()
        took = answered.max() - attempts["sent_at"].min() if len(attempts) else pd.Timedelta(0)
        return cls(
            took.total_seconds(),
            float((attempts["answered_at"] - attempts["sent_at"]).dt.total_seconds().median()),
            float(waited.sum()),
            int(waited.notna().sum()),
        )

    def __str__(self) -> str:
        said = [f"{self.took_s:,.1f} s"]
        if self.answer_s == self.answer_s:
            said.append(f"an answer took {self.answer_s:,.2f} s")
        if self.n_retries:
            said.append(f"{plural(self.n_retries, 'retry', 'retries')} after {self.waited_s:,.1f} s of waiting")
        return ", ".join(said)


_NO_ROW = pa.schema([*CUSTOMER.arrow_schema(), ("source_row", pa.int64()), ("state", pa.string())]).empty_table()
_SAID = ("code", "category", "message", "column")
REFUSAL_COLUMNS = ["source_row", *CUSTOMER.key, *_SAID]
MAX_TOLD = 1_000
MENDING = (
    "Mend them, then repush() sends them again; to_excel() writes them for the data owner, and repush() takes it back."
)


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
    origin
        The delivery that the rows come from, without rows: its name, digest, and the names of its columns.
    operation
        ``UPSERT`` or ``APPEND``.
    overruled
        The guards that spoke and were overruled.
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
    origin: Delivery
    operation: str
    overruled: tuple[str, ...] = ()
    stopped: str = ""
    attempts: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def source(self) -> str:
        """The name of the delivery that the rows come from."""
        return self.origin.source

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
        return self._of("refused").reset_index()[REFUSAL_COLUMNS]

    @property
    def unknown(self) -> pd.DataFrame:
        """The rows that left and of which no answer could be read: ``source_row`` and the key."""
        return self._of("unknown").reset_index()[["source_row", *CUSTOMER.key]]

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
        refused = self.refused.assign(cell=self._cells())
        settled = refused["code"] == SETTLED
        for some, who in ((refused[~settled], "the vendor"), (refused[settled], "the word of an analyst")):
            if len(some):
                why = some.groupby(list(_SAID), sort=False).agg(rows=(TIME, "size"), first_row=("source_row", "first"))
                counted = why.reset_index().sort_values("rows", ascending=False, kind="stable")
                parts += [heading(f"Why refused by {who}"), frame_table(counted)]
                shown = some[["source_row", *CUSTOMER.key, "column", "cell", "message", "code", "category"]]
                parts += [heading(f"Refused by {who}"), frame_table(shown)]
        if self.n_refused:
            parts.append(paragraph(MENDING))
        if self.n_unknown:
            parts += [heading("Unknown: sent, and no answer could be read"), frame_table(self.unknown)]
        if len(self.overtaken):
            parts += [heading("Left out of the resume"), frame_table(self.overtaken)]
        return "".join([*parts, *map(paragraph, self.waits)])

    @property
    def waits(self) -> list[str]:
        """What waits for the analyst, and the ways to go on; empty where nothing does."""
        ways = []
        if self.n_unknown and self.operation != "UPSERT":
            ways.append(
                f"Whether the {plural(self.n_unknown, 'unknown row')} arrived is for you to find out: an "
                f"{self.operation} must not send them twice. Look at the vendor's table, then settle({self.push!r}, "
                f"accepted=…, refused=…, reason=…), or 'toolkit settle {self.push}'."
            )
        elif self.n_unknown and self.state == "abandoned":
            ways.append(f"repush({self.push!r}) sends the unknown rows again; an UPSERT of the same key does no harm.")
        n_waiting = self.n_unsent + (self.n_unknown if self.operation == "UPSERT" else 0)
        if self.state == "open" and n_waiting:
            ways.append(
                f"{plural(n_waiting, 'row waits', 'rows wait')}: resume() sends what has no receipt, abandon() closes "
                "the push; on the command line 'toolkit resume' and 'toolkit abandon'."
            )
        return ways

    def to_excel(self, path: str | Path) -> Path:
        """Write the refused rows for the data owner: cells that the vendor named coloured, its reason as a comment.

        The columns have the names of the rows' source. Mended, ``repush(report, mended=path)`` sends it; or
        `read_review_sheet` makes a patch of it, for the next delivery too. Returns its path.

        Raises
        ------
        InputError
            If the name does not end in .xlsx, or the file cannot be written.
        """
        refused = self._of("refused")
        reasons = [": ".join(filter(None, said)) for said in zip(refused["code"], refused["message"], strict=True)]
        findings = pd.DataFrame(
            {
                "index": refused.index,
                "column": refused["column"].where(refused["column"].isin(self._columns)).to_numpy(),
                "reason": [said or "refused without a reason" for said in reasons],
            }
        )
        return write_review_sheet(refused[self._columns], findings, path, delivery=self.origin)

    def _of(self, fate: Fate) -> pd.DataFrame:
        return self.rows[self.rows["fate"] == fate]

    @property
    def _columns(self) -> list[str]:
        """The columns that were sent."""
        return [c for c in self.rows.columns if c not in ("state", "fate", *_SAID)]

    def _cells(self) -> Any:
        """Return what stands in the columns that the vendor named, one for each refused row."""
        refused = self._of("refused")
        cells = pd.Series("", index=refused.index, dtype=object)
        for column in set(refused["column"]) & set(self._columns):
            cells = cells.mask(refused["column"] == column, refused[column].astype(object))
        return cells.to_numpy()

    def to_frame(self) -> pd.DataFrame:
        """Give every planned row with its fate."""
        return self.rows

    def to_dict(self) -> dict[str, Any]:
        """Give the counts, and of refused and unknown rows the first 1,000 each: keys and reasons."""
        refused = self.refused.head(MAX_TOLD).astype({TIME: "str"})
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
            "overruled": list(self.overruled),
            "unknown_rows": self.unknown.head(MAX_TOLD).astype({TIME: "str"}).to_dict("records"),
            "refusals": refused.to_dict("records"),
        }


def name_of(push: str | PushReport) -> str:
    """Return the name of a push that is given by its name or its report.

    Raises
    ------
    InputError
        If it is neither.
    """
    if isinstance(push, str):
        return push
    if not isinstance(push, PushReport):
        raise InputError(f"A push is given by its name or its report, and no {type(push).__name__}: look at pushes().")
    return push.push


def report_of(
    journal: Journal, push: str, *, state: str = "", stopped: str = "", rows_lost: bool = False
) -> PushReport:
    """Draw up the report of a push from its journal; where its rows are lost, of their fates alone."""
    record = journal.push(push)
    rows = typed_frame(
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
        origin=origin_of(record),
        operation=record.facts["operation"],
        overruled=tuple(record.facts.get("overruled", ())),
        stopped=stopped,
        attempts=attempts,
    )


def origin_of(record: PushRecord, rows: pd.DataFrame | None = None) -> Delivery:
    """Return the delivery that a push's rows come from, with some of them or none; its rows are known by the digest."""
    facts = record.facts
    return Delivery(
        empty_frame() if rows is None else rows,
        source=facts["source"],
        digest=facts["source_digest"] or record.id,
        kind="changes",
        given=CUSTOMER.names if rows is None else tuple(rows.columns),
        names=facts.get("names", {}),  # a push from before they were kept has none
        datetime=facts.get("datetime"),
        timezone=facts.get("timezone"),
    )
