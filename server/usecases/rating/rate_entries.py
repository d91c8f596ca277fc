"""Entries of rate cards: their checks, and creating up to a thousand at a time.

Creating an entry twice has the effect of creating it once. An entry is a draft until it or its
product is activated, and does not price anything before.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from server.domain.batches import BatchOutcome
from server.domain.errors import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    UsageError,
    Violation,
)
from server.domain.ids import RateCardId
from server.domain.modeling.catalog import StoredRecord
from server.domain.modeling.setup import placed
from server.domain.modeling.units import UnitClassKind
from server.domain.rating.rate_cards import (
    USUAL_SIZE,
    CardSize,
    RateCardEntry,
    RateCardType,
    check_size,
    checked,
    overlapping,
)
from server.store.connection import Transaction
from server.store.modeling import records
from server.store.modeling.catalog import PRODUCT, UNIT, UNIT_CLASS
from server.store.modeling.selling_models import SELLING_MODEL
from server.store.rating import rate_entries as store
from server.store.rating.rate_entries import RATE_ENTRY, Metered
from server.store.rating.rates import RATE_CARD
from server.usecases.modeling.currencies import is_currency
from server.usecases.modeling.records import check_same, refuse_used
from server.usecases.rating.custom_fields import checked_values

# An entry after a batch, and the outcome of its item.
EntryOutcome = tuple[StoredRecord[RateCardEntry], BatchOutcome]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """The references of entries: the types of their locked cards, and the scales of resources.

    `seen` has the tokens and selling models that were looked up.
    """

    cards: dict[RateCardId, RateCardType]
    scales: dict[Metered, int]
    seen: set[str] = field(default_factory=set)


async def check_entry(
    tx: Transaction, entry: RateCardEntry, most: CardSize = USUAL_SIZE
) -> RateCardEntry:
    """Return the entry as it is stored on a card of at most the size `most`.

    Raises RATE_CARD_NOT_FOUND, PRODUCT_NOT_FOUND, PRODUCT_USAGE_RESOURCE_NOT_FOUND, FIELD_REQUIRED,
    RATE_CARD_TYPE_MISMATCH, CURRENCY_MISMATCH, TIERS_INVALID, UNIT_OF_MEASURE_NOT_FOUND,
    TOKEN_RESOURCE, SELLING_MODEL_NOT_FOUND, LIMIT_RATE_CARD, CUSTOM_FIELD_INVALID.
    """
    wanted = await _checked(tx, await _known(tx, [entry]), entry)
    await _check_sizes(tx, [wanted], most)
    return wanted


async def check_active(tx: Transaction, entry: RateCardEntry) -> None:
    """Raise RATE_OVERLAP if an active entry would share days with another one."""
    await refuse_overlaps(tx, [entry])


async def check_entering(tx: Transaction, entry: RateCardEntry) -> None:
    """Raise RESOURCE_INACTIVE, RATE_OVERLAP for a stored draft that may not be activated."""
    await refuse_inactive(tx, [entry])
    await refuse_overlaps(tx, [entry])


async def refuse_inactive(tx: Transaction, entries: Sequence[RateCardEntry]) -> None:
    """Raise RESOURCE_INACTIVE if an entry's product, resource or selling model is not active."""
    found = await store.not_in_force(tx, entries)
    if not found:
        return
    violations = tuple(
        Violation(
            RATE_ENTRY.resource_name(card, entry), "RESOURCE_INACTIVE", f"{name} is not active"
        )
        for card, entry, name in found
    )
    first, of = violations[0].field, found[0][2]
    how = "ActivateProduct or ChangeStates puts it in force"
    text = f"{first} is of {of}, which is not active; {how}"
    facts = {"name": of, "entry": first}
    raise FailedPrecondition("RESOURCE_INACTIVE", text, facts, violations)


async def refuse_overlaps(tx: Transaction, entries: Sequence[RateCardEntry]) -> None:
    """Raise RATE_OVERLAP for an entry that shares days with another active one, naming both."""
    metered = {(entry.product_id, entry.resource_id) for entry in entries}
    found = overlapping(entries, await store.in_force(tx, sorted(metered)))
    if not found:
        return
    pairs = [(entry.name, other.name) for entry, other in found]
    violations = tuple(
        Violation(name, "RATE_OVERLAP", f"covers days that {other} covers") for name, other in pairs
    )
    name, other = pairs[0]
    how = "SupersedeRateCardEntry ends the one in force as its successor begins"
    text = f"{name} and {other} would both be in force on some days; {how}"
    raise FailedPrecondition("RATE_OVERLAP", text, {"name": name, "other": other}, violations)


async def create_entries(
    tx: Transaction,
    entries: Sequence[RateCardEntry],
    most: CardSize = USUAL_SIZE,
    paths: Sequence[str] = (),
) -> list[EntryOutcome]:
    """Add drafts to cards, all or none; returns each with its outcome.

    The field path of a refusal names the entry, by `paths` if there are any, or the card if that
    would become too large. Raises the errors of `check_entry` and CODE_TAKEN.
    """
    places = paths or [f"requests[{index}].rate_card_entry" for index in range(len(entries))]
    known = await _known(tx, entries)
    wanted = []
    for path, entry in zip(places, entries, strict=True):
        with _at(path):
            wanted.append(await _checked(tx, known, entry))
    await _check_sizes(tx, wanted, most)
    outcomes = await _add(tx, wanted)
    for path, entry, (record, _) in zip(places, wanted, outcomes, strict=True):
        with _at(path):
            check_same(RATE_ENTRY, entry, record.content)
    return outcomes


