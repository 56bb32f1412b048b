"""validate(): the good rows, the failures with their reasons, the warnings, by one path for frames and files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

import toolkit.display as draw
from toolkit.config import Settings, current
from toolkit.display import Markup, Part, Result, Tone, escape, paragraph, plural
from toolkit.engine import EngineTable, quoted, to_frame
from toolkit.errors import InputError, wrong_kind
from toolkit.files import replacing
from toolkit.model import (
    ID,
    NAME,
    NOT_A_TIME,
    TIME,
    UNIQUE,
    Column,
    Customers,
    Delivery,
    Language,
    Resource,
    max_row_bytes,
    may_be_oversized,
    reason,
    zoned_moment,
)
from toolkit.progress import step
from toolkit.quality.compiling import Condition, compile_contract, compile_rule, other_contracts, unread
from toolkit.quality.drifting import KINDS, Before, Drift, drift, earlier
from toolkit.quality.findings import BROKEN, Counts, collect_bad, find, finding_lines, findings_of, first_reason
from toolkit.quality.flagging import Lying, flagged, good_rows, lying, way_of
from toolkit.quality.id_forms import id_table
from toolkit.quality.review_sheet import write_review_sheet
from toolkit.quality.rules import RULES, Rule
from toolkit.quality.showing import WHOLE_LINE, file_order, findings_grid, in_words, own, rows_grid, unrun
from toolkit.quality.staging import SHOWN_ROWS, Staged, pick, staged, stays_on_disk
from toolkit.quality.totals import summed_rows
from toolkit.reading import Mapping, as_mapping
from toolkit.tables import inert_sql

ENDINGS = (".csv", ".parquet")
MAX_DRIFTED = 8


@dataclass(frozen=True, eq=False, repr=False)
class ValidationReport(Result):
    """What `validate` found.

    Attributes
    ----------
    n_rows, n_quarantined
        Rows checked, and rows with a failure; broken lines are counted in both.
    quarantine
        The rows with a failure, each once: their columns, ``reasons`` (all of them, joined by ``; ``) and, for a
        line that could not be parsed, its ``text``.
    failures
        One record per row and check, with pandera's columns: ``column``, ``check``, ``failure_case``, ``index`` (the
        ``source_row``), the ``reason`` in plain words, ``other``, the row to compare with, and ``group``, the first
        row of those that are one finding, as rows with one key or customers with one name; null where there is none.
    warnings
        The same columns, for what is allowed but unusual.
    contract
        Name of the contract that was checked.
    findings
        Failures and warnings, each reason once, the most harmful first: its ``count`` of rows, the ``groups`` that
        they are in (0 where each row is a finding of its own) and three ``examples``.
    drift
        How the delivery as a whole differs from what was sent before; None if that was not given.
    not_run
        For a table of an engine: the rules that did not run there, because they need all values in Python.
    table
        For a table of an engine: its good rows, as a query there.
    ids
        For a table of an engine: the ids of all its rows, as a query there.

    Notes
    -----
    For customers that stay on disk or in an engine, `quarantine`, `failures` and `warnings` are the first 100,000 rows
    each. All counts are complete. The rows of a table have no numbers: those that are shown are numbered from 1, in the
    order of their key.
    """

    n_rows: int
    n_quarantined: int
    quarantine: pd.DataFrame
    failures: pd.DataFrame
    warnings: pd.DataFrame
    contract: str
    findings: tuple[pd.DataFrame, pd.DataFrame]
    drift: Drift | None = None
    not_run: tuple[str, ...] = ()
    table: EngineTable | None = None
    ids: EngineTable | None = None
    _delivery: Delivery = field(kw_only=True)
    _how: dict[str, Any] = field(kw_only=True, default_factory=dict)  # the arguments of `validate`
    _typed: pd.DataFrame | None = field(kw_only=True)
    _checks: Sequence[Condition] = field(kw_only=True)
    _columns: dict[str, tuple[int, int]] = field(kw_only=True)  # rows with a failure, and with only a warning
    _n_warned: int = field(kw_only=True)

    @cached_property
    def delivery(self) -> Delivery:
        """The good rows for the next station, with the ids that are held.

        Raises
        ------
        InputError
            If the customers stay on disk.
        """
        if self.table is not None:
            raise InputError(f"The good rows of {self._delivery.source} are in its engine: report.table names them.")
        if self._typed is None:
            raise InputError(
                f"The good rows of {self._delivery.source} are on disk, not in memory: write them with "
                "validate(…, good='good.parquet'), or check them in memory with validate(read_customers(…))."
            )
        good = pick(self._typed, self.quarantine.index, others=True)
        named = self.quarantine.reindex(columns=[ID, NAME])
        ids = frozenset(named[ID].dropna().to_numpy(dtype=object))  # to iterate over the texts takes ten times as long
        # pandas' own isin takes three times as long for many texts.
        texts = pa.array([i for i in ids if isinstance(i, str)], pa.large_string())
        held = ids - frozenset(good[ID][np.asarray(pc.is_in(pa.array(good[ID]), texts))])
        names = self._delivery.held_names | dict(named.dropna().to_numpy().tolist())
        return replace(self.described, frame=good, held=held | self._delivery.held, held_names=names)

    @property
    def described(self) -> Delivery:
        """What is known of the good rows as a delivery, without these rows."""
        failures = self.findings[0]
        return replace(
            self._delivery,
            broken=self._delivery.broken.head(0),
            n_quarantined=self._delivery.n_quarantined + self.n_quarantined,
            n_unread=self._delivery.n_unread + int(failures["count"][failures["check"] == NOT_A_TIME].sum()),
        )

    @property
    def good(self) -> pd.DataFrame:
        """The rows without a failure, in their data types; raises InputError as `delivery` does."""
        return self.delivery.frame

    @property
    def reading_warnings(self) -> tuple[str, ...]:
        """What is probably wrong with how the source was read, as `Delivery.warnings`."""
        return self._delivery.warnings

    @property
    def n_good(self) -> int:
        """Rows without a failure."""
        return self.n_rows - self.n_quarantined

    @property
    def n_failures(self) -> int:
        """Failures: pairs of row and check."""
        return sum(self.counts.values())

    @property
    def n_warnings(self) -> int:
        """Warnings: pairs of row and check."""
        return sum(self.warning_counts.values())

    @property
    def counts(self) -> dict[str, int]:
        """Failures by reason, the most frequent first."""
        return _counts(self.findings[0])

    @property
    def warning_counts(self) -> dict[str, int]:
        """Warnings by reason, the most frequent first."""
        return _counts(self.findings[1])

    @property
    def n_duplicate_keys(self) -> int:
        """Rows quarantined because another row has the same key."""
        return self.counts.get(reason(UNIQUE, ID), 0)

    @property
    def ok(self) -> bool:
        """Whether nothing is quarantined. Warnings do not count."""
        return self.n_quarantined == 0

    def summary(self) -> str:
        """Return the verdict in one line."""
        return (
            f"{plural(self.n_rows, 'row')}: {self.n_good:,} good, {self.n_quarantined:,} quarantined "
            f"({plural(self.n_failures, 'failure')}), {plural(self.n_warnings, 'warning')}"
        )

    @property
    def verdict(self) -> str:
        """What matters most, in one line."""
        if not self.n_rows:
            return "There are no rows."
        first = f"; {self._first[0]}: {self._first[1]}" if self._first else ""
        return f"{self._sendable}{first}."

    @property
    def _sendable(self) -> str:
        if self.ok:
            return f"{'The row' if self.n_rows == 1 else f'All {self.n_rows:,} rows'} can be sent"
        held = f"{self.n_quarantined:,} {'is' if self.n_quarantined == 1 else 'are'} quarantined"
        return f"{self.n_good:,} of {plural(self.n_rows, 'row')} can be sent; {held}"

    @property
    def _first(self) -> tuple[str, str] | None:
        """What to look at first, and how to call it."""
        says = zip(("worst", "to look at first"), self.findings, strict=True)
        return next(((say, first_reason(found)) for say, found in says if len(found)), None)

    def body(self) -> str:
        """Return the report as an HTML fragment: verdict, columns, findings, rows, drift, what to do next."""
        came, names, (failures, warnings) = self._delivery, self._delivery.names, (self.failures, self.warnings)
        parts = (
            Part(self.n_good - self._n_warned, "nothing found", "good"),
            Part(self._n_warned, "can be sent, worth a look", "warn", warned=True),
            Part(self.n_quarantined, "quarantined", "bad", "not sent until they are corrected"),
        )
        name = f"Validation of {came.source} · contract {self.contract}"
        first = f"{self._first[0].capitalize()}: {in_words(self._first[1], names)}." if self._first else ""
        verdict = f"{self._sendable}." if self.n_rows else self.verdict
        shown: list[str] = [draw.headline(name, verdict, first, parts=parts), draw.notes(self.reading_warnings)]
        if not self.n_rows:
            return "".join(shown)
        shown += [draw.section("Columns", self._tiles(), note="choose one to filter what follows")]
        shown.append(self._found())
        of_bad = warnings["index"].isin(self.quarantine.index)
        if not self.ok:
            found = pd.concat([failures.assign(tone="bad"), warnings[of_bad].assign(tone="warn")])
            way = "in report.quarantine and report.to_excel(…)"
            rows = rows_grid("Quarantined rows", self.quarantine, found, came, "bad", self.n_quarantined, way)
            shown.append(draw.section("Quarantined rows", rows, note="as they came, twins together"))
        good = came.frame[came.frame.index.isin(warnings.loc[~of_bad, "index"])]
        if len(good):
            rows = rows_grid("Rows to look at", good, warnings, came, "warn", self._n_warned, "in report.warnings")
            said = plural(self._n_warned, "row can be sent, and is", "rows can be sent, and are")
            shown.append(draw.fold(f"{said} worth a look", came.about_times, rows, tone="warn"))
        if self.drift is not None:
            shown.append(self.drift.part())
        return "".join([*shown, self._ways_on()])

    def lines(self) -> list[str]:
        """Return each finding as lines of text, then how the delivery differs from what was sent before."""
        said = [unrun(self.not_run)] if self.not_run else []
        for kind, reasons in zip(("failure", "warning"), self.findings, strict=True):
            for found in reasons.to_dict("records"):
                first, *examples = finding_lines(found, {TIME: self._delivery.written})
                said += [f"{kind}: {first}", *examples]
        if self.drift is None:
            return said
        # A warning that names the rows says what the drift says of ids that have another form.
        told = ("rewritten", "form") if "unusual_ids" in set(self.warnings["check"]) else ()
        drifted = self.drift.lines(*(kind for kind in KINDS if kind not in told))
        more = [f"and {len(drifted) - MAX_DRIFTED:,} more"] if len(drifted) > MAX_DRIFTED else []
        return said + [f"drift: {line}" for line in (*drifted[:MAX_DRIFTED], *more)]

    def _tiles(self) -> Markup:
        """Draw each column with its failing, warned and fine rows; a tile filters the grids."""
        names, tiles = self._delivery.names, []
        for column in (*file_order((c for c in self._columns if c), names), *(c for c in self._columns if not c)):
            bad, warned = self._columns[column]
            title = own(column, names) or WHOLE_LINE
            parts = (Part(bad, "failing", "bad"), Part(warned, "with a warning", "warn"),
                     Part(self.n_rows - bad - warned, "fine", "good"))  # fmt: skip
            small = Markup(f" <small class='b m'>{draw.breakable(column)}</small>" * (column not in ("", title)))
            said = [f"{draw.symbol(p.tone)} {p.n:,} " for p in parts[:2] if p.n]
            fine = Markup(f"<span>{''.join(said) or draw.symbol('good') + ' fine'}</span>")
            tiles.append(
                draw.card(title, small, draw.stack(parts, small=True), fine, pick=("column", title) if said else ())
            )
        return draw.cards(tiles, tiles=True)

    def _found(self) -> Markup:
        """Draw what was found, and fold what found nothing."""
        names, found = self._delivery.names, set(self.counts) | set(self.warning_counts)
        passed: dict[tuple[str, str], list[str]] = {}
        for check in self._checks:
            if check.reason not in found and check.check != BROKEN:
                why = "not found: " + in_words(check.reason.removeprefix(f"{check.column} "), names)
                passed.setdefault((why, check.check), []).append(own(check.column or "", names))
        kept = [paragraph(draw.symbol("good"), why, Markup(f"<small>{escape(f'{name} · ' + ', '.join(where))}</small>"))
                for (why, name), where in passed.items()]  # fmt: skip
        n_passed, n = sum(map(len, passed.values())), len(self._checks)
        sides: dict[Tone, pd.DataFrame] = {"bad": self.findings[0], "warn": self.findings[1]}
        table = findings_grid(sides, n_rows=self.n_rows, names=names, show=self._delivery.show)
        return draw.section(
            "What was found",
            table if found else paragraph("Nothing.", soft=True),
            draw.fold(f"{plural(n_passed, 'check')} found nothing", *kept, tone="good") if kept else "",
            note=f"{len(found):,} of {plural(n, 'check')}{'; ' * bool(self.not_run)}{unrun(self.not_run)}",
        )

    def _ways_on(self) -> Markup:
        steps = [] if self.ok else [
            ("Let the data owner fix them", "A workbook: bad cells coloured, each with its reason. "
             "tk.read_review_sheet reads it back as a patch.", 'report.to_excel("fix.xlsx")'),
            ("Fix them here", "Edit a copy of the frame: the changes are a patch for the next delivery too.",
             "patch = tk.patch_between(delivery, edited)"),
        ]  # fmt: skip
        if self.n_good:
            held = (
                "See what is new." if self.ok else "Quarantined customers are held: neither sent nor reported as gone."
            )
            call = "changes = tk.diff(tk.Ledger.of().snapshot(), report)"
            steps.append((f"Go on with {plural(self.n_good, 'row')}", held, call))
        return draw.section(
            "What now",
            draw.cards(draw.card(title, paragraph(text, soft=True), draw.code(c)) for title, text, c in steps),
        )

    def to_frame(self) -> pd.DataFrame:
        """Return the failures."""
        return self.failures

    def to_excel(self, path: str | Path, *, language: Language | None = None) -> Path:
        """Write the quarantined rows as a review sheet for the data owner; returns its path.

        Bad cells are coloured, each with its reason as a comment. Columns and times are as in the file, and its other
        columns are there too. Good rows with a warning are on a second sheet, if the customers are in memory.

        Parameters
        ----------
        language
            ``en``, ``de`` or ``fr``; None: what the mapping says.
        """
        return write_review_sheet(
            self.quarantine, self.failures, path, delivery=self._delivery, unusual=self.warnings, language=language
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the counts."""
        return {
            "source": self._delivery.source,
            "reading_warnings": list(self.reading_warnings),
            "contract": self.contract,
            "rows": self.n_rows,
            "good": self.n_good,
            "quarantined": self.n_quarantined,
            "failures": self.n_failures,
            "warnings": self.n_warnings,
            "ok": self.ok,
            "failures_by_reason": self.counts,
            "warnings_by_reason": self.warning_counts,
            **({"not_run": list(self.not_run)} if self.not_run else {}),
            **({} if self.drift is None else {"drift": self.drift.to_dict()}),
        }


