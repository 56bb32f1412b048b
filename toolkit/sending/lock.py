"""The right to push to a target: one process at a time; the message to the next one names it.

The operating system's lock alone decides. It ends with the process that holds it, however that ends, so a crash, or a
laptop that was renamed, leaves nothing to clean up. A lock that is only a marker file would outlive a kill: where
the file system has no real locks, that is an error. The file beside the lock only names the holder for the message to
the next process. This is the only module that imports filelock.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from toolkit.errors import JournalError, OpenPushError
from toolkit.files import clear_unfinished, keep
from toolkit.tables import author


def locked(path: Path, *, wait_s: float) -> contextlib.AbstractContextManager[object]:
    """Return what holds the lock of a file, again and again; the file is made if it is missing, for this user only.

    Entering it raises a TimeoutError if another process held it for `wait_s` seconds, and an OSError if the file cannot
    be locked.
    """
    return FileLock(path, timeout=wait_s, mode=0o600, fallback_to_soft=False)


@contextlib.contextmanager
def only_pusher(
    folder: Path, target: str, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Iterator[None]:
    """Hold the right to push to a target; first remove what a killed process left half written there.

    Raises
    ------
    OpenPushError
        If another process is pushing to the target.
    JournalError
        If the folder cannot be used.
    """
    holder = folder / "pusher.json"
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(folder / "pusher.lock", wait_s=0))
            me = {"process": os.getpid(), "host": socket.gethostname(), "user": author()}
            text = json.dumps({**me, "since": clock().isoformat(timespec="seconds")}).encode()
            keep(holder, lambda file: file.write(text))
            clear_unfinished(folder)
        except TimeoutError:
            raise OpenPushError(
                f"Another process is pushing to target {target} right now{_name_of(holder)}: wait until it ends."
            ) from None
        except OSError as error:
            raise JournalError(
                f"The folder {folder} cannot be used ({error}): free disk space, fix the folder's permissions, or set "
                "TOOLKIT_HOME to a folder on a local disk. Nothing was sent."
            ) from error
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # the next process replaces it
                holder.unlink()


def _name_of(holder: Path) -> str:
    try:
        who = json.loads(holder.read_bytes())
        return f" (process {who['process']} of {who['user']} on {who['host']} since {who['since']})"
    except (OSError, ValueError, TypeError, KeyError):  # it was removed meanwhile, or is not readable
        return ""
