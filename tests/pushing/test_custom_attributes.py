"""Custom attributes through the whole journey: file or frame, validation, diff, plan, push, ledger, vendor."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.support.clocks import Clock
from tests.support.place import edited
from tests.support.settings import settings_for
from tests.support.workbooks import cells_of
from toolkit.config.settings import Settings
from toolkit.engine import to_arrow
from toolkit.errors import (
    AuthorizationError,
    InputError,
    LedgerError,
    MappingError,
    PlanError,
    SchemaWarning,
    SettingsError,
)
from toolkit.ledger.diffing import diff
from toolkit.ledger.entries import entry_schema
from toolkit.ledger.ledger import Ledger
from toolkit.model.attributes import RESERVED, CustomAttribute
from toolkit.model.contract import APRIL_2026, CUSTOMER, Column
from toolkit.model.delivery import Delivery
from toolkit.model.dtypes import DTYPES, cast_column
from toolkit.model.json_rows import encode
from toolkit.pushing.history import status
from toolkit.pushing.planning import PushPlan, plan_push
from toolkit.pushing.report import REFUSAL_COLUMNS
from toolkit.pushing.repushing import plan_correction, repush, revert
from toolkit.pushing.runs import abandon, push, resume
from toolkit.pushing.seeding import seed
from toolkit.pushing.settling import settle
from toolkit.quality.patches import read_review_sheet
from toolkit.quality.validation import ValidationReport, validate
from toolkit.reading.customers import read_customers
from toolkit.tables.writing import write_table
from toolkit.vendor.sandbox import DROPPED, Reply, Sandbox
from toolkit.vendor.schema_check import add_attribute, check_schema

LISTED = (
    CustomAttribute("region", required=True, non_null=True, min_length=2, max_length=3),
    CustomAttribute("staff", "integer"),
    CustomAttribute("rating", "float"),
    CustomAttribute("active", "boolean", default=True),
    CustomAttribute("seen_at", "datetime"),
    CustomAttribute("since", "date"),
)
TEXTS = {"region": "EU", "staff": "9007199254740993", "rating": "1.5", "active": "TRUE",
         "seen_at": "2026-01-02T03:04:05+01:00", "since": "2026-01-02"}  # fmt: skip
SENT = {"region": "EU", "staff": 9007199254740993, "rating": 1.5, "active": True,
        "seen_at": "2026-01-02T02:04:05Z", "since": "2026-01-02"}  # fmt: skip
CONTRACT = APRIL_2026.with_columns(a.column for a in LISTED)


@dataclass
class Tenant:
    """A sandbox whose table has the attributes, and an analyst's settings for it."""

    sandbox: Sandbox
    clock: Clock

    @property
    def settings(self) -> Settings:
        return Settings(base_url=self.sandbox.url, attributes=LISTED)

    def plan(self, data: Any) -> PushPlan:
        return plan_push(diff(Ledger.of(self.settings).snapshot(), data), settings=self.settings, allow="all")

    def push(self, data: Any) -> Any:
        return push(self.plan(data), settings=self.settings, pace=self.clock.pace, progress=False)

    def last(self) -> list[dict[str, Any]]:
        """The newest version of each customer at the vendor, custom columns alone."""
        newest = self.sandbox.table().groupby("customer_id").last()
        return json.loads(newest[[a.name for a in LISTED]].to_json(orient="records"))


@pytest.fixture
def tenant(clock: Clock) -> Iterator[Tenant]:
    with Sandbox(clock=lambda: clock.now().timestamp()) as sandbox:
        for a in LISTED:
            add_attribute(a, settings=Settings(base_url=sandbox.url))
        yield Tenant(sandbox, clock)


def checked(frame: pd.DataFrame) -> ValidationReport:
    return validate(frame, settings=settings_for(CONTRACT), rules=())


def test_all_six_types_arrive_as_they_were_written_and_come_back_from_the_ledger(tenant: Tenant, customers) -> None:
    assert check_schema(settings=tenant.settings).ok
    report = checked(customers(2).assign(**TEXTS))
    assert report.ok
    assert {a.name: report.good[a.name].dtype for a in LISTED} == {a.name: DTYPES[a.data_type] for a in LISTED}
    assert tenant.push(report).n_accepted == 2
    assert tenant.last() == [SENT, SENT]
    assert tenant.plan(report).n_rows == 0
    held = Ledger.of(tenant.settings).snapshot().versions
    assert held["staff"].to_pylist() == [9007199254740993] * 2  # more than a float could tell
    assert held["since"].to_pylist() == [date(2026, 1, 2)] * 2
    assert Ledger.of(tenant.settings).history("C00000")["region"].tolist() == ["EU"]


