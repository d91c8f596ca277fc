"""A real day of an LLM service, from its records to two invoice lines."""

import random
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from server.domain.consumption.aggregation import increments
from server.domain.consumption.cells import Measure, merged
from server.domain.ids import RecordId
from server.domain.modeling.policies import AggregationMethod, AggregationPolicy
from server.domain.rating.rates import Rate, RateSegment, RateTerms
from server.domain.settlement.ratable_lines import ratable_lines
from server.domain.settlement.walk import WalletTerms, settle
from tests import strategies
from tests.domain.settlement.summary_words import owed
from tests.strategies import ASSET, WALLET, cell, grant
from tests.trace import trace_rows

NOVEMBER = strategies.months("UTC", 11, year=2023)[10]
DAY = datetime(2023, 11, 16, tzinfo=UTC)
MILLION = Decimal(1_000_000)


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    return trace_rows()


def measure(rows: list[dict[str, str]], column: str) -> Measure:
    """Return the totals of the records of the day, each folded in by itself."""
    return merged(
        Measure.of(
            Decimal(row[column]),
            # Seven decimals of a second, cut to six.
            datetime.fromisoformat(row["TIMESTAMP"][:26]).replace(tzinfo=UTC),
            RecordId(f"{line}-{column}"),
        )
        for line, row in enumerate(rows)
    )


@pytest.mark.parametrize(
    ("column", "granted", "price", "used", "overage", "exact", "amount"),
    [
        ("ContextTokens", 15_000_000, "2.50", 18_059_974, 3_059_974, "7.649935", "7.65"),
        ("GeneratedTokens", 200_000, "10.00", 245_896, 45_896, "0.45896", "0.46"),
    ],
)
@pytest.mark.parametrize("seed", [None, 1, 2])
def test_a_real_day_becomes_two_lines(
    rows, column, granted, price, used, overage, exact, amount, seed
):
    if seed is not None:
        rows = random.Random(seed).sample(rows, len(rows))
    policy = AggregationPolicy.usual(AggregationMethod.SUM)
    wallet = WalletTerms(id=WALLET, zone="UTC", aggregation=policy)
    day = replace(cell("day", 1, DAY, period=NOVEMBER), measure=measure(rows, column))
    terms = RateTerms(
        unit="USD", per=MILLION, rate=Rate(value=Decimal(price), per=MILLION, unit="USD")
    )

    settled = settle(
        wallet,
        (grant("g", granted, NOVEMBER.start, NOVEMBER.end),),
        (),
        increments([day], policy, zone="UTC"),
        through=NOVEMBER.end,
    )
    rates = {ASSET: (RateSegment(start=NOVEMBER.start, terms=terms),)}
    (ratable,) = ratable_lines(WALLET, settled.results, rates)
    (liable,) = owed([ratable])

    assert (ratable.used, ratable.overage) == (used, overage)
    assert ratable.amount == Decimal(exact)
    assert liable.amount == Decimal(amount)
