"""The spend of final periods under commitments to spend."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from server.domain.ids import AccountId, GrantId, WalletId
from server.domain.selling.grants import Grant
from server.store.connection import Transaction
from server.store.sql import load

SQL = load("settlement/spend.sql")

FOREVER = datetime.max.replace(tzinfo=UTC)


async def spent(
    tx: Transaction,
    account_id: AccountId,
    wallet_id: WalletId,
    promised: Sequence[Grant],
    *,
    before: datetime,
) -> dict[GrantId, Decimal]:
    """Return what was spent during each promised amount's time in rating periods before one."""
    rows = await tx.fetch(
        SQL["spent"],
        tx.tenant_id,
        account_id,
        wallet_id,
        [grant.id for grant in promised],
        [grant.start for grant in promised],
        [grant.expire or FOREVER for grant in promised],
        before,
    )
    return {GrantId(row["grant_id"]): row["amount"] for row in rows}
