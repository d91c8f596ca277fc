"""Elements: the parts of a procedure, one frozen value for each kind.

An element defines an action. Lines, their terms and their attributes are passed in when the
procedure runs. Rates are pairs; a value that an element writes is for the `per` units of the rate
that it changes. Source: rating elements, rating procedures.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Union

from server.domain.exact import Rounding
from server.domain.rating.rates import Adjustment, AttributeRow


class ValueKind(StrEnum):
    """The type of a variable; TRUTH is for conditions only."""

    NUMBER = "NUMBER"
    TEXT = "TEXT"
    TRUTH = "TRUTH"


class Agreed(StrEnum):
    """The side of an agreement: the buyer of the asset, or the asset's binding target."""

    ASSET = "ASSET"
    TARGET = "TARGET"


class DiscountKind(StrEnum):
    """The unit of a discount."""

    PERCENTAGE = "PERCENTAGE"
    AMOUNT = "AMOUNT"


class ListFunction(StrEnum):
    """The aggregate of a variable over all lines of a list."""

    SUM = "SUM"
    MINIMUM = "MINIMUM"
    MAXIMUM = "MAXIMUM"
    COUNT = "COUNT"


class LookupSource(StrEnum):
    """A source that a discovery procedure can search."""

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
"""The variables of every line. Only the net unit rate can be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """An attribute that formulas and matrices may read; without a default, a line must have it."""

    name: str
    kind: ValueKind
    default: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingSetting:
    """The inputs of the procedure. It is the first element and cannot be another one."""

    name: str = ""
    inputs: tuple[Input, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseRate:
    """Takes the rate of the catalog."""

    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NegotiatedRate:
    """Replaces the rate by the first negotiated rate, in this order."""

    name: str = ""
    order: tuple[Agreed, ...] = (Agreed.ASSET, Agreed.TARGET)


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeTiers:
    """Applies the catalog's VOLUME tiers, unless tiers were negotiated."""

    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraduatedTiers:
    """Applies the catalog's GRADUATED tiers, unless tiers were negotiated."""

    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NegotiatedTiers:
    """Applies the first negotiated tiers, in this order and in their own mode."""

    name: str = ""
    order: tuple[Agreed, ...] = (Agreed.ASSET, Agreed.TARGET)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeAdjustment:
    """Applies the first row that matches, of these rows and then of the line's."""

    name: str = ""
    rows: tuple[AttributeRow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentRateElement:
    """Applies the lowest rate of the line's commitments, if it is lower."""

    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualDiscount:
    """Subtracts a percentage or an amount from the rate."""

    name: str = ""
    kind: DiscountKind
    value: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixRow:
    """The required values of the columns, None for any, and the adjustment of the rate."""

    cells: tuple[str | None, ...]
    adjustment: Adjustment


@dataclass(frozen=True, slots=True, kw_only=True)
class AdjustmentMatrix:
    """Applies the first row whose cells equal the variables of the columns."""

    name: str = ""
    columns: tuple[str, ...]
    rows: tuple[MatrixRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FormulaElement:
    """Writes the value of an expression to a variable: the rate, or one of the procedure's own."""

    name: str = ""
    expression: str
    variable: str = NET_UNIT_RATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Writes a constant to a variable."""

    name: str = ""
    variable: str
    value: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ListGroup:
    """Applies elements to the lines for which the condition is true."""

    name: str = ""
    condition: str
    elements: tuple["ProcedureElement", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOperation:
    """Computes one value of a variable over all lines of the list, and writes it to each line."""

    name: str = ""
    function: ListFunction
    source: str | None = None
    variable: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundRate:
    """Rounds the rate to a number of places."""

    name: str = ""
    mode: Rounding
    places: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Ends the procedure for the lines that reach it."""

    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """Searches one source, in a discovery procedure."""

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
