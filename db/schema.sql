-- The whole schema at once: what all files of db/migrations together make. To read, not to apply.

-- The journal in SQL. A row of an event table is one row of one journal, named by (session, seq),
-- and never changes; accounts, sessions, markets, orders and fills are kept up to date from them.
-- Money and shares are micro-units (1 000 000 = one dollar, one share), prices micro-dollars a
-- share, moments nanoseconds since the epoch with the timestamp beside them.

CREATE TYPE book AS ENUM ('paper', 'live', 'demo_paper', 'demo_live', 'replay');
CREATE TYPE run_mode AS ENUM ('paper', 'live', 'replay');
CREATE TYPE asset AS ENUM ('BTC', 'ETH', 'SOL', 'XRP', 'DOGE', 'BNB', 'HYPE', 'ZEC');
CREATE TYPE outcome AS ENUM ('up', 'down');
CREATE TYPE side AS ENUM ('BUY', 'SELL');
CREATE TYPE policy_action AS ENUM ('HOLD', 'BUY', 'SELL');
CREATE TYPE order_style AS ENUM ('taker', 'maker');
CREATE TYPE intent_reason AS ENUM (
    'entry_signal', 'exit_signal', 'exit_timeout', 'exit_maximum_age', 'exit_stale',
    'exit_take_profit', 'exit_stop_loss', 'exit_operator'
);
CREATE TYPE order_state AS ENUM (
    'approved', 'signed', 'accepted', 'rejected', 'unknown',
    'resting', 'filled', 'canceled', 'expired', 'carried'
);
CREATE TYPE fill_status AS ENUM ('MATCHED', 'MINED', 'CONFIRMED', 'RETRYING', 'FAILED');
CREATE TYPE fill_origin AS ENUM ('order', 'merged', 'adopted');
CREATE TYPE strike_rung AS ENUM ('venue_twap', 'venue_metadata', 'previous_final', 'fast_proxy');
CREATE TYPE feed_source AS ENUM (
    'binance.public', 'binance.market', 'binance.spot', 'binance.rest', 'coinbase.exchange',
    'okx.public', 'polymarket.market', 'polymarket.user', 'polymarket.reference', 'gamma',
    'clob.rest', 'worker'
);
CREATE TYPE market_event_kind AS ENUM ('market_seen', 'strike_seen', 'resolution_seen');
CREATE TYPE refusal_kind AS ENUM ('refused', 'unsized');
CREATE TYPE trip_end AS ENUM ('sold', 'settled');
CREATE TYPE redemption_kind AS ENUM ('claim_changed', 'merge_asked');
CREATE TYPE claim_state AS ENUM ('due', 'submitted', 'paid');
CREATE TYPE exit_kind AS ENUM ('exit_attempted', 'exit_ended');
CREATE TYPE exit_end AS ENUM ('flat', 'awaiting_resolution');
CREATE TYPE health_kind AS ENUM ('ledger_conflict', 'book_health', 'feed_gap', 'feed_restored');
CREATE TYPE book_state AS ENUM ('fresh', 'degraded', 'critical');
CREATE TYPE hold_change AS ENUM ('held', 'released');
CREATE TYPE hold_cause AS ENUM (
    'stopping', 'supervisor', 'lease', 'reconciling', 'preflight', 'venue', 'unread', 'operator',
    'loss_limit', 'losing_streak', 'reject_streak', 'mismatch', 'feed_loss', 'restricted',
    'watchdog', 'control'
);
CREATE TYPE trading_state AS ENUM ('active', 'reducing', 'halted');
CREATE TYPE operator_verb AS ENUM ('halt', 'resume', 'flatten');
CREATE TYPE alert_kind AS ENUM (
    'started', 'stopped', 'entered', 'closed', 'fill_failed', 'refused', 'entries_held',
    'entries_released', 'feed_stale', 'feed_recovered', 'order_unknown', 'mismatch', 'books_agree',
    'exit_step', 'redeem', 'cash_adjusted', 'model_promoted', 'model_rolled_back', 'milestone',
    'daily_summary', 'test', 'model_refused'
);
CREATE TYPE alert_severity AS ENUM ('info', 'warning', 'critical');
CREATE TYPE alert_outcome AS ENUM ('delivered', 'merged', 'dropped', 'failed');
CREATE TYPE promotion_change AS ENUM ('promoted', 'rolled_back', 'refused', 'learned');

CREATE FUNCTION moment(nanoseconds bigint) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN to_timestamp(nanoseconds / 1e9::double precision);
COMMENT ON FUNCTION moment IS 'Nanoseconds since the epoch as a timestamp.';

