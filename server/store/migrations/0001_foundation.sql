-- The whole schema: tenants, catalog, rates, sales, usage, wallets, summaries, jobs.
--
-- Three kinds of table; the comment on each names its kind, and a test checks it:
--   catalog  key (tenant_id, …)              what can be sold; the same on every node
--   run-time   key (tenant_id, account_id, …)  the data of one account, which is the unit of distribution
--   control    tenants, credentials, jobs      what the service needs to run itself
-- Foreign keys go to tenants, catalog → catalog, run-time → catalog, run-time → same account,
-- control → control, and nowhere else.
--
-- Ids are compared as bytes (COLLATE "C"). Numbers have domains, not numeric(p, s), which silently rounds
-- and accepts NaN.

CREATE EXTENSION IF NOT EXISTS btree_gist;

-- An id that its owner chooses: of a catalog record, or of an account.
CREATE DOMAIN code AS text COLLATE "C" CHECK (VALUE ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$');
CREATE DOMAIN byte_text AS text COLLATE "C";
-- A quantity or a rate: finite, at most 12 places, below 10^26.
CREATE DOMAIN quantity AS numeric
    CHECK (VALUE > '-Infinity' AND VALUE < 'Infinity' AND VALUE = round(VALUE, 12) AND abs(VALUE) < 1e26);
-- A sum of quantities, which may exceed the range of one quantity; such a line is stored, and its rating fails.
CREATE DOMAIN total AS numeric
    CHECK (VALUE > '-Infinity' AND VALUE < 'Infinity' AND VALUE = round(VALUE, 12));
-- An amount before rounding: 24 places.
CREATE DOMAIN exact_amount AS numeric
    CHECK (VALUE > '-Infinity' AND VALUE < 'Infinity' AND VALUE = round(VALUE, 24) AND abs(VALUE) < 1e52);

-- Control ------------------------------------------------------------------------------------------

CREATE TABLE tenants (
    tenant_id          uuid PRIMARY KEY,
    id                 code NOT NULL,
    display_name       text NOT NULL DEFAULT '',
    clock_start_time   timestamptz,
    clock_time         timestamptz,
    catalog_revision bigint NOT NULL DEFAULT 1,
    usage_window_days  integer NOT NULL DEFAULT 400 CHECK (usage_window_days BETWEEN 1 AND 3650),
    create_time        timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT tenant_clock_is_whole CHECK ((clock_start_time IS NULL) = (clock_time IS NULL)),
    CONSTRAINT tenant_clock_moves_forward CHECK (clock_time >= clock_start_time)
);
COMMENT ON TABLE tenants IS 'control: one customer of the service; a sandbox has a clock of its own';
CREATE UNIQUE INDEX tenant_id_taken ON tenants (lower(id));

CREATE TABLE credentials (
    tenant_id     uuid NOT NULL REFERENCES tenants,
    credential_id uuid NOT NULL,
    key_hash      bytea NOT NULL CHECK (length(key_hash) = 32),
    display_name  text NOT NULL DEFAULT '',
    roles         text[] NOT NULL,
    expire_time   timestamptz,
    revoke_time   timestamptz,
    create_time   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, credential_id),
    CONSTRAINT credential_key_taken UNIQUE (key_hash)
);
COMMENT ON TABLE credentials IS 'control: keys as SHA-256, and the roles they carry';

CREATE TABLE runs (
    tenant_id     uuid NOT NULL REFERENCES tenants,
    run_id        uuid NOT NULL,
    kind          text NOT NULL,
    state         text NOT NULL CHECK (state IN ('RUNNING', 'DONE', 'FAILED')),
    start_time    timestamptz NOT NULL,
    target_time   timestamptz NOT NULL,
    done_counts   jsonb NOT NULL DEFAULT '{}',
    error         text NOT NULL DEFAULT '',
    failed_job_id uuid,
    create_time   timestamptz NOT NULL DEFAULT clock_timestamp(),
    end_time      timestamptz,
    PRIMARY KEY (tenant_id, run_id)
);
COMMENT ON TABLE runs IS 'control: one run of jobs and its progress';
CREATE UNIQUE INDEX one_run_at_a_time ON runs (tenant_id, kind) WHERE state = 'RUNNING';

-- `fire_time` is by the tenant's clock, `available_time` by the database's. No worker claims the job before
-- `available_time`, because a worker has claimed it or because it failed; null if neither. Ids are derived from
-- the subject, so adding a job twice has no effect.
CREATE TABLE jobs (
    tenant_id      uuid NOT NULL REFERENCES tenants,
    job_id         uuid NOT NULL,
    kind           text NOT NULL,
    rank           smallint NOT NULL,
    account_id     byte_text NOT NULL DEFAULT '',
    payload        jsonb NOT NULL,
    fire_time      timestamptz NOT NULL,
    available_time timestamptz,
    attempts       integer NOT NULL DEFAULT 0,
    state          text NOT NULL DEFAULT 'PENDING'
                   CHECK (state IN ('PENDING', 'DONE', 'FAILED', 'QUARANTINED', 'WAIVED')),
    error          text NOT NULL DEFAULT '',
    create_time    timestamptz NOT NULL DEFAULT clock_timestamp(),
    end_time       timestamptz,
    PRIMARY KEY (tenant_id, job_id)
);
COMMENT ON TABLE jobs IS 'control: background jobs; Redis only carries signals';
-- Only the queries that are meant to use an index repeat its predicate. So the planner has no choice between
-- indexes, and a look-up by key uses the key whatever the statistics are.
CREATE INDEX jobs_waiting ON jobs (tenant_id, fire_time, rank, job_id)
    WHERE state = 'PENDING' AND available_time IS NULL;
CREATE INDEX jobs_held ON jobs (tenant_id, available_time)
    WHERE state = 'PENDING' AND available_time IS NOT NULL;
CREATE INDEX jobs_pending_of_account ON jobs (tenant_id, account_id, fire_time, rank)
    WHERE state = 'PENDING' AND account_id <> '';
CREATE INDEX jobs_ended ON jobs (tenant_id, end_time) WHERE state IN ('DONE', 'WAIVED');
CREATE INDEX jobs_stuck ON jobs (tenant_id, create_time, job_id) WHERE state IN ('FAILED', 'QUARANTINED');

CREATE TABLE request_log (
    tenant_id   uuid NOT NULL REFERENCES tenants,
    account_id  byte_text NOT NULL,
    request_id  byte_text NOT NULL,
    method      text NOT NULL,
    fingerprint bytea NOT NULL,
    fields      jsonb NOT NULL,
    response    bytea NOT NULL,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT request_id_taken PRIMARY KEY (tenant_id, account_id, request_id)
);
COMMENT ON TABLE request_log IS 'control: answered requests with their answers; housekeeping deletes them after USAGE_REQUEST_DAYS';
CREATE INDEX request_log_by_age ON request_log (tenant_id, create_time);

-- Catalog: units and resources -------------------------------------------------------------------

CREATE TABLE unit_classes (
    tenant_id       uuid NOT NULL REFERENCES tenants,
    unit_class_id   code NOT NULL,
    display_name    text NOT NULL DEFAULT '',
    kind            text NOT NULL CHECK (kind IN ('USAGE', 'CURRENCY', 'TOKEN')),
    default_unit_id code,
    state           text NOT NULL DEFAULT 'DRAFT' CHECK (state IN ('DRAFT', 'ACTIVE', 'INACTIVE')),
    revision        bigint NOT NULL DEFAULT 1,
    create_time     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, unit_class_id)
);
COMMENT ON TABLE unit_classes IS 'catalog: units that can be converted into each other';
CREATE UNIQUE INDEX unit_class_id_taken ON unit_classes (tenant_id, lower(unit_class_id));

CREATE TABLE units_of_measure (
    tenant_id          uuid NOT NULL,
    unit_of_measure_id code NOT NULL,
    unit_class_id      code NOT NULL,
    display_name       text NOT NULL DEFAULT '',
    factor             quantity NOT NULL DEFAULT 1 CONSTRAINT unit_factor_is_positive CHECK (factor > 0),
    divisor            quantity NOT NULL DEFAULT 1 CONSTRAINT unit_divisor_is_positive CHECK (divisor > 0),
    scale              smallint NOT NULL DEFAULT 0 CHECK (scale BETWEEN 0 AND 12),
    rounding           text CHECK (rounding IN ('HALF_UP', 'HALF_EVEN', 'UP', 'DOWN')),
    sequence           integer NOT NULL DEFAULT 0 CHECK (sequence >= 0),
    state              text NOT NULL DEFAULT 'DRAFT' CHECK (state IN ('DRAFT', 'ACTIVE', 'INACTIVE')),
    revision           bigint NOT NULL DEFAULT 1,
    create_time        timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, unit_of_measure_id),
    CONSTRAINT unit_class_exists FOREIGN KEY (tenant_id, unit_class_id) REFERENCES unit_classes
);
COMMENT ON TABLE units_of_measure IS 'catalog: units and how many default units of their class they are';
CREATE UNIQUE INDEX unit_of_measure_id_taken ON units_of_measure (tenant_id, lower(unit_of_measure_id));

CREATE TABLE aggregation_policies (
    tenant_id    uuid NOT NULL REFERENCES tenants,
    policy_id    code NOT NULL,
    display_name text NOT NULL DEFAULT '',
    method       text NOT NULL,
    period       text NOT NULL,
    combine      text NOT NULL CHECK (combine IN ('TOTAL', 'HIGHEST')),
    unique_label text,
    state        text NOT NULL DEFAULT 'DRAFT' CHECK (state IN ('DRAFT', 'ACTIVE', 'INACTIVE')),
    revision     bigint NOT NULL DEFAULT 1,
    version      integer NOT NULL DEFAULT 1,
    create_time  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, policy_id),
    CONSTRAINT only_unique_counts_have_a_label CHECK ((method = 'UNIQUE_COUNT') = (unique_label IS NOT NULL))
);
COMMENT ON TABLE aggregation_policies IS 'catalog: how usage is aggregated';
CREATE UNIQUE INDEX aggregation_policy_id_taken ON aggregation_policies (tenant_id, lower(policy_id));

CREATE TABLE rating_frequency_policies (
    tenant_id     uuid NOT NULL REFERENCES tenants,
    policy_id     code NOT NULL,
    display_name  text NOT NULL DEFAULT '',
    period        text NOT NULL,
    waiting_days  integer,
    waiting_hours integer,
    late_policy   text NOT NULL,
    state         text NOT NULL DEFAULT 'DRAFT' CHECK (state IN ('DRAFT', 'ACTIVE', 'INACTIVE')),
    revision      bigint NOT NULL DEFAULT 1,
    version       integer NOT NULL DEFAULT 1,
    create_time   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, policy_id),
    CONSTRAINT waiting_time_is_one CHECK (num_nonnulls(waiting_days, waiting_hours) = 1),
    CONSTRAINT waiting_time_is_not_negative CHECK (coalesce(waiting_days, waiting_hours) >= 0)
);
COMMENT ON TABLE rating_frequency_policies IS 'catalog: when usage is rated, and how late usage is handled';
CREATE UNIQUE INDEX rating_frequency_policy_id_taken ON rating_frequency_policies (tenant_id, lower(policy_id));

CREATE TABLE overage_policies (
    tenant_id    uuid NOT NULL REFERENCES tenants,
    policy_id    code NOT NULL,
    display_name text NOT NULL DEFAULT '',
    overage      text NOT NULL,
    state        text NOT NULL DEFAULT 'DRAFT' CHECK (state IN ('DRAFT', 'ACTIVE', 'INACTIVE')),
    revision     bigint NOT NULL DEFAULT 1,
    version      integer NOT NULL DEFAULT 1,
    create_time  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, policy_id)
);
COMMENT ON TABLE overage_policies IS 'catalog: how usage beyond the grants is handled';
CREATE UNIQUE INDEX overage_policy_id_taken ON overage_policies (tenant_id, lower(policy_id));

CREATE TABLE refresh_policies (
    tenant_id      uuid NOT NULL REFERENCES tenants,
    policy_id      code NOT NULL,
    display_name   text NOT NULL DEFAULT '',
    interval_unit  text NOT NULL,
    interval_count integer NOT NULL CHECK (interval_count > 0),
    state          text NOT NULL DEFAULT 'DRAFT' CHECK (state IN ('DRAFT', 'ACTIVE', 'INACTIVE')),
    revision       bigint NOT NULL DEFAULT 1,
    version        integer NOT NULL DEFAULT 1,
    create_time    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, policy_id)
);
COMMENT ON TABLE refresh_policies IS 'catalog: when a grant is issued again';
CREATE UNIQUE INDEX refresh_policy_id_taken ON refresh_policies (tenant_id, lower(policy_id));

CREATE TABLE rollover_policies (
    tenant_id     uuid NOT NULL REFERENCES tenants,
    policy_id     code NOT NULL,
    display_name  text NOT NULL DEFAULT '',
    max_rollovers integer CHECK (max_rollovers > 0),
    max_quantity  quantity CHECK (max_quantity > 0),
    max_percent   quantity CHECK (max_percent > 0 AND max_percent <= 100),
    remainder_percent quantity CHECK (remainder_percent > 0 AND remainder_percent <= 100),
    state         text NOT NULL DEFAULT 'DRAFT' CHECK (state IN ('DRAFT', 'ACTIVE', 'INACTIVE')),
    revision      bigint NOT NULL DEFAULT 1,
    version       integer NOT NULL DEFAULT 1,
    create_time   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, policy_id)
);
COMMENT ON TABLE rollover_policies IS 'catalog: how often and how much of a remainder rolls over; null without limit';
CREATE UNIQUE INDEX rollover_policy_id_taken ON rollover_policies (tenant_id, lower(policy_id));

