"""The named corrections, each a function from frame to frame that changes what its docstring says; and what changed.

What a correction changed is found by comparing the two frames, so that the list cannot disagree with the data.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
from ftfy import fix_encoding
from ftfy.badness import is_bad

from toolkit.errors import CorrectionError, did_you_mean
from toolkit.model import CUSTOMER, ID, TIME
from toolkit.quality.rules import text_columns
from toolkit.reading import NULL_SPELLINGS

CHANGE_COLUMNS = ["source_row", "column", "before", "after", "rule"]
WHOLE_ROW = "(row)"
PRESENT, DROPPED = "present", "dropped"
SPACES = r"[\s\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+"
"""Any run of spaces, those of other scripts and of typesetters included."""

INVISIBLE = r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
"""Control and zero-width characters, but for the joiners (U+200C, U+200D), which some scripts need to be read."""
MAX_WIDTH = 40
SPELLED = ("customer_category", "customer_subcategory")

Apply = Callable[[pd.DataFrame, Any, pd.Timestamp], pd.DataFrame]

# A sign between two digits tells numbers apart (1-10 is not 110), one at the end may be a grade (A, A-, A+).
_BETWEEN_DIGITS = re.compile(r"(?<=\d)\s*([-_/.,:\s])\s*(?=\d)")
_SEPARATORS = re.compile(r"(?<=\w)[-_/.,:;&'’`´\"()\s]+(?=\w)|[.,:;'’`´\"()\s]+")
_KEPT = "\ue000"


def _trim_spaces(frame: pd.DataFrame, option: Any, _: pd.Timestamp) -> pd.DataFrame:
    """Spaces before, after and doubled within go; a cell of nothing but spaces becomes null."""

    def trim(cells: pd.Series[Any]) -> pd.Series[Any]:
        trimmed = cells.str.replace(SPACES, " ", regex=True).str.strip()
        return trimmed.mask(trimmed == "")

    return _texts(frame, option, trim)


def _unicode_nfc(frame: pd.DataFrame, option: Any, _: pd.Timestamp) -> pd.DataFrame:
    """Letters written as two characters, u and two dots, become one."""
    return _texts(frame, option, lambda cells: cells.str.normalize("NFC"))


def _mojibake(frame: pd.DataFrame, option: Any, _: pd.Timestamp) -> pd.DataFrame:
    """Letters that were decoded wrongly, as MÃ¼ller, are put right."""

    def mend(cells: pd.Series[Any]) -> pd.Series[Any]:
        suspect = [not text.isascii() and is_bad(text) for text in cells]
        return cells.mask(
            pd.Series(suspect, index=cells.index, dtype=bool), cells[suspect].map(fix_encoding).astype("str")
        )

    return _texts(frame, option, mend)


def _invisible_characters(frame: pd.DataFrame, option: Any, _: pd.Timestamp) -> pd.DataFrame:
    """Control and zero-width characters go."""
    return _texts(frame, option, lambda cells: cells.str.replace(INVISIBLE, "", regex=True))


def _pad_ids(frame: pd.DataFrame, option: Any, _: pd.Timestamp) -> pd.DataFrame:
    """Ids of digits get the leading zeros that they lost, up to the given width."""
    if not isinstance(option, int) or isinstance(option, bool) or not 1 <= option <= MAX_WIDTH:
        raise CorrectionError(f"The correction pad_ids needs the width of an id, from 1 to {MAX_WIDTH}, such as 7.")
    ids = frame[ID]
    padded = ids.where(~ids.str.fullmatch(r"[0-9]+").fillna(value=False).astype(bool), ids.str.zfill(option))
    # Two spellings of one padded id may be two customers: such rows are left for the analyst to decide.
    spellings = pd.DataFrame({"id": ids, "padded": padded}).drop_duplicates()["padded"]
    shared = padded.isin(spellings[spellings.duplicated()])
    return frame.assign(**{ID: padded.where(~shared, ids)})


def _null_spellings(frame: pd.DataFrame, option: Any, _: pd.Timestamp) -> pd.DataFrame:
    """Words that mean nothing, as - or n/a, become null; never in the key."""
    spellings = list(NULL_SPELLINGS) if option is True else _words("null_spellings", option)
    columns = [c for c in text_columns(frame) if c in CUSTOMER.attributes]
    return frame.assign(**{c: frame[c].mask(frame[c].isin(spellings)) for c in columns})


def _merge_spellings(frame: pd.DataFrame, option: Any, _: pd.Timestamp) -> pd.DataFrame:
    """Spellings of one category, equal but for case, spaces, accents and punctuation, become the most used one."""
    options = option if isinstance(option, Mapping) else {} if option is True else {"columns": option}
    if unknown := set(options) - {"columns", "to"}:
        raise CorrectionError(
            f"The correction merge_spellings takes 'columns' and 'to', not {', '.join(sorted(map(str, unknown)))}."
        )
    columns = _words("merge_spellings", options.get("columns", [c for c in SPELLED if c in frame.columns]))
    stated = _pairs("merge_spellings", options.get("to", {}))
    _require_texts(frame, columns)
    given = {folded_spelling(n): n for n in stated.values()} | {folded_spelling(o): n for o, n in stated.items()}
    new = {}
    for column in columns:
        # Where two are used equally often, the first in the file is taken: value_counts keeps that order.
        forms = frame[column].value_counts(sort=False).sort_values(ascending=False, kind="stable").index
        best: dict[str, str] = dict(given)
        moved = {f: to for f in forms if (key := folded_spelling(f)) and (to := best.setdefault(key, f)) != f}
        if moved:
            new[column] = _mapped(frame[column], moved)
    return frame.assign(**new)


def folded_spelling(text: str) -> str:
    """Return what two spellings of one category have in common.

    Signs that may mean something stay: ``A-`` is not ``A``, ``1-10`` not ``110``.

    Examples
    --------
    >>> folded_spelling("Key-Account (Élite)") == folded_spelling("key  account elite")
    True
    >>> folded_spelling("A-") == folded_spelling("A"), folded_spelling("1-10") == folded_spelling("110")
    (False, False)
    """
    plain = unicodedata.normalize("NFKD", text).casefold()
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    plain = re.sub("[\u2010-\u2015\u2212]", "-", plain)
    plain = _BETWEEN_DIGITS.sub(lambda found: _KEPT + (found[1].strip() or " ") + _KEPT, plain)
    parts = plain.split(_KEPT)
    return "".join(p if i % 2 else _SEPARATORS.sub("", p) for i, p in enumerate(parts))


def _map_source(frame: pd.DataFrame, option: Any, _: pd.Timestamp) -> pd.DataFrame:
    """Words for the source become the contract's two, as stated; case and outer spaces do not matter."""
    to = {old.strip().casefold(): new for old, new in _pairs("map_source", option).items()}
    known = CUSTOMER.column("source").values
    if odd := [new for new in to.values() if new not in known]:
        near = did_you_mean(odd[0], known) or "."
        raise CorrectionError(f"map_source: the source cannot be {odd[0]!r}{near} Write {' or '.join(known)}.")
    if "source" not in frame.columns:
        return frame
    forms = frame["source"].dropna().unique()
    return frame.assign(source=_mapped(frame["source"], {f: to[k] for f in forms if (k := f.strip().casefold()) in to}))


