"""AccountService: parse, do, render."""

from typing import Any

from usage.v1 import account_service_pb2 as pb
from usage.v1 import account_service_pb2_grpc as rpc

from server.api import names, pages
from server.api.forms import Form
from server.api.mapping.accounts import (
    account_to_pb,
    create_account_from_pb,
    update_account_from_pb,
)
from server.api.work import caller, change, look
from server.env import Env
from server.store import accounts as store
from server.usecases import accounts


class AccountService(rpc.AccountServiceServicer):
    """Keeps the accounts of a tenant."""

    def __init__(self, env: Env) -> None:
        self._env = env

    async def GetAccount(self, request: pb.GetAccountRequest, context: Any) -> pb.Account:
        form = Form(request)
        (account_id,) = form.name("name", names.ACCOUNT)
        form.done()
        tenant_id = caller().tenant_id
        return account_to_pb(await look(self._env, lambda tx: store.get(tx, tenant_id, account_id)))

    async def ListAccounts(
        self, request: pb.ListAccountsRequest, context: Any
    ) -> pb.ListAccountsResponse:
        tenant_id = caller().tenant_id
        page = pages.read(request, tenant_id)
        rows = await look(
            self._env,
            lambda tx: store.list_accounts(tx, tenant_id, after=page.after, limit=page.limit),
        )
        kept, token = pages.cut(page, rows, lambda account: (account.content.id,))
        return pb.ListAccountsResponse(
            accounts=[account_to_pb(account) for account in kept], next_page_token=token
        )

    async def CreateAccount(self, request: pb.CreateAccountRequest, context: Any) -> pb.Account:
        wanted = create_account_from_pb(request)
        tenant_id = caller().tenant_id
        return await change(
            self._env,
            request,
            pb.Account,
            lambda tx: accounts.create(tx, tenant_id, wanted),
            account_to_pb,
        )

    async def UpdateAccount(self, request: pb.UpdateAccountRequest, context: Any) -> pb.Account:
        command = update_account_from_pb(request)
        tenant_id = caller().tenant_id
        return await change(
            self._env,
            request,
            pb.Account,
            lambda tx: accounts.update(tx, tenant_id, command),
            account_to_pb,
        )
