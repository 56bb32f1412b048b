"""plan_push(): what a push would send, what it leaves out and why, cut into batches; nothing leaves the machine.

The digest of a plan covers its target, its contract, the version of the ledger and every body, so a reviewed plan is
pushed exactly as it was reviewed, or refused.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

import toolkit.display as draw
from toolkit.config import Settings, current
from toolkit.display import MAX_ROWS, Column, Markup, Part, Result, Unit, escape, frame_table, paragraph, plural
from toolkit.engine import to_arrow
from toolkit.errors import PlanError, wrong_kind
from toolkit.ledger import INCLUDABLE, SENT, SHOWN, STATES, WAYS_IN, Diff, Ledger, TableDiff, way_in
from toolkit.model import ID, NAME, TIME, Delivery, Resource, cast_column, typed_frame, zoned_moment
from toolkit.progress import step
from toolkit.pushing.guards import GUARDS, Guard, Situation, chosen_names, find_guards
from toolkit.sending import FATES, NewPush
from toolkit.tables import on_disk, write_sheets
from toolkit.vendor import Batch, Envelope

OF_SOURCE = ("source", "names", "datetime", "timezone", "language", "file", "mapping")
"""What the journal keeps of the delivery's source, for the report."""
_SHOWN = 6_000
"""Characters of the first body that a page shows."""


