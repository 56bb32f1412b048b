"""One request to the vendor, and its answer as it came. The only module that imports requests.

What goes wrong on the way is an answer too (`Answer.status` None), told apart by whether the whole request may have
reached the vendor. Retrying, reading and recording answers is not done here.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from html.entities import html5
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import requests
from pydantic import SecretStr
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.utils import select_proxy
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError as LowerError

from toolkit.config import SANDBOX, Settings, current
from toolkit.errors import SettingsError
from toolkit.model import Contract
from toolkit.vendor.answers import Answer


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


MARK = b"[token]"
_LEAST = 4
"""Signs of the secret at a text's end that are taken for its beginning."""
_ESCAPES = rb"(?:\\|%(?:25){0,4}5c){0,8}+"
"""What stands before a sign in a text within a text."""
_LONGEST = 40
"""Bytes that spell one sign at most: a text may end within them."""
_TELLTALE = re.compile(r"key(?!word)|token|secret|auth(?!or(?!i))|pass|cookie|credential|jwt", re.IGNORECASE)
_TELLS_NONE = re.compile(r".*[-_](?:tenant|user|type|version|scheme|method|realm)", re.IGNORECASE)
_LEAST_OF_HEADER = 8
"""Signs of a header's value that is taken for a secret: a shorter one, such as ``1``, may be any word of an answer."""
_WORD = re.compile(r"[A-Za-z]?[a-z]+|[0-9]+")


class Unpickled:
    """What holds a secret, and is to stand in no file and in no other process."""

    def __reduce__(self) -> str:
        raise TypeError(f"A {type(self).__name__} holds the token, so it is not pickled: make a new one.")


def secrets_of(headers: Mapping[str, str]) -> list[SecretStr]:
    """Return what is secret of headers: the value where the name tells of a key, a token or the like, and its parts.

    A value such as ``Bearer abc-123-x`` or ``session=abc-123-x`` may be echoed without the word before it.

    Examples
    --------
    >>> found = secrets_of({"X-Api-Key": "abc-123-x", "Accept": "application/json", "X-Auth-Tenant": "acme-inc"})
    >>> [secret.get_secret_value() for secret in found]
    ['abc-123-x']
    """
    found: dict[str, None] = {}
    for name, value in headers.items():
        if _TELLTALE.search(name) and not _TELLS_NONE.fullmatch(name):
            # A part that is a word or a number may as well be one of a row's.
            parts = [part for part in re.split(r"[\s;,=]+", value) if not _WORD.fullmatch(part)]
            found |= dict.fromkeys(text for text in (value, *parts) if len(text) >= _LEAST_OF_HEADER)
    return [SecretStr(text) for text in found]


class Redaction(Unpickled):
    r"""Take secrets out of a text; shown itself, it tells nothing of them.

    Examples
    --------
    >>> redact = Redaction(SecretStr("t0p/s3cret"))
    >>> redact(rb'{"sent": "Bearer t0p\u002fs3cret", "was": "T0P%252FS3CRET"}')
    b'{"sent": "Bearer [token]", "was": "[token]"}'
    >>> redact(b"unknown token: t0p/s3c")
    b'unknown token: [token]'
    """

    def __init__(self, *secrets: SecretStr) -> None:
        whole_first = sorted(secrets, key=len, reverse=True)  # of two, one may be part of the other
        self._ways = [_Way(way) for secret in whole_first for way in (_spelled_out(secret), *_in_base64(secret))]
        self._whole = re.compile(b"|".join(way.whole for way in self._ways), re.IGNORECASE)

    def __call__(self, text: bytes) -> bytes:
        """Return the text without the secrets."""
        text = self._whole.sub(MARK, text)
        encoding = json.detect_encoding(text)
        if not encoding.startswith("utf-8"):  # where each sign takes several bytes
            text = self._whole.sub(MARK, _as_utf8(text, encoding))
        # Its beginning too, where the text was cut within it.
        starts = [start for way in self._ways if (start := way.cut_at(text)) is not None]
        return text[: min(starts)] + MARK if starts else text


