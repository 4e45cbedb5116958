// How much is logged of single peers, for a while: it goes back by itself.

import { get, order } from "/page/api.js";
import { button, empty, h, plain, put, row, span, word } from "/page/dom.js";
import { again } from "/page/live.js";

const HEADINGS = ["Peer", "Level", "Ordered by", "Time left", ""];
const LEVELS = { debug: "debug \u2013 everything", info: "info", warning: "warning", error: "error" };
const SPANS = { "10 min": 600, "1 h": 3600, "6 h": 21_600, "24 h": 86_400 };
const EVERY_MS = 1000;

export function openLogLevels(room, page, query) {
  const head = h("p", { class: "lead" });
  const list = h("section", { class: "card" });
  const peer = h("input", { id: "peer", type: "text", required: true, maxlength: 256, list: "connections", placeholder: "203.0.113.9", spellcheck: "false", autocomplete: "off", value: query.get("peer") ?? "" });
  const known = h("datalist", { id: "connections" });
  const level = h("select", { id: "level" }, Object.entries(LEVELS).map(([each, meaning]) => h("option", { value: each }, meaning)));
  const time = h("select", { id: "time" }, Object.entries(SPANS).map(([each, seconds]) => h("option", { value: seconds }, each)));
  const flaws = h("div", { role: "alert" });
  put(room, h("div", { class: "head" }, h("h1", {}, "Log levels"), head), list,
    h("section", { class: "card" }, h("h2", {}, "Log a peer in another way"),
      h("form", { class: "form", onsubmit: set },
        h("label", { for: "peer" }, "Peer"), peer, known, h("p", { class: "hint" }, "An address, an identity, a connection or an IKE SA."),
        h("label", { for: "level" }, "Level"), level, h("label", { for: "time" }, "For"), time, flaws,
        h("div", { class: "actions" }, h("button", { type: "submit", class: "main", ...page.needs("operate") }, "Log it so")))),
    h("p", { class: "hint" }, "Lines go where the log goes; each names its IKE SA (sa) and, where there is one, the exchange. On the gateway: ", h("code", {}, "journalctl -u mobike -f")));
  get("/connections").then(({ items }) => put(known, items.map((each) => h("option", { value: plain(each.name) })))).catch(() => {});
  let drawn = null;

  const look = again(async () => {
    await page.attempt(async () => {
      const found = await get("/log-levels");
      if (found !== drawn) draw(found);
      drawn = found;
    });
    for (const each of list.querySelectorAll("[data-until]")) each.textContent = left(Number(each.dataset.until));
  }, { every: EVERY_MS });

  function draw({ general, items }) {
    const focused = document.activeElement?.id;
    put(head, "Everything is logged from ", h("strong", {}, plain(general)), " on; the configuration says so (daemon.log_level).");
    put(list, h("h2", {}, "Peers with a level of their own"), items.length === 0
      ? empty("None", "All peers are logged alike. Each level ends by itself.")
      : h("table", { class: "cards" }, h("thead", {}, h("tr", {}, HEADINGS.map((each) => (each ? h("th", { scope: "col" }, each) : h("td", {}))))),
        h("tbody", {}, items.map((each) => row(HEADINGS, [word(each.peer, { class: "strong" }), h("span", { class: `tag ${each.level === "debug" ? "warn" : ""}` }, plain(each.level)),
          word(each.by), h("span", { class: "figure", "data-until": each.until }, left(each.until)),
          button("Back to normal", () => end(each), { id: `end-${each.id}`, "aria-label": `Log ${plain(each.peer)} as all others again`, ...page.needs("operate") })])))));
    if (focused?.startsWith("end-")) (document.getElementById(focused) ?? peer).focus();
  }

  async function set(event) {
    event.preventDefault();
    put(flaws);
    try {
      const rule = await order("POST", "/log-levels", { peer: peer.value.trim(), level: level.value, for_s: Number(time.value) });
      page.tell(`${plain(rule.peer)} is logged from ${rule.level} on`);
      peer.value = "";
    } catch (problem) {
      if (problem.status === undefined) throw problem;
      put(flaws, h("p", { class: "notice bad" }, word(problem.errors[0]?.detail ?? problem.message)));
    }
    look.now();
  }

  async function end(rule) {
    await page.attempt(() => order("DELETE", `/log-levels/${rule.id}`), `${plain(rule.peer)} is logged as all others again`);
    look.now();
  }

  return {
    events(news) {
      if (news.some((each) => each.kind === "log-level")) look.soon();
    },
    close: look.stop,
  };
}

function left(until) {
  return span(until - Date.now() / 1000);
}
