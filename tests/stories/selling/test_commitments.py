"""Commitments: what they pay for, at which discount, and what usage costs beyond them."""

from collections import Counter
from decimal import Decimal

import pytest
from usage_management.v1 import consumption_service_pb2 as consumption
from usage_management.v1 import quote_service_pb2 as quotes
from usage_management.v1 import summary_service_pb2 as summaries
from usage_management.v1 import validation_service_pb2 as validation

from clients import UsageError
from clients.values import enum_name
from tests.stories.sale_words import linked, platform
from tests.stories.token_words import Credits, commitment, described, set_up
from tests.stories.words import figure, line, money, usage


def paid_by_grant(traced: summaries.RatableTrace) -> tuple[list[Decimal], list[Decimal]]:
    """Return the quantity that usage drew from each grant, and the usage that it covered."""
    amounts: Counter[str] = Counter()
    covered: Counter[str] = Counter()
    for cell in traced.usage_summaries:
        for drawn in cell.drawn_from:
            amounts[drawn.grant] += figure(drawn.amount)
            covered[drawn.grant] += figure(drawn.quantity)
    return list(amounts.values()), list(covered.values())


@pytest.mark.capability("M23")
@pytest.mark.parametrize(
    ("policy", "owed", "rate"),
    [
        (None, "17425.00", "0.45"),  # X13
        ("LOWEST", "17425.00", "0.45"),
        ("BOUNDED", "19361.11", "0.5"),  # X15
    ],
)
async def test_a_commitment_pays_first_at_its_discount(sandbox, policy, owed, rate):
    world = await sandbox("2024-01-31")
    account, asset = await platform(world, policy)

    await world.use(asset, "minutes", "2024-01-10", 15_000)
    await world.use(asset, "storage", "2024-01-10", 150)
    live = await world.wallet(account, "credits")
    await world.advance("2024-02-10")

    [liable] = await world.liable(account)
    assert figure(live.used_quantity) == 76_500
    assert round(figure(live.overage_quantity), 2) == Decimal("38722.22")
    assert money(liable.amount) == Decimal(owed)
    assert round(figure(live.estimated_amount), 2) == Decimal(owed)
    [traced] = (await world.trace(liable)).sources
    amounts, covered = paid_by_grant(traced)
    assert sorted(amounts) == [10_000, 25_000]
    assert sorted(round(one, 2) for one in covered) == [10_000, Decimal("27777.78")]
    assert figure(traced.ratable_summary.net_unit_rate) == Decimal(rate)
    steps = [enum_name(step, "element") for step in traced.ratable_summary.waterfall]
    assert ("COMMITMENT_RATE" in steps) == (policy != "BOUNDED")


async def test_two_commitments_then_a_grant_then_the_rest_and_the_trace_tells_all_of_it(sandbox):
    """X18: of 1,500 units 375 committed at 1.5 for 2 pay 500, 125 pay 166.67, a grant 500."""
    world = await sandbox("2024-01-31")
    await set_up(world, described("plan", {"calls": "1"}, Credits(price="1", grant="500")))
    for name, quantity in (("large", "375"), ("small", "125")):
        text = commitment(name, "credits", quantity, discount="25", policy="BOUNDED")
        await set_up(world, text)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.sell(account, linked("large", "2024-01-01", asset))
    await world.sell(account, linked("small", "2024-01-02", asset, nested=True))

    await world.use(asset, "calls", "2024-01-10", 1_500)
    await world.advance("2024-02-10")

    [liable] = await world.liable(account)
    [traced] = (await world.trace(liable)).sources
    amounts, covered = paid_by_grant(traced)
    assert sorted(amounts) == [125, 375, 500]
    assert sorted(round(one, 2) for one in covered) == [Decimal("166.67"), 500, 500]
    assert round(figure(liable.overage_quantity), 2) == Decimal("333.33")
    assert money(liable.amount) == Decimal("333.33")


async def test_what_is_left_of_a_commitment_and_of_a_grant(sandbox):
    """§3.8: 30,000 tokens: 25,000 committed at −10 % pay 27,777.78, the grant 2,222.22."""
    world = await sandbox("2024-01-31")
    account, asset = await platform(world, None)

    await world.use(asset, "storage", "2024-01-10", 3_000)
    live = await world.wallet(account, "credits")
    await world.advance("2024-02-10")

    assert round(figure(live.balance), 2) == Decimal("7777.78")
    assert figure(live.overage_quantity) == 0
    assert figure((await world.wallet(account, "credits")).posted_balance) == figure(live.balance)


