"""Send the rows of a push that wait, batch by batch, each attempt in the journal before it is made."""

from __future__ import annotations

import contextlib
import hashlib
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Generic, Self, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tqdm import tqdm

from toolkit.display import plural
from toolkit.errors import AddressError, AuthorizationError, JournalError, PlanError, StoppedError, UnreachableError
from toolkit.sending.bisection import Bisection, Told, ranges
from toolkit.sending.journal import Journal
from toolkit.sending.pacing import Breaker, Pace
from toolkit.sending.records import FATES, PushRecord, Receipt
from toolkit.vendor import Answer, BodyKeys, Client, Envelope, Refusal, Verdict, read_answer

T = TypeVar("T")


class Lines(Generic[T]):
    """A few lines to the vendor, as a context manager; each request carries a ticket of the caller's.

    With one line, `start` itself sends. The threads keep no process alive: what is under way when it ends is left.
    """

    def __init__(self, send: Callable[[bytes], Answer], n: int) -> None:
        self._send = send
        self._todo: SimpleQueue[tuple[T, bytes] | None] = SimpleQueue()
        self._done: SimpleQueue[tuple[T, Answer | BaseException]] = SimpleQueue()
        self._n = 0 if n == 1 else n

    def start(self, ticket: T, body: bytes) -> None:
        """Send a body as soon as a line is free."""
        if self._n:
            self._todo.put((ticket, body))
        else:
            self._done.put((ticket, self._send(body)))

    def finished(self, *, patience_s: float | None) -> Iterator[tuple[T, Answer | BaseException]]:
        """Yield what has come in, an answer or what was raised instead.

        Where nothing has, wait so many seconds for the first (None: however long).
        """
        with contextlib.suppress(Empty):
            while True:
                yield self._done.get(block=patience_s != 0, timeout=patience_s or None)
                patience_s = 0

    def __enter__(self) -> Self:
        for _ in range(self._n):
            threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _ in range(self._n):
            self._todo.put(None)

    def _serve(self) -> None:
        while (job := self._todo.get()) is not None:
            try:
                self._done.put((job[0], self._send(job[1])))
            except BaseException as error:
                self._done.put((job[0], error))


def ahead(items: Iterator[T], n: int) -> Iterator[T]:
    """Yield the items, of which up to `n` are made beforehand in a thread.

    Examples
    --------
    >>> list(ahead(iter("abc"), 2))
    ['a', 'b', 'c']
    """
    end = object()
    with ThreadPoolExecutor(1) as maker:
        made = deque(maker.submit(next, items, end) for _ in range(n))
        while (item := made.popleft().result()) is not end:
            made.append(maker.submit(next, items, end))
            yield item  # type: ignore[misc]  # it is none of `end`


_POLL_S = 0.05
"""How long a wait lasts before answers that came in meanwhile are looked at."""
_GRACE_S = 5.0
"""How long an interrupt waits for the answers that are still to come."""
_MOST_NAMED = 5
"""Rows that a message names."""


@dataclass
class _Batch:
    """One batch on its way: what of it goes next, how often it was tried, when it may go."""

    number: int
    cuts: Bisection
    body: bytes = b""
    digest: str = ""
    n_tried: int = 0
    due: float = float("-inf")
    attempt: int = 0


