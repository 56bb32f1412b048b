"""The commands and what each does in a line, the exit codes, and `main`.

Exit codes: 0 nothing to report, 1 findings (failures, differences, refused, unknown or unsent rows), 2 an error that
the analyst can fix, 130 interrupted. With ``--json`` one object goes to standard output and nothing else; messages go
to standard error.

A command is named by its import path and imported when it is called, so that ``toolkit --help`` does not wait for
pandas. For the same reason this module imports nothing but the errors and a face that is lazy itself.
"""

from __future__ import annotations

import json
import re
import sys
import warnings
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter

import toolkit as tk
from toolkit.characters import printable
from toolkit.errors import SchemaWarning, ToolkitError

OK, FINDINGS, ERROR, INTERRUPTED = 0, 1, 2, 130
_USED_UP = re.compile(
    r"(?P<disk>No space left|Disk quota exceeded|disk is full)|MemoryError|out ?of ?memory|bad_alloc|failed to map"
    r"|Cannot allocate memory|start new thread|Resource temporarily unavailable",
    re.IGNORECASE,
)
"""What Python, the system and the libraries say, in types of their own, if there is nothing left."""
_FULL = "The disk is full: free space, then repeat the command; 'toolkit resume' continues a push that was under way."
_TOO_LARGE = (
    "There is not enough memory, or there are too many threads: close other programs, or use a larger machine. "
    "'toolkit scan' checks a .parquet or .csv file that does not fit in memory; 'toolkit resume' continues a push that "
    "was under way."
)

COMMANDS = {
    "file_commands": {
        "suggest": "Propose which column of FILE is which, and how its times are written.",
        "check": "Check FILE against the contract; nothing leaves the machine.",
        "scan": "Check a FILE that does not fit in memory, .parquet or .csv, by the same rules.",
        "profile": "Show what FILE contains, column by column.",
        "corrections": "Count what each correction would change in FILE; nothing is changed.",
        "review": "Make a patch of the review sheet that the data owner sent back.",
        "diff": "Compare FILE with what was sent before.",
        "readiness": "Check whether quotes and sales can train the model, before and after a push of FILE.",
    },
    "push_commands": {
        "plan": "Plan what to send of FILE; nothing leaves the machine.",
        "push": "Send what FILE changes, and report what became of every row.",
        "resume": "Continue a push that stopped.",
        "abandon": "Close a push that stopped, without sending the rest.",
        "amend": "Send a new version of one customer, with other values in some columns.",
        "repush": "Send again the rows of push NAME that were not accepted.",
        "revert": "Send versions that restore what the vendor held before push NAME.",
        "settle": "Record what became of the unknown rows of push NAME, as seen in the vendor's table.",
    },
    "record_commands": {
        "status": "Show where the target stands: its ledger, its pushes, what waits.",
        "report": "Report what became of every row of push NAME, by default of the last one.",
        "pushes": "List every push to the target, including those of colleagues on a shared ledger.",
        "snapshot": "Write the customers as the vendor should hold them.",
        "history": "Show every entry of one customer in the ledger, oldest first.",
        "seed": "Record in the ledger the customers of FILE, which were sent without the toolkit; nothing is sent.",
        "retract": "Record that a version, or those of a push, did not arrive: the next diff lists them again.",
        "explain": "Show what CODE of the vendor has meant and what helped, or write it down.",
        "release": "Let others push to a shared ledger again after push NAME was left open on a lost machine.",
        "schema": "Compare the vendor's columns with ours; nothing is written.",
    },
    "notebooks": {
        "run": "Run NOTEBOOK with other parameters; the exit code is that of the last result in it.",
        "new": "Write a first notebook of your own, for one FILE, into notebooks/scratch, which git ignores.",
    },
    "demo": {
        "sandbox": "Serve the sandbox on loopback until interrupted.",
        "demo": "Run the main job on the shipped deliveries and the sandbox, and describe each step.",
    },
}

app = App(
    name="toolkit",
    version=lambda: version("customer-toolkit"),
    help="Customer master data: check it, compare it, send exactly what changed.",
    result_action="return_value",
    suppress_keyboard_interrupt=False,
    default_parameter=Parameter(negative=(), show_default=False),
)
for module, commands in COMMANDS.items():
    for name, text in commands.items():
        app.command(f"toolkit.cli.{module}:{name}", name=name, help=text)
app.meta.suppress_keyboard_interrupt = False  # meta inherits the other options of the app, but not this one


@app.meta.default
def _launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    target: Annotated[str, Parameter(help="The target of toolkit.toml to work against; for every command.")] = "",
) -> Any:
    if target:
        tk.use(target)
    return app(tokens, exit_on_error=False, print_error=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    # With nbformat, jsonschema would build a grammar of addresses for 1.2 s, for a format that no notebook has.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    as_json = "--json" in given
    if odd := [each for each in given if re.search("[\0\ud800-\udfff]", each)]:
        cure = "type it again, or rename the file"
        return _failed(f"{odd[0]} contains a NUL, or bytes that are no UTF-8 text: {cure}.", as_json)
    try:
        with warnings.catch_warnings():
            warn = cache(lambda text: say(f"warning: {text}"))  # each once, from however many places
            warnings.simplefilter("always", SchemaWarning)
            warnings.showwarning = lambda message, *_, **__: warn(str(message))
            code = app.meta(given, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        return _failed(f"{error} See 'toolkit --help'.".replace("\n", " "), as_json)
    except ToolkitError as error:
        return _failed(str(error), as_json, getattr(error, "report", None))
    except KeyboardInterrupt as error:
        if as_json:
            report = getattr(error, "report", None)
            print_json({**(report.to_dict() if report else {}), "error": "interrupted"})
        said = re.sub(r"tk\.(\w+)\(\)", r"'toolkit \1'", str(error))
        say(said or "Interrupted. If a push was under way, 'toolkit resume' continues it; 'toolkit abandon' closes it.")
        return INTERRUPTED
    except Exception as error:
        if not (cure := _used_up(error)) and isinstance(error, OSError):
            why = error.strerror or error
            cure = f"{error.filename or 'A file'} cannot be used ({why}): check its path and permissions."
        if not cure:
            raise
        return _failed(cure, as_json)
    return code if isinstance(code, int) else OK


def print_json(values: dict[str, Any]) -> None:
    """Print one JSON object on standard output."""
    print(printable(json.dumps(values, ensure_ascii=False, default=str)))


def say(line: str) -> None:
    """Print a line on standard error; a name in it cannot begin another, or move the cursor."""
    print(printable(line), file=sys.stderr, flush=True)


def _used_up(error: BaseException | None) -> str:
    """Return what to do if an error, or one that it followed, says that memory, threads or the disk are used up."""
    while error:
        kind = f"{type(error).__name__} {error}"
        if found := _USED_UP.search(kind):
            return _FULL if found["disk"] else _TOO_LARGE
        error = error.__cause__ or error.__context__
    return ""


def _failed(message: str, as_json: bool, report: Any = None) -> int:
    if as_json:
        print_json({**(report.to_dict() if report else {}), "error": message})
    elif report:
        say(report.summary())
    say(f"error: {message}")
    return ERROR
