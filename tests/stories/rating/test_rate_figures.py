"""Worked figures of rates: tiers, days, currencies, tokens and selling models."""

from decimal import Decimal

import pytest
from usage_management.v1 import quote_service_pb2 as quotes
from usage_management.v1 import rate_service_pb2 as rates
from usage_management.v1 import types_pb2 as types

from clients import UsageError
from clients.values import enum_name
from tests.stories.bill_words import owed
from tests.stories.rate_words import DISCOUNT, DISCOUNTS, Step, add, cost, move, priced, put, tier
from tests.stories.sale_words import linked
from tests.stories.token_words import Credits, described, set_up
from tests.stories.words import Metered, day, figure, line, number, refusal
from tests.stories.world import World

STEPPED: tuple[Step, ...] = (
    ("0", "10", "PERCENTAGE", "0"),
    ("11", "60", "PERCENTAGE", "10"),
    ("61", "100", "PERCENTAGE", "20"),
)


async def shop(sandbox, *resources: str) -> World:
    world = await sandbox("2024-01-31")
    await world.product("plan", *(Metered(resource=one) for one in resources or ("data",)))
    return world


@pytest.mark.capability("M37")
async def test_tiers_follow_each_other_and_the_last_may_be_open(sandbox):
    world = await shop(sandbox)
    overlapping = (("0", "10", "OVERRIDE", "2"), ("9", None, "OVERRIDE", "1"))
    refused = await refusal(add(world, "tiers/bad", priced("data", None, *overlapping)))
    await put(
        world,
        "tiers/good",
        priced("data", None, ("0", "10", "OVERRIDE", "2"), ("10", None, "OVERRIDE", "1")),
    )

    assert (refused.reason, refused.facts["index"]) == ("TIERS_INVALID", "1")
    assert refused.facts["field"] == "rate_card_entry.tiers.tiers[1]"
    assert await cost(world, 9) == 18
    assert await cost(world, "9" * 18) == Decimal("9" * 18)


@pytest.mark.capability("M38")
@pytest.mark.parametrize(
    ("kind", "value", "amount"),
    [
        ("OVERRIDE", "7", 70),
        ("PERCENTAGE", "25", 60),
        ("AMOUNT", "1.5", 95),
        ("AMOUNT", "-1.5", 65),
    ],
)
async def test_an_adjustment_overrides_or_takes_off_or_adds(sandbox, kind, value, amount):
    """R2: an amount is added, signed."""
    world = await shop(sandbox)
    await put(world, "base/usd", priced("data", "8"))
    await put(world, "tiers/usd", priced("data", None, ("0", None, kind, value)))

    assert await cost(world, 10) == amount


@pytest.mark.capability("M39")
@pytest.mark.parametrize(("bounds", "at_100"), [("LOWER_INCLUSIVE", 200), ("UPPER_INCLUSIVE", 100)])
async def test_a_quantity_on_a_seam_is_in_one_tier(sandbox, bounds, at_100):
    world = await shop(sandbox)
    steps = (("0", "100", "OVERRIDE", "1"), ("100", "200", "OVERRIDE", "2"))
    await put(world, "base/usd", priced("data", "5"))
    await put(world, "tiers/usd", priced("data", None, *steps, bounds=bounds))

    assert await cost(world, 99) == 99
    assert await cost(world, 100) == at_100
    assert await cost(world, 101) == 202
    assert await cost(world, 200) == (1_000 if bounds == "LOWER_INCLUSIVE" else 400)


@pytest.mark.capability("M41", "M99.graduated")
async def test_each_slice_costs_its_own_tier(sandbox):
    """X9: 100 GB at 0.50, 10 % off from 11 to 60 and 20 % from 61 on; both ends are inside."""
    world = await shop(sandbox)
    await put(world, "base/usd", priced("data", "0.50"))
    stepped = priced("data", None, *STEPPED, mode="GRADUATED", bounds="UPPER_INCLUSIVE")
    await put(world, "tiers/usd", stepped)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    asked = await world.discover("plan", "data", quantity=number(100))
    for date, quantity in (("2024-01-10", 35), ("2024-01-11", 65)):
        await world.use(asset, "data", date, quantity)
    await world.advance("2024-02-10")

    slices = [
        one.outputs["amount"]
        for one in asked.waterfall
        if enum_name(one, "element") == "GRADUATED_TIER"
    ]
    assert slices == ["5", "22.5", "16"]
    assert figure(asked.amount) == Decimal("43.5")
    assert await owed(world, account) == {"data": (100, Decimal("43.50"))}
    [rated] = [one for one in await world.ratable(account) if figure(one.overage_quantity)]
    assert (figure(rated.net_unit_rate), figure(rated.amount)) == (
        Decimal("0.435"),
        Decimal("43.5"),
    )


