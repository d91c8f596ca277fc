"""The call under way: who asks, what for, and for how long."""

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


@dataclass(slots=True, kw_only=True, eq=False)
class Caller:
    """Who calls, and the call itself: its method, its deadline, what the log calls it.

    `deadline` is of the monotonic clock; `context` is gRPC's.
    """

    tenant_id: TenantId
    credential_id: CredentialId
    permissions: frozenset[str]
    method: str
    number: int
    deadline: float
    # gRPC ends the call at the deadline that the client sent, if that is not too far away.
    is_timed_by_client: bool = False
    # Its time was up, so it was ended here.
    is_overdue: bool = False
    context: Any = None
    trailers: dict[str, str] = field(default_factory=dict)
    # The refusal of the request by the rules of its proto; see `refuse_all_faults`.
    refusal: InvalidArgument | None = None

    @property
    def call_id(self) -> str:
        """Return what the log calls the call: the process by chance, the call by its number."""
        return f"{PROCESS}-{self.number:x}"

    @property
    def seconds_left(self) -> float:
        """The time until the deadline in seconds, at least a hundredth of a second."""
        return max(0.01, self.deadline - time.monotonic())

    def refuse_invalid(self) -> None:
        """Raise the refusal of the request by the rules of its proto, if there is one."""
        if self.refusal is not None:
            raise self.refusal

    def announce_replay(self) -> None:
        """Tell the client that the answer was given before."""
        self.announce("usage-replayed", "true")

    def announce(self, key: str, value: str) -> None:
        """Tell the client something beside the answer."""
        self.trailers[key] = value
        if self.context is not None:
            # gRPC keeps what was set last, so all of it is set every time.
            self.context.set_trailing_metadata(tuple(self.trailers.items()))


log = structlog.get_logger("calls")

NOBODY = Caller(
    tenant_id=TenantId(UUID(int=0)),
    credential_id=CredentialId(UUID(int=0)),
    permissions=frozenset(),
    method="",
    number=0,
    deadline=0.0,
)

_current: ContextVar[Caller] = ContextVar("caller", default=NOBODY)


def caller() -> Caller:
    """The caller of the call under way; asyncio gives every call a context of its own."""
    return _current.get()


def begin(call: Caller) -> None:
    """Make `call` the one under way."""
    _current.set(call)


async def refuse_all_faults(
    refusal: InvalidArgument, function: Callable[..., Awaitable[Any]], request: Any, context: Any
) -> NoReturn:
    """Refuse a request that breaks a rule of its proto, with all its other faults.

    The method reads the request all the same, so that the refusal names every fault of it, those
    that only reading finds too. The method stops where it would begin its work
    (`server.api.transactions`), and whatever else goes wrong in it is no fault of its own. Raises
    InvalidArgument.
    """
    violations = refusal.violations
    if refusal.reason == "TOO_MANY_ITEMS":
        # Reading millions of items to name their faults would hold up everybody.
        raise refusal
    try:
        await function(request, context)
    except InvalidArgument as error:
        named = tuple(one.field for one in violations)
        violations += tuple(one for one in error.violations if not _is_told(one.field, named))
    except Exception as error:
        # It was read with values that the rules refuse, so this is the caller's fault too.
        log.debug("invalid_request", error=type(error).__name__)
    whole = InvalidArgument.of(violations)
    whole.facts |= refusal.facts
    raise whole


def _is_told(field: str, named: tuple[str, ...]) -> bool:
    """Return whether a fault of the field itself, or of the message around it, is named."""
    return any(field == one or field.startswith((f"{one}.", f"{one}[")) for one in named)
