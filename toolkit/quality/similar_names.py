"""Names that several customers share, or nearly share: they may be one customer.

Names are equal if they are equal when folded: without case, accents, signs, spaces and legal form. Names with different
legal forms are two companies. Names are nearly equal if they are equal once each rare word is read as the frequent one
that it is a typing error away from, in any order of the words: hardly another name has a mistyped word, while words
that many names have (Marie, Maria) are words of their own. Numbers must be the same: Store 12 is not Store 13. All of
it is grouping in SQL, so the cost grows with the number of names and not with its square.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa

from toolkit.engine import Session, to_frame
from toolkit.model import ID
from toolkit.quality.statistics import where_repeated

MAX_COMPARED = 10_000
"""Characters of a name that are compared; a longer cell is a finding of its own."""
MIN_LENGTH = 5
"""The fewest characters of a folded name for which "nearly equal" means anything."""
_LISTED = tomllib.loads(Path(__file__).with_name("legal_forms.toml").read_text(encoding="utf-8"))
_SPELLINGS = [spelling for listed in _LISTED["forms"].values() for spelling in listed.split("|")]
_FORMS = {each.replace(" ", ""): form for form, listed in _LISTED["forms"].items() for each in listed.split("|")}

_NONE = pd.DataFrame({"row_": [], "other_": [], "group_": []}, dtype="Int64")


def _either(spellings: Iterable[str]) -> str:
    # The longest first, for the first that fits is taken. Short ones are abbreviations: S.A.S. is folded to "s a s".
    ordered = sorted(spellings, key=len, reverse=True)
    return "|".join(" ?".join(s if len(s) <= 5 else s.split(" ")) for s in ordered)


_FORM, _FRONT = _either(_SPELLINGS), _either(_LISTED["front"].split("|"))
# Cyrillic and Greek letters that look like Latin letters, in lower case.
_ALIKE = ("аеорсухіјѕԁһӏкмтвнοανρυκι", "aeopcyxijsdhlkmtbhoavpuki")
_UNACCENTED = "translate(strip_accents(replace(replace(lower(name), 'ß', 'ss'), 'æ', 'ae')), 'øłđı', 'oldi')"
_FOLDED = f"""CASE WHEN strlen(name) = length(name) THEN lower(name)
    WHEN regexp_matches(name, '[\\x{{370}}-\\x{{52f}}]') THEN translate({_UNACCENTED}, '{_ALIKE[0]}', '{_ALIKE[1]}')
    ELSE {_UNACCENTED} END"""
_NAMED = f"FROM rows_ WHERE customer_name IS NOT NULL AND {ID} IS NOT NULL"
# To find the first number, from the start of the text, takes half of the time of finding all of them.
_FIRST_NUMBER = f"""regexp_extract(
    CASE WHEN strlen(customer_name) > {MAX_COMPARED} THEN left(customer_name, {MAX_COMPARED}) ELSE customer_name END,
    '^[^0-9]*([0-9]+)', 1)"""
# Only names whose numbers another customer's name has are folded, which takes most of the time.
_COMPARED = f"""
    CREATE TEMP TABLE compared_ AS
    WITH named AS (SELECT row_, {ID} AS id, left(customer_name, {MAX_COMPARED}) AS name,
                          array_to_string(regexp_extract_all(name, '[0-9]+'), ' ') AS digits
                   {_NAMED}{{only}}),
    known AS (SELECT digits FROM named GROUP BY digits HAVING min(id) <> max(id))
    SELECT * FROM named WHERE digits IN (SELECT digits FROM known)"""
# No expression is tried again at each place of a cell: that would take quadratic time. So forms are looked for at both
# ends, once.
_FOLDED_NAMES = f"""
    CREATE TEMP TABLE folded_ AS
    WITH folded AS (SELECT row_, id, digits,
                      ' ' || trim(regexp_replace({_FOLDED}, '[^\\pL\\pM\\pN]+', ' ', 'g')) || ' ' AS name
               FROM compared_),
    worded AS (SELECT * REPLACE (replace(replace(replace(name, ' und ', ' '), ' and ', ' '), ' et ', ' ') AS name)
               FROM folded),
    ended AS (SELECT *, regexp_extract(name, '(?: (?:{_FORM}))+ $') AS ending FROM worded),
    cut AS (SELECT * REPLACE (left(name, length(name) - length(ending)) || ' ' AS name) FROM ended),
    begun AS (SELECT *, regexp_extract(name, '^(?: (?:{_FRONT}))+ ') AS beginning FROM cut)
    SELECT row_, id, digits, trim(substr(name, length(beginning) + 1)) AS bare,
           replace(bare, ' ', '') || '|' || digits AS key, beginning || ending AS written
    FROM begun WHERE bare <> ''"""
# A customer without a legal form may be any of those with one; without such a one, each form is a company of its own.
_SHARED = """
    WITH keyed AS ({keyed}),
    suspect AS (SELECT key, bool_or(form = '') AS any_form FROM keyed GROUP BY key HAVING min(id) <> max(id)),
    member AS (SELECT row_, id, key, CASE WHEN any_form THEN '' ELSE form END AS form
               FROM keyed JOIN suspect USING (key)),
    shared AS (SELECT key, form, min(row_) AS group_, arg_min(id, row_) AS first_id
               FROM member GROUP BY key, form HAVING min(id) <> max(id)),
    second AS (SELECT key, form, min(row_) AS other_ FROM member JOIN shared USING (key, form)
               WHERE id <> first_id GROUP BY key, form)
    SELECT row_, CASE WHEN id = first_id THEN other_ ELSE group_ END AS other_, group_
    FROM member JOIN shared USING (key, form) JOIN second USING (key, form)"""
_LETTERS = "[\\p{Latin}\\p{Greek}\\p{Cyrillic}]+"  # {4,30} would take 7 ms to compile
# Two words one typing error apart have a part in common that lacks a letter of one or of both. The first letter is
# seldom mistyped. A part that many words have is from codes, not from typing errors.
_READ_AS = f"""
    CREATE OR REPLACE TEMP TABLE read_as_ AS
    WITH each AS (SELECT unnest(list_distinct(string_split(bare, ' '))) AS word FROM apart_),
    words AS (SELECT word, count(*) AS n FROM each GROUP BY word
              HAVING length(word) BETWEEN 4 AND 30 AND regexp_full_match(word, '{_LETTERS}')
                 AND NOT regexp_full_match(word, '[ivx]+')),
    parts AS (SELECT word, n, unnest([left(word, i - 1) || substr(word, i + 1) FOR i IN range(2, length(word) + 2)])
              AS part FROM words),
    few AS (SELECT part FROM parts GROUP BY part HAVING count(*) BETWEEN 2 AND 20),
    near AS (SELECT a.word, min({{'n': -b.n, 'word': b.word}}).word AS other
             FROM (SELECT * FROM parts SEMI JOIN few USING (part)) AS a JOIN parts AS b USING (part)
             WHERE (-b.n, b.word) < (-a.n, a.word) AND (a.n < {{known}} OR a.n * 20 < b.n)
               AND (length(a.word) >= 8 OR damerau_levenshtein(a.word, b.word) = 1) GROUP BY a.word)
    SELECT near.word, coalesce(further.other, near.other) AS other
    FROM near LEFT JOIN near AS further ON near.other = further.word"""
_NEAR = """
    CREATE OR REPLACE TEMP TABLE near_ AS
    WITH worded AS (SELECT row_, unnest(string_split(bare, ' ')) AS word FROM apart_),
    read AS (SELECT row_, string_agg(coalesce(other, word), ' ' ORDER BY coalesce(other, word)) AS words
             FROM worded LEFT JOIN read_as_ USING (word) GROUP BY row_)
    SELECT row_, id, form, words || '|' || digits AS key FROM read JOIN apart_ USING (row_)"""


def shared(keyed: str) -> str:
    """Return the query for rows of which another customer has the key: ``row_``, ``other_`` and ``group_``.

    Parameters
    ----------
    keyed
        A query that gives ``row_``, ``id``, ``key`` and ``form``.
    """
    return _SHARED.replace("{keyed}", keyed)


def equal_names(session: Session, _: Mapping[str, float]) -> pd.DataFrame:
    """Find names that equal another customer's when folded: ``row_``, ``other_`` and ``group_``."""
    return to_frame(session.table(shared("FROM names_"))) if _make_names(session) else _NONE


