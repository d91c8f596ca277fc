"""Money: the range of amounts. Only `server.domain.billing.liable_lines` rounds it."""

from decimal import Decimal

# On the wire, money has whole units in 64 bits (google.type.Money).
MOST_AMOUNT = Decimal(2) ** 63