@step("Validation")
def validate(
    data: Customers | str | Path | Any,
    *,
    settings: Settings | None = None,
    mapping: Mapping | str | Path | None = None,
    rules: Sequence[Rule] = RULES,
    before: Before | None = None,
    now: pd.Timestamp | None = None,
    good: str | Path | None = None,
    bad: str | Path | None = None,
    memory_limit: str = "500MB",
) -> ValidationReport:
    """Check customers against the contract of the settings; bad rows are a result, not an error.

    Parameters
    ----------
    data
        A frame, a `Delivery`, or a result with one: it is checked in memory, and its index must name each row once.
        The path of a text file (.csv, .tsv, .txt), of a Parquet file or of a folder of Parquet files: it stays on
        disk, however large it is, and so does a DuckDB relation or another Arrow stream. The path of another file is
        read as `read_customers` reads it. A `table` of an engine is checked there, and only what is shown leaves it.
    settings
        Where contract and custom attributes come from; by default what `use` chose, or the environment.
    mapping
        For a path or a table: a `Mapping` or its TOML file, as `read_customers` takes it. Its corrections are not made.
    rules
        What to look for besides what the contract forbids; `choose_rules` makes a choice.
    before
        What was sent before, as `drift` takes it: the report then says how the delivery as a whole differs from it.
    now
        The moment from which "in the future" counts, UTC; by default the present.
    good, bad
        Files (.parquet or .csv) for all rows without a failure, and for all rows with one: their ``source_row``, the
        cells as text, ``reasons``, and ``text``, a line that could not be parsed. In .csv an apostrophe is put before
        a cell that a spreadsheet would run; the toolkit's readers remove it.
    memory_limit
        For customers on disk: how much memory the engine uses before it writes to the system's temporary
        folder; Python uses some 300 MB beside it.

    Raises
    ------
    InputError
        If `data` is not customers, a key column is missing, the index repeats itself, ``updated_at`` has no time zone
        or is not a time, a rule cannot run on disk, or `good` or `bad` cannot be written.
    ReadingError, MappingError
        If a file cannot be read, as `read_customers` raises them.

    Examples
    --------
    >>> frame = pd.DataFrame({"customer_id": ["A", None], "source": ["ERP", "peak"],
    ...                       "updated_at": pd.to_datetime(["2025-01-28T10:00:00Z"] * 2)})
    >>> report = validate(frame)
    >>> report.n_good, sorted(report.counts)
    (0, ['customer_id is empty', 'source is not one of peak, customer'])
    """
    chosen = current(settings)
    contract = chosen.documented
    moment = zoned_moment(now, "now")
    targets = {name: Path(path) for name, path in (("good", good), ("bad", bad)) if path is not None}
    for path in targets.values():
        if path.suffix.lower() not in ENDINGS:
            raise InputError(f"{path.name} cannot be written: give a name that ends in {' or '.join(ENDINGS)}.")
    if len({path.resolve() for path in targets.values()}) < len(targets):
        raise InputError(f"{good} cannot be written twice: give good and bad names of their own.")
    if not isinstance(rules, Sequence) or not all(isinstance(rule, Rule) for rule in rules):
        raise wrong_kind(rules, "a list of rules", "choose_rules(…)")
    in_memory = not stays_on_disk(data)
    if before is not None and not in_memory:
        raise InputError("before= needs the customers in memory: validate(read_customers(…), before=…).")
    compiled = {
        severity: [compile_rule(rule, moment, in_memory=in_memory) for rule in rules if rule.severity == severity]
        for severity in ("failure", "warning")
    }
    if isinstance(data, EngineTable):
        if before is not None or targets:
            raise InputError(f"{data.name} stays in its engine: before=, good= and bad= are for frames and files.")
        return _validate_there(data, chosen, mapping, compiled)
    with staged(data, chosen, mapping=mapping, memory_limit=memory_limit, writes=bool(targets)) as rows:
        large = rows.table is None or may_be_oversized(rows.table, max_row_bytes(contract), resource=contract.resource)
        per_line = "SELECT reason FROM broken_ GROUP BY reason ORDER BY count(*) DESC, reason"
        lines = rows.session.table(per_line)["reason"].to_pylist() if len(rows.delivery.broken) else []
        failing = [
            *_known([*compile_contract(contract, rows.unread, may_be_oversized=large), *compiled["failure"]], rows),
            *(Condition(None, BROKEN, line) for line in lines),
        ]
        if TIME in rows.unread:
            n_times = rows.session.scalar(f"SELECT count({TIME}) + count({unread(TIME)}) FROM rows_")
            said = rows.delivery.not_a_time(n_times)
            failing = [replace(c, reason=said) if c.check == NOT_A_TIME else c for c in failing]
        conditions = [*failing, *_known([*compiled["warning"], *other_contracts(contract)], rows)]
        sent = None if before is None else earlier(before)
        rows.session.register("before_", id_table(sent.frame[ID] if sent else None))
        summed = summed_rows(rows.delivery) if in_memory else []
        rows.session.register("sums_", pa.table({"row_": pa.array(summed, pa.int64())}))
        conditions = find(rows.session, conditions, rows.typed)
        collect_bad(rows.session, conditions, len(failing))
        counts = Counts.of(rows.session, len(failing))
        report = _report(rows, conditions, len(failing), contract.name, counts)
        for name, path in targets.items():
            with replacing(path) as part:
                rows.session.write((_good_rows if name == "good" else _bad_rows)(rows, contract.resource, path), part)
    how = {"settings": chosen, "rules": rules, "before": before, "now": moment}
    return replace(report, drift=drift(sent, rows.delivery) if sent else None, _how=how)


