"""The current call: its caller, its method and its deadline."""

import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NoReturn
from uuid import UUID, uuid4

import structlog

from server.domain.errors import InvalidArgument
from server.domain.ids import CredentialId, TenantId

PROCESS = uuid4().hex[:8]


# Compared by identity, because active calls are keys of a dictionary.
@dataclass(slots=True, kw_only=True, eq=False)
class Caller:
    """The caller and the call: its method, its deadline and its id in the log.

    `deadline` is of the monotonic clock; `context` is gRPC's.
    """

    tenant_id: TenantId
    credential_id: CredentialId
    permissions: frozenset[str]
    method: str
    number: int
    deadline: float
    # gRPC ends the call at the client's deadline, if that is within the limit of a call.
    is_timed_by_client: bool = False
    # The server ended the call, because its deadline had passed.
    is_overdue: bool = False
    context: Any = None
    trailers: dict[str, str] = field(default_factory=dict)
    # The violations of the proto's rules by the request; see `refuse_all_faults`.
    refusal: InvalidArgument | None = None

    @property
    def call_id(self) -> str:
        """The id of the call in the log: a random id of the process, and the call's number."""
        return f"{PROCESS}-{self.number:x}"

    @property
    def seconds_left(self) -> float:
        """The time until the deadline in seconds, at least a hundredth of a second."""
        return max(0.01, self.deadline - time.monotonic())

    def refuse_invalid(self) -> None:
        """Raise the violations of the proto's rules by the request, if there are any."""
        if self.refusal is not None:
            raise self.refusal

    def announce_replay(self) -> None:
        """Mark the answer as a replay, in the trailing metadata."""
        self.announce("usage-replayed", "true")

    def announce(self, key: str, value: str) -> None:
        """Send a key and a value in the trailing metadata."""
        self.trailers[key] = value
        if self.context is not None:
            # gRPC keeps only the last call's metadata, so all pairs are set every time.
            self.context.set_trailing_metadata(tuple(self.trailers.items()))


log = structlog.get_logger("calls")

NO_CALLER = Caller(
    tenant_id=TenantId(UUID(int=0)),
    credential_id=CredentialId(UUID(int=0)),
    permissions=frozenset(),
    method="",
    number=0,
    deadline=0.0,
)

_current: ContextVar[Caller] = ContextVar("caller", default=NO_CALLER)


def caller() -> Caller:
    """Return the caller of the current call; asyncio gives every call its own context."""
    return _current.get()


def begin(call: Caller) -> None:
    """Set the current call."""
    _current.set(call)


async def refuse_all_faults(
    refusal: InvalidArgument, function: Callable[..., Awaitable[Any]], request: Any, context: Any
) -> NoReturn:
    """Refuse a request that violates a rule of its proto, with all its other faults.

    The method still reads the request, so that the refusal also names the faults that only reading
    detects. The method stops before its work (`server.api.transactions`), and any other error in it
    is ignored. Raises InvalidArgument.
    """
    violations = refusal.violations
    if refusal.reason == "TOO_MANY_ITEMS":
        # Reading millions of items to name their faults would block other calls.
        raise refusal
    try:
        await function(request, context)
    except InvalidArgument as error:
        named = tuple(violation.field for violation in violations)
        violations += tuple(
            violation for violation in error.violations if not _is_told(violation.field, named)
        )
    except Exception as error:
        # The method read values that violate the rules, so its error is no fault of the service.
        log.debug("invalid_request", error=type(error).__name__)
    whole = InvalidArgument.of(violations)
    whole.facts |= refusal.facts
    raise whole


def _is_told(field: str, named: tuple[str, ...]) -> bool:
    """Return True if a fault of the field itself, or of a message around it, is named."""
    return any(field == path or field.startswith((f"{path}.", f"{path}[")) for path in named)
