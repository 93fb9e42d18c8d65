// The dashboard: views come in, each panel changes what is different in it. Must not: show as new
// what is old, or as known what the worker did not tell.

import { equityPanel } from "./charts.js";
import { Controls } from "./controls.js";
import { setAttribute, setHidden, setText } from "./dom.js";
import { DASH, duration, text } from "./format.js";
import { marketsPanel } from "./markets.js";
import { accountPanel, modePanel, safetyPanel, titleOf } from "./panels.js";
import { Stream } from "./stream.js";
import {
  feedsPanel,
  latencyPanel,
  learnerPanel,
  refusalsPanel,
  shadowsPanel,
  tradesPanel,
} from "./tables.js";

const HISTORY_SECONDS_MINIMUM = 5; // between two readings of the curve and the trades
const HISTORY_TIMEOUT_MS = 10_000;

const byId = (id) => document.getElementById(id);

// A panel that fails must not stop the others, nor show old numbers as if they were new.
const guarded = (id, build) => {
  const root = byId(id);
  const show = build(root);
  return (value) => {
    try {
      show(value);
      setAttribute(root, "data-broken", null);
    } catch (error) {
      setAttribute(root, "data-broken", "true");
      console.error(`panel ${id}`, error);
    }
  };
};

// The safest first: what may fail below does not delay it.
const panels = [
  guarded("safety", safetyPanel),
  guarded("top", modePanel),
  guarded("account", accountPanel),
  guarded("markets", marketsPanel),
  guarded("refusals", refusalsPanel),
  guarded("feeds", feedsPanel),
  guarded("latency", latencyPanel),
  guarded("learner", learnerPanel),
  guarded("shadows", shadowsPanel),
];
const showEquity = guarded("equity", equityPanel);
const showTrades = guarded("trades", tradesPanel);
const controls = new Controls(byId("control"), byId("answer"));

let newest = null;
let stale = true;

// Read again when the worker says that there is more, at most every few seconds.
const history = { key: "", readAt: -Infinity, busy: false };

const readHistory = async (view) => {
  const key = `${view.run} ${view.trades_seq} ${view.equity_seq}`;
  const early = performance.now() - history.readAt < HISTORY_SECONDS_MINIMUM * 1000;
  if (history.key === key || history.busy || early) return;
  history.busy = true;
  history.readAt = performance.now();
  try {
    const signal = AbortSignal.timeout(HISTORY_TIMEOUT_MS);
    const answer = await fetch("/history", { cache: "no-store", signal });
    if (!answer.ok) throw new Error(`the worker answered ${answer.status}`);
    const { equity, trades } = await answer.json();
    showEquity(equity);
    showTrades(trades);
    history.key = key;
    setText(byId("history-problem"), "");
  } catch (error) {
    setText(byId("history-problem"), `Not read: ${text(error.message)}. It is tried again.`);
  } finally {
    history.busy = false;
  }
};

const setTitle = () => {
  const title = titleOf(newest, stale);
  if (document.title !== title) document.title = title;
};

const onView = (view) => {
  // Another build has another page: this one may not understand it.
  if (newest && newest.build !== view.build) setHidden(byId("outdated"), false);
  newest = view;
  panels.forEach((show) => show(view));
  controls.setView(view);
  readHistory(view);
};

const agoText = ({ seconds, seen, problem }) => {
  const told = seen
    ? `No data for ${seconds < 60 ? Math.floor(seconds) + " s" : duration(seconds * 1000)}`
    : "No data yet";
  const what = seen ? ": these numbers are old" : "";
  return `${told}${what}${problem ? ` (${problem})` : ""}`;
};

const onLine = (line) => {
  const changed = stale !== line.stale;
  stale = line.stale;
  setAttribute(document.documentElement, "data-stale", stale ? "true" : null);
  setText(byId("line"), stale ? "○ no data" : "● receiving");
  setText(byId("lost"), stale ? agoText(line) : DASH);
  setHidden(byId("lost"), !stale);
  if (changed && line.seen)
    setText(byId("spoken"), stale ? "No data from the worker" : "Data again");
  setTitle();
};

byId("reload").addEventListener("click", () => location.reload());
new Stream({
  onView,
  onConnected: () => {
    history.key = "";
  },
  onLine,
}).start();
