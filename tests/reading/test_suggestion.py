"""What is proposed for an unknown file: by name, by content, and nothing in doubt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.cases import CASES
from tests.support.pages import Page
from toolkit.cli.terminal import lines_of
from toolkit.config import Settings
from toolkit.errors import InputError, MappingError, ReadingError
from toolkit.model import CUSTOMER, CustomAttribute
from toolkit.quality import called_for
from toolkit.reading import Mapping, read_customers, suggest_mapping
from toolkit.reading.suggestion import Candidate, _assign, quote

ROOT = Path(__file__).resolve().parents[2]


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


# Two headers of the list of the companies in the S&P 500, as published in 2012 and 2026.
FIRST, LAST = "Symbol,Name,Sector", "Symbol,Security,GICS Sector,GICS Sub-Industry,Location,Date added,CIK,Founded"
COMPANIES = [
    ("MMM", "3M", "Industrials", "Industrial Conglomerates", "Saint Paul, Minnesota", "1957-03-04",
     "0000066740", "1902"),
    ("AOS", "A. O. Smith", "Industrials", "Building Products", "Milwaukee, Wisconsin", "2017-07-26",
     "0000091142", "1916"),
    ("ABT", "Abbott Laboratories", "Health Care", "Health Care Equipment", "North Chicago, Illinois", "1957-03-04",
     "0000001800", "1888"),
    ("ACN", "Accenture", "Information Technology", "IT Consulting & Other Services", "Dublin, Ireland", "2011-07-06",
     "0001467373", "1989"),
    ("ADBE", "Adobe Inc.", "Information Technology", "Application Software", "San Jose, California", "1997-05-05",
     "0000796343", "1982"),
]  # fmt: skip


@pytest.mark.parametrize("header", [FIRST, LAST])
def test_a_public_list_of_companies_is_read_as_its_page_says(header: str) -> None:
    names = header.split(",")
    frame = pd.DataFrame([row[: len(names)] for row in COMPANIES], columns=names)
    wanted = {"customer_id": names[0], "customer_name": names[1], "customer_category": names[2]}
    if header == LAST:
        wanted["customer_subcategory"] = "GICS Sub-Industry"
    assert suggest_mapping(frame).columns == wanted  # the date a company was added is no date of change


def test_what_only_the_analyst_knows_is_asked_for() -> None:
    frame = pd.DataFrame(
        {"Kunden-Nr.": ["007", "008"], "Geändert am": ["31.01.2026 10:00", "16.02.2026 11:30"], "Ort": ["Ulm", "Kiel"]}
    )
    asked = Page(suggest_mapping(frame).body())
    assert asked.parts["time zone to state"] == 1
    assert 'timezone = "…"' in asked.code
    assert "Columns of the file that are not used: Ort." in asked.text
    known = Page(suggest_mapping(frame.drop(columns="Ort"), mapping=Mapping(timezone="Europe/Berlin")).body())
    assert "time zone to state" not in known.parts
    assert 'timezone = "…"' not in known.code
    assert "not used" not in known.text


def test_of_two_columns_that_fit_alike_neither_is_chosen(tmp_path: Path) -> None:
    frame = pd.DataFrame({"Customer ID": ["A1", "A2"], "Customer No.": ["B1", "B2"], "Name": ["Acme AG", "Bolt KG"]})
    suggestion = suggest_mapping(frame)
    assert suggestion.columns == {"customer_id": "Customer ID", "customer_name": "Name"}  # the schema's own word
    tied = suggest_mapping(frame.rename(columns={"Customer ID": "Kundennummer"}))
    assert tied.proposals[0].state == "ambiguous"
    assert {c.name for c in tied.proposals[0].others} == {"Kundennummer", "Customer No."}
    text = tied.to_toml(tmp_path / "m.toml").read_text(encoding="utf-8")
    assert '\n# customer_id = "Customer No."' in text
    assert "customer_id is ambiguous" in tied.summary()


def test_content_decides_where_names_say_nothing() -> None:
    rows = [(f"C-{i:04}", f"{'ABCDEFGH'[i % 8]}{i} Werke GmbH", f"2026-01-{i % 28 + 1:02}T10:00:00Z", "ERP")
            for i in range(60)]  # fmt: skip
    suggestion = suggest_mapping(pd.DataFrame(rows, columns=["f1", "f2", "f3", "f4"]))
    assert suggestion.columns == {"customer_id": "f1", "customer_name": "f2", "updated_at": "f3", "source": "f4"}
    assert called_for(suggestion.sample) == {"source_to_customer = true": 60}


def test_a_lead_source_is_no_source() -> None:
    frame = pd.DataFrame({"Id": ["1", "2"], "Source": ["Web", "Trade show"]})
    assert "source" not in suggest_mapping(frame).columns


def test_doubled_and_empty_names_are_noted() -> None:
    frame = pd.DataFrame([["1", "a", "b", "c"]], columns=["Kundennummer", "Name", "name ", ""])
    suggestion = suggest_mapping(frame)
    assert suggestion.columns == {"customer_id": "Kundennummer"}
    assert "names that two columns have" in " ".join(suggestion.notes)
    assert "without a name" in " ".join(suggestion.notes)


def test_a_table_without_a_name_is_an_error_and_one_without_rows_is_not() -> None:
    with pytest.raises(ReadingError, match="check its header"):
        suggest_mapping(pd.DataFrame())
    empty = pd.DataFrame({"Kundennummer": pd.Series([], dtype="str")})
    assert suggest_mapping(empty).columns == {"customer_id": "Kundennummer"}


def test_of_many_columns_those_with_fitting_names_are_looked_at() -> None:
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
    with pytest.raises(InputError, match="cannot be written"):
        suggestion.to_toml(tmp_path / "no" / "m.toml")


def test_what_is_stated_is_in_the_file_that_a_suggestion_becomes(tmp_path: Path) -> None:
    stated = Mapping(
        constants={"source": "peak"}, encoding="cp1252", timezone="Europe/Berlin", nulls=("-",), language="de",
        values={"customer_category": {"GK": "Key \"A\""}}, empty={"customer_name": "keep"},
        corrections={"trim_spaces": True, "pad_ids": 7, "patch": ["a.csv"], "map_source": {"A b": "peak"}},
    )  # fmt: skip
    suggestion = suggest_mapping(pd.DataFrame({"Kundennummer": ["1"]}), mapping=stated)
    loaded = Mapping.load(suggestion.to_toml(tmp_path / "m.toml"))
    assert {**loaded.content(), "corrections": {}} == {**suggestion.mapping.content(), "corrections": {}}
    assert loaded.corrections == stated.corrections | {"patch": [str(tmp_path / "a.csv")]}


NASTY = st.text(st.characters(codec="utf-8"), max_size=12).map(lambda t: f"Kundennummer {t}")


@settings(max_examples=12)  # each makes a whole suggestion
@given(name=NASTY | st.sampled_from(['Kundennummer "a"\n[x]\\', "Kundennummer \x00\x1f\x7f\u2028\u202e🙈"]))
def test_a_hostile_name_comes_back_from_toml_as_it_was(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    suggestion = suggest_mapping(pd.DataFrame({name: ["A1", "A2"]}))
    path = suggestion.to_toml(tmp_path_factory.mktemp("m") / "m.toml")
    assert Mapping.load(path).columns == suggestion.columns
    assert quote(name).isprintable()


def test_an_ambiguous_pattern_is_named_both_ways_and_not_chosen(tmp_path: Path) -> None:
    frame = pd.DataFrame({"Kundennummer": ["A1", "A2"], "Geändert am": ["03/04/2026", "05/06/2026"]})
    suggestion = suggest_mapping(frame)
    assert suggestion.mapping.datetime is None
    assert "updated_at's pattern is ambiguous" in repr(suggestion)
    text = suggestion.to_toml(tmp_path / "m.toml").read_text(encoding="utf-8")
    assert '# datetime = "%d/%m/%Y"' in text
    assert '# datetime = "%m/%d/%Y"' in text
    assert "\ndatetime" not in text
    assert "a day after the 12th" in text


def test_the_faces_show_hostile_cells_as_text() -> None:
    evil = "<script>alert(1)</script>"
    suggestion = suggest_mapping(pd.DataFrame({"Kundennummer": [f"{evil}", "b"], f"Firma {evil}": ["Acme AG", evil]}))
    assert "<script" not in suggestion.body()
    assert "&lt;script" in suggestion.body()
    assert set(suggestion.to_dict()["columns"]) == set(CUSTOMER.names)
    assert "\n" not in repr(suggestion)


def test_what_a_mapping_states_is_kept() -> None:
    frame = pd.DataFrame({"Kundennummer": ["1"], "Herkunft": ["peak"]})
    stated = Mapping(constants={"source": "customer"}, timezone="Europe/Berlin")
    suggestion = suggest_mapping(frame, mapping=stated)
    assert suggestion.mapping == replace(stated, columns={"customer_id": "Kundennummer"})


def test_a_mapping_may_be_its_file_and_custom_attributes_are_looked_for(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text('[constants]\nsource = "customer"\n', encoding="utf-8")
    frame = pd.DataFrame({"Kundennummer": ["1"], "Region": ["EU"], "Quelle": ["ERP"]})
    settings = Settings(attributes=(CustomAttribute("region"),))
    suggestion = suggest_mapping(frame, mapping=tmp_path / "m.toml", settings=settings)
    assert suggestion.columns == {"customer_id": "Kundennummer", "region": "Region"}
    assert suggestion.sample["region"].tolist() == ["EU"]
    assert suggest_mapping(frame).columns == {"customer_id": "Kundennummer", "source": "Quelle"}


@pytest.mark.parametrize("source", [None, 42, [], Mapping(), Settings])
def test_a_source_of_another_kind_is_refused(source: Any) -> None:
    with pytest.raises(
        InputError, match="A file, a folder, a frame, an Arrow table or an SQLAlchemy connection is wanted here"
    ):
        suggest_mapping(source)


# --- the assignment


def assigned(scores: dict[str, dict[str, float]]) -> dict[str, str | list[str]]:
    """Each schema column's file column; the candidates in doubt; nothing where it is missing."""
    names = sorted({name for candidates in scores.values() for name in candidates})
    made = _assign(
        {column: [Candidate(n, c.get(n, 0.0), "", place=names.index(n)) for n in names] for column, c in scores.items()}
    )
    return {
        p.column: p.chosen.name if p.chosen else [c.name for c in p.others] if p.state == "ambiguous" else ""
        for p in made
    }


