"use strict";
// The drawing stands in one or more sheets, from the least to the most detail.
const facts = JSON.parse(document.getElementById("data").textContent);
const sheets = [...document.querySelectorAll(".sheet")];
const panel = document.getElementById("facts");
const search = document.getElementById("search");
const found = document.getElementById("found");
let level = Number(document.body.dataset.level);
let hits = [];
let at = 0;

const svgOf = (sheet) => sheet.querySelector("svg");
const titleOf = (node) => node.querySelector("title").textContent;

for (const sheet of sheets) {
  const svg = svgOf(sheet);
  svg.dataset.whole = svg.getAttribute("viewBox");
  svg.removeAttribute("width");
  svg.removeAttribute("height");
  for (const node of sheet.querySelectorAll(".node")) {
    node.setAttribute("tabindex", "0");
    node.setAttribute("role", "button");
    const known = facts[titleOf(node)];
    node.setAttribute("aria-label", known ? known.title : titleOf(node));
    node.addEventListener("click", () => show(node));
    node.addEventListener("mouseenter", () => show(node));
    node.addEventListener("focus", () => show(node));
  }
}

function show(node) {
  document.querySelectorAll(".chosen").forEach((n) => n.classList.remove("chosen"));
  panel.hidden = !node || !facts[titleOf(node)];
  if (panel.hidden) return;
  node.classList.add("chosen");
  const known = facts[titleOf(node)];
  panel.replaceChildren();
  for (const [name, value] of [["", known.title], ...known.facts]) {
    const term = document.createElement("dt");
    const text = document.createElement("dd");
    term.textContent = name;
    text.textContent = value;
    panel.append(term, text);
  }
}

function box(svg) {
  return svg.getAttribute("viewBox").split(/[ ,]+/).map(Number);
}

function zoom(factor, x, y) {
  const svg = svgOf(sheets[level]);
  const [left, top, width, height] = box(svg);
  const centre = x === undefined ? [left + width / 2, top + height / 2] : [x, y];
  const moved = [centre[0] - (centre[0] - left) * factor, centre[1] - (centre[1] - top) * factor];
  svg.setAttribute("viewBox", [...moved, width * factor, height * factor].join(" "));
}

function pan(dx, dy) {
  const svg = svgOf(sheets[level]);
  const [left, top, width, height] = box(svg);
  svg.setAttribute("viewBox", [left + dx * width, top + dy * height, width, height].join(" "));
}

function whole() {
  const svg = svgOf(sheets[level]);
  svg.setAttribute("viewBox", svg.dataset.whole);
}

function detail(change) {
  level = Math.min(sheets.length - 1, Math.max(0, level + change));
  sheets.forEach((sheet, i) => { sheet.hidden = i !== level; });
  document.getElementById("less").disabled = level === 0;
  document.getElementById("more").disabled = level === sheets.length - 1;
  document.body.dataset.level = String(level);
  show(null);
  look(false);
}

function look(jump) {
  const sheet = sheets[level];
  const words = search.value.trim().toLowerCase();
  sheet.classList.toggle("searching", words !== "");
  hits = [];
  for (const node of sheet.querySelectorAll(".node")) {
    const known = facts[titleOf(node)];
    const text = (known ? [known.title, ...known.facts.flat()].join(" ") : titleOf(node)).toLowerCase();
    const isHit = words !== "" && text.includes(words);
    node.classList.toggle("hit", isHit);
    if (isHit) hits.push(node);
  }
  found.textContent = words === "" ? "" : `${hits.length ? at + 1 : 0} / ${hits.length}`;
  if (jump && hits.length) visit(0);
}

function visit(step) {
  if (!hits.length) return;
  at = (at + step + hits.length) % hits.length;
  const svg = svgOf(sheets[level]);
  const place = hits[at].getBBox();
  const point = new DOMPoint(place.x + place.width / 2, place.y + place.height / 2);
  const inner = point.matrixTransform(svg.getScreenCTM().inverse().multiply(hits[at].getScreenCTM()));
  const [, , width, height] = box(svg);
  svg.setAttribute("viewBox", [inner.x - width / 2, inner.y - height / 2, width, height].join(" "));
  found.textContent = `${at + 1} / ${hits.length}`;
  show(hits[at]);
}

for (const sheet of sheets) {
  const pointers = new Map();
  sheet.addEventListener("wheel", (event) => {
    event.preventDefault();
    const matrix = svgOf(sheet).getScreenCTM().inverse();
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix);
    zoom(event.deltaY > 0 ? 1.15 : 1 / 1.15, point.x, point.y);
  }, { passive: false });
  sheet.addEventListener("pointerdown", (event) => pointers.set(event.pointerId, [event.clientX, event.clientY]));
  sheet.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const now = [event.clientX, event.clientY];
    if (pointers.size === 1) {
      pan((before[0] - now[0]) / sheet.clientWidth, (before[1] - now[1]) / sheet.clientHeight);
    } else {
      const other = [...pointers].find(([id]) => id !== event.pointerId)[1];
      zoom(Math.hypot(before[0] - other[0], before[1] - other[1]) / Math.hypot(now[0] - other[0], now[1] - other[1]));
    }
    pointers.set(event.pointerId, now);
  });
  for (const end of ["pointerup", "pointercancel", "pointerleave"]) {
    sheet.addEventListener(end, (event) => pointers.delete(event.pointerId));
  }
}

const actions = {
  "+": () => zoom(1 / 1.25), "=": () => zoom(1 / 1.25), "-": () => zoom(1.25), "0": whole,
  "ArrowLeft": () => pan(-0.1, 0), "ArrowRight": () => pan(0.1, 0),
  "ArrowUp": () => pan(0, -0.1), "ArrowDown": () => pan(0, 0.1),
  "]": () => detail(1), "[": () => detail(-1), "/": () => search.focus(), "n": () => visit(1),
  "Escape": () => { search.value = ""; look(false); show(null); },
};
document.addEventListener("keydown", (event) => {
  if (event.target === search) {
    if (event.key === "Enter") visit(event.shiftKey ? -1 : 1);
    if (event.key === "Escape") { actions.Escape(); search.blur(); }
    return;
  }
  if (event.key === "Enter" && event.target.classList.contains("node")) show(event.target);
  if (event.ctrlKey || event.metaKey || event.altKey || !actions[event.key]) return;
  event.preventDefault();
  actions[event.key]();
});
search.addEventListener("input", () => { at = 0; look(true); });
document.getElementById("in").addEventListener("click", actions["+"]);
document.getElementById("out").addEventListener("click", actions["-"]);
document.getElementById("whole").addEventListener("click", whole);
document.getElementById("more").addEventListener("click", () => detail(1));
document.getElementById("less").addEventListener("click", () => detail(-1));
detail(0);
