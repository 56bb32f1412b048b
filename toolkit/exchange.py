"""One request on the wire: whether all of it left, and an end to what takes too long."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection


class Exchange:
    """A body that is read once; it knows whether all of it was handed to the system, and who listens.

    Parameters
    ----------
    body
        What is sent; an empty one is none, as in a GET.
    deadline_s
        Seconds from the last byte of the body to the last of the answer, whatever arrives in between.
    """

    def __init__(self, body: bytes, *, deadline_s: float) -> None:
        self._body, self._deadline_s = body, deadline_s
        self._timer: threading.Timer | None = None
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

    def watch(self, listening: socket.socket) -> None:
        """End the exchange at its deadline, though the vendor goes on sending a byte at a time."""

        def end() -> None:
            self.overdue = True
            # As a plain socket: to an encrypted one, its own method would turn off the encryption meanwhile.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(listening, socket.SHUT_RDWR)

        self._timer = threading.Timer(self._deadline_s, end)
        self._timer.daemon = True
        self._timer.start()

    def close(self) -> None:
        """Watch no longer."""
        if self._timer:
            self._timer.cancel()


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
