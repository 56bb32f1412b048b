"""open_workbook(): the child process is started, and what it says becomes sheets or one error."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyarrow as pa

from toolkit.errors import ReadingError
from toolkit.spreadsheets.sheets import REFUSED, Facts

MAX_BYTES = 2 << 30
"""Memory that opening a workbook may take; Windows and macOS do not limit it."""
MAX_SECONDS = 300
"""Processor time that it may take, and half of the time that may pass; on Windows only the latter."""
_AT_LIMIT = -getattr(signal, "SIGXCPU", 0)
# Arrow works without numpy, whose import would take longer than to read a small workbook.
_CHILD = "import sys; sys.modules['numpy'] = None; from toolkit.spreadsheets.child import main; sys.exit(main())"


@dataclass(eq=False, kw_only=True)
class Sheet(Facts):
    """A sheet of a workbook: its facts, and its filled cells, of `toolkit.spreadsheets.sheets.SCHEMA`."""

    cells: pa.Table

    @property
    def n_rows(self) -> int:
        """Number of filled rows."""
        return len(self.cells["row"].unique())


def open_workbook(file: IO[bytes], name: str, sheet: str | None = None) -> list[Sheet]:
    """Read the sheets of a workbook in a child process.

    Parameters
    ----------
    file
        An open file of the file system.
    name
        What messages call it.
    sheet
        The only sheet whose cells are wanted; None: all.

    Raises
    ------
    ReadingError
        If it cannot be read, whatever happened to the child.
    """
    command = [_python(), "-P", "-c", _CHILD, json.dumps([sheet, MAX_BYTES, MAX_SECONDS])]
    # The child imports from where this process does.
    variables = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "ARROW_DEFAULT_MEMORY_POOL": "system"}
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            command, stdin=file, capture_output=True, env=os.environ | variables, timeout=2 * MAX_SECONDS, check=False
        )
        output, code, said = done.stdout, done.returncode, done.stderr.decode(errors="replace")
    except subprocess.TimeoutExpired:
        output, code, said = b"", _AT_LIMIT, ""
    except OSError as error:
        output, code, said = b"", 1, str(error)
    if code == 0:
        return list(_received(pa.ipc.open_stream(output)))
    reason = said.strip().rpartition("\n")[2]
    if code == REFUSED:
        raise ReadingError(f"{name} {reason}")
    if code == _AT_LIMIT:
        raise ReadingError(
            f"{name} takes more than {MAX_SECONDS} seconds to open: delete the sheets that are not needed, or save the "
            "table as .csv (UTF-8)."
        )
    if code == 1 and not output:
        raise ReadingError(
            f"{name}: the process that opens workbooks did not start ({reason}): save it as .csv (UTF-8)."
        )
    raise ReadingError(
        f"{name} is damaged, not a workbook, or needs more than {MAX_BYTES / (1 << 30):g} GB of memory: open it in "
        "Excel, delete what does not belong to the table, and save it again as .xlsx."
    )


def _received(stream: pa.RecordBatchReader) -> Iterator[Sheet]:
    with suppress(StopIteration):
        while True:
            cells, about = stream.read_next_batch_with_custom_metadata()
            yield Sheet(**json.loads(about[b"sheet"]), cells=pa.Table.from_batches([cells]))


def _python() -> str:
    """Return the Python to start; where Python is embedded, `sys.executable` is another program, or none."""
    if Path(sys.executable or "").stem.lower().startswith(("python", "pypy")):
        return sys.executable
    return str(Path(sys.exec_prefix, "python.exe" if os.name == "nt" else "bin/python3"))
