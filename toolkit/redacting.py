"""Secrets taken out of what others say: however their signs are spelled, in base64, and where they are cut off."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from html.entities import html5

from pydantic import SecretStr

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
