// Draws the charts of a report from the data in the page. Asks nothing of any network.
(() => {
  "use strict";
  const charts = JSON.parse(document.getElementById("data").textContent);
  const colour = (name) =>
    getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const number = (value, digits) =>
    Math.abs(value).toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const signed = (value, digits) => (value < 0 ? "-" : value > 0 ? "+" : "") + "$" + number(value, digits);
  const written = {
    dollars: (value) => signed(value, 2),
    count: (value) => number(value, 0),
    part: (value) => number(value * 100, 1) + " %",
  };
  const onAxis = {
    dollars: (values) => {
      const whole = values.every((value) => Number.isInteger(value));
      return values.map((value) => signed(value, whole ? 0 : 2));
    },
    count: (values) => values.map((value) => (Number.isInteger(value) ? number(value, 0) : "")),
    part: (values) => values.map((value) => number(value * 100, 0) + " %"),
  };
  const inUtc = (seconds) => new Date(seconds * 1000).toISOString();
  const timeNames = (chart, splits, _axis, _space, step) =>
    splits.map((at) => {
      const text = inUtc(at);
      return step >= 86400 || text.slice(11, 16) === "00:00" ? text.slice(5, 10) : text.slice(11, 16);
    });

  const textOf = (chart, at) => {
    if (chart.kind === "time") return inUtc(chart.x[at]).slice(0, 16).replace("T", " ") + " UTC";
    if (chart.kind === "bars") return chart.names[at];
    return "told " + written.part(chart.x[at]) + ", " + chart.weights[at] + " samples";
  };

  // What is under the pointer or the finger.
  const tip = (chart) => {
    const box = document.createElement("div");
    box.className = "tip";
    return {
      hooks: {
        init: (plot) => plot.over.appendChild(box),
        setCursor: (plot) => {
          const at = plot.cursor.idx;
          const edge = chart.kind === "calibration" && !chart.weights[at];
          const lines = [];
          if (at != null && !edge) {
            for (const series of chart.series) {
              const value = series.values[at];
              if (value == null || (chart.kind === "calibration" && series.name === "perfect")) continue;
              lines.push(series.name + "  " + written[chart.unit](value));
            }
          }
          box.style.display = lines.length ? "block" : "none";
          if (!lines.length) return;
          box.textContent = [textOf(chart, at), ...lines].join("\n");
          const left = plot.cursor.left + 14;
          const room = plot.over.clientWidth - box.offsetWidth;
          box.style.left = Math.max(0, left > room ? plot.cursor.left - box.offsetWidth - 14 : left) + "px";
          box.style.top = Math.max(0, plot.cursor.top - box.offsetHeight - 8) + "px";
        },
      },
    };
  };

  // Points of calibration: the more samples, the larger.
  const weighed = (chart) => ({
    hooks: {
      draw: (plot) => {
        const most = Math.max(...chart.weights, 1);
        const context = plot.ctx;
        context.save();
        context.fillStyle = colour("accent");
        chart.weights.forEach((weight, at) => {
          if (!weight) return;
          const radius = (3 + 8 * Math.sqrt(weight / most)) * devicePixelRatio;
          context.globalAlpha = 0.75;
          context.beginPath();
          context.arc(
            plot.valToPos(chart.x[at], "x", true),
            plot.valToPos(chart.series[1].values[at], "y", true),
            radius, 0, 2 * Math.PI,
          );
          context.fill();
        });
        context.restore();
      },
    },
  });

  const seriesOf = (chart, series) => {
    const stroke = colour(series.colour);
    const plain = { label: series.name, stroke, width: 2, points: { show: chart.x.length === 1 } };
    if (chart.kind === "bars") {
      const paths = uPlot.paths.bars({ size: [0.72, 56], radius: 0.12 });
      return { ...plain, width: 0, fill: stroke, paths, points: { show: false } };
    }
    if (chart.kind === "calibration") {
      const dashed = series.name === "perfect";
      return { ...plain, width: dashed ? 1 : 1.5, dash: dashed ? [5, 5] : [], points: { show: false } };
    }
    return series.is_area ? { ...plain, fill: colour(series.colour + "-area") } : { ...plain, width: 1.5 };
  };

  const yRange = (chart) => (_plot, low, high) => {
    if (chart.kind === "calibration") return [0, 1];
    const floor = Math.min(0, low ?? 0);
    const top = Math.max(0, high ?? 0);
    const margin = (top - floor || 1) * 0.08;
    return [floor < 0 ? floor - margin : 0, top > 0 ? top + margin : 0];
  };

  const xRange = (chart) => (_plot, low, high) => {
    if (chart.kind === "bars") return [-0.5, chart.names.length - 0.5];
    if (chart.kind === "calibration") return [0, 1];
    return low === high ? [low - 60, high + 60] : [low, high];
  };

  // Names of bars, as many as there is room for.
  const barNames = (chart) => (plot, splits) => {
    const longest = Math.max(...chart.names.map((name) => name.length));
    const room = plot.bbox.width / devicePixelRatio / chart.names.length;
    const each = Math.max(1, Math.ceil((longest * 6.6 + 6) / room));
    return splits.map((at) => (at % each === 0 ? chart.names[at] ?? "" : ""));
  };

  const axesOf = (chart) => {
    const common = {
      stroke: colour("soft"), font: "11px system-ui, sans-serif",
      ticks: { show: false }, grid: { stroke: colour("line"), width: 1 },
    };
    const x = { ...common, grid: { show: chart.kind === "calibration", ...common.grid }, size: 26, gap: 4 };
    if (chart.kind === "time") {
      x.values = timeNames;
      x.space = 64;
    } else if (chart.kind === "bars") {
      x.splits = () => chart.x;
      x.values = barNames(chart);
      x.grid = { show: false };
    } else {
      x.values = (_plot, splits) => onAxis.part(splits);
    }
    const y = {
      ...common, gap: 6, space: 34,
      values: (_plot, splits) => onAxis[chart.unit](splits),
      size: (_plot, values) => 14 + 6.6 * Math.max(3, ...(values ?? []).map((value) => value.length)),
    };
    return [x, y];
  };

  const draw = (chart, place) => {
    place.replaceChildren();
    const plugins = [tip(chart)];
    if (chart.kind === "calibration") plugins.push(weighed(chart));
    const options = {
      width: place.clientWidth, height: place.clientHeight, plugins,
      legend: { show: false },
      cursor: { drag: { x: chart.kind === "time", y: false }, points: { show: chart.kind === "time" }, y: false },
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      scales: {
        x: { time: chart.kind === "time", range: xRange(chart) },
        y: { range: yRange(chart) },
      },
      axes: axesOf(chart),
      series: [{}, ...chart.series.map((series) => seriesOf(chart, series))],
    };
    return new uPlot(options, [chart.x, ...chart.series.map((series) => series.values)], place);
  };

  const places = charts.map((chart) => [chart, document.querySelector(`[data-chart="${chart.id}"]`)]);
  let plots = [];
  const drawAll = () => {
    plots.forEach((plot) => plot.destroy());
    plots = places.map(([chart, place]) => draw(chart, place));
  };
  drawAll();
  document.documentElement.dataset.charts = String(plots.length);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    drawAll();
  });
})();