@dataclass(frozen=True, eq=False, repr=False)
class PushPlan(Result):
    """What a push would send to a target, bound by a digest to its content and to the ledger it was made from.

    Attributes
    ----------
    digest
        SHA-256 over target, address, contract, operation, the ledger's version and every body.
    rows
        The rows to send, oldest first: the contract's columns, ``source_row`` and ``state``.
    batches
        The requests, cut by rows and by bytes.
    left_out
        Rows, or customers, that are not sent: their number by state.
    ledger_version
        The version that the diff was made from; None if it was not made from a ledger.
    guards
        The guards that found something, including the allowed ones; see `toolkit.pushing.guards`.
    reason
        Why it is sent, for the ledger.
    excluded
        If rows were named one by one, as for a repush: those that are not planned, columns `NOT_SENT`.
    """

    digest: str
    rows: pa.Table
    batches: tuple[Batch, ...]
    left_out: dict[str, int]
    envelope: Envelope
    target: str
    label: str
    address: str
    ledger_version: int | None
    changes: Diff
    guards: tuple[Guard, ...] = ()
    reason: str = ""
    excluded: pd.DataFrame | None = None

    @property
    def delivery(self) -> Delivery:
        """The delivery that the rows come from."""
        return self.changes.delivery

    @property
    def n_rows(self) -> int:
        """Rows to send."""
        return int(self.rows.num_rows)

    @property
    def has_findings(self) -> bool:
        """Whether there are rows to send or in quarantine."""
        return bool(self.n_rows or self.delivery.n_quarantined)

    @property
    def n_batches(self) -> int:
        """Requests to make."""
        return len(self.batches)

    @property
    def n_bytes(self) -> int:
        """Bytes of all bodies."""
        return sum(b.n_bytes for b in self.batches)

    @property
    def n_left_out(self) -> int:
        """Rows of the delivery that are not sent; absent and held customers are not among them."""
        n_excluded = 0 if self.excluded is None else len(self.excluded)
        return n_excluded + sum(n for state, n in self.left_out.items() if state in STATES)

    @property
    def ways_in(self) -> list[tuple[str, int, str]]:
        """The states that are left out, each with its number and how to send it all the same."""
        return [
            (state.replace("_", " "), n, WAYS_IN[state])
            for state, n in self.left_out.items()
            if n and state != "unchanged"
        ]

    @property
    def least_s(self) -> float:
        """Seconds that the push takes at least, at the contract's rate."""
        return self.n_batches / self.envelope.contract.max_requests_per_s

    @property
    def counts(self) -> dict[str, int]:
        """Rows to send by state, in the order of the states."""
        found = {each["values"]: each["counts"] for each in pc.value_counts(self.rows["state"]).to_pylist()}
        return {s: found.get(s, 0) for s in STATES if s in SENT or s in found}

    @property
    def fields(self) -> pd.DataFrame:
        """The changed fields of the rows to send, one record each; see `Diff.fields`."""
        return self.changes.fields_in(self.counts).reset_index(drop=True)

    @property
    def n_fields(self) -> int:
        """Changed fields of the rows to send."""
        return sum(self.changes.n_fields_in(self.counts).values())

    @property
    def not_sent(self) -> pd.DataFrame:
        """What is left out, but for a delivery's unchanged rows; columns `NOT_SENT`."""
        states, frame, excluded = self.changes.seen, self.delivery.frame, self.excluded
        left = states.isin([s for s in STATES if s in self.left_out and (s != "unchanged" or excluded is not None)])
        rows = frame.loc[left, [ID, NAME, TIME]].reset_index(names="source_row").astype({"source_row": "Int64"})
        parts = [rows.assign(state=states[left].astype("str").to_numpy())]
        if excluded is None:
            held = type(frame)({ID: sorted(self.delivery.held), "state": "held"})
            held[NAME] = held[ID].map(self.delivery.held_names).astype("str")
            parts += [self.changes.absent[[ID, TIME]].assign(state="absent"), held]
        else:
            parts.append(excluded)
        found = pd.concat([p for p in parts if len(p)] or parts[:1], ignore_index=True).reindex(columns=NOT_SENT)
        before = found[ID].map(self.changes.before.names_of(found[ID]))
        why = found["why"].astype("str").fillna(found["state"].map(WAYS_IN))
        return found.assign(**{NAME: found[NAME].fillna(before), "why": why})

    def request(self, number: int) -> bytes:
        """Return the body of a request by its number; -1 is the last."""
        batch = self.batches[number]
        return self.envelope.body(self.rows.slice(batch.first, batch.stop - batch.first))

    def new_push(self, *, reason: str = "", ledger_version: int = -1) -> NewPush:
        """Return what the journal keeps of the plan when it opens the push."""
        facts = {
            "contract": self.envelope.contract.name,
            "solution": self.envelope.solution,
            "operation": self.envelope.operation,
            "address": self.address,
            "n_left_out": self.n_left_out,
            "source_digest": self.delivery.digest,
            **{name: getattr(self.delivery, name) for name in ("kind", "n_quarantined", *OF_SOURCE)},
            "allowed": [guard.name for guard in self.guards if guard.allowed],
            "reason": reason or self.reason,
            "ledger_version": ledger_version,
        }
        return NewPush(self.digest, self.label, self.rows, self.batches, self.changes.keys, facts)

    @property
    def verdict(self) -> str:
        """Whether it can be pushed, in one line."""
        if not self.n_rows:
            return "Nothing to send"
        if blocking := [g.name for g in self.guards if not g.allowed]:
            return f"Blocked by {plural(len(blocking), 'guard')}: {', '.join(blocking)}"
        return f"Ready: {plural(self.n_rows, 'row')} in {plural(self.n_batches, 'request')}, {self._takes()}"

    def summary(self) -> str:
        """Say the plan in one line."""
        requests = plural(self.n_batches, "batch", "batches")
        about = " · ".join(filter(None, (self.reason, self.label, f"plan {self.digest[:12]}")))
        same = 0 if self.excluded is not None else self.left_out["unchanged"]  # of named rows, these are left out too
        left = f"{self.n_left_out - same:,} left out" + (f", {same:,} unchanged" if same else "")
        return f"{plural(self.n_rows, 'row')} in {requests}, {left} · {about}"

    def body(self) -> str:
        """Give the verdict, the route, the guards, what is left out, and the rows to send, as an HTML fragment."""
        blocked = any(not g.allowed for g in self.guards)
        lead = (
            f"{plural(self.n_rows, 'row is', 'rows are')} ready, and nothing was sent."
            if blocked and self.n_rows
            else ""
        )
        name, reason = f"Push plan for {self.delivery.source} · {self.label}", self.reason and f"Reason: {self.reason}"
        shown = [draw.headline(name, self.verdict, lead, reason, parts=self.parts), self.route(), self._guards()]
        if self.n_rows and not blocked:
            shown.append(draw.section("What now", draw.code("report = tk.push(plan)"), note="if this is as intended"))
        if left := {state: n for state, n in self.left_out.items() if n and state != "unchanged"}:
            boxes = [draw.card(f"{n:,} {s.replace('_', ' ')}: {meaning}", way_in(s), tone=tone, sign=sign)
                     for s, n in left.items() for tone, sign, meaning, _ in [SHOWN[s]]]  # fmt: skip
            shown.append(draw.section("Left out, and how it gets in", draw.cards(boxes, wide=True)))
        if self.excluded is not None and self.n_left_out:
            table = frame_table(self.not_sent, name="Rows left out", show=self.delivery.show, names=self.delivery.names)
            shown.append(draw.section("Rows left out", table))
        if self.n_rows:
            shown.append(self._sent())
        return "".join([*shown, f"<section>{paragraph(f'{self._bound_to()}.', soft=True)}</section>"])

    @property
    def parts(self) -> list[Part]:
        """The rows of the delivery by state, as the parts of a bar."""
        counts = {**self.counts, **{s: n for s, n in self.left_out.items() if s in STATES}}
        ends = {s: "sent" if s in self.counts else SHOWN[s][3] for s in counts}
        parts = [Part(n, s.replace("_", " "), SHOWN[s][0], ends[s], SHOWN[s][1]) for s, n in counts.items()]
        return parts + ([] if self.excluded is None else [Part(len(self.excluded), "not planned", "calm")])

    def calls(self, *allow: str, push: str = "") -> tuple[str, str]:
        """Return the line of Python and the command that make this plan with these guards allowed.

        `push` is the command that sends the file as it was read, if the delivery does not know it; empty: no command
        does. Of a plan that `repush`, `revert` or `plan_correction` made, only the options.
        """
        options = {"include": [s for s in INCLUDABLE if s in self.counts], "allow": allow}
        asked = "".join(f", {option}={json.dumps(names)}" for option, names in options.items() if names)
        flags = [f"--{option}={name}" for option, names in options.items() for name in names]
        if self.excluded is not None:
            return asked.removeprefix(", "), shlex.join(flags)
        push = push or self.delivery.command("push")
        return f"plan = tk.plan_push(changes{asked})", " ".join([push, *flags]) if push else ""

    def route(self) -> Markup:
        """Render from where to where the rows go."""
        arrow = "polygon(0 0,calc(100% - 12px) 0,100% 50%,calc(100% - 12px) 100%,0 100%,12px 50%)"
        style = f"flex:1 1 180px;padding:8px 24px;background:var(--raise);overflow-wrap:anywhere;clip-path:{arrow}"
        came, n_bad = self.delivery, self.delivery.n_quarantined
        of = f"of {came.n_rows + n_bad:,} in {came.source}" + (f", {n_bad:,} in quarantine" if n_bad else "")
        steps = (("from", plural(self.n_rows, "row"), of),
                 ("in", plural(self.n_batches, "request"), f"{self.n_bytes:,} bytes, {self._takes()}"),
                 ("as", self.envelope.operation, f"contract {self.envelope.contract.name}"),
                 ("to", self.target, self.address))  # fmt: skip
        items = (f'<li style="{style}"><small>{a}</small> <b>{escape(b)}</b> <small class=b>{escape(c)}</small></li>'
                 for a, b, c in steps)  # fmt: skip
        return Markup(f'<ol style="display:flex;flex-wrap:wrap;gap:4px;margin-top:16px">{"".join(items)}</ol>')

    def _guards(self) -> Markup:
        """Render the guards: first those that block, each with the call that allows it."""
        allowed, boxes = [g.name for g in self.guards if g.allowed], []
        for g in sorted(self.guards, key=lambda guard: guard.allowed):
            how = paragraph("Not intended? Correct the file, and plan again. Intended? Look at the rows, and allow it:")
            call = draw.code(*filter(None, self.calls(*allowed, g.name)))
            end = paragraph("Allowed.", self.reason) if g.allowed else draw.joined(how, call)
            title = draw.joined(GUARDS[g.name][2], Markup(f" <code>{g.name}</code>"))
            tone: draw.Tone = "calm" if g.allowed else "bad"
            gauge = draw.gauge(g.share, g.limit, tone=tone) if g.share is not None and g.limit is not None else ""
            boxes.append(draw.card(title, paragraph(g.message), gauge, end, tone=tone))
        passed = [name for name in GUARDS if name not in {g.name for g in self.guards}]
        items = [Markup(f"<p><code>{name}</code> would block if: {GUARDS[name][2]}</p>") for name in passed]
        rest = draw.fold(f"{plural(len(passed), 'guard')} passed", *items, tone="good")
        return draw.section("Guards", draw.cards(boxes, wide=True) if boxes else "", rest if passed else "")

    def _sent(self) -> Markup:
        """Render the rows to send, what changes marked in its cell, and the first body."""
        text = json.dumps(json.loads(self.request(0)), indent=2, ensure_ascii=False)
        pre = Markup(f'<pre tabindex=0 role=group aria-label="Body">{escape(text, limit=_SHOWN)}</pre>')
        body = draw.fold(f"Body of the first request, {self.batches[0].n_bytes:,} bytes", pre)
        note = f"{plural(self.n_fields, 'changed field')} marked" if len(self.fields) else ""
        title = "Sent, oldest first"
        return draw.joined(draw.section(title, self.delivery.about_times, self.first_rows(), note=note), body)

    def first_rows(self, most: int = MAX_ROWS) -> Markup:
        """Render the first rows to send, what changes marked in its cell."""
        rows = typed_frame(self.rows.slice(0, most), index="source_row")
        heads, cells = self.delivery.cells(rows)
        place = {head.small or head.title: n for n, head in enumerate(heads)}
        lines, changed = dict(zip(rows.index, cells, strict=True)), dict[int, list[str]]()
        for row, _, _, column, before, after in self.fields.itertuples(index=False):
            if row in lines and column in place:
                lines[row][place[column]] = draw.Cell(after, draw.change_within(before, after))
                changed.setdefault(row, []).append(heads[place[column]].title)
        units = [Unit([[line[0], state, *line[1:]]], {"state": [state], "column": changed.get(row, [])},
                      SHOWN[state][0])
                 for (row, line), state in zip(lines.items(), rows["state"], strict=True)]  # fmt: skip
        heads.insert(1, Column("State"))
        facets = {"state": "State", "column": "Changed column"}
        return draw.grid("Sent", heads, units, facets=facets, more=self.n_rows - len(units))

    def to_frame(self) -> pd.DataFrame:
        """Give the rows to send, index ``source_row``."""
        return typed_frame(self.rows, index="source_row")

    def to_dict(self) -> dict[str, Any]:
        """Give the counts; every row of a plan is unsent."""
        return {
            "plan": self.digest,
            "rows": self.n_rows,
            **dict.fromkeys(FATES, 0),
            "unsent": self.n_rows,
            "by_state": self.counts,
            "changed_fields": self.n_fields,
            "quarantined": self.delivery.n_quarantined,
            "left_out": self.n_left_out,
            "left_out_by_state": self.left_out,
            "mapping": self.delivery.mapping.get("version"),
            "guards": [{"name": g.name, "message": g.message, "allowed": g.allowed} for g in self.guards],
            "batches": self.n_batches,
            "attempts": 0,
            "bytes": self.n_bytes,
            "least_s": self.least_s,
            "target": self.target,
            "address": self.address,
            "operation": self.envelope.operation,
        }

    def to_excel(self, path: str | Path) -> Path:
        """Write the plan as a workbook: summary, rows to send, field changes, left out; returns its path.

        Raises
        ------
        InputError
            If it cannot be written, or has more rows than a sheet can hold.
        """
        facts = [
            ("verdict", self.verdict),
            ("plan", self.digest),
            ("bound to", self._bound_to()),
            ("target", self.label),
            ("address", f"{self.envelope.operation} to {self.address}"),
            ("requests", f"{self.n_batches:,} ({self.n_bytes:,} bytes), {self._takes()}"),
            *((f"rows {state}", f"{n:,}") for state, n in self.counts.items()),
            *((f"left out: {state}", f"{n:,} ({way})") for state, n, way in self.ways_in),
            *((f"guard {g.name}", f"{g.message}{' Allowed.' if g.allowed else ''}") for g in self.guards),
        ]  # fmt: skip
        summary, rows = pd.DataFrame(facts, columns=["what", "value"], dtype="str"), self.to_frame().reset_index()
        sheets = {"rows to send": rows, "field changes": self.fields, "left out": self.not_sent}
        if self.delivery.about_times:
            sheets = {t: each.assign(**{TIME: self.delivery.as_written(each[TIME])}) for t, each in sheets.items()}
            sheets["rows to send"][f"{TIME} in UTC, as sent"] = rows[TIME]
        return write_sheets({"summary": summary, **sheets}, Path(path))

    def _takes(self) -> str:
        return f"at least {self.least_s:,.0f} s" if self.least_s >= 1 else "less than a second at the contract's rate"

    def _bound_to(self) -> str:
        version = {None: "no ledger", -1: "an empty ledger"}.get(
            self.ledger_version, f"version {self.ledger_version} of the ledger"
        )
        mapping = f"; read with mapping {self.delivery.mapping['version']}" if self.delivery.mapping else ""
        return f"plan {self.digest[:12]}, bound to its rows, target, contract and {version}{mapping}"


