"""The named corrections, each a function from frame to frame that changes what its docstring says; and what changed.

The changes are found by comparing the two frames, so that the list of changes cannot disagree with the data.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from toolkit.display import Part, figures, noun
from toolkit.errors import CorrectionError, InputError, did_you_mean
from toolkit.lazy import Library
from toolkit.model import CUSTOMER, ID, TIME, Customers, Delivery, as_delivery
from toolkit.quality.rules import CODES, text_columns
from toolkit.reading import NULL_SPELLINGS

if TYPE_CHECKING:
    import ftfy
    import ftfy.badness
else:
    ftfy = Library("ftfy")

CHANGE_COLUMNS = ["source_row", "column", "before", "after", "rule"]
WHOLE_ROW = "(row)"
"""In place of a column's name, in the record of a row that was dropped."""
MAX_WIDTH = 40

# Any run of spaces, those of other scripts and of typesetters included.
_SPACES = r"[\s\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+"
# Control and zero-width characters, but not the joiners U+200C and U+200D: Persian and emoji cannot do without them.
_INVISIBLE = r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
# What does not distinguish two spellings: separators within, and punctuation at the ends. One separator between two
# digits is kept (1-10 is not 110), and a sign at the end, which may be a grade (A, A-, A+).
_SEPARATORS = re.compile(
    r"(?<=\d)(?=[-_/.,:\s])\s*+([-_/.,:]?)\s*+(?=\d)|(?<=\w)[-_/.,:;&'’`´\"()\s]+(?=\w)|[.,:;'’`´\"()\s]+"
)
_CATEGORIES = ("customer_category", "customer_subcategory")

Apply = Callable[[pd.DataFrame, Any, pd.Timestamp], pd.DataFrame]


def _trim_spaces(frame: pd.DataFrame, option: Any, _: pd.Timestamp) -> pd.DataFrame:
    """Remove leading, trailing and doubled spaces; a cell of spaces only becomes null."""

    def trim(cells: pd.Series[Any]) -> pd.Series[Any]:
        trimmed = cells.str.replace(_SPACES, " ", regex=True).str.strip()
        return trimmed.mask(trimmed == "")

    return _texts(frame, option, trim)


def _unicode_nfc(frame: pd.DataFrame, option: Any, _: pd.Timestamp) -> pd.DataFrame:
    """Make one character of a letter that is written as two, such as u and two dots."""
    return _texts(frame, option, lambda cells: cells.str.normalize("NFC"))


def _mojibake(frame: pd.DataFrame, option: Any, _: pd.Timestamp) -> pd.DataFrame:
    """Repair letters that were decoded wrongly, such as MÃ¼ller."""

    def repair(text: str) -> str:
        return ftfy.fix_encoding(text) if not text.isascii() and ftfy.badness.is_bad(text) else text

    return _texts(frame, option, lambda cells: cells.map(repair).astype("str"))


def _invisible_characters(frame: pd.DataFrame, option: Any, _: pd.Timestamp) -> pd.DataFrame:
    """Remove control and zero-width characters; the joiners U+200C and U+200D stay, since some scripts need them."""
    return _texts(frame, option, lambda cells: cells.str.replace(_INVISIBLE, "", regex=True))


def _spreadsheet_text(frame: pd.DataFrame, option: Any, _: pd.Timestamp) -> pd.DataFrame:
    """Unwrap cells such as ="00123", and ids such as '00123 or 123.0; digits that a spreadsheet cut are lost."""
    columns = text_columns(frame) if option is True else _words("spreadsheet_text", option)
    frame = _texts(frame, columns, lambda cells: cells.map(_without_formula).astype("str"))
    return _texts(frame, [c for c in columns if c in CODES], lambda cells: cells.map(_without_marks).astype("str"))


def _without_formula(text: str) -> str:
    inner = text[2:-1]
    wrapped = inner and text.startswith('="') and text.endswith('"') and '"' not in inner.replace('""', "")
    return inner.replace('""', '"') if wrapped else text


