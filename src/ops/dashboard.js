// SPDX-License-Identifier: MIT
// The dashboard.  Everything shown is in the JSON of /stats; rates of SYNs are computed by synward,
// rates of reasons and latencies from two samples.
"use strict";

const KEEP = 180;       // seconds on a chart, at most
const KEEP_LEAST = 30;
const LATENCY_OVER = 10; // seconds that latency percentiles look back
const POLL_MS = 2000;   // without /events
const EVENTS_KEPT = 50;

const cards = new Map(); // by listener name
let samples = [];        // {t, stats}, the newest last
let lastSeen = 0;

const $ = (id) => document.getElementById(id);

function element(tag, text, cls) {
  const e = document.createElement(tag);
  if (text !== undefined) e.textContent = text;
  if (cls) e.className = cls;
  return e;
}

// ---- numbers, as `synward status` writes them ----

function short(n) {
  if (n < 10000) return String(Math.round(n));
  let unit = -1;
  while (n >= 1000 && unit < 5) { n /= 1000; unit++; }
  return (n < 100 ? (Math.floor(n * 10) / 10).toFixed(1) : String(Math.floor(n))) + "kMGTPE"[unit];
}

function latency(s) {
  if (!(s > 0)) return "\u2013";
  const ms = s * 1000;
  return ms < 10 ? ms.toFixed(2) + " ms" : ms < 1000 ? ms.toFixed(0) + " ms" : s.toFixed(1) + " s";
}

function span(s) {
  s = Math.max(0, Math.floor(s));
  const two = (n) => String(n).padStart(2, "0");
  if (s < 60) return s + "s";
  if (s < 3600) return Math.floor(s / 60) + "m" + two(s % 60) + "s";
  if (s < 86400) return Math.floor(s / 3600) + "h" + two(Math.floor(s / 60) % 60) + "m";
  return Math.floor(s / 86400) + "d" + two(Math.floor(s / 3600) % 24) + "h";
}

function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let i = 0;
  while (n >= 1024 && i < units.length - 1) { n /= 1024; i++; }
  return (i && n < 100 ? n.toFixed(1) : Math.floor(n)) + " " + units[i];
}

// ---- what two samples say together ----

function listenerIn(stats, name) {
  return stats && stats.listeners.find((l) => l.name === name);
}

function poolBuckets(stats, pool) {
  const all = new Map();
  for (const s of stats ? stats.servers : [])
    if (s.pool === pool)
      for (const [us, n] of s.connect.buckets_us) all.set(us, (all.get(us) || 0) + n);
  return all;
}

function quantile(buckets, share) {
  if (![...buckets.values()].some((n) => n > 0)) return null;
  const sorted = [...buckets].filter(([, n]) => n > 0).sort((a, b) => a[0] - b[0]);
  const total = sorted.reduce((sum, [, n]) => sum + n, 0);
  let below = 0;
  for (const [us, n] of sorted) {
    below += n;
    if (below >= share * total) return us / 1e6;
  }
  return null;
}

function latencies(stats, old, pool) {
  const now = poolBuckets(stats, pool);
  for (const [us, n] of poolBuckets(old, pool)) now.set(us, (now.get(us) || 0) - n);
  return [quantile(now, 0.5), quantile(now, 0.99)];
}

function reasonRates(refusals, l, old, seconds) {
  const rows = [];
  for (const name of refusals) {
    const n = l.reasons[name];
    if (!n) continue;
    const rate = old && seconds > 0 ? Math.max(0, (n - (old.reasons[name] || 0)) / seconds) : 0;
    rows.push({ name, n, rate });
  }
  return rows.sort((a, b) => b.rate - a.rate || b.n - a.n).slice(0, 6);
}

// ---- charts ----

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// A round number at or above n.
function ceiling(n, least) {
  if (n <= least) return least;
  const power = 10 ** Math.floor(Math.log10(n));
  return [1, 1.5, 2, 3, 4, 5, 7.5, 10].find((m) => m * power >= n) * power;
}

