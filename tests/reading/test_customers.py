"""read_customers(): a source, mapped and typed by the schema, nothing guessed."""

from __future__ import annotations

import csv
import datetime as dt
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from openpyxl import Workbook

from tests.support.cases import CASES
from tests.support.customer_files import AT, HEADER, ROWS, WRITERS, as_csv, as_xlsx
from toolkit.config import Settings
from toolkit.errors import InputError, MappingError, ReadingError
from toolkit.model import CUSTOMER, CustomAttribute, Delivery
from toolkit.reading import Mapping, read_customers, suggest_mapping

TEXT = [c.name for c in CUSTOMER.columns if c.kind == "string"]


def read(tmp_path: Path, text: str, *, codec: str = "utf-8", **options: Any) -> Delivery:
    path = tmp_path / "crm.csv"
    path.write_bytes(text.encode(codec))
    return read_customers(path, **options)


def utc(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz="UTC")


# --- whatever it comes in


@pytest.mark.parametrize("name", WRITERS)
def test_every_source_gives_the_same_cells(tmp_path: Path, name: str) -> None:
    write, first = WRITERS[name]
    write(tmp_path / name)
    delivery = read_customers(tmp_path / name)
    frame = delivery.frame
    assert frame.index.tolist() == [first, first + 1, first + 2]
    for column, cells in zip(HEADER, zip(*ROWS, strict=True), strict=True):
        if column != "updated_at":
            assert frame[column].fillna("").tolist() == list(cells)
    assert frame["updated_at"].dt.day.tolist() == [28, 29, 30]
    assert delivery.source == name
    assert delivery.n_broken == 0


@pytest.mark.parametrize("take", [read_customers, suggest_mapping])
def test_what_is_no_workbook_has_no_sheets(tmp_path: Path, take: Any) -> None:
    as_csv(tmp_path / "crm.csv")
    for source in (tmp_path / "crm.csv", pd.DataFrame(columns=HEADER)):
        with pytest.raises(InputError, match="is no workbook, and has no sheets: leave out the sheet"):
            take(source, sheet="Kunden")
    as_xlsx(tmp_path / "crm.tsv")
    with pytest.raises(MappingError, match="has no sheet 'Kunden'"):
        take(tmp_path / "crm.tsv", sheet="Kunden")


def test_what_a_file_is_outranks_its_ending_and_is_noted(tmp_path: Path) -> None:
    as_xlsx(tmp_path / "crm.csv")
    assert read_customers(tmp_path / "crm.csv").notes[0] == "a workbook, though its ending is .csv"
    as_csv(tmp_path / "crm.xls")
    assert read_customers(tmp_path / "crm.xls").notes[0] == "a text file, though its ending is .xls"
    (tmp_path / "page.xls").write_text("<html><table><tr><td>customer_id</td></tr></table></html>", encoding="utf-8")
    with pytest.raises(ReadingError, match=r"page\.xls is a web page or XML.*save it again as \.xlsx"):
        read_customers(tmp_path / "page.xls")


@pytest.mark.parametrize("name", ["crm.csv", "crm.xlsx"])
def test_a_header_below_titles_is_found_and_noted(tmp_path: Path, name: str) -> None:
    rows = [["Customers of ACME, as of 3 May"], [], ["printed by", "SAP"], list(HEADER), *map(list, ROWS)]
    if name.endswith("csv"):
        with (tmp_path / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)
    else:
        book = Workbook()
        assert book.active is not None
        for row in rows[:5]:
            book.active.append(row)
        book.save(tmp_path / name)
    delivery = read_customers(tmp_path / name)
    assert delivery.frame.index[0] == 5
    assert "header in row 4, found" in delivery.notes
    with pytest.raises(ReadingError, match="no header in row 2"):
        read_customers(tmp_path / name, mapping=Mapping(header_row=2))
    with pytest.raises(MappingError, match=r"lacks columns .*'Nummer'.*header_row in \[format\]"):
        read_customers(tmp_path / name, mapping=Mapping(columns={"customer_id": "Nummer", "updated_at": "updated_at"}))


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("crm.csv", "crm.docx", "crm"):
        (tmp_path / name).write_bytes(b"" if name == "crm.csv" else b"a")
    (tmp_path / "empty").mkdir()
    for path, words in [
        (tmp_path / "crn.csv", r"no file .*, did you mean 'crm\.csv'\?"),
        (tmp_path / "no" / "crm.csv", "no file"),
        (tmp_path / "empty", "folder without a file that can be read"),
        (tmp_path / "crm.csv", "is empty"),
        (tmp_path / "crm.docx", r"\.docx is not read"),
        (tmp_path / "crm", "without an ending is not read"),
    ]:
        with pytest.raises(ReadingError, match=words):
            read_customers(path)

    opened = Path.open

    def refuse(path: Path, *args: Any, **kwargs: Any) -> Any:
        if path.suffix == ".csv":
            raise PermissionError(13, "Permission denied")
        return opened(path, *args, **kwargs)

    settings = Settings()  # it opens files of its own
    monkeypatch.setattr(Path, "open", refuse)  # the tests may run as root, whom no permission stops
    with pytest.raises(ReadingError, match="cannot be read: close it"):
        read_customers(tmp_path / "crm.csv", settings=settings)