def _without_marks(text: str) -> str:
    if re.fullmatch(r"[0-9]+\.0", text):
        return text.removesuffix(".0")
    bare = text.removeprefix("'").removesuffix("'")
    return bare if "'" not in bare and re.search("[0-9]", bare) else text


def _pad_ids(frame: pd.DataFrame, option: Any, _: pd.Timestamp) -> pd.DataFrame:
    """Put leading zeros before ids of digits that are shorter than the given width, but never make one id of two."""
    if not isinstance(option, int) or isinstance(option, bool) or not 1 <= option <= MAX_WIDTH:
        raise CorrectionError(f"The correction pad_ids needs the width of an id, from 1 to {MAX_WIDTH}, such as 7.")
    ids = frame[ID]
    padded = ids.where(~ids.str.fullmatch(r"[0-9]+").fillna(value=False).astype(bool), ids.str.zfill(option))
    # Two spellings of one padded id may be two customers: such rows are left for the analyst to decide.
    spellings = pd.DataFrame({"id": ids, "padded": padded}).drop_duplicates()["padded"]
    shared = padded.isin(spellings[spellings.duplicated()])
    return frame.assign(**{ID: padded.where(~shared, ids)})


def _null_spellings(frame: pd.DataFrame, option: Any, _: pd.Timestamp) -> pd.DataFrame:
    """Make null of words that mean nothing, such as - or n/a; never in the key."""
    spellings = list(NULL_SPELLINGS) if option is True else _words("null_spellings", option)
    columns = [c for c in text_columns(frame) if c in CUSTOMER.attributes]
    return frame.assign(**{c: frame[c].mask(frame[c].isin(spellings)) for c in columns})


def _merge_spellings(frame: pd.DataFrame, option: Any, _: pd.Timestamp) -> pd.DataFrame:
    """Replace spellings of a category that differ by case, spaces, accents or punctuation by the most used one."""
    options = option if isinstance(option, Mapping) else {} if option is True else {"columns": option}
    _require_known("merge_spellings", options, ("columns", "to"))
    columns = _words("merge_spellings", options.get("columns", [c for c in _CATEGORIES if c in frame.columns]))
    stated = _pairs("merge_spellings", options.get("to", {}))
    _require_texts(frame, columns)
    given = {folded_spelling(n): n for n in stated.values()} | {folded_spelling(o): n for o, n in stated.items()}
    new = {}
    for column in columns:
        # Where two are used equally often, the first in the file is taken: value_counts keeps that order.
        forms = frame[column].value_counts(sort=False).sort_values(ascending=False, kind="stable").index
        best: dict[str, str] = dict(given)
        moved = {f: to for f in forms if (key := folded_spelling(f)) and (to := best.setdefault(key, f)) != f}
        new[column] = _mapped(frame[column], moved)
    return frame.assign(**new)


def folded_spelling(text: str) -> str:
    """Return what two spellings of one category have in common.

    Characters that may mean something stay: ``A-`` is not ``A``, ``1-10`` not ``110``.

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
    return _SEPARATORS.sub(lambda found: "" if found[1] is None else found[1].strip() or " ", plain)


def _map_source(frame: pd.DataFrame, option: Any, _: pd.Timestamp) -> pd.DataFrame:
    """Replace words for the source by the contract's two, as stated; case and outer spaces do not matter."""
    to = {old.strip().casefold(): new for old, new in _pairs("map_source", option).items()}
    known = CUSTOMER.column("source").values
    if wrong := [new for new in to.values() if new not in known]:
        near = did_you_mean(wrong[0], known) or "."
        raise CorrectionError(f"map_source: the source cannot be {wrong[0]!r}{near} Write {' or '.join(known)}.")
    if "source" not in frame.columns:
        return frame
    forms = frame["source"].dropna().unique()
    return frame.assign(source=_mapped(frame["source"], {f: to[k] for f in forms if (k := f.strip().casefold()) in to}))


