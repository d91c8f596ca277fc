"""Rejected sold rates: an asset's own rates, agreements for its target, and its additions.

Nothing here decides which candidate wins; `discovery`, `sold_rates` and `additions` do.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from server.domain.calendar import local_date, local_midnight
from server.domain.exact import plain
from server.domain.ids import AssetId
from server.domain.modeling.policies import CommitmentRate
from server.domain.rating.additions import Addition, chosen_for_target, is_negotiated
from server.domain.rating.comparison import Compared, compared
from server.domain.rating.compiled_discovery import CompiledDiscovery
from server.domain.rating.compiled_rating import CompiledRating
from server.domain.rating.discovery import DiscoveryQuestion, Source
from server.domain.rating.procedures.elements import LookupSource
from server.domain.rating.rate_index import span_text
from server.domain.rating.rates import RateSegment, RateTerms
from server.domain.rating.rejected_candidates import WORDS, RejectedCandidate, Why
from server.domain.rating.sold_rates import AssetRates, SoldRates, TargetRates, TargetResourceKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """The sold rates that compete for one question on one day.

    `own` is the asset's answer, `at_target` the target's. `answering` are all sources with an
    answer; the first of them in the order of `discovery_version` wins.
    """

    asked: DiscoveryQuestion
    day: date
    rates: SoldRates
    discovery_version: CompiledDiscovery
    answering: frozenset[LookupSource]
    own: RateSegment | None
    at_target: RateSegment | None
    rater: CompiledRating | None

    @staticmethod
    def of(
        asked: DiscoveryQuestion,
        day: date,
        rates: SoldRates,
        discovery_version: CompiledDiscovery,
        rater: CompiledRating | None,
    ) -> "Contest":
        """Return the contest with the answers of the asset and the target."""
        own, currency_code = None, asked.currency_code
        if isinstance(rates, AssetRates):
            own = rates.on(day, currency_code, asks_target=discovery_version.asks_target)
            at_target = rates.at_target(day, currency_code)
        else:
            assert isinstance(rates, TargetRates), rates
            at_target = rates.on(day, currency_code)
        found = {LookupSource.ASSET: own, LookupSource.TARGET: at_target}
        return Contest(
            asked=asked,
            day=day,
            rates=rates,
            discovery_version=discovery_version,
            answering=frozenset(place for place, one in found.items() if one is not None),
            own=own,
            at_target=at_target,
            rater=rater,
        )

    @property
    def at(self) -> datetime:
        """The local midnight that begins the day."""
        return local_midnight(self.rates.zone, self.day)

    @property
    def won(self) -> RateSegment | None:
        """The winning segment, if an asset or a target won."""
        places = (place for place in self.discovery_version.places if place in self.answering)
        found = {LookupSource.ASSET: self.own, LookupSource.TARGET: self.at_target}
        return found.get(next(places, LookupSource.CATALOG_RATES))

    @property
    def terms(self) -> RateTerms | None:
        """The asset's own terms, whatever competes with them, or otherwise the target's."""
        if isinstance(self.rates, AssetRates):
            return self.rates.own_at(self.at)
        return None if self.at_target is None else self.at_target.terms

    def winner(self, segment: RateSegment | None) -> Addition | None:
        """Return the addition that brought the terms of a segment, or None for the asset's own."""
        of = None if segment is None else segment.sold_with
        added = self.rates.additions
        return next(
            (
                addition
                for addition in added
                if addition.asset_id == of and addition.is_open(self.at)
            ),
            None,
        )

    def best(self) -> Addition | None:
        """Return the agreement for the target that wins over the others."""
        if isinstance(self.rates, AssetRates):
            return self.rates.agreed_at_target(self.day, None)
        return chosen_for_target(
            self.at, [addition for addition in self.rates.additions if addition.is_agreed]
        )

    def beaten(self, place: LookupSource) -> Why | None:
        """Return why no candidate of a source can win, or None if one can."""
        places = self.discovery_version.places
        if place not in places:
            return Why.NOT_LOOKED_AT
        before = places[: places.index(place)]
        return None if self.answering.isdisjoint(before) else Why.PLACE_LATER


def lost(of: Contest) -> Iterator[RejectedCandidate]:
    """Yield the sold terms and additions that did not win."""
    if of.won is not None and of.won.terms is not None:
        yield from _replaced(of.won.terms)
    if isinstance(of.rates, AssetRates):
        yield from _own(of, of.rates)
    best, alone = of.best(), _compared_alone(of)
    held, won = of.winner(of.own or of.at_target), of.winner(of.won)
    for addition in of.rates.additions:
        if addition is won:
            continue
        why = _not_there(addition, of)
        if why is None and addition.is_agreed:
            why = _why_not_agreed(addition, best, of)
        elif why is None:
            why = _why_not_added(addition, held, of, alone)
        if why is not None and addition.terms is not None:
            place = LookupSource.TARGET if addition.is_agreed else _place_of(of)
            yield _rejected(
                why, addition, addition.terms, of, place, alone.amounts.get(addition.asset_id)
            )


def _own(of: Contest, rates: AssetRates) -> Iterator[RejectedCandidate]:
    for stretch in rates.stretches:
        why = _why_not_own(of, stretch.terms, stretch.is_open(of.at))
        if why is not None:
            assert not isinstance(of.asked.held, TargetResourceKey), of.asked
            assert of.asked.held is not None, of.asked
            sold = Addition(
                asset_id=of.asked.held[1], start=stretch.start, end=stretch.end, terms=stretch.terms
            )
            yield _rejected(why, sold, stretch.terms, of, LookupSource.ASSET)


