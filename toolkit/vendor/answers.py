"""What an answer says about the rows that were sent: read leniently, and nothing is accepted by default.

The rules are design.md's *Answers*. In a ``failed`` entry a key outranks an index, and an index counts from 0. After a
2xx, rows that are not named are accepted if every entry was matched to exactly one row and nothing else in the answer
contradicts it; otherwise the request is split. A 207 says that rows fared differently, so it must list the failed rows,
even if the list is empty; without a list the request is split. After 400 or 422, rows that are not named were not taken
and are sent again without the named ones; if no row is named, the request is split.

An entry that has a severity, level or type of ``warn`` or ``warning``, or is in a list of warnings, only warns of its
row: it is set apart before the rest is read by the rules above. A row with a warning and a refusal is refused. An entry
that says both contradicts a success, and so does a warning about a row that was not sent.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

from toolkit.model import APRIL_2026, Contract, each_once
from toolkit.vendor.refusals import Remark, errors_of, first_message, matched, named_key, objects_in, same_moment, short

Kind = Literal[
    "taken",  # rows that are not named are accepted
    "again",  # rows that are not named were not taken: send them without the named ones
    "split",  # it does not say which rows failed: send the halves; a single row stays unresolved
    "large",  # too much at once: send the halves
    "retry",  # not taken for now: send the same again
    "lost",  # it left, and no answer can be read: taken or not
    "unauthorized",  # 401, 403
    "nowhere",  # 404
    "stop",  # any other answer that names no row
]
# Names that contradict a success, or give a count: in lower case, without separators.
_SUCCESS_WORDS = ("success", "ok", "succeeded", "valid", "accepted")
_STATE_WORDS = ("status", "state", "result", "outcome")
_FAILED_STATES = ("err", "fail", "reject", "invalid", "partial", "denied", "fatal", "crit")
_CODE_WORDS = ("status", "statuscode", "code", "errorcode", "httpstatus")
_FAILURE_CODE = "di_e_"
"""How the code of each documented failure begins."""
_TROUBLE_WORDS = ("error", "errors", "failures", "failedrows", "invalid", "invalidrows", "rejected", "rejectedrows")
_TAKEN_COUNTS = ("accepted", "acceptedcount", "acceptedrows", "success", "successcount", "succeeded", "successful")
_FAILED_COUNTS = ("failedcount", "failedrows", "failurecount", "errorcount", "rejected", "rejectedcount")
_SENT_COUNTS = ("received", "receivedcount", "total", "totalcount", "totalrows", "rowcount")
_WARNING_LISTS = ("warnings", "warning", "warned", "warnedrows", "warningrows", "rowwarnings", "validationwarnings")
_SEVERITY_WORDS = ("severity", "level", "type")
_WARNS = ("warn", "warning")
_Facts = defaultdict[str, list[Any]]


@dataclass(frozen=True)
class Answer:
    """One answer as it came, or the fact that none came.

    Attributes
    ----------
    status
        HTTP status; None if no answer came.
    body
        The body, at most as long as the client reads.
    left
        Whether the whole request may have reached the vendor.
    retry_after
        The header of this name, as it came.
    problem
        What went wrong on the way, in words; empty for an answer that was read to its end.
    lasting
        Whether it will go wrong again until somebody changes something; `problem` says what.
    """

    status: int | None
    body: bytes = b""
    left: bool = True
    retry_after: str | None = None
    problem: str = ""
    lasting: bool = False


@dataclass(frozen=True)
class Verdict:
    """What an answer says about the rows it names (by their place in the request), and about the others.

    Attributes
    ----------
    blamed
        Whether a row is refused only because it was alone in a request that was refused as a whole.
    warned
        What it warns of, for rows that are accepted.
    torn
        Whether the answer contradicts itself, so that it may have taken each row that it does not name.
    """

    kind: Kind
    refused: dict[int, Remark] = field(default_factory=dict)
    message: str = ""
    blamed: bool = False
    warned: dict[int, Remark] = field(default_factory=dict)
    torn: bool = False


def read_answer(answer: Answer, keys: Sequence[tuple[str, str]], *, contract: Contract = APRIL_2026) -> Verdict:
    """Read an answer to a request of these rows.

    Parameters
    ----------
    keys
        (customer_id, updated_at as it was sent) of each row, in their order.
    contract
        Which field lists the rows that failed, and whether an index counts from 0 or 1.

    Examples
    --------
    >>> sent = [("CUST-001", "2025-01-28T10:00:00Z"), ("CUST-002", "2025-01-28T10:00:00Z")]
    >>> read_answer(Answer(200, b'{"failed": [{"index": 1, "code": "DI_E_00002"}]}'), sent).refused
    {1: Remark(code='DI_E_00002', category='', message='', column='')}
    >>> read_answer(Answer(200, b""), sent).kind
    'lost'
    """
    if answer.status is None:
        return Verdict("lost" if answer.left else "retry", message=answer.problem)
    try:
        return _read(answer.status, answer, _parsed(answer), keys, contract)
    except RecursionError:  # nested too deeply to be an answer
        return _read(answer.status, answer, None, keys, contract)


def _read(
    status: int, answer: Answer, said: dict[str, Any] | None, keys: Sequence[tuple[str, str]], contract: Contract
) -> Verdict:
    if 200 <= status < 300 and said is not None and answer.left:  # most need no words
        verdict = _read_success(status, said, keys, contract, partial(_message, said, answer))
        return replace(verdict, torn=verdict.kind in ("split", "again"))
    message = _message(said, answer)
    if status < 200 or status >= 500 or status in (408, 425, 429):
        # A server that broke down, or is behind a proxy that says so, did so before or after it wrote. Only a limiter
        # that turns requests away says when to come back.
        turned_away = status in (408, 425, 429) or (status == 503 and answer.retry_after)
        return Verdict("lost" if answer.left and not turned_away else "retry", message=message)
    if status < 300:  # an answer to a part of the request is not about all of it
        return Verdict("lost" if answer.left else "retry", message=message)
    if status in (400, 422):
        return _read_refusal(said, keys, contract, message)
    if status == 413:
        return _blamed(keys, f"too large for a request ({message})") or Verdict("large", message=message)
    if status in (401, 403):
        return Verdict("unauthorized", message=message)
    if status < 400:
        message += ", a redirect, which is not followed"
    # 303 sends a client on once what it asked for is done; 302 is what a login before the vendor answers.
    return Verdict("nowhere" if status == 404 else "stop", message=message, torn=status == 303)


def _read_success(
    status: int, said: dict[str, Any], keys: Sequence[tuple[str, str]], contract: Contract, message: Callable[[], str]
) -> Verdict:
    said, warnings, doubt = _set_apart(said, contract)
    entries = _entries(said, contract)
    warned = matched(warnings, keys, contract, warnings=True) if warnings else {}
    if warned is None or doubt:
        return Verdict("split", message=f"{message()}, {doubt or 'but warns of a row that was not sent'}")
    if not entries and entries in (None, [], {}, 0, ""):
        doubt = _contradiction(said, contract) or _miscounted(said, len(keys), {0, len(warnings)})
        if status == 207 and not isinstance(entries, list):
            doubt = doubt or "but does not list the rows that failed"
        return Verdict("split", message=f"{message()}, {doubt}") if doubt else Verdict("taken", warned=warned)
    refused = matched(entries, keys, contract)
    if refused is None:
        return _unmatched(entries, keys, first_message(entries))
    n_failed = {n + more for n in (len(refused), len(entries)) for more in (0, len(warnings))}
    if doubt := _miscounted(said, len(keys) - len(refused), n_failed):
        return Verdict("split", message=f"{message()}, {doubt}")
    if denied := _denied_word(_facts(_objects(said))):  # rows that it does not name are sent again
        return Verdict("again", refused, f"{message()}, but says that {denied} is false")
    return Verdict("taken", refused, warned={row: remark for row, remark in warned.items() if row not in refused})


def _read_refusal(
    said: dict[str, Any] | None, keys: Sequence[tuple[str, str]], contract: Contract, message: str
) -> Verdict:
    rest = _set_apart(said or {}, contract)[0]
    entries = _entries(rest, contract)
    if not entries and _entries(said or {}, contract):  # the status refuses the rows that its entries accept
        return Verdict("split", message=f"{message}, but its entries only warn", torn=True)
    if not entries:
        return _blamed(keys, message) or Verdict("split", message=message)
    refused = matched(entries, keys, contract)
    return Verdict("again", refused) if refused else _unmatched(entries, keys, first_message(entries) or message)


def _entries(said: dict[str, Any], contract: Contract) -> Any:
    """Return what the answer lists as failed, at its top or one level down; if it lists twice, all of it."""
    found = [value for o in _objects(said) for name, value in o.items() if name.lower() == contract.failed_field]
    named = [entries for n, entries in enumerate(found) if entries and entries not in found[:n]]
    if len(named) > 1:  # what is not a list cannot be combined, and matches no row
        return [e for entries in named for e in entries] if all(isinstance(n, list) for n in named) else [named]
    return (named or found or [None])[0]


def _set_apart(said: dict[str, Any], contract: Contract) -> tuple[dict[str, Any], list[Any], str]:
    """Return the answer without the entries that only warn, these, and a complaint if one of them also refuses."""
    words = [word for word in _SEVERITY_WORDS if word not in contract.resource.names]  # a row may be echoed
    warnings: list[Any] = []
    doubts: list[str] = []

    def rest_of(name: str, value: Any, depth: int = 0) -> Any:
        if isinstance(value, dict) and depth < 2:
            return {n: rest_of(n, v, depth + 1) for n, v in value.items()}
        listed = _plain(name) in _WARNING_LISTS
        if not isinstance(value, list) and not (listed and isinstance(value, str)):
            return value
        rest = []
        for entry in value if isinstance(value, list) else [value]:
            warns, fails = _weight(entry, words)
            if warns or listed:
                fails = fails or any(found.get(contract.failed_field) for _, found in objects_in(entry))
                (doubts if fails else warnings).append(entry)
            if fails or not (warns or listed):
                rest.append(entry)
        return rest

    return rest_of("", said), warnings, "but an entry both warns and refuses" if doubts else ""


def _weight(entry: Any, words: Sequence[str]) -> tuple[bool, bool]:
    """Return whether an entry says that it only warns, and whether it, or an error in it, says that the row failed."""
    if not isinstance(entry, dict):
        return False, False
    facts = [_facts([object_]) for object_ in (entry, *errors_of(entry))]
    own, *inner = (any(value in _WARNS for word in words for value in found[word]) for found in facts)
    said = [value for found in facts for word in (*words, *_STATE_WORDS) for value in found[word]]
    return own or (inner != [] and all(inner)), any(map(_denied_word, facts)) or any(map(_is_failed_state, said))


def _contradiction(said: dict[str, Any], contract: Contract) -> str:
    """Return what in a success, besides its list of failed rows, says that it is not one."""
    facts = _facts([*_objects(said), *_rows(said)])
    if denied := _denied_word(facts):
        return f"but says that {denied} is false"
    for word in _TROUBLE_WORDS:
        if any(facts[word]):
            return f"but mentions {word}"
    for word in _STATE_WORDS:
        if any(map(_is_failed_state, facts[word])):
            return f"but its {word} is not a success"
    if any(_is_failure(code) for word in _CODE_WORDS for code in facts[word]):
        return "but contains the code of a failure"
    below = any(found.get(contract.failed_field) for _, found in objects_in(said))
    return "but lists failed rows further down" if below else ""


def _miscounted(said: dict[str, Any], n_taken: int, n_failed: set[int]) -> str:
    """Return a complaint if a count does not fit what the answer says row by row."""
    facts = _facts(_objects(said))
    n_sent = n_taken + min(n_failed)
    for words, fitting in ((_TAKEN_COUNTS, {n_taken}), (_FAILED_COUNTS, n_failed), (_SENT_COUNTS, {n_sent})):
        counts = [len(count) if isinstance(count, list) else count for word in words for count in facts[word]]
        if any(isinstance(n, int | float) and not isinstance(n, bool) and n not in fitting for n in counts):
            return "but its counts do not add up"
    return ""


def _objects(said: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the answer and the objects one level down."""
    return [said, *(value for value in said.values() if isinstance(value, dict))]


