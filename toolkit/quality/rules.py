"""Rules as data: what the contract allows but will cause trouble later. What it forbids is in the schema.

A rule is a condition or a query in SQL over the table ``rows_`` (the contract's columns, and ``row_``, the row's
``source_row``), a search in Python, or a pandera check. Each has a name and a reason, and can be switched off, given
other thresholds, or made a failure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pandas as pd
import pandera.pandas as pa
from pandera.api.function_dispatch import Dispatcher

from toolkit.engine import Session, quoted
from toolkit.errors import InputError, did_you_mean
from toolkit.model import CUSTOMER, ID, TIME
from toolkit.quality.id_forms import unusual_ids
from toolkit.quality.similar_names import MAX_COMPARED, equal_names, shared, similar_names

Severity = Literal["failure", "warning"]
Search = Callable[[Session, Mapping[str, float]], pd.DataFrame]
"""From a session with ``rows_`` and the rule's options to a frame of findings, with the columns of `Rule.rows`.

``attrs["reason"]`` of the frame, if there is one, is said instead of the rule's reason: it may have counts.
"""


@dataclass(frozen=True)
class Rule:
    """One rule: its name, the column it is about, why it matters, and how its findings are found.

    Attributes
    ----------
    why
        The end of the sentence that begins with the column's name.
    where
        An SQL condition on one row.
    rows
        An SQL query for what only several rows show: ``row_`` of each finding and, if there is one, ``other_``, a
        row to compare with. Findings with one ``group_``, the first of their rows, are shown as one.
    search
        A function for what SQL cannot express.
    check
        A pandera check on the column's cells; null cells pass.
    severity
        ``warning``: allowed, and worth a look. ``failure``: the row is quarantined.
    options
        Thresholds; ``{name}`` in ``where`` and ``rows`` is replaced by the value.
    seconds
        The time after which a rule of your own is stopped; None for the toolkit's rules. SQL is stopped between blocks
        of some 2,000 rows. A check is interrupted in the main thread, other than on Windows; elsewhere it is stopped
        between parts of 100,000 rows, and after the column if it is a function over a whole column.

    Examples
    --------
    >>> Rule("no_list", "customer_price_list_id", "is missing", where="customer_price_list_id IS NULL").name
    'no_list'
    >>> Rule("id_form", "customer_id", "is not a C-number", check=pa.Check.str_matches(r"C[0-9]{5}$"),
    ...      severity="failure").severity
    'failure'

    Raises
    ------
    InputError
        If it does not have exactly one of where, rows, search and check, or its severity is unknown.
    """

    name: str
    column: str
    why: str
    where: str = ""
    rows: str = ""
    search: Search | None = field(default=None, repr=False)
    check: pa.Check | None = field(default=None, repr=False)
    severity: Severity = "warning"
    options: Mapping[str, float] = field(default_factory=dict)
    seconds: float | None = 60

    def __post_init__(self) -> None:
        if sum(map(bool, (self.where, self.rows, self.search, self.check))) != 1:
            raise InputError(f"The rule {self.name} needs exactly one of where, rows, search and check.")
        if self.severity not in ("failure", "warning"):
            raise InputError(f"The rule {self.name} has the severity {self.severity!r}: write failure or warning.")

    @property
    def reason(self) -> str:
        """The sentence that a finding carries."""
        return f"{self.column} {self.why}"

    @property
    def of_a_row(self) -> bool:
        """Whether a row alone shows what it looks for, whatever the others are."""
        return bool(self.where and "rows_" not in self.where) or (self.check is not None and by_cell(self.check))

    def filled(self, sql: str, now: pd.Timestamp) -> str:
        """Return the rule's SQL with the column, the moment and the thresholds filled in."""
        moment = now.tz_convert("UTC").strftime("TIMESTAMPTZ '%Y-%m-%d %H:%M:%S.%f+00:00'")
        for name, value in {"column": quoted(self.column), "now": moment, **self.options}.items():
            sql = sql.replace("{" + name + "}", str(value))
        return sql

    def with_options(self, **options: float) -> Rule:
        """Return the rule with other thresholds.

        Raises
        ------
        InputError
            If it has no threshold of that name.
        """
        for name in options:
            if name not in self.options:
                known = f"it has {', '.join(self.options)}." if self.options else "it has no thresholds."
                raise InputError(f"The rule {self.name} has no threshold {name!r}: {known}")
        return replace(self, options={**self.options, **options})


