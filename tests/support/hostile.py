"""A corpus of small hostile files, written for each run: what goes into each, and what must come out.

``python -m tests.support.hostile FAMILY FOLDER`` writes a family's files, reads each, and prints one JSON object a file:
what came out, and the process's memory. It runs in a process of its own, under limits that only a crash or an endless
loop reaches. `tests/reading/test_hostile_files.py` runs that and judges.
"""

from __future__ import annotations

import codecs
import csv
import datetime as dt
import gzip
import io
import json
import random
import re
import resource
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import msoffcrypto.format.ooxml as encrypted
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import xlwt
from openpyxl import Workbook
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from tests.support.cases import CASES
from toolkit.errors import ToolkitError
from toolkit.quality import profile, validate
from toolkit.reading import Mapping, read_customers
from toolkit.spreadsheets import opening

MAX_ADDRESS_SPACE, MAX_PROCESSOR_S = 16_000_000_000, 1_200
AT = "2025-01-28T10:00:00Z"
HEADER = ("customer_id", "updated_at", "customer_name")
Row = Sequence[str]


@dataclass(frozen=True)
class Hostile:
    """One file: how it is made, and what must become of it.

    Attributes
    ----------
    rows
        The (customer_id, customer_name) that must be read, an empty text for null; None if it must be an error.
    error
        A pattern in the one clear error.
    note, broken, warning
        A pattern in the notes; the numbers of the records set aside; a pattern in the warnings, empty for none.
    times
        What ``updated_at`` must hold, where that is the point.
    more
        What the other columns of the first row must hold.
    """

    name: str
    write: Callable[[Path], None]
    rows: Sequence[Row] | None = None
    error: str = ""
    note: str = ""
    broken: Sequence[int] = ()
    times: Sequence[str] | None = None
    warning: str = ""
    mapping: Mapping = field(default_factory=Mapping)
    more: dict[str, str] = field(default_factory=dict)
    journey: bool = False


def data(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content) and None


def table(rows: Iterable[Row], **options: Any) -> str:
    text = io.StringIO()
    csv.writer(text, **options).writerows([HEADER, *rows])
    return text.getvalue()


def named(name: str, **options: Any) -> str:
    return table([["1", AT, name]], **options)


def xlsx(fill: Callable[[Any, Workbook], None], path: Path, header: Sequence[str] = HEADER) -> None:
    book = Workbook()
    assert book.active is not None
    book.active.append(list(header))
    fill(book.active, book)
    book.save(path)


def sheet(
    *rows: Sequence[Any], formats: dict[str, str] | None = None, then: Any = None, header: Sequence[str] = HEADER
) -> Callable[[Path], None]:
    def fill(active: Any, book: Workbook) -> None:
        for row in rows:
            active.append(list(row))
            for cell in active[active.max_row]:
                if isinstance(cell.value, str) and cell.value.startswith("="):
                    cell.data_type = "s"
        for place, form in (formats or {}).items():
            active[place].number_format = form
        if then:
            then(active, book)

    return lambda path: xlsx(fill, path, header)


def patched(change: Callable[[dict[str, bytes]], None], *rows: Sequence[Any]) -> Callable[[Path], None]:
    """A workbook whose parts are changed after it was written."""

    def write(path: Path) -> None:
        sheet(*(rows or [["1", AT, "a"]]))(path)
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        change(parts)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in parts.items():
                archive.writestr(name, content)

    return write


SHEET1 = "xl/worksheets/sheet1.xml"


def replaced(part: str, old: bytes, new: bytes) -> Callable[[dict[str, bytes]], None]:
    def change(parts: dict[str, bytes]) -> None:
        assert old in parts[part], (part, old)
        parts[part] = parts[part].replace(old, new)

    return change


# --- cells that a careless reader alters

VALUES = {
    "leading zeros": "00123",
    "scientific": "1E5",
    "scientific lower": "9e99",
    "not available": "NA",
    "nan": "NaN",
    "null word": "NULL",
    "none word": "None",
    "true": "TRUE",
    "false": "false",
    "long digits": "12345678901234567890",
    "float of an id": "123.0",
    "comma decimal": "1.234,56",
    "infinity": "inf",
    "negative zero": "-0",
    "hex": "0x1F",
    "underscores": "1_000",
    "us date": "03/04/2026",
    "iso date": "2026-02-30",
    "month name": "MAR1",
    "clock": "24:00",
    "percent": "50%",
    "formula": "=1+1",
    "plus": "+49 30 1234",
    "minus": "-2+3",
    "at sign": "@SUM(A1)",
    "dde": "=cmd|' /C calc'!A0",
    "excel error": "#REF!",
    "script": "<script>alert(1)</script>",
    "image": "<img src=x onerror=alert(1)>",
    "closing tags": "</td></table></div></style>",
    "attribute": '" onmouseover="alert(1)',
    "entity": "&lt;b&gt; &amp;amp; &#0;",
    "template": "{{7*7}} ${jndi:ldap://x} %s%n",
    "traversal": "../../etc/passwd",
    "sql": "'; DROP TABLE rows_; --",
    "backslashes": "\\N \\u0041 \\",
    "only quotes": '""',
    "apostrophe": "'00123",
    "delimiters": "a;b,c|d",
    "spaces": "  a  b  ",
    "no-break spaces": "\u00a0a\u202fb\u3000",
    "right to left": "شركة المثال",
    "override": "\u202egpj.exe",
    "look-alikes": "Раураl",
    "zero width": "A\u200bC\u200dM\ufeffE",
    "combining": "Mu\u0308ller",
    "zalgo": "a" + "\u0301" * 200,
    "astral": "𝒜cme 🏭 👩\u200d👩\u200d👧",
    "replacement": "M\ufffdller",
    "mojibake": "MÃ¼ller",
    "separators": "a\u2028b\u2029c\u0085d",
    "noncharacters": "a\U0001fffeb",
    "long": "x" * 32_000,
}
SURVIVES_XLSX = [name for name in VALUES if name != "noncharacters"]


ALONE = ("customer_name", "customer_category", "customer_subcategory", "customer_price_list_id", "source")
"""The columns that hold one value each, so that what a column has in common never protects a value."""


def together(values: Sequence[str]) -> Iterator[tuple[str, Sequence[str], Sequence[str]]]:
    """Five values at a time: their names, the header and the row, in which each is alone in its column."""
    for start in range(0, len(values), len(ALONE)):
        some = values[start : start + len(ALONE)]
        yield ", ".join(some), (*HEADER[:2], *ALONE[: len(some)]), ("1", AT, *(VALUES[name] for name in some))


def cells() -> list[Hostile]:
    found = []
    for names, header, row in together(list(VALUES)):
        text = io.StringIO()
        csv.writer(text).writerows([header, row])
        more = dict(zip(header[3:], row[3:], strict=True))
        found += [
            Hostile(f"{names}.csv", data(text.getvalue().encode()), [[row[0], row[2]]], more=more, journey=True),
            Hostile(f"{names}.json", data(json.dumps([dict(zip(header, row, strict=True))]).encode()),
                    [[row[0], row[2]]], more=more),
        ]  # fmt: skip
    return found


def sheet_cells() -> list[Hostile]:
    return [Hostile(f"{names}.xlsx", sheet(row, header=header), [[row[0], row[2]]], more=dict(zip(header[3:], row[3:], strict=True)))
            for names, header, row in together(SURVIVES_XLSX)]  # fmt: skip


# --- text files

MULLER = table([["1", AT, "Müller"], ["2", AT, "Œuvre €"]])
ROWS_MULLER = [["1", "Müller"], ["2", "Œuvre €"]]
PLAIN = [["1", "a"]]


