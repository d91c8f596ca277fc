"""The demo: two buyers live through a month of the example products, by the public API alone.

Everything has an id that follows from the month, so that a story cut half-way goes on where it
stopped, and a story told to its end is only read again.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import account_service_pb2 as accounts
from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import consumption_service_pb2 as consumption
from usage_management.v1 import order_service_pb2 as orders
from usage_management.v1 import quote_service_pb2 as quotes
from usage_management.v1 import setup_service_pb2 as setup_rpc
from usage_management.v1 import types_pb2 as types

from clients import descriptions, values
from clients.client import UsageClient
from clients.demo_usage import (
    LAST_HOUR,
    PLAN,
    PLATFORM,
    PROMPT,
    ZONE,
    Allowance,
    Use,
    plan_usage,
    platform_usage,
)
from clients.errors import UsageError
from clients.pages import pages
from clients.values import date_pb, decimal_pb, time_pb

EXAMPLES = Path(__file__).with_name("examples")
FILES = {PLAN: EXAMPLES / "telecom.yaml", PLATFORM: EXAMPLES / "ai-platform.yaml"}
PRICE_BOOK = "priceBooks/standard"
CURRENCY = "USD"
MILLION = 1_000_000
NEGOTIATED_RATE = "2"  # a million prompt tokens, instead of 2.50
BATCH = 1_000
RUN_POLL_SECONDS = 0.05
RUN_SECONDS = 120.0

_KEPT = {
    consumption.RecordOutcome.ACCEPTED,
    consumption.RecordOutcome.DUPLICATE,
    consumption.RecordOutcome.LATE,
}


class DemoError(Exception):
    """The story cannot go on; the text says why."""


@dataclass(frozen=True, slots=True)
class Buyer:
    """Somebody who buys: the name, the products, and what is used of the plan."""

    prefix: str
    display_name: str
    products: tuple[str, ...]
    allowance: Allowance


LABS = Buyer(
    "harbor-",
    "Harbor Labs",
    (PLAN, PLATFORM),
    Allowance(texts=4_500, megabytes=102_000, call_hundredths=131_240, calls=330),
)
KIOSK = Buyer(
    "kiosk-",
    "Corner Kiosk",
    (PLAN,),
    Allowance(texts=4_100, megabytes=1_400, call_hundredths=6_275, calls=29),
)
BUYERS = (LABS, KIOSK)


@dataclass(frozen=True, slots=True)
class Story:
    """The month that the buyers live through."""

    month: date

    @property
    def next_month(self) -> date:
        """The day after the last."""
        return (self.month + timedelta(days=31)).replace(day=1)

    @property
    def last_evening(self) -> datetime:
        """Return the time at which the usage of the month is recorded."""
        return _local(self.next_month - timedelta(days=1), time(LAST_HOUR))

    @property
    def after_freeze(self) -> datetime:
        """Noon after the three days that late usage is waited for."""
        return _local(self.next_month + timedelta(days=3), time(12))

    def account_id(self, buyer: Buyer) -> str:
        """The id of a buyer's account, one for each month."""
        return f"{buyer.prefix}{self.month:%Y-%m}"

    def account(self, buyer: Buyer) -> str:
        """The name of a buyer's account."""
        return f"accounts/{self.account_id(buyer)}"

    def uses(self, buyer: Buyer) -> Iterator[Use]:
        """Return a buyer's usage in the month."""
        account_id = self.account_id(buyer)
        yield from plan_usage(account_id, self.month, buyer.allowance)
        if PLATFORM in buyer.products:
            yield from platform_usage(account_id, self.month)


async def find_story(client: UsageClient, *, again: bool) -> Story:
    """The story to tell: the last one there is, or one that starts in the next month."""
    tenant = await client.access.GetTenant(access.GetTenantRequest(name="tenants/-"))
    if not tenant.HasField("clock_start_time"):
        raise DemoError(f"{tenant.name} is no sandbox; the demo needs a clock that it may move")
    found = [
        account.name.removeprefix("accounts/")
        async for account in pages(client.accounts.ListAccounts, accounts.ListAccountsRequest())
    ]
    told = sorted(month for name in found if (month := _month_of(name)) is not None)
    if told and not again:
        return Story(told[-1])
    today = values.time(tenant.clock_time).astimezone(ZoneInfo(ZONE)).date()
    story = Story(today if today.day == 1 else Story(today.replace(day=1)).next_month)
    while story.month in told:
        story = Story(story.next_month)
    return story


async def set_up(client: UsageClient, file: Path) -> setup_rpc.SetUpProductResponse:
    """Set up the product in a file, as `usage setup` does. Raises DemoError if it cannot be."""
    request = descriptions.read(file).into(setup_rpc.SetUpProductRequest())
    try:
        return await client.setup.SetUpProduct(request)
    except UsageError as error:
        if error.reason != "SETUP_CONFLICT":
            raise
        differing = ", ".join(one.field for one in error.violations[:3])
        raise DemoError(
            f"this catalog has other content than {file.name} under the same names:"
            f" {differing or error.message}. `usage reset --yes` begins anew"
        ) from None


