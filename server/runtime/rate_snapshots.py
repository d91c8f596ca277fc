"""Compiled rates, one immutable snapshot a tenant, kept by a process and replaced as a whole.

A snapshot that is handed out was right at most a second ago, or, if the caller wants it so, after
the call began, or has at least the revision that the caller names. A poll looks at the revisions of
all tenants in one query; where it is late or fails, the call looks for itself.
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

# Twice as often as the promise needs, so that calls hardly ever look for themselves.
POLL_SECONDS = 0.5
FRESH_SECONDS = 1.0
IDLE_SECONDS = 900.0
# How long whoever waits for a revision that is not there yet sleeps before the next look.
PAUSE_SECONDS = 0.02
# Of what is not needed any more, so much is freed at a time.
PIECE = 500


def rendered_terms() -> SizedCache[Any, Any]:
    """Return a cache of rendered terms by the entries that they come from."""
    return SizedCache("discovery.terms", most=20_000, most_bytes=32 * MEBIBYTE)


@dataclass(frozen=True, slots=True, eq=False)
class CompiledRates:
    """The rates of a tenant at one revision, and what callers have made of them so far.

    `versions` are those of the procedure by which the tenant rates, `finders` those by which its
    rates are found; `marks` tell a later look which cards have changed. What callers have made are
    parts of answers and whole ones.
    """

    revision: int
    rates: CatalogRates
    versions: RatingVersions = SHIPPED_VERSIONS
    finders: DiscoveryVersions = SHIPPED_DISCOVERY_VERSIONS
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
    """The snapshots of all tenants this process has been asked about."""

    def __init__(self, pool: SharedPool) -> None:
        self._pool = pool
        self._holders: dict[TenantId, _Holder] = {}
        self._poll: asyncio.Task[None] | None = None
        self._partings: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to look for changes."""
        self._poll = asyncio.create_task(self._poll_for_ever())

    async def stop(self) -> None:
        """Stop looking; snapshots already handed out stay usable."""
        if self._poll is None:
            return
        self._poll.cancel()
        with suppress(asyncio.CancelledError):
            await self._poll
        self._poll = None

    async def of(self, tenant_id: TenantId, fresh: bool) -> CompiledRates:
        """The tenant's rates: at most a second old, or all that was committed before the call.

        Raises STORE_UNAVAILABLE when that cannot be promised.
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
        """The tenant's rates at this revision or a later one, waited for until then.

        Raises REVISION_NOT_REACHED, STORE_UNAVAILABLE.
        """
        found = await self.of(tenant_id, fresh=False)
        while found.revision < least:
            found = await self.of(tenant_id, fresh=True)
            if found.revision >= least:
                break
            if time.monotonic() + PAUSE_SECONDS >= until:
                text = "the revision that the token names was not seen in the time given"
                raise DeadlineExceeded("REVISION_NOT_REACHED", text)
            await asyncio.sleep(PAUSE_SECONDS)
        return found

    async def _checked(self, tenant_id: TenantId, holder: _Holder, since: float) -> CompiledRates:
        """Look at the revision, once for all who wait; load when it is another."""
        async with holder.loading:
            current = holder.current
            if current is not None and holder.checked >= since:
                return current
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
        """All that is there, or of what is known the cards that changed."""
        known = None if old is None else old.marks
        loaded = await read(
            self._pool,
            tenant_id,
            lambda tx: rows_of_tenant(tx, known),
            seconds=30,
            snapshot=True,
        )
        # Another thread, so that a large catalogue does not hold up the calls under way.
        rates = await asyncio.to_thread(_compiled, loaded, None if old is None else old.rates)
        versions, finders = loaded.versions, loaded.finders
        return CompiledRates(loaded.revision, rates, versions, finders, loaded.marks)

    async def _poll_for_ever(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                await self._look()
            except Exception as error:
                # Calls look for themselves meanwhile, and say so when they cannot.
                log.warning("rate_poll_failed", error=type(error).__name__)

    async def _look(self) -> None:
        self._forget_idle()
        loaded = [t for t, holder in self._holders.items() if holder.current is not None]
        if not loaded:
            return
        began = time.monotonic()
        async with self._pool.acquire(timeout=FRESH_SECONDS) as connection:
            newest = await revisions(ControlTransaction(connection), loaded)
        for tenant_id, found in newest.items():
            holder = self._holders[tenant_id]
            if holder.current is not None and holder.current.revision >= found:
                holder.checked = max(holder.checked, began)
            else:
                await self._checked(tenant_id, holder, began)

    def _forget_idle(self) -> None:
        idle = time.monotonic() - IDLE_SECONDS
        for tenant_id in [t for t, holder in self._holders.items() if holder.used < idle]:
            del self._holders[tenant_id]

    def _let_go(self, rates: CatalogRates, new: CatalogRates) -> None:
        """Take an old index apart in a thread: freed at once, a large one would stop the loop."""
        task = asyncio.create_task(asyncio.to_thread(_forgotten, [rates], new))
        self._partings.add(task)
        task.add_done_callback(self._partings.discard)


def _compiled(loaded: LoadedRates, old: CatalogRates | None) -> CatalogRates:
    """In a thread: the index, and the rows freed a few at a time."""
    kept = None
    if old is not None and loaded.changed is not None:
        kept = old.all_but(loaded.changed)
    made = compiled(loaded.rows, _pause, kept)
    for some in loaded.rows:
        _taken_apart(some)
    return made


def _forgotten(one: list[CatalogRates], new: CatalogRates) -> None:
    """In a thread: an index, which is freed before its parts are, since these are held apart."""
    parts = [*one[0].parts(but_of=new)]
    one.clear()
    _taken_apart(parts)


def _taken_apart(parts: Any) -> None:
    """Free what a list holds piece by piece, with a turn for the loop after each."""
    while parts:
        del parts[-PIECE:]
        _pause()


def _pause() -> None:
    # Longer than nothing: else this thread has the interpreter again before the loop wakes up.
    time.sleep(0.0001)
