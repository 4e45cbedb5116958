// The page: who is signed in, what is open, what is live. Each view is a module of its own with one function, which
// fills a room and returns what it wants to hear of: {events(news), close()}.

import { get, keepToken, Problem, token, tokenOfLink } from "/page/api.js";
import { button, h, put, say } from "/page/dom.js";
import { Live } from "/page/live.js";
import { openAccess } from "/page/access.js";
import { openConfig } from "/page/config.js";
import { openCredentials } from "/page/credentials.js";
import { openEvents } from "/page/events.js";
import { openFailures } from "/page/failures.js";
import { openLinks } from "/page/links.js";
import { openLogLevels } from "/page/loglevels.js";
import { openMoves } from "/page/moves.js";
import { openOverview } from "/page/overview.js";
import { openSa } from "/page/sa.js";
import { openSas } from "/page/sas.js";

const VIEWS = [
  { path: "/", name: "Overview", open: openOverview },
  { path: "/sas", name: "IKE SAs", open: openSas },
  { path: "/failures", name: "Failures", open: openFailures },
  { path: "/moves", name: "Moves", open: openMoves },
  { path: "/links", name: "Uplinks", open: openLinks },
  { path: "/events", name: "Events", open: openEvents },
  { path: "/config", name: "Configuration", open: openConfig },
];
/** What stands beside the configuration, under its own row of links. */
const BESIDE = [
  { path: "/config", name: "In force", open: openConfig },
  { path: "/credentials", name: "Credentials", open: openCredentials },
  { path: "/log-levels", name: "Log levels", open: openLogLevels },
  { path: "/access", name: "Access", open: openAccess },
];
const LADDER = ["metrics", "read", "operate", "configure", "admin"];
const THEME = "mobike.theme";
const THEMES = ["auto", "light", "dark"];

const bar = document.getElementById("bar");
const main = document.getElementById("main");
let live = null;
let caller = null;
let open = null;

/** What a view is given. */
const page = {
  get live() { return live; },
  /** May the one who is signed in do what needs this scope? */
  may: (scope) => LADDER.indexOf(caller?.scope) >= LADDER.indexOf(scope),
  /** Attributes of a button for an order. */
  needs: (scope) => (page.may(scope) ? {} : { disabled: true, title: `your token is for less: this needs ${scope}` }),
  /** A sentence for a moment, read out as well. */
  tell,
  /** Does it, and says what went wrong. True if nothing did. */
  attempt,
  confirm,
};

function theme(name) {
  document.documentElement.dataset.theme = name;
  localStorage.setItem(THEME, name);
}

async function begin() {
  document.documentElement.dataset.theme = localStorage.getItem(THEME) ?? "auto";
  tokenOfLink();
  try {
    caller = await get("/caller");
  } catch (problem) {
    signIn(problem.status === 401 && token() === null ? null : problem);
    return;
  }
  live?.stop();
  live = new Live();
  live.addEventListener("events", (told) => open?.events?.(told.detail));
  live.addEventListener("phase", phase);
  live.run();
  drawBar();
  route();
}

function signIn(problem) {
  leave();
  put(bar, brand());
  document.title = "Sign in \u00b7 mobike";
  const field = h("input", { id: "token", type: "password", autocomplete: "off", spellcheck: "false", required: true });
  const submit = async (event) => {
    event.preventDefault();
    keepToken(field.value.trim());
    await begin();
  };
  put(main, h("form", { class: "card sign-in", onsubmit: submit },
    h("h1", {}, "Sign in"),
    problem && h("p", { class: "notice bad", role: "alert" }, problem.message),
    h("label", { for: "token" }, "Token"), field,
    h("button", { type: "submit", class: "main" }, "Sign in"),
    h("p", { class: "hint" }, "Make one on the gateway, and it is enough for one day and for orders:"),
    h("pre", {}, "mobike token create page --scope operate --expires 1d"),
    h("p", { class: "hint" }, "It stays in this tab, and is forgotten when the tab is closed.")));
  field.focus();
}