def test_a_push_names_what_the_table_has_and_the_settings_lack_before_it_sends(tenant: Tenant, customers) -> None:
    settings = Settings(base_url=tenant.sandbox.url, attributes=LISTED[:1])  # lists the required one only
    report = validate(customers(2).assign(region="EU"), settings=settings, rules=())
    plan = plan_push(diff(Ledger.of(settings).snapshot(), report), settings=settings)
    with pytest.warns(SchemaWarning) as said:
        push(plan, settings=settings, pace=tenant.clock.pace, progress=False)
    assert [str(w.message).split(" (")[0] for w in said] == [a.name for a in LISTED[1:]]
    assert all("only theirs" in str(w.message) and w.filename == __file__ for w in said)
    assert tenant.sandbox.requests()["method"].tolist()[-2:] == ["GET", "POST"]


HELD = r"QP_CUSTOMER_OOTB requires region, which .*; nothing {}list it .* \[\[attributes\]\] in toolkit.toml"


def test_a_push_without_a_column_that_the_table_requires_is_held_before_anything_is_sent(
    tenant: Tenant, customers
) -> None:
    settings = Settings(base_url=tenant.sandbox.url)  # lists none of the attributes, of which one is required
    send: dict[str, Any] = {"settings": settings, "pace": tenant.clock.pace, "progress": False}
    plan = plan_push(diff(Ledger.of(settings).snapshot(), customers(2)), settings=settings)
    n_requests = len(tenant.sandbox.requests())
    with pytest.raises(PlanError, match=HELD.format("was sent: ")):
        push(plan, **send)
    assert tenant.sandbox.requests()["method"].tolist()[n_requests:] == ["GET"]
    assert status(settings=settings).pushes.empty  # nothing is left open
    assert push(plan, **send, schema_check=False).n_refused == 2  # as the vendor would have said


def test_a_resume_is_held_if_the_table_requires_a_column_by_now(customers, clock: Clock) -> None:
    with Sandbox(clock=lambda: clock.now().timestamp()) as sandbox:
        settings = Settings(base_url=sandbox.url)
        send: dict[str, Any] = {"settings": settings, "pace": clock.pace, "progress": False}
        sandbox.vendor.troubles.extend([None, None, Reply(401, b"{}")])  # its schema first
        with pytest.raises(AuthorizationError) as stop:
            push(plan_push(diff(Ledger.of(settings).snapshot(), customers(502)), settings=settings), **send)
        add_attribute(CustomAttribute("staff", "integer"), settings=settings)
        add_attribute(LISTED[0], settings=settings)
        with pytest.raises(PlanError, match=HELD.format(f"more was sent: abandon push {stop.value.report.push}, ")):
            resume(**send)
        assert len(sandbox.table()) == 500
        closed = abandon(settings=settings, pace=clock.pace)
        with pytest.raises(PlanError, match=HELD.format("was sent: ")):  # nor is a repush sent without it
            push(repush(closed, settings=settings), **send)
        own = Settings(base_url=sandbox.url, attributes=LISTED[:1])
        rows = validate(customers(502).assign(region="EU"), settings=own, rules=())
        plan = plan_push(diff(Ledger.of(own).snapshot(), rows), settings=own, allow="all")
        with pytest.warns(SchemaWarning, match="staff"):
            again = push(plan, **send | {"settings": own})
        assert (closed.n_unsent, again.n_accepted) == (2, 2)


def test_a_push_continues_if_the_schema_cannot_be_read(tenant: Tenant, customers) -> None:
    tenant.sandbox.vendor.troubles.append(Reply(403))
    with pytest.warns(SchemaWarning, match="a push is possible without: it is not allowed"):
        assert tenant.push(checked(customers(2).assign(**TEXTS))).n_accepted == 2


def test_a_resume_continues_if_the_schema_cannot_be_read(tenant: Tenant, customers) -> None:
    send: dict[str, Any] = {"settings": tenant.settings, "pace": tenant.clock.pace, "progress": False}
    tenant.sandbox.vendor.troubles.extend([None, None, Reply(401, b"{}"), Reply(404, b"")])  # its schema first
    with pytest.raises(AuthorizationError):
        push(tenant.plan(checked(customers(502).assign(**TEXTS))), **send)
    with pytest.warns(SchemaWarning, match="a push is possible without: there is no such call") as said:
        assert resume(**send).n_accepted == 502
    assert said[0].filename == __file__


