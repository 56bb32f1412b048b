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
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
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
     "datatype"}
)  # fmt: skip
"""What a condition is written with that every engine reads alike, in sqlglot's words."""
TYPES = frozenset({"VARCHAR", "TEXT", "BIGINT", "INT", "DOUBLE", "TIMESTAMPTZ", "DATE", "BOOLEAN"})
Node = Any  # sqlglot's Expression: what it has depends on its kind
_TOKEN = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|(?<![.\w])[A-Za-z_]\w*""")


class UnwritableError(InputError):
    """A condition that an engine cannot say exactly; the text names what it cannot say."""


@dataclass(frozen=True)
class Dialect:
    """How an engine spells what the portable subset says.

    Attributes
    ----------
    quote
        The character around names.
    escapes
        Whether a backslash is an escape in a text.
    words
        Words of the subset that the engine spells otherwise: types, and the length in bytes.
    collation
        What follows a text so that it is compared by its code points.
    clock
        The engine's own time, in seconds since 1970.
    """

    name: str
    quote: str = '"'
    escapes: bool = False
    words: Mapping[str, str] = field(default_factory=dict)
    collation: str = ""
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
            token = found[0]
            if token[0] == "'" and self.escapes:
                return "'" + token[1:-1].replace("\\", r"\\").replace("''", r"\'") + "'"
            if token[0] == '"':
                return self.quote + token[1:-1].replace('""', '"').replace(self.quote, self.quote * 2) + self.quote
            return names.get(token) or self.words.get(token.upper(), token)

        return _TOKEN.sub(spelled, sql)

    def text(self, sql: str) -> str:
        """Return an expression as text that is compared by its code points."""
        return f"CAST({sql} AS VARCHAR){self.collation}"

    def condition(self, sql: str, columns: Iterable[str]) -> str:
        r"""Return a condition on one row, written in DuckDB's SQL, in the portable subset with the engine's functions.

        Raises
        ------
        UnwritableError
            If it has something that the engine cannot say exactly.

        Examples
        --------
        >>> POSTGRESQL.condition(r"regexp_full_match(a, '[\x{a0}]+') AND strlen(a) > 2", ["a"])
        '(REGEXP_LIKE("a", \'^(?:[\\u00a0]+)$\') AND STRLEN("a") > 2)'
        """
        if self is DUCKDB:
            return sql
        known = {c.casefold(): c for c in columns}

        def written(node: Node) -> Node:
            kind = node.key
            for child in list(node.iter_expressions()):
                child.replace(written(child))
            if kind == "column":
                name = known.get(node.name.casefold())
                if name is None or node.table:
                    raise UnwritableError(f"the column {node.sql()}{did_you_mean(node.name, known) or ''}")
                return exp.column(exp.to_identifier(name, quoted=True))
            if kind in PLAIN and not (kind == "in" and node.args.get("query")):
                return node
            if kind == "cast" and node.to.sql() in TYPES:
                return node
            name = node.name.lower() if kind == "anonymous" else kind
            if name not in _FUNCTIONS or kind == "select":
                raise UnwritableError(node.sql_name() if isinstance(node, exp.Func) and kind != "anonymous" else name)
            return _FUNCTIONS[name](node, self)

        return str(written(exp.Paren(this=sqlglot.parse_one(sql, read="duckdb"))).sql())

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
        if "(?" in regex.replace("(?:", ""):
            raise UnwritableError(f"the options of the regular expression {regex!r}")
        found, inside, at = "", False, 0
        for token in _PARTS.finditer(regex):
            part = token[0]
            if token.start() != at:
                raise UnwritableError(f"the regular expression {regex!r}")
            at = token.end()
            if inside and part == "]" and found[-1] != "[":
                inside = False
                found += part
            elif not inside and part[0] == "[":
                inside = True
                found += part
            elif part[0] == "\\":
                found += self._escape(part, regex, inside=inside)
            elif inside:
                found += part if part.isalnum() or part in " -^_" or not part.isascii() else _literal(part)
            else:
                found += {".": r"[^\n]", "$": r"\z" if self is SPARK else "$"}.get(part, part)
        return found

    def _escape(self, part: str, regex: str, *, inside: bool) -> str:
        kind, rest = part[1], part[2:].strip("{}")
        if kind == "x":
            return self._code(int(rest, 16))
        if kind in _CLASSES:
            return _CLASSES[kind] if inside else f"[{_CLASSES[kind]}]"
        if kind in "SDW" and not inside:
            return f"[^{_CLASSES[kind.lower()]}]"
        if kind == "p" and (rest or kind) in _CATEGORIES:
            own = f"\\p{{{rest}}}" if self is SPARK else "".join(
                self._code(a) + ("" if a == b else "-" + self._code(b)) for a, b in ranges(rest)
            )  # fmt: skip
            return own if inside else f"[{own}]"
        if kind == "z" and not inside:
            return r"\z" if self is SPARK else "$"
        if kind in "tnfr" or not kind.isalnum():
            return part
        raise UnwritableError(f"{part} in the regular expression {regex!r}")

    def _code(self, code: int) -> str:
        if self is SPARK:
            return f"\\x{{{code:x}}}"
        return f"\\u{max(code, 1):04x}" if code < 0x10000 else f"\\U{code:08x}"  # it has no text with a NUL


_PARTS = re.compile(r"\\x\{[0-9a-fA-F]+\}|\\x[0-9a-fA-F]{2}|\\[pP]\{\w+\}|\\[pP]\w|\\.|\[\^?|.", re.DOTALL)
_CLASSES = {"s": r"\t\n\f\r ", "d": "0-9", "w": "0-9A-Za-z_"}
_CATEGORIES = frozenset({"L", "M", "N", "Lu", "Ll", "Lt", "Lm", "Lo", "Nd"})


def _literal(part: str) -> str:
    return {"\t": r"\t", "\n": r"\n", "\f": r"\f", "\r": r"\r"}.get(part, "\\" + part)


@cache
def ranges(category: str) -> tuple[tuple[int, int], ...]:
    """Return the first and last code points of a category of Unicode, for an engine that does not know it.

    Examples
    --------
    >>> ranges("Nd")[0]
    (48, 57)
    """
    found, start = list[tuple[int, int]](), None
    for code in range(0x110001):
        of_it = code < 0x110000 and unicodedata.category(chr(code)).startswith(category)
        if of_it and start is None:
            start = code
        elif not of_it and start is not None:
            found.append((start, code - 1))
            start = None
    return tuple(found)


Writer = Callable[[Node, Dialect], Node]


def _function(name: str, *parts: str) -> Writer:
    """Write a function with the same meaning everywhere, under one name."""
    return lambda node, _: exp.Anonymous(this=name, expressions=_arguments(node, *parts))


def _arguments(node: Node, *parts: str) -> list[Node]:
    given = [node.args[p] for p in parts if node.args.get(p) is not None] if parts else node.expressions
    known = {*parts, "expressions"} if parts else {"expressions", "this"}
    if extra := [k for k, v in node.args.items() if v and k not in known and k not in ("safe", "coalesce", "dialect")]:
        raise UnwritableError(f"{node.sql_name()} with {extra[0]}")
    return given


def _regex(node: Node, dialect: Dialect, form: str = "{}") -> Node:
    if not node.is_string:
        raise UnwritableError("a regular expression that is no text")
    return exp.Literal.string(dialect.pattern(form.format(node.name)))


def _matching(form: str) -> Writer:
    def write(node: Node, dialect: Dialect) -> Node:
        cell, regex = _arguments(node, "this", "expression")
        return exp.Anonymous(this="regexp_like", expressions=[cell, _regex(regex, dialect, form)])

    return write


def _replacing(node: Node, dialect: Dialect) -> Node:
    cell, regex, new, every = (node.args.get(p) for p in ("this", "expression", "replacement", "modifiers"))
    if every is None or every.name != "g" or new is None or not new.is_string or set(r"\$") & set(new.name):
        raise UnwritableError("regexp_replace of the first place, or with groups")
    more = [] if dialect is SPARK else [every]  # which replaces every place
    return exp.Anonymous(this="regexp_replace", expressions=[cell, _regex(regex, dialect), new, *more])


def _lower(node: Node, dialect: Dialect) -> Node:
    """Write DuckDB's lower: letter by letter, while others make two of one, or look at the letters around it."""
    alone: Node = exp.Anonymous(this="translate", expressions=[node.this, *map(exp.Literal.string, ("İΣ", "iσ"))])
    if dialect is POSTGRESQL:  # the collation of a column may know the letters of ASCII only
        alone = exp.Collate(this=alone, expression=exp.to_identifier("und-x-icu", quoted=True))
    return exp.Anonymous(this="lower", expressions=[alone])


