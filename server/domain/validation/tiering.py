"""The rules of single rates and tiers: every unit has a price, and tiers do not break it.

Tiers apply to a base rate if a price book has the cards of both and they share a day.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from server.domain.exact import exact, plain
from server.domain.ids import RateCardId, ResourceId, SellingModelId
from server.domain.rating.rate_cards import RateCardEntry, RateCardType
from server.domain.rating.rates import HUNDRED, ONE, AdjustmentKind, Tier
from server.domain.validation.rules import Finding, Rule, Severity
from server.domain.validation.setups import (
    EffectiveDays,
    Setup,
    charged,
    entry_name,
    gaps,
    overlaps,
)

Key = tuple[RateCardId, ResourceId, str, SellingModelId | None]


def _tiers_empty(setup: Setup) -> Iterator[Finding]:
    for entry in setup.entries:
        if setup.cards[entry.card_id].type is RateCardType.TIER and not entry.tiers:
            yield Finding("it is on a tier card and has no tiers", (entry_name(entry),))


def _rate_zero(setup: Setup) -> Iterator[Finding]:
    costing = {metered.id for metered in charged(setup)}
    # A base rate of zero may be right where tiers change it.
    adjusted = {base.key for _, base in _pairs(setup)}
    for entry in _clear(setup):
        is_zero = entry.rate is not None and entry.rate.value == 0
        if is_zero and entry.resource_id in costing and entry.key not in adjusted:
            text = f"{entry.resource_id} costs nothing in {entry.currency_code}"
            yield Finding(text, (entry_name(entry),))


def _clear(setup: Setup) -> list[RateCardEntry]:
    """Return the entries without those in overlaps, which must be corrected first."""
    unclear = {(entry.resource_id, entry.currency_code) for entry, _ in overlaps(setup)}
    return [
        entry for entry in setup.entries if (entry.resource_id, entry.currency_code) not in unclear
    ]


def _pairs(setup: Setup) -> Iterator[tuple[RateCardEntry, RateCardEntry]]:
    """Yield each entry with tiers with each base rate below it, in some price book on some day."""
    entries = _clear(setup)
    bases: defaultdict[Key, list[tuple[EffectiveDays, RateCardEntry]]] = defaultdict(list)
    for entry in entries:
        if entry.rate is not None:
            key = entry.card_id, entry.resource_id, entry.currency_code, entry.selling_model_id
            bases[key].append((setup.priced_days(entry), entry))
    for same in bases.values():
        same.sort(key=_start)
    under: defaultdict[RateCardId, set[RateCardId]] = defaultdict(set)
    for book in setup.books:
        by_type = {setup.cards[id_].type: id_ for id_ in book.card_ids if id_ in setup.cards}
        if by_type.keys() >= {RateCardType.BASE, RateCardType.TIER}:
            under[by_type[RateCardType.TIER]].add(by_type[RateCardType.BASE])
    # Tiers for all models also adjust the rates of single models, so each of those is checked.
    models = sorted({model for *_, model in bases if model is not None})
    for tiers in (entry for entry in entries if entry.tiers):
        days = setup.priced_days(tiers)
        own_model = tiers.selling_model_id
        for card_id in sorted(under[tiers.card_id]):
            for model in (None, *([own_model] if own_model else models)):
                for resource_id in _adjusted(tiers, entries):
                    same = bases[card_id, resource_id, tiers.currency_code, model]
                    yield from ((tiers, base) for base in _on(days, same))


def _on(
    days: EffectiveDays, same: list[tuple[EffectiveDays, RateCardEntry]]
) -> Iterator[RateCardEntry]:
    """Yield the rates that share a day with `days`; sorted rates that do are neighbors."""
    first = max(0, bisect_right(same, days.start, key=_start) - 1)
    for own, base in same[first : bisect_left(same, days.end, key=_start)]:
        if own.meets(days):
            yield base


def _adjusted(tiers: RateCardEntry, entries: list[RateCardEntry]) -> list[ResourceId]:
    """Return the resources whose rates an entry's tiers adjust.

    A blanket entry adjusts the resources without tiers of their own.
    """
    if not tiers.is_blanket:
        return [tiers.resource_id]
    own = {entry.resource_id for entry in entries if entry.tiers}
    return sorted({entry.resource_id for entry in entries} - own)


def _start(found: tuple[EffectiveDays, RateCardEntry]) -> date:
    return found[0].start


def _tier_zero(setup: Setup) -> Iterator[Finding]:
    for entry in setup.entries:
        free = [tier for tier in entry.tiers if _is_free(tier)]
        if free:
            of = "any resource" if entry.is_blanket else entry.resource_id
            text = f"from {plain(free[0].lower)} on a unit of {of} costs nothing"
            yield Finding(text, (entry_name(entry),))
    for tiers, base in _pairs(setup):
        if any(_lowered(base, tier) == 0 and not tier.flat for tier in tiers.tiers):
            text = f"an amount takes the rate of {base.key} to nothing"
            yield Finding(text, (entry_name(tiers), entry_name(base)))


def _is_free(tier: Tier) -> bool:
    # Units that cost nothing are right where the tier has a flat amount.
    if tier.flat:
        return False
    kind, value = tier.adjustment.kind, tier.adjustment.value
    return (kind is AdjustmentKind.OVERRIDE and value == 0) or (
        kind is AdjustmentKind.PERCENTAGE and value == HUNDRED
    )


@exact
def _lowered(base: RateCardEntry, tier: Tier) -> Decimal | None:
    """Return a base rate less the amount that a tier subtracts, or None if it subtracts none."""
    assert base.rate is not None, base
    kind, value = tier.adjustment.kind, tier.adjustment.value
    return base.rate.value + value if kind is AdjustmentKind.AMOUNT and value < 0 else None


def _tier_below_zero(setup: Setup) -> Iterator[Finding]:
    for tiers, base in _pairs(setup):
        for tier in tiers.tiers:
            lowered = _lowered(base, tier)
            if lowered is not None and lowered < 0:
                text = f"{plain(tier.adjustment.value)} takes the rate of {base.key} below zero"
                yield Finding(text, (entry_name(tiers), entry_name(base)))


def _tiers_incomplete(setup: Setup) -> Iterator[Finding]:
    if not setup.is_anchor:
        return  # beyond the tiers of a pack or commitment, the anchor's rate applies
    based = {tiers.key for tiers, _ in _pairs(setup)}
    for entry in _clear(setup):
        if not entry.tiers or not entry.stands_alone or entry.key in based:
            continue
        first, last = entry.tiers[0], entry.tiers[-1]
        if first.lower > 0:
            text = f"below {plain(first.lower)} there is neither a tier nor a base rate"
            yield Finding(text, (entry_name(entry),))
        if last.upper is not None:
            text = f"beyond {plain(last.upper)} there is neither a tier nor a base rate"
            yield Finding(text, (entry_name(entry),))


def _tier_base_missing(setup: Setup) -> Iterator[Finding]:
    if not setup.is_anchor:
        return  # its tiers adjust the rates of the anchor
    sold = {metered.id: setup.days_of(metered.id) for metered in setup.resources}
    bases: defaultdict[str, list[EffectiveDays]] = defaultdict(list)
    for tiers, base in _pairs(setup):
        if base.selling_model_id in (None, tiers.selling_model_id):
            bases[tiers.key].append(setup.priced_days(base))
    for entry in _clear(setup):
        if not entry.tiers or entry.stands_alone or entry.resource_id not in sold:
            continue
        days = setup.priced_days(entry).meeting(sold[entry.resource_id])
        for hole in gaps(days, bases[entry.key]):
            text = f"its tiers adjust a base rate, and there is none {hole}"
            yield Finding(text, (entry_name(entry),))


def _tier_per(setup: Setup) -> Iterator[Finding]:
    for tiers, base in _pairs(setup):
        assert base.rate is not None, base
        if tiers.per not in (ONE, base.rate.per):
            of_base = plain(base.rate.per)
            text = (
                f"its tiers are for {plain(tiers.per)} units, the rate of {base.key} for {of_base}"
            )
            yield Finding(text, (entry_name(tiers), entry_name(base)))


def _attribute_unknown(setup: Setup) -> Iterator[Finding]:
    told: defaultdict[ResourceId, set[str]] = defaultdict(set)
    for metered in setup.resources:
        told[metered.id].update(metered.resource.dimensions)
    for entry in _clear(setup):
        names = {name for row in entry.adjustments for name, _ in row.attributes}
        for name in sorted(names - told[entry.resource_id]):
            text = f"{name} is no dimension of {entry.resource_id}: only sale lines can say it"
            yield Finding(text, (entry_name(entry), f"usageResources/{entry.resource_id}"))


TIERS = (
    Rule(
        "TIERS_EMPTY",
        Severity.ERROR,
        "An entry of a tier card has tiers.",
        "Create another entry, with tiers.",
        _tiers_empty,
    ),
    Rule(
        "RATE_ZERO",
        Severity.WARNING,
        "A rate is above zero; otherwise usage is invoiced at zero.",
        "Set a rate, or an overage policy that charges nothing.",
        _rate_zero,
    ),
    Rule(
        "TIER_ZERO",
        Severity.WARNING,
        "A tier prices its units above zero.",
        "Override by another rate, or subtract less.",
        _tier_zero,
    ),
    Rule(
        "TIER_BELOW_ZERO",
        Severity.ERROR,
        "A tier does not take a rate below zero.",
        "Subtract no more than the base rate.",
        _tier_below_zero,
    ),
    Rule(
        "ATTRIBUTE_UNKNOWN",
        Severity.WARNING,
        "A rate is adjusted by attributes that are dimensions of the resource.",
        "Add the attribute to the dimensions of the resource, or set it on every sale.",
        _attribute_unknown,
    ),
    Rule(
        "TIERS_INCOMPLETE",
        Severity.WARNING,
        "Tiers without a base rate cover every quantity.",
        "Start the first tier at zero, leave the last one open, or add a base rate.",
        _tiers_incomplete,
    ),
    Rule(
        "TIER_BASE_MISSING",
        Severity.ERROR,
        "Tiers that adjust a rate have a base rate on all their days.",
        "Add a base entry on a card of the same price book, or let the tiers override.",
        _tier_base_missing,
    ),
    Rule(
        "TIER_PER",
        Severity.ERROR,
        "Tiers are for as many units as the base rate they adjust.",
        "Leave the number of units out of the tiers, or use that of the base rate.",
        _tier_per,
    ),
)
