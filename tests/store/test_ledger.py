"""Refusals by the database itself, whatever the code above it does."""

from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import pytest

if TYPE_CHECKING:
    from typing import TypeAlias

    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]

ONE, TWO = UUID(int=1), UUID(int=2)
SOME = UUID(int=0xA)  # Of every kind of thing there is one, so one id does for all.
OTHER_GRANT = UUID(int=0xB)

# A tenant with an account that holds a wallet with two grants of 100, issued but not yet posted.
WORLD = """
INSERT INTO tenants (tenant_id, id) VALUES ('{t}', 'tenant-{t}');
INSERT INTO unit_classes (tenant_id, unit_class_id, kind) VALUES ('{t}', 'data', 'USAGE');
INSERT INTO units_of_measure (tenant_id, unit_of_measure_id, unit_class_id)
    VALUES ('{t}', 'gb', 'data');
INSERT INTO usage_resources (tenant_id, usage_resource_id, category, unit_class_id)
    VALUES ('{t}', 'data', 'USAGE', 'data');
INSERT INTO products (tenant_id, product_id, usage_model_type) VALUES ('{t}', 'plan', 'ANCHOR');
INSERT INTO price_books (tenant_id, price_book_id) VALUES ('{t}', 'book');
INSERT INTO account_codes (tenant_id, folded, account_id) VALUES ('{t}', 'acme', 'acme');
INSERT INTO accounts (tenant_id, account_id, time_zone, currency_code, billing_anchor_day)
    VALUES ('{t}', 'acme', 'UTC', 'EUR', 1);
INSERT INTO quotes (tenant_id, account_id, quote_id, state, price_book_id, currency_code)
    VALUES ('{t}', 'acme', '{x}', 'ORDERED', 'book', 'EUR');
INSERT INTO orders (tenant_id, account_id, order_id, quote_id, state, price_book_id, currency_code)
    VALUES ('{t}', 'acme', '{x}', '{x}', 'ACTIVE', 'book', 'EUR');
INSERT INTO order_lines (tenant_id, account_id, order_id, position, asset_id, product_id, quantity,
                         start_date, binding, resources)
    VALUES ('{t}', 'acme', '{x}', 1, '{x}', 'plan', 1, '2026-01-01', 'ASSET', '[]');
INSERT INTO assets (tenant_id, account_id, asset_id, line_version, number, product_id, quantity,
                    start_date)
    VALUES ('{t}', 'acme', '{x}', 1, 1, 'plan', 1, '2026-01-01');
INSERT INTO entitlement_accounts (tenant_id, account_id, entitlement_account_id, target_kind,
                                  target_id, time_zone, currency_code, anchor_date,
                                  start_date)
    VALUES ('{t}', 'acme', '{x}', 'ASSET', '{x}', 'UTC', 'EUR', '2026-01-01', '2026-01-01');
INSERT INTO wallets (tenant_id, account_id, wallet_id, entitlement_account_id, usage_resource_id,
                     unit_of_measure_id, aggregation_method, aggregation_period,
                     aggregation_combine, rating_period, waiting_days, late_policy, drawdown_order)
    VALUES ('{t}', 'acme', '{x}', '{x}', 'data', 'gb', 'SUM', 'DAY', 'TOTAL', 'MONTH', 0, 'NEXT',
            'EXPIRY');
INSERT INTO asset_resources (tenant_id, account_id, asset_id, usage_resource_id, wallet_id,
                             overage, start_time, policies, is_fixed)
    VALUES ('{t}', 'acme', '{x}', 'data', '{x}', 'CHARGE', '2026-01-01Z', '{{}}', false);
INSERT INTO entitlements (tenant_id, account_id, entitlement_id, number, wallet_id, asset_id,
                          usage_resource_id, action, product_id, product_grant_id, quantity,
                          unit_scale, start_date, anchor_date, can_roll_over)
    VALUES ('{t}', 'acme', '{x}', 1, '{x}', '{x}', 'data', 'NEW', 'plan', 'monthly', 100, 0,
            '2026-01-01', '2026-01-01', false);
INSERT INTO grants (tenant_id, account_id, wallet_id, grant_id, entitlement_id, kind, issue_index,
                    quantity, start_time)
    VALUES ('{t}', 'acme', '{x}', '{x}', '{x}', 'ISSUE', 0, 100, '2026-01-01Z'),
           ('{t}', 'acme', '{x}', '{o}', '{x}', 'ISSUE', 1, 100, '2026-02-01Z');
"""
POST = """
INSERT INTO wallet_entries (tenant_id, account_id, wallet_id, seq, grant_id, grant_seq, kind,
                            amount, wallet_before, wallet_after, grant_before, grant_after,
                            effective_time, cause_kind, cause_id, leg, hash)
VALUES ($1, 'acme', $2, $3, $4, $5, $6, $7::text::numeric, $8::text::numeric, $9::text::numeric,
        $10::text::numeric, $11::text::numeric, '2026-01-01Z', 'CELL', $12, '0', $13)
"""


