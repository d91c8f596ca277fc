"""The servicer of OrderService."""

from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from grpc.aio import ServicerContext
from usage_management.v1 import order_service_pb2 as pb
from usage_management.v1 import order_service_pb2_grpc as rpc

from server.api import names
from server.api.mapping.selling.orders import (
    activate_order_from_pb,
    create_order_from_pb,
    list_orders_from_pb,
    order_to_pb,
    retriggered_to_pb,
)
from server.api.permissions import refuse_without
from server.api.reader import named
from server.api.transactions import caller, of_account, run_list, run_mutation, run_query
from server.domain.limits import check_lines
from server.env import Env
from server.usecases.lifecycle.order_activation import activate_order, sell
from server.usecases.lifecycle.retriggering import RetriggerOrder, retrigger_order
from server.usecases.selling import orders

Context: TypeAlias = ServicerContext[Any, Any]


class OrderService(rpc.OrderServiceServicer):
    """Creates orders, from quotes or directly, and activates them as assets with wallets."""

    def __init__(self, env: Env) -> None:
        self._env = env

    async def GetOrder(self, request: pb.GetOrderRequest, context: Context) -> pb.Order:
        account_id, order_id = named(request, "name", names.ORDER)
        return order_to_pb(
            await run_query(self._env, lambda tx: orders.get(tx, account_id, order_id))
        )

    async def ListOrders(
        self, request: pb.ListOrdersRequest, context: Context
    ) -> pb.ListOrdersResponse:
        account_id, only = list_orders_from_pb(request)
        messages, token = await run_list(
            self._env,
            request,
            of_account(
                account_id,
                lambda tx, page: orders.list_orders(
                    tx, account_id, only, after=page.after, limit=page.limit
                ),
            ),
            lambda order: (order.audit.create_time, order.id),
            order_to_pb,
            shape=(datetime, UUID),
        )
        return pb.ListOrdersResponse(orders=messages, next_page_token=token)

    async def CreateOrder(self, request: pb.CreateOrderRequest, context: Context) -> pb.Order:
        most = self._env.config.quote_lines
        check_lines(len(request.order.lines), most=most, sale="order")
        command = create_order_from_pb(request)
        make = orders.create
        if request.activate:
            refuse_without(caller().permissions, "sales.activate")
            make = sell
        return await run_mutation(
            self._env, request, pb.Order, lambda tx: make(tx, command), order_to_pb
        )

    async def ActivateOrder(self, request: pb.ActivateOrderRequest, context: Context) -> pb.Order:
        command = activate_order_from_pb(request)
        return await run_mutation(
            self._env,
            request,
            pb.Order,
            lambda tx: activate_order(tx, command),
            order_to_pb,
        )

    async def RetriggerOrder(
        self, request: pb.RetriggerOrderRequest, context: Context
    ) -> pb.RetriggerOrderResponse:
        account_id, order_id = named(request, "name", names.ORDER)
        command = RetriggerOrder(account_id=account_id, order_id=order_id)
        return await run_mutation(
            self._env,
            request,
            pb.RetriggerOrderResponse,
            lambda tx: retrigger_order(tx, command),
            retriggered_to_pb,
        )