def _source_to_customer(frame: pd.DataFrame, option: Any, now: pd.Timestamp) -> pd.DataFrame:
    """Replace the source ERP, or another given word, by customer."""
    words = ["ERP"] if option is True else _words("source_to_customer", option)
    return _map_source(frame, dict.fromkeys(words, "customer"), now)


def _drop_exact_duplicates(frame: pd.DataFrame, option: Any, _: pd.Timestamp) -> pd.DataFrame:
    """Drop rows that are equal to an earlier one in every column."""
    _require_true("drop_exact_duplicates", option)
    # A row without its key is not a duplicate of another one: nobody knows whose it is.
    return frame[~(frame.duplicated() & _keyed(frame))]


def _keep_last(frame: pd.DataFrame, option: Any, _: pd.Timestamp) -> pd.DataFrame:
    """Keep, of rows with the same id and time, the last one of the file; the values are not compared."""
    _require_true("keep_last", option)
    return frame[~(frame.duplicated([ID, TIME], keep="last") & _keyed(frame))]


def _keep(frame: pd.DataFrame, option: Any, _: pd.Timestamp) -> pd.DataFrame:
    """Keep, of rows with the same id and time, those that are given by their source_row."""
    rows = option if isinstance(option, list | tuple | pd.Index) else [option]
    if not all(isinstance(row, int) and not isinstance(row, bool) for row in rows):
        raise CorrectionError("The correction keep needs the source_row of each row to keep, such as [56, 140].")
    if lacking := [r for r in rows if r not in frame.index]:
        raise CorrectionError(f"The correction keep names row {lacking[0]}, which the delivery does not have.")
    chosen, keyed = frame.index.isin(rows), _keyed(frame).to_numpy()
    keys = pd.MultiIndex.from_frame(frame[[ID, TIME]].astype(object))
    return frame[chosen | ~keys.isin(keys[chosen]) | ~keyed]


def _restamp(frame: pd.DataFrame, option: Any, now: pd.Timestamp) -> pd.DataFrame:
    """Give all customers, or the given ones, a new time, so that their rows become new versions."""
    options = option if isinstance(option, Mapping) else {} if option is True else {"at": option}
    _require_known("restamp", options, ("at", "ids"))
    try:
        stamp = pd.Timestamp(options.get("at", now))
    except (ValueError, TypeError):
        raise CorrectionError("The correction restamp needs a time such as 2026-11-24T10:00:00Z.") from None
    if stamp.tzinfo is None:
        raise CorrectionError("The correction restamp needs a time with its zone, such as 2026-11-24T10:00:00Z.")
    every = pd.Series(True, index=frame.index)
    chosen = frame[ID].isin(_words("restamp", options["ids"])) if "ids" in options else every
    times = frame[TIME] if isinstance(frame[TIME].dtype, pd.DatetimeTZDtype) else frame[TIME].astype(object)
    return frame.assign(**{TIME: times.mask(chosen, stamp.tz_convert("UTC").as_unit("us"))})


CORRECTIONS: dict[str, Apply] = {
    apply.__name__.removeprefix("_"): apply for apply in (
        _trim_spaces, _unicode_nfc, _mojibake, _invisible_characters, _null_spellings, _merge_spellings, _map_source,
        _source_to_customer, _spreadsheet_text, _pad_ids, _drop_exact_duplicates, _keep_last, _keep, _restamp,
    )
}  # fmt: skip
"""Name to function: from a frame, the correction's options and the present moment to the new frame."""


def _texts(frame: pd.DataFrame, option: Any, function: Callable[[Any], Any]) -> pd.DataFrame:
    columns = text_columns(frame) if option is True else _words("a correction's columns", option)
    _require_texts(frame, columns)
    # A column repeats a few texts many times: the function gets each distinct text once.
    new = {}
    for column in columns:
        distinct = pd.Series(frame[column].dropna().unique(), dtype="str")
        after = function(distinct)
        moved = after.isna() | (after != distinct)
        new[column] = _mapped(frame[column], dict(zip(distinct[moved], after[moved], strict=True)))
    return frame.assign(**new)


