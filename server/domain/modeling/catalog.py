"""The catalog as values: resources, products and their grants, and the policies.

A value has the content of a record and nothing else, so two requests to create the same record are
compared as two values. `StoredRecord` adds the state of the record. A policy id is None where a
weaker level, or in the end the service's default, decides.
"""

from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Generic, TypeVar

from server.domain.audit import Audit
from server.domain.calendar import Cadence, Delay, PolicyPeriod
from server.domain.errors import InvalidArgument
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
from server.domain.modeling.policies import (
    AggregationMethod,
    Combination,
    CommitmentRate,
    DrawdownOrder,
    LatePolicy,
    OveragePolicy,
    RolloverPolicy,
)
from server.domain.modeling.roles import Binding
from server.domain.modeling.units import Unit, UnitClassKind

T_co = TypeVar("T_co", covariant=True)


class CatalogState(StrEnum):
    """The state of a catalog record."""

    DRAFT = "DRAFT"
    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"


class Category(StrEnum):
    """The kind of a resource."""

    USAGE = "USAGE"
    TOKEN = "TOKEN"
    CURRENCY = "CURRENCY"


class UsageModelType(StrEnum):
    """The role of a product in consumption."""

    ANCHOR = "ANCHOR"
    PACK = "PACK"
    TOKEN_COMMITMENT = "TOKEN_COMMITMENT"
    QUANTITY_COMMITMENT = "QUANTITY_COMMITMENT"
    MONETARY_COMMITMENT = "MONETARY_COMMITMENT"

    @property
    def is_commitment(self) -> bool:
        """True if it is a promise of the buyer."""
        return self not in (UsageModelType.ANCHOR, UsageModelType.PACK)


class SellingModelType(StrEnum):
    """The kind of term of a sale."""

    ONE_TIME = "ONE_TIME"
    EVERGREEN = "EVERGREEN"
    TERM = "TERM"


class GrantType(StrEnum):
    """The kind of a product grant: an included quantity, or a committed one."""

    GRANT = "GRANT"
    COMMIT = "COMMIT"


@dataclass(frozen=True, slots=True)
class NextVersion:
    """The version of a policy that begins on a later day."""

    version: int
    start: date


