"""Notebooks: run one unattended with other parameters, and write a first one of your own.

A cell with the tag ``parameters`` has the defaults; a cell after it, ``injected-parameters``, has what was given
instead. These are the tags of papermill, so that either program runs a notebook that was made for the other.
"""

from __future__ import annotations

import ast
import json as json_
import os
import re
from collections.abc import Iterator
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import nbformat
from cyclopts import Parameter
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

from toolkit import errors
from toolkit.cli.app import say
from toolkit.cli.terminal import Json, Overwrite, pairs, require_free, show_values
from toolkit.config import Settings, current, project_root
from toolkit.display import MIME, SCRIPT, STYLE, escape, page
from toolkit.errors import InputError, did_you_mean
from toolkit.files import replacing

PARAMETERS, INJECTED = "parameters", "injected-parameters"
Book = Any  # nbformat has no types


def run(
    notebook: Path,
    /,
    *,
    parameter: Annotated[tuple[str, ...], Parameter(name=["--parameter", "-p"])] = (),
    out: Path,
    overwrite: Overwrite = False,
    json: Json = False,
) -> int:
    """Run NOTEBOOK with other parameters; the exit code is that of the last result in it.

    Parameters
    ----------
    parameter
        A parameter of the notebook, as name=value; may be repeated. A value that names a file here becomes its path.
    out
        Where to write the notebook with its outputs, .ipynb; a page of them, .html, is written beside it. {date} in the
        name stands for today.
    """
    out = Path(str(out).replace("{date}", f"{date.today()}"))
    require_free(out, overwrite=overwrite, endings=(".ipynb",), sources=(notebook,))
    require_free(shown := out.with_suffix(".html"), overwrite=overwrite)
    try:
        book = nbformat.reads(notebook.read_text(encoding="utf-8"), as_version=4)
    except (ValueError, AttributeError, TypeError, nbformat.ValidationError):
        raise InputError(f"{notebook} is not a Jupyter notebook: give one that ends in .ipynb.") from None
    inject(book, pairs(parameter, "-p takes name=value, such as -p delivery=export.csv, and one of them has no '='."))
    try:
        execute(book, notebook.parent, {"TOOLKIT_TARGET": current().target})
    except (CellExecutionError, DeadKernelError) as error:
        kind = getattr(error, "ename", type(error).__name__)
        # The words of an error that is not ours may contain a row.
        why = getattr(error, "evalue", "") if hasattr(errors, kind) else kind
        raise InputError(f"{notebook.name} stopped: {why} What ran so far is in {out}.") from None
    finally:
        for path, text in ((out, nbformat.writes(book)), (shown, page(out.stem, "".join(_body(book))))):
            with replacing(path) as part:
                part.write_text(text, encoding="utf-8")
    found = [o.data[MIME] for cell in book.cells for o in cell.get("outputs", ()) if MIME in o.get("data", ())]
    results = [each for each in found if each["kind"] != Settings.__name__]
    if not results:
        raise InputError(f"{notebook.name} shows no result: put one, such as a report, last in a cell.")
    say(f"  written to {out} and {shown}")
    values = {"notebook": str(out), "page": str(shown), **results[-1]}
    return show_values(values, json, values["summary"], findings=values["has_findings"])


def inject(book: Book, given: dict[str, str]) -> None:
    """Put a cell with the given values after the one with the parameters; its defaults say of which kind they are.

    Raises
    ------
    InputError
        If a parameter is unknown, has another kind, or has no default and was not given.
    """
    book.cells = [cell for cell in book.cells if INJECTED not in cell.metadata.get("tags", ())]
    at = next((n for n, cell in enumerate(book.cells) if PARAMETERS in cell.metadata.get("tags", ())), None)
    try:
        lines = ast.parse("" if at is None else book.cells[at].source).body
    except SyntaxError as error:
        raise InputError(f"The cell with the parameters is not Python ({error.msg}): write name = value.") from None
    known: dict[str, ast.expr | None] = {}
    for line in lines:
        if isinstance(line, ast.Assign | ast.AnnAssign):
            names = line.targets if isinstance(line, ast.Assign) else [line.target]
            known |= {name.id: line.value for name in names if isinstance(name, ast.Name)}
    for name in given.keys() - known.keys():
        near = did_you_mean(name, known) or f": its parameters are {', '.join(known) or 'none'}."
        raise InputError(f"The notebook has no parameter {name!r}{near}")
    for name in [name for name, default in known.items() if default is None and name not in given]:
        raise InputError(f"The parameter {name!r} has no default: give it as -p {name}=….")
    if given and at is not None:
        lines_ = ["# Parameters", *(f"{name} = {_value(name, text, known[name])!r}" for name, text in given.items())]
        cell = nbformat.v4.new_code_cell("\n".join(lines_), metadata={"tags": [INJECTED]}, id=INJECTED)
        book.cells.insert(at + 1, cell)


