"""Questions for `DiscoverRates`: those that a catalog has answers to, or those in a file."""

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from usage_management.v1 import rate_service_pb2 as rates
from usage_management.v1 import types_pb2 as types

from clients.client import UsageClient
from clients.descriptions import Description, DescriptionError, Fault
from clients.pages import pages

MOST = 10_000
PAGE = 1_000


async def of_catalog(client: UsageClient) -> list[rates.RateQuestion]:
    """Return questions for today's rate of each resource of each product, at most 10,000."""
    cards = pages(client.rates.ListRateCards, rates.ListRateCardsRequest(page_size=PAGE))
    base = {card.name async for card in cards if card.type == rates.RateCard.BASE}
    entries: dict[str, list[rates.RateCardEntry]] = {}
    found: list[rates.RateQuestion] = []
    books = pages(client.rates.ListPriceBooks, rates.ListPriceBooksRequest(page_size=PAGE))
    async for book in books:
        for card in base.intersection(book.rate_cards):
            if card not in entries:
                entries[card] = [entry async for entry in _active(client, card)]
            found += {
                question.SerializeToString(deterministic=True): question
                for question in (_question(book.name, entry) for entry in entries[card])
            }.values()
            if len(found) >= MOST:
                return found[:MOST]
    return found


def of_file(file: Path) -> list[rates.RateQuestion]:
    """The questions in a file of JSON lines, with the fields of `RateQuestion`.

    Numbers and dates are written as themselves, as in descriptions. Raises DescriptionError.
    """
    found: list[rates.RateQuestion] = []
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                found.append(_read(line, number))
            if len(found) > MOST:
                raise DescriptionError([Fault(number, "", f"is more than {MOST:,} questions")])
    if not found:
        raise DescriptionError([Fault(0, "", "has no questions")])
    return found


def _read(line: str, number: int) -> rates.RateQuestion:
    try:
        content: Any = json.loads(line, parse_float=Decimal)
    except ValueError as error:
        raise DescriptionError([Fault(number, "", f"is no JSON: {error}")]) from None
    try:
        return Description(content, {}).into(rates.RateQuestion())
    except DescriptionError as error:
        faults = [Fault(number, fault.path, fault.text) for fault in error.faults]
        raise DescriptionError(faults) from None


async def _active(client: UsageClient, card: str) -> AsyncIterator[rates.RateCardEntry]:
    asked = rates.ListRateCardEntriesRequest(parent=card, page_size=PAGE)
    async for entry in pages(client.rates.ListRateCardEntries, asked):
        if entry.state == types.CATALOG_STATE_ACTIVE:
            yield entry


def _question(book: str, entry: rates.RateCardEntry) -> rates.RateQuestion:
    question = rates.RateQuestion(
        price_book=book, product=entry.product, usage_resource=entry.usage_resource
    )
    if entry.token_unit:
        question.token_unit = entry.token_unit
    else:
        question.currency_code = entry.currency_code
    return question
