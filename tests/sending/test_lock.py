"""The right to push to a target: one process at a time, decided by the operating system's lock alone."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from toolkit.errors import JournalError, OpenPushError
from toolkit.files import keep
from toolkit.sending.lock import only_pusher

PROCESSES = multiprocessing.get_context("forkserver")


def push_and_die(folder: Path) -> None:
    with only_pusher(folder, "acme"):
        keep(folder / "rows.parquet", lambda file: os.kill(os.getpid(), signal.SIGKILL))


def test_two_processes_cannot_push_to_a_target_at_once(tmp_path: Path) -> None:
    with only_pusher(tmp_path, "acme"), pytest.raises(OpenPushError, match="right now"), only_pusher(tmp_path, "acme"):
        pass
    with only_pusher(tmp_path, "acme"):
        pass


def test_who_waits_is_told_who_pushes(tmp_path: Path) -> None:
    with (
        only_pusher(tmp_path, "acme"),
        pytest.raises(OpenPushError, match=rf"acme right now \(process {os.getpid()} of \S+ on \S+ since 20.*wait"),
        only_pusher(tmp_path, "acme"),
    ):
        pass


def test_a_killed_process_leaves_no_lock_and_no_half_written_rows(tmp_path: Path) -> None:
    child = PROCESSES.Process(target=push_and_die, args=(tmp_path,))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    assert len(list(tmp_path.glob(".*.part.parquet"))) == 1
    with only_pusher(tmp_path, "acme"):
        assert {path.name for path in tmp_path.iterdir()} == {"pusher.lock", "pusher.json"}
    assert {path.name for path in tmp_path.iterdir()} == {"pusher.lock"}


@pytest.mark.parametrize("text", [json.dumps({"process": 1, "host": "a-name-it-had-before"}), "not json", "", "[]"])
def test_what_a_machine_of_another_name_left_behind_blocks_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / "pusher.lock").touch()
    (tmp_path / "pusher.json").write_text(text)
    with only_pusher(tmp_path, "acme"):
        assert json.loads((tmp_path / "pusher.json").read_text())["process"] == os.getpid()


@pytest.mark.parametrize("name", ["pusher.lock", "pusher.json"])
def test_a_folder_that_cannot_be_locked_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with (
        pytest.raises(JournalError, match=f"{tmp_path} cannot be used.*permissions.*TOOLKIT_HOME"),
        only_pusher(tmp_path, "acme"),
    ):
        pass
