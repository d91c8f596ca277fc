"""Replay rates: final usage priced again by a price book, beside what it came to.

Everything is read at one moment and nothing is written. The rates of before are replayed too: where
they do not give what is kept, or where other wallets would change as well, there is no answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from server.domain.calendar import Period, local_date
from server.domain.consuming.aggregation import increments
from server.domain.errors import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Unimplemented,
    UsageError,
)
from server.domain.ids import (
    AccountId,
    AssetId,
    PriceBookId,
    ProductId,
    RatableSummaryId,
    TenantId,
    WalletId,
)
from server.domain.pricing.rate_index import CatalogueRates, Question, RateNotFound
from server.domain.pricing.rates import RateTerms
from server.domain.pricing.replay import Pair, Stretch, at_other_rates
from server.domain.settling.settlement import Result
from server.domain.settling.summaries import RatableLine, ratable_lines
from server.store import accounts
from server.store.pool import Connection
from server.store.pricing import replay as store
from server.store.pricing.rate_snapshots import compiled, compiled_trial, rows_of_product
from server.store.pricing.replay import RatedLine, SoldAs
from server.store.selling import quotes
from server.store.settling import wallets
from server.store.settling.verification import final_cells, rated_lines
from server.store.settling.wallets import StoredWallet
from server.usecases.pricing.procedures import as_rated

MOST_LINES = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayRates:
    """The usage of an account, or of one asset, of rating periods that start within a time.

    Without a day each stretch of rates is priced as of its first day. `with_drafts` those of the
    price book price as if they were active.
    """

    account_id: AccountId
    price_book_id: PriceBookId
    day: date | None
    asset_id: AssetId | None
    within: Period
    with_drafts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """A line as it was rated and as it would have been; `error` says why it is not replayed."""

    line: RatedLine
    replay: RatableLine | None = None
    error: UsageError | None = None

    @property
    def pair(self) -> Pair:
        """Both amounts."""
        replayed = None if self.error or self.replay is None else self.replay.amount
        return Pair(unit=self.line.unit, rated=self.line.amount, replayed=replayed)


async def replay(tx: Connection, tenant_id: TenantId, command: ReplayRates) -> list[Replayed]:
    """What each ratable line would have come to, oldest first; `tx` should see one moment.

    Raises ACCOUNT_NOT_FOUND, PRICE_BOOK_NOT_FOUND, ASSET_NOT_FOUND, TOO_MANY_ITEMS.
    """
    account_id = command.account_id
    await accounts.get(tx, tenant_id, account_id)
    await quotes.check_price_book(tx, tenant_id, command.price_book_id)
    sold = await store.sold_as(tx, tenant_id, account_id)
    if command.asset_id is not None and command.asset_id not in sold:
        raise NotFound.of("Asset", f"accounts/{account_id}/assets/{command.asset_id}")
    key = (tenant_id, account_id, command.asset_id, command.within)
    lines = await store.rated_lines(tx, *key, limit=MOST_LINES + 1)
    if len(lines) > MOST_LINES:
        text = f"there are more than {MOST_LINES} ratable summaries; name a shorter time"
        raise InvalidArgument.at("end_time", "TOO_MANY_ITEMS", text, limit=str(MOST_LINES))
    world = _World(tx, tenant_id, command, sold)
    again: dict[RatableSummaryId, Replayed] = {}
    for wallet_id in sorted({line.wallet_id for line in lines}):
        own = [line for line in lines if line.wallet_id == wallet_id]
        again |= {one.line.id: one for one in await _wallet_again(world, wallet_id, own)}
    return [again[line.id] for line in lines]


@dataclass(frozen=True, slots=True)
class _World:
    """Where a replay reads, and what it is to be."""

    tx: Connection
    tenant_id: TenantId
    command: ReplayRates
    sold: Mapping[AssetId, SoldAs]

    async def rates_of(self, product_id: ProductId) -> CatalogueRates:
        """The rates of a product in the price book."""
        key = (self.tenant_id, self.command.price_book_id, product_id)
        with_drafts = self.command.with_drafts
        rows = await rows_of_product(self.tx, *key, with_drafts=with_drafts)
        return compiled_trial(rows) if with_drafts else compiled(rows)


async def _wallet_again(
    world: _World, wallet_id: WalletId, lines: Sequence[RatedLine]
) -> list[Replayed]:
    """The lines of one wallet, rated as they were and as they would have been."""
    key = (world.tenant_id, world.command.account_id, wallet_id)
    wallet = await wallets.get(world.tx, *key, with_sources=True)
    obstacle = _obstacle(wallet)
    if obstacle is not None:
        return [Replayed(line=line, error=obstacle) for line in lines]
    results = await _results(world, wallet)
    rates = wallet.state.rates
    kept = await rated_lines(world.tx, *key)
    raters = await as_rated(world.tx, world.tenant_id, wallet, kept)
    before = {one.id: one for one in ratable_lines(wallet_id, results, rates, raters=raters)}
    terms = await _terms(world, wallet)
    other = at_other_rates(rates, terms)
    after = {one.id: one for one in ratable_lines(wallet_id, results, other, raters=raters)}
    return [_compared(line, before.get(line.id), after.get(line.id), terms) for line in lines]


def _compared(
    line: RatedLine,
    before: RatableLine | None,
    after: RatableLine | None,
    terms: Mapping[Stretch, RateTerms | UsageError],
) -> Replayed:
    if before is None or after is None or not _is_same(line, before):
        text = "its rates do not give what it came to; `usage verify` says more"
        return Replayed(line=line, error=_not_supported(text))
    if after.amount is not None:
        return Replayed(line=line, replay=after)
    found = terms.get((line.asset_id, line.segment_start))
    if isinstance(found, UsageError):
        return Replayed(line=line, error=found)
    text = f"{line.resource_id} cannot be priced by these rates: {after.failure_text}"
    return Replayed(line=line, replay=after, error=FailedPrecondition(after.failure or "", text))


def _is_same(line: RatedLine, again: RatableLine) -> bool:
    return (line.overage, line.amount) == (again.overage, again.amount)


async def _results(world: _World, wallet: StoredWallet) -> list[Result]:
    """How the final usage of a wallet was paid for."""
    found = await final_cells(world.tx, world.tenant_id, wallet.account_id, wallet.id)
    kept = {one.cell.id: one for one in found}
    terms = wallet.state.terms
    results = []
    for one in increments([one.cell for one in found], terms.aggregation, zone=terms.zone):
        cell = kept[one.cell_id]
        results.append(Result(increment=one, drawn=cell.drawn, overage=cell.overage, debits=()))
    return results


async def _terms(world: _World, wallet: StoredWallet) -> dict[Stretch, RateTerms | UsageError]:
    """What the price book says for each stretch of rates of the wallet's assets."""
    by_product: dict[ProductId, CatalogueRates] = {}
    found: dict[Stretch, RateTerms | UsageError] = {}
    for asset_id, segments in wallet.state.rates.items():
        of = world.sold[asset_id]
        if of.product_id not in by_product:
            by_product[of.product_id] = await world.rates_of(of.product_id)
        for segment in segments:
            question = Question(
                world.command.price_book_id,
                of.product_id,
                wallet.resource_id,
                wallet.currency_code,
                world.command.day or local_date(wallet.zone, segment.start),
                of.selling_model_id,
            )
            try:
                terms = by_product[of.product_id].find(question).terms
                found[asset_id, segment.start] = terms
            except RateNotFound as error:
                found[asset_id, segment.start] = error
    return found


def _obstacle(wallet: StoredWallet) -> Unimplemented | None:
    """Why no line of a wallet can be replayed: other rates would change what was drawn as well."""
    state = wallet.state
    if state.sources or any(one.token_wallet_id for one in wallet.assets):
        return _not_supported("usage that is rated in tokens is not replayed yet")
    if state.commitments:
        return _not_supported("usage that commitments paid for is not replayed yet")
    if any(one.rate_ids and one.id not in state.rates for one in wallet.assets):
        return _not_supported("usage that packs with rates of their own priced is not replayed yet")
    return None


def _not_supported(text: str) -> Unimplemented:
    return Unimplemented("NOT_SUPPORTED", text)
