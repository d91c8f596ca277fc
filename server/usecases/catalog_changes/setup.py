"""Guided setup: create the records of a description, and activate the product.

Each record is created by the use case of its kind.
"""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from server.domain.errors import UsageError
from server.domain.modeling.catalog import (
    CatalogState,
    Commitment,
    PolicyIds,
    Product,
    ProductGrant,
    ProductResource,
    SellingModel,
    StoredRecord,
    UsageModelType,
)
from server.domain.modeling.resolved import DEFAULT_RATING
from server.domain.modeling.setup import (
    Action,
    SetupStep,
    check_size,
    conflicts,
    refusal,
)
from server.domain.rating.rate_cards import (
    USUAL_SIZE,
    CardSize,
    PriceBook,
    RateCard,
)
from server.store.access import tenants
from server.store.connection import Transaction
from server.store.modeling import catalog as kinds
from server.store.modeling import policies, records, setup
from server.store.modeling.records import Kind
from server.store.modeling.selling_models import SELLING_MODEL
from server.store.rating.rate_entries import RATE_ENTRY
from server.store.rating.rates import PRICE_BOOK, RATE_CARD
from server.usecases.catalog_changes.activation import activate_product
from server.usecases.catalog_changes.setup_making import Making
from server.usecases.catalog_changes.setup_parts import (
    GrantPart,
    ResourcePart,
    SetUp,
    SetupPart,
    SetUpProduct,
)
from server.usecases.catalog_changes.setup_rates import create_rate, dated_entry
from server.usecases.modeling import catalog
from server.usecases.modeling.edits import Record, change_states
from server.usecases.modeling.records import create
from server.usecases.rating.rates import check_book

T = TypeVar("T")

PAGE = 1_000


async def set_up_product(
    tx: Transaction, wanted: SetUpProduct, most: CardSize = USUAL_SIZE
) -> SetUp:
    """Create the missing records, and activate the product.

    Raises SETUP_CONFLICT (a plan returns it as steps instead), TOO_MANY_ITEMS, the errors of the
    records' use cases, and VALIDATION_FAILED. `most` is the largest size of a rate card.
    """
    check_size(wanted.size)
    # Setups of one tenant run one after the other, so that two do not create the same policy.
    await setup.lock(tx)
    making = Making(tx, most)
    try:
        await _make(making, wanted)
    except UsageError:
        # A conflict may be the cause of a later refusal, so the conflicts are reported instead.
        if not conflicts(making.steps.values()):
            raise
    steps = list(making.steps.values())
    check_size(len(steps))
    if found := conflicts(steps):
        if not wanted.is_plan:
            raise refusal(found)
        return SetUp(steps=tuple(steps), at=await tenants.now(tx))
    activated = await activate_product(
        tx, wanted.product.content.id, allow_invalid=wanted.allow_invalid
    )
    names = [*activated.names, *await _activate_unused(tx, wanted)]
    steps += [SetupStep(name=name, action=Action.ACTIVATED) for name in names]
    return SetUp(steps=tuple(steps), at=activated.at)


async def _activate_unused(tx: Transaction, wanted: SetUpProduct) -> list[str]:
    """Activate the described records that are drafts still, and return their names.

    The product does not use them. As drafts they would refuse usage in a described unit, or a later
    product or sale that names them. Raises RESOURCE_INACTIVE.
    """
    parts: tuple[tuple[Kind[Any], Iterable[SetupPart[Any]]], ...] = (
        (kinds.UNIT_CLASS, wanted.unit_classes),
        (kinds.UNIT, wanted.units),
        (policies.AGGREGATION, wanted.aggregations),
        (policies.RATING_FREQUENCY, wanted.frequencies),
        (policies.OVERAGE, wanted.overages),
        (policies.COMMITMENT, wanted.commitments),
        (policies.REFRESH, wanted.refreshes),
        (policies.ROLLOVER, wanted.rollovers),
        (SELLING_MODEL, wanted.models),
        (kinds.RESOURCE, wanted.resources),
    )
    described = [
        Record(kind=kind, key=kind.key(part.content)) for kind, some in parts for part in some
    ]
    drafts = [
        record
        for record in described
        if (await records.get(tx, record.kind, *record.key)).state is CatalogState.DRAFT
    ]
    if drafts:
        await change_states(tx, drafts, CatalogState.ACTIVE)
    return [record.name for record in drafts]


