"""The round trip with the data owner: rows to mend as a workbook, and the mended workbook back as a patch."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from openpyxl import Workbook
from openpyxl.comments import Comment
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter

from toolkit.errors import CorrectionError, InputError, MappingError, ReadingError
from toolkit.files import replacing
from toolkit.model import CUSTOMER, ID, TIME, Delivery, parse_times
from toolkit.quality.corrections import changes_between
from toolkit.quality.patches import Patch, patch_of
from toolkit.reading import Table, read_excel
from toolkit.tables import cells_as_text, fits_cell, text_cell, times_as_text

ROWS, HOW, KEPT = "rows", "how", "kept"
MAX_COMMENTS = 5_000
"""Cells that carry their reason as a comment; beyond it the reasons stand in their column alone."""
CUT = " … (cut)"

_ROW, _REASONS, _TEXT, _DROP = "source_row", "what is wrong", "raw text", "drop"
_YES = ("x", "yes", "y", "ja", "oui", "drop")
_BAD = PatternFill("solid", fgColor="FFFFC7CE")
_HEAD = PatternFill("solid", fgColor="FFE8ECF1")
_HELP = (
    "Each row of the sheet 'rows' is a row of {source} that cannot be sent as it is.",
    "Mend the coloured cells; the comment on a cell, and the column 'what is wrong', say why.",
    "A row that should not be there at all: write x in its column 'drop'.",
    "Rows that are deleted here, or left as they are, stay as they were in the source.",
    "Rows and columns may be moved; leave the column 'source_row' as it is.",
    "Save the workbook and send it back.",
)


def write_mending_sheet(rows: pd.DataFrame, findings: pd.DataFrame, path: str | Path, *, delivery: Delivery) -> Path:
    """Write rows as a workbook for the data owner: the bad cells coloured, each with its reason as a comment.

    Every cell is text, whatever it looks like. The columns have the names of the delivery's source.

    Parameters
    ----------
    rows
        The rows to mend, index ``source_row``; ``text`` holds the raw text of a line that could not be parsed.
    findings
        One row a bad cell: ``index`` (a ``source_row``), ``column`` (null for the whole row) and ``reason``.
    delivery
        Where the rows come from.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    target = Path(path)
    if target.suffix.lower() != ".xlsx":
        raise InputError(f"{target.name or 'The workbook'} cannot be written: give a name that ends in .xlsx.")
    texts = _texts(rows)
    wanted = {*delivery.names, *findings["column"].dropna()}  # though the file may lack them
    columns = [str(c) for c in texts if c != "text" and (c in wanted or texts[c].notna().any())]
    names = _unique([delivery.names.get(c, c) for c in columns])
    has_text = "text" in texts and bool(texts["text"].notna().any())
    header = [_ROW, _REASONS, *names, *([_TEXT] if has_text else []), _DROP]
    reasons = findings.groupby("index", sort=False)["reason"].agg(lambda each: "; ".join(dict.fromkeys(each)))
    bad = findings.dropna(subset="column").groupby(["index", "column"], sort=False)["reason"].agg("; ".join).to_dict()
    book = Workbook(write_only=True)
    with replacing(target) as part:
        sheet = book.create_sheet(ROWS)
        _lay_out(sheet, header)
        sheet.append([_head(sheet, name) for name in header])
        n_comments = 0
        for row in texts.to_dict("index").items():
            number, cells = row
            said = text_cell(sheet, str(reasons.get(number, "")))
            said.alignment = Alignment(wrap_text=True, vertical="top")
            line = [text_cell(sheet, str(number)), said]
            for column in columns:
                cell = text_cell(sheet, _shown(cells[column]))
                if (why := bad.get((number, column))) is not None:
                    cell.fill = _BAD
                    if n_comments < MAX_COMMENTS:
                        cell.comment = Comment(why, "toolkit", width=280, height=90)
                        n_comments += 1
                line.append(cell)
            if has_text:
                line.append(text_cell(sheet, _shown(cells["text"])))
            sheet.append([*line, text_cell(sheet, "")])
        _explain(book, delivery.source)
        _keep(book, texts, columns, names, delivery)
        book.save(part)
    return target


