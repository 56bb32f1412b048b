"""One request to the vendor, and its answer as it came. The only module that imports requests and urllib3.

What goes wrong on the way is an answer too (`Answer.status` None); `Answer.left` says whether the whole request may
have reached the vendor. Retrying, reading and recording answers is not done here.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import ssl
import threading
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from functools import cache
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Self

from pydantic import SecretStr

from toolkit.config import SANDBOX, Settings, current
from toolkit.lazy import Library
from toolkit.model import CUSTOMER
from toolkit.vendor.answers import Answer

if TYPE_CHECKING:
    import requests
    import urllib3
    import urllib3.connection
    import urllib3.exceptions
else:
    requests, urllib3 = Library("requests"), Library("urllib3")

MAX_ANSWER_BYTES = 8_000_000
"""More than any list of failed rows of one request; reading stops here, also of a compressed answer."""
_CHUNK_BYTES = 65_536
_THREAD = "toolkit request"
"""The name of the threads that carry out requests."""

_TELLTALE = re.compile(r"key(?!word)|token|secret|auth(?!or(?!i))|pass|cookie|credential|jwt", re.IGNORECASE)
_HARMLESS = re.compile(r".*[-_](?:tenant|user|type|version|scheme|method|realm)", re.IGNORECASE)
_SHORTEST = 8
"""Characters of the shortest header value that counts as a secret: a shorter one may be any word of an answer."""
_REST = r"""(?:\\u[0-9a-f]{4}|\\/|[^\s"'<>\\])*"""
"""What follows the beginning of a secret: to the end of the word, without a quote that JSON escapes."""
_WORD = re.compile(r"[A-Za-z]?[a-z]+|[0-9]+")


_PROXY_VARIABLES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
_REFUSED_BY_PROXY = re.compile(r"Tunnel connection failed: (4(?!08|25|29)[0-9]{2})")
"""What http.client says of a proxy's answer to CONNECT; of these statuses, 408, 425 and 429 may pass."""
_CA = "set REQUESTS_CA_BUNDLE to a file with the certificate of the authority that your company or the vendor uses"


@cache
def _problems() -> tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str, bool], ...]:
    """Return what an error below means, the first that fits, and whether it lasts.

    Its own words may repeat a password or the token.
    """
    errors = requests.exceptions
    proxy, unresolved = (errors.InvalidURL, errors.InvalidSchema), urllib3.exceptions.NameResolutionError
    unusable = "the proxy cannot be reached or used: check HTTPS_PROXY, ALL_PROXY and NO_PROXY"
    return (
        (ssl.SSLCertVerificationError, "the certificate of {host} cannot be verified ({why}): " + _CA, True),
        (errors.SSLError, "the encrypted connection to {host} failed", False),
        (proxy, unusable, True),
        (errors.ProxyError, unusable, False),
        (errors.ConnectTimeout, "{host} did not answer within {connect_s:g} s", False),
        (errors.ReadTimeout, "{host} took the request and was silent for {read_s:g} s", False),
        (unresolved, "the name {host} cannot be resolved: check TOOLKIT_BASE_URL and the network", True),
        (urllib3.exceptions.NewConnectionError, "{host} cannot be reached", False),
        (errors.ConnectionError, "{host} broke the connection", False),
        (errors.RequestException, "the request failed on the way ({kind})", False),
        (OSError, "the trusted certificates cannot be read: check REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE", True),
        (Exception, "the request failed on the way ({kind})", False),
    )


@cache
def _adapter() -> type[requests.adapters.HTTPAdapter]:
    """Return the adapter of requests, but with connections that look for an early answer over TLS too.

    A proxy may refuse a request by its headers, answer, and close. The write of the body fails then, although the
    answer has arrived. urllib3 reads it after the errors of a plain socket, not after those of TLS.
    """

    class Connection(urllib3.connection.HTTPSConnection):
        def send(self, data: Any) -> None:
            try:
                super().send(data)
            except OSError as error:
                # After a timeout the connection would still be used for the next request, amid the body of this one.
                if self.sock is None or isinstance(error, TimeoutError):
                    raise
                raise BrokenPipeError from error  # after which urllib3 reads

    class Adapter(requests.adapters.HTTPAdapter):
        def get_connection_with_tls_context(self, *args: Any, **more: Any) -> Any:
            pool = super().get_connection_with_tls_context(*args, **more)
            if isinstance(pool, urllib3.HTTPSConnectionPool):
                pool.ConnectionCls = Connection
            return pool

    return Adapter


def secrets_of(headers: Mapping[str, str]) -> list[SecretStr]:
    """Return the secrets among headers: the value where the name suggests a key, a token or the like, and its parts.

    A value such as ``Bearer abc-123-x`` or ``session=abc-123-x`` may be echoed without the word before it.

    Examples
    --------
    >>> found = secrets_of({"X-Api-Key": "abc-123-x", "Accept": "application/json", "X-Auth-Tenant": "acme-inc"})
    >>> [secret.get_secret_value() for secret in found]
    ['abc-123-x']
    """
    found: dict[str, None] = {}
    for name, value in headers.items():
        if _TELLTALE.search(name) and not _HARMLESS.fullmatch(name):
            # A part that is a plain word or a number may also be part of a row.
            parts = [part for part in re.split(r"[\s;,=]+", value) if not _WORD.fullmatch(part)]
            found |= dict.fromkeys(text for text in (value, *parts) if len(text) >= _SHORTEST)
    return [SecretStr(text) for text in found]


