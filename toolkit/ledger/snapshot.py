"""A snapshot: the customers as the vendor should have them at one moment."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa

from toolkit.display import Result, frame_table, headline, plural
from toolkit.model import ID, NAME


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
        The version of the ledger that it was read from; -1 for a ledger without entries, None for a plain frame.
    last_keys
        Ids in the last full delivery; None if there was none.
    label
        The ledger that it was read from, and the moment if it is not now, in words.
    origin
        The same, to compare with other origins; empty for a plain frame.
    """

    frame: pd.DataFrame
    versions: pa.Table
    version: int | None
    last_keys: frozenset[str] | None
    label: str
    origin: str = ""

    @property
    def n_customers(self) -> int:
        """Customers in the snapshot."""
        return len(self.frame)

    def summary(self) -> str:
        """Give the snapshot in one line."""
        return f"{plural(self.n_customers, 'customer')}, {plural(self.versions.num_rows, 'version')} · {self.label}"

    def names_of(self, customers: Collection[str]) -> dict[str, object]:
        """Return the newest name of each of these customers that are in it."""
        if NAME not in self.frame:
            return {}
        rows = self.frame[self.frame[ID].isin(list(customers))]
        return dict(zip(rows[ID], rows[NAME], strict=True))

    def body(self) -> str:
        """Give the counts and the customers as an HTML fragment."""
        verdict = f"{plural(self.n_customers, 'customer')} in {plural(self.versions.num_rows, 'version')}"
        table = frame_table(self.frame, name="Customers", unit="customers")
        return headline("Snapshot: what was accepted", verdict, self.label) + table

    def to_frame(self) -> pd.DataFrame:
        """Give the customers, one row each."""
        return self.frame

    def to_dict(self) -> dict[str, Any]:
        """Give the counts."""
        return {"customers": self.n_customers, "versions": self.versions.num_rows, "ledger_version": self.version}
