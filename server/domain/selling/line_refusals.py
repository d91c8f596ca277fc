"""Refusals of a line of a sale, which name the line."""

from collections.abc import Iterator
from contextlib import contextmanager

from server.domain.errors import FailedPrecondition, UsageError
from server.domain.modeling.sold_policies import WalletPolicies
from server.domain.selling.sales import LineResource, SaleLine
from server.domain.selling.targets import Wallet


@contextmanager
def of_line(position: int) -> Iterator[None]:
    """Add a line to refusals: its number, from 1, to the message, its position to the facts."""
    try:
        yield
    except UsageError as refusal:
        refusal.message = f"line {position + 1}: {refusal.message}"
        refusal.facts["line"] = str(position)
        raise


def no_wallet(line: SaleLine, resource: LineResource) -> FailedPrecondition:
    """Return the refusal of a line that adds to nothing."""
    return FailedPrecondition(
        "BINDING_TARGET",
        f"{line.product_id} adds to {resource.resource_id}, and its target has no wallet of it;"
        f" sell what meters {resource.resource_id} to the target first",
        {"product": line.product_id, "usage_resource": resource.resource_id},
    )


def policy_conflict(wallet: Wallet, policies: WalletPolicies) -> FailedPrecondition:
    """Return the refusal of a line whose policies differ from those of the shared wallet."""
    names = wallet.policies.differences(policies)
    return FailedPrecondition(
        "POLICY_CONFLICT",
        f"the shared wallet of {wallet.resource_id} was sold with another {', '.join(names)};"
        " name the same policies, or another target",
        {"usage_resource": wallet.resource_id, "differences": ",".join(names)},
    )
