"""Currencies: the number of decimals of an invoiced amount (ISO 4217)."""

from decimal import Decimal
from functools import cache

from iso4217 import Currency

from server.domain.ids import UnitId
from server.domain.modeling.catalog import UnitOfMeasure
from server.domain.modeling.seeds import CURRENCIES


@cache
def minor_places(currency_code: str) -> int:
    """Return the decimals of a currency: 2 for USD, 0 for JPY, 3 for KWD."""
    return int(Currency(currency_code).exponent or 0)


@cache
def units_of_currency() -> tuple[UnitOfMeasure, ...]:
    """Return a unit for each currency, with the scale of its money."""
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
    """Return whether a code is in ISO 4217, in capitals."""
    return any(currency.code == code for currency in Currency)
