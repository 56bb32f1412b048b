"""What the journal keeps of a push and of its rows: the record, the receipts, the four fates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Fate = Literal["accepted", "refused", "unknown", "unsent"]
FATES: tuple[Fate, ...] = ("accepted", "refused", "unknown", "unsent")
Ranges = list[tuple[int, int]]
"""Rows of a plan, as first row and the row after the last."""


@dataclass(frozen=True)
class Receipt:
    """What an answer said of some rows of a plan."""

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
    process: int
    n_rows: int
    n_batches: int
    label: str
    facts: dict[str, Any]


OVERTAKEN = "left out: another push brought this version in since"
"""What stands with a row that a resume does not send."""

SETTLED = "settled"
"""The code of a receipt that an analyst gave; its category is who, its message why."""
