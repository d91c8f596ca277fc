"""Strategies: small plans, the usage of them, and histories of how the usage arrives.

Grants that could pay in either order begin on different days, and usage of different assets that
could be drawn in either order is on different days, so that every case has one answer.
"""

import os
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
    month_of,
    month_start,
)

EXAMPLES = int(os.environ.get("ORACLE_EXAMPLES", "500"))
"""The number of cases of each property; more of them find rarer faults."""

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
def entitlements(
    draw: st.DrawFn, months: int, *, is_committed: bool = False
) -> tuple[Entitlement, ...]:
    """Grants that are issued each month, packs that are issued once, and perhaps a commitment."""
    days = st.integers(1, 28)
    begin = draw(st.lists(days, min_size=int(is_committed), max_size=3, unique=True))
    found = []
    for number, day in enumerate(begin):
        start = month_start(draw(st.integers(0, min(2, months - 1)))) + (day - 1) * DAY
        ends = st.integers(1, 120).map(lambda days, start=start: start + days * DAY)
        kind = draw(st.sampled_from(["monthly", "monthly", "pack", "commitment"]))
        if is_committed and number == 0:
            kind = "commitment"
        elif kind == "commitment" and any(one.discount for one in found):
            kind = "pack"
        steps = [(0, draw(st.sampled_from([0, 10, 20, 50])))]
        if is_committed or draw(st.booleans()):
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
    end = draw(st.none() | st.integers(22, 31 * months - 10))
    return Service(start, None if end is None else FIRST + end * DAY)


@st.composite
def plain_pricings(draw: st.DrawFn) -> tuple[Terms, ...]:
    """One price for every unit, so that it is clear which asset is the dearer one."""
    per = draw(st.sampled_from([1, 1, 10]))
    return (Terms(FIRST, (Tier(0, draw(prices), package=draw(packages)),), per=per),)


KINDS = {
    "growing": GROWING,
    "falling": (*FALLING, "TIME_WEIGHTED"),
    "tokens": GROWING,
    "committed": GROWING,
}
"""The methods of each kind of plan."""


@st.composite
def plans(draw: st.DrawFn, kind: str | None = None) -> Plan:
    """Wallets of one or two assets, and perhaps one of tokens in which their overage is rated."""
    kind = kind or draw(st.sampled_from(list(KINDS)))
    months = draw(st.integers(2, 5))
    has_tokens = kind == "tokens"
    numbers = draw(st.sampled_from([(1,), (1, 2)]))
    method = draw(st.sampled_from(KINDS[kind]))
    is_plain = draw(st.booleans()) or (len(numbers) > 1 and method in FALLING)
    assets = {number: draw(services(months)) for number in numbers}

    def wallet(name: str, **more: object) -> Wallet:
        pricing = {number: draw(plain_pricings() if is_plain else pricings()) for number in numbers}
        if has_tokens and len(numbers) > 1:
            # Both would be due at the same moment, in tokens that one grant may pay for.
            pricing = {number: without_due(terms) for number, terms in pricing.items()}
        return Wallet(
            name,
            draw(entitlements(months, is_committed=kind == "committed")),
            pricing,
            order=draw(st.sampled_from(["EXPIRING_FIRST", "GRANTED_FIRST", "GRANTED_LAST"])),
            **more,
        )

    is_whole = method not in ("SUM", "COUNT") and draw(st.booleans())
    names = ["usage", "more"] if has_tokens and draw(st.integers(0, 3)) == 3 else ["usage"]
    token = CREDITS if has_tokens else None
    found = [wallet(name, method=method, is_whole_period=is_whole, token=token) for name in names]
    if has_tokens:
        found.append(wallet(CREDITS))
    return Plan(months, assets, tuple(found), draw(st.sampled_from([1, 1, 3])))


def without_due(pricing: tuple[Terms, ...]) -> tuple[Terms, ...]:
    """Return terms under which nothing is due without usage."""
    return tuple(terms._replace(is_due=False) for terms in pricing)


@st.composite
def records(draw: st.DrawFn, plan: Plan, record_id: str, asset: int | None = None) -> Record:
    """A record of a plan's usage, of a certain asset or of any."""
    wallet = draw(st.sampled_from([one for one in plan.wallets if one.name != CREDITS]))
    asset = asset or draw(st.sampled_from(sorted(plan.assets)))
    start, end = plan.assets[asset]
    last = min(end or month_start(plan.months), month_start(plan.months))
    days = [start + number * DAY for number in range((last - start).days)]
    # A few days of each month, so that assets are used on the same day, and at the ends of months.
    days = [day for day in days if day.day in (1, 2, 9, 10, 19, 20) or (day + 2 * DAY).day < 3]
    if not all(_is_plain(one) for one in plan.wallets):
        days = [day for day in days if day.toordinal() % 2 == asset % 2]
    # Two readings at one moment would have no order that a gauge could know.
    minute = int(record_id) if wallet.method == "TIME_WEIGHTED" else 0
    moment = timedelta(hours=draw(st.integers(0, 23)), minutes=minute)
    places = draw(st.sampled_from([1, 1, 1, 4]))
    labels = ["", "", '{"region":"eu"}'] if _has_dimensions(wallet) else [""]
    return Record(
        id=record_id,
        wallet=wallet.name,
        asset=asset,
        time=datetime.combine(draw(st.sampled_from(days)), time(), UTC) + moment,
        quantity=Fraction(draw(st.integers(0, 100)), places),
        dimensions=draw(st.sampled_from(labels)),
        value=draw(st.sampled_from("abc")),
    )


