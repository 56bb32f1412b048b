"""The README: what it says to run runs, its calls and its links lead somewhere, and it is short."""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
from pathlib import Path

import pytest

import toolkit as tk
from tests.support.documents import ROOT, Reader, blocks_of
from toolkit.quality import corrections

README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")
BLOCKS = blocks_of(TEXT)
SHELL = [shlex.split(line, comments=True) for block in BLOCKS if block.kind == "sh" for line in block.text.splitlines()]


def test_every_block_is_of_a_kind_that_is_tested_here() -> None:
    assert {block.kind for block in BLOCKS} == {"sh", "python"}
    assert {words[0] for words in SHELL} == {"make", "conda", "toolkit", "jupyter"}
    assert [words for words in SHELL if words[0] == "toolkit"] == [["toolkit", "demo"]]  # test_notebooks.py runs it


def test_its_python_runs_and_then_the_calls_of_its_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = TEXT[TEXT.index("## I have") :]
    calls = re.findall(r"`(\w[\w.]*\(.*?\))`", table)
    assert len(calls) == 8
    reader = Reader(tmp_path / "place", monkeypatch)
    (reader.place / "notebooks").mkdir()
    monkeypatch.chdir(reader.place / "notebooks")  # where `make lab` leads
    with tk.Sandbox(tmp_path / "vendor") as sandbox:
        tk.use(sandbox)
        sandbox.vendor.refuse = lambda row: "closed" if row["customer_price_list_id"] == "PL-ENT-004" else None
        reader.follow(README, kinds=("python",))
        assert re.search(r"\d+ accepted", reader.printed)
        assert reader.names["report"].n_good == 394
        sandbox.vendor.refuse = None
        results = {}
        for call in calls:
            if call == "tk.resume()":  # nothing is open
                with pytest.raises(tk.errors.NothingOpenError):
                    exec(call, reader.names)
                continue
            results[call] = eval(call, reader.names)
            if "review.xlsx" in call:
                reader.names["patch"] = tk.read_review_sheet("review.xlsx", who="data owner")
    again, undone = (next(of for call, of in results.items() if name in call) for name in ("repush", "revert"))
    assert again.n_accepted == reader.names["result"].n_refused > 0
    assert undone.n_rows == 0  # of a first delivery, "customers that it added stay"
    (name,) = re.findall(r"`(\w+) = 7` under `\[corrections\]`", table)
    assert name in corrections.CORRECTIONS


def test_make_and_conda_know_what_is_asked_of_them() -> None:
    rules = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    asked = set(re.findall(r"make (\w+)", TEXT))
    assert {"demo", "test", "lab", "docs"} <= asked <= rules
    assert [words[1] for words in SHELL if words[0] == "make"] == ["lab", "demo", "test"]
    conda = argparse.ArgumentParser()
    verbs = conda.add_subparsers(required=True)
    create = verbs.add_parser("env").add_subparsers(required=True).add_parser("create")
    create.add_argument("-f", dest="file", required=True)
    verbs.add_parser("activate").add_argument("name")
    environment = (ROOT / "environment.yml").read_text(encoding="utf-8")
    for words in (words for words in SHELL if words[0] == "conda"):
        parsed = vars(conda.parse_args(words[1:]))
        assert (ROOT / parsed.get("file", "environment.yml")).is_file()
        assert f"name: {parsed['name']}" in environment if "name" in parsed else True
    ((_, verb, folder),) = [words for words in SHELL if words[0] == "jupyter"]
    assert (verb, (ROOT / folder).is_dir()) == ("lab", True)


def test_make_lab_starts_jupyter_and_nothing_beside_it() -> None:
    done = subprocess.run(["make", "-n", "lab"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [line.split()[0] for line in done.stdout.splitlines() if "jupyter lab" in line] == [".venv/bin/jupyter"]
    assert "sandbox" not in done.stdout  # a notebook starts its own, and a taken port would be hidden


def test_it_is_short_and_has_one_picture() -> None:
    assert len(TEXT.splitlines()) < 110
    assert len(re.findall(r"!\[[^\]]+\]", TEXT)) == 1
