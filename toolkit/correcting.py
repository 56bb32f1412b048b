"""correct(): named corrections, each chosen by the analyst, each changed cell listed.

None runs unasked. A correction is a function from frame to frame; what it changed is found by comparing the
two, so that the list cannot disagree with the data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from ftfy import fix_encoding

from toolkit.contract import CUSTOMER, ID, TIME
from toolkit.delivery import Customers, Delivery, as_delivery
from toolkit.display import Result, badge, frame_table, heading, paragraph, plural
from toolkit.errors import CorrectionError, did_you_mean
from toolkit.rules import text_columns

CHANGE_COLUMNS = ["source_row", "column", "before", "after", "rule"]
WHOLE_ROW = "(row)"
SPACES = r"[\s\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+"
"""Any run of spaces, those of other scripts and of typesetters included."""
NULL_SPELLINGS = ("-", "--", "n/a", "N/A", "#N/A", "NULL", "null", "None", "?")

INVISIBLE = r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
"""Control and zero-width characters, but for the joiners (U+200C, U+200D), which some scripts need to be read."""
MAX_WIDTH = 40

Apply = Callable[[pd.DataFrame, Any, pd.Timestamp], pd.DataFrame]


@dataclass(frozen=True, eq=False, repr=False)
class Correction(Result):
    """What `correct` changed.

    Attributes
    ----------
    delivery
        The corrected customers, for the next station.
    changes
        One record a changed cell: ``source_row, column, before, after, rule``. A dropped row is one record
        with the column ``(row)``.
    rules
        The corrections that ran, in their order.
    """

    delivery: Delivery
    changes: pd.DataFrame
    rules: tuple[str, ...]

    @property
    def frame(self) -> pd.DataFrame:
        """The corrected customers."""
        return self.delivery.frame

    @property
    def n_changes(self) -> int:
        """Changed cells, a dropped row counted as one."""
        return len(self.changes)

    @property
    def counts(self) -> dict[str, int]:
        """Changed cells by correction; nought for one that found nothing."""
        counted = self.changes["rule"].value_counts()
        return {rule: int(counted.get(rule, 0)) for rule in self.rules}

    def summary(self) -> str:
        """Say the changes in one line."""
        by_rule = ", ".join(f"{rule} {n:,}" for rule, n in self.counts.items())
        return f"{plural(self.n_changes, 'cell')} changed" + (f" ({by_rule})" if by_rule else "")

    def body(self) -> str:
        """Give the changed cells as an HTML fragment."""
        return "".join(
            [
                heading(f"Corrections of {self.delivery.source}", level=3),
                "".join(badge(f"{rule} {n:,}", tone="warn" if n else "calm") for rule, n in self.counts.items()),
                frame_table(self.changes) if self.n_changes else paragraph("No cell was changed.", soft=True),
            ]
        )

    def to_frame(self) -> pd.DataFrame:
        """Give the changed cells."""
        return self.changes

    def to_dict(self) -> dict[str, Any]:
        """Give the counts."""
        return {"changes": self.n_changes, "by_rule": self.counts}


def correct(
    data: Customers,
    rules: Iterable[str] | Mapping[str, Any] | None = None,
    *,
    now: pd.Timestamp | None = None,
) -> Correction:
    """Apply named corrections, in the order given.

    Parameters
    ----------
    rules
        Names, or names with their options (``{"null_spellings": ["-"]}``; True for none, False to leave it
        out). None takes those that the delivery's mapping chose.
    now
        The moment `restamp` writes, UTC; by default the present.

    Raises
    ------
    CorrectionError
        If a name is unknown, or its options cannot be used.

    Examples
    --------
    >>> frame = pd.DataFrame({"customer_id": ["A "], "source": ["ERP"],
    ...                       "updated_at": pd.to_datetime(["2025-01-28T10:00:00Z"])})
    >>> done = correct(frame, ["trim_spaces", "source_to_customer"])
    >>> done
    <Correction: 2 cells changed (trim_spaces 1, source_to_customer 1)>
    """
    delivery = as_delivery(data)
    chosen = delivery.corrections if rules is None else rules
    options = dict(chosen) if isinstance(chosen, Mapping) else dict.fromkeys(chosen, True)
    for name in options:
        if name not in CORRECTIONS:
            raise CorrectionError(
                f"There is no correction named {name!r}{did_you_mean(name, CORRECTIONS)} "
                f"The corrections are: {', '.join(CORRECTIONS)}."
            )
    moment = (now or pd.Timestamp.now("UTC")).floor("s")
    frame, changes = delivery.frame, []
    active = {name: option for name, option in options.items() if option is not False}
    for name, option in active.items():
        after = CORRECTIONS[name](frame, option, moment)
        changes.append(_changes(frame, after, name))
        frame = after
    listed = pd.concat(changes, ignore_index=True) if changes else pd.DataFrame(columns=CHANGE_COLUMNS)
    given = delivery.given
    if "restamp" in active and TIME not in given:
        given = (*given, TIME)
    return Correction(replace(delivery, frame=frame, given=given), listed, tuple(active))


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


def _drop_exact_duplicates(frame: pd.DataFrame, option: Any, _: pd.Timestamp) -> pd.DataFrame:
    if option is not True:
        raise CorrectionError("The correction drop_exact_duplicates takes no options: write true.")
    # A row without its key is not a duplicate of another one: nobody knows whose it is.
    keyed = frame[ID].notna() & frame[TIME].notna()
    return frame[~(frame.duplicated() & keyed)]


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


CORRECTIONS: dict[str, Apply] = {
    "trim_spaces": _trim_spaces,
    "unicode_nfc": _unicode_nfc,
    "mojibake": _mojibake,
    "invisible_characters": _invisible_characters,
    "pad_ids": _pad_ids,
    "null_spellings": _null_spellings,
    "source_to_customer": _source_to_customer,
    "drop_exact_duplicates": _drop_exact_duplicates,
    "restamp": _restamp,
}
"""Name to function: frame, options, the present moment; gives the new frame."""


def _texts(frame: pd.DataFrame, option: Any, function: Callable[[Any], Any]) -> pd.DataFrame:
    columns = text_columns(frame) if option is True else _words("a correction's columns", option)
    for column in columns:
        if column not in text_columns(frame):
            raise CorrectionError(
                f"{column!r} is not a text column of the frame{did_you_mean(column, text_columns(frame))}"
            )
    # A column says the same few things many times over: work on each distinct text once.
    new = {}
    for column in columns:
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


def _changes(before: pd.DataFrame, after: pd.DataFrame, rule: str) -> pd.DataFrame:
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
                pd.Series("present", index=dropped),
                pd.Series("dropped", index=dropped),
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
