"""Succession: end a record in force on a day, and begin its successor on that day.

Rates, resources of products and their grants change over time in this one act, without a gap and
without an overlap. What was sold keeps its terms.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Generic, TypeVar

from server.domain.errors import FailedPrecondition, InvalidArgument
from server.domain.ids import ProductGrantId, ProductId, ProductResourceId
from server.domain.modeling.catalog import (
    CatalogState,
    ProductGrant,
    ProductResource,
    StoredRecord,
    differences,
)
from server.domain.validation.activation import check_activation
from server.store.access import tenants
from server.store.connection import Transaction
from server.store.modeling import product_grants, records
from server.store.modeling.catalog import PRODUCT_GRANT
from server.store.modeling.records import Kind
from server.usecases.catalog_changes.activation import load_setup
from server.usecases.modeling import edits
from server.usecases.modeling.edits import ActiveCheck, Check, Record, accept, accept_active
from server.usecases.modeling.records import create

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Succession(Generic[T]):
    """The record in force, the id and the first day of its successor, and what is different in it.

    `merge` returns the content of the successor from the record in force; its id and days are set
    by the use case.
    """

    record: Record[T]
    successor_id: str
    start: date
    merge: Callable[[StoredRecord[T]], T]
    check: Check[T] = accept
    check_entering: ActiveCheck[T] = accept_active


@dataclass(frozen=True, slots=True)
class Succeeded(Generic[T]):
    """Both records after the act."""

    predecessor: StoredRecord[T]
    successor: StoredRecord[T]


async def supersede(tx: Transaction, succession: Succession[T]) -> Succeeded[T]:
    """End a record in force, and put its successor in force on the same day.

    A repeat changes nothing. Raises `…_NOT_FOUND`, ETAG_MISMATCH, STATE_TRANSITION,
    INTERVAL_INVALID, CODE_TAKEN, and the errors of the checks.
    """
    # Serializes with activations, which must not add an overlapping record meanwhile.
    await tenants.bump_catalog(tx)
    kind, start = succession.record.kind, succession.start
    found = await records.get(tx, kind, *succession.record.key)
    begin, end = kind.dates
    merged = succession.merge(found)
    successor = _with(merged, {"id": succession.successor_id, begin: start})
    known = await _known(tx, succession, found, successor)
    if known is not None:
        return known
    edits.check_etag(succession.record, found)
    _check_successor(kind, found.content, successor)
    _check_start(found, (getattr(found.content, begin), getattr(found.content, end)), start)
    today = (await tenants.now(tx)).date()
    if start < today:
        text = f"must not be before today, {today}, because usage of earlier days has a price"
        raise InvalidArgument.at("start_date", "INTERVAL_INVALID", text)
    ended = _with(found.content, {end: start})
    await records.save(tx, kind, ended, revision=found.revision)
    checked = await succession.check(tx, successor)
    draft = await create(tx, kind, checked)
    await edits.check_references(tx, succession.record, draft)
    await succession.check_entering(tx, checked)
    await records.move(tx, kind, draft, CatalogState.ACTIVE)
    return Succeeded(
        await records.get(tx, kind, *succession.record.key),
        await records.get(tx, kind, *kind.key(checked)),
    )


async def supersede_of_product(tx: Transaction, succession: Succession[T]) -> Succeeded[T]:
    """Supersede a record of a product, and check the rules of activation for the whole product.

    Raises the errors of `supersede`, EFFECTIVITY_OVERLAP and VALIDATION_FAILED.
    """
    done = await supersede(tx, succession)
    await _check_product(tx, succession.record.key[0])
    return done


async def supersede_resource(
    tx: Transaction, succession: Succession[ProductResource], grant_ids: Mapping[str, str]
) -> Succeeded[ProductResource]:
    """Supersede a resource of a product together with its grants.

    Each active grant of the resource that lasts beyond the day ends on it and continues under the
    new resource, with the id that `grant_ids` has for it. Raises the errors of
    `supersede_of_product`, and FIELD_REQUIRED for a grant without a new id.
    """
    # Before the grants are read, so that none is activated meanwhile.
    await tenants.bump_catalog(tx)
    product_id, held_id = succession.record.key
    grants = await product_grants.of_resource(tx, product_id, held_id)
    for grant_id in sorted(grant_ids):
        await records.get(tx, PRODUCT_GRANT, product_id, grant_id)
    done = await supersede(tx, succession)
    for grant in grants:
        content = grant.content
        if content.end_date is not None and content.end_date <= succession.start:
            continue
        await _continue_grant(tx, grant, succession, grant_ids.get(content.id))
    await _check_product(tx, product_id)
    return done


async def _continue_grant(
    tx: Transaction,
    grant: StoredRecord[ProductGrant],
    succession: Succession[ProductResource],
    successor_id: str | None,
) -> None:
    """End a grant with its resource, and continue it under the new one."""
    content, start = grant.content, succession.start
    if successor_id is None:
        text = f"must have an id for the successor of {content.id}, which lasts beyond {start}"
        raise InvalidArgument.at("grant_ids", "FIELD_REQUIRED", text)
    if content.start_date is not None and content.start_date >= start:
        # It has not begun, so nothing of it is left to end.
        await records.move(tx, PRODUCT_GRANT, grant, CatalogState.INACTIVE)
        begin = content.start_date
    else:
        ended = replace(content, end_date=start)
        await records.save(tx, PRODUCT_GRANT, ended, revision=grant.revision)
        begin = start
    successor = replace(
        content,
        id=ProductGrantId(successor_id),
        held_id=ProductResourceId(succession.successor_id),
        start_date=begin,
    )
    draft = await create(tx, PRODUCT_GRANT, successor)
    await records.move(tx, PRODUCT_GRANT, draft, CatalogState.ACTIVE)


async def _known(
    tx: Transaction, succession: Succession[T], found: StoredRecord[T], successor: T
) -> Succeeded[T] | None:
    """Return both records if the same act was done before."""
    kind = succession.record.kind
    there = await records.find(tx, kind, *kind.key(successor))
    is_ended = getattr(found.content, kind.dates[1]) == succession.start
    if there is None or not is_ended or there.state is not CatalogState.ACTIVE:
        return None
    # The predecessor has another end now, so the successor's end is compared by itself.
    end = kind.dates[1]
    same = _with(successor, {end: getattr(there.content, end)})
    if differences(await succession.check(tx, same), there.content):
        return None
    return Succeeded(found, there)


def _check_successor(kind: Kind[T], found: T, successor: T) -> None:
    """Raise FIELD_MASK_INVALID, INTERVAL_INVALID for a successor that leaves a gap."""
    if kind.place(found) != kind.place(successor):
        fault = "must not name a field that tells what the record is about; create another record"
        raise InvalidArgument.at("update_mask", "FIELD_MASK_INVALID", fault)
    begin, end = (getattr(successor, name) for name in kind.dates)
    if end is not None and end <= begin:
        raise InvalidArgument.at("end_date", "INTERVAL_INVALID", f"must be after {begin}")


def _check_start(
    found: StoredRecord[Any], days: tuple[date | None, date | None], start: date
) -> None:
    """Raise STATE_TRANSITION, INTERVAL_INVALID."""
    first, end = days
    if found.state is not CatalogState.ACTIVE:
        text = f"it is {found.state}; only a record in force has a successor"
        raise FailedPrecondition("STATE_TRANSITION", text, {"from": str(found.state)})
    if first is not None and start <= first:
        text = f"must be after {first}, on which the record in force begins"
        raise InvalidArgument.at("start_date", "INTERVAL_INVALID", text)
    if end is not None and start >= end:
        text = f"must be before {end}, on which the record in force ends"
        raise InvalidArgument.at("start_date", "INTERVAL_INVALID", text)


def _with(content: T, values: Mapping[str, object]) -> T:
    """Return the content with other values of the named fields."""
    return replace(content, **values)  # type: ignore[type-var] # contents are dataclasses


async def _check_product(tx: Transaction, product_id: str) -> None:
    check_activation(await load_setup(tx, ProductId(product_id), start=date.min))
