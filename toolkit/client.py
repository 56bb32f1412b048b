"""One request to the vendor, and its answer as it came. The only module that imports requests.

What goes wrong on the way is an answer too (`Answer.status` None), told apart by whether the whole request may have
reached the vendor. Retrying, reading and recording answers is not done here.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import requests
from pydantic import SecretStr
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.utils import select_proxy
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError as LowerError

from toolkit.answers import Answer
from toolkit.contract import Contract
from toolkit.errors import SettingsError
from toolkit.exchange import Deadline, Exchange, WatchedHTTP, WatchedHTTPS
from toolkit.redacting import Redaction, Unpickled, secrets_of
from toolkit.settings import SANDBOX, Settings

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
        chosen = settings or Settings()
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
