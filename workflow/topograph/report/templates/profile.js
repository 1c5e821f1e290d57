// Draws the landscapes in #data, which profile_page.py writes, as linked panels.
"use strict";

const byId = (name) => document.getElementById(name);
const page = JSON.parse(byId("data").textContent);
const panels = ["profile", "tree", "diagram", "surface"].map(byId).filter(Boolean);
const tooltip = byId("tooltip");
const HEIGHT = 310;
const EDGE = { left: 68, right: 14, top: 14, bottom: 44 };
const MASKED = 65535;
let landscape, logarithmic, shade, marked = -1;

// Elements ---------------------------------------------------------------------------------------

function add(parent, name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return parent.appendChild(made);
}

const path = (parent, points, attributes, end = "") => add(parent, "path", {
  d: "M" + points.map(([x, y]) => x.toFixed(2) + "," + y.toFixed(2)).join("L") + end, ...attributes,
});

function dot(parent, kind, x, y, basin) {
  const radius = landscape.basins.length > 60 ? 2.5 : 4.5;
  return add(parent, "circle", {
    class: kind + paint(basin), cx: x, cy: y, r: radius, fill: page.style[kind] ?? "none", "data-basin": basin,
  });
}

// Scales -----------------------------------------------------------------------------------------

function scale(low, high, from, to, log) {
  const value = log ? Math.log : Number;
  const span = value(high) - value(low) || 1;
  const place = (x) => from + ((value(x) - value(low)) / span) * (to - from);
  place.ticks = high > low ? ticks(low, high, log) : [low];
  const gap = place.ticks.length > 1 ? place.ticks[1] - place.ticks[0] : Math.abs(low) / 100 || 1;
  place.label = (x) => {
    const digits = Math.ceil(Math.log10(Math.abs(x) / gap + 1)) + 2;
    return String(Number(x.toPrecision(Math.min(15, digits))));
  };
  return place;
}

function ticks(low, high, log) {
  const decades = log ? Math.log10(high / low) : 0;
  // Over less than a factor of five, equal steps of the loss are easier to read.
  if (decades > 0.7) return powers(low, high, decades);
  const raw = (high - low) / 6, unit = 10 ** Math.floor(Math.log10(raw));
  const step = unit * ([1, 2, 5].find((m) => m * unit >= raw) ?? 10);
  const first = Math.ceil(low / step), count = Math.floor(high / step) - first + 1;
  return Array.from({ length: count }, (_, i) => (first + i) * step);
}

function powers(low, high, decades) {
  const found = [], step = Math.ceil(decades / 6), factors = decades < 2.5 ? [1, 2, 5] : [1];
  for (let e = Math.floor(Math.log10(low)); e <= Math.log10(high); e += step) {
    found.push(...factors.map((m) => m * 10 ** e).filter((x) => x >= low && x <= high));
  }
  return found;
}

const lossScale = (from, to) => scale(landscape.low, landscape.high, from, to, logarithmic);

// Panels -----------------------------------------------------------------------------------------

function start(svg, right = svg.clientWidth - EDGE.right) {
  svg.replaceChildren();
  svg.setAttribute("height", HEIGHT);
  const [width, height] = [right - EDGE.left, HEIGHT - EDGE.top - EDGE.bottom];
  add(svg, "rect", { x: EDGE.left, y: EDGE.top, width, height, fill: page.style.background });
  return [EDGE.left + 8, right - 8, HEIGHT - EDGE.bottom - 8, EDGE.top + 8];
}

function frame(svg, x, y, names, right = svg.clientWidth - EDGE.right) {
  const height = Number(svg.getAttribute("height")), bottom = height - EDGE.bottom;
  const axes = add(svg, "g", { "aria-hidden": "true" });
  path(axes, [[EDGE.left, EDGE.top], [EDGE.left, bottom], [right, bottom]], { class: "axis" });
  for (const tick of y.ticks) {
    path(axes, [[EDGE.left - 4, y(tick)], [EDGE.left, y(tick)]], { class: "axis" });
    add(axes, "text", { x: EDGE.left - 7, y: y(tick) + 4, "text-anchor": "end" }, y.label(tick));
  }
  for (const tick of x?.ticks ?? []) {
    path(axes, [[x(tick), bottom], [x(tick), bottom + 4]], { class: "axis" });
    add(axes, "text", { x: x(tick), y: bottom + 16, "text-anchor": "middle" }, x.label(tick));
  }
  const middle = (EDGE.left + right) / 2;
  add(axes, "text", { x: middle, y: height - 8, "text-anchor": "middle" }, names[0]);
  const turned = `translate(13 ${(EDGE.top + bottom) / 2}) rotate(-90)`;
  add(axes, "text", { transform: turned, "text-anchor": "middle" }, names[1]);
  add(svg, "g", { class: "over" });
}

