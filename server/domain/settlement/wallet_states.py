"""Wallets as they are stored, and the one walk over their usage.

Closing a rating period, the live balance, a preview and a replay all draw usage by this walk and
make ratable lines of its result. A replay and a verification of final usage start from the stored
drawdown.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from server.domain.calendar import Period
from server.domain.consumption.aggregation import Increment, increments
from server.domain.consumption.cells import Cell
from server.domain.consumption.gauges import Services
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
    """One wallet as stored: `grants` with posted balances, and the `cells` that are not final.

    `settled` has the final cells of the origins that `cells` correct, and `rated_before` the rated
    part of those origins. `period` is the rating period around now. A wallet of tokens has a
    `token_wallet`, and in `sources` the wallets whose resources are rated in the token.
    `services` has the time for which each asset is sold. `rating_versions` are the versions of the
    tenant's procedure.
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
    services: Services = field(default_factory=dict)
    rating_versions: RatingVersionSource = SHIPPED
    token_wallet: TokenWallet | None = None
    sources: tuple["WalletState", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalCell:
    """A cell with its stored quantity, drawn quantity and overage."""

    cell: Cell
    quantity: Decimal
    drawn: Decimal
    overage: Decimal


@exact
def walked(wallet: WalletState, cells: Sequence[Cell], *, through: datetime) -> Settlement:
    """Return the settlement of a wallet's usage, with all boundaries up to and at `through`."""
    terms = wallet.terms
    return settle(
        terms,
        wallet.grants,
        wallet.entitlements,
        _drawn_at_the_end(terms, _increments(wallet, cells, wallet.settled), through),
        through=through,
        commitments=wallet.commitments,
    )


@exact
def walked_anew(
    wallet: WalletState, cells: Sequence[Cell], commitments: Commitments
) -> tuple[SettledIncrement, ...]:
    """Return the payment of all usage of a wallet, computed from its first grant on."""
    terms = wallet.terms
    added = _drawn_at_the_end(terms, _increments(wallet, cells), None)
    ends = {cell.period.start: cell.period.end for cell in cells}
    return settled_anew(terms, wallet.entitlements, added, ends, commitments)


@exact
def as_drawn(wallet: WalletState, final: Iterable[FinalCell]) -> tuple[SettledIncrement, ...]:
    """Return the payment of a wallet's final usage, as its cells have it."""
    final_cells = {item.cell.id: item for item in final}
    cells = [item.cell for item in final_cells.values()]
    added = _increments(wallet, cells)
    return tuple(
        SettledIncrement(
            increment=item,
            drawn=final_cells[item.cell_id].drawn,
            overage=final_cells[item.cell_id].overage,
            # Cells store totals only; the ledger has the grants that paid.
            debits=(),
        )
        for item in added
    )


@exact
def rated(wallet: WalletState, results: Sequence[SettledIncrement]) -> tuple[RatableLine, ...]:
    """Return the ratable lines of a wallet's usage with this drawdown."""
    return ratable_lines(
        wallet.terms.id,
        results,
        wallet.rates,
        rated_before=wallet.rated_before,
        rating_versions=wallet.rating_versions,
    )


def _increments(
    wallet: WalletState, cells: Iterable[Cell], settled: Iterable[Cell] = ()
) -> tuple[Increment, ...]:
    terms = wallet.terms
    return increments(
        cells,
        terms.aggregation,
        zone=terms.zone,
        settled=settled,
        rounding=terms.rounding,
        services=wallet.services,
    )


def _drawn_at_the_end(
    terms: WalletTerms, added: tuple[Increment, ...], through: datetime | None
) -> tuple[Increment, ...]:
    """Draw figures that can fall at the end of service in their period, when they are known.

    Until then they are drawn at `through`, as if they were final.
    """
    if terms.aggregation.method.only_grows:
        return added
    found = []
    for item in added:
        end = item.rated_at if through is None else min(item.rated_at, through)
        at = max(item.at, end)
        found.append(replace(item, at=at, used_at=max(item.used_at, at)))
    return tuple(found)