NOT_SENT = ["source_row", ID, NAME, TIME, "state", "why"]
SHORTEST_DIGEST = 8


@step("Planning")
def plan_push(
    changes: Diff,
    *,
    settings: Settings | None = None,
    include: str | Iterable[str] | None = (),
    allow: str | Iterable[str] | None = (),
    thresholds: Mapping[str, float] | None = None,
    now: pd.Timestamp | None = None,
) -> PushPlan:
    """Plan what to send of a diff: added and changed rows, oldest first.

    Parameters
    ----------
    include
        States to send as well: ``touched``, ``restated``, ``backdated``.
    allow
        Guards to allow by name, or ``all``; any other guard that finds something blocks the push.
    thresholds
        Name of a guard to the share, 0 to 1, above which it blocks: ``{"changed": 0.3}``. The defaults are in
        `toolkit.pushing.guards.GUARDS`.
    now
        The moment from which the guard ``future`` counts, UTC; by default the present.

    Raises
    ------
    InputError
        If `changes` is not a diff, or `now` names no zone.
    PlanError
        If a state cannot be included, a guard does not exist, the diff compares with another target's ledger or with a
        past moment, or has other custom attributes than the settings, the ledger has one that these do not list, a
        cell of one is not of its data type, or a row is larger than a request may be.

    Examples
    --------
    >>> from toolkit.ledger import diff
    >>> from toolkit.model import empty_frame
    >>> plan_push(diff(empty_frame(), empty_frame())).verdict
    'Nothing to send'
    """
    if not isinstance(changes, Diff):
        raise wrong_kind(changes, "a diff", "diff(Ledger.of().snapshot(), report)")
    chosen = current(settings)
    included = chosen_names(include, "include", "state that can be included", INCLUDABLE)
    wanted = [*SENT, *included]
    envelope, ledger = Envelope(chosen.documented, chosen.solution, chosen.operation), Ledger.of(chosen)
    if changes.before.origin not in ("", ledger.origin):
        raise PlanError(
            f"The diff does not compare with what {chosen.label} holds now, but with another target, ledger or moment: "
            "diff with Ledger.of(settings).snapshot() of the same settings. Nothing was planned."
        )
    _require_attributes(changes, envelope.contract.resource)
    if unlisted := ledger.unlisted:
        raise PlanError(
            f"The ledger has custom attributes that the settings do not list ({', '.join(unlisted)}), and new versions "
            "would empty them: list them under [[attributes]] in toolkit.toml. Nothing was planned."
        )
    rows = _rows(changes, wanted, envelope.contract.resource)
    batches = envelope.batches(rows)
    address = chosen.url()
    bound_to = (chosen.target, address, chosen.contract, chosen.operation, changes.before.version)
    left_out = {s: changes.count(s) for s in (*STATES, "absent", "held") if s not in wanted}
    host, moment = "" if chosen.local else chosen.host, zoned_moment(now, "now")
    situation = Situation(changes, rows, ledger.deliveries(), host, ledger_is_empty=ledger.version < 0, now=moment)
    return PushPlan(
        digest=hashlib.sha256(json.dumps([*bound_to, *(b.digest for b in batches)]).encode()).hexdigest(),
        rows=rows,
        batches=batches,
        left_out=left_out,
        envelope=envelope,
        target=chosen.target,
        label=chosen.label,
        address=address,
        ledger_version=changes.before.version,
        changes=changes,
        guards=find_guards(situation, allow=allow, thresholds=thresholds),
    )


