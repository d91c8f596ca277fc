"""Usage that is not billed yet: when it becomes final, and when its line comes."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from usage_management.v1 import summary_service_pb2 as summaries
from usage_management.v1 import wallet_service_pb2 as wallets

from clients.client import UsageClient
from clients.pages import pages
from clients.values import decimal, time, time_pb

AT_ONCE = 8
_Day = summaries.UsageSummary


@dataclass(frozen=True, slots=True)
class Key:
    """The usage of an asset and resource that one rating period handles."""

    wallet: str
    asset: str
    resource: str
    period_start: datetime


@dataclass(slots=True)
class OpenPeriod:
    """A rating period whose usage is in no invoice-ready line yet.

    `final_time` is its freeze; `line_time` the earliest time of the line that will contain it.
    """

    key: Key
    start: datetime
    records: int = 0
    quantity: Decimal = Decimal(0)
    rated: dict[str, Decimal] = field(default_factory=dict)
    end: datetime | None = None
    final_time: datetime | None = None
    billing_start: datetime | None = None
    billing_end: datetime | None = None
    line_time: datetime | None = None

    @property
    def is_final(self) -> bool:
        """Return whether all of it is drawn down and rated, and only the line is missing."""
        return not self.records


async def open_periods(
    client: UsageClient, account: str, wallet: str = "", *, with_rated: bool = False
) -> list[OpenPeriod]:
    """Return the usage of an account, or of one wallet, that is not final, by period and resource.

    With `with_rated`, also what is final and waits for the end of its billing period. Raises
    UsageError.
    """
    found: dict[Key, OpenPeriod] = {}
    async for usage in _open_days(client, account, wallet):
        at = time(usage.period_start_time)
        key = Key(usage.wallet, usage.asset, usage.usage_resource, at)
        # A first period may begin before its asset, which has no periods then.
        period = found.setdefault(key, OpenPeriod(key, max(at, time(usage.start_time))))
        period.records += usage.record_count
        period.quantity += decimal(usage.sum_quantity)
    if with_rated:
        request = summaries.ListRatableSummariesRequest(parent=account, page_size=1000)
        async for rated in pages(client.summaries.ListRatableSummaries, request):
            if not rated.liable_summary and rated.currency_code:
                at = time(rated.start_time)
                key = Key(rated.wallet, rated.asset, rated.usage_resource, at)
                period = found.setdefault(key, OpenPeriod(key, at))
                before = period.rated.get(rated.currency_code, Decimal(0))
                period.rated[rated.currency_code] = before + decimal(rated.amount)
    slots = asyncio.Semaphore(AT_ONCE)
    await asyncio.gather(*(_complete(client, period, slots) for period in found.values()))
    order = sorted(found.values(), key=lambda one: (one.start, one.key.resource, one.key.asset))
    return order


async def _open_days(client: UsageClient, account: str, wallet: str) -> AsyncIterator[_Day]:
    for state in (_Day.OPEN, _Day.FROZEN):
        request = summaries.ListUsageSummariesRequest(
            parent=account, wallet=wallet, state=state, page_size=1000
        )
        async for usage in pages(client.summaries.ListUsageSummaries, request):
            yield usage


async def _complete(client: UsageClient, period: OpenPeriod, slots: asyncio.Semaphore) -> None:
    """Add the times of a period, as far as the service knows them."""
    async with slots:
        at_start = await _periods(client, period.key, period.start)
        if at_start is None:
            return
        rating, billing = at_start.rating_period, at_start.billing_period
        period.start, period.end = time(rating.start_time), time(rating.end_time)
        period.final_time = time(rating.freeze_time)
        period.billing_start, period.billing_end = time(billing.start_time), time(billing.end_time)
        # The line waits for the last rating period of its billing period.
        last_moment = period.billing_end - timedelta(microseconds=1)
        at_end = await _periods(client, period.key, last_moment)
        freeze = time(at_end.rating_period.freeze_time) if at_end else period.final_time
        period.line_time = max(freeze, period.final_time, period.billing_end)


async def _periods(
    client: UsageClient, key: Key, at: datetime
) -> wallets.UsageResourcePeriods | None:
    request = wallets.PeriodAtRequest(name=key.asset, time=time_pb(at))
    answer = await client.wallets.PeriodAt(request)
    matching = [one for one in answer.resource_periods if one.usage_resource == key.resource]
    return matching[0] if matching else None
