"""Preview usage: the effect of lines as if they were recorded now, one after another.

Everything is read in one snapshot; nothing is locked or written. The rest is computed from it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from server.domain.calendar import RatingPeriod
from server.domain.consumption.placement import (
    KnownPeriods,
    cell_of,
    first_open,
    is_closed,
    may_reopen,
    place_of,
    reopened_period,
)
from server.domain.consumption.recording import (
    Counted,
    Place,
    Refused,
    Slot,
    Usage,
    WalletKey,
)
from server.domain.consumption.uniques import UniqueValue, as_counted, unique_value
from server.domain.errors import InvalidArgument, Unimplemented, UsageError
from server.domain.ids import AccountId, AssetId, WalletId
from server.domain.limits import value_of
from server.domain.modeling.policies import LatePolicy
from server.domain.settlement.walk import revision
from server.domain.settlement.wallet_states import WalletState
from server.domain.wallets.blocking import cap_reached
from server.domain.wallets.preview import (
    Effect,
    Projections,
    projection_of,
    reopened_state,
    touches,
    uncovered,
    used,
)
from server.store.billing import reopening
from server.store.billing.reopening import Reopenable
from server.store.billing.verification import final_cells
from server.store.connection import Transaction
from server.store.selling import accounts
from server.store.settlement import wallets
from server.store.settlement.wallets import StoredWallet
from server.store.wallets import preview as store
from server.usecases.intake.assets import with_assets
from server.usecases.intake.recording import intake_of

AT_PRESENT = datetime.min.replace(tzinfo=UTC)
"""Stands for the current time of the tenant's clock, as a time of usage."""


NO_PERIODS = KnownPeriods(opened=frozenset())

MOST_WORK = value_of("preview.cells")
"""The most cells over which all lines of a call may be projected: a few seconds of work."""


