"""Wallets: their terms, grants, entitlements, unsettled usage and rates, read at one moment.

What comes here as JSON arrays is unpacked by position; the query beside says what stands where.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from asyncpg import Record

from server.domain.aggregation import Cell, Measure
from server.domain.balances import WalletState
from server.domain.calendar import (
    Cadence,
    CadenceUnit,
    Delay,
    DelayUnit,
    Period,
    PolicyPeriod,
    anchor_date,
    rating_period,
)
from server.domain.errors import NotFound
from server.domain.grants import Entitlement, Grant, GrantKind
from server.domain.ids import (
    AccountId,
    AssetId,
    CellId,
    EntitlementId,
    GrantId,
    ProductId,
    RecordId,
    ResourceId,
    TenantId,
    UnitId,
    WalletId,
)
from server.domain.ledger import CauseKind, Entry, EntryKind, GrantHead, Head
from server.domain.policies import (
    AggregationMethod,
    AggregationPolicy,
    Combination,
    DrawdownOrder,
    LatePolicy,
    OveragePolicy,
    RatingFrequency,
    RefreshPolicy,
    RolloverPolicy,
    Validity,
)
from server.domain.rates import RateSegment
from server.domain.settlement import WalletTerms
from server.store.documents import terms_from_doc
from server.store.ledger import head_of
from server.store.pool import Connection
from server.store.sql import load

SQL = load("wallets.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class SoldAsset:
    """An asset that draws on a wallet: until when, and the ids its rates are kept under."""

    id: AssetId
    number: int
    product_id: ProductId
    end_time: datetime | None
    rate_ids: Mapping[datetime, UUID]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredWallet:
    """A wallet with all it is computed from, as it was at `now`, tenant time."""

    account_id: AccountId
    resource_id: ResourceId
    unit_id: UnitId
    target_kind: str
    target_id: str
    currency_code: str
    anchor: date
    frequency: RatingFrequency
    late: LatePolicy
    head: Head
    grant_heads: tuple[GrantHead, ...]
    assets: tuple[SoldAsset, ...]
    state: WalletState
    now: datetime

    @property
    def id(self) -> WalletId:
        """The wallet."""
        return self.state.terms.id

    @property
    def zone(self) -> str:
        """Where its days and periods begin."""
        return self.state.terms.zone


async def lock(
    tx: Connection, tenant_id: TenantId, account_id: AccountId, wallet_id: WalletId
) -> None:
    """Hold a wallet until the transaction ends. Raises WALLET_NOT_FOUND."""
    if await tx.fetchval(SQL["lock_wallet"], tenant_id, account_id, wallet_id) is None:
        raise _not_found(account_id, wallet_id)


async def check(
    tx: Connection, tenant_id: TenantId, account_id: AccountId, wallet_id: WalletId
) -> None:
    """Raise WALLET_NOT_FOUND unless there is such a wallet."""
    if not await tx.fetchval(SQL["wallet_exists"], tenant_id, account_id, wallet_id):
        raise _not_found(account_id, wallet_id)


async def get(
    tx: Connection, tenant_id: TenantId, account_id: AccountId, wallet_id: WalletId
) -> StoredWallet:
    """One wallet with all it is computed from. Raises WALLET_NOT_FOUND."""
    args = (tenant_id, account_id, wallet_id, None, None, 1)
    row = await tx.fetchrow(SQL["wallet_states"], *args)
    if row is None:
        raise _not_found(account_id, wallet_id)
    return _stored(account_id, row)


async def list_wallets(
    tx: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    *,
    after: tuple[str, ...] | None,
    limit: int,
) -> list[StoredWallet]:
    """An account's wallets by resource. Raises ACCOUNT_NOT_FOUND."""
    resource, wallet_id = (after[0], UUID(after[1])) if after else (None, None)
    args = (tenant_id, account_id, None, resource, wallet_id, limit)
    rows = await tx.fetch(SQL["wallet_states"], *args)
    if not rows and not await tx.fetchval(SQL["account_exists"], tenant_id, account_id):
        raise NotFound.of("Account", f"accounts/{account_id}")
    return [_stored(account_id, row) for row in rows]


