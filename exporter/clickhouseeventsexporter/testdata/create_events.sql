CREATE TABLE IF NOT EXISTS `analytics`.`events`
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
ENGINE = MergeTree
PARTITION BY toYYYYMM(event_time)
ORDER BY (tenant_id, event_name, event_time)
SETTINGS
    auto_statistics_types = '',
    min_level_for_wide_part = 1,
    non_replicated_deduplication_window = 10000,
    nullable_serialization_version = 'allow_sparse',
    vertical_merge_algorithm_min_rows_to_activate = 1
