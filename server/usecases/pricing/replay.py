"""Replay rates: final usage priced again by a price book, beside what it came to.

Everything is read at one moment and nothing is written. What of before is done again is compared
with what is kept: where they differ there is no answer.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

from server.domain.calendar import Period, local_date
from server.domain.consuming.aggregation import Cell, increments
from server.domain.errors import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Unimplemented,
    UsageError,
)
from server.domain.exact import ZERO, exact
from server.domain.ids import (
    AccountId,
    AssetId,
    CellId,
    PriceBookId,
    ProductId,
    RatableSummaryId,
    TenantId,
    UnitId,
    WalletId,
)
from server.domain.pricing.rate_index import CatalogueRates, Question, RateNotFound
from server.domain.pricing.raters import AsRated
from server.domain.pricing.rates import RateTerms
from server.domain.pricing.rating import Step
from server.domain.pricing.replay import (
    Found,
    Pair,
    Stretch,
    at_other_rates,
    is_drawn_alike,
    tokens_again,
)
from server.domain.pricing.tokens import token_cells
from server.domain.settling.settlement import Commitments, Result, settled_anew
from server.domain.settling.summaries import RatableKey, RatableLine, Rates, line_id, ratable_lines
from server.store import accounts
from server.store.pool import Connection
from server.store.pricing import replay as store
from server.store.pricing.rate_snapshots import compiled, compiled_trial, rows_of_product
from server.store.pricing.replay import RatedLine, SoldAs
from server.store.selling import quotes
from server.store.settling import wallets
from server.store.settling.verification import FinalCell, final_cells, rated_lines
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
    """A line as it was rated, and what it would have been; `error` says why it is not replayed.

    It would be several `parts` where rates change that did not, and none where nothing would be
    used. What `is_new` was not rated, because nothing was used.
    """

    line: RatedLine
    parts: tuple[RatableLine, ...] = ()
    error: UsageError | None = None
    is_new: bool = False

    @property
    def pair(self) -> Pair:
        """Both amounts."""
        replayed = None if self.error else _sum(one.amount for one in self.parts)
        return Pair(unit=self.line.unit, rated=self.line.amount, replayed=replayed)

    @property
    def overage(self) -> Decimal | None:
        """What grants would not have paid for."""
        return None if self.error else _sum(one.overage for one in self.parts)

    @property
    def terms(self) -> RateTerms | None:
        """The terms that would have priced it first."""
        return next((one.terms for one in self.parts), None)

    @property
    def steps(self) -> tuple[Step, ...]:
        """What would have led to its amount."""
        return tuple(step for one in self.parts for step in one.steps)


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
    by_wallet: dict[WalletId, list[RatedLine]] = {}
    for line in lines:
        by_wallet.setdefault(line.wallet_id, []).append(line)
    found: list[Replayed] = []
    for wallet_id in await _touched(world, sorted(by_wallet)):
        again = await world.again(wallet_id)
        found += _compared(again, by_wallet.get(wallet_id, ()), command)
    return sorted(found, key=lambda one: (one.line.start, one.line.id))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Usage:
    """The final usage of a wallet: its cells, how they are paid for, and what that comes to."""

    cells: tuple[Cell, ...]
    results: tuple[Result, ...]
    lines: tuple[RatableLine, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Again:
    """A wallet's final usage as it was and as it would be; `fault` is why nobody can say."""

    wallet: StoredWallet
    before: _Usage
    after: _Usage
    found: Found
    fault: UsageError | None = None


