"""Filters of lists: what several list requests have in common."""

from uuid import UUID

from server.api import names
from server.api.names import Name
from server.api.reader import Form
from server.domain.ids import ProductId, ResourceId
from server.store.keys import Window


def product_from_form(form: Form) -> ProductId | None:
    """Return the product that a list is filtered by."""
    found = form.optional_name("product", names.PRODUCT)
    return None if found is None else ProductId(found[0])


def resource_from_form(form: Form) -> ResourceId | None:
    """Return the usage resource that a list is filtered by."""
    found = form.optional_name("usage_resource", names.RESOURCE)
    return None if found is None else ResourceId(found[0])


def id_of_account(form: Form, field: str, pattern: Name, account_id: str) -> UUID | None:
    """Return the id of what a list is filtered by, which has to be of the account."""
    found = form.optional_name(field, pattern)
    if found is None:
        return None
    if found[0] != account_id:
        form.fault(field, "NAME_FORMAT", f"must be one of accounts/{account_id}")
    id_: UUID = found[1]
    return id_


def window_from_form(form: Form, what: str = "") -> Window:
    """Return the window of `start_{what}time` and `end_{what}time`, which is half-open."""
    start, end = f"start_{what}time", f"end_{what}time"
    window = Window(form.optional_time(start), form.optional_time(end))
    if window.start is not None and window.end is not None and window.end <= window.start:
        form.fault(end, "INTERVAL_INVALID", f"must be after {start}")
    return window


def created_from_form(form: Form) -> Window:
    """Return the window of create times that a list is filtered by."""
    return window_from_form(form, "create_")