@pytest.mark.parametrize("source", [None, 42, [Path("a.csv")], {"customer_id": ["1"]}, Mapping(), Settings, Delivery])
def test_a_source_of_another_kind_is_refused(source: Any) -> None:
    with pytest.raises(
        InputError, match="A file, a folder, a frame, an Arrow table or an SQLAlchemy connection is wanted here"
    ):
        read_customers(source)


@pytest.mark.parametrize("mapping", [42, ["m.toml"], {"columns": {}}, pd.DataFrame()])
def test_a_mapping_of_another_kind_is_refused(tmp_path: Path, mapping: Any) -> None:
    as_csv(tmp_path / "crm.csv")
    with pytest.raises(InputError, match="A mapping or its TOML file is wanted here"):
        read_customers(tmp_path / "crm.csv", mapping=mapping)


@pytest.mark.parametrize("constants", [42, "source", ["source"], {"source": 7}])
def test_constants_of_another_kind_are_refused(tmp_path: Path, constants: Any) -> None:
    as_csv(tmp_path / "crm.csv")
    with pytest.raises(InputError, match="constants"):
        read_customers(tmp_path / "crm.csv", constants=constants)


# --- through a mapping


def test_an_erp_export_is_read_through_its_mapping(tmp_path: Path) -> None:
    toml = tmp_path / "erp.toml"
    toml.write_text(
        '[columns]\ncustomer_id = "Kundennummer"\nupdated_at = "Geändert am"\ncustomer_name = "Firmenname"\n'
        'source = "Herkunft"\n[format]\ndatetime = "%d.%m.%Y %H:%M"\ntimezone = "Europe/Berlin"\nnulls = ["-"]\n'
        '[delivery]\nkind = "changes"\n[corrections]\ntrim_spaces = true\n',
        encoding="utf-8",
    )
    text = (
        "Kundennummer;Firmenname;Ort;Geändert am;Herkunft\n"
        "00123; Müller ;Köln;28.01.2025 10:00;ERP\n1E5;-;;01.07.2025 10:00;\n"
    )
    delivery = read(tmp_path, text, codec="cp1252", mapping=toml)
    frame = delivery.frame
    assert list(frame.columns) == list(CUSTOMER.names)
    assert frame.index.tolist() == [2, 3]
    assert (frame.index.name, frame.index.dtype) == ("source_row", "int64")
    assert frame["customer_id"].tolist() == ["00123", "1E5"]
    assert frame["customer_name"].fillna("null").tolist() == [" Müller ", "null"]
    assert frame["source"].fillna("null").tolist() == ["ERP", "null"]
    assert frame["updated_at"].tolist() == [utc("2025-01-28T09:00"), utc("2025-07-01T08:00")]
    assert str(frame["updated_at"].dtype) == "datetime64[us, UTC]"
    assert {str(frame[c].dtype) for c in TEXT} == {"str"}
    assert delivery.given == ("customer_id", "updated_at", "customer_name", "source")
    assert frame["customer_category"].isna().all()
    assert delivery.names["updated_at"] == "Geändert am"
    assert (delivery.kind, delivery.corrections, delivery.source) == ("changes", {"trim_spaces": True}, "crm.csv")
    assert delivery.notes == (
        "cp1252, assumed, not UTF-8 at byte 30, line 1",
        "delimiter ';', detected",
        "columns left out: Ort",
    )


