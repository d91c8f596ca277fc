"""Wallets as they are stored, and the one walk over their usage.

The close of a rating period, the live balance, a preview and a replay draw usage by it and make
ratable lines of what it says; a replay and a verification of what is final start from what was
drawn then.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from server.domain.calendar import Period
from server.domain.consumption.aggregation import Cell, increments
from server.domain.exact import exact
from server.domain.rating.compiled_rating import SHIPPED, RatingVersionSource
from server.domain.selling.grants import Entitlement, Grant
from server.domain.settlement.ratable_lines import Origin, RatableLine, Rates, Tally, ratable_lines
from server.domain.settlement.tokens import TokenWallet
from server.domain.settlement.walk import (
    Commitments,
    SettledIncrement,
    Settlement,
    WalletTerms,
    settle,
    settled_anew,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletState:
    """One wallet as stored: `grants` with posted balances, `cells` that are not final.

    `settled` holds the final cells of origins that some of `cells` correct, and `rated_before` what
    of those origins is rated. `period` is the rating period around now. A wallet of tokens
    has a `purse`, and as `sources` the wallets of what is rated in them. `raters` are the versions
    of the tenant's procedure.
    """

    terms: WalletTerms
    grants: tuple[Grant, ...]
    entitlements: tuple[Entitlement, ...]
    cells: tuple[Cell, ...]
    period: Period
    settled: tuple[Cell, ...] = ()
    rates: Rates = field(default_factory=dict)
    rated_before: Mapping[Origin, Tally] = field(default_factory=dict)
    commitments: Commitments = field(default_factory=dict)
    raters: RatingVersionSource = SHIPPED
    token_wallet: TokenWallet | None = None
    sources: tuple["WalletState", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalCell:
    """A cell, and what it was said to add, to draw and to leave as overage."""

    cell: Cell
    quantity: Decimal
    drawn: Decimal
    overage: Decimal


@exact
def walked(wallet: WalletState, cells: Sequence[Cell], *, through: datetime) -> Settlement:
    """Return how usage of a wallet is paid for, with every boundary up to and with `through`."""
    terms = wallet.terms
    return settle(
        terms,
        wallet.grants,
        wallet.entitlements,
        increments(cells, terms.aggregation, zone=terms.zone, settled=wallet.settled),
        through=through,
        commitments=wallet.commitments,
    )


@exact
def walked_anew(
    wallet: WalletState, cells: Sequence[Cell], commitments: Commitments
) -> tuple[SettledIncrement, ...]:
    """Return how all usage of a wallet would be paid for, from its first grant on."""
    terms = wallet.terms
    found = increments(cells, terms.aggregation, zone=terms.zone)
    ends = {cell.period.start: cell.period.end for cell in cells}
    return settled_anew(terms, wallet.entitlements, found, ends, commitments)


@exact
def as_drawn(wallet: WalletState, final: Iterable[FinalCell]) -> tuple[SettledIncrement, ...]:
    """Return how the final usage of a wallet was paid for, as its cells say."""
    kept = {one.cell.id: one for one in final}
    cells = [one.cell for one in kept.values()]
    found = increments(cells, wallet.terms.aggregation, zone=wallet.terms.zone)
    return tuple(
        SettledIncrement(
            increment=one,
            drawn=kept[one.cell_id].drawn,
            overage=kept[one.cell_id].overage,
            debits=(),
        )
        for one in found
    )


@exact
def rated(wallet: WalletState, results: Sequence[SettledIncrement]) -> tuple[RatableLine, ...]:
    """Return what usage of a wallet, drawn like this, is rated as."""
    return ratable_lines(
        wallet.terms.id,
        results,
        wallet.rates,
        rated_before=wallet.rated_before,
        raters=wallet.raters,
    )
