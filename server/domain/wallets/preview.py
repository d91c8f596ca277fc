"""Preview: the effect of usage on wallets, as a difference of two projections.

A wallet is projected without and with the usage, by the function that computes its balance. The
effect is the difference of what is drawn, left and charged. Tiers, grants and policies therefore
apply to all usage of the wallet, and lines taken in turn add up to their joint effect.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from server.domain.consumption.cells import Cell
from server.domain.exact import ZERO, exact
from server.domain.ids import CellId, GrantId, RatableSummaryId, UnitId, WalletId
from server.domain.settlement.drawdown import Debit
from server.domain.settlement.ratable_lines import RatableLine
from server.domain.settlement.tokens import token_cell_id
from server.domain.settlement.walk import SettledIncrement
from server.domain.settlement.wallet_states import WalletState, rated
from server.domain.wallets.balances import project
from server.domain.wallets.blocking import with_usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """A wallet with the settlement and the lines of its usage that is not final."""

    state: WalletState
    results: tuple[SettledIncrement, ...]
    lines: Mapping[RatableSummaryId, RatableLine]

    @property
    @exact
    def used(self) -> Decimal:
        """The used quantity."""
        return sum((result.increment.quantity for result in self.results), ZERO)

    @property
    @exact
    def overage(self) -> Decimal:
        """The used quantity that no grant covers."""
        return sum((result.overage for result in self.results), ZERO)


Projections = Mapping[WalletId, Projection]
"""Wallets by id: the used ones, and those of the tokens in which they are rated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """The difference that usage makes to a wallet and to all assets that share it.

    `line` is the ratable line of the usage, with everything that is rated together with it. Without
    an `amount`, `failure` has the reason.
    """

    wallet_id: WalletId
    used: Decimal
    overage: Decimal
    debits: tuple[Debit, ...]
    unit: UnitId | None
    amount: Decimal | None
    failure: str | None
    line: RatableLine | None

    @property
    def is_nothing(self) -> bool:
        """True if nothing changes."""
        return not (self.used or self.overage or self.debits or self.amount or self.failure)


@exact
def projection_of(state: WalletState, *, now: datetime) -> Projection:
    """Return a wallet as it would be if all its usage were final now."""
    results = project(state, now=now).results
    return Projection(
        state=state, results=results, lines={line.id: line for line in rated(state, results)}
    )


def used(
    projections: Projections, cell: Cell, *, now: datetime
) -> tuple[tuple[Effect, ...], Projections]:
    """Return the effects of usage on its wallet and on others that change, and the projections."""
    after = added(projections, cell, now=now)
    found = [effect(projections[key], after[key], _cells(cell, key)) for key in after]
    effects = tuple(
        change for change in found if change.wallet_id == cell.wallet_id or not change.is_nothing
    )
    return effects, {**projections, **after}


def uncovered(
    before: Projections, after: Projections, blocking: Iterable[WalletId]
) -> WalletId | None:
    """Return the first of the blocking wallets whose overage grows."""
    grown = (key for key in blocking if after[key].overage > before[key].overage)
    return next(grown, None)


def _cells(cell: Cell, wallet_id: WalletId) -> list[CellId]:
    """Return the id of the usage's cell in its own wallet, or in the wallet of its tokens."""
    is_own = wallet_id == cell.wallet_id
    return [cell.id if is_own else token_cell_id(cell.id, wallet_id)]


def added(projections: Projections, cell: Cell, *, now: datetime) -> dict[WalletId, Projection]:
    """Return the affected wallets with more usage: its own first, then those of its tokens."""
    touched = [
        projection
        for projection in projections.values()
        if touches(projection.state, cell.wallet_id)
    ]
    # The first effect is that on the wallet of the usage; callers rely on it.
    own_first = sorted(
        touched,
        key=lambda projection: (
            projection.state.terms.id != cell.wallet_id,
            projection.state.terms.id,
        ),
    )
    return {
        projection.state.terms.id: projection_of(with_usage(projection.state, [cell]), now=now)
        for projection in own_first
    }


@exact
def effect(before: Projection, after: Projection, cell_ids: Iterable[CellId]) -> Effect:
    """Return the difference in a wallet after usage of these cells."""
    amounts, failure = _amounts(before, after)
    wanted = set(cell_ids)
    line = next((line for line in after.lines.values() if wanted & set(line.cell_ids)), None)
    own = line.terms.unit if line is not None and line.terms is not None else None
    unit = next(iter(amounts), own)
    # Amounts in different units cannot be added to one.
    if len(amounts) > 1:
        failure = failure or "CURRENCY_MISMATCH"
    return Effect(
        wallet_id=after.state.terms.id,
        used=after.used - before.used,
        overage=after.overage - before.overage,
        debits=_debits(before, after),
        unit=unit,
        amount=None if failure else amounts.get(unit, ZERO) if unit else ZERO,
        failure=failure,
        line=line,
    )


def touches(state: WalletState, wallet_id: WalletId) -> bool:
    """Return whether usage of `wallet_id` changes the wallet: its own, by its tokens or a move."""
    return state.terms.id == wallet_id or any(
        source.terms.id == wallet_id for source in (*state.sources, *state.moved_from)
    )


def _debits(before: Projection, after: Projection) -> tuple[Debit, ...]:
    """Return the change of each grant's payments, in the order of their first payment."""
    old, new = _paid(before), _paid(after)
    changed = (
        Debit(
            grant_id, *(n - o for n, o in zip(_of(new, grant_id), _of(old, grant_id), strict=True))
        )
        for grant_id in dict.fromkeys((*new, *old))
    )
    return tuple(debit for debit in changed if debit.quantity or debit.amount)


def _of(paid: Mapping[GrantId, tuple[Decimal, Decimal]], grant_id: GrantId) -> tuple[Decimal, ...]:
    return paid.get(grant_id, (ZERO, ZERO))


def _paid(projection: Projection) -> dict[GrantId, tuple[Decimal, Decimal]]:
    found: dict[GrantId, tuple[Decimal, Decimal]] = {}
    for result in projection.results:
        for debit in result.debits:
            quantity, amount = found.get(debit.grant_id, (ZERO, ZERO))
            found[debit.grant_id] = (quantity + debit.quantity, amount + debit.amount)
    return found


def _amounts(before: Projection, after: Projection) -> tuple[dict[UnitId, Decimal], str | None]:
    """Return the change of amounts by unit, and the failure of a changed line without an amount."""
    found: dict[UnitId, Decimal] = {}
    failure = None
    for line_id in dict.fromkeys((*after.lines, *before.lines)):
        new, old = after.lines.get(line_id), before.lines.get(line_id)
        if new is not None and old is not None and _figures(new) == _figures(old):
            continue
        for line, sign in ((new, 1), (old, -1)):
            if line is None:
                continue
            failure = failure or line.failure
            if line.terms is not None and line.amount is not None:
                unit = line.terms.unit
                found[unit] = found.get(unit, ZERO) + sign * line.amount
    # A single unit is kept even with a difference of zero, so that the effect has a unit.
    is_one = len(found) == 1
    return {unit: one for unit, one in found.items() if one or is_one}, failure


def _figures(line: RatableLine) -> tuple[Decimal, Decimal, Decimal | None, str | None]:
    return line.used, line.overage, line.amount, line.failure
