"""A local vendor that keeps the contract: a function from request to answer, served on loopback.

It shares no code with the client: its facts come from a second reading of the vendor's pages, so that each reading
checks the other. What the pages leave open is a listed assumption that can be switched.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pandas as pd

from toolkit.errors import SandboxError, wrong_kind
from toolkit.vendor.sandbox.assumptions import Assumptions
from toolkit.vendor.sandbox.server import Server
from toolkit.vendor.sandbox.store import Store
from toolkit.vendor.sandbox.vendor import DROPPED, MAX_ROWS, TABLE, Reply, Request, Vendor

OWN_TOKEN = "sandbox"  # noqa: S105 - it opens nothing but a sandbox

__all__ = ["DROPPED", "Assumptions", "Reply", "Request", "Sandbox", "Vendor"]


class Sandbox:
    """A vendor on this machine, as a context manager or by `start` and `stop`.

    Parameters
    ----------
    folder
        Where its one file ``sandbox.sqlite`` lies; None for a folder that is removed when it stops.
    token
        The token that it accepts. It is the sandbox's own, whatever the environment has: the analyst's stays away.
    contract
        ``2026-04`` or ``current``: its limits and whether a name may be null.
    clock
        The present moment in seconds since 1970.

    Raises
    ------
    InputError
        If an argument is of a wrong kind.
    SandboxError
        If the contract is unknown, or the file or the port cannot be used.

    Examples
    --------
    >>> with Sandbox() as sandbox:
    ...     len(sandbox.table())
    0
    """

    def __init__(
        self,
        folder: Path | str | None = None,
        *,
        token: str = OWN_TOKEN,
        contract: str = "2026-04",
        assumptions: Assumptions | None = None,
        clock: Callable[[], float] = time.time,
        port: int = 0,
    ) -> None:
        for given, kind, wanted, call in (
            (folder, str | Path | None, "a folder", 'Sandbox("data/sandbox")'),
            (token, str, "a token", 'Sandbox(token="sandbox")'),
            (contract, str, "a contract's name", 'Sandbox(contract="current")'),
            (assumptions, Assumptions | None, "an Assumptions", "Assumptions(partial_status=207)"),
            (port, int, "a port's number", "Sandbox(port=8765)"),
        ):
            if not isinstance(given, kind):
                raise wrong_kind(given, wanted, call)
        if contract not in MAX_ROWS:
            raise SandboxError(f"The sandbox knows the contracts {' and '.join(MAX_ROWS)}, not {contract!r}.")
        self._own = folder is None
        self.folder = Path(tempfile.mkdtemp(prefix="sandbox-") if folder is None else folder).absolute()
        if self._own:  # nobody may stop it, and what still sends to it may outlive this object
            atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self._store = Store(self.folder / "sandbox.sqlite")
        self.vendor = Vendor(self._store, token=token, contract=contract, assumptions=assumptions, clock=clock)
        self._port = port
        self._server: Server | None = None

    @property
    def url(self) -> str:
        """The address to set as TOOLKIT_BASE_URL."""
        if self._server is None:
            raise SandboxError("The sandbox is not running: call start(), or use it in a with statement.")
        return self._server.url

    def settings(self) -> dict[str, Any]:
        """Return the settings to work against it, which ``toolkit.use`` takes; its records are in its own folder."""
        home, names = self.folder / "state", {"solution": "QP_OOTB", "prefix": "QP_", "suffix": "_OOTB"}
        place = {"base_url": self.url, "target": "sandbox", "home": home, "ledger": home / "ledger"}
        return {**place, **names, "contract": self.vendor.contract}

    def start(self) -> Self:
        """Start to listen."""
        if self._server is None:
            self._server = Server(self.vendor, port=self._port)
        return self

    def stop(self) -> None:
        """Stop listening; what was accepted stays in its file."""
        if self._server is not None:
            self._server.stop()
            self._server = None
        self._store.close()
        if self._own:
            shutil.rmtree(self.folder, ignore_errors=True)

    def flush(self) -> int:
        """Write the buffer to the table now, as the vendor does on a timer; returns how many rows that were."""
        return self._store.flush()

    def table(self, name: str = TABLE) -> pd.DataFrame:
        """Return what the table holds after a flush: every version, in the order of the keys."""
        self._store.flush()
        return self._store.table(name)

    def requests(self) -> pd.DataFrame:
        """Return the log: when, method, path, status, rows, digest of the body."""
        return self._store.requests()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        where = self._server.url if self._server else "not running"
        return f"<Sandbox: {where}, contract {self.vendor.contract}, data in {self.folder}>"
