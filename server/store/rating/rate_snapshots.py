"""Active rates: all of a tenant for a process to compile, or those of one product for a sale."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from asyncpg import Record

from server.domain.calendar import PolicyPeriod, local_midnight
from server.domain.ids import (
    AccountId,
    AssetId,
    PriceBookId,
    ProductId,
    RateCardId,
    ResourceId,
    SellingModelId,
    TenantId,
)
from server.domain.modeling.catalog import CatalogState
from server.domain.modeling.policies import CommitmentRate, OveragePolicy
from server.domain.rating.additions import Addition
from server.domain.rating.compiled_discovery import DiscoveryVersions
from server.domain.rating.compiled_rating import RatingVersions
from server.domain.rating.rate_cards import (
    PriceBook,
    RateCard,
    RateCardEntry,
    RateCardType,
    tried,
)
from server.domain.rating.rate_index import CatalogRates, KeptCards
from server.domain.rating.sales import ALWAYS, Sales
from server.domain.rating.sold_rates import (
    AssetRates,
    AssetResourceKey,
    AssetStretch,
    SoldRates,
    TargetRates,
    TargetResourceKey,
)
from server.store.connection import ControlTransaction, Transaction
from server.store.rating.procedures import discovery_versions, rating_versions
from server.store.rating.rate_documents import TERMS
from server.store.rating.rate_entries import entry_from_row, tiers_from_rows
from server.store.sql import load

SQL = load("rating/rate_snapshots.sql")

# Decoding this many rows blocks the event loop for about two milliseconds.
SLICE = 250

# A compiling thread offers the interpreter lock to the event loop every this many rows.
PACE = 100

Rows = tuple[Sequence[Record], Sequence[Record], Sequence[Record]]

Marks = Mapping[RateCardId, tuple[int, int]]
"""For each card the number and the highest revision of its active entries, to detect changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedRates:
    """A tenant's catalog at a revision: procedure versions, price books, entries of some cards.

    `changed` holds the cards whose entries were read because their marks changed; None if all were
    read.
    """

    revision: int
    versions: RatingVersions
    discovery_versions: DiscoveryVersions
    marks: Marks
    changed: frozenset[RateCardId] | None
    rows: Rows
    sales: Sales = ALWAYS


async def revision(tx: Transaction) -> int:
    """Return the revision of the tenant's catalog."""
    number: int = await tx.fetchval(SQL["revision"], tx.tenant_id)
    return number


async def revisions(tx: ControlTransaction, tenant_ids: Sequence[TenantId]) -> dict[TenantId, int]:
    """Return the catalog revisions of several tenants."""
    rows = await tx.fetch(SQL["revisions"], tenant_ids)
    return {TenantId(row["tenant_id"]): row["catalog_revision"] for row in rows}


async def rows_of_tenant(tx: Transaction, known: Marks | None = None) -> LoadedRates:
    """Return all active rates, or only those of cards whose marks differ from `known`.

    The transaction must be a snapshot, so that all statements read the same moment.
    """
    at, versions = await revision(tx), await rating_versions(tx)
    discovery = await discovery_versions(tx)
    books = await tx.fetch(SQL["all_books"], tx.tenant_id)
    marks = {
        RateCardId(row["rate_card_id"]): (row["entries"], row["revision"])
        for row in await tx.fetch(SQL["card_marks"], tx.tenant_id)
    }
    changed = None
    if known is not None:
        # A known card without marks has no active entries left, so it has changed too.
        cards = marks.keys() | known.keys()
        changed = frozenset(card for card in cards if marks.get(card) != known.get(card))
    card_ids = None if changed is None else sorted(changed)
    entries = await _in_slices(tx, "entries", SQL["all_entries"], tx.tenant_id, card_ids)
    tiers = await _in_slices(tx, "tiers", SQL["all_tiers"], tx.tenant_id, card_ids)
    rows = (books, entries, tiers)
    sales = await _sales(tx)
    return LoadedRates(
        revision=at,
        versions=versions,
        discovery_versions=discovery,
        marks=marks,
        changed=changed,
        rows=rows,
        sales=sales,
    )


