"""The columns: which column of a file becomes which of the schema, chosen from what `suggest_mapping` proposes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pandas as pd
import pyarrow as pa

from toolkit.config import current, use
from toolkit.display import Tone, plural
from toolkit.errors import InputError
from toolkit.model import TIME, Column, CustomAttribute, Kind, Times, parse_times
from toolkit.panels.elements import Element, button, cell, element, field_of, form_of, note, select, short
from toolkit.panels.panel import Panel
from toolkit.panels.station import action
from toolkit.panels.steps import Step, Work, described, table
from toolkit.reading import Mapping, MappingSuggestion, Remembered, doubts, remember, suggest_mapping

ROWS = 5
NOT_THERE, CONSTANT = "\0none", "\0constant"
"""Choices that are no column of the file."""
BARS = {"sure": 3, "your choice": 3, "as last time": 3, "likely": 2, "you decide": 1}
ZONES = ("UTC", "Europe/Berlin", "Europe/Zurich", "Europe/Vienna", "Europe/London", "Europe/Paris", "America/New_York")


class Columns(Step):
    """Which column of a file becomes which of the schema.

    Attributes
    ----------
    suggestion
        What `suggest_mapping` found in the file.
    columns, constants
        Schema column to the file's column, and to the value of every row.
    decided
        The schema columns about which the analyst decided.
    ignored
        The columns of the file that are left out on purpose.
    attributes
        The custom attributes that were made here, which no ``toolkit.toml`` names, with their data types.
    """

    title = "Columns"

    def __init__(self, suggestion: MappingSuggestion | None = None, *, known: bool = True) -> None:
        super().__init__()
        self.attributes = dict[str, Kind]()
        if suggestion is not None:
            self.start(suggestion, known=known)

    def start(self, suggestion: MappingSuggestion, *, known: bool = True) -> None:
        """Begin with what was proposed; `known`: with the mapping that such a file had last, if there is one."""
        self.suggestion = suggestion
        self.known: Remembered | None = suggestion.remembered if known else None
        base = self.known.mapping if self.known else suggestion.mapping
        form = {key: getattr(suggestion.stated, key) for key in ("encoding", "delimiter", "sheet", "header_row")}
        self.base = replace(base, path=None, **form)
        names = {column.name for column in self.schema}  # an attribute that was made in another kernel is asked for
        self.columns, self.constants = {c: of for c, of in base.columns.items() if c in names}, dict(base.constants)
        self.decided = {*base.columns, *base.constants} if self.known else set[str]()
        self.ignored = set(self.known.header) - set(base.columns.values()) if self.known else set[str]()
        self.freed = dict[str, str]()
        self.work.saved = ""

    # --- the plain object

    @property
    def mapping(self) -> Mapping:
        """What was chosen, as a mapping."""
        return replace(self.base, columns=dict(self.columns), constants=dict(self.constants))

    @property
    def schema(self) -> tuple[Column, ...]:
        """The columns that are expected, custom attributes included."""
        return current(None).documented.resource.columns

    @property
    def unused(self) -> list[str]:
        """The columns of the file that become nothing, and are not ignored."""
        used = {*self.columns.values(), *self.ignored}
        return [name for name in self.suggestion.contents if name not in used]

    def open_questions(self) -> Iterator[tuple[str, str]]:
        """Yield what has to be decided: the key of the control, and a sentence."""
        states = {p.column: p.state for p in self.suggestion.proposals}
        for column in self.schema:
            name = column.name
            if name in self.constants:
                if not self.constants[name]:
                    yield f"constant-{name}", f"Write the value of {name} for every row."
            elif name not in self.columns and not column.nullable:
                yield f"column-{name}", f"Choose the column for {name}, which is required."
            elif self._chosen(name) == "" and (name in self.freed or states.get(name) == "ambiguous"):
                yield f"column-{name}", f"Decide on {name}: choose a column, or that it is not in this file."
        if TIME in self.columns and (times := self.suggestion.contents[self.columns[TIME]].times):
            if times.state in ("ambiguous", "mixed") and not self.base.datetime:
                yield "datetime", f"Choose how the dates in {self.columns[TIME]} are written."
            if times.n_naive and not self.base.timezone:
                yield "timezone", f"Choose the time zone of {self.columns[TIME]}: its times name none."
        if self.unused:
            yield "ignore-all", f"Not used: {', '.join(self.unused)}. Use them, or ignore them."

    def missing(self) -> str:
        """Return what has to be decided before the next step."""
        self.focus, sentence = next(self.open_questions(), ("", ""))
        return sentence

    @property
    def brief(self) -> str:
        """How many columns are found."""
        return f"{len(self.columns) + len(self.constants)} of {len(self.schema)}" if hasattr(self, "suggestion") else ""

    @property
    def calls(self) -> tuple[str, ...]:
        """The lines of Python and the command that do the same."""
        made = () if self.work.saved else (f"{self.work.called}.mapping.to_toml({self.work.toml!r})",)
        new = ", ".join(f'{{ name = "{n}", data_type = "{kind}" }}' for n, kind in self.attributes.items())
        listed = (f"# at the top of toolkit.toml: attributes = [{new}]",) if new else ()
        return (*listed, *made, f"delivery = {self.work.read}", self.work.command("check"))

    # --- as a step

    def begin(self, work: Work) -> None:
        """Take the suggestion; choices made before are kept while it is the same one."""
        if work.suggestion is not None and getattr(self, "suggestion", None) is not work.suggestion:
            self.start(work.suggestion)

    def finish(self, work: Work) -> None:
        """Give the mapping, and remember it with the header of the file."""
        work.mapping = self.mapping
        remember(self.mapping, self.suggestion.header, self.suggestion.source)

    def kept(self) -> dict[str, Any]:
        """Return the choices."""
        return {"columns": self.columns, "constants": self.constants, "attributes": self.attributes,
                "datetime": self.base.datetime, "timezone": self.base.timezone,
                "decided": sorted(self.decided), "ignored": sorted(self.ignored)}  # fmt: skip

    def restore(self, kept: dict[str, Any]) -> None:
        """Make the choices again; a column that the file no longer has is open again."""
        here = set(self.suggestion.contents)
        for name, kind in kept["attributes"].items():
            self._make(name, kind)
        self.columns = {c: name for c, name in kept["columns"].items() if name in here}
        self.constants = kept["constants"]
        self.base = replace(self.base, datetime=kept["datetime"], timezone=kept["timezone"])
        self.decided, self.ignored = set(kept["decided"]), set(kept["ignored"]) & here

    # --- what a browser may ask for

    @action
    def choose(self, column: str, value: str) -> str:
        """Choose the column of the file for one of the schema; whoever had it is free again."""
        for each in (self.freed, self.columns, self.constants):
            each.pop(column, None)
        self.decided.add(column)
        if value == CONSTANT:
            self.constants[column], self.focus = "", f"constant-{column}"
            return f"{column} has the same value in every row."
        if value == NOT_THERE:
            return f"{column} is not in this file."
        said = f"{value} becomes {column}."
        for other in [c for c, name in self.columns.items() if name == value]:
            del self.columns[other]
            self.decided.discard(other)
            self.freed[other] = f"{value} is now {column}: {other} is free again."
            said += f" {other} is free again."
        self.columns[column] = value
        self.ignored.discard(value)
        if column == TIME:
            times = self.suggestion.contents[value].times
            self.base = replace(self.base, datetime=times.pattern if times else None)
        return said

    @action
    def set_constant(self, column: str, value: str) -> None:
        """State the value of every row."""
        self.constants[column] = value

    @action
    def set_datetime(self, value: str) -> None:
        """State how the dates are written: a pattern of strptime, empty for ISO 8601."""
        self.base = replace(self.base, datetime=value or None)  # it refuses what is no pattern

    @action
    def set_timezone(self, value: str) -> str:
        """State the zone of times that name none."""
        self.base = replace(self.base, timezone=value or None)  # it refuses what is no zone
        return f"The times are read as {value}."

    @action
    def ignore(self, name: str = "") -> str:
        """Leave a column of the file out, without a name all that are not used."""
        names = [name] if name else self.unused
        self.ignored.update(names)
        return f"Ignored: {', '.join(names)}."

    @action
    def heed(self, name: str) -> None:
        """Take back that a column is ignored."""
        self.ignored.discard(name)

    @action
    def add_attribute(self, name: str, value: str) -> str:
        """Send a column of the file as a custom attribute of this data type."""
        column = re.sub(r"\W+", "_", name.casefold(), flags=re.ASCII).strip("_")
        self._make(column, value)  # type: ignore[arg-type]  # it refuses others
        self.choose(column, name)
        return f"{name} becomes the custom attribute {column}."

    def _make(self, column: str, kind: Kind) -> None:
        settings, made = current(None), CustomAttribute(column, kind)
        if column not in {known.name for known in settings.attributes}:
            use(settings.model_copy(update={"attributes": (*settings.attributes, made)}))
            self.attributes[column] = kind

    @action
    def start_afresh(self) -> str:
        """Forget the remembered mapping, and begin with what the file itself says."""
        self.start(self.suggestion, known=False)
        return "The proposals are those of the file alone."

    @action
    def save(self, fields: dict[str, str]) -> str:
        """Write the mapping as TOML, beside the notebook."""
        path = fields["path"].strip()
        if not path:
            raise InputError("The mapping needs a name for its file, such as customers.toml.")
        self.mapping.to_toml(path, overwrite=path == self.work.saved)
        self.work.saved = path
        return f"{path} is written."

    # --- what is shown

    def view(self) -> Element:
        """Return the choices, and five rows before and after."""
        head, n_open = self.suggestion.head, len(list(self.open_questions()))
        left = f"; {plural(n_open, 'question is', 'questions are')} open" if n_open else ""
        used, found = set(self.columns.values()), f"{self.brief} columns are found{left}"
        before = [(str(n), "", "use" if n in used else "", [cell(text) for text in head[n][:ROWS]]) for n in head]
        after = [(column.name, described(column), "", self._becomes(column)) for column in self.schema]
        known = note("changed", f"{self.known}. ", button("Start afresh", "start_afresh")) if self.known else None
        return self.framed(
            found,
            known,
            [note("warn", warning) for warning in self.suggestion.warnings],
            element("ol", [self._line(column) for column in self.schema], class_="maps"),
            self._left_over(),
            element("p", "Your table", class_="lab"),
            table("Your table", before),
            element("p", "↓ will become", class_="lab"),
            table("Will become", after),
            form_of("Keep the mapping as a file", self.work.toml, "Save", "save", key="path", class_="row foot"),
        )

    def _line(self, column: Column) -> Element:
        name, contents = column.name, self.suggestion.contents
        chosen, (word, tone) = self._chosen(name), self._confidence(column)
        taken = {of: c for c, of in self.columns.items() if c != name}
        options = {"": "— choose —"} if chosen == "" else {}
        options |= {each: f"{each} (now {taken[each]})" if each in taken else each for each in contents}
        options |= {CONSTANT: "the same value in every row …", NOT_THERE: "not in this file"}
        common = contents[chosen].values.most_common(3) if chosen in contents else []
        samples = [element("bdi", short(text)) for text, _ in common]
        bars = [element("i", class_="on" if at < BARS.get(word, 0) else "") for at in range(3)]
        required = None if column.nullable else element("abbr", " *", title="required")
        named = element("label", element("code", name), for_=f"column-{name}")
        return element(
            "li",
            element("div", named, required, element("small", described(column), class_="b")),
            element("div",
                    select(options, chosen, "choose", key=f"column-{name}", about=f"evidence-{name}", column=name),
                    element("span", bars, element("b", word), class_=f"cf {tone}"),
                    element("p", samples, class_="smp") if samples else None,
                    self._constant(column) if chosen == CONSTANT else None),
            element("div", self._evidence(column, chosen), key=f"evidence-{name}", class_="ev"),
            self._times(chosen) if name == TIME and chosen in contents else None,
            class_=f"mp {tone}", key=f"line-{name}",
        )  # fmt: skip

    def _chosen(self, name: str) -> str:
        if name in self.constants:
            return CONSTANT
        return self.columns.get(name, NOT_THERE if name in self.decided else "")

    def _confidence(self, column: Column) -> tuple[str, Tone]:
        chosen = self._chosen(column.name)
        if chosen == NOT_THERE:
            return "not in this file", "calm" if column.nullable else "warn"
        if column.name in self.decided:
            same = self.known is not None and self.known.mapping.columns.get(column.name) == chosen
            return "as last time" if same else "your choice", "good"
        found = [p.confidence for p in self.suggestion.proposals if p.column == column.name]
        word, tone = found[0] if found else ("nothing found", "calm")
        nothing = word == "nothing found" and column.nullable
        return (word, tone) if chosen or nothing else ("you decide", "warn")

    def _evidence(self, column: Column, chosen: str) -> list[Element]:
        candidates = self.suggestion.candidates.get(column.name, [])
        lines = [part for c in candidates if c.name == chosen for part in c.reason.split("; ")]
        if not chosen:
            others = (p.others for p in self.suggestion.proposals if p.column == column.name)
            lines = [f"{c.name}: {c.reason}" for each in others for c in each]
        content = self.suggestion.contents.get(chosen)
        against = [*(doubts(column, content, self.mapping) if content else []), self.freed.get(column.name, "")]
        return [element("ul", [element("li", line[:1].upper() + line[1:]) for line in lines]),
                *(element("p", f"! {line}", class_="why warn") for line in against if line)]  # fmt: skip

    def _constant(self, column: Column) -> Element:
        key, value, label = f"constant-{column.name}", self.constants[column.name], "Value of every row"
        if not column.values:
            return field_of(label, value, "set_constant", key=key, column=column.name)
        options = {"": "— choose —"} | {v: v for v in column.values}
        return select(options, value, "set_constant", key=key, label=label, column=column.name)

    def _times(self, name: str) -> Element:
        times = self.suggestion.contents[name].times
        patterns = {r.pattern: _example(r.pattern) for r in times.readings if r.pattern} if times else {}
        written = _example(self.base.datetime) if self.base.datetime else "ISO 8601"
        pattern = field_of(f"Written as, here {written}", self.base.datetime or "", "set_datetime", key="datetime",
                           listed=patterns)  # fmt: skip
        zone = field_of("Time zone, of times that name none", self.base.timezone or "", "set_timezone", key="timezone",
                        listed=dict.fromkeys(ZONES, ""))  # fmt: skip
        return element(
            "fieldset",
            element("legend", "Dates in ", element("b", name)),
            element("div", pattern, zone, class_="row"),
            element("p", list(self._conversions(name)), class_="conv"),
            class_="times",
        )  # fmt: skip

    def _conversions(self, name: str) -> Iterator[Element]:
        """Yield a time before and after, and one of the other half of the year."""
        cells = pd.Series(list(self.suggestion.contents[name].values)[:200], dtype="str")
        read = self._read(cells).values
        local = read.dropna().dt.tz_convert(self.base.timezone or "UTC")
        summer = local.map(lambda moment: bool(moment.dst()))
        for at in summer.drop_duplicates().index:
            yield element("span", element("bdi", short(cells[at])), " → ", element("b", f"{read[at]:%Y-%m-%d %H:%M}Z"),
                          " summer time" if summer[at] else "", class_="b")  # fmt: skip

    def _left_over(self) -> Element:
        kinds = {"": "as a custom attribute …"} | {kind: f"as {kind}" for kind in get_args(Kind)}
        lines = [
            element("li", element("b", n), button("Ignore", "ignore", name=n, said=f"Ignore {n}"),
                    select(kinds, "", "add_attribute", key=f"attribute-{at}", label=f"Send {n}", name=n), class_="row")
            for at, n in enumerate(self.unused)
        ]  # fmt: skip
        lines += [element("li", button("Ignore all of them", "ignore", key="ignore-all"))] if lines else []
        back = [button(f"{name} ↺", "heed", name=name, said=f"Do not ignore {name}") for name in sorted(self.ignored)]
        return element(
            "div",
            element("p", "Not used yet", class_="lab") if lines else None,
            element("ul", lines),
            element("p", "Ignored: ", back, class_="row s") if back else None,
            element(
                "p",
                f"Known to this session alone: {', '.join(self.attributes)}. Other sessions and commands know a "
                "custom attribute from toolkit.toml; its line is below.",
                class_="s",
            )
            if self.attributes
            else None,
            key="left-over",
        )

    def _read(self, cells: pd.Series[Any]) -> Times:
        texts = pa.chunked_array([pa.array(cells.to_list(), pa.large_string())])
        return parse_times(texts, pattern=self.base.datetime, timezone=self.base.timezone, iso_too=True)

    def _becomes(self, column: Column) -> list[Element]:
        """Return the cells of a schema column in the first rows, typed, each with what is wrong with it."""
        head, name = self.suggestion.head[:ROWS], column.name
        constant = pd.Series(self.constants.get(name, ""), head.index)
        texts = head[self.columns[name]] if name in self.columns else constant
        texts = texts.replace(self.base.values.get(name, {})).mask(lambda cells: cells.isin(self.base.nulls), "")
        if name == TIME:
            read = self._read(texts)
            whys = ["" if known else "no time zone" if naive else "no such time"
                    for known, naive in zip(read.values.notna(), read.naive, strict=True)]  # fmt: skip
            shown = read.values.dt.strftime("%Y-%m-%d %H:%MZ").where(read.values.notna(), texts.to_numpy()).to_list()
        else:
            allowed, shown = ("", *column.values), list(texts)
            whys = ["not one of them" if column.values and text not in allowed else
                    "required" if not text and not column.nullable else "" for text in texts]  # fmt: skip
        return [cell(text, class_="mark bad" if why else "", why=why) for text, why in zip(shown, whys, strict=True)]


def _example(pattern: str) -> str:
    return f"{pd.Timestamp('2026-12-31T23:59'):{pattern}}"


class MappingPanel(Panel):
    """A panel that maps the columns of a source; `mapping` is what was chosen.

    Parameters
    ----------
    source
        A file, a folder of part-files, a frame: whatever `suggest_mapping` takes.
    mapping
        What is known already, as `suggest_mapping` takes it.
    """

    station: Columns

    def __init__(self, source: Any, *, mapping: Mapping | str | Path | None = None) -> None:
        super().__init__(Columns(suggest_mapping(source, mapping=mapping)))
        self.station.work.source = source

    @property
    def mapping(self) -> Mapping:
        """What was chosen, as a `Mapping`."""
        return self.station.mapping
