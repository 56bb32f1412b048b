"""When the next request may go: below the contract's rate, and after a wait if the vendor asks for one.

Times are seconds. Clock, sleep and jitter are arguments, so that tests do not wait.

Why three classes, and no library for retries. `Limiter` is about the contract (so many requests a second, over all
processes of a user), `Retries` about one request, `Breaker` about the vendor's health over all requests of a push. A
retry library hides the attempts, and each attempt has to be in the journal before it is made.

`Breaker` has three states. It starts *unproven*: one request at a time, because a wrong token or address shows in the
first answer, and more requests would only repeat it. After an answer it is *closed*: as many requests at once as there
are connections. After `threshold` failures in a row it is *open*: the vendor is probably down, so one request at a time
tests it until an answer comes. There is no timed half-open state: the waits between attempts (`Retries`) already
space the tests. The budget bounds retries over the whole push, so that a vendor that fails every second request cannot
double the traffic for hours; successes earn retries back slowly. A request that is turned away (429, 503) costs none:
the pace is halved instead, and regained in small steps, so a vendor with a lower limit gets about what it allows.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import random
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

from toolkit.display import plural
from toolkit.errors import JournalError
from toolkit.sending.lock import locked
from toolkit.sending.steering import Steering

_STALE_S = 5.0
"""A stored start that is later than now by more than this is from before the machine's clock was reset."""
_LOCKED_S = 10.0
_MADE_UP_S = 0.5
_MOST_KEPT = 100
_KEPT_BYTES = 4096
_YEAR_S = 366 * 86_400.0
_SLOWEST_PER_S = 0.1
_REGAINED_PER_S = 0.1
"""What each request that got through adds to a lowered pace: about one request in 25 is turned away by a limit of 5."""


@dataclass
class Limiter:
    """Keep the starts of requests apart, so that no second has more than `per_s` of them over all processes.

    After a short delay the next starts follow faster, up to the rate. The rate is lowered by two percent, because the
    network may bring requests closer together. A vendor may allow less: `slow` and `regain` move the pace below the
    rate, for all who share it and for their next pushes; then starts are evenly spaced and make up for no delay.

    Attributes
    ----------
    path
        A file that all who share the rate read and write, with a lock beside it; None for a limiter that is not shared.

    Raises
    ------
    JournalError
        If the file cannot be used.

    Examples
    --------
    >>> waits = []
    >>> limiter = Limiter(50, clock=lambda: 0.0, sleep=waits.append)
    >>> limiter.wait(); limiter.wait(); limiter.wait()
    >>> [round(w, 2) for w in waits]
    [0.02, 0.04]
    """

    per_s: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    path: Path | None = None
    _starts: list[float] = field(default_factory=list, init=False)  # the last ones, and when the next one is due
    _own: list[float] = field(default_factory=list, init=False)  # reserved starts that were not used yet
    _allowed: float = field(default=math.inf, init=False)  # requests a second that the vendor seems to allow
    _lock: contextlib.AbstractContextManager[object] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._gap_s = 1 / (0.98 * self.per_s)
        self._n = math.ceil(min(self.per_s, _MOST_KEPT))

    @property
    def pace(self) -> float:
        """Requests a second at present, at most `per_s`."""
        return min(self.per_s, max(self._allowed, _SLOWEST_PER_S))

    @property
    def slowed(self) -> bool:
        """Whether the vendor allows less than the rate, as far as is known."""
        return self.pace < self.per_s

    def wait(self, n: int = 1) -> None:
        """Wait for the next start, of `n` that follow each other: all `n` are reserved at once."""
        now = self.clock()
        if not self._own or now - self._own[0] > self._gap_s:  # delayed: late starts must not go all at once
            with self._shared():
                self._own = [self._next() for _ in range(n)]
        if (gap := self._own.pop(0) - self.clock()) > 0:
            self.sleep(gap)

    def slow(self) -> None:
        """Halve the pace: the vendor turned a request away."""
        with self._shared():
            self._allowed = self.pace / 2

    def regain(self) -> None:
        """Raise a lowered pace a little: a request got through."""
        if self.slowed:
            with self._shared():
                self._allowed = self.pace + _REGAINED_PER_S

    def _next(self) -> float:
        now = self.clock()
        *kept, due = self._starts or [now]
        start, gap = max(now, due), 1 / (0.98 * self.pace)
        if kept:
            start = max(start, kept[-1] + (gap if self.slowed else gap / 4))
        if len(kept) >= self._n:
            start = max(start, kept[-self._n] + self._n * self._gap_s)
        due = (due if now - due < _MADE_UP_S and not self.slowed else now) + gap
        self._starts = [*[*kept, start][-_MOST_KEPT:], due]
        return start

    @contextlib.contextmanager
    def _shared(self) -> Iterator[None]:
        """Change what all share: nobody else reads or writes it meanwhile."""
        if (path := self.path) is None:
            yield
            return
        try:
            if self._lock is None:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._lock = locked(path.with_suffix(".lock"), wait_s=_LOCKED_S)
            with (
                self._lock,
                os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0) as file,
            ):
                self._allowed, *self._starts = _kept(file.read(_KEPT_BYTES)) or [math.inf]
                if self._starts and max(self._starts) > self.clock() + _STALE_S:
                    self._starts = []
                yield
                file.seek(0)  # overwritten in place: a shorter file could make the file system sync it each time
                file.write(json.dumps([self._allowed, *self._starts]).encode().ljust(_KEPT_BYTES))
        except OSError as error:
            raise JournalError(
                f"The pace that all requests to the host share cannot be kept in {path} ({error}): free disk "
                "space, or fix the folder's permissions. Nothing more was sent."
            ) from error


