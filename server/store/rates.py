"""Price books, rate cards and their entries: kept once, and read."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from asyncpg import Record

from server.domain.errors import Aborted
from server.domain.ids import (
    PriceBookId,
    ProductId,
    RateCardId,
    RateEntryId,
    ResourceId,
    TenantId,
    UnitId,
)
from server.domain.rate_cards import (
    EntryState,
    Kept,
    PriceBook,
    RateCard,
    RateCardEntry,
    RateCardType,
)
from server.domain.rates import (
    Adjustment,
    AdjustmentKind,
    Rate,
    Tier,
    TierBounds,
    TierMode,
)
from server.store.pool import Connection
from server.store.sql import load

SQL = load("rates.sql")

EntryKey = tuple[str, str]


async def add_card(tx: Connection, tenant_id: TenantId, card: RateCard) -> bool:
    """Keep a new card; False when its id is taken, in whatever case."""
    added = await tx.fetchval(
        SQL["add_card"], tenant_id, card.id, card.display_name, card.type, card.start, card.end
    )
    return added is not None


async def find_card(tx: Connection, tenant_id: TenantId, card_id: RateCardId) -> RateCard | None:
    """The card with this id, in whatever case."""
    row = await tx.fetchrow(SQL["find_card"], tenant_id, card_id)
    return None if row is None else _card(row)


async def cards(
    tx: Connection, tenant_id: TenantId, card_ids: Sequence[RateCardId]
) -> dict[RateCardId, RateCard]:
    """Those of the cards that there are."""
    rows = await tx.fetch(SQL["cards"], tenant_id, card_ids)
    return {card.id: card for card in map(_card, rows)}


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFilter:
    """Which cards are listed; None for any."""

    type: RateCardType | None = None
    day: date | None = None


ANY_CARD = CardFilter()


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFilter:
    """Which entries of a card are listed; None for any."""

    state: EntryState | None = None
    product_id: ProductId | None = None
    resource_id: ResourceId | None = None
    day: date | None = None


ANY_ENTRY = EntryFilter()


async def list_cards(
    tx: Connection,
    tenant_id: TenantId,
    *,
    after: tuple[str, ...] | None,
    limit: int,
    only: CardFilter = ANY_CARD,
) -> list[RateCard]:
    """Cards by id; `after` is the id of the last one seen."""
    last = after[0] if after else ""
    rows = await tx.fetch(SQL["list_cards"], tenant_id, last, limit, only.type, only.day)
    return [_card(row) for row in rows]


async def add_book(tx: Connection, tenant_id: TenantId, book: PriceBook) -> bool:
    """Keep a new book with its cards; False when its id is taken, in whatever case."""
    if await tx.fetchval(SQL["add_book"], tenant_id, book.id, book.display_name) is None:
        return False
    types, card_ids = list(book.cards), list(book.cards.values())
    await tx.execute(SQL["add_book_cards"], tenant_id, book.id, types, card_ids)
    return True


async def find_book(tx: Connection, tenant_id: TenantId, book_id: PriceBookId) -> PriceBook | None:
    """The book with this id, in whatever case."""
    row = await tx.fetchrow(SQL["find_book"], tenant_id, book_id)
    return None if row is None else (await _books(tx, tenant_id, [row]))[0]


async def list_books(
    tx: Connection, tenant_id: TenantId, *, after: tuple[str, ...] | None, limit: int
) -> list[PriceBook]:
    """Books by id; `after` is the id of the last one seen."""
    rows = await tx.fetch(SQL["list_books"], tenant_id, after[0] if after else "", limit)
    return await _books(tx, tenant_id, rows)


async def resource_scale(
    tx: Connection, tenant_id: TenantId, product_id: ProductId, resource_id: ResourceId
) -> int | None:
    """How finely a product's resource is counted; None when the product has no such resource."""
    scale: int | None = await tx.fetchval(SQL["resource_scale"], tenant_id, product_id, resource_id)
    return scale


async def add_entry(tx: Connection, tenant_id: TenantId, entry: RateCardEntry) -> bool:
    """Keep a new draft with its tiers; False when its id is taken, in whatever case."""
    if await tx.fetchval(SQL["add_entry"], tenant_id, *_columns(entry)) is None:
        return False
    await _add_tiers(tx, tenant_id, entry)
    return True


async def save_entry(
    tx: Connection, tenant_id: TenantId, entry: RateCardEntry, *, revision: int, catalogue: int
) -> None:
    """Keep other content under the id. Raises CONCURRENT_CHANGE."""
    args = (tenant_id, *_columns(entry), revision, catalogue)
    _check(await tx.execute(SQL["save_entry"], *args))
    await tx.execute(SQL["drop_tiers"], tenant_id, entry.card_id, entry.id)
    await _add_tiers(tx, tenant_id, entry)


async def move_entry(
    tx: Connection, tenant_id: TenantId, entry: RateCardEntry, state: EntryState, catalogue: int
) -> None:
    """Put an entry in another state. Raises CONCURRENT_CHANGE."""
    assert entry.kept is not None, entry
    args = (tenant_id, entry.card_id, entry.id, state, entry.kept.revision, catalogue)
    _check(await tx.execute(SQL["move_entry"], *args))


async def drop_entry(tx: Connection, tenant_id: TenantId, entry: RateCardEntry) -> None:
    """Forget an entry with its tiers. Raises CONCURRENT_CHANGE."""
    assert entry.kept is not None, entry
    await tx.execute(SQL["drop_tiers"], tenant_id, entry.card_id, entry.id)
    args = (tenant_id, entry.card_id, entry.id, entry.kept.revision)
    _check(await tx.execute(SQL["drop_entry"], *args))


