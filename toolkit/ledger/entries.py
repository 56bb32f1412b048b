"""The entries of a ledger: their columns, how they are made, and which of them count."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from toolkit.engine import Session, quoted, to_frame
from toolkit.errors import InputError, LedgerError, ToolkitError
from toolkit.model import CUSTOMER, ID, TIME, Resource

ACCEPTED, SEEDED, RETRACTED = "accepted", "seeded", "retracted"
_TIME = pa.timestamp("us", tz="UTC")
STANDS = f"""NOT EXISTS (FROM entries g WHERE g.entry = '{RETRACTED}' AND (g.push IS NULL OR g.push = e.push)
        AND g.customer_id = e.customer_id AND g.updated_at = e.updated_at AND g.recorded_at >= e.recorded_at)"""
"""Whether no retraction took an entry e back."""
STANDING = f"FROM entries e WHERE entry <> '{RETRACTED}' AND push = $2 AND {STANDS}"
"""The rows of a push ($2) that no retraction took back."""


def entry_schema(resource: Resource) -> pa.Schema:
    """Return the columns of an entry: what happened, the row with its custom attributes, and where it came from."""
    return pa.schema(
        [
            pa.field("entry", pa.string()),  # accepted, seeded (sent before the toolkit came) or retracted
            *resource.arrow_schema(),
            pa.field("recorded_at", _TIME),  # when the vendor answered
            pa.field("operation", pa.string()),
            pa.field("push", pa.string()),  # the push; of a retraction, the only one whose rows it takes back
            pa.field("batch", pa.int64()),
            pa.field("position", pa.int64()),  # the row's place in its plan
            pa.field("author", pa.string()),
            pa.field("reason", pa.string()),
            pa.field("source_file", pa.string()),
            pa.field("source_row", pa.int64()),
        ]
    )


ENTRY = entry_schema(CUSTOMER)


def rows_of(schema: pa.Schema, n: int, /, **columns: Any) -> pa.Table:
    """Return rows of this schema: arrays as they are, single values repeated, what is not named null.

    Examples
    --------
    >>> rows_of(ENTRY, 2, entry=SEEDED, position=pa.array([4, 5])).select(["entry", "position", "push"]).to_pylist()[1]
    {'entry': 'seeded', 'position': 5, 'push': None}
    """

    def column(field: pa.Field) -> Any:
        value = columns.get(field.name)
        if isinstance(value, pa.Array | pa.ChunkedArray):
            return value.cast(field.type)
        return pa.repeat(pa.scalar(value, field.type), n)

    return pa.table([column(field) for field in schema], schema=schema)


def seeding_name(rows: pa.Table) -> str:
    """Return the name of a seeding, which its rows have in whatever order they come."""
    content = rows.sort_by([(c, "ascending") for c in CUSTOMER.key]).to_pylist()
    return "seed-" + hashlib.sha256(repr(content).encode()).hexdigest()[:12]


# A version counts from its last acceptance that no retraction followed. An UPSERT replaces what was there, an APPEND of
# a version that is there does nothing.
def versions_of(resource: Resource) -> str:
    """Return the SQL for the versions that count; its parameters: accepted by, current on, a push to leave out."""
    return f"""FROM (
    WITH seen AS (
        FROM entries WHERE ($2 IS NULL OR recorded_at <= $2) AND ($3 IS NULL OR updated_at <= $3)
                       AND ($4 IS NULL OR push IS DISTINCT FROM $4)
    ), gone AS (
        SELECT customer_id, updated_at, push, max(recorded_at) AS at_ FROM seen WHERE entry = '{RETRACTED}' GROUP BY ALL
    )
    SELECT {", ".join("e." + quoted(c) for c in resource.names)}
    FROM seen e
    LEFT JOIN (FROM gone WHERE push IS NULL) k ON e.customer_id = k.customer_id AND e.updated_at = k.updated_at
    LEFT JOIN (FROM gone WHERE push IS NOT NULL) p
        ON e.customer_id = p.customer_id AND e.updated_at = p.updated_at AND e.push = p.push
    WHERE e.entry <> '{RETRACTED}' AND coalesce(e.recorded_at > greatest(k.at_, p.at_), TRUE)
    QUALIFY row_number() OVER (
        PARTITION BY e.customer_id, e.updated_at
        ORDER BY coalesce(e.operation = 'UPSERT', FALSE) DESC,
                 CASE WHEN e.operation = 'UPSERT' THEN -epoch_us(e.recorded_at) ELSE epoch_us(e.recorded_at) END) = 1)