CREATE TABLE commitment_policies (
    tenant_id    uuid NOT NULL REFERENCES tenants,
    policy_id    code NOT NULL,
    display_name text NOT NULL DEFAULT '',
    rate         text NOT NULL CHECK (rate IN ('LOWEST', 'BOUNDED')),
    state        text NOT NULL DEFAULT 'DRAFT' CHECK (state IN ('DRAFT', 'ACTIVE', 'INACTIVE')),
    revision     bigint NOT NULL DEFAULT 1,
    version      integer NOT NULL DEFAULT 1,
    create_time  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, policy_id)
);
COMMENT ON TABLE commitment_policies IS 'catalog: what usage costs once a commitment is used up';
CREATE UNIQUE INDEX commitment_policy_id_taken ON commitment_policies (tenant_id, lower(policy_id));

CREATE TABLE policy_versions (
    tenant_id      uuid NOT NULL REFERENCES tenants,
    kind           text NOT NULL,
    policy_id      code NOT NULL,
    version        integer NOT NULL,
    content        jsonb NOT NULL,
    supersede_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The first local day of the next version, if it begins on a day and not at the time of its revision.
    supersede_date date,
    PRIMARY KEY (tenant_id, kind, policy_id, version)
);
COMMENT ON TABLE policy_versions IS 'catalog: earlier versions of policies';

CREATE TABLE selling_models (
    tenant_id        uuid NOT NULL REFERENCES tenants,
    selling_model_id code NOT NULL,
    display_name     text NOT NULL DEFAULT '',
    type             text NOT NULL CHECK (type IN ('ONE_TIME', 'EVERGREEN', 'TERM')),
    term_unit        text,
    term_count       integer CHECK (term_count > 0),
    state            text NOT NULL DEFAULT 'DRAFT' CHECK (state IN ('DRAFT', 'ACTIVE', 'INACTIVE')),
    revision         bigint NOT NULL DEFAULT 1,
    create_time      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, selling_model_id),
    CONSTRAINT term_is_whole CHECK (num_nonnulls(term_unit, term_count) <> 1),
    CONSTRAINT only_terms_have_one CHECK ((type = 'TERM') = (term_unit IS NOT NULL))
);
COMMENT ON TABLE selling_models IS 'catalog: the terms of sales';
CREATE UNIQUE INDEX selling_model_id_taken ON selling_models (tenant_id, lower(selling_model_id));

CREATE TABLE usage_resources (
    tenant_id                  uuid NOT NULL,
    usage_resource_id          code NOT NULL,
    display_name               text NOT NULL DEFAULT '',
    category                   text NOT NULL CHECK (category IN ('USAGE', 'TOKEN', 'CURRENCY')),
    unit_class_id              code NOT NULL,
    unit_of_measure_id         code,
    token_resource_id          code,
    definition_product_id      code,
    dimensions                 text[] NOT NULL DEFAULT '{}',
    rating_frequency_policy_id code,
    overage_policy_id          code,
    drawdown_order             text CHECK (drawdown_order IN ('EXPIRING_FIRST', 'GRANTED_FIRST', 'GRANTED_LAST')),
    state                      text NOT NULL DEFAULT 'DRAFT' CHECK (state IN ('DRAFT', 'ACTIVE', 'INACTIVE')),
    revision                   bigint NOT NULL DEFAULT 1,
    create_time                timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, usage_resource_id),
    CONSTRAINT unit_class_exists FOREIGN KEY (tenant_id, unit_class_id) REFERENCES unit_classes,
    CONSTRAINT unit_of_measure_exists FOREIGN KEY (tenant_id, unit_of_measure_id) REFERENCES units_of_measure,
    CONSTRAINT rating_frequency_policy_exists FOREIGN KEY (tenant_id, rating_frequency_policy_id)
        REFERENCES rating_frequency_policies,
    CONSTRAINT overage_policy_exists FOREIGN KEY (tenant_id, overage_policy_id) REFERENCES overage_policies,
    CONSTRAINT token_resource_exists FOREIGN KEY (tenant_id, token_resource_id) REFERENCES usage_resources,
    CONSTRAINT only_usage_is_rated_in_tokens CHECK (token_resource_id IS NULL OR category = 'USAGE')
);
COMMENT ON TABLE usage_resources IS 'catalog: things that are metered';
CREATE UNIQUE INDEX usage_resource_id_taken ON usage_resources (tenant_id, lower(usage_resource_id));

-- Catalog: products ------------------------------------------------------------------------------

CREATE TABLE products (
    tenant_id        uuid NOT NULL REFERENCES tenants,
    product_id       code NOT NULL,
    display_name     text NOT NULL DEFAULT '',
    usage_model_type text NOT NULL CHECK (usage_model_type IN
        ('ANCHOR', 'PACK', 'TOKEN_COMMITMENT', 'QUANTITY_COMMITMENT', 'MONETARY_COMMITMENT')),
    grant_binding    text CHECK (grant_binding IN ('SELF', 'ACCOUNT', 'CONTRACT', 'ASSET', 'CUSTOM')),
    state            text NOT NULL DEFAULT 'DRAFT' CHECK (state IN ('DRAFT', 'ACTIVE', 'INACTIVE')),
    revision         bigint NOT NULL DEFAULT 1,
    create_time      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, product_id)
);
COMMENT ON TABLE products IS 'catalog: things that are sold';
CREATE UNIQUE INDEX product_id_taken ON products (tenant_id, lower(product_id));

ALTER TABLE usage_resources ADD CONSTRAINT definition_product_exists
    FOREIGN KEY (tenant_id, definition_product_id) REFERENCES products;

CREATE TABLE product_usage_resources (
    tenant_id                  uuid NOT NULL,
    product_id                 code NOT NULL,
    product_usage_resource_id  code NOT NULL,
    usage_resource_id          code NOT NULL,
    token_resource_id          code,
    is_optional                boolean NOT NULL DEFAULT false,
    has_fixed_policies         boolean NOT NULL DEFAULT false,
    start_date                 date,
    end_date                   date,
    aggregation_policy_id      code,
    rating_frequency_policy_id code,
    overage_policy_id          code,
    commitment_policy_id       code,
    drawdown_order             text CHECK (drawdown_order IN ('EXPIRING_FIRST', 'GRANTED_FIRST', 'GRANTED_LAST')),
    state                      text NOT NULL DEFAULT 'DRAFT' CHECK (state IN ('DRAFT', 'ACTIVE', 'INACTIVE')),
    revision                   bigint NOT NULL DEFAULT 1,
    create_time                timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, product_id, product_usage_resource_id),
    CONSTRAINT dates_are_ordered CHECK (start_date < end_date),
    CONSTRAINT stretches_do_not_overlap EXCLUDE USING gist (
        tenant_id WITH =, (product_id::text) WITH =, (usage_resource_id::text) WITH =,
        daterange(start_date, end_date) WITH &&
    ) WHERE (state = 'ACTIVE'),
    CONSTRAINT product_exists FOREIGN KEY (tenant_id, product_id) REFERENCES products,
    CONSTRAINT usage_resource_exists FOREIGN KEY (tenant_id, usage_resource_id) REFERENCES usage_resources,
    CONSTRAINT aggregation_policy_exists FOREIGN KEY (tenant_id, aggregation_policy_id)
        REFERENCES aggregation_policies,
    CONSTRAINT rating_frequency_policy_exists FOREIGN KEY (tenant_id, rating_frequency_policy_id)
        REFERENCES rating_frequency_policies,
    CONSTRAINT overage_policy_exists FOREIGN KEY (tenant_id, overage_policy_id) REFERENCES overage_policies,
    CONSTRAINT commitment_policy_exists FOREIGN KEY (tenant_id, commitment_policy_id) REFERENCES commitment_policies,
    CONSTRAINT token_resource_exists FOREIGN KEY (tenant_id, token_resource_id) REFERENCES usage_resources
);
COMMENT ON TABLE product_usage_resources IS 'catalog: the resources of a product, by spans of days';
CREATE UNIQUE INDEX product_usage_resource_id_taken
    ON product_usage_resources (tenant_id, product_id, lower(product_usage_resource_id));
CREATE INDEX product_usage_resources_by_resource
    ON product_usage_resources (tenant_id, product_id, usage_resource_id);

CREATE TABLE product_usage_grants (
    tenant_id           uuid NOT NULL,
    product_id          code NOT NULL,
    grant_id            code NOT NULL,
    product_usage_resource_id code NOT NULL,
    display_name        text NOT NULL DEFAULT '',
    type                text NOT NULL DEFAULT 'GRANT' CHECK (type IN ('GRANT', 'COMMIT')),
    quantity            quantity NOT NULL CONSTRAINT promised_quantity_is_positive CHECK (quantity > 0),
    is_fixed            boolean NOT NULL DEFAULT false,
    max_increase_percent quantity CHECK (max_increase_percent >= 0),
    spend_cap           quantity CHECK (spend_cap >= quantity),
    unit_of_measure_id  code,
    validity_unit       text,
    validity_count      integer CHECK (validity_count > 0),
    refresh_policy_id   code,
    rollover_policy_id  code,
    selling_model_id    code,
    start_date          date,
    end_date            date,
    state               text NOT NULL DEFAULT 'DRAFT' CHECK (state IN ('DRAFT', 'ACTIVE', 'INACTIVE')),
    revision            bigint NOT NULL DEFAULT 1,
    create_time         timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, product_id, grant_id),
    CONSTRAINT validity_is_whole CHECK (num_nonnulls(validity_unit, validity_count) <> 1),
    CONSTRAINT product_usage_resource_exists FOREIGN KEY (tenant_id, product_id, product_usage_resource_id)
        REFERENCES product_usage_resources,
    CONSTRAINT unit_of_measure_exists FOREIGN KEY (tenant_id, unit_of_measure_id) REFERENCES units_of_measure,
    CONSTRAINT refresh_policy_exists FOREIGN KEY (tenant_id, refresh_policy_id) REFERENCES refresh_policies,
    CONSTRAINT rollover_policy_exists FOREIGN KEY (tenant_id, rollover_policy_id) REFERENCES rollover_policies,
    CONSTRAINT selling_model_exists FOREIGN KEY (tenant_id, selling_model_id) REFERENCES selling_models,
    CONSTRAINT dates_are_ordered CHECK (start_date < end_date)
);
COMMENT ON TABLE product_usage_grants IS 'catalog: the grants of a product for each unit sold';
CREATE UNIQUE INDEX product_usage_grant_id_taken ON product_usage_grants (tenant_id, product_id, lower(grant_id));

-- A sale has its own copy of what it was sold; its provenance stays true because a name is never given again.
CREATE TABLE used_records (
    tenant_id uuid NOT NULL,
    name      byte_text NOT NULL CHECK (name = lower(name)),
    PRIMARY KEY (tenant_id, name)
);
COMMENT ON TABLE used_records IS 'catalog: names of records that a quote or a sale refers to, in lower case';

-- Catalog: rates ---------------------------------------------------------------------------------

CREATE TABLE rate_cards (
    tenant_id    uuid NOT NULL REFERENCES tenants,
    rate_card_id code NOT NULL,
    display_name text NOT NULL DEFAULT '',
    type         text NOT NULL CHECK (type IN ('BASE', 'TIER', 'ATTRIBUTE')),
    start_date   date,
    end_date     date,
    revision     bigint NOT NULL DEFAULT 1,
    create_time  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, rate_card_id),
    CONSTRAINT rate_card_type_is_its_own UNIQUE (tenant_id, rate_card_id, type),
    CONSTRAINT dates_are_ordered CHECK (start_date < end_date)
);
COMMENT ON TABLE rate_cards IS 'catalog: containers of rates of one type';
CREATE UNIQUE INDEX rate_card_id_taken ON rate_cards (tenant_id, lower(rate_card_id));

CREATE TABLE price_books (
    tenant_id     uuid NOT NULL REFERENCES tenants,
    price_book_id code NOT NULL,
    display_name  text NOT NULL DEFAULT '',
    revision      bigint NOT NULL DEFAULT 1,
    create_time   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, price_book_id)
);
COMMENT ON TABLE price_books IS 'catalog: the rate cards that apply together';
CREATE UNIQUE INDEX price_book_id_taken ON price_books (tenant_id, lower(price_book_id));

CREATE TABLE price_book_rate_cards (
    tenant_id     uuid NOT NULL,
    price_book_id code NOT NULL,
    type          text NOT NULL,
    rate_card_id  code NOT NULL,
    CONSTRAINT rate_card_type_taken PRIMARY KEY (tenant_id, price_book_id, type),
    CONSTRAINT price_book_exists FOREIGN KEY (tenant_id, price_book_id) REFERENCES price_books,
    CONSTRAINT rate_card_exists FOREIGN KEY (tenant_id, rate_card_id, type)
        REFERENCES rate_cards (tenant_id, rate_card_id, type)
);
COMMENT ON TABLE price_book_rate_cards IS 'catalog: the card of each type in a price book';

CREATE TABLE custom_fields (
    tenant_id       uuid NOT NULL REFERENCES tenants,
    custom_field_id code NOT NULL,
    display_name    text NOT NULL DEFAULT '',
    type            text NOT NULL
        CHECK (type IN ('TEXT', 'NUMBER', 'CHECKBOX', 'DAY', 'PERCENT', 'AMOUNT_OF_MONEY', 'PICKLIST')),
    picklist_values text[] NOT NULL DEFAULT '{}',
    revision        bigint NOT NULL DEFAULT 1,
    create_time     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, custom_field_id),
    CONSTRAINT picklists_have_values CHECK ((type = 'PICKLIST') = (cardinality(picklist_values) > 0))
);
COMMENT ON TABLE custom_fields IS 'catalog: fields that a tenant defines for its rates';
CREATE UNIQUE INDEX custom_field_id_taken ON custom_fields (tenant_id, lower(custom_field_id));

