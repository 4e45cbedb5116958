// The table of IKE SAs: the daemon makes the pages and the filters, and what is seen follows what happens.

import { get } from "/page/api.js";
import { ago, button, count, empty, h, mono, plain, put, row, say, state, word } from "/page/dom.js";
import { again } from "/page/live.js";

const HEADINGS = ["Peer", "Connection", "State", "Path", "NAT", "Moves", "Up"];
const STATES = ["established", "updating", "waiting", "away"];
const NATS = { none: "\u2013", "we-are-behind": "ours", "peer-is-behind": "the peer's", "both-are-behind": "both" };
const PAGE = 50;

export function openSas(room, page, query) {
  const cursors = [null];
  const rows = new Map();
  const body = h("tbody");
  const shown = h("table", { class: "cards wide" }, h("thead", {}, h("tr", {}, HEADINGS.map((each) => h("th", { scope: "col" }, each)))), body);
  const none = h("div");
  const where = h("p", { class: "where", role: "status" });
  const first = button("First", () => turn(() => cursors.splice(1)), { id: "first" });
  const back = button("Previous", () => turn(() => cursors.pop()), { id: "previous" });
  const next = button("Next", () => turn(() => cursors.push(following)), { id: "next" });
  const filters = {
    connection: h("select", { id: "connection" }, h("option", { value: "" }, "all")),
    state: choice("state", STATES), role: choice("role", ["initiator", "responder"]), transport: choice("transport", ["udp", "tcp"]),
    local: field("local", "192.0.2.1"), remote: field("remote", "203.0.113.9"),
  };
  let following = null;

  put(room, h("div", { class: "head" }, h("h1", {}, "IKE SAs"), where),
    h("details", { open: innerWidth >= 760 || query.size > 0 }, h("summary", {}, "Filters"),
      h("form", { class: "filters", onsubmit: (event) => event.preventDefault() },
        Object.entries(filters).map(([name, input]) => h("label", {}, `${name} `, input)),
        button("Clear", clear, { class: "quiet" }))),
    h("section", { class: "card" }, none, shown, h("div", { class: "pager" }, first, back, next)));
  for (const [name, input] of Object.entries(filters)) {
    if (query.has(name)) {
      if (name === "connection") input.append(h("option", { value: query.get(name) }, plain(query.get(name))));
      input.value = query.get(name);
    }
    input.addEventListener("change", () => turn(() => { cursors.length = 1; remember(); }));
  }
  get("/connections").then(({ items }) => {
    const known = filters.connection.value;
    put(filters.connection, h("option", { value: "" }, "all"), items.map((each) => h("option", { value: each.name }, plain(each.name))));
    filters.connection.value = known;
  }).catch(() => {});
  room.addEventListener("keydown", walk);

  const look = again(async () => {
    const asked = said();
    const cursor = cursors.at(-1);
    const found = await page.attempt(async () => {
      const answer = await get(`/ike-sas?${new URLSearchParams({ limit: PAGE, ...(cursor ? { after: cursor } : {}), ...asked })}`);
      if (cursor === cursors.at(-1) && String(asked) === String(said())) draw(answer);
    });
    if (!found && cursors.length > 1) cursors.length = 1; // the SA that the page began behind is gone
  });

  function draw({ items, after, total }) {
    following = after;
    back.disabled = first.disabled = cursors.length === 1;
    next.disabled = after === null;
    const from = (cursors.length - 1) * PAGE;
    const range = items.length ? `${count(from + 1)}\u2013${count(from + items.length)}` : "none";
    say(where, total === null ? `${range}${after ? " of more" : ""}` : `${range} of ${count(total)}`);
    const kept = new Set(items.map((each) => each.id));
    for (const [id, element] of rows) if (!kept.has(id)) { element.remove(); rows.delete(id); }
    items.forEach((each, at) => {
      const known = rows.get(each.id);
      const element = known ?? blank(each);
      rows.set(each.id, element);
      if (body.children[at] !== element) body.insertBefore(element, body.children[at] ?? null);
      fill(element, each, known !== undefined);
    });
    shown.hidden = items.length === 0;
    const filtered = Object.keys(said()).length > 0;
    put(none, items.length === 0 && (filtered ? empty("None fits", "Take a filter back to see more.")
      : empty("No IKE SA", "None is up. The overview has a button for each connection that we begin; the others wait for their peers.")));
  }

  function turn(how) {
    how();
    rows.clear();
    put(body);
    look.now();
  }

  function said() {
    return Object.fromEntries(Object.entries(filters).map(([name, input]) => [name, input.value.trim()]).filter(([, value]) => value));
  }

  function remember() {
    const told = new URLSearchParams(said()).toString();
    history.replaceState(null, "", `#/sas${told ? `?${told}` : ""}`);
  }

  function clear() {
    for (const input of Object.values(filters)) input.value = "";
    turn(() => { cursors.length = 1; remember(); });
  }

  /** Arrows go from row to row. */
  function walk(event) {
    if (!["ArrowDown", "ArrowUp"].includes(event.key) || !event.target.matches("td a")) return;
    const at = event.target.closest("tr");
    const to = event.key === "ArrowDown" ? at.nextElementSibling : at.previousElementSibling;
    to?.querySelector("a").focus();
    event.preventDefault();
  }

  return { events: () => look.soon(), close: look.stop };
}

function blank(sa) {
  const cells = [
    h("a", { href: `#/sas/${encodeURIComponent(sa.id)}` }, word(sa.peer_id)), word(sa.connection), h("span"),
    h("span", { class: "path" }, mono(""), "\u2192", mono("")), h("span"), h("span", { class: "figure" }), h("span", { class: "figure" })];
  return row(HEADINGS, cells);
}

/** Writes what is another than before, and marks it for a moment. */
function fill(element, sa, mark) {
  const [, , now, path, nat, moves, up] = [...element.children].map((each) => each.firstElementChild);
  const [local, remote] = path.querySelectorAll("bdi");
  if (now.textContent !== sa.state) now.replaceChildren(state(sa.state));
  const moved = [say(local, plain(sa.local)), say(remote, plain(sa.remote))].includes(true);
  say(nat, `${NATS[sa.nat] ?? sa.nat}${sa.transport === "tcp" ? ", tcp" : ""}`);
  say(moves, count(sa.moves));
  say(up, ago(sa.since).replace(" ago", ""));
  if (!mark || !moved) return;
  element.classList.remove("news");
  void element.offsetWidth; // begins the fading anew
  element.classList.add("news");
}

function choice(name, values) {
  return h("select", { id: name }, h("option", { value: "" }, "all"), values.map((each) => h("option", { value: each }, each)));
}

function field(name, example) {
  return h("input", { id: name, type: "text", placeholder: example, spellcheck: "false", autocomplete: "off", maxlength: 45 });
}
