"""Documents: what a sale froze comes back as it was, and reads the same in any client."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.calendar import Delay, DelayUnit, PolicyPeriod
from server.domain.ids import PolicyId, ProductGrantId, RateEntryId, ResourceId, UnitId
from server.domain.modeling.policies import (
    LatePolicy,
    OveragePolicy,
    PolicyLevel,
    PolicySource,
    PolicySources,
    RatingFrequency,
    RefreshPolicy,
    RolloverPolicy,
    Validity,
)
from server.domain.modeling.sold_policies import SoldPolicies, WalletPolicies
from server.domain.rating.rates import Rate, RateTerms, TierMode
from server.domain.selling.sales import LineGrant, LineResource
from server.store.rating.rate_documents import TERMS
from server.store.selling.assets import POLICIES
from server.store.selling.quotes import RESOURCES
from tests.strategies import bounds, cadences, numbers, orders, policies, terms, tier_sets

USD = UnitId("USD")

values = st.decimals(min_value=0, max_value=10**20, places=12)
rates = st.builds(
    Rate,
    value=values,
    per=st.decimals(min_value="0.001", max_value=1000, places=3),
    unit=st.just(USD),
)
entries = st.none() | st.just(RateEntryId("base/tokens-2024"))
rate_terms = st.builds(
    RateTerms,
    unit=st.just(USD),
    per=st.decimals(min_value=1, max_value=1000, places=0),
    rate=st.none() | rates,
    tiers=tier_sets(),
    bounds=bounds,
    mode=st.sampled_from(TierMode),
    base_entry=entries,
    tier_entry=entries,
    negotiated_rate=st.none() | rates,
    negotiated_tiers=st.none() | st.just(()) | tier_sets(),
)
delays = st.builds(Delay, st.integers(0, 90), st.sampled_from(DelayUnit))
sources = st.just(PolicySource()) | st.builds(
    PolicySource,
    level=st.sampled_from(PolicyLevel).filter(lambda level: level is not PolicyLevel.DEFAULT),
    id=st.none() | st.just(PolicyId("by-month")),
    version=st.integers(0, 9),
)
sold_policies = st.builds(
    SoldPolicies,
    wallet=st.builds(
        WalletPolicies,
        unit_id=st.just(UnitId("TOKEN")),
        aggregation=policies,
        rating=st.builds(RatingFrequency, period=st.sampled_from(PolicyPeriod), delay=delays),
        late=st.sampled_from(LatePolicy),
        order=orders,
    ),
    overage=st.sampled_from(OveragePolicy),
    sources=st.builds(
        PolicySources,
        aggregation=sources,
        rating_frequency=sources,
        overage=sources,
        commitment=sources,
        order=st.sampled_from(PolicyLevel),
    ),
)
line_grants = st.builds(
    LineGrant,
    product_grant_id=st.just(ProductGrantId("included")),
    quantity=values,
    listed=values,
    refresh=st.none() | st.builds(RefreshPolicy, cadence=cadences),
    validity=st.none() | st.builds(Validity, cadence=cadences),
    rollover=st.none() | st.builds(RolloverPolicy, max_count=st.none() | st.integers(1, 9)),
    refresh_policy=sources,
    rollover_policy=sources,
)
line_resources = st.builds(
    LineResource,
    resource_id=st.just(ResourceId("tokens")),
    unit_scale=st.integers(0, 12),
    policies=sold_policies,
    terms=st.none() | rate_terms,
    is_fixed=st.booleans(),
    grants=st.lists(line_grants, max_size=3).map(tuple),
)


@given(numbers)
def test_decimals_are_plain_text(number: Decimal):
    text = json.loads(TERMS.encode(terms("1", per=number)))["content"]["per"]

    assert Decimal(text) == number
    assert not set(text) - set("-.0123456789")


@given(rate_terms)
def test_rate_terms_come_back_as_they_were(sold: RateTerms):
    assert TERMS.decode(TERMS.encode(sold)) == sold


@given(st.lists(line_resources, max_size=3).map(tuple))
def test_the_resources_of_a_line_come_back_as_they_were(sold: tuple[LineResource, ...]):
    assert RESOURCES.decode(RESOURCES.encode(sold)) == sold


@given(sold_policies)
def test_policies_come_back_as_they_were(sold: SoldPolicies):
    assert POLICIES.decode(POLICIES.encode(sold)) == sold


@pytest.mark.parametrize("version", ["0", "2", '"1"', "null"])
def test_a_document_of_another_version_is_refused(version: str):
    text = TERMS.encode(terms())

    with pytest.raises(ValueError, match=r"`\$\.v`"):
        TERMS.decode(text.replace('"v":1', f'"v":{version}'))


@pytest.mark.parametrize(
    "text",
    [
        '{"content":{"unit":"USD","rate":null}}',
        '{"v":1,"content":{"unit":"USD"}}',
        '{"v":1,"content":{"unit":"USD","rate":null,"mode":"SLOPED"}}',
        '{"v":1,"content":{"unit":"USD","rate":null},"more":1}',
    ],
    ids=["no version", "no rate", "an unknown word", "an unknown field"],
)
def test_a_document_of_another_shape_is_refused(text: str):
    with pytest.raises(ValueError, match=r"\$|field"):
        TERMS.decode(text)
