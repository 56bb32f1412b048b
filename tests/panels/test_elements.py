"""What a panel shows, as JSON for the browser and as a still picture."""

from __future__ import annotations

import json
import re

import pytest

from toolkit.display import Markup
from toolkit.errors import InputError
from toolkit.panels import Station, action, button, cell, element, field_of, same_as, select, tick


def test_a_tree_is_json_and_its_texts_are_not_html() -> None:
    tree = element("p", "a <b>\u200b", None, ["", Markup("<i>x</i>")], class_="s", hidden=False, key="k").tree()
    assert json.loads(json.dumps(tree, allow_nan=False)) == {
        "tag": "p",
        "key": "k",
        "is": {"class": "s", "hidden": False},
        "on": {},
        "has": ["a <b>\\u200b", {"html": "<i>x</i>"}],
    }


def test_a_still_picture_says_what_was_chosen_and_has_nothing_that_needs_a_kernel() -> None:
    shown = element(
        "form",
        button("Next", "go"),
        select({"a": "A & B", "b": "B"}, "a", "choose", key="s"),
        field_of("Name", "<Ann>", key="n"),
        field_of("Token", "never", key="t", kind="password"),
        tick("Trim", True, "trim", key="x"),
        cell(float("nan")),
        same_as("tk.status()"),
    ).still()
    assert "A &amp; B" in shown
    assert "&lt;Ann&gt;" in shown
    assert "☑" in shown
    assert "empty" in shown
    assert "tk.status()" in shown
    assert not [word for word in ("<button", "<input", "<select", "<form", "never", "Next") if word in shown]


class Counter(Station):
    """Counts."""

    n = 0
    calls = ("n += 1",)

    def view(self):
        return element("p", str(self.n))

    @action
    def add(self, by: int) -> str:
        self.n += by
        return f"{self.n} now"


def test_only_an_action_is_called_by_its_name() -> None:
    counter = Counter()
    assert counter.act("add", by=2) == "2 now"
    for name in ("view", "close", "__init__", "nothing"):
        with pytest.raises(InputError, match="no action"):
            counter.act(name)


def test_a_picture_that_lost_its_style_has_a_space_between_words() -> None:
    label = tick([element("span", "Retail"), element("b", "12")], checked=False, do="filter", key="retail")
    assert re.sub("<[^>]*>", "", label.still()).split() == ["☐", "Retail", "12"]
