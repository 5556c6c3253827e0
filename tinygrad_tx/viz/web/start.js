// Keys and buttons; then the first sheet is shown.
// Along an arrow to the box that lies furthest that way, else to the nearest one there.
function step(dx, dy) {
  const part = document.activeElement;
  const [x, y] = centre(part.getBoundingClientRect());
  const linked = new Set(isFrame(part) ? [] : arrowsOf(keyOf(part)).flatMap(([, l]) => l.arrow.slice(0, 2)));
  let best = null;
  let least = Infinity;
  for (const [key, other] of current.parts) {
    if (other === part || (isFrame(other) && !isFrame(part))) continue;
    const [otherX, otherY] = centre(other.getBoundingClientRect());
    const along = (otherX - x) * dx + (otherY - y) * dy;
    const aside = Math.abs((otherX - x) * dy) + Math.abs((otherY - y) * dx);
    if (along < 2 || (aside > 2 * along && !linked.has(key))) continue;
    const cost = along + 2 * aside + (linked.has(key) ? 0 : 1e6);
    if (cost < least) [best, least] = [other, cost];
  }
  if (best) { choose(best); reveal(best); }
}

function end(which) {
  const parts = [...current.parts.values()].filter((p) => !isFrame(p));
  choose(parts.at(which));
  reveal(chosen);
}

function theme() {
  const root = document.documentElement;
  const isDark = root.dataset.theme === "dark"
    || (root.dataset.theme === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
  root.dataset.theme = isDark ? "light" : "dark";
}

function legend() {
  const isShown = document.body.classList.toggle("legend");
  by("legendButton").setAttribute("aria-expanded", String(isShown));
}

// A picture of its own: colours instead of variables, nothing of the page.
function picture() {
  const copy = current.svg.cloneNode(true);
  const style = getComputedStyle(document.documentElement);
  copy.querySelectorAll(".mark, .wide").forEach((part) => part.remove());
  for (const part of [copy, ...copy.querySelectorAll("*")]) {
    for (const name of ["tabindex", "role", "aria-label", "aria-expanded", "data-key", "class"]) part.removeAttribute(name);
    for (const name of ["fill", "stroke"]) {
      const variable = /^var\((.*)\)$/.exec(part.getAttribute(name) ?? "");
      if (variable) part.setAttribute(name, style.getPropertyValue(variable[1]).trim());
    }
  }
  const [width, height] = current.size;
  copy.setAttribute("viewBox", `0 0 ${width} ${height}`);
  copy.setAttribute("width", `${width}pt`);
  copy.setAttribute("height", `${height}pt`);
  return new XMLSerializer().serializeToString(copy);
}

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([picture()], { type: "image/svg+xml" }));
  link.download = `${document.title.replace(/[^\p{L}\p{N}]+/gu, "-") || "graph"}.svg`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

async function copyDot() {
  try {
    await navigator.clipboard.writeText(current.dot);
    return note(words.copied);
  } catch { /* Not every browser lets a file on disk do that: the old way comes next. */ }
  const field = document.createElement("textarea");
  field.value = current.dot;
  document.body.append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  note(isCopied ? words.copied : words.notCopied);
}

function leave() {
  if (search.value) { search.value = ""; hits(); }
  choose(null);
  document.body.classList.remove("legend");
  stage.focus({ preventScroll: true });
}

const focused = () => partOf(document.activeElement?.dataset?.key ?? "");
const arrow = (dx, dy) => () => (focused() ? step(dx, dy) : pan(dx * 60, dy * 60));
const actions = {
  "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), "0": whole,
  ArrowLeft: arrow(-1, 0), ArrowRight: arrow(1, 0), ArrowUp: arrow(0, -1), ArrowDown: arrow(0, 1),
  "]": () => detail(wider()), "[": () => current.opened.size && detail(narrower()),
  "/": () => { search.focus(); search.select(); }, n: () => visit(1), N: () => visit(-1),
  o: () => open(chosen), c: () => fold(chosen), Home: () => end(0), End: () => end(-1),
  t: theme, l: legend, s: save, d: copyDot, "?": () => by("keys").showModal(), Escape: leave,
};
document.addEventListener("keydown", (event) => {
  if (event.target === search || by("keys").open) return;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if ((event.key === "Enter" || event.key === " ") && focused()) {
    event.preventDefault();
    return void (isFrame(focused()) ? fold(focused()) : open(focused()));
  }
  if (!actions[event.key]) return;
  event.preventDefault();
  actions[event.key]();
});
const buttons = {
  in: "+", out: "-", whole: "0", more: "]", less: "[", theme: "t", legendButton: "l", save: "s", dot: "d", help: "?",
};
for (const [id, key] of Object.entries(buttons)) by(id).addEventListener("click", actions[key]);

show(sheets[0]);
whole();
if (view.scale < 0.25) {
  // Too large to be read as a whole: it starts at the first box.
  zoom(0.8 / view.scale);
  const [first] = [...current.parts.values()].filter((p) => !isFrame(p));
  const [x, y] = centre(first.getBoundingClientRect());
  const [midX, midY] = centre(stage.getBoundingClientRect());
  pan(x - midX, y - midY);
}
[...current.parts.values()].find((p) => !isFrame(p))?.setAttribute("tabindex", "0");
