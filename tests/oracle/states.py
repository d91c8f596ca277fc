"""The domain's values of a plan and its records, as the store would load them."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from fractions import Fraction

from server.domain.billing.closing import WalletCalendar
from server.domain.calendar import Cadence, CadenceUnit, Delay, Period, PolicyPeriod
from server.domain.consumption.cells import Cell, Measure, merged
from server.domain.consumption.gauges import Service
from server.domain.ids import AssetId, CellId, EntitlementId, RecordId, UnitId, WalletId, derive
from server.domain.modeling.policies import (
    AggregationMethod,
    AggregationPolicy,
    Combination,
    DrawdownOrder,
    OveragePolicy,
    RatingFrequency,
    RefreshPolicy,
    RolloverPolicy,
)
from server.domain.rating.rates import (
    Adjustment,
    AdjustmentKind,
    Rate,
    RateSegment,
    RateTerms,
    Tier,
    TierMode,
)
from server.domain.selling.grants import Entitlement
from server.domain.settlement.tokens import TokenWallet
from server.domain.settlement.walk import Commitments, WalletTerms
from tests.oracle import plans
from tests.oracle.plans import DAY, FIRST, Plan, Record, month_of, month_start
from tests.strategies import BASE, MONTHLY

ZONE = "UTC"
DOLLARS = UnitId("USD")
COMMITTED = -1
"""The number of the asset that is a wallet's commitment."""


def instant(day: date) -> datetime:
    """Return the midnight at which a day begins."""
    return datetime.combine(day, time(), UTC)


def period(month: int) -> Period:
    """Return the rating period of a month."""
    return Period(instant(month_start(month)), instant(month_start(month + 1)))


def decimal(number: Fraction) -> Decimal:
    """Return a number that has at most 12 decimals."""
    scaled = number * 10**12
    assert scaled.denominator == 1, number
    return Decimal(scaled.numerator).scaleb(-12).normalize() + Decimal(0)


def wallet_id(name: str) -> WalletId:
    """Return the id of a wallet."""
    return WalletId(derive(BASE, "wallet", name))


def asset_id(number: int) -> AssetId:
    """Return the id of an asset."""
    return AssetId(derive(BASE, "asset", number))


def entitlement_id(wallet: str, name: str) -> EntitlementId:
    """Return the id of an entitlement."""
    return EntitlementId(derive(BASE, "entitlement", wallet, name))


def terms(wallet: plans.Wallet) -> WalletTerms:
    """Return the policies of a wallet."""
    length = PolicyPeriod.RATING_PERIOD if wallet.is_whole_period else PolicyPeriod.DAY
    return WalletTerms(
        id=wallet_id(wallet.name),
        zone=ZONE,
        aggregation=AggregationPolicy(
            method=AggregationMethod(wallet.method), period=length, combine=Combination.TOTAL
        ),
        order=DrawdownOrder(wallet.order),
        anchor=FIRST,
        rating=PolicyPeriod.MONTH,
    )


def calendar(plan: Plan, wallet: plans.Wallet) -> WalletCalendar:
    """Return the calendar of a wallet."""
    return WalletCalendar(
        zone=ZONE,
        anchor=FIRST,
        service_start=min(instant(plan.assets[number].start) for number in wallet.prices),
        billing=Cadence(CadenceUnit.MONTH, plan.billing),
        frequency=RatingFrequency(period=PolicyPeriod.MONTH, delay=Delay(3)),
    )


def entitlement(wallet: plans.Wallet, held: plans.Entitlement) -> Entitlement:
    """Return an entitlement of a wallet."""
    rollover = held.rollover and RolloverPolicy(
        max_count=held.rollover.count,
        max_percent=None if held.rollover.percent is None else Decimal(held.rollover.percent),
        max_quantity=None if held.rollover.quantity is None else Decimal(held.rollover.quantity),
    )
    return Entitlement(
        id=entitlement_id(wallet.name, held.name),
        wallet_id=wallet_id(wallet.name),
        asset_id=asset_id(COMMITTED if held.discount else min(wallet.prices)),
        number=1,
        quantity=Decimal(held.quantity),
        unit_scale=0,
        start=held.start,
        end=held.end,
        anchor=held.start,
        refresh=RefreshPolicy(cadence=MONTHLY) if held.is_monthly else None,
        rollover=rollover,
    )


def commitments(wallet: plans.Wallet) -> Commitments:
    """Return the commitments of a wallet, with what they discount."""
    return {
        asset_id(COMMITTED): RateTerms(
            unit=unit(wallet), rate=None, tiers=_tiers(held.discount, AdjustmentKind.PERCENTAGE)
        )
        for held in wallet.entitlements
        if held.discount
    }