def texts() -> list[Hostile]:
    found = [
        Hostile("utf-8.csv", data(MULLER.encode()), ROWS_MULLER, note="UTF-8, detected"),
        Hostile("utf-8 bom.csv", data(MULLER.encode("utf-8-sig")), ROWS_MULLER, note="byte order mark"),
        Hostile("two boms.csv", data(codecs.BOM_UTF8 * 2 + MULLER.encode()), ROWS_MULLER),
        Hostile("utf-16.csv", data(MULLER.encode("utf-16")), ROWS_MULLER, note="UTF-16"),
        Hostile("utf-16-be bom.csv", data(codecs.BOM_UTF16_BE + MULLER.encode("utf-16-be")), ROWS_MULLER),
        Hostile("utf-16-le bare.csv", data(MULLER.encode("utf-16-le")), ROWS_MULLER, note="UTF-16, detected"),
        Hostile("utf-16 cut.csv", data(MULLER.encode("utf-16")[:-1]), error="cannot be decoded"),
        Hostile("utf-32.csv", data(MULLER.encode("utf-32")), error="no header"),
        Hostile("utf-32 stated.csv", data(MULLER.encode("utf-32")), ROWS_MULLER, mapping=Mapping(encoding="utf-32")),
        Hostile("cp1252.csv", data(MULLER.encode("cp1252")), ROWS_MULLER, note="cp1252, assumed, not UTF-8 at byte"),
        Hostile(
            "latin-1 stated.csv",
            data(named("Müller").encode("latin-1")),
            [["1", "Müller"]],
            mapping=Mapping(encoding="latin-1"),
            note="stated by the mapping",
        ),
        Hostile(
            "cp850 stated.csv",
            data(named("Müller").encode("cp850")),
            [["1", "Müller"]],
            mapping=Mapping(encoding="cp850"),
        ),
        Hostile(
            "wrongly stated.csv",
            data(MULLER.encode("cp1252")),
            mapping=Mapping(encoding="utf-8"),
            error="is not UTF-8 at byte",
        ),
        Hostile(
            "shift-jis.csv",
            data(named("株式会社").encode("shift-jis")),
            [["1", "Š”Ž®‰ïŽÐ"]],
            note="cp1252, assumed, not UTF-8",
            warning=r"→ 株式会社",
        ),
        Hostile(
            "shift-jis stated.csv",
            data(named("株式会社").encode("shift-jis")),
            [["1", "株式会社"]],
            mapping=Mapping(encoding="shift-jis"),
        ),
        Hostile(
            "lone surrogate.csv",
            data(named("a").encode().replace(b"a\r", b"\xed\xa0\x80\r")),
            [["1", "í\xa0€"]],
            note="cp1252, assumed, not UTF-8",
        ),
        Hostile(
            "overlong.csv", data(named("a").encode().replace(b"a\r", b"\xc0\xaf\r")), [["1", "À¯"]], note="not UTF-8"
        ),
        Hostile("empty.csv", data(b""), error="is empty"),
        Hostile("bom alone.csv", data(codecs.BOM_UTF8), error="no header"),
        Hostile("blank lines.csv", data(b"\n\n\n"), error="no header"),
        Hostile("header alone.csv", data(table([]).encode()), error="no rows below"),
        Hostile("one nul.csv", data(named("a\0b").encode()), [], broken=[2]),
        Hostile("all nul.csv", data(b"\0" * 4096), error="binary data"),
        Hostile("noise.csv", data(random.Random(3).randbytes(20_000)), error="binary data|cannot be decoded"),
        Hostile("png.csv", data(b"\x89PNG\r\n\x1a\n" + bytes(500)), error="binary"),
        Hostile("pdf.csv", data(b"%PDF-1.7\nrest"), error="no header"),
        Hostile("html.csv", data(b"<html><body><table><tr><td>customer_id</td></tr></table>"), error="no header"),
        Hostile("sqlite.csv", data(b"SQLite format 3\0" + bytes(500)), error="binary data"),
        Hostile("parquet.csv", data(b"PAR1" + bytes(500)), error="binary data"),
        Hostile(
            "zip.csv", lambda path: zipfile.ZipFile(path, "w").writestr("a.csv", MULLER), error="zip without a workbook"
        ),
        Hostile("bzip2.csv", data(b"BZh91AY&SY" + bytes(50)), error="binary data"),
        Hostile("semicolons.csv", data(named("a, b", delimiter=";").encode()), [["1", "a, b"]], note="';', detected"),
        Hostile("tabs.txt", data(named("a;b", delimiter="\t").encode()), [["1", "a;b"]], note="tab, detected"),
        Hostile("pipes.csv", data(named("a,b", delimiter="|").encode()), [["1", "a,b"]]),
        Hostile(
            "stated delimiter.csv",
            data(named("a", delimiter=":", quoting=csv.QUOTE_ALL).encode()),
            PLAIN,
            mapping=Mapping(delimiter=":"),
        ),
        Hostile("sep line.csv", data(b"sep=;\n" + named("a", delimiter=";").encode()), PLAIN, note="header in row 2"),
        Hostile("returns.csv", data(named("a", lineterminator="\r").encode()), PLAIN),
        Hostile(
            "mixed ends.csv",
            data(f"customer_id,updated_at,customer_name\r1,{AT},a\n2,{AT},b\r\n".encode()),
            [["1", "a"], ["2", "b"]],
        ),
        Hostile("no last newline.csv", data(named("a").strip().encode()), PLAIN),
        Hostile("control z.csv", data(named("a").encode() + b"\x1a"), PLAIN, broken=[3]),
        Hostile("quoted newline.csv", data(named("a\nb\r\nc").encode()), [["1", "a\nb\r\nc"]], note="several lines"),
        Hostile("all quoted.csv", data(named("a", quoting=csv.QUOTE_ALL).encode()), PLAIN),
        Hostile(
            "inch.csv", data(f'customer_id,updated_at,customer_name\n1,{AT},Pipe 12"\n'.encode()), [["1", 'Pipe 12"']]
        ),
        Hostile(
            "open quote.csv", data(f'{",".join(HEADER)}\n1,{AT},"a\n2,{AT},b\n'.encode()), [["2", "b"]], broken=[2]
        ),
        Hostile("open quote last.csv", data(f'{",".join(HEADER)}\n1,{AT},a\n2,{AT},"b'.encode()), PLAIN, broken=[3]),
        Hostile(
            "stray quote.csv", data(f'{",".join(HEADER)}\n1,{AT},"a"b\n2,{AT},c\n'.encode()), [["2", "c"]], broken=[2]
        ),
        Hostile("quote in header.csv", data(b'customer_id,"updated_at\n1,2\n'), error="no readable header|no header"),
        Hostile(
            "wide and narrow.csv",
            data(f"{','.join(HEADER)}\n1,{AT}\n2,{AT},b,c\n3,{AT},d\n4,{AT},e,,\n".encode()),
            [["3", "d"], ["4", "e"]],
            broken=[2, 3],
        ),
        Hostile("all ragged.csv", data(f"{','.join(HEADER)}\n1\n2\n".encode()), [], broken=[2, 3]),
        Hostile("empty cells.csv", data(f"{','.join(HEADER)}\n,,\n1,{AT},\n,,b\n".encode()), [["1", ""], ["", "b"]]),
        Hostile("blank between.csv", data(f"{','.join(HEADER)}\n\n1,{AT},a\n\n\n".encode()), PLAIN),
        Hostile(
            "duplicate header.csv",
            data(f"{','.join(HEADER)},CUSTOMER_ID\n1,{AT},a,2\n".encode()),
            error="2 columns of one name",
        ),
        Hostile("empty headers.csv", data(f"{','.join(HEADER)},,,\n1,{AT},a,x,y,z\n".encode()), PLAIN),
        Hostile("spaced header.csv", data(f" Customer_ID ,UPDATED_AT,customer_name\n1,{AT},a\n".encode()), PLAIN),
        Hostile(
            "script header.csv",
            data(f"{','.join(HEADER)},<script>alert(1)</script>\n1,{AT},a,x\n".encode()),
            PLAIN,
            note="columns left out: <script>",
            journey=True,
        ),
        Hostile("formula header.csv", data(f"{','.join(HEADER)},=cmd|x\n1,{AT},a,x\n".encode()), PLAIN),
        Hostile("no header.csv", data(f"1,{AT},a\n2,{AT},b\n".encode()), error="no header"),
        Hostile("lacks updated_at.csv", data(b"customer_id,customer_name\n1,a\n"), error="lacks the column updated_at"),
        Hostile("one column.csv", data(b"customer_id\n1\n"), error="lacks the column updated_at"),
        Hostile(
            "5000 columns.csv",
            data(f"{','.join(HEADER)},{','.join(f'c{i}' for i in range(4997))}\n1,{AT},a{',x' * 4997}\n".encode()),
            PLAIN,
            journey=True,
        ),
        Hostile(
            "5000 empty columns.csv", data(f"{','.join(HEADER)}{',' * 4997}\n1,{AT},a{',' * 4997}\n".encode()), PLAIN
        ),
        Hostile("10 MB cell.csv", data(named("x" * 9_999_990).encode()), [["1", "x" * 9_999_990]], journey=True),
        Hostile(
            "11 MB cell.csv",
            data(named("x" * 11_000_000).encode() + f"2,{AT},b\r\n".encode()),
            [["2", "b"]],
            broken=[2],
        ),
        Hostile(
            "11 MB quoted cell.csv",
            data(named("x," * 5_600_000).encode() + f"2,{AT},b\r\n".encode()),
            [["2", "b"]],
            broken=[2],
        ),
        Hostile(
            "20000 open quotes.csv",
            data((",".join(HEADER) + "\n" + f'1,{AT},"a\n' * 20_000).encode()),
            [],
            broken=range(2, 20_002),
        ),
        Hostile(
            "30000 short lines.csv",
            data((",".join(HEADER) + "\n" + "1,2\n" * 30_000).encode()),
            [],
            broken=range(2, 30_002),
            journey=True,
        ),
        Hostile(
            "titles above.csv",
            data(f"Report\n\nBy:,me\n{','.join(HEADER)}\n1,{AT},a\n".encode()),
            PLAIN,
            note="header in row 4",
        ),
        Hostile("totals below.csv", data(f"{','.join(HEADER)}\n1,{AT},a\nTotal: 1\n".encode()), PLAIN, broken=[3]),
        Hostile("unnamed kind.dat", data(named("a").encode()), error=r"\.dat is not read"),
    ]
    found += [
        Hostile(f"time {name}.csv", data(table([["1", text, "a"]]).encode()), PLAIN, times=[kept or text],
                mapping=Mapping(timezone=zone, datetime=pattern))
        for name, text, kept, zone, pattern in [
            ("year 0000", "0000-01-01T00:00:00Z", "", None, None),
            ("year 9999", "9999-12-31T23:59:59Z", "9999-12-31 23:59:59+00:00", None, None),
            ("year 10000", "10000-01-01T00:00:00Z", "", None, None),
            ("30 february", "2025-02-30T00:00:00Z", "", None, None),
            ("leap second", "2016-12-31T23:59:60Z", "", None, None),
            ("24 oclock", "2025-01-28T24:00:00Z", "", None, None),
            ("skipped hour", "2025-03-30 02:30", "", "Europe/Berlin", None),
            ("repeated hour", "2025-10-26 02:30", "", "Europe/Berlin", None),
            ("nanoseconds", "2025-01-28T10:00:00.123456789Z", "", None, None),
            ("epoch", "1738058400", "", None, None),
            ("serial", "45685", "", None, None),
            ("arabic digits", "٢٠٢٥-٠١-٢٨", "", "UTC", None),
            ("now", "now", "", "UTC", "%d.%m.%Y"),
            ("us order under a german pattern", "01/28/2025", "", "UTC", "%d.%m.%Y"),
            ("fine", "28.01.2025", "2025-01-28 00:00:00+00:00", "UTC", "%d.%m.%Y"),
        ]
    ]  # fmt: skip
    found.append(Hostile("time without zone.csv", data(table([["1", "2025-01-28 10:00", "a"]]).encode()),
                         error="names no time zone, first in row 2"))  # fmt: skip
    return found


