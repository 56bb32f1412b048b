"""The notebooks with their outputs: `make notebooks` runs each once, and a check looks at what is about to be kept.

A run is the same wherever it is made: see `frozen_kernel`. What still differs, the name of a sandbox's temporary folder
and the version of Python, is replaced.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import nbformat

from toolkit.cli.notebooks import execute

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
MAX_BYTES = 300_000
LOCAL = r"(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?"
_LABEL = re.compile(r"target \S+ · ([^·\n]+?) · ")
_ADDRESS = re.compile(r"https?://([^/\s'\"<>)]+)")


def executed(path: Path) -> Any:
    """Return a notebook with the outputs of a run from top to bottom; the same ones each time."""
    book = nbformat.read(path, as_version=4)
    port = 8700 + int(path.stem[:2])  # notebooks run side by side in the tests
    variables = {"NOTEBOOK_PORT": str(port), "LOGNAME": "analyst", "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    execute(book, path.parent, variables, "--IPKernelApp.exec_lines=import tests.support.frozen_kernel")
    for n, cell in enumerate(book.cells):
        cell.id = f"cell-{n}"
    book.metadata = METADATA
    text = re.sub(r"/tmp/sandbox-\w{8}", "/tmp/sandbox", nbformat.writes(book))
    return nbformat.reads(re.sub(r"(/tmp/ipykernel_)\d+/\d+", r"\1/", text), as_version=4)


def texts(cells: Any) -> list[str]:
    """Return what the outputs say as text, one for each, without the colours of a terminal."""
    outputs = [o for cell in cells for o in cell.get("outputs", ())]
    said = [
        o.get("text")
        or o.get("data", {}).get("text/plain")
        or "\n".join([o.get("evalue", ""), *o.get("traceback", ())])
        for o in outputs
    ]
    return [re.sub(r"\x1b\[[0-9;]*m", "", text) for text in said]


def refusal(path: Path) -> str:
    """Say why a notebook must not be kept in git with its outputs; empty if it may.

    Its outputs have to show that they come from a sandbox: they are customers' data otherwise.
    """
    said = texts(nbformat.read(path, as_version=4).cells)
    hosts = {host for text in said for host in _LABEL.findall(text)}
    addresses = {host for text in said for host in _ADDRESS.findall(text)}
    real = [h for h in hosts | addresses if h != "embedded sandbox" and not re.fullmatch(LOCAL, h)]
    if real:
        return f"{path} has outputs from {', '.join(sorted(real))}: clear them, or move it to notebooks/scratch."
    if said and not hosts:
        return f"{path} has outputs, and none shows a target: clear them, or show tk.use(…) in its first cells."
    return ""


def main(arguments: list[str]) -> int:
    """Run all notebooks, or with ``check`` look at these files, by default all."""
    if arguments[:1] == ["check"]:
        refused = [why for path in map(Path, arguments[1:] or NOTEBOOKS) if (why := refusal(path))]
        print("\n".join(refused), file=sys.stderr)
        return bool(refused)
    for path in [p for p in NOTEBOOKS if not arguments or p.stem in arguments]:
        text = nbformat.writes(executed(path)) + "\n"
        path.write_text(text, encoding="utf-8")
        print(f"{path.name}: {len(text.encode()):,} bytes", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
