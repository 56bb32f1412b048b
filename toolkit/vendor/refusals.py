"""Which row an entry of an answer is about, and what it says: read leniently, matched strictly."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from toolkit.model import CUSTOMER, ID, TIME, Contract

_MESSAGE_LENGTH = 300
_INDEX_WORDS = ("index", "rowindex", "row_index", "rownumber", "row_number", "row", "position", "i")
_ECHO_WORDS = ("row", "data", "record", "payload", "item", "value", "input")
_KEY_WORDS = ("key", "primarykey", "primary_key")
_JOINED = re.compile(r"(.+?)[\W_]{1,3}(\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*)", re.DOTALL)
"""A key in one text, such as ``CUST-001|2025-01-28T10:00:00Z``."""
_COLUMN_WORDS = ("column", "columnname", "column_name", "field", "fieldname", "attribute", "attributename", "property")
_ORDINARY = {c for c in CUSTOMER.names if "_" not in c}
"""Columns whose name, such as ``source``, may be any word of a message."""
_ERROR_WORDS = ("error", "errors", "validationerrors", "validation_errors", "failures", "reasons", "reason")
_MESSAGE_WORDS = ("message", "msg", "detail", "description")

Key = tuple[str, str]


@dataclass(frozen=True)
class Remark:
    """Why the vendor refused a row, or what it warns of: code (``DI_E_XXXXX``), category, message, column if named."""

    code: str = ""
    category: str = ""
    message: str = ""
    column: str = ""


def matched(
    entries: Any, keys: Sequence[Key], contract: Contract, *, warnings: bool = False
) -> dict[int, Remark] | None:
    """Match every entry to exactly one row, or return None.

    Of `warnings`, one that names no row is about each row of the request.
    """
    if not isinstance(entries, list):
        return None
    by_key = {key: place for place, key in enumerate(keys)}
    by_id: dict[str, list[int]] = {}
    for place, (customer_id, _) in enumerate(keys):
        by_id.setdefault(customer_id, []).append(place)
    found: dict[int, list[Remark]] = defaultdict(list)
    about_all: list[Remark] = []
    for entry in entries:
        row = _place(entry, keys, by_key, by_id, contract.first_index)
        said = remark_of(entry)
        if row is not None:
            found[row].append(Remark(message="no reason given") if warnings and said == Remark() else said)
        elif not warnings or _names_a_row(entry, len(keys)):
            return None
        else:
            about_all.append(said)
    if (common := _joined(about_all)) != Remark():
        for row in range(len(keys)):
            found[row].append(common)
    return {row: _joined(remarks) for row, remarks in found.items()}


def _joined(said: Sequence[Remark]) -> Remark:
    """Return several remarks as one: the first code, category and column, and every message."""
    code, category, column = (next(filter(None, (getattr(r, part) for r in said)), "")
                              for part in ("code", "category", "column"))  # fmt: skip
    return Remark(code, category, short("; ".join(dict.fromkeys(r.message for r in said if r.message))), column)


def _names_a_row(entry: Any, n_rows: int) -> bool:
    """Return whether an entry that matched no row names one; beside a row that was sent alone, an index does not."""
    if not isinstance(entry, dict) or named_key(entry):
        return isinstance(entry, dict)
    lowered = lowered_names(entry)
    return n_rows > 1 and any(lowered.get(word) is not None for word in (*_KEY_WORDS, *_INDEX_WORDS))


def _place(
    entry: Any, keys: Sequence[Key], by_key: dict[Key, int], by_id: dict[str, list[int]], first_index: int
) -> int | None:
    if isinstance(entry, str):
        return _only(by_id.get(entry, []))
    if not isinstance(entry, dict):
        return None
    if key := named_key(entry):
        # With a key that was not sent, the index must not count: the entry is about something else.
        customer_id, time = key
        if key in by_key:
            return by_key[key]
        return _only([p for p in by_id.get(customer_id, []) if not time or same_moment(time, keys[p][1])])
    lowered = lowered_names(entry)
    if any(lowered.get(word) is not None for word in _KEY_WORDS):  # likewise with a key that cannot be read
        return None
    # If two differ, it is not clear which one counts from what, or whether one of them counts rows at all.
    indices = {
        _index(lowered[word])
        for word in _INDEX_WORDS
        if lowered.get(word) is not None and not (word in _ECHO_WORDS and isinstance(lowered[word], dict))
    }
    index = indices.pop() if len(indices) == 1 else None
    if index is None or not 0 <= index - first_index < len(keys):
        return None
    place = index - first_index
    said = _key_of(lowered.get("id"))  # may be the entry's own, so it names no row; but another row's contradicts
    return place if said is None or place in by_id.get(said[0], [place]) else None


def _index(value: Any) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _only(places: list[int]) -> int | None:
    return places[0] if len(places) == 1 else None


def named_key(entry: dict[Any, Any]) -> Key | None:
    """Return the key that an entry names, sent or not; the time is empty if it names none.

    Examples
    --------
    >>> named_key({"index": 1, "key": "CUST-001"})
    ('CUST-001', '')
    >>> named_key({"index": 1, "row": {"CUSTOMER_ID": "CUST-001", "UPDATED_AT": "2025-01-28T10:00:00Z"}})
    ('CUST-001', '2025-01-28T10:00:00Z')
    """
    lowered = lowered_names(entry)
    echoed = (_key_of_row(said) for said in (lowered, *(lowered.get(word) for word in _ECHO_WORDS)))
    named = (_key_of(lowered.get(word)) for word in _KEY_WORDS)
    return next((key for key in (*echoed, *named) if key), None)


def _key_of_row(said: Any) -> Key | None:
    if not isinstance(said, dict):
        return None
    lowered = lowered_names(said)
    customer_id, time = (lowered.get(name, lowered.get(name.replace("_", ""))) for name in (ID, TIME))
    return None if customer_id is None else (str(customer_id), "" if time is None else str(time))


def _key_of(said: Any) -> Key | None:
    """Read the value of a word for the key: an object, the id, or the id and the time as a list or one text."""
    if isinstance(said, dict):
        return _key_of_row(said) or _key_of_row({**said, ID: lowered_names(said).get("id")})
    parts = said if isinstance(said, list) else [said]
    if not 1 <= len(parts) <= 2 or not all(isinstance(p, str | int) and not isinstance(p, bool) for p in parts):
        return None
    if len(parts) == 1 and (joined := _JOINED.fullmatch(str(parts[0]))):
        return joined[1], joined[2]
    return str(parts[0]), "".join(map(str, parts[1:]))


def same_moment(one: str, other: str) -> bool:
    """Return whether two texts are the same moment, with or without fractions, a T, or a zone (UTC if it is missing).

    Examples
    --------
    >>> same_moment("2025-01-28T10:00:00Z", "2025-01-28 11:00:00.000+01:00")
    True
    """
    try:
        first, second = (datetime.fromisoformat(text) for text in (one, other))
    except ValueError:
        return False
    return first.replace(tzinfo=first.tzinfo or UTC) == second.replace(tzinfo=second.tzinfo or UTC)


def remark_of(entry: Any) -> Remark:
    """Return what an entry says about its row."""
    if not isinstance(entry, dict):
        return Remark(message=short(entry))
    lowered = lowered_names(entry)
    nested = next(iter(errors_of(entry)), {})
    both = {**nested, **{k: v for k, v in lowered.items() if v is not None}}
    message = next((both[w] for w in _MESSAGE_WORDS if both.get(w)), None) or next(
        (lowered[w] for w in _ERROR_WORDS if isinstance(lowered.get(w), str | list)), ""
    )
    return Remark(
        short(both.get("code") or both.get("errorcode") or both.get("error_code")),
        short(both.get("category") or both.get("type")),
        short(message),
        _column(next((both[w] for w in _COLUMN_WORDS if isinstance(both.get(w), str)), ""), short(message)),
    )


def _column(named: str, message: str) -> str:
    """Return the column that an entry names in a field of its own or, if it is the only one, in its message."""
    if named:
        return short(named.rpartition(".")[2].lower())  # the last part of a path such as data.3.CUSTOMER_NAME
    words = set(re.findall(r"\w+", message.lower()))
    found = [c for c in CUSTOMER.names if c in words and c not in _ORDINARY]
    return found[0] if len(found) == 1 else ""


def errors_of(entry: dict[Any, Any]) -> list[dict[str, Any]]:
    """Return the objects that an entry has as its errors."""
    lowered = lowered_names(entry)
    values = [lowered.get(word) for word in _ERROR_WORDS]
    listed = [each for value in values for each in (value if isinstance(value, list) else [value])]
    return [lowered_names(each) for each in listed if isinstance(each, dict) and each]


def first_message(entries: Any) -> str:
    """Return what the first entry says, in words."""
    if isinstance(entries, list) and entries:
        refusal = remark_of(entries[0])
        return short(" ".join(w for w in (refusal.code, refusal.message) if w))
    return short(entries)


def short(value: Any) -> str:
    """Return a value as one line of text that can be shown and stored."""
    if value is None:
        return ""
    if isinstance(value, list):
        value = "; ".join(remark_of(v).message if isinstance(v, dict) else str(v) for v in value)
    # A character that does not print might control a terminal, and half a surrogate pair cannot be stored.
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(str(value).split()))
    return text[:_MESSAGE_LENGTH]


def lowered_names(entry: dict[Any, Any]) -> dict[str, Any]:
    """Return the members of an object by their names in lower case."""
    return {str(k).lower(): v for k, v in entry.items()}


def objects_in(said: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every object of an answer, at any depth, with the name that it has there; names are in lower case."""
    waiting: deque[tuple[str, Any]] = deque([("", said)])
    while waiting:
        name, value = waiting.popleft()
        if isinstance(value, dict):
            lowered = lowered_names(value)
            yield name, lowered
            waiting += lowered.items()
        elif isinstance(value, list):
            waiting += [("", v) for v in value]
