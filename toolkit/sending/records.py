"""What the journal keeps of a push and of its rows: the record, the receipts, the four fates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from toolkit.vendor import Batch

Fate = Literal["accepted", "refused", "unknown", "unsent"]
FATES: tuple[Fate, ...] = ("accepted", "refused", "unknown", "unsent")
Ranges = list[tuple[int, int]]
"""Rows of a plan, as first row and the row after the last."""


@dataclass(frozen=True)
class Receipt:
    """What an answer said of some rows of a plan; of accepted ones too, what it warns of."""

    first: int
    stop: int
    fate: Fate
    code: str = ""
    category: str = ""
    message: str = ""
    at: str = ""
    batch: int = -1
    number: int = -1
    column: str = ""


@dataclass(frozen=True)
class PushRecord:
    """A push as the journal knows it; `facts` holds what a resume needs of its plan and delivery."""

    id: str
    plan: str
    target: str
    state: str
    opened_at: str
    closed_at: str | None
    author: str
    host: str
    n_rows: int
    n_batches: int
    label: str
    facts: dict[str, Any]


@dataclass(frozen=True, eq=False)
class LoadedPush:
    """All that the journal holds of a push, read once and handed from sending to recording to the report.

    Attributes
    ----------
    rows
        The rows of the push, in the order of its plan.
    receipts
        What answers, or an analyst, said of rows; oldest first.
    attempts
        One row per request: ``id, batch, sent_at, answered_at, status, verdict, digest, answer``.
    fates
        Each row's fate, as its place in `FATES`.
    final
        Whether a row has a receipt: it is not sent again.
    batches
        The first row of each batch, and the row after its last.
    """

    record: PushRecord
    rows: pa.Table
    receipts: Sequence[Receipt]
    attempts: pd.DataFrame
    fates: npt.NDArray[np.int8]
    final: npt.NDArray[np.bool_]
    batches: Ranges

    def has(self, fate: Fate) -> npt.NDArray[np.bool_]:
        """Return which rows have this fate."""
        found: npt.NDArray[np.bool_] = self.fates == FATES.index(fate)
        return found

    @property
    def taken(self) -> bool:
        """Whether the vendor accepted a row of it, or may have."""
        return bool((self.has("accepted") | self.has("unknown")).any())


@dataclass(frozen=True, eq=False)
class NewPush:
    """A push that is about to be opened: its plan's digest, rows in order, requests, and the facts a resume needs.

    `keys` gives what the ledger records of its delivery: the key of each row, and whether its customer is ``held``.
    """

    plan: str
    label: str
    rows: pa.Table
    batches: Sequence[Batch]
    keys: Callable[[], pa.Table]
    facts: dict[str, Any]


OVERTAKEN = "left out: another push brought this version in since"
"""The message of a receipt for a row that a resume does not send."""

SETTLED = "settled"
"""The code of a receipt that an analyst gave; its category is who, its message why."""