const merges = (basin) => basin.into !== undefined;
const paint = (number) => landscape.basins[number].unresolved ? " unresolved" : "";

function dots(svg, saddle, minimum) {
  landscape.basins.forEach((basin, i) => merges(basin) && dot(svg, "saddle", ...saddle(basin), i));
  landscape.basins.forEach((basin, i) => dot(svg, "minimum", ...minimum(basin, i), i));
}

function drawProfile(svg) {
  const [left, right, bottom, top] = start(svg);
  const x = scale(0, landscape.finite, left, right), y = lossScale(bottom, top);
  for (const arc of landscape.arcs) {
    const half = (side) => arc.widths.map((w, i) => [x(arc.x + side * w), y(arc.losses[i])]);
    const fill = shade(arc.mean);
    path(svg, [...half(-1), ...half(1).reverse()], {
      class: "arc" + (arc.widths[0] ? " shared" : "") + paint(arc.basin), fill, stroke: fill, "data-basin": arc.basin,
    }, "Z");
  }
  dots(svg, (b) => [x(b.saddle_x), y(b.saddle)], (b) => [x(b.x), y(b.loss)]);
  frame(svg, x, y, ["grid points", "loss"]);
}

function drawTree(svg) {
  const [left, right, bottom, top] = start(svg);
  const y = lossScale(bottom, top), count = landscape.basins.length;
  const x = (i) => left + ((i + 0.5) / count) * (right - left);
  landscape.basins.forEach((basin, i) => {
    const ends = merges(basin) ? [[x(i), y(basin.saddle)], [x(basin.into), y(basin.saddle)]]
      : [[x(i), top]];
    const line = [[x(i), y(basin.loss)], ...ends];
    path(svg, line, { class: "branch" + paint(i), "stroke-width": count > 60 ? 0.6 : 1.2, "data-basin": i });
    path(svg, line, { class: "hit", "data-basin": i });
  });
  dots(svg, (b) => [x(b.into), y(b.saddle)], (b, i) => [x(i), y(b.loss)]);
  frame(svg, null, y, ["basins", "loss"]);
}

function drawDiagram(svg) {
  const [left, right, bottom, top] = start(svg), never = top + 4, upper = top + 26;
  const saddles = landscape.basins.filter(merges).map((basin) => basin.saddle);
  const high = saddles.length ? Math.max(...saddles) : landscape.high;
  const x = scale(landscape.low, high, left, right, logarithmic);
  const y = scale(landscape.low, high, bottom, upper, logarithmic);
  path(svg, [[left, bottom], [right, upper]], { class: "guide" });
  path(svg, [[left, never], [right, never]], { class: "guide" });
  add(svg, "text", { x: right, y: never + 14, "text-anchor": "end" }, "on this line: never merges");
  landscape.basins.forEach((basin, i) => {
    const place = [x(basin.loss), merges(basin) ? y(basin.saddle) : never];
    path(svg, [[place[0], y(basin.loss)], place], { class: "depth", "data-basin": i });
    dot(svg, "point", ...place, i);
  });
  frame(svg, x, y, ["minimum (loss)", "saddle (loss)"]);
}

// The surface ------------------------------------------------------------------------------------