@pytest.mark.capability("M38")
async def test_an_amount_is_added_to_what_was_negotiated(sandbox):
    """X19: base 10 negotiated; tiers of 50 add 5, 10 and 15; 75 units."""
    world = await shop(sandbox)
    await put(world, "base/usd", priced("data", "12"))
    steps = tuple((f"{k * 50}", f"{k * 50 + 50}", "AMOUNT", f"{k * 5 + 5}") for k in range(3))
    await put(world, "tiers/usd", priced("data", None, *steps))
    account = await world.account("ann")
    ten = quotes.NegotiatedRate(
        usage_resource="usageResources/data",
        rate=types.Rate(value=number(10), currency_code="USD"),
    )
    [asset] = await world.sell(account, line("plan", "2024-01-01", negotiated=[ten]))

    await world.use(asset, "data", "2024-01-10", 75)
    await world.advance("2024-02-10")

    [rated] = await world.ratable(account)
    assert (figure(rated.net_unit_rate), figure(rated.amount)) == (20, 1_500)
    assert await owed(world, account) == {"data": (75, 1_500)}


@pytest.mark.capability("M43.discovery", "M43.sale")
async def test_the_rate_is_that_of_the_day(sandbox):
    world = await shop(sandbox)
    await put(world, "base/old", priced("data", "10", end="2024-01-15"))
    await put(world, "base/new", priced("data", "9", start="2024-01-15"))
    account = await world.account("ann")
    [early] = await world.sell(account, line("plan", "2024-01-14"))
    [late] = await world.sell(account, line("plan", "2024-01-15"))

    asked = [await cost(world, 1, date=day(f"2024-01-{d}")) for d in ("14", "15", "31")]
    for asset in (early, late):
        await world.use(asset, "data", "2024-01-20", 10)
    await world.advance("2024-02-10")

    assert asked == [10, 9, 9]
    # What was sold on a day goes on at that day's rate.
    amounts = sorted(figure(one.amount) for one in await world.ratable(account))
    assert amounts == [90, 100]


@pytest.mark.capability("M44")
async def test_a_currency_without_an_entry_is_an_error_and_no_zero(sandbox):
    """R04, and X23: 0.50 a token, converted by whoever writes the entries."""
    world = await shop(sandbox)
    conversions = {"USD": "1", "GBP": "0.7478", "AUD": "1.4302"}
    for currency, factor in conversions.items():
        value = (Decimal("0.50") * Decimal(factor)).normalize()
        await put(world, f"base/{currency}", priced("data", f"{value:f}", currency=currency))

    found = {}
    for currency in (*conversions, "CHF"):
        world.currency = currency
        found[currency] = await world.discover("plan", "data", quantity=number(1))

    assert figure(found["GBP"].terms.rate.value) == figure(found["GBP"].amount) == Decimal("0.3739")
    assert figure(found["AUD"].terms.rate.value) == figure(found["AUD"].amount) == Decimal("0.7151")
    none = UsageError.of_status(found["CHF"].status)
    assert (none.reason, none.facts["missing"]) == ("RATE_NOT_FOUND", "CURRENCY")
    assert none.facts["currencies"] == "AUD, GBP, USD"
    assert not found["CHF"].HasField("amount")
    with pytest.raises(UsageError, match="RATE_NOT_FOUND"):
        await world.sell(await world.account("zoe"), line("plan", "2024-01-01"))


@pytest.mark.capability("M45")
async def test_a_resource_has_a_rate_in_tokens_and_the_token_one_in_money(sandbox):
    """The unit that the product is rated in selects one of both."""
    world = await sandbox("2024-01-31")
    await set_up(world, described("plan", {"data": "2"}, Credits(price="0.20")))
    request = rates.DiscoverRatesRequest(freshness="FULLY_CONSISTENT")
    about = {"price_book": "priceBooks/book", "product": "products/plan"}
    credit = "unitsOfMeasure/credit"
    for resource, unit in (
        ("data", {"token_unit": credit}),
        ("credits", {"currency_code": "USD"}),
        ("data", {"currency_code": "USD"}),
    ):
        request.questions.add(
            usage_resource=f"usageResources/{resource}", quantity=number(50), **unit, **about
        )

    answers = (await world.client.rates.DiscoverRates(request)).answers

    assert [figure(one.amount) for one in answers[:2]] == [100, 10]
    assert answers[0].terms.rate.token_unit == credit
    assert UsageError.of_status(answers[2].status).facts["currencies"] == "credit"


