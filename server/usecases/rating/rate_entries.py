"""Entries of rate cards: create one or up to a thousand at a time, get, list.

Creating an entry twice has the effect of creating it once. An entry is a draft until it or its
product is activated, and does not price anything before.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from server.domain.batches import BatchOutcome
from server.domain.errors import InvalidArgument, NotFound, UsageError
from server.domain.ids import RateCardId, RateEntryId
from server.domain.modeling.setup import placed
from server.domain.modeling.units import UnitClassKind
from server.domain.rating.rate_cards import (
    USUAL_SIZE,
    CardSize,
    RateCardEntry,
    RateCardType,
    check_size,
    checked,
)
from server.store.connection import Transaction
from server.store.modeling import records
from server.store.modeling.catalog import PRODUCT, UNIT, UNIT_CLASS
from server.store.modeling.selling_models import SELLING_MODEL
from server.store.rating import rate_entries as store
from server.store.rating.rate_entries import EntryFilter, Metered
from server.usecases.modeling.currencies import is_currency
from server.usecases.rating.rates import get_card, same

# An entry in its state after a batch, and the outcome of its item.
EntryOutcome = tuple[RateCardEntry, BatchOutcome]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """The references of entries: the types of their locked cards, and the scales of resources.

    `seen` has the tokens and selling models that were looked up.
    """

    cards: dict[RateCardId, RateCardType]
    scales: dict[Metered, int]
    seen: set[str] = field(default_factory=set)


async def create_entry(
    tx: Transaction, entry: RateCardEntry, most: CardSize = USUAL_SIZE
) -> RateCardEntry:
    """Add a draft to a card of at most the size `most`.

    Raises RATE_CARD_NOT_FOUND, PRODUCT_NOT_FOUND, PRODUCT_USAGE_RESOURCE_NOT_FOUND, FIELD_REQUIRED,
    RATE_CARD_TYPE_MISMATCH, CURRENCY_MISMATCH, TIERS_INVALID, UNIT_OF_MEASURE_NOT_FOUND,
    TOKEN_RESOURCE, SELLING_MODEL_NOT_FOUND, CODE_TAKEN, LIMIT_RATE_CARD.
    """
    wanted = await checked_entry(tx, entry)
    [(found, _)] = await _keep(tx, [wanted], most)
    return same(wanted, found, "RateCardEntry", entry.name)


async def create_entries(
    tx: Transaction,
    entries: Sequence[RateCardEntry],
    most: CardSize = USUAL_SIZE,
) -> list[EntryOutcome]:
    """Add drafts to cards, all or none; returns each with its outcome.

    The field path of a refusal names the entry, or the card if that would become too large. Raises
    the errors of `create_entry`.
    """
    known = await _known(tx, entries)
    wanted = []
    for index, entry in enumerate(entries):
        with _at(index):
            wanted.append(await _checked(tx, known, entry))
    found = await _keep(tx, wanted, most)
    for index, (one, (there, _)) in enumerate(zip(wanted, found, strict=True)):
        with _at(index):
            same(one, there, "RateCardEntry", one.name)
    return found


async def checked_entry(tx: Transaction, entry: RateCardEntry) -> RateCardEntry:
    """Return the entry as its card stores it. Raises as `create_entry`, except CODE_TAKEN."""
    return await _checked(tx, await _known(tx, [entry]), entry)


async def check_sizes(tx: Transaction, card_ids: Iterable[RateCardId], most: CardSize) -> None:
    """Raise LIMIT_RATE_CARD for a card that is too large now; the caller has locked the cards."""
    sizes = await store.card_sizes(tx, set(card_ids))
    for card_id, size in sizes.items():
        check_size(card_id, size, most)


async def get_entry(tx: Transaction, card_id: RateCardId, entry_id: RateEntryId) -> RateCardEntry:
    """Return one entry. Raises RATE_CARD_ENTRY_NOT_FOUND."""
    entry = await store.find(tx, card_id, entry_id)
    if entry is None or entry.id != entry_id:
        raise not_found(card_id, entry_id)
    return entry


async def list_entries(
    tx: Transaction,
    only: EntryFilter,
    *,
    after: tuple[str, str] | None,
    limit: int,
) -> list[RateCardEntry]:
    """Return entries by card and id. Raises RATE_CARD_NOT_FOUND for an unknown card."""
    if only.card_id is not None:
        await get_card(tx, only.card_id)
    return await store.list_entries(tx, only, after=after, limit=limit)


def not_found(card_id: RateCardId, entry_id: RateEntryId) -> NotFound:
    """Return the refusal of an entry that does not exist."""
    return NotFound.of("RateCardEntry", f"rateCards/{card_id}/entries/{entry_id}")


@contextmanager
def _at(index: int) -> Iterator[None]:
    """Add the index of the batch's entry to a refusal."""
    try:
        yield
    except UsageError as error:
        raise placed(error, f"requests[{index}].rate_card_entry") from error


async def _keep(
    tx: Transaction, wanted: Sequence[RateCardEntry], most: CardSize
) -> list[EntryOutcome]:
    """Store the new entries, and return the stored ones under all ids."""
    # Reversed, so that the first entry of each id in the batch is the one that remains.
    first = {(entry.card_id, entry.id.lower()): entry for entry in reversed(wanted)}
    new = await store.add(tx, list(first.values()))
    await check_sizes(tx, (entry.card_id for entry in new), most)
    found = await store.find_all(tx, [(entry.card_id, entry.id) for entry in first.values()])
    created = {(entry.card_id, entry.id.lower()) for entry in new}
    outcomes = []
    for entry in wanted:
        key = (entry.card_id, entry.id.lower())
        outcome = BatchOutcome.CREATED if key in created else BatchOutcome.UNCHANGED
        created.discard(key)  # a second mention of the entry in the batch is UNCHANGED
        outcomes.append((found[key], outcome))
    return outcomes


async def _known(tx: Transaction, entries: Sequence[RateCardEntry]) -> _Known:
    cards = await store.lock_cards(tx, {entry.card_id for entry in entries})
    metered = {(entry.product_id, entry.resource_id) for entry in entries}
    scales = await store.resource_scales(tx, sorted(metered))
    return _Known(cards=cards, scales=scales)


async def _checked(tx: Transaction, known: _Known, entry: RateCardEntry) -> RateCardEntry:
    if entry.card_id not in known.cards:
        raise NotFound.of("RateCard", f"rateCards/{entry.card_id}")
    if entry.is_blanket:
        await _check_blanket(tx, known, entry)
    scale = known.scales.get((entry.product_id, entry.resource_id))
    if scale is None:
        name = f"products/{entry.product_id}/usageResources/{entry.resource_id or '-'}"
        raise NotFound.of("ProductUsageResource", name)
    wanted = checked(entry, known.cards[entry.card_id], scale=scale)
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


async def _check_token(tx: Transaction, unit_id: str) -> None:
    """Raise TOKEN_RESOURCE for a rate unit that is neither a currency nor a token's unit."""
    unit = (await records.get(tx, UNIT, unit_id)).content
    unit_class = (await records.get(tx, UNIT_CLASS, unit.unit_class_id)).content
    if unit_class.kind is not UnitClassKind.TOKEN:
        text = f"unitsOfMeasure/{unit_id} is a unit of {unit_class.kind}, not of a token"
        raise InvalidArgument.at("rate_card_entry.token_unit", "TOKEN_RESOURCE", text)
