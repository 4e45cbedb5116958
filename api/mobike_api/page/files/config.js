// The configuration: which is in force, what the files would change, what any two revisions say otherwise, and the way back.

import { get, order } from "/page/api.js";
import { button, empty, h, mono, plain, plural, put, row, span, state, when, word } from "/page/dom.js";
import { again } from "/page/live.js";

const CHANGES = ["Key", "In force", "Then", "Means", "Where"];
const BETWEEN = ["Key", "From", "To", "Means", "Where"];
const REVISIONS = ["Revision", "When", "Who", "What", ""];
const EFFECTS = { nothing: "nothing now", next: "next IKE SAs", child: "new Child SAs", ike: "new IKE SAs", restart: "a restart" };
const CONFIRM_S = 120;
/** As many revisions can be compared as are listed. */
const LISTED = 50;

export function openConfig(room, page) {
  const head = h("div", { class: "head" });
  const diff = h("section", { class: "card" });
  const revisions = h("section", { class: "card" });
  const comparison = comparing();
  put(room, head, diff, comparison.card, revisions);
  drawDiff(null);
  let known = null;

  const look = again(async () => {
    try {
      const [now, all] = await Promise.all([get("/config"), get(`/config/revisions?limit=${LISTED}`)]);
      drawHead(now);
      if (all !== known) {
        comparison.offer(all.items);
        drawRevisions(all.items, now.revision);
      }
      known = all;
    } catch (problem) {
      put(head, h("h1", {}, "Configuration"), h("p", { class: "notice" }, problem.message));
      put(revisions);
    }
  });

  function drawHead(now) {
    const waits = now.confirm_by !== null;
    const keep = waits && button("Keep it", () => page.attempt(() => order("POST", "/config/confirm"), "Kept").then(look.now), { class: "main", ...page.needs("configure") });
    const focused = document.activeElement?.textContent === "Keep it";
    put(head, h("h1", {}, "Configuration"),
      h("p", { class: "lead" }, `Revision ${now.revision} is in force since `, when(now.since), now.pinned ? "; an earlier one that came back" : ""),
      waits && h("div", { class: "notice warn", role: "alert" }, `Taken back in ${span(now.confirm_by - Date.now() / 1000)} unless somebody keeps it. `, keep),
      now.restart.length > 0 && h("div", { class: "notice warn" }, "Written, and not obeyed before the daemon starts anew:", changeTable(now.restart)));
    if (focused) keep.focus?.();
  }

  function drawDiff(plan, problem = null) {
    const compare = button("Compare with the files", async () => {
      try {
        drawDiff(await order("POST", "/config/plan", { reload: true }));
      } catch (found) {
        drawDiff(null, found);
      }
      diff.querySelector("button").focus();
    }, page.needs("configure"));
    const same = plan && isEmpty(plan);
    put(diff, h("h2", {}, "What the files would change"), h("div", { class: "actions" }, compare,
      plan && !same && button("Apply", () => apply(null), { class: "main", ...page.needs("configure") }),
      plan && !same && button("Apply, keep only if confirmed", () => apply(CONFIRM_S), page.needs("configure"))),
      problem && h("div", { class: "notice bad", role: "alert" }, h("p", {}, "The files cannot be in force:"),
        h("ul", {}, (problem.errors.length ? problem.errors.map((each) => each.detail) : [problem.message]).map((each) => h("li", {}, word(each))))),
      !plan && !problem && empty("Not compared yet", "Nothing happens before Apply is pressed: the daemon says first which connections an edit would touch, and how."),
      same && empty("No difference", "The files say what is in force."),
      plan && plan.warnings.map((each) => h("p", { class: "notice warn" }, word(each))),
      plan && changesOf(plan));
  }

  async function apply(confirm_s) {
    const words = confirm_s === null ? "It stays until it is changed again." : `It is taken back after ${span(confirm_s)} unless it is kept here.`;
    if (!(await page.confirm("Apply the files?", words, "Apply"))) return;
    if (await page.attempt(() => order("POST", "/config/apply", { reload: true, ...(confirm_s === null ? {} : { confirm_s }) }), "Applied")) drawDiff(null);
    look.now();
  }

  function drawRevisions(items, now) {
    put(revisions, h("h2", {}, "Revisions"), items.length === 0 ? empty("None is kept", "The first one comes with the next change.")
      : h("table", { class: "cards" }, h("thead", {}, h("tr", {}, REVISIONS.map((each) => h("th", { scope: "col" }, each)))),
        h("tbody", {}, items.map((each) => row(REVISIONS, [h("span", { class: "figure" }, String(each.number)), when(each.at),
          h("span", {}, word(each.who), h("span", { class: "muted" }, ` ${plain(each.origin)}`)), word(each.what, { class: "why" }),
          h("span", { class: "actions" }, comparison.shows(each, items), each.current ? h("span", { class: "tag good" }, "in force") : back(each, now))])))));
  }

  /** What it would do is said before it is done. */
  function back(revision, now) {
    return button("Bring back", async () => {
      let plan;
      if (!(await page.attempt(async () => { plan = await get(`/config/revisions/${revision.number}/changes?since=${now}`); }))) return;
      if (!(await page.confirm(`Bring revision ${revision.number} back?`, "It comes into force as a new revision; the files are not written to.", "Bring it back", inShort(plan)))) return;
      await page.attempt(() => order("POST", "/config/rollback", { revision: revision.number }), `Revision ${revision.number} is back`);
      look.now();
    }, { "aria-label": `Bring revision ${revision.number} back`, ...page.needs("configure") });
  }

  return { close: look.stop };
}

