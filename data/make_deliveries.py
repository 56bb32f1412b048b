"""The synthetic deliveries in ``data/``, and customer tables as large as a benchmark wants them.

Every company is invented. ``python -m data.make_deliveries [FOLDER]`` writes the deliveries into FOLDER, by default
this one. It writes the same bytes each time, since nothing depends on the present time. The faults in the deliveries
are there on purpose, and ``data/README.md`` lists them.
"""

from __future__ import annotations

import io
import re
import sys
import zipfile
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from unicodedata import normalize

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from openpyxl import Workbook
from pyarrow.csv import WriteOptions, write_csv

from toolkit.engine import to_frame
from toolkit.errors import InputError
from toolkit.model import CUSTOMER

FIRST, SECOND = "2026-09-01_customers.csv", "2026-10-01_customers.xlsx"
QUOTES, SALES, MERCHANTS = "2026-10-01_quotes.csv", "2026-10-01_sales.csv", "2026-10-01_merchants.csv"

_STEMS = """Ahornried Birkentau Brückfeld Castellór Dünenhof Eschwalde Fjordalen Göllstein Haselbrück Île-Verte
Jürgshagen Lärchenau Montcalvé Möwensund Østerglen Quellgrün Sölvang Weißdorn Ångby Übersloh""".split()  # noqa: SIM905 - compact
_TRADES = """Antriebe Baustoffe Catering Dichtungen Elektro Fördertechnik Gerüstbau Hygiene Isolierung Keramik
Laborbedarf Möbel Papier Präzision Pumpen Schrauben Textil Verpackung Werkzeuge Zerspanung""".split()  # noqa: SIM905 - compact
_FORMS = ("GmbH", "GmbH", "GmbH & Co. KG", "AG", "KG", "B.V.", "S.r.l.", "SAS", "A/S", "AB")
_TOWNS = ("Ahlensund", "Bad Lärchen", "Grünholm", "Königsmoor", "Neu Ostrau", "Port-Valdoré", "Wörthingen")
_GROUPS = {
    "Industrie": ("Maschinenbau", "Lebensmittel", "Chemie"),
    "Großhandel": ("Technik", "Bau", "Gastronomie"),
    "Fachhandel": ("Eisenwaren", "Büro"),
    "Handwerk": ("Sanitär", "Elektro", "Ausbau"),
    "Öffentliche Hand": ("Kommune", "Klinik"),
}
_PRIVATE, _PUBLIC, _PUBLIC_RENAMED = tuple(_GROUPS)[:4], "Öffentliche Hand", "Öffentlicher Sektor"
_PRICE_LISTS = ("PL-STD-001", "PL-STD-002", "PL-ENT-001", "PL-ENT-004", "PL-KEY-007")

_ERP_HEADER = "Kundennummer;Firmenname;Ort;Kundengruppe;Branche;Preisliste;Geändert am;Sachbearbeiter;Herkunft"
_SHEET_TITLE = ("Customer master data, all segments", "As of 1 October 2026, times as the clocks in Berlin show them")
_SHEET_HEADER = ("Customer No.", "Name", "City", "Segment", "Industry", "Price List", "Last Change", "Origin")
_QUOTE_HEADER = "quote_id,product_id,customer_id,merchant_id,quoted_at,decided_at,quote_status,price_list_id"
_SALE_HEADER = "sale_id,product_id,customer_id,merchant_id,quote_id,sold_at,quantity,selling_price"
_MERCHANTS = """merchant_id,updated_at,merchant_name,merchant_category,merchant_subcategory
M-01,2023-01-02T08:00:00Z,Lager Nord,Lager,Nord
M-02,2023-01-02T08:00:00Z,Lager Süd,Lager,Süd
M-03,2023-01-02T08:00:00Z,Büro Ost,Vertrieb,Ost
M-04,2024-03-01T08:00:00Z,Büro West,Vertrieb,West
M-05,2025-06-01T08:00:00Z,Webshop,Online,Webshop
"""
_MONTH, _AS_OF = datetime(2026, 9, 1), datetime(2026, 10, 1)

# How many customers have each fault or change; data/README.md describes each.
_PARTS = {"repeated": 4, "conflicting": 3, "bad_time": 1, "no_id": 1, "ragged": 1, "spaced": 9, "nameless": 2}
_PARTS |= {"branchless": 5, "numeric": 6, "touched": 5, "restated": 2, "backdated": 1}

_Customer = dict[str, Any]  # in the order of the ERP's columns; "changed" is naive, as clocks in Berlin showed it
_Parts = dict[str, list[int]]  # part to the places of its customers


