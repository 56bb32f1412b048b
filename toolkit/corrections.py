"""The named corrections: functions from a frame to a frame, and the list of what differs between two.

What a correction changed is found by comparing the two frames, so that the list cannot disagree with the data.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
from ftfy import fix_encoding

from toolkit.contract import CUSTOMER, ID, TIME
from toolkit.errors import CorrectionError, did_you_mean
from toolkit.rules import text_columns

CHANGE_COLUMNS = ["source_row", "column", "before", "after", "rule"]
WHOLE_ROW = "(row)"
PRESENT, DROPPED = "present", "dropped"
SPACES = r"[\s\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+"
"""Any run of spaces, those of other scripts and of typesetters included."""
NULL_SPELLINGS = ("-", "--", "n/a", "N/A", "#N/A", "NULL", "null", "None", "?")
INVISIBLE = r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
"""Control and zero-width characters, but for the joiners (U+200C, U+200D), which some scripts need to be read."""
MAX_WIDTH = 40
MERGED = ("customer_category", "customer_subcategory")

Apply = Callable[[pd.DataFrame, Any, pd.Timestamp], pd.DataFrame]
"""From a frame, the option and the present moment to the new frame."""


def _trim_spaces(frame: pd.DataFrame, option: Any, _: pd.Timestamp) -> pd.DataFrame:
    def trim(cells: pd.Series[Any]) -> pd.Series[Any]:
        trimmed = cells.str.replace(SPACES, " ", regex=True).str.strip()
        return trimmed.mask(trimmed == "")  # nothing but spaces: an empty cell

    return _texts(frame, option, trim)


def _unicode_nfc(frame: pd.DataFrame, option: Any, _: pd.Timestamp) -> pd.DataFrame:
    return _texts(frame, option, lambda cells: cells.str.normalize("NFC"))


def _mojibake(frame: pd.DataFrame, option: Any, _: pd.Timestamp) -> pd.DataFrame:
    return _texts(frame, option, lambda cells: cells.map(fix_encoding, na_action="ignore").astype("str"))


def _invisible_characters(frame: pd.DataFrame, option: Any, _: pd.Timestamp) -> pd.DataFrame:
    return _texts(frame, option, lambda cells: cells.str.replace(INVISIBLE, "", regex=True))


def _pad_ids(frame: pd.DataFrame, option: Any, _: pd.Timestamp) -> pd.DataFrame:
    if not isinstance(option, int) or isinstance(option, bool) or not 1 <= option <= MAX_WIDTH:
        raise CorrectionError(f"The correction pad_ids needs the width of an id, from 1 to {MAX_WIDTH}, such as 7.")
    ids = frame[ID]
    padded = ids.where(~ids.str.fullmatch(r"[0-9]+").fillna(value=False).astype(bool), ids.str.zfill(option))
    # Two spellings of one padded id may be two customers: such rows are left for the analyst to decide.
    spellings = pd.DataFrame({"id": ids, "padded": padded}).drop_duplicates()["padded"]
    shared = padded.isin(spellings[spellings.duplicated()])
    return frame.assign(**{ID: padded.where(~shared, ids)})


def _null_spellings(frame: pd.DataFrame, option: Any, _: pd.Timestamp) -> pd.DataFrame:
    spellings = list(NULL_SPELLINGS) if option is True else _words("null_spellings", option)
    columns = [c for c in text_columns(frame) if c in CUSTOMER.attributes]
    return frame.assign(**{c: frame[c].mask(frame[c].isin(spellings)) for c in columns})


def _source_to_customer(frame: pd.DataFrame, option: Any, _: pd.Timestamp) -> pd.DataFrame:
    spellings = {w.casefold() for w in (["ERP"] if option is True else _words("source_to_customer", option))}
    if "source" not in frame.columns:
        return frame
    found = frame["source"].str.strip().str.casefold().isin(spellings)
    return frame.assign(source=frame["source"].mask(found, "customer"))


def _source_mapping(frame: pd.DataFrame, option: Any, _: pd.Timestamp) -> pd.DataFrame:
    pairs = _pairs("source_mapping", option, 'such as {"ERP": "customer"}')
    known = CUSTOMER.column("source").values
    for value in pairs.values():
        if value not in known:
            raise CorrectionError(f"The correction source_mapping gives one of {', '.join(known)}, not {value!r}.")
    if "source" not in frame.columns:
        return frame
    folded = frame["source"].str.strip().str.casefold().map({k.strip().casefold(): v for k, v in pairs.items()})
    return frame.assign(source=frame["source"].mask(folded.notna(), folded))


def _merge_spellings(frame: pd.DataFrame, option: Any, _: pd.Timestamp) -> pd.DataFrame:
    if isinstance(option, Mapping):
        pairs = _pairs("merge_spellings", option, "from a spelling to the one to use")
        return frame.assign(**{c: frame[c].replace(pairs) for c in MERGED if c in frame.columns})
    columns = list(MERGED) if option is True else _words("merge_spellings", option)
    new = {}
    for column in (c for c in columns if _text_column(c, frame)):
        counts = frame[column].value_counts()  # by count, then by first appearance
        used: dict[str, str] = {}
        moved = {s: used[k] for s in counts.index if used.setdefault(k := folded(s), s) != s}
        if moved:
            new[column] = frame[column].replace(moved)
    return frame.assign(**new)


def folded(text: str) -> str:
    """Return what a person would take for one spelling: without case, accents, spaces and signs.

    Examples
    --------
    >>> folded("Groß-Handel") == folded("GROSSHANDEL"), folded("Büro") == folded("Bu\u0308ro")
    (True, True)
    """
    letters = unicodedata.normalize("NFKD", text).casefold()
    return "".join(c for c in letters if c.isalnum()) or text


def _keep_newest(frame: pd.DataFrame, option: Any, _: pd.Timestamp) -> pd.DataFrame:
    if option is not True:
        raise CorrectionError("The correction keep_newest takes no options: write true.")
    return frame.loc[~(frame.duplicated([ID, TIME], keep="last") & _keyed(frame))]


def _keep_rows(frame: pd.DataFrame, option: Any, _: pd.Timestamp) -> pd.DataFrame:
    chosen = option if isinstance(option, list | tuple | set | pd.Index) else [option]
    if not all(isinstance(row, int) and not isinstance(row, bool) for row in chosen):
        raise CorrectionError("The correction keep_rows takes the source_rows to keep, such as [56, 140].")
    if unknown := sorted(set(chosen) - set(frame.index)):
        raise CorrectionError(f"The correction keep_rows names row {unknown[0]}, which is not among the rows.")
    keys = pd.MultiIndex.from_frame(frame[[ID, TIME]])
    kept = frame.index.isin(list(chosen))
    return frame.loc[kept | ~(keys.isin(keys[kept]) & _keyed(frame))]


def _keyed(frame: pd.DataFrame) -> pd.Series[bool]:
    # A row without its key is not a duplicate of another one: nobody knows whose it is.
    return frame[ID].notna() & frame[TIME].notna()


def _drop_exact_duplicates(frame: pd.DataFrame, option: Any, _: pd.Timestamp) -> pd.DataFrame:
    if option is not True:
        raise CorrectionError("The correction drop_exact_duplicates takes no options: write true.")
    return frame.loc[~(frame.duplicated() & _keyed(frame))]


def _restamp(frame: pd.DataFrame, option: Any, now: pd.Timestamp) -> pd.DataFrame:
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


WHAT: dict[str, str] = {
    "trim_spaces": "spaces before and after go, doubled ones become one",
    "unicode_nfc": "letters written as two characters become one (ü)",
    "mojibake": "letters that were decoded wrongly are put right (MÃ¼ller)",
    "invisible_characters": "control and zero-width characters go",
    "pad_ids": "ids of digits get their leading zeros back; takes the width",
    "null_spellings": "-, n/a and the like become empty cells; takes the spellings",
    "source_to_customer": "ERP in source becomes customer; takes the spellings",
    "source_mapping": "words in source become peak or customer; takes the pairs",
    "merge_spellings": "spellings of a category become its most used one; takes columns or pairs",
    "drop_exact_duplicates": "rows that say the same twice go, but for the first",
    "keep_newest": "of rows that contradict each other under one key, the last in the file stays",
    "keep_rows": "of rows that contradict each other under one key, those named stay",
    "restamp": "rows get a new updated_at; takes the time and the ids",
}
"""Name to what it does, in plain words."""

CORRECTIONS: dict[str, Apply] = {
    "trim_spaces": _trim_spaces,
    "unicode_nfc": _unicode_nfc,
    "mojibake": _mojibake,
    "invisible_characters": _invisible_characters,
    "pad_ids": _pad_ids,
    "null_spellings": _null_spellings,
    "source_to_customer": _source_to_customer,
    "source_mapping": _source_mapping,
    "merge_spellings": _merge_spellings,
    "drop_exact_duplicates": _drop_exact_duplicates,
    "keep_newest": _keep_newest,
    "keep_rows": _keep_rows,
    "restamp": _restamp,
}
"""Name to function: frame, options, the present moment; gives the new frame."""


def _texts(frame: pd.DataFrame, option: Any, function: Callable[[Any], Any]) -> pd.DataFrame:
    columns = text_columns(frame) if option is True else _words("a correction's columns", option)
    # A column says the same few things many times over: work on each distinct text once.
    new = {}
    for column in (c for c in columns if _text_column(c, frame)):
        distinct = pd.Series(frame[column].dropna().unique(), dtype="str")
        after = function(distinct)
        moved = after.isna() | (after != distinct)
        if moved.any():
            new[column] = frame[column].replace(dict(zip(distinct[moved], after[moved], strict=True)))
    return frame.assign(**new)


def _words(name: str, option: Any) -> list[str]:
    words = [option] if isinstance(option, str) else option
    if not isinstance(words, list | tuple | set | frozenset | pd.Index) or not all(isinstance(w, str) for w in words):
        raise CorrectionError(f'{name} takes true or a list of texts, such as ["-", "n/a"].')
    return list(words)


def _text_column(column: str, frame: pd.DataFrame) -> bool:
    """Say whether the frame has the column; what is no text column is refused."""
    if column in text_columns(frame):
        return True
    if column in MERGED:
        return False
    near = did_you_mean(column, text_columns(frame)) or "."
    raise CorrectionError(f"{column!r} is not a text column of the frame{near}")


def _pairs(name: str, option: Any, such: str) -> dict[str, str]:
    texts = isinstance(option, Mapping) and all(isinstance(t, str) for pair in option.items() for t in pair)
    if not texts or not option:
        raise CorrectionError(f"The correction {name} takes pairs of texts, {such}.")
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