async def act_for(app: "Connection", tenant: UUID | None) -> None:
    await app.execute(
        "SELECT set_config('usage.tenant_id', $1, false)", str(tenant) if tenant else ""
    )


async def post(
    app: "Connection",
    seq: int,
    amount: str,
    *,
    before: str = "0",
    grant_before: str | None = None,
    grant_seq: int | None = None,
    grant: UUID = SOME,
    cause: str | None = None,
    after: str | None = None,
    tenant: UUID = ONE,
) -> None:
    """Post an entry that adds up, of the wallet's only grant, unless told otherwise."""
    opening = before if grant_before is None else grant_before
    await app.execute(
        POST,
        tenant,
        SOME,
        seq,
        grant,
        seq if grant_seq is None else grant_seq,
        "GRANT" if Decimal(amount) > 0 else "DRAWDOWN",
        amount,
        before,
        str(Decimal(before) + Decimal(amount)) if after is None else after,
        opening,
        str(Decimal(opening) + Decimal(amount)),
        cause or f"cause {seq}",
        bytes(32),
    )


@pytest.fixture
async def ledger(owner: "Connection", app: "Connection") -> "Connection":
    """A wallet whose only entry so far grants it 100."""
    await owner.execute(WORLD.format(t=ONE, x=SOME, o=OTHER_GRANT))
    await act_for(app, ONE)
    await post(app, 1, "100")
    return app


async def test_entries_that_follow_each_other_are_taken(ledger: "Connection") -> None:
    await post(ledger, 2, "-40.000000000001", before="100")
    await post(
        ledger, 3, "100", before="59.999999999999", grant=OTHER_GRANT, grant_seq=1, grant_before="0"
    )

    balances = await ledger.fetch("SELECT wallet_after FROM wallet_entries ORDER BY seq")
    assert [row[0] for row in balances] == [
        Decimal(100),
        Decimal("59.999999999999"),
        Decimal("159.999999999999"),
    ]


@pytest.mark.parametrize(
    ("entry", "constraint"),
    [
        pytest.param({"seq": 3, "grant_seq": 2}, "wallet_follows", id="a gap in the wallet"),
        pytest.param({"grant_seq": 3}, "grant_follows", id="a gap in the grant"),
        pytest.param(
            {"before": "99", "grant_before": "100"}, "wallet_follows", id="wallet opening"
        ),
        pytest.param({"grant_before": "99"}, "grant_follows", id="grant opening"),
        pytest.param({"after": "91"}, "wallet_adds_up", id="a sum that is wrong"),
        pytest.param({"seq": 1, "grant_seq": 2}, "wallet_opens_empty", id="a second beginning"),
        pytest.param({"grant_seq": 1}, "grant_opens_empty", id="a second beginning of the grant"),
        pytest.param({"amount": "-101"}, "grant_adds_up", id="an overdraft"),
        pytest.param(
            {"amount": "-101", "grant_before": "200"},
            "wallet_adds_up",
            id="an overdraft of the wallet alone",
        ),
        pytest.param(
            {"amount": "-1", "grant": OTHER_GRANT, "grant_seq": 1, "grant_before": "0"},
            "grant_adds_up",
            id="an overdraft of the grant alone",
        ),
        pytest.param({"amount": "0"}, "wallet_entries_amount_check", id="nothing moved"),
        pytest.param({"cause": "cause 1"}, "one_entry_a_cause", id="the same cause twice"),
        pytest.param(
            {"grant": UUID(int=0xC), "grant_seq": 1, "grant_before": "0", "amount": "1"},
            "grant_exists",
            id="a grant that is not there",
        ),
    ],
)
async def test_a_wrong_entry_is_refused(
    ledger: "Connection", entry: dict[str, str | int | UUID], constraint: str
) -> None:
    wrong = {"seq": 2, "amount": "-10", "before": "100", **entry}

    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refusal:
        await post(ledger, **wrong)  # type: ignore[arg-type]

    assert refusal.value.constraint_name == constraint


