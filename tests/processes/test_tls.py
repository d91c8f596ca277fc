"""TLS of real processes: several on a port, the command line, and a start that is refused."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from usage_management.v1 import access_service_pb2 as access

from clients import Tls, UsageClient
from clients.health import serving
from tests.certificates import Authority
from tests.processes.conftest import Program


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def run(environment: dict[str, str], *arguments: str):
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


async def test_two_processes_and_the_command_line_speak_tls(
    durable: str, operator_key: str, settings, authority: Authority, tmp_path: Path
):
    environment = settings(durable) | authority.issue("server").variables
    environment |= {"USAGE_METRICS_PORT": "0", "USAGE_HOST": "0.0.0.0"}
    environment |= {"USAGE_TLS_CLIENT_CA": str(authority.file), "USAGE_HOME": str(tmp_path)}
    address = f"localhost:{environment['USAGE_PORT']}"
    shown = authority.issue("client")
    tls = Tls(str(authority.file), str(shown.certificate), str(shown.key))
    log = tmp_path / "server.log"
    program = Program(("server", "serve", "--processes", "2"), environment, log=log)
    program.start()
    try:
        await serving(address, 30, tls)
        for _ in range(6):
            async with UsageClient(address, operator_key, tls=tls) as client:
                await client.access.ListTenants(access.ListTenantsRequest())

        status = ("clients", "status", "--json", "--address", address, "--key", operator_key)
        told = await run(
            environment,
            *status,
            *("--ca", str(authority.file), "--client-key", str(shown.key)),
            *("--client-certificate", str(shown.certificate)),
        )
        assert told.returncode == 0, told.stderr
        assert (json.loads(told.stdout)["health"], json.loads(told.stdout)["tls"]) == (
            "SERVING",
            True,
        )
        by_variables = await run(
            environment
            | {
                "USAGE_CA": str(authority.file),
                "USAGE_CLIENT_CERTIFICATE": str(shown.certificate),
                "USAGE_CLIENT_KEY": str(shown.key),
            },
            *status,
        )
        assert by_variables.returncode == 0, by_variables.stderr
        assert (await run(environment, *status)).returncode == 3, "plaintext"
        no_ca = await run(environment, *status, "--ca", "/nowhere.pem")
        assert (no_ca.returncode, "/nowhere.pem: No such file" in no_ca.stderr) == (2, True)
        plain = ("clients", "wallet", "show", "a", "--address", address, "--key", operator_key)
        refused = await run(environment, *plain)
        assert "give --ca" in refused.stderr
        unknown = await run(environment, *plain, "--ca", str(authority.file))
        assert unknown.returncode == 3
        assert "ssl_transport_security" not in refused.stderr + unknown.stderr
        # Calls without TLS and without a certificate failed above, and left no lines of gRPC's own.
        assert [line for line in log.read_text().splitlines() if not line.startswith("{")] == []
    finally:
        program.end()


@pytest.mark.usefixtures("operator_key")
@pytest.mark.parametrize("more", [(), ("--processes", "2")], ids=["one", "two"])
async def test_a_start_for_other_machines_without_tls_is_refused(durable: str, settings, more):
    environment = settings(durable) | {"USAGE_HOST": "0.0.0.0"}

    done = await run(environment, "server", "serve", *more)

    assert done.returncode == 2
    assert done.stderr.count("USAGE_ALLOW_PLAINTEXT=1") == 1
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("operator_key")
async def test_files_that_do_not_belong_together_are_one_sentence(
    durable: str, settings, authority: Authority
):
    variables = authority.issue("server").variables
    variables["USAGE_TLS_KEY"] = str(authority.issue("other").key)

    done = await run(settings(durable) | variables, "server", "serve", "--processes", "2")

    assert done.returncode == 2
    assert done.stderr.startswith("settings: USAGE_TLS_CERTIFICATE, USAGE_TLS_KEY: ")
    assert done.stderr.count("\n") == 1
