"""Authentication: the key in `authorization: Bearer …`, looked up once every few seconds.

A revoked key stops working within `KNOWN_SECONDS`. Look-ups of keys that were never valid here are
limited for each peer, so that a client gone wrong costs others nothing. A key that turns out to be
valid is not counted.
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
# Keys and headers are short, so that these are bounds in bytes too.
MAX_KNOWN = 10_000
MAX_UNKNOWN = 10_000
MAX_PEERS = 10_000
# How many headers need no reading when they come again.
MAX_HEADERS = 1_000
# Look-ups of unknown keys a second, for one peer, and how many it may save up.
UNKNOWN_PER_SECOND, UNKNOWN_BURST = 50.0, 100.0
LONGEST_KEY = 200
LONGEST_HEADER = LONGEST_KEY + 20
# Half of it is for waiting for a connection. The same for all who wait for one look-up.
LOOK_UP_SECONDS = 2.0
SCHEME = re.compile(r"bearer +", re.IGNORECASE)
PORT = re.compile(r":\d+$")

# Looks a key up within so many seconds.
LookUp = Callable[[str, float], Awaitable[Identity | None]]


class Authenticator:
    """Turns the metadata of a call into an identity."""

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
        """Return the identity behind a call; `peer` is asked only for keys that are not known.

        Raises CREDENTIAL_MISSING, CREDENTIAL_AMBIGUOUS, CREDENTIAL_INVALID, TOO_MANY_UNKNOWN_KEYS.
        """
        key = _key(metadata)
        known = self._known.get(key)
        if known is not None and time.monotonic() < known[0]:
            return known[1]
        return await self._looked_up_once(key, known is not None, peer)

    def known(self, metadata: Iterable[tuple[str, str | bytes]]) -> Identity | None:
        """Return the identity behind a call if its key was looked up just now; hot."""
        try:
            known = self._known.get(_key(metadata))
        except Unauthenticated:
            return None
        return known[1] if known is not None and time.monotonic() < known[0] else None

    async def _looked_up_once(self, key: str, was_known: bool, peer: Callable[[], str]) -> Identity:
        digest = sha256(key.encode("utf-8", "surrogatepass")).digest()
        looking = self._looking.get(key)
        if looking is None:
            address = "" if was_known else PORT.sub("", peer())
            if address:
                self._refuse_unknown(digest, address)
            # Of all calls that come with a key at this moment, one look-up serves all; it goes on
            # when the call that began it is given up.
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
        """Refuse a key that was looked up in vain just now, or a peer that sends many of these."""
        if time.monotonic() < (self._unknown.get(digest) or 0.0):
            raise _invalid()
        if not self._budgets.spend(peer):
            raise ResourceExhausted(
                "TOO_MANY_UNKNOWN_KEYS",
                "this address sent many keys that nobody knows; wait a second before the next",
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
        """Take one look-up from the peer's budget; False when it is used up."""
        now = time.monotonic()
        left, since = self._buckets.get(peer) or (UNKNOWN_BURST, now)
        left = min(UNKNOWN_BURST, left + (now - since) * UNKNOWN_PER_SECOND)
        may = left >= 1
        self._buckets.put(peer, (left - may, now))
        return may

    def give_back(self, peer: str) -> None:
        """Return a look-up to the peer's budget: the key was valid."""
        left, since = self._buckets.get(peer) or (UNKNOWN_BURST, time.monotonic())
        self._buckets.put(peer, (min(UNKNOWN_BURST, left + 1), since))


def _key(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """Return the key that a call comes with; hot."""
    found = None
    for name, value in metadata:
        if name == "authorization":
            if found is not None:
                raise Unauthenticated(
                    "CREDENTIAL_AMBIGUOUS", "send one `authorization` header; this call has several"
                )
            found = value
    if found is not None and len(found) > LONGEST_HEADER:
        raise _invalid()
    return _key_in(found)


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
    return Unauthenticated(
        "CREDENTIAL_INVALID", "this key is not known, was revoked or has expired"
    )
