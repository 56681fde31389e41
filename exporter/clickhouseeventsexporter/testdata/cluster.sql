CREATE DATABASE IF NOT EXISTS `analytics` ON CLUSTER `main`;

CREATE TABLE IF NOT EXISTS `analytics`.`events` ON CLUSTER `main`
(
    `event_id` String,
    `event_name` LowCardinality(String),
    `event_time` DateTime64(9, 'UTC'),
    `received_time` DateTime64(9, 'UTC'),
    `user_id` Nullable(String),
    `anonymous_id` Nullable(String),
    `session_id` Nullable(String),
    `session_ordinal` Nullable(UInt32),
    `late` Bool,
    `tenant_id` LowCardinality(String),
    `source` LowCardinality(String),
    `schema_name` LowCardinality(String),
    `schema_version` LowCardinality(String),
    `trace_id` String,
    `span_id` String,
    `resource` LowCardinality(String),
    `properties` JSON(max_dynamic_paths=256),
    `_delivery` LowCardinality(String)
)
ENGINE = ReplicatedMergeTree
PARTITION BY toYYYYMM(event_time)
ORDER BY (tenant_id, event_name, event_time)
TTL toDateTime(event_time) + INTERVAL 90 DAY
SETTINGS
    auto_statistics_types = '',
    index_granularity = 4096,
    min_level_for_wide_part = 1,
    nullable_serialization_version = 'allow_sparse',
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800,
    storage_policy = 'tiered',
    vertical_merge_algorithm_min_rows_to_activate = 1;

ALTER TABLE `analytics`.`events` ON CLUSTER `main`
    ADD COLUMN IF NOT EXISTS `address.city` Nullable(String)
