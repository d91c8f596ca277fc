"""Documents: what a sale froze comes back as it was, and reads the same in any client."""

from decimal import Decimal

import msgspec
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
from server.domain.rating.rates import Adjustment, AdjustmentKind, Rate, RateTerms, Tier, TierMode
from server.domain.selling.sales import LineGrant, LineResource
from server.store.modeling.policy_documents import policies_from_doc, policies_to_doc
from server.store.rating.terms_documents import terms_from_doc, terms_to_doc
from server.store.selling.documents import resources_from_doc, resources_to_doc
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


def through_text(doc):
    return msgspec.json.decode(msgspec.json.encode(doc))


@given(rate_terms)
def test_rate_terms_come_back_as_they_were(kept: RateTerms):
    assert terms_from_doc(through_text(terms_to_doc(kept))) == kept


@given(st.lists(line_resources, max_size=3).map(tuple))
def test_the_resources_of_a_line_come_back_as_they_were(kept: tuple[LineResource, ...]):
    assert resources_from_doc(through_text(resources_to_doc(kept))) == kept


@given(sold_policies, st.booleans())
def test_policies_come_back_as_they_were(kept: SoldPolicies, is_fixed: bool):
    doc = through_text(policies_to_doc(kept, is_fixed=is_fixed))

    assert policies_from_doc(doc) == (kept, is_fixed)


@given(numbers)
def test_numbers_are_plain_text(number: Decimal):
    tier = Tier(
        lower=Decimal(0),
        upper=None,
        adjustment=Adjustment(kind=AdjustmentKind.AMOUNT, value=number),
    )
    doc = terms_to_doc(terms("1", tiers=(tier,)))

    text = doc["tiers"][0]["value"]
    assert Decimal(text) == number
    assert not set(text) - set("-.0123456789")


def test_a_document_reads_as_what_it_says():
    doc = terms_to_doc(terms("0.7500", base_entry=RateEntryId("base/sms")))

    assert doc == {
        "v": 1,
        "unit": "USD",
        "per": "1",
        "rate": {"value": "0.75", "per": "1", "package": False},
        "tiers": [],
        "bounds": "LOWER_INCLUSIVE",
        "mode": "VOLUME",
        "base_entry": "base/sms",
        "tier_entry": None,
        "negotiated_rate": None,
        "negotiated_tiers": None,
        "adjustments": [],
        "attribute_entry": None,
        "attributes": {},
    }


def test_a_version_nobody_here_knows_is_refused():
    with pytest.raises(ValueError, match="version 2"):
        terms_from_doc(terms_to_doc(terms()) | {"v": 2})