def _columns(entry: RateCardEntry) -> tuple[Any, ...]:
    rate = entry.rate
    return (
        entry.card_id,
        entry.id,
        entry.product_id,
        entry.resource_id,
        entry.currency_code,
        None if rate is None else rate.value,
        entry.per if rate is None else rate.per,
        entry.bounds,
        entry.mode,
        entry.is_negotiable,
        entry.start,
        entry.end,
        rate is not None and rate.is_package,
    )


async def _add_tiers(tx: Connection, tenant_id: TenantId, entry: RateCardEntry) -> None:
    await tx.execute(
        SQL["add_tiers"],
        tenant_id,
        entry.card_id,
        entry.id,
        [tier.lower for tier in entry.tiers],
        [tier.upper for tier in entry.tiers],
        [tier.adjustment.kind for tier in entry.tiers],
        [tier.adjustment.value for tier in entry.tiers],
    )


def _check(done: str) -> None:
    if done.endswith(" 0"):
        raise Aborted("CONCURRENT_CHANGE", "somebody else changed it at this moment; try again")


async def find_entry(
    tx: Connection, tenant_id: TenantId, card_id: RateCardId, entry_id: RateEntryId
) -> RateCardEntry | None:
    """The entry with this id, in whatever case."""
    row = await tx.fetchrow(SQL["find_entry"], tenant_id, card_id, entry_id)
    return None if row is None else (await _entries(tx, tenant_id, [row]))[0]


async def list_entries(
    tx: Connection,
    tenant_id: TenantId,
    card_id: RateCardId,
    only: EntryFilter,
    *,
    after: tuple[str, ...] | None,
    limit: int,
) -> list[RateCardEntry]:
    """The entries of a card by id; `after` is the id of the last one seen."""
    last = after[0] if after else ""
    wanted = (only.state, only.product_id, only.resource_id, only.day)
    rows = await tx.fetch(SQL["list_entries"], tenant_id, card_id, last, limit, *wanted)
    return await _entries(tx, tenant_id, rows)


def tiers_from_rows(rows: Iterable[Record]) -> dict[EntryKey, tuple[Tier, ...]]:
    """Tiers by card and entry; the rows come in their order."""
    found: defaultdict[EntryKey, list[Tier]] = defaultdict(list)
    for row in rows:
        kind = AdjustmentKind(row["kind"])
        tier = Tier(
            lower=row["lower"],
            upper=row["upper"],
            adjustment=Adjustment(kind=kind, value=row["value"]),
        )
        found[row["rate_card_id"], row["entry_id"]].append(tier)
    return {key: tuple(tiers) for key, tiers in found.items()}


def entry_from_row(row: Record, tiers: tuple[Tier, ...]) -> RateCardEntry:
    """The content of an entry; a snapshot has no use for what else is known of it."""
    value, unit = row["rate_value"], UnitId(row["rate_unit_id"])
    return RateCardEntry(
        id=RateEntryId(row["entry_id"]),
        card_id=RateCardId(row["rate_card_id"]),
        product_id=ProductId(row["product_id"]),
        resource_id=ResourceId(row["usage_resource_id"]),
        currency_code=unit,
        rate=None
        if value is None
        else Rate(value=value, per=row["rate_per"], unit=unit, is_package=row["is_package"]),
        per=row["rate_per"],
        tiers=tiers,
        bounds=TierBounds(row["tier_bounds"]),
        mode=TierMode(row["tier_mode"]),
        is_negotiable=row["is_negotiable"],
        start=row["start_date"],
        end=row["end_date"],
        state=EntryState(row["state"]),
    )


async def _books(tx: Connection, tenant_id: TenantId, rows: Sequence[Record]) -> list[PriceBook]:
    cards: defaultdict[str, dict[RateCardType, RateCardId]] = defaultdict(dict)
    ids = [row["price_book_id"] for row in rows]
    for row in await tx.fetch(SQL["book_cards"], tenant_id, ids):
        kind = RateCardType(row["type"])
        cards[row["price_book_id"]][kind] = RateCardId(row["rate_card_id"])
    return [
        PriceBook(
            id=PriceBookId(row["price_book_id"]),
            display_name=row["display_name"],
            cards=cards[row["price_book_id"]],
            kept=_kept(row),
        )
        for row in rows
    ]


async def _entries(
    tx: Connection, tenant_id: TenantId, rows: Sequence[Record]
) -> list[RateCardEntry]:
    keys = [(row["rate_card_id"], row["entry_id"]) for row in rows]
    tiers = tiers_from_rows(
        await tx.fetch(
            SQL["tiers"], tenant_id, [card for card, _ in keys], [entry for _, entry in keys]
        )
    )
    return [
        replace(entry_from_row(row, tiers.get(key, ())), kept=_kept(row))
        for row, key in zip(rows, keys, strict=True)
    ]


def _card(row: Record) -> RateCard:
    return RateCard(
        id=RateCardId(row["rate_card_id"]),
        display_name=row["display_name"],
        type=RateCardType(row["type"]),
        start=row["start_date"],
        end=row["end_date"],
        kept=_kept(row),
    )


def _kept(row: Record) -> Kept:
    return Kept(revision=row["revision"], create_time=row["create_time"])
