"""A secret taken out of what others say: however its signs are spelled, in base64, and where it is cut off."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from html.entities import html5

from pydantic import SecretStr

MARK = b"[token]"
_LEAST = 4
"""Signs of the secret at a text's end that are taken for its beginning."""
_ESCAPES = rb"(?:\\|%(?:25){0,4}5c){0,8}+"
"""What stands before a sign in a text within a text."""
_LONGEST = 40
"""Bytes that spell one sign at most: a text may end within them."""


class Unpickled:
    """What holds a secret, and is to stand in no file and in no other process."""

    def __reduce__(self) -> str:
        raise TypeError(f"A {type(self).__name__} holds the token, so it is not pickled: make a new one.")


class Redaction(Unpickled):
    r"""Take a secret out of a text; shown itself, it tells nothing of it.

    Examples
    --------
    >>> redact = Redaction(SecretStr("t0p/s3cret"))
    >>> redact(rb'{"sent": "Bearer t0p\u002fs3cret", "was": "T0P%252FS3CRET"}')
    b'{"sent": "Bearer [token]", "was": "[token]"}'
    >>> redact(b"unknown token: t0p/s3c")
    b'unknown token: [token]'
    """

    def __init__(self, secret: SecretStr) -> None:
        plain = [_spelled(sign) for sign in re.sub(r"\\+", r"\\", secret.get_secret_value())]
        self._signs = [re.compile(sign, re.IGNORECASE) for sign in plain]
        self._whole = re.compile(b"|".join([b"".join(plain), *_in_base64(secret)]), re.IGNORECASE)

    def __call__(self, text: bytes) -> bytes:
        """Return the text without the secret."""
        text = self._whole.sub(MARK, text)
        encoding = json.detect_encoding(text)
        if not encoding.startswith("utf-8"):  # where each sign takes several bytes
            text = self._whole.sub(MARK, _as_utf8(text, encoding))
        return self._without_start(text)

    def _without_start(self, text: bytes) -> bytes:
        """Take out the secret's beginning too, where the text was cut within it."""
        for start in range(max(0, len(text) - len(self._signs) * _LONGEST), len(text)):
            end = start
            for n, sign in enumerate(self._signs):
                found = sign.match(text, end)
                if found is None:
                    if n >= _LEAST and len(text) - end < _LONGEST and text[end : end + 1] in b"\\%&":
                        return text[:start] + MARK
                    break
                end = found.end()
                if end == len(text) and n + 1 >= _LEAST:
                    return text[:start] + MARK
        return text


def _spelled(sign: str) -> bytes:
    """Return a pattern of a sign as it is, and as JSON, a URL or HTML spell it, also one within the other."""
    code = f"{ord(sign):02x}".encode()
    names = [name.encode() for name, named in html5.items() if named == sign and name.endswith(";")]
    entities = b"|".join([b"#0{0,8}%d;" % ord(sign), b"#x0{0,8}%s;" % code, *names])
    spelled = b"%(?:25){0,4}" + code + b"|&(?:amp;){0,4}(?:" + entities + b")"
    if sign == "\\":  # several count as one, and all are taken: no text can have the pattern try each division of them
        return rb"(?:\\{0,8}u005c|\\|" + spelled + b"){1,32}+"
    plain = re.escape(sign.encode())
    if sign.isalnum():
        return b"(?:" + plain + b"|" + spelled + rb"|\\{0,8}+[ux](?:00)?" + code + b")"
    return _ESCAPES + b"(?:" + plain + b"|" + spelled + b"|[ux](?:00)?" + code + b")"


def _in_base64(secret: SecretStr) -> list[bytes]:
    """Return patterns of what stands in a base64 text, wherever in it the secret begins."""
    text, patterns = secret.get_secret_value().encode(), []
    for before in range(3):
        whole = b64encode(bytes(before) + text).rstrip(b"=")
        sure = whole[(0, 2, 3)[before] : -1 if (before + len(text)) % 3 else None].decode()
        if len(sure) >= 2 * _LEAST:
            other = {"+": b"-", "/": b"_"}  # as URLs have it
            patterns.append(
                b"".join(b"(?:" + _spelled(s) + b"|" + other[s] + b")" if s in other else s.encode() for s in sure)
            )
    return patterns


def _as_utf8(text: bytes, encoding: str) -> bytes:
    try:
        return text.decode(encoding, "surrogatepass").encode("utf-8", "surrogatepass")
    except UnicodeError:  # what could not be read as it was is not to become readable
        return text.decode(encoding, "replace").encode("utf-8", "replace") + b" (broken " + encoding.encode() + b")"
