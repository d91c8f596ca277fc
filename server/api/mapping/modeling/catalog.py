"""Messages of units, resources, products and their parts."""

from datetime import date
from decimal import Decimal

from usage_management.v1 import catalog_resources_pb2 as pb
from usage_management.v1 import catalog_service_pb2 as rpc
from usage_management.v1 import types_pb2

from server.api import names
from server.api.mapping.modeling.resource_policies import (
    policies_from_reader,
    policies_to_pb,
    policy_from_reader,
)
from server.api.reader import RequestReader
from server.api.values import (
    audit_pb,
    cadence_pb,
    decimal_pb,
    enum_pb,
    etag,
    optional_date_pb,
    optional_decimal_pb,
)
from server.domain.calendar import Cadence, CadenceUnit
from server.domain.exact import Rounding
from server.domain.ids import (
    CODE,
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
    StoredRecord,
    UnitClass,
    UnitOfMeasure,
    UsageModelType,
    UsageResource,
)
from server.domain.modeling.roles import Binding
from server.domain.modeling.units import UnitClassKind
from server.usecases.modeling.units import ConvertQuantity

ONE = Decimal(1)


def unit_class_from_pb(request: rpc.CreateUnitClassRequest) -> UnitClass:
    """Return a class of units. Raises InvalidArgument."""
    reader = RequestReader(request)
    own = reader.sub("unit_class")
    default = own.optional_name("default_unit", names.UNIT)
    content = UnitClass(
        id=UnitClassId(reader.code("unit_class_id")),
        display_name=own.text("display_name"),
        kind=own.choice("kind", UnitClassKind),
        default_unit_id=UnitId(default[0]) if default else None,
    )
    reader.done()
    return content


def unit_from_pb(request: rpc.CreateUnitOfMeasureRequest) -> UnitOfMeasure:
    """Return a unit of measure. Raises InvalidArgument (FACTOR_RANGE and others)."""
    reader = RequestReader(request)
    own = reader.sub("unit_of_measure")
    (unit_class_id,) = own.name("unit_class", names.UNIT_CLASS)
    factor = own.decimal("factor", default=ONE)
    divisor = own.decimal("divisor", default=ONE)
    for field, value in (("factor", factor), ("divisor", divisor)):
        if value <= 0:
            own.fault(field, "FACTOR_RANGE", "must be greater than zero")
    content = UnitOfMeasure(
        id=UnitId(reader.code("unit_of_measure_id")),
        display_name=own.text("display_name"),
        unit_class_id=UnitClassId(unit_class_id),
        factor=factor,
        divisor=divisor,
        scale=request.unit_of_measure.scale,
        rounding=own.optional_choice("rounding", Rounding),
        sequence=request.unit_of_measure.sequence,
    )
    reader.done()
    return content


def convert_quantity_from_pb(request: rpc.ConvertQuantityRequest) -> ConvertQuantity:
    """Return the command to convert a quantity. Raises InvalidArgument."""
    reader = RequestReader(request)
    (unit,) = reader.name("unit_of_measure", names.UNIT)
    (target,) = reader.name("target_unit_of_measure", names.UNIT)
    command = ConvertQuantity(
        quantity=reader.decimal("quantity"),
        unit_id=UnitId(unit),
        target_id=UnitId(target),
        may_round=request.round,
    )
    reader.done()
    return command


def resource_from_pb(request: rpc.CreateUsageResourceRequest) -> UsageResource:
    """Return a usage resource. Raises InvalidArgument."""
    reader = RequestReader(request)
    own = reader.sub("usage_resource")
    (unit_class_id,) = own.name("unit_class", names.UNIT_CLASS)
    unit = own.optional_name("unit_of_measure", names.UNIT)
    definition = own.optional_name("usage_definition_product", names.PRODUCT)
    content = UsageResource(
        id=ResourceId(reader.code("usage_resource_id")),
        display_name=own.text("display_name"),
        category=own.choice("category", Category),
        unit_class_id=UnitClassId(unit_class_id),
        unit_id=UnitId(unit[0]) if unit else None,
        token_resource_id=_token_resource(own),
        definition_product_id=ProductId(definition[0]) if definition else None,
        dimensions=_dimensions(own),
        policies=policies_from_reader(own),
    )
    reader.done()
    return content


def product_from_pb(request: rpc.CreateProductRequest) -> Product:
    """Return a product. Raises InvalidArgument."""
    reader = RequestReader(request)
    own = reader.sub("product")
    content = Product(
        id=ProductId(reader.code("product_id")),
        display_name=own.text("display_name"),
        usage_model_type=own.choice("usage_model_type", UsageModelType),
        binding=own.optional_choice("grant_binding", Binding),
    )
    reader.done()
    return content


