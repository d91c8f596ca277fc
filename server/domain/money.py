"""Money: the range of amounts. It is rounded in `server.domain.billing.liable_lines` only."""

from decimal import Decimal

# On the wire, money has whole units in 64 bits (google.type.Money).
MOST_AMOUNT = Decimal(2) ** 63
