"""`Panel`: a station in a notebook, drawn by the browser from data; and its still picture where there is no kernel.

All that a panel shows and is told travels as custom messages: a trait would be saved in the notebook, and what is
typed into a field may be a token. An error is written into the panel, because nobody sees one that a callback raises.
"""

from __future__ import annotations

import threading
from importlib.resources import files
from typing import TYPE_CHECKING, Any, ClassVar

from anywidget import AnyWidget

from toolkit.characters import printable
from toolkit.display import SCRIPT, STYLE, fragment
from toolkit.errors import ToolkitError
from toolkit.lazy import Library
from toolkit.panels.elements import Element, element, note
from toolkit.panels.station import Station

if TYPE_CHECKING:
    import IPython.core.getipython as shell
    import IPython.display as ipython
else:
    ipython, shell = Library("IPython.display"), Library("IPython.core.getipython")


def _file(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


_STYLE = STYLE.replace("</style>", _file("panel.css") + "</style>")
_WIDGET = "application/vnd.jupyter.widget-view+json"


class Panel(AnyWidget):
    """A station in a notebook.

    Parameters
    ----------
    station
        What is shown, and does what the browser asks for.

    Attributes
    ----------
    station
        The same.
    error
        The last error that an action raised, with its traceback; None if the last action raised none.
    """

    # `grid.js` sets up the grids of results that a panel shows.
    _esm = (f"const setUpGrids = () => {{{SCRIPT.removeprefix('<script>').removesuffix('</script>')}\n}}\n"
            f"{_file('panel.js')}\n{_file('review.js')}")  # fmt: skip
    _css = _STYLE.removeprefix("<style>").removesuffix("</style>")

    _shown: ClassVar[dict[str, tuple[str, list[Panel]]]] = {}
    """Cell to the run of it that showed panels last, and these panels: when it runs again they are closed."""

    def __init__(self, station: Station) -> None:
        self.station = station
        self.error: Exception | None = None
        self._said = ""
        self._drawn_alone = threading.RLock()
        self._picture: Any = None
        super().__init__()
        station.changed = self.draw
        self.on_msg(self._told)

    def draw(self, *, picture: bool = True) -> None:
        """Draw the station anew, from any thread; `picture`: the still picture too."""
        self._show({}, picture=picture)

    def close(self) -> None:
        """Take the panel away, and end what its station has open."""
        if "station" in vars(self):  # else it was never made
            self.station.close()
        super().close()

    def __repr__(self) -> str:
        ways = "; ".join(line.strip() for line in self.station.calls if line[:1] not in ("", "#"))
        return printable(f"<{type(self).__name__}: shown in JupyterLab; the same in code: {ways}>")

    def show(self) -> None:
        """Show the panel, once in a run of a cell; the panels of an earlier run of the cell are closed."""
        kernel: Any = shell.get_ipython()
        if kernel is None:
            return
        parent = kernel.get_parent() if hasattr(kernel, "get_parent") else {}
        cell, run = parent.get("metadata", {}).get("cellId"), parent.get("header", {}).get("msg_id", "")
        last, panels = self._shown.get(cell, ("", [])) if cell else ("", [])
        if run and run == last and self in panels:
            return
        for panel in panels if run != last else []:
            if panel is not self:
                panel.close()
        self._shown[cell or ""] = run, [*(panels if run == last else []), self]
        # Two outputs: JupyterLab shows "model not found" for a panel without a kernel, and nothing beside it. The style
        # of the picture hides whichever of the two is not wanted.
        display: Any = ipython.display
        self._picture = display(self._still(), raw=True, display_id=True)
        view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
        display({_WIDGET: view}, raw=True)  # the picture has the text

    def _ipython_display_(self) -> None:
        self.show()

    def _told(self, _widget: object, message: dict[str, Any], buffers: list[memoryview]) -> None:
        said = {str(name): value for name, value in message.items()}
        asked, do = said.pop("id", None), str(said.pop("do", "show"))
        if buffers:
            said["data"] = bytes(buffers[0])
        answer, self._said = None, ""
        try:
            if do != "show":
                self.error = None
                answer = self.station.act(do, **said)
        except Exception as error:  # nobody else would see it
            self.error = error
        if isinstance(answer, dict):
            self.send({"id": asked, "answer": answer})
            return
        self._said = answer or ""
        self._show({"id": asked, "raised": self.error is not None}, picture=do != "show")

    def _show(self, reply: dict[str, Any], *, picture: bool) -> None:
        with self._drawn_alone:
            focus, self.station.focus = self.station.focus, ""
            self.send({**reply, "view": self._view().tree(), "said": self._said, "focus": focus})
            if picture and self._picture is not None:
                self._picture.update(self._still(), raw=True)

    def _view(self) -> Element:
        try:
            shown = self.station.view()
        except Exception as error:  # nobody else would see it
            shown, self.error = element("div", key="view"), error
        told = note("bad", _sentence(self.error), key="problem", role="alert") if self.error else None
        return element("div", told, shown, key="panel")

    def _still(self) -> dict[str, str]:
        said = "A picture of the panel as it was last. To use the panel, run this cell in JupyterLab."
        how = element("p", said, class_="soft still-note")
        still = fragment(element("div", self._view(), how, class_="still").still()).replace(STYLE, _STYLE, 1)
        return {"text/html": still, "text/plain": repr(self)}


def _sentence(error: Exception) -> str:
    if isinstance(error, ToolkitError):
        return str(error)
    return f"This did not work, by a fault of the toolkit ({type(error).__name__}). Nothing was sent. Its traceback " \
           "is in panel.error: report it, and go on in code."  # fmt: skip
