"""What a servicer method does with a use case: run it in a transaction of the caller's tenant.

A change that carries a `request_id` is done once: its answer is kept with its effect, and a repeat
is given that answer. One that carries `validate_only` is done and taken back. What may change a
rate answers with the revision it made, for whoever asks what something costs now.
"""

from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import TypeVar

from google.protobuf.message import Message

from server.api import pages, revisions
from server.api.answers import MAX_ANSWER_BYTES, answer_too_large
from server.api.calls import Caller, caller
from server.api.pages import Page
from server.api.reader import fields_of
from server.domain.errors import InvalidArgument
from server.domain.ids import CODE, REQUEST_ID, AccountId, TenantId
from server.env import Env
from server.store import requests
from server.store.connection import ControlTransaction, Transaction
from server.store.rating.rate_snapshots import revision
from server.store.requests import Request
from server.store.selling import accounts
from server.store.transaction import read, read_control, transact

__all__ = [
    "Caller",
    "caller",
    "list_loaded_rows",
    "of_account",
    "run_control_query",
    "run_list",
    "run_mutation",
    "run_query",
]

R = TypeVar("R")
M = TypeVar("M", bound=Message)
Rows = Callable[[Transaction, Page], Awaitable[Sequence[R]]]

# Where a request says which account it is about, all of the form `accounts/{account}/…`.
ACCOUNT_FIELDS = ("parent", "name", "quote")


class _TakeBackError(Exception):
    """Ends a transaction whose effects are not wanted."""


async def run_query(
    env: Env, work: Callable[[Transaction], Awaitable[R]], *, snapshot: bool = False
) -> R:
    """Run a use case that changes nothing; with `snapshot` it sees one moment throughout."""
    call = caller()
    call.refuse_invalid()
    seconds = call.seconds_left
    return await read(env.pool, call.tenant_id, work, seconds=seconds, snapshot=snapshot)


async def run_control_query(env: Env, work: Callable[[ControlTransaction], Awaitable[R]]) -> R:
    """Run a query that is of no tenant."""
    call = caller()
    call.refuse_invalid()
    return await read_control(env.pool, work, seconds=call.seconds_left)


async def run_list(
    env: Env,
    request: Message,
    rows: Rows[R],
    key: Callable[[R], tuple[object, ...]],
    render: Callable[[R], M],
    *,
    shape: pages.Shape,
) -> tuple[list[M], str]:
    """The page that a list request asks for, as messages, and the token of the next page.

    `rows` finds what comes after `page.after`, the `key` of the last row seen, whose parts have the
    types of `shape`. Raises PAGE_SIZE_INVALID, PAGE_TOKEN_INVALID.
    """
    page = pages.read(request, caller().tenant_id, env.seal, shape)
    filling = pages.PageFilling(page, key, render, env.seal)
    while (part := filling.part) is not None:
        filling.add(await run_query(env, _reading(rows, part)))
    return filling.messages, filling.token


def list_loaded_rows(
    env: Env, request: Message, rows: Sequence[R], render: Callable[[R], M]
) -> tuple[list[M], str]:
    """Return the page that a list request asks for, of rows that are loaded already."""
    page = pages.read(request, caller().tenant_id, env.seal, (int,))
    start = page.after[0] if page.after else 0
    numbered = list(enumerate(rows, 1))[start : start + page.limit]
    return pages.cut(page, numbered, lambda row: (row[0],), lambda row: render(row[1]), env.seal)


def _reading(rows: Rows[R], part: Page) -> Callable[[Transaction], Awaitable[Sequence[R]]]:
    return lambda tx: rows(tx, part)


def of_account(account_id: AccountId, rows: Rows[R]) -> Rows[R]:
    """Return `rows` such that an empty list is an answer only if there is such an account.

    Raises ACCOUNT_NOT_FOUND.
    """

    async def find(tx: Transaction, page: Page) -> Sequence[R]:
        found = await rows(tx, page)
        if not found:
            await accounts.get(tx, account_id)
        return found

    return find


async def run_mutation(
    env: Env,
    request: Message,
    answer: type[M],
    work: Callable[[Transaction], Awaitable[R]],
    render: Callable[[R], M],
    *,
    tenant_id: TenantId | None = None,
) -> M:
    """Run a use case in one transaction and answer with what `render` makes of its result.

    `tenant_id` is another tenant than the caller's; only operators' methods may say so.
    Raises REQUEST_ID_FORMAT, REQUEST_ID_CONFLICT, ANSWER_TOO_LARGE, what `transact` raises and what
    `work` raises.
    """
    call = caller()
    call.refuse_invalid()
    tenant = call.tenant_id if tenant_id is None else tenant_id
    key = _key(request, tenant, call.method)
    is_dry = getattr(request, "validate_only", False)
    previewed: list[M] = []

    async def noted(tx: Transaction, message: M) -> tuple[M, int | None]:
        # Read last: a revision of this very change, or of all that was committed before.
        is_noted = revisions.is_noted(call.method)
        return message, await revision(tx) if is_noted else None

    async def find(tx: Transaction) -> tuple[M, int | None] | None:
        known = None if key is None else await requests.find(tx, key)
        if known is None:
            return None
        call.announce_replay()
        return await noted(tx, answer.FromString(known))

    async def do(tx: Transaction) -> tuple[M, int | None]:
        if key is not None:
            await requests.lock(tx, key)
            known = await find(tx)
            if known is not None:
                return known
        message = render(await work(tx))
        data = message.SerializeToString(deterministic=key is not None)
        if len(data) > MAX_ANSWER_BYTES:
            raise answer_too_large(len(data))
        if is_dry:
            previewed.append(message)
            raise _TakeBackError
        if key is not None:
            await requests.keep(tx, key, data)
        return await noted(tx, message)

    resolve = None if key is None else find
    try:
        result, made = await transact(
            env.pool,
            tenant,
            do,
            credential_id=call.credential_id,
            seconds=call.seconds_left,
            resolve=resolve,
        )
    except _TakeBackError:
        return previewed[-1]
    if made is not None:
        call.announce(revisions.METADATA_KEY, revisions.token_of(env.seal, tenant, made))
    env.job_signal.ring()
    return result


def _key(request: Message, tenant_id: TenantId, method: str) -> Request | None:
    request_id: str = getattr(request, "request_id", "")
    if not request_id or getattr(request, "validate_only", False):
        return None
    if REQUEST_ID.fullmatch(request_id) is None:
        raise InvalidArgument.at(
            "request_id", "REQUEST_ID_FORMAT", "must match [A-Za-z0-9._:-]{8,128}"
        )
    fields = {name: _digest(text) for name, text in fields_of(request).items()}
    whole = "\n".join(f"{name}={text}" for name, text in sorted(fields.items()))
    return Request(
        tenant_id=tenant_id,
        account_id=_account_of(request),
        request_id=request_id,
        method=method,
        fingerprint=sha256(whole.encode()).digest(),
        fields=fields,
    )


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:32]


def _account_of(request: Message) -> AccountId:
    """The account a request is about; empty for one about none."""
    for name in ACCOUNT_FIELDS:
        collection, _, rest = getattr(request, name, "").partition("/")
        account_id = rest.partition("/")[0]
        if collection == "accounts" and CODE.fullmatch(account_id):
            return AccountId(account_id)
    return AccountId("")