class Redaction:
    r"""Replace secrets in a text: plain, JSON-escaped, URL-encoded, and in base64; also what only begins one.

    An answer may shorten a token, or be cut within it. A beginning of eight characters or more counts.

    Examples
    --------
    >>> redact = Redaction(SecretStr("t0p/s3cret-of-acme"))
    >>> redact(rb'{"sent": "Bearer t0p\u002fs3cret-of-acme", "was": "T0P%2FS3CRET..."}')
    b'{"sent": "Bearer [token]", "was": "[token]"}'
    """

    def __init__(self, *secrets: SecretStr) -> None:
        whole_first = sorted(secrets, key=len, reverse=True)  # one may be part of another
        forms = [form for secret in whole_first for form in _forms(secret.get_secret_value())]
        whole, begun = map(_escaped, forms), (_escaped(form[:_SHORTEST]) + _REST for form in forms if _is_telling(form))
        self._pattern = re.compile("|".join([*whole, *begun]).encode() or b"(?!)", re.IGNORECASE)

    def __call__(self, text: bytes) -> bytes:
        """Return the text without the secrets."""
        return self._pattern.sub(b"[token]", text)


def _forms(secret: str) -> Iterator[str]:
    yield secret
    for encode in (b64encode, urlsafe_b64encode):
        for before in range(3):  # bytes that precede the secret in a group of three
            encoded = encode(bytes(before) + secret.encode()).rstrip(b"=").decode()
            own = encoded[(0, 2, 3)[before] : -1 if (before + len(secret)) % 3 else None]
            if len(own) >= _SHORTEST:
                yield own


def _is_telling(form: str) -> bool:
    """Whether the beginning of a secret tells something: a column's name is no secret, and answers need it."""
    begun = form[:_SHORTEST].casefold()
    return len(form) > _SHORTEST and not any(name.startswith(begun) for name in CUSTOMER.names)


def _escaped(text: str) -> str:
    """Return a pattern for a text in which each character is plain, escaped as in JSON, or encoded as in a URL."""
    return "".join(rf"(?:\\?{re.escape(c)}|\\u00{ord(c):02x}|%{ord(c):02x})" for c in text)


