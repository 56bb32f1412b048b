"""scan(): what `validate` says, of what does not fit in memory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pyarrow as pa

from toolkit.display import Result, badges, frame_table, heading, paragraph, plural, table
from toolkit.engine import Session, quoted, text, to_arrow, to_frame
from toolkit.errors import InputError, ReadingError
from toolkit.files import replacing
from toolkit.model import CUSTOMER, ID, TIME, Contract, settled
from toolkit.quality.compiling import STATED, Condition, compile_contract, compile_rule
from toolkit.quality.rules import RULES, Rule
from toolkit.quality.validation import BROKEN
from toolkit.reading import (
    TEXT,
    Mapping,
    Table,
    choose_columns,
    csv_tables,
    joined_tables,
    kind_of,
    parquet_tables,
    stream_tables,
    to_delivery,
)

CHUNK = 100_000
"""Rows that are held at once."""


def stream_source(source: Any, mapping: Mapping) -> tuple[str, Iterator[Table]]:
    """Return how a message calls a source, and its wanted columns as text, some 100,000 rows at a time.

    Raises
    ------
    InputError
        If it is of a kind that is not read in parts.
    ReadingError
        If there is no such file.
    """
    name, tables = _tables(source, mapping)
    return name, _chunks(tables)


def _tables(source: Any, mapping: Mapping) -> tuple[str, Iterator[Table]]:
    if not isinstance(source, (str, Path, list, tuple)):
        if not hasattr(source, "__arrow_c_stream__"):
            raise InputError(f"A {type(source).__name__} cannot be scanned: give a path, or what streams Arrow.")
        # A relation's own reader goes on asking for rows; its stream would hold them all.
        reader = source.to_arrow_reader(CHUNK) if hasattr(source, "to_arrow_reader") else source
        batches = pa.RecordBatchReader.from_stream(reader)
        choose = partial(choose_columns, mapping=mapping, name="The table")
        return "The table", stream_tables(batches, choose, "The table")
    paths = [Path(p) for p in source] if isinstance(source, (list, tuple)) else _paths(Path(source))
    if not paths:
        raise InputError("There is no file to scan: the list of paths is empty.")
    name = paths[0].name if len(paths) == 1 else f"{len(paths)} files"
    choose = partial(choose_columns, mapping=mapping, name=name)
    kinds = {kind_of(path) for path in paths}
    if kinds == {".parquet"}:
        return name, parquet_tables(paths, choose)
    if len(paths) > 1 or kinds - {*TEXT}:
        raise InputError(f"{name} cannot be scanned: give one text file, or Parquet. Else use read_customers.")
    form = {"encoding": mapping.encoding, "delimiter": mapping.delimiter, "header_row": mapping.header_row}
    return name, csv_tables(paths[0], choose, **form)  # type: ignore[arg-type]  # each has its own type


def _paths(path: Path) -> list[Path]:
    if "*" not in path.name:
        return [path]
    if found := sorted(path.parent.glob(path.name)):
        return found
    raise ReadingError(f"There is no file {path}: check the path.")


def _chunks(tables: Iterator[Table]) -> Iterator[Table]:
    """Put small parts together: each has its cost."""
    held: list[Table] = []
    for part in tables:
        held.append(part)
        if sum(len(p.numbers) + len(p.broken) for p in held) >= CHUNK:
            yield joined_tables(held)
            held = []
    if held:
        yield joined_tables(held)


SHOWN_ROWS = 100_000
"""How many bad rows and warnings a result holds in memory; all of them can be written."""
ENDINGS = (".csv", ".parquet")

_ROW = pa.schema([("row_", pa.int64()), *CUSTOMER.arrow_schema(), (STATED, pa.string())])
_BROKEN = pa.schema([("row_", pa.int64()), (ID, pa.string()), ("reason", pa.string()), ("text", pa.string())])
_FOUND = pa.schema([("row_", pa.int64()), ("n", pa.int32()), ("other_", pa.int64())])


@dataclass(frozen=True, eq=False, repr=False)
class Scan(Result):
    """What `scan` found; its rows stay on disk until it is closed or forgotten.

    Attributes
    ----------
    n_rows, n_good, n_quarantined
        Rows checked, broken lines included: good + quarantined.
    counts, warning_counts
        Failures and warnings by reason, the most frequent first.
    bad
        The first 100,000 rows with a failure: index ``source_row``, columns ``customer_id``, ``updated_at`` and
        ``reasons``, a list of texts.
    warnings
        The first 100,000 warnings: ``column``, ``check``, ``index`` (the ``source_row``), ``reason``, ``other``.
    """

    source: str
    contract: str
    n_rows: int
    n_quarantined: int
    counts: dict[str, int]
    warning_counts: dict[str, int]
    bad: pd.DataFrame
    warnings: pd.DataFrame
    notes: tuple[str, ...] = ()
    _session: Session = field(kw_only=True)
    _folder: TemporaryDirectory[str] = field(kw_only=True)

    @property
    def n_good(self) -> int:
        """Rows without a failure."""
        return self.n_rows - self.n_quarantined

    @property
    def n_failures(self) -> int:
        """Failures: pairs of cell and rule."""
        return sum(self.counts.values())

    @property
    def n_warnings(self) -> int:
        """Warnings: pairs of cell and rule."""
        return sum(self.warning_counts.values())

    @property
    def ok(self) -> bool:
        """Whether nothing is quarantined. Warnings do not count."""
        return self.n_quarantined == 0

    def write_good(self, path: str | Path) -> Path:
        """Write all rows without a failure as .parquet or .csv, in the source's order; returns the path.

        Raises
        ------
        InputError
            If the ending is another one, the place cannot be written, or the scan is closed.
        """
        cells = ", ".join(c if path_is_parquet(path) else _spelled(c) for c in CUSTOMER.names)
        return self._write(f"SELECT {cells} FROM rows_ ANTI JOIN bad_ USING (row_) ORDER BY row_", path)

    def write_bad(self, path: str | Path) -> Path:
        """Write all rows with a failure: ``source_row``, the columns, ``reasons`` and the ``text`` of a broken line.

        A time that did not parse stands in ``text``. Parquet keeps the reasons as a list, CSV joins them by ``; ``.
        Raises InputError as `write_good` does.
        """
        whole = path_is_parquet(path)
        cells = ", ".join(c if whole else _spelled(c) for c in CUSTOMER.names if c != ID)
        reasons = "reasons" if whole else "array_to_string(reasons, '; ') AS reasons"
        return self._write(
            f"""SELECT row_ AS source_row, coalesce(rows_.{ID}, broken_.{ID}) AS {ID}, {cells}, {reasons},
                       coalesce({STATED}, text) AS text
                FROM bad_ LEFT JOIN rows_ USING (row_) LEFT JOIN broken_ USING (row_) ORDER BY row_""",
            path,
        )

    def _write(self, sql: str, path: str | Path) -> Path:
        if not Path(self._folder.name).exists():
            raise InputError("The scan is closed, and its rows are gone: scan the source again.")
        target = Path(path)
        with replacing(target) as part:
            self._session.write(sql, part)
        return target

    def close(self) -> None:
        """Let go of the rows on disk; what is in memory stays."""
        self._session.close()
        self._folder.cleanup()

    def summary(self) -> str:
        """Say the verdict in one line."""
        return (
            f"{plural(self.n_rows, 'row')}: {self.n_good:,} good, {self.n_quarantined:,} quarantined "
            f"({plural(self.n_failures, 'failure')}), {plural(self.n_warnings, 'warning')}"
        )

    def body(self) -> str:
        """Give the scan as an HTML fragment: verdict, failures, the first rows, warnings."""
        counts = [(self.n_good, "good", "good"), (self.n_quarantined, "quarantined", "bad"),
                  (self.n_warnings, ("warning", "warnings"), "warn")]  # fmt: skip
        said = " · ".join((f"checked against the contract {self.contract}", *self.notes))
        parts = [heading(f"Scan of {self.source}", level=3), badges(counts), paragraph(said, soft=True)]  # type: ignore[arg-type]  # the tones are literals
        if not self.ok:
            shown = self.bad.head(8).assign(reasons=self.bad["reasons"].head(8).map("; ".join))
            parts += [heading("Failures"), table(["what", "count"], self.counts.items())]
            parts += [heading("The first quarantined rows"), frame_table(shown, index="source_row", limit=8)]
        if self.n_warnings:
            parts += [heading("Warnings: allowed, and worth a look")]
            parts += [table(["what", "count"], self.warning_counts.items())]
        return "".join(parts)

    def to_frame(self) -> pd.DataFrame:
        """Give the first bad rows."""
        return self.bad

    def to_dict(self) -> dict[str, Any]:
        """Give the counts."""
        return {
            "source": self.source,
            "rows": self.n_rows,
            "good": self.n_good,
            "quarantined": self.n_quarantined,
            "failures": self.n_failures,
            "warnings": self.n_warnings,
            "ok": self.ok,
            "failures_by_reason": self.counts,
            "warnings_by_reason": self.warning_counts,
            "contract": self.contract,
        }


def scan(
    source: Any,
    *,
    mapping: Mapping | str | Path | None = None,
    contract: str | Contract = "2026-04",
    rules: Sequence[Rule] = RULES,
    now: pd.Timestamp | None = None,
    memory_limit: str = "1GB",
) -> Scan:
    """Check customers that do not fit in memory: the rows, failures and reasons that `validate` would give.

    The source is read once, in parts, as `read_customers` reads it, into a database in the system's temporary
    folder, which takes about as much disk as the rows; there the rules run as SQL.

    Parameters
    ----------
    source
        The path of a CSV (.csv, .tsv, .txt, packed or not) or Parquet file, several of Parquet as a list or with a
        ``*``, a DuckDB relation, or whatever else streams Arrow. Rows are numbered as `read_customers` does: from
        1 in Parquet, on from file to file, and in a relation; in CSV the header, blank lines and broken ones count,
        and a quoted cell may run over lines.
    mapping
        A `Mapping` or its TOML file, as `read_customers` takes it. Its corrections are not made.
    rules
        Those of severity ``failure`` quarantine a row. A rule whose check is not one of pandera's own is refused.
    now
        What is later lies in the future; None: this moment.
    memory_limit
        How much the engine takes, as ``1GB``; Python takes some 400 MB beside it.

    Raises
    ------
    InputError
        If a rule cannot run as SQL; the message names it.
    ReadingError, MappingError
        As `read_customers` raises them.

    Examples
    --------
    >>> found = scan(pa.table({"customer_id": ["A", None], "updated_at": ["2025-01-28T10:00:00Z"] * 2}))
    >>> found.n_good, found.bad["reasons"].tolist()
    (1, [['customer_id is empty']])
    """
    documented = Contract.named(contract) if isinstance(contract, str) else contract
    moment = now or pd.Timestamp.now("UTC")
    if not re.fullmatch(r"\d+(\.\d+)? ?[KMG]i?B", memory_limit):
        raise InputError(f"memory_limit cannot be {memory_limit!r}: write a size, as 1GB or 500MB.")
    strict = [rule for rule in rules if rule.severity == "failure"]
    lenient = [rule for rule in rules if rule.severity == "warning"]
    failing = [*compile_contract(documented), *(compile_rule(rule, moment) for rule in strict)]
    warned = [*(compile_rule(rule, moment) for rule in lenient), *_other_contracts(documented)]
    form = mapping if isinstance(mapping, Mapping) else Mapping() if mapping is None else Mapping.load(mapping)
    folder = TemporaryDirectory(prefix="scan-", ignore_cleanup_errors=True)
    session = Session(folder=Path(folder.name), memory_limit=memory_limit)
    name, notes = _take_in(session, source, form)
    by_rule = {len(failing) - len(strict) + i: rule for i, rule in enumerate(strict)}
    by_rule |= {len(failing) + i: rule for i, rule in enumerate(lenient)}
    _find(session, [*failing, *warned], by_rule, moment)
    return _told(session, folder, name, notes, documented, [*failing, *warned], len(failing))


def path_is_parquet(path: str | Path) -> bool:
    """Tell .parquet from .csv.

    Raises
    ------
    InputError
        If it is neither.
    """
    ending = Path(path).suffix.lower()
    if ending not in ENDINGS:
        raise InputError(f"{Path(path).name} cannot be written: give a name that ends in {', '.join(ENDINGS)}.")
    return ending == ".parquet"


def _spelled(column: str) -> str:
    if column != TIME:
        return column
    fraction = f"CASE WHEN microsecond({TIME}) % 1000000 = 0 THEN '' ELSE strftime({TIME}, '.%f') END"
    return f"strftime({TIME}, '%Y-%m-%dT%H:%M:%S') || {fraction} || 'Z' AS {TIME}"


def _other_contracts(contract: Contract) -> list[Condition]:
    """Return a condition for each null that this contract allows and another refuses."""
    return [
        Condition(column.name, "other_contract", f"{column.name} is empty, which the contract {other.name} refuses",
                  f"{quoted(column.name)} IS NULL")
        for other in contract.others for column in other.resource.columns
        if not column.nullable and contract.resource.column(column.name).nullable
    ]  # fmt: skip


def _take_in(session: Session, source: Any, mapping: Mapping) -> tuple[str, tuple[str, ...]]:
    """Read the source into ``rows_`` and ``broken_``; return its name and what was detected."""
    name, tables = stream_source(source, mapping)
    session.append("rows_", _ROW.empty_table())
    session.append("broken_", _BROKEN.empty_table())
    notes: tuple[str, ...] = ()
    n_rows = 0
    for part in tables:
        notes = part.notes
        wanted = choose_columns(part.header, mapping=mapping, name=name)
        delivery = to_delivery(part, wanted, mapping, name)
        n_rows += len(part.numbers) + len(part.broken)
        if part.broken:
            session.append("broken_", to_arrow(delivery.broken, pa.schema(list(_BROKEN)[1:]), index="row_"))
        frame = delivery.frame
        if frame[TIME].dtype == object:
            times = settled(frame[TIME])
            frame = frame.assign(**{STATED: frame[TIME].where(times.isna()).astype("str"), TIME: times})
        session.append("rows_", to_arrow(frame, pa.schema(list(_ROW)[1:]), index="row_"))
    if not n_rows:
        raise ReadingError(f"{name} has no rows: ask for it again.")
    return name, notes


def _find(session: Session, conditions: Sequence[Condition], rules: dict[int, Rule], now: pd.Timestamp) -> None:
    """Fill ``found_`` with each pair of row and rule: all conditions in one pass, then what takes a query each."""
    session.append("found_", _FOUND.empty_table())
    held = ", ".join(f"CASE WHEN {c.sql} THEN {n} END" for n, c in enumerate(conditions) if c.sql)
    session.run(
        f"""INSERT INTO found_ SELECT row_, n, NULL FROM (
            SELECT row_, unnest(list_filter([{held}], lambda n: n IS NOT NULL)) AS n FROM rows_)"""
    )
    for n, rule in rules.items():
        if rule.rows:
            session.run(f"INSERT INTO found_ SELECT row_, {n}, other_ FROM ({rule.filled(rule.rows, now)})")
        elif rule.search is not None:
            hits = rule.search(session, rule.options)
            session.append("found_", to_arrow(hits.assign(n=n), _FOUND))


def _told(
    session: Session, folder: TemporaryDirectory[str], name: str, notes: tuple[str, ...], contract: Contract,
    conditions: Sequence[Condition], n_failing: int,
) -> Scan:  # fmt: skip
    kinds = [{"n": n, "column": c.column, "check": c.check, "reason": c.reason} for n, c in enumerate(conditions)]
    session.append("kinds_", pa.Table.from_pylist(kinds))
    session.run(
        f"""CREATE TABLE bad_ AS
            SELECT row_, list(reason ORDER BY n) AS reasons FROM found_ JOIN kinds_ USING (n)
            WHERE n < {n_failing} GROUP BY row_
            UNION ALL SELECT row_, [reason] FROM broken_"""
    )
    bad = session.table(
        f"""WITH first_ AS (SELECT * FROM bad_ ORDER BY row_ LIMIT {SHOWN_ROWS})
            SELECT row_ AS source_row, coalesce(rows_.{ID}, broken_.{ID}) AS {ID}, {TIME}, reasons
            FROM first_ LEFT JOIN rows_ USING (row_) LEFT JOIN broken_ USING (row_) ORDER BY row_"""
    )
    warnings = session.table(
        f"""WITH first_ AS (SELECT * FROM found_ WHERE n >= {n_failing} ORDER BY row_, n LIMIT {SHOWN_ROWS})
            SELECT "column", "check", row_ AS index, reason, other_ AS other
            FROM first_ JOIN kinds_ USING (n) ORDER BY row_, n"""
    )
    frame = to_frame(bad, index="source_row")
    return Scan(
        source=name,
        contract=contract.name,
        n_rows=session.scalar("SELECT (SELECT count(*) FROM rows_) + (SELECT count(*) FROM broken_)"),
        n_quarantined=session.scalar("SELECT count(*) FROM bad_"),
        counts=_counted(session, f"n < {n_failing}", f"UNION ALL SELECT reason, {text(BROKEN)} FROM broken_"),
        warning_counts=_counted(session, f"n >= {n_failing}", ""),
        bad=frame.assign(reasons=frame["reasons"].map(list)),
        warnings=to_frame(warnings).astype({"other": "Int64"}),
        notes=notes,
        _session=session,
        _folder=folder,
    )


def _counted(session: Session, which: str, more: str) -> dict[str, int]:
    counts = session.table(
        f"""SELECT reason, count(*) AS n FROM (
                SELECT reason, "check" FROM found_ JOIN kinds_ USING (n) WHERE {which} {more})
            GROUP BY reason ORDER BY count(*) DESC, reason"""
    )
    return dict(zip(counts["reason"].to_pylist(), counts["n"].to_pylist(), strict=True))