CREATE TABLE rate_card_entries (
    tenant_id          uuid NOT NULL,
    rate_card_id       code NOT NULL,
    entry_id           code NOT NULL,
    product_id         code NOT NULL,
    usage_resource_id  code,
    selling_model_id   code,
    rate_unit_id       code NOT NULL,
    rate_value         quantity CONSTRAINT rate_is_not_negative CHECK (rate_value >= 0),
    rate_per           quantity NOT NULL DEFAULT 1 CONSTRAINT rate_per_is_positive CHECK (rate_per > 0),
    is_package         boolean NOT NULL DEFAULT false,
    tier_bounds        text NOT NULL DEFAULT 'LOWER_INCLUSIVE',
    tier_mode          text NOT NULL DEFAULT 'VOLUME',
    adjustments        jsonb CHECK (jsonb_array_length(adjustments -> 'content') > 0),
    is_negotiable      boolean NOT NULL DEFAULT true,
    max_discount_percent quantity CHECK (max_discount_percent BETWEEN 0 AND 100),
    custom_fields      jsonb NOT NULL DEFAULT '{}',
    start_date         date,
    end_date           date,
    state              text NOT NULL DEFAULT 'DRAFT' CHECK (state IN ('DRAFT', 'ACTIVE', 'INACTIVE')),
    revision           bigint NOT NULL DEFAULT 1,
    catalog_revision bigint NOT NULL DEFAULT 1,
    create_time        timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, rate_card_id, entry_id),
    CONSTRAINT dates_are_ordered CHECK (start_date < end_date),
    CONSTRAINT only_tiers_are_for_all_resources CHECK (
        usage_resource_id IS NOT NULL OR (rate_value IS NULL AND adjustments IS NULL)
    ),
    CONSTRAINT rate_card_exists FOREIGN KEY (tenant_id, rate_card_id) REFERENCES rate_cards,
    CONSTRAINT product_exists FOREIGN KEY (tenant_id, product_id) REFERENCES products,
    CONSTRAINT usage_resource_exists FOREIGN KEY (tenant_id, usage_resource_id) REFERENCES usage_resources,
    CONSTRAINT selling_model_exists FOREIGN KEY (tenant_id, selling_model_id) REFERENCES selling_models,
    CONSTRAINT rates_do_not_overlap EXCLUDE USING gist (
        tenant_id WITH =, (rate_card_id::text) WITH =, (product_id::text) WITH =,
        (coalesce(usage_resource_id::text, '')) WITH =, (rate_unit_id::text) WITH =,
        (coalesce(selling_model_id::text, '')) WITH =,
        daterange(start_date, end_date) WITH &&
    ) WHERE (state = 'ACTIVE')
);
COMMENT ON TABLE rate_card_entries IS 'catalog: the rate of one resource of one product in one currency, or tiers for all of a commitment';
CREATE UNIQUE INDEX rate_card_entry_id_taken ON rate_card_entries (tenant_id, rate_card_id, lower(entry_id));
CREATE INDEX rate_card_entries_by_product ON rate_card_entries (tenant_id, product_id, (coalesce(usage_resource_id::text, '')));

CREATE TABLE rate_tiers (
    tenant_id    uuid NOT NULL,
    rate_card_id code NOT NULL,
    entry_id     code NOT NULL,
    position     smallint NOT NULL,
    lower        quantity NOT NULL CHECK (lower >= 0),
    upper        quantity,
    kind         text NOT NULL,
    value        quantity NOT NULL,
    flat_amount  quantity CHECK (flat_amount >= 0),
    package_size quantity CHECK (package_size > 0),
    due_without_usage boolean NOT NULL DEFAULT false,
    PRIMARY KEY (tenant_id, rate_card_id, entry_id, position),
    CONSTRAINT tier_bounds_are_ordered CHECK (lower < upper),
    CONSTRAINT rate_card_entry_exists FOREIGN KEY (tenant_id, rate_card_id, entry_id) REFERENCES rate_card_entries
);
COMMENT ON TABLE rate_tiers IS 'catalog: the tiers of an entry, in order';

-- Catalog: procedures ----------------------------------------------------------------------------

CREATE TABLE procedures (
    tenant_id    uuid NOT NULL REFERENCES tenants,
    procedure_id code NOT NULL,
    display_name text NOT NULL DEFAULT '',
    usage        text NOT NULL CHECK (usage IN ('RATING', 'DISCOVERY')),
    state        text NOT NULL DEFAULT 'DRAFT' CHECK (state IN ('DRAFT', 'ACTIVE', 'INACTIVE')),
    revision     bigint NOT NULL DEFAULT 1,
    create_time  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, procedure_id),
    CONSTRAINT procedure_usage_is_its_own UNIQUE (tenant_id, procedure_id, usage)
);
COMMENT ON TABLE procedures IS 'catalog: how rates are discovered, and how amounts are rated';
CREATE UNIQUE INDEX procedure_id_taken ON procedures (tenant_id, lower(procedure_id));

CREATE TABLE procedure_versions (
    tenant_id            uuid NOT NULL,
    procedure_id         code NOT NULL,
    version_id           code NOT NULL,
    display_name         text NOT NULL DEFAULT '',
    rank                 integer NOT NULL,
    start_date           date,
    end_date             date,
    run_milliseconds     integer NOT NULL CHECK (run_milliseconds BETWEEN 1000 AND 60000),
    element_milliseconds integer NOT NULL CHECK (element_milliseconds BETWEEN 4 AND 10000),
    elements             jsonb NOT NULL,
    state                text NOT NULL DEFAULT 'DRAFT' CHECK (state IN ('DRAFT', 'ACTIVE', 'INACTIVE')),
    revision             bigint NOT NULL DEFAULT 1,
    create_time          timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, procedure_id, version_id),
    CONSTRAINT dates_are_ordered CHECK (start_date < end_date),
    CONSTRAINT procedure_exists FOREIGN KEY (tenant_id, procedure_id) REFERENCES procedures,
    CONSTRAINT one_version_of_a_rank EXCLUDE USING gist (
        tenant_id WITH =, (procedure_id::text) WITH =, rank WITH =, daterange(start_date, end_date) WITH &&
    ) WHERE (state = 'ACTIVE')
);
COMMENT ON TABLE procedure_versions IS 'catalog: the elements of a procedure, for a span of days';
CREATE UNIQUE INDEX procedure_version_id_taken ON procedure_versions (tenant_id, procedure_id, lower(version_id));

CREATE TABLE default_procedures (
    tenant_id    uuid NOT NULL,
    usage        text NOT NULL,
    procedure_id code NOT NULL,
    PRIMARY KEY (tenant_id, usage),
    CONSTRAINT procedure_exists FOREIGN KEY (tenant_id, procedure_id, usage)
        REFERENCES procedures (tenant_id, procedure_id, usage)
);
COMMENT ON TABLE default_procedures IS 'catalog: the default procedure of a tenant for each usage';

CREATE TABLE validation_findings (
    tenant_id  uuid NOT NULL,
    run_id     uuid NOT NULL,
    product_id code NOT NULL,
    rule_id    byte_text NOT NULL,
    position   integer NOT NULL,
    severity   text NOT NULL CHECK (severity IN ('ERROR', 'WARNING')),
    message    text NOT NULL,
    records    text[] NOT NULL,
    PRIMARY KEY (tenant_id, run_id, product_id, rule_id, position),
    CONSTRAINT run_exists FOREIGN KEY (tenant_id, run_id) REFERENCES runs
);
COMMENT ON TABLE validation_findings IS 'control: the findings of a validation run, stored for thirty days';

-- Run-time: accounts and sales ---------------------------------------------------------------------

CREATE TABLE account_codes (
    tenant_id  uuid NOT NULL REFERENCES tenants,
    folded     code NOT NULL,
    account_id code NOT NULL,
    CONSTRAINT account_id_taken PRIMARY KEY (tenant_id, folded),
    CONSTRAINT account_code_is_its_own UNIQUE (tenant_id, account_id),
    CONSTRAINT account_code_is_folded CHECK (folded = lower(account_id))
);
COMMENT ON TABLE account_codes IS 'catalog: account ids in lower case';

CREATE TABLE accounts (
    tenant_id          uuid NOT NULL REFERENCES tenants,
    account_id         code NOT NULL,
    display_name       text NOT NULL DEFAULT '',
    time_zone          text NOT NULL,
    currency_code      text NOT NULL,
    billing_unit       text NOT NULL DEFAULT 'MONTH',
    billing_count      smallint NOT NULL DEFAULT 1 CHECK (billing_count > 0),
    -- Without both, billing periods are those of the calendar.
    billing_anchor_day smallint CHECK (billing_anchor_day BETWEEN 1 AND 31),
    billing_anchor_date date CHECK (num_nonnulls(billing_anchor_day, billing_anchor_date) <= 1),
    labels             jsonb NOT NULL DEFAULT '{}',
    rate_revision      bigint NOT NULL DEFAULT 1,
    revision           bigint NOT NULL DEFAULT 1,
    create_time        timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, account_id),
    CONSTRAINT account_code_exists FOREIGN KEY (tenant_id, account_id)
        REFERENCES account_codes (tenant_id, account_id)
);
COMMENT ON TABLE accounts IS 'run-time: accounts';

CREATE TABLE binding_targets (
    tenant_id         uuid NOT NULL,
    account_id        code NOT NULL,
    binding_target_id code NOT NULL,
    display_name      text NOT NULL DEFAULT '',
    kind              text NOT NULL CHECK (kind IN ('CONTRACT', 'CUSTOM')),
    revision          bigint NOT NULL DEFAULT 1,
    create_time       timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, account_id, binding_target_id),
    CONSTRAINT account_exists FOREIGN KEY (tenant_id, account_id) REFERENCES accounts
);
COMMENT ON TABLE binding_targets IS 'run-time: contracts and custom targets that grants of an account may be bound to';
CREATE UNIQUE INDEX binding_target_id_taken ON binding_targets (tenant_id, account_id, lower(binding_target_id));

CREATE TABLE binding_target_policies (
    tenant_id                  uuid NOT NULL,
    account_id                 code NOT NULL,
    binding_target_id          code NOT NULL,
    usage_resource_id          code NOT NULL,
    aggregation_policy_id      code,
    rating_frequency_policy_id code,
    overage_policy_id          code,
    commitment_policy_id       code,
    drawdown_order             text CHECK (drawdown_order IN ('EXPIRING_FIRST', 'GRANTED_FIRST', 'GRANTED_LAST')),
    PRIMARY KEY (tenant_id, account_id, binding_target_id, usage_resource_id),
    CONSTRAINT binding_target_exists FOREIGN KEY (tenant_id, account_id, binding_target_id)
        REFERENCES binding_targets,
    CONSTRAINT usage_resource_exists FOREIGN KEY (tenant_id, usage_resource_id) REFERENCES usage_resources,
    CONSTRAINT aggregation_policy_exists FOREIGN KEY (tenant_id, aggregation_policy_id)
        REFERENCES aggregation_policies,
    CONSTRAINT rating_frequency_policy_exists FOREIGN KEY (tenant_id, rating_frequency_policy_id)
        REFERENCES rating_frequency_policies,
    CONSTRAINT overage_policy_exists FOREIGN KEY (tenant_id, overage_policy_id) REFERENCES overage_policies,
    CONSTRAINT commitment_policy_exists FOREIGN KEY (tenant_id, commitment_policy_id) REFERENCES commitment_policies
);
COMMENT ON TABLE binding_target_policies IS 'run-time: policies of a target, which override those of products and lines';

-- Lines hold the agreed rates, grants and policies as a document, frozen at the sale.
CREATE TABLE quotes (
    tenant_id     uuid NOT NULL,
    account_id    code NOT NULL,
    quote_id      uuid NOT NULL,
    state         text NOT NULL
        CHECK (state IN ('DRAFT', 'WAITING_FOR_APPROVAL', 'APPROVED', 'REJECTED', 'WITHDRAWN', 'ORDERED')),
    price_book_id code NOT NULL,
    currency_code text NOT NULL,
    expire_time   timestamptz,
    exceptions    jsonb NOT NULL DEFAULT '{"v": 1, "content": []}',
    decide_reason text,
    decided_by    uuid,
    decide_time   timestamptz,
    cloned_from   uuid,
    revision      bigint NOT NULL DEFAULT 1,
    create_time   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, account_id, quote_id),
    CONSTRAINT decisions_are_whole CHECK ((decide_reason IS NULL) = (decide_time IS NULL)),
    CONSTRAINT account_exists FOREIGN KEY (tenant_id, account_id) REFERENCES accounts,
    CONSTRAINT price_book_exists FOREIGN KEY (tenant_id, price_book_id) REFERENCES price_books
);
COMMENT ON TABLE quotes IS 'run-time: quotes';
COMMENT ON COLUMN quotes.exceptions IS 'the terms that go beyond the limits of the catalog';