@dataclass(frozen=True, slots=True)
class PreviewUsage:
    """Up to 1,000 lines of an account, each read or refused."""

    account_id: AccountId
    lines: tuple[Usage | UsageError, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Previewed:
    """The effect of a line, or its refusal."""

    error: UsageError | None = None
    item: Counted | None = None
    place: Place | None = None
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewInputs:
    """All data that the lines of a preview depend on, as of `now`."""

    now: datetime
    lines: tuple[Counted | UsageError, ...] = ()
    wallets: Mapping[WalletId, StoredWallet] = field(default_factory=dict)
    states: Mapping[WalletId, WalletState] = field(default_factory=dict)
    periods: KnownPeriods = NO_PERIODS
    numbers: Mapping[AssetId, int] = field(default_factory=dict)
    known: frozenset[UniqueValue] = frozenset()


async def read_inputs(
    tx: Transaction, command: PreviewUsage, *, most_work: int | None = None
) -> PreviewInputs:
    """Return the data that the lines depend on; `tx` should read one snapshot.

    Raises ACCOUNT_NOT_FOUND, and TOO_MANY_ITEMS if the preview would take too long.
    """
    account_id = command.account_id
    await accounts.get(tx, account_id)
    asked = await with_assets(tx, command.lines)
    intake = await intake_of(tx, [line for line in asked if isinstance(line, Usage)])
    lines = tuple(_assessed(intake.assess, line, intake.now) for line in asked)
    items = [line for line in lines if isinstance(line, Counted)]
    if not items:
        return PreviewInputs(now=intake.now, lines=lines)
    found = await _wallets(tx, account_id, items)
    late = [item for item in items if is_closed(item.slot, found[_wallet_id(item.slot)].closed)]
    args = (tx, account_id)
    reopened = await _reopenable(tx, late)
    states = await _states(tx, found, {_wallet_id(one.slot) for one in late}, reopened)
    _refuse_too_much(items, states, MOST_WORK if most_work is None else most_work)
    return PreviewInputs(
        now=intake.now,
        lines=lines,
        wallets=found,
        states=states,
        periods=_periods(
            items, late, reopened, await _first_open(tx, found, late, intake.now), intake.now
        ),
        numbers=await wallets.asset_numbers(*args, {item.usage.asset_id for item in items}),
        known=frozenset(await store.known_values(*args, filter(None, map(unique_value, items)))),
    )


def previews(inputs: PreviewInputs) -> Iterator[Previewed]:
    """Yield the effect of each line in order; a refused line has no effect on later ones."""
    projections: Projections = {
        key: projection_of(one, now=inputs.now) for key, one in inputs.states.items()
    }
    # A copy that grows: a value that one line counts is not new for the lines after it.
    known = set(inputs.known)
    is_reopened = False
    for line in inputs.lines:
        if isinstance(line, UsageError):
            yield Previewed(error=line)
            continue
        value = unique_value(line)
        item = as_counted(line, value not in known)
        try:
            place = _place(inputs, item, is_reopened=is_reopened)
            effects, projections = _apply(inputs, projections, item, place)
        except UsageError as error:
            yield Previewed(error=error)
            continue
        if value is not None:
            known.add(value)
        late = place.late
        is_reopened = is_reopened or (late is not None and late.policy is LatePolicy.REOPEN)
        yield Previewed(item=item, place=place, effects=effects)


def _refuse_too_much(
    items: Iterable[Counted], states: Mapping[WalletId, WalletState], most_work: int
) -> None:
    """Raise TOO_MANY_ITEMS for lines that would take too long together.

    Every line is projected over all usage of its wallets that is not final.
    """
    lines = Counter(_wallet_id(item.slot) for item in items)
    cells = {
        key: sum(_size(state) for state in states.values() if touches(state, key)) for key in lines
    }
    work = sum(count * cells[key] for key, count in lines.items())
    if lines.total() > 1 and work > most_work:
        most = max(1, most_work // max(cells.values()))
        text = f"its wallets have so much usage that is not final: send {most} lines at once"
        raise InvalidArgument.at("lines", "TOO_MANY_ITEMS", text, limit=str(most))


def _size(state: WalletState) -> int:
    own = len(state.cells) + len(state.settled)
    return own + sum(map(_size, state.sources))


def _apply(
    inputs: PreviewInputs, projections: Projections, item: Counted, place: Place
) -> tuple[tuple[Effect, ...], Projections]:
    """Return the effect of a line, and the wallets after it. Raises CAP_REACHED."""
    meter, usage = item.slot.meter, item.usage
    cell = cell_of(item, place, inputs.numbers[usage.asset_id])
    effects, after = used(projections, cell, now=inputs.now)
    refusing = uncovered(projections, after, meter.blocking)
    if refusing is not None:
        resource_id = inputs.wallets[refusing].resource_id
        raise cap_reached((usage.account_id, refusing), resource_id, item)
    return effects, after


def _place(inputs: PreviewInputs, item: Counted, *, is_reopened: bool) -> Place:
    """Return the place of a line; an earlier line may have reopened a period.

    Raises PERIOD_CLOSED, NOT_SUPPORTED.
    """
    place = place_of(item, inputs.periods)
    if isinstance(place, UsageError):
        raise place
    if is_reopened and place.late is not None and place.late.policy is LatePolicy.NEXT_PERIOD:
        text = "a line before it opens a period again; preview it by itself"
        raise Unimplemented("NOT_SUPPORTED", text, {"policy": item.slot.meter.late_policy})
    return place


async def _reopenable(tx: Transaction, late: Iterable[Counted]) -> list[Reopenable]:
    """Return the rating periods that lines would reopen."""
    wanted = {item.slot.period_key for item in late if may_reopen(item.slot)}
    return await reopening.find_reopenable(tx, wanted)


async def _first_open(
    tx: Transaction, found: Mapping[WalletId, StoredWallet], late: Sequence[Counted], now: datetime
) -> dict[WalletKey, RatingPeriod]:
    """Return the periods that would take late usage, some of which would have to be opened."""
    opened: dict[WalletKey, RatingPeriod] = {}
    for meter in {item.slot.meter.wallet: item.slot.meter for item in late}.values():
        closed = found[meter.wallet_id].closed
        assert closed is not None, meter
        opened[meter.wallet] = first_open(meter, closed, now)
    for account_id in {account_id for account_id, _ in opened}:
        opened |= await store.first_open(tx, account_id, [key for _, key in opened])
    return opened


def _periods(
    items: Iterable[Counted],
    late: Iterable[Counted],
    reopened: Iterable[Reopenable],
    first: Mapping[WalletKey, RatingPeriod],
    now: datetime,
) -> KnownPeriods:
    """Return the periods that would take the lines."""
    meters = {item.slot.period_key: item.slot.meter for item in items}
    again = {
        one.key: reopened_period(meters[one.key], one.period, now=now, next_freeze=one.next_freeze)
        for one in reopened
    }
    closed = {one.slot.period_key for one in late}
    return KnownPeriods(
        opened=(meters.keys() - closed) | again.keys(), reopened=again, first_open=first
    )


async def _wallets(
    tx: Transaction, account_id: AccountId, items: Iterable[Counted]
) -> dict[WalletId, StoredWallet]:
    """Return the wallets of the lines, and those of the tokens in which their usage is rated."""
    found: dict[WalletId, StoredWallet] = {}
    wanted = sorted({_wallet_id(item.slot) for item in items})
    # Wallets of tokens are found only in the wallets that use them, so they are read in a second
    # pass.
    while wanted:
        for wallet_id in wanted:
            found[wallet_id] = await wallets.get(tx, account_id, wallet_id, with_sources=True)
        tokens = {one for key in wanted for one in found[key].token_wallet_ids}
        wanted = sorted(tokens - found.keys())
    return found


async def _states(
    tx: Transaction,
    found: Mapping[WalletId, StoredWallet],
    late: set[WalletId],
    reopened: Iterable[Reopenable],
) -> dict[WalletId, WalletState]:
    """Return the wallets to project. Late usage is a correction, so it needs all final usage.

    A period that it reopens is as it was before its close.
    """
    whole = {key: await _with_history(tx, found[key]) for key in sorted(late)}
    for late_again in reopened:
        key = late_again.wallet_id
        whole[key] = await _reopened_state(tx, whole[key], late_again)
    states = {}
    for key, one in found.items():
        state = whole.get(key, one.state)
        if any(source.terms.id in late for source in state.sources):
            state = await _with_history(tx, one)
            sources = (whole.get(source.terms.id, source) for source in state.sources)
            state = replace(state, sources=tuple(sources))
        states[key] = state
    return states


async def _reopened_state(tx: Transaction, state: WalletState, found: Reopenable) -> WalletState:
    key = (tx, found.account_id, found.wallet_id)
    start = found.period.start
    grants = [grant for grant, _ in await wallets.list_grants(*key)]
    last = revision(found.reopened)
    closing = await reopening.posted_by_close(tx, found, last)
    before = await store.rated_before(*key, but_in=start)
    return replace(reopened_state(state, start, grants, closing), rated_before=before)


async def _with_history(tx: Transaction, wallet: StoredWallet) -> WalletState:
    args = (tx, wallet.account_id, wallet.id)
    settled = tuple(one.cell for one in await final_cells(*args))
    return replace(wallet.state, settled=settled, rated_before=await store.rated_before(*args))


def _assessed(
    assess: Callable[[Usage], Counted | Refused], line: Usage | UsageError, now: datetime
) -> Counted | UsageError:
    if isinstance(line, UsageError):
        return line
    usage = line._replace(time=now) if line.time == AT_PRESENT else line
    try:
        found = assess(usage)
    except UsageError as error:
        return error
    return found.error if isinstance(found, Refused) else found


def _wallet_id(slot: Slot) -> WalletId:
    return slot.meter.wallet_id
