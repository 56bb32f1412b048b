"""The shipped deliveries are what the generator writes, and hold the faults that data/README.md promises."""

import re
import tomllib
import zipfile
from collections import Counter
from datetime import datetime
from pathlib import Path
from unicodedata import is_normalized, normalize
from xml.etree.ElementTree import canonicalize
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow.csv
import pytest
from openpyxl import load_workbook

from data.make_deliveries import (
    FIRST,
    MERCHANTS,
    QUOTES,
    SALES,
    SECOND,
    customer_table,
    write_deliveries,
    write_large_csv,
)
from toolkit.errors import InputError
from toolkit.ledger.diffing import diff
from toolkit.model.contract import CUSTOMER
from toolkit.quality.correcting import correct
from toolkit.quality.validation import validate
from toolkit.reading.customers import read_customers

DATA = Path(__file__).resolve().parents[2] / "data"
BERLIN = ZoneInfo("Europe/Berlin")


def erp_rows() -> dict[int, list[str]]:
    """Line number to cells; the ERP quotes nothing, so that splitting is all there is to reading."""
    lines = (DATA / FIRST).read_bytes().decode("cp1252").split("\r\n")
    return {number: line.split(";") for number, line in enumerate(lines, start=1) if line and number > 1}


def sheet_cells() -> dict[int, tuple]:
    sheet = load_workbook(DATA / SECOND)["Customers"]
    return {cells[0].row: cells for cells in sheet.iter_rows(min_row=4)}


def sheet_rows() -> dict[int, list]:
    """Row number to id, name, city, segment, industry, price list, time, origin; the id with its zeros."""
    rows = {number: [cell.value for cell in cells] for number, cells in sheet_cells().items()}
    return {n: [f"{r[0]:07d}" if isinstance(r[0], int) else r[0], *r[1:]] for n, r in rows.items()}