class _Way:
    """One way to write the secret: for each of its signs some patterns, of which one has to match."""

    def __init__(self, signs: list[list[bytes]]) -> None:
        self._signs = [[re.compile(pattern, re.IGNORECASE) for pattern in sign] for sign in signs]
        each = [b"(?:" + b"|".join(sign) + b")" for sign in signs]
        self.whole = b"".join(each)
        self._head = re.compile(b"(?=" + b"".join(each[:_LEAST]) + b")", re.IGNORECASE)

    def cut_at(self, text: bytes) -> int | None:
        """Return where it begins, if the text ends before it does."""
        if len(self._signs) <= _LEAST:
            return None
        for head in self._head.finditer(text, max(0, len(text) - len(self._signs) * _LONGEST)):
            ends = {head.start()}
            for sign in self._signs:
                found = (pattern.match(text, end) for pattern in sign for end in ends)
                further = {match.end() for match in found if match}
                # It may end within what spells the next sign.
                if len(text) in further or any(
                    end >= len(text) - _LONGEST and text[end : end + 1] in b"\\%&" for end in ends - further
                ):
                    return head.start()
                if not further:
                    break
                ends = further
        return None


def _spelled_out(secret: SecretStr) -> list[list[bytes]]:
    return [_spelled(sign) for sign in re.sub(r"\\+", r"\\", secret.get_secret_value())]


def _spelled(sign: str) -> list[bytes]:
    """Return patterns of a sign as it is, and as JSON, a URL or HTML spell it, also one within the other."""
    code = f"{ord(sign):02x}".encode()
    names = [name.encode() for name, named in html5.items() if named == sign and name.endswith(";")]
    entities = b"|".join([b"#0{0,8}%d;" % ord(sign), b"#x0{0,8}%s;" % code, *names])
    spelled = b"%(?:25){0,4}" + code + b"|&(?:amp;){0,4}(?:" + entities + b")"
    if sign == "\\":  # several count as one, and all are taken: no text can have the pattern try each division of them
        return [rb"(?:\\{0,8}u005c|\\|" + spelled + b"){1,32}+"]
    plain = re.escape(sign.encode())
    if sign.isalnum():
        return [plain, spelled, rb"\\{0,8}+[ux](?:00)?" + code]
    return [_ESCAPES + plain, _ESCAPES + b"(?:" + spelled + b"|[ux](?:00)?" + code + b")"]


def _in_base64(secret: SecretStr) -> list[list[list[bytes]]]:
    """Return patterns of what stands in a base64 text, wherever in it the secret begins."""
    text, ways = secret.get_secret_value().encode(), []
    for before in range(3):
        whole = b64encode(bytes(before) + text).rstrip(b"=")
        sure = whole[(0, 2, 3)[before] : -1 if (before + len(text)) % 3 else None].decode()
        if len(sure) >= 2 * _LEAST:
            other = {"+": b"-", "/": b"_"}  # as URLs have it
            ways.append([[*_spelled(s), other[s]] if s in other else [s.encode()] for s in sure])
    return ways


def _as_utf8(text: bytes, encoding: str) -> bytes:
    try:
        return text.decode(encoding, "surrogatepass").encode("utf-8", "surrogatepass")
    except UnicodeError:  # what could not be read as it was is not to become readable
        return text.decode(encoding, "replace").encode("utf-8", "replace") + b" (broken " + encoding.encode() + b")"


MAX_ANSWER_BYTES = 8_000_000
"""More than any list of failed rows of one request; an answer that never ends stops here, unpacked."""
_CHUNK_BYTES = 65_536


