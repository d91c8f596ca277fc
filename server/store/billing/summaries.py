"""The writes of summaries: cells, ratable lines and invoice-ready lines of a closed period."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from asyncpg import Record

from server.domain.billing.liable_lines import Billed, BilledKey, LiableLine
from server.domain.calendar import Period, rating_period
from server.domain.consumption.cells import Cell
from server.domain.ids import (
    AccountId,
    AssetId,
    CellId,
    CorrectionId,
    ExecutionId,
    LiableSummaryId,
    ProductId,
    RatableSummaryId,
    UnitId,
)
from server.domain.modeling.policies import OveragePolicy
from server.domain.rating.rates import RateTerms
from server.domain.settlement.ratable_lines import RatableKey, RatableLine
from server.domain.settlement.walk import SettledIncrement
from server.store.billing.summary_reads import LiableKey
from server.store.connection import Transaction
from server.store.rating.rate_documents import WATERFALL
from server.store.settlement.wallets import StoredWallet
from server.store.sql import load

SQL = load("billing/summaries.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLiable:
    """An invoice-ready line to insert, with the billing period of its usage, cut to the service."""

    id: LiableSummaryId
    product_id: ProductId
    definition_product_id: ProductId | None
    currency_code: str
    origin: Period
    line: LiableLine


async def save_drawn(
    tx: Transaction,
    account_id: AccountId,
    results: Sequence[SettledIncrement],
    line_of: Mapping[CellId, RatableSummaryId | None],
) -> None:
    """Save the quantities of each cell, and the ratable line it belongs to, where they change."""
    ids = [result.increment.cell_id for result in results]
    await tx.execute(
        SQL["save_drawn"],
        tx.tenant_id,
        account_id,
        ids,
        [result.drawn for result in results],
        [result.overage for result in results],
        [line_of.get(cell_id) for cell_id in ids],
    )


async def add_tokens(
    tx: Transaction,
    wallet: StoredWallet,
    cells: Sequence[tuple[CellId, Cell]],
) -> None:
    """Save cells of a token wallet, each with the cell it comes from."""
    own = [cell for _, cell in cells]
    await tx.execute(
        SQL["add_token_cells"],
        tx.tenant_id,
        wallet.account_id,
        wallet.id,
        wallet.resource_id,
        [cell.id for cell in own],
        [source for source, _ in cells],
        [cell.asset_id for cell in own],
        [cell.start for cell in own],
        [cell.end for cell in own],
        [cell.period.start for cell in own],
        [cell.measure.sum for cell in own],
    )


async def lock_liables(
    tx: Transaction, keys: Iterable[LiableKey]
) -> dict[LiableKey, tuple[str, str | None]]:
    """Lock the lines that exist; return the state and the invoice of each."""
    columns = [list(column) for column in zip(*sorted(set(keys)), strict=True)]
    return {
        (row["account_id"], row["liable_summary_id"]): (row["state"], row["invoice"])
        for row in await tx.fetch(SQL["lock_liables"], tx.tenant_id, *columns)
    }


async def mark_invoiced(
    tx: Transaction, keys: Iterable[LiableKey], invoice: str, at: datetime
) -> None:
    """Mark lines that are locked as invoiced."""
    columns = [list(column) for column in zip(*sorted(set(keys)), strict=True)]
    await tx.execute(SQL["mark_invoiced"], tx.tenant_id, *columns, invoice, at)


async def add_standing(tx: Transaction, wallet: StoredWallet, cells: Sequence[Cell]) -> None:
    """Save the standing cells of periods."""
    if not cells:
        return
    await tx.execute(
        SQL["add_standing"],
        tx.tenant_id,
        wallet.account_id,
        wallet.id,
        wallet.resource_id,
        [cell.id for cell in cells],
        [cell.asset_id for cell in cells],
        [cell.start for cell in cells],
        [cell.end for cell in cells],
        [cell.period.start for cell in cells],
        [cell.measure.last for cell in cells],
        [cell.dimensions for cell in cells],
    )


async def add_ratable(
    tx: Transaction,
    wallet: StoredWallet,
    lines: Sequence[RatableLine],
    execution_id: ExecutionId,
    correction_id: CorrectionId | None = None,
) -> None:
    """Insert ratable lines of periods that exist, with the steps of each amount."""
    rate_ids: Mapping[AssetId, Mapping[Any, UUID]] = {
        asset.id: asset.rate_ids for asset in wallet.assets
    }
    keys = [line.key for line in lines]
    await tx.execute(
        SQL["add_ratable"],
        tx.tenant_id,
        wallet.account_id,
        wallet.id,
        wallet.resource_id,
        [key.period_start for key in keys],
        correction_id,
        [line.id for line in lines],
        [key.asset_id for key in keys],
        [_rate_id(line, rate_ids) for line in lines],
        [key.origin_start for key in keys],
        [line.used for line in lines],
        [line.drawn for line in lines],
        [line.overage for line in lines],
        [line.tier_quantity for line in lines],
        [line.net_unit_rate for line in lines],
        [line.amount for line in lines],
        [line.terms.unit if line.terms else wallet.currency_code for line in lines],
        # As text, because the driver encodes a list of lists as a two-dimensional array.
        [WATERFALL.encode(line.steps) for line in lines],
        [line.failure or "" for line in lines],
        [key.segment_start for key in keys],
        [key.dimensions for key in keys],
        [line.failure_text for line in lines],
        [line.version and line.version[0] for line in lines],
        [line.version and line.version[1] for line in lines],
        execution_id,
        [line.corrects for line in lines],
        [line.billed_from or wallet.service_start for line in lines],
    )


def _rate_id(line: RatableLine, rate_ids: Mapping[AssetId, Mapping[Any, UUID]]) -> UUID | None:
    """Return the id of the stored rate that the line's terms come from; None if there is none.

    It begins with the line's segment, or was agreed on another asset.
    """
    start = line.key.segment_start
    agreed_on = None if line.terms is None else line.terms.agreed_on
    if agreed_on is None:
        return rate_ids.get(line.key.asset_id, {}).get(start)
    known = rate_ids.get(agreed_on, {})
    begin = max((time for time in known if time <= start), default=None)
    return None if begin is None else known[begin]


async def ratable_of(tx: Transaction, wallet: StoredWallet, billing: Period) -> list[RatableLine]:
    """Return the ratable lines of a wallet in one billing period, for its liable lines."""
    length = wallet.frequency.period
    first = rating_period(wallet.zone, wallet.anchor, length, billing.start)
    args = (tx.tenant_id, wallet.account_id, wallet.id, billing.start, billing.end, first.start)
    rows = await tx.fetch(SQL["ratable_of_wallet"], *args)
    return [_ratable(wallet, row) for row in rows]


async def billed_before(
    tx: Transaction, wallet: StoredWallet, keys: Collection[BilledKey]
) -> dict[BilledKey, Billed]:
    """Return what was billed for assets of a wallet in the billing periods that end then."""
    if not keys:
        return {}
    columns = [list(column) for column in zip(*sorted(keys), strict=True)]
    rows = await tx.fetch(
        SQL["billed_before"], tx.tenant_id, wallet.account_id, wallet.id, *columns
    )
    return {
        (AssetId(row["asset_id"]), row["origin_end_time"]): Billed(
            row["exact_amount"], row["amount"]
        )
        for row in rows
    }


async def add_liable(
    tx: Transaction,
    wallet: StoredWallet,
    billing: Period,
    new: Sequence[NewLiable],
) -> None:
    """Insert the invoice-ready lines of a billing period, and link their ratable lines."""
    lines = [liable.line for liable in new]
    keys = [line.key for line in lines]
    await tx.execute(
        SQL["add_liable"],
        tx.tenant_id,
        wallet.account_id,
        wallet.id,
        wallet.resource_id,
        wallet.unit_id,
        billing.start,
        billing.end,
        [liable.id for liable in new],
        [key.asset_id for key in keys],
        [liable.product_id for liable in new],
        [key.segment_start for key in keys],
        [key.is_correction for key in keys],
        ["READY_FOR_INVOICING" if line.is_whole else "FAILED" for line in lines],
        [line.used for line in lines],
        [line.overage for line in lines],
        [line.exact_amount for line in lines],
        [line.amount for line in lines],
        [liable.currency_code for liable in new],
        [liable.definition_product_id for liable in new],
        [key.dimensions for key in keys],
        [liable.origin.start for liable in new],
        [liable.origin.end for liable in new],
    )
    links = [(ratable_id, liable.id) for liable in new for ratable_id in liable.line.ratable_ids]
    await tx.execute(
        SQL["link_liable"],
        tx.tenant_id,
        wallet.account_id,
        [ratable_id for ratable_id, _ in links],
        [liable_id for _, liable_id in links],
    )


def _ratable(wallet: StoredWallet, row: Record) -> RatableLine:
    return RatableLine(
        id=RatableSummaryId(row["ratable_summary_id"]),
        wallet_id=wallet.id,
        key=RatableKey(
            row["start_time"],
            row["origin_start_time"] != row["start_time"],
            row["origin_start_time"],
            row["number"],
            AssetId(row["asset_id"]),
            row["segment_start_time"],
            row["dimensions"],
        ),
        # A liable line uses only the unit of the terms, and neither policy, cells nor steps.
        terms=RateTerms(unit=UnitId(row["currency_code"]), rate=None),
        overage_policy=OveragePolicy.CHARGE,
        cell_ids=(),
        used=row["used_quantity"],
        drawn=row["drawn_quantity"],
        overage=row["overage_quantity"],
        tier_quantity=row["tier_quantity"],
        net_unit_rate=row["net_unit_rate"],
        amount=_amount(row),
        steps=(),
        failure=row["error_reason"] or None,
        billed_from=row["billed_from"],
    )


def _amount(row: Record) -> Decimal | None:
    amount: Decimal | None = row["amount"]
    return amount
