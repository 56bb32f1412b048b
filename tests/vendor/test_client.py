"""One request and its answer: where the token goes, and what may go wrong on the way."""

from __future__ import annotations

import copy
import gzip
import json
import logging
import pickle
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import traceback
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
import pytest
import requests
from pydantic import SecretStr

from tests.support.faulty import Fault, Faulty, http
from toolkit.config.settings import Settings
from toolkit.errors import AuthorizationError, InputError
from toolkit.ledger import Ledger
from toolkit.ledger.diffing import diff
from toolkit.model.contract import APRIL_2026, CURRENT, Column, Contract, Resource
from toolkit.model.schema import empty_frame
from toolkit.pushing.planning import plan_push
from toolkit.pushing.runs import push
from toolkit.vendor.answers import Answer, read_answer
from toolkit.vendor.client import MAX_ANSWER_BYTES, Client, Redaction
from toolkit.vendor.sandbox import DROPPED, Reply, Request, Sandbox

# The contract page's request, to the letter; the sandbox's tests send the same one by hand.
EXAMPLE = b"""{"solutionName": "QP_OOTB",
 "data": [{"customer_id": "CUST-001", "updated_at": "2025-01-28T10:00:00Z", "customer_name": "Acme Corporation",
           "customer_category": "Enterprise", "customer_subcategory": "Technology",
           "customer_price_list_id": "PL-ENT-001", "source": "customer"}],
 "operationType": "UPSERT", "dryRun": false}"""
SENT = [("CUST-001", "2025-01-28T10:00:00Z")]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as server:
        yield server


def send(sandbox: Sandbox, **settings: Any) -> Answer:
    with Client(Settings(base_url=sandbox.url, **settings)) as client:
        return client.send(EXAMPLE)


@pytest.mark.parametrize("style", ["ingest/object", "objects", "object"])
@pytest.mark.parametrize("base", ["", "/ingestion-api"])
def test_the_documented_request_reaches_the_vendor_and_its_answer_is_read(
    sandbox: Sandbox, style: str, base: str
) -> None:
    with Client(Settings(base_url=sandbox.url + base, path_style=style, prefix="QP_", suffix="_OOTB")) as client:
        answer = client.send(EXAMPLE)
    assert (answer.status, read_answer(answer, SENT).kind) == (200, "taken")
    assert sandbox.requests()["path"].iloc[0] == f"{base}/api/v2/{style}/QP_CUSTOMER_OOTB"
    assert list(sandbox.table()["customer_id"]) == ["CUST-001"]


def seen(sandbox: Sandbox) -> list[Request]:
    """Have the sandbox keep what it is asked."""
    kept: list[Request] = []
    answer = sandbox.vendor.answer
    sandbox.vendor.answer = lambda request: kept.append(request) or answer(request)
    return kept


