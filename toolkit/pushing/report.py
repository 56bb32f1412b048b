"""What became of a push, row by row: the report that `push`, `resume` and `dry_run` return."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

import toolkit.display as draw
from toolkit.display import MAX_ROWS, Cell, Column, Markup, Part, Result, Tone, Unit, escape, joined, paragraph, plural
from toolkit.errors import wrong_kind
from toolkit.model import ID, NAME, TIME, Delivery, Language, typed_frame
from toolkit.pushing.explaining import Explanations
from toolkit.pushing.planning import OF_SOURCE
from toolkit.quality import write_review_sheet
from toolkit.sending import FATES, OVERTAKEN, SETTLED, Fate, LoadedPush, Receipt

LOOKS: dict[Fate, Tone] = {"accepted": "good", "refused": "bad", "unknown": "unknown", "unsent": "calm"}
_NOTES = {"unknown": "sent, and no readable answer came", "unsent": "the vendor does not have them"}
MAX_CARDS = 24


def fate_parts(counts: Mapping[Any, Any]) -> list[Part]:
    """Return the counts of the fates as parts of a bar; `stack` draws them."""
    return [Part(int(counts.get(fate, 0)), fate, tone, _NOTES.get(fate, "")) for fate, tone in LOOKS.items()]


def verdict(counts: Mapping[str, int], *, n_warned: int = 0, n_quarantined: int = 0, dry_run: bool = False) -> str:
    """Say in a sentence what became of all rows, beginning with what needs the analyst.

    Parameters
    ----------
    n_warned
        How many of the accepted rows have a warning.
    n_quarantined
        How many rows of the delivery were not planned, because they are quarantined.

    Examples
    --------
    >>> verdict({"accepted": 597, "refused": 3})
    'Of 600 rows, 3 were refused by the vendor, 597 were accepted.'
    >>> verdict({"accepted": 394}, n_quarantined=9)
    'All 394 rows were accepted; 9 rows of the file are in quarantine.'
    """
    words = {
        "refused": "refused by the vendor",
        "unknown": "sent without a readable answer",
        "unsent": "not sent",
        "accepted": "accepted by the vendor's check" if dry_run else "accepted",
    }
    n_rows, found = sum(counts.values()), {fate: n for fate in words if (n := counts.get(fate, 0))}
    said = [f"{n:,} {'was' if n == 1 else 'were'} {words[fate]}" for fate, n in found.items()]
    whole = f"Of {plural(n_rows, 'row')}, " if said else "There was nothing to send"
    if [*found] == ["accepted"]:
        whole, said = "The row was " if n_rows == 1 else f"All {n_rows:,} rows were ", [words["accepted"]]
    said += [f"{n_warned:,} of these with a warning"] if n_warned else []
    held = "; " + plural(n_quarantined, "row of the file is in quarantine", "rows of the file are in quarantine")
    return f"{whole}{', '.join(said)}{held * bool(n_quarantined)}."


def _counted(fate: Fate, meaning: str) -> Any:
    return property(lambda self: self.count(fate), doc=meaning)


_SAID = ("code", "category", "message", "column")
_WORDS = ("means", "do")
_LISTED = ["source_row", ID, NAME, TIME]
REFUSAL_COLUMNS = [*_LISTED, *_SAID]
MAX_LISTED = 1_000
Mask = npt.NDArray[np.bool_]
"""Which of the planned rows."""


@dataclass(frozen=True, eq=False, repr=False)
class PushReport(Result):
    """What became of every row of a push.

    Attributes
    ----------
    push, plan
        The name of the push, and the digest of its plan.
    sent
        What the journal holds of it. Its rows may be many, and stay where they are until `rows` makes a frame of them.
    n_attempts, n_batches
        Requests made, and batches planned.
    n_left_out, n_quarantined
        Rows of the delivery that were not planned.
    state
        ``done``, ``open`` (rows wait: resume or abandon) or ``abandoned``; ``dry run`` if the vendor only checked.
    origin
        The delivery that the rows come from, without rows.
    operation
        ``UPSERT`` or ``APPEND``.
    allowed
        The guards that found something and were allowed.
    stopped
        Why the push stopped before its end; empty if it did not.
    attempts
        One row per request, in order: ``batch, sent_at, answered_at, status, verdict, digest``; times in UTC.
    batches
        The first row of each batch among `rows`, and the row after its last.
    codes
        What is written down of the codes that its rows have, from `explain`.
    """

    push: str
    plan: str
    sent: LoadedPush
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
    batches: tuple[tuple[int, int], ...] = ()
    codes: Explanations = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        """Planned rows: the sum of the four fates."""
        return len(self.sent.fates)

    @cached_property
    def rows(self) -> pd.DataFrame:
        """The planned rows with their ``fate``, and what the vendor said of a refused row or warned of.

        That is ``code``, ``category``, ``message``, and the ``column`` that it named; index ``source_row``.
        """
        return self._at(np.ones(self.n_rows, dtype=bool))

    def count(self, fate: Fate) -> int:
        """Count the rows of a fate."""
        return int(self.sent.has(fate).sum())

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
    def has_findings(self) -> bool:
        """Whether a row was refused, is unknown or in quarantine, or waits to be sent."""
        left = self.state == "abandoned" and not self.stopped  # the analyst decided to leave the rest unsent
        waits = 0 if left else self.n_unsent
        return bool(self.n_refused or self.n_unknown or self.n_quarantined or waits)

    @property
    def refused(self) -> pd.DataFrame:
        """The refused rows with the vendor's reason: `unknown`'s columns, ``code, category, message, column``.

        Where `codes` explains one of them, also ``means`` and ``do``.
        """
        rows = self._at(self.sent.has("refused")).reset_index()[REFUSAL_COLUMNS]
        words = {part: rows["code"].map(lambda c, p=part: self.codes.get(c, {}).get(p, "")) for part in _WORDS}
        return rows.assign(**words) if self.codes else rows

    @property
    def warned(self) -> pd.DataFrame:
        """The accepted rows with what the vendor warned of; columns as `refused`.

        A warning that named no row is there for each row of its request.
        """
        return self._at(self._warns).reset_index()[REFUSAL_COLUMNS]

    @property
    def unknown(self) -> pd.DataFrame:
        """The rows that were sent without a readable answer: ``source_row``, the key and the customer's name."""
        return self._at(self.sent.has("unknown")).reset_index()[_LISTED]

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
        return _seconds((answered.max() - sent.min()).total_seconds()) + (retries if len(waited) else "")

    @property
    def overtaken(self) -> pd.DataFrame:
        """The rows that a resume left out because another push had sent their version; columns as `refused`."""
        return self._at(self._left_out).reset_index()[REFUSAL_COLUMNS]

    def summary(self) -> str:
        """Say the fates in one line."""
        fates = ", ".join(f"{self.count(f):,} {f}" for f in FATES if self.count(f) or f == "accepted")
        fates += f" · {n_warned:,} with a warning" if (n_warned := int(self._warns.sum())) else ""
        fates += f" · {self.n_quarantined:,} in quarantine" if self.n_quarantined else ""
        return f"{plural(self.n_rows, 'row')}: {fates} · {self.state} · {self.label} · push {self.push}"

    def body(self) -> str:
        """Give the verdict, what to do now, why rows were refused, the rows with their cells, and the requests."""
        shown = [self.brief(), self._requests() if self.batches else ""]
        for mask, what in ((self.sent.has("unknown"), "unknown: sent without a readable answer"),
                           (self.sent.has("unsent"), "unsent"),
                           (self._left_out, OVERTAKEN)):  # fmt: skip
            if n := int(mask.sum()):
                rows = self._rows(what, self._at(mask, MAX_ROWS), n, None)
                shown.append(draw.fold(f"{plural(n, 'row')} {what}", rows))
        left = f" · {self.n_left_out:,} unchanged or left out" if self.n_left_out else ""
        allowed = f" · allowed: {', '.join(self.allowed)}" if self.allowed else ""
        version = f" · mapping {self.origin.mapping['version']}" if self.origin.mapping else ""
        facts = paragraph(f"{self.operation}{left}{allowed}{version}", soft=True)
        return "".join([*shown, f"<section>{facts}</section>"])

    def brief(self) -> Markup:
        """Render the verdict, what to do now, why rows were refused, and these rows with their cells."""
        dry_run, warned, refused = self.state == "dry run", self._at(self._warns), self._at(self.sent.has("refused"))
        parts = fate_parts({**self.counts, "accepted": self.count("accepted") - len(warned)})
        parts.insert(1, Part(len(warned), "accepted with a warning", "warn", warned=True))
        name, stopped = f"Push of {self.origin.source} · {self.label}", self.stopped and f"Stopped: {self.stopped}"
        said = verdict(self.counts, n_warned=len(warned), n_quarantined=self.n_quarantined, dry_run=dry_run)
        state = "This was a dry run: nothing written." if dry_run else f"Push {self.push} is {self.state}."
        shown = [draw.headline(name, said, stopped, state, parts=parts)]
        if ways := self._ways(dry_run):
            boxes = [draw.card(title, paragraph(text), draw.code(*call), tone=t) for t, title, text, *call in ways]
            shown.append(draw.section("What now", draw.cards(boxes, wide=True)))
        settled = refused["code"] == SETTLED
        told: list[tuple[pd.DataFrame, Tone, str]] = [(refused[~settled], "bad", "refused by the vendor")]
        told += [(refused[settled], "bad", "refused by an analyst"), (warned, "warn", "accepted with a warning")]
        for rows, tone, what in told:
            if len(rows):
                whose = f"in the {'analyst' if 'analyst' in what else 'vendor'}'s words"
                shown += [draw.section(f"Why {what}", self._reasons(rows, tone), note=whose)]
                about = self.origin.about_times if tone == "warn" else ""  # of refused rows nothing was sent
                shown += [draw.section(what.capitalize(), about, self._rows(what, rows, len(rows), tone))]
        return joined(*shown)

    def _reasons(self, rows: pd.DataFrame, tone: Tone) -> Markup:
        """Render what was said of rows, the most frequent first, each with a link that filters the rows."""
        why = rows.groupby(list(_SAID), sort=False).size().rename("n").reset_index()
        why, boxes = why.sort_values("n", ascending=False, kind="stable"), []
        for code, category, message, column, n in why.head(MAX_CARDS).itertuples(index=False):
            named = f" in {self.origin.names.get(column, column)}" if column else ""
            about = Markup(f"<p class=m>{escape(' · '.join(filter(None, (code, category))))}</p>")
            share = draw.meter(n / len(rows), draw.pick(f"{plural(n, 'row')}{named}", "rule", message), tone=tone)
            ours = [paragraph(text) for text in self.codes.get(code, {}).values() if text]
            if code and not ours:
                ours = [paragraph("Write down what this code means, and what helps:", soft=True),
                        draw.code(f'tk.explain("{code}", means="…", do="…")')]  # fmt: skip
            boxes.append(draw.card(f"“{message or 'no reason given'}”", about, share, *ours, tone=tone))
        rest = len(why) - len(boxes)
        more = paragraph(f"and {plural(rest, 'more reason')} in report.rows", soft=True) if rest else ""
        return joined(draw.cards(boxes), more)

    def _rows(self, name: str, rows: pd.DataFrame, n: int, tone: Tone | None) -> Markup:
        """Render rows under the file's heads, with the cell that the vendor named marked."""
        seen, facets = rows.head(MAX_ROWS), {"code": "Code", "column": "Column", "rule": ""}
        heads, cells = self.origin.cells(seen)
        ours, units = [head.small or head.title for head in heads], []
        for line, column, code, why in zip(cells, *(seen[c] for c in ("column", "code", "message")), strict=True):
            if column in ours:
                place = ours.index(column)
                cell = line[place] if isinstance(line[place], Cell) else Cell(line[place])
                line[place] = replace(cell, tone=tone, why=why)
            mine = {"code": [code], "column": [self.origin.names.get(column, column)], "rule": [why]}
            if tone == "bad":  # its moment is not sent, and the page stays small
                line = [replace(cell, soft="") if isinstance(cell, Cell) else cell for cell in line]
            said = [Cell(code, soft=self.origin.names.get(column, column) if column in ours else why)] if tone else []
            units.append(Unit([[*line[:1], *said, *line[1:]]], mine if tone else {}, tone))
        heads[1:1] = [Column("Code")] if tone else []
        return draw.grid(name.capitalize(), heads, units, facets=facets, more=n - len(seen))

    def _requests(self) -> Markup:
        """Render each request: its rows, what became of them, and the status of each try; trouble comes first."""
        codes, tries, boxes = self.sent.fates, dict(iter(self.attempts.groupby("batch"))), []
        for number, (first, stop) in enumerate(self.batches):
            counts = np.bincount(codes[first:stop], minlength=len(FATES)).tolist()
            made = tries.get(number, self.attempts.head(0))
            boxes.append((counts[0] == stop - first and len(made) == 1, number, counts, made))
        drawn = []
        for _, number, counts, made in sorted(boxes, key=lambda box: box[:2])[:MAX_CARDS]:
            parts = fate_parts(dict(zip(FATES, counts, strict=True)))
            took = (made["answered_at"].max() - made["sent_at"].min()).total_seconds() if len(made) else 0.0
            said = paragraph(draw.figures(parts), f"in {_seconds(took)}")
            status = [draw.badge("no answer", tone="unknown") if pd.isna(s) else
                      draw.badge(int(s), tone="good" if s < 300 else "warn") for s in made["status"]]  # fmt: skip
            title = f"Request {number + 1}: {plural(sum(counts), 'row')}"
            drawn.append(draw.card(title, draw.stack(parts, small=True), said, paragraph("Tries:", *status)))
        rest = f", {MAX_CARDS} are shown" if len(boxes) > MAX_CARDS else ""
        note = f"{plural(self.n_batches, 'request')}{rest}; {plural(self.n_attempts, 'try')} in {self.timing}"
        return draw.section("Requests", draw.cards(drawn), note=note)

    def _ways(self, dry_run: bool) -> list[tuple[Any, ...]]:
        """Return what to do: tone, title, text, lines of code."""
        ways: list[tuple[Any, ...]] = []
        unknown = plural(self.n_unknown, "unknown row")
        if self.n_unknown and self.operation != "UPSERT":
            text = (f"It is unknown whether {plural(self.n_unknown, 'row')} arrived, and an {self.operation} must not "
                    f"send a row twice: look at the vendor's table, then settle push {self.push}.")  # fmt: skip
            call = f'tk.settle("{self.push}", accepted=["…"], refused=["…"], reason="…")'
            ways.append(("unknown", f"Settle: {unknown}", text, call))
        elif self.n_unknown and self.state == "abandoned":
            text = f"repush {self.push} sends the unknown rows again; an UPSERT stores each version once."
            ways.append(("unknown", f"Send again: {unknown}", text, f'plan = tk.repush("{self.push}")'))
        n_waiting = self.n_unsent + (self.n_unknown if self.operation == "UPSERT" else 0)
        if self.state == "open" and n_waiting:
            waits = plural(n_waiting, "row waits", "rows wait")
            text = f"{waits}: resume sends what has no receipt, abandon closes the push."
            ways.append(("unknown", f"Resume: {waits}", text, "report = tk.resume()"))
        if self.n_refused and not dry_run:
            text = "Write a review sheet for the data owner, and plan with the sheet that comes back. Only push sends."
            lines = (f'tk.push_report("{self.push}").to_excel("refused.xlsx")',
                     f'plan = tk.repush("{self.push}", patch=tk.read_review_sheet("refused.xlsx"))',
                     "report = tk.push(plan)")  # fmt: skip
            ways.append(("bad", f"Fix: {plural(self.n_refused, 'refused row')}", text, *lines))
        if self.n_quarantined:
            text = "They were not sent. Write a review sheet for the data owner; the sheet that comes back is a patch."
            ways.append(("bad", f"Fix: {plural(self.n_quarantined, 'row')} in quarantine", text,
                         'tk.validate(tk.correct(delivery)).to_excel("fix.xlsx")',
                         'corrected = tk.apply_patch(delivery, tk.read_review_sheet("fix.xlsx"))'))  # fmt: skip
        return ways

    @property
    def waits(self) -> list[str]:
        """What waits for the analyst, and what to do; empty if nothing waits."""
        return [text for tone, _, text, *_ in self._ways(dry_run=False) if tone == "unknown"]

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
        refused, columns = self._at(self.sent.has("refused")), list(self.origin.given)
        reasons = [": ".join(filter(None, said)) for said in zip(refused["code"], refused["message"], strict=True)]
        findings = pd.DataFrame(
            {
                "index": refused.index,
                "column": refused["column"].where(refused["column"].isin(columns)).to_numpy(),
                "reason": [said or "refused without a reason" for said in reasons],
            }
        )
        return write_review_sheet(refused[columns], findings, path, delivery=self.origin, language=language)

    def _at(self, mask: Mask, most: int | None = None) -> pd.DataFrame:
        """Return some of the planned rows, and at most so many of them."""
        mask = mask if most is None else mask & (np.cumsum(mask) <= most)
        rows, said = typed_frame(self.sent.rows.filter(pa.array(mask)), index="source_row"), self._said[mask]
        texts = {c: np.array(["", *(getattr(r, c) for r in self._named)], dtype=object)[said] for c in _SAID}
        columns = {c: pd.Series(found, index=rows.index, dtype="str") for c, found in texts.items()}
        kind = pd.CategoricalDtype(list(FATES))
        return rows.assign(fate=pd.Categorical.from_codes(self.sent.fates[mask], dtype=kind), **columns)

    @cached_property
    def _named(self) -> list[Receipt]:
        return [receipt for receipt in self.sent.receipts if receipt.message or receipt.code or receipt.category]

    @cached_property
    def _said(self) -> npt.NDArray[np.int32]:
        """Which of the receipts that say something is the last one of each row, from 1; 0 for none."""
        found = np.zeros(self.n_rows, dtype=np.int32)
        for place, receipt in enumerate(self._named, 1):
            found[receipt.first : receipt.stop] = place
        return found

    def _where(self, told: Callable[[Receipt], bool]) -> Mask:
        return np.array([False, *map(told, self._named)])[self._said]

    @property
    def _warns(self) -> Mask:
        return self.sent.has("accepted") & self._where(lambda receipt: receipt.code != SETTLED)

    @property
    def _left_out(self) -> Mask:
        return self._where(lambda receipt: receipt.message == OVERTAKEN)

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
            "warned": int(self._warns.sum()),
            "quarantined": self.n_quarantined,
            "left_out": self.n_left_out,
            "batches": self.n_batches,
            "attempts": self.n_attempts,
            "allowed": list(self.allowed),
            "mapping": self.origin.mapping.get("version"),
            **{what: rows.head(MAX_LISTED).drop(columns=NAME).astype({TIME: "str"}).to_dict("records") for what, rows in
               (("unknown_rows", self.unknown), ("refusals", self.refused), ("warnings", self.warned))},
        }  # fmt: skip


def _seconds(n: float) -> str:
    return "under 0.1 s" if 0 < n < 0.1 else f"{n:,.1f} s"


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
    columns = [c for c in push.rows.column_names if c not in ("state", "source_row")]
    origin = Delivery(
        typed_frame(push.rows.slice(0, 0), index="source_row")[columns],
        digest=facts["source_digest"] or record.id,
        kind="changes",
        given=tuple(columns),
        **{name: facts[name] for name in OF_SOURCE if name in facts},
    )
    times = {c: pd.to_datetime(push.attempts[c], utc=True, format="ISO8601") for c in ("sent_at", "answered_at")}
    return PushReport(
        push=record.id,
        plan=record.plan,
        sent=push,
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
        batches=tuple(push.batches),
    )
