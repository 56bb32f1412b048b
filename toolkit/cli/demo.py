"""The sandbox as a server, and the main job on the shipped deliveries, described step by step."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbclient import NotebookClient

import toolkit as tk
from toolkit.cli.app import OK
from toolkit.config import SANDBOX, project_root
from toolkit.display import plural
from toolkit.errors import InputError
from toolkit.model import ID
from toolkit.results import Delivery

DELIVERIES = ("2026-09-01_customers.csv", "2026-10-01_customers.xlsx")
_QUIET = ["--IPKernelApp.log_level=ERROR"]  # a kernel warns that loopback is not encrypted
Say = Callable[[str], None]
MADE_HERE = ".made-by-toolkit-demo"


def sandbox(*, port: int = 8765, data: Path | None = None) -> int:
    """Serve the sandbox on loopback until interrupted.

    Parameters
    ----------
    port
        Where it listens, by default 8765; 0 for a free port.
    data
        Its folder; by default the one that the embedded sandbox uses.
    """
    settings = tk.Settings(base_url=None, target=SANDBOX)
    folder = data or settings.folder("sandbox")
    with tk.Sandbox(folder, port=port, contract=settings.contract) as server:
        print(f"Sandbox at {server.url}, contract {settings.contract}, data in {folder}", flush=True)
        token = "the one in PEAK_AUTH_TOKEN" if "PEAK_AUTH_TOKEN" in os.environ else "sandbox"
        print(f"Token: {token}. To work against it: TOOLKIT_BASE_URL={server.url}", flush=True)
        threading.Event().wait()
    return OK


def demo(*, folder: Path | None = None) -> int:
    """Run the main job on the shipped deliveries and the sandbox, and describe each step.

    Parameters
    ----------
    folder
        Where the demo writes its state and the executed notebooks; it is emptied first.
    """
    run_demo(folder, say=lambda line: print(line, flush=True))
    return OK


def run_demo(folder: Path | None = None, *, say: Say) -> None:
    """Push two deliveries to a sandbox that refuses a row, and run the notebooks.

    Parameters
    ----------
    folder
        Emptied first if an earlier demo created it; by default ``data/state/demo`` in the project's root.
    say
        Receives each line of the description.

    Raises
    ------
    InputError
        If the folder contains anything else.
    """
    root = project_root()
    place = folder or root / "data" / "state" / "demo"
    if place.exists() and not (place / MADE_HERE).exists() and (place.is_file() or any(place.iterdir())):
        raise InputError(f"{place} contains files that no demo created, and is not changed: name a new folder.")
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    (place / MADE_HERE).touch()
    first, second = (root / "data" / name for name in DELIVERIES)
    with tk.Sandbox(place / "sandbox") as server:
        say(f"Working against {tk.use(server).label}: a local server that follows the vendor's contract.")
        # The sandbox refuses the first customer of the first delivery.
        refused = str(tk.validate(tk.correct(_read(first))).good[ID].iloc[0])
        server.vendor.refuse = lambda row: (
            "price list is not known to the application" if row.get(ID) == refused else None
        )
        _deliver(first, place, say, "First delivery")
        server.vendor.refuse = None
        say("\nThe price list is created in the application: the sandbox no longer refuses that row.")
        _deliver(second, place, say, "Second delivery, a month later")
        say(f"\nThe record\n  {tk.status().summary()}")
        snapshot = tk.Ledger.of().snapshot()
        say(
            f"  The ledger has {plural(snapshot.versions.num_rows, 'version')} of "
            f"{plural(snapshot.n_customers, 'customer')}; the sandbox's table has {plural(len(server.table()), 'row')}."
        )
        entries = tk.Ledger.of().history(refused)
        say(
            f"  Customer {refused}, refused at first: {plural(len(entries), 'entry', 'entries')} in the ledger, from "
            f"{', '.join(entries['source_file'].unique())}."
        )
    run_notebooks(root / "notebooks", place / "notebooks", say=say)
    say(f"\nReports, to open in a browser: {place}")


def run_notebooks(source: Path, place: Path, *, say: Say) -> list[Path]:
    """Execute every notebook of a folder into another; returns the executed files."""
    place.mkdir(parents=True, exist_ok=True)
    done = []
    for path in sorted(source.glob("*.ipynb")):
        book = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
        state = place / f"{path.stem}_state"
        shutil.rmtree(state, ignore_errors=True)
        code = f"import os; os.environ['TOOLKIT_HOME'] = {str(state)!r}"
        book.cells.insert(0, nbformat.v4.new_code_cell(code))
        here = {"metadata": {"path": str(path.parent)}}
        NotebookClient(book, kernel_name="python3", timeout=300, resources=here, extra_arguments=_QUIET).execute()
        del book.cells[0]
        nbformat.write(book, place / path.name)
        done.append(place / path.name)
    say(f"\nExecuted notebooks: {place}" if done else "\nThere are no notebooks beside this installation.")
    return done


def _read(path: Path) -> Delivery:
    return tk.read_customers(path, mapping=path.with_suffix(".toml"))


def _deliver(path: Path, place: Path, say: Say, title: str) -> None:
    say(f"\n{title}: {path.name}")
    corrected = tk.correct(delivery := _read(path))
    report = tk.validate(corrected)
    changes = tk.diff(tk.Ledger.of().snapshot(), report)
    plan = tk.plan_push(changes)
    result = tk.push(plan, reason=title, progress=False)
    refusals = result.refused.itertuples()
    for word, step, details in (
        ("read", delivery, delivery.notes),
        ("corrected", corrected, ()),
        ("checked", report, [f"{why}: {n}" for why, n in report.counts.items()]),
        ("compared", changes, ()),
        ("planned", plan, ()),
        ("pushed", result, [f"refused: row {r.source_row} of the file: {r.code} {r.message}" for r in refusals]),
    ):
        for line in (f"{word:<10} {step.summary()}", *(f"{'':<10} {detail}" for detail in details)):
            say(f"  {line}")
        step.to_html(place / f"{path.stem}_{word}.html")
