"""Send the rows of a push that wait, batch by batch, each attempt in the journal before it is made.

Why it works as it does. A batch is in one of three places: waiting (until its wait after a failure is over), in flight,
or done. One thread, the caller's, moves batches between them and is the only one that uses the journal; the others
only send bodies. So the order of entries is simple: attempt entered, body sent, answer entered
together with the fates that it gives. A crash between any two leaves an attempt without an answer: its rows are
*unknown*, which an UPSERT sends again and an APPEND leaves to the analyst.

An answer is entered before anything is decided from it, also when the push stops: `_enter_answer`, then `_continue`.
A verdict falls in one of three groups. *Later* (retry, lost): the same bytes go again after a wait, within the limits
of `Retries` and `Breaker`; a batch's tries count only while nothing else gets through. A lost APPEND is held.
*Resolved* (taken, again, split, large): `Bisection` says what is left to send. *Useless to continue* (unauthorized,
nowhere, stop, a fault that lasts, a hopeless bisection): the push stops, and no row is blamed.

When it stops, the answers still in flight are awaited and entered, so that as few rows as possible end as unknown;
after an interrupt only for a short time, and until an interrupt after any other stop.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from queue import Empty, SimpleQueue

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from toolkit.display import plural
from toolkit.errors import AddressError, AuthorizationError, JournalError, PlanError, StoppedError, UnreachableError
from toolkit.progress import Progress
from toolkit.sending.bisection import Bisection, Resolved, ranges
from toolkit.sending.journal import Journal
from toolkit.sending.pacing import Breaker, Limiter, Pace, Room, asked_s, until
from toolkit.sending.records import FATES, LoadedPush, Receipt
from toolkit.vendor import Answer, BodyKeys, Client, Envelope, Remark, Verdict, read_answer


class Connections:
    """Requests under way at once; each carries its batch, which comes back with the answer.

    The threads do not keep the process alive: what is in flight when it ends is abandoned.
    """

    def __init__(self, send: Callable[[bytes], Answer]) -> None:
        self._send = send
        self._done: SimpleQueue[tuple[_Batch, Answer | BaseException]] = SimpleQueue()

    def start(self, batch: _Batch) -> None:
        """Send a batch's body, in a thread of its own."""
        threading.Thread(target=self._serve, args=(batch, batch.body), daemon=True).start()

    def finished(self, *, patience_s: float | None) -> Iterator[tuple[_Batch, Answer | BaseException]]:
        """Yield what has come in: an answer, or what was raised instead.

        If nothing has, wait up to `patience_s` seconds for the first (None: as long as it takes).
        """
        with contextlib.suppress(Empty):
            while True:
                yield self._done.get(block=patience_s != 0, timeout=patience_s or None)
                patience_s = 0

    def _serve(self, batch: _Batch, body: bytes) -> None:
        try:
            self._done.put((batch, self._send(body)))
        except BaseException as error:
            self._done.put((batch, error))


_POLL_S = 0.05
"""How long a wait lasts before answers that came in meanwhile are read, and another thread may pause or stop it."""
_GRACE_S = 5.0
"""How long an interrupt waits for the answers that are still to come."""
_MOST_NAMED = 5
"""Rows that a message names."""
_NOTICED_S = 5.0
"""A longer wait that the vendor asks for is shown."""
_UNKNOWN = FATES.index("unknown")
_TURNED_AWAY = (429, 503)
"""Statuses of a vendor, or of a proxy before it, that gets more requests than it takes."""


@dataclass
class _Batch:
    """One batch on its way: which of its rows go next, how often they were tried, when they may go."""

    number: int
    cuts: Bisection
    row_bytes: float = 0.0  # of a row on average
    body: bytes = b""
    digest: str = ""
    n_tried: int = 0
    n_vain: int = 0  # tries since another request got through
    n_before: int = 0  # requests that had got through by then
    due: float = float("-inf")
    attempt: int = 0


