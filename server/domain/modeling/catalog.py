"""The catalogue as values: what can be consumed, what a product includes, under which policies.

A value holds the content of a record and nothing else, so that creating a thing twice is comparing
two values. `StoredRecord` adds the state of the record. Ids of policies are absent where the level
above, or in the end the service's default, decides.
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
)
from server.domain.modeling.roles import Binding
from server.domain.modeling.units import Unit, UnitClassKind

T_co = TypeVar("T_co", covariant=True)


class CatalogState(StrEnum):
    """Where a record of the catalogue stands."""

    DRAFT = "DRAFT"
    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"


class Category(StrEnum):
    """What kind of thing a resource is."""

    USAGE = "USAGE"
    TOKEN = "TOKEN"
    CURRENCY = "CURRENCY"


class UsageModelType(StrEnum):
    """How a product takes part in consumption; only anchors can be sold yet."""

    ANCHOR = "ANCHOR"
    PACK = "PACK"
    TOKEN_COMMITMENT = "TOKEN_COMMITMENT"
    QUANTITY_COMMITMENT = "QUANTITY_COMMITMENT"
    MONETARY_COMMITMENT = "MONETARY_COMMITMENT"

    @property
    def is_commitment(self) -> bool:
        """Whether it is a promise of the buyer's."""
        return self not in (UsageModelType.ANCHOR, UsageModelType.PACK)


class SellingModelType(StrEnum):
    """For how long something is sold."""

    ONE_TIME = "ONE_TIME"
    EVERGREEN = "EVERGREEN"
    TERM = "TERM"


class GrantType(StrEnum):
    """What a promise is: quantity that is included, or quantity that is committed to."""

    GRANT = "GRANT"
    COMMIT = "COMMIT"


@dataclass(frozen=True, slots=True)
class StoredRecord(Generic[T_co]):
    """A record: its content, and where it stands; of a policy, which version of it this is."""

    content: T_co
    state: CatalogState
    revision: int
    audit: Audit
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitClass:
    """Units that convert into each other; `default_unit_id` may be named before it exists."""

    id: UnitClassId
    display_name: str
    kind: UnitClassKind
    default_unit_id: UnitId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitOfMeasure:
    """One unit: how many default units it is, how finely it is counted, its place for people."""

    id: UnitId
    display_name: str
    unit_class_id: UnitClassId
    factor: Decimal
    scale: int
    rounding: Rounding = Rounding.HALF_UP
    sequence: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyIds:
    """The policies that a level of the catalogue names, and the order in which grants pay."""

    aggregation: PolicyId | None = None
    rating_frequency: PolicyId | None = None
    overage: PolicyId | None = None
    commitment: PolicyId | None = None
    order: DrawdownOrder | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageResource:
    """Something metered; its overage may cost so many of a token instead of money.

    What is billed of it is billed as `definition_product_id`, if there is one. Usage is told apart
    by the labels that are its `dimensions`.
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
    """Something sold; its grants go where `binding` says, or else where the sale does."""

    id: ProductId
    display_name: str
    usage_model_type: UsageModelType
    binding: Binding | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductResource:
    """A resource that a product meters, from a day until another; optional ones can be left out.

    A product may have several stretches of one resource, which do not overlap while in force.
    """

    product_id: ProductId
    id: ProductResourceId
    resource_id: ResourceId
    start_date: date | None
    end_date: date | None
    policies: PolicyIds
    token_resource_id: ResourceId | None = None
    is_optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductGrant:
    """What a product promises of one of its resources for each unit sold, in `unit_id` or its unit.

    To those who buy under its selling model, or under any, from a day until another.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregation:
    """How usage adds up; `unique_label` is what a UNIQUE_COUNT counts the values of."""

    id: PolicyId
    display_name: str
    method: AggregationMethod
    period: PolicyPeriod
    combine: Combination
    unique_label: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingFrequencyPolicy:
    """When usage is rated, and what late usage does."""

    id: PolicyId
    display_name: str
    period: PolicyPeriod
    delay: Delay
    late: LatePolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Overage:
    """What usage beyond the grants does."""

    id: PolicyId
    display_name: str
    overage: OveragePolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment:
    """What usage costs once a commitment is used up."""

    id: PolicyId
    display_name: str
    rate: CommitmentRate


@dataclass(frozen=True, slots=True, kw_only=True)
class SellingModel:
    """For how long something is sold; only terms have a length."""

    id: SellingModelId
    display_name: str
    type: SellingModelType
    term: Cadence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh:
    """When a grant is issued again."""

    id: PolicyId
    display_name: str
    interval: Cadence


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollover:
    """How often and how much of a remainder rolls over; None without limit."""

    id: PolicyId
    display_name: str
    max_rollovers: int | None
    max_quantity: Decimal | None = None
    max_percent: Decimal | None = None


def differences(a: object, b: object) -> list[str]:
    """The names of the fields in which two values of one kind differ."""
    names = [field.name for field in fields(a)]  # type: ignore[arg-type]
    return [name for name in names if getattr(a, name) != getattr(b, name)]


def default_unit(unit_class: UnitClass, units: list[UnitOfMeasure]) -> UnitOfMeasure | None:
    """The unit that everything of a class is converted to: by name, else the one with factor 1."""
    own = [unit for unit in units if unit.unit_class_id == unit_class.id]
    named = [unit for unit in own if unit.id == unit_class.default_unit_id]
    plain = sorted((unit for unit in own if unit.factor == 1), key=lambda unit: unit.id)
    return next(iter(named or plain), None)


def check_money(unit_class: UnitClass, source: Unit, target: Unit) -> None:
    """Raise `UNIT_CLASS_MISMATCH` for two currencies: rates are said in each, never converted."""
    if unit_class.kind is UnitClassKind.CURRENCY and source.id != target.id:
        text = f"{source.id} is not converted to {target.id}: money has no fixed factor"
        raise InvalidArgument.at("unit_of_measure", "UNIT_CLASS_MISMATCH", text)


def as_unit(unit: UnitOfMeasure) -> Unit:
    """A unit as conversion sees it."""
    return Unit(
        id=unit.id,
        class_id=unit.unit_class_id,
        factor=unit.factor,
        scale=unit.scale,
        rounding=unit.rounding,
    )