class TokenAuth(Unpickled, AuthBase):
    """Put the raw token on requests to one host; being there, it keeps `.netrc` out."""

    def __init__(self, token: SecretStr, contract: Contract) -> None:
        self._token = token
        self._contract = contract

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header."""
        request.headers.update(self._contract.header(self._token.get_secret_value()))
        return request


class Client(Unpickled):
    """A connection to the target that the settings name, as a context manager; threads may share it.

    Parameters
    ----------
    base_url
        Stands in for the settings' host, as the embedded sandbox says on which port it listens.
    timeout_s
        To connect, and to wait for the next byte, in seconds.
    deadline_s
        For a whole answer, however its bytes trickle in, in seconds.

    Raises
    ------
    SettingsError
        The token cannot be used, or the proxy or the certificates that the environment names; nothing was sent.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        base_url: str | None = None,
        timeout_s: tuple[float, float] = (10.0, 60.0),
        deadline_s: float = 120.0,
    ) -> None:
        chosen = current(settings)
        self.url = chosen.url(base_url)
        self._base_url = (base_url or chosen.base_url or "").rstrip("/")
        self.host = chosen.host
        self._timeout_s, self._deadline = timeout_s, Deadline(deadline_s)
        token = chosen.token()
        # The sandbox's own token is public, and may be a word of the rows; it is no secret to take out of answers.
        public = chosen.local and token.get_secret_value() == SANDBOX
        secrets = [*([] if public else [token]), *secrets_of(chosen.extra_headers)]
        self._redact: Callable[[bytes], bytes] = Redaction(*secrets) if secrets else bytes
        self._session = _Session()
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, _Adapter())
        self._headers = {"Content-Type": "application/json", **chosen.extra_headers}
        self._auth = TokenAuth(token, chosen.documented)
        self._request = self._session.prepare_request(
            requests.Request("POST", self.url, self._headers, auth=self._auth)
        )
        # A proxy for loopback would be handed the sandbox's requests; elsewhere the usual variables hold.
        proxies = {"no_proxy": "127.0.0.1,localhost,::1"} if chosen.local else {}
        self._options: dict[str, Any] = {
            **self._session.merge_environment_settings(self.url, proxies, True, None, None),
            "stream": True,
        }
        _require_certificates(self.url, self._options["verify"])
        _require_proxy(self.url, self._options["proxies"])

    def send(self, body: bytes) -> Answer:
        """Post one body; redirects are not followed, so that the token stays with its host."""
        exchange = Exchange(body, self._deadline)
        try:
            return self._sent(self._request.copy(), exchange)
        except requests.exceptions.SSLError as error:
            if _caused_by(error, "SSLCertVerificationError"):
                return Answer(None, left=False, problem=f"{self.host} shows a certificate that cannot be verified")
            problem = f"{self.host} broke the encrypted connection"
        except requests.exceptions.ProxyError:
            problem = "the proxy cannot be reached or refused the connection"
        except requests.exceptions.ConnectTimeout:
            problem = f"{self.host} did not answer within {self._timeout_s[0]:g} s"
        except requests.exceptions.ReadTimeout:
            problem = f"{self.host} took the request and was silent for {self._timeout_s[1]:g} s"
        except requests.exceptions.ConnectionError as error:
            if _caused_by(error, "NameResolutionError"):
                problem = f"{self.host} is a name that nobody knows: check TOOLKIT_BASE_URL and the network"
            else:
                reached = not _caused_by(error, "NewConnectionError")
                problem = f"{self.host} " + ("broke the connection" if reached else "cannot be reached")
        except Exception as error:  # any at all: it is for the journal, and the frames below hold the token
            problem = f"the request failed on the way ({type(error).__name__})"
        except BaseException as error:  # an interrupt: likewise
            raise error.with_traceback(None) from None
        finally:
            exchange.close()
        return Answer(None, left=exchange.left, problem=self._overdue if exchange.overdue else problem)

    def _sent(self, request: requests.PreparedRequest, exchange: Exchange) -> Answer:
        # It is read as a file is; the stubs know bytes alone. Its length is said, or it would go in chunks.
        request.body, request.headers["Content-Length"] = exchange, str(len(exchange))  # type: ignore[assignment]
        with self._session.send(request, timeout=self._timeout_s, allow_redirects=False, **self._options) as response:
            if response.status_code < 200:  # the real answer may follow, and must not be taken for the next one's
                response.raw.close()
                return Answer(response.status_code, complete=False, problem="the answer is none yet")
            text, complete, problem = _read(response)
            if exchange.overdue:
                complete, problem = False, self._overdue
            wait = response.headers.get("Retry-After")
            return Answer(
                response.status_code,
                self._redact(text),
                complete=complete,
                left=exchange.left,
                retry_after=wait and self._redact(wait.encode()).decode(),
                problem=problem,
            )

    @property
    def _overdue(self) -> str:
        return f"{self.host} did not end its answer within {self._deadline.seconds:g} s"

    def ask(self, path: str, body: bytes | None = None) -> Answer:
        """Get what is at a path of the host, or post to it: for all but rows, so no trouble is told apart."""
        method = "GET" if body is None else "POST"
        request = self._session.prepare_request(
            requests.Request(method, self._base_url + path, self._headers, data=body, auth=self._auth)
        )
        exchange = Exchange(body or b"", self._deadline)
        try:
            return self._sent(request, exchange)
        except Exception as error:
            said = f"{self.host} could not be asked ({type(error).__name__})"
            return Answer(None, problem=self._overdue if exchange.overdue else said)
        except BaseException as error:  # as above
            raise error.with_traceback(None) from None
        finally:
            exchange.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._deadline.close()
        self._session.close()


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Look for no redirect: else it would be prepared, though not followed, and its body read to any length."""


class _Adapter(HTTPAdapter):
    """Connections that end in time, of the same pools."""

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        super().init_poolmanager(*args, **more)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **more: Any) -> Any:
        manager = super().proxy_manager_for(*args, **more)
        manager.pool_classes_by_scheme = _POOLS
        return manager


class _PoolHTTP(HTTPConnectionPool):
    ConnectionCls = WatchedHTTP


class _PoolHTTPS(HTTPSConnectionPool):
    ConnectionCls = WatchedHTTPS


_POOLS = {"http": _PoolHTTP, "https": _PoolHTTPS}


def _require_certificates(url: str, verify: bool | str) -> None:
    """Read the file that the environment names: at a request, one that is missing would look like a host's fault."""
    if not isinstance(verify, str) or os.path.isdir(verify) or not url.startswith("https:"):
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(verify)
    except OSError as error:
        why = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        variable = "REQUESTS_CA_BUNDLE" if os.environ.get("REQUESTS_CA_BUNDLE") else "CURL_CA_BUNDLE"
        raise SettingsError(
            f"{variable} names {verify} as the file of trusted certificates, and it cannot be used ({why}): correct "
            "the path, or unset the variable. Nothing was sent."
        ) from None


