"""A batch that was refused without a name: the bad rows are found within a bound, or the search is given up."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from toolkit.sending.bisection import MOST_FOUND, Bisection
from toolkit.vendor.answers import Verdict
from toolkit.vendor.refusals import Remark


def search(n: int, bad: set[int], *, whole: bool = False) -> tuple[int, list[int], list[int], bool]:
    """Send pieces to a vendor that refuses whole requests; returns requests, refused, accepted, given up."""
    cuts, n_requests, refused, accepted = Bisection(np.arange(n)), 0, [], []
    while len(cuts.part) and not cuts.hopeless:
        part, n_requests = cuts.part, n_requests + 1
        if not whole and not bad & set(part.tolist()):
            resolved = cuts.resolve(Verdict("taken"))
        elif len(part) == 1:
            resolved = cuts.resolve(Verdict("again", {0: Remark(message="no")}, blamed=True))
        else:
            resolved = cuts.resolve(Verdict("split"))
        refused += resolved.refused
        accepted += resolved.accepted.tolist()
        assert not len(resolved.aside)
    return n_requests, sorted(refused), sorted(accepted), cuts.hopeless


@given(data=st.data(), n=st.integers(2, 2_000))
@example(data=None, n=2_000)
def test_one_bad_row_is_found_within_two_logarithms_and_one(data, n: int) -> None:
    places = [0, n - 1, n // 2] if data is None else [data.draw(st.integers(0, n - 1))]
    for bad in places:
        n_requests, refused, accepted, given_up = search(n, {bad})
        assert n_requests <= 2 * math.log2(n) + 1
        assert (refused, len(accepted), given_up) == ([bad], n - 1, False)


@settings(max_examples=200)
@given(data=st.data(), n=st.integers(2, 2_000), k=st.integers(1, 8))
def test_some_bad_rows_are_found_within_the_stated_bound(data, n: int, k: int) -> None:
    bad = data.draw(st.sets(st.integers(0, n - 1), min_size=1, max_size=min(k, n - 1)))
    n_requests, refused, accepted, given_up = search(n, bad)
    assert n_requests <= 2 * len(bad) * (math.log2(n / len(bad)) + 1) + 1
    assert (refused, given_up) == (sorted(bad), False)
    assert accepted == sorted(set(range(n)) - bad)


@given(n=st.integers(1, 2_000))
def test_a_vendor_that_refuses_everything_is_given_up_early_and_no_row_is_refused(n: int) -> None:
    n_requests, refused, accepted, given_up = search(n, set(), whole=True)
    assert (refused, accepted, given_up) == ([], [], True)
    assert n_requests <= 4 * math.ceil(math.log2(n + 1)) + 9


def test_a_flood_of_bad_rows_is_given_up_after_some() -> None:
    n_requests, refused, accepted, given_up = search(2_000, set(range(0, 2_000, 3)))
    assert given_up
    assert len(refused) == MOST_FOUND + 1
    assert not set(accepted) & set(range(0, 2_000, 3))
    assert n_requests < 120


def test_rows_taken_of_another_batch_count_for_a_few_refusals_and_not_for_a_flood() -> None:
    for n, n_refused in ((1, 1), (3, 3), (500, 0)):
        cuts, refused = Bisection(np.arange(n)), []
        cuts.others_taken = True
        while len(cuts.part) and not cuts.hopeless:
            alone = Verdict("again", {0: Remark(message="no")}, blamed=True)
            refused += cuts.resolve(alone if len(cuts.part) == 1 else Verdict("split")).refused
        assert (sorted(refused), cuts.hopeless) == (list(range(n_refused)), n_refused == 0)
