// The map: what part of it is in view, what is drawn over the points, and the mouse, fingers and keys that move it.

const CLICK_REACH = 12, DRAG = 4, AREA_OF_A_LABEL = 8500, LINK_COLORS = ["#d55e00", "#0072b2", "#009e73", "#cc79a7"];

class EmbeddingMap {
  constructor(data, box) {
    this.data = data;
    this.box = box;
    this.over = box.querySelector("#over");
    this.ink = this.over.getContext("2d");
    const canvas = box.querySelector("#points");
    const wanted = location.hash; // #canvas and #webgl force one, to compare them
    const webgl = wanted !== "#canvas" && WebGLPoints.on(canvas, wanted === "#webgl");
    this.renderer = webgl || new CanvasPoints(canvas);
    this.canvas = canvas;
    this.view = { x: 0, y: 0, scale: 1, width: 1, height: 1, ratio: 1 };
    this.turn = [[1, 0, 0], [0, 1, 0], [0, 0, 1]];
    this.xy = data.dim === 2 ? data.coordinates : new Float32Array(2 * data.n);
    this.colors = new Uint8Array(4 * data.n);
    this.shapes = new Float32Array(data.n);
    this.radii = new Float32Array(data.n);
    this.selected = this.hovered = -1;
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.order = this.labelOrder();
    this.widths = new Map();
    this.onselect = () => {};
    this.project();
    this.color(data.color, -1);
    this.listen();
    new ResizeObserver(() => this.resize()).observe(box);
    this.resize();
  }

  // ------------------------------------------------------------------------------------------------ what is drawn

  project() { // of three dimensions, the two that are seen; the first of them to the right, the second up
    const { coordinates, n, dim } = this.data;
    if (dim === 3) {
      const [a, b] = this.turn;
      for (let i = 0; i < n; i++) {
        const x = coordinates[3 * i], y = coordinates[3 * i + 1], z = coordinates[3 * i + 2];
        this.xy[2 * i] = a[0] * x + a[1] * y + a[2] * z;
        this.xy[2 * i + 1] = b[0] * x + b[1] * y + b[2] * z;
      }
    }
    this.grid = null; // made when it is asked
    this.stale = true;
  }

  color(index, group) { // by a field, all groups or one of them
    const { data, colors, shapes } = this, field = data.fields[index], dark = this.dark.matches;
    const ramp = data.ramp.map(rgb), other = rgb(data.other), plain = rgb(dark ? "#5aa9e6" : "#0072b2");
    const groups = field && field.groups ? field.groups.map((each) => rgb(each.color)) : [];
    this.field = index;
    this.group = group;
    for (let i = 0; i < data.n; i++) {
      let tint = plain, alpha = 255, shape = 0;
      if (field && field.numbers) {
        const share = (field.numbers[i] - field.low) / (field.high - field.low);
        tint = isNaN(share) ? other : rampColor(ramp, Math.max(0, Math.min(1, share)), dark);
      } else if (field) {
        tint = groups[field.groupOf[i]];
        shape = field.groups[field.groupOf[i]].shape;
        if (group >= 0 && field.groupOf[i] !== group) alpha = 26;
      }
      colors.set(tint, 4 * i);
      colors[4 * i + 3] = alpha;
      shapes[i] = shape;
    }
    this.stale = true;
    this.request();
  }

  resize() {
    const { view, box } = this, fits = this.isFitted();
    view.width = Math.max(1, box.clientWidth);
    view.height = Math.max(1, box.clientHeight);
    view.ratio = Math.min(2, devicePixelRatio || 1);
    for (const canvas of [this.canvas, this.over]) {
      canvas.width = Math.round(view.width * view.ratio);
      canvas.height = Math.round(view.height * view.ratio);
    }
    const room = (0.12 * view.width * view.height) / (Math.PI * this.data.n);
    this.largest = Math.max(1.2, Math.min(7, Math.sqrt(room))) * (this.data.sizes ? 1.8 : 1);
    for (let i = 0; i < this.data.n; i++) {
      this.radii[i] = this.data.sizes ? Math.max(1.2, (this.largest * this.data.sizes[i]) / 255) : this.largest;
    }
    this.stale = true;
    if (fits) this.fit();
    this.request();
  }

