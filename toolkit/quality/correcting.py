"""correct(): named corrections, each chosen by the analyst, each changed cell listed; none runs unasked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pandas as pd

from toolkit.display import Result, badge, frame_table, heading, paragraph, plural, table
from toolkit.errors import CorrectionError, did_you_mean
from toolkit.model import ID, TIME, Customers, Delivery, as_delivery
from toolkit.quality.corrections import CHANGE_COLUMNS, CORRECTIONS, changes_between, says
from toolkit.quality.patches import Patch, apply_patch, patch_of

PATCH = "patch"
"""In place of a correction's name: its option is the path of a patch, or several."""

_CALLED_FOR = ("trim_spaces", "unicode_nfc", "invisible_characters", "source_to_customer", "drop_exact_duplicates")


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
    ids
        The customer of each change, as the id was before it.
    notes
        What became of the patches.
    """

    delivery: Delivery
    changes: pd.DataFrame
    rules: tuple[str, ...]
    ids: tuple[Any, ...] = ()
    notes: tuple[str, ...] = ()

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
                *(paragraph(note) for note in self.notes),
                frame_table(self.changes) if self.n_changes else paragraph("No cell was changed.", soft=True),
            ]
        )

    def patch(self, *, who: str | None = None, when: datetime | None = None) -> Patch:
        """Return the changes as a patch, to be kept and applied to the next delivery.

        Parameters
        ----------
        who, when
            By default the present user and moment.
        """
        return patch_of(self.changes, self.ids, delivery=self.delivery, who=who, when=when)

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
        out). ``patch`` takes the path of a patch. None takes those that the delivery's mapping chose.
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
        if name not in (*CORRECTIONS, PATCH):
            raise CorrectionError(
                f"There is no correction named {name!r}{did_you_mean(name, CORRECTIONS) or '.'} "
                f"The corrections are: {', '.join(CORRECTIONS)}."
            )
    moment = (now or pd.Timestamp.now("UTC")).floor("s")
    changes: list[pd.DataFrame] = []
    ids: list[Any] = []
    notes: list[str] = []
    active = {name: option for name, option in options.items() if option is not False}
    for name, option in active.items():
        before = delivery.frame
        if name == PATCH:  # it may bring broken lines back, which change no cell
            delivery = _patched(delivery, option, notes)
            after = delivery.frame.loc[delivery.frame.index.isin(before.index)]
        else:
            after = CORRECTIONS[name](before, option, moment)
            delivery = replace(delivery, frame=after)
        found = changes_between(before, after, name)
        changes.append(found)
        ids += before[ID].reindex(found["source_row"]).tolist()
    listed = pd.concat(changes, ignore_index=True) if changes else pd.DataFrame(columns=CHANGE_COLUMNS)
    if "restamp" in active and TIME not in delivery.given:
        delivery = replace(delivery, given=(*delivery.given, TIME))
    return Correction(delivery, listed, tuple(active), tuple(ids), tuple(notes))


def _patched(delivery: Delivery, option: Any, notes: list[str]) -> Delivery:
    for path in [option] if isinstance(option, str) or not isinstance(option, Iterable) else option:
        if option is True:
            raise CorrectionError('The correction patch takes the path of a patch: patch = "mended.csv".')
        done = apply_patch(delivery, path)
        notes.append(f"patch {path}: {done.summary()}")
        delivery = done.delivery
    return delivery


@dataclass(frozen=True, eq=False, repr=False)
class Preview(Result):
    """What each correction would change if it were chosen; nothing is changed.

    Attributes
    ----------
    counts
        Correction to the cells it would change, a dropped row counted as one.
    changes
        The cells, as `Correction.changes` lists them: each correction by itself, on the delivery as it stands.
    needs
        Corrections that cannot be tried without an option, and what they say of it.
    """

    source: str
    counts: dict[str, int]
    changes: pd.DataFrame
    needs: dict[str, str]

    def summary(self) -> str:
        """Say in one line which corrections would find something."""
        found = ", ".join(f"{name} {n:,}" for name, n in self.counts.items() if n)
        return f"{self.source}: {found or 'no correction would change a cell'}"

    def body(self) -> str:
        """Give each correction with its count and its first cells as an HTML fragment."""
        rows = []
        for name, n in sorted(self.counts.items(), key=lambda pair: not pair[1]):
            first = self.changes[self.changes["rule"] == name].head(2)
            shown = " · ".join(
                f"row {c['source_row']}: {c['before']} → {'empty' if pd.isna(c['after']) else c['after']}"
                for c in first.to_dict("records")
            )
            rows.append((name, says(name), n, shown))
        parts = [
            heading(f"Corrections that could be chosen for {self.source}", level=3),
            paragraph("Nothing is changed: choose by name, in correct(…) or in [corrections].", soft=True),
            table(["correction", "what it does", "cells", "the first"], rows),
        ]
        if self.needs:
            parts.append(table(["needs an option", ""], list(self.needs.items())))
        return "".join(parts)

    def to_frame(self) -> pd.DataFrame:
        """Give the cells that would change."""
        return self.changes

    def to_dict(self) -> dict[str, Any]:
        """Give the counts."""
        return {"source": self.source, "would_change": self.counts}


def called_for(sample: pd.DataFrame) -> dict[str, int]:
    """Count the cells that each harmless correction would change in the first rows of a file."""
    return {rule: n for rule, n in correct(sample, _CALLED_FOR).counts.items() if n}


def preview_corrections(data: Customers, rules: Mapping[str, Any] | None = None) -> Preview:
    """Say what each correction would change, each by itself; none is applied.

    Parameters
    ----------
    rules
        Options to try, by correction; the others are tried with none.

    Raises
    ------
    CorrectionError
        If an option that is given cannot be used.

    Examples
    --------
    >>> frame = pd.DataFrame({"customer_id": ["A "], "source": ["ERP"],
    ...                       "updated_at": pd.to_datetime(["2025-01-28T10:00:00Z"])})
    >>> {name: n for name, n in preview_corrections(frame).counts.items() if n}
    {'trim_spaces': 1, 'source_to_customer': 1}
    """
    delivery = as_delivery(data)
    given = dict(rules or {})
    found: dict[str, pd.DataFrame] = {}
    needs: dict[str, str] = {}
    for name in CORRECTIONS:
        if name == "restamp" and name not in given:
            continue  # it would change every row, and says nothing of the delivery
        try:
            found[name] = correct(delivery, {name: given.get(name, True)}).changes
        except CorrectionError as error:
            if name in given:
                raise
            needs[name] = str(error)
    counts = {name: len(changes) for name, changes in found.items()}
    listed = [changes for changes in found.values() if len(changes)]
    every = pd.concat(listed, ignore_index=True) if listed else pd.DataFrame(columns=CHANGE_COLUMNS)
    return Preview(delivery.source, counts, every, needs)
