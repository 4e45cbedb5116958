// Our links: how many use each, and the buttons that empty one, or the whole gateway.

import { get, order } from "/page/api.js";
import { ago, button, empty, h, mono, plain, plural, put, state, word } from "/page/dom.js";
import { again } from "/page/live.js";

const DRAINS = ["drain-link", "drain"];
const OPERATIONS = 12;

export function openLinks(room, page) {
  const cards = h("div", { class: "cards-of-links" });
  const gateway = h("section", { class: "card" });
  const operations = h("section", { class: "card" });
  put(room, h("div", { class: "head" }, h("h1", {}, "Uplinks"), h("p", { class: "lead" }, "A drained link is used only where nothing else is left, until it is used again.")),
    cards, operations, gateway);
  drawGateway(gateway, page, () => look.now());
  let drawn = [null, null];

  const look = again(async () => {
    await page.attempt(async () => {
      const [addresses, all] = await Promise.all([get("/addresses"), get("/operations")]);
      if (addresses !== drawn[0]) drawCards(addresses.items);
      if (all !== drawn[1] || all.items.some((each) => each.phase === "running")) drawOperations(all.items);
      drawn = [addresses, all];
      if (all.items.some((each) => each.phase === "running")) look.soon();
    });
  });

  function drawCards(items) {
    const focused = document.activeElement?.id;
    const links = new Map();
    for (const each of items) links.set(each.link, [...(links.get(each.link) ?? []), each]);
    put(cards, links.size === 0 ? empty("No link", "This host has no address that mobike may use.")
      : [...links].map(([name, addresses]) => card(name, addresses)));
    if (focused) document.getElementById(focused)?.focus();
  }

  function card(name, addresses) {
    const avoided = addresses.some((each) => each.standing === "avoided");
    const users = addresses.reduce((sum, each) => sum + each.ike_sas, 0);
    const id = `link-${name}`;
    const act = avoided
      ? button("Use again", () => lift(name), { id, ...page.needs("operate"), "aria-label": `Use ${plain(name)} again` })
      : button("Drain", () => drain(name, users), { id, ...page.needs("operate"), "aria-label": `Drain ${plain(name)}` });
    return h("section", { class: `card link ${avoided ? "drained" : ""}` },
      h("h2", {}, word(name)), h("p", { class: "number" }, plural(users, "IKE SA")),
      h("ul", { class: "plain" }, addresses.map((each) => h("li", {}, h("span", {}, mono(each.ip)), state(each.available ? each.standing : "gone"),
        addresses.length > 1 && h("span", { class: "muted" }, plural(each.ike_sas, "SA"))))),
      act);
  }

  async function drain(name, users) {
    const text = users === 0 ? "No IKE SA uses it now; none will choose it."
      : `${plural(users, "IKE SA uses", "IKE SAs use")} it now. Each moves to another link where it has one; the others stay.`;
    if (!(await page.confirm(`Drain ${plain(name)}?`, text, "Drain it"))) return;
    await page.attempt(() => order("POST", "/operations", { order: "drain-link", link: name }), `${plain(name)} is being drained`);
    look.now();
  }

  async function lift(name) {
    await page.attempt(() => order("PUT", `/links/${encodeURIComponent(name)}`, { avoid: false }), `${plain(name)} is used again`);
    look.now();
  }

  function drawOperations(items) {
    const shown = items.slice(0, OPERATIONS);
    put(operations, h("h2", {}, "Operations"), shown.length === 0
      ? empty("None yet", "What is ordered of many is followed here to its end.")
      : h("ul", { class: "operations" }, shown.map(operation)));
  }

  function operation(each) {
    const over = each.done + each.failed;
    const left = each.phase === "running" && page.may("operate") && !DRAINS.includes(each.order)
      ? button("Cancel", () => page.attempt(() => order("DELETE", `/operations/${each.id}`), "Cancelled")) : null;
    return h("li", {}, h("span", {}, h("strong", {}, each.order), " ", state(each.phase)),
      h("progress", { max: Math.max(1, each.total), value: each.total === 0 ? 1 : over, "aria-label": `${each.order}: ${over} of ${each.total}` }),
      h("span", { class: "muted" }, `${over} of ${each.total}`, each.failed ? `, ${each.failed} failed` : "", `, ${ago(each.began)} by `, word(each.by)),
      left,
      each.failures.length > 0 && h("details", {}, h("summary", {}, "What failed"), h("ul", {}, each.failures.map((failure) => h("li", {}, mono(failure.target), " ", word(failure.why))))));
  }

  return { events: () => look.soon(), close: look.stop };
}

function drawGateway(place, page, done) {
  const to = h("input", { id: "to", type: "text", placeholder: "gw2.example.net", required: true, spellcheck: "false", autocomplete: "off" });
  const send = async (event) => {
    event.preventDefault();
    const gateways = to.value.split(/[\s,]+/).filter(Boolean);
    if (gateways.length === 0) return;
    const text = `Every peer that began its IKE SA is asked to go to ${gateways.map(plain).join(", ")}; who asks is sent there, too, until peers are served here again.`;
    if (!(await page.confirm("Drain the gateway?", text, "Drain it"))) return;
    await page.attempt(() => order("POST", "/operations", { order: "drain", to: gateways }), "The gateway is being drained");
    done();
  };
  const serve = () => page.attempt(() => order("DELETE", "/drain"), "Peers are served here again").then(done);
  put(place, h("h2", {}, "The whole gateway"),
    h("p", { class: "muted" }, "Before maintenance: peers go on to another gateway (RFC 5685)."),
    h("form", { class: "filters", onsubmit: send }, h("label", { for: "to" }, "To "), to,
      h("button", { type: "submit", class: "risk", ...page.needs("operate") }, "Drain the gateway"),
      button("Serve peers here again", serve, { class: "quiet", ...page.needs("operate") })));
}
