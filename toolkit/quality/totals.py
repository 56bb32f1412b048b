"""A totals row that no word shows: its numbers, in whichever columns of the file, are the sums of those above."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from toolkit.model import CUSTOMER, ID, NAME, TIME, Delivery
from toolkit.reading import read_again


def summed_rows(delivery: Delivery) -> list[int]:
    """Return the last row if its id has no digit, it has no name or no time, and a number of it is a sum.

    The file is read again for its other columns, but only if its last row is like that.

    Examples
    --------
    >>> frame = pd.DataFrame({"customer_id": ["1", "2", "Alle"], "sales": ["1.000,50", "2", "1.002,5"]})
    >>> summed_rows(Delivery(frame))
    [2]
    """
    if not len(delivery.frame):
        return []
    last = delivery.frame.iloc[-1].reindex([ID, TIME, NAME])
    whole = isinstance(last[TIME], pd.Timestamp) and not pd.isna(last[NAME])
    if whole or (not pd.isna(last[ID]) and any(sign.isdigit() for sign in last[ID])):
        return []
    more = delivery.frame.drop(columns=list(CUSTOMER.names), errors="ignore").astype("str")
    row = int(delivery.frame.index[-1])
    others = read_again(delivery, pd.RangeIndex(row + 1))
    found = [*(more[c] for c in more), *(() if others is None else (others[c] for c in others))]
    return [row] if any(_adds_up(cells, decimal) for cells in found for decimal in ".,") else []


def _adds_up(cells: pd.Series[Any], decimal: str) -> bool:
    """Return whether the last of the numbers is the sum of at least two others; they may have signs and currencies."""
    if not any(sign.isdigit() for sign in str(cells.iloc[-1])):
        return False
    texts = cells.astype("str")
    digits = texts.str.replace(rf"[^0-9{decimal}]", "", regex=True).str.replace(",", ".")
    numbers = pd.to_numeric(digits, errors="coerce").where(~texts.str.contains("[-(−]"), lambda n: -n)
    above, last = numbers.iloc[:-1], numbers.iloc[-1]
    return bool((above.abs() > 0).sum() > 1 and math.isclose(above.sum(), last, rel_tol=1e-6))
