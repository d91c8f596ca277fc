"""Entries of rate cards: made once, one or a thousand at a time, read, listed.

Making the same thing twice is making it once. An entry is a draft until its product is activated or
it is itself, so that nothing costs anything else meanwhile.
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

# An entry as it stands after a batch, and what the batch did to it.
EntryOutcome = tuple[RateCardEntry, BatchOutcome]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What entries refer to: the types of their cards, held, and how finely units are counted;
    `seen` are the tokens and selling models that were looked up.
    """

    cards: dict[RateCardId, RateCardType]
    scales: dict[Metered, int]
    seen: set[str] = field(default_factory=set)


async def create_entry(
    tx: Transaction, entry: RateCardEntry, most: CardSize = USUAL_SIZE
) -> RateCardEntry:
    """Add a draft to a card, which may have so much at `most`.

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
    """Add drafts to cards, all or none; returns each as it stands then.

    The path of a refusal says which of them is at fault.
    Of a card that would become too large it is the card.

    Raises what `create_entry` raises.
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
    """The entry as its card keeps it. Raises what `create_entry` raises but CODE_TAKEN."""
    return await _checked(tx, await _known(tx, [entry]), entry)


async def check_sizes(tx: Transaction, card_ids: Iterable[RateCardId], most: CardSize) -> None:
    """Raise LIMIT_RATE_CARD for a card that has become too large; whoever asks holds the cards."""
    sizes = await store.card_sizes(tx, set(card_ids))
    for card_id, size in sizes.items():
        check_size(card_id, size, most)


async def get_entry(tx: Transaction, card_id: RateCardId, entry_id: RateEntryId) -> RateCardEntry:
    """One entry. Raises RATE_CARD_ENTRY_NOT_FOUND."""
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
    """Entries by card and id. Raises RATE_CARD_NOT_FOUND when they are of one card."""
    if only.card_id is not None:
        await get_card(tx, only.card_id)
    return await store.list_entries(tx, only, after=after, limit=limit)


def not_found(card_id: RateCardId, entry_id: RateEntryId) -> NotFound:
    """The refusal of an entry that there is not."""
    return NotFound.of("RateCardEntry", f"rateCards/{card_id}/entries/{entry_id}")


@contextmanager
def _at(index: int) -> Iterator[None]:
    """Say of a refusal which entry of a batch it is about."""
    try:
        yield
    except UsageError as error:
        raise placed(error, f"requests[{index}].rate_card_entry") from error


async def _keep(
    tx: Transaction, wanted: Sequence[RateCardEntry], most: CardSize
) -> list[EntryOutcome]:
    """Keep what is new of these, and answer with what is there under their ids."""
    first = {(one.card_id, one.id.lower()): one for one in reversed(wanted)}
    new = await store.add(tx, list(first.values()))
    await check_sizes(tx, (one.card_id for one in new), most)
    found = await store.find_all(tx, [(one.card_id, one.id) for one in first.values()])
    created = {(one.card_id, one.id.lower()) for one in new}
    outcomes = []
    for one in wanted:
        key = (one.card_id, one.id.lower())
        outcome = BatchOutcome.CREATED if key in created else BatchOutcome.UNCHANGED
        created.discard(key)  # named a second time, it is there already
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
    """Raise FIELD_REQUIRED for an entry that has to say of which resource it is."""
    product = (await records.get(tx, PRODUCT, entry.product_id)).content
    is_tier = known.cards[entry.card_id] is RateCardType.TIER
    if not (is_tier and product.usage_model_type.is_commitment):
        text = "required: only tiers of a commitment can be for all its resources"
        raise InvalidArgument.at("rate_card_entry.usage_resource", "FIELD_REQUIRED", text)


async def _check_token(tx: Transaction, unit_id: str) -> None:
    """What is no money has to be a token."""
    unit = (await records.get(tx, UNIT, unit_id)).content
    unit_class = (await records.get(tx, UNIT_CLASS, unit.unit_class_id)).content
    if unit_class.kind is not UnitClassKind.TOKEN:
        text = f"unitsOfMeasure/{unit_id} is a unit of {unit_class.kind}, not of a token"
        raise InvalidArgument.at("rate_card_entry.token_unit", "TOKEN_RESOURCE", text)