@dataclass(frozen=True, slots=True)
class StoredRecord(Generic[T_co]):
    """A record: its content and its state; for a policy, also the number of its version.

    `following` is the next version of a policy, where the content is of the version before it.
    """

    content: T_co
    state: CatalogState
    revision: int
    audit: Audit
    version: int = 1
    following: NextVersion | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitClass:
    """Units that convert into each other; a resource without a unit counts in the default one."""

    id: UnitClassId
    display_name: str
    kind: UnitClassKind
    default_unit_id: UnitId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitOfMeasure:
    """One unit: its factor and divisor to the default unit, its scale, its position in lists."""

    id: UnitId
    display_name: str
    unit_class_id: UnitClassId
    factor: Decimal
    divisor: Decimal = Decimal(1)
    scale: int
    rounding: Rounding | None = None
    sequence: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyIds:
    """The policies that one level of the catalog names, and the drawdown order."""

    aggregation: PolicyId | None = None
    rating_frequency: PolicyId | None = None
    overage: PolicyId | None = None
    commitment: PolicyId | None = None
    order: DrawdownOrder | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageResource:
    """A metered resource; its overage may be rated in a token instead of money.

    It is invoiced as the product `definition_product_id`, if there is one. Usage is counted
    separately for each combination of the labels in `dimensions`.
    """

    id: ResourceId
    display_name: str
    category: Category
    unit_class_id: UnitClassId
    unit_id: UnitId | None
    policies: PolicyIds
    token_resource_id: ResourceId | None = None
    definition_product_id: ProductId | None = None
    dimensions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A product for sale; its grants go to `binding`, or to the target that the sale names."""

    id: ProductId
    display_name: str
    usage_model_type: UsageModelType
    binding: Binding | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductResource:
    """A resource that a product meters, for a span of days; optional ones can be omitted in a sale.

    A quote cannot override its policies if it `has_fixed_policies`.

    A product may have several records of one resource, which do not overlap while they are in
    force.
    """

    product_id: ProductId
    id: ProductResourceId
    resource_id: ResourceId
    start_date: date | None
    end_date: date | None
    policies: PolicyIds
    token_resource_id: ResourceId | None = None
    is_optional: bool = False
    has_fixed_policies: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductGrant:
    """The quantity of a resource that each sold unit of a product includes.

    The quantity is in `unit_id`, or else in the resource's unit. The grant applies to sales under
    its selling model (or any, if None) that start in its span of days. A quote cannot change it if
    it `is_fixed`, and needs an approval to increase it by more than `max_increase_percent`. Of a
    commitment to spend, `spend_cap` is the most that usage costs during one issue.
    """

    product_id: ProductId
    id: ProductGrantId
    display_name: str
    held_id: ProductResourceId
    quantity: Decimal
    unit_id: UnitId | None
    validity: Cadence | None
    refresh_id: PolicyId | None
    rollover_id: PolicyId | None
    type: GrantType = GrantType.GRANT
    selling_model_id: SellingModelId | None = None
    start_date: date | None = None
    end_date: date | None = None
    is_fixed: bool = False
    max_increase_percent: Decimal | None = None
    spend_cap: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregation:
    """The policy for adding up usage; UNIQUE_COUNT counts the values of `unique_label`."""

    id: PolicyId
    display_name: str
    method: AggregationMethod
    period: PolicyPeriod
    combine: Combination
    unique_label: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingFrequencyPolicy:
    """The policy for the rating period, the rating delay, and late usage."""

    id: PolicyId
    display_name: str
    period: PolicyPeriod
    delay: Delay
    late: LatePolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Overage:
    """The policy for usage beyond the grants."""

    id: PolicyId
    display_name: str
    overage: OveragePolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment:
    """The policy for the rate of usage beyond a commitment."""

    id: PolicyId
    display_name: str
    rate: CommitmentRate


@dataclass(frozen=True, slots=True, kw_only=True)
class SellingModel:
    """The term of a sale; only the type TERM has a length."""

    id: SellingModelId
    display_name: str
    type: SellingModelType
    term: Cadence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh:
    """The policy for issuing a grant again."""

    id: PolicyId
    display_name: str
    interval: Cadence


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollover:
    """The policy for the number and size of rollovers; None means no limit."""

    id: PolicyId
    display_name: str
    max_rollovers: int | None
    max_quantity: Decimal | None = None
    max_percent: Decimal | None = None
    remainder_percent: Decimal | None = None

    @property
    def policy(self) -> RolloverPolicy:
        """The policy as a sale freezes it."""
        return RolloverPolicy(
            max_count=self.max_rollovers,
            max_quantity=self.max_quantity,
            max_percent=self.max_percent,
            remainder_percent=self.remainder_percent,
        )


def differences(a: object, b: object) -> list[str]:
    """Return the names of the fields in which two values of one kind differ."""
    names = [field.name for field in fields(a) if field.compare]  # type: ignore[arg-type] # records are dataclasses
    return [name for name in names if getattr(a, name) != getattr(b, name)]


def may_change(wire_name: str, old: object, new: object) -> bool:
    """Return True if a field of an active record may change from `old` to `new`.

    A display name may change always, and an end may move to a later day; nothing else may, because
    it was sold.
    """
    if wire_name == "end_date":
        assert isinstance(old, date | None), old
        assert isinstance(new, date | None), new
        return (new or date.max) > (old or date.max)
    return wire_name == "display_name"


def default_unit(unit_class: UnitClass, units: list[UnitOfMeasure]) -> UnitOfMeasure | None:
    """Return the unit that a class names as its default, or None."""
    # No other unit takes its place: a unit that is added later must not change what is counted in.
    own = (unit for unit in units if unit.unit_class_id == unit_class.id)
    return next((unit for unit in own if unit.id == unit_class.default_unit_id), None)


def check_money(unit_class: UnitClass, source: Unit, target: Unit) -> None:
    """Raise `UNIT_CLASS_MISMATCH` for two currencies, because money is never converted."""
    if unit_class.kind is UnitClassKind.CURRENCY and source.id != target.id:
        text = f"{source.id} is not converted to {target.id}: money has no fixed factor"
        raise InvalidArgument.at("unit_of_measure", "UNIT_CLASS_MISMATCH", text)


def as_unit(unit: UnitOfMeasure) -> Unit:
    """Return a unit in the form that conversion needs."""
    return Unit(
        id=unit.id,
        class_id=unit.unit_class_id,
        factor=unit.factor,
        divisor=unit.divisor,
        scale=unit.scale,
        rounding=unit.rounding,
    )