async def test_of_two_entries_for_one_position_one_is_taken(ledger: "Connection") -> None:
    await post(ledger, 2, "-10", before="100")

    with pytest.raises(asyncpg.UniqueViolationError):
        await post(ledger, 2, "-20", before="100", cause="another")


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "0.1234567890123", "1e26", "-1e26"]
)
async def test_a_number_out_of_the_domain_is_refused(ledger: "Connection", number: str) -> None:
    for statement in (
        "SELECT $1::text::numeric::quantity",
        "UPDATE grants SET balance = $1::text::numeric",
        "UPDATE wallets SET balance = $1::text::numeric",
    ):
        with pytest.raises(asyncpg.CheckViolationError) as refusal:
            await ledger.execute(statement, number)
        assert refusal.value.constraint_name == "quantity_check"


async def test_numbers_are_kept_to_the_last_place(ledger: "Connection") -> None:
    for number in ("99999999999999999999999999.999999999999", "-0.000000000001"):
        kept = await ledger.fetchval("SELECT $1::text::numeric::quantity::numeric", number)
        assert kept == Decimal(number)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE wallet_entries SET leg = '1'",
        "DELETE FROM wallet_entries",
        "TRUNCATE wallet_entries",
    ],
)
async def test_not_even_a_superuser_rewrites_the_ledger(
    ledger: "Connection", owner: "Connection", statement: str
) -> None:
    with pytest.raises(asyncpg.RestrictViolationError, match="wallet_entries only grows"):
        await owner.execute(statement)

    assert await ledger.fetchval("SELECT count(*) FROM wallet_entries") == 1


async def test_tenants_do_not_see_each_other(ledger: "Connection", owner: "Connection") -> None:
    await owner.execute(WORLD.format(t=TWO, x=SOME, o=OTHER_GRANT))
    tables = await owner.fetch(
        "SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_attribute a"
        " ON a.attrelid = c.oid AND a.attname = 'tenant_id'"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'"
    )

    for tenant in (ONE, TWO):
        await act_for(ledger, tenant)
        for table in tables:
            seen = await ledger.fetch(f"SELECT DISTINCT tenant_id FROM {table['name']}")
            assert {row[0] for row in seen} <= {tenant}, table
        assert await ledger.fetchval("SELECT count(*) FROM wallets") == 1
    assert await ledger.fetchval("SELECT count(*) FROM wallet_entries") == 0

    changed = await ledger.execute("UPDATE wallets SET balance = 1 WHERE tenant_id = $1", ONE)
    assert changed == "UPDATE 0"
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await post(ledger, 2, "-10", before="100")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await ledger.execute("UPDATE wallets SET tenant_id = $1", ONE)


async def test_without_a_tenant_nothing_is_seen_or_written(ledger: "Connection") -> None:
    await act_for(ledger, None)

    assert await ledger.fetchval("SELECT count(*) FROM tenants") == 0
    assert await ledger.fetchval("SELECT count(*) FROM wallet_entries") == 0
    assert await ledger.execute("UPDATE wallets SET balance = 1") == "UPDATE 0"
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await post(ledger, 2, "-10", before="100")


async def test_what_crosses_tenants_answers_with_keys(
    ledger: "Connection", owner: "Connection"
) -> None:
    await owner.execute(WORLD.format(t=TWO, x=SOME, o=OTHER_GRANT))
    await owner.execute(
        "INSERT INTO credentials (tenant_id, credential_id, key_hash, roles)"
        " VALUES ($1, $2, $3, '{}')",
        TWO,
        SOME,
        bytes(32),
    )
    await owner.execute(
        "INSERT INTO jobs (tenant_id, job_id, kind, rank, payload, fire_time, available_time)"
        " SELECT t, t, 'FREEZE', 1, '{}', now() - '1 h'::interval, now() - '1 h'::interval"
        " FROM unnest($1::uuid[]) AS t",
        [ONE, TWO],
    )
    await act_for(ledger, None)

    credential = await ledger.fetch("SELECT tenant_id FROM tenant_of_credential($1)", bytes(32))
    due = await ledger.fetch("SELECT tenant_id FROM tenants_with_due_jobs('{FREEZE}') ORDER BY 1")
    await owner.execute("UPDATE jobs SET state = 'DONE', end_time = fire_time")
    ended = await ledger.fetch("SELECT tenant_id FROM tenants_with_ended_jobs(now()) ORDER BY 1")
    revisions = await ledger.fetch("SELECT tenant_id FROM catalog_revisions()")
    keys = await ledger.fetch("SELECT tenant_id FROM tenant_keys()")

    assert [row[0] for row in credential] == [TWO]
    for rows in (due, ended, revisions, keys):
        assert [row[0] for row in rows] == [ONE, TWO]
