"""Strategies: small plans, the usage of them, and histories of how the usage arrives.

Grants that could pay in either order begin on different days, and usage of different assets that
could be drawn in either order is on different days, so that every case has one answer.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from fractions import Fraction
from typing import NamedTuple

from hypothesis import strategies as st

from tests.oracle.plans import (
    DAY,
    FIRST,
    GROWING,
    Entitlement,
    Plan,
    Record,
    Rollover,
    Service,
    Terms,
    Tier,
    Wallet,
    month_start,
)

FALLING = ("LATEST", "MINIMUM", "AVERAGE", "TIME_WEIGHTED")
CREDITS = "credits"

prices = st.sampled_from(["0", "0.004", "0.0125", "0.3333", "1", "2.5", "10"]).map(Fraction)
flats = st.sampled_from(["0", "0", "0", "0.005", "7", "30"]).map(Fraction)
packages = st.sampled_from([None, None, None, 1, 7, 40])


@st.composite
def tariffs(draw: st.DrawFn, start: int = 0) -> Terms:
    """Terms from some day of the plan on: flat, tiered by volume, or graduated."""
    bounds = [0, *sorted(draw(st.sets(st.integers(1, 150), max_size=3)))]
    return Terms(
        start=FIRST + start * DAY,
        tiers=tuple(Tier(lower, draw(prices), draw(flats), draw(packages)) for lower in bounds),
        is_graduated=draw(st.booleans()),
        per=draw(st.sampled_from([1, 1, 10, 100])),
        is_free=draw(st.integers(0, 9)) == 9,
    )


@st.composite
def pricings(draw: st.DrawFn) -> tuple[Terms, ...]:
    """Terms from the first day on, which may change once; or a flat amount that is always due."""
    first = draw(tariffs())
    if first.tiers[0].flat and draw(st.booleans()):
        return (first._replace(is_due=True),)
    changes = draw(st.lists(st.integers(1, 80), max_size=1))
    return (first, *(draw(tariffs(day)) for day in changes))


rollovers = st.none() | st.builds(
    Rollover,
    count=st.none() | st.integers(0, 3),
    percent=st.none() | st.sampled_from([0, 35, 50, 100]),
    quantity=st.none() | st.integers(0, 150),
)


@st.composite
def entitlements(draw: st.DrawFn, months: int) -> tuple[Entitlement, ...]:
    """Grants that are issued each month, packs that are issued once, and perhaps a commitment."""
    begin = draw(st.lists(st.integers(1, 28), max_size=3, unique=True))
    found = []
    for number, day in enumerate(begin):
        start = month_start(draw(st.integers(0, min(2, months - 1)))) + (day - 1) * DAY
        ends = st.integers(1, 120).map(lambda days, start=start: start + days * DAY)
        kind = draw(st.sampled_from(["monthly", "monthly", "pack", "commitment"]))
        if kind == "commitment" and any(one.discount for one in found):
            kind = "pack"
        steps = [(0, draw(st.sampled_from([0, 10, 20, 50])))]
        if draw(st.booleans()):
            steps.append((draw(st.integers(1, 100)), draw(st.sampled_from([0, 25, 30]))))
        found.append(
            Entitlement(
                name=f"{kind} {number}",
                quantity=draw(st.integers(1, 120)),
                start=start,
                end=draw(st.none() | ends),
                is_monthly=kind == "monthly",
                rollover=draw(rollovers) if kind == "monthly" else None,
                discount=tuple(steps) if kind == "commitment" else (),
            )
        )
    return tuple(found)


@st.composite
def services(draw: st.DrawFn, months: int) -> Service:
    """The service of an asset: from early in January, perhaps not to the end."""
    start = FIRST + draw(st.integers(0, 9)) * DAY
    end = draw(st.none() | st.integers(15, 31 * months - 10))
    return Service(start, None if end is None else FIRST + end * DAY)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """A wallet of one or two assets, and perhaps one of tokens in which its overage is rated."""
    billing = draw(st.sampled_from([1, 1, 3]))
    months = 3 if billing == 3 else draw(st.integers(2, 5))
    has_tokens = draw(st.booleans())
    method = draw(st.sampled_from(GROWING if has_tokens else GROWING + FALLING))
    assets = {1: draw(services(months))}
    pricing = {1: draw(pricings())}
    if draw(st.booleans()):
        # Figures that are drawn at the same time are drawn in the order of end, rate and number.
        is_tied = method in FALLING
        assets[2] = assets[1] if is_tied else draw(services(months))
        pricing[2] = pricing[1] if is_tied else draw(pricings())
        if has_tokens:
            # Both would be due at the same moment, in tokens that one grant may pay for.
            pricing = {number: _without_due(terms) for number, terms in pricing.items()}
    wallet = Wallet(
        name="usage",
        entitlements=draw(entitlements(months)),
        prices=pricing,
        method=method,
        is_whole_period=method not in ("SUM", "COUNT") and draw(st.booleans()),
        order=draw(st.sampled_from(["EXPIRING_FIRST", "GRANTED_FIRST", "GRANTED_LAST"])),
        token=CREDITS if has_tokens else None,
    )
    if not has_tokens:
        return Plan(months, assets, (wallet,), billing)
    tokens = Wallet(
        name=CREDITS,
        entitlements=draw(entitlements(months)),
        prices={number: draw(pricings()) for number in assets},
    )
    return Plan(months, assets, (wallet, tokens), billing)


def _without_due(pricing: tuple[Terms, ...]) -> tuple[Terms, ...]:
    return tuple(terms._replace(is_due=False) for terms in pricing)


@st.composite
def records(draw: st.DrawFn, plan: Plan, record_id: str) -> Record:
    """A record of the first wallet of a plan. Assets of a pool are used on days of their own."""
    wallet = plan.wallets[0]
    asset = draw(st.sampled_from(sorted(plan.assets)))
    start, end = plan.assets[asset]
    last = min(end or month_start(plan.months), month_start(plan.months))
    days = [n for n in range((last - start).days) if (start + n * DAY).toordinal() % 2 == asset % 2]
    day = start + draw(st.sampled_from(days)) * DAY
    # Two readings at one moment would have no order that a gauge could know.
    minute = int(record_id) if wallet.method == "TIME_WEIGHTED" else 0
    moment = timedelta(hours=draw(st.integers(0, 23)), minutes=minute)
    places = draw(st.sampled_from([1, 1, 1, 4]))
    labels = ["", "", '{"region":"eu"}'] if _has_dimensions(wallet) else [""]
    return Record(
        id=record_id,
        wallet=wallet.name,
        asset=asset,
        time=datetime.combine(day, time(), UTC) + moment,
        quantity=Fraction(draw(st.integers(0, 100)), places),
        dimensions=draw(st.sampled_from(labels)),
        value=draw(st.sampled_from("abc")),
    )


def _has_dimensions(wallet: Wallet) -> bool:
    """Return False where two usages of one day, in either order, round to other last digits."""
    is_committed = any(held.discount for held in wallet.entitlements)
    return not wallet.token and not (wallet.method in FALLING and is_committed)


class Act(NamedTuple):
    """Something that arrives: a record or a repeat, its amendment, or its void."""

    kind: str
    record: Record


@dataclass(frozen=True)
class History:
    """What arrives before each close and after the last one, and the records that remain.

    After the acts in `taken` all that is pending is taken in.
    """

    plan: Plan
    batches: tuple[tuple[Act, ...], ...]
    taken: frozenset[tuple[int, int]]
    remaining: tuple[Record, ...]


@st.composite
def in_time(draw: st.DrawFn) -> tuple[Plan, tuple[Record, ...]]:
    """A plan and its records."""
    plan = draw(plans())
    count = draw(st.sampled_from([*range(13), 6, 7, 8, 9, 10, 11, 12]))
    return plan, tuple(draw(records(plan, str(number))) for number in range(count))


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Records of a plan in any order, late or in time, some of them repeated, amended or voided."""
    plan, originals = draw(in_time())
    batches: list[list[tuple[int, Act]]] = [[] for _ in range(plan.months + 1)]
    remaining = []
    for number, original in enumerate(originals):
        acts = [Act("record", original)]
        latest: Record | None = original
        for step in draw(st.lists(st.sampled_from(["repeat", "amend", "void"]), max_size=2)):
            if step == "repeat":
                acts.append(Act("record", original))
            elif step == "amend":
                latest = draw(records(plan, original.id))._replace(asset=original.asset)
                latest = (
                    latest
                    if latest.time.toordinal() % 2 == original.time.toordinal() % 2
                    else original
                )
                acts.append(Act("amend", latest))
            else:
                latest = None
                acts.append(Act("void", original))
                break
        if latest is not None:
            remaining.append(latest)
        batch = 0
        for act in acts:
            first = max(batch, (act.record.time.year - FIRST.year) * 12 + act.record.time.month - 1)
            batch = draw(st.integers(first, plan.months))
            batches[batch].append((number, act))
    mixed = tuple(tuple(_mixed(draw, batch)) for batch in batches)
    places = [(n, at) for n, batch in enumerate(mixed) for at in range(len(batch))]
    taken = draw(st.sets(st.sampled_from(places), max_size=3)) if places else set()
    return History(plan, mixed, frozenset(taken), tuple(remaining))


def _mixed(draw: st.DrawFn, batch: list[tuple[int, Act]]) -> list[Act]:
    """Return the acts of a batch in any order that keeps the acts of one record in theirs."""
    order = draw(st.permutations([number for number, _ in batch]))
    queues: dict[int, list[Act]] = {}
    for number, act in batch:
        queues.setdefault(number, []).append(act)
    return [queues[number].pop(0) for number in order]
