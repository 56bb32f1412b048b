"""A push plan: what would be sent to a target, for a second pair of eyes, on screen, as a page or as a workbook."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from toolkit.batching import Batch, Envelope
from toolkit.casting import typed_frame
from toolkit.comparison import STATES
from toolkit.contract import ID, TIME
from toolkit.delivery import Delivery
from toolkit.diffing import SENT, WAYS_IN, Diff
from toolkit.display import (
    Markup,
    Result,
    badge,
    badges,
    bar,
    escape,
    frame_table,
    heading,
    paragraph,
    plural,
    table,
)
from toolkit.guards import Guard
from toolkit.writing import write_sheets

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
        The guards that speak, those that were overruled included; see `toolkit.guards`.
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
