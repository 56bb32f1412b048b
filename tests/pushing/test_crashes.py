"""kill -9 at each step of a push, with the real processes: the resume arrives at the whole plan."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.support.killing import PROCESSES, kill_a_push
from tests.support.place import Place, fates
from toolkit.config.settings import Settings
from toolkit.errors import (
    NothingOpenError,
    OpenPushError,
)
from toolkit.ledger.ledger import Ledger
from toolkit.pushing.history import status
from toolkit.pushing.planning import PushPlan
from toolkit.pushing.runs import push


@pytest.mark.parametrize(
    ("death", "taken", "then"),
    [
        ("before anything is sent", 0, {"unsent": 1_200}),
        ("before an attempt of the second batch", 500, {"accepted": 500, "unsent": 700}),
        ("with the second batch in flight", 500, {"accepted": 500, "unknown": 500, "unsent": 200}),
        ("with an answer that was not written down", 1_000, {"accepted": 500, "unknown": 500, "unsent": 200}),
        ("after the last answer, before the ledger", 1_200, {"accepted": 1_200}),
        ("after the ledger, before the close", 1_200, {"accepted": 1_200}),
    ],
)
def test_a_push_that_was_killed_is_resumed_to_the_whole_plan(
    place: Place, customers, death: str, taken: int, then: dict[str, int]
) -> None:
    plan = place.plan(customers(1_200))
    kill_a_push(place, death, plan)
    assert len(place.table) == taken
    found = status(settings=place.settings).pushes.iloc[0]
    assert (found["state"], {f: found[f] for f in then}) == ("open", then)
    with pytest.raises(OpenPushError, match=found["push"]):
        place.push(plan)
    report = place.resume()
    assert (fates(report), report.state, report.plan) == ({"accepted": 1_200}, "done", plan.digest)
    assert place.table == set(plan.to_frame()["customer_id"])
    place.require_agreement()
    entries = pd.concat([Ledger.of(place.settings).history(c) for c in ("C00000", "C00700", "C01199")])
    assert len(entries) == 3  # each once
    assert place.plan(customers(1_200)).n_rows == 0


def push_and_die_keeping(plan: PushPlan, options: dict[str, Any]) -> None:
    """Be killed with the rows written, and not in their place yet."""
    replace_file = Path.replace

    def die(part: Path, target: Path) -> Path:
        if part.parent.name == "rows":
            os.kill(os.getpid(), signal.SIGKILL)
        return replace_file(part, target)

    Path.replace = die  # type: ignore[assignment,method-assign]
    push(plan, settings=Settings(**options), progress=False)


@pytest.mark.parametrize("call", ["push", "resume", "abandon"])
def test_half_written_rows_of_a_killed_push_are_removed_by_the_next_call(place: Place, customers, call: str) -> None:
    options = {"base_url": place.sandbox.url, "home": place.settings.home, **place.options}
    plan, folder = place.plan(customers(3)), place.settings.target_folder()
    process = PROCESSES.Process(target=push_and_die_keeping, args=(plan, options))
    process.start()
    process.join(60)
    exported = place.settings.home / "mine.part"
    exported.touch()
    assert len(list((folder / "rows").glob(".*.part.parquet"))) == 1
    if call == "push":
        assert fates(place.push(plan)) == {"accepted": 3}
    else:
        with pytest.raises(NothingOpenError):
            getattr(place, call)()
    assert not list((folder / "rows").glob(".*"))
    assert exported.exists()


def test_an_append_that_was_killed_leaves_what_was_in_flight_to_the_analyst(place: Place, customers) -> None:
    place.options["operation"] = "APPEND"
    kill_a_push(place, "with an answer that was not written down", place.plan(customers(1_200)))
    report = place.resume()
    assert (fates(report), report.state) == ({"accepted": 700, "unknown": 500}, "open")
    assert sorted(place.sandbox.requests()["n_rows"]) == [200, 500, 500]  # none twice
    unknown = report.rows[report.rows["fate"] == "unknown"]
    assert list(unknown["customer_id"]) == [f"C{i:05d}" for i in range(500, 1_000)]


def test_an_abandoned_push_that_was_killed_keeps_what_was_accepted(place: Place, customers) -> None:
    kill_a_push(place, "with the second batch in flight", place.plan(customers(1_200)))
    assert fates(place.abandon()) == {"accepted": 500, "unknown": 500, "unsent": 200}
    place.require_agreement()
    assert place.plan(customers(1_200)).n_rows == 700
