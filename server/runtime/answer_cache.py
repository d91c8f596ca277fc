"""Caches of discovery answers: rendered terms, answers by question, responses by request.

Each belongs to one snapshot of a tenant's rates and goes with it. A cache that is full begins anew:
which entries are asked for next is unknown, and to find the oldest would cost more than to answer.
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

# The answers to one question in the order of their days: starts, ends (exclusive), answers.
_Line = tuple[list[date], list[date], list[bytes]]


class _Bounds:
    """A bound in entries and one in bytes, and what is used of both."""

    __slots__ = ("__weakref__", "_name", "bytes", "entries", "most", "most_bytes")

    def __init__(self, name: str, most: int, most_bytes: int) -> None:
        self._name, self.most, self.most_bytes = name, most, most_bytes
        self.entries = self.bytes = 0
        register(self)

    @property
    def state(self) -> CacheState:
        """What is used, and the bounds."""
        return CacheState(self._name, self.entries, self.most, self.most_bytes)

    def has_room(self, size: int) -> bool:
        """Return whether one more entry of `size` bytes fits."""
        return self.entries < self.most and self.bytes + size <= self.most_bytes

    def add(self, size: int) -> None:
        """Count one more entry."""
        self.entries += 1
        self.bytes += size

    def reset(self) -> None:
        """Count from nothing again."""
        self.entries = self.bytes = 0


class SizedCache(Generic[K, V]):
    """Values by key, bounded in number and bytes."""

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
        """Keep a value that takes `size` bytes with its key, unless there is one."""
        if key in self._values:
            return
        if not self._bounds.has_room(size):
            self.clear()
        self._values[key] = value
        self._bounds.add(size)

    def clear(self) -> None:
        """Forget everything."""
        self._values.clear()
        self._bounds.reset()


class AnswerCache:
    """Answers by question and the days on which they hold."""

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
        starts, ends, found = line
        index = bisect_right(starts, day) - 1
        return found[index] if index >= 0 and day < ends[index] else None

    def keep(self, question: Hashable, days: Days, answer: bytes, key_bytes: int = 0) -> None:
        """Keep the answer to a question on these days, on none of which there is another."""
        size = len(answer) + key_bytes
        if not self._bounds.has_room(size):
            self._lines.clear()
            self._bounds.reset()
        starts, ends, found = self._lines.setdefault(question, ([], [], []))
        index = bisect_right(starts, days.start)
        starts.insert(index, days.start)
        ends.insert(index, days.end)
        found.insert(index, answer)
        self._bounds.add(size)


class ResponseCache:
    """Responses by the bytes of their requests.

    A response has a revision token, so it is good for the secrets that sealed it and no others.
    """

    __slots__ = ("_found", "_secrets")

    def __init__(self, most: int = 5_000, most_bytes: int = 8 * MEBIBYTE) -> None:
        self._found: SizedCache[bytes, bytes] = SizedCache(
            "discovery.responses", most=most, most_bytes=most_bytes
        )
        self._secrets: tuple[bytes, ...] = ()

    def of(self, request: bytes, secrets: tuple[bytes, ...]) -> bytes | None:
        """Return the response to a request, if it is cached; hot."""
        found = self._found.get(request)
        return None if found is None or secrets != self._secrets else found

    def keep(self, request: bytes, response: bytes, secrets: tuple[bytes, ...]) -> None:
        """Keep the response to a request, unless there is one."""
        if secrets != self._secrets:
            self._found.clear()
            self._secrets = secrets
        self._found.put(request, response, len(request) + len(response))
