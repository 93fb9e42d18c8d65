// How numbers are written. What is not known is a dash, never a zero.

export const DASH = "–";
const MINUS = "\u2212";
const TEXT_LENGTH_MAXIMUM = 400;

const isKnown = (value) => typeof value === "number" && Number.isFinite(value);

// Number formatters are slow to build: one for each count of digits.
const formatters = Array.from(
  { length: 9 },
  (_, digits) =>
    new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }),
);

const plain = (value, digits) => formatters[digits].format(Math.abs(value));

// A value that is written as 0 has no sign.
const signOf = (value, digits, plus) => {
  if (Math.abs(value) < 0.5 * 10 ** -digits) return "";
  return value < 0 ? MINUS : plus ? "+" : "";
};

export const number = (value, digits = 0) =>
  isKnown(value) ? signOf(value, digits, false) + plain(value, digits) : DASH;

export const signed = (value, digits = 2) =>
  isKnown(value) ? signOf(value, digits, true) + plain(value, digits) : DASH;

export const dollars = (value, digits = 2) =>
  isKnown(value) ? signOf(value, digits, false) + "$" + plain(value, digits) : DASH;

export const signedDollars = (value, digits = 2) =>
  isKnown(value) ? signOf(value, digits, true) + "$" + plain(value, digits) : DASH;

export const percent = (part, digits = 0) =>
  isKnown(part) ? number(part * 100, digits) + "\u202f%" : DASH;

// A price of a share between 0 and 1 dollar.
export const cents = (price) => (isKnown(price) ? plain(price * 100, 1) + "¢" : DASH);

// A price of the fast market: about six digits that matter.
export const priceDigits = (price) => {
  const size = Math.abs(price);
  if (size >= 1000) return 2;
  if (size >= 10) return 3;
  return size >= 1 ? 4 : 6;
};

export const price = (value, digits) =>
  isKnown(value) ? plain(value, digits ?? priceDigits(value)) : DASH;

export const milliseconds = (value) => {
  if (!isKnown(value)) return DASH;
  if (value >= 10_000) return plain(value / 1000, 1) + " s";
  if (value >= 100) return plain(value, 0) + " ms";
  return plain(value, value >= 10 ? 1 : 2) + " ms";
};

export const age = (seconds) => {
  if (!isKnown(seconds)) return DASH;
  if (seconds < 1) return plain(Math.max(0, seconds * 1000), 0) + " ms";
  if (seconds < 60) return plain(seconds, seconds < 10 ? 1 : 0) + " s";
  return duration(seconds * 1000);
};

const padded = (value) => String(value).padStart(2, "0");

// 12:31, or 1:02:31 from an hour on; 2 d 03 h from two days on.
export const duration = (ms) => {
  if (!isKnown(ms)) return DASH;
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const hours = Math.floor(seconds / 3600);
  if (hours >= 48) return Math.floor(hours / 24) + " d " + padded(hours % 24) + " h";
  const minutes = padded(Math.floor(seconds / 60) % 60);
  const rest = minutes + ":" + padded(seconds % 60);
  return hours ? hours + ":" + rest : rest;
};

export const timeOfDay = (ms) => (isKnown(ms) ? new Date(ms).toISOString().slice(11, 19) : DASH);

export const moment = (ms) =>
  isKnown(ms) ? new Date(ms).toISOString().slice(0, 19).replace("T", " ") + " UTC" : DASH;

// Text from outside: never longer than a page can bear.
export const text = (value) => {
  if (value === null || value === undefined || value === "") return DASH;
  const whole = String(value);
  return whole.length > TEXT_LENGTH_MAXIMUM ? whole.slice(0, TEXT_LENGTH_MAXIMUM) + "…" : whole;
};

// "max_spread" for people.
export const words = (name) => text(name).replaceAll("_", " ");

export const toneOf = (value) => {
  if (!isKnown(value) || Math.abs(value) < 0.005) return "";
  return value > 0 ? "gain" : "loss";
};

export { isKnown };
