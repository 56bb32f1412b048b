"""Encoding, and a push: against a vendor on loopback that only reads, and the whole command through nginx.

Each vendor is a process of its own.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from data.make_deliveries import customer_table
from tests.benchmarks.figures import ROOT, Figure, in_turn, seconds
from tests.support.certificates import Certificate, make_certificate
from tests.support.servers import nginx
from toolkit.config import Settings
from toolkit.engine import to_arrow
from toolkit.ledger import diff
from toolkit.model import CUSTOMER, empty_frame, encode
from toolkit.model.contract import CURRENT
from toolkit.pushing import PushPlan, plan_push
from toolkit.reading import suggest_mapping
from toolkit.sending import Journal, Pace, Sender
from toolkit.vendor import Client, Envelope

NO_LIMIT = 1e9
ENCODED_AT_LEAST = 2_500_000  # rows a second
RAW_AT_MOST = 2.0  # times one raw socket
LATE_AT_MOST = 1.03  # times the ideal time
CPU_AT_MOST = 0.2  # of one core
WHOLE_AT_MOST = 2.0  # times what the sending takes

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


@contextmanager
def serving(code: str) -> Iterator[Callable[[], str]]:
    """Run a vendor in a process of its own; yields what reads a line that it prints, having asked for one."""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as vendor:
        asked, told = vendor.stdin, vendor.stdout
        assert asked
        assert told

        def line() -> str:
            asked.write("\n")
            asked.flush()
            return told.readline().strip()

        try:
            yield line
        finally:
            vendor.kill()


def encoding(n: int, _: str = "") -> list[Figure]:
    """Encode rows as JSON, in one piece and as the bodies of a push; beside Python's own encoder."""
    after = customer_table(n, changed=0.01)
    rows = to_arrow(after, CUSTOMER.arrow_schema())
    part = after.head(min(n, 50_000)).assign(updated_at=lambda f: f["updated_at"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    part = part[list(CUSTOMER.names)].astype(object).where(lambda f: f.notna(), None)
    (took,), runs, (encoded,) = in_turn(lambda: encode(rows))
    (plain_s,), _runs, (plain,) = in_turn(
        lambda: json.dumps(part.to_dict("records"), ensure_ascii=False, separators=(",", ":"))
    )
    assert json.loads(plain)[: min(n, 50)] == json.loads(b"[" + encoded.slice(0, min(n, 50)) + b"]")
    return [
        Figure(f"encode {n:,} rows", n / took, "rows/s", runs, at_least=ENCODED_AT_LEAST),
        Figure(f"encode {n:,} rows", took, runs=runs, beside="to_dict and json", peer=plain_s * n / len(part)),
    ]


def pushing(n: int, _: str = "") -> list[Figure]:
    """Send a plan without a limit, beside the same bodies over a raw socket; then at the contract's rate."""
    with tempfile.TemporaryDirectory() as folder, serving(VENDOR) as line:
        os.chdir(folder)
        settings = Settings(base_url=f"http://127.0.0.1:{line()}", contract=CURRENT.name)
        plan = plan_push(diff(empty_frame(), customer_table(n)), settings=settings)
        limited = plan.envelope
        free = replace(limited.contract, max_requests_per_s=NO_LIMIT)
        bodies = list(limited.bodies(plan.rows))
        encoded = Encoded(free, limited.solution, limited.operation)
        object.__setattr__(encoded, "made", tuple(bodies))
        raw_bodies, url = [body for *_, body in bodies], settings.url()
        work = f"push {n:,} rows in {len(bodies):,} requests"
        (ours_s, raw_s), runs, _sent = in_turn(lambda: send(plan, settings, encoded), lambda: send_raw(url, raw_bodies))
        sent: list[tuple[float, float]] = []
        _took, at_rate, _none = in_turn(lambda: sent.append(send(plan, settings, limited)))
        os.chdir(ROOT)
    ideal_s = len(bodies) / limited.contract.max_requests_per_s
    took_s, share = median(took for took, _ in sent), median(cpu / took for took, cpu in sent)
    return [
        Figure(f"{work}, no limit", ours_s, runs=runs, beside="a raw socket", peer=raw_s, at_most=RAW_AT_MOST,
               note="bodies encoded before"),
        Figure(work, took_s, runs=at_rate, beside="the contract's rate", peer=ideal_s, at_most=LATE_AT_MOST),
        Figure(f"{work}: processor", share, "of a core", at_rate, at_most=CPU_AT_MOST),
    ]  # fmt: skip


SANDBOX = """
import sys
import toolkit as tk
with tk.Sandbox() as sandbox:
    sys.stdin.readline()
    print(sandbox.url, flush=True)
    sys.stdin.readline()
    sent = sandbox.requests().query("method == 'POST'")
    print(len(sent), len(sandbox.table()), sent["at"].max() - sent["at"].min(), flush=True)
"""


def command(n: int, _: str = "") -> list[Figure]:
    """Push a file with one command over TLS, through nginx, to the sandbox; beside the time between its requests."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "customers.csv")
        customer_table(n).to_csv(path, index=False, date_format="%Y-%m-%dT%H:%M:%SZ")
        suggest_mapping(path).to_toml(path.with_suffix(".toml"))
        made = make_certificate(Path(folder))
        runs = [_command(path, n, Path(folder, str(number)), made) for number in range(3)]
    whole_s, sending_s = (median(run[side] for run in runs) for side in (0, 1))
    work = f"push {n:,} rows, the whole command, TLS through nginx"
    note = f"{runs[0][2]:,} requests; the vendor is the sandbox, on the same cores"
    return [Figure(work, whole_s, runs=len(runs), beside="first to last request", peer=sending_s, at_most=WHOLE_AT_MOST,
                   note=note)]  # fmt: skip


def _command(path: Path, n: int, home: Path, made: Certificate) -> tuple[float, float, int]:
    """Push once, with a ledger and a vendor of its own; returns seconds, seconds between requests, and requests."""
    home.mkdir()
    with serving(SANDBOX) as line, nginx(home, made, line()) as url:
        given = {"TOOLKIT_BASE_URL": url, "TOOLKIT_HOME": str(home), "PEAK_AUTH_TOKEN": "sandbox",
                 "REQUESTS_CA_BUNDLE": str(made.path), "PYTHONPATH": str(ROOT)}  # fmt: skip
        words = [sys.executable, "-m", "toolkit", "push", str(path), "--mapping", str(path.with_suffix(".toml"))]
        took, done = seconds(
            lambda: subprocess.run([*words, "--yes", "--allow", "all"], cwd=home, env=os.environ | given,
                                   capture_output=True, text=True, check=False)
        )  # fmt: skip
        n_requests, n_rows, between_s = line().split()
    if int(n_rows) != n:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return took, float(between_s), int(n_requests)
