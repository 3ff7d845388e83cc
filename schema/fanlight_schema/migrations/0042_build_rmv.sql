-- build_rmv: starts the open build, or does nothing if the last one is complete.
-- Its settings are those of the whole build. Plan optimisations, machine code and a second thread each cost more than
-- they save (2 cores, 26.9): with them a build of one action took 0.6 s of CPU and one of 20,000 spans 2.1 s, without
-- them 0.4 s and 1.4 s. Indexes are used all the same.
-- Aggregation has one level: of two, which are for several threads, come 256 small blocks, and every later sort merges
-- them row by row over some hundred columns. That was more than half of the CPU of a build of 76,000 spans.
CREATE MATERIALIZED VIEW IF NOT EXISTS build_rmv REFRESH EVERY 2 SECOND DEPENDS ON picked_rmv APPEND TO build_started AS
SELECT build AS opened
FROM picked
WHERE build > (SELECT max(build) FROM cascades WHERE started_at < '1970-01-02')
LIMIT 1
SETTINGS
    query_plan_enable_optimizations = 0,
    compile_expressions = 0,
    compile_aggregate_expressions = 0,
    compile_sort_description = 0,
    group_by_two_level_threshold = 0,
    group_by_two_level_threshold_bytes = 0,
    max_threads = 1;