def time_of(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%d.%m.%Y %H:%M")
    except ValueError:
        return None


def table(name: str) -> list[dict[str, str]]:
    header, *lines = (DATA / name).read_text(encoding="utf-8").splitlines()
    return [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines]


def readable() -> dict[str, list]:
    """Id to name, group, industry, price list and time of the rows that the first delivery gets past the checks."""
    keyed = {tuple(r) for r in erp_rows().values() if len(r) == 9 and r[0] and time_of(r[6])}
    times = Counter((r[0], r[6]) for r in keyed)
    return {r[0]: [" ".join(r[1].split()), r[3], r[4], r[5], time_of(r[6])] for r in keyed if times[r[0], r[6]] == 1}


def faults_of_the_first() -> dict[str, list[int]]:
    rows = erp_rows()
    whole = {n: r for n, r in rows.items() if len(r) == 9}
    ids = {r[0] for r in rows.values()}
    copies = [n for n, r in whole.items() if any(r == whole.get(m) for m in range(2, n))]
    keys = Counter((r[0], r[6]) for n, r in whole.items() if n not in copies)
    return {
        "a line with one semicolon too many": [n for n, r in rows.items() if len(r) != 9],
        "no customer number": [n for n, r in whole.items() if not r[0]],
        "a time that no calendar has": [n for n, r in whole.items() if time_of(r[6]) is None],
        "same number and time, another name or group": [
            n for n, r in whole.items() if n not in copies and keys[r[0], r[6]] > 1
        ],
        "an exact copy of a row above": copies,
        "stray spaces in the name": [n for n, r in whole.items() if r[1] != " ".join(r[1].split())],
        "no name": [n for n, r in whole.items() if not r[1]],
        "no industry": [n for n, r in whole.items() if not r[4]],
        "a number that lost its leading zeros": [
            n for n, r in whole.items() if r[0] and len(r[0]) < 7 and r[0].zfill(7) in ids
        ],
    }


def faults_of_the_second() -> dict[str, list[int]]:
    rows = sheet_rows()
    return {
        "an id that is a number, its zeros only shown": [
            n for n, c in sheet_cells().items() if isinstance(c[0].value, int) and c[0].number_format == "0000000"
        ],
        "`-` or `n/a` for no industry": [n for n, r in rows.items() if r[4] in ("-", "n/a")],
        "umlauts written as two characters": [n for n, r in rows.items() if r[1] and not is_normalized("NFC", r[1])],
        "still no name": [n for n, r in rows.items() if r[1] is None],
    }


def comparison() -> dict[str, list[int]]:
    """State to the rows of the second delivery, by the words of design.md; absent ones have no row."""
    before = readable()
    states: dict[str, list[int]] = {
        state: [] for state in ("added", "changed", "touched", "restated", "backdated", "unchanged")
    }
    for number, row in sheet_rows().items():
        if row[0] not in before:
            states["added"].append(number)
            continue
        *old, then = before[row[0]]
        new = [normalize("NFC", row[1] or ""), row[3], "" if row[4] in ("-", "n/a") else row[4], row[5]]
        same, now = new == old, row[6]
        state = "backdated" if now < then else "unchanged" if now == then else "touched"
        if not same:
            state = {"unchanged": "restated", "touched": "changed"}.get(state, state)
        states[state].append(number)
    return states


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deliveries") / "new" / "folder"
    assert [p.name for p in write_deliveries(folder)] == [FIRST, SECOND, QUOTES, SALES, MERCHANTS]
    return folder


@pytest.mark.parametrize("name", [FIRST, QUOTES, SALES, MERCHANTS])
def test_the_shipped_text_files_are_what_the_generator_writes_byte_for_byte(written: Path, name: str) -> None:
    assert (written / name).read_bytes() == (DATA / name).read_bytes()


def test_the_shipped_workbook_is_what_the_generator_writes_part_for_part(written: Path) -> None:
    # Not the archive's bytes: another zlib packs the same parts differently, another XML writer quotes otherwise.
    with zipfile.ZipFile(written / SECOND) as new, zipfile.ZipFile(DATA / SECOND) as shipped:
        assert new.namelist() == shipped.namelist()
        for name in shipped.namelist():
            assert canonicalize(new.read(name).decode()) == canonicalize(shipped.read(name).decode()), name


def test_the_workbook_does_not_say_when_it_was_made(written: Path) -> None:
    with zipfile.ZipFile(written / SECOND) as book:
        assert {entry.date_time for entry in book.infolist()} == {(2026, 10, 1, 0, 0, 0)}
        stamps = re.findall(r"\d{4}-\d\d-\d\dT[^<]*", book.read("docProps/core.xml").decode())
    assert stamps == ["2026-10-01T00:00:00Z"] * 2


def test_another_seed_gives_other_customers(tmp_path: Path, written: Path) -> None:
    first = write_deliveries(tmp_path, n_customers=250, seed=7)[0]
    assert len(first.read_bytes().splitlines()) == 250 + 4 + 3 + 1
    assert first.read_bytes() != (written / FIRST).read_bytes()


@pytest.mark.parametrize("n", [199, 2_001])
def test_a_number_of_customers_out_of_range_is_refused_before_anything_is_written(tmp_path: Path, n: int) -> None:
    with pytest.raises(InputError, match="200 to 2,000"):
        write_deliveries(tmp_path / "none", n_customers=n)
    assert not (tmp_path / "none").exists()


def test_the_first_delivery_is_written_as_an_erp_would() -> None:
    raw = (DATA / FIRST).read_bytes()
    with pytest.raises(UnicodeDecodeError):
        raw.decode("utf-8")
    rows = erp_rows().values()
    assert len({r[0] for r in rows if r[0]}) == 399  # and one that lacks its number
    assert sum(r[-1] == "ERP" for r in rows) > 300
    assert {r[-1] for r in rows} == {"ERP", "customer", "peak"}
    assert all(r[0].startswith("000") or len(r[0]) in (0, 4) for r in rows)


@pytest.mark.parametrize(
    "found", [faults_of_the_first(), faults_of_the_second()], ids=["first delivery", "second delivery"]
)
def test_each_fault_stands_in_the_readme_with_its_count_and_rows(found: dict[str, list[int]]) -> None:
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    for fault, rows in found.items():
        assert rows, fault
        assert f"| {fault} | {len(rows)} | {', '.join(map(str, rows))} |" in readme


def test_the_difference_between_the_deliveries_stands_in_the_readme() -> None:
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    states = comparison()
    for state, rows in states.items():
        shown = f"{', '.join(map(str, rows))} |" if len(rows) <= 5 else ""
        assert f"| {state} | {len(rows)} | {shown}" in readme, state
    held, new = states["added"][:6], states["added"][6:]
    assert f"{new[0]} to {new[-1]} are new; {', '.join(map(str, held))} were in quarantine" in readme
    assert f"{len(readable())} to send" in readme
    absent = len(readable().keys() - {r[0] for r in sheet_rows().values()})
    assert f"| absent | {absent} |" in readme
    assert {s: len(r) for s, r in states.items()} == {
        "added": 18,
        "changed": 20,
        "touched": 5,
        "restated": 2,
        "backdated": 1,
        "unchanged": 358,
    }


def test_a_renamed_group_is_renamed_for_all_of_its_customers() -> None:
    before = readable()
    renamed = [r[0] for r in sheet_rows().values() if r[3] == "Öffentlicher Sektor" and r[0] in before]
    assert len(renamed) == 5
    assert {before[i][1] for i in renamed} == {"Öffentliche Hand"}
    assert not any(r[3] == "Öffentliche Hand" for r in sheet_rows().values())


def test_every_local_time_exists_once_in_berlin() -> None:
    times = [t for r in erp_rows().values() if len(r) == 9 and (t := time_of(r[6]))]
    times += [r[6] for r in sheet_rows().values()]
    offsets = {
        (t.replace(tzinfo=BERLIN, fold=0).utcoffset(), t.replace(tzinfo=BERLIN, fold=1).utcoffset()) for t in times
    }
    assert all(early == late for early, late in offsets)
    assert len(offsets) == 2  # winter and summer


def test_quotes_refer_to_customers_but_for_the_ones_the_readme_names() -> None:
    versions = {i: (row[-1], row[3]) for i, row in readable().items()}
    for row in sheet_rows().values():
        versions.setdefault(row[0], (row[6], row[5]))
    merchants = {merchant["merchant_id"] for merchant in table(MERCHANTS)}
    faults: dict[str, set[str]] = {}
    for quote in table(QUOTES):
        customer = quote["customer_id"]
        shown = f"{quote['quote_id']} ({customer})"
        since, price_list = versions.get(customer, (None, ""))
        if quote["merchant_id"] not in merchants:
            faults.setdefault("a merchant that is not in the table", set()).add(quote["quote_id"])
        if since is None:
            short = customer.zfill(7) in versions
            fault = "a customer's id without its zeros" if short else "a customer that no delivery has"
            faults.setdefault(fault, set()).add(shown)
        elif datetime.fromisoformat(quote["quoted_at"]) < since.replace(tzinfo=BERLIN):
            faults.setdefault("before the customer's first version", set()).add(shown)
        elif quote["price_list_id"] != price_list:
            faults.setdefault("another price list than the customer's", set()).add(shown)
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    assert len(faults) == 5
    for fault, quotes in faults.items():
        assert f"| {fault} | {len(quotes)} | {', '.join(sorted(quotes))} |" in readme


def test_quotes_and_sales_agree() -> None:
    quotes, sales = table(QUOTES), table(SALES)
    won = {(q["quote_id"], q["product_id"]): q for q in quotes if q["quote_status"] == "won"}
    assert len({(q["quote_id"], q["product_id"]) for q in quotes}) == len(quotes)
    assert len({(s["sale_id"], s["product_id"]) for s in sales}) == len(sales) == len(won)
    for sale in sales:
        quote = won[sale["quote_id"], sale["product_id"]]
        assert (sale["customer_id"], sale["merchant_id"]) == (quote["customer_id"], quote["merchant_id"])
        assert sale["sold_at"] == quote["decided_at"] > quote["quoted_at"]
    assert {q["quote_status"] for q in quotes} == {"won", "lost", "pending", "archived"}
    assert all((q["decided_at"] == "") == (q["quote_status"] == "pending") for q in quotes)


@pytest.mark.parametrize("name", [FIRST, SECOND])
def test_each_mapping_names_columns_that_its_file_has(name: str) -> None:
    mapping = tomllib.loads((DATA / name).with_suffix(".toml").read_text(encoding="utf-8"))
    if name == FIRST:
        header = (DATA / FIRST).read_bytes().decode("cp1252").splitlines()[0].split(";")
    else:
        sheet = load_workbook(DATA / SECOND)[mapping["format"]["sheet"]]
        header = [cell.value for cell in sheet[mapping["format"]["header_row"]]]
    assert set(mapping["columns"]) == set(CUSTOMER.names)
    assert set(mapping["columns"].values()) < set(header)


def test_the_toolkit_finds_in_the_deliveries_what_the_readme_promises() -> None:
    first, second = (
        validate(correct(read_customers(DATA / name, mapping=(DATA / name).with_suffix(".toml"))))
        for name in (FIRST, SECOND)
    )
    kept = list(faults_of_the_first().values())[:4]
    assert sorted(first.quarantine.index) == sorted(row for rows in kept for row in rows)
    assert sorted(first.good["customer_id"]) == sorted(readable())
    assert second.ok
    found = diff(first.good, second).to_dict()
    assert {state: found[state] for state in comparison()} == {s: len(rows) for s, rows in comparison().items()}
    assert found["absent"] == 8


def test_a_customer_table_is_the_same_for_the_same_seed() -> None:
    table = customer_table(3_000, seed=5)
    pd.testing.assert_frame_equal(table, customer_table(3_000, seed=5))
    assert not table.equals(customer_table(3_000, seed=6))
    assert tuple(table.columns) == CUSTOMER.names
    assert {str(t) for t in table.dtypes.drop("updated_at")} == {"str"}
    assert str(table.dtypes["updated_at"]) == "datetime64[us, UTC]"
    assert table["customer_id"].is_unique
    assert table["customer_subcategory"].isna().mean() == pytest.approx(0.02, abs=0.01)
    assert table.drop(columns="customer_subcategory").notna().all(axis=None)


@pytest.mark.parametrize(("share", "n"), [(0.0, 0), (0.01, 40), (1.0, 4_000)])
def test_a_changed_table_differs_in_just_its_share_of_the_rows(share: float, n: int) -> None:
    before, after = customer_table(4_000), customer_table(4_000, changed=share)
    later = after["updated_at"] > before["updated_at"]
    assert later.sum() == n
    assert (after["customer_price_list_id"] != before["customer_price_list_id"]).equals(later)
    pd.testing.assert_frame_equal(after[~later], before[~later])
    kept = ["customer_id", "customer_name", "customer_category", "customer_subcategory", "source"]
    pd.testing.assert_frame_equal(after[kept], before[kept])


def test_a_table_of_no_rows_has_its_columns() -> None:
    assert customer_table(0).dtypes.equals(customer_table(1).dtypes)


def test_a_large_csv_holds_the_customer_table_under_canonical_names(tmp_path: Path) -> None:
    path = write_large_csv(tmp_path / "large.csv", 2_000, seed=3)
    as_text = pyarrow.csv.ConvertOptions(column_types=CUSTOMER.arrow_schema(), strings_can_be_null=True)
    read = pyarrow.csv.read_csv(path, convert_options=as_text)
    pd.testing.assert_frame_equal(read.to_pandas(), customer_table(2_000, seed=3))
    assert 95 < path.stat().st_size / 2_000 < 120  # so that two million rows are 200 MB
