"""Temporary files: nobody can guess or prepare their names, and only what a record of ours names is removed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import toolkit as tk
from toolkit.errors import InputError
from toolkit.files import clear_unfinished, create, keep, replacing
from toolkit.tables import write_table

PART = f".{'0' * 15}a.part.csv"


def left(folder: Path, *, names: str = PART) -> Path:
    """A file that a killed process left, and its record."""
    (folder / ".out.csv.unfinished").write_text(names, encoding="utf-8")
    return folder / names


def test_a_temporary_file_has_another_name_each_time_and_is_its_users(tmp_path: Path) -> None:
    names = set()
    before = os.umask(0)
    try:
        for _ in range(20):
            with replacing(tmp_path / "out.csv") as part:
                names.add(part.name)
                assert {p.stat().st_mode & 0o777 for p in tmp_path.glob(".*")} == {0o600}
                part.write_text("rows", encoding="utf-8")
    finally:
        os.umask(before)
    assert len(names) == 20
    assert [p.name for p in tmp_path.iterdir()] == ["out.csv"]


def test_what_is_created_takes_no_link_and_no_file_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious", encoding="utf-8")
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    (tmp_path / "dangling").symlink_to(tmp_path / "new")
    for name in ("precious", "link", "dangling"):
        with pytest.raises(FileExistsError):
            create(tmp_path / name)
    assert (tmp_path / "precious").read_text(encoding="utf-8") == "precious"
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("write", [lambda p: keep(p, lambda f: f.write(b"rows")), "replacing"])
@pytest.mark.parametrize("planted", ["link", "pipe", "dangling"])
def test_a_link_or_a_pipe_in_the_place_of_a_record_is_removed_and_not_followed(
    tmp_path: Path, write: object, planted: str
) -> None:
    precious, out = tmp_path / "precious", tmp_path / "out.csv"
    precious.write_text(PART, encoding="utf-8")
    (tmp_path / PART).write_text("somebody's", encoding="utf-8")
    record = tmp_path / ".out.csv.unfinished"
    if planted == "pipe":
        os.mkfifo(record)
    else:
        record.symlink_to(precious if planted == "link" else tmp_path / "new")
    if callable(write):
        write(out)
    else:
        with replacing(out) as part:
            part.write_text("rows", encoding="utf-8")
    assert out.read_text(encoding="utf-8") == "rows"
    assert precious.read_text(encoding="utf-8") == PART
    assert {p.name for p in tmp_path.iterdir()} == {"precious", "out.csv", PART}


@pytest.mark.parametrize("named", ["../precious", "precious", "", "/etc/hostname", ".part", "x" * 10_000, PART + "/.."])
def test_a_record_removes_nothing_but_a_temporary_file_beside_it(tmp_path: Path, named: str) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    for place in (tmp_path, folder):
        (place / "precious").write_text("precious", encoding="utf-8")
        (place / ".part").touch()
    (folder / ".out.csv.unfinished").write_text(named, encoding="utf-8")
    clear_unfinished(folder)
    assert {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")} == {
        "home", "precious", ".part", "home/precious", "home/.part"
    }  # fmt: skip


def test_cleaning_removes_what_a_record_names_and_leaves_every_other_part(tmp_path: Path) -> None:
    rows = tmp_path / "home" / "rows"
    rows.mkdir(parents=True)
    left(rows).write_text("half", encoding="utf-8")
    for name in ("mine.part", f".{'1' * 16}.part.csv"):
        (rows / name).write_text("precious", encoding="utf-8")
    clear_unfinished(tmp_path / "home")
    assert {p.name for p in rows.iterdir()} == {"mine.part", f".{'1' * 16}.part.csv"}


def test_cleaning_follows_no_link(tmp_path: Path) -> None:
    theirs, home = tmp_path / "theirs", tmp_path / "home"
    theirs.mkdir()
    home.mkdir()
    left(theirs).write_text("theirs", encoding="utf-8")
    (home / "rows").symlink_to(theirs)
    left(home).symlink_to(theirs / PART)  # what a record names may be a link too: it goes, not what it leads to
    clear_unfinished(home)
    assert {p.name for p in theirs.iterdir()} == {PART, ".out.csv.unfinished"}
    assert [p.name for p in home.iterdir()] == ["rows"]


WRITERS: dict[str, Callable[[pd.DataFrame, Path], object]] = {
    "out.csv": write_table,
    "out.parquet": write_table,
    "out.xlsx": write_table,
    "out.html": lambda frame, path: tk.validate(frame).to_html(path),
    "out.toml": lambda frame, path: tk.suggest_mapping(frame).to_toml(path, overwrite=True),
    "patch.csv": lambda frame, path: tk.correct(frame).patch().write(path),
    "good.csv": lambda frame, path: tk.validate(frame, good=path),
    "good.parquet": lambda frame, path: tk.validate(frame, good=path),
    "review.xlsx": lambda frame, path: tk.validate(frame.assign(source="ERP")).to_excel(path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_what_stands_in_a_files_place_is_replaced_and_not_followed(customers, tmp_path: Path, name: str) -> None:
    frame, out, precious = customers(2), tmp_path / name, tmp_path / "precious"
    precious.write_text("precious", encoding="utf-8")
    for planted in (lambda: out.symlink_to(precious), lambda: out.symlink_to(tmp_path / "new"), lambda: os.mkfifo(out)):
        planted()
        WRITERS[name](frame, out)
        assert out.is_file()
        assert not out.is_symlink()
        assert out.stat().st_mode & 0o777 == 0o600
        assert {p.name for p in tmp_path.iterdir()} == {name, "precious"}
        assert precious.read_text(encoding="utf-8") == "precious"
        out.unlink()
    out.mkdir()
    with pytest.raises(InputError, match=f"{name} cannot be written"):
        WRITERS[name](frame, out)
    assert {p.name for p in tmp_path.rglob("*")} == {name, "precious"}


def test_a_full_disk_is_told_to_free_space(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match=r"No space left on device.*free space") as error,
        replacing(tmp_path / "o.csv"),
    ):
        raise OSError(28, "No space left on device")
    assert "lock" not in str(error.value)
    assert not list(tmp_path.iterdir())
