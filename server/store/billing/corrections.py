"""The reads and writes of corrections: what was booked, and what replaces or adds to it."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from asyncpg import Record

from server.domain.billing.causes import Cause
from server.domain.billing.corrections import Booked
from server.domain.calendar import Period
from server.domain.consumption.cells import Cell
from server.domain.ids import (
    AccountId,
    AssetId,
    CellId,
    CorrectionId,
    ProcedureId,
    ProcedureVersionId,
    RatableSummaryId,
    UnitId,
    WalletId,
)
from server.domain.rating.compiled_rating import VersionKey
from server.domain.settlement.ratable_lines import UsageKey
from server.domain.settlement.rewinding import Span
from server.store.connection import Transaction
from server.store.settlement.wallet_rows import decode_cell
from server.store.settlement.wallets import StoredWallet
from server.store.sql import load

SQL = load("billing/corrections.sql")


class BillState(StrEnum):
    """The state of a billing period of a wallet."""

    OPEN = "OPEN"
    READY = "READY"
    INVOICED = "INVOICED"


async def booked(
    tx: Transaction, account_id: AccountId, wallet_id: WalletId, span: Span
) -> dict[UsageKey, Booked]:
    """Return what was booked for a wallet's usage of some periods."""
    rows = await tx.fetch(SQL["booked"], tx.tenant_id, account_id, wallet_id, *span)
    return {_usage_key(row): _booked(row) for row in rows}


async def add(
    tx: Transaction,
    account_id: AccountId,
    correction_id: CorrectionId,
    causes: Iterable[Cause],
    since: datetime,
) -> None:
    """Insert a correction."""
    args = (account_id, correction_id, sorted(causes), since)
    await tx.execute(SQL["add_correction"], tx.tenant_id, *args)


@dataclass(frozen=True, slots=True, kw_only=True)
class PostedTo:
    """A wallet that a correction changed: the revision of its entries, and their positions.

    The entries are those after `after_seq`, through `last_seq`. An issue among them does not have
    the revision, because it is posted once.
    """

    wallet_id: WalletId
    revision: int
    after_seq: int
    last_seq: int


async def add_wallets(
    tx: Transaction,
    account_id: AccountId,
    correction_id: CorrectionId,
    posted: Sequence[PostedTo],
) -> None:
    """Insert the wallets that a correction changed."""
    await tx.execute(
        SQL["add_wallets"],
        tx.tenant_id,
        account_id,
        correction_id,
        [one.wallet_id for one in posted],
        [one.revision for one in posted],
        [one.after_seq for one in posted],
        [one.last_seq for one in posted],
    )


async def count_correction(
    tx: Transaction, account_id: AccountId, wallet_ids: Iterable[WalletId]
) -> None:
    """Count a correction of wallets, which are locked."""
    await tx.execute(SQL["count_correction"], tx.tenant_id, account_id, sorted(wallet_ids))


async def first_open(tx: Transaction, account_id: AccountId, wallet_id: WalletId) -> Period | None:
    """Return the first open rating period of a wallet, if there is one."""
    row = await tx.fetchrow(SQL["first_open"], tx.tenant_id, account_id, wallet_id)
    return None if row is None else Period(row["start_time"], row["end_time"])


async def lock_bill(tx: Transaction, wallet: StoredWallet, billing: Period) -> BillState:
    """Lock the lines of a billing period of a wallet; return its state."""
    args = (tx.tenant_id, wallet.account_id, wallet.id, billing.end)
    states = {row["state"] for row in await tx.fetch(SQL["lock_billed"], *args)}
    if "INVOICED" in states:
        return BillState.INVOICED
    is_billed = states or await tx.fetchval(SQL["has_billed"], *args)
    return BillState.READY if is_billed else BillState.OPEN


async def token_cells(
    tx: Transaction, wallet: StoredWallet, token_wallet_id: WalletId, span: Span
) -> list[Cell]:
    """Return the stored token cells that a wallet's usage of some periods cost."""
    args = (tx.tenant_id, wallet.account_id, wallet.id, token_wallet_id)
    rows = await tx.fetch(SQL["token_cells"], *args, *span)
    return [decode_cell(token_wallet_id, row["cell"]) for row in rows]


async def empty_cells(tx: Transaction, account_id: AccountId, cells: Sequence[Cell]) -> None:
    """Empty derived cells that are due no more."""
    if cells:
        ids: list[CellId] = [cell.id for cell in cells]
        await tx.execute(SQL["empty_cells"], tx.tenant_id, account_id, ids)


async def empty_standing(tx: Transaction, account_id: AccountId, cells: Sequence[Cell]) -> None:
    """Empty cells with which periods begin; they stay, and hold nothing."""
    if cells:
        ids: list[CellId] = [cell.id for cell in cells]
        await tx.execute(SQL["empty_standing"], tx.tenant_id, account_id, ids)


async def supersede_ratable(
    tx: Transaction, account_id: AccountId, line_ids: Collection[RatableSummaryId]
) -> None:
    """Move ratable lines to the superseded ones."""
    await tx.execute(SQL["supersede_ratable"], tx.tenant_id, account_id, sorted(line_ids))


async def supersede_bill(tx: Transaction, wallet: StoredWallet, billing: Period) -> None:
    """Move the invoice-ready lines of a billing period, which are locked, to superseded ones."""
    args = (tx.tenant_id, wallet.account_id, wallet.id, billing.end)
    await tx.execute(SQL["unlink_liable"], *args)
    await tx.execute(SQL["supersede_liable"], *args)


def _usage_key(row: Record) -> UsageKey:
    return UsageKey(
        AssetId(row["asset_id"]),
        row["origin_start_time"],
        row["segment_start_time"],
        row["dimensions"],
    )


def _booked(row: Record) -> Booked:
    version: VersionKey | None = None
    if row["procedure_id"] is not None:
        version = (
            ProcedureId(row["procedure_id"]),
            ProcedureVersionId(row["procedure_version_id"]),
        )
    return Booked(
        id=RatableSummaryId(row["ratable_summary_id"]),
        asset_number=row["number"],
        used=row["used"],
        drawn=row["drawn"],
        overage=row["overage"],
        amount=row["amount"],
        unit=UnitId(row["currency_code"]),
        version=version,
        failure=row["error_reason"],
        billed_from=row["billed_from"],
    )
