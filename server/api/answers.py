"""The size limits of answers: default gRPC clients read 4 MiB, and pages end well below it."""

from server.domain.errors import ResourceExhausted
from server.domain.limits import value_of

MEBIBYTE = 1024 * 1024
MAX_PAGE_BYTES = MEBIBYTE
MAX_ANSWER_BYTES = value_of("answer.bytes")


def answer_too_large(size: int) -> ResourceExhausted:
    """Return the refusal of an answer of `size` bytes."""
    limit, got = str(MAX_ANSWER_BYTES), str(size)
    return ResourceExhausted(
        "ANSWER_TOO_LARGE",
        f"the answer would have {got} bytes and clients read at most {limit}; nothing was stored,"
        " request less at once",
        {"limit": limit, "got": got},
    )
