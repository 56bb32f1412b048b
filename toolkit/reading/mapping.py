"""Mapping: how a file's columns and formats become the schema's, as an analyst writes it in TOML.

A mapping knows its own form. Whether a column exists is checked when a source is read, by the settings' resource;
whether a correction exists, when `toolkit.quality.correct` applies it.

::

    [columns]                       # schema column = file column
    customer_id = "Kundennummer"
    updated_at = "Geändert am"

    [constants]                     # the same value in every row
    source = "customer"

    [format]                        # what the file alone does not say
    encoding = "cp1252"
    delimiter = ";"
    datetime = "%d.%m.%Y %H:%M"
    timezone = "Europe/Berlin"
    nulls = ["-"]                   # besides the empty cell

    [values]                        # words of the file for those of the schema, compared exactly
    source = {"Kunde" = "customer"}

    [empty]                         # what an empty cell means
    customer_category = "keep"      # nothing, what was sent stays; "clear", as everywhere else: null is sent

    [delivery]
    kind = "full"                   # or "changes"
    language = "de"                 # of the review sheet: en, de or fr

    [corrections]
    trim_spaces = true
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, get_args
from zoneinfo import available_timezones

from toolkit.errors import MappingError, did_you_mean, wrong_kind
from toolkit.files import replacing
from toolkit.model import ID, TIME, DeliveryKind, Language, pattern_fault

SECTIONS = ("columns", "constants", "format", "values", "empty", "delivery", "corrections")
FORMAT_KEYS = ("encoding", "delimiter", "sheet", "header_row", "datetime", "timezone", "nulls")
DELIVERY_KEYS = ("kind", "language")
EMPTY = ("keep", "clear")
"""What an empty cell may mean."""

NULL_SPELLINGS = (
    "-", "--", "n/a", "N/A", "#N/A", "NULL", "null", "None", "?", "nan", "NaN", "NaT", "<NA>", r"\N", "(null)",
)  # fmt: skip
"""Cells that often mean null; a mapping lists those of its file."""
MAX_HEADER_ROW = 1_048_576
"""The last row of a worksheet."""


@dataclass(frozen=True)
class Mapping:
    """How the columns and formats of a file become the schema's.

    Attributes
    ----------
    columns
        Schema column to the file's column. Without any, columns go by their canonical names in any case.
    constants
        Schema column to the value of every row.
    encoding, delimiter
        Of a text file; None: detected.
    sheet
        Name of the worksheet; None: the first visible one whose header fits.
    header_row
        The record with the header, counted from 1; what is above it is ignored. None: the first with the
        wanted columns.
    datetime
        A strptime pattern for ``updated_at``; None: ISO 8601.
    timezone
        The zone of times that name none, as an IANA name; None: such times are an error.
    nulls
        Cells that mean null besides the empty one, compared exactly.
    values
        Schema column to its words in the file and what each becomes; compared exactly, and before `nulls`.
    empty
        Schema column to what its empty cells mean. ``keep``: nothing, so what was sent for a customer stays.
        ``clear``, as without an entry: null.
    kind
        ``full``: customers not in the file are absent. ``changes``: it does not concern the others.
    language
        Of the review sheet, for the owner of the data.
    corrections
        Correction to ``true`` or its options, as `correct` takes them.
    path
        The file it was read from.

    Raises
    ------
    MappingError
        If a column is given twice, or a format is not one.

    Examples
    --------
    >>> Mapping(columns={"customer_id": "No."}, constants={"source": "peak"}).constants
    {'source': 'peak'}
    """

    columns: dict[str, str] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    header_row: int | None = None
    datetime: str | None = None
    timezone: str | None = None
    nulls: tuple[str, ...] = ()
    values: dict[str, dict[str, str]] = field(default_factory=dict)
    empty: dict[str, str] = field(default_factory=dict)
    kind: DeliveryKind = "full"
    language: Language = "en"
    corrections: dict[str, Any] = field(default_factory=dict)
    path: Path | None = None

    def __post_init__(self) -> None:
        for section in ("columns", "constants"):
            if not isinstance(values := getattr(self, section), dict):
                self._refuse(section, values, "write a table of schema columns and their values")
            for column, value in values.items():
                self._require_text(f"{column} in [{section}]", value)
                if section == "columns" and not value.strip():
                    raise MappingError(
                        f"{self.name} names no file column for {column}: leave the line out, "
                        "and the column keeps what was sent before."
                    )
        for column, words in (self.values if isinstance(self.values, dict) else {"values": None}).items():
            if not isinstance(words, dict):
                self._refuse(column, words, 'write its words and what each becomes, such as {"Kunde" = "customer"}')
            for word, becomes in words.items():
                self._require_text(f"{word} of {column} in [values]", becomes)
        for column, how in (self.empty if isinstance(self.empty, dict) else {"empty": None}).items():
            if how not in EMPTY:
                self._refuse(column, how, "write keep or clear")
        if twice := [c for c in self.columns if c in self.constants]:
            both = " and ".join(twice)
            raise MappingError(f"{self.name} gives {both} in both [columns] and [constants]: leave it in one of them.")
        for key in ("encoding", "delimiter", "sheet", "datetime", "timezone"):
            if getattr(self, key) is not None:
                self._require_text(f"{key} in [format]", getattr(self, key))
        self._check_format()

    def _check_format(self) -> None:
        if self.encoding is not None:
            try:
                "".encode(self.encoding)
            except (LookupError, ValueError):
                self._refuse("encoding", self.encoding, "write utf-8, utf-16, cp1252, or another that Python knows")
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n\0 '):
            self._refuse("delimiter", self.delimiter, 'write one character, such as ";" or "\\t"')
        row = self.header_row
        if row is not None and (not isinstance(row, int) or isinstance(row, bool) or not 1 <= row <= MAX_HEADER_ROW):
            self._refuse("header_row", row, "write the number of the header's row, 1 for the first")
        if self.datetime is not None and (fault := pattern_fault(self.datetime)):
            self._refuse("datetime", self.datetime, fault)
        if self.timezone is not None and self.timezone not in available_timezones():
            near = did_you_mean(self.timezone, available_timezones()) or "."
            self._refuse("timezone", self.timezone, f"no zone has this IANA name{near} Write one such as Europe/Berlin")
        if not isinstance(self.nulls, tuple) or not all(isinstance(n, str) for n in self.nulls):
            self._refuse("nulls", self.nulls, 'write a list of texts, such as ["-", "n/a"]')
        if self.kind not in get_args(DeliveryKind):
            self._refuse("kind", self.kind, "write full or changes")
        if self.language not in get_args(Language):
            self._refuse("language", self.language, f"write one of {', '.join(get_args(Language))}")

    def _refuse(self, key: str, value: object, advice: str) -> None:
        raise MappingError(f"{self.name}: {key} cannot be {value!r}: {advice}.")

    def _require_text(self, what: str, value: object) -> None:
        if not isinstance(value, str):
            raise MappingError(f"{self.name}: {what} is not text: put it in quotes, so that no zero or digit is lost.")

    @property
    def name(self) -> str:
        """The name of this mapping in messages."""
        return self.path.name if self.path else "The mapping"

    @property
    def version(self) -> str:
        """The digest of what it says, in 12 characters: the same mapping has it in any file.

        Examples
        --------
        >>> Mapping(path=Path("a.toml")).version == Mapping().version != Mapping(nulls=("-",)).version
        True
        """
        return hashlib.sha256(json.dumps(self.content(), sort_keys=True, default=str).encode()).hexdigest()[:12]

    def content(self) -> dict[str, Any]:
        """Return what it says, without its defaults and its file, ready for JSON; `Mapping.of` reads it again."""
        usual = Mapping.__dataclass_fields__
        said = {k: v for k, v in asdict(self).items() if k != "path" and v not in ({}, (), usual[k].default)}
        return json.loads(json.dumps(said, default=str))  # type: ignore[no-any-return]

    @classmethod
    def of(cls, content: dict[str, Any]) -> Mapping:
        """Return the mapping of a `content`.

        Raises
        ------
        MappingError
            If it is none.

        Examples
        --------
        >>> Mapping.of(Mapping(nulls=("-",)).content()).nulls
        ('-',)
        """
        try:
            return cls(**content | {"nulls": tuple(content.get("nulls", ()))})
        except TypeError:
            raise MappingError("The content is no mapping's: it was kept by another version of the toolkit.") from None

    def to_toml(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the mapping as TOML; returns the path.

        Raises
        ------
        MappingError
            If the file exists and `overwrite` is not set.
        InputError
            If it cannot be written; an earlier file of that name is then unharmed.
        """
        return write_toml(path, _sections(self.content()), overwrite=overwrite)

    def require_columns(self, known: Iterable[str]) -> None:
        """Refuse a schema column that is not one of `known`.

        Raises
        ------
        MappingError
            If [columns], [constants], [values] or [empty] has one.
        """
        for section in ("columns", "constants", "values"):
            _require_known(section, getattr(self, section), known, self.name)
        _require_known("empty", self.empty, [c for c in known if c not in (ID, TIME)], self.name)

    @classmethod
    def load(cls, path: str | Path) -> Mapping:
        """Read a mapping from a TOML file; the paths of patches in it count from its own folder.

        Raises
        ------
        MappingError
            If the file cannot be read, is not TOML, or contains a section or key that is not known.
        InputError
            If `path` is no path.
        """
        if not isinstance(path, str | Path):
            raise wrong_kind(path, "a mapping or its TOML file", 'Mapping.load("customers.toml")')
        path = Path(path)
        sections = _toml(path)
        _require_known("", sections, SECTIONS, path.name)
        for section, content in sections.items():
            if not isinstance(content, dict):
                raise MappingError(f"{path.name}: {section} is a section: write [{section}] on a line of its own.")
        form, delivery = sections.pop("format", {}), sections.pop("delivery", {})
        _require_known("format", form, FORMAT_KEYS, path.name)
        _require_known("delivery", delivery, DELIVERY_KEYS, path.name)
        if isinstance(form.get("nulls"), list):
            form["nulls"] = tuple(form["nulls"])
        constants = {
            # A date or time that TOML itself knows (a time is a date here) is as good as its text.
            column: value.isoformat() if isinstance(value, date) else value
            for column, value in sections.get("constants", {}).items()
        }
        corrections = _beside(sections.get("corrections", {}), path.parent)
        return cls(**sections | {"constants": constants, "corrections": corrections}, path=path, **form, **delivery)

    def with_constants(self, constants: dict[str, str]) -> Mapping:
        """Return the mapping with these constants over it; a column so given is no longer read.

        Examples
        --------
        >>> Mapping(columns={"source": "Herkunft"}).with_constants({"source": "customer"}).columns
        {}
        """
        if not isinstance(constants, dict):
            raise wrong_kind(constants, "a dict of constants", '{"column": "value"}')
        return replace(
            self,
            columns={c: f for c, f in self.columns.items() if c not in constants},
            constants={**self.constants, **constants},
        )