def as_dry_run(plan: PushPlan) -> PushPlan:
    """Return the plan with requests that the vendor only checks.

    Raises
    ------
    PlanError
        If the contract documents no dry run: the vendor might ignore the flag and write the rows.
    """
    contract = plan.envelope.contract
    if not contract.dry_run:
        raise PlanError(
            f"The contract {contract.name} documents no dry run, so the vendor might write the rows: use "
            "'plan' to see what would be sent, or set TOOLKIT_CONTRACT=current if the tenant has it."
        )
    envelope = replace(plan.envelope, dry_run=True)
    return replace(plan, envelope=envelope, batches=envelope.batches(plan.rows))


def require_digest(plan: PushPlan, digest: str) -> None:
    """Refuse a plan other than the reviewed one, which is named by the first eight characters of its digest or more.

    Raises
    ------
    PlanError
        If it is another plan, or fewer characters are given.
    """
    if digest and len(digest) < SHORTEST_DIGEST:
        raise PlanError(f"--plan takes at least the first {SHORTEST_DIGEST} characters of the plan's digest.")
    if not plan.digest.startswith(digest.lower()):
        raise PlanError(
            f"The file now makes plan {plan.digest[:12]}, not the reviewed one: the file, the mapping, the settings or "
            "the ledger has changed since. Review it again with 'toolkit plan'."
        )


