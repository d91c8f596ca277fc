"""Currencies: how many decimals an amount of money has when it is invoiced (ISO 4217)."""

from decimal import Decimal
from functools import cache

from iso4217 import Currency

from server.domain.ids import UnitId
from server.domain.modeling.catalog import UnitOfMeasure
from server.domain.modeling.seeds import CURRENCIES


@cache
def minor_places(currency_code: str) -> int:
    """The decimals of a currency: 2 for USD, 0 for JPY, 3 for KWD."""
    return int(Currency(currency_code).exponent or 0)


@cache
def units_of_currency() -> tuple[UnitOfMeasure, ...]:
    """A unit for each currency, as finely counted as its money is."""
    return tuple(
        UnitOfMeasure(
            id=UnitId(currency.code),
            display_name=currency.currency_name,
            unit_class_id=CURRENCIES,
            factor=Decimal(1),
            scale=minor_places(currency.code),
        )
        for currency in sorted(Currency, key=lambda one: str(one.code))
    )


@cache
def is_currency(code: str) -> bool:
    """Whether a code is of ISO 4217, in capitals."""
    return any(currency.code == code for currency in Currency)
