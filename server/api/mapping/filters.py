"""The filters that several list requests share."""

from uuid import UUID

from server.api import names
from server.api.names import Name
from server.api.reader import RequestReader
from server.domain.ids import ExternalId, ProductId, ResourceId
from server.store.keys import TimeWindow


def product_from_reader(reader: RequestReader) -> ProductId | None:
    """Return the product that a list is filtered by, if any."""
    ids = reader.optional_name("product", names.PRODUCT)
    return None if ids is None else ProductId(ids[0])


def resource_from_reader(reader: RequestReader) -> ResourceId | None:
    """Return the usage resource that a list is filtered by, if any."""
    ids = reader.optional_name("usage_resource", names.RESOURCE)
    return None if ids is None else ResourceId(ids[0])


def external_id_from_reader(reader: RequestReader) -> ExternalId | None:
    """Return the caller's own id of an asset, if the request has one."""
    return ExternalId(reader.code("external_id")) if reader.message.external_id else None


def id_of_account(reader: RequestReader, field: str, pattern: Name, account_id: str) -> UUID | None:
    """Return the id in a filter, which must belong to the account; None if there is none."""
    ids = reader.optional_name(field, pattern)
    if ids is None:
        return None
    if ids[0] != account_id:
        reader.fault(field, "NAME_FORMAT", f"must be one of accounts/{account_id}")
    id_: UUID = ids[1]
    return id_


def window_from_reader(reader: RequestReader, what: str = "") -> TimeWindow:
    """Return the half-open window of `start_{what}time` and `end_{what}time`."""
    start, end = f"start_{what}time", f"end_{what}time"
    window = TimeWindow(reader.optional_time(start), reader.optional_time(end))
    if window.start is not None and window.end is not None and window.end <= window.start:
        reader.fault(end, "INTERVAL_INVALID", f"must be after {start}")
    return window


def created_from_reader(reader: RequestReader) -> TimeWindow:
    """Return the window of create times that a list is filtered by."""
    return window_from_reader(reader, "create_")
