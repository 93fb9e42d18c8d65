// One card a market. A card is made once and then changed where something is different.

import {
  DASH,
  age,
  cents,
  dollars,
  duration,
  isKnown,
  number,
  percent,
  price,
  priceDigits,
  signed,
  signedDollars,
  text,
  timeOfDay,
  toneOf,
  words,
} from "./format.js";
import {
  KeyedList,
  partsOf,
  setAttribute,
  setHidden,
  setText,
  setTone,
  setVariable,
} from "./dom.js";
import { featurePanel } from "./features.js";
import { Sparkline } from "./sparkline.js";

const MARKETS_MAXIMUM = 24;
const HISTORY_STATES = 5;
const BOOK_DEGRADED_SECONDS = 30; // the worker's own limits: no entries, then emergency exit
const BOOK_CRITICAL_SECONDS = 60;
const DEADLINE_NEAR_MS = 60_000;
const BASIS_POINTS = 10_000;

const ageTone = (seconds) => {
  if (!isKnown(seconds) || seconds < BOOK_DEGRADED_SECONDS) return "";
  return seconds < BOOK_CRITICAL_SECONDS ? "warn" : "loss";
};

const showWindow = (parts, market, at) => {
  const { opens_ms: opens, closes_ms: closes } = market;
  setText(parts.asset, text(market.asset));
  setText(parts.window, text(market.window));
  setText(parts.slug, text(market.slug));
  const remains = closes - at;
  setHidden(parts.countdownWords, remains <= 0);
  setText(parts.countdown, remains > 0 ? duration(remains) : "closed");
  const passed = Math.min(1, Math.max(0, (at - opens) / (closes - opens)));
  setVariable(parts.windowBar, "--part", (isKnown(passed) ? passed : 0).toFixed(3));
};

const showPrice = (parts, market) => {
  const { fast_price: fast, strike } = market;
  const digits = isKnown(fast) ? priceDigits(fast) : 2;
  setText(parts.fast, price(fast, digits));
  const seconds = market.fast_age_seconds;
  setText(
    parts.source,
    text(market.fast_source) + (isKnown(seconds) ? `, ${age(seconds)} old` : ""),
  );
  setText(parts.strike, price(strike, digits));
  setText(parts.rung, market.strike_rung ? words(market.strike_rung) : "");
  const known = isKnown(fast) && isKnown(strike) && strike > 0;
  const difference = known ? fast - strike : null;
  const points = known ? (difference / strike) * BASIS_POINTS : null;
  const side = !known ? "" : difference >= 0 ? "▲ above" : "▼ below";
  setText(
    parts.gap,
    known
      ? `${side} ${signed(difference, digits)} (${signed(points, 1)} bp)`
      : "not comparable yet",
  );
  setTone(parts.gap, !known ? "" : difference >= 0 ? "gain" : "loss");
};

const showQuote = (parts, name, quote) => {
  setText(parts[name + "Bid"], cents(quote?.bid));
  setText(parts[name + "Ask"], cents(quote?.ask));
  const problem = quote?.problem ? `${words(quote.problem)}, ` : "";
  setText(parts[name + "Age"], problem + age(quote?.age_seconds));
  setTone(parts[name + "Age"], problem ? "warn" : ageTone(quote?.age_seconds));
};

const showPolicy = (parts, market) => {
  const chances = market.probabilities;
  setHidden(parts.chances, !chances);
  setHidden(parts.noChances, Boolean(chances));
  for (const name of ["buy", "hold", "sell"]) {
    const chance = chances ? chances[name] : null;
    setText(parts[name], percent(chance));
    setVariable(parts[name + "Bar"], "--part", isKnown(chance) ? chance.toFixed(3) : "0");
  }
  setText(parts.value, signed(market.value, 3));
  setText(parts.forecast, percent(market.forecast_up, 1));
  const depth = market.history_depth;
  setText(parts.depth, isKnown(depth) ? `${depth} of ${HISTORY_STATES}` : DASH);
  const dots = isKnown(depth)
    ? "●".repeat(depth) + "○".repeat(Math.max(0, HISTORY_STATES - depth))
    : "";
  setText(parts.depthDots, dots);
};

