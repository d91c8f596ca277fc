"""The yardsticks: servers that do the least that could be called the same.

`python -m tests.bench.yardsticks PORT DSN` answers two methods: an echo of the messages of
`DiscoverRates`, and a handler that reads one row by its key for `GetWallet`.
"""

import asyncio
import sys
from typing import Any

import asyncpg
import grpc
import uvloop
from google.type import decimal_pb2
from usage_management.v1 import rate_service_pb2 as rates
from usage_management.v1 import types_pb2 as types
from usage_management.v1 import wallet_service_pb2 as wallets

RATE = types.RateTerms(
    rate=types.Rate(
        value=decimal_pb2.Decimal(value="2.5"),
        per=decimal_pb2.Decimal(value="1000000"),
        currency_code="USD",
    ),
    base_entry="rateCards/base/entries/bench-calls-USD",
)
FINDER = "procedures/default-discovery/versions/v1"
FOUND = rates.RateAnswer(
    terms=RATE, source="RATE_SOURCE_CATALOG", discovery_procedure_version=FINDER
)
ANSWER = rates.DiscoverRatesResponse(answers=[FOUND], catalog_revision=1)
ONE_ROW = "SELECT balance::text FROM wallets WHERE account_id = $1 LIMIT 1"


def method(request: Any, response: Any, function: Any) -> Any:
    return grpc.unary_unary_rpc_method_handler(
        function,
        request_deserializer=request.FromString,
        response_serializer=response.SerializeToString,
    )


async def serve(port: int, dsn: str) -> None:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=8, reset=_leave)

    async def echo(_request: Any, _context: Any) -> rates.DiscoverRatesResponse:
        return ANSWER

    async def read(request: wallets.GetWalletRequest, _context: Any) -> wallets.Wallet:
        account = request.name.split("/")[1]
        async with pool.acquire() as connection:
            balance = await connection.fetchval(ONE_ROW, account)
        return wallets.Wallet(name=request.name, balance=decimal_pb2.Decimal(value=balance))

    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    discover = method(rates.DiscoverRatesRequest, rates.DiscoverRatesResponse, echo)
    get = method(wallets.GetWalletRequest, wallets.Wallet, read)
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(
                "usage_management.v1.RateService", {"DiscoverRates": discover}
            ),
            grpc.method_handlers_generic_handler(
                "usage_management.v1.WalletService", {"GetWallet": get}
            ),
        )
    )
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


async def _leave(_connection: Any) -> None:
    """Nothing to reset."""


if __name__ == "__main__":
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(serve(int(sys.argv[1]), sys.argv[2]))