def _validate_there(
    data: EngineTable, settings: Settings, mapping: Any, rules: dict[str, list[Condition]]
) -> ValidationReport:
    contract = settings.documented
    with lying(data, settings, None if mapping is None else as_mapping(mapping)) as rows:
        failing = _known([*compile_contract(contract, rows.unread, portable=True), *rules["failure"]], rows)
        every = [*failing, *_known([*rules["warning"], *other_contracts(contract)], rows)]
        ways = [way_of(condition, rows, failing=n < len(failing)) for n, condition in enumerate(every)]
        conditions = [c for c, way in zip(every, ways, strict=True) if way is not None]
        known, n_failing = [way for way in ways if way is not None], len(failing) - ways[: len(failing)].count(None)
        with flagged(rows, conditions, known, n_failing) as (shown, counts):
            report = _report(shown, conditions, n_failing, contract.name, counts)
        not_run = dict.fromkeys(c.check for c, way in zip(every, ways, strict=True) if way is None)
        good, ids = good_rows(rows, known[:n_failing]), rows.session.written(f"SELECT r.{ID} FROM {rows.rows} AS r")
        table, every_id = EngineTable(data.engine, good), EngineTable(data.engine, ids)
        return replace(report, not_run=(*not_run,), table=table, ids=every_id)