async def _sales(tx: Transaction) -> Sales:
    """Return what of the catalog cannot be bought at all times."""
    idle = await _in_slices(tx, "idle", SQL["not_active"], tx.tenant_id)
    limited = await _in_slices(tx, "limited", SQL["limited_resources"], tx.tenant_id)
    models = await tx.fetch(SQL["selling_models"], tx.tenant_id)
    return Sales(
        products={
            ProductId(row["id"]): CatalogState(row["state"]) for row in idle if row["is_product"]
        },
        resources={
            ResourceId(row["id"]): CatalogState(row["state"])
            for row in idle
            if not row["is_product"]
        },
        stretches={
            (ProductId(row["product_id"]), ResourceId(row["usage_resource_id"])): tuple(
                zip(row["starts"] or (), row["ends"] or (), strict=True)
            )
            for row in limited
        },
        models={
            SellingModelId(row["selling_model_id"]): CatalogState(row["state"]) for row in models
        },
    )


async def rows_of_product(
    tx: Transaction,
    price_book_id: PriceBookId,
    product_id: ProductId,
    *,
    with_drafts: bool = False,
) -> Rows:
    """Return one book and the active rates of a product, `with_drafts` also its drafts."""
    books = await tx.fetch(SQL["one_book"], tx.tenant_id, price_book_id)
    rows = await tx.fetch(SQL["product_rates"], tx.tenant_id, product_id, with_drafts)
    entries = {(row["rate_card_id"], row["entry_id"]): row for row in rows}
    return books, list(entries.values()), [row for row in rows if row["kind"] is not None]


def compiled(
    rows: Rows,
    pause: Callable[[], None] | None = None,
    kept: KeptCards | None = None,
    sales: Sales = ALWAYS,
) -> CatalogRates:
    """Return the index of these rows and of the entries in `kept`, of what is for sale.

    It may run in a thread; `pause` is called every few rows so that the event loop can go on.
    """
    books = rows[0]
    return CatalogRates(_books(books), map(_card, books), _entries(rows, pause), kept, sales)


def compiled_trial(rows: Rows) -> CatalogRates:
    """Return the index of these rows with the drafts as if active; the caller alone uses it."""
    books = rows[0]
    return CatalogRates(_books(books), map(_card, books), tried(_entries(rows)))


def _entries(rows: Rows, pause: Callable[[], None] | None = None) -> Iterator[RateCardEntry]:
    _, entry_rows, tier_rows = rows
    tiers = tiers_from_rows(_paced(tier_rows, pause))
    for row in _paced(entry_rows, pause):
        yield entry_from_row(row, tiers.get((row["rate_card_id"], row["entry_id"]), ()))


def _paced(rows: Sequence[Record], pause: Callable[[], None] | None) -> Iterable[Record]:
    if pause is None:
        return rows
    return _pausing(rows, pause)


def _pausing(rows: Sequence[Record], pause: Callable[[], None]) -> Iterator[Record]:
    for count, row in enumerate(rows):
        if count % PACE == 0:
            pause()
        yield row


async def asset_rates(
    tx: Transaction, asset_keys: Iterable[AssetResourceKey]
) -> dict[AssetResourceKey | TargetResourceKey, SoldRates | None]:
    """Return the rates that assets were sold under, by resource.

    None stands for a resource that the asset does not have; a missing asset is left out.
    """
    distinct = sorted(set(asset_keys))
    keys = (
        [account_id for account_id, _, _ in distinct],
        [asset_id for _, asset_id, _ in distinct],
        [resource_id for _, _, resource_id in distinct],
    )
    sold = _by_held(await tx.fetch(SQL["asset_rates"], tx.tenant_id, *keys))
    rows = [same[0] for same in sold.values() if same[0]["wallet_id"] is not None]
    wallets = {(row["account_id"], row["wallet_id"], row["is_shared"]) for row in rows}
    added = await additions_by_wallet(tx, wallets)
    return {key: _asset_rates(same, added) for key, same in sold.items()}


async def target_rates(
    tx: Transaction, targets: Iterable[TargetResourceKey]
) -> dict[AssetResourceKey | TargetResourceKey, SoldRates | None]:
    """Return the rates agreed for targets, by resource.

    None stands for a resource that the target does not have; a missing target is left out.
    """
    distinct = sorted(set(targets))
    columns = [[key[column] for key in distinct] for column in range(3)]
    rows = await tx.fetch(SQL["target_rates"], tx.tenant_id, *columns)
    wallets = {(row["account_id"], row["wallet_id"], True) for row in rows if row["wallet_id"]}
    added = await additions_by_wallet(tx, wallets)
    return {
        TargetResourceKey(row["account_id"], row["target_id"], row["usage_resource_id"]): None
        if row["wallet_id"] is None
        else TargetRates(
            zone=row["time_zone"],
            anchor=row["anchor_date"],
            service_start=local_midnight(row["time_zone"], row["service_date"]),
            length=PolicyPeriod(row["rating_period"]),
            additions=tuple(added.get(row["wallet_id"], ())),
        )
        for row in rows
    }