class Sender:
    """One run over the rows of a push that are not settled.

    Its own thread alone reads and writes the journal; others send bodies and encode those to come.

    Parameters
    ----------
    folder
        Where the pace lies that all who send to the target share; by default beside the journal.
    """

    def __init__(
        self,
        journal: Journal,
        record: PushRecord,
        client: Client,
        envelope: Envelope,
        pace: Pace,
        *,
        progress: bool,
        folder: Path | None = None,
    ) -> None:
        self._journal, self._push, self._client = journal, record.id, client
        self._envelope, self._pace = envelope, pace
        self._limiter = pace.limiter(envelope.contract.max_requests_per_s, folder or journal.path.parent)
        self._breaker = Breaker()
        self._repeatable = envelope.operation == "UPSERT" or envelope.dry_run  # what arrives twice is there once
        # A dry run leaves no push behind that could be gone on with.
        self._way_on = "make the dry run again" if envelope.dry_run else "resume; or abandon the push"
        self._rows = journal.rows(record.id)
        notebook = type(sys.stdout).__module__.startswith("ipykernel.")  # where standard error is shown as a fault
        self._bar = tqdm(
            total=record.n_rows,
            unit=" rows",
            desc=f"push to {client.host}",
            leave=False,
            file=sys.stdout if notebook else sys.stderr,
            disable=not progress or not (notebook or sys.stderr.isatty()),
        )
        self._doubtful: npt.NDArray[np.bool_] = np.zeros(record.n_rows, dtype=np.bool_)  # sent, and perhaps taken
        self._taken = False  # whether the vendor took a row of the push, in this run or before it
        self._most = record.n_rows  # rows of a request that the vendor has not found too many
        self._waiting: list[_Batch] = []
        self._n_flying = 0
        self._hold = float("-inf")  # until then the vendor wants to be left alone
        self._aside: list[int] = []  # rows that could not be told, alone in a request as they were
        self._aside_for = ""

    def run(self) -> None:
        """Send the rows that wait, in the plan's order.

        Raises
        ------
        StoppedError
            Where the vendor or the network lets nothing more through, or some rows could not be settled.
        """
        fates, settled = self._journal.fates(self._push)
        self._doubtful = fates == FATES.index("unknown")
        self._taken = bool((fates == FATES.index("accepted")).any())
        waiting = ~settled
        if not self._repeatable:  # what may have arrived must not be sent again
            waiting &= ~self._doubtful
        with self._bar, Lines[_Batch](self._client.send, self._pace.connections) as lines:
            self._bar.update(int((~waiting).sum()))
            try:
                self._drive(self._batches(waiting), lines)
            except BaseException as error:
                self._drain(lines, None if isinstance(error, StoppedError) else _GRACE_S)
                raise
        if self._aside:
            first = self._rows["source_row"].take(pa.array(sorted(self._aside)[:_MOST_NAMED])).to_pylist()
            named = ", ".join(map(str, first)) + (", …" if len(self._aside) > len(first) else "")
            look = f"look into the vendor's table and say it with 'toolkit settle {self._push}'; or "
            ways = f"Resume to try again; or {look if self._doubtful[self._aside].any() else ''}"
            ways += "abandon the push, mend the rows and push anew."
            raise StoppedError(
                f"No answer tells what became of {plural(len(self._aside), 'row')} ({self._aside_for}): source_row "
                f"{named}; all others were sent. {'Make the dry run again.' if self._envelope.dry_run else ways}"
            )

    def _batches(self, waiting: npt.NDArray[np.bool_]) -> Iterator[_Batch]:
        bodies = ahead(((*b, hashlib.sha256(b[2]).hexdigest()) for b in self._envelope.bodies(self._rows)), 2)
        for (number, *places, digest), (first, stop, body, found) in zip(
            self._journal.batches(self._push), bodies, strict=True
        ):
            if not waiting[first:stop].any():
                continue
            if places != [first, stop] or found != digest:
                raise PlanError(
                    f"Batch {number} of push {self._push} does not encode to what was planned, so it was not "
                    "sent: abandon the push, and plan anew."
                )
            whole = waiting[first:stop].all() and stop - first <= self._most
            cuts = Bisection(np.flatnonzero(waiting[first:stop]) + first)
            yield _Batch(number, cuts, body if whole else b"", digest if whole else "")

    def _drive(self, batches: Iterator[_Batch], lines: Lines[_Batch]) -> None:
        """Keep the lines busy until everything is settled; as many batches as lines are begun at once."""
        while True:
            while len(self._waiting) + self._n_flying < self._pace.connections:
                if (batch := next(batches, None)) is None:
                    break
                self._waiting.append(batch)
            if not self._waiting and not self._n_flying:
                return
            ready, gap = self._ready()
            if gap is not None and gap > 0:
                self._pace.sleep(min(gap, _POLL_S) if self._n_flying else gap)
            if ready:
                self._start(ready, lines)
            self._listen(lines, None if gap is None else 0)

    def _ready(self) -> tuple[list[_Batch], float | None]:
        """Take out the batches that may go now; else seconds until one may, None if an answer has to come first."""
        room = self._breaker.slots(self._pace.connections) - self._n_flying
        if room <= 0 or not self._waiting:
            return [], None
        # While the vendor fails, one and the same batch tries, so that it comes to the end of its tries.
        order = sorted(self._waiting, key=lambda b: (0 if self._breaker.open else b.due, b.number))[:room]
        now = self._pace.clock()
        ready = [batch for batch in order if max(batch.due, self._hold) <= now]
        for batch in ready:
            self._waiting.remove(batch)
        return ready, max(order[0].due, self._hold) - now

    def _start(self, ready: list[_Batch], lines: Lines[_Batch]) -> None:
        """Enter an attempt for each, then send; one that is interrupted before it leaves is entered as such."""
        for batch in ready:
            batch.attempt = 0
        try:
            with self._journal.together():  # a lone one too, so that its number is known before it is kept
                for batch in ready:
                    self._enter(batch)
            while ready:
                self._limiter.wait(len(ready))
                batch = ready.pop(0)
                lines.start(batch, batch.body)
                self._n_flying += 1
        except BaseException:
            with self._journal.together():
                for batch in ready:
                    self._end(batch, Answer(None, left=False, problem="it was not sent"), Verdict("retry"), Told())
            raise

    def _enter(self, batch: _Batch) -> None:
        if len(batch.cuts.part) > self._most and not batch.n_tried:  # what may have arrived keeps its bytes
            batch.cuts.cut(self._most)
            batch.body = b""
        if not batch.body:
            batch.body = self._envelope.body(self._rows.take(pa.array(batch.cuts.part)))
            batch.digest = hashlib.sha256(batch.body).hexdigest()
        batch.attempt = self._journal.begin(self._push, batch.number, ranges(batch.cuts.part), batch.digest)

    def _listen(self, lines: Lines[_Batch], patience_s: float | None) -> None:
        """Enter the answers that have come in, and see what they leave to do."""
        heard, errors = [], []
        for batch, answer in lines.finished(patience_s=patience_s):
            self._n_flying -= 1
            if isinstance(answer, BaseException):
                errors.append(answer)
            else:
                heard.append((batch, answer))
        with self._journal.together() if len(heard) > 1 else contextlib.nullcontext():
            verdicts = [self._hear(batch, answer) for batch, answer in heard]
        if errors:
            raise errors[0]
        for (batch, answer), verdict in zip(heard, verdicts, strict=True):
            self._go_on(batch, answer, verdict)

    def _drain(self, lines: Lines[_Batch], patience_s: float | None) -> None:
        """Enter what is still to come: its rows are not sent again, but what became of them is known."""
        while self._n_flying:
            n_flying = self._n_flying
            try:
                self._listen(lines, patience_s)
            except StoppedError:
                continue
            except JournalError:
                return
            if self._n_flying == n_flying:
                return

    def _hear(self, batch: _Batch, answer: Answer) -> Verdict:
        part = batch.cuts.part
        verdict = read_answer(answer, BodyKeys(batch.body, len(part)), contract=self._envelope.contract)
        if verdict.blamed and self._doubtful[part[0]]:
            # It is said of the request, not of the row, and the row may have been taken before.
            verdict = Verdict("split", message=verdict.message)
        told = Told()
        # A success that does not add up may have taken any row that it does not name.
        torn = verdict.kind in ("split", "again") and answer.status is not None and answer.status < 300
        torn = torn and len(verdict.refused) < len(part)
        if torn and not self._repeatable:  # no piece of it must go again, whatever the halves would tell
            told = Told(refused={int(part[place]): refusal for place, refusal in verdict.refused.items()})
            verdict = Verdict("lost", message=verdict.message)
        elif verdict.kind not in ("retry", "lost", "unauthorized", "nowhere", "stop"):
            batch.cuts.others_taken = self._taken
            told = batch.cuts.hear(verdict)
            self._taken |= len(told.accepted) > 0
        if torn or verdict.kind == "lost":
            self._doubtful[part] = True
        self._end(batch, answer, Verdict("lost") if torn else verdict, told)
        self._bar.update(len(told.accepted) + len(told.refused))
        if len(told.aside):
            self._aside += told.aside.tolist()
            self._aside_for = verdict.message
        return verdict

    def _end(self, batch: _Batch, answer: Answer, verdict: Verdict, told: Told) -> None:
        receipts = [_refused(place, refusal) for place, refusal in sorted(told.refused.items())]
        receipts += [Receipt(first, stop, "accepted") for first, stop in ranges(told.accepted)]
        self._journal.end(
            self._push,
            batch.number,
            batch.attempt,
            status=answer.status,
            answer=answer.body.decode("utf-8", "replace") or answer.problem,
            receipts=receipts,
            verdict=verdict.kind,
        )

    def _go_on(self, batch: _Batch, answer: Answer, verdict: Verdict) -> None:
        """Put back what a batch has left to send; stop where it is of no use to go on."""
        if verdict.kind in ("retry", "lost"):
            self._breaker.fail()
            self._retry(batch, answer, verdict)
        else:
            self._breaker.succeed()
            self._stop_if_hopeless(batch, verdict)
            batch.n_tried, batch.due, batch.body = 0, float("-inf"), b""
        self._bar.set_postfix_str("the vendor fails: one request at a time" if self._breaker.open else "")
        if len(batch.cuts.part):
            self._waiting.append(batch)
        elif batch.cuts.too_large:
            self._most = min(self._most, batch.cuts.n_taken or self._most)

    def _retry(self, batch: _Batch, answer: Answer, verdict: Verdict) -> None:
        held = verdict.kind == "lost" and not self._repeatable
        batch.n_tried += 1
        if held and self._breaker.open:
            raise UnreachableError(
                f"Stopped: of the last {self._breaker.n_failed} requests nobody knows whether they were taken, and an "
                f"APPEND must not send them twice ({verdict.message}). Look into the vendor's table and say it with "
                f"'toolkit settle {self._push}', then resume; or abandon the push."
            )
        if batch.n_tried == self._pace.retries.attempts or not self._breaker.spend():
            spent = batch.n_tried < self._pace.retries.attempts
            why = ", all retries of this push being used up" if spent else f" after {batch.n_tried} tries"
            raise UnreachableError(
                f"Gave up{why}, the last {plural(self._breaker.n_failed, 'request')} having failed in a row: "
                f"{verdict.message}. Check the host and the network, then {self._way_on}."
            )
        if held:  # whether it was taken is for the analyst to find out
            batch.cuts.hold()
            batch.n_tried, batch.body = 0, b""
            return
        wait_s = self._pace.retries.wait_s(batch.n_tried, answer.retry_after, self._pace.jitter(), self._pace.now())
        batch.due = self._pace.clock() + wait_s
        if answer.status in (429, 503):  # it is said of all requests
            self._hold = max(self._hold, batch.due)

    def _stop_if_hopeless(self, batch: _Batch, verdict: Verdict) -> None:
        host, message = self._client.host, verdict.message
        if verdict.kind == "unauthorized":
            raise AuthorizationError(
                f"{host} refused the token ({message}): set PEAK_AUTH_TOKEN to a valid one, then {self._way_on}."
            )
        if verdict.kind == "nowhere":
            raise AddressError(
                f"There is nothing at {self._client.url} ({message}): check TOOLKIT_BASE_URL, "
                f"TOOLKIT_PATH_STYLE, TOOLKIT_PREFIX and TOOLKIT_SUFFIX, then {self._way_on}."
            )
        if verdict.kind == "stop":
            raise StoppedError(
                f"{host} gave an answer that names no row ({message}): ask the vendor what it means, then "
                f"{self._way_on}."
            )
        if batch.cuts.hopeless:
            ways = (
                "If a setting is wrong, as TOOLKIT_SOLUTION, abandon the push and push anew; if the vendor was busy, "
                "resume; if the rows are wrong, abandon, mend them and push anew."
            )
            if self._envelope.dry_run:
                ways = f"Mend the setting that is wrong, as TOOLKIT_SOLUTION, or the rows, then {self._way_on}."
            raise StoppedError(
                f"The vendor refuses whole requests and names no row ({message or 'no reason given'}). {ways}"
            )


def _refused(place: int, refusal: Refusal) -> Receipt:
    return Receipt(place, place + 1, "refused", refusal.code, refusal.category, refusal.message, column=refusal.column)
