// One IKE SA: where it is and why, where it could be, what it said with its peer, what it carries.

import { get, order } from "/page/api.js";
import { button, clock, count, empty, h, millis, mono, plain, plural, put, span, state, table, word } from "/page/dom.js";
import { ladder } from "/page/ladder.js";
import { again } from "/page/live.js";
import { pathMap } from "/page/pathmap.js";
import { whatIf } from "/page/whatif.js";

const PAIRS = ["#", "Pair", "Link", "State", "Round trip", "Loss", "Why", ""];
const CHILDREN = ["Child SA", "SPIs", "Suite", "Traffic", "In", "Out"];
const STORY = 60;
const FIRST = 10;
const LOG_S = 600;

export function openSa(room, page, id) {
  const base = `/ike-sas/${encodeURIComponent(id)}`;
  const head = h("div", { class: "head" });
  const place = h("section", { class: "card" });
  const pairs = h("section", { class: "card" });
  const story = h("section", { class: "card" });
  const facts = h("section", { class: "card" });
  const children = h("section", { class: "card" });
  put(room, head, h("div", { class: "split" }, h("div", { class: "stack" }, place, pairs, whatIf(page, base), children), h("div", { class: "stack" }, story, facts)));
  let seen = null;
  let told = null;
  let said = null;
  let map = null;
  let all = false;

  const look = again(async () => {
    let detail;
    let past;
    let exchanges;
    try {
      [detail, past, exchanges] = await Promise.all([get(base), get(`/events/past?sa=${encodeURIComponent(id)}&limit=${STORY}`), get(`${base}/exchanges`)]);
    } catch (problem) {
      if (problem.status !== 404) return;
      past = await get(`/events/past?sa=${encodeURIComponent(id)}&limit=${STORY}`).catch(() => ({ items: [] }));
      put(room, h("div", { class: "head" }, h("h1", {}, "This IKE SA is gone"), h("p", { class: "lead" }, h("a", { href: "#/sas" }, "To those that are up"))),
        past.items.length > 0 && h("section", { class: "card" }, h("h2", {}, "What there was"), ladder(past.items, [], "the peer")));
      look.stop();
      return;
    }
    if (past !== told || exchanges !== said) drawStory(past.items, exchanges.items, detail.sa.peer_id);
    if (detail !== seen) draw(detail);
    seen = detail;
    told = past;
    said = exchanges;
  });

  function drawStory(items, exchanges, peer) {
    const more = () => { all = true; drawStory(items, exchanges, peer); };
    put(story, h("h2", {}, "Exchanges"), ladder(items, exchanges, peer, { most: all ? Infinity : FIRST, more }));
  }

  function draw(detail) {
    const { sa } = detail;
    document.title = `${plain(sa.peer_id)} \u00b7 mobike`;
    drawHead(detail);
    put(place, h("h2", {}, "Where it is"), h("p", { class: "why" }, word(detail.why)), drawMap(detail),
      detail.last_move && h("p", { class: "muted" }, `Last move ${clock(detail.last_move.at)}, `,
        detail.last_move.duration_ms !== null ? `answered after ${millis(detail.last_move.duration_ms)}: `
          : sa.state === "updating" ? "unanswered so far: " : "",
          word(detail.last_move.why)));
    put(pairs, h("h2", {}, "Where it could be"), detail.pairs.length === 0
      ? empty("Its peer chooses", "We answer where it asks: it is told of no other address of ours.")
      : table(PAIRS, detail.pairs.map((each) => pairRow(each)), { class: "cards" }));
    put(children, h("h2", {}, "Child SAs"), detail.children.length === 0
      ? empty("No Child SA", "It carries no traffic.")
      : table(CHILDREN, detail.children.map(childRow), { class: "cards" }));
    drawFacts(detail);
  }

  function drawHead({ sa, pin }) {
    const says = (text, path, body, method = "POST") => button(text, () => page.attempt(async () => {
      await order(method, `${base}${path}`, body);
      look.soon();
    }, `${text}: ordered`), page.needs("operate"));
    const end = button("Close", async () => {
      if (await page.confirm("Close this IKE SA?", `Its Child SAs end with it, and ${plain(sa.peer_id)} is told.`, "Close it"))
        await page.attempt(() => order("DELETE", base), "Close: ordered");
    }, { class: "risk", ...page.needs("operate") });
    const focused = document.activeElement?.textContent;
    put(head, h("p", { class: "crumb" }, h("a", { href: "#/sas" }, "IKE SAs"), " / ", h("a", { href: `#/sas?connection=${encodeURIComponent(sa.connection)}` }, word(sa.connection))),
      h("h1", {}, word(sa.peer_id)),
      h("p", { class: "lead" }, state(sa.state), " ", h("span", { class: "path" }, mono(sa.local), " \u2192 ", mono(sa.remote))),
      h("div", { class: "actions" }, says("New keys", "/rekey", {}), says("Reauthenticate", "/reauth"),
        louder(sa), pin !== null && says("Let policy choose", "/pin", undefined, "DELETE"), end));
    const again_ = [...head.querySelectorAll("button")].find((each) => each.textContent === focused);
    if (again_ && document.activeElement === document.body) again_.focus();
  }

  /** Each event and each order of this one goes to the log, for a while. */
  function louder(sa) {
    return button("Log everything for 10 min", () => page.attempt(
      () => order("POST", "/log-levels", { peer: sa.id, level: "debug", for_s: LOG_S }), "Everything of it is logged for 10 minutes"), page.needs("operate"));
  }

  function drawMap(detail) {
    map ??= h("div", { class: "map" });
    pathMap(map, detail);
    return map;
  }

  function pairRow(pair) {
    const go = pair.current ? h("span", { class: "tag good" }, "in use") : button("Move here", () => page.attempt(async () => {
      await order("POST", `${base}/move`, { local: pair.local, remote: pair.remote });
      look.soon();
    }, "Move: ordered"), { "aria-label": `Move to ${plain(pair.local)}, ${plain(pair.remote)}`, ...page.needs("operate") });
    return [h("span", { class: "figure" }, String(pair.rank)), h("span", { class: "path" }, mono(pair.local), "\u2192", mono(pair.remote)),
      word(`${pair.link}${pair.transport === "tcp" ? ", tcp" : ""}`), standing(pair),
      millis(pair.rtt_ms), h("span", { class: "figure" }, pair.loss === null ? "\u2013" : `${Math.round(pair.loss * 100)}\u2009%`), word(pair.why, { class: "why" }), go];
  }

  function drawFacts({ sa, pin, peer_addresses, dns, networks, domains }) {
    const rows = [["Role", sa.role], ["Up for", span(Date.now() / 1000 - sa.since)], ["Moves", count(sa.moves)],
      ["Suite", sa.suite], ["MOBIKE", sa.mobike ? "both ends" : "no"], ["NAT", sa.nat], ["Transport", sa.transport],
      ["Held to", pin], ["Inner addresses", sa.virtual_ips.join(", ")], ["Peer also at", peer_addresses.join(", ")],
      ["Resolvers", dns.join(", ")], ["Networks", networks.join(", ")], ["Domains", domains.join(", ")],
      ["SPIs", `${sa.spi_i} ${sa.spi_r}`], ["Id", sa.id]];
    put(facts, h("h2", {}, "Facts"), h("dl", {}, rows.filter(([, value]) => value).map(([name, value]) => [h("dt", {}, name), h("dd", {}, word(value))]).flat()));
  }

  return {
    events(news) {
      if (news.some((each) => each.sa === id || each.sa === null)) look.soon();
    },
    close() {
      look.stop();
    },
  };
}

/** What was last heard of a pair, with all that ranks it for who wants to know. */
function standing(pair) {
  const reach = /reach=([a-z_]+)/.exec(pair.score)?.[1].replaceAll("_", "-") ?? "known";
  return h("span", { title: plain(pair.score) }, state(pair.usable ? reach : "unusable"));
}

function childRow(child) {
  return [word(child.name, { class: "strong" }), h("span", { class: "whole" }, mono(child.spi_in), " ", mono(child.spi_out)), word(`${child.suite}${child.encap ? ", in UDP" : ""}`),
    h("span", { class: "path" }, mono(child.local_ts.join(", ")), "\u2194", mono(child.remote_ts.join(", "))),
    h("span", { class: "figure" }, plural(child.packets_in, "packet")), h("span", { class: "figure" }, plural(child.packets_out, "packet"))];
}