def similar_names(session: Session, options: Mapping[str, float]) -> pd.DataFrame:
    """Find names that nearly equal another customer's, as `equal_names`; equal names stand for one.

    Parameters
    ----------
    options
        ``known``: in how many names a word occurs that is not taken for a typing error.
    """
    if not _make_names(session):
        return _NONE
    session.run(
        f"""CREATE OR REPLACE TEMP TABLE apart_ AS
            SELECT min(row_) AS row_, arg_min(id, row_) AS id, arg_min(bare, row_) AS bare, min(digits) AS digits, form
            FROM (SELECT * REPLACE (CASE WHEN bool_or(form = '') OVER (PARTITION BY key) THEN '' ELSE form END AS form)
                  FROM names_ WHERE length(bare) >= {MIN_LENGTH}) GROUP BY key, form"""
    )
    session.run(_READ_AS.replace("{known}", str(options["known"])))
    session.run(_NEAR)
    return to_frame(session.table(shared("FROM near_")))


def _make_names(session: Session) -> bool:
    """Make the table ``names_``, unless the session has it; return whether it has rows."""
    if not session.scalar("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'names_'"):
        n_rows = session.scalar("SELECT count(*) FROM rows_")
        session.run(_COMPARED.replace("{only}", where_repeated(session, _FIRST_NUMBER, _NAMED, n_rows)))
        if session.scalar("SELECT count(*) FROM compared_"):
            _fold_names(session)
        else:  # to compile the expressions takes 20 ms
            session.run("CREATE TEMP TABLE names_ (row_ BIGINT)")
    return bool(session.scalar("SELECT count(*) FROM names_"))


def _fold_names(session: Session) -> None:
    session.run(_FOLDED_NAMES)
    written = session.table("SELECT DISTINCT written FROM folded_")["written"].to_pylist()
    forms = [" ".join(sorted({_FORMS[f.replace(" ", "")] for f in re.findall(_FORM, each)} - {""})) for each in written]
    session.register("forms_", pa.table({"written": written, "form": forms}))
    session.run("CREATE TEMP TABLE names_ AS SELECT * FROM folded_ JOIN forms_ USING (written)")
    session.run("DROP TABLE compared_; DROP TABLE folded_")
