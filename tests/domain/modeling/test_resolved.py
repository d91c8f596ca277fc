"""The policies that hold: whatever the levels say, each resolves to the strongest that says it."""

from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from server.domain.calendar import Delay, PolicyPeriod
from server.domain.ids import PolicyId, UnitId
from server.domain.modeling.catalog import (
    Aggregation,
    CatalogState,
    Commitment,
    Overage,
    RatingFrequencyPolicy,
    StoredRecord,
)
from server.domain.modeling.policies import (
    AggregationMethod,
    CommitmentRate,
    DrawdownOrder,
    LatePolicy,
    OveragePolicy,
    PolicyLevel,
    usual_combination,
)
from server.domain.modeling.resolved import LevelPolicies, chain_of, resolve, sold_policies

NOW = datetime(2024, 1, 1, tzinfo=UTC)
periods = st.sampled_from(PolicyPeriod)
delays = st.builds(Delay, st.integers(0, 90))
UNIT = UnitId("call")
STRONGEST_FIRST = [
    PolicyLevel.TARGET,
    PolicyLevel.LINE,
    PolicyLevel.PRODUCT_USAGE_RESOURCE,
    PolicyLevel.USAGE_RESOURCE,
]


def kept(content):
    versions = st.integers(1, 9)
    return st.builds(
        StoredRecord, content, st.just(CatalogState.ACTIVE), st.just(1), st.just(NOW), versions
    )


ids = st.sampled_from(["a", "b"]).map(PolicyId)
words = {"id": ids, "display_name": st.just("")}
aggregations = st.sampled_from(AggregationMethod).flatmap(
    lambda method: st.builds(
        Aggregation,
        **words,
        method=st.just(method),
        period=periods,
        combine=st.just(usual_combination(method)),
        unique_label=st.just("user" if method is AggregationMethod.UNIQUE_COUNT else None),
    )
)
frequencies = st.builds(
    RatingFrequencyPolicy, **words, period=periods, delay=delays, late=st.sampled_from(LatePolicy)
)
overages = st.builds(Overage, **words, overage=st.sampled_from(OveragePolicy))
commitments = st.builds(Commitment, **words, rate=st.sampled_from(CommitmentRate))


@st.composite
def chains(draw):
    """Return the policies of some levels, the strongest first."""
    levels = [level for level in STRONGEST_FIRST if draw(st.booleans())]
    return [
        LevelPolicies(
            level=level,
            aggregation=draw(st.none() | kept(aggregations)),
            rating_frequency=draw(st.none() | kept(frequencies)),
            overage=draw(st.none() | kept(overages)),
            commitment=draw(st.none() | kept(commitments)),
            order=draw(st.none() | st.sampled_from(DrawdownOrder)),
        )
        for level in levels
    ]


@given(chains())
def test_a_chain_always_resolves_to_the_strongest_level_that_says_something(said):
    found = resolve(said)

    for name in ("aggregation", "rating_frequency", "overage", "commitment"):
        speaking = [one for one in said if getattr(one, name) is not None]
        supplied = getattr(found, name)
        if speaking:
            assert supplied.level is speaking[0].level
            assert supplied.policy is getattr(speaking[0], name)
        else:
            assert supplied.level is PolicyLevel.DEFAULT
            assert supplied.policy.version == 0
    orders = [(one.order, one.level) for one in said if one.order is not None]
    assert found.order == (orders or [(DrawdownOrder.EXPIRING_FIRST, PolicyLevel.DEFAULT)])[0]


@given(chains(), chains())
def test_a_level_that_says_nothing_changes_nothing(said, more):
    silent = [LevelPolicies(level=one.level) for one in more]

    assert resolve([*silent, *said, *silent]) == resolve(said)


@given(chains())
def test_a_sale_keeps_what_held_and_where_it_came_from(said):
    held = resolve(said)
    sold = sold_policies(held, UNIT)
    told = chain_of(sold, held.commitment.policy.content.rate)

    for name in ("aggregation", "rating_frequency", "overage", "commitment"):
        before, after = getattr(held, name), getattr(told, name)
        assert (after.level, after.policy.version) == (before.level, before.policy.version)
        assert after.policy.content == before.policy.content
    assert told.order == held.order


def test_without_a_word_usage_is_summed_by_day_rated_by_month_and_charged():
    sold = sold_policies(resolve([]), UNIT)

    assert sold.wallet.aggregation.method is AggregationMethod.SUM
    assert sold.wallet.rating.delay.count == Decimal(3)
    assert (sold.overage, sold.wallet.late) == (OveragePolicy.CHARGE, LatePolicy.NEXT_PERIOD)