def _source_to_customer(frame: pd.DataFrame, option: Any, now: pd.Timestamp) -> pd.DataFrame:
    """ERP, or another word for the source, becomes customer."""
    words = ["ERP"] if option is True else _words("source_to_customer", option)
    return _map_source(frame, dict.fromkeys(words, "customer"), now)


def _drop_exact_duplicates(frame: pd.DataFrame, option: Any, _: pd.Timestamp) -> pd.DataFrame:
    """Of rows that say the same throughout, the first stays."""
    _require_true("drop_exact_duplicates", option)
    # A row without its key is not a duplicate of another one: nobody knows whose it is.
    return frame[~(frame.duplicated() & _keyed(frame))]


def _keep_newest(frame: pd.DataFrame, option: Any, _: pd.Timestamp) -> pd.DataFrame:
    """Of rows with one id and time the last in the file stays, the copies included: its time does not tell."""
    _require_true("keep_newest", option)
    return frame[~(frame.duplicated([ID, TIME], keep="last") & _keyed(frame))]


def _keep(frame: pd.DataFrame, option: Any, _: pd.Timestamp) -> pd.DataFrame:
    """Of rows with one id and time those stay that are named by their source_row."""
    rows = [option] if isinstance(option, int) else option
    if not isinstance(rows, list | tuple | pd.Index) or not all(_is_row(r) for r in rows):
        raise CorrectionError("The correction keep needs the source_row of each row to keep, such as [56, 140].")
    if lacking := [r for r in rows if r not in frame.index]:
        raise CorrectionError(f"The correction keep names row {lacking[0]}, which the delivery does not have.")
    chosen = frame.index.isin(rows)
    keys = pd.MultiIndex.from_frame(frame[[ID, TIME]].astype(object))
    if (twice := keys[chosen & _keyed(frame).to_numpy()].duplicated()).any():
        raise CorrectionError(f"The correction keep names {twice.sum() + 1} rows of one key: keep one of them.")
    return frame[chosen | ~keys.isin(keys[chosen]) | ~_keyed(frame).to_numpy()]