def test_without_a_mapping_columns_go_by_their_names_in_any_case(tmp_path: Path) -> None:
    delivery = read(tmp_path, "UPDATED_AT, Customer_Id ,Note\n2025-01-28T10:00:00Z,7,x\n")
    assert delivery.frame["customer_id"].tolist() == ["7"]
    assert delivery.given == ("customer_id", "updated_at")
    assert delivery.names == {"customer_id": " Customer_Id ", "updated_at": "UPDATED_AT"}


def test_nothing_is_guessed(tmp_path: Path) -> None:
    cells = ["00123", "1E5", "NA", "NaN", "null", "TRUE", " ", "12345678901234567890", "2025-01-01", "=1+1", "'7"]
    rows = "".join(f"{cell};2025-01-28T10:00:00Z\n" for cell in cells)
    assert read(tmp_path, "customer_id;updated_at\n" + rows).frame["customer_id"].tolist() == cells


def test_null_spellings_are_compared_exactly(tmp_path: Path) -> None:
    text = "customer_id,updated_at,customer_name\n" + "".join(
        f"{i},2025-01-28T10:00:00Z,{name}\n" for i, name in enumerate(["-", " -", "--", "n/a", "N/A", ""])
    )
    names = read(tmp_path, text, mapping=Mapping(nulls=("-", "n/a"))).frame["customer_name"]
    assert names.isna().tolist() == [True, False, False, True, False, True]


def test_constants_supply_columns_and_go_over_the_file(tmp_path: Path) -> None:
    delivery = read(
        tmp_path,
        "customer_id,source,customer_name\n1,ERP,a\n2,ERP,b\n",
        constants={"source": "customer", "updated_at": "2012-12-27T00:00:00Z", "customer_category": ""},
    )
    frame = delivery.frame
    assert frame["source"].tolist() == ["customer"] * 2
    assert frame["updated_at"].tolist() == [utc("2012-12-27")] * 2
    assert frame["customer_category"].isna().all()
    assert delivery.given == ("customer_id", "updated_at", "customer_name", "customer_category", "source")
    assert "columns left out: source" in delivery.notes


def test_a_constant_time_is_parsed_as_the_mapping_says(tmp_path: Path) -> None:
    for constant in ("27.12.2012", "2012-12-27"):
        mapping = Mapping(datetime="%d.%m.%Y", timezone="Europe/Berlin", constants={"updated_at": constant})
        frame = read(tmp_path, "customer_id\n1\n", mapping=mapping).frame
        assert frame["updated_at"].tolist() == [utc("2012-12-26T23:00")]
    with pytest.raises(MappingError, match=r"constant updated_at names no time zone.*timezone = "):
        read(tmp_path, "customer_id\n1\n", constants={"updated_at": "2012-12-27"})
    for constant in ("soon", "", "2025-02-30T00:00:00Z"):
        with pytest.raises(MappingError, match="constant updated_at is not a time"):
            read(tmp_path, "customer_id\n1\n", constants={"updated_at": constant})
    with pytest.raises(MappingError, match=r"did you mean 'updated_at'\?"):
        read(tmp_path, "customer_id\n1\n", constants={"updated": "2012-12-27"})


def test_a_cell_that_is_not_a_time_keeps_its_text(tmp_path: Path) -> None:
    text = "customer_id,updated_at\n1,2025-01-28T10:00:00Z\n2,soon\n3,\n4,2025-02-30\n"
    times = read(tmp_path, text, mapping=Mapping(timezone="UTC")).frame["updated_at"]
    assert times.dtype == object
    assert times.loc[2] == utc("2025-01-28T10:00")
    assert times.loc[[3, 5]].tolist() == ["soon", "2025-02-30"]
    assert pd.isna(times.loc[4])


@pytest.mark.parametrize(
    ("case", "times"),
    [
        ("F03_ddmmyyyy_lost_zero", ["1122026", "2026-05-23 00:00:00+00:00"]),
        (
            "F04_second_61_and_7_digits",
            ["2026-05-23 14:35:61.0", "2026-05-23 14:35:00.1234567", "2026-05-23 14:35:00.123456789"],
        ),
    ],
)
def test_no_digit_of_a_time_is_lost(case: str, times: list[str]) -> None:
    delivery = read_customers(CASES / f"{case}.csv", mapping=CASES / f"{case}.toml")
    assert delivery.frame["updated_at"].map(str).tolist() == times


