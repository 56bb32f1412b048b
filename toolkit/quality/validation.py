"""validate(): the good rows, the failures with their reasons, the warnings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa

from toolkit.display import Markup, Result, badges, details, frame_table, heading, paragraph, plural
from toolkit.engine import Session, to_arrow
from toolkit.errors import InputError
from toolkit.model import (
    CUSTOMER,
    ID,
    NOT_A_TIME,
    NOT_OF_TYPE,
    TIME,
    TOO_LARGE,
    UNIQUE,
    Contract,
    Customers,
    Delivery,
    as_delivery,
    cast_column,
    cast_custom,
    max_row_bytes,
    oversized,
    reason,
    schema_for,
    settled,
    too_large,
)
from toolkit.quality.drifting import Before, Drift, drift
from toolkit.quality.findings import by_harm, evidence_table, findings, joined, other_contracts, run_rules, worst
from toolkit.quality.review_sheet import write_review_sheet
from toolkit.quality.rules import RULES, Rule
from toolkit.quality.statistics import columns_table, count_columns

BROKEN = "line"


def require_usable(frame: pd.DataFrame) -> None:
    """Refuse a frame that cannot be checked row by row.

    Raises
    ------
    InputError
        If a key column is missing, the index repeats itself, or ``updated_at`` is naive or not a time.
    """
    missing = [c for c in (ID, TIME) if c not in frame.columns]
    if missing:
        raise InputError(
            f"The frame lacks {' and '.join(missing)}: every customer row needs both. "
            "Rename the columns, or read the file with a mapping."
        )
    if not frame.index.is_unique:
        raise InputError(
            "The frame's index names some rows twice, so a failure could not be led back to its "
            "row: call reset_index(drop=True) first."
        )
    times = frame[TIME].dtype
    if isinstance(times, pd.DatetimeTZDtype) or pd.api.types.is_object_dtype(times):
        return
    if pd.api.types.is_datetime64_dtype(times):
        raise InputError(
            "updated_at has no time zone: say which one it is with "
            "frame['updated_at'].dt.tz_localize('Europe/Berlin').dt.tz_convert('UTC')."
        )
    raise InputError(
        f"updated_at holds {times}, not times: parse it with pd.to_datetime(…, utc=True), "
        "or read the file with read_customers."
    )


def schema_failures(frame: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Return what the model finds, a cell that did not parse as a time included.

    Raises
    ------
    InputError
        If a column as a whole is of another type.
    """
    stated = frame[TIME]
    unread_of, said_of = _not_of_type(frame, contract)
    frame = cast_custom(frame.assign(**{TIME: settled(stated)}), contract.resource)
    unread = frame.index[stated.notna() & frame[TIME].isna()]
    said = joined([findings(unread, NOT_A_TIME, TIME, stated.loc[unread], reason(NOT_A_TIME, TIME)), *said_of])
    try:
        schema_for(contract).validate(frame, lazy=True)
    except pa.errors.SchemaErrors as found:
        cases = found.failure_cases
    else:
        return said
    for column, rows in {TIME: unread, **unread_of}.items():
        cases = cases[~((cases["column"] == column) & cases["index"].isin(rows))]
    whole = cases[cases["index"].isna()]
    if len(whole):
        raise InputError(
            f"{whole['column'].iloc[0]} cannot be checked row by row: it has to hold "
            f"{whole['check'].iloc[0]}. Read the file with read_customers, or convert the column."
        )
    return pd.concat([_one_a_row(cases, frame), said]).sort_values("index", kind="stable", ignore_index=True)


def _not_of_type(frame: pd.DataFrame, contract: Contract) -> tuple[dict[str, pd.Index[Any]], list[pd.DataFrame]]:
    """Return which cells of which custom column do not read as its data type, and the failures that say so."""
    unread, said = {}, []
    for column in contract.resource.custom:
        if column.name in frame:
            rows = unread[column.name] = frame.index[cast_column(frame[column.name], column)[1]]
            check = NOT_OF_TYPE + column.kind
            said.append(findings(rows, check, column.name, frame[column.name].loc[rows], reason(check, column.name)))
    return unread, said


