"""Values that have a type already: Parquet, frames and queries lose nothing on the way to text."""

from __future__ import annotations

import decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.customer_files import AT
from toolkit.errors import InputError, ReadingError
from toolkit.reading import Mapping, parquet_tables, read_customers


def test_a_frame_keeps_its_index_and_its_types_lose_nothing() -> None:
    frame = pd.DataFrame(
        {
            "customer_id": [7, 12345678901234567],
            "updated_at": pd.to_datetime(["2025-01-28T10:00:00+02:00", "2025-01-28T10:00:00.5Z"], utc=True,
                                         format="ISO8601"),
            "customer_name": pd.Categorical(["a", None]),
            "customer_category": [1.5, float("nan")],
        },
        index=[10, 20],
    )  # fmt: skip
    delivery = read_customers(frame)
    assert delivery.frame.index.tolist() == [10, 20]
    assert delivery.frame["customer_id"].tolist() == ["7", "12345678901234567"]
    assert delivery.frame["updated_at"].tolist() == frame["updated_at"].tolist()
    assert delivery.frame["customer_name"].fillna("null").tolist() == ["a", "null"]
    assert delivery.frame["customer_category"].fillna("null").tolist() == ["1.5", "null"]
    again = read_customers(frame.set_axis(["x", "y"]))
    assert again.frame.index.tolist() == [0, 1]
    assert "by their place" in again.notes[0]


def test_a_naive_time_in_a_frame_is_not_guessed() -> None:
    frame = pd.DataFrame({"customer_id": ["1"], "updated_at": [pd.Timestamp("2025-07-01 10:00")]})
    with pytest.raises(ReadingError, match="frame: updated_at names no time zone"):
        read_customers(frame)
    times = read_customers(frame, mapping=Mapping(timezone="Europe/Berlin")).frame["updated_at"]
    assert times[0] == pd.Timestamp("2025-07-01T08:00:00Z")


def test_a_query_over_a_connection_is_read(tmp_path: Path) -> None:
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'crm.db'}")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE kunden (nr TEXT, geaendert TEXT, name TEXT, rabatt NUMERIC)")
        connection.exec_driver_sql("INSERT INTO kunden VALUES ('00123', '2025-01-28T10:00:00Z', NULL, 1.50)")
    mapping = Mapping(columns={"customer_id": "nr", "updated_at": "geaendert", "customer_name": "name"})
    for source in (engine, engine.connect()):
        delivery = read_customers(source, mapping=mapping, query="SELECT * FROM kunden ORDER BY nr")
        assert delivery.frame["customer_id"].to_dict() == {1: "00123"}
        assert delivery.frame["customer_name"].isna().all()
        assert delivery.source == "query"
    read = read_customers(engine, mapping=mapping, query=sqlalchemy.text("SELECT * FROM kunden"))
    assert read.n_rows == 1
    with pytest.raises(ReadingError, match="The query failed: no such table: kundn"):
        read_customers(engine, mapping=mapping, query="SELECT * FROM kundn")
    with pytest.raises(InputError, match="query="):
        read_customers(engine, mapping=mapping)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=5), st.sampled_from([".json", ".jsonl", ".parquet"]))
def test_any_table_of_text_comes_back_from_json_and_parquet(table: list[tuple[str, str]], ending: str) -> None:
    frame = pd.DataFrame(table, columns=["customer_id", "customer_name"]).assign(updated_at=AT)
    with TemporaryDirectory() as folder:
        path = Path(folder, f"crm{ending}")
        if ending == ".parquet":
            frame.to_parquet(path)
        else:
            frame.to_json(path, orient="records", lines=ending == ".jsonl", force_ascii=False)
        read = read_customers(path).frame
    assert read["customer_id"].fillna("").tolist() == [a for a, _ in table]
    assert read["customer_name"].fillna("").tolist() == [b for _, b in table]


def test_parquet_is_read_whole_or_in_parts_with_the_same_numbers(tmp_path: Path) -> None:
    path = tmp_path / "crm.parquet"
    columns = {
        "customer_id": pa.array([7, 12345678901234567], pa.int64()),
        "updated_at": pa.array([AT, None]),
        "customer_name": pa.array([decimal.Decimal("1.50"), None]),
        "customer_category": pa.array([1e20, 0.5]),
    }
    pq.write_table(pa.table(columns), path, row_group_size=1)
    frame = read_customers(path).frame
    assert frame.index.tolist() == [1, 2]
    assert frame["customer_id"].tolist() == ["7", "12345678901234567"]
    assert frame["customer_name"].fillna("null").tolist() == ["1.50", "null"]
    assert frame["customer_category"].tolist() == ["100000000000000000000", "0.5"]
    parts = list(parquet_tables([path, path], lambda header: {"customer_id": 0}))
    assert [n for part in parts for n in part.numbers.tolist()] == [1, 2, 3, 4]


def test_an_empty_parquet_file_has_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "crm.parquet"
    pq.write_table(pa.table({"customer_id": pa.array([], pa.string()), "updated_at": pa.array([], pa.string())}), path)
    with pytest.raises(ReadingError, match="no rows below it"):
        read_customers(path)
