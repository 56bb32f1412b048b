"""Names of customers that are one customer's: folded to what a person would call equal, or nearly so.

Nearly equal names are looked for among neighbours in three sorted lists, of the folded names, of the same read
backwards, and without their first words, so that the cost grows with the number of names and not with its square (a
*sorted neighbourhood*).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from rapidfuzz import fuzz, process

from toolkit.engine import Session
from toolkit.model import ID

MIN_LENGTH = 5
"""Characters of a folded name from which on nearly equal says anything."""

_FORMS = (
    "gmbh|mbh|ggmbh|ug|ag|kg|kgaa|ohg|gbr|ek|se|ltd|limited|plc|llc|llp|lp|inc|incorporated|corp|corporation|co|company|"
    "sa|sas|sasu|sarl|eurl|snc|spa|srl|srls|sl|slu|lda|ltda|bv|nv|vof|ab|as|asa|aps|oy|oyj|zoo|spzoo|sro|kft|doo|pty|pte|kk"
)
# Cyrillic and Greek letters that look like Latin ones, in lower case.
_ALIKE = ("аеорсухіјѕԁһӏкмтвнοανρυκι", "aeopcyxijsdhlkmtbhoavpuki")
_SIGN = r"[ ,;:/&+()\"`´’_*\t\n\x{a0}\x{202f}–-]"
_LOWER = "lower(replace(customer_name, '.', ''))"
# A dot within a legal form goes (S.A., B.V.), every other sign is a space; then the forms at the end go. Accents and
# look-alike letters cost more than all the rest, so only names that may have them pay for it.
FOLDED_NAME = f"""trim(regexp_replace(
    CASE WHEN strlen(customer_name) = length(customer_name) THEN {_LOWER}
         WHEN regexp_matches(customer_name, '[\\x{{370}}-\\x{{52f}}]')
         THEN translate(strip_accents({_LOWER}), '{_ALIKE[0]}', '{_ALIKE[1]}')
         ELSE strip_accents({_LOWER}) END,
    '(?:{_SIGN}+(?:{_FORMS}))+{_SIGN}*$|{_SIGN}+', ' ', 'g'))"""


# Names that differ near one end stand together in one of the first two lists, near both ends in the third.
_ORDERS = ("key", "reverse(key)", "CASE WHEN contains(key, ' ') THEN key[instr(key, ' ') + 1:] ELSE key[4:] END")
_BATCH = 100_000


def similar_names(session: Session, options: Mapping[str, float]) -> pd.DataFrame:
    """Find names that are nearly another customer's: ``row_`` and ``other_``, the row of the nearest.

    Numbers within a name have to be the same: Store 12 is not Store 13. Equal folded names are another rule's.

    Parameters
    ----------
    options
        ``similarity`` from 0 to 1, rapidfuzz's ratio over 100; ``window``, how many neighbours are looked at.
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
    """Return pairs of ``row_``, the lesser first, that stand close together in this order and are nearly equal."""
    found = [np.empty((0, 2), dtype=np.int64)]
    held: pa.Table | None = None
    for batch in session.batches(f"SELECT * FROM names_ ORDER BY {order}, key", _BATCH):
        names = pa.Table.from_batches([batch])
        if held is not None:  # the last of the batch before have neighbours in this one
            names = pa.concat_tables([held, names]).combine_chunks()
        found += [_near(names, step, similarity) for step in range(1, min(window, len(names) - 1) + 1)]
        held = names.slice(max(len(names) - window, 0))
    return np.concatenate(found)


def _near(names: pa.Table, step: int, similarity: float) -> np.ndarray[Any, Any]:
    one, other = names.slice(0, len(names) - step), names.slice(step)
    lengths = [part["n"].to_numpy() for part in (one, other)]
    # Of two texts of these lengths no more can be equal.
    close = np.abs(lengths[0] - lengths[1]) <= (1 - similarity) * (lengths[0] + lengths[1]) + 1e-6
    alike = pc.equal(one["digits"], other["digits"])
    # One customer whose name was mended is not two.
    same = pc.and_(pc.equal(one["least"], other["most"]), pc.equal(one["most"], other["least"]))
    at = np.flatnonzero(close & pc.fill_null(pc.and_not(alike, same), True).to_numpy())
    if not len(at):
        return np.empty((0, 2), dtype=np.int64)
    texts = (part["key"].take(at).to_pylist() for part in (one, other))
    score = process.cpdist(*texts, scorer=fuzz.ratio, score_cutoff=similarity * 100, workers=-1)
    hits = at[score >= similarity * 100]
    rows = [part["row_"].to_numpy()[hits] for part in (one, other)]
    return np.sort(np.column_stack(rows), axis=1).astype(np.int64)