async def test_committed_tokens_have_a_price_of_their_own(sandbox):
    """X6: credits at 5, 1,000 a month committed at 2.5; the anchor's rate holds beyond them."""
    world = await sandbox("2024-01-31")
    costs = {"calls": "3", "data": "5"}
    await set_up(world, described("plan", costs, Credits(price="5")))
    text = commitment("commit", "credits", "1000", price="2.5", policy="BOUNDED", refresh=True)
    await set_up(world, text)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.sell(account, linked("commit", "2024-01-01", asset))

    await world.use(asset, "calls", "2024-01-10", 200)
    await world.use(asset, "data", "2024-01-10", 25)
    first = await world.wallet(account, "credits")
    await world.advance("2024-02-20")
    await world.use(asset, "calls", "2024-02-10", 800)
    await world.use(asset, "data", "2024-02-10", 30)
    second = await world.wallet(account, "credits")
    await world.advance("2024-03-10")

    assert (figure(first.used_quantity), figure(first.balance)) == (725, 275)
    assert (figure(second.used_quantity), figure(second.overage_quantity)) == (2_550, 1_550)
    assert [money(one.amount) for one in await world.liable(account)] == [0, 7_750]


async def test_usage_within_a_committed_quantity_is_paid_by_its_price(sandbox):
    """X16: 100 calls committed for 50, which is billed as the product's price; 20 more at 1."""
    world = await sandbox("2024-01-31")
    await set_up(world, described("plan", {}, Credits(price="1"), category="USAGE"))
    text = commitment("commit", "credits", "100", kind="QUANTITY_COMMITMENT", policy="BOUNDED")
    await set_up(world, text)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.sell(account, linked("commit", "2024-01-01", asset))

    await world.use(asset, "credits", "2024-01-10", 120)
    await world.advance("2024-02-10")

    [liable] = await world.liable(account)
    assert (figure(liable.used_quantity), figure(liable.overage_quantity)) == (120, 20)
    assert 50 + money(liable.amount) == 70


@pytest.mark.parametrize(("policy", "owed"), [("LOWEST", 200 * 8), ("BOUNDED", 200 * 10)])
async def test_a_quantity_is_committed_to_at_a_lower_rate(sandbox, policy, owed):
    """X21: 10 a gigabyte, 1,000 committed at −20 %; 1,200 used."""
    world = await sandbox("2024-01-31")
    await set_up(world, described("plan", {}, Credits(price="10"), category="USAGE"))
    text = commitment(
        "commit", "credits", "1000", discount="20", policy=policy, kind="QUANTITY_COMMITMENT"
    )
    await set_up(world, text)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.sell(account, linked("commit", "2024-01-01", asset))

    await world.use(asset, "credits", "2024-01-10", 1_200)
    live = await world.wallet(account, "credits")
    await world.advance("2024-02-10")

    assert (figure(live.balance), figure(live.overage_quantity)) == (0, 200)
    assert [money(one.amount) for one in await world.liable(account)] == [owed]


def discounted(product: str, policy: str, granted: str = "") -> str:
    """8,000 tokens committed, and 20 % off what data costs in them; perhaps data is granted too."""
    named = f"commitmentPolicies/{policy.lower()}"
    lines = [
        f"product: {{name: products/{product}, usage_model_type: TOKEN_COMMITMENT}}",
        "commitment_policies:",
        f"- {{name: {named}, rate: {policy}}}",
        "product_usage_resources:",
        "- product_usage_resource: {usage_resource: usageResources/credits}",
        "  grants:",
        f"  - product_usage_grant: {{name: products/{product}/grants/credits, quantity: 8000,",
        "     type: COMMIT}",
        "- product_usage_resource: {usage_resource: usageResources/data,",
        f"   policies: {{commitment_policy: {named}}}}}",
        "  rate_card_entries:",
        f"  - name: rateCards/tiers/entries/{product}-data",
        "    token_unit: unitsOfMeasure/credit",
        "    tiers: {tiers: [{adjustment: {kind: PERCENTAGE, value: 20}}]}",
    ]
    if granted:
        lines += ["  grants:", f"  - product_usage_grant: {{name: products/{product}/grants/data,"]
        lines += [f"     quantity: {granted}, type: COMMIT}}"]
    return "\n".join(lines)


def under(policy: str, sold: quotes.SaleLine) -> quotes.SaleLine:
    """The line, with another commitment policy for data."""
    named = {"commitment_policy": f"commitmentPolicies/{policy}"}
    sold.policies.add(usage_resource="usageResources/data", policies=named)
    return sold


