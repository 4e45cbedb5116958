// What happened: the latest events, and older ones page by page.

import { get } from "/page/api.js";
import { button, empty, h, plain, put, when, word } from "/page/dom.js";

const KINDS = {
  "": "All", "moving,moved,peer-moved,move-refused,move-failed,waiting": "Moves",
  "sa-up,sa-down,sa-resumed,sa-rekeyed,child-up,child-down,child-failed": "Setups and ends",
  "path-silent,pair-seen,nat-changed,peer-addresses,announced,kept": "Paths",
  "connecting,connect-failed,redirected,redirect-refused": "Connecting",
  "address-added,address-removed,address-changed,link-avoided,drain": "Addresses and links",
};
const BAD = /failed|refused|silent|down|waiting|error|dropped|removed/;
const GOOD = /^(moved|peer-moved|sa-up|sa-resumed|child-up|address-added|peer-back)$/;
const PAGE = 100;
const MOST = 1000;

export function tone(kind) {
  return BAD.test(kind) ? "bad" : GOOD.test(kind) ? "good" : kind.startsWith("notice-") ? "warn" : "calm";
}

export function eventList(items) {
  if (items.length === 0) return empty("Quiet", "Nothing has happened yet.");
  return h("ol", { class: "events" }, items.map(eventItem));
}

export function eventItem(event) {
  return h("li", {}, when(event.at), h("span", { class: `tag ${tone(event.kind)}` }, plain(event.kind)),
    h("span", { class: "text" }, word(event.text),
      (event.connection || event.sa) && h("span", { class: "about" },
        event.connection && word(event.connection),
        event.sa && h("a", { href: `#/sas/${encodeURIComponent(event.sa)}`, class: "mono" }, `SA ${plain(event.sa).replace(/^0+(?=.)/, "")}`))));
}

export function openEvents(room, page) {
  const chosen = h("select", { id: "kind", onchange: begin }, Object.entries(KINDS).map(([kinds, name]) => h("option", { value: kinds }, name)));
  const hold = h("button", { type: "button", "aria-pressed": "false", onclick: toggle }, "Hold");
  const list = h("ol", { class: "events" });
  const none = h("div", {});
  const more = button("Older", older, { hidden: true });
  put(room, h("div", { class: "head" }, h("h1", {}, "Events")),
    h("div", { class: "filters" }, h("label", {}, "Kind ", chosen), hold),
    h("section", { class: "card" }, none, list, more));
  let before = null;
  let held = [];

  async function begin() {
    put(list);
    before = null;
    held = [];
    await older();
  }

  async function older() {
    const query = new URLSearchParams({ limit: PAGE, ...(before ? { before } : {}), ...(chosen.value ? { kind: chosen.value } : {}) });
    await page.attempt(async () => {
      const found = await get(`/events/past?${query}`);
      list.append(...found.items.map(eventItem));
      before = found.before;
      more.hidden = before === null || list.childElementCount >= MOST;
      put(none, list.childElementCount === 0 && empty("Quiet", "Nothing of this kind is kept."));
    });
  }

  function toggle() {
    const holds = hold.getAttribute("aria-pressed") !== "true";
    hold.setAttribute("aria-pressed", String(holds));
    hold.textContent = holds ? "Go on" : "Hold";
    if (!holds) add(held.splice(0));
  }

  function add(news) {
    const wanted = chosen.value ? chosen.value.split(",") : null;
    const fits = news.filter((each) => !wanted || wanted.includes(each.kind));
    if (fits.length === 0) return;
    put(none);
    list.prepend(...fits.map(eventItem));
    while (list.childElementCount > MOST) list.lastElementChild.remove();
  }

  begin();
  return {
    events(news) {
      if (hold.getAttribute("aria-pressed") !== "true") return add(news);
      held = [...news, ...held].slice(0, MOST);
      hold.textContent = `Go on (${held.length} new)`;
    },
  };
}