@pytest.mark.parametrize("ending", [".csv", ".xlsx"])
def test_a_file_and_its_mapping_may_name_attributes(customers, tmp_path: Path, ending: str) -> None:
    frame = customers(2).assign(**TEXTS, Kopfzahl="00012").drop(columns=["staff", "active"])
    file, mapping = write_table(frame, tmp_path / f"crm{ending}"), tmp_path / "crm.toml"
    assert checked(read_customers(file, settings=Settings(attributes=LISTED))).good["region"].tolist() == ["EU", "EU"]
    columns = {"customer_id": "customer_id", "updated_at": "updated_at", "staff": "Kopfzahl", "region": "region"}
    lines = [f'{ours} = "{theirs}"' for ours, theirs in columns.items()]
    mapping.write_text("\n".join(["[columns]", *lines, "[constants]", 'active = "true"']), encoding="utf-8")
    report = checked(read_customers(file, mapping=mapping, settings=Settings(attributes=LISTED)))
    assert report.good[["region", "staff", "active"]].to_numpy().tolist() == [["EU", 12, True]] * 2
    assert report.delivery.given == ("customer_id", "updated_at", "region", "staff", "active")
    with pytest.raises(MappingError, match="'staff', which is not known"):
        read_customers(file, mapping=mapping)


def test_a_changed_attribute_is_a_changed_row_and_one_that_is_not_given_is_kept(tenant: Tenant, customers) -> None:
    tenant.push(checked(customers(3).assign(**TEXTS)))
    later = "2026-02-01T00:00:00Z"
    plan = tenant.plan(checked(customers(3, at=later).assign(**TEXTS | {"staff": ["7", TEXTS["staff"], None]})))
    assert plan.counts == {"added": 0, "changed": 2}
    said = plan.fields[["customer_id", "column", "before", "after"]].astype(object)
    assert said.where(said.notna(), None).to_numpy().tolist() == [
        ["C00000", "staff", "9007199254740993", "7"],
        ["C00002", "staff", "9007199254740993", None],
    ]
    kept = tenant.push(checked(customers(1, at=later, customer_name="Other").assign(region="US")))
    assert kept.n_accepted == 1
    assert tenant.last()[0] == {**SENT, "region": "US"}


def test_a_new_customer_gets_the_default_of_a_column_that_the_delivery_lacks(tenant: Tenant, customers) -> None:
    tenant.push(checked(customers(2).assign(region="EU", active=[None, "false"])))
    assert [r["active"] for r in tenant.last()] == [None, False]  # an empty cell is null
    tenant.push(checked(customers(3, at="2026-02-01T00:00:00Z", customer_name="Other").assign(region="EU")))
    assert [r["active"] for r in tenant.last()] == [None, False, True]
    assert tenant.plan(checked(customers(3, at="2026-02-01T00:00:00Z", customer_name="Other").assign(region="EU"))
                       ).n_rows == 0  # fmt: skip


@pytest.mark.parametrize(
    ("column", "cell", "said"),
    [
        ("region", None, "region is empty"),
        ("region", "E", "region is shorter or longer than its attribute allows"),
        ("region", "EUROPE", "region is shorter or longer than its attribute allows"),
        ("staff", "7.5", "staff is not written as integer"),
        ("staff", "1e3", "staff is not written as integer"),
        ("rating", "1,5", "rating is not written as float"),
        ("rating", "inf", "rating is not written as float"),
        ("rating", "1e999", "rating is not written as float"),
        ("active", "yes", "active is not written as boolean"),
        ("seen_at", "2026-01-02T03:04:05", "seen_at is not written as datetime"),
        ("seen_at", "2026-13-02T03:04:05Z", "seen_at is not written as datetime"),
        ("seen_at", "2026-01-02T03:04:61Z", "seen_at is not written as datetime"),
        ("seen_at", "2026-01-02T03:04:05.1234567Z", "seen_at is not written as datetime"),
        ("seen_at", "2026-01-02", "seen_at is not written as datetime"),
        ("since", "02.01.2026", "since is not written as date"),
        ("since", "2026-02-30", "since is not written as date"),
    ],
)
def test_a_cell_that_the_vendor_would_refuse_is_a_failure_of_its_row(customers, column, cell, said) -> None:
    report = checked(customers(2).assign(**TEXTS | {column: [TEXTS[column], cell]}))
    assert report.counts == {said: 1}
    assert report.failures[["column", "index"]].to_numpy().tolist() == [[column, 3]]
    assert report.n_good == 1
    assert report.delivery.held == {"C00001"}


def test_a_delivery_without_an_attribute_is_no_failure(customers) -> None:
    report = checked(customers(1))
    assert report.ok
    assert "region" not in report.delivery.given


def test_the_sandbox_refuses_what_the_validation_would_have_found(tenant: Tenant, customers) -> None:
    frame = checked(customers(3).assign(**TEXTS)).good.assign(region=["EU", "EUROPE", None])
    report = tenant.push(Delivery(frame, given=tuple(frame.columns)))
    assert report.refused[["source_row", "category"]].to_numpy().tolist() == [[3, "length"], [4, "required"]]


