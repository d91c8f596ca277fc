"""The reads of summaries: cells, ratable lines, invoice-ready lines, and the links between them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

import msgspec
from asyncpg import Record

from server.domain.calendar import local_midnight
from server.domain.ids import (
    AccountId,
    AssetId,
    CellId,
    CorrectionId,
    ExecutionId,
    GrantId,
    LiableSummaryId,
    ProcedureId,
    ProcedureVersionId,
    ProductId,
    RatableSummaryId,
    ResourceId,
    UnitId,
    WalletId,
)
from server.domain.modeling.units import counted, ratio_of
from server.domain.rating.procedures.waterfall import WaterfallStep
from server.store.connection import Transaction
from server.store.keys import ANY_TIME, NO_KEY, TimeKey, TimeWindow
from server.store.pool import in_transaction
from server.store.rating.rate_documents import WATERFALL
from server.store.sql import load

SQL = load("billing/summary_reads.sql")

After = TimeKey | None
LiableKey = tuple[AccountId, LiableSummaryId]


NO_ID = UUID(int=0)
# Bounds outside every create time, so that the key of the query is never null.
FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


class CellState(StrEnum):
    """The states of a cell; the value is the state of its rating period."""

    OPEN = "OPEN"
    FROZEN = "FROZEN"
    DRAWN = "FINAL"


class RatableState(StrEnum):
    """The states of a ratable line."""

    RATED = "RATED"
    RATING_FAILED = "RATING_FAILED"


class LiableState(StrEnum):
    """The states of an invoice-ready line."""

    READY_FOR_INVOICING = "READY_FOR_INVOICING"
    FAILED = "FAILED"
    INVOICED = "INVOICED"


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageFilter:
    """The filters of a list of cells; None for any. `days` bounds their starts."""

    wallet_id: WalletId | None = None
    state: CellState | None = None
    asset_id: AssetId | None = None
    product_id: ProductId | None = None
    resource_id: ResourceId | None = None
    days: TimeWindow = ANY_TIME


@dataclass(frozen=True, slots=True, kw_only=True)
class RatableFilter:
    """The filters of a list of ratable lines; None for any. `periods` bounds their starts."""

    state: RatableState | None = None
    asset_id: AssetId | None = None
    product_id: ProductId | None = None
    resource_id: ResourceId | None = None
    correction_id: CorrectionId | None = None
    periods: TimeWindow = ANY_TIME
    created: TimeWindow = ANY_TIME


@dataclass(frozen=True, slots=True, kw_only=True)
class LiableFilter:
    """The filters of a list of invoice-ready lines; None for any, also for any account."""

    account_id: AccountId | None = None
    state: LiableState | None = None
    asset_id: AssetId | None = None
    product_id: ProductId | None = None
    resource_id: ResourceId | None = None
    periods: TimeWindow = ANY_TIME
    created: TimeWindow = ANY_TIME


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageSummary:
    """A cell; its drawn quantities are None until its period is final."""

    usage_summary_id: CellId
    asset_id: AssetId
    usage_resource_id: ResourceId
    wallet_id: WalletId
    start_time: datetime
    end_time: datetime
    period_start_time: datetime
    period_state: str
    is_pending: bool
    record_count: int
    sum_quantity: Decimal
    max_quantity: Decimal
    quantity: Decimal | None
    drawn_quantity: Decimal | None
    overage_quantity: Decimal | None
    ratable_summary_id: RatableSummaryId | None
    source_summary_id: CellId | None
    dimensions: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RatableSummary:
    """A ratable line with the steps of its rating.

    Without a version it was rated by the shipped one.
    """

    ratable_summary_id: RatableSummaryId
    wallet_id: WalletId
    asset_id: AssetId
    usage_resource_id: ResourceId
    start_time: datetime
    end_time: datetime
    origin_start_time: datetime
    state: str
    used_quantity: Decimal
    drawn_quantity: Decimal
    overage_quantity: Decimal
    tier_quantity: Decimal
    net_unit_rate: Decimal | None
    amount: Decimal | None
    currency_code: str
    waterfall: tuple[WaterfallStep, ...]
    error_reason: str
    liable_summary_id: LiableSummaryId | None
    dimensions: str
    error_message: str
    procedure_id: ProcedureId | None
    procedure_version_id: ProcedureVersionId | None
    execution_id: ExecutionId
    execution_time: datetime
    create_time: datetime
    correction_id: CorrectionId | None
    corrects_id: RatableSummaryId | None

    @property
    def usage_id(self) -> RatableSummaryId:
        """The first line of the same usage, whose cells it has too."""
        return self.corrects_id or self.ratable_summary_id


class Superseded(NamedTuple):
    """The figures of an invoice-ready line before a change of the past replaced it."""

    used_quantity: Decimal
    overage_quantity: Decimal
    amount: Decimal
    create_time: datetime
    supersede_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LiableSummary:
    """An invoice-ready line."""

    liable_summary_id: LiableSummaryId
    account_id: AccountId
    wallet_id: WalletId
    asset_id: AssetId
    product_id: ProductId
    definition_product_id: ProductId | None
    usage_resource_id: ResourceId
    unit_of_measure_id: UnitId
    start_time: datetime
    end_time: datetime
    origin_start_time: datetime
    origin_end_time: datetime
    state: str
    used_quantity: Decimal
    overage_quantity: Decimal
    exact_amount: Decimal
    amount: Decimal
    currency_code: str
    invoice: str | None
    invoice_time: datetime | None
    create_time: datetime
    superseded: tuple[Superseded, ...]
    dimensions: str

    @property
    def revision(self) -> int:
        """Return 1 for a line as it was first made, and 1 more for each time it was replaced."""
        return 1 + len(self.superseded)


@dataclass(frozen=True, slots=True)
class Drawn:
    """The quantity of one cell that one grant covers, and the amount it takes from the grant."""

    grant_id: GrantId
    quantity: Decimal
    amount: Decimal


async def list_usage(
    tx: Transaction,
    account_id: AccountId,
    only: UsageFilter,
    *,
    after: After,
    limit: int,
) -> list[UsageSummary]:
    """Return an account's cells, oldest first."""
    days = (only.days.start, only.days.end)
    filters = (only.state, only.asset_id, only.product_id, only.resource_id, *days)
    args = (tx.tenant_id, account_id, only.wallet_id, *(after or NO_KEY), limit, *filters)
    rows = await tx.fetch(SQL["list_usage"], *args)
    return [_usage_summary(row) for row in rows]


