"""An embedded Redis: Valkey on a unix socket, with an append-only file."""

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import IO

from server.local import processes
from server.local.binaries import redis_server
from server.local.logs import open_log
from server.local.processes import ProcessIdentity


class Redis:
    """A running server. Its data survive it; a killed server may lose its last second."""

    def __init__(
        self, data_dir: Path, socket_path: Path, process: subprocess.Popen[bytes], lock: IO[bytes]
    ) -> None:
        self.data_dir = data_dir
        self.socket_path = socket_path
        self.process = process
        self._lock = lock

    @classmethod
    def start(cls, data_dir: Path, *, unsafe: bool = False) -> "Redis":
        """Start on `data_dir`; return when commands are answered. `unsafe` stores nothing.

        Servers left over from a killed process are ended first. Raises LocalStoreError if the data
        are in use or the server does not start.
        """
        program = redis_server()
        data_dir = data_dir.resolve()
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = processes.lock(data_dir)
        try:
            for leftover in sorted(processes.processes_in(data_dir, program.name)):
                processes.end_leftovers(data_dir, program.name, signal.SIGTERM, leftover)
            directory = processes.socket_directory(data_dir, ProcessIdentity())
            socket_path = directory / "redis.sock"
            socket_path.unlink(missing_ok=True)
            process = _run(program, data_dir, socket_path, append="no" if unsafe else "yes")
        except BaseException:
            lock.close()
            raise
        return cls(data_dir, socket_path, process, lock)

    @property
    def url(self) -> str:
        """The URL for redis-py and ARQ."""
        return f"unix://{self.socket_path}?db=0"

    def stop(self) -> None:
        """Write unsaved data, and stop. A second stop does nothing."""
        processes.stop(self.process, signal.SIGTERM)
        self._lock.close()
        shutil.rmtree(self.socket_path.parent, ignore_errors=True)


def _run(
    program: Path, data_dir: Path, socket_path: Path, *, append: str
) -> subprocess.Popen[bytes]:
    command = [str(program), "--port", "0", "--dir", str(data_dir), "--save", ""]
    command += ["--unixsocket", str(socket_path), "--unixsocketperm", "700"]
    command += ["--appendonly", append, "--appendfsync", "everysec"]
    log = data_dir.with_name(data_dir.name + ".log")
    with open_log(log) as out:
        process = processes.spawn(command, out, signal.SIGTERM, ProcessIdentity())
    try:
        processes.wait_until_ready(process, lambda: _answers(socket_path), log)
    except BaseException:
        processes.stop(process, signal.SIGTERM)
        raise
    return process


def _answers(socket_path: Path) -> bool:
    # While it reads its file, the server accepts connections but answers -LOADING.
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1)
        try:
            client.connect(os.fspath(socket_path))
            client.sendall(b"PING\r\n")
            return client.recv(64).startswith(b"+PONG")
        except OSError:
            return False