# --- times as programs and people write them

NINE = "2026-05-23 14:35:00+00:00"


def times() -> list[Hostile]:
    """Each form in text; as JSON and in a workbook's text cells where it is one of the cases."""
    forms = [
        ("postgres short zone", "2026-05-23 14:35:00+00", NINE, None, None),
        ("zone without colon", "2026-05-23T16:35:00+0200", NINE, None, None),
        ("lower case", "2026-05-23t14:35:00z", NINE, None, None),
        ("icu us", "5/23/2026, 2:35\u202fPM", NINE, "UTC", "%m/%d/%Y, %I:%M %p"),
        ("no-break before am", "05/23/2026 2:35\u00a0am", "2026-05-23 02:35:00+00:00", "UTC", "%m/%d/%Y %I:%M %p"),
        ("sql server", "May  3 2026  2:35PM", "2026-05-03 14:35:00+00:00", "UTC", "%b %d %Y %I:%M%p"),
        ("ruby", "2026-05-23 14:35:00 +0000", NINE, None, "%Y-%m-%d %H:%M:%S %z"),
        ("apache", "23/May/2026:14:35:00 +0000", NINE, None, "%d/%b/%Y:%H:%M:%S %z"),
        ("dotnet seven digits", "2026-05-23T14:35:00.1234567Z", "", None, None),
        ("java nine digits", "2026-05-23T14:35:00.123456789Z", "", None, None),
        ("second 61", "23.05.2026 14:35:61", "", "UTC", "%d.%m.%Y %H:%M:%S"),
        ("lost zero", "1122026", "", "UTC", "%d%m%Y"),
        ("lost zero of an hour", "20260523 935", "", "UTC", "%Y%m%d %H%M"),
        ("short day", "1.5.2026", "2026-05-01 00:00:00+00:00", "UTC", "%d.%m.%Y"),
        ("24-hour clock with pm", "05/23/2026 14:35 PM", "", "UTC", "%m/%d/%Y %I:%M %p"),
        ("long s", "\u017fat 23.05.2026", "", "UTC", "%a %d.%m.%Y"),
        ("tab for a space", "23.05.2026\t14:35", "", "UTC", "%d.%m.%Y %H:%M"),
    ]
    both = ["postgres short zone", "lower case", "icu us", "lost zero", "java nine digits"]
    found = []
    for name, text, kept, zone, pattern in forms:
        expected: dict[str, Any] = {"times": [kept or text], "mapping": Mapping(timezone=zone, datetime=pattern)}
        record = json.dumps([dict(zip(HEADER, ["1", text, "a"], strict=True))])
        ways = {"csv": data(table([["1", text, "a"]]).encode()), "json": data(record.encode()),
                "xlsx": sheet(["1", text, "a"])}  # fmt: skip
        found += [Hostile(f"form {name}.{ending}", write, PLAIN, **expected)
                  for ending, write in ways.items() if ending == "csv" or name in both]  # fmt: skip
    return found


# --- packed files


def gzipped_zeros(n: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = b"0" * (1 << 20)
    return b"".join(packer.compress(block) for _ in range(n)) + packer.flush()


def packed() -> list[Hostile]:
    plain = gzip.compress(named("a").encode())
    return [
        Hostile("fine.csv.gz", data(plain), PLAIN),
        Hostile("two members.csv.gz", data(plain + gzip.compress(f"2,{AT},b\r\n".encode())), [["1", "a"], ["2", "b"]]),
        Hostile("cut.csv.gz", data(plain[:-9]), error="cut short or damaged"),
        Hostile("wrong sum.csv.gz", data(plain[:-8] + bytes(8)), error="cut short or damaged"),
        Hostile("rest behind.csv.gz", data(plain + b"garbage"), error="cut short or damaged"),
        Hostile("bomb.csv.gz", data(gzipped_zeros(260)), error="no readable header"),
        Hostile("bomb in a bomb.csv.gz", data(gzip.compress(gzipped_zeros(20))), error="not a text file|binary"),
        Hostile("empty inside.csv.gz", data(gzip.compress(b"")), error="is empty"),
        Hostile("workbook inside.csv.gz", lambda path: path.write_bytes(gzip.compress(_workbook_bytes())) and None,
                error="binary data"),
        Hostile("fine.json.gz", data(gzip.compress(json.dumps([dict(zip(HEADER, ["1", AT, "a"], strict=True))]).encode())),
                PLAIN),
    ]  # fmt: skip


def _workbook_bytes() -> bytes:
    file = io.BytesIO()
    Workbook().save(file)
    return file.getvalue()


# --- workbooks


def encrypt(path: Path) -> None:
    plain = io.BytesIO(_workbook_bytes())
    with path.open("wb") as file:
        encrypted.OOXMLFile(plain).encrypt("secret", file)


def xls(path: Path, *rows: Sequence[Any]) -> None:
    book = xlwt.Workbook()
    active = book.add_sheet("Kunden")
    for i, row in enumerate([HEADER, *rows]):
        for j, value in enumerate(row):
            active.write(i, j, value)
    book.save(str(path))


def cut(write: Callable[[Path], None], share: float) -> Callable[[Path], None]:
    def cut_short(path: Path) -> None:
        write(path)
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * share)])

    return cut_short


def flipped(path: Path) -> None:
    sheet(["1", AT, "a"])(path)
    whole = bytearray(path.read_bytes())
    for at in range(200, len(whole), 97):
        whole[at] ^= 0xFF
    path.write_bytes(whole)