def _is_plain(wallet: Wallet) -> bool:
    return all(
        len(terms) == 1 and len(terms[0].tiers) == 1 and not terms[0].tiers[0].flat
        for terms in wallet.prices.values()
    )


def _has_dimensions(wallet: Wallet) -> bool:
    """Return False where two usages of one day, in either order, round to other last digits."""
    is_committed = any(held.discount for held in wallet.entitlements)
    return not wallet.token and not (wallet.method in FALLING and is_committed)


class Act(NamedTuple):
    """Something that arrives: a record or a repeat, its amendment, or its void.

    Or an entitlement that is sold, or terms that replace those of an asset. TAKE_IN arrives too:
    everything that is pending is taken in; and INVOICE: all bills are invoiced.
    """

    kind: str
    record: Record | None = None
    wallet: str = ""
    sold: Entitlement | None = None
    asset: int = 0
    terms: tuple[Terms, ...] = ()


TAKE_IN = Act("take in")
INVOICE = Act("invoice")
FATES = (
    *[("record",)] * 5,
    ("record", "repeat"),
    *[("record", "amend")] * 2,
    ("record", "repeat", "amend", "repeat", "amend"),
    ("record", "void"),
    ("record", "amend", "void", "repeat"),
)


@dataclass(frozen=True)
class History:
    """A plan that is sold at first, and all that arrives until each close and after the last one.

    Of the next batch, the first `early` acts arrive when tokens are still open and the usage rated
    in them is final. `plan` and `records` are all that is known in the end. Changes are booked in
    the next billing period, unless the account `reopens` what is not invoiced.
    """

    sold_first: Plan
    reopens: bool
    batches: tuple[tuple[Act, ...], ...]
    early: tuple[int, ...]
    plan: Plan
    records: tuple[Record, ...]


@st.composite
def in_time(draw: st.DrawFn, kind: str | None = None) -> tuple[Plan, tuple[Record, ...]]:
    """A plan and its records."""
    plan = draw(plans(kind))
    count = draw(st.sampled_from([*range(13), *range(5, 13)]))
    return plan, tuple(draw(records(plan, str(number))) for number in range(count))


@st.composite
def histories(draw: st.DrawFn, kind: str | None = None) -> History:
    """Records of a plan in any order, late or in time, some of them repeated, amended or voided.

    Some of what is sold is known late, too.
    """
    plan, originals = draw(in_time(kind))
    batches: list[list[tuple[object, Act]]] = [[] for _ in range(plan.months + 1)]
    remaining = []
    for original in originals:
        record, place = original, 0
        fate = draw(st.sampled_from(FATES))
        for step in fate:
            if step == "amend":
                record = draw(records(plan, original.id, original.asset))
                record = record._replace(wallet=original.wallet)
            place = draw(st.integers(max(place, month_of(record.time.date())), plan.months))
            act = Act("record", original) if step == "repeat" else Act(step, record)
            batches[place].append((original.id, act))
        if "void" not in fate:
            remaining.append(record)
    first = draw(_known_late(plan, batches))
    for batch in batches:
        batch += [
            (act, act) for act in draw(st.lists(st.sampled_from([TAKE_IN, INVOICE]), max_size=2))
        ]
    mixed = tuple(tuple(_mixed(draw, batch)) for batch in batches)
    early = tuple(draw(st.integers(0, 3)) for _ in range(plan.months))
    return History(first, draw(st.booleans()), mixed, early, plan, tuple(remaining))


@st.composite
def _known_late(draw: st.DrawFn, plan: Plan, batches: list[list[tuple[object, Act]]]) -> Plan:
    """Add the acts by which a part of a plan becomes known, and return the rest of it."""
    wallets = []
    for wallet in plan.wallets:
        kept = []
        for held in wallet.entitlements:
            first = month_of(held.start)
            if first > plan.months or draw(st.integers(0, 3)):
                kept.append(held)
                continue
            act = Act("sell", wallet=wallet.name, sold=held)
            batches[draw(st.integers(first, plan.months))].append((held, act))
        prices = dict(wallet.prices)
        asset = draw(st.sampled_from(sorted(prices)))
        if _is_plain(wallet) and draw(st.integers(0, 3)) == 3:
            act = Act("price", wallet=wallet.name, asset=asset, terms=prices[asset])
            prices[asset] = draw(plain_pricings())
            batches[draw(st.integers(0, plan.months))].append((wallet.name, act))
        wallets.append(wallet._replace(entitlements=tuple(kept), prices=prices))
    return plan._replace(wallets=tuple(wallets))


def _mixed(draw: st.DrawFn, batch: list[tuple[object, Act]]) -> list[Act]:
    """Return the acts of a batch in any order that keeps the acts of one thing in theirs."""
    order = draw(st.permutations([thing for thing, _ in batch]))
    queues: dict[object, list[Act]] = {}
    for thing, act in batch:
        queues.setdefault(thing, []).append(act)
    return [queues[thing].pop(0) for thing in order]
