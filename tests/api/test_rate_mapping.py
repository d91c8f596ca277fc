"""Rates on the wire: what is refused before anything is looked up, and what comes back."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from usage_management.v1 import rate_service_pb2 as pb

from clients.values import enum_name
from server.api.mapping.rating.rates import (
    book_to_pb,
    card_to_pb,
    create_book_from_pb,
    create_card_from_pb,
    create_entry_from_pb,
    entry_to_pb,
)
from server.api.mapping.rating.terms import step_to_pb, terms_to_pb
from server.domain.audit import Audit
from server.domain.errors import InvalidArgument
from server.domain.modeling.catalog import CatalogState, StoredRecord
from server.domain.rating.rate_cards import PriceBook
from server.domain.rating.rates import Rate, TierBounds, TierMode
from tests.domain.procedure_words import cost
from tests.strategies import terms

ENTRY = {
    "product": "products/plan",
    "usageResource": "usageResources/sms",
    "currencyCode": "USD",
    "negotiability": "NON_NEGOTIABLE",
    "startDate": {"year": 2024, "month": 1, "day": 1},
    "endDate": {"year": 2025, "month": 1, "day": 1},
}


def stored(content: object) -> StoredRecord[object]:
    audit = Audit.at(datetime(2024, 1, 1, tzinfo=UTC))
    return StoredRecord(content, CatalogState.DRAFT, 3, audit)


RATE = {
    "value": {"value": "2.5"},
    "per": {"value": "1000000"},
    "currencyCode": "USD",
    "packagePricing": False,
}


def tiers(*texts: str) -> dict[str, object]:
    """Tiers such as `0 10 PERCENTAGE 5`; a bound that is left out is a dash."""

    def tier(text: str) -> dict[str, object]:
        lower, upper, kind, value = text.split()
        made: dict[str, object] = {"adjustment": {"kind": kind, "value": {"value": value}}}
        bounds = {"lower": lower, "upper": upper}
        return made | {key: {"value": bound} for key, bound in bounds.items() if bound != "-"}

    told = [tier(text) for text in texts]
    return {"bounds": "UPPER_INCLUSIVE", "mode": "GRADUATED", "tiers": told}


def make_entry(**more: object) -> pb.CreateRateCardEntryRequest:
    content = {
        "parent": "rateCards/base",
        "rateCardEntryId": "e",
        "rateCardEntry": ENTRY | more,
    }
    return ParseDict(content, pb.CreateRateCardEntryRequest())


@pytest.mark.parametrize(
    "content",
    [
        {"rate": RATE},
        {
            "tiers": tiers("0 10 PERCENTAGE 5", "10 20 OVERRIDE 0.25", "20 - AMOUNT -1"),
            "tierPer": {"value": "100"},
        },
    ],
)
def test_an_entry_comes_back_as_it_was_sent(content):
    read = create_entry_from_pb(make_entry(**content))

    told = MessageToDict(entry_to_pb(stored(read)))

    assert told == ENTRY | content | {
        "name": "rateCards/base/entries/e",
        "state": "CATALOG_STATE_DRAFT",
        "createTime": "2024-01-01T00:00:00Z",
        "updateTime": "2024-01-01T00:00:00Z",
        "etag": '"3"',
    }


def test_what_is_left_out_has_its_meaning():
    sent = tiers("- - OVERRIDE 1")
    del sent["bounds"]
    read = create_entry_from_pb(make_entry(tiers=sent, negotiability="NEGOTIABILITY_UNSPECIFIED"))

    assert (read.bounds, read.per, read.is_negotiable) == (TierBounds.LOWER_INCLUSIVE, 1, True)
    assert read.mode is TierMode.GRADUATED
    assert (read.tiers[0].lower, read.tiers[0].upper) == (0, None)


def test_a_rate_of_an_entry_is_for_one_unit_and_no_package_unless_it_says_so():
    short = {"value": {"value": "2.5"}, "currencyCode": "USD"}

    read = create_entry_from_pb(make_entry(rate=short))

    assert read.rate == Rate(value=Decimal("2.5"), unit="USD")
    assert MessageToDict(entry_to_pb(stored(read)).rate) == short | {
        "per": {"value": "1"},
        "packagePricing": False,
    }


@pytest.mark.parametrize(
    ("content", "reason", "field"),
    [
        ({"rate": RATE | {"value": {"value": "-1"}}}, "RATE_NEGATIVE", "rate.value"),
        ({"rate": RATE | {"value": {"value": "1e3"}}}, "DECIMAL_FORMAT", "rate.value"),
        ({"rate": RATE | {"per": {"value": "0"}}}, "FACTOR_RANGE", "rate.per"),
        ({"rate": {"value": {"value": "1"}}}, "FIELD_REQUIRED", "rate.currency_code"),
        ({"rate": RATE | {"currencyCode": "XTS"}}, "CURRENCY_UNKNOWN", "rate.currency_code"),
        ({"currencyCode": "XAU"}, "CURRENCY_UNKNOWN", "currency_code"),
        ({"tierPer": {"value": "-1"}}, "FACTOR_RANGE", "tier_per"),
        ({"product": "usageResources/plan"}, "NAME_FORMAT", "product"),
        (
            {"tiers": tiers("0 - PERCENTAGE 100.000001")},
            "PERCENT_RANGE",
            "tiers.tiers[0].adjustment.value",
        ),
        (
            {"tiers": tiers("0 1 OVERRIDE 1", "1 2 OVERRIDE -1")},
            "RATE_NEGATIVE",
            "tiers.tiers[1].adjustment.value",
        ),
        ({"endDate": ENTRY["startDate"]}, "INTERVAL_INVALID", "end_date"),
        ({"startDate": {"year": 2024, "month": 2, "day": 30}}, "DATE_INVALID", "start_date"),
    ],
)
def test_an_entry_that_cannot_be_read_is_refused_by_its_field(content, reason, field):
    with pytest.raises(InvalidArgument) as caught:
        create_entry_from_pb(make_entry(**content))

    assert caught.value.reason == reason
    assert caught.value.facts["field"] == f"rate_card_entry.{field}"


@pytest.mark.parametrize(
    ("read", "request_"),
    [
        (create_card_from_pb, pb.CreateRateCardRequest(rate_card_id="a b")),
        (create_book_from_pb, pb.CreatePriceBookRequest(price_book_id="-")),
    ],
)
def test_ids_are_codes(read: Callable[[object], object], request_):
    with pytest.raises(InvalidArgument) as caught:
        read(request_)

    assert caught.value.reason == "CODE_FORMAT"


def test_cards_and_books_come_back_as_they_were_sent():
    card = pb.RateCard(display_name="Base", type="BASE")
    card.start_date.year, card.start_date.month, card.start_date.day = 2024, 1, 1
    read = create_card_from_pb(pb.CreateRateCardRequest(rate_card_id="base", rate_card=card))
    told = card_to_pb(stored(read))
    book = pb.PriceBook(rate_cards=["rateCards/t", "rateCards/base"])
    asked = create_book_from_pb(pb.CreatePriceBookRequest(price_book_id="book", price_book=book))
    made = stored(PriceBook(id=asked.id, card_ids=("base", "t")))

    assert (told.name, told.type, told.start_date) == (
        "rateCards/base",
        pb.RateCard.BASE,
        card.start_date,
    )
    assert not told.HasField("end_date")
    assert asked.card_ids == ("t", "base")
    assert list(book_to_pb(made).rate_cards) == ["rateCards/base", "rateCards/t"]


def test_terms_tell_what_was_negotiated_instead_of_the_catalogs():
    catalog = terms("2", base_entry="base/sms", tier_entry="tiers/sms")
    agreed = replace(catalog, negotiated_rate=Rate(value=Decimal("1.50"), unit="USD"))

    before, after = terms_to_pb(catalog, is_fixed=True), terms_to_pb(agreed)

    assert (before.rate.value.value, before.rate_negotiated, before.non_negotiable) == (
        "2",
        False,
        True,
    )
    assert (after.rate.value.value, after.rate_negotiated, after.non_negotiable) == (
        "1.5",
        True,
        False,
    )
    assert after.base_entry == "rateCards/base/entries/sms"
    assert after.tier_entry == "rateCards/tiers/entries/sms"
    assert not after.HasField("tiers")


def test_a_step_tells_what_went_in_and_what_came_out():
    [first, *_] = cost(Decimal(2), terms("3")).steps

    told = step_to_pb(first)

    assert (told.sequence, enum_name(told, "element")) == (1, "BASE_RATE")
    assert dict(told.outputs) == {"rate": "3", "per": "1", "unit": "USD"}
