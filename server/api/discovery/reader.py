"""Reads questions about rates. Hot: a valid question is read without a `RequestReader`."""

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from usage_management.v1 import rate_service_pb2 as pb

from server.api import names
from server.api.discovery.cache_key import FIRST_DAY, LAST_DAY
from server.api.names import BadName
from server.api.reader import FAULTS, all_faults, currencies, labels_fault
from server.domain.caches import memoize
from server.domain.errors import InvalidArgument
from server.domain.exact import ZERO, DecimalError, parse_decimal
from server.domain.ids import ResourceId
from server.domain.rating.discovery import DiscoveryQuestion
from server.domain.rating.sold_rates import AssetResourceKey, TargetResourceKey

Read = DiscoveryQuestion | InvalidArgument

# A name that is malformed raises and is not cached.
_cached = memoize(entries=16_384, entry_bytes=1_024)
_book = _cached(names.PRICE_BOOK.parse)
_product = _cached(names.PRODUCT.parse)
_resource = _cached(names.RESOURCE.parse)
_asset = _cached(names.ASSET.parse)
_account = _cached(names.ACCOUNT.parse)
_target = _cached(names.BINDING_TARGET.parse)
_token_unit = _cached(names.UNIT.parse)
_model = _cached(names.SELLING_MODEL.parse)


def read_question(question: pb.RateQuestion) -> Read:
    """Return a parsed question, or the refusal that names all its faults."""
    try:
        return _asked(question)
    except InvalidArgument as error:
        return error


def _asked(question: pb.RateQuestion) -> DiscoveryQuestion:
    try:
        return _read_in_order(question)
    except InvalidArgument:
        # Read again, because the fast way stops at the first fault.
        raise _faults_of(question) from None


def _faults_of(question: pb.RateQuestion) -> InvalidArgument:
    """Return the refusal with all faults of a question."""
    is_needed = not question.asset and not question.binding_target
    return all_faults(
        lambda: _name("price_book", question.price_book, _book, is_needed=is_needed),
        lambda: _name("product", question.product, _product, is_needed=is_needed),
        lambda: _name("usage_resource", question.usage_resource, _resource),
        lambda: _held(question, ResourceId("")),
        lambda: _unit(question, is_needed=is_needed),
        lambda: question.HasField("date") and _day(question),
        lambda: question.HasField("quantity") and _quantity(question.quantity.value),
        lambda: _name("selling_model", question.selling_model, _model, is_needed=False),
        lambda: _attributes(question.attributes),
    )


def _read_in_order(question: pb.RateQuestion) -> DiscoveryQuestion:
    is_needed = not question.asset and not question.binding_target
    book = _name("price_book", question.price_book, _book, is_needed=is_needed)
    product = _name("product", question.product, _product, is_needed=is_needed)
    (resource_id,) = _name("usage_resource", question.usage_resource, _resource)
    model = _name("selling_model", question.selling_model, _model, is_needed=False)
    return DiscoveryQuestion(
        resource_id,
        _held(question, resource_id),
        book and book[0],
        product and product[0],
        _unit(question, is_needed=is_needed),
        _day(question) if question.HasField("date") else None,
        _quantity(question.quantity.value) if question.HasField("quantity") else None,
        model and model[0],
        _attributes(question.attributes) if question.attributes else None,
    )


def _held(
    question: pb.RateQuestion, resource_id: ResourceId
) -> AssetResourceKey | TargetResourceKey | None:
    """Return the asset or the target that the question is about, if any."""
    target = question.binding_target
    if not target:
        asset = _name("asset", question.asset, _asset, is_needed=False)
        return None if asset is None else (*asset, resource_id)
    if "/bindingTargets/" in target:
        account_id, target_id = _name("binding_target", target, _target)
        return TargetResourceKey(account_id, target_id, resource_id)
    (account_id,) = _name("binding_target", target, _account)
    return TargetResourceKey(account_id, "", resource_id)


def _name(
    path: str, text: str, parse: Callable[[str], tuple[Any, ...]], *, is_needed: bool = True
) -> Any:
    if not text:
        if is_needed:
            raise InvalidArgument.at(path, "FIELD_REQUIRED", "is required")
        return None
    try:
        return parse(text)
    except BadName as error:
        raise InvalidArgument.at(path, error.reason, str(error)) from None


def _unit(question: pb.RateQuestion, *, is_needed: bool) -> str | None:
    """Return the currency or the token unit of the answer."""
    if not question.token_unit:
        return _currency(question.currency_code, is_needed=is_needed)
    (unit,) = _name("token_unit", question.token_unit, _token_unit)
    return str(unit)


def _currency(text: str, *, is_needed: bool) -> str | None:
    if text in currencies():
        return text
    if text:
        fault = "must be an ISO 4217 currency code in capitals"
        raise InvalidArgument.at("currency_code", "CURRENCY_UNKNOWN", fault)
    if is_needed:
        raise InvalidArgument.at("currency_code", "FIELD_REQUIRED", "is required")
    return None


def _day(question: pb.RateQuestion) -> date:
    value = question.date
    try:
        day = date(value.year, value.month, value.day)
    except ValueError:
        fault = "is not a day of the calendar"
        raise InvalidArgument.at("date", "DATE_INVALID", fault) from None
    if not FIRST_DAY <= day <= LAST_DAY:
        raise InvalidArgument.at("date", "DATE_INVALID", "must be from 1990-01-01 to 2200-01-01")
    return day


def _attributes(labels: Mapping[str, str]) -> dict[str, str]:
    fault = labels_fault(labels)
    if fault is not None:
        raise InvalidArgument.at("attributes", "LABELS_INVALID", fault)
    # As labels of usage: an empty one and a missing one are the same.
    return {name: value for name, value in labels.items() if value}


def _quantity(text: str) -> Decimal:
    try:
        quantity = parse_decimal(text)
    except DecimalError as error:
        raise InvalidArgument.at("quantity", error.reason, FAULTS[error.reason]) from None
    if quantity < ZERO:
        raise InvalidArgument.at("quantity", "QUANTITY_NEGATIVE", "must not be negative")
    return quantity