def _kept(content: bytes) -> list[float]:
    try:
        return [float(start) for start in json.loads(content)]
    except (ValueError, TypeError, RecursionError):
        return []


@dataclass(frozen=True)
class Retries:
    """How often to try and how long to wait: full jitter over a doubling wait, plus what ``Retry-After`` asks for.

    Attributes
    ----------
    attempts
        Requests for one body, including the first.
    first_s, longest_s
        The longest wait after the first failure, and after any failure.
    longest_asked_s
        The longest wait that a vendor may ask for; a push that is asked to wait longer stops.
    """

    attempts: int = 6
    first_s: float = 0.5
    longest_s: float = 30.0
    longest_asked_s: float = 120.0

    def wait_s(self, attempt: int, asked_s: float, jitter: float) -> float:
        """Return how long to wait after failed attempt number `attempt` (from 1), in seconds.

        Parameters
        ----------
        asked_s
            What the vendor asks for, as `asked_s` reads it.
        jitter
            A random number between 0 and 1.

        Examples
        --------
        >>> Retries().wait_s(3, 0.0, 0.5), Retries().wait_s(1, 7.0, 1.0)
        (1.0, 7.5)
        """
        return asked_s + jitter * min(self.longest_s, self.first_s * 2.0 ** (attempt - 1))


@dataclass(frozen=True)
class Pace:
    """How a push waits: every source of time and chance, so that tests do not wait.

    Attributes
    ----------
    now
        The present moment, UTC.
    clock, sleep
        Seconds of a steady clock that all processes of the machine share, and a function that waits.
    jitter
        A random number between 0 and 1.
    mark
        Six hexadecimal digits that distinguish two pushes of one plan.
    connections
        The most requests at once.
    steering
        What pauses and stops the push from another thread, and follows it.
    """

    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random
    mark: Callable[[], str] = field(default=lambda: secrets.token_hex(3))
    retries: Retries = field(default_factory=Retries)
    connections: int = 4
    steering: Steering = field(default_factory=Steering)

    def limiter(self, per_s: float, folder: Path) -> Limiter:
        """Return the limiter that all who use this folder share."""
        return Limiter(per_s, clock=self.clock, sleep=self.sleep, path=folder / "pace")