def test_the_raw_token_goes_in_its_header_despite_netrc_and_proxies(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login someone password else\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # nothing listens there
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    kept = seen(sandbox)
    assert send(sandbox, extra_headers={"x-auth-tenant": "acme"}).status == 200
    headers = kept[0].headers
    assert (headers["authorization"], headers["content-type"]) == ("sandbox", "application/json")
    assert headers["x-auth-tenant"] == "acme"
    assert kept[0].body == EXAMPLE


def with_netrc(where: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a `.netrc` name every host, and check that requests would take its password."""
    (home / ".netrc").write_text("machine 127.0.0.1 login me password it\ndefault login me password it\n", "utf-8")
    monkeypatch.delenv("NETRC", raising=False)
    monkeypatch.setenv(*(("NETRC", str(home / ".netrc")) if where == "NETRC" else ("HOME", str(home))))
    assert requests.utils.get_netrc_auth("https://vendor.example") == ("me", "it")


@pytest.mark.parametrize("where", ["NETRC", "HOME"])
def test_a_real_host_gets_its_token_and_not_the_one_of_netrc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    with_netrc(where, tmp_path, monkeypatch)
    monkeypatch.setenv("PEAK_AUTH_TOKEN", "the-right-one")
    monkeypatch.setenv("TOOLKIT_TARGET", "acme")
    left: list[requests.PreparedRequest] = []

    def at_the_wire(self: object, request: requests.PreparedRequest, **options: object) -> requests.Response:
        left.append(request)
        raise requests.exceptions.SSLError(ssl.SSLCertVerificationError())

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", at_the_wire)
    settings = Settings(base_url="https://vendor.example", target="acme", solution="S", prefix="P_", suffix="_S")
    with Client(settings) as client:
        answer = client.send(EXAMPLE)
        assert "the-right-one" not in f"{vars(client)} {answer}"
    assert left[0].headers["Authorization"] == "the-right-one"
    assert left[0].url == "https://vendor.example/api/v2/ingest/object/P_CUSTOMER_S"
    assert (answer.left, "certificate" in answer.problem) == (False, True)


@pytest.mark.parametrize(
    ("wrong", "left", "words"),
    [
        (requests.exceptions.SSLError(ssl.SSLCertVerificationError()), False, "certificate"),
        (requests.exceptions.SSLError(ssl.SSLEOFError()), True, "the encrypted connection to 127.0.0.1"),
        (requests.exceptions.ProxyError(), False, "proxy"),
        (requests.exceptions.ConnectTimeout(), False, "did not answer within 10 s"),
        (requests.exceptions.ReadTimeout(), True, "silent for 60 s"),
        (requests.exceptions.ConnectionError(), True, "broke the connection"),
        (requests.exceptions.ContentDecodingError(), True, "ContentDecodingError"),
    ],
)
def test_what_goes_wrong_on_the_way_says_whether_it_may_have_arrived(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, wrong: Exception, left: bool, words: str
) -> None:
    def at_the_wire(_: object, request: requests.PreparedRequest, **__: object) -> requests.Response:
        while left and request.body.read():  # the whole body is handed on
            pass
        raise wrong

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", at_the_wire)
    answer = send(sandbox)
    assert (answer.status, answer.left) == (None, left)
    assert words in answer.problem
    assert read_answer(answer, SENT).kind == ("lost" if left else "retry")


@pytest.mark.parametrize("status", [300, 301, 302, 303, 305, 307, 308])
@pytest.mark.parametrize("location", ["http://{0}/x", "//{0}/x", "http://me:it@{0}/", "file:///etc/hostname", "/other"])
def test_a_redirect_is_not_followed(sandbox: Sandbox, status: int, location: str) -> None:
    with Faulty() as elsewhere:
        to = {"Location": location.format(elsewhere.url.removeprefix("http://"))}
        sandbox.vendor.troubles += [Reply(status, b"", to)] * 2
        kept = seen(sandbox)
        with Client(Settings(base_url=sandbox.url)) as client:
            answers = [client.send(EXAMPLE), client.ask("/schema")]
        assert [answer.status for answer in answers] == [status, status]
        assert {read_answer(answer, SENT).kind for answer in answers} == {"stop"}
        assert len(kept) == 2
        assert not elsewhere.headers


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(200, b'{"failed": []}', cut=5), "lost"),
        (Reply(200, b""), "lost"),
        (Reply(200, b"<html>Welcome to the hotel's network</html>"), "lost"),
        (Reply(502, b"<html>bad gateway</html>"), "lost"),
        (DROPPED, "lost"),
        (Reply(429, b""), "retry"),
        (Reply(503, b"", {"Retry-After": "7"}), "retry"),
        (Reply(401, b"no"), "unauthorized"),
        (Reply(404, b"no"), "nowhere"),
    ],
)
def test_an_answer_that_is_not_the_vendors_accepts_nothing(sandbox: Sandbox, reply: Reply, kind: str) -> None:
    sandbox.vendor.troubles.append(reply)
    answer = send(sandbox)
    assert read_answer(answer, SENT).kind == kind
    assert answer.retry_after == reply.headers.get("Retry-After")


def test_reading_stops_at_an_answer_that_does_not_end(sandbox: Sandbox) -> None:
    sandbox.vendor.troubles.append(Reply(200, b'{"failed": [], "x": "' + b"x" * (2 * MAX_ANSWER_BYTES) + b'"}'))
    answer = send(sandbox)
    assert (len(answer.body), answer.problem) == (MAX_ANSWER_BYTES, "the answer does not end")
    assert read_answer(answer, SENT).kind == "lost"


def test_a_host_that_is_not_there_got_nothing() -> None:
    with Sandbox() as gone:
        url = gone.url
    with Client(Settings(base_url=url)) as client:
        answer = client.send(EXAMPLE)
    assert (answer.status, answer.left) == (None, False)
    assert "cannot be reached" in answer.problem
    assert read_answer(answer, SENT).kind == "retry"


def test_a_silent_host_may_have_taken_it(sandbox: Sandbox) -> None:
    sandbox.vendor.troubles.append((True, DROPPED))
    answer = send(sandbox)
    assert (answer.status, answer.left) == (None, True)
    assert len(sandbox.table()) == 1


def test_the_two_dated_contracts_say_what_the_page_says() -> None:
    april, newest = Contract.named("2026-04"), Contract.named("current")
    assert (april.max_rows, april.max_bytes, newest.max_rows, newest.max_bytes) == (500, 1_000_000, 2_000, 1_000_000)
    assert (april.max_requests_per_s, newest.max_requests_per_s) == (50, 50)
    assert (april.base_url, newest.base_url) == ("https://service.peak.ai/ingestion-api", "https://ingestion.peak.ai")
    assert april.url(april.base_url, prefix="QP_", suffix="_OOTB") == (
        "https://service.peak.ai/ingestion-api/api/v2/ingest/object/QP_CUSTOMER_OOTB"
    )
    assert newest.url(newest.base_url) == "https://ingestion.peak.ai/api/v2/objects/CUSTOMER"
    assert list(json.loads(EXAMPLE)["data"][0]) == list(april.resource.names) == list(newest.resource.names)
    assert april.resource.key == newest.resource.key == ("customer_id", "updated_at")
    nullable = {c.name for c in newest.resource.columns if c.nullable}
    assert {c.name for c in april.resource.columns if c.nullable} - nullable == {"customer_name"}
    assert (april.dry_run, newest.dry_run, april.affixes_required, newest.affixes_required) == (
        False,
        True,
        True,
        False,
    )


def test_a_second_resource_of_the_same_shape_is_one_more_entry() -> None:
    merchant = Resource(
        "MERCHANT",
        (Column("merchant_id", nullable=False, key=True), Column("updated_at", "datetime", nullable=False, key=True),
         Column("merchant_name"), Column("merchant_category"), Column("merchant_subcategory")),
    )  # fmt: skip
    contract = Contract("m", CURRENT.base_url, "objects", merchant, 2_000, 1_000_000,
                        dry_run=True, affixes_required=False)  # fmt: skip
    assert contract.url("https://h", prefix="QP_") == "https://h/api/v2/objects/QP_MERCHANT"
    assert (merchant.key, merchant.attributes[0]) == (("merchant_id", "updated_at"), "merchant_name")
    assert merchant.arrow_schema().names == list(merchant.names)
    assert contract.envelope("S", "UPSERT") == CURRENT.envelope("S", "UPSERT") == APRIL_2026.envelope("S", "UPSERT")


SPELLINGS = [
    "t0p/s3cret",
    "T0P/S3CRET",
    "t0p\\/s3cret",
    "\\u0074\\u0030p/s3cret",
    "t0p%2Fs3cret",
    "%740p%2fs3cret",
]


@pytest.mark.parametrize("spelled", SPELLINGS)
@pytest.mark.parametrize("status", [200, 400, 503])
def test_a_token_that_an_answer_echoes_is_taken_out_plain_and_escaped(
    monkeypatch: pytest.MonkeyPatch, spelled: str, status: int
) -> None:
    monkeypatch.setenv("PEAK_AUTH_TOKEN", "t0p/s3cret")
    monkeypatch.setenv("TOOLKIT_TARGET", "acme")
    long = "x" * 290  # a message that is cut would be cut within the token
    said = b'{"failed": [{"index": 0, "message": "%s %s"}]}' % (long.encode(), spelled.encode())
    with Sandbox(token="t0p/s3cret") as sandbox:
        sandbox.vendor.troubles.append(Reply(status, said))
        answer = send(sandbox)
    verdict = read_answer(answer, SENT)
    assert b"[token]" in answer.body
    assert not [text for text in (f"{answer}", f"{verdict}") if "s3cret" in text or "t0p" in text]


@pytest.mark.parametrize(
    ("name", "value", "echoed"),
    [
        ("X-Api-Key", "s3cret-value-123", "bad header X-Api-Key: s3cret-value-123!"),
        ("apikey", "s3cret-value-123", "bad header %73%33cret-value-123!"),
        ("X-Access-Token", "Bearer s3cret-value-123", "s3cret-value-123 is no token"),
        ("X-Forwarded-Authorization", "Bearer s3cret-value-123", "not allowed: Bearer s3cret-value-123!"),
        ("Client_Secret", "123456789012", "unknown: 123456789012!"),
        ("X-Password", "correcthorse", "unknown: correcthorse!"),
        ("Cookie", "sid=s3cret-value==; theme=dark", "no session s3cret-value!"),
        ("X-Token", "the-right-one-s3cret", "longer: the-right-one-s3cret!"),
    ],
)
@pytest.mark.parametrize("token", [None, "the-right-one"])
def test_a_header_whose_name_suggests_a_secret_is_taken_out_of_answers(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, echoed: str, token: str | None
) -> None:
    if token:
        monkeypatch.setenv("PEAK_AUTH_TOKEN", token)
        monkeypatch.setenv("TOOLKIT_TARGET", "acme")
    with Sandbox(token=token or "sandbox") as sandbox:
        sandbox.vendor.troubles.append(Reply(401, f"{token}, {echoed}".encode()))
        answer = send(sandbox, extra_headers={"Accept": "text/plain", name: value})
    assert b"[token]" in answer.body.partition(b", ")[2]
    assert not re.search(rb"s3cret|%73|cret-v|1234|horse|right", answer.body)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Accept", "application/json"),
        ("X-Auth-Version", "1"),
        ("X-Auth", "1"),
        ("X-Api-Key", "acme"),
        ("x-auth-tenant", "acme-corporation"),
        ("X-Token-Type", "application/json"),
        ("X-Author", "acme-corporation"),
        ("X-Keywords", "acme-corporation"),
        ("Cookie", "region=customer; since=20250128"),
    ],
)
def test_another_header_leaves_answers_as_they_are(sandbox: Sandbox, name: str, value: str) -> None:
    said = b'{"failed": [{"customer_id": "acme-corporation", "code": 1, "x": "20250128 customer application/json"}]}'
    sandbox.vendor.troubles.append(Reply(200, said))
    answer = send(sandbox, extra_headers={name: value})
    assert answer.body == said
    assert list(read_answer(answer, [("acme-corporation", "2025-01-28T10:00:00Z")]).refused) == [0]


def test_a_header_that_an_answer_echoes_is_in_no_message_and_no_file(
    sandbox: Sandbox, tmp_path: Path, customers
) -> None:
    settings = Settings(base_url=sandbox.url, extra_headers={"X-Api-Key": "s3cret-value-123"})
    sandbox.vendor.troubles.append(Reply(401, b'{"message": "bad header X-Api-Key: s3cret-value-123"}'))
    plan = plan_push(diff(empty_frame(), customers(1)), settings=settings, allow="all")
    with pytest.raises(AuthorizationError, match=r"bad header X-Api-Key: \[token\]"):
        push(plan, settings=settings, progress=False, schema_check=False)
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert any(b"bad header X-Api-Key" in text for text in kept)
    assert not any(b"s3cret" in text for text in kept)


def test_the_sandboxes_own_token_is_a_word_like_any_other(sandbox: Sandbox) -> None:
    sandbox.vendor.troubles.append(Reply(200, b'{"failed": [{"customer_id": "sandbox"}]}'))
    assert list(read_answer(send(sandbox), [("sandbox", "2025-01-28T10:00:00Z")]).refused) == [0]


def test_a_proxy_that_is_not_there_got_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEAK_AUTH_TOKEN", "the-right-one")
    monkeypatch.setenv("TOOLKIT_TARGET", "acme")
    with Sandbox() as gone:
        monkeypatch.setenv("HTTPS_PROXY", gone.url)
    settings = Settings(base_url="https://vendor.example", target="acme", solution="S", prefix="P_", suffix="_S")
    with Client(settings) as client:
        answer = client.send(EXAMPLE)
    assert (answer.status, answer.left) == (None, False)
    assert "proxy cannot be reached" in answer.problem


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A host beyond this machine, and nothing in the environment about how to reach it."""
    for proxy in ("https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(proxy, raising=False)
        monkeypatch.delenv(proxy.upper(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PEAK_AUTH_TOKEN", "the-right-one")
    monkeypatch.setenv("TOOLKIT_TARGET", "acme")
    return Settings(base_url="https://vendor.example", target="acme", solution="S", prefix="P_", suffix="_S")


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem", "check REQUESTS_CA_BUNDLE"),
        ("CURL_CA_BUNDLE", "/nowhere/ca.pem", "check REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE"),
        ("HTTPS_PROXY", "foo:bar", "check HTTPS_PROXY"),
        ("https_proxy", "ftp://me:hidden@proxy.example:21", "check HTTPS_PROXY"),
        ("ALL_PROXY", "http://me:hidden@proxy.example:99999", "check HTTPS_PROXY, ALL_PROXY"),
        ("all_proxy", "socks5h://me:hidden@proxy.example:1080", "check HTTPS_PROXY"),
        ("HTTPS_PROXY", "http://me:hidd€n@proxy.example:8080", "UnicodeEncodeError"),
    ],
)
def test_what_the_environment_leaves_unusable_is_named_without_its_password_and_nothing_leaves(
    vendor: Settings, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str
) -> None:
    monkeypatch.setenv(variable, value)
    with Client(vendor) as client:
        for answer in (client.send(EXAMPLE), client.ask("/schema", EXAMPLE)):
            assert (answer.status, answer.left) == (None, False)
            assert words in answer.problem
            assert not re.search("hidd|me:|the-right-one", answer.problem)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (407, "status 407): put a valid user and password there, as in http://USER:PASSWORD@HOST:PORT"),
        (401, "status 401): put a valid user and password there"),
        (403, "status 403): have whoever runs it allow vendor.example, or list the host in NO_PROXY"),
        (404, "status 404)"),
    ],
)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_that_refuses_is_asked_once_and_its_variable_is_named(
    vendor: Settings, monkeypatch: pytest.MonkeyPatch, status: int, words: str, variable: str
) -> None:
    with Faulty() as proxy:
        monkeypatch.setenv(variable, proxy.url.replace("//", "//me:hidden@"))
        proxy.faults.extend([Fault("no", says=(http(status, b"<html>no</html>"),))] * 2)
        with Client(vendor) as client:
            answers = [client.ask("/schema"), client.send(EXAMPLE), client.send(EXAMPLE)]
    assert len(proxy.headers) == 1
    assert proxy.headers[0].startswith(b"CONNECT vendor.example:443")
    assert b"the-right-one" not in proxy.headers[0]
    assert answers[0] == answers[1] == answers[2]
    assert (answers[0].status, answers[0].left, answers[0].lasting) == (None, False, True)
    assert f"the proxy named in {variable} refused the connection ({words}" in answers[0].problem
    assert "hidden" not in answers[0].problem


@pytest.mark.parametrize("where", ["NETRC", "HOME"])
def test_a_proxy_gets_neither_the_token_nor_what_netrc_says(
    vendor: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    with_netrc(where, tmp_path, monkeypatch)
    with Faulty() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        proxy.faults.append(Fault("no", says=(http(502),)))
        with Client(vendor) as client:
            client.send(EXAMPLE)
    assert proxy.headers[0].splitlines()[0].startswith(b"CONNECT vendor.example:443 ")
    assert not re.search(rb"(?i)authorization|the-right-one|bWU6", proxy.headers[0])


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_a_proxy_that_may_let_it_through_later_is_asked_again(
    vendor: Settings, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    with Faulty() as proxy, Client(vendor):
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        proxy.faults.extend([Fault("no", says=(http(status),))] * 2)
        with Client(vendor) as client:
            answers = [client.send(EXAMPLE), client.send(EXAMPLE)]
    assert len(proxy.headers) == 2
    assert not any(answer.lasting for answer in answers)


@pytest.mark.parametrize(("number", "lasting"), [(socket.EAI_NONAME, True), (socket.EAI_AGAIN, False)])
def test_a_name_that_nobody_knows_lasts_and_a_resolver_that_is_away_does_not(
    vendor: Settings, monkeypatch: pytest.MonkeyPatch, number: int, lasting: bool
) -> None:
    asked = []

    def unknown(*host: object, **_: object) -> list:
        asked.append(host[0])
        raise socket.gaierror(number, "not now")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with Client(vendor) as client:
        answers = [client.send(EXAMPLE), client.send(EXAMPLE)]
    assert [answer.lasting for answer in answers] == [lasting] * 2
    assert len(asked) == (1 if lasting else 2)
    assert "check TOOLKIT_BASE_URL" in answers[0].problem


def test_a_name_that_was_known_before_may_be_known_again(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    with Client(Settings(base_url=sandbox.url)) as client:
        assert client.send(EXAMPLE).status == 200
        sandbox.stop()

        def unknown(*_: object, **__: object) -> list:
            raise socket.gaierror(socket.EAI_NONAME, "not now")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        answers = [client.send(EXAMPLE) for _ in range(3)]
    assert not any(answer.lasting for answer in answers)
    assert "cannot be resolved" in answers[-1].problem


@pytest.mark.parametrize(
    ("variable", "value"),
    [("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem"), ("HTTPS_PROXY", "ftp://proxy.example:21")],
)
def test_an_environment_that_is_wrong_lasts(
    vendor: Settings, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with Client(vendor) as client:
        assert client.send(EXAMPLE).lasting


@pytest.mark.parametrize(
    "location", [b"/\xff", b"http://[::bad", b"http://127.0.0.1:9/", b"/" + b"x" * 9_000], ids=lambda text: text[:12]
)
def test_a_redirect_is_neither_prepared_nor_read_to_any_length(location: bytes) -> None:
    says = http(302, gzip.compress(bytes(30_000_000)), "Content-Encoding: gzip", "Location: ?").replace(
        b"?", location, 1
    )
    with Faulty() as server, Client(Settings(base_url=server.url)) as client:
        server.faults.append(Fault("redirect", says=(says,)))
        answer = client.send(b'{"data": []}')
    assert (answer.status, answer.problem, len(answer.body)) == (302, "the answer does not end", MAX_ANSWER_BYTES)


UNUSUAL = "Zk7+q/9Jd==\"x'yW\\v2&<8>%4~!tail"
FORMS = [
    UNUSUAL,
    UNUSUAL.upper(),
    json.dumps(UNUSUAL)[1:-1],
    json.dumps(UNUSUAL)[1:-1].replace("/", "\\/"),
    "".join(f"\\u{ord(c):04X}" for c in UNUSUAL),
    quote(UNUSUAL),
    quote(UNUSUAL, safe=""),
    *(b64encode(before + UNUSUAL.encode() + b"=rest").decode() for before in (b"", b"u", b"us")),
    urlsafe_b64encode(b"user:" + UNUSUAL.encode()).decode(),
    quote(b64encode(UNUSUAL.encode()).decode(), safe=""),
]


@pytest.mark.parametrize("form", FORMS)
def test_a_token_of_unusual_characters_is_taken_out_in_each_form(form: str) -> None:
    text = Redaction(SecretStr(UNUSUAL))(f'{{"message": "Bearer {form}", "rest": 1}}'.encode())
    assert text.startswith(b'{"message": "Bearer ')
    assert text.endswith(b'", "rest": 1}')
    assert b"[token]" in text
    assert not re.search(rb"k7|tail|Vnl|J4J3l|ieCd5", text, re.IGNORECASE)  # of its base64 too


def test_the_beginning_of_a_token_is_taken_out_from_eight_characters_on() -> None:
    token = "pat-7f3a91c2-of-acme"
    redact = Redaction(SecretStr(token))
    for n in range(8, len(token) + 1):
        for tail in ("", "...", "…", "*****"):
            said = json.loads(redact(json.dumps({"message": f"no such token: {token[:n]}{tail}"}).encode()))["message"]
            assert said.rstrip("*.…") == "no such token: [token]"
    quoted = json.dumps({"message": f'no such token "{token[:12]}"'}).encode()
    assert json.loads(redact(quoted))["message"] == 'no such token "[token]"'
    shortened = b64encode(token.encode())[:12]
    assert shortened not in redact(b"Basic " + shortened + b"...")
    cut = f'{{"message": "no such token: {token[:9]}'.encode()  # the answer ends within the token
    assert redact(cut) == b'{"message": "no such token: [token]'
    assert redact(b'"pat-7f3 is no token"') == b'"pat-7f3 is no token"'


def test_a_token_that_begins_like_a_column_leaves_the_column_alone() -> None:
    redact = Redaction(SecretStr("customer_token_4711"))
    answer = b'{"customer_id": "C1", "message": "customer_name is missing; sent customer_token_4711"}'
    assert redact(answer) == b'{"customer_id": "C1", "message": "customer_name is missing; sent [token]"}'


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:9", "http://127.0.0.2:9", "http://localhost:9", "http://[::1]:9"]
)
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_no_request_to_this_machine_goes_through_a_proxy(
    address: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Faulty() as proxy:
        monkeypatch.setenv(variable, proxy.url)
        monkeypatch.setenv("NO_PROXY", "elsewhere.example")
        with Client(Settings(base_url=address)) as client:
            assert client.ask("/").status is None  # nobody listens there; the proxy would have answered
        assert not proxy.bodies


def test_a_client_is_neither_pickled_nor_copied_nor_shown_with_its_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEAK_AUTH_TOKEN", "the-right-one")
    monkeypatch.setenv("TOOLKIT_TARGET", "acme")
    with Client(Settings(base_url="http://127.0.0.1:9")) as client:
        for keep in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="cannot be pickled"):
                keep(client)
        assert "the-right-one" not in f"{client!r} {vars(client)!r}"


def test_a_host_that_cannot_be_reached_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with Client(Settings(base_url=url)) as client:
        answer = client.ask("/schema")
    assert (answer.status, answer.problem) == (None, f"{url[7:]} cannot be reached")


def test_an_interrupt_ends_the_wait_for_a_silent_host_and_shows_no_frame_with_the_token(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("PEAK_AUTH_TOKEN", "the-right-one")
    monkeypatch.setenv("TOOLKIT_TARGET", "acme")

    taken = threading.Event()

    def interrupt() -> None:
        """Press Ctrl-C until it is taken: one that comes just before the wait begins is seen when it ends."""
        taken.clear()
        while not taken.is_set():
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            taken.wait(0.5)

    def take(*_: object) -> None:
        taken.set()
        raise KeyboardInterrupt

    # A shell's background job ignores Ctrl-C, so this process may have no handler.
    request.addfinalizer(partial(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, take)))
    with Faulty() as server, Client(Settings(base_url=server.url)) as client:
        for call in (lambda: client.send(EXAMPLE), lambda: client.ask("/x"), lambda: client.ask("/x", EXAMPLE)):
            server.faults.append(Fault("silent", ends="linger", acts=interrupt))
            with pytest.raises(KeyboardInterrupt) as caught:
                call()
            shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
            shown.stack[:] = shown.stack[2:]  # without those of this test, whose server got the token
            assert "client.py" in "".join(shown.format())
            assert "the-right-one" not in "".join(shown.format())


def test_headers_that_cannot_be_parsed_are_not_logged_and_a_wait_that_is_the_token_is_redacted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("PEAK_AUTH_TOKEN", "the-right-one")
    monkeypatch.setenv("TOOLKIT_TARGET", "acme")
    logger = logging.getLogger("urllib3.connection")
    before = list(logger.filters)
    says = b"HTTP/1.1 429 X\r\nRetry-After: the-right-one\r\nContent-Length: 0\r\nno colon: the-right-one\r\n\r\n"
    with Faulty() as server, Client(Settings(base_url=server.url)) as client:
        server.faults.append(Fault("headers", says=(says,)))
        answer = client.send(b"{}")
    assert (answer.status, answer.retry_after) == (429, "[token]")
    assert "urllib3.connectionpool" in {record.name for record in caplog.records}
    assert "the-right-one" not in caplog.text
    assert logger.filters == before  # and other users of urllib3 have their log back


def test_importing_the_toolkit_leaves_the_loggers_of_others_alone() -> None:
    code = "import logging, toolkit.cli; print([n for n in logging.root.manager.loggerDict if 'urllib3' in n and "
    code += "getattr(logging.getLogger(n), 'filters', [])])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_deadline_counts_from_the_moment_when_the_body_has_left(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sends = threading.Event()

    def at_the_wire(_: object, request: requests.PreparedRequest, **__: object) -> requests.Response:
        assert sends.wait(20)
        while request.body.read():
            pass
        threading.Event().wait(20)  # no answer
        raise AssertionError

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", at_the_wire)
    threading.Timer(0.2, sends.set).start()  # the network takes longer than the deadline
    with Client(Settings(base_url=sandbox.url), deadline_s=0.02) as client:
        answer = client.send(EXAMPLE)
    assert (answer.status, answer.left) == (None, True)  # and not given up as if it could not arrive any more
    assert "did not end its answer within 0.02 s" in answer.problem


@pytest.mark.parametrize("settings", [7, "acme", Path("toolkit.toml"), [], pd.DataFrame(), Ledger, CURRENT])
def test_a_client_wants_settings(settings: object) -> None:
    with pytest.raises(InputError, match=r"A Settings is wanted here, and .* was given: Settings\(…\)"):
        Client(settings)
