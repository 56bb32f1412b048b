"""The parts of an .xlsx file, found by its relations, however they are named; and elements by their local names."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from functools import lru_cache
from typing import IO
from urllib.parse import unquote
from xml.etree.ElementTree import Element, fromstring, iterparse
from zipfile import ZipFile


@lru_cache(1000)
def local(name: str) -> str:
    """Return the name of an element or attribute without its namespace: the Strict form has others."""
    return name[name.rfind("}") + 1 :]


def elements(file: IO[bytes], *names: str) -> Iterator[Element]:
    """Yield the elements of these local names when they are complete, and clear them afterwards."""
    for _, element in iterparse(file):  # noqa: S314 - this runs in a process with limits, and no entity is loaded
        if local(element.tag) in names:
            yield element
            element.clear()


class Package:
    """The parts of an .xlsx file by their names, in any case, with slashes of either kind."""

    def __init__(self, archive: ZipFile) -> None:
        self._archive = archive
        self._parts = {_normal(info.filename): info for info in archive.infolist()}

    def open(self, part: str) -> IO[bytes]:
        """Open a part.

        Raises
        ------
        KeyError
            If there is none of this name.
        """
        return self._archive.open(self._parts[part])

    def elements(self, part: str | None, *names: str) -> Iterator[Element]:
        """Yield the elements of these local names in a part; none if the workbook has no such part."""
        if part in self._parts:
            yield from elements(self.open(part), *names)

    def related(self, part: str) -> Iterator[tuple[str, str, str]]:
        """Yield the id, the type's last word and the part of each relation of a part, ``/`` for the package itself."""
        folder, name = posixpath.split(part)
        relations = _normal(f"{folder}/_rels/{name}.rels")
        if relations in self._parts:
            for each in fromstring(self.open(relations).read()):  # noqa: S314 - as above
                kind, target = posixpath.basename(each.get("Type", "")), each.get("Target", "").replace("\\", "/")
                yield each.get("Id", ""), kind, _normal(posixpath.join(folder, target))

    def workbook(self) -> str | None:
        """Return the name of the workbook's part."""
        named = [target for _, kind, target in self.related("/") if kind == "officeDocument"]
        usual = [part for part in self._parts if posixpath.splitext(part)[0].endswith("/workbook")]
        return next((part for part in named + usual if part in self._parts), None)


def _normal(name: str) -> str:
    return posixpath.normpath("/" + unquote(name).replace("\\", "/")).replace("//", "/").casefold()