def asked_s(retry_after: str | None, now: datetime) -> float:
    """Return the seconds that a ``Retry-After`` asks to wait; 0 if it asks for nothing, or cannot be read.

    Examples
    --------
    >>> noon = datetime(2026, 11, 24, 12, tzinfo=UTC)
    >>> asked_s("300", noon), asked_s("Tue, 24 Nov 2026 12:00:20 GMT", noon), asked_s("soon", noon)
    (300.0, 20.0, 0.0)
    """
    text = (retry_after or "").strip()
    try:
        if text.lstrip("-").isdecimal():
            return max(0.0, float(text))
        when = parsedate_to_datetime(text)
        return max(0.0, ((when if when.tzinfo else when.replace(tzinfo=UTC)) - now).total_seconds())
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0


def until(wait_s: float, now: datetime) -> str:
    """Say until when a wait lasts, in the zone of `now`, and how long.

    Examples
    --------
    >>> until(300, datetime(2026, 11, 24, 14, 30, tzinfo=UTC))
    'until 14:35:00 UTC, 5 minutes'
    >>> until(180_000, datetime(2026, 11, 24, 14, 30, tzinfo=UTC))
    'until 2026-11-26 16:30:00 UTC, 50 hours'
    >>> until(1e9, datetime(2026, 11, 24, 14, 30, tzinfo=UTC))
    'for more than a year'
    """
    if wait_s > _YEAR_S:
        return "for more than a year"
    end = now + timedelta(seconds=math.ceil(wait_s))
    unit_s, unit = next((s, u) for s, u in ((3600, "hour"), (60, "minute"), (1, "second")) if wait_s >= 2 * s or s == 1)
    day = f"{end:%Y-%m-%d} " if end.date() != now.date() else ""
    zone = "" if end.tzname() == "UTC" else f" ({end.astimezone(UTC):%H:%M:%S} UTC)"
    return f"until {day}{end:%H:%M:%S %Z}{zone}, {plural(math.ceil(wait_s / unit_s), unit)}"


@dataclass
class Room:
    """How large a body may be, as far as refusals as too large show it; `few` of them are not taken for a limit.

    Examples
    --------
    >>> room = Room()
    >>> for n_bytes in (1000, 500, 250): room.refuse(n_bytes)
    >>> room.fits(200), room.fits(100)
    (False, True)
    """

    few: int = 3
    _n_refused: int = field(default=0, init=False)
    _most: float = field(default=math.inf, init=False)

    def fits(self, n_bytes: float) -> bool:
        """Whether to send a body of about this size, rather than its halves."""
        return self._n_refused < self.few or n_bytes <= self._most

    def refuse(self, n_bytes: int) -> None:
        """Count a body that was refused as too large."""
        self._n_refused, self._most = self._n_refused + 1, min(self._most, 0.6 * n_bytes)  # halves differ a little


@dataclass
class Breaker:
    """Decide how many requests may be under way, and whether a retry is left; see the module for its states.

    Attributes
    ----------
    threshold
        Failures in a row that open it.
    n_failed, n_succeeded
        Failures in a row, and all successes.
    budget
        Retries left; each success adds `earned`, up to the number at the start.

    Examples
    --------
    >>> breaker = Breaker(threshold=2)
    >>> breaker.succeed(); breaker.slots(4)
    4
    >>> breaker.fail(); breaker.fail(); breaker.open, breaker.slots(4)
    (True, 1)
    """

    threshold: int = 5
    budget: float = 20.0
    earned: float = 0.2
    n_failed: int = field(default=0, init=False)
    n_succeeded: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._full = self.budget

    @property
    def open(self) -> bool:
        """Whether the last requests all failed."""
        return self.n_failed >= self.threshold

    def slots(self, connections: int) -> int:
        """Return how many requests may be under way."""
        return connections if self.n_succeeded and not self.open else 1

    def succeed(self) -> None:
        """Count an answer that could be read."""
        self.n_failed, self.n_succeeded = 0, self.n_succeeded + 1
        self.budget = min(self._full, self.budget + self.earned)

    def fail(self) -> None:
        """Count a request that failed for now, or whose answer was lost."""
        self.n_failed += 1

    def spend(self) -> bool:
        """Take a retry from the budget; False if none is left."""
        self.budget -= 1
        return self.budget >= 0
