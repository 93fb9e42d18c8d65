// Equity and how far it is below its highest: two uPlot charts with one cursor.

import { dollars, isKnown, moment, signedDollars } from "./format.js";
import { setHidden, setText } from "./dom.js";

const POINTS_MAXIMUM = 2000;
const DAY_SECONDS = 86_400;

const colour = (name) =>
  getComputedStyle(document.documentElement)
    .getPropertyValue("--" + name)
    .trim();

const inUtc = (seconds) => new Date(seconds * 1000).toISOString();

const timeNames = (_plot, splits, _axis, _space, step) =>
  splits.map((at) =>
    step >= DAY_SECONDS ? inUtc(at).slice(5, 10) : inUtc(at).slice(11, step < 60 ? 19 : 16),
  );

// [seconds], [equity], [equity below its highest so far]; points out of order are left out.
export const curvesOf = (points) => {
  const at = [];
  const equity = [];
  const below = [];
  let highest = -Infinity;
  for (const [ms, value] of points.slice(-POINTS_MAXIMUM)) {
    if (!isKnown(ms) || !isKnown(value) || ms / 1000 <= at.at(-1)) continue;
    highest = Math.max(highest, value);
    at.push(ms / 1000);
    equity.push(value);
    below.push(value - highest);
  }
  return [at, equity, below];
};

const axesOf = (write, showTimes) => {
  const common = {
    stroke: colour("soft"),
    font: "11px system-ui, sans-serif",
    ticks: { show: false },
    grid: { stroke: colour("line"), width: 1 },
  };
  const x = {
    ...common,
    grid: { show: false },
    size: showTimes ? 26 : 8,
    gap: 4,
    space: 72,
    values: showTimes ? timeNames : (_plot, splits) => splits.map(() => ""),
  };
  const y = {
    ...common,
    gap: 6,
    space: 30,
    size: 66,
    values: (_plot, splits) => splits.map(write),
  };
  return [x, y];
};

const padded = (low, high) => {
  const margin = (high - low || Math.abs(high) * 0.001 || 1) * 0.12;
  return [low - margin, high + margin];
};

const optionsOf = (place, { name, write, times, range, key, tell }) => ({
  width: place.clientWidth,
  height: place.clientHeight,
  legend: { show: false },
  cursor: { sync: { key }, drag: { x: true, y: false }, y: false, points: { size: 7 } },
  tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
  scales: {
    x: {
      time: true,
      range: (_plot, low, high) => (low === high ? [low - 60, high + 60] : [low, high]),
    },
    y: { range },
  },
  axes: axesOf(write, times),
  series: [
    {},
    {
      label: name,
      stroke: colour(times ? "loss" : "accent"),
      width: 1.75,
      fill: colour(times ? "loss-area" : "accent-area"),
      points: { show: false },
    },
  ],
  hooks: { setCursor: [(plot) => tell(plot.cursor.idx)] },
});

export const equityPanel = (root) => {
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const [equityPlace, belowPlace, told, empty] = ["equityChart", "belowChart", "told", "empty"].map(
    part,
  );
  let curves = curvesOf([]);
  let plots = [];

  // The line under the heading says what the pointer is on, or else the newest point.
  const tell = (index) => {
    const at = isKnown(index) ? index : curves[0].length - 1;
    if (at < 0) return;
    setText(
      told,
      `${moment(curves[0][at] * 1000)}: ${dollars(curves[1][at])}, ` +
        `${signedDollars(curves[2][at])} from the highest`,
    );
  };

  const draw = () => {
    plots.forEach((plot) => plot.destroy());
    const common = { key: "equity", tell };
    const equity = {
      ...common,
      name: "equity",
      write: (value) => dollars(value),
      times: false,
      range: (_plot, low, high) => padded(low ?? 0, high ?? 0),
    };
    const below = {
      ...common,
      name: "drawdown",
      write: (value) => signedDollars(value),
      times: true,
      range: (_plot, low) => [Math.min(low ?? 0, -0.01) * 1.12, 0],
    };
    plots = [
      new uPlot(optionsOf(equityPlace, equity), curves.slice(0, 2), equityPlace),
      new uPlot(optionsOf(belowPlace, below), [curves[0], curves[2]], belowPlace),
    ];
  };

  const resize = () => {
    if (plots.length === 0) return;
    [equityPlace, belowPlace].forEach((place, at) =>
      plots[at].setSize({ width: place.clientWidth, height: place.clientHeight }),
    );
  };

  matchMedia("(prefers-color-scheme: dark)").addEventListener(
    "change",
    () => plots.length && draw(),
  );
  new ResizeObserver(resize).observe(equityPlace);
  return (points) => {
    curves = curvesOf(points);
    setHidden(empty, curves[0].length > 0);
    if (curves[0].length === 0) return;
    if (plots.length === 0) draw();
    plots[0].setData(curves.slice(0, 2));
    plots[1].setData([curves[0], curves[2]]);
    tell(null);
  };
};
