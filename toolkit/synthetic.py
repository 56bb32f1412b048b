"""The synthetic deliveries in ``data/``, and customer tables as large as a benchmark wants them.

Every company is invented. ``python -m toolkit.synthetic [FOLDER]`` writes the deliveries, into ``data/`` beside
the package unless told otherwise: the same bytes each time, for nothing here asks the clock. What is wrong in
them is wrong on purpose, and told in ``data/README.md``.
"""

from __future__ import annotations

import io
import re
import sys
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from unicodedata import normalize

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from openpyxl import Workbook
from pyarrow.csv import WriteOptions, write_csv

from toolkit.contract import CUSTOMER
from toolkit.engine import to_frame
from toolkit.errors import InputError

DATA = Path(__file__).resolve().parents[1] / "data"
FILES = (
    "2026-09-01_customers.csv",
    "2026-10-01_customers.xlsx",
    "2026-10-01_quotes.csv",
    "2026-10-01_sales.csv",
)

_STEMS = """Ahornried Birkentau Brückfeld Castellór Dünenhof Eschwalde Falkenbrühl Fjordalen Göllstein Haselbrück
Île-Verte Jürgshagen Kesselmoor Lärchenau Montcalvé Möwensund Nordlohe Østerglen Pfauenweiß Quellgrün Rabensteg
Saint-Orly Sölvang Tannsee Ulmenbach Valdoré Weißdorn Zirbelkamp Ångby Übersloh""".split()
_TRADES = """Antriebe Baustoffe Catering Dichtungen Elektro Fördertechnik Gerüstbau Hygiene Isolierung Keramik
Laborbedarf Möbel Papier Präzision Pumpen Schrauben Textil Verpackung Werkzeuge Zerspanung""".split()
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
_ORIGINS = ("ERP",) * 18 + ("customer", "peak")

_ERP_HEADER = "Kundennummer;Firmenname;Ort;Kundengruppe;Branche;Preisliste;Geändert am;Sachbearbeiter;Herkunft"
_SHEET_TITLE = ("Customer master data, all segments", "As of 1 October 2026, times as the clocks in Berlin show them")
_SHEET_HEADER = ("Customer No.", "Name", "City", "Segment", "Industry", "Price List", "Last Change", "Origin")
_QUOTE_HEADER = "quote_id,product_id,customer_id,merchant_id,quoted_at,decided_at,quote_status,price_list_id"
_SALE_HEADER = "sale_id,product_id,customer_id,merchant_id,quote_id,sold_at,quantity,selling_price"
_AS_OF = datetime(2026, 10, 1)

# How many customers have each fault or change; those that grow with the number of customers are added later.
_ROLES = {
    "repeated": 4,  # an exact copy of the row further down
    "conflicting": 3,  # the same id and time further down, with another name or group
    "time": 1,  # a time that is no date
    "idless": 1,
    "ragged": 1,  # a semicolon in the name, and the ERP quotes nothing
    "spaced": 9,  # stray spaces in the name
    "nameless": 2,
    "branchless": 5,  # empty in the first delivery, a null spelling in the second
    "numeric": 6,  # in the second delivery an id that is a number, shown with its zeros by its format
    "touched": 5,
    "restated": 2,
    "backdated": 1,
}


@dataclass(frozen=True)
class _Customer:
    id: str
    name: str
    town: str
    group: str
    branch: str
    price_list: str
    changed: datetime  # naive, as the clocks in Berlin showed it
    clerk: str
    origin: str


