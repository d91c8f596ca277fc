"""Verification: all that is derived, derived again and compared; each difference is named."""

from collections.abc import AsyncIterator

from server.domain.exact import plain, round_to
from server.domain.ids import AccountId, GrantId, TenantId, WalletId
from server.domain.ledger import Entry, GrantHead, Head, check_chain
from server.domain.verification import Finding, Verified
from server.store import verification as store
from server.store import wallets
from server.store.pool import Connection
from server.usecases.currencies import minor_places

PAGE = 1_000


async def verify_account(tx: Connection, tenant_id: TenantId, account_id: AccountId) -> Verified:
    """Recompute everything of one account; `tx` should see one moment."""
    findings = await store.differences(tx, tenant_id, account_id)
    heads = await store.heads(tx, tenant_id, account_id)
    entries = 0
    for wallet_id, head in heads.items():
        count, fault = await _chain(tx, tenant_id, account_id, wallet_id, head)
        entries += count
        findings += [fault] if fault else []
    findings += await _rounding(tx, tenant_id, account_id)
    return Verified(
        accounts=1,
        wallets=len(heads),
        entries=entries,
        records=await store.count_records(tx, tenant_id, account_id),
        findings=tuple(findings),
    )


async def _chain(
    tx: Connection, tenant_id: TenantId, account_id: AccountId, wallet_id: WalletId, head: Head
) -> tuple[int, Finding | None]:
    """Check a wallet's ledger from its first entry, and that its head is the last."""
    name = f"accounts/{account_id}/wallets/{wallet_id}"
    last = Head(wallet_id=wallet_id)
    grants: dict[GrantId, GrantHead] = {}
    async for entry in _entries(tx, tenant_id, account_id, wallet_id):
        fault = check_chain([entry], head=last, grant_heads=grants)
        if fault:
            what = f"{fault.field} of entry {fault.seq}"
            return last.seq, Finding(
                what=what, name=name, expected=fault.expected, found=fault.found
            )
        last = Head(wallet_id=wallet_id, seq=entry.seq, balance=entry.wallet_after, hash=entry.hash)
        grants[entry.grant_id] = GrantHead(
            grant_id=entry.grant_id, seq=entry.grant_seq, balance=entry.grant_after
        )
    if last != head:
        due, is_ = (f"{one.seq}: {plain(one.balance)}" for one in (last, head))
        return last.seq, Finding(what="head", name=name, expected=due, found=is_)
    return last.seq, None


async def _entries(
    tx: Connection, tenant_id: TenantId, account_id: AccountId, wallet_id: WalletId
) -> AsyncIterator[Entry]:
    """A wallet's entries page by page, each with the hash of the one before it."""
    after, before = 0, Head(wallet_id=wallet_id).hash
    while True:
        page = await wallets.list_entries(
            tx, tenant_id, account_id, wallet_id, after=after, limit=PAGE
        )
        for entry, _ in page:
            yield wallets.following(entry, before)
            after, before = entry.seq, entry.hash
        if len(page) < PAGE:
            return


async def _rounding(tx: Connection, tenant_id: TenantId, account_id: AccountId) -> list[Finding]:
    """Each invoice-ready line is its exact amount, rounded once."""
    found = []
    for name, exact, amount, currency in await store.amounts(tx, tenant_id, account_id):
        due = round_to(exact, minor_places(currency))
        if due != amount:
            text = plain(due)
            found.append(Finding(what="amount", name=name, expected=text, found=plain(amount)))
    return found
