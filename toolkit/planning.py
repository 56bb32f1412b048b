"""plan_push(): what would be sent, what is left out and why, cut into batches; nothing leaves the machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from toolkit.comparison import STATES
from toolkit.contract import CUSTOMER, TIME, Contract
from toolkit.delivery import Delivery
from toolkit.diffing import SENT, WAYS_IN, Diff
from toolkit.display import Result, badges, frame_table, heading, paragraph, plural, table
from toolkit.encoding import EncodedRows, encode
from toolkit.engine import to_arrow, to_frame
from toolkit.errors import PlanError, did_you_mean
from toolkit.settings import Settings

INCLUDABLE = ("touched", "restated", "backdated")
_PART = 100_000
"""Rows encoded at a time, so that the bodies of a large plan are never all in memory."""

SHORTEST_DIGEST = 8


@dataclass(frozen=True)
class Batch:
    """One request: its rows are `first` up to `first + n_rows` of the plan."""

    number: int
    first: int
    n_rows: int
    n_bytes: int
    digest: str

    @property
    def stop(self) -> int:
        """The row after the last."""
        return self.first + self.n_rows


@dataclass(frozen=True)
class Envelope:
    """What the bodies of a plan share: the contract's limits, and what stands around the rows."""

    contract: Contract
    solution: str
    operation: str
    dry_run: bool = False

    @property
    def ends(self) -> tuple[bytes, bytes]:
        """What stands before and after the rows."""
        return self.contract.envelope(self.solution, self.operation, dry_run=self.dry_run)

    def body(self, rows: pa.Table) -> bytes:
        """Return the body that sends these rows, whatever the limits."""
        head, tail = self.ends
        return head + encode(rows).slice(0, rows.num_rows) + tail

    def bodies(self, rows: pa.Table) -> Iterator[tuple[int, int, bytes]]:
        """Cut rows into requests: yields (first, stop, body), each closed *before* the row that would pass a limit.

        Raises
        ------
        PlanError
            If one row alone is larger than a request may be.
        """
        head, tail = self.ends
        room = self.contract.max_bytes - len(head) - len(tail)
        first = 0
        while first < rows.num_rows:
            part = rows.slice(first, _PART)
            encoded = encode(part)
            last_part = first + part.num_rows == rows.num_rows
            start = 0
            while start < part.num_rows:
                stop = _cut(encoded, start, room, self.contract.max_rows)
                if stop == start:
                    raise PlanError(
                        f"source_row {rows['source_row'][first + start]} is larger than a request may be "
                        f"({self.contract.max_bytes:,} bytes): shorten its texts."
                    )
                if stop == part.num_rows and not last_part and start:
                    break  # a batch that the part's end cut off begins the next part
                yield first + start, first + stop, head + encoded.slice(start, stop) + tail
                start = stop
            first += start


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

    def summary(self) -> str:
        """Say the plan in one line."""
        return (
            f"{plural(self.n_rows, 'row')} in {plural(self.n_batches, 'batch', 'batches')}, "
            f"{self.n_left_out:,} left out · {self.label} · plan {self.digest[:12]}"
        )

    def body(self) -> str:
        """Give the plan as an HTML fragment: what is sent, what is left out and its way in."""
        states = pd.Series(self.rows["state"].to_pandas())
        parts = [
            heading(f"Plan {self.digest[:12]}", level=3),
            badges([(int((states == s).sum()), s, "good") for s in STATES if s in SENT or (states == s).any()]),
            paragraph(
                f"{self.label} · {self.envelope.operation} to {self.address} · "
                f"{plural(self.n_batches, 'request')}, {self.n_bytes:,} bytes"
                + (f", at least {self.least_s:,.0f} s" if self.least_s >= 1 else "")
            ),
        ]
        if self.n_rows:
            parts += [
                heading("Sent, oldest first"),
                frame_table(to_frame(self.rows.slice(0, 8)).set_index("source_row"), index="source_row", limit=8),
            ]
        if any(self.left_out.values()):
            parts += [
                heading("Left out"),
                table(
                    ["state", "count", "way in"],
                    [(state.replace("_", " "), n, WAYS_IN[state]) for state, n in self.left_out.items() if n],
                ),
            ]
        return "".join(parts)

    def to_frame(self) -> pd.DataFrame:
        """Give the rows to send, index ``source_row``."""
        return to_frame(self.rows, index="source_row")

    def to_dict(self) -> dict[str, Any]:
        """Give the counts; before a push every row is unsent."""
        return {
            "plan": self.digest,
            "rows": self.n_rows,
            "accepted": 0,
            "refused": 0,
            "unknown": 0,
            "unsent": self.n_rows,
            "quarantined": self.delivery.n_quarantined,
            "left_out": self.n_left_out,
            "left_out_by_state": self.left_out,
            "batches": self.n_batches,
            "attempts": 0,
            "bytes": self.n_bytes,
            "target": self.target,
            "address": self.address,
            "operation": self.envelope.operation,
        }


