"""Names that several customers share, or nearly share: they may be one customer.

Names are equal if they are equal when folded. Nearly equal names are looked for among neighbours in three sorted
lists: the folded names, the same read backwards, and without their first words. So the cost grows with the number of
names and not with its square (a *sorted neighbourhood*).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from rapidfuzz import fuzz, process

from toolkit.engine import Session, to_frame
from toolkit.model import ID

MIN_LENGTH = 5
"""The fewest characters of a folded name for which "nearly equal" means anything."""

_FORMS = (
    "gmbh|mbh|ggmbh|ug|ag|kg|kgaa|ohg|gbr|ek|se|ltd|limited|plc|llc|llp|lp|inc|incorporated|corp|corporation|co|company|"
    "sa|sas|sasu|sarl|eurl|snc|spa|srl|srls|sl|slu|lda|ltda|bv|nv|vof|ab|as|asa|aps|oy|oyj|zoo|spzoo|sro|kft|doo|pty|pte|kk"
)
# Cyrillic and Greek letters that look like Latin letters, in lower case.
_ALIKE = ("аеорсухіјѕԁһӏкмтвнοανρυκι", "aeopcyxijsdhlkmtbhoavpuki")
_SIGN = r"[ ,;:/&+()\"`´’_*\t\n\x{a0}\x{202f}–-]"
_LOWER = "lower(replace(customer_name, '.', ''))"
# Dots go (S.A., B.V.), every other sign becomes a space, and legal forms at the end go. Accents and look-alike letters
# cost more than all the rest, so only names that may have them pay for it.
FOLDED_NAME = f"""trim(regexp_replace(
    CASE WHEN strlen(customer_name) = length(customer_name) THEN {_LOWER}
         WHEN regexp_matches(customer_name, '[\\x{{370}}-\\x{{52f}}]')
         THEN translate(strip_accents({_LOWER}), '{_ALIKE[0]}', '{_ALIKE[1]}')
         ELSE strip_accents({_LOWER}) END,
    '(?:{_SIGN}+(?:{_FORMS}))+{_SIGN}*$|{_SIGN}+', ' ', 'g'))"""

# Folding takes most of the time, and few names are equal. So a signature comes first: a sum of random numbers, one for
# each pair of neighbouring letters or digits that folding neither changes nor makes of an accented letter of Latin-1.
# Names that are equal when folded have equal signatures. Names with letters beyond Latin-1 are folded for it.
_ACCENTED = {"a": "aàáâãäå", "c": "cç", "e": "eèéêë", "i": "iìíîï", "n": "nñ", "o": "oòóôõö", "u": "uùúûü", "y": "yýÿ"}
_ACCENTED_FORMS = "".join(f"[{_ACCENTED[c]}]" if c in _ACCENTED else c for c in _FORMS)
_WITHOUT_FORM = f"regexp_replace({_LOWER}, '(?:{_SIGN}+(?:{_ACCENTED_FORMS}))+{_SIGN}*$', '')"
_BEYOND_LATIN_1 = 0xC4
"""The first byte, in UTF-8, from which on a letter is not one of Latin-1."""
_KEPT = np.isin(np.arange(256), list(b"bdfghjklmpqrstvwxz0123456789"))
_PAIRS = np.random.default_rng(0).integers(2**32, size=(256, 256), dtype=np.uint32)
_PAIRS[:, ~_KEPT] = _PAIRS[:, :1]  # the last letter of a run counts alone
_PAIRS[~_KEPT] = 0
_EQUAL = f"""
    WITH named AS MATERIALIZED (SELECT row_, {ID}, customer_name FROM rows_ WHERE row_ IN (SELECT row_ FROM suspects_)),
    folded AS (SELECT row_, {ID} AS id, {FOLDED_NAME} AS key FROM named),
    suspect AS (SELECT key, min(id) AS least, arg_min(row_, id) AS a, arg_max(row_, id) AS b
                FROM folded WHERE key <> '' GROUP BY key HAVING min(id) <> max(id))
    SELECT row_, CASE WHEN id = least THEN b ELSE a END AS other_ FROM folded JOIN suspect USING (key)"""
_BATCH = 100_000


def equal_names(session: Session, _: Mapping[str, float]) -> pd.DataFrame:
    """Find names that equal another customer's when folded: ``row_`` and ``other_``, a row of another customer."""
    rows, signatures, is_latin = _signatures(session, _WITHOUT_FORM, "customer_name IS NOT NULL")
    session.register("folded_", pa.table({"row_": rows[~is_latin]}))
    others, theirs = _signatures(session, FOLDED_NAME, "row_ IN (SELECT row_ FROM folded_)")[:2]
    rows, found = np.append(rows[is_latin], others), np.append(signatures[is_latin], theirs)
    ordered = np.sort(found)
    suspects = rows[np.isin(found, ordered[1:][ordered[1:] == ordered[:-1]])]
    session.register("suspects_", pa.table({"row_": suspects}))
    return to_frame(session.table(_EQUAL))


