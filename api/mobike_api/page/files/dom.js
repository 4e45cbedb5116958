// Everything on the page is made here, and from text: nothing that a peer says is ever read as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An element: h("a", {class: "x", href: "#/", onclick: f}, "text", otherElement). What is null or false is left out. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for drawings. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((each) => each !== null && each !== undefined && each !== false));
  return element;
}

/** Replaces what is in an element. */
export function put(element, ...children) {
  element.replaceChildren(...children.flat().filter((each) => each !== null && each !== undefined && each !== false));
  return element;
}

/** Writes text where it is another, so that nothing flickers and no selection is lost. True if it was. */
export function say(element, text) {
  if (element.textContent === text) return false;
  element.textContent = text;
  return true;
}

/** Text that came from elsewhere, without characters that change how its neighbours look. */
export function plain(text) {
  return String(text ?? "").replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "\ufffd");
}

/** Such text in an element of its own, which keeps its direction to itself. */
export function word(text, attributes = {}) {
  return h("bdi", attributes, plain(text));
}

export function mono(text) {
  return word(text, { class: "mono" });
}

const WORDS = { established: "good", up: "good", verified: "good", preferred: "good", running: "busy", done: "good",
  updating: "busy", connecting: "busy", worked: "good", waiting: "bad", down: "bad", silent: "bad", unreachable: "bad",
  refused: "bad", "into-tunnel": "bad", avoided: "warn", deprecated: "warn", optimistic: "warn", "one-way": "warn",
  gone: "bad", usable: "good", unusable: "bad" };

/** A word for a state, with a mark in front of it: colour alone tells nothing to some. */
export function state(name) {
  return h("span", { class: `state ${WORDS[name] ?? "calm"}` }, plain(name));
}

export function button(text, onclick, attributes = {}) {
  return h("button", { type: "button", onclick, ...attributes }, text);
}

export function empty(title, text) {
  return h("div", { class: "empty" }, h("strong", {}, title), h("p", {}, text));
}

/** A table whose cells know their heading: on a phone each row is a card. */
export function table(headings, rows, attributes = {}) {
  return h("table", attributes,
    h("thead", {}, h("tr", {}, headings.map((each) => h("th", { scope: "col" }, each)))),
    h("tbody", {}, rows.map((cells) => row(headings, cells))));
}

export function row(headings, cells, attributes = {}) {
  return h("tr", attributes, cells.map((cell, at) => h("td", { "data-label": headings[at] }, cell)));
}

// --- numbers and times ---

export function count(number) {
  return number.toLocaleString("en").replaceAll(",", "\u2009");
}

export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

export function millis(number) {
  if (number === null || number === undefined) return "\u2013";
  return number < 10 ? `${number.toFixed(1)} ms` : number < 10_000 ? `${Math.round(number)} ms` : `${Math.round(number / 1000)} s`;
}

/** So many seconds, in two units at most. */
export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const units = [[86_400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const first = units.findIndex(([size]) => whole >= size);
  if (first < 0) return "0 s";
  const [size, name] = units[first];
  const rest = whole % size;
  const next = units[first + 1];
  const more = next && Math.floor(rest / next[0]);
  return `${Math.floor(whole / size)} ${name}${more ? ` ${more} ${next[1]}` : ""}`;
}

export function ago(at) {
  const seconds = Date.now() / 1000 - at;
  return seconds < 2 ? "just now" : `${span(seconds)} ago`;
}

/** The time of day; with the day where that was not today. */
export function clock(at) {
  const moment = new Date(at * 1000);
  const time = moment.toLocaleTimeString("en-GB");
  return moment.toDateString() === new Date().toDateString() ? time : `${moment.toLocaleDateString("en-CA")} ${time}`;
}

export function when(at) {
  return h("time", { datetime: new Date(at * 1000).toISOString(), title: new Date(at * 1000).toString() }, clock(at));
}
