"""The rate that applies when packs and commitments add to an anchor."""

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from server.domain.ids import AssetId, UnitId, derive
from server.domain.modeling.policies import CommitmentRate
from server.domain.rating.additions import (
    chosen,
    chosen_for_target,
    in_force,
    overlaid,
    overlaid_all,
    ranked_for_target,
    standing,
)
from server.domain.rating.rates import Rate, RateSegment
from tests.domain.rating.addition_words import agreed, day, pack
from tests.strategies import BASE, USD, terms


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


def anchor(name):
    return AssetId(derive(BASE, "pack", name))


def test_what_was_agreed_for_the_target_goes_before_the_catalog_and_says_whose_it_is():
    found = [agreed("a", 8, (day(2), day(4))), agreed("b", 9, (day(3), None))]

    segments = overlaid(YEAR, found)

    assert [price(segments, at) for at in (day(1), day(2), day(3), day(4))] == [10, 8, 9, 9]
    assert [one.terms.agreed_on for one in segments] == [None, anchor("a"), anchor("b")]
    assert [one.sold_with for one in segments] == [None, anchor("a"), anchor("b")]
    assert overlaid(YEAR, found[::-1]) == segments


def test_of_agreements_that_started_together_the_cheapest_holds_then_the_first_id():
    dear, cheap, same = (agreed(name, each, FROM_FEBRUARY) for name, each in ("a9", "b8", "c8"))

    assert chosen(YEAR[0].terms, day(2), [dear, cheap]) is cheap
    first = min(cheap, same, key=lambda one: one.asset_id)
    assert chosen(YEAR[0].terms, day(2), [same, cheap, dear]) is first
    later = agreed("d", 11, (day(3), None))
    assert chosen(YEAR[0].terms, day(3), [dear, cheap, later]) is later
    assert chosen(YEAR[0].terms, day(2), [later]) is None


def test_an_asset_with_something_negotiated_needs_nothing_of_the_target():
    tiers = YEAR[0].terms.tiers
    for own in (
        terms("10", negotiated_rate=Rate(value=Decimal(12), unit=USD)),
        terms("10", negotiated_tiers=tiers),
    ):
        segment = RateSegment(start=day(1), terms=own)
        assert in_force(segment, day(3), [agreed("a", 1, FROM_FEBRUARY)]) == segment


def test_what_was_agreed_in_another_unit_is_for_others():
    assert overlaid(YEAR, [agreed("a", 1, FROM_FEBRUARY, unit=UnitId("credit"))]) == YEAR
    nothing = (RateSegment(start=day(1), terms=None),)
    assert overlaid(nothing, [agreed("a", 1, FROM_FEBRUARY)]) == nothing


def test_a_pack_wins_over_an_agreement_only_if_it_was_negotiated_too():
    one = agreed("a", 8, FROM_FEBRUARY)
    listed, better = pack("p", 5, FROM_FEBRUARY), pack("q", 9, FROM_FEBRUARY, is_negotiated=True)

    assert chosen(YEAR[0].terms, day(2), [one, listed]) is one
    assert chosen(YEAR[0].terms, day(2), [one, listed, better]) is better
    assert in_force(YEAR[0], day(2), [one, better]).terms == better.terms


def test_what_was_agreed_holds_as_a_whole_for_usage_that_keeps_its_own_attributes():
    eu, us = {"region": "eu"}, {"region": "us"}
    own = RateSegment(start=day(1), terms=terms("10", attributes=eu))
    whole = agreed("a", 8, FROM_FEBRUARY, attributes=us, base_entry="base/other")
    lower = pack("c", 6, FROM_FEBRUARY, CommitmentRate.LOWEST)

    found = in_force(own, day(2), [whole, lower]).terms

    assert (found.base_entry, found.rate, found.attributes) == ("base/other", whole.terms.rate, eu)
    assert [one.commitment for one in found.committed] == [anchor("c")]


def test_the_anchors_of_a_target_agree_and_those_of_an_asset_alone_do_not():
    own = RateSegment(start=day(2), end=day(4), terms=agreed("a", 8, FROM_FEBRUARY).terms)
    rates = {anchor("a"): (own,), anchor("b"): YEAR, anchor("c"): YEAR}

    found = overlaid_all(rates, (), is_shared=True, fixed={anchor("c")})

    assert found[anchor("a")] == (own,)
    assert [price(found[anchor("b")], at) for at in (day(1), day(2), day(4))] == [10, 8, 10]
    assert [one.terms.agreed_on for one in found[anchor("b")]] == [None, anchor("a"), None]
    assert found[anchor("c")] == YEAR
    assert overlaid_all(rates, (), is_shared=False) == rates


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


agreements = st.lists(
    st.builds(
        agreed, st.integers(10, 19), st.integers(1, 5), spans, st.sampled_from([USD, UnitId("c")])
    ),
    max_size=8,
    unique_by=lambda one: one.asset_id,
)


@given(agreements, additions)
def test_what_stands_of_agreements_is_what_would_hold_of_all(agreements, others):
    stands = standing(agreements)

    days = [day(month, number) for month in range(1, 13) for number in (1, 15)]
    for at in days:
        for unit in (USD, UnitId("c")):
            assert sum(one.is_open(at) and one.terms.unit == unit for one in stands) <= 1
    every, kept = overlaid(YEAR, [*agreements, *others]), overlaid(YEAR, [*stands, *others])
    assert [price(every, at) for at in days] == [price(kept, at) for at in days]
    assert [(one.start, one.terms) for one in every] == [(one.start, one.terms) for one in kept]


def test_at_a_target_a_negotiated_pack_comes_first_then_agreements_then_other_packs():
    span = (day(1), None)
    listed, best = pack("listed", 1, span), pack("best", 9, span, is_negotiated=True)
    early, late = agreed("early", 2, span), agreed("late", 3, (day(2), None))
    added = [listed, early, late, best, pack("commitment", 1, span, CommitmentRate.LOWEST)]

    assert ranked_for_target(day(3), added) == [best, late, early, listed]
    assert ranked_for_target(day(1), added) == [best, early, listed]
    assert chosen_for_target(day(3), [listed, early]) == early
    assert chosen_for_target(day(3), []) is None
