"""Results as text and HTML: escaped, light and dark, complete tables, nothing from outside.

May import: `characters`, `errors`, `files`. A result extends `Result`; its page is made of the pieces and grids here.
"""

from toolkit.display.texts import Markup, breakable, escape, is_null, noun, percent, plural, shortened, timestamp
from toolkit.display.texts import visible
from toolkit.display.pieces import EMPTY, Part, Tone, badge, card, cards, change_within, code, figures, fold, gauge
from toolkit.display.pieces import headline, joined, key, marked_change, meter, notes, paragraph, pick, section, stack
from toolkit.display.pieces import symbol, tally, timeline
from toolkit.display.grid import ALL, MAX_ROWS, Cell, Column, Unit, frame_table, grid, head_of
from toolkit.display.result import MIME, SCRIPT, STYLE, Result, ShownFrame, fragment, page
