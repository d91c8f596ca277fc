"""A world to tell stories in: a sandbox tenant, and short words for what happens in it."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any

from usage_management.v1 import (
    access_service_pb2 as access,
)
from usage_management.v1 import (
    account_service_pb2 as accounts,
)
from usage_management.v1 import (
    asset_service_pb2 as assets,
)
from usage_management.v1 import (
    catalog_resources_pb2 as catalog,
)
from usage_management.v1 import (
    catalog_service_pb2 as catalog_rpc,
)
from usage_management.v1 import (
    consumption_service_pb2 as consumption,
)
from usage_management.v1 import (
    order_service_pb2 as orders,
)
from usage_management.v1 import (
    policy_resources_pb2 as policies,
)
from usage_management.v1 import (
    policy_service_pb2 as policy_rpc,
)
from usage_management.v1 import (
    quote_service_pb2 as quotes,
)
from usage_management.v1 import (
    rate_service_pb2 as rates,
)
from usage_management.v1 import (
    summary_service_pb2 as summaries,
)
from usage_management.v1 import (
    types_pb2 as types,
)
from usage_management.v1 import (
    wallet_service_pb2 as wallet_rpc,
)

from clients import UsageClient
from clients.pages import pages
from tests.stories.words import Metered, moment, number, optional_number, stamp, tier, usage

_ids = count(1)


@dataclass
class World:
    """A tenant of its own, as its administrator sees it."""

    client: UsageClient
    currency: str = "USD"
    has_book: bool = field(default=False)

    async def product(self, product: str, *metered: Metered, activate: bool = True) -> None:
        """Define a product with all it needs, and put it in force."""
        kind = catalog.Product(usage_model_type="ANCHOR")
        await self.client.catalog.CreateProduct(
            catalog_rpc.CreateProductRequest(product_id=product, product=kind)
        )
        await self._book()
        for one in metered:
            await self._resource(one)
            await self._promise(product, one)
            await self.price(product, one)
        if activate:
            await self.activate(product)

    async def promise_in(self, product: str, resource: str, unit: str) -> None:
        """Promise one of a unit in a product, which puts the unit in force."""
        rpc = self.client.catalog
        await rpc.CreateProductUsageResource(
            catalog_rpc.CreateProductUsageResourceRequest(
                parent=f"products/{product}",
                product_usage_resource=catalog.ProductUsageResource(
                    usage_resource=f"usageResources/{resource}"
                ),
            )
        )
        await rpc.CreateProductUsageGrant(
            catalog_rpc.CreateProductUsageGrantRequest(
                parent=f"products/{product}",
                product_usage_grant_id=f"one-{unit}",
                product_usage_grant=catalog.ProductUsageGrant(
                    product_usage_resource=f"products/{product}/usageResources/{resource}",
                    quantity=number(1),
                    unit_of_measure=f"unitsOfMeasure/{unit}",
                ),
            )
        )
        await self.activate(product)

    async def activate(self, product: str) -> catalog_rpc.ActivateProductResponse:
        return await self.client.catalog.ActivateProduct(self.activation(product))

    def activation(self, product: str) -> catalog_rpc.ActivateProductRequest:
        # Most stories leave out what they are not about, such as rates.
        return catalog_rpc.ActivateProductRequest(name=f"products/{product}", allow_invalid=True)

    async def account(
        self,
        account: str,
        *,
        zone: str = "UTC",
        anchor_day: int = 1,
        billing_months: int = 1,
        billing: accounts.Account | None = None,
    ) -> str:
        """Open an account, with the fields of `billing` if given; the answer is its name."""
        every = types.Cadence(unit=types.Cadence.MONTH, count=billing_months)
        content = accounts.Account(time_zone=zone, currency_code=self.currency)
        content.MergeFrom(
            billing or accounts.Account(billing_anchor_day=anchor_day, billing_interval=every)
        )
        made = await self.client.accounts.CreateAccount(
            accounts.CreateAccountRequest(account_id=account, account=content)
        )
        return made.name

    async def quote(self, account: str, *lines: quotes.SaleLine) -> quotes.Quote:
        return await self.client.quotes.CreateQuote(
            quotes.CreateQuoteRequest(
                parent=account,
                quote=quotes.Quote(price_book="priceBooks/book", lines=lines),
                request_id=f"quote-{next(_ids):06}",
            )
        )

    async def sell(self, account: str, *lines: quotes.SaleLine) -> list[assets.Asset]:
        """Quote, order and activate; the answer is an asset for each line."""
        quote = await self.quote(account, *lines)
        order = await self.client.orders.CreateOrder(orders.CreateOrderRequest(quote=quote.name))
        active = await self.client.orders.ActivateOrder(
            orders.ActivateOrderRequest(name=order.name)
        )
        requests = [assets.GetAssetRequest(name=name) for name in active.assets]
        return [await self.client.assets.GetAsset(request) for request in requests]

    async def record(
        self, records: Iterable[consumption.UsageRecordInput]
    ) -> list[consumption.RecordOutcome]:
        request = consumption.RecordUsageRequest(records=list(records))
        response = await self.client.consumption.RecordUsage(request)
        return list(response.outcomes)

    async def use(
        self, asset: assets.Asset, resource: str, at: str | datetime, quantity: object
    ) -> consumption.RecordOutcome:
        """Record one act of usage, which is expected to be kept."""
        [outcome] = await self.record([usage(asset, resource, at, quantity)])
        kept = (consumption.RecordOutcome.ACCEPTED, consumption.RecordOutcome.LATE)
        assert outcome.code in kept, outcome
        return outcome

    async def discover(self, product: str, resource: str, **more: Any) -> rates.RateAnswer:
        """Return the price of a unit by the catalog."""
        usual = {"price_book": "priceBooks/book", "currency_code": self.currency}
        question = rates.RateQuestion(
            product=f"products/{product}",
            usage_resource=f"usageResources/{resource}",
            **(usual | more),
        )
        request = rates.DiscoverRatesRequest(questions=[question], freshness="FULLY_CONSISTENT")
        return (await self.client.rates.DiscoverRates(request)).answers[0]

    async def wallet(self, account: str, resource: str) -> wallet_rpc.Wallet:
        """The account's only wallet of a resource, as it is now."""
        [found] = [w for w in await self.wallets(account) if w.usage_resource.endswith(resource)]
        return found

    async def wallets(self, account: str) -> list[wallet_rpc.Wallet]:
        request = wallet_rpc.ListWalletsRequest(parent=account)
        return [wallet async for wallet in pages(self.client.wallets.ListWallets, request)]

    async def entries(self, wallet: wallet_rpc.Wallet) -> list[wallet_rpc.WalletEntry]:
        request = wallet_rpc.ListWalletEntriesRequest(parent=wallet.name)
        return [e async for e in pages(self.client.wallets.ListWalletEntries, request)]

    async def grants(self, wallet: wallet_rpc.Wallet) -> list[wallet_rpc.Grant]:
        request = wallet_rpc.ListGrantsRequest(parent=wallet.name)
        return [grant async for grant in pages(self.client.wallets.ListGrants, request)]

    async def liable(self, account: str) -> list[summaries.LiableSummary]:
        request = summaries.ListLiableSummariesRequest(parent=account)
        return [line async for line in pages(self.client.summaries.ListLiableSummaries, request)]

    async def ratable(self, account: str) -> list[summaries.RatableSummary]:
        request = summaries.ListRatableSummariesRequest(parent=account)
        return [line async for line in pages(self.client.summaries.ListRatableSummaries, request)]

    async def trace(self, line: summaries.LiableSummary) -> summaries.TraceLiableSummaryResponse:
        request = summaries.TraceLiableSummaryRequest(name=line.name)
        return await self.client.summaries.TraceLiableSummary(request)

    async def advance(self, to: str | datetime) -> access.Run:
        """Move the clock and wait until all that was due on the way has happened."""
        target = moment(to) if isinstance(to, str) else to
        run = await self.client.access.AdvanceClock(
            access.AdvanceClockRequest(to_time=stamp(target))
        )
        while run.state == access.Run.RUNNING:
            await asyncio.sleep(0.02)
            run = await self.client.access.GetRun(access.GetRunRequest(name=run.name))
        assert run.state == access.Run.DONE, run
        return run

    async def _book(self) -> None:
        if self.has_book:
            return
        for card, kind in (("base", "BASE"), ("tiers", "TIER")):
            await self.client.rates.CreateRateCard(
                rates.CreateRateCardRequest(rate_card_id=card, rate_card=rates.RateCard(type=kind))
            )
        book = rates.PriceBook(rate_cards=["rateCards/base", "rateCards/tiers"])
        await self.client.rates.CreatePriceBook(
            rates.CreatePriceBookRequest(price_book_id="book", price_book=book)
        )
        self.has_book = True

    async def _resource(self, one: Metered) -> None:
        make = catalog_rpc
        unit_class = make.CreateUnitClassRequest(
            unit_class_id=f"{one.resource}-class",
            unit_class=catalog.UnitClass(
                kind="USAGE", default_unit=f"unitsOfMeasure/{one.resource}-unit"
            ),
        )
        unit = make.CreateUnitOfMeasureRequest(
            unit_of_measure_id=f"{one.resource}-unit",
            unit_of_measure=catalog.UnitOfMeasure(
                unit_class=f"unitClasses/{one.resource}-class",
                scale=one.scale,
                rounding=one.rounding,
            ),
        )
        resource = make.CreateUsageResourceRequest(
            usage_resource_id=one.resource,
            usage_resource=catalog.UsageResource(
                category="USAGE",
                unit_class=f"unitClasses/{one.resource}-class",
                dimensions=one.dimensions,
            ),
        )
        records = [
            make.CatalogRecord(unit_class=unit_class),
            make.CatalogRecord(unit_of_measure=unit),
            make.CatalogRecord(usage_resource=resource),
        ]
        await self.client.catalog.CreateRecords(make.CreateRecordsRequest(records=records))

    async def _promise(self, product: str, one: Metered) -> None:
        rpc = self.client.catalog
        await rpc.CreateProductUsageResource(
            catalog_rpc.CreateProductUsageResourceRequest(
                parent=f"products/{product}",
                product_usage_resource=catalog.ProductUsageResource(
                    usage_resource=f"usageResources/{one.resource}",
                    policies=await self._policies(one),
                    non_negotiable_policies=one.fixed_policies,
                ),
            )
        )
        if one.grant is None:
            return
        refresh, rollover = await self._renewal(one)
        validity = one.validity and types.Cadence(unit=one.validity, count=one.validity_count)
        await rpc.CreateProductUsageGrant(
            catalog_rpc.CreateProductUsageGrantRequest(
                parent=f"products/{product}",
                product_usage_grant_id=f"{one.resource}-grant",
                product_usage_grant=catalog.ProductUsageGrant(
                    product_usage_resource=f"products/{product}/usageResources/{one.resource}",
                    quantity=number(one.grant),
                    non_negotiable=one.fixed_grant,
                    max_increase_percent=optional_number(one.max_increase),
                    validity=validity or None,
                    refresh_policy=refresh,
                    rollover_policy=rollover,
                ),
            )
        )

    async def _policies(self, one: Metered) -> catalog.ResourcePolicies:
        rpc = self.client.policies
        aggregation = await rpc.CreateAggregationPolicy(
            policy_rpc.CreateAggregationPolicyRequest(
                aggregation_policy_id=f"{one.method}-{one.window}-{one.combine}".lower(),
                aggregation_policy=policies.AggregationPolicy(
                    method=one.method,
                    period=one.window,
                    combine=one.combine,
                    unique_label=one.unique_label,
                ),
            )
        )
        waiting, wait = policies.RatingFrequencyPolicy.WaitingTime(), f"{one.waiting_days}"
        if one.waiting_hours is None:
            waiting.days = one.waiting_days
        else:
            waiting.hours, wait = one.waiting_hours, f"{one.waiting_hours}-hours"
        frequency = await rpc.CreateRatingFrequencyPolicy(
            policy_rpc.CreateRatingFrequencyPolicyRequest(
                rating_frequency_policy_id=f"{one.rating}-{wait}-{one.late}".lower(),
                rating_frequency_policy=policies.RatingFrequencyPolicy(
                    period=one.rating, waiting_time=waiting, late_policy=one.late
                ),
            )
        )
        overage = await rpc.CreateOveragePolicy(
            policy_rpc.CreateOveragePolicyRequest(
                overage_policy_id=one.overage.lower(),
                overage_policy=policies.OveragePolicy(overage=one.overage),
            )
        )
        return catalog.ResourcePolicies(
            aggregation_policy=aggregation.name,
            rating_frequency_policy=frequency.name,
            overage_policy=overage.name,
            drawdown_order=one.order,
        )

    async def _renewal(self, one: Metered) -> tuple[str, str]:
        rpc, refresh, rollover = self.client.policies, "", ""
        if one.refresh is not None:
            interval = types.Cadence(unit=one.refresh, count=one.refresh_count)
            made: Any = await rpc.CreateRefreshPolicy(
                policy_rpc.CreateRefreshPolicyRequest(
                    refresh_policy_id=f"every-{one.refresh_count}-{one.refresh}".lower(),
                    refresh_policy=policies.RefreshPolicy(interval=interval),
                )
            )
            refresh = made.name
        if one.max_rollovers is not None:
            made = await rpc.CreateRolloverPolicy(
                policy_rpc.CreateRolloverPolicyRequest(
                    rollover_policy_id="-".join(
                        str(part)
                        for part in (
                            "up-to",
                            one.max_rollovers,
                            one.cap,
                            one.cap_percent,
                            one.remainder_percent and f"rest-{one.remainder_percent}",
                        )
                        if part is not None
                    ),
                    rollover_policy=policies.RolloverPolicy(
                        max_rollovers=one.max_rollovers,
                        max_quantity=optional_number(one.cap),
                        max_percent=optional_number(one.cap_percent),
                        remainder_percent=optional_number(one.remainder_percent),
                    ),
                )
            )
            rollover = made.name
        return refresh, rollover

    async def price(self, product: str, one: Metered) -> None:
        """Put the rates of a resource of a product in the price book."""
        about: dict[str, Any] = {
            "product": f"products/{product}",
            "usage_resource": f"usageResources/{one.resource}",
            "currency_code": self.currency,
            "negotiability": "NEGOTIABLE" if one.negotiable else "NON_NEGOTIABLE",
            "max_discount_percent": optional_number(one.max_discount),
        }
        if one.rate is not None:
            rate = types.Rate(
                value=number(one.rate), per=number(one.per), currency_code=self.currency
            )
            await self._entry("base", f"{product}-{one.resource}-{self.currency}", about, rate=rate)
        if one.tiers:
            tiers = types.RateTiers(tiers=[tier(*bounds) for bounds in one.tiers])
            await self._entry(
                "tiers", f"{product}-{one.resource}-{self.currency}", about, tiers=tiers
            )

    async def _entry(self, card: str, entry: str, about: dict[str, Any], **terms: Any) -> None:
        await self.client.rates.CreateRateCardEntry(
            rates.CreateRateCardEntryRequest(
                parent=f"rateCards/{card}",
                rate_card_entry_id=entry,
                rate_card_entry=rates.RateCardEntry(**about, **terms),
            )
        )
