"""The right to push to a target: one process at a time, and the next one is told who has it.

The right itself is a lock of the operating system, which ends with the process that holds it, however it ends. It
tells nothing of other machines that share the folder, so a file beside it names the holder: left behind by a process
of this machine it is taken over, for that process is dead; one of another machine is for a person to judge, by the
file's time, which the holder renews.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from toolkit.errors import JournalError, OpenPushError
from toolkit.files import clear_unfinished, keep
from toolkit.tables import author

BEAT_S = 5.0
"""Seconds between two signs of life of a process that pushes."""


def now() -> datetime:
    """Return the present moment, UTC."""
    return datetime.now(UTC)


@contextlib.contextmanager
def only_pusher(
    folder: Path, target: str, *, clock: Callable[[], datetime] = now, beat_s: float = BEAT_S
) -> Iterator[None]:
    """Hold the right to push to a target; what a killed process left half written there goes first.

    Raises
    ------
    OpenPushError
        If another process is pushing to the target right now, or one of another machine may be.
    JournalError
        If the folder cannot be used.
    """
    lock, holder = folder / "pusher.lock", folder / "pusher.json"
    with contextlib.ExitStack() as stack:
        try:
            lock.touch(mode=0o600)
            held = sqlite3.connect(lock, timeout=0, isolation_level=None)
            stack.callback(held.close)
            held.execute("BEGIN EXCLUSIVE")
            _refuse_another_machine(holder, target)
            me = {"process": os.getpid(), "host": socket.gethostname(), "user": author()}
            said = json.dumps({**me, "since": clock().isoformat(timespec="seconds")}).encode()
            keep(holder, lambda file: file.write(said))
            clear_unfinished(folder)
        except (sqlite3.Error, OSError) as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
                raise OpenPushError(
                    f"Another process is pushing to target {target} right now{_named(holder)}: wait until it ends."
                ) from None
            raise JournalError(
                f"The folder {folder} cannot be used ({error}): mend the folder's permissions, or remove pusher.lock "
                "and pusher.json there. Nothing was sent."
            ) from error
        stack.enter_context(_gone_after(holder))
        stack.enter_context(_beating(holder, beat_s))
        yield


@contextlib.contextmanager
def passing_folder(home: Path, prefix: str, target: str, *, clock: Callable[[], datetime] = now) -> Iterator[Path]:
    """Give a folder that is gone afterwards; what killed processes left behind goes first."""
    clear_left_behind(home, prefix)
    with (
        tempfile.TemporaryDirectory(dir=home, prefix=prefix) as folder,
        only_pusher(Path(folder), target, clock=clock),
    ):
        try:
            yield Path(folder)
        finally:
            _empty(Path(folder))


def clear_left_behind(home: Path, prefix: str) -> None:
    """Remove the passing folders of processes that are gone; those of another machine may be in use."""
    # The holder's file is written under the lock, so a folder that has one and can be locked is nobody's.
    for holder in home.glob(f"{prefix}*/pusher.json"):
        with contextlib.suppress(OpenPushError, JournalError), only_pusher(holder.parent, holder.parent.name):
            _empty(holder.parent)
            shutil.rmtree(holder.parent, ignore_errors=True)


def _empty(folder: Path) -> None:
    """Remove the customers' rows first: a folder whose holder's file is gone is not found any more."""
    with contextlib.suppress(OSError):  # what stays goes with the folder
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif not path.name.startswith("pusher."):
                path.unlink()


def _refuse_another_machine(holder: Path, target: str) -> None:
    if holder.exists() and _read(holder.read_bytes()).get("host") != socket.gethostname():
        beat = datetime.fromtimestamp(holder.stat().st_mtime, UTC)
        raise OpenPushError(
            f"A process of another machine may be pushing to target {target}{_named(holder)}; its last sign of life "
            f"was at {beat:%Y-%m-%d %H:%M:%S}Z. Wait until it ends. If it ended without notice, remove {holder}, and "
            "resume here or there."
        )


def _read(text: bytes) -> dict[str, Any]:
    try:
        who = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return who if isinstance(who, dict) else {}


def _named(holder: Path) -> str:
    try:
        who = _read(holder.read_bytes())
    except OSError:  # gone between two looks
        return ""
    if not who.keys() >= {"process", "host"}:
        return ""
    since = f" since {who['since']}" if "since" in who else ""
    return f" (process {who['process']} of {who.get('user', 'an analyst')} on {who['host']}{since})"


@contextlib.contextmanager
def _gone_after(holder: Path) -> Iterator[None]:
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # left behind, it is taken over
            holder.unlink()


@contextlib.contextmanager
def _beating(holder: Path, beat_s: float) -> Iterator[None]:
    done = threading.Event()

    def beat() -> None:
        while not done.wait(beat_s):
            with contextlib.suppress(OSError):
                os.utime(holder)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
