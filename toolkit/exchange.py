"""One request on the wire: whether all of it left, and an end to what takes too long."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection


class Deadline:
    """The end of the exchanges of a connection, from the last byte of each body, whatever arrives in between.

    One thread for all of them, which wakes once in `seconds`: a timer for each would cost a thread a request.
    """

    def __init__(self, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds, self._clock = seconds, clock
        self._watched: dict[Exchange, float] = {}
        self._turn, self._closed, self._running = threading.Lock(), threading.Event(), False

    def watch(self, exchange: Exchange) -> None:
        """End an exchange, where it is not over by then."""
        with self._turn:
            self._watched[exchange] = self._clock() + self.seconds
            if not self._running:
                threading.Thread(target=self._run, daemon=True).start()
                self._running = True  # only now: where the system had no thread to spare, the next exchange asks again

    def forget(self, exchange: Exchange) -> None:
        """Watch one no longer: it is over."""
        with self._turn:
            self._watched.pop(exchange, None)

    def close(self) -> None:
        """Watch no longer: the connection is closed."""
        self._closed.set()

    def _run(self) -> None:
        wait_s: float | None = self.seconds
        while wait_s is not None and not self._closed.wait(wait_s):
            wait_s = self.end_overdue()

    def end_overdue(self) -> float | None:
        """End what is due, and return how long nothing else will be; None where nothing is watched."""
        with self._turn:
            now = self._clock()
            for exchange in [e for e, due in self._watched.items() if due <= now]:
                del self._watched[exchange]
                exchange.end()
            self._running = bool(self._watched)
            return max(0.0, min(self._watched.values()) - now) if self._watched else None


class Exchange:
    """A body that is read once; it knows whether all of it was handed to the system, and who listens.

    Parameters
    ----------
    body
        What is sent; an empty one is none, as in a GET.
    """

    _listening: Any

    def __init__(self, body: bytes, deadline: Deadline) -> None:
        self._body, self._deadline = body, deadline
        self._read = self.left = self.overdue = False

    def __len__(self) -> int:
        return len(self._body)

    def read(self, _: int = -1) -> bytes:
        """Return the whole body; asked again, note that it was handed on."""
        if self._read:
            self.left = True
            return b""
        self._read = True
        return self._body

    def watch(self, listening: Any) -> None:
        """End the exchange at its deadline, though the vendor goes on sending a byte at a time."""
        self._listening = listening
        self._deadline.watch(self)

    def end(self) -> None:
        """Read no further."""
        self.overdue = True
        plain = self._listening
        with contextlib.suppress(Exception):  # whatever it is: the thread has others to watch
            while not isinstance(plain, socket.socket):  # TLS within TLS, by way of a proxy
                plain = plain.socket
            # As a plain socket: to an encrypted one, its own method would turn off the encryption meanwhile.
            socket.socket.shutdown(plain, socket.SHUT_RDWR)

    def close(self) -> None:
        """Watch no longer."""
        self._deadline.forget(self)


_reading = threading.local()


def _said_elsewhere(record: logging.LogRecord) -> bool:  # noqa: ARG001 - of logging
    return not getattr(_reading, "headers", False)


# It logs headers that it cannot parse word by word, and a vendor may echo the token in them.
logging.getLogger("urllib3.connection").addFilter(_said_elsewhere)


class _Watched:
    """What both kinds of connection do beside their own."""

    sock: Any

    def request(self, method: str, url: str, body: Any = None, *args: Any, **more: Any) -> None:
        self._exchange = body
        super().request(method, url, body or None, *args, **more)  # type: ignore[misc]  # the connection's

    def getresponse(self) -> Any:
        if isinstance(self._exchange, Exchange):
            self._exchange.watch(self.sock)
        _reading.headers = True
        try:
            return super().getresponse()  # type: ignore[misc]  # the connection's
        finally:
            _reading.headers = False


class WatchedHTTP(_Watched, HTTPConnection):
    """A connection whose exchanges end in time."""


class WatchedHTTPS(_Watched, HTTPSConnection):
    """An encrypted connection whose exchanges end in time."""
