"""The sandbox as a server, and the main job on the shipped deliveries, described step by step."""

from __future__ import annotations

import hashlib
import threading
from functools import partial
from pathlib import Path

import toolkit as tk
from toolkit.cli.app import OK
from toolkit.config import SANDBOX, project_root
from toolkit.display import plural
from toolkit.errors import InputError
from toolkit.files import is_special, keep
from toolkit.model import ID
from toolkit.results import Delivery

DELIVERIES = ("2026-09-01_customers.csv", "2026-10-01_customers.xlsx")
MADE_HERE = ".made-by-toolkit-demo"
_say = partial(print, flush=True)


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
        _say(f"Sandbox at {server.url}, contract {settings.contract}, data in {folder}")
        _say(f"Token: sandbox. To work against it: TOOLKIT_BASE_URL={server.url}")
        threading.Event().wait()
    return OK


def demo(*, folder: Path | None = None) -> int:
    """Run the main job on the shipped deliveries and the sandbox, and describe each step.

    Parameters
    ----------
    folder
        Where the demo writes its state and its reports, by default ``data/state/demo`` in the project's
        root. What an earlier demo wrote there is removed first.

    Raises
    ------
    InputError
        If the folder contains anything else, or a file was changed since.
    """
    root = project_root()
    place = (folder or root / "data" / "state" / "demo").absolute()
    list_ = place / MADE_HERE
    listed = list_.read_text(encoding="utf-8").splitlines() if list_.is_file() else []
    found = _files(place)
    other = next((path for path, line in found.items() if line not in listed), place if place.is_file() else None)
    if other:
        raise InputError(
            f"{other} was not written by a demo, or was changed since, and the demo replaces nothing of yours: name a "
            "new folder with --folder, or move it away."
        )
    for path in found:
        path.unlink()
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        _run(root, place)
    finally:
        keep(list_, lambda file: file.write("\n".join(_files(place).values()).encode()))
    return OK


def _files(place: Path) -> dict[Path, str]:
    """Return every file below a folder, and its line in the list: its digest and its name."""
    files = [
        path for path in place.rglob("*") if path != place / MADE_HERE and (path.is_symlink() or not path.is_dir())
    ]
    digests = ["" if is_special(path) else hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    return {path: f"{digest} {path.relative_to(place)}" for path, digest in zip(files, digests, strict=True)}


def _run(root: Path, place: Path) -> None:
    # Two deliveries go to a sandbox that refuses a row.
    first, second = (root / "data" / name for name in DELIVERIES)
    with tk.Sandbox(place / "sandbox") as server:
        _say(f"Working against {tk.use(server).label}: a local server that follows the vendor's contract.")
        # The sandbox refuses the first customer of the first delivery.
        refused = str(tk.validate(tk.correct(_read(first))).good[ID].iloc[0])
        server.vendor.refuse = lambda row: (
            "price list is not known to the application" if row.get(ID) == refused else None
        )
        _deliver(first, place, "First delivery")
        server.vendor.refuse = None
        _say("\nThe price list is created in the application: the sandbox no longer refuses that row.")
        _deliver(second, place, "Second delivery, a month later")
        _say(f"\nThe record\n  {tk.status().summary()}")
        snapshot = tk.Ledger.of().snapshot()
        _say(
            f"  The ledger has {plural(snapshot.versions.num_rows, 'version')} of "
            f"{plural(snapshot.n_customers, 'customer')}; the sandbox's table has {plural(len(server.table()), 'row')}."
        )
        entries = tk.Ledger.of().history(refused)
        _say(
            f"  Customer {refused}, refused at first: {plural(len(entries), 'entry', 'entries')} in the ledger, from "
            f"{', '.join(entries['source_file'].unique())}."
        )
    _say(f"\nReports, to open in a browser: {place}")
    _say(f"Notebooks, with their outputs: {root / 'notebooks'}" if (root / "notebooks").is_dir() else "")


def _read(path: Path) -> Delivery:
    return tk.read_customers(path, mapping=path.with_suffix(".toml"))


def _deliver(path: Path, place: Path, title: str) -> None:
    _say(f"\n{title}: {path.name}")
    corrected, before = tk.correct(delivery := _read(path)), tk.Ledger.of().snapshot()
    report = tk.validate(corrected, before=before)
    changes = tk.diff(before, report)
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
            _say(f"  {line}")
        step.to_html(place / f"{path.stem}_{word}.html")
