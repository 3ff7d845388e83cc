-- Roles for the three kinds of work on fanlight's database, least rights each. Give them to your own users, for example
--     CREATE USER collector IDENTIFIED WITH sha256_password BY '...' DEFAULT ROLE fanlight_writer;
--
-- The materialised views that an insert sets off read with the writer's rights and write with none (measured on 26.7,
-- tests/deploy/test_clickhouse.py), so a writer may read what they read. Plain views run with the reader's.

-- migrator: `fanlight schema apply`, with --backfill and --keep, and `fanlight schema status`
CREATE ROLE IF NOT EXISTS fanlight_migrator;
GRANT SELECT, INSERT, CREATE TABLE, CREATE VIEW, DROP TABLE, DROP VIEW, TRUNCATE, OPTIMIZE, ALTER TABLE, ALTER VIEW, SHOW, SYSTEM VIEWS ON {database}.* TO fanlight_migrator;
GRANT CREATE DATABASE ON {database}.* TO fanlight_migrator;
GRANT TABLE ENGINE ON MergeTree, TABLE ENGINE ON ReplacingMergeTree, TABLE ENGINE ON AggregatingMergeTree, TABLE ENGINE ON CollapsingMergeTree, TABLE ENGINE ON Null TO fanlight_migrator;
-- status makes one such database to compare with, and drops it
GRANT CREATE DATABASE, DROP DATABASE, CREATE TABLE, CREATE VIEW, DROP TABLE, DROP VIEW, SELECT, INSERT, SHOW ON {database}_should_be_*.* TO fanlight_migrator;
-- a backfill waits for inserts that began before fanlight's views were there
GRANT SELECT ON system.processes TO fanlight_migrator;
-- --keep with cold= looks for the volume
GRANT SELECT ON system.storage_policies TO fanlight_migrator;

-- writer: an OpenTelemetry Collector (`create_schema: false`), and `fanlight up` on a database that is up to date
CREATE ROLE IF NOT EXISTS fanlight_writer;
GRANT INSERT, SELECT, SHOW COLUMNS ON {database}.otel_traces TO fanlight_writer;
GRANT INSERT, SELECT, SHOW COLUMNS ON {database}.otlp_landing TO fanlight_writer;
GRANT INSERT, SHOW COLUMNS ON {database}.ingest_rejects TO fanlight_writer;
-- what the views read that an insert sets off
GRANT SELECT ON {database}.spans TO fanlight_writer;
GRANT SELECT ON {database}.trace_index TO fanlight_writer;
GRANT SELECT ON {database}.action_traces TO fanlight_writer;
GRANT SELECT ON {database}.retention TO fanlight_writer;
-- `fanlight scrape`
GRANT INSERT, SHOW COLUMNS ON {database}.engine_samples TO fanlight_writer;
GRANT INSERT, SHOW COLUMNS ON {database}.gpu_samples TO fanlight_writer;

-- reader: figures, without spans as they came, which may hold what was said
CREATE SETTINGS PROFILE IF NOT EXISTS fanlight_reader SETTINGS readonly = 1, max_execution_time = 60 CHANGEABLE_IN_READONLY, max_memory_usage = 4000000000, max_rows_to_read = 5000000000;
CREATE ROLE IF NOT EXISTS fanlight_reader SETTINGS PROFILE 'fanlight_reader';
GRANT SELECT, SHOW ON {database}.* TO fanlight_reader;
REVOKE SELECT ON {database}.otel_traces FROM fanlight_reader;
CREATE QUOTA IF NOT EXISTS fanlight_reader KEYED BY user_name FOR INTERVAL 1 minute MAX queries = 600, execution_time = 120 TO fanlight_reader;

-- trace reader: the same and spans as they came, for Grafana's trace view, `fanlight trace` and `fanlight doctor`
CREATE ROLE IF NOT EXISTS fanlight_trace_reader;
GRANT fanlight_reader TO fanlight_trace_reader;
GRANT SELECT ON {database}.otel_traces TO fanlight_trace_reader;
