// How the gateway is, at a glance.

import { get, order } from "/page/api.js";
import { button, count, empty, h, mono, plain, plural, put, span, state, table, word } from "/page/dom.js";
import { eventList } from "/page/events.js";
import { again } from "/page/live.js";

const SHOWN = 8;
const CONNECTIONS = ["Connection", "Role", "State", "IKE SAs", "Last error", ""];

export function openOverview(room, page) {
  const head = h("div", { class: "head" });
  const tiles = h("div", { class: "tiles" });
  const connections = h("section", { class: "card" });
  const links = h("section", { class: "card" });
  const drops = h("section", { class: "card" });
  const events = h("section", { class: "card" });
  put(room, head, tiles, h("div", { class: "split" }, h("div", { class: "stack" }, connections, links, drops), events));
  let drawn = [];

  const look = again(async () => {
    const paths = ["/health", "/ike-sas?limit=1", "/connections", "/addresses", "/counters"];
    let found;
    try {
      found = await Promise.all(paths.map(get));
    } catch (problem) {
      put(head, h("h1", {}, "Overview"), h("p", { class: "notice bad", role: "alert" }, problem.message));
      return;
    }
    const [health, sas, known, addresses, { counters }] = found;
    drawHead(head, health);
    put(tiles, tile("IKE SAs", count(sas.total ?? 0), "#/sas"),
      ratio("connections up", known.items, (each) => each.state === "up" || each.state === "listening", "#/failures"),
      ratio("addresses usable", addresses.items, (each) => each.available, "#/links"),
      tile("moves in the last minute", moves(page.live.recent), "#/moves"),
      tile("packets dropped", count(dropped(counters).reduce((sum, [, value]) => sum + value, 0)), null));
    if (drawn[4]?.counters !== counters) drawDrops(drops, dropped(counters));
    if (drawn[2] !== known) drawConnections(connections, known.items, (each) => hand(each, page, look));
    if (drawn[3] !== addresses) drawLinks(links, addresses.items);
    drawn = found;
  });
  const drawEvents = () => put(events, h("h2", {}, h("a", { href: "#/events" }, "Latest events")),
    eventList(page.live.recent.slice(0, SHOWN)));
  drawEvents();
  look.first.then(drawEvents);
  return { events: () => { drawEvents(); look.soon(); }, close: look.stop };
}

function drawHead(head, health) {
  const word_ = health.ready ? "Ready" : "Not ready";
  put(head, h("h1", {}, "Overview"),
    h("p", { class: "lead" }, h("span", { class: `state ${health.ready ? "good" : "bad"}` }, word_),
      ` \u00b7 version ${plain(health.version)} \u00b7 up for ${span(health.uptime_s)}`),
    health.reasons.length > 0 && h("ul", { class: "notice bad", role: "alert" }, health.reasons.map((each) => h("li", {}, plain(each)))));
}

function tile(name, number, href, mood = "") {
  const inside = [h("span", { class: "number" }, number), h("span", { class: "name" }, name)];
  return href ? h("a", { class: `tile ${mood}`, href }, inside) : h("div", { class: `tile ${mood}` }, inside);
}

function ratio(name, all, good, href) {
  const fine = all.filter(good).length;
  return tile(name, `${fine}\u2009/\u2009${all.length}`, href, fine < all.length ? "bad" : "");
}

function moves(recent) {
  const since = Date.now() / 1000 - 60;
  const lately = recent.filter((each) => ["moved", "peer-moved"].includes(each.kind) && each.at > since);
  return count(lately.reduce((sum, each) => sum + (each.data.sas ?? 1), 0));
}

/** Names and numbers, the greatest first. */
function dropped(counters) {
  return Object.entries(counters).filter(([name, value]) => value > 0 && /drop/.test(name)).sort(([, one], [, other]) => other - one);
}

/** Up, or down: of what we begin. */
function hand(connection, page, look) {
  if (connection.role !== "initiator") return null;
  const up = connection.state === "down";
  const path = `/connections/${encodeURIComponent(connection.name)}/${up ? "up" : "down"}`;
  const name = plain(connection.name);
  return button(up ? "Bring up" : "Take down", async () => {
    const text = `It stays down until it is brought up again. ${plural(connection.ike_sas, "IKE SA ends", "IKE SAs end")}.`;
    if (!up && !(await page.confirm(`Take ${name} down?`, text, "Take it down"))) return;
    await page.attempt(() => order("POST", path), up ? `${name} is being brought up` : `${name} goes down`);
    look.soon();
  }, { "aria-label": `${up ? "Bring" : "Take"} ${name} ${up ? "up" : "down"}`, id: `hand-${name}`, ...page.needs("operate") });
}

function drawConnections(place, items, handOf) {
  const focused = document.activeElement?.id;
  put(place, h("h2", {}, "Connections"), items.length === 0
    ? empty("Nothing is configured", "Add a connection to the configuration, or PUT one over the API.")
    : table(CONNECTIONS, worstFirst(items).map((each) => [
      each.ike_sas > 0 ? h("a", { href: `#/sas?connection=${encodeURIComponent(each.name)}` }, word(each.name)) : word(each.name),
      each.role, state(each.state), h("span", { class: "figure" }, count(each.ike_sas)),
      each.last_error === null ? h("span", { class: "muted" }, "\u2013") : h("a", { class: "why", href: `#/failures?peer=${encodeURIComponent(each.name)}` }, word(each.last_error)), handOf(each)]),
    { class: "cards" }));
  if (focused?.startsWith("hand-")) document.getElementById(focused)?.focus();
}

/** What is down stands where it is seen first. */
function worstFirst(items) {
  const bad = (each) => (each.state === "down" || each.state === "connecting" ? 0 : 1);
  return items.slice().sort((one, other) => bad(one) - bad(other));
}

function drawDrops(place, items) {
  place.hidden = items.length === 0;
  put(place, h("h2", {}, "Dropped, by reason"), h("dl", { class: "figures" }, items.slice(0, SHOWN).map(([name, value]) =>
    [h("dt", {}, plain(name.replaceAll("_", " "))), h("dd", {}, count(value))]).flat()));
}

function drawLinks(place, items) {
  const users = items.reduce((sum, each) => sum + each.ike_sas, 0);
  put(place, h("h2", {}, h("a", { href: "#/links" }, "Uplinks")), items.length === 0
    ? empty("No local address", "Without one nothing can be sent.")
    : h("ul", { class: "bars" }, items.map((each) => h("li", {},
      h("span", {}, word(each.link, { class: "strong" }), " ", mono(each.ip)),
      h("meter", { min: 0, max: Math.max(1, users), value: each.ike_sas, "aria-label": `IKE SAs on ${plain(each.ip)}` }),
      h("span", { class: "end" }, each.available ? plural(each.ike_sas, "SA") : state("gone"))))));
}
