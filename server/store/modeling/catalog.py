"""Units, resources, products and their parts: the queries and row mapping of each kind."""

from asyncpg import Record

from server.domain.calendar import Cadence, CadenceUnit
from server.domain.exact import Rounding
from server.domain.ids import (
    PolicyId,
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
    PolicyIds,
    Product,
    ProductGrant,
    ProductResource,
    UnitClass,
    UnitOfMeasure,
    UsageModelType,
    UsageResource,
)
from server.domain.modeling.policies import DrawdownOrder
from server.domain.modeling.roles import Binding
from server.domain.modeling.units import UnitClassKind
from server.store.modeling.records import Kind
from server.store.sql import load

SQL = load("modeling/catalog.sql")


def _optional_policy(value: str | None) -> PolicyId | None:
    return None if value is None else PolicyId(value)


def _optional_unit(value: str | None) -> UnitId | None:
    return None if value is None else UnitId(value)


def _optional_resource(value: str | None) -> ResourceId | None:
    return None if value is None else ResourceId(value)


def _optional_product(value: str | None) -> ProductId | None:
    return None if value is None else ProductId(value)


def _optional_model(value: str | None) -> SellingModelId | None:
    return None if value is None else SellingModelId(value)


def policy_ids(row: Record) -> PolicyIds:
    """Return the policies that a row names; a usage resource has fewer than a product."""
    return PolicyIds(
        aggregation=_optional_policy(row.get("aggregation_policy_id")),
        rating_frequency=_optional_policy(row["rating_frequency_policy_id"]),
        overage=_optional_policy(row["overage_policy_id"]),
        commitment=_optional_policy(row.get("commitment_policy_id")),
        order=None if row["drawdown_order"] is None else DrawdownOrder(row["drawdown_order"]),
    )


def _unit_class(row: Record) -> UnitClass:
    return UnitClass(
        id=UnitClassId(row["unit_class_id"]),
        display_name=row["display_name"],
        kind=UnitClassKind(row["kind"]),
        default_unit_id=_optional_unit(row["default_unit_id"]),
    )


def _unit(row: Record) -> UnitOfMeasure:
    return UnitOfMeasure(
        id=UnitId(row["unit_of_measure_id"]),
        display_name=row["display_name"],
        unit_class_id=UnitClassId(row["unit_class_id"]),
        factor=row["factor"],
        scale=row["scale"],
        rounding=Rounding(row["rounding"]),
        sequence=row["sequence"],
    )


def _resource(row: Record) -> UsageResource:
    return UsageResource(
        id=ResourceId(row["usage_resource_id"]),
        display_name=row["display_name"],
        category=Category(row["category"]),
        unit_class_id=UnitClassId(row["unit_class_id"]),
        unit_id=_optional_unit(row["unit_of_measure_id"]),
        token_resource_id=_optional_resource(row["token_resource_id"]),
        definition_product_id=_optional_product(row["definition_product_id"]),
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
        token_resource_id=_optional_resource(row["token_resource_id"]),
        is_optional=row["is_optional"],
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
        unit_id=_optional_unit(row["unit_of_measure_id"]),
        validity=None if unit is None else Cadence(CadenceUnit(unit), count),
        refresh_id=_optional_policy(row["refresh_policy_id"]),
        rollover_id=_optional_policy(row["rollover_policy_id"]),
        selling_model_id=_optional_model(row["selling_model_id"]),
        start_date=row["start_date"],
        end_date=row["end_date"],
    )


UNIT_CLASS: Kind[UnitClass] = Kind(
    name="UnitClass",
    pattern="unitClasses/{}",
    table="unit_classes",
    add=SQL["add_unit_class"],
    find=SQL["find_unit_class"],
    list_=SQL["list_unit_class"],
    save=SQL["save_unit_class"],
    drop=SQL["drop_unit_class"],
    move=SQL["move_unit_class"],
    key=lambda record: (record.id,),
    to_row=lambda record: (record.id, record.display_name, record.kind, record.default_unit_id),
    from_row=_unit_class,
    fields={"default_unit_id": "default_unit"},
)
UNIT: Kind[UnitOfMeasure] = Kind(
    name="UnitOfMeasure",
    pattern="unitsOfMeasure/{}",
    table="units_of_measure",
    add=SQL["add_unit"],
    find=SQL["find_unit"],
    list_=SQL["list_unit"],
    save=SQL["save_unit"],
    drop=SQL["drop_unit"],
    move=SQL["move_unit"],
    key=lambda record: (record.id,),
    to_row=lambda record: (
        record.id,
        record.display_name,
        record.unit_class_id,
        record.factor,
        record.scale,
        record.rounding,
        record.sequence,
    ),
    from_row=_unit,
    fields={"unit_class_id": "unit_class"},
)
RESOURCE: Kind[UsageResource] = Kind(
    name="UsageResource",
    pattern="usageResources/{}",
    table="usage_resources",
    add=SQL["add_resource"],
    find=SQL["find_resource"],
    list_=SQL["list_resource"],
    save=SQL["save_resource"],
    drop=SQL["drop_resource"],
    move=SQL["move_resource"],
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
)
PRODUCT: Kind[Product] = Kind(
    name="Product",
    pattern="products/{}",
    table="products",
    add=SQL["add_product"],
    find=SQL["find_product"],
    list_=SQL["list_product"],
    save=SQL["save_product"],
    drop=SQL["drop_product"],
    move=SQL["move_product"],
    key=lambda record: (record.id,),
    to_row=lambda record: (record.id, record.display_name, record.usage_model_type, record.binding),
    from_row=_product,
    fields={"binding": "grant_binding"},
)
PRODUCT_RESOURCE: Kind[ProductResource] = Kind(
    name="ProductUsageResource",
    pattern="products/{}/usageResources/{}",
    table="product_usage_resources",
    add=SQL["add_product_resource"],
    find=SQL["find_product_resource"],
    list_=SQL["list_product_resource"],
    save=SQL["save_product_resource"],
    drop=SQL["drop_product_resource"],
    move=SQL["move_product_resource"],
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
    ),
    from_row=_product_resource,
    fields={
        "resource_id": "usage_resource",
        "token_resource_id": "token_resource",
        "is_optional": "omittable",
    },
)
PRODUCT_GRANT: Kind[ProductGrant] = Kind(
    name="ProductUsageGrant",
    pattern="products/{}/grants/{}",
    table="product_usage_grants",
    add=SQL["add_product_grant"],
    find=SQL["find_product_grant"],
    list_=SQL["list_product_grant"],
    save=SQL["save_product_grant"],
    drop=SQL["drop_product_grant"],
    move=SQL["move_product_grant"],
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
    ),
    from_row=_product_grant,
    fields={
        "held_id": "product_usage_resource",
        "unit_id": "unit_of_measure",
        "refresh_id": "refresh_policy",
        "rollover_id": "rollover_policy",
        "selling_model_id": "selling_model",
    },
)
