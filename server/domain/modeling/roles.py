"""Roles of products in a sale, and the targets that their grants can be bound to."""

from enum import StrEnum


class Binding(StrEnum):
    """The target of a line's grants."""

    SELF = "SELF"
    ACCOUNT = "ACCOUNT"
    CONTRACT = "CONTRACT"
    ASSET = "ASSET"
    CUSTOM = "CUSTOM"


class ProductRole(StrEnum):
    """The role of an asset for its wallets: usage is recorded for anchors only."""

    ANCHOR = "ANCHOR"
    PACK = "PACK"
    TOKEN_COMMITMENT = "TOKEN_COMMITMENT"
    QUANTITY_COMMITMENT = "QUANTITY_COMMITMENT"
    MONETARY_COMMITMENT = "MONETARY_COMMITMENT"

    @property
    def is_commitment(self) -> bool:
        """True if it is a promise of the buyer."""
        return self not in (ProductRole.ANCHOR, ProductRole.PACK)
