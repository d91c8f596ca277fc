"""The catalog: the checks of each kind of record before it is stored."""

from dataclasses import replace

from server.domain.errors import FailedPrecondition, InvalidArgument, NotFound, Unimplemented
from server.domain.exact import plain
from server.domain.ids import ResourceId, UnitId
from server.domain.modeling.catalog import (
    CatalogState,
    Category,
    GrantType,
    PolicyIds,
    Product,
    ProductGrant,
    ProductResource,
    StoredRecord,
    UnitClass,
    UnitOfMeasure,
    UsageModelType,
    UsageResource,
    as_unit,
)
from server.domain.modeling.policies import PolicyLevel, check_rollover
from server.domain.modeling.resolved import resolve, sold_policies
from server.domain.modeling.units import UnitClassKind, check_scale, convert
from server.store.connection import Transaction
from server.store.modeling import edits
from server.store.modeling import records as store
from server.store.modeling.catalog import (
    PRODUCT,
    PRODUCT_GRANT,
    PRODUCT_RESOURCE,
    RESOURCE,
    UNIT,
    UNIT_CLASS,
)
from server.store.modeling.policies import REFRESH, ROLLOVER
from server.store.modeling.selling_models import SELLING_MODEL
from server.usecases.modeling.currencies import is_currency, minor_places
from server.usecases.modeling.records import create
from server.usecases.modeling.resolution import check_terms, policies_at
from server.usecases.modeling.units import unit_of

# The kind of unit class that each category of resource needs.
KINDS = {
    Category.USAGE: UnitClassKind.USAGE,
    Category.TOKEN: UnitClassKind.TOKEN,
    Category.CURRENCY: UnitClassKind.CURRENCY,
}


async def create_unit_class(tx: Transaction, wanted: UnitClass) -> StoredRecord[UnitClass]:
    """Create a class of units. Raises CODE_TAKEN.

    Its default unit is created after it, so the caller runs `check_default_unit` in the end.
    """
    return await create(tx, UNIT_CLASS, wanted)


async def check_default_unit(tx: Transaction, wanted: UnitClass) -> UnitClass:
    """Return the class.

    Raises UNIT_OF_MEASURE_NOT_FOUND, UNIT_CLASS_MISMATCH, FACTOR_RANGE, RESOURCE_INACTIVE if the
    default unit that it names cannot be counted in.
    """
    if wanted.default_unit_id is None:
        return wanted
    found = await store.find(tx, UNIT_CLASS, wanted.id)
    if found is not None and found.state is not CatalogState.DRAFT:
        # It was checked when it was named, and cannot change. If nothing counts in it, it may have
        # been withdrawn since then.
        return wanted
    path, name = "unit_class.default_unit", UNIT.resource_name(wanted.default_unit_id)
    unit = await store.find(tx, UNIT, wanted.default_unit_id)
    if unit is None or unit.content.id != wanted.default_unit_id:
        missing = NotFound.of("UnitOfMeasure", name)
        missing.message += "; CreateRecords creates a class together with its default unit"
        raise missing
    if unit.content.unit_class_id != wanted.id:
        text = f"{name} is a unit of unitClasses/{unit.content.unit_class_id}"
        raise InvalidArgument.at(path, "UNIT_CLASS_MISMATCH", text)
    if unit.content.factor != unit.content.divisor:
        text = f"{name} has the factor {_factor(unit.content)}; a default unit has the factor 1"
        raise InvalidArgument.at(path, "FACTOR_RANGE", text)
    if unit.state is CatalogState.INACTIVE:
        text = f"{name} was withdrawn; ChangeStates puts it in force again"
        raise FailedPrecondition("RESOURCE_INACTIVE", text, {"name": name, "field": path})
    return wanted


async def create_unit(tx: Transaction, wanted: UnitOfMeasure) -> StoredRecord[UnitOfMeasure]:
    """Create a unit. Raises CODE_TAKEN and the errors of `check_unit`."""
    return await create(tx, UNIT, await check_unit(tx, wanted))