def _rows(said: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the objects of the lists in it: an answer may report row by row."""
    for object_ in _objects(said):
        for value in object_.values():
            if isinstance(value, list):
                yield from (row for row in value if isinstance(row, dict))


def _facts(objects: Iterable[dict[str, Any]]) -> _Facts:
    """Return all values by their names, in lower case without separators."""
    facts: _Facts = defaultdict(list)
    for object_ in objects:
        for name, value in object_.items():
            facts[_plain(name)].append(_value(value))
    return facts


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _value(value: Any) -> Any:
    """Return the truth value or the number that a text stands for; everything else as it is."""
    if not isinstance(value, str):
        return value
    text = value.strip().casefold()
    if text in ("true", "false"):
        return text == "true"
    return float(text) if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) else text


def _denied_word(facts: _Facts) -> str:
    """Return a word of success whose value denies it."""
    return next((word for word in _SUCCESS_WORDS if any(v == "no" or _is_failed_state(v) for v in facts[word])), "")


def _is_failed_state(value: Any) -> bool:
    return value is False or (isinstance(value, str) and value.startswith(_FAILED_STATES))


def _is_failure(code: Any) -> bool:
    return code.startswith(_FAILURE_CODE) if isinstance(code, str) else isinstance(code, int | float) and code >= 400


def _unmatched(entries: Any, keys: Sequence[tuple[str, str]], message: str) -> Verdict:
    """Read entries that could not each be matched to one row."""
    if len(keys) > 1:
        return Verdict("split", message=message)
    own_id, own_time = keys[0]
    objects = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    named = [key for entry in objects if (key := named_key(entry))]
    if any(who != own_id or (time and not same_moment(time, own_time)) for who, time in named):
        return Verdict("split", message=f"an entry names a row that was not sent: {message}")
    return Verdict("again", {0: Remark(message=message)})


def _blamed(keys: Sequence[tuple[str, str]], message: str) -> Verdict | None:
    """Return the verdict that the only row of a request is refused; None if it has several."""
    return Verdict("again", {0: Remark(message=message)}, message, blamed=True) if len(keys) == 1 else None


def _parsed(answer: Answer) -> dict[str, Any] | None:
    said = None if answer.problem else parsed(answer.body)
    return said if isinstance(said, dict) else None


def parsed(body: bytes) -> Any:
    """Return what the JSON of an answer says; None if it is not JSON, or has an object with a name twice."""
    try:
        return json.loads(body.decode("utf-8-sig"), object_pairs_hook=each_once)
    except (ValueError, RecursionError):
        return None


def _message(said: dict[str, Any] | None, answer: Answer) -> str:
    if said is None:
        return answer.problem or f"HTTP {answer.status}, without a readable answer"
    words = first_message([said])
    return short(f"HTTP {answer.status}" + (f": {words}" if words else ""))