def plan_push(changes: Diff, *, settings: Settings | None = None, include: Iterable[str] = ()) -> PushPlan:
    """Plan what to send of a diff: added and changed rows, oldest first.

    Parameters
    ----------
    include
        States to send besides: ``touched``, ``restated``, ``backdated``.

    Raises
    ------
    PlanError
        If a state cannot be included, or a row is larger than a request may be.
    """
    chosen = settings or Settings()
    wanted = [*SENT, *include]
    for state in include:
        if state not in INCLUDABLE:
            raise PlanError(
                f"Rows that are {state} cannot be included{did_you_mean(state, INCLUDABLE)} "
                f"It can be {', '.join(INCLUDABLE)}."
            )
    envelope = Envelope(chosen.documented, chosen.solution, chosen.operation)
    rows = _rows(changes, wanted)
    batches = _batches(envelope, rows)
    bound_to = {
        "target": chosen.target,
        "address": chosen.url(""),
        "contract": chosen.contract,
        "operation": chosen.operation,
        "ledger_version": changes.before_version,
        "batches": [b.digest for b in batches],
    }
    left_out = {s: changes.count(s) for s in STATES if s not in wanted}
    left_out |= {s: changes.count(s) for s in ("absent", "held")}
    return PushPlan(
        digest=hashlib.sha256(json.dumps(bound_to, sort_keys=True).encode()).hexdigest(),
        rows=rows,
        batches=batches,
        left_out=left_out,
        envelope=envelope,
        target=chosen.target,
        label=chosen.label,
        address=chosen.url(),
        ledger_version=changes.before_version,
        changes=changes,
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
    return replace(plan, envelope=envelope, batches=_batches(envelope, plan.rows))


def _batches(envelope: Envelope, rows: pa.Table) -> tuple[Batch, ...]:
    return tuple(
        Batch(number, first, stop - first, len(body), hashlib.sha256(body).hexdigest())
        for number, (first, stop, body) in enumerate(envelope.bodies(rows))
    )


def _rows(changes: Diff, states: list[str]) -> pa.Table:
    chosen = changes.states.isin(states)
    frame = changes.delivery.frame[chosen]
    order = np.argsort(frame[TIME].astype("int64").to_numpy(), kind="stable")
    table_ = to_arrow(frame.iloc[order], CUSTOMER.arrow_schema(), index="source_row")
    state = changes.states[chosen].iloc[order].astype("str")
    return table_.append_column("state", pa.array(state, type=pa.string()))


def _cut(encoded: EncodedRows, start: int, room: int, max_rows: int) -> int:
    """Return where the batch that begins at `start` ends; the last row's comma is not sent."""
    begin = int(encoded.ends[start - 1]) if start else 0
    fits = int(np.searchsorted(encoded.ends, begin + room + 1, side="right"))
    return min(fits, start + max_rows)


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