def read_corrections(path: str | Path, *, who: str | None = None, when: datetime | None = None) -> Patch:
    """Read a mended workbook back, as a patch of the cells that were changed in it.

    Rows and columns may have been moved, and others added; a row that was deleted is left as it was. A time is read
    as the source's times are, so that it can be written as it stands there.

    Raises
    ------
    CorrectionError
        If it is not a workbook that `ValidationReport.to_excel` wrote, lacks a column, or names a row twice or one
        that it did not hold.
    """
    path = Path(path)
    try:
        kept = read_excel(path, _every, sheet=KEPT, header_row=1)
        facts = json.loads(kept.header[0])
        wanted = [_ROW, *facts["names"], _DROP]
        # Columns that the owner added, and ours that nobody mends, may hold whatever they like.
        mended = read_excel(
            path,
            lambda header: {str(at): at for at, name in enumerate(header) if name in wanted},
            sheet=ROWS,
            header_row=1,
        )
    except MappingError:
        raise CorrectionError(f"{path.name} is not a workbook that to_excel wrote, or lost a sheet of it.") from None
    except ReadingError as error:
        raise CorrectionError(str(error)) from None
    except (ValueError, KeyError, TypeError):
        raise CorrectionError(f"{path.name}: its sheet {KEPT!r} was changed, so nothing can be compared.") from None
    names = dict(zip(facts["names"], facts["columns"], strict=True))
    before = _frame(kept, [_ROW, *facts["columns"]], list(range(len(facts["columns"]) + 1)))
    if mended.broken:
        line = mended.broken[0]
        raise CorrectionError(f"{path.name}, row {line.number:,} of the sheet: {line.reason}.")
    if lacking := [name for name in wanted if mended.header.count(name) != 1 and name != _DROP]:
        raise CorrectionError(f"{path.name} has no column {lacking[0]!r}, or two: put its header back.")
    there = [name for name in wanted if name in mended.header]
    after = _frame(mended, [names.get(name, name) for name in there], [mended.header.index(name) for name in there])
    _require_rows(after, before, mended, path)
    delivery = Delivery(
        before, source=facts["source"], digest=facts["digest"], datetime=facts["datetime"], timezone=facts["timezone"]
    )
    changes = _changes(before, after.loc[after.index.isin(before.index)], delivery)
    return patch_of(changes, before[ID].reindex(changes["source_row"]), delivery=delivery, who=who, when=when)


