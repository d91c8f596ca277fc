"""The inputs of a replay: the final usage of a wallet, drawn and rated by a price book.

Each wallet is replayed once; wallets of tokens after those of the resources rated in them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from server.domain.billing.replay import (
    FinalUsage,
    Found,
    SpanKey,
    at_other_rates,
    drawn_again,
    line_before,
    not_reproduced,
    rated_again,
    tokens_again,
)
from server.domain.calendar import Period, local_date
from server.domain.consumption.cells import Cell
from server.domain.errors import (
    FailedPrecondition,
    UsageError,
)
from server.domain.ids import (
    AccountId,
    AssetId,
    CellId,
    PriceBookId,
    ProductId,
    WalletId,
)
from server.domain.rating.rate_index import CatalogRates, Question
from server.domain.rating.rates import RateTerms
from server.domain.settlement.ratable_lines import (
    RatableLine,
    ratable_lines,
)
from server.domain.settlement.rewinding import ALL_PERIODS
from server.domain.settlement.tokens import Payers, payer_of, tokens_of
from server.domain.settlement.wallet_states import as_drawn
from server.store.billing import corrections
from server.store.billing.replay import SoldAs
from server.store.billing.verification import final_cells
from server.store.connection import Transaction
from server.store.rating.procedures import discovery_versions
from server.store.rating.rate_snapshots import compiled, compiled_trial, rows_of_product
from server.store.settlement import wallets
from server.store.settlement.wallets import StoredWallet
from server.usecases.settlement.as_rated import as_rated


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayRates:
    """The usage to replay: of an account or one asset, in rating periods that start in `within`.

    Without a day, each segment of rates is priced as of its first day. With `with_drafts`, draft
    entries of the price book price as if they were active.
    """

    account_id: AccountId
    price_book_id: PriceBookId
    day: date | None
    asset_id: AssetId | None
    within: Period
    with_drafts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletReplay:
    """The original and the replayed final usage of a wallet; `fault` prevents the replay."""

    wallet: StoredWallet
    before: FinalUsage
    after: FinalUsage
    found: Found
    fault: UsageError | None = None


@dataclass(frozen=True, slots=True)
class ReplayContext:
    """The state of a replay: the transaction, the command, and the results so far."""

    tx: Transaction
    command: ReplayRates
    sold: Mapping[AssetId, SoldAs]
    rates: dict[ProductId, CatalogRates] = field(default_factory=dict)
    wallets: dict[WalletId, StoredWallet] = field(default_factory=dict)
    done: dict[WalletId, WalletReplay] = field(default_factory=dict)

    async def rates_of(self, product_id: ProductId) -> CatalogRates:
        """Return the rates of a product in the price book."""
        if product_id not in self.rates:
            with_drafts = self.command.with_drafts
            rows = await rows_of_product(
                self.tx, self.command.price_book_id, product_id, with_drafts=with_drafts
            )
            self.rates[product_id] = compiled_trial(rows) if with_drafts else compiled(rows)
        return self.rates[product_id]

    async def wallet(self, wallet_id: WalletId) -> StoredWallet:
        """Return a wallet with the sources of its tokens."""
        if wallet_id not in self.wallets:
            self.wallets[wallet_id] = await wallets.get(
                self.tx, self.command.account_id, wallet_id, with_sources=True
            )
        return self.wallets[wallet_id]

    async def replay_of(self, wallet_id: WalletId) -> WalletReplay:
        """Return the replay of a wallet's usage."""
        if wallet_id not in self.done:
            self.done[wallet_id] = await _replay_wallet(self, await self.wallet(wallet_id))
        return self.done[wallet_id]


async def _replay_wallet(context: ReplayContext, wallet: StoredWallet) -> WalletReplay:
    final = await final_cells(context.tx, wallet.account_id, wallet.id)
    cells = tuple(one.cell for one in final)
    results = as_drawn(wallet.state, final)
    booked = await corrections.booked(context.tx, wallet.account_id, wallet.id, ALL_PERIODS)
    rating_versions = await as_rated(context.tx, booked, wallet.state.rating_versions)
    rates = wallet.state.rates
    before = FinalUsage(
        cells=cells,
        results=results,
        lines=ratable_lines(wallet.id, results, rates, rating_versions=rating_versions),
    )
    found = await _found(context, wallet)
    sold = at_other_rates(wallet.sold, found)
    try:
        tokens = await _replayed_cells(context, wallet, cells)
        drawn = drawn_again(wallet.state, before, tokens, sold.commitments)
    except UsageError as fault:
        return WalletReplay(wallet=wallet, before=before, after=before, found=found, fault=fault)
    lines = rated_again(wallet.state, drawn, sold.cut_like(rates), rating_versions)
    after = FinalUsage(cells=tokens, results=drawn, lines=lines)
    return WalletReplay(wallet=wallet, before=before, after=after, found=found)


