"""Send the rows of a push that wait, batch by batch, each attempt in the journal before it is made."""

from __future__ import annotations

import hashlib
import json
import math
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tqdm import tqdm

from toolkit.answers import Answer, Refusal, Verdict, read_answer
from toolkit.batching import Envelope
from toolkit.client import Client
from toolkit.contract import ID, TIME
from toolkit.errors import AddressError, AuthorizationError, PlanError, StoppedError, UnreachableError
from toolkit.journal import Journal
from toolkit.pacing import Limiter, Retries
from toolkit.receipts import FATES, PushRecord, Ranges, Receipt

Places = npt.NDArray[np.int64]
"""Rows of a plan by their position, ascending."""


@dataclass(frozen=True)
class Pace:
    """How a push waits: every source of time and chance, so that tests wait for nothing.

    Attributes
    ----------
    now
        The present moment, UTC.
    clock, sleep
        Seconds of a steady clock, and how to let them pass.
    jitter
        A random number between 0 and 1.
    """

    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random
    retries: Retries = field(default_factory=Retries)


class Sender:
    """One run over the rows of a push that are not settled."""

    def __init__(
        self, journal: Journal, record: PushRecord, client: Client, envelope: Envelope, pace: Pace, *, progress: bool
    ) -> None:
        self._journal, self._push, self._client = journal, record.id, client
        self._envelope, self._pace = envelope, pace
        self._limiter = Limiter(envelope.contract.max_requests_per_s * 0.98, clock=pace.clock, sleep=pace.sleep)
        self._rows = journal.rows(record.id)
        notebook = "ipykernel" in sys.modules  # where standard error is shown as a fault
        self._bar = tqdm(
            total=record.n_rows,
            unit=" rows",
            desc=f"push to {client.host}",
            leave=False,
            file=sys.stdout if notebook else sys.stderr,
            disable=not progress or not (notebook or sys.stderr.isatty()),
        )
        self._accepted = 0
        self._blamed: list[Receipt] = []  # refused alone, while no answer of the batch shows that rows are looked at
        self._understood = False
        self._doubtful: npt.NDArray[np.bool_] = np.zeros(record.n_rows, dtype=np.bool_)  # sent, and perhaps taken

    def run(self) -> None:
        """Send batch by batch, in the plan's order, the rows that wait."""
        fates, settled = self._journal.fates(self._push)
        self._doubtful = fates == FATES.index("unknown")
        waiting = ~settled
        if self._envelope.operation != "UPSERT":  # what may have arrived must not be sent again
            waiting &= ~self._doubtful
        planned = self._journal.batches(self._push)
        with self._bar:
            self._bar.update(int((~waiting).sum()))
            for (number, *places, digest), (first, stop, body) in zip(
                planned, self._envelope.bodies(self._rows), strict=True
            ):
                if not waiting[first:stop].any():
                    continue
                if places != [first, stop] or hashlib.sha256(body).hexdigest() != digest:
                    raise PlanError(
                        f"Batch {number} of push {self._push} does not encode to what was planned, so it was not "
                        "sent: abandon the push, and plan anew."
                    )
                self._batch(
                    number, np.flatnonzero(waiting[first:stop]) + first, body if waiting[first:stop].all() else b""
                )

    def _batch(self, number: int, places: Places, body: bytes) -> None:
        """Settle one batch: what an answer does not settle is sent again, smaller."""
        work, n_requests, accepted_before = [places], 0, self._accepted
        self._blamed, self._understood = [], False
        flood = 4 * math.ceil(math.log2(len(places) + 1)) + 8
        while work:
            part = work.pop(0)
            verdict = self._send(number, part, body or self._envelope.body(self._rows.take(pa.array(part))))
            body = b""
            n_requests += 1
            if verdict.kind == "again" and len(verdict.refused) < len(part):
                n_requests = 0  # the vendor names the rows it means
                work.insert(0, np.delete(part, list(verdict.refused)))
            elif verdict.kind == "split":
                half = len(part) // 2
                work[:0] = [part[:half], part[half:]]
            flooded = n_requests > flood and self._accepted == accepted_before and work
            if flooded or (self._blamed and not work):
                raise StoppedError(
                    f"The vendor refuses whole requests and names no row ({verdict.message or 'no reason given'}). "
                    "If a setting is wrong, as TOOLKIT_SOLUTION, abandon the push and push anew; if the vendor was "
                    "busy, resume; if the rows are wrong, abandon, mend them and push anew."
                )

    def _send(self, number: int, places: Places, body: bytes) -> Verdict:
        """Send one body until an answer can be read, within the retries."""
        digest = hashlib.sha256(body).hexdigest()
        keys = [(row[ID], row[TIME]) for row in json.loads(body)["data"]]
        verdict, answer = Verdict("retry"), Answer(None)
        for attempt in range(1, self._pace.retries.attempts + 1):
            self._limiter.wait()
            begun = self._journal.begin(self._push, number, _ranges(places), digest)
            answer = self._client.send(body)
            verdict = read_answer(answer, keys, contract=self._envelope.contract)
            if verdict.blamed and self._doubtful[places[0]]:
                # It is said of the request, not of the row, and the row may have been taken before.
                verdict = Verdict("stop", message=verdict.message)
            self._keep(number, begun, places, answer, verdict)
            if verdict.kind not in ("retry", "lost"):
                break
            if verdict.kind == "lost" and self._envelope.operation != "UPSERT":
                return verdict  # whether it was taken is for the analyst to find out
            if attempt < self._pace.retries.attempts:
                self._pace.sleep(
                    self._pace.retries.wait_s(attempt, answer.retry_after, self._pace.jitter(), self._pace.now())
                )
        self._stop_if_hopeless(verdict, answer)
        return verdict

    def _keep(self, number: int, attempt: int, places: Places, answer: Answer, verdict: Verdict) -> None:
        refused = {int(places[i]): r for i, r in verdict.refused.items()}
        receipts = [_refused(place, r) for place, r in sorted(refused.items())]
        if verdict.blamed and not self._understood:
            self._blamed, receipts = self._blamed + receipts, []
        elif verdict.kind == "taken" or refused:  # the vendor looks at rows, so those that were blamed are at fault
            self._understood, receipts, self._blamed = True, self._blamed + receipts, []
        if verdict.kind == "taken":
            taken = np.delete(places, list(verdict.refused))
            receipts += [Receipt(first, stop, "accepted") for first, stop in _ranges(taken)]
            self._accepted += len(taken)
            self._bar.update(len(taken))
        self._bar.update(len(refused))
        # Half a request may have been taken when its rows cannot be told apart.
        torn = verdict.kind in ("split", "stop") and answer.status is not None and answer.status < 300
        kind = "lost" if torn else verdict.kind
        if kind == "lost":
            self._doubtful[places] = True
        text = self._client.redacted(answer.body.decode("utf-8", "replace") or answer.problem)
        clean = [_redacted(r, self._client) for r in receipts]
        self._journal.end(
            self._push,
            number,
            attempt,
            status=answer.status,
            answer=text,
            receipts=clean,
            verdict=kind,
        )

    def _stop_if_hopeless(self, verdict: Verdict, answer: Answer) -> None:
        host, message = self._client.host, self._client.redacted(verdict.message)
        if verdict.kind == "unauthorized":
            raise AuthorizationError(
                f"{host} refused the token ({message}): set PEAK_AUTH_TOKEN to a valid one, then "
                "resume; or abandon the push."
            )
        if verdict.kind == "nowhere":
            raise AddressError(
                f"There is nothing at {self._client.url} ({message}): check TOOLKIT_BASE_URL, "
                "TOOLKIT_PATH_STYLE, TOOLKIT_PREFIX and TOOLKIT_SUFFIX, then resume; or abandon the push."
            )
        if verdict.kind == "stop":
            raise StoppedError(
                f"{host} gave an answer that names no row ({message}): see the journal, then resume or abandon."
            )
        if verdict.kind in ("retry", "lost"):
            what = message if answer.status is not None else answer.problem
            raise UnreachableError(
                f"Gave up after {self._pace.retries.attempts} tries: {what}. Check the host and the "
                "network, then resume; or abandon the push."
            )


def _refused(place: int, refusal: Refusal) -> Receipt:
    return Receipt(place, place + 1, "refused", refusal.code, refusal.category, refusal.message)


def _redacted(receipt: Receipt, client: Client) -> Receipt:
    return Receipt(
        receipt.first,
        receipt.stop,
        receipt.fate,
        client.redacted(receipt.code),
        client.redacted(receipt.category),
        client.redacted(receipt.message),
    )


def _ranges(places: Places) -> Ranges:
    """Return ascending places as ranges.

    Examples
    --------
    >>> _ranges(np.array([0, 1, 2, 7]))
    [(0, 3), (7, 8)]
    """
    if len(places) == 0:
        return []
    breaks = np.flatnonzero(np.diff(places) != 1) + 1
    return [(int(run[0]), int(run[-1]) + 1) for run in np.split(places, breaks)]
