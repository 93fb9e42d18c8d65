// Tables below the markets: trades, refusals, feeds, latency, the learner and the shadows.

import {
  DASH,
  age,
  cents,
  dollars,
  duration,
  isKnown,
  milliseconds,
  moment,
  number,
  percent,
  signed,
  signedDollars,
  text,
  timeOfDay,
  toneOf,
  words,
} from "./format.js";
import {
  partsOf,
  setAttribute,
  setHidden,
  setText,
  setTone,
  setVariable,
  tableRows,
  element,
} from "./dom.js";

const TRADES_MAXIMUM = 100;
const ROWS_MAXIMUM = 40;
const SHADOWS_MAXIMUM = 16;
const FEED_SLOW_SECONDS = 5;
const FEED_SILENT_SECONDS = 30;
const LOOP_LAG_HIGH_MS = 5; // the budget of the worker
const KL_TARGET = 0.02;
const ENTROPY_MAXIMUM_NATS = Math.log(3);
const ENTROPY_LOW_NATS = 0.2;

const heldFor = ({ opened_ms: opened, at_ms: closed }) =>
  isKnown(opened) && isKnown(closed) ? duration(closed - opened) : DASH;

const TRADE_COLUMNS = [
  [
    "",
    (cell, trade) => {
      setText(cell, timeOfDay(trade.at_ms));
      setAttribute(cell, "title", moment(trade.at_ms));
    },
  ],
  [
    "",
    (cell, trade) => {
      setText(cell, text(trade.asset));
      setAttribute(cell, "title", text(trade.slug));
    },
  ],
  ["", (cell, trade) => setText(cell, text(trade.outcome).toUpperCase())],
  [
    "n strong",
    (cell, trade) => {
      setText(cell, signedDollars(trade.pnl));
      setTone(cell, toneOf(trade.pnl));
    },
  ],
  ["n", (cell, trade) => setText(cell, number(trade.shares, 2))],
  ["n", (cell, trade) => setText(cell, cents(trade.entry_price))],
  ["n", (cell, trade) => setText(cell, dollars(trade.cost))],
  ["n", (cell, trade) => setText(cell, dollars(trade.proceeds))],
  ["n", (cell, trade) => setText(cell, dollars(trade.fees))],
  ["n", (cell, trade) => setText(cell, heldFor(trade))],
  ["long", (cell, trade) => setText(cell, words(trade.reason))],
];

export const tradesPanel = (root) => {
  const parts = partsOf(root);
  const rows = tableRows(parts.rows, TRADE_COLUMNS, TRADES_MAXIMUM, parts.empty);
  return (trades) => {
    // Oldest first they come; the newest is looked for.
    const keyOf = ({ slug, outcome, opened_ms, at_ms }) =>
      [slug, outcome, opened_ms, at_ms].join(" ");
    rows.show(trades.toReversed().map((trade) => [keyOf(trade), trade]));
    setHidden(parts.table, trades.length === 0);
  };
};

const REFUSAL_COLUMNS = [
  ["", (cell, { rule }) => setText(cell, words(rule))],
  [
    "bar-cell",
    (cell, { count, most }) => {
      if (!cell.firstElementChild) cell.append(element("span", "count-bar"));
      setVariable(cell.firstElementChild, "--part", (most > 0 ? count / most : 0).toFixed(3));
    },
  ],
  ["n", (cell, { count }) => setText(cell, number(count))],
];

export const refusalsPanel = (root) => {
  const parts = partsOf(root);
  const rows = tableRows(parts.rows, REFUSAL_COLUMNS, ROWS_MAXIMUM, parts.empty);
  return ({ refusals }) => {
    const most = Math.max(0, ...refusals.map(({ count }) => count));
    const sorted = refusals.toSorted((a, b) => b.count - a.count || (a.rule < b.rule ? -1 : 1));
    rows.show(sorted.map((refusal) => [refusal.rule, { ...refusal, most }]));
    setHidden(parts.table, refusals.length === 0);
  };
};

// Asked when something is wanted of them: their silence says nothing.
const ON_REQUEST = /rest|gamma/;

const feedTone = ({ source, connected, age_seconds: seconds }) => {
  if (ON_REQUEST.test(source)) return connected ? "" : "loss";
  if (!connected || (isKnown(seconds) && seconds >= FEED_SILENT_SECONDS)) return "loss";
  return isKnown(seconds) && seconds >= FEED_SLOW_SECONDS ? "warn" : "";
};

const FEED_COLUMNS = [
  ["", (cell, feed) => setText(cell, words(feed.source))],
  [
    "",
    (cell, feed) => {
      const good = ON_REQUEST.test(feed.source) ? "● answers" : "● open";
      setText(cell, feed.connected ? good : "○ down");
      setTone(cell, feed.connected ? "gain" : "loss");
    },
  ],
  [
    "n",
    (cell, feed) => {
      setText(cell, age(feed.age_seconds));
      setTone(cell, feedTone(feed));
    },
  ],
  ["n", (cell, feed) => setText(cell, number(feed.messages))],
];

export const feedsPanel = (root) => {
  const parts = partsOf(root);
  const rows = tableRows(parts.rows, FEED_COLUMNS, ROWS_MAXIMUM, parts.empty);
  return ({ feeds }) => {
    rows.show(feeds.map((feed) => [feed.source, feed]));
    setHidden(parts.table, feeds.length === 0);
  };
};

