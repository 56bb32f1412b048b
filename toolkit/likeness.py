"""Names of customers that are one customer's: folded to what a person would call equal, or nearly so.

Nearly equal names are looked for among neighbours in two sorted lists, of the folded names and of the same read
backwards, so that the cost grows with the number of names and not with its square (a *sorted neighbourhood*).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc
from rapidfuzz import fuzz, process

from toolkit.contract import ID
from toolkit.engine import Session

MIN_LENGTH = 5
"""Characters of a folded name from which on nearly equal says anything."""

_FORMS = (
    "gmbh|mbh|ggmbh|ug|ag|kg|kgaa|ohg|gbr|ek|se|ltd|limited|plc|llc|llp|lp|inc|incorporated|corp|corporation|co|company|"
    "sa|sas|sasu|sarl|eurl|snc|spa|srl|srls|sl|slu|lda|ltda|bv|nv|vof|ab|as|asa|aps|oy|oyj|zoo|spzoo|sro|kft|doo|pty|pte|kk"
)
# Cyrillic and Greek letters that look like Latin ones, in lower case.
_ALIKE = ("аеорсухіјѕԁһӏкмтвнοανρυκι", "aeopcyxijsdhlkmtbhoavpuki")
_SIGNS = ',;:-–/&+()"`´’_*\t\n\u00a0\u202f'
# A dot within a legal form goes (S.A., B.V.), every other sign is a space; then the forms at the end go.
FOLDED_NAME = f"""trim(regexp_replace(
    translate(strip_accents(lower(replace(customer_name, '.', ''))),
              '{_SIGNS}{_ALIKE[0]}', '{" " * len(_SIGNS)}{_ALIKE[1]}'),
    '( +({_FORMS}))+ *$| +', ' ', 'g'))"""


def similar_names(session: Session, options: Mapping[str, float]) -> pd.DataFrame:
    """Find names that are nearly another customer's: ``row_`` and ``other_``, the row of the nearest.

    Numbers within a name have to be the same: Store 12 is not Store 13. Equal folded names are another rule's.

    Parameters
    ----------
    options
        ``similarity`` from 0 to 1, rapidfuzz's ratio over 100; ``window``, how many neighbours are looked at.
    """
    names = session.table(
        f"""SELECT key, min({ID}) AS least, max({ID}) AS most, min(row_) AS row_,
                   regexp_replace(key, '[^0-9]+', ' ', 'g') AS digits, reverse(key) AS backwards
            FROM (SELECT row_, {ID}, {FOLDED_NAME} AS key FROM rows_ WHERE customer_name IS NOT NULL)
            WHERE length(key) >= {MIN_LENGTH} GROUP BY key"""
    )
    pairs = [_neighbours(names, by, int(options["window"]), options["similarity"]) for by in ("key", "backwards")]
    near = np.unique(np.concatenate(pairs), axis=0)
    keys = names["row_"].to_numpy()
    first, second = keys[near[:, 0]], keys[near[:, 1]]
    found = pd.DataFrame({"row_": np.concatenate([first, second]), "other_": np.concatenate([second, first])})
    return found.drop_duplicates("row_")


def _neighbours(names: Any, by: str, window: int, similarity: float) -> np.ndarray[Any, Any]:
    order = pc.sort_indices(names[by]).to_numpy()
    key, digits = names["key"].take(order), names["digits"].take(order)
    least, most = names["least"].take(order), names["most"].take(order)
    found = [np.empty((0, 2), dtype=np.int64)]
    for step in range(1, window + 1):
        n = len(order) - step
        if n <= 0:
            break
        alike = pc.equal(digits.slice(0, n), digits.slice(step))
        # One customer whose name was mended is not two.
        one = pc.and_(pc.equal(least.slice(0, n), most.slice(step)), pc.equal(most.slice(0, n), least.slice(step)))
        at = np.flatnonzero(pc.fill_null(pc.and_not(alike, one), True))
        if not len(at):
            continue
        score = process.cpdist(
            key.take(at).to_pylist(),
            key.take(at + step).to_pylist(),
            scorer=fuzz.ratio,
            score_cutoff=similarity * 100,
            workers=-1,
        )
        hits = at[score >= similarity * 100]
        found.append(np.sort(np.column_stack([order[hits], order[hits + step]]), axis=1).astype(np.int64))
    return np.concatenate(found).astype(np.int64)
