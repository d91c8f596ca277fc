"""Wallets with their terms, grants, entitlements, unsettled usage and rates.

One statement reads all of it, so that the parts are of the same moment.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from asyncpg import Record

from server.domain.calendar import (
    Cadence,
    CadenceUnit,
    Delay,
    DelayUnit,
    Period,
    PolicyPeriod,
    local_midnight,
    rating_period,
)
from server.domain.consumption.cells import Cell
from server.domain.errors import NotFound
from server.domain.exact import Rounding
from server.domain.ids import (
    AccountId,
    AssetId,
    GrantId,
    ResourceId,
    UnitId,
    WalletId,
)
from server.domain.modeling.policies import (
    AggregationMethod,
    AggregationPolicy,
    Combination,
    DrawdownOrder,
    LatePolicy,
    RatingFrequency,
)
from server.domain.modeling.units import ScaleRounding
from server.domain.rating.compiled_rating import InForce
from server.domain.rating.sold_terms import WalletRateSources
from server.domain.selling.grants import Grant, next_indices
from server.domain.settlement.ledger import GrantHead, Head
from server.domain.settlement.rewinding import PostedSums, Span, rewound
from server.domain.settlement.standing import with_standing
from server.domain.settlement.tokens import Payers, TokenWallet
from server.domain.settlement.walk import WalletTerms
from server.domain.settlement.wallet_states import WalletState
from server.store.connection import Transaction
from server.store.keys import ANY_TIME, TimeWindow
from server.store.rating.procedures import decode_versions
from server.store.settlement.ledger import head_of
from server.store.settlement.wallet_rows import (
    SoldAsset,
    decode_assets,
    decode_cell,
    decode_effects,
    decode_entitlements,
    decode_grants,
)
from server.store.sql import load

SQL = load("settlement/wallets.sql")

NOT_ASKED: Mapping[WalletId, datetime] = {}
# With what is pending, of no given times, and with what is not billed.
_OWING: tuple[Any, ...] = (True, [], [], None, True)


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletFilter:
    """The filters of a list of wallets; None for any.

    `asset_id` selects the wallets that usage of this asset draws on.
    """

    resource_id: ResourceId | None = None
    asset_id: AssetId | None = None
    created: TimeWindow = ANY_TIME


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredWallet:
    """A wallet with everything its balance is computed from, at `now` in tenant time.

    Its rating periods until `closed` are final. The first one is shown from `service_start`, that
    of the first asset; `service_end` is None if an asset has no end. If final periods are not as
    they were settled, `state` is that before the earliest of them, `since`; `effects` are those of
    the entries since then. `cells` are those that are stored; `state` derives what holds without
    usage for later periods. `unbilled` is what was rated in money and is in no invoice-ready line,
    less all that was booked for the final usage in `state`; None unless it is read for that.
    """

    account_id: AccountId
    resource_id: ResourceId
    unit_id: UnitId
    target_kind: str
    target_id: str
    currency_code: str
    anchor: date
    service_start: datetime
    billing: Cadence
    frequency: RatingFrequency
    late: LatePolicy
    head: Head
    grant_heads: tuple[GrantHead, ...]
    assets: tuple[SoldAsset, ...]
    sold: WalletRateSources
    state: WalletState
    cells: tuple[Cell, ...]
    since: datetime | None
    effects: PostedSums
    correction_count: int
    now: datetime
    closed: datetime | None
    create_time: datetime
    unbilled: Decimal | None = None
    service_end: datetime | None = None

    @property
    def id(self) -> WalletId:
        """The id of the wallet."""
        return self.state.terms.id

    @property
    def zone(self) -> str:
        """The time zone in which its days and periods begin."""
        return self.state.terms.zone

    @property
    def period(self) -> Period:
        """The rating period at `now` or else the first one, cut to the service."""
        at = max(self.now, self.service_start)
        whole = rating_period(self.zone, self.anchor, self.frequency.period, at)
        return whole.since(self.service_start)

    @property
    def token_wallet_ids(self) -> list[WalletId]:
        """The wallets of the tokens that usage is rated in, and of the spend that it counts as."""
        return sorted({one.token_wallet_id for one in self.assets if one.token_wallet_id})

    def payers(self, token_wallet_id: WalletId) -> Payers:
        """Return the assets through which usage costs tokens or counts as spend of a wallet."""
        held = (one for one in self.assets if one.token_wallet_id == token_wallet_id)
        return {one.id: one.number for one in held}

    @property
    def is_spend(self) -> bool:
        """True if it is a wallet of what is spent under commitments to spend."""
        return any(one.is_spending for one in self.assets)

    @property
    def token_wallet(self) -> TokenWallet:
        """The wallet as the receiver of what usage costs."""
        return TokenWallet(
            id=self.id,
            unit=self.unit_id,
            zone=self.zone,
            anchor=self.anchor,
            length=self.frequency.period,
        )


async def lock(tx: Transaction, account_id: AccountId, wallet_id: WalletId) -> None:
    """Lock a wallet until the transaction ends. Raises WALLET_NOT_FOUND."""
    if await tx.fetchval(SQL["lock_wallet"], tx.tenant_id, account_id, wallet_id) is None:
        raise _not_found(account_id, wallet_id)


async def lock_with_targets(
    tx: Transaction, account_id: AccountId, wallet_id: WalletId
) -> dict[WalletId, Head]:
    """Lock a wallet, and those to which grants move from it; return the heads of their chains.

    Raises WALLET_NOT_FOUND.
    """
    rows = await tx.fetch(SQL["lock_with_targets"], tx.tenant_id, account_id, wallet_id)
    heads = {WalletId(row["wallet_id"]): head_of(row) for row in rows}
    if wallet_id not in heads:
        raise _not_found(account_id, wallet_id)
    return heads


async def check(tx: Transaction, account_id: AccountId, wallet_id: WalletId) -> None:
    """Raise WALLET_NOT_FOUND unless the wallet exists."""
    if not await tx.fetchval(SQL["wallet_exists"], tx.tenant_id, account_id, wallet_id):
        raise _not_found(account_id, wallet_id)


async def get(
    tx: Transaction,
    account_id: AccountId,
    wallet_id: WalletId,
    *,
    with_sources: bool = False,
    with_pending: bool = True,
    since: Mapping[WalletId, datetime] = NOT_ASKED,
) -> StoredWallet:
    """Return a wallet with everything it is computed from. Raises WALLET_NOT_FOUND.

    For a token wallet, `with_sources` also reads the wallets whose usage is rated in its tokens. It
    is as it was before the earliest final period that is not corrected yet, or before a final
    period of `since`. Without `with_pending`, what is not corrected yet is left out.
    """
    pending = (with_pending, list(since), list(since.values()), None)
    asked = (with_sources, *[None] * 4, *pending, False)
    return await _get(tx, account_id, wallet_id, asked)


async def get_final(
    tx: Transaction, account_id: AccountId, wallet_id: WalletId, span: Span
) -> StoredWallet:
    """Return a wallet as it was before some final periods. Raises WALLET_NOT_FOUND.

    `effects` are those of these periods, and `cells` also those of the period that follows. The
    balances are less these effects only; see `moved_after`.
    """
    asked = (False, *[None] * 4, False, [wallet_id], [span.since], span.until, False)
    return await _get(tx, account_id, wallet_id, asked)


async def moved_after(
    tx: Transaction, account_id: AccountId, wallet_id: WalletId, at: datetime
) -> dict[GrantId, Decimal]:
    """Return the sums of the entries of a wallet's grants in the periods from `at` on."""
    rows = await tx.fetch(SQL["moved_after"], tx.tenant_id, account_id, wallet_id, at)
    return {GrantId(row["grant_id"]): row["amount"] for row in rows}


