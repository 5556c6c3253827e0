// Search by title, module, operation and shape; also in what is closed, which it offers to open.
const search = by("search");
const found = by("found");
const elsewhere = by("elsewhere");
const texts = facts.map(([title, lines, rows]) => [title, ...lines, ...rows.map((r) => r[1])].join("\n").toLowerCase());
let hit = [];
let at = -1;

// A repeated module stands in the picture once: its number does not matter.
const starred = (text) => text.replace(/\.\d+(?=\.|\n|$)/gm, ".*");
const matches = (number, wanted) => texts[number].includes(wanted)
  || (starred(wanted) !== wanted && starred(texts[number]).includes(starred(wanted)));

function hits() {
  const wanted = search.value.trim().toLowerCase().replaceAll("×", "x");
  const isAsked = wanted !== "";
  hit = [];
  for (const [key, part] of current.parts) {
    const isHit = isAsked && !isFrame(part) && matches(current.boxes[key][0], wanted);
    part.classList.toggle("hit", isHit);
    if (isHit) hit.push(part);
  }
  current.element.classList.toggle("searching", hit.length > 0);
  at = Math.min(at, hit.length - 1);
  count(isAsked);
  offer(isAsked ? wanted : "");
  if (isAsked && !hit.length && !elsewhere.hidden) found.textContent = words.only;
}

function count(isAsked) {
  const text = hit.length ? words.hits.replace("{at}", at + 1).replace("{count}", hit.length) : words.none;
  found.textContent = isAsked ? text : "";
  by("next").disabled = by("previous").disabled = hit.length === 0;
}

function visit(step) {
  if (!hit.length) return;
  at = at < 0 ? (step < 0 ? hit.length - 1 : 0) : (at + step + hit.length) % hit.length;
  count(true);
  choose(hit[at], document.activeElement !== search);
  reveal(hit[at]);
}

// Boxes of other sheets that are not on this one, each once.
function hidden(wanted) {
  const places = new Map();
  const order = [...sheets].sort((a, b) => a.opened.size - b.opened.size);
  for (const sheet of order) {
    for (const [key, [number, , name]] of Object.entries(sheet.boxes)) {
      if (!(key in current.boxes) && !places.has(key) && matches(number, wanted)) {
        places.set(key, { key, number, name });
      }
    }
  }
  return [...places.values()];
}

function offer(wanted) {
  elsewhere.replaceChildren();
  const places = wanted ? hidden(wanted) : [];
  elsewhere.hidden = places.length === 0;
  for (const { key, number, name } of places.slice(0, 4)) {
    const shut = Object.entries(current.boxes).find(([, box]) => box[1] && isWithin(name, box[1]));
    const text = (shut ? words.inside : words.elsewhere)
      .replace("{title}", facts[number][0])
      .replace("{where}", shut ? facts[shut[1][0]][0] : "");
    const button = make("button", text, make("li", "", elsewhere));
    button.addEventListener("click", () => {
      const sheet = nearest(current.opened, (s) => key in s.boxes);
      turn(sheet, (shut && partOf(shut[0])) ?? stage, () => partOf(key));
    });
  }
  if (places.length > 4) make("li", words.others.replace("{count}", places.length - 4), elsewhere);
}

search.addEventListener("input", () => { at = -1; hits(); if (hit.length) visit(1); });
search.addEventListener("keydown", (event) => {
  if (event.key === "Enter") visit(event.shiftKey ? -1 : 1);
  if (event.key === "Escape") { search.value = ""; hits(); stage.focus(); }
});
by("next").addEventListener("click", () => visit(1));
by("previous").addEventListener("click", () => visit(-1));