CREATE TABLE quote_lines (
    tenant_id  uuid NOT NULL,
    account_id code NOT NULL,
    quote_id   uuid NOT NULL,
    position   smallint NOT NULL,
    product_id code NOT NULL,
    quantity   quantity NOT NULL CHECK (quantity > 0),
    start_date date NOT NULL,
    end_date   date,
    role       text NOT NULL DEFAULT 'ANCHOR',
    binding    text NOT NULL,
    target_id  byte_text,
    target_line smallint CHECK (target_line >= 0),
    selling_model_id code,
    external_id code,
    nested     boolean NOT NULL DEFAULT false,
    omitted    text NOT NULL DEFAULT '',
    rate_basis text NOT NULL DEFAULT 'FROZEN' CHECK (rate_basis IN ('FROZEN', 'FOLLOW_CATALOG')),
    resources  jsonb NOT NULL,
    PRIMARY KEY (tenant_id, account_id, quote_id, position),
    CONSTRAINT dates_are_ordered CHECK (start_date < end_date),
    CONSTRAINT quote_exists FOREIGN KEY (tenant_id, account_id, quote_id) REFERENCES quotes,
    CONSTRAINT product_exists FOREIGN KEY (tenant_id, product_id) REFERENCES products
);
COMMENT ON COLUMN quote_lines.omitted IS 'the ids of the optional resources that are not sold, joined by commas';
COMMENT ON TABLE quote_lines IS 'run-time: one product of a quote, with its frozen terms';
-- Finds what is bound to a target, which then cannot be deleted.
CREATE INDEX quote_lines_of_target ON quote_lines (tenant_id, account_id, target_id)
    WHERE binding IN ('CONTRACT', 'CUSTOM');

CREATE TABLE orders (
    tenant_id     uuid NOT NULL,
    account_id    code NOT NULL,
    order_id      uuid NOT NULL,
    quote_id      uuid,
    state         text NOT NULL CHECK (state IN ('DRAFT', 'ACTIVE')),
    price_book_id code NOT NULL,
    currency_code text NOT NULL,
    activate_time timestamptz,
    revision      bigint NOT NULL DEFAULT 1,
    create_time   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, account_id, order_id),
    CONSTRAINT one_order_a_quote UNIQUE (tenant_id, account_id, quote_id),
    CONSTRAINT quote_exists FOREIGN KEY (tenant_id, account_id, quote_id) REFERENCES quotes
);
COMMENT ON TABLE orders IS 'run-time: orders';

-- A line is about one asset, which the activation of its first version creates. An act on the asset is another
-- version of the line, in an order of its own; earlier versions stay as they are. The database refuses a version
-- that is repeated or that skips one.
CREATE TABLE order_lines (
    tenant_id  uuid NOT NULL,
    account_id code NOT NULL,
    order_id   uuid NOT NULL,
    position   smallint NOT NULL,
    asset_id   uuid NOT NULL,
    version    integer NOT NULL DEFAULT 1 CHECK (version >= 1),
    previous_version integer GENERATED ALWAYS AS (nullif(version - 1, 0)) STORED,
    product_id code NOT NULL,
    quantity   quantity NOT NULL CHECK (quantity > 0),
    start_date date NOT NULL,
    end_date   date,
    role       text NOT NULL DEFAULT 'ANCHOR',
    binding    text NOT NULL,
    target_id  byte_text,
    target_line smallint CHECK (target_line >= 0),
    selling_model_id code,
    external_id code,
    nested     boolean NOT NULL DEFAULT false,
    omitted    text NOT NULL DEFAULT '',
    rate_basis text NOT NULL DEFAULT 'FROZEN' CHECK (rate_basis IN ('FROZEN', 'FOLLOW_CATALOG')),
    resources  jsonb NOT NULL,
    PRIMARY KEY (tenant_id, account_id, order_id, position),
    CONSTRAINT line_version_taken UNIQUE (tenant_id, account_id, asset_id, version),
    CONSTRAINT previous_version_exists FOREIGN KEY (tenant_id, account_id, asset_id, previous_version)
        REFERENCES order_lines (tenant_id, account_id, asset_id, version),
    CONSTRAINT dates_are_ordered CHECK (start_date < end_date),
    CONSTRAINT order_exists FOREIGN KEY (tenant_id, account_id, order_id) REFERENCES orders,
    CONSTRAINT product_exists FOREIGN KEY (tenant_id, product_id) REFERENCES products
);
COMMENT ON TABLE order_lines IS 'run-time: one product of an order, with its frozen terms';
-- Finds the accounts whose assets follow the catalog.
CREATE INDEX order_lines_that_follow ON order_lines (tenant_id, account_id) WHERE rate_basis = 'FOLLOW_CATALOG';
-- Finds what is bound to a target, which then cannot be deleted.
CREATE INDEX order_lines_of_target ON order_lines (tenant_id, account_id, target_id)
    WHERE binding IN ('CONTRACT', 'CUSTOM');

-- `number` counts the assets of an account: the older asset is drawn first. `line_version` is the version of its
-- line that is in force; product, quantity and dates repeat that version. `external_id` is the caller's own id.
CREATE TABLE assets (
    tenant_id   uuid NOT NULL,
    account_id  code NOT NULL,
    asset_id    uuid NOT NULL,
    line_version integer NOT NULL,
    number      bigint NOT NULL,
    product_id  code NOT NULL,
    quantity    quantity NOT NULL CHECK (quantity > 0),
    start_date  date NOT NULL,
    end_date    date,
    external_id code,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, account_id, asset_id),
    CONSTRAINT asset_number_taken UNIQUE (tenant_id, account_id, number),
    CONSTRAINT external_id_taken UNIQUE (tenant_id, account_id, external_id),
    CONSTRAINT dates_are_ordered CHECK (start_date < end_date),
    CONSTRAINT order_line_exists FOREIGN KEY (tenant_id, account_id, asset_id, line_version)
        REFERENCES order_lines (tenant_id, account_id, asset_id, version),
    CONSTRAINT product_exists FOREIGN KEY (tenant_id, product_id) REFERENCES products
);
COMMENT ON TABLE assets IS 'run-time: assets, the products that an account has bought';

-- An act on an asset that changed its rates, grants or policies, with every field before and after. `number` counts the
-- acts on the asset, `act_time` is tenant time.
CREATE TABLE asset_changes (
    tenant_id      uuid NOT NULL,
    account_id     code NOT NULL,
    asset_id       uuid NOT NULL,
    number         integer NOT NULL CHECK (number > 0),
    act            text NOT NULL CHECK (act IN ('SALE', 'LINK', 'REPRICE', 'FOLLOW', 'REBIND')),
    order_id       uuid,
    effective_date date NOT NULL,
    reason         text NOT NULL DEFAULT '',
    act_time       timestamptz NOT NULL,
    fields         jsonb NOT NULL,
    -- No foreign key: a run is of the tenant, and the table is of the account.
    reprice_run_id uuid,
    create_time    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, account_id, asset_id, number),
    CONSTRAINT asset_exists FOREIGN KEY (tenant_id, account_id, asset_id) REFERENCES assets,
    CONSTRAINT order_exists FOREIGN KEY (tenant_id, account_id, order_id) REFERENCES orders
);
COMMENT ON TABLE asset_changes IS 'run-time: every change of the rates, grants and policies of an asset';
-- The commitments that are linked to an anchor: by their sale, or later.
CREATE TABLE commitment_links (
    tenant_id   uuid NOT NULL,
    account_id  code NOT NULL,
    asset_id    uuid NOT NULL,
    anchor_id   uuid NOT NULL,
    start_date  date NOT NULL,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, account_id, asset_id),
    CONSTRAINT asset_exists FOREIGN KEY (tenant_id, account_id, asset_id) REFERENCES assets,
    CONSTRAINT anchor_exists FOREIGN KEY (tenant_id, account_id, anchor_id) REFERENCES assets
);
COMMENT ON TABLE commitment_links IS 'run-time: the anchor of a commitment, and the day from which on it pays';

-- Run-time: wallets and their ledger ---------------------------------------------------------------

-- One binding target: an asset by its id, or the account by the empty string. Its periods are counted from
-- `anchor_date`, which does not change when the window widens.
CREATE TABLE entitlement_accounts (
    tenant_id              uuid NOT NULL,
    account_id             code NOT NULL,
    entitlement_account_id uuid NOT NULL,
    target_kind            text NOT NULL CHECK (target_kind IN ('ASSET', 'ACCOUNT', 'CONTRACT', 'CUSTOM')),
    target_id              byte_text NOT NULL,
    time_zone              text NOT NULL,
    currency_code          text NOT NULL,
    anchor_date            date NOT NULL,
    billing_unit           text NOT NULL DEFAULT 'MONTH',
    billing_count          smallint NOT NULL DEFAULT 1 CHECK (billing_count > 0),
    start_date             date NOT NULL,
    end_date               date,
    create_time            timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, account_id, entitlement_account_id),
    CONSTRAINT one_entitlement_account_a_target UNIQUE (tenant_id, account_id, target_kind, target_id),
    CONSTRAINT account_exists FOREIGN KEY (tenant_id, account_id) REFERENCES accounts
);
COMMENT ON TABLE entitlement_accounts IS 'run-time: one binding target, its zone, cadence and service window';

-- The policies of a wallet were sold with its first asset; those of a later asset must be equal.
-- `head_seq`, `balance` and `head_hash` repeat the last entry (a cache under the same transaction).
CREATE TABLE wallets (
    tenant_id              uuid NOT NULL,
    account_id             code NOT NULL,
    wallet_id              uuid NOT NULL,
    entitlement_account_id uuid NOT NULL,
    usage_resource_id      code NOT NULL,
    unit_of_measure_id     code NOT NULL,
    aggregation_method     text NOT NULL,
    aggregation_period     text NOT NULL,
    aggregation_combine    text NOT NULL,
    aggregation_label      text,
    dimensions             text[] NOT NULL DEFAULT '{}',
    rating_period          text NOT NULL,
    waiting_days           integer,
    waiting_hours          integer,
    late_policy            text NOT NULL,
    drawdown_order         text NOT NULL,
    head_seq               bigint NOT NULL DEFAULT 0,
    balance                quantity NOT NULL DEFAULT 0 CONSTRAINT wallet_not_overdrawn CHECK (balance >= 0),
    head_hash              bytea NOT NULL DEFAULT '',
    correction_count       integer NOT NULL DEFAULT 0,
    create_time            timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, account_id, wallet_id),
    CONSTRAINT one_wallet_a_resource UNIQUE (tenant_id, account_id, entitlement_account_id, usage_resource_id),
    CONSTRAINT waiting_time_is_one CHECK (num_nonnulls(waiting_days, waiting_hours) = 1),
    CONSTRAINT entitlement_account_exists FOREIGN KEY (tenant_id, account_id, entitlement_account_id)
        REFERENCES entitlement_accounts,
    CONSTRAINT usage_resource_exists FOREIGN KEY (tenant_id, usage_resource_id) REFERENCES usage_resources,
    CONSTRAINT unit_of_measure_exists FOREIGN KEY (tenant_id, unit_of_measure_id) REFERENCES units_of_measure
);
COMMENT ON TABLE wallets IS 'run-time: the wallet of one target for one resource';

-- The data of an asset that recording needs: the wallet of its usage, and the span of time.
CREATE TABLE asset_resources (
    tenant_id         uuid NOT NULL,
    account_id        code NOT NULL,
    asset_id          uuid NOT NULL,
    usage_resource_id code NOT NULL,
    wallet_id         uuid NOT NULL,
    token_wallet_id   uuid,
    definition_product_id code,
    role              text NOT NULL DEFAULT 'ANCHOR'
        CHECK (role IN ('ANCHOR', 'PACK', 'TOKEN_COMMITMENT', 'QUANTITY_COMMITMENT', 'MONETARY_COMMITMENT')),
    commitment_rate   text CHECK (commitment_rate IN ('LOWEST', 'BOUNDED')),
    is_fixed          boolean NOT NULL,
    overage           text NOT NULL,
    start_time        timestamptz NOT NULL,
    end_time          timestamptz,
    policies          jsonb NOT NULL,
    former_wallet_id  uuid,
    bound_time        timestamptz,
    moved_time        timestamptz CHECK (moved_time >= bound_time),
    PRIMARY KEY (tenant_id, account_id, asset_id, usage_resource_id),
    CONSTRAINT asset_exists FOREIGN KEY (tenant_id, account_id, asset_id) REFERENCES assets,
    CONSTRAINT wallet_exists FOREIGN KEY (tenant_id, account_id, wallet_id) REFERENCES wallets,
    CONSTRAINT token_wallet_exists FOREIGN KEY (tenant_id, account_id, token_wallet_id) REFERENCES wallets,
    CONSTRAINT former_wallet_exists FOREIGN KEY (tenant_id, account_id, former_wallet_id) REFERENCES wallets,
    CONSTRAINT bound_since_a_time CHECK (num_nonnulls(former_wallet_id, bound_time, moved_time) IN (0, 3)),
    CONSTRAINT only_commitments_have_a_rate CHECK ((commitment_rate IS NULL) = (role IN ('ANCHOR', 'PACK')))
);
COMMENT ON COLUMN asset_resources.role IS 'usage is recorded for anchors only; other rows add to their wallets';
COMMENT ON COLUMN asset_resources.is_fixed IS 'a quote cannot negotiate its rate, and rates agreed for its target do not apply';
COMMENT ON COLUMN asset_resources.token_wallet_id IS
    'the wallet whose tokens its overage is rated in, or as whose spend it counts under a commitment';
COMMENT ON COLUMN asset_resources.bound_time IS
    'the time from which on its usage draws on wallet_id, if it was bound otherwise before; until then, on former_wallet_id';
COMMENT ON COLUMN asset_resources.moved_time IS
    'when the last of its grants leaves former_wallet_id: at bound_time, or the start of an issue that was posted after it';
