"""The kinds of catalog records in the API: one row for each, with all that their methods share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message
from usage_management.v1 import catalog_resources_pb2 as catalog_pb
from usage_management.v1 import catalog_service_pb2 as catalog_rpc
from usage_management.v1 import policy_resources_pb2 as policy_pb
from usage_management.v1 import policy_service_pb2 as policy_rpc

from server.api import names
from server.api.mapping.modeling import catalog as mapping
from server.api.mapping.modeling import policies as policy_mapping
from server.api.mapping.modeling import selling_models as selling_mapping
from server.api.names import Name
from server.api.reader import RequestReader
from server.config import Config
from server.domain.modeling.catalog import Category, StoredRecord, UsageModelType
from server.store.modeling import catalog as kinds
from server.store.modeling import policies as policy_kinds
from server.store.modeling import selling_models as selling_kinds
from server.store.modeling.records import Kind
from server.usecases.modeling import catalog as checks
from server.usecases.modeling.edits import ActiveCheck, Check, accept, accept_active

T = TypeVar("T")
M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnWire(Generic[T, M]):
    """A kind of record: its messages, its reader and writer, and its checks.

    `check` runs before each save, `limited_check` instead if it depends on the configuration, and
    `check_active` before an active record is saved. `check_last` runs when all records of a batch
    are saved, because these may refer to each other.
    """

    kind: Kind[T]
    field: str
    message: type[M]
    creation: type[Message]
    read: Callable[[Any], T]
    write: Callable[[StoredRecord[T]], M]
    check: Check[T] = accept
    limited_check: Callable[[Config], Check[T]] | None = None
    check_active: ActiveCheck[T] = accept_active
    # Runs before a successor becomes active, in addition to its references.
    check_entering: ActiveCheck[T] = accept_active
    check_last: Check[T] = accept
    # The readers of the list's filters beside the state, in the order of the query's parameters.
    filters: tuple[Callable[[RequestReader], Any], ...] = ()
    parent: "OnWire[Any, Any] | None" = None
    # True if the records of all parents can be listed, under a parent such as `rateCards/-`.
    lists_all: bool = False

    @property
    def name(self) -> Name:
        """The resource name of the kind."""
        return Name.of_pattern(self.kind.pattern)

    def check_in(self, config: Config) -> Check[T]:
        """Return the check of a record before it is saved."""
        return self.check if self.limited_check is None else self.limited_check(config)

    def creation_of(self, key: Sequence[str], message: Message) -> Message:
        """Return the request that would create a record with that key and content."""
        made = self.creation()
        getattr(made, self.field).CopyFrom(message)
        if self.parent is not None:
            made.parent = self.parent.name.of(*key[:-1])  # type: ignore[attr-defined] # children have it
        if f"{self.field}_id" in made.DESCRIPTOR.fields_by_name:
            setattr(made, f"{self.field}_id", key[-1])
        return made


def name_filter(field: str, name: Name) -> Callable[[RequestReader], str | None]:
    """Return a reader of the record that the records of a list must refer to."""

    def read(reader: RequestReader) -> str | None:
        ids = reader.optional_name(field, name)
        return str(ids[0]) if ids else None

    return read


UNIT_CLASS = OnWire(
    kind=kinds.UNIT_CLASS,
    field="unit_class",
    message=catalog_pb.UnitClass,
    creation=catalog_rpc.CreateUnitClassRequest,
    read=mapping.unit_class_from_pb,
    write=mapping.unit_class_to_pb,
    check_last=checks.check_default_unit,
)
UNIT = OnWire(
    kind=kinds.UNIT,
    field="unit_of_measure",
    message=catalog_pb.UnitOfMeasure,
    creation=catalog_rpc.CreateUnitOfMeasureRequest,
    read=mapping.unit_from_pb,
    write=mapping.unit_to_pb,
    check=checks.check_unit,
    filters=(name_filter("unit_class", names.UNIT_CLASS),),
)
RESOURCE = OnWire(
    kind=kinds.RESOURCE,
    field="usage_resource",
    message=catalog_pb.UsageResource,
    creation=catalog_rpc.CreateUsageResourceRequest,
    read=mapping.resource_from_pb,
    write=mapping.resource_to_pb,
    check=checks.check_resource,
    filters=(
        name_filter("unit_class", names.UNIT_CLASS),
        lambda reader: reader.optional_choice("category", Category),
    ),
)
PRODUCT = OnWire(
    kind=kinds.PRODUCT,
    field="product",
    message=catalog_pb.Product,
    creation=catalog_rpc.CreateProductRequest,
    read=mapping.product_from_pb,
    write=mapping.product_to_pb,
    check=checks.check_product,
    filters=(lambda reader: reader.optional_choice("usage_model_type", UsageModelType),),
)
PRODUCT_RESOURCE = OnWire(
    kind=kinds.PRODUCT_RESOURCE,
    field="product_usage_resource",
    message=catalog_pb.ProductUsageResource,
    creation=catalog_rpc.CreateProductUsageResourceRequest,
    read=mapping.product_resource_from_pb,
    write=mapping.product_resource_to_pb,
    check=checks.check_product_resource,
    parent=PRODUCT,
)
PRODUCT_GRANT = OnWire(
    kind=kinds.PRODUCT_GRANT,
    field="product_usage_grant",
    message=catalog_pb.ProductUsageGrant,
    creation=catalog_rpc.CreateProductUsageGrantRequest,
    read=mapping.product_grant_from_pb,
    write=mapping.product_grant_to_pb,
    check=checks.check_product_grant,
    parent=PRODUCT,
)
AGGREGATION = OnWire(
    kind=policy_kinds.AGGREGATION,
    field="aggregation_policy",
    message=policy_pb.AggregationPolicy,
    creation=policy_rpc.CreateAggregationPolicyRequest,
    read=policy_mapping.aggregation_from_pb,
    write=policy_mapping.aggregation_to_pb,
)
RATING_FREQUENCY = OnWire(
    kind=policy_kinds.RATING_FREQUENCY,
    field="rating_frequency_policy",
    message=policy_pb.RatingFrequencyPolicy,
    creation=policy_rpc.CreateRatingFrequencyPolicyRequest,
    read=policy_mapping.rating_frequency_from_pb,
    write=policy_mapping.rating_frequency_to_pb,
)
OVERAGE = OnWire(
    kind=policy_kinds.OVERAGE,
    field="overage_policy",
    message=policy_pb.OveragePolicy,
    creation=policy_rpc.CreateOveragePolicyRequest,
    read=policy_mapping.OVERAGE.read,
    write=policy_mapping.OVERAGE.write,
)
REFRESH = OnWire(
    kind=policy_kinds.REFRESH,
    field="refresh_policy",
    message=policy_pb.RefreshPolicy,
    creation=policy_rpc.CreateRefreshPolicyRequest,
    read=policy_mapping.refresh_from_pb,
    write=policy_mapping.refresh_to_pb,
)
ROLLOVER = OnWire(
    kind=policy_kinds.ROLLOVER,
    field="rollover_policy",
    message=policy_pb.RolloverPolicy,
    creation=policy_rpc.CreateRolloverPolicyRequest,
    read=policy_mapping.rollover_from_pb,
    write=policy_mapping.rollover_to_pb,
)
COMMITMENT = OnWire(
    kind=policy_kinds.COMMITMENT,
    field="commitment_policy",
    message=policy_pb.CommitmentPolicy,
    creation=policy_rpc.CreateCommitmentPolicyRequest,
    read=policy_mapping.COMMITMENT.read,
    write=policy_mapping.COMMITMENT.write,
)
SELLING_MODEL = OnWire(
    kind=selling_kinds.SELLING_MODEL,
    field="selling_model",
    message=catalog_pb.SellingModel,
    creation=catalog_rpc.CreateSellingModelRequest,
    read=selling_mapping.selling_model_from_pb,
    write=selling_mapping.selling_model_to_pb,
)

CATALOG: tuple[OnWire[Any, Any], ...] = (
    UNIT_CLASS,
    UNIT,
    RESOURCE,
    PRODUCT,
    PRODUCT_RESOURCE,
    PRODUCT_GRANT,
    SELLING_MODEL,
)
POLICIES: tuple[OnWire[Any, Any], ...] = (
    AGGREGATION,
    RATING_FREQUENCY,
    OVERAGE,
    REFRESH,
    ROLLOVER,
    COMMITMENT,
)
ALL = (*CATALOG, *POLICIES)
BY_FIELD = {one.field: one for one in ALL}
