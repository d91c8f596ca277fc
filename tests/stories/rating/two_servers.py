"""Two servers that share a database, for what one of them changes and the other answers."""

from dataclasses import dataclass

from usage_management.v1 import rate_service_pb2 as rates

from clients import UsageClient
from server.runtime.token_seal import TokenSeal
from tests.stories.words import day, figure
from tests.stories.world import World


@dataclass(frozen=True)
class Two:
    """A tenant, and its clients at two servers that share nothing but the database."""

    tenant: str
    here: World
    there: UsageClient
    seal: TokenSeal

    async def ask(self, **more: object) -> rates.DiscoverRatesResponse:
        """Return the price of a unit of data, asked of the other server."""
        seconds = more.pop("seconds", 10.0)
        asked = rates.RateQuestion(
            price_book="priceBooks/book",
            product="products/plan",
            usage_resource="usageResources/data",
            currency_code="USD",
            date=day("2024-01-15"),
            **more.pop("question", {}),
        )
        request = rates.DiscoverRatesRequest(questions=[asked], **more)
        return await self.there.rates.DiscoverRates(request, timeout=seconds)

    async def price(self, **more: object) -> object:
        """The same as a number; None where there is none."""
        [answer] = (await self.ask(**more)).answers
        return None if answer.HasField("status") else figure(answer.terms.rate.value)

    async def at_once(self) -> object:
        """The price that the last change here left behind."""
        token = self.here.client.revision_token
        return await self.price(freshness="AT_LEAST", revision_token=token)