async def list_entries(
    tx: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    wallet_id: WalletId,
    *,
    after: int,
    limit: int,
) -> list[tuple[Entry, datetime]]:
    """Lines of the ledger in posting order, each with when it was posted."""
    args = (tenant_id, account_id, wallet_id, after, limit)
    rows = await tx.fetch(SQL["list_entries"], *args)
    return [(_entry(wallet_id, row), row["create_time"]) for row in rows]


def following(entry: Entry, before: bytes) -> Entry:
    """An entry as it follows the one with the hash `before`, which is not kept twice."""
    return replace(entry, prev_hash=before)


async def list_grants(
    tx: Connection, tenant_id: TenantId, account_id: AccountId, wallet_id: WalletId
) -> list[Grant]:
    """All issues of a wallet that are in the ledger, oldest first."""
    rows = await tx.fetch(SQL["list_grants"], tenant_id, account_id, wallet_id)
    return [_grant(wallet_id, tuple(row.values())) for row in rows]


async def save_next_indices(
    tx: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    indices: Mapping[EntitlementId, int],
) -> None:
    """Remember which issue of each entitlement comes next."""
    if indices:
        keys = sorted(indices)
        following = [indices[key] for key in keys]
        await tx.execute(SQL["save_next_indices"], tenant_id, account_id, keys, following)


def next_indices(opened: Iterable[Grant]) -> dict[EntitlementId, int]:
    """The issue after the last of those that were opened, by entitlement."""
    found: dict[EntitlementId, int] = {}
    for grant in opened:
        if grant.kind is not GrantKind.ROLLOVER:
            after = max(found.get(grant.entitlement_id, 0), grant.index + 1)
            found[grant.entitlement_id] = after
    return found


def _not_found(account_id: AccountId, wallet_id: WalletId) -> NotFound:
    return NotFound.of("Wallet", f"accounts/{account_id}/wallets/{wallet_id}")


def _stored(account_id: AccountId, row: Record) -> StoredWallet:
    wallet_id = WalletId(row["wallet_id"])
    anchor = anchor_date(row["billing_anchor_day"], row["start_date"])
    days, hours = row["waiting_days"], row["waiting_hours"]
    delay = Delay(hours, DelayUnit.HOURS) if days is None else Delay(days)
    frequency = RatingFrequency(period=PolicyPeriod(row["rating_period"]), delay=delay)
    grants = row["grants"] or ()
    return StoredWallet(
        account_id=account_id,
        resource_id=ResourceId(row["usage_resource_id"]),
        unit_id=UnitId(row["unit_of_measure_id"]),
        target_kind=row["target_kind"],
        target_id=row["target_id"],
        currency_code=row["currency_code"],
        anchor=anchor,
        frequency=frequency,
        late=LatePolicy(row["late_policy"]),
        head=head_of(row),
        grant_heads=tuple(_grant_head(item) for item in grants),
        assets=_assets(row["assets"] or ()),
        state=_state(wallet_id, row, frequency.period, anchor),
        now=row["now"],
    )


def _state(wallet_id: WalletId, row: Record, length: PolicyPeriod, anchor: date) -> WalletState:
    cells = [(_cell(wallet_id, item), item[15] == "FINAL") for item in row["cells"] or ()]
    zone = row["time_zone"]
    return WalletState(
        terms=WalletTerms(
            id=wallet_id,
            zone=zone,
            aggregation=AggregationPolicy(
                method=AggregationMethod(row["aggregation_method"]),
                period=PolicyPeriod(row["aggregation_period"]),
                combine=Combination(row["aggregation_combine"]),
            ),
            order=DrawdownOrder(row["drawdown_order"]),
        ),
        grants=tuple(_grant(wallet_id, item) for item in row["grants"] or ()),
        entitlements=tuple(_entitlement(wallet_id, item) for item in row["entitlements"] or ()),
        cells=tuple(cell for cell, is_final in cells if not is_final),
        settled=tuple(cell for cell, is_final in cells if is_final),
        period=rating_period(zone, anchor, length, row["now"]),
        rates=_rates(row["assets"] or ()),
        rated_before={
            (AssetId(UUID(asset_id)), _time(origin)): Decimal(overage)
            for asset_id, origin, overage in row["rated"] or ()
        },
    )


def _grant(wallet_id: WalletId, item: Sequence[Any]) -> Grant:
    return Grant(
        id=GrantId(_uuid(item[0])),
        wallet_id=wallet_id,
        entitlement_id=EntitlementId(_uuid(item[1])),
        kind=GrantKind(item[2]),
        index=item[3],
        rollovers=item[4],
        quantity=Decimal(item[5]),
        start=_time(item[6]),
        expire=_optional_time(item[7]),
        balance=Decimal(item[9]),
    )


