"""Files that only their user can read (0600, whatever the umask), and that are complete or not there at all."""

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
    """Give a temporary file to write to; it takes the place of `path` when the block ends without an error.

    Raises
    ------
    InputError
        If the file cannot be written; an earlier file of that name is then unharmed.
    """
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        part.unlink(missing_ok=True)  # a crash may have left one, with another mode
        part.touch(mode=0o600)  # pandas, openpyxl and DuckDB write into it, and keep its mode
        yield part
        part.replace(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror or error}): choose another place.") from error
    finally:
        with contextlib.suppress(OSError):  # its folder may be no folder
            part.unlink(missing_ok=True)


def keep(path: Path, write: Callable[[BinaryIO], object]) -> str:
    """Call `write` with a temporary file, and move it to `path` when it is safe on the disk; returns its SHA-256.

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
    except BaseException:  # it contains customers' rows, and the next attempt uses another name
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    sync_folder(path.parent)
    return digest


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk: a new or renamed file lasts only then."""
    if os.name == "nt":  # Windows opens no folder, and needs no such push
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def clear_unfinished(folder: Path) -> None:
    """Delete what killed processes left half written below a folder, since it contains customers' rows.

    No other process may be writing there.
    """
    for part in folder.rglob("*.part"):
        with contextlib.suppress(OSError):
            part.unlink()
