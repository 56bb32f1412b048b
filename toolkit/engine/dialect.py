"""SQL for several engines: statements in a portable subset, written token by token, and conditions on one row.

The portable subset is what DuckDB, PostgreSQL and Spark read alike: plain joins, grouping, windows, CTEs, ``CASE``,
``CAST``, every subquery with an alias, names in double quotes, texts in single ones. Statements of the toolkit are
written in it, and `Dialect.write` changes only how names, texts and types are spelled. Sums are cast, ``NULLS LAST`` is
said, and null-safe equality is ``NOT coalesce(a = b, a IS NULL AND b IS NULL)``.

Conditions of rules are DuckDB's: `Dialect.condition` reads one with sqlglot and writes each of its functions for the
engine. What an engine cannot say exactly is refused.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cache, reduce
from itertools import groupby
from typing import TYPE_CHECKING, Any

from toolkit.errors import InputError, did_you_mean
from toolkit.lazy import Library

if TYPE_CHECKING:
    import sqlglot
    from sqlglot import exp
else:
    sqlglot, exp = Library("sqlglot"), Library("sqlglot.expressions")

PLAIN = frozenset(
    {"column", "identifier", "literal", "null", "boolean", "paren", "and", "or", "not", "eq", "neq", "gt", "gte", "lt",
     "lte", "is", "in", "between", "case", "if", "coalesce", "nullif", "add", "sub", "mul", "mod", "neg", "dpipe",
     "datatype", "strlen", "length", "translate", "replace"}
)  # fmt: skip
"""What a condition is written with that every engine reads alike, in sqlglot's words."""
_WORDS = """all and as between both by case cast coalesce collate count current date_part date_trunc desc distinct else
end exists false from group having in is join lag last lead leading left length like limit lower lpad max md5 min not
null nullif nulls on or order over partition position preceding regexp_like regexp_replace replace right row row_number
rows select strlen substr substring sum then trailing translate trim true unbounded union when where with varchar bigint
double timestamptz date boolean smallint int"""
WORDS = frozenset(_WORDS.split())
"""What a statement of the toolkit is written with; beside it, names."""
TYPES = frozenset({"BIGINT", "INT", "DOUBLE", "TIMESTAMPTZ", "DATE", "BOOLEAN"})
SPACES = " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
"""What DuckDB's trim takes off: the spaces of Unicode, while others take off U+0020 alone."""
# Parquet and engines can hold times that Python, pandas' text and the vendor's JSON cannot: they are no times.
_ENDS = ("0001-01-01 00:00:00", "9999-12-31 23:59:59.999999")
CALENDAR = "BETWEEN " + " AND ".join(f"CAST('{end}+00:00' AS TIMESTAMPTZ)" for end in _ENDS)
FLOATS = "BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308"
Node = Any  # sqlglot's Expression: what it has depends on its kind
_TOKEN = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|(?<!\w)[A-Za-z_]\w*""")


class UnwritableError(InputError):
    """A condition that an engine cannot say exactly; the text names what it cannot say."""


@dataclass(frozen=True)
class Dialect:
    """How an engine spells what the portable subset says.

    Attributes
    ----------
    quote
        The character around names.
    exact
        Whether each name is written in quotes, because the engine makes upper-case letters of one without.
    escapes
        How an apostrophe is written in a text where a backslash is an escape; empty where it is none.
    words
        Words of the subset that the engine spells otherwise: types, and the length in bytes.
    collation
        What a text stands in so that it is compared by its code points.
    posix
        Whether regular expressions are those of POSIX, of which the documentation alone says what they mean.
    number
        A number for each row of a query, without sorting them all in one place.
    clock
        The engine's own time, in seconds since 1970.
    """

    name: str
    quote: str = '"'
    exact: bool = False
    escapes: str = ""
    words: Mapping[str, str] = field(default_factory=dict)
    collation: str = "{}"
    posix: bool = False
    number: str = "row_number() OVER ()"
    clock: str = ""

    def write(self, sql: str, known: Mapping[str, str] | None = None) -> str:
        r"""Write a statement of the portable subset for the engine; `known` says what the session's names stand for.

        Examples
        --------
        >>> SPARK.write('''SELECT "a b", 'it''s' FROM rows_''', {"rows_": "scratch.tk_1_rows_"})
        "SELECT `a b`, 'it\\'s' FROM scratch.tk_1_rows_"
        """
        names = known or {}

        def spelled(found: re.Match[str]) -> str:
            token, dotted = found[0], sql[found.start() - 1 : found.start()] == "."
            if token[0] == "'" and self.escapes:
                return "'" + token[1:-1].replace("\\", r"\\").replace("''", self.escapes) + "'"
            if token[0] == '"':
                return self.quote + token[1:-1].replace('""', '"').replace(self.quote, self.quote * 2) + self.quote
            if not dotted and (known_as := names.get(token) or self.words.get(token.upper())):
                return known_as
            plain = not self.exact or sql.startswith("(", found.end()) or (token.lower() in WORDS and not dotted)
            return token if plain else f'"{token}"'

        return _TOKEN.sub(spelled, sql)

    def text(self, sql: str) -> str:
        """Return an expression as text that is compared by its code points."""
        return self.collation.format(f"CAST({sql} AS VARCHAR)")

    def condition(self, sql: str, columns: Mapping[str, str], *, texts: Collection[str] = ()) -> str:
        r"""Return a condition on one row, written in DuckDB's SQL, in the portable subset with the engine's functions.

        Parameters
        ----------
        columns
            The names that it may use, and the columns that they stand for.
        texts
            The columns that are text: each engine has its own way to write other values as text.

        Raises
        ------
        UnwritableError
            If it is no condition, or has something that the engine cannot say exactly.

        Examples
        --------
        >>> POSTGRESQL.condition(r"regexp_full_match(a, '[\x{a0}]+') AND strlen(a) > 2", {"a": "a"})
        '(REGEXP_LIKE("a", \'^(?:[\\u00a0]+)$\') AND STRLEN("a") > 2)'
        """
        if self is DUCKDB:  # as it is: without the extras for other engines there is no sqlglot
            for name, column in columns.items():
                sql = sql if name == column else sql.replace(f'"{name}"', column)
            return f"({sql})"
        known = {name.casefold(): column for name, column in columns.items()}

        def written(node: Node) -> Node:
            for child in list(node.iter_expressions()):
                child.replace(written(child))
            kind = node.name.lower() if node.key == "anonymous" else node.key
            if kind == "column":
                if node.table or node.name.casefold() not in known:
                    raise UnwritableError(f"the column {node.sql()}{did_you_mean(node.name, known)}")
                return exp.column(exp.to_identifier(known[node.name.casefold()], quoted=True))
            if (kind == "cast" and node.to.sql() in TYPES) or (kind in PLAIN and not node.args.get("query")):
                return node
            if kind == "cast" and node.to.is_type("text") and node.this.key == "column" and node.this.name in texts:
                return node.this
            if kind not in _WRITERS:
                raise UnwritableError(node.sql("duckdb") if kind == "cast" else kind)
            return _WRITERS[kind](node, self)

        try:
            read = exp.Paren(this=sqlglot.parse_one(sql, read="duckdb"))
        except sqlglot.errors.SqlglotError:  # its text has the SQL, and codes of a terminal
            raise UnwritableError("SQL with a syntax error") from None
        return str(written(read).sql(""))

    def pattern(self, regex: str) -> str:
        r"""Return a regular expression of RE2 as the engine writes it; ``$`` is the end of the text alone.

        Raises
        ------
        UnwritableError
            If the engine has no exact counterpart.

        Examples
        --------
        >>> POSTGRESQL.pattern(r"^[\s\x{a0}]+.$"), SPARK.pattern("[[&]$")
        ('^[\\t\\n\\f\\r \\u00a0]+[^\\n]$', '[\\[\\&]\\z')
        """
        found, inside, at, end = "", False, 0, r"\z" if self is SPARK else "$"
        while match := (_RANGE.match(regex, at) if inside and self.posix else None) or _PARTS.match(regex, at):
            part, at = match[0], match.end()
            if part.startswith("[:"):
                raise UnwritableError(f"{part} in a regular expression")
            if match.re is _RANGE:
                found += self._range(part)
            elif part[0] == "\\":
                found += self._escape(part, inside=inside)
            elif not inside:
                found += {".": self._plain(r"[^\n]"), "$": end, "(?:": "(" if self.posix else part}.get(part, part)
                inside = part[0] == "["
            elif part == "]" and found[-1] not in "[^":
                found, inside = found + part, False
            else:
                found += "".join(map(self._member, part))
        return found

    def _member(self, char: str) -> str:
        """Return a character of a set: some engines read a set of sets, and POSIX has no escape in one."""
        if self.posix:
            return char if char in "^-" else self._code(ord(char), inside=True)
        return char if char.isalnum() or char in " -^_" or not char.isascii() else "\\" + char

    def _range(self, part: str) -> str:
        """List the characters of a range: POSIX does not say what lies between two letters."""
        first, last = (int(each.strip("\\x{}"), 16) if each[1:] else ord(each) for each in part.split("-"))
        return "".join(self._code(code, inside=True) for code in range(first, last + 1))

    def _escape(self, part: str, *, inside: bool) -> str:
        kind, rest = part[1], part[2:].strip("{}")
        if kind == "x":
            return self._code(int(rest, 16), inside=inside)
        if not kind.isalnum() and self.posix:
            return self._code(ord(kind), inside=inside)
        if not kind.isalnum() or kind in "tnfr":
            return self._plain(part)
        members = self._plain(_CLASSES.get(kind.lower() if not inside else kind, ""))
        if kind == "p" and rest in _CATEGORIES and not self.posix:
            each = ("-".join(map(self._code, sorted({a, b}))) for a, b in code_points(rest))
            members = f"\\p{{{rest}}}" if self is SPARK else "".join(each)
        if not members:
            raise UnwritableError(f"{part} in a regular expression")
        return members if inside else f"[{'^' if kind.isupper() else ''}{members}]"

    def _plain(self, escaped: str) -> str:
        return escaped.encode().decode("unicode_escape") if self.posix else escaped

    def _code(self, code: int, *, inside: bool = False) -> str:
        char = chr(max(code, 1))  # no text has a NUL
        if self.posix and inside and char in r"^-[]\\":
            raise UnwritableError(f"{char} in a set of a regular expression")
        if self.posix:
            return "\\" * (not inside and char in r".[]\()*+?{}|^$") + char
        if self is SPARK:
            return f"\\x{{{code:x}}}"
        return f"\\u{ord(char):04x}" if code < 0x10000 else f"\\U{code:08x}"


_RANGE = re.compile(r"(?:\\x\{\w+\}|[^\x00-\x7f])-(?:\\x\{\w+\}|[^\x00-\x7f])")
_PARTS = re.compile(r"\\x\{\w+\}|\\x\w\w|\\[pP]\{\w+\}|\\[pP]\w|\\.|\[:\^?\w+:\]|\[\^?|\(\?:|.", re.DOTALL)
_CLASSES = {"s": r"\t\n\f\r ", "d": "0-9", "w": "0-9A-Za-z_"}
_CATEGORIES = frozenset({"L", "M", "N", "Lu", "Ll", "Lt", "Lm", "Lo", "Nd"})


@cache
def code_points(category: str) -> list[tuple[int, int]]:
    """Return the first and last code points of a category of Unicode, for an engine that does not know it.

    Examples
    --------
    >>> code_points("Nd")[0]
    (48, 57)
    """
    codes = (code for code in range(0x110000) if unicodedata.category(chr(code)).startswith(category))
    runs = (list(run) for _, run in groupby(enumerate(codes), key=lambda pair: pair[1] - pair[0]))
    return [(run[0][1], run[-1][1]) for run in runs]


def _call(name: str, *arguments: Node | str) -> Node:
    return exp.Anonymous(this=name, expressions=[exp.Literal.string(a) if isinstance(a, str) else a for a in arguments])


def _regex(node: Node, dialect: Dialect, form: str = "{}") -> str:
    pattern = node.args["expression"]
    if not pattern.is_string or node.args.get("flag") or "(?" in pattern.name.replace("(?:", ""):
        raise UnwritableError("the options of a regular expression")
    if dialect.posix and re.search(r"(?<!\\)[*+?}]\?", pattern.name):
        raise UnwritableError("a quantifier that takes as few as it can, in a regular expression")
    return dialect.pattern(form.format(pattern.name))


def _matches(node: Node, dialect: Dialect, form: str = "{}") -> Node:
    """Write whether a text has a match; where regexp_like looks at the whole text, or is not there, by its place."""
    found = _call("regexp_instr" if dialect.posix else "regexp_like", node.this, _regex(node, dialect, form))
    return exp.Paren(this=exp.LT(this=exp.Literal.number(0), expression=found)) if dialect.posix else found


def _replacing(node: Node, dialect: Dialect) -> Node:
    new, every = node.args["replacement"], node.args.get("modifiers")
    if every is None or every.name != "g" or not new.is_string or set(r"\$") & set(new.name):
        raise UnwritableError("regexp_replace of the first place, or with groups")
    return _call("regexp_replace", node.this, _regex(node, dialect), new, *([every] if dialect is POSTGRESQL else []))


def _lower(node: Node, dialect: Dialect) -> Node:
    """Write DuckDB's lower: letter by letter, while others make two of one, or look at the letters around it."""
    alone = _call("translate", node.this, "İΣ", "iσ")
    if dialect is POSTGRESQL:  # the collation of a column may know the letters of ASCII only
        alone = exp.Collate(this=alone, expression=exp.to_identifier("und-x-icu", quoted=True))
    return _call("lower", alone)


