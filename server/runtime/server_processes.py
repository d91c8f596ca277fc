"""Several server processes on one port: started, restarted when one ends, stopped together.

The kernel assigns each connection to one of them. They are spawned, not forked, and share only the
port. Their metrics are on consecutive ports.
"""

import os
import signal
import socket
import subprocess
import sys
import time

import structlog

from server.config import UNIX, Config, ConfigError
from server.local import processes
from server.local.children import STOP_SECONDS, Keeper
from server.local.processes import ProcessIdentity
from server.runtime.certificates import Certificates
from server.runtime.listening import refuse_plaintext

log = structlog.get_logger("server_processes")

LOOK_SECONDS = 0.2
# A process that fails this early cannot serve at all, so all of them stop.
START_SECONDS = 10.0


class Member:
    """One of the processes."""

    def __init__(self, number: int) -> None:
        self.name = f"server {number}"
        self.process: subprocess.Popen[bytes] | None = None
        self._command = [sys.executable, "-m", "server", "serve", "--member", str(number)]

    def start(self) -> None:
        """Start it; it gets SIGTERM when this process ends."""
        out = sys.stdout.buffer
        self.process = processes.spawn(self._command, out, signal.SIGTERM, ProcessIdentity())

    def ask_to_stop(self) -> None:
        """Let it finish its calls and stop."""
        self._send(signal.SIGTERM)

    def end(self) -> None:
        """Kill it."""
        self._send(signal.SIGKILL)

    def stop(self) -> None:
        """Stop it, by force if it takes too long."""
        if self.process is not None:
            processes.stop(self.process, signal.SIGTERM, STOP_SECONDS)

    def _send(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)


def serve_together(config: Config, count: int) -> int:
    """Serve with `count` processes until SIGTERM or SIGINT; return the exit code.

    A second signal kills them. Raises ConfigError if the port is in use, or if its TLS cannot be
    used.
    """
    refuse_plaintext(config)
    Certificates.open(config)
    _refuse_taken_port(config)
    members = [Member(number) for number in range(count)]
    stopping: list[int] = []

    def stop_or_end(number: int, _frame: object) -> None:
        if stopping:
            for member in members:
                member.end()
        stopping.append(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop_or_end)
    for member in members:
        member.start()
    try:
        return _tend(members, stopping)
    finally:
        for member in members:
            member.ask_to_stop()
        for member in members:
            member.stop()


def of_member(config: Config, number: int) -> Config:
    """Return the settings of one of the processes."""
    port = config.metrics_port + number if config.metrics_port else 0
    return config.model_copy(update={"shares_port": True, "metrics_port": port})


def _tend(members: list[Member], stopping: list[int]) -> int:
    keepers = [Keeper(member, _say) for member in members]
    started = time.monotonic()
    while not stopping:
        for member in members:
            code = (member.process.poll() if member.process else None) or 0
            # A negative code is a signal, as from a kill; such a process is started again.
            if code > 0 and time.monotonic() - started < START_SECONDS:
                return code
        for keeper in keepers:
            keeper.tend()
        time.sleep(LOOK_SECONDS)
    return 0


def _say(text: str) -> None:
    log.warning(text)


def _refuse_taken_port(config: Config) -> None:
    """Raise ConfigError if another program uses the port."""
    if config.port == 0:
        raise ConfigError("USAGE_PORT: several processes need a port that is named, not 0")
    if config.host.startswith(UNIX):
        raise ConfigError("USAGE_HOST: several processes share a port, never a unix socket")
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    with socket.socket(family) as probe:
        # Without SO_REUSEPORT, so that the bind fails if a server of another start shares the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((config.host, config.port))
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise ConfigError(f"USAGE_PORT: {config.host}:{config.port}: {reason}") from None
