"""Rates of assets and targets are read by whole keys, whatever the planner knows of the tables."""

import pytest

from server.store import sql
from tests.store.plan_nodes import condition, run_time_nodes

QUERIES = sql.load("rating/rate_snapshots.sql")
# A column after tenant and account by which each table is looked up.
KEYS = {
    "asset_resources": {"asset_id", "wallet_id"},
    "asset_rates": {"asset_id"},
    "wallets": {"wallet_id", "entitlement_account_id"},
    "entitlement_accounts": {"target_id", "entitlement_account_id"},
}
# One account that owns all, so that its id alone finds nothing quickly.
FILL = """
CREATE TEMP TABLE filled AS
SELECT md5('t')::uuid AS tenant_id, 'a' AS account_id, md5(n || 'x')::uuid AS id, n,
       '2024-01-01'::timestamptz + n * interval '1 second' AS at
  FROM generate_series({first}, {last}) AS n;
INSERT INTO assets (tenant_id, account_id, asset_id, line_version, number, product_id, quantity,
                    start_date)
SELECT tenant_id, account_id, id, 1, n, 'p', 1, '2024-01-01'::date FROM filled;
INSERT INTO entitlement_accounts (tenant_id, account_id, entitlement_account_id, target_kind,
                                  target_id, time_zone, currency_code, anchor_date, start_date)
SELECT tenant_id, account_id, id, 'CUSTOM', id::text, 'UTC', 'USD', '2024-01-01', '2024-01-01'
  FROM filled;
INSERT INTO wallets (tenant_id, account_id, wallet_id, entitlement_account_id, usage_resource_id,
                     unit_of_measure_id, aggregation_method, aggregation_period,
                     aggregation_combine, rating_period, waiting_days, late_policy, drawdown_order)
SELECT tenant_id, account_id, id, id, 'r', 'u', 'SUM', 'DAY', 'TOTAL', 'MONTH', 1, 'X',
       'EXPIRING_FIRST' FROM filled;
INSERT INTO asset_resources (tenant_id, account_id, asset_id, usage_resource_id, wallet_id, overage,
                             start_time, policies, is_fixed)
SELECT tenant_id, account_id, id, 'r', id, 'CHARGE', at, '{{}}'::jsonb, false FROM filled;
INSERT INTO asset_rates (tenant_id, account_id, asset_rate_id, asset_id, usage_resource_id,
                         start_time, terms)
SELECT tenant_id, account_id, id, id, 'r', at, '{{}}'::jsonb FROM filled;
DROP TABLE filled;
"""
SIZE = 4_000


@pytest.mark.planner
@pytest.mark.parametrize("analyzed_at", [None, 0, 20, SIZE])
async def test_rates_that_were_sold_are_looked_up_by_whole_keys(owner, app, analyzed_at):
    await owner.execute("SET session_replication_role = replica")
    for table in KEYS:
        await owner.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
    first = analyzed_at or 0
    if first:
        await owner.execute(FILL.format(first=1, last=first))
    if analyzed_at is not None:
        await owner.execute(f"ANALYZE {', '.join(KEYS)}")
    if first < SIZE:
        await owner.execute(FILL.format(first=first + 1, last=SIZE))
    await app.execute("SELECT set_config('usage.tenant_id', md5('t')::uuid::text, false)")
    await app.execute("SET plan_cache_mode = force_generic_plan")

    for name in ("asset_rates", "target_rates", "wallet_additions"):
        found = await run_time_nodes(app, QUERIES[name], set(KEYS))
        assert found
        for node in found:
            asked = condition(node)
            columns = {key for key in KEYS[node["Relation Name"]] if key in asked}
            assert "account_id" in asked, (name, node)
            assert columns, (name, node)