def test_a_push_that_stopped_is_resumed_with_its_attributes(tenant: Tenant, customers) -> None:
    plan = tenant.plan(checked(customers(600).assign(**TEXTS)))
    tenant.sandbox.vendor.troubles.extend([None, None, Reply(401, b"{}")])  # its schema first
    with pytest.raises(Exception, match="refused the token"):
        push(plan, settings=tenant.settings, pace=tenant.clock.pace, progress=False)
    others = Settings(base_url=tenant.sandbox.url, attributes=LISTED[1:])
    with pytest.raises(PlanError, match=r"begun with other custom attributes \(region\)"):
        resume(settings=others, pace=tenant.clock.pace)
    assert resume(settings=tenant.settings, pace=tenant.clock.pace, progress=False).n_accepted == 600
    assert tenant.last() == [SENT] * 600


def test_a_push_is_settled_and_abandoned_under_its_own_attributes_alone(
    tenant: Tenant, customers, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Settings(base_url=tenant.sandbox.url, attributes=LISTED[1:], operation="APPEND")
    own = Settings(base_url=tenant.sandbox.url, attributes=LISTED, operation="APPEND")
    plan = plan_push(diff(Ledger.of(own).snapshot(), checked(customers(2).assign(**TEXTS))), settings=own)
    tenant.sandbox.vendor.troubles.extend([None, (True, DROPPED)])  # after its schema
    report = push(plan, settings=own, pace=tenant.clock.pace, progress=False)
    assert report.n_unknown == 2
    with pytest.raises(PlanError, match=r"other custom attributes \(region\)"):
        settle(report, accepted="all", reason="seen", settings=other)
    assert settle(report, accepted="all", reason="seen", settings=own).n_accepted == 2
    assert Ledger.of(own).snapshot().frame["region"].tolist() == ["EU", "EU"]
    later = checked(customers(2, at="2026-02-01T00:00:00Z").assign(**TEXTS | {"region": "US"}))
    plan = plan_push(diff(Ledger.of(own).snapshot(), later), settings=own, allow="all")
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "record", Mock(side_effect=OSError("full")))
        with pytest.raises(OSError, match="full"):
            push(plan, settings=own, pace=tenant.clock.pace, progress=False)
    with pytest.raises(PlanError, match=r"other custom attributes \(region\)"):
        abandon(settings=other, pace=tenant.clock.pace)
    abandon(settings=own, pace=tenant.clock.pace)
    assert Ledger.of(own).snapshot().frame["region"].tolist() == ["US", "US"]


def test_a_plan_is_pushed_under_its_own_attributes_alone(tenant: Tenant, customers) -> None:
    plan = tenant.plan(checked(customers(2).assign(**TEXTS)))
    other = Settings(base_url=tenant.sandbox.url, attributes=LISTED[1:])
    with pytest.raises(PlanError, match="made with other custom attributes"):
        push(plan, settings=other, pace=tenant.clock.pace, progress=False)
    assert status(settings=other).pushes.empty


def test_a_correction_and_a_revert_carry_attributes(tenant: Tenant, customers) -> None:
    tenant.push(checked(customers(2).assign(**TEXTS)))
    fixed = plan_correction({"C00001": {"region": "US", "staff": 5}}, reason="moved", settings=tenant.settings,
                              allow="all")  # fmt: skip
    report = push(fixed, settings=tenant.settings, pace=tenant.clock.pace, progress=False)
    assert tenant.last() == [SENT, {**SENT, "region": "US", "staff": 5}]
    back = revert(report.push, settings=tenant.settings, now=pd.Timestamp("2027-01-01T00:00:00Z"), allow="all")
    assert push(back, settings=tenant.settings, pace=tenant.clock.pace, progress=False).n_accepted == 1
    assert tenant.last() == [SENT, SENT]


def test_long_numbers_and_flags_beside_nulls_come_through_every_way_of_sending_again(tenant: Tenant, customers) -> None:
    cells = {"staff": ["9007199254740993", None, "9007199254740995"], "active": ["true", None, "false"]}
    tenant.sandbox.vendor.refuse = lambda row: "no" if row["customer_id"] == "C00002" else None
    first = tenant.push(checked(customers(3).assign(**TEXTS | cells)))
    tenant.sandbox.vendor.refuse = None
    assert first.rows["staff"].tolist() == [9007199254740993, pd.NA, 9007199254740995]
    send = {"settings": tenant.settings, "pace": tenant.clock.pace, "progress": False}
    again = repush(first, settings=tenant.settings)
    assert again.rows.select(["staff", "active"]).to_pylist() == [{"staff": 9007199254740995, "active": False}]
    push(again, **send)
    fixed = plan_correction({"C00000": {"customer_name": "N"}}, reason="r", settings=tenant.settings, allow="all")
    back = revert(push(fixed, **send), settings=tenant.settings, now=pd.Timestamp("2027-01-01T00:00:00Z"), allow="all")
    for planned in (fixed, back):
        assert planned.fields["column"].tolist() == ["customer_name"]
        assert planned.rows.select(["staff", "active"]).to_pylist() == [{"staff": 9007199254740993, "active": True}]
    held = Ledger.of(tenant.settings).snapshot().frame
    assert held["staff"].tolist() == [9007199254740993, pd.NA, 9007199254740995]


