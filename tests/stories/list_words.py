"""Short words for lists: all names of one, whatever its pages, and what it refuses."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from clients import UsageError
from clients.pages import pages


@dataclass(frozen=True)
class Listing:
    """A list method, and its requests of one parent."""

    method: Callable[[Any], Awaitable[Any]]
    request: Callable[..., Any]
    parent: str = ""

    async def names(self, **only: Any) -> list[str]:
        """Names of what passes the filters, which are the same in one page and in many."""
        whole = [item.name async for item in pages(self.method, self._request(**only))]
        asked = self._request(page_size=1, **only)
        assert [item.name async for item in pages(self.method, asked)] == whole
        return whole

    async def refuses_other_filters_for_its_token(self, *filters: dict[str, Any]) -> None:
        """A page that goes on is asked for with the filters of the page before, or refused."""
        for only in filters:
            first = await self.method(self._request(page_size=1, **only))
            assert first.next_page_token, only
            for other in filters:
                if other != only:
                    token = first.next_page_token
                    wrong = await self.refusal(page_size=1, page_token=token, **other)
                    assert wrong.reason == "PAGE_TOKEN_INVALID"

    async def refusal(self, **only: Any) -> UsageError:
        """Return the refusal of a request."""
        with pytest.raises(UsageError) as refused:
            await self.method(self._request(**only))
        return refused.value

    async def faults(self, **only: Any) -> list[tuple[str, str]]:
        """The fields that are wrong in a request, and why."""
        refused = await self.refusal(**only)
        return [(one.field, one.reason) for one in refused.violations]

    def _request(self, **fields: Any) -> Any:
        return self.request(**({"parent": self.parent} if self.parent else {}), **fields)
