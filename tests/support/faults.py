"""Faults at a chosen moment: the toolkit's steps on the disk and on the wire are counted, and one of them fails."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sqlite3
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

Act = Callable[[str], None]


class Steps:
    """Counts steps, and acts at one of them; each step has a name, such as ``after sql COMMIT``."""

    def __init__(self, act: Act, *, at: int, only: str = "") -> None:
        self.names: list[str] = []
        self._act, self._at, self._only, self._turn = act, at, only, threading.Lock()

    def step(self, name: str) -> None:
        if not name.startswith(self._only):
            return
        with self._turn:
            self.names.append(name)
            now = len(self.names) == self._at
        if now:
            self._act(name)


@contextmanager
def watched(steps: Steps) -> Iterator[None]:
    """Count every step of the journal, the lock, kept files, the ledger and the connection to the vendor."""

    class Watched(sqlite3.Connection):
        def execute(self, sql: str, *more: Any) -> sqlite3.Cursor:
            return around("sql", sql.split(maxsplit=1)[0], super().execute, sql, *more)

        def executemany(self, sql: str, *more: Any) -> sqlite3.Cursor:
            return around("sql", "many", super().executemany, sql, *more)

        def executescript(self, sql: str, *more: Any) -> sqlite3.Cursor:
            return around("sql", "script", super().executescript, sql, *more)

    def around(kind: str, name: str, call: Callable[..., Any], /, *args: Any, **more: Any) -> Any:
        steps.step(f"{kind} {name}, before")
        result = call(*args, **more)
        steps.step(f"{kind} {name}, after")
        return result

    def wrapped(kind: str, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **more: around(kind, name, call, *args, **more)

    connect, sendall = sqlite3.connect, socket.socket.sendall

    def watched_connect(path: Any, *args: Any, **more: Any) -> sqlite3.Connection:
        ours = Path(path).name == "journal.sqlite"
        return connect(path, *args, **more, **({"factory": Watched} if ours else {}))

    def send_in_halves(self: socket.socket, data: Any, *flags: int) -> None:
        half = len(data) // 2
        around("net", "first half", sendall, self, data[:half], *flags)
        around("net", "second half", sendall, self, data[half:], *flags)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", watched_connect)
        patch.setattr(socket.socket, "sendall", send_in_halves)
        for name in ("connect", "recv_into"):
            patch.setattr(socket.socket, name, wrapped("net", name, getattr(socket.socket, name)), raising=False)
        patch.setattr(os, "fsync", wrapped("file", "fsync", os.fsync))
        patch.setattr(fcntl, "flock", wrapped("file", "flock", fcntl.flock))
        patch.setattr(pq, "write_table", wrapped("file", "write", pq.write_table))
        for name in ("replace", "touch", "unlink"):
            patch.setattr(Path, name, wrapped("file", name, getattr(Path, name)))
        for module in [m for name, m in sys.modules.items() if name.startswith("toolkit.")]:
            if hasattr(module, "write_deltalake"):
                patch.setattr(module, "write_deltalake", wrapped("ledger", "write", module.write_deltalake))
        yield


class Recorder:
    """A vendor on loopback that keeps each body it took, by the first part of its path: one vendor for each run.

    It refuses the row of one customer, and is busy at the third request of each run.
    """

    def __init__(self, *, refused: str = "") -> None:
        self.taken: defaultdict[str, list[bytes]] = defaultdict(list)
        self.asked: defaultdict[str, int] = defaultdict(int)
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # an answer in one piece, so that it is read in as many steps each time

            def do_POST(self) -> None:
                run = self.path.split("/")[1]
                length = int(self.headers["Content-Length"])
                body = self.rfile.read(length)
                if len(body) < length:  # its sender died
                    return
                recorder.asked[run] += 1
                busy = recorder.asked[run] == 3
                named = [i for i, row in enumerate(json.loads(body)["data"]) if row["customer_id"] == refused]
                answer = json.dumps({"failed": [{"index": i, "code": "DI_E_00017"} for i in named]}).encode()
                if not busy:
                    recorder.taken[run].append(body)
                try:
                    self.send_response(503 if busy else 200)
                    self.send_header("Content-Length", "0" if busy else str(len(answer)))
                    if busy:  # a limiter, which took nothing
                        self.send_header("Retry-After", "1")
                    self.end_headers()
                    self.wfile.write(b"" if busy else answer)
                except OSError:
                    self.close_connection = True

            def do_GET(self) -> None:
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def process_request(self, *connection: Any) -> None:
                with recorder._turn:
                    recorder._n_open += 1
                super().process_request(*connection)

            def shutdown_request(self, *connection: Any) -> None:
                super().shutdown_request(*connection)
                with recorder._turn:
                    recorder._n_open -= 1
                    recorder._turn.notify_all()

            def handle_error(self, *_: object) -> None:
                pass

        self._refused = refused
        self._n_open, self._turn = 0, threading.Condition()
        self._server = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def table(self, run: str) -> dict[tuple[str, str], dict[str, Any]]:
        """What the vendor's table holds after a run, by key."""
        rows = (row for body in self.taken[run] for row in json.loads(body)["data"])
        return {(r["customer_id"], r["updated_at"]): r for r in rows if r["customer_id"] != self._refused}

    def come_to_rest(self) -> None:
        """Wait until all is read that a sender who died had sent."""
        with closing(HTTPConnection("127.0.0.1", self._server.server_port, timeout=60)) as last:
            last.request("GET", "/")  # connections are taken in their order: those before it are counted now
            last.getresponse()
        with self._turn:
            assert self._turn.wait_for(lambda: not self._n_open, timeout=60)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
