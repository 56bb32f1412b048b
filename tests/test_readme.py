"""The README: every block in it runs, loads or parses, and every command has a place in it."""

from __future__ import annotations

import argparse
import io
import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from toolkit import cli
from toolkit.cli.app import COMMANDS
from toolkit.config import Settings
from toolkit.errors import ToolkitError
from toolkit.vendor import Sandbox

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
FILE = ROOT / "data" / "2026-09-01_customers.csv"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def shell_lines(program: str) -> list[list[str]]:
    lines = [shlex.split(line, comments=True) for block in blocks("sh") for line in block.splitlines()]
    return [words for words in lines if words and words[0] == program]


def test_every_block_is_of_a_kind_that_is_tested_here() -> None:
    assert set(re.findall(r"^```(.+)$", TEXT, re.MULTILINE)) == {"sh", "python", "toml"}
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.strip()]
    assert {shlex.split(line, comments=True)[0] for line in lines} == {"make", "conda", "toolkit", "jupyter"}


def test_the_python_runs_as_it_stands(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks("python"))],
        cwd=ROOT, capture_output=True, text=True,
        env={"TOOLKIT_HOME": str(tmp_path / "state"), "PATH": "", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "394 good" in done.stdout
    assert "394 rows in the sandbox's table" in done.stdout


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_commands_run_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = shell_lines("toolkit")
    lines.remove(["toolkit", "demo"])  # tests/test_notebooks.py runs it
    monkeypatch.chdir(tmp_path)
    with Sandbox(tmp_path / "vendor") as sandbox:
        monkeypatch.setenv("TOOLKIT_BASE_URL", sandbox.url)
        sandbox.vendor.refuse = lambda row: "closed" if row["customer_price_list_id"] == "PL-ENT-004" else None
        customer = ""
        for _, *words in lines:
            monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
            if words[0] == "repush":
                sandbox.vendor.refuse = None
            pushes = json.loads(printed("pushes", "--json", capsys=capsys))["pushes"] if words[0] != "suggest" else []
            for corrected in [word for word in words if word.endswith("-corrected.xlsx")]:  # the owner sent it back
                (tmp_path / corrected.replace("-corrected", "")).rename(tmp_path / corrected)
            names = {"FILE": str(FILE), "PUSH": pushes[0]["push"] if pushes else "", "ID": customer}
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
    assert [words[1] for words in lines][-1] == "status"


def printed(*arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    code = cli.main(arguments)
    out, err = capsys.readouterr()
    assert code in (0, 1), (arguments, err)
    return out


def test_the_settings_can_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = blocks("toml")
    monkeypatch.setattr("toolkit.config.project.PACKAGE", tmp_path / "toolkit")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toolkit.toml").write_text(block, encoding="utf-8")
    default, named = Settings(), Settings(target="acme")
    assert default.url() == "https://acme-test.example.com/api/v2/ingest/object/QP_CUSTOMER_ACME"
    assert named.url() == "https://acme.example.com/api/v2/objects/CUSTOMER"
    monkeypatch.setenv("TOOLKIT_BASE_URL", "https://elsewhere.example.com")
    with pytest.raises(ToolkitError, match="cannot change the host of the target 'acme'"):
        Settings(target="acme")
    for style in re.findall(r'"([a-z/]+)"', next(line for line in block.splitlines() if "path_style" in line)):
        assert Settings(path_style=style).path_style == style


def test_make_and_conda_know_what_is_asked_of_them() -> None:
    rules = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    asked = set(re.findall(r"make (\w+)", TEXT))
    assert {"demo", "test", "lab"} <= asked <= rules
    for _, rule in shell_lines("make"):
        assert rule in rules
    conda = argparse.ArgumentParser()
    verbs = conda.add_subparsers(required=True)
    create = verbs.add_parser("env").add_subparsers(required=True).add_parser("create")
    create.add_argument("-f", dest="file", required=True)
    verbs.add_parser("activate").add_argument("name")
    environment = (ROOT / "environment.yml").read_text(encoding="utf-8")
    for _, *words in shell_lines("conda"):
        parsed = vars(conda.parse_args(words))
        assert (ROOT / parsed.get("file", "environment.yml")).is_file()
        assert f"name: {parsed['name']}" in environment if "name" in parsed else True
    for _, verb, folder in shell_lines("jupyter"):
        assert (verb, (ROOT / folder).is_dir()) == ("lab", True)


def test_make_lab_starts_jupyter_and_nothing_beside_it() -> None:
    done = subprocess.run(["make", "-n", "lab"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [line.split()[0] for line in done.stdout.splitlines() if "jupyter lab" in line] == [".venv/bin/jupyter"]
    assert "sandbox" not in done.stdout  # a notebook starts its own, and a taken port would be hidden


def test_every_command_has_its_place() -> None:
    known = {name for commands in COMMANDS.values() for name in commands}
    assert {words[1] for words in shell_lines("toolkit")} <= known
    assert {name for name in known if f"toolkit {name}" not in TEXT and f"`{name}`" not in TEXT} == set()


def test_every_link_leads_to_a_file() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / target).exists(), target