@dataclass(frozen=True, slots=True)
class _World:
    """Where a replay reads, what it is to be, and what it has come to so far."""

    tx: Connection
    tenant_id: TenantId
    command: ReplayRates
    sold: Mapping[AssetId, SoldAs]
    rates: dict[ProductId, CatalogueRates] = field(default_factory=dict)
    wallets: dict[WalletId, StoredWallet] = field(default_factory=dict)
    done: dict[WalletId, _Again] = field(default_factory=dict)

    async def rates_of(self, product_id: ProductId) -> CatalogueRates:
        """The rates of a product in the price book."""
        if product_id not in self.rates:
            key = (self.tenant_id, self.command.price_book_id, product_id)
            with_drafts = self.command.with_drafts
            rows = await rows_of_product(self.tx, *key, with_drafts=with_drafts)
            self.rates[product_id] = compiled_trial(rows) if with_drafts else compiled(rows)
        return self.rates[product_id]

    async def wallet(self, wallet_id: WalletId) -> StoredWallet:
        """A wallet with what is rated in its tokens."""
        if wallet_id not in self.wallets:
            key = (self.tenant_id, self.command.account_id, wallet_id)
            self.wallets[wallet_id] = await wallets.get(self.tx, *key, with_sources=True)
        return self.wallets[wallet_id]

    async def again(self, wallet_id: WalletId) -> _Again:
        """A wallet's usage once more."""
        if wallet_id not in self.done:
            self.done[wallet_id] = await _again(self, await self.wallet(wallet_id))
        return self.done[wallet_id]


async def _touched(world: _World, wallet_ids: Iterable[WalletId]) -> list[WalletId]:
    """These wallets and those of the tokens that their usage is rated in."""
    found = set(wallet_ids)
    for wallet_id in wallet_ids:
        assets = (await world.wallet(wallet_id)).assets
        found |= {one.token_wallet_id for one in assets if one.token_wallet_id}
    return sorted(found)


async def _again(world: _World, wallet: StoredWallet) -> _Again:
    key = (world.tenant_id, wallet.account_id, wallet.id)
    final = await final_cells(world.tx, *key)
    cells = tuple(one.cell for one in final)
    results = _results(wallet, final)
    kept = await rated_lines(world.tx, *key)
    raters = await as_rated(world.tx, world.tenant_id, wallet, kept)
    rates = wallet.state.rates
    before = _Usage(
        cells=cells,
        results=results,
        lines=ratable_lines(wallet.id, results, rates, raters=raters),
    )
    found = await _found(world, wallet)
    sold = at_other_rates(wallet.sold, found)
    try:
        tokens = await _cells_again(world, wallet, cells)
        drawn = _drawn_again(wallet, before, tokens, sold.commitments)
    except UsageError as fault:
        return _Again(wallet=wallet, before=before, after=before, found=found, fault=fault)
    lines = _rated_again(wallet, drawn, sold.cut_like(rates), raters)
    after = _Usage(cells=tokens, results=drawn, lines=lines)
    return _Again(wallet=wallet, before=before, after=after, found=found)


def _results(wallet: StoredWallet, final: Iterable[FinalCell]) -> tuple[Result, ...]:
    """How the final usage of a wallet was paid for."""
    kept = {one.cell.id: one for one in final}
    terms = wallet.state.terms
    cells = [one.cell for one in kept.values()]
    found = increments(cells, terms.aggregation, zone=terms.zone)
    by_cell = ((one, kept[one.cell_id]) for one in found)
    return tuple(
        Result(increment=one, drawn=cell.drawn, overage=cell.overage, debits=())
        for one, cell in by_cell
    )


async def _cells_again(
    world: _World, wallet: StoredWallet, cells: tuple[Cell, ...]
) -> tuple[Cell, ...]:
    """The final cells of a wallet; of tokens those that usage would come to."""
    purse = replace(wallet.purse, closed=None)
    before: dict[CellId, Cell] = {}
    after: dict[CellId, Cell] = {}
    for source_id in sorted(one.terms.id for one in wallet.state.sources):
        source = await world.again(source_id)
        if source.fault is not None:
            raise source.fault
        own = {one.id for one in source.wallet.assets if one.token_wallet_id == wallet.id}
        _check_sources(source, own)
        for usage, tokens in ((source.before, before), (source.after, after)):
            lines = [line for line in usage.lines if line.key.asset_id in own]
            made = token_cells(purse, usage.cells, usage.results, lines)
            tokens |= {cell.id: cell for _, cell in made}
    found = tokens_again(cells, before, after, closed=wallet.closed)
    if found is None:
        raise _differs()
    return found


