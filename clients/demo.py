"""The demo: a month of a real-looking product, played through the public API, and its outcome.

Everything has an id that follows from the account, so that a story cut half-way goes on where it
stopped, and a story told to its end is only read again.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from usage.v1 import access_service_pb2 as access
from usage.v1 import account_service_pb2 as accounts
from usage.v1 import asset_service_pb2 as assets
from usage.v1 import consumption_service_pb2 as consumption
from usage.v1 import order_service_pb2 as orders
from usage.v1 import quote_service_pb2 as quotes
from usage.v1 import types_pb2 as types

from clients import values
from clients.client import UsageClient
from clients.demo_catalogue import CURRENCY, MILLION, PRICE_BOOK, PRODUCT
from clients.errors import UsageError
from clients.pages import pages
from clients.values import date_pb, decimal_pb, time_pb

PREFIX = "aurora-"
ZONE = "Europe/Berlin"
NEGOTIATED_RATE = "10"
BATCH = 1_000
REQUESTS_A_DAY = 110
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
class Story:
    """One account and the month it lives through."""

    account_id: str
    month: date

    @classmethod
    def of_month(cls, month: date) -> "Story":
        """The story of the account that starts in a month."""
        return cls(f"{PREFIX}{month:%Y-%m}", month)

    @property
    def account(self) -> str:
        """The account's name."""
        return f"accounts/{self.account_id}"

    @property
    def next_month(self) -> date:
        """The day after the last."""
        return (self.month + timedelta(days=31)).replace(day=1)

    @property
    def last_evening(self) -> datetime:
        """When the usage of the month is recorded: its last day, 22:00."""
        return _local(self.next_month - timedelta(days=1), time(22))

    @property
    def after_freeze(self) -> datetime:
        """Noon after the three days that late usage is waited for."""
        return _local(self.next_month + timedelta(days=3), time(12))

    def request_id(self, step: str) -> str:
        """Names an attempt, so that it is the same in every telling."""
        return f"demo-{step}-{self.account_id}"


async def find_story(client: UsageClient, *, again: bool) -> Story:
    """The story to tell: the last one there is, or one that starts in the next month."""
    tenant = await client.access.GetTenant(access.GetTenantRequest())
    if not tenant.HasField("clock_start_time"):
        raise DemoError(f"{tenant.name} is no sandbox; the demo needs a clock that it may move")
    found = [
        account.name.removeprefix("accounts/")
        async for account in pages(client.accounts.ListAccounts, accounts.ListAccountsRequest())
    ]
    told = sorted(name for name in found if _month_of(name) is not None)
    if told and not again:
        month = _month_of(told[-1])
        assert month is not None, told
        return Story.of_month(month)
    today = values.time(tenant.clock_time).astimezone(ZoneInfo(ZONE)).date()
    month = today if today.day == 1 else (today.replace(day=1) + timedelta(days=31)).replace(day=1)
    while Story.of_month(month).account_id in told:
        month = (month + timedelta(days=31)).replace(day=1)
    return Story.of_month(month)


async def sell(client: UsageClient, story: Story) -> assets.Asset:
    """Open the account, quote with a negotiated rate, order and activate; answer the asset."""
    account = accounts.Account(
        display_name="Aurora Labs", time_zone=ZONE, currency_code=CURRENCY, billing_anchor_day=1
    )
    await client.accounts.CreateAccount(
        accounts.CreateAccountRequest(account_id=story.account_id, account=account)
    )
    rate = types.Rate(
        value=decimal_pb(Decimal(NEGOTIATED_RATE)), per=decimal_pb(MILLION), currency_code=CURRENCY
    )
    line = quotes.SaleLine(
        product=f"products/{PRODUCT}",
        start_date=date_pb(story.month),
        negotiated_rates=[quotes.NegotiatedRate(usage_resource="usageResources/tokens", rate=rate)],
    )
    quote = await client.quotes.CreateQuote(
        quotes.CreateQuoteRequest(
            parent=story.account,
            quote=quotes.Quote(price_book=PRICE_BOOK, lines=[line]),
            request_id=story.request_id("quote"),
        )
    )
    order = await client.orders.CreateOrder(
        orders.CreateOrderRequest(quote=quote.name, request_id=story.request_id("order"))
    )
    active = await client.orders.ActivateOrder(
        orders.ActivateOrderRequest(name=order.name, request_id=story.request_id("activate"))
    )
    return await client.assets.GetAsset(assets.GetAssetRequest(name=active.assets[0]))