def _grant_head(item: Sequence[Any]) -> GrantHead:
    return GrantHead(grant_id=GrantId(UUID(item[0])), seq=item[8], balance=Decimal(item[9]))


def _entitlement(wallet_id: WalletId, item: Sequence[Any]) -> Entitlement:
    refresh, validity = _cadence(item[8], item[9]), _cadence(item[10], item[11])
    return Entitlement(
        id=EntitlementId(UUID(item[0])),
        wallet_id=wallet_id,
        asset_id=AssetId(UUID(item[1])),
        number=item[2],
        quantity=Decimal(item[3]),
        unit_scale=item[4],
        start=date.fromisoformat(item[5]),
        end=None if item[6] is None else date.fromisoformat(item[6]),
        anchor=date.fromisoformat(item[7]),
        refresh=RefreshPolicy(cadence=refresh) if refresh else None,
        validity=Validity(cadence=validity) if validity else None,
        rollover=RolloverPolicy(max_count=item[13]) if item[12] else None,
        next_index=item[14],
    )


def _cell(wallet_id: WalletId, item: Sequence[Any]) -> Cell:
    return Cell(
        id=CellId(UUID(item[0])),
        wallet_id=wallet_id,
        asset_id=AssetId(UUID(item[1])),
        asset_number=item[2],
        start=_time(item[3]),
        end=_time(item[4]),
        origin_start=_time(item[5]),
        period=Period(_time(item[6]), _time(item[7])),
        measure=Measure(
            count=item[8],
            sum=Decimal(item[9]),
            max=Decimal(item[10]),
            min=Decimal(item[11]),
            last=Decimal(item[12]),
            last_time=_time(item[13]),
            last_record_id=RecordId(item[14]),
        ),
    )


def _rates(items: Iterable[Sequence[Any]]) -> dict[AssetId, tuple[RateSegment, ...]]:
    found: dict[AssetId, list[RateSegment]] = {}
    for item in items:
        segment = RateSegment(
            start=_time(item[2]),
            end=_optional_time(item[3]),
            terms=None if item[4] is None else terms_from_doc(item[4]),
            overage=OveragePolicy(item[1]),
        )
        found.setdefault(AssetId(UUID(item[0])), []).append(segment)
    return {asset_id: tuple(segments) for asset_id, segments in found.items()}


def _assets(items: Iterable[Sequence[Any]]) -> tuple[SoldAsset, ...]:
    rates: dict[AssetId, dict[datetime, UUID]] = {}
    found: dict[AssetId, SoldAsset] = {}
    for item in items:
        asset_id = AssetId(UUID(item[0]))
        ids = rates.setdefault(asset_id, {})
        if item[5] is not None:
            ids[_time(item[2])] = UUID(item[5])
        found[asset_id] = SoldAsset(
            id=asset_id,
            number=item[7],
            product_id=ProductId(item[8]),
            end_time=_optional_time(item[6]),
            rate_ids=ids,
        )
    return tuple(found.values())


def _entry(wallet_id: WalletId, row: Record) -> Entry:
    return Entry(
        wallet_id=wallet_id,
        seq=row["seq"],
        prev_hash=b"",
        grant_id=GrantId(row["grant_id"]),
        grant_seq=row["grant_seq"],
        kind=EntryKind(row["kind"]),
        amount=row["amount"],
        wallet_before=row["wallet_before"],
        wallet_after=row["wallet_after"],
        grant_before=row["grant_before"],
        grant_after=row["grant_after"],
        effective_time=row["effective_time"],
        cause_kind=CauseKind(row["cause_kind"]),
        cause_id=UUID(row["cause_id"]),
        cause_revision=row["cause_revision"],
        leg=int(row["leg"]),
        hash=row["hash"],
    )


def _cadence(unit: str | None, count: int | None) -> Cadence | None:
    return None if unit is None or count is None else Cadence(CadenceUnit(unit), count)


def _uuid(value: Any) -> UUID:
    return value if isinstance(value, UUID) else UUID(value)


def _time(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


def _optional_time(value: Any) -> datetime | None:
    return None if value is None else _time(value)