async def check_unit(tx: Transaction, wanted: UnitOfMeasure) -> UnitOfMeasure:
    """Return the unit; a currency with the decimals of its money.

    Raises UNIT_CLASS_NOT_FOUND, CURRENCY_UNKNOWN, RANGE, FACTOR_RANGE, UNIT_CLASS_MISMATCH.
    """
    unit_class = (await store.get(tx, UNIT_CLASS, wanted.unit_class_id)).content
    if unit_class.kind is UnitClassKind.CURRENCY and not is_currency(wanted.id):
        text = "a unit of a currency class is an ISO 4217 code in capitals, as in USD"
        raise InvalidArgument.at("unit_of_measure_id", "CURRENCY_UNKNOWN", text)
    if unit_class.kind is UnitClassKind.TOKEN and is_currency(wanted.id):
        text = "is an ISO 4217 code; choose an id for the token that is not a currency"
        raise InvalidArgument.at("unit_of_measure_id", "CURRENCY_UNKNOWN", text)
    if unit_class.default_unit_id == wanted.id and wanted.factor != wanted.divisor:
        text = f"is the default unit of its class, so its factor is 1, not {_factor(wanted)}"
        raise InvalidArgument.at("unit_of_measure.factor", "FACTOR_RANGE", text)
    await _check_stays_default(tx, wanted)
    return _as_money(wanted) if unit_class.kind is UnitClassKind.CURRENCY else wanted


def _factor(unit: UnitOfMeasure) -> str:
    divisor = "" if unit.divisor == 1 else f"/{plain(unit.divisor)}"
    return f"{plain(unit.factor)}{divisor}"


def _as_money(wanted: UnitOfMeasure) -> UnitOfMeasure:
    """Return a currency with its minor unit's decimals. Raises RANGE for settings without effect.

    Amounts are rounded as ISO 4217 and the invoice's rules say, and money is not converted.
    """
    places = minor_places(wanted.id)
    if wanted.scale not in (0, places):
        text = f"{wanted.id} has {places} decimals (ISO 4217), so its scale is not {wanted.scale}"
        raise InvalidArgument.at("unit_of_measure.scale", "RANGE", text)
    if wanted.rounding is not None:
        text = "usage is not counted in money, so a rounding would never be applied"
        raise InvalidArgument.at("unit_of_measure.rounding", "RANGE", text)
    return replace(wanted, scale=places)


async def _check_stays_default(tx: Transaction, wanted: UnitOfMeasure) -> None:
    """Raise UNIT_CLASS_MISMATCH if the default unit of a class is moved to another class."""
    found = await store.find(tx, UNIT, wanted.id)
    if found is None or found.content.unit_class_id == wanted.unit_class_id:
        return
    old = (await store.get(tx, UNIT_CLASS, found.content.unit_class_id)).content
    if old.default_unit_id == wanted.id:
        text = f"is the default unit of unitClasses/{old.id}, which has to name another one first"
        raise InvalidArgument.at("unit_of_measure.unit_class", "UNIT_CLASS_MISMATCH", text)


async def create_resource(tx: Transaction, wanted: UsageResource) -> StoredRecord[UsageResource]:
    """Create a usage resource. Raises CODE_TAKEN and the errors of `check_resource`."""
    await check_resource(tx, wanted)
    return await create(tx, RESOURCE, wanted)


async def check_resource(tx: Transaction, wanted: UsageResource) -> UsageResource:
    """Return the resource.

    Raises `…_NOT_FOUND` for a missing reference, UNIT_CLASS_MISMATCH, TOKEN_RESOURCE.
    """
    unit_class = (await store.get(tx, UNIT_CLASS, wanted.unit_class_id)).content
    if unit_class.kind is not KINDS[wanted.category]:
        text = f"a resource of category {wanted.category} cannot be counted in {unit_class.kind}"
        raise InvalidArgument.at("usage_resource.unit_class", "UNIT_CLASS_MISMATCH", text)
    if wanted.unit_id is not None:
        unit = (await store.get(tx, UNIT, wanted.unit_id)).content
        if unit.unit_class_id != unit_class.id:
            text = f"{unit.id} is a unit of {unit.unit_class_id}"
            raise InvalidArgument.at("usage_resource.unit_of_measure", "UNIT_CLASS_MISMATCH", text)
    if wanted.token_resource_id is not None:
        await _check_token(tx, wanted, path="usage_resource")
    if wanted.definition_product_id is not None:
        await store.get(tx, PRODUCT, wanted.definition_product_id)
    await policies_at(tx, PolicyLevel.USAGE_RESOURCE, wanted.policies)
    return wanted


async def create_product_resource(
    tx: Transaction, wanted: ProductResource
) -> StoredRecord[ProductResource]:
    """Add a resource to a product. Raises `…_NOT_FOUND` for a missing reference, CODE_TAKEN."""
    await check_product_resource(tx, wanted)
    return await create(tx, PRODUCT_RESOURCE, wanted)


