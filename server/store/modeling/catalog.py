"""Units, resources, products and their parts: the queries and row mapping of each kind."""

from collections.abc import Callable
from typing import Any, TypeVar

from asyncpg import Record

from server.domain.calendar import Cadence, CadenceUnit
from server.domain.exact import Rounding
from server.domain.ids import (
    ProductGrantId,
    ProductId,
    ProductResourceId,
    ResourceId,
    SellingModelId,
    UnitClassId,
    UnitId,
)
from server.domain.modeling.catalog import (
    Category,
    GrantType,
    Product,
    ProductGrant,
    ProductResource,
    UnitClass,
    UnitOfMeasure,
    UsageModelType,
    UsageResource,
)
from server.domain.modeling.roles import Binding
from server.domain.modeling.units import UnitClassKind
from server.store.modeling.policies import (
    AGGREGATION,
    COMMITMENT,
    OVERAGE,
    RATING_FREQUENCY,
    REFRESH,
    ROLLOVER,
    optional_policy,
    policy_ids,
)
from server.store.modeling.records import Kind, Reference
from server.store.modeling.selling_models import SELLING_MODEL

T = TypeVar("T")


def _optional(kind: Callable[[str], T], value: str | None) -> T | None:
    return None if value is None else kind(value)


def _unit_class(row: Record) -> UnitClass:
    return UnitClass(
        id=UnitClassId(row["unit_class_id"]),
        display_name=row["display_name"],
        kind=UnitClassKind(row["kind"]),
        default_unit_id=_optional(UnitId, row["default_unit_id"]),
    )


def _unit(row: Record) -> UnitOfMeasure:
    return UnitOfMeasure(
        id=UnitId(row["unit_of_measure_id"]),
        display_name=row["display_name"],
        unit_class_id=UnitClassId(row["unit_class_id"]),
        factor=row["factor"],
        divisor=row["divisor"],
        scale=row["scale"],
        rounding=None if row["rounding"] is None else Rounding(row["rounding"]),
        sequence=row["sequence"],
    )


def _resource(row: Record) -> UsageResource:
    return UsageResource(
        id=ResourceId(row["usage_resource_id"]),
        display_name=row["display_name"],
        category=Category(row["category"]),
        unit_class_id=UnitClassId(row["unit_class_id"]),
        unit_id=_optional(UnitId, row["unit_of_measure_id"]),
        token_resource_id=_optional(ResourceId, row["token_resource_id"]),
        definition_product_id=_optional(ProductId, row["definition_product_id"]),
        dimensions=tuple(row["dimensions"]),
        policies=policy_ids(row),
    )


def _product(row: Record) -> Product:
    return Product(
        id=ProductId(row["product_id"]),
        display_name=row["display_name"],
        usage_model_type=UsageModelType(row["usage_model_type"]),
        binding=None if row["grant_binding"] is None else Binding(row["grant_binding"]),
    )


def _product_resource(row: Record) -> ProductResource:
    return ProductResource(
        product_id=ProductId(row["product_id"]),
        id=ProductResourceId(row["product_usage_resource_id"]),
        resource_id=ResourceId(row["usage_resource_id"]),
        token_resource_id=_optional(ResourceId, row["token_resource_id"]),
        is_optional=row["is_optional"],
        has_fixed_policies=row["has_fixed_policies"],
        start_date=row["start_date"],
        end_date=row["end_date"],
        policies=policy_ids(row),
    )


