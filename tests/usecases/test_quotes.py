"""Quotes: the catalog is frozen on the line, with what was negotiated beside it, or refused."""

from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal

import asyncpg
import pytest

from server.domain.errors import UsageError
from server.domain.ids import AccountId, PriceBookId, ProductId, ResourceId, UnitId
from server.domain.modeling.policies import OveragePolicy, RolloverPolicy
from server.domain.rating.rates import (
    Adjustment,
    AdjustmentKind,
    Rate,
    RateParts,
    Tier,
    TierBounds,
)
from server.domain.selling.negotiation import Negotiated
from server.domain.selling.sales import Quote, QuoteState
from server.store.selling.quotes import QuoteFilter
from server.store.transaction import read, transact
from server.usecases.selling import quotes
from server.usecases.selling.quotes import CreateQuote
from tests.usecases.selling import ACME, BOOK, SMS, STORAGE, TENANT, change, line, quote, rows, shop

USD = UnitId("USD")


@pytest.fixture
async def pool(database: str) -> AsyncIterator[asyncpg.Pool]:
    async with shop(database) as pool:
        yield pool


def wish(
    resource: str = SMS, value: str | None = "0.5", tiers=None, *, unit: str = USD, **more
) -> Negotiated:
    rate = None if value is None else RateParts(value=Decimal(value), unit=UnitId(unit))
    return Negotiated(resource_id=ResourceId(resource), rate=rate, tiers=tiers, **more)


def tier(lower: int, upper: int | None, kind: AdjustmentKind, value: str) -> Tier:
    adjustment = Adjustment(kind=kind, value=Decimal(value))
    high = None if upper is None else Decimal(upper)
    return Tier(lower=Decimal(lower), upper=high, adjustment=adjustment)


async def refused(work) -> tuple[str, str]:
    """Why, and where in the request."""
    with pytest.raises(UsageError) as caught:
        await work
    return caught.value.reason, caught.value.facts.get("field", "")


async def get(pool: asyncpg.Pool, made: Quote) -> Quote:
    return await read(pool, TENANT, lambda tx: quotes.get(tx, ACME, made.id))


async def test_a_line_carries_the_rates_grants_and_policies_of_the_catalog(pool):
    made = await quote(pool, line(quantity=3))

    assert (made.state, made.currency_code, made.price_book_id) == (QuoteState.DRAFT, "USD", BOOK)
    sms, storage = made.lines[0].resources
    assert sms.terms is not None
    assert sms.terms.rate == Rate(value=Decimal("0.75"), unit=USD)
    assert sms.policies.overage is OveragePolicy.CHARGE
    assert sms.policies.sources.rating_frequency.id == "monthly"
    (texts,) = sms.grants
    assert (texts.product_grant_id, texts.quantity) == ("texts", Decimal(12_000))
    assert texts.rollover == RolloverPolicy(max_count=1)
    assert (texts.refresh_policy.id, texts.rollover_policy.id) == ("each-month", "once")
    (disk,) = storage.grants
    assert (storage.policies.wallet.unit_id, disk.quantity) == ("GB", Decimal(30))
    assert (storage.terms, storage.policies.overage) == (None, OveragePolicy.FREE)


async def test_a_quote_stays_what_it_was_when_the_catalog_changes(pool):
    made = await quote(pool, line(negotiated=[wish()]))
    await change(pool, "UPDATE rate_card_entries SET rate_value = 9")
    await change(pool, "UPDATE products SET state = 'INACTIVE'")

    assert await get(pool, made) == made


async def test_what_is_negotiated_stands_beside_what_the_catalog_says(pool):
    tiers = (
        tier(0, 10, AdjustmentKind.PERCENTAGE, "10"),
        tier(11, None, AdjustmentKind.PERCENTAGE, "20"),
    )
    asked = wish(value="0.5", tiers=tiers, bounds=TierBounds.UPPER_INCLUSIVE)

    made = await quote(pool, line(negotiated=[asked]))

    terms = made.lines[0].resources[0].terms
    assert terms is not None
    assert (terms.rate, terms.negotiated_rate) == (
        Rate(value=Decimal("0.75"), unit=USD),
        Rate(value=Decimal("0.5"), unit=USD),
    )
    assert terms.negotiated_tiers is not None
    assert [(each.lower, each.upper) for each in terms.negotiated_tiers] == [(0, 10), (10, None)]
    assert terms.bounds is TierBounds.UPPER_INCLUSIVE


ADJUSTING = (tier(0, None, AdjustmentKind.AMOUNT, "1"),)
GAPPED = (
    tier(0, 10, AdjustmentKind.OVERRIDE, "1"),
    tier(20, None, AdjustmentKind.OVERRIDE, "2"),
)


