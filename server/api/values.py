"""Domain values as messages: decimals, times, dates, money, cadences, enums."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.timestamp_pb2 import Timestamp
from google.type import date_pb2, decimal_pb2, money_pb2
from usage_management.v1 import types_pb2

from server.api import names
from server.domain.audit import Audit
from server.domain.caches import memoize
from server.domain.calendar import Cadence, RatingPeriod
from server.domain.exact import EXACT, plain
from server.domain.ids import CredentialId

NANOS = Decimal(10) ** 9
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def decimal_pb(value: Decimal) -> decimal_pb2.Decimal:
    """Return a number as plain text."""
    return decimal_pb2.Decimal(value=plain(value))


def optional_decimal_pb(value: Decimal | None) -> decimal_pb2.Decimal | None:
    """Return a number, or None."""
    return None if value is None else decimal_pb(value)


def time_pb(instant: datetime) -> Timestamp:
    """Return a time, to the microsecond."""
    # In integers: a float timestamp is not exact to the microsecond.
    since = instant - EPOCH
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1_000)


def optional_time_pb(instant: datetime | None) -> Timestamp | None:
    """Return a time, or None."""
    return None if instant is None else time_pb(instant)


def date_pb(day: date) -> date_pb2.Date:
    """Return a civil date."""
    return date_pb2.Date(year=day.year, month=day.month, day=day.day)


def optional_date_pb(day: date | None) -> date_pb2.Date | None:
    """Return a civil date, or None."""
    return None if day is None else date_pb(day)


def money_pb(currency_code: str, amount: Decimal) -> money_pb2.Money:
    """Return an amount of money, which must be rounded to nine decimals at most."""
    # int() rounds toward zero, so that units and nanos have the same sign, as Money requires.
    units = int(amount)
    nanos = EXACT.multiply(EXACT.subtract(amount, Decimal(units)), NANOS)
    return money_pb2.Money(currency_code=currency_code, units=units, nanos=int(nanos))


def cadence_pb(cadence: Cadence | None) -> types_pb2.Cadence | None:
    """Return a cadence, or None."""
    if cadence is None:
        return None
    unit = enum_pb(types_pb2.Cadence.Unit, cadence.unit)
    return types_pb2.Cadence(unit=unit, count=cadence.count)


def rating_period_pb(period: RatingPeriod) -> types_pb2.RatingPeriod:
    """Return a rating period with its freeze time."""
    return types_pb2.RatingPeriod(
        start_time=time_pb(period.start),
        end_time=time_pb(period.end),
        freeze_time=time_pb(period.freeze),
    )


@memoize(entries=256, entry_bytes=512)
def enum_prefix(enum: EnumDescriptor) -> str:
    """Return the prefix of an enum's values; nested enums have none."""
    if enum.containing_type is not None:
        return ""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", enum.name).upper() + "_"


def enum_pb(wrapper: Any, member: StrEnum | str) -> Any:
    """Return the number of the proto's value with the same name."""
    return enum_number(wrapper.DESCRIPTOR, member)


def enum_number(enum: Any, member: StrEnum | str) -> Any:
    """Return the number of the value of an enum's descriptor with the same name."""
    return enum.values_by_name[f"{enum_prefix(enum)}{member}"].number


def etag(revision: int) -> str:
    """Return a revision as an etag."""
    return f'"{revision}"'


def audit_pb(audit: Audit | None) -> dict[str, Any]:
    """Return the audit fields of a resource; none before it is stored."""
    if audit is None:
        return {}
    return {
        "create_time": time_pb(audit.create_time),
        "created_by": credential_name(audit.created_by),
        "update_time": time_pb(audit.update_time),
        "updated_by": credential_name(audit.updated_by),
    }


def credential_name(credential_id: CredentialId | None) -> str:
    """Return the name of a credential; empty for the service itself."""
    return "" if credential_id is None else names.CREDENTIAL.of(credential_id)