def _product_grant(row: Record) -> ProductGrant:
    unit, count = row["validity_unit"], row["validity_count"]
    return ProductGrant(
        product_id=ProductId(row["product_id"]),
        id=ProductGrantId(row["grant_id"]),
        display_name=row["display_name"],
        held_id=ProductResourceId(row["product_usage_resource_id"]),
        type=GrantType(row["type"]),
        quantity=row["quantity"],
        unit_id=_optional(UnitId, row["unit_of_measure_id"]),
        validity=None if unit is None else Cadence(CadenceUnit(unit), count),
        refresh_id=optional_policy(row["refresh_policy_id"]),
        rollover_id=optional_policy(row["rollover_policy_id"]),
        selling_model_id=_optional(SellingModelId, row["selling_model_id"]),
        start_date=row["start_date"],
        end_date=row["end_date"],
        is_fixed=row["is_fixed"],
        max_increase_percent=row["max_increase_percent"],
        spend_cap=row["spend_cap"],
    )


def _named(*references: tuple[Kind[Any], str | None]) -> list[Reference]:
    """Return the references whose records are named."""
    return [(kind, (id_,)) for kind, id_ in references if id_ is not None]


UNIT_CLASS: Kind[UnitClass] = Kind(
    name="UnitClass",
    pattern="unitClasses/{}",
    table="unit_classes",
    columns=(
        "unit_class_id",
        "display_name",
        "kind",
        "default_unit_id",
    ),
    key=lambda record: (record.id,),
    to_row=lambda record: (record.id, record.display_name, record.kind, record.default_unit_id),
    from_row=_unit_class,
    fields={"default_unit_id": "default_unit"},
    returns_to_draft=False,
)
UNIT: Kind[UnitOfMeasure] = Kind(
    name="UnitOfMeasure",
    pattern="unitsOfMeasure/{}",
    table="units_of_measure",
    columns=(
        "unit_of_measure_id",
        "display_name",
        "unit_class_id",
        "factor",
        "divisor",
        "scale",
        "rounding",
        "sequence",
    ),
    filters=("unit_class_id",),
    key=lambda record: (record.id,),
    to_row=lambda record: (
        record.id,
        record.display_name,
        record.unit_class_id,
        record.factor,
        record.divisor,
        record.scale,
        record.rounding,
        record.sequence,
    ),
    from_row=_unit,
    fields={"unit_class_id": "unit_class"},
    references=lambda record: [(UNIT_CLASS, (record.unit_class_id,))],
    returns_to_draft=False,
)


def _resource_references(record: UsageResource) -> list[Reference]:
    ids = record.policies
    return _named(
        (UNIT_CLASS, record.unit_class_id),
        (UNIT, record.unit_id),
        (AGGREGATION, ids.aggregation),
        (RATING_FREQUENCY, ids.rating_frequency),
        (OVERAGE, ids.overage),
        (COMMITMENT, ids.commitment),
    )


RESOURCE: Kind[UsageResource] = Kind(
    name="UsageResource",
    pattern="usageResources/{}",
    table="usage_resources",
    columns=(
        "usage_resource_id",
        "display_name",
        "category",
        "unit_class_id",
        "unit_of_measure_id",
        "rating_frequency_policy_id",
        "overage_policy_id",
        "drawdown_order",
        "token_resource_id",
        "definition_product_id",
        "dimensions",
    ),
    filters=(
        "unit_class_id",
        "category",
    ),
    key=lambda record: (record.id,),
    to_row=lambda record: (
        record.id,
        record.display_name,
        record.category,
        record.unit_class_id,
        record.unit_id,
        record.policies.rating_frequency,
        record.policies.overage,
        record.policies.order,
        record.token_resource_id,
        record.definition_product_id,
        list(record.dimensions),
    ),
    from_row=_resource,
    fields={
        "unit_class_id": "unit_class",
        "unit_id": "unit_of_measure",
        "token_resource_id": "token_resource",
        "definition_product_id": "usage_definition_product",
    },
    references=_resource_references,
)
PRODUCT: Kind[Product] = Kind(
    name="Product",
    pattern="products/{}",
    table="products",
    columns=(
        "product_id",
        "display_name",
        "usage_model_type",
        "grant_binding",
    ),
    filters=("usage_model_type",),
    key=lambda record: (record.id,),
    to_row=lambda record: (record.id, record.display_name, record.usage_model_type, record.binding),
    from_row=_product,
    fields={"binding": "grant_binding"},
    is_activated_with_product=True,
)


