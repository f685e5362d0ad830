// Around the map: search, the neighbours of a point, the legend. All text of the data enters as text, never as markup.

const $ = (id) => document.getElementById(id);
const MOST_FOUND = 12;

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.filter((child) => child !== null));
  return made;
}

function showPoint(map, i) {
  const { data } = map, panel = $("panel");
  if (i < 0) return showHelp(map);
  const close = element("button", { className: "close", title: "Close (Esc)", onclick: () => map.select(-1) }, "×");
  close.setAttribute("aria-label", "Close");
  const values = element("dl");
  for (const field of data.fields) {
    const value = field.numbers ? format(field.numbers[i]) : (field.categories[field.codes[i]] ?? "missing");
    values.append(element("dt", { dir: "auto" }, field.name), element("dd", { dir: "auto" }, value));
  }
  panel.replaceChildren(close, element("h2", { dir: "auto" }, data.keys[i]), values, ...neighborList(map, i));
  panel.scrollTop = 0;
}

function neighborList(map, i) {
  const { data } = map, k = data.nNeighbors;
  if (!k) return [];
  const what = { cosine: "cosine", euclidean: "distance", dot: "dot product" }[data.metric];
  const list = element("ol"), scores = data.scores.subarray(i * k, i * k + k);
  const most = Math.max(...scores.map(Math.abs), 1e-9);
  map.neighbors(i).forEach((j, rank) => {
    const score = scores[rank], share = data.metric === "cosine" ? Math.max(0, score) : Math.abs(score) / most;
    const bar = element("i");
    bar.style.width = `${100 * share}%`;
    const text = data.metric === "cosine" ? score.toFixed(3) : format(+score.toPrecision(4));
    const button = element("button", { type: "button", onclick: () => choose(map, j) },
      element("span", { dir: "auto" }, data.keys[j]), element("span", { className: "score" }, text), bar);
    button.onmouseenter = button.onfocus = () => map.hover(j);
    button.onmouseleave = button.onblur = () => map.hover(-1);
    list.append(element("li", {}, button));
  });
  return [element("h3", {}, `Nearest in all ${data.embeddingDim.toLocaleString("en")} dimensions, by ${what}`), list];
}

// From the list or the search: the map goes there, and the list of the new point takes the focus.
function choose(map, i) {
  const fromList = $("panel").contains(document.activeElement);
  map.hovered = -1;
  map.select(i, true);
  if (fromList) $("panel").querySelector("li button")?.focus({ preventScroll: true });
}

function showHelp(map) {
  const key = (name) => element("kbd", {}, name);
  const turn = map.data.dim === 3 ? [element("p", {}, "Drag to turn the map, with ", key("Shift"), " to move it.")] : [];
  $("panel").replaceChildren(
    element("p", {}, map.data.nNeighbors ? "Click a point to see its nearest neighbours in the full space."
      : "Click a point to read it."),
    ...turn,
    element("p", {}, "Scroll or pinch to zoom: labels appear where there is room."),
    element("p", {}, "Keys: ", key("/"), " search, ", key("←"), key("↑"), key("→"), key("↓"), " move, ", key("+"), " ",
      key("−"), " zoom, ", key("0"), " show all, ", key("Enter"), " select the point in the middle, ", key("Esc"),
      " close."));
}

function listenToSearch(map) {
  const input = $("search"), list = $("found"), lower = map.data.keys.map((key) => key.toLowerCase());
  let found = [], active = -1;
  const close = () => {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const take = (i) => {
    close();
    input.value = map.data.keys[i];
    choose(map, i);
  };
  const mark = (row) => {
    active = row;
    [...list.children].forEach((item, j) => item.setAttribute("aria-selected", String(j === row)));
    if (row < 0) return input.removeAttribute("aria-activedescendant");
    input.setAttribute("aria-activedescendant", `found-${row}`);
    list.children[row].scrollIntoView({ block: "nearest" });
  };
  const search = () => {
    const wanted = input.value.trim().toLowerCase();
    if (!wanted) return close();
    found = matches(lower, wanted);
    list.replaceChildren(...found.map((i, j) => {
      const item = element("li", { id: `found-${j}`, dir: "auto", onpointerdown: (event) => event.preventDefault(),
        onclick: () => take(i) }, ...marked(map.data.keys[i], wanted));
      item.setAttribute("role", "option");
      return item;
    }));
    if (!found.length) list.append(element("li", { className: "none" }, "No such key on this map"));
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    mark(found.length ? 0 : -1);
  };
  input.addEventListener("input", search);
  input.addEventListener("focus", () => input.select());
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return close();
    if (event.key === "Enter" && !list.hidden && active >= 0) return take(found[active]);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    if (list.hidden) search();
    else if (found.length) mark((active + step + found.length) % found.length);
  });
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement?.tagName);
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) { event.preventDefault(); input.focus(); }
    if (event.key === "Escape" && !typing) map.select(-1);
  });
}

