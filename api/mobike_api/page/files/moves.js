// Moves over time: how many, how long each took, and why.

import { get } from "/page/api.js";
import { button, clock, count, empty, h, millis, mono, plain, plural, put, row, svg, when, word } from "/page/dom.js";
import { again } from "/page/live.js";

const KINDS = ["moved", "peer-moved", "move-failed", "move-refused"];
const SPANS = { "15 min": 900, "1 h": 3600, "6 h": 21_600, "24 h": 86_400 };
const MOST = 1000;
const BARS = 60;
const HEIGHT = 150;
const SHOWN = 50;
const HEADINGS = ["When", "Whom", "To", "Took", "Why"];

export function openMoves(room, page) {
  let span = 900;
  const spans = h("div", { class: "choice", role: "group", "aria-label": "How far back" }, Object.entries(SPANS).map(([name, seconds]) =>
    button(name, () => { span = seconds; draw(); }, { "data-span": seconds })));
  const summary = h("p", { class: "lead" });
  const chart = h("div", { class: "chart" });
  const list = h("section", { class: "card" });
  put(room, h("div", { class: "head" }, h("h1", {}, "Moves"), summary), h("section", { class: "card" }, spans, chart), list);
  let items = [];

  const look = again(async () => {
    await page.attempt(async () => { items = (await get(`/events/past?kind=${KINDS}&limit=${MOST}`)).items; });
    draw();
  });

  function draw() {
    for (const each of spans.children) each.setAttribute("aria-pressed", String(Number(each.dataset.span) === span));
    const now = Date.now() / 1000;
    const shown = items.filter((each) => each.at > now - span);
    const good = shown.filter((each) => !bad(each));
    const took = good.map((each) => each.data.duration_ms).filter((each) => typeof each === "number").sort((one, other) => one - other);
    const failed = shown.length - good.length;
    put(summary, plural(sum(good), "move"), failed ? `, ${count(sum(shown.filter(bad)))} failed` : "",
      took.length ? `; half took ${millis(at(took, 0.5))} or less, the slowest ${millis(took.at(-1))}` : "");
    drawChart(chart, shown, now, span);
    put(list, h("h2", {}, "Latest moves"), items.length === 0
      ? empty("Nothing has moved", "Moves of the last hours show here as they happen: take a link away, or press Move here at an IKE SA.")
      : h("table", { class: "cards" }, h("thead", {}, h("tr", {}, HEADINGS.map((each) => h("th", { scope: "col" }, each)))),
        h("tbody", {}, items.slice(0, SHOWN).map((each) => row(HEADINGS, moveCells(each))))));
  }

  return {
    events(news) {
      if (news.some((each) => KINDS.includes(each.kind))) look.now();
    },
    close: look.stop,
  };
}

function bad(event) {
  return event.kind.startsWith("move-");
}

function sum(events) {
  return events.reduce((total, each) => total + (each.data.sas ?? 1), 0);
}

function at(sorted, share) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

function moveCells(event) {
  const whom = event.sa ? h("a", { href: `#/sas/${encodeURIComponent(event.sa)}` }, word(event.connection)) : h("span", {}, word(event.connection), ` (${plural(event.data.sas ?? 1, "SA")})`);
  return [when(event.at), whom, mono(bad(event) ? event.kind : event.data.path ?? "\u2013"), h("span", { class: "figure" }, millis(event.data.duration_ms)), word(event.data.why ?? (event.kind === "peer-moved" ? "the peer asked for it" : event.text), { class: "why" })];
}

/** Bars: moves in each part of the time; failed ones on top, in another colour and with a mark. */
function drawChart(place, events, now, span) {
  const width = Math.max(260, place.clientWidth || 600);
  const size = span / BARS;
  const parts = Array.from({ length: BARS }, () => ({ good: 0, failed: 0 }));
  for (const each of events) {
    const part = parts[Math.min(BARS - 1, Math.max(0, Math.floor((each.at - (now - span)) / size)))];
    part[bad(each) ? "failed" : "good"] += each.data.sas ?? 1;
  }
  const most = Math.max(1, ...parts.map((each) => each.good + each.failed));
  const step = width / BARS;
  const tall = (number) => (number / most) * (HEIGHT - 34);
  const floor = HEIGHT - 18;
  const bars = parts.flatMap((each, index) => {
    const x = index * step + 1;
    const title = svg("title", {}, `${clock(now - span + index * size)}: ${each.good} moved, ${each.failed} failed`);
    const wide = Math.max(1.5, step - 2);
    return each.good + each.failed === 0 ? [] : [svg("g", {}, title,
      each.good > 0 && svg("rect", { class: "moved", x, y: floor - tall(each.good), width: wide, height: tall(each.good), rx: 1.5 }),
      each.failed > 0 && svg("rect", { class: "failed", x, y: floor - tall(each.good + each.failed), width: wide, height: tall(each.failed), rx: 1.5 }))];
  });
  put(place, svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", "aria-label": `${sum(events)} moves in the time shown, ${most} at most at once` },
    svg("line", { class: "axis", x1: 0, x2: width, y1: floor + 0.5, y2: floor + 0.5 }),
    svg("line", { class: "grid", x1: 0, x2: width, y1: floor - tall(most) - 0.5, y2: floor - tall(most) - 0.5 }),
    svg("text", { x: 0, y: floor - tall(most) - 5 }, plain(count(most))),
    bars,
    svg("text", { x: 0, y: HEIGHT - 3 }, clock(now - span)),
    svg("text", { x: width, y: HEIGHT - 3, "text-anchor": "end" }, "now")));
}
