"""Snowflake and Redshift, which nobody has run: their text by the documentation, and a rehearsal on DuckDB.

In the rehearsal each statement is read by sqlglot's own parser of the engine, names without quotes become what the
engine makes of them, and DuckDB runs it. That shows that a statement is whole, and that names agree; not what the
engine makes of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import duckdb
import pandas as pd
import pyarrow as pa
import pytest
import sqlglot
from sqlglot import exp
from sqlglot.optimizer.normalize_identifiers import normalize_identifiers

import toolkit as tk
from tests.engine import test_comparing, test_profiling, test_sessions
from tests.engine.test_validation import CASES, SHARED, same_order, told
from tests.support.engines import SCRATCH, Served
from tests.training import test_readiness
from toolkit.engine import CALENDAR, UnwritableError
from toolkit.engine.adbc import RedshiftSession, SnowflakeSession
from toolkit.engine.dialect import REDSHIFT, SNOWFLAKE

MACROS = """
    CREATE MACRO regexp_instr(x, pattern) AS CAST(regexp_matches(x, pattern) AS INT);
    CREATE MACRO getdate() AS now();
    CREATE VIEW svv_tables AS SELECT table_schema, table_name FROM information_schema.tables;
"""


def as_duckdb_has_it(node: exp.Expr) -> exp.Expr:
    """Write what sqlglot does not write for DuckDB, or only in a long way."""
    if isinstance(node, exp.Collate):  # DuckDB compares code points
        return node.this.transform(as_duckdb_has_it)
    if isinstance(node, exp.DataType) and node.this in (exp.DataType.Type.TEXT, exp.DataType.Type.VARCHAR):
        return exp.DataType.build("text")
    if isinstance(node, exp.ByteLength) or (isinstance(node, exp.Anonymous) and node.name.lower() == "octet_length"):
        return exp.Anonymous(this="strlen", expressions=list(node.iter_expressions()))
    if isinstance(node, exp.RegexpInstr):
        return exp.Anonymous(this="regexp_instr", expressions=[node.this, node.expression])
    return node


class Cursor:
    """A cursor of ADBC, as far as the toolkit uses one, of an engine that is rehearsed on DuckDB."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, read: str) -> None:
        self.connection, self.read = connection.cursor(), read
        self.connection.execute("SET TimeZone = 'Etc/UTC'")  # another name of the zone

    def execute(self, sql: str) -> None:
        if re.match("(ALTER SESSION )?SET TIMEZONE", sql, re.IGNORECASE):
            return
        (tree,) = sqlglot.parse(sql, read=self.read)
        assert tree is not None
        tree = normalize_identifiers(tree.transform(as_duckdb_has_it), dialect=self.read)
        self.found = self.connection.sql(tree.sql("duckdb"))

    def fetchall(self) -> None:
        pass

    def fetch_arrow_table(self) -> pa.Table:
        return self.found.to_arrow_table()

    def fetch_record_batch(self) -> pa.RecordBatchReader:
        return self.found.to_arrow_reader()

    def adbc_ingest(self, name: str, table: pa.Table, *, mode: str, db_schema_name: str) -> None:
        assert mode == "create"
        self.connection.register("given", table)
        self.connection.execute(f'CREATE TABLE "{db_schema_name}"."{name}" AS SELECT * FROM given')
        self.connection.unregister("given")

    def close(self) -> None:
        self.connection.close()

    def __enter__(self) -> Cursor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Connection:
    def __init__(self, database: duckdb.DuckDBPyConnection, read: str) -> None:
        self.database, self.read = database, read

    def cursor(self) -> Cursor:
        return Cursor(self.database, self.read)

    def close(self) -> None:
        pass

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module", params=["snowflake", "redshift"])
def rehearsed(request: pytest.FixtureRequest) -> Iterator[Served]:
    database, kind = duckdb.connect(), request.param
    database.execute(MACROS)
    session = SnowflakeSession if kind == "snowflake" else RedshiftSession
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "_opened", lambda _: Connection(database, kind))
        yield Served(kind, getattr(tk.engine, kind)(f"{kind}://me@there/db", scratch=SCRATCH))