async def check_product_resource(tx: Transaction, wanted: ProductResource) -> ProductResource:
    """Return the resource of a product.

    Raises `…_NOT_FOUND` for a missing reference, POLICY_NOT_ALLOWED, TOKEN_RESOURCE, PERIOD_ORDER,
    POLICY_CONFLICT.
    """
    product = (await store.get(tx, PRODUCT, wanted.product_id)).content
    _check_kind(product.usage_model_type, wanted)
    resource = (await store.get(tx, RESOURCE, wanted.resource_id)).content
    is_monetary = product.usage_model_type is UsageModelType.MONETARY_COMMITMENT
    if is_monetary and resource.category is Category.TOKEN:
        text = f"{resource.id} is a token; what tokens cost cannot count towards a commitment yet"
        raise Unimplemented("NOT_SUPPORTED", text, {"usage_resource": resource.id})
    if wanted.token_resource_id is not None:
        if resource.category is not Category.USAGE:
            raise _no_token(
                f"{resource.id} is a {resource.category}; only usage is rated in tokens"
            )
        await _check_token(tx, wanted, path="product_usage_resource")
    levels = [
        await policies_at(tx, PolicyLevel.PRODUCT_USAGE_RESOURCE, wanted.policies),
        await policies_at(tx, PolicyLevel.USAGE_RESOURCE, resource.policies),
    ]
    check_terms(sold_policies(resolve(levels), resource.unit_id or UnitId("")))
    return wanted


async def create_product_grant(tx: Transaction, wanted: ProductGrant) -> StoredRecord[ProductGrant]:
    """Add a grant to a product. Raises CODE_TAKEN and the errors of `check_product_grant`."""
    await check_product_grant(tx, wanted)
    return await create(tx, PRODUCT_GRANT, wanted)


def _check_kind(kind: UsageModelType, wanted: ProductResource) -> None:
    """Raise POLICY_NOT_ALLOWED for settings that only another type of product can have."""
    path, policies = "product_usage_resource", wanted.policies
    if wanted.is_optional and not kind.is_commitment:
        text = f"a {kind} is sold with all its resources; only a commitment may leave some out"
        raise InvalidArgument.at(f"{path}.omittable", "POLICY_NOT_ALLOWED", text)
    check_allowed(kind, policies, f"{path}.policies")


def check_allowed(kind: UsageModelType, policies: PolicyIds, path: str) -> None:
    """Raise POLICY_NOT_ALLOWED for policies that a product of this kind cannot have of its own."""
    own = PolicyIds(commitment=policies.commitment)
    if kind is not UsageModelType.ANCHOR and policies != own:
        text = f"a product of the type {kind} has no policies of its own; those of its anchor apply"
        raise InvalidArgument.at(path, "POLICY_NOT_ALLOWED", text)
    if policies.commitment is not None and not kind.is_commitment:
        text = f"a product of the type {kind} is not a commitment, so it has no commitment policy"
        raise InvalidArgument.at(f"{path}.commitment_policy", "POLICY_NOT_ALLOWED", text)


async def _check_token(
    tx: Transaction, wanted: UsageResource | ProductResource, *, path: str
) -> None:
    """Raise TOKEN_RESOURCE unless the token is valid and the only one of the product."""
    assert wanted.token_resource_id is not None, wanted
    if isinstance(wanted, UsageResource) and wanted.token_resource_id == wanted.id:
        raise _no_token("is the resource itself", path=path)
    token = (await store.get(tx, RESOURCE, wanted.token_resource_id)).content
    if token.category is not Category.TOKEN:
        text = f"usageResources/{token.id} is a {token.category}, not a token"
        raise _no_token(text, path=path)
    if isinstance(wanted, UsageResource):
        if wanted.category is not Category.USAGE:
            text = f"a resource of category {wanted.category} is not rated in tokens"
            raise _no_token(text, path=path)
        return
    for other, other_token in await edits.tokens_of(tx, wanted.product_id):
        if other != wanted.resource_id and other_token != token.id:
            text = (
                f"products/{wanted.product_id}/usageResources/{other} is rated in {other_token};"
                " a product has one token"
            )
            facts = {"token_resource": f"usageResources/{other_token}"}
            raise FailedPrecondition("TOKEN_RESOURCE", text, facts)


def _no_token(text: str, path: str = "product_usage_resource") -> InvalidArgument:
    return InvalidArgument.at(f"{path}.token_resource", "TOKEN_RESOURCE", text)


