"""Balances: the current state of the wallets of one entitlement account.

A balance is computed from posted entries and from the usage that is not final yet; it is never
stale and is not stored. The part that is not posted yet is marked provisional.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from server.domain.consumption.cells import Cell
from server.domain.exact import ZERO, Rounding, divide, exact
from server.domain.ids import AssetId, UnitId, WalletId
from server.domain.selling.grants import Grant, next_start
from server.domain.settlement.drawdown import FOREVER
from server.domain.settlement.moves import departed, replaced
from server.domain.settlement.ratable_lines import RatableLine
from server.domain.settlement.tokens import token_cell_id, tokens_of
from server.domain.settlement.walk import Settlement
from server.domain.settlement.wallet_states import WalletState, rated, walked

HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantBalance:
    """A grant as it is now; provisional if the ledger does not have its balance yet."""

    grant: Grant
    is_open: bool
    is_provisional: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """The cost so far of an asset's usage in this rating period.

    Without an amount it has the reason.
    """

    asset_id: AssetId
    unit: UnitId | None
    amount: Decimal | None
    failure: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletBalance:
    """One wallet now.

    `balance` can be used now; `posted_balance` is the ledger's balance of all grants. `granted` is
    the opening quantity of the open grants, and `consumed` the part of it that is gone. `used`,
    `drawn`, `overage` and `charges` are of the current rating period. `earlier_charges` are those
    of other periods: periods that are not final yet, and all that are settled again because usage
    of them has changed. `percent_used` includes overage and may exceed 100; it is None if nothing
    is granted. The same state has the same balance until `holds_until`.
    """

    wallet_id: WalletId
    balance: Decimal
    posted_balance: Decimal
    granted: Decimal
    consumed: Decimal
    used: Decimal
    drawn: Decimal
    overage: Decimal
    percent_used: Decimal | None
    charges: tuple[Charge, ...]
    earlier_charges: tuple[Charge, ...]
    grants: tuple[GrantBalance, ...]
    holds_until: datetime


@exact
def balance(wallet: WalletState, *, now: datetime) -> WalletBalance:
    """Return the balance of one wallet at `now`."""
    settlement = project(wallet, now=now)
    grants = _grant_balances(wallet.posted_grants, settlement, now)
    held = [item.grant for item in grants if item.is_open]
    current = [r for r in settlement.results if r.increment.period_start == wallet.period.start]
    available = sum((grant.balance for grant in held), ZERO)
    granted = sum((grant.quantity for grant in held), ZERO)
    drawn = sum((result.drawn for result in current), ZERO)
    overage = sum((result.overage for result in current), ZERO)
    lines = rated(wallet, settlement.results)
    start = wallet.period.start
    return WalletBalance(
        wallet_id=wallet.terms.id,
        balance=available,
        posted_balance=sum((grant.balance for grant in wallet.posted_grants), ZERO),
        granted=granted,
        consumed=granted - available,
        used=drawn + overage,
        drawn=drawn,
        overage=overage,
        percent_used=percent(granted - available + overage, granted),
        charges=_charges(line for line in lines if line.key.period_start == start),
        earlier_charges=_charges(line for line in lines if line.key.period_start != start),
        grants=grants,
        holds_until=_next_change(wallet, settlement, now),
    )


@exact
def project(wallet: WalletState, *, now: datetime) -> Settlement:
    """Return the settlement as if all usage known at `now` were final."""
    tokens = {cell.id: cell for cell in _tokens(wallet, now)}
    # Final usage that is not corrected yet has token cells of before.
    costing = {
        token_cell_id(cell.id, wallet.terms.id)
        for source in wallet.sources
        for cell in source.cells
    }
    own = (cell for cell in wallet.cells if cell.id not in costing)
    return walked(_with_moves(wallet, now), (*own, *tokens.values()), through=now)


@exact
def unbilled(found: WalletBalance, booked: Decimal, currency_code: str) -> Decimal | None:
    """Return what no invoice-ready line has of earlier periods; None if some cannot be rated.

    `booked` is what was rated in money and is in no such line, less all that was booked for the
    final usage that is settled again. Tokens are billed through their wallet.
    """
    owed = booked
    for charge in found.earlier_charges:
        if charge.amount is None:
            return None
        if charge.unit == currency_code:
            owed += charge.amount
    return owed


@exact
def percent(part: Decimal, whole: Decimal) -> Decimal | None:
    """Return `part` in percent of `whole`, truncated to two places, or None if `whole` is zero."""
    if whole == 0:
        return None
    return divide(part * HUNDRED, whole, places=2, mode=Rounding.DOWN)


def _with_moves(wallet: WalletState, now: datetime) -> WalletState:
    """Return a wallet with what other wallets will have moved here, once their usage is final."""
    arrivals = wallet.arrivals
    for source in wallet.moved_from:
        moved = departed(source, project(source, now=now)).get(wallet.terms.id, ())
        arrivals = replaced(arrivals, source, moved, since=source.since, through=now)
    return replace(wallet, arrivals=arrivals)


def _tokens(wallet: WalletState, now: datetime) -> Iterator[Cell]:
    """Yield the token cells of the usage of the source wallets."""
    for source in wallet.sources:
        assert wallet.token_wallet is not None, wallet
        results = project(source, now=now).results
        lines = rated(source, results)
        due = tokens_of(wallet.token_wallet, source.payers, source.cells, results, lines)
        yield from (cell for _, cell in due)


def _next_change(wallet: WalletState, settlement: Settlement, now: datetime) -> datetime:
    """Return the time at which the balance changes without new usage.

    A grant starts or ends, or the rating period ends, here or in a source wallet.
    """
    own = _own_change(wallet, settlement, now)
    sources = (*wallet.sources, *wallet.moved_from)
    changes = (_next_change(source, project(source, now=now), now) for source in sources)
    return min(own, *changes) if sources else own


def _own_change(wallet: WalletState, settlement: Settlement, now: datetime) -> datetime:
    zone = wallet.terms.zone
    ends = [wallet.period.end]
    ends += [edge for grant in settlement.grants for edge in (grant.start, grant.expire) if edge]
    ends += [
        start
        for entitlement in wallet.entitlements
        # An issue that is still to come changes the balance when it starts.
        if (start := next_start(entitlement, zone, after=now))
    ]
    return min((edge for edge in ends if edge > now), default=FOREVER)


def _grant_balances(
    posted: tuple[Grant, ...], settlement: Settlement, now: datetime
) -> tuple[GrantBalance, ...]:
    known = {grant.id: grant.balance for grant in posted}
    return tuple(
        GrantBalance(
            grant=grant,
            is_open=grant.is_open(now),
            # Grants that are not in the ledger yet have no posted balance.
            is_provisional=known.get(grant.id) != grant.balance,
        )
        for grant in sorted(settlement.grants, key=lambda grant: (grant.start, grant.id))
    )


def _charges(lines: Iterable[RatableLine]) -> tuple[Charge, ...]:
    by_asset: dict[tuple[int, AssetId, UnitId | None], list[RatableLine]] = {}
    for line in lines:
        unit = line.terms.unit if line.terms else None
        key = (line.key.asset_number, line.key.asset_id, unit)
        by_asset.setdefault(key, []).append(line)
    in_order = sorted(by_asset, key=lambda key: (key[0], key[1], key[2] or ""))
    return tuple(
        _charge(asset_id, unit, by_asset[number, asset_id, unit])
        for number, asset_id, unit in in_order
    )


def _charge(asset_id: AssetId, unit: UnitId | None, lines: list[RatableLine]) -> Charge:
    failure = next((line.failure for line in lines if line.failure), None)
    amounts = [line.amount for line in lines if line.amount is not None]
    amount = None if failure else sum(amounts, ZERO)
    return Charge(asset_id=asset_id, unit=unit, amount=amount, failure=failure)
