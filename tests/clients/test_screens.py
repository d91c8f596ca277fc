"""Screens: numbers as people write them, and nothing important cut off."""

from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from google.type.money_pb2 import Money
from rich.console import Console
from usage_management.v1 import summary_service_pb2 as summaries
from usage_management.v1 import types_pb2 as types
from usage_management.v1 import wallet_service_pb2 as wallets

from clients import screens
from clients.values import decimal_pb, time_pb
from server.api.errors import status_of
from server.domain.errors import FailedPrecondition

BERLIN = ZoneInfo("Europe/Berlin")


def shown(what: object, width: int = 80) -> str:
    console = Console(width=width)
    with console.capture() as captured:
        console.print(what)
    return captured.get()


@pytest.mark.parametrize(
    ("value", "text"),
    [("5000000", "5,000,000"), ("0.10", "0.1"), ("-1234.5", "-1,234.5"), ("100", "100")],
)
def test_numbers(value: str, text: str) -> None:
    assert screens.grouped(Decimal(value)) == text


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [
        ("2026-03-01", "2026-04-01", "Mar 2026"),
        ("2026-12-01", "2027-01-01", "Dec 2026"),
        ("2026-03-15", "2026-04-15", "2026-03-15 → 2026-04-15"),
        ("2026-03-01T06:00", "2026-03-02", "2026-03-01 06:00 → 2026-03-02"),
    ],
)
def test_spans_are_of_the_accounts_zone(start: str, end: str, text: str) -> None:
    first, behind = (
        time_pb(datetime.fromisoformat(one).replace(tzinfo=BERLIN)) for one in (start, end)
    )

    assert screens.span(first, behind, "Europe/Berlin") == text


def test_a_wallet_fits_into_eighty_columns() -> None:
    wallet = wallets.Wallet(
        name="accounts/a/wallets/w",
        usage_resource="usageResources/tokens",
        balance=decimal_pb(5_000_000),
        granted_quantity=decimal_pb(5_000_000),
        used_quantity=decimal_pb(20_875_458),
        overage_quantity=decimal_pb(15_875_458),
        estimated_amount=decimal_pb(Decimal("134.941393")),
        currency_code="EUR",
        period_start_time=time_pb(datetime(2026, 1, 1, tzinfo=BERLIN)),
        period_end_time=time_pb(datetime(2026, 2, 1, tzinfo=BERLIN)),
    )

    text = shown(screens.wallet_table([wallet], "Wallets", "Europe/Berlin"))

    for part in ("5,000,000", "20,875,458", "15,875,458", "134.94 EUR", "Wallets, Jan 2026"):
        assert part in text


def test_a_wallet_shows_what_is_not_billed_of_earlier_periods() -> None:
    one = wallets.Wallet(
        usage_resource="usageResources/tokens",
        estimated_amount=decimal_pb(Decimal("134.941393")),
        unbilled_amount=decimal_pb(Decimal("-12345678.987")),
        currency_code="EUR",
    )
    other = wallets.Wallet(usage_resource="usageResources/calls", unbilled_amount=decimal_pb(0))

    both = shown(screens.wallet_table([one, other], "Wallets"))

    for part in ("before, unbilled", "-12,345,678.99", "134.94 EUR"):
        assert part in both
    assert "unbilled" not in shown(screens.wallet_table([other], "Wallets"))


def line(month: int, origin: int, day: int = 1) -> summaries.LiableSummary:
    """A line of a month, of the usage of the same month or of an earlier one."""
    times = (datetime(2026, one, day, tzinfo=BERLIN) for one in (month, month + 1))
    first, behind, began, ended = (
        time_pb(one)
        for one in (*times, *(datetime(2026, n, day, tzinfo=BERLIN) for n in (origin, origin + 1)))
    )
    return summaries.LiableSummary(
        start_time=first,
        end_time=behind,
        origin_start_time=began,
        origin_end_time=ended,
        usage_resource="usageResources/calls",
        amount=Money(currency_code="EUR", units=15_875_458),
        state=summaries.LiableSummary.READY_FOR_INVOICING,
    )


