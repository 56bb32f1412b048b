"""What is proposed for a stranger's file: by name, by content, and nothing in doubt."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.errors import MappingError, ReadingError
from toolkit.model.contract import CUSTOMER
from toolkit.model.times import parse_times
from toolkit.quality import called_for
from toolkit.reading.column_names import match_name
from toolkit.reading.customers import read_customers
from toolkit.reading.date_patterns import DatePattern, infer_pattern
from toolkit.reading.mapping import Mapping
from toolkit.reading.suggestion import quote, suggest_mapping

ROOT = Path(__file__).resolve().parents[2]
SP500 = ROOT.parent / "shared" / "data" / "sp500"


def inferred(*cells: str, iso_too: bool = False) -> DatePattern:
    return infer_pattern(pa.chunked_array([pa.array(cells, pa.large_string())]), iso_too=iso_too)


@pytest.mark.parametrize("name", ["2026-09-01_customers.csv", "2026-10-01_customers.xlsx"])
def test_a_shipped_delivery_is_suggested_as_its_mapping_has_it(name: str, tmp_path: Path) -> None:
    path = ROOT / "data" / name
    shipped = Mapping.load(path.with_suffix(".toml"))
    suggestion = suggest_mapping(path)
    assert suggestion.columns == shipped.columns
    assert suggestion.mapping.datetime == shipped.datetime
    assert suggestion.mapping.timezone is None
    draft = suggestion.to_toml(tmp_path / "m.toml")
    decided = draft.read_text(encoding="utf-8").replace("# timezone", "timezone").replace("# nulls", "nulls")
    draft.write_text(decided, encoding="utf-8")
    loaded = Mapping.load(draft)
    assert loaded.nulls == shipped.nulls
    pd.testing.assert_frame_equal(
        read_customers(path, mapping=loaded).frame, read_customers(path, mapping=shipped).frame
    )


@pytest.mark.parametrize("path", sorted(SP500.glob("*.csv")), ids=lambda p: p.stem[-10:])
def test_the_constituents_are_read_as_their_page_says(path: Path) -> None:
    suggestion = suggest_mapping(path)
    header = path.read_text(encoding="utf-8").splitlines()[0].split(",")
    wanted = {"customer_id": "Symbol", "customer_name": header[1], "customer_category": header[2]}
    if "GICS Sub-Industry" in header:
        wanted["customer_subcategory"] = "GICS Sub-Industry"
    assert suggestion.columns == wanted  # the date a company was added is no date of change


HEADERS = [
    ("Kundennummer", "customer_id"), ("Kunden-Nr.", "customer_id"), ("KUNNR", "customer_id"),
    ("Kd.-Nr.", "customer_id"),
    ("Customer No.", "customer_id"), ("CUST_ID", "customer_id"), ("AccountNumber", "customer_id"),
    ("N° client", "customer_id"), ("Code client", "customer_id"), ("Número de cliente", "customer_id"),
    ("Codice cliente", "customer_id"), ("Klantnummer", "customer_id"), ("Numer klienta", "customer_id"),
    ("Kundenummer", "customer_id"), ("KNA1-KUNNR", "customer_id"), ("Customer-ID", "customer_id"),
    ("Geändert am", "updated_at"), ("geaendert_am", "updated_at"), ("LastModifiedDate", "updated_at"),
    ("modifiedon", "updated_at"), ("hs_lastmodifieddate", "updated_at"), ("AEDAT", "updated_at"),
    ("Date de modification", "updated_at"), ("Fecha de actualización", "updated_at"), ("Data modifica", "updated_at"),
    ("Laatst gewijzigd", "updated_at"), ("Data modyfikacji", "updated_at"), ("write_date", "updated_at"),
    ("Raison sociale", "customer_name"), ("Firma", "customer_name"), ("NAME1", "customer_name"),
    ("Razón social", "customer_name"), ("Ragione sociale", "customer_name"), ("Bedrijfsnaam", "customer_name"),
    ("Nazwa firmy", "customer_name"), ("companyname", "customer_name"), ("Account Name", "customer_name"),
    ("KDGRP", "customer_category"), ("Kundengruppe", "customer_category"), ("Customer Group", "customer_category"),
    ("Catégorie client", "customer_category"), ("Klantgroep", "customer_category"),
    ("Branche", "customer_subcategory"), ("BRSCH", "customer_subcategory"), ("Sous-catégorie", "customer_subcategory"),
    ("Branża", "customer_subcategory"), ("PLTYP", "customer_price_list_id"), ("Preisliste", "customer_price_list_id"),
    ("Price_List__c", "customer_price_list_id"), ("Listino prezzi", "customer_price_list_id"),
    ("Pricebook2Id", "customer_price_list_id"), ("Cennik", "customer_price_list_id"), ("Herkunft", "source"),
    ("Źródło danych", "source"), ("Bron", "source"), ("Customer Price List ID", "customer_price_list_id"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "column"), HEADERS)
def test_a_spelling_speaks_for_its_column_most_of_all(name: str, column: str) -> None:
    scores = {c: match_name(name, c).score for c in CUSTOMER.names}
    assert scores[column] >= 0.7
    assert [c for c, s in scores.items() if s >= scores[column]] == [column]


@pytest.mark.parametrize("name", ["Parent Account ID", "Contact Name", "Created Date", "Ort", "E-Mail"])
def test_a_name_of_something_else_is_not_taken(name: str) -> None:
    frame = pd.DataFrame({name: ["alpha one", "beta two", "gamma six"]})
    assert suggest_mapping(frame).columns == {}


def test_two_columns_that_fit_alike_are_said_and_neither_is_chosen(tmp_path: Path) -> None:
    frame = pd.DataFrame({"Customer ID": ["A1", "A2"], "Customer No.": ["B1", "B2"], "Name": ["Acme AG", "Bolt KG"]})
    suggestion = suggest_mapping(frame)
    assert suggestion.columns == {"customer_id": "Customer ID", "customer_name": "Name"}  # the schema's own word
    tied = suggest_mapping(frame.rename(columns={"Customer ID": "Kundennummer"}))
    assert tied.proposals[0].state == "ambiguous"
    assert {c.name for c in tied.proposals[0].others} == {"Kundennummer", "Customer No."}
    text = tied.to_toml(tmp_path / "m.toml").read_text(encoding="utf-8")
    assert '\n# customer_id = "Customer No."' in text
    assert "customer_id is ambiguous" in tied.summary()


def test_content_speaks_where_names_say_nothing() -> None:
    rows = [(f"C-{i:04}", f"{'ABCDEFGH'[i % 8]}{i} Werke GmbH", f"2026-01-{i % 28 + 1:02}T10:00:00Z", "ERP")
            for i in range(60)]  # fmt: skip
    suggestion = suggest_mapping(pd.DataFrame(rows, columns=["f1", "f2", "f3", "f4"]))
    assert suggestion.columns == {"customer_id": "f1", "customer_name": "f2", "updated_at": "f3", "source": "f4"}
    assert called_for(suggestion.sample) == {"source_to_customer": 60}


def test_a_lead_source_is_no_source() -> None:
    frame = pd.DataFrame({"Id": ["1", "2"], "Source": ["Web", "Trade show"]})
    assert "source" not in suggest_mapping(frame).columns


def test_names_that_stand_twice_and_none_at_all_are_noted() -> None:
    frame = pd.DataFrame([["1", "a", "b", "c"]], columns=["Kundennummer", "Name", "name ", ""])
    suggestion = suggest_mapping(frame)
    assert suggestion.columns == {"customer_id": "Kundennummer"}
    assert "stand twice" in " ".join(suggestion.notes)
    assert "without a name" in " ".join(suggestion.notes)


def test_a_table_without_a_name_is_an_error_and_one_without_rows_is_not() -> None:
    with pytest.raises(ReadingError, match="check its header"):
        suggest_mapping(pd.DataFrame())
    empty = pd.DataFrame({"Kundennummer": pd.Series([], dtype="str")})
    assert suggest_mapping(empty).columns == {"customer_id": "Kundennummer"}


def test_of_very_many_columns_those_with_fitting_names_are_looked_at() -> None:
    wide = pd.DataFrame([["a"] * 120 + ["K1"]], columns=[*(f"col {i}" for i in range(120)), "Kundennummer"])
    suggestion = suggest_mapping(wide)
    assert suggestion.columns == {"customer_id": "Kundennummer"}
    assert "121 columns" in " ".join(suggestion.notes)


def test_a_mapping_is_not_written_over_unasked(tmp_path: Path) -> None:
    suggestion = suggest_mapping(pd.DataFrame({"Kundennummer": ["1"]}))
    path = suggestion.to_toml(tmp_path / "m.toml")
    with pytest.raises(MappingError, match="overwrite=True"):
        suggestion.to_toml(path)
    assert suggestion.to_toml(path, overwrite=True) == path
    with pytest.raises(MappingError, match="cannot be written"):
        suggestion.to_toml(tmp_path / "no" / "m.toml")


NASTY = st.text(st.characters(codec="utf-8"), max_size=12).map(lambda t: f"Kundennummer {t}")


@settings(max_examples=12)  # each makes a whole suggestion
@given(name=NASTY | st.sampled_from(['Kundennummer "a"\n[x]\\', "Kundennummer \x00\x1f\x7f\u2028\u202e🙈"]))
def test_a_hostile_name_comes_back_from_toml_as_it_was(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    suggestion = suggest_mapping(pd.DataFrame({name: ["A1", "A2"]}))
    path = suggestion.to_toml(tmp_path_factory.mktemp("m") / "m.toml")
    assert Mapping.load(path).columns == suggestion.columns
    assert quote(name).isprintable()


def test_an_ambiguous_pattern_is_named_both_ways_and_chosen_neither(tmp_path: Path) -> None:
    frame = pd.DataFrame({"Kundennummer": ["A1", "A2"], "Geändert am": ["03/04/2026", "05/06/2026"]})
    suggestion = suggest_mapping(frame)
    assert suggestion.mapping.datetime is None
    assert "updated_at's pattern is ambiguous" in repr(suggestion)
    text = suggestion.to_toml(tmp_path / "m.toml").read_text(encoding="utf-8")
    assert '# datetime = "%d/%m/%Y"' in text
    assert '# datetime = "%m/%d/%Y"' in text
    assert "\ndatetime" not in text
    assert "a day after the 12th" in text


@pytest.mark.parametrize(
    ("cells", "state", "pattern"),
    [
        (["03-Apr-2026", "04-May-2026"], "found", "%d-%b-%Y"),
        (["March 3, 2026"], "found", "%B %d, %Y"),
        (["3/4/2026 1:05 PM", "13/4/2026 12:05 am"], "found", "%d/%m/%Y %I:%M %p"),
        (["20260304", "20261231"], "found", "%Y%m%d"),
        (["2026-03-04", "2026-03-04T10:00:00Z"], "found", None),
        (["2026-03-04 10:00:00+0100"], "found", "%Y-%m-%d %H:%M:%S%z"),
        (["2026/3/4"], "found", "%Y/%m/%d"),
        (["31.02.2026", "03.04.2026"], "ambiguous", None),
        (["26.03.04", "12.03.04"], "ambiguous", None),
        (["26.03.04", "32.03.04"], "found", "%y.%m.%d"),
        (["03/14/2026", "15/06/2026"], "mixed", None),
        (["13.04.2026", "2026-04-13T10:00"], "mixed", None),
        (["3. März 2026", "15. April 2026"], "unreadable", None),
        (["3 kwietnia 2026"], "unreadable", None),
        (["45990", "45991.5"], "unreadable", None),
        (["1764000000"], "unreadable", None),
        (["1764000000000"], "unreadable", None),
        (["soon", "later"], "none", None),
        ([], "none", None),
    ],
)
def test_a_column_of_times_says_how_it_is_written(cells: list[str], state: str, pattern: str | None) -> None:
    found = inferred(*cells)
    assert (found.state, found.pattern) == (state, pattern)


def test_mixed_patterns_are_counted() -> None:
    found = inferred(*["13.04.2026"] * 3, *["2026/04/13"] * 2)
    assert [(r.pattern, r.n_cells) for r in found.readings] == [("%d.%m.%Y", 3), ("%Y/%m/%d", 2)]


def test_times_held_as_times_leave_the_pattern_to_the_texts() -> None:
    assert inferred("2026-03-04T10:00:00", "13.03.2026", iso_too=True).pattern == "%d.%m.%Y"


DAYS = st.dates(date(1970, 1, 1), date(2060, 12, 31))
SHAPES = st.sampled_from(["%d{0}%m{0}%Y", "%m{0}%d{0}%Y"])
CLOCKS = st.sampled_from(["", " %H:%M", " %H:%M:%S", "T%H:%M", ", %I:%M %p", " %H:%M %z"])


def written(days: list[date], pattern: str) -> list[str]:
    start = datetime.fromisoformat("2000-01-01T01:02:03+00:00")
    return [start.replace(year=d.year, month=d.month, day=d.day).strftime(pattern) for d in days]


@given(days=st.lists(DAYS, min_size=1, max_size=8), shape=SHAPES, sep=st.sampled_from("./-"), clock=CLOCKS)
def test_days_up_to_the_twelfth_decide_nothing(days: list[date], shape: str, sep: str, clock: str) -> None:
    early = [d.replace(day=1 + d.day % 12) for d in days]
    found = inferred(*written(early, shape.format(sep) + clock))
    assert found.state == "ambiguous"
    assert found.pattern is None
    assert {r.pattern for r in found.readings} == {f"%d{sep}%m{sep}%Y{clock}", f"%m{sep}%d{sep}%Y{clock}"}


@given(days=st.lists(DAYS, max_size=8), one=DAYS, shape=SHAPES, sep=st.sampled_from("./-"), clock=CLOCKS)
def test_one_later_day_decides_and_every_cell_parses(
    days: list[date], one: date, shape: str, sep: str, clock: str
) -> None:
    decisive = one.replace(day=13) + timedelta(days=one.day % 14)
    cells = written([*days, decisive], shape.format(sep) + clock)
    found = inferred(*cells)
    assert found.pattern == shape.format(sep) + clock
    times = parse_times(pa.chunked_array([cells]), pattern=found.pattern, timezone="UTC")
    assert times.values.notna().all()
    assert times.values.dt.date.tolist() == [*days, decisive]


def test_the_faces_show_hostile_cells_as_text() -> None:
    evil = "<script>alert(1)</script>"
    suggestion = suggest_mapping(pd.DataFrame({"Kundennummer": [f"{evil}", "b"], f"Firma {evil}": ["Acme AG", evil]}))
    assert "<script" not in suggestion.body()
    assert "&lt;script" in suggestion.body()
    assert set(suggestion.to_dict()["columns"]) == set(CUSTOMER.names)
    assert "\n" not in repr(suggestion)


def test_a_stated_mapping_goes_before() -> None:
    frame = pd.DataFrame({"Kundennummer": ["1"], "Herkunft": ["peak"]})
    stated = Mapping(constants={"source": "customer"}, timezone="Europe/Berlin")
    suggestion = suggest_mapping(frame, mapping=stated)
    assert suggestion.mapping == replace(stated, columns={"customer_id": "Kundennummer"})
