"""Money: an amount with its currency. There is no conversion and no division."""

from dataclasses import dataclass
from decimal import Decimal

from server.domain.exact import Rounding, exact, round_to

# On the wire, money has whole units in 64 bits (google.type.Money).
MOST_AMOUNT = Decimal(2) ** 63


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in the currency with this ISO 4217 code."""

    currency_code: str
    amount: Decimal

    @exact
    def __add__(self, other: "Money") -> "Money":
        return Money(self.currency_code, self.amount + self._same(other))

    @exact
    def __sub__(self, other: "Money") -> "Money":
        return Money(self.currency_code, self.amount - self._same(other))

    def rounded(self, places: int, mode: Rounding = Rounding.HALF_UP) -> "Money":
        """Return the invoiced amount; rounding happens once, when a liable line is made."""
        return Money(self.currency_code, round_to(self.amount, places, mode))

    def _same(self, other: "Money") -> Decimal:
        assert other.currency_code == self.currency_code, (self, other)
        return other.amount