def _one_a_row(cases: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    # pandera names a duplicate key once for each of its columns, and counts null keys as equal.
    cases = cases[["column", "check", "failure_case", "index"]]
    unique = cases["check"] == UNIQUE
    keyless = frame.index[frame[ID].isna() | frame[TIME].isna()]
    cases = cases[~unique | ((cases["column"] == ID) & ~cases["index"].isin(keyless))]
    kinds = cases[["check", "column"]].drop_duplicates()
    spoken = {(k, c): reason(k, c) for k, c in kinds.itertuples(index=False)}
    words = [spoken[pair] for pair in zip(cases["check"], cases["column"], strict=True)]
    cases = cases.assign(reason=pd.Series(words, index=cases.index, dtype="str"))
    return cases.astype({"index": frame.index.dtype}).sort_values("index", kind="stable", ignore_index=True)


def oversized_rows(frame: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Return the rows that no request can carry."""
    large = frame.index[oversized(frame, max_row_bytes(contract), resource=contract.resource)]
    return findings(large, TOO_LARGE, ID, frame[ID].loc[large], too_large(contract))


def with_broken_lines(failures: pd.DataFrame, delivery: Delivery) -> pd.DataFrame:
    """Return the failures with those of the lines that could not be parsed, by row."""
    broken = delivery.broken
    if broken.empty:
        return failures.reset_index(drop=True)
    lines = pd.DataFrame(
        {
            "column": None,
            "check": BROKEN,
            "failure_case": None,
            "index": broken.index,
            "reason": broken["reason"].to_numpy(),
            "other": pd.array([pd.NA] * len(broken), dtype="Int64"),
        }
    )
    both = pd.concat([failures, lines]) if len(failures) else lines
    return both.sort_values("index", kind="stable", ignore_index=True)


def quarantined(bad: pd.DataFrame, failures: pd.DataFrame, delivery: Delivery) -> pd.DataFrame:
    """Return the rows with a failure and the broken lines, each once, with all of its ``reasons``."""
    broken = delivery.broken.drop(columns="reason").reindex(columns=[*bad.columns, "text"])
    rows = pd.concat([part.astype({TIME: object}) for part in (bad, broken)]).sort_index()
    reasons = failures.drop_duplicates("index").set_index("index")["reason"]
    several = failures["index"].duplicated(keep=False)
    if several.any():  # the join is slow, and most bad rows have one reason
        joined = failures[several].groupby("index")["reason"].agg("; ".join)
        reasons = joined.combine_first(reasons)
    rows.insert(len(bad.columns), "reasons", reasons.reindex(rows.index).astype("str"))
    rows.index.name = bad.index.name
    return rows


@dataclass(frozen=True, eq=False, repr=False)
class ValidationReport(Result):
    """What `validate` found.

    Attributes
    ----------
    good
        The rows without a failure.
    quarantine
        The rows with one, each once: their columns, ``reasons`` (all of them, joined by ``; ``) and, for a
        line that could not be parsed, its ``text``.
    failures
        One record a cell and rule, pandera's columns: ``column``, ``check``, ``failure_case``, ``index`` (the
        ``source_row``), and the ``reason`` in plain words. A duplicate key is one record a row.
    warnings
        The same columns, for what is allowed and odd; ``other`` is the row to compare with, where there is one.
    delivery
        The good rows as the next station wants them: with the ids that are held.
    contract
        Name of the contract that was checked.
    drift
        How the delivery as a whole differs from what was sent before; None where that was not given.
    """

    good: pd.DataFrame
    quarantine: pd.DataFrame
    failures: pd.DataFrame
    warnings: pd.DataFrame
    delivery: Delivery
    contract: str
    drift: Drift | None = None

    @property
    def n_rows(self) -> int:
        """Rows checked, broken lines included: good + quarantined."""
        return len(self.good) + len(self.quarantine)

    @property
    def n_good(self) -> int:
        """Rows without a failure."""
        return len(self.good)

    @property
    def n_quarantined(self) -> int:
        """Rows with a failure, broken lines included."""
        return len(self.quarantine)

    @property
    def n_failures(self) -> int:
        """Failures: pairs of cell and rule."""
        return len(self.failures)

    @property
    def n_warnings(self) -> int:
        """Warnings: pairs of cell and rule."""
        return len(self.warnings)

    @property
    def counts(self) -> dict[str, int]:
        """Failures by reason, the most frequent first."""
        return _counted(self.failures)

    @property
    def warning_counts(self) -> dict[str, int]:
        """Warnings by reason, the most frequent first."""
        return _counted(self.warnings)

    @property
    def n_duplicate_keys(self) -> int:
        """Rows quarantined because another has the same key."""
        return int((self.failures["check"] == UNIQUE).sum())

    @property
    def ok(self) -> bool:
        """Whether nothing is quarantined. Warnings do not count."""
        return self.n_quarantined == 0

    def summary(self) -> str:
        """Say the verdict in one line."""
        return (
            f"{plural(self.n_rows, 'row')}: {self.n_good:,} good, {self.n_quarantined:,} quarantined "
            f"({plural(self.n_failures, 'failure')}), {plural(self.n_warnings, 'warning')}"
        )

    @property
    def verdict(self) -> str:
        """What matters most, in one line."""
        if not self.n_rows:
            return "There are no rows."
        told = self._told
        if self.ok:
            said = f"{'The row' if self.n_rows == 1 else f'All {self.n_rows:,} rows'} can be sent"
            return f"{said}; to look at first: {worst(told[1])}." if self.n_warnings else f"{said}."
        held = f"{self.n_quarantined:,} {'is' if self.n_quarantined == 1 else 'are'} quarantined"
        return f"{self.n_good:,} of {plural(self.n_rows, 'row')} can be sent; {held}; worst: {worst(told[0])}."

    def body(self) -> str:
        """Give the report as an HTML fragment: verdict, findings, quarantined rows, drift, columns."""
        parts: list[str] = [
            heading(f"Validation of {self.delivery.source}", level=3),
            paragraph(self.verdict),
            badges(
                [
                    (self.n_good, "good", "good"),
                    (self.n_quarantined, "quarantined", "bad"),
                    (self.n_warnings, ("warning", "warnings"), "warn"),
                ]
            ),
            paragraph(f"checked against the contract {self.contract}", soft=True),
        ]
        if self.n_failures or self.n_warnings:
            found = evidence_table(*self._told, n_rows=self.n_rows, names=self.delivery.names)
            parts += [heading("Findings: failures, then what is allowed and worth a look"), found]
        if not self.ok:
            parts += [heading("Quarantined rows"), _quarantined(self.quarantine)]
        if self.drift is not None:
            parts.append(self.drift.body())
        if self.n_rows:
            parts.append(details("Columns, quarantined rows included", self._columns()))
        return "".join(parts)

    @cached_property
    def _told(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        return (
            by_harm(self.failures, self.good, self.quarantine),
            by_harm(self.warnings, self.good, self.quarantine),
        )

    def _columns(self) -> Markup:
        """Count the rows as they came, good and quarantined, but for the lines that could not be parsed."""
        given = [c for c in CUSTOMER.names if c in self.good.columns]
        held = self.quarantine.loc[~self.quarantine.index.isin(self.delivery.broken.index), given]
        held = held.assign(**{TIME: settled(held[TIME])})
        both = {name: to_arrow(rows, CUSTOMER.arrow_schema()) for name, rows in (("good_", self.good), ("held_", held))}
        with Session(both) as session:
            session.run("CREATE TEMP VIEW rows_ AS FROM good_ UNION ALL FROM held_")
            columns = count_columns(session, given)
        return columns_table(columns, len(self.good) + len(held), self.delivery.names)

    def to_frame(self) -> pd.DataFrame:
        """Give the failures."""
        return self.failures

    def to_excel(self, path: str | Path) -> Path:
        """Write the quarantined rows for the data owner: bad cells coloured, each with its reason as a comment.

        The columns have the file's own names; `read_review_sheet` takes the mended workbook back. Returns its path.
        """
        return write_review_sheet(self.quarantine, self.failures, path, delivery=self.delivery)

    def to_dict(self) -> dict[str, Any]:
        """Give the counts."""
        return {
            "rows": self.n_rows,
            "good": self.n_good,
            "quarantined": self.n_quarantined,
            "failures": self.n_failures,
            "warnings": self.n_warnings,
            "ok": self.ok,
            "failures_by_reason": self.counts,
            "warnings_by_reason": self.warning_counts,
            **({} if self.drift is None else {"drift": self.drift.to_dict()}),
        }


def validate(
    data: Customers,
    *,
    contract: Contract | str = "2026-04",
    rules: Sequence[Rule] = RULES,
    before: Before | None = None,
    now: pd.Timestamp | None = None,
) -> ValidationReport:
    """Check customers against the contract; bad rows are a result, not an error.

    Parameters
    ----------
    data
        A frame, a `Delivery`, or what carries one. Its index must name each row once.
    rules
        What to look for besides what the contract forbids; `toolkit.quality.rules.choose_rules` makes a choice.
    before
        What was sent before, as `drift` takes it: the report then tells how the delivery as a whole differs from it.
    now
        The moment that "in the future" is measured from, UTC; by default the present.

    Raises
    ------
    InputError
        If a key column is missing, the index repeats itself, or ``updated_at`` is naive or not a time.

    Examples
    --------
    >>> frame = pd.DataFrame({"customer_id": ["A", None], "source": ["ERP", "peak"],
    ...                       "updated_at": pd.to_datetime(["2025-01-28T10:00:00Z"] * 2)})
    >>> report = validate(frame)
    >>> report.n_good, sorted(report.counts)
    (0, ['customer_id is empty', 'source is not one of peak, customer'])
    """
    documented = Contract.named(contract) if isinstance(contract, str) else contract
    delivery = as_delivery(data, columns=documented.resource.names)
    moment = now or pd.Timestamp.now("UTC")
    frame = delivery.frame
    require_usable(frame)
    strict = [rule for rule in rules if rule.severity == "failure"]
    failures = with_broken_lines(
        joined(
            [schema_failures(frame, documented), oversized_rows(frame, documented), run_rules(frame, strict, moment)]
        ),
        delivery,
    )
    lenient = [rule for rule in rules if rule.severity == "warning"]
    places = frame.index.get_indexer(pd.Index(failures["index"].unique()))
    bad = np.zeros(len(frame), dtype=bool)
    bad[places[places >= 0]] = True  # a broken line is not in the frame
    good = frame.loc[~bad] if bad.any() else frame
    good = cast_custom(good.assign(**{TIME: settled(good[TIME])}), documented.resource)
    quarantine = quarantined(frame.loc[bad], failures, delivery)
    bad_ids = quarantine[ID].dropna().unique()
    held = frozenset(bad_ids) - frozenset(good[ID][good[ID].isin(bad_ids)])
    return ValidationReport(
        good=good,
        quarantine=quarantine,
        failures=failures,
        warnings=joined([run_rules(frame, lenient, moment), other_contracts(frame, documented)]),
        delivery=replace(
            delivery,
            frame=good,
            held=delivery.held | held,
            n_quarantined=delivery.n_quarantined + len(quarantine),
        ),
        contract=documented.name,
        drift=None if before is None else drift(before, delivery),
    )


def _counted(found: pd.DataFrame) -> dict[str, int]:
    return {str(k): int(v) for k, v in found["reason"].value_counts().items()}


def _quarantined(quarantine: pd.DataFrame) -> Markup:
    shown = quarantine.dropna(axis="columns", how="all")
    ordered = ["reasons", *(c for c in shown.columns if c != "reasons")]
    return frame_table(shown[ordered], index="source_row", limit=8)