@pytest.mark.parametrize(
    ("scores", "wanted"),
    [
        ({"id": {"A": 0.9, "B": 0.6}}, {"id": "A"}),
        ({"id": {"A": 0.49}}, {"id": ""}),
        ({"id": {"A": 0.9, "B": 0.86}}, {"id": ["A", "B"]}),
        # The best pair comes first, and what it takes is gone.
        ({"id": {"A": 0.7, "B": 0.6}, "name": {"A": 0.9}}, {"id": "B", "name": "A"}),
        ({"id": {"A": 0.7}, "name": {"A": 0.9}}, {"id": "", "name": "A"}),
        # Two schema columns claim one file column.
        ({"id": {"A": 0.9}, "name": {"A": 0.88}}, {"id": ["A"], "name": ["A"]}),
        # The second claim is weak, for another file column is better for it.
        ({"id": {"A": 0.9}, "name": {"A": 0.88, "B": 0.89}}, {"id": "A", "name": "B"}),
        # B is nearly as good for the id, and better for the name.
        ({"id": {"A": 0.9, "B": 0.87}, "name": {"B": 0.89}}, {"id": "A", "name": "B"}),
    ],
)
def test_the_best_pairs_come_first_and_doubt_is_left_to_the_analyst(
    scores: dict[str, dict[str, float]], wanted: dict[str, str | list[str]]
) -> None:
    assert assigned(scores) == wanted