-- Whose money ------------------------------------------------------------------------------------

CREATE TABLE accounts (
    account integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key uuid NOT NULL UNIQUE,
    book book NOT NULL
);
COMMENT ON TABLE accounts IS
    'Money and venue that sessions share: a journal folder''s paper or live books; a demo''s own.';

CREATE TABLE sessions (
    session integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key uuid NOT NULL UNIQUE,
    account integer NOT NULL REFERENCES accounts,
    book book NOT NULL,
    mode run_mode NOT NULL,
    run text NOT NULL,
    strategy text,
    model_id text,
    feature_version text,
    settings_digest text,
    build_id text,
    tape text,
    started_seq bigint,
    started_ns bigint,
    started_at timestamptz GENERATED ALWAYS AS (moment(started_ns)) STORED,
    heartbeat_ns bigint,
    heartbeat_at timestamptz GENERATED ALWAYS AS (moment(heartbeat_ns)) STORED,
    stopped_seq bigint,
    stopped_ns bigint,
    stopped_at timestamptz GENERATED ALWAYS AS (moment(stopped_ns)) STORED,
    stop_reason text,
    trades integer,
    pnl_micros bigint,
    fees_micros bigint,
    decisions bigint,
    refusals bigint
);
COMMENT ON TABLE sessions IS 'One run of the worker; heartbeat is its latest row, no stop a kill.';
CREATE INDEX sessions_account ON sessions (account);

