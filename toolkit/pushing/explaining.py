"""explain(): what the vendor's codes have meant and what helped, as the analysts of this home wrote it down."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from toolkit.config import Settings, current
from toolkit.display import Result, frame_table, headline, plural
from toolkit.errors import InputError
from toolkit.files import keep
from toolkit.progress import warn
from toolkit.sending import SETTLED, Journal, Pace, Receipt

_MOST_TEXTS = 3


Explanations = dict[str, dict[str, str]]
"""By code, what it has meant (``means``) and what helped (``do``); empty texts where nobody wrote it down."""
_NOTHING = {"means": "", "do": ""}


@dataclass(frozen=True, eq=False, repr=False)
class Codes(Result):
    """The vendor's codes: those that are explained, and those that pushes to the target have seen.

    Attributes
    ----------
    frame
        One row per code: ``code, means, do``, ``rows`` that had it, and the ``texts`` that the vendor gave with it.
    asked
        The code that was asked for; empty for all.
    """

    frame: pd.DataFrame
    asked: str = ""

    def summary(self) -> str:
        """Say what is known of the code, or how many codes are known."""
        if not self.asked:
            explained = int(((self.frame["means"] != "") | (self.frame["do"] != "")).sum())
            return f"{plural(len(self.frame), 'code')}, {explained:,} explained"
        found = dict(self.frame.iloc[0]) if len(self.frame) else {}
        said = " · ".join(str(found[part]) for part in ("means", "do") if found.get(part))
        seen = f"seen in {plural(int(found['rows']), 'row')}" if found.get("rows") else "not seen in a push"
        if said:
            return f"{self.asked}: {said} · {seen}"
        return f"{self.asked} is not explained yet ({seen}): tk.explain({self.asked!r}, means='…', do='…') adds it."

    def body(self) -> str:
        """Give the codes as an HTML table."""
        return headline("The vendor's codes", self.summary()) + frame_table(self.frame, name="Codes", unit="codes")

    def to_frame(self) -> pd.DataFrame:
        """Give one row per code."""
        return self.frame

    def to_dict(self) -> dict[str, Any]:
        """Give the codes."""
        return {"asked": self.asked, "codes": self.frame.to_dict("records")}


def explanations(settings: Settings) -> Explanations:
    """Return what is written down in the home; nothing, and a warning, if the file is damaged."""
    try:
        return _read(settings)
    except InputError as error:
        warn(f"{error} The report is without its words.")
        return {}


def _read(settings: Settings) -> Explanations:
    path = _path(settings)
    try:
        kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return {code: {part: said[part] for part in _NOTHING} for code, said in kept.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"The catalogue of codes {path} cannot be read: fix the file, or delete it.") from error


def explain(
    code: str = "", *, means: str | None = None, do: str | None = None, settings: Settings | None = None
) -> Codes:
    """Show what a code of the vendor has meant and what helped, or write it down; without a code, show all.

    Parameters
    ----------
    means, do
        What the code meant, and what helped; kept in the home for all targets. None leaves what is there.

    Raises
    ------
    InputError
        If there is something to write down, and no code; or if the catalogue cannot be read or written.

    Examples
    --------
    >>> import tempfile
    >>> home = Settings(home=tempfile.mkdtemp())
    >>> explain("DI_E_00017", means="the row is older than the stored one", do="send a newer one", settings=home)
    <Codes: DI_E_00017: the row is older than the stored one · send a newer one · not seen in a push>
    """
    chosen = current(settings)
    given = {part: text for part, text in (("means", means), ("do", do)) if text is not None}
    if not all(isinstance(text, str) for text in (code, *given.values())) or (given and not code):
        raise InputError("What is explained is a code and texts: explain('DI_E_00017', means='…', do='…').")
    known = _read(chosen)
    if given:
        known[code] = _NOTHING | known.get(code, {}) | given
        text = json.dumps(known, ensure_ascii=False, indent=1, sort_keys=True)
        try:
            keep(_path(chosen), lambda file: file.write(text.encode()))
        except (OSError, UnicodeError) as error:
            raise InputError(f"{_path(chosen)} cannot be written: free space, or give plain text.") from error
    seen = _seen(chosen)
    shown = [name for name in sorted({*known, *seen}) if code in ("", name)]
    lines = [{"code": c, **_NOTHING, "rows": 0, "texts": ""} | known.get(c, {}) | seen.get(c, {}) for c in shown]
    return Codes(pd.DataFrame(lines, columns=["code", *_NOTHING, "rows", "texts"]), code)


def _path(settings: Settings) -> Path:
    return settings.folder() / "codes.json"


def _seen(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return how many rows of the target's pushes had each code, and the vendor's first texts for it."""
    found: dict[str, list[Receipt]] = {}
    with Journal(settings.target_folder(), settings.target, clock=Pace().now) as journal:
        for receipt in (r for record in journal.pushes() for r in journal.receipts(record.id)):
            if receipt.code not in ("", SETTLED):
                found.setdefault(receipt.code, []).append(receipt)
    return {
        code: {
            "rows": sum(r.stop - r.first for r in said),
            "texts": " | ".join([*dict.fromkeys(r.message for r in said if r.message)][:_MOST_TEXTS]),
        }
        for code, said in found.items()
    }
