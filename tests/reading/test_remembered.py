"""Mappings that were used before: kept with the header of their file, proposed for the next file of its kind."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

import toolkit as tk
from toolkit.errors import MappingError
from toolkit.reading import Mapping, doubts, recall, remember

DATA = Path(__file__).parent.parent.parent / "data"
FIRST = DATA / "2026-09-01_customers.csv"
HEADER = ("Nr", "Name", "Stand", "Ort")
MAPPING = Mapping(columns={"customer_id": "Nr", "updated_at": "Stand"}, timezone="Europe/Berlin", nulls=("-",))


@pytest.mark.parametrize("name", ["2026-09-01_customers", "2026-10-01_customers"])
def test_a_mapping_is_the_same_after_toml_and_json(name: str, tmp_path: Path) -> None:
    mapping = Mapping.load(DATA / f"{name}.toml")
    again = Mapping.load(mapping.to_toml(tmp_path / "a.toml"))
    assert again.content() == mapping.content() == Mapping.of(mapping.content()).content()
    assert again.version == mapping.version == Mapping.of(mapping.content()).version
    with pytest.raises(MappingError, match="exists"):
        mapping.to_toml(tmp_path / "a.toml")


def test_corrections_of_every_form_come_back(tmp_path: Path) -> None:
    corrections = {"pad_ids": 7, "trim_spaces": True, "values": {'a "b"': "c\\d"}, "patch": ["x.toml"]}
    mapping = Mapping(corrections=corrections)
    again = Mapping.load(mapping.to_toml(tmp_path / "a.toml"))
    assert again.corrections == corrections | {"patch": [str(tmp_path / "x.toml")]}


def test_the_last_mapping_of_a_header_is_proposed_and_says_from_when() -> None:
    remember(MAPPING, HEADER, "august.csv")
    newer = Mapping(columns={"customer_id": "Nr", "updated_at": "Stand", "customer_name": "Name"})
    remember(newer, HEADER, "september.csv")
    found = recall(HEADER)
    assert found is not None
    assert found.mapping.content() == newer.content()
    assert str(found).startswith("Mapped like september.csv on 20")
    assert newer.version in str(found)
    near = recall((*HEADER, "Preisgruppe"))
    assert near is not None
    assert near.added == ("Preisgruppe",)
    assert recall(("Nr", "Name", "Ort", "Tag")) is None  # a column that it names is gone
    assert recall(("Nr", "Stand", "a", "b", "c", "d")) is None  # another kind of file


def test_what_is_kept_is_private_listed_and_found_by_its_version() -> None:
    remember(MAPPING, HEADER, "august.csv")
    remember(MAPPING, HEADER, "september.csv")
    listed = tk.mappings()
    assert [r.source for r in listed.kept] == ["september.csv"]
    assert listed[MAPPING.version[:6]].content() == MAPPING.content()
    assert listed.to_frame()["version"].tolist() == [MAPPING.version]
    assert listed.to_dict()["mappings"][0]["content"] == MAPPING.content()
    assert MAPPING.version in listed.body()
    with pytest.raises(MappingError, match=MAPPING.version):
        listed["nothing"]
    folder = tk.Settings().home / "mappings"
    assert [stat.S_IMODE(p.stat().st_mode) for p in (folder, *folder.iterdir())] == [0o700, 0o600]


def test_a_record_that_cannot_be_read_proposes_nothing() -> None:
    remember(MAPPING, HEADER, "august.csv")
    [record] = (tk.Settings().home / "mappings").iterdir()
    unknown = '{"mapping": {"new_field": 1}, "at": "2026-01-01", "source": "", "header": []}'
    for content in ('{"mapping": {', "[]", unknown):
        record.write_text(content, encoding="utf-8")
        assert recall(HEADER) is None
        assert tk.mappings().kept == ()


def test_a_suggestion_has_what_another_choice_needs() -> None:
    found = tk.suggest_mapping(FIRST)
    assert found.header[:2] == ("Kundennummer", "Firmenname")
    assert found.header_row == 1
    assert found.head["Kundennummer"][0] == "0001003"
    [other] = [c for c in found.candidates["customer_name"] if c.name == "Ort"]
    assert other.examples
    columns = {c.name: c for c in tk.Contract.named("2026-04").resource.columns}

    def said(column: str, file_column: str, mapping: Mapping) -> list[str]:
        return list(doubts(columns[column], found.contents[file_column], mapping))

    stated = Mapping.load(DATA / "2026-09-01_customers.toml")
    assert said("updated_at", "Geändert am", stated) == ["1 of 406 values is no date: 31.06.2026 09:30"]
    assert said("source", "Herkunft", stated)[-1].startswith("378 of 406 values are not peak or customer: ERP")
    assert said("customer_name", "Firmenname", stated) == ["2 of 406 cells are empty"]


def test_every_push_names_the_mapping_that_it_was_made_with() -> None:
    mapping = Mapping.load(DATA / "2026-09-01_customers.toml")
    report = tk.validate(tk.correct(tk.read_customers(FIRST, mapping=mapping)))
    plan = tk.plan_push(tk.diff(tk.Ledger.of().snapshot(), report))
    assert plan.to_dict()["mapping"] == mapping.version
    assert not tk.mappings().kept
    pushed = tk.push(plan, reason="September", progress=False)
    for made in (pushed, tk.push_report(pushed.push)):
        assert made.to_dict()["mapping"] == mapping.version
        assert f"mapping {mapping.version}" in made.body()
    assert [r.source for r in tk.mappings().kept] == [FIRST.name]
    assert tk.suggest_mapping(FIRST).remembered.mapping.version == mapping.version
