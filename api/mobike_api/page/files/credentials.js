// What connections of the store prove themselves by: it goes in and never comes out.

import { get, order, tagOf } from "/page/api.js";
import { ago, button, clock, empty, h, mono, plain, plural, put, row, span, when, word } from "/page/dom.js";
import { again } from "/page/live.js";

const HEADINGS = ["Name", "Kind", "Fingerprint", "Ends", "Changed", "Used by", ""];
/** What each kind is, and where a connection names it. */
const KINDS = {
  psk: "shared key (psk_file)", ppk: "post-quantum shared key (ppk_file)", password: "a client's EAP password (eap_password_file)",
  users: "names and passwords of EAP peers, in TOML (eap_users)", radius: "secret of a RADIUS server", "private-key": "private key, PEM (local_key)",
  certificate: "certificate with its chain, PEM (local_cert)", identity: "private key and certificate in one PEM",
  authority: "certificates of authorities, PEM (remote_ca)", "public-key": "public key of a peer, PEM (remote_keys)",
};
const NAME = "[A-Za-z0-9][A-Za-z0-9_.\\-]{0,63}";
const LONGEST = 49_152;
const SOON_S = 30 * 86_400;
const SHORT = 23;

export function openCredentials(room, page) {
  const list = h("section", { class: "card" });
  const lead = "A connection of the store names one as stored:NAME. Only marks are told: what it says never leaves the daemon.";
  const form = setting(page, (name) => known.find((each) => each.name === name), () => look.now());
  put(room, h("div", { class: "head" }, h("h1", {}, "Credentials"), h("p", { class: "lead" }, lead)), list, form.card);
  let known = [];
  let drawn = null;

  const look = again(async () => {
    await page.attempt(async () => {
      const found = await get("/credentials");
      if (found === drawn) return;
      drawn = found;
      known = found.items;
      draw();
    });
  });

  function draw() {
    put(list, h("h2", {}, "Kept by the daemon"), known.length === 0
      ? empty("None is kept", "Those that files name stay in their files. Set one below, or: mobike credential set NAME FILE --kind psk")
      : h("table", { class: "cards" }, h("thead", {}, h("tr", {}, HEADINGS.map((each) => (each ? h("th", { scope: "col" }, each) : h("td", {}))))),
        h("tbody", {}, known.map((each) => row(HEADINGS, cells(each))))));
  }

  function cells(each) {
    return [word(each.name, { class: "strong" }), each.kind, h("span", { class: "prints" }, each.fingerprints.map(print)), ends(each.ends), when(each.changed),
      each.used_by.length ? h("span", {}, each.used_by.map((name, at) => [at > 0 && ", ", word(name)]).flat()) : h("span", { class: "muted" }, "nobody"),
      h("span", { class: "actions" }, button("Replace", () => form.replace(each), { "aria-label": `Replace ${each.name}`, ...page.needs("configure") }), away(each))];
  }

  function away(each) {
    const used = each.used_by.length > 0;
    const why = { disabled: true, title: `${each.used_by.join(", ")} must name another one first` };
    return button("Delete", async () => {
      if (!(await page.confirm(`Delete ${each.name}?`, "Nobody names it. It is gone from earlier revisions, too: what comes back without it says so.", "Delete it"))) return;
      const path = `/credentials/${encodeURIComponent(each.name)}`;
      await page.attempt(async () => order("DELETE", path, undefined, { "If-Match": await tagOf(path) }), `${each.name} is gone`);
      look.now();
    }, { class: "risk", "aria-label": `Delete ${each.name}`, ...(used ? why : page.needs("configure")) });
  }

  return {
    events(news) {
      if (news.some((each) => each.kind.startsWith("config-"))) look.soon();
    },
    close() {
      form.forget();
      look.stop();
    },
  };
}

function print(text) {
  return h("span", { title: plain(text) }, mono(text.length > SHORT ? `${text.slice(0, SHORT)}\u2026` : text));
}

function ends(at) {
  if (at === null) return h("span", { class: "muted" }, "\u2013");
  const left = at - Date.now() / 1000;
  if (left <= 0) return h("span", { class: "state bad" }, `ended ${ago(at)}`);
  return h("span", { class: `state ${left < SOON_S ? "warn" : "good"}`, title: clock(at) }, `in ${span(left)}`);
}

