"""Intake: the checks of a record against the sale and the clock.

These checks do not depend on the state of rating periods. The answer is therefore the same in any
batch and for any repetition of a record, until the time or the catalog changes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256

from server.domain.consumption.dimensions import dimensions_text
from server.domain.consumption.loadings import AssetKey
from server.domain.consumption.recording import Counted, Meter, MeterKey, Refused, Slot, Usage
from server.domain.errors import FailedPrecondition, InvalidArgument, NotFound, Subject, UsageError
from server.domain.exact import plain
from server.domain.ids import UnitId
from server.domain.limits import MOST_QUANTITY, value_of
from server.domain.modeling.units import SAME, Ratio, Unit, counted, ratio

AHEAD = timedelta(minutes=value_of("record.future_minutes"))
DEFAULT_WINDOW = timedelta(days=value_of("record.window_days"))
SEPARATOR = "\x1f"


@dataclass(slots=True)
class Intake:
    """The data for checking a batch: the tenant's time, the meters, and the named units.

    A meter is None if the asset exists and was not sold with the resource. A unit comes with its
    active flag. `most` is the largest counted quantity, `window` the greatest age of usage. Usage
    of the assets in `loaded`, which is None until it matters, may have any age. Calendars and
    prefixes are computed once for each batch.
    """

    now: datetime
    meters: Mapping[MeterKey, Meter | None]
    units: Mapping[UnitId, tuple[Unit, bool]]
    most: Decimal = MOST_QUANTITY
    window: timedelta = DEFAULT_WINDOW
    loaded: frozenset[AssetKey] | None = None
    _series: "dict[MeterKey, _Series]" = field(default_factory=dict)

    @property
    def oldest(self) -> datetime:
        """The oldest usage that is accepted of assets that are not being loaded."""
        return self.now - self.window

    def assess(self, usage: Usage) -> Counted | Refused:
        """Check one record against everything except the state of periods.

        Raises ASSET_NOT_FOUND and RESOURCE_NOT_ENTITLED if no such record can have been stored
        before. A refusal that may meet a repeated record is returned: the repeat of a stored record
        is a duplicate, even if it would be refused now.
        """
        key = usage.meter_key
        series = self._series.get(key) or self._find(key)
        meter = series.meter
        unit_id = usage.unit_id or meter.unit.id
        text = plain(usage.quantity)
        # Before the checks: the digest identifies the repeat of a stored record even if it fails
        # now.
        digest = content_hash(series.prefix, usage, unit_id, text)
        try:
            self._check_time(usage)
            if not meter.entitles(usage.time):
                raise _not_entitled(usage, meter)
            quantity, by = self._count(usage.quantity, unit_id, meter.unit)
            if meter.unique_label is not None:
                _check_label(usage, meter.unique_label)
        except UsageError as error:
            return Refused(usage, digest, error)
        own_text = text if quantity is usage.quantity else plain(quantity)
        slot = series.slot(usage.time)
        told_apart = dimensions_text(meter.dimensions, usage.labels)
        # Distinct values have no unit, and readings of a gauge in any unit belong to one cell.
        by = SAME if meter.is_gauge or meter.unique_label is not None else by
        return Counted(usage, unit_id, digest, quantity, text, own_text, slot, told_apart, by)

    def _find(self, key: MeterKey) -> "_Series":
        account_id, asset_id, resource_id = key
        if key not in self.meters:
            raise NotFound.of("Asset", f"accounts/{account_id}/assets/{asset_id}")
        meter = self.meters[key]
        if meter is None:
            raise FailedPrecondition(
                "RESOURCE_NOT_ENTITLED",
                f"usageResources/{resource_id} was not sold with this asset",
                {
                    "asset": f"accounts/{account_id}/assets/{asset_id}",
                    "usage_resource": f"usageResources/{resource_id}",
                },
            )
        self._series[key] = _Series(meter, f"1{SEPARATOR}{asset_id.hex}{SEPARATOR}{resource_id}")
        return self._series[key]

    def _check_time(self, usage: Usage) -> None:
        time = usage.time
        if time > self.now + AHEAD:
            raise InvalidArgument.at(
                "usage_time",
                "TIMESTAMP_IN_FUTURE",
                f"is more than 5 minutes ahead of the tenant's clock, {self.now.isoformat()}",
                now=self.now.isoformat(),
            )
        oldest = self.oldest
        if time < oldest and (usage.account_id, usage.asset_id) not in (self.loaded or ()):
            raise InvalidArgument.at(
                "usage_time",
                "TIMESTAMP_TOO_OLD",
                f"is before {oldest.isoformat()}, {self.window.days} days behind the tenant's"
                " clock; change usage_window_days of the tenant (UpdateTenant), or record older"
                " usage while its asset is loading (StartLoading)",
                setting="usage_window_days",
                window_days=str(self.window.days),
                oldest=oldest.isoformat(),
                now=self.now.isoformat(),
            )

    def _count(self, quantity: Decimal, unit_id: UnitId, own: Unit) -> tuple[Decimal, Ratio]:
        """Return the counted quantity; no decimal of it is a reason to refuse it."""
        by = SAME if unit_id == own.id else ratio(self._unit(unit_id, own), own)
        found = counted(quantity, by)
        if found > self.most:
            raise _too_much(found, self.most, own)
        return found, by

    def _unit(self, unit_id: UnitId, own: Unit) -> Unit:
        name = f"unitsOfMeasure/{unit_id}"
        if unit_id not in self.units:
            raise NotFound(
                "UNIT_OF_MEASURE_NOT_FOUND",
                f"no unit named {name}",
                {"name": name},
                subject=Subject("UnitOfMeasure", name),
            )
        unit, is_active = self.units[unit_id]
        # A unit of another class is wrong in any state; `ratio` refuses it with a better reason.
        if not is_active and unit.class_id == own.class_id:
            raise FailedPrecondition(
                "UNIT_INACTIVE", f"{name} is not active", {"unit_of_measure": name}
            )
        return unit


def content_hash(prefix: str, usage: Usage, unit_id: UnitId, text: str) -> bytes:
    """Return a digest of the content that equal records share.

    `prefix` names the asset and resource, `text` is the quantity as plain text. A control character
    that no field may contain separates the fields; labels are JSON.
    """
    labels = json.dumps(sorted(usage.labels.items())) if usage.labels else ""
    fields = (prefix, text, unit_id, usage.time.isoformat(), labels)
    return sha256(SEPARATOR.join(fields).encode()).digest()


@dataclass(slots=True)
class _Series:
    """A meter with its days in a batch, by the UTC dates that they overlap."""

    meter: Meter
    prefix: str
    by_date: dict[date, list[Slot]] = field(default_factory=dict)
    by_start: dict[datetime, Slot] = field(default_factory=dict)

    def slot(self, instant: datetime) -> Slot:
        # The UTC date finds the slot without a time zone conversion for each record.
        day = instant.date()
        for slot in self.by_date.get(day, ()):
            if slot.day.start <= instant < slot.day.end:
                return slot
        # A day never has two wallets, because an asset is bound from a midnight on.
        meter = self.meter.at(instant)
        civil, period = meter.day_and_period(instant)
        # A day has one slot even if it overlaps two UTC dates: slots are compared by identity.
        found = self.by_start.get(civil.start)
        if found is None:
            found = self.by_start[civil.start] = Slot(meter, civil, period)
        self.by_date.setdefault(day, []).append(found)
        return found


def _too_much(counted: Decimal, most: Decimal, own: Unit) -> InvalidArgument:
    text = f"counts {plain(counted)} {own.id}; a record has at most {plain(most)} (record.quantity)"
    return InvalidArgument.at(
        "quantity", "DECIMAL_RANGE", text, limit="record.quantity", most=plain(most)
    )


def _check_label(usage: Usage, label: str) -> None:
    if not (usage.labels or {}).get(label):
        text = f"must have a value for {label}, whose different values are counted"
        raise InvalidArgument.at("labels", "FIELD_REQUIRED", text, label=label)


def _not_entitled(usage: Usage, meter: Meter) -> FailedPrecondition:
    facts = {
        "asset": f"accounts/{usage.account_id}/assets/{usage.asset_id}",
        "usage_resource": f"usageResources/{usage.resource_id}",
        "start_time": meter.start.isoformat(),
    }
    until = ""
    if meter.end is not None:
        facts["end_time"] = meter.end.isoformat()
        until = f" until {facts['end_time']}"
    return FailedPrecondition(
        "RESOURCE_NOT_ENTITLED",
        f"the asset has {facts['usage_resource']} from {facts['start_time']}{until}",
        facts,
    )