class Chart {
  constructor(canvas, series) {
    this.canvas = canvas;
    this.series = series; // {of, color, label}
    this.points = [];     // {t, ...values}
    this.at = null;       // x under the pointer
    canvas.addEventListener("pointermove", (e) => { this.at = e.offsetX; this.draw(); });
    canvas.addEventListener("pointerleave", () => { this.at = null; this.draw(); });
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  add(point) {
    this.points.push(point);
    while (this.points.length && this.points[0].t < point.t - KEEP) this.points.shift();
    this.draw();
  }

  draw() {
    const { canvas } = this, dpr = window.devicePixelRatio || 1;
    const w = canvas.clientWidth, h = canvas.clientHeight;
    if (!w || !h) return;
    if (canvas.width !== Math.round(w * dpr) || canvas.height !== Math.round(h * dpr)) {
      canvas.width = Math.round(w * dpr);
      canvas.height = Math.round(h * dpr);
    }
    const g = canvas.getContext("2d");
    g.setTransform(dpr, 0, 0, dpr, 0, 0);
    g.clearRect(0, 0, w, h);
    if (!this.points.length) return;
    this.frame(g, w, h);
    this.series.forEach((s, i) => this.line(g, s, i === 0));
    if (this.at !== null) this.readout(g);
    this.legend(g, w);
  }

  frame(g, w, h) {
    const most = Math.max(...this.points.map((p) => Math.max(...this.series.map((s) => p[s.of] || 0))));
    this.box = { left: 44, right: w - 6, top: 20, bottom: h - 16 };
    this.top = ceiling(most, this.series[0].least || 5);
    this.end = this.points[this.points.length - 1].t;
    this.span = Math.min(KEEP, Math.max(KEEP_LEAST, this.end - this.points[0].t));
    g.strokeStyle = color("--line");
    g.fillStyle = color("--dim");
    g.font = "11px system-ui, sans-serif";
    g.lineWidth = 1;
    g.textAlign = "right";
    g.textBaseline = "middle";
    for (const share of [0, 0.5, 1]) {
      const y = Math.round(this.y(share * this.top)) + 0.5;
      g.beginPath();
      g.moveTo(this.box.left, y);
      g.lineTo(this.box.right, y);
      g.stroke();
      const v = share * this.top;
      g.fillText(v < 10 && v % 1 ? String(+v.toFixed(2)) : short(v), this.box.left - 6, y);
    }
    g.textBaseline = "alphabetic";
    for (const [ago, align] of [[this.span, "left"], [this.span * 2 / 3, "center"],
                                [this.span / 3, "center"], [0, "right"]]) {
      g.textAlign = align;
      g.fillText(ago ? "\u2212" + span(ago).replace("m00s", "m") : "now", this.x(this.end - ago), h - 3);
    }
  }

  x(t) { return this.box.right - (this.end - t) / this.span * (this.box.right - this.box.left); }
  y(v) { return this.box.bottom - v / this.top * (this.box.bottom - this.box.top); }

  line(g, s, fill) {
    g.beginPath();
    const points = this.points.filter((p) => p[s.of] !== null); // null: nothing was measured
    if (!points.length) return;
    points.forEach((p, i) => {
      const x = this.x(p.t), y = this.y(p[s.of]);
      if (i) g.lineTo(x, y); else g.moveTo(x, y);
    });
    g.strokeStyle = color(s.color);
    g.lineWidth = 1.75;
    g.setLineDash(s.dash || []);
    g.stroke();
    g.setLineDash([]);
    if (!fill) return;
    g.lineTo(this.x(points[points.length - 1].t), this.box.bottom);
    g.lineTo(this.x(points[0].t), this.box.bottom);
    g.globalAlpha = 0.12;
    g.fillStyle = color(s.color);
    g.fill();
    g.globalAlpha = 1;
  }

  under() {
    let best = this.points[this.points.length - 1];
    if (this.at === null) return best;
    for (const p of this.points)
      if (Math.abs(this.x(p.t) - this.at) < Math.abs(this.x(best.t) - this.at)) best = p;
    return best;
  }

  readout(g) {
    const x = Math.round(this.x(this.under().t)) + 0.5;
    g.strokeStyle = color("--dim");
    g.lineWidth = 1;
    g.beginPath();
    g.moveTo(x, this.box.top);
    g.lineTo(x, this.box.bottom);
    g.stroke();
  }

  // Names and the values under the pointer, or the last ones.
  legend(g, w) {
    const p = this.under();
    let x = w - 6;
    g.font = "11px system-ui, sans-serif";
    g.textAlign = "right";
    g.textBaseline = "top";
    if (this.at !== null) {
      g.fillStyle = color("--dim");
      const when = "\u2212" + span(this.end - p.t);
      g.fillText(when, x, 3);
      x -= g.measureText(when).width + 10;
    }
    for (const s of [...this.series].reverse()) {
      const v = p[s.of] || 0;
      const text = s.label + " " + (s.text || short)(v);
      g.fillStyle = color(s.color);
      g.fillText(text, x, 3);
      x -= g.measureText(text).width + 10;
    }
  }
}

const CHARTS = {
  syn: [{ of: "syn", color: "--syn", label: "SYN" },
        { of: "synack", color: "--synack", label: "SYN-ACK", dash: [4, 3] }],
  proven: [{ of: "proven", color: "--proven", label: "proven" }],
  refused: [{ of: "refused", color: "--refused", label: "refused" }],
  live: [{ of: "live", color: "--live", label: "live" }],
  latency: [{ of: "p99", color: "--p99", label: "p99", least: 0.5, text: (ms) => latency(ms / 1000) },
            { of: "p50", color: "--p50", label: "p50", text: (ms) => latency(ms / 1000) }],
};

// ---- the page ----

function makeCard(name) {
  const node = $("listener").content.cloneNode(true).firstElementChild;
  const card = { node, charts: {} };
  node.dataset.listener = name;
  node.querySelector(".name").textContent = name;
  for (const canvas of node.querySelectorAll("canvas")) {
    const kind = canvas.dataset.chart;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", name + ": " + canvas.previousElementSibling.textContent);
    card.charts[kind] = new Chart(canvas, CHARTS[kind]);
  }
  $("listeners").append(node);
  cards.set(name, card);
  return card;
}

function floodPill(pill, l) {
  const f = l.flood;
  pill.className = "pill flood " + (f.active ? "bad" : l.draining ? "warn" : "good");
  pill.textContent = f.active ? "SYN flood for " + span(f.lasted_seconds)
    : l.draining ? "draining" : f.count ? f.count + (f.count > 1 ? " floods" : " flood") + " so far"
    : "no flood";
}

function fillReasons(body, rows) {
  const most = Math.max(1, ...rows.map((r) => r.rate));
  body.replaceChildren(...rows.map((r) => {
    const tr = element("tr"), bar = element("td", undefined, "bar"), meter = element("meter");
    meter.max = most;
    meter.value = r.rate;
    bar.append(meter);
    tr.dataset.reason = r.name;
    tr.append(element("td", r.name), element("td", short(r.rate) + "/s", "n"),
              element("td", short(r.n), "n"), bar);
    return tr;
  }));
  if (!rows.length) body.append(element("tr"));
  if (!rows.length) body.firstChild.append(element("td", "nothing so far", "none"));
}

function showListener(l, sample, before, old) {
  const card = cards.get(l.name) || makeCard(l.name);
  const relay = l.mode === "relay", s = l.stats, c = l.connections;
  const [p50, p99] = relay ? latencies(sample.stats, old && old.stats, l.pool) : [null, null];
  const values = { t: sample.t, syn: l.flood.syn_rate, synack: l.flood.synack_rate,
                   proven: l.flood.proven_rate, refused: l.flood.refused_rate, live: c.active,
                   p50: p50 && p50 * 1000, p99: p99 && p99 * 1000 };
  const shown = { ...values, p99 };
  card.seen = sample.t;
  card.node.classList.toggle("flooded", l.flood.active);
  floodPill(card.node.querySelector(".flood"), l);
  card.node.querySelector(".addresses").textContent = l.addresses.join("  ");
  card.node.querySelector(".how").textContent = [l.interface, relay ? "relay to " + l.pool : "transparent",
    l.xdp !== "none" ? "XDP " + l.xdp : "packet threads"].join(" \u00b7 ");
  for (const b of card.node.querySelectorAll("[data-of]")) {
    const of = b.dataset.of;
    b.textContent = of === "p99" ? latency(shown.p99) : !relay && of === "live" ? "\u2013" : short(shown[of]);
  }
  for (const [kind, chart] of Object.entries(card.charts)) {
    chart.canvas.parentNode.classList.toggle("hidden", !relay && (kind === "live" || kind === "latency"));
    chart.add(values);
  }
  fillReasons(card.node.querySelector("tbody"), reasonRates(sample.stats.refusals, l, before && listenerIn(before.stats, l.name),
    before ? sample.t - before.t : 0));
  const sums = card.node.querySelector(".sums");
  sums.textContent = "Since the start: " + short(s.syns) + " SYNs, " + short(s.synacks) + " SYN-ACKs, " +
    short(s.proven) + " proven, " + short(s.handed) + " handed over, " + short(s.dropped) + " dropped" +
    (relay ? "; " + short(c.total) + " connections, " + bytes(c.bytes_client_to_server) + " in, " +
      bytes(c.bytes_server_to_client) + " out; " + l.queued + " of " + l.queue_depth + " waiting" : "") + ".";
  for (const key of ["syns", "synacks", "proven", "handed", "dropped"]) sums.dataset[key] = s[key];
}

function showServers(servers) {
  const head = element("tr");
  for (const [text, cls] of [["pool"], ["server"], ["state"], ["live", "n"], ["connect p50", "n"], ["p99", "n"], ["failed", "n"]])
    head.append(element("th", text, cls));
  $("servers").replaceChildren(head, ...servers.map((s) => {
    const tr = element("tr"), state = element("td");
    const failed = Object.values(s.failed).reduce((a, b) => a + b, 0);
    state.append(element("span", s.up ? "up" : "down", "pill " + (s.up ? "good" : "bad")));
    tr.append(element("td", s.pool), element("td", s.name), state, element("td", short(s.active), "n"),
              element("td", latency(s.connect.p50_seconds), "n"),
              element("td", latency(s.connect.p99_seconds), "n"), element("td", short(failed), "n"));
    return tr;
  }));
  $("servers").closest(".card").classList.toggle("hidden", !servers.length);
}

function showHead(stats) {
  const flooded = stats.listeners.some((l) => l.flood.active);
  const active = stats.keys.find((k) => k.slot === "active") || stats.keys[0];
  const facts = [["up", span(stats.process.uptime_seconds)], ["key", active ? active.fingerprint : "\u2013"],
    ["epoch", stats.clock.epoch + " (" + span(stats.clock.epoch_end - stats.now) + ")"],
    ["clock", stats.clock.synchronized === null ? "unknown" :
      stats.clock.synchronized ? "synchronized" : "not synchronized"],
    ["memory", bytes(stats.process.resident_bytes)]];
  $("version").textContent = stats.process.version;
  $("state").className = "pill " + (!stats.ready ? "warn" : flooded ? "bad" : "good");
  $("state").textContent = !stats.ready ? stats.why_not_ready || "not ready" : flooded ? "ready, under SYN flood" : "ready";
  document.title = (flooded ? "FLOOD " : "") + "synward";
  $("facts").replaceChildren(...facts.map(([name, value]) => {
    const div = element("div");
    div.append(element("dt", name), element("dd", value));
    return div;
  }));
}

function show(stats) {
  const sample = { t: stats.now, stats };
  const before = samples[samples.length - 1];
  if (before && before.t >= sample.t) return;
  // Counters that went down: synward was started again.
  if (before && stats.process.started > before.stats.process.started + 1) samples = [];
  const old = samples.find((s) => s.t >= sample.t - LATENCY_OVER);
  lastSeen = Date.now();
  showHead(stats);
  for (const l of stats.listeners) showListener(l, sample, before, old);
  for (const [name, card] of cards) {
    if (card.seen === sample.t) continue;
    card.node.remove();
    cards.delete(name);
  }
  showServers(stats.servers);
  samples.push(sample);
  samples = samples.filter((s) => s.t >= sample.t - LATENCY_OVER - 2);
  document.body.dataset.samples = Number(document.body.dataset.samples || 0) + 1;
}

function showEvent(e) {
  const data = JSON.parse(e.data), li = element("li"), list = $("events");
  const none = list.querySelector(".none");
  if (none) none.remove();
  li.append(element("time", new Date(data.time * 1000).toLocaleTimeString([], { hour12: false })),
            element("span", data.text));
  li.dataset.kind = e.type;
  list.prepend(li);
  while (list.children.length > EVENTS_KEPT) list.lastChild.remove();
}

// ---- where the samples come from ----

function lost() {
  $("state").className = "pill bad";
  $("state").textContent = "no connection to synward";
}

async function poll() {
  try {
    const answer = await fetch("/stats");
    if (answer.ok) show(await answer.json()); else lost();
  } catch (e) { lost(); }
}

function listen() {
  const source = new EventSource("/events");
  source.addEventListener("sample", (e) => show(JSON.parse(e.data)));
  for (const kind of ["flood_began", "flood_ended", "reload", "drain", "undrain", "upstream_up",
                      "upstream_down", "rekey"])
    source.addEventListener(kind, showEvent);
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
  };
}

poll();
listen();
setInterval(() => { if (Date.now() - lastSeen > 2 * POLL_MS) poll(); }, POLL_MS);