/** Where one is set. What is typed is forgotten as soon as it was taken, or the view is left. */
function setting(page, find, done) {
  const name = h("input", { id: "credential-name", type: "text", required: true, pattern: NAME, maxlength: 64, placeholder: "annex", spellcheck: "false", autocomplete: "off", title: "letters, digits, _ . -" });
  const kind = h("select", { id: "credential-kind" }, Object.entries(KINDS).map(([each, meaning]) => h("option", { value: each }, `${each} \u2013 ${meaning}`)));
  const content = h("textarea", { id: "credential-content", class: "secret", required: true, rows: 4, maxlength: LONGEST, spellcheck: "false", autocomplete: "off", autocapitalize: "off", "aria-describedby": "credential-hint" });
  const file = h("input", { id: "credential-file", type: "file", onchange: async () => { if (file.files[0]) content.value = await file.files[0].text(); } });
  const shown = h("input", { id: "credential-shown", type: "checkbox", onchange: () => content.classList.toggle("secret", !shown.checked) });
  const keep = h("input", { id: "credential-keep", type: "checkbox" });
  const flaws = h("div", { role: "alert" });
  const title = h("h2", {}, "Set one");

  function forget() {
    content.value = file.value = "";
    shown.checked = false;
    content.classList.add("secret");
  }

  async function set(event) {
    event.preventDefault();
    const [called, order_] = [name.value.trim(), { kind: kind.value, content: content.value }];
    put(flaws);
    try {
      const before = find(called);
      const plan = await order("POST", "/config/plan", { reload: false, credentials: { [called]: order_ }, keep: keep.checked });
      const told = plan.steps.map((each) => h("li", {}, word(each.connection), ": ", word(each.words), each.ike_sas ? ` (${plural(each.ike_sas, "IKE SA")})` : ""));
      const text = before ? `It was set ${ago(before.changed)}. Peers must have the new one, too.` : "There is none of this name yet.";
      const more = told.length ? h("ul", { class: "notice warn" }, told) : h("p", { class: "muted" }, "No connection is touched.");
      if (!(await page.confirm(before ? `Replace ${called}?` : `Make ${called}?`, text, before ? "Replace it" : "Make it", more))) return;
      const path = `/credentials/${encodeURIComponent(called)}`;
      const only = before ? { "If-Match": await tagOf(path) } : { "If-None-Match": "*" };
      await order("PUT", `${path}${keep.checked ? "?keep=true" : ""}`, order_, only);
      forget();
      name.value = "";
      title.textContent = "Set one";
      page.tell(`${called} is ${before ? "replaced" : "made"}`);
      done();
    } catch (problem) {
      if (problem.status === undefined) throw problem;
      const said = problem.errors.length ? problem.errors.map((each) => each.detail) : [problem.hint ? `${problem.message}; ${problem.hint}` : problem.message];
      put(flaws, h("ul", { class: "notice bad" }, said.map((each) => h("li", {}, word(each)))));
    }
  }

  function replace(each) {
    name.value = each.name;
    kind.value = each.kind;
    title.textContent = `Replace ${plain(each.name)}`;
    forget();
    content.focus();
  }

  const card = h("section", { class: "card" }, title,
    h("form", { class: "form", onsubmit: set },
      h("label", { for: "credential-name" }, "Name"), name,
      h("label", { for: "credential-kind" }, "Kind"), kind,
      h("label", { for: "credential-content" }, "Content"), content,
      h("p", { class: "hint", id: "credential-hint" }, "As in a file: a text, 0x and hexadecimal digits, 0s and base64, or PEM."),
      h("label", { for: "credential-file" }, "or a file"), file,
      h("span", { class: "checks" }, h("label", {}, shown, " show it"), h("label", {}, keep, " leave IKE SAs as they are")),
      flaws,
      h("div", { class: "actions" }, h("button", { type: "submit", class: "main", ...page.needs("configure") }, "Set it"))));
  return { card, forget, replace };
}
