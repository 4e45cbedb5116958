// What one IKE SA would do if a link or an address of ours were gone: policy is asked, nothing is changed.

import { get } from "/page/api.js";
import { empty, h, mono, plain, put, state, table, word } from "/page/dom.js";

const DECISIONS = { stay: ["good", "stays"], move: ["warn", "moves"], wait: ["bad", "waits"] };
const PAIRS = ["#", "Pair", "Link", "State", "Why"];

export function whatIf(page, base) {
  const choice = h("select", { id: "without" });
  const answer = h("div", { role: "status", class: "what-if" });
  const card = h("section", { class: "card" }, h("h2", {}, "What if"),
    h("form", { class: "filters", onsubmit: (event) => event.preventDefault() }, h("label", {}, "Without ", choice)), answer);
  choice.addEventListener("change", ask);
  get("/addresses").then(({ items }) => {
    const links = [...new Set(items.map((each) => each.link))];
    put(choice, h("option", { value: "" }, "anything missing"),
      h("optgroup", { label: "Links" }, links.map((each) => h("option", { value: each }, plain(each)))),
      h("optgroup", { label: "Addresses" }, items.map((each) => h("option", { value: each.ip }, plain(`${each.ip} (${each.link})`)))));
  }).catch(() => {});

  async function ask() {
    const without = choice.value;
    if (without === "") return put(answer);
    return page.attempt(async () => {
      const told = await get(`${base}/explain?${new URLSearchParams({ without })}`);
      if (choice.value === without) draw(told);
    });
  }

  function draw({ without, decision, local, remote, why, pairs }) {
    const [mood, verb] = DECISIONS[decision] ?? ["", decision];
    put(answer,
      h("p", {}, "Without ", h("strong", {}, word(without)), " it ", h("span", { class: `tag ${mood}` }, verb),
        local !== null && [decision === "stay" ? " on " : " to ", h("span", { class: "path" }, mono(local), " \u2192 ", mono(remote))]),
      h("p", { class: "why" }, word(why)),
      pairs.length === 0 ? empty("No pair would be left", "It waits until there is one.")
        : table(PAIRS, pairs.map(row), { class: "cards" }));
  }

  return card;
}

function row(pair) {
  return [h("span", { class: "figure" }, String(pair.rank)), h("span", { class: "path" }, mono(pair.local), "\u2192", mono(pair.remote)),
    word(`${pair.link}${pair.transport === "tcp" ? ", tcp" : ""}`), state(pair.usable ? "usable" : "unusable"), word(pair.why, { class: "why" })];
}