def _restamp(frame: pd.DataFrame, option: Any, now: pd.Timestamp) -> pd.DataFrame:
    """Chosen customers, or all, get a new time, so that they become new versions."""
    options = option if isinstance(option, Mapping) else {} if option is True else {"at": option}
    if unknown := set(options) - {"at", "ids"}:
        raise CorrectionError(f"The correction restamp takes 'at' and 'ids', not {', '.join(sorted(unknown))}.")
    try:
        stamp = pd.Timestamp(options["at"]) if "at" in options else now
    except (ValueError, TypeError):
        raise CorrectionError("The correction restamp needs a time such as 2026-11-24T10:00:00Z.") from None
    if stamp.tzinfo is None:
        raise CorrectionError("The correction restamp needs a time with its zone, such as 2026-11-24T10:00:00Z.")
    chosen = (
        frame[ID].isin(_words("restamp", options["ids"]))
        if "ids" in options
        else pd.Series(data=True, index=frame.index)
    )
    return frame.assign(**{TIME: frame[TIME].mask(chosen, stamp.tz_convert("UTC").as_unit("us"))})


CORRECTIONS: dict[str, Apply] = {
    "trim_spaces": _trim_spaces,
    "unicode_nfc": _unicode_nfc,
    "mojibake": _mojibake,
    "invisible_characters": _invisible_characters,
    "null_spellings": _null_spellings,
    "merge_spellings": _merge_spellings,
    "map_source": _map_source,
    "source_to_customer": _source_to_customer,
    "pad_ids": _pad_ids,
    "drop_exact_duplicates": _drop_exact_duplicates,
    "keep_newest": _keep_newest,
    "keep": _keep,
    "restamp": _restamp,
}
"""Name to function: frame, options, the present moment; gives the new frame."""


def says(name: str) -> str:
    """Return in one sentence what a correction does."""
    return (CORRECTIONS[name].__doc__ or "").split("\n")[0]


def _texts(frame: pd.DataFrame, option: Any, function: Callable[[Any], Any]) -> pd.DataFrame:
    columns = text_columns(frame) if option is True else _words("a correction's columns", option)
    _require_texts(frame, columns)
    # A column says the same few things many times over: work on each distinct text once.
    new = {}
    for column in columns:
        distinct = pd.Series(frame[column].dropna().unique(), dtype="str")
        after = function(distinct)
        moved = after.isna() | (after != distinct)
        if moved.any():
            new[column] = _mapped(frame[column], dict(zip(distinct[moved], after[moved], strict=True)))
    return frame.assign(**new)


def _mapped(cells: pd.Series[Any], to: Mapping[str, Any]) -> pd.Series[Any]:
    hit = cells.isin(list(to))
    return cells.mask(hit, cells[hit].map(to).astype("str"))


def _keyed(frame: pd.DataFrame) -> pd.Series[bool]:
    return frame[ID].notna() & frame[TIME].notna()


def _is_row(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _require_true(name: str, option: Any) -> None:
    if option is not True:
        raise CorrectionError(f"The correction {name} takes no options: write true.")


def _require_texts(frame: pd.DataFrame, columns: list[str]) -> None:
    for column in columns:
        if column not in text_columns(frame):
            near = did_you_mean(column, text_columns(frame)) or "."
            raise CorrectionError(f"{column!r} is not a text column of the frame{near}")


def _words(name: str, option: Any) -> list[str]:
    words = [option] if isinstance(option, str) else option
    if not isinstance(words, list | tuple | set | frozenset | pd.Index) or not all(isinstance(w, str) for w in words):
        raise CorrectionError(f'{name} takes true or a list of texts, such as ["-", "n/a"].')
    return list(words)


def _pairs(name: str, option: Any) -> dict[str, str]:
    if not isinstance(option, Mapping) or not all(isinstance(w, str) for pair in option.items() for w in pair):
        raise CorrectionError(f'The correction {name} needs the old words with the new, such as {{ERP = "customer"}}.')
    return dict(option)


def changes_between(before: pd.DataFrame, after: pd.DataFrame, rule: str) -> pd.DataFrame:
    """Return one record a cell that differs, or a row that is gone: `CHANGE_COLUMNS`, by row.

    The frames have the same columns; `after` has the index of `before`, or a part of it.
    """
    found = []
    kept = before.loc[after.index] if len(after) < len(before) else before
    for column in after.columns:
        old, new = kept[column], after[column]
        if old is new:
            continue
        moved = ~((old == new) | (old.isna() & new.isna())).fillna(value=False).astype(bool)
        if moved.any():
            found.append(_records(after.index[moved], column, old[moved], new[moved], rule))
    dropped = before.index.difference(after.index)
    if len(dropped):
        found.append(
            _records(
                dropped,
                WHOLE_ROW,
                pd.Series(PRESENT, index=dropped),
                pd.Series(DROPPED, index=dropped),
                rule,
            )
        )
    if not found:
        return pd.DataFrame(columns=CHANGE_COLUMNS)
    return pd.concat(found).sort_values("source_row", kind="stable", ignore_index=True)


def _records(rows: pd.Index[Any], column: str, before: Any, after: Any, rule: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "source_row": rows,
            "column": column,
            "before": before.to_numpy(dtype=object),
            "after": after.to_numpy(dtype=object),
            "rule": rule,
        }
    )