def product_resource_from_pb(request: rpc.CreateProductUsageResourceRequest) -> ProductResource:
    """Return a resource of a product. Raises InvalidArgument (INTERVAL_INVALID and others)."""
    reader = RequestReader(request)
    own = reader.sub("product_usage_resource")
    (product_id,) = reader.name("parent", names.PRODUCT)
    (resource_id,) = own.name("usage_resource", names.RESOURCE)
    start, end = _days(own)
    named = bool(request.product_usage_resource_id)
    content = ProductResource(
        product_id=ProductId(product_id),
        # By default it has the id of its resource.
        id=ProductResourceId(reader.code("product_usage_resource_id") if named else resource_id),
        resource_id=ResourceId(resource_id),
        token_resource_id=_token_resource(own),
        is_optional=request.product_usage_resource.omittable,
        has_fixed_policies=request.product_usage_resource.non_negotiable_policies,
        start_date=start,
        end_date=end,
        policies=policies_from_reader(own),
    )
    reader.done()
    return content


def product_grant_from_pb(request: rpc.CreateProductUsageGrantRequest) -> ProductGrant:
    """Return a grant of a product.

    Raises InvalidArgument (QUANTITY_ZERO, QUANTITY_NEGATIVE and others).
    """
    reader = RequestReader(request)
    own = reader.sub("product_usage_grant")
    (product_id,) = reader.name("parent", names.PRODUCT)
    of_product, held_id = own.name("product_usage_resource", names.PRODUCT_RESOURCE)
    if of_product != product_id and not reader.faults:
        own.fault("product_usage_resource", "NAME_FORMAT", "must be a resource of the parent")
    quantity = own.decimal("quantity")
    # After a fault the quantity may be a placeholder of zero.
    if not reader.faults and quantity <= 0:
        reason = "QUANTITY_ZERO" if quantity == 0 else "QUANTITY_NEGATIVE"
        own.fault("quantity", reason, "must be greater than zero")
    unit = own.optional_name("unit_of_measure", names.UNIT)
    model = own.optional_name("selling_model", names.SELLING_MODEL)
    start, end = _days(own)
    content = ProductGrant(
        product_id=ProductId(product_id),
        id=ProductGrantId(reader.code("product_usage_grant_id")),
        display_name=own.text("display_name"),
        held_id=ProductResourceId(held_id),
        quantity=quantity,
        unit_id=UnitId(unit[0]) if unit else None,
        validity=cadence_from_pb(own, "validity"),
        refresh_id=policy_from_reader(own, "refresh_policy", names.REFRESH_POLICY),
        rollover_id=policy_from_reader(own, "rollover_policy", names.ROLLOVER_POLICY),
        type=own.choice("type", GrantType, default=GrantType.GRANT),
        selling_model_id=SellingModelId(model[0]) if model else None,
        start_date=start,
        end_date=end,
        is_fixed=request.product_usage_grant.non_negotiable,
        max_increase_percent=limit_percent_from_reader(own, "max_increase_percent"),
        spend_cap=own.optional_decimal("spend_cap"),
    )
    reader.done()
    return content


def limit_percent_from_reader(
    reader: RequestReader, field: str, *, most: Decimal | None = None
) -> Decimal | None:
    """Return a limit of negotiation in percent; None if it is absent."""
    limit = reader.optional_decimal(field)
    if limit is not None and (limit < 0 or (most is not None and limit > most)):
        reader.fault(field, "RANGE", f"must be 0 to {most}" if most else "must be 0 or more")
    return limit


def cadence_from_pb(reader: RequestReader, field: str) -> Cadence | None:
    """Return a cadence; None if it is absent."""
    if not reader.has(field):
        return None
    own = reader.sub(field)
    return Cadence(own.choice("unit", CadenceUnit), max(1, own.message.count))


def unit_class_to_pb(record: StoredRecord[UnitClass]) -> pb.UnitClass:
    """Return a class of units."""
    own = record.content
    return pb.UnitClass(
        name=names.UNIT_CLASS.of(own.id),
        display_name=own.display_name,
        kind=enum_pb(pb.UnitClass.Kind, own.kind),
        default_unit=names.UNIT.of(own.default_unit_id) if own.default_unit_id else "",
        state=state_pb(record),
        **audit_pb(record.audit),
        etag=etag(record.revision),
    )


def unit_to_pb(record: StoredRecord[UnitOfMeasure]) -> pb.UnitOfMeasure:
    """Return a unit of measure."""
    own = record.content
    return pb.UnitOfMeasure(
        name=names.UNIT.of(own.id),
        display_name=own.display_name,
        unit_class=names.UNIT_CLASS.of(own.unit_class_id),
        factor=decimal_pb(own.factor),
        divisor=decimal_pb(own.divisor),
        scale=own.scale,
        rounding=enum_pb(pb.UnitOfMeasure.Rounding, own.rounding or "ROUNDING_UNSPECIFIED"),
        sequence=own.sequence,
        state=state_pb(record),
        **audit_pb(record.audit),
        etag=etag(record.revision),
    )