  whole() { // the view that shows all points, with room for labels at the edges
    const { view, xy } = this, low = [Infinity, Infinity], high = [-Infinity, -Infinity];
    for (let i = 0; i < xy.length; i++) {
      if (xy[i] < low[i & 1]) low[i & 1] = xy[i];
      if (xy[i] > high[i & 1]) high[i & 1] = xy[i];
    }
    const wide = Math.max(high[0] - low[0], 1e-3), tall = Math.max(high[1] - low[1], 1e-3);
    const scale = Math.min(Math.max(60, view.width - 110) / wide, Math.max(60, view.height - 60) / tall, 1e5);
    return { x: (low[0] + high[0]) / 2, y: (low[1] + high[1]) / 2, scale };
  }

  fit() {
    Object.assign(this.view, (this.fitted = this.whole()));
    this.request();
  }

  isFitted() {
    const { view, fitted } = this;
    return !fitted || (view.x === fitted.x && view.y === fitted.y && view.scale === fitted.scale);
  }

  request() {
    if (!this.waiting) this.waiting = requestAnimationFrame(() => { this.waiting = 0; this.draw(); });
  }

  draw() {
    if (this.stale) this.renderer.set(this);
    this.stale = false;
    const zoomed = this.view.scale / this.fitted.scale;
    this.grow = Math.max(0.8, Math.min(4, zoomed ** 0.35));
    const many = this.data.n > 20000; // then even faint ones add up where they lie close
    this.renderer.draw(this.view, this.grow, this.selected >= 0 ? (many ? 0.07 : 0.22) : many ? 0.75 : 0.88);
    this.drawOver();
  }

  toScreen(i) {
    const { view, xy } = this;
    return [(xy[2 * i] - view.x) * view.scale + view.width / 2, (view.y - xy[2 * i + 1]) * view.scale + view.height / 2];
  }

  neighbors(i) {
    const k = this.data.nNeighbors;
    return k ? Array.from(this.data.neighbors.subarray(i * k, i * k + k)) : [];
  }

  drawOver() {
    const { ink, view, selected, data } = this, style = getComputedStyle(document.documentElement);
    this.paper = style.getPropertyValue("--card");
    this.text = style.getPropertyValue("--ink");
    ink.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
    ink.clearRect(0, 0, view.width, view.height);
    data.links.forEach((group, j) => this.drawLinks(group, group.name ? LINK_COLORS[j % 4] : this.text));
    const near = selected >= 0 ? this.neighbors(selected) : [];
    ink.lineWidth = 1;
    ink.strokeStyle = style.getPropertyValue("--faint");
    ink.globalAlpha = 0.8;
    for (const i of near) this.line(this.toScreen(selected), this.toScreen(i));
    ink.globalAlpha = 1;
    for (const i of near) this.dot(i, 1, this.text, 1.2);
    if (selected >= 0) this.dot(selected, 3, style.getPropertyValue("--mark"), 3);
    if (this.hovered >= 0) this.dot(this.hovered, 2, this.text, 1.5);
    this.drawLabels([this.hovered, selected, ...near].filter((i) => i >= 0));
  }

  line(from, to) {
    this.ink.beginPath();
    this.ink.moveTo(...from);
    this.ink.lineTo(...to);
    this.ink.stroke();
  }

  radius(i) {
    return Math.max(2.5, this.radii[i] * this.grow);
  }

  dot(i, beyond, ring, width) {
    const { ink, colors } = this, [x, y] = this.toScreen(i);
    ink.beginPath();
    ink.arc(x, y, Math.max(4, this.radius(i)) + beyond, 0, 2 * Math.PI);
    ink.fillStyle = `rgb(${colors[4 * i]},${colors[4 * i + 1]},${colors[4 * i + 2]})`;
    ink.fill();
    ink.strokeStyle = ring;
    ink.lineWidth = width;
    ink.stroke();
  }

  drawLinks(group, color) {
    const { ink } = this;
    ink.strokeStyle = ink.fillStyle = color;
    ink.lineWidth = 1.6;
    for (const [a, b] of group.pairs) {
      const from = this.toScreen(a), to = this.toScreen(b), dx = to[0] - from[0], dy = to[1] - from[1];
      const length = Math.hypot(dx, dy), ends = this.radius(b) + 2;
      if (length < ends + 8) continue;
      const [ux, uy] = [dx / length, dy / length], tip = [to[0] - ux * ends, to[1] - uy * ends];
      const neck = [tip[0] - ux * 9, tip[1] - uy * 9];
      this.line(from, neck);
      ink.beginPath();
      ink.moveTo(...tip);
      ink.lineTo(neck[0] - uy * 4, neck[1] + ux * 4);
      ink.lineTo(neck[0] + uy * 4, neck[1] - ux * 4);
      ink.fill();
    }
  }