def test_an_empty_attribute_that_the_vendor_names_is_filled_in_the_workbook(
    tenant: Tenant, customers, tmp_path: Path
) -> None:
    failed = [{"index": place, "column": "RATING", "message": "is missing"} for place in range(2)]
    tenant.sandbox.vendor.troubles.extend(
        [None, Reply(400, json.dumps({"failed": failed}).encode())]
    )  # its schema first
    report = tenant.push(checked(customers(2).assign(region="EU")))  # the delivery does not speak of it
    assert report.refused["column"].tolist() == ["rating", "rating"]
    sheet = report.to_excel(tmp_path / "refused.xlsx")
    book, columns, rows = cells_of(sheet)
    for row in rows.values():
        book["rows"].cell(row, columns["rating"]).value = "1.5"
    book.save(sheet)
    again = repush(report, patch=read_review_sheet(sheet), settings=tenant.settings, allow="all")
    assert push(again, settings=tenant.settings, pace=tenant.clock.pace, progress=False).n_accepted == 2
    assert [r["rating"] for r in tenant.last()] == [1.5, 1.5]


def test_nothing_is_sent_again_without_an_attribute_that_was_sent_before(tenant: Tenant, customers) -> None:
    tenant.sandbox.vendor.refuse = lambda row: "no" if row["customer_id"] == "C00001" else None
    report = tenant.push(checked(customers(2).assign(**TEXTS)))
    unlisting = Settings(base_url=tenant.sandbox.url, attributes=LISTED[1:])
    for planned in (
        lambda: plan_correction({"C00000": {"customer_name": "N"}}, reason="r", settings=unlisting),
        lambda: repush(report, settings=unlisting),
        lambda: revert(report, settings=unlisting),
        lambda: plan_push(diff(Ledger.of(unlisting).snapshot(), customers(3)), settings=unlisting),
        lambda: plan_push(  # before anything is encoded, which here would end in a refusal of its own
            diff(Ledger.of(unlisting).snapshot(), customers(3, customer_name="x" * 1_000_001)), settings=unlisting
        ),
    ):
        with pytest.raises(PlanError, match=r"region.*under \[\[attributes\]\]"):
            planned()


@pytest.mark.parametrize(("name", "then", "now", "cells"), [
    ("staff", "integer", "float", [8.5]), ("since", "date", "string", ["soon"]), ("rating", "float", "integer", [7]),
    ("region", "string", "boolean", [True])])  # fmt: skip
def test_a_ledger_is_neither_read_nor_written_under_another_data_type(
    tenant: Tenant, customers, name: str, then: str, now: str, cells: list[Any]
) -> None:
    report = tenant.push(checked(customers(1).assign(**TEXTS)))
    other = Settings(
        base_url=tenant.sandbox.url,
        attributes=tuple(CustomAttribute(name, now) if a.name == name else a for a in LISTED),
    )
    delivered = validate(customers(1).assign(**{**TEXTS, name: cells}), settings=other)
    ledger, n_requests = Ledger.of(other), len(tenant.sandbox.requests())
    for refused in (
        lambda: ledger.snapshot(),
        lambda: plan_push(diff(customers(0), delivered), settings=other),
        lambda: seed(customers(1).assign(**{name: cells}), reason="export", settings=other, beside_entries=True),
        lambda: repush(report, whole=True, settings=other),
        lambda: status(settings=other),
    ):
        with pytest.raises(LedgerError, match=rf"{name} as {then}, not {now}: give the data_type under") as said:
            refused()
        assert said.value.__cause__ is None
    assert len(tenant.sandbox.requests()) == n_requests
    assert Ledger.of(tenant.settings).snapshot().n_customers == 1


def test_a_push_is_not_resumed_under_another_data_type(tenant: Tenant, customers) -> None:
    tenant.sandbox.vendor.troubles += [None, (True, DROPPED), Reply(401)]  # its schema first
    with pytest.raises(AuthorizationError):
        tenant.push(checked(customers(1).assign(**TEXTS)))
    floating = tuple(replace(a, data_type="float") if a.name == "staff" else a for a in LISTED)
    with pytest.raises(PlanError, match=r"other custom attributes \(staff\)"):
        resume(settings=Settings(base_url=tenant.sandbox.url, attributes=floating), pace=tenant.clock.pace)
    assert resume(settings=tenant.settings, pace=tenant.clock.pace, progress=False).n_accepted == 1


