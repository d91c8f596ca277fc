"""Rating: what a quantity costs under its terms, by the procedure that is shipped as the default.

Amounts keep 24 places and are rounded to money elsewhere, once. The net unit rate is for display;
no amount is made from it. A quantity that no rate covers is refused, never priced at zero.
"""

from server.domain.exact import exact
from server.domain.modeling.policies import OveragePolicy
from server.domain.rating.procedures.programs import compiled
from server.domain.rating.procedures.shipped import NEGOTIABLE
from server.domain.rating.procedures.state import Line, State, no_rate, unpriced
from server.domain.rating.procedures.waterfall import Element, Rated, RatingFailed, WaterfallStep

__all__ = ["Element", "Rated", "RatingFailed", "WaterfallStep", "rate_line"]

_PROGRAM = compiled(NEGOTIABLE[1])


@exact
def rate_line(line: Line) -> Rated:
    """Price a line; its terms have the attributes that adjust it.

    Units outside every tier fall back to the rate itself.

    Raises `RatingFailed`: `RATE_NOT_FOUND` without any rate, `NO_TIER_FOR_QUANTITY` outside every
    tier and without a rate to fall back to, `RATE_NEGATIVE`, `AMOUNT_RANGE`.
    """
    quantity, terms, before = line.quantity, line.terms, line.before
    assert min(quantity, before) >= 0, (quantity, before)
    if quantity == 0 or line.overage is OveragePolicy.FREE:
        return unpriced(quantity, line.overage)
    if terms is None:
        raise no_rate(quantity)
    state = State(quantity, terms, line.tier_quantity, before, line.used, packages=line.packages)
    if terms.adjustments:
        state.attributes = terms.attributes
        state.adjustments = terms.adjustments
    return _PROGRAM.price(state)