async def get_owing(tx: Transaction, account_id: AccountId, wallet_id: WalletId) -> StoredWallet:
    """Return a wallet with its sources and with what is not billed. Raises WALLET_NOT_FOUND."""
    return await _get(tx, account_id, wallet_id, (True, *[None] * 4, *_OWING))


async def asset_numbers(
    tx: Transaction, account_id: AccountId, asset_ids: Iterable[AssetId]
) -> dict[AssetId, int]:
    """Return the number of each asset within its account."""
    rows = await tx.fetch(SQL["asset_numbers"], tx.tenant_id, account_id, sorted(asset_ids))
    return {AssetId(row["asset_id"]): row["number"] for row in rows}


async def list_wallets(
    tx: Transaction,
    account_id: AccountId,
    only: WalletFilter,
    *,
    after: tuple[str, UUID] | None,
    limit: int,
) -> list[StoredWallet]:
    """Return an account's wallets by resource, as `get_owing` does."""
    filters = (only.resource_id, only.asset_id, only.created.start, only.created.end)
    args = (tx.tenant_id, account_id, None, *(after or (None, None)), limit, True, *filters)
    rows = await tx.fetch(SQL["wallet_states"], *args, *_OWING)
    return _assembled(account_id, rows)


async def save_next_indices(
    tx: Transaction,
    account_id: AccountId,
    opened: Iterable[Grant],
) -> None:
    """Save the index of the next issue of each entitlement whose issues were opened."""
    if indices := next_indices(opened):
        keys = sorted(indices)
        following = [indices[key] for key in keys]
        await tx.execute(SQL["save_next_indices"], tx.tenant_id, account_id, keys, following)


async def _get(
    tx: Transaction, account_id: AccountId, wallet_id: WalletId, asked: Sequence[Any]
) -> StoredWallet:
    args = (tx.tenant_id, account_id, wallet_id, None, None, 1)
    wallets = _assembled(account_id, await tx.fetch(SQL["wallet_states"], *args, *asked))
    if not wallets:
        raise _not_found(account_id, wallet_id)
    return wallets[0]


