"""Short words for commitments to spend: what is promised, spent and left."""

from typing import Any

from tests.stories.words import figure, moment, stamp
from tests.stories.world import World


def spending(
    promised: str = "10000",
    *,
    product: str = "spend",
    cap: str | None = None,
    refresh: bool = True,
    discounts: dict[str, str] | None = None,
    unit: str = "USD",
    kind: str = "COMMIT",
) -> str:
    """A commitment to spend an amount, each month with `refresh`, on calls at 20 percent off."""
    grant = f"name: products/{product}/grants/promise, quantity: {promised}, type: {kind}"
    grant += f", spend_cap: {cap}" if cap else ""
    lines = [
        f"product: {{name: products/{product}, usage_model_type: MONETARY_COMMITMENT}}",
        "unit_classes: [{name: unitClasses/money, kind: CURRENCY}]",
        "units_of_measure:",
        f"- {{name: unitsOfMeasure/{unit}, unit_class: unitClasses/money, scale: 2}}",
        "usage_resources:",
        f"- {{name: usageResources/spend-{unit.lower()}, category: CURRENCY,",
        f"   unit_class: unitClasses/money, unit_of_measure: unitsOfMeasure/{unit}}}",
        "product_usage_resources:",
        f"- product_usage_resource: {{usage_resource: usageResources/spend-{unit.lower()}}}",
        f"  grants: [{{product_usage_grant: {{{grant}}}",
        "    , refresh: {interval: {unit: MONTH, count: 1}}}]" if refresh else "    }]",
    ]
    for resource, percent in ({"calls": "20"} if discounts is None else discounts).items():
        lines += [
            f"- product_usage_resource: {{usage_resource: usageResources/{resource}}}",
            "  rate_card_entries:",
            f"  - name: rateCards/tiers/entries/{product}-{resource}",
            "    currency_code: USD",
            "    tiers:",
            f"      tiers: [{{lower: 0, adjustment: {{kind: PERCENTAGE, value: {percent}}}}}]",
        ]
    return "\n".join(lines)


async def spend_now(world: World, account: str) -> Any:
    """The spend under the only commitment of an account now."""
    [spend] = (await world.wallet(account, "spend-usd")).committed_spend
    return spend


def figures(spend: Any) -> tuple[Any, ...]:
    return (
        figure(spend.spent_amount),
        figure(spend.shortfall_amount),
        figure(spend.credit_amount),
        figure(spend.owed_amount),
    )


async def expired(world: World, account: str, at: str) -> Any:
    """Return what was left of promised amounts that ended at a time, with all corrections."""
    wallet, end = await world.wallet(account, "spend-usd"), stamp(moment(at))
    ended = {one.name for one in await world.grants(wallet) if one.expire_time == end}
    return sum(
        figure(one.amount)
        for one in await world.entries(wallet)
        if one.grant in ended and one.effective_time == end
    )