COMMENT ON TABLE asset_resources IS 'run-time: a resource of an asset, and the policies it was sold under';
CREATE UNIQUE INDEX one_commitment_a_span ON asset_resources
    (tenant_id, account_id, wallet_id, start_time, coalesce(end_time, 'infinity'))
    WHERE commitment_rate IS NOT NULL;
CREATE INDEX asset_resources_by_wallet ON asset_resources (tenant_id, account_id, wallet_id);
CREATE INDEX asset_resources_by_token_wallet ON asset_resources (tenant_id, account_id, token_wallet_id)
    WHERE token_wallet_id IS NOT NULL;
CREATE INDEX asset_resources_by_former_wallet ON asset_resources (tenant_id, account_id, former_wallet_id)
    WHERE former_wallet_id IS NOT NULL;

CREATE TABLE asset_rates (
    tenant_id         uuid NOT NULL,
    account_id        code NOT NULL,
    asset_rate_id     uuid NOT NULL,
    asset_id          uuid NOT NULL,
    usage_resource_id code NOT NULL,
    start_time        timestamptz NOT NULL,
    end_time          timestamptz,
    terms             jsonb NOT NULL,
    create_time       timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, account_id, asset_rate_id),
    CONSTRAINT asset_resource_exists FOREIGN KEY (tenant_id, account_id, asset_id, usage_resource_id)
        REFERENCES asset_resources,
    CONSTRAINT asset_rates_do_not_overlap EXCLUDE USING gist (
        tenant_id WITH =, (account_id::text) WITH =, asset_id WITH =, (usage_resource_id::text) WITH =,
        tstzrange(start_time, end_time) WITH &&
    )
);
COMMENT ON TABLE asset_rates IS 'run-time: the rates of an asset over time: frozen at its sale, or as the catalog has them';
CREATE INDEX asset_rates_by_asset ON asset_rates (tenant_id, account_id, asset_id, usage_resource_id, start_time);

CREATE TABLE entitlements (
    tenant_id         uuid NOT NULL,
    account_id        code NOT NULL,
    entitlement_id    uuid NOT NULL,
    number            bigint NOT NULL,
    wallet_id         uuid NOT NULL,
    asset_id          uuid NOT NULL,
    usage_resource_id code NOT NULL,
    action            text NOT NULL CHECK (action IN ('NEW', 'AMEND', 'RENEWAL', 'CANCELLATION', 'RAMP')),
    product_id        code NOT NULL,
    product_grant_id  code NOT NULL,
    quantity          quantity NOT NULL CHECK (quantity >= 0),
    unit_scale        smallint NOT NULL,
    start_date        date NOT NULL,
    end_date          date,
    anchor_date       date NOT NULL,
    refresh_unit      text,
    refresh_count     integer,
    refresh_policy_id code,
    refresh_policy_version integer NOT NULL DEFAULT 0,
    validity_unit     text,
    validity_count    integer,
    can_roll_over     boolean NOT NULL,
    max_rollovers     integer,
    rollover_max_quantity quantity,
    rollover_max_percent  quantity,
    rollover_remainder_percent quantity,
    rollover_policy_id code,
    rollover_policy_version integer NOT NULL DEFAULT 0,
    spend_cap         quantity,
    next_index        integer,
    former_wallet_id  uuid,
    move_time         timestamptz,
    moved_index       integer,
    create_time       timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, account_id, entitlement_id),
    CONSTRAINT entitlement_number_taken UNIQUE (tenant_id, account_id, number),
    CONSTRAINT asset_resource_exists FOREIGN KEY (tenant_id, account_id, asset_id, usage_resource_id)
        REFERENCES asset_resources,
    CONSTRAINT wallet_exists FOREIGN KEY (tenant_id, account_id, wallet_id) REFERENCES wallets,
    CONSTRAINT former_wallet_exists FOREIGN KEY (tenant_id, account_id, former_wallet_id) REFERENCES wallets,
    CONSTRAINT moved_as_a_whole CHECK (num_nonnulls(former_wallet_id, move_time, moved_index) IN (0, 3))
);
COMMENT ON COLUMN entitlements.moved_index IS
    'the first issue into wallet_id; those before are in former_wallet_id, and what is left of them moves at move_time';
COMMENT ON COLUMN entitlements.next_index IS 'the first issue not posted yet; null before the first';
COMMENT ON TABLE entitlements IS 'run-time: the entitlement of one asset action, with its policies';
CREATE INDEX entitlements_by_wallet ON entitlements (tenant_id, account_id, wallet_id, number);
CREATE INDEX entitlements_by_former_wallet ON entitlements (tenant_id, account_id, former_wallet_id)
    WHERE former_wallet_id IS NOT NULL;

-- `head_seq` and `balance` repeat the grant's last entry, as in wallets.
CREATE TABLE grants (
    tenant_id       uuid NOT NULL,
    account_id      code NOT NULL,
    wallet_id       uuid NOT NULL,
    grant_id        uuid NOT NULL,
    entitlement_id  uuid NOT NULL,
    kind            text NOT NULL,
    issue_index     integer NOT NULL,
    rollover_count  integer NOT NULL DEFAULT 0,
    source_grant_id uuid,
    quantity        quantity NOT NULL CHECK (quantity > 0),
    start_time      timestamptz NOT NULL,
    expire_time     timestamptz,
    arrive_time     timestamptz,
    head_seq        bigint NOT NULL DEFAULT 0,
    balance         quantity NOT NULL DEFAULT 0,
    create_time     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, account_id, wallet_id, grant_id),
    CONSTRAINT grant_not_overdrawn CHECK (balance BETWEEN 0 AND quantity),
    CONSTRAINT arrives_from_a_grant CHECK ((arrive_time IS NULL) = (source_grant_id IS NULL)),
    CONSTRAINT grant_expires_after_start CHECK (expire_time > start_time),
    CONSTRAINT wallet_exists FOREIGN KEY (tenant_id, account_id, wallet_id) REFERENCES wallets,
    CONSTRAINT entitlement_exists FOREIGN KEY (tenant_id, account_id, entitlement_id) REFERENCES entitlements
);
COMMENT ON COLUMN grants.source_grant_id IS 'the grant of another wallet of which this is what moved here at arrive_time';
COMMENT ON TABLE grants IS 'run-time: one issue in a wallet';
-- The grants of a balance, without those that are used up and expired.
CREATE INDEX grants_left ON grants (tenant_id, account_id, wallet_id) WHERE balance > 0;
CREATE INDEX grants_used_up ON grants (tenant_id, account_id, wallet_id, expire_time) WHERE balance <= 0;

-- The ledger. Each entry changes one grant and belongs to two chains: of its wallet and of its grant. The keys
-- below refuse a gap, a wrong opening balance, an overdraft or an edited closing balance.
CREATE TABLE wallet_entries (
    tenant_id      uuid NOT NULL,
    account_id     code NOT NULL,
    wallet_id      uuid NOT NULL,
    seq            bigint NOT NULL CHECK (seq > 0),
    prev_seq       bigint GENERATED ALWAYS AS (CASE WHEN seq = 1 THEN NULL ELSE seq - 1 END) STORED,
    grant_id       uuid NOT NULL,
    grant_seq      bigint NOT NULL CHECK (grant_seq > 0),
    prev_grant_seq bigint GENERATED ALWAYS AS (CASE WHEN grant_seq = 1 THEN NULL ELSE grant_seq - 1 END) STORED,
    kind           text NOT NULL CHECK (kind IN ('GRANT', 'REFRESH', 'ROLLOVER', 'EXPIRY', 'AMENDMENT',
                                                 'CANCELLATION', 'DRAWDOWN', 'CORRECTION', 'MOVED_OUT', 'MOVED_IN')),
    amount         quantity NOT NULL CHECK (amount <> 0),
    wallet_before  quantity NOT NULL,
    wallet_after   quantity NOT NULL,
    grant_before   quantity NOT NULL,
    grant_after    quantity NOT NULL,
    effective_time timestamptz NOT NULL,
    cause_kind     text NOT NULL,
    cause_id       byte_text NOT NULL,
    cause_revision integer NOT NULL DEFAULT 0,
    leg            byte_text NOT NULL,
    covered        quantity CHECK (covered IS NULL OR cause_kind = 'CELL'),
    hash           bytea NOT NULL CHECK (length(hash) = 32),
    create_time    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, account_id, wallet_id, seq),
    CONSTRAINT wallet_chain UNIQUE (tenant_id, account_id, wallet_id, seq, wallet_after),
    CONSTRAINT grant_chain UNIQUE (tenant_id, account_id, wallet_id, grant_id, grant_seq, grant_after),
    CONSTRAINT grant_position_taken UNIQUE (tenant_id, account_id, wallet_id, grant_id, grant_seq),
    CONSTRAINT one_entry_a_cause UNIQUE (tenant_id, account_id, cause_kind, cause_id, cause_revision, leg),
    CONSTRAINT wallet_adds_up CHECK (wallet_after = wallet_before + amount AND wallet_after >= 0),
    CONSTRAINT grant_adds_up CHECK (grant_after = grant_before + amount AND grant_after >= 0),
    CONSTRAINT wallet_opens_empty CHECK (seq > 1 OR wallet_before = 0),
    CONSTRAINT grant_opens_empty CHECK (grant_seq > 1 OR grant_before = 0),
    CONSTRAINT wallet_follows FOREIGN KEY (tenant_id, account_id, wallet_id, prev_seq, wallet_before)
        REFERENCES wallet_entries (tenant_id, account_id, wallet_id, seq, wallet_after),
    CONSTRAINT grant_follows FOREIGN KEY (tenant_id, account_id, wallet_id, grant_id, prev_grant_seq, grant_before)
        REFERENCES wallet_entries (tenant_id, account_id, wallet_id, grant_id, grant_seq, grant_after),
    CONSTRAINT grant_exists FOREIGN KEY (tenant_id, account_id, wallet_id, grant_id) REFERENCES grants
);
COMMENT ON COLUMN wallet_entries.covered IS
    'the usage that is covered, where a commitment with a discount is drawn by less, and with a surcharge by more';
COMMENT ON TABLE wallet_entries IS 'run-time: the ledger; rows are never changed or removed';
-- A correction reads what counts since a time. See usage_records_by_time for the predicate.
CREATE INDEX wallet_entries_by_time ON wallet_entries (tenant_id, account_id, wallet_id, effective_time)
    WHERE effective_time > '-infinity';

-- Run-time: usage and summaries -------------------------------------------------------------------

-- A row lock separates recording (FOR SHARE) from freezing (UPDATE).
CREATE TABLE rating_periods (
    tenant_id   uuid NOT NULL,
    account_id  code NOT NULL,
    wallet_id   uuid NOT NULL,
    start_time  timestamptz NOT NULL,
    end_time    timestamptz NOT NULL CHECK (end_time > start_time),
    freeze_time timestamptz NOT NULL,
    state       text NOT NULL DEFAULT 'OPEN' CHECK (state IN ('OPEN', 'FROZEN', 'FINAL')),
    final_time  timestamptz,
    has_moved   boolean NOT NULL DEFAULT false,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, account_id, wallet_id, start_time),
    CONSTRAINT wallet_exists FOREIGN KEY (tenant_id, account_id, wallet_id) REFERENCES wallets
);
COMMENT ON COLUMN rating_periods.has_moved IS
    'true if usage of an asset was moved to another wallet, so that who waited for the lock has to look again';
COMMENT ON TABLE rating_periods IS 'run-time: the rating periods of a wallet with their states';
CREATE INDEX rating_periods_open ON rating_periods (tenant_id, account_id, wallet_id, start_time)
    WHERE state <> 'FINAL';

-- Written by whoever changes final usage, deleted by the correction that takes it in.
CREATE TABLE pending_corrections (
    tenant_id   uuid NOT NULL,
    account_id  code NOT NULL,
    wallet_id   uuid NOT NULL,
    start_time  timestamptz NOT NULL,
    cause       text NOT NULL CHECK (cause IN ('LATE', 'VOID', 'AMEND', 'SALE', 'RATE', 'REBIND')),
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, account_id, wallet_id, start_time, cause),
    CONSTRAINT rating_period_exists FOREIGN KEY (tenant_id, account_id, wallet_id, start_time)
        REFERENCES rating_periods
);
COMMENT ON TABLE pending_corrections IS 'run-time: the final rating periods that are not as they were settled, and why';

CREATE TABLE loadings (
    tenant_id   uuid NOT NULL,
    account_id  code NOT NULL,
    loading_id  uuid NOT NULL,
    order_id    uuid,
    asset_ids   uuid[] NOT NULL,
    until_time  timestamptz NOT NULL,
    end_time    timestamptz,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, account_id, loading_id),
    CONSTRAINT account_exists FOREIGN KEY (tenant_id, account_id) REFERENCES accounts,
    CONSTRAINT order_exists FOREIGN KEY (tenant_id, account_id, order_id) REFERENCES orders
);
COMMENT ON TABLE loadings IS 'run-time: the accounts and assets whose usage of any age is accepted, and until when';
COMMENT ON COLUMN loadings.asset_ids IS 'the assets; empty for all of the account';
COMMENT ON COLUMN loadings.end_time IS 'when it was ended by declaration';
CREATE INDEX loadings_open ON loadings (tenant_id, account_id, until_time) WHERE end_time IS NULL;
CREATE INDEX loadings_by_time ON loadings (tenant_id, account_id, create_time, loading_id);

