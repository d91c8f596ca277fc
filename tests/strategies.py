"""Strategies of the property tests: small inputs with round numbers and awkward dates.

Quantities have up to `places` decimals and stay small, so that a failing example can be added up
by hand.
"""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st

from server.domain.calendar import (
    Cadence,
    CadenceUnit,
    Period,
    PolicyPeriod,
    local_midnight,
)
from server.domain.consumption.cells import Cell, Measure
from server.domain.ids import (
    AssetId,
    CellId,
    EntitlementId,
    GrantId,
    RecordId,
    UnitId,
    WalletId,
    derive,
)
from server.domain.modeling.policies import (
    AggregationMethod,
    AggregationPolicy,
    Combination,
    DrawdownOrder,
    RefreshPolicy,
    RolloverPolicy,
    Validity,
)
from server.domain.rating.rates import (
    Adjustment,
    AdjustmentKind,
    Rate,
    RateTerms,
    Tier,
    TierBounds,
)
from server.domain.selling.grants import Entitlement, Grant, GrantKind

# A busy machine is no failure; what hangs meets the time limit of the test instead.
settings.register_profile("usage", deadline=None)
settings.load_profile("usage")

USD = UnitId("USD")
BASE = UUID(int=7)
WALLET = WalletId(derive(BASE, "wallet"))
ASSET = AssetId(derive(BASE, "asset", 1))
MONTHLY = Cadence(CadenceUnit.MONTH)
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Asia/Beirut",
    "Pacific/Apia",
)


def quantities(upper: int = 1000, places: int = 3) -> st.SearchStrategy[Decimal]:
    """Non-negative quantities, zero among them."""
    return st.decimals(min_value=0, max_value=upper, places=places)


numbers = st.decimals(min_value=-(10**20), max_value=10**20, places=12)
zones = st.sampled_from(ZONES)
dates = st.dates(date(2008, 1, 1), date(2031, 12, 31))
EARLIEST = datetime(2008, 1, 2, tzinfo=UTC)
instants = st.integers(0, 24 * 365 * 86400).map(lambda s: EARLIEST + timedelta(seconds=s))
orders = st.sampled_from(DrawdownOrder)
cadences = st.builds(Cadence, st.sampled_from(CadenceUnit), st.integers(1, 5))
policies = st.builds(
    AggregationPolicy,
    method=st.sampled_from([one for one in AggregationMethod if one.only_grows]),
    period=st.sampled_from(PolicyPeriod),
    combine=st.sampled_from(Combination),
)


@st.composite
def measures(draw: st.DrawFn) -> Measure:
    """The measure of one record; record ids may be anything but are all different in practice."""
    time = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=draw(st.integers(0, 48)))
    record = RecordId(draw(st.uuids()).hex)
    return Measure.of(draw(quantities()), time, record)


def months(zone: str, count: int, *, year: int = 2024) -> tuple[Period, ...]:
    """Calendar months from January on, as rating periods."""
    first = date(year, 1, 1)
    starts = [local_midnight(zone, MONTHLY.nth(first, k)) for k in range(count + 1)]
    return tuple(Period(a, b) for a, b in pairwise(starts))


def cell(
    name: object,
    quantity: Decimal | int,
    start: datetime,
    *,
    period: Period,
    asset: int = 1,
) -> Cell:
    """A cell of one record of `quantity`."""
    return Cell(
        id=CellId(derive(BASE, "cell", name)),
        wallet_id=WALLET,
        asset_id=AssetId(derive(BASE, "asset", asset)),
        asset_number=asset,
        start=start,
        end=start + timedelta(hours=1),
        period=period,
        measure=Measure.of(Decimal(quantity), start, RecordId(str(name))),
    )


@st.composite
def usage(draw: st.DrawFn, zone: str, periods: tuple[Period, ...]) -> tuple[Cell, ...]:
    """Cells of two assets over some periods."""
    cells = []
    for index in range(draw(st.integers(0, 14))):
        period = draw(st.sampled_from(periods))
        day = draw(st.integers(0, 27))
        start = local_midnight(zone, period.start.date() + timedelta(days=day + 1))
        start = start if period.contains(start) else period.start
        quantity = draw(quantities(120, 1))
        asset = draw(st.integers(1, 2))
        cells.append(cell(index, quantity, start, period=period, asset=asset))
    return tuple(cells)