def _require_proxy(url: str, proxies: dict[str, str]) -> None:
    """Make, without connecting, what goes through the proxy of the environment: its address may be none."""
    proxy = select_proxy(url, proxies)
    if not proxy:
        return
    why = ""
    if proxy.lower().startswith("socks"):
        why = "it is a SOCKS proxy, and the toolkit goes through http and https proxies only"
    else:
        try:
            _Adapter().get_connection_with_tls_context(requests.Request("POST", url).prepare(), True, proxies)
        except Exception:  # of several libraries, and it may repeat the proxy's password
            why = "it is no address such as http://proxy.example:8080"
    if why:
        scheme = urlsplit(url).scheme
        # In the order in which they count; on some systems a proxy may be set elsewhere.
        spelled = [v for name in (f"{scheme}_proxy", "all_proxy") for v in (name, name.upper())]
        where = next((v for v in spelled if os.environ.get(v) == proxy), "the system's settings")
        raise SettingsError(
            f"The proxy in {where} cannot be used: {why}. Correct it there, take it out, or list the host in NO_PROXY. "
            "Nothing was sent."
        )


def _read(response: requests.Response) -> tuple[bytes, bool, str]:
    read = bytearray()
    try:
        for chunk in response.iter_content(_CHUNK_BYTES):
            read += chunk
            if len(read) > MAX_ANSWER_BYTES:
                return bytes(read[:MAX_ANSWER_BYTES]), False, "the answer does not end"
    except (requests.exceptions.RequestException, LowerError, OSError):
        return bytes(read), False, "the answer was cut short"
    return bytes(read), True, ""


def _caused_by(error: BaseException, *names: str) -> bool:
    """Tell whether an error of one of these types is in the chain of causes."""
    seen: set[int] = set()
    chain: list[BaseException] = [error]
    while chain:
        one = chain.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if type(one).__name__ in names:
            return True
        chain += [n for n in (one.__cause__, one.__context__, *one.args) if isinstance(n, BaseException)]
    return False