CREATE TABLE projections (
    session integer PRIMARY KEY REFERENCES sessions,
    seq bigint NOT NULL,
    segment integer NOT NULL,
    byte_offset bigint NOT NULL,
    chain bigint NOT NULL,
    rows_lost bigint NOT NULL DEFAULT 0,
    rows_unknown bigint NOT NULL DEFAULT 0,
    damage text NOT NULL DEFAULT '',
    finished boolean NOT NULL DEFAULT false,
    projected_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE projections IS 'Up to where each run''s journal is in this database.';

CREATE TABLE projection_faults (
    session integer NOT NULL REFERENCES sessions,
    seq bigint NOT NULL,
    kind text NOT NULL,
    problem text NOT NULL,
    PRIMARY KEY (session, seq)
);
COMMENT ON TABLE projection_faults IS 'Journal rows that no table takes; the journal has them.';

CREATE TABLE retired_rows (
    session integer NOT NULL REFERENCES sessions,
    kind text NOT NULL,
    rows bigint NOT NULL,
    until_ns bigint,
    PRIMARY KEY (session, kind)
);
COMMENT ON TABLE retired_rows IS 'Decisions and refusals that were here and grew too old.';
COMMENT ON COLUMN retired_rows.until_ns IS 'The latest one''s moment; null: before that was kept.';

-- Markets ----------------------------------------------------------------------------------------

CREATE TABLE market_events (
    session integer NOT NULL REFERENCES sessions,
    seq bigint NOT NULL,
    at_ns bigint NOT NULL,
    at timestamptz GENERATED ALWAYS AS (moment(at_ns)) STORED,
    kind market_event_kind NOT NULL,
    market text NOT NULL,
    strike double precision,
    strike_rung strike_rung,
    winner outcome,
    final_price double precision,
    source feed_source,
    problems text,
    PRIMARY KEY (session, seq)
);

CREATE TABLE markets (
    account integer NOT NULL REFERENCES accounts,
    market text NOT NULL,
    condition_id text,
    asset asset,
    opens_ns bigint,
    opens_at timestamptz GENERATED ALWAYS AS (moment(opens_ns)) STORED,
    closes_ns bigint,
    closes_at timestamptz GENERATED ALWAYS AS (moment(closes_ns)) STORED,
    up_token text,
    down_token text,
    problems text,
    tick_micros bigint,
    minimum_shares_micros bigint,
    fee_rate_ppm integer,
    fee_exponent integer,
    fee_taker_only boolean,
    strike double precision,
    strike_rung strike_rung,
    winner outcome,
    final_price double precision,
    resolution_source feed_source,
    resolved_ns bigint,
    resolved_at timestamptz GENERATED ALWAYS AS (moment(resolved_ns)) STORED,
    PRIMARY KEY (account, market)
);
COMMENT ON COLUMN markets.final_price IS 'What it settled on; 0 where the venue did not say.';

-- Decisions --------------------------------------------------------------------------------------

CREATE TABLE decisions (
    session integer NOT NULL,
    seq bigint NOT NULL,
    at_ns bigint NOT NULL,
    at timestamptz GENERATED ALWAYS AS (moment(at_ns)) STORED,
    market text NOT NULL,
    action policy_action NOT NULL,
    probability_hold double precision NOT NULL,
    probability_buy double precision NOT NULL,
    probability_sell double precision NOT NULL,
    value double precision NOT NULL,
    forecast_up real,
    model_id text NOT NULL,
    reason text NOT NULL,
    returns_1m double precision NOT NULL,
    returns_5m double precision NOT NULL,
    returns_10m double precision NOT NULL,
    ob_imbalance_l1 double precision NOT NULL,
    ob_imbalance_l5 double precision NOT NULL,
    trade_flow_imbalance double precision NOT NULL,
    cvd_acceleration double precision NOT NULL,
    spread_pct double precision NOT NULL,
    trade_intensity double precision NOT NULL,
    large_trade_flag double precision NOT NULL,
    vol_5m double precision NOT NULL,
    vol_expansion double precision NOT NULL,
    has_position double precision NOT NULL,
    position_side double precision NOT NULL,
    position_pnl double precision NOT NULL,
    time_remaining double precision NOT NULL,
    vol_regime double precision NOT NULL,
    trend_regime double precision NOT NULL,
    cold smallint[] NOT NULL,
    up_bid_micros bigint NOT NULL,
    up_ask_micros bigint NOT NULL,
    fast_mid double precision NOT NULL,
    seconds_to_close double precision NOT NULL,
    PRIMARY KEY (session, seq)
);
COMMENT ON TABLE decisions IS 'Nine rows in ten: kept for DATABASE_DETAIL_DAYS, longer if traded.';
COMMENT ON COLUMN decisions.cold IS 'Indices, from 0, of features whose window is not filled.';
CREATE INDEX decisions_at ON decisions USING brin (at_ns);

CREATE TABLE safety_events (
    session integer NOT NULL REFERENCES sessions,
    seq bigint NOT NULL,
    item smallint NOT NULL,
    at_ns bigint NOT NULL,
    at timestamptz GENERATED ALWAYS AS (moment(at_ns)) STORED,
    kind refusal_kind NOT NULL,
    market text NOT NULL,
    rule text NOT NULL,
    limit_number double precision,
    limit_text text,
    found_number double precision,
    found_text text,
    outcome outcome NOT NULL,
    side side NOT NULL,
    intent_id text,
    opens boolean,
    reason intent_reason,
    price_limit_micros bigint,
    shares_micros bigint,
    PRIMARY KEY (session, seq, item)
);
COMMENT ON TABLE safety_events IS 'A wish that became no order, one row a broken rule; item 0 leads.';
CREATE INDEX safety_events_at ON safety_events (at_ns);

-- Orders and fills -------------------------------------------------------------------------------

CREATE TABLE order_events (
    session integer NOT NULL REFERENCES sessions,
    seq bigint NOT NULL,
    at_ns bigint NOT NULL,
    at timestamptz GENERATED ALWAYS AS (moment(at_ns)) STORED,
    state order_state NOT NULL,
    market text NOT NULL,
    intent_id text NOT NULL,
    order_id text,
    detail text,
    missed boolean,
    remaining_shares_micros bigint,
    PRIMARY KEY (session, seq)
);
CREATE INDEX order_events_intent ON order_events (intent_id);

CREATE TABLE orders (
    account integer NOT NULL REFERENCES accounts,
    intent_id text NOT NULL,
    order_id text,
    state order_state NOT NULL,
    market text NOT NULL,
    token text,
    outcome outcome,
    side side,
    style order_style,
    opens boolean,
    reason intent_reason,
    price_limit_micros bigint,
    shares_micros bigint,
    deadline_ns bigint,
    expires_ns bigint,
    created_ns bigint,
    created_at timestamptz GENERATED ALWAYS AS (moment(created_ns)) STORED,
    approved_session integer REFERENCES sessions (session),
    approved_seq bigint,
    decision_seq bigint,
    decision_up_bid_micros bigint,
    decision_up_ask_micros bigint,
    decided boolean,
    approved_ns bigint,
    signed_ns bigint,
    order_type text,
    signed_shares_micros bigint,
    signed_limit_micros bigint,
    accepted_ns bigint,
    rejected_ns bigint,
    unknown_ns bigint,
    ended_ns bigint,
    detail text,
    missed boolean,
    remaining_shares_micros bigint,
    carried boolean NOT NULL DEFAULT false,
    PRIMARY KEY (account, intent_id)
);
COMMENT ON COLUMN orders.decision_seq IS 'In approved_session: the market''s latest before it.';
COMMENT ON COLUMN orders.decided IS 'Whether that decision was of the intent''s own moment.';
COMMENT ON COLUMN orders.carried IS 'A checkpoint has its intent.';
CREATE INDEX orders_created ON orders (created_ns);
CREATE INDEX orders_decision ON orders (approved_session, decision_seq);

CREATE TABLE fill_events (
    session integer NOT NULL REFERENCES sessions,
    seq bigint NOT NULL,
    at_ns bigint NOT NULL,
    at timestamptz GENERATED ALWAYS AS (moment(at_ns)) STORED,
    trade_id text NOT NULL,
    order_id text NOT NULL,
    market text NOT NULL,
    status fill_status NOT NULL,
    PRIMARY KEY (session, seq)
);
COMMENT ON TABLE fill_events IS 'Every rung of the settlement ladder as it was told.';

CREATE TABLE fills (
    account integer NOT NULL REFERENCES accounts,
    trade_id text NOT NULL,
    order_id text NOT NULL,
    intent_id text NOT NULL,
    origin fill_origin NOT NULL,
    market text NOT NULL,
    outcome outcome NOT NULL,
    side side NOT NULL,
    shares_micros bigint NOT NULL,
    price_micros bigint NOT NULL,
    fee_micros bigint NOT NULL,
    maker boolean NOT NULL,
    opens boolean NOT NULL,
    status fill_status NOT NULL,
    first_ns bigint NOT NULL,
    first_at timestamptz GENERATED ALWAYS AS (moment(first_ns)) STORED,
    status_ns bigint NOT NULL,
    deadline_ns bigint NOT NULL,
    carried boolean NOT NULL DEFAULT false,
    PRIMARY KEY (account, trade_id, order_id)
);
COMMENT ON COLUMN fills.origin IS 'Of an order, of a merge of pairs, or found in the wallet.';
COMMENT ON COLUMN fills.carried IS 'First known from a checkpoint: its own row is not here.';
CREATE INDEX fills_intent ON fills (account, intent_id);
CREATE INDEX fills_market ON fills (account, market);
CREATE INDEX fills_first ON fills (first_ns);

-- Positions and what becomes of them -------------------------------------------------------------

CREATE TABLE positions (
    session integer NOT NULL REFERENCES sessions,
    seq bigint NOT NULL,
    market text NOT NULL,
    asset asset NOT NULL,
    outcome outcome NOT NULL,
    shares_micros bigint NOT NULL,
    cost_micros bigint NOT NULL,
    proceeds_micros bigint NOT NULL,
    fees_micros bigint NOT NULL,
    pnl_micros bigint NOT NULL,
    entry_price_micros bigint NOT NULL,
    opened_ns bigint NOT NULL,
    opened_at timestamptz GENERATED ALWAYS AS (moment(opened_ns)) STORED,
    closed_ns bigint NOT NULL,
    closed_at timestamptz GENERATED ALWAYS AS (moment(closed_ns)) STORED,
    how trip_end NOT NULL,
    PRIMARY KEY (session, seq)
);
COMMENT ON TABLE positions IS 'Closed round trips; view open_positions has the open ones.';
CREATE INDEX positions_closed ON positions (closed_ns);

CREATE TABLE settlements (
    session integer NOT NULL REFERENCES sessions,
    seq bigint NOT NULL,
    at_ns bigint NOT NULL,
    at timestamptz GENERATED ALWAYS AS (moment(at_ns)) STORED,
    market text NOT NULL,
    outcome outcome NOT NULL,
    won boolean NOT NULL,
    shares_micros bigint NOT NULL,
    payout_micros bigint NOT NULL,
    cost_micros bigint NOT NULL,
    PRIMARY KEY (session, seq)
);

CREATE TABLE redemptions (
    session integer NOT NULL REFERENCES sessions,
    seq bigint NOT NULL,
    at_ns bigint NOT NULL,
    at timestamptz GENERATED ALWAYS AS (moment(at_ns)) STORED,
    kind redemption_kind NOT NULL,
    market text NOT NULL,
    shares_micros bigint NOT NULL,
    state claim_state,
    attempt integer,
    transaction_id text,
    detail text,
    PRIMARY KEY (session, seq)
);
COMMENT ON TABLE redemptions IS 'Shares on their way to dollars: won ones, and merged pairs.';

CREATE TABLE exits (
    session integer NOT NULL REFERENCES sessions,
    seq bigint NOT NULL,
    at_ns bigint NOT NULL,
    at timestamptz GENERATED ALWAYS AS (moment(at_ns)) STORED,
    kind exit_kind NOT NULL,
    market text NOT NULL,
    outcome outcome NOT NULL,
    reason intent_reason NOT NULL,
    attempt integer NOT NULL,
    shares_micros bigint NOT NULL,
    price_limit_micros bigint,
    slippage_micros bigint,
    how exit_end,
    detail text,
    PRIMARY KEY (session, seq)
);
COMMENT ON TABLE exits IS 'The position supervisor''s sales; the end tells attempts and shares left.';

-- Strategies beside the one that trades --------------------------------------------------------

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

-- The account over time --------------------------------------------------------------------------

CREATE TABLE equity (
    session integer NOT NULL REFERENCES sessions,
    seq bigint NOT NULL,
    at_ns bigint NOT NULL,
    at timestamptz GENERATED ALWAYS AS (moment(at_ns)) STORED,
    cash_micros bigint NOT NULL,
    realised_micros bigint NOT NULL,
    unrealised_micros bigint NOT NULL,
    open_positions integer NOT NULL,
    PRIMARY KEY (session, seq)
);

CREATE TABLE checkpoints (
    session integer NOT NULL REFERENCES sessions,
    seq bigint NOT NULL,
    at_ns bigint NOT NULL,
    at timestamptz GENERATED ALWAYS AS (moment(at_ns)) STORED,
    wallet text NOT NULL,
    cash_micros bigint NOT NULL,
    realised_micros bigint NOT NULL,
    realised_today_micros bigint NOT NULL,
    utc_day integer NOT NULL,
    markets text[] NOT NULL,
    orders integer NOT NULL,
    claims integer NOT NULL,
    merges integer NOT NULL,
    PRIMARY KEY (session, seq)
);

CREATE TABLE cash_adjustments (
    session integer NOT NULL REFERENCES sessions,
    seq bigint NOT NULL,
    at_ns bigint NOT NULL,
    at timestamptz GENERATED ALWAYS AS (moment(at_ns)) STORED,
    before_micros bigint NOT NULL,
    after_micros bigint NOT NULL,
    PRIMARY KEY (session, seq)
);

CREATE TABLE reconciliations (
    session integer NOT NULL REFERENCES sessions,
    seq bigint NOT NULL,
    at_ns bigint NOT NULL,
    at timestamptz GENERATED ALWAYS AS (moment(at_ns)) STORED,
    agrees boolean NOT NULL,
    differences text NOT NULL,
    tokens integer NOT NULL,
    shares_micros bigint NOT NULL,
    cash_micros bigint NOT NULL,
    venue_cash_micros bigint NOT NULL,
    open_orders integer NOT NULL,
    unknown_orders integer NOT NULL,
    PRIMARY KEY (session, seq)
);

-- Health, halts, alerts --------------------------------------------------------------------------

CREATE TABLE health_events (
    session integer NOT NULL REFERENCES sessions,
    seq bigint NOT NULL,
    at_ns bigint NOT NULL,
    at timestamptz GENERATED ALWAYS AS (moment(at_ns)) STORED,
    kind health_kind NOT NULL,
    market text NOT NULL,
    outcome outcome,
    source feed_source,
    state book_state,
    seconds double precision,
    detail text,
    PRIMARY KEY (session, seq)
);
COMMENT ON COLUMN health_events.seconds IS 'Age of a book, length of a gap.';

CREATE TABLE halts (
    session integer NOT NULL REFERENCES sessions,
    seq bigint NOT NULL,
    at_ns bigint NOT NULL,
    at timestamptz GENERATED ALWAYS AS (moment(at_ns)) STORED,
    change hold_change NOT NULL,
    cause hold_cause NOT NULL,
    trading trading_state NOT NULL,
    detail text NOT NULL,
    request_id text NOT NULL,
    PRIMARY KEY (session, seq)
);
COMMENT ON COLUMN halts.trading IS 'The state after it.';

CREATE TABLE operator_answers (
    session integer NOT NULL REFERENCES sessions,
    seq bigint NOT NULL,
    at_ns bigint NOT NULL,
    at timestamptz GENERATED ALWAYS AS (moment(at_ns)) STORED,
    request_id text NOT NULL,
    verb operator_verb NOT NULL,
    trading trading_state NOT NULL,
    done boolean NOT NULL,
    detail text NOT NULL,
    PRIMARY KEY (session, seq)
);

CREATE TABLE alerts (
    session integer NOT NULL REFERENCES sessions,
    seq bigint NOT NULL,
    at_ns bigint NOT NULL,
    at timestamptz GENERATED ALWAYS AS (moment(at_ns)) STORED,
    number bigint NOT NULL,
    kind alert_kind NOT NULL,
    severity alert_severity NOT NULL,
    outcome alert_outcome NOT NULL,
    market text NOT NULL,
    title text NOT NULL,
    text text NOT NULL,
    count integer NOT NULL,
    made_ns bigint NOT NULL,
    made_at timestamptz GENERATED ALWAYS AS (moment(made_ns)) STORED,
    message_id text NOT NULL,
    merged_into bigint NOT NULL,
    tries integer NOT NULL,
    detail text NOT NULL,
    PRIMARY KEY (session, seq)
);

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
    'Models that took over while a run went on, were taken back, refused, or learned by it.';
COMMENT ON COLUMN model_promotions.model_id IS 'What decides after the row.';

-- Views ------------------------------------------------------------------------------------------

CREATE VIEW trips AS
SELECT s.book, s.account, s.run, s.model_id, p.*,
    (p.closed_at AT TIME ZONE 'UTC')::date AS utc_day,
    (p.closed_ns - p.opened_ns) / 1e9::double precision AS hold_seconds
FROM positions p JOIN sessions s USING (session);
COMMENT ON VIEW trips IS 'Closed positions with whose they are.';

CREATE VIEW daily_performance AS
SELECT book, utc_day,
    count(*) AS trips,
    count(*) FILTER (WHERE pnl_micros > 0) AS wins,
    sum(pnl_micros)::bigint AS pnl_micros,
    sum(fees_micros)::bigint AS fees_micros,
    sum(cost_micros)::bigint AS cost_micros,
    min(pnl_micros) AS worst_micros,
    max(pnl_micros) AS best_micros
FROM trips
GROUP BY book, utc_day;

CREATE VIEW performance_by_asset_side AS
SELECT book, asset, outcome,
    count(*) AS trips,
    count(*) FILTER (WHERE pnl_micros > 0) AS wins,
    sum(pnl_micros)::bigint AS pnl_micros,
    sum(fees_micros)::bigint AS fees_micros,
    sum(cost_micros)::bigint AS cost_micros,
    sum(shares_micros)::bigint AS shares_micros,
    avg(hold_seconds) AS hold_seconds,
    (sum(entry_price_micros::numeric * shares_micros) / sum(shares_micros))::bigint
        AS entry_price_micros
FROM trips
GROUP BY book, asset, outcome;

CREATE VIEW open_positions AS
WITH bought AS (
    SELECT account, market, outcome,
        sum(shares_micros) FILTER (WHERE side = 'BUY') AS bought_micros,
        coalesce(sum(shares_micros) FILTER (WHERE side = 'SELL'), 0) AS sold_micros,
        sum(ceil(shares_micros::numeric * price_micros / 1000000) + fee_micros)
            FILTER (WHERE side = 'BUY') AS cost_micros,
        max(first_ns) AS last_ns
    FROM fills
    WHERE status <> 'FAILED'
    GROUP BY account, market, outcome
), settled AS (
    SELECT s.account, e.market, e.outcome, sum(e.shares_micros) AS shares_micros
    FROM settlements e JOIN sessions s USING (session)
    GROUP BY s.account, e.market, e.outcome
), closed AS (
    SELECT account, market, outcome,
        sum(shares_micros) AS shares_micros, sum(cost_micros) AS cost_micros
    FROM trips
    GROUP BY account, market, outcome
), taken_over AS (
    SELECT DISTINCT ON (s.account) s.account, c.at_ns, c.markets
    FROM checkpoints c JOIN sessions s USING (session)
    ORDER BY s.account, c.session DESC, c.seq DESC
), present AS (
    SELECT DISTINCT ON (book) book, account FROM sessions ORDER BY book, session DESC
), legs AS (
    SELECT present.book, b.account, b.market, b.outcome,
        b.bought_micros - b.sold_micros - coalesce(e.shares_micros, 0) AS shares_micros,
        b.bought_micros - coalesce(c.shares_micros, 0) AS trip_shares_micros,
        b.cost_micros - coalesce(c.cost_micros, 0) AS trip_cost_micros,
        b.last_ns
    FROM bought b
    JOIN present USING (account)
    LEFT JOIN settled e USING (account, market, outcome)
    LEFT JOIN closed c USING (account, market, outcome)
    LEFT JOIN taken_over t USING (account)
    WHERE t.account IS NULL OR b.last_ns > t.at_ns OR b.market = ANY (t.markets)
)
SELECT legs.book, legs.account, legs.market, m.asset, legs.outcome,
    legs.shares_micros::bigint AS shares_micros,
    CASE WHEN trip_shares_micros > 0
        THEN (trip_cost_micros * legs.shares_micros / trip_shares_micros)::bigint
        ELSE trip_cost_micros::bigint END AS cost_micros,
    f.opened_ns, moment(f.opened_ns) AS opened_at,
    nullif(f.deadline_ns, 0) AS deadline_ns, moment(nullif(f.deadline_ns, 0)) AS deadline_at
FROM legs
LEFT JOIN markets m USING (account, market)
CROSS JOIN LATERAL (
    SELECT min(first_ns) AS opened_ns, max(deadline_ns) AS deadline_ns
    FROM fills
    WHERE fills.account = legs.account AND fills.market = legs.market
        AND fills.outcome = legs.outcome AND fills.side = 'BUY' AND fills.status <> 'FAILED'
        AND fills.first_ns > coalesce((
            SELECT max(closed_ns) FROM trips
            WHERE trips.account = legs.account AND trips.market = legs.market
                AND trips.outcome = legs.outcome
        ), 0)
) f
WHERE legs.shares_micros > 0;
COMMENT ON VIEW open_positions IS
    'What each book''s latest account holds, by trades that stand; no deadline: held to the end.';

CREATE VIEW order_quality AS
SELECT a.book, o.account, o.intent_id, o.order_id, o.state, o.market, m.asset, o.outcome, o.side,
    o.style, o.opens, o.reason, o.created_ns, o.created_at, o.shares_micros,
    coalesce(f.shares_micros, 0)::bigint AS filled_micros,
    f.price_micros, f.fee_micros, best.price_micros AS best_micros,
    CASE o.side WHEN 'BUY' THEN f.price_micros - best.price_micros
        ELSE best.price_micros - f.price_micros END AS slippage_micros,
    (coalesce(o.accepted_ns, o.rejected_ns) - o.created_ns) / 1e6::double precision
        AS answer_milliseconds,
    (f.first_ns - o.created_ns) / 1e6::double precision AS fill_milliseconds
FROM orders o
JOIN accounts a USING (account)
LEFT JOIN markets m USING (account, market)
LEFT JOIN LATERAL (
    SELECT sum(shares_micros) AS shares_micros,
        (sum(shares_micros::numeric * price_micros) / sum(shares_micros))::bigint AS price_micros,
        sum(fee_micros)::bigint AS fee_micros, min(first_ns) AS first_ns
    FROM fills
    WHERE fills.account = o.account AND fills.intent_id = o.intent_id AND fills.status <> 'FAILED'
    HAVING sum(shares_micros) > 0
) f ON true
CROSS JOIN LATERAL (
    -- Decisions tell the Up book; the Down book is its mirror.
    SELECT nullif(CASE
        WHEN o.side = 'BUY' AND o.outcome = 'up' THEN o.decision_up_ask_micros
        WHEN o.side = 'BUY' THEN 1000000 - nullif(o.decision_up_bid_micros, 0)
        WHEN o.outcome = 'up' THEN o.decision_up_bid_micros
        ELSE 1000000 - nullif(o.decision_up_ask_micros, 0) END, 0) AS price_micros
) best;
COMMENT ON VIEW order_quality IS
    'Each order against the best price of the decision before it; positive slippage is worse.';

CREATE VIEW execution_quality AS
SELECT book, opens, style,
    count(*) AS orders,
    count(*) FILTER (WHERE filled_micros > 0) AS filled,
    count(*) FILTER (WHERE state = 'rejected') AS rejected,
    count(*) FILTER (WHERE state = 'unknown') AS unknown,
    sum(filled_micros)::double precision / nullif(sum(shares_micros), 0) AS filled_part,
    (sum(slippage_micros::numeric * filled_micros)
        / nullif(sum(filled_micros) FILTER (WHERE slippage_micros IS NOT NULL), 0)
    )::double precision AS slippage_micros,
    sum(fee_micros)::bigint AS fees_micros,
    sum(fee_micros)::double precision * 1000000 / nullif(sum(filled_micros), 0)
        AS fee_micros_a_share,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY answer_milliseconds) AS answer_milliseconds_p50,
    percentile_cont(0.99) WITHIN GROUP (ORDER BY answer_milliseconds) AS answer_milliseconds_p99,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY fill_milliseconds) AS fill_milliseconds_p50,
    percentile_cont(0.99) WITHIN GROUP (ORDER BY fill_milliseconds) AS fill_milliseconds_p99
