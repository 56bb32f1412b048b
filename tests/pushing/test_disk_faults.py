"""A disk that fails at the n-th write, fsync or rename: a clear message of our own, and nothing lost or made up."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.faults import Recorder, Steps, watched
from tests.support.killing import N_ROWS, REFUSED, Run
from toolkit.errors import NothingOpenError, StoppedError, ToolkitError
from toolkit.files import keep
from toolkit.ledger.ledger import Ledger
from toolkit.pushing.history import status
from toolkit.pushing.planning import PushPlan


def no_space(step: str) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def read_only(step: str) -> None:
    raise OSError(errno.EROFS, "Read-only file system")


def broken_disk(step: str) -> None:
    raise OSError(errno.EIO, "Input/output error")


def full_database(step: str) -> None:
    raise sqlite3.OperationalError("database or disk is full")


def broken_database(step: str) -> None:
    raise sqlite3.OperationalError("disk I/O error")


FAULTS = [
    *((fault, step, at) for fault in (full_database, broken_database)
      for step, places in (("sql BEGIN, before", (1, 2, 4, 9)), ("sql INSERT, before", (1, 2, 5)),
                           ("sql many, before", (1, 2, 6)), ("sql COMMIT, before", (1, 2, 3, 7, 12)))
      for at in places),
    *((fault, step, at) for fault in (no_space, read_only, broken_disk)
      for step, at in (("file fsync, before", 1), ("file replace, before", 1), ("file replace, before", 2),
                       ("file write, before", 1), ("file touch, before", 1), ("ledger write, before", 1),
                       ("ledger write, before", 2))),
]  # fmt: skip


def try_again(run: Run, plan: PushPlan) -> None:
    try:
        run.go(None)
    except NothingOpenError:
        if not run.vendor.taken[run.name]:
            run.go(run.plan(plan.changes.delivery.frame))


def require_whole(run: Run) -> None:
    """The vendor's table and the ledger agree, and hold each row but the refused one."""
    table = run.vendor.table(run.name)
    assert len(table) == N_ROWS - 1
    held = Ledger.of(run.settings).snapshot().frame
    assert set(held["customer_id"]) == {customer_id for customer_id, _ in table}
    assert not status(settings=run.settings).open_push


@pytest.mark.parametrize(("fault", "step", "at"), FAULTS, ids=[f"{f.__name__} at {s} {n}" for f, s, n in FAULTS])
def test_a_disk_that_fails_loses_nothing(
    recorder: Recorder, tmp_path: Path, customers: Callable, fault: Callable[[str], None], step: str, at: int
) -> None:
    run = Run("disk", tmp_path / "home", recorder)
    plan = run.plan(customers(N_ROWS))
    steps = Steps(fault, at=at, only=step)
    said: ToolkitError | None = None
    with watched(steps):
        try:
            run.go(plan)
        except ToolkitError as error:
            said = error
    assert said is None or isinstance(said, StoppedError) or str(tmp_path) in str(said)  # it names the place
    assert len(steps.names) >= at, "the fault never came"
    accepted = set(Ledger.of(run.settings).snapshot().frame["customer_id"])
    assert accepted <= {customer_id for customer_id, _ in recorder.table(run.name)}  # none that never arrived
    try_again(run, plan)
    require_whole(run)
    twice = [n for n in Counter(recorder.taken[run.name]).values() if n > 1]
    assert len(twice) <= 1  # at most what was on its way when the disk failed


@pytest.fixture
def stopped(recorder: Recorder, tmp_path: Path, customers: Callable) -> Run:
    """A push that stopped half way, since the disk under its journal failed."""
    run = Run("flip", tmp_path / "home", recorder)
    plan = run.plan(customers(N_ROWS))
    with watched(Steps(broken_database, at=11, only="sql COMMIT, before")), pytest.raises(ToolkitError):
        run.go(plan)
    assert status(settings=run.settings).open_push
    return run


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.floats(0, 1, exclude_max=True))
def test_a_journal_that_is_cut_makes_nothing_up(stopped: Run, recorder: Recorder, tmp_path: Path, where: float) -> None:
    copy = tmp_path / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(stopped.home, copy)
    damaged = Run("flip", copy, recorder)
    path = copy / "targets" / "sandbox" / "journal.sqlite"
    content = path.read_bytes()
    path.write_bytes(content[: int(where * len(content))])
    for act in (partial(status, settings=damaged.settings), partial(damaged.go, None)):
        with suppress(ToolkitError):  # any other error is a fault
            act()
    held = set(Ledger.of(damaged.settings).snapshot().frame["customer_id"])
    assert held <= {customer_id for customer_id, _ in recorder.table("flip")}
    assert REFUSED not in held


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_file_that_could_not_be_kept_leaves_no_part_of_it(tmp_path: Path, monkeypatch, step: str) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((os, "fsync") if step == "fsync" else (Path, "replace")), full)
    with pytest.raises(OSError, match="No space left"):
        keep(tmp_path / "rows.parquet", lambda file: file.write(b"customers"))
    assert list(tmp_path.iterdir()) == []
