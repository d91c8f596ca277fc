-- Versions of policies: the earlier content is stored, and the number of the policy is raised.

-- name: keep_version
-- The content that is about to be replaced.
--   $1 tenant_id uuid, $2 kind text, $3 policy_id text, $4 version integer, $5 content jsonb,
--   $6 supersede_time timestamptz, $7 supersede_date date or null
INSERT INTO policy_versions (tenant_id, kind, policy_id, version, content, supersede_time, supersede_date)
VALUES ($1, $2, $3, $4, $5, $6, $7);

-- name: pending_day
-- The day on which the newest version of a policy begins, if it is after a day.
--   $1 tenant_id uuid, $2 kind text, $3 policy_id text, $4 day date
SELECT max(supersede_date) FROM policy_versions
 WHERE tenant_id = $1 AND kind = $2 AND policy_id = $3 AND supersede_date > $4;

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
SELECT version, content, supersede_time, supersede_date FROM policy_versions
 WHERE tenant_id = $1 AND kind = $2 AND policy_id = $3
 ORDER BY version DESC LIMIT $4;

-- name: versions_at
-- The versions of some policies that are in force on a day, which ends at a time, and are replaced after it.
--   $1 tenant_id uuid, $2 kind text, $3 policy_ids text[], $4 time timestamptz, $5 day date
SELECT DISTINCT ON (policy_id) policy_id, version, content FROM policy_versions
 WHERE tenant_id = $1 AND kind = $2 AND policy_id = ANY ($3::text[])
   AND CASE WHEN supersede_date IS NULL THEN supersede_time >= $4 ELSE supersede_date > $5 END
 ORDER BY policy_id, version;

-- name: ending_after
-- The versions of some policies that end on a day after another one, by policy, the oldest first.
--   $1 tenant_id uuid, $2 kind text, $3 policy_ids text[], $4 day date
SELECT policy_id, version, content, supersede_date FROM policy_versions
 WHERE tenant_id = $1 AND kind = $2 AND policy_id = ANY ($3::text[]) AND supersede_date > $4
 ORDER BY policy_id, version;

-- name: users
-- The active products that refer to a policy, by an active resource or grant, or through their usage resource.
--   $1 tenant_id uuid, $2 kind text, $3 policy_id text
SELECT p.product_id
  FROM products AS p
 WHERE p.tenant_id = $1 AND p.state = 'ACTIVE' AND p.product_id IN (
       SELECT h.product_id
         FROM product_usage_resources AS h
         JOIN usage_resources AS u ON u.tenant_id = $1 AND u.usage_resource_id = h.usage_resource_id
        WHERE h.tenant_id = $1 AND h.state = 'ACTIVE' AND CASE $2
              WHEN 'AggregationPolicy' THEN h.aggregation_policy_id = $3
              WHEN 'RatingFrequencyPolicy' THEN $3 IN (h.rating_frequency_policy_id, u.rating_frequency_policy_id)
              WHEN 'OveragePolicy' THEN $3 IN (h.overage_policy_id, u.overage_policy_id)
              WHEN 'CommitmentPolicy' THEN h.commitment_policy_id = $3 END
        UNION ALL
       SELECT g.product_id
         FROM product_usage_grants AS g
        WHERE g.tenant_id = $1 AND g.state = 'ACTIVE' AND CASE $2
              WHEN 'RefreshPolicy' THEN g.refresh_policy_id = $3
              WHEN 'RolloverPolicy' THEN g.rollover_policy_id = $3 END)
 ORDER BY p.product_id;

-- name: anchors_of
-- The active anchors that meter some of these resources.
--   $1 tenant_id uuid, $2 usage_resource_ids text[]
SELECT DISTINCT p.product_id
  FROM products AS p
  JOIN product_usage_resources AS h ON h.tenant_id = $1 AND h.product_id = p.product_id AND h.state = 'ACTIVE'
 WHERE p.tenant_id = $1 AND p.state = 'ACTIVE' AND p.usage_model_type = 'ANCHOR'
   AND h.usage_resource_id = ANY ($2::text[])
 ORDER BY p.product_id;
