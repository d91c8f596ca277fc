"""The stored form of each kind of document is pinned, because the code's own names make it.

The files hold one full document of each kind. A field that is renamed, removed or given another
default must still read what was stored before, so it changes the version of its kind, not a file.
"""

import json
import typing
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from server.domain.billing.rating_batches import LineResult
from server.domain.calendar import Cadence, CadenceUnit, Delay, DelayUnit, PolicyPeriod
from server.domain.consumption.changes import RecordChange
from server.domain.consumption.recording import Usage
from server.domain.errors import FailedPrecondition
from server.domain.exact import Rounding
from server.domain.ids import (
    AccountId,
    AssetId,
    ExternalId,
    PolicyId,
    ProductGrantId,
    ProductId,
    RateEntryId,
    RecordId,
    ResourceId,
    UnitId,
)
from server.domain.modeling.catalog import (
    Aggregation,
    Commitment,
    GrantType,
    Overage,
    RatingFrequencyPolicy,
    Refresh,
    Rollover,
)
from server.domain.modeling.policies import (
    AggregationMethod,
    AggregationPolicy,
    Combination,
    CommitmentRate,
    DrawdownOrder,
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
from server.domain.modeling.units import Ratio
from server.domain.rating.procedures import elements as el
from server.domain.rating.procedures.waterfall import Element, WaterfallStep
from server.domain.rating.rates import (
    Adjustment,
    AdjustmentKind,
    AttributeRow,
    Rate,
    RateTerms,
    Tier,
    TierBounds,
    TierMode,
)
from server.domain.selling.asset_changes import FieldChange
from server.domain.selling.repricing import Repriced, RepriceOutcome
from server.domain.selling.sales import (
    GrantParts,
    LineGrant,
    LineResource,
    ListedGrant,
    ListedPolicies,
)
from server.store.billing import rating_batches
from server.store.billing.reprice_runs import RESOURCES as REPRICED
from server.store.consumption.record_runs import CHANGE
from server.store.documents import DocumentCodec
from server.store.rating.procedure_documents import decode_elements, encode_elements
from server.store.rating.rate_documents import ADJUSTMENTS, TERMS, WATERFALL
from server.store.selling.asset_changes import FIELDS as CHANGES
from server.store.selling.assets import POLICIES
from server.store.selling.quotes import RESOURCES

FILES = Path(__file__).parent / "documents"
USD = UnitId("USD")


def adjustment(kind: AdjustmentKind, value: str) -> Adjustment:
    return Adjustment(kind=kind, value=Decimal(value))


def source(name: str, level: PolicyLevel) -> PolicySource:
    return PolicySource(level=level, id=PolicyId(name), version=2)


ROWS = (
    AttributeRow(
        attributes=(("region", "eu"), ("tier", "gold")),
        adjustment=adjustment(AdjustmentKind.AMOUNT, "-0.0500"),
    ),
)
TERMS_VALUE = RateTerms(
    unit=USD,
    per=Decimal("1E+3"),
    rate=Rate(value=Decimal("0.7500"), per=Decimal(1000), unit=USD, is_package=True),
    tiers=(
        Tier(
            lower=Decimal(0),
            upper=Decimal("100.50"),
            adjustment=adjustment(AdjustmentKind.PERCENTAGE, "12.5"),
        ),
        Tier(
            lower=Decimal("100.50"),
            upper=None,
            adjustment=adjustment(AdjustmentKind.OVERRIDE, "0.000000000001"),
            flat=Decimal("20.50"),
            package=Decimal("1E+2"),
        ),
    ),
    bounds=TierBounds.UPPER_INCLUSIVE,
    mode=TierMode.GRADUATED,
    base_entry=RateEntryId("base/tokens"),
    tier_entry=RateEntryId("tiers/tokens"),
    negotiated_rate=Rate(value=Decimal("0.5"), unit=USD),
    negotiated_tiers=(
        Tier(
            lower=Decimal(0),
            upper=None,
            adjustment=adjustment(AdjustmentKind.OVERRIDE, "9" * 26 + "." + "9" * 12),
        ),
    ),
    listed_as=(TierBounds.LOWER_INCLUSIVE, TierMode.VOLUME),
    adjustments=ROWS,
    attribute_entry=RateEntryId("attributes/tokens"),
    attributes={"region": "eu"},
    custom_fields={"segment": "retail"},
    negotiated_fields={"approved": "true"},
    is_held=True,
)
POLICIES_VALUE = SoldPolicies(
    wallet=WalletPolicies(
        unit_id=UnitId("TOKEN"),
        aggregation=AggregationPolicy(
            method=AggregationMethod.UNIQUE_COUNT,
            period=PolicyPeriod.DAY,
            combine=Combination.HIGHEST,
            label="user",
        ),
        rating=RatingFrequency(period=PolicyPeriod.QUARTER, delay=Delay(12, DelayUnit.HOURS)),
        late=LatePolicy.REOPEN,
        order=DrawdownOrder.GRANTED_LAST,
        dimensions=("region", "model"),
    ),
    overage=OveragePolicy.BLOCK,
    sources=PolicySources(
        aggregation=source("by-day", PolicyLevel.USAGE_RESOURCE),
        rating_frequency=source("quarterly", PolicyLevel.PRODUCT_USAGE_RESOURCE),
        overage=source("block", PolicyLevel.LINE),
        commitment=source("lowest", PolicyLevel.TARGET),
        order=PolicyLevel.LINE,
    ),
)
RESOURCES_VALUE = (
    LineResource(
        resource_id=ResourceId("tokens"),
        unit_scale=2,
        policies=POLICIES_VALUE,
        terms=RateTerms(unit=USD, rate=Rate(value=Decimal(2), unit=USD)),
        is_fixed=True,
        token_resource_id=ResourceId("credits"),
        definition_product_id=ProductId("addon"),
        commitment=CommitmentRate.BOUNDED,
        grants=(
            LineGrant(
                product_grant_id=ProductGrantId("included"),
                quantity=Decimal("1500.0"),
                listed=Decimal(1000),
                type=GrantType.COMMIT,
                negotiated=GrantParts(
                    quantity=Decimal(1500),
                    refresh_policy_id=PolicyId("fortnightly"),
                    rollover_policy_id=PolicyId("thrice"),
                    validity=Validity(cadence=Cadence(CadenceUnit.YEAR)),
                ),
                refresh=RefreshPolicy(cadence=Cadence(CadenceUnit.WEEK, 2)),
                validity=Validity(cadence=Cadence(CadenceUnit.YEAR)),
                rollover=RolloverPolicy(
                    max_count=3, max_quantity=Decimal("1E+2"), max_percent=Decimal("12.50")
                ),
                refresh_policy=source("fortnightly", PolicyLevel.PRODUCT_USAGE_RESOURCE),
                rollover_policy=source("thrice", PolicyLevel.PRODUCT_USAGE_RESOURCE),
                listed_as=ListedGrant(
                    refresh_policy=source("monthly", PolicyLevel.PRODUCT_USAGE_RESOURCE),
                    rollover_policy=source("once", PolicyLevel.PRODUCT_USAGE_RESOURCE),
                    validity=Validity(cadence=Cadence(CadenceUnit.MONTH)),
                ),
                is_fixed=True,
                spend_cap=Decimal("2000.0"),
            ),
        ),
        listed_as=ListedPolicies(
            sources=PolicySources(overage=source("charge", PolicyLevel.USAGE_RESOURCE)),
            order=DrawdownOrder.GRANTED_FIRST,
        ),
        is_optional=True,
        has_fixed_policies=True,
        is_spend=True,
    ),
)
CHANGES_VALUE = (
    FieldChange(resource_id=ResourceId("tokens"), field="rate", before="0.5 USD", after="0.4 USD"),
)
ELEMENTS_VALUE = (
    el.RatingSetting(
        name="inputs", inputs=(el.Input(name="seats", kind=el.ValueKind.NUMBER, default="1"),)
    ),
    el.BaseRate(name="base"),
    el.NegotiatedRate(name="agreed", order=(el.Agreed.TARGET, el.Agreed.ASSET)),
    el.VolumeTiers(name="volume"),
    el.GraduatedTiers(name="graduated"),
    el.NegotiatedTiers(name="agreed tiers", order=(el.Agreed.ASSET,)),
    el.AttributeAdjustment(name="regions", rows=ROWS),
    el.CommitmentRateElement(name="commitment"),
    el.ManualDiscount(name="discount", kind=el.DiscountKind.PERCENTAGE, value=Decimal("10.0")),
    el.AdjustmentMatrix(
        name="matrix",
        columns=("region", "tier"),
        rows=(
            el.MatrixRow(
                cells=("eu", None), adjustment=adjustment(AdjustmentKind.OVERRIDE, "0.40")
            ),
        ),
    ),
    el.FormulaElement(name="formula", expression="seats * 2", variable="double"),
    el.Assignment(name="assignment", variable="x", value=Decimal("1E+3")),
    el.ListGroup(
        name="group",
        condition="double > 2",
        elements=(el.ListGroup(name="inner", condition="x > 1", elements=(el.Stop(name="stop"),)),),
    ),
    el.ListOperation(
        name="sum", function=el.ListFunction.SUM, source="used_quantity", variable="total"
    ),
    el.RoundRate(name="round", mode=Rounding.HALF_EVEN, places=4),
    el.Stop(name="end"),
    el.Lookup(name="look-up", source=el.LookupSource.CATALOG_TIERS),
)
STEPS = (
    WaterfallStep(
        sequence=1,
        element=Element.BASE_RATE,
        inputs={"rate": "0.75"},
        outputs={"net_unit_rate": "0.75"},
        note="base/tokens",
    ),
)
REPRICED_VALUE = (
    Repriced(
        asset_id=AssetId(UUID(int=2)),
        resource_id=ResourceId("tokens"),
        outcome=RepriceOutcome.REPRICED,
        before=TERMS_VALUE,
        after=replace(TERMS_VALUE, is_held=False),
        is_fixed=True,
    ),
)
LINES_VALUE = (
    Usage(
        AccountId("acme"),
        RecordId("r-1"),
        AssetId(UUID(int=2)),
        ResourceId("tokens"),
        Decimal("1.50"),
        UnitId("each"),
        datetime(2024, 1, 31, 23, 0, 0, 1, tzinfo=UTC),
        {"region": "eu"},
        ExternalId("crm-1"),
    ),
)
RESULTS_VALUE = (
    LineResult(
        used=Decimal("1.50"),
        overage=Decimal(1),
        amount=Decimal("0.750"),
        unit=USD,
        steps=STEPS,
    ),
    LineResult(error=FailedPrecondition("RATE_MISSING", "no rate", {"resource": "tokens"})),
)
CHANGE_VALUE = RecordChange(
    quantity=Decimal("1.50"),
    factor=Ratio(Decimal(1), Decimal("1E+3")),
    unit_id=UnitId("dozen"),
    resource_id=ResourceId("tokens"),
    asset_id=AssetId(UUID(int=2)),
    set_labels={"region": "eu"},
    remove_labels=("old",),
    most_quantity=Decimal("1E+18"),
)
POLICY_VERSIONS: dict[str, Any] = {
    "aggregation": Aggregation(
        id=PolicyId("by-day"),
        display_name="By day",
        method=AggregationMethod.UNIQUE_COUNT,
        period=PolicyPeriod.DAY,
        combine=Combination.HIGHEST,
        unique_label="user",
    ),
    "rating_frequency": RatingFrequencyPolicy(
        id=PolicyId("quarterly"),
        display_name="Quarterly",
        period=PolicyPeriod.QUARTER,
        delay=Delay(12, DelayUnit.HOURS),
        late=LatePolicy.REOPEN,
    ),
    "overage": Overage(id=PolicyId("block"), display_name="Block", overage=OveragePolicy.BLOCK),
    "commitment": Commitment(
        id=PolicyId("lowest"), display_name="Lowest", rate=CommitmentRate.LOWEST
    ),
    "refresh": Refresh(
        id=PolicyId("fortnightly"),
        display_name="Fortnightly",
        interval=Cadence(CadenceUnit.WEEK, 2),
    ),
    "rollover": Rollover(
        id=PolicyId("thrice"),
        display_name="Thrice",
        max_rollovers=3,
        remainder_percent=Decimal(60),
        max_quantity=Decimal("1E+2"),
        max_percent=Decimal("12.50"),
    ),
}

Encoder = Callable[[Any], str]
Decoder = Callable[[str], Any]
KINDS: dict[str, tuple[Any, Encoder, Decoder]] = {
    "terms": (TERMS_VALUE, TERMS.encode, TERMS.decode),
    "adjustments": (ROWS, ADJUSTMENTS.encode, ADJUSTMENTS.decode),
    "policies": (POLICIES_VALUE, POLICIES.encode, POLICIES.decode),
    "resources": (RESOURCES_VALUE, RESOURCES.encode, RESOURCES.decode),
    "asset_changes": (CHANGES_VALUE, CHANGES.encode, CHANGES.decode),
    "repriced": (REPRICED_VALUE, REPRICED.encode, REPRICED.decode),
    "elements": (ELEMENTS_VALUE, encode_elements, decode_elements),
    "waterfall": (STEPS, WATERFALL.encode, WATERFALL.decode),
    "record_change": (CHANGE_VALUE, CHANGE.encode, CHANGE.decode),
    "batch_lines": (LINES_VALUE, rating_batches.LINES.encode, rating_batches.LINES.decode),
    **{
        f"{name}_policy": (value, codec.encode, codec.decode)
        for name, value in POLICY_VERSIONS.items()
        for codec in [DocumentCodec[Any](type(value))]
    },
}


def pinned(name: str) -> str:
    return (FILES / f"{name}.json").read_text()


@pytest.mark.parametrize("name", KINDS)
def test_a_document_is_written_as_its_file_says(name: str):
    value, encode, _ = KINDS[name]

    assert json.loads(encode(value)) == json.loads(pinned(name))


@pytest.mark.parametrize("name", KINDS)
def test_the_document_of_a_file_is_read_whole(name: str):
    value, _, decode = KINDS[name]

    assert decode(pinned(name)) == value


def test_the_results_of_a_batch_are_written_and_read_as_their_file_says():
    text = rating_batches.encode_results(RESULTS_VALUE)
    priced, failed = rating_batches.decode_results(pinned("batch_results"))

    assert json.loads(text) == json.loads(pinned("batch_results"))
    assert priced == RESULTS_VALUE[0]
    # Refusals are equal only to themselves.
    assert failed.error is not None
    assert type(failed.error) is FailedPrecondition
    assert vars(failed.error) == vars(RESULTS_VALUE[1].error)


def test_the_pinned_elements_are_of_all_kinds():
    assert {type(element) for element in ELEMENTS_VALUE} == set(
        typing.get_args(el.ProcedureElement)
    )