def days(tmp_path: Path, form: str, n: int = 28, **options: Any) -> Delivery:
    cells = [dt.datetime(2026, 5, 1 + i % 28, 9, 30).strftime(form) for i in range(n)]
    text = "customer_id,updated_at\n" + "".join(f"{i},{cell}\n" for i, cell in enumerate(cells))
    return read(tmp_path, text, mapping=Mapping(timezone="UTC", **options))


def test_the_pattern_that_reads_all_is_known_where_the_stated_one_does_not(tmp_path: Path) -> None:
    assert days(tmp_path, "%d/%m/%Y", datetime="%m/%d/%Y").other_pattern == "%d/%m/%Y"
    assert days(tmp_path, "%m/%d/%Y", datetime="%d/%m/%Y").other_pattern == "%m/%d/%Y"
    assert days(tmp_path, "%d.%m.%Y %H:%M").other_pattern == "%d.%m.%Y %H:%M"  # ISO 8601 by default
    assert days(tmp_path, "%Y-%m-%d", datetime="%d.%m.%Y").other_pattern == ""
    assert days(tmp_path, "%d.%m.%Y %H:%M", datetime="%d.%m.%Y").other_pattern == "%d.%m.%Y %H:%M"
    assert days(tmp_path, "%d.%m.%Y", datetime="%d.%m.%Y").other_pattern is None
    assert days(tmp_path, "%d/%m/%Y", 12, datetime="%d.%m.%Y").other_pattern is None  # day and month may be exchanged
    assert days(tmp_path, "soon", datetime="%d.%m.%Y").other_pattern is None
    assert days(tmp_path, "%d/%m/%Y", 15, datetime="%m/%d/%Y").other_pattern is None  # only three cells are unread
    assert days(tmp_path, "%d/%m/%Y", 16, datetime="%m/%d/%Y").other_pattern == "%d/%m/%Y"


def test_a_naive_time_without_a_zone_names_the_row_and_the_way_out(tmp_path: Path) -> None:
    text = "customer_id,updated_at\n1,2025-01-28T10:00:00Z\n\n2,2025-01-28 10:00\n3,2025-01-28\n"
    with pytest.raises(ReadingError, match=r"crm\.csv: updated_at .* row 4.*timezone = .*\[format\]") as error:
        read(tmp_path, text)
    assert "2025" not in str(error.value)
    with pytest.raises(ReadingError, match="first in row 2"):
        read(tmp_path, "customer_id,updated_at\n1,28.01.2025\n", mapping=Mapping(datetime="%d.%m.%Y"))


def test_a_pattern_with_an_offset_needs_no_zone(tmp_path: Path) -> None:
    text = "customer_id,updated_at\n1,28.01.2025 10:00 +0200\n"
    frame = read(tmp_path, text, mapping=Mapping(datetime="%d.%m.%Y %H:%M %z")).frame
    assert frame["updated_at"].tolist() == [utc("2025-01-28T08:00")]


def test_broken_lines_stand_beside_the_frame(tmp_path: Path) -> None:
    zulu = "2025-01-28T10:00:00Z"
    text = f'updated_at,customer_id,customer_name\n{zulu},1,a\n{zulu},2,b,c\n{zulu},3,"d\n{zulu},4,e\n{zulu}\n'
    delivery = read(tmp_path, text)
    assert delivery.frame["customer_id"].tolist() == ["1", "4"]
    assert delivery.broken.index.tolist() == [3, 4, 6]
    assert delivery.broken["customer_id"].fillna("?").tolist() == ["2", "3", "?"]
    assert delivery.broken["text"].tolist() == [f"{zulu},2,b,c", f'{zulu},3,"d', zulu]
    assert {str(t) for t in delivery.broken.dtypes} == {"str"}
    assert read(tmp_path, "customer_id,updated_at\n1,2,3\n").n_broken == 1