FROM order_quality
GROUP BY book, opens, style;

CREATE VIEW paper_live_drift AS
WITH quality AS (
    SELECT book, asset, outcome,
        count(*) AS orders,
        count(*) FILTER (WHERE filled_micros > 0) AS filled,
        (sum(slippage_micros::numeric * filled_micros)
            / nullif(sum(filled_micros) FILTER (WHERE slippage_micros IS NOT NULL), 0)
        )::double precision AS slippage_micros
    FROM order_quality
    WHERE opens
    GROUP BY book, asset, outcome
), figures AS (
    SELECT q.book, q.asset, q.outcome, p.trips,
        q.filled::double precision / q.orders AS filled_part,
        q.slippage_micros,
        p.entry_price_micros,
        p.pnl_micros::double precision * 1000000 / p.shares_micros AS pnl_micros_a_share
    FROM quality q LEFT JOIN performance_by_asset_side p USING (book, asset, outcome)
), pairs (paper_book, live_book) AS (
    VALUES ('paper'::book, 'live'::book), ('demo_paper', 'demo_live')
)
SELECT pairs.paper_book, pairs.live_book, l.asset, l.outcome,
    p.trips AS paper_trips, l.trips AS live_trips,
    p.pnl_micros_a_share AS paper_pnl_micros_a_share,
    l.pnl_micros_a_share AS live_pnl_micros_a_share,
    l.pnl_micros_a_share - p.pnl_micros_a_share AS pnl_drift_micros_a_share,
    p.slippage_micros AS paper_slippage_micros,
    l.slippage_micros AS live_slippage_micros,
    l.slippage_micros - p.slippage_micros AS slippage_drift_micros,
    l.filled_part - p.filled_part AS filled_part_drift,
    l.entry_price_micros - p.entry_price_micros AS entry_price_drift_micros
