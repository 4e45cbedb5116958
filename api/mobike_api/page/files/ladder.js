// What the two ends said to each other, as a ladder: time goes down, an arrow is an exchange.

import { button, empty, h, millis, plain, when, word } from "/page/dom.js";

/** For each kind of event: who spoke, and in which exchange. `here` is a fact of ours alone. */
const RUNGS = {
  "sa-up": ["both", "IKE_SA_INIT, IKE_AUTH"], "sa-resumed": ["here", "after a restart"],
  "sa-rekeyed": ["both", "CREATE_CHILD_SA: new keys"], "sa-down": ["end", "the end"],
  "child-up": ["both", "a Child SA"], "child-down": ["here", "a Child SA ends"], "child-failed": ["lost", "no Child SA"],
  moving: ["out", "UPDATE_SA_ADDRESSES"], moved: ["back", "answered"], "move-refused": ["lost", "UNACCEPTABLE_ADDRESSES"],
  "move-failed": ["lost", "no answer"], "path-silent": ["lost", "no answer"],
  "peer-moved": ["in", "UPDATE_SA_ADDRESSES"], "peer-addresses": ["in", "ADDITIONAL_*_ADDRESS"],
  announced: ["out", "ADDITIONAL_*_ADDRESS"], "nat-changed": ["in", "NAT_DETECTION_*"], "pair-seen": ["both", "path probe"],
  away: ["out", "leave"], "away-refused": ["lost", "no leave"], "peer-away": ["in", "leave"], "peer-back": ["in", "back"],
};
const SAID = { out: "we to the peer", in: "the peer to us", back: "the peer's answer", both: "both ends", lost: "unanswered or refused", here: "at this end", end: "the end" };

export function ladder(events, peer, { most = Infinity, more = null } = {}) {
  const rungs = events.slice(0, most).reverse();
  if (rungs.length === 0) return empty("Nothing is kept", "The daemon keeps the latest events, and none of them is about this one.");
  return h("div", { class: "ladder" },
    events.length > rungs.length && button(`Show ${events.length - rungs.length} earlier`, more, { class: "quiet" }),
    h("div", { class: "ends", "aria-hidden": "true" }, h("span", {}, "us"), word(peer)),
    h("ol", {}, rungs.map(rung)));
}

function rung(event) {
  const [who, exchange] = RUNGS[event.kind] ?? ["here", event.kind];
  const took = event.data.duration_ms;
  return h("li", { class: who },
    when(event.at),
    h("span", { class: "rail" },
      h("span", { class: "label" }, plain(exchange), typeof took === "number" && h("span", { class: "took" }, ` ${millis(took)}`)),
      h("span", { class: "arrow", role: "img", "aria-label": SAID[who] })),
    h("span", { class: "text" }, word(event.text)));
}
