"""Panels: the stations of an ingestion as controls in a notebook; each shows a plain object, without logic of its own.

A `Station` is the state, without widgets: what is shown is a tree of `Element`s, what may be done are its actions. A
`Panel` shows one in JupyterLab.

May import: `results`, `pushing` and what is below. Only this package imports anywidget.
"""

from toolkit.panels.elements import Action, Element, button, cell, element, field_of, note, same_as, select, tick
from toolkit.panels.station import Station, action
from toolkit.panels.panel import Panel
from toolkit.panels.steps import Step, Work, described, table
from toolkit.panels.columns import Columns, MappingPanel
from toolkit.panels.file_step import File
from toolkit.panels.background_push import BackgroundPush
from toolkit.panels.push_panel import PushPanel, PushStation
from toolkit.panels.values import Values
from toolkit.panels.review import Edit, Review, ReviewPanel
from toolkit.panels.session import OnboardPanel, Session, onboard
