// One sheet for each set of modules that stand open. They are put into the page when first shown.
const SVG = "http://www.w3.org/2000/svg";
const templates = [...stage.querySelectorAll("template")];
sheets.forEach((sheet, i) => {
  sheet.number = i;
  sheet.opened = new Set(Object.values(sheet.frames).map(([, name]) => name).filter(Boolean));
});

const keyOf = (part) => part.dataset.key;
const isFrame = (part) => part.classList.contains("cluster");
const isWithin = (name, outer) => name === outer || name.startsWith(`${outer}.`);
const opensOf = (part) => (isFrame(part) ? "" : current.boxes[keyOf(part)]?.[1] ?? "");
const nameOf = (part) => (isFrame(part) ? current.frames[keyOf(part)]?.[1] : current.boxes[keyOf(part)]?.[2]) ?? "";
const partOf = (key) => current.parts.get(key);
const factsOf = (key) => facts[current.boxes[key][0]];

function mount(sheet) {
  if (sheet.element) return;
  sheet.element = stage.querySelector(".sheet");
  if (sheet.number) {
    sheet.element = document.createElement("div");
    sheet.element.className = "sheet";
    sheet.element.append(templates[sheet.number - 1].content.cloneNode(true));
    stage.append(sheet.element);
  }
  sheet.svg = sheet.element.querySelector("svg");
  sheet.size = sheet.svg.getAttribute("viewBox").split(/[ ,]+/).slice(2).map(Number);
  sheet.svg.removeAttribute("width");
  sheet.svg.removeAttribute("height");
  sheet.parts = new Map();
  const drawn = new Map([...sheet.svg.querySelectorAll(".node, .cluster")].map((p) => [keyOf(p), p]));
  // In order of computation, not of drawing. A frame without a name never folds.
  const named = Object.keys(sheet.frames).filter((key) => sheet.frames[key][1]);
  for (const key of [...Object.keys(sheet.boxes), ...named]) {
    if (!drawn.has(key)) continue;
    sheet.parts.set(key, drawn.get(key));
    describe(sheet, drawn.get(key));
  }
  const waiting = Map.groupBy
    ? Map.groupBy(sheet.arrows, arrowKey)
    : sheet.arrows.reduce((m, a) => m.set(arrowKey(a), [...(m.get(arrowKey(a)) ?? []), a]), new Map());
  sheet.lines = [];
  for (const line of sheet.svg.querySelectorAll(".edge")) {
    line.arrow = (waiting.get(keyOf(line)) ?? []).shift();
    if (!line.arrow) continue;
    sheet.lines.push(line);
    const wide = line.querySelector("path").cloneNode();
    wide.setAttribute("class", "wide");
    line.prepend(wide);
  }
}

// A gradient stands in the drawing from its end to its start.
function arrowKey([source, target, , isBack]) {
  return isBack ? `${target}->${source}` : `${source}->${target}`;
}

function describe(sheet, part) {
  part.setAttribute("role", "button");
  part.setAttribute("tabindex", "-1");
  // The outline, where a table inside has shapes of its own; plain text has none.
  part.querySelector("path, polygon, ellipse")?.classList.add("shape");
  if (isFrame(part)) {
    part.setAttribute("aria-expanded", "true");
    part.setAttribute("aria-label", `${sheet.frames[keyOf(part)][0]}, ${words.openFrame}`);
    sign(part, "−");
    return;
  }
  const [title, lines, rows] = facts[sheet.boxes[keyOf(part)][0]];
  part.setAttribute("aria-label", [title, ...lines, ...rows.slice(0, 1).map(([, v]) => v)].join(", "));
  if (sheet.boxes[keyOf(part)][1]) {
    part.classList.add("opens");
    part.setAttribute("aria-expanded", "false");
    sign(part, "+");
  }
}

