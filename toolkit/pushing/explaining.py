"""explain(): what the vendor's codes have meant and what helped, as the analysts of this home wrote it down."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from toolkit.config import Settings, current
from toolkit.display import Result, frame_table, headline, plural
from toolkit.errors import InputError
from toolkit.files import keep
from toolkit.sending import Journal, Pace

_MOST_TEXTS = 3


@dataclass(frozen=True)
class Explanation:
    """What a code has meant, and what helped; empty if nobody wrote it down."""

    means: str = ""
    do: str = ""


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


def explanations(settings: Settings) -> dict[str, Explanation]:
    """Return what is written down in the home, by code.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    path = _path(settings)
    try:
        kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return {code: Explanation(said["means"], said["do"]) for code, said in kept.items()}
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
    known = explanations(chosen)
    if means is not None or do is not None:
        if not code or not all(isinstance(text, str) for text in (code, means or "", do or "")):
            raise InputError("What is explained is a code and texts: explain('DI_E_00017', means='…', do='…').")
        old = known.get(code, Explanation())
        known[code] = Explanation(old.means if means is None else means, old.do if do is None else do)
        text = json.dumps({name: vars(known[name]) for name in sorted(known)}, ensure_ascii=False, indent=1)
        try:
            keep(_path(chosen), lambda file: file.write(text.encode()))
        except (OSError, UnicodeError) as error:
            raise InputError(f"{_path(chosen)} cannot be written: free space, or give plain text.") from error
    rows, texts = _seen(chosen)
    shown = [name for name in sorted({*known, *rows}) if code in ("", name)]
    frame = pd.DataFrame(
        [(c, *vars(known.get(c, Explanation())).values(), rows.get(c, 0), " | ".join(texts.get(c, ()))) for c in shown],
        columns=["code", "means", "do", "rows", "texts"],
    )
    return Codes(frame, code)


def _path(settings: Settings) -> Path:
    return settings.folder() / "codes.json"


def _seen(settings: Settings) -> tuple[Mapping[str, int], Mapping[str, list[str]]]:
    """Return how many rows of the target's pushes had each code, and the vendor's first texts for it."""
    rows: dict[str, int] = {}
    texts: dict[str, list[str]] = {}
    with Journal(settings.target_folder(), settings.target, clock=Pace().now) as journal:
        for receipt in (r for record in journal.pushes() for r in journal.receipts(record.id)):
            if receipt.code.startswith("DI_"):
                rows[receipt.code] = rows.get(receipt.code, 0) + receipt.stop - receipt.first
                said = texts.setdefault(receipt.code, [])
                if receipt.message and receipt.message not in said and len(said) < _MOST_TEXTS:
                    said.append(receipt.message)
    return rows, texts
