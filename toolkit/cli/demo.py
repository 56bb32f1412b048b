"""The main job on the shipped deliveries, told in plain words: what `toolkit demo` runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from toolkit.config import Settings, project_root
from toolkit.display import plural
from toolkit.errors import InputError
from toolkit.ledger import Ledger, diff
from toolkit.model import ID
from toolkit.pushing import PushReport, plan_push, push, status
from toolkit.quality import correct, validate
from toolkit.reading import read_customers
from toolkit.vendor import Sandbox

DELIVERIES = ("2026-09-01_customers.csv", "2026-10-01_customers.xlsx")
_QUIET = ["--IPKernelApp.log_level=ERROR"]  # a kernel warns that loopback is not encrypted
Say = Callable[[str], None]
MADE_HERE = ".made-by-toolkit-demo"


def run_demo(folder: Path | None = None, *, say: Say) -> None:
    """Push two deliveries to a sandbox that refuses a row, and run the notebooks.

    Parameters
    ----------
    folder
        Emptied first if an earlier demo made it; by default ``data/state/demo`` in the project's root.
    say
        Takes each line of the story.

    Raises
    ------
    InputError
        If the folder holds anything else.
    """
    root = project_root()
    place = folder or root / "data" / "state" / "demo"
    if place.exists() and not (place / MADE_HERE).exists() and (place.is_file() or any(place.iterdir())):
        raise InputError(f"{place} holds files that no demo made, so it is left as it is: name a new folder.")
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    (place / MADE_HERE).touch()
    refused = _first_customer(root / "data" / DELIVERIES[0])
    with Sandbox(place / "sandbox") as sandbox:
        settings = Settings(base_url=sandbox.url, home=place / "state", ledger=place / "state" / "ledger")
        say(f"Working against {settings.label}: a local server that keeps the vendor's contract.")
        sandbox.vendor.refuse = lambda row: (
            "price list is not known to the application" if row.get(ID) == refused else None
        )
        _deliver(root / "data" / DELIVERIES[0], settings, place, say, "First delivery")
        sandbox.vendor.refuse = None
        say("\nThe price list is created in the application: the sandbox refuses that row no more.")
        _deliver(root / "data" / DELIVERIES[1], settings, place, say, "Second delivery, a month later")
        say("\nThe record")
        say(f"  {status(settings=settings).summary()}")
        snapshot = Ledger.of(settings).snapshot()
        table = sandbox.table()
        say(
            f"  The ledger holds {plural(snapshot.versions.num_rows, 'version')} of "
            f"{plural(snapshot.n_customers, 'customer')}; the sandbox's table holds {plural(len(table), 'row')}."
        )
        entries = Ledger.of(settings).history(refused)
        say(
            f"  Customer {refused}, refused at first: {plural(len(entries), 'entry', 'entries')} in the ledger, from "
            f"{', '.join(entries['source_file'].unique())}."
        )
    run_notebooks(root / "notebooks", place / "notebooks", say=say)
    say(f"\nReports, to open in a browser: {place}")


def run_notebooks(source: Path, place: Path, *, say: Say, **parameters: Any) -> list[Path]:
    """Execute every notebook of a folder into another; returns the executed files.

    Parameters
    ----------
    parameters
        Constants set after each notebook's parameters cell.
    """
    place.mkdir(parents=True, exist_ok=True)
    done = []
    for path in sorted(source.glob("*.ipynb")):
        book = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
        state = place / f"{path.stem}_state"
        shutil.rmtree(state, ignore_errors=True)
        code = "\n".join(
            [
                f"import os; os.environ['TOOLKIT_HOME'] = {str(state)!r}",
                *(f"{name} = {value!r}" for name, value in parameters.items()),
            ]
        )
        book.cells.insert(0, nbformat.v4.new_code_cell(code, metadata={"tags": ["injected"]}))
        here = {"metadata": {"path": str(path.parent)}}
        NotebookClient(book, kernel_name="python3", timeout=300, resources=here, extra_arguments=_QUIET).execute()
        del book.cells[0]
        nbformat.write(book, place / path.name)
        done.append(place / path.name)
    say(f"\nExecuted notebooks: {place}" if done else "\nThere are no notebooks beside this installation.")
    return done


def _deliver(path: Path, settings: Settings, place: Path, say: Say, title: str) -> PushReport:
    say(f"\n{title}: {path.name}")
    delivery = read_customers(path, mapping=path.with_suffix(".toml"))
    say(f"  read       {delivery.summary()} ({', '.join(delivery.notes)})")
    corrected = correct(delivery)
    say(f"  corrected  {corrected.summary()}")
    report = validate(corrected, settings=settings)
    say(f"  checked    {report.summary()}")
    for why, n in report.counts.items():
        say(f"             {why}: {n}")
    changes = diff(Ledger.of(settings).snapshot(), report)
    say(f"  compared   {changes.summary()}")
    plan = plan_push(changes, settings=settings)
    say(f"  planned    {plan.summary()}")
    result = push(plan, settings=settings, reason=title, progress=False)
    say(f"  pushed     {result.summary()}")
    for row in result.refused.to_dict("records"):
        say(
            f"             refused: row {row['source_row']} of the file, customer {row[ID]}: "
            f"{row['code']} {row['message']}"
        )
    for name, each in (("validation", report), ("diff", changes), ("plan", plan), ("push", result)):
        each.to_html(place / f"{path.stem}_{name}.html")
    return result


def _first_customer(path: Path) -> str:
    """Return the id of the delivery's first customer, whom the sandbox will refuse."""
    delivery = read_customers(path, mapping=path.with_suffix(".toml"))
    return str(validate(correct(delivery)).good[ID].iloc[0])
