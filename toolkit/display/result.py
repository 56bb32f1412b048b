"""`Result`, which every result extends: one line, a fragment for a notebook, a page, a frame, a dictionary.

A fragment carries its style and its script, and asks for nothing from outside. `style.css` has two colours for each
purpose: JupyterLab's theme chooses between them, or the reader's colour scheme where there is no theme. Without the
script (an untrusted notebook, a mail) everything is there to read, and only search, filters and sorting are missing.
"""

from __future__ import annotations

import html
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd

from toolkit.characters import printable
from toolkit.display.grid import MAX_ROWS, frame_table
from toolkit.display.texts import escape
from toolkit.files import replacing


def _squeezed(name: str) -> str:
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    if name.endswith(".css"):
        plain = re.sub(r"\s+", " ", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL))
        return re.sub(r" ?([{};:,>]) ", r"\1", plain).replace(";}", "}").replace(" !", "!").strip()
    lines = (re.sub(r"(^| )// .*", "", line).strip() for line in text.splitlines())
    code = "\n".join(re.sub(r" (=>|\?\?|[=!]=|[=?:+<>{}]|&&|\|\|) ", r"\1", line) for line in lines)
    return re.sub(r"([,;{]|\w:|\bif|\bfor) | (?=[{}])", r"\1", code).strip()  # no text in the script has these


STYLE = f"<style>{_squeezed('style.css')}</style>"
SCRIPT = f"<script>{_squeezed('grid.js')}</script>"

MIME = "application/vnd.toolkit+json"
"""The type under which a notebook keeps a result's kind, its summary and whether it has findings, for programs."""

# JupyterLab would typeset what is between dollar signs: "$5 and $6" lost them, and TeX forged text.
_CLASSES = "tk tex2jax_ignore mathjax_ignore"


def fragment(body: str) -> str:
    """Return a result's body as HTML for a notebook, with its style and its script."""
    return f'{STYLE}<div class="{_CLASSES}">{body}</div>{SCRIPT}'


def page(title: str, body: str) -> str:
    """Return a body as a page of its own."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width">{STYLE}</head>'
        f'<body class="page"><main class="{_CLASSES}">{body}</main>{SCRIPT}</body></html>'
    )


class ShownFrame(pd.DataFrame):
    """A frame that shows itself as results do; what is derived from it, such as its head, does so too."""

    @property
    def _constructor(self) -> Callable[..., ShownFrame]:
        return ShownFrame

    def __repr__(self) -> str:
        return printable(super().__repr__(), keep="\n")

    def _repr_html_(self) -> str:
        index = None if isinstance(self.index, pd.RangeIndex) else str(self.index.name or "index")
        return fragment(frame_table(self, index=index, way=f".iloc[{MAX_ROWS}:] has the next."))


class Result(ABC):
    """What every result offers: one line, an HTML fragment, a frame, a dictionary, a page."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, pd.DataFrame):
                object.__setattr__(self, name, ShownFrame(value))

    @property
    def has_findings(self) -> bool:
        """Whether there is something to report; a command whose result this is then exits with 1, else with 0."""
        return not getattr(self, "ok", True)

    @abstractmethod
    def summary(self) -> str:
        """Return the result in one line, with its counts."""

    @abstractmethod
    def body(self) -> str:
        """Return the result as an HTML fragment."""

    @abstractmethod
    def to_frame(self) -> pd.DataFrame:
        """Return the result's rows as a frame."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return the result's counts and facts, ready for JSON."""

    def to_html(self, path: str | Path) -> Path:
        """Write the result as a page that needs no other file, readable by its user only (0600); returns its path.

        Raises
        ------
        InputError
            If the file cannot be written; an earlier file of that name is then unharmed.
        """
        target, body = Path(path), self.body()
        names = [*re.findall("<h3[^>]*>(.*?)</h3>", body, re.DOTALL), type(self).__name__]
        name = html.unescape(re.sub("<[^>]*>", "", names[0]))
        title = f"{name} · {datetime.now():%Y-%m-%d %H:%M}"
        raised = re.sub("<(/?)h([345])", lambda tag: f"<{tag[1]}h{int(tag[2]) - 2}", body)  # begin with the first level
        with replacing(target) as part:
            part.write_text(page(title, raised), encoding="utf-8")
        return target

    def __repr__(self) -> str:
        return printable(f"<{type(self).__name__}: {self.summary()}>")

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:  # noqa: ARG002 - IPython's signature
        said = {"kind": type(self).__name__, "has_findings": bool(self.has_findings), "summary": self.summary()}
        return {"text/plain": repr(self), "text/html": fragment(self.body()), MIME: said}
