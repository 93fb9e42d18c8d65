-- Probabilities and features as the journal has them: two decimals of a real can differ from it.
ALTER TABLE decisions
    ALTER COLUMN probability_hold TYPE double precision,
    ALTER COLUMN probability_buy TYPE double precision,
    ALTER COLUMN probability_sell TYPE double precision,
    ALTER COLUMN returns_1m TYPE double precision,
    ALTER COLUMN returns_5m TYPE double precision,
    ALTER COLUMN returns_10m TYPE double precision,
    ALTER COLUMN ob_imbalance_l1 TYPE double precision,
    ALTER COLUMN ob_imbalance_l5 TYPE double precision,
    ALTER COLUMN trade_flow_imbalance TYPE double precision,
    ALTER COLUMN cvd_acceleration TYPE double precision,
    ALTER COLUMN spread_pct TYPE double precision,
    ALTER COLUMN trade_intensity TYPE double precision,
    ALTER COLUMN large_trade_flag TYPE double precision,
    ALTER COLUMN vol_5m TYPE double precision,
    ALTER COLUMN vol_expansion TYPE double precision,
    ALTER COLUMN has_position TYPE double precision,
    ALTER COLUMN position_side TYPE double precision,
    ALTER COLUMN position_pnl TYPE double precision,
    ALTER COLUMN time_remaining TYPE double precision,
    ALTER COLUMN vol_regime TYPE double precision,
    ALTER COLUMN trend_regime TYPE double precision;

-- Up to which moment decisions and refusals grew too old: what lies after it is all here.
ALTER TABLE retired_rows ADD COLUMN until_ns bigint;
COMMENT ON COLUMN retired_rows.until_ns IS 'The latest one''s moment; null: before that was kept.';
