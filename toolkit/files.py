"""Files for their user's eyes alone (0600, whatever the umask), whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from toolkit.errors import InputError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a name to write to, which takes the place of `path` once all is written.

    It is for its user's eyes alone (0600), whatever stood there before.

    Raises
    ------
    InputError
        If the file cannot be written; an earlier file of that name is then unharmed.
    """
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        part.unlink(missing_ok=True)  # left behind by a crash
        part.touch(mode=0o600)  # pandas, openpyxl and DuckDB write into it, and keep its mode
        yield part
        part.replace(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror or error}): choose another place.") from error
    finally:
        part.unlink(missing_ok=True)


def keep(path: Path, write: Callable[[BinaryIO], object]) -> str:
    """Have `write` fill a private file, and put it in its place once it is on the disk; returns its SHA-256.

    Raises
    ------
    OSError
        If it cannot be written; an earlier file of that name is then unharmed.
    """
    part = path.with_suffix(".part")
    try:
        with open(part, "w+b", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        part.replace(path)
    except BaseException:  # it holds customers' rows, and the next try has another name
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    with contextlib.suppress(PermissionError):  # Windows opens no folder, and needs no such push
        place = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(place)
        finally:
            os.close(place)
    return digest


def clear_unfinished(folder: Path) -> None:
    """Remove what killed processes left half written below a folder: customers' rows. Nobody may be writing there."""
    for part in folder.rglob("*.part"):
        with contextlib.suppress(OSError):
            part.unlink()
