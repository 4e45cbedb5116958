// The API: calls with the token, answers that have not changed, problems, and the stream of events.
//
// The token is kept for this tab alone, and goes into a header of each call by our own hand. A cookie would be sent
// by the browser to every port of this host, and by itself to whatever asks for it from another page.

const KEY = "mobike.token";
const KEPT = 64;

/** What went wrong, in the daemon's words (RFC 9457). */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail ?? body.title ?? `the daemon answered ${status}`);
    this.status = status;
    this.hint = body.hint ?? null;
    this.errors = body.errors ?? [];
  }
}

export function token() {
  return sessionStorage.getItem(KEY);
}

export function keepToken(text) {
  kept.clear();
  if (text === null) sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, text);
}

/** A token that came with the link: taken out of the address before anything else sees it. */
export function tokenOfLink() {
  const found = /^#token=([\x21-\x7e]+)$/.exec(location.hash);
  if (!found) return;
  keepToken(found[1]);
  history.replaceState(null, "", `${location.pathname}#/`);
}

const kept = new Map();

/** What is there: the same object again while nothing of it has changed. */
export async function get(path) {
  const known = kept.get(path);
  const answer = await ask("GET", path, undefined, known ? { "If-None-Match": known.tag } : {});
  if (answer.status === 304) return known.body;
  const body = await answer.json();
  const tag = answer.headers.get("ETag");
  kept.delete(path);
  if (tag) kept.set(path, { tag, body });
  if (kept.size > KEPT) kept.delete(kept.keys().next().value);
  return body;
}

/** The tag of what is there now, so that an order counts for that alone (`If-Match`). */
export async function tagOf(path) {
  await get(path);
  return kept.get(path)?.tag ?? null;
}

/** An order. */
export async function order(method, path, body, headers = {}) {
  return (await ask(method, path, body, headers)).json();
}

async function ask(method, path, body, headers = {}, signal = undefined) {
  const shown = token();
  let answer;
  try {
    answer = await fetch(`/api/v1${path}`, {
      method,
      signal,
      cache: "no-store",
      credentials: "same-origin", // a certificate of the caller, where the daemon asks for one
      headers: {
        ...(shown ? { Authorization: `Bearer ${shown}` } : {}),
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...headers,
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { detail: "the daemon does not answer", hint: "this page goes on when it does" });
  }
  if (answer.ok || answer.status === 304) return answer;
  const problem = new Problem(answer.status, await answer.json().catch(() => ({})));
  if (answer.status === 401) window.dispatchEvent(new CustomEvent("stranger", { detail: problem }));
  throw problem;
}

/** Events for ever, behind `after`; each as soon as it is there. Ends when the daemon does. */
export async function* follow(after, signal) {
  const headers = after === null ? {} : { "Last-Event-ID": String(after) };
  const answer = await ask("GET", "/events", undefined, { Accept: "text/event-stream", ...headers }, signal);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  yield null; // we are connected
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const frames = (rest + value).split("\n\n");
    rest = frames.pop();
    for (const frame of frames) {
      const data = frame.split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice(6));
      if (data.length) yield JSON.parse(data.join("\n"));
    }
  }
}
