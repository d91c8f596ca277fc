-- Seeds: the first catalog records of a new tenant, active from the start.

-- name: add_classes
-- Classes of units; existing ones are left unchanged.
--   $1 tenant_id uuid, $2 unit_class_ids text[], $3 display_names text[], $4 kinds text[],
--   $5 default_unit_ids text[]
INSERT INTO unit_classes (tenant_id, unit_class_id, display_name, kind, default_unit_id, state)
SELECT $1, s.unit_class_id, s.display_name, s.kind, s.default_unit_id, 'ACTIVE'
  FROM unnest($2::text[], $3::text[], $4::text[], $5::text[])
       AS s (unit_class_id, display_name, kind, default_unit_id)
 ORDER BY s.unit_class_id COLLATE "C"
    ON CONFLICT DO NOTHING;

-- name: add_units
-- Their units; existing ones are left unchanged.
--   $1 tenant_id uuid, $2 unit_of_measure_ids text[], $3 display_names text[], $4 unit_class_ids text[],
--   $5 factors numeric[], $6 divisors numeric[], $7 scales smallint[], $8 sequences integer[]
INSERT INTO units_of_measure (tenant_id, unit_of_measure_id, display_name, unit_class_id, factor, divisor,
                              scale, sequence, state)
SELECT $1, s.unit_of_measure_id, s.display_name, s.unit_class_id, s.factor, s.divisor, s.scale, s.sequence, 'ACTIVE'
  FROM unnest($2::text[], $3::text[], $4::text[], $5::numeric[], $6::numeric[], $7::smallint[], $8::integer[])
       AS s (unit_of_measure_id, display_name, unit_class_id, factor, divisor, scale, sequence)
 ORDER BY s.unit_of_measure_id COLLATE "C"
    ON CONFLICT DO NOTHING;
