"""Negotiating one part of a rate: the parts that were not named stay those of the catalog."""

from decimal import Decimal
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from usage_management.v1 import quote_service_pb2 as quotes
from usage_management.v1 import rate_service_pb2 as rates

from clients.values import enum_name
from tests.stories.bill_words import figures, owed, replay
from tests.stories.procedure_words import num, tiers
from tests.stories.rate_words import INACTIVE, move, priced, put
from tests.stories.sale_words import bind, linked, to
from tests.stories.token_words import Credits, commitment, described, pack, set_up
from tests.stories.words import Metered, figure, line, money, refusal
from tests.stories.world import World

HUNDRED = "300, per: 100, package_pricing: true"
STEPS = ((0, 10, "OVERRIDE", 6), (10, None, "OVERRIDE", 3))
LISTED_STEPS = (("0", "10", "OVERRIDE", "8"), ("10", None, "OVERRIDE", "4"))
HALF = ("0", None, "PERCENTAGE", "50")


def wish(resource: str = "calls", **parts: Any) -> quotes.NegotiatedRate:
    """Return the negotiated rate of a resource, from JSON as people write it."""
    named = {"usage_resource": f"usageResources/{resource}"} | parts
    return ParseDict(named, quotes.NegotiatedRate())


def package(value: str = "300") -> rates.RateCardEntry:
    """An entry that charges every hundred calls that are begun."""
    made = priced("calls", value, per="100")
    made.rate.package_pricing = True
    return made


async def shop(sandbox: Any, *entries: rates.RateCardEntry) -> tuple[World, str]:
    """Calls, which are counted in tenths, at these entries; and an account."""
    world = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="calls", scale=1))
    for entry in entries:
        await put(world, "base/calls" if entry.HasField("rate") else "tiers/calls", entry)
    return world, await world.account("ann")


async def billed(world: World, account: str, quantity: object, said: Any) -> Decimal:
    """Return the amount of some calls under the negotiated terms."""
    [asset] = await world.sell(account, line("plan", "2024-01-01", negotiated=[said]))
    await world.use(asset, "calls", "2024-01-05", quantity)
    await world.advance("2024-02-10")
    [(_, amount)] = (await owed(world, account)).values()
    return amount


@pytest.mark.parametrize(
    ("rate", "amount"),
    [
        ({"value": num(250)}, 500),
        ({"value": num(250), "per": num(100), "currency_code": "USD"}, 500),
        ({"value": num(250), "per": num(50)}, 750),
        ({"value": num(250), "package_pricing": True}, 500),
        ({"value": num(250), "package_pricing": False}, "253.75"),
        ({"value": num(250), "per": num(1), "package_pricing": False}, 25_375),
    ],
)
async def test_a_package_stays_one_unless_it_is_dropped(
    sandbox: Any, rate: dict[str, Any], amount: object
) -> None:
    """101.5 calls begin two packages of a hundred, or three of fifty."""
    world, account = await shop(sandbox, package())

    assert await billed(world, account, "101.5", wish(rate=rate)) == Decimal(amount)


@pytest.mark.parametrize(
    ("rate", "amount"),
    [
        ({"value": num(2)}, "20.3"),
        ({"value": num(2), "per": num(1)}, 203),
        ({"value": num(2), "package_pricing": True}, 22),
    ],
)
async def test_a_rate_stays_one_for_so_many_units(
    sandbox: Any, rate: dict[str, Any], amount: object
) -> None:
    world, account = await shop(sandbox, priced("calls", "3", per="10"))

    assert await billed(world, account, "101.5", wish(rate=rate)) == Decimal(amount)


async def test_a_rate_beside_tiers_that_override_is_for_as_many_units_as_these(
    sandbox: Any,
) -> None:
    """The catalog has 5 for ten up to a hundred, and nothing beyond; 4 for ten is agreed there."""
    listed = priced("calls", None, ("0", "100", "OVERRIDE", "5"), mode="GRADUATED")
    listed.tier_per.value = "10"
    world, account = await shop(sandbox, listed)

    assert await billed(world, account, 150, wish(rate={"value": num(4)})) == 70


@pytest.mark.capability("M51")
@pytest.mark.parametrize(
    ("listed", "named", "quantity", "amount"),
    [
        ({"mode": "GRADUATED"}, {}, 25, 105),
        ({"mode": "GRADUATED"}, {"mode": "GRADUATED"}, 25, 105),
        ({"mode": "GRADUATED"}, {"mode": "VOLUME"}, 25, 75),
        ({"mode": "GRADUATED"}, {"bounds": "UPPER_INCLUSIVE"}, 25, 105),
        ({"bounds": "UPPER_INCLUSIVE"}, {}, 10, 60),
        ({"bounds": "UPPER_INCLUSIVE"}, {"mode": "VOLUME"}, 10, 60),
        ({"bounds": "UPPER_INCLUSIVE"}, {"bounds": "LOWER_INCLUSIVE"}, 10, 30),
        (None, {}, 25, 75),
        (None, {}, 10, 30),
    ],
)
async def test_tiers_keep_mode_and_bounds_of_those_that_they_replace(
    sandbox: Any,
    listed: dict[str, str] | None,
    named: dict[str, str],
    quantity: int,
    amount: int,
) -> None:
    """25 are 10 at 6 and 15 at 3, or all at 3; 10 are at 6 or at 3. Without any, VOLUME, lower."""
    entries = [priced("calls", "10")]
    if listed is not None:
        entries.append(priced("calls", None, *LISTED_STEPS, **listed))
    world, account = await shop(sandbox, *entries)

    assert await billed(world, account, quantity, wish(tiers=tiers(*STEPS, **named))) == amount


