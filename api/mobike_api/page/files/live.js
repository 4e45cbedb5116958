// What happens, as it happens: one stream for the whole page, told in batches; and lists that are looked at again.

import { follow, get } from "/page/api.js";

const RECENT = 200;
const LONGEST_WAIT_MS = 15_000;
const EVERY_MS = 5000;
const SOON_MS = 300;

/** Follows the events until it is stopped. `phase` is `live` or `away`. */
export class Live extends EventTarget {
  phase = "away";
  recent = [];
  #last = null;
  #batch = [];
  #stop = new AbortController();

  async run() {
    await this.#past();
    let wait = 500;
    while (!this.#stop.signal.aborted) {
      try {
        for await (const event of follow(this.#last, this.#stop.signal)) {
          wait = 500;
          if (event === null) this.#become("live");
          else this.#take(event);
        }
      } catch (problem) {
        if (problem.status === 401 || problem.status === 403) break;
      }
      if (this.#stop.signal.aborted) return;
      this.#become("away");
      await new Promise((go) => setTimeout(go, wait * (0.7 + 0.6 * Math.random())));
      wait = Math.min(wait * 2, LONGEST_WAIT_MS);
    }
  }

  stop() {
    this.#stop.abort();
  }

  async #past() {
    const { items } = await get(`/events/past?limit=${RECENT}`).catch(() => ({ items: [] }));
    this.recent = items;
    this.#last = items.length ? items[0].seq : null;
  }

  #take(event) {
    this.#last = event.seq;
    this.#batch.push(event);
    if (this.#batch.length > 1) return;
    // A thousand events in one moment are drawn once.
    setTimeout(() => {
      const news = this.#batch.reverse();
      this.#batch = [];
      this.recent = [...news, ...this.recent].slice(0, RECENT);
      this.dispatchEvent(new CustomEvent("events", { detail: news }));
    }, 50);
  }

  #become(phase) {
    if (this.phase === phase) return;
    this.phase = phase;
    this.dispatchEvent(new CustomEvent("phase"));
  }
}

/** Does something now, again every few seconds while somebody looks, and soon after `soon()`; never twice at a time. */
export function again(what, { every = EVERY_MS } = {}) {
  let timer = null;
  let running = false;
  let asked = false;
  let stopped = false;
  async function run() {
    clearTimeout(timer);
    if (running) {
      asked = true;
      return;
    }
    running = true;
    asked = false;
    try {
      if (!document.hidden) await what();
    } finally {
      running = false;
      if (!stopped) timer = setTimeout(run, asked ? SOON_MS : every);
    }
  }
  return {
    first: run(),
    now: run,
    soon() {
      if (asked || stopped) return;
      asked = true;
      clearTimeout(timer);
      if (!running) timer = setTimeout(run, SOON_MS);
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
