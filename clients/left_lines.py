"""Lines that were not recorded, in a file of their own with the ids of their records."""

import itertools
import json
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import IO

from clients.intake.layout import BadLine, Layout, Line

ID_COLUMN = "usage_record_id"
# More than this is put on disk until it is known where it goes.
MOST_IN_MEMORY = 8 * 1024 * 1024
CHUNK = 1024 * 1024


class LeftLines:
    """Collects lines that were not kept; a million of them need no more memory than a few.

    `header` is the first row of a CSV file; empty for JSON.
    """

    def __init__(self, layout: Layout, header: bytes) -> None:
        self.count = 0
        self._with_ids = layout.id_column is None
        self._delimiter = layout.delimiter.encode()
        self._is_csv = bool(header)
        # It lives as long as this object, which many functions share.
        self._content: IO[bytes] = tempfile.SpooledTemporaryFile(  # noqa: SIM115 - the finalizer closes it
            MOST_IN_MEMORY
        )
        weakref.finalize(self, self._content.close)
        if header:
            column = self._delimiter + ID_COLUMN.encode() if self._with_ids else b""
            self._content.write(header + column + b"\n")

    def add(self, line: Line | BadLine) -> None:
        """Keep a line."""
        self.count += 1
        self._content.write((self._with_id(line) if self._with_ids else line.raw) + b"\n")

    def write(self, path: Path) -> Path:
        """Write the lines to a file beside `path`. Returns the file; never another's content."""
        for number in itertools.count(1):
            middle = ".left" if number == 1 else f".left-{number}"
            target = path.with_name(f"{path.stem}{middle}{path.suffix}")
            self._content.seek(0)
            try:
                with target.open("xb") as file:
                    shutil.copyfileobj(self._content, file)
            except FileExistsError:
                if not self._is_in(target):
                    continue
            return target
        raise AssertionError("there are more numbers than files")

    def _is_in(self, target: Path) -> bool:
        with target.open("rb") as file:
            while True:
                ours, theirs = self._content.read(CHUNK), file.read(CHUNK)
                if ours != theirs:
                    return False
                if not ours:
                    return True

    def _with_id(self, line: Line | BadLine) -> bytes:
        if self._is_csv:
            return line.raw + self._delimiter + line.line_id.encode()
        key = f'"{ID_COLUMN}": {json.dumps(line.line_id)}'.encode()
        body = line.raw.strip()
        if not body.startswith(b"{"):
            text = json.dumps(body.decode("utf-8", "replace")).encode()
            return b"{" + key + b', "unreadable": ' + text + b"}"
        inner = body[1:].lstrip()
        return b"{" + key + (b"" if inner.startswith(b"}") else b", ") + inner
