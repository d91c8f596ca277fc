"""Everything this service can refuse, and why.

    UsageError
    ├── InvalidArgument       wrong whatever the state: correct the request
    ├── Unauthenticated       not known
    ├── PermissionDenied      known, not allowed
    ├── NotFound              nothing by that name
    ├── AlreadyExists         that id or key is taken
    ├── FailedPrecondition    right request, wrong state
    ├── Aborted               someone was quicker: read again, retry
    ├── OutOfRange            past the end of what can be read
    ├── ResourceExhausted     a limit: send less, or wait
    ├── Unavailable           ours to mend: retry
    ├── DeadlineExceeded      what was waited for did not come in the time given
    └── Unimplemented         this service cannot do that yet

A refusal carries a `reason` from `ErrorDetails.Reason` in `errors.proto`, a sentence, and the facts
of that sentence. It knows nothing of gRPC; `server.api.errors` gives each group its code. Reasons
that need no behavior of their own are given to the group:
`FailedPrecondition("ORDER_NOT_DRAFT", "…")`.
"""

from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Violation:
    """One field that is wrong: its path in the request, the reason, a sentence."""

    field: str
    reason: str
    description: str


@dataclass(frozen=True, slots=True)
class Subject:
    """The thing a refusal is about: its kind (`Wallet`) and the name the caller used."""

    kind: str
    name: str


@dataclass(eq=False)
class UsageError(Exception):
    """A refusal. `facts` holds every changing part of `message`, as text."""

    reason: str
    message: str
    facts: dict[str, str] = field(default_factory=dict)
    violations: tuple[Violation, ...] = ()
    subject: Subject | None = None
    retry_after_seconds: float | None = None

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[object, ...]:
        # An exception is pickled by its arguments, of which a dataclass keeps no record.
        return _restored, (type(self), {one.name: getattr(self, one.name) for one in fields(self)})


def _restored(kind: type[UsageError], values: dict[str, Any]) -> UsageError:
    """A refusal that was made in another process."""
    return kind(**values)


class InvalidArgument(UsageError):
    """Wrong whatever the state."""

    @classmethod
    def at(cls, path: str, reason: str, description: str, **facts: str) -> "InvalidArgument":
        """One field is wrong; the message names it."""
        violation = Violation(path, reason, description)
        message = f"{path}: {description}" if path else description
        return cls(reason, message, {"field": path, **facts}, (violation,))

    @classmethod
    def of(cls, violations: "tuple[Violation, ...]") -> "InvalidArgument":
        """Several fields are wrong; the first one gives the reason."""
        first = violations[0]
        more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
        message = f"{first.field}: {first.description}{more}"
        return cls(first.reason, message, {"field": first.field}, violations)


class Unauthenticated(UsageError):
    """The caller is not known."""


class PermissionDenied(UsageError):
    """The caller is known and may not do this."""


class NotFound(UsageError):
    """There is nothing by that name, or it belongs to another tenant."""

    @classmethod
    def of(cls, kind: str, name: str) -> "NotFound":
        """`kind` is the message name of the resource, as in `Wallet`."""
        reason = "".join(f"_{c}" if c.isupper() and i else c for i, c in enumerate(kind)).upper()
        return cls(
            f"{reason}_NOT_FOUND",
            f"no {kind} named {name}",
            {"name": name},
            subject=Subject(kind, name),
        )


class AlreadyExists(UsageError):
    """That id or key is taken."""


class FailedPrecondition(UsageError):
    """The request would be right in another state."""


class Aborted(UsageError):
    """Someone was quicker; the whole unit may be tried again."""


class OutOfRange(UsageError):
    """Past the end of a readable range."""


class ResourceExhausted(UsageError):
    """A limit of `limits.py` is met."""


class Unavailable(UsageError):
    """Ours to mend; the call may be tried again."""


class DeadlineExceeded(UsageError):
    """What was waited for did not come in the time that the caller gave."""


class Unimplemented(UsageError):
    """The contract has a place for this; the service does not do it yet, and says why."""