def _usage_summary(row: Record) -> UsageSummary:
    """Return a cell in the unit that the resource counts in, with its period cut to the service."""
    values = dict(row)
    by = ratio_of(values.pop("unit_numerator"), values.pop("unit_denominator"))
    for name in ("sum_quantity", "max_quantity"):
        values[name] = counted(values[name], by)
    service_start = local_midnight(values.pop("time_zone"), values.pop("start_date"))
    # The first period of a target begins with its first asset.
    values["period_start_time"] = max(values["period_start_time"], service_start)
    return UsageSummary(**values)


async def usage_of_ratable(
    tx: Transaction,
    account_id: AccountId,
    wallet_id: WalletId,
    ratable_ids: Iterable[RatableSummaryId],
) -> list[UsageSummary]:
    """Return the cells of some ratable lines of a wallet, oldest first."""
    ids = list(ratable_ids)
    rows = await tx.fetch(SQL["usage_of_ratable"], tx.tenant_id, account_id, wallet_id, ids)
    return [_usage_summary(row) for row in rows]


async def drawn_from(
    tx: Transaction,
    account_id: AccountId,
    wallet_id: WalletId,
    cell_ids: Iterable[CellId],
) -> dict[CellId, list[Drawn]]:
    """Return the grants that cover each cell, in drawdown order."""
    causes = [str(cell_id) for cell_id in cell_ids]
    rows = await tx.fetch(SQL["drawn_from"], tx.tenant_id, account_id, wallet_id, causes)
    drawn_by_cell: dict[CellId, list[Drawn]] = {}
    for row in rows:
        drawn = Drawn(GrantId(row["grant_id"]), row["covered"], row["quantity"])
        drawn_by_cell.setdefault(CellId(UUID(row["cause_id"])), []).append(drawn)
    return drawn_by_cell


async def find_ratable(
    tx: Transaction, account_id: AccountId, ratable_id: RatableSummaryId
) -> RatableSummary | None:
    """Return one ratable line; None if it does not exist."""
    row = await tx.fetchrow(SQL["find_ratable"], tx.tenant_id, account_id, ratable_id)
    return None if row is None else ratable_from_row(row)


