"""The description of a product with all its records, and the answer to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from server.domain.ids import ProcedureId
from server.domain.modeling.catalog import (
    Aggregation,
    CatalogState,
    Commitment,
    Overage,
    Product,
    ProductGrant,
    ProductResource,
    RatingFrequencyPolicy,
    Refresh,
    Rollover,
    SellingModel,
    UnitClass,
    UnitOfMeasure,
    UsageResource,
)
from server.domain.modeling.setup import SetupStep
from server.domain.rating.rate_cards import PriceBook, RateCard, RateCardEntry

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SetupPart(Generic[T]):
    """A record of a description, its path there, and the state that it gets."""

    path: str
    content: T
    state: CatalogState = CatalogState.ACTIVE

    def accepts(self, state: CatalogState) -> bool:
        """Return whether an existing record in a state gets the state of the description."""
        is_activated = (state, self.state) == (CatalogState.DRAFT, CatalogState.ACTIVE)
        return state is self.state or is_activated


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantPart:
    """A grant; policies without a name are given by their settings."""

    path: str
    content: ProductGrant
    refresh: SetupPart[Refresh] | None
    rollover: SetupPart[Rollover] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourcePart:
    """A resource of the product with its grants and rates; policies as in `GrantPart`."""

    path: str
    content: ProductResource
    aggregation: SetupPart[Aggregation] | None
    rating_frequency: SetupPart[RatingFrequencyPolicy] | None
    overage: SetupPart[Overage] | None
    grants: tuple[GrantPart, ...]
    entries: tuple[SetupPart[RateCardEntry], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUpProduct:
    """A product with all its records. A plan only reports the steps."""

    unit_classes: tuple[SetupPart[UnitClass], ...]
    units: tuple[SetupPart[UnitOfMeasure], ...]
    aggregations: tuple[SetupPart[Aggregation], ...]
    frequencies: tuple[SetupPart[RatingFrequencyPolicy], ...]
    overages: tuple[SetupPart[Overage], ...]
    commitments: tuple[SetupPart[Commitment], ...]
    models: tuple[SetupPart[SellingModel], ...]
    refreshes: tuple[SetupPart[Refresh], ...]
    rollovers: tuple[SetupPart[Rollover], ...]
    resources: tuple[SetupPart[UsageResource], ...]
    product: SetupPart[Product]
    held: tuple[ResourcePart, ...]
    blankets: tuple[SetupPart[RateCardEntry], ...]
    cards: tuple[SetupPart[RateCard], ...]
    book: SetupPart[PriceBook] | None
    is_plan: bool
    allow_invalid: bool = False

    @property
    def size(self) -> int:
        """The number of named records."""
        named = (
            *(self.unit_classes, self.units, self.resources, self.held, self.cards),
            *(self.aggregations, self.frequencies, self.overages, self.refreshes, self.rollovers),
            *(self.commitments, self.models, self.blankets),
        )
        own = sum(len(part.grants) + len(part.entries) for part in self.held)
        return sum(map(len, named)) + own + 1 + (self.book is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUpCatalog:
    """A part of a catalog: its records by the name of their kind, and the default procedures."""

    parts: Mapping[str, tuple[SetupPart[Any], ...]]
    defaults: tuple[SetupPart[ProcedureId], ...]
    is_plan: bool

    @property
    def size(self) -> int:
        """The number of records."""
        return sum(map(len, self.parts.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUp:
    """The steps in order, and their time."""

    steps: tuple[SetupStep, ...]
    at: datetime
