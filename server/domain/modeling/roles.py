"""Roles of products in a sale, and the targets that their grants can be bound to."""

from enum import StrEnum


class Binding(StrEnum):
    """Where the grants of a line go."""

    SELF = "SELF"
    ACCOUNT = "ACCOUNT"
    CONTRACT = "CONTRACT"
    ASSET = "ASSET"
    CUSTOM = "CUSTOM"


class ProductRole(StrEnum):
    """What an asset is to the wallets it is bound to: usage is recorded of anchors only."""

    ANCHOR = "ANCHOR"
    PACK = "PACK"
    TOKEN_COMMITMENT = "TOKEN_COMMITMENT"
    QUANTITY_COMMITMENT = "QUANTITY_COMMITMENT"

    @property
    def is_commitment(self) -> bool:
        """Whether it is a promise of the buyer's."""
        return self not in (ProductRole.ANCHOR, ProductRole.PACK)
