"""A .csv that people open: no cell runs in a spreadsheet, and each reads back as it was."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from toolkit.engine import Session, text
from toolkit.quality.patches import PATCH_COLUMNS, Patch, read_patch
from toolkit.quality.validation import validate
from toolkit.reading.csv_file import read_csv
from toolkit.reading.customers import read_customers
from toolkit.tables.writing import inert_sql, write_table

FORMULAS = ["=1+1", "+4989123", "-123", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "－5", "'=1", "''-5", "-", "'@"]
HARMLESS = ["Müller", "'s-Hertogenbosch", "'007", "a=b", " =1", "A $5", "1-2", "''", '"=1"', "´=1"]
# What no .csv of ours can hold: a NUL is no text, half a surrogate pair no character.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)
odd = st.builds("".join, st.lists(st.sampled_from([*"'=+-@\t\r\n,;\"\\ a", "＝"]), min_size=1, max_size=8)) | texts


def cells_of(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return [cell for row in list(csv.reader(file))[1:] for cell in row]


@pytest.mark.parametrize("dtype", ["str", object])
def test_no_cell_of_a_csv_runs_and_only_those_are_changed(tmp_path: Path, dtype: object) -> None:
    file = write_table(pd.DataFrame({"a": pd.Series([*FORMULAS, *HARMLESS], dtype=dtype)}), tmp_path / "out.csv")
    assert cells_of(file) == [*(f"'{cell}" for cell in FORMULAS), *HARMLESS]
    raw = write_table(pd.DataFrame({"a": [*FORMULAS, *HARMLESS]}), tmp_path / "raw.csv", raw=True)
    assert cells_of(raw) == [*FORMULAS, *HARMLESS]


@settings(deadline=None)
@example(['=HYPERLINK("http://evil.example")', "+a", "'-b", "''@c", "'s-Hertogenbosch"])
@given(st.lists(odd.filter(lambda t: t == t.strip() != "" and "\r" not in t), min_size=1, max_size=6, unique=True))
def test_no_name_of_a_column_runs_and_each_reads_back(names: list[str]) -> None:
    frame = pd.DataFrame([["x"] * len(names)], columns=names)
    with TemporaryDirectory() as folder:
        file, raw = (write_table(frame, Path(folder, f"{n}.csv"), raw=bool(n)) for n in (0, 1))
        with file.open(encoding="utf-8", newline="") as text:
            header = next(csv.reader(text))
        with raw.open(encoding="utf-8", newline="") as text:
            assert next(csv.reader(text)) == names
        back = read_csv(file, lambda header: {"a": header.index(names[-1])}, encoding="utf-8", delimiter=",")
    assert not any(re.match("[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]", name) for name in header)
    assert back.header == tuple(names)
    assert ("an apostrophe before" in " ".join(back.notes)) == (header != names)


@settings(deadline=None)
@given(st.lists(odd, min_size=1, max_size=6))
def test_every_text_reads_back(cells: list[str]) -> None:
    with TemporaryDirectory() as folder:
        file = write_table(pd.DataFrame({"a": cells, "b": "x"}), Path(folder, "out.csv"))
        back = read_csv(file, lambda header: {"a": 0, "b": 1}, encoding="utf-8", delimiter=",", header_row=1)
    if not back.broken:  # a cell of several lines that splits into a row is set aside
        assert back.cells["a"].to_pylist() == cells


@settings(deadline=None)
@example("a\nb,c,d,e,f,g,h,i,j", ";;;;;;;;;;")
@example("=1", "a\r")
@given(odd, odd)
def test_a_patch_reads_back_cell_for_cell(before: str, after: str) -> None:
    entries = pd.DataFrame([["-123", "customer_name", before, after, "by hand", "=jo", "2026-01-01T00:00:00Z", 5, "d"]])
    entries.columns = list(PATCH_COLUMNS)
    patch = Patch(entries.astype({c: "str" for c in PATCH_COLUMNS if c != "source_row"}))
    with TemporaryDirectory() as folder:
        back = read_patch(patch.write(Path(folder, "patch.csv")))
    pd.testing.assert_frame_equal(pd.DataFrame(back.entries), pd.DataFrame(patch.entries))


@settings(deadline=None)
@given(odd)
def test_the_engine_writes_what_pandas_writes(cell: str) -> None:
    with TemporaryDirectory() as folder, Session() as session:
        file = write_table(pd.DataFrame({"a": [cell]}), Path(folder, "out.csv"))
        assert [session.scalar(f"SELECT {inert_sql(text(cell))}")] == cells_of(file)


@pytest.mark.parametrize("on_disk", [False, True])
def test_ids_that_look_like_formulas_survive_what_validate_writes(customers, tmp_path: Path, on_disk: bool) -> None:
    ids = ["-123", "+4989123", "=A1", "'@x", "007"]
    given_rows = customers(5, customer_id=ids, customer_name=["=1", "-", "ok", "'+", "\tx"])
    source = tmp_path / "in.csv"
    write_table(given_rows, source)
    data = source if on_disk else read_customers(source)
    good, bad, machine = (tmp_path / name for name in ("good.csv", "bad.csv", "good.parquet"))
    validate(data, good=good, bad=bad, rules=())
    validate(data, good=machine, rules=())
    assert not [cell for cell in cells_of(good) if cell[:1] in ("=", "+", "-", "@", "\t")]
    assert read_customers(good).frame["customer_id"].tolist() == ids
    assert read_customers(good).frame["customer_name"].tolist() == given_rows["customer_name"].tolist()
    assert pd.read_parquet(machine)["customer_id"].tolist() == ids
    assert "an apostrophe before" in " ".join(read_customers(good).notes)

    source.write_text("customer_id,updated_at,source\n-7,2026-01-01T00:00:00Z,+ERP\n=1,soon,x,,@y\n", encoding="utf-8")
    validate(source if on_disk else read_customers(source), bad=bad, rules=())
    assert not [cell for cell in cells_of(bad) if cell[:1] in ("=", "+", "-", "@", "\t")]
    assert {"'-7", "'+ERP"} <= set(cells_of(bad))
