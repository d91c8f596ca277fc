"""Committed spend: what is spent now under the commitments to spend of a wallet of money.

Each issue of the commitment's grant is an amount that is promised for a span of time. Usage is
charged as ever. If less is spent than promised, the shortfall is owed too when the issue expires;
if more is spent than the cap, the rest is a credit. Source: monetary commitments.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from server.domain.exact import PLACES, ZERO, Rounding, divide, exact
from server.domain.ids import AssetId, GrantId
from server.domain.selling.grants import Entitlement, Grant
from server.domain.settlement.wallet_states import WalletState
from server.domain.wallets.balances import project


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittedSpend:
    """An amount that is promised for a span of time, and what is spent of it so far.

    Without a `cap`, what may be spent is unlimited.
    """

    asset_id: AssetId
    start: datetime
    end: datetime | None
    promised: Decimal
    spent: Decimal
    cap: Decimal | None

    @property
    @exact
    def shortfall(self) -> Decimal:
        """The amount by which less is spent than promised."""
        return max(self.promised - self.spent, ZERO)

    @property
    @exact
    def credit(self) -> Decimal:
        """The amount that is spent beyond the cap."""
        return ZERO if self.cap is None else max(self.spent - self.cap, ZERO)

    @property
    @exact
    def owed(self) -> Decimal:
        """The amount that is owed in all if nothing else is spent."""
        return self.spent + self.shortfall - self.credit


def promised(wallet: WalletState, *, now: datetime) -> tuple[Grant, ...]:
    """Return the amounts promised for a span of time that contains `now`."""
    settlement = project(wallet, now=now)
    return tuple(grant for grant in settlement.grants if grant.is_open(now))


@exact
def committed_spend(
    wallet: WalletState, final: Mapping[GrantId, Decimal], *, now: datetime
) -> tuple[CommittedSpend, ...]:
    """Return the spend under each promised amount.

    `final` is what was spent in the periods of an amount's time that `wallet` has no usage of.
    """
    entitlements = {entitlement.id: entitlement for entitlement in wallet.entitlements}
    results = project(wallet, now=now).results
    found = []
    for grant in promised(wallet, now=now):
        entitlement = entitlements[grant.entitlement_id]
        own = (one.increment for one in results if grant.is_open(one.increment.at))
        spent = sum((increment.quantity for increment in own), final.get(grant.id, ZERO))
        found.append(
            CommittedSpend(
                asset_id=entitlement.asset_id,
                start=grant.start,
                end=grant.expire,
                promised=grant.quantity,
                spent=spent,
                cap=_cap(entitlement, grant),
            )
        )
    return tuple(found)


def _cap(entitlement: Entitlement, grant: Grant) -> Decimal | None:
    """Return the cap of an issue, prorated as the issue is."""
    if entitlement.spend_cap is None:
        return None
    whole = entitlement.spend_cap * grant.quantity
    return divide(whole, entitlement.quantity, places=PLACES, mode=Rounding.HALF_EVEN)
