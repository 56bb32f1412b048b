"""A mapping file: every section arrives, and what cannot be meant says what to write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.cases import CASES
from toolkit.errors import InputError, MappingError
from toolkit.quality import validate
from toolkit.reading import Mapping, read_customers

WHOLE = """
[columns]
customer_id = "Kundennummer"
updated_at = "Geändert am"
[constants]
source = "customer"
[format]
encoding = "cp1252"
delimiter = ";"
sheet = "Kunden"
header_row = 3
datetime = "%d.%m.%Y %H:%M"
timezone = "Europe/Berlin"
nulls = ["-", "n/a"]
[values.source]
"Kunde" = "customer"
[empty]
customer_category = "keep"
[delivery]
kind = "changes"
[corrections]
trim_spaces = true
restamp = { to = "now" }
"""


def load(tmp_path: Path, text: str) -> Mapping:
    path = tmp_path / "erp.toml"
    path.write_text(text, encoding="utf-8")
    return Mapping.load(path)


def test_every_section_arrives(tmp_path: Path) -> None:
    assert load(tmp_path, WHOLE) == Mapping(
        columns={"customer_id": "Kundennummer", "updated_at": "Geändert am"},
        constants={"source": "customer"},
        encoding="cp1252",
        delimiter=";",
        sheet="Kunden",
        header_row=3,
        datetime="%d.%m.%Y %H:%M",
        timezone="Europe/Berlin",
        nulls=("-", "n/a"),
        values={"source": {"Kunde": "customer"}},
        empty={"customer_category": "keep"},
        kind="changes",
        corrections={"trim_spaces": True, "restamp": {"to": "now"}},
        path=tmp_path / "erp.toml",
    )


def test_an_empty_mapping_is_one_that_states_nothing(tmp_path: Path) -> None:
    assert load(tmp_path, "") == Mapping(path=tmp_path / "erp.toml")


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("[colums]\n", ["erp.toml", "'colums'", "did you mean 'columns'?"]),
        ("[format]\nencodng = 'utf-8'\n", ["[format]", "did you mean 'encoding'?"]),
        ("[delivery]\nkinds = 'full'\n", ["did you mean 'kind'?"]),
        ("[delivery]\nkind = 'partial'\n", ["'partial'", "full or changes"]),
        ("columns = 'Name'\n", ["[columns] on a line of its own"]),
        ("[columns]\nsource = 'Herkunft'\n[constants]\nsource = 'peak'\n", ["source", "in both"]),
        ("[columns]\nsource = ' '\n", ["no file column for source"]),
        ("[constants]\ncustomer_category = 7\n", ["customer_category in [constants]", "quotes"]),
        ("[format]\nencoding = 'utf-9'\n", ["'utf-9'", "cp1252"]),
        ("[format]\nencoding = 'rot13'\n", ["'rot13'"]),
        ("[format]\nencoding = 7\n", ["encoding in [format]", "quotes"]),
        ("[format]\ndelimiter = ';;'\n", ["one character"]),
        ("[format]\ndelimiter = '\"'\n", ["one character"]),
        ("[format]\nheader_row = 0\n", ["header_row", "1 for the first"]),
        ("[format]\nheader_row = true\n", ["header_row"]),
        ("[format]\ndatetime = '%d.%Q'\n", ["strptime"]),
        ("[format]\ndatetime = '%Y-%m-%d %Z'\n", ["%z"]),
        ("[format]\ndatetime = '%d.%m.'\n", ["'%d.%m.'", "has no year", "add %Y"]),
        ("[format]\ndatetime = '%m/%d/%Y %H:%M %p'\n", ["goes with %p, AM or PM: write both, or %H"]),
        ("[format]\ndatetime = '%m/%d/%Y %I:%M'\n", ["%I, the hour from 1 to 12, goes with %p"]),
        ("[format]\ndatetime = '%d.%M.%Y'\n", ["%M is the minute, %m the month"]),
        ("[format]\ndatetime = '%d.%M.%Y %H:%m'\n", ["%M is the minute, %m the month"]),
        ("[format]\ntimezone = 'Europe/Berln'\n", ["did you mean 'Europe/Berlin'?"]),
        ("[format]\ntimezone = '+01:00'\n", ["IANA"]),
        ("[format]\nnulls = '-'\n", ["a list of texts"]),
        ("[values]\nsource = 'customer'\n", ["source cannot be 'customer'", '{"Kunde" = "customer"}']),
        ("[values.source]\nKunde = 1\n", ["Kunde of source in [values]", "quotes"]),
        ("[empty]\nsource = 'leave'\n", ["source cannot be 'leave'", "keep or clear"]),
        ("[columns]\nsource = Herkunft\n", ["erp.toml is not TOML", "line 2"]),
    ],
)
def test_a_mapping_that_cannot_be_meant_says_what_to_write(tmp_path: Path, text: str, fragments: list[str]) -> None:
    with pytest.raises(MappingError) as error:
        load(tmp_path, text)
    assert [f for f in fragments if f not in str(error.value)] == []


@pytest.mark.parametrize(
    "pattern",
    [
        *["%d.%m.", "%H:%M", "%m/%d/%Y %H:%M:%S %p", "%d.%m.%Y %I:%M", "%d.%M.%Y", "%Y-%m-%d %M", "%Y-%m-%d %S:%M:%H"],
        *["%Y-%m-%d %Y", "%d.%m.%Y %y", "%b %m %Y", "%d %Y", "%Y-%j-%d", "%d.%m.%Y %H:%M %z %z", "%d.%m.%Y %A %a"],
        *[
            "",
            "%",
            "%%",
            "%%Y",
            "dd.mm.yyyy",
            "%Y-%m-%d %",
            "%-d.%m.%Y",
            "%e.%m.%Y",
            "%Y %U %w",
            "%c",
            "%F",
            "%Y-%m-%d %Z",
        ],
    ],
)
def test_a_pattern_that_would_lose_something_is_refused(pattern: str) -> None:
    with pytest.raises(MappingError, match="datetime cannot be"):
        Mapping(datetime=pattern)


@pytest.mark.parametrize("case", ["F02_pm_dropped", "F04_no_year"])
def test_a_pattern_from_the_field_that_loses_something_is_refused(case: str) -> None:
    with pytest.raises(MappingError, match=rf"{case}\.toml: datetime cannot be '%"):
        read_customers(CASES / f"{case}.csv", mapping=CASES / f"{case}.toml")


def test_a_missing_mapping_names_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "erp.toml").touch()
    with pytest.raises(MappingError, match=r"did you mean 'erp\.toml'\?"):
        Mapping.load(tmp_path / "ERP1.toml")


def test_a_mapping_that_is_not_utf8_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "erp.toml"
    path.write_bytes("[columns]\ncustomer_name = 'Größe'\n".encode("cp1252"))
    with pytest.raises(MappingError, match="line 2"):
        Mapping.load(path)
    with pytest.raises(MappingError, match="cannot be opened"):
        Mapping.load(tmp_path)


def test_constants_go_over_the_mapping() -> None:
    mapping = Mapping(columns={"customer_id": "No.", "source": "Herkunft"}, constants={"customer_category": "A"})
    over = mapping.with_constants({"source": "customer", "customer_category": "B"})
    assert over.columns == {"customer_id": "No."}
    assert over.constants == {"source": "customer", "customer_category": "B"}
    assert mapping.columns["source"] == "Herkunft"


def test_a_toml_time_is_as_good_as_its_text(tmp_path: Path) -> None:
    mapping = load(tmp_path, "[constants]\nupdated_at = 2025-01-28T10:00:00Z\n")
    assert mapping.constants == {"updated_at": "2025-01-28T10:00:00+00:00"}


@pytest.mark.parametrize("path", [None, 42, ["m.toml"], Mapping()])
def test_a_path_of_another_kind_is_refused(path: Any) -> None:
    with pytest.raises(InputError, match="A mapping or its TOML file is wanted here"):
        Mapping.load(path)


@pytest.mark.parametrize(
    "options",
    [{"columns": ["a"]}, {"constants": "source"}, {"nulls": "-"}, {"sheet": 1}, {"values": ["a"]}, {"empty": "keep"}],
)
def test_an_option_of_another_kind_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(MappingError, match=next(iter(options))):
        Mapping(**options)


def test_the_path_of_a_patch_counts_from_the_mappings_folder(tmp_path: Path) -> None:
    mapping = load(tmp_path, '[corrections]\npatch = "p.csv"\n')
    assert mapping.corrections == {"patch": [str(tmp_path / "p.csv")]}


def test_words_of_the_file_become_those_of_the_schema(tmp_path: Path) -> None:
    file = tmp_path / "crm.csv"
    file.write_text("customer_id,source,updated_at\nA,Kunde,2026-01-01T00:00:00Z\nB,kunde,2026-01-01T00:00:00Z\n"
                    "C,-,never\n", encoding="utf-8")  # fmt: skip
    mapping = load(
        tmp_path,
        """[values]
