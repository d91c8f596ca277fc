"""The model's wallets: the life of a wallet, day by day.

On each day grants end and roll over, then grants are issued, then usage is drawn.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction

from tests.oracle.figures import ZERO, Usage, down, up
from tests.oracle.plans import (
    DAY,
    FIRST,
    Entitlement,
    Plan,
    Wallet,
    month_of,
    month_start,
    months_after,
)
from tests.oracle.tariffs import terms_on

GrantKey = tuple[str, str, date, int]
"""A wallet, an entitlement, the day a grant begins, and its rollovers (at most 1: uncounted)."""

Owed = dict[tuple[str, int, int], Fraction]
"""Amounts by wallet, asset, and month or billing period."""


@dataclass
class Account:
    """The balances of grants that are not empty, the movements of grants, and the amounts owed.

    `paid` is the usage that each grant paid for, which may be more than it gave.
    """

    balances: dict[GrantKey, Fraction] = field(default_factory=dict)
    moved: dict[tuple[GrantKey, str], Fraction] = field(
        default_factory=lambda: defaultdict(Fraction)
    )
    paid: dict[GrantKey, Fraction] = field(default_factory=lambda: defaultdict(Fraction))
    exact: Owed = field(default_factory=lambda: defaultdict(Fraction))
    rounded: Owed = field(default_factory=dict)


@dataclass
class _Grant:
    entitlement: Entitlement
    key: GrantKey
    expire: date | None
    balance: Fraction = ZERO

    @property
    def turn(self) -> dict[str, tuple]:
        _, _, start, rollovers = self.key
        expire = self.expire or date.max
        return {
            "EXPIRING_FIRST": (expire, start, -rollovers),
            "GRANTED_FIRST": (start, expire, -rollovers),
            "GRANTED_LAST": (FIRST - start, expire, rollovers),
        }


class Life:
    """A wallet from its first day on."""

    def __init__(self, plan: Plan, wallet: Wallet, found: Account) -> None:
        self.plan, self.wallet, self.found = plan, wallet, found
        self.grants: dict[GrantKey, _Grant] = {}
        self.rolled: dict[tuple[str, date], Fraction] = defaultdict(Fraction)

    def lived(self, used: list[Usage]) -> Iterator[tuple[Usage, Fraction]]:
        """Yield the overage of each usage."""
        whole: dict[int, Fraction] = defaultdict(Fraction)
        for one in used:
            whole[one.month] += one.quantity
        day, last = FIRST, month_start(self.plan.months)
        while day <= last:
            for grant in sorted(self.grants.values(), key=lambda grant: grant.key[3]):
                if grant.expire == day and grant.balance:
                    self._end(grant, day)
            for entitlement in self.wallet.entitlements:
                self._issue(entitlement, day)
            for one in sorted((one for one in used if one.day == day), key=self._turn):
                yield one, self._overage(one, whole[one.month])
            day += DAY
        left = {key: grant.balance for key, grant in self.grants.items() if grant.balance}
        self.found.balances.update(left)

    def _turn(self, used: Usage) -> tuple:
        terms = terms_on(self.wallet, used)
        rate = terms.tiers[0].rate / (terms.tiers[0].package or terms.per)
        return (self.plan.assets[used.asset].end or date.max, -rate, used.asset, used.dimensions)

    def _issue(self, held: Entitlement, day: date) -> None:
        index = month_of(day) - month_of(held.start)
        is_due = (
            index >= 0 and months_after(held.start, index) == day
            if held.is_monthly
            else day == held.start
        )
        if not is_due or (held.end and day >= held.end):
            return
        whole = months_after(held.start, index + 1) if held.is_monthly else held.end
        expire = min(whole or date.max, held.end or date.max)
        quantity = held.quantity
        if held.is_monthly:
            quantity = held.quantity * (expire - day).days // (whole - day).days
        if quantity:
            self._move(
                (self.wallet.name, held.name, day, 0), held, expire, "issued", Fraction(quantity)
            )

    def _end(self, grant: _Grant, day: date) -> None:
        """Roll what is left over, as far as it may, and let the rest expire."""
        held, policy = grant.entitlement, grant.entitlement.rollover
        rollovers = grant.key[3]
        goes_on = policy and held.is_monthly and (held.end is None or day < held.end)
        if goes_on and (policy.count is None or rollovers < policy.count):
            caps = [grant.balance + self.rolled[held.name, day]]
            caps += [] if policy.quantity is None else [Fraction(policy.quantity)]
            caps += (
                [] if policy.percent is None else [Fraction(held.quantity * policy.percent // 100)]
            )
            rolling = max(ZERO, min(caps) - self.rolled[held.name, day])
            self.rolled[held.name, day] += rolling
            key = (self.wallet.name, held.name, day, 1 if policy.count is None else rollovers + 1)
            index = month_of(day) - month_of(held.start) + 1
            expire = min(months_after(held.start, index), held.end or date.max)
            self._move(grant.key, held, grant.expire, "rolled out", -rolling)
            self._move(key, held, expire, "rolled in", rolling)
        self._move(grant.key, held, grant.expire, "expired", -grant.balance)

    def _overage(self, used: Usage, whole: Fraction) -> Fraction:
        """Draw a usage on the open grants, and return what none of them pays for."""
        left = used.quantity
        open_now = [
            grant
            for grant in self.grants.values()
            if grant.expire is None or used.day < grant.expire
        ]
        # Commitments first.
        open_now.sort(key=lambda one: (not one.entitlement.discount, one.turn[self.wallet.order]))
        for grant in open_now:
            discounts = [percent for lower, percent in grant.entitlement.discount if lower <= whole]
            ratio = 1 - Fraction([0, *discounts][-1], 100)
            taken, paid = up(left * ratio), left
            if taken > grant.balance:
                taken, paid = grant.balance, min(left, down(grant.balance / ratio))
            self._move(grant.key, grant.entitlement, grant.expire, "drawn", -taken)
            self.found.paid[grant.key] += paid
            left -= paid
        return left

    def _move(self, key, held, expire, kind: str, amount: Fraction) -> None:
        if amount:
            grant = self.grants.setdefault(key, _Grant(held, key, expire))
            grant.balance += amount
            self.found.moved[key, kind] += amount