function drawSurface(svg) {
  const { shape: [columns, rows], stride, basins } = landscape.surface;
  const room = svg.clientWidth - EDGE.left - EDGE.right, { left, top } = EDGE;
  const side = Math.min(HEIGHT - EDGE.bottom - top, room), bottom = top + side;
  const [x, y] = page.axes.map((alphas, k) => {
    const half = alphas.length > 1 ? (stride * (alphas[1] - alphas[0])) / 2 : 0.5;
    const last = alphas[([columns, rows][k] - 1) * stride];
    return scale(alphas[0] - half, last + half, ...(k ? [bottom, top] : [left, left + side]));
  });
  svg.replaceChildren();
  svg.setAttribute("height", bottom + EDGE.bottom);
  add(svg, "image", {
    href: heatMap(), x: left, y: top, width: side, height: side, preserveAspectRatio: "none",
    style: "image-rendering: pixelated",
  });
  dots(svg, (b) => [x(b.saddle_alpha[0]), y(b.saddle_alpha[1])], (b) => [x(b.alpha[0]), y(b.alpha[1])]);
  frame(svg, x, y, ["α₁", "α₂"], left + side);
  const owners = spread(basins), unit = [side / columns, side / rows];
  const owner = (i, j) => i >= 0 && i < columns && j >= 0 && j < rows ? owners[i * rows + j] : -1;
  svg.basinAt = (event) => {
    const box = svg.getBoundingClientRect();
    return owner(Math.floor((event.clientX - box.left - left) / unit[0]),
      Math.floor((bottom - event.clientY + box.top) / unit[1]));
  };
  svg.markCells = (over, basin) => {
    const corner = (i, j) => `${left + i * unit[0]},${bottom - j * unit[1]}`;
    let cells = "", edges = "";
    owners.forEach((found, cell) => {
      if (found !== basin) return;
      const i = Math.floor(cell / rows), j = cell % rows;
      const [a, b, c, d] = [corner(i, j), corner(i + 1, j), corner(i + 1, j + 1), corner(i, j + 1)];
      cells += `M${a}L${b}L${c}L${d}Z`;
      for (const [other, from, to] of [
        [owner(i, j - 1), a, b], [owner(i + 1, j), b, c], [owner(i, j + 1), c, d], [owner(i - 1, j), d, a],
      ]) if (other !== basin) edges += `M${from}L${to}`;
    });
    add(over, "path", { class: "cells", d: cells, "data-basin": basin });
    add(over, "path", { class: "edges", d: edges, "data-basin": basin });
  };
}

function spread(runs) {
  const found = [];
  for (let i = 0; i < runs.length; i += 2) found.push(...Array(runs[i + 1]).fill(runs[i]));
  return found;
}

function heatMap() {
  const { shape: [columns, rows], losses } = landscape.surface;
  const bytes = Uint8Array.from(atob(losses), (letter) => letter.charCodeAt(0));
  const steps = new DataView(bytes.buffer), canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [columns, rows];
  const context = canvas.getContext("2d"), { low, high } = landscape;
  const loss = (share) => low > 0 ? low * (high / low) ** share : low + share * (high - low);
  for (let cell = 0; cell < columns * rows; cell++) {
    const step = steps.getUint16(2 * cell, true);
    if (step === MASKED) continue;
    context.fillStyle = shade(loss(step / (MASKED - 1)));
    // Rows of a canvas count downwards, alpha_2 grows upwards.
    context.fillRect(Math.floor(cell / rows), rows - 1 - (cell % rows), 1, 1);
  }
  return canvas.toDataURL();
}

// Marking a basin --------------------------------------------------------------------------------

function mark(basin, at) {
  if (basin !== marked) {
    marked = basin;
    for (const svg of panels) {
      const over = svg.querySelector(".over");
      if (!over) continue;
      over.replaceChildren();
      if (basin < 0) continue;
      const same = svg.querySelectorAll(`[data-basin="${basin}"]:not(.hit)`);
      svg.markCells?.(over, basin);
      over.append(...[...same].map((node) => node.cloneNode()));
    }
    if (basin >= 0) tell(landscape.basins[basin]);
    tooltip.hidden = basin < 0;
  }
  if (basin < 0) return;
  const room = [innerWidth - tooltip.offsetWidth - 4, innerHeight - tooltip.offsetHeight - 4];
  tooltip.style.left = Math.max(4, Math.min(at.x + 16, room[0])) + "px";
  tooltip.style.top = (at.y + 16 > room[1] ? Math.max(4, at.y - tooltip.offsetHeight - 16) : at.y + 16) + "px";
}

