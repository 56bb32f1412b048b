"""write_table(), write_sheets(): tables as files that are complete or not there at all; and cells as text."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.engine import text as quote
from toolkit.errors import InputError
from toolkit.files import replacing
from toolkit.lazy import Library

if TYPE_CHECKING:
    import openpyxl
    import openpyxl.cell
    import openpyxl.comments
    import openpyxl.styles
    import openpyxl.utils
else:
    openpyxl = Library("openpyxl")

MAX_CELL = 32_767
"""Characters of one cell of a worksheet."""
MAX_SHEET_ROWS = 1_048_576
ENDINGS = (".csv", ".parquet", ".xlsx")

# What XML cannot contain, and a carriage return, which XML would read as a line feed; then what would be taken for
# such an escape (ECMA-376, part 1, 22.9.2.19: ST_Xstring). Excel and calamine undo it.
_ESCAPED = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
# The start of a cell that a spreadsheet would run, also in full-width characters, or of one that has the apostrophe
# already: so that removing one gives back what was there. For `re`, Arrow and DuckDB alike.
_RUNS = "('*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20])"
_BEFORE = f"^'{_RUNS}"
_INERT = (f"^{_RUNS}", r"'\1")


@dataclass(frozen=True)
class Cell:
    """A cell with a look of its own: a background `color` (RGB, six hexadecimal digits) and a `comment`."""

    text: str | int
    color: str = ""
    comment: str = ""
    bold: bool = False
    wrap: bool = False


@dataclass(frozen=True)
class Sheet:
    """A worksheet: rows of values or `Cell`s, the header among them, and how they are laid out.

    Attributes
    ----------
    widths
        Of the first columns, in characters.
    freeze
        The first cell that scrolls.
    hidden
        Whether a person can only reach it by a program. Its cells have no format, which would take time.
    filtered
        Whether the first row has a filter.
    """

    rows: Iterable[Sequence[object]]
    widths: Sequence[float] = ()
    freeze: str | None = "A2"
    hidden: bool = False
    filtered: bool = False


def write_table(frame: pd.DataFrame, path: Path, *, raw: bool = False) -> Path:
    """Write a frame as .csv (UTF-8), .parquet or .xlsx, without its index; times as ISO 8601 in UTC with ``Z``.

    Returns `path`. See `write_sheets` for .xlsx. In .csv an apostrophe is put before a cell, also of the header, that a
    spreadsheet would run; the toolkit's readers remove it. With `raw`, which is for programs, every cell is written
    as it is.

    Raises
    ------
    InputError
        If the name has another ending, or the file cannot be written; an earlier file of that name is then unharmed.
    """
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise InputError(f"{path.name} cannot be written: give a name that ends in {', '.join(ENDINGS)}.")
    if ending == ".xlsx":
        return write_sheets({"Sheet": frame}, path)
    with replacing(path) as part:
        if ending == ".parquet":
            frame.to_parquet(part, index=False)
        else:
            # With another line end, pandas would not quote a cell that contains a carriage return.
            text = _with_times_as_text(frame)
            (text if raw else text.map(_inert).rename(columns=_inert)).to_csv(part, index=False, lineterminator="\r\n")
    return path


def write_sheets(sheets: Mapping[str, pd.DataFrame | Sheet], path: Path) -> Path:
    """Write frames or `Sheet`s, by their titles, as one .xlsx; returns `path`.

    Text stays text, whatever it looks like: no cell is a formula, and no leading zero is lost. A character that XML
    cannot contain is written as ``_x0007_``, as Excel does it.

    Raises
    ------
    InputError
        If the name has another ending, a table is larger than a sheet or a text longer than a cell, or the file
        cannot be written; an earlier file of that name is then unharmed.
    """
    if path.suffix.lower() != ".xlsx":
        raise InputError(f"{path.name or 'The workbook'} cannot be written: give a name that ends in .xlsx.")
    where = f"{path.name}: the sheet"
    contents = {t: c if isinstance(c, Sheet) else _sheet_of(c, f"{where} {t!r}") for t, c in sheets.items()}
    book = openpyxl.Workbook(write_only=True)
    with replacing(path) as part:
        for title, content in contents.items():
            sheet = book.create_sheet(title)
            sheet.freeze_panes = content.freeze
            sheet.sheet_state = "veryHidden" if content.hidden else "visible"
            for at, width in enumerate(content.widths, start=1):
                sheet.column_dimensions[openpyxl.utils.get_column_letter(at)].width = width
            n_rows, n_columns, looks = 0, 0, dict[Any, Any]()
            for n_rows, row in enumerate(content.rows, start=1):
                if n_rows > MAX_SHEET_ROWS:
                    raise InputError(f"{where} {title!r} cannot hold all rows, more than a worksheet has.")
                if n_lines := max((_n_lines(*pair) for pair in zip(row, content.widths, strict=False)), default=0):
                    sheet.row_dimensions[n_rows].height = 15 * n_lines
                sheet.append([_written(sheet, value, looks, plain=content.hidden) for value in row])
                n_columns = max(n_columns, len(row))
            if content.filtered:
                sheet.auto_filter.ref = f"A1:{openpyxl.utils.get_column_letter(n_columns)}{n_rows}"
        whole = io.BytesIO()  # openpyxl leaves generators that print a traceback if it writes to a full disk
        book.save(whole)
        part.write_bytes(whole.getvalue())
    return path


def _inert(cell: Any) -> Any:
    return re.sub(*_INERT, cell) if isinstance(cell, str) else cell


def inert_sql(sql: str) -> str:
    """Return the SQL for a text as `write_table` writes it to .csv."""
    return f"regexp_replace({sql}, {', '.join(map(quote, _INERT))})"


def original_header(header: Iterable[str]) -> list[str]:
    """Return the cells of a header without the apostrophes that `write_table` puts before them."""
    return [re.sub(_BEFORE, r"\1", name) for name in header]


def original_cells(cells: pa.Table) -> pa.Table:
    """Return a table of text without the apostrophes that `write_table` puts before cells; itself if it has none.

    Examples
    --------
    >>> original_cells(pa.table({"name": ["'=1+1", "''-5", "'s-Hertogenbosch", "'007"]}))["name"].to_pylist()
    ['=1+1', "'-5", "'s-Hertogenbosch", "'007"]
    """
    for at, name in enumerate(cells.column_names):
        quoted = pc.any(pc.starts_with(cells[at], "'")).as_py()  # ten times as fast as an expression
        if quoted and pc.any(pc.match_substring_regex(cells[at], _BEFORE)).as_py():
            cells = cells.set_column(at, name, pc.replace_substring_regex(cells[at], _BEFORE, r"\1"))
    return cells


def _sheet_of(frame: pd.DataFrame, where: str) -> Sheet:
    frame = _with_times_as_text(frame)
    if len(frame) >= MAX_SHEET_ROWS:
        raise InputError(f"{where} cannot hold {len(frame):,} rows, more than a worksheet has: write .csv instead.")
    if any(isinstance(cell, str) and not fits_cell(cell) for column in frame for cell in frame[column]):
        raise InputError(f"{where} cannot hold a text longer than {MAX_CELL:,} characters: write .csv instead.")
    return Sheet(chain([[str(c) for c in frame.columns]], frame.itertuples(index=False, name=None)))


def _n_lines(value: object, width: float) -> int:
    """Return how many lines a wrapped cell needs, 0 for any other; no program makes a row higher by itself."""
    if not isinstance(value, Cell) or not value.wrap:
        return 0
    return max(1, math.ceil(len(str(value.text)) * 1.05 / width))


def _written(sheet: Any, value: Any, looks: dict[Any, Any], *, plain: bool) -> Any:
    if isinstance(value, float) and math.isinf(value):
        value = str(value)
    if not isinstance(value, str | Cell):
        return None if pd.isna(value) else value
    given = value if isinstance(value, Cell) else Cell(value)
    text = excel_text(given.text) if isinstance(given.text, str) else ""
    cell: Any = openpyxl.cell.WriteOnlyCell(sheet, text or given.text)
    cell.data_type = "s" if isinstance(given.text, str) else "n"
    if given.comment:
        cell.comment = openpyxl.comments.Comment(given.comment, "toolkit", width=280, height=90)
    look = (cell.data_type, given.color, given.bold, given.wrap, bool(re.match(_RUNS, text)))
    if look in looks:  # to find out that a style is there already takes openpyxl a fifth of all its time
        cell._style = looks[look]
    elif not plain:
        if cell.data_type == "s":
            cell.number_format, cell.quotePrefix = "@", look[-1]  # so that it stays text when it is edited
        if given.color:
            cell.fill = openpyxl.styles.PatternFill("solid", fgColor=f"FF{given.color}")
        if given.bold:
            cell.font = openpyxl.styles.Font(bold=True)
        cell.alignment = openpyxl.styles.Alignment(wrap_text=given.wrap, vertical="top")
        looks[look] = cell._style
    return cell


def excel_text(text: str) -> str:
    r"""Return a text as a worksheet can contain it.

    Examples
    --------
    >>> excel_text("bell\x07, _x0041_")
    'bell_x0007_, _x005F_x0041_'
    >>> excel_text("  ")
    '_x0020_ '
    """
    escaped = _ESCAPED.sub(lambda found: f"_x{ord(found[0]):04X}_", text)
    # openpyxl does not mark a text of spaces only as one to preserve, and readers drop it.
    return escaped if escaped.strip() or not escaped else f"_x{ord(escaped[0]):04X}_{escaped[1:]}"


def fits_cell(text: str) -> bool:
    """Return whether a worksheet's cell can contain the text; Excel counts UTF-16 units."""
    short = len(text) * 7 <= MAX_CELL  # whatever has to be escaped
    return short or len(excel_text(text).encode("utf-16-le", "surrogatepass")) // 2 <= MAX_CELL


