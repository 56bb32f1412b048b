"""Which customers each delivery held, kept beside the ledger, so that "newly absent" can be told from "long absent"."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa

from toolkit.engine import text, to_frame
from toolkit.errors import LedgerError, OpenPushError
from toolkit.ledger.delta import Table
from toolkit.ledger.entries import required, rows_of
from toolkit.model import ID, TIME, Delivery
from toolkit.tables import author

DELIVERY = pa.schema(
    [
        pa.field("recorded_at", pa.timestamp("us", tz="UTC")),
        pa.field("push", pa.string()),
        pa.field("source_file", pa.string()),
        pa.field("digest", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("n_rows", pa.int64()),
        pa.field("newest", pa.timestamp("us", tz="UTC")),  # the greatest time among its rows
        pa.field("author", pa.string()),
        pa.field("host", pa.string()),  # of a push to a shared ledger: its claim, see toolkit.ledger.deliveries
        pa.field("reason", pa.string()),  # of an end that somebody else entered
        pa.field(ID, pa.string()),
    ]
)
WITHDRAWN, ENDED, RESUMED = "withdrawn", "ended", "resumed"
"""Kinds of rows that are no delivery: that one did not count after all, for nothing of its push was accepted; that a
push ended; that it was gone on with after either."""


def not_followed(*kinds: str) -> str:
    """Return the SQL for: no such row, but for those that a resumption followed, is there of the push of ``d``."""
    return f"""NOT EXISTS (FROM entries e WHERE e.kind IN {_listed(*kinds)} AND e.push = d.push AND NOT EXISTS (
        FROM entries r WHERE r.kind = '{RESUMED}' AND r.push = e.push AND r.recorded_at > e.recorded_at))"""


def _listed(*kinds: str) -> str:
    return f"({', '.join(map(text, kinds))})"


_COUNTING = f"entries d WHERE kind NOT IN {_listed(WITHDRAWN, ENDED, RESUMED)} AND {not_followed(WITHDRAWN)}"


@dataclass(frozen=True)
class Deliveries:
    """The deliveries of one target.

    Parameters
    ----------
    table
        Where they are kept, of the schema `DELIVERY`: a row for each customer of each delivery.
    """

    table: Table

    def record(self, delivery: Delivery, *, push: str, now: datetime, host: str | None = None) -> None:
        """Keep which customers a delivery held, quarantined ones included; once for each push. A host claims."""
        ids = pd.concat([delivery.frame[ID], pd.Series(sorted(delivery.held), dtype="str")])
        keys = pa.array(ids.dropna().drop_duplicates(), type=pa.string())
        rows = rows_of(
            DELIVERY,
            len(keys),
            recorded_at=now,
            push=push,
            source_file=delivery.source,
            digest=delivery.digest,
            kind=delivery.kind,
            n_rows=delivery.n_rows + delivery.n_quarantined,
            newest=delivery.frame[TIME].max() if delivery.n_rows else None,
            author=author(),
            host=host,
            **{ID: keys},
        )
        self.table.append(rows, writer=push, number=1)

    def withdraw(self, push: str, *, now: datetime) -> None:
        """Enter that the delivery of a push does not count."""
        self.note(push, WITHDRAWN, now=now)

    def resume(self, push: str, *, now: datetime) -> None:
        """Enter that a push is gone on with, where its delivery was withdrawn or its end was entered."""
        if self.table.query(f"FROM entries d WHERE push = $2 AND NOT {not_followed(WITHDRAWN, ENDED)}", push).num_rows:
            self.note(push, RESUMED, now=now)

    def note(self, push: str, kind: str, *, now: datetime, reason: str | None = None) -> None:
        """Enter something of a push: later than what was said of it before, whatever the clock says."""
        number = self.table.through(push)
        newest = self.table.query("SELECT max(recorded_at) FROM entries WHERE push = $2", push)[0][0].as_py()
        moment = now if newest is None else max(now, newest + timedelta(microseconds=1))
        row = rows_of(DELIVERY, 1, recorded_at=moment, push=push, kind=kind, author=author(), reason=reason)
        self.table.append(row, writer=push, number=number + 1)

    def to_frame(self) -> pd.DataFrame:
        """Return one row a delivery that counts, newest first."""
        columns = ", ".join(c for c in DELIVERY.names if c not in (ID, "host", "reason"))
        return to_frame(self.table.query(f"SELECT {columns} FROM {_COUNTING} GROUP BY ALL ORDER BY recorded_at DESC"))

    def last_keys(self, as_of: pd.Timestamp | None) -> frozenset[str] | None:
        """Return the ids of the last full delivery by then that counts; None where there was none."""
        keys = self.table.query(
            f"""SELECT customer_id FROM (FROM {_COUNTING} AND kind = 'full' AND ($2 IS NULL OR recorded_at <= $2)
                                         QUALIFY recorded_at = max(recorded_at) OVER ())""",
            as_of,
        )
        return frozenset(keys[ID].to_pylist()) if len(keys) else None


@dataclass(frozen=True)
class Claims:
    """The claims on one target's ledger.

    Parameters
    ----------
    deliveries
        What pushes to the ledger brought.
    shared
        Whether there may be others at all; a ledger in one's own home takes no claims.
    """

    deliveries: Deliveries
    shared: bool

    def open(self) -> list[dict[str, Any]]:
        """Return ``push, author, host, since`` of each push that has not ended, oldest first.

        Beside them ``claimed_at``: later than since where it was gone on with after its claim had ended.
        """
        found: list[dict[str, Any]] = self.deliveries.table.query(
            f"""SELECT push, author, host, min(recorded_at) AS since,
                       greatest(min(recorded_at), any_value(resumed_at)) AS claimed_at
                FROM entries d LEFT JOIN (
                    SELECT push, max(recorded_at) AS resumed_at FROM entries WHERE kind = '{RESUMED}' GROUP BY push
                ) USING (push)
                WHERE host IS NOT NULL AND {not_followed(ENDED, WITHDRAWN)}
                GROUP BY push, author, host ORDER BY since, push"""
        ).to_pylist()
        return found

    def require_free(self, *, but_for: str = "", since: datetime | None = None) -> None:
        """Refuse to send beside another push.

        Parameters
        ----------
        but_for
            One's own push.
        since
            Only heed claims that were made later than one's own: of two that are open, one goes on.

        Raises
        ------
        OpenPushError
            Naming the push, its author, since when, and the ways out.
        """
        if not self.shared:
            return
        for claim in self.open():
            if claim["push"] != but_for and (since is None or claim["claimed_at"] > since):
                raise OpenPushError(
                    f"Push {claim['push']} to the shared ledger is under way, or was left open: {claim['author']} "
                    f"began it at {claim['since']:%Y-%m-%d %H:%M:%S}Z on {claim['host']}. Nothing was sent. "
                    "Wait until it ends, then plan anew, or resume yours; or have it resumed or abandoned there. If "
                    f"its machine is lost, Ledger.of().claims.release({claim['push']!r}, reason=…) lets others go on; "
                    f"so does 'toolkit release {claim['push']}'."
                )

    def claimed_at(self, push: str) -> datetime | None:
        """Return when a push claimed the ledger; None where it has no claim."""
        claims = self.open() if self.shared else []
        return next((claim["claimed_at"] for claim in claims if claim["push"] == push), None)

    def end(self, push: str) -> None:
        """Enter that one's own push ended; once."""
        if self.claimed_at(push) is not None:
            self._enter_end(push)

    def release(self, push: str, *, reason: str) -> None:
        """End the claim of a push that nobody will end; who did so, and why, is kept.

        What it sent and did not enter comes up again in the next diff. Should it be resumed after all, it leaves out
        what others brought in since.

        Raises
        ------
        LedgerError
            If the push has no claim, or no reason is given.
        """
        required(reason, "To release another's push")
        if push not in (known := [claim["push"] for claim in self.open()]):
            raise LedgerError(f"No push {push!r} is under way; there is {', '.join(known) or 'none'}.")
        self._enter_end(push, reason)

    def _enter_end(self, push: str, reason: str | None = None) -> None:
        self.deliveries.note(push, ENDED, now=datetime.now(UTC), reason=reason)