async def test_tiers_are_written_as_the_bounds_of_the_catalog_let_them(sandbox: Any) -> None:
    """Both ends inside: 0 to 10 and 10.1 on, in tenths."""
    listed = priced("calls", None, *LISTED_STEPS, bounds="UPPER_INCLUSIVE")
    world, account = await shop(sandbox, priced("calls", "10"), listed)
    inside = tiers((0, 10, "OVERRIDE", 6), ("10.1", None, "OVERRIDE", 3))

    assert await billed(world, account, "10", wish(tiers=inside)) == 60


@pytest.mark.parametrize(
    ("said", "amount"),
    [
        ({"rate": {"value": num(8)}}, 100),
        ({"rate": {"value": num(8)}, "clear_tiers": True}, 200),
        ({"clear_tiers": True}, 250),
    ],
)
async def test_tiers_are_dropped_for_a_flat_price(
    sandbox: Any, said: dict[str, Any], amount: int
) -> None:
    """25 calls at 10, of which the catalog takes half."""
    world, account = await shop(sandbox, priced("calls", "10"), priced("calls", None, HALF))

    assert await billed(world, account, 25, wish(**said)) == amount
    [plan] = (await quoted(world, account, wish(**said))).resources
    assert plan.terms.tiers_negotiated == ("clear_tiers" in said)
    assert plan.terms.HasField("tiers") == ("clear_tiers" not in said)


async def quoted(world: World, account: str, *said: quotes.NegotiatedRate) -> quotes.SaleLine:
    made = await world.quote(account, line("plan", "2024-01-01", negotiated=said))
    read = await world.client.quotes.GetQuote(quotes.GetQuoteRequest(name=made.name))
    assert read == made
    return read.lines[0]


TIERS = tiers(*STEPS)
EURO = {"value": num(1), "currency_code": "EUR"}


@pytest.mark.parametrize(
    ("said", "code", "reason", "field"),
    [
        ({}, "INVALID_ARGUMENT", "FIELD_REQUIRED", "rate"),
        ({"tiers": TIERS, "clear_tiers": True}, "INVALID_ARGUMENT", "TIERS_INVALID", "clear_tiers"),
        ({"clear_tiers": True}, "FAILED_PRECONDITION", "RATE_NOT_FOUND", "clear_tiers"),
        ({"rate": {"per": num(1)}}, "INVALID_ARGUMENT", "FIELD_REQUIRED", "rate.value"),
        (
            {"rate": {"value": num(1), "per": num(0)}},
            "INVALID_ARGUMENT",
            "FACTOR_RANGE",
            "rate.per",
        ),
        ({"rate": EURO}, "INVALID_ARGUMENT", "CURRENCY_MISMATCH", "rate.currency_code"),
    ],
)
async def test_what_says_nothing_or_two_things_or_leaves_no_rate_is_refused(
    sandbox: Any, said: dict[str, Any], code: str, reason: str, field: str
) -> None:
    world, account = await shop(sandbox, priced("calls", None, *LISTED_STEPS))

    error = await refusal(
        world.quote(account, line("plan", "2024-01-01", negotiated=[wish(**said)]))
    )

    at = f"quote.lines[0].negotiated_rates[0].{field}"
    assert (error.code.name, error.reason) == (code, reason)
    assert at in (error.facts.get("field"), *(one.field for one in error.violations))
    listed = await world.client.quotes.ListQuotes(quotes.ListQuotesRequest(parent=account))
    assert not listed.quotes