async def _replayed_cells(
    context: ReplayContext, wallet: StoredWallet, cells: tuple[Cell, ...]
) -> tuple[Cell, ...]:
    """Return the final cells of a wallet; for tokens, those that the replayed usage costs."""
    before: dict[CellId, Cell] = {}
    after: dict[CellId, Cell] = {}
    for source_id in sorted(source.terms.id for source in wallet.state.sources):
        source = await context.replay_of(source_id)
        if source.fault is not None:
            raise source.fault
        own = source.wallet.payers(wallet.id)
        _check_sources(source, own)
        for usage, tokens in ((source.before, before), (source.after, after)):
            made = tokens_of(wallet.token_wallet, own, usage.cells, usage.results, usage.lines)
            tokens |= {cell.id: cell for _, cell in made}
    found = tokens_again(cells, before, after, closed=wallet.closed)
    if found is None:
        raise not_reproduced()
    return found


def _check_sources(source: WalletReplay, own: Payers) -> None:
    """Raise if a source line lost its amount: then the number of used tokens is unknown."""
    was_rated = {line.id for line in source.before.lines if line.amount is not None}
    for line in source.after.lines:
        was = line_before(source.wallet.state, line.key)
        is_due = payer_of(line, own) is not None
        if is_due and line.amount is None and was in was_rated:
            raise unpriced(source, line)


def unpriced(wallet_replay: WalletReplay, line: RatableLine) -> UsageError:
    """Return the reason why usage has no amount at the other rates."""
    own = wallet_replay.wallet.sold.own.get(line.key.asset_id, ())
    held = next((one for one in own if one.contains(line.key.segment_start)), None)
    found = None if held is None else wallet_replay.found.get((line.key.asset_id, held.start))
    if isinstance(found, UsageError):
        return found
    about = wallet_replay.wallet.resource_id
    text = f"{about} cannot be priced by these rates: {line.failure_text}"
    return FailedPrecondition(line.failure or "", text)


async def _found(context: ReplayContext, wallet: StoredWallet) -> Found:
    """Return the price book's terms or error for each segment of own rates and additions."""
    found: dict[SpanKey, RateTerms | UsageError | None] = {}
    usual = await _usual_unit(context, wallet)
    found_by = await discovery_versions(context.tx)
    for asset_id, segments in wallet.sold.own.items():
        for segment in segments:
            unit = usual if segment.terms is None else segment.terms.unit
            span_key = (asset_id, segment.start)
            rates, question = await _question(context, wallet, span_key, unit)
            try:
                found[span_key] = rates.find(question, found_by.on(question.day).parts).terms
            except UsageError as error:
                found[span_key] = error
    for addition in wallet.sold.additions:
        unit = usual if addition.terms is None else addition.terms.unit
        span_key = (addition.asset_id, addition.start)
        rates, question = await _question(context, wallet, span_key, unit)
        try:
            terms = rates.find_addition(question, found_by.on(question.day).parts)
        except UsageError as error:
            found[span_key] = error
        else:
            found[span_key] = None if terms is None else terms.terms
    return found


async def _question(
    context: ReplayContext, wallet: StoredWallet, span_key: SpanKey, unit: str
) -> tuple[CatalogRates, Question]:
    """Return the question for a segment, and the rates that answer it."""
    asset_id, start = span_key
    of = context.sold[asset_id]
    question = Question(
        context.command.price_book_id,
        of.product_id,
        wallet.resource_id,
        unit,
        context.command.day or local_date(wallet.zone, start),
        of.selling_model_id,
    )
    return await context.rates_of(of.product_id), question


async def _usual_unit(context: ReplayContext, wallet: StoredWallet) -> str:
    """Return the rate unit of usage without terms."""
    token_id = next(
        (asset.token_wallet_id for asset in wallet.assets if asset.token_wallet_id), None
    )
    return wallet.currency_code if token_id is None else (await context.wallet(token_id)).unit_id