def bomb(path: Path) -> None:
    sheet(["1", AT, "a"])(path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("xl/sharedStrings.xml", "w") as part:
        for _ in range(500):
            part.write(b" " * 1_000_000)


def epoch_1904(active: Any, book: Workbook) -> None:
    book.epoch = CALENDAR_MAC_1904
    active["B2"].number_format = "yyyy-mm-dd"


def dtd(parts: dict[str, bytes]) -> None:
    entities = b"".join(b'<!ENTITY e%d "%s">' % (i, b"&e%d;" % (i - 1) * 10) for i in range(1, 10))
    declared = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e0 "lol">' + entities + b"]>"
    parts[SHEET1] = declared + parts[SHEET1].replace(b"<t>a</t>", b"<t>&e9;</t>")


def external(parts: dict[str, bytes]) -> None:
    declared = b'<!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    parts[SHEET1] = declared + parts[SHEET1].replace(b"<t>a</t>", b"<t>&x;</t>")


def workbooks() -> list[Hostile]:
    zone = Mapping(timezone="UTC")
    at = dt.datetime(2025, 1, 28, 10)
    moved = ["2025-01-28 10:00:00+00:00"]
    return [
        Hostile("fine.xlsx", sheet(["1", AT, "a"]), PLAIN, journey=True),
        Hostile("real time.xlsx", sheet(["1", at, "a"]), PLAIN, times=moved, mapping=zone),
        Hostile("real time without zone.xlsx", sheet(["1", at, "a"]), error="names no time zone"),
        Hostile("epoch 1904.xlsx", sheet(["1", at, "a"], then=epoch_1904), PLAIN, times=moved, mapping=zone),
        Hostile("serial as time.xlsx", sheet(["1", 45685.5, "a"]), PLAIN, times=["45685.5"], mapping=zone),
        Hostile("number as id.xlsx", sheet([123, AT, "a"]), [["123", "a"]]),
        Hostile("zeros shown.xlsx", sheet([123, AT, "a"], formats={"A2": "00000"}), [["00123", "a"]]),
        Hostile("thousands shown.xlsx", sheet([1234, AT, "a"], formats={"A2": "#,##0"}), [["1234", "a"]],
                note="numbers shown as #,##0"),
        Hostile("17 digits.xlsx", sheet([12345678901234567, AT, "a"]), [["12345678901234570", "a"]],
                note="more than 15 digits"),
        Hostile("half an id.xlsx", sheet([0.25, AT, "a"]), [["0.25", "a"]]),
        Hostile("logical.xlsx", sheet(["1", AT, True]), [["1", "TRUE"]], note="logical values"),
        Hostile("date as name.xlsx", sheet(["1", AT, dt.date(2025, 3, 1)]), [["1", "2025-03-01"]], note="dates"),
        Hostile("duration.xlsx", sheet(["1", AT, dt.timedelta(hours=30)]), [["1", "P1DT6H0M0S"]], note="durations"),
        Hostile("formula.xlsx", sheet(["1", AT, "a"], then=lambda s, b: s.__setitem__("C2", "=A2")), [], broken=[2]),
        Hostile("excel error.xlsx", sheet(["1", AT, "a"], then=lambda s, b: _error(s["C2"])), [["1", "#N/A"]],
                note="the Excel error #N/A"),
        Hostile("error alone in its row.xlsx", sheet(["1", AT, "a"], ["", "", ""], then=lambda s, b: _error(s["A3"])),
                [["1", "a"], ["#N/A", ""]]),
        Hostile("merged.xlsx", sheet(["1", AT, "a"], ["2", AT, None], then=lambda s, b: s.merge_cells("C2:C3")),
                [["1", "a"], ["2", ""]], note="1 merged area"),
        Hostile("hidden.xlsx", sheet(["1", AT, "a"], then=lambda s, b: _hide(s, 2)), PLAIN, note="1 hidden row"),
        Hostile("blank rows.xlsx", sheet([], [], ["1", AT, "a"], []), PLAIN),
        Hostile("first sheet empty.xlsx", sheet(["1", AT, "a"], then=lambda s, b: b.create_sheet("Cover", 0)), PLAIN,
                note="sheet Sheet"),
        Hostile("no sheet with content.xlsx", lambda path: Workbook().save(path), error="no sheet with any content"),
        Hostile("sheet of another name.xlsx", sheet(["1", AT, "a"]), mapping=Mapping(sheet="Kunden"),
                error="no sheet 'Kunden'"),
        Hostile("hostile sheet name.xlsx", sheet(["1", AT, "a"], then=lambda s, b: setattr(s, "title", "<b>&'\"=1+1")),
                PLAIN, note="sheet <b>"),
        Hostile("5000 columns.xlsx", sheet(["1", AT, "a", *["x"] * 4997]), PLAIN),
        Hostile("far corner.xlsx", sheet(["1", AT, "a"], then=lambda s, b: s.__setitem__("XFD1048576", "x")),
                [*PLAIN, ["", ""]]),
        Hostile("beyond the corner.xlsx", patched(replaced(SHEET1, b'r="C2"', b'r="ZZZZ99999999"')), error="damaged"),
        Hostile("wrong dimension.xlsx", patched(replaced(SHEET1, b'ref="A1:C2"', b'ref="A1:A1"')), PLAIN),
        Hostile("huge dimension.xlsx", patched(replaced(SHEET1, b'ref="A1:C2"', b'ref="A1:XFD1048576"')), PLAIN),
        Hostile("zip bomb that no sheet uses.xlsx", bomb, PLAIN),
        Hostile("entity bomb.xlsx", patched(dtd), error="damaged"),
        Hostile("external entity.xlsx", patched(external), error="damaged"),
        Hostile("password.xlsx", encrypt, error="protected by a password"),
        Hostile("old but named new.xlsx", lambda path: _old_named_new(path), PLAIN),
        Hostile("new but named old.xls", sheet(["1", AT, "a"]), PLAIN),
        Hostile("workbook named text.csv", sheet(["1", AT, "a"]), PLAIN, note="a workbook, though its ending is .csv"),
        Hostile("text named workbook.xlsx", data(named("a").encode()), PLAIN, note="a text file, though"),
        Hostile("html named workbook.xls", data(b"<html><table></table></html>"), error="a web page or XML"),
        Hostile("xml of 2003.xls", data(b'<?xml version="1.0"?><Workbook></Workbook>'), error="a web page or XML"),
        Hostile("cut short.xlsx", cut(sheet(["1", AT, "a"]), 0.6), error="damaged"),
        Hostile("cut to its start.xlsx", cut(sheet(["1", AT, "a"]), 0.05), error="damaged"),
        Hostile("cut short.xls", cut(lambda path: xls(path, ["1", AT, "a"]), 0.5), error="damaged"),
        Hostile("bits flipped.xlsx", flipped, error="damaged"),
        Hostile("no sheet part.xlsx", patched(lambda parts: parts.pop(SHEET1) and None), error="damaged"),
        Hostile("no workbook part.xlsx", patched(lambda parts: parts.pop("xl/workbook.xml") and None),
                error="zip without a workbook"),
        Hostile("broken xml.xlsx", patched(replaced(SHEET1, b"</row>", b"</rov>")), error="damaged"),
        Hostile("broken styles.xlsx", patched(replaced("xl/styles.xml", b"<numFmts", b"<numFnts"), [123, AT, "a"]),
                [["123", "a"]]),
        Hostile("styles are no xml.xlsx", patched(lambda parts: parts.update({"xl/styles.xml": b"<<<"}), [123, AT, "a"]),
                error="damaged"),
        Hostile("office zip.xlsx", lambda path: zipfile.ZipFile(path, "w").writestr("word/document.xml", "<a/>"),
                error="zip without a workbook"),
        Hostile("fine.xls", lambda path: xls(path, ["00123", AT, "a"]), [["00123", "a"]],
                note="an .xls file: errors such as #N/A are read as empty cells"),
        Hostile("numbers.xls", lambda path: xls(path, [123, AT, "a"]), [["123", "a"]], note="whether it showed zeros"),
        Hostile("ole noise.xls", data(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + random.Random(5).randbytes(4000)),
                error="damaged"),
        Hostile("control escapes.xlsx", patched(replaced(SHEET1, b"<t>a</t>", b"<t>_x0041__x000D_</t>")),
                [["1", "A\r"]]),
        Hostile("rich text.xlsx", patched(replaced(SHEET1, b"<t>a</t>", b"<r><t>a</t></r><r><t>b</t></r>")),
                [["1", "ab"]]),
        Hostile("no references.xlsx", patched(_without_references), PLAIN),
    ]  # fmt: skip


def _error(cell: Any) -> None:
    cell.value, cell.data_type = "#N/A", "e"


def _hide(active: Any, row: int) -> None:
    active.row_dimensions[row].hidden = True


def _old_named_new(path: Path) -> None:
    old = path.with_suffix(".xls")
    xls(old, ["1", AT, "a"])
    old.replace(path)


def _without_references(parts: dict[str, bytes]) -> None:
    for at in ("A", "B", "C"):
        for row in ("1", "2"):
            parts[SHEET1] = parts[SHEET1].replace(f'<c r="{at}{row}"'.encode(), b"<c")


# --- workbooks that other programs write, or that are made to do harm

LITTLE = 384 << 20
"""The memory that the child has for these, so that the files need not be large."""
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
RELS = "http://schemas.openxmlformats.org/package/2006/relationships"


def xml_row(*cells: str, row: str = "") -> str:
    return f"<row{row}>" + "".join(f'<c t="inlineStr"><is><t>{cell}</t></is></c>' for cell in cells) + "</row>"


TOP, ONE = xml_row(*HEADER), xml_row("1", AT, "a")


def worksheet(*rows: str, after: str = "") -> str:
    return f'<worksheet xmlns="{MAIN}"><sheetData>{"".join(rows)}</sheetData>{after}</worksheet>'


def relations(*targets: str) -> str:
    """Relations rId1, rId2 …, each given as ``type target``."""
    each = (f'<Relationship Id="rId{i}" Type="{OFFICE}/{kind}" Target="{target}"/>'
            for i, (kind, target) in enumerate((t.split(" ", 1) for t in targets), start=1))  # fmt: skip
    return f'<Relationships xmlns="{RELS}">{"".join(each)}</Relationships>'


def listed(*sheets: str) -> str:
    """A workbook's part with sheets named S1, S2 …, each given as its attributes."""
    each = (f'<sheet name="S{i}" sheetId="{i}" r:id="rId{i}" {more}/>' for i, more in enumerate(sheets, start=1))
    return f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{"".join(each)}</sheets></workbook>'


def parts(changed: dict[str, Any], *, rename: Callable[[str], str] = str) -> Callable[[Path], None]:
    """A workbook of one sheet, part by part; a part is a text, bytes, or pieces of bytes that are written one by one."""
    whole = {
        "_rels/.rels": relations("officeDocument xl/workbook.xml"),
        "xl/workbook.xml": listed(""),
        "xl/_rels/workbook.xml.rels": relations(
            "worksheet worksheets/sheet1.xml", "worksheet worksheets/sheet2.xml", "xlMacrosheet macrosheets/m.xml",
            "sharedStrings sharedStrings.xml", "styles styles.xml"),
        SHEET1: worksheet(TOP, ONE),
    } | changed  # fmt: skip

    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name, content in whole.items():
                info = zipfile.ZipInfo("_")
                info.filename, info.compress_type = rename(name), zipfile.ZIP_DEFLATED
                pieces = [content.encode()] if isinstance(content, str) else content
                with archive.open(info, "w") as part:
                    part.writelines([pieces] if isinstance(pieces, bytes) else pieces)

    return write


def one_sheet(content: Any, **more: Any) -> Callable[[Path], None]:
    return parts({SHEET1: content}, **more)


def shared(strings: Any, *cells: str) -> Callable[[Path], None]:
    """A workbook whose third column is a shared string."""
    row = ONE.replace('<c t="inlineStr"><is><t>a</t></is></c>', '<c t="s"><v>0</v></c>')
    return parts({SHEET1: worksheet(TOP, row), "xl/sharedStrings.xml": strings})


def number_cell(value: str, form: str = "", epoch: str = "") -> Callable[[Path], None]:
    """A workbook whose third column is a number under a format."""
    row = ONE.replace('<c t="inlineStr"><is><t>a</t></is></c>', f'<c s="1"><v>{value}</v></c>')
    forms = (f'<styleSheet xmlns="{MAIN}"><numFmts><numFmt numFmtId="164" formatCode="{form}"/></numFmts>'
             '<cellXfs><xf numFmtId="0"/><xf numFmtId="164"/></cellXfs></styleSheet>')  # fmt: skip
    return parts({SHEET1: worksheet(TOP, row), "xl/styles.xml": forms})


def strings_of(item: str, before: str = "") -> str:
    return f'{before}<sst xmlns="{MAIN}"><si>{item}</si></sst>'


def pieces_of(start: str, piece: str, n: int, end: str) -> list[bytes]:
    return [start.encode(), *[piece.encode()] * n, end.encode()]


def open_document(*rows: str, styles: str = "", before: str = "", table: str = "") -> Callable[[Path], None]:
    """An .ods file whose rows below the header are given as XML."""
    spaces = " ".join(f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
                      for name in ("office", "table", "text", "style"))  # fmt: skip
    content = (
        f"<office:document-content {spaces}><office:automatic-styles>{styles}</office:automatic-styles><office:body>"
        f'<office:spreadsheet>{before}<table:table table:name="Kunden" {table}>{"".join([ods_row(*HEADER), *rows])}'
        "</table:table></office:spreadsheet></office:body></office:document-content>"
    )

    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
            archive.writestr("content.xml", content)

    return write


def ods_cell(inside: str, more: str = 'office:value-type="string"') -> str:
    return f"<table:table-cell {more}><text:p>{inside}</text:p></table:table-cell>"


def ods_row(*cells: str, more: str = "") -> str:
    inside = "".join(cell if cell.startswith("<table") else ods_cell(cell) for cell in cells)
    return f"<table:table-row {more}>{inside}</table:table-row>"


def xls_with(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        xls(path, ["1", AT, "Łódź"])
        path.write_bytes(change(path.read_bytes()))

    return write


def xls_bytes(old: bytes, new: bytes) -> Callable[[Path], None]:
    def change(whole: bytes) -> bytes:
        assert old in whole
        return whole.replace(old, new)

    return xls_with(change)


def zip_password(path: Path) -> None:
    one_sheet(worksheet(TOP, ONE))(path)
    whole = path.read_bytes()  # bit 0 of the flags of every entry in the directory
    at = -1
    while (at := whole.find(b"PK\x01\x02", at + 1)) >= 0:
        whole = whole[: at + 8] + bytes([whole[at + 8] | 1]) + whole[at + 9 :]
    path.write_bytes(whole)


def odd_workbooks() -> list[Hostile]:
    zone = Mapping(timezone="UTC")
    strict = {"http://schemas.openxmlformats.org/spreadsheetml/2006/main": "http://purl.oclc.org/ooxml/spreadsheetml/main",
              OFFICE: "http://purl.oclc.org/ooxml/officeDocument/relationships"}  # fmt: skip

    def in_strict_form(text: str) -> str:
        for loose, close in strict.items():
            text = text.replace(loose, close)
        return text

    prefixed = re.sub(r"<(/?)(\w)", r"<\1x:\2", worksheet(TOP, ONE)).replace("xmlns=", "xmlns:x=")
    iso_date = ONE.replace(f'<c t="inlineStr"><is><t>{AT}', '<c t="d"><v>2025-01-28T10:00:00').replace(
        "10:00:00</t></is>", "10:00:00</v>")  # fmt: skip
    macro = {"xl/workbook.xml": listed("").replace('name="S1"', 'name="Auto" sheetId="3"', 1).replace("rId1", "rId3", 1)
             .replace('sheetId="1"', ""), "xl/macrosheets/m.xml": worksheet(ONE)}  # fmt: skip
    both = macro["xl/workbook.xml"].replace("</sheets>", '<sheet name="S1" sheetId="1" r:id="rId1"/></sheets>')
    lol = "<!DOCTYPE x [<!ENTITY e0 'lol'>" + "".join(
        f"<!ENTITY e{i} '{f'&e{i - 1};' * 10}'>" for i in range(1, 10)) + "]>"  # fmt: skip
    big = "x" * 1_000_000
    wide = ods_row(ods_cell("x", 'office:value-type="string" table:number-columns-repeated="16384"'),
                   more='table:number-rows-repeated="1000000"')  # fmt: skip
    two = {"xl/workbook.xml": listed("", ""), "xl/worksheets/sheet2.xml": worksheet(TOP, ONE)}
    return [
        # what Excel and LibreOffice open
        Hostile("parts stated one by one.xlsx", parts({}), PLAIN),
        Hostile("strict.xlsx", parts({
            "_rels/.rels": in_strict_form(relations("officeDocument xl/workbook.xml")), "xl/workbook.xml": in_strict_form(listed("")),
            "xl/_rels/workbook.xml.rels": in_strict_form(relations("worksheet worksheets/sheet1.xml")),
            SHEET1: in_strict_form(worksheet(TOP, ONE))}), PLAIN),
        Hostile("iso dates.xlsx", one_sheet(worksheet(TOP, iso_date)), PLAIN, times=["2025-01-28 10:00:00+00:00"], mapping=zone),
        Hostile("prefixed.xlsx", one_sheet(prefixed), PLAIN),
        Hostile("utf-16.xlsx", one_sheet(worksheet(TOP, ONE).encode("utf-16")), PLAIN),
        Hostile("upper case.xlsx", parts({}, rename=str.upper), PLAIN),
        Hostile("backslashes.xlsx", parts({}, rename=lambda name: name.replace("/", "\\")), PLAIN),
        Hostile("no root relations.xlsx", parts({"_rels/.rels": relations()}), PLAIN),
        Hostile("part with a space.xlsx", parts({SHEET1: "", "xl/my sheet.xml": worksheet(TOP, ONE),
            "xl/_rels/workbook.xml.rels": relations("worksheet my%20sheet.xml")}), PLAIN),
        Hostile("dots in a target.xlsx", parts({
            "xl/_rels/workbook.xml.rels": relations("worksheet ./x/..\\worksheets/sheet1.xml")}), PLAIN),
        Hostile("workbook of another name.xlsx", parts({"xl/workbook.xml": "", "book/b.xml": listed(""),
            "_rels/.rels": relations("officeDocument /book/b.xml"),
            "book/_rels/b.xml.rels": relations("worksheet ../xl/worksheets/sheet1.xml")}), PLAIN),
        Hostile("pronounced.xlsx", shared(strings_of("<t>東京</t><rPh><t>トウキョウ</t></rPh>")), [["1", "東京"]]),
        Hostile("half a pair.xlsx", shared(strings_of("<t>a_xD83D_b</t>")), [["1", "a\ufffdb"]]),
        Hostile("pretty.xlsx", one_sheet(worksheet(TOP, ONE).replace("<", "\n  <").replace("\n  </t", "</t")), PLAIN),
        Hostile("no style part.xlsx", one_sheet(worksheet(TOP, ONE.replace("<c ", '<c s="7" '))), PLAIN),
        Hostile("accounting.xlsx", number_cell("1234.5", "_-* #,##0.00 &quot;DM&quot;"), [["1", "1234.5"]], note="numbers shown as"),
        Hostile("date beyond 9999.xlsx", number_cell("3000000", "yyyy"), [["1", "3000000"]], note="numbers shown as yyyy"),
        Hostile("not a number.xlsx", number_cell("1_000", "0"), [["1", "1_000"]]),
        Hostile("endless.xlsx", number_cell("1e999", "yyyy"), [["1", "1e999"]]),
        Hostile("a million digits.xlsx", number_cell("9" * 1_000_000, "0000"), [["1", "9" * 1_000_000]]),
        Hostile("macro sheet.xlsm", parts(macro | {"xl/workbook.xml": both}), PLAIN, note="sheet Auto is a macro sheet"),
        Hostile("macro sheet alone.xlsm", parts(macro), error=r"no sheet with any content; Auto is a macro sheet \(Excel 4\)"),
        Hostile("hidden alone.xlsx", parts({"xl/workbook.xml": listed('state="veryHidden"')}), error="only hidden sheets"),
        Hostile("binary.xlsx", parts({"_rels/.rels": relations("officeDocument xl/workbook.bin"), "xl/workbook.bin": b"\x83\x01"}),
                error=r"binary workbook \(\.xlsb\).*save it as \.xlsx"),
        Hostile("two alike.xlsx", parts(two), PLAIN, note="sheet S2 with 2 rows was not read"),
        Hostile("zip password.xlsx", zip_password, error="protected by a password"),
        Hostile("code page 1250.xls", xls_bytes(b"\x42\x00\x02\x00\xb0\x04", b"\x42\x00\x02\x00\xe2\x04"), [["1", "Łódź"]]),
        Hostile("zeros.ods", open_document(ods_row(ods_cell("00123", 'office:value-type="float" office:value="123"'), AT, "a")),
                [["00123", "a"]]),
        Hostile("thousands.ods", open_document(ods_row(ods_cell("1,234", 'office:value-type="float" office:value="1234"'), AT, "a")),
                [["1234", "a"]], note="numbers shown in another form"),
        Hostile("comments and spaces.ods", open_document(ods_row("1", AT,
            "<table:table-cell office:value-type='string'><office:annotation><text:p>no</text:p></office:annotation>"
            "<text:p>a<text:s text:c='2'/><text:span>b</text:span></text:p><text:p>c</text:p></table:table-cell>")),
            [["1", "a  b\nc"]]),
        Hostile("filtered.ods", open_document(ods_row("1", AT, "a", more='table:visibility="filter"')), PLAIN, note="1 hidden row"),
        Hostile("hidden sheet.ods", open_document(ods_row("1", AT, "a"), table='table:style-name="ta1"',
            styles='<style:style style:name="ta1" style:family="table"><style:table-properties table:display="false"/></style:style>'),
            error="only hidden sheets"),
        Hostile("copied sheet.ods", open_document(ods_row("1", AT, "a"),
            before=f'<table:table table:name="x"><table:table-source/>{ods_row("9", AT, "old")}</table:table>'), PLAIN),
        Hostile("no result.ods", open_document(ods_row("1", AT, '<table:table-cell table:formula="of:=1"/>')), [], broken=[2]),
        # what is made to do harm
        Hostile("space in a reference.xlsx", one_sheet(worksheet(TOP, ONE, '<row><c r ="XFD1048576"><v>1</v></c></row>')),
                [*PLAIN, ["", ""]]),
        Hostile("row zero.xlsx", one_sheet(worksheet(TOP, ONE, xml_row("2", AT, row=' r="0"'))), error="damaged"),
        Hostile("row beyond.xlsx", one_sheet(worksheet(TOP, xml_row("2", AT, row=f' r="{"9" * 30}"'))), error="damaged"),
        Hostile("column beyond.xlsx", one_sheet(worksheet(TOP, '<row><c r="XFE2"><v>1</v></c></row>')), error="damaged"),
        Hostile("no such string.xlsx", shared(f'<sst xmlns="{MAIN}"/>'), error="damaged"),
        Hostile("cells that never end.xlsx", one_sheet(worksheet(TOP, "<c " * 200_000)), error="damaged"),
        Hostile("references without end.xlsx", one_sheet(worksheet(TOP, f'<row><c r="{"A" * 100_000}"/></row>', ONE)), error="damaged"),
        Hostile("merged everywhere.xlsx", one_sheet(worksheet(TOP, ONE, after="<mergeCells>"
            + '<mergeCell ref="A1:XFD1048576"/>' * 20_000 + "</mergeCells>")), PLAIN, note="20,000 merged areas"),
        Hostile("entities in strings.xlsx", shared(strings_of("<t>&e9;</t>", lol)), error="damaged"),
        Hostile("file in strings.xlsx", shared(strings_of("<t>&x;</t>", '<!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/passwd">]>')),
                error="damaged"),
        Hostile("entity in a sheet.xlsx", one_sheet('<!DOCTYPE x [<!ENTITY x "a">]>' + worksheet(TOP, ONE)), [["1", "a"]]),
        Hostile("strings of gigabytes.xlsx", shared(pieces_of(f'<sst xmlns="{MAIN}"><si>', f"<t>{big}</t>", 240, "</si></sst>")),
                error="needs more than 0.375 GB"),
        Hostile("cell of gigabytes.xlsx", one_sheet(pieces_of(f'<worksheet xmlns="{MAIN}"><sheetData>{TOP}<row><c t="inlineStr"><is>',
            f"<t>{big}</t>", 240, "</is></c></row></sheetData></worksheet>")), error="needs more than 0.375 GB"),
        Hostile("gigabytes of another name.xlsx", parts({
            "xl/_rels/workbook.xml.rels": relations("worksheet x/y.bin"),
            "xl/x/y.bin": pieces_of("<x>", big, 160, "</x>")}), error="no sheet with any content"),
        Hostile("deep.xlsx", shared(strings_of("<r>" * 300_000 + "</r>" * 300_000)), [["1", ""]]),
        Hostile("repeated.ods", open_document(ods_row("1", AT, "a"), wide), error="more than 20,000,000 filled cells"),
        Hostile("spaces.ods", open_document(ods_row("1", AT, ods_cell('<text:s text:c="999999999999"/>'))), error="damaged"),
        Hostile("back to the left.ods", open_document(
            ods_row(ods_cell("1", 'table:number-columns-repeated="-9"'), ods_cell("1"))), error="damaged"),
        Hostile("far row.xls", xls_bytes(b"\xfd\x00\x0a\x00\x01\x00\x00\x00", b"\xfd\x00\x0a\x00\xff\xff\xff\xff"), error="damaged"),
        Hostile("damaged.xls", data((CASES / "hostile" / "crash_2.xls").read_bytes()), error="damaged"),
    ]  # fmt: skip


# --- JSON and Parquet


def typed() -> list[Hostile]:
    record = {"customer_id": "1", "updated_at": AT, "customer_name": "a"}
    line = json.dumps(record)

    def parquet(**columns: Any) -> Callable[[Path], None]:
        values = {"customer_id": ["1"], "updated_at": [AT], "customer_name": ["a"], **columns}
        return lambda path: pq.write_table(pa.table(values), path)

    return [
        Hostile("fine.json", data(f"[{line}]".encode()), PLAIN),
        Hostile("body.json", data(json.dumps({"solutionName": "x", "data": [record]}).encode()), PLAIN),
        Hostile("bom.json", data(codecs.BOM_UTF8 + f"[{line}]".encode()), PLAIN),
        Hostile("utf-16.json", data(f"[{line}]".encode("utf-16")), PLAIN),
        Hostile("cut.json", data(f"[{line}".encode()), error="not JSON from line"),
        Hostile("rest.json", data(f"[{line}] x".encode()), error="not JSON from line"),
        Hostile("deep.json", data(b"[" * 200_000), error="not JSON"),
        Hostile("deep object.json", data(b'{"a":' * 200_000), error="not JSON"),
        Hostile("deep cell.json", data(b'[{"customer_id":' + b"[" * 100_000 + b"]" * 100_000 + b"}]"), error="not JSON"),
        Hostile("a number.json", data(b"42"), error="contains no records"),
        Hostile("an object.json", data(line.encode()), error="contains no records"),
        Hostile("no records.json", data(b"[]"), error="no header"),
        Hostile("lines.json", data(f"{line}\n{line}".encode()), PLAIN * 2, note="objects one after the other"),
        Hostile("lines cut.json", data(f"{line}\n{line[:-1]}".encode()), error=r"ending \.jsonl"),
        Hostile("over lines.jsonl", data(f"{json.dumps(record, indent=2)}\n".encode() * 2), PLAIN * 2),
        Hostile("array.jsonl", data(f"[{line},\n{line}]".encode()), PLAIN * 2, note="an array"),
        Hostile("object.jsonl", data(line.encode("utf-8-sig")), PLAIN),
        Hostile("not objects.jsonl", data(b"[1]\n[2]\n3\n"), error="contains no records"),
        Hostile("brackets.jsonl", data(b"[\n" * 100_000), error="not JSON from line"),
        Hostile("big number.json", data(f'[{{"customer_id": {"9" * 5000}, "updated_at": "{AT}"}}]'.encode()),
                [["9" * 5000, ""]]),
        Hostile("floats.json", data(f'[{{"customer_id": 1.50, "updated_at": "{AT}", "customer_name": 1e999}}]'.encode()),
                [["1.50", "1e999"]]),
        Hostile("nan.json", data(f'[{{"customer_id": NaN, "updated_at": "{AT}"}}]'.encode()), error="contains NaN"),
        Hostile("surrogate.json", data(f'[{{"customer_id": "1", "updated_at": "{AT}", "customer_name": "\\ud800"}}]'.encode()),
                [], broken=[1]),
        Hostile("nul.json", data(f'[{{"customer_id": "1", "updated_at": "{AT}", "customer_name": "a\\u0000b"}}]'.encode()),
                [["1", "a\0b"]]),
        Hostile("nested.json", data(json.dumps([{**record, "customer_name": {"x": 1}}, record]).encode()), PLAIN,
                broken=[1]),
        Hostile("30000 members.json", data(json.dumps([{f"k{i}": i for i in range(30_000)}]).encode()),
                error="no header"),
        Hostile("late member.json", data(json.dumps([{"customer_id": "0", "updated_at": AT}, record]).encode()),
                [["0", ""], ["1", "a"]]),
        Hostile("mixed.jsonl", data(f"{line}\n\nnot json\n[1]\n{line}\n".encode()), PLAIN * 2, broken=[3, 4]),
        Hostile("returns.jsonl", data(f"{line}\r\n{line}\r\n".encode()), PLAIN * 2),
        Hostile("fine.parquet", parquet(), PLAIN),
        Hostile("numbers.parquet", parquet(customer_id=[7]), [["7", "a"]]),
        Hostile("floats.parquet", parquet(customer_id=[1e20]), [["100000000000000000000", "a"]]),
        Hostile("list cell.parquet", parquet(customer_name=[["a"]]), error="customer_name contains list"),
        Hostile("binary cell.parquet", parquet(customer_name=[b"\xff"]), error="not UTF-8 in row 1"),
        Hostile("binary id.parquet", parquet(customer_id=[b"00123"]), [["00123", "a"]]),
        Hostile("large binary id.parquet", parquet(customer_id=pa.array([b"7"], pa.large_binary())), [["7", "a"]]),
        Hostile("fixed binary id.parquet", parquet(customer_id=pa.array([b"007"], pa.binary(3))), [["007", "a"]]),
        Hostile("uuid bytes.parquet", parquet(customer_id=pa.array([bytes(range(240, 256))], pa.binary(16))),
                error="customer_id contains bytes that are not UTF-8 in row 1"),
        Hostile("uuid.parquet", parquet(customer_id=pa.array([bytes(range(16))], pa.uuid())),
                [["00010203-0405-0607-0809-0a0b0c0d0e0f", "a"]]),
        Hostile("invalid text.parquet", parquet(customer_id=pa.array([b"\xff"]).view(pa.string())),
                error="customer_id contains bytes that are not UTF-8 in row 1"),
        Hostile("float32.parquet", parquet(customer_name=pa.array([0.1], pa.float32())), [["1", "0.1"]]),
        Hostile("float16.parquet", parquet(customer_name=pa.array([0.1], pa.float16())), [["1", "0.1"]]),
        Hostile("large float32.parquet", parquet(customer_id=pa.array([123456792.0], pa.float32())),
                [["123456792", "a"]]),
        Hostile("zero decimal.parquet", parquet(customer_name=pa.array([0], pa.decimal128(12, 8))),
                [["1", "0.00000000"]]),
        Hostile("small decimal.parquet", parquet(customer_name=pa.array([Decimal("1E-9")], pa.decimal256(40, 9))),
                [["1", "0.000000001"]]),
        Hostile("nan.parquet", parquet(customer_name=[float("nan")]), [["1", ""]]),
        Hostile("bool.parquet", parquet(customer_name=[True]), [["1", "TRUE"]]),
        Hostile("far date.parquet", parquet(customer_name=pa.array([3_000_000], pa.date32())), [["1", "10183-09-21"]]),
        Hostile("clock.parquet", parquet(customer_name=pa.array([36_000_000_000_001], pa.time64("ns"))),
                [["1", "10:00:00.000000001"]]),
        Hostile("duration.parquet", parquet(customer_name=pa.array([90], pa.duration("s"))), [["1", "P0DT0H1M30S"]]),
        Hostile("null column.parquet", parquet(customer_name=pa.nulls(1)), [["1", ""]]),
        Hostile("categories.parquet", parquet(customer_name=pa.array([b"a"]).dictionary_encode()), PLAIN),
        Hostile("struct cell.parquet", parquet(customer_name=[{"a": 1}]), error="customer_name contains struct"),
        Hostile("map cell.parquet", parquet(customer_name=pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int8()))),
                error="customer_name contains map"),
        Hostile("unmapped list.parquet", parquet(tags=[["a"]]), PLAIN, note="columns left out: tags"),
        Hostile("pattern [a]*?.parquet", parquet(), PLAIN),
        Hostile("nanoseconds.parquet", parquet(updated_at=pa.array([1738058400123456789], pa.timestamp("ns", "UTC"))),
                PLAIN, times=["2025-01-28T10:00:00.123456789Z"]),
        Hostile("other zone.parquet", parquet(updated_at=pa.array([1738058400], pa.timestamp("s", "America/New_York"))),
                PLAIN, times=["2025-01-28 10:00:00+00:00"]),
        Hostile("naive.parquet", parquet(updated_at=pa.array([1738058400], pa.timestamp("s"))),
                error="names no time zone, first in row 1"),
        Hostile("cut.parquet", cut(parquet(), 0.5), error="damaged"),
        Hostile("text.parquet", data(b"customer_id\n1\n"), error="damaged, or not a Parquet file"),
    ]  # fmt: skip


