"""Waterfalls: the outcome of rating with every step that led to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from server.domain.errors import FailedPrecondition
from server.domain.rating.procedures.packages import Packaged


class Element(StrEnum):
    """The kinds of step."""

    OVERAGE_POLICY = "OVERAGE_POLICY"
    BASE_RATE = "BASE_RATE"
    NEGOTIATED_RATE = "NEGOTIATED_RATE"
    VOLUME_TIER = "VOLUME_TIER"
    GRADUATED_TIER = "GRADUATED_TIER"
    NEGOTIATED_TIERS = "NEGOTIATED_TIERS"
    ATTRIBUTE_ADJUSTMENT = "ATTRIBUTE_ADJUSTMENT"
    COMMITMENT_RATE = "COMMITMENT_RATE"
    MANUAL_DISCOUNT = "MANUAL_DISCOUNT"
    ADJUSTMENT_MATRIX = "ADJUSTMENT_MATRIX"
    FORMULA = "FORMULA"
    ASSIGNMENT = "ASSIGNMENT"
    LIST_GROUP = "LIST_GROUP"
    LIST_OPERATION = "LIST_OPERATION"
    ROUNDING = "ROUNDING"
    STOP = "STOP"
    AMOUNT = "AMOUNT"


@dataclass(frozen=True, slots=True, kw_only=True)
class WaterfallStep:
    """One step of the waterfall."""

    sequence: int
    element: Element
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """An amount in the unit of the terms, with its steps; `packaged` are the units by package.

    `flat_tiers` are the lower bounds of the tiers whose flat amounts are part of the amount, and
    `flat_before` those whose flat amounts other units had been charged before.
    """

    amount: Decimal
    net_unit_rate: Decimal
    steps: tuple[WaterfallStep, ...]
    packaged: tuple[Packaged, ...] = ()
    flat_tiers: tuple[Decimal, ...] = ()
    flat_before: frozenset[Decimal] = frozenset()


# A generated `__eq__` would make the exception unhashable.
@dataclass(eq=False)
class RatingFailed(FailedPrecondition):
    """The quantity cannot be priced under these terms; `steps` are those before the failure."""

    steps: tuple[WaterfallStep, ...] = ()


Outcome = Rated | RatingFailed