@pytest.mark.slow  # `make test` rehearses a comparison, a readiness and a profile, which begin with a report
@pytest.mark.parametrize("case", CASES)
def test_a_report_says_what_it_says_of_a_frame(rehearsed: Served, case: str) -> None:
    there = told(tk.validate(rehearsed.load(CASES[case]), rules=SHARED))
    assert there["counts"].pop("not_run") == ["totals_row"]  # it looks for letters
    local = told(tk.validate(same_order(CASES[case]), rules=[rule for rule in SHARED if rule.name != "totals_row"]))
    for part, said in local.items():
        assert there[part] == said, part
    assert rehearsed.left() == []


def test_a_session_keeps_its_names_order_and_lease(rehearsed: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    test_sessions.test_names_of_a_session_stand_for_what_lies_in_the_engine(rehearsed)
    test_sessions.test_batches_keep_the_order_and_other_statements_run_meanwhile(rehearsed)
    test_sessions.test_a_later_run_clears_what_a_crash_left_and_no_live_run(rehearsed)
    with rehearsed.engine.session() as session:
        session.create("a_", "SELECT 1 AS n")
        monkeypatch.setattr("toolkit.engine.session.RENEWED_S", -1)
        monkeypatch.setattr("toolkit.engine.session.LEASE_S", 100_000)
        assert session.scalar("SELECT n FROM a_") == 1
    assert rehearsed.left() == []


def test_a_comparison_and_a_readiness_say_what_they_say_of_frames(rehearsed: Served) -> None:
    test_comparing.test_a_table_differs_as_its_frame_does(rehearsed)
    test_readiness.test_every_engine_counts_the_same(rehearsed)


def test_a_profile_and_a_drift_count_all_but_patterns(rehearsed: Served) -> None:
    old, new = (test_profiling.delivery(seed) for seed in (1, 2))
    found, local = tk.profile(test_profiling.load(rehearsed, new)), tk.profile(new)
    assert found.columns["patterns"].map(len).sum() == 0
    assert found.columns["sampled"].any()
    pd.testing.assert_frame_equal(*(each.columns.drop(columns=["patterns", "sampled"]) for each in (found, local)))
    pd.testing.assert_frame_equal(found.times, local.times)
    drift = tk.drift(test_profiling.load(rehearsed, old), test_profiling.load(rehearsed, new))
    pd.testing.assert_frame_equal(drift.columns, tk.drift(old, new).columns)
    assert rehearsed.left() == []


WRITTEN = {
    "a = 'it''s'": (r"""("a" = 'it''s')""", r"""("a" = 'it''s')"""),
    r"a = 'x\y'": (r"""("a" = 'x\\y')""", r"""("a" = 'x\\y')"""),
    "strlen(a) > 9": ("""(octet_length("a") > 9)""",) * 2,
    "length(a) > 9": ("""(LENGTH("a") > 9)""",) * 2,
    r"regexp_matches(a, '\d|\.$')": (r"""((0 < REGEXP_INSTR("a", '[0-9]|\\.$')))""",) * 2,
    "regexp_full_match(a, '(?:x|y)+')": ("""((0 < REGEXP_INSTR("a", '^((x|y)+)$')))""",) * 2,
    r"regexp_matches(a, '[\x{2000}-\x{2002}x-z]')": ("""((0 < REGEXP_INSTR("a", '[\u2000\u2001\u2002x-z]')))""",) * 2,
    r"regexp_matches(a, '[\t.]')": ("""((0 < REGEXP_INSTR("a", '[\t.]')))""",) * 2,
    "regexp_replace(a, '0', '', 'g') = ''": ("""(REGEXP_REPLACE("a", '0', '') = '')""",) * 2,
    "lower(a) = 'x'": ("""(LOWER(TRANSLATE("a", 'İΣ', 'iσ')) = 'x')""",) * 2,
    "trim(a, 'x') = ''": ("""(LTRIM(RTRIM("a", 'x'), 'x') = '')""",) * 2,
    "ltrim(a, '0') = ''": ("""(LTRIM("a", '0') = '')""",) * 2,
    "contains(a, 'x')": ("""((0 < POSITION('x' IN "a")))""",) * 2,
    "starts_with(a, 'x')": ("""((LEFT("a", LENGTH('x')) = 'x'))""",) * 2,
    "concat_ws(', ', a, b) = ''": (
        """(SUBSTR(COALESCE(', ' || "a", '') || COALESCE(', ' || "b", ''), 3) = '')""",) * 2,
    "CAST(a AS BIGINT) > 1": ("""(CAST("a" AS BIGINT) > 1)""",) * 2,
    "CAST(a AS DOUBLE) > 1": ("""(CAST("a" AS DOUBLE) > 1)""", """(CAST("a" AS double precision) > 1)"""),
    "t < TIMESTAMPTZ '2000-01-01 00:00:00+00:00'": (
        """("t" < CAST('2000-01-01 00:00:00+00:00' AS TIMESTAMP_LTZ(6)))""",
        """("t" < CAST('2000-01-01 00:00:00+00:00' AS TIMESTAMPTZ))""",
    ),
}  # fmt: skip


@pytest.mark.parametrize("condition", WRITTEN)
def test_a_condition_is_written_as_the_engines_document_it(condition: str) -> None:
    """Each is what the documentation of the two says, in November 2026.

    Snowflake: a backslash in a text is doubled; REGEXP_LIKE looks at the whole text, REGEXP_INSTR gives 0 without a
    match ("String functions (regular expressions)"); CONCAT_WS is null if one of its texts is; TRIM takes no FROM.
    Redshift: two backslashes before a character of a pattern ("POSIX operators"), no REGEXP_LIKE, no CONCAT_WS.
    """
    columns = {c: c for c in ("a", "b", "t")}
    for dialect, expected in zip((SNOWFLAKE, REDSHIFT), WRITTEN[condition], strict=True):
        assert dialect.write(dialect.condition(condition, columns)) == expected


@pytest.mark.parametrize("pattern", [r"\p{L}", r"[^\pL]", "[[:alpha:]]", "a+?", r"[a\-z]", r"[\]]", "(?i)a"])
def test_what_posix_does_not_say_is_refused(pattern: str) -> None:
    for dialect in (SNOWFLAKE, REDSHIFT):
        with pytest.raises(UnwritableError):
            dialect.condition(f"regexp_matches(a, '{pattern}')", {"a": "a"})


def test_names_texts_and_types_are_written_as_the_engines_document_them() -> None:
    """Snowflake makes upper-case letters of a name without quotes; Redshift's VARCHAR alone has 256 bytes."""
    sql = f"""SELECT r."a b", left(r.n, 2) AS "rows", {{}} AS t FROM rows_ AS r WHERE r.t {CALENDAR} GROUP BY n"""
    known = {"rows_": "scratch.tk_1_rows_"}
    assert SNOWFLAKE.write(sql.format(SNOWFLAKE.text("n")), known) == (
        """SELECT "r"."a b", left("r"."n", 2) AS "rows", CAST("n" AS VARCHAR) COLLATE 'utf8' AS "t" """
        """FROM scratch.tk_1_rows_ AS "r" WHERE "r"."t" """
        """BETWEEN CAST('0001-01-01 00:00:00+00:00' AS TIMESTAMP_LTZ(6)) """
        """AND CAST('9999-12-31 23:59:59.999999+00:00' AS TIMESTAMP_LTZ(6)) GROUP BY "n\""""
    )
    assert REDSHIFT.write(sql.format(REDSHIFT.text("n")), known) == (
        """SELECT r."a b", left(r.n, 2) AS "rows", collate(CAST(n AS VARCHAR(MAX)), 'case_sensitive') AS t """
        """FROM scratch.tk_1_rows_ AS r WHERE r.t BETWEEN CAST('0001-01-01 00:00:00+00:00' AS TIMESTAMPTZ) """
        """AND CAST('9999-12-31 23:59:59.999999+00:00' AS TIMESTAMPTZ) GROUP BY n"""
    )
