"""Workbooks (.xlsx, .xlsm, .xls, .ods), opened in a process of their own; each sheet comes back as its filled cells.

A workbook is a stranger's program for its reader: a few bytes can claim terabytes, or take a library down. So the child
process is the boundary: it has limits, it imports little (neither pandas nor numpy, so that it starts in a tenth of a
second), and whatever ends it is one sentence about the file.

May import: `errors`.
"""

from toolkit.spreadsheets.opening import Sheet, open_workbook
from toolkit.spreadsheets.sheets import ERROR, TIMES, UNREAD
