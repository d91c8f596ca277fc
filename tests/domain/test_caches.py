"""Caches: what they return, and what they hold at most."""

from server.domain.caches import BYTES_A_CHARACTER, BoundedCache, caches, memoize, memoize_texts


def state_of(name: str) -> tuple[int, int, int]:
    """The entries and bounds of the cache whose name ends so."""
    [state] = [state for state in caches() if state.name.endswith(name)]
    return state.entries, state.most_entries, state.most_bytes


def test_a_memoized_function_computes_once_and_keeps_so_many():
    computed = []

    @memoize(entries=2, entry_bytes=100)
    def twice(number: int) -> int:
        computed.append(number)
        return 2 * number

    assert [twice(n) for n in (1, 1, 2, 3, 1)] == [2, 2, 4, 6, 2]
    assert computed == [1, 2, 3, 1]
    assert state_of("keeps_so_many.<locals>.twice") == (2, 2, 200)


def test_texts_are_cached_up_to_a_number_and_to_a_size():
    computed = []

    @memoize_texts(entries=3, most_bytes=3_000)
    def length(_key: int, text: str | None) -> int:
        computed.append(text)
        return len(text or "")

    assert [length(1, text) for text in ("a", "a", None, "b")] == [1, 1, 0, 1]
    assert (computed, state_of(".length")[0]) == (["a", None, "b"], 3)
    # One more begins anew; one that is larger than everything is computed each time.
    assert [length(1, text) for text in ("c", "c")] == [1, 1]
    assert state_of(".length")[0] == 1
    large = "x" * (3_000 // BYTES_A_CHARACTER)
    assert [length(1, large), length(1, large)] == [len(large)] * 2
    assert computed[3:] == ["c", large, large]


def test_a_bounded_cache_keeps_the_newest():
    cache: BoundedCache[str, int] = BoundedCache("tests.newest", entries=2, entry_bytes=10)

    for number, key in enumerate("abc"):
        cache.put(key, number)
    cache.pop("b")

    assert [cache.get(key) for key in "abc"] == [None, None, 2]
    assert state_of("tests.newest") == (1, 2, 20)
