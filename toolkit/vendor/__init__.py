"""The vendor's API: the client, batches, the meaning of answers, the schema calls, and a sandbox of the vendor.

The client sends one request and returns its answer as it came; `read_answer` says what it means for each row. The
sandbox is a local server that keeps the same contract; it shares no code with the rest.

May import: `config`, `model` and what is below.
"""

from toolkit.vendor.answers import Answer, Verdict, read_answer
from toolkit.vendor.batches import Batch, BodyKeys, Envelope
from toolkit.vendor.client import Client
from toolkit.vendor.connection import connected, pace_folder
from toolkit.vendor.refusals import Remark
from toolkit.vendor.sandbox import Sandbox
from toolkit.vendor.schema_check import SchemaCheck, add_attribute, ask_schema, check_schema