def test_a_seeding_keeps_the_custom_attributes_or_says_which_it_would_lose(tenant: Tenant, customers) -> None:
    ledger, report = Ledger.of(tenant.settings), checked(customers(2).assign(**TEXTS))
    unlisting = Settings(base_url=tenant.sandbox.url, attributes=LISTED[1:])
    with pytest.raises(LedgerError, match=r"do not list \(region\).*Nothing was entered"):
        seed(report, reason="export", settings=unlisting)
    assert ledger.version == -1
    with pytest.raises(InputError, match="staff"):  # under the contract's own columns, it would be let through
        seed(customers(2).assign(**{**TEXTS, "staff": "many"}), reason="export", settings=tenant.settings)
    assert (
        seed(customers(2).assign(**TEXTS), reason="export", settings=tenant.settings) == 2
    )  # texts, as a file has them
    held = ledger.snapshot().versions
    assert (
        held.select([a.name for a in LISTED]).to_pylist()
        == [{**SENT, "seen_at": pd.Timestamp(SENT["seen_at"]), "since": date(2026, 1, 2)}] * 2
    )
    assert tenant.plan(report).n_rows == 0


@pytest.mark.parametrize(
    ("column", "cell", "kept"),
    [
        ("staff", "5", 5),
        ("staff", "9007199254740995", 9007199254740995),
        ("rating", "2.5", 2.5),
        ("active", "false", False),
        ("since", "2026-02-02", date(2026, 2, 2)),
        ("since", date(2026, 2, 2), date(2026, 2, 2)),
        ("seen_at", "2026-02-02T00:00:00Z", pd.Timestamp("2026-02-02T00:00:00Z")),
        ("staff", None, None),
        ("since", None, None),
    ],
)
def test_a_cell_that_is_written_as_text_is_corrected_and_sent_again_in_its_data_type(
    tenant: Tenant, customers, column: str, cell: Any, kept: Any
) -> None:
    report = tenant.push(checked(customers(2).assign(**TEXTS)))
    fixed = plan_correction({"C00001": {column: cell}}, reason="r", settings=tenant.settings)
    patch = edited(report, {"C00001": {column: cell}})
    again = repush(report, whole=True, patch=patch, settings=tenant.settings, include=["restated"])
    assert fixed.rows[column].to_pylist() == again.rows.slice(1)[column].to_pylist() == [kept]


@pytest.mark.parametrize(("column", "cell"), [("staff", "many"), ("staff", True), ("active", 2), ("since", ["x"]),
                                              ("seen_at", "2026-02-02T00:00:00")])  # fmt: skip
def test_a_cell_that_is_not_of_its_data_type_is_not_sent(tenant: Tenant, customers, column: str, cell: Any) -> None:
    report = tenant.push(checked(customers(2).assign(**TEXTS)))
    corrected = plan_correction({"C00001": {column: cell}}, reason="r", settings=tenant.settings)
    patch = edited(report, {"C00001": {column: str(cell)}})
    again = repush(report, whole=True, patch=patch, settings=tenant.settings)
    for planned in (corrected, again):
        assert planned.not_sent[["customer_id", "state"]].to_numpy().tolist() == [["C00001", "quarantined"]]
        assert planned.not_sent["why"].str.contains(column).all()


def test_attributes_that_settings_and_diff_do_not_share_are_never_dropped_or_emptied(customers, clock: Clock) -> None:
    report = checked(customers(1).assign(**TEXTS))
    with pytest.raises(PlanError, match=r"same custom attributes: region, staff, .*toolkit\.toml"):
        plan_push(diff(Ledger.of().snapshot(), report))
    with pytest.raises(PlanError, match=r"same custom attributes: region"):
        plan_push(diff(customers(1), customers(1)), settings=Settings(attributes=LISTED[:1]))


def test_a_diff_of_cells_that_were_never_checked_is_refused(tenant: Tenant, customers) -> None:
    with pytest.raises(InputError, match=r"values in staff that are not of type int64: validate it"):
        tenant.plan(customers(1).assign(**TEXTS | {"staff": "many"}))


@pytest.mark.parametrize(
    ("column", "cells"),
    [
        ("rating", pd.Series([1.5, np.inf])),
        ("rating", pd.Series([1.5, -np.inf], dtype="Float64")),
        ("seen_at", pd.to_datetime(pd.Series([None, "2026-01-02T03:04:05"]))),
    ],
)
def test_cells_that_were_never_checked_are_neither_guessed_nor_sent_as_no_json(
    tenant: Tenant, customers, column: str, cells: pd.Series
) -> None:
    with pytest.raises(PlanError, match=rf"{column} of source_row 3 is not written as .*: validate the delivery"):
        tenant.plan(customers(2).assign(**{column: cells.array}))


