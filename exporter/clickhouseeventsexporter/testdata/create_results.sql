CREATE TABLE IF NOT EXISTS `analytics`.`visits_panes`
(
    `tenant` LowCardinality(String),
    `visitor` String COMMENT 'The visitor\'s ID.',
    `visit_start` DateTime64(9, 'UTC'),
    `visit_end` Nullable(DateTime64(9, 'UTC')),
    `pages` Int64,
    `score` Nullable(Float64),
    `bounced` Nullable(Bool),
    `campaign` LowCardinality(Nullable(String)),
    `tags` Array(LowCardinality(String)),
    `event_counts` Map(LowCardinality(String), Int64),
    `top_pages` Array(Tuple(value String, count Int64)),
    `absorbed` Array(String),
    `result_id` String COMMENT 'Which result this is: the same for all of its panes.',
    `pane_timing` LowCardinality(String) COMMENT 'early: before the result was due; on_time: when it was; late: changed by late events.',
    `pane_index` UInt32 COMMENT 'Counts a result\'s panes from 0. The highest one is the result.'
)
ENGINE = ReplacingMergeTree(pane_index)
PARTITION BY toYYYYMM(`visit_start`)
ORDER BY (`tenant`, `visit_start`, `visitor`, `result_id`)
TTL toDateTime(`visit_start`) + INTERVAL 360000000 SECOND
COMMENT 'Panes of the results in visits: of one result_id the row with the highest pane_index counts.';

CREATE VIEW IF NOT EXISTS `analytics`.`visits`
(
    `tenant` LowCardinality(String),
    `visitor` String COMMENT 'The visitor\'s ID.',
    `visit_start` DateTime64(9, 'UTC'),
    `visit_end` Nullable(DateTime64(9, 'UTC')),
    `pages` Int64,
    `score` Nullable(Float64),
    `bounced` Nullable(Bool),
    `campaign` LowCardinality(Nullable(String)),
    `tags` Array(LowCardinality(String)),
    `event_counts` Map(LowCardinality(String), Int64),
    `top_pages` Array(Tuple(value String, count Int64)),
    `absorbed` Array(String),
    `result_id` String COMMENT 'Which result this is: the same for all of its panes.',
    `pane_timing` LowCardinality(String) COMMENT 'early: before the result was due; on_time: when it was; late: changed by late events.',
    `pane_index` UInt32 COMMENT 'Counts a result\'s panes from 0. The highest one is the result.'
)
AS SELECT
    `tenant`,
    `visitor`,
    `visit_start`,
    `visit_end`,
    `pages`,
    `score`,
    `bounced`,
    `campaign`,
    `tags`,
    `event_counts`,
    `top_pages`,
    `absorbed`,
    `result_id`,
    `pane_timing`,
    `pane_index`
FROM `analytics`.`visits_panes` FINAL
COMMENT 'One whole row for each result, by Millrace. Who\'s been here.'
