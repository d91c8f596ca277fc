"""All refusals of this service.

    UsageError
    ├── InvalidArgument       wrong in any state: correct the request
    ├── Unauthenticated       unknown caller
    ├── PermissionDenied      known caller without the permission
    ├── NotFound              no such name
    ├── AlreadyExists         the id or key is taken
    ├── FailedPrecondition    right request, wrong state
    ├── Aborted               a concurrent change was first: read again, retry
    ├── OutOfRange            past the end of a readable range
    ├── ResourceExhausted     a limit: send less, or wait
    ├── Unavailable           a fault of the service: retry
    ├── DeadlineExceeded      the result did not come in the given time
    └── Unimplemented         not supported yet

A refusal has a `reason` from `ErrorDetails.Reason` in `errors.proto`, a sentence, and the facts in
that sentence. It is independent of gRPC; `server.api.errors` gives each group its status code.
Reasons that need no behavior of their own are passed to the group:
`FailedPrecondition("ORDER_NOT_DRAFT", "…")`.
"""

from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Violation:
    """One wrong field: its path in the request, the reason, a sentence."""

    field: str
    reason: str
    description: str


@dataclass(frozen=True, slots=True)
class Subject:
    """The object of a refusal: its kind (`Wallet`) and the name that the caller used."""

    kind: str
    name: str


# A generated `__eq__` would make the exception unhashable.
@dataclass(eq=False)
class UsageError(Exception):
    """A refusal. `facts` has every variable part of `message`, as text."""

    reason: str
    message: str
    facts: dict[str, str] = field(default_factory=dict)
    violations: tuple[Violation, ...] = ()
    subject: Subject | None = None
    retry_after_seconds: float | None = None

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[object, ...]:
        # An exception is pickled by its `args`, which a dataclass does not set. Refusals cross
        # process boundaries.
        return _restored, (type(self), {one.name: getattr(self, one.name) for one in fields(self)})


def _restored(kind: type[UsageError], values: dict[str, Any]) -> UsageError:
    """Return a refusal that another process made."""
    return kind(**values)


class InvalidArgument(UsageError):
    """The request is wrong in any state."""

    @classmethod
    def at(cls, path: str, reason: str, description: str, **facts: str) -> "InvalidArgument":
        """Return the refusal of one field; the message names it."""
        violation = Violation(path, reason, description)
        message = f"{path}: {description}" if path else description
        return cls(reason, message, {"field": path, **facts}, (violation,))

    @classmethod
    def of(cls, violations: "tuple[Violation, ...]") -> "InvalidArgument":
        """Return the refusal of several fields; the first one gives the reason."""
        first = violations[0]
        more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
        message = f"{first.field}: {first.description}{more}"
        return cls(first.reason, message, {"field": first.field}, violations)


class Unauthenticated(UsageError):
    """The caller is not known."""


class PermissionDenied(UsageError):
    """The caller is known and may not do this."""


class NotFound(UsageError):
    """No object has that name, or it belongs to another tenant."""

    @classmethod
    def of(cls, kind: str, name: str) -> "NotFound":
        """Return the refusal for `kind`, the message name of the resource, as in `Wallet`."""
        reason = "".join(f"_{c}" if c.isupper() and i else c for i, c in enumerate(kind)).upper()
        return cls(
            f"{reason}_NOT_FOUND",
            f"no {kind} named {name}",
            {"name": name},
            subject=Subject(kind, name),
        )


class AlreadyExists(UsageError):
    """The id or key is taken."""


class FailedPrecondition(UsageError):
    """The request would be right in another state."""


class Aborted(UsageError):
    """A concurrent change was first; the whole unit may be retried."""


class OutOfRange(UsageError):
    """Past the end of a readable range."""


class ResourceExhausted(UsageError):
    """A limit of `limits.py` is reached."""


class Unavailable(UsageError):
    """A fault of the service; the call may be retried."""


class DeadlineExceeded(UsageError):
    """The result did not come in the time that the caller gave."""


class Unimplemented(UsageError):
    """The contract allows this, and the service does not support it; the message says why."""
