"""Values that have a type already: Parquet, frames and queries lose nothing on the way to text."""

from __future__ import annotations

import decimal
import json
import subprocess
import sys
import uuid
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.cases import CASES
from tests.support.customer_files import AT
from toolkit.errors import InputError, ReadingError
from toolkit.quality import validate
from toolkit.reading import Mapping, parquet_tables, read_customers, suggest_mapping


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


def ids_of(values: list, **more: object) -> pd.DataFrame:
    return pd.DataFrame({"customer_id": pd.Series(values, dtype=object), "updated_at": AT, **more})


def queried(values: list, kind: str = "BLOB") -> object:
    engine = sqlalchemy.create_engine("sqlite://", poolclass=sqlalchemy.StaticPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE t (customer_id {kind}, updated_at TEXT)")
        for value in values:
            connection.exec_driver_sql("INSERT INTO t VALUES (?, ?)", (value, AT))
    return read_customers(engine, query="SELECT * FROM t").frame["customer_id"].tolist()


def test_bytes_are_the_utf8_that_they_hold_from_each_source(tmp_path: Path) -> None:
    assert read_customers(CASES / "F01_flba_id.parquet").frame["customer_id"].tolist() == ["00123", "00124"]
    report = validate(CASES / "F01_flba_id.parquet")
    assert (report.n_good, report.n_quarantined) == (2, 0)
    assert queried([b"00123", "Müller".encode()]) == ["00123", "Müller"]
    assert read_customers(ids_of([b"00123", "00124"])).frame["customer_id"].tolist() == ["00123", "00124"]
    path = tmp_path / "crm.parquet"
    for kind in (pa.binary(), pa.large_binary(), pa.binary(3), pa.dictionary(pa.int8(), pa.binary())):
        pq.write_table(pa.table({"customer_id": pa.array([b"007", None], kind), "updated_at": [AT, AT]}), path)
        assert read_customers(path).frame["customer_id"].fillna("null").tolist() == ["007", "null"]


def test_a_float32_has_its_own_digits_from_each_source() -> None:
    parquet = CASES / "F07_float32.parquet"
    assert read_customers(parquet).frame["customer_price_list_id"].tolist() == ["0.1", "2.3"]
    for frame in (pd.read_parquet(parquet), pd.read_parquet(parquet, dtype_backend="pyarrow"), pq.read_table(parquet)):
        assert read_customers(frame).frame["customer_price_list_id"].tolist() == ["0.1", "2.3"]
    cells = ids_of([np.float32(0.1), 123.0, np.float64(1.5), True, 2**70, uuid.UUID(int=7)])
    assert read_customers(cells).frame["customer_id"].tolist() == [
        "0.1", "123", "1.5", "TRUE", str(2**70), "00000000-0000-0000-0000-000000000007"
    ]  # fmt: skip
    assert queried([0.1, 123.0], "REAL") == ["0.1", "123"]


@pytest.mark.parametrize(
    ("value", "what"),
    [(b"\xff", "bytes that are not UTF-8"), ({"a": 1}, "a value of type dict"), (["a"], "a value of type list"),
     ({"a"}, "a value of type set"), (("a",), "a value of type tuple"), ("\ud800", "str that are not UTF-8")],
)  # fmt: skip
def test_a_cell_without_a_text_is_refused_by_column_and_row(value: object, what: str) -> None:
    with pytest.raises(ReadingError, match=f"^frame: customer_id contains {what} in row 12, not text: convert it"):
        read_customers(ids_of(["1", "2", value]).set_axis([10, 11, 12]))
    with pytest.raises(ReadingError, match=r"^query: customer_id contains bytes that are not UTF-8 in row 2, not text"):
        queried(["1", b"\xff"])


def test_an_invalid_text_in_parquet_is_refused_by_column_and_row(tmp_path: Path) -> None:
    path = tmp_path / "crm.parquet"
    ids = pa.array([b"1", None, b"\xff"])
    for cells in (ids, ids.view(pa.string())):
        pq.write_table(pa.table({"customer_id": cells, "updated_at": [AT] * 3}), path)
        for read in (read_customers, validate, lambda p: list(parquet_tables([p], lambda header: {"customer_id": 0}))):
            with pytest.raises(ReadingError, match=r"^crm\.parquet: customer_id contains bytes that .* in row 3, not"):
                read(path)


# --- what Parquet may unpack to

IN_A_CHILD = """
import json, resource, sys
from pathlib import Path
from toolkit.errors import ToolkitError
from toolkit.quality import validate
from toolkit.reading import read_customers, suggest_mapping
resource.setrlimit(resource.RLIMIT_AS, (4_000_000_000, 4_000_000_000))
said = []
for read in (read_customers, validate, suggest_mapping):
    try:
        said.append(read(Path(sys.argv[1])).summary())
    except ToolkitError as error:
        said.append(str(error))
# VmHWM, for ru_maxrss of a child begins with what its parent had.
peak = 1024 * int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
print(json.dumps([peak, *said]))
"""


def in_a_child(path: Path) -> list:
    done = subprocess.run([sys.executable, "-c", IN_A_CHILD, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_a_nested_column_is_refused_before_it_is_unpacked_and_left_out_of_a_suggestion() -> None:
    rss, read, checked, suggested = in_a_child(CASES / "F18_nested_bomb.parquet")
    assert rss < 1_000_000_000
    assert read == checked
    assert read.startswith("F18_nested_bomb.parquet: customer_name contains list<element: string>, not text")
    assert suggested.startswith("2 of 7 columns found")


BOMBS: dict[str, tuple[pa.Array, dict]] = {
    "repeated text": (pa.array(["x" * 1_000_000] * 20), {}),
    "repeated fixed bytes": (pa.array([b"x" * 1_000_000] * 20, pa.binary(1_000_000)), {}),
    "shared beginnings": (
        pa.array(["x" * 1_000_000 + str(i) for i in range(20)]),
        {"use_dictionary": False, "column_encoding": {"customer_name": "DELTA_BYTE_ARRAY"}},
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_that_unpacks_to_gigabytes_is_refused_in_little_memory(name: str, tmp_path: Path) -> None:
    cells, how = BOMBS[name]
    path = tmp_path / "crm.parquet"
    part = pa.table({"customer_id": ["1"] * 20, "updated_at": [AT] * 20, "customer_name": cells})
    with pq.ParquetWriter(path, part.schema, compression="zstd", store_schema=False, **how) as writer:
        for _ in range(60):
            writer.write_table(part)
    assert path.stat().st_size < 200_000
    rss, *said = in_a_child(path)
    assert rss < 1_000_000_000
    assert [s.partition(":")[0] for s in said] == ["crm.parquet unpacks to too much"] * 3


def test_rows_that_take_no_space_in_the_file_are_counted_too(tmp_path: Path) -> None:
    path = tmp_path / "crm.parquet"
    part = pa.table({"customer_id": pa.nulls(1_000_000, pa.string()), "updated_at": pa.nulls(1_000_000, pa.string())})
    with pq.ParquetWriter(path, part.schema) as writer:
        for _ in range(101):
            writer.write_table(part)
    assert path.stat().st_size < 500_000
    with pytest.raises(ReadingError, match="and 4 GB at once"):
        read_customers(path)


def test_a_column_that_nobody_maps_may_be_anything(tmp_path: Path) -> None:
    path = tmp_path / "a[1]*.parquet"
    table = pa.table({"a": [{"b": 1}], "customer_id": ["1"], "updated_at": [AT], "a.b": ["x"], "tags": [["t"]]})
    pq.write_table(table, path)
    by_name = {"customer_id": "customer_id", "updated_at": "updated_at", "customer_name": "a.b"}
    assert read_customers(path, mapping=Mapping(columns=by_name)).frame["customer_name"].tolist() == ["x"]
    assert validate(path).n_rows == 1
    for source in (path, table):
        suggestion = suggest_mapping(source)
        assert suggestion.columns == {"customer_id": "customer_id", "updated_at": "updated_at"}
        assert "lists or records, which a mapping cannot use: a, tags" in suggestion.notes
    with pytest.raises(ReadingError, match="tags contains list<element: string>, not text"):
        read_customers(path, mapping=Mapping(columns=by_name | {"customer_name": "tags"}))


def test_two_columns_of_one_name_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "crm.parquet"
    names = ["a", "customer_id", "a", "updated_at"]
    pq.write_table(pa.Table.from_arrays([pa.array([c]) for c in ("x", "1", "y", AT)], names=names), path)
    assert read_customers(path).frame["customer_id"].tolist() == ["1"]
    assert suggest_mapping(path).columns == {"customer_id": "customer_id", "updated_at": "updated_at"}


def test_columns_of_any_number_and_name_are_measured(tmp_path: Path) -> None:
    path = tmp_path / "crm.parquet"
    columns = {
        "customer_id": ["1"],
        "updated_at": [AT],
        "file_row_number": ["x"],
        **{f"k{i}": ["x"] for i in range(1_200)},
    }
    pq.write_table(pa.table(columns), path)
    assert read_customers(path).n_rows == 1
    assert len(suggest_mapping(path).columns) == 2


# --- what gives an Arrow stream


class Stream:
    """What a polars frame is to us: it gives an Arrow stream and nothing else."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


TABLE = pa.table({"Customer_ID": pa.array([7, 8], pa.int64()), "updated_at": [AT, None], "source": [b"peak", None]})


@pytest.mark.parametrize(
    "source",
    [TABLE, TABLE.to_reader(1), Stream(TABLE), duckdb.from_arrow(TABLE), TABLE.to_batches()[0]],
    ids=["table", "reader", "stream", "relation", "batch"],
)
def test_what_gives_an_arrow_stream_is_read(source: object) -> None:
    delivery = read_customers(source)
    assert delivery.frame["customer_id"].to_dict() == {1: "7", 2: "8"}
    assert delivery.frame["source"].fillna("null").tolist() == ["peak", "null"]
    assert (delivery.source, delivery.notes, len(delivery.digest)) == ("table", ("an Arrow table",), 64)


def test_a_table_is_checked_as_it_is_read() -> None:
    assert validate(TABLE).counts == validate(read_customers(TABLE)).counts
    assert suggest_mapping(TABLE).columns["customer_id"] == "Customer_ID"
    with pytest.raises(ReadingError, match="has a header and no rows"):
        read_customers(TABLE.slice(0, 0))
    nested = TABLE.append_column("customer_name", pa.array([["a"], None]))
    for station in (read_customers, validate):
        with pytest.raises(ReadingError, match="customer_name contains list<item: string>, not text"):
            station(nested)


@pytest.mark.parametrize(
    ("source", "call"),
    [
        (BytesIO(b"customer_id\n1\n"), r'Path\("customers\.csv"\)'),
        ([{"customer_id": "1"}], r"pd\.DataFrame\(rows\)"),
        ({"customer_id": ["1"]}, r"pd\.DataFrame\(rows\)"),
        (pa.chunked_array([["1"]]), r"pa\.table\(\{column: values\}\)"),
        (pd.Series(["1"]), r"pa\.table\(\{column: values\}\)"),
    ],
    ids=["bytes", "list", "dict", "array", "series"],
)
def test_what_is_no_table_is_told_the_call_that_makes_one(source: object, call: str) -> None:
    with pytest.raises(InputError, match=f"is wanted here, and an? .* was given: {call} gives one"):
        read_customers(source)
    with pytest.raises(InputError, match=r"is wanted here, and an? .* was given"):
        validate(source)