def entitlement(
    name: object = 1,
    quantity: Decimal | int = 100,
    start: date = date(2024, 1, 1),
    *,
    end: date | None = None,
    anchor: date | None = None,
    refresh: Cadence | None = MONTHLY,
    validity: Validity | None = None,
    rollover: RolloverPolicy | None = None,
    scale: int = 0,
) -> Entitlement:
    """An entitlement that is refreshed monthly from its start, unless told otherwise."""
    return Entitlement(
        id=EntitlementId(derive(BASE, "entitlement", name)),
        wallet_id=WALLET,
        asset_id=ASSET,
        number=1,
        quantity=Decimal(quantity),
        unit_scale=scale,
        start=start,
        end=end,
        anchor=anchor or start,
        refresh=RefreshPolicy(cadence=refresh) if refresh else None,
        validity=validity,
        rollover=rollover,
    )


@st.composite
def entitlements(draw: st.DrawFn, name: object = 1) -> Entitlement:
    """Entitlements that are refreshed, valid and rolled over in all sorts of ways."""
    anchor = draw(st.dates(date(2023, 6, 1), date(2024, 2, 29)))
    start = anchor + timedelta(days=draw(st.integers(0, 60)))
    length = draw(st.none() | st.integers(1, 500))
    validity = draw(st.none() | st.builds(Validity, cadence=st.none() | cadences))
    counts = st.none() | st.integers(0, 3)
    return entitlement(
        name,
        draw(st.integers(1, 500)),
        start,
        end=None if length is None else start + timedelta(days=length),
        anchor=anchor,
        refresh=draw(st.none() | cadences),
        validity=validity,
        rollover=draw(st.none() | st.builds(RolloverPolicy, max_count=counts)),
        scale=draw(st.integers(0, 2)),
    )


def grant(
    name: object,
    balance: Decimal | int,
    start: datetime,
    expire: datetime | None = None,
) -> Grant:
    """An unused grant of no entitlement in particular."""
    return Grant(
        id=GrantId(derive(BASE, "grant", name)),
        wallet_id=WALLET,
        entitlement_id=EntitlementId(derive(BASE, "none")),
        kind=GrantKind.SALE,
        index=0,
        rollovers=0,
        quantity=Decimal(balance),
        start=start,
        expire=expire,
        balance=Decimal(balance),
    )


@st.composite
def wallets(draw: st.DrawFn, noon: datetime) -> list[Grant]:
    """Grants that are over, open or still to come at `noon`."""
    found = []
    for index in range(draw(st.integers(0, 7))):
        start = noon + timedelta(days=draw(st.integers(-20, 5)))
        days = draw(st.none() | st.integers(1, 30))
        expire = None if days is None else start + timedelta(days=days)
        found.append(grant(index, draw(quantities()), start, expire))
    return found


def adjustments() -> st.SearchStrategy[Adjustment]:
    """Overrides, percentages off, amounts on top."""
    return st.builds(
        Adjustment,
        kind=st.sampled_from(AdjustmentKind),
        value=st.decimals(min_value=0, max_value=90, places=2),
    )


@st.composite
def tier_sets(draw: st.DrawFn, *, is_whole: bool = False) -> tuple[Tier, ...]:
    """Tiers without gap or overlap; whole ones start at zero and have no end."""
    steps = draw(st.lists(st.integers(1, 100), min_size=1, max_size=5))
    lower = Decimal(0 if is_whole else draw(st.integers(0, 20)))
    tiers = []
    for index, step in enumerate(steps):
        is_open = index == len(steps) - 1 and (is_whole or draw(st.booleans()))
        upper = None if is_open else lower + step
        tiers.append(Tier(lower=lower, upper=upper, adjustment=draw(adjustments())))
        lower += step
    return tuple(tiers)


def terms(value: str = "1", **more: object) -> RateTerms:
    """Terms in dollars for each unit."""
    return RateTerms(unit=USD, rate=Rate(value=Decimal(value), unit=USD), **more)  # type: ignore[arg-type]


bounds = st.sampled_from(TierBounds)