def write_deliveries(folder: str | Path, *, n_customers: int = 400, seed: int = 2026) -> list[Path]:
    """Write two customer deliveries, and the quotes, sales and merchants around them; returns the five paths.

    `folder` is created if it does not exist; files of the same names are replaced. `n_customers` is the number of
    customers in the first delivery.

    Raises
    ------
    InputError
        If `n_customers` is not from 200 to 2,000.
    """
    if not 200 <= n_customers <= 2_000:
        raise InputError(f"n_customers is {n_customers:,}: give 200 to 2,000, or use customer_table for more.")
    rng = Random(seed)  # noqa: S311 - invented companies need no secret randomness
    n_new = round(n_customers * 0.03)
    customers = _invent(rng, n_customers - 1 + n_new)
    customers, new = customers[:-n_new], [c | {"changed": _clock(rng)} for c in customers[-n_new:]]
    parts = _cast(rng, customers)
    unread = {i for part in ("conflicting", "bad_time", "no_id", "ragged") for i in parts[part]}
    quotes, sales = _refer(rng, [c for i, c in enumerate(customers) if i not in unread] + new, n_customers * 3 // 4)
    one = customers[parts["twin"][0]]
    customers.append(one | {"id": one["id"].lstrip("0"), "changed": one["changed"] + timedelta(days=3)})

    contents = {FIRST: _lines(_ERP_HEADER, _first(rng, customers, parts), ";").encode("cp1252")}
    contents[SECOND] = _workbook([*_second(rng, customers, parts), *(_sheet_row(c) for c in new)])
    contents[QUOTES], contents[SALES] = _lines(_QUOTE_HEADER, quotes).encode(), _lines(_SALE_HEADER, sales).encode()
    contents[MERCHANTS] = _MERCHANTS.encode()
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (Path(folder) / name).write_bytes(content)
    return [Path(folder) / name for name in contents]


def customer_table(n: int, *, seed: int = 0, changed: float = 0.0) -> pd.DataFrame:
    """Make a frame of `n` customers, one row each, with the contract's columns; a million take about a second.

    The same `n` and `seed` give the same customers. `changed` is the share (0 to 1) of the customers that get another
    price list and a later ``updated_at``. The other rows are those of ``changed=0``, so the frame is the next delivery
    of the same customers. About 2 % of the subcategories are null.

    Examples
    --------
    >>> before, after = customer_table(1_000), customer_table(1_000, changed=0.01)
    >>> int((before["updated_at"] < after["updated_at"]).sum())
    10
    """
    return to_frame(_arrow_customers(n, seed=seed, changed=changed))


def write_large_csv(path: str | Path, n_rows: int, *, seed: int = 0) -> Path:
    """Write the rows of `customer_table` as UTF-8 CSV with the schema's column names; two million rows are 200 MB."""
    table = _arrow_customers(n_rows, seed=seed, changed=0.0)
    # Without the zone first: formatting a zoned time would look for a time zone database on the machine.
    naive = table["updated_at"].cast(pa.timestamp("us")).cast(pa.timestamp("s"))
    texts = pc.strftime(naive, format="%Y-%m-%dT%H:%M:%SZ")
    table = table.set_column(CUSTOMER.names.index("updated_at"), "updated_at", texts)
    with Path(path).open("wb") as file:
        file.write((",".join(table.column_names) + "\n").encode())
        write_csv(table, file, WriteOptions(include_header=False, quoting_style="none"))
    return Path(path)


def _arrow_customers(n: int, *, seed: int, changed: float) -> pa.Table:
    rng = np.random.default_rng(seed)

    def draw(words: Sequence[str | None]) -> pa.Array:
        return pa.array(words).take(pa.array(rng.integers(len(words), size=n)))

    number = pc.utf8_lpad(pa.array(np.arange(n)).cast(pa.string()), 8, padding="0")
    name = pc.binary_join_element_wise(draw(_STEMS), draw(_TRADES), number, draw(_FORMS), " ")
    columns = {"customer_id": pc.binary_join_element_wise("C", number, ""), "customer_name": name}
    columns["customer_category"] = draw(tuple(_GROUPS))
    columns["customer_subcategory"] = draw([b for branches in _GROUPS.values() for b in branches] * 4 + [None])
    columns["source"] = draw(("customer",) * 19 + ("peak",))
    price = rng.integers(len(_PRICE_LISTS), size=n)
    seconds = 1_704_067_200 + rng.integers(63_072_000, size=n)  # the two years from 2024-01-01
    # Drawn last, so that the share does not change any other draw.
    later = rng.choice(n, size=round(n * changed), replace=False)
    price[later] = (price[later] + 1) % len(_PRICE_LISTS)
    seconds[later] += 15_552_000  # 180 days
    columns["customer_price_list_id"] = pa.array(_PRICE_LISTS).take(pa.array(price))
    columns["updated_at"] = pa.array(seconds).cast(pa.timestamp("s")).cast(pa.timestamp("us", tz="UTC"))
    return pa.table(columns).select(CUSTOMER.names).cast(CUSTOMER.arrow_schema())


def _invent(rng: Random, n: int) -> list[_Customer]:
    made: dict[str, _Customer] = {}
    number = 1_000
    while len(made) < n:
        name = f"{rng.choice(_STEMS)} {rng.choice(_TRADES)} {rng.choice(_FORMS)}"
        if name in made:
            continue
        number += rng.randrange(1, 4)
        group = _PUBLIC if len(made) % 67 == 66 else rng.choice(_PRIVATE)
        made[name] = {"id": f"{number:07d}", "name": name, "town": rng.choice(_TOWNS), "group": group}
        made[name] |= {"branch": rng.choice(_GROUPS[group]), "price_list": rng.choice(_PRICE_LISTS)}
        made[name] |= {"changed": _clock(rng, datetime(2023, 1, 9), 1_325)}
        made[name] |= {
            "clerk": f"VK-{rng.randrange(1, 13):02d}",
            "origin": rng.choice(("ERP",) * 18 + ("customer", "peak")),
        }
    return list(made.values())


def _cast(rng: Random, customers: Sequence[_Customer]) -> _Parts:
    """Choose the customers of each part, no customer for two parts, and set what is permanent about them."""
    parts = {"renamed": [i for i, c in enumerate(customers) if c["group"] == _PUBLIC]}
    # Sorted by random(), which gives the same numbers in every version of Python; shuffle() may not.
    deck = sorted((i for i, c in enumerate(customers) if c["group"] != _PUBLIC), key=lambda _: rng.random())
    for part in ("twin", "decomposed"):  # names with a letter that can be written as two
        parts[part] = [next(i for i in deck if normalize("NFD", customers[i]["name"]) != customers[i]["name"])]
        deck.remove(parts[part][0])
    n = len(customers) + 1
    counts = {"changed": round(n * 0.05) - len(parts["renamed"]), "absent": round(n * 0.02), **_PARTS}
    for part, count in counts.items():
        parts[part], deck = deck[:count], deck[count:]
    for part, column in (("nameless", "name"), ("branchless", "branch")):
        for i in parts[part]:
            customers[i][column] = ""
    customers[parts["ragged"][0]]["name"] = "Kettlinghaus; Sohn & Co. KG"
    return parts


def _clock(rng: Random, start: datetime = _MONTH, days: int = 29) -> datetime:
    """Draw a minute between 7 and 18 o'clock, when no clock changes; by default in the month between the deliveries."""
    return start + timedelta(days=rng.randrange(days), hours=rng.randrange(7, 18), minutes=rng.randrange(60))


def _first(rng: Random, customers: Sequence[_Customer], parts: _Parts) -> list[list[str]]:
    rows = [_erp_row(c) for c in customers]
    for turn, i in enumerate(parts["spaced"]):
        name = rows[i][1]
        rows[i][1] = (f" {name}", f"{name}  ", name.replace(" ", "  ", 1))[turn % 3]
    rows[parts["bad_time"][0]][6] = "31.06.2026 09:30"
    rows[parts["no_id"][0]][0] = ""
    further = [(i, rows[i]) for i in parts["repeated"]]
    for turn, i in enumerate(parts["conflicting"]):
        twist = {"group": _PUBLIC} if turn == 1 else {"name": f"Neue {customers[i]['name']}"}
        further.append((i, _erp_row(customers[i] | twist)))
    for i, row in sorted(further, reverse=True):  # from the bottom up, so that the rows above keep their places
        rows.insert(rng.randrange(i + 1, len(rows) + 1), row)
    return rows


def _second(rng: Random, customers: Sequence[_Customer], parts: _Parts) -> list[list[Any]]:
    part_of = {i: (part, turn) for part, members in parts.items() for turn, i in enumerate(members)}
    rows = []
    for i, old in enumerate(customers):
        part, turn = part_of.get(i, ("", 0))
        c = dict(old)
        if part in ("renamed", "touched", "conflicting", "changed"):
            c["changed"] = _clock(rng)
        if part == "changed" and turn % 3 == 0:
            c["name"] = f"Neue {c['name']}"
        elif part in ("changed", "restated", "backdated"):
            c["price_list"] = rng.choice([p for p in _PRICE_LISTS if p != old["price_list"]])
        if part == "backdated":
            c["changed"] -= timedelta(days=40)
        elif part == "branchless":
            c["branch"] = ("-", "n/a")[turn % 2]
        elif part == "decomposed":
            c["name"] = normalize("NFD", c["name"])
        elif part == "numeric":
            c["id"] = int(c["id"])
        if part != "absent":
            rows.append(_sheet_row(c))
    return rows


def _erp_row(c: _Customer) -> list[str]:
    return [f"{v:%d.%m.%Y %H:%M}" if column == "changed" else v for column, v in c.items()]


def _sheet_row(c: _Customer) -> list[Any]:
    group = _PUBLIC_RENAMED if c["group"] == _PUBLIC else c["group"]
    return [v or None for column, v in (c | {"group": group}).items() if column != "clerk"]


def _refer(rng: Random, known: Sequence[_Customer], n_quotes: int) -> tuple[list[list[str]], list[list[str]]]:
    """Draw quotes, and the sales of those won; data/README.md lists the few that are wrong on purpose."""
    drafts = []
    for turn in range(n_quotes):
        c = rng.choice(known)
        since = max(c["changed"], datetime(2026, 1, 5)).replace(hour=0, minute=0)
        quoted = _clock(rng, since + timedelta(days=1), (_AS_OF - since).days - 1)
        if turn in (40, 90):
            c = c | {"id": f"00090{turn}"}  # in neither delivery
        elif turn in (140, 160):
            quoted = c["changed"].replace(year=2022, day=17)  # before any customer's first version
        elif turn in (20, 60, 100):
            c = c | {"id": c["id"].lstrip("0")}
        elif turn in (30, 70, 110, 130):
            c = c | {"price_list": _PRICE_LISTS[_PRICE_LISTS.index(c["price_list"]) - 1]}
        drafts.append((quoted, turn, c))
    quotes, sales = [], []
    for number, (quoted, turn, c) in enumerate(sorted(drafts, key=lambda draft: draft[:2]), start=1):
        decided = quoted + timedelta(days=rng.randrange(1, 22), minutes=rng.randrange(240))
        status = rng.choice(("won", "won", "lost", "archived")) if decided < _AS_OF else "pending"
        merchant, at = f"M-{rng.randrange(1, 6):02d}", "" if status == "pending" else _utc(decided)
        merchant = "M-09" if turn in (50, 120) else merchant  # which no table has
        for product in sorted({f"P-{rng.randrange(100, 160)}" for _ in range(rng.randrange(1, 4))}):
            line = [product, c["id"], merchant]
            quotes.append([f"Q-{number:05d}", *line, _utc(quoted), at, status, c["price_list"]])
            if status == "won":
                amounts = [str(rng.randrange(1, 200)), f"{rng.randrange(9, 900)}.{rng.randrange(100):02d}"]
                sales.append([f"S-{number:05d}", *line, f"Q-{number:05d}", at, *amounts])
    return quotes, sales


def _utc(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


def _lines(header: str, rows: Iterable[Sequence[str]], delimiter: str = ",") -> str:
    """Join the cells without quoting, so that a semicolon in a name breaks its line."""
    return "".join(f"{line}\r\n" for line in (header, *(delimiter.join(row) for row in rows)))


def _workbook(rows: Iterable[list[Any]]) -> bytes:
    book = Workbook()
    book.properties.created = _AS_OF
    sheet = book.worksheets[0]
    sheet.title = "Customers"
    for cells in ([_SHEET_TITLE[0]], [_SHEET_TITLE[1]], list(_SHEET_HEADER), *rows):
        sheet.append(cells)
    for row in sheet.iter_rows(min_row=4):
        row[0].number_format = "0000000" if isinstance(row[0].value, int) else "@"
        row[6].number_format = "dd.mm.yyyy hh:mm"
    for letter in "ABDG":
        sheet.column_dimensions[letter].width = 36 if letter == "B" else 20
    written, fixed = io.BytesIO(), io.BytesIO()
    book.save(written)
    # openpyxl writes the time of saving into the workbook and its archive: replace it by the delivery's date.
    stamp = rb"\g<1>" + _utc(_AS_OF).encode()
    with zipfile.ZipFile(written) as old, zipfile.ZipFile(fixed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            entry = zipfile.ZipInfo(name, _AS_OF.timetuple()[:6])
            entry.compress_type, entry.create_system = zipfile.ZIP_DEFLATED, 3  # whatever the machine
            new.writestr(entry, re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", stamp, old.read(name)))
    return fixed.getvalue()


if __name__ == "__main__":
    data = Path(__file__).resolve().parent
    print(*write_deliveries(sys.argv[1] if len(sys.argv) > 1 else data), sep="\n")
