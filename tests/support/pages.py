"""What a page of a result says, read from its HTML: the headline, its parts, the grids with their rows and facets."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class Grid:
    """One table with search and filters.

    Attributes
    ----------
    heads, rows
        Texts as they are shown; a marked cell's reason follows its value.
    units
        The facets of each unit: key to values.
    facets, names
        Key to label; the texts of the units' values.
    marked
        The marked cells: (row, head, tone).
    numbers
        For each head whether its cells are numbers: aligned to the right, and sorted as such.
    """

    heads: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    units: list[dict[str, list[str]]] = field(default_factory=list)
    facets: dict[str, str] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    marked: list[tuple[int, str, str]] = field(default_factory=list)
    numbers: list[bool] = field(default_factory=list)


class Page(HTMLParser):
    """A result's fragment or page, by meaning.

    Attributes
    ----------
    name, verdict, sections
        The texts of the headings.
    pictures
        What each picture says to a screen reader.
    links
        The address and the words of each link to a place in the page; `places` are what they lead to.
    parts
        The figures of the headline, by their words.
    grids
        By name.
    code
        The lines of code that can be copied.
    tags, attributes, text
        Everything that occurs.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.name = self.verdict = self.text = ""
        self.sections: list[str] = []
        self.pictures: list[str] = []
        self.links: list[tuple[str, str]] = []
        self.places: set[str] = set()
        self.parts: dict[str, int] = {}
        self.grids: dict[str, Grid] = {}
        self.code: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self._open: list[tuple[str, dict[str, str]]] = []
        self._around = Counter[str]()  # the open tags, and their classes with a dot before them
        self._grid: Grid | None = None
        self._figure = ""
        self.feed(text)
        self.close()
        assert not self._open, f"{self._open} are not closed"

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self.tags.add(tag)
        self.attributes |= set(given)
        self.places |= {given["id"]} if "id" in given else set()
        self.links += [(given["href"], given["aria-label"])] if tag == "a" else []
        if tag in ("meta", "br", "input", "wbr"):
            return
        self._open.append((tag, given))
        self._around.update(_selectors(tag, given))
        if given.get("role") == "img":
            self.pictures.append(given["aria-label"])
        if "data-grid" in given:
            labels = (pair.split("=", 1) for pair in given["data-facets"].split("\n") if pair)
            self._grid = self.grids[given["data-grid"]] = Grid(
                facets=dict(map(tuple, labels)), names=given["data-names"].split("\n")
            )  # type: ignore[arg-type]
        elif self._grid is not None and tag == "tbody":
            facets = {k[5:]: v.split() for k, v in given.items() if k.startswith("data-")}
            self._grid.units.append({k: [self._grid.names[int(n)] for n in v] for k, v in facets.items()})
        elif self._grid is not None and tag == "th" and self._in("thead"):
            self._grid.heads.append("")
            self._grid.numbers.append(given.get("class") == "r" and given.get("data-s") == "n")
        elif self._grid is not None and tag == "tr" and self._in("tbody") and given.get("class") != "grp":
            self._grid.rows.append([])
        elif self._grid is not None and tag in ("td", "th") and not self._in_group():
            self._grid.rows[-1].append("")
            classes = given.get("class", "").split()
            if "mark" in classes:
                place = len(self._grid.rows[-1]) - 1
                self._grid.marked.append((len(self._grid.rows) - 1, self._grid.heads[place], classes[-1]))

    def handle_endtag(self, tag: str) -> None:
        name, given = self._open.pop()
        self._around.subtract(_selectors(name, given))
        assert name == tag, f"</{tag}> closes <{name}>"
        if tag == "table":
            self._grid = None

    def handle_data(self, data: str) -> None:
        tag, given = self._open[-1] if self._open else ("", {})
        if any(map(self._in, ("style", "script", "title"))):
            return
        self.text += data
        classes = given.get("class", "").split()
        if self._within("kick"):
            self.name += data
        elif self._within("verdict"):
            self.verdict += data
        elif "title" in classes:
            self.sections.append(data.strip())
        elif tag == "code" and self._within("cmd"):
            self.code.append(data)
        elif self._within("key") and tag == "b":
            self._figure = data
        elif self._within("key") and tag == "bdi":
            self.parts[data] = int(self._figure.replace(",", ""))
        if self._grid is None or self._in_group():
            return
        if self._in("thead"):
            self._grid.heads[-1] += "" if tag == "small" else data
        elif self._grid.rows and self._grid.rows[-1]:
            apart = not self._grid.rows[-1][-1] or self._grid.rows[-1][-1].endswith(" ")
            joint = "" if apart or tag in ("del", "ins", "mark") else " "
            self._grid.rows[-1][-1] += (joint if tag in ("em", "small") else "") + data

    def _in(self, tag: str) -> bool:
        return self._around[tag] > 0

    def _within(self, name: str) -> bool:
        return self._around[f".{name}"] > 0

    def _in_group(self) -> bool:
        return self._around["tr.grp"] > 0


def _selectors(tag: str, given: dict[str, str]) -> list[str]:
    classes = given.get("class", "").split()
    return [tag, *(f".{name}" for name in classes), *(["tr.grp"] if tag == "tr" and classes == ["grp"] else [])]