def _at_end(side: str) -> Callable[[Node, Dialect], Node]:
    """Write whether a text begins or ends with another one: no name for that is everywhere."""

    def write(node: Node, _: Dialect) -> Node:
        part = node.args["expression"]
        return exp.Paren(this=exp.EQ(this=_call(side, node.this, _call("length", part)), expression=part))

    return write


def _trim(node: Node, dialect: Dialect) -> Node:
    """Write a trim with the characters that it takes off."""
    taken = node.args.get("expression") or exp.Literal.string(SPACES)
    if not taken.is_string:
        raise UnwritableError("trim of characters that differ by row")
    side = node.args.get("position") or "BOTH"
    if dialect.posix:
        names = {"BOTH": ("rtrim", "ltrim"), "LEADING": ("ltrim",), "TRAILING": ("rtrim",)}[side]
        return reduce(lambda text, name: _call(name, text, taken), names, node.this)
    # As sqlglot would write it, each engine has its own order of the two.
    return exp.Var(this=f"TRIM({side} {taken.sql()} FROM {node.this.sql()})")


def _counted(node: Node, _: Dialect) -> Node:
    """Leave a part of a text as it is: from or to below 1, engines count in ways of their own."""
    if not all(each.is_int and each.to_py() > 0 for each in node.iter_expressions() if each is not node.this):
        raise UnwritableError(f"{node.key} with other places than whole numbers from 1 on")
    return node


