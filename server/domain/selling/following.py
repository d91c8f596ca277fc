"""Following: the rates of an asset that has on each day what the catalog has on that day.

Source: R37. The rates are kept as dated terms, like those of an asset that was repriced, so that
settlement, balances, previews and verification need to know nothing of the catalog.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from server.domain.errors import UsageError
from server.domain.ids import AssetId, ResourceId
from server.domain.rating.cached_terms import CatalogTerms
from server.domain.rating.rates import RateTerms
from server.domain.selling.asset_changes import (
    AssetAct,
    FieldChange,
    NewAssetChange,
    described_terms,
    differences,
)
from server.domain.selling.negotiation import check_price
from server.domain.selling.repricing import agreed, prices


@dataclass(frozen=True, slots=True)
class DatedTerms:
    """Terms from a day on, until the next ones begin."""

    start: date
    terms: RateTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """The catalog for a resource of an asset: its terms on a day, and the days of its changes.

    `end` is the end of the asset, or None.
    """

    resource_id: ResourceId
    days: Iterable[date]
    on: Callable[[date], CatalogTerms | None]
    end: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """The terms of a resource of an asset from the first day on which they change.

    `changes` are the fields that differ, by the day on which they begin to.
    """

    asset_id: AssetId
    resource_id: ResourceId
    terms: tuple[DatedTerms, ...]
    changes: tuple[tuple[date, tuple[FieldChange, ...]], ...]

    @property
    def start(self) -> date:
        """The first day on which the terms change."""
        return self.terms[0].start


def followed(
    asset_id: AssetId, stored: Sequence[DatedTerms], listed: Listed, today: date
) -> Followed | None:
    """Return the terms that an asset must have by the catalog; None if it has them already.

    Where the catalog has no rate, the days before `today` keep what they had, and later ones have
    the terms of the day before. So what is withdrawn changes no day that is past, and what was to
    come does not come.
    """
    wanted: list[DatedTerms] = []
    for day in _days(stored, listed, today):
        terms = _terms(day, stored, wanted, listed, today)
        if not wanted or prices(wanted[-1].terms) != prices(terms):
            wanted.append(DatedTerms(day, terms))
    days = sorted({one.start for one in (*stored, *wanted)})
    differing = [day for day in days if prices(at(stored, day)) != prices(at(wanted, day))]
    if not differing:
        return None
    first = differing[0]
    return Followed(
        asset_id=asset_id,
        resource_id=listed.resource_id,
        terms=(
            DatedTerms(first, at(wanted, first)),
            *(one for one in wanted if one.start > first),
        ),
        changes=tuple(
            (day, fields)
            for day in days
            if day >= first and (fields := _fields(listed.resource_id, day, stored, wanted))
        ),
    )


def at(dated: Sequence[DatedTerms], day: date) -> RateTerms:
    """Return the terms of a day, the first ones if it is before them."""
    return dated[max(0, bisect_right(dated, day, key=lambda one: one.start) - 1)].terms


def followed_changes(found: Iterable[Followed], act_time: datetime) -> list[NewAssetChange]:
    """Return the changes of each asset, by the day on which they apply."""
    by_day: dict[tuple[AssetId, date], list[FieldChange]] = {}
    for one in found:
        for day, fields in one.changes:
            by_day.setdefault((one.asset_id, day), []).extend(fields)
    return [
        NewAssetChange(
            asset_id=asset_id,
            act=AssetAct.FOLLOW,
            effective_date=day,
            act_time=act_time,
            fields=tuple(fields),
        )
        for (asset_id, day), fields in sorted(by_day.items(), key=lambda item: item[0])
    ]


def _days(stored: Sequence[DatedTerms], listed: Listed, today: date) -> list[date]:
    """Return the days from the first terms on, on which the terms may change."""
    first, end = stored[0].start, listed.end
    days = {*(one.start for one in stored), *listed.days, today, first}
    return sorted(day for day in days if first <= day and (end is None or day < end))


def _terms(
    day: date,
    stored: Sequence[DatedTerms],
    wanted: Sequence[DatedTerms],
    listed: Listed,
    today: date,
) -> RateTerms:
    before, found = at(stored, day), listed.on(day)
    if found is not None:
        terms = replace(agreed(found.terms, before), is_held=False)
        if _can_be_sold(listed.resource_id, terms):
            return terms
    if day < today:
        return before
    last = wanted[-1].terms if wanted else before
    return replace(last, is_held=True)


def _can_be_sold(resource_id: ResourceId, terms: RateTerms) -> bool:
    """Return False for terms with which a unit would cost less than nothing."""
    try:
        check_price(resource_id, terms, path="")
    except UsageError:
        return False
    return True


def _fields(
    resource_id: ResourceId, day: date, stored: Sequence[DatedTerms], wanted: Sequence[DatedTerms]
) -> tuple[FieldChange, ...]:
    """Return the fields that change on a day, from what was to begin then or the day before."""
    is_known = any(one.start == day for one in stored)
    earlier = [one for one in wanted if one.start < day]
    before = at(stored, day) if is_known or not earlier else earlier[-1].terms
    return differences(resource_id, described_terms(before), described_terms(at(wanted, day)))