def _replaced(terms: RateTerms) -> Iterator[RejectedCandidate]:
    """Yield the catalog's terms that negotiated ones replaced."""
    replaced = (
        (terms.base_entry, terms.rate, terms.negotiated_rate is not None),
        (terms.tier_entry, None, terms.negotiated_tiers is not None),
    )
    for entry, listed, is_replaced in replaced:
        if is_replaced and entry is not None:
            yield RejectedCandidate(
                why=Why.NEGOTIATED,
                words=WORDS[Why.NEGOTIATED],
                source=Source.CATALOG,
                unit=terms.unit,
                rate=listed,
                entry=entry,
            )


def _why_not_own(of: Contest, terms: RateTerms, is_open: bool) -> Why | None:
    if of.asked.currency_code not in (None, terms.unit):
        return Why.OTHER_CURRENCY
    if not is_open:
        return Why.NOT_IN_FORCE
    why = of.beaten(LookupSource.ASSET)
    if why is not None or of.own is None or of.own.sold_with is None:
        return why
    is_agreed = of.own.terms is not None and of.own.terms.agreed_on is not None
    return Why.TARGET_FIRST if is_agreed else Why.ADDITION_FIRST


def _not_there(addition: Addition, of: Contest) -> Why | None:
    """Return why an addition does not compete at all, or None."""
    if not addition.is_open(of.at):
        return Why.NOT_IN_FORCE
    unit = None if addition.terms is None else addition.terms.unit
    if of.asked.currency_code not in (None, unit):
        return Why.OTHER_CURRENCY
    if of.terms is None:
        return Why.NOT_IN_FORCE
    return None if unit == of.terms.unit else Why.OTHER_CURRENCY


def _why_not_agreed(addition: Addition, best: Addition | None, of: Contest) -> Why | None:
    """Return why an agreement lost to the `best` agreement, a pack or the asset."""
    place = LookupSource.TARGET
    if place not in of.discovery_version.places:
        return Why.NOT_LOOKED_AT
    if best is None:
        return Why.RATE_FIXED
    if of.discovery_version.asks_target and of.beaten(LookupSource.ASSET) is None:
        if isinstance(of.rates, AssetRates) and is_negotiated(of.terms):
            return Why.ASSET_NEGOTIATED
        if addition is best:
            return Why.ADDITION_FIRST
    if addition is best:
        return of.beaten(place) or Why.ADDITION_FIRST
    return Why.STARTED_EARLIER if addition.start < best.start else Why.NOT_CHEAPER


def _why_not_added(
    addition: Addition, winner: Addition | None, of: Contest, alone: Compared
) -> Why | None:
    """Return why a pack or a commitment lost to the winning sold terms."""
    place = _place_of(of)
    if addition is winner:
        return of.beaten(place)
    if addition.commitment is CommitmentRate.BOUNDED:
        return Why.ENDS_WITH_COMMITMENT
    if addition.commitment is CommitmentRate.LOWEST:
        return _why_not_committed(addition.asset_id, of.asked.quantity, alone) or of.beaten(place)
    if winner is None or winner.is_agreed:
        return Why.NOT_NEGOTIATED
    if is_negotiated(winner.terms) and not is_negotiated(addition.terms):
        return Why.NOT_NEGOTIATED
    return Why.STARTED_EARLIER if addition.start < winner.start else Why.NOT_CHEAPER


def _place_of(of: Contest) -> LookupSource:
    """Return the source that has packs and commitments."""
    return LookupSource.ASSET if isinstance(of.rates, AssetRates) else LookupSource.TARGET


def _why_not_committed(asset_id: AssetId, quantity: Decimal | None, alone: Compared) -> Why | None:
    if quantity is None:
        return Why.NO_QUANTITY
    return None if asset_id == alone.lowest else Why.NOT_LOWEST


def _compared_alone(of: Contest) -> Compared:
    """Return the comparison of each commitment alone, on top of the winning sold terms."""
    segment = of.own or of.at_target
    if segment is None or segment.terms is None:
        return Compared({})
    terms = segment.terms.used_with(of.asked.attributes or {})
    return compared(of.asked.quantity, terms, segment.overage, of.rater)


def _rejected(
    why: Why,
    sold: Addition,
    terms: RateTerms,
    of: Contest,
    place: LookupSource,
    amount: Decimal | None = None,
) -> RejectedCandidate:
    zone = of.rates.zone
    start = local_date(zone, sold.start)
    end = None if sold.end is None else local_date(zone, sold.end)
    words = WORDS[why].format(
        dates=span_text(start, end),
        unit=terms.unit,
        discovery_version=of.discovery_version.words,
        place=place,
        kind="agreement for the target" if sold.is_agreed else "pack",
    )
    if why is Why.NOT_LOWEST and amount is not None:
        words = f"{words}: {plain(amount)}"
    return RejectedCandidate(
        why=why,
        words=words,
        source=Source.TARGET if place is LookupSource.TARGET else Source.ASSET,
        unit=terms.unit,
        rate=terms.effective_rate,
        entry=terms.base_entry or terms.tier_entry,
        asset_id=sold.asset_id,
        start=start,
        end=end,
    )
