"""Short words for corrections: those of an account, and what waits for one."""

from usage_management.v1 import summary_service_pb2 as pb

from clients.pages import pages
from tests.stories.world import World


async def corrections(world: World, account: str, **only: object) -> list[pb.Correction]:
    """The corrections of an account, whole, oldest first."""
    rpc = world.client.summaries
    request = pb.ListCorrectionsRequest(parent=account, **only)
    listed = [one async for one in pages(rpc.ListCorrections, request)]
    return [await rpc.GetCorrection(pb.GetCorrectionRequest(name=one.name)) for one in listed]


async def pending(world: World, account: str, **only: object) -> list[pb.PendingCorrection]:
    """The wallets that wait for a correction."""
    request = pb.ListPendingCorrectionsRequest(parent=account, **only)
    return [one async for one in pages(world.client.summaries.ListPendingCorrections, request)]