def test_times_from_the_field_are_proposed_and_read() -> None:
    suggestion = suggest_mapping(CASES / "F23_time_forms.csv")
    assert suggestion.columns["updated_at"] == "Last Modified"
    assert (suggestion.times.state, suggestion.mapping.datetime) == ("found", None)
    times = read_customers(CASES / "F23_time_forms.csv", mapping=suggestion.mapping).frame["updated_at"]
    assert times.iloc[0] == pd.Timestamp("2026-05-10T14:35:00Z")
    assert times.dtype == "datetime64[us, UTC]"


@pytest.mark.parametrize("form", ["2026-05-{:02} 14:35:00.1234567", "{:02}.05.2026 14h35", "126-05-{:02}", "1260{:03}"])
def test_times_that_are_not_read_are_proposed_by_their_name_and_counted(form: str, tmp_path: Path) -> None:
    names = [f"Firm {n} GmbH" for n in range(1, 29)]
    times = [form.format(n) for n in range(1, 29)]
    frame = pd.DataFrame({"Customer No": range(100, 128), "Last Modified": times, "Name": names})
    suggestion = suggest_mapping(frame)
    assert suggestion.columns["updated_at"] == "Last Modified"
    assert suggestion.mapping.datetime is None
    assert suggestion.times.state == "unreadable"
    assert suggestion.times.notes[0].startswith("28 of 28 cells cannot be read as times by any pattern: ask for ISO")
    assert "updated_at's pattern is unreadable" in suggestion.summary()
    assert "# updated_at: 28 of 28 cells cannot" in suggestion.to_toml(tmp_path / "m.toml").read_text(encoding="utf-8")
    assert any("updated_at: 28 of 28 cells cannot" in line for line in lines_of(suggestion))


def test_a_name_alone_makes_no_time_of_words() -> None:
    frame = pd.DataFrame({"Customer No": ["7", "8"], "Last Modified": ["by Ann", "by Bob"], "Name": ["Acme", "Bolt"]})
    assert "updated_at" not in suggest_mapping(frame).columns
