"""The forms of ids: which ids have another form than those before, or than the rest, and which lost leading zeros.

A form is a pattern without the lengths of its runs: ``C-9{7}`` and ``C-99`` have the form ``C-9``. Numbers that count
up (1 to 5000) have one form in several lengths that follow each other, and none begins with a zero. Where ids of one
length begin with a zero, their length is fixed: a shorter id that does not begin with a zero lost its zeros.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa

from toolkit.display import plural, visible
from toolkit.engine import AnySession, Session, text, to_arrow, to_frame
from toolkit.model import ID
from toolkit.quality.statistics import EVERY, MAX_PATTERNS, pattern_of, shaping

RARE = 0.05
"""Share of the ids up to which a form is unlike the rest."""
MIN_IDS = 20
"""Ids of which the usual form is known; leading zeros show it of fewer."""
MAX_SHOWN = 20
"""Characters of a shape up to which its runs are not shortened."""
_MOST = 1_000
# Words, spaces and what a spreadsheet writes for a number are findings of other rules.
_CODE = re.compile(r"[aA9_/-]*9[aA9_/-]*")

Forms = Counter[tuple[str, bool]]
"""How many ids have a shape, and whether they begin with a zero."""


def _form(shape: str) -> str:
    return re.sub(r"([aA9])\1+", r"\1", shape)


@dataclass(frozen=True)
class Unlike:
    """Ids that are unlike the rest.

    Attributes
    ----------
    usual
        The shape of the rest, such as ``9999999``.
    shapes
        The shapes of the unlike ids; none of them begins with a zero if it is shorter than the usual one.
    width
        To which width leading zeros would cure them; None if they would not.
    """

    usual: str
    shapes: tuple[tuple[str, bool], ...]
    width: int | None


def unlike(known: Forms, ids: Forms, new: Forms, *, every: bool = False) -> Unlike | None:
    """Return which of the forms of `new` are unlike those of `known`; None if no form is.

    Ids of very many forms, such as names, have no form that another one could break.

    Parameters
    ----------
    known
        The ids that show what is usual: those sent before, or those of the table.
    ids, new
        All ids of the table, and those of them that were not sent before.
    every
        Whether every form that `known` lacks is unlike, however few and mixed the known ids are, and every length of a
        form that they have in one length only.

    Examples
    --------
    >>> forms = Counter({("9999999", True): 3_000, ("9999999", False): 15, ("99999", False): 25})
    >>> unlike(forms, forms, forms).width
    7
    >>> counted = Counter({("9", False): 9, ("99", False): 90, ("999", False): 900})
    >>> unlike(counted, counted, counted) is None
    True
    >>> unlike(Counter({("AAA", False): 4}), forms, Counter({("A-99", False): 1}), every=True).shapes
    (('A-99', False),)
    """
    shapes, by_form = Counter[str](), Counter[str]()
    for (shape, _), n in known.items():
        shapes[shape] += n
        by_form[_form(shape)] += n
    if not shapes:
        return None
    form, n_form = by_form.most_common(1)[0]
    same = [key for key in new if _form(key[0]) == form]
    usual, width = max((s for s in shapes if _form(s) == form), key=lambda s: shapes[s]), None
    found = set[tuple[str, bool]]()
    if zeros := {s: n for (s, zero), n in known.items() if zero and _form(s) == form}:
        fixed = max(zeros, key=lambda s: zeros[s])
        short = {key for key in same if len(key[0]) < len(fixed) and not key[1]}
        n_new, n_short = (sum(side[key] for key in short) for side in (new, ids))
        # One zero among numbers that count up is no evidence; and the cure must not harm more ids than it cures.
        enough = zeros[fixed] >= min(n_short, max(2, n_form / 10)) and n_new * 2 > n_short
        if enough and zeros[fixed] >= (1 - RARE) * sum(zeros.values()):
            usual, found, width = fixed, short, len(fixed) if form == "9" else None
    if known.total() >= MIN_IDS and "9" in form and n_form >= (1 - RARE) * known.total():
        found |= {key for key in new.keys() - same if _CODE.fullmatch(key[0])}
        lengths = {len(s) for s, _ in (*known, *new) if _form(s) == form}
        for key in same:
            least, most = sorted((len(key[0]), len(usual)))
            if shapes[key[0]] <= RARE * known.total() and not lengths.issuperset(range(least, most)):
                found.add(key)
    if every and len(shapes) < MAX_PATTERNS and len(by_form) <= 1 + known.total() / 10:
        lengths_of = Counter(map(_form, shapes))
        found |= {key for key in new if key[0] not in shapes and lengths_of[_form(key[0])] < 2}
    return Unlike(usual, tuple(sorted(found)), width) if found else None


def unusual_ids(session: Session, _: Mapping[str, float]) -> pd.DataFrame:
    """Find the ids that are unlike those sent before, or else unlike the rest; the reason is in ``attrs``.

    An id that was sent before as it is is not unusual, and ids that differ from another row's only by leading zeros
    are a finding of ``near_ids``.
    """
    found = find_unlike(session)
    if found is None:
        return pd.DataFrame({"row_": [], "other_": []}, dtype="Int64")
    rows = to_frame(session.table(f"SELECT row_, NULL::BIGINT AS other_ FROM rows_ JOIN odd_ ON {ID} = value"))
    rows.attrs["reason"] = say_unlike(session, found)
    return rows


def fitting_width(ids: pd.Series[Any], before: pd.Series[Any] | None = None) -> int | None:
    """Return the width to which ids that lost leading zeros can be padded; None if none did, or their width is unknown.

    Examples
    --------
    >>> fitting_width(pd.Series(["0000123", "0000124", "125"]))
    7
    """
    with Session({"rows_": id_table(ids), "before_": id_table(before)}) as session:
        found = find_unlike(session)
    return found.width if found else None


def id_table(ids: pd.Series[Any] | None) -> pa.Table:
    """Return ids as a table with the one column ``customer_id``."""
    return to_arrow(pd.DataFrame({ID: [] if ids is None else ids}), pa.schema([(ID, pa.string())]))


def new_form(before: pa.Table, added: pa.Table) -> tuple[int, str]:
    """Return how many of the `added` ids have a form that no id before has, and what is said of them.

    Examples
    --------
    >>> new_form(*(id_table(pd.Series(ids)) for ids in (["C-9998", "C-9999"], ["10000", "10001", "C-9997"])))
    (2, '2 ids are like 99999 where 2 customers sent before are like A-9999')
    """
    if not before.num_rows:
        return 0, ""
    with Session({"rows_": added, "before_": before}) as session:
        found = find_unlike(session, every=True)
        return (session.scalar("SELECT count(*) FROM odd_"), say_unlike(session, found)) if found else (0, "")


def find_unlike(
    session: AnySession, *, every: bool = False, rows: str = "rows_", before: str = "before_"
) -> Unlike | None:
    """Return how ids of `rows` are unlike those of `before`, or the rest; fill the table ``odd_`` with them.

    With `every`, each form that ids before do not have is unlike, and none is compared with the rest.
    """
    sent, _ = _forms(session, before, "forms_before_")
    ids, new = _forms(session, rows, "forms_rows_", sent="forms_before_")
    there = "SELECT 1 AS there FROM forms_rows_ AS o WHERE o.value = {}"
    for known in (sent,) if every else (sent, ids):
        found = unlike(known, ids, new, every=every)
        if found is None:
            continue
        width, (shapes, zeros) = len(found.usual), zip(*found.shapes, strict=True)
        session.register("unlike_", pa.table({"shape": shapes, "zero": zeros}))
        padded = f"lpad(u.value, {width}, '0')"
        alone = "1 = 1" if every else f"length(u.value) >= {width} OR NOT EXISTS ({there.format(padded)})"
        session.create(
            "odd_",
            f"""SELECT u.value, u.shape, {padded} AS padded FROM forms_rows_ AS u
                JOIN unlike_ AS l ON l.shape = u.shape AND l.zero = u.zero WHERE u.fresh = 1 AND ({alone})""",
        )
        if session.scalar("SELECT count(*) AS n FROM odd_"):
            return found
    return None


def _forms(session: AnySession, rows: str, forms: str, *, sent: str = "") -> tuple[Forms, Forms]:
    """Fill the table `forms` with the shape of each id, null if they have little in common, and whether it is fresh.

    Returns the forms of all ids and those of the fresh ones, which the table `sent` does not have.
    """
    session.create(
        "values_", f"SELECT r.{ID} AS value, 1 AS n FROM {rows} AS r WHERE r.{ID} IS NOT NULL GROUP BY r.{ID}"
    )
    n_ids = session.scalar("SELECT count(*) AS n FROM values_")
    shape, zero = "''", "1 = 0"
    if n_ids:  # to compile the expressions takes milliseconds
        shape, which, _ = shaping(session, n_ids)
        shape = shape if which == EVERY else "CAST(NULL AS VARCHAR)"
        zero = session.dialect.condition("regexp_matches(value, '^[^0-9]*0[0-9]')", {"value": "value"})
    fresh, joined = "1", ""
    if sent:
        fresh = "CASE WHEN s.known IS NULL THEN 1 ELSE 0 END"
        joined = f"LEFT JOIN (SELECT value AS known FROM {sent}) AS s ON s.known = v.value"
    cells = f"{shape} AS shape, {zero} AS zero, {fresh} AS fresh"
    session.create(forms, f"SELECT value, {cells} FROM values_ AS v {joined}")
    if not n_ids:
        return Forms(), Forms()
    found = session.table(
        f"""SELECT shape, zero, count(*) AS n, CAST(sum(fresh) AS BIGINT) AS n_fresh FROM {forms}
            WHERE shape IS NOT NULL GROUP BY shape, zero ORDER BY n DESC, shape LIMIT {_MOST}"""
    ).to_pylist()
    every, new = (Forms({(f["shape"], f["zero"]): f[n] for f in found if f[n]}) for n in ("n", "n_fresh"))
    return every, new


def say_unlike(session: AnySession, found: Unlike, *, ids: str = "odd_") -> str:
    """Say how many ids of `ids` have which shapes, which one the others have, and what cures them."""
    odd = session.table(f"SELECT shape, count(*) AS n FROM {ids} GROUP BY shape ORDER BY n DESC, shape").to_pylist()
    n, shapes = sum(f["n"] for f in odd), [f["shape"] for f in odd]
    count = f"SELECT count(*) AS n FROM {{}} WHERE shape = {text(found.usual)}"
    here, before = (session.scalar(count.format(f"forms_{side}_")) for side in ("rows", "before"))
    if {*found.usual, *"".join(shapes)} == {"9"}:
        least, most = min(map(len, shapes)), max(map(len, shapes))
        sizes = f"{least} to {most} digits" if least < most else plural(least, "digit")
        what, usual = f"{'has' if n == 1 else 'have'} {sizes}", f"have {len(found.usual)}"
    else:
        some = " or ".join(map(_shown, shapes[:3])) + (" or others" if shapes[3:] else "")
        what, usual = f"{'is' if n == 1 else 'are'} like {some}", f"are like {_shown(found.usual)}"
    others = f"{before:,} customers sent before" if here <= n and here < before else f"{here:,}"
    said = f"{plural(n, 'id')} {what} where {others} {usual}"
    if not (found.width and any({*shape} == {"9"} and len(shape) < found.width for shape in shapes)):
        return said
    if before:
        padded = session.scalar(f"SELECT count(*) AS n FROM {ids} WHERE padded IN (SELECT value FROM forms_before_)")
        said += f"; padded, they match {plural(padded, 'customer')} sent before"
    return f"{said}: correction pad_ids = {found.width}"


def _shown(shape: str) -> str:
    return visible(shape if len(shape) <= MAX_SHOWN else pattern_of(shape))
