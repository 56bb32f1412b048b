"""Rules to SQL: what a pandera schema and a `Rule` say of a row, as a condition that holds where the row fails.

pandera stays the one source of rules. What has no exact counterpart in SQL is refused by name, never skipped.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from re import _constants, _parser  # type: ignore[attr-defined]  # Python's own parser, which pandas reads too
from typing import Any

import pandas as pd
import pandera.pandas as pa
from pandera.api.function_dispatch import Dispatcher

from toolkit.engine import quoted, text
from toolkit.errors import InputError
from toolkit.model import (
    CUSTOMER,
    ID,
    NOT_A_TIME,
    TIME,
    TOO_LARGE,
    UNIQUE,
    Contract,
    is_oversized,
    max_row_bytes,
    reason,
    schema_for,
    too_large,
)
from toolkit.quality.rules import Rule

_SETS: dict[Any, tuple[Callable[[str], bool], bool]] = {
    _constants.CATEGORY_DIGIT: (str.isdecimal, False),
    _constants.CATEGORY_NOT_DIGIT: (str.isdecimal, True),
    _constants.CATEGORY_SPACE: (str.isspace, False),
    _constants.CATEGORY_NOT_SPACE: (str.isspace, True),
    _constants.CATEGORY_WORD: (lambda c: c.isalnum() or c == "_", False),
    _constants.CATEGORY_NOT_WORD: (lambda c: c.isalnum() or c == "_", True),
}


def to_re2(pattern: str | re.Pattern[str]) -> str:
    r"""Return a pattern of Python's as one of RE2's, in a group of its own.

    Raises
    ------
    ValueError
        If it takes what RE2 has not: look-arounds, back-references, word boundaries, flags.

    Examples
    --------
    >>> to_re2("C[0-9]{5}$")
    '(?:C(?:[0-9]){5,5}(?:\\n?\\z))'
    """
    text, flags = (pattern, 0) if isinstance(pattern, str) else (pattern.pattern, pattern.flags)
    tree = _parser.parse(text, flags)
    if (tree.state.flags & ~(re.VERBOSE | re.UNICODE)) != 0:
        raise ValueError("has flags, which SQL does not know: write the letters out, as [Aa]")
    return _sequence(tree, last=True)


def _sequence(tree: Iterable[Any], *, last: bool) -> str:
    items = list(tree)
    said = (_item(op, value, last=last and i == len(items) - 1) for i, (op, value) in enumerate(items))
    return f"(?:{''.join(said)})"


def _item(op: Any, value: Any, *, last: bool) -> str:
    match str(op):
        case "LITERAL":
            return _letter(value)
        case "NOT_LITERAL":
            return f"[^{_letter(value)}]"
        case "ANY":
            return r"[^\n]"
        case "IN":
            return _set(value)
        case "BRANCH":
            return f"(?:{'|'.join(_sequence(branch, last=last) for branch in value[1])})"
        case "SUBPATTERN" if not value[1] and not value[2]:
            return _sequence(value[3], last=last)
        case "MAX_REPEAT" | "MIN_REPEAT":
            least, most, what = value
            upper = "" if most is _constants.MAXREPEAT else most
            return f"{_sequence(what, last=False)}{{{least},{upper}}}"
        case "AT":
            return _place(value, last=last)
    raise ValueError("looks around, refers back or has other means that SQL does not know")


def _place(value: Any, *, last: bool) -> str:
    match str(value):
        case "AT_BEGINNING" | "AT_BEGINNING_STRING":
            return r"\A"
        case "AT_END_STRING":
            return r"\z"
        case "AT_END" if last:
            return r"(?:\n?\z)"
        case "AT_END":
            raise ValueError("goes on after a $, which SQL does not know")
    raise ValueError(r"asks for the boundary of a word (\b), which SQL does not know")


def _set(members: Iterable[Any]) -> str:
    inside, negated = [], ""
    for op, value in members:
        match str(op):
            case "NEGATE":
                negated = "^"
            case "LITERAL":
                inside.append(_letter(value))
            case "RANGE":
                inside.append(f"{_letter(value[0])}-{_letter(value[1])}")
            case _:
                inside.append(_ranges(*_SETS[value]))
    return f"[{negated}{''.join(inside)}]"


def _letter(code: int) -> str:
    return chr(code) if chr(code).isascii() and chr(code).isalnum() else f"\\x{{{code:x}}}"


@cache
def _ranges(holds: Callable[[str], bool], negated: bool) -> str:
    """List the characters of a set, surrogates left out: no text holds one."""
    codes = [c for c in range(sys.maxunicode + 1) if not 0xD800 <= c < 0xE000 and holds(chr(c)) != negated]
    starts = [c for before, c in zip([-2, *codes], codes, strict=False) if c != before + 1]
    ends = [c for c, after in zip(codes, [*codes[1:], -2], strict=True) if after != c + 1]
    return "".join(f"{_letter(a)}-{_letter(b)}" for a, b in zip(starts, ends, strict=True))


STATED = "stated_"
"""Column of ``rows_``: the text of a cell of ``updated_at`` that did not parse."""

_TEXT, _MOMENT = "string", "datetime"
_KINDS = {"string[pyarrow]": _TEXT, "string[python]": _TEXT, "str": _TEXT, "datetime64[us, UTC]": _MOMENT}
_COMPARISONS = {
    "equal_to": ("=", "value"),
    "not_equal_to": ("<>", "value"),
    "greater_than": (">", "min_value"),
    "greater_than_or_equal_to": (">=", "min_value"),
    "less_than": ("<", "max_value"),
    "less_than_or_equal_to": ("<=", "max_value"),
}
_TRUE_OF_NULL = ("not_equal_to", "notin")


@dataclass(frozen=True)
class Condition:
    """One rule as SQL.

    Attributes
    ----------
    column, check, reason
        What a failure is told with, as `validate` tells it.
    sql
        True where a row of ``rows_`` fails; empty where it takes a query of its own to see.
    """

    column: str
    check: str
    reason: str
    sql: str


def compile_contract(contract: Contract) -> list[Condition]:
    """Return all that the contract forbids, in the order in which `validate` tells it.

    Examples
    --------
    >>> [c.reason for c in compile_contract(Contract.named("2026-04"))][1:3]
    ['customer_id is empty', 'updated_at is empty']
    """
    found = compile_schema(schema_for(contract))
    # A time that did not parse is there, though it is no time.
    found = [_stated(c) if (c.column, c.check) == (TIME, "not_nullable") else c for c in found]
    return [
        *found,
        Condition(TIME, NOT_A_TIME, reason(NOT_A_TIME, TIME), f"{STATED} IS NOT NULL"),
        Condition(ID, TOO_LARGE, too_large(contract), is_oversized(max_row_bytes(contract))),
    ]


def _stated(condition: Condition) -> Condition:
    return Condition(condition.column, condition.check, condition.reason, f"{condition.sql} AND {STATED} IS NULL")


def compile_schema(schema: pa.DataFrameSchema) -> list[Condition]:
    """Return what a pandera schema forbids, one condition a column and check.

    Raises
    ------
    InputError
        If the schema says something that has no counterpart in SQL.
    """
    settings = ("checks", "parsers", "index", "coerce", "strict", "ordered", "drop_invalid_rows", "dtype",
                "add_missing_columns", "unique_column_names")  # fmt: skip
    _require_plain(schema, settings, "The schema")
    found = [Condition(ID, UNIQUE, reason(UNIQUE, ID), _twice(list(schema.unique)))] if schema.unique else []
    for name, column in schema.columns.items():
        _require_plain(column, ("parsers", "coerce", "regex", "drop_invalid_rows"), f"The column {name}")
        kind = _KINDS.get(str(column.dtype))
        if kind is None or column.default is not None:
            what = f"of type {column.dtype}" if kind is None else "with a default"
            raise InputError(f"A column {what} cannot be checked in a scan: {name}. Use read_customers and validate.")
        checks = [(c.error or c.name, f"NOT {compile_check(c, name, kind)}") for c in column.checks]
        if column.unique:
            checks.insert(0, ("field_uniqueness", _twice([name])))
        if not column.nullable:
            checks.insert(0, ("not_nullable", f"{quoted(name)} IS NULL"))
        found += [Condition(name, check, reason(check, name), sql) for check, sql in checks]
    return found


def _require_plain(schema: Any, settings: tuple[str, ...], what: str) -> None:
    for setting in settings:
        if getattr(schema, setting):
            raise InputError(f"{what} has {setting}, which a scan cannot check. Use read_customers and validate.")
    if schema.report_duplicates != "all":
        raise InputError(f"{what} reports some duplicates only: a scan reports all of them.")


def _twice(columns: list[str]) -> str:
    # Nulls are no key; within a ROW they would be equal.
    known = " AND ".join(f"{quoted(c)} IS NOT NULL" for c in columns)
    key = quoted(*columns) if len(columns) == 1 else f"ROW({quoted(*columns)})"
    twice = f"SELECT {key} FROM rows_ WHERE {known} GROUP BY {quoted(*columns)} HAVING count(*) > 1"
    return f"({known} AND {key} IN ({twice}))"


def compile_rule(rule: Rule, now: pd.Timestamp) -> Condition:
    """Return a rule as a condition; one that takes several rows to see has no SQL in it.

    Raises
    ------
    InputError
        If its check has no counterpart in SQL.
    """
    sql = ""
    if rule.where:
        sql = f"coalesce(({rule.filled(rule.where, now)}), false)"
    elif rule.check is not None:
        try:
            sql = f"NOT {compile_check(rule.check, rule.column, CUSTOMER.column(rule.column).kind)}"
        except InputError as error:
            raise InputError(
                f"The rule {rule.name} cannot run in a scan: {error} Write it with where=, leave it out with "
                f"choose_rules(without=[{rule.name!r}]), or use read_customers and validate."
            ) from None
    return Condition(rule.column, rule.name, rule.reason, sql)


def compile_check(check: pa.Check, column: str, kind: str) -> str:
    """Return a built-in pandera check as SQL that is true or false, also of a null cell.

    Raises
    ------
    InputError
        If it is a function of its own, or says something that SQL cannot.
    """
    name = getattr(check._check_fn, "__name__", "")
    compiled = _CHECKS.get(name)
    if compiled is None or not isinstance(check._check_fn, Dispatcher):  # pandera's own function, not one of its name
        raise InputError(f"The check {check.name} of {column} is a function in Python, which SQL does not know.")
    odd = {"element_wise": check.element_wise, "groupby": check.groupby, "raise_warning": check.raise_warning,
           "n_failure_cases": check.n_failure_cases}  # fmt: skip
    if said := [option for option, value in odd.items() if value]:
        raise InputError(f"The check {check.name} of {column} has {' and '.join(said)}, which SQL does not know.")
    try:
        sql = compiled(name, quoted(column), check._check_kwargs, kind)
    except _UnknownError as error:
        raise InputError(f"The check {check.name} of {column} {error}.") from None
    of_null = check.ignore_na or name in _TRUE_OF_NULL
    return f"coalesce(({sql}), {str(of_null).lower()})"


class _UnknownError(Exception):
    """What SQL does not know of a check."""


def _literal(value: Any, kind: str) -> str:
    if kind == _TEXT and isinstance(value, str):
        return text(value)
    if kind == _MOMENT and isinstance(value, datetime):
        moment = pd.Timestamp(value)
        if moment.tzinfo is None:
            raise _UnknownError("compares with a time that names no zone")
        if moment.nanosecond:
            raise _UnknownError("compares with a time finer than a microsecond")
        return f"TIMESTAMPTZ '{moment.tz_convert('UTC').isoformat()}'"
    raise _UnknownError(f"compares with a {type(value).__name__}, which is no {kind}")


def _compared(name: str, cell: str, given: Mapping[str, Any], kind: str) -> str:
    sign, argument = _COMPARISONS[name]
    return f"{cell} {sign} {_literal(given[argument], kind)}"


def _in_range(_: str, cell: str, given: Mapping[str, Any], kind: str) -> str:
    least = f"{cell} {'>=' if given['include_min'] else '>'} {_literal(given['min_value'], kind)}"
    return f"{least} AND {cell} {'<=' if given['include_max'] else '<'} {_literal(given['max_value'], kind)}"


def _listed(name: str, cell: str, given: Mapping[str, Any], kind: str) -> str:
    values = given["allowed_values" if name == "isin" else "forbidden_values"]
    listed = ", ".join(sorted(_literal(value, kind) for value in values))
    held = f"{cell} IN ({listed})" if listed else f"{cell} IS NULL"
    return held if name == "isin" else f"NOT ({held})"


def _matched(name: str, cell: str, given: Mapping[str, Any], kind: str) -> str:
    _require_text(kind)
    try:
        pattern = to_re2(given["pattern"])
    except ValueError as error:
        raise _UnknownError(str(error)) from None
    return f"regexp_matches({cell}, {text(f'^{pattern}' if name == 'str_matches' else pattern)})"


def _ended(name: str, cell: str, given: Mapping[str, Any], kind: str) -> str:
    _require_text(kind)
    end = "starts_with" if name == "str_startswith" else "ends_with"
    return f"{end}({cell}, {_literal(given['string'], kind)})"


def _long(_: str, cell: str, given: Mapping[str, Any], kind: str) -> str:
    _require_text(kind)
    if (exact := given.get("exact_value")) is not None:
        return f"length({cell}) = {int(exact)}"
    bounds = [(">=", given.get("min_value")), ("<=", given.get("max_value"))]
    return " AND ".join(f"length({cell}) {sign} {int(n)}" for sign, n in bounds if n is not None)


def _require_text(kind: str) -> None:
    if kind != _TEXT:
        raise _UnknownError(f"is for text, and the column holds a {kind}")


_Compile = Callable[[str, str, Mapping[str, Any], str], str]
_CHECKS: dict[str, _Compile] = {
    **dict.fromkeys(_COMPARISONS, _compared),
    "in_range": _in_range,
    **dict.fromkeys(("isin", "notin"), _listed),
    **dict.fromkeys(("str_matches", "str_contains"), _matched),
    **dict.fromkeys(("str_startswith", "str_endswith"), _ended),
    "str_length": _long,
}
