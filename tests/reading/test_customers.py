import datetime as dt
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from toolkit.errors import MappingError, ReadingError
from toolkit.model.contract import CUSTOMER
from toolkit.model.delivery import Delivery
from toolkit.model.times import parse_times
from toolkit.reading.customers import read_customers
from toolkit.reading.mapping import Mapping

TEXT = [c.name for c in CUSTOMER.columns if c.kind == "string"]


def read(tmp_path: Path, text: str, *, codec: str = "utf-8", **options: Any) -> Delivery:
    path = tmp_path / "crm.csv"
    path.write_bytes(text.encode(codec))
    return read_customers(path, **options)


def utc(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz="UTC")


def test_an_erp_export_is_read_through_its_mapping(tmp_path: Path) -> None:
    toml = tmp_path / "erp.toml"
    toml.write_text(
        '[columns]\ncustomer_id = "Kundennummer"\nupdated_at = "Geändert am"\ncustomer_name = "Firmenname"\n'
        'source = "Herkunft"\n[format]\ndatetime = "%d.%m.%Y %H:%M"\ntimezone = "Europe/Berlin"\nnulls = ["-"]\n'
        '[delivery]\nkind = "changes"\n[corrections]\ntrim = true\n',
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
    assert (delivery.kind, delivery.corrections, delivery.source) == ("changes", {"trim": True}, "crm.csv")
    assert delivery.notes == (
        "cp1252, detected, not UTF-8 at byte 30, line 1",
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
            r"crm\.csv lacks columns that the mapping names: 'email', did you mean 'e-mail'\? 'Updated'",
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


# --- times


def parsed(cells: list[str | None], **options: Any) -> list[str]:
    times = parse_times(pa.chunked_array([pa.array(cells, pa.string())]), **options)
    return [
        "naive" if naive else "text" if text else "null" if pd.isna(value) else value.isoformat()
        for value, text, naive in zip(times.values, times.unparsed, times.naive, strict=True)
    ]


def test_iso_8601_is_read_strictly() -> None:
    good = {
        "2025-01-28T10:00:00Z": "2025-01-28T10:00:00+00:00",
        "2025-01-28 10:00:00.123456Z": "2025-01-28T10:00:00.123456+00:00",
        "2025-01-28T10:00+02:00": "2025-01-28T08:00:00+00:00",
        "1500-01-01T00:00:00-05:30": "1500-01-01T05:30:00+00:00",
        "9999-12-31T23:59:59.999999Z": "9999-12-31T23:59:59.999999+00:00",
        "2025-01-28T10:00:00": "naive",
        "2025-01-28": "naive",
    }
    assert dict(zip(good, parsed(list(good)), strict=True)) == good
    bad = [
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "2025-02-30",
        "2025-1-28",
        "20250128",
        "2025-01",
        "2025",
        "now",
        "today",
        "NaT",
        "2025-01-28T24:00:00Z",
        "2025-01-28T10:00:60Z",
        "2025-01-28T10",
        "2025-01-28Z",
        "2025-01-28T10:00:00.1234567Z",
        "28.01.2025",
        "2025-01-28T10:00:00+0100",
        "2025-01-28t10:00:00z",
        "1738058400",
        "٢٠٢٥-٠١-٢٨",
    ]
    assert {cell: got for cell, got in zip(bad, parsed(bad), strict=True) if got != "text"} == {}
    assert parsed([" 2025-01-28", "2025-01-28\n", "2025-01-28  10:00", None]) == ["text", "text", "text", "null"]


def test_a_pattern_never_takes_words_for_times() -> None:
    cells = ["now", "today", "NaT", "2025-01-28", "28.01.2025", "31.12.9999", "30.02.2025", None]
    assert parsed(cells, pattern="%d.%m.%Y", timezone="UTC") == [
        *["text"] * 4,
        "2025-01-28T00:00:00+00:00",
        "9999-12-31T00:00:00+00:00",
        "text",
        "null",
    ]


def test_a_local_time_that_the_clocks_skip_or_repeat_does_not_parse() -> None:
    cells = ["2025-03-30 02:30", "2025-10-26 02:30", "2025-03-30 01:59", "2025-10-26 03:00"]
    assert parsed(cells, timezone="Europe/Berlin") == [
        "text",
        "text",
        "2025-03-30T00:59:00+00:00",
        "2025-10-26T02:00:00+00:00",
    ]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Pacific/Auckland"])
def test_the_ends_of_the_calendar_do_not_stop_a_file(zone: str) -> None:
    cells = [
        "0001-01-01 00:00",
        "0001-01-01 23:00",
        "9999-12-31",
        "9999-12-31 23:59:59.999999",
        "0000-05-05",
        "2025-01-28",
    ]
    got = parsed(cells, timezone=zone)
    assert got[4] == "text"
    assert got[5].startswith("2025-01-2")
    for cell, text in zip(cells[:4], got[:4], strict=True):
        assert text == "text" or text[:4] == cell[:4]


@settings(deadline=None, max_examples=200)
@given(
    st.datetimes(min_value=dt.datetime(1, 1, 3), max_value=dt.datetime(9999, 12, 29)),
    st.integers(-23 * 60, 23 * 60).map(lambda m: dt.timezone(dt.timedelta(minutes=m))),
    st.sampled_from("T "),
)
@example(dt.datetime(1969, 12, 31, 23, 59, 59, 999999), dt.UTC, "T")
def test_what_python_writes_is_what_is_read(moment: dt.datetime, zone: dt.timezone, separator: str) -> None:
    aware = moment.replace(tzinfo=zone)
    [got] = parsed([aware.isoformat(separator)])
    assert dt.datetime.fromisoformat(got) == aware
