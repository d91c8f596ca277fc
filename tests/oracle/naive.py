"""The model: what an account owes and has left, with everything that is known now.

It lives through each wallet from the first day on, and then rates each asset and month. It knows
nothing of arrival, of lateness or of corrections.
"""

from collections import defaultdict
from collections.abc import Iterable
from fractions import Fraction
from math import floor

from tests.oracle.figures import Usage, to_12_places, usage
from tests.oracle.lives import Account, Life, Owed
from tests.oracle.plans import Plan, Record
from tests.oracle.tariffs import rated, terms_on


def account(plan: Plan, records: Iterable[Record]) -> Account:
    """Return what the records come to, through the first day after the months of the plan."""
    found = Account()
    tokens: list[Usage] = []
    # The tokens of a line add up to its amount with 12 places.
    lines: dict[tuple, Fraction] = defaultdict(Fraction)
    known = sorted(records, key=lambda record: (record.time, record.id))
    for wallet in plan.wallets:
        used = [*usage(plan, wallet, known), *(one for one in tokens if one.wallet == wallet.name)]
        for one, amount in rated(wallet, Life(plan, wallet, found).lived(used)):
            found.exact[wallet.name, one.asset, one.month] += amount
            line = (wallet.name, one.asset, one.month, terms_on(wallet, one), one.dimensions)
            before, lines[line] = lines[line], lines[line] + amount
            cost = to_12_places(lines[line]) - to_12_places(before)
            if wallet.token and cost:
                tokens.append(one._replace(wallet=wallet.token, dimensions="", quantity=cost))
    billed: Owed = defaultdict(Fraction)
    for (name, asset, month), amount in found.exact.items():
        if not plan.wallet(name).token:
            billed[name, asset, month // plan.billing] += amount
    found.rounded = {
        key: Fraction(floor(amount * 100 + Fraction(1, 2)), 100) for key, amount in billed.items()
    }
    return found
