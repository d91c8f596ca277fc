"""Short words for the values of a story: numbers, moments, lines, records."""

from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.type import date_pb2, decimal_pb2, money_pb2
from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import consumption_service_pb2 as consumption
from usage_management.v1 import quote_service_pb2 as quotes
from usage_management.v1 import types_pb2 as types

from clients import UsageError
from clients.values import enum_name

ACCEPTED = consumption.RecordOutcome.ACCEPTED
REJECTED = consumption.RecordOutcome.REJECTED


_ids = count(1)


def number(value: object) -> decimal_pb2.Decimal:
    return decimal_pb2.Decimal(value=str(value))


def optional_number(value: object | None) -> decimal_pb2.Decimal | None:
    return None if value is None else number(value)


def moment(text: str) -> datetime:
    """`2024-01-31` or `2024-01-31T12:00`, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def stamp(instant: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(instant)
    return made


def day(text: str) -> date_pb2.Date:
    value = date.fromisoformat(text)
    return date_pb2.Date(year=value.year, month=value.month, day=value.day)


def figure(message: decimal_pb2.Decimal) -> Decimal:
    return Decimal(message.value)


@dataclass(frozen=True, kw_only=True)
class Metered:
    """A resource of a product: what is included of it, and what the rest costs.

    `tiers` are (lower, upper or None, override); `max_rollovers` None is no rollover, 0 no limit.
    """

    resource: str
    grant: str | None = None
    refresh: str | None = None
    refresh_count: int = 1
    validity: str | None = None
    validity_count: int = 1
    max_rollovers: int | None = None
    cap: str | None = None
    cap_percent: str | None = None
    remainder_percent: str | None = None
    rate: str | None = None
    per: str = "1"
    tiers: tuple[tuple[str, str | None, str], ...] = ()
    overage: str = "CHARGE"
    order: str = "DRAWDOWN_ORDER_UNSPECIFIED"
    method: str = "SUM"
    window: str = "DAY"
    combine: str = "COMBINE_UNSPECIFIED"
    rating: str = "MONTH"
    waiting_days: int = 3
    waiting_hours: int | None = None
    late: str = "NEXT_PERIOD"
    scale: int = 0
    rounding: str = "ROUNDING_UNSPECIFIED"
    negotiable: bool = True
    max_discount: str | None = None
    max_increase: str | None = None
    fixed_grant: bool = False
    fixed_policies: bool = False
    unique_label: str = ""
    dimensions: tuple[str, ...] = ()


def tier(lower: str, upper: str | None, override: str) -> types.RateTier:
    made = types.RateTier(
        lower=number(lower),
        adjustment=types.RateAdjustment(kind="OVERRIDE", value=number(override)),
    )
    if upper is not None:
        made.upper.value = upper
    return made


def line(
    product: str,
    start: str,
    *,
    end: str | None = None,
    quantity: int = 1,
    binding: str = "SELF",
    negotiated: Iterable[quotes.NegotiatedRate] = (),
) -> quotes.SaleLine:
    """A line of a quote."""
    made = quotes.SaleLine(
        product=f"products/{product}",
        quantity=number(quantity),
        start_date=day(start),
        binding=binding,
        negotiated_rates=list(negotiated),
    )
    if end is not None:
        made.end_date.CopyFrom(day(end))
    return made


def usage(
    asset: assets.Asset,
    resource: str,
    at: str | datetime,
    quantity: object,
    record_id: str | None = None,
    **labels: str,
) -> consumption.UsageRecordInput:
    """A usage record; without an id it gets one of its own."""
    return consumption.UsageRecordInput(
        record_id=record_id or f"record-{next(_ids)}",
        asset=asset.name,
        usage_resource=f"usageResources/{resource}",
        quantity=number(quantity),
        usage_time=stamp(moment(at) if isinstance(at, str) else at),
        labels=labels,
    )


def resources(answer: Any, *outcomes: str) -> list[str]:
    """Return the names of what a batch did this to, or anything, in the order of its request."""
    found = []
    for one in answer.outcomes:
        fields = [value for field, value in one.ListFields() if field.name != "outcome"]
        if not outcomes or enum_name(one, "outcome") in outcomes:
            found.append(fields[0].name)
    return found


def changed(answer: Any) -> list[str]:
    """Return the names of what a batch changed."""
    return resources(answer, "CHANGED")


def money(message: money_pb2.Money) -> Decimal:
    """Return an amount of money as a number."""
    return Decimal(message.units) + Decimal(message.nanos) / Decimal(10**9)


def codes(outcomes: Iterable[consumption.RecordOutcome]) -> list[int]:
    """Return what became of each record."""
    return [one.code for one in outcomes]


async def refusal(call: Awaitable[Any]) -> UsageError:
    """Return why a call is refused, which it has to be."""
    with pytest.raises(UsageError) as refused:
        await call
    return refused.value
