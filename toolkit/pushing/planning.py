"""plan_push(): what would be sent, what is left out and why, cut into batches; nothing leaves the machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from toolkit.config import Settings, current
from toolkit.display import Markup, Result, badge, badges, bar, escape, frame_table, heading, paragraph, plural, table
from toolkit.engine import to_arrow
from toolkit.errors import PlanError, did_you_mean
from toolkit.ledger import SENT, STATES, WAYS_IN, Diff, Ledger
from toolkit.model import ID, TIME, Delivery, Resource, cast_column, typed_frame
from toolkit.pushing.guards import Guard, Situation, chosen_names, find_guards
from toolkit.sending import NewPush
from toolkit.tables import write_sheets
from toolkit.vendor import Batch, Envelope

_SHOWN = 600
"""Characters of a body that a page shows at either end."""


@dataclass(frozen=True, eq=False, repr=False)
class PushPlan(Result):
    """What would be sent to a target, bound by a digest to its content and to the ledger it was made from.

    Attributes
    ----------
    digest
        SHA-256 over target, address, contract, operation, the ledger's version and every body.
    rows
        What is sent, oldest first: the contract's columns, ``source_row`` and ``state``.
    batches
        The requests, cut by rows and by bytes.
    left_out
        Rows, or customers, by state, that are not sent.
    ledger_version
        The version that the diff was made from; None if it was not made from a ledger.
    guards
        The guards that speak, those that were overruled included; see `toolkit.pushing.guards`.
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

    @property
    def delivery(self) -> Delivery:
        """The delivery that the rows come from."""
        return self.changes.delivery

    @property
    def n_rows(self) -> int:
        """Rows to send."""
        return int(self.rows.num_rows)

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
        """Rows of the delivery that are not sent; absent and held customers are counted apart."""
        return sum(n for state, n in self.left_out.items() if state in STATES)

    @property
    def least_s(self) -> float:
        """Seconds it takes at the contract's rate at the least."""
        return self.n_batches / self.envelope.contract.max_requests_per_s

    @property
    def counts(self) -> dict[str, int]:
        """Rows to send by state, in the order of the states."""
        found = self.rows["state"].to_pandas().value_counts()
        return {s: int(found.get(s, 0)) for s in STATES if s in SENT or s in found}

    @property
    def fields(self) -> pd.DataFrame:
        """The changed fields among the rows to send, one record each, as `Diff.fields`."""
        fields = self.changes.fields
        return fields[fields["source_row"].isin(self.rows["source_row"].to_numpy())].reset_index(drop=True)

    @property
    def not_sent(self) -> pd.DataFrame:
        """What is left out, unchanged rows apart: ``source_row, customer_id, updated_at, state, way_in``."""
        states, frame = self.changes.states, self.delivery.frame
        left = states.isin([s for s in STATES if s in self.left_out and s != "unchanged"])
        rows = frame.loc[left, [ID, TIME]].reset_index(names="source_row").astype({"source_row": "Int64"})
        absent = self.changes.absent[[ID, TIME]].assign(state="absent")
        held = pd.DataFrame({ID: sorted(self.delivery.held), "state": "held"})
        parts = [rows.assign(state=states[left].astype("str").to_numpy()), absent, held]
        found = pd.concat([p for p in parts if len(p)] or parts[:1], ignore_index=True)
        return found.reindex(columns=["source_row", ID, TIME, "state"]).assign(way_in=found["state"].map(WAYS_IN))

    @property
    def first_body(self) -> bytes:
        """The body of the first request; empty where there is none."""
        return self._body(0)

    @property
    def last_body(self) -> bytes:
        """The body of the last request; empty where there is none."""
        return self._body(-1)

    def _body(self, place: int) -> bytes:
        if not self.batches:
            return b""
        batch = self.batches[place]
        return self.envelope.body(self.rows.slice(batch.first, batch.n_rows))

    def new_push(self, *, reason: str = "", ledger_version: int = -1) -> NewPush:
        """Return what the journal keeps of the plan as a push that is about to be opened."""
        facts = {
            "contract": self.envelope.contract.name,
            "solution": self.envelope.solution,
            "operation": self.envelope.operation,
            "address": self.address,
            "n_left_out": self.n_left_out,
            "left_out": self.left_out,
            "n_quarantined": self.delivery.n_quarantined,
            "source": self.delivery.source,
            "source_digest": self.delivery.digest,
            "kind": self.delivery.kind,
            "names": self.delivery.names,
            "datetime": self.delivery.datetime,
            "timezone": self.delivery.timezone,
            "overruled": [guard.name for guard in self.guards if guard.overruled],
            "reason": reason,
            "ledger_version": ledger_version,
        }
        return NewPush(self.digest, self.label, self.rows, self.batches, self.delivery, facts)

    @property
    def verdict(self) -> str:
        """Whether it can go, in one line."""
        if not self.n_rows:
            return "Nothing to send"
        speaking = [g.name for g in self.guards if not g.overruled]
        if speaking:
            return f"Held back by {plural(len(speaking), 'guard')}: {', '.join(speaking)}"
        return f"Ready: {plural(self.n_rows, 'row')} in {plural(self.n_batches, 'request')}, {self._takes()}"

    def summary(self) -> str:
        """Say the plan in one line."""
        return (
            f"{plural(self.n_rows, 'row')} in {plural(self.n_batches, 'batch', 'batches')}, "
            f"{self.n_left_out:,} left out · {self.label} · plan {self.digest[:12]}"
        )

    def body(self) -> str:
        """Give the plan as an HTML fragment: the verdict, the guards, what is sent, what is left out."""
        parts = [
            heading(self.verdict, level=3),
            badges([(n, state, "good") for state, n in self.counts.items()]),
            paragraph(
                f"{self.label} · {self.envelope.operation} to {self.address} · {plural(self.n_batches, 'request')}, "
                f"{self.n_bytes:,} bytes, {self._takes()}"
            ),
            paragraph(self._bound_to(), soft=True),
        ]
        if self.guards:
            parts += [heading("Guards"), *map(_guard_line, self.guards)]
        if any(self.left_out.values()):
            said = [(state.replace("_", " "), n, WAYS_IN[state]) for state, n in self.left_out.items() if n]
            parts += [heading("Left out"), table(["state", "count", "way in"], said)]
        fields = self.fields
        if len(fields):
            counts = fields["column"].value_counts()
            shares = [(column, n, bar(n / self.n_rows)) for column, n in counts.items()]
            parts += [
                heading(f"What changes: {plural(len(fields), 'field')}"),
                table(["column", "rows", "of those sent"], shares),
                frame_table(fields),
            ]
        if self.n_rows:
            parts += [
                heading("Sent, oldest first"),
                frame_table(typed_frame(self.rows.slice(0, 8)).set_index("source_row"), index="source_row", limit=8),
                heading("First body"),
                _shortened(self.first_body),
            ]
        if self.n_batches > 1:
            parts += [heading("Last body"), _shortened(self.last_body)]
        return "".join(parts)

    def to_frame(self) -> pd.DataFrame:
        """Give the rows to send, index ``source_row``."""
        return typed_frame(self.rows, index="source_row")

    def to_dict(self) -> dict[str, Any]:
        """Give the counts; before a push every row is unsent."""
        return {
            "plan": self.digest,
            "rows": self.n_rows,
            "accepted": 0,
            "refused": 0,
            "unknown": 0,
            "unsent": self.n_rows,
            "by_state": self.counts,
            "changed_fields": len(self.fields),
            "quarantined": self.delivery.n_quarantined,
            "left_out": self.n_left_out,
            "left_out_by_state": self.left_out,
            "guards": [{"name": g.name, "message": g.message, "overruled": g.overruled} for g in self.guards],
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
            If it cannot be written, or holds more rows than a sheet.
        """
        facts = [
            ("verdict", self.verdict),
            ("plan", self.digest),
            ("bound to", self._bound_to()),
            ("target", self.label),
            ("address", self.address),
            ("operation", self.envelope.operation),
            ("requests", f"{self.n_batches:,} ({self.n_bytes:,} bytes), {self._takes()}"),
            *((f"rows {state}", f"{n:,}") for state, n in self.counts.items()),
            *((f"left out: {state.replace('_', ' ')}", f"{n:,} ({WAYS_IN[state]})")
              for state, n in self.left_out.items() if n),
            *((f"guard {g.name}", f"{g.message}{' Overruled.' if g.overruled else ''}") for g in self.guards),
        ]  # fmt: skip
        sheets = {
            "summary": pd.DataFrame(facts, columns=["what", "value"], dtype="str"),
            "rows to send": self.to_frame().reset_index(),
            "field changes": self.fields,
            "left out": self.not_sent,
        }
        return write_sheets(sheets, Path(path))

    def _takes(self) -> str:
        return f"at least {self.least_s:,.0f} s" if self.least_s >= 1 else "less than a second at the contract's rate"

    def _bound_to(self) -> str:
        version = {None: "no ledger", -1: "an empty ledger"}.get(
            self.ledger_version, f"version {self.ledger_version} of the ledger"
        )
        return f"plan {self.digest[:12]}, bound to its rows, target, contract and {version}"


def _guard_line(guard: Guard) -> Markup:
    tag = badge(f"{guard.name}, overruled") if guard.overruled else badge(guard.name, tone="bad")
    return paragraph(tag, guard.message)


def _shortened(body: bytes) -> Markup:
    text = body.decode()
    if len(text) > 2 * _SHOWN:
        text = f"{text[:_SHOWN]} … {len(text) - 2 * _SHOWN:,} characters … {text[-_SHOWN:]}"
    return Markup(f'<pre style="white-space:pre-wrap;overflow-wrap:anywhere;font-size:12px">{escape(text)}</pre>')


__all__ = ["Envelope", "PushPlan", "as_dry_run", "plan_push", "require_digest"]

INCLUDABLE = ("touched", "restated", "backdated")
SHORTEST_DIGEST = 8


def plan_push(
    changes: Diff,
    *,
    settings: Settings | None = None,
    include: str | Iterable[str] | None = (),
    allow: str | Iterable[str] | None = (),
    thresholds: Mapping[str, float] | None = None,
) -> PushPlan:
    """Plan what to send of a diff: added and changed rows, oldest first.

    Parameters
    ----------
    include
        States to send besides: ``touched``, ``restated``, ``backdated``.
    allow
        Guards to overrule by name, or ``all``; a guard that speaks otherwise holds the push back.
    thresholds
        Name of a guard to the share, 0 to 1, beyond which it speaks: ``{"changed": 0.3}``.
        The defaults stand in `toolkit.pushing.guards.GUARDS`.

    Raises
    ------
    PlanError
        If a state cannot be included, a guard does not exist, the diff compares with another target's ledger or a
        past moment, or knows other custom attributes than the settings, the ledger has one that these do not list, a
        cell of one is not of its data type, or a row is larger than a request may be.

    Examples
    --------
    >>> import pandas as pd
    >>> from toolkit.ledger.diffing import diff
    >>> before = pd.DataFrame({"customer_id": ["A", "B"], "customer_name": ["Acme", "Best"],
    ...                        "updated_at": pd.to_datetime(["2025-01-28T10:00:00Z"] * 2)})
    >>> after = before.assign(updated_at=pd.to_datetime("2025-02-28T10:00:00Z"), customer_name=["Acme", "Bestow"])
    >>> plan = plan_push(diff(before, after))
    >>> plan.counts, [guard.name for guard in plan.guards]
    ({'added': 0, 'changed': 1}, ['changed'])
    """
    chosen = current(settings)
    included = chosen_names(include, "include", INCLUDABLE)
    for state in included:
        if state not in INCLUDABLE:
            raise PlanError(
                f"Rows that are {state} cannot be included{did_you_mean(state, INCLUDABLE) or '.'} "
                f"It can be {', '.join(INCLUDABLE)}."
            )
    wanted = [*SENT, *included]
    envelope, ledger = Envelope(chosen.documented, chosen.solution, chosen.operation), Ledger.of(chosen)
    if changes.before_origin not in ("", ledger.origin):
        raise PlanError(
            f"The diff does not compare with what {chosen.label} holds now, but with another target, ledger or moment: "
            "diff with Ledger.of(settings).snapshot(), of the same settings. Nothing was planned."
        )
    _require_attributes(changes, envelope.contract.resource)
    if unlisted := ledger.unlisted:
        raise PlanError(
            f"What was sent before has custom attributes that the settings do not list ({', '.join(unlisted)}), and "
            "new versions would empty them: list them under [[attributes]] in toolkit.toml. Nothing was planned."
        )
    rows = _rows(changes, wanted, envelope.contract.resource)
    batches = envelope.batches(rows)
    address = chosen.url()
    bound_to = {
        "target": chosen.target,
        "address": address,
        "contract": chosen.contract,
        "operation": chosen.operation,
        "ledger_version": changes.before_version,
        "batches": [b.digest for b in batches],
    }
    left_out = {s: changes.count(s) for s in STATES if s not in wanted}
    left_out |= {s: changes.count(s) for s in ("absent", "held")}
    situation = Situation(
        changes, rows, ledger.deliveries(), "" if chosen.local else chosen.host, ledger_is_empty=ledger.version < 0
    )
    return PushPlan(
        digest=hashlib.sha256(json.dumps(bound_to, sort_keys=True).encode()).hexdigest(),
        rows=rows,
        batches=batches,
        left_out=left_out,
        envelope=envelope,
        target=chosen.target,
        label=chosen.label,
        address=address,
        ledger_version=changes.before_version,
        changes=changes,
        guards=find_guards(situation, allow=allow, thresholds=thresholds),
    )


def as_dry_run(plan: PushPlan) -> PushPlan:
    """Return the plan as one that the vendor only checks.

    Raises
    ------
    PlanError
        If the contract documents no dry run: the vendor might ignore the wish, and write.
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
    """Hold a plan to the digest of the reviewed one, of which the first eight characters will do.

    Raises
    ------
    PlanError
        If it is another plan, or the digest is too short to say.
    """
    if digest and len(digest) < SHORTEST_DIGEST:
        raise PlanError(f"--plan takes at least the first {SHORTEST_DIGEST} characters of the plan's digest.")
    if not plan.digest.startswith(digest.lower()):
        raise PlanError(
            f"The file now makes plan {plan.digest[:12]}, not the reviewed one: the file, the mapping, "
            "the settings or the ledger changed since. Review it anew with 'toolkit plan'."
        )


def _rows(changes: Diff, states: list[str], resource: Resource) -> pa.Table:
    chosen = changes.states.isin(states)
    frame = changes.delivery.frame[chosen]
    order = np.argsort(frame[TIME].astype("int64").to_numpy(), kind="stable")
    frame, state = frame.iloc[order], changes.states[chosen].iloc[order].astype("str")
    for column in resource.custom:
        if column.default is not None and column.name not in changes.delivery.given:
            cells = frame[column.name]
            frame = frame.assign(**{column.name: cells.where(cells.notna() | (state != "added"), column.default)})
    table = to_arrow(frame, resource.arrow_schema(), index="source_row")
    return table.append_column("state", pa.array(state, type=pa.string()))


def _require_attributes(changes: Diff, resource: Resource) -> None:
    """Refuse to drop a custom attribute of the delivery, to empty one that the diff never saw, or to guess a cell."""
    delivery, custom = changes.delivery, [c.name for c in resource.custom]
    dropped = [c for c in delivery.given if c not in resource.names]
    unseen = [c for c in custom if c not in delivery.frame.columns]
    if dropped or unseen:
        raise PlanError(
            f"The settings and the diff do not name the same custom attributes: {', '.join(dropped + unseen)}. List "
            "those of the table under [[attributes]] in toolkit.toml, validate under Settings().documented, and diff "
            "with Ledger.of().snapshot()."
        )
    for column in resource.custom:
        # Arrow would take infinity, which JSON has not, and a time without a zone as UTC.
        unread = delivery.frame.index[cast_column(delivery.frame[column.name], column)[1]]
        if len(unread):
            raise PlanError(
                f"{column.name} of source_row {unread[0]} is not written as {column.kind}: validate the "
                "delivery under Settings().documented, and diff its good rows. Nothing was planned."
            )
