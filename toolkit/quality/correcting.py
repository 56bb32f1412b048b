"""correct(): named corrections that the analyst chooses, with a list of every changed cell; no other one runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pandas as pd

from toolkit.display import Cell, Column, Part, Result, code, grid, headline, joined, pick, plural, section
from toolkit.errors import CorrectionError, did_you_mean
from toolkit.model import ID, NAME, TIME, Customers, Delivery, zoned_moment
from toolkit.progress import step
from toolkit.quality.corrections import CHANGE_COLUMNS, CORRECTIONS, WHOLE_ROW, changes_between, counted, usable
from toolkit.quality.drifting import Before, earlier
from toolkit.quality.id_forms import fitting_width
from toolkit.quality.patches import Patch, apply_patch, patch_of
from toolkit.quality.showing import changes_grid

PATCH = "patch"
"""In place of a correction's name: its option is the path of a patch, or a list of paths."""

_HARMLESS = (
    "trim_spaces", "unicode_nfc", "invisible_characters", "spreadsheet_text", "source_to_customer",
    "drop_exact_duplicates",
)  # fmt: skip

Rules = Iterable[str] | Mapping[str, Any]
"""Names of corrections, or names with their options."""


@dataclass(frozen=True, eq=False, repr=False)
class Correction(Result):
    """What `correct` changed.

    Attributes
    ----------
    delivery
        The corrected customers, for the next station.
    changes
        One record for each changed cell: ``source_row, column, before, after, rule``. A dropped row is one record
        with the column ``(row)``.
    rules
        The corrections that ran, in their order.
    ids
        The customer ids before any change, index ``source_row``.
    notes
        What became of the patches.
    """

    delivery: Delivery
    changes: pd.DataFrame
    rules: tuple[str, ...]
    ids: pd.Series[Any]
    notes: tuple[str, ...] = ()

    @property
    def frame(self) -> pd.DataFrame:
        """The corrected customers."""
        return self.delivery.frame

    @property
    def n_changes(self) -> int:
        """Number of changed cells; a dropped row counts as one."""
        return len(self.changes)

    @property
    def counts(self) -> dict[str, int]:
        """Changed cells by correction; zero for one that found nothing."""
        counted = self.changes["rule"].value_counts()
        return {rule: int(counted.get(rule, 0)) for rule in self.rules}

    def summary(self) -> str:
        """Return the counts in one line."""
        listed = ", ".join(f"{name} {n:,}" for name, n in self.counts.items())
        return counted(self.changes) + (f" ({listed})" if self.rules else "")

    def body(self) -> str:
        """Return the changed cells as an HTML fragment."""
        came, said = self.delivery, counted(self.changes) if self.n_changes else "No cell was changed"
        parts = [Part(n, f"by {rule}", "changed") for rule, n in self.counts.items()]
        customers = {ID: self.ids} | ({NAME: came.frame[NAME]} if NAME in came.frame else {})
        of_row = {name: self.changes["source_row"].map(cells) for name, cells in customers.items()}
        table = changes_grid("Changed cells", self.changes.assign(**of_row), names=came.names, written=came.written)
        return joined(
            headline(f"Corrections of {came.source}", said, *self.notes, parts=parts),
            section("Changed cells", table) if self.n_changes else "",
            section("What now", code("report = tk.validate(corrected)", 'corrected.patch().write("patch.csv")')),
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
        """Return the changed cells."""
        return self.changes

    def to_dict(self) -> dict[str, Any]:
        """Return the counts."""
        return {"changes": self.n_changes, "by_rule": self.counts}


@step("Correcting")
def correct(data: Customers, rules: Rules | None = None, *, now: pd.Timestamp | None = None) -> Correction:
    """Apply named corrections, in the order given.

    Parameters
    ----------
    rules
        Names, or names with their options (``{"null_spellings": ["-"]}``; True for no option, False to leave the
        correction out). ``patch`` takes the path of a patch. None takes those that the delivery's mapping chose.
    now
        The moment that `restamp` writes, UTC; by default the present.

    Raises
    ------
    InputError
        If `data` has no customers that can be corrected.
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
    delivery = usable(data)
    ids = delivery.frame[ID]
    moment = zoned_moment(now, "now").floor("s")
    changes = [pd.DataFrame(columns=CHANGE_COLUMNS)]
    notes: list[str] = []
    chosen = _options(delivery.corrections if rules is None else rules)
    for name, option in chosen.items():
        before = delivery.frame
        if name == PATCH:  # it may bring set-aside lines back, which change no cell
            delivery = _patched(delivery, option, notes)
            after = delivery.frame.loc[delivery.frame.index.isin(before.index)]
        else:
            after = CORRECTIONS[name](before, option, moment)
            delivery = replace(delivery, frame=after, corrected=delivery.corrected | {name: option})
        changes.append(changes_between(before, after, name))
    if "restamp" in chosen and TIME not in delivery.given:
        delivery = replace(delivery, given=(*delivery.given, TIME))
    found = [part for part in changes if len(part)] or changes[:1]
    return Correction(delivery, pd.concat(found, ignore_index=True), tuple(chosen), ids, tuple(notes))


def _options(rules: Rules) -> dict[str, Any]:
    """Return the corrections that are chosen, with their options."""
    if isinstance(rules, str):
        rules = [rules]
    if not isinstance(rules, Iterable):
        kind = type(rules).__name__
        raise CorrectionError(f'Give corrections as a list of names, such as ["trim_spaces"], not as {kind}.')
    options = dict(rules) if isinstance(rules, Mapping) else dict.fromkeys(rules, True)
    for name in options:
        if name not in (*CORRECTIONS, PATCH):
            raise CorrectionError(
                f"There is no correction named {name!r}{did_you_mean(str(name), CORRECTIONS) or '.'} "
                f"The corrections are: {', '.join(CORRECTIONS)}."
            )
    return {name: option for name, option in options.items() if option is not False}


def _patched(delivery: Delivery, option: Any, notes: list[str]) -> Delivery:
    if option is True:
        raise CorrectionError('The correction patch takes the path of a patch: patch = "fixes.csv".')
    for path in option if isinstance(option, list | tuple) else [option]:
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
        Correction to the number of cells that it would change; a dropped row counts as one.
    options
        The options that were tried, by correction.
    changes
        The cells, as `Correction.changes` lists them: each correction alone, on the delivery as it is.
    needs
        Corrections that cannot be tried without an option, with the message that says so.
    """

    source: str
    counts: dict[str, int]
    options: dict[str, Any]
    changes: pd.DataFrame
    needs: dict[str, str]

    @property
    def choices(self) -> dict[str, str]:
        """What to choose, the correction's name with the option that was tried, and what it would change, in words."""
        return {f"{c} = {self.options[c]}" if c in self.options else c: self.said(c) for c in self.counts}

    @property
    def has_findings(self) -> bool:
        """Whether a correction would change a cell."""
        return any(self.counts.values())

    def summary(self) -> str:
        """Return in one line which corrections would find something."""
        pairs = zip(self.choices.items(), self.counts.values(), strict=True)
        found = ", ".join(f"{choice} {said}" for (choice, said), n in pairs if n)
        return f"{self.source}: {found or 'no correction would change a cell'}"

    def said(self, name: str) -> str:
        """Say how many cells a correction would change, or rows it would drop."""
        drops = (self.changes.loc[self.changes["rule"] == name, "column"] == WHOLE_ROW).any()
        return plural(self.counts[name], "row" if drops else "cell")

    def body(self) -> str:
        """Return each correction with its count and its first cells as an HTML fragment."""
        n_helpful = sum(map(bool, self.counts.values()))
        pairs = zip(self.choices.items(), self.counts.items(), strict=True)
        rows = [
            (pick(choice, "rule", name) if n else choice, CORRECTIONS[name].__doc__, Cell(n, said))
            for (choice, said), (name, n) in sorted(pairs, key=lambda pair: not pair[1][1])
        ] + [(name, why, "–") for name, why in self.needs.items()]
        chosen = {
            c: self.options.get(c, True) for c, n in self.counts.items() if n and c in (*_HARMLESS, *self.options)
        }
        heads = [Column("Correction"), Column("What it does"), Column("Would change", right=True)]
        return joined(
            headline(f"Corrections that could be chosen for {self.source}",
                     f"{plural(n_helpful, 'correction') if n_helpful else 'No correction'} would change something",
                     "Nothing is changed yet: choose by name, in correct(…) or in [corrections] of the mapping."),
            section("Corrections", grid("Corrections", heads, rows, unit="corrections")),
            section("Cells", changes_grid("Cells that would change", self.changes)) if n_helpful else "",
            section("What now", code(f"corrected = tk.correct(delivery, {chosen})")) if chosen else "",
        )  # fmt: skip

    def to_frame(self) -> pd.DataFrame:
        """Return the cells that would change."""
        return self.changes

    def to_dict(self) -> dict[str, Any]:
        """Return the counts."""
        return {"source": self.source, "would_change": self.counts, "options": self.options}


def called_for(sample: pd.DataFrame, *, before: Before | None = None) -> dict[str, int]:
    """Return which lines of ``[corrections]`` the first rows of a file call for, and how many cells each would change.

    Parameters
    ----------
    before
        What was sent before, as `drift` takes it, of which the width of the ids is known.
    """
    options = dict.fromkeys(_HARMLESS, True) | _fitting(sample, before)
    counts = correct(sample, options).counts
    return {f"{rule} = {str(option).lower()}": counts[rule] for rule, option in options.items() if counts[rule]}


def _fitting(frame: pd.DataFrame, before: Before | None) -> dict[str, Any]:
    width = fitting_width(frame[ID], None if before is None else earlier(before).frame[ID])
    return {"pad_ids": width} if width else {}


@step("Correcting")
def preview_corrections(data: Customers, rules: Rules | None = None, *, before: Before | None = None) -> Preview:
    """Return what each correction would change, each by itself; none is applied.

    Parameters
    ----------
    rules
        Options to try, by correction; the others are tried with what the content calls for, or without an option.
    before
        What was sent before, as `drift` takes it, of which the width of the ids is known.

    Raises
    ------
    InputError
        If `data` has no customers that can be corrected.
    CorrectionError
        If a name is unknown, or an option that is given cannot be used.

    Examples
    --------
    >>> frame = pd.DataFrame({"customer_id": ["A "], "source": ["ERP"],
    ...                       "updated_at": pd.to_datetime(["2025-01-28T10:00:00Z"])})
    >>> {name: n for name, n in preview_corrections(frame).counts.items() if n}
    {'trim_spaces': 1, 'source_to_customer': 1}
    """
    delivery = usable(data)
    given = _fitting(delivery.frame, before) | _options({} if rules is None else rules)
    found: dict[str, Correction] = {}
    needs: dict[str, str] = {}
    for name in CORRECTIONS:
        if name == "restamp" and name not in given:
            continue  # it would change every row of any delivery
        try:
            found[name] = correct(delivery, {name: given.get(name, True)})
        except CorrectionError as error:
            if name in given:
                raise
            needs[name] = str(error)
    changes = [done.changes for done in found.values() if done.n_changes] or [pd.DataFrame(columns=CHANGE_COLUMNS)]
    counts = {name: done.n_changes for name, done in found.items()}
    options = {name: given[name] for name in found if not isinstance(given.get(name, True), bool)}
    return Preview(delivery.source, counts, options, pd.concat(changes, ignore_index=True), needs)