/** Any two revisions: what the one says otherwise than the other. */
function comparing() {
  const [from, to] = ["from", "to"].map((each) => h("select", { id: `compare-${each}`, onchange: compare }));
  const told = h("div", { "aria-live": "polite" });
  const card = h("section", { class: "card", hidden: true }, h("h2", {}, "Two revisions compared"),
    h("div", { class: "filters" }, h("label", { for: "compare-from" }, "From "), from, h("label", { for: "compare-to" }, "to "), to), told);

  async function compare() {
    const [since, number] = [from.value, to.value];
    put(told);
    if (!since || !number) return;
    try {
      const plan = await get(`/config/revisions/${number}/changes?since=${since}`);
      if (from.value === since && to.value === number) put(told, isEmpty(plan) ? empty("No difference", "Both say the same.") : changesOf(plan, BETWEEN));
    } catch (problem) {
      put(told, h("p", { class: "notice bad", role: "alert" }, word(problem.hint ? `${problem.message}; ${problem.hint}` : problem.message)));
    }
  }

  function offer(items) {
    const chosen = [from.value, to.value];
    card.hidden = items.length < 2;
    [from, to].forEach((select, at) => {
      put(select, h("option", { value: "" }, "\u2013"), items.map((each) => h("option", { value: String(each.number) }, `${each.number} \u2013 ${plain(each.what)}`)));
      select.value = chosen[at];
    });
  }

  /** What a revision changed. The first one that is kept changed nothing that is known. */
  function shows(revision, items) {
    const before = items[items.indexOf(revision) + 1];
    return before && button("Changes", () => {
      [from.value, to.value] = [String(before.number), String(revision.number)];
      compare();
      to.focus();
      card.scrollIntoView({ block: "nearest" });
    }, { class: "quiet", "aria-label": `What revision ${revision.number} changed` });
  }

  return { card, offer, shows };
}

function isEmpty(plan) {
  return plan.steps.length + plan.rest.length + plan.restart.length + plan.credentials.length === 0;
}

/** `headings`: of the values that are compared. Only of what is in force they say how many IKE SAs it has. */
function changesOf(plan, headings = CHANGES) {
  return [
    plan.credentials.map((each) => h("div", { class: "step" }, h("h3", {}, "credential ", word(each.name), " ", state(each.what)))),
    plan.steps.map((each) => step(each, headings)),
    plan.rest.length > 0 && [h("h3", {}, "Everything else"), changeTable(plan.rest, headings)],
    plan.restart.length > 0 && [h("h3", {}, "Only after a restart"), changeTable(plan.restart, headings)],
  ].flat(2);
}

/** A line for each connection, for who is asked whether he wants it. */
function inShort(plan) {
  if (isEmpty(plan)) return h("p", { class: "muted" }, "It says what is in force.");
  return h("ul", { class: "notice warn" },
    plan.steps.map((each) => h("li", {}, word(each.connection), ` is ${each.what}: `, word(each.words), each.ike_sas ? ` (${plural(each.ike_sas, "IKE SA")})` : "")),
    plan.credentials.map((each) => h("li", {}, "credential ", word(each.name), ` is ${each.what}`)),
    [...plan.rest, ...plan.restart].map((each) => h("li", {}, mono(each.key), " changes", each.effect === "restart" ? " with the next start" : "")));
}

function step(each, headings) {
  const now = headings === CHANGES && each.ike_sas ? `; it has ${plural(each.ike_sas, "IKE SA")} now` : "";
  return h("div", { class: "step" }, h("h3", {}, word(each.connection), " ", state(each.what)),
    h("p", { class: "muted" }, word(each.words), now),
    each.changes.length > 0 && changeTable(each.changes, headings));
}

function changeTable(changes, headings = CHANGES) {
  return h("table", { class: "cards diff" }, h("thead", {}, h("tr", {}, headings.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, changes.map((each) => row(headings, [mono(each.key), h("del", {}, mono(value(each.old))), h("ins", {}, mono(value(each.new))),
      h("span", { class: `tag ${["ike", "child", "restart"].includes(each.effect) ? "warn" : "calm"}` }, EFFECTS[each.effect] ?? each.effect),
      each.place === null ? h("span", { class: "muted" }, "the default") : mono(each.place)]))));
}

function value(what) {
  return what === null || what === undefined ? "\u2013" : typeof what === "string" ? what : JSON.stringify(what);
}
