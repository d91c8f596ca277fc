"""Cells of usage, and the ratable lines that they make."""

from datetime import UTC, datetime

from server.domain.consumption.aggregation import increments
from server.domain.modeling.policies import AggregationMethod, AggregationPolicy
from server.domain.settlement.ratable_lines import ratable_lines
from server.domain.settlement.walk import WalletTerms, settle
from tests import strategies
from tests.strategies import WALLET

TERMS = WalletTerms(
    id=WALLET, zone="UTC", aggregation=AggregationPolicy.usual(AggregationMethod.SUM)
)
JANUARY, FEBRUARY, MARCH = strategies.months("UTC", 3)


def day(month, number):
    return datetime(2024, month, number, tzinfo=UTC)


def results(cells, *grants):
    found = increments(cells, TERMS.aggregation, zone="UTC")
    return settle(TERMS, grants, (), found, through=MARCH.end).results


def lines(cells, rates, *grants, **more):
    return ratable_lines(WALLET, results(cells, *grants), rates, **more)