async def _make(making: Making, wanted: SetUpProduct) -> None:
    """Create every record in the order of dependencies."""
    await making.all(kinds.UNIT_CLASS, wanted.unit_classes, catalog.create_unit_class)
    await making.all(kinds.UNIT, wanted.units, catalog.create_unit)
    for unit_class in wanted.unit_classes:
        await making.check(unit_class, catalog.check_default_unit)
    await making.policies(policies.AGGREGATION, wanted.aggregations)
    await making.policies(policies.RATING_FREQUENCY, wanted.frequencies)
    await making.policies(policies.OVERAGE, wanted.overages)
    await making.all(policies.COMMITMENT, wanted.commitments, _create_commitment)
    await making.all(SELLING_MODEL, wanted.models, _create_model)
    await making.policies(policies.REFRESH, wanted.refreshes)
    await making.policies(policies.ROLLOVER, wanted.rollovers)
    held = [await _with_policies(making, part, wanted) for part in wanted.held]
    # Tokens first: resources that are rated in a token refer to it.
    resources = sorted(
        wanted.resources, key=lambda resource: resource.content.token_resource_id is not None
    )
    await making.all(kinds.RESOURCE, resources, catalog.create_resource)
    await making.all(kinds.PRODUCT, [wanted.product], _create_product, is_shared=False)
    await making.all(kinds.PRODUCT_RESOURCE, held, catalog.create_product_resource, is_shared=False)
    for part in wanted.held:
        grants = [await _with_renewal(making, grant) for grant in part.grants]
        await making.all(kinds.PRODUCT_GRANT, grants, catalog.create_product_grant, is_shared=False)
    await making.all(RATE_CARD, wanted.cards, _create_card)
    if wanted.book is not None:
        await making.all(PRICE_BOOK, [wanted.book], _create_book)
    entries = (*(entry for part in wanted.held for entry in part.entries), *wanted.blankets)
    for priced in entries:
        entry = await dated_entry(making.tx, priced)
        make = partial(create_rate, most=making.most)
        await making.all(RATE_ENTRY, [entry], make, is_shared=False)


async def _create_product(tx: Transaction, wanted: Product) -> StoredRecord[Product]:
    return await create(tx, kinds.PRODUCT, wanted)


async def _create_commitment(tx: Transaction, wanted: Commitment) -> StoredRecord[Commitment]:
    return await create(tx, policies.COMMITMENT, wanted)


async def _create_model(tx: Transaction, wanted: SellingModel) -> StoredRecord[SellingModel]:
    return await create(tx, SELLING_MODEL, wanted)


async def _create_card(tx: Transaction, wanted: RateCard) -> StoredRecord[RateCard]:
    return await create(tx, RATE_CARD, wanted)


async def _create_book(tx: Transaction, wanted: PriceBook) -> StoredRecord[PriceBook]:
    return await create(tx, PRICE_BOOK, await check_book(tx, wanted))


async def _with_policies(
    making: Making, part: ResourcePart, wanted: SetUpProduct
) -> SetupPart[ProductResource]:
    """Return a resource of the product with the ids of all its policies."""
    ids, kind = part.content.policies, kinds.PRODUCT_RESOURCE
    there = await making.find(kind, part.content)
    named = there.policies if there else PolicyIds()
    if part.aggregation:
        policy = await making.nameless(policies.AGGREGATION, part.aggregation, named.aggregation)
        ids = replace(ids, aggregation=policy.id)
    rating = part.rating_frequency
    had_none = there is not None and named.rating_frequency is None
    if rating is None and not had_none and await _is_rated_by_default(making, part, wanted):
        # The default becomes a policy, because the validator warns of anchors without one.
        rating = SetupPart(part.path, DEFAULT_RATING.content)
    if rating:
        frequency = await making.nameless(policies.RATING_FREQUENCY, rating, named.rating_frequency)
        ids = replace(ids, rating_frequency=frequency.id)
    if part.overage:
        overage = await making.nameless(policies.OVERAGE, part.overage, named.overage)
        ids = replace(ids, overage=overage.id)
    return SetupPart(part.path, replace(part.content, policies=ids))


async def _is_rated_by_default(making: Making, part: ResourcePart, wanted: SetUpProduct) -> bool:
    """Return whether no level names the rating frequency policy of an anchor's resource."""
    if wanted.product.content.usage_model_type is not UsageModelType.ANCHOR:
        return False
    if part.content.policies.rating_frequency is not None:
        return False
    described = (resource.content for resource in wanted.resources)
    resource = next((one for one in described if one.id == part.content.resource_id), None)
    if resource is None:
        found = await records.find(making.tx, kinds.RESOURCE, part.content.resource_id)
        resource = None if found is None else found.content
    return resource is None or resource.policies.rating_frequency is None


async def _with_renewal(making: Making, part: GrantPart) -> SetupPart[ProductGrant]:
    """Return a grant with the ids of its policies."""
    content = part.content
    there = await making.find(kinds.PRODUCT_GRANT, content)
    if part.refresh:
        named = there.refresh_id if there else None
        refresh = await making.nameless(policies.REFRESH, part.refresh, named)
        content = replace(content, refresh_id=refresh.id)
    if part.rollover:
        named = there.rollover_id if there else None
        rollover = await making.nameless(policies.ROLLOVER, part.rollover, named)
        content = replace(content, rollover_id=rollover.id)
    return SetupPart(part.path, content)