@pytest.mark.parametrize(
    "said",
    [
        {"rate": {"value": num(250)}},
        {"rate": {"value": num(250), "package_pricing": False}},
        {"tiers": TIERS},
        {"rate": {"value": num(250), "per": num(10)}, "tiers": TIERS | {"bounds": 1}},
        {"clear_tiers": True},
        {"rate": {"value": num(250)}, "clear_tiers": True},
    ],
)
async def test_an_answer_names_every_part_and_means_the_same_in_another_catalog(
    sandbox: Any, said: dict[str, Any]
) -> None:
    """The second quote is asked for with the first answer, after everything listed has changed."""
    upper = {"mode": "GRADUATED", "bounds": "UPPER_INCLUSIVE"}
    world, account = await shop(sandbox, package(), priced("calls", None, *LISTED_STEPS, **upper))
    first = await quoted(world, account, wish(**said))
    again = await quoted(world, account, *first.negotiated_rates)
    await move(world, INACTIVE, "rateCards/base/entries/calls", "rateCards/tiers/entries/calls")
    await put(world, "base/other", priced("calls", "7", per="2"))
    await put(world, "tiers/other", priced("calls", None, HALF))

    later = await quoted(world, account, *first.negotiated_rates)

    assert first == again
    assert later.negotiated_rates == first.negotiated_rates
    [told] = first.negotiated_rates
    assert told.HasField("rate") == ("rate" in said)
    assert told.HasField("tiers") == ("tiers" in said)
    assert told.clear_tiers == ("clear_tiers" in said)
    if "rate" in said:
        assert told.rate.HasField("package_pricing")
        assert told.rate.package_pricing == ("package_pricing" not in said["rate"])
        assert figure(told.rate.per) == (10 if "per" in said["rate"] else 100)
        assert told.rate.currency_code == "USD"
    if "tiers" in said:
        bounds = "LOWER_INCLUSIVE" if "bounds" in said["tiers"] else "UPPER_INCLUSIVE"
        assert enum_name(told.tiers, "bounds") == bounds
        assert enum_name(told.tiers, "mode") == "GRADUATED"


async def test_a_kept_part_is_the_one_of_the_quote_when_the_catalog_has_changed(
    sandbox: Any,
) -> None:
    """Sold as packages of a hundred; the catalog has no packages any more when it is used."""
    world, account = await shop(sandbox, package())
    said = wish(rate={"value": num(250)})
    [asset] = await world.sell(account, line("plan", "2024-01-01", negotiated=[said]))
    await move(world, INACTIVE, "rateCards/base/entries/calls")
    await put(world, "base/other", priced("calls", "7"))
    await world.use(asset, "calls", "2024-01-05", "101.5")
    await world.advance("2024-02-10")

    assert await owed(world, account) == {"calls": (Decimal("101.5"), 500)}
    again = figures(await replay(world, account, price_book="priceBooks/book"))
    assert again == [(500, 500, 0)]


async def credits(sandbox: Any, price: str) -> tuple[World, str]:
    """A plan that sells credits for money, and an account."""
    world = await sandbox("2024-01-31")
    await set_up(world, described("plan", {}, Credits(price=price), category="USAGE"))
    return world, await world.account("ann")


AGREED = {"negotiated_rates": [wish("credits", rate={"value": num(250)})]}


async def test_a_pack_keeps_the_parts_of_its_own_entry(sandbox: Any) -> None:
    world, account = await credits(sandbox, "10")
    await set_up(world, pack("bulk", "credits", price=HUNDRED))
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.sell(account, to(asset.name, "bulk", "2024-01-01", **AGREED))
    await world.use(asset, "credits", "2024-01-05", 101)
    await world.advance("2024-02-10")

    assert [money(one.amount) for one in await world.liable(account)] == [500]


async def test_what_is_agreed_for_a_target_keeps_the_parts_of_the_line_it_is_on(
    sandbox: Any,
) -> None:
    """Packages of the plan; the other plan, which is billed by them, has none itself."""
    world, account = await credits(sandbox, HUNDRED)
    await set_up(world, described("other", {}, Credits(price="12"), category="USAGE"))
    target = await bind(world, account, "deal", "CONTRACT")
    bound = {"binding": "CONTRACT"}
    await world.sell(account, to(target, "plan", "2024-01-01", **bound, **AGREED))
    [other] = await world.sell(account, to(target, "other", "2024-01-01", **bound))
    await world.use(other, "credits", "2024-01-05", 101)
    await world.advance("2024-02-10")

    assert [money(one.amount) for one in await world.liable(account)] == [500]


async def test_a_commitment_keeps_the_parts_of_its_own_entry(sandbox: Any) -> None:
    """100 of 201 credits are committed; the other 101 are two of the commitment's packages."""
    world, account = await credits(sandbox, "10")
    await set_up(world, commitment("commit", "credits", "100", price=HUNDRED))
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.sell(account, linked("commit", "2024-01-01", asset, **AGREED))
    await world.use(asset, "credits", "2024-01-05", 201)
    await world.advance("2024-02-10")

    assert [money(one.amount) for one in await world.liable(account)] == [500]


async def test_a_rate_in_tokens_stays_in_tokens(sandbox: Any) -> None:
    """Ten minutes at 4 credits instead of 5, each for 2 dollars."""
    world = await sandbox("2024-01-31")
    await set_up(world, described("plan", {"minutes": "5"}, Credits(price="2")))
    account = await world.account("ann")
    said = wish("minutes", rate={"value": num(4)})
    [asset] = await world.sell(account, line("plan", "2024-01-01", negotiated=[said]))
    told = (await quoted(world, account, said)).negotiated_rates[0]
    await world.use(asset, "minutes", "2024-01-05", 10)
    await world.advance("2024-02-10")

    assert told.rate.token_unit == "unitsOfMeasure/credit"
    assert [money(one.amount) for one in await world.liable(account)] == [80]
