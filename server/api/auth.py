"""Who is calling: a key in `authorization: Bearer …`, looked up once in a few seconds.

A revoked key stops working within `SECONDS_KNOWN`. Keys nobody knows are remembered a little while
too, so that a client gone wrong costs no query a call.
"""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable

from server.domain.access import Identity
from server.domain.errors import Unauthenticated

SECONDS_KNOWN = 4.0
SECONDS_UNKNOWN = 1.0
MOST_REMEMBERED = 10_000
SCHEME = "Bearer "

LookUp = Callable[[str], Awaitable[Identity | None]]


class Authenticator:
    """Turns the metadata of a call into an identity."""

    def __init__(self, look_up: LookUp) -> None:
        self._look_up = look_up
        self._known: OrderedDict[str, tuple[float, Identity | None]] = OrderedDict()

    async def identify(self, metadata: Iterable[tuple[str, str | bytes]]) -> Identity:
        """The identity behind a call. Raises CREDENTIAL_MISSING, CREDENTIAL_INVALID."""
        key = _key(metadata)
        until, identity = self._known.get(key, (0.0, None))
        if time.monotonic() >= until:
            identity = await self._look_up(key)
            self._remember(key, identity)
        if identity is None:
            raise Unauthenticated(
                "CREDENTIAL_INVALID", "this key is not known, was revoked or has expired"
            )
        return identity

    def _remember(self, key: str, identity: Identity | None) -> None:
        seconds = SECONDS_UNKNOWN if identity is None else SECONDS_KNOWN
        self._known[key] = (time.monotonic() + seconds, identity)
        self._known.move_to_end(key)
        if len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)


def _key(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    for name, value in metadata:
        if name == "authorization" and isinstance(value, str) and value.startswith(SCHEME):
            return value[len(SCHEME) :]
    raise Unauthenticated(
        "CREDENTIAL_MISSING", "send the metadata `authorization: Bearer <your key>`"
    )
