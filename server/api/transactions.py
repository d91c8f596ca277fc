"""Runs the use case of a servicer method in a transaction of the caller's tenant.

A change with a `request_id` is done once: its answer is stored with its effect, and a repeat gets
that answer. A change with `validate_only` is done and rolled back. A change that may affect rates
answers with a revision token.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
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
    "run_trial",
]

R = TypeVar("R")
M = TypeVar("M", bound=Message)
Rows = Callable[[Transaction, Page], Awaitable[Sequence[R]]]

# The fields that may name the account of a request, as in `accounts/{account}/…`.
ACCOUNT_FIELDS = ("parent", "name", "quote")


class _DryRunError(Exception):
    """Rolls back a transaction whose effects are not wanted."""


async def run_query(
    env: Env, work: Callable[[Transaction], Awaitable[R]], *, snapshot: bool = False
) -> R:
    """Run a use case that changes nothing; with `snapshot` it reads one moment throughout."""
    call = caller()
    call.refuse_invalid()
    seconds = call.seconds_left
    return await read(env.pool, call.tenant_id, work, seconds=seconds, snapshot=snapshot)


async def run_trial(env: Env, work: Callable[[Transaction], Awaitable[R]]) -> R:
    """Run a use case whose effects only it can see, and roll them back."""
    call = caller()
    call.refuse_invalid()
    found: list[R] = []

    async def do(tx: Transaction) -> None:
        found.append(await work(tx))
        raise _DryRunError

    with suppress(_DryRunError):
        await transact(
            env.pool,
            call.tenant_id,
            do,
            credential_id=call.credential_id,
            seconds=call.seconds_left,
        )
    # The last result, because `work` may have run several times.
    return found[-1]


async def run_control_query(env: Env, work: Callable[[ControlTransaction], Awaitable[R]]) -> R:
    """Run a query of no tenant."""
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
    """Return the messages of the page that a list request asks for, and the next page's token.

    `rows` returns the rows after `page.after`, the `key` of the last row seen, whose parts have the
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
    """Return the page that a list request asks for, of rows that are already loaded."""
    page = pages.read(request, caller().tenant_id, env.seal, (int,))
    start = page.after[0] if page.after else 0
    numbered = list(enumerate(rows, 1))[start : start + page.limit]
    return pages.cut(page, numbered, lambda row: (row[0],), lambda row: render(row[1]), env.seal)


def _reading(rows: Rows[R], part: Page) -> Callable[[Transaction], Awaitable[Sequence[R]]]:
    return lambda tx: rows(tx, part)


def of_account(account_id: AccountId, rows: Rows[R]) -> Rows[R]:
    """Return `rows` with a check of the account if there are none.

    Raises ACCOUNT_NOT_FOUND.
    """

    async def find(tx: Transaction, page: Page) -> Sequence[R]:
        records = await rows(tx, page)
        if not records:
            await accounts.get(tx, account_id)
        return records

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
    """Run a use case in one transaction; return the message that `render` makes of its result.

    `tenant_id` is a tenant other than the caller's, for operators' methods only. Raises
    REQUEST_ID_FORMAT, REQUEST_ID_CONFLICT, ANSWER_TOO_LARGE, and the errors of `transact` and
    `work`.
    """
    call = caller()
    call.refuse_invalid()
    tenant = call.tenant_id if tenant_id is None else tenant_id
    key = _key(request, tenant, call.method)
    is_dry = getattr(request, "validate_only", False)
    previewed: list[M] = []

    async def with_revision(tx: Transaction, message: M) -> tuple[M, int | None]:
        # Read last, so that it is the revision of this change, or the newest committed one.
        is_noted = revisions.is_noted(call.method)
        return message, await revision(tx) if is_noted else None

    async def find(tx: Transaction) -> tuple[M, int | None] | None:
        known = None if key is None else await requests.find(tx, key)
        if known is None:
            return None
        call.announce_replay()
        return await with_revision(tx, answer.FromString(known))

    async def do(tx: Transaction) -> tuple[M, int | None]:
        if key is not None:
            await requests.lock(tx, key)
            known = await find(tx)
            if known is not None:
                return known
        message = render(await work(tx))
        data = message.SerializeToString(deterministic=key is not None)
        # Before the commit, so that a call refused for its answer has no effect.
        if len(data) > MAX_ANSWER_BYTES:
            raise answer_too_large(len(data))
        if is_dry:
            previewed.append(message)
            raise _DryRunError
        if key is not None:
            await requests.keep(tx, key, data)
        return await with_revision(tx, message)

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
    except _DryRunError:
        # The last message, because `work` may have run several times.
        return previewed[-1]
    if made is not None:
        call.announce(revisions.METADATA_KEY, revisions.token_of(env.seal, tenant, made))
    # After the commit, because a worker cannot see the jobs before.
    env.job_signal.notify()
    return result


def _key(request: Message, tenant_id: TenantId, method: str) -> Request | None:
    request_id: str = getattr(request, "request_id", "")
    if not request_id:
        return None
    if REQUEST_ID.fullmatch(request_id) is None:
        raise InvalidArgument.at(
            "request_id", "REQUEST_ID_FORMAT", "must match [A-Za-z0-9._:-]{8,128}"
        )
    # A dry run has no effect that a repeat could duplicate.
    if getattr(request, "validate_only", False):
        return None
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
    """Return the account of a request; empty if it is about none."""
    for name in ACCOUNT_FIELDS:
        field = getattr(request, name, "")
        # `quote` is a name where it is ordered, and a message where it is updated.
        text: str = getattr(field, "name", "") if isinstance(field, Message) else field
        collection, _, rest = text.partition("/")
        account_id = rest.partition("/")[0]
        if collection == "accounts" and CODE.fullmatch(account_id):
            return AccountId(account_id)
    return AccountId("")
