"""Database errors as refusals: by constraint where one is expected, else by error class."""

import asyncpg

from server import metrics
from server.domain.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    Unavailable,
    UsageError,
)
from server.store.transaction import store_full, too_late

# Constraints that a concurrent change may violate after a check has passed.
EXPECTED: dict[str, UsageError] = {
    "rates_do_not_overlap": FailedPrecondition(
        "RATE_OVERLAP", "another active entry of this card covers some of these days"
    ),
    "stretches_do_not_overlap": FailedPrecondition(
        "EFFECTIVITY_OVERLAP", "the product has the resource on some of these days already"
    ),
    "rate_card_type_taken": AlreadyExists(
        "RATE_CARD_TYPE_TAKEN", "the price book has a card of this type"
    ),
    "one_order_a_quote": FailedPrecondition("QUOTE_STATE", "an order was made of this quote"),
    "one_commitment_a_span": FailedPrecondition(
        "COMMITMENT_DUPLICATE", "the anchor has a commitment for exactly these days already"
    ),
    "one_version_of_a_rank": FailedPrecondition(
        "EFFECTIVITY_OVERLAP", "another active version of this rank has some of these days"
    ),
    "one_run_at_a_time": Aborted("RUN_IN_PROGRESS", "a run of this kind is under way"),
}
FULL = (asyncpg.DiskFullError, asyncpg.OutOfMemoryError)
VALUES = (asyncpg.DataError, asyncpg.NotNullViolationError, asyncpg.CheckViolationError)
GONE = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, ConnectionError)


def refusal_of_fault(error: Exception) -> UsageError | None:
    """Return the refusal for an exception; None if it is a fault of the service."""
    if isinstance(error, UsageError):
        return error
    constraint = getattr(error, "constraint_name", None)
    if constraint in EXPECTED:
        return EXPECTED[constraint]
    if isinstance(error, asyncpg.UniqueViolationError):
        # Another transaction created the same record after this one had checked for it.
        return Aborted(
            "CONCURRENT_CHANGE", "another call created the same record; try the call again"
        )
    if isinstance(error, asyncpg.ForeignKeyViolationError):
        # After the check, a referenced record was deleted, or a deleted one got a reference.
        return Aborted(
            "CONCURRENT_CHANGE", "a record that this refers to changed; try the call again"
        )
    if isinstance(error, VALUES):
        # Counted, because validation should have refused the value before.
        metrics.MISSED.inc()
        return InvalidArgument("VALUE_REFUSED", "a value is outside what the store can hold")
    if isinstance(error, FULL):
        return store_full()
    if isinstance(error, TimeoutError | asyncpg.QueryCanceledError):
        return too_late()
    if isinstance(error, GONE):
        return Unavailable("STORE_UNAVAILABLE", "the store cannot be reached; try the call again")
    return None