# --- text that reads, but not as it was meant


def odd_texts() -> list[Hostile]:
    head = ";".join(HEADER)
    lodz, moscow, wien = "Łódź Świat", "ООО Ромашка", "Müller & Söhne Größe"
    cities = ["Dvořák a syn", "Kovač", "Nováček"]

    def lines(*rows: str, end: str = "\n", delimiter: str = ";") -> bytes:
        return (end.join([head, *rows]) + end).replace(";", delimiter).encode()

    def encoded(encoding: str, *names: str) -> Callable[[Path], None]:
        return data("\n".join([head, *(f"{n};{AT};{name}" for n, name in enumerate(names, start=1))]).encode(encoding))

    def read_as(encoding: str, *names: str) -> list[Row]:
        return [[str(n), name.encode(encoding).decode("cp1252")] for n, name in enumerate(names, start=1)]

    found = [
        Hostile(
            f"{encoding} {n}.csv",
            encoded(encoding, *names),
            read_as(encoding, *names),
            note="cp1252, assumed",
            warning=f"{proposed}.*→ {names[0]}",
        )
        for n, (encoding, proposed, names) in enumerate(
            [
                ("cp1250", "cp1250", [lodz, *cities]),
                ("iso-8859-2", "iso-8859-2", ["Wiśniewski", "Kraków Żabka", "Świat Śląsk"]),
                ("cp1251", "cp1251", [moscow]),
                ("cp1253", "cp1253", ["Παπαδόπουλος ΑΕ", "Αθήνα"]),
                ("cp1254", "cp1254", ["Yıldız", "Şahin", "Doğuş", "Beşiktaş"]),
                ("mac_roman", "mac_roman", [wien]),
                ("gbk", "gbk", ["上海贸易有限公司", "张伟"]),
                ("cp950", "cp950", ["台灣電子", "王小明"]),
                ("cp949", "cp949", ["삼성전자", "김철수"]),
                ("iso-8859-15", "iso-8859-15", ["Škoda Žižka", "Œuvre", "Cœur"]),
            ]
        )
    ]
    found += [
        Hostile("cp1252 of all the West.csv", encoded("cp1252", wien, "François Lefèvre", "São João", "Søren Ærø", "Peña", "Þór", "Åkerström"), read_as("cp1252", wien, "François Lefèvre", "São João", "Søren Ærø", "Peña", "Þór", "Åkerström")),
        Hostile("one odd letter.csv", encoded("cp1252", "Müller", "Pawe³czyk", "Weiß"), read_as("cp1252", "Müller", "Pawe³czyk", "Weiß")),
        Hostile("cp1250 stated.csv", encoded("cp1250", lodz, *cities), [[str(n), name] for n, name in enumerate([lodz, *cities], start=1)], mapping=Mapping(encoding="cp1250")),
        Hostile("cp1250 not cp1252.csv", encoded("cp1250", "Ťažká", "Kováč a syn"), error='read as words in cp1250.*encoding = "cp1250"'),
        Hostile("cp932.csv", encoded("cp932", "㈱東京商事", "山田太郎テレビ"), error='read as words in cp932 \\(Shift-JIS\\)'),
        Hostile("utf-8 with a damaged byte.csv", data("\n".join([head, f"1;{AT};Größe", f"2;{AT};Søn", f"3;{AT};Müller", f"4;{AT};"]).encode() + b"\xff\n"), [*read_as("utf-8", "Größe", "Søn", "Müller"), ["4", "ÿ"]], warning='encoding = "utf-8"'),
        Hostile("koi8-r.csv", encoded("koi8-r", "Иванов", "Ромашка"), read_as("koi8-r", "Иванов", "Ромашка")),
        Hostile("cp1250.jsonl", data("".join(json.dumps({"customer_id": "1", "updated_at": AT, "customer_name": name}, ensure_ascii=False) + "\n" for name in cities).encode("cp1250")), [["1", name.encode("cp1250").decode("cp1252")] for name in cities], warning='"cp1250"'),
        Hostile("cp1250.csv.gz", data(gzip.compress("\n".join([head, *(f"1;{AT};{name}" for name in cities)]).encode("cp1250"))), [["1", name.encode("cp1250").decode("cp1252")] for name in cities], warning="Dvořák"),
        Hostile("escape in a name.csv", encoded("cp1250", "Dvořák\x1b[2J", "<script>Kovář", "Jiří"), read_as("cp1250", "Dvořák\x1b[2J", "<script>Kovář", "Jiří"), warning="→ Dvořák·"),
        Hostile("swallowed.csv", data(lines(f'1;"{AT}', f'2;{AT};b', f'3;{AT}";c', f'4;{AT};d')), [["4", "d"]], broken=[2]),
        Hostile("swallowed.tsv", data(lines(f'1;{AT};"a', f'2;{AT};b"', f'3;{AT};c', end="\r\n", delimiter="\t")), [["3", "c"]], broken=[2]),
        Hostile("swallowed to the end.csv", data(lines(f'1;{AT};"a', f'2;{AT};b', f'3;{AT};c"')), [], broken=[2]),
        Hostile("address.csv", data(lines(f'1;{AT};"Weg 1, Hof 2\n10115 Berlin, Germany"', delimiter=";")), [["1", "Weg 1, Hof 2\n10115 Berlin, Germany"]]),
        Hostile("address with commas.csv", data(f'{",".join(HEADER)}\n1,{AT},"Weg 1, Hof 2,\n10115 Berlin, Germany"\n'.encode()), [["1", "Weg 1, Hof 2,\n10115 Berlin, Germany"]]),
        Hostile("lone return.csv", data(lines(f"1;{AT};a\rb", f"2;{AT};\rc\r\r")), [["1", "a\rb"], ["2", "\rc\r"]]),
        Hostile("lone return crlf.tsv", data(lines(f"1;{AT};a\rb", f'2;{AT};"c\rd"', end="\r\n", delimiter="\t")), [["1", "a\rb"], ["2", "c\rd"]]),
        Hostile("lone return in a ragged line.csv", data(lines(f"1;{AT};a\rb;c", f"2;{AT};d")), [["2", "d"]], broken=[2]),
        Hostile("noncharacters beside a return.csv", data(lines(f"1;{AT};\ufdd0\r\ufdd1")), [["1", "\ufdd0\r\ufdd1"]]),
        Hostile("mac with line breaks.csv", data(lines(f'1;{AT};"a\nb\nc"', f"2;{AT};d", end="\r")), [["1", "a\nb\nc"], ["2", "d"]]),
        Hostile("ragged decimal commas.csv", data(lines(*(f"{n};{AT};1,5" for n in range(9)), "9;1,5", "10;a;b;1,5")), [[str(n), "1,5"] for n in range(9)], note="';', detected", broken=[11, 12]),
        Hostile("spaced.csv", data(lines(f'1;{AT};"a; b"', f"2;{AT};c", delimiter="; ").replace(b"a;  b", b"a; b")), [["1", "a; b"], ["2", "c"]], note="a space after each delimiter"),
        Hostile("spaced tabs.tsv", data(lines(f'1;{AT};"a"', f"2;{AT};c", delimiter="\t ")), [["1", "a"], ["2", "c"]], note="a space after each delimiter"),
        Hostile("space before the quote.csv", data(lines(f'1;{AT}; "a;b"', f'2;{AT}; "c"')), [["1", "a;b"], ["2", "c"]], note="a space after each delimiter"),
        Hostile("space before the delimiter.csv", data(lines(f'1;{AT};a', f'2;{AT};"b" ')), [["1", "a"]], broken=[3]),
        Hostile("sep line of a caret.csv", data(b"sep=^\r\n" + lines(f"1;{AT};a", delimiter="^")), PLAIN, note="stated in the first line"),
        Hostile("sep line of nothing.csv", data(b"sep=\n" + lines(f"1;{AT};a")), PLAIN, note="header in row 2"),
        Hostile("backslash quotes.csv", data(lines(f'1;{AT};"a \\"b\\" c"', f"2;{AT};d")), [["2", "d"]], broken=[2]),
        Hostile("delimiter at each end.csv", data((head + ";\n" + f"1;{AT};a;\n2;{AT};b;\n").encode()), [["1", "a"], ["2", "b"]]),
        Hostile("line break in the header.csv", data(f'customer_id;updated_at;customer_name;"no\nte"\n1;{AT};a;b\n'.encode()), PLAIN),
        Hostile("a million spaces.csv", data(lines(f"1;{AT};a" + ";".join([" " * 1_000_000] * 2), f"2;{AT};b")), [["2", "b"]], broken=[2]),
    ]  # fmt: skip
    return found


