"""The books of wallets before and after a dry run, and the difference in money.

Final periods have what was booked for them, with all corrections; periods that are open have what
their usage costs so far, as balances and previews compute it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from server.domain.billing.corrections import Booked
from server.domain.calendar import Period
from server.domain.consumption.record_runs import RunBalance, RunLine, RunMoney
from server.domain.exact import ZERO, exact
from server.domain.ids import AssetId, ResourceId, UnitId, WalletId
from server.domain.settlement.ratable_lines import UsageKey
from server.domain.settlement.wallet_states import WalletState
from server.domain.wallets.balances import balance
from server.domain.wallets.preview import projection_of

NO_UNIT = UnitId("")


class LineKey(NamedTuple):
    """The usage of an asset in one rating period, final or open, in one currency or token."""

    wallet_id: WalletId
    origin_start: datetime
    origin_end: datetime
    asset_id: AssetId
    is_final: bool
    unit: UnitId


class Sums(NamedTuple):
    """The sums of some lines; `failure` is the reason of one without an amount."""

    used: Decimal = ZERO
    overage: Decimal = ZERO
    amount: Decimal = ZERO
    failure: str = ""


@dataclass(frozen=True, slots=True)
class WalletBooks:
    """A wallet at one moment: its resource, its balance, and the sums of its lines."""

    resource_id: ResourceId
    balance: Decimal
    lines: Mapping[LineKey, Sums]


@exact
def wallet_books(
    state: WalletState,
    resource_id: ResourceId,
    booked: Mapping[UsageKey, Booked],
    period_of: Callable[[datetime], Period],
    now: datetime,
) -> WalletBooks:
    """Return the books of a wallet at `now`; `booked` are its final lines.

    `period_of` returns the rating period that begins at a time.
    """
    wallet_id = state.terms.id
    lines: dict[LineKey, Sums] = {}
    for usage, line in booked.items():
        unit = line.unit or NO_UNIT
        origin = period_of(usage.origin_start)
        key = LineKey(wallet_id, origin.start, origin.end, usage.asset_id, True, unit)
        _add(lines, key, Sums(line.used, line.overage, line.amount or ZERO, line.failure))
    for open_line in projection_of(state, now=now).lines.values():
        unit = open_line.terms.unit if open_line.terms else NO_UNIT
        origin = period_of(open_line.key.origin_start)
        asset_id = open_line.key.asset_id
        key = LineKey(wallet_id, origin.start, origin.end, asset_id, False, unit)
        amount, failure = open_line.amount or ZERO, open_line.failure or ""
        _add(lines, key, Sums(open_line.used, open_line.overage, amount, failure))
    return WalletBooks(resource_id, balance(state, now=now).balance, lines)


@exact
def compared(
    before: Mapping[WalletId, WalletBooks], after: Mapping[WalletId, WalletBooks]
) -> RunMoney:
    """Return the lines and the balances that differ, of the same wallets."""
    lines: list[RunLine] = []
    balances: list[RunBalance] = []
    for wallet_id, old in sorted(before.items()):
        new, resource_id = after[wallet_id], old.resource_id
        if old.balance != new.balance:
            balances.append(
                RunBalance(
                    wallet_id=wallet_id,
                    resource_id=resource_id,
                    before=old.balance,
                    after=new.balance,
                )
            )
        for key in sorted(old.lines.keys() | new.lines.keys()):
            was, now = old.lines.get(key, Sums()), new.lines.get(key, Sums())
            if was != now:
                lines.append(_line(key, resource_id, was, now))
    return RunMoney(lines=tuple(lines), balances=tuple(balances))


def _line(key: LineKey, resource_id: ResourceId, was: Sums, now: Sums) -> RunLine:
    return RunLine(
        wallet_id=key.wallet_id,
        asset_id=key.asset_id,
        resource_id=resource_id,
        origin=Period(key.origin_start, key.origin_end),
        is_final=key.is_final,
        unit=key.unit,
        used=now.used - was.used,
        overage=now.overage - was.overage,
        before=was.amount,
        after=now.amount,
        failure=now.failure,
    )


def _add(lines: dict[LineKey, Sums], key: LineKey, one: Sums) -> None:
    sums = lines.get(key, Sums())
    lines[key] = Sums(
        sums.used + one.used,
        sums.overage + one.overage,
        sums.amount + one.amount,
        sums.failure or one.failure,
    )
