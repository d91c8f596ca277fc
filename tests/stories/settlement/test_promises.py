"""Promises: what rolls over, which grant pays first, and who may commit."""

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from usage_management.v1 import account_service_pb2 as accounts
from usage_management.v1 import catalog_resources_pb2 as catalog
from usage_management.v1 import catalog_service_pb2 as rpc
from usage_management.v1 import policy_resources_pb2 as policies
from usage_management.v1 import policy_service_pb2 as policy_rpc
from usage_management.v1 import wallet_service_pb2 as wallet_rpc

from clients import UsageError
from tests.stories.catalog_words import held, product, resource, unit, unit_class
from tests.stories.words import Metered, figure, line, number


async def test_what_rolls_over_is_capped_by_quantity_and_by_percentage(sandbox):
    world = await sandbox("2024-01-01")
    monthly = {"grant": "100", "refresh": "MONTH", "rate": "1"}
    await world.product(
        "plan",
        Metered(resource="by-quantity", max_rollovers=0, cap="15", **monthly),
        Metered(resource="by-percent", max_rollovers=2, cap_percent="12.5", **monthly),
        Metered(resource="by-both", max_rollovers=0, cap="30", cap_percent="20", **monthly),
    )
    account = await world.account("ann")
    await world.sell(account, line("plan", "2024-01-01", quantity=2))

    seen = {}
    for day in ("2024-02-01", "2024-02-10", "2024-03-10"):
        await world.advance(day)
        for wallet in await world.wallets(account):
            name = wallet.usage_resource.partition("/")[2]
            seen[name, day] = (figure(wallet.balance), figure(wallet.posted_balance))
    kinds = {}
    for wallet in await world.wallets(account):
        entries = [e for e in await world.entries(wallet) if figure(e.amount) < 0]
        kinds[wallet.usage_resource.partition("/")[2]] = [
            (wallet_rpc.WalletEntry.Kind.Name(e.kind), figure(e.amount)) for e in entries
        ]

    # Two units of the product: 200 a month, of which 30, an eighth, and a fifth roll over.
    for day in ("2024-02-10", "2024-03-10"):
        assert seen["by-quantity", day] == (230, 230)
        assert seen["by-percent", day] == (225, 225)
        assert seen["by-both", day] == (240, 240)
    assert seen["by-quantity", "2024-02-01"][0] == 230  # before the ledger says so
    january = {"by-quantity": 30, "by-percent": 25, "by-both": 40}
    for name, rolled in january.items():
        assert kinds[name][:2] == [("ROLLOVER", -rolled), ("EXPIRY", rolled - 200)]


async def test_a_percentage_of_what_is_left_rolls_over(sandbox):
    """70 of 100 are used: 60 % of the other 30 roll, once more 60 % of the 18 that nobody uses."""
    world = await sandbox("2024-01-01")
    calls = Metered(
        resource="calls",
        grant="100",
        refresh="MONTH",
        rate="1",
        max_rollovers=0,
        remainder_percent="60",
    )
    await world.product("plan", calls)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.advance("2024-01-20")
    await world.use(asset, "calls", "2024-01-10", 70)

    balances = []
    for day in ("2024-02-10", "2024-03-10"):
        await world.advance(day)
        wallet = await world.wallet(account, "calls")
        balances.append((figure(wallet.balance), figure(wallet.posted_balance)))

    # In March, 60 % of 18 are 10.8 and so 10, and 60 of the 100 of February.
    assert balances == [(118, 118), (170, 170)]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"max_quantity": number(0)}, "QUANTITY_ZERO"),
        ({"max_quantity": number(-1)}, "QUANTITY_NEGATIVE"),
        ({"max_percent": number(0)}, "RANGE"),
        ({"max_percent": number("100.1")}, "RANGE"),
        ({"remainder_percent": number(0)}, "RANGE"),
        ({"remainder_percent": number("100.1")}, "RANGE"),
        ({"max_rollovers": 1001}, "RANGE"),
    ],
)
async def test_a_cap_that_caps_nothing_is_refused(sandbox, fields, reason):
    world = await sandbox("2024-01-01")
    policy = policies.RolloverPolicy(**fields)
    request = policy_rpc.CreateRolloverPolicyRequest(
        rollover_policy_id="some", rollover_policy=policy
    )
    with pytest.raises(UsageError, match=reason):
        await world.client.policies.CreateRolloverPolicy(request)


# 4,000 from 1 to 31 January, 2,000 from 10 to 20, 1,000 from 12 to 25; 2,500 are used on the 15th.
EXPIRING_FIRST = {4000: 4000, 2000: 0, 1000: 500}
ORDERS = {
    "DRAWDOWN_ORDER_UNSPECIFIED": EXPIRING_FIRST,
    "EXPIRING_FIRST": EXPIRING_FIRST,
    "GRANTED_FIRST": {4000: 1500, 2000: 2000, 1000: 1000},
    "GRANTED_LAST": {4000: 4000, 2000: 500, 1000: 0},
}