CREATE TABLE corrections (
    tenant_id     uuid NOT NULL,
    account_id    code NOT NULL,
    correction_id uuid NOT NULL,
    causes        text[] NOT NULL CHECK (cardinality(causes) > 0),
    start_time    timestamptz NOT NULL,
    create_time   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, account_id, correction_id),
    CONSTRAINT account_exists FOREIGN KEY (tenant_id, account_id) REFERENCES accounts
);
COMMENT ON TABLE corrections IS 'run-time: what was booked for a settlement group because its past changed';
COMMENT ON COLUMN corrections.start_time IS 'the start of the earliest rating period that changed';
CREATE INDEX corrections_by_time ON corrections (tenant_id, account_id, create_time, correction_id);

CREATE TABLE correction_wallets (
    tenant_id     uuid NOT NULL,
    account_id    code NOT NULL,
    wallet_id     uuid NOT NULL,
    revision      integer NOT NULL CHECK (revision > 0),
    correction_id uuid NOT NULL,
    -- The wallet's entries of the correction are those after `after_seq`, through `last_seq`.
    after_seq     bigint NOT NULL,
    last_seq      bigint NOT NULL CHECK (last_seq >= after_seq),
    PRIMARY KEY (tenant_id, account_id, wallet_id, revision),
    CONSTRAINT wallet_once UNIQUE (tenant_id, account_id, correction_id, wallet_id),
    CONSTRAINT correction_exists FOREIGN KEY (tenant_id, account_id, correction_id) REFERENCES corrections,
    CONSTRAINT wallet_exists FOREIGN KEY (tenant_id, account_id, wallet_id) REFERENCES wallets
);
COMMENT ON TABLE correction_wallets IS 'run-time: the wallets of a correction; its entries have `revision` as cause_revision';

CREATE TABLE usage_summaries (
    tenant_id           uuid NOT NULL,
    account_id          code NOT NULL,
    usage_summary_id    uuid NOT NULL,
    wallet_id           uuid NOT NULL,
    asset_id            uuid NOT NULL,
    usage_resource_id   code NOT NULL,
    dimensions          text NOT NULL DEFAULT '',
    start_time          timestamptz NOT NULL,
    end_time            timestamptz NOT NULL,
    period_start_time   timestamptz NOT NULL,
    unit_numerator      numeric NOT NULL DEFAULT 1 CHECK (unit_numerator > 0),
    unit_denominator    numeric NOT NULL DEFAULT 1 CHECK (unit_denominator > 0),
    record_count        bigint NOT NULL,
    sum_quantity        total NOT NULL,
    max_quantity        quantity NOT NULL,
    min_quantity        quantity NOT NULL,
    last_quantity       quantity NOT NULL,
    last_time           timestamptz NOT NULL,
    last_record_id      byte_text NOT NULL,
    first_time          timestamptz,
    held_quantity       numeric,
    quantity            total,
    drawn_quantity      quantity,
    overage_quantity    total,
    ratable_summary_id  uuid,
    source_summary_id   uuid,
    PRIMARY KEY (tenant_id, account_id, usage_summary_id),
    CONSTRAINT source_summary_exists FOREIGN KEY (tenant_id, account_id, source_summary_id)
        REFERENCES usage_summaries,
    CONSTRAINT usage_summary_is_drawn_whole CHECK (quantity = drawn_quantity + overage_quantity),
    CONSTRAINT asset_resource_exists FOREIGN KEY (tenant_id, account_id, asset_id, usage_resource_id)
        REFERENCES asset_resources,
    CONSTRAINT rating_period_exists FOREIGN KEY (tenant_id, account_id, wallet_id, period_start_time)
        REFERENCES rating_periods
) WITH (fillfactor = 70);
COMMENT ON TABLE usage_summaries IS 'run-time: a cell: one local day of an asset and resource, in one rating period';
COMMENT ON COLUMN usage_summaries.source_summary_id IS
    'the cell whose overage is rated in these tokens; a cell with a source has no records of its own';
COMMENT ON COLUMN usage_summaries.held_quantity IS
    'of a gauge, from first_time to last_time: the integral of the readings over time, in units times seconds';
COMMENT ON COLUMN usage_summaries.unit_numerator IS
    'with unit_denominator, the units counted in one unit that was sent; the measures are in the unit that was sent';
CREATE UNIQUE INDEX usage_summaries_by_source ON usage_summaries (tenant_id, account_id, source_summary_id)
    WHERE source_summary_id IS NOT NULL;
-- The predicates are always true; only queries that repeat them use these indexes. See usage_records_by_time.
CREATE INDEX usage_summaries_by_period ON usage_summaries
    (tenant_id, account_id, wallet_id, period_start_time, start_time, usage_summary_id)
    WHERE period_start_time > '-infinity';

-- The table with the most writes has no foreign keys: its rows are written with their cells in one
-- transaction, and `usage verify` proves that each cell equals its records.
CREATE TABLE usage_records (
    tenant_id          uuid NOT NULL,
    account_id         byte_text NOT NULL,
    record_id          byte_text NOT NULL,
    usage_summary_id   uuid NOT NULL,
    asset_id           uuid NOT NULL,
    usage_resource_id  byte_text NOT NULL,
    quantity           quantity NOT NULL,
    unit_of_measure_id byte_text NOT NULL,
    counted_quantity   quantity NOT NULL,
    usage_time         timestamptz NOT NULL,
    labels             jsonb,
    content_hash       bytea NOT NULL,
    create_time        timestamptz NOT NULL DEFAULT clock_timestamp(),
    revision           integer NOT NULL DEFAULT 1,
    amend_time         timestamptz,
    amended_by         uuid,
    state              text NOT NULL DEFAULT 'ACTIVE' CHECK (state IN ('ACTIVE', 'VOIDED')),
    void_time          timestamptz,
    voided_by          uuid,
    void_reason        text,
    CONSTRAINT record_id_taken PRIMARY KEY (tenant_id, account_id, record_id),
    CONSTRAINT amended_means_revised CHECK ((revision > 1) = (amend_time IS NOT NULL)),
    CONSTRAINT voided_means_time CHECK ((state = 'VOIDED') = (void_time IS NOT NULL))
);
COMMENT ON TABLE usage_records IS 'run-time: one usage record in its current revision; a voided one counts nowhere';
-- The predicate is always true; only queries that repeat it use the index. A look-up by id can then only use the
-- key: before the table was analyzed, the planner chose this index for it, which read the whole account.
CREATE INDEX usage_records_by_time ON usage_records (tenant_id, account_id, usage_time, record_id)
    WHERE usage_time > '-infinity';
CREATE INDEX usage_records_voided ON usage_records (tenant_id, account_id, usage_time) WHERE state = 'VOIDED';

-- The content of a record before each of its amendments. `create_time` and `created_by` are those of the revision.
CREATE TABLE usage_record_revisions (
    tenant_id          uuid NOT NULL,
    account_id         byte_text NOT NULL,
    record_id          byte_text NOT NULL,
    revision           integer NOT NULL CHECK (revision > 0),
    asset_id           uuid NOT NULL,
    usage_resource_id  byte_text NOT NULL,
    quantity           quantity NOT NULL,
    unit_of_measure_id byte_text NOT NULL,
    usage_time         timestamptz NOT NULL,
    labels             jsonb,
    content_hash       bytea NOT NULL,
    create_time        timestamptz NOT NULL,
    created_by         uuid,
    PRIMARY KEY (tenant_id, account_id, record_id, revision)
);
COMMENT ON TABLE usage_record_revisions IS 'run-time: the earlier revisions of amended usage records';

-- Texts are as sent, so nothing refers to other tables. `account_id` is empty if it could not be read.
CREATE TABLE refused_records (
    tenant_id       uuid NOT NULL,
    refusal_id      uuid NOT NULL,
    account_id      byte_text NOT NULL,
    record_id       text NOT NULL,
    asset           text NOT NULL,
    usage_resource  text NOT NULL,
    reason          text NOT NULL,
    status          bytea NOT NULL,
    content_hash    bytea NOT NULL,
    create_time     timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by      uuid DEFAULT nullif(current_setting('usage.credential_id', true), '')::uuid,
    PRIMARY KEY (tenant_id, refusal_id)
);
COMMENT ON TABLE refused_records IS 'control: the last refused records of a tenant, at most 1,000';

-- The earliest record with a value counts it; the key makes concurrent transactions wait for it.
CREATE TABLE unique_values (
    tenant_id  uuid NOT NULL,
    account_id byte_text NOT NULL,
    wallet_id  uuid NOT NULL,
    asset_id   uuid NOT NULL,
    window_key byte_text NOT NULL,
    value      byte_text NOT NULL,
    record_id  byte_text NOT NULL,
    PRIMARY KEY (tenant_id, account_id, wallet_id, asset_id, window_key, value)
);
COMMENT ON TABLE unique_values IS 'run-time: the distinct values of a label in a window, each with the record that counts it';

CREATE TABLE ratable_summaries (
    tenant_id          uuid NOT NULL,
    account_id         code NOT NULL,
    ratable_summary_id uuid NOT NULL,
    wallet_id          uuid NOT NULL,
    asset_id           uuid NOT NULL,
    usage_resource_id  code NOT NULL,
    asset_rate_id      uuid,
    start_time         timestamptz NOT NULL,
    end_time           timestamptz NOT NULL,
    -- The start of the target's first asset when the line was made. A period that begins before it is told, filtered
    -- and billed from it; `start_time` and `origin_start_time` stay the keys of whole periods.
    service_start_time timestamptz NOT NULL,
    origin_start_time  timestamptz NOT NULL,
    segment_start_time timestamptz NOT NULL,
    dimensions         text NOT NULL DEFAULT '',
    state              text NOT NULL CHECK (state IN ('RATED', 'RATING_FAILED')),
    used_quantity      total NOT NULL,
    drawn_quantity     quantity NOT NULL,
    overage_quantity   total NOT NULL,
    tier_quantity      total NOT NULL,
    net_unit_rate      quantity,
    amount             exact_amount,
    currency_code      text NOT NULL,
    waterfall          jsonb NOT NULL,
    error_reason       text NOT NULL DEFAULT '',
    error_message      text NOT NULL DEFAULT '',
    procedure_id       code,
    procedure_version_id code,
    execution_id       uuid NOT NULL,
    execution_time     timestamptz NOT NULL DEFAULT now(),
    liable_summary_id  uuid,
    correction_id      uuid,
    corrects_id        uuid,
    create_time        timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, account_id, ratable_summary_id),
    CONSTRAINT correction_exists FOREIGN KEY (tenant_id, account_id, correction_id) REFERENCES corrections,
    CONSTRAINT ratable_summary_adds_up CHECK (used_quantity = drawn_quantity + overage_quantity),
    CONSTRAINT rated_means_amount CHECK ((state = 'RATED') = (amount IS NOT NULL)),
    CONSTRAINT version_is_whole CHECK (num_nonnulls(procedure_id, procedure_version_id) <> 1),
    CONSTRAINT version_exists FOREIGN KEY (tenant_id, procedure_id, procedure_version_id)
        REFERENCES procedure_versions,
    CONSTRAINT rating_period_exists FOREIGN KEY (tenant_id, account_id, wallet_id, start_time)
        REFERENCES rating_periods
);
COMMENT ON COLUMN ratable_summaries.corrects_id IS
    'the first line of the same usage: the figures of a correction are differences from it and its other corrections';
COMMENT ON TABLE ratable_summaries IS 'run-time: the cost of the overage of one asset and resource in one rating period';
-- The predicates are always true; only queries that repeat them use these indexes. See usage_records_by_time.
CREATE INDEX ratable_summaries_by_wallet ON ratable_summaries
    (tenant_id, account_id, wallet_id, start_time, ratable_summary_id) WHERE start_time > '-infinity';
CREATE INDEX ratable_summaries_by_origin ON ratable_summaries
    (tenant_id, account_id, wallet_id, origin_start_time) WHERE origin_start_time > '-infinity';
-- For balances: what is in no invoice-ready line yet. Lines in tokens never are; the currency keeps them apart.
CREATE INDEX ratable_summaries_unbilled ON ratable_summaries (tenant_id, account_id, wallet_id, currency_code)
    WHERE liable_summary_id IS NULL AND amount <> 0;
CREATE INDEX ratable_summaries_by_correction ON ratable_summaries
    (tenant_id, account_id, correction_id) WHERE correction_id IS NOT NULL;
CREATE INDEX ratable_summaries_by_version ON ratable_summaries
    (tenant_id, procedure_id, procedure_version_id) WHERE procedure_id IS NOT NULL;

CREATE TABLE liable_summaries (
    tenant_id              uuid NOT NULL,
    account_id             code NOT NULL,
    liable_summary_id      uuid NOT NULL,
    entitlement_account_id uuid NOT NULL,
    wallet_id              uuid NOT NULL,
    asset_id               uuid NOT NULL,
    product_id             code NOT NULL,
    definition_product_id  code,
    usage_resource_id      code NOT NULL,
    unit_of_measure_id     code NOT NULL,
    start_time             timestamptz NOT NULL,
    end_time               timestamptz NOT NULL,
    -- The billing period of the usage; money is rounded once for all lines of an asset with the same one.
    origin_start_time      timestamptz NOT NULL,
    origin_end_time        timestamptz NOT NULL,
    segment_start_time     timestamptz NOT NULL,
    dimensions             text NOT NULL DEFAULT '',
    is_correction          boolean NOT NULL,
    state                  text NOT NULL CHECK (state IN ('READY_FOR_INVOICING', 'FAILED', 'INVOICED')),
    invoice                text,
    invoice_time           timestamptz,
    used_quantity          total NOT NULL,
    overage_quantity       total NOT NULL,
    exact_amount           exact_amount NOT NULL,
    amount                 quantity NOT NULL,
    currency_code          text NOT NULL,
    create_time            timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, account_id, liable_summary_id),
    CONSTRAINT only_corrections_are_of_earlier_usage
        CHECK (origin_end_time <= end_time AND (is_correction OR origin_end_time = end_time)),
    -- Also the index by which late usage finds what was billed for its billing period.
    CONSTRAINT invoiced_has_invoice CHECK (
        (state = 'INVOICED') = (invoice IS NOT NULL) AND (invoice IS NULL) = (invoice_time IS NULL)),
    CONSTRAINT one_live_line UNIQUE (tenant_id, account_id, wallet_id, asset_id, origin_end_time, start_time,
                                     segment_start_time, is_correction, dimensions),
    CONSTRAINT wallet_exists FOREIGN KEY (tenant_id, account_id, wallet_id) REFERENCES wallets
);
COMMENT ON TABLE liable_summaries IS 'run-time: invoice-ready lines';
CREATE INDEX liable_summaries_by_time ON liable_summaries (tenant_id, account_id, start_time, liable_summary_id)
    WHERE start_time > '-infinity';
