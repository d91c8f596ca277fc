"""TLS of the port: who gets in, which certificate is served, and which settings are refused."""

import asyncio
import re
import socket
import ssl
import sys
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from cryptography.hazmat.primitives import serialization
from usage_management.v1 import access_service_pb2 as access

from clients import Tls, UsageClient, UsageError
from clients.health import NOT_REACHABLE, SERVING, health
from clients.tls import TlsError
from server import metrics
from server.config import Config, ConfigError, read_config
from server.runtime.certificates import Certificates
from server.runtime.listening import refuse_plaintext
from tests.certificates import Authority, Pair
from tests.service import Service, serving

REQUEST = access.ListTenantsRequest()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ours")


@pytest.fixture
def other(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "theirs")


def trusting(authority: Authority, shown: Pair | None = None) -> Tls:
    """The settings of a client that trusts an authority and shows a certificate."""
    if shown is None:
        return Tls(str(authority.file))
    return Tls(str(authority.file), str(shown.certificate), str(shown.key))


async def call(service: Service, tls: Tls | None) -> str:
    """`OK`, or the code of what came of a call on a connection of its own."""
    async with UsageClient(service.address, service.operator_key, timeout=10, tls=tls) as client:
        try:
            await client.access.ListTenants(REQUEST)
        except UsageError as error:
            return f"{error.code.name}, answered" if error.is_answer else error.code.name
        return "OK"


def handshake(address: str, authority: Authority, version: ssl.TLSVersion | None = None) -> int:
    """The serial number of the certificate that a new connection is shown. Raises OSError."""
    context = ssl.create_default_context(cafile=str(authority.file))
    context.set_alpn_protocols(["h2"])
    if version is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = version
        context.set_ciphers("ALL:@SECLEVEL=0")
    host, _, port = address.rpartition(":")
    with (
        socket.create_connection((host, int(port)), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=host) as secure,
    ):
        return int((secure.getpeercert() or {})["serialNumber"], 16)


async def shown(service: Service, authority: Authority) -> int:
    return await asyncio.to_thread(handshake, service.address, authority)


async def test_calls_and_health_go_over_tls_to_those_who_trust_the_authority(
    database: str, authority: Authority, other: Authority
):
    async with serving(database, **authority.issue("server").settings) as service:
        assert await call(service, trusting(authority)) == "OK"
        assert await health(service.address, tls=trusting(authority)) == SERVING
        assert await call(service, trusting(other)) == "UNAVAILABLE"
        assert await call(service, None) == "UNAVAILABLE", "plaintext"
        assert await health(service.address, patient=True) == NOT_REACHABLE
        wrong_name = Tls(str(authority.file), server_name="usage.example")
        assert await call(service, wrong_name) == "UNAVAILABLE"
        assert await call(service, Tls(str(authority.file), server_name="localhost")) == "OK"
        curl = ("curl", "--protocol", "grpc", "--cacert", str(authority.file), "--list-methods")
        listed = await asyncio.create_subprocess_exec(
            *(Path(sys.executable).with_name("buf"), *curl, f"https://{service.address}"),
            stdout=asyncio.subprocess.PIPE,
        )
        assert b"usage_management.v1.WalletService/GetWallet" in (await listed.communicate())[0]


async def test_tls_1_1_is_refused(database: str, authority: Authority):
    server = authority.issue("server")
    async with serving(database, **server.settings) as service:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            found = await asyncio.to_thread(handshake, service.address, authority, version)
            assert found == server.serial
        with pytest.raises(OSError, match=r"EOF|ALERT|reset") as refused:
            await asyncio.to_thread(handshake, service.address, authority, ssl.TLSVersion(0x0302))

    assert "NO_PROTOCOLS" not in str(refused.value), "it is the server that refused"


async def test_an_expired_certificate_is_not_believed(database: str, authority: Authority):
    expired = authority.issue("server", expired=True)
    async with serving(database, **expired.settings) as service:
        tls = trusting(authority)
        async with UsageClient(service.address, "k", timeout=10, tls=tls) as client:
            with pytest.raises(UsageError, match="CERTIFICATE_VERIFY_FAILED"):
                await client.access.ListTenants(REQUEST)


