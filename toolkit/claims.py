"""Whose turn it is at a ledger that analysts share: a push claims it by its delivery, until its end is entered.

The lock of a push lies in its own home, and accepted rows come to the ledger at its end, so neither tells a second
analyst of a push that is under way. The delivery of a push is in the ledger before anything is sent: one that bears a
host is a claim. A claim that was left open, as after a crash, ends when that push is resumed to its end or abandoned,
or when somebody releases it; a push that is resumed after that claims anew. Each claims first and looks then: of two
at once, at least one sees the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from toolkit.deliveries import ENDED, RESUMED, WITHDRAWN, Deliveries, not_followed
from toolkit.entries import required
from toolkit.errors import LedgerError, OpenPushError


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
            f"""SELECT plan AS push, author, host, min(recorded_at) AS since,
                       greatest(min(recorded_at), any_value(resumed_at)) AS claimed_at
                FROM entries d LEFT JOIN (
                    SELECT plan, max(recorded_at) AS resumed_at FROM entries WHERE kind = '{RESUMED}' GROUP BY plan
                ) USING (plan)
                WHERE host IS NOT NULL AND {not_followed(ENDED, WITHDRAWN)}
                GROUP BY plan, author, host ORDER BY since, push"""
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
