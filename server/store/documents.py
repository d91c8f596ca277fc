"""JSON in rows: a column holds text, and a codec converts it to and from a typed value.

The driver returns a JSON column as text, so that a codec decodes it in one pass. Decimals are plain
text, because JSON numbers are not exact; enums are their values, dates and times ISO text.
"""

from decimal import Decimal
from typing import Any, Generic, Literal, TypeVar

import msgspec

from server.domain.exact import plain

T = TypeVar("T")


class Versioned(msgspec.Struct, Generic[T], frozen=True, forbid_unknown_fields=True):
    """A document and the version of its shape. Any other version is a ValueError when decoded."""

    v: Literal[1]
    content: T


class JsonCodec(Generic[T]):
    """Encodes values of one type, without decimals, as JSON text and decodes them.

    A text of another shape is a ValueError.
    """

    def __init__(self, type_: Any) -> None:
        self._decoder = msgspec.json.Decoder[T](type_)

    def encode(self, value: T) -> str:
        """Return the text of a value."""
        return msgspec.json.encode(value).decode()

    def decode(self, text: str | bytes) -> T:
        """Return the value of a text."""
        value: T = self._decoder.decode(text)
        return value


class DocumentCodec(Generic[T]):
    """Encodes and decodes documents that outlive a release, so that each carries its version."""

    def __init__(self, type_: Any) -> None:
        self._decoder = msgspec.json.Decoder[Versioned[T]](Versioned[type_])

    def encode(self, content: T) -> str:
        """Return the text of a document."""
        return msgspec.json.encode({"v": 1, "content": to_json(content)}).decode()

    def decode(self, text: str | bytes) -> T:
        """Return the content of a document. Raises ValueError for another version."""
        return self._decoder.decode(text).content


TEXTS: JsonCodec[dict[str, str]] = JsonCodec(dict[str, str])
"""Objects of texts: labels, the payloads of jobs, the digests of a request's fields."""


def to_json(value: Any) -> Any:
    """Return a value as dictionaries, lists and texts."""
    # msgspec alone would write 1000 as "1E+3" and 0.750 with its last zero.
    return _plain(msgspec.to_builtins(value, builtin_types=(Decimal,), enc_hook=str))


# Most values are texts, so the check saves most calls.
_CHANGED = frozenset({dict, list, tuple, Decimal})


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind is Decimal:
        return plain(value)
    if kind is dict:
        return {k: _plain(v) if type(v) in _CHANGED else v for k, v in value.items()}
    if kind in _CHANGED:
        return [_plain(v) if type(v) in _CHANGED else v for v in value]
    return value
