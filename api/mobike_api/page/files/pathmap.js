// Our addresses on the left, the peer's on the right, a line for each pair that could carry the IKE SA.

import { h, millis, plain, put, svg } from "/page/dom.js";

const GAP = 62;
const MARGIN = 14;
const LETTER = 7.3;

const widths = new WeakMap();
const watched = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const { detail, width } = widths.get(target) ?? {};
    if (detail && Math.abs(target.clientWidth - width) > 8) pathMap(target, detail);
  }
});

export function pathMap(place, detail) {
  const width = place.clientWidth || 560;
  if (!widths.has(place)) watched.observe(place);
  widths.set(place, { detail, width });
  const pairs = detail.pairs.length ? detail.pairs : [lonely(detail.sa)];
  const locals = [...new Set(pairs.map((each) => each.local))];
  const remotes = [...new Set(pairs.map((each) => each.remote))];
  const height = Math.max(locals.length, remotes.length) * GAP + 10;
  const left = spread(locals, height);
  const right = spread(remotes, height);
  const links = new Map(pairs.map((each) => [each.local, each.link]));
  const most = Math.max(9, Math.floor((width * 0.46 - MARGIN) / LETTER));
  const sorted = pairs.slice().sort((one, other) => one.current - other.current);
  put(place, svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": inWords(pairs) },
    sorted.map((each) => line(each, left.get(each.local), right.get(each.remote), width)),
    locals.map((each) => node(each, links.get(each), MARGIN, left.get(each), "start", most)),
    remotes.map((each) => node(each, null, width - MARGIN, right.get(each), "end", most))),
  h("p", { class: "legend", "aria-hidden": "true" }, h("span", { class: "in-use" }, "in use"), h("span", { class: "usable" }, "usable"), h("span", { class: "unusable" }, "not usable")));
}

function spread(names, height) {
  return new Map(names.map((each, at) => [each, (height * (at + 0.5)) / names.length - 8]));
}

function line(pair, from, to, width) {
  const kind = pair.current ? "in-use" : pair.usable ? "usable" : "unusable";
  const [x1, x2] = [MARGIN + 8, width - MARGIN - 8];
  const bend = (x2 - x1) * 0.4;
  const rtt = pair.rtt_ms === null ? null : svg("text", { x: width / 2, y: (from + to) / 2 - 9, "text-anchor": "middle", class: "rtt" }, millis(pair.rtt_ms));
  return svg("g", { class: kind }, svg("path", { d: `M${x1} ${from} C${x1 + bend} ${from} ${x2 - bend} ${to} ${x2} ${to}` }), pair.current && rtt);
}

function node(name, link, x, y, anchor, most) {
  return svg("g", { class: "node" }, svg("circle", { cx: x, cy: y, r: 6 }),
    svg("text", { x: x + (anchor === "start" ? -6 : 6), y: y + 24, "text-anchor": anchor },
      link && svg("tspan", { class: "strong" }, `${shortened(plain(link), 12)} `), shortened(plain(name), most - (link ? link.length : 0)), svg("title", {}, plain(name))));
}

/** Without its middle: both ends of an IPv6 address tell more. */
function shortened(text, most) {
  if (text.length <= most) return text;
  const half = Math.max(3, Math.floor((most - 1) / 2));
  return `${text.slice(0, half)}\u2026${text.slice(-half)}`;
}

function lonely(sa) {
  const ip = (end) => end.slice(0, end.lastIndexOf(":")).replace(/^\[|\]$/g, "");
  return { local: ip(sa.local), remote: ip(sa.remote), link: "", current: true, usable: true, rtt_ms: null };
}

function inWords(pairs) {
  return pairs.map((each) => `${plain(each.local)} to ${plain(each.remote)}: ${each.current ? "in use" : each.usable ? "usable" : "not usable"}`).join("; ");
}
