"""The rate basis of a line: only rates that stand for themselves can follow the catalog."""

from server.domain.errors import InvalidArgument
from server.domain.modeling.roles import ProductRole
from server.domain.rating.additions import is_negotiated
from server.domain.selling.sales import RateBasis, SaleLine


def check_rate_basis(line: SaleLine, *, is_shared: bool, path: str) -> None:
    """Raise RATE_BASIS_NOT_ALLOWED for a line that follows the catalog and cannot.

    What is negotiated on a line is agreed for its target, if that `is_shared`.
    """
    if line.rate_basis is RateBasis.FROZEN:
        return
    fault = _fault(line, is_shared=is_shared)
    if fault:
        name = line.product_id
        text = f"{fault}; sell it FROZEN"
        raise InvalidArgument.at(f"{path}.rate_basis", "RATE_BASIS_NOT_ALLOWED", text, product=name)


def _fault(line: SaleLine, *, is_shared: bool) -> str:
    name, terms = line.product_id, [resource.terms for resource in line.resources]
    if line.role.is_commitment:
        return f"{name} is a commitment, which fixes its rates for its term"
    # The terms of a pack, and those agreed for a target, compete with others by their start.
    if line.role is ProductRole.PACK:
        return f"{name} is a pack, and of several packs the one whose rates began last applies"
    if is_shared and any(map(is_negotiated, terms)):
        return f"the rates of {name} are agreed for a target, where those that began last apply"
    if all(one is None for one in terms):
        return f"{name} has no rate that could follow the catalog"
    return ""
