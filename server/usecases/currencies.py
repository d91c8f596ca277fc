"""Currencies: how many decimals an amount of money has when it is invoiced (ISO 4217)."""

from functools import cache

from iso4217 import Currency


@cache
def minor_places(currency_code: str) -> int:
    """The decimals of a currency: 2 for USD, 0 for JPY, 3 for KWD."""
    return int(Currency(currency_code).exponent or 0)


@cache
def is_currency(code: str) -> bool:
    """Whether a code is of ISO 4217, in capitals."""
    return any(currency.code == code for currency in Currency)
