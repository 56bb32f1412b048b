"""The HTTP shell around the vendor: the standard library's threaded server, on loopback."""

from __future__ import annotations

import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from toolkit.errors import SandboxError
from toolkit.vendor.sandbox.vendor import Reply, Request, Vendor

HOST = "127.0.0.1"
MAX_READ_BYTES = 50_000_000
_LOOPBACK = re.compile(r"(127(\.\d{1,3}){3}|localhost|\[::1\])(:\d+)?", re.IGNORECASE)


class Server:
    """Serves a vendor on a loopback port, in its own thread."""

    def __init__(self, vendor: Vendor, *, port: int) -> None:
        handler = type("Handler", (_Handler,), {"vendor": vendor})
        try:
            self._http = _Http((HOST, port), handler)
        except (OSError, OverflowError) as error:
            raise SandboxError(
                f"The sandbox cannot listen on {HOST}:{port} ({error}): give another port, or 0 for a free one."
            ) from error
        self.url = f"http://{HOST}:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and free the port."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(timeout=5)


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore a client that went away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    vendor: Vendor

    def setup(self) -> None:
        """Send small answers at once."""
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().setup()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the store keeps the log."""

    def do_POST(self) -> None:
        """Answer a request; of one that is not for this machine, or has no token, the body is read and dropped."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        length = self.headers.get("Content-Length", "0")
        readable = length.isdecimal() and int(length) <= MAX_READ_BYTES
        # A page in a browser can reach loopback under a name of its own, which its host resolves to 127.0.0.1.
        ours = all(_LOOPBACK.fullmatch(host) for host in self.headers.get_all("Host", [""]))
        if not ours:
            reply = Reply(421, b"")
        elif not self.vendor.knows(headers):
            reply = self.vendor.answer(Request(self.command, self.path, headers))
        elif not readable:
            reply = Reply(413, b"")
        else:
            body = self.rfile.read(int(length))
            self.vendor.flush_if_due()
            self._reply(self.vendor.answer(Request(self.command, self.path, headers, body)))
            return
        self._reply(reply)
        self.close_connection |= not readable
        # To close before the body was read would reset the connection, and the answer would be lost.
        left = int(length) if readable else MAX_READ_BYTES
        while left > 0 and (read := self.rfile.read1(min(left, 65_536))):
            left -= len(read)

    do_GET = do_POST  # noqa: N815 - the name that http.server calls

    def _reply(self, reply: Reply) -> None:
        if reply.cut == -1:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body if reply.cut is None else reply.body[: reply.cut])
        if reply.cut is not None:
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