FROM pairs
JOIN figures l ON l.book = pairs.live_book
JOIN figures p ON p.book = pairs.paper_book AND p.asset = l.asset AND p.outcome = l.outcome;
COMMENT ON VIEW paper_live_drift IS 'Where both books traded the same: live minus paper.';

CREATE VIEW refusals_by_rule AS
SELECT s.book, e.kind, e.rule,
    count(*) FILTER (WHERE e.item = 0) AS refusals,
    count(*) AS times_broken,
    count(DISTINCT e.market) AS markets,
    min(e.at) AS first_at,
    max(e.at) AS last_at
FROM safety_events e JOIN sessions s USING (session)
GROUP BY s.book, e.kind, e.rule;
COMMENT ON VIEW refusals_by_rule IS 'refusals: where the rule was the headline.';

CREATE VIEW unexplained_orders AS
SELECT a.book, o.account, o.intent_id, o.order_id, 'no_verdict' AS problem
FROM orders o JOIN accounts a USING (account)
WHERE o.approved_seq IS NULL AND NOT o.carried
UNION ALL
SELECT a.book, o.account, o.intent_id, o.order_id, 'no_decision'
FROM orders o JOIN accounts a USING (account)
WHERE o.approved_seq IS NOT NULL AND o.reason IN ('entry_signal', 'exit_signal')
    AND o.decided IS NOT TRUE
UNION ALL
SELECT a.book, o.account, o.intent_id, o.order_id, 'not_signed'
FROM orders o JOIN accounts a USING (account)
WHERE a.book IN ('live', 'demo_live') AND o.signed_ns IS NULL AND NOT o.carried
    AND coalesce(o.accepted_ns, o.unknown_ns) IS NOT NULL
UNION ALL
SELECT a.book, f.account, f.intent_id, f.order_id, 'no_order'
FROM fills f JOIN accounts a USING (account)
WHERE f.origin = 'order' AND NOT f.carried AND NOT EXISTS (
    SELECT FROM orders o WHERE o.account = f.account AND o.intent_id = f.intent_id
);
COMMENT ON VIEW unexplained_orders IS 'Always empty: every order has its verdict, every fill its order.';

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

CREATE VIEW journal_counts AS
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
COMMENT ON VIEW journal_counts IS 'Rows of each kind: equal to the journal''s, retired ones included.';
