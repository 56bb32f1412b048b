"""Every way the network may fail: fates add up, no acceptance is made up, and no row is lost."""

from __future__ import annotations

import gzip
import json
import re
import socket
import ssl
import threading
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from urllib3.connection import HTTPConnection, HTTPSConnection

from tests.support.certificates import make_certificate
from tests.support.clocks import Clock
from tests.support.faulty import OK, Fault, Faulty, drip, http
from tests.support.sending import Push
from toolkit.config.settings import Settings
from toolkit.errors import StoppedError, UnreachableError
from toolkit.ledger.diffing import diff
from toolkit.model.schema import empty_frame
from toolkit.pushing.planning import plan_push
from toolkit.vendor.client import Client

EMPTY = b'{"failed": []}'
BOMB = gzip.compress(b'{"failed": [], "x": "' + b"x" * 20_000_000 + b'"}')
N = 2_000
"""Rows of the one request, nearly a megabyte."""
SMALL = 8_192
"""Bytes that each socket buffers for a reader who does not read."""

# The request did not leave as a whole: it is sent again under each operation.
NOT_LEFT = [
    Fault("reset on connecting", reads="nothing", ends="reset"),
    Fault("closed on connecting", reads="nothing"),
    Fault("reset after the headers", reads="headers", ends="reset"),
    Fault("reset in the body", reads="part", ends="reset"),
]
# It left, and the vendor says that it took nothing for now.
LATER = [
    Fault("408", says=(http(408),)),
    Fault("425", says=(http(425),)),
    Fault("429 without a word", says=(http(429),)),
    Fault("429 with seconds", says=(http(429, b"{}", "Retry-After: 7"),)),
    Fault("429 with a date", says=(http(429, b"{}", "Retry-After: Tue, 24 Nov 2026 00:00:20 GMT"),)),
    Fault("429 with nonsense", says=(http(429, b"{}", "Retry-After: soon"),)),
    Fault("429 with less than nothing", says=(http(429, b"{}", "Retry-After: -5"),)),
    Fault("503 of a limiter", says=(http(503, b"<html>busy</html>", "Retry-After: 2"),)),
]
# It left, and the answer does not say whether it was taken: `takes` decides.
LOST = [
    Fault("reset after the body", ends="reset"),
    Fault("reset after it was taken", takes=True, ends="reset"),
    Fault("closed without an answer", takes=True),
    Fault("half a status line", says=(b"HTTP/1.1 20",), takes=True),
    Fault("no HTTP at all", says=(b"SSH-2.0-OpenSSH_9.2\r\n",), takes=True),
    Fault("half the headers", says=(b"HTTP/1.1 200 OK\r\nContent-Le",), takes=True),
    Fault("a header without end", says=(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,), takes=True),
    Fault("more headers than anyone has", says=(b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 200 + b"\r\n",), takes=True),
    Fault("an invalid length", says=(http(200, b'{"fai', "Content-Length: x", length=-1),), takes=True),
    Fault("longer than it says", says=(http(200, EMPTY, length=9),), takes=True),
    Fault("shorter than it says", says=(http(200, EMPTY, length=99),), takes=True),
    Fault("reset in the answer", says=(http(200, b'{"fail', length=99),), takes=True, ends="reset"),
    Fault("two lengths", says=(http(200, EMPTY, "Content-Length: 3"),), takes=True),
    Fault("half a chunk", says=(http(200, b"e\r\n" + EMPTY[:9], "Transfer-Encoding: chunked", length=-1),), takes=True),
    Fault("no last chunk", says=(http(200, b"e\r\n" + EMPTY, "Transfer-Encoding: chunked", length=-1),), takes=True),
    Fault("an invalid chunk size", says=(http(200, b"zz\r\n" + EMPTY, "Transfer-Encoding: chunked", length=-1),),
          takes=True),
    Fault("empty", says=(http(200),), takes=True),
    Fault("204", says=(http(204, length=-1),), takes=True),
    Fault("HTML of a hotel", says=(http(200, b"<html>Welcome</html>", "Content-Type: text/html"),)),
    Fault("JSON of another kind", says=(http(200, b"[]"),), takes=True),
    Fault("cut JSON", says=(http(200, EMPTY[:-2]),), takes=True),
    Fault("JSON too deep", says=(http(200, b'{"failed":' + b"[" * 60_000 + b"]" * 60_000 + b"}"),), takes=True),
    Fault("invalid gzip", says=(http(200, EMPTY, "Content-Encoding: gzip"),), takes=True),
    Fault("gzip cut short", says=(http(200, gzip.compress(EMPTY)[:20], "Content-Encoding: gzip"),), takes=True),
    Fault("a gzip bomb", says=(http(200, BOMB, "Content-Encoding: gzip"),), takes=True),
    Fault("103 and no more", says=(b"HTTP/1.1 103 Early Hints\r\n\r\n",), takes=True),
    Fault("103 before the answer", says=(b"HTTP/1.1 103 Early Hints\r\n\r\n", OK), takes=True, ends="keep"),
    Fault("101", says=(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",), ends="keep"),
    Fault("500", says=(http(500, b'{"message": "oops"}'),)),
    Fault("500 after it was taken", says=(http(500),), takes=True),
    Fault("502", says=(http(502, b"<html>bad gateway</html>"),)),
    Fault("503 of a proxy", says=(http(503, b"<html>busy</html>", "Content-Type: text/html"),)),
    Fault("503 of a proxy after it was taken", says=(http(503, b"upstream reset"),), takes=True),
    Fault("504", says=(http(504),), takes=True),
    Fault("507", says=(http(507),)),
]  # fmt: skip
# The same, and it takes its time: the client's patience is short here.
SLOW = [
    Fault("silent", ends="linger"),
    Fault("silent after it was taken", takes=True, ends="linger"),
    Fault("headers that trickle", says=drip(b"HTTP/1.1 200 OK\r\nX:", 60), takes=True, pause_s=0.05),
    Fault("an answer that trickles", says=drip(http(200, b'{"failed":', length=10**6), 60), takes=True, pause_s=0.05),
    Fault("an answer without end", says=drip(http(200, EMPTY, length=-1), 60), takes=True, pause_s=0.05),
]
# It is useless to continue; no row is to blame.
HOPELESS = [
    Fault("301", says=(http(301, b"", "Location: http://127.0.0.1:9/"),)),
    Fault("302", says=(http(302, b"", "Location: https://login.example/"),)),
    Fault("307", says=(http(307, b"", "Location: /elsewhere"),)),
    Fault("308", says=(http(308, b"", "Location: http://127.0.0.1:9/"),)),
    Fault("401", says=(http(401),)),
    Fault("403 of a proxy", says=(http(403, b"<html>blocked</html>"),)),
    Fault("404", says=(http(404),)),
    Fault("405", says=(http(405),)),
    Fault("407", says=(http(407),)),
    Fault("409", says=(http(409, b'{"message": "locked"}'),)),
    Fault("429 for five minutes", says=(http(429, b"{}", "Retry-After: 300"),)),
    Fault("429 with a date far away", says=(http(429, b"{}", "Retry-After: Tue, 24 Nov 9999 00:00:20 GMT"),)),
    Fault("503 for a long time", says=(http(503, b"", "Retry-After: " + "9" * 400),)),
    Fault("410", says=(http(410),)),
    Fault("451", says=(http(451),)),
]
# All is well, though it does not look like it.
FINE = [
    Fault("100 first", says=(b"HTTP/1.1 100 Continue\r\n\r\n", OK), takes=True, ends="keep"),
    Fault("HTTP/1.0", says=(OK.replace(b"1.1", b"1.0"),), takes=True),
    Fault("chunks", says=(http(200, b"7\r\n" + EMPTY[:7] + b"\r\n7\r\n" + EMPTY[7:] + b"\r\n0\r\n\r\n",
                               "Transfer-Encoding: chunked", length=-1),), takes=True),
    Fault("gzip", says=(http(200, gzip.compress(EMPTY), "Content-Encoding: gzip"),), takes=True),
    Fault("deflate", says=(http(200, zlib.compress(EMPTY), "Content-Encoding: deflate"),), takes=True),
    Fault("until it closes", says=(http(200, EMPTY, length=-1),), takes=True),
    Fault("in small pieces", says=tuple(OK[i : i + 3] for i in range(0, len(OK), 3)), takes=True, ends="keep"),
    Fault("closed after the answer", says=(OK,), takes=True),
    Fault("202 with a request id", says=(http(202, b'{"requestId": "r-1"}'),), takes=True),
]  # fmt: skip


OPERATIONS = ["APPEND", pytest.param("UPSERT", marks=pytest.mark.slow)]
"""Each fault is tried with an append, which must not send twice; `make test-all` has the upserts too."""


class WirePush(Push):
    """An open push of one request to a faulty vendor."""

    def __init__(self, folder: Path, frame, server: Faulty, operation: str, *, patience_s: float = 20.0) -> None:
        self.server = server
        self.settings = Settings(base_url=server.url, operation=operation, contract="current")
        plan = plan_push(diff(empty_frame(), frame), settings=self.settings)
        super().__init__(folder, plan, Clock())
        self.timeouts = {"timeout_s": (20.0, patience_s), "deadline_s": 2 * patience_s}

    def send(self) -> StoppedError | None:
        with Client(self.settings, **self.timeouts) as client:
            return self.run(client)

    @property
    def fates(self) -> dict[str, int]:
        """How many rows of each fate; they add up, and what is accepted was taken."""
        report = self.report
        accepted = report.rows.loc[report.rows["fate"] == "accepted", "customer_id"]
        assert set(accepted) <= set(self.server.taken)
        found = super().fates
        assert sum(found.values()) == N
        return found


@pytest.fixture
def begin(tmp_path: Path, customers) -> Callable[..., WirePush]:
    frame = customers(N, customer_subcategory="x" * 250)
    return lambda server, operation, **more: WirePush(tmp_path / "journal", frame, server, operation, **more)


def named(faults: list[Fault]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("fault", faults, ids=lambda fault: fault.name)


def test_there_are_as_many_faults_as_were_asked_for() -> None:
    faults = NOT_LEFT + LATER + LOST + SLOW + HOPELESS
    assert len({fault.name for fault in faults}) == len(faults) >= 60


@pytest.fixture
def narrow(monkeypatch) -> None:
    """A system with small buffers: what its reader did not take has not left."""
    options = [*HTTPConnection.default_socket_options, (socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)]
    for kind in (HTTPConnection, HTTPSConnection):
        defaults = {**kind.__init__.__kwdefaults__, "socket_options": options}
        monkeypatch.setattr(kind.__init__, "__kwdefaults__", defaults)


@named(NOT_LEFT + LATER + FINE)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_was_not_taken_goes_again_and_arrives(begin, fault: Fault, operation: str, narrow: None) -> None:
    with Faulty(window=SMALL if fault in NOT_LEFT else 0) as server:
        push = begin(server, operation)
        server.faults.append(fault)
        assert push.send() is None
        assert push.fates == {"accepted": N}
        assert len(server.taken) == N  # once
        assert all(s <= 30.0 for s in push.clock.slept)


@named(LOST + SLOW)
def test_a_lost_answer_makes_an_upsert_go_again_with_the_same_bytes(begin, fault: Fault) -> None:
    with Faulty() as server:
        push = begin(server, "UPSERT", patience_s=0.3 if fault in SLOW else 20.0)
        server.faults.append(fault)
        push.timeouts["timeout_s"] = (20.0, 20.0) if "trickle" in fault.name or "end" in fault.name else (20.0, 0.3)
        if fault in LOST:
            push.timeouts["timeout_s"] = (20.0, 20.0)
        assert push.send() is None
        assert push.fates == {"accepted": N}
        assert len(server.bodies) >= 2
        assert len(set(server.bodies)) == 1


@named(LOST + SLOW)
def test_a_lost_answer_holds_an_append_and_says_unknown(begin, fault: Fault) -> None:
    with Faulty() as server:
        push = begin(server, "APPEND", patience_s=0.3 if fault in SLOW else 20.0)
        server.faults.append(fault)
        push.send()
        assert push.fates == {"unknown": N}
        push.send()  # and a resume sends nothing
        assert push.fates == {"unknown": N}
        assert len(server.bodies) == 1


@named([f for f in LOST if f.name in ("reset after the body", "no HTTP at all", "cut JSON", "204", "500")] + LATER[:2])
def test_trouble_that_lasts_is_given_up_and_accepts_nothing(begin, fault: Fault) -> None:
    with Faulty() as server:
        push = begin(server, "UPSERT")
        # A connection that is closed after its answer may look open to the next request, whose answer is lost then.
        server.faults.extend([replace(fault, ends="keep") if fault in LATER else fault] * 6)
        error = push.send()
        assert isinstance(error, UnreachableError)
        assert "6 tries" in str(error)
        assert push.fates == ({"unsent": N} if fault in LATER else {"unknown": N})
        assert ("then push again." if fault in LATER else "then resume; or abandon") in str(error)
        assert push.send() is None
        assert push.fates == {"accepted": N}


@named(HOPELESS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_is_useless_to_continue_stops_at_once_and_blames_no_row(begin, fault: Fault, operation: str) -> None:
    with Faulty() as server:
        push = begin(server, operation)
        server.faults.append(fault)
        error = push.send()
        assert error is not None
        assert f"HTTP {fault.name[:3]}" in str(error)
        assert re.search(r"(then|After that,) push again\.", str(error))
        assert (push.fates, len(server.bodies)) == ({"unsent": N}, 1)
        assert push.send() is None
        assert push.fates == {"accepted": N}


def test_a_303_may_mean_that_it_was_taken(begin) -> None:
    with Faulty() as server:
        push = begin(server, "APPEND")
        server.faults.append(Fault("303", says=(http(303, b"", "Location: /done"),), takes=True))
        assert "toolkit settle" in str(push.send())
        assert push.fates == {"unknown": N}
        assert push.send() is None
        assert len(server.taken) == N  # once


def test_an_answer_given_before_the_whole_request_was_read_accepts_nothing(begin, narrow: None) -> None:
    with Faulty(window=SMALL) as server:
        push = begin(server, "APPEND")
        server.faults.append(Fault("too early", reads="part", says=(OK,), ends="reset"))
        assert push.send() is None
        assert push.fates == {"accepted": N}
        assert len(server.taken) == N


def test_a_request_that_is_too_large_is_halved(begin) -> None:
    with Faulty() as server:
        push = begin(server, "APPEND")
        server.faults.extend([Fault("413", says=(http(413, b"<html>too large</html>"),))] * 2)
        assert push.send() is None
        assert push.fates == {"accepted": N}
        assert [len(json.loads(b)["data"]) for b in server.bodies] == [2_000, 1_000, 500, 500, 1_000]


@pytest.mark.parametrize(
    ("url", "words"), [("http://nowhere.invalid", "cannot be resolved"), ("http://127.0.0.1:{}", "reached")]
)
def test_a_host_that_is_not_there_got_nothing(begin, url: str, words: str, monkeypatch) -> None:
    def unknown(*_: object, **__: object) -> list:
        raise socket.gaierror(-2, "Name or service not known")

    with Faulty() as server, socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # bound, and not listening
        push = begin(server, "APPEND")
        address = url.format(silent.getsockname()[1])
        with Client(push.settings, base_url=address) as client:
            if "invalid" in url:
                monkeypatch.setattr(socket, "getaddrinfo", unknown)
            answer = client.send(b"{}")
        assert (answer.status, answer.left) == (None, False)
        assert words in answer.problem


# Encryption --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> tuple[ssl.SSLContext, Path]:
    """A certificate of one's own for 127.0.0.1: the server's context, and the file that makes it trusted."""
    made = make_certificate(tmp_path_factory.mktemp("tls"))
    return made.context, made.path


def test_a_host_with_an_unknown_certificate_gets_nothing(begin, certificate) -> None:
    with Faulty(tls=certificate[0]) as server:
        push = begin(server, "APPEND")
        error = push.send()
        assert str(error).startswith("Nothing can be sent: the certificate of 127.0.0.1")
        assert "set REQUESTS_CA_BUNDLE" in str(error)
        assert len(push.journal.attempts(push.record.id)) == 1
        assert (push.fates, server.headers) == ({"unsent": N}, [])  # the token did not leave


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("reads", ["headers", "part"])
def test_an_encrypted_answer_before_the_body_was_read_is_read(
    begin, certificate, monkeypatch, narrow: None, version: ssl.TLSVersion, reads: str
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[1]))
    certificate[0].minimum_version = certificate[0].maximum_version = version
    early = [
        Fault("413", reads=reads, says=(http(413),)),
        Fault("503", reads=reads, says=(http(503, b"", "Retry-After: 7"),)),
        Fault("401", reads=reads, says=(http(401, b'{"message": "who are you"}'),)),
    ]
    with Faulty(tls=certificate[0], window=SMALL) as server:
        push = begin(server, "APPEND")
        server.faults.extend(early)
        error = push.send()
        assert "who are you" in str(error)
        attempts = push.journal.attempts(push.record.id)
        assert attempts["status"].tolist() == [413, 503, 401]
        assert any(7 <= s < 8 for s in push.clock.slept)
        assert push.send() is None
        assert push.fates == {"accepted": N}


def test_an_encrypted_connection_whose_write_timed_out_carries_no_other_request(
    begin, certificate, monkeypatch, narrow: None
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[1]))
    gone = threading.Event()
    with Faulty(tls=certificate[0], window=SMALL) as server:
        push = begin(server, "APPEND")
        push.timeouts["timeout_s"] = (0.5, 20.0)
        server.faults.append(Fault("413", reads="headers", says=(http(413),), after=gone.wait, ends="linger"))
        assert push.send() is None  # it begins another connection
        gone.set()
        assert push.fates == {"accepted": N}
        assert len(server.taken) == N


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_bundle_of_the_usual_variable_makes_a_host_trusted(begin, certificate, variable: str, monkeypatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(certificate[1]))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # not for loopback
    with Faulty(tls=certificate[0]) as server:
        push = begin(server, "UPSERT")
        server.faults.append(Fault("reset after the body", takes=True, ends="reset"))
        assert push.send() is None
        assert push.fates == {"accepted": N}


def test_an_encrypted_answer_that_trickles_ends_in_time(begin, certificate, monkeypatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[1]))
    with Faulty(tls=certificate[0]) as server:
        push = begin(server, "APPEND", patience_s=0.3)
        push.timeouts["timeout_s"] = (20.0, 20.0)
        server.faults.append(SLOW[3])
        push.send()
        assert push.fates == {"unknown": N}
        assert "did not end its answer" in push.journal.attempts(push.record.id)["answer"].iloc[0]


@pytest.mark.parametrize("body", [None, b"{}"])
@named([fault for fault in SLOW if "trickle" in fault.name])
def test_a_call_whose_answer_trickles_ends_in_time(begin, fault: Fault, body: bytes | None) -> None:
    with Faulty() as server:
        push = begin(server, "UPSERT")
        server.faults.append(fault)
        with Client(push.settings, timeout_s=(20.0, 20.0), deadline_s=0.3) as client:
            answer = client.ask("/somewhere", body)
        assert answer.problem
        assert "did not end its answer within 0.3 s" in answer.problem


@pytest.mark.parametrize("fault", [None, Fault("no TLS", reads="nothing", ends="reset")])
def test_a_host_without_tls_gets_nothing(begin, fault: Fault | None) -> None:
    with Faulty() as server:
        push = begin(server, "APPEND")
        if fault:
            server.faults.append(fault)
        with Client(push.settings, base_url=server.url.replace("http:", "https:"), timeout_s=(0.3, 0.3)) as client:
            answer = client.send(b"{}")
        assert (answer.status, answer.left, server.bodies) == (None, False, [])