async def record(
    client: UsageClient, story: Story, asset: str, advance: Callable[[int], None]
) -> int:
    """Record the usage of the month; answers how many records there are. Raises DemoError."""
    records = list(usage(story, asset))
    for start in range(0, len(records), BATCH):
        batch = records[start : start + BATCH]
        answer = await client.consumption.RecordUsage(consumption.RecordUsageRequest(records=batch))
        refused = [outcome for outcome in answer.outcomes if outcome.code not in _KEPT]
        if refused:
            error = UsageError.of_status(refused[0].status)
            raise DemoError(f"{len(refused)} records were refused; the first: {error}")
        advance(len(batch))
    return len(records)


def usage(story: Story, asset: str) -> Iterator[consumption.UsageRecordInput]:
    """A month of usage: the same in every telling. Busy on weekdays by day, quiet at night."""
    chance = random.Random(story.account_id)
    day, number = story.month, 0
    stored = Decimal(18)
    while day < story.next_month:
        weekday = day.weekday() < 5
        for _ in range(REQUESTS_A_DAY if weekday else REQUESTS_A_DAY // 3):
            number += 1
            at = _local(
                day, time(chance.choice(_HOURS), chance.randrange(60), chance.randrange(60))
            )
            tokens = 200 + round(chance.lognormvariate(8.6, 0.8))
            yield _record(asset, "tokens", f"{story.account_id}-t{number}", at, Decimal(tokens))
        images = chance.randrange(6, 18) if weekday else chance.randrange(0, 5)
        for _ in range(images):
            number += 1
            at = _local(day, time(chance.choice(_HOURS), chance.randrange(60)))
            yield _record(asset, "images", f"{story.account_id}-i{number}", at, Decimal(1))
        stored += Decimal(chance.randrange(200, 1200)) / 1000
        for hour in (6, 18):
            at = _local(day, time(hour))
            yield _record(asset, "storage", f"{story.account_id}-s{day}-{hour}", at, stored)
        day += timedelta(days=1)


async def advance_clock(client: UsageClient, story: Story, to: datetime, step: str) -> access.Run:
    """Move the clock, unless it is there already, and wait for what falls due. Raises DemoError."""
    tenant = await client.access.GetTenant(access.GetTenantRequest())
    if values.time(tenant.clock_time) >= to:
        return access.Run(state=access.Run.DONE)
    run = await client.access.AdvanceClock(
        access.AdvanceClockRequest(to_time=time_pb(to), request_id=story.request_id(step))
    )
    async with asyncio.timeout(RUN_SECONDS):
        while run.state == access.Run.RUNNING:
            await asyncio.sleep(RUN_POLL_SECONDS)
            run = await client.access.GetRun(access.GetRunRequest(name=run.name))
    if run.state != access.Run.DONE:
        raise DemoError(f"{run.name} stopped at {run.failed_job}: {run.error}")
    return run


async def is_told(client: UsageClient, story: Story) -> bool:
    """Whether the story has reached its end."""
    tenant = await client.access.GetTenant(access.GetTenantRequest())
    if values.time(tenant.clock_time) < story.after_freeze:
        return False
    request = assets.ListAssetsRequest(parent=story.account)
    try:
        return bool([asset async for asset in _first(pages(client.assets.ListAssets, request))])
    except UsageError as error:
        if error.code.name == "NOT_FOUND":
            return False
        raise


async def _first(items: AsyncIterator[assets.Asset]) -> AsyncIterator[assets.Asset]:
    async for item in items:
        yield item
        return


def _month_of(account_id: str) -> date | None:
    try:
        return datetime.strptime(account_id, f"{PREFIX}%Y-%m").replace(tzinfo=UTC).date()
    except ValueError:
        return None


def _local(day: date, at: time) -> datetime:
    return datetime.combine(day, at, ZoneInfo(ZONE))


def _record(
    asset: str, resource: str, record_id: str, at: datetime, quantity: Decimal
) -> consumption.UsageRecordInput:
    return consumption.UsageRecordInput(
        record_id=record_id,
        asset=asset,
        usage_resource=f"usageResources/{resource}",
        quantity=decimal_pb(quantity),
        usage_time=time_pb(at),
    )


# Hours of the day as often as they are worked in; the last record is before the evening's clock.
_HOURS = (0, 5, 7, 8, 8, 9, 9, 9, 10, 10, 10, 11, 11, 12, 13, 13, 14, 14, 15, 15, 16, 17, 18, 20)
