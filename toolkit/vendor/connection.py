"""connected(): a client for the target that the settings name; for the embedded sandbox, one that is started for it.

And pace_folder(): where the processes that send to a host keep the rate limit that they share.
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
    sandbox = Sandbox(settings.folder("sandbox"), contract=settings.contract) if settings.embedded else None
    with sandbox or contextlib.nullcontext() as running, Client(settings, base_url=running and running.url) as client:
        yield client


def pace_folder(settings: Settings) -> Path:
    """Return the folder of the rate limit of a host, which all processes of this user share, whatever their home.

    For a vendor on this machine it is the target's own folder. It is made when the first request is counted.
    """
    if settings.local:
        return settings.target_folder()
    return user_cache_path("customer-toolkit") / "pace" / hashlib.sha256(settings.host.encode()).hexdigest()[:16]
