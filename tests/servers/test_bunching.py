"""A proxy that holds requests back and lets them go together: the vendor's second has more of them than ours."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import numpy as np
import pytest

from tests.support.clocks import Clock
from tests.support.place import Place, fates
from toolkit.model.contract import APRIL_2026, CONTRACTS
from toolkit.sending.pacing import Pace
from toolkit.vendor.sandbox import Sandbox

HELD_S = 0.3


def _held_s(now: float) -> float:
    """What comes in the first 0.3 s of a second waits until they are over."""
    return max(0.0, HELD_S - now % 1)


def _pump(source: socket.socket, target: socket.socket, held: list[float] | None) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            if held is not None and (wait := _held_s(time.time())):
                held.append(time.time() + wait)
                time.sleep(wait)
            target.sendall(data)
    for each in (source, target):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


@contextmanager
def bunching(port: int, held: list[float]) -> Iterator[int]:
    """Pass TCP on to a port of this machine, held back at times; `held` gets the moment when each piece goes on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    ours = listener.accept()[0]
                    theirs = socket.create_connection(("127.0.0.1", port))
                    for both in ((ours, theirs, held), (theirs, ours, None)):
                        threading.Thread(target=_pump, args=both, daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.slow
def test_four_requests_a_second_fewer_are_never_too_many_behind_a_proxy_that_bunches(
    customers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CONTRACTS, APRIL_2026.name, replace(APRIL_2026, max_rows=1))
    held: list[float] = []
    with Sandbox() as sandbox, bunching(int(sandbox.url.rpartition(":")[2]), held) as port:
        place = Place(sandbox, Clock(), {"base_url": f"http://127.0.0.1:{port}", "max_requests_per_s": 46})
        report = place.push(customers(150), pace=Pace())
        at = sandbox.requests()["at"].to_numpy()
    assert fates(report) == {"accepted": 150}
    most = max(np.searchsorted(at, at + 1) - np.arange(len(at)))
    assert 40 < most <= 50  # at 50 a second, the requests that were held back would come on top
    assert max(np.unique(np.round(held, 2), return_counts=True)[1]) > 2  # several went together
