"""Elements: what a procedure is a stack of, one frozen value a kind.

An element says what is to be done, never to whom: lines, their terms and their attributes come when
the procedure runs. Rates are pairs; what an element writes is for the `per` units of the rate it
changes. Source: rating elements, rating procedures.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Union

from server.domain.exact import Rounding
from server.domain.rating.rates import Adjustment, AttributeRow


class ValueKind(StrEnum):
    """What a variable holds; only conditions are of the last kind."""

    NUMBER = "NUMBER"
    TEXT = "TEXT"
    TRUTH = "TRUTH"


class Agreed(StrEnum):
    """With whom something was agreed: with the buyer of the asset, or for what it is bound to."""

    ASSET = "ASSET"
    TARGET = "TARGET"


class DiscountKind(StrEnum):
    """How a discount is said."""

    PERCENTAGE = "PERCENTAGE"
    AMOUNT = "AMOUNT"


class ListFunction(StrEnum):
    """What becomes of a variable of all lines of a list."""

    SUM = "SUM"
    MINIMUM = "MINIMUM"
    MAXIMUM = "MAXIMUM"
    COUNT = "COUNT"


class LookupSource(StrEnum):
    """Where a discovery procedure looks for rates."""

    ASSET = "ASSET"
    TARGET = "TARGET"
    CATALOG_RATES = "CATALOG_RATES"
    CATALOG_TIERS = "CATALOG_TIERS"
    CATALOG_ATTRIBUTES = "CATALOG_ATTRIBUTES"


NET_UNIT_RATE = "net_unit_rate"
BUILT_IN: Mapping[str, ValueKind] = {
    NET_UNIT_RATE: ValueKind.NUMBER,
    "base_rate": ValueKind.NUMBER,
    "rate_per": ValueKind.NUMBER,
    "overage_quantity": ValueKind.NUMBER,
    "tier_quantity": ValueKind.NUMBER,
    "quantity_before": ValueKind.NUMBER,
    "used_quantity": ValueKind.NUMBER,
}
"""The variables that every line has; of these, only the net unit rate can be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """An attribute that formulas and matrices may name; without a default, a line must have it."""

    name: str
    kind: ValueKind
    default: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingSetting:
    """What the procedure works on; the first element, and nowhere else."""

    name: str = ""
    inputs: tuple[Input, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseRate:
    """The rate of the catalogue."""

    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NegotiatedRate:
    """The first negotiated rate there is, in this order, replaces the rate."""

    name: str = ""
    order: tuple[Agreed, ...] = (Agreed.ASSET, Agreed.TARGET)


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeTiers:
    """Tiers of the catalogue that price by volume, unless tiers were negotiated."""

    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraduatedTiers:
    """Tiers of the catalogue that price each unit by its own, unless tiers were negotiated."""

    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NegotiatedTiers:
    """The first negotiated tiers there are, in this order, priced as they say."""

    name: str = ""
    order: tuple[Agreed, ...] = (Agreed.ASSET, Agreed.TARGET)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeAdjustment:
    """The first row that fits, of these and then of those that come with the line."""

    name: str = ""
    rows: tuple[AttributeRow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentRateElement:
    """The lowest rate of the line's commitments, if that is lower."""

    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualDiscount:
    """So many percent, or so much, off the rate."""

    name: str = ""
    kind: DiscountKind
    value: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixRow:
    """What the columns must hold, None for anything, and what it does to the rate."""

    cells: tuple[str | None, ...]
    adjustment: Adjustment


@dataclass(frozen=True, slots=True, kw_only=True)
class AdjustmentMatrix:
    """The first row whose cells equal the variables named by the columns."""

    name: str = ""
    columns: tuple[str, ...]
    rows: tuple[MatrixRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FormulaElement:
    """An expression over variables, kept in a variable: the rate, or one of the procedure's own."""

    name: str = ""
    expression: str
    variable: str = NET_UNIT_RATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A constant, kept in a variable."""

    name: str = ""
    variable: str
    value: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ListGroup:
    """Elements for those lines alone for which the condition holds."""

    name: str = ""
    condition: str
    elements: tuple["ProcedureElement", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOperation:
    """One figure of a variable over all lines that are here, kept in a variable of each."""

    name: str = ""
    function: ListFunction
    source: str | None = None
    variable: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundRate:
    """The rate with so many places."""

    name: str = ""
    mode: Rounding
    places: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """What follows is skipped by the lines that come here."""

    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """A place where a discovery procedure looks, in its turn."""

    name: str = ""
    source: LookupSource


ProcedureElement = Union[  # noqa: UP007 - a group holds elements, so it is named before it is known
    RatingSetting,
    BaseRate,
    NegotiatedRate,
    VolumeTiers,
    GraduatedTiers,
    NegotiatedTiers,
    AttributeAdjustment,
    CommitmentRateElement,
    ManualDiscount,
    AdjustmentMatrix,
    FormulaElement,
    Assignment,
    ListGroup,
    ListOperation,
    RoundRate,
    Stop,
    Lookup,
]
