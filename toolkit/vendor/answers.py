"""What an answer says of the rows that were sent: read leniently, nothing accepted by default.

The rules are design.md's *Answers*: in a ``failed`` entry a key outranks an index, and an index counts from 0.
With 2xx, rows that are not named are accepted if every entry was matched to exactly one row, and nothing else in
the answer speaks against it; else the request is split. So is a 207 without a list of failed rows, be it empty, for it
says that rows fared differently. With 400 or 422, rows that are not named were not taken and are sent again without
the named ones; where none is named, the request is split.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from toolkit.model import APRIL_2026, Contract
from toolkit.vendor.refusals import Refusal, first_message, matched, named_key, refusal_of, same_moment, short

Kind = Literal[
    "taken",  # rows not named are accepted
    "again",  # rows not named were not taken: send them without the named ones
    "split",  # nobody can tell which rows: send the halves; of one row, that it cannot be told
    "large",  # too much at once: send the halves
    "retry",  # not taken, for now: the same again
    "lost",  # it left, and no answer can be read: taken or not
    "unauthorized",  # 401, 403
    "nowhere",  # 404
    "stop",  # any other answer that names no row
]
# What speaks against a success, or says how many: names in lower case, without separators.
_YES_WORDS = ("success", "ok", "succeeded", "valid", "accepted")
_STATE_WORDS = ("status", "state", "result", "outcome")
_NO_STATES = ("err", "fail", "reject", "invalid", "partial", "denied")
_CODE_WORDS = ("status", "statuscode", "code", "errorcode", "httpstatus")
_FAILURE_CODE = "di_e_"
"""How the code of each documented failure begins."""
_TROUBLE_WORDS = ("error", "errors", "failures", "failedrows", "invalid", "invalidrows", "rejected", "rejectedrows")
_TAKEN_COUNTS = ("accepted", "acceptedcount", "acceptedrows", "success", "successcount", "succeeded", "successful")
_FAILED_COUNTS = ("failedcount", "failedrows", "failurecount", "errorcount", "rejected", "rejectedcount")
_SENT_COUNTS = ("received", "receivedcount", "total", "totalcount", "totalrows", "rowcount")


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
        Whether the whole request may have reached the vendor.
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
    try:
        return _read(answer.status, answer, _object(answer), keys, contract)
    except RecursionError:  # too deep to be meant
        return _read(answer.status, answer, None, keys, contract)


def _read(
    status: int, answer: Answer, said: dict[str, Any] | None, keys: Sequence[tuple[str, str]], contract: Contract
) -> Verdict:
    message = _spoken(said, answer)
    if status < 200 or status >= 500 or status in (408, 425, 429):
        # A server that broke down did so before or after it wrote; 503 and the others say that they did not.
        lost = answer.left and status not in (408, 425, 429, 503)
        return Verdict("lost" if lost else "retry", message=message)
    if status < 300:
        if said is None or not answer.left:  # what was said before it had everything is not said of everything
            return Verdict("lost" if answer.left else "retry", message=message)
        return _read_success(status, said, keys, contract, message)
    if status in (400, 422):
        return _read_refusal(said, keys, contract, message)
    if status == 413:
        return _blamed(keys, f"too large for a request ({message})") or Verdict("large", message=message)
    if status in (401, 403):
        return Verdict("unauthorized", message=message)
    if status < 400:
        message += ", which points elsewhere and is not followed"
    return Verdict("nowhere" if status == 404 else "stop", message=message)


def _read_success(
    status: int, said: dict[str, Any], keys: Sequence[tuple[str, str]], contract: Contract, message: str
) -> Verdict:
    entries = _entries(said, contract)
    if not entries and entries in (None, [], {}, 0, ""):
        doubt = _denied(said, contract) or _miscounted(said, len(keys), {0})
        if status == 207 and not isinstance(entries, list):
            doubt = doubt or "but does not list the rows that failed"
        return Verdict("split", message=f"{message}, {doubt}") if doubt else Verdict("taken")
    refused = matched(entries, keys, contract)
    if refused is None:
        return _unmatched(entries, keys, first_message(entries))
    if doubt := _miscounted(said, len(keys) - len(refused), {len(refused), len(entries)}):
        return Verdict("split", message=f"{message}, {doubt}")
    if denied := _denied_word(_plain(_objects(said))):  # what it does not name goes again
        return Verdict("again", refused, f"{message}, but says that {denied} is false")
    return Verdict("taken", refused)


def _read_refusal(
    said: dict[str, Any] | None, keys: Sequence[tuple[str, str]], contract: Contract, message: str
) -> Verdict:
    entries = _entries(said or {}, contract)
    if not entries:
        return _blamed(keys, message) or Verdict("split", message=message)
    refused = matched(entries, keys, contract)
    return Verdict("again", refused) if refused else _unmatched(entries, keys, first_message(entries) or message)


def _entries(said: dict[str, Any], contract: Contract) -> Any:
    """Return what the answer lists as failed, at its top or one level down; all of it, where it lists twice."""
    inner = [value for value in said.values() if isinstance(value, dict)]
    found = [
        value for object_ in (said, *inner) for name, value in object_.items() if name.lower() == contract.failed_field
    ]
    named = [entries for n, entries in enumerate(found) if entries and entries not in found[:n]]
    if len(named) > 1:  # what is no list cannot be put together, and matches no row
        return [e for entries in named for e in entries] if all(isinstance(n, list) for n in named) else [named]
    return (named or found or [None])[0]


def _listed_below(value: Any, name: str) -> bool:
    """Tell whether something stands under a name, at any depth."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if any(inner and key.lower() == name for key, inner in one.items()):
                return True
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return False


