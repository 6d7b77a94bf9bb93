
"use strict";
// Fetches /ops/data every five seconds and shows it. Whatever comes from there is set as text, never as markup.
const EVERY = 5000, PATIENCE = 8000, KEPT = 61;
const id = (name) => document.getElementById(name);
let tokens = null;         // in memory only
let paused = false, timer = 0, busy = false;
let samples = [];          // the last five minutes of counters
const open = new Map();    // what somebody opened or closed, so that it stays so

/** An element with attributes and children; strings become text. */
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "style") for (const [key, one] of Object.entries(value)) element.style.setProperty(key, one);
    else if (value !== undefined && value !== "") element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

const fill = (name, children) => id(name).replaceChildren(...children);
const ms = (value) => value === null ? "–" : value < 10 ? `${value.toFixed(1)} ms` : value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`;
const count = (value) => Math.round(value).toLocaleString("en");
const rate = (value) => `${value < 10 ? value.toFixed(1) : Math.round(value)}/s`;
const many = (number, one, more) => `${count(number)} ${number === 1 ? one : more}`;
const clock = (moment) => new Date(moment).toLocaleTimeString("en-GB");
function span(seconds) {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} d`;
}

// ---- talking to the gateway

async function ask(path, options) {
  const answer = await fetch(path, { cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(PATIENCE), ...options });
  const body = await answer.json().catch(() => ({}));
  return { status: answer.status, body };
}

const post = (path, body) => ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
const told = (answer) => answer.body.error?.message || `The answer was ${answer.status}.`;
const read = () => ask("/ops/data", { headers: { authorization: `Bearer ${tokens.accessToken}` } });

async function refresh() {
  clearTimeout(timer);
  if (!tokens || paused || busy || document.hidden) return;
  busy = true;
  let mine = tokens;  // when they are others after a wait, somebody has logged out
  try {
    let answer = await read();
    if (tokens !== mine) return;
    if (answer.status === 401) {  // the access token is old; the other one gives a new pair, once
      const renewed = await post("/v1/auth/refresh", { refreshToken: mine.refreshToken });
      if (tokens !== mine) return;
      if (renewed.status !== 200) return leave("Please log in again.");
      tokens = mine = renewed.body;
      answer = await read();
    }
    if (tokens !== mine) return;
    if (answer.status === 401 || answer.status === 403) return leave(told(answer));
    if (answer.status === 200) show(answer.body);
    else stale(told(answer));
  } catch (error) {
    if (tokens && tokens === mine) stale("The gateway does not answer.");
  } finally {
    busy = false;
    if (tokens && !paused) timer = setTimeout(refresh, EVERY);
  }
}

function leave(reason) {
  tokens = null;
  samples = [];
  id("main").hidden = id("controls").hidden = true;
  id("log-in").hidden = false;
  id("log-in-error").textContent = reason;
  id("verdict").textContent = id("fresh").textContent = "";
  id("verdict").className = "";
  fill("traces", []);
  fill("errors", []);
  id("email").focus();
}

function stale(reason) {
  id("verdict").className = "state down";
  id("verdict").textContent = `${reason} What is shown is old.`;
}

// ---- what is shown

function show(data) {
  const focused = document.activeElement?.closest("[data-key]")?.dataset.key;
  id("log-in").hidden = true;
  id("main").hidden = id("controls").hidden = false;
  const wrong = data.processes.filter((one) => one.state !== "healthy");
  const firing = data.alerts.alerts.filter((one) => one.state !== "suppressed" && one.state !== "inactive");
  id("verdict").className = `state ${wrong.some((one) => one.state !== "unknown") ? "down" : wrong.length || firing.length ? "warning" : "healthy"}`;
  id("verdict").textContent = wrong.length
    ? `${wrong.length} of ${data.processes.length} processes ${wrong.length === 1 ? "needs" : "need"} a look: ${wrong.map((one) => one.name).join(", ")}`
    : `All ${data.processes.length} processes are healthy${firing.length ? `, ${many(firing.length, "alert", "alerts")}` : ""}`;
  id("fresh").textContent = `version ${data.version} · ${clock(data.now)}`;
  showProcesses(data);
  showRequests(data);
  showQueues(data.queues);
  showAlerts(data.alerts);
  showErrors(data.errors);
  showTraces(data.traces);
  if (focused) document.querySelector(`[data-key="${CSS.escape(focused)}"] > summary`)?.focus();
}

function showProcesses(data) {
  fill("processes", data.processes.map((one) => {
    const facts = [];
    if (one.started_at) facts.push(`up ${span(Math.max(0, (Date.parse(data.now) - Date.parse(one.started_at)) / 1000))}`);
    if (one.database_ms !== undefined) facts.push(`database ${ms(one.database_ms)}`);
    const pool = one.pool;
    return make("li", { class: one.state, "data-process": one.name },
      make("div", {}, make("span", {}, one.name), make("span", { class: "state" }, one.state)),
      facts.length ? make("small", {}, facts.join(" · ")) : null,
      pool ? make("small", { class: pool.waiting ? "warn" : "" }, `pool ${pool.used} used, ${pool.idle} idle of ${pool.max}${pool.waiting ? `, ${pool.waiting} wait` : ""}`) : null,
      one.note ? make("small", {}, one.note) : null);
  }));
}

