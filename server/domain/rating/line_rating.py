"""Line rating: the price of a quantity under its terms, by the shipped default procedure.

Amounts keep 24 places; `billing.liable_lines` rounds them to money, once. The net unit rate is for
display only. A quantity without a rate is refused, never priced at zero.
"""

from server.domain.exact import exact
from server.domain.rating.procedures.programs import compiled
from server.domain.rating.procedures.shipped import NEGOTIABLE
from server.domain.rating.procedures.state import Line, State, no_rate, unpriced
from server.domain.rating.procedures.waterfall import Element, Rated, RatingFailed, WaterfallStep

__all__ = ["Element", "Rated", "RatingFailed", "WaterfallStep", "rate_line"]

# Compiled once at import, because every line of every close and balance is rated by it.
_PROGRAM = compiled(NEGOTIABLE[1])


@exact
def rate_line(line: Line) -> Rated:
    """Return the price of a line whose terms include the attributes for adjustments.

    Units outside every tier get the rate before tiers.

    Raises `RatingFailed`: `RATE_NOT_FOUND` without any rate, `NO_TIER_FOR_QUANTITY` outside every
    tier and without such a rate, `RATE_NEGATIVE`, `AMOUNT_RANGE`.
    """
    quantity, terms, before = line.quantity, line.terms, line.before
    assert min(quantity, before) >= 0, (quantity, before)
    if quantity == 0 or line.costs_nothing:
        return unpriced(line)
    if terms is None:
        raise no_rate(quantity)
    state = State(
        quantity,
        terms,
        line.tier_quantity,
        before,
        line.used,
        packages=line.packages,
        flat_tiers=line.flat_tiers,
    )
    if terms.adjustments:
        state.attributes = terms.attributes
        state.adjustments = terms.adjustments
    return _PROGRAM.price(state)