def _check_sources(source: _Again, own: set[AssetId]) -> None:
    """What would not be rated in tokens leaves open how many of them are used."""
    was_rated = {one.id for one in source.before.lines if one.amount is not None}
    for line in source.after.lines:
        old_id = _old_id(source.wallet, line.key)
        if line.key.asset_id in own and line.amount is None and old_id in was_rated:
            raise _unpriced(source, line)


def _drawn_again(
    wallet: StoredWallet, before: _Usage, cells: tuple[Cell, ...], commitments: Commitments
) -> tuple[Result, ...]:
    """How usage would be paid for: as it was, unless there is more of it or it takes more."""
    state = wallet.state
    is_alike = is_drawn_alike(state.commitments, commitments)
    if is_alike and set(cells) == set(before.cells):
        return before.results
    as_it_was = _paid(_settled(wallet, before.cells, state.commitments))
    if as_it_was != _paid(before.results):
        what = "the tokens used" if is_alike else "the discount of a commitment"
        text = f"{what} would differ, and what grants paid for is not what they would pay for now"
        raise _not_supported(text)
    return _settled(wallet, cells, commitments)


def _settled(
    wallet: StoredWallet, cells: tuple[Cell, ...], commitments: Commitments
) -> tuple[Result, ...]:
    terms = wallet.state.terms
    found = increments(cells, terms.aggregation, zone=terms.zone)
    ends = {cell.period.start: cell.period.end for cell in cells}
    return settled_anew(terms, wallet.state.entitlements, found, ends, commitments)


def _paid(results: Iterable[Result]) -> dict[CellId, tuple[Decimal, Decimal]]:
    return {one.increment.cell_id: (one.drawn, one.overage) for one in results}


def _rated_again(
    wallet: StoredWallet, results: tuple[Result, ...], rates: Rates, raters: AsRated
) -> tuple[RatableLine, ...]:
    """What usage would come to; parts of a line are rated by what rated the line."""
    lines = ratable_lines(wallet.id, results, rates, raters=raters)
    parts = {one.id: _old_id(wallet, one.key) for one in lines if one.id not in raters.lines}
    rated = {id_: raters.lines[old] for id_, old in parts.items() if old in raters.lines}
    if not rated:
        return lines
    raters = AsRated({**raters.lines, **rated}, raters.otherwise)
    return ratable_lines(wallet.id, results, rates, raters=raters)


def _old_id(wallet: StoredWallet, key: RatableKey) -> RatableSummaryId:
    """The line that usage was rated in, or would have been."""
    segments = wallet.state.rates.get(key.asset_id, ())
    held = next((one for one in segments if one.contains(key.segment_start)), None)
    return line_id(wallet.id, key if held is None else key._replace(segment_start=held.start))


def _compared(again: _Again, lines: Iterable[RatedLine], command: ReplayRates) -> list[Replayed]:
    """Each line beside what it would be, and what would be rated besides them."""
    before = {one.id: one for one in again.before.lines}
    after: dict[RatableSummaryId, list[RatableLine]] = {}
    for line in again.after.lines:
        after.setdefault(_old_id(again.wallet, line.key), []).append(line)
    found = [_beside(again, one, before.get(one.id), after.get(one.id, ())) for one in lines]
    for id_, parts in after.items():
        key = parts[0].key
        is_asked = command.asset_id in (None, key.asset_id)
        if id_ not in before and is_asked and command.within.contains(key.period_start):
            found.append(_beside_nothing(again, id_, parts))
    return found


def _beside(
    again: _Again, line: RatedLine, before: RatableLine | None, after: Sequence[RatableLine]
) -> Replayed:
    if before is None or (line.overage, line.amount) != (before.overage, before.amount):
        return Replayed(line=line, error=_differs())
    if again.fault is not None:
        return Replayed(line=line, error=again.fault)
    return _with_parts(again, line, after)