def _signatures(session: Session, name: str, where: str) -> tuple[npt.NDArray[Any], ...]:
    """Return the numbers of rows, the signatures of their names, and whether these have letters of Latin-1 only."""
    session.run(f"CREATE OR REPLACE TEMP TABLE names_ AS SELECT row_, {name} || ' ' AS name FROM rows_ WHERE {where}")
    parts = [(np.empty(0, np.int64), np.empty(0, np.uint32), np.empty(0, bool))]
    for batch in session.batches("SELECT row_, name FROM names_", _BATCH):
        _, offsets, data = batch.column("name").cast(pa.large_string()).buffers()
        ends = np.frombuffer(offsets, dtype=np.int64)[: len(batch) + 1]
        letters = np.frombuffer(data, dtype=np.uint8)[: ends[-1]]
        pairs = np.zeros(len(letters), dtype=np.uint32)  # the last letter is a space, and counts nothing
        np.take(_PAIRS.ravel(), letters[:-1].astype(np.uint16) * 256 + letters[1:], out=pairs[:-1], mode="clip")
        is_latin = np.maximum.reduceat(letters, ends[:-1]) < _BEYOND_LATIN_1
        parts.append((batch.column("row_").to_numpy(), np.add.reduceat(pairs, ends[:-1], dtype=np.uint32), is_latin))
    return tuple(np.concatenate(each) for each in zip(*parts, strict=True))


# Names that differ near one end are neighbours in one of the first two lists, near both ends in the third.
_ORDERS = ("key", "reverse(key)", "CASE WHEN contains(key, ' ') THEN key[instr(key, ' ') + 1:] ELSE key[4:] END")


def similar_names(session: Session, options: Mapping[str, float]) -> pd.DataFrame:
    """Find names that are nearly another customer's: ``row_`` and ``other_``, a row with the similar name.

    Numbers in the names must be the same: Store 12 is not Store 13. Names that are equal when folded are left out.

    Parameters
    ----------
    options
        ``similarity`` from 0 to 1, rapidfuzz's ratio over 100; ``window``, with how many neighbours a name is compared.
    """
    session.run(
        f"""CREATE OR REPLACE TEMP TABLE names_ AS
            SELECT key, min({ID}) AS least, max({ID}) AS most, min(row_) AS row_,
                   regexp_replace(key, '[^0-9]+', ' ', 'g') AS digits, length(key) AS n
            FROM (SELECT row_, {ID}, {FOLDED_NAME} AS key FROM rows_ WHERE customer_name IS NOT NULL)
            WHERE length(key) >= {MIN_LENGTH} GROUP BY key"""
    )
    pairs = [_neighbours(session, order, int(options["window"]), options["similarity"]) for order in _ORDERS]
    session.run("DROP TABLE names_")
    near = np.unique(np.concatenate(pairs), axis=0)
    first, second = near[:, 0], near[:, 1]
    found = pd.DataFrame({"row_": np.concatenate([first, second]), "other_": np.concatenate([second, first])})
    return found.drop_duplicates("row_")


def _neighbours(session: Session, order: str, window: int, similarity: float) -> np.ndarray[Any, Any]:
    """Return pairs of ``row_``, the smaller first, that are close to each other in this order and nearly equal."""
    found = [np.empty((0, 2), dtype=np.int64)]
    held: pa.Table | None = None
    for batch in session.batches(f"SELECT * FROM names_ ORDER BY {order}, key", _BATCH):
        names = pa.Table.from_batches([batch])
        if held is not None:  # the last names of the batch before have neighbours in this one
            names = pa.concat_tables([held, names]).combine_chunks()
        found += [_near(names, step, similarity) for step in range(1, min(window, len(names) - 1) + 1)]
        held = names.slice(max(len(names) - window, 0))
    return np.concatenate(found)


def _near(names: pa.Table, step: int, similarity: float) -> np.ndarray[Any, Any]:
    one, other = names.slice(0, len(names) - step), names.slice(step)
    lengths = [part["n"].to_numpy() for part in (one, other)]
    # The lengths alone limit how similar two texts can be.
    close = np.abs(lengths[0] - lengths[1]) <= (1 - similarity) * (lengths[0] + lengths[1]) + 1e-6
    alike = pc.equal(one["digits"], other["digits"])
    # Two names of one customer: its name was corrected.
    same = pc.and_(pc.equal(one["least"], other["most"]), pc.equal(one["most"], other["least"]))
    at = np.flatnonzero(close & pc.fill_null(pc.and_not(alike, same), True).to_numpy())
    if not len(at):
        return np.empty((0, 2), dtype=np.int64)
    texts = (part["key"].take(at).to_pylist() for part in (one, other))
    score = process.cpdist(*texts, scorer=fuzz.ratio, score_cutoff=similarity * 100, workers=-1)
    hits = at[score >= similarity * 100]
    rows = [part["row_"].to_numpy()[hits] for part in (one, other)]
    return np.sort(np.column_stack(rows), axis=1).astype(np.int64)