"""


LATER_GONE = f"""SELECT e.customer_id, e.updated_at, max(e.recorded_at) AS at_ FROM entries e JOIN (
        SELECT customer_id, updated_at, max(recorded_at) AS gone_at FROM entries
        WHERE entry = '{RETRACTED}' AND recorded_at >= $2 AND (push IS NULL OR push = $3) GROUP BY ALL
    ) USING (customer_id, updated_at) WHERE e.recorded_at <= gone_at + INTERVAL 1 second GROUP BY ALL"""
"""The versions retracted at a moment ($2) or later, as for a push ($3), and when; with what was put behind it since."""


def after_retractions(entries: pa.Table, gone: pa.Table) -> pa.Table:
    """Return the entries, later than what retracted their versions (`LATER_GONE`) before they came to the ledger."""
    # What is entered is no part of what was taken back then, however early the vendor answered or the clocks differ.
    if not gone.num_rows:
        return entries
    with Session({"entries_": entries, "gone": gone}) as session:
        return session.table(
            "SELECT e.* REPLACE (greatest(recorded_at, at_ + INTERVAL 1 microsecond) AS recorded_at) "
            "FROM entries_ e LEFT JOIN gone USING (customer_id, updated_at) ORDER BY position"
        )


def held_keys(keys: list[tuple[str, Any]], versions: pa.Table) -> pa.Table:
    """Return the keys as a table.

    Raises
    ------
    InputError
        If one is no pair of customer_id and updated_at.
    LedgerError
        If there is no such version.
    """
    try:
        ids, times = [who for who, _ in keys], [moment_of(at, TIME) for _, at in keys]
    except (TypeError, ValueError):
        raise InputError(f"A key is a pair of {ID} and {TIME}. Nothing was retracted.") from None
    for customer_id in ids:
        require_text(customer_id)
    wanted = pd.DataFrame({ID: pd.array(ids, dtype="str"), TIME: pd.Series(times, dtype="datetime64[us, UTC]")})
    held = to_frame(versions.select(list(CUSTOMER.key))).assign(found=True)
    merged = wanted.drop_duplicates().merge(held, how="left", on=list(CUSTOMER.key))
    if merged["found"].isna().any():
        missing = merged.loc[merged["found"].isna(), ID].tolist()
        raise LedgerError(
            f"The ledger holds no such version of {', '.join(missing[:5])}: look at history(customer_id). Nothing was "
            "retracted."
        )
    return pa.table({c: pa.array(merged[c]) for c in CUSTOMER.key})


def required(
    reason: str, what: str = "What is entered by hand", *, error: Callable[[str], ToolkitError] = LedgerError
) -> str:
    """Return the reason of something, which must not be empty."""
    if not (isinstance(reason, str) and reason.strip()):
        raise error(f"{what} needs a reason, for those who read the ledger later.")
    return reason


def require_text(customer_id: Any) -> None:
    """Refuse an id that is a number: its zeros are lost already."""
    if not isinstance(customer_id, str):
        raise InputError(f"{ID} is text, so write it in quotes: '00123', not a {type(customer_id).__name__}.")


def moment_of(value: Any, name: str) -> pd.Timestamp | None:
    """Return a time in UTC, which it is taken for where it names no zone."""
    if value is None:
        return None
    moment = None
    if not isinstance(value, int | float | np.number):  # nanoseconds since 1970, which nobody means
        with contextlib.suppress(ValueError, TypeError):
            moment = pd.Timestamp(value)
    if not isinstance(moment, pd.Timestamp):  # of an empty text too, pandas makes no time
        raise LedgerError(f"{name} is not a time: write it as 2026-09-01 or 2026-09-01T10:00:00Z.")
    return moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
