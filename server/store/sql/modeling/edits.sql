-- Edits of the catalog: the records that prevent a change.

-- name: tokens_of
-- The resources of a product that are rated in a token, with the token.
--   $1 tenant_id uuid, $2 product_id text
SELECT p.usage_resource_id, coalesce(p.token_resource_id, u.token_resource_id) AS token_resource_id
  FROM product_usage_resources AS p
  JOIN usage_resources AS u ON u.tenant_id = $1 AND u.usage_resource_id = p.usage_resource_id
 WHERE p.tenant_id = $1 AND p.product_id = $2 AND coalesce(p.token_resource_id, u.token_resource_id) IS NOT NULL
 ORDER BY p.usage_resource_id;

-- name: referrers
-- The records of the catalog and the binding targets that refer to a record, by name after the last one seen. Rates
-- and targets do not keep it in force, because what was sold continues under withdrawn records. Goes from account to
-- account (OFFSET keeps the planner from reordering), so that every target is found by its account.
--   $1 tenant_id uuid, $2 kind text, $3 id text, $4 second_id text, $5 after text, $6 limit bigint,
--   $7 only_active boolean, $8 with_targets boolean
SELECT r.name, r.state
  FROM (SELECT 'unitsOfMeasure/' || u.unit_of_measure_id AS name, u.state
          FROM units_of_measure AS u
         WHERE $2 = 'UnitClass' AND u.tenant_id = $1 AND u.unit_class_id = $3
        UNION ALL
        SELECT 'usageResources/' || u.usage_resource_id, u.state
          FROM usage_resources AS u
         WHERE u.tenant_id = $1 AND CASE $2
               WHEN 'UnitClass' THEN u.unit_class_id = $3
               -- Without a unit of its own, a resource counts in the default unit of its class.
               WHEN 'UnitOfMeasure' THEN $3 = coalesce(u.unit_of_measure_id, (
                    SELECT c.default_unit_id FROM unit_classes AS c
                     WHERE c.tenant_id = $1 AND c.unit_class_id = u.unit_class_id))
               WHEN 'RatingFrequencyPolicy' THEN u.rating_frequency_policy_id = $3
               WHEN 'OveragePolicy' THEN u.overage_policy_id = $3
               WHEN 'UsageResource' THEN u.token_resource_id = $3
               WHEN 'Product' THEN u.definition_product_id = $3 END
        UNION ALL
        SELECT 'products/' || p.product_id || '/usageResources/' || p.product_usage_resource_id, p.state
          FROM product_usage_resources AS p
         WHERE p.tenant_id = $1 AND CASE $2
               WHEN 'Product' THEN p.product_id = $3
               WHEN 'UsageResource' THEN $3 IN (p.usage_resource_id, p.token_resource_id)
               WHEN 'CommitmentPolicy' THEN p.commitment_policy_id = $3
               WHEN 'AggregationPolicy' THEN p.aggregation_policy_id = $3
               WHEN 'RatingFrequencyPolicy' THEN p.rating_frequency_policy_id = $3
               WHEN 'OveragePolicy' THEN p.overage_policy_id = $3 END
        UNION ALL
        SELECT 'products/' || g.product_id || '/grants/' || g.grant_id, g.state
          FROM product_usage_grants AS g
         WHERE g.tenant_id = $1 AND CASE $2
               WHEN 'UnitOfMeasure' THEN g.unit_of_measure_id = $3
               WHEN 'ProductUsageResource' THEN g.product_id = $3 AND g.product_usage_resource_id = $4
               WHEN 'RefreshPolicy' THEN g.refresh_policy_id = $3
               WHEN 'RolloverPolicy' THEN g.rollover_policy_id = $3
               WHEN 'SellingModel' THEN g.selling_model_id = $3 END
        UNION ALL
        SELECT 'rateCards/' || e.rate_card_id || '/entries/' || e.entry_id, e.state
          FROM rate_card_entries AS e
         WHERE e.tenant_id = $1 AND CASE $2
               WHEN 'Product' THEN e.product_id = $3
               WHEN 'UsageResource' THEN e.usage_resource_id = $3
               WHEN 'SellingModel' THEN e.selling_model_id = $3
               WHEN 'RateCard' THEN e.rate_card_id = $3
               WHEN 'CustomField' THEN e.custom_fields ? $3
               WHEN 'UnitOfMeasure' THEN e.rate_unit_id = $3
               WHEN 'ProductUsageResource' THEN e.product_id = $3 AND e.usage_resource_id = (
                    SELECT max(h.usage_resource_id) FROM product_usage_resources AS h
                      JOIN product_usage_resources AS o
                        ON o.tenant_id = $1 AND o.product_id = $3 AND o.usage_resource_id = h.usage_resource_id
                     WHERE h.tenant_id = $1 AND h.product_id = $3 AND h.product_usage_resource_id = $4
                    HAVING count(*) = 1) END
        UNION ALL
        SELECT 'accounts/' || c.account_id || '/bindingTargets/' || t.binding_target_id, 'ACTIVE'
          FROM account_codes AS c
         CROSS JOIN LATERAL (
               SELECT DISTINCT p.binding_target_id
                 FROM binding_target_policies AS p
                WHERE p.tenant_id = $1 AND p.account_id = c.account_id AND CASE $2
                      WHEN 'UsageResource' THEN p.usage_resource_id = $3
                      WHEN 'AggregationPolicy' THEN p.aggregation_policy_id = $3
                      WHEN 'RatingFrequencyPolicy' THEN p.rating_frequency_policy_id = $3
                      WHEN 'OveragePolicy' THEN p.overage_policy_id = $3
                      WHEN 'CommitmentPolicy' THEN p.commitment_policy_id = $3 END
               OFFSET 0) AS t
         WHERE c.tenant_id = $1 AND NOT $7::boolean AND $8::boolean AND $2 IN (
               'UsageResource', 'AggregationPolicy', 'RatingFrequencyPolicy', 'OveragePolicy', 'CommitmentPolicy')
        UNION ALL
        SELECT 'priceBooks/' || b.price_book_id, 'ACTIVE'
          FROM price_book_rate_cards AS b
         WHERE $2 = 'RateCard' AND b.tenant_id = $1 AND b.rate_card_id = $3
        UNION ALL
        SELECT 'procedures/' || v.procedure_id || '/versions/' || v.version_id, v.state
          FROM procedure_versions AS v
         WHERE $2 = 'Procedure' AND v.tenant_id = $1 AND v.procedure_id = $3
        UNION ALL
        SELECT 'the default for ' || d.usage, 'ACTIVE'
          FROM default_procedures AS d
         WHERE $2 = 'Procedure' AND d.tenant_id = $1 AND d.procedure_id = $3) AS r
 WHERE r.name > $5::text COLLATE "C" AND (NOT $7::boolean OR (r.state = 'ACTIVE' AND r.name NOT LIKE 'rateCards/%'))
 ORDER BY r.name COLLATE "C" LIMIT $6;

-- name: count_targets
-- The number of binding targets that refer to a record, of which there may be some in every account.
--   $1 tenant_id uuid, $2 kind text, $3 id text
SELECT coalesce(sum(t.targets), 0)::integer AS targets
  FROM account_codes AS c
 CROSS JOIN LATERAL (
       SELECT count(DISTINCT p.binding_target_id) AS targets
         FROM binding_target_policies AS p
        WHERE p.tenant_id = $1 AND p.account_id = c.account_id AND CASE $2
              WHEN 'UsageResource' THEN p.usage_resource_id = $3
              WHEN 'AggregationPolicy' THEN p.aggregation_policy_id = $3
              WHEN 'RatingFrequencyPolicy' THEN p.rating_frequency_policy_id = $3
              WHEN 'OveragePolicy' THEN p.overage_policy_id = $3
              WHEN 'CommitmentPolicy' THEN p.commitment_policy_id = $3 END
       OFFSET 0) AS t
 WHERE c.tenant_id = $1;
