"""The folder of the demo: the one that was named, and nothing in it is replaced but what a demo wrote."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import toolkit.cli.demo
from toolkit.cli.demo import MADE_HERE, demo
from toolkit.errors import InputError


def story(root: Path, place: Path) -> None:
    """A demo that is over at once."""
    (place / "report.html").write_text("a report", encoding="utf-8")
    (place / "notebooks").mkdir(exist_ok=True)
    (place / "notebooks" / "tour.ipynb").write_text("a notebook", encoding="utf-8")


WHOLE = toolkit.cli.demo._run
EXTRAS = ("sqlglot", "sqlglot.expressions", "adbc_driver_postgresql", "pyspark", "sqlalchemy")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolkit.cli.demo, "_run", story)


def files(place: Path) -> set[str]:
    return {str(p.relative_to(place)) for p in place.rglob("*") if p.is_symlink() or not p.is_dir()}


def test_a_demo_replaces_what_an_earlier_one_wrote(tmp_path: Path) -> None:
    for _ in range(3):
        demo(folder=tmp_path / "demo")
    assert files(tmp_path / "demo") == {"report.html", "notebooks/tour.ipynb", MADE_HERE}


def test_the_whole_demo_needs_no_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolkit.cli.demo, "_run", WHOLE)
    for name in EXTRAS:
        monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    demo(folder=tmp_path / "demo")
    assert "2026-10-01_customers_pushed.html" in files(tmp_path / "demo")


def saved(place: Path) -> None:
    (place / "notebooks" / "mine.txt").write_text("mine", encoding="utf-8")


def changed(place: Path) -> None:
    (place / "notebooks" / "tour.ipynb").write_text("a notebook, and my notes", encoding="utf-8")


def linked(place: Path) -> None:
    (place / "report.html").unlink()
    (place / "report.html").symlink_to(place.parent / "precious.txt")


def swapped(place: Path) -> None:
    (place / "notebooks" / "tour.ipynb").unlink()
    (place / "notebooks").rmdir()
    (place / "notebooks").symlink_to(place.parent / "precious")


def piped(place: Path) -> None:
    os.mkfifo(place / "pipe")


def unlisted(place: Path) -> None:
    (place / MADE_HERE).unlink()


def with_an_earlier_versions_list(place: Path) -> None:
    (place / MADE_HERE).write_text("", encoding="utf-8")


@pytest.mark.parametrize(
    "touch", [saved, changed, linked, swapped, piped, unlisted, with_an_earlier_versions_list], ids=lambda t: t.__name__
)
def test_a_demo_replaces_nothing_that_somebody_saved_or_changed(tmp_path: Path, touch: Callable[[Path], None]) -> None:
    (tmp_path / "precious").mkdir()
    for name in ("precious.txt", "precious/tour.ipynb"):
        (tmp_path / name).write_text("a notebook", encoding="utf-8")
    place = tmp_path / "demo"
    demo(folder=place)
    touch(place)
    before = files(tmp_path)
    with pytest.raises(InputError, match=r"not written by a demo, or was changed since.*name a new folder"):
        demo(folder=place)
    assert files(tmp_path) == before
    assert (tmp_path / "precious.txt").read_text(encoding="utf-8") == "a notebook"


def test_a_list_removes_nothing_outside_its_folder(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("precious", encoding="utf-8")
    place = tmp_path / "demo"
    place.mkdir()
    lines = f"x ../precious.txt\n {tmp_path}/precious.txt\n ../precious.txt"
    (place / MADE_HERE).write_text(lines, encoding="utf-8")
    demo(folder=place)
    assert (tmp_path / "precious.txt").read_text(encoding="utf-8") == "precious"


def test_a_list_that_is_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("precious", encoding="utf-8")
    place = tmp_path / "demo"
    place.mkdir()
    (place / MADE_HERE).symlink_to(tmp_path / "precious.txt")
    demo(folder=place)
    assert not (place / MADE_HERE).is_symlink()
    assert (tmp_path / "precious.txt").read_text(encoding="utf-8") == "precious"


def test_a_demo_that_fails_can_be_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(root: Path, place: Path) -> None:
        story(root, place)
        raise KeyboardInterrupt

    monkeypatch.setattr(toolkit.cli.demo, "_run", fails)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            demo(folder=tmp_path / "demo")


def test_a_relative_folder_is_one_of_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    demo(folder=Path("demo"))
    assert files(tmp_path) == {"demo/report.html", "demo/notebooks/tour.ipynb", f"demo/{MADE_HERE}"}
