"""All items of a list, whatever its pages."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from google.protobuf.message import Message

_Request = TypeVar("_Request", bound=Message)


async def pages(
    method: Callable[[_Request], Awaitable[Any]], request: _Request
) -> AsyncIterator[Any]:
    """Every item of a list method, asked for page by page: `pages(client.wallets.ListWallets, …)`.

    `request` may set `page_size` and is not changed. Raises what the method raises.
    """
    asked: Any = type(request)()
    asked.CopyFrom(request)
    while True:
        answer = await method(asked)
        for item in getattr(answer, _items(answer)):
            yield item
        if not answer.next_page_token:
            return
        asked.page_token = answer.next_page_token


def _items(answer: Message) -> str:
    names = [field.name for field in answer.DESCRIPTOR.fields if field.message_type is not None]
    assert len(names) == 1, f"{answer.DESCRIPTOR.name} is not a page"
    return names[0]
