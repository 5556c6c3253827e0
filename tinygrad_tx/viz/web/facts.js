// The panel: what is known of the box or arrow that is pointed at or chosen, and the legend.
const panel = by("facts");
const empty = [...panel.childNodes];
let chosen = null;

function choose(part, isFocused = true) {
  if (chosen) chosen.classList.remove("chosen");
  chosen = part;
  if (part) {
    part.classList.add("chosen");
    current.parts.forEach((p) => p.setAttribute("tabindex", p === part ? "0" : "-1"));
    if (isFocused) part.focus({ preventScroll: true });
  }
  preview(part);
}

function preview(part) {
  current.svg.querySelectorAll(".comes, .goes").forEach((p) => p.classList.remove("comes", "goes"));
  document.body.classList.toggle("asking", Boolean(part));
  if (!part) return panel.replaceChildren(...empty);
  if (part.classList.contains("edge")) return previewArrow(part);
  const title = isFrame(part) ? frameFacts(part) : factsOf(keyOf(part));
  const neighbours = isFrame(part) ? [] : arrowsOf(keyOf(part));
  fill(title, actionOf(part), neighbours);
  for (const [word, line] of neighbours) {
    line.classList.add(word);
    partOf(line.arrow[word === "comes" ? 0 : 1])?.classList.add(word);
  }
}

function previewArrow(line) {
  const [source, target, shape] = line.arrow;
  const title = [source, target].map((key) => factsOf(key)[0]).join(" → ");
  fill([title, [], shape ? [["", shape]] : []], null, []);
  line.classList.add("goes");
  for (const key of [source, target]) partOf(key)?.classList.add("goes");
}

// What is said of an open module is what was said of its closed box.
function frameFacts(frame) {
  const [title, name] = current.frames[keyOf(frame)];
  for (const sheet of sheets) {
    const box = Object.values(sheet.boxes).find((b) => b[1] === name);
    if (box) return [title, facts[box[0]][1], facts[box[0]][2]];
  }
  return [title, [], []];
}

function arrowsOf(key) {
  return current.lines.flatMap((line) => [
    ...(line.arrow[1] === key ? [["comes", line]] : []),
    ...(line.arrow[0] === key ? [["goes", line]] : []),
  ]);
}

function actionOf(part) {
  if (opensOf(part)) return [words.open, () => open(part)];
  return isFrame(part) ? [words.fold, () => fold(part)] : null;
}

function make(tag, text, parent) {
  const found = document.createElement(tag);
  found.textContent = text;
  found.dir = "auto";
  parent.append(found);
  return found;
}

function fill([title, lines, rows], action, neighbours) {
  panel.replaceChildren();
  const head = make("div", "", panel);
  head.className = "head";
  make("h2", title, head);
  if (action) {
    const button = make("button", action[0], head);
    button.className = "action";
    button.addEventListener("click", action[1]);
  }
  const list = make("dl", "", panel);
  const row = (name, value) => {
    if (name) make("dt", name, list);
    return make("dd", value, list);
  };
  for (const line of lines) row("", line);
  for (const [name, value] of rows) row(name, value);
  for (const word of ["comes", "goes"]) {
    const ends = neighbours.filter(([w]) => w === word);
    if (!ends.length) continue;
    const place = row(words[word], "");
    for (const [, line] of ends) {
      const key = line.arrow[word === "comes" ? 0 : 1];
      const shape = line.arrow[2] ? ` ${line.arrow[2]}` : "";
      const button = make("button", `${factsOf(key)[0]}${shape}`, place);
      button.className = "end";
      button.addEventListener("click", () => { choose(partOf(key)); reveal(partOf(key)); });
    }
  }
}

function legendRows() {
  for (const row of by("legend").querySelectorAll("[data-use]")) {
    row.hidden = !current.uses.includes(row.dataset.use);
  }
  by("legend").classList.toggle("none", current.uses.every((use) => !by("legend").querySelector(`[data-use="${use}"]`)));
}

function note(text) {
  by("note").textContent = text;
  by("note").hidden = false;
  clearTimeout(note.timer);
  note.timer = setTimeout(() => { by("note").hidden = true; }, 2500);
}

const partAt = (target) => {
  const part = target.closest?.(".node, .cluster, .edge");
  if (!part || !stage.contains(part)) return null;
  if (part.classList.contains("edge")) return part.arrow ? part : null;
  if (!current.parts.has(keyOf(part))) return null;
  // A frame is taken by its title and its mark: the space in it belongs to the picture.
  return isFrame(part) && !target.closest("text, .mark") ? null : part;
};
stage.addEventListener("pointerover", (event) => {
  if (event.pointerType !== "touch" && !pointers.size) {
    const part = partAt(event.target);
    preview(part ?? chosen);
  }
});
stage.addEventListener("pointerleave", () => preview(chosen));
stage.addEventListener("focusin", (event) => {
  const part = partOf(event.target.dataset?.key);
  if (part && part !== chosen) { choose(part, false); reveal(part); }
});
stage.addEventListener("click", (event) => {
  if (dragged) return;
  const part = partAt(event.target);
  if (part?.classList.contains("edge")) { choose(null); return preview(part); }
  const isMark = Boolean(event.target.closest(".mark"));
  // The second click of two, of a mouse or a finger, is a double-click.
  if (part && (isMark || event.detail === 2) && (isFrame(part) ? fold(part) : open(part))) return;
  if (event.detail !== 2 || part) choose(part);
  if (part) reveal(part);
});
