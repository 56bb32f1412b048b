"""Results as text and HTML: escaped, light and dark, without a script or an outside address.

May import: `characters`, `errors`, `files`. A result extends `Result`; its page is made of the components here.
"""

from toolkit.display.components import Markup, Result, ShownFrame, Tone, alerts, badge, badges, bar, details, escape
from toolkit.display.components import frame_table, heading, is_null, lines, paragraph, percent, plural, table, tally
from toolkit.display.components import timeline, timestamp, visible