async def check_product(tx: Transaction, wanted: Product) -> Product:
    """Return the product.

    Raises BINDING_TARGET, and IN_USE if its type changes and other records depend on it.
    """
    if wanted.usage_model_type.is_commitment and wanted.binding is not None:
        text = "a commitment is linked to an anchor, whose wallets it adds to"
        raise InvalidArgument.at("product.grant_binding", "BINDING_TARGET", text)
    found = await store.find(tx, PRODUCT, wanted.id)
    if found is None or found.content.usage_model_type is wanted.usage_model_type:
        return wanted
    names = [name for name, _ in await edits.referrers(tx, PRODUCT, wanted.id)]
    if names:
        text = f"products/{wanted.id} was set up as {found.content.usage_model_type}: {names[0]}"
        raise FailedPrecondition("IN_USE", text, {"name": f"products/{wanted.id}"})
    return wanted


async def check_product_grant(tx: Transaction, wanted: ProductGrant) -> ProductGrant:
    """Return the grant.

    Raises `…_NOT_FOUND` for a missing reference, GRANT_TYPE, POLICY_CONFLICT, UNIT_CLASS_MISMATCH,
    UNIT_SCALE.
    """
    product = (await store.get(tx, PRODUCT, wanted.product_id)).content
    if wanted.type is GrantType.COMMIT and not product.usage_model_type.is_commitment:
        text = f"a {product.usage_model_type} includes quantity; only commitments commit to it"
        raise InvalidArgument.at("product_usage_grant.type", "GRANT_TYPE", text)
    key = wanted.product_id, wanted.held_id
    held = (await store.get(tx, PRODUCT_RESOURCE, *key)).content
    resource = (await store.get(tx, RESOURCE, held.resource_id)).content
    is_monetary = product.usage_model_type is UsageModelType.MONETARY_COMMITMENT
    if is_monetary:
        _check_spend(wanted, resource)
    elif wanted.spend_cap is not None:
        text = f"a {product.usage_model_type} has no cap; only a MONETARY_COMMITMENT has one"
        raise InvalidArgument.at("product_usage_grant.spend_cap", "GRANT_TYPE", text)
    refresh = None
    if wanted.refresh_id is not None:
        refresh = (await store.get(tx, REFRESH, wanted.refresh_id)).content.interval
    if wanted.rollover_id is not None:
        await store.get(tx, ROLLOVER, wanted.rollover_id)
        check_rollover(wanted.validity, refresh)
    if wanted.selling_model_id is not None:
        await store.get(tx, SELLING_MODEL, wanted.selling_model_id)
    await _check_quantity(tx, held.resource_id, wanted)
    return wanted


def _check_spend(wanted: ProductGrant, resource: UsageResource) -> None:
    """Raise GRANT_TYPE or RANGE for a grant that is no amount to spend."""
    path = "product_usage_grant"
    if resource.category is not Category.CURRENCY or wanted.type is not GrantType.COMMIT:
        text = (
            "a commitment to spend has one kind of grant: its type is COMMIT, and its resource is"
            f" of the category CURRENCY; {resource.id} is of {resource.category}"
        )
        raise InvalidArgument.at(f"{path}.type", "GRANT_TYPE", text)
    for field in ("rollover_id", "validity"):
        if getattr(wanted, field) is not None:
            text = (
                "an amount to spend lasts for one refresh interval, and what is left of it is owed"
            )
            at = "rollover_policy" if field == "rollover_id" else field
            raise InvalidArgument.at(f"{path}.{at}", "GRANT_TYPE", text)
    if wanted.spend_cap is not None and wanted.spend_cap < wanted.quantity:
        text = f"must not be below the promised {plain(wanted.quantity)}"
        raise InvalidArgument.at(f"{path}.spend_cap", "RANGE", text)


async def _check_quantity(tx: Transaction, resource_id: ResourceId, wanted: ProductGrant) -> None:
    """Raise UNIT_SCALE and the errors of `convert` for a quantity that the units cannot hold."""
    path = "product_usage_grant.quantity"
    own = await unit_of(tx, resource_id)
    if wanted.unit_id is None:
        if own is not None:
            check_scale(wanted.quantity, own, path=path)
        return
    unit = as_unit((await store.get(tx, UNIT, wanted.unit_id)).content)
    check_scale(wanted.quantity, unit, path=path)
    resource = (await store.get(tx, RESOURCE, resource_id)).content
    if unit.class_id != resource.unit_class_id:
        text = f"{unit.id} is a unit of {unit.class_id}; {resource_id} counts in another class"
        raise InvalidArgument.at(path, "UNIT_CLASS_MISMATCH", text)
    if own is not None:
        check_scale(convert(wanted.quantity, unit, own), own, path=path)