// The same key, then keys that start so, then keys that hold it, each in the order of the table.
function matches(lower, wanted) {
  const same = [], starts = [], holds = [];
  for (let i = 0; i < lower.length; i++) {
    const at = lower[i].indexOf(wanted);
    if (at < 0) continue;
    const kind = at ? holds : lower[i].length === wanted.length ? same : starts;
    if (kind.length < MOST_FOUND) kind.push(i);
  }
  return [...same, ...starts, ...holds].slice(0, MOST_FOUND);
}

function marked(key, wanted) {
  const at = key.toLowerCase().indexOf(wanted), end = at + wanted.length;
  return at < 0 ? [key] : [key.slice(0, at), element("b", {}, key.slice(at, end)), key.slice(end)];
}

function showLegend(map) {
  const { data } = map, field = data.fields[map.field], parts = [];
  if (field && field.numbers) {
    const ramp = data.ramp.map(rgb), stops = [];
    for (let s = 0; s <= 10; s++) stops.push(`rgb(${rampColor(ramp, s / 10, map.dark.matches)})`);
    const scale = element("span", { className: "scale" });
    scale.style.background = `linear-gradient(90deg, ${stops})`;
    parts.push(element("span", {}, `${field.name}:`), element("span", {}, (field.below ? "≤ " : "") + format(field.low)),
      scale, element("span", {}, (field.above ? "≥ " : "") + format(field.high)));
  } else if (field) {
    field.groups.forEach((group, j) => {
      const swatch = element("span", { className: group.shape ? "swatch triangle" : "swatch" });
      swatch.style.background = group.color;
      const button = element("button", { type: "button", title: "Show these alone", onclick: () => {
        map.color(map.field, map.group === j ? -1 : j);
        showLegend(map);
      } }, swatch, element("span", { dir: "auto" }, group.name), element("small", {}, group.count.toLocaleString("en")));
      button.setAttribute("aria-pressed", String(map.group === j));
      parts.push(button);
    });
  }
  data.links.forEach((group, j) => {
    if (!group.name) return;
    const line = element("span", { className: "line" });
    line.style.borderColor = LINK_COLORS[j % 4];
    parts.push(line, element("span", { dir: "auto" }, group.name));
  });
  $("legend").replaceChildren(...parts);
}

function listenToFields(map) {
  const { fields } = map.data, select = $("field");
  if (!fields.length) return;
  $("fieldbox").hidden = false;
  select.append(element("option", { value: "-1" }, "none"));
  fields.forEach((field, j) => select.append(element("option", { value: String(j) }, field.name)));
  select.value = String(map.field);
  select.addEventListener("change", () => {
    map.color(Number(select.value), -1);
    showLegend(map);
  });
}

async function start() {
  const data = await readData(), map = new EmbeddingMap(data, $("map"));
  map.over.setAttribute("aria-label", `${data.title}: a map of ${data.n.toLocaleString("en")} points. Arrow keys move it, `
    + "plus and minus zoom, 0 shows all, Enter selects the point in the middle, slash searches.");
  map.onselect = (i) => showPoint(map, i);
  $("in").onclick = () => map.zoom(1.6);
  $("out").onclick = () => map.zoom(1 / 1.6);
  $("all").onclick = () => map.glide((map.fitted = map.whole()));
  $("caption").textContent = data.caption;
  map.dark.addEventListener("change", () => showLegend(map));
  listenToSearch(map);
  listenToFields(map);
  showLegend(map);
  showHelp(map);
  $("wait").remove();
  window.embeddingMap = map; // for scripts of one's own, and for tests
}

start().catch((error) => {
  $("wait").textContent = typeof DecompressionStream === "undefined"
    ? "This browser is too old to open the map: Chrome 80, Safari 16.4 or Firefox 113 can."
    : `The map cannot be opened: ${error.message}`;
});
