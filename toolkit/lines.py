"""Requests under way at once: threads that do nothing but send a body and hand back its answer."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Generic, Self, TypeVar

from toolkit.answers import Answer

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
