// The features that a policy sees, as bars from the middle: right above zero, left below.

import { DASH, isKnown, signed, words } from "./format.js";
import { KeyedList, element, setAttribute, setText, setVariable } from "./dom.js";

const FEATURES_MAXIMUM = 64;

const featureItem = () => {
  const node = element("li");
  const name = element("span", "name");
  const track = element("span", "track");
  track.setAttribute("aria-hidden", "true");
  track.append(element("span", "fill"));
  const value = element("span", "value");
  node.append(name, track, value);
  return { node, name, track, value };
};

const updateFeature = (item, { name, value, cold }) => {
  const known = isKnown(value);
  setText(item.name, name);
  setAttribute(item.node, "data-cold", cold ? "true" : null);
  setText(item.value, cold ? "cold" : signed(value, 2));
  const size = known && !cold ? Math.min(1, Math.abs(value)) : 0;
  setVariable(item.track, "--size", size.toFixed(3));
  setAttribute(item.track, "data-side", size === 0 ? null : value > 0 ? "up" : "down");
};

// What is said above the bars: the worst first.
const summaryOf = (market) => {
  if (market.invalid) return { told: "no decision: " + words(market.invalid), tone: "warn" };
  const cold = market.cold.length;
  if (cold) return { told: `${cold} cold`, tone: "warn" };
  return market.features.length ? { told: "all warm", tone: "" } : { told: DASH, tone: "" };
};

export const featurePanel = (parts) => {
  const list = new KeyedList(parts.features, {
    limit: FEATURES_MAXIMUM,
    create: featureItem,
    update: updateFeature,
  });
  return (market, names) => {
    const { told, tone } = summaryOf(market);
    setText(parts.featuresTold, told);
    setAttribute(parts.featuresTold, "data-tone", tone || null);
    setAttribute(parts.featuresTold, "title", market.cold.length ? market.cold.join(", ") : null);
    const cold = new Set(market.cold);
    // Of a state that is invalid nothing was computed, and there are none.
    const values = market.features;
    list.show(
      names.map((name, at) => [name, { name, value: values[at] ?? null, cold: cold.has(name) }]),
    );
  };
};
