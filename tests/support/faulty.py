"""A vendor on loopback with a chosen fault on the wire at each request; it shares no code with the sandbox."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

OK = b'HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{"failed": []}'


def http(status: int, body: bytes = b"", *headers: str, length: int | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status} X", *headers]
    if length != -1:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass(frozen=True)
class Fault:
    """What happens to one request.

    `reads` is how much of it is read: nothing, the headers, a part of the body, or all; `takes` whether its rows are
    then written; `says` what is sent back, in pieces with a pause between; `ends` how the connection does.
    """

    name: str
    reads: str = "all"
    takes: bool = False
    says: tuple[bytes, ...] = ()
    ends: str = "close"  # close, reset, keep, linger: stay silent until the client goes
    pause_s: float = 0.0
    acts: Callable[[], object] = lambda: None  # once the request was read
    after: Callable[[], object] = lambda: None  # once the answer was sent


@dataclass
class Faulty:
    """Serves on a port; each request uses up a fault, and without one it is answered well."""

    tls: ssl.SSLContext | None = None
    window: int = 0  # bytes that the system buffers for it; 0 for the system's default
    faults: deque[Fault] = field(default_factory=deque)
    bodies: list[bytes] = field(default_factory=list)  # those that were read whole
    taken: list[str] = field(default_factory=list)
    headers: list[bytes] = field(default_factory=list)

    def __enter__(self) -> Faulty:
        self._listener = socket.socket()
        if self.window:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.window)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.port = self._listener.getsockname()[1]
        self.url = f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            if self.faults and self.faults[0].reads == "nothing":
                self._end(sock, self.faults.popleft())
                return
            if self.tls:
                sock = self.tls.wrap_socket(sock, server_side=True)
            while self._answer(sock):
                pass
        except OSError:
            pass

    def _answer(self, sock: socket.socket) -> bool:
        """Answer one request; returns whether the connection stays."""
        read = b""
        while b"\r\n\r\n" not in read:
            if not (more := sock.recv(65_536)):
                sock.close()
                return False
            read += more
        head, _, body = read.partition(b"\r\n\r\n")
        self.headers.append(head)
        fault = self.faults.popleft() if self.faults else Fault("none", takes=True, says=(OK,), ends="keep")
        said = (h.split(b":")[1] for h in head.split(b"\r\n") if h.lower().startswith(b"content-length"))
        length = int(next(said, 0))
        wanted = {"headers": 0, "part": length // 2, "all": length}[fault.reads]
        while len(body) < wanted:
            if not (more := sock.recv(min(65_536, wanted - len(body)))):
                return False
            body += more
        if fault.reads == "all":
            self.bodies.append(body)
            if fault.takes and body:
                self.taken += [row["customer_id"] for row in json.loads(body).get("data", [])]
        fault.acts()
        for piece in fault.says:
            sock.sendall(piece)
            time.sleep(fault.pause_s)
        fault.after()
        if fault.ends == "keep":
            return True
        self._end(sock, fault)
        return False

    def _end(self, sock: socket.socket, fault: Fault) -> None:
        if fault.ends == "linger":
            while sock.recv(65_536):
                pass
        if fault.ends == "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:  # what was not read yet would turn the end into a reset
            sock.shutdown(socket.SHUT_WR)
        sock.close()


def drip(text: bytes, n: int) -> tuple[bytes, ...]:
    """A text, and then one blank after another."""
    return (text, *[b" "] * n)
