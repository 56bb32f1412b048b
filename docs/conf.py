"""The site of the documentation: the guide, the notebooks with their outputs, and the reference, built offline.

`make docs` builds it with Sphinx from the root of the project, so that a link leads to the same file on the site as in
the repository. A notebook becomes a page with the outputs that it was committed with; nothing is executed.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

project = "Customer ingestion toolkit"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "docs/index"
source_suffix = {".md": "markdown", ".ipynb": "markdown"}
include_patterns = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "data/README.md", "docs/**.md", "notebooks/*.ipynb"]
exclude_patterns = [".*", "build", "tests", "toolkit", "data/state", "notebooks/scratch"]
default_role = "py:obj"  # `diff` in a docstring is a link if the reference has it
suppress_warnings = ["ref.python"]  # several results have `n_rows`
myst_heading_anchors = 3
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
python_maximum_signature_line_length = 80
html_theme = "furo"
templates_path = ["templates"]
html_title = project
html_static_path = ["style.css"]
html_css_files = ["style.css"]
html_show_sphinx = html_show_copyright = html_copy_source = False
html_use_opensearch = ""


STATIONS = {
    "What we work against": ("config", "model", "vendor", "engine"),
    "From a file to good rows": ("reading", "quality"),
    "From good rows to the vendor": ("ledger", "pushing"),
    "More": (),
}


def page_of(notebook: str) -> str:
    """Return a notebook as Markdown: its text, its code, and of each output the richest form that it was saved in.

    Examples
    --------
    >>> cells = [{"cell_type": "code", "source": ["1 + 1"], "outputs": [
    ...     {"output_type": "execute_result", "data": {"text/plain": ["2"]}}]}]
    >>> print(page_of(json.dumps({"cells": cells})))
    ```python
    1 + 1
    ```
    <BLANKLINE>
    ```text
    2
    ```
    """
    parts = []
    for cell in json.loads(notebook)["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(re.sub(r"\]\(#([^)]+)\)", lambda found: f"](#{anchor(found[1])})", text))
            continue
        parts.append(fenced("python", text))
        parts += [part for output in cell.get("outputs", ()) if (part := shown(output))]
    return "\n\n".join(parts)


def anchor(heading: str) -> str:
    """Return a heading as a link to it names it on the site; in a notebook it keeps its capitals and dots.

    Examples
    --------
    >>> anchor("1.-The-wrong-encoding")
    '1-the-wrong-encoding'
    """
    return re.sub(r"[^\w-]", "", heading.lower())


def shown(output: dict[str, Any]) -> str:
    """Return one output of a cell as Markdown; an error is its last line."""
    kind = output["output_type"]
    if kind == "error":
        return fenced("text", f"{output['ename']}: {output['evalue']}")
    data = {"text/plain": output.get("text", "")} if kind == "stream" else output["data"]
    if "text/html" in data:
        return fenced("{raw} html", f'<div class="output">{"".join(data["text/html"])}</div>')
    return fenced("text", "".join(data.get("text/plain", "")).rstrip("\n"))


def fenced(kind: str, text: str) -> str:
    """Return a block of text between fences that are longer than any in it."""
    fence = "`" * (max([2, *map(len, re.findall("`+", text))]) + 1)
    return f"{fence}{kind}\n{text}\n{fence}"


def reference(comment: str) -> str:
    """Return what a comment of the reference asks for: names of a package, or a docstring as it is.

    Names of the whole face are under the package that defines them, in the order of a row's journey.

    Examples
    --------
    >>> print(reference("the names Rule of toolkit.quality"))
    ```{eval-rst}
    .. autoclass:: toolkit.quality.Rule
       :members:
    ```
    """
    kind, names, where = re.fullmatch(r"(every name|the names|the docstring)(.*) of ([\w.]+)", comment).groups()  # type: ignore[union-attr]
    module = importlib.import_module(where)
    if kind == "the docstring":
        return fenced("{eval-rst}", module.__doc__.strip())
    chosen = names.replace(",", "").split() or module.__all__
    if where != "toolkit":
        return _directives(where, chosen)
    parts, rest = [], [n for n in chosen if hasattr(getattr(module, n), "__module__")]
    for title, packages in STATIONS.items():
        here = [n for n in rest if not packages or getattr(module, n).__module__.split(".")[1] in packages]
        rest = [n for n in rest if n not in here]
        parts += [f"## {title}", _directives(where, here)] if here else []
    return "\n\n".join(parts)


def _directives(where: str, names: list[str]) -> str:
    def lines() -> Iterator[str]:
        for name in names:
            is_class = isinstance(getattr(importlib.import_module(where), name), type)
            yield f".. auto{'class' if is_class else 'function'}:: {where}.{name}"
            if is_class:
                yield "   :members:"

    return fenced("{eval-rst}", "\n".join(lines()))


def _read(app: Any, name: str, source: list[str]) -> None:
    if Path(app.env.doc2path(name)).suffix == ".ipynb":
        source[0] = page_of(source[0])
    elif name == "docs/reference":
        source[0] = re.sub("<!-- (.+?) -->", lambda found: reference(found[1]), source[0])


def _entrance(app: Any, error: Exception | None) -> None:
    # The site's root has no page of its own: it leads to the first one.
    if error is None:
        page = f'<!doctype html><meta http-equiv="refresh" content="0; url={root_doc}.html"><title>{project}</title>'
        (Path(app.outdir) / "index.html").write_text(page, encoding="utf-8")


def setup(app: Any) -> None:
    """Connect the hooks."""
    app.connect("source-read", _read)
    app.connect("build-finished", _entrance)
