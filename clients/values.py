"""Decimals, instants, dates and money to and from the wire. No float, and nothing rounded."""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal, Inexact, InvalidOperation

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2, status_pb2
from google.type import date_pb2, decimal_pb2, money_pb2

NANOS = Decimal(10) ** 9
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EXACT = Context(prec=76, traps=[Inexact, InvalidOperation])


def decimal_pb(value: Decimal | int) -> decimal_pb2.Decimal:
    """A number as plain text: no exponent, no zeros behind that mean nothing."""
    if isinstance(value, Decimal) and not value.is_finite():
        raise ValueError(f"{value} is not a number that can be sent")
    text = f"{Decimal(value):f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return decimal_pb2.Decimal(value="0" if text == "-0" else text)


def decimal(message: decimal_pb2.Decimal) -> Decimal:
    """The number in a message; an absent one is zero."""
    return Decimal(message.value or "0")


def time_pb(instant: datetime) -> Timestamp:
    """An instant, to the microsecond. Raises ValueError without a time zone."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant} has no time zone")
    since = instant - EPOCH
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1_000)


def time(message: Timestamp) -> datetime:
    """The instant in a message, in UTC; nanoseconds are cut to microseconds."""
    return EPOCH + timedelta(seconds=message.seconds, microseconds=message.nanos // 1_000)


def date_pb(day: date) -> date_pb2.Date:
    """A civil date."""
    return date_pb2.Date(year=day.year, month=day.month, day=day.day)


def day(message: date_pb2.Date) -> date:
    """The civil date in a message."""
    return date(message.year, message.month, message.day)


def money_pb(currency_code: str, amount: Decimal) -> money_pb2.Money:
    """Money. Raises decimal.Inexact beyond nine places."""
    nanos = _EXACT.multiply(amount, NANOS).to_integral_exact(context=_EXACT)
    units = int(amount)
    return money_pb2.Money(
        currency_code=currency_code, units=units, nanos=int(nanos) - units * 10**9
    )


def money(message: money_pb2.Money) -> tuple[str, Decimal]:
    """The currency and the amount in a message."""
    whole = Decimal(message.units)
    return message.currency_code, whole + Decimal(message.nanos).scaleb(-9)


def enum_name(message: Message, field: str) -> str:
    """Return the name of a field's enum value without the enum's prefix; empty if unspecified."""
    enum = message.DESCRIPTOR.fields_by_name[field].enum_type
    number = getattr(message, field)
    if enum is None or not number:
        return ""
    value = enum.values_by_number.get(number)
    prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", enum.name).upper() + "_"
    return str(number) if value is None else value.name.removeprefix(prefix)


def reason_of(status: status_pb2.Status) -> str:
    """Return the reason in a status; empty if it has none."""
    info = error_details_pb2.ErrorInfo()
    found = any(detail.Unpack(info) for detail in status.details)
    return info.reason if found else ""