const showPosition = (parts, market, at) => {
  const { position } = market;
  setHidden(parts.held, !position);
  setHidden(parts.flat, Boolean(position));
  setTone(parts.position, position ? toneOf(position.pnl) || "held" : "");
  if (!position) return;
  const left = isKnown(position.deadline_ms) ? position.deadline_ms - at : null;
  setText(parts.outcome, text(position.outcome).toUpperCase());
  const settling =
    position.shares_pending > 0 ? `, ${number(position.shares_pending, 2)} settling` : "";
  setText(parts.shares, `${number(position.shares, 2)} shares${settling}`);
  setText(parts.pnl, signedDollars(position.pnl));
  setTone(parts.pnl, toneOf(position.pnl));
  setText(parts.cost, dollars(position.cost));
  setText(parts.worth, dollars(position.worth_now));
  setText(
    parts.deadline,
    left === null ? "to resolution" : left > 0 ? `out in ${duration(left)}` : "due now",
  );
  setTone(parts.deadline, left !== null && left < DEADLINE_NEAR_MS ? "warn" : "");
};

// "approved" is good news, a refusal is to be looked at, the rest is the ordinary case.
const OUTCOMES = [
  ["approved", { shape: "✓", tone: "gain" }],
  ["refused", { shape: "✕", tone: "warn" }],
  ["not sized", { shape: "✕", tone: "" }],
];
const ORDINARY = { shape: "·", tone: "" };

const showDecision = (parts, { decision }) => {
  const outcome = decision ? words(decision.outcome_text) : DASH;
  const { shape, tone } = OUTCOMES.find(([start]) => outcome.startsWith(start))?.[1] ?? ORDINARY;
  setText(parts.action, decision ? text(decision.action).toUpperCase() : "");
  setText(parts.decided, decision ? timeOfDay(decision.at_ms) : "");
  setText(parts.verdict, decision ? `${shape} ${outcome}` : "No decision yet");
  setTone(parts.verdict, tone);
  // A rule is told by its name: one word.
  const reason = decision?.reason ?? "";
  const why = /^\w*$/.test(reason) ? reason.replaceAll("_", " ") : text(reason);
  setText(parts.why, why);
  setAttribute(parts.decision, "title", decision ? `${outcome}\n${why}` : null);
};

const createCard = (template) => () => {
  const node = template.content.firstElementChild.cloneNode(true);
  const parts = partsOf(node);
  parts.featureBox.open = matchMedia("(min-width: 700px)").matches;
  return { node, parts, spark: new Sparkline(parts), showFeatures: featurePanel(parts) };
};

const updateCard = (card, { market, at, names }) => {
  const { parts } = card;
  setAttribute(card.node, "aria-label", `${text(market.asset)} ${text(market.window)}`);
  showWindow(parts, market, at);
  showPrice(parts, market);
  card.spark.show(market, at);
  showQuote(parts, "up", market.up);
  showQuote(parts, "down", market.down);
  showPolicy(parts, market);
  showPosition(parts, market, at);
  showDecision(parts, market);
  card.showFeatures(market, names);
};

// A card is a place for an asset and a window: it stays when the next market takes it over.
const placeOf = (market, taken) => {
  const name = `${market.asset} ${market.window}`;
  const key = taken.has(name) ? market.slug : name;
  taken.add(key);
  return key;
};

// Short windows first, then by name: the places do not change when a window is over.
const inOrder = (a, b) =>
  a.closes_ms - a.opens_ms - (b.closes_ms - b.opens_ms) ||
  text(a.asset).localeCompare(text(b.asset)) ||
  a.opens_ms - b.opens_ms;

export const marketsPanel = (root) => {
  const parts = partsOf(root);
  const list = new KeyedList(parts.cards, {
    limit: MARKETS_MAXIMUM,
    empty: parts.noMarkets,
    create: createCard(document.getElementById("market-card")),
    update: updateCard,
  });
  return (view) => {
    const taken = new Set();
    const hidden = list.show(
      view.markets
        .toSorted(inOrder)
        .map((market) => [
          placeOf(market, taken),
          { market, at: view.at_ms, names: view.feature_names },
        ]),
    );
    setText(parts.count, number(view.markets.length));
    setText(parts.more, hidden ? `${hidden} more are not shown` : "");
  };
};