-- For an invoicing system that polls: the lines of all accounts by create time.
CREATE INDEX liable_summaries_by_create_time ON liable_summaries
    (tenant_id, create_time, account_id, liable_summary_id) WHERE create_time > '-infinity';

CREATE TABLE superseded_liables (
    tenant_id         uuid NOT NULL,
    account_id        code NOT NULL,
    liable_summary_id uuid NOT NULL,
    revision          smallint NOT NULL,
    used_quantity     total NOT NULL,
    overage_quantity  total NOT NULL,
    amount            quantity NOT NULL,
    create_time       timestamptz NOT NULL,
    supersede_time    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, account_id, liable_summary_id, revision),
    CONSTRAINT account_exists FOREIGN KEY (tenant_id, account_id) REFERENCES accounts
);
COMMENT ON TABLE superseded_liables IS 'run-time: earlier figures of invoice-ready lines, before corrections replaced them';

CREATE TABLE superseded_ratables (
    LIKE ratable_summaries INCLUDING CONSTRAINTS,
    supersede_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, account_id, ratable_summary_id, execution_id),
    CONSTRAINT version_exists FOREIGN KEY (tenant_id, procedure_id, procedure_version_id)
        REFERENCES procedure_versions,
    CONSTRAINT wallet_exists FOREIGN KEY (tenant_id, account_id, wallet_id) REFERENCES wallets
);
COMMENT ON TABLE superseded_ratables IS 'run-time: earlier ratable lines with their steps, before corrections replaced them';
CREATE INDEX superseded_ratables_by_liable ON superseded_ratables
    (tenant_id, account_id, liable_summary_id, start_time, ratable_summary_id);
CREATE INDEX superseded_ratables_by_correction ON superseded_ratables
    (tenant_id, account_id, correction_id) WHERE correction_id IS NOT NULL;
CREATE INDEX superseded_ratables_by_version ON superseded_ratables
    (tenant_id, procedure_id, procedure_version_id) WHERE procedure_id IS NOT NULL;

CREATE TABLE rating_batches (
    tenant_id         uuid NOT NULL,
    account_id        code NOT NULL,
    rating_batch_id uuid NOT NULL,
    state             text NOT NULL DEFAULT 'PENDING' CHECK (state IN ('PENDING', 'RATING_COMPLETE', 'FAILED')),
    skips_waterfall   boolean NOT NULL,
    lines             jsonb NOT NULL,
    results           jsonb,
    error_code        text NOT NULL DEFAULT '',
    error_text        text NOT NULL DEFAULT '',
    create_time       timestamptz NOT NULL DEFAULT clock_timestamp(),
    rate_time         timestamptz,
    PRIMARY KEY (tenant_id, account_id, rating_batch_id),
    CONSTRAINT rated_means_results CHECK ((state = 'PENDING') = (results IS NULL)),
    CONSTRAINT failed_means_code CHECK ((state = 'FAILED') = (error_code <> '')),
    CONSTRAINT account_exists FOREIGN KEY (tenant_id, account_id) REFERENCES accounts
);
COMMENT ON TABLE rating_batches IS 'run-time: hypothetical usage that a worker rates';
CREATE INDEX rating_batches_by_time ON rating_batches (tenant_id, account_id, create_time, rating_batch_id);

CREATE TABLE record_runs (
    tenant_id         uuid NOT NULL,
    account_id        code NOT NULL,
    record_run_id     uuid NOT NULL,
    kind              text NOT NULL CHECK (kind IN ('VOID', 'AMEND')),
    -- What an amendment changes; a void has none.
    change            jsonb,
    state             text NOT NULL DEFAULT 'RUNNING' CHECK (state IN ('RUNNING', 'DONE', 'FAILED')),
    is_dry            boolean NOT NULL,
    start_time        timestamptz NOT NULL,
    end_time          timestamptz NOT NULL CHECK (end_time > start_time),
    asset_id          uuid,
    usage_resource_id byte_text,
    labels            jsonb,
    reason            text NOT NULL DEFAULT '',
    -- The last record that was looked at. A slice begins here, and moves it in its own transaction.
    after_time        timestamptz NOT NULL,
    after_record_id   byte_text NOT NULL DEFAULT '',
    record_count      bigint NOT NULL DEFAULT 0,
    unchanged_count   bigint NOT NULL DEFAULT 0,
    refused_count     bigint NOT NULL DEFAULT 0,
    has_money         boolean NOT NULL DEFAULT false,
    no_money          text NOT NULL DEFAULT '',
    error             text NOT NULL DEFAULT '',
    finish_time       timestamptz,
    create_time       timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, account_id, record_run_id),
    CONSTRAINT amendment_means_change CHECK ((kind = 'AMEND') = (change IS NOT NULL)),
    CONSTRAINT finished_means_time CHECK ((state = 'RUNNING') = (finish_time IS NULL)),
    CONSTRAINT account_exists FOREIGN KEY (tenant_id, account_id) REFERENCES accounts
);
COMMENT ON TABLE record_runs IS 'run-time: filters of usage records that a worker voids or amends, and its progress; a dry run changes nothing';
CREATE INDEX record_runs_by_time ON record_runs (tenant_id, account_id, kind, create_time, record_run_id);

CREATE TABLE record_run_usage (
    tenant_id         uuid NOT NULL,
    account_id        code NOT NULL,
    record_run_id     uuid NOT NULL,
    asset_id          uuid NOT NULL,
    usage_resource_id byte_text NOT NULL,
    record_count      bigint NOT NULL,
    quantity          total NOT NULL,
    new_quantity      total NOT NULL,
    PRIMARY KEY (tenant_id, account_id, record_run_id, asset_id, usage_resource_id),
    CONSTRAINT record_run_exists FOREIGN KEY (tenant_id, account_id, record_run_id) REFERENCES record_runs
);
COMMENT ON TABLE record_run_usage IS 'run-time: the usage that a run changes, by asset and resource';

-- A dry run may be about a period that nothing has opened, so these refer to no rating period.
CREATE TABLE record_run_periods (
    tenant_id     uuid NOT NULL,
    account_id    code NOT NULL,
    record_run_id uuid NOT NULL,
    wallet_id     uuid NOT NULL,
    start_time    timestamptz NOT NULL,
    end_time      timestamptz NOT NULL,
    freeze_time   timestamptz NOT NULL,
    is_final      boolean NOT NULL,
    record_count  bigint NOT NULL,
    PRIMARY KEY (tenant_id, account_id, record_run_id, wallet_id, start_time),
    CONSTRAINT record_run_exists FOREIGN KEY (tenant_id, account_id, record_run_id) REFERENCES record_runs
);
COMMENT ON TABLE record_run_periods IS 'run-time: the rating periods of the usage that a run changes';

CREATE TABLE record_run_refusals (
    tenant_id     uuid NOT NULL,
    account_id    code NOT NULL,
    record_run_id uuid NOT NULL,
    position      bigint NOT NULL,
    record_id     byte_text NOT NULL,
    error         text NOT NULL,
    PRIMARY KEY (tenant_id, account_id, record_run_id, position),
    CONSTRAINT record_run_exists FOREIGN KEY (tenant_id, account_id, record_run_id) REFERENCES record_runs
);
COMMENT ON TABLE record_run_refusals IS 'run-time: the first records that a run refused to amend';

CREATE TABLE record_run_lines (
    tenant_id         uuid NOT NULL,
    account_id        code NOT NULL,
    record_run_id     uuid NOT NULL,
    wallet_id         uuid NOT NULL,
    origin_start_time timestamptz NOT NULL,
    origin_end_time   timestamptz NOT NULL,
    asset_id          uuid NOT NULL,
    is_final          boolean NOT NULL,
    currency_code     text NOT NULL,
    usage_resource_id byte_text NOT NULL,
    used_quantity     total NOT NULL,
    overage_quantity  total NOT NULL,
    amount_before     exact_amount NOT NULL,
    amount_after      exact_amount NOT NULL,
    failure           text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, account_id, record_run_id, wallet_id, origin_start_time, asset_id, is_final, currency_code),
    CONSTRAINT record_run_exists FOREIGN KEY (tenant_id, account_id, record_run_id) REFERENCES record_runs
);
COMMENT ON TABLE record_run_lines IS 'run-time: what a dry run would change in money';

CREATE TABLE record_run_balances (
    tenant_id         uuid NOT NULL,
    account_id        code NOT NULL,
    record_run_id     uuid NOT NULL,
    wallet_id         uuid NOT NULL,
    usage_resource_id byte_text NOT NULL,
    balance_before    total NOT NULL,
    balance_after     total NOT NULL,
    PRIMARY KEY (tenant_id, account_id, record_run_id, wallet_id),
    CONSTRAINT record_run_exists FOREIGN KEY (tenant_id, account_id, record_run_id) REFERENCES record_runs
);
COMMENT ON TABLE record_run_balances IS 'run-time: the balances that a dry run would change';

-- A run is about many accounts; each of these has a row of its own, and jobs that are done in any order. The rows of
-- accounts do not refer to the run by a key, because a database may distribute accounts.
CREATE TABLE reprice_runs (
    tenant_id         uuid NOT NULL,
    reprice_run_id    uuid NOT NULL,
    state             text NOT NULL DEFAULT 'RUNNING' CHECK (state IN ('RUNNING', 'DONE', 'FAILED')),
    is_dry            boolean NOT NULL,
    repeats_id        uuid,
    account_ids       text[],
    product_id        code,
    price_book_id     code,
    new_price_book_id code,
    start_date        date NOT NULL,
    reason            text NOT NULL DEFAULT '',
    -- The last account that was looked at, and true once there are no more.
    after_account_id  text NOT NULL DEFAULT '',
    is_listed         boolean NOT NULL DEFAULT false,
    account_count     bigint NOT NULL DEFAULT 0,
    done_count        bigint NOT NULL DEFAULT 0,
    refused_count     bigint NOT NULL DEFAULT 0,
    no_money_count    bigint NOT NULL DEFAULT 0,
    asset_count       bigint NOT NULL DEFAULT 0,
    repriced_count    bigint NOT NULL DEFAULT 0,
    error             text NOT NULL DEFAULT '',
    finish_time       timestamptz,
    create_time       timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, reprice_run_id),
    CONSTRAINT finished_means_time CHECK ((state = 'RUNNING') = (finish_time IS NULL)),
    CONSTRAINT done_means_all CHECK (state <> 'DONE' OR (is_listed AND done_count = account_count)),
    CONSTRAINT only_dry_runs_are_repeated CHECK (repeats_id IS NULL OR NOT is_dry),
    CONSTRAINT tenant_exists FOREIGN KEY (tenant_id) REFERENCES tenants,
    CONSTRAINT repeated_run_exists FOREIGN KEY (tenant_id, repeats_id) REFERENCES reprice_runs
);
COMMENT ON TABLE reprice_runs IS 'control: assets of many accounts that a worker moves to the rates of the catalog of a day, and its progress; a dry run changes nothing';
CREATE INDEX reprice_runs_by_time ON reprice_runs (tenant_id, create_time, reprice_run_id);

-- The sums of a dry run in money, by unit.
CREATE TABLE reprice_run_totals (
    tenant_id      uuid NOT NULL,
    reprice_run_id uuid NOT NULL,
    currency_code  text NOT NULL,
    is_final       boolean NOT NULL,
    period_count   bigint NOT NULL,
    amount         numeric NOT NULL,
    PRIMARY KEY (tenant_id, reprice_run_id, currency_code, is_final),
    CONSTRAINT reprice_run_exists FOREIGN KEY (tenant_id, reprice_run_id) REFERENCES reprice_runs
);
COMMENT ON TABLE reprice_run_totals IS 'control: the sums of what a dry reprice run would change in money';

CREATE TABLE reprice_run_accounts (
    tenant_id      uuid NOT NULL,
    account_id     code NOT NULL,
    reprice_run_id uuid NOT NULL,
    is_done        boolean NOT NULL DEFAULT false,
    PRIMARY KEY (tenant_id, account_id, reprice_run_id),
    CONSTRAINT account_exists FOREIGN KEY (tenant_id, account_id) REFERENCES accounts
);
COMMENT ON TABLE reprice_run_accounts IS 'run-time: the accounts of a reprice run';

