"""The review sheet: what the data owner corrects in the workbook comes back as a patch, and nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from tests.support.workbooks import cells_of
from toolkit.errors import CorrectionError, InputError, MappingError, ReadingError
from toolkit.model.contract import Column, Contract, Kind
from toolkit.model.delivery import Delivery, Language
from toolkit.quality.compiling import compile_contract, other_contracts
from toolkit.quality.correcting import correct
from toolkit.quality.patches import apply_patch, read_patch, read_review_sheet
from toolkit.quality.review_sheet import write_review_sheet
from toolkit.quality.rules import RULES
from toolkit.quality.validation import BROKEN, ValidationReport, validate
from toolkit.reading.customers import read_customers
from toolkit.tables.writing import MAX_CELL, write_table

DATA = Path(__file__).parents[2] / "data"
NOW = pd.Timestamp("2026-11-25T10:00:00Z")


@pytest.fixture(scope="module")
def corrected() -> Delivery:
    return correct(
        read_customers(DATA / "2026-09-01_customers.csv", mapping=DATA / "2026-09-01_customers.toml")
    ).delivery


def report_of(delivery: Delivery) -> ValidationReport:
    return validate(delivery, rules=(), now=NOW)


def test_the_owner_corrects_the_shipped_delivery_and_every_row_comes_back(corrected: Delivery, tmp_path: Path) -> None:
    report = report_of(corrected)
    path = report.to_excel(tmp_path / "for the owner.xlsx")
    book, columns, rows = cells_of(path)
    sheet = book["rows"]
    # data/README.md says what is wrong, and the file's own names stand in the header.
    assert set(rows) == {56, 90, 101, 140, 143, 156, 167, 382, 402}
    assert list(columns)[:4] == ["row", "what is wrong", "drop", "Kundennummer"]
    no_id = sheet.cell(rows[167], columns["Kundennummer"])
    assert no_id.comment.text == "Kundennummer is empty"
    assert no_id.fill.fgColor.rgb == "FFFFC7CE"
    assert sheet.cell(rows[167], columns["Firmenname"]).fill.fill_type is None
    assert ";" in sheet.cell(rows[90], columns["raw text"]).value
    assert sheet.freeze_panes == "D2"
    assert book["kept"].sheet_state == "veryHidden"

    raw = sheet.cell(rows[90], columns["raw text"]).value.split(";")
    sheet.cell(rows[167], columns["Kundennummer"]).value = "0009999"
    sheet.cell(rows[101], columns["Geändert am"]).value = "28.02.2026 10:00"  # as the file writes times
    for column, cell in {"Kundennummer": raw[0], "Firmenname": "Corrected GmbH", "Geändert am": "01.03.2026 08:00",
                         "Herkunft": "customer"}.items():  # fmt: skip
        sheet.cell(rows[90], columns[column]).value = cell
    conflicting = report.quarantine.loc[[56, 140, 143, 156, 382, 402]]
    twins = conflicting.index[conflicting.duplicated("customer_id")]  # the later of each pair
    assert len(twins) == 3
    for row in twins:
        sheet.cell(rows[row], columns["drop"]).value = "x"
    book.save(path)

    patch = read_review_sheet(path, who="owner")
    done = apply_patch(corrected, patch)
    assert done.n_stale == done.n_unknown == 0
    after = report_of(done.delivery)
    assert after.n_quarantined == 0
    assert after.n_good == report.n_good + 3 + 3
    assert after.good.loc[167, "customer_id"] == "0009999"
    assert after.good.loc[101, "updated_at"] == pd.Timestamp("2026-02-28T09:00:00Z")
    assert after.good.loc[90, ["customer_name", "source"]].tolist() == ["Corrected GmbH", "customer"]
    assert done.delivery.n_broken == 0
    assert set(patch.entries["who"]) == {"owner"}


def test_a_sheet_without_a_change_is_an_empty_patch(corrected: Delivery, tmp_path: Path) -> None:
    path = report_of(corrected).to_excel(tmp_path / "out.xlsx")
    assert read_review_sheet(path).n_entries == 0
    book = load_workbook(path)
    book.save(path)  # another program writes it again
    assert read_review_sheet(path).n_entries == 0


def test_rows_and_columns_may_be_moved_added_and_deleted(corrected: Delivery, tmp_path: Path) -> None:
    path = report_of(corrected).to_excel(tmp_path / "out.xlsx")
    book, columns, rows = cells_of(path)
    sheet = book["rows"]
    sheet.cell(rows[167], columns["Kundennummer"]).value = "0009999"
    table = [[cell.value for cell in row] for row in sheet.iter_rows()]
    header, body = table[0], [row for row in table[1:] if row[0] != "101"]
    order = sorted(range(len(header)), key=lambda at: str(header[at]))
    sheet.delete_rows(1, sheet.max_row)
    for row in [header, *reversed(body)]:
        sheet.append([*(row[at] for at in order), "a remark" if row is header else ""])
    book.save(path)
    patch = read_review_sheet(path)
    assert patch.entries[["source_row", "column", "after"]].to_numpy().tolist() == [[167, "customer_id", "0009999"]]


def test_numbers_and_dates_that_excel_made_are_read_as_what_they_show(corrected: Delivery, tmp_path: Path) -> None:
    path = report_of(corrected).to_excel(tmp_path / "out.xlsx")
    book, columns, rows = cells_of(path)
    sheet = book["rows"]
    number = sheet.cell(rows[167], columns["Kundennummer"])
    number.value, number.number_format = 9999, "0000000"
    moment = sheet.cell(rows[101], columns["Geändert am"])
    moment.value, moment.number_format = pd.Timestamp("2026-02-28 10:00").to_pydatetime(), "dd.mm.yyyy hh:mm"
    book.save(path)
    after = read_review_sheet(path).entries.set_index("source_row")["after"]
    assert after.to_dict() == {167: "0009999", 101: "2026-02-28T09:00:00Z"}


def test_what_cannot_be_matched_is_an_error_that_names_the_row(corrected: Delivery, tmp_path: Path) -> None:
    def broken(change: object, words: str) -> None:
        path = report_of(corrected).to_excel(tmp_path / "out.xlsx")
        book, columns, rows = cells_of(path)
        change(book, columns, rows)  # type: ignore[operator]
        book.save(path)
        with pytest.raises(CorrectionError, match=words):
            read_review_sheet(path)

    broken(lambda book, c, r: book["rows"].cell(r[101], 1, "167"), "is there twice, or")
    broken(lambda book, c, r: book["rows"].cell(r[101], 1, "7"), r"row \d+ of the sheet 'rows': .* not one of those")
    broken(lambda book, c, r: book["rows"].cell(r[101], 1, "abc"), "not one of those")
    broken(lambda book, c, r: book["rows"].cell(1, c["Firmenname"], "Name"), "no column 'Firmenname'")
    broken(lambda book, c, r: book["rows"].cell(1, c["Branche"], "Firmenname"), "'Firmenname', or two")
    broken(lambda book, c, r: book.remove(book["kept"]), "not a workbook that to_excel wrote")
    broken(lambda book, c, r: book["kept"].cell(1, 1, "x"), "not a workbook that to_excel wrote")
    with pytest.raises(ReadingError, match="no file"):
        read_review_sheet(tmp_path / "gone.xlsx")
    with pytest.raises(CorrectionError, match="not a workbook that to_excel wrote"):
        read_review_sheet(DATA / "2026-10-01_customers.xlsx")


TEXTS = st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8) | st.sampled_from(
    ["=1+1", "+49", "-2", "@x", "\tx", "\rx", "00123", "1E5", "TRUE", "#N/A", "_x0041_", " a ", "\x07", "28.01.2025",
     " ", "\n"]
)  # fmt: skip


@settings(max_examples=9)  # each starts four processes that read a workbook: few sheets of many rows
@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS, TEXTS), min_size=1, max_size=12))
def test_any_text_goes_out_and_comes_back_and_is_never_a_formula(rows: list[tuple[str | None, ...]]) -> None:
    index = pd.Index(range(2, len(rows) + 2), name="source_row")

    def frame(at: int) -> pd.DataFrame:
        texts = {"customer_id": [r[at] for r in rows], "customer_name": [r[at + 1] for r in rows]}
        times = pd.Series([NOW] * len(rows), index=index)
        return pd.DataFrame(texts, index=index, dtype="str").assign(updated_at=times)

    before, after = frame(0), frame(2)
    delivery = Delivery(before, digest="d", names={c: c for c in before.columns})
    findings = pd.DataFrame({"index": index, "column": "customer_id", "reason": "x"})
    with TemporaryDirectory() as folder:
        path = write_review_sheet(before, findings, Path(folder, "out.xlsx"), delivery=delivery)
        book = load_workbook(path)
        assert {cell.data_type for row in book["rows"].iter_rows() for cell in row} <= {"s", "inlineStr", "n"}
        assert read_review_sheet(path).n_entries == 0
        # The owner's cells: written as we write them, for that is how any text stands in a workbook.
        write_review_sheet(after, findings, Path(folder, "after.xlsx"), delivery=delivery)
        owners = load_workbook(Path(folder, "after.xlsx"))
        for row in owners["rows"].iter_rows():
            for cell in row:
                book["rows"].cell(cell.row, cell.column).value = cell.value
                book["rows"].cell(cell.row, cell.column).data_type = "s" if isinstance(cell.value, str) else "n"
        book.save(path)
        done = apply_patch(delivery, read_review_sheet(path))
    pd.testing.assert_frame_equal(done.frame, after, check_dtype=False)


def test_a_text_too_long_for_a_cell_is_cut_visibly_and_never_comes_back_cut(customers, tmp_path: Path) -> None:
    frame = customers(2, customer_name=["x" * (MAX_CELL + 1), "y"], customer_id=[None, None])
    report = report_of(Delivery(frame, digest="d", names={c: c for c in frame.columns}))
    path = report.to_excel(tmp_path / "out.xlsx")
    book, columns, rows = cells_of(path)
    assert book["rows"].cell(rows[2], columns["customer_name"]).value.endswith(" … (cut)")
    book["rows"].cell(rows[2], columns["customer_id"]).value = "A"
    book.save(path)
    assert read_review_sheet(path).entries["column"].tolist() == ["customer_id"]
    book["rows"].cell(rows[2], columns["customer_name"]).value = "Short"
    book.save(path)
    patch = read_review_sheet(path)
    done = apply_patch(Delivery(frame, digest="d"), patch)
    assert dict(zip(done.entries["column"], done.entries["status"], strict=True)) == {
        "customer_id": "applied",
        "customer_name": "stale",
    }


def test_a_column_of_the_file_named_like_another_one_has_the_schemas_name_beside_it(customers, tmp_path: Path) -> None:
    frame = customers(1, customer_id=[None])
    names = {"customer_id": "row", "customer_name": "drop", "updated_at": "x", "source": "x"}
    path = report_of(Delivery(frame, digest="d", names=names)).to_excel(tmp_path / "out.xlsx")
    book, columns, rows = cells_of(path)
    assert {"row (customer_id)", "drop (customer_name)", "x (updated_at)", "x (source)"} <= set(columns)
    book["rows"].cell(rows[2], columns["drop (customer_name)"]).value = "Acme"
    book.save(path)
    assert read_review_sheet(path).entries[["column", "after"]].to_numpy().tolist() == [["customer_name", "Acme"]]


def test_a_word_other_than_yes_drops_no_row(corrected: Delivery, tmp_path: Path) -> None:
    for word in ("no", "0", "non"):
        path = report_of(corrected).to_excel(tmp_path / "out.xlsx")
        book, columns, rows = cells_of(path)
        book["rows"].cell(rows[101], columns["drop"]).value = word
        book.save(path)
        with pytest.raises(CorrectionError, match="Row 101: its cell 'drop' is neither x nor empty"):
            read_review_sheet(path)


def test_a_formula_that_the_owner_adds_loses_no_other_edit(corrected: Delivery, tmp_path: Path) -> None:
    path = report_of(corrected).to_excel(tmp_path / "out.xlsx")
    book, columns, rows = cells_of(path)
    sheet = book["rows"]
    sheet.cell(rows[167], columns["Kundennummer"]).value = "0009999"
    sheet.cell(1, sheet.max_column + 1).value = "length"
    for at in range(2, sheet.max_row + 1):
        sheet.cell(at, sheet.max_column).value = f"=LEN(C{at})"
    book.save(path)
    assert read_review_sheet(path).entries["after"].tolist() == ["0009999"]
    sheet.cell(rows[101], columns["Firmenname"]).value = '="N"&"om"'
    book.save(path)
    with pytest.raises(CorrectionError, match="is a formula whose result is not in the file"):
        read_review_sheet(path)


def test_the_name_of_the_workbook_ends_in_xlsx(corrected: Delivery, tmp_path: Path) -> None:
    for name in ("out.csv", "", "out"):
        with pytest.raises(InputError, match=r"ends in \.xlsx"):
            report_of(corrected).to_excel(tmp_path / name if name else "")


def test_the_rows_of_a_frame_can_be_corrected_too(tmp_path: Path) -> None:
    times = pd.to_datetime(["2026-01-01T00:00:00Z"] * 3)
    frame = pd.DataFrame({"customer_id": ["A", None, "A"], "updated_at": times, "customer_name": ["a", "b", "c"]})
    delivery = read_customers(frame)
    path = report_of(delivery).to_excel(tmp_path / "out.xlsx")
    book, columns, rows = cells_of(path)
    assert "could not be read again" not in " ".join(str(c.value) for c in book["how to"]["A"])  # a frame has no file
    book["rows"].cell(rows[1], columns["customer_id"]).value = "B"
    book["rows"].cell(rows[2], columns["drop"]).value = "x"
    book.save(path)
    done = apply_patch(delivery, read_review_sheet(path))
    assert (done.n_applied, report_of(done.delivery).n_good) == (2, 2)
    assert read_customers(frame.iloc[:2]).digest != delivery.digest == read_customers(frame.copy()).digest


GERMAN = """
[columns]
customer_id = "Kundennummer"
customer_name = "Firma"
updated_at = "Geändert am"
[format]
datetime = "%d.%m.%Y"
timezone = "Europe/Berlin"
[delivery]
language = "de"
"""
EXPORT = pd.DataFrame(
    {"Ort": ["Kiel", "Ulm", "Bonn", "Ulm"], "Kundennummer": ["007", None, "42", "007"],
     "Firma": ["Müller", "Ash", "Ost ", "Mueller"],
     "Geändert am": ["15.10.2023", "16.10.2023", "31.02.2023", "15.10.2023"],
     "Zeile": ["a", "b", "c", "d"], "Telefon": ["0431/1", "=1+1", None, "0731/9"]}
)  # fmt: skip


def exported(folder: Path, ending: str = ".csv") -> Delivery:
    """An export with columns that are not sent, and dates without a time."""
    file = folder / f"export{ending}"
    if ending == ".parquet":
        EXPORT.to_parquet(file)
    elif ending == ".jsonl":
        EXPORT.to_json(file, orient="records", lines=True, force_ascii=False)
    else:
        write_table(EXPORT, file)
    mapping = folder / "export.toml"
    mapping.write_text(GERMAN, encoding="utf-8")
    return read_customers(file, mapping=mapping)


@pytest.mark.parametrize("ending", [".csv", ".xlsx", ".jsonl", ".parquet"])
def test_the_owner_sees_all_columns_of_the_file_and_its_dates(tmp_path: Path, ending: str) -> None:
    delivery = exported(tmp_path, ending)
    first = int(delivery.frame.index[0])
    path = validate(delivery, now=NOW).to_excel(tmp_path / "out.xlsx", language="en")
    book, columns, rows = cells_of(path)
    sheet = book["rows"]
    assert list(columns) == ["row", "what is wrong", "drop", *delivery.names.values(), "Ort", "Zeile", "Telefon"]
    seen = {row - first: [sheet.cell(at, columns[c]).value for c in ("Ort", "Telefon", "Geändert am")]
            for row, at in rows.items()}  # fmt: skip
    assert seen == {
        0: ["Kiel", "0431/1", "15.10.2023"], 3: ["Ulm", "0731/9", "15.10.2023"],
        1: ["Ulm", "=1+1", "16.10.2023"], 2: ["Bonn", None, "31.02.2023"],
    }  # fmt: skip
    assert list(seen) == [0, 3, 1, 2]  # the rows of one customer are below each other
    assert sheet.auto_filter.ref == f"A1:I{len(rows) + 1}"
    assert [sheet.cell(rows[first + n], columns["Firma"]).fill.fgColor.rgb for n in (0, 3)] == ["FFFFF5D6"] * 2
    assert "The other columns" not in " ".join(str(cell.value) for cell in book["how to"]["A"])
    assert read_review_sheet(path).n_entries == 0  # a date that nobody touched is the moment that it was
    sheet.cell(rows[first], columns["Ort"]).value = "Hamburg"  # not sent, so not taken over
    sheet.cell(rows[first + 1], columns["Geändert am"]).value = "17.10.2023"
    book.save(path)
    patch = read_review_sheet(path)
    assert patch.entries[["column", "before", "after"]].to_numpy().tolist() == [
        ["updated_at", "2023-10-15T22:00:00Z", "2023-10-16T22:00:00Z"]
    ]
    assert apply_patch(delivery, patch).n_applied == 1


def test_columns_go_by_their_names_in_a_folder_and_by_their_places_where_two_have_one_name(tmp_path: Path) -> None:
    def seen(*texts: str) -> list[list[str]]:
        folder = tmp_path / f"{len(texts)} parts"
        folder.mkdir()
        for n, text in enumerate(texts):
            (folder / f"{n}.csv").write_text(text, encoding="utf-8")
        path = validate(read_customers(folder), now=NOW).to_excel(tmp_path / "out.xlsx")
        return [[str(cell.value) for cell in row[-3:]] for row in cells_of(path)[0]["rows"].iter_rows()]

    first = "customer_id,updated_at,city,phone,fax\n,2026-01-01T00:00:00Z,Ulm,1,2\n"
    second = "fax,city,phone,updated_at,customer_id\n3,Kiel,4,2026-01-01T00:00:00Z,\n"
    assert seen(first, second) == [["city", "phone", "fax"], ["Ulm", "1", "2"], ["Kiel", "4", "3"]]
    assert seen(first.replace("fax", "phone")) == [["city", "phone (4)", "phone (5)"], ["Ulm", "1", "2"]]


@pytest.mark.parametrize("change", ["gone", "changed", "another header"])
def test_a_file_that_is_not_as_it_was_gives_the_mapped_columns_and_the_sheet_says_so(
    tmp_path: Path, change: str
) -> None:
    delivery = exported(tmp_path)
    file = tmp_path / "export.csv"
    text = file.read_text(encoding="utf-8-sig")
    if change == "gone":
        file.unlink()
    else:
        file.write_text(text.replace(*{"changed": ("Kiel", "Köln")}.get(change, ("Firma", "Name"))), encoding="utf-8")
    with pytest.warns(UserWarning, match=r"The other columns of export\.csv are not shown"):
        path = validate(delivery, now=NOW).to_excel(tmp_path / "out.xlsx", language="en")
    book, columns, _ = cells_of(path)
    assert set(columns) == {"row", "what is wrong", "drop", *delivery.names.values()}
    assert "The other columns of export.csv are not shown" in " ".join(str(c.value) for c in book["how to"]["A"])


def test_a_second_sheet_has_what_can_be_sent_and_looks_unusual(customers, tmp_path: Path) -> None:
    names = ["Ash", "Birch", "Cedar ", "Doe", "Elm"]
    ids = ["007", "B", "C", "7", None]
    delivery = Delivery(
        customers(5, customer_name=names, customer_id=ids), digest="d", names={"customer_name": "Firma"}
    )
    path = validate(delivery, now=NOW).to_excel(tmp_path / "out.xlsx")
    book, _, rows = cells_of(path)
    unusual = book["warnings"]
    columns = {cell.value: cell.column for cell in unusual[1]}
    places = {unusual.cell(at, 1).value: at for at in range(2, unusual.max_row + 1)}
    assert list(rows) == [6]
    assert list(places) == [2, 5, 4]  # 007 and 7 are below each other, and Birch is as usual
    assert (
        unusual.cell(places[2], 2).value
        == "customer_id differs from another only by case, spaces or leading zeros (see row 5)"
    )
    assert unusual.cell(places[4], columns["Firma"]).fill.fgColor.rgb == "FFFFE699"
    assert unusual.cell(places[4], columns["Firma"]).value == "Cedar "
    unusual.cell(places[4], columns["Firma"]).value = "Cedar"
    unusual.cell(places[5], columns["drop"]).value = "x"
    book.save(path)
    done = apply_patch(delivery, read_review_sheet(path))
    assert done.frame["customer_name"].to_dict() == {2: "Ash", 3: "Birch", 4: "Cedar", 6: "Elm"}
    book.remove(unusual)
    book.save(path)
    with pytest.raises(MappingError, match="no sheet 'warnings'"):
        read_review_sheet(path)


def test_a_sheet_has_a_bounded_number_of_unusual_rows_and_says_so(
    customers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolkit.quality.review_sheet.MAX_UNUSUAL", 2)
    path = validate(Delivery(customers(3, customer_name="N/A")), now=NOW).to_excel(tmp_path / "out.xlsx")
    book = load_workbook(path)
    assert book["warnings"].max_row == 3
    assert "has the first 2 of 3 rows" in " ".join(str(cell.value) for cell in book["how to"]["A"])


TABLE = tomllib.loads((files("toolkit.quality") / "review_sheet.toml").read_text(encoding="utf-8"))


def test_no_text_is_missing_in_any_language() -> None:
    assert TABLE.keys() == set(get_args(Language))
    own = tuple(Column(f"own_{kind}", kind, nullable=False, min_length=1 if kind == "string" else None)
                for kind in get_args(Kind))  # fmt: skip
    plain = Contract.named("2026-04")
    contract = replace(plain, resource=replace(plain.resource, columns=(*plain.resource.columns, *own)))
    conditions = [*compile_contract(contract, contract.resource.names), *other_contracts(contract)]
    checks = {c.check.partition("(")[0] for c in conditions} | {rule.name for rule in RULES} | {BROKEN}
    for language, words in TABLE.items():
        assert words.keys() == TABLE["en"].keys(), language
        assert len(words["help"]) == len(TABLE["en"]["help"])
        for name, text in words.items():
            braces = re.compile(r"\{\w+\}")
            assert set(braces.findall(str(text))) == set(braces.findall(str(TABLE["en"][name]))) or name == "why"
        assert words["why"].keys() >= checks or language == "en", checks - words["why"].keys()


@pytest.mark.parametrize("language", get_args(Language))
def test_a_sheet_in_any_language_comes_back_as_the_same_patch(tmp_path: Path, language: Language) -> None:
    delivery = exported(tmp_path)
    words = TABLE[language]
    path = validate(delivery, now=NOW).to_excel(tmp_path / "out.xlsx", language=language)
    book = load_workbook(path)
    assert book.sheetnames == [words["rows"], words["how"], "kept"]
    sheet = book[words["rows"]]
    columns = {cell.value: cell.column for cell in sheet[1]}
    at = {sheet.cell(n, 1).value: n for n in range(2, sheet.max_row + 1)}
    assert f"Zeile ({2})" in columns if language == "de" else "Zeile" in columns  # its own first column is "Zeile"
    sheet.cell(at[3], columns["Kundennummer"]).value = "8"
    sheet.cell(at[5], columns[words["drop"]]).value = "x"
    book.save(path)
    assert read_review_sheet(path).entries[["source_row", "column", "after"]].to_numpy().tolist() == [
        [3, "customer_id", "8"], [5, "(row)", "dropped"]
    ]  # fmt: skip


def test_the_mapping_chooses_the_language_and_reasons_are_in_it(tmp_path: Path) -> None:
    path = validate(exported(tmp_path), now=NOW).to_excel(tmp_path / "out.xlsx")
    sheet = load_workbook(path)["Zeilen"]
    reasons = {sheet.cell(n, 1).value: sheet.cell(n, 2).value for n in range(2, sheet.max_row + 1)}
    assert reasons[3] == "Kundennummer ist leer"
    assert reasons[2] == "Kundennummer, Geändert am stimmen in mehreren Zeilen überein (siehe Zeile 5)"
    assert reasons[4].startswith("Geändert am ist kein gültiger Zeitpunkt")
    assert "Firma hat Leerzeichen am Anfang" in reasons[4]  # a warning of a row that cannot be sent stands there too
    with pytest.raises(InputError, match="language cannot be 'es'"):
        validate(exported(tmp_path), now=NOW).to_excel(tmp_path / "out.xlsx", language="es")
    (tmp_path / "export.toml").write_text(GERMAN.replace('"de"', '"DE"'), encoding="utf-8")
    with pytest.raises(MappingError, match="language cannot be 'DE': write one of en, de, fr"):
        read_customers(tmp_path / "export.csv", mapping=tmp_path / "export.toml")


def test_a_sheet_that_came_back_is_a_patch_wherever_one_is_taken(tmp_path: Path) -> None:
    delivery = exported(tmp_path)
    path = validate(delivery, now=NOW).to_excel(tmp_path / "out.XLSX", language="en")
    book, columns, rows = cells_of(path)
    book["rows"].cell(rows[3], columns["Kundennummer"]).value = "8"
    book.save(path)
    assert read_patch(path, who="Ms Ash").entries["who"].tolist() == ["Ms Ash"]
    assert apply_patch(delivery, path).n_applied == 1
    assert correct(delivery, {"patch": str(path)}).counts == {"patch": 1}
    kept = read_review_sheet(path, who="owner").write(tmp_path / "kept.csv")
    assert read_patch(kept, who="another").entries["who"].tolist() == ["owner"]


@pytest.mark.slow
@pytest.mark.skipif(
    not shutil.which("soffice"), reason="LibreOffice (soffice) is not installed: nothing to try it with"
)
def test_what_libreoffice_saved_comes_back_as_the_same_patch(tmp_path: Path) -> None:
    texts = [
        "=1+1",
        "+49",
        "@x",
        "\tx",
        "00123",
        "1E5",
        "TRUE",
        "#N/A",
        "_x0041_",
        " a ",
        "\x07",
        "28.01.2025",
        "'x",
        "a\nb",
    ]
    index = pd.Index(range(2, len(texts) + 2), name="source_row")
    frame = pd.DataFrame({"customer_id": None, "customer_name": texts}, index=index, dtype="str")
    frame = frame.assign(updated_at=pd.Series([NOW] * len(texts), index=index))
    for name, delivery in {"texts": Delivery(frame, digest="d"), "export": exported(tmp_path)}.items():
        path = validate(delivery, now=NOW).to_excel(tmp_path / f"{name}.xlsx", language="en")
        book, columns, rows = cells_of(path)
        _, row, other, *_ = rows
        book["rows"].cell(rows[row], columns[delivery.names.get("customer_id", "customer_id")]).value = "0042"
        book["rows"].cell(rows[other], columns["drop"]).value = "x"
        book.save(path)
        home = f"-env:UserInstallation={(tmp_path / 'office').as_uri()}"
        subprocess.run(
            ["soffice", "--headless", home, "--convert-to", "xlsx", "--outdir", tmp_path / "saved", path],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip
        sent, back = (read_review_sheet(file, when=NOW) for file in (path, tmp_path / "saved" / path.name))
        assert sent.n_entries == 2
        pd.testing.assert_frame_equal(sent.entries, back.entries)
