"""Pushes through real proxies with limits: they end by themselves, lose no row, and the ledger agrees each time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.certificates import Certificate, make_certificate
from tests.support.clocks import Clock
from tests.support.place import Place, fates
from tests.support.servers import haproxy, nginx, squid, tinyproxy
from toolkit.errors import UnreachableError
from toolkit.sending.pacing import Pace
from toolkit.vendor.sandbox import Sandbox

NAME = "127.1"
"""A name of this machine that no list of loopback hosts has, so that a proxy is used."""
LIMIT = "limit_req_zone $binary_remote_addr zone=ours:1m rate={}r/s; limit_req_status {};"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"), NAME)


@pytest.fixture(autouse=True)
def trusted(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "all_proxy", "no_proxy", "curl_ca_bundle"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.path))


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A vendor on the real clock, which turns away more than 50 requests a second itself."""
    with Sandbox() as running:
        yield running


def send(sandbox: Sandbox, url: str, frame, *, limited: bool = True, **options: object) -> None:
    """Push in one command, on the real clock; every row is accepted, and the ledger agrees."""
    place = Place(sandbox, Clock(), {"base_url": url, **options})
    report = place.push(frame, pace=Pace())
    assert fates(report) == {"accepted": len(frame)}
    place.require_agreement()
    said = report.to_dict()
    assert (said["attempts"] > said["batches"]) == limited  # some requests were turned away


def slowly(sandbox: Sandbox, seconds: float) -> None:
    """Make each request take its time."""
    answer, never = sandbox.vendor.answer, threading.Event()
    sandbox.vendor.answer = lambda request: (never.wait(seconds), answer(request))[1]


@pytest.mark.parametrize(
    ("rate", "n_rows"), [(5, 4_000), pytest.param(5, 20_000, marks=pytest.mark.slow)], ids=["sample", "whole"]
)
@pytest.mark.parametrize("status", [429, pytest.param(503, marks=pytest.mark.slow)])
@pytest.mark.parametrize("bunches", ["", pytest.param(" burst=2", marks=pytest.mark.slow)])
def test_a_push_ends_at_the_pace_of_nginx(
    sandbox: Sandbox, certificate: Certificate, tmp_path: Path, customers, rate: int, n_rows: int, status: int,
    bunches: str,
) -> None:  # fmt: skip
    zone = LIMIT.format(rate, status)
    with nginx(tmp_path, certificate, sandbox.url, zone=zone, rules=f"limit_req zone=ours{bunches};") as url:
        send(sandbox, url, customers(n_rows))


