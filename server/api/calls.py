"""The call under way: who asks, what for, and for how long."""

import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from server.domain.ids import CredentialId, TenantId


@dataclass(slots=True, kw_only=True)
class Caller:
    """Who calls, and the call itself: its method, its deadline, what the log calls it.

    `deadline` is of the monotonic clock; `context` is gRPC's.
    """

    tenant_id: TenantId
    credential_id: CredentialId
    permissions: frozenset[str]
    method: str
    call_id: str
    deadline: float
    context: Any = None
    trailers: dict[str, str] = field(default_factory=dict)

    @property
    def seconds_left(self) -> float:
        """What is left of the time given, at least a hundredth of a second."""
        return max(0.01, self.deadline - time.monotonic())

    def announce_replay(self) -> None:
        """Tell the client that the answer was given before."""
        self.announce("usage-replayed", "true")

    def announce(self, key: str, value: str) -> None:
        """Tell the client something beside the answer."""
        self.trailers[key] = value
        if self.context is not None:
            # gRPC keeps what was set last, so all of it is set every time.
            self.context.set_trailing_metadata(tuple(self.trailers.items()))


NOBODY = Caller(
    tenant_id=TenantId(UUID(int=0)),
    credential_id=CredentialId(UUID(int=0)),
    permissions=frozenset(),
    method="",
    call_id="",
    deadline=0.0,
)

_current: ContextVar[Caller] = ContextVar("caller", default=NOBODY)


def caller() -> Caller:
    """The caller of the call under way; asyncio gives every call a context of its own."""
    return _current.get()


def begin(call: Caller) -> None:
    """Make `call` the one under way."""
    _current.set(call)