const LATENCY_COLUMNS = [
  ["", (cell, { stage }) => setText(cell, words(stage))],
  ["n", (cell, { p50_ms: p50 }) => setText(cell, milliseconds(p50))],
  ["n", (cell, { p99_ms: p99 }) => setText(cell, milliseconds(p99))],
  ["n", (cell, { count }) => setText(cell, number(count))],
];

export const latencyPanel = (root) => {
  const parts = partsOf(root);
  const rows = tableRows(parts.rows, LATENCY_COLUMNS, ROWS_MAXIMUM, parts.empty);
  return ({ latency, loop_lag_ms: lag }) => {
    rows.show(latency.map((stage) => [stage.stage, stage]));
    setHidden(parts.table, latency.length === 0);
    const measured = isKnown(lag?.last) || isKnown(lag?.p99);
    setText(parts.lagNote, measured ? "" : "(not measured on simulated time)");
    setText(parts.lag, milliseconds(lag?.last));
    setText(parts.lagHigh, milliseconds(lag?.p99));
    setTone(parts.lagHigh, isKnown(lag?.p99) && lag.p99 > LOOP_LAG_HIGH_MS ? "warn" : "");
  };
};

export const learnerPanel = (root) => {
  const parts = partsOf(root);
  return ({ learner, at_ms: at }) => {
    setHidden(parts.learning, !learner);
    setHidden(parts.empty, Boolean(learner));
    setHidden(parts.problem, !learner);
    if (!learner) return;
    const entropy = learner.entropy_nats;
    const { problem } = learner;
    setText(parts.problem, problem ? `✕ The last update was refused: ${text(problem)}` : "");
    setText(parts.updates, number(learner.updates));
    const since = isKnown(learner.at_ms) ? duration(at - learner.at_ms) : null;
    setText(parts.ago, since === null ? DASH : `weights of ${since} ago`);
    setText(parts.entropy, number(entropy, 3));
    setTone(parts.entropy, isKnown(entropy) && entropy < ENTROPY_LOW_NATS ? "warn" : "");
    setVariable(
      parts.entropyBar,
      "--part",
      isKnown(entropy) ? (entropy / ENTROPY_MAXIMUM_NATS).toFixed(3) : "0",
    );
    setText(parts.kl, number(learner.kl, 4));
    setTone(parts.kl, isKnown(learner.kl) && learner.kl > KL_TARGET ? "warn" : "");
    setText(parts.policyLoss, signed(learner.policy_loss, 4));
    setText(parts.valueLoss, number(learner.value_loss, 4));
    setText(parts.clip, percent(learner.clip_fraction, 1));
    setText(parts.explained, signed(learner.explained_variance, 3));
    setText(parts.bufferWins, percent(learner.buffer_win_rate));
    setText(parts.tradeWins, percent(learner.trade_win_rate));
  };
};

// A mean with its interval on a line that all rows share, so that they can be compared by eye.
const setWhisker = (cell, { mean, low, high }, reach) => {
  if (!cell.firstElementChild) {
    const box = element("span", "whisker");
    box.setAttribute("aria-hidden", "true");
    box.append(element("span", "range"), element("span", "mean"));
    cell.append(box);
  }
  const known = isKnown(mean) && isKnown(low) && isKnown(high);
  const box = cell.firstElementChild;
  setAttribute(box, "data-known", String(known));
  if (!known) return;
  const at = (value) => ((value / reach + 1) / 2).toFixed(4);
  setVariable(box, "--low", at(low));
  setVariable(box, "--high", at(high));
  setVariable(box, "--mean", at(mean));
  setTone(box, low > 0 ? "gain" : high < 0 ? "loss" : "");
};

const interval = (low, high) =>
  isKnown(low) && isKnown(high) ? `${signedDollars(low)} to ${signedDollars(high)}` : DASH;

const verdictOf = ({ difference_low: low, difference_high: high, ended }) => {
  if (ended) return { told: `✕ ended: ${text(ended)}`, tone: "warn" };
  if (!isKnown(low) || !isKnown(high)) return { told: "too few windows", tone: "" };
  if (low > 0) return { told: "▲ earns more", tone: "gain" };
  if (high < 0) return { told: "▼ earns less", tone: "loss" };
  return { told: "· no difference shown", tone: "" };
};

const SHADOW_COLUMNS = [
  ["", (cell, shadow) => setText(cell, words(shadow.name))],
  [
    "",
    (cell, shadow) => {
      const { told, tone } = verdictOf(shadow);
      setText(cell, told);
      setTone(cell, tone);
    },
  ],
  ["n", (cell, shadow) => setText(cell, signedDollars(shadow.mean))],
  ["n", (cell, shadow) => setText(cell, interval(shadow.low, shadow.high))],
  ["", (cell, shadow) => setWhisker(cell, shadow, shadow.reach)],
  ["n", (cell, shadow) => setText(cell, signedDollars(shadow.difference_mean))],
  ["n", (cell, shadow) => setText(cell, interval(shadow.difference_low, shadow.difference_high))],
  ["n", (cell, shadow) => setText(cell, number(shadow.windows))],
];

export const shadowsPanel = (root) => {
  const parts = partsOf(root);
  const rows = tableRows(parts.rows, SHADOW_COLUMNS, SHADOWS_MAXIMUM, parts.empty);
  return ({ shadows }) => {
    const sizes = shadows
      .flatMap(({ mean, low, high }) => [mean, low, high])
      .filter(isKnown)
      .map(Math.abs);
    const reach = Math.max(0.01, ...sizes);
    rows.show(shadows.map((shadow) => [shadow.name, { ...shadow, reach }]));
    setHidden(parts.table, shadows.length === 0);
  };
};
