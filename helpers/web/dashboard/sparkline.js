// The fast price against the strike over one window, as seen since the page was opened.

import { isKnown } from "./format.js";
import { setAttribute, setHidden } from "./dom.js";

const POINTS_MAXIMUM = 240;
const WIDTH = 300;
const HEIGHT = 64;
const MARGIN = 5;
const HALF_RANGE_MINIMUM = 1e-5; // of the price: a line that does not move is flat

export class Sparkline {
  constructor(parts) {
    this.parts = parts;
    this.points = [];
  }

  // At most one point in each 240th of the window, so the line is bounded however long it runs.
  show({ slug, opens_ms: opens, closes_ms: closes, fast_price: price, strike }, at) {
    if (this.slug !== slug) {
      this.slug = slug;
      this.points = [];
    }
    const whole = closes - opens;
    const drawable = isKnown(price) && isKnown(strike) && whole > 0;
    setHidden(this.parts.spark, !drawable);
    if (!drawable || at > closes) return;
    const newest = this.points.at(-1);
    const slot = Math.floor(((at - opens) / whole) * POINTS_MAXIMUM);
    if (newest?.slot === slot) newest.price = price;
    else this.points.push({ slot, price });
    if (this.points.length > POINTS_MAXIMUM) this.points.shift();
    this.draw(strike);
  }

  draw(strike) {
    const far = Math.max(...this.points.map(({ price }) => Math.abs(price - strike)));
    const half = Math.max(far, strike * HALF_RANGE_MINIMUM);
    const x = (slot) => ((slot / POINTS_MAXIMUM) * WIDTH).toFixed(1);
    const y = (price) =>
      (HEIGHT / 2 - ((price - strike) / half) * (HEIGHT / 2 - MARGIN)).toFixed(1);
    const line = this.points.map(({ slot, price }) => `${x(slot)},${y(price)}`);
    const newest = this.points.at(-1);
    const middle = HEIGHT / 2;
    setAttribute(this.parts.line, "points", line.join(" "));
    setAttribute(
      this.parts.area,
      "points",
      `${x(this.points[0].slot)},${middle} ${line.join(" ")} ${x(newest.slot)},${middle}`,
    );
    // A line of no length with round ends is a dot that the stretched picture leaves round.
    const end = `${x(newest.slot)},${y(newest.price)}`;
    setAttribute(this.parts.dot, "points", `${end} ${end}`);
    setAttribute(this.parts.spark, "data-tone", newest.price >= strike ? "gain" : "loss");
  }
}
