"""Compiled rates: one immutable snapshot for each tenant, cached by the process.

A snapshot is at most a second old, or includes all commits before the call, or has at least a given
revision, as the caller requires. A poll reads the revisions of all tenants in one query. If it is
late or fails, the call reads the revision itself.
"""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import structlog

from server.domain.errors import DeadlineExceeded
from server.domain.ids import TenantId
from server.domain.rating.compiled_discovery import SHIPPED_DISCOVERY_VERSIONS, DiscoveryVersions
from server.domain.rating.compiled_rating import SHIPPED_VERSIONS, RatingVersions
from server.domain.rating.rate_index import CatalogRates
from server.runtime.answer_cache import MEBIBYTE, AnswerCache, ResponseCache, SizedCache
from server.store.connection import ControlTransaction
from server.store.rating.rate_snapshots import (
    LoadedRates,
    Marks,
    compiled,
    revision,
    revisions,
    rows_of_tenant,
)
from server.store.shares import SharedPool
from server.store.transaction import read

log = structlog.get_logger("rates")

# Twice as often as needed, so that calls rarely have to read the revision themselves.
POLL_SECONDS = 0.5
FRESH_SECONDS = 1.0
IDLE_SECONDS = 900.0
# The pause between two reads while a call waits for a revision.
PAUSE_SECONDS = 0.02
# The number of list items that are freed at a time.
PIECE = 500


def rendered_terms() -> SizedCache[Any, Any]:
    """Return a cache of rendered terms by the entries that they come from."""
    return SizedCache("discovery.terms", most=20_000, most_bytes=32 * MEBIBYTE)


@dataclass(frozen=True, slots=True, eq=False)
class CompiledRates:
    """The rates of a tenant at one revision, with caches of rendered answers.

    `versions` rate for the tenant, and `discovery_versions` discover its rates. A reload compares
    `marks` to detect the cards that changed.
    """

    revision: int
    rates: CatalogRates
    versions: RatingVersions = SHIPPED_VERSIONS
    discovery_versions: DiscoveryVersions = SHIPPED_DISCOVERY_VERSIONS
    marks: Marks = field(default_factory=dict)
    rendered: SizedCache[Any, Any] = field(default_factory=rendered_terms)
    answers: AnswerCache = field(default_factory=AnswerCache)
    responses: ResponseCache = field(default_factory=ResponseCache)


@dataclass(slots=True)
class _Holder:
    """A tenant's snapshot; times are of the monotonic clock."""

    current: CompiledRates | None = None
    checked: float = float("-inf")
    used: float = 0.0
    loading: asyncio.Lock = field(default_factory=asyncio.Lock)