function brand() {
  return h("a", { class: "brand", href: "#/" }, h("img", { src: "/page/icon.svg", alt: "", width: 22, height: 22 }), "mobike");
}

function drawBar() {
  const name = localStorage.getItem(THEME) ?? "auto";
  const next = button(name, () => {
    const chosen = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length];
    theme(chosen);
    say(next, chosen);
    next.setAttribute("aria-label", `Theme: ${chosen}`);
  }, { class: "quiet theme", id: "theme", "aria-label": `Theme: ${name}`, title: "Colours: as the system has them, light, or dark" });
  const leaveUs = () => {
    keepToken(null);
    live.stop();
    signIn(null);
  };
  put(bar, brand(),
    h("nav", { "aria-label": "Views" }, VIEWS.map(({ path, name }) => h("a", { href: `#${path}` }, name))),
    h("span", { id: "live", class: "live", title: `signed in as ${caller.name}, scope ${caller.scope}` }, "connecting"),
    next, token() !== null && button("Sign out", leaveUs, { class: "quiet" }));
  phase();
}

function phase() {
  const mark = document.getElementById("live");
  if (!mark) return;
  mark.dataset.phase = live.phase;
  say(mark, live.phase === "live" ? "live" : "no connection");
}

function leave() {
  open?.close?.();
  open = null;
}

async function route() {
  leave();
  const [path, query] = (location.hash.slice(1) || "/").split("?");
  const [, first, ...rest] = path.split("/");
  const here = `/${first ?? ""}`;
  const beside = BESIDE.some((each) => each.path === here);
  const view = VIEWS.find((each) => each.path === here) ?? BESIDE.find((each) => each.path === here);
  for (const link of bar.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === (beside ? "#/config" : `#${here}`)) {
      link.setAttribute("aria-current", here === "/config" || !beside ? "page" : "true");
      link.scrollIntoView({ block: "nearest", inline: "center" });
    } else link.removeAttribute("aria-current");
  }
  const room = h("div", { class: "room" });
  put(main, beside && h("nav", { class: "tabs", "aria-label": "Configuration" }, BESIDE.map(({ path: to, name }) =>
    h("a", { href: `#${to}`, "aria-current": to === here ? "page" : null }, name))), room);
  if (!view) {
    document.title = "mobike";
    put(room, h("h1", {}, "There is nothing here"), h("p", {}, h("a", { href: "#/" }, "To the overview")));
    return;
  }
  document.title = `${view.name} \u00b7 mobike`;
  open = view.path === "/sas" && rest[0]
    ? openSa(room, page, decodeURIComponent(rest[0]))
    : view.open(room, page, new URLSearchParams(query));
}

let quiet = 0;

function tell(text, kind = "") {
  const place = document.getElementById("said");
  place.className = kind;
  place.textContent = text;
  clearTimeout(quiet);
  quiet = setTimeout(() => { place.textContent = ""; }, kind === "bad" ? 10_000 : 4000);
}

async function attempt(what, done) {
  try {
    await what();
    if (done) tell(done);
    return true;
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    tell(problem.hint ? `${problem.message}. Hint: ${problem.hint}` : problem.message, "bad");
    return false;
  }
}

/** Asks before something is done. `more`: what else to know before the answer. */
function confirm(title, text, yes, ...more) {
  return new Promise((answer) => {
    const dialog = h("dialog", { "aria-label": title, onclose: () => { dialog.remove(); answer(dialog.returnValue === "yes"); } },
      h("h2", {}, title), h("p", {}, text), ...more,
      h("div", { class: "actions" },
        button("Cancel", () => dialog.close("no"), { autofocus: true }),
        button(yes, () => dialog.close("yes"), { class: "main" })));
    document.body.append(dialog);
    dialog.showModal();
  });
}

window.addEventListener("hashchange", () => {
  if (location.hash.startsWith("#token=")) begin();
  else if (caller) {
    route();
    main.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }
});
window.addEventListener("stranger", (told) => {
  if (!live) return;
  live.stop();
  live = null;
  caller = null;
  signIn(told.detail);
});

begin();
