"""Staleness: the time from a change's acknowledgment to each process's first answer that shows it.

A connection stays with one process, so that one is opened to each and found by its ports.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import grpc
import psutil
from usage_management.v1 import rate_service_pb2 as rates
from usage_management.v1 import types_pb2 as types

from clients.load import METHOD, OPTIONS
from clients.values import date_pb
from tests.bench.load.scene import about_change, change_day
from tests.bench.stack import Stack
from tests.stories.rate_words import ACTIVE, INACTIVE
from tests.stories.words import number
from tests.stories.world import World

MOST_CONNECTIONS = 64
ASK_EVERY_SECONDS = 0.02
GIVE_UP_SECONDS = 10.0
CHANGE_EVERY_SECONDS = 1.0


class Changes:
    """Changes the catalog every second, and measures when each process shows the change."""

    def __init__(self, tenant: World, channels: dict[int, grpc.aio.Channel], key: str) -> None:
        self._tenant = tenant
        self._metadata = (("authorization", f"Bearer {key}"),)
        self._asks = {
            pid: channel.unary_unary(
                METHOD,
                request_serializer=rates.DiscoverRatesRequest.SerializeToString,
                response_deserializer=rates.DiscoverRatesResponse.FromString,
            )
            for pid, channel in channels.items()
        }
        self.count = 0
        self.staleness: dict[int, list[float]] = {pid: [] for pid in channels}
        self.failed_changes = 0
        self.unseen = 0

    async def run(self, seconds: float) -> None:
        """Change and measure for so long."""
        until = time.perf_counter() + seconds
        async with asyncio.TaskGroup() as looking:
            while (began := time.perf_counter()) < until:
                try:
                    await self._change()
                except Exception as error:
                    self.failed_changes += 1
                    print(f"load: a change failed: {error}", file=sys.stderr)
                else:
                    acknowledged = time.perf_counter()
                    for pid in self._asks:
                        looking.create_task(self._see(pid, self.count, acknowledged))
                rest = CHANGE_EVERY_SECONDS - (time.perf_counter() - began)
                await asyncio.sleep(max(rest, 0))

    async def _change(self) -> None:
        """Put an entry in force on a day of its own, and the one before the last out of it."""
        self.count += 1
        client = self._tenant.client.rates
        day = change_day(self.count)
        made = await client.CreateRateCardEntry(
            rates.CreateRateCardEntryRequest(
                parent="rateCards/base",
                rate_card_entry_id=f"changing-{self.count}",
                rate_card_entry=rates.RateCardEntry(
                    product="products/changing",
                    usage_resource="usageResources/calls",
                    currency_code="USD",
                    negotiability="NEGOTIABLE",
                    rate=types.Rate(value=number(self.count), per=number(1), currency_code="USD"),
                    start_date=date_pb(day),
                    end_date=date_pb(day + timedelta(days=1)),
                ),
            )
        )
        if self.count > 2:
            old = f"rateCards/base/entries/changing-{self.count - 2}"
            await self._put(old, INACTIVE)
        await self._put(made.name, ACTIVE)

    async def _put(self, name: str, state: Any) -> None:
        await self._tenant.client.rates.ChangeRateCardEntryStates(
            rates.ChangeRateCardEntryStatesRequest(names=[name], state=state)
        )

    async def _see(self, pid: int, count: int, acknowledged: float) -> None:
        """Ask one process until it shows the change."""
        request = rates.DiscoverRatesRequest(questions=[about_change(count)])
        while time.perf_counter() < acknowledged + GIVE_UP_SECONDS:
            try:
                answer = await self._asks[pid](request, metadata=self._metadata, timeout=5)
            except grpc.aio.AioRpcError:
                pass  # refused in the crowd: ask again
            else:
                if answer.answers[0].HasField("terms"):
                    self.staleness[pid].append(time.perf_counter() - acknowledged)
                    return
            await asyncio.sleep(ASK_EVERY_SECONDS)
        self.unseen += 1


@asynccontextmanager
async def connected_to_each(stack: Stack) -> AsyncIterator[dict[int, grpc.aio.Channel]]:
    """Open connections until one leads to each server process."""
    members, found = stack.members(), {}
    me = psutil.Process()
    async with AsyncExitStack() as kept:
        for _ in range(MOST_CONNECTIONS):
            before = _local_ports(me)
            channel = await kept.enter_async_context(
                grpc.aio.insecure_channel(stack.address, options=OPTIONS)
            )
            await channel.channel_ready()
            await asyncio.sleep(0.05)
            mine = _local_ports(me) - before
            for member in members:
                if mine & _remote_ports(member):
                    found.setdefault(member.pid, channel)
            if len(found) == len(members):
                break
        assert len(found) == len(members), "no connection led to one of the processes"
        yield found


def _local_ports(process: psutil.Process) -> set[int]:
    return {one.laddr.port for one in process.net_connections("tcp") if one.raddr}


def _remote_ports(process: psutil.Process) -> set[int]:
    return {one.raddr.port for one in process.net_connections("tcp") if one.raddr}
