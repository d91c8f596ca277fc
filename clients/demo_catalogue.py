"""What the demo sells, by `demo.yaml`: an AI platform by tokens, images and storage."""

from pathlib import Path

from usage.v1 import setup_service_pb2 as pb

from clients import descriptions
from clients.client import UsageClient

FILE = Path(__file__).with_name("demo.yaml")

PRODUCT = "nimbus-ai"
PRICE_BOOK = "priceBooks/europe"
CURRENCY = "EUR"
MILLION = 1_000_000


async def define(client: UsageClient) -> None:
    """Define the product and all it needs, and put it in force; again changes nothing."""
    await client.setup.SetUpProduct(descriptions.read(FILE).into(pb.SetUpProductRequest()))
