"""Memory, threads or the disk are used up: one sentence, exit 2, and nothing of a library's before it."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

import toolkit as tk
from toolkit.cli import main

ROOT = Path(__file__).parents[2]
FILE = ROOT / "data" / "2026-09-01_customers.csv"
CHECK = ["check", str(FILE), "--mapping", str(FILE.with_suffix(".toml"))]


def caused(error: Exception, by: BaseException) -> Exception:
    error.__cause__ = by
    return error


MEMORY = [
    MemoryError(),
    RuntimeError("can't start new thread"),
    OSError(12, "Cannot allocate memory"),
    BlockingIOError(11, "Resource temporarily unavailable"),
    duckdb.OutOfMemoryException("failed to allocate data of size 1 MiB"),
    pa.ArrowMemoryError("malloc of size 64 failed"),
    caused(ImportError("Cannot import module 'toolkit.cli.file_commands'"), MemoryError()),
    ImportError("libarrow.so.2600: failed to map segment from shared object"),
]
DISK = [OSError(28, "No space left on device"), OSError(122, "Disk quota exceeded")]


def failing(error: Exception) -> Callable[..., object]:
    def fails(*_: object, **__: object) -> object:
        raise error

    return fails


@pytest.mark.parametrize(
    ("error", "cure"), [*((e, "not enough memory.*'toolkit scan'") for e in MEMORY), *((e, "free space") for e in DISK)]
)
@pytest.mark.parametrize("as_json", [False, True])
def test_what_is_used_up_is_one_sentence_and_exit_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, cure: str, as_json: bool
) -> None:
    monkeypatch.setattr(tk, "read_customers", failing(error))
    assert main([*CHECK, *(["--json"] if as_json else [])]) == 2
    out, err = capsys.readouterr()
    said = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(said) == 1
    assert re.search(cure, said[0])
    assert "Traceback" not in err
    assert "lock" not in err
    if as_json:
        assert json.loads(out) == {"error": said[0].removeprefix("error: ")}


def test_another_error_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tk, "read_customers", failing(RuntimeError("a fault of ours")))
    with pytest.raises(RuntimeError, match="a fault of ours"):
        main(CHECK)


def run(*arguments: str, memory: int | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    def limit() -> None:
        if memory:
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

    return subprocess.run(
        [sys.executable, "-m", "toolkit", *arguments],
        capture_output=True, text=True, timeout=120, check=False, preexec_fn=limit, env=os.environ | variables,
    )  # fmt: skip


def test_a_process_with_little_memory_ends_with_a_sentence() -> None:
    found = run(*CHECK, memory=300_000_000)
    assert found.returncode == 2, found.stderr
    assert found.stderr.splitlines()[-1].startswith("error: There is not enough memory")
    assert "Traceback" not in found.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(disk)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only root can mount a small disk")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("left", [0, 4_096, 20_000, 60_000, 100_000, 150_000, 200_000, 300_000, 500_000])
def test_on_a_full_disk_a_push_and_a_sheet_say_to_free_space(small_disk: Path, left: int) -> None:
    free = os.statvfs(small_disk)
    (small_disk / "ballast").write_bytes(b"x" * (free.f_bavail * free.f_frsize - left))
    places = {"TOOLKIT_HOME": str(small_disk / "state"), "XDG_CACHE_HOME": str(small_disk / "cache")}
    for arguments in (
        ["push", *CHECK[1:], "--yes", "--allow", "all"],
        [*CHECK, "--excel", str(small_disk / "sheet.xlsx")],
        ["snapshot", "--out", str(small_disk / "snapshot.parquet")],
    ):
        found = run(*arguments, **places)
        assert "Traceback" not in found.stderr
        assert "panic" not in found.stderr
        assert "backtrace" not in found.stderr
        last = found.stderr.splitlines()[-1]
        assert found.returncode in (0, 1) or (last.startswith("error: ") and "free" in last and "lock" not in last), (
            last
        )
    parts = [path for path in small_disk.rglob("*") if ".part" in path.name or path.name.endswith(".unfinished")]
    assert parts == []