def _at_end(side: str) -> Writer:
    def write(node: Node, _: Dialect) -> Node:
        cell, part = _arguments(node, "this", "expression")
        if not part.is_string:
            raise UnwritableError(f"{node.sql_name()} with another column")
        start = exp.Anonymous(this=side, expressions=[cell, exp.Literal.number(len(part.name))])
        return exp.Paren(this=exp.EQ(this=start, expression=part))

    return write


def _contains(node: Node, dialect: Dialect) -> Node:
    cell, part = _arguments(node, "this", "expression")
    place = exp.Anonymous(this="strpos" if dialect is POSTGRESQL else "instr", expressions=[cell, part])
    return exp.Paren(this=exp.GT(this=place, expression=exp.Literal.number(0)))


def _trim(node: Node, _: Dialect) -> Node:
    if node.args.get("position") or node.args.get("expression"):
        raise UnwritableError("trim of one side, or of other characters than spaces")
    return exp.Anonymous(this="trim", expressions=[node.this])


def _chr(node: Node, dialect: Dialect) -> Node:
    if dialect is POSTGRESQL and node.expressions[0].name == "0":
        raise UnwritableError("a text with a NUL")
    return exp.Anonymous(this="chr", expressions=node.expressions)


_FUNCTIONS: dict[str, Writer] = {
    "regexplike": _matching("{}"),
    "regexpfullmatch": _matching("^(?:{})$"),
    "regexpreplace": _replacing,
    "lower": _lower,
    "startswith": _at_end("left"),
    "endswith": _at_end("right"),
    "contains": _contains,
    "trim": _trim,
    "chr": _chr,
    "strlen": _function("strlen"),
    "length": _function("length", "this"),
    "concatws": _function("concat_ws"),
    "translate": _function("translate", "this", "from_", "to"),
    "replace": _function("replace", "this", "expression", "replacement"),
    "left": _function("left", "this", "expression"),
    "right": _function("right", "this", "expression"),
    "substring": _function("substr", "this", "start", "length"),
}
"""How DuckDB's functions are written, by sqlglot's name for each."""

DUCKDB = Dialect("DuckDB", clock="CAST(epoch(now()) AS BIGINT)")
POSTGRESQL = Dialect(
    "PostgreSQL",
    words={"STRLEN": "octet_length", "DOUBLE": "double precision"},
    collation=' COLLATE "C"',
    clock="CAST(extract(epoch FROM clock_timestamp()) AS BIGINT)",
)
SPARK = Dialect(
    "Spark",
    quote="`",
    escapes=True,
    words={"STRLEN": "octet_length", "VARCHAR": "STRING", "TEXT": "STRING", "TIMESTAMPTZ": "TIMESTAMP"},
    clock="unix_timestamp()",
)
