// Halt, resume, flatten: asked for in a dialog, answered by the worker, shown as answered.
// The page changes nothing by itself: what the worker did is seen in the next view.

import { partsOf, setHidden, setText, setTone } from "./dom.js";
import { text, timeOfDay } from "./format.js";

const ANSWER_SECONDS_MAXIMUM = 20;
const VERBS = {
  halt: {
    title: "Halt entries",
    about:
      "No entry in any market from now on, also after a restart. Exits go on; open positions stay.",
    button: "Halt",
  },
  resume: {
    title: "Resume entries",
    about: "Ends every halt that waits for a person. Look first at why it was halted.",
    button: "Resume",
  },
  flatten: {
    title: "Flatten everything",
    about:
      "Halts entries, cancels every order and sells every position now, at what the books pay.",
    button: "Flatten",
  },
};

let token = ""; // in this page's memory only: a reload forgets it

const ask = async (verb, reason, confirmation) => {
  const answer = await fetch("/control", {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
    body: JSON.stringify({ verb, reason, confirmation }),
    signal: AbortSignal.timeout(ANSWER_SECONDS_MAXIMUM * 1000),
  });
  const body = await answer.json().catch(() => null);
  if (typeof body?.text === "string")
    return { ok: answer.ok && body.ok === true, told: text(body.text) };
  return { ok: false, told: `The worker answered ${answer.status} without a reason.` };
};

// What is not known is said: a request that was cut off may have been obeyed.
const askOrTell = async (...request) => {
  try {
    return await ask(...request);
  } catch (error) {
    const what =
      error.name === "TimeoutError"
        ? `No answer within ${ANSWER_SECONDS_MAXIMUM} s`
        : "The worker was not reached, or the line broke";
    return {
      ok: false,
      told: `${what}: it may have been obeyed or not. The state above tells.`,
    };
  }
};

export class Controls {
  constructor(dialog, last) {
    this.dialog = dialog;
    this.last = last;
    this.parts = partsOf(dialog);
    this.verb = "";
    this.mode = "";
    this.at = null;
    this.busy = false;
    for (const button of document.querySelectorAll("[data-verb]")) {
      button.addEventListener("click", () => this.open(button.dataset.verb));
    }
    this.parts.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    this.parts.cancel.addEventListener("click", () => dialog.close());
    this.parts.confirmation.addEventListener("input", () => this.check());
  }

  // The mode of the newest view is what has to be typed; an answer has its time.
  setView({ mode, at_ms: at }) {
    this.at = at;
    if (mode === this.mode) return;
    this.mode = mode;
    setText(this.parts.mode, mode);
    this.check();
  }

  check() {
    const typed = this.parts.confirmation.value.trim().toLowerCase();
    const right = this.mode !== "" && typed === this.mode;
    this.parts.confirmation.setCustomValidity(
      right ? "" : `Type the word ${this.mode || "of the mode"}`,
    );
    return typed;
  }

  open(verb) {
    const { title, about, button } = VERBS[verb];
    this.verb = verb;
    setText(this.parts.title, title);
    setText(this.parts.about, about);
    setText(this.parts.send, button);
    setTone(this.parts.send, verb === "resume" ? "" : "bad");
    this.parts.token.value = token;
    this.parts.confirmation.value = "";
    this.parts.reason.value = "";
    this.parts.reason.required = verb === "halt";
    setText(this.parts.cancel, "Cancel");
    setHidden(this.parts.send, false);
    this.tell("", "");
    this.check();
    this.dialog.showModal();
    (token ? this.parts.reason : this.parts.token).focus();
  }

  tell(told, tone) {
    setText(this.parts.answer, told);
    setTone(this.parts.answer, tone);
  }

  async send() {
    if (this.busy) return;
    this.busy = true;
    this.parts.send.disabled = true;
    token = this.parts.token.value.trim();
    const { verb } = this;
    this.tell("Asking the worker …", "");
    const { ok, told } = await askOrTell(verb, this.parts.reason.value.trim(), this.check());
    this.busy = false;
    this.parts.send.disabled = false;
    const shown = `${ok ? "✓" : "✕"} ${verb}: ${told}`;
    this.tell(shown, ok ? "good" : "bad");
    setHidden(this.last, false);
    setText(this.last, `${timeOfDay(this.at)} UTC ${shown}`);
    setTone(this.last, ok ? "good" : "bad");
    setHidden(this.parts.send, ok);
    setText(this.parts.cancel, ok ? "Close" : "Cancel");
    if (ok) this.parts.cancel.focus();
  }
}
