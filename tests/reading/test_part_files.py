"""A folder of part-files is one table, and each row keeps the place in its own file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.customer_files import AT, as_json, write_rows
from toolkit.errors import ReadingError
from toolkit.reading import Mapping, read_customers

HEADER = ["customer_id", "updated_at", "customer_name"]


def test_a_folder_is_one_table_and_each_row_keeps_its_place(tmp_path: Path) -> None:
    folder = tmp_path / "export"
    write_rows(folder / "part-0.csv", [HEADER, ["1", AT, "a"], ["2", AT, "b", "c"]])
    write_rows(folder / "part-1.csv", [["title"], HEADER, ["3", AT, "c"], ["4", AT, "d"]])  # its header stands lower
    write_rows(folder / "part-2.csv", [["customer_name", "customer_id", "updated_at"], ["e", "5", AT], ["f", "6"]])
    (folder / "_SUCCESS").touch()
    (folder / ".crc").touch()
    (folder / "readme.md").touch()
    delivery = read_customers(folder)
    assert delivery.frame["customer_id"].tolist() == ["1", "3", "4", "5"]
    assert delivery.frame["customer_name"].tolist() == ["a", "c", "d", "e"]
    assert [delivery.place(row) for row in delivery.frame.index] == [
        "part-0.csv row 2",
        "part-1.csv row 3",
        "part-1.csv row 4",
        "part-2.csv row 2",
    ]
    assert [delivery.place(row) for row in delivery.broken.index] == ["part-0.csv row 3", "part-2.csv row 3"]
    assert delivery.notes[0] == "3 files"
    assert "left out: readme.md" in delivery.notes
    assert delivery.source == "export"


@pytest.mark.parametrize("rows", [[["Name", "Customer", "Changed"], ["C SA", "003", AT]], [["3", AT, "C SA"]]])
def test_a_part_with_another_header_or_none_is_refused_by_name(tmp_path: Path, rows: list[list[str]]) -> None:
    folder = tmp_path / "export"
    write_rows(folder / "a.csv", [HEADER, ["1", AT, "A SA"]])
    write_rows(folder / "b.csv", rows)
    with pytest.raises(ReadingError, match=r"b\.csv cannot be read like the first file of the folder"):
        read_customers(folder)
    mapping = Mapping(columns={"customer_id": "customer_id", "updated_at": "updated_at"})
    with pytest.raises(ReadingError, match=r"b\.csv cannot be read like the first file of the folder"):
        read_customers(folder, mapping=mapping)


def test_a_part_that_lacks_a_column_is_refused(tmp_path: Path) -> None:
    write_rows(tmp_path / "export" / "a.csv", [HEADER, ["1", AT, "a"]])
    write_rows(tmp_path / "export" / "b.csv", [HEADER[:2], ["2", AT]])
    with pytest.raises(ReadingError, match=r"b\.csv lacks customer_name"):
        read_customers(tmp_path / "export")


def test_a_folder_of_several_kinds_or_of_none_is_refused(tmp_path: Path) -> None:
    write_rows(tmp_path / "export" / "a.csv", [HEADER, ["1", AT, "a"]])
    as_json(tmp_path / "export" / "c.json")
    with pytest.raises(ReadingError, match=r"several kinds of files, \.csv and \.json"):
        read_customers(tmp_path / "export")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ReadingError, match="without a file that can be read"):
        read_customers(tmp_path / "empty")
