"""The child process: a workbook on standard input, its sheets as Arrow on standard output.

It ends with 0, with `REFUSED` and one sentence on standard error, with 1 after an exception, or by a signal at a limit.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from io import BytesIO
from zipfile import ZipFile

import pyarrow as pa

from toolkit.spreadsheets.ods import read_ods
from toolkit.spreadsheets.sheets import PROTECTED, REFUSED, SCHEMA, Filled, RefusedError
from toolkit.spreadsheets.xls import read_xls
from toolkit.spreadsheets.xlsx import read_xlsx

try:
    import resource
except ImportError:  # Windows, which has no limits of this kind
    resource = None  # type: ignore[assignment]


def main() -> int:
    """Read the workbook under the limits that the first argument states; returns the exit code."""
    wanted, *limits = json.loads(sys.argv[1])
    _limit(*limits)
    try:
        with pa.ipc.new_stream(sys.stdout.buffer, SCHEMA) as stream:
            for sheet in _sheets(sys.stdin.buffer.read(), wanted):
                stream.write_batch(sheet.batch(), custom_metadata={"sheet": json.dumps(asdict(sheet))})
    except RefusedError as refused:
        print(refused, file=sys.stderr)
        return REFUSED
    return 0


def _limit(n_bytes: int, n_seconds: int) -> None:
    if resource is not None:
        limits = {resource.RLIMIT_AS: n_bytes, resource.RLIMIT_CPU: n_seconds, resource.RLIMIT_CORE: 0}
        for what, most in limits.items():
            with suppress(ValueError, OSError):  # a lower limit holds already, or the system knows none
                resource.setrlimit(what, (most, resource.getrlimit(what)[1]))


def _sheets(data: bytes, wanted: str | None) -> Iterator[Filled]:
    """Yield the sheets of a workbook, whose kind goes by its content and not by its name."""
    if data.startswith(b"\xd0\xcf\x11\xe0"):  # OLE
        if "EncryptedPackage".encode("utf-16-le") in data:
            raise RefusedError(PROTECTED)
        yield from read_xls(data, wanted)
        return
    with ZipFile(BytesIO(data)) as archive:
        names = archive.namelist()
        manifest = archive.read("META-INF/manifest.xml") if "META-INF/manifest.xml" in names else b""
        if b":encryption-data" in manifest or any(info.flag_bits & 1 for info in archive.infolist()):
            raise RefusedError(PROTECTED)
        if "content.xml" in names:
            yield from read_ods(archive.open("content.xml"), wanted)
        else:
            yield from read_xlsx(archive, wanted)