def _known(conditions: Sequence[Condition], rows: Staged | Lying) -> list[Condition]:
    return [c for c in conditions if c.column in rows.columns]


def _report(
    rows: Staged, conditions: Sequence[Condition], n_failing: int, contract: str, counts: Counts
) -> ValidationReport:
    session, delivery, limit = rows.session, rows.delivery, "" if rows.typed is not None else f"LIMIT {SHOWN_ROWS}"
    bad = to_frame(session.table(f"SELECT row_, reasons FROM bad_ ORDER BY row_ {limit}"), index="row_")["reasons"]
    sides = (f"n < {n_failing}", f"n >= {n_failing}")
    firsts = [f"(SELECT row_, other_ FROM found_ WHERE {side} ORDER BY row_, n {limit})" for side in sides]
    firsts.append(f"(SELECT row_, row_ AS other_ FROM bad_ ORDER BY row_ {limit})")
    cells = rows.cells(" UNION ALL ".join(f"SELECT unnest([row_, other_]) FROM {first} AS shown" for first in firsts))
    per_reason = [[c for c in counts.reasons if (c["n"] < n_failing) is is_bad] for is_bad in (True, False)]
    (failures, reasons), (warnings, warned) = (
        findings_of(session, conditions, cells, each, side, limit) for each, side in zip(per_reason, sides, strict=True)
    )
    quarantine = cells.reindex(bad.index).rename_axis("source_row")
    quarantine[ID] = quarantine[ID].fillna(delivery.broken[ID])
    quarantine = quarantine.assign(reasons=bad, text=delivery.broken["text"].reindex(bad.index))
    hit = counts.columns
    return ValidationReport(
        n_rows=counts.n_rows,
        n_quarantined=counts.n_quarantined,
        quarantine=quarantine,
        failures=failures,
        warnings=warnings,
        contract=contract,
        _delivery=delivery,
        _typed=rows.typed,
        _checks=conditions,
        _columns={c: hit.get(c, (0, 0)) for c in dict.fromkeys((*delivery.names, *rows.columns, *hit))},
        _n_warned=counts.n_warned,
        findings=(reasons, warned),
    )


