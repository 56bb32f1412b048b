"""What a customer is: the vendor's contract as data, the schema, types, times, JSON, and a delivery of customers.

May import: `display`, `tables` and what is below.
"""

from toolkit.model.attributes import CustomAttribute
from toolkit.model.contract import APRIL_2026, CONTRACTS, CUSTOMER, ID, NAME, TIME, Column, Contract, Kind, Operation
from toolkit.model.contract import FEATURES, KINDS, MERCHANTS, QUOTES, SALES, VERSIONS, PathStyle, Resource, kind_of
from toolkit.model.delivery import BROKEN_COLUMNS, Customers, Delivery, DeliveryKind, Language, as_delivery
from toolkit.model.delivery import require_key
from toolkit.model.dtypes import Unread, cast_column, cast_frame, to_series, typed_frame
from toolkit.model.json_rows import EncodedRows, each_once, encode, exceeds, is_oversized
from toolkit.model.json_rows import max_row_bytes, may_be_oversized
from toolkit.model.schema import NOT_A_TIME, NOT_OF_TYPE, TOO_LARGE, UNIQUE, Customer, empty_frame, reason, schema_for
from toolkit.model.schema import too_large
from toolkit.model.texts import as_text, cell_text, has_text, is_short
from toolkit.model.times import Times, zoned_moment, parse_times, pattern_fault, utc_times, written_times