  labelOrder() { // which points are labelled first; the ones without a place in it never are
    return this.data.labels;
  }

  // Labels where there is room: first those of `first`, whatever they cover, then the most important in view.
  drawLabels(first) {
    const { ink, view, data, xy } = this, taken = [];
    ink.font = "600 12.5px system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";
    ink.lineJoin = "round";
    ink.textBaseline = "alphabetic";
    for (const i of first) this.label(i, taken, i === this.selected || i === this.hovered);
    if (this.selected >= 0) return;
    ink.font = "12px system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";
    const halfWidth = view.width / 2 / view.scale, halfHeight = view.height / 2 / view.scale;
    const field = this.group >= 0 ? data.fields[this.field] : null, seen = new Set(first);
    const most = (view.width * view.height) / AREA_OF_A_LABEL;
    let tried = 0;
    for (const i of this.order) {
      if (Math.abs(xy[2 * i] - view.x) > halfWidth || Math.abs(xy[2 * i + 1] - view.y) > halfHeight) continue;
      if (seen.has(i) || (field && field.groupOf[i] !== this.group)) continue;
      this.label(i, taken, false);
      if (++tried > 700 || taken.length > most) break;
    }
  }

  width(text, font) {
    const key = font + text;
    let width = this.widths.get(key);
    if (width === undefined) {
      if (this.widths.size > 20000) this.widths.clear();
      this.widths.set(key, (width = this.ink.measureText(text).width));
    }
    return width;
  }

  label(i, taken, must) {
    const { ink, view } = this, [x, y] = this.toScreen(i), key = this.data.keys[i];
    const text = key.length > 28 ? key.slice(0, 27) + "…" : key, width = this.width(text, ink.font);
    const gap = this.radius(i) + (must ? 6 : 3);
    const places = [[x + gap, y + 4], [x - gap - width, y + 4], [x - width / 2, y - gap - 2], [x - width / 2, y + gap + 11]];
    const inside = ([left, base]) => left >= 2 && base >= 12 && left + width <= view.width - 2 && base <= view.height - 4;
    const free = ([left, base]) => !taken.some((box) => left - 6 < box[2] && box[0] < left + width + 6
      && base - 15 < box[3] && box[1] < base + 7);
    let place = places.find((each) => inside(each) && free(each));
    if (!place && must) place = places.find(inside) || places[0];
    if (!place) return;
    taken.push([place[0] - 3, place[1] - 12, place[0] + width + 3, place[1] + 4]);
    ink.strokeStyle = this.paper;
    ink.lineWidth = 3.5;
    ink.fillStyle = this.text;
    ink.strokeText(text, ...place);
    ink.fillText(text, ...place);
  }

  // --------------------------------------------------------------------------------------------------- what moves

  hit(x, y) { // the point under a place on the screen, or -1
    this.grid ||= new Grid(this.xy);
    const { view } = this, reach = Math.max(CLICK_REACH, this.largest * this.grow) / view.scale;
    const [mapX, mapY] = [(x - view.width / 2) / view.scale + view.x, view.y - (y - view.height / 2) / view.scale];
    return this.grid.nearest(mapX, mapY, reach);
  }

  zoom(factor, x = this.view.width / 2, y = this.view.height / 2) { // about a place on the screen, which stays
    const { view } = this, before = view.scale;
    this.gliding = null; // a hand on the map goes before a glide
    view.scale = Math.max(this.fitted.scale / 4, Math.min(this.fitted.scale * 4000, before * factor));
    view.x += (x - view.width / 2) * (1 / before - 1 / view.scale);
    view.y -= (y - view.height / 2) * (1 / before - 1 / view.scale);
    this.request();
  }

  pan(dx, dy) {
    this.gliding = null;
    this.view.x -= dx / this.view.scale;
    this.view.y += dy / this.view.scale;
    this.request();
  }

  rotate(dx, dy) {
    const spin = (angle, a, b) => { // rows a and b of the turn
      const [c, s] = [Math.cos(angle), Math.sin(angle)], [first, second] = [this.turn[a], this.turn[b]];
      this.turn[a] = first.map((value, j) => c * value - s * second[j]);
      this.turn[b] = first.map((value, j) => s * value + c * second[j]);
    };
    spin(-dx / 200, 0, 2);
    spin(dy / 200, 1, 2);
    this.project();
    this.request();
  }

