"""Preview usage: the effect of lines as if they were recorded now, one after another.

Everything is read in one snapshot; nothing is locked or written. The rest is computed from it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from server.domain.consumption.placement import (
    KnownPeriods,
    cell_of,
    is_closed,
    place_of,
)
from server.domain.consumption.recording import (
    Counted,
    Place,
    Refused,
    Slot,
    Usage,
)
from server.domain.consumption.uniques import UniqueValue, as_counted, unique_value
from server.domain.errors import InvalidArgument, UsageError
from server.domain.ids import AccountId, AssetId, GrantId, WalletId
from server.domain.limits import value_of
from server.domain.settlement.wallet_states import WalletState
from server.domain.wallets.blocking import cap_reached
from server.domain.wallets.preview import (
    Effect,
    Projections,
    projection_of,
    touches,
    uncovered,
    used,
)
from server.domain.wallets.spend import CommittedSpend, committed_spend
from server.store.connection import Transaction
from server.store.selling import accounts
from server.store.settlement import wallets
from server.store.settlement.wallets import StoredWallet
from server.store.wallets import preview as store
from server.usecases.intake.assets import with_assets
from server.usecases.intake.loadings import admit_old
from server.usecases.intake.recording import intake_of, late_usage_of
from server.usecases.settlement.as_rated import rated_as_before
from server.usecases.settlement.spend import final_spend

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
    """The effect of a line, or its refusal, and the wallets after it."""

    error: UsageError | None = None
    item: Counted | None = None
    place: Place | None = None
    effects: tuple[Effect, ...] = ()
    after: Projections = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewInputs:
    """All data that the lines of a preview depend on, as of `now`.

    `spent` is what was spent of promised amounts in final periods.
    """

    now: datetime
    lines: tuple[Counted | UsageError, ...] = ()
    wallets: Mapping[WalletId, StoredWallet] = field(default_factory=dict)
    periods: KnownPeriods = NO_PERIODS
    numbers: Mapping[AssetId, int] = field(default_factory=dict)
    known: frozenset[UniqueValue] = frozenset()
    spent: Mapping[GrantId, Decimal] = field(default_factory=dict)


async def read_inputs(
    tx: Transaction, command: PreviewUsage, *, most_work: int | None = None
) -> PreviewInputs:
    """Return the data that the lines depend on; `tx` should read one snapshot.

    Raises ACCOUNT_NOT_FOUND, and TOO_MANY_ITEMS if the preview would take too long.
    """
    account_id = command.account_id
    await accounts.get(tx, account_id)
    asked = await with_assets(tx, command.lines)
    usages = [line for line in asked if isinstance(line, Usage)]
    intake = await intake_of(tx, usages)
    await admit_old(tx, intake, (usage for usage in usages if usage.time != AT_PRESENT))
    lines = tuple(_assessed(intake.assess, line, intake.now) for line in asked)
    items = [line for line in lines if isinstance(line, Counted)]
    if not items:
        return PreviewInputs(now=intake.now, lines=lines)
    found = await _wallets(tx, account_id, items)
    args = (tx, account_id)
    late = {one.slot for one in items if is_closed(one.slot, found[_wallet_id(one.slot)].closed)}
    if late:
        # Usage of final periods changes them, so they are computed again from the first of these.
        found = await _wallets(tx, account_id, items, since=_earliest(late))
    _refuse_too_much(items, found, MOST_WORK if most_work is None else most_work)
    return PreviewInputs(
        now=intake.now,
        lines=lines,
        wallets=found,
        periods=KnownPeriods(
            opened={one.slot.period_key for one in items if one.slot not in late},
            late=await late_usage_of(tx, late, intake),
        ),
        numbers=await wallets.asset_numbers(*args, {item.usage.asset_id for item in items}),
        known=frozenset(await store.known_values(*args, filter(None, map(unique_value, items)))),
        spent={
            key: amount
            for wallet in found.values()
            for key, amount in (await final_spend(tx, wallet)).items()
        },
    )


def previews(inputs: PreviewInputs) -> Iterator[Previewed]:
    """Yield the effect of each line in order; a refused line has no effect on later ones."""
    projections: Projections = {
        key: projection_of(one.state, now=inputs.now) for key, one in inputs.wallets.items()
    }
    # A copy that grows: a value that one line counts is not new for the lines after it.
    known = set(inputs.known)
    for line in inputs.lines:
        if isinstance(line, UsageError):
            yield Previewed(error=line, after=projections)
            continue
        value = unique_value(line)
        item = as_counted(line, value not in known)
        try:
            place = _place(inputs, item)
            effects, projections = _apply(inputs, projections, item, place)
        except UsageError as error:
            yield Previewed(error=error, after=projections)
            continue
        if value is not None:
            known.add(value)
        yield Previewed(item=item, place=place, effects=effects, after=projections)


def spend_after(inputs: PreviewInputs, last: Previewed | None) -> tuple[CommittedSpend, ...]:
    """Return what is spent under commitments to spend after the last line."""
    after = {} if last is None else last.after
    return tuple(
        spend
        for key, wallet in inputs.wallets.items()
        if wallet.is_spend and key in after
        for spend in committed_spend(after[key].state, inputs.spent, now=inputs.now)
    )


def _refuse_too_much(
    items: Iterable[Counted], found: Mapping[WalletId, StoredWallet], most_work: int
) -> None:
    """Raise TOO_MANY_ITEMS for lines that would take too long together.

    Every line is projected over all usage of its wallets that is not final.
    """
    lines = Counter(_wallet_id(item.slot) for item in items)
    states = [one.state for one in found.values()]
    cells = {key: sum(_size(state) for state in states if touches(state, key)) for key in lines}
    work = sum(count * cells[key] for key, count in lines.items())
    if lines.total() > 1 and work > most_work:
        most = max(1, most_work // max(cells.values()))
        text = f"its wallets have so much usage that is not final: send {most} lines at once"
        raise InvalidArgument.at("lines", "TOO_MANY_ITEMS", text, limit=str(most))


def _size(state: WalletState) -> int:
    return len(state.cells) + sum(map(_size, (*state.sources, *state.moved_from)))


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


def _place(inputs: PreviewInputs, item: Counted) -> Place:
    """Return the place of a line. Raises PERIOD_CLOSED."""
    place = place_of(item, inputs.periods)
    if isinstance(place, UsageError):
        raise place
    return place


def _earliest(late: Iterable[Slot]) -> dict[WalletId, datetime]:
    """Return the start of the earliest period of these slots, by wallet."""
    found: dict[WalletId, datetime] = {}
    for slot in late:
        start = slot.period.start
        found[_wallet_id(slot)] = min(start, found.get(_wallet_id(slot), start))
    return found


async def _wallets(
    tx: Transaction,
    account_id: AccountId,
    items: Iterable[Counted],
    since: Mapping[WalletId, datetime] = wallets.NOT_ASKED,
) -> dict[WalletId, StoredWallet]:
    """Return the wallets of the lines, and those that they change through tokens or moves."""
    found: dict[WalletId, StoredWallet] = {}
    wanted = sorted({_wallet_id(item.slot) for item in items})
    # Wallets of tokens and of moves are found only in those that use them, so they are read in a
    # second pass.
    while wanted:
        for wallet_id in wanted:
            read = await wallets.get(tx, account_id, wallet_id, with_sources=True, since=since)
            found[wallet_id] = await rated_as_before(tx, read)
        depending = {one for key in wanted for one in _depending(found[key])}
        wanted = sorted(depending - found.keys())
    return found


def _depending(wallet: StoredWallet) -> Iterator[WalletId]:
    """Yield the wallets that usage of a wallet changes: those of tokens, and where grants move."""
    yield from wallet.token_wallet_ids
    yield from (one.leaves_to for one in wallet.state.entitlements if one.leaves_to is not None)


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
