"""`Upload`: a step that takes files from the computer of who looks at the panel, in slices."""

from __future__ import annotations

import os
import secrets
import shutil
from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

from toolkit.config import current
from toolkit.errors import InputError
from toolkit.files import create
from toolkit.panels.elements import Action, Element, element, labelled
from toolkit.panels.station import action
from toolkit.panels.steps import Step

SLICE = 2 << 20
"""Bytes of an upload in one message; a larger message drops the connection."""


class Upload(Step):
    """A step that takes files.

    Attributes
    ----------
    folder
        Where they are put.
    endings
        What their names may end in.
    uploaded
        How far the last one is.
    """

    endings: ClassVar[tuple[str, ...]]

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__()
        self.folder, self.uploaded = folder or Path.cwd(), ""
        self._part: Path | None = None

    @abstractmethod
    def take(self, path: Path) -> str:
        """Use a file, which is whole now, and say what came of it."""

    @action
    def upload(self, name: str, size: int, at: int, data: bytes = b"") -> str | None:
        """Take a slice of a file; the last one puts it into the folder, under a name that is free."""
        name = Path(name.replace("\\", "/")).name.lstrip(".")
        if not name.lower().removesuffix(".gz").endswith(self.endings):
            raise InputError(f"{name} is not read: choose a file that ends in {', '.join(self.endings)}.")
        if at == 0:
            self._part = current(None).folder("uploads") / f".{secrets.token_hex(8)}.part"
            create(self._part)
        if self._part is None or self._part.stat().st_size != at:
            raise InputError(f"A part of {name} did not arrive: upload it again.")
        with self._part.open("ab") as file:
            file.write(data)
        done = at + len(data)
        self.uploaded = f"{name}: {done / 10**6:,.1f} of {size / 10**6:,.1f} MB"
        if done < size:
            return None
        stem, suffix = name.partition(".")[::2]
        names = (name, *(f"{stem} ({n}).{suffix}" for n in range(2, 1_000)))
        target = next(self.folder / each for each in names if not os.path.lexists(self.folder / each))
        shutil.move(self._part, target)
        self._part, self.uploaded = None, f"{target.name} is in the notebook's folder"
        return f"{self.uploaded}. {self.take(target)}"

    def close(self) -> None:
        """Delete what was uploaded of a file that never became whole."""
        if self._part is not None:
            self._part.unlink(missing_ok=True)

    def drop(self, words: str) -> list[Element]:
        """Return where a file is dropped or chosen, and how far it is."""
        on: dict[str, Action] = {"files": {"do": "upload", "slice": SLICE}}
        chosen = element("input", type="file", key="upload", on=on)
        return [labelled(words, chosen, on=on, class_="fld drop", key="drop"),
                element("p", self.uploaded, class_="s", key="uploaded")]  # fmt: skip