@contextmanager
def _at(path: str) -> Iterator[None]:
    """Add the path of the batch's entry to a refusal."""
    try:
        yield
    except UsageError as error:
        raise placed(error, path) from error


async def _add(tx: Transaction, wanted: Sequence[RateCardEntry]) -> list[EntryOutcome]:
    """Store the new entries, and return the stored ones under all ids."""
    # Reversed, so that the first entry of each id in the batch is the one that remains.
    first = {_key(entry): entry for entry in reversed(wanted)}
    new = await store.add(tx, list(first.values()))
    await refuse_used(tx, [entry.name for entry in new])
    found = await store.find_all(tx, [(entry.card_id, entry.id) for entry in first.values()])
    created = {_key(entry) for entry in new}
    outcomes = []
    for entry in wanted:
        outcome = BatchOutcome.CREATED if _key(entry) in created else BatchOutcome.UNCHANGED
        created.discard(_key(entry))  # a second mention of the entry in the batch is UNCHANGED
        outcomes.append((found[_key(entry)], outcome))
    return outcomes


async def _check_sizes(tx: Transaction, entries: Collection[RateCardEntry], most: CardSize) -> None:
    """Raise LIMIT_RATE_CARD if a card, which the caller has locked, becomes too large."""
    own = {_key(entry): entry for entry in entries}
    others = await store.sizes_of_others(tx, [(entry.card_id, entry.id) for entry in own.values()])
    for card_id, size in others.items():
        mine = [entry for entry in own.values() if entry.card_id == card_id]
        tiers = sum(entry.size for entry in mine)
        whole = CardSize(entries=size.entries + len(mine), tiers=size.tiers + tiers)
        check_size(card_id, whole, most)


def _key(entry: RateCardEntry) -> tuple[str, str]:
    return entry.card_id, entry.id.lower()


async def _known(tx: Transaction, entries: Sequence[RateCardEntry]) -> _Known:
    cards = await store.lock_cards(tx, {entry.card_id for entry in entries})
    metered = {(entry.product_id, entry.resource_id) for entry in entries}
    scales = await store.resource_scales(tx, sorted(metered))
    return _Known(cards=cards, scales=scales)


async def _checked(tx: Transaction, known: _Known, entry: RateCardEntry) -> RateCardEntry:
    if entry.card_id not in known.cards:
        raise records.not_found(RATE_CARD, entry.card_id)
    if entry.is_blanket:
        await _check_blanket(tx, known, entry)
    await _check_plain(tx, entry)
    scale = known.scales.get((entry.product_id, entry.resource_id))
    if scale is None:
        name = f"products/{entry.product_id}/usageResources/{entry.resource_id or '-'}"
        raise NotFound.of("ProductUsageResource", name)
    wanted = checked(entry, known.cards[entry.card_id], scale=scale)
    if wanted.custom_fields:
        path = "rate_card_entry.custom_fields"
        values = await checked_values(tx, dict(wanted.custom_fields), path)
        wanted = replace(wanted, custom_fields=tuple(sorted(values.items())))
    unit, model = entry.currency_code, entry.selling_model_id
    if not is_currency(unit) and f"unit {unit}" not in known.seen:
        await _check_token(tx, unit)
        known.seen.add(f"unit {unit}")
    if model is not None and f"model {model}" not in known.seen:
        await records.get(tx, SELLING_MODEL, model)
        known.seen.add(f"model {model}")
    return wanted


async def _check_blanket(tx: Transaction, known: _Known, entry: RateCardEntry) -> None:
    """Raise FIELD_REQUIRED for an entry that needs a resource."""
    product = (await records.get(tx, PRODUCT, entry.product_id)).content
    is_tier = known.cards[entry.card_id] is RateCardType.TIER
    if not (is_tier and product.usage_model_type.is_commitment):
        text = "required: only tiers of a commitment can be for all its resources"
        raise InvalidArgument.at("rate_card_entry.usage_resource", "FIELD_REQUIRED", text)


async def _check_plain(tx: Transaction, entry: RateCardEntry) -> None:
    """Raise TIERS_INVALID for a tier of a commitment that changes more than the rate."""
    other = next((index for index, tier in enumerate(entry.tiers) if not tier.is_plain), None)
    if other is None:
        return
    product = (await records.get(tx, PRODUCT, entry.product_id)).content
    if product.usage_model_type.is_commitment:
        text = "must have no flat_amount and no package_size: a commitment changes rates only"
        at = f"rate_card_entry.tiers.tiers[{other}]"
        raise InvalidArgument.at(at, "TIERS_INVALID", text, index=str(other))


async def _check_token(tx: Transaction, unit_id: str) -> None:
    """Raise TOKEN_RESOURCE for a rate unit that is neither a currency nor a token's unit."""
    unit = (await records.get(tx, UNIT, unit_id)).content
    unit_class = (await records.get(tx, UNIT_CLASS, unit.unit_class_id)).content
    if unit_class.kind is not UnitClassKind.TOKEN:
        text = f"unitsOfMeasure/{unit_id} is a unit of {unit_class.kind}, not of a token"
        raise InvalidArgument.at("rate_card_entry.token_unit", "TOKEN_RESOURCE", text)
