"""What an answer says of the rows that were sent: read leniently, nothing accepted by default.

The rules are design.md's *Answers*: in a ``failed`` entry a key outranks an index, and an index counts from 0.
With 2xx, rows that are not named are accepted if every entry was matched to exactly one row; else the request is
split. With 400 or 422, rows that are not named were not taken and are sent again without the named ones; where
none is named, the request is split.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from toolkit.contract import APRIL_2026, CUSTOMER, ID, TIME, Contract

Kind = Literal[
    "taken",  # rows not named are accepted
    "again",  # rows not named were not taken: send them without the named ones
    "split",  # nobody can tell which rows: send the halves
    "retry",  # not taken, for now: the same again
    "lost",  # it left, and no answer can be read: taken or not
    "unauthorized",  # 401, 403
    "nowhere",  # 404
    "stop",  # any other answer that names no row
]
_MESSAGE_LENGTH = 300
_INDEX_WORDS = ("index", "rowindex", "row_index", "rownumber", "row_number", "row", "position", "i")
_ECHO_WORDS = ("row", "data", "record", "payload", "item", "value", "input")
_COLUMN_WORDS = ("column", "columnname", "column_name", "field", "fieldname", "attribute", "attributename", "property")
_EVERYDAY = {c for c in CUSTOMER.names if "_" not in c}
"""Columns whose name, as ``source``, may be any word of a message."""
_ERROR_WORDS = ("error", "errors", "validationerrors", "validation_errors", "failures", "reasons", "reason")


@dataclass(frozen=True)
class Answer:
    """One answer as it came, or that none came.

    Attributes
    ----------
    status
        HTTP status; None where no answer came.
    body
        The body, at most as long as the client reads.
    complete
        Whether the body was read to its end.
    left
        Whether the request may have reached the vendor.
    retry_after
        The header of this name, as it stands.
    problem
        What went wrong on the way, in words; empty for an answer.
    """

    status: int | None
    body: bytes = b""
    complete: bool = True
    left: bool = True
    retry_after: str | None = None
    problem: str = ""


@dataclass(frozen=True)
class Refusal:
    """Why the vendor refused a row: its code (``DI_E_XXXXX``), category and message, the column if it names one."""

    code: str = ""
    category: str = ""
    message: str = ""
    column: str = ""


@dataclass(frozen=True)
class Verdict:
    """What an answer says: of the rows it names (by their place in the request), and of the others.

    Attributes
    ----------
    blamed
        Whether a row is refused only because it was alone in a request that was refused as a whole.
    """

    kind: Kind
    refused: dict[int, Refusal] = field(default_factory=dict)
    message: str = ""
    blamed: bool = False


def read_answer(answer: Answer, keys: Sequence[tuple[str, str]], *, contract: Contract = APRIL_2026) -> Verdict:
    """Read an answer to a request of these rows.

    Parameters
    ----------
    keys
        (customer_id, updated_at as it was sent) of each row, in their order.
    contract
        Which field lists the rows that did not pass, and what an index counts from.

    Examples
    --------
    >>> sent = [("CUST-001", "2025-01-28T10:00:00Z"), ("CUST-002", "2025-01-28T10:00:00Z")]
    >>> read_answer(Answer(200, b'{"failed": [{"index": 1, "code": "DI_E_00002"}]}'), sent).refused
    {1: Refusal(code='DI_E_00002', category='', message='', column='')}
    >>> read_answer(Answer(200, b""), sent).kind
    'lost'
    """
    if answer.status is None:
        return Verdict("lost" if answer.left else "retry", message=answer.problem)
    said = _object(answer)
    message = _spoken(said, answer)
    if 200 <= answer.status < 300:
        return _read_success(said, keys, contract) if said is not None else Verdict("lost", message=message)
    if answer.status in (400, 422):
        return _read_refusal(said, keys, contract, message)
    if answer.status == 413:
        return _blamed(keys, message) or Verdict("split", message=message)
    if answer.status in (401, 403):
        return Verdict("unauthorized", message=message)
    if answer.status == 404:
        return Verdict("nowhere", message=message)
    if answer.status in (408, 425, 429, 503):
        return Verdict("retry", message=message)
    if answer.status >= 500:  # the vendor broke down on it, before or after it wrote
        return Verdict("lost", message=message)
    return Verdict("stop", message=message)


def _read_success(said: dict[str, Any], keys: Sequence[tuple[str, str]], contract: Contract) -> Verdict:
    entries = _lowered(said).get(contract.failed_field)
    if not entries and entries in (None, [], {}, 0, ""):
        return Verdict("taken")
    refused = _matched(entries, keys, contract)
    if refused is not None:
        return Verdict("taken", refused)
    return _unmatched(entries, keys, _first_message(entries))


def _read_refusal(
    said: dict[str, Any] | None, keys: Sequence[tuple[str, str]], contract: Contract, message: str
) -> Verdict:
    entries = _lowered(said or {}).get(contract.failed_field)
    if not entries:
        return _blamed(keys, message) or Verdict("split", message=message)
    refused = _matched(entries, keys, contract)
    return Verdict("again", refused) if refused else _unmatched(entries, keys, _first_message(entries) or message)


def _unmatched(entries: Any, keys: Sequence[tuple[str, str]], message: str) -> Verdict:
    """Read entries that could not each be matched to one row."""
    if len(keys) > 1:
        return Verdict("split", message=message)
    ids = (
        {named for entry in entries if isinstance(entry, dict) for named in _ids(entry)}
        if isinstance(entries, list)
        else set()
    )
    if ids - {customer_id for customer_id, _ in keys}:
        return Verdict("stop", message=f"an entry names a row that was not sent: {message}")
    return Verdict("again", {0: Refusal(message=message)})


def _blamed(keys: Sequence[tuple[str, str]], message: str) -> Verdict | None:
    """With one row in the request, whatever is said may be said of it."""
    return Verdict("again", {0: Refusal(message=message)}, message, blamed=True) if len(keys) == 1 else None


def _matched(entries: Any, keys: Sequence[tuple[str, str]], contract: Contract) -> dict[int, Refusal] | None:
    """Match every entry to exactly one row, or return None."""
    if not isinstance(entries, list):
        return None
    by_key = {key: place for place, key in enumerate(keys)}
    by_id: dict[str, int | None] = {}
    for place, (customer_id, _) in enumerate(keys):
        by_id[customer_id] = None if customer_id in by_id else place
    refused: dict[int, Refusal] = {}
    for entry in entries:
        named = _place(entry, by_key, by_id, len(keys), contract.first_index)
        if named is None:
            return None
        known = refused.get(named)
        new = _refusal(entry)
        refused[named] = (
            new
            if known is None
            else Refusal(
                known.code or new.code,
                known.category or new.category,
                "; ".join(m for m in (known.message, new.message) if m)[:_MESSAGE_LENGTH],
                known.column or new.column,
            )
        )
    return refused


def _place(
    entry: Any, by_key: dict[tuple[str, str], int], by_id: dict[str, int | None], n_rows: int, first_index: int
) -> int | None:
    if isinstance(entry, str):
        return by_id.get(entry)
    if not isinstance(entry, dict):
        return None
    for candidate in _echoes(entry):
        customer_id = candidate.get(ID, candidate.get(ID.replace("_", "")))
        if customer_id is None:
            continue
        # A key that is none of ours must not fall back to an index: the entry is about something else.
        place = by_key.get((str(customer_id), str(candidate.get(TIME))))
        return place if place is not None else by_id.get(str(customer_id))
    lowered = _lowered(entry)
    for word in _INDEX_WORDS:
        index = lowered.get(word)
        if isinstance(index, int) and not isinstance(index, bool) and 0 <= index - first_index < n_rows:
            return index - first_index
    return None


def _ids(entry: dict[Any, Any]) -> Iterator[str]:
    for candidate in _echoes(entry):
        customer_id = candidate.get(ID, candidate.get(ID.replace("_", "")))
        if customer_id is not None:
            yield str(customer_id)


def _echoes(entry: dict[Any, Any]) -> Iterator[dict[str, Any]]:
    lowered = _lowered(entry)
    yield lowered
    for word in (*_ECHO_WORDS, "key", "primarykey", "primary_key"):
        if isinstance(lowered.get(word), dict):
            yield _lowered(lowered[word])


def _refusal(entry: Any) -> Refusal:
    if not isinstance(entry, dict):
        return Refusal(message=_short(entry))
    lowered = _lowered(entry)
    nested = next((n for n in (_dictionary(lowered.get(w)) for w in _ERROR_WORDS) if n), {})
    both = {**nested, **{k: v for k, v in lowered.items() if v is not None}}
    message = both.get("message") or both.get("msg") or both.get("detail") or both.get("description")
    if not message:
        message = next((lowered[w] for w in _ERROR_WORDS if isinstance(lowered.get(w), str | list)), "")
    said = _short(message)
    return Refusal(
        _short(both.get("code") or both.get("errorcode") or both.get("error_code")),
        _short(both.get("category") or both.get("type")),
        said,
        _column(next((both[w] for w in _COLUMN_WORDS if isinstance(both.get(w), str)), ""), said),
    )


def _column(named: str, message: str) -> str:
    """Return the column that an entry names in a field of its own or, where it is the only one, in its message."""
    if named:
        last = named.rpartition(".")[2]  # of a path, as data.3.customer_name
        return next((c for c in CUSTOMER.names if c == last.lower()), _short(last))
    words = set(re.findall(r"\w+", message.lower()))
    found = [c for c in CUSTOMER.names if c in words and c not in _EVERYDAY]
    return found[0] if len(found) == 1 else ""


def _dictionary(value: Any) -> dict[str, Any]:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        value = value[0]
    return _lowered(value) if isinstance(value, dict) else {}


def _object(answer: Answer) -> dict[str, Any] | None:
    if not answer.complete:
        return None
    try:
        said = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _spoken(said: dict[str, Any] | None, answer: Answer) -> str:
    if said is None:
        return answer.problem or f"HTTP {answer.status}, with no readable answer"
    refusal = _refusal(said)
    words = " ".join(w for w in (refusal.code, refusal.message) if w)
    return f"HTTP {answer.status}" + (f": {words}" if words else "")


def _first_message(entries: Any) -> str:
    if isinstance(entries, list) and entries:
        refusal = _refusal(entries[0])
        return " ".join(w for w in (refusal.code, refusal.message) if w)
    return _short(entries)


def _short(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        value = "; ".join(_refusal(v).message if isinstance(v, dict) else str(v) for v in value)
    return " ".join(str(value).split())[:_MESSAGE_LENGTH]


def _lowered(entry: dict[Any, Any]) -> dict[str, Any]:
    return {str(k).lower(): v for k, v in entry.items()}