@pytest.mark.parametrize("operation", ["APPEND", pytest.param("UPSERT", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("rate", "n_rows"), [(5, 4_000), pytest.param(5, 20_000, marks=pytest.mark.slow)], ids=["sample", "whole"]
)
@pytest.mark.parametrize("says", ["", " hdr Retry-After 1"])
def test_a_push_ends_at_the_pace_of_haproxy(
    sandbox: Sandbox, certificate: Certificate, tmp_path: Path, customers, operation: str, rate: int, n_rows: int,
    says: str,
) -> None:  # fmt: skip
    front = (
        "stick-table type ip size 10 store http_req_rate(1s)\n  http-request track-sc0 src\n"
        f"  http-request return status 429{says} if {{ sc_http_req_rate(0) gt {rate} }}"
    )
    with haproxy(tmp_path, certificate, sandbox.url, front=front) as url:
        send(sandbox, url, customers(n_rows), operation=operation)


@pytest.mark.parametrize(
    ("front", "server", "timeouts"),
    [
        ("", "maxconn 1", "timeout queue 100ms"),
        pytest.param("maxconn 1", "", "timeout http-keep-alive 1s", marks=pytest.mark.slow),
    ],
    ids=["to the vendor", "from us"],
)
def test_a_push_ends_over_the_one_connection_that_haproxy_has(
    sandbox: Sandbox, certificate: Certificate, tmp_path: Path, customers, front: str, server: str, timeouts: str
) -> None:
    slowly(sandbox, 0.08)
    with haproxy(tmp_path, certificate, sandbox.url, front=front, server=server, timeouts=timeouts) as url:
        send(sandbox, url, customers(5_000), limited=bool(server))  # a connection that is not taken just waits


@pytest.mark.parametrize(
    ("n_bytes", "n_rows"), [(40_000, 2_000), pytest.param(330, 150, marks=pytest.mark.slow)], ids=["rows", "one row"]
)
@pytest.mark.parametrize("operation", ["UPSERT", pytest.param("APPEND", marks=pytest.mark.slow)])
@pytest.mark.parametrize("server", ["nginx", "haproxy"])
def test_a_request_that_a_proxy_refuses_by_its_length_is_halved_over_tls(
    sandbox: Sandbox, certificate: Certificate, tmp_path: Path, customers, server: str, n_bytes: int, n_rows: int,
    operation: str,
) -> None:  # fmt: skip
    refuses = f"http-request return status 413 if {{ req.hdr_val(content-length) gt {n_bytes} }}"
    behind = (
        nginx(tmp_path, certificate, sandbox.url, rules=f"client_max_body_size {n_bytes};")
        if server == "nginx"
        else haproxy(tmp_path, certificate, sandbox.url, front=refuses)
    )
    with behind as url:
        send(sandbox, url, customers(n_rows), operation=operation)


def test_a_certificate_that_nobody_trusts_stops_the_push_at_once(
    sandbox: Sandbox, certificate: Certificate, tmp_path: Path, customers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with nginx(tmp_path, certificate, sandbox.url) as url:
        place = Place(sandbox, Clock(), {"base_url": url})
        with pytest.raises(UnreachableError, match=r"certificate of .* \(self-signed certificate\): set REQUESTS_CA_B"):
            place.push(customers(3))
    assert place.clock.slept == []
    assert sandbox.requests().empty


REAL = {"target": "acme", "solution": "QP_OOTB", "prefix": "QP_", "suffix": "_OOTB"}


PROXIES = {"tinyproxy": (tinyproxy, "BasicAuth me right"), "squid": (squid, "http_access allow known")}


@pytest.mark.slow
@pytest.mark.parametrize("name", PROXIES)
def test_a_push_goes_through_a_proxy_with_its_password(
    sandbox: Sandbox, certificate: Certificate, tmp_path: Path, customers, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("PEAK_AUTH_TOKEN", "sandbox")
    run, rules = PROXIES[name]
    with nginx(tmp_path, certificate, sandbox.url) as url, run(tmp_path, rules=rules) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:right@{proxy}")
        send(sandbox, url.replace("127.0.0.1", NAME), customers(2_000), limited=False, **REAL)
    assert url.rpartition(":")[2] in (tmp_path / f"{name}.log").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "rules", "status", "cure"),
    [
        ("tinyproxy", "BasicAuth me right", "40[17]", "put a valid user and password there"),
        ("tinyproxy", "ConnectPort 563", "403", "have whoever runs it allow vendor.example"),
        ("tinyproxy", "Deny 127.0.0.1", "403", "have whoever runs it allow vendor.example"),
        ("squid", "http_access allow known", "407", "put a valid user and password there"),
        ("squid", "http_access deny all", "403", "have whoever runs it allow vendor.example"),
    ],
)
def test_a_push_stops_at_once_where_a_proxy_refuses_it(
    tmp_path: Path, customers, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, name: str, rules: str, status: str,
    cure: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("PEAK_AUTH_TOKEN", "sandbox")
    with PROXIES[name][0](tmp_path, rules=rules) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:wrong@{proxy}")
        place = Place(sandbox, Clock(), {"base_url": "https://vendor.example", **REAL})
        with pytest.raises(UnreachableError, match=rf"named in HTTPS_PROXY refused .*\(status {status}\): {cure}"):
            place.push(customers(3))
    assert place.clock.slept == []
