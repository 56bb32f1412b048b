"""connected(): a client for the target that the settings name; for the embedded sandbox, one that was just started.

And pace_folder(): where all who send to a target keep to one rate.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from toolkit.config import SANDBOX, Settings
from toolkit.errors import JournalError
from toolkit.vendor.client import Client
from toolkit.vendor.sandbox import Sandbox


@contextlib.contextmanager
def connected(settings: Settings) -> Iterator[Client]:
    """Open a connection, with the embedded sandbox behind it where no host is set."""
    if not settings.embedded:
        with Client(settings) as client:
            yield client
        return
    with (
        Sandbox(settings.folder("sandbox"), contract=settings.contract, token=SANDBOX) as sandbox,
        Client(settings, base_url=sandbox.url) as client,
    ):
        yield client


def pace_folder(settings: Settings) -> Path:
    """Return where the pace of a target lies, for all processes of this user, whichever home and path they have.

    That of a vendor on loopback lies in the home.

    Raises
    ------
    JournalError
        If the folder cannot be made, or is another user's.
    """
    if settings.local:
        return settings.target_folder()
    user = os.getuid() if hasattr(os, "getuid") else None
    folder = Path(tempfile.gettempdir()) / f"toolkit-pace-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or (user is not None and found.st_uid != user):
            raise PermissionError("it is another user's")
        target = folder / hashlib.sha256(settings.host.encode()).hexdigest()[:16]
        target.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise JournalError(
            f"The folder {folder}, where all requests to {settings.host} share their pace, cannot be used ({error}): "
            "remove it, or set TMPDIR to a folder of yours. Nothing was sent."
        ) from error
    return target