def _product_resource_references(record: ProductResource) -> list[Reference]:
    ids = record.policies
    return [
        (PRODUCT, (record.product_id,)),
        *_named(
            (RESOURCE, record.resource_id),
            (RESOURCE, record.token_resource_id),
            (AGGREGATION, ids.aggregation),
            (RATING_FREQUENCY, ids.rating_frequency),
            (OVERAGE, ids.overage),
            (COMMITMENT, ids.commitment),
        ),
    ]


PRODUCT_RESOURCE: Kind[ProductResource] = Kind(
    name="ProductUsageResource",
    pattern="products/{}/usageResources/{}",
    table="product_usage_resources",
    columns=(
        "product_id",
        "product_usage_resource_id",
        "usage_resource_id",
        "start_date",
        "end_date",
        "aggregation_policy_id",
        "rating_frequency_policy_id",
        "overage_policy_id",
        "commitment_policy_id",
        "drawdown_order",
        "token_resource_id",
        "is_optional",
        "has_fixed_policies",
    ),
    key=lambda record: (record.product_id, record.id),
    to_row=lambda record: (
        record.product_id,
        record.id,
        record.resource_id,
        record.start_date,
        record.end_date,
        record.policies.aggregation,
        record.policies.rating_frequency,
        record.policies.overage,
        record.policies.commitment,
        record.policies.order,
        record.token_resource_id,
        record.is_optional,
        record.has_fixed_policies,
    ),
    from_row=_product_resource,
    fields={
        "resource_id": "usage_resource",
        "token_resource_id": "token_resource",
        "is_optional": "omittable",
        "has_fixed_policies": "non_negotiable_policies",
    },
    references=_product_resource_references,
    replacement="SupersedeProductUsageResource replaces it from a day on",
    is_activated_with_product=True,
    sold_pattern="products/{}",
)


def _product_grant_references(record: ProductGrant) -> list[Reference]:
    return [
        (PRODUCT, (record.product_id,)),
        (PRODUCT_RESOURCE, (record.product_id, record.held_id)),
        *_named(
            (UNIT, record.unit_id),
            (REFRESH, record.refresh_id),
            (ROLLOVER, record.rollover_id),
            (SELLING_MODEL, record.selling_model_id),
        ),
    ]


PRODUCT_GRANT: Kind[ProductGrant] = Kind(
    name="ProductUsageGrant",
    pattern="products/{}/grants/{}",
    table="product_usage_grants",
    columns=(
        "product_id",
        "grant_id",
        "display_name",
        "product_usage_resource_id",
        "quantity",
        "unit_of_measure_id",
        "validity_unit",
        "validity_count",
        "refresh_policy_id",
        "rollover_policy_id",
        "type",
        "selling_model_id",
        "start_date",
        "end_date",
        "is_fixed",
        "max_increase_percent",
        "spend_cap",
    ),
    key=lambda record: (record.product_id, record.id),
    to_row=lambda record: (
        record.product_id,
        record.id,
        record.display_name,
        record.held_id,
        record.quantity,
        record.unit_id,
        record.validity and record.validity.unit,
        record.validity and record.validity.count,
        record.refresh_id,
        record.rollover_id,
        record.type,
        record.selling_model_id,
        record.start_date,
        record.end_date,
        record.is_fixed,
        record.max_increase_percent,
        record.spend_cap,
    ),
    from_row=_product_grant,
    fields={
        "held_id": "product_usage_resource",
        "unit_id": "unit_of_measure",
        "refresh_id": "refresh_policy",
        "rollover_id": "rollover_policy",
        "selling_model_id": "selling_model",
        "is_fixed": "non_negotiable",
    },
    references=_product_grant_references,
    replacement="SupersedeProductUsageGrant replaces it from a day on",
    is_activated_with_product=True,
)
