"""Comparison: the amount of a quantity with each commitment alone, and the one that is used."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal

from server.domain.ids import AssetId
from server.domain.modeling.policies import OveragePolicy
from server.domain.rating.compiled_rating import CompiledRating
from server.domain.rating.line_rating import RatingFailed
from server.domain.rating.procedures.state import Line
from server.domain.rating.rates import RateTerms


@dataclass(frozen=True, slots=True)
class Compared:
    """The amount with each commitment alone, and the cheapest one if it lowers the amount."""

    amounts: Mapping[AssetId, Decimal]
    lowest: AssetId | None = None


def compared(
    quantity: Decimal | None,
    won: RateTerms | None,
    overage: OveragePolicy,
    rater: CompiledRating | None,
) -> Compared:
    """Return the comparison for a quantity; it is empty without a quantity or commitments."""
    if quantity is None or won is None or not won.committed or rater is None:
        return Compared({})
    amounts: dict[AssetId, Decimal] = {}
    for committed in won.committed:
        alone = replace(won, committed=(committed,))
        amount = _amount(quantity, alone, overage, rater)
        if committed.commitment is not None and amount is not None:
            amounts[committed.commitment] = amount
    best = min(amounts, key=lambda asset_id: (amounts[asset_id], asset_id), default=None)
    # A commitment is used only if it lowers the amount.
    without = _amount(quantity, replace(won, committed=()), overage, rater)
    if best is not None and without is not None and amounts[best] >= without:
        best = None
    return Compared(amounts, best)


def _amount(
    quantity: Decimal, terms: RateTerms, overage: OveragePolicy, rater: CompiledRating
) -> Decimal | None:
    line = Line(quantity=quantity, terms=terms, tier_quantity=quantity, overage=overage)
    # A commitment that cannot be priced is left out of the comparison.
    with suppress(RatingFailed):
        return rater.price(line).amount
    return None