def _mapped(cells: pd.Series[Any], to: Mapping[str, Any]) -> pd.Series[Any]:
    if not to:
        return cells
    hit = cells.isin(list(to))
    return cells.mask(hit, cells[hit].map(to).astype("str"))


def _keyed(frame: pd.DataFrame) -> pd.Series[bool]:
    return frame[ID].notna() & frame[TIME].notna()


def _require_true(name: str, option: Any) -> None:
    if option is not True:
        raise CorrectionError(f"The correction {name} takes no options: write true.")


def _require_known(name: str, options: Mapping[Any, Any], known: tuple[str, str]) -> None:
    if unknown := set(options) - set(known):
        listed = ", ".join(sorted(map(str, unknown)))
        raise CorrectionError(f"The correction {name} takes {known[0]!r} and {known[1]!r}, not {listed}.")


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


def usable(data: Customers, *, columns: tuple[str, ...] = CUSTOMER.names) -> Delivery:
    """Return the delivery that `data` carries, as `as_delivery` does, if its changes can be led back to their rows.

    Raises
    ------
    InputError
        If `data` has no customers with their key, or two rows have the same number in the index.
    """
    delivery = as_delivery(data, columns=columns)
    if not delivery.frame.index.is_unique:
        raise InputError(
            "The frame's index gives two rows the same number, so a finding or a change could not be led back to its "
            "row: call reset_index(drop=True) first."
        )
    return delivery


def require_times(frame: pd.DataFrame) -> None:
    """Refuse a frame whose times have no zone, or are not times.

    Raises
    ------
    InputError
        Naming what the column contains.
    """
    dtype = frame[TIME].dtype
    if not (isinstance(dtype, pd.DatetimeTZDtype) or pd.api.types.is_object_dtype(dtype)):
        raise InputError(
            f"{TIME} is a column of {dtype}, not of times with a time zone: read the file with read_customers, or "
            "convert the column with pd.to_datetime(…) and .dt.tz_localize('Europe/Berlin')."
        )


def change_parts(changes: pd.DataFrame) -> list[Part]:
    """Count changes as the parts of a bar: the cells, and the rows that are dropped."""
    n_cells, n_rows = (int(((changes["column"] == WHOLE_ROW) == drops).sum()) for drops in (False, True))
    return [Part(n_cells, f"{noun(n_cells, 'cell')} changed", "changed"),
            Part(n_rows, f"{noun(n_rows, 'row')} dropped", "calm")]  # fmt: skip


def counted(changes: pd.DataFrame) -> str:
    """Count changes in words.

    Examples
    --------
    >>> counted(pd.DataFrame({"column": ["customer_name", "(row)"]}))
    '1 cell changed, 1 row dropped'
    """
    return figures(change_parts(changes)) or "0 cells changed"


def changes_between(before: pd.DataFrame, after: pd.DataFrame, rule: str) -> pd.DataFrame:
    """Return one record for each cell that differs and each row that is gone: `CHANGE_COLUMNS`, ordered by row.

    The frames have the same columns; the index of `after` is that of `before`, or a part of it.
    """
    kept, gone = before.loc[after.index], before.index.difference(after.index)
    pairs = [(WHOLE_ROW, pd.Series("present", gone), pd.Series("dropped", gone))]
    for column in after.columns:
        old, new = kept[column], after[column]
        moved = ~((old == new) | (old.isna() & new.isna())).fillna(value=False).astype(bool)
        pairs.append((column, old[moved], new[moved]))
    found = [
        pd.DataFrame(
            {"source_row": old.index, "column": column, "before": old.to_numpy(object), "after": new.to_numpy(object)}
        )
        for column, old, new in pairs
        if len(old)
    ]
    if not found:
        return pd.DataFrame(columns=CHANGE_COLUMNS)
    return pd.concat(found).sort_values("source_row", kind="stable", ignore_index=True).assign(rule=rule)