def choose_rules(
    *rules: Rule, without: Iterable[str] = (), failures: Iterable[str] = (), **options: Mapping[str, float]
) -> tuple[Rule, ...]:
    """Return a choice of the toolkit's rules, followed by your own rules.

    Parameters
    ----------
    without
        Names of rules to leave out, or one name.
    failures
        Names of rules whose findings are failures, or one name: their rows are quarantined.
    options
        The thresholds of a rule, by the rule's name.

    Raises
    ------
    InputError
        If no rule has such a name.

    Examples
    --------
    >>> chosen = choose_rules(without=["similar_names"], failures=["blank_id"], single_category={"min_customers": 100})
    >>> len(RULES) - len(chosen), [r.name for r in chosen if r.severity == "failure"]
    (1, ['totals_row', 'blank_id'])
    """
    every = (*RULES, *rules)
    names = {rule.name for rule in every}
    without, failures = ({given} if isinstance(given, str) else set(given) for given in (without, failures))
    for name in (*without, *failures, *options):
        if name not in names:
            raise InputError(f"No rule is named {name!r}{did_you_mean(name, names) or '.'}")
    chosen = (replace(r, severity="failure") if r.name in failures else r for r in every if r.name not in without)
    return tuple(r.with_options(**options[r.name]) if r.name in options else r for r in chosen)


def by_cell(check: Any) -> bool:
    """Return whether a pandera check judges each cell by itself, and need not see the whole column."""
    return isinstance(check._check_fn, Dispatcher) or check.element_wise


def text_columns(frame: pd.DataFrame) -> list[str]:
    """Return the names of the contract's text columns that the frame has."""
    return [c for c in _TEXTS if c in frame.columns]


_TEXTS = tuple(c.name for c in CUSTOMER.columns if c.kind == "string")
_FREE = tuple(c.name for c in CUSTOMER.columns if c.kind == "string" and not c.values)
# In RE2, \s matches only the spaces of ASCII.
_SPACE = r"[\s\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]"
_OTHER = f"[^{_SPACE[1:]}"
# The correction of this name removes these characters. The joiners U+200C and U+200D stay: some scripts need them.
_INVISIBLE = (
    r"[\x{00}-\x{08}\x{0e}-\x{1f}\x{7f}-\x{84}\x{86}-\x{9f}\x{ad}"
    r"\x{200b}\x{200e}\x{200f}\x{202a}-\x{202e}\x{2060}-\x{2069}\x{feff}]"
)
# UTF-8 read as cp1252: a letter for the first byte, then one for a byte from 80 to BF.
_MOJIBAKE = (
    r"[ÃÂ][\x{80}-\x{bf}€‚ƒ„†‡ˆ‰Š‹ŒŽ‘“•–—˜™š›œžŸ]|â€|ï»¿|\x{fffd}"
    r"|[ÄÅÐÑÎÏ][\x{80}-\x{9f}€‚ƒ„†‡ˆ‰‹Œ•˜™š›œž¡-¥§©¬®-¶¹¼-¾]"
)
_PLACEHOLDERS = (
    "'test','tests','testkunde','test customer','xx','xxx','xxxx','n/a','na','tbd','todo','dummy','asdf','unknown',"
    "'unbekannt','inconnu','sconosciuto','desconocido','onbekend','none','null','nil','k.a.','-','--','.','?','???',"
    # What Python, databases, JavaScript and Excel write for nothing.
    r"'nan','-nan','<na>','nat','\n','(null)','[null]','<null>','(none)','undefined','(blank)','(leer)','(vide)'"
)
# A total, in the words of spreadsheets, with a number, a colon or what was counted. "Total SE" is no such cell.
_TOTAL = (
    "[- ]*(grand |sub|zwischen|gesamt|end|eind|overall )?(totals?|totale|totali|totaal|totaux|totalt|summen?|sum"
    "|suma|somma|somme|soma|gesamt|ergebnis|razem|celkem|итого|всего)( général| generale?| geral| complessivo| ogółem)?"
    "[- ]*(kunden|customers|clients|clientes|clienti|klanten|rows|records|zeilen)?[- ]*"
)
_TOTAL_LIKE = "tot|sum|som|gesamt|ergebnis|razem|celkem|итого|всего"
_NO_ID = f"coalesce(trim({ID}), '') = ''"
# A totals row has the word for its id, or the word for its name and no id. It has no time; or it is the last row, and
# no word for its name. Or its numbers add up. All that is neither a letter nor a space becomes a dash. RE2 takes
# milliseconds to compile the class of letters, so both cells are looked at together: X is in no lower case.
_TOTALS_ROW = rf"""row_ IN (SELECT row_ FROM sums_) OR CASE
    WHEN ({TIME} IS NULL OR row_ = (SELECT max(row_) FROM rows_))
        AND regexp_matches(lower(concat_ws(' ', {ID}, customer_name)), '{_TOTAL_LIKE}')
    THEN regexp_full_match(regexp_replace(concat(lower(CASE WHEN {_NO_ID} THEN customer_name ELSE {ID} END), 'X',
        CASE WHEN NOT ({_NO_ID} OR {TIME} IS NULL) THEN lower(customer_name) END), '[^\pL ]', '-', 'g'),
        '{_TOTAL}X([- ]*|{_TOTAL})') END"""