  glide(target) { // to another view, in a fifth of a second
    const { view } = this, from = { x: view.x, y: view.y, scale: view.scale }, start = performance.now();
    const duration = this.still.matches ? 0 : 220, gliding = (this.gliding = {});
    const step = (now) => {
      if (this.gliding !== gliding) return;
      const t = duration ? Math.max(0, Math.min(1, (now - start) / duration)) : 1, s = t * t * (3 - 2 * t);
      if (t >= 1) return Object.assign(view, target), this.request();
      view.scale = from.scale * (target.scale / from.scale) ** s;
      view.x = from.x + (target.x - from.x) * s;
      view.y = from.y + (target.y - from.y) * s;
      this.request();
      requestAnimationFrame(step);
    };
    step(start);
  }

  select(i, show = false) {
    this.selected = i;
    if (i >= 0 && show) {
      const [x, y] = this.toScreen(i), { width, height } = this.view;
      const away = x < 40 || y < 40 || x > width - 40 || y > height - 40;
      if (away) this.glide({ x: this.xy[2 * i], y: this.xy[2 * i + 1], scale: this.view.scale });
    }
    this.onselect(i);
    this.request();
  }

  listen() {
    const { over } = this, fingers = new Map();
    let moved = 0, spread = 0;
    const place = (event) => {
      const box = over.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    over.addEventListener("pointerdown", (event) => {
      this.gliding = null;
      if (!fingers.size) moved = 0;
      fingers.set(event.pointerId, place(event));
      spread = 0;
      over.setPointerCapture(event.pointerId);
    });
    over.addEventListener("pointermove", (event) => {
      const now = place(event), before = fingers.get(event.pointerId);
      if (!before) return this.hover(this.hit(...now));
      fingers.set(event.pointerId, now);
      const [dx, dy] = [now[0] - before[0], now[1] - before[1]];
      moved += Math.hypot(dx, dy);
      if (moved < DRAG) return;
      over.classList.add("moving");
      if (fingers.size === 1 && this.data.dim === 3 && !event.shiftKey) this.rotate(dx, dy);
      else this.pan(dx / fingers.size, dy / fingers.size);
      if (fingers.size === 2) {
        const [a, b] = [...fingers.values()], apart = Math.hypot(a[0] - b[0], a[1] - b[1]);
        if (spread > 0 && apart > 0) this.zoom(apart / spread, (a[0] + b[0]) / 2, (a[1] + b[1]) / 2);
        spread = apart;
      }
    });
    const lift = (event) => {
      const was = fingers.delete(event.pointerId);
      spread = 0;
      if (fingers.size) return;
      over.classList.remove("moving");
      if (was && moved < DRAG && event.type === "pointerup") this.select(this.hit(...place(event)));
    };
    over.addEventListener("pointerup", lift);
    over.addEventListener("pointercancel", lift);
    over.addEventListener("pointerleave", () => this.hover(-1));
    over.addEventListener("wheel", (event) => {
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 16 : 1;
      this.zoom(Math.exp(-Math.max(-200, Math.min(200, event.deltaY * lines)) * 0.002), ...place(event));
    }, { passive: false });
    over.addEventListener("dblclick", (event) => this.zoom(2, ...place(event)));
    over.addEventListener("keydown", (event) => this.press(event));
    this.dark.addEventListener("change", () => this.color(this.field, this.group));
  }

  hover(i) {
    if (i === this.hovered) return;
    this.hovered = i;
    this.over.classList.toggle("over-point", i >= 0);
    this.request();
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key];
    if (step && this.data.dim === 3 && event.shiftKey) this.rotate(step[0] / -2, step[1] / -2);
    else if (step) this.pan(...step);
    else if (event.key === "+" || event.key === "=") this.zoom(1.5);
    else if (event.key === "-") this.zoom(1 / 1.5);
    else if (event.key === "0") this.glide((this.fitted = this.whole()));
    else if (event.key === "Enter") this.select(this.nearestToMiddle());
    else if (event.key === "Escape") this.select(-1);
    else return;
    event.preventDefault();
  }

  nearestToMiddle() {
    this.grid ||= new Grid(this.xy);
    let i = -1;
    for (let within = 0.01; i < 0 && within < 8; within *= 2) i = this.grid.nearest(this.view.x, this.view.y, within);
    return i;
  }
}
