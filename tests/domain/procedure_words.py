"""Short words for procedures and the lines they rate."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from server.domain.rating.line_rating import rate_line
from server.domain.rating.procedures.elements import ProcedureElement, RatingSetting
from server.domain.rating.procedures.engine import Clock, Program
from server.domain.rating.procedures.programs import compile_rating
from server.domain.rating.procedures.state import Line
from server.domain.rating.procedures.versions import TimeLimits
from server.domain.rating.procedures.waterfall import Outcome, Rated, RatingFailed
from server.domain.rating.rates import Adjustment, AdjustmentKind, Rate, RateTerms, Tier
from tests.strategies import USD, terms

__all__ = ["by", "cost", "line", "price", "program", "rates", "run", "terms", "tier"]


def by(kind: str, value: object) -> Adjustment:
    return Adjustment(kind=AdjustmentKind(kind), value=Decimal(str(value)))


def tier(lower: int, upper: int | None, kind: str, value: object) -> Tier:
    end = None if upper is None else Decimal(upper)
    return Tier(lower=Decimal(lower), upper=end, adjustment=by(kind, value))


def price(value: object, per: object = 1) -> Rate:
    return Rate(value=Decimal(str(value)), per=Decimal(str(per)), unit=USD)


def line(quantity: object, priced: RateTerms | str | None = "1", **more: Any) -> Line:
    count = Decimal(str(quantity))
    held = terms(priced) if isinstance(priced, str) else priced
    return Line(quantity=count, terms=held, tier_quantity=more.pop("tier_quantity", count), **more)


def cost(quantity: object, priced: RateTerms | None, **more: Any) -> Rated:
    """Return the cost of some units, of a `whole` that picks tiers. Raises RatingFailed."""
    whole = Decimal(str(more.pop("whole", quantity)))
    return rate_line(line(quantity, priced, tier_quantity=whole, **more))


def program(*elements: ProcedureElement, setting: RatingSetting | None = None) -> Program:
    return compile_rating((setting or RatingSetting(), *elements), TimeLimits())


def run(
    elements: Iterable[ProcedureElement],
    *lines: Line,
    setting: RatingSetting | None = None,
    clock: Clock | None = None,
) -> tuple[Outcome, ...]:
    return program(*elements, setting=setting).run(lines, clock=clock)


def rates(outcomes: Iterable[Outcome]) -> list[str]:
    """The net unit rate of each, or the reason why there is none."""
    return [
        f"{one.net_unit_rate.normalize():f}" if isinstance(one, Rated) else one.reason
        for one in outcomes
        if isinstance(one, Rated | RatingFailed)
    ]
