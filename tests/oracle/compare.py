"""The comparison of a ledger with the model."""

from collections import defaultdict
from fractions import Fraction

from tests.oracle.lives import Account
from tests.oracle.plans import Plan


def assert_same_so_far(found: Account, due: Account) -> None:
    """Assert that as much is left of every grant, and every month costs as much."""
    assert found.balances == due.balances
    assert _some(found.exact) == _some(due.exact)


def assert_same(found: Account, due: Account) -> None:
    """Assert that as much is left of every grant, and as much is owed in every period."""
    assert_same_so_far(found, due)
    assert _some(found.rounded) == _some(due.rounded)


def assert_moved_alike(plan: Plan, found: Account, due: Account) -> None:
    """Assert that every grant was issued, drawn, rolled over and expired alike."""
    assert _moves(plan, found) == _moves(plan, due)
    assert _some(found.paid) == _some(due.paid)


def _some(amounts: dict) -> dict:
    return {key: amount for key, amount in amounts.items() if amount}


def _moves(plan: Plan, account: Account) -> dict:
    """Return the movements; uncounted remainders share the cap of a window in any order."""
    uncounted = {
        (wallet.name, held.name)
        for wallet in plan.wallets
        for held in wallet.entitlements
        if held.rollover and held.rollover.count is None
    }
    moves: dict = defaultdict(Fraction)
    for ((wallet, name, start, rollovers), kind), amount in account.moved.items():
        shared = 0 if (wallet, name) in uncounted else rollovers
        moves[wallet, name, start, shared, kind] += amount
    return _some(moves)