const key = (route) => `${route.method} ${route.path}`;

/** What was added to the counters between two samples; a counter that fell began anew. */
function difference(later, earlier) {
  const before = new Map((earlier?.routes || []).map((route) => [key(route), route]));
  return later.routes.map((route) => {
    const old = before.get(key(route));
    const anew = !old || old.count > route.count;
    return {
      name: key(route), total: route.count,
      count: anew ? route.count : route.count - old.count,
      failed: anew ? route.failed : route.failed - old.failed,
      buckets: route.buckets.map((value, place) => anew ? value : value - old.buckets[place]),
    };
  });
}

/** The quantile in milliseconds, by the bounds of the buckets; beyond the last bound, that bound. */
function quantile(share, buckets, bounds) {
  const all = buckets.at(-1);
  if (!all) return null;
  const wanted = share * all;
  const place = buckets.findIndex((value) => value >= wanted);
  if (place >= bounds.length) return bounds.at(-1) * 1000;
  const below = place ? buckets[place - 1] : 0, low = place ? bounds[place - 1] : 0;
  return 1000 * (low + (bounds[place] - low) * (wanted - below) / Math.max(buckets[place] - below, 1e-9));
}

const sum = (routes, field) => routes.reduce((so, route) => so + route[field], 0);
const together = (routes, bounds) => bounds.concat(0).map((_, place) => routes.reduce((so, route) => so + route.buckets[place], 0));

function showRequests(data) {
  const { bounds } = data.requests;
  samples = [...samples, { at: Date.parse(data.now), routes: data.requests.routes }].slice(-KEPT);
  const first = samples[0], last = samples.at(-1), live = samples.length > 1;
  const seconds = live ? Math.max((last.at - first.at) / 1000, .001) : 0;
  const routes = difference(last, live ? first : null);
  const steps = samples.slice(1).map((sample, index) => {
    const step = difference(sample, samples[index]), time = Math.max((sample.at - samples[index].at) / 1000, .001);
    return { rate: sum(step, "count") / time, failed: sum(step, "failed") / time, p95: quantile(.95, together(step, bounds), bounds) || 0 };
  });
  const all = together(routes, bounds), total = sum(routes, "count"), failed = sum(routes, "failed");
  id("window").textContent = live ? `the last ${span(seconds)}` : "since the start; rates in a moment";
  fill("tiles", [
    tile("Rate", live ? rate(total / seconds) : "…", steps.map((step) => step.rate)),
    tile("p50", ms(quantile(.5, all, bounds))),
    tile("p95", ms(quantile(.95, all, bounds)), steps.map((step) => step.p95)),
    tile("Answered with 5xx", total ? `${(100 * failed / total).toFixed(failed ? 2 : 0)} %` : "–", steps.map((step) => step.failed), failed > 0),
  ]);
  fill("routes", routes.filter((route) => route.total > 0).map((route) => make("tr", { class: route.count ? "" : "idle" },
    make("td", {}, make("code", {}, route.name)),
    make("td", { class: "n" }, live ? rate(route.count / seconds) : "…"),
    make("td", { class: "n" }, ms(quantile(.5, route.buckets, bounds))),
    make("td", { class: "n" }, ms(quantile(.95, route.buckets, bounds))),
    make("td", { class: route.failed ? "n bad" : "n" }, count(route.failed)),
    make("td", { class: "n" }, count(route.total)))));
}

function tile(name, value, line, bad) {
  return make("div", {}, make("dt", {}, name), make("dd", { class: bad ? "bad" : "" }, value), line && line.length > 1 ? make("dd", {}, sparkline(line)) : null);
}

function sparkline(values) {
  const most = Math.max(...values, 1e-9);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `0 0 ${KEPT - 2} 20`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  const left = KEPT - 1 - values.length;
  line.setAttribute("points", values.map((value, index) => `${left + index},${(19 - 18 * value / most).toFixed(1)}`).join(" "));
  svg.append(line);
  return svg;
}

function showQueues(queues) {
  const used = queues.filter((one) => one.pending + one.doing + one.failed || one.paused);
  id("queue-table").hidden = !used.length;
  const idle = queues.length - used.length;
  id("idle").textContent = !queues.length ? "No service tells of its queues."
    : used.length ? `Empty: ${many(idle, "other queue", "other queues")}.`
    : `Empty: all ${many(idle, "queue", "queues")}.`;
  fill("queues", used.map((one) => make("tr", {},
    make("td", {}, one.service),
    make("td", {}, one.queue, one.paused ? make("span", { class: "warn" }, " paused") : null),
    make("td", { class: "n" }, count(one.pending)),
    make("td", { class: "n" }, count(one.doing)),
    make("td", { class: one.failed ? "n bad" : "n" }, count(one.failed)),
    make("td", { class: one.oldest_due_seconds > 60 ? "n warn" : "n" }, one.oldest_due_seconds ? span(one.oldest_due_seconds) : "–"))));
}