def test_a_line_of_late_usage_names_the_period_of_the_usage() -> None:
    late = shown(screens.liable_table([line(2, 1), line(2, 2)], "Lines", "Europe/Berlin"))
    trace = summaries.TraceLiableSummaryResponse(liable_summary=line(2, 1))

    assert [late.count(text) for text in ("Feb 2026", "for Jan 2026", "for Feb")] == [2, 1, 0]
    assert "calls, Feb 2026, for Jan 2026" in shown(screens.trace_tree(trace, "Europe/Berlin"))
    wide = shown(screens.liable_table([line(2, 1, 15), line(2, 2)], "Lines", "Europe/Berlin"))
    for part in ("calls", "15,875,458", "2026-02-15 → 2026-03-15", "for 2026-01-15 → "):
        assert part in wide


def test_a_period_stands_in_the_title_when_it_is_that_of_all_rows() -> None:
    one = shown(screens.liable_table([line(1, 1), line(1, 1)], "Lines", "Europe/Berlin"))
    two = shown(screens.liable_table([line(1, 1), line(2, 2)], "Lines", "Europe/Berlin"))

    assert ("Lines, Jan 2026" in one, one.count("Jan 2026")) == (True, 1)
    assert ("Lines, " in two, two.count("Jan 2026"), two.count("Feb 2026")) == (False, 1, 1)


def test_grants_that_are_settled_have_no_column_for_what_is_not() -> None:
    wallet = wallets.Wallet(name="accounts/a/wallets/w", usage_resource="usageResources/calls")
    five, six = decimal_pb(5), decimal_pb(6)
    settled = wallets.Grant(quantity=six, balance=five, posted_balance=five, kind="SALE")
    live = wallets.Grant(quantity=six, balance=five, posted_balance=six, kind="REFRESH")

    assert "posted" not in shown(screens.grant_table([(wallet, settled)], "Grants"))
    both = shown(screens.grant_table([(wallet, settled), (wallet, live)], "Grants"))
    assert "posted" in both
    assert both.count("calls") == 1


def test_rates_go_from_step_to_step() -> None:
    steps = [
        types.WaterfallStep(outputs={"rate": rate, "per": "1000000", "unit": "USD"})
        for rate in ("2.5", "2", "1.7")
    ]
    rated = summaries.RatableSummary(
        usage_resource="usageResources/prompt-tokens",
        overage_quantity=decimal_pb(15_604_795),
        amount=decimal_pb(Decimal("26.5281515")),
        currency_code="USD",
        waterfall=steps,
    )
    failed = summaries.RatableSummary(error=status_of(FailedPrecondition("RATE_NOT_FOUND", "")))

    text = shown(screens.rating_table([rated, failed], "Rating"))

    assert "2.5 → 2 → 1.7 USD per 1,000,000  26.5281515 USD" in text
    assert "RATE_NOT_FOUND" in text


def test_a_waterfall_reads_as_rates() -> None:
    step = types.WaterfallStep(
        sequence=1,
        element="VOLUME_TIER",
        inputs={"adjustment": "PERCENTAGE", "value": "15", "lower": "10", "upper": "5000"},
        outputs={"rate": "8.5", "per": "1000000", "unit": "EUR"},
        note="why",
    )

    text = shown(screens.waterfall_table(summaries.RatableSummary(waterfall=[step])))

    assert "tier 10 – 5,000" in text
    assert "percentage 15 %" in text
    assert "8.5 EUR per 1,000,000" in text


def test_lines_are_added_up_by_currency() -> None:
    lines = [
        summaries.LiableSummary(amount=Money(currency_code=code, units=units, nanos=500_000_000))
        for code, units in (("EUR", 1), ("EUR", 2), ("USD", 3))
    ]

    assert "4.00 EUR, 3.50 USD" in shown(screens.liable_table(lines, "Lines"), 120)