@pytest.mark.parametrize(
    ("text", "options", "kind", "words"),
    [
        ("", {}, ReadingError, "is empty"),
        ("a,b\n1,2\n", {}, ReadingError, "no header in row 1: no cell .* customer_id.*mapping"),
        (",\n1,2\n", {}, ReadingError, "no header in row 1"),
        ("customer_id,updated_at\n\n", {}, ReadingError, "no rows"),
        ("customer_id,updatedat\n1,2\n", {}, ReadingError, r"lacks the column updated_at.*did you mean 'updatedat'\?"),
        (
            "customer_id,updated_at,Customer_ID\n1,2,3\n",
            {},
            ReadingError,
            r"'customer_id' \(column 1\) and 'Customer_ID' \(column 3\)",
        ),
        (
            "No,Changed,NO\n1,2,3\n",
            {"columns": {"customer_id": "No", "updated_at": "Changed"}},
            ReadingError,
            r"'No' \(column 1\) and 'NO' \(column 3\)",
        ),
        (
            "e-mail,Changed\n1,2\n",
            {"columns": {"customer_id": "email", "updated_at": "Updated"}},
            MappingError,
            r"crm\.csv lacks columns that the mapping names: 'email' \(did you mean 'e-mail'\?\), 'Updated'\. Fix",
        ),
        ("No,Changed\n1,2\n", {"columns": {"customer_id": "No"}}, MappingError, "names no column for updated_at"),
    ],
)
def test_what_is_not_a_customer_table_says_so(
    tmp_path: Path, text: str, options: dict[str, Any], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        read(tmp_path, text, mapping=Mapping(**options))


def test_excel_reads_as_csv_does(tmp_path: Path) -> None:
    book = Workbook()
    assert book.active is not None
    for row in [
        ["Customer No.", "Last Change", "Name"],
        [123, dt.datetime(2025, 1, 28, 10, 0), "Müller"],
        [],
        ["00124", "29.01.2025", "Meier"],
        ["125", dt.date(2025, 1, 30), None],
        ["126", 45000, "a number is no time"],
    ]:
        book.active.append(row)
    book.active["A2"].number_format = "00000"
    book.save(tmp_path / "crm.xlsx")
    columns = {"customer_id": "Customer No.", "updated_at": "Last Change", "customer_name": "Name"}
    mapping = Mapping(columns=columns, datetime="%d.%m.%Y", timezone="Europe/Berlin")
    delivery = read_customers(tmp_path / "crm.xlsx", mapping=mapping)
    assert delivery.frame["customer_id"].to_dict() == {2: "00123", 4: "00124", 5: "125", 6: "126"}
    assert delivery.frame["updated_at"].tolist() == [
        utc("2025-01-28T09:00"),
        utc("2025-01-28T23:00"),
        utc("2025-01-29T23:00"),
        "45000",
    ]
    assert delivery.frame["customer_name"].isna().tolist() == [False, False, True, False]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"columns": {"customer_nam": "Name"}}, r"\[columns\] contains 'customer_nam'.*did you mean 'customer_name'\?"),
        ({"constants": {"sorce": "peak"}}, r"\[constants\] contains 'sorce'.*did you mean 'source'\?"),
    ],
)
def test_a_mapping_names_columns_of_the_schema_only(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(MappingError, match=words):
        read(tmp_path, "customer_id,updated_at\n1,2\n", mapping=Mapping(**options))


def test_custom_attributes_come_from_the_settings(tmp_path: Path) -> None:
    text = f"customer_id,updated_at,Region\n1,{AT},EU\n2,{AT},\n"
    settings = Settings(attributes=(CustomAttribute("region"), CustomAttribute("tier")))
    delivery = read(tmp_path, text, settings=settings)
    assert delivery.frame["region"].fillna("null").tolist() == ["EU", "null"]
    assert "tier" not in delivery.frame
    assert delivery.given == ("customer_id", "updated_at", "region")
    named = Mapping(columns={"customer_id": "customer_id", "updated_at": "updated_at", "tier": "Region"})
    assert read(tmp_path, text, mapping=named, settings=settings).frame["tier"].iloc[0] == "EU"
    assert "region" not in read(tmp_path, text).frame


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes on this system")
def test_a_pipe_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "crm.csv")
    (tmp_path / "link.csv").symlink_to("/dev/zero")
    for name in ("crm.csv", "link.csv"):
        with pytest.raises(ReadingError, match=f"{name} is a pipe or a device"):
            read_customers(tmp_path / name)


@pytest.mark.parametrize("path", ["a\0.csv", "a\0/crm.csv"])
def test_a_path_with_a_nul_is_no_path(path: str) -> None:
    with pytest.raises(ReadingError, match="The path contains a NUL"):
        read_customers(path)
