CREATE TABLE IF NOT EXISTS `analytics`.`failed_events`
(
    `event_id` String,
    `event_name` LowCardinality(String),
    `event_time` DateTime64(9, 'UTC'),
    `received_time` DateTime64(9, 'UTC'),
    `tenant_id` LowCardinality(String),
    `source` LowCardinality(String),
    `schema_name` LowCardinality(String),
    `schema_version` LowCardinality(String),
    `stage` LowCardinality(String),
    `reason` LowCardinality(String),
    `pointer` String,
    `keyword` LowCardinality(String),
    `processor` LowCardinality(String),
    `error` String,
    `raw` String,
    `_delivery` LowCardinality(String)
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(received_time)
ORDER BY (tenant_id, received_time)
SETTINGS
    auto_statistics_types = '',
    min_level_for_wide_part = 1,
    non_replicated_deduplication_window = 10000,
    nullable_serialization_version = 'allow_sparse',
    vertical_merge_algorithm_min_rows_to_activate = 1
