"""Accounts; two ids may not differ in case alone."""

from dataclasses import dataclass

from asyncpg import Record

from server.domain.audit import Audit
from server.domain.calendar import Cadence, CadenceUnit
from server.domain.errors import NotFound
from server.domain.ids import AccountId
from server.domain.selling.billing_cycles import BillingCycle
from server.store.audit import audit_of
from server.store.connection import Transaction
from server.store.documents import TEXTS
from server.store.keys import ANY_TIME, TimeWindow
from server.store.sql import load

SQL = load("selling/accounts.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The content of an account."""

    id: AccountId
    display_name: str
    time_zone: str
    currency_code: str
    billing: BillingCycle
    labels: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAccount:
    """A stored account with its revision and audit columns."""

    content: Account
    revision: int
    audit: Audit


async def add(tx: Transaction, account: Account) -> bool:
    """Insert an account; return False if its id is taken, in any case."""
    # The table of ids in lower case decides; it also serializes concurrent inserts.
    if await tx.fetchval(SQL["add_code"], tx.tenant_id, account.id) is None:
        return False
    await tx.execute(
        SQL["add_account"],
        tx.tenant_id,
        account.id,
        account.display_name,
        account.time_zone,
        account.currency_code,
        account.billing.interval.unit,
        account.billing.interval.count,
        account.billing.day,
        account.billing.counted_from,
        TEXTS.encode(account.labels),
    )
    return True


async def taken_by(tx: Transaction, account_id: AccountId) -> AccountId:
    """Return the id, in its own case, of the account that took an id."""
    owner_id: str = await tx.fetchval(SQL["find_code"], tx.tenant_id, account_id)
    return AccountId(owner_id)


async def get(tx: Transaction, account_id: AccountId) -> KeptAccount:
    """Return one account. Raises ACCOUNT_NOT_FOUND."""
    row = await tx.fetchrow(SQL["find_account"], tx.tenant_id, account_id)
    return _kept(account_id, row)


async def lock(tx: Transaction, account_id: AccountId) -> KeptAccount:
    """Lock an account until the transaction ends, and return it. Raises ACCOUNT_NOT_FOUND."""
    row = await tx.fetchrow(SQL["lock_account"], tx.tenant_id, account_id)
    return _kept(account_id, row)


async def list_accounts(
    tx: Transaction,
    *,
    after: tuple[str] | None,
    limit: int,
    created: TimeWindow = ANY_TIME,
) -> list[KeptAccount]:
    """Return accounts that were created in a window, by id, after the last one seen."""
    args = (tx.tenant_id, after[0] if after else "", limit, created.start, created.end)
    rows = await tx.fetch(SQL["list_accounts"], *args)
    return [_kept(AccountId(row["account_id"]), row) for row in rows]


async def save(tx: Transaction, account: Account) -> None:
    """Update the fields of an account that may change."""
    args = (tx.tenant_id, account.id, account.display_name, TEXTS.encode(account.labels))
    await tx.execute(SQL["save_account"], *args)


def billing_cycle(row: Record) -> BillingCycle:
    """Return the billing cycle of an account's row."""
    return BillingCycle(
        Cadence(CadenceUnit(row["billing_unit"]), row["billing_count"]),
        day=row["billing_anchor_day"],
        counted_from=row["billing_anchor_date"],
    )


def _kept(account_id: AccountId, row: Record | None) -> KeptAccount:
    if row is None:
        raise NotFound.of("Account", f"accounts/{account_id}")
    return KeptAccount(
        content=Account(
            id=AccountId(row["account_id"]),
            display_name=row["display_name"],
            time_zone=row["time_zone"],
            currency_code=row["currency_code"],
            billing=billing_cycle(row),
            labels=TEXTS.decode(row["labels"]),
        ),
        revision=row["revision"],
        audit=audit_of(row),
    )