async def test_where_clients_show_certificates_others_do_not_connect(
    database: str, authority: Authority, other: Authority
):
    settings = authority.issue("server").settings | {"tls_client_ca": str(other.file)}
    async with serving(database, **settings) as service:
        assert await call(service, trusting(authority, other.issue("client"))) == "OK"
        assert await call(service, trusting(authority)) == "UNAVAILABLE"
        assert await call(service, trusting(authority, authority.issue("own"))) == "UNAVAILABLE"
        expired = other.issue("expired", expired=True)
        assert await call(service, trusting(authority, expired)) == "UNAVAILABLE"


@asynccontextmanager
async def raw_channel(service: Service, tls: Tls) -> AsyncIterator[grpc.aio.Channel]:
    options = (("grpc.use_local_subchannel_pool", 1),)
    async with grpc.aio.secure_channel(
        service.address, tls.credentials(), options=options
    ) as channel:
        yield channel


async def test_a_replaced_certificate_is_served_to_new_connections(
    database: str, authority: Authority
):
    served, next_pair = authority.issue("server"), authority.issue("next")
    reloads = metrics.TLS_RELOADS
    loaded, refused = (reloads.labels(outcome=name)._value for name in ("loaded", "refused"))
    before = loaded.get(), refused.get()
    async with (
        serving(database, **served.settings) as service,
        UsageClient(service.address, service.operator_key, tls=trusting(authority)) as old,
    ):
        await old.access.ListTenants(REQUEST)
        assert await shown(service, authority) == served.serial

        # First the certificate alone, then half of its key, then all of it.
        served.certificate.write_bytes(next_pair.certificate.read_bytes())
        assert await shown(service, authority) == served.serial
        served.key.write_bytes(next_pair.key.read_bytes()[:80])
        assert await shown(service, authority) == served.serial
        served.key.unlink()
        assert await shown(service, authority) == served.serial
        assert loaded.get() == before[0]
        assert refused.get() > before[1]
        next_pair.copy_to(served)
        assert await shown(service, authority) == next_pair.serial
        assert await shown(service, authority) == next_pair.serial
        assert loaded.get() == before[0] + 1

        assert await call(service, trusting(authority)) == "OK"
        await old.access.ListTenants(REQUEST)


async def test_a_replaced_client_authority_holds_for_new_connections(
    database: str, authority: Authority, other: Authority
):
    own, theirs = authority.issue("own"), other.issue("client")
    client_ca = authority.file.with_name("client-ca.pem")
    client_ca.write_bytes(authority.file.read_bytes())
    settings = authority.issue("server").settings | {"tls_client_ca": str(client_ca)}
    async with serving(database, **settings) as service:
        assert await call(service, trusting(authority, theirs)) == "UNAVAILABLE"
        client_ca.write_bytes(other.file.read_bytes())
        assert await call(service, trusting(authority, theirs)) == "OK"
        assert await call(service, trusting(authority, own)) == "UNAVAILABLE"


async def test_a_wrong_file_is_told_without_a_connection(database: str, authority: Authority):
    served = authority.issue("server")
    refused = metrics.TLS_RELOADS.labels(outcome="refused")._value
    before = refused.get()
    async with serving(database, **served.settings):
        served.key.write_text("nothing")
        async with asyncio.timeout(20):
            while refused.get() == before:  # noqa: ASYNC110 - the server looks every 2 s
                await asyncio.sleep(0.05)


def config(**settings: object) -> Config:
    return read_config(database_url="postgresql://", **settings)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (("tls_key",), "USAGE_TLS_KEY: a key needs its certificate"),
        (("tls_certificate",), "USAGE_TLS_CERTIFICATE: a certificate needs its key"),
        (("tls_client_ca",), "USAGE_TLS_CLIENT_CA: clients show certificates only over TLS"),
        (("tls_key", "tls_client_ca"), "USAGE_TLS_KEY"),
    ],
)
def test_settings_that_need_others_are_refused(
    authority: Authority, given: tuple[str, ...], named: str
):
    settings = authority.issue("server").settings | {"tls_client_ca": str(authority.file)}

    with pytest.raises(ConfigError, match=named):
        Certificates.open(config(**{name: settings[name] for name in given}))