@pytest.mark.parametrize(
    ("product", "wishes", "reason", "field"),
    [
        ("phone", [wish(), wish()], "RESOURCE_TWICE", "[1].usage_resource"),
        ("pager", [wish(STORAGE)], "RESOURCE_NOT_IN_PRODUCT", "[0].usage_resource"),
        ("phone", [wish(unit="CHF")], "CURRENCY_MISMATCH", "[0].rate.currency_code"),
        ("pager", [wish()], "NOT_NEGOTIABLE", "[0]"),
        ("phone", [wish(STORAGE)], "RATE_NOT_FOUND", "[0]"),
        ("phone", [wish(value=None, tiers=GAPPED)], "TIERS_INVALID", "[0].tiers.tiers[1]"),
    ],
)
async def test_what_cannot_be_negotiated_is_refused_with_its_place(
    pool, product, wishes, reason, field
):
    found = await refused(quote(pool, line(), line(product, negotiated=wishes)))

    assert found == (reason, f"quote.lines[1].negotiated_rates{field}")


async def test_tiers_that_would_pay_for_usage_are_refused(pool):
    below = (
        tier(0, 10, AdjustmentKind.PERCENTAGE, "5"),
        tier(10, None, AdjustmentKind.AMOUNT, "-1"),
    )
    asked = wish(value="0.99", tiers=below)

    found = await refused(quote(pool, line(), line(negotiated=[asked])))
    at_nothing = await quote(pool, line(negotiated=[wish(value="1", tiers=below)]))

    assert found == ("RATE_NEGATIVE", "quote.lines[1]")
    assert at_nothing.lines


async def test_tiers_that_adjust_need_a_rate_to_adjust(pool):
    await change(pool, "UPDATE rate_card_entries SET rate_value = NULL")
    asked = wish(value=None, tiers=ADJUSTING)

    found = await refused(quote(pool, line(negotiated=[asked])))

    assert found == ("TIERS_INVALID", "quote.lines[0].negotiated_rates[0].tiers.tiers[0]")


async def test_overage_that_is_charged_needs_a_rate_in_the_accounts_currency_on_that_day(pool):
    early = quote(pool, line(start=date(2019, 12, 31)))
    assert await refused(early) == ("RATE_NOT_FOUND", "")

    await change(pool, "UPDATE accounts SET currency_code = 'EUR'")
    assert await refused(quote(pool, line())) == ("RATE_NOT_FOUND", "")

    await change(
        pool,
        "UPDATE usage_resources SET overage_policy_id = 'free' WHERE usage_resource_id = 'sms'",
    )
    made = await quote(pool, line())
    assert made.lines[0].resources[0].terms is None


@pytest.mark.parametrize(
    "withdrawal",
    [
        "UPDATE products SET state = 'INACTIVE' WHERE product_id = 'phone'",
        "UPDATE products SET state = 'DRAFT' WHERE product_id = 'phone'",
        "UPDATE usage_resources SET state = 'INACTIVE' WHERE usage_resource_id = 'storage'",
    ],
)
async def test_what_is_not_active_is_not_sold(pool, withdrawal):
    await change(pool, withdrawal)

    assert await refused(quote(pool, line())) == ("RESOURCE_INACTIVE", "")


async def test_a_resource_is_sold_in_its_days_only(pool):
    await change(pool, "UPDATE product_usage_resources SET end_date = '2024-02-01'")

    assert await refused(quote(pool, line(start=date(2024, 2, 1)))) == ("RESOURCE_INACTIVE", "")
    assert (await quote(pool, line(start=date(2024, 1, 31)))).state is QuoteState.DRAFT


async def test_what_a_line_would_grant_has_to_fit(pool):
    found = await refused(quote(pool, line(quantity=10**25)))

    assert found == ("DECIMAL_RANGE", "quote.lines[0].quantity")


async def test_what_does_not_exist_is_named(pool):
    asked = (line(),)

    async def create(**wrong):
        command = CreateQuote(
            **{"account_id": ACME, "price_book_id": BOOK, "lines": asked, **wrong}
        )
        return await transact(pool, TENANT, lambda tx: quotes.create(tx, command))

    nobody, nothing = AccountId("nobody"), PriceBookId("nothing")
    assert (await refused(create(account_id=nobody)))[0] == "ACCOUNT_NOT_FOUND"
    assert (await refused(create(price_book_id=nothing)))[0] == "PRICE_BOOK_NOT_FOUND"
    unknown = (line(ProductId("unknown")),)
    assert (await refused(create(lines=unknown)))[0] == "PRODUCT_NOT_FOUND"
    assert await rows(pool, "SELECT count(*) FROM quotes") == [(0,)]


async def test_quotes_are_listed_newest_first_a_page_at_a_time(pool):
    made = [await quote(pool, line()) for _ in range(3)]

    async def page(after):
        return await read(
            pool,
            TENANT,
            lambda tx: quotes.list_quotes(tx, ACME, QuoteFilter(), after=after, limit=2),
        )

    first = await page(None)
    rest = await page((first[-1].audit.create_time, first[-1].id))

    assert [*first, *rest] == made[::-1]
