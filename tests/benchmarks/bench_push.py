"""Speed of a push, against a vendor on loopback that only reads, in a process of its own."""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from data.make_deliveries import customer_table
from tests.benchmarks.bench import best, bounded, pair
from toolkit.config.settings import Settings
from toolkit.ledger.diffing import diff
from toolkit.model.contract import CURRENT, CUSTOMER
from toolkit.model.schema import empty_frame
from toolkit.pushing.planning import Envelope, PushPlan, plan_push
from toolkit.sending.journal import Journal
from toolkit.sending.pacing import Pace
from toolkit.sending.sender import Sender
from toolkit.vendor.client import Client

NO_LIMIT = 1e9
RAW_AT_LEAST = 0.5  # of the rate of one raw socket
LATE_AT_MOST = 1.03  # times the ideal time
CPU_AT_MOST = 0.2  # of one core

VENDOR = """
import socket, threading
ANSWER = b'HTTP/1.1 200 OK\\r\\nContent-Length: 14\\r\\n\\r\\n{"failed": []}'
def serve(sock):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    room = memoryview(bytearray(1 << 21))
    while True:
        n = 0
        while (end := bytes(room[:min(n, 4096)]).find(b"\\r\\n\\r\\n")) < 0:
            got = sock.recv_into(room[n:])
            if not got:
                return
            n += got
        head = bytes(room[:end]).lower()
        length = int(head.split(b"content-length:")[1].split(b"\\r\\n")[0])
        while n < end + 4 + length:
            n += sock.recv_into(room[n:])
        sock.sendall(ANSWER)
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""


def send_raw(url: str, bodies: list[bytes]) -> int:
    """The same bodies over one raw socket, each answer awaited."""
    parts = urlsplit(url)
    head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: "
    with socket.create_connection((parts.hostname, parts.port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for body in bodies:
            sock.sendall(f"{head}{len(body)}\r\n\r\n".encode())
            sock.sendall(body)
            answer = b""
            while not answer.endswith(b"[]}"):
                answer += sock.recv(4096)
    return len(bodies)


class Encoded(Envelope):
    """An envelope whose bodies are there already."""

    made: tuple[tuple[int, int, bytes], ...] = ()

    def bodies(self, rows):
        """Yield them."""
        return iter(self.made)


def send(plan: PushPlan, settings: Settings, envelope: Envelope) -> tuple[float, float]:
    """One push without ledger; returns seconds, and seconds of processor."""
    with (
        tempfile.TemporaryDirectory(dir=".") as folder,
        Journal(Path(folder), plan.target, clock=lambda: datetime.now(UTC)) as journal,
        Client(settings) as client,
    ):
        record = journal.open_push(plan.new_push())
        sender = Sender(journal, journal.load(record.id), client, envelope, Pace(), progress=False)
        usage, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        sender.run()
        took, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
        assert journal.fates(record)[1].all()
    return took, after.ru_utime + after.ru_stime - usage.ru_utime - usage.ru_stime


def run(n: int, say=print) -> None:
    """Measure with and without the limit."""
    vendor = subprocess.Popen([sys.executable, "-c", VENDOR], stdout=subprocess.PIPE, text=True)
    try:
        settings = Settings(base_url=f"http://127.0.0.1:{int(vendor.stdout.readline())}", contract=CURRENT.name)
        frame = customer_table(n)
        plan = plan_push(diff(empty_frame(), frame), settings=settings)
        limited = plan.envelope
        free = replace(limited.contract, max_requests_per_s=NO_LIMIT)
        bodies = list(limited.bodies(plan.rows))
        encoded = Encoded(free, limited.solution, limited.operation)
        object.__setattr__(encoded, "made", tuple(bodies))
        size = sum(len(body) for *_, body in bodies) / 1e6
        say(f"{n:,} rows in {len(bodies)} requests, {size:,.0f} MB, {len(CUSTOMER.names)} columns")

        raw_bodies = [body for *_, body in bodies]
        raw, ready = [], []
        for _ in range(5):
            raw.append(best(lambda: send_raw(settings.url(), raw_bodies), times=1)[0])
            ready.append(send(plan, settings, encoded)[0])
        line = pair("push", median(ready), "raw socket", median(raw), at_most=1 / RAW_AT_LEAST)
        say(f"{line}; bodies encoded before")
        runs = [send(plan, settings, limited) for _ in range(5)]
        ideal_s = len(bodies) / limited.contract.max_requests_per_s
        say(pair("at rate", median(took_s for took_s, _ in runs), "the ideal", ideal_s, at_most=LATE_AT_MOST))
        cpu = median(cpu_s / took_s for took_s, cpu_s in runs)
        say(bounded("processor", cpu, "of a core while it sends", CPU_AT_MOST))
    finally:
        vendor.kill()
        vendor.wait()