def _value(name: str, text: str, default: ast.expr | None) -> object:
    # An id such as 00123 stays text where the default is text; only the notebook knows.
    if default is None or (isinstance(default, ast.Constant) and isinstance(default.value, str | None)):
        return str(Path(text).resolve()) if os.path.isfile(text) else text  # False for a text too long for a name
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        raise InputError(f"The parameter {name!r} is no text: give a value as Python has it, such as 7.") from None


def execute(book: Book, folder: Path, variables: dict[str, str], *arguments: str) -> None:
    """Run a notebook in place, in a folder and with further variables of the environment; it leaves no widgets."""
    # Without a log level a kernel warns that loopback is not encrypted.
    client = NotebookClient(
        book, kernel_name="python3", timeout=None, coalesce_streams=True, store_widget_state=False, record_timing=False,
        resources={"metadata": {"path": str(folder)}}, extra_arguments=["--IPKernelApp.log_level=ERROR", *arguments],
    )  # fmt: skip
    cells = [cell for cell in book.cells if cell.cell_type == "code"]
    for cell in cells:  # what an earlier run left would look like this one's
        cell.outputs, cell.execution_count = [], None
    try:
        client.execute(env=os.environ | variables)
    except AssertionError as error:  # nbclient ends the kernel on SIGINT and SIGTERM, and then misses it
        raise KeyboardInterrupt from error
    finally:
        for cell in cells:
            cell.outputs = [
                o
                for o in cell.outputs
                if o.get("text", "-").strip() and o.get("data", True) and "widget" not in str([*o.get("data", ())])
            ]


def _body(book: Book) -> Iterator[str]:
    """Yield the texts of a notebook, and its outputs: our results as they are, anything else as text."""
    for cell in book.cells:
        for text in cell.source.strip().split("\n\n") if cell.cell_type == "markdown" else ():
            tag = f"h{mark.end() - 1}" if (mark := re.match("#{1,6} ", text)) else "p"
            plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text.lstrip("# "))  # a link: the page names no address
            yield f"<{tag}>{escape(plain)}</{tag}>"
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if STYLE in data.get("text/html", ""):
                yield data["text/html"].replace(STYLE, "").replace(SCRIPT, "")
            else:
                text = output.get("text") or data.get("text/plain") or f"{output.get('ename')}: {output.get('evalue')}"
                yield f"<pre>{escape(text)}</pre>"


def new(name: str, /, *, file: Path) -> None:
    """Write a first notebook of your own, for one FILE, into notebooks/scratch, which git ignores.

    Parameters
    ----------
    file
        The delivery; its mapping is the .toml beside it, which the notebook proposes if there is none.
    """
    path = project_root() / "notebooks" / "scratch" / f"{name}.ipynb"
    if not re.fullmatch(r"[\w-][\w.-]{0,63}", name) or path.exists():
        raise InputError(f"{str(path)!r} exists, or is no name: give another, of letters, digits, '-', '_' and '.'.")
    file = file.resolve(strict=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    given = {"FILE": file.name, "DELIVERY": file, "MAPPING": file.with_suffix(".toml"), "TARGET": current().target}
    text = files(__package__).joinpath("notebook.md").read_text(encoding="utf-8")
    text = re.sub("[A-Z]{4,}", lambda found: json_.dumps(str(given[found[0]]), ensure_ascii=False), text)
    parts = re.split(r"\n*```(?:python)?\n+", text.strip())
    make = (nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell)
    cells = [make[n % 2](part) for n, part in enumerate(parts) if part]
    cells[1].metadata["tags"] = [PARAMETERS]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    with replacing(path) as part:
        part.write_text(nbformat.writes(nbformat.v4.new_notebook(cells=cells, metadata=kernel)), encoding="utf-8")
    say(f"  written to {path}: open it in JupyterLab, and run it from top to bottom")
