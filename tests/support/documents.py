"""A reader who does what a page of the documentation says, block by block, in a folder with the shipped deliveries."""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import toolkit as tk
from toolkit import cli

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the number of its first line."""

    kind: str
    text: str
    line: int


def blocks_of(text: str) -> list[Block]:
    return [
        Block(found[1], found[2], text.count("\n", 0, found.start()) + 2)
        for found in re.finditer(r"^```(\S*)(?: \w+)?\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    ]


def links_of(text: str) -> list[str]:
    """Return where a page's links and pictures lead; what stands in code is no link."""
    plain = re.sub(r"^```.*?^```$|`[^`\n]*`", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"\]\(([^)\s]+)\)", plain)


def anchors_of(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and the site make them."""
    plain = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    heads = re.findall(r"^#+ (.+)$", plain, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Reader:
    """What a page has led to: the names of its Python, the files that it wrote, and what was printed last.

    Parameters
    ----------
    place
        The folder to work in, which is the project's root: a `toolkit.toml` there is found.
    """

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.place, self.monkeypatch = place, monkeypatch
        self.names: dict[str, Any] = {"__name__": "page"}
        self.printed = ""
        place.mkdir(exist_ok=True)
        shutil.copytree(ROOT / "data", place / "data", ignore=shutil.ignore_patterns("state", "__pycache__"))
        monkeypatch.setattr("toolkit.config.project.PACKAGE", place / "toolkit")
        monkeypatch.chdir(place)

    def follow(self, page: Path, *, kinds: tuple[str, ...] = ()) -> None:
        """Do what each block of a page says, or those of some kinds; `text` is what the block before it prints."""
        try:
            for block in (b for b in blocks_of(page.read_text(encoding="utf-8")) if not kinds or b.kind in kinds):
                try:
                    self._do(block)
                except BaseException as error:
                    error.add_note(f"{page.relative_to(ROOT)}, line {block.line}")
                    raise
        finally:
            for value in self.names.values():
                if isinstance(value, tk.Sandbox):
                    value.stop()

    def _do(self, block: Block) -> None:
        if block.kind == "python":
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile("\n" * (block.line - 1) + block.text, "page", "exec"), self.names)
            self.printed = out.getvalue()
        elif block.kind == "sh":
            with contextlib.redirect_stdout(io.StringIO()) as out:
                for line in block.text.splitlines():
                    self._command(shlex.split(line, comments=True))
            self.printed = out.getvalue()
        elif block.kind == "toml":
            name = re.match(r"# (\S+\.toml)\n", block.text)
            assert name, "a TOML block begins with the name of its file"
            (self.place / name[1]).write_text(block.text, encoding="utf-8")
        elif block.kind == "text":
            same = doctest.OutputChecker().check_output(block.text, self.printed, FLAGS)
            assert same, f"it prints\n{self.printed}"
        else:
            assert block.kind in ("json", "{toctree}", "{code-block}"), f"nothing runs a block of {block.kind}"

    def _command(self, words: list[str]) -> None:
        if not words:
            return
        assert words[0] == "toolkit", words
        self.monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
        with contextlib.redirect_stderr(io.StringIO()) as err:
            code = cli.main(words[1:])
        assert code in (0, 1), (words, err.getvalue())