def rates(plan: Plan, wallet: plans.Wallet) -> dict[AssetId, tuple[RateSegment, ...]]:
    """Return the terms of each asset."""
    return {
        asset_id(number): tuple(
            RateSegment(
                start=instant(one.start),
                end=None if after is None else instant(after.start),
                terms=_rate_terms(wallet, one),
                overage=OveragePolicy.FREE if one.is_free else OveragePolicy.CHARGE,
            )
            for one, after in zip(prices, [*prices[1:], None], strict=True)
        )
        for number, prices in wallet.prices.items()
    }


def services(plan: Plan, wallet: plans.Wallet) -> dict[AssetId, Service]:
    """Return the time for which each asset of a wallet is sold."""
    return {
        asset_id(number): Service(
            number,
            instant(plan.assets[number].start),
            None if plan.assets[number].end is None else instant(plan.assets[number].end),
        )
        for number in wallet.prices
    }


def token_wallet(name: str) -> TokenWallet:
    """Return a wallet of tokens."""
    return TokenWallet(
        id=wallet_id(name),
        unit=UnitId(name),
        zone=ZONE,
        anchor=FIRST,
        length=PolicyPeriod.MONTH,
    )


def cells(wallet: plans.Wallet, records: Iterable[Record]) -> tuple[Cell, ...]:
    """Return the cells of all records of a wallet, each in the period of its usage."""
    measures: dict[tuple[int, str, date], list[Measure]] = {}
    seen: set[object] = set()
    for record in sorted(records, key=lambda one: (one.time, one.id)):
        if record.wallet != wallet.name:
            continue
        day = record.time.date()
        quantity = record.quantity
        if wallet.method == "UNIQUE_COUNT":
            window = month_of(day) if wallet.is_whole_period else day
            value = (record.asset, record.dimensions, window, record.value)
            quantity = Fraction(value not in seen)
            seen.add(value)
        measure = Measure.of(decimal(quantity), record.time, RecordId(record.id))
        measures.setdefault((record.asset, record.dimensions, day), []).append(measure)
    return tuple(
        Cell(
            id=CellId(derive(BASE, "cell", wallet.name, *map(str, key))),
            wallet_id=wallet_id(wallet.name),
            asset_id=asset_id(key[0]),
            asset_number=key[0],
            start=instant(key[2]),
            end=instant(key[2] + DAY),
            period=period(month_of(key[2])),
            measure=merged(found),
            dimensions=key[1],
        )
        for key, found in measures.items()
    )


def unit(wallet: plans.Wallet) -> UnitId:
    """Return the currency or the token in which a wallet is rated."""
    return UnitId(wallet.token) if wallet.token else DOLLARS


def _rate_terms(wallet: plans.Wallet, one: plans.Terms) -> RateTerms:
    paid_in, per = unit(wallet), Decimal(one.per)
    first = one.tiers[0]
    if len(one.tiers) == 1 and not first.flat:
        is_package = first.package is not None
        size = Decimal(first.package) if first.package is not None else per
        value = decimal(first.rate)
        return RateTerms(
            unit=paid_in, rate=Rate(value=value, per=size, unit=paid_in, is_package=is_package)
        )
    bounds = [*(tier.lower for tier in one.tiers[1:]), None]
    return RateTerms(
        unit=paid_in,
        per=per,
        rate=None,
        mode=TierMode.GRADUATED if one.is_graduated else TierMode.VOLUME,
        tiers=tuple(
            Tier(
                lower=Decimal(tier.lower),
                upper=None if upper is None else Decimal(upper),
                adjustment=Adjustment(kind=AdjustmentKind.OVERRIDE, value=decimal(tier.rate)),
                flat=decimal(tier.flat) if tier.flat else None,
                package=None if tier.package is None else Decimal(tier.package),
                is_flat_due=one.is_due and not tier.lower,
            )
            for tier, upper in zip(one.tiers, bounds, strict=True)
        ),
    )


def _tiers(steps: tuple[tuple[int, int], ...], kind: AdjustmentKind) -> tuple[Tier, ...]:
    bounds = [*(lower for lower, _ in steps[1:]), None]
    return tuple(
        Tier(
            lower=Decimal(lower),
            upper=None if upper is None else Decimal(upper),
            adjustment=Adjustment(kind=kind, value=Decimal(value)),
        )
        for (lower, value), upper in zip(steps, bounds, strict=True)
    )
