// Draws the report's three panels (price with fills, inventory, profit) over one time axis, from the JSON beside it.
// No library: a few SVG paths, rebuilt on zoom. The object's shape is documented in execsim/report/chart.py.
(function () {
  "use strict";
  const data = JSON.parse(document.getElementById("run-data").textContent);
  const svg = document.getElementById("chart");
  const tip = document.getElementById("tip");
  const picker = document.getElementById("market");
  const GAP = 40, TOP = 22, AXIS = 24, RIGHT = 12, SHARES = [0.52, 0.2, 0.28], REACH = 14;
  const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5,
    72e5, 108e5, 216e5, 432e5, 864e5, 1728e5, 6048e5, 2592e6, 7776e6];
  let market = data.markets[0] || null;
  let view = wholeRun();
  let panels = [], width = 0, height = 0, left = 60, grab = null;

  function wholeRun() { return [0, data.end]; }
  function ownSpan() {
    if (!market || !market.t.length) return wholeRun();
    const [a, b] = [market.t[0], market.t[market.t.length - 1]];
    return b - a > 0 && b - a < 0.6 * data.end ? [Math.max(0, a - 0.04 * (b - a)), Math.min(data.end, b + 0.04 * (b - a))] : wholeRun();
  }

  function el(name, attrs, parent, text) {
    const node = document.createElementNS(svg.namespaceURI, name);
    for (const key in attrs) node.setAttribute(key, attrs[key]);
    if (text !== undefined) node.textContent = text;
    (parent || svg).appendChild(node);
    return node;
  }
  function css(name) { return "var(--" + name + ")"; }
  function x(t) { return left + (t - view[0]) / (view[1] - view[0]) * (width - left - RIGHT); }
  function timeAt(px) { return view[0] + (px - left) / (width - left - RIGHT) * (view[1] - view[0]); }
  // Index of the last entry of `times` that is <= t, or -1.
  function before(times, t) {
    let lo = 0, hi = times.length;
    while (lo < hi) { const mid = (lo + hi) >> 1; if (times[mid] <= t) lo = mid + 1; else hi = mid; }
    return lo - 1;
  }
  function clock(t, step) {
    const iso = new Date(data.t0 + t).toISOString();
    if (step >= 864e5) return iso.slice(5, 10);
    return step >= 6e4 ? iso.slice(11, 16) : step >= 1e3 ? iso.slice(11, 19) : iso.slice(14, 23);
  }
  function places(step) { return Math.max(0, Math.min(10, Math.ceil(-Math.log10(step) - 1e-9))); }
  function grouped(v, decimals) {
    return v.toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals }).replace("-", "−");
  }
  function signed(v) { return (v > 0 ? "+" : "") + grouped(v, Math.abs(v) >= 1000 ? 2 : 4); }

  // [start, end) of the entries needed to draw a step line over the view.
  function span(times) { return [Math.max(0, before(times, view[0])), Math.min(times.length, before(times, view[1]) + 2)]; }
  function range(lists, zero) {
    let lo = Infinity, hi = -Infinity;
    for (const [times, values] of lists) {
      const [from, to] = span(times);
      for (let i = from; i < to; i++) {
        if (values[i] === null || times[i] > view[1]) continue;
        if (values[i] < lo) lo = values[i];
        if (values[i] > hi) hi = values[i];
      }
    }
    if (lo > hi) return null;
    if (zero) { lo = Math.min(0, lo); hi = Math.max(0, hi); }
    const pad = (hi - lo) * 0.07 || Math.abs(hi) * 0.01 || 1;
    return [zero && lo === 0 ? 0 : lo - pad, zero && hi === 0 ? (lo === 0 ? pad : 0) : hi + pad];
  }
  function ticks(lo, hi, count) {
    const raw = (hi - lo) / count, base = Math.pow(10, Math.floor(Math.log10(raw)));
    const step = [1, 2, 5, 10].map((m) => m * base).find((s) => s >= raw * 0.999);
    const list = [];
    for (let k = Math.ceil(lo / step); k * step <= hi; k++) list.push(k * step || 0); // || 0: no −0
    return [list, step];
  }
  // A step line; a null value breaks it. `until` extends the last value (a position is held until it changes).
  function steps(times, values, y, until) {
    const [from, to] = span(times);
    let d = "", open = false, last = null;
    for (let i = from; i < to; i++) {
      const v = values[i];
      if (v === null) { if (open) d += "H" + x(times[i]).toFixed(1); open = false; continue; }
      const px = x(times[i]).toFixed(1);
      d += open ? "H" + px : "M" + px + " " + y(v).toFixed(1);
      if (open && v !== last) d += "V" + y(v).toFixed(1);
      open = true;
      last = v;
    }
    return open && until !== undefined && to === times.length ? d + "H" + x(until).toFixed(1) : d;
  }
  function area(line, base) {
    return line.split("M").filter(Boolean).map((part) => {
      const start = part.split(/[ HV]/)[0], ends = part.match(/H[\d.-]+/g);
      return ends ? "M" + start + " " + base.toFixed(1) + "V" + part.split(/[ HV]/)[1] + part.slice(part.search(/[HV]/)) + "V" + base.toFixed(1) + "Z" : "";
    }).join("");
  }

  function build() {
    const inventory = market ? market.inventory : { t: [], v: [] };
    const prices = market ? [[market.t, market.bid], [market.t, market.ask], [market.fills.t, market.fills.p]] : [];
    return [
      { title: market ? "Price · " + market.quote : "Price", range: range(prices), none: "no price was recorded in this view", draw: drawPrice },
      { title: "Inventory · net size", range: range([[inventory.t, inventory.v]], true), none: "no position", draw: drawInventory },
      { title: "Net PnL after fees" + (data.equity.lines.length ? " · " + data.equity.lines.map((l) => l.name).join(", ") : ""),
        range: range(data.equity.lines.map((l) => [data.equity.t, l.v]), true), none: "no samples", draw: drawEquity },
    ];
  }

  function draw() {
    width = svg.clientWidth;
    height = svg.clientHeight;
    svg.setAttribute("viewBox", "0 0 " + width + " " + height);
    svg.replaceChildren();
    panels = build();
    const room = height - AXIS - TOP - 2 * GAP;
    let top = TOP;
    for (const [i, p] of panels.entries()) {
      p.top = top;
      p.bottom = top + room * SHARES[i];
      top = p.bottom + GAP;
      const [list, step] = p.range ? ticks(p.range[0], p.range[1], i ? 3 : 8) : [[], 1];
      p.ticks = list.map((v) => [v, grouped(v, places(step))]);
      p.y = p.range ? (v) => p.bottom - (v - p.range[0]) / (p.range[1] - p.range[0]) * (p.bottom - p.top) : null;
    }
    left = 16 + 6.6 * Math.max(4, ...panels.flatMap((p) => p.ticks.map((t) => t[1].length)));
    const goal = (view[1] - view[0]) / Math.max(2, (width - left) / 110);
    const step = STEPS.find((s) => s >= goal) || STEPS[STEPS.length - 1];
    const times = [];
    for (let t = Math.ceil((data.t0 + view[0]) / step) * step - data.t0; t <= view[1]; t += step) times.push(t);
    for (const [i, p] of panels.entries()) {
      for (const t of times) el("line", { x1: x(t), x2: x(t), y1: p.top, y2: p.bottom, stroke: css("grid") });
      for (const [v, label] of p.ticks) {
        el("line", { x1: left, x2: width - RIGHT, y1: p.y(v), y2: p.y(v), stroke: css(v === 0 ? "faint" : "grid") });
        el("text", { x: left - 8, y: p.y(v) + 4, "text-anchor": "end" }, svg, label);
      }
      el("text", { x: left, y: p.top - 8, class: "title" }, svg, p.title);
      const clip = el("clipPath", { id: "clip" + i });
      el("rect", { x: left, y: p.top - 4, width: Math.max(0, width - left - RIGHT), height: p.bottom - p.top + 8 }, clip);
      if (p.range) p.draw(p, el("g", { "clip-path": "url(#clip" + i + ")" }));
      else el("text", { x: (left + width) / 2, y: (p.top + p.bottom) / 2, "text-anchor": "middle" }, svg, p.none);
    }
    for (const t of times) {
      if (x(t) < left + 18 || x(t) > width - RIGHT - 18) continue;
      el("text", { x: x(t), y: height - 6, "text-anchor": "middle" }, svg, clock(t, step));
    }
    el("text", { x: left - 8, y: height - 6, "text-anchor": "end" }, svg, "UTC");
    document.documentElement.dataset.drawn = String(panels.filter((p) => p.range).length);
  }

  function drawPrice(p, g) {
    const bid = steps(market.t, market.bid, p.y), ask = steps(market.t, market.ask, p.y);
    el("path", { d: bandPath(p), fill: css("band") }, g);
    el("path", { d: ask, fill: "none", stroke: css("ask"), "stroke-width": 1.4 }, g);
    el("path", { d: bid, fill: "none", stroke: css("bid"), "stroke-width": 1.4 }, g);
    const f = market.fills, shapes = { "00": "", "01": "", "10": "", "11": "" };
    for (let i = 0; i < f.t.length; i++) {
      if (f.t[i] < view[0] || f.t[i] > view[1]) continue;
      shapes["" + f.buy[i] + f.maker[i]] += marker(x(f.t[i]), p.y(f.p[i]), f.buy[i], f.maker[i]);
    }
    for (const key in shapes) {
      if (shapes[key]) el("path", { d: shapes[key], fill: css(key[0] === "1" ? "buy" : "sell"), stroke: css("card"), "stroke-width": 1 }, g);
    }
  }
  function bandPath(p) {
    const [from, to] = span(market.t);
    let d = "";
    for (let i = from; i + 1 < to; i++) {
      if (market.bid[i] === null || market.ask[i] === null) continue;
      const a = x(market.t[i]).toFixed(1), b = x(market.t[i + 1]).toFixed(1);
      if (a !== b) d += "M" + a + " " + p.y(market.ask[i]).toFixed(1) + "H" + b + "V" + p.y(market.bid[i]).toFixed(1) + "H" + a + "Z";
    }
    return d;
  }
  function marker(px, py, buy, maker) {
    const r = maker ? 4.2 : 5.2, s = buy ? 1 : -1;
    px = +px.toFixed(1); py = +py.toFixed(1);
    return maker ? "M" + (px - r) + " " + py + "a" + r + " " + r + " 0 1 0 " + 2 * r + " 0a" + r + " " + r + " 0 1 0 " + -2 * r + " 0Z"
      : "M" + px + " " + (py - s * r) + "l" + r + " " + s * 1.75 * r + "h" + -2 * r + "Z";
  }
  function drawInventory(p, g) {
    const line = steps(market.inventory.t, market.inventory.v, p.y, Math.min(view[1], data.end));
    el("path", { d: area(line, p.y(0)), fill: css("inventory-soft") }, g);
    el("path", { d: line, fill: "none", stroke: css("inventory"), "stroke-width": 1.5 }, g);
  }
  function drawEquity(p, g) {
    data.equity.lines.forEach((l, i) => {
      const line = steps(data.equity.t, l.v, p.y, Math.min(view[1], data.end));
      if (data.equity.lines.length === 1) el("path", { d: area(line, p.y(0)), fill: css("equity-soft") }, g);
      el("path", { d: line, fill: "none", stroke: css("equity"), "stroke-width": 1.7, "stroke-dasharray": i ? 5 * i + " 3" : "none" }, g);
      const last = before(data.equity.t, view[1]);
      if (data.equity.lines.length > 1 && last >= 0) {
        el("text", { x: width - RIGHT - 4, y: Math.max(p.top + 9, p.y(l.v[last]) - 6), "text-anchor": "end" }, g, l.name);
      }
    });
  }

  function nearestFill(px, py) {
    let best = -1, reach = REACH * REACH;
    if (!market || !panels[0].range) return best;
    const f = market.fills;
    for (let i = 0; i < f.t.length; i++) {
      const dx = x(f.t[i]) - px, dy = panels[0].y(f.p[i]) - py;
      if (dx * dx + dy * dy < reach) { best = i; reach = dx * dx + dy * dy; }
    }
    return best;
  }
  function line(parent, label, value) {
    const row = document.createElement("div");
    if (label) row.append(label + " ");
    const strong = document.createElement("b");
    strong.textContent = value;
    row.append(strong);
    parent.append(row);
  }
  function point(event) {
    const box = svg.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }
  function clearHover() {
    tip.style.display = "none";
    svg.querySelectorAll(".hover").forEach((node) => node.remove());
  }
  function hover(px, py) {
    clearHover();
    if (px < left || px > width - RIGHT) return;
    const t = timeAt(px), bottom = panels[2].bottom;
    el("line", { x1: px, x2: px, y1: panels[0].top, y2: bottom, stroke: css("faint"), "stroke-dasharray": "3 3", class: "hover" });
    tip.replaceChildren();
    line(tip, "", new Date(data.t0 + t).toISOString().replace("T", " ").replace("Z", " UTC"));
    if (market) {
      const i = before(market.t, t), dp = market.decimals;
      if (i >= 0 && t <= market.t[market.t.length - 1]) {
        line(tip, "bid", market.bid[i] === null ? "none" : grouped(market.bid[i], dp));
        line(tip, "ask", market.ask[i] === null ? "none" : grouped(market.ask[i], dp));
      }
      const k = before(market.inventory.t, t);
      if (k >= 0) line(tip, "inventory", grouped(market.inventory.v[k], Math.min(8, places(Math.abs(market.inventory.v[k]) / 1000 || 1))));
    }
    const e = before(data.equity.t, t);
    if (e >= 0) data.equity.lines.forEach((l) => line(tip, "net PnL", signed(l.v[e]) + " " + l.name));
    const n = nearestFill(px, py);
    if (n >= 0) {
      const f = market.fills, box = document.createElement("div");
      box.className = "fill";
      line(box, "", f.text[n]);
      for (const text of [f.whys[f.why[n]], "fee " + f.fee[n] + " " + market.quote, "order " + f.id[n]]) {
        const row = document.createElement("div");
        row.textContent = text;
        box.append(row);
      }
      tip.append(box);
      el("circle", { cx: x(f.t[n]), cy: panels[0].y(f.p[n]), r: 8, fill: "none", stroke: css("ink"), "stroke-width": 1.5, class: "hover" });
    }
    tip.style.display = "block";
    const w = tip.offsetWidth;
    tip.style.left = (px + w + 18 > width ? Math.max(0, px - w - 14) : px + 14) + "px";
    tip.style.top = Math.max(0, Math.min(py + 12, height - tip.offsetHeight)) + "px";
  }

  function show(from, to) {
    const least = Math.min(20, data.end), size = Math.max(least, Math.min(data.end, to - from));
    const start = Math.max(0, Math.min(data.end - size, from));
    view = [start, start + size];
    clearHover();
    draw();
  }
  function zoom(factor) {
    const middle = (view[0] + view[1]) / 2, half = (view[1] - view[0]) * factor / 2;
    show(middle - half, middle + half);
  }
  function pan(share) { const by = (view[1] - view[0]) * share; show(view[0] + by, view[1] + by); }

  svg.addEventListener("pointerdown", (event) => {
    const [px, py] = point(event);
    if (event.pointerType === "mouse" && event.button === 0) { grab = px; svg.setPointerCapture(event.pointerId); }
    else hover(px, py);
  });
  svg.addEventListener("pointermove", (event) => {
    const [px, py] = point(event);
    if (grab === null) return hover(px, py);
    clearHover();
    const a = Math.max(left, Math.min(grab, px)), b = Math.min(width - RIGHT, Math.max(grab, px));
    el("rect", { x: a, y: panels[0].top, width: Math.max(0, b - a), height: panels[2].bottom - panels[0].top, fill: css("buy"), opacity: 0.14, class: "hover" });
  });
  svg.addEventListener("pointerup", (event) => {
    if (grab === null) return;
    const [px] = point(event), [a, b] = [Math.min(grab, px), Math.max(grab, px)];
    grab = null;
    if (b - a > 6) show(timeAt(Math.max(left, a)), timeAt(b)); else clearHover();
  });
  svg.addEventListener("pointerleave", () => { if (grab === null) clearHover(); });
  svg.addEventListener("dblclick", () => show(...wholeRun()));
  svg.addEventListener("keydown", (event) => {
    const act = { ArrowLeft: () => pan(-0.2), ArrowRight: () => pan(0.2), "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), 0: () => show(...wholeRun()) }[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  document.getElementById("closer").addEventListener("click", () => zoom(0.5));
  document.getElementById("wider").addEventListener("click", () => zoom(2));
  document.getElementById("earlier").addEventListener("click", () => pan(-0.4));
  document.getElementById("later").addEventListener("click", () => pan(0.4));
  document.getElementById("whole").addEventListener("click", () => show(...wholeRun()));
  if (picker) picker.addEventListener("change", () => { market = data.markets[picker.selectedIndex]; show(...ownSpan()); });
  new ResizeObserver(() => { if (svg.clientWidth !== width || svg.clientHeight !== height) { clearHover(); draw(); } }).observe(svg);
  show(...ownSpan());
})();
