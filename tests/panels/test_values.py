"""The values as a plain object: words, spellings, empty cells and corrections become the mapping's."""

from __future__ import annotations

import html
import json
from pathlib import Path

import pytest

import toolkit as tk
from toolkit.errors import CorrectionError
from toolkit.panels import Values, Work
from toolkit.panels.values import AS_IT_IS, IN_CODE
from toolkit.quality import CORRECTIONS
from toolkit.reading import Mapping

ROWS = """customer_id,updated_at,customer_name,customer_category,source
A,2026-01-01T00:00:00Z,Acme,Key Account,Kunde
B,2026-01-01T00:00:00Z,Best,key account,Kunde
C,2026-01-01T00:00:00Z,Cook ,Key Account,customer
D,2026-01-01T00:00:00Z,,,-
"""


@pytest.fixture
def work(tmp_path: Path) -> Work:
    file = tmp_path / "crm.csv"
    file.write_text(ROWS, encoding="utf-8")
    return Work(source=file, mapping=Mapping())


@pytest.fixture
def step(work: Work) -> Values:
    step = Values()
    step.begin(work)
    return step


def read(work: Work, step: Values) -> list[list[str]]:
    frame = tk.correct(tk.read_customers(work.source, mapping=step.mapping)).frame
    return frame[["customer_name", "customer_category", "source"]].fillna("").to_numpy().tolist()


def test_words_spellings_and_corrections_are_made_as_they_were_shown(work: Work, step: Values) -> None:
    source = next(c for c in step._columns() if c.name == "source")
    assert step.words(source) == {"Kunde": 2, "-": 1}
    assert list(step.spellings()) == [("customer_category", {"Key Account": 2, "key account": 1})]
    assert step.act("map_word", column="source", word="Kunde", value="customer") == "Kunde: becomes customer."
    assert step.preview.counts["null_spellings"] == 1
    step.act("map_word", column="source", word="-", value="")
    assert step.preview.counts["null_spellings"] == 0  # of the cells as they are mapped
    step.act("map_spellings", column="customer_category", word="Key Account", value="Key Account")
    step.act("choose_correction", rule="trim_spaces", value=True)
    assert read(work, step) == [["Acme", "Key Account", "customer"], ["Best", "Key Account", "customer"],
                                ["Cook", "Key Account", "customer"], ["", "", ""]]  # fmt: skip
    step.act("map_spellings", column="customer_category", word="Key Account", value=AS_IT_IS)
    step.act("map_word", column="source", word="Kunde", value=AS_IT_IS)
    assert step.mapping.values == {"source": {"-": ""}}


def test_an_empty_cell_is_kept_or_cleared_by_column(work: Work, step: Values) -> None:
    step.act("set_empty", column="customer_name", value="keep")
    assert tk.read_customers(work.source, mapping=step.mapping).keep == ("customer_name",)
    step.act("set_empty", column="customer_name", value="clear")
    assert step.mapping == Mapping()


def test_corrections_run_in_the_toolkits_order_and_options_are_those_that_were_tried(work: Work) -> None:
    work.mapping = Mapping(corrections={"source_to_customer": ["Kunde"], "patch": "fixes.csv"})
    step = Values()
    step.begin(work)
    assert step.preview.counts["source_to_customer"] == 2
    step.act("choose_correction", rule="trim_spaces", value=True)
    assert list(step.mapping.corrections) == ["trim_spaces", "source_to_customer", "patch"]
    step.act("choose_correction", rule="source_to_customer", value=False)
    step.act("choose_correction", rule="source_to_customer", value=True)
    assert step.mapping.corrections["source_to_customer"] == ["Kunde"]


def test_choices_outlive_another_visit_and_a_restart(work: Work, step: Values) -> None:
    step.act("map_word", column="source", word="Kunde", value="customer")
    step.act("set_empty", column="customer_name", value="keep")
    step.finish(work)
    assert work.mapping == step.mapping
    step.begin(Work(source=work.source, mapping=Mapping(delimiter=",")))  # the columns were visited again
    assert step.mapping == Mapping(delimiter=",", values=work.mapping.values, empty=work.mapping.empty)
    again = Values()
    again.begin(Work(source=work.source, mapping=Mapping()))
    again.restore(json.loads(json.dumps(step.kept())))
    assert again.mapping == work.mapping


def test_what_is_shown_names_counts_and_what_has_nothing_to_change(step: Values) -> None:
    shown, tree = step.view().still(), json.dumps(step.view().tree(), allow_nan=False)
    assert "2 words are not of the schema" in shown
    assert "would change 1 cell" in shown
    assert "nothing to change" in shown
    assert '"disabled": true' in tree
    assert "row 4 · customer_name" in shown


def test_what_drops_rows_counts_rows(work: Work, step: Values) -> None:
    work.source.write_text(ROWS + ROWS.splitlines()[1], encoding="utf-8")
    step.begin(Work(source=work.source, mapping=Mapping()))
    shown = step.view().still()
    assert shown.count("would drop 1 row<") == 2  # drop_exact_duplicates and keep_last
    assert shown.count("would change") == shown.count("would change 1 cell") + 1  # and the headline


def test_a_correction_that_needs_an_option_is_listed_with_its_field_or_its_call(work: Work) -> None:
    work.source.write_text(ROWS.replace("\nA,", "\n17,").replace("\nB,", "\n0018,"), encoding="utf-8")
    step = Values()
    step.begin(work)
    assert "4 corrections need an option" in step.view().still()  # of ids of letters no width is known
    assert {*CORRECTIONS} == {*step.preview.counts, "pad_ids", *IN_CODE}
    for name, option in IN_CODE.items():
        call = f'corrected = tk.correct(delivery, {{"{name}": {option}}})'
        assert call in html.unescape(step.view().still())
    run = {"tk": tk, "delivery": step.delivery}
    exec('corrected = tk.correct(delivery, {"restamp": True})', run)  # one that fits any delivery
    assert run["corrected"].counts["restamp"] == 4
    for wrong in ("0", "7.5"):
        with pytest.raises(CorrectionError, match="needs the width of an id"):
            step.act("set_width", rule="pad_ids", value=wrong)
    assert step.act("set_width", rule="pad_ids", value="4") == "pad_ids is not made."  # it is tried, not chosen
    assert "pad_ids = 4</code>  <b>would change 1 cell<" in step.view().still()
    step.act("choose_correction", rule="pad_ids", value=True)
    step.act("set_width", rule="pad_ids", value="6")
    assert step.mapping.corrections == {"pad_ids": 6}
    assert tk.correct(tk.read_customers(work.source, mapping=step.mapping)).frame["customer_id"][2] == "000017"
    step.act("set_width", rule="pad_ids", value="")
    assert (step.mapping.corrections, "pad_ids" in step.preview.counts) == ({}, False)
