-- Models that change while a run goes on are rows of its journal: what took over, was taken back, or
-- was refused. Nothing has ever written the table that waited for them; it becomes an event table
-- like the others.

ALTER TYPE promotion_change ADD VALUE 'refused';
ALTER TYPE alert_kind ADD VALUE 'model_refused';

DROP TABLE model_promotions;
CREATE TABLE model_promotions (
    session integer NOT NULL REFERENCES sessions,
    seq bigint NOT NULL,
    at_ns bigint NOT NULL,
    at timestamptz GENERATED ALWAYS AS (moment(at_ns)) STORED,
    change promotion_change NOT NULL,
    model_id text NOT NULL,
    previous_model_id text NOT NULL,
    offered_model_id text NOT NULL,
    why text NOT NULL,
    PRIMARY KEY (session, seq)
);
COMMENT ON TABLE model_promotions IS
    'Models that took over while a run went on, were taken back, or were refused.';
COMMENT ON COLUMN model_promotions.model_id IS 'What decides after the row.';

CREATE OR REPLACE VIEW journal_counts AS
SELECT session, kind, sum(rows)::bigint AS rows FROM (
SELECT session, 'run_started' AS kind, 1::bigint AS rows FROM sessions WHERE started_seq IS NOT NULL
UNION ALL
SELECT session, 'run_stopped', 1 FROM sessions WHERE stopped_seq IS NOT NULL
UNION ALL
SELECT session, kind, rows FROM retired_rows
UNION ALL
SELECT session, 'decision', count(*) FROM decisions GROUP BY session
UNION ALL
SELECT session, kind::text, count(*) FROM market_events GROUP BY session, kind
UNION ALL
SELECT session, kind::text, count(*) FROM safety_events WHERE item = 0 GROUP BY session, kind
UNION ALL
SELECT session, kind, count(*) FROM (
    SELECT session, CASE state WHEN 'signed' THEN 'order_signed'
        WHEN 'approved' THEN 'approved' WHEN 'accepted' THEN 'accepted'
        WHEN 'rejected' THEN 'rejected' WHEN 'unknown' THEN 'unknown'
        ELSE 'order_update' END AS kind
    FROM order_events
) told GROUP BY session, kind
UNION ALL
SELECT session, 'fill', count(*) FROM fill_events GROUP BY session
UNION ALL
SELECT session, 'position_closed', count(*) FROM positions GROUP BY session
UNION ALL
SELECT session, 'settled', count(*) FROM settlements GROUP BY session
UNION ALL
SELECT session, kind::text, count(*) FROM redemptions GROUP BY session, kind
UNION ALL
SELECT session, kind::text, count(*) FROM exits GROUP BY session, kind
UNION ALL
SELECT session, 'equity', count(*) FROM equity GROUP BY session
UNION ALL
SELECT session, 'checkpoint', count(*) FROM checkpoints GROUP BY session
UNION ALL
SELECT session, 'cash_adjusted', count(*) FROM cash_adjustments GROUP BY session
UNION ALL
SELECT session, 'reconciled', count(*) FROM reconciliations GROUP BY session
UNION ALL
SELECT session, kind::text, count(*) FROM health_events GROUP BY session, kind
UNION ALL
SELECT session, 'halt_changed', count(*) FROM halts GROUP BY session
UNION ALL
SELECT session, 'operator_answered', count(*) FROM operator_answers GROUP BY session
UNION ALL
SELECT session, 'alert', count(*) FROM alerts GROUP BY session
UNION ALL
SELECT session, 'shadow_window', count(*) FROM shadow_windows GROUP BY session
UNION ALL
SELECT session, 'model_changed', count(*) FROM model_promotions GROUP BY session
) AS counted GROUP BY session, kind;