function tell(basin) {
  const share = ((100 * basin.volume) / landscape.finite).toPrecision(3);
  const facts = {
    Minimum: `loss ${basin.loss}`,
    Saddle: merges(basin) ? `loss ${basin.saddle}` : "none: it never merges",
    Depth: merges(basin) ? basin.depth : "infinite",
    Volume: `${basin.volume} of ${landscape.finite} grid points, ${Number(share)}\u00a0%`,
    Parameters: basin.alpha.map((alpha, i) => `α${"₁₂₃₄₅₆₇₈₉"[i] ?? i + 1} = ${alpha}`).join(", "),
  };
  const list = document.createElement("dl");
  for (const [name, fact] of Object.entries(facts)) {
    list.appendChild(document.createElement("dt")).textContent = name;
    list.appendChild(document.createElement("dd")).textContent = fact;
  }
  tooltip.replaceChildren(list);
  if (!basin.unresolved) return;
  const note = tooltip.appendChild(document.createElement("p"));
  note.textContent = "not resolved: shorter than the error of the arithmetic";
}

function step(svg, key) {
  const last = landscape.basins.length - 1;
  const next = {
    ArrowRight: Math.min(marked + 1, last), ArrowLeft: Math.max(marked - 1, 0),
    Home: 0, End: last, Escape: -1, focus: Math.max(marked, 0),
  }[key];
  if (next === undefined) return false;
  mark(next, { x: 0, y: 0 });
  const box = svg.querySelector(".over .minimum, .over .point")?.getBoundingClientRect();
  if (box) mark(next, { x: box.right, y: box.bottom });
  return true;
}

for (const svg of panels) {
  const point = (event) => {
    if (!landscape.basins) return;
    const hit = event.target.closest("[data-basin]");
    const basin = hit ? Number(hit.dataset.basin) : svg.basinAt?.(event) ?? -1;
    mark(basin, { x: event.clientX, y: event.clientY });
  };
  svg.addEventListener("pointermove", point);
  svg.addEventListener("pointerdown", point);
  // A finger that is lifted leaves too; what it tapped stays marked.
  svg.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && mark(-1));
  svg.addEventListener("blur", () => mark(-1));
  svg.addEventListener("focus", () => {
    if (landscape.basins && svg.matches(":focus-visible")) step(svg, "focus");
  });
  svg.addEventListener("keydown", (event) => {
    if (landscape.basins && step(svg, event.key)) event.preventDefault();
  });
}

// What is shown ----------------------------------------------------------------------------------

function summary() {
  const { minima, basins, surface, masked, diverged } = landscape;
  const which = `Seed ${landscape.seed}, epoch ${landscape.epoch}: `;
  if (diverged) return which + "diverged. No loss is finite, so there is nothing to draw.";
  const said = [basins.length < minima
    ? `${basins.length} of ${minima} minima are shown, the most persistent ones; the grid points ` +
      "of the others count towards the basins that they merge into."
    : minima === 1 ? "one minimum." : `${minima} minima, all shown.`];
  if (surface?.stride > 1) said.push(`The surface shows one grid point of ${surface.stride} on each axis.`);
  if (masked) said.push(`${masked} grid points without a finite loss are left out.`);
  return which + said.join(" ");
}

function draw() {
  mark(-1);
  const chosen = ({ seed, epoch }) => String(seed) === byId("seed").value && String(epoch) === byId("epoch").value;
  landscape = page.landscapes.find(chosen);
  byId("state").textContent = summary();
  byId("panels").hidden = Boolean(landscape.diverged);
  byId("logarithmic").disabled = !(landscape.low > 0);
  if (landscape.diverged) return;
  logarithmic = byId("logarithmic").checked && landscape.low > 0;
  const colours = page.style.loss, place = lossScale(0, colours.length - 1);
  shade = (loss) => colours[Math.max(0, Math.min(colours.length - 1, Math.round(place(loss))))];
  const drawing = { profile: drawProfile, tree: drawTree, diagram: drawDiagram, surface: drawSurface };
  for (const svg of panels) drawing[svg.id](svg);
}

byId("logarithmic").checked = page.landscapes.every((one) => one.diverged || one.low > 0);
for (const name of ["seed", "epoch", "logarithmic"]) byId(name).addEventListener("change", draw);
addEventListener("resize", draw);
draw();