source = {Kunde = "customer", "-" = ""}
updated_at = {never = "2000-01-01T00:00:00Z"}
[empty]
source = "keep"
customer_name = "clear"
""",
    )
    delivery = read_customers(file, mapping=mapping)
    assert delivery.frame["source"].fillna("null").tolist() == ["customer", "kunde", "null"]  # compared exactly
    assert delivery.frame["updated_at"].dt.year.tolist() == [2026, 2026, 2000]
    assert delivery.keep == ("source",)
    again = Mapping.load(mapping.to_toml(tmp_path / "again.toml"))
    assert (again.values, again.empty, again.version) == (mapping.values, mapping.empty, mapping.version)
    report = validate(file, mapping=mapping)  # on disk
    assert report.counts == {"source is not one of peak, customer": 1}
    table = tmp_path / "crm.parquet"
    delivery.frame.assign(source=["Kunde", "kunde", "-"]).to_parquet(table, index=False)
    assert validate(table, mapping=mapping).counts == report.counts


@pytest.mark.parametrize("text", ["[values.sourcee]\nA = 'B'\n", "[empty]\nupdated_at = 'keep'\n"])
def test_values_and_empty_cells_of_a_column_that_cannot_have_them_are_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "crm.csv"
    file.write_text("customer_id,source,updated_at\nA,Kunde,2026-01-01T00:00:00Z\n", encoding="utf-8")
    with pytest.raises(MappingError, match="which is not known"):
        read_customers(file, mapping=load(tmp_path, text))
