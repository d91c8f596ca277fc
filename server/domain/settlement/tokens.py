"""Tokens and spend: the cost of usage becomes usage of another wallet.

A resource with a token is rated twice. Its overage is rated in tokens. Grants of the token pay for
these tokens, and the rest is rated in money. Each cell whose overage costs tokens becomes one cell
of the token's wallet, of the same asset and the same time.

A commitment to spend has a wallet of money. The amounts that are rated with the commitment's rates
are still owed, and they also become usage of that wallet, of the commitment's asset: its grants are
the spend that was promised, and what is left of one when it expires is the shortfall. Source: token
resources, two-step rating; monetary commitments.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from server.domain.calendar import Period, PolicyPeriod, rating_period
from server.domain.consumption.cells import NO_RECORD, Cell, Measure
from server.domain.consumption.dimensions import dimensions_of
from server.domain.exact import PLACES, ZERO, Rounding, divide, exact, round_to
from server.domain.ids import AssetId, CellId, UnitId, WalletId, derive
from server.domain.rating.line_rating import rate_line
from server.domain.rating.procedures.packages import before
from server.domain.rating.procedures.state import Line
from server.domain.settlement.ratable_lines import RatableLine
from server.domain.settlement.walk import SettledIncrement

Payers = Mapping[AssetId, int]
"""The assets through which lines cost tokens or count as spend, with their numbers.

They are anchors whose usage is rated in a token, and commitments to spend.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenWallet:
    """A wallet of tokens or of spend, and the calendar of its rating periods."""

    id: WalletId
    unit: UnitId
    zone: str
    anchor: date
    length: PolicyPeriod

    def period_of(self, instant: datetime) -> Period:
        """Return the rating period that contains `instant`."""
        return rating_period(self.zone, self.anchor, self.length, instant)


@exact
def tokens_of(
    token_wallet: TokenWallet,
    payers: Payers,
    cells: Iterable[Cell],
    results: Iterable[SettledIncrement],
    lines: Iterable[RatableLine],
) -> tuple[tuple[CellId, Cell], ...]:
    """Return the cells of tokens or spend that settled usage costs, each with its source cell's id.

    The tokens of a line's cells add up to the amount of the line, to 12 places. A line that could
    not be rated makes no cells; its failure is on the line.
    """
    known = {cell.id: cell for cell in cells}
    overages = {result.increment.cell_id: result.overage for result in results}
    return tuple(
        (cell_id, _token_cell(token_wallet, known[cell_id], (payer, payers[payer]), tokens))
        for line in lines
        if line.amount is not None
        and line.terms is not None
        and line.terms.unit == token_wallet.unit
        and (payer := payer_of(line, payers)) is not None
        for cell_id, tokens in _shares(line, overages)
    )


def payer_of(line: RatableLine, payers: Payers) -> AssetId | None:
    """Return the payer through which a line costs tokens or counts as spend, or None.

    It is the asset of the line, or the commitment whose rates the line is rated with.
    """
    if line.key.asset_id in payers:
        return line.key.asset_id
    committed = () if line.terms is None else line.terms.committed
    promised = (terms.commitment for terms in committed)
    return next((asset_id for asset_id in promised if asset_id in payers), None)


def _shares(
    line: RatableLine, overages: Mapping[CellId, Decimal]
) -> Iterator[tuple[CellId, Decimal]]:
    """Yield each cell's part of a line's tokens: tokens through the cell less tokens before it."""
    overage = tokens = ZERO
    for cell_id in line.cell_ids:
        overage += overages[cell_id]
        # Differences of running totals add up to the whole line; rounding each cell by itself would
        # not.
        through = _tokens(line, overage)
        if through > tokens:
            yield cell_id, through - tokens
            tokens = through


def _tokens(line: RatableLine, overage: Decimal) -> Decimal:
    """Return the tokens that the first `overage` units of a line cost.

    Under a procedure of the tenant's own they cost their share of the line's amount in proportion,
    because such a procedure may read all lines together, and the number of units.
    """
    if line.version is not None and line.amount is not None and line.overage:
        tokens = round_to(line.amount, PLACES, Rounding.HALF_EVEN)
        return divide(tokens * overage, line.overage, places=PLACES, mode=Rounding.HALF_EVEN)
    rated = rate_line(
        Line(
            quantity=overage,
            terms=line.terms and line.terms.used_with(dimensions_of(line.key.dimensions)),
            tier_quantity=line.tier_quantity,
            before=line.before,
            used=line.origin_used,
            overage=line.overage_policy,
            packages=before(line.packaged),
            flat_tiers=set(line.flat_before),
        )
    )
    return round_to(rated.amount, PLACES, Rounding.HALF_EVEN)


def token_cell_id(cell_id: CellId, wallet_id: WalletId) -> CellId:
    """Return the id of the cell in a wallet of tokens that the usage of a cell becomes."""
    return CellId(derive(cell_id, "tokens", wallet_id))


def _token_cell(
    token_wallet: TokenWallet, cell: Cell, payer: tuple[AssetId, int], tokens: Decimal
) -> Cell:
    asset_id, number = payer
    return Cell(
        id=token_cell_id(cell.id, token_wallet.id),
        wallet_id=token_wallet.id,
        asset_id=asset_id,
        asset_number=number,
        start=cell.start,
        end=cell.end,
        period=token_wallet.period_of(cell.start),
        # The tokens of a cell are one figure, with no single record behind it.
        measure=Measure.of(tokens, cell.start, NO_RECORD),
    )