def _joined(node: Node, _: Dialect) -> Node:
    """Write texts behind each other without the nulls among them, which concat_ws of some engines makes null of all."""
    between, *texts = node.expressions if node.key == "concatws" else [exp.Literal.string(""), *node.expressions]
    if not between.is_string:
        raise UnwritableError("concat_ws with another separator than a text")
    parts = [_call("coalesce", exp.DPipe(this=between, expression=each), "") for each in texts]
    whole = reduce(lambda left, right: exp.DPipe(this=left, expression=right), parts)
    return _call("substr", whole, exp.Literal.number(len(between.name) + 1))


_WRITERS: dict[str, Callable[[Node, Dialect], Node]] = {
    "regexplike": _matches,
    "regexpfullmatch": lambda node, dialect: _matches(node, dialect, "^(?:{})$"),
    "regexpreplace": _replacing,
    "lower": _lower,
    "startswith": _at_end("left"),
    "endswith": _at_end("right"),
    "contains": lambda node, _: exp.Var(this=f"(0 < POSITION({node.expression.sql()} IN {node.this.sql()}))"),
    "trim": _trim,
    **dict.fromkeys(("left", "right", "substring"), _counted),
    **dict.fromkeys(("concat", "concatws"), _joined),
}
"""How functions of DuckDB that others have otherwise are written, by sqlglot's name for each."""

