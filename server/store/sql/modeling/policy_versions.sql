-- Versions of policies: the earlier content is stored, and the number of the policy is raised.

-- name: keep_version
-- The content that is about to be replaced.
--   $1 tenant_id uuid, $2 kind text, $3 policy_id text, $4 version integer, $5 content jsonb
INSERT INTO policy_versions (tenant_id, kind, policy_id, version, content) VALUES ($1, $2, $3, $4, $5);

-- name: raise_version
-- The number of the policy's new version.
--   $1 tenant_id uuid, $2 kind text, $3 policy_id text
WITH aggregation AS (
    UPDATE aggregation_policies SET version = version + 1
     WHERE tenant_id = $1 AND policy_id = $3 AND $2 = 'AggregationPolicy'),
rating_frequency AS (
    UPDATE rating_frequency_policies SET version = version + 1
     WHERE tenant_id = $1 AND policy_id = $3 AND $2 = 'RatingFrequencyPolicy'),
overage AS (
    UPDATE overage_policies SET version = version + 1
     WHERE tenant_id = $1 AND policy_id = $3 AND $2 = 'OveragePolicy'),
refresh AS (
    UPDATE refresh_policies SET version = version + 1
     WHERE tenant_id = $1 AND policy_id = $3 AND $2 = 'RefreshPolicy'),
rollover AS (
    UPDATE rollover_policies SET version = version + 1
     WHERE tenant_id = $1 AND policy_id = $3 AND $2 = 'RolloverPolicy')
UPDATE commitment_policies SET version = version + 1
 WHERE tenant_id = $1 AND policy_id = $3 AND $2 = 'CommitmentPolicy';

-- name: list_versions
-- The earlier versions of a policy, newest first.
--   $1 tenant_id uuid, $2 kind text, $3 policy_id text, $4 limit bigint
SELECT version, content, supersede_time FROM policy_versions
 WHERE tenant_id = $1 AND kind = $2 AND policy_id = $3
 ORDER BY version DESC LIMIT $4;