CODES = (ID, "customer_price_list_id")
"""The columns that programs write as numbers."""
_FORMULA = """starts_with({column}, '="') AND regexp_full_match({column}, '="([^"]|"")+"')"""
_MARKED = (
    "(contains({column}, '''') OR ends_with({column}, '.0')) AND regexp_full_match({column}, "
    r"'[0-9]+\.0|''[^'']*[0-9][^'']*''?|[^'']*[0-9][^'']*''')"
)
_WRAPPED = "was rewritten by a spreadsheet; the correction spreadsheet_text unwraps it"
_EXCEL_ERRORS = r"#(N/A|REF!|VALUE!|NAME\?|DIV/0!|NUM!|NULL!|NV|WERT!|BEZUG!)"
_BLANKS = " \t\r\n\u00a0\u202f\u200b"
FOLDED_ID = f"ltrim(lower(translate({ID}, '{_BLANKS}', '')), '0')"
"""SQL for an id without what spreadsheets and people change in it: case, spaces, leading zeros."""
IS_AN_ID = f"translate({ID}, '{_BLANKS}', '') <> ''"
_NEAR_IDS = shared(f"SELECT row_, {ID} AS id, {FOLDED_ID} AS key, '' AS form FROM rows_ WHERE {IS_AN_ID}")

# One finding for each less frequent category of a subcategory, at its first row: else half of a table could be found.
_TWO_CATEGORIES = """
    WITH pairs AS (SELECT customer_subcategory AS sub, customer_category AS category, count(*) AS n, min(row_) AS row_
                   FROM rows_ WHERE customer_subcategory IS NOT NULL AND customer_category IS NOT NULL
              GROUP BY customer_subcategory, customer_category),
    ranked AS (SELECT row_, row_number() OVER each AS rank, first(row_) OVER each AS other_
               FROM pairs WINDOW each AS (PARTITION BY sub ORDER BY n DESC, category))
    SELECT row_, other_ FROM ranked WHERE rank > 1"""


def _single(column: str) -> str:
    return f"""
    SELECT min(row_) AS row_ FROM rows_ WHERE {column} IS NOT NULL
        AND (SELECT approx_count_distinct({ID}) FROM rows_) >= {{min_customers}}
    GROUP BY {column} HAVING min({ID}) = max({ID})"""


def _each(columns: Sequence[str], name: str, why: str, where: str) -> tuple[Rule, ...]:
    return tuple(Rule(name, column, why, where=where.replace("{column}", column)) for column in columns)


