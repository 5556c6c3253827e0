"use strict";
// What part of the drawing is seen: the point at the upper left corner, and pixels per unit.
const data = JSON.parse(document.getElementById("data").textContent);
const { facts, sheets, words } = data;
const by = (id) => document.getElementById(id);
const stage = by("stage");
const view = { x: 0, y: 0, scale: 1 };
let current = null; // the sheet that is shown: its data with `element`, `svg` and `size`

function apply() {
  const width = stage.clientWidth / view.scale;
  const height = stage.clientHeight / view.scale;
  current.svg.setAttribute("viewBox", [view.x, view.y, width, height].join(" "));
}

function fitting() {
  const [width, height] = current.size;
  return Math.min((stage.clientWidth - 16) / width, (stage.clientHeight - 16) / height, 1.6);
}

function whole() {
  const [width, height] = current.size;
  view.scale = fitting();
  view.x = (width - stage.clientWidth / view.scale) / 2;
  view.y = (height - stage.clientHeight / view.scale) / 2;
  apply();
}

// Around a point of the screen, which stays where it is.
function zoom(factor, clientX, clientY) {
  const place = stage.getBoundingClientRect();
  const dx = clientX === undefined ? place.width / 2 : clientX - place.left;
  const dy = clientY === undefined ? place.height / 2 : clientY - place.top;
  const scale = Math.min(8, Math.max(fitting() / 3, view.scale * factor));
  view.x += dx / view.scale - dx / scale;
  view.y += dy / view.scale - dy / scale;
  view.scale = scale;
  apply();
}

function pan(dx, dy) {
  view.x += dx / view.scale;
  view.y += dy / view.scale;
  apply();
}

const centre = (rect) => [rect.left + rect.width / 2, rect.top + rect.height / 2];

// Moves as little as needed for the part to be seen; what is too large stands in the middle.
function reveal(part) {
  const seen = stage.getBoundingClientRect();
  const rect = part.getBoundingClientRect();
  const margin = 12;
  // On a narrow screen the panel lies over the drawing.
  const cover = panel.getBoundingClientRect();
  const isOver = cover.height > 0 && cover.left < seen.right - 1;
  const bottom = isOver ? Math.min(seen.bottom, cover.top) : seen.bottom;
  const shift = (low, high, start, end) => {
    if (end - start > high - low - 2 * margin) return (start + end - low - high) / 2;
    return Math.max(0, end - high + margin) + Math.min(0, start - low - margin);
  };
  pan(
    shift(seen.left, seen.right, rect.left, rect.right),
    shift(seen.top, bottom, rect.top, rect.bottom),
  );
}

const pointers = new Map();
let dragged = false;
stage.addEventListener("wheel", (event) => {
  event.preventDefault();
  if (event.shiftKey) return pan(event.deltaX || event.deltaY, 0);
  const lines = event.deltaMode === 1 ? 20 : 1;
  const step = Math.max(-60, Math.min(60, event.deltaY * lines * (event.ctrlKey ? 4 : 1)));
  zoom(Math.exp(-step / 300), event.clientX, event.clientY);
}, { passive: false });
stage.addEventListener("pointerdown", (event) => {
  if (event.button > 0) return;
  if (!pointers.size) dragged = false;
  pointers.set(event.pointerId, { at: [event.clientX, event.clientY], start: [event.clientX, event.clientY] });
});
stage.addEventListener("pointermove", (event) => {
  const known = pointers.get(event.pointerId);
  if (!known) return;
  const [x, y] = [event.clientX, event.clientY];
  // A hand trembles: a click stays a click.
  if (!dragged && Math.hypot(x - known.start[0], y - known.start[1]) < 5) return;
  if (!dragged) stage.setPointerCapture(event.pointerId);
  dragged = true;
  stage.classList.add("dragging");
  const [oldX, oldY] = known.at;
  if (pointers.size === 1) {
    pan(oldX - x, oldY - y);
  } else {
    const [otherX, otherY] = [...pointers].find(([id]) => id !== event.pointerId)[1].at;
    const before = Math.hypot(oldX - otherX, oldY - otherY);
    zoom(Math.hypot(x - otherX, y - otherY) / (before || 1), (x + otherX) / 2, (y + otherY) / 2);
    pan((oldX - x) / 2, (oldY - y) / 2);
  }
  known.at = [x, y];
});
for (const end of ["pointerup", "pointercancel", "pointerleave"]) {
  stage.addEventListener(end, (event) => {
    pointers.delete(event.pointerId);
    if (!pointers.size) stage.classList.remove("dragging");
  });
}
new ResizeObserver(() => { if (current) apply(); }).observe(stage);
