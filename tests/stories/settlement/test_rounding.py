"""Money is rounded to what a currency has: half a minor unit goes up."""

from decimal import Decimal

import pytest

from tests.stories.words import Metered, figure, line, money


@pytest.mark.capability("M10.yen", "M99.cent")
@pytest.mark.parametrize(
    ("currency", "rate", "exact", "billed"),
    [
        ("USD", "0.005", "0.005", "0.01"),
        ("USD", "0.125", "0.125", "0.13"),
        ("USD", "0.1249", "0.1249", "0.12"),
        ("JPY", "12.5", "12.5", "13"),
        ("JPY", "12.49", "12.49", "12"),
        ("KWD", "0.0005", "0.0005", "0.001"),
        ("KWD", "0.1234", "0.1234", "0.123"),
    ],
)
async def test_a_line_has_the_places_of_its_currency(sandbox, currency, rate, exact, billed):
    world = await sandbox("2024-01-31", currency=currency)
    await world.product("plan", Metered(resource="calls", rate=rate))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    await world.use(asset, "calls", "2024-01-02", 1)
    await world.advance("2024-02-10")

    [owed] = await world.liable(account)
    assert (figure(owed.exact_amount), money(owed.amount)) == (Decimal(exact), Decimal(billed))
    assert owed.amount.currency_code == currency