def test_attributes_are_listed_in_the_projects_file_and_in_the_environment(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "toolkit.toml").write_text(
        '[[attributes]]\nname = "region"\nmax_length = 3\n[[attributes]]\nname = "since"\ndata_type = "date"\n'
        "default = 2026-01-02\n",
        encoding="utf-8",
    )
    monkeypatch.setattr("toolkit.config.project.PACKAGE", tmp_path / "site-packages" / "toolkit")
    monkeypatch.chdir(tmp_path)
    listed = Settings().attributes
    assert listed == (
        CustomAttribute("region", max_length=3),
        CustomAttribute("since", "date", default=date(2026, 1, 2)),
    )
    assert Settings().documented.resource.names[-2:] == ("region", "since")
    monkeypatch.setenv("TOOLKIT_ATTRIBUTES", '[{"name": "staff", "data_type": "integer"}]')
    assert Settings().documented.resource.custom == (Column("staff", "integer"),)
    for wrong, said in (
        ('[{"name": "x"}, {"name": "x"}]', "listed twice: x"),
        ('[{"name": "Source"}]', "cannot be a custom attribute"),
        ('[{"name": "x", "kind": "date"}]', "TOOLKIT_ATTRIBUTES .*Unexpected keyword"),
        ("region", "TOOLKIT_ATTRIBUTES a JSON list"),
    ):
        monkeypatch.setenv("TOOLKIT_ATTRIBUTES", wrong)
        with pytest.raises(SettingsError, match=said):
            Settings()


def test_a_row_that_its_attributes_make_too_large_is_found(customers) -> None:
    wide = APRIL_2026.with_columns([Column("note")])
    frame = customers(2).assign(note=["x", "x" * 1_000_001])
    assert "larger than a request" in next(iter(validate(frame, settings=settings_for(wide)).counts))


VALUES = {
    "string": st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    "integer": st.integers(-(10**18) + 1, 10**18 - 1),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
    "date": st.dates(date(1700, 1, 1), date(2200, 1, 1)),
}


@pytest.mark.parametrize("kind", list(VALUES))
@given(data=st.data())
@hypothesis_settings(max_examples=12)
def test_what_is_written_as_text_is_encoded_as_the_value_it_was(kind: Any, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.none() | VALUES[kind], min_size=1, max_size=5))
    contract = APRIL_2026.with_columns([Column("own", kind)])
    cells, unread = cast_column(pd.Series([None if v is None else str(v) for v in values], dtype="str"),
                                Column("own", kind))  # fmt: skip
    assert not unread.any()
    again, _ = cast_column(cells, Column("own", kind))
    assert again is cells
    frame = pd.DataFrame({"customer_id": ["A"] * len(values), "updated_at": pd.Timestamp("2026-01-01T00:00:00Z"),
                          "own": cells})  # fmt: skip
    encoded = encode(to_arrow(frame, contract.resource.arrow_schema()), resource=contract.resource)
    back = [row["own"] for row in json.loads(b"[" + encoded.slice(0, len(values)) + b"]")]
    assert back == [v.isoformat() if isinstance(v, date) else v for v in values]


def test_a_date_that_a_worksheet_gave_its_midnight_is_a_date() -> None:
    cells, unread = cast_column(pd.Series(["2026-01-02T00:00:00", "2026-01-02 12:00:00"]), Column("own", "date"))
    assert cells.tolist() == [date(2026, 1, 2), pd.NA]
    assert unread.tolist() == [False, True]


def test_numbers_that_pandas_made_floats_beside_nulls_are_whole_again() -> None:
    cells, unread = cast_column(pd.Series([7.0, np.nan, 7.5]), Column("own", "integer"))
    assert cells.tolist() == [7, pd.NA, pd.NA]
    assert unread.tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("dtype", "cells"),
    [
        ("Float64", [1.5, np.inf, -np.inf, None]),
        ("Float32", [1.5, np.inf, -np.inf, None]),
        ("float64", [1.5, np.inf, -np.inf, np.nan]),
        ("float32", [1.5, np.inf, -np.inf, np.nan]),
        ("float64[pyarrow]", [1.5, np.inf, -np.inf, None]),
        ("object", [1.5, np.inf, -np.inf, None]),
        ("object", [1.5, 10**400, "-inf", None]),
        ("str", ["1.5", "Infinity", "1e999", None]),
    ],
)
def test_infinity_is_no_float_in_any_data_type(customers, dtype: str, cells: list[Any]) -> None:
    own = pd.Series(cells, dtype=dtype)
    read, unread = cast_column(own, Column("own", "float"))
    assert (read.tolist(), unread.tolist()) == ([1.5, pd.NA, pd.NA, pd.NA], [False, True, True, False])
    assert read.dtype == DTYPES["float"]
    report = checked(customers(4).assign(**{**TEXTS, "rating": own.array}))
    assert report.counts == {"rating is not written as float": 2}


