-- A worker with TRAIN=true makes its own next models.

ALTER TYPE promotion_change ADD VALUE 'learned';

COMMENT ON TABLE model_promotions IS
    'Models that took over while a run went on, were taken back, refused, or learned by it.';
