"""The parts of a batch, each in a transaction of its own."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TypeVar

from server.domain.errors import UsageError
from server.domain.ids import AccountId

R = TypeVar("R")


def parts_of(
    items: Sequence[R | UsageError], account_of: Callable[[R], AccountId], accounts: int
) -> list[dict[int, R | UsageError]]:
    """Return the items, by index, in parts of at most `accounts` accounts each.

    Refused items are in the first part. If a part fails, the parts before it stay stored; the whole
    request can be repeated.
    """
    of_item = {n: account_of(one) for n, one in enumerate(items) if not isinstance(one, UsageError)}
    part_of = {account: n // accounts for n, account in enumerate(sorted({*of_item.values()}))}
    found: defaultdict[int, dict[int, R | UsageError]] = defaultdict(dict)
    for index, item in enumerate(items):
        found[part_of[of_item[index]] if index in of_item else 0][index] = item
    return [found[part] for part in sorted(found)]
