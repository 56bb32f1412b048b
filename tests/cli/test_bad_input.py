"""What was typed wrongly is one sentence that names it and the cure, exit 2, nothing written, nothing sent."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd
import pytest

from toolkit import cli
from toolkit.vendor.sandbox import Sandbox

ROWS = "customer_id,updated_at,customer_name,source\nC1,2026-01-01T00:00:00Z,One,customer\n"
LONG = "x" * 5_000
FILES: dict[str, str | bytes] = {
    "ok.csv": ROWS,
    "empty.csv": "",
    "patch.csv": "a,b\n1,2\n",
    "not.xlsx": "hello",
    "not.parquet": "hello",
    "not.json": "{",
    "deep.json": "[" * 100_000,
    "nan.json": '[{"customer_id": NaN, "updated_at": "2026-01-01T00:00:00Z"}]',
    "endless.jsonl": '{"customer_id": -Infinity, "updated_at": "2026-01-01T00:00:00Z"}\n',
    "folder/x.docx": "x",
    "broken.toml": "a = [1,",
    "binary.toml": b"\xff\xfe\x00",
    "deep.toml": f"a = {'[' * 5_000}",
    "digits.toml": f"[format]\nheader_row = {'9' * 5_000}\n",
    "late.toml": "[format]\nheader_row = 99999999999999999999999\n",
    "nul.toml": '[format]\nencoding = "utf-8\\u0000"\n',
    "unknown.toml": '[colums]\na = "b"\n',
    "section.toml": "columns = 3\n",
    "zone.toml": '[format]\ntimezone = "../../etc/passwd"\n',
}

# The command line, and words that the sentence has.
WRONG: list[tuple[list[str], str]] = [
    # a file to read
    (["check", "nowhere/x.csv"], "nowhere/x.csv"),
    (["check", "folder"], "folder"),
    (["check", "/dev/null"], "null"),
    (["check", "loop"], "loop"),
    (["check", "ok.csv/x"], "ok.csv/x"),
    (["check", f"{LONG}.csv"], "cannot be used (File name too long)"),
    (["check", "a\0b.csv"], "contains a NUL"),
    (["check", "\udcff.csv"], "no UTF-8 text"),
    (["check", "empty.csv"], "empty.csv is empty"),
    (["check", "not.xlsx"], "not.xlsx"),
    (["check", "not.parquet"], "not.parquet"),
    (["check", "not.json"], "not.json"),
    (["check", "deep.json"], "deep.json"),
    (["scan", "folder"], "folder"),
    (["suggest", "folder"], "folder"),
    (["seed", "nowhere.csv", "--reason", "x"], "nowhere.csv"),
    (["review", "not.xlsx", "--out", "out.csv"], "not.xlsx"),
    (["review", "book.xlsx", "--out", "out.csv"], "book.xlsx"),
    # a mapping, a patch, a sheet
    (["check", "ok.csv", "--mapping", "folder"], "The mapping folder"),
    (["check", "ok.csv", "--mapping", LONG], "cannot be opened (File name too long)"),
    *((["check", "ok.csv", "--mapping", name], name) for name in FILES if name.endswith(".toml")),
    (["check", "ok.csv", "--patch", "nowhere.csv"], "nowhere.csv"),
    (["check", "ok.csv", "--patch", "patch.csv"], "patch.csv is not a patch"),
    (["check", "ok.csv", "--patch", "folder"], "folder"),
    (["check", "ok.csv", "--patch", "book.xlsx"], "book.xlsx"),
    (["check", "ok.csv", "--sheet", "x"], "ok.csv is no workbook, and has no sheets: leave out the sheet"),
    (["check", "book.xlsx", "--sheet", "nope"], "no sheet 'nope'"),
    # a file to write
    (["scan", "ok.csv", "--good", "ok.csv"], "ok.csv is the file to read"),
    (["scan", "ok.csv", "--good", "same.csv", "--bad", "./same.csv"], "same.csv cannot be written twice"),
    (["scan", "ok.csv", "--good", "x.docx"], "x.docx"),
    (["scan", "ok.csv", "--good", f"{LONG}.csv"], "File name too long"),
    (["snapshot", "--out", "folder"], "folder"),
    (["snapshot", "--out", "nowhere/x.csv"], "nowhere/x.csv"),
    (["snapshot", "--raw"], "leave out --raw"),
    (["snapshot", "--raw", "--out", "x.parquet"], "leave out --raw"),
    (["check", "ok.csv", "--excel", "ok.csv/y.xlsx"], "y.xlsx"),
    (["check", "ok.csv", "--html", "a\0.html"], "contains a NUL"),
    (["suggest", "ok.csv", "--to", "ok.csv"], "ok.csv"),
    (["demo", "--folder", "ok.csv/x"], "ok.csv/x"),
    # a value
    (["check", "ok.csv", "--set", "=x"], "''"),
    (["check", "ok.csv", "--set", "source=\udcff"], "no UTF-8 text"),
    (["check", "ok.csv", "--correct", f"pad_ids={'[' * 3_000}"], "pad_ids"),
    (["check", "ok.csv", "--correct", f"pad_ids={'9' * 6_000}"], "pad_ids"),
    (["check", "ok.csv", "--correct", "pad_ids=-1"], "from 1 to 40"),
    (["check", "ok.csv", "--language", "xx"], '"en", "de", "fr"'),
    (["plan", "ok.csv", "ok.csv"], "ok.csv"),
    (["snapshot", "--as-of", "9999-12-31T23:59:59-12:00"], "as_of is not a time"),
    (["snapshot", "--as-of", "5"], "as_of is not a time"),
    (["history", "\udcff"], "no UTF-8 text"),
    (["history", "nobody"], "has no entry of this customer: check the id"),
    (["check", "nan.json"], "nan.json contains NaN, which is not JSON: have it written as null"),
    (["check", "endless.jsonl"], "endless.jsonl contains -Infinity, which is not JSON"),
    (["retract", "C1", "2026-01-01", "--push", "p", "--reason", "x"], "or --push NAME"),
    (["settle", "p", "--accepted-row", "x", "--reason", "x"], "--accepted-row"),
    (["report", "../x"], "../x"),
    (["sandbox", "--port", "99999"], "127.0.0.1:99999"),
    (["sandbox", "--port", "-1"], "0 for a free one"),
    (["sandbox", "--data", "ok.csv/x", "--port", "0"], "ok.csv/x"),
    (["--target", "../x", "status"], "no target '../x'"),
    (["check", "ok.csv", "--json=maybe"], "--json"),
]


def everything_in(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.lstat().st_size for path in folder.rglob("*") if not path.is_dir()}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work"
    for name, content in FILES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    (folder / "loop").symlink_to("loop")
    pd.DataFrame({"customer_id": ["1"], "updated_at": ["2026-01-01T00:00:00Z"]}).to_excel(
        folder / "book.xlsx", index=False
    )
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(("arguments", "words"), WRONG, ids=lambda value: repr(value)[:60])
def test_a_wrong_input_is_one_sentence(
    place: Path,
    arguments: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = everything_in(place)
    with Sandbox() as server:
        monkeypatch.setenv("TOOLKIT_BASE_URL", server.url)
        monkeypatch.setenv("PEAK_AUTH_TOKEN", "sandbox")
        assert cli.main(arguments) == 2
        assert server.requests().empty
    out, err = capsys.readouterr()
    said = [line for line in err.splitlines() if line.startswith("error: ")]
    assert out == ""
    assert len(said) == 1
    assert err.endswith(f"{said[0]}\n")
    assert words in said[0]
    assert "Traceback" not in err
    assert everything_in(place) == before


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BASE_URL", "http://[::1"),
        ("BASE_URL", "garbage"),
        ("HOME", "/proc/x"),
        ("HOME", "h\udcff"),
        ("LEDGER", "h\udcff"),
        ("CONTRACT", "xx"),
        ("TARGET", "../x"),
        ("ATTRIBUTES", "{"),
        ("LEDGER", "s3://nope/x"),
    ],
)
def test_a_wrong_setting_is_one_sentence(
    place: Path, name: str, value: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"TOOLKIT_{name}", value)
    assert cli.main(["status"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: ")
    assert f"TOOLKIT_{name}" in said


def test_a_folder_without_permission_is_one_sentence(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "state")  # as root, every folder is permitted

    monkeypatch.setattr(os, "mkdir", refused)
    assert cli.main(["demo", "--folder", "new", "--json"][:3]) == 2
    assert (
        capsys.readouterr().err == "error: state cannot be used (Permission denied): check its path and permissions.\n"
    )


def test_a_wrong_argument_leaves_json_one_object(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "a\0\u202e.csv", "--json"]) == 2
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["error"].startswith("a\0\u202e.csv contains a NUL")
    assert "\u202e" not in line
