"""connected(): a client for the target that the settings name; for the embedded sandbox, one that is started for it.

And pace_folder(): where all processes that send to a host keep their common rate.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

from platformdirs import user_cache_path

from toolkit.config import Settings
from toolkit.vendor.client import Client
from toolkit.vendor.sandbox import Sandbox


@contextlib.contextmanager
def connected(settings: Settings) -> Iterator[Client]:
    """Open a connection; if no host is set, start the embedded sandbox for it."""
    with contextlib.ExitStack() as stack:
        url = None
        if settings.embedded:
            sandbox = Sandbox(settings.folder("sandbox"), contract=settings.contract)
            url = stack.enter_context(sandbox).url
        yield stack.enter_context(Client(settings, base_url=url))


def pace_folder(settings: Settings) -> Path:
    """Return where the pace of a host lies: one for all processes of this user, also with other homes.

    For a vendor on this machine it lies in the target's own folder. The folder is made when the pace is first kept.
    """
    if settings.local:
        return settings.target_folder()
    return user_cache_path("customer-toolkit") / "pace" / hashlib.sha256(settings.host.encode()).hexdigest()[:16]
