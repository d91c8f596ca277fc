"""Packs, and what grants are bound to: an asset, the account, a contract, a team."""

from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from usage_management.v1 import account_service_pb2 as accounts
from usage_management.v1 import catalog_resources_pb2 as catalog
from usage_management.v1 import catalog_service_pb2 as catalog_rpc
from usage_management.v1 import policy_service_pb2 as policy_rpc
from usage_management.v1 import quote_service_pb2 as quotes
from usage_management.v1 import rate_service_pb2 as rates

from clients import UsageError
from clients.values import enum_name
from tests.stories.sale_words import PACKS, bind, plan, to
from tests.stories.token_words import Credits, commitment, described, pack, set_up
from tests.stories.words import day, figure, line, money


@pytest.mark.capability("M32.pack")
async def test_a_pack_adds_to_the_wallet_and_pays_first_if_it_expires_first(sandbox):
    """X3: 4,000 of the anchor and 2,000 of a pack that expires sooner."""
    world = await sandbox("2024-01-15")
    await plan(world, grant="4000")
    await set_up(world, pack("booster", "credits", grant="2000"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.sell(account, to(asset.name, "booster", "2024-01-10", "2024-01-20"))

    before = await world.wallet(account, "credits")
    await world.use(asset, "credits", "2024-01-12", 1_500)
    grants = await world.grants(await world.wallet(account, "credits"))
    await world.advance("2024-02-10")

    assert (figure(before.balance), len(await world.wallets(account))) == (6_000, 1)
    assert sorted(figure(one.balance) for one in grants) == [500, 4_000]
    assert figure((await world.wallet(account, "credits")).balance) == 4_000


POLICIES = policy_rpc.ListRatingFrequencyPoliciesRequest()
# X7: what a unit costs on a day.
DAYS = {
    "2024-01-14": 10,
    "2024-01-15": 8,
    "2024-01-31": 8,
    "2024-02-01": 7,
    "2024-04-30": 7,
    "2024-05-01": 10,
    "2024-06-01": 6,
    "2024-08-31": 6,
    "2024-09-01": 10,
}


@pytest.mark.capability("M56")
async def test_of_the_rates_of_packs_the_latest_wins_then_the_cheapest(sandbox):
    world = await sandbox("2024-01-01")
    await plan(world)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    for name, price, start, end in PACKS:
        await set_up(world, pack(name, "credits", price=price))
        await world.sell(account, to(asset.name, name, start, end))

    for on, price in DAYS.items():
        await world.advance(f"{on}T12:00")
        before = figure((await world.wallet(account, "credits")).estimated_amount)
        await world.use(asset, "credits", on, 1)
        after = figure((await world.wallet(account, "credits")).estimated_amount)
        assert after - before == price, on
    await world.advance("2024-10-10")

    assert sum(money(one.amount) for one in await world.liable(account)) == sum(DAYS.values())


@pytest.mark.capability("M43.usage")
@pytest.mark.parametrize("changes", ["the rate", "nothing"])
async def test_a_rate_that_changes_within_a_period_splits_what_is_billed(sandbox, changes):
    """X2: 10 until 14 January, 9 from the 15th; usage is rated by what held when it happened."""
    world = await sandbox("2024-01-31")
    await plan(world)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    if changes == "the rate":
        await set_up(world, pack("nine", "credits", price="9"))
        await world.sell(account, to(asset.name, "nine", "2024-01-15", "2024-03-01"))

    # The last of one rate, the first of the other, and out of order.
    await world.use(asset, "credits", "2024-01-15T00:00", 5)
    await world.use(asset, "credits", "2024-01-14T23:59", 3)
    await world.use(asset, "credits", "2024-01-30T23:59", 2)
    live = await world.wallet(account, "credits")
    await world.advance("2024-02-10")

    found = [
        (figure(one.overage_quantity), figure(one.net_unit_rate), figure(one.amount))
        for one in await world.ratable(account)
        if figure(one.overage_quantity)
    ]
    liable = [money(one.amount) for one in await world.liable(account)]
    if changes == "nothing":
        assert (found, liable) == ([(10, 10, 100)], [100])
    else:
        assert sorted(found) == [(3, 10, 30), (7, 9, 63)]
        assert sorted(one for one in liable if one) == [30, 63]
    assert figure(live.estimated_amount) == sum(liable)


# X7: the price on every day of a year, from the first of these on.
SPANS = {
    "2024-01-01": 10,
    "2024-01-15": 8,
    "2024-02-01": 7,
    "2024-05-01": 10,
    "2024-06-01": 6,
    "2024-09-01": 10,
}


@pytest.mark.capability("M56")
async def test_a_look_up_says_what_holds_on_every_day_of_the_year_and_whose_rate_it_is(sandbox):
    world = await sandbox("2024-01-01")
    await plan(world)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    sold = {10: asset.name}
    for name, price, start, end in PACKS:
        await set_up(world, pack(name, "credits", price=price))
        [added] = await world.sell(account, to(asset.name, name, start, end))
        sold[int(price)] = added.name
    days = [f"{date(2024, 1, 1) + timedelta(days=number)}" for number in range(366)]
    request = rates.DiscoverRatesRequest()
    for one in days:
        request.questions.add(
            asset=asset.name, usage_resource="usageResources/credits", date=day(one)
        )

    answers = (await world.client.rates.DiscoverRates(request)).answers

    expected = [SPANS[max(start for start in SPANS if start <= one)] for one in days]
    assert [figure(one.terms.rate.value) for one in answers] == expected
    assert [one.asset for one in answers] == [sold[price] for price in expected]
    assert {enum_name(one, "source") for one in answers} == {"ASSET"}


@pytest.mark.capability("M28")
@pytest.mark.parametrize("kind", ["CONTRACT", "CUSTOM"])
async def test_what_is_bound_to_a_contract_or_a_team_shares_its_wallets(sandbox, kind):
    world = await sandbox("2024-01-31")
    await plan(world, grant="500")
    account = await world.account("ann")
    target = await bind(world, account, "red-team", kind)
    bound = [to(target, "plan", "2024-01-01", binding=kind) for _ in range(2)]
    first, _ = await world.sell(account, *bound)
    [alone] = await world.sell(account, line("plan", "2024-01-01"))

    await world.use(first, "credits", "2024-01-10", 700)
    shared, own = sorted(await world.wallets(account), key=lambda one: one.target, reverse=True)
    await world.advance("2024-02-10")

    assert (shared.target, figure(shared.balance)) == (target, 300)
    assert (own.target, figure(own.balance)) == (alone.name, 500)
    assert sum(money(one.amount) for one in await world.liable(account)) == 0
    listed = await world.client.accounts.ListBindingTargets(
        accounts.ListBindingTargetsRequest(parent=account)
    )
    assert [one.name for one in listed.binding_targets] == [target]


@pytest.mark.capability("M28")
async def test_a_product_says_what_it_is_bound_to_and_a_sale_may_say_otherwise(sandbox):
    world = await sandbox("2024-01-31")
    text = described("plan", {}, Credits(price="1", grant="5"), category="USAGE")
    text = text.replace(
        "usage_model_type: ANCHOR", "usage_model_type: ANCHOR, grant_binding: ACCOUNT"
    )
    await set_up(world, text)
    account = await world.account("ann")
    plain = quotes.SaleLine(product="products/plan", start_date=day("2024-01-01"))

    await world.sell(account, plain, plain, line("plan", "2024-01-01", binding="SELF"))

    wallets = {one.target: figure(one.balance) for one in await world.wallets(account)}
    assert (len(wallets), wallets[account]) == (2, 10)


@pytest.mark.capability("M28")
async def test_targets_are_there_and_of_the_account(sandbox):
    world = await sandbox("2024-01-31")
    await plan(world)
    await set_up(world, pack("booster", "credits", grant="1"))
    await set_up(world, pack("other", "extra", grant="1", is_new=True))
    ann, bob = await world.account("ann"), await world.account("bob")
    [asset] = await world.sell(ann, line("plan", "2024-01-01"))
    contract = await bind(world, ann, "contract", "CONTRACT")
    foreign = await bind(world, bob, "contract", "CONTRACT")

    for wrong, reason in (
        (line("booster", "2024-01-02"), "BINDING_TARGET"),
        (line("booster", "2024-01-02", binding="ACCOUNT"), "BINDING_TARGET"),
        (to(contract, "booster", "2024-01-02", binding="CONTRACT"), "BINDING_TARGET"),
        (to(asset.name, "other", "2024-01-02"), "BINDING_TARGET"),
        (to(contract, "plan", "2024-01-02", binding="CUSTOM"), "BINDING_TARGET"),
        (line("plan", "2024-01-02", binding="CONTRACT"), "BINDING_TARGET"),
        (to(foreign, "plan", "2024-01-02", binding="CONTRACT"), "BINDING_TARGET_NOT_FOUND"),
        (to(f"{contract}s", "plan", "2024-01-02", binding="CONTRACT"), "BINDING_TARGET_NOT_FOUND"),
        (to(f"{ann}/assets/{uuid4()}", "plan", "2024-01-02"), "ASSET_NOT_FOUND"),
    ):
        with pytest.raises(UsageError) as refused:
            await world.quote(ann, wrong)
        assert refused.value.reason == reason, wrong
    with pytest.raises(UsageError) as taken:
        await bind(world, ann, "Contract", "CUSTOM")
    assert taken.value.reason == "CODE_TAKEN"


@pytest.mark.capability("M28")
async def test_a_commitment_has_no_binding(sandbox):
    world = await sandbox("2024-01-31")
    await plan(world)
    await set_up(world, commitment("commit", "credits", "10", kind="QUANTITY_COMMITMENT"))
    rpc = world.client.catalog

    for kind, reason in (("ACCOUNT", "BINDING_TARGET"), ("SELF", "BINDING_TARGET")):
        product = catalog.Product(usage_model_type="TOKEN_COMMITMENT", grant_binding=kind)
        request = catalog_rpc.CreateProductRequest(product_id="promise", product=product)
        with pytest.raises(UsageError) as refused:
            await rpc.CreateProduct(request)
        assert refused.value.reason == reason
    change = catalog_rpc.UpdateProductRequest(
        product=catalog.Product(name="products/commit", grant_binding="ACCOUNT"),
        update_mask=FieldMask(paths=["grant_binding"]),
    )
    with pytest.raises(UsageError) as refused:
        await rpc.UpdateProduct(change)
    assert refused.value.reason in ("BINDING_TARGET", "ACTIVE_IMMUTABLE")


@pytest.mark.capability("M27.S2", "M27.S3", "M27.commitment", "M127.S2", "M127.S3")
async def test_each_kind_of_product_has_the_policies_that_it_can_have(sandbox):
    """S2 and S3: only anchors say how usage is counted, rated and charged."""
    world = await sandbox("2024-01-31")
    await plan(world)
    listed = await world.client.policies.ListRatingFrequencyPolicies(POLICIES)
    policy = listed.rating_frequency_policies[0]
    text = commitment("commit", "credits", "10", policy="BOUNDED", kind="QUANTITY_COMMITMENT")
    await set_up(world, text)

    named = {
        "rating_frequency_policy": policy.name,
        "aggregation_policy": "aggregationPolicies/none",
        "overage_policy": "overagePolicies/none",
        "commitment_policy": "commitmentPolicies/bounded",
    }
    commitments = ("TOKEN_COMMITMENT", "QUANTITY_COMMITMENT", "MONETARY_COMMITMENT")
    wrong = [(kind, name) for kind in commitments for name in list(named)[:3]]
    wrong += [("PACK", name) for name in named]
    wrong += [("ANCHOR", "commitment_policy"), ("ANCHOR", "omittable")]
    for kind in ("ANCHOR", "PACK", *commitments):
        request = catalog_rpc.CreateProductRequest(
            product_id=kind.lower(), product=catalog.Product(usage_model_type=kind)
        )
        await world.client.catalog.CreateProduct(request)

    async def refusal(kind: str, **fields: Any) -> str:
        held = catalog.ProductUsageResource(usage_resource="usageResources/credits", **fields)
        request = catalog_rpc.CreateProductUsageResourceRequest(
            parent=f"products/{kind.lower()}", product_usage_resource=held
        )
        with pytest.raises(UsageError) as refused:
            await world.client.catalog.CreateProductUsageResource(request)
        return refused.value.reason

    for kind, name in wrong:
        said = {"omittable": True} if name == "omittable" else {"policies": {name: named[name]}}
        assert await refusal(kind, **said) == "POLICY_NOT_ALLOWED", (kind, name)
    absent = {"commitment_policy": "commitmentPolicies/none"}
    assert await refusal("TOKEN_COMMITMENT", policies=absent) == "COMMITMENT_POLICY_NOT_FOUND"
    resolved = await world.client.catalog.ResolvePolicies(
        catalog_rpc.ResolvePoliciesRequest(name="products/commit")
    )
    assert resolved.resources[0].commitment_policy.name == "commitmentPolicies/bounded"