FAMILIES: dict[str, Callable[[], list[Hostile]]] = {
    "cells": cells,
    "sheet_cells": sheet_cells,
    "texts": texts,
    "times": times,
    "odd_texts": odd_texts,
    "packed": packed,
    "workbooks": workbooks,
    "odd_workbooks": odd_workbooks,
    "typed": typed,
}


def outcome(hostile: Hostile, path: Path) -> dict[str, Any]:
    """Read one file as an analyst would; in a journey, look at its pages too."""
    try:
        delivery = read_customers(path, mapping=hostile.mapping)
    except ToolkitError as error:
        return {"error": type(error).__name__, "message": str(error)}
    frame = delivery.frame
    found: dict[str, Any] = {
        "rows": frame[["customer_id", "customer_name"]].fillna("").to_numpy().tolist(),
        "times": frame["updated_at"].map(str).tolist(),
        "more": frame[list(hostile.more)].iloc[0].to_dict() if hostile.more else {},
        "broken": delivery.broken.index.tolist(),
        "notes": list(delivery.notes),
        "warnings": list(delivery.warnings),
    }
    if hostile.journey:
        report = validate(delivery, now=pd.Timestamp("2026-11-25", tz="UTC"))
        results = {"delivery": delivery, "profile": profile(delivery), "report": report}
        found["pages"] = {
            name: result.to_html(path.with_suffix(f".{name}.html")).read_text(encoding="utf-8")
            for name, result in results.items()
        }
    return found


def main(family: str, folder: Path) -> None:
    n_bytes, n_seconds = MAX_ADDRESS_SPACE, MAX_PROCESSOR_S
    if family == "odd_workbooks":
        n_bytes, n_seconds, opening.MAX_BYTES = 4_000_000_000, 20, LITTLE
    resource.setrlimit(resource.RLIMIT_AS, (n_bytes, n_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (n_seconds, n_seconds))
    for hostile in FAMILIES[family]():
        path = folder / hostile.name
        hostile.write(path)
        try:
            found = outcome(hostile, path)
        except BaseException as error:  # whatever it is, the test is to say so
            found = {"traceback": repr(error)[:500]}
        # VmHWM, for ru_maxrss of a child begins with what its parent had.
        rss = 1024 * int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
        print(json.dumps({"name": hostile.name, "rss": rss, **found}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
