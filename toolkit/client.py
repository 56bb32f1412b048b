"""One request to the vendor, and its answer as it came. The only module that imports requests.

What goes wrong on the way is an answer too (`Answer.status` None), told apart by whether the request may have
reached the vendor. Retrying, reading and recording answers is not done here.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

import requests
from pydantic import SecretStr
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError as LowerError

from toolkit.answers import Answer
from toolkit.contract import Contract
from toolkit.settings import Settings

MAX_ANSWER_BYTES = 8_000_000
"""More than any list of failed rows of one request; an answer that never ends stops here."""
_CHUNK_BYTES = 65_536
_NEVER_CONNECTED = ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError")


class TokenAuth(AuthBase):
    """Put the raw token on requests to one host; being there, it keeps `.netrc` out."""

    def __init__(self, token: SecretStr, contract: Contract) -> None:
        self._token = token
        self._contract = contract

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header."""
        request.headers.update(self._contract.header(self._token.get_secret_value()))
        return request


class Client:
    """A connection to the target that the settings name, as a context manager.

    Parameters
    ----------
    base_url
        Stands in for the settings' host, as the embedded sandbox says on which port it listens.
    timeout_s
        To connect, and to wait for the next byte, in seconds.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        base_url: str | None = None,
        timeout_s: tuple[float, float] = (10.0, 60.0),
    ) -> None:
        chosen = settings or Settings()
        self.url = chosen.url(base_url)
        self._base_url = (base_url or chosen.base_url or "").rstrip("/")
        self.host = chosen.host
        self._timeout_s = timeout_s
        self._token = chosen.token()
        self._session = requests.Session()
        self._session.auth = TokenAuth(self._token, chosen.documented)
        # A proxy for loopback would be handed the sandbox's requests; elsewhere the usual variables hold.
        self._session.trust_env = not chosen.local
        self._session.headers.update({"Content-Type": "application/json", **chosen.extra_headers})

    def send(self, body: bytes) -> Answer:
        """Post one body; redirects are not followed, so that the token stays with its host."""
        try:
            with self._session.post(
                self.url, data=body, timeout=self._timeout_s, allow_redirects=False, stream=True
            ) as response:
                text, complete, problem = _read(response)
                return Answer(
                    response.status_code,
                    text,
                    complete=complete,
                    retry_after=response.headers.get("Retry-After"),
                    problem=problem,
                )
        except requests.exceptions.SSLError as error:
            if _caused_by(error, "SSLCertVerificationError"):
                return Answer(None, left=False, problem=f"{self.host} shows a certificate that cannot be verified")
            return Answer(None, problem=f"{self.host} broke the encrypted connection")
        except requests.exceptions.ProxyError:
            return Answer(None, left=False, problem="the proxy cannot be reached or refused the connection")
        except requests.exceptions.ConnectTimeout:
            return Answer(None, left=False, problem=f"{self.host} did not answer within {self._timeout_s[0]:g} s")
        except requests.exceptions.ReadTimeout:
            return Answer(None, problem=f"{self.host} took the request and was silent for {self._timeout_s[1]:g} s")
        except requests.exceptions.ConnectionError as error:
            left = not _caused_by(error, *_NEVER_CONNECTED)
            return Answer(
                None, left=left, problem=f"{self.host} " + ("broke the connection" if left else "cannot be reached")
            )
        except requests.exceptions.RequestException as error:
            return Answer(None, problem=f"the request failed on the way ({type(error).__name__})")

    def redacted(self, text: str) -> str:
        """Return `text` with the token taken out, should an answer echo it."""
        return text.replace(self._token.get_secret_value(), "[token]")

    def ask(self, path: str, body: bytes | None = None) -> Answer:
        """Get what is at a path of the host, or post to it: for all but rows, so no trouble is told apart."""
        try:
            with self._session.request(
                "GET" if body is None else "POST",
                self._base_url + path,
                data=body,
                timeout=self._timeout_s,
                allow_redirects=False,
                stream=True,
            ) as response:
                text, complete, problem = _read(response)
                return Answer(response.status_code, text, complete=complete, problem=problem)
        except requests.exceptions.RequestException as error:
            return Answer(None, problem=f"{self.host} could not be asked ({type(error).__name__})")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()


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
        chain += [
            n
            for n in (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
            if isinstance(n, BaseException)
        ]
    return False
