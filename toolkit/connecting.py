"""connected(): a client for the target that the settings name; for the embedded sandbox, one that was just started."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from toolkit.client import Client
from toolkit.sandbox import Sandbox
from toolkit.settings import Settings


@contextlib.contextmanager
def connected(settings: Settings) -> Iterator[Client]:
    """Open a connection, with the embedded sandbox behind it where no host is set."""
    if not settings.embedded:
        with Client(settings) as client:
            yield client
        return
    with (
        Sandbox(settings.folder("sandbox"), contract=settings.contract) as sandbox,
        Client(settings, base_url=sandbox.url) as client,
    ):
        yield client
