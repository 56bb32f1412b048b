"""The documentation: each page does what it says, each link leads somewhere, and the site asks for nothing outside."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import pytest

import toolkit as tk
from tests.support.documents import PAGES, ROOT, Reader, Terminal, anchors_of, blocks_of, links_of
from toolkit import cli, results
from toolkit.cli.app import COMMANDS
from toolkit.config import Settings
from toolkit.errors import ToolkitError
from toolkit.vendor import Sandbox

COMMAND_LINE = ROOT / "docs" / "command_line.md"
SITE = runpy.run_path(str(ROOT / "docs" / "conf.py"))
SCHEDULING = ROOT / "docs" / "scheduling.md"  # tests/test_notebooks.py runs what it says
FILE = ROOT / "data" / "2026-09-01_customers.csv"
CODE = [page for page in PAGES if page not in (COMMAND_LINE, SCHEDULING)
        and {b.kind for b in blocks_of(page.read_text("utf-8"))} - {"text", "{toctree}"}]  # fmt: skip
OUTSIDE = re.compile(r"(?:https?:)?//(?!www\.w3\.org/)[\w-]+\.[\w.-]+")


@pytest.mark.parametrize("page", CODE, ids=lambda page: page.stem)
def test_a_page_does_what_it_says(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Reader(tmp_path / "place", monkeypatch).follow(page)


def test_the_guide_is_among_the_pages_that_run() -> None:
    assert len(CODE) >= 11


def sources() -> list[Path]:
    """Return what is written for people: each page as Markdown, and each notebook."""
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    return [*PAGES, *ROOT.glob("*.md"), ROOT / "data" / "README.md", *notebooks]


def words_of(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    return "\n\n".join("".join(c["source"]) for c in json.loads(text)["cells"] if c["cell_type"] == "markdown")


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading_of_it(path: Path) -> None:
    lost = []
    for link in links_of(words_of(path)):
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        anchor = SITE["anchor"](anchor) if target.suffix == ".ipynb" else anchor
        there = target.is_relative_to(ROOT) and target.exists()
        if not there or (anchor and anchor not in anchors_of(words_of(target))):
            lost.append(link)
    assert lost == []


def test_every_page_is_in_the_table_of_contents() -> None:
    listed = {line.strip() for b in blocks_of(words_of(ROOT / "docs/index.md")) for line in b.text.splitlines()}
    assert {page.stem for page in PAGES} - {"index"} <= listed


def test_a_picture_is_of_moderate_size_and_each_is_used() -> None:
    pictures = set((ROOT / "docs" / "images").iterdir())
    used = {(path.parent / link).resolve() for path in sources() for link in links_of(words_of(path))}
    assert pictures
    assert pictures <= used
    assert all(picture.stat().st_size < 250_000 for picture in pictures)


@pytest.mark.slow
def test_the_pictures_can_be_made_again(tmp_path: Path) -> None:
    made = tmp_path / "made"
    home = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "TOOLKIT_HOME": str(tmp_path / "state")}
    subprocess.run([sys.executable, "-m", "docs.screenshots", made], cwd=ROOT, check=True, env=home)
    assert {picture.name for picture in made.iterdir()} == {p.name for p in (ROOT / "docs" / "images").iterdir()}
    assert not (tmp_path / "state").exists()


def test_the_changelog_has_the_form_and_says_nothing_twice() -> None:
    text = words_of(ROOT / "CHANGELOG.md")
    assert re.findall(r"^##+ (.+)$", text, re.MULTILINE) == [
        "[Unreleased]", "Added", "Changed", "Fixed", "Removed", "Security"]  # fmt: skip
    entries = re.findall(r"^- .+$", text, re.MULTILINE)
    assert len(entries) == len(set(entries)) > 40


# --- the command line ---


def commands() -> list[list[str]]:
    lines = [line for block in blocks_of(words_of(COMMAND_LINE)) for line in block.text.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines]


def test_the_commands_run_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with Sandbox(tmp_path / "vendor") as sandbox:
        monkeypatch.setenv("TOOLKIT_BASE_URL", sandbox.url)
        sandbox.vendor.refuse = lambda row: "closed" if row["customer_price_list_id"] == "PL-ENT-004" else None
        customer = ""
        for words in commands():
            monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
            if words[0] == "repush":
                sandbox.vendor.refuse = None
            name = ""
            if "PUSH" in words:
                name = json.loads(printed("pushes", "--json", capsys=capsys))["pushes"][0]["push"]
            for corrected in [word for word in words if word.endswith("-corrected.xlsx")]:  # the owner sent it back
                (tmp_path / corrected.replace("-corrected", "")).rename(tmp_path / corrected)
            names = {"FILE": str(FILE), "PUSH": name, "ID": customer}
            out = printed(*[names.get(word, word) for word in words], capsys=capsys)
            if words[0] == "suggest":
                assert tomllib.loads((tmp_path / "M.toml").read_text(encoding="utf-8"))["columns"]
                # The analyst states what the file cannot say: the time zone, and which corrections to apply.
                (tmp_path / "M.toml").write_bytes(FILE.with_suffix(".toml").read_bytes())
            if words[0] == "report":
                customer = re.search(r"refused: source_row \d+, (\S+):", out).group(1)
        assert len(sandbox.table().query("customer_id == @customer")) == 3  # sent again, amended, reverted
    assert (tmp_path / "S-corrected.xlsx").is_file()
    assert (tmp_path / "R-corrected.xlsx").is_file()
    assert commands()[-1] == ["status"]


def printed(*arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    code = cli.main(arguments)
    out, err = capsys.readouterr()
    assert code in (0, 1), (arguments, err)
    return out


def test_every_command_has_its_place() -> None:
    known = {name for group in COMMANDS.values() for name in group}
    assert {words[0] for words in commands()} <= known
    text = words_of(COMMAND_LINE)
    assert {name for name in known if f"toolkit {name}" not in text} == set()


def test_every_command_and_option_that_a_page_names_exists(capsys: pytest.CaptureFixture[str]) -> None:
    known = {name for group in COMMANDS.values() for name in group}
    helped: dict[str, str] = {}
    unknown = []
    for path in sources():
        for line in re.findall(r"`toolkit (?!--)([^`]+)`", words_of(path)):
            name, *options = [word.split("=")[0] for word in line.split() if word[0] == "-" or word == line.split()[0]]
            if name in known and options and name not in helped:
                helped[name] = printed(name, "--help", capsys=capsys)
            unknown += [line] if name not in known or any(o not in helped[name] for o in options) else []
    assert unknown == []


def test_the_settings_of_the_targets_page_can_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader(tmp_path / "place", monkeypatch)
    reader.follow(ROOT / "docs" / "targets.md", kinds=("toml",))
    monkeypatch.setenv("TOOLKIT_BASE_URL", "https://elsewhere.example.com")
    with pytest.raises(ToolkitError, match="cannot change the host of the target 'acme'"):
        Settings(target="acme")
    line = next(line for line in words_of(ROOT / "docs/targets.md").splitlines() if line.startswith("path_style"))
    for style in re.findall(r'"([a-z/]+)"', line):
        assert Settings(target="acme-test", path_style=style).path_style == style


# --- the site ---


def test_a_notebook_becomes_a_page_with_its_outputs_which_cannot_end_their_block() -> None:
    page_of = SITE["page_of"]
    html = {"text/html": ["<b>5</b>\n\n```\n<i>6</i>"], "text/plain": ["5"]}
    cells = [
        {"cell_type": "markdown", "source": ["# Why?"]},
        {"cell_type": "code", "source": ["x"], "outputs": [{"output_type": "execute_result", "data": html}]},
        {"cell_type": "code", "source": ["y"], "outputs": [{"output_type": "stream", "text": ["z\n"]}]},
        {"cell_type": "code", "source": ["e"], "outputs": [{"output_type": "error", "ename": "E", "evalue": "no"}]},
    ]
    page = page_of(json.dumps({"cells": cells}))
    assert page.startswith("# Why?\n\n```python\nx\n```\n\n````{raw} html\n<div")
    assert "```\n<i>6</i></div>\n````" in page
    assert "```text\nz\n```" in page
    assert "```text\nE: no\n```" in page


class Addresses(HTMLParser):
    """What a page loads or leads to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        asks = ("src", "href", "srcset", "action", "data", "poster")
        self.found += [value or "" for name, value in attributes if name in asks]


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_asks_for_nothing_outside(tmp_path: Path) -> None:
    site = tmp_path / "site"
    build = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-c", "docs", "-d", tmp_path / "trees", "."]
    alone = {"PATH": "", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*build, site], cwd=ROOT, capture_output=True, text=True, env=alone)
    assert done.returncode == 0, done.stderr
    assert 'url=docs/index.html"' in (site / "index.html").read_text(encoding="utf-8")
    for page in site.rglob("*.html"):
        outside = [a for a in Addresses(page.read_text(encoding="utf-8")).found if OUTSIDE.match(a)]
        assert outside == [], page
    for style in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", style.read_text(encoding="utf-8")), style
    reference = (site / "docs/reference.html").read_text(encoding="utf-8")
    own = [f"toolkit.{n}" for n in tk.__all__ if n != "engine"]  # a package, whose names stand for themselves
    names = [*own, "toolkit.engine.postgres", *(f"toolkit.results.{n}" for n in results.__all__)]
    assert [name for name in names if f'id="{name}"' not in reference] == []
    assert (site / "searchindex.js").is_file()
