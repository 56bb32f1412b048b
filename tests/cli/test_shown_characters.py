"""On a terminal no name, cell, reason or author moves the cursor, turns text around or begins a line of its own."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from toolkit import cli
from toolkit.cli.app import say
from toolkit.vendor.sandbox import Sandbox

EVIL = "x\x1b[2J\rAccepted, 0 refused\n  5 accepted\u202egpj\u2066\u200b\x9b31m\x7f"
HEADER = "customer_id,updated_at,customer_name,source\n"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOGNAME", EVIL)  # the author, as getpass knows it
    path = tmp_path / f"{EVIL.replace('/', '')}.csv"
    rows = ['"{0}",2026-01-01T00:00:00Z,"{0}",customer\n'.format(EVIL.replace("\n", " ")),
            f'C2,2026-01-01T00:00:00Z,"{EVIL}",ERP\nC3,soon,"{EVIL}",customer\n']  # fmt: skip
    path.write_text(HEADER + "".join(rows), encoding="utf-8", newline="")
    return path


COMMANDS = ["suggest", "check", "profile", "corrections", "diff", "plan", "push", "status", "pushes", "history",
            "report", "mapping", "no file", "no mapping", "no correction", "no column", "no push", "no guard",
            "no option"]  # fmt: skip


def arguments(command: str, file: Path) -> list[str]:
    more = {"push": ["--yes", "--allow", "all", "--reason", EVIL], "no mapping": ["--mapping", EVIL],
            "no correction": ["--correct", EVIL], "no column": ["--set", f"{EVIL}=x"],
            "mapping": ["--mapping", str(file)], "no guard": ["--allow", EVIL], "no option": [f"--{EVIL}"]}  # fmt: skip
    if command in ("status", "pushes", "report"):
        return [command]
    if command == "history":
        return [command, EVIL.replace("\n", " ")]
    if command == "no push":
        return ["report", EVIL]
    name = {"no guard": "plan"}.get(command, command if command in COMMANDS[:7] else "check")
    return [name, f"{file}x" if command == "no file" else str(file), *more.get(command, [])]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("as_json", [False, True])
def test_no_character_runs_on_the_terminal(
    file: Path, command: str, as_json: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Sandbox() as server:
        monkeypatch.setenv("TOOLKIT_BASE_URL", server.url)
        monkeypatch.setenv("PEAK_AUTH_TOKEN", "sandbox")
        if command in ("status", "pushes", "history", "report"):
            cli.main(arguments("push", file))
            capsys.readouterr()
        code = cli.main([*arguments(command, file), *(["--json"] if as_json else [])])
    out, err = capsys.readouterr()
    assert (code == 2) == (command.startswith("no ") or command == "mapping")
    for stream in (out, err):
        assert not re.findall(r"[^\n]", "".join(c for c in stream if not c.isprintable())), repr(stream)
        assert not re.search(r"(?m)^\W*(Accepted, 0|5 accepted)", stream), repr(stream)
    if as_json:
        (line,) = out.splitlines()
        said = json.loads(line)
        if command == "history":
            assert said["entries"][0]["reason"] == said["entries"][0]["author"] == EVIL  # JSON keeps what was there


def test_a_line_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\u202eb\nc\udcff")
    assert capsys.readouterr().err == "a\\u202eb\\nc\\udcff\n"
