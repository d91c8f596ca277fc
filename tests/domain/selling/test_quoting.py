"""Quoting: what a line comes to, of what was asked for, the catalog and the target."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from server.domain.audit import Audit
from server.domain.calendar import Cadence, CadenceUnit, Delay, PolicyPeriod
from server.domain.errors import UsageError
from server.domain.ids import (
    AccountId,
    AssetId,
    BindingTargetId,
    PolicyId,
    ProductGrantId,
    ProductId,
    ResourceId,
    SellingModelId,
    UnitClassId,
    UnitId,
)
from server.domain.modeling.catalog import (
    Aggregation,
    CatalogState,
    Commitment,
    Overage,
    RatingFrequencyPolicy,
    SellingModel,
    SellingModelType,
    StoredRecord,
)
from server.domain.modeling.policies import (
    AggregationMethod,
    CommitmentRate,
    LatePolicy,
    OveragePolicy,
    PolicyLevel,
    RolloverPolicy,
    usual_combination,
)
from server.domain.modeling.resolved import (
    LevelPolicies,
    ResolvedGrant,
    ResolvedProduct,
    ResolvedResource,
)
from server.domain.modeling.roles import Binding, ProductRole
from server.domain.modeling.units import Unit
from server.domain.rating.cached_terms import CatalogTerms
from server.domain.rating.rates import Rate, RateTerms
from server.domain.selling.billing_cycles import BillingCycle
from server.domain.selling.bindings import AskedBinding, BoundTarget, binding_of
from server.domain.selling.overrides import check_in_product, check_policies, under
from server.domain.selling.quoting import AskedLine, LineInputs, ending, quoted, rate_units
from server.domain.selling.sales import Buyer, SaleLine
from tests.domain.procedure_words import tier
from tests.strategies import USD

PLAN, CALLS, CREDITS = ProductId("plan"), ResourceId("calls"), ResourceId("credits")
START, MONTH = date(2024, 1, 31), Cadence(CadenceUnit.MONTH)
PATH = "quote.lines[0]"
CALL = Unit(id=UnitId("call"), class_id=UnitClassId("calls"), factor=Decimal(1), scale=0)
ASSET = AssetId(UUID(int=5))
BUYER = Buyer(id=AccountId("acme"), zone="UTC", currency_code="USD", billing=BillingCycle(day=1))
TERMS = RateTerms(unit=USD, rate=Rate(value=Decimal(2), unit=USD))
FIXED = CatalogTerms(terms=TERMS, is_fixed=True)
SELF = BoundTarget(binding=Binding.SELF, target_id=None)


def kept(content, state: CatalogState = CatalogState.ACTIVE) -> StoredRecord:
    return StoredRecord(content, state, 1, Audit.at(datetime(2024, 1, 1, tzinfo=UTC)))


def said(level: PolicyLevel = PolicyLevel.LINE, **policies) -> LevelPolicies:
    return LevelPolicies(level=level, **policies)


def counting(method: AggregationMethod, state: CatalogState = CatalogState.ACTIVE) -> LevelPolicies:
    made = Aggregation(
        id=PolicyId("other"),
        display_name="",
        method=method,
        period=PolicyPeriod.DAY,
        combine=usual_combination(method),
    )
    return said(aggregation=kept(made, state))


def rated(delay: int = 3, late: LatePolicy = LatePolicy.NEXT_PERIOD) -> LevelPolicies:
    made = RatingFrequencyPolicy(
        id=PolicyId("slow"),
        display_name="",
        period=PolicyPeriod.MONTH,
        delay=Delay(delay),
        late=late,
    )
    return said(rating_frequency=kept(made))


def resource(resource_id: ResourceId = CALLS, **more) -> ResolvedResource:
    usual = {"unit": CALL, "levels": (), "grants": (), "start_date": None, "end_date": None}
    return ResolvedResource(resource_id=resource_id, **(usual | more))


def promise(quantity: str = "100", **more) -> ResolvedGrant:
    usual = {"refresh": None, "validity": None, "rollover": None}
    return ResolvedGrant(
        id=ProductGrantId("included"), quantity=Decimal(quantity), **(usual | more)
    )


def product(*resources: ResolvedResource, role: ProductRole = ProductRole.ANCHOR):
    held = resources or (resource(),)
    return ResolvedProduct(product_id=PLAN, role=role, binding=None, resources=held)


def line(*resources: ResolvedResource, role=ProductRole.ANCHOR, to=SELF, rates=None, **asked):
    """The line that is quoted of a product, of which some was asked for."""
    usual = {"quantity": Decimal(3), "start_date": START, "end_date": None}
    wanted = AskedLine(product_id=PLAN, **(usual | asked))
    found = {CALLS: FIXED} if rates is None else rates
    return quoted(LineInputs(wanted, product(*resources, role=role), to, found, BUYER, PATH))


def bounded() -> LevelPolicies:
    made = Commitment(id=PolicyId("b"), display_name="", rate=CommitmentRate.BOUNDED)
    return said(commitment=kept(made))


def added_to(**rate_units: str) -> BoundTarget:
    return BoundTarget(
        binding=Binding.ASSET,
        target_id=str(ASSET),
        wallets={CALLS: resource().policies.wallet},
        rate_units={ResourceId(key): unit for key, unit in rate_units.items()},
    )


def refused(work, *args, **kwargs) -> tuple[str, str | None]:
    with pytest.raises(UsageError) as error:
        work(*args, **kwargs)
    return error.value.reason, error.value.facts.get("field")


def test_a_line_promises_for_each_unit_sold_and_caps_what_rolls_over_so():
    rollover = RolloverPolicy(max_count=2, max_quantity=Decimal(10))

    made = line(resource(grants=(promise(rollover=rollover),)))

    [sold] = made.resources
    [grant] = sold.grants
    assert (grant.quantity, grant.rollover.max_quantity) == (300, 30)
    assert (sold.terms, sold.is_fixed) == (replace(TERMS, attributes={}), True)
    assert isinstance(made, SaleLine)


def test_a_promise_is_for_its_selling_model_and_its_days():
    model = SellingModelId("yearly")
    grants = (
        promise("1"),
        promise("2", selling_model_id=model),
        promise("4", start_date=date(2024, 2, 1)),
        promise("8", end_date=START),
    )

    without, under = (
        line(resource(grants=grants), quantity=Decimal(1), selling_model_id=one)
        for one in (None, model)
    )

    assert [one.quantity for one in without.resources[0].grants] == [1]
    assert [one.quantity for one in under.resources[0].grants] == [1, 2]


def test_what_is_optional_can_be_left_out_and_nothing_else():
    both = (resource(), resource(CREDITS, is_optional=True))

    made = line(*both, omitted=(CREDITS,))

    assert [one.resource_id for one in made.resources] == [CALLS]
    where = f"{PATH}.omitted_resources"
    assert refused(line, *both, omitted=(CALLS,)) == ("RESOURCE_NOT_OPTIONAL", where)


@pytest.mark.parametrize(
    ("work", "reason", "field"),
    [
        (lambda: line(resource(start_date=date(2024, 2, 1))), "RESOURCE_INACTIVE", None),
        (lambda: line(resource(end_date=START)), "RESOURCE_INACTIVE", None),
        (lambda: line(rates={}), "RATE_NOT_FOUND", None),
        (
            lambda: line(resource(grants=(promise("9" * 26),))),
            "DECIMAL_RANGE",
            f"{PATH}.quantity",
        ),
        (
            lambda: line(
                role=ProductRole.PACK, to=BoundTarget(binding=Binding.ASSET, target_id=str(ASSET))
            ),
            "BINDING_TARGET",
            f"{PATH}.binding_target",
        ),
        (
            lambda: line(
                role=ProductRole.QUANTITY_COMMITMENT,
                to=BoundTarget(binding=Binding.ASSET, target_id=str(ASSET)),
            ),
            "BINDING_TARGET",
            f"{PATH}.linked_asset",
        ),
        (
            lambda: line(
                resource(levels=(bounded(),)), role=ProductRole.QUANTITY_COMMITMENT, to=added_to()
            ),
            "RATE_UNREACHABLE",
            PATH,
        ),
        (
            lambda: line(
                role=ProductRole.QUANTITY_COMMITMENT,
                to=added_to(),
                rates={
                    CALLS: CatalogTerms(
                        terms=replace(TERMS, tiers=(tier(0, None, "PERCENTAGE", 100),)),
                        is_fixed=False,
                    )
                },
            ),
            "TIERS_INVALID",
            None,
        ),
    ],
)
def test_what_cannot_be_sold_is_refused_with_its_place(work, reason: str, field: str | None):
    assert refused(work) == (reason, field)


def test_what_adds_to_a_wallet_takes_its_policies_and_needs_no_rate():
    made = line(role=ProductRole.PACK, to=added_to(), rates={})

    [sold] = made.resources
    assert sold.policies.wallet == added_to().wallets[CALLS]
    assert sold.policies.sources.aggregation.level is PolicyLevel.TARGET
    assert (sold.terms, sold.commitment) == (None, None)


def test_a_commitment_keeps_what_usage_costs_once_it_is_used_up():
    held = resource(levels=(bounded(),), grants=(promise(),))

    made = line(held, role=ProductRole.QUANTITY_COMMITMENT, to=added_to())

    assert made.resources[0].commitment is CommitmentRate.BOUNDED


def test_a_resource_is_rated_in_money_its_token_or_as_its_wallet_is():
    tokens = resource(CREDITS, unit=replace(CALL, id=UnitId("credit")))
    sold = product(resource(token_resource_id=CREDITS), tokens)

    assert rate_units(sold, SELF, "USD") == {CALLS: "credit", CREDITS: "USD"}
    added = replace(sold, role=ProductRole.PACK)
    assert rate_units(added, added_to(calls="point"), "USD") == {CALLS: "point", CREDITS: "USD"}


@pytest.mark.parametrize(
    ("kind", "term", "end", "due"),
    [
        (SellingModelType.TERM, MONTH, None, date(2024, 2, 29)),
        (SellingModelType.TERM, MONTH, date(2024, 2, 29), date(2024, 2, 29)),
        (SellingModelType.EVERGREEN, None, None, None),
        (SellingModelType.ONE_TIME, None, date(2024, 5, 1), date(2024, 5, 1)),
        (SellingModelType.TERM, MONTH, date(2024, 3, 1), "INTERVAL_INVALID"),
        (SellingModelType.EVERGREEN, None, date(2024, 3, 1), "INTERVAL_INVALID"),
    ],
)
def test_a_line_ends_by_its_selling_model(kind, term, end: date | None, due: date | str | None):
    model = SellingModel(id=SellingModelId("m"), display_name="", type=kind, term=term)
    asked = AskedLine(product_id=PLAN, quantity=Decimal(1), start_date=START, end_date=end)

    if isinstance(due, str):
        assert refused(ending, asked, kept(model), PATH) == (due, f"{PATH}.end_date")
    else:
        assert ending(asked, kept(model), PATH) == replace(asked, end_date=due)


def test_a_line_without_a_selling_model_ends_as_it_says_and_a_draft_model_sells_nothing():
    asked = AskedLine(product_id=PLAN, quantity=Decimal(1), start_date=START, end_date=None)
    model = SellingModel(id=SellingModelId("m"), display_name="", type=SellingModelType.EVERGREEN)

    assert ending(asked, None, PATH) is asked
    found = refused(ending, asked, kept(model, CatalogState.DRAFT), PATH)
    assert found == ("RESOURCE_INACTIVE", None)


def test_the_target_says_more_than_the_line_and_the_line_more_than_the_catalog():
    target, own = replace(rated(5), level=PolicyLevel.TARGET), rated(9)

    under_line = under(product(), {CALLS: (None, own)})
    under_both = under(product(), {CALLS: (target, own)})

    assert under_line.resources[0].policies.wallet.rating.delay == Delay(9)
    assert under_both.resources[0].policies.wallet.rating.delay == Delay(5)
    assert under(product(), {}) == product()


def test_overrides_that_do_not_go_together_are_refused():
    draft = counting(AggregationMethod.SUM, CatalogState.DRAFT)
    in_tokens = product(resource(token_resource_id=CREDITS), resource(CREDITS))
    weighted = counting(AggregationMethod.TIME_WEIGHTED)
    blocking = Overage(id=PolicyId("b"), display_name="", overage=OveragePolicy.BLOCK)
    held = replace(weighted, overage=kept(blocking))

    assert refused(under, product(), {CALLS: (None, draft)})[0] == "RESOURCE_INACTIVE"
    blocked = under(product(), {CALLS: (None, held)})
    assert refused(check_policies, blocked)[0] == "POLICY_CONFLICT"
    apart = under(in_tokens, {CALLS: (None, rated(9))})
    assert refused(check_policies, apart)[0] == "POLICY_CONFLICT"
    where = (f"{PATH}.policies",)
    found = refused(check_in_product, product(), [CALLS, CREDITS], *where)
    assert found == ("RESOURCE_NOT_IN_PRODUCT", *where)


def test_what_can_fall_again_is_sold_with_any_late_policy():
    latest = counting(AggregationMethod.LATEST)

    changed = under(product(), {CALLS: (None, latest)})
    check_policies(changed)

    [sold] = changed.resources
    assert sold.policies.wallet.aggregation.method is AggregationMethod.LATEST
    assert sold.policies.wallet.late is LatePolicy.NEXT_PERIOD


CONTRACT = BindingTargetId("frame")


@pytest.mark.parametrize(
    ("role", "asked", "bound"),
    [
        ("ANCHOR", AskedBinding(), ("SELF", None)),
        ("ANCHOR", AskedBinding(asset_id=ASSET), ("ASSET", str(ASSET))),
        (
            "ANCHOR",
            AskedBinding(binding=Binding.CONTRACT, target_id=CONTRACT),
            ("CONTRACT", "frame"),
        ),
        ("ANCHOR", AskedBinding(binding=Binding.CONTRACT), "binding_target"),
        ("ANCHOR", AskedBinding(target_id=CONTRACT), "binding_target"),
        ("ANCHOR", AskedBinding(linked_asset_id=ASSET), "linked_asset"),
        ("PACK", AskedBinding(), "binding_target"),
        ("PACK", AskedBinding(line=0), ("ASSET", None)),
        ("ANCHOR", AskedBinding(line=0, binding=Binding.ASSET), ("ASSET", None)),
        ("PACK", AskedBinding(line=0, binding=Binding.ACCOUNT), "binding_line"),
        ("PACK", AskedBinding(line=0, asset_id=ASSET), "binding_line"),
        ("QUANTITY_COMMITMENT", AskedBinding(line=0, linked_asset_id=ASSET), "binding_line"),
        ("QUANTITY_COMMITMENT", AskedBinding(line=0), ("ASSET", None)),
        ("QUANTITY_COMMITMENT", AskedBinding(linked_asset_id=ASSET), ("ASSET", str(ASSET))),
        ("QUANTITY_COMMITMENT", AskedBinding(), ("SELF", None)),
        ("QUANTITY_COMMITMENT", AskedBinding(asset_id=ASSET), "binding_target"),
    ],
)
def test_what_a_line_may_be_bound_to(role: str, asked: AskedBinding, bound):
    sold = product(role=ProductRole(role))

    if isinstance(bound, str):
        found = refused(binding_of, asked, sold, PATH)
        assert found == ("BINDING_TARGET", f"{PATH}.{bound}")
    else:
        assert binding_of(asked, sold, PATH) == (Binding(bound[0]), bound[1])