@pytest.mark.capability("M19.default", "M19.product", "M19.snapshot")
@pytest.mark.parametrize("order", list(ORDERS))
async def test_grants_pay_in_the_order_that_was_sold(sandbox, order):
    world = await sandbox("2024-01-15")
    for name, grant in (("long", "4000"), ("short", "2000"), ("last", "1000")):
        await world.product(name, Metered(resource="texts", grant=grant, rate="1", order=order))
    other = "GRANTED_FIRST" if order == "GRANTED_LAST" else "GRANTED_LAST"
    await world.product("other", Metered(resource="texts", grant="1", rate="1", order=other))
    account = await world.account("ann")
    [asset] = await world.sell(
        account, line("long", "2024-01-01", end="2024-01-31", binding="ACCOUNT")
    )
    await world.sell(account, line("short", "2024-01-10", end="2024-01-20", binding="ACCOUNT"))
    await world.sell(account, line("last", "2024-01-12", end="2024-01-25", binding="ACCOUNT"))

    await world.use(asset, "texts", "2024-01-15", 2500)

    wallet = await world.wallet(account, "texts")
    left = {figure(g.quantity): figure(g.balance) for g in await world.grants(wallet)}
    assert left == ORDERS[order]
    with pytest.raises(UsageError, match="POLICY_CONFLICT"):
        await world.sell(account, line("other", "2024-01-10", binding="ACCOUNT"))
    with pytest.raises(UsageError, match="ACTIVE_IMMUTABLE"):
        await world.client.catalog.UpdateProductUsageResource(
            rpc.UpdateProductUsageResourceRequest(
                product_usage_resource=catalog.ProductUsageResource(
                    name="products/long/usageResources/texts",
                    policies=catalog.ResourcePolicies(drawdown_order=other),
                ),
                update_mask=FieldMask(paths=["policies"]),
            )
        )


@pytest.mark.capability("M19.line", "M19.target")
@pytest.mark.parametrize("order", list(ORDERS)[1:])
@pytest.mark.parametrize("level", ["line", "target"])
async def test_grants_pay_in_the_order_that_a_line_or_a_target_says(sandbox, level, order):
    world = await sandbox("2024-01-15")
    grants = {"long": "4000", "short": "2000", "last": "1000"}
    other = "GRANTED_FIRST" if order == "GRANTED_LAST" else "GRANTED_LAST"
    for name, grant in grants.items():
        await world.product(name, Metered(resource="texts", grant=grant, rate="1", order=other))
    account = await world.account("ann")
    said = catalog.PolicyOverride(
        usage_resource="usageResources/texts", policies={"drawdown_order": order}
    )
    contradicted = catalog.PolicyOverride(
        usage_resource="usageResources/texts", policies={"drawdown_order": other}
    )
    team = await world.client.accounts.CreateBindingTarget(
        accounts.CreateBindingTargetRequest(
            parent=account,
            binding_target_id="team",
            binding_target={"kind": "CUSTOM", "policies": [said] if level == "target" else []},
        )
    )
    sold = []
    for name, start, end in (("long", 1, 31), ("short", 10, 20), ("last", 12, 25)):
        made = line(name, f"2024-01-{start:02}", end=f"2024-01-{end}", binding="CUSTOM")
        made.binding_target = team.name
        made.policies.append(said if level == "line" else contradicted)
        sold += await world.sell(account, made)

    await world.use(sold[0], "texts", "2024-01-15", 2500)

    wallet = await world.wallet(account, "texts")
    left = {figure(g.quantity): figure(g.balance) for g in await world.grants(wallet)}
    assert left == ORDERS[order]


@pytest.mark.capability("M18")
async def test_only_commitments_commit(sandbox):
    world = await sandbox("2024-01-01")
    await unit_class(world, "data")
    await unit_class(world, "mass")
    await unit(world, "gb", "data")
    await unit(world, "kg", "mass")
    await resource(world, "data", "data")

    async def promise(of: str, **fields) -> catalog.ProductUsageGrant:
        made = catalog.ProductUsageGrant(
            product_usage_resource=f"products/{of}/usageResources/data",
            quantity=number(5),
            **fields,
        )
        return await world.client.catalog.CreateProductUsageGrant(
            rpc.CreateProductUsageGrantRequest(
                parent=f"products/{of}", product_usage_grant_id="some", product_usage_grant=made
            )
        )

    for kind in ("ANCHOR", "PACK", "QUANTITY_COMMITMENT"):
        await product(world, kind.lower(), kind)
        await held(world, kind.lower(), "data")
    for kind in ("anchor", "pack"):
        with pytest.raises(UsageError, match="GRANT_TYPE"):
            await promise(kind, type="COMMIT")
    assert (await promise("anchor")).type == catalog.ProductUsageGrant.GRANT
    made = await promise("quantity_commitment", type="COMMIT")
    assert made.type == catalog.ProductUsageGrant.COMMIT
    with pytest.raises(UsageError, match="UNIT_CLASS_MISMATCH"):
        await promise("pack", unit_of_measure="unitsOfMeasure/kg")
