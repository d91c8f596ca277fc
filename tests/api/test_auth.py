"""Keys: one header, its scheme in any case, and bounds on what unknown ones cost."""

import asyncio
from uuid import uuid4

import grpc
import pytest
from usage_management.v1 import wallet_service_pb2 as wallets

from server.api import auth
from server.api.auth import Authenticator
from server.domain.access import Identity
from server.domain.errors import ResourceExhausted, Unauthenticated
from tests.api.wire import Wire

LIST = "WalletService/ListWallets"
KNOWN = Identity(tenant_id=uuid4(), credential_id=uuid4(), permissions=frozenset())


def listed(wire: Wire) -> wallets.ListWalletsRequest:
    return wallets.ListWalletsRequest(parent=wire.account)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
async def test_the_scheme_is_written_in_any_case(wire: Wire, scheme: str):
    metadata = (("authorization", f"{scheme} {wire.key}"),)

    answer = await wire.call(LIST, listed(wire), key="", metadata=metadata)

    assert isinstance(answer, bytes)


async def test_two_authorization_headers_are_refused(wire: Wire):
    metadata = (("authorization", f"Bearer {wire.key}"),)

    refused = await wire.refused(LIST, listed(wire), metadata=metadata)

    assert refused.code is grpc.StatusCode.UNAUTHENTICATED
    assert refused.reason == "CREDENTIAL_AMBIGUOUS"


class Keys:
    """A store of keys that counts who looks."""

    def __init__(self) -> None:
        self.looked: list[str] = []

    async def find(self, key: str, _seconds: float) -> Identity | None:
        self.looked.append(key)
        return KNOWN if key == "known" else None


def header(key: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {key}")]


async def outcome(keys: Authenticator, key: str, peer: str) -> str:
    try:
        await keys.identify(header(key), lambda: peer)
    except (ResourceExhausted, Unauthenticated) as refused:
        return refused.reason
    return "OK"


async def test_a_peer_that_sends_unknown_keys_is_slowed_down_and_nobody_else_is():
    store = Keys()
    keys = Authenticator(store.find)
    assert await outcome(keys, "known", "ipv4:10.0.0.1:40000") == "OK"

    said = [await outcome(keys, f"wrong-{n}", f"ipv4:10.0.0.1:{n}") for n in range(1_000)]
    known = await outcome(keys, "known", "ipv4:10.0.0.1:40001")
    other = await outcome(keys, "wrong", "ipv4:10.0.0.2:1")

    looked = said.count("CREDENTIAL_INVALID")
    assert auth.UNKNOWN_BURST <= looked <= auth.UNKNOWN_BURST + 50
    assert looked + said.count("TOO_MANY_UNKNOWN_KEYS") == 1_000
    assert len(store.looked) == 1 + looked + 1
    assert (known, other) == ("OK", "CREDENTIAL_INVALID")


async def test_valid_keys_behind_one_address_are_not_counted_as_unknown():
    """As after a restart, when a thousand clients come through one proxy."""

    async def find(_key: str, _seconds: float) -> Identity | None:
        return KNOWN

    keys = Authenticator(find)

    said = {await outcome(keys, f"client-{n}", "unix:") for n in range(1_000)}

    assert said == {"OK"}


async def test_an_unknown_key_is_looked_up_once_a_while(monkeypatch):
    monkeypatch.setattr(auth, "UNKNOWN_SECONDS", 0.05)
    store = Keys()
    keys = Authenticator(store.find)

    said = [await outcome(keys, "wrong", "unix:") for _ in range(3)]
    await asyncio.sleep(0.06)
    said.append(await outcome(keys, "wrong", "unix:"))

    assert (set(said), len(store.looked)) == ({"CREDENTIAL_INVALID"}, 2)


async def test_calls_at_one_moment_share_a_look_up(monkeypatch):
    """A key that thousands use is looked up again by one of them."""
    store = Keys()

    async def slow(key: str, seconds: float) -> Identity | None:
        await asyncio.sleep(0.05)
        return await store.find(key, seconds)

    keys = Authenticator(slow)
    first = asyncio.create_task(keys.identify(header("known")))
    calls = [asyncio.create_task(keys.identify(header("known"))) for _ in range(100)]
    await asyncio.sleep(0.01)
    first.cancel()

    assert await asyncio.gather(*calls) == [KNOWN] * 100
    assert store.looked == ["known"]


async def test_what_is_remembered_of_keys_is_bounded_whatever_their_length(monkeypatch):
    monkeypatch.setattr(auth, "MAX_UNKNOWN", 10)
    monkeypatch.setattr(auth, "UNKNOWN_BURST", 1_000.0)
    store = Keys()
    keys = Authenticator(store.find)

    for number in range(100):
        await outcome(keys, f"{number}" + "x" * 150, "unix:")
    long = await outcome(keys, "x" * 100_000, "unix:")

    assert len(keys._unknown) == 10
    assert {len(digest) for digest in keys._unknown._values} == {32}
    assert (long, len(store.looked)) == ("CREDENTIAL_INVALID", 100)
