"""Changes of assets as texts: rates, tiers, grants, and what later acts on other assets bring."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from server.domain.calendar import PolicyPeriod
from server.domain.ids import AssetId, ResourceId, derive
from server.domain.modeling.policies import OveragePolicy
from server.domain.rating.additions import Addition
from server.domain.rating.rates import (
    Adjustment,
    AdjustmentKind,
    AttributeRow,
    Rate,
    RateTerms,
    Tier,
    TierMode,
)
from server.domain.rating.sold_rates import AssetRates, AssetStretch
from server.domain.selling.asset_changes import (
    AssetAct,
    FieldChange,
    StoredAct,
    arrivals,
    described_terms,
    differences,
)
from tests.strategies import BASE, USD

CALLS = ResourceId("calls")
START = datetime(2024, 1, 1, tzinfo=UTC)


def asset(number: int) -> AssetId:
    return AssetId(derive(BASE, "asset", number))


def terms(value: str, **more: Any) -> RateTerms:
    return RateTerms(unit=USD, rate=Rate(value=Decimal(value), unit=USD), **more)


def agreed(number: int, value: str, days: int) -> Addition:
    rate = Rate(value=Decimal(value), unit=USD)
    return Addition(
        asset_id=asset(number),
        start=START + timedelta(days=days),
        end=None,
        terms=terms("1", negotiated_rate=rate),
        is_agreed=True,
    )


def act(number: int, hour: int) -> StoredAct:
    return StoredAct(
        asset_id=asset(number),
        asset_number=number,
        number=1,
        act=AssetAct.SALE,
        create_time=START + timedelta(hours=hour),
    )


def rates(*additions: Addition, is_fixed: bool = False) -> AssetRates:
    return AssetRates(
        zone="UTC",
        anchor=date(2024, 1, 1),
        service_start=START,
        length=PolicyPeriod.MONTH,
        additions=additions,
        is_fixed=is_fixed,
        overage=OveragePolicy.CHARGE,
        stretches=(AssetStretch(start=START, end=None, terms=terms("1")),),
    )


def test_terms_are_written_for_people():
    tiers = (
        Tier(
            lower=Decimal(0),
            upper=Decimal(100),
            adjustment=Adjustment(kind=AdjustmentKind.OVERRIDE, value=Decimal("2.50")),
            flat=Decimal(5),
            package=Decimal(10),
        ),
        Tier(
            lower=Decimal(100),
            upper=None,
            adjustment=Adjustment(kind=AdjustmentKind.PERCENTAGE, value=Decimal(10)),
        ),
    )
    row = AttributeRow(
        attributes=(("region", "eu"),),
        adjustment=Adjustment(kind=AdjustmentKind.AMOUNT, value=Decimal("-0.1")),
    )
    package = Rate(value=Decimal(3), per=Decimal(1000), unit=USD, is_package=True)
    written = described_terms(
        RateTerms(
            unit=USD,
            rate=package,
            tiers=tiers,
            mode=TierMode.GRADUATED,
            adjustments=(row,),
            custom_fields={"segment": "retail"},
            negotiated_fields={"approved": "true"},
        )
    )

    assert written == {
        "rate": "3 USD per 1000 begun",
        "tiers": "GRADUATED: 0 to 100 OVERRIDE 2.5 per 10 begun and 5 flat; 100 PERCENTAGE 10",
        "adjustments": "region=eu: AMOUNT -0.1",
        "custom_fields/segment": "retail",
        "custom_fields/approved": "true",
    }


def test_only_later_acts_that_win_are_arrivals():
    """0.9 was agreed before; 0.8 applies from the 11th; 0.85 starts with it and is dearer."""
    before, wins, dearer = agreed(2, "0.9", 0), agreed(3, "0.8", 10), agreed(4, "0.85", 10)
    acts = [act(1, 5), act(2, 1), act(3, 6), act(4, 7)]

    [found] = arrivals(asset(1), {CALLS: rates(before, wins, dearer)}, acts)

    assert found.act == act(3, 6)
    assert found.effective_date == date(2024, 1, 11)
    assert found.fields == (
        FieldChange(resource_id=CALLS, field="rate", before="0.9 USD", after="0.8 USD"),
    )


def test_a_fixed_rate_and_a_rate_of_another_time_do_not_change():
    over = replace(agreed(3, "0.8", -20), end=START - timedelta(days=1))
    acts = [act(1, 5), act(3, 6)]

    assert not [*arrivals(asset(1), {CALLS: rates(agreed(3, "0.8", 1), is_fixed=True)}, acts)]
    assert not [*arrivals(asset(1), {CALLS: rates(over)}, acts)]


texts = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["1", "2"]))


@given(texts, texts)
def test_differences_lead_from_the_values_before_to_those_after(before, after):
    moved = dict(before)
    for change in differences(CALLS, before, after):
        assert change.before == before.get(change.field, "")
        moved[change.field] = change.after
    assert {path: text for path, text in moved.items() if text} == after
