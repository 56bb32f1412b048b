"""The columns of a file as an analyst maps them in a panel: the state alone, without a browser."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest

import toolkit as tk
from toolkit.errors import MappingError, SettingsError, ToolkitError
from toolkit.panels import Columns, Element, MappingPanel
from toolkit.panels.columns import CONSTANT, NOT_THERE
from toolkit.reading import Mapping, remember

DATA = Path(__file__).parent.parent.parent / "data"
FIRST = DATA / "2026-09-01_customers.csv"
STATED = Mapping.load(DATA / "2026-09-01_customers.toml")


@pytest.fixture
def columns() -> Columns:
    return MappingPanel(FIRST).station


def shown(station: Columns) -> str:
    tree = station.view()
    json.dumps(tree.tree(), allow_nan=False)
    return tree.still()


def by_key(element: Element, key: str) -> Element:
    found = [element] if element.key == key else []
    pending = [*element.children]
    while pending:
        child = pending.pop()
        if isinstance(child, list | tuple):
            pending.extend(child)
        elif isinstance(child, Element):
            found += [child] if child.key == key else []
            pending.extend(child.children)
    assert len(found) == 1, key
    return found[0]


def test_the_shipped_delivery_is_mapped_as_its_mapping_says(columns: Columns) -> None:
    assert columns.missing() == "Choose the time zone of Geändert am: its times name none."
    assert columns.focus == "timezone"
    columns.act("set_timezone", value="Europe/Berlin")
    assert columns.missing() == "Not used: Ort, Sachbearbeiter. Use them, or ignore them."
    assert columns.act("ignore") == "Ignored: Ort, Sachbearbeiter."
    assert columns.missing() == ""
    made = columns.mapping
    assert made.columns == STATED.columns
    assert (made.datetime, made.timezone) == (STATED.datetime, STATED.timezone)
    mine, theirs = (tk.read_customers(FIRST, mapping=mapping).frame for mapping in (made, STATED))
    pd.testing.assert_frame_equal(mine, theirs)


def test_a_taken_column_frees_the_other_and_says_so(columns: Columns) -> None:
    said = columns.act("choose", column="customer_name", value="Kundennummer")
    assert said == "Kundennummer becomes customer_name. customer_id is free again."
    assert "Kundennummer is now customer_name: customer_id is free again." in shown(columns)
    assert columns.missing() == "Choose the column for customer_id, which is required."
    assert columns.focus == "column-customer_id"
    columns.act("choose", column="customer_id", value="Kundennummer")
    assert columns.mapping.columns["customer_id"] == "Kundennummer"
    assert "customer_name" not in columns.mapping.columns
    assert columns.missing().startswith("Decide on customer_name")
    columns.act("choose", column="customer_name", value=NOT_THERE)
    assert "customer_name" not in columns.missing()


def test_the_preview_shows_what_is_wrong_and_follows_each_choice(columns: Columns) -> None:
    before = shown(columns)
    assert "no time zone" in before
    assert "not one of them" in before
    columns.act("set_timezone", value="Europe/Berlin")
    columns.act("choose", column="source", value=CONSTANT)
    assert columns.missing() == "Write the value of source for every row."
    columns.act("set_constant", column="source", value="customer")
    after = shown(columns)
    assert "2026-02-21 12:50Z" in after
    assert "summer time" in after
    assert "no time zone" not in after
    assert "not one of them" not in after
    assert columns.mapping.constants == {"source": "customer"}


def test_the_evidence_is_in_words_and_bound_to_the_control(columns: Columns) -> None:
    columns.act("set_timezone", value="Europe/Berlin")
    assert "1 of 406 values is no date: 31.06.2026 09:30" in shown(columns)
    control = by_key(columns.view(), "column-updated_at")
    told = by_key(columns.view(), str(control.attributes["aria-describedby"]))
    assert "no date" in told.still()
    columns.act("choose", column="updated_at", value="Ort")
    assert "406 of 406 values are no date" in shown(columns)


def test_a_zone_and_a_pattern_that_are_none_are_refused_with_a_sentence(columns: Columns) -> None:
    with pytest.raises(MappingError, match="did you mean 'Europe/Berlin'"):
        columns.act("set_timezone", value="Europe/Berlim")
    with pytest.raises(MappingError, match="datetime"):
        columns.act("set_datetime", value="%d.%m")
    assert columns.mapping.timezone is None
    assert columns.mapping.datetime == STATED.datetime


def test_what_is_not_in_the_file_is_decided(columns: Columns) -> None:
    columns.act("choose", column="customer_subcategory", value=NOT_THERE)
    assert "customer_subcategory" not in columns.mapping.columns
    assert "Branche" in columns.unused
    columns.act("choose", column="customer_id", value=NOT_THERE)
    assert "customer_id" in columns.missing()


def test_a_column_becomes_a_custom_attribute(columns: Columns) -> None:
    columns.act("ignore", name="Sachbearbeiter")
    columns.act("add_attribute", name="Sachbearbeiter", value="string")
    assert not columns.ignored
    columns.act("set_timezone", value="Europe/Berlin")
    assert columns.mapping.columns["sachbearbeiter"] == "Sachbearbeiter"
    delivery = tk.read_customers(FIRST, mapping=columns.mapping)
    assert delivery.frame["sachbearbeiter"].iloc[0] == "VK-10"
    assert "8 of 8 columns" in shown(columns)
    assert "Known to this session alone: sachbearbeiter." in shown(columns)
    with pytest.raises(SettingsError):
        columns.act("add_attribute", name="Ort", value="colour")


def test_a_custom_attribute_outlives_the_kernel_and_another_session_asks_again(
    columns: Columns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    columns.act("set_timezone", value="Europe/Berlin")
    columns.act("add_attribute", name="Sachbearbeiter", value="string")
    columns.act("ignore")
    kept = json.loads(json.dumps(columns.kept()))
    remember(columns.mapping, columns.suggestion.header, "august.csv")
    tk.use(tk.Settings())  # another kernel
    other = Columns(tk.suggest_mapping(FIRST))
    assert other.missing() == "Not used: Sachbearbeiter. Use them, or ignore them."
    assert tk.read_customers(FIRST, mapping=other.mapping).frame.shape[1] == 7
    again = Columns(tk.suggest_mapping(FIRST))
    again.restore(kept)
    assert again.mapping == columns.mapping
    assert tk.read_customers(FIRST, mapping=again.mapping).frame["sachbearbeiter"].iloc[0] == "VK-10"
    monkeypatch.setattr("toolkit.config.project.PACKAGE", tmp_path / "toolkit")
    Path("toolkit.toml").write_text(again.calls[0].removeprefix("# at the top of toolkit.toml: "), encoding="utf-8")
    assert tk.Settings().attributes == (tk.CustomAttribute("sachbearbeiter", "string"),)


def test_a_known_file_is_mapped_as_last_time(columns: Columns) -> None:
    remember(STATED, columns.suggestion.header, "august.csv")
    again = Columns(tk.suggest_mapping(FIRST))
    assert again.missing() == ""
    assert again.mapping.corrections == STATED.corrections
    assert "Mapped like august.csv on 20" in shown(again)
    assert "as last time" in shown(again)
    again.act("start_afresh")
    assert again.mapping.timezone is None
    assert "Mapped like" not in shown(again)


def test_choices_survive_and_a_column_that_is_gone_is_open_again(columns: Columns) -> None:
    columns.act("set_timezone", value="Europe/Berlin")
    columns.act("choose", column="source", value=CONSTANT)
    columns.act("set_constant", column="source", value="peak")
    columns.act("ignore")
    kept = json.loads(json.dumps(columns.kept()))
    again = Columns(tk.suggest_mapping(FIRST))
    again.restore(kept)
    assert again.mapping == columns.mapping
    less = Columns(tk.suggest_mapping(columns.suggestion.head.drop(columns="Kundennummer")))
    less.restore(kept)
    assert "customer_id" in less.missing()


def test_the_mapping_is_saved_and_the_lines_of_code_do_the_same(
    columns: Columns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    columns.act("set_timezone", value="Europe/Berlin")
    columns.act("save", fields={"path": "a.toml"})
    columns.act("ignore")
    columns.act("save", fields={"path": "a.toml"})  # its own file
    assert Mapping.load("a.toml").content() == columns.mapping.content()
    Path("b.toml").touch()
    with pytest.raises(ToolkitError, match="exists"):
        columns.act("save", fields={"path": "b.toml"})
    assert columns.calls[-1] == f"toolkit check {columns.work.path} --mapping a.toml"
    exec(columns.calls[0], made := {"tk": tk})
    assert made["delivery"].frame.equals(tk.read_customers(FIRST, mapping=columns.mapping).frame)


def test_hostile_names_and_cells_are_texts() -> None:
    evil = "<img src=x onerror=alert(1)>$x$"
    frame = pd.DataFrame({"Kunden-Nr.": ["007", evil], evil: ["a\u202eb", None], "Stand": ["2026-01-01T00:00Z"] * 2})
    panel = MappingPanel(frame)
    tree = json.dumps(panel.station.view().tree(), allow_nan=False)
    assert not [html for html in re.findall('"html": "(.*?)"', tree) if "<img" in html or "\u202e" in html]
    assert "<img" not in panel.station.view().still()
    assert panel.mapping.columns["customer_id"] == "Kunden-Nr."
