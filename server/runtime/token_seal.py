"""Seals of tokens: what makes page tokens and revision tokens ours alone.

The secrets are random, kept in the database, and the same for every process on it. A new one seals
tokens only once every process knows it; tokens of the one before stay valid.
"""

import hmac
from dataclasses import dataclass
from hashlib import sha256

SEAL_BYTES = 16


@dataclass(slots=True)
class TokenSeal:
    """The secrets, the one that seals first; `replace` brings those that were read again."""

    secrets: tuple[bytes, ...]

    def replace(self, secrets: tuple[bytes, ...]) -> None:
        """Go on with other secrets, if there are any."""
        if secrets:
            self.secrets = secrets

    def of(self, purpose: bytes, body: bytes) -> bytes:
        """Return the seal of a body for one purpose, `SEAL_BYTES` long."""
        return _mac(self.secrets[0], purpose, body)

    def is_of(self, seal: bytes, purpose: bytes, body: bytes) -> bool:
        """Return whether a seal is ours."""
        macs = (_mac(secret, purpose, body) for secret in self.secrets)
        return any([hmac.compare_digest(seal, mac) for mac in macs])

    def opened(self, purpose: bytes, sealed: bytes) -> bytes:
        """Return the body behind a seal. Raises ValueError."""
        body = sealed[SEAL_BYTES:]
        if not self.is_of(sealed[:SEAL_BYTES], purpose, body):
            raise ValueError("not sealed here")
        return body


def _mac(secret: bytes, purpose: bytes, body: bytes) -> bytes:
    # The purpose has a length of its own before it, so that no two pairs read the same.
    text = len(purpose).to_bytes(4, "big") + purpose + body
    return hmac.digest(secret, text, sha256)[:SEAL_BYTES]
