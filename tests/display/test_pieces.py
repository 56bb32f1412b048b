"""The pieces of a page: what marks a change."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.display import escape, marked_change, visible


@pytest.mark.parametrize(
    ("before", "after", "old", "new"),
    [
        ("Acme AG", "Acme KG", "Acme <del>AG</del>", "Acme <ins>KG</ins>"),
        ("PL-ENT-004", "PL-ENT-012", "PL-ENT-<del>004</del>", "PL-ENT-<ins>012</ins>"),
        ("<b>", None, "<del>&lt;b&gt;</del>", "<span class=nil>empty</span>"),
        ("Acme ", "Acme", "Acme<del>·</del>", "Acme"),
        (1, 2, "<del>1</del>", "<ins>2</ins>"),
    ],
)
def test_a_change_marks_words_of_a_text_and_parts_of_a_code(before, after, old, new):
    assert marked_change(before, after) == (old, new)


def test_the_difference_in_a_long_text_is_in_the_part_that_is_shown():
    old, new = marked_change("x " * 500 + "a " + "y " * 500, "x " * 500 + "b " + "y " * 500)
    assert "<del>a</del>" in old
    assert "<ins>b</ins>" in new
    assert len(old) < 400


@given(st.text(max_size=11), st.text(max_size=11))
def test_each_side_reads_as_its_cell(before, after):
    for cell, side in zip((before, after), marked_change(before, after), strict=True):
        assert re.sub("</?(del|ins)>", "", side) == (escape(visible(cell)) or "<span class=nil>empty</span>")
