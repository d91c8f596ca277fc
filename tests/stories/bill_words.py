"""Short words for what is owed: lines that are ready to be invoiced, and replays."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from usage_management.v1 import preview_service_pb2 as pb
from usage_management.v1 import rate_service_pb2 as rates
from usage_management.v1 import summary_service_pb2 as summaries

from tests.stories.rate_words import book, card
from tests.stories.words import figure, money
from tests.stories.world import World

READY = summaries.LiableSummary.READY_FOR_INVOICING


async def owed(world, account: str) -> dict[str, tuple[Decimal, Decimal]]:
    """Overage and amount of each invoice-ready line, by resource."""
    lines = await world.liable(account)
    assert all(line.state == READY for line in lines), lines
    return {
        line.usage_resource.partition("/")[2]: (figure(line.overage_quantity), money(line.amount))
        for line in lines
    }


async def mark(
    world: World, *names: str, invoice: str = "INV-1", **more: Any
) -> Sequence[summaries.LiableSummary]:
    """Mark lines as invoiced."""
    request = summaries.MarkInvoicedRequest(liable_summaries=names, invoice=invoice, **more)
    return (await world.client.summaries.MarkInvoiced(request)).liable_summaries


async def replay(world: World, account: str, **more: Any) -> pb.ReplayRatesResponse:
    more = {"price_book": "priceBooks/next"} | more
    return await world.client.previews.ReplayRates(pb.ReplayRatesRequest(parent=account, **more))


async def next_book(world: World) -> None:
    """Another price book, with cards of its own that have nothing on them."""
    await card(world, "next-base")
    await card(world, "next-tiers", "TIER")
    await book(world, "next", "next-base", "next-tiers")


async def draft(world: World, on: str, entry_id: str, entry: rates.RateCardEntry) -> None:
    """An entry that is not in force yet."""
    request = rates.CreateRateCardEntryRequest(
        parent=f"rateCards/{on}", rate_card_entry_id=entry_id, rate_card_entry=entry
    )
    await world.client.rates.CreateRateCardEntry(request)


def figures(answer: pb.ReplayRatesResponse) -> list[tuple[Decimal, ...]]:
    return [
        tuple(map(figure, (one.rated_amount, one.replayed_amount, one.difference)))
        for one in answer.summaries
    ]
