"""readiness(): each quote joined with its customer as of its date, against an independent slow reference."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import toolkit as tk
from tests.support.engines import Served
from tests.support.pages import Page
from toolkit.errors import InputError
from toolkit.model import CUSTOMER, FEATURES

DATA = Path(__file__).parent.parent.parent / "data"
NOW = pd.Timestamp("2026-01-01T00:00:00Z")
TEXTS = [*FEATURES, "customer_price_list_id"]
Rows = list[dict[str, Any]]


def moment(day: int) -> pd.Timestamp:
    return pd.Timestamp("2024-12-30T22:00:00Z") + pd.Timedelta(days=day, hours=day % 5)


def frame(rows: Rows, columns: list[str]) -> pd.DataFrame:
    made = pd.DataFrame(rows, columns=columns)
    kinds = {c: "datetime64[us, UTC]" if c.endswith("_at") else "float64" if c == "value" else "str" for c in columns}
    return made.astype(kinds)


def folded(name: str) -> str:
    return name.strip(" ").lower().lstrip("0")


def expected(versions: Rows, quotes: Rows, sales: Rows) -> tuple[Counter[Any], dict[str, dict[str, set[Any]]]]:
    """What is true of the rows, one by one: quotes by month, category and state; ids and rows of each finding."""
    known: dict[str, Rows] = defaultdict(list)
    for row in sorted(versions, key=lambda v: (v["updated_at"], *(v[c] or "" for c in TEXTS))):
        if row["customer_id"]:
            known[row["customer_id"]].append(row)
    near = {folded(name) for name in known if folded(name)}
    filled = lambda row: all((row[c] or "").strip(" ") for c in FEATURES)  # noqa: E731
    cells, found = Counter[Any](), defaultdict(lambda: {"ids": set(), "quotes": set(), "sales": set()})

    def note(finding: str, name: str, table: str, place: int) -> None:
        found[finding]["ids"].add(name)
        found[finding][table].add(place)

    for place, quote in enumerate(quotes):
        name, at, its = quote["customer_id"], quote["quoted_at"], known.get(quote["customer_id"] or "", [])
        before = [v for v in its if at is not None and v["updated_at"] <= at]
        version = before[-1] if before else its[0] if its and at is not None else its[-1] if its else None
        if not name or at is None:
            state = "unusable"
        elif version is None:
            state = "rewritten" if folded(name) in near else "missing"
        elif not before:
            state = "early"
        else:
            state = "ready" if filled(version) else "late" if filled(its[-1]) else "incomplete"
        month = None if at is None else f"{at:%Y-%m}"
        cells[month, (version or {}).get(FEATURES[0]) or None, state] += 1
        if state not in ("ready", "unusable"):
            note(state, name, "quotes", place)
        lists = quote["price_list_id"], (version or {}).get("customer_price_list_id")
        if before and all(lists) and lists[0] != lists[1]:
            note("price_list", name, "quotes", place)
        if its and its[-1]["updated_at"] < NOW - pd.DateOffset(months=12):
            note("stale", name, "quotes", place)
    for place, sale in enumerate(sales):
        if (name := sale["customer_id"]) and name not in known:
            note("rewritten" if folded(name) in near else "missing", name, "sales", place)
    quoted = {quote["customer_id"] for quote in quotes}
    for name, its in known.items():
        if its[-1]["updated_at"] < NOW - pd.DateOffset(months=12):
            found["stale"]["ids"].add(name)
        if name not in quoted:
            found["never"]["ids"].add(name)
    return cells, found


IDS = st.sampled_from(["007", "7", "0", "A1", "a1", "B ", "B", "Ünal", "", None])
DAYS = st.integers(0, 400).map(moment)
TEXT = st.sampled_from(["x", "y", "", " ", None])
VERSIONS = st.lists(st.fixed_dictionaries({"customer_id": IDS, "updated_at": DAYS, **dict.fromkeys(TEXTS, TEXT)}))
QUOTES = st.lists(
    st.fixed_dictionaries(
        {"customer_id": IDS, "quoted_at": DAYS | st.none(), "price_list_id": TEXT, "value": st.integers(0, 9)}
    )
)
SALES = st.lists(st.fixed_dictionaries({"customer_id": IDS, "sold_at": DAYS, "value": st.integers(0, 9)}))


@settings(max_examples=20)
@given(versions=VERSIONS, quotes=QUOTES, sales=SALES)
def test_every_quote_is_what_a_slow_reference_says_row_by_row(versions: Rows, quotes: Rows, sales: Rows) -> None:
    cells, found = expected(versions, quotes, sales)
    tables = (
        frame(versions, ["customer_id", "updated_at", *TEXTS]),
        frame(quotes, ["customer_id", "quoted_at", "price_list_id", "value"]),
        frame(sales, ["customer_id", "sold_at", "value"]),
    )
    result = tk.readiness(*tables, now=NOW)
    states, months, ready, categories = (Counter[Any]() for _ in range(4))
    for (month, category, state), n in cells.items():
        states[state] += n
        months[month] += n
        ready[month] += n * (state == "ready")
        categories[category] += n
    assert result.states == {**dict.fromkeys(result.states, 0), **states}
    assert result.n_quotes == len(quotes)
    by_month = result.shares("month")
    assert dict(by_month["quotes"]) == {m: n for m, n in months.items() if m}
    assert dict(by_month["ready"]) == {m: ready[m] for m in months if m}
    assert dict(result.shares("category")["quotes"]) == {c: n for c, n in categories.items() if c}
    assert result.totals.keys() == found.keys()
    for finding, of in found.items():
        total = result.totals[finding]
        assert {table: total[table] for table in of} == {table: len(rows) for table, rows in of.items()}, finding
        worth = sum(quotes[n]["value"] for n in of["quotes"]) + sum(sales[n]["value"] for n in of["sales"])
        assert (total["value"] or 0) == worth
        listed = result.findings[result.findings["finding"] == finding]
        assert set(listed["id"]) == of["ids"]
        assert listed["quotes"].sum() == len(of["quotes"])
    assert result.has_findings == bool(len(quotes) - states["ready"] or found.keys() - {"never"})


# --- each finding, with its place and its cure ---


CUSTOMERS = pd.DataFrame(
    [
        ("007", "2025-03-01T00:00:00Z", "Retail", None, "PL-1"),
        ("007", "2025-06-01T00:00:00Z", "Retail", "Wood", "PL-2"),
        ("8", "2024-01-01T00:00:00Z", "Trade", "Iron", "PL-1"),
    ],
    columns=["customer_id", "updated_at", *TEXTS],
)


def quotes_of(*rows: tuple[str, str], **columns: object) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["customer_id", "quoted_at"]).assign(**columns)


def test_a_quote_at_the_moment_of_a_version_sees_that_version() -> None:
    times = ["2025-02-28T23:59:59Z", "2025-03-01T00:00:00Z", "2025-05-31T23:59:59Z", "2025-06-01T00:00:00Z"]
    found = tk.readiness(CUSTOMERS, quotes_of(*[("007", time) for time in times]), now=NOW)
    assert {s: n for s, n in found.states.items() if n} == {"early": 1, "late": 2, "ready": 1}
    assert found.lacking == {"customer_subcategory": 2, "customer_category": 0}


def test_an_id_that_lost_its_zeros_is_named_with_the_one_that_customer_has() -> None:
    quotes = quotes_of(("7", "2025-07-01T00:00:00Z"), ("0008", "2025-07-01T00:00:00Z"), ("9", "2025-07-01T00:00:00Z"))
    found = tk.readiness(CUSTOMERS, quotes, now=NOW)
    rows = found.findings.set_index("id")
    assert rows["detail"].loc[["7", "0008"]].tolist() == ["007", "8"]
    assert rows.loc["9", "finding"] == "missing"
    assert "2 customers whose ids CUSTOMER has in another form: 2 quotes" in found.lines().values()
    assert "pad_ids" in found.body()


def test_price_lists_are_compared_as_of_the_date_of_the_quote() -> None:
    quotes = quotes_of(
        ("007", "2025-04-01T00:00:00Z"), ("007", "2025-07-01T00:00:00Z"), ("007", "2025-07-01T00:00:00Z"),
        price_list_id=["PL-1", "PL-1", None],
    )  # fmt: skip
    found = tk.readiness(CUSTOMERS, quotes, now=NOW)
    (row,) = found.findings.query("finding == 'price_list'").to_dict("records")
    assert (row["id"], row["quotes"], row["detail"]) == ("007", 1, "PL-2 → PL-1")


def test_merchants_are_looked_for_only_in_a_table_of_merchants() -> None:
    quotes = quotes_of(*[("8", "2025-07-01T00:00:00Z")] * 3, merchant_id=["M-1", "M-2", "M-2"])
    merchants = pd.DataFrame({"merchant_id": ["M-1", "M-1", None]})
    assert tk.readiness(CUSTOMERS, quotes, now=NOW).count("merchant") == 0
    found = tk.readiness(CUSTOMERS, quotes, merchants=merchants, now=NOW)
    assert (found.count("merchant"), found.count("merchant", "quotes")) == (1, 2)
    assert found.findings.query("finding == 'merchant'")["id"].tolist() == ["M-2"]


def test_stale_months_count_back_from_now() -> None:
    quotes = quotes_of(("8", "2025-07-01T00:00:00Z"))
    assert tk.readiness(CUSTOMERS, quotes, now=NOW).count("stale") == 1
    assert tk.readiness(CUSTOMERS, quotes, now=NOW, stale_months=3).count("stale") == 2
    assert tk.readiness(CUSTOMERS, quotes, now=NOW, stale_months=24).count("stale") == 0


def test_the_value_of_a_sale_is_its_quantity_times_its_price_unless_a_column_says_it() -> None:
    sales = pd.DataFrame({"customer_id": ["9", "9"], "sold_at": "2025-07-01T00:00:00Z", "quantity": [2, 3],
                          "selling_price": ["1.50", "2"]})  # fmt: skip
    quotes = quotes_of(("8", "2025-07-01T00:00:00Z"))
    found = tk.readiness(CUSTOMERS, quotes, sales, now=NOW)
    assert found.totals["missing"] == {"ids": 1, "quotes": 0, "sales": 2, "value": 9.0}
    named = {"value": "Net Amount"}
    found = tk.readiness(CUSTOMERS, quotes, sales.assign(**{"net amount": [10, 20]}), columns=named, now=NOW)
    assert found.totals["missing"]["value"] == 30


# --- before and after a plan, with the shipped deliveries ---


@pytest.fixture(scope="module")
def shipped() -> tuple[pd.DataFrame, Any]:
    reports = [tk.validate(tk.correct(tk.read_customers(DATA / name, mapping=(DATA / name).with_suffix(".toml"))))
               for name in ("2026-09-01_customers.csv", "2026-10-01_customers.xlsx")]  # fmt: skip
    return reports[0].good, reports[1]


def test_a_plan_shows_what_it_would_change(shipped: tuple[pd.DataFrame, Any]) -> None:
    before, report = shipped
    plan = tk.plan_push(tk.diff(before, report), allow="all")
    tables = [DATA / f"2026-10-01_{name}.csv" for name in ("quotes", "sales")]
    found = tk.readiness(before, *tables, merchants=DATA / "2026-10-01_merchants.csv", plan=plan)
    pushed = pd.concat([before, plan.to_frame()])
    alone = tk.readiness(pushed, *tables, merchants=DATA / "2026-10-01_merchants.csv")
    assert found.after
    assert found.after.states == alone.states
    assert found.after.totals == alone.totals
    assert found.after.n_ready > found.n_ready
    assert f"({found.n_ready} → {found.after.n_ready}, " in repr(found)
    counts = {name: found.after.count(name) for name in ("missing", "rewritten", "early", "merchant")}
    assert counts == {"missing": 2, "rewritten": 3, "early": 2, "merchant": 1}  # as data/README.md says
    body = found.body()
    assert "After the push" in body
    assert body.count("<details") == len(found.totals) + 1  # and every month
    assert re.findall(
        r"<details class=fold open>.*?(8 customers that CUSTOMER lacks)", body
    )  # what to do first, in sight
    assert body.count(" open>") == 1
    page = Page(body)
    missing, rewritten = (page.grids[found.lines()[name]] for name in ("missing", "rewritten"))
    assert found.lines()["missing"].endswith("2 after the push")
    assert "This push solves 6 of the 8." in page.text
    assert "Still open: 0009090, 0009040. Ask for" in page.text
    left = {row[0] for row in missing.rows if row[missing.heads.index("After the push")] == "still open"}
    assert left == {"0009040", "0009090"}
    assert "After the push" not in rewritten.heads
    names = before.set_index("customer_id")["customer_name"]
    for row in rewritten.rows:
        assert row[rewritten.heads.index("Name")] == names[row[rewritten.heads.index("Instead")]]
    for by in ("month", "category"):  # both sides add up, quotes without a customer included
        of = [[re.search(r"(\d+) of (\d+)", cell) for cell in row[1:]] for row in page.grids[f"By {by}"].rows]
        sums = [[sum(int(m[n]) for m in side if m) for n in (1, 2)] for side in zip(*of, strict=True)]
        assert sums == [[side.n_ready, side.n_quotes] for side in (found, found.after)]
    assert any("2022-10: 4, 0%, 2022-11 …: 0, 0%, 2026-01: 52" in said for said in page.pictures)


def test_a_customer_that_comes_too_late_for_its_quotes_is_still_open(shipped: tuple[pd.DataFrame, Any]) -> None:
    before = frame(CUSTOMERS.to_dict("records"), list(CUSTOMERS)).reindex(columns=CUSTOMER.names)
    new = pd.concat([before.iloc[:1].assign(customer_id=name, customer_subcategory="Wood", customer_name=f"{name} AG")
                     for name in ("A", "B")])  # fmt: skip
    plan = tk.plan_push(tk.diff(before, new), allow="all")
    quotes = quotes_of(("A", "2025-02-01T00:00:00Z"), ("B", "2025-04-01T00:00:00Z"))
    found = tk.readiness(before, quotes, plan=plan, now=NOW)
    assert (found.states["missing"], found.after.states["early"], found.after.n_ready) == (2, 1, 1)
    page = Page(found.body())
    missing = page.grids[found.lines()["missing"]]
    assert [row[-1] for row in missing.rows] == ["still open", "solved"]
    # Only the plan knows their names.
    assert [(row[0], row[missing.heads.index("Name")]) for row in missing.rows] == [("A", "A AG"), ("B", "B AG")]
    solved = tk.readiness(before, quotes.tail(1), plan=plan, now=NOW).body()
    assert "This push solves 1 of the 1." in solved
    assert "Ask for an extract" not in solved


def test_an_upsert_replaces_a_version_and_an_append_does_not(shipped: tuple[pd.DataFrame, Any]) -> None:
    before = frame(CUSTOMERS.to_dict("records"), list(CUSTOMERS)).reindex(columns=CUSTOMER.names)
    changes = tk.diff(before, before.iloc[:1].assign(customer_subcategory="Wood"))
    quotes = quotes_of(("007", "2025-04-01T00:00:00Z"))
    ready = {}
    for operation in ("UPSERT", "APPEND"):
        tk.use(tk.Settings(operation=operation))
        plan = tk.plan_push(changes, include="restated", allow="all")
        assert plan.n_rows == 1
        found = tk.readiness(before, quotes, plan=plan, now=NOW)
        ready[operation] = (found.n_ready, found.after.n_ready)
    assert ready == {"UPSERT": (0, 1), "APPEND": (0, 0)}


def test_the_ledger_gives_every_version(shipped: tuple[pd.DataFrame, Any], tmp_path: Path) -> None:
    with tk.Sandbox(tmp_path) as sandbox:
        tk.use(sandbox)
        ledger = tk.Ledger.of()
        first = frame(CUSTOMERS.to_dict("records"), list(CUSTOMERS)).reindex(columns=CUSTOMER.names)
        tk.push(tk.plan_push(tk.diff(ledger.snapshot(), first), allow="all"), reason="first", progress=False)
        quotes = quotes_of(("007", "2025-04-01T00:00:00Z"), ("007", "2025-07-01T00:00:00Z"))
        for customers in (ledger, ledger.snapshot(), first):
            assert tk.readiness(customers, quotes, now=NOW).states["late"] == 1
        newest = tk.readiness(ledger.snapshot().frame, quotes, now=NOW)
        assert newest.states["early"] == 1  # a frame of newest versions knows no earlier one


# --- what tables may be, and what is said of them ---


@pytest.mark.parametrize("form", ["csv", "parquet", "text parquet", "xlsx", "arrow", "frame"])
def test_every_form_of_a_table_counts_the_same(form: str, tmp_path: Path) -> None:
    rows = [
        ("007", "2025-07-01T12:00:00Z", 1.5),
        ("7", "2025-07-01T12:00:00Z", 2.0),
        ("8", "2025-08-01T12:00:00Z", None),
    ]
    quotes = pd.DataFrame(rows, columns=["Kunde", "Datum", "value"])
    typed = quotes.assign(Datum=pd.to_datetime(quotes["Datum"]))
    path = tmp_path / f"quotes.{form.rpartition(' ')[2]}"
    if form == "csv":
        quotes.to_csv(path, index=False)
    elif form == "xlsx":
        quotes.to_excel(path, index=False)
    elif form.endswith("parquet"):
        (quotes if form.startswith("text") else typed).to_parquet(path)
    else:
        path = typed if form == "frame" else pa.Table.from_pandas(typed)
    found = tk.readiness(CUSTOMERS, path, columns={"customer_id": "KUNDE", "quoted_at": "Datum"}, now=NOW)
    assert {s: n for s, n in found.states.items() if n} == {"ready": 2, "rewritten": 1}
    assert found.totals["rewritten"]["value"] == 2
    assert found.notes == ()


def test_numbers_and_times_that_cannot_be_read_and_times_without_a_zone_are_notes(tmp_path: Path) -> None:
    path = tmp_path / "quotes.csv"
    path.write_text("customer_id;quoted_at;value\n8;2025-07-01 10:00:00;1,5\n8;soon;2\n8;;3\n8;1;2;3\n")
    found = tk.readiness(CUSTOMERS, path, now=NOW)
    assert {s: n for s, n in found.states.items() if n} == {"ready": 1, "unusable": 2}
    assert found.notes == (
        "quotes.csv: 1 record could not be read.",
        "quotes.csv: 1 cell of quoted_at could not be read as a time: write it as 2026-01-31, or as "
        "2026-01-31T12:00:00Z.",
        "quotes.csv: 1 cell of value could not be read as a number: write it as 1234.5, without a unit.",
        "The times of quotes.csv name no time zone: they are taken as UTC.",
    )
    assert all(note in found.body() for note in found.notes)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda q: {"quotes": q.rename(columns={"quoted_at": "quoted_on"})}, "quoted_at, did you mean 'quoted_on'?"),
        (lambda q: {"quotes": q, "columns": {"quote_date": "x"}}, "'x' for 'quote_date', did you mean 'quoted_at'?"),
        (lambda q: {"quotes": q, "columns": {"value": "worth"}}, "'worth' for 'value'."),
        (lambda q: {"quotes": q, "columns": ["value"]}, "dict"),
        (lambda q: {"quotes": q, "stale_months": 0}, "1 to 1,200"),
        (lambda q: {"quotes": q, "stale_months": 10**6}, "1 to 1,200"),
        (lambda q: {"quotes": q, "now": "2026-01-01"}, "now names no zone"),
        (lambda q: {"quotes": q, "now": pd.Timestamp("2026-01-01")}, "now names no zone"),
        (lambda q: {"quotes": q, "plan": q}, "plan_push"),
        (lambda q: {"quotes": None}, "table"),
        (lambda q: {"quotes": q, "sales": "nothing.csv"}, "nothing.csv"),
        (lambda q: {"quotes": q, "customers": q}, "updated_at"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(change: Callable[[pd.DataFrame], dict[str, Any]], said: str) -> None:
    arguments = {"customers": CUSTOMERS, **change(quotes_of(("8", "2025-07-01T00:00:00Z")))}
    with pytest.raises(InputError) as error:
        tk.readiness(**arguments)
    assert said in str(error.value)


def test_shares_are_by_what_is_counted_and_a_sum_has_no_infinite_value(tmp_path: Path) -> None:
    sales = frame([{"customer_id": "zz", "sold_at": moment(1), "value": v} for v in (1.0, float("nan"), float("inf"))],
                  ["customer_id", "sold_at", "value"])  # fmt: skip
    quotes = quotes_of(("8", "2025-07-01T00:00:00Z"))
    sales.to_parquet(tmp_path / "sales.parquet")
    for given_ in (sales, tmp_path / "sales.parquet"):
        found = tk.readiness(CUSTOMERS, quotes, given_, now=pd.Timestamp(NOW.to_pydatetime()))
        assert found.lines()["missing"].endswith("3 sales, worth 1.00")
    with pytest.raises(InputError, match="shares cannot be by 'foo': write month or category"):
        found.shares("foo")


# --- every engine ---


def test_a_text_in_a_table_that_is_no_date_names_its_column(served: Served) -> None:
    if served.kind == "duckdb":
        return
    customers = served.load(pa.Table.from_pandas(CUSTOMERS, preserve_index=False))
    quotes = tk.table(served.engine, "SELECT '8' AS customer_id, 'Meier, Hauptstr. 5' AS day")
    with pytest.raises(InputError, match=r"A cell of .*day of the query on .* may be unreadable: convert") as raised:
        tk.readiness(customers, quotes, columns={"quoted_at": "day"})
    assert "Meier" not in str(raised.value)


def test_every_engine_counts_the_same(served: Served) -> None:
    rows = range(240)
    names = ["007", "A1", "a1 ", "B", "Ünal", "07", "zz", None]
    versions = frame(
        [{"customer_id": names[n % 5], "updated_at": moment(n * 37 % 300), "customer_price_list_id": f"PL-{n % 2}",
          FEATURES[0]: ("Retail", None, "Trade")[n % 3], FEATURES[1]: ("Wood", " ", "", None)[n * 7 % 4]}
         for n in range(24)], ["customer_id", "updated_at", *TEXTS])  # fmt: skip
    quotes = frame(
        [{"customer_id": names[n % 8], "quoted_at": moment(n * 53 % 400) if n % 17 else None, "value": n / 4,
          "price_list_id": (None, "PL-1", "")[n % 3], "merchant_id": f"M-{n % 4}"} for n in rows],
        ["customer_id", "quoted_at", "price_list_id", "merchant_id", "value"])  # fmt: skip
    sales = frame([{"customer_id": names[n % 8], "sold_at": moment(n), "value": n} for n in rows],
                  ["customer_id", "sold_at", "value"])  # fmt: skip
    merchants = frame([{"merchant_id": f"M-{n}"} for n in range(3)], ["merchant_id"])
    here = tk.readiness(versions, quotes, sales, merchants=merchants, now=NOW)
    *there, last = [
        served.load(pa.Table.from_pandas(t, preserve_index=False)) for t in (versions, quotes, sales, merchants)
    ]
    assert tk.readiness(versions, there[1], there[2], merchants=last, now=NOW).totals == here.totals
    far = tk.readiness(*there, merchants=last, now=NOW)
    assert far.to_dict() == here.to_dict()
    assert all(here.states[state] for state in ("ready", "incomplete", "early", "rewritten", "missing", "unusable"))
    order = ["finding", "id", "detail"]
    both = [found.findings.sort_values(order, ignore_index=True).fillna({"detail": ""}) for found in (far, here)]
    pd.testing.assert_frame_equal(*both, check_dtype=False)
    assert served.left() == []


@pytest.mark.parametrize("columns", [{"quoted_at": 5}, {5: "quoted_at"}, ["quoted_at"]])
def test_names_of_columns_are_texts(columns: Any) -> None:
    with pytest.raises(InputError, match="A dict of columns is wanted here"):
        tk.readiness(CUSTOMERS, CUSTOMERS.assign(quoted_at="2026-01-01T00:00:00Z"), columns=columns)
