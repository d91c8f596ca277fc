"""The directory of `usage up`: its data, its logs, its keys, and who works in it."""

import fcntl
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from server.local import logs
from server.local.binaries import LocalStoreError

USUAL_HOME = ".usage"


@dataclass(frozen=True, slots=True)
class Home:
    """`.usage/`, or what USAGE_HOME names."""

    path: Path

    @classmethod
    def find(cls) -> "Home":
        """The home of this process; it need not exist."""
        return cls(Path(os.environ.get("USAGE_HOME") or USUAL_HOME).absolute())

    @property
    def data(self) -> Path:
        """Where the stores keep their data."""
        return self.path / "data"

    @property
    def logs(self) -> Path:
        """Where every child has its log."""
        return self.path / "log"

    @property
    def credentials(self) -> Path:
        """The keys, readable by their owner only."""
        return self.path / "credentials"

    @property
    def state(self) -> Path:
        """What is running, for `usage status`."""
        return self.path / "state.json"

    def take(self) -> IO[str]:
        """Make the directory and take it, until the file is closed or the process ends.

        Raises LocalStoreError with the number of the process that has it, or why it cannot be used.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.logs.mkdir(mode=0o700, exist_ok=True)
            file = (self.path / "up.lock").open("a+")
        except OSError as error:
            raise LocalStoreError(
                f"{self.path} cannot be used ({error.strerror}); name a directory that can be"
                " written: USAGE_HOME=… usage up"
            ) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise LocalStoreError(
                f"`usage up` already runs on {self.path}, as process {holder}; stop it with"
                f" `kill {holder}`, or use another directory: USAGE_HOME=… usage up"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        return file

    def read(self, path: Path) -> dict[str, Any]:
        """What a file of ours says; nothing when it is not there."""
        try:
            found = json.loads(path.read_text())
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise LocalStoreError(f"{path} cannot be read ({error}); remove it") from None
        return found if isinstance(found, dict) else {}

    def write(self, path: Path, **values: Any) -> None:
        """Keep `values` beside what a file says already; None takes one away. Owner only."""
        merged = {**self.read(path), **values}
        kept = {key: value for key, value in merged.items() if value is not None}
        making = path.with_name(path.name + ".making")
        making.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(making, flags, 0o600), "w") as file:
            json.dump(kept, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        making.replace(path)

    def fresh_log(self, name: str) -> Path:
        """An empty log; those of the last times are kept beside it."""
        return logs.fresh(self.logs / f"{name}.log")

    def throw_away(self) -> list[Path]:
        """Remove what is ours, and the directory if nothing else is in it; says what went.

        Raises LocalStoreError while `usage up` runs on it.
        """
        if not self.path.is_dir():
            return []
        lock = self.take()
        try:
            ours = [self.data, self.logs, self.credentials, self.state]
            gone = [path for path in ours if path.exists()]
            for path in gone:
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
            (self.path / "up.lock").unlink()
        finally:
            lock.close()
        if not any(self.path.iterdir()):
            self.path.rmdir()
        return gone


def last_lines(path: Path, count: int = 8) -> str:
    """The end of a log, indented."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return "  (nothing)"
    return "\n".join(f"  {line}" for line in lines[-count:]) or "  (nothing)"
