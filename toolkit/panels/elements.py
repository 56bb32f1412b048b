"""`Element`: what a panel shows, as data; the browser draws it from JSON, and a still picture of it is HTML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from toolkit.characters import printable
from toolkit.display import EMPTY, Markup, Tone, code, escape, is_null, joined, shortened, symbol, visible

Value = str | int | bool
Action = Mapping[str, Value]
"""A message to the station: ``{"do": "choose", "column": "customer_id"}``; what was typed or chosen is added to it."""

MAX_CELL = 200
_STILL = {"button": "", "form": "div", "fieldset": "div", "legend": "b", "label": "div", "select": "span"}
"""What a still picture shows instead of controls; a button is left out."""
_KEPT = {"class", "style", "colspan", "open", "title", "scope", "lang"}
"""The attributes that a still picture has too."""


@dataclass(frozen=True)
class Element:
    """An element with its attributes, its children, and what its events send.

    Attributes
    ----------
    tag, attributes
        As in HTML. ``value``, ``checked`` and ``open`` are set as properties.
    children
        Elements, and texts, which the browser escapes; `Markup`, which `toolkit.display` escaped, is taken as HTML.
    on
        Event to what it sends: ``click``, ``change``, ``input`` (at each key, one at a time), ``submit`` (with the
        fields of the form by their names), and ``files`` (of a file input, or dropped: their bytes in slices).
    key
        Under which name the element is found again when the panel is drawn anew: it keeps focus, text and place.
    """

    tag: str
    attributes: Mapping[str, Value]
    children: tuple[object, ...] = ()
    on: Mapping[str, Action] = field(default_factory=dict)
    key: str = ""

    def tree(self) -> dict[str, Any]:
        """Return the element as JSON."""
        return {
            "tag": self.tag,
            "key": self.key,
            "is": dict(self.attributes),
            "on": {event: dict(action) for event, action in self.on.items()},
            "has": [c.tree() if isinstance(c, Element) else _leaf(c) for c in _flat(self.children)],
        }

    def still(self) -> Markup:
        """Return the element as HTML without what needs a kernel: buttons are left out, choices are text."""
        tag = _STILL.get(self.tag, self.tag)
        if not tag or self.attributes.get("hidden") or self.attributes.get("type") in ("file", "password"):
            return Markup("")
        if self.tag == "input":
            ticked = self.attributes.get("checked")
            return escape(self.attributes.get("value", "") if ticked is None else "☑ " if ticked else "☐ ")
        inner = _flat(self.children)
        if self.tag == "select":
            chosen = self.attributes.get("value", "")
            inner = iter([c for c in inner if isinstance(c, Element) and c.attributes.get("value") == chosen][:1])
            return joined(*(c.children[0] for c in inner if isinstance(c, Element)))
        kept = "".join(f' {n}="{escape(v)}"' for n, v in self.attributes.items() if n in _KEPT and v is not False)
        # Without its style, only a space parts an element from what is before it.
        body = joined(*(Markup(f" {c.still()}") if isinstance(c, Element) else c for c in inner))
        return Markup(f"<{tag}{kept}>{body}</{tag}>")


def element(
    tag: str, *children: object, key: str = "", on: Mapping[str, Action] | None = None, **attributes: Any
) -> Element:
    """Return an element; an attribute of None or an empty text is left out, ``class_`` is class.

    Examples
    --------
    >>> element("button", "Next", key="next", on={"click": {"do": "go"}}, aria_describedby="why").tree()["is"]
    {'type': 'button', 'aria-describedby': 'why'}
    >>> element("td", "<b>", class_="mark").still()
    '<td class="mark">&lt;b&gt;</td>'
    """
    stated = {name.rstrip("_").replace("_", "-"): v for name, v in attributes.items()}
    usual: dict[str, object] = {"type": "button"} if tag == "button" else {}
    given: dict[str, Value] = {
        n: v if isinstance(v, str | int) else str(v)
        for n, v in (usual | stated).items()
        if v is not None and (v != "" or n == "value")
    }
    return Element(tag, given, children, on or {}, key)


def _flat(children: tuple[object, ...]) -> Iterator[object]:
    """Yield the children, those of lists one by one; None and an empty text are left out."""
    for child in children:
        if isinstance(child, list | tuple):
            yield from _flat(tuple(child))
        elif child is not None and child != "":
            yield child


def _leaf(child: object) -> str | dict[str, str]:
    return {"html": str(child)} if isinstance(child, Markup) else printable(str(child), keep="\n\t")


# --- the pieces that panels share; toolkit.display has those that need no kernel


def button(text: object, do: str, *, key: str = "", main: bool = False, said: str = "", **action: Value) -> Element:
    """Return a button that sends an action; `main` is the one way on, and `said` is read out instead of its text."""
    named = key or "-".join(str(part) for part in (do, *action.values()))
    on = {"click": {"do": do, **action}}
    return element("button", text, key=named, on=on, class_="go" if main else "", aria_label=said)


def select(
    options: Mapping[str, str], value: str, do: str, *, key: str, label: str = "", about: str = "", **action: Value
) -> Element:
    """Return a list to choose from: each value with its words; `about` is the key of the element that explains it."""
    listed = [element("option", words, value=at) for at, words in options.items()]
    on, described = {"change": {"do": do, **action}}, about or None
    return element("select", listed, key=key, on=on, value=value, aria_label=label, aria_describedby=described)


def labelled(label: object, *controls: object, class_: str = "fld", **more: Any) -> Element:
    """Return controls below their label."""
    return element("label", element("span", label), *controls, class_=class_, **more)


def field_of(
    label: object, value: str, do: str = "", *, key: str, kind: str = "text", listed: Mapping[str, str] | None = None,
    **action: Value,
) -> Element:  # fmt: skip
    """Return a labelled field; without `do` it is read when its form is sent, under its key; `listed`: usual values."""
    on, at = {"change": {"do": do, **action}} if do else {}, f"{key}-list" if listed else ""
    usual = [element("option", words, value=each) for each, words in (listed or {}).items()]
    box = element("input", type=kind, value=value, name=key, key=key, on=on, list=at, autocomplete="off",
                  spellcheck="false")  # fmt: skip
    return labelled(label, box, element("datalist", usual, key=at) if listed else None, key=f"label-{key}")


def form_of(label: object, value: str, word: str, do: str, *, key: str, class_: str = "row") -> Element:
    """Return a form of one field, with the button that sends it."""
    sends = element("button", word, type="submit")
    return element("form", field_of(label, value, key=key), sends, on={"submit": {"do": do}}, class_=class_,
                   key=f"form-{key}")  # fmt: skip


def section(title: str, brief: str, *children: object, **more: Any) -> Element:
    """Return a part with its title, and a soft note beside it."""
    head = element("h5", f"{title} ", element("small", brief) if brief else None, class_="title")
    return element("section", head, *children, **more)


def tick(text: Any, checked: bool, do: str, *, key: str, kind: str = "checkbox", value: str = "", name: str = "",
         disabled: bool = False, **action: Value) -> Element:  # fmt: skip
    """Return a tick, or one of several choices (``kind="radio"``, which share their `name`), with its words."""
    on = {"change": {"do": do, **action}}
    box = element("input", type=kind, checked=checked, key=key, on=on, name=name, value=value or None,
                  disabled=disabled or None)  # fmt: skip
    return element("label", box, element("span", text), class_="tick", key=f"label-{key}")


def same_as(*lines: str) -> Element:
    """Return the lines of Python and the commands that do the same, each with Copy."""
    return element("div", element("p", "The same in code", class_="lab"), code(*lines), class_="same", key="same-as")


def note(tone: Tone, *children: object, key: str = "", **attributes: Any) -> Element:
    """Return a box that must be seen, with the symbol of its tone."""
    return element("div", symbol(tone), element("div", *children), class_=f"note {tone} row", key=key, **attributes)


def short(text: str) -> str:
    """Return a cell's text as it is shown: what is easily overlooked is visible, and the end of a long one is cut."""
    return visible(shortened(text, MAX_CELL))


def cell(value: object, *, why: str = "", **attributes: Any) -> Element:
    """Return a cell of a table, and what is wrong with it; null is shown as empty."""
    told = element("em", f"✕ {why}") if why else None
    return element("td", EMPTY if is_null(value) or value == "" else short(str(value)), told, **attributes)
