"""Caches: each has one owner, bounds in entries and bytes, and a name for its metric.

`memoize` is for pure functions of small arguments. `BoundedCache` is for values that a module adds
and removes itself. Both register themselves, so that `caches()` lists all of them.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from functools import lru_cache, wraps
from threading import Lock
from typing import Any, Generic, ParamSpec, Protocol, TypeVar
from weakref import WeakSet

P = ParamSpec("P")
R = TypeVar("R")
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
# An estimate: decoded values take several times the length of their JSON.
BYTES_A_CHARACTER = 8


@dataclass(frozen=True, slots=True)
class CacheState:
    """The name of a cache, its entries, and its bounds."""

    name: str
    entries: int
    most_entries: int
    most_bytes: int


class Measured(Protocol):
    """A cache that can be measured."""

    @property
    def state(self) -> CacheState:
        """The entries and the bounds."""


# Weak, so that this list does not keep caches alive.
_measured: "WeakSet[Any]" = WeakSet()
# Metrics are read in another thread; a cache added meanwhile would break the iteration.
_lock = Lock()
_memoized: list[Callable[[], CacheState]] = []


def register(cache: Measured) -> None:
    """List a cache until it is garbage-collected."""
    with _lock:
        _measured.add(cache)


def caches() -> Iterator[CacheState]:
    """Return the state of every cache; several of one name are instances of one owner."""
    for state in _memoized:
        yield state()
    with _lock:
        measured = list(_measured)
    for cache in measured:
        yield cache.state


def memoize(*, entries: int, entry_bytes: int) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that caches the results of a pure function.

    It caches at most `entries` results. `entry_bytes` bounds the size of one with its arguments:
    the caller knows it, because the arguments were validated.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        cached = lru_cache(maxsize=entries)(function)
        name = _name_of(function)
        _memoized.append(
            lambda: CacheState(name, cached.cache_info().currsize, entries, entries * entry_bytes)
        )
        return cached  # type: ignore[return-value] # mypy does not see that it takes the same

    return decorate


def memoize_texts(*, entries: int, most_bytes: int) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that caches the results of a function whose last argument is a text.

    Nothing bounds the length of the text, so the bytes of all entries are counted: a result takes
    up to `BYTES_A_CHARACTER` for each character that it was decoded from. A full cache begins anew.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        values: dict[Any, R] = {}
        used = 0
        name = _name_of(function)
        _memoized.append(lambda: CacheState(name, len(values), entries, most_bytes))

        @wraps(function)
        def cached(*args: P.args, **kwargs: P.kwargs) -> R:
            nonlocal used
            assert not kwargs, kwargs
            try:
                return values[args]
            except KeyError:
                pass
            result = function(*args, **kwargs)
            text = args[-1]
            size = BYTES_A_CHARACTER * (len(text) if isinstance(text, str) else 0) + 500
            if len(values) >= entries or used + size > most_bytes:
                values.clear()
                used = 0
            if size <= most_bytes:
                values[args] = result
                used += size
            return result

        return cached

    return decorate


def _name_of(function: Callable[..., object]) -> str:
    return f"{function.__module__.removeprefix('server.')}.{function.__qualname__}"


class BoundedCache(Generic[K, V]):
    """The newest `entries` values by key, none of which takes more than `entry_bytes`."""

    __slots__ = ("__weakref__", "_bytes", "_entries", "_name", "_values", "get")

    def __init__(self, name: str, *, entries: int, entry_bytes: int) -> None:
        self._name, self._entries, self._bytes = name, entries, entries * entry_bytes
        self._values: OrderedDict[K, V] = OrderedDict()
        # Hot: the method of the dictionary itself returns the value of a key, or None.
        self.get: Callable[[K], V | None] = self._values.get
        register(self)

    def __len__(self) -> int:
        return len(self._values)

    @property
    def state(self) -> CacheState:
        """The entries and the bounds."""
        return CacheState(self._name, len(self._values), self._entries, self._bytes)

    def put(self, key: K, value: V) -> None:
        """Add a value as the newest, and remove the oldest if there are too many."""
        self._values[key] = value
        # A value that replaces another becomes the newest, too.
        self._values.move_to_end(key)
        if len(self._values) > self._entries:
            self._values.popitem(last=False)

    def pop(self, key: K) -> None:
        """Remove the value of a key, if there is one."""
        self._values.pop(key, None)