class _Body:
    """A request's body as a file; it knows whether all of it was handed to the system.

    requests reads a file until nothing more comes, so a second read means that the first one was sent.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.left = not content  # as in a GET
        self.moved = threading.Event()  # set once the body has left, or the request has failed
        if self.left:
            self.moved.set()

    def __len__(self) -> int:
        return len(self._content)

    def read(self, _: int = -1) -> bytes:
        """Return the whole body; when asked again, note that it has left."""
        content, self._content = self._content, b""
        if not content:
            self.left = True
            self.moved.set()
        return content


class Client:
    """A connection to the target that the settings name, as a context manager; threads may share it.

    Parameters
    ----------
    base_url
        Replaces the settings' host, for the embedded sandbox, which chooses its own port.
    timeout_s
        To connect, and to wait for the next byte, in seconds.
    deadline_s
        From the last byte of the request to the last one of the answer, however slowly its bytes come, in seconds.

    Raises
    ------
    InputError
        If `settings` is not a Settings.
    SettingsError
        If there is no token, or it cannot be used; nothing was sent.
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
        self._timeout_s, self._deadline_s = timeout_s, deadline_s
        token = chosen.token()
        # The sandbox's own token is public, and may be a word of the rows: it is not taken out of answers.
        public = chosen.local and token.get_secret_value() == SANDBOX
        self._redact = Redaction(*([] if public else [token]), *secrets_of(chosen.extra_headers))
        self._session = requests.Session()
        self._session.mount("https://", _adapter()())
        self._answered = False  # whether the host answered any request
        self._fault: Answer | None = None
        self._headers = {"Content-Type": "application/json", **chosen.extra_headers}
        self._prepared = cache(self._prepare)  # a quarter of what a request costs this process, and always the same
        self._token, self._contract = token, chosen.documented
        # A proxy must not get the sandbox's requests; for other hosts the usual variables hold.
        proxies = {"no_proxy": "127.0.0.0/8,localhost,::1"} if chosen.local else {}
        self._options: dict[str, Any] = {
            **self._session.merge_environment_settings(self.url, proxies, True, None, None),
            "stream": True,
            "timeout": timeout_s,
        }

    def send(self, body: bytes) -> Answer:
        """Post a body of rows."""
        return self._exchange("POST", self.url, body)

    def ask(self, path: str, body: bytes | None = None) -> Answer:
        """Get what is at a path of the host, or post to it: for all requests but those with rows."""
        return self._exchange("GET" if body is None else "POST", self._base_url + path, body or b"")

    def _exchange(self, method: str, url: str, content: bytes) -> Answer:
        """Send one request, and wait for its answer at most until the deadline.

        After a fault that lasts, no other is sent: a proxy may lock an account after a few wrong passwords.

        Timeouts bound the wait for the next byte, not for the last one. So a thread carries out the request, and is
        abandoned at the deadline. The deadline counts from the moment when the body has left: a request that was given
        up earlier could still arrive, and would be sent again.
        """
        if self._fault:
            return self._fault
        body, answers = _Body(content), SimpleQueue[Answer]()

        def carry_out() -> None:
            try:
                answers.put(self._answer(method, url, body))
            except Exception as error:
                problem, lasts = self._problem(error)
                lasts &= not (content and body.left)  # for a row that may have arrived is not known to be unsent
                answer = Answer(None, left=body.left and not lasts, problem=problem, lasting=lasts)
                self._fault = self._fault or (answer if lasts else None)
                answers.put(answer)
            finally:
                body.moved.set()

        threading.Thread(target=carry_out, name=_THREAD, daemon=True).start()
        body.moved.wait()
        try:
            return answers.get(timeout=self._deadline_s)
        except Empty:
            problem = f"{self.host} did not end its answer within {self._deadline_s:g} s"
            return Answer(None, left=body.left, problem=problem)

    def _answer(self, method: str, url: str, body: _Body) -> Answer:
        request = self._prepared(method, url).copy()
        if len(body):  # read like a file, which the stubs do not know; with its length, or it would go in chunks
            request.body, request.headers["Content-Length"] = body, str(len(body))  # type: ignore[assignment]
        # Not session.send: it would prepare redirects, and read their bodies, although none is followed. So the token
        # stays with its host.
        adapter = self._session.get_adapter(url)
        with adapter.send(request, **self._options) as response:
            self._answered = True
            if response.status_code < 200:  # the final answer may follow, and must not be taken for the next one's
                return Answer(response.status_code, problem="the answer is not final")
            text, problem = _read(response)
            wait = response.headers.get("Retry-After")
            return Answer(
                response.status_code,
                self._redact(text),
                left=body.left,
                retry_after=wait and self._redact(wait.encode()).decode(),
                problem=problem,
            )

    def _prepare(self, method: str, url: str) -> requests.PreparedRequest:
        return self._session.prepare_request(requests.Request(method, url, self._headers, auth=self._sign))

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the raw token on a request; as there is an `auth`, requests does not look into `.netrc`."""
        request.headers.update(self._contract.header(self._token.get_secret_value()))
        return request

    def _problem(self, error: Exception) -> tuple[str, bool]:
        """Return what an error means, and whether it lasts: the host's name or certificate may fail for a while."""
        if refused := isinstance(error, requests.exceptions.ProxyError) and _REFUSED_BY_PROXY.search(str(error)):
            variable = next((name for name in _PROXY_VARIABLES if os.environ.get(name)), "the system's settings")
            cure = f"have whoever runs it allow {self.host}, or list the host in NO_PROXY if it needs no proxy"
            if refused[1] in ("401", "407"):  # tinyproxy says 401
                cure = "put a valid user and password there, as in http://USER:PASSWORD@HOST:PORT"
            return f"the proxy named in {variable} refused the connection (status {refused[1]}): {cure}", True
        below = list(_below(error))
        problem, lasts = next(
            (text, lasts) for kind, text, lasts in _problems() if any(isinstance(e, kind) for e in below)
        )
        why = next((e.verify_message for e in below if hasattr(e, "verify_message")), "no reason given")
        connect_s, read_s = self._timeout_s
        lasts = lasts and not self._answered and all(getattr(e, "errno", 0) != socket.EAI_AGAIN for e in below)
        kind = type(error).__name__
        return problem.format(host=self.host, connect_s=connect_s, read_s=read_s, kind=kind, why=why), lasts

    def __enter__(self) -> Self:
        # urllib3 logs headers that it cannot parse, and a vendor may echo the token in them.
        self._unlogged = lambda record: record.threadName != _THREAD
        logging.getLogger("urllib3.connection").addFilter(self._unlogged)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("urllib3.connection").removeFilter(self._unlogged)
        self._session.close()

    def __reduce__(self) -> str:
        raise TypeError("A Client holds the token, so it cannot be pickled or copied: make a new one.")


def _read(response: requests.Response) -> tuple[bytes, str]:
    """Return the body, as far as it came, and what is wrong with it."""
    read = bytearray()
    try:
        for chunk in response.iter_content(_CHUNK_BYTES):
            read += chunk
            if len(read) > MAX_ANSWER_BYTES:
                return bytes(read[:MAX_ANSWER_BYTES]), "the answer does not end"
    except Exception:  # of several libraries; the part that came may still say something
        return bytes(read), "the answer was cut short"
    return bytes(read), ""


def _below(error: object) -> Iterator[BaseException]:
    """Yield an error and the errors that it wraps: requests wraps urllib3's, which wrap the system's."""
    while isinstance(error, BaseException):
        yield error
        reason = getattr(error, "reason", None)
        inner = reason if isinstance(reason, BaseException) else next(iter(error.args), None)
        error = inner if isinstance(inner, BaseException) else error.__cause__