async def additions_by_wallet(
    tx: Transaction, wallets: Iterable[tuple[AccountId, UUID, bool]]
) -> Mapping[UUID, list[Addition]]:
    """Return the additions of some wallets; each key ends with True for a shared wallet."""
    keys = sorted(wallets)
    columns = [[key[column] for key in keys] for column in range(3)]
    additions: defaultdict[UUID, list[Addition]] = defaultdict(list)
    for row in await tx.fetch(SQL["wallet_additions"], tx.tenant_id, *columns) if keys else ():
        additions[row["wallet_id"]].append(_addition(row))
    return additions


def _by_held(rows: Iterable[Record]) -> dict[AssetResourceKey, list[Record]]:
    rows_by_key: defaultdict[AssetResourceKey, list[Record]] = defaultdict(list)
    for row in rows:
        rows_by_key[row["account_id"], row["asset_id"], row["usage_resource_id"]].append(row)
    return rows_by_key


async def _in_slices(
    tx: Transaction,
    name: str,
    query: str,
    *args: Any,
) -> list[Record]:
    """Return all rows of a query, fetched in slices so that other calls can run between them.

    The driver's own cursors name a statement of the session: behind a pooler that hands out
    transactions, another client may have left one of that name. Each query has its own cursor name
    because the driver caches the columns of a FETCH by its text.
    """
    await tx.execute(f"DECLARE {name} NO SCROLL CURSOR FOR {query}", *args)
    records: list[Record] = []
    while batch := await tx.fetch(f"FETCH {SLICE} FROM {name}"):
        records.extend(batch)
    await tx.execute(f"CLOSE {name}")
    return records


def _asset_rates(rows: list[Record], added: Mapping[UUID, list[Addition]]) -> AssetRates | None:
    first = rows[0]
    if first["is_fixed"] is None:
        return None
    stretches = tuple(
        AssetStretch(start=row["start_time"], end=row["end_time"], terms=TERMS.decode(row["terms"]))
        for row in rows
        if row["terms"] is not None
    )
    return AssetRates(
        zone=first["time_zone"],
        anchor=first["anchor_date"],
        service_start=local_midnight(first["time_zone"], first["service_date"]),
        length=PolicyPeriod(first["rating_period"]),
        is_fixed=first["is_fixed"],
        overage=OveragePolicy(first["overage"]),
        stretches=stretches,
        # Without those of the asset itself, which `stretches` holds.
        additions=tuple(
            _since(addition, first["bound_time"])
            for addition in added.get(first["wallet_id"], ())
            if addition.asset_id != first["asset_id"] and _goes_on(addition, first["bound_time"])
        ),
    )


def _since(addition: Addition, bound_time: datetime | None) -> Addition:
    """Return an addition as it applies to an asset that is bound to its target from a time on."""
    if bound_time is None or addition.start >= bound_time:
        return addition
    return replace(addition, start=bound_time)


def _goes_on(addition: Addition, bound_time: datetime | None) -> bool:
    return bound_time is None or addition.end is None or addition.end > bound_time


def _addition(row: Record) -> Addition:
    kind = row["commitment_rate"]
    return Addition(
        asset_id=AssetId(row["addition_id"]),
        start=row["start_time"],
        end=row["end_time"],
        terms=TERMS.decode(row["terms"]),
        commitment=None if kind is None else CommitmentRate(kind),
        is_agreed=row["is_agreed"],
    )


def _books(rows: Sequence[Record]) -> list[PriceBook]:
    cards: defaultdict[PriceBookId, list[RateCardId]] = defaultdict(list)
    for row in rows:
        cards[row["price_book_id"]].append(RateCardId(row["rate_card_id"]))
    return [PriceBook(id=id_, card_ids=tuple(card_ids)) for id_, card_ids in cards.items()]


def _card(row: Record) -> RateCard:
    return RateCard(
        id=RateCardId(row["rate_card_id"]),
        type=RateCardType(row["type"]),
        start=row["start_date"],
        end=row["end_date"],
    )
