"""check_schema() and add_attribute(): compare the vendor's columns with ours before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args

import pandas as pd

from toolkit.config import Settings, current
from toolkit.display import Part, Result, Tone, Unit, grid, headline, plural, section
from toolkit.errors import AddressError, AuthorizationError, SettingsError, StoppedError, wrong_kind
from toolkit.model import CUSTOMER, CustomAttribute, Kind, Resource
from toolkit.vendor.answers import Answer, parsed
from toolkit.vendor.client import Client
from toolkit.vendor.connection import connected
from toolkit.vendor.refusals import lowered_names, objects_in, remark_of, short

_TABLE_WORDS = ("tablename", "objectname", "name", "table", "object")
_LIST_WORDS = ("columns", "attributes", "fields")
_NAME_WORDS = ("columnname", "attributename", "name", "column")
_KIND_WORDS = ("datatype", "type")

_REQUIRED_WORDS = {"required", "isrequired", "is_required", "nonnull", "non_null"}
_DEFAULT_WORDS = ("defaultvalue", "default_value", "default")

SAME, ONLY_THEIRS, REQUIRED, ONLY_OURS, OTHER_TYPE = "same", "only theirs", "required", "only ours", "other type"
_WAYS = {
    ONLY_THEIRS: "the table has it and the toolkit does not send it: list it under [[attributes]] in toolkit.toml",
    REQUIRED: "the table requires it and the toolkit does not send it: list it under [[attributes]] in toolkit.toml",
    ONLY_OURS: "the toolkit sends it and the table lacks it: create it with add_attribute, or remove it from the list",
    OTHER_TYPE: "the data types differ: change it under [[attributes]] in toolkit.toml",
}


@dataclass(frozen=True, eq=False, repr=False)
class SchemaCheck(Result):
    """The vendor's columns against ours.

    Attributes
    ----------
    columns
        One row per column: ``column, ours, theirs`` (data types, null if the side has no such column), ``verdict``
        (``same``, ``only theirs``, ``required``, ``only ours``, ``other type``) and the ``way`` to make both agree.
        ``required`` is a column of theirs alone without which the vendor refuses each row: it has no default.
    problem
        Why the vendor's columns could not be read; empty if they could. A push is possible without them.
    """

    columns: pd.DataFrame
    table: str
    label: str
    problem: str = ""

    @property
    def differing(self) -> pd.DataFrame:
        """The columns that differ."""
        return self.columns[self.columns["verdict"] != SAME]

    @property
    def ok(self) -> bool:
        """Whether the columns could be read, and none differs."""
        return not self.problem and self.differing.empty

    @property
    def required(self) -> list[str]:
        """The columns that the table requires and the toolkit does not send: they hold a push back."""
        return self.columns.loc[self.columns["verdict"] == REQUIRED, "column"].tolist()

    @property
    def lines(self) -> list[str]:
        """What to know before sending, one line per column."""
        if self.problem:
            return [f"the schema could not be checked; a push is possible without: {self.problem}"]
        return [f"{r['column']} ({r['verdict']}): {r['way']}" for r in self.differing.to_dict("records")]

    def summary(self) -> str:
        """Return the verdict in one line."""
        if self.problem:
            return f"{self.table} not checked: {self.problem} · {self.label}"
        n = len(self.differing)
        differ = plural(n, "column differs", "columns differ") if n else "no column differs"
        return f"{self.table}: {differ} of {len(self.columns)} · {self.label}"

    def body(self) -> str:
        """Return the check as an HTML fragment."""
        name = f"Schema of {self.table} · {self.label}"
        if self.problem:
            return headline(name, f"{self.table}: not checked", self.lines[0])
        tones: dict[str, Tone] = {SAME: "good", ONLY_THEIRS: "warn"}
        parts = [Part(int((self.columns["verdict"] == v).sum()), v, tones.get(v, "bad")) for v in (SAME, *_WAYS)]
        differ = f"{plural(len(self.differing), 'column differs', 'columns differ')}: look at them before sending"
        rows = self.columns.fillna(dict.fromkeys(("ours", "theirs"), "not listed"))
        units = [
            Unit([(c["column"], c["ours"], c["theirs"], c["way"])], {"verdict": [c["verdict"]]},
                 tones.get(c["verdict"], "bad"))
            for c in rows.sort_values("verdict", key=lambda v: v == SAME, kind="stable").to_dict("records")
        ]  # fmt: skip
        heads = ["Column", "Ours", "Theirs", "What to do"]
        table = grid("Columns", heads, units, facets={"verdict": "Verdict"}, unit="columns")
        return headline(name, "The columns agree" if self.ok else differ, parts=parts) + section("Columns", table)

    def to_frame(self) -> pd.DataFrame:
        """Return the columns."""
        return self.columns

    def to_dict(self) -> dict[str, Any]:
        """Return the columns that differ, and whether all agree."""
        differing = self.differing.to_dict("records")
        return {"table": self.table, "ok": self.ok, "problem": self.problem, "differing": differing}


def check_schema(*, settings: Settings | None = None) -> SchemaCheck:
    """Ask the vendor for the table's columns and compare ours with them; nothing is written.

    If the call is refused or missing, or its answer has an unknown shape, `problem` of the result says so.

    Raises
    ------
    InputError
        If `settings` is not a Settings.
    SettingsError
        If there is no token, or it cannot be used.
    """
    chosen = current(settings)
    with connected(chosen) as client:
        return ask_schema(client, chosen)


def ask_schema(client: Client, settings: Settings) -> SchemaCheck:
    """Do what `check_schema` does, over an open connection."""
    contract = settings.documented
    table = contract.table(settings.prefix, settings.suffix)
    answer = client.ask(contract.schema_call(settings.solution))
    problem = _problem(answer)
    theirs = None if problem else read_columns(answer.body, table)
    if theirs is None:
        problem = problem or f"the answer names no columns of {table}"
    return SchemaCheck(_compared(contract.resource, theirs), table, settings.label, problem)


def add_attribute(attribute: CustomAttribute, *, settings: Settings | None = None) -> None:
    """Create a custom attribute in the vendor's table; then list it under ``[[attributes]]`` in ``toolkit.toml``.

    The API has no call that removes one.

    Raises
    ------
    InputError
        If an argument is of a wrong kind.
    SettingsError
        If the vendor refuses the attribute.
    AuthorizationError, AddressError, StoppedError
        If the vendor refuses the token, has no such call, or does not answer.
    """
    if not isinstance(attribute, CustomAttribute):
        raise wrong_kind(attribute, "a custom attribute", 'CustomAttribute("region", max_length=3)')
    chosen = current(settings)
    contract = chosen.documented
    table = contract.table(chosen.prefix, chosen.suffix)
    path, body = contract.attribute_call(chosen.solution, table, attribute.column, required=attribute.required)
    with connected(chosen) as client:
        answer = client.ask(path, body)
    if not (problem := _problem(answer)):
        return
    said = f"The attribute {attribute.name} was not created in {table}: {problem}."
    if answer.status in (401, 403):
        raise AuthorizationError(f"{said} Set PEAK_AUTH_TOKEN to a token that may change the schema.")
    if answer.status in (404, 405):
        raise AddressError(f"{said} Check the host, the contract, TOOLKIT_PREFIX and TOOLKIT_SUFFIX.")
    if answer.status in (400, 409, 422):
        raise SettingsError(f"{said} Change what the vendor names; check_schema() shows which columns there are.")
    raise StoppedError(f"{said} Run check_schema() to see whether it is there, then try again.")


class Described(NamedTuple):
    """A column as the vendor describes it: its data type, and whether a row without it is refused."""

    kind: str
    required: bool = False


def read_columns(body: bytes, table: str) -> dict[str, Described] | None:
    """Return a table's columns from an answer, by their lower-case names; None if it has none.

    The shape is not documented, so the words count: an object that names the table and has a list of columns.

    Examples
    --------
    >>> read_columns(b'{"tables": [{"tableName": "A_CUSTOMER", "columns": [{"name": "REGION", "type": "String"}]}]}',
    ...              "A_CUSTOMER")
    {'region': Described(kind='string', required=False)}
    """
    said = parsed(body)
    for wanted in (table.casefold(), CUSTOMER.name.casefold()):
        for name, found in objects_in(said):
            # Only a text is a name: turned into text, nested objects would be read again at each level.
            names = {n.casefold() for n in (name, *(found.get(w) for w in _TABLE_WORDS)) if isinstance(n, str)}
            listed = next((found[w] for w in _LIST_WORDS if isinstance(found.get(w), list | dict)), None)
            if listed and wanted in names:
                return dict(_columns(listed)) or None
    return None


def _columns(listed: Any) -> Iterator[tuple[str, Described]]:
    pairs = listed.items() if isinstance(listed, dict) else (("", entry) for entry in listed)
    for key, entry in pairs:
        facts = lowered_names(entry) if isinstance(entry, dict) else {}
        name = key or (entry if isinstance(entry, str) else next((facts[w] for w in _NAME_WORDS if w in facts), ""))
        kind = next((facts[w] for w in _KIND_WORDS if w in facts), entry if key and isinstance(entry, str) else "")
        if isinstance(name, str) and name:
            yield name.casefold(), Described(str(kind).casefold(), _is_required(facts))


def _is_required(facts: dict[str, Any]) -> bool:
    """Return whether a column is required, or must not be null, and has no default that would fill it."""
    if any(facts.get(word) is not None for word in _DEFAULT_WORDS):
        return False
    checks = facts.get("validations")
    flags = facts | lowered_names(checks if isinstance(checks, dict) else {})
    for check in checks if isinstance(checks, list) else []:
        said = lowered_names(check if isinstance(check, dict) else {"type": check})
        flags[str(said.get("type")).casefold()] = said.get("value", True)
    return any(str(flags.get(word)).casefold() == "true" for word in _REQUIRED_WORDS)


def _compared(ours: Resource, theirs: dict[str, Described] | None) -> pd.DataFrame:
    own: dict[str, str] = {c.name: c.kind for c in ours.columns}
    rows = []
    if theirs is None:
        own, theirs = {}, {}
    for name in dict.fromkeys((*own, *theirs)):
        kind, required = theirs.get(name, (None, False))
        verdict = ONLY_OURS if kind is None else SAME if name in own else REQUIRED if required else ONLY_THEIRS
        # Only the documented names of data types are compared; a database's own names say nothing.
        if verdict == SAME and kind in get_args(Kind) and kind != own[name]:
            verdict = OTHER_TYPE
        # Compared as it came, and shown as one line that a terminal and a frame can hold.
        shown = None if kind is None else short(kind)
        rows.append((short(name), own.get(name), shown, verdict, _WAYS.get(verdict, "")))
    return pd.DataFrame(rows, columns=["column", "ours", "theirs", "verdict", "way"], dtype="str")


def _problem(answer: Answer) -> str:
    """Return why an answer is not a success; empty if it is one."""
    if answer.status is None or 200 <= answer.status < 300:
        return answer.problem
    words = {401: "the token is refused", 403: "it is not allowed", 404: "there is no such call or table"}
    said = remark_of(parsed(answer.body)).message  # nothing of a proxy's page, which does not help an analyst
    word = words.get(answer.status, "the answer is an error")
    return f"{word} (status {answer.status})" + (f": {said}" if said else "")
