"""validate() of customers that stay on disk: the same rows and reasons as in memory, in bounded memory."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path

import duckdb
import pandas as pd
import pandera.pandas as pa
import pyarrow as arrow
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.settings import settings_for
from toolkit.config import Settings
from toolkit.errors import InputError, MappingError, ReadingError
from toolkit.ledger import diff
from toolkit.model import CustomAttribute, empty_frame
from toolkit.model.contract import CURRENT, CUSTOMER
from toolkit.quality.rules import RULES, Rule, choose_rules
from toolkit.quality.validation import ValidationReport, validate
from toolkit.reading.customers import read_customers
from toolkit.reading.mapping import Mapping

NOW = pd.Timestamp("2026-11-24T10:00:00Z")
DATA = Path(__file__).parents[2] / "data"
FORM = Rule("id_form", "customer_id", "has another form", check=pa.Check.str_matches(r"\w{1,3}$"), severity="failure")
STRICT = choose_rules(FORM, failures=["placeholder", "near_ids", "similar_names", "future_time"])


def require_equal(found: ValidationReport, report: ValidationReport) -> None:
    assert found.to_dict() == report.to_dict() | {"source": found.to_dict()["source"]}
    told, said = found.quarantine, report.quarantine
    assert told.index.tolist() == said.index.tolist()
    assert told["reasons"].tolist() == said["reasons"].tolist()
    for column in (*CUSTOMER.names, "text"):
        assert told[column].astype(str).tolist() == said[column].astype(str).tolist(), column
    for side in ("failures", "warnings"):
        told, said = (
            getattr(each, side).drop(columns="other").astype(object).fillna("").astype(str) for each in (found, report)
        )
        assert sorted(told.itertuples(index=False, name=None)) == sorted(said.itertuples(index=False, name=None))


IDS = st.none() | st.sampled_from(["A", "B", "a", " A", "0A", "", "\u00a0", "é", "Abcd", "4711.0", '"', "'", "\n"])
NAMES = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    ["Nordwind Logistik", "Nordwind Logisitk", "Acme GmbH", "ACME", "test", "MÃ¼ller", "a\r\nb", "a;b,c", " x", "-"]
)  # fmt: skip
STATED = st.none() | st.sampled_from(
    ["2026-01-01T00:00:00Z", "2026-01-01 01:00:00+01:00", "2026-01-02", "31.02.2026", "9999-12-31T23:59:59.999999Z",
     "0000-01-01", "2026-01-01T00:00:00.1234567Z", "now", "1999-01-01", "2027-06-01T00:00Z", "2026-03-29 02:30:00", " "]
)  # fmt: skip
ROWS = st.lists(st.tuples(IDS, STATED, NAMES, IDS, NAMES, IDS, st.sampled_from([None, "peak", "customer", "ERP", ""])),
                min_size=1, max_size=8)  # fmt: skip
ZONED = Mapping(timezone="Europe/Berlin", nulls=("-",))


@given(ROWS, st.sampled_from(["2026-04", "current"]), st.sampled_from([RULES, STRICT]))
@settings(max_examples=8)
def test_a_file_on_disk_is_checked_as_in_memory(rows: list[tuple], contract: str, rules: tuple) -> None:
    frame = pd.DataFrame(rows, columns=list(CUSTOMER.names)).astype("str")
    with tempfile.TemporaryDirectory() as folder:
        table, text = Path(folder, "rows.parquet"), Path(folder, "rows.csv")
        frame.to_parquet(table)
        frame.map(lambda cell: cell.replace("\0", ""), na_action="ignore").to_csv(text, index=False)
        for path in (table, text):
            try:
                delivery = read_customers(path, mapping=ZONED)
            except ReadingError:
                with pytest.raises(ReadingError):
                    validate(path, mapping=ZONED)
                continue
            how = {"settings": Settings(contract=contract), "rules": rules, "now": NOW}
            require_equal(validate(path, mapping=ZONED, **how), validate(delivery, **how))


@pytest.mark.parametrize("rules", [RULES, STRICT])
def test_the_shipped_delivery_is_checked_as_in_memory(rules: tuple) -> None:
    path, mapping = DATA / "2026-09-01_customers.csv", DATA / "2026-09-01_customers.toml"
    report = validate(read_customers(path, mapping=mapping), rules=rules, now=NOW)
    assert report.n_quarantined > 300  # ERP stands in most rows, and a line is broken
    require_equal(validate(path, mapping=mapping, rules=rules, now=NOW), report)


HOSTILE = {
    "quoted lines": 'customer_id,updated_at,customer_name\nA,2026-01-01,"a\nb"\n\nB,2026-01-02,"""c"""\n',
    "broken lines": 'customer_id,updated_at,customer_name\nA,2026-01-01,"a\nB,2026-01-02,b,c\n\nC,2026-01-03,c\nD\n,,\n',  # noqa: E501
    "only broken": "customer_id,updated_at,customer_name\nA,2026-01-01,b,c\nD\n",
    "title above": "Customers\n\ncustomer_id\tupdated_at\nA\t2026-01-01\nA\t2026-01-01\n",
    "NUL": "customer_id,updated_at,customer_name\nA,2026-01-01,\0\nB,2026-01-01,b\n",
    "upper case": "CUSTOMER_ID;Updated_At\r\nA;2026-01-01\r\n;2026-01-01\r\n",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_hostile_csv_keeps_the_place_of_every_row(tmp_path: Path, name: str, encoding: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(HOSTILE[name].encode(encoding))
    found = validate(path, mapping=ZONED, now=NOW)
    require_equal(found, validate(read_customers(path, mapping=ZONED), now=NOW))
    assert found.n_rows == found.n_good + found.n_quarantined > 0


def test_many_windows_of_a_csv_count_on(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    lines = [f"C{i % 29_990},2026-01-01,{'x' * 20}\n" if i % 1_000 else "\n" for i in range(30_000)]
    path.write_text("customer_id,updated_at,customer_name\n" + "".join(lines) + "late,2026-01-01,a,b\n")
    found = validate(path, mapping=ZONED, rules=(), now=NOW)
    require_equal(found, validate(read_customers(path, mapping=ZONED), rules=(), now=NOW))
    assert found.quarantine.index[-1] == 30_002
    assert found.n_quarantined == 2 * 9 + 1  # C1 to C9 stand twice; row 0 of each is blank


def test_typed_parquet_counts_on_from_file_to_file(tmp_path: Path, customers) -> None:
    for start in (0, 3):
        frame = customers(3, start=start, customer_id=[start, None, 7], source=["peak", None, "ERP"])
        table = arrow.Table.from_pandas(frame.assign(customer_id=[str(start), None, "7"]), preserve_index=False)
        pq.write_table(table, tmp_path / f"part-{start}.parquet", row_group_size=2)
    whole = validate(read_customers(tmp_path), now=NOW)
    assert whole.quarantine.index.tolist() == [2, 3, 5, 6]
    require_equal(validate(tmp_path, now=NOW), whole)


def test_a_relation_and_whatever_streams_arrow_is_checked(customers) -> None:
    frame = customers(4, customer_id=["A", "A", None, "D"], source=["peak", "customer", "ERP", "peak"])
    report = validate(frame.reset_index(drop=True).set_axis(range(1, 5)), now=NOW)
    table = arrow.Table.from_pandas(frame, preserve_index=False)
    with duckdb.connect() as connection:
        connection.register("mine", table)
        require_equal(validate(connection.sql("SELECT * FROM mine"), now=NOW), report)
    require_equal(validate(table, now=NOW), report)
    require_equal(validate(table.to_reader(), now=NOW), report)


def test_a_row_that_no_request_can_carry_is_a_failure(tmp_path: Path, customers) -> None:
    frame = customers(3, customer_name=["A", "x" * 1_000_001, "\x01" * 200_000])
    frame.to_parquet(tmp_path / "rows.parquet")
    found = validate(tmp_path / "rows.parquet", rules=(), now=NOW)
    require_equal(found, validate(read_customers(tmp_path / "rows.parquet"), rules=(), now=NOW))
    assert found.quarantine.index.tolist() == [2, 3]


@pytest.mark.parametrize("ending", ["parquet", "csv"])
@pytest.mark.parametrize("in_memory", [False, True])
def test_all_rows_are_written_good_and_bad(tmp_path: Path, ending: str, in_memory: bool) -> None:
    path, mapping = DATA / "2026-09-01_customers.csv", DATA / "2026-09-01_customers.toml"
    delivery = read_customers(path, mapping=mapping)
    report = validate(delivery, now=NOW)
    good, bad = tmp_path / f"good.{ending}", tmp_path / f"bad.{ending}"
    if in_memory:
        validate(delivery, now=NOW, good=good, bad=bad)
    else:
        validate(path, mapping=mapping, now=NOW, good=good, bad=bad)
    assert read_customers(good).frame.to_dict("list") == report.good.to_dict("list")
    rows = pd.read_parquet(bad) if ending == "parquet" else pd.read_csv(bad, dtype=str)
    assert rows["source_row"].astype(int).tolist() == report.quarantine.index.tolist()
    assert rows["reasons"].tolist() == report.quarantine["reasons"].tolist()
    assert rows["customer_id"].fillna("").tolist() == report.quarantine["customer_id"].fillna("").tolist()
    assert rows["text"].notna().sum() == 1  # the broken line
    assert rows["updated_at"].str.startswith("31.06.2026").sum() == 1  # a cell that is not a time, as it is written
    assert not list(tmp_path.glob(".*"))


def test_a_file_that_cannot_be_written_says_so(tmp_path: Path, customers) -> None:
    with pytest.raises(InputError, match=r"good.xlsx cannot be written: .*\.csv or \.parquet"):
        validate(tmp_path / "nowhere.csv", good=tmp_path / "good.xlsx")  # before anything is read
    with pytest.raises(InputError, match="cannot be written"):
        validate(customers(1), bad=tmp_path / "nowhere" / "bad.csv")


def test_the_good_rows_of_a_file_on_disk_are_not_at_hand(tmp_path: Path, customers) -> None:
    customers(2, customer_id=["A", None]).to_parquet(tmp_path / "rows.parquet")
    found = validate(tmp_path / "rows.parquet", now=NOW)
    assert (found.n_good, found.ok, len(found.quarantine)) == (1, False, 1)
    for use in (lambda: found.good, lambda: validate(found), lambda: diff(empty_frame(), found)):
        with pytest.raises(InputError, match=r"rows.parquet are on disk.*good=.*read_customers"):
            use()
    with pytest.raises(InputError, match=r"validate\(read_customers\(…\), before=…\)"):
        validate(tmp_path / "rows.parquet", before=customers(1))
    assert found.to_excel(tmp_path / "review.xlsx").exists()


def test_a_large_report_shows_the_first_rows_and_counts_all(tmp_path: Path, customers, monkeypatch) -> None:
    for module in ("staging", "validation"):
        monkeypatch.setattr(f"toolkit.quality.{module}.SHOWN_ROWS", 3)
    frame = customers(8, source=["ERP"] * 7 + ["peak"], customer_name=" x")
    frame.to_parquet(tmp_path / "rows.parquet")
    found = validate(tmp_path / "rows.parquet", now=NOW, bad=tmp_path / "bad.csv")
    assert (found.n_quarantined, found.n_failures, found.n_warnings) == (7, 7, 16)
    assert found.quarantine.index.tolist() == found.failures["index"].tolist() == [1, 2, 3]
    assert found.counts == {"source is not one of peak, customer": 7}
    assert len(pd.read_csv(tmp_path / "bad.csv")) == 7


def test_a_folder_of_parquet_stays_on_disk_and_other_sources_are_read(tmp_path: Path, customers) -> None:
    for n, folder in enumerate(("parquet", "csv")):
        (tmp_path / folder).mkdir()
        for part in range(2):
            frame = customers(2, start=2 * part, customer_id=[f"C{part}", None])
            write = frame.to_parquet if n == 0 else partial(frame.to_csv, index=False)
            write(tmp_path / folder / f"part-{part}.{folder}")
        require_equal(validate(tmp_path / folder, now=NOW), validate(read_customers(tmp_path / folder), now=NOW))
    assert validate(tmp_path / "csv", now=NOW).good["customer_id"].tolist() == ["C0", "C1"]
    with pytest.raises(InputError, match="on disk"):
        _ = validate(tmp_path / "parquet", now=NOW).good


CELLS = {
    "text": ["A", None, "", "-"],
    "dictionary": arrow.array(["A", "-", None, "A"]).dictionary_encode(),
    "large text": arrow.array(["A", None, "", "-"], arrow.large_string()),
    "whole numbers": arrow.array([7, None, 2**53 + 1, -1]),
    "numbers": arrow.array([7.0, None, 1.5, float("nan")]),
    "decimals": arrow.array([Decimal("1.50"), None, Decimal("2.00"), Decimal("0.10")]),
    "flags": [True, None, False, True],
}  # fmt: skip


UNITS = ("s", "ms", "us", "ns")


# Ids and times are columns of their own: each kind and each unit once in `make test`, all pairs in `make test-all`.
@pytest.mark.parametrize(
    ("kind", "unit"),
    [
        pytest.param(kind, unit, marks=() if n % len(UNITS) == m else pytest.mark.slow)
        for n, kind in enumerate(CELLS)
        for m, unit in enumerate(UNITS)
    ],
)
def test_every_type_of_parquet_is_read_as_the_reader_reads_it(tmp_path: Path, kind: str, unit: str) -> None:
    times = [datetime(2026, 1, 1 + n, 10, 30, tzinfo=UTC) for n in range(3)]
    columns = {"Kd-Nr": CELLS[kind], "Stand": arrow.array([*times, None], arrow.timestamp(unit, "Europe/Berlin"))}
    pq.write_table(arrow.table({**columns, "other": [1] * 4}), tmp_path / "rows [1].parquet")
    pq.write_table(arrow.table({**columns, "other": [1] * 4}), tmp_path / "rows.parquet")
    mapping = Mapping({"customer_id": "Kd-Nr", "updated_at": "Stand"}, constants={"source": "peak"}, nulls=("-",))
    report = validate(read_customers(tmp_path / "rows.parquet", mapping=mapping), now=NOW)
    for name in ("rows.parquet", "rows [1].parquet"):  # a name with a bracket is a pattern to the engine
        require_equal(validate(tmp_path / name, mapping=mapping, now=NOW, good=tmp_path / "good.parquet"), report)
        assert read_customers(tmp_path / "good.parquet").frame.to_dict("list") == report.good.to_dict("list")


@pytest.mark.parametrize("ids", [["1", "22", "-", "it's"], [1, 22, 3, 4]], ids=["texts", "numbers"])
def test_words_of_parquet_become_those_of_the_mapping(ids: list[str] | list[int], tmp_path: Path) -> None:
    times, category = [datetime(2026, 1, 1, tzinfo=UTC)] * 4, arrow.array(["a", "b", None, "a"]).dictionary_encode()
    columns = {"customer_id": ids, "updated_at": times, "customer_category": category}
    pq.write_table(arrow.table(columns), tmp_path / "rows.parquet")
    words = {"customer_id": {"22": "-", "-": "x", "it's": "y'"}, "customer_category": {"a": "none"}}
    mapping = Mapping({name: name for name in columns}, {"source": "peak"}, nulls=("-", "none"),
                      values={**words, "source": {"peak": "?"}})  # fmt: skip
    report = validate(read_customers(tmp_path / "rows.parquet", mapping=mapping), now=NOW)
    assert "x" in set(report.good["customer_id"]) or ids == [1, 22, 3, 4]
    require_equal(validate(tmp_path / "rows.parquet", mapping=mapping, now=NOW), report)


def test_a_folder_named_like_a_column_and_its_value_changes_no_cell(customers, tmp_path: Path) -> None:
    folder = tmp_path / "customer_id=evil" / "updated_at=2020-01-01" / "source=ERP"
    folder.mkdir(parents=True)
    customers(3).to_parquet(folder / "rows.parquet")
    report = validate(read_customers(folder / "rows.parquet"), now=NOW)
    require_equal(validate(folder / "rows.parquet", now=NOW, good=folder / "good.parquet"), report)
    assert read_customers(folder / "good.parquet").frame["customer_id"].tolist() == ["C00000", "C00001", "C00002"]


def test_a_time_outside_the_calendar_is_not_a_time(tmp_path: Path) -> None:
    times = arrow.array([0, 253402300800_000_000, -62135596800_000_001], arrow.timestamp("us", "UTC"))
    pq.write_table(arrow.table({"customer_id": ["A", "B", "C"], "updated_at": times}), tmp_path / "rows.parquet")
    found = validate(tmp_path / "rows.parquet", rules=(), now=NOW)
    assert found.failures[["index", "check"]].to_numpy().tolist() == [[2, "not_a_time"], [3, "not_a_time"]]
    assert found.counts == validate(read_customers(tmp_path / "rows.parquet"), rules=(), now=NOW).counts


STAFF = CustomAttribute("staff", "integer", required=True, non_null=True)
ATTRIBUTES = (STAFF, CustomAttribute("region", max_length=3))


def test_custom_attributes_are_checked_on_disk_too(tmp_path: Path) -> None:
    text = "customer_id,updated_at,staff,region\nA,2026-01-01,7,abc\nB,2026-01-01,many,\nC,2026-01-01,,abcd\n"
    (tmp_path / "rows.csv").write_text(text)
    pd.read_csv(tmp_path / "rows.csv", dtype=str).to_parquet(tmp_path / "rows.parquet")
    how = {"settings": Settings(attributes=ATTRIBUTES), "now": NOW}
    for name in ("rows.csv", "rows.parquet"):
        found = validate(tmp_path / name, mapping=ZONED, **how, good=tmp_path / "good.csv")
        require_equal(found, validate(read_customers(tmp_path / name, mapping=ZONED, settings=how["settings"]), **how))
        assert found.failures["check"].tolist() == ["not_of_type_integer", "not_nullable", "str_length(None, 3)"]
        assert pd.read_csv(tmp_path / "good.csv", dtype=str)[["staff", "region"]].to_numpy().tolist() == [["7", "abc"]]


def test_names_that_differ_near_both_ends_are_found_among_many(customers) -> None:
    names = ["Nordwind Logistik Grosshandel Werke", "Nrodwind Logistik Grosshandel Werka"]
    fill = [f"{c}ordwind {d}" for c in "OPQRSTUV" for d in ("Alpen", "Logik")] + [f"Z{c} Werk{c}" for c in "bcdefgh"]
    frame = customers(len(names + fill), customer_name=[*names, *fill])
    assert {2, 3} <= set(validate(frame, now=NOW).warnings.query("check == 'similar_names'")["index"])


def test_a_report_shows_what_is_wrong_and_no_markup_of_the_file(customers, tmp_path: Path) -> None:
    customers(2, customer_id=["<b>x</b>", "B"], source=["ERP", "peak"]).to_parquet(tmp_path / "rows.parquet")
    found = validate(tmp_path / "rows.parquet", now=NOW)
    assert "source is not one of peak, customer" in found.body()
    assert "<b>x" not in found.body()
    assert found.to_dict()["quarantined"] == len(found.to_frame()) == 1


def test_a_rule_that_cannot_run_as_sql_is_refused_before_anything_is_read() -> None:
    rule = Rule("capitals", "customer_category", "is not in capitals", check=pa.Check(lambda s: s.str.isupper()))
    with pytest.raises(InputError, match="The rule capitals cannot check customers that stay on disk"):
        validate("nowhere.parquet", rules=[rule])


@pytest.mark.parametrize(
    ("source", "options", "kind", "words"),
    [
        (DATA / "2026-09-01.parquet", {}, ReadingError, "no file"),
        (DATA / "2026-09-01.csv", {}, ReadingError, "no file"),
        (DATA, {}, ReadingError, "several kinds of files"),
        (DATA / "2026-10-01_quotes.csv", {}, ReadingError, "updated_at"),
        (DATA / "2026-09-01_customers.csv", {"mapping": Mapping({"customer_id": "Nr"})}, MappingError, "lacks"),
        (DATA / "2026-09-01_customers.csv", {"memory_limit": "much"}, InputError, "memory_limit"),
        (arrow.table({"customer_id": ["A"], "updated_at": ["2026-01-01"]}), {}, ReadingError, "time zone"),
        (arrow.table({"customer_id": arrow.array([], "str"), "updated_at": arrow.array([], "str")}), {}, ReadingError,
         "no rows"),
    ],
)  # fmt: skip
def test_what_cannot_be_checked_on_disk_says_why(source: object, options: dict, kind: type, words: str) -> None:
    with pytest.raises(kind, match=words):
        validate(source, **options)


def test_a_row_of_a_small_limit_fails_as_in_validate(customers) -> None:
    small = replace(CURRENT, max_bytes=200)
    frame = customers(2).set_axis([1, 2])
    require_equal(validate(arrow.Table.from_pandas(frame, preserve_index=False), settings=settings_for(small), now=NOW),
                  validate(frame, settings=settings_for(small), now=NOW))  # fmt: skip


MEASURED = """
import resource, sys
from toolkit.quality import validate
found = validate(sys.argv[1], rules=(), memory_limit="200MB")
print(found.n_rows, found.n_quarantined, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_is_bounded_by_its_limit_and_not_by_the_rows(tmp_path: Path) -> None:
    peaks = []
    for n in (150_000, 600_000):
        path = tmp_path / f"{n}.parquet"
        ids = arrow.array([f"C{i % (n - 1)}" for i in range(n)])
        times = arrow.array([NOW.to_pydatetime()] * n, arrow.timestamp("us", "UTC"))
        names = arrow.array([f"A name of some length, number {i}" for i in range(n)])
        pq.write_table(arrow.table({"customer_id": ids, "updated_at": times, "customer_name": names}), path)
        done = subprocess.run([sys.executable, "-c", MEASURED, path], capture_output=True, text=True, check=True)
        n_rows, n_bad, kilobytes = map(int, done.stdout.split())
        assert (n_rows, n_bad) == (n, 2)
        peaks.append(kilobytes)
    # What the process has before differs by machine; four times the rows take no more than the limit.
    assert peaks[1] - peaks[0] < 200_000
