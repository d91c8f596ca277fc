"""Which rate holds when packs and commitments add to an anchor."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from server.domain.ids import AssetId, UnitId, derive
from server.domain.modelling.policies import CommitmentRate
from server.domain.pricing.rates import Rate, RateSegment, RateTerms
from server.domain.selling.additions import Addition, overlaid
from tests.strategies import BASE, USD, terms


def day(month, number=1):
    return datetime(2024, month, number, tzinfo=UTC)


def pack(name, price, span, commitment=None, unit=USD, *, is_negotiated=False):
    rate = Rate(value=Decimal(price), unit=unit)
    own = RateTerms(unit=unit, rate=rate, negotiated_rate=rate if is_negotiated else None)
    asset_id, (start, end) = AssetId(derive(BASE, "pack", name)), span
    return Addition(asset_id=asset_id, start=start, end=end, terms=own, commitment=commitment)


def price(segments, at):
    [found] = [one for one in segments if one.contains(at)]
    return found.terms.effective_rate.value


YEAR = (RateSegment(start=day(1), end=None, terms=terms("10")),)
FROM_FEBRUARY = (day(2), None)


def test_without_additions_nothing_changes():
    assert overlaid(YEAR, ()) == YEAR


def test_the_latest_wins_then_the_cheapest_and_the_earlier_rate_returns():
    packs = [
        pack("a", 8, (day(1, 15), day(3, 16))),
        pack("b", 9, (day(1, 15), day(4))),
        pack("c", 7, (day(2), day(5))),
    ]

    found = overlaid(YEAR, packs)

    assert [price(found, at) for at in (day(1), day(1, 15), day(2), day(5))] == [10, 8, 7, 10]
    assert overlaid(YEAR, packs[::-1]) == found


def test_what_was_negotiated_wins_over_what_was_not():
    agreed = Rate(value=Decimal(12), unit=USD)
    own = (RateSegment(start=day(1), terms=terms("10", negotiated_rate=agreed)),)
    listed, negotiated = (
        pack("a", 8, FROM_FEBRUARY),
        pack("a", 8, FROM_FEBRUARY, is_negotiated=True),
    )

    assert price(overlaid(own, [listed]), day(3)) == 12
    assert price(overlaid(own, [negotiated]), day(3)) == 8


def test_what_is_rated_in_another_unit_adds_nothing():
    assert overlaid(YEAR, [pack("a", 1, FROM_FEBRUARY, unit=UnitId("credit"))]) == YEAR


def test_the_lowest_commitment_goes_on_and_a_bounded_one_does_not():
    february = (day(2), day(3))
    bounded = pack("a", 5, february, CommitmentRate.BOUNDED)
    lowest = pack("b", 6, february, CommitmentRate.LOWEST)

    assert overlaid(YEAR, [bounded]) == YEAR
    found = [one.terms.committed for one in overlaid(YEAR, [bounded, lowest])]
    assert found == [(), (replace(lowest.terms, commitment=lowest.asset_id),), ()]


spans = st.tuples(st.integers(1, 11), st.integers(1, 12)).map(
    lambda pair: (day(min(pair)), day(max(pair)) if pair[0] != pair[1] else None)
)
additions = st.lists(
    st.builds(
        pack, st.integers(0, 9), st.integers(1, 20), spans, st.sampled_from([None, *CommitmentRate])
    ),
    max_size=6,
    unique_by=lambda one: one.asset_id,
)


@given(additions, st.randoms(use_true_random=False))
def test_the_whole_span_is_covered_once_in_any_order(found, random):
    segments = overlaid(YEAR, found)

    assert (segments[0].start, segments[-1].end) == (day(1), None)
    assert all(a.end == b.start for a, b in pairwise(segments))
    assert all(a.terms != b.terms for a, b in pairwise(segments))
    random.shuffle(found)
    assert overlaid(YEAR, found) == segments