def _beside(corrections: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Make the paths of patches count from the mapping's own folder."""
    stated = corrections.get("patch")
    paths = [stated] if isinstance(stated, str) else stated
    if not isinstance(paths, list) or not all(isinstance(p, str) for p in paths):
        return corrections
    return corrections | {"patch": [str(folder / p) for p in paths]}


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        near = did_you_mean(path.name, (p.name for p in path.parent.glob("*.toml")))
        raise MappingError(f"There is no mapping {path}{near or '.'} Check the path.") from None
    except OSError as error:
        raise MappingError(f"The mapping {path} cannot be opened ({error.strerror}).") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise MappingError(f"{path.name} is not UTF-8 in line {line}: save it as UTF-8.") from None
    except (ValueError, RecursionError) as error:
        raise MappingError(f"{path.name} is not TOML: {error}. Put texts in quotes.") from None


def write_toml(path: str | Path, lines: Iterable[str], *, overwrite: bool) -> Path:
    """Write the lines of a mapping; returns the path.

    Raises
    ------
    MappingError
        If the file exists and `overwrite` is not set.
    InputError
        If it cannot be written; an earlier file of that name is then unharmed.
    """
    target = Path(path)
    if target.exists() and not overwrite:
        raise MappingError(f"{target} exists: give another name, or overwrite=True to replace it.")
    with replacing(target) as part:
        part.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    return target


def _sections(content: dict[str, Any]) -> Iterator[str]:
    for section in SECTIONS:
        if lines := section_lines(content, section):
            yield from (f"[{section}]", *lines, "")


def section_lines(content: dict[str, Any], section: str) -> list[str]:
    """Return the lines of a section of a `content` as TOML, without its head."""
    keys = {"format": FORMAT_KEYS, "delivery": DELIVERY_KEYS}.get(section)
    values = {key: content[key] for key in keys if key in content} if keys else content.get(section, {})
    return [f"{key} = {_toml_value(value)}" for key, value in values.items()]


def _toml_value(value: Any) -> str:
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_toml_value, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{quote(key)} = {_toml_value(each)}' for key, each in value.items())}}}"
    return json.dumps(value)


def quote(text: str) -> str:
    r"""Write a text as TOML does; a character that cannot be seen is escaped.

    Examples
    --------
    >>> print(quote('a "b"\n'))
    "a \"b\"\U0000000a"
    """
    return '"' + visible(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def visible(text: str) -> str:
    r"""Write characters that cannot be seen as TOML escapes them."""
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in text)


def _require_known(section: str, given: Iterable[str], known: Iterable[str], name: str) -> None:
    for word in given:
        if word not in known:
            where = f"[{section}] contains" if section else "has the section"
            near = did_you_mean(word, known) or "."
            raise MappingError(f"{name}: {where} {word!r}, which is not known{near} Use {', '.join(known)}.")
