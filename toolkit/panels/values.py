"""The values: words of the file for those of the schema, spellings, empty cells, and the corrections that are made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from toolkit.config import current
from toolkit.display import code, marked_change, plural, visible
from toolkit.model import ID, TIME, Column
from toolkit.panels.elements import Element, element, field_of, section, select, tick
from toolkit.panels.station import action
from toolkit.panels.steps import Step, Work
from toolkit.quality import CORRECTIONS, PATCH, WHOLE_ROW, Preview, correct, folded_spelling, preview_corrections
from toolkit.reading import Mapping, read_customers, remember

AS_IT_IS, NULL = "\0as it is", ""
MAX_SHOWN, MAX_SPELLINGS, LOOK = 30, 20_000, 5
IN_CODE = {"map_source": '{"ERP": "customer"}', "keep": "[56, 140]", "restamp": "True"}
"""Corrections whose option is not given here, with one: words are chosen above, and rows in the review."""


class Values(Step):
    """What the cells of a file become: it is kept in the mapping.

    Attributes
    ----------
    delivery
        The customers as the file has them, without what is chosen here.
    values, empty, corrections
        What is chosen, as a `Mapping` has it.
    """

    title = "Values"
    _preview: Preview | None = None

    # --- the plain object

    @property
    def mapping(self) -> Mapping:
        """The mapping with what is chosen here."""
        values = {column: words for column, words in self.values.items() if words}
        return replace(self.base, values=values, empty=self.empty, corrections=self.corrections)

    @property
    def preview(self) -> Preview:
        """What each correction would change in the cells as they are mapped here."""
        if self._preview is None:
            frame = self.delivery.frame
            new = {c: frame[c].replace(words).replace("", None).astype("str")
                   for c, words in self.values.items() if words and c in frame and c != TIME}  # fmt: skip
            tried = {name: option for name, option in self._options.items() if name != PATCH}
            self._preview = preview_corrections(replace(self.delivery, frame=frame.assign(**new)), tried)
        return self._preview

    def words(self, column: Column) -> dict[str, int]:
        """Return the file's words that a column with listed values does not take, with their counts."""
        counts = self.delivery.frame[column.name].value_counts().to_dict()
        return {str(word): int(n) for word, n in counts.items() if word not in column.values}

    def spellings(self) -> Iterator[tuple[str, dict[str, int]]]:
        """Yield the column and the spellings, with their counts, of what differs by case, spaces, accents or signs."""
        for column in self._columns():
            counts = self.delivery.frame[column.name].value_counts()
            if column.values or column.name == ID or len(counts) > MAX_SPELLINGS:
                continue
            alike: dict[str, dict[str, int]] = {}
            for text, n in counts.items():
                alike.setdefault(folded_spelling(str(text)), {})[str(text)] = int(n)
            yield from ((column.name, texts) for key, texts in alike.items() if key and len(texts) > 1)

    def _columns(self) -> list[Column]:
        columns, texts = current(None).documented.resource.columns, self.delivery.names
        return [column for column in columns if column.name in texts and column.kind == "string"]

    # --- as a step

    @property
    def calls(self) -> tuple[str, ...]:
        """The lines of Python and the command that do the same."""
        made = f"{self.work.called}.mapping.to_toml({self.work.toml!r}, overwrite=True)"
        return made, f"delivery = tk.correct({self.work.read})", self.work.command("check")

    def begin(self, work: Work) -> None:
        """Read the file as it is mapped, without its values; choices made before are kept while it is the same one."""
        mapping = self.base = work.mapping or Mapping()
        as_is = {column: words for column, words in mapping.values.items() if column == TIME}
        self.delivery = read_customers(work.source, mapping=replace(mapping, values=as_is, empty={}))
        self._preview = None
        if getattr(self, "_begun_with", self) is not work.suggestion:
            self._begun_with = work.suggestion
            self.values = {column: dict(words) for column, words in mapping.values.items()}
            self.empty, self.corrections = dict(mapping.empty), dict(mapping.corrections)
            self._options = dict(mapping.corrections)

    def finish(self, work: Work) -> None:
        """Give the mapping, and remember it with the header of the file."""
        work.mapping = self.mapping
        if work.suggestion is not None and work.mapping != self.base:
            remember(work.mapping, work.suggestion.header, work.suggestion.source)

    def kept(self) -> dict[str, Any]:
        """Return the choices."""
        return {name: getattr(self, name) for name in ("values", "empty", "corrections")}

    def restore(self, kept: dict[str, Any]) -> None:
        """Make the choices again."""
        self.values, self.empty, self.corrections = kept["values"], kept["empty"], kept["corrections"]
        self._preview, self._options = None, self._options | self.corrections

    # --- what a browser may ask for

    @action
    def map_word(self, column: str, word: str, value: str) -> str:
        """State what a word of the file becomes; `AS_IT_IS`: nothing else, empty: null."""
        return self._map(column, [word], value)

    @action
    def map_spellings(self, column: str, word: str, value: str) -> str:
        """State which one of the spellings alike takes the place of the others."""
        texts = next(texts for name, texts in self.spellings() if name == column and word in texts)
        return self._map(column, [text for text in texts if text != value], value, *texts)

    def _map(self, column: str, words: list[str], value: str, *free: str) -> str:
        known = self.values.setdefault(column, {})
        for word in (*words, *free):
            known.pop(word, None)
        known |= dict.fromkeys(words, value) if value != AS_IT_IS else {}
        self._preview = None
        return f"{', '.join(words)}: {self._becomes(value)}."

    @action
    def set_empty(self, column: str, value: str) -> str:
        """State what an empty cell of a column means: keep or clear."""
        self.empty = {c: how for c, how in self.empty.items() if c != column}
        self.empty |= {column: value} if value == "keep" else {}
        return f"Empty cells of {column}: {value}."

    @action
    def choose_correction(self, rule: str, value: bool) -> str:
        """Choose a correction, with the option that was tried, or leave it out; they run in the toolkit's order."""
        chosen = {n: option for n, option in self.corrections.items() if n != rule}
        chosen |= {rule: self.preview.options.get(rule, True)} if value else {}
        self.corrections = {n: chosen[n] for n in (*CORRECTIONS, PATCH) if n in chosen}
        return f"{rule} {'is' if value else 'is not'} made."

    @action
    def set_width(self, rule: str, value: str) -> str:
        """State the option of a correction that takes a number, and try it; an empty text: it has none."""
        option = {rule: int(value) if value.isdecimal() else value} if value else {}
        correct(self.delivery, option)  # it refuses what is no width
        self._options = {n: o for n, o in self._options.items() if n != rule} | option
        self._preview = None
        return self.choose_correction(rule, bool(value) and rule in self.corrections)

    # --- what is shown

    def view(self) -> Element:
        """Return the words, the spellings, the empty cells, and the corrections."""
        words = [(c, word, n) for c in self._columns() if c.values for word, n in self.words(c).items()]
        n_words = sum(word not in self.values.get(c.name, {}) for c, word, _ in words)
        left = f"{plural(n_words, 'word is', 'words are')} not of the schema" if n_words else "Every word is known"
        n_useful = sum(map(bool, self.preview.counts.values()))
        would = plural(n_useful, "correction") if n_useful else "no correction"
        empty = {c.name: int(self.delivery.frame[c.name].isna().sum()) for c in self._columns() if c.name != ID}
        made, others = ([self._correction(name, n) for name, n in self.preview.counts.items()
                         if bool(n or name in self.corrections) is useful] for useful in (True, False))  # fmt: skip
        rest = element("summary", f"{plural(len(others), 'correction has', 'corrections have')} nothing to change")
        asking = [self._asking(name) for name in CORRECTIONS if name not in self.preview.counts]
        ask = element("summary", f"{plural(len(asking), 'correction needs', 'corrections need')} an option")
        return self.framed(
            f"{left}; {would} would change something",
            _part("Words", "what each becomes; compared exactly", [self._word(*word) for word in words]),
            _part("Spellings alike", "they differ by case, spaces, accents or signs only: choose the one for all",
                  [self._alike(*texts) for texts in self.spellings()]),
            _part("Empty cells", "of a customer sent before", [self._empty(*c) for c in empty.items() if c[1]]),
            section("Corrections", "none is made unless it is ticked", element("ul", made),
                    element("details", rest, element("ul", others), key="others") if others else None,
                    element("details", ask, element("ul", asking), key="asking") if asking else None),
        )  # fmt: skip

    def _word(self, column: Column, word: str, n: int) -> Element:
        chosen = self.values.get(column.name, {}).get(word, AS_IT_IS)
        options = {v: self._becomes(v) for v in (AS_IT_IS, *column.values, NULL, chosen)}
        return self._choice("map_word", column.name, {word: n}, options, chosen, word=word)

    def _alike(self, column: str, texts: dict[str, int]) -> Element:
        known = self.values.get(column, {})
        chosen = next((known[text] for text in texts if known.get(text) in texts), AS_IT_IS)
        options = {AS_IT_IS: "leave each as it is", **{text: f"{text} for all" for text in texts}}
        return self._choice("map_spellings", column, texts, options, chosen, word=next(iter(texts)))

    def _empty(self, column: str, n: int) -> Element:
        options = {"clear": "clear what was sent", "keep": "keep what was sent"}
        return self._choice("set_empty", column, {"": n}, options, self.empty.get(column, "clear"))

    def _choice(self, do: str, column: str, texts: dict[str, int], options: dict[str, str], chosen: str,
                **action: str) -> Element:  # fmt: skip
        """Return a line with texts of a column, their counts, and what they may become."""
        name, first = self.delivery.names.get(column, column), next(iter(texts))
        shown = [[element("bdi", visible(text) or "empty"), element("small", plural(n, "row"))]
                 for text, n in list(texts.items())[:LOOK]]  # fmt: skip
        chooser = select(options, chosen, do, key=f"{do}-{column}-{first}", column=column,
                         label=f"{first or 'Empty cells'} of {name}", **action)  # fmt: skip
        waits = "warn" if do == "map_word" and chosen == AS_IT_IS else ""
        return element("li", element("b", name), element("span", shown), chooser, class_=f"vm {waits}")

    def _correction(self, name: str, n: int) -> Element:
        """Return a correction with what it would change."""
        option, chosen = self.preview.options.get(name), name in self.corrections
        changes = self.preview.changes[self.preview.changes["rule"] == name]
        said = f"drop {plural(n, 'row')}" if changes["column"].eq(WHOLE_ROW).all() else f"change {plural(n, 'cell')}"
        words = f"would {said}" if n else "nothing to change"
        told = [element("code", name if option is None else f"{name} = {option}"), " ", element("b", words),
                element("small", CORRECTIONS[name].__doc__)]  # fmt: skip
        rows = [
            element("li", element("small", f"row {c['source_row']} · {c['column']} "), old, " → ", new)
            for c in changes.head(LOOK).to_dict("records")
            for old, new in [marked_change(c["before"], c["after"])]
        ]
        ticked = tick(told, chosen, "choose_correction", key=f"correction-{name}", rule=name,
                      disabled=not n and not chosen)  # fmt: skip
        look = element("details", element("summary", "Look at some"), element("ul", rows), key=f"look-{name}")
        return element("li", ticked, self._width(name, str(option)), look if rows else None, class_="vc")

    def _asking(self, name: str) -> Element:
        """Return a correction that has no option yet, with the field for it or the call that makes it."""
        call = code(f'corrected = tk.correct(delivery, {{"{name}": {IN_CODE[name]}}})') if name in IN_CODE else ""
        said = element("p", element("code", name), element("small", CORRECTIONS[name].__doc__, class_="b"))
        return element("li", said, self._width(name, ""), call, class_="vc")

    def _width(self, name: str, value: str) -> Element | None:
        return field_of("Digits of an id", value, "set_width", key=f"width-{name}", kind="number",
                        rule=name) if name == "pad_ids" else None  # fmt: skip

    def _becomes(self, value: str) -> str:
        return {AS_IT_IS: "stays as it is", NULL: "nothing (empty)"}.get(value, f"becomes {value}")


def _part(title: str, brief: str, lines: list[Element]) -> Element | None:
    more = len(lines) - MAX_SHOWN
    rest = element("p", f"and {more:,} more", class_="soft") if more > 0 else None
    return section(title, brief, element("ul", lines[:MAX_SHOWN]), rest, key=title) if lines else None
