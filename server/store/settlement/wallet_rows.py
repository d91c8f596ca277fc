"""The rows of wallets: JSON arrays made by the query `wallet_states`, decoded into structs.

The decoders are cached by the text, because the parts of a wallet rarely change between reads.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from asyncpg import Record
from asyncpg.pgproto.pgproto import UUID  # what rows hold: made, hashed and compared in C

from server.domain.caches import memoize_texts
from server.domain.calendar import Cadence, CadenceUnit, Period
from server.domain.consumption.cells import Cell, Measure
from server.domain.consumption.gauges import Service
from server.domain.ids import (
    AssetId,
    CellId,
    EntitlementId,
    GrantId,
    ProductId,
    RecordId,
    WalletId,
)
from server.domain.modeling.policies import (
    RefreshPolicy,
    RolloverPolicy,
    Validity,
)
from server.domain.modeling.units import ratio_of
from server.domain.rating.additions import Addition
from server.domain.rating.rates import RateSegment
from server.domain.rating.sold_terms import WalletRateSources
from server.domain.selling.grants import Entitlement, Grant, GrantKind
from server.domain.settlement.drawdown import FOREVER
from server.domain.settlement.ledger import GrantHead
from server.domain.settlement.ratable_lines import Rates
from server.domain.settlement.rewinding import Moved, MovementKey
from server.domain.settlement.walk import Commitments
from server.store.settlement.row_shapes import (
    AssetRow,
    CellRow,
    EffectRow,
    EntitlementRow,
    GrantRow,
)

ANCHOR, TOKEN_COMMITMENT = "ANCHOR", "TOKEN_COMMITMENT"
MONETARY_COMMITMENT = "MONETARY_COMMITMENT"

# The number of cached texts of a kind; cells have eight times as many.
TEXTS = 2_048
TEXT_BYTES = 64 * 1024 * 1024


def _uuid(_type: Any, text: Any) -> UUID:
    return UUID(text)


_grants = msgspec.json.Decoder(tuple[GrantRow, ...], dec_hook=_uuid)
_entitlements = msgspec.json.Decoder(tuple[EntitlementRow, ...], dec_hook=_uuid)
_cells = msgspec.json.Decoder(CellRow, dec_hook=_uuid)
_asset_rows = msgspec.json.Decoder(tuple[AssetRow, ...], dec_hook=_uuid)
_effects = msgspec.json.Decoder(tuple[EffectRow, ...], dec_hook=_uuid)


@dataclass(frozen=True, slots=True, kw_only=True)
class SoldAsset:
    """An asset that draws on a wallet, with the ids of its rates by their start.

    `definition_product_id` is the product that it is billed as, if not its own. In a wallet of
    money, a commitment to spend `is_spending`. With `until_time` it draws on another wallet from
    then on.
    """

    id: AssetId
    number: int
    product_id: ProductId
    start_time: datetime
    end_time: datetime | None
    rate_ids: Mapping[datetime, UUID]
    token_wallet_id: WalletId | None = None
    definition_product_id: ProductId | None = None
    is_spending: bool = False
    until_time: datetime | None = None

    @property
    def last_time(self) -> datetime | None:
        """The end of its usage in this wallet."""
        ends = [end for end in (self.end_time, self.until_time) if end is not None]
        return min(ends, default=None)

    @property
    def service(self) -> Service:
        """The time for which its usage is drawn on this wallet."""
        sold_until = None if self.until_time is None else self.end_time or FOREVER
        return Service(self.number, self.start_time, self.last_time, sold_until)


@memoize_texts(entries=TEXTS, most_bytes=TEXT_BYTES)
def decode_grants(
    wallet_id: WalletId, text: str | None
) -> tuple[tuple[Grant, ...], tuple[GrantHead, ...]]:
    """Return the grants of a wallet, and the head of the chain of each."""
    rows = _grants.decode(text) if text else ()
    heads = (GrantHead(grant_id=GrantId(row.id), seq=row.seq, balance=row.balance) for row in rows)
    return tuple(grant_of(wallet_id, row) for row in rows), tuple(heads)


def grant_from_row(wallet_id: WalletId, row: Record) -> Grant:
    """Return the grant of a row of the table."""
    return grant_of(
        wallet_id,
        GrantRow(
            id=row["grant_id"],
            entitlement_id=row["entitlement_id"],
            kind=GrantKind(row["kind"]),
            index=row["issue_index"],
            rollovers=row["rollover_count"],
            quantity=row["quantity"],
            start=row["start_time"],
            expire=row["expire_time"],
            seq=row["head_seq"],
            balance=row["balance"],
            arrive_time=row["arrive_time"],
            source_id=row["source_grant_id"],
        ),
    )


def grant_of(wallet_id: WalletId, row: GrantRow) -> Grant:
    """Return the grant of a row."""
    return Grant(
        id=GrantId(row.id),
        wallet_id=wallet_id,
        entitlement_id=EntitlementId(row.entitlement_id),
        kind=row.kind,
        index=row.index,
        rollovers=row.rollovers,
        quantity=row.quantity,
        start=row.start,
        expire=row.expire,
        balance=row.balance,
        arrive_time=row.arrive_time,
        source_id=None if row.source_id is None else GrantId(row.source_id),
    )


@memoize_texts(entries=TEXTS, most_bytes=TEXT_BYTES)
def decode_entitlements(wallet_id: WalletId, text: str | None) -> tuple[Entitlement, ...]:
    """Return the entitlements of a wallet."""
    rows = _entitlements.decode(text) if text else ()
    return tuple(_entitlement(wallet_id, row) for row in rows)


def _entitlement(wallet_id: WalletId, row: EntitlementRow) -> Entitlement:
    refresh = _cadence(row.refresh_unit, row.refresh_count)
    validity = _cadence(row.validity_unit, row.validity_count)
    return Entitlement(
        id=EntitlementId(row.id),
        wallet_id=wallet_id,
        asset_id=AssetId(row.asset_id),
        number=row.number,
        quantity=row.quantity,
        unit_scale=row.unit_scale,
        start=row.start,
        end=row.end,
        anchor=row.anchor,
        refresh=RefreshPolicy(cadence=refresh) if refresh else None,
        validity=Validity(cadence=validity) if validity else None,
        rollover=RolloverPolicy(
            max_count=row.max_rollovers,
            max_quantity=row.rollover_max_quantity,
            max_percent=row.rollover_max_percent,
            remainder_percent=row.rollover_remainder_percent,
        )
        if row.can_roll_over
        else None,
        next_index=row.next_index,
        spend_cap=row.spend_cap,
        issues_from=row.issues_from,
        issues_until=row.issues_until,
        leave_time=row.leave_time,
        leaves_to=None if row.leaves_to is None else WalletId(row.leaves_to),
    )


@memoize_texts(entries=8 * TEXTS, most_bytes=TEXT_BYTES)
def decode_cell(wallet_id: WalletId, text: str) -> Cell:
    """Return a cell."""
    row = _cells.decode(text)
    return Cell(
        id=CellId(row.id),
        wallet_id=wallet_id,
        asset_id=AssetId(row.asset_id),
        asset_number=row.asset_number,
        start=row.start,
        end=row.end,
        period=Period(row.period_start, row.period_end),
        measure=Measure(
            count=row.count,
            sum=row.sum,
            max=row.max,
            min=row.min,
            last=row.last,
            last_time=row.last_time,
            last_record_id=RecordId(row.last_record_id),
            first_time=row.first_time or row.last_time,
            held=row.held,
        ),
        dimensions=row.dimensions,
        ratio=ratio_of(row.unit_numerator, row.unit_denominator),
        # A cell without records that began its period has its time.
        is_empty=row.count == 0 and row.first_time is None,
    )


@memoize_texts(entries=TEXTS, most_bytes=TEXT_BYTES)
def decode_assets(
    text: str | None,
) -> tuple[tuple[SoldAsset, ...], Rates, Commitments, WalletRateSources]:
    """Return the assets of a wallet, their rates, the commitments, and the sources of both."""
    rows = _asset_rows.decode(text) if text else ()
    sold = WalletRateSources(
        own=_rates(row for row in rows if _has_usage(row)),
        additions=tuple(_addition(row) for row in rows if not _has_usage(row)),
        discounting=frozenset(
            AssetId(row.asset_id) for row in rows if row.role == TOKEN_COMMITMENT
        ),
        # `is_fixed` is null for a wallet of one asset alone.
        is_shared=any(row.is_fixed is not None for row in rows),
        fixed=frozenset(AssetId(row.asset_id) for row in rows if row.is_fixed),
    )
    return _assets(rows), sold.rates, sold.commitments, sold


def _has_usage(row: AssetRow) -> bool:
    """Return whether a wallet has usage of the asset; others add to what is used by anchors."""
    return row.role == ANCHOR or _is_spending(row)


def _is_spending(row: AssetRow) -> bool:
    """Return whether the row is that of a commitment to spend in its own wallet of money."""
    return row.role == MONETARY_COMMITMENT and row.token_wallet_id is None


def _addition(row: AssetRow) -> Addition:
    return Addition(
        asset_id=AssetId(row.asset_id),
        start=row.start,
        end=row.asset_end,
        terms=None if row.terms is None else row.terms.content,
        commitment=row.commitment_rate,
    )


def _rates(rows: Iterable[AssetRow]) -> dict[AssetId, tuple[RateSegment, ...]]:
    segments_by_asset: dict[AssetId, list[RateSegment]] = {}
    for row in rows:
        segment = RateSegment(
            start=row.start,
            end=row.end,
            terms=None if row.terms is None else row.terms.content,
            overage=row.overage,
        )
        segments_by_asset.setdefault(AssetId(row.asset_id), []).append(segment)
    return {asset_id: tuple(segments) for asset_id, segments in segments_by_asset.items()}


def _assets(rows: Iterable[AssetRow]) -> tuple[SoldAsset, ...]:
    rates: dict[AssetId, dict[datetime, UUID]] = {}
    assets: dict[AssetId, SoldAsset] = {}
    for row in rows:
        asset_id = AssetId(row.asset_id)
        ids = rates.setdefault(asset_id, {})
        if row.rate_id is not None:
            ids[row.start] = row.rate_id
        token, definition = row.token_wallet_id, row.definition_product_id
        assets[asset_id] = SoldAsset(
            id=asset_id,
            number=row.number,
            product_id=ProductId(row.product_id),
            # The rows of an asset are in the order of time.
            start_time=assets[asset_id].start_time if asset_id in assets else row.start,
            end_time=row.asset_end,
            rate_ids=ids,
            token_wallet_id=None if token is None else WalletId(token),
            definition_product_id=None if definition is None else ProductId(definition),
            is_spending=_is_spending(row),
            until_time=row.until,
        )
    return tuple(assets.values())


def decode_effects(text: str | None) -> dict[MovementKey, Moved]:
    """Return the sums of what was moved, by cause and grant."""
    rows = _effects.decode(text) if text else ()
    return {
        MovementKey(
            row.effective_time, row.cause_kind, row.cause_id, row.leg, GrantId(row.grant_id)
        ): Moved(amount=row.amount, paid=row.paid)
        for row in rows
    }


def _cadence(unit: CadenceUnit | None, count: int | None) -> Cadence | None:
    return None if unit is None or count is None else Cadence(unit, count)