async def offer(client: UsageClient, story: Story, buyer: Buyer) -> quotes.Quote:
    """Open the account and quote what it buys."""
    account = accounts.Account(
        display_name=buyer.display_name,
        time_zone=ZONE,
        currency_code=CURRENCY,
        billing_anchor_day=1,
    )
    account_id = story.account_id(buyer)
    await client.accounts.CreateAccount(
        accounts.CreateAccountRequest(account_id=account_id, account=account)
    )
    lines = [_line(story, product) for product in buyer.products]
    made: quotes.Quote = await client.quotes.CreateQuote(
        quotes.CreateQuoteRequest(
            parent=story.account(buyer),
            quote=quotes.Quote(price_book=PRICE_BOOK, lines=lines),
            request_id=f"demo-quote-{account_id}",
        )
    )
    return made


async def sell(
    client: UsageClient, story: Story, buyer: Buyer, quote: quotes.Quote
) -> dict[str, str]:
    """Order what was quoted and activate it; answer the asset of each product."""
    account_id = story.account_id(buyer)
    order = await client.orders.CreateOrder(
        orders.CreateOrderRequest(quote=quote.name, request_id=f"demo-order-{account_id}")
    )
    await client.orders.ActivateOrder(
        orders.ActivateOrderRequest(name=order.name, request_id=f"demo-activate-{account_id}")
    )
    return await owned(client, story, buyer)


async def owned(client: UsageClient, story: Story, buyer: Buyer) -> dict[str, str]:
    """The asset of each product of a buyer, as far as they are there."""
    request = assets.ListAssetsRequest(parent=story.account(buyer))
    found: AsyncIterator[assets.Asset] = pages(client.assets.ListAssets, request)
    try:
        return {asset.product.removeprefix("products/"): asset.name async for asset in found}
    except UsageError as error:
        if error.code.name == "NOT_FOUND":
            return {}
        raise


async def record(
    client: UsageClient,
    story: Story,
    bought: Mapping[str, Mapping[str, str]],
    advance: Callable[[int], None],
) -> None:
    """Record the month, by the assets of each buyer's account. Raises DemoError."""
    records = list(records_of(story, bought))
    for start in range(0, len(records), BATCH):
        batch = records[start : start + BATCH]
        answer = await client.consumption.RecordUsage(consumption.RecordUsageRequest(records=batch))
        refused = [outcome for outcome in answer.outcomes if outcome.code not in _KEPT]
        if refused:
            error = UsageError.of_status(refused[0].status)
            raise DemoError(f"{len(refused)} records were refused; the first: {error}")
        advance(len(batch))


def records_of(
    story: Story, bought: Mapping[str, Mapping[str, str]]
) -> Iterator[consumption.UsageRecordInput]:
    """The month's records of every buyer, the same in every telling."""
    for buyer in BUYERS:
        account_id = story.account_id(buyer)
        for use in story.uses(buyer):
            yield consumption.UsageRecordInput(
                record_id=f"{account_id}-{use.key}",
                asset=bought[buyer.prefix][use.product],
                usage_resource=f"usageResources/{use.resource}",
                quantity=decimal_pb(use.quantity),
                usage_time=time_pb(use.at),
            )


async def advance_clock(client: UsageClient, story: Story, to: datetime, step: str) -> access.Run:
    """Move the clock, unless it is there already, and wait for what falls due. Raises DemoError."""
    tenant = await client.access.GetTenant(access.GetTenantRequest(name="tenants/-"))
    if values.time(tenant.clock_time) >= to:
        return access.Run(state=access.Run.DONE)
    request_id = f"demo-{step}-{story.month:%Y-%m}"
    run = await client.access.AdvanceClock(
        access.AdvanceClockRequest(to_time=time_pb(to), request_id=request_id)
    )
    async with asyncio.timeout(RUN_SECONDS):
        while run.state == access.Run.RUNNING:
            await asyncio.sleep(RUN_POLL_SECONDS)
            run = await client.access.GetRun(access.GetRunRequest(name=run.name))
    if run.state != access.Run.DONE:
        raise DemoError(f"{run.name} stopped at {run.failed_job}: {run.error.message}")
    return run


async def is_told(client: UsageClient, story: Story) -> bool:
    """Return whether the story has reached its end."""
    tenant = await client.access.GetTenant(access.GetTenantRequest(name="tenants/-"))
    if values.time(tenant.clock_time) < story.after_freeze:
        return False
    return all([await owned(client, story, buyer) for buyer in BUYERS])


def _line(story: Story, product: str) -> quotes.SaleLine:
    line = quotes.SaleLine(product=f"products/{product}", start_date=date_pb(story.month))
    if product == PLATFORM:
        rate = types.Rate(
            value=decimal_pb(Decimal(NEGOTIATED_RATE)),
            per=decimal_pb(MILLION),
            currency_code=CURRENCY,
        )
        line.negotiated_rates.add(usage_resource=f"usageResources/{PROMPT}", rate=rate)
    return line


def _month_of(account_id: str) -> date | None:
    try:
        return datetime.strptime(account_id, f"{LABS.prefix}%Y-%m").replace(tzinfo=UTC).date()
    except ValueError:
        return None


def _local(day: date, at: time) -> datetime:
    return datetime.combine(day, at, ZoneInfo(ZONE))