@pytest.mark.capability("M23")
async def test_a_discount_that_would_end_before_it_begins_is_not_sold(sandbox):
    world = await sandbox("2024-01-31")
    await set_up(world, described("plan", {"data": "10"}, Credits(price="0.50")))
    await set_up(world, discounted("bounded", "BOUNDED"))
    await set_up(world, discounted("granting", "BOUNDED", granted="1"))
    await set_up(world, discounted("lowest", "LOWEST"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    for wrong in (
        linked("bounded", "2024-01-01", asset),
        under("bounded", linked("lowest", "2024-01-01", asset)),
    ):
        with pytest.raises(UsageError) as refused:
            await world.quote(account, wrong)
        error = refused.value
        assert (error.code.name, error.reason) == ("FAILED_PRECONDITION", "RATE_UNREACHABLE")
        assert (error.facts["field"], error.facts["usage_resource"]) == ("quote.lines[0]", "data")
        assert "be LOWEST" in error.message
    await world.quote(account, linked("granting", "2024-01-01", asset))
    found = await world.client.validation.ValidateProducts(
        validation.ValidateProductsRequest(
            products=["products/bounded", "products/granting", "products/lowest"]
        )
    )

    rules = {one.product: [each.rule.id for each in one.results] for one in found.products}
    assert rules == {
        "products/bounded": ["RATE_UNREACHABLE"],
        "products/granting": [],
        "products/lowest": [],
    }


@pytest.mark.capability("M23")
@pytest.mark.parametrize("product", ["bounded", "lowest"])
async def test_a_discount_in_tokens_of_what_is_not_granted_goes_on(sandbox, product):
    """Data at 10 tokens less 20 %: 1,000 take the 8,000 committed, 100 more cost 800 at 0.50."""
    world = await sandbox("2024-01-31")
    await set_up(world, described("plan", {"data": "10"}, Credits(price="0.50")))
    await set_up(world, discounted("lowest", "LOWEST"))
    await set_up(world, discounted("bounded", "BOUNDED"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.sell(account, under("lowest", linked(product, "2024-01-01", asset)))

    await world.use(asset, "data", "2024-01-10", 1_000)
    committed = await world.wallet(account, "credits")
    await world.use(asset, "data", "2024-01-11", 100)
    await world.advance("2024-02-10")

    assert (figure(committed.balance), figure(committed.overage_quantity)) == (0, 0)
    assert [money(one.amount) for one in await world.liable(account)] == [400]


@pytest.mark.capability("M52")
async def test_each_commitment_is_tried_and_the_waterfall_says_what_became_of_it(sandbox):
    world = await sandbox("2024-01-31")
    await set_up(world, described("plan", {}, Credits(price="10"), category="USAGE"))
    discounts = {"first": "20", "second": "25", "third": "25"}
    for product, discount in discounts.items():
        kind = "QUANTITY_COMMITMENT"
        text = commitment(product, "credits", "100", discount=discount, kind=kind)
        await set_up(world, text)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    sold = [
        (await world.sell(account, linked(product, f"2024-01-0{place}", asset, nested=True)))[0]
        for place, product in enumerate(discounts, 1)
    ]

    await world.use(asset, "credits", "2024-01-10", 1_200)
    await world.advance("2024-02-10")

    [rated] = await world.ratable(account)
    rows = [step for step in rated.waterfall if enum_name(step, "element") == "COMMITMENT_RATE"]
    tried = {row.inputs["commitment"]: row.outputs for row in rows}
    ids = [one.name.split("/")[-1] for one in sold]
    assert [tried[one]["rate"] for one in ids] == ["8", "7.5", "7.5"]
    assert sorted(tried[one]["won"] for one in ids[1:]) == ["false", "true"]
    assert tried[ids[0]]["won"] == "false"
    assert figure(rated.net_unit_rate) == Decimal("7.5")


@pytest.mark.parametrize(
    ("tiers", "drawn"),
    [
        # X20: flat, and by the volume of 25,500 tokens; of minutes, then of storage.
        ([("0", None, "10")], [22_500, 450]),
        (
            [("0", "10000", "10"), ("10000", "20000", "20"), ("20000", None, "30")],
            [17_500, 350],
        ),
    ],
)
async def test_a_discount_is_flat_or_picked_by_volume(sandbox, tiers, drawn):
    world = await sandbox("2024-01-31")
    await set_up(world, described("plan", {"minutes": "5", "storage": "10"}, Credits(price="1")))
    await set_up(world, commitment("commit", "credits", "100000", tiers=tiers))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.sell(account, linked("commit", "2024-01-01", asset))

    await world.use(asset, "minutes", "2024-01-10", 5_000)
    await world.use(asset, "storage", "2024-01-11", 50)
    live = await world.wallet(account, "credits")
    await world.advance("2024-02-10")

    left = 100_000 - sum(drawn)
    wallet = await world.wallet(account, "credits")
    assert (figure(live.balance), figure(wallet.posted_balance)) == (left, left)
    entries = [one for one in await world.entries(wallet) if figure(one.amount) < 0]
    assert [-figure(one.amount) for one in entries] == drawn


@pytest.mark.capability("M16")
async def test_an_optional_resource_can_be_left_out_of_the_sale(sandbox):
    world = await sandbox("2024-01-31")
    await set_up(world, described("plan", {"data": "5"}, Credits(price="1"), grants={"data": "1"}))
    text = commitment("commit", "credits", "100", optional={"data": "40"})
    await set_up(world, text)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    left_out = linked("commit", "2024-01-01", asset, omitted_resources=["usageResources/data"])
    [without] = await world.sell(account, left_out)
    kept = linked("commit", "2024-01-02", asset, omitted_resources=["usageResources/credits"])
    with pytest.raises(UsageError) as refused:
        await world.quote(account, kept)
    before = await world.wallet(account, "data")
    [whole] = await world.sell(account, linked("commit", "2024-01-02", asset, nested=True))
    after = await world.wallet(account, "data")

    assert [one.usage_resource for one in without.resources] == ["usageResources/credits"]
    assert refused.value.reason == "RESOURCE_NOT_OPTIONAL"
    assert len(whole.resources) == 2
    assert (figure(before.balance), figure(after.balance)) == (1, 41)


@pytest.mark.capability("M127.S5")
async def test_commitments_are_linked_to_anchors_once_and_have_no_target(sandbox):
    world = await sandbox("2024-01-31")
    await set_up(world, described("plan", {"data": "5"}, Credits(price="1")))
    await set_up(world, commitment("commit", "credits", "100", discount="10"))
    account, other = await world.account("ann"), await world.account("bob")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    [foreign] = await world.sell(other, line("plan", "2024-01-01"))
    [added] = await world.sell(account, linked("commit", "2024-01-01", asset))

    for wrong, reason in (
        (line("commit", "2024-01-05"), "BINDING_TARGET"),
        (line("commit", "2024-01-05", binding="ACCOUNT"), "BINDING_TARGET"),
        (linked("commit", "2024-01-05", foreign), "ASSET_NOT_FOUND"),
        (linked("commit", "2024-01-05", added), "BINDING_TARGET"),
        (linked("plan", "2024-01-05", asset), "BINDING_TARGET"),
    ):
        with pytest.raises(UsageError) as refused:
            await world.quote(account, wrong)
        assert refused.value.reason == reason, wrong
    with pytest.raises(UsageError) as refused:
        await world.sell(account, linked("commit", "2024-01-01", asset))
    assert refused.value.reason == "COMMITMENT_DUPLICATE"
    [outcome] = await world.record([usage(added, "credits", "2024-01-10", 1)])
    assert outcome.code == consumption.RecordOutcome.REJECTED


@pytest.mark.capability("M23")
async def test_a_surcharge_uses_a_commitment_up_sooner(sandbox):
    """At 25 % more, 100 committed dollars pay for 80 calls at one; 10 of 90 calls are invoiced."""
    world = await sandbox("2024-01-31")
    await set_up(world, described("plan", {"data": "1"}, Credits(price="1")))
    await set_up(world, commitment("commit", "credits", "100", discount="-25"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.sell(account, linked("commit", "2024-01-01", asset))

    await world.use(asset, "credits", "2024-01-05", 90)
    await world.advance("2024-02-10")

    [ready] = await world.liable(account)
    assert (figure(ready.overage_quantity), money(ready.amount)) == (10, 10)


@pytest.mark.parametrize("part", ["flat_amount: 5", "package_size: 5"])
async def test_a_commitment_has_tiers_that_change_rates_only(sandbox, part):
    world = await sandbox("2024-01-31")
    await set_up(world, described("plan", {"data": "1"}, Credits(price="1")))
    bad = commitment("commit", "credits", "100", tiers=[("0", None, "10")])

    with pytest.raises(UsageError) as refused:
        await set_up(
            world,
            bad.replace("kind: PERCENTAGE, value: 10}", f"kind: OVERRIDE, value: 1}}, {part}"),
        )

    assert refused.value.reason == "TIERS_INVALID"