async def list_ratable(
    tx: Transaction,
    account_id: AccountId,
    only: RatableFilter,
    *,
    after: After,
    limit: int,
) -> list[RatableSummary]:
    """Return an account's ratable lines, by the start of their period."""
    periods = (only.periods.start, only.periods.end)
    created = (only.created.start, only.created.end)
    filters = (only.state, only.asset_id, only.resource_id, *periods, only.product_id, *created)
    args = (tx.tenant_id, account_id, *(after or NO_KEY), limit, *filters, only.correction_id)
    return [ratable_from_row(row) for row in await tx.fetch(SQL["list_ratable"], *args)]


async def ratable_of_liable(
    tx: Transaction, account_id: AccountId, line: LiableSummary
) -> list[RatableSummary]:
    """Return the ratable lines of a liable line, oldest first."""
    args = (tx.tenant_id, account_id, line.wallet_id, line.liable_summary_id)
    return [ratable_from_row(row) for row in await tx.fetch(SQL["ratable_of_liable"], *args)]


async def superseded_ratables(
    tx: Transaction,
    account_id: AccountId,
    *,
    ratable_id: RatableSummaryId | None = None,
    liable_id: LiableSummaryId | None = None,
) -> list[RatableSummary]:
    """Return the lines that a line replaced, oldest first."""
    rows = await tx.fetch(
        SQL["superseded_ratables"], tx.tenant_id, account_id, ratable_id, liable_id
    )
    return [ratable_from_row(row) for row in rows]


async def find_liable(
    tx: Transaction, account_id: AccountId, liable_id: LiableSummaryId
) -> LiableSummary | None:
    """Return one invoice-ready line; None if it does not exist."""
    row = await tx.fetchrow(SQL["find_liable"], tx.tenant_id, account_id, liable_id)
    return None if row is None else _liable(row)


async def find_liables(
    tx: Transaction, keys: Iterable[LiableKey]
) -> dict[LiableKey, LiableSummary]:
    """Return the invoice-ready lines that exist, by account and id."""
    columns = [list(column) for column in zip(*sorted(set(keys)), strict=True)]
    lines = [_liable(row) for row in await tx.fetch(SQL["find_liables"], tx.tenant_id, *columns)]
    return {(line.account_id, line.liable_summary_id): line for line in lines}


async def list_liable(
    tx: Transaction,
    account_id: AccountId,
    only: LiableFilter,
    *,
    after: After,
    limit: int,
) -> list[LiableSummary]:
    """Return an account's invoice-ready lines, by the start of their period."""
    created = (only.created.start, only.created.end)
    args = (tx.tenant_id, account_id, *(after or NO_KEY), limit, *_filters(only), *created)
    return [_liable(row) for row in await tx.fetch(SQL["list_liable"], *args)]


async def list_liable_of_all(
    tx: Transaction,
    only: LiableFilter,
    *,
    after: tuple[datetime, str, UUID] | None,
    limit: int,
) -> list[LiableSummary]:
    """Return invoice-ready lines of all accounts, by create time, account and id."""
    # No account id is empty, so this key comes before all lines of that time.
    begin = after or (only.created.start or FIRST, "", NO_ID)
    end = only.created.end or LAST
    args = (tx.tenant_id, only.account_id, *begin, limit, *_filters(only), end)
    async with in_transaction(tx.connection):
        # In a transaction, because the planner settings must end with it.
        await tx.execute(SQL["plan_by_order"])
        return [_liable(row) for row in await tx.fetch(SQL["list_liable_of_all"], *args)]


def _filters(only: LiableFilter) -> tuple[object, ...]:
    periods = (only.periods.start, only.periods.end)
    return (only.state, only.asset_id, only.product_id, only.resource_id, *periods)


def ratable_from_row(row: Record) -> RatableSummary:
    """Return a ratable line with its waterfall."""
    return RatableSummary(**(dict(row) | {"waterfall": WATERFALL.decode(row["waterfall"])}))


def _liable(row: Record) -> LiableSummary:
    superseded = msgspec.json.decode(row["superseded"] or "[]", type=tuple[Superseded, ...])
    return LiableSummary(**(dict(row) | {"superseded": superseded}))