class Sender:
    """One run over the rows of a push that have no final fate.

    Parameters
    ----------
    limiter
        The rate limit that all who send to the host share; by default one in the journal's folder.
    """

    def __init__(
        self,
        journal: Journal,
        push: LoadedPush,
        client: Client,
        envelope: Envelope,
        pace: Pace,
        *,
        progress: bool,
        limiter: Limiter | None = None,
    ) -> None:
        self._journal, self._push, self._client = journal, push.record.id, client
        self._envelope, self._pace = envelope, pace
        self._limiter = limiter or pace.limiter(envelope.contract.max_requests_per_s, journal.path.parent)
        self._breaker, self._room = Breaker(), Room()
        self._repeatable = envelope.operation == "UPSERT" or envelope.dry_run  # sent twice has the same effect as once
        self._rows = push.rows
        self._fates = push.fates.copy()
        # What may have arrived must not be sent again, unless that has no effect.
        self._open = ~push.final if self._repeatable else ~push.final & ~push.has("unknown")
        total, n_before, name = len(self._open), int((~self._open).sum()), f"push to {client.host}"
        self._bar = Progress(name, total=total, n=n_before, clock=pace.clock, wanted=progress)
        self._noting = progress
        self._n_retries = 0
        self._taken = bool(push.has("accepted").any())  # whether the vendor took a row of the push, now or before
        self._waiting: list[_Batch] = []
        self._n_flying = 0
        self._hold = float("-inf")  # the vendor asked for no request until then
        self._slowed_at = 0  # successes before the pace was last halved
        self._limit = ""  # what is known of the vendor's rate limit, in words
        self._aside: list[int] = []  # rows that no answer resolves, although they were alone in a request
        self._aside_for = ""

    def run(self) -> None:
        """Send the rows that wait, in the plan's order.

        Raises
        ------
        StoppedError
            If the vendor or the network lets nothing more through, or no answer resolves some rows.
        """
        connections = Connections(self._client.send)
        self._pace.steering.heard(self._fates, self._limiter.pace, "")
        with contextlib.closing(self._bar):
            try:
                self._drive(self._batches(self._open), connections)
            except BaseException as error:
                # An interrupt of this wait ends the wait alone: why the push stopped is what the analyst must know.
                with contextlib.suppress(KeyboardInterrupt):
                    self._drain(connections, None if isinstance(error, StoppedError) else _GRACE_S)
                raise
        if self._limit and self._limiter.slowed:
            self._note(f"{self._limit}. The next push begins at {self._limiter.pace:.2g}.")
        if self._aside:
            self._stop_for_unresolved()

    def _batches(self, waiting: npt.NDArray[np.bool_]) -> Iterator[_Batch]:
        planned = self._journal.batches(self._push)
        for (number, *places, digest), (first, stop, body) in zip(
            planned, self._envelope.bodies(self._rows), strict=True
        ):
            if not waiting[first:stop].any():
                continue
            if places != [first, stop] or hashlib.sha256(body).hexdigest() != digest:
                raise PlanError(
                    f"Batch {number} of push {self._push} does not encode to the planned bytes, so it was not sent: "
                    "abandon the push, and plan again."
                )
            whole = waiting[first:stop].all()
            cuts = Bisection(np.flatnonzero(waiting[first:stop]) + first)
            yield _Batch(number, cuts, len(body) / (stop - first), body if whole else b"", digest if whole else "")

    def _drive(self, batches: Iterator[_Batch], connections: Connections) -> None:
        """Keep the connections busy until nothing waits; as many batches as connections are begun at once."""
        while True:
            self._pace.steering.sleep(0)
            self._bar.draw()
            while len(self._waiting) + self._n_flying < self._pace.connections:
                if (batch := next(batches, None)) is None:
                    break
                batch.due = self._pace.clock()  # so that one that was tried before has its turn
                self._waiting.append(batch)
            if not self._waiting and not self._n_flying:
                return
            ready, gap = self._ready()
            if gap is not None and gap > 0:
                self._pace.sleep(min(gap, _POLL_S) if self._n_flying else gap)
            if ready:
                self._start(ready, connections)
            self._receive(connections, _POLL_S if gap is None else 0)

    def _ready(self) -> tuple[list[_Batch], float | None]:
        """Take out the batches that may go now; else seconds until one may, None if an answer must come first."""
        room = self._breaker.slots(self._pace.connections) - self._n_flying
        if room <= 0 or not self._waiting or self._pace.steering.paused:
            return [], None
        if self._limiter.slowed:  # starts are far apart: answers are read in between
            room = 1
        # While the vendor fails, one and the same batch is tried, so that its attempts come to an end.
        order = sorted(self._waiting, key=lambda b: (0 if self._breaker.open else b.due, b.number))[:room]
        now = self._pace.clock()
        ready = [batch for batch in order if max(batch.due, self._hold) <= now]
        for batch in ready:
            self._waiting.remove(batch)
        return ready, max(order[0].due, self._hold) - now

    def _start(self, ready: list[_Batch], connections: Connections) -> None:
        """Enter an attempt for each batch, then send; one that is interrupted before it leaves is entered as such."""
        for batch in ready:
            batch.attempt = 0
        try:
            with self._journal.together():  # also for one batch, so that its number is known before it is kept
                for batch in ready:
                    self._enter_attempt(batch)
            while ready:
                self._limiter.wait(len(ready))
                batch = ready.pop(0)
                connections.start(batch)
                self._n_flying += 1
        except BaseException:
            with self._journal.together():
                for batch in ready:
                    answer = Answer(None, left=False, problem="it was not sent")
                    self._enter_fates(batch, answer, Verdict("retry"), Resolved())
            raise

    def _enter_attempt(self, batch: _Batch) -> None:
        while len(batch.cuts.part) > 1 and not self._room.fits(batch.row_bytes * len(batch.cuts.part)):
            batch.cuts.halve()
            batch.body = b""
        if not batch.body:
            batch.body = self._envelope.body(self._rows.take(pa.array(batch.cuts.part)))
            batch.digest = hashlib.sha256(batch.body).hexdigest()
        batch.attempt = self._journal.begin(self._push, batch.number, ranges(batch.cuts.part), batch.digest)

    def _receive(self, connections: Connections, patience_s: float | None) -> None:
        """Enter the answers that have come in, then decide from each what is left to send."""
        answered, errors = [], []
        for batch, answer in connections.finished(patience_s=patience_s):
            self._n_flying -= 1
            if isinstance(answer, BaseException):
                errors.append(answer)
            else:
                answered.append((batch, answer))
        with self._journal.together() if len(answered) > 1 else contextlib.nullcontext():
            verdicts = [self._enter_answer(batch, answer) for batch, answer in answered]
        if errors:
            raise errors[0]
        for (batch, answer), verdict in zip(answered, verdicts, strict=True):
            self._continue(batch, answer, verdict)

    def _drain(self, connections: Connections, patience_s: float | None) -> None:
        """Enter the answers that are still to come: their rows are not sent again, but their fates are known."""
        while self._n_flying:
            n_flying = self._n_flying
            try:
                with contextlib.suppress(StoppedError):
                    self._receive(connections, patience_s)
            except JournalError:
                return
            if self._n_flying == n_flying:
                return

    def _enter_answer(self, batch: _Batch, answer: Answer) -> Verdict:
        part = batch.cuts.part
        verdict = read_answer(answer, BodyKeys(batch.body, len(part)), contract=self._envelope.contract)
        if verdict.blamed and self._fates[part[0]] == _UNKNOWN:
            # The refusal is about the request, not the row, and the row may have been taken before.
            verdict = Verdict("split", message=verdict.message)
        resolved = Resolved()
        torn = verdict.torn and len(verdict.refused) < len(part)
        if torn and not self._repeatable and verdict.kind != "stop":  # no part of it may be sent again
            resolved = Resolved(refused={int(part[place]): refusal for place, refusal in verdict.refused.items()})
            verdict = Verdict("lost", message=verdict.message)
        elif verdict.kind not in ("retry", "lost", "unauthorized", "nowhere", "stop"):
            batch.cuts.others_taken = self._taken
            resolved = batch.cuts.resolve(verdict)
            self._taken |= len(resolved.accepted) > 0
        if torn or verdict.kind == "lost":
            self._fates[part] = _UNKNOWN
        self._fates[resolved.accepted] = FATES.index("accepted")
        self._fates[[*resolved.refused]] = FATES.index("refused")
        self._enter_fates(batch, answer, Verdict("lost") if torn else verdict, resolved)
        self._bar.n += len(resolved.accepted) + len(resolved.refused)
        if len(resolved.aside):
            self._aside += resolved.aside.tolist()
            self._aside_for = verdict.message
        self._pace.steering.heard(self._fates, self._limiter.pace, verdict.kind)
        return verdict

    def _enter_fates(self, batch: _Batch, answer: Answer, verdict: Verdict, resolved: Resolved) -> None:
        receipts = [
            Receipt(place, place + 1, "refused", batch=batch.number, **vars(remark))
            for place, remark in sorted(resolved.refused.items())
        ]
        warned = np.isin(resolved.accepted, list(resolved.warned))
        grouped = groupby(resolved.accepted[warned].tolist(), resolved.warned.__getitem__)
        runs = [(Remark(), resolved.accepted[~warned]), *((remark, np.array(list(run))) for remark, run in grouped)]
        for first, stop, remark in sorted((*run, remark) for remark, places in runs for run in ranges(places)):
            receipts.append(Receipt(first, stop, "accepted", batch=batch.number, **vars(remark)))
        text = answer.body.decode("utf-8", "replace") or answer.problem
        self._journal.end(
            self._push, batch.attempt, status=answer.status, verdict=verdict.kind, answer=text, receipts=receipts
        )

    def _continue(self, batch: _Batch, answer: Answer, verdict: Verdict) -> None:
        """Put back what a batch has left to send; stop if it is useless to continue."""
        if verdict.kind in ("retry", "lost"):
            self._breaker.fail()
            self._n_retries += 1
            self._retry(batch, answer, verdict)
        else:
            self._breaker.succeed()
            self._limiter.regain()
            self._stop_if_useless(batch, answer, verdict)
            if verdict.kind == "large":
                self._room.refuse(len(batch.body))
            elif answer.status == 413:  # it was about a row, not about the size of requests
                self._room = Room()
            batch.n_tried, batch.due, batch.body = 0, float("-inf"), b""
        slowed = f"the vendor limits the rate: {self._limiter.pace:.2g} requests/s" if self._limiter.slowed else ""
        retries = plural(self._n_retries, "retry", "retries") if self._n_retries else ""
        said = "the vendor fails: one request at a time" if self._breaker.open else slowed
        self._bar.note = ", ".join(filter(None, (retries, said)))
        if len(batch.cuts.part):
            self._waiting.append(batch)

    def _retry(self, batch: _Batch, answer: Answer, verdict: Verdict) -> None:
        held, now, retries = verdict.kind == "lost" and not self._repeatable, self._pace.now(), self._pace.retries
        asked, turned_away = asked_s(answer.retry_after, now), answer.status in _TURNED_AWAY
        asks = f"{self._client.host} asks to wait {until(asked, now.astimezone())}"
        if answer.lasting:
            raise UnreachableError(f"Nothing can be sent: {verdict.message}, then {self._way_on}.")
        if turned_away:
            self._slow(answer)
        if asked > retries.longest_asked_s:
            raise StoppedError(f"{asks} ({verdict.message}). After that, {self._way_on}.")
        if batch.n_before != self._breaker.n_succeeded:
            batch.n_before, batch.n_vain = self._breaker.n_succeeded, 0
        batch.n_tried, batch.n_vain = batch.n_tried + 1, batch.n_vain + 1
        spent = not turned_away and batch.n_vain < retries.attempts and not self._breaker.spend()
        if batch.n_vain == retries.attempts or spent or (held and self._breaker.open):
            why = (
                ": all retries of this push are used up" if spent else f" after {plural(batch.n_tried, 'try', 'tries')}"
            )
            last = "request" if self._breaker.n_failed == 1 else f"{self._breaker.n_failed} requests"
            look = "Wait a few minutes" if asked or answer.status == 429 else "Check the host and the network"
            limit = f" {self._limit}." if self._limit and turned_away else ""
            raise UnreachableError(
                f"Gave up{why}. The last {last} failed: {verdict.message}.{limit} {look}, then {self._way_on}."
            )
        start = self._pace.clock()
        # The pace holds back who was turned away; the waits grow only if nothing gets through.
        n_tried = batch.n_vain if turned_away else batch.n_tried
        batch.due = start + retries.wait_s(n_tried, asked, self._pace.jitter())
        if asked or turned_away:  # this concerns all requests
            if asked > _NOTICED_S and start + asked > self._hold:
                self._note(f"{asks}.")
            self._hold = max(self._hold, batch.due)
        if held:  # the analyst has to find out whether it was taken
            batch.cuts.hold()
            batch.n_tried, batch.due, batch.body = 0, float("-inf"), b""
            self._stop_if_hopeless(batch, verdict.message)

    def _slow(self, answer: Answer) -> None:
        """Halve the pace, unless nothing got through since it was halved last: then the vendor is down, or has been."""
        if self._breaker.n_succeeded == self._slowed_at:
            return
        self._slowed_at, first, pace = self._breaker.n_succeeded, not self._limit, self._limiter.pace
        self._limiter.slow()
        host, status = self._client.host, answer.status
        self._limit = f"{host} limits the rate to fewer than {pace:.2g} requests a second (HTTP {status})"
        if first:
            self._note(f"{self._limit}. The push goes on at half of it, and faster as requests get through.")

    def _note(self, text: str) -> None:
        if self._noting:
            self._bar.say(text)

    @property
    def _way_on(self) -> str:
        """What to do after a stop: a push of which the vendor took no request, like a dry run, is not left open."""
        if self._envelope.dry_run:
            return "make the dry run again"
        if self._journal.nothing_taken(self._push):
            return "push again"
        # An upsert sends again what may have arrived; an append, and rows that no answer resolves, need a look.
        unknown = self._fates == _UNKNOWN
        look = unknown[self._aside].any() if self._repeatable else unknown.any()
        settle = f"look into the vendor's table, record it with 'toolkit settle {self._push}' and " if look else ""
        return f"{settle}resume; or abandon the push and push again"

    def _stop_if_useless(self, batch: _Batch, answer: Answer, verdict: Verdict) -> None:
        host, message = self._client.host, verdict.message
        proxy = "put a valid user and password into HTTPS_PROXY"
        cure = proxy if answer.status == 407 else "ask the vendor what it means"
        names = "TOOLKIT_BASE_URL, TOOLKIT_PATH_STYLE, TOOLKIT_PREFIX and TOOLKIT_SUFFIX"
        stops: dict[str, tuple[type[StoppedError], str]] = {
            "unauthorized": (AuthorizationError, f"{host} refused the token ({message}): set a valid PEAK_AUTH_TOKEN"),
            "nowhere": (AddressError, f"There is nothing at {self._client.url} ({message}): check {names}"),
            "stop": (StoppedError, f"{host} gave an answer that names no row ({message}): {cure}"),
        }
        if verdict.kind in stops:
            error, text = stops[verdict.kind]
            raise error(f"{text}, then {self._way_on}.")
        self._stop_if_hopeless(batch, message)

    def _stop_if_hopeless(self, batch: _Batch, message: str) -> None:
        """Stop where nothing of a batch is left to send, and rows of it were refused without a reason of their own."""
        if batch.cuts.hopeless:
            raise StoppedError(
                f"The vendor refuses whole requests and names no row ({message or 'no reason given'}): fix the setting "
                f"that is wrong, such as TOOLKIT_SOLUTION, or the rows, then {self._way_on}."
            )

    def _stop_for_unresolved(self) -> None:
        first = self._rows["source_row"].take(pa.array(sorted(self._aside)[:_MOST_NAMED])).to_pylist()
        named = ", ".join(map(str, first)) + (", …" if len(self._aside) > len(first) else "")
        raise StoppedError(
            f"No answer says what became of {plural(len(self._aside), 'row')} ({self._aside_for}): source_row {named}. "
            f"All others were sent. To try these again, {self._way_on}."
        )
