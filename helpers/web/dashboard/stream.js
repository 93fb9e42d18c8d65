// The line to the worker: views as they come, a new connection when one ends, and the age of what
// is shown. Never says that data is fresh because a socket is open: only a view that is newer than
// the last one counts.

const STALE_SECONDS = 3;
const SILENCE_SECONDS = 10; // an open line that says nothing for so long is opened anew
const RETRY_SECONDS_FIRST = 0.5;
const RETRY_SECONDS_MAXIMUM = 10;
const TICK_MS = 500;
const PROBE_TIMEOUT_MS = 5000;

// Time that passes while a laptop sleeps, too: the larger of two clocks, as either may stand still.
const stamp = () => ({ wall: Date.now(), steady: performance.now() });
const secondsSince = (then) =>
  Math.max(Date.now() - then.wall, performance.now() - then.steady) / 1000;

export class Stream {
  constructor({ onView, onConnected, onLine }) {
    Object.assign(this, { onView, onConnected, onLine });
    this.source = null;
    this.retry = null;
    this.retrySeconds = RETRY_SECONDS_FIRST;
    this.problem = "";
    this.last = null; // {run, seq, at} of the newest view
    this.freshAt = stamp();
    this.heardAt = stamp();
  }

  start() {
    this.open();
    setInterval(() => this.tick(), TICK_MS);
    addEventListener("online", () => this.reopen());
    document.addEventListener("visibilitychange", () => this.tick());
  }

  open() {
    this.retry = null;
    this.heardAt = stamp();
    const source = new EventSource("/events");
    this.source = source;
    source.addEventListener("view", (event) => this.hear(event.data));
    source.addEventListener("open", () => {
      this.heardAt = stamp();
      this.onConnected();
    });
    source.addEventListener("error", () => {
      if (source !== this.source) return;
      this.close();
      this.again();
      this.probe();
    });
  }

  close() {
    this.source?.close();
    this.source = null;
  }

  // Up to a quarter more, so that many pages do not come back in one moment.
  again() {
    if (this.retry !== null) return;
    const seconds = this.retrySeconds * (1 + Math.random() / 4);
    this.retrySeconds = Math.min(this.retrySeconds * 2, RETRY_SECONDS_MAXIMUM);
    this.retry = setTimeout(() => this.open(), seconds * 1000);
    this.tick();
  }

  reopen() {
    clearTimeout(this.retry);
    this.close();
    this.open();
  }

  hear(data) {
    this.heardAt = stamp();
    let view;
    try {
      view = JSON.parse(data);
    } catch {
      this.problem = "an answer of the worker could not be read";
      this.tick();
      return;
    }
    const again = this.last?.run === view.run;
    if (again && view.seq <= this.last.seq) return;
    // A worker whose clock stands still has nothing new to say, however often it says it.
    if (!again || view.at_ms !== this.last.at) this.freshAt = stamp();
    this.last = { run: view.run, seq: view.seq, at: view.at_ms };
    this.retrySeconds = RETRY_SECONDS_FIRST;
    this.problem = "";
    this.onView(view);
    this.tick();
  }

  // An EventSource does not tell why it ended; a token that is asked for is worth telling.
  async probe() {
    try {
      const signal = AbortSignal.timeout(PROBE_TIMEOUT_MS);
      const { status } = await fetch("/view", { cache: "no-store", signal });
      this.problem = status === 401 ? "the worker asks for a token: reload to sign in" : "";
      if (status >= 500) this.problem = `the worker answers ${status}`;
    } catch {
      this.problem = "the worker does not answer";
    }
    this.tick();
  }

  tick() {
    if (this.source && secondsSince(this.heardAt) > SILENCE_SECONDS) {
      this.close();
      this.again();
    }
    const seconds = secondsSince(this.freshAt);
    const stale = this.last === null || seconds > STALE_SECONDS;
    const open = this.source?.readyState === EventSource.OPEN;
    this.onLine({ stale, seconds, open, seen: this.last !== null, problem: this.problem });
  }
}
