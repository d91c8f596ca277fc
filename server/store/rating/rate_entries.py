"""Entries of rate cards: their kind, and what is done with many at a time."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from asyncpg import Record

from server.domain.ids import (
    ProductId,
    RateCardId,
    RateEntryId,
    ResourceId,
    SellingModelId,
    UnitId,
)
from server.domain.modeling.catalog import CatalogState, StoredRecord
from server.domain.rating.rate_cards import (
    ALL_RESOURCES,
    CardSize,
    RateCardEntry,
    RateCardType,
)
from server.domain.rating.rates import (
    ONE,
    Adjustment,
    AdjustmentKind,
    Rate,
    Tier,
    TierBounds,
    TierMode,
)
from server.store.connection import Transaction
from server.store.documents import TEXTS
from server.store.modeling.records import Kind, Parts, check_done, stored
from server.store.rating.rate_documents import ADJUSTMENTS
from server.store.rating.rates import ON_DATE
from server.store.sql import load

SQL = load("rating/rate_entries.sql")

EntryKey = tuple[RateCardId, RateEntryId]
Metered = tuple[ProductId, ResourceId]


async def lock_cards(
    tx: Transaction, card_ids: Collection[RateCardId]
) -> dict[RateCardId, RateCardType]:
    """Lock the cards that exist until the transaction ends; return their types."""
    # Of two transactions that fill a card, the second then sees what the first added.
    rows = await tx.fetch(SQL["lock_cards"], tx.tenant_id, sorted(card_ids))
    return {RateCardId(row["rate_card_id"]): RateCardType(row["type"]) for row in rows}


async def sizes_of_others(tx: Transaction, keys: Iterable[EntryKey]) -> dict[RateCardId, CardSize]:
    """Return the numbers of entries and tiers on the cards of some entries, without these."""
    rows = await tx.fetch(SQL["sizes_of_others"], tx.tenant_id, *_lists(keys))
    return {
        RateCardId(row["rate_card_id"]): CardSize(entries=row["entries"], tiers=row["tiers"])
        for row in rows
    }


async def resource_scales(tx: Transaction, metered: Collection[Metered]) -> dict[Metered, int]:
    """Return the scale of the unit of each resource of a product.

    For all resources of a product it is the finest scale. A resource that the product does not have
    is absent.
    """
    products = [product_id for product_id, _ in metered]
    resources = [resource_id for _, resource_id in metered]
    rows = await tx.fetch(SQL["resource_scales"], tx.tenant_id, products, resources)
    return {
        (ProductId(row["product_id"]), ResourceId(row["usage_resource_id"])): row["scale"]
        for row in rows
    }


async def add(tx: Transaction, entries: Sequence[RateCardEntry]) -> list[RateCardEntry]:
    """Insert drafts with their tiers; return those whose ids were free in any case."""
    columns = [list(column) for column in zip(*map(_columns, entries), strict=True)]
    rows = await tx.fetch(SQL["add_entries"], tx.tenant_id, *columns)
    keys = {(row["rate_card_id"], row["entry_id"]) for row in rows}
    # An entry that existed before keeps its own tiers.
    new = [entry for entry in entries if (entry.card_id, entry.id) in keys]
    await _add_tiers(tx, new)
    return new


async def find_all(
    tx: Transaction, keys: Iterable[tuple[str, ...]]
) -> dict[tuple[str, str], StoredRecord[RateCardEntry]]:
    """Return the entries that exist, by card and by id in lower case."""
    rows = await tx.fetch(SQL["find_entries"], tx.tenant_id, *_lists(keys))
    found = await stored(tx, RATE_ENTRY, rows)
    # In lower case, because two ids may not differ in case alone.
    return {(record.content.card_id, record.content.id.lower()): record for record in found}


async def move(
    tx: Transaction,
    entries: Sequence[StoredRecord[RateCardEntry]],
    state: CatalogState,
    catalog: int,
) -> None:
    """Set the state of entries. Raises CONCURRENT_CHANGE."""
    keys = _lists((record.content.card_id, record.content.id) for record in entries)
    revisions = [record.revision for record in entries]
    args = (tx.tenant_id, *keys, revisions, state, catalog)
    check_done(await tx.execute(SQL["move_entries"], *args), count=len(entries))


async def in_force(tx: Transaction, metered: Collection[Metered]) -> list[RateCardEntry]:
    """Return the active entries that price resources of products, without their tiers."""
    products = [product_id for product_id, _ in metered]
    resources = [resource_id for _, resource_id in metered]
    rows = await tx.fetch(SQL["in_force"], tx.tenant_id, products, resources)
    return [entry_from_row(row) for row in rows]


async def not_in_force(
    tx: Transaction, entries: Sequence[RateCardEntry]
) -> list[tuple[RateCardId, RateEntryId, str]]:
    """Return the entries that depend on an inactive record, with its name; 20 at most."""
    keys = _lists((one.card_id, one.id) for one in entries)
    rows = await tx.fetch(SQL["not_in_force"], tx.tenant_id, *keys)
    return [
        (RateCardId(row["rate_card_id"]), RateEntryId(row["entry_id"]), row["name"]) for row in rows
    ]


async def drop_of_card(tx: Transaction, card_id: RateCardId) -> None:
    """Delete the inactive entries of a card with their tiers."""
    await tx.execute(SQL["lock_entries_of_card"], tx.tenant_id, card_id)
    await tx.execute(SQL["drop_tiers_of_card"], tx.tenant_id, card_id)
    await tx.execute(SQL["drop_entries_of_card"], tx.tenant_id, card_id)


def tiers_from_rows(rows: Iterable[Record]) -> dict[EntryKey, tuple[Tier, ...]]:
    """Return tiers by card and entry; the rows are in tier order."""
    tiers_by_entry: defaultdict[EntryKey, list[Tier]] = defaultdict(list)
    for row in rows:
        kind = AdjustmentKind(row["kind"])
        tier = Tier(
            lower=row["lower"],
            upper=row["upper"],
            adjustment=Adjustment(kind=kind, value=row["value"]),
            flat=row["flat_amount"],
            package=row["package_size"],
            is_flat_due=row["due_without_usage"],
        )
        tiers_by_entry[row["rate_card_id"], row["entry_id"]].append(tier)
    return {key: tuple(tiers) for key, tiers in tiers_by_entry.items()}


def entry_from_row(row: Record, tiers: tuple[Tier, ...] = ()) -> RateCardEntry:
    """Return the content of an entry, without its revision and audit columns."""
    value, unit, model = row["rate_value"], UnitId(row["rate_unit_id"]), row["selling_model_id"]
    return RateCardEntry(
        id=RateEntryId(row["entry_id"]),
        card_id=RateCardId(row["rate_card_id"]),
        product_id=ProductId(row["product_id"]),
        resource_id=ResourceId(row["usage_resource_id"] or ALL_RESOURCES),
        selling_model_id=None if model is None else SellingModelId(model),
        currency_code=unit,
        rate=None
        if value is None
        else Rate(value=value, per=row["rate_per"], unit=unit, is_package=row["is_package"]),
        per=ONE if value is not None else row["rate_per"],
        tiers=tiers,
        bounds=TierBounds(row["tier_bounds"]),
        mode=TierMode(row["tier_mode"]),
        adjustments=ADJUSTMENTS.decode(row["adjustments"]) if row["adjustments"] else (),
        is_negotiable=row["is_negotiable"],
        max_discount_percent=row["max_discount_percent"],
        custom_fields=tuple(sorted(TEXTS.decode(row["custom_fields"]).items())),
        start=row["start_date"],
        end=row["end_date"],
        state=CatalogState(row["state"]),
    )


def _columns(entry: RateCardEntry) -> tuple[Any, ...]:
    rate = entry.rate
    return (
        entry.card_id,
        entry.id,
        entry.product_id,
        entry.resource_id or None,
        entry.selling_model_id,
        entry.currency_code,
        None if rate is None else rate.value,
        entry.per if rate is None else rate.per,
        rate is not None and rate.is_package,
        entry.bounds,
        entry.mode,
        ADJUSTMENTS.encode(entry.adjustments) if entry.adjustments else None,
        entry.is_negotiable,
        entry.max_discount_percent,
        TEXTS.encode(dict(entry.custom_fields)),
        entry.start,
        entry.end,
    )


async def _add_tiers(tx: Transaction, entries: Sequence[RateCardEntry]) -> None:
    placed = [
        (entry, place, tier) for entry in entries for place, tier in enumerate(entry.tiers, start=1)
    ]
    if not placed:
        return
    await tx.execute(
        SQL["add_tiers"],
        tx.tenant_id,
        *_lists((entry.card_id, entry.id) for entry, _, _ in placed),
        [place for _, place, _ in placed],
        [tier.lower for _, _, tier in placed],
        [tier.upper for _, _, tier in placed],
        [tier.adjustment.kind for _, _, tier in placed],
        [tier.adjustment.value for _, _, tier in placed],
        [tier.flat for _, _, tier in placed],
        [tier.package for _, _, tier in placed],
        [tier.is_flat_due for _, _, tier in placed],
    )


async def _add_own_tiers(tx: Transaction, entry: RateCardEntry) -> None:
    await _add_tiers(tx, [entry])


async def _drop_tiers(tx: Transaction, *key: str) -> None:
    await tx.execute(SQL["drop_tiers"], tx.tenant_id, *key)


async def _read_entries(tx: Transaction, rows: Sequence[Record]) -> list[RateCardEntry]:
    keys = [(row["rate_card_id"], row["entry_id"]) for row in rows]
    tiers = tiers_from_rows(await tx.fetch(SQL["tiers"], tx.tenant_id, *_lists(keys)))
    return [entry_from_row(row, tiers.get(key, ())) for row, key in zip(rows, keys, strict=True)]


def _lists(keys: Iterable[tuple[str, ...]]) -> tuple[list[str], list[str]]:
    """Return keys as two columns."""
    cards, entries = zip(*keys, strict=True)
    return list(cards), list(entries)


RATE_ENTRY: Kind[RateCardEntry] = Kind(
    name="RateCardEntry",
    pattern="rateCards/{}/entries/{}",
    table="rate_card_entries",
    columns=(
        "rate_card_id",
        "entry_id",
        "product_id",
        "usage_resource_id",
        "selling_model_id",
        "rate_unit_id",
        "rate_value",
        "rate_per",
        "is_package",
        "tier_bounds",
        "tier_mode",
        "adjustments",
        "is_negotiable",
        "max_discount_percent",
        "custom_fields",
        "start_date",
        "end_date",
    ),
    filters=("product_id", "usage_resource_id", "rate_unit_id", "selling_model_id", ON_DATE),
    key=lambda record: (record.card_id, record.id),
    to_row=_columns,
    from_row=entry_from_row,
    fields={
        "product_id": "product",
        "resource_id": "usage_resource",
        "selling_model_id": "selling_model",
        "per": "tier_per",
        "bounds": "tiers",
        "mode": "tiers",
        "is_negotiable": "negotiability",
        "start": "start_date",
        "end": "end_date",
    },
    dates=("start", "end"),
    place=lambda entry: entry.prices,
    replacement="SupersedeRateCardEntry replaces it from a day on",
    change_states="ChangeRateCardEntryStates",
    marks_changes=True,
    parts=Parts(add=_add_own_tiers, read=_read_entries, drop=_drop_tiers),
)
"""An entry is a draft until it or its product is activated, and prices nothing before."""