DUCKDB = Dialect("DuckDB", clock="CAST(epoch(now()) AS BIGINT)")
POSTGRESQL = Dialect(
    "PostgreSQL", collation='{} COLLATE "C"', clock="CAST(extract(epoch FROM clock_timestamp()) AS BIGINT)",
    words={"STRLEN": "octet_length", "DOUBLE": "double precision"},
)  # fmt: skip
SPARK = Dialect(
    "Spark", quote="`", escapes=r"\'", number="monotonically_increasing_id() + 1", clock="unix_timestamp()",
    words={"STRLEN": "octet_length", "VARCHAR": "STRING", "TIMESTAMPTZ": "TIMESTAMP"},
)  # fmt: skip
# The two below are written by their documentation: nobody has run them.
SNOWFLAKE = Dialect(
    "Snowflake", exact=True, escapes="''", posix=True, collation="{} COLLATE 'utf8'",
    words={"STRLEN": "octet_length", "TIMESTAMPTZ": "TIMESTAMP_LTZ(6)"}, number="row_number() OVER (ORDER BY NULL)",
    clock="CAST(date_part(epoch_second, current_timestamp()) AS BIGINT)",
)  # fmt: skip
REDSHIFT = Dialect(
    "Redshift", escapes="''", posix=True, collation="collate({}, 'case_sensitive')",
    words={"STRLEN": "octet_length", "DOUBLE": "double precision", "VARCHAR": "VARCHAR(MAX)"},
    clock="CAST(extract(epoch FROM getdate()) AS BIGINT)",
)  # fmt: skip


def is_query(sql: str) -> bool:
    r"""Return whether a text is a query, and not the name of a table.

    Examples
    --------
    >>> is_query("-- mine\nSELECT 1"), is_query("sales.customers"), is_query("with.parquet")
    (True, False, False)
    """
    query = r"(\s|--[^\n]*\n|/\*.*?\*/)*((select|with|from|values)[\s('\"*]|\()"
    return re.match(query, sql, re.IGNORECASE | re.DOTALL) is not None


def relation_of(sql: str) -> str:
    """Return a table's name, or a query, for ``FROM``; the query may end in a comment."""
    return f"({sql.strip().rstrip(';')}\n)" if is_query(sql) else sql
