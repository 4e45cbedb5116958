// Why something did not come up: what was offered beside what is taken, where they part, and what to do.

import { get, order } from "/page/api.js";
import { ago, button, count, empty, h, mono, plain, put, row, when, word } from "/page/dom.js";
import { again } from "/page/live.js";

const MOST = 50;
const COMPARED = ["What", "The peer", "Here"];
const ENDINGS = { up: ["good", "came up"], refused: ["bad", "refused here"], failed: ["bad", "did not come about"] };
const FAULTS = { both: "both ends must agree", here: "look here first", peer: "look at the peer first", network: "look at the network first" };
const KINDS = /^(connect-failed|notice-|sa-up|redirect-refused)/;
const LOG_S = 600;

export function openFailures(room, page, query) {
  const peer = h("input", { id: "peer", type: "search", placeholder: "address, identity, connection or SA", maxlength: 256, spellcheck: "false", autocomplete: "off", value: query.get("peer") ?? "" });
  const list = h("div", { class: "stack" });
  put(room, h("div", { class: "head" }, h("h1", {}, "Failures"),
    h("p", { class: "lead" }, "What did not come up of late, and why: ours, and what peers asked for.")),
  h("form", { class: "filters", role: "search", onsubmit: (event) => { event.preventDefault(); chosen(); } },
    h("label", {}, "Peer ", peer), h("button", { type: "submit" }, "Show"), button("All", () => { peer.value = ""; chosen(); }, { class: "quiet" })),
  list);
  peer.addEventListener("change", chosen);
  let drawn = null;

  const look = again(async () => {
    const asked = peer.value.trim();
    await page.attempt(async () => {
      const found = await get(`/attempts?${new URLSearchParams({ limit: MOST, ...(asked ? { peer: asked } : {}) })}`);
      if (asked === peer.value.trim() && found !== drawn) draw(found.items, asked);
      drawn = found;
    });
  });

  function chosen() {
    const asked = peer.value.trim();
    history.replaceState(null, "", `#/failures${asked ? `?${new URLSearchParams({ peer: asked })}` : ""}`);
    look.now();
  }

  function draw(items, asked) {
    put(list, items.length === 0
      ? h("section", { class: "card" }, empty("Nothing has failed", asked ? "Nothing is known of this peer: what came up at once is not kept." : "What comes up at once is not kept here."))
      : items.map((each) => attempt(each, page)));
  }

  return {
    events(news) {
      if (news.some((each) => KINDS.test(each.kind))) look.soon();
    },
    close: look.stop,
  };
}

function attempt(each, page) {
  const [mood, ended] = ENDINGS[each.ending] ?? ["", each.ending];
  const name = each.peer_id ?? each.peer ?? each.connection ?? "somebody";
  const louder = each.peer ?? each.connection;
  return h("section", { class: `card attempt ${mood}` },
    h("h2", {}, each.ike_sa ? h("a", { href: `#/sas/${encodeURIComponent(each.ike_sa)}` }, word(name)) : word(name),
      " ", h("span", { class: `tag ${mood}` }, ended), each.fault !== "nobody" && FAULTS[each.fault] && h("span", { class: "tag warn" }, FAULTS[each.fault])),
    h("p", { class: "muted about" }, when(each.at), h("span", {}, each.times > 1 ? `${count(each.times)} times in a row, the first ${ago(each.since)}` : ago(each.at)),
      h("span", {}, each.by_us ? "we began" : "the peer began"), each.step !== "none" && h("span", {}, plain(each.step)),
      each.connection && h("span", {}, "connection ", word(each.connection)), each.path && mono(each.path)),
    h("p", {}, word(each.why)),
    each.fix && h("p", { class: "notice fix" }, h("strong", {}, "Fix: "), word(each.fix)),
    each.lines.length > 0 && h("table", { class: "cards compared" }, h("thead", {}, h("tr", {}, COMPARED.map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", {}, each.lines.map(line))),
    louder && each.ending !== "up" && h("div", { class: "actions" }, button("Log everything of it for 10 min", () => page.attempt(
      () => order("POST", "/log-levels", { peer: louder, level: "debug", for_s: LOG_S }), `${plain(louder)} is logged in full`), { ...page.needs("operate"), "aria-label": `Log everything of ${plain(louder)} for 10 minutes` })));
}

function line(each) {
  const said = (values) => (values.length ? mono(values.join(", ")) : h("span", { class: "muted" }, "nothing"));
  const mark = h("span", { class: `mark ${each.fits ? "good" : "bad"}`, role: "img", "aria-label": each.fits ? "fits" : "does not fit" }, each.fits ? "\u2713" : "\u2715");
  return row(COMPARED, [h("span", {}, mark, " ", word(each.what)), said(each.theirs), said(each.ours)], { class: each.fits ? null : "differs" });
}
