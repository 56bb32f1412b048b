"""What results show: the same faces for all, every cell escaped, nothing from outside."""

from __future__ import annotations

import contextlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import toolkit as tk
from tests.support.clocks import Clock
from toolkit.display import (
    Part,
    Result,
    ShownFrame,
    escape,
    grid,
    headline,
    meter,
    page,
    plural,
    timeline,
    visible,
)  # fmt: skip
from toolkit.display.grid import MAX_CELL, MAX_ROWS
from toolkit.display.result import SCRIPT
from toolkit.errors import InputError
from toolkit.ledger import Diff
from toolkit.model import Delivery

EVIL = '<script>alert("x")</script><img src=http://evil.example/x.png onerror=alert(1)>'
BREAKOUT = "'\" onload='x' $\\text{a}$ \\(b\\) \\unicode{x202e} ]]> <!-- --> </style></title></table>"
BACKWARDS = "abc\u202egpj.exe\u0000\u001b[31m"


INLINE = ("small", "em", "span", "b", "i", "u", "s", "svg", "path", "rect")
WITHIN = ("bdi", "ins", "del", "wbr", "code", "a")  # these part no words


class Outline(HTMLParser):
    """Every tag, and the text between tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.run_together: list[str] = []  # words that only the style parts
        self.begun = self.apart = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.apart = self.apart or tag not in (*INLINE, *WITHIN)
        self.begun = self.begun or tag in INLINE
        self.attributes |= {name for name, _ in attributes}
        self.links += [link or "" for name, link in attributes if name == "href"]
        if tag not in ("meta", "br", "wbr"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.apart = self.apart or tag not in (*INLINE, *WITHIN)

    def handle_data(self, data: str) -> None:
        if self.begun and not self.apart and re.search(r"\w$", self.text) and re.match(r"\w", data):
            self.run_together.append(self.text[-20:] + data[:20])
        self.begun = self.apart = False
        self.text += data if self.open and self.open[-1] not in ("style", "title") else ""


@pytest.fixture
def results(customers, clock: Clock, tmp_path: Path) -> dict[str, Result]:
    """One of each kind of result, made from a delivery with hostile cells, with a refusal as hostile."""
    frame = customers(9, customer_name=[EVIL, BACKWARDS, None, *"abcdef"], customer_category=[EVIL] * 9,
                      source=["ERP", EVIL, *["customer"] * 7])  # fmt: skip
    frame.loc[4, "customer_id"] = EVIL
    written = tmp_path / "rows.parquet"
    frame.to_parquet(written)
    delivery = Delivery(
        frame, source=f"{EVIL}.csv", names={"customer_category": BREAKOUT, "customer_name": EVIL}, notes=(BREAKOUT,)
    )
    with tk.Sandbox() as sandbox:
        sandbox.vendor.refuse = lambda row: EVIL if row["customer_id"] == EVIL else None
        settings = tk.Settings(base_url=sandbox.url)
        corrected = tk.correct(delivery, ["source_to_customer"])
        report = tk.validate(corrected)
        ledger = tk.Ledger.of(settings)
        changes = tk.diff(ledger.snapshot(), report)
        plan = tk.plan_push(changes, settings=settings)
        pushed = tk.push(plan, settings=settings, pace=clock.pace, reason=EVIL + BREAKOUT, progress=False)
        later = report.good.assign(
            customer_name=EVIL + "2",
            customer_category=BREAKOUT,
            updated_at=report.good["updated_at"] + pd.Timedelta(days=1),
        )
        quotes = report.good.assign(quoted_at=report.good["updated_at"], price_list_id=BREAKOUT, merchant_id=EVIL)
        strange = quotes.assign(customer_id=quotes["customer_id"] + BACKWARDS)
        ready = tk.readiness(report, pd.concat([quotes, strange]), merchants=quotes.assign(merchant_id="M"), plan=plan)
        made = [settings, delivery, corrected, report, tk.profile(delivery), changes, plan, pushed, ledger.snapshot(),
                tk.status(settings=settings), tk.diff(ledger.snapshot(), later.iloc[1:]),
                tk.suggest_mapping(frame), tk.preview_corrections(delivery), corrected.patch(who=EVIL),
                tk.apply_patch(delivery, corrected.patch(who=EVIL)),
                tk.validate(later, before=ledger.snapshot()).drift, tk.validate(written, rules=()),
                tk.revert(pushed, settings=settings), tk.push_history(settings=settings),
                tk.check_schema(settings=settings), ready, tk.mappings(settings=settings),
                tk.explain("DI_E_1", means=BREAKOUT, do=EVIL, settings=settings)]  # fmt: skip
    return {f"{number} {type(result).__name__}": result for number, result in enumerate(made)}


def kinds(base: type) -> set[str]:
    ours = base.__module__.startswith("toolkit.") and not getattr(base, "__abstractmethods__", None)
    own = {base.__name__} if ours else set()
    return own.union(*(kinds(k) for k in base.__subclasses__()))


def test_every_kind_of_result_has_the_same_faces(results: dict[str, Result], tmp_path: Path) -> None:
    assert {type(r).__name__ for r in results.values()} == kinds(Result) - {"TableDiff"}  # in tests/engine
    for name, result in results.items():
        assert "\n" not in repr(result), name
        assert repr(result).startswith(f"<{type(result).__name__}: ")
        bundle = result._repr_mimebundle_()
        assert bundle["text/plain"] == repr(result)
        assert isinstance(result.to_frame(), pd.DataFrame), name
        assert json.loads(json.dumps(result.to_dict(), default=str)), name
        written = result.to_html(tmp_path / f"{name}.html").read_text(encoding="utf-8")
        assert Outline(result.body()).text in Outline(written).text
        assert len(written) < 300_000


def frames_of(result: Result) -> dict[str, pd.DataFrame]:
    """Every frame that a result hands out, by the attribute or the call."""
    names = [n for n in dir(type(result)) if not n.startswith(("_", "model_"))] + list(getattr(result, "__dict__", ()))
    found = {"to_frame()": result.to_frame()}
    for name in dict.fromkeys(names):
        with contextlib.suppress(InputError):  # rows that stay on disk
            found[name] = getattr(result, name)
    if isinstance(result, Diff):
        found["rows()"] = result.rows("added", "changed")
    return {name: frame for name, frame in found.items() if isinstance(frame, pd.DataFrame)}


def test_nothing_that_is_shown_is_typeset_or_moves_the_text_around_it(results: dict[str, Result]) -> None:
    shown: dict[str, Any] = dict(results)
    for name, result in results.items():
        shown |= {f"{name}.{attribute}": frame for attribute, frame in frames_of(result).items()}
    assert len(shown) > 3 * len(results)
    plain = [name for name, each in shown.items() if not isinstance(each, Result | ShownFrame)]
    assert not plain
    for name, each in shown.items():
        fragment = each._repr_html_() if isinstance(each, pd.DataFrame) else each._repr_mimebundle_()["text/html"]
        root = re.match(r'<style>[^<]*</style><div class="([^"]*)">', fragment)
        fragment = fragment.removesuffix(SCRIPT)
        assert root, name
        assert {"tex2jax_ignore", "mathjax_ignore"} <= set(root[1].split()), name
        outline = Outline(fragment)
        assert not outline.open, name
        assert not outline.tags & {"script", "img"}, name
        for text in (outline.text, repr(each)):
            assert all(c.isprintable() or c in "\n\t\xa0" for c in text), name  # an empty cell is &nbsp;


def test_every_cell_is_escaped_and_nothing_comes_from_outside(results: dict[str, Result]) -> None:
    for name, result in results.items():
        outline = Outline(page("t", result.body()).replace(SCRIPT, ""))
        assert not outline.open, name
        assert not outline.tags & {"script", "img", "link", "iframe", "form", "foreignobject", "use", "image"}, name
        assert not {a for a in outline.attributes if a.startswith("on") or a == "src"}, name
        assert all(link.startswith("#push-") for link in outline.links), name
        assert "\u202e" not in result.body(), name
        assert "\u0000" not in result.body(), name
        whole = page("t", result.body())
        assert "url(" not in whole
        assert [whole.count(mark) for mark in ("<script", "</script", "<style", "</style", "</title", "<!--")] == [
            1, 1, 1, 1, 1, 0
        ], name  # fmt: skip
    shown = [name.split()[1] for name, r in results.items() if "<script>" in Outline(r.body()).text]
    assert {"Delivery", "ValidationReport", "Profile", "Diff", "PushReport"} <= set(shown)  # shown, as text


def test_without_its_style_no_words_run_together(results: dict[str, Result]) -> None:
    for name, result in results.items():
        assert not Outline(result.body()).run_together, name
    assert Outline("<td>customer<small>customer_id</small></td>").run_together  # it would be seen
    drawn = timeline([("2025-12", 3), ("2026-01", 0)])
    assert "2025-12: 3, 2026-01: 0" in Outline(drawn).text


@pytest.mark.parametrize(
    ("periods", "below"),
    [
        (["2025-12", "2026-01", "2026-02"], ["12 2025", "01 2026", "02"]),
        (["2025 Q4", "2026 Q1"], ["Q4 2025", "Q1 2026"]),
        (["2026-08-31", "2026-09-01"], ["31 2026-08", "01 2026-09"]),
        (["2022-10", "2022-11 …", "2026-01"], ["10 2022", "11 …", "01 2026"]),
        (["before 2025", "2025", "2026"], ["before", "2025", "2026"]),
        ([f"2026-05-{day:02d}" for day in range(1, 32)], ["01 2026-05", "", "03", "", "05"]),
    ],
)
def test_below_a_time_line_are_months_or_days_where_they_fit(periods: list[str], below: list[str]) -> None:
    ends = timeline([(period, 1) for period in periods]).split('class="ends"')[1].split("<span>")[1:]
    assert [re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", end.split("</span>")[0])).strip() for end in ends][:5] == below[
        :5
    ]


def test_where_it_works_is_in_plain_sight(results: dict[str, Result]) -> None:
    label = results["0 Settings"].label
    assert re.fullmatch(r"target sandbox · 127\.0\.0\.1:\d+ · contract 2026-04", label)
    for name, result in results.items():
        if name.split()[1] in ("Settings", "PushPlan", "PushReport", "Status", "Snapshot"):
            assert label in result.body(), name


@given(value=st.text(), other=st.none() | st.integers() | st.floats() | st.booleans())
def test_a_table_shows_any_cell_as_text(value: str, other: object) -> None:
    outline = Outline(grid("g", ["a", value[:20]], [(value, other)], more=3))
    assert outline.tags <= {"div", "table", "thead", "tbody", "tr", "th", "td", "p", "span", "wbr"}
    assert not outline.open
    whole = Outline(str(escape(value))).text
    assert all(c.isprintable() or c in "\n\t" for c in whole)
    if len(visible(value)) <= MAX_CELL:
        assert visible(value) in outline.text


def test_a_frame_is_shown_from_its_top_and_says_how_much_more_there_is() -> None:
    frame = ShownFrame({"a": range(MAX_ROWS + 7), "t": pd.NaT})
    shown = Outline(frame._repr_html_()).text
    assert "and 7 more rows .iloc[5000:] has the next." in shown  # not pandas' 60 rows
    assert shown.count("empty") == MAX_ROWS


@pytest.mark.parametrize(("share", "width"), [(0.5, "50.0%"), (7, "100.0%")])
def test_a_meter_stays_within_its_bounds(share: float, width: str) -> None:
    assert f"width:{width}" in meter(share)
    assert "width" not in meter(-1)


def test_counts_agree_with_their_nouns() -> None:
    assert [plural(n, "row") for n in (0, 1, 2, 1000)] == ["0 rows", "1 row", "2 rows", "1,000 rows"]
    assert [plural(n, "push") for n in (1, 2)] == ["1 push", "2 pushes"]
    assert [plural(2, word) for word in ("batch", "entry", "key", "suffix")] == [
        "2 batches", "2 entries", "2 keys", "2 suffixes"
    ]  # fmt: skip


def test_a_count_of_zero_is_not_shown() -> None:
    assert "0" not in Outline(headline("n", "v", parts=[Part(3, "good", "good"), Part(0, "bad", "bad")])).text


def test_outer_and_doubled_spaces_of_a_cell_are_visible() -> None:
    shown = Outline(
        grid("", ["before", "after"], [(" Müller  & Co\u00a0", "Müller & Co"), ("Acme ", "Ac\u200bme")])
    ).text
    assert "·Müller··& Co\\u00a0" in shown
    assert "Acme·" in shown
    assert "Ac\\u200bme" in shown
    assert "Müller & Co" in shown
