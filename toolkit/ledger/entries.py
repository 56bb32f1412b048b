"""The entries of a ledger: their columns, how they are made, and which of them count."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from toolkit.engine import quoted
from toolkit.errors import InputError, LedgerError, ToolkitError, wrong_kind
from toolkit.ledger.delta import VERSION
from toolkit.model import CUSTOMER, ID, TIME, Resource

ACCEPTED, SEEDED, RETRACTED = "accepted", "seeded", "retracted"
_TIME = pa.timestamp("us", tz="UTC")


# Which entries count. The ledger is only ever appended to, so what counts follows from the order of its entries, and
# that is the order in which they entered (`ledger_version`), not the order of their clocks (`recorded_at`). Analysts
# share a ledger and their clocks differ; and the answer that an entry reports may be hours older than the commit that
# brings it in, as after a crash and a resume. By the clocks, a retraction from a machine that is slow would take back
# nothing, and one from a machine that is fast would take back what is accepted after it. Two writers at the same moment
# give their rows the same version: neither saw the other's rows, so neither takes them back.
#
# A retraction takes back the entries of its version that entered before it: those of one push if it names one, else
# all of them. A version counts while an acceptance of it is not taken back. If several are left, the vendor's own rule
# decides which one its table holds: an UPSERT replaces what is there, an APPEND of a version that is there does
# nothing. Here `recorded_at` decides first, since the vendor knows nothing of our ledger: a push that was resumed late
# was still answered early.
def _stands(rows: str) -> str:
    """Return the SQL of the condition that no retraction among `rows` took back the entry ``e``."""
    return f"""NOT EXISTS (SELECT 1 FROM {rows} g WHERE g.entry = '{RETRACTED}' AND g.customer_id = e.customer_id
        AND g.updated_at = e.updated_at AND g.{VERSION} > e.{VERSION} AND (g.push IS NULL OR g.push = e.push))"""


STANDS = _stands("entries")
"""Whether no retraction took back an entry ``e``."""


def versions_of(resource: Resource) -> str:
    """Return the SQL for the versions that count; its parameters: accepted by, current on, a push to leave out."""
    # Nearly every version has one entry, which counts as it is: a window over all of them takes three times as long.
    names, key = quoted(*resource.names), f"hash({quoted(*CUSTOMER.key)})"
    return f"""SELECT {names} FROM (
        WITH seen AS (
            SELECT * FROM entries WHERE ($2 IS NULL OR recorded_at <= $2) AND ($3 IS NULL OR updated_at <= $3)
                                    AND ($4 IS NULL OR push IS NULL OR push <> $4)
        ),
        several AS (SELECT {key} AS h FROM seen GROUP BY h HAVING count(*) > 1),
        among AS (SELECT * FROM seen WHERE {key} IN (FROM several)),
        ranked AS (
            SELECT e.*, row_number() OVER (
                PARTITION BY customer_id, updated_at
                ORDER BY CASE WHEN operation = 'UPSERT' THEN 0 ELSE 1 END,
                         CASE WHEN operation = 'UPSERT' THEN recorded_at END DESC,
                         CASE WHEN operation = 'UPSERT' THEN {VERSION} END DESC,
                         recorded_at, {VERSION}
            ) AS row_
            FROM among e WHERE entry <> '{RETRACTED}' AND {_stands("among")}
        )
        SELECT {names} FROM seen WHERE entry <> '{RETRACTED}' AND {key} NOT IN (FROM several)
        UNION ALL SELECT {names} FROM ranked WHERE row_ = 1
    ) AS counting"""


def entry_schema(resource: Resource) -> pa.Schema:
    """Return the columns of an entry: what happened, the row with its custom attributes, and its origin."""
    return pa.schema(
        [
            pa.field("entry", pa.string()),  # accepted, seeded (sent before the toolkit was used) or retracted
            *resource.arrow_schema(),
            pa.field("recorded_at", _TIME),  # when the vendor answered
            pa.field("operation", pa.string()),
            pa.field("push", pa.string()),  # of a retraction: the only push whose rows it takes back, if any
            pa.field("batch", pa.int64()),
            pa.field("position", pa.int64()),  # the row's place in its plan
            pa.field("author", pa.string()),
            pa.field("reason", pa.string()),
            pa.field("source_file", pa.string()),
            pa.field("source_row", pa.int64()),
            pa.field(VERSION, pa.int64()),
        ]
    )


def rows_of(schema: pa.Schema, n: int, /, **columns: Any) -> pa.Table:
    """Return rows of this schema: arrays as they are, single values repeated, other columns null.

    Examples
    --------
    >>> rows = rows_of(entry_schema(CUSTOMER), 2, entry=SEEDED, position=pa.array([4, 5]))
    >>> rows.select(["entry", "position", "push"]).to_pylist()[1]
    {'entry': 'seeded', 'position': 5, 'push': None}
    """

    def column(field: pa.Field) -> Any:
        value = columns.get(field.name)
        if isinstance(value, pa.Array | pa.ChunkedArray):
            return value.cast(field.type)
        return pa.repeat(pa.scalar(value, field.type), n)

    return pa.table([column(field) for field in schema], schema=schema)


def pairs_of(keys: Any) -> list[tuple[str, pd.Timestamp | None]]:
    """Return keys as pairs of customer_id and updated_at, in UTC.

    Raises
    ------
    InputError
        If one is not such a pair.
    """
    try:
        pairs = [(who, moment_of(at, TIME)) for who, at in keys]
    except (TypeError, ValueError):
        raise InputError(f"A key is a pair of {ID} and {TIME}: give a list of pairs. Nothing was retracted.") from None
    for customer_id, _ in pairs:
        require_text(customer_id)
    return pairs


def held_keys(pairs: list[tuple[str, pd.Timestamp | None]], versions: pa.Table) -> pa.Table:
    """Return the keys as a table, each once.

    Raises
    ------
    LedgerError
        If there is no such version.
    """
    key = list(CUSTOMER.key)
    ids, times = pa.array([who for who, _ in pairs], pa.string()), pa.array([at for _, at in pairs], _TIME)
    wanted = pa.table([ids, times], key).group_by(key).aggregate([])
    missing = wanted.join(versions.select(key), key, join_type="left anti")[ID].to_pylist()
    if missing:
        raise LedgerError(
            f"The ledger has no such version of {', '.join(missing[:5])}: see history(customer_id). Nothing was "
            "retracted."
        )
    return wanted


def required(reason: str, what: str = "An entry by hand", *, error: Callable[[str], ToolkitError] = LedgerError) -> str:
    """Return the reason for something, which must not be empty."""
    if not (isinstance(reason, str) and reason.strip()):
        raise error(f"{what} needs a reason, for those who read the ledger later: give reason=….")
    return reason


def require_text(customer_id: Any) -> None:
    """Refuse an id that is a number: its leading zeros are lost already."""
    if not isinstance(customer_id, str):
        raise InputError(f"{ID} is text, and {type(customer_id).__name__} was given: write it in quotes, as '00123'.")


def require_push(push: Any) -> None:
    """Refuse what cannot be the name of a push."""
    if not isinstance(push, str):
        raise wrong_kind(push, "the name of a push", "Ledger.of().pushes()")


def moment_of(value: Any, name: str) -> pd.Timestamp | None:
    """Return a time in UTC; without a zone, it is taken as UTC."""
    if value is None:
        return None
    moment = None
    if not isinstance(value, int | float | np.number):  # pandas takes a number as nanoseconds since 1970
        with contextlib.suppress(ValueError, TypeError):
            moment = pd.Timestamp(value)
    if isinstance(moment, pd.Timestamp):  # pandas makes NaT of an empty text
        moment = moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
        if 1 <= moment.year <= 9999:  # Python has no others
            return moment
    raise LedgerError(f"{name} is not a time: write it as 2026-09-01 or 2026-09-01T10:00:00Z.")
