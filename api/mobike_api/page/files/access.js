// Who may call the API, and who changed what.

import { get, order } from "/page/api.js";
import { ago, button, empty, h, mono, plain, put, row, span, when, word } from "/page/dom.js";
import { again } from "/page/live.js";

const TOKENS = ["Name", "Scope", "Expires", "Made", "By", ""];
const DEEDS = ["When", "Who", "What", "Answer", "Said"];
const SCOPES = { read: "read \u2013 sees all", operate: "operate \u2013 and orders", configure: "configure \u2013 and edits", admin: "admin \u2013 everything", metrics: "metrics \u2013 numbers alone" };
const LIVES = { "1 day": 86_400, "30 days": 2_592_000, "90 days": 7_776_000, "a year": 31_536_000 };
const NAME = "[A-Za-z0-9][A-Za-z0-9_.@\\-]{0,63}";
const PAGE = 50;
const MOST = 1000;

export function openAccess(room, page) {
  const lead = h("p", { class: "lead" }, "Tokens, and the record of every change and attempt at one.");
  put(room, h("div", { class: "head" }, h("h1", {}, "Access"), lead));
  if (!page.may("admin")) {
    room.append(h("section", { class: "card" }, empty("Only for admin", "Your token is for less. On the gateway itself root may do everything: mobike token list.")));
    return {};
  }
  const fresh = h("div", { role: "status" });
  const tokens = h("section", { class: "card" });
  const body = h("tbody");
  const more = button("Older", older, { hidden: true });
  const none = h("div");
  const name = h("input", { id: "token-name", type: "text", required: true, pattern: NAME, maxlength: 64, placeholder: "prometheus", spellcheck: "false", autocomplete: "off", title: "letters, digits, _ . @ -" });
  const scope = h("select", { id: "token-scope" }, Object.entries(SCOPES).map(([each, meaning]) => h("option", { value: each }, meaning)));
  const life = h("select", { id: "token-life" }, Object.entries(LIVES).map(([each, seconds]) => h("option", { value: seconds }, each)));
  room.append(tokens,
    h("section", { class: "card" }, h("h2", {}, "Make a token"), h("form", { class: "form", onsubmit: make },
      h("label", { for: "token-name" }, "Name"), name, h("label", { for: "token-scope" }, "Scope"), scope, h("label", { for: "token-life" }, "For"), life,
      h("div", { class: "actions" }, h("button", { type: "submit", class: "main" }, "Make it"))), fresh),
    h("section", { class: "card" }, h("h2", {}, "Record of changes"), none,
      h("table", { class: "cards" }, h("thead", {}, h("tr", {}, DEEDS.map((each) => h("th", { scope: "col" }, each)))), body), more));
  let drawn = null;
  let before = null;
  let newest = 0;

  const look = again(async () => {
    await page.attempt(async () => {
      const [found, deeds] = await Promise.all([get("/tokens"), get(`/audit?limit=${PAGE}`)]);
      if (found !== drawn) drawTokens(found.items);
      drawn = found;
      const news = deeds.items.filter((each) => each.seq > newest);
      if (newest === 0 || news.length === deeds.items.length) { // the first look, or more than one page since the last
        put(body);
        before = deeds.before;
      }
      body.prepend(...news.map(deed));
      newest = deeds.items[0]?.seq ?? newest;
      after();
    });
  });

  function after() {
    while (body.childElementCount > MOST) body.lastElementChild.remove();
    more.hidden = before === null || body.childElementCount >= MOST;
    body.parentElement.hidden = body.childElementCount === 0;
    put(none, body.childElementCount === 0 && empty("Nothing is recorded", "Nobody has changed anything yet."));
  }

  async function older() {
    await page.attempt(async () => {
      const found = await get(`/audit?limit=${PAGE}&before=${before}`);
      body.append(...found.items.map(deed));
      before = found.before;
      after();
    });
  }

  function drawTokens(items) {
    put(tokens, h("h2", {}, "Tokens"), items.length === 0 ? empty("None was given out", "The token file, certificates and root on the gateway need none.")
      : h("table", { class: "cards" }, h("thead", {}, h("tr", {}, TOKENS.map((each) => (each ? h("th", { scope: "col" }, each) : h("td", {}))))),
        h("tbody", {}, items.map((each) => row(TOKENS, [h("span", {}, word(each.name, { class: "strong" }), " ", mono(each.id)), h("span", { class: `tag ${each.scope === "admin" ? "warn" : ""}` }, plain(each.scope)), until(each.expires), when(each.made), word(each.made_by),
          button("Revoke", () => revoke(each), { class: "risk", "aria-label": `Revoke ${plain(each.name)} ${each.id}` })])))));
  }

  async function make(event) {
    event.preventDefault();
    await page.attempt(async () => {
      const made = await order("POST", "/tokens", { name: name.value.trim(), scope: scope.value, lifetime_s: Number(life.value) });
      const shown = h("pre", { tabindex: "0", "aria-label": "The new token" }, made.text);
      put(fresh, h("div", { class: "notice" }, h("p", {}, h("strong", {}, `The token of ${plain(made.token.name)}`), ". It is told this once: keep it where it is used."), shown,
        button("Copy", () => navigator.clipboard?.writeText(made.text).then(() => page.tell("Copied"), () => page.tell("the browser does not let this page copy", "bad"))), " ",
        button("Done", () => put(fresh), { class: "quiet" })));
      name.value = "";
      shown.focus();
    });
    look.now();
  }

  async function revoke(token) {
    if (!(await page.confirm(`Revoke ${plain(token.name)}?`, "From the next request on it opens nothing.", "Revoke it"))) return;
    await page.attempt(() => order("DELETE", `/tokens/${token.id}`), `${plain(token.name)} is revoked`);
    look.now();
  }

  return {
    close() {
      put(fresh);
      look.stop();
    },
  };
}

function until(at) {
  const left = at - Date.now() / 1000;
  return left > 0 ? h("span", { title: new Date(at * 1000).toString() }, `in ${span(left)}`) : h("span", { class: "state bad" }, `${ago(at)}`);
}

function deed(each) {
  const good = each.status < 400;
  return row(DEEDS, [when(each.at), h("span", {}, word(each.caller), " ", h("span", { class: "muted" }, plain(each.address))),
    h("span", {}, word(each.action.replaceAll("_", " ")), " ", h("span", { class: "muted" }, mono(each.target))),
    h("span", { class: `state ${good ? "good" : "bad"}` }, each.problem ?? String(each.status)), each.said ? mono(each.said) : h("span", { class: "muted" }, "\u2013")]);
}
