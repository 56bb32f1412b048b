"""Files that only their user can read (0600, whatever the umask), and that are complete or not there at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from toolkit.errors import InputError

_RECORD = ".unfinished"
_PART = re.compile(r"\.[0-9a-f]{16}\.part(\.[^/\\]*)?")


def is_special(path: Path) -> bool:
    """Whether a path is a link, a pipe or a device: to read it is to read something else, or to wait for ever."""
    return path.is_symlink() or (path.exists() and not (path.is_file() or path.is_dir()))


def parts_in(folder: Path) -> list[Path]:
    """Return what is in a folder, by name, without what belongs to the system that wrote it (a dot or _ in front)."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith((".", "_")))


def create(path: Path) -> None:
    """Create an empty file that only its user can read.

    Raises
    ------
    FileExistsError
        If there is anything of this name, a link included: it is not followed.
    """
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600))


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary file to write to; it takes the place of `path` when the block ends without an error.

    Raises
    ------
    InputError
        If the file cannot be written; an earlier file of that name is then unharmed.
    """
    try:
        with _part_of(path) as part:  # pandas, openpyxl and DuckDB write into it, and keep its mode
            yield part
    except OSError as error:
        why = error.strerror or error
        raise InputError(
            f"{path} cannot be written ({why}): choose another place, or free space on the disk."
        ) from error


def keep(path: Path, write: Callable[[BinaryIO], object]) -> str:
    """Call `write` with a temporary file, and move it to `path` when it is safe on the disk; returns its SHA-256.

    Raises
    ------
    OSError
        If it cannot be written; an earlier file of that name is then unharmed.
    """
    with _part_of(path) as part, part.open("r+b") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    sync_folder(path.parent)
    return digest


# A temporary file contains customers' rows, and a killed process leaves it. Its name is random, so that nobody can put
# a link or a file there beforehand; so a record beside it, whose name follows from that of the file to write, says
# which one it is. Only what a record names is removed.
@contextlib.contextmanager
def _part_of(path: Path) -> Iterator[Path]:
    record = path.with_name(f".{path.name}{_RECORD}")
    part = path.with_name(f".{secrets.token_hex(8)}.part{path.suffix}")
    _clear(record)
    create(record)
    try:
        record.write_text(part.name, encoding="utf-8")
        create(part)
        yield part
        part.replace(path)
    finally:
        with contextlib.suppress(OSError):  # its folder may be gone
            part.unlink(missing_ok=True)
            record.unlink(missing_ok=True)


def _clear(record: Path) -> None:
    """Remove a record that a killed process left, and the file that it names, which is beside it."""
    if record.is_file() and not record.is_symlink():
        name = record.read_bytes()[:300].decode(errors="replace")
        if _PART.fullmatch(name):
            record.with_name(name).unlink(missing_ok=True)
    record.unlink(missing_ok=True)


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

    No other process may be writing there. No link is followed.
    """
    for record in folder.rglob(f"*{_RECORD}"):
        with contextlib.suppress(OSError):
            _clear(record)
