"""What became of a push, row by row: the report that `push`, `resume` and `dry_run` return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from toolkit.display import Markup, Result, Tone, badge, escape, frame_table, heading, paragraph, plural
from toolkit.errors import wrong_kind
from toolkit.model import CUSTOMER, TIME, Delivery, Language, typed_frame
from toolkit.pushing.explaining import Explanations
from toolkit.pushing.planning import OF_SOURCE
from toolkit.quality import write_review_sheet
from toolkit.sending import FATES, OVERTAKEN, SETTLED, Fate, LoadedPush

_TONES: dict[Fate, Tone] = {"accepted": "good", "refused": "bad", "unknown": "warn", "unsent": "calm"}
BAR_PX = 240


def fate_bar(counts: Mapping[str, int], *, share: float = 1.0) -> Markup:
    """Render the counts of the fates as one bar, in the colours of the reader's theme.

    Parameters
    ----------
    share
        The length of the bar, 0 to 1: the rows of the push as a share of those of the longest bar.

    Examples
    --------
    >>> "67%" in fate_bar({"accepted": 2, "refused": 1})
    True
    """
    total = sum(counts.get(fate, 0) for fate in FATES)
    parts = "".join(
        f'<i style="display:block;height:10px;min-width:2px;width:{counts[fate] / total:.0%};'
        f'background:var(--tk-{_TONES[fate]},var(--tk-soft))"></i>'
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
    """Render a legend of the colours in `fate_bar`."""
    return Markup("".join(badge(fate, tone=tone) for fate, tone in _TONES.items()))


def verdict(counts: Mapping[str, int], *, n_warned: int = 0, dry_run: bool = False) -> str:
    """Say in a sentence what became of all rows, beginning with what needs the analyst.

    Parameters
    ----------
    n_warned
        How many of the accepted rows have a warning.

    Examples
    --------
    >>> verdict({"accepted": 597, "refused": 3})
    'Of 600 rows, 3 were refused by the vendor, 597 were accepted.'
    """
    words = {
        "refused": "refused by the vendor",
        "unknown": "sent without a readable answer",
        "unsent": "not sent",
        "accepted": "accepted by the vendor's check" if dry_run else "accepted",
    }
    said = [f"{n:,} {'was' if n == 1 else 'were'} {words[fate]}" for fate in words if (n := counts.get(fate, 0))]
    said += [f"{n_warned:,} of these with a warning"] if n_warned else []
    return f"Of {plural(sum(counts.values()), 'row')}, {', '.join(said)}." if said else "There was nothing to send."


def _counted(fate: Fate, meaning: str) -> Any:
    return property(lambda self: self.count(fate), doc=meaning)


_SAID = ("code", "category", "message", "column")
_WORDS = ("means", "do")
REFUSAL_COLUMNS = ["source_row", *CUSTOMER.key, *_SAID]
MAX_LISTED = 1_000
HOW_TO_FIX = (
    "To fix them: to_excel() writes a review sheet for the data owner, read_review_sheet() makes a patch of the sheet "
    "that comes back, and repush(…, patch=…) sends them again."
)


@dataclass(frozen=True, eq=False, repr=False)
class PushReport(Result):
    """What became of every row of a push.

    Attributes
    ----------
    push, plan
        The name of the push, and the digest of its plan.
    rows
        The planned rows with their ``fate``, and what the vendor said of a refused row or warned of: ``code``,
        ``category``, ``message``, and the ``column`` that it named; index ``source_row``.
    n_attempts, n_batches
        Requests made, and batches planned.
    n_left_out, n_quarantined
        Rows of the delivery that were not planned.
    state
        ``done``, ``open`` (rows wait: resume or abandon) or ``abandoned``; ``dry run`` if the vendor only checked.
    origin
        The delivery that the rows come from, with the planned rows as its frame.
    operation
        ``UPSERT`` or ``APPEND``.
    allowed
        The guards that found something and were allowed.
    stopped
        Why the push stopped before its end; empty if it did not.
    attempts
        One row per request, in order: ``batch, sent_at, answered_at, status, verdict, digest``; times in UTC.
    codes
        What is written down of the codes that its rows have, from `explain`.
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
    allowed: tuple[str, ...] = ()
    stopped: str = ""
    attempts: pd.DataFrame = field(default_factory=pd.DataFrame)
    codes: Explanations = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        """Planned rows: the sum of the four fates."""
        return len(self.rows)

    def count(self, fate: Fate) -> int:
        """Count the rows of a fate."""
        return int((self.rows["fate"] == fate).sum())

    n_accepted = _counted(
        "accepted", "Rows that the vendor accepted and buffered; its table has them after its next load."
    )
    n_refused = _counted("refused", "Rows that the vendor refused.")
    n_unknown = _counted("unknown", "Rows that were sent without a readable answer.")
    n_unsent = _counted("unsent", "Rows that were not sent, or certainly not accepted.")

    @property
    def ok(self) -> bool:
        """Whether every row was accepted."""
        return self.count("accepted") == self.n_rows

    @property
    def refused(self) -> pd.DataFrame:
        """The refused rows with the vendor's reason: ``source_row``, the key, ``code, category, message, column``.

        Where `codes` explains one of them, also ``means`` and ``do``.
        """
        rows = self._of("refused").reset_index()[REFUSAL_COLUMNS]
        words = {part: rows["code"].map(lambda c, p=part: self.codes.get(c, {}).get(p, "")) for part in _WORDS}
        return rows.assign(**words) if self.codes else rows

    @property
    def warned(self) -> pd.DataFrame:
        """The accepted rows with what the vendor warned of; columns as `refused`.

        A warning that named no row is there for each row of its request.
        """
        return self._warned.reset_index()[REFUSAL_COLUMNS]

    @property
    def unknown(self) -> pd.DataFrame:
        """The rows that were sent without a readable answer: ``source_row`` and the key."""
        return self._of("unknown").reset_index()[["source_row", *CUSTOMER.key]]

    @property
    def counts(self) -> dict[str, int]:
        """The number of rows of each fate."""
        return {fate: self.count(fate) for fate in FATES}

    @property
    def timing(self) -> str:
        """How long it took from the first request to the last answer, and how long retries waited, in seconds."""
        sent, answered = self.attempts["sent_at"], self.attempts["answered_at"].fillna(self.attempts["sent_at"])
        if sent.empty:
            return "0.0 s"
        failed = answered.groupby([self.attempts["batch"], self.attempts["digest"]], sort=False).shift()
        waited = (sent - failed).dropna().dt.total_seconds()
        retries = f", {plural(len(waited), 'retry', 'retries')} after {waited.sum():,.1f} s of waiting"
        return f"{(answered.max() - sent.min()).total_seconds():,.1f} s{retries if len(waited) else ''}"

    @property
    def overtaken(self) -> pd.DataFrame:
        """The rows that a resume left out because another push had sent their version; columns as `refused`."""
        return self.rows[self.rows["message"] == OVERTAKEN].reset_index()[REFUSAL_COLUMNS]

    def summary(self) -> str:
        """Say the fates in one line."""
        fates = ", ".join(f"{self.count(f):,} {f}" for f in FATES if self.count(f) or f == "accepted")
        fates += f" · {len(self._warned):,} with a warning" if len(self._warned) else ""
        return f"{plural(self.n_rows, 'row')}: {fates} · {self.state} · {self.label} · push {self.push}"

    def body(self) -> str:
        """Give the verdict, the refused and the warned rows with their cells, what waits, and the time, as HTML."""
        dry_run, show = self.state == "dry run", self.origin.show
        parts = [
            heading(f"Push of {self.origin.source}" + (" (dry run: nothing written)" if dry_run else ""), level=3),
            paragraph(verdict(self.counts, n_warned=len(self._warned), dry_run=dry_run)),
            *([paragraph(f"Stopped: {self.stopped}")] if self.stopped else []),
            paragraph(fate_bar(self.counts)),
            paragraph(
                f"{self.label} · {plural(self.n_attempts, 'request')} for "
                f"{plural(self.n_batches, 'batch', 'batches')} · {self.timing} · "
                f"{self.n_quarantined:,} quarantined and {self.n_left_out:,} left out before · "
                f"push {self.push} is {self.state}",
                soft=True,
            ),
        ]
        refused = self._of("refused")
        settled = refused["code"] == SETTLED
        for rows, what in (
            (refused[~settled], "refused by the vendor"),
            (refused[settled], "refused by an analyst"),
            (self._warned, "accepted with a warning"),
        ):
            if len(rows):
                some = rows.reset_index().assign(cell=self._cells(rows))
                why = some.groupby(list(_SAID), sort=False).agg(rows=(TIME, "size"), first_row=("source_row", "first"))
                counted = why.reset_index().sort_values("rows", ascending=False, kind="stable")
                parts += [heading(f"Why {what}"), frame_table(counted)]
                shown = some[["source_row", *CUSTOMER.key, "column", "cell", "message", "code", "category"]]
                parts += [heading(what.capitalize()), frame_table(shown, show=show)]
        if self.n_refused:
            parts += [self.origin.about_times, paragraph(HOW_TO_FIX)]
        if self.n_unknown:
            parts += [heading("Unknown: sent without a readable answer"), frame_table(self.unknown, show=show)]
        if len(self.overtaken):
            parts += [heading("Left out of the resume"), frame_table(self.overtaken, show=show)]
        return "".join([*parts, *map(paragraph, self.waits)])

    @property
    def waits(self) -> list[str]:
        """What waits for the analyst, and what to do; empty if nothing waits."""
        ways = []
        if self.n_unknown and self.operation != "UPSERT":
            ways.append(
                f"It is unknown whether {plural(self.n_unknown, 'row')} arrived, and an {self.operation} must not send "
                f"a row twice: look at the vendor's table, then settle push {self.push}."
            )
        elif self.n_unknown and self.state == "abandoned":
            ways.append(f"repush {self.push} sends the unknown rows again; an UPSERT stores each version once.")
        n_waiting = self.n_unsent + (self.n_unknown if self.operation == "UPSERT" else 0)
        if self.state == "open" and n_waiting:
            waits = plural(n_waiting, "row waits", "rows wait")
            ways.append(f"{waits}: resume sends what has no receipt, abandon closes the push.")
        return ways

    def to_excel(self, path: str | Path, *, language: Language | None = None) -> Path:
        """Write the refused rows as a review sheet for the data owner; returns its path.

        The cells that the vendor named are coloured, with its reason as a comment; the columns have the names of the
        source. `read_review_sheet` makes a patch of the sheet that comes back: for `repush`, and for the next delivery.

        Parameters
        ----------
        language
            ``en``, ``de`` or ``fr``; None: what the delivery's mapping says.

        Raises
        ------
        InputError
            If the name does not end in .xlsx, or the file cannot be written.
        """
        refused, columns = self._of("refused"), list(self.origin.given)
        reasons = [": ".join(filter(None, said)) for said in zip(refused["code"], refused["message"], strict=True)]
        findings = pd.DataFrame(
            {
                "index": refused.index,
                "column": refused["column"].where(refused["column"].isin(columns)).to_numpy(),
                "reason": [said or "refused without a reason" for said in reasons],
            }
        )
        return write_review_sheet(refused[columns], findings, path, delivery=self.origin, language=language)

    def _of(self, fate: Fate) -> pd.DataFrame:
        return self.rows[self.rows["fate"] == fate]

    @property
    def _warned(self) -> pd.DataFrame:
        accepted = self._of("accepted")
        return accepted[(accepted[list(_SAID)] != "").any(axis=1) & (accepted["code"] != SETTLED)]

    def _cells(self, rows: pd.DataFrame) -> Any:
        """Return the cells in the columns that the vendor named, one for each row."""
        cells = pd.Series("", index=rows.index, dtype=object)
        for column in set(rows["column"]) & set(self.origin.given):
            shown = self.origin.as_written(rows[column]) if column == TIME else rows[column]
            cells = cells.mask(rows["column"] == column, shown.astype(object))
        return cells.to_numpy()

    def to_frame(self) -> pd.DataFrame:
        """Give every planned row with its fate, index ``source_row``."""
        return self.rows

    def to_dict(self) -> dict[str, Any]:
        """Give the counts, and the keys and reasons of the first 1,000 refused, unknown and warned rows each."""
        return {
            "plan": self.plan,
            "push": self.push,
            "state": self.state,
            "rows": self.n_rows,
            **self.counts,
            "warned": len(self._warned),
            "quarantined": self.n_quarantined,
            "left_out": self.n_left_out,
            "batches": self.n_batches,
            "attempts": self.n_attempts,
            "allowed": list(self.allowed),
            "unknown_rows": self.unknown.head(MAX_LISTED).astype({TIME: "str"}).to_dict("records"),
            "refusals": self.refused.head(MAX_LISTED).astype({TIME: "str"}).to_dict("records"),
            "warnings": self.warned.head(MAX_LISTED).astype({TIME: "str"}).to_dict("records"),
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
        raise wrong_kind(push, "a push report or the name of a push", "push_history() or push_report()")
    return push.push


def report_of(push: LoadedPush, *, state: str = "", stopped: str = "", codes: Explanations | None = None) -> PushReport:
    """Return the report of a push as it was loaded from the journal, with what is written down of its codes."""
    here = {receipt.code for receipt in push.receipts}
    record, facts = push.record, push.record.facts
    rows = typed_frame(push.rows, index="source_row")
    columns = [c for c in rows.columns if c != "state"]
    origin = Delivery(
        rows[columns],
        digest=facts["source_digest"] or record.id,
        kind="changes",
        given=tuple(columns),
        **{name: facts[name] for name in OF_SOURCE if name in facts},
    )
    said: dict[str, Any] = {"fate": pd.Categorical.from_codes(push.fates, dtype=pd.CategoricalDtype(list(FATES)))}
    named = [receipt for receipt in push.receipts if receipt.message or receipt.code or receipt.category]
    for column in _SAID:
        texts = np.full(len(rows), "", dtype=object)
        for receipt in named:
            texts[receipt.first : receipt.stop] = getattr(receipt, column)
        said[column] = pd.Series(texts, index=rows.index, dtype="str")
    times = {c: pd.to_datetime(push.attempts[c], utc=True, format="ISO8601") for c in ("sent_at", "answered_at")}
    return PushReport(
        push=record.id,
        plan=record.plan,
        rows=rows.assign(**said),
        label=record.label,
        state=state or record.state,
        n_batches=record.n_batches,
        n_attempts=len(push.attempts),
        origin=origin,
        **{name: facts[name] for name in ("n_left_out", "n_quarantined", "operation")},
        allowed=tuple(facts.get("allowed", ())),
        stopped=stopped,
        codes={code: said for code, said in (codes or {}).items() if code in here},
        attempts=push.attempts.drop(columns=["id", "answer"]).assign(**times),
    )