def resource_to_pb(record: StoredRecord[UsageResource]) -> pb.UsageResource:
    """Return a usage resource."""
    own = record.content
    return pb.UsageResource(
        name=names.RESOURCE.of(own.id),
        display_name=own.display_name,
        category=enum_pb(pb.UnitClass.Kind, own.category),
        unit_class=names.UNIT_CLASS.of(own.unit_class_id),
        unit_of_measure=names.UNIT.of(own.unit_id) if own.unit_id else "",
        token_resource=_token_name(own.token_resource_id),
        dimensions=own.dimensions,
        usage_definition_product=names.PRODUCT.of(own.definition_product_id)
        if own.definition_product_id
        else "",
        policies=policies_to_pb(own.policies, pb.UsageResourcePolicies),
        state=state_pb(record),
        **audit_pb(record.audit),
        etag=etag(record.revision),
    )


def product_to_pb(record: StoredRecord[Product]) -> pb.Product:
    """Return a product."""
    own = record.content
    return pb.Product(
        name=names.PRODUCT.of(own.id),
        display_name=own.display_name,
        usage_model_type=enum_pb(pb.Product.UsageModelType, own.usage_model_type),
        grant_binding=enum_pb(pb.Product.GrantBinding, own.binding or "GRANT_BINDING_UNSPECIFIED"),
        state=state_pb(record),
        **audit_pb(record.audit),
        etag=etag(record.revision),
    )


def product_resource_to_pb(record: StoredRecord[ProductResource]) -> pb.ProductUsageResource:
    """Return a resource of a product."""
    own = record.content
    return pb.ProductUsageResource(
        name=names.PRODUCT_RESOURCE.of(own.product_id, own.id),
        usage_resource=names.RESOURCE.of(own.resource_id),
        token_resource=_token_name(own.token_resource_id),
        omittable=own.is_optional,
        non_negotiable_policies=own.has_fixed_policies,
        start_date=optional_date_pb(own.start_date),
        end_date=optional_date_pb(own.end_date),
        policies=policies_to_pb(own.policies, pb.ResourcePolicies),
        state=state_pb(record),
        **audit_pb(record.audit),
        etag=etag(record.revision),
    )


def product_grant_to_pb(record: StoredRecord[ProductGrant]) -> pb.ProductUsageGrant:
    """Return a grant of a product."""
    own = record.content
    refresh, rollover = names.REFRESH_POLICY, names.ROLLOVER_POLICY
    return pb.ProductUsageGrant(
        name=names.PRODUCT_GRANT.of(own.product_id, own.id),
        display_name=own.display_name,
        product_usage_resource=names.PRODUCT_RESOURCE.of(own.product_id, own.held_id),
        type=enum_pb(pb.ProductUsageGrant.Type, own.type),
        quantity=decimal_pb(own.quantity),
        unit_of_measure=names.UNIT.of(own.unit_id) if own.unit_id else "",
        validity=cadence_pb(own.validity),
        refresh_policy=refresh.of(own.refresh_id) if own.refresh_id else "",
        rollover_policy=rollover.of(own.rollover_id) if own.rollover_id else "",
        selling_model=names.SELLING_MODEL.of(own.selling_model_id) if own.selling_model_id else "",
        start_date=optional_date_pb(own.start_date),
        end_date=optional_date_pb(own.end_date),
        non_negotiable=own.is_fixed,
        max_increase_percent=optional_decimal_pb(own.max_increase_percent),
        spend_cap=optional_decimal_pb(own.spend_cap),
        state=state_pb(record),
        **audit_pb(record.audit),
        etag=etag(record.revision),
    )


def state_pb(record: StoredRecord[object]) -> "types_pb2.CatalogState.ValueType":
    """Return the state of a record."""
    number: types_pb2.CatalogState.ValueType = enum_pb(types_pb2.CatalogState, record.state)
    return number


def _days(reader: RequestReader) -> tuple[date | None, date | None]:
    """Return a range of days; None is an open end. Adds INTERVAL_INVALID."""
    start, end = reader.optional_date("start_date"), reader.optional_date("end_date")
    if start is not None and end is not None and end <= start:
        reader.fault("end_date", "INTERVAL_INVALID", "must be after start_date")
    return start, end


def _token_resource(reader: RequestReader) -> ResourceId | None:
    ids = reader.optional_name("token_resource", names.RESOURCE)
    return ResourceId(ids[0]) if ids else None


def _token_name(resource_id: ResourceId | None) -> str:
    return names.RESOURCE.of(resource_id) if resource_id else ""


def _dimensions(reader: RequestReader) -> tuple[str, ...]:
    """Return the labels that separate usage, without duplicates. Adds CODE_FORMAT."""
    labels = tuple(dict.fromkeys(reader.message.dimensions))
    for index, name in enumerate(labels):
        if not CODE.fullmatch(name):
            fault = (
                "must be 1 to 64 of A-Z, a-z, 0-9, '_', '.', '-', and begin with a letter or digit"
            )
            reader.fault(f"dimensions[{index}]", "CODE_FORMAT", fault)
    return labels