def test_what_is_no_number_is_no_float_and_no_null() -> None:
    cells = pd.Series(pd.arrays.FloatingArray(np.array([np.nan, 1.0]), np.array([False, True])))  # as 0/0 gives it
    read, unread = cast_column(cells, Column("own", "float"))
    assert (read.tolist(), unread.tolist()) == ([pd.NA, pd.NA], [True, False])


@pytest.mark.parametrize("dtype", ["datetime64[s]", "datetime64[ns]", "timestamp[us][pyarrow]", "object"])
def test_a_time_without_a_zone_is_not_guessed_in_any_data_type(dtype: str) -> None:
    cells = pd.Series([pd.Timestamp("2026-01-02T03:04:05"), None]).astype(dtype)
    read, unread = cast_column(cells, Column("own", "datetime"))
    assert (read.isna().tolist(), unread.tolist()) == ([True, True], [True, False])


def test_a_time_has_every_usual_form_of_its_zone() -> None:
    forms = ["2026-01-02 03:04:05+00", "2026-01-02T03:04:05+0000", "2026-01-02t03:04:05z", "2026-01-02T04:04:05+01:00"]
    read, unread = cast_column(pd.Series(forms, index=[5, 6, 8, 9]), Column("own", "datetime"))
    assert read.to_dict() == dict.fromkeys([5, 6, 8, 9], pd.Timestamp("2026-01-02T03:04:05Z"))
    assert not unread.any()


def test_an_integer_that_64_bits_do_not_hold_is_none() -> None:
    for cells in (pd.Series([2**64 - 1, 7], dtype="uint64"), pd.Series([2**70, 7], dtype=object)):
        read, unread = cast_column(cells, Column("own", "integer"))
        assert (read.tolist(), unread.tolist()) == ([pd.NA, 7], [True, False])


@pytest.mark.parametrize(
    ("kind", "cells", "kept"),
    [
        ("float", np.array([3e19, 0.5]), [3e19, 0.5]),
        ("float", ["20000000000000000000", "1" * 400], [2e19, None]),
        ("integer", np.array([2**62, -(2**63)]), [2**62, -(2**63)]),
        ("integer", [str(2**63 - 1), str(2**63), "-" + "9" * 19], [2**63 - 1, None, None]),
    ],
)  # fmt: skip
def test_a_number_is_read_as_far_as_its_data_type_goes(kind: Any, cells: Any, kept: list[Any]) -> None:
    found, unread = cast_column(pd.Series(cells), Column("own", kind))
    assert [None if pd.isna(n) else n for n in found] == kept
    assert unread.tolist() == [n is None for n in kept]


@pytest.mark.parametrize(
    ("kind", "default"),
    [
        ("float", float("inf")), ("float", float("-inf")), ("float", float("nan")),
        pytest.param("float", 2**1024, id="float-huge"),
        ("integer", 2**63), ("integer", -(2**63) - 1), ("integer", 7.0), ("datetime", datetime(2026, 1, 2)),
        ("datetime", date(2026, 1, 2)), ("datetime", pd.NaT), ("date", datetime(2026, 1, 2, tzinfo=UTC)),
        ("date", pd.Timestamp("2026-01-02")), ("date", pd.NaT), ("date", "2026-01-02"),
    ],
)  # fmt: skip
def test_a_default_that_cannot_be_sent_is_refused(kind: Any, default: Any) -> None:
    with pytest.raises(SettingsError, match=f"default of own is not of type {kind}"):
        CustomAttribute("own", kind, default=default)


@pytest.mark.parametrize(
    ("kind", "default"),
    [("float", 1), ("float", -1.5), ("integer", 2**63 - 1), ("integer", -(2**63)), ("date", date(2026, 1, 2)),
     ("datetime", datetime(2026, 1, 2, tzinfo=UTC))],
)  # fmt: skip
def test_a_default_of_its_type_is_taken(kind: Any, default: Any) -> None:
    assert CustomAttribute("own", kind, default=default).column.default == default


def test_no_attribute_has_the_name_of_a_column_of_the_packages_own(customers) -> None:
    plan = plan_push(diff(customers(0), customers(1)))
    own = {*entry_schema(CUSTOMER).names, *plan.rows.column_names, *REFUSAL_COLUMNS, "fate", "reasons", "text"}
    assert own - set(CUSTOMER.names) <= RESERVED
    for name in RESERVED:
        with pytest.raises(SettingsError, match=f"'{name}' cannot be a custom attribute"):
            CustomAttribute(name)


def test_a_contract_without_attributes_stays_itself() -> None:
    assert Settings().documented is APRIL_2026
    assert replace(CONTRACT, resource=APRIL_2026.resource) == APRIL_2026
