"""Wallets as they are stored, and the one walk over their usage.

Closing a rating period, correcting final ones, the live balance, a preview, a replay and a
verification all draw usage by this walk and make ratable lines of its result.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from server.domain.calendar import Period
from server.domain.consumption.aggregation import (
    NO_PRECEDENCE,
    Increment,
    Precedence,
    increments,
)
from server.domain.consumption.cells import Cell
from server.domain.consumption.gauges import Services
from server.domain.exact import PLACES, ZERO, Rounding, divide, exact
from server.domain.rating.compiled_rating import SHIPPED, RatingVersionSource
from server.domain.rating.rates import RateTerms
from server.domain.selling.grants import Entitlement, Grant
from server.domain.settlement.ratable_lines import RatableLine, Rates, ratable_lines
from server.domain.settlement.tokens import Payers, TokenWallet
from server.domain.settlement.walk import (
    Commitments,
    SettledIncrement,
    Settlement,
    WalletTerms,
    settle,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletState:
    """One wallet as it was before the first rating period of `cells`, and all usage since then.

    `grants` and `entitlements` are as they were then. Usually these periods are not final yet; if
    usage of final periods is not taken in, they begin with the earliest of these, and `posted` are
    the grants as the ledger has them now. `period` is the rating period around now. A wallet of
    tokens or of spend has a `token_wallet`, and in `sources` the wallets whose resources are rated
    in the token or count as spend, each with the `payers` through which they do. `services` has the
    time for which each asset is sold. `rating_versions` are the versions of the tenant's procedure.

    `since` is then, if these periods are final, and else the end of the last final one, if any.
    `arrivals` are what other wallets moved here since then, as it was posted. `moved_from` are
    those of these wallets whose moves are not posted, or change with usage that is not taken in.
    """

    terms: WalletTerms
    grants: tuple[Grant, ...]
    entitlements: tuple[Entitlement, ...]
    cells: tuple[Cell, ...]
    period: Period
    posted: tuple[Grant, ...] | None = None
    rates: Rates = field(default_factory=dict)
    commitments: Commitments = field(default_factory=dict)
    services: Services = field(default_factory=dict)
    rating_versions: RatingVersionSource = SHIPPED
    token_wallet: TokenWallet | None = None
    sources: tuple["WalletState", ...] = ()
    payers: Payers = field(default_factory=dict)
    since: datetime | None = None
    arrivals: tuple[Grant, ...] = ()
    moved_from: tuple["WalletState", ...] = ()

    @property
    def posted_grants(self) -> tuple[Grant, ...]:
        """The grants with the balances of the ledger."""
        return self.grants if self.posted is None else self.posted


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
        _drawn_at_the_end(terms, _increments(wallet, cells), through),
        through=through,
        commitments=wallet.commitments,
        arrivals=wallet.arrivals,
    )


@exact
def walked_anew(wallet: WalletState, cells: Sequence[Cell]) -> Settlement:
    """Return the settlement of whole periods of a wallet, computed from its first grant on."""
    # Without `next_index` the walk issues every grant again, with the ids that they have already.
    unissued = tuple(replace(entitlement, next_index=None) for entitlement in wallet.entitlements)
    through = max((cell.period.end for cell in cells), default=wallet.period.start)
    return walked(replace(wallet, grants=(), entitlements=unissued), cells, through=through)


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
        wallet.terms.id, results, wallet.rates, rating_versions=wallet.rating_versions
    )


def _increments(wallet: WalletState, cells: Iterable[Cell]) -> tuple[Increment, ...]:
    terms = wallet.terms
    added = increments(
        cells,
        terms.aggregation,
        zone=terms.zone,
        rounding=terms.rounding,
        services=wallet.services,
    )
    # Only assets that share a wallet have to take turns.
    if len(wallet.services) < 2:
        return added
    precedence = _precedences(wallet)
    return tuple(replace(item, precedence=precedence(item)) for item in added)


def _precedences(wallet: WalletState) -> Callable[[Increment], Precedence]:
    """Return a function that returns the precedence of an increment."""

    def of(item: Increment) -> Precedence:
        service = wallet.services.get(item.asset_id)
        # An asset that is bound elsewhere later keeps its place among the others.
        end = (service and (service.sold_until or service.end)) or NO_PRECEDENCE.end
        segments = wallet.rates.get(item.asset_id, ())
        segment = next((one for one in segments if one.contains(item.rated_at)), None)
        terms = None if segment is None else segment.terms
        return Precedence(end, ZERO if terms is None else -_dearest(terms))

    return of


def _dearest(terms: RateTerms) -> Decimal:
    """Return the rate of a unit before tiers, or without one the highest that a tier sets."""
    rate = terms.effective_rate
    if rate is not None:
        return divide(rate.value, rate.per, places=PLACES, mode=Rounding.HALF_EVEN)
    set_by_tiers = (tier.adjustment.value for tier in terms.effective_tiers)
    highest = max(set_by_tiers, default=ZERO)
    return divide(highest, terms.per, places=PLACES, mode=Rounding.HALF_EVEN)


def _drawn_at_the_end(
    terms: WalletTerms, added: tuple[Increment, ...], through: datetime
) -> tuple[Increment, ...]:
    """Draw figures that can fall at the end of service in their period, when they are known.

    Until then they are drawn at `through`, as if they were final.
    """
    if terms.aggregation.method.only_grows:
        return added
    found = []
    for item in added:
        at = max(item.at, min(item.rated_at, through))
        found.append(replace(item, at=at, used_at=max(item.used_at, at)))
    return tuple(found)
