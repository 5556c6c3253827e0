"use strict";
// What a cell or a token says, on hover and for whoever moves by keys.
const said = document.getElementById("said");
function say(text) { said.textContent = text; said.hidden = !text; }
const SVG = "http://www.w3.org/2000/svg";
function element(name, attributes, parent, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

document.addEventListener("pointerover", (event) => {
  const found = event.target.closest && event.target.closest("[data-said]");
  say(found ? found.dataset.said : "");
});
document.addEventListener("focusin", (event) => {
  say(event.target.dataset && event.target.dataset.said ? event.target.dataset.said : "");
});

// Arrow keys move along tokens, and from cell to cell of a grid.
for (const tokens of document.querySelectorAll(".tokens")) {
  tokens.addEventListener("keydown", (event) => {
    const step = { ArrowRight: "nextElementSibling", ArrowLeft: "previousElementSibling" }[event.key];
    const next = step && event.target[step];
    if (next) { next.focus(); event.preventDefault(); }
  });
}
for (const grid of document.querySelectorAll("table.grid")) {
  const rows = [...grid.tBodies[0].rows].map((row) => [...row.cells].slice(1));
  let at = [0, 0];
  const show = () => {
    grid.querySelectorAll(".here").forEach((cell) => cell.classList.remove("here"));
    const cell = rows[at[0]] && rows[at[0]][at[1]];
    if (!cell) return;
    cell.classList.add("here");
    cell.scrollIntoView({ block: "nearest", inline: "nearest" });
    say(cell.dataset.said);
  };
  grid.addEventListener("focus", show);
  grid.addEventListener("keydown", (event) => {
    const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!move) return;
    at = [Math.min(Math.max(at[0] + move[0], 0), rows.length - 1), Math.min(Math.max(at[1] + move[1], 0), rows[0].length - 1)];
    show();
    event.preventDefault();
  });
}

// Attention: small maps to choose from, one shown large.
for (const box of document.querySelectorAll(".maps")) {
  const data = JSON.parse(box.querySelector("script").textContent);
  const thumbs = document.createElement("div");
  thumbs.className = "thumbs";
  const large = document.createElementNS(SVG, "svg");
  large.setAttribute("role", "img");
  large.setAttribute("preserveAspectRatio", "xMinYMin");
  box.append(thumbs, large);
  let chosen = 0, at = [0, 0];
  const buttons = data.names.map((name, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.title = name;
    const canvas = document.createElement("canvas");
    canvas.width = data.keys.length; canvas.height = data.queries.length;
    canvas.setAttribute("aria-hidden", "true");
    const context = canvas.getContext("2d");
    data.values[i].forEach((row, q) => row.forEach((value, k) => {
      context.fillStyle = `rgba(226, 110, 35, ${value || 0})`;
      context.fillRect(k, q, 1, 1);
    }));
    button.append(canvas, name);
    button.addEventListener("click", () => { chosen = i; draw(); });
    thumbs.append(button);
    return button;
  });
  const describe = (q, k) => {
    const value = data.values[chosen][q][k];
    return `${data.names[chosen]}: “${data.queries[q]}” (${q}) ${box.dataset.from} → ${box.dataset.to} “${data.keys[k]}” (${k}): ${value === null ? "–" : value.toFixed(3)}`;
  };
  function draw() {
    buttons.forEach((b, i) => b.setAttribute("aria-pressed", String(i === chosen)));
    const size = 18, letters = Math.min(12, Math.max(...data.queries.map((query) => query.length)));
    const left = 14 + 9 * letters, top = 20 + 7 * letters;
    large.replaceChildren();
    large.setAttribute("viewBox", `0 0 ${left + size * data.keys.length + 10} ${top + size * data.queries.length + 10}`);
    large.style.maxWidth = `${left + size * data.keys.length + 10}px`;
    large.setAttribute("aria-label", `${box.dataset.map}: ${data.names[chosen]}`);
    const short = (text) => (text.length > 12 ? text.slice(0, 11) + "…" : text);
    data.keys.forEach((key, k) => element("text", { x: 0, y: 0, transform: `translate(${left + size * (k + .65)} ${top - 5}) rotate(-60)` }, large, short(key)));
    data.queries.forEach((query, q) => element("text", { x: left - 6, y: top + size * (q + .7), "text-anchor": "end" }, large, short(query)));
    data.values[chosen].forEach((row, q) => row.forEach((value, k) => {
      const place = { x: left + size * k, y: top + size * q, width: size, height: size };
      element("rect", { ...place, class: "back" }, large);
      const cell = element("rect", { ...place, class: "cell", "fill-opacity": value || 0, "data-q": q, "data-k": k }, large);
      cell.dataset.said = describe(q, k);
    }));
    mark();
  }
  function mark() {
    large.querySelectorAll(".here").forEach((cell) => cell.classList.remove("here"));
    const cell = large.querySelector(`[data-q="${at[0]}"][data-k="${at[1]}"]`);
    if (cell && document.activeElement === box) { cell.classList.add("here"); say(describe(...at)); }
  }
  box.addEventListener("focus", mark);
  box.addEventListener("keydown", (event) => {
    if (event.target !== box) return;
    const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (move) {
      at = [Math.min(Math.max(at[0] + move[0], 0), data.queries.length - 1), Math.min(Math.max(at[1] + move[1], 0), data.keys.length - 1)];
      mark();
      event.preventDefault();
    } else if (event.key === "PageDown" || event.key === "PageUp") {
      chosen = Math.min(Math.max(chosen + (event.key === "PageDown" ? 1 : -1), 0), data.names.length - 1);
      draw();
      event.preventDefault();
    }
  });
  draw();
}

// Boxes of a drawing lead to the section about them.
for (const drawing of document.querySelectorAll(".drawing")) {
  const links = JSON.parse(drawing.querySelector("script").textContent);
  for (const node of drawing.querySelectorAll("[data-key]")) {
    const section = links[node.dataset.key] && document.getElementById(links[node.dataset.key]);
    if (!section) continue;
    node.classList.add("leads");
    node.setAttribute("tabindex", "0");
    node.setAttribute("role", "link");
    node.setAttribute("aria-label", section.querySelector("h2").textContent);
    const go = () => { location.hash = section.id; };
    node.addEventListener("click", go);
    node.addEventListener("keydown", (event) => { if (event.key === "Enter") go(); });
  }
}
