-- What shadow strategies earned, beside the account's own positions and never among them.

CREATE TABLE shadow_windows (
    session integer NOT NULL REFERENCES sessions,
    seq bigint NOT NULL,
    at_ns bigint NOT NULL,
    at timestamptz GENERATED ALWAYS AS (moment(at_ns)) STORED,
    market text NOT NULL,
    shadow text NOT NULL,
    model_id text NOT NULL,
    asset asset NOT NULL,
    opens_ns bigint NOT NULL,
    closes_ns bigint NOT NULL,
    pnl_micros bigint NOT NULL,
    fees_micros bigint NOT NULL,
    cost_micros bigint NOT NULL,
    trips integer NOT NULL,
    wins integer NOT NULL,
    up_won boolean NOT NULL,
    PRIMARY KEY (session, seq)
);
COMMENT ON TABLE shadow_windows IS 'What shadow strategies earned in books of their own: no money of ours.';
CREATE INDEX shadow_windows_at ON shadow_windows (at_ns);

CREATE VIEW champion_windows AS
SELECT w.session, w.seq, s.account, s.book, s.run, s.strategy, w.at_ns, w.market, w.shadow,
    w.model_id, w.asset, w.opens_ns, w.closes_ns, w.pnl_micros, w.fees_micros, w.cost_micros,
    w.trips, w.wins, w.up_won,
    coalesce(c.pnl_micros, 0)::bigint AS champion_pnl_micros,
    coalesce(c.fees_micros, 0)::bigint AS champion_fees_micros,
    coalesce(c.cost_micros, 0)::bigint AS champion_cost_micros,
    coalesce(c.trips, 0)::integer AS champion_trips,
    coalesce(c.wins, 0)::integer AS champion_wins
FROM shadow_windows w JOIN sessions s USING (session)
LEFT JOIN (
    SELECT account, market,
        sum(pnl_micros) AS pnl_micros, sum(fees_micros) AS fees_micros,
        sum(cost_micros) AS cost_micros, count(*) AS trips,
        count(*) FILTER (WHERE pnl_micros > 0) AS wins
    FROM trips GROUP BY account, market
) c ON c.account = s.account AND c.market = w.market;
COMMENT ON VIEW champion_windows IS 'Each window of a shadow beside what the account itself earned in it.';

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
) AS counted GROUP BY session, kind;
COMMENT ON VIEW journal_counts IS 'Rows of each kind: equal to the journal''s, retired ones included.';