def write_deliveries(folder: str | Path, *, n_customers: int = 400, seed: int = 2026) -> list[Path]:
    """Write two customer deliveries, and the quotes and sales that refer to them.

    Parameters
    ----------
    folder
        Made if it is not there; files of the same names are replaced.
    n_customers
        Customers in the first delivery, 200 to 2,000.

    Returns
    -------
    list of Path
        The two deliveries, the quotes, the sales: `FILES`, in that order.

    Raises
    ------
    InputError
        If `n_customers` is out of range.
    """
    if not 200 <= n_customers <= 2_000:
        raise InputError(f"n_customers is {n_customers:,}: give 200 to 2,000, or take customer_table for more.")
    rng = Random(seed)  # noqa: S311 - invented companies need no secret randomness
    n_new = round(n_customers * 0.03)
    customers = _invent(rng, n_customers - 1 + n_new)
    customers, new = customers[:-n_new], [replace(c, changed=_later(rng)) for c in customers[-n_new:]]
    roles = _cast(rng, customers)
    for i in roles["nameless"]:
        customers[i] = replace(customers[i], name="")
    for i in roles["branchless"]:
        customers[i] = replace(customers[i], branch="")
    for i in roles["ragged"]:
        customers[i] = replace(customers[i], name="Kettlinghaus; Sohn & Co. KG")
    unread = {i for role in ("conflicting", "time", "idless", "ragged") for i in roles[role]}
    known = [c for i, c in enumerate(customers) if i not in unread] + new
    quotes, sales = _refer(rng, known, n_quotes=n_customers * 3 // 4)
    one = customers[roles["twin"][0]]
    customers.append(replace(one, id=one.id.lstrip("0"), clerk="VK-99", changed=one.changed + timedelta(days=3)))

    paths = [Path(folder) / name for name in FILES]
    Path(folder).mkdir(parents=True, exist_ok=True)
    paths[0].write_bytes(_lines(_ERP_HEADER, _first(rng, customers, roles), ";").encode("cp1252"))
    paths[1].write_bytes(_workbook(_second(rng, customers, roles) + [_sheet_row(c) for c in new]))
    paths[2].write_bytes(_lines(_QUOTE_HEADER, quotes, ",").encode())
    paths[3].write_bytes(_lines(_SALE_HEADER, sales, ",").encode())
    return paths


def customer_table(n: int, *, seed: int = 0, changed: float = 0.0) -> pd.DataFrame:
    """Make a customer frame of `n` rows, one a customer: a million in about a second.

    Parameters
    ----------
    n
        Rows, up to 100 million.
    seed
        The same `n` and `seed` give the same customers.
    changed
        Share, 0 to 1, of customers that get another price list and a later ``updated_at``. The other rows are
        those of ``changed=0``, to the microsecond: such a frame is the next delivery of the same customers.

    Returns
    -------
    DataFrame
        The contract's columns, ``str`` and ``datetime64[us, UTC]``; 2 % of the subcategories are null.

    Examples
    --------
    >>> before, after = customer_table(1_000), customer_table(1_000, changed=0.01)
    >>> int((before["updated_at"] < after["updated_at"]).sum())
    10
    """
    return to_frame(_arrow_customers(n, seed=seed, changed=changed))


def write_large_csv(path: str | Path, n_rows: int, *, seed: int = 0) -> Path:
    """Write the rows of `customer_table` as UTF-8 CSV under the canonical names; two million are 200 MB."""
    table = _arrow_customers(n_rows, seed=seed, changed=0.0)
    place = table.schema.get_field_index("updated_at")
    # Without the zone first: formatting a zoned time would look for a time zone database on the machine.
    naive = table["updated_at"].cast(pa.timestamp("us")).cast(pa.timestamp("s"))
    table = table.set_column(place, "updated_at", pc.strftime(naive, format="%Y-%m-%dT%H:%M:%SZ"))
    with Path(path).open("wb") as file:
        file.write((",".join(table.column_names) + "\n").encode())
        write_csv(table, file, WriteOptions(include_header=False, quoting_style="none"))
    return Path(path)


def _arrow_customers(n: int, *, seed: int, changed: float) -> pa.Table:
    rng = np.random.default_rng(seed)
    groups = list(_GROUPS)
    pairs = [(groups.index(g), b) for g in groups for b in _GROUPS[g]]
    number = pc.utf8_lpad(pa.array(np.arange(n)).cast(pa.string()), 8, padding="0")
    pair, price = rng.integers(len(pairs), size=n), rng.integers(len(_PRICE_LISTS), size=n)
    seconds = rng.integers(63_072_000, size=n) + 1_704_067_200  # within the two years from 2024-01-01
    stem, trade, form = (_pick(words, rng.integers(len(words), size=n)) for words in (_STEMS, _TRADES, _FORMS))
    origin = _pick(("customer", "peak"), (rng.random(n) < 0.05).astype("int64"))
    no_branch = pa.array(rng.random(n) < 0.02)
    # Drawn last, so that what is changed leaves all other draws as they are.
    later = rng.choice(n, size=round(n * changed), replace=False)
    seconds[later] += 63_072_000
    price[later] = (price[later] + 1) % len(_PRICE_LISTS)
    branch = _pick([b for _, b in pairs], pair)
    return pa.table(
        [
            pc.binary_join_element_wise("C", number, ""),
            pa.array(seconds).cast(pa.timestamp("s")).cast(pa.timestamp("us", tz="UTC")),
            pc.binary_join_element_wise(stem, trade, number, form, " "),
            _pick(groups, np.array([g for g, _ in pairs])[pair]),
            pc.if_else(no_branch, pa.scalar(None, pa.string()), branch),
            _pick(_PRICE_LISTS, price),
            origin,
        ],
        schema=CUSTOMER.arrow_schema(),
    )


def _pick(values: Sequence[str], codes: np.ndarray) -> pa.Array:
    return pa.array(values).take(pa.array(codes))


def _invent(rng: Random, n: int) -> list[_Customer]:
    made: dict[str, _Customer] = {}
    number = 1_000
    while len(made) < n:
        group = _PUBLIC if len(made) % 67 == 66 else rng.choice(_PRIVATE)
        name = f"{rng.choice(_STEMS)} {rng.choice(_TRADES)} {rng.choice(_FORMS)}"
        if name in made:
            continue
        number += rng.randrange(1, 4)
        made[name] = _Customer(
            id=f"{number:07d}",
            name=name,
            town=rng.choice(_TOWNS),
            group=group,
            branch=rng.choice(_GROUPS[group]),
            price_list=rng.choice(_PRICE_LISTS),
            changed=_clock(rng, datetime(2023, 1, 9), days=1_325),
            clerk=f"VK-{rng.randrange(1, 13):02d}",
            origin=rng.choice(_ORIGINS),
        )
    return list(made.values())


def _cast(rng: Random, customers: Sequence[_Customer]) -> dict[str, list[int]]:
    """Deal each role its customers, no customer two roles; the public ones are all renamed."""
    roles = {"renamed": [i for i, c in enumerate(customers) if c.group == _PUBLIC]}
    # Sorted by random(), which stays the same in every Python, where shuffle() makes no such promise.
    deck = sorted((i for i, c in enumerate(customers) if c.group != _PUBLIC), key=lambda _: rng.random())
    for role in ("twin", "composed"):  # names with a letter that can be written as two
        roles[role] = [next(i for i in deck if normalize("NFD", customers[i].name) != customers[i].name)]
        deck.remove(roles[role][0])
    n_changed = round((len(customers) + 1) * 0.05) - len(roles["renamed"])
    for role, n in {**_ROLES, "changed": n_changed, "absent": round(len(customers) * 0.02)}.items():
        roles[role], deck = deck[:n], deck[n:]
    return roles


def _clock(rng: Random, start: datetime, *, days: int) -> datetime:
    """Draw a minute of a working day; never at night, when clocks change."""
    return start + timedelta(days=rng.randrange(days), hours=rng.randrange(7, 18), minutes=rng.randrange(60))


def _later(rng: Random) -> datetime:
    return _clock(rng, datetime(2026, 9, 1), days=29)


def _other(rng: Random, values: Iterable[str], value: str) -> str:
    return rng.choice([v for v in values if v != value])


def _first(rng: Random, customers: Sequence[_Customer], roles: dict[str, list[int]]) -> list[list[str]]:
    rows = [_erp_row(c) for c in customers]
    for turn, i in enumerate(roles["spaced"]):
        name = customers[i].name
        rows[i][1] = (f" {name}", f"{name}  ", name.replace(" ", "  ", 1))[turn % 3]
    for i in roles["time"]:
        rows[i][6] = "31.06.2026 09:30"
    for i in roles["idless"]:
        rows[i][0] = ""
    further = [(i, rows[i]) for i in roles["repeated"]]
    for turn, i in enumerate(roles["conflicting"]):
        c = customers[i]
        twist = {"group": _other(rng, _PRIVATE, c.group)} if turn % 2 else {"name": f"Neue {c.name}"}
        further.append((i, _erp_row(replace(c, **twist))))
    # The last first, so that what is put in leaves the places before it as they are.
    for i, row in sorted(further, key=lambda pair: pair[0], reverse=True):
        rows.insert(rng.randrange(i + 1, len(rows) + 1), row)
    return rows


def _second(rng: Random, customers: Sequence[_Customer], roles: dict[str, list[int]]) -> list[list[object]]:
    role_of = {i: role for role, members in roles.items() for i in members}
    rows: list[list[object]] = []
    for i, c in enumerate(customers):
        role = role_of.get(i)
        if role == "absent":
            continue
        if role in ("renamed", "touched", "conflicting", "changed"):
            c = replace(c, changed=_later(rng))
        if role == "changed" and roles["changed"].index(i) % 3 == 0:
            c = replace(c, name=f"Neue {c.name}")
        elif role in ("changed", "restated", "backdated"):
            c = replace(c, price_list=_other(rng, _PRICE_LISTS, c.price_list))
        if role == "backdated":
            c = replace(c, changed=c.changed - timedelta(days=40))
        if role == "composed":
            c = replace(c, name=normalize("NFD", c.name))
        if role == "branchless":
            c = replace(c, branch=("-", "n/a")[roles["branchless"].index(i) % 2])
        row = _sheet_row(c)
        if role == "numeric":
            row[0] = int(c.id)
        rows.append(row)
    return rows


def _erp_row(c: _Customer) -> list[str]:
    time = c.changed.strftime("%d.%m.%Y %H:%M")
    return [c.id, c.name, c.town, c.group, c.branch, c.price_list, time, c.clerk, c.origin]


def _sheet_row(c: _Customer) -> list[object]:
    group = _PUBLIC_RENAMED if c.group == _PUBLIC else c.group
    return [c.id, c.name or None, c.town, group, c.branch, c.price_list, c.changed, c.origin]


def _refer(rng: Random, known: Sequence[_Customer], *, n_quotes: int) -> tuple[list[list[str]], list[list[str]]]:
    """Draw quotes, each later than its customer's first version, and the sales of those that were won."""
    drafts = []
    for turn in range(n_quotes):
        c = rng.choice(known)
        since = max(c.changed, datetime(2026, 1, 5)).replace(hour=0, minute=0)
        drafts.append((_clock(rng, since + timedelta(days=1), days=(_AS_OF - since).days - 1), turn, c))
    for turn, unknown in ((40, "0009001"), (90, "0009002")):
        drafts[turn] = (*drafts[turn][:2], replace(drafts[turn][2], id=unknown))
    drafts[140] = (datetime(2022, 11, 17, 9, 30), *drafts[140][1:])  # before any customer's first version
    quotes, sales = [], []
    for number, (quoted, _, c) in enumerate(sorted(drafts, key=lambda d: d[:2]), start=1):
        decided = quoted + timedelta(days=rng.randrange(1, 22), minutes=rng.randrange(240))
        status = rng.choice(("won", "won", "lost", "archived")) if decided < _AS_OF else "pending"
        merchant, known_id = f"M-{rng.randrange(1, 6):02d}", not c.id.startswith("0009")
        for product in sorted({f"P-{rng.randrange(100, 160)}" for _ in range(rng.randrange(1, 4))}):
            quote, cents = f"Q-{number:05d}", rng.randrange(900, 90_000)
            at = _utc(decided) if status != "pending" else ""
            quotes.append([quote, product, c.id, merchant, _utc(quoted), at, status, c.price_list])
            if status == "won" and known_id:
                price = f"{cents // 100}.{cents % 100:02d}"
                quantity = str(rng.randrange(1, 200))
                sales.append([f"S-{number:05d}", product, c.id, merchant, quote, at, quantity, price])
    return quotes, sales


def _utc(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def _lines(header: str, rows: Iterable[Sequence[str]], delimiter: str) -> str:
    """Join the cells as they are: nothing is quoted, which is how a semicolon in a name breaks its line."""
    return "".join(f"{line}\r\n" for line in (header, *(delimiter.join(row) for row in rows)))


def _workbook(rows: Iterable[Sequence[object]]) -> bytes:
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.title = "Customers"
    for line in _SHEET_TITLE:
        sheet.append([line])
    sheet.append(_SHEET_HEADER)
    for row in rows:
        sheet.append(row)
        number, time = sheet.cell(sheet.max_row, 1), sheet.cell(sheet.max_row, 7)
        number.number_format = "0000000" if isinstance(number.value, int) else "@"
        time.number_format = "dd.mm.yyyy hh:mm"
    for letter, width in zip("ABCDEFGH", (12, 38, 16, 20, 16, 13, 17, 10), strict=True):
        sheet.column_dimensions[letter].width = width
    book.properties.created = _AS_OF
    written, fixed = io.BytesIO(), io.BytesIO()
    book.save(written)
    # openpyxl stamps the moment of saving into the workbook and its archive: put the delivery's date instead.
    stamp = rb"\g<1>" + _utc(_AS_OF).encode() + rb"\g<2>"
    with zipfile.ZipFile(written) as old, zipfile.ZipFile(fixed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            entry = zipfile.ZipInfo(name, _AS_OF.timetuple()[:6])
            entry.compress_type, entry.create_system = zipfile.ZIP_DEFLATED, 0
            content = re.sub(rb"(<dcterms:modified[^>]*>)[^<]*(<)", stamp, old.read(name))
            new.writestr(entry, content)
    return fixed.getvalue()


def main() -> None:
    """Write the deliveries into the folder named on the command line, else into ``data/``."""
    for path in write_deliveries(sys.argv[1] if len(sys.argv) > 1 else DATA):
        print(path)


if __name__ == "__main__":
    main()
