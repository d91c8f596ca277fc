"""Answers in the form in which they are sent, kept by what was asked.

Single answers are kept by the question and the days they hold on, whole ones by the request.
"""

from bisect import bisect_right
from collections.abc import Hashable
from datetime import date

from server.domain.calendar import Days

# The answers to one question in the order of their days: from which, until before which, and what.
_Line = tuple[list[date], list[date], list[bytes]]


class AnswerCache:
    """At most so many answers, and so many bytes of them; with one more it begins anew."""

    __slots__ = ("_bytes", "_count", "_lines", "most", "most_bytes")

    def __init__(self, most: int = 20_000, most_bytes: int = 32 * 1024 * 1024) -> None:
        self.most, self.most_bytes = most, most_bytes
        self._lines: dict[Hashable, _Line] = {}
        self._count = self._bytes = 0

    def __len__(self) -> int:
        return self._count

    def on(self, asked: Hashable, day: date) -> bytes | None:
        """The answer to a question on a day, if it is kept; hot."""
        line = self._lines.get(asked)
        if line is None:
            return None
        starts, ends, found = line
        index = bisect_right(starts, day) - 1
        return found[index] if index >= 0 and day < ends[index] else None

    def keep(self, asked: Hashable, days: Days, answer: bytes) -> None:
        """Keep the answer to a question on these days, on none of which there is another."""
        if self._count >= self.most or self._bytes + len(answer) > self.most_bytes:
            self._lines.clear()
            self._count = self._bytes = 0
        starts, ends, found = self._lines.setdefault(asked, ([], [], []))
        index = bisect_right(starts, days.start)
        starts.insert(index, days.start)
        ends.insert(index, days.end)
        found.insert(index, answer)
        self._count += 1
        self._bytes += len(answer)


class ResponseCache:
    """Responses by the bytes of their requests; bounded like `AnswerCache`."""

    __slots__ = ("_bytes", "_found", "most", "most_bytes")

    def __init__(self, most: int = 5_000, most_bytes: int = 8 * 1024 * 1024) -> None:
        self.most, self.most_bytes = most, most_bytes
        self._found: dict[bytes, bytes] = {}
        self._bytes = 0

    def of(self, request: bytes) -> bytes | None:
        """Return the response to a request, if it is kept; hot."""
        return self._found.get(request)

    def keep(self, request: bytes, response: bytes) -> None:
        """Keep the response to a request, unless there is one."""
        if request in self._found:
            return
        size = len(request) + len(response)
        if len(self._found) >= self.most or self._bytes + size > self.most_bytes:
            self._found.clear()
            self._bytes = 0
        self._found[request] = response
        self._bytes += size