def _denied(said: dict[str, Any], contract: Contract) -> str:
    """Say what in a success, beside its list of failed rows, says that it is none."""
    facts = _plain([*_objects(said), *_rows(said)])
    if denied := _denied_word(facts):
        return f"but says that {denied} is false"
    for word in _TROUBLE_WORDS:
        if any(facts[word]):
            return f"but speaks of {word}"
    for word in _STATE_WORDS:
        if any(map(_is_no_state, facts[word])):
            return f"but gives a {word} that is none of success"
    if any(_is_failure(code) for word in _CODE_WORDS for code in facts[word]):
        return "but gives the code of a failure"
    return "but lists failed rows further down" if _listed_below(said, contract.failed_field) else ""


def _miscounted(said: dict[str, Any], n_taken: int, n_failed: set[int]) -> str:
    """Say that a count does not fit what the answer says row by row."""
    facts = _plain(_objects(said))
    n_sent = n_taken + min(n_failed)
    wanted = ((_TAKEN_COUNTS, {n_taken}), (_FAILED_COUNTS, n_failed), (_SENT_COUNTS, {n_sent}))
    for words, fitting in wanted:
        counts = [len(count) if isinstance(count, list) else count for word in words for count in facts[word]]
        if any(isinstance(n, int | float) and not isinstance(n, bool) and n not in fitting for n in counts):
            return "but its counts do not add up"
    return ""


def _objects(said: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the answer and the objects one level down."""
    return [said, *(value for value in said.values() if isinstance(value, dict))]


def _rows(said: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the objects of the lists that stand there: an answer may tell row by row how they fared."""
    for object_ in _objects(said):
        for value in object_.values():
            if isinstance(value, list):
                yield from (row for row in value if isinstance(row, dict))


def _plain(objects: Iterable[dict[str, Any]]) -> defaultdict[str, list[Any]]:
    """Return all that stands under names in lower case without separators."""
    facts: defaultdict[str, list[Any]] = defaultdict(list)
    for object_ in objects:
        for name, value in object_.items():
            facts[name.lower().replace("_", "").replace("-", "")].append(_meant(value))
    return facts


def _meant(value: Any) -> Any:
    """Return what a text stands for that is a truth value or a number; all else as it is."""
    if not isinstance(value, str):
        return value
    text = value.strip().casefold()
    if text in ("true", "false"):
        return text == "true"
    return float(text) if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) else text


def _denied_word(facts: defaultdict[str, list[Any]]) -> str:
    """Return a word of success that is denied."""
    return next((word for word in _YES_WORDS if any(v == "no" or _is_no_state(v) for v in facts[word])), "")


def _is_no_state(value: Any) -> bool:
    return value is False or (isinstance(value, str) and value.startswith(_NO_STATES))


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
    return Verdict("again", {0: Refusal(message=message)})


def _blamed(keys: Sequence[tuple[str, str]], message: str) -> Verdict | None:
    """With one row in the request, whatever is said may be said of it."""
    return Verdict("again", {0: Refusal(message=message)}, message, blamed=True) if len(keys) == 1 else None


def _object(answer: Answer) -> dict[str, Any] | None:
    if not answer.complete:
        return None
    try:
        said = json.loads(answer.body, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object that says a name twice: which of the two is meant, nobody can tell."""
    found = dict(members)
    if len(found) < len(members):
        raise ValueError("a name stands twice")
    return found


def _spoken(said: dict[str, Any] | None, answer: Answer) -> str:
    if said is None:
        return answer.problem or f"HTTP {answer.status}, with no readable answer"
    refusal = refusal_of(said)
    words = " ".join(w for w in (refusal.code, refusal.message) if w)
    return short(f"HTTP {answer.status}" + (f": {words}" if words else ""))