function showAlerts(found) {
  if (!found.configured) return fill("alerts", [make("p", {}, "No source of alerts is configured (gateway.alerts_url).")]);
  if (found.error) return fill("alerts", [make("p", { class: "bad" }, `Alerts cannot be read: ${found.error}`)]);
  fill("alerts", found.alerts.length ? found.alerts.map((one) => make("div", { class: `alert ${one.severity}` },
    make("strong", {}, one.name), " ", make("span", { class: "state" }, `${one.severity} ${one.state}`), " ",
    one.since ? make("time", { datetime: one.since }, `since ${clock(one.since)}`) : null,
    make("p", {}, one.summary), one.description ? make("p", { class: "quiet" }, one.description) : null))
    : [make("p", {}, "No alert is firing.")]);
}

/** Something to open, that stays as it was left. */
function entry(name, opened, summary, body) {
  const head = make("summary", {}, ...summary), details = make("details", { "data-key": name }, head, ...body);
  details.open = open.get(name) ?? opened;
  head.addEventListener("click", () => open.set(name, !details.open));  // before it opens or closes
  return details;
}

function showErrors(errors) {
  fill("errors", errors.length ? errors.map((one) => entry(`${one.timestamp} ${one.component} ${one.message}`, false,
    [make("time", { datetime: one.timestamp }, clock(one.timestamp)), make("span", { class: "bad" }, one.component), make("span", { class: "grow" }, one.message)],
    [make("pre", {}, [one.cause || "Nothing is known of its cause.", one.trace_id ? `trace ${one.trace_id}` : ""].filter(Boolean).join("\n\n"))]))
    : [make("p", {}, "No process remembers an error.")]);
}

const COMPONENTS = [];
function hue(component) {
  if (!COMPONENTS.includes(component)) COMPONENTS.push(component);
  return `hsl(${Math.round(COMPONENTS.indexOf(component) * 137.5 + 210) % 360} 55% 52%)`;
}
const short = (name) => name.replace(/\bbazaruto\.\w+\.v\d+\./, "");

function showTraces(traces) {
  const names = [...new Set(traces.flatMap((trace) => trace.spans.map((one) => one.component)))].sort();
  fill("legend", names.map((name) => make("li", {}, make("i", { style: { "--hue": hue(name) } }), name)));
  const ids = new Set(traces.map((trace) => trace.trace_id));
  for (const name of open.keys()) if (/^[0-9a-f]{32}$/.test(name) && !ids.has(name)) open.delete(name);
  fill("traces", traces.length ? traces.map((trace, index) => entry(trace.trace_id, index === 0, [
    make("time", {}, clock(trace.start_micros / 1000)),
    make("span", { class: trace.failed ? "grow bad" : "grow" }, short(trace.spans[0].name)),
    make("span", { class: "quiet" }, `${many(trace.span_count, "span", "spans")}, ${many(new Set(trace.spans.map((one) => one.component)).size, "process", "processes")}`),
    make("strong", {}, ms(trace.duration_ms)),
  ], [waterfall(trace)])) : [make("p", {}, "No request has been traced yet.")]);
}

function waterfall(trace) {
  const whole = Math.max(trace.duration_ms, .001), share = (value) => `${(100 * Math.min(Math.max(value / whole, 0), 1)).toFixed(2)}%`;
  const rest = trace.span_count - trace.spans.length;
  return make("div", { class: "fall" },
    make("div", { class: "quiet" }, `trace ${trace.trace_id}`),
    make("ul", { tabindex: 0, "aria-label": "spans" }, ...trace.spans.map((one) => make("li", { title: `${one.component}: ${one.name}, begins at ${ms(one.start_ms)}` },
      make("span", { class: one.failed ? "bad" : "", style: { "padding-left": `${Math.min(one.depth, 12)}rem` } }, short(one.name)),
      make("span", { class: "n" }, ms(one.duration_ms)),
      make("div", { class: "track" }, make("i", { class: one.failed ? "failed" : "", style: { "--hue": hue(one.component), left: share(one.start_ms), width: share(one.duration_ms) } }))))),
    rest > 0 ? make("div", { class: "quiet" }, `and ${many(rest, "more span", "more spans")}`) : null);
}

// ---- what people do

id("log-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  id("log-in-error").textContent = "";
  const password = id("password").value;
  try {
    const answer = await post("/v1/auth/login", { email: id("email").value, password });
    if (answer.status !== 200) { id("log-in-error").textContent = told(answer); return; }
    id("password").value = "";
    tokens = answer.body;
    refresh();
  } catch (error) {
    id("log-in-error").textContent = "The gateway does not answer.";
  }
});

id("log-out").addEventListener("click", () => {
  post("/v1/auth/logout", { refreshToken: tokens.refreshToken }).catch(() => {});
  leave("");
});

id("pause").addEventListener("click", () => {
  paused = !paused;
  id("pause").setAttribute("aria-pressed", String(paused));
  refresh();
});

document.addEventListener("visibilitychange", refresh);
