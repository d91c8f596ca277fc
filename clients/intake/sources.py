"""The content of a file: what is compressed with gzip is read like the file itself."""

import gzip
import hashlib
import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import BinaryIO, cast

from clients.intake.layout import IntakeError

GZIP = b"\x1f\x8b"
# How a format begins, what to call it, and the program that writes its content to standard output.
PACKED = (
    (b"PK\x03\x04", "compressed with zip", "unzip -p"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "zstd -dc"),
    (b"BZh", "compressed with bzip2", "bzip2 -dc"),
    (b"\xfd7zXZ\x00", "compressed with xz", "xz -dc"),
)
BINARY = (
    (b"PAR1", "Parquet; export it as CSV"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook; save it as CSV UTF-8"),
)
WORKBOOKS = frozenset({".xlsx", ".xlsm", ".ods"})
CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Source:
    """A file of usage. Opening raises IntakeError for what cannot be read, with the way out."""

    path: Path

    @property
    def name(self) -> Path:
        """Return the path of the content: without the `.gz` of a compressed file."""
        return self.path.with_suffix("") if self.path.suffix.lower() == ".gz" else self.path

    def open(self) -> BinaryIO:
        """Open the content for reading."""
        file = self.path.open("rb")
        start = file.peek(8)[:8]
        if start.startswith(GZIP):
            # GzipFile reads lines slowly without a buffer.
            return cast(BinaryIO, _Unpacked(file))
        try:
            self._check(start)
        except IntakeError:
            file.close()
            raise
        return file

    def measure(self, advance: Callable[[int], None]) -> tuple[str, int]:
        """Return the first 12 hex digits of the SHA-256 of the content, and its size in bytes.

        `advance` is called with the number of bytes read. Raises IntakeError for damaged gzip.
        """
        digest = hashlib.sha256()
        size = 0
        with self.open() as content:
            while chunk := content.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
                advance(len(chunk))
        return digest.hexdigest()[:12], size

    def _check(self, start: bytes) -> None:
        if start.startswith(b"PK\x03\x04") and self.path.suffix.lower() in WORKBOOKS:
            raise IntakeError("the file is a spreadsheet; save it as CSV UTF-8")
        for mark, what in BINARY:
            if start.startswith(mark):
                raise IntakeError(f"the file is {what}")
        for mark, what, program in PACKED:
            if start.startswith(mark):
                target = self.path.with_suffix("")
                if not target.suffix:
                    target = target.with_suffix(".csv")
                raise IntakeError(
                    f"the file is {what}; unpack it, and record what is in it:\n"
                    f"    {program} {quote(str(self.path))} > {quote(str(target))}"
                )


class _Unpacked(io.BufferedReader):
    """The content of a gzip file; damage is an IntakeError."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(_Checked(file), CHUNK)


class _Checked(io.RawIOBase):
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._content = gzip.GzipFile(fileobj=file)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override] # a reader passes this one
        try:
            chunk = self._content.read(len(buffer))
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise IntakeError(f"the gzip file is damaged: {error}") from None
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        self._content.close()
        self._file.close()
        super().close()