def _not_found(account_id: AccountId, wallet_id: WalletId) -> NotFound:
    return NotFound.of("Wallet", f"accounts/{account_id}/wallets/{wallet_id}")


def _assembled(account_id: AccountId, rows: Sequence[Record]) -> list[StoredWallet]:
    """Return the requested wallets; they depend on the other rows, by tokens or moves."""
    sources: dict[UUID, list[WalletState]] = {}
    moved_from: dict[UUID, list[WalletState]] = {}
    requested: list[StoredWallet] = []
    for row in rows:
        wallet = _stored(account_id, row)
        if row["token_wallet_id"] is not None:
            token_wallet_id = row["token_wallet_id"]
            state = replace(wallet.state, payers=wallet.payers(token_wallet_id))
            sources.setdefault(token_wallet_id, []).append(state)
        elif row["moved_to_id"] is not None:
            moved_from.setdefault(row["moved_to_id"], []).append(wallet.state)
        else:
            requested.append(wallet)
    return [
        _depending(wallet, sources.get(wallet.id, ()), moved_from.get(wallet.id, ()))
        for wallet in requested
    ]


def _depending(
    wallet: StoredWallet, sources: Sequence[WalletState], moved_from: Sequence[WalletState]
) -> StoredWallet:
    """Return a wallet with the wallets rated in its tokens, and those that move grants to it."""
    if not (sources or moved_from):
        return wallet
    state = replace(
        wallet.state,
        token_wallet=wallet.token_wallet if sources else None,
        sources=tuple(sources),
        moved_from=tuple(moved_from),
    )
    return replace(wallet, state=state)


def _stored(account_id: AccountId, row: Record) -> StoredWallet:
    wallet_id = WalletId(row["wallet_id"])
    anchor, end = row["anchor_date"], row["end_date"]
    days = row["waiting_days"]
    delay = Delay(row["waiting_hours"], DelayUnit.HOURS) if days is None else Delay(days)
    frequency = RatingFrequency(period=PolicyPeriod(row["rating_period"]), delay=delay)
    cells, effects = _decode_cells(wallet_id, row), decode_effects(row["effects"])
    state = _state(wallet_id, row, frequency.period, anchor, cells)
    if row["since"] is not None:
        state = rewound(state, row["since"], effects)
    return StoredWallet(
        account_id=account_id,
        resource_id=ResourceId(row["usage_resource_id"]),
        unit_id=UnitId(row["unit_of_measure_id"]),
        target_kind=row["target_kind"],
        target_id=row["target_id"],
        currency_code=row["currency_code"],
        anchor=anchor,
        billing=Cadence(CadenceUnit(row["billing_unit"]), row["billing_count"]),
        service_start=local_midnight(row["time_zone"], row["start_date"]),
        frequency=frequency,
        late=LatePolicy(row["late_policy"]),
        head=head_of(row),
        grant_heads=decode_grants(wallet_id, row["grants"])[1],
        assets=decode_assets(row["assets"])[0],
        sold=decode_assets(row["assets"])[3],
        state=with_standing(state, row["until"]),
        cells=cells,
        since=row["since"],
        effects=effects,
        correction_count=row["correction_count"],
        now=row["now"],
        closed=row["closed"],
        create_time=row["create_time"],
        unbilled=row["unbilled"],
        service_end=end and local_midnight(row["time_zone"], end),
    )


def _state(
    wallet_id: WalletId, row: Record, length: PolicyPeriod, anchor: date, cells: tuple[Cell, ...]
) -> WalletState:
    zone = row["time_zone"]
    services = {one.id: one.service for one in decode_assets(row["assets"])[0]}
    service_start = local_midnight(zone, row["start_date"])
    return WalletState(
        terms=WalletTerms(
            id=wallet_id,
            zone=zone,
            aggregation=AggregationPolicy(
                method=AggregationMethod(row["aggregation_method"]),
                period=PolicyPeriod(row["aggregation_period"]),
                combine=Combination(row["aggregation_combine"]),
                label=row["aggregation_label"],
            ),
            order=DrawdownOrder(row["drawdown_order"]),
            rounding=row["rounding"] and ScaleRounding(row["scale"], Rounding(row["rounding"])),
            anchor=anchor,
            rating=length,
        ),
        grants=decode_grants(wallet_id, row["grants"])[0],
        entitlements=decode_entitlements(wallet_id, row["entitlements"]),
        cells=cells,
        period=rating_period(zone, anchor, length, row["now"]),
        services=services,
        rates=decode_assets(row["assets"])[1],
        commitments=decode_assets(row["assets"])[2],
        rating_versions=InForce(decode_versions(row["versions"]), zone, service_start),
        since=row["since"] or row["closed"],
    )


def _decode_cells(wallet_id: WalletId, row: Record) -> tuple[Cell, ...]:
    return tuple(decode_cell(wallet_id, text) for text in row["cells"] or ())
