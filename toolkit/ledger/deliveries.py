"""The deliveries of a target, and whose turn it is at a ledger that analysts share.

A push records which customers its delivery had, quarantined ones included. From that, the next diff knows which absent
customers are newly absent.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.engine import quoted, to_frame
from toolkit.errors import LedgerError, OpenPushError
from toolkit.ledger.delta import VERSION, Table
from toolkit.ledger.entries import required, rows_of
from toolkit.model import ID, TIME
from toolkit.tables import author

PART = 500_000
"""Ids that go to the table at once."""
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
        pa.field("host", pa.string()),  # only of a push to a shared ledger: then the delivery is a claim
        pa.field("reason", pa.string()),  # only of an end that somebody else recorded
        pa.field(ID, pa.string()),
        pa.field(VERSION, pa.int64()),
    ]
)

# The life of a push, as the ledger sees it. Before anything is sent, the push records its delivery: one row says what
# it is, and of each customer a row has nothing but the push and the id, so that a year of deliveries is quickly read.
# On a shared ledger the first row names the host, and that is the push's claim: the lock of a push lies on its own
# machine, and its accepted rows enter the ledger only when it stops, so nothing else shows a second analyst that a push
# is under way. Each push claims first and looks for other claims then, so of two that begin at once at least one sees
# the other.
#
# Three notes may follow, a row each. `withdrawn`: nothing of the push was accepted, so its delivery does not count.
# `ended`: the push stopped for good, or somebody released its claim because its machine is lost. `resumed`: it went on
# after one of these, which no longer counts then. So a push is withdrawn, or has ended, if that note entered later than
# the last resumption. "Later" is the order of entering, as for the entries: the clocks of the machines may differ.
WITHDRAWN, ENDED, RESUMED = "withdrawn", "ended", "resumed"
_CUSTOMER = "customer"
_LAST = "coalesce(max(CASE WHEN kind = '{0}' THEN {1} END), -1) AS last_{0}"
_DELIVERIES = f"""(
    SELECT d.*, last_withdrawn > last_resumed AS withdrawn, last_ended > last_resumed AS ended, resumed_at
    FROM entries d JOIN (
        SELECT push, {", ".join(_LAST.format(kind, VERSION) for kind in (WITHDRAWN, ENDED, RESUMED))},
               max(CASE WHEN kind = '{RESUMED}' THEN recorded_at END) AS resumed_at
        FROM entries WHERE kind <> '{_CUSTOMER}' GROUP BY push
    ) n ON n.push = d.push
    WHERE kind IN ('full', 'changes')
) AS deliveries"""


@dataclass(frozen=True)
class Deliveries:
    """The deliveries of one target; on a shared ledger, also the claims of the pushes that have not ended.

    Parameters
    ----------
    table
        Where they are kept, of the schema `DELIVERY`.
    shared
        Whether there may be other analysts at all; a ledger in one's own home takes no claims.
    """

    table: Table
    shared: bool

    def record(self, keys: pa.Table, facts: Mapping[str, Any], *, push: str, now: datetime) -> None:
        """Record which customers a delivery had, held ones included, and claim a shared ledger; once for each push.

        Parameters
        ----------
        keys
            The key of each row, and each customer that is ``held``.
        facts
            Of the push: ``source``, ``source_digest``, ``kind``, ``n_quarantined``.
        """
        n_rows = len(keys) - (pc.sum(keys["held"]).as_py() or 0) + facts["n_quarantined"]
        about = {"recorded_at": now, "push": push, "source_file": facts["source"], "digest": facts["source_digest"],
                 "kind": facts["kind"], "n_rows": n_rows, "newest": pc.max(keys[TIME]).as_py(), "author": author(),
                 "host": socket.gethostname() if self.shared else None}  # fmt: skip
        rows = [rows_of(DELIVERY, 1, **about)]
        for number, start in enumerate(range(0, max(len(keys), 1), PART), 1):  # what a crash left out comes later
            ids = keys[ID].slice(start, PART).drop_null().unique()
            rows.append(rows_of(DELIVERY, len(ids), push=push, kind=_CUSTOMER, **{ID: ids}))
            self.table.append(pa.concat_tables(rows), writer=push, number=number)
            rows = []

    def resume(self, push: str) -> None:
        """Record that a push was resumed: its delivery counts and is a claim, even if either had ended."""
        if self.table.query(f"SELECT push FROM {_DELIVERIES} WHERE push = $2 AND (withdrawn OR ended)", push).num_rows:
            self.note(push, RESUMED)

    def note(self, push: str, kind: str, *, reason: str | None = None) -> None:
        """Record what happened to a push."""
        row = rows_of(DELIVERY, 1, recorded_at=datetime.now(UTC), push=push, kind=kind, author=author(), reason=reason)
        self.table.append(row)  # without a number: another machine may note something at once, and both count

    def to_frame(self) -> pd.DataFrame:
        """Return one row for each delivery that counts, newest first; those that were withdrawn do not."""
        columns = quoted(*(c for c in DELIVERY.names if c not in (ID, "host", "reason", VERSION)))
        counting = f"SELECT DISTINCT {columns} FROM {_DELIVERIES} WHERE NOT withdrawn ORDER BY recorded_at DESC"
        return to_frame(self.table.query(counting))

    def last_keys(self, as_of: pd.Timestamp | None) -> frozenset[str] | None:
        """Return the ids in the last full delivery that counts and was recorded by then; None if there is none."""
        last = self.table.query(
            f"""SELECT push FROM {_DELIVERIES}
                WHERE NOT withdrawn AND kind = 'full' AND ($2 IS NULL OR recorded_at <= $2)
                ORDER BY recorded_at DESC, {VERSION} DESC LIMIT 1""",
            as_of,
        )
        if not len(last):
            return None
        # By its name, so that the engine need not read the files of other pushes.
        keys = self.table.query(f"SELECT {ID} FROM entries WHERE push = $2 AND {ID} IS NOT NULL", last[0][0].as_py())
        return frozenset(keys[ID].to_pylist())

    def open(self) -> list[dict[str, Any]]:
        """Return ``push, author, host, since, claimed_at`` of each push that has not ended, oldest first.

        ``claimed_at`` is later than ``since`` if the push was resumed after its claim had ended.
        """
        found: list[dict[str, Any]] = self.table.query(
            f"""SELECT DISTINCT push, author, host, recorded_at AS since,
                       greatest(recorded_at, resumed_at) AS claimed_at
                FROM {_DELIVERIES} WHERE host IS NOT NULL AND NOT withdrawn AND NOT ended ORDER BY since, push"""
        ).to_pylist()
        return found

    def require_free(self, *, but_for: str = "", since: datetime | None = None) -> None:
        """Refuse to send while another push is open.

        Parameters
        ----------
        but_for
            One's own push.
        since
            Refuse only for claims that were made later than one's own: of two that are open, one can be resumed.

        Raises
        ------
        OpenPushError
            Naming the push, its author, since when, and the ways out.
        """
        for claim in self.open() if self.shared else []:
            if claim["push"] != but_for and (since is None or claim["claimed_at"] > since):
                raise OpenPushError(
                    f"Push {claim['push']} to the shared ledger is running, or was left open: {claim['author']} "
                    f"began it at {claim['since']:%Y-%m-%d %H:%M:%S}Z on {claim['host']}. Nothing was sent. Wait until "
                    "it ends, then plan again, or resume your own push; or have it resumed or abandoned there. If its "
                    f"machine is lost, release it: Ledger.of().claims.release({claim['push']!r}, reason=…), or "
                    f"'toolkit release {claim['push']}'."
                )

    def claimed_at(self, push: str) -> datetime | None:
        """Return when a push claimed the ledger; None if it has no claim."""
        claims = self.open() if self.shared else []
        return next((claim["claimed_at"] for claim in claims if claim["push"] == push), None)

    def end(self, push: str) -> None:
        """Record that one's own push ended; once."""
        if self.claimed_at(push) is not None:
            self.note(push, ENDED)

    def release(self, push: str, *, reason: str) -> None:
        """End the claim of a push that nobody will end; the author and the reason are kept.

        What it sent and did not record comes up again in the next diff. If it is resumed after all, it leaves out what
        others have sent since.

        Raises
        ------
        LedgerError
            If the push has no claim, or no reason is given.
        """
        required(reason, "The release of another's push")
        if push not in (known := [claim["push"] for claim in self.open()]):
            raise LedgerError(f"No push {push!r} is open on this ledger. Open: {', '.join(known) or 'none'}.")
        self.note(push, ENDED, reason=reason)