def times_as_text(times: pd.Series[Any]) -> pd.Series[Any]:
    """Return times as ISO 8601 in UTC with ``Z``; in a column of objects, other values are returned as they are.

    Examples
    --------
    >>> times_as_text(pd.Series([pd.Timestamp("2025-01-28T10:00:00+01:00"), "soon"], dtype=object)).tolist()
    ['2025-01-28T09:00:00Z', 'soon']
    """
    if not isinstance(times.dtype, pd.DatetimeTZDtype):
        aware = times.map(lambda cell: isinstance(cell, pd.Timestamp) and cell.tzinfo is not None).astype(bool)
        if not aware.any():
            return times
        text = times_as_text(pd.to_datetime(times[aware], utc=True).dt.as_unit("us"))
        return times.astype(object).where(~aware, text.astype(object))
    moments = times.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[us]")
    # strftime would write the year 999 with three digits.
    text = pd.Series(np.datetime_as_string(moments), index=times.index, dtype="str")
    return (text.str.removesuffix(".000000") + "Z").where(times.notna())


def _with_times_as_text(frame: pd.DataFrame) -> pd.DataFrame:
    kinds = [c for c, d in frame.dtypes.items() if isinstance(d, pd.DatetimeTZDtype) or d.kind == "O"]
    return frame.assign(**{str(c): times_as_text(frame[c]) for c in kinds})


def cells_as_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with each cell as text, times as `times_as_text` returns them; null cells are None."""
    frame = _with_times_as_text(frame)
    others = [c for c, d in frame.dtypes.items() if not isinstance(d, pd.StringDtype)]
    texts = frame.assign(**{str(c): frame[c].map(str, na_action="ignore") for c in others}).astype(object)
    return texts.where(texts.notna(), None)
