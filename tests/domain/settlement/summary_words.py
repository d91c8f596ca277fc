"""Cells of usage, and the ratable lines that they make."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from server.domain.billing.liable_lines import liable_lines
from server.domain.calendar import Period
from server.domain.consumption.aggregation import increments
from server.domain.consumption.dimensions import dimensions_text
from server.domain.modeling.policies import AggregationMethod, AggregationPolicy, OveragePolicy
from server.domain.rating.rates import RateSegment, RateTerms
from server.domain.settlement.ratable_lines import ratable_lines
from server.domain.settlement.walk import WalletTerms, settle
from tests import strategies
from tests.strategies import ASSET, WALLET, cell

TERMS = WalletTerms(
    id=WALLET, zone="UTC", aggregation=AggregationPolicy.usual(AggregationMethod.SUM)
)
JANUARY, FEBRUARY, MARCH = strategies.months("UTC", 3)
HALF = datetime(2024, 1, 15, tzinfo=UTC)


def day(month, number):
    return datetime(2024, month, number, tzinfo=UTC)


def results(cells, *grants):
    found = increments(cells, TERMS.aggregation, zone="UTC")
    return settle(TERMS, grants, (), found, through=MARCH.end).results


def lines(cells, rates, *grants, **more):
    return ratable_lines(WALLET, results(cells, *grants), rates, **more)


def owed(found, billed=()):
    """The liable lines in dollars, all of one quarter."""
    quarter = Period(JANUARY.start, MARCH.end)
    origins = {line.id: quarter for line in found}
    return liable_lines(found, origins, dict(billed), places=2)


def halves(first: RateTerms, second: RateTerms, **more: OveragePolicy) -> dict:
    """Other terms from the middle of January on."""
    return {
        ASSET: (
            RateSegment(start=day(1, 1), end=HALF, terms=first, **more),
            RateSegment(start=HALF, terms=second),
        )
    }


def whole(price: RateTerms) -> dict:
    return {ASSET: (RateSegment(start=day(1, 1), terms=price),)}


def used(quantity: int, on: int, **labels: str):
    made = cell((on, *labels.values()), quantity, day(1, on), period=JANUARY)
    return replace(made, dimensions=dimensions_text(("region",), labels))


def amounts(found) -> list[Decimal]:
    return [line.amount for line in found]