def _good_rows(rows: Staged, resource: Resource, path: Path) -> str:
    given = [c for c in resource.columns if c.name in rows.columns]
    spelled = [inert_sql(_as_text(c)) if path.suffix.lower() == ".csv" else quoted(c.name) for c in given]
    cells = ", ".join(f"{sql} AS {quoted(c.name)}" for sql, c in zip(spelled, given, strict=True))
    return f"SELECT {cells} FROM rows_ WHERE row_ NOT IN (SELECT row_ FROM bad_) ORDER BY row_"


def _bad_rows(rows: Staged, resource: Resource, path: Path) -> str:
    spell = inert_sql if path.suffix.lower() == ".csv" else str
    texts = {c.name: [_as_text(c)] for c in resource.columns if c.name in rows.columns}
    for name in rows.unread:
        texts[name].insert(0, unread(name))  # the cell as it was written
    texts[ID].append("line_id")
    cells = ", ".join(f"{spell('coalesce(' + ', '.join(each) + ')')} AS {quoted(name)}" for name, each in texts.items())
    return f"""
        SELECT row_ AS source_row, {cells}, {spell("reasons")} AS reasons, {spell("text")} AS text
        FROM bad_ LEFT JOIN rows_ USING (row_)
        LEFT JOIN (SELECT row_, {ID} AS line_id, text FROM broken_) AS lines USING (row_) ORDER BY row_"""


def _as_text(column: Column) -> str:
    name = quoted(column.name)
    if column.kind != "datetime":
        return f"CAST({name} AS VARCHAR)"
    fraction = f"CASE WHEN microsecond({name}) % 1000000 = 0 THEN '' ELSE strftime({name}, '.%f') END"
    return f"strftime({name}, '%Y-%m-%dT%H:%M:%S') || {fraction} || 'Z'"


def _counts(reasons: pd.DataFrame) -> dict[str, int]:
    ranked = reasons.sort_values("count", ascending=False, kind="stable")
    return {str(reason): int(n) for reason, n in zip(ranked["reason"], ranked["count"], strict=True)}
