"""The other side of the wire: the client, batches, what an answer says, the schema calls; and a sandbox of the vendor.

May import: `config`, `model` and what is below. The sandbox shares no code with the rest.
"""

from toolkit.vendor.answers import Answer, Verdict, read_answer
from toolkit.vendor.batches import Batch, BodyKeys, Envelope
from toolkit.vendor.client import Client
from toolkit.vendor.connection import connected, pace_folder
from toolkit.vendor.refusals import Refusal
from toolkit.vendor.sandbox import Sandbox
from toolkit.vendor.schema_check import SchemaCheck, add_attribute, ask_schema, check_schema

__all__ = [
    "Answer",
    "Batch",
    "BodyKeys",
    "Client",
    "Envelope",
    "Refusal",
    "Sandbox",
    "SchemaCheck",
    "Verdict",
    "add_attribute",
    "ask_schema",
    "check_schema",
    "connected",
    "pace_folder",
    "read_answer",
]
