"""A snapshot: the customers as the vendor should have them at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa

from toolkit.display import Result, badges, frame_table, heading, paragraph, plural, timestamp


@dataclass(frozen=True, eq=False, repr=False)
class Snapshot(Result):
    """The customers as the vendor should have them at one moment, one row each.

    Attributes
    ----------
    frame
        The newest version of each customer, in the order of their ids.
    versions
        Every version that counts, with the contract's columns; what a diff compares with.
    version
        The version of the ledger that it was read from; -1 for a ledger without entries.
    last_keys
        Ids in the last full delivery; None if there was none.
    origin
        The ledger that it was read from, and whether it is of a past moment.
    """

    frame: pd.DataFrame
    versions: pa.Table
    version: int
    last_keys: frozenset[str] | None
    label: str
    as_of: pd.Timestamp | None = None
    valid_at: pd.Timestamp | None = None
    origin: str = ""

    @property
    def n_customers(self) -> int:
        """Customers in the snapshot."""
        return len(self.frame)

    def summary(self) -> str:
        """Give the snapshot in one line."""
        when = "".join(
            f" {word} {timestamp(moment)}"
            for word, moment in (("as of", self.as_of), ("valid at", self.valid_at))
            if moment is not None
        )
        return (
            f"{plural(self.n_customers, 'customer')}, {plural(self.versions.num_rows, 'version')}{when} · {self.label}"
        )

    def body(self) -> str:
        """Give the counts and the first customers as an HTML fragment."""
        return "".join(
            [
                heading("Snapshot: what was accepted", level=3),
                badges([(self.n_customers, "customers", "good"), (self.versions.num_rows, "versions", "calm")]),
                paragraph(self.summary(), soft=True),
                frame_table(self.frame, limit=8),
            ]
        )

    def to_frame(self) -> pd.DataFrame:
        """Give the customers, one row each."""
        return self.frame

    def to_dict(self) -> dict[str, Any]:
        """Give the counts."""
        return {"customers": self.n_customers, "versions": self.versions.num_rows, "ledger_version": self.version}