-- Position 0 is the account as a whole, which has no asset.
CREATE TABLE reprice_run_items (
    tenant_id      uuid NOT NULL,
    account_id     code NOT NULL,
    reprice_run_id uuid NOT NULL,
    position       integer NOT NULL CHECK (position >= 0),
    asset_id       uuid,
    resources      jsonb,
    refusal        text NOT NULL DEFAULT '',
    no_money       text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, account_id, reprice_run_id, position),
    CONSTRAINT first_is_the_account CHECK ((position = 0) = (asset_id IS NULL)),
    CONSTRAINT assets_have_resources CHECK ((asset_id IS NULL) = (resources IS NULL)),
    CONSTRAINT accounts_have_reasons CHECK ((asset_id IS NULL) = (refusal <> '' OR no_money <> '')),
    CONSTRAINT reprice_run_account_exists FOREIGN KEY (tenant_id, account_id, reprice_run_id)
        REFERENCES reprice_run_accounts
);
COMMENT ON TABLE reprice_run_items IS 'run-time: the outcomes of a reprice run by asset, with the rates before and after';
CREATE INDEX reprice_run_items_by_run ON reprice_run_items (tenant_id, reprice_run_id, account_id, position);

CREATE TABLE reprice_run_amounts (
    tenant_id         uuid NOT NULL,
    account_id        code NOT NULL,
    reprice_run_id    uuid NOT NULL,
    asset_id          uuid NOT NULL,
    usage_resource_id code NOT NULL,
    is_final          boolean NOT NULL,
    currency_code     text NOT NULL,
    period_count      bigint NOT NULL,
    amount_before     exact_amount NOT NULL,
    amount_after      exact_amount NOT NULL,
    PRIMARY KEY (tenant_id, account_id, reprice_run_id, asset_id, usage_resource_id, is_final, currency_code),
    CONSTRAINT reprice_run_account_exists FOREIGN KEY (tenant_id, account_id, reprice_run_id)
        REFERENCES reprice_run_accounts
);
COMMENT ON TABLE reprice_run_amounts IS 'run-time: what a dry reprice run would change in money';

-- The ledger is append-only: no permission to change it, and two triggers as a second guard ------------------------

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% only grows', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER ledger_only_grows BEFORE UPDATE OR DELETE ON wallet_entries
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_is_not_emptied BEFORE TRUNCATE ON wallet_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Audit columns: creator, last change, and their times -----------------------------------------------

-- The credential of the call of this transaction; null when the service acts by itself. It may be an operator's,
-- which belongs to another tenant, so no foreign key refers to it.
CREATE FUNCTION calling_credential() RETURNS uuid LANGUAGE sql STABLE
    AS $$ SELECT nullif(current_setting('usage.credential_id', true), '')::uuid $$;

CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    NEW.update_time := clock_timestamp();
    NEW.updated_by := calling_credential();
    RETURN NEW;
END $$;

-- `update_time` and `updated_by` are null until the first change; the API then shows those of the creation. Only
-- changes that callers can see count. Where callers get an etag, these are the changes that raise its revision;
-- counters that only the service reads are ignored.
DO $$
DECLARE kind record;
BEGIN
    FOR kind IN SELECT * FROM (VALUES
        ('tenants', '(OLD.clock_time, OLD.display_name, OLD.usage_window_days) IS DISTINCT FROM'
            ' (NEW.clock_time, NEW.display_name, NEW.usage_window_days)'),
        ('credentials', 'OLD.* IS DISTINCT FROM NEW.*'),
        ('runs', 'OLD.* IS DISTINCT FROM NEW.*'),
        ('jobs', '(OLD.state, OLD.attempts, OLD.error) IS DISTINCT FROM (NEW.state, NEW.attempts, NEW.error)'),
        ('rating_batches', 'OLD.state IS DISTINCT FROM NEW.state'),
        ('loadings', 'OLD.* IS DISTINCT FROM NEW.*'),
        ('record_runs', 'OLD.* IS DISTINCT FROM NEW.*'),
        ('reprice_runs', 'OLD.* IS DISTINCT FROM NEW.*'),
        ('assets', NULL)
    ) AS own (name, is_change)
    UNION ALL
    SELECT unnest(ARRAY['unit_classes', 'units_of_measure', 'usage_resources', 'products', 'product_usage_resources',
        'product_usage_grants', 'selling_models', 'aggregation_policies', 'rating_frequency_policies',
        'overage_policies', 'refresh_policies', 'rollover_policies', 'commitment_policies', 'price_books',
        'rate_cards', 'rate_card_entries', 'custom_fields', 'procedures', 'procedure_versions', 'accounts',
        'binding_targets', 'quotes', 'orders']),
        'OLD.revision IS DISTINCT FROM NEW.revision'
    LOOP
        EXECUTE format('ALTER TABLE %I ADD COLUMN created_by uuid DEFAULT calling_credential(),'
            ' ADD COLUMN update_time timestamptz, ADD COLUMN updated_by uuid', kind.name);
        IF kind.is_change IS NOT NULL THEN
            EXECUTE format('CREATE TRIGGER change_is_noted BEFORE UPDATE ON %I FOR EACH ROW WHEN (%s)'
                ' EXECUTE FUNCTION note_change()', kind.name, kind.is_change);
        END IF;
    END LOOP;
END $$;

-- The last change of a record has columns of its own.
ALTER TABLE usage_records ADD COLUMN created_by uuid DEFAULT calling_credential();
ALTER TABLE asset_changes ADD COLUMN created_by uuid DEFAULT calling_credential();
ALTER TABLE commitment_links ADD COLUMN created_by uuid DEFAULT calling_credential();

-- Tenancy: forced row-level security, and the few functions that look across tenants ---------------

DO $$
DECLARE name text;
BEGIN
    FOR name IN SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                 WHERE n.nspname = current_schema() AND c.relkind = 'r' AND EXISTS (
                       SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id')
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format($policy$CREATE POLICY own_tenant ON %I
            USING (tenant_id = nullif(current_setting('usage.tenant_id', true), '')::uuid)$policy$, name);
        EXECUTE format('GRANT SELECT, INSERT ON %I TO usage_app', name);
    END LOOP;
END $$;

-- The tables whose rows may change. All others are append-only.
GRANT UPDATE ON tenants, credentials, runs, jobs, unit_classes, units_of_measure, usage_resources, products,
    product_usage_resources, product_usage_grants, aggregation_policies, rating_frequency_policies,
    overage_policies, refresh_policies, rollover_policies, commitment_policies, selling_models, rate_cards,
    price_books, rate_card_entries, accounts, binding_targets, quotes, orders, entitlements, entitlement_accounts, wallets, asset_resources, asset_rates, grants,
    rating_periods, usage_summaries, ratable_summaries, rating_batches, record_runs, record_run_usage, record_run_periods, reprice_runs,
    reprice_run_accounts, reprice_run_totals TO usage_app;
GRANT UPDATE ON procedures, procedure_versions, default_procedures, custom_fields TO usage_app;
GRANT UPDATE ON unique_values TO usage_app;
-- Locking rows that are deleted needs the right to update them.
GRANT UPDATE ON refused_records TO usage_app;
-- An earlier record takes over a unique value, and records are amended and voided. Their creation does not change.
GRANT UPDATE (usage_summary_id, asset_id, usage_resource_id, quantity, unit_of_measure_id, counted_quantity,
    usage_time, labels, content_hash, revision, amend_time, amended_by, state, void_time, voided_by, void_reason)
    ON usage_records TO usage_app;
-- A loading changes only in when it ends.
GRANT UPDATE (until_time, end_time) ON loadings TO usage_app;
-- An invoice-ready line changes only in that an invoice has it.
GRANT UPDATE (state, invoice, invoice_time) ON liable_summaries TO usage_app;
GRANT DELETE ON pending_corrections, refused_records, ratable_summaries, liable_summaries, request_log, jobs, unique_values, validation_findings, price_books, price_book_rate_cards, rate_cards,
    rate_card_entries, rate_tiers, unit_classes, units_of_measure, usage_resources, products,
    product_usage_resources, product_usage_grants, aggregation_policies, rating_frequency_policies,
    overage_policies, refresh_policies, rollover_policies, commitment_policies, selling_models TO usage_app;
-- The rates of later days of an asset that follows the catalog.
GRANT DELETE ON asset_rates TO usage_app;
GRANT DELETE ON procedures, procedure_versions, quote_lines, custom_fields, binding_targets, binding_target_policies
    TO usage_app;

-- The owner runs the functions below and sees the rows of all tenants in these tables, in no others.
CREATE POLICY across_tenants ON tenants FOR SELECT TO usage_owner USING (true);
CREATE POLICY across_tenants ON credentials FOR SELECT TO usage_owner USING (true);
CREATE POLICY across_tenants ON jobs FOR SELECT TO usage_owner USING (true);
CREATE POLICY across_tenants ON request_log FOR SELECT TO usage_owner USING (true);

-- Tenant time: that of a trial, which is rolled back, else a sandbox's own clock, else the database's.
CREATE FUNCTION tenant_now(tenant uuid) RETURNS timestamptz LANGUAGE sql VOLATILE
    SET search_path FROM CURRENT
    AS $$ SELECT coalesce(nullif(current_setting('usage.trial_time', true), '')::timestamptz, clock_time,
                          clock_timestamp())
            FROM tenants WHERE tenant_id = tenant $$;

-- The rating versions of a tenant as text: the active versions of its default procedure, the highest rank first;
-- null without a default.
CREATE FUNCTION rating_versions(tenant uuid) RETURNS text LANGUAGE sql STABLE
    SET search_path FROM CURRENT AS $$
    SELECT coalesce((
           SELECT json_agg(json_build_array(v.procedure_id, v.version_id, v.rank, v.start_date, v.end_date,
                                            v.run_milliseconds, v.element_milliseconds, v.elements)
                           ORDER BY v.rank DESC, v.version_id)::text
             FROM procedure_versions AS v
            WHERE v.tenant_id = tenant AND v.procedure_id = d.procedure_id AND v.state = 'ACTIVE'), '[]')
      FROM default_procedures AS d
     WHERE d.tenant_id = tenant AND d.usage = 'RATING'
$$;

CREATE FUNCTION tenant_of_credential(hash bytea) RETURNS TABLE (tenant_id uuid, credential_id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
    AS 'SELECT tenant_id, credential_id FROM credentials WHERE key_hash = hash';

CREATE FUNCTION catalog_revisions() RETURNS TABLE (tenant_id uuid, catalog_revision bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
    AS 'SELECT tenant_id, catalog_revision FROM tenants';

CREATE FUNCTION tenant_keys() RETURNS TABLE (tenant_id uuid, id text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
    AS 'SELECT tenant_id, id FROM tenants ORDER BY id';

-- The tenants with a job of one of these kinds that is due by their clock and available.
-- Two look-ups in an index for each tenant, so the cost does not depend on the number of waiting jobs.
-- `statement_timestamp()` is stable: a volatile clock would be evaluated for every row and could not use the
-- index. The settings force this plan, because the statistics do not include recent jobs. They make plans look
-- expensive, and JIT would compile an expensive plan for longer than it runs.
CREATE FUNCTION tenants_with_due_jobs(kinds text[]) RETURNS TABLE (tenant_id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
    SELECT t.tenant_id FROM tenants AS t
     WHERE (SELECT true FROM jobs AS j
             WHERE j.tenant_id = t.tenant_id AND j.state = 'PENDING' AND j.available_time IS NULL
               AND j.fire_time <= coalesce(t.clock_time, statement_timestamp()) AND j.kind = ANY (kinds)
             ORDER BY j.fire_time, j.rank, j.job_id LIMIT 1)
        OR (SELECT true FROM jobs AS j
             WHERE j.tenant_id = t.tenant_id AND j.state = 'PENDING' AND j.available_time IS NOT NULL
               AND j.available_time <= statement_timestamp()
               AND j.fire_time <= coalesce(t.clock_time, statement_timestamp()) AND j.kind = ANY (kinds)
             ORDER BY j.available_time LIMIT 1)
$$;

-- The secrets that seal page tokens and revision tokens. A new secret is used once every process has read it;
-- tokens of the old one stay valid until the next rotation.
CREATE TABLE token_secrets (
    secret      bytea PRIMARY KEY CHECK (length(secret) = 32),
    create_time timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE token_secrets IS 'control: random secrets that seal page tokens and revision tokens';

CREATE FUNCTION token_secrets() RETURNS SETOF bytea
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT s.secret FROM token_secrets AS s
     ORDER BY s.create_time < statement_timestamp() - interval '10 seconds' DESC, s.create_time DESC LIMIT 3
$$;

-- The tenants with jobs that ended before a time.
CREATE FUNCTION tenants_with_ended_jobs(before timestamptz) RETURNS TABLE (tenant_id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
    SELECT t.tenant_id FROM tenants AS t
     WHERE (SELECT true FROM jobs AS j
             WHERE j.tenant_id = t.tenant_id AND j.state IN ('DONE', 'WAIVED') AND j.end_time < before
             ORDER BY j.end_time LIMIT 1)
$$;

-- The tenants with answers older than a time.
CREATE FUNCTION tenants_with_old_requests(before timestamptz) RETURNS TABLE (tenant_id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
    SELECT t.tenant_id FROM tenants AS t
     WHERE (SELECT true FROM request_log AS r
             WHERE r.tenant_id = t.tenant_id AND r.create_time < before
             ORDER BY r.create_time LIMIT 1)
$$;

REVOKE EXECUTE ON FUNCTION tenant_of_credential(bytea), catalog_revisions(), tenant_keys(),
    tenants_with_due_jobs(text[]), tenants_with_ended_jobs(timestamptz), tenants_with_old_requests(timestamptz),
    token_secrets() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenant_of_credential(bytea), catalog_revisions(), tenant_keys(),
    tenants_with_due_jobs(text[]), tenants_with_ended_jobs(timestamptz), tenants_with_old_requests(timestamptz),
    token_secrets() TO usage_app;