_RULES: tuple[Rule, ...] = (
    Rule("totals_row", ID, "is that of a totals row, not of a customer", where=_TOTALS_ROW, severity="failure"),
    Rule("blank_id", ID, "is blank", where=f"regexp_full_match({ID}, '{_SPACE}*')"),
    Rule("near_ids", ID, "differs from another only by case, spaces or leading zeros", rows=_NEAR_IDS),
    Rule("unusual_ids", ID, "has another form than the rest", search=unusual_ids),
    *_each(CODES, "spreadsheet_number", "is in scientific notation: a spreadsheet rewrote it, and its digits are lost",
           r"regexp_full_match({column}, '[0-9](\.[0-9]+)?[eE]\+?[0-9]{2,}')"),
    *_each(CODES, "spreadsheet_text", _WRAPPED, f"{_FORMULA} OR {_MARKED}"),
    *_each([c for c in _FREE if c not in CODES], "spreadsheet_text", _WRAPPED, _FORMULA),
    *_each([c for c in _FREE if c != ID], "blank", "is blank", f"regexp_full_match({{column}}, '{_SPACE}+')"),
    *_each(_TEXTS, "long_cell", f"is longer than {MAX_COMPARED:,} characters",
           f"strlen({{column}}) > {MAX_COMPARED} AND length({{column}}) > {MAX_COMPARED}"),
    Rule("future_time", TIME, "is in the future", where=f"{TIME} > {{now}}"),
    Rule("early_time", TIME, "is before 2000", where=f"{TIME} < TIMESTAMPTZ '2000-01-01 00:00:00+00:00'"),
    *_each(_FREE, "mojibake", "contains wrongly decoded letters, such as MÃ¼ller for Müller",
           f"strlen({{column}}) <> length({{column}}) AND regexp_matches({{column}}, '{_MOJIBAKE}')"),
    *_each(_FREE, "invisible_characters", "contains control or zero-width characters",
           f"regexp_matches({{column}}, '{_INVISIBLE}')"),
    *_each(_FREE, "placeholder", "is a placeholder, not a value",
           f"strlen({{column}}) < 24 AND lower(trim({{column}})) IN ({_PLACEHOLDERS})"),
    *_each(_FREE, "excel_error", "is an Excel error, such as #N/A or #REF!",
           f"starts_with({{column}}, '#') AND regexp_full_match({{column}}, '{_EXCEL_ERRORS}')"),
    Rule("equal_names", "customer_name",
         "is shared by several customers, if case, spaces, accents, punctuation and look-alike letters are ignored",
         search=equal_names),
    Rule("similar_names", "customer_name", "is nearly the same for several customers: a typing error or another order",
         search=similar_names, options={"known": 3}),
    Rule("personal_data", "customer_name", "contains an e-mail address",
         where=r"contains(customer_name, '@') AND regexp_matches(customer_name, '[^\s@]+@[^\s@]+\.[a-zA-Z]{2,}')"),
    Rule("orphan_subcategory", "customer_subcategory", "has no category",
         where="customer_category IS NULL AND customer_subcategory IS NOT NULL"),
    Rule("two_categories", "customer_subcategory", "belongs to more than one category", rows=_TWO_CATEGORIES),
    Rule("single_category", "customer_category", "is used by one customer only",
         rows=_single("customer_category"), options={"min_customers": 20}),
    Rule("single_price_list", "customer_price_list_id", "is used by one customer only",
         rows=_single("customer_price_list_id"), options={"min_customers": 20}),
    *_each(_TEXTS, "stray_spaces", "has leading, trailing or repeated spaces",
           f"regexp_matches({{column}}, '^{_SPACE}+{_OTHER}|{_OTHER}{_SPACE}+$|{_OTHER}{_SPACE}{_SPACE}+{_OTHER}')"),
)  # fmt: skip
_NOTHING = ("blank_id", "blank", "placeholder", "excel_error")
_SPELLING = (*_NOTHING, "stray_spaces", "mojibake", "invisible_characters", "spreadsheet_text", "spreadsheet_number")
CAUSES = {
    **dict.fromkeys(("near_ids", "equal_names", "similar_names"), _NOTHING),
    **dict.fromkeys(("two_categories", "single_price_list"), _SPELLING),
    "single_category": (*_SPELLING, "two_categories"),
}
"""A finding of several rows, and those of the same cell that say why it is there: then it is left out."""
CAUSING = {"two_categories": "customer_category"}
"""The column of the cell that says why, if it is not the rule's own."""
RULES = tuple(replace(rule, seconds=None) for rule in _RULES)
"""The rules that `validate` uses by default, the most harmful first."""