class RateSnapshots:
    """The snapshots of all tenants that this process has served."""

    def __init__(self, pool: SharedPool) -> None:
        self._pool = pool
        self._holders: dict[TenantId, _Holder] = {}
        self._poll: asyncio.Task[None] | None = None
        self._partings: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Start the poll."""
        self._poll = asyncio.create_task(self._poll_for_ever())

    async def stop(self) -> None:
        """Stop the poll; snapshots in use stay valid."""
        if self._poll is None:
            return
        self._poll.cancel()
        with suppress(asyncio.CancelledError):
            await self._poll
        self._poll = None

    async def of(self, tenant_id: TenantId, fresh: bool) -> CompiledRates:
        """Return the tenant's rates: at most a second old, or `fresh` with all earlier commits.

        Raises STORE_UNAVAILABLE if that cannot be guaranteed.
        """
        holder = self._holders.get(tenant_id)
        if holder is None:
            holder = self._holders[tenant_id] = _Holder()
        holder.used = time.monotonic()
        since = holder.used if fresh else holder.used - FRESH_SECONDS
        if holder.current is not None and holder.checked >= since:
            return holder.current
        return await self._checked(tenant_id, holder, since)

    def ready(
        self, tenant_id: TenantId, request: bytes, secrets: tuple[bytes, ...]
    ) -> bytes | None:
        """Return the response to a request, if the snapshot is fresh and has it; hot."""
        holder = self._holders.get(tenant_id)
        if holder is None or holder.current is None:
            return None
        now = time.monotonic()
        if holder.checked < now - FRESH_SECONDS:
            return None
        holder.used = now
        return holder.current.responses.of(request, secrets)

    async def at_least(self, tenant_id: TenantId, least: int, until: float) -> CompiledRates:
        """Return the tenant's rates with this revision or a later one; wait for it `until` then.

        Raises REVISION_NOT_REACHED, STORE_UNAVAILABLE.
        """
        compiled_rates = await self.of(tenant_id, fresh=False)
        while compiled_rates.revision < least:
            compiled_rates = await self.of(tenant_id, fresh=True)
            if compiled_rates.revision >= least:
                break
            if time.monotonic() + PAUSE_SECONDS >= until:
                text = "the revision that the token names was not seen in the time given"
                raise DeadlineExceeded("REVISION_NOT_REACHED", text)
            await asyncio.sleep(PAUSE_SECONDS)
        return compiled_rates

    async def _checked(self, tenant_id: TenantId, holder: _Holder, since: float) -> CompiledRates:
        """Return a snapshot checked after `since`; one check serves all concurrent callers."""
        async with holder.loading:
            current = holder.current
            if current is not None and holder.checked >= since:
                return current
            # Taken before the read, because the read may miss later commits.
            began = time.monotonic()
            if current is None or await self._revision(tenant_id) != current.revision:
                before, current = holder.current, await self._load(tenant_id, current)
                holder.current = current
                if before is not None:
                    self._let_go(before.rates, current.rates)
                    del before
            holder.checked = began
            return current

    async def _revision(self, tenant_id: TenantId) -> int:
        return await read(self._pool, tenant_id, revision)

    async def _load(self, tenant_id: TenantId, old: CompiledRates | None) -> CompiledRates:
        """Return a new snapshot; of a known one, only the changed cards are read."""
        known = None if old is None else old.marks
        loaded = await read(
            self._pool,
            tenant_id,
            lambda tx: rows_of_tenant(tx, known),
            seconds=30,
            snapshot=True,
        )
        # In a thread, because compiling a large catalog would block the event loop.
        rates = await asyncio.to_thread(_compiled, loaded, None if old is None else old.rates)
        versions, discovery_versions = loaded.versions, loaded.discovery_versions
        return CompiledRates(loaded.revision, rates, versions, discovery_versions, loaded.marks)

    async def _poll_for_ever(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                await self._look()
            except Exception as error:
                # Calls then read the revision themselves, and fail if they cannot.
                log.warning("rate_poll_failed", error=type(error).__name__)

    async def _look(self) -> None:
        self._forget_idle()
        loaded = [t for t, holder in self._holders.items() if holder.current is not None]
        if not loaded:
            return
        began = time.monotonic()
        async with self._pool.acquire(timeout=FRESH_SECONDS) as connection:
            newest = await revisions(ControlTransaction(connection), loaded)
        for tenant_id, number in newest.items():
            holder = self._holders[tenant_id]
            if holder.current is not None and holder.current.revision >= number:
                holder.checked = max(holder.checked, began)
            else:
                await self._checked(tenant_id, holder, began)

    def _forget_idle(self) -> None:
        idle = time.monotonic() - IDLE_SECONDS
        for tenant_id in [t for t, holder in self._holders.items() if holder.used < idle]:
            del self._holders[tenant_id]

    def _let_go(self, rates: CatalogRates, new: CatalogRates) -> None:
        """Free an old index in a thread; freeing a large one at once would block the loop."""
        task = asyncio.create_task(asyncio.to_thread(_forgotten, [rates], new))
        self._partings.add(task)
        task.add_done_callback(self._partings.discard)


def _compiled(loaded: LoadedRates, old: CatalogRates | None) -> CatalogRates:
    """Return the index, and free the rows in small pieces; runs in a thread."""
    kept = None
    if old is not None and loaded.changed is not None:
        kept = old.all_but(loaded.changed)
    made = compiled(loaded.rows, _pause, kept, loaded.sales)
    for rows in loaded.rows:
        _taken_apart(rows)
    return made


def _forgotten(index: list[CatalogRates], new: CatalogRates) -> None:
    """Free an index and then its parts in small pieces; runs in a thread.

    The list of parts keeps them alive when the index is freed.
    """
    parts = [*index[0].parts(but_of=new)]
    index.clear()
    _taken_apart(parts)


def _taken_apart(parts: Any) -> None:
    """Free the items of a list in pieces, with a pause for the event loop after each."""
    while parts:
        del parts[-PIECE:]
        _pause()


def _pause() -> None:
    # Not zero: this thread would take the interpreter lock again before the loop wakes up.
    time.sleep(0.0001)