@pytest.mark.capability("M46")
async def test_a_book_leads_to_cards_and_they_to_entries_and_adjustments(sandbox):
    """Drafts, withdrawn entries, and those of another day, resource or book do not count."""
    world = await shop(sandbox, "data", "sms")
    base = await put(world, "base/data", priced("data", "4"))
    steps = await put(
        world,
        "tiers/data",
        priced("data", None, ("0", "5", "AMOUNT", "1"), ("5", None, "AMOUNT", "-1")),
    )
    await add(world, "base/draft", priced("data", "99", start="2024-01-02"))
    await put(world, "base/sms", priced("sms", "98"))
    gone = await put(world, "base/gone", priced("data", "97", currency="EUR"))
    await move(world, types.CATALOG_STATE_INACTIVE, gone)

    found = await world.discover("plan", "data", quantity=number(6))

    assert (enum_name(found, "source"), figure(found.terms.rate.value)) == ("CATALOG", 4)
    assert (found.terms.base_entry, found.terms.tier_entry) == (base, steps)
    assert list(found.terms.tiers.tiers) == [
        tier("0", "5", "AMOUNT", "1"),
        tier("5", None, "AMOUNT", "-1"),
    ]
    assert (figure(found.amount), [enum_name(one, "element") for one in found.waterfall]) == (
        18,
        ["BASE_RATE", "VOLUME_TIER", "AMOUNT"],
    )
    world.currency = "EUR"
    withdrawn = await world.discover("plan", "data")
    assert UsageError.of_status(withdrawn.status).facts["missing"] == "CURRENCY"


@pytest.mark.capability("M59")
@pytest.mark.parametrize("fixed", ["base", "tiers"])
async def test_what_is_not_negotiable_cannot_be_overridden(sandbox, fixed):
    """R05"""
    world = await shop(sandbox)
    no = {"negotiability": "NON_NEGOTIABLE"}
    await put(world, "base/usd", priced("data", "12", **(no if fixed == "base" else {})))
    steps = priced("data", None, ("0", None, "PERCENTAGE", "5"), **(no if fixed == "tiers" else {}))
    await put(world, "tiers/usd", steps)
    account = await world.account("ann")
    asked = quotes.NegotiatedRate(
        usage_resource="usageResources/data",
        rate=types.Rate(value=number(10), currency_code="USD"),
    )

    refused = await refusal(world.quote(account, line("plan", "2024-01-01", negotiated=[asked])))
    found = await world.discover("plan", "data")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    assert (refused.code.name, refused.reason) == ("FAILED_PRECONDITION", "NOT_NEGOTIABLE")
    assert found.terms.non_negotiable
    assert [one.terms.non_negotiable for one in (await quoted(world, account)).resources] == [True]
    assert asset.name


async def quoted(world: World, account: str) -> quotes.SaleLine:
    return (await world.quote(account, line("plan", "2024-01-01"))).lines[0]


PRICE = """
- product_usage_resource: {usage_resource: usageResources/credits}
  rate_card_entries:
  - name: rateCards/base/entries/commit-credits
    currency_code: USD
    rate: {value: 0.30, currency_code: USD}
"""


async def test_what_is_committed_to_costs_fewer_tokens_and_a_token_less(sandbox):
    """X5: 1,000 units at 10 tokens with 20 % off, a token at 0.30."""
    world = await sandbox("2024-01-31")
    await set_up(world, described("plan", {"data": "10"}, Credits(price="0.50")))
    await set_up(world, DISCOUNTS + DISCOUNT.format("data", 20) + PRICE)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.sell(account, linked("commit", "2024-01-01", asset))

    await world.use(asset, "data", "2024-01-10", 1_000)
    await world.advance("2024-02-10")

    assert await owed(world, account) == {"credits": (8_000, 2_400)}


async def test_each_resource_has_its_own_discount(sandbox):
    """X20: 25,000 tokens at −5 %, 500 at −4 %: 23,750 and 480."""
    world = await sandbox("2024-01-31")
    await set_up(world, described("plan", {"minutes": "5", "storage": "10"}, Credits(price="1")))
    discounts = DISCOUNT.format("minutes", 5) + DISCOUNT.format("storage", 4)
    await set_up(world, DISCOUNTS + discounts)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.sell(account, linked("commit", "2024-01-01", asset))

    await world.use(asset, "minutes", "2024-01-10", 5_000)
    await world.use(asset, "storage", "2024-01-11", 50)
    await world.advance("2024-02-10")

    tokens = {
        one.usage_resource.partition("/")[2]: figure(one.amount)
        for one in await world.ratable(account)
        if one.token_unit
    }
    assert tokens == {"minutes": 23_750, "storage": 480}
    assert await owed(world, account) == {"credits": (24_230, 24_230)}
