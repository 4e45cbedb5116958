// What the two ends said to each other, as a ladder: time goes down, an arrow is a request, a dashed one its answer.

import { button, clock, count, empty, h, millis, plain, when, word } from "/page/dom.js";

/** For each kind of event: who spoke, and in which exchange. `here` is a fact of ours alone. */
const RUNGS = {
  "sa-up": ["both", "the set-up"], "sa-resumed": ["here", "after a restart"],
  "sa-rekeyed": ["both", "CREATE_CHILD_SA: new keys"], "sa-down": ["end", "the end"],
  "child-up": ["here", "a Child SA"], "child-down": ["here", "a Child SA ends"], "child-failed": ["lost", "no Child SA"],
  moving: ["out", "UPDATE_SA_ADDRESSES"], moved: ["back", "answered"], "move-refused": ["lost", "UNACCEPTABLE_ADDRESSES"],
  "move-failed": ["lost", "no answer"], "path-silent": ["lost", "no answer"],
  "peer-moved": ["in", "UPDATE_SA_ADDRESSES"], "peer-addresses": ["in", "ADDITIONAL_*_ADDRESS"],
  announced: ["out", "ADDITIONAL_*_ADDRESS"], "nat-changed": ["here", "NAT_DETECTION_*"], "pair-seen": ["both", "path probe"],
  away: ["out", "leave"], "away-refused": ["lost", "no leave"], "peer-away": ["in", "leave"], "peer-back": ["in", "back"],
};
const SAID = { out: "we to the peer", in: "the peer to us", back: "the peer's answer", both: "both ends", lost: "unanswered or refused", here: "at this end", end: "the end" };
const TOPICS = {
  init: "", "init-with-cookie": "again, with the COOKIE", resume: "by a ticket", intermediate: "a further key exchange", auth: "",
  liveness: "alive?", probe: "test of a path", "update-addresses": "UPDATE_SA_ADDRESSES", addresses: "ADDITIONAL_*_ADDRESS",
  "return-routability": "COOKIE2: do you receive there?", repair: "COOKIE2: are you there now?", away: "leave", "message-ids": "MESSAGE_ID_SYNC",
  "delete-ike-sa": "DELETE of an IKE SA", "delete-child-sa": "DELETE of Child SAs", redirect: "REDIRECT", "rekey-ike-sa": "new keys",
  "child-sa": "a Child SA", "follow-up": "another key exchange", other: "",
};
/** Events that tell the same as an exchange, only better: their words stand beside it. */
const TOLD_BY = {
  auth: ["sa-up", "child-up", "child-failed"],
  "update-addresses": ["moving", "moved", "move-refused", "move-failed", "peer-moved", "peer-back"], "return-routability": ["peer-moved"],
  addresses: ["announced", "peer-addresses"], "rekey-ike-sa": ["sa-rekeyed"], "child-sa": ["child-up", "child-failed"],
  away: ["away", "away-refused", "peer-away", "peer-back"], "delete-child-sa": ["child-down"],
};
/** Exchanges that an IKE SA is set up by: what is unanswered of these was given up, for it is up. */
const SET_UP = new Set(["init", "init-with-cookie", "resume", "intermediate", "auth"]);
/** It is to be asked again, in another way. */
const SENT_BACK = new Set(["COOKIE", "INVALID_KE_PAYLOAD"]);
/** An event comes with its exchange, or a round trip behind it. */
const BEFORE_S = 0.05;
const BEHIND_S = 1;

export function ladder(events, exchanges, peer, { most = Infinity, more = null } = {}) {
  const all = merged(events, exchanges);
  const rungs = all.slice(Math.max(0, all.length - most));
  if (rungs.length === 0) return empty("Nothing is kept", "The daemon keeps the latest events and exchanges, and none of them is about this one.");
  return h("div", { class: "ladder" },
    all.length > rungs.length && button(`Show ${all.length - rungs.length} earlier`, more, { class: "quiet" }),
    h("div", { class: "ends", "aria-hidden": "true" }, h("span", {}, "us"), word(peer)),
    h("ol", {}, rungs.map((each) => each.element())));
}

/** Oldest first; an event that an exchange tells of is told with it. */
function merged(events, exchanges) {
  const left = new Set(events);
  const told = [...exchanges].sort((a, b) => a.at - b.at).map((each) => {
    const until = each.at + (each.took_ms ?? 0) / 1000 + BEHIND_S;
    const kinds = TOLD_BY[each.topic] ?? [];
    const same = [...left].filter((event) => kinds.includes(event.kind) && event.at >= each.at - BEFORE_S && event.at <= until);
    for (const event of same) left.delete(event);
    return { at: each.at, element: () => exchangeRung(each, storyOf(each, same)) };
  });
  const facts = [...left].reverse().map((event) => ({ at: event.at, element: () => eventRung(event) }));
  return [...facts, ...told].sort((a, b) => a.at - b.at);
}

/** The IKE SA, and then its Child SA; of all else the latest word is enough. */
function storyOf({ topic }, told) {
  const words = topic === "auth" ? told.map((event) => event.text).reverse() : told.slice(0, 1).map((event) => event.text);
  return words.map((text) => [word(text), h("br")]).flat();
}

function exchangeRung(each, story) {
  const ours = each.asked_by === "us";
  const answer = each.answered && (each.error === null ? "answer" : "answer refused");
  const name = [each.exchange, TOPICS[each.topic] ?? each.topic].filter(Boolean).join(": ");
  const said = ours ? (each.answered ? "we asked, the peer answered" : "we asked, no answer") : "the peer asked, we answered";
  return h("li", { class: ours ? (each.answered ? "out" : "lost") : "in" },
    when(each.at),
    h("span", { class: "rail" },
      h("span", { class: "label" }, plain(name), each.took_ms !== null && h("span", { class: "took" }, ` ${millis(each.took_ms)}`)),
      h("span", { class: "arrow", role: "img", "aria-label": said }),
      answer && h("span", { class: `arrow ${answer}`, "aria-hidden": "true" })),
    h("span", { class: "text" }, story, facts(each)));
}

function facts(each) {
  return [
    each.times > 1 ? `${count(each.times)} since ${clock(each.since)}, the last message ${each.message_id}` : `message ${each.message_id}`,
    each.sent > 1 && `${each.asked_by === "us" ? "sent" : "came"} ${each.sent === 255 ? "255 times or more" : `${each.sent} times`}`,
    each.many_paths && "over more than one path",
    !each.answered && (SET_UP.has(each.topic) ? "never answered" : "not answered yet"),
    each.error !== null && plain(`${SENT_BACK.has(each.error) ? "sent back" : "refused"}: ${each.error}`),
  ].filter(Boolean).join(", ");
}

function eventRung(event) {
  const [who, exchange] = RUNGS[event.kind] ?? ["here", event.kind];
  const took = event.data.duration_ms;
  return h("li", { class: who },
    when(event.at),
    h("span", { class: "rail" },
      h("span", { class: "label" }, plain(exchange), typeof took === "number" && h("span", { class: "took" }, ` ${millis(took)}`)),
      h("span", { class: "arrow", role: "img", "aria-label": SAID[who] })),
    h("span", { class: "text" }, word(event.text)));
}
