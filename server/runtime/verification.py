"""`verify`: recomputes every account of every tenant, with progress and a summary."""

import sys
import time

from server.domain.billing.verification import Verified
from server.domain.ids import AccountId, TenantId
from server.store.access import tenants
from server.store.selling import accounts
from server.store.shares import SharedPool
from server.store.transaction import read, read_control
from server.usecases.billing.verification import verify_account

PAGE = 500
PROGRESS_SECONDS = 2.0
MOST_SHOWN = 50
SECONDS = 600.0


async def verify_all(pool: SharedPool) -> int:
    """Print the differences and a summary; return the number of differences."""
    total, report_time = Verified(), time.monotonic()
    keys = await read_control(pool, tenants.keys)
    for name, tenant_id in sorted(keys.items()):
        after: tuple[str] | None = None
        while page := await _page(pool, tenant_id, after):
            for account_id in page:
                verified = await _one(pool, tenant_id, account_id)
                for finding in verified.findings[:MOST_SHOWN]:
                    print(f"tenants/{name} {finding}", flush=True)
                total += verified
                if time.monotonic() - report_time > PROGRESS_SECONDS:
                    report_time = time.monotonic()
                    print(f"verify: {total.accounts} accounts …", file=sys.stderr, flush=True)
            after = (page[-1],)
    differences = len(total.findings)
    verdict = "all agree" if not differences else f"{differences} differ"
    print(
        f"verify: {total.accounts} accounts, {total.wallets} wallets, {total.entries} entries,"
        f" {total.records} records: {verdict}"
    )
    return differences


async def _page(pool: SharedPool, tenant_id: TenantId, after: tuple[str] | None) -> list[AccountId]:
    rows = await read(
        pool, tenant_id, lambda tx: accounts.list_accounts(tx, after=after, limit=PAGE)
    )
    return [row.content.id for row in rows]


async def _one(pool: SharedPool, tenant_id: TenantId, account_id: AccountId) -> Verified:
    return await read(
        pool,
        tenant_id,
        lambda tx: verify_account(tx, account_id),
        seconds=SECONDS,
        # One snapshot, so that concurrent usage is not reported as a difference.
        snapshot=True,
    )
