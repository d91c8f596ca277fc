"""Authentication: the key in `authorization: Bearer …`, looked up once every few seconds.

A revoked key stops working within `KNOWN_SECONDS`. Look-ups of unknown keys are limited for each
peer, so that a faulty client does not slow down others. A key that proves valid is not counted.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterable
from hashlib import sha256

from server.domain.access import Identity
from server.domain.caches import BoundedCache, memoize
from server.domain.errors import ResourceExhausted, Unauthenticated

KNOWN_SECONDS = 4.0
UNKNOWN_SECONDS = 1.0
# Keys and headers have a maximum length, so these bounds also limit memory.
MAX_KNOWN = 10_000
MAX_UNKNOWN = 10_000
MAX_PEERS = 10_000
# The number of cached headers, which are not parsed again.
MAX_HEADERS = 1_000
# The rate of look-ups of unknown keys for one peer, and the most that it may accumulate.
UNKNOWN_PER_SECOND, UNKNOWN_BURST = 50.0, 100.0
LONGEST_KEY = 200
LONGEST_HEADER = LONGEST_KEY + 20
# Half of it may be spent waiting for a connection. Calls that share a look-up share this limit.
LOOK_UP_SECONDS = 2.0
SCHEME = re.compile(r"bearer +", re.IGNORECASE)
PORT = re.compile(r":\d+$")

# Look up a key within a number of seconds.
LookUp = Callable[[str, float], Awaitable[Identity | None]]


class Authenticator:
    """Identifies the caller from the metadata of a call."""

    def __init__(self, look_up: LookUp) -> None:
        self._look_up = look_up
        self._known: BoundedCache[str, tuple[float, Identity]] = BoundedCache(
            "auth.known_keys", entries=MAX_KNOWN, entry_bytes=4_096
        )
        self._unknown: BoundedCache[bytes, float] = BoundedCache(
            "auth.unknown_keys", entries=MAX_UNKNOWN, entry_bytes=256
        )
        self._looking: dict[str, asyncio.Task[Identity | None]] = {}
        self._budgets = _PeerBudgets()

    async def identify(
        self,
        metadata: Iterable[tuple[str, str | bytes]],
        peer: Callable[[], str] = str,
    ) -> Identity:
        """Return the identity of the caller; `peer` is called only for unknown keys.

        Raises CREDENTIAL_MISSING, CREDENTIAL_AMBIGUOUS, CREDENTIAL_INVALID, TOO_MANY_UNKNOWN_KEYS.
        """
        key = _key(metadata)
        known = self._known.get(key)
        if known is not None and time.monotonic() < known[0]:
            return known[1]
        return await self._looked_up_once(key, known is not None, peer)

    def known(self, metadata: Iterable[tuple[str, str | bytes]]) -> Identity | None:
        """Return the identity of the caller if its key is cached; hot."""
        try:
            known = self._known.get(_key(metadata))
        except Unauthenticated:
            return None
        return known[1] if known is not None and time.monotonic() < known[0] else None

    async def _looked_up_once(self, key: str, was_known: bool, peer: Callable[[], str]) -> Identity:
        digest = sha256(key.encode("utf-8", "surrogatepass")).digest()
        looking = self._looking.get(key)
        if looking is None:
            # A key that was valid before is not counted. Connections of one host share a budget.
            address = "" if was_known else PORT.sub("", peer())
            if address:
                self._refuse_unknown(digest, address)
            # One look-up serves all concurrent calls with a key. It is a task of its own, so it
            # continues when the call that began it is canceled.
            looking = asyncio.create_task(self._looked_up(key, digest, address))
            self._looking[key] = looking
            looking.add_done_callback(lambda _: self._looking.pop(key, None))
        identity = await asyncio.shield(looking)
        if identity is None:
            raise _invalid()
        return identity

    async def _looked_up(self, key: str, digest: bytes, address: str) -> Identity | None:
        identity = await self._look_up(key, LOOK_UP_SECONDS)
        if identity is not None and address:
            self._budgets.give_back(address)
        if identity is None:
            self._known.pop(key)
            self._unknown.put(digest, time.monotonic() + UNKNOWN_SECONDS)
        else:
            self._known.put(key, (time.monotonic() + KNOWN_SECONDS, identity))
        return identity

    def _refuse_unknown(self, digest: bytes, peer: str) -> None:
        """Refuse a key that was just looked up in vain, or a peer that sends many such keys."""
        if time.monotonic() < (self._unknown.get(digest) or 0.0):
            raise _invalid()
        if not self._budgets.spend(peer):
            raise ResourceExhausted(
                "TOO_MANY_UNKNOWN_KEYS",
                "this address sent many unknown keys; wait a second before the next",
                {"keys_per_second": f"{UNKNOWN_PER_SECOND:g}"},
                retry_after_seconds=1.0,
            )


class _PeerBudgets:
    """A token bucket for each peer address."""

    def __init__(self) -> None:
        self._buckets: BoundedCache[str, tuple[float, float]] = BoundedCache(
            "auth.peers", entries=MAX_PEERS, entry_bytes=512
        )

    def spend(self, peer: str) -> bool:
        """Take one look-up from the peer's budget; return False if it is empty."""
        now = time.monotonic()
        left, since = self._buckets.get(peer) or (UNKNOWN_BURST, now)
        left = min(UNKNOWN_BURST, left + (now - since) * UNKNOWN_PER_SECOND)
        may = left >= 1
        self._buckets.put(peer, (left - may, now))
        return may

    def give_back(self, peer: str) -> None:
        """Return a look-up to the peer's budget, because the key was valid."""
        left, since = self._buckets.get(peer) or (UNKNOWN_BURST, time.monotonic())
        self._buckets.put(peer, (min(UNKNOWN_BURST, left + 1), since))


def _key(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """Return the key of a call; hot."""
    header = None
    for name, value in metadata:
        if name == "authorization":
            if header is not None:
                raise Unauthenticated(
                    "CREDENTIAL_AMBIGUOUS", "send one `authorization` header; this call has several"
                )
            header = value
    if header is not None and len(header) > LONGEST_HEADER:
        raise _invalid()
    return _key_in(header)


@memoize(entries=MAX_HEADERS, entry_bytes=1_024)
def _key_in(header: str | bytes | None) -> str:
    """Return the key in an `authorization` header.

    Raises CREDENTIAL_MISSING, CREDENTIAL_INVALID.
    """
    scheme = SCHEME.match(header) if isinstance(header, str) else None
    if scheme is None:
        raise Unauthenticated(
            "CREDENTIAL_MISSING", "send the metadata `authorization: Bearer <your key>`"
        )
    key = scheme.string[scheme.end() :]
    if len(key) > LONGEST_KEY:
        raise _invalid()
    return key


def _invalid() -> Unauthenticated:
    return Unauthenticated("CREDENTIAL_INVALID", "this key is unknown, was revoked or has expired")
