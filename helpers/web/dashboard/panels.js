// The top of the page: which money this is, whether it may trade, what it has.

import {
  dollars,
  duration,
  isKnown,
  moment,
  number,
  percent,
  signedDollars,
  text,
  timeOfDay,
  toneOf,
  words,
} from "./format.js";
import {
  KeyedList,
  element,
  partsOf,
  setAttribute,
  setHidden,
  setText,
  setTone,
  setVariable,
} from "./dom.js";

const HOLDS_MAXIMUM = 20;
const SAFETY = {
  trading: { shape: "●", tone: "good" },
  active: { shape: "●", tone: "good" },
  held: { shape: "▲", tone: "warn" },
  reducing: { shape: "▲", tone: "warn" },
  halted: { shape: "■", tone: "bad" },
  stopping: { shape: "■", tone: "warn" },
  stopped: { shape: "■", tone: "bad" },
};
const UNKNOWN = { shape: "?", tone: "warn" };

export const modePanel = (root) => {
  const parts = partsOf(root);
  const footer = partsOf(document.getElementById("about"));
  return (view) => {
    const live = view.mode === "live";
    setAttribute(document.documentElement, "data-mode", view.mode);
    setText(parts.mode, text(view.mode).toUpperCase());
    setText(
      parts.money,
      view.simulated ? "demo: invented money" : live ? "real money" : "no real money",
    );
    setText(parts.strategy, text(view.strategy));
    setText(parts.clock, timeOfDay(view.at_ms) + " UTC");
    setText(parts.uptime, "up " + duration(view.at_ms - view.started_at_ms));
    setText(footer.run, text(view.run));
    setText(footer.build, text(view.build));
    setText(footer.model, text(view.model_id));
    setText(footer.features, text(view.feature_version));
    setText(footer.started, moment(view.started_at_ms));
  };
};

const holdItem = () => {
  const node = element("li");
  const cause = element("strong");
  const why = element("span", "why");
  const since = element("span", "since");
  node.append(cause, why, since);
  return { node, cause, why, since };
};

export const safetyPanel = (root) => {
  const parts = partsOf(root);
  const spoken = document.getElementById("spoken");
  let said = null;
  const holds = new KeyedList(parts.holds, {
    limit: HOLDS_MAXIMUM,
    empty: parts.unheld,
    create: holdItem,
    update: (item, [hold, at]) => {
      setText(item.cause, words(hold.cause));
      setText(item.why, text(hold.why));
      setText(item.since, "for " + duration(isKnown(hold.since_ms) ? at - hold.since_ms : null));
    },
  });
  return (view) => {
    const { state, entries_allowed: entries } = view.safety;
    const { shape, tone } = SAFETY[state] ?? UNKNOWN;
    // A state that says one thing and entries that say another: the worse is shown.
    setTone(root, tone === "good" && !entries ? "warn" : tone);
    setText(parts.shape, shape);
    setText(parts.state, words(state).toUpperCase());
    setText(parts.entries, entries ? "Entries allowed." : "No entries. Exits go on.");
    holds.show(view.safety.holds.map((hold) => [hold.cause, [hold, view.at_ms]]));
    const causes = view.safety.holds.map((hold) => words(hold.cause)).join(", ");
    const sentence = `${view.mode} ${words(state)}${causes ? ", because of " + causes : ""}`;
    // A screen reader hears changes, not what was so when the page opened.
    if (said !== null && said !== sentence) setText(spoken, sentence);
    said = sentence;
  };
};

// A part of a limit as a bar: full is at the limit.
const setMeter = (node, value, limit) => {
  const known = isKnown(value) && isKnown(limit) && limit > 0;
  setHidden(node, !known);
  if (!known) return;
  const part = Math.min(1, Math.max(0, value / limit));
  setVariable(node, "--part", part.toFixed(3));
  setTone(node, part >= 0.9 ? "loss" : part >= 0.6 ? "warn" : "");
};

const ofLimit = (limit, name) =>
  isKnown(limit) ? `of ${dollars(limit, 0)} ${name}` : "no limit told";

const winsOf = ({ trades, wins, losing_streak: streak, limits }) => {
  if (!(trades > 0) || !isKnown(wins)) return "none won or lost yet";
  const row = streak > 1 ? `, ${streak} of ${limits?.losing_streak ?? "any"} losses in a row` : "";
  return `${percent(wins / trades)} won${row}`;
};

export const accountPanel = (root) => {
  const parts = partsOf(root);
  return ({ account }) => {
    const limits = account.limits ?? {};
    setText(parts.equity, dollars(account.equity));
    setText(parts.realised, signedDollars(account.realised));
    setText(parts.unrealised, signedDollars(account.unrealised));
    setTone(parts.unrealised, toneOf(account.unrealised));
    setText(
      parts.unmarked,
      account.unmarked_cost > 0
        ? `without ${dollars(account.unmarked_cost)} nobody can value`
        : "on open positions",
    );
    setText(parts.day, signedDollars(account.day_pnl));
    setTone(parts.day, toneOf(account.day_pnl));
    setText(
      parts.dayLimit,
      isKnown(limits.daily_loss) ? `stops at ${dollars(-limits.daily_loss, 0)}` : "no limit told",
    );
    setMeter(parts.dayMeter, isKnown(account.day_pnl) ? -account.day_pnl : null, limits.daily_loss);
    setText(parts.drawdown, dollars(account.drawdown));
    setText(parts.fees, dollars(account.fees));
    setText(parts.exposure, dollars(account.exposure));
    setText(parts.exposureLimit, ofLimit(limits.exposure, "allowed"));
    setMeter(parts.exposureMeter, account.exposure, limits.exposure);
    setText(parts.trades, number(account.trades));
    setText(parts.wins, winsOf(account));
    setTone(
      parts.wins,
      account.losing_streak > 0 && account.losing_streak >= limits.losing_streak - 1 ? "warn" : "",
    );
  };
};

// The name of the tab: the one thing that is seen from another window.
export const titleOf = (view, stale) => {
  if (!view) return "no data · worker";
  const mode = view.mode.toUpperCase();
  if (stale) return `no data · ${mode} worker`;
  const state = view.safety.state;
  const told = SAFETY[state]?.tone === "good" ? "" : ` ${words(state).toUpperCase()}`;
  const day = view.account.day_pnl;
  return `${mode}${told}${isKnown(day) ? " " + signedDollars(day) : ""} · ${text(view.strategy)}`;
};