// The small mark of what opens or folds stands in the page only, not in a saved picture.
function sign(part, text) {
  const place = (part.querySelector(".shape") ?? part).getBBox();
  const mark = document.createElementNS(SVG, "g");
  mark.setAttribute("class", "mark");
  mark.setAttribute("aria-hidden", "true");
  mark.setAttribute("transform", `translate(${place.x + place.width - 3},${place.y + 3})`);
  const bar = text === "+" ? "M-3,0H3M0,-3V3" : "M-3,0H3";
  mark.innerHTML = `<circle r="6"/><path d="${bar}"/>`;
  part.append(mark);
}

function show(sheet) {
  if (current) current.element.hidden = true;
  current = sheet;
  if (sheet.element) sheet.element.hidden = false;
  mount(sheet);
  apply();
  by("more").disabled = wider() === sheet;
  by("less").disabled = sheet.opened.size === 0 || narrower() === sheet;
  legendRows();
  hits();
}

// The sheet with the wanted modules open, or the one that differs least from it.
function nearest(wanted, isGood) {
  let best = null;
  let least = Infinity;
  for (const sheet of sheets) {
    if (!isGood(sheet)) continue;
    const differs = [...sheet.opened].filter((n) => !wanted.has(n)).length
      + [...wanted].filter((n) => !sheet.opened.has(n)).length;
    if (differs < least) [best, least] = [sheet, differs];
  }
  return best;
}

function wider() {
  const more = Object.values(current.boxes).map((box) => box[1]).filter(Boolean);
  if (!more.length) return current;
  const wanted = new Set([...current.opened, ...more]);
  return nearest(wanted, (s) => s.opened.size > current.opened.size) ?? current;
}

function narrower() {
  const depth = (name) => name.split(".").length;
  const deepest = Math.max(...[...current.opened].map(depth));
  const wanted = new Set([...current.opened].filter((n) => depth(n) < deepest));
  return nearest(wanted, (s) => s.opened.size < current.opened.size) ?? current;
}

// Goes to another sheet; `find` names the part there that takes the place of `part` on the screen.
function turn(sheet, part, find) {
  const [x, y] = centre(part.getBoundingClientRect());
  show(sheet);
  const found = find();
  if (!found) {
    whole();
    return choose(null);
  }
  const [newX, newY] = centre(found.getBoundingClientRect());
  pan(newX - x, newY - y);
  choose(found);
  reveal(found);
  found.classList.remove("fresh");
  requestAnimationFrame(() => found.classList.add("fresh"));
}

function open(part) {
  const name = part && opensOf(part);
  const wanted = new Set([...current.opened, name]);
  const sheet = name && nearest(wanted, (s) => s.opened.has(name));
  if (!sheet) return false;
  const own = `cluster_${keyOf(part).replace(/^box_/, "")}`;
  turn(sheet, part, () => partOf(own) ?? [...current.parts.values()].find((p) => isFrame(p) && nameOf(p) === name));
  return true;
}

function fold(part) {
  const name = part && nameOf(part);
  const wanted = new Set([...current.opened].filter((n) => !isWithin(n, name)));
  const sheet = name && nearest(wanted, (s) => !s.opened.has(name));
  if (!sheet) return false;
  const frame = isFrame(part) ? part : frameAround(part, name);
  const own = keyOf(frame).replace(/^cluster_/, "box_");
  // Where that sheet closes more than was asked for, the box around it takes its place.
  const stands = (p) => opensOf(p) && isWithin(name, opensOf(p));
  turn(sheet, frame, () => partOf(own) ?? [...current.parts.values()].find(stands));
  return true;
}

// Two frames may have one name: the two sides of a gradient open together.
function frameAround(part, name) {
  const [x, y] = centre(part.getBoundingClientRect());
  const frames = [...current.parts.values()].filter((p) => isFrame(p) && nameOf(p) === name);
  const holds = (rect) => rect.left <= x && x <= rect.right && rect.top <= y && y <= rect.bottom;
  return frames.find((p) => holds(p.getBoundingClientRect())) ?? frames[0];
}

function detail(sheet) {
  if (sheet === current) return;
  show(sheet);
  whole();
  choose(null);
}