def _texts(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows' cells as text, null where there is none."""
    known = [c for c in CUSTOMER.names if c in rows.columns]
    more = [c for c in rows.columns if c not in (*known, "reasons")]
    return cells_as_text(rows[known + more]).reindex(columns=list(dict.fromkeys([ID, TIME, *known, *more])))


def _shown(cell: Any) -> str:
    text = "" if cell is None else str(cell)
    return text if fits_cell(text) else text[:4_000] + CUT


def _unique(names: Sequence[str]) -> list[str]:
    """Return header cells that differ from each other and from our own columns."""
    seen = Counter((_ROW, _REASONS, _TEXT, _DROP))
    unique = []
    for name in names:
        seen[name] += 1
        unique.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return unique


def _lay_out(sheet: Any, header: Sequence[str]) -> None:
    sheet.freeze_panes = "C2"
    wide = {_ROW: 11, _REASONS: 44, _TEXT: 60, _DROP: 7}
    for at, name in enumerate(header, start=1):
        sheet.column_dimensions[get_column_letter(at)].width = wide.get(name, 24)


def _head(sheet: Any, name: str) -> Any:
    cell = text_cell(sheet, name)
    cell.fill, cell.font = _HEAD, Font(bold=True)
    return cell


def _explain(book: Workbook, source: str) -> None:
    sheet = book.create_sheet(HOW)
    sheet.column_dimensions["A"].width = 110
    for line in _HELP:
        sheet.append([text_cell(sheet, line.format(source=source))])


def _keep(book: Workbook, texts: pd.DataFrame, columns: list[str], names: list[str], delivery: Delivery) -> None:
    """Keep the rows as they were in a sheet that is not shown, to tell later what was changed."""
    facts = {
        "source": delivery.source,
        "digest": delivery.digest,
        "datetime": delivery.datetime,
        "timezone": delivery.timezone,
        "columns": columns,
        "names": names,
    }
    sheet = book.create_sheet(KEPT)
    sheet.sheet_state = "veryHidden"
    sheet.append([text_cell(sheet, json.dumps(facts)), *(text_cell(sheet, column) for column in columns)])
    for number, *cells in texts[columns].itertuples(name=None):
        sheet.append([text_cell(sheet, str(number)), *(text_cell(sheet, _shown(cell)) for cell in cells)])


def _every(header: Sequence[str]) -> dict[str, int]:
    return {str(at): at for at in range(len(header))}


def _frame(table: Table, columns: list[str], places: list[int]) -> pd.DataFrame:
    """Return a sheet's columns as text, index ``source_row``; an empty cell is null."""
    cells = [table.cells.column(str(at)).to_pandas().astype("str") for at in places]
    frame = pd.DataFrame({c: s.mask(s == "") for c, s in zip(columns, cells, strict=True)})
    numbers = pd.to_numeric(frame.pop(_ROW), errors="coerce").fillna(-1).astype("int64")
    return frame.set_axis(pd.Index(numbers, name=_ROW))


def _require_rows(after: pd.DataFrame, before: pd.DataFrame, mended: Table, path: Path) -> None:
    filled = after.notna().any(axis="columns")
    for what, wrong in (
        ("is named twice", after.index.duplicated() & (after.index >= 0)),
        ("is not one of those that were sent out", ~after.index.isin(before.index) & filled.to_numpy()),
    ):
        if wrong.any():
            at = int(wrong.argmax())
            raise CorrectionError(
                f"{path.name}, row {mended.numbers[at]:,} of the sheet: its {_ROW} {what}. Put back the number that "
                "stood there, or delete the row."
            )


def _changes(before: pd.DataFrame, after: pd.DataFrame, delivery: Delivery) -> pd.DataFrame:
    said = (
        after.pop(_DROP).str.strip().str.casefold()
        if _DROP in after
        else pd.Series(pd.NA, index=after.index, dtype="str")
    )
    if (odd := said.notna() & ~said.isin(_YES)).any():
        raise CorrectionError(
            f"source_row {odd.idxmax()}: {_DROP} says neither x nor nothing. Write x to drop the row, or empty it."
        )
    was, mended = before.loc[before.index.isin(after.index), after.columns], after.loc[said.isna()].sort_index()
    if TIME in mended:
        mended = mended.assign(**{TIME: _times(mended[TIME], was[TIME].reindex(mended.index), delivery)})
    changes = changes_between(was.sort_index(), mended, "data owner")
    cut = changes["before"].astype("str").str.endswith(CUT).fillna(value=False).astype(bool)
    if cut.any():
        first = changes[cut].iloc[0]
        raise CorrectionError(
            f"source_row {first['source_row']}: {first['column']} was too long for a cell and went out cut, so it "
            "cannot be mended here. Mend it in the source, and put the cut text back."
        )
    return changes


def _times(cells: pd.Series[Any], was: pd.Series[Any], delivery: Delivery) -> pd.Series[Any]:
    """Read the times that were changed as the source's times are; what is no time stays as it is written."""
    moved = (cells != was).fillna(value=True) & cells.notna()
    if not moved.any():
        return cells
    texts = pa.chunked_array([pa.array(cells[moved], pa.string(), from_pandas=True)])
    parsed = parse_times(texts, pattern=delivery.datetime, timezone=delivery.timezone, iso_too=True).values
    read = times_as_text(parsed.set_axis(cells.index[moved]))
    return cells.mask(moved, read.reindex(cells.index).where(lambda text: text.notna(), cells))
