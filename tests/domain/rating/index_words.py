"""Entries, tiers and an index of them, and what is sold under them."""

from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

from server.domain.calendar import PolicyPeriod
from server.domain.modeling.policies import OveragePolicy
from server.domain.rating.procedures.elements import Lookup
from server.domain.rating.procedures.versions import Version
from server.domain.rating.rate_cards import PriceBook, RateCard, RateCardEntry, RateCardType
from server.domain.rating.rate_index import CatalogRates
from server.domain.rating.rates import Adjustment, AdjustmentKind, Rate, Tier
from server.domain.rating.sales import ALWAYS
from server.domain.rating.sold_rates import AssetRates, AssetStretch
from tests.strategies import terms

JANUARY, FEBRUARY, MARCH = date(2024, 1, 1), date(2024, 2, 1), date(2024, 3, 1)
ASSET = ("acme", UUID(int=7), "sms")


def tier(lower, upper, value, kind="OVERRIDE"):
    upper = None if upper is None else Decimal(upper)
    adjustment = Adjustment(kind=AdjustmentKind(kind), value=Decimal(value))
    return Tier(lower=Decimal(lower), upper=upper, adjustment=adjustment)


def entry(id_, value=None, *, card=None, currency="USD", per="1", **more):
    rate = None if value is None else Rate(value=Decimal(value), per=Decimal(per), unit=currency)
    return RateCardEntry(
        id=id_,
        card_id=card or ("tiers" if value is None else "base"),
        product_id=more.pop("product", "plan"),
        resource_id=more.pop("resource", "sms"),
        currency_code=currency,
        rate=rate,
        per=Decimal(per),
        **more,
    )


def index(*entries, base=None, tiers=None, sales=ALWAYS):
    cards = {
        RateCardType.BASE: base or RateCard(id="base", type=RateCardType.BASE),
        RateCardType.TIER: tiers or RateCard(id="tiers", type=RateCardType.TIER),
    }
    book = PriceBook(id="book", card_ids=tuple(card.id for card in cards.values()))
    return CatalogRates([book], cards.values(), entries, sales=sales)


def sold(value="3", *, start=JANUARY, end=None, overage=OveragePolicy.CHARGE, zone="UTC"):
    def midnight(day):
        return datetime(day.year, day.month, day.day, tzinfo=UTC)

    stretch = AssetStretch(start=midnight(start), end=end and midnight(end), terms=terms(value))
    rates = AssetRates(
        zone=zone,
        anchor=JANUARY,
        service_start=midnight(start),
        length=PolicyPeriod.MONTH,
        is_fixed=False,
        overage=overage,
        stretches=(stretch,),
    )
    return {ASSET: rates}


def version(*sources, id_="v1", rank=0, start=None, end=None):
    return Version(
        procedure_id="own",
        id=id_,
        display_name="",
        rank=rank,
        start_date=start,
        end_date=end,
        elements=tuple(Lookup(source=source) for source in sources),
    )
