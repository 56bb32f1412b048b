"""Results as text and HTML: escaped, light and dark, without a script or an outside address.

May import: `errors`, `files`. A result extends `Result`; its page is put together from the components here.
"""

from toolkit.display.components import (
    Markup,
    Result,
    Tone,
    alerts,
    badge,
    badges,
    bar,
    details,
    escape,
    frame_table,
    heading,
    is_null,
    lines,
    paragraph,
    percent,
    plural,
    table,
    tally,
    timeline,
    timestamp,
    visible,
)