def _with_parts(again: _Again, line: RatedLine, after: Sequence[RatableLine]) -> Replayed:
    failed = next((one for one in after if one.amount is None), None)
    error = None if failed is None else _unpriced(again, failed)
    return Replayed(line=line, parts=tuple(after), error=error)


def _beside_nothing(again: _Again, id_: RatableSummaryId, after: Sequence[RatableLine]) -> Replayed:
    """Usage that there was none of, as of tokens that cost nothing."""
    first = after[0]
    unit = again.wallet.currency_code if first.terms is None else first.terms.unit
    line = RatedLine(
        id=id_,
        wallet_id=again.wallet.id,
        asset_id=first.key.asset_id,
        resource_id=again.wallet.resource_id,
        start=first.key.period_start,
        origin_start=first.key.origin_start,
        segment_start=first.key.segment_start,
        dimensions=first.key.dimensions,
        overage=ZERO,
        amount=ZERO,
        unit=UnitId(unit),
    )
    return replace(_with_parts(again, line, after), is_new=True)


def _unpriced(again: _Again, line: RatableLine) -> UsageError:
    """Why usage has no amount at the other rates."""
    own = again.wallet.sold.own.get(line.key.asset_id, ())
    held = next((one for one in own if one.contains(line.key.segment_start)), None)
    found = None if held is None else again.found.get((line.key.asset_id, held.start))
    if isinstance(found, UsageError):
        return found
    about = again.wallet.resource_id
    text = f"{about} cannot be priced by these rates: {line.failure_text}"
    return FailedPrecondition(line.failure or "", text)


async def _found(world: _World, wallet: StoredWallet) -> Found:
    """What the price book says for each stretch of rates, of assets and of what was added."""
    found: dict[Stretch, RateTerms | UsageError | None] = {}
    usual = await _usual_unit(world, wallet)
    for asset_id, segments in wallet.sold.own.items():
        for segment in segments:
            unit = usual if segment.terms is None else segment.terms.unit
            stretch = (asset_id, segment.start)
            rates, question = await _question(world, wallet, stretch, unit)
            try:
                found[stretch] = rates.find(question).terms
            except RateNotFound as error:
                found[stretch] = error
    for one in wallet.sold.additions:
        unit = usual if one.terms is None else one.terms.unit
        stretch = (one.asset_id, one.start)
        rates, question = await _question(world, wallet, stretch, unit)
        terms = rates.find_addition(question)
        found[stretch] = None if terms is None else terms.terms
    return found


async def _question(
    world: _World, wallet: StoredWallet, stretch: Stretch, unit: str
) -> tuple[CatalogueRates, Question]:
    """What is asked about a stretch, and of which rates."""
    asset_id, start = stretch
    of = world.sold[asset_id]
    question = Question(
        world.command.price_book_id,
        of.product_id,
        wallet.resource_id,
        unit,
        world.command.day or local_date(wallet.zone, start),
        of.selling_model_id,
    )
    return await world.rates_of(of.product_id), question


async def _usual_unit(world: _World, wallet: StoredWallet) -> str:
    """What usage is rated in where nothing says otherwise."""
    token_id = next((one.token_wallet_id for one in wallet.assets if one.token_wallet_id), None)
    return wallet.currency_code if token_id is None else (await world.wallet(token_id)).unit_id


@exact
def _sum(figures: Iterable[Decimal | None]) -> Decimal | None:
    found = list(figures)
    known = [one for one in found if one is not None]
    return sum(known, ZERO) if len(known) == len(found) else None


def _differs() -> Unimplemented:
    text = "its rates do not give what it came to; `usage verify` says more"
    return _not_supported(text)


def _not_supported(text: str) -> Unimplemented:
    return Unimplemented("NOT_SUPPORTED", text)
