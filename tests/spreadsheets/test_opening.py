"""The process in which workbooks are opened: it starts anywhere, and nothing that ends it ends the caller."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from openpyxl import Workbook

from tests.support.cases import CASES
from toolkit.errors import ReadingError
from toolkit.spreadsheets import Sheet, open_workbook, opening


@pytest.fixture
def small(tmp_path: Path) -> Path:
    book = Workbook()
    assert book.active is not None
    book.active.append(["00123", "a"])
    book.save(tmp_path / "small.xlsx")
    return tmp_path / "small.xlsx"


def opened(path: Path) -> list[Sheet]:
    with path.open("rb") as file:
        return open_workbook(file, path.name)


def texts(path: Path) -> list[str]:
    return opened(path)[0].cells["text"].to_pylist()


@pytest.mark.parametrize("executable", ["", None, "/usr/sbin/uwsgi"])
def test_an_embedded_interpreter_finds_its_python(
    small: Path, monkeypatch: pytest.MonkeyPatch, executable: str
) -> None:
    monkeypatch.setattr(sys, "executable", executable)
    assert texts(small) == ["00123", "a"]


def test_modules_of_the_folder_are_not_imported(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("zipfile", "json", "pyarrow", "toolkit", "sitecustomize"):
        (small.parent / f"{name}.py").write_text("raise SystemExit('from the folder')")
    monkeypatch.chdir(small.parent)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    assert texts(small) == ["00123", "a"]


def test_what_was_typed_to_the_caller_is_left_for_it(small: Path) -> None:
    code = f"from tests.spreadsheets.test_opening import *; print(texts(Path({str(small)!r})), input())"
    done = subprocess.run([sys.executable, "-c", code], input="mine\n", capture_output=True, text=True, check=True)
    assert done.stdout == "['00123', 'a'] mine\n"


def test_a_python_that_does_not_start_is_one_sentence(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_python", lambda: "/no/python")
    with pytest.raises(ReadingError, match=r"small\.xlsx: the process .* did not start \(.*No such file"):
        opened(small)


def test_an_environment_without_a_library_is_one_sentence(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_CHILD", "import no_such_library")
    with pytest.raises(ReadingError, match=r"did not start \(ModuleNotFoundError.*no_such_library"):
        opened(small)


ENDS = {
    "a signal": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
    "an abort": "import os; os.abort()",
    "a lack of memory": "import sys; sys.stdout.write('x'); raise MemoryError",
    "an exit": "import os; os._exit(77)",
}


@pytest.mark.parametrize("end", ENDS)
def test_whatever_ends_the_process_is_one_sentence(small: Path, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    monkeypatch.setattr(opening, "_CHILD", ENDS[end])
    with pytest.raises(ReadingError, match=r"^small\.xlsx is damaged, not a workbook, or needs more than 2 GB"):
        opened(small)


def test_the_processor_time_has_a_limit(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    endless = opening._CHILD.replace(
        "import main; sys.exit(main())", "import _limit\n_limit(2 << 30, 1)\nwhile True: 1"
    )
    monkeypatch.setattr(opening, "_CHILD", endless)
    monkeypatch.setattr(opening, "MAX_SECONDS", 1)
    with pytest.raises(ReadingError, match=r"small\.xlsx takes more than 1 seconds to open"):
        opened(small)


def test_the_time_that_may_pass_has_a_limit(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_CHILD", "import signal; signal.pause()")
    monkeypatch.setattr(opening, "MAX_SECONDS", 0.05)
    with pytest.raises(ReadingError, match=r"small\.xlsx takes more than"):
        opened(small)


def test_the_memory_has_a_limit_and_no_core_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ReadingError, match=r"crash_2\.xls is damaged"):
        opened(CASES / "hostile" / "crash_2.xls")
    assert not list(tmp_path.iterdir())


def test_the_process_imports_neither_pandas_nor_numpy(small: Path) -> None:
    code = opening._CHILD.replace("sys.exit(main())", "main(); print(sorted(sys.modules), file=sys.stderr)")
    with small.open("rb") as file:
        done = subprocess.run(
            [sys.executable, "-P", "-c", code, json.dumps([None, 2 << 30, 60])],
            stdin=file,
            capture_output=True,
            check=True,
        )
    modules = done.stderr.decode()
    assert "'toolkit.spreadsheets.xlsx'" in modules
    for heavy in ("pandas", "numpy.", "openpyxl", "toolkit.reading", "toolkit.model"):
        assert f"'{heavy}" not in modules
