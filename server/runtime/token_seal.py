"""Seals of tokens, which prove that page tokens and revision tokens come from this service.

The secrets are random, stored in the database, and the same for all its processes. A new secret
seals tokens only after every process has read it. Tokens of the previous secret stay valid.
"""

import hmac
from dataclasses import dataclass
from hashlib import sha256

SEAL_BYTES = 16


@dataclass(slots=True)
class TokenSeal:
    """The secrets, the active one first; `replace` sets those that were read again."""

    secrets: tuple[bytes, ...]

    def replace(self, secrets: tuple[bytes, ...]) -> None:
        """Use other secrets, if there are any."""
        if secrets:
            self.secrets = secrets

    def of(self, purpose: bytes, body: bytes) -> bytes:
        """Return the seal of a body for one purpose, `SEAL_BYTES` long."""
        return _mac(self.secrets[0], purpose, body)

    def is_of(self, seal: bytes, purpose: bytes, body: bytes) -> bool:
        """Return True if a seal was made with one of the secrets."""
        macs = (_mac(secret, purpose, body) for secret in self.secrets)
        # A list, so that the time does not show which secret matched.
        return any([hmac.compare_digest(seal, mac) for mac in macs])

    def opened(self, purpose: bytes, sealed: bytes) -> bytes:
        """Return the body of a sealed text. Raises ValueError."""
        body = sealed[SEAL_BYTES:]
        if not self.is_of(sealed[:SEAL_BYTES], purpose, body):
            raise ValueError("not sealed here")
        return body


def _mac(secret: bytes, purpose: bytes, body: bytes) -> bytes:
    # The length of the purpose comes first, so that two different pairs never give the same text.
    text = len(purpose).to_bytes(4, "big") + purpose + body
    return hmac.digest(secret, text, sha256)[:SEAL_BYTES]
