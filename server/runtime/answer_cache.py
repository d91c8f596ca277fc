"""Caches of discovery answers: rendered terms, answers by question, responses by request.

Each belongs to one snapshot of a tenant's rates and is dropped with it. A full cache is emptied:
the next requests are unknown, and finding the oldest entry would cost more than answering again.
"""

from bisect import bisect_right
from collections.abc import Hashable
from datetime import date
from typing import Generic, TypeVar

from server.domain.caches import CacheState, register
from server.domain.calendar import Days

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
MEBIBYTE = 1024 * 1024

# The answers to one question by day: starts, exclusive ends, answers. Sorted, for bisection.
_Line = tuple[list[date], list[date], list[bytes]]


class _Bounds:
    """The limits of a cache in entries and bytes, and its current size."""

    # The metrics hold weak references to caches, so that snapshots can be freed.
    __slots__ = ("__weakref__", "_name", "bytes", "entries", "most", "most_bytes")

    def __init__(self, name: str, most: int, most_bytes: int) -> None:
        self._name, self.most, self.most_bytes = name, most, most_bytes
        self.entries = self.bytes = 0
        register(self)

    @property
    def state(self) -> CacheState:
        """The current size and the limits."""
        return CacheState(self._name, self.entries, self.most, self.most_bytes)

    def has_room(self, size: int) -> bool:
        """Return True if one more entry of `size` bytes fits."""
        return self.entries < self.most and self.bytes + size <= self.most_bytes

    def add(self, size: int) -> None:
        """Count one more entry."""
        self.entries += 1
        self.bytes += size

    def reset(self) -> None:
        """Set the size to zero."""
        self.entries = self.bytes = 0


class SizedCache(Generic[K, V]):
    """A cache with a limit in entries and in bytes."""

    __slots__ = ("_bounds", "_values")

    def __init__(self, name: str, *, most: int, most_bytes: int) -> None:
        self._bounds = _Bounds(name, most, most_bytes)
        self._values: dict[K, V] = {}

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: K) -> V | None:
        """Return the value of a key, if there is one; hot."""
        return self._values.get(key)

    def put(self, key: K, value: V, size: int) -> None:
        """Store a value that takes `size` bytes with its key, unless the key exists."""
        if key in self._values:
            return
        if not self._bounds.has_room(size):
            self.clear()
        self._values[key] = value
        self._bounds.add(size)

    def clear(self) -> None:
        """Remove all entries."""
        self._values.clear()
        self._bounds.reset()


class AnswerCache:
    """A cache of answers by question and the days on which they are valid."""

    __slots__ = ("_bounds", "_lines")

    def __init__(self, most: int = 20_000, most_bytes: int = 32 * MEBIBYTE) -> None:
        self._bounds = _Bounds("discovery.answers", most, most_bytes)
        self._lines: dict[Hashable, _Line] = {}

    def __len__(self) -> int:
        return self._bounds.entries

    def on(self, question: Hashable, day: date) -> bytes | None:
        """Return the answer to a question on a day, if it is cached; hot."""
        line = self._lines.get(question)
        if line is None:
            return None
        starts, ends, answers = line
        index = bisect_right(starts, day) - 1
        return answers[index] if index >= 0 and day < ends[index] else None

    def keep(self, question: Hashable, days: Days, answer: bytes, key_bytes: int = 0) -> None:
        """Store the answer to a question for these days, which must not overlap stored ones."""
        size = len(answer) + key_bytes
        if not self._bounds.has_room(size):
            self._lines.clear()
            self._bounds.reset()
        starts, ends, answers = self._lines.setdefault(question, ([], [], []))
        index = bisect_right(starts, days.start)
        starts.insert(index, days.start)
        ends.insert(index, days.end)
        answers.insert(index, answer)
        self._bounds.add(size)


class ResponseCache:
    """A cache of responses by the bytes of their requests.

    A response contains a revision token, so it is valid only for the secrets that sealed the token.
    """

    __slots__ = ("_found", "_secrets")

    def __init__(self, most: int = 5_000, most_bytes: int = 8 * MEBIBYTE) -> None:
        self._found: SizedCache[bytes, bytes] = SizedCache(
            "discovery.responses", most=most, most_bytes=most_bytes
        )
        self._secrets: tuple[bytes, ...] = ()

    def of(self, request: bytes, secrets: tuple[bytes, ...]) -> bytes | None:
        """Return the response to a request, if it is cached; hot."""
        response = self._found.get(request)
        return None if response is None or secrets != self._secrets else response

    def keep(self, request: bytes, response: bytes, secrets: tuple[bytes, ...]) -> None:
        """Store the response to a request, unless there is one."""
        if secrets != self._secrets:
            self._found.clear()
            self._secrets = secrets
        self._found.put(request, response, len(request) + len(response))
