-- Up to which moment decisions and refusals grew too old: what lies after it is all here.
ALTER TABLE retired_rows ADD COLUMN until_ns bigint;
COMMENT ON COLUMN retired_rows.until_ns IS 'The latest one''s moment; null: before that was kept.';
