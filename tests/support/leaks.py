"""Looking for a secret in texts and in the files below a folder, whatever their kind, in each form that we redact."""

from __future__ import annotations

import json
import sqlite3
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote
from zipfile import ZipFile, is_zipfile

import pyarrow.parquet as pq

WINDOW = 9
"""This many characters of the secret in a row are a leak: a part of it is too much."""


def spellings(secret: str) -> list[str]:
    """The secret plain, JSON-escaped, URL-encoded and in base64."""
    return [
        secret,
        secret.upper(),
        secret.lower(),
        json.dumps(secret)[1:-1],
        quote(secret),
        quote(secret, safe=""),
        "".join(f"\\u{ord(c):04x}" for c in secret),
        "".join(f"%{ord(c):02X}" for c in secret),
        *(b64encode(before + secret.encode() + b":rest").decode() for before in (b"", b"u", b"u:")),
        urlsafe_b64encode(secret.encode()).decode(),
        quote(b64encode(secret.encode()).decode(), safe=""),
    ]


def needles(secret: str) -> set[bytes]:
    """Every piece of every form, in lower case; for UTF-16 too."""
    found = set()
    for n, text in enumerate(spellings(secret)):
        # The text around it in base64 is not secret.
        lowered = text.lower()[4:-8] if n >= len(spellings(secret)) - 5 else text.lower()
        wide = WINDOW * max(1, len(lowered) // len(secret))
        for start in range(len(lowered) - wide + 1):
            piece = lowered[start : start + wide]
            found |= {piece.encode(), piece.encode("utf-16-le")}
    assert len(found) > 100
    return found


class Search:
    """Finds texts that contain a piece of the secret."""

    def __init__(self, secret: str) -> None:
        self._needles = needles(secret)
        self.n_texts = 0

    def __call__(self, text: str | bytes) -> bool:
        self.n_texts += 1
        content = (text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text).lower()
        return any(needle in content for needle in self._needles)

    def files(self, folder: Path) -> list[str]:
        """The places below a folder where it is."""
        return [
            f"{path.relative_to(folder)}: {place}"
            for path in sorted(folder.rglob("*"))
            for place, content in [("its name", path.name.encode()), *(inside(path) if path.is_file() else [])]
            if self(content)
        ]


def inside(path: Path) -> Iterator[tuple[str, bytes]]:
    """The content of a file: its bytes, and what they unpack to."""
    content = path.read_bytes()
    yield "raw", content
    if is_zipfile(path):
        with ZipFile(path) as archive:
            for name in archive.namelist():
                yield name, archive.read(name)
    if content.startswith(b"SQLite format 3"):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                for row in db.execute(f'SELECT * FROM "{table}"'):
                    yield f"table {table}", repr(row).encode() + "\n".join(str(cell) for cell in row).encode()
    if content.startswith(b"PAR1"):
        yield "rows", pq.read_table(path).to_pandas().to_csv().encode()
        yield "metadata", repr(pq.read_metadata(path).metadata).encode()