def _rows(changes: Diff, states: list[str], resource: Resource) -> pa.Table:
    schema = pa.schema([("source_row", pa.int64()), *resource.arrow_schema(), ("state", pa.string())])

    def typed() -> Iterator[pa.Table]:
        for frame, state in changes.in_order(states):
            for column in resource.custom:
                if column.default is not None and column.name not in changes.delivery.given:
                    cells = frame[column.name]
                    given = cells.notna() | (state != "added")
                    frame = frame.assign(**{column.name: cells.where(given, column.default)})
            table = to_arrow(frame, resource.arrow_schema(), index="source_row")
            yield table.append_column("state", pa.array(state, type=pa.string()))

    return on_disk(typed(), schema) if isinstance(changes, TableDiff) else next(typed())


def _require_attributes(changes: Diff, resource: Resource) -> None:
    """Refuse to drop a custom attribute of the delivery, to empty one that the diff lacks, or to guess a cell."""
    delivery, custom = changes.delivery, [c.name for c in resource.custom]
    dropped = [c for c in delivery.given if c not in resource.names]
    unseen = [c for c in custom if c not in delivery.frame.columns]
    if dropped or unseen:
        raise PlanError(
            f"The settings and the diff do not have the same custom attributes: {', '.join(dropped + unseen)}. List "
            "those of the table under [[attributes]] in toolkit.toml, validate the delivery again, and diff it with "
            "the ledger's snapshot."
        )
    for column in resource.custom:
        # Arrow would accept infinity, which JSON does not have, and read a time without a zone as UTC.
        unread = delivery.frame.index[cast_column(delivery.frame[column.name], column)[1]]
        if len(unread):
            raise PlanError(
                f"{column.name} of source_row {unread[0]} is not written as {column.kind}: validate the delivery, and "
                "diff the report. Nothing was planned."
            )
