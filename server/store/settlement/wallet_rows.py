"""What a wallet is computed from, unpacked from the texts in which it is read.

A text is a JSON array, or an array of them; the query `wallet_states` says what stands where. Most
of it is what it was when the wallet was read last, so what was unpacked is remembered.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, cast

import msgspec
from asyncpg.pgproto.pgproto import UUID  # what rows hold: made, hashed and compared in C

from server.domain.caches import memoize
from server.domain.calendar import Cadence, CadenceUnit, Period
from server.domain.consumption.aggregation import Cell, Measure
from server.domain.exact import ZERO, plain
from server.domain.ids import (
    AssetId,
    CellId,
    EntitlementId,
    GrantId,
    ProductId,
    RecordId,
    UnitId,
    WalletId,
)
from server.domain.modeling.policies import (
    CommitmentRate,
    OveragePolicy,
    RefreshPolicy,
    RolloverPolicy,
    Validity,
)
from server.domain.rating.additions import Addition
from server.domain.rating.procedures.packages import Packaged, Packages
from server.domain.rating.rates import Rate, RateSegment
from server.domain.rating.sold_terms import WalletRateSources
from server.domain.selling.grants import Entitlement, Grant, GrantKind
from server.domain.settlement.ledger import GrantHead
from server.domain.settlement.ratable_lines import Origin, Rates, Tally
from server.domain.settlement.walk import Commitments
from server.store.rating.terms_documents import terms_from_doc

ANCHOR, TOKEN_COMMITMENT = "ANCHOR", "TOKEN_COMMITMENT"

TEXTS = 2_048
# A text of this length holds some fifty grants; what is decoded takes about six times as much.
LONGEST, ENTRY_BYTES = 8_192, 65_536
"""How many unpacked texts of a kind are remembered; of cells eight times as many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SoldAsset:
    """An asset that draws on a wallet: until when, and the ids its rates are kept under.

    What it is billed as, if not as the product, and the wallet of the tokens it is rated in.
    """

    id: AssetId
    number: int
    product_id: ProductId
    end_time: datetime | None
    rate_ids: Mapping[datetime, UUID]
    token_wallet_id: WalletId | None = None
    definition_product_id: ProductId | None = None


@memoize(entries=TEXTS, entry_bytes=ENTRY_BYTES, longest=LONGEST)
def decode_grants(
    wallet_id: WalletId, text: str | None
) -> tuple[tuple[Grant, ...], tuple[GrantHead, ...]]:
    """The grants, and where the chain of each ends."""
    items = _items(text)
    heads = (
        GrantHead(grant_id=GrantId(UUID(item[0])), seq=item[8], balance=Decimal(item[9]))
        for item in items
    )
    return tuple(decode_grant(wallet_id, item) for item in items), tuple(heads)


def decode_grant(wallet_id: WalletId, item: Sequence[Any]) -> Grant:
    """One grant, of an array's parts or of a row's columns."""
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


@memoize(entries=TEXTS, entry_bytes=ENTRY_BYTES, longest=LONGEST)
def decode_entitlements(wallet_id: WalletId, text: str | None) -> tuple[Entitlement, ...]:
    return tuple(_entitlement(wallet_id, item) for item in _items(text))


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
        rollover=RolloverPolicy(
            max_count=item[13],
            max_quantity=_optional_number(item[15]),
            max_percent=_optional_number(item[16]),
        )
        if item[12]
        else None,
        next_index=item[14],
    )


@memoize(entries=8 * TEXTS, entry_bytes=4_096, longest=1_024)
def decode_cell(wallet_id: WalletId, text: str) -> tuple[Cell, bool]:
    """A cell, and whether its period is final."""
    item = msgspec.json.decode(text)
    cell = Cell(
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
        dimensions=item[16],
    )
    return cell, item[15] == "FINAL"


@memoize(entries=TEXTS, entry_bytes=ENTRY_BYTES, longest=LONGEST)
def decode_assets(
    text: str | None,
) -> tuple[tuple[SoldAsset, ...], Rates, Commitments, WalletRateSources]:
    """The assets of a wallet, the rates of those that draw on it, and the commitments to it.

    And what these come from.
    """
    items = _items(text)
    sold = WalletRateSources(
        own=_rates(item for item in items if item[11] == ANCHOR),
        additions=tuple(_addition(item) for item in items if item[11] != ANCHOR),
        discounting=frozenset(
            AssetId(UUID(item[0])) for item in items if item[11] == TOKEN_COMMITMENT
        ),
        is_shared=any(item[13] is not None for item in items),
        fixed=frozenset(AssetId(UUID(item[0])) for item in items if item[13]),
    )
    return _assets(items), sold.rates, sold.commitments, sold


def _addition(item: Sequence[Any]) -> Addition:
    return Addition(
        asset_id=AssetId(UUID(item[0])),
        start=_time(item[2]),
        end=_optional_time(item[6]),
        terms=None if item[4] is None else terms_from_doc(item[4]),
        commitment=None if item[12] is None else CommitmentRate(item[12]),
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
            token_wallet_id=None if item[9] is None else WalletId(UUID(item[9])),
            definition_product_id=None if item[10] is None else ProductId(item[10]),
        )
    return tuple(found.values())


def decode_tallies(text: str | None) -> dict[Origin, Tally]:
    """What of corrected origins is rated already."""
    return {
        (AssetId(UUID(asset_id)), _time(origin)): Tally(
            used=Decimal(used), overage=Decimal(overage), packages=_packages(packages or ())
        )
        for asset_id, origin, used, overage, packages in _items(text)
    }


def packed_packages(packaged: Iterable[Packaged]) -> str | None:
    """The units of a line by the rate per package that priced them; None without any."""
    texts = [
        [plain(one.rate.value), plain(one.rate.per), one.rate.unit, plain(one.quantity)]
        for one in packaged
    ]
    return msgspec.json.encode(texts).decode() if texts else None


def decode_packages(text: str | None) -> Packages:
    """The units of a line by the rate per package that priced them."""
    return _packages([_items(text)])


def _packages(lines: Iterable[Iterable[Sequence[str]]]) -> Packages:
    found: Packages = {}
    for line in lines:
        for value, per, unit, quantity in line:
            rate = Rate(value=Decimal(value), per=Decimal(per), unit=UnitId(unit), is_package=True)
            found[rate] = found.get(rate, ZERO) + Decimal(quantity)
    return found


def _items(text: str | None) -> Sequence[Sequence[Any]]:
    return () if text is None else cast(list[Sequence[Any]], msgspec.json.decode(text))


def _cadence(unit: str | None, count: int | None) -> Cadence | None:
    return None if unit is None or count is None else Cadence(CadenceUnit(unit), count)


def _optional_number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _uuid(value: Any) -> UUID:
    return value if isinstance(value, UUID) else UUID(value)


def _time(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


def _optional_time(value: Any) -> datetime | None:
    return None if value is None else _time(value)
