"""The directory of `usage up`: its data, logs, keys and lock."""

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
    """The directory `.usage/`, or the one that USAGE_HOME names."""

    path: Path

    @classmethod
    def find(cls) -> "Home":
        """Return the directory for this process; it need not exist."""
        return cls(Path(os.environ.get("USAGE_HOME") or USUAL_HOME).absolute())

    @property
    def data(self) -> Path:
        """The directory of the stores' data."""
        return self.path / "data"

    @property
    def logs(self) -> Path:
        """The directory of the children's logs."""
        return self.path / "log"

    @property
    def credentials(self) -> Path:
        """The file of the keys, which only its owner can read."""
        return self.path / "credentials"

    @property
    def state(self) -> Path:
        """The file that describes the running service, for `usage status`."""
        return self.path / "state.json"

    def take(self) -> IO[str]:
        """Create the directory and lock it until the file is closed or the process ends.

        Raises LocalStoreError with the number of the process that has the lock, or the reason why
        the directory cannot be used.
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
        """Return the content of a JSON file; empty if it does not exist."""
        try:
            content = json.loads(path.read_text())
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise LocalStoreError(f"{path} cannot be read ({error}); remove it") from None
        return content if isinstance(content, dict) else {}

    def write(self, path: Path, **values: Any) -> None:
        """Merge `values` into a JSON file that only its owner can read; None removes a value."""
        merged = {**self.read(path), **values}
        kept = {key: value for key, value in merged.items() if value is not None}
        making = path.with_name(path.name + ".making")
        making.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(making, flags, 0o600), "w") as file:
            json.dump(kept, file, indent=2)
            file.flush()
            # Before the rename, so that a crash leaves the old file or the complete new one.
            os.fsync(file.fileno())
        making.replace(path)

    def fresh_log(self, name: str) -> Path:
        """Return an empty log; earlier ones become older parts."""
        return logs.fresh(self.logs / f"{name}.log")

    def throw_away(self) -> list[Path]:
        """Delete the files of the service and return their paths.

        The directory is deleted if it is then empty. Raises LocalStoreError while `usage up` runs
        on it.
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
    """Return the end of a log, indented."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return "  (nothing)"
    return "\n".join(f"  {line}" for line in lines[-count:]) or "  (nothing)"
