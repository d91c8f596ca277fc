"""The servicer of AccountService."""

from typing import Any

from google.protobuf.empty_pb2 import Empty
from usage_management.v1 import account_service_pb2 as pb
from usage_management.v1 import account_service_pb2_grpc as rpc

from server.api import names
from server.api.mapping.selling.accounts import (
    account_to_pb,
    binding_target_to_pb,
    create_account_from_pb,
    create_binding_target_from_pb,
    created_from_pb,
    delete_binding_target_from_pb,
    update_account_from_pb,
    update_binding_target_from_pb,
)
from server.api.reader import named
from server.api.transactions import of_account, run_list, run_mutation, run_query
from server.env import Env
from server.store.selling import accounts as store
from server.store.selling import binding_targets
from server.usecases.selling import accounts


class AccountService(rpc.AccountServiceServicer):
    """Manages accounts and binding targets."""

    def __init__(self, env: Env) -> None:
        self._env = env

    async def GetAccount(self, request: pb.GetAccountRequest, context: Any) -> pb.Account:
        (account_id,) = named(request, "name", names.ACCOUNT)
        return account_to_pb(await run_query(self._env, lambda tx: store.get(tx, account_id)))

    async def ListAccounts(
        self, request: pb.ListAccountsRequest, context: Any
    ) -> pb.ListAccountsResponse:
        created = created_from_pb(request)
        messages, token = await run_list(
            self._env,
            request,
            lambda tx, page: store.list_accounts(
                tx, after=page.after, limit=page.limit, created=created
            ),
            lambda account: (account.content.id,),
            account_to_pb,
            shape=(str,),
        )
        return pb.ListAccountsResponse(accounts=messages, next_page_token=token)

    async def CreateAccount(self, request: pb.CreateAccountRequest, context: Any) -> pb.Account:
        account = create_account_from_pb(request)
        return await run_mutation(
            self._env,
            request,
            pb.Account,
            lambda tx: accounts.create(tx, account),
            account_to_pb,
        )

    async def UpdateAccount(self, request: pb.UpdateAccountRequest, context: Any) -> pb.Account:
        command = update_account_from_pb(request)
        return await run_mutation(
            self._env,
            request,
            pb.Account,
            lambda tx: accounts.update(tx, command),
            account_to_pb,
        )

    async def GetBindingTarget(
        self, request: pb.GetBindingTargetRequest, context: Any
    ) -> pb.BindingTarget:
        account_id, target_id = named(request, "name", names.BINDING_TARGET)
        target = await run_query(
            self._env, lambda tx: binding_targets.get(tx, account_id, target_id)
        )
        return binding_target_to_pb(account_id, target)

    async def ListBindingTargets(
        self, request: pb.ListBindingTargetsRequest, context: Any
    ) -> pb.ListBindingTargetsResponse:
        (account_id,) = named(request, "parent", names.ACCOUNT)
        messages, token = await run_list(
            self._env,
            request,
            of_account(
                account_id,
                lambda tx, page: accounts.list_binding_targets(
                    tx, account_id, after=page.after, limit=page.limit
                ),
            ),
            lambda target: (target.id,),
            lambda target: binding_target_to_pb(account_id, target),
            shape=(str,),
        )
        return pb.ListBindingTargetsResponse(binding_targets=messages, next_page_token=token)

    async def UpdateBindingTarget(
        self, request: pb.UpdateBindingTargetRequest, context: Any
    ) -> pb.BindingTarget:
        command = update_binding_target_from_pb(request)
        return await run_mutation(
            self._env,
            request,
            pb.BindingTarget,
            lambda tx: accounts.update_binding_target(tx, command),
            lambda target: binding_target_to_pb(command.account_id, target),
        )

    async def DeleteBindingTarget(
        self, request: pb.DeleteBindingTargetRequest, context: Any
    ) -> Empty:
        account_id, target_id, revision = delete_binding_target_from_pb(request)
        return await run_mutation(
            self._env,
            request,
            Empty,
            lambda tx: accounts.delete_binding_target(tx, account_id, target_id, revision),
            lambda _: Empty(),
        )

    async def CreateBindingTarget(
        self, request: pb.CreateBindingTargetRequest, context: Any
    ) -> pb.BindingTarget:
        account_id, new = create_binding_target_from_pb(request)
        return await run_mutation(
            self._env,
            request,
            pb.BindingTarget,
            lambda tx: accounts.create_binding_target(tx, account_id, new),
            lambda target: binding_target_to_pb(account_id, target),
        )