@pytest.mark.parametrize(
    ("setting", "content", "reason"),
    [
        ("tls_certificate", None, "No such file"),
        ("tls_key", None, "No such file"),
        ("tls_client_ca", None, "No such file"),
        ("tls_certificate", "nothing", "no PEM file of certificates"),
        ("tls_key", "nothing", "cannot be used"),
        ("tls_client_ca", "nothing", "no PEM file of certificates"),
        ("tls_client_ca", "half", "no PEM file of certificates"),
        ("tls_certificate", "half", "no PEM file of certificates"),
        ("tls_key", "other", "is not the key of"),
    ],
)
def test_files_that_cannot_be_used_are_refused_by_their_setting(
    authority: Authority, setting: str, content: str | None, reason: str
):
    settings = authority.issue("server").settings | {"tls_client_ca": str(authority.file)}
    path = Path(settings[setting])
    if content is None:
        path.unlink()
    elif content == "half":
        path.write_bytes(path.read_bytes() + path.read_bytes()[:300])
    elif content == "other":
        path.write_bytes(authority.issue("other").key.read_bytes())
    else:
        path.write_text(content)

    with pytest.raises(ConfigError, match=reason) as refused:
        Certificates.open(config(**settings))

    assert f"USAGE_{setting.upper()}" in str(refused.value)


def test_an_encrypted_key_is_refused_and_asks_for_no_password(authority: Authority):
    pair = authority.issue("server")
    key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    pair.key.write_bytes(encrypted)

    with pytest.raises(ConfigError, match=r"USAGE_TLS_KEY: .* is encrypted"):
        Certificates.open(config(**pair.settings))


def test_text_beside_the_certificates_is_ignored(authority: Authority):
    settings = authority.issue("server").settings | {"tls_client_ca": str(authority.file)}
    for setting in ("tls_certificate", "tls_client_ca"):
        path = Path(settings[setting])
        path.write_bytes("# für Zürich\n".encode() + path.read_bytes())

    assert Certificates.open(config(**settings)) is not None


def test_an_empty_setting_is_refused():
    with pytest.raises(ConfigError, match="USAGE_TLS_CERTIFICATE"):
        config(tls_certificate="")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "no-such-host.invalid"])
def test_plaintext_is_refused_outside_loopback_with_advice_that_works(
    authority: Authority, host: str
):
    with pytest.raises(ConfigError) as refused:
        refuse_plaintext(config(host=host))

    told = re.findall(r"USAGE_[A-Z_]+(?:=[\w.]+)?", str(refused.value))
    assert told == [
        "USAGE_HOST",
        "USAGE_TLS_CERTIFICATE",
        "USAGE_TLS_KEY",
        "USAGE_ALLOW_PLAINTEXT=1",
        "USAGE_HOST=127.0.0.1",
    ]
    for advice in ({"allow_plaintext": "1"}, authority.issue("server").settings):
        refuse_plaintext(config(host=host, **advice))
    refuse_plaintext(config(host="127.0.0.1"))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "localhost", "unix:/run/u.sock"])
def test_loopback_and_unix_sockets_need_no_tls(host: str):
    refuse_plaintext(config(host=host))

    assert config(host=host).reflects
    assert not config(host=host, reflection=False).reflects


def test_a_client_refuses_files_that_it_cannot_use(authority: Authority):
    pair, other_pair = authority.issue("client"), authority.issue("other")
    ca = str(authority.file)
    wrong = {
        "certificate is missing": Tls(ca, key=str(pair.key)),
        "key is missing": Tls(ca, certificate=str(pair.certificate)),
        "No such file": Tls("/nowhere/ca.pem"),
        "no PEM file": Tls(__file__),
        "cannot be used together": Tls(ca, str(pair.certificate), str(other_pair.key)),
    }
    for reason, tls in wrong.items():
        with pytest.raises(TlsError, match=reason):
            UsageClient("127.0.0.1:1", "k", tls=tls)
    with pytest.raises(TlsError, match="--ca or USAGE_CA"):
        Tls.of({"client_key": "k.pem"})
    assert Tls.of({"ca": ""}) is None
    Tls().credentials()
