"""A catalog, or a part of one: create what is missing, and give it the state that it has there.

Withdrawn records go from draft to inactive without having been active, so that they obey no rule
of records in force: they may overlap their successors.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from typing import Any, TypeVar

from server.domain.errors import FailedPrecondition, UsageError
from server.domain.ids import ProductId
from server.domain.modeling.catalog import CatalogState, StoredRecord, differences
from server.domain.modeling.setup import (
    MOST_CATALOG_RECORDS,
    Action,
    SetupStep,
    check_size,
    conflicts,
    placed,
    refusal,
)
from server.domain.rating.procedures.shipped import USUAL
from server.domain.rating.rate_cards import USUAL_SIZE, CardSize, RateCardEntry
from server.domain.validation.activation import check_activation
from server.store.access import tenants
from server.store.connection import Transaction
from server.store.modeling import catalog as kinds
from server.store.modeling import policies, records, setup
from server.store.modeling.records import Kind
from server.store.modeling.selling_models import SELLING_MODEL
from server.store.rating import procedures as procedure_store
from server.store.rating import rate_entries as entry_store
from server.store.rating.custom_fields import CUSTOM_FIELD
from server.store.rating.procedures import PROCEDURE, VERSION
from server.store.rating.rate_entries import RATE_ENTRY
from server.store.rating.rates import PRICE_BOOK, RATE_CARD
from server.usecases.catalog_changes.setup_days import with_end_of_succession
from server.usecases.catalog_changes.setup_making import Making
from server.usecases.catalog_changes.setup_parts import SetUp, SetUpCatalog, SetupPart
from server.usecases.modeling import catalog, edits
from server.usecases.modeling.edits import Check, Record, accept
from server.usecases.modeling.records import create
from server.usecases.rating import procedures
from server.usecases.rating.custom_fields import check_custom_field
from server.usecases.rating.rate_entries import check_entry, create_entries, refuse_overlaps
from server.usecases.rating.rates import check_book
from server.usecases.validation.validator import ValidateProducts, load_setups

T = TypeVar("T")

# The kinds of a catalog in the order of their dependencies, each with its check. Rate card entries,
# which come last, are created many at a time.
CHECKS: tuple[tuple[Kind[Any], Check[Any]], ...] = (
    (kinds.UNIT_CLASS, accept),
    (kinds.UNIT, catalog.check_unit),
    (policies.AGGREGATION, accept),
    (policies.RATING_FREQUENCY, accept),
    (policies.OVERAGE, accept),
    (policies.REFRESH, accept),
    (policies.ROLLOVER, accept),
    (policies.COMMITMENT, accept),
    (SELLING_MODEL, accept),
    (PROCEDURE, accept),
    (VERSION, procedures.check_version),
    (kinds.PRODUCT, catalog.check_product),
    (kinds.RESOURCE, catalog.check_resource),
    (kinds.PRODUCT_RESOURCE, catalog.check_product_resource),
    (kinds.PRODUCT_GRANT, catalog.check_product_grant),
    (CUSTOM_FIELD, check_custom_field),
    (RATE_CARD, accept),
    (PRICE_BOOK, check_book),
)
KINDS: tuple[Kind[Any], ...] = (*(kind for kind, _ in CHECKS), RATE_ENTRY)
OF_PRODUCTS = (kinds.PRODUCT, kinds.PRODUCT_RESOURCE, kinds.PRODUCT_GRANT)


async def set_up_catalog(
    tx: Transaction, wanted: SetUpCatalog, most: CardSize = USUAL_SIZE
) -> SetUp:
    """Create the missing records of a catalog, and give them their states.

    Raises SETUP_CONFLICT (a plan returns it as steps instead), TOO_MANY_ITEMS, the errors of the
    records' use cases, and VALIDATION_FAILED. `most` is the largest size of a rate card.
    """
    check_size(wanted.size, MOST_CATALOG_RECORDS)
    # Setups of one tenant run one after the other, so that two do not create the same policy.
    await setup.lock(tx)
    making = Making(tx, most)
    wanted = _tokens_first(wanted)
    try:
        await _create(making, wanted)
        await _check_defaults(making, wanted)
    except UsageError:
        # A conflict may be the cause of a later refusal, so the conflicts are reported instead.
        if not conflicts(making.steps.values()):
            raise
    steps = list(making.steps.values())
    if found := conflicts(steps):
        if not wanted.is_plan:
            raise refusal(found)
        return SetUp(steps=tuple(steps), at=await tenants.now(tx))
    steps += await _move(making, wanted)
    await _check_products(making, wanted)
    steps += await _set_defaults(tx, wanted)
    return SetUp(steps=tuple(steps), at=await tenants.now(tx))


def _tokens_first(wanted: SetUpCatalog) -> SetUpCatalog:
    """Return the catalog with tokens before the resources that are rated in them."""
    name = kinds.RESOURCE.name
    resources = sorted(
        wanted.parts[name], key=lambda part: part.content.token_resource_id is not None
    )
    return replace(wanted, parts={**wanted.parts, name: tuple(resources)})


async def _create(making: Making, wanted: SetUpCatalog) -> None:
    for kind, check in CHECKS:
        make = partial(_checked_and_created, kind, check)
        await _create_all(making, kind, wanted.parts[kind.name], make)
        if kind is kinds.UNIT:
            await _check_default_units(making, wanted.parts[kinds.UNIT_CLASS.name])
    await _create_entries(making, wanted.parts[RATE_ENTRY.name])


async def _checked_and_created(
    kind: Kind[T], check: Check[T], tx: Transaction, wanted: T
) -> StoredRecord[T]:
    return await create(tx, kind, await check(tx, wanted))


async def _create_all(
    making: Making,
    kind: Kind[T],
    parts: Iterable[SetupPart[T]],
    make: Callable[[Transaction, T], Awaitable[StoredRecord[T]]],
) -> None:
    """Create the records of a kind; equal ones are not checked again."""
    for part in parts:
        key = kind.key(part.content)
        there = await records.find(making.tx, kind, *key)
        if there is not None:
            content = await with_end_of_succession(making.tx, kind, part.content)
            if not differences(there.content, content):
                making.keep(part, kind.resource_name(*key), there)
                continue
        await making.all(kind, [part], make)


async def _check_default_units(making: Making, classes: Iterable[SetupPart[Any]]) -> None:
    for part in classes:
        name = kinds.UNIT_CLASS.resource_name(part.content.id)
        if making.steps[name].action is Action.CREATED:
            await making.check(part, catalog.check_default_unit)


async def _create_entries(making: Making, parts: Sequence[SetupPart[RateCardEntry]]) -> None:
    """Create the entries that are new all at once, and compare the others one by one."""
    if not parts:
        return
    there = await entry_store.find_all(making.tx, [RATE_ENTRY.key(one.content) for one in parts])
    new: list[SetupPart[RateCardEntry]] = []
    old: list[SetupPart[RateCardEntry]] = []
    for part in parts:
        is_there = (part.content.card_id, part.content.id.lower()) in there
        (old if is_there else new).append(part)
    if new:
        await create_entries(
            making.tx,
            [part.content for part in new],
            making.most,
            [part.path for part in new],
        )
    for part in new:
        making.keep(part, part.content.name, None)

    async def make(tx: Transaction, entry: RateCardEntry) -> StoredRecord[RateCardEntry]:
        return await create(tx, RATE_ENTRY, await check_entry(tx, entry, making.most))

    await _create_all(making, RATE_ENTRY, old, make)


async def _move(making: Making, wanted: SetUpCatalog) -> list[SetupStep]:
    """Give the records their states, in the order of dependencies, and return the steps."""
    moving = [(kind, part) for kind in KINDS for part in _moving(making, kind, wanted)]
    if not moving:
        return []
    # Serializes changes of state, and invalidates the cached rates.
    revision = await tenants.bump_catalog(making.tx)
    steps = []
    for kind, part in moving:
        key = kind.key(part.content)
        if kind is not RATE_ENTRY:
            found = await records.get(making.tx, kind, *key)
            if part.state is CatalogState.ACTIVE:
                await _check_references(making.tx, Record(kind=kind, key=key), part, found)
            await records.move(making.tx, kind, found, part.state)
        is_active = part.state is CatalogState.ACTIVE
        action = Action.ACTIVATED if is_active else Action.DEACTIVATED
        steps.append(SetupStep(name=kind.resource_name(*key), action=action))
    await _move_entries(making.tx, [part for kind, part in moving if kind is RATE_ENTRY], revision)
    return steps


def _moving(making: Making, kind: Kind[Any], wanted: SetUpCatalog) -> Iterable[SetupPart[Any]]:
    """Yield the records of a kind that are not in their state yet."""
    if not kind.has_states:
        return
    for part in wanted.parts[kind.name]:
        there = making.found.get(kind.resource_name(*kind.key(part.content)))
        state = CatalogState.DRAFT if there is None else there.state
        if state is not part.state:
            yield part


async def _check_references(
    tx: Transaction, record: Record[Any], part: SetupPart[Any], found: StoredRecord[Any]
) -> None:
    try:
        await edits.check_references(tx, record, found)
    except UsageError as error:
        raise placed(error, part.path) from None


async def _move_entries(
    tx: Transaction, parts: Sequence[SetupPart[RateCardEntry]], revision: int
) -> None:
    """Give entries their states; those in force may not overlap, nor be of drafts."""
    if not parts:
        return
    found = await entry_store.find_all(tx, [RATE_ENTRY.key(part.content) for part in parts])
    by_name = {record.content.name: record for record in found.values()}
    for state in (CatalogState.INACTIVE, CatalogState.ACTIVE):
        some = [by_name[part.content.name] for part in parts if part.state is state]
        if some and state is CatalogState.ACTIVE:
            contents = [record.content for record in some]
            await _refuse_drafts(tx, contents)
            await refuse_overlaps(tx, contents)
        if some:
            await entry_store.move(tx, some, state, revision)


async def _refuse_drafts(tx: Transaction, entries: Iterable[RateCardEntry]) -> None:
    """Raise RESOURCE_INACTIVE for a rate in force of a draft; withdrawn products keep rates."""
    named: set[tuple[Kind[Any], str]] = set()
    for entry in entries:
        named.add((kinds.PRODUCT, entry.product_id))
        if entry.selling_model_id is not None:
            named.add((SELLING_MODEL, entry.selling_model_id))
    for kind, id_ in sorted(named, key=lambda pair: (pair[0].name, pair[1])):
        if (await records.get(tx, kind, id_)).state is CatalogState.DRAFT:
            name = kind.resource_name(id_)
            text = f"{name} is a draft, and rates of it are in force"
            raise FailedPrecondition("RESOURCE_INACTIVE", text, {"name": name})


async def _check_products(making: Making, wanted: SetUpCatalog) -> None:
    """Raise EFFECTIVITY_OVERLAP, VALIDATION_FAILED for changed products that break a rule."""
    changed = {
        ProductId(kind.key(part.content)[0])
        for kind in OF_PRODUCTS
        for part in wanted.parts[kind.name]
        if _is_changed(making, kind, part)
    }
    changed |= {
        part.content.product_id
        for part in wanted.parts[RATE_ENTRY.name]
        if _is_changed(making, RATE_ENTRY, part)
    }
    if not changed:
        return
    asked = ValidateProducts(
        product_ids=tuple(sorted(changed)), start=date.min, end=None, with_drafts=False
    )
    for setup_ in await load_setups(making.tx, asked):
        if setup_.product.state is CatalogState.ACTIVE:
            check_activation(setup_)


def _is_changed(making: Making, kind: Kind[T], part: SetupPart[T]) -> bool:
    there = making.found.get(kind.resource_name(*kind.key(part.content)))
    return there is None or there.state is not part.state


async def _check_defaults(making: Making, wanted: SetUpCatalog) -> None:
    """Add a conflict for a default that is not the one every tenant starts with."""
    for part in wanted.defaults:
        try:
            procedure = (await records.get(making.tx, PROCEDURE, part.content)).content
        except UsageError as error:
            raise placed(error, part.path) from None
        default = await procedure_store.default(making.tx, procedure.usage)
        if default not in (None, procedure.id, USUAL[procedure.usage]):
            name = PROCEDURE.resource_name(procedure.id)
            fields = ("default_procedures",)
            making.steps[name] = SetupStep(name=name, action=Action.CONFLICT, fields=fields)


async def _set_defaults(tx: Transaction, wanted: SetUpCatalog) -> list[SetupStep]:
    """Make procedures the default of their usage, and return the steps of those that were not."""
    steps = []
    for part in wanted.defaults:
        procedure = (await records.get(tx, PROCEDURE, part.content)).content
        if await procedure_store.default(tx, procedure.usage) != procedure.id:
            await procedures.set_default(tx, procedure.id)
            name = PROCEDURE.resource_name(procedure.id)
            steps.append(SetupStep(name=name, action=Action.MADE_DEFAULT))
    return steps
